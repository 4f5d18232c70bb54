//! Correlate: places another volume in the common world, by hand or by landmark pairs.

use glam::{DAffine3, DMat3, DQuat, DVec3, EulerRot};

use super::super::commands::CommandId;
use super::super::frame::Cx;
use super::super::messages::Level;
use super::super::state::{self, Request, Tool};
use super::super::tools::landmark::{Half, Side};
use super::super::widgets::{self, Button, Number};
use super::super::{icons, theme};
use crate::kernels::registration::{fit_affine, fit_similarity};
use crate::project::{Edit, Landmark, Layer};
use crate::volume::landmarks::TransformModel;

/// Draws the inspector.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Moving volume");
    let session = cx.session;
    let project = session.project();
    let volumes: Vec<&Layer> = project.from_top().filter(|layer| layer.volume().is_some()).collect();
    if volumes.len() < 2 {
        widgets::hint(
            ui,
            "Add a second volume, such as a fluorescence channel, to place it in the frame of the first.",
        );
        ui.add_space(2.0);
        if Button::new("Add volume as layer…").icon(icons::STACK).show(ui).clicked() {
            cx.queue.run(CommandId::AddVolume);
        }
        return;
    }
    let moving = cx.view.moving.and_then(|id| volumes.iter().find(|l| l.id == id)).copied();
    egui::ComboBox::from_id_salt("moving")
        .selected_text(moving.map_or("Choose the volume to move", |layer| layer.name.as_str()))
        .width(ui.available_width() - 8.0)
        .show_ui(ui, |ui| {
            for layer in &volumes {
                if ui.selectable_label(cx.view.moving == Some(layer.id), &layer.name).clicked() {
                    cx.view.moving = Some(layer.id);
                    cx.view.half_landmark = Half::default();
                }
            }
        })
        .response
        .accessible_name("Moving volume");
    let Some(layer) = moving else {
        widgets::hint(
            ui,
            "The volume chosen here is moved, by hand or by landmarks, until it fits the others in the common frame.",
        );
        ui.add_space(2.0);
        if Button::new("Add volume as layer…").icon(icons::STACK).show(ui).clicked() {
            cx.queue.run(CommandId::AddVolume);
        }
        return;
    };
    widgets::divider(ui);
    by_hand(ui, layer, cx);
    widgets::divider(ui);
    landmarks(ui, layer, cx);
}

/// A placement as numbers that a hand can turn.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Parts {
    shift: DVec3,
    turn_deg: [f64; 3],
    scale: DVec3,
}

/// The middle of a layer in its own µm: what rotation and scale leave in place.
fn middle(layer: &Layer) -> DVec3 {
    let natural =
        state::world_from_voxel(layer).map_or(DAffine3::IDENTITY, |map| layer.placement.inverse() * map);
    let [z, y, x] = layer.content.shape().unwrap_or_default().map(|n| (n as f64 - 1.0) / 2.0);
    natural.transform_point3(DVec3::new(x, y, z))
}

impl Parts {
    fn of(placement: &DAffine3, middle: DVec3) -> Self {
        let (scale, rotation, _) = placement.to_scale_rotation_translation();
        let (x, y, z) = rotation.to_euler(EulerRot::XYZ);
        let turn_deg = [x, y, z].map(|a| (a.to_degrees() * 1e6).round() / 1e6 + 0.0);
        Self { shift: placement.transform_point3(middle) - middle, turn_deg, scale }
    }

    fn placement(&self, middle: DVec3) -> DAffine3 {
        let [x, y, z] = self.turn_deg.map(f64::to_radians);
        let turn = DMat3::from_quat(DQuat::from_euler(EulerRot::XYZ, x, y, z));
        let matrix = turn * DMat3::from_diagonal(self.scale);
        DAffine3::from_mat3_translation(matrix, middle + self.shift - matrix * middle)
    }
}

