//! The menu of what is cut away in the 3D view: at the crosshair, by a box, by a free plane; classes that stay whole.

use egui::Ui;

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::look::CutSide;
use super::super::state;
use super::super::widgets::{self, Number};
use super::super::{icons, theme};
use crate::project::Content;

/// The button and what it opens.
pub(super) fn show(ui: &mut Ui, cx: &mut Cx<'_>) {
    let tooltip = "What is cut away: at the crosshair, by a box, by a plane; classes that stay whole";
    let is_cut = cx.view.look.is_cut();
    let button = widgets::icon_sized(ui, icons::SCISSORS, "3D cuts", tooltip, is_cut, 22.0);
    egui::Popup::menu(&button)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .accessible_name("3D cuts")
        .show(|ui| {
            egui::Frame::new().inner_margin(6.0).show(ui, |ui| {
                ui.set_width(286.0);
                let room = ui.ctx().content_rect().height() - 140.0;
                egui::ScrollArea::vertical().max_height(room).min_scrolled_height(room).show(ui, |ui| {
                    at_crosshair(ui, cx);
                    widgets::divider(ui);
                    clip_box(ui, cx);
                    widgets::divider(ui);
                    plane(ui, cx);
                    widgets::divider(ui);
                    kept(ui, cx);
                });
            });
        });
}

fn at_crosshair(ui: &mut Ui, cx: &mut Cx<'_>) {
    widgets::heading_row(ui, "Cut open at the crosshair", |ui| {
        ui.add_enabled_ui(cx.view.look.is_cut(), |ui| {
            let tooltip = "Takes crosshair cuts, box and plane away and shows everything again";
            if widgets::icon_button(ui, icons::X, "Cut nothing", tooltip).clicked() {
                cx.view.look.cut_nothing();
            }
        });
    });
    for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
        let Some(side) = cx.view.look.cuts.get_mut(axis) else { continue };
        let [none, below, above] = ["whole", "below", "above"].map(|which| format!("{name} {which}"));
        let choices = [
            (CutSide::Off, none.as_str(), "Nothing is taken away along this axis"),
            (CutSide::Below, below.as_str(), "Takes away what has a smaller coordinate than the crosshair"),
            (CutSide::Above, above.as_str(), "Takes away what has a larger coordinate than the crosshair"),
        ];
        widgets::segmented(ui, side, &choices);
        ui.add_space(2.0);
    }
    widgets::switch(
        ui,
        &mut cx.view.look.crosshair,
        "Show the crosshair",
        "Three lines through it, also in 3D",
    );
}

fn clip_box(ui: &mut Ui, cx: &mut Cx<'_>) {
    let layer = state::main_volume(cx.session.project(), cx.view);
    let unit = state::length_unit(layer);
    let Some(bounds) = layer.and_then(state::layer_bounds) else { return };
    let mut on = cx.view.look.clip.is_some();
    let tooltip = find(CommandId::ClipBox).tooltip_with_key();
    widgets::heading_row(ui, "Box", |ui| {
        ui.add_enabled_ui(cx.view.look.clip.is_some_and(|clip| clip != bounds), |ui| {
            let name = "Reset box";
            if widgets::icon_button(ui, icons::ARROW_COUNTER_CLOCKWISE, name, "As large as the volume")
                .clicked()
            {
                cx.view.look.clip = Some(bounds);
            }
        });
    });
    if widgets::switch(ui, &mut on, "Only what lies in a box", &tooltip).changed() {
        cx.queue.run(CommandId::ClipBox);
    }
    let Some((low, high)) = &mut cx.view.look.clip else { return };
    let tooltip = "From and to; faces are also dragged by their handles in the view";
    for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
        widgets::row(ui, name, tooltip, |ui, _| {
            let [least, most] = [bounds.0[axis], bounds.1[axis]];
            let speed = (most - least) / 400.0;
            let (mut from, mut to) = (low[axis], high[axis]);
            let field = Number::new(&mut from, least..=to).step(2, speed).width(62.0);
            field.show(ui, &format!("Box {name} from"));
            let field = Number::new(&mut to, from..=most).unit(unit).step(2, speed).width(76.0);
            field.show(ui, &format!("Box {name} to"));
            (low[axis], high[axis]) = (from, to);
        });
    }
    widgets::switch(ui, &mut cx.view.look.handles, "Show handles", "Handles of box and plane in the view");
}

