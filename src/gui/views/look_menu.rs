//! The menu of the 3D view that says how it is lit and faded.

use egui::Ui;

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::icons;
use super::super::state::{self, ViewId};
use super::super::widgets::{self, Button, Number};
use crate::render::camera::Projection;
use crate::render::scene::VolumeMode;

/// Directions to look from, with what the button says.
const DIRECTIONS: [(CommandId, &str); 6] = [
    (CommandId::LookFront, "Front"),
    (CommandId::LookBack, "Back"),
    (CommandId::LookLeft, "Left"),
    (CommandId::LookRight, "Right"),
    (CommandId::LookTop, "Top"),
    (CommandId::LookBottom, "Bottom"),
];

/// The button and what it opens.
pub(super) fn show(ui: &mut Ui, id: ViewId, cx: &mut Cx<'_>) {
    let tooltip = "Light, depth and direction of the 3D view";
    let button = widgets::icon_sized(ui, icons::SLIDERS_HORIZONTAL, "3D look", tooltip, false, 22.0);
    egui::Popup::menu(&button)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .accessible_name("3D look")
        .show(|ui| {
            egui::Frame::new().inner_margin(6.0).show(ui, |ui| {
                ui.set_width(264.0);
                if cx.view.look.mode == VolumeMode::Iso {
                    threshold(ui, cx);
                    widgets::divider(ui);
                }
                light(ui, cx);
                widgets::divider(ui);
                directions(ui, id, cx);
            });
        });
}

/// Where the surface lies.
fn threshold(ui: &mut Ui, cx: &mut Cx<'_>) {
    let Some(layer) = state::main_volume(cx.session.project(), cx.view) else { return };
    let unit = state::value_unit(layer);
    let range = cx.derived.stats(layer).map(|stats| [stats.histogram.min, stats.histogram.max]);
    let [low, high] = range.unwrap_or([0.0, 1.0]).map(f64::from);
    widgets::heading(ui, "Surface");
    widgets::row(ui, "Value", "The surface runs where the volume has this value", |ui, _| {
        let mut value = f64::from(cx.view.look.iso);
        let field = Number::new(&mut value, low..=high).unit(unit).step(3, (high - low) / 400.0);
        if field.show(ui, "Value of the surface").changed() {
            cx.view.look.iso = value as f32;
        }
    });
    let mut part = ((f64::from(cx.view.look.iso) - low) / (high - low).max(1e-12)) as f32;
    let width = ui.available_width();
    if widgets::fraction(ui, &mut part, "Value of the surface, slider", width).changed() {
        cx.view.look.iso = (low + (high - low) * f64::from(part)) as f32;
    }
}

fn light(ui: &mut Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Light");
    let look = &mut cx.view.look;
    let slider = |ui: &mut Ui, label: &str, tooltip: &str, on: bool, value: &mut f32| {
        ui.add_enabled_ui(on, |ui| {
            widgets::row(ui, label, tooltip, |ui, _| {
                let width = ui.available_width();
                widgets::fraction(ui, value, label, width);
            });
        });
    };
    let (is_lit, has_surfaces) = (look.is_lit(), look.has_surfaces());
    slider(
        ui,
        "Shading",
        "Light from the upper left: shows the shape of what is dense",
        is_lit,
        &mut look.shading,
    );
    slider(ui, "Depth", "What is far away fades into the background", is_lit, &mut look.depth_cue);
    slider(
        ui,
        "Hollows",
        "Darkens hollows, where less light comes in: of the surface at a value and of labels as voxels, not of made surfaces",
        has_surfaces,
        &mut look.occlusion,
    );
    slider(
        ui,
        "Shadows",
        "Shadows that parts throw on others: of the surface at a value and of labels as voxels, not of made surfaces",
        has_surfaces,
        &mut look.shadow,
    );
    if cx.view.surfaces.on && !has_surfaces {
        widgets::hint(
            ui,
            "Hollows and shadows are of the volume; made surfaces have shading, depth and outlines.",
        );
    }
}

fn directions(ui: &mut Ui, view: ViewId, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Look from");
    for side_by_side in DIRECTIONS.chunks(3) {
        ui.columns(3, |columns| {
            for (ui, (id, label)) in columns.iter_mut().zip(side_by_side) {
                let entry = find(*id);
                let button = Button::new(label).fill_width().height(24.0).name(entry.label).show(ui);
                if button.on_hover_text(entry.tooltip).clicked() {
                    cx.view.views.active = Some(view);
                    cx.view.views.pointed = Some(view);
                    cx.queue.run(*id);
                }
            }
        });
    }
    let tooltip = "Those that are visible, in their place; fainter where something hides them";
    widgets::switch(ui, &mut cx.view.look.annotations, "Show annotations", tooltip);
    let mut parallel = cx.view.camera(view).projection == Projection::Orthographic;
    let tooltip = "Without perspective: lengths can be compared, and the scale bar holds everywhere";
    if widgets::switch(ui, &mut parallel, "Parallel rays", tooltip).clicked() {
        let projection = if parallel { Projection::Orthographic } else { Projection::Perspective };
        cx.view.set_camera(view, |camera| camera.projection = projection);
    }
}
