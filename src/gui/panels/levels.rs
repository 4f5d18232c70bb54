//! A volume that is shown by its levels: what is in memory, and what else of the file can be.

use egui::vec2;
use glam::DVec3;

use super::super::frame::Cx;
use super::super::widgets::{self, Button};
use super::super::{dialogs, icons, state};
use crate::io::ReadOptions;
use crate::project::{Layer, SourcePart};
use crate::render::figure::Scene;
use crate::session::Command;
use crate::volume::Pyramid;

/// The dialog for a volume that does not fit into memory: a pyramid of it does not have to.
pub(crate) fn too_large(path: &std::path::Path, read: ReadOptions, problem: &str) -> state::Dialog {
    state::Dialog::Write(dialogs::WriteForm {
        what: dialogs::WriteWhat::Pyramid(path.to_owned(), read),
        title: "Too large to be read whole".to_owned(),
        hint: format!(
            "{problem}. Written once more as an OME-Zarr pyramid (.zarr) it is shown at any size, finest voxels included; it opens \
             when it is done. The file itself stays as it is.",
        ),
        path: path.with_extension("zarr").display().to_string(),
    })
}

fn shape_text([z, y, x]: [usize; 3]) -> String {
    format!("{z} × {y} × {x}")
}

/// "1/8"; "1/1" for the finest level.
fn fraction(pyramid: &Pyramid, level: usize) -> String {
    format!("1/{}", pyramid.coarseness(level))
}

/// What is in memory of the chosen layer, and ways to get more.
pub(super) fn show(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    let Some(pyramid) = &layer.pyramid else { return };
    let working = pyramid.working();
    widgets::row(
        ui,
        "In memory",
        "The level that tools, histogram and measurements work on; the views read finer voxels from the file as they show them",
        |ui, _| {
            let shape = layer.content.shape().unwrap_or_default();
            let text = format!("{}: {}", fraction(pyramid, working), shape_text(shape));
            let button = Button::new(&text)
                .icon(icons::CARET_DOWN)
                .name(&format!("Levels of {}", layer.name))
                .height(24.0)
                .fill_width()
                .show(ui);
            egui::Popup::menu(&button).accessible_name("Levels").show(|ui| menu(ui, layer, pyramid, cx));
        },
    );
    if let Some(problem) = pyramid.cache().problem(pyramid.id()) {
        widgets::warn(ui, &format!("A part of the file could not be read, and is shown coarser: {problem}"));
    }
}

fn menu(ui: &mut egui::Ui, layer: &Layer, pyramid: &Pyramid, cx: &mut Cx<'_>) {
    ui.set_width(360.0);
    ui.spacing_mut().item_spacing = vec2(8.0, 0.0);
    let budget = cx.session.settings().budget().bytes;
    widgets::hint(ui, "Load as a layer of its own");
    let mut part = None;
    for (level, at) in pyramid.levels().iter().enumerate() {
        let bytes = at.n_voxels().saturating_mul(4);
        let label =
            format!("{}: {}, {}", fraction(pyramid, level), shape_text(at.shape), widgets::bytes(bytes));
        let is_held = level == pyramid.working();
        ui.add_enabled_ui(bytes <= budget && !is_held, |ui| {
            if Button::new(&label).quiet().fill_width().height(26.0).selected(is_held).show(ui).clicked() {
                part = Some(SourcePart { level, region: None });
                ui.close();
            }
        });
    }
    let region = in_view(layer, pyramid, cx);
    let bytes =
        region.map_or(0, |(_, dims)| dims.iter().fold(4, |n: u64, side| n.saturating_mul(*side as u64)));
    let label = match region {
        Some((_, dims)) => {
            format!("What the slices show, 1/1: {}, {}", shape_text(dims), widgets::bytes(bytes))
        }
        None => "What the slices show, finest voxels".to_owned(),
    };
    ui.add(egui::Separator::default().spacing(6.0));
    ui.add_enabled_ui(region.is_some() && bytes <= budget, |ui| {
        if Button::new(&label).quiet().fill_width().height(26.0).show(ui).clicked() {
            part = Some(SourcePart { level: 0, region });
            ui.close();
        }
    });
    if let Some(part) = part {
        cx.queue.session(Command::OpenPart { layer: layer.id, part });
    }
}

/// The box (first voxel and number, z, y, x) of finest voxels that the slices along the axes show together.
fn in_view(layer: &Layer, pyramid: &Pyramid, cx: &Cx<'_>) -> Option<([usize; 3], [usize; 3])> {
    let world_from_finest = state::world_from_voxel(layer)? * pyramid.working_from_level(0);
    let finest_from_world = world_from_finest.inverse();
    let shape = pyramid.levels().first()?.shape;
    let (mut low, mut high) = (DVec3::NEG_INFINITY, DVec3::INFINITY);
    for scene in cx.view.scenes.values() {
        let Scene::Slice(scene) = scene else { continue };
        let (right, down) = scene.plane.right_down();
        let [w, h] = scene.size_px.map(|n| f64::from(n) * scene.um_per_px * 0.5);
        let (a, b) = (
            finest_from_world.transform_point3(scene.center_um - right * w - down * h),
            finest_from_world.transform_point3(scene.center_um + right * w + down * h),
        );
        for axis in 0..3 {
            // Across the picture it says nothing.
            let along = right[axis].abs().max(down[axis].abs());
            if along > 0.99 {
                low[axis] = low[axis].max(a[axis].min(b[axis]));
                high[axis] = high[axis].min(a[axis].max(b[axis]));
            }
        }
    }
    let (mut first, mut dims) = ([0; 3], [0; 3]);
    for axis in 0..3 {
        let last = shape[axis] as f64 - 1.0;
        let (a, b) = (low[2 - axis].round().clamp(0.0, last), high[2 - axis].round().clamp(0.0, last));
        if !(a < b) {
            return None;
        }
        (first[axis], dims[axis]) = (a as usize, b as usize + 1 - a as usize);
    }
    Some((first, dims))
}
