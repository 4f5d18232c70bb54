//! Voxel size and meaning of the values of the chosen layer, set right where its file did not say them or said them wrong.

use super::super::dialogs::text_field;
use super::super::frame::Cx;
use super::super::messages::Level;
use super::super::open_form::parse_voxel_size;
use super::super::state::Request;
use super::super::widgets;
use super::file::size_words;
use crate::base::Unit;
use crate::io::VoxelSize;
use crate::project::{Calibration, Content, Edit, Layer};

/// What the values of a scan and of a volume may be.
pub(crate) const OF_SCANS: [Unit; 3] = [Unit::Counts, Unit::Transmission, Unit::Absorbance];
pub(crate) const OF_VOLUMES: [Unit; 6] =
    [Unit::PerUm, Unit::PerVoxel, Unit::Counts, Unit::Transmission, Unit::Absorbance, Unit::Arbitrary];

/// What values of a unit are, in words.
pub(crate) fn unit_words(unit: Unit) -> &'static str {
    match unit {
        Unit::PerUm => "absorption, 1/µm",
        Unit::PerVoxel => "absorption, 1/voxel",
        Unit::Counts => "counts",
        Unit::Transmission => "transmission",
        Unit::Absorbance => "absorbance",
        Unit::Label => "labels",
        Unit::Arbitrary => "anything else",
    }
}

/// Draws the rows of a layer that has voxels.
pub(super) fn show(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    let Some(now) = Calibration::of(layer) else { return };
    voxel_size(ui, layer, &now, cx);
    let Some(unit) = now.unit else { return };
    let units = if matches!(layer.content, Content::Scan(_)) { &OF_SCANS[..] } else { &OF_VOLUMES[..] };
    let words: Vec<&str> = units.iter().map(|unit| unit_words(*unit)).collect();
    let tooltip = "What the numbers mean; they stay as they are";
    if let Some(at) = widgets::choose(ui, "Values are", tooltip, unit_words(unit), &words) {
        let (edits, _) = cx.session.project().calibrated(layer.id, None, Some(units[at]));
        cx.queue.edit("Unit of the values", Edit::Batch(edits));
    }
}

/// The size as it is, and as it is typed until Enter.
fn voxel_size(ui: &mut egui::Ui, layer: &Layer, now: &Calibration, cx: &mut Cx<'_>) {
    let name = if matches!(layer.content, Content::Scan(_)) { "Pixel size" } else { "Voxel size" };
    let tooltip =
        "One number, or z, y, x; in µm, or with a unit such as 10 nm. Layers on the same grid get it too";
    widgets::row(ui, name, tooltip, |ui, _| {
        let id = ui.scope_id().with(("voxel size", layer.id.0));
        let said = now.voxel_um.map_or_else(String::new, size_words);
        let mut text = ui.data(|data| data.get_temp::<String>(id)).unwrap_or_else(|| said.clone());
        let width = ui.available_width() - 4.0;
        let response = text_field(ui, &mut text, name, "unknown, such as 10 nm", width);
        if response.lost_focus() {
            ui.data_mut(|data| data.remove::<String>(id));
            let is_given_up = ui.input(|input| input.key_pressed(egui::Key::Escape));
            if text.trim() != said && !is_given_up {
                set(layer, &text, cx);
            }
        } else if response.has_focus() {
            ui.data_mut(|data| data.insert_temp(id, text));
        }
    });
}

/// Gives the layer, and those on its grid, the size that was typed.
fn set(layer: &Layer, text: &str, cx: &mut Cx<'_>) {
    let size: VoxelSize = match parse_voxel_size(text) {
        Ok(Some(size)) => size,
        Ok(None) => return,
        Err(problem) => return cx.queue.push(Request::Say(Level::Warning, problem.to_owned())),
    };
    let project = cx.session.project();
    let (edits, n_others) = project.calibrated(layer.id, Some(size), None);
    if edits.is_empty() {
        return;
    }
    if n_others > 0 {
        let text = format!("{n_others} more layers on the same grid got the voxel size too");
        cx.queue.push(Request::Say(Level::Info, text));
    }
    if !project.annotations.is_empty() || !project.landmarks.is_empty() {
        let text =
            "Rulers and landmarks stay where they are in µm: look whether they still lie where they were set";
        cx.queue.push(Request::Say(Level::Warning, text.to_owned()));
    }
    cx.queue.edit("Voxel size", Edit::Batch(edits));
}