fn by_hand(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    widgets::heading_row(ui, "By hand", |ui| {
        if widgets::icon_button(
            ui,
            icons::ARROW_COUNTER_CLOCKWISE,
            "Reset placement",
            "Back to where the file puts it",
        )
        .clicked()
        {
            cx.queue.edit(
                "Reset placement",
                Edit::SetPlacement { layer: layer.id, placement: DAffine3::IDENTITY },
            );
        }
    });
    let middle = middle(layer);
    let old = Parts::of(&layer.placement, middle);
    let mut new = old;
    let mut shift = new.shift.to_array();
    triple(ui, ("Shift", "Along x, y and z"), &mut shift, -1e5..=1e5, ("µm", 0.01));
    new.shift = DVec3::from_array(shift);
    triple(
        ui,
        ("Turn", "About x, y and z, about the middle of the volume"),
        &mut new.turn_deg,
        -360.0..=360.0,
        ("°", 0.2),
    );
    let mut scale = new.scale.to_array();
    triple(ui, ("Scale", "Along x, y and z"), &mut scale, 0.01..=100.0, ("", 0.002));
    new.scale = DVec3::from_array(scale);
    if new != old {
        let placement = new.placement(middle);
        cx.queue.edit("Place volume", Edit::SetPlacement { layer: layer.id, placement });
    }
}

fn triple(
    ui: &mut egui::Ui,
    (label, tooltip): (&str, &str),
    values: &mut [f64; 3],
    range: std::ops::RangeInclusive<f64>,
    (unit, speed): (&str, f64),
) {
    let t = theme::of(ui);
    ui.label(egui::RichText::new(label).color(t.text)).on_hover_text(tooltip);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let width = ((ui.available_width() - 12.0) / 3.0).clamp(48.0, 110.0);
        for ((value, axis), color) in values.iter_mut().zip(["x", "y", "z"]).zip(t.axes) {
            let name = format!("{label} {axis}");
            let field =
                Number::new(value, range.clone()).unit(unit).step(3, speed).width(width).show(ui, &name);
            let rect = field.rect;
            ui.painter().vline(rect.left() + 1.0, rect.shrink(5.0).y_range(), egui::Stroke::new(2.0, color));
        }
    });
}

fn landmarks(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    widgets::heading(ui, "By landmarks");
    let on = cx.view.tool == Tool::Landmark;
    let text = match (on, cx.view.half_landmark.next) {
        (false, _) => "Click the same thing in both volumes, three times or more.",
        (true, Side::Moving) => "Click a point of the moving volume.",
        (true, Side::Fixed) => "Now click the same point in the volume that stays.",
    };
    widgets::hint(ui, text);
    if Button::new(if on { "Stop picking" } else { "Pick landmarks" })
        .icon(icons::MAP_PIN)
        .selected(on)
        .show(ui)
        .clicked()
    {
        cx.view.tool = if on { Tool::Navigate } else { Tool::Landmark };
        cx.view.half_landmark = Half::default();
    }
    let session = cx.session;
    let all = &session.project().landmarks;
    let mine: Vec<(usize, &Landmark)> =
        all.iter().enumerate().filter(|(_, l)| l.moving_layer.is_none_or(|id| id == layer.id)).collect();
    if mine.is_empty() {
        return;
    }
    list(ui, &mine, layer, cx);
    let used: Vec<&Landmark> = mine.iter().map(|(_, pair)| *pair).filter(|pair| pair.used).collect();
    fit(ui, &used, layer, cx);
}