fn plane(ui: &mut Ui, cx: &mut Cx<'_>) {
    let layer = state::main_volume(cx.session.project(), cx.view);
    let unit = state::length_unit(layer);
    let Some((low, high)) = layer.and_then(state::layer_bounds) else { return };
    widgets::heading_row(ui, "Plane", |ui| {
        ui.add_enabled_ui(cx.view.look.plane.is_some(), |ui| {
            if widgets::icon_button(ui, icons::SWAP, "Other side", "Keeps the other side of the plane")
                .clicked()
                && let Some(plane) = &mut cx.view.look.plane
            {
                plane.normal = -plane.normal;
            }
        });
    });
    let mut on = cx.view.look.plane.is_some();
    let tooltip = find(CommandId::ClipPlane).tooltip_with_key();
    if widgets::switch(ui, &mut on, "Cut by a free plane", &tooltip).changed() {
        cx.queue.run(CommandId::ClipPlane);
    }
    let middle = (low + high) * 0.5;
    let reach = (high - low).length() * 0.5;
    let Some(plane) = &mut cx.view.look.plane else { return };
    widgets::row(ui, "Offset", "From the middle of the volume, along the normal", |ui, _| {
        let mut offset = (plane.point_um - middle).dot(plane.normal);
        let before = offset;
        let field = Number::new(&mut offset, -reach..=reach).unit(unit).step(2, reach / 400.0);
        if field.show(ui, "Offset of the plane").changed() {
            plane.point_um += plane.normal * (offset - before);
        }
    });
    let [mut azimuth, mut elevation] = plane.angles_deg();
    let mut turned = false;
    widgets::row(
        ui,
        "Azimuth",
        "Direction that stays, about the upright axis; 0 is away from the viewer",
        |ui, _| {
            let field = Number::new(&mut azimuth, -180.0..=180.0).unit("°").step(1, 0.5);
            turned |= field.show(ui, "Azimuth of the plane").changed();
        },
    );
    widgets::row(ui, "Elevation", "Direction that stays, upwards", |ui, _| {
        let field = Number::new(&mut elevation, -90.0..=90.0).unit("°").step(1, 0.5);
        turned |= field.show(ui, "Elevation of the plane").changed();
    });
    if turned {
        plane.set_angles_deg([azimuth, elevation]);
    }
    if cx.view.look.clip.is_none() {
        let tooltip = "Handles of box and plane in the view";
        widgets::switch(ui, &mut cx.view.look.handles, "Show handles", tooltip);
    }
}

/// Classes that box and cuts leave whole.
fn kept(ui: &mut Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Keep whole");
    let session = cx.session;
    let project = session.project();
    let labels = project.layers.iter().filter(|layer| layer.display.visible);
    let mut present = std::collections::BTreeSet::new();
    for layer in labels {
        if let Content::Labels(labels) = &layer.content {
            present.extend(labels.labels.ids());
        }
    }
    if let Some(prediction) = &session.live().prediction {
        present.extend(prediction.labels.ids());
    }
    present.remove(&0);
    if present.is_empty() {
        widgets::hint(
            ui,
            "Classes of visible labels can stay whole while everything around them is cut away.",
        );
        return;
    }
    widgets::hint(ui, "Cuts take everything else away.");
    // A parent is there for its children.
    let seen = |id: u16| project.classes.within(id).iter().any(|id| present.contains(id));
    for (class, depth) in project.classes.tree() {
        if !seen(class.id) {
            continue;
        }
        ui.horizontal(|ui| {
            ui.add_space(depth.min(5) as f32 * 14.0);
            let (mark, _) = ui.allocate_exact_size(egui::vec2(10.0, theme::ROW), egui::Sense::hover());
            let square = egui::Rect::from_center_size(mark.center(), egui::vec2(9.0, 9.0));
            ui.painter().rect_filled(square, 2, theme::class_color(class.color));
            let mut on = cx.view.look.kept.contains(&class.id);
            let name = format!("Keep {} whole", class.name);
            let response = widgets::check(ui, &mut on, &class.name);
            if response.accessible_name(&name).changed() {
                if on {
                    cx.view.look.kept.insert(class.id);
                } else {
                    cx.view.look.kept.remove(&class.id);
                }
            }
        });
    }
}