/// The fit of the pairs that are used: rotation and shift, with or without scale.
fn fit(ui: &mut egui::Ui, used: &[&Landmark], layer: &Layer, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    ui.add_space(2.0);
    widgets::segmented(
        ui,
        &mut cx.view.fit_model,
        &[
            (TransformModel::Rigid, "Rigid", "Rotation and shift"),
            (TransformModel::Similarity, "Similarity", "Rotation, shift and one scale"),
        ],
    );
    if used.len() < 3 {
        widgets::hint(ui, &format!("{} more to fit", 3 - used.len()));
        return;
    }
    let rms = (used.iter().map(|pair| residual(pair, layer).powi(2)).sum::<f64>() / used.len() as f64).sqrt();
    ui.label(
        egui::RichText::new(format!("Now {:.0} nm off (rms)", rms * 1000.0)).size(12.0).color(t.text_weak),
    );
    if Button::new("Fit to landmarks")
        .icon(icons::TARGET)
        .primary()
        .fill_width()
        .height(30.0)
        .show(ui)
        .clicked()
    {
        match fitted(used, cx.view.fit_model) {
            Some(placement) => {
                cx.queue.edit("Fit to landmarks", Edit::SetPlacement { layer: layer.id, placement });
            }
            None => cx.queue.push(Request::Say(
                Level::Warning,
                "The landmarks lie on one line: set one well aside of it, then fit again".to_owned(),
            )),
        }
    }
}

/// The placement that brings the moving points onto the fixed ones, least squares.
fn fitted(used: &[&Landmark], model: TransformModel) -> Option<DAffine3> {
    let moving: Vec<DVec3> = used.iter().map(|pair| DVec3::from_array(pair.moving_um)).collect();
    let fixed: Vec<DVec3> = used.iter().map(|pair| DVec3::from_array(pair.fixed_um)).collect();
    match model {
        TransformModel::Rigid => fit_similarity(&moving, &fixed, false),
        TransformModel::Similarity => fit_similarity(&moving, &fixed, true),
        TransformModel::Affine => fit_affine(&moving, &fixed),
    }
}

/// Where a pair lies apart now, in µm.
fn residual(pair: &Landmark, layer: &Layer) -> f64 {
    let moved = layer.placement.transform_point3(DVec3::from_array(pair.moving_um));
    (moved - DVec3::from_array(pair.fixed_um)).length()
}

fn list(ui: &mut egui::Ui, mine: &[(usize, &Landmark)], layer: &Layer, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let all = cx.session.project().landmarks.clone();
    for (at, pair) in mine {
        ui.horizontal(|ui| {
            let mut used = pair.used;
            if widgets::switch(ui, &mut used, &pair.name, "Takes part in the fit").changed() {
                let mut landmarks = all.clone();
                if let Some(landmark) = landmarks.get_mut(*at) {
                    landmark.used = used;
                }
                cx.queue.edit("Use landmark", Edit::SetLandmarks(landmarks));
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if widgets::icon_sized(ui, icons::TRASH, &format!("Remove {}", pair.name), "", false, 20.0)
                    .clicked()
                {
                    let mut landmarks = all.clone();
                    landmarks.remove(*at);
                    cx.queue.edit("Remove landmark", Edit::SetLandmarks(landmarks));
                }
                if widgets::icon_sized(ui, icons::TARGET, &format!("Go to {}", pair.name), "", false, 20.0)
                    .clicked()
                {
                    cx.view.cursor_um = DVec3::from_array(pair.fixed_um);
                    cx.view.center_um = cx.view.cursor_um;
                }
                let off = residual(pair, layer);
                ui.label(
                    egui::RichText::new(format!("{:.0} nm off", off * 1000.0)).size(12.0).color(t.text_weak),
                );
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placement_and_its_numbers_are_inverse() {
        let middle = DVec3::new(2.0, -1.0, 3.0);
        let parts = Parts {
            shift: DVec3::new(0.5, 0.25, -1.0),
            turn_deg: [10.0, -20.0, 35.0],
            scale: DVec3::new(1.1, 0.9, 1.0),
        };
        let back = Parts::of(&parts.placement(middle), middle);
        assert!((back.shift - parts.shift).length() < 1e-9);
        assert!((back.scale - parts.scale).length() < 1e-9);
        for (a, b) in back.turn_deg.into_iter().zip(parts.turn_deg) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}
