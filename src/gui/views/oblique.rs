//! The slice across the axes: how it lies, how it is turned, where it and the other slices cut each other.
//!
//! It goes through the crosshair. In the other slices it is a line with two handles; dragging one turns it there. In its
//! own view a drag with Alt turns it like a ball.

use egui::{Key, Painter, PointerButton, Pos2, Rect, Response, Stroke};
use glam::DVec3;

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::state::{Tilt, Tool, ViewId, ViewKind};
use super::super::theme::Tokens;
use super::super::{icons, widgets};
use super::slice_view::Geometry;
use crate::render::scene::Plane;

/// Radians that a drag of one point turns.
const PER_POINT: f64 = 0.006;
/// How far from the crosshair the handles are, as a part of the view's shorter side.
const REACH: f32 = 0.36;
/// How near a handle takes the pointer, points.
const NEAR: f32 = 11.0;

/// Whether its line is seen in a view: in the linked slices, where a linked oblique one is beside them.
fn is_crossed(id: ViewId, cx: &Cx<'_>) -> bool {
    let (views, alone) = (&cx.view.views, cx.view.maximised.is_some());
    views.kind(id) != ViewKind::Oblique && !alone && views.is_linked(id) && views.shows(ViewKind::Oblique)
}

/// The handles in another slice; `None` where the slices are parallel.
fn handles(id: ViewId, geometry: &Geometry, cx: &Cx<'_>) -> Option<[Pos2; 2]> {
    if !is_crossed(id, cx) {
        return None;
    }
    let along = geometry.trace(cx.view.tilt.normal())?;
    let reach = geometry.rect.size().min_elem() * REACH;
    let at = geometry.screen(cx.view.cursor_um);
    Some([at + along * reach, at - along * reach])
}

/// Turns the slice where the input says so; true while it does, so that nothing else takes the drag.
pub(super) fn turn(
    ui: &egui::Ui,
    response: &Response,
    id: ViewId,
    geometry: &Geometry,
    cx: &mut Cx<'_>,
) -> bool {
    if cx.view.kind(id) == ViewKind::Oblique {
        let alt = ui.input(|i| i.modifiers.alt) && !ui.input(|i| i.key_down(Key::Space));
        let is_turned = alt && response.dragged_by(PointerButton::Primary) && cx.view.stroke.is_none();
        if is_turned {
            let [dx, dy] =
                [response.drag_delta().x, response.drag_delta().y].map(|d| f64::from(d) * PER_POINT);
            let Tilt { right, down } = cx.view.tilt;
            cx.view.tilt = cx.view.tilt.turned(down, dx).turned(right, -dy);
        }
        return is_turned;
    }
    let pressed = ui.input(|i| i.pointer.button_pressed(PointerButton::Primary));
    if let Some(pos) = response.interact_pointer_pos().filter(|_| pressed && cx.view.tool == Tool::Navigate)
        && handles(id, geometry, cx).is_some_and(|handles| handles.iter().any(|at| at.distance(pos) < NEAR))
    {
        cx.view.turning = Some(id);
    }
    if cx.view.turning != Some(id) {
        return false;
    }
    if !ui.input(|i| i.pointer.button_down(PointerButton::Primary)) {
        cx.view.turning = None;
        return true;
    }
    if let Some(pos) = response.interact_pointer_pos() {
        let middle = geometry.screen(cx.view.cursor_um);
        let (now, before) = (pos - middle, pos - response.drag_delta() - middle);
        let angle = now.angle() - before.angle();
        if angle.is_finite() && before.length() > 1.0 {
            let (right, down) = geometry.right_down;
            cx.view.tilt = cx.view.tilt.turned(right.cross(down), f64::from(angle));
        }
    }
    true
}

/// Draws where the slices cut each other.
pub(super) fn lines(
    painter: &Painter,
    id: ViewId,
    geometry: &Geometry,
    strength: f32,
    cx: &Cx<'_>,
    t: &Tokens,
) {
    let at = geometry.screen(cx.view.cursor_um);
    if cx.view.kind(id) == ViewKind::Oblique {
        for other in ViewKind::ALONG_AXES.into_iter().filter(|_| cx.view.show_crosshair) {
            if let Some(along) = geometry.trace(other.normal()) {
                let axis = other.axes().map_or(0, |axes| axes[2]);
                let color = t.axes.get(axis).copied().unwrap_or(t.on_canvas);
                line(
                    painter,
                    geometry.rect,
                    at,
                    along,
                    Stroke::new(1.0, color.gamma_multiply(0.85 * strength)),
                );
            }
        }
        return;
    }
    let Some(handles) = handles(id, geometry, cx) else { return };
    let Some(along) = geometry.trace(cx.view.tilt.normal()) else { return };
    line(painter, geometry.rect, at, along, Stroke::new(1.25, t.accent.gamma_multiply(strength)));
    if cx.view.tool == Tool::Navigate {
        for handle in handles {
            painter.circle(handle, 5.0, t.canvas_halo, Stroke::new(1.5, t.accent));
        }
    }
}

/// A line across a view, open in the middle.
fn line(painter: &Painter, rect: Rect, at: Pos2, along: egui::Vec2, stroke: Stroke) {
    const OPEN: f32 = 10.0;
    let far = rect.size().length() + (at - rect.center()).length();
    for side in [-1.0, 1.0] {
        painter.line_segment([at + along * (side * OPEN), at + along * (side * far)], stroke);
    }
}

/// "45° from XY": the angle to the nearest of the other slices.
pub(super) fn lie(cx: &Cx<'_>) -> String {
    let normal = cx.view.tilt.normal();
    let angle = |kind: ViewKind| normal.dot(kind.normal()).abs().min(1.0).acos().to_degrees();
    let nearest = ViewKind::ALONG_AXES.into_iter().min_by(|a, b| angle(*a).total_cmp(&angle(*b)));
    nearest.map_or_else(String::new, |kind| format!("{:.0}° from {}", angle(kind), kind.label()))
}

/// How it may lie at once.
pub(super) fn menu(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let name = "Turn oblique slice";
    let button = widgets::icon_sized(
        ui,
        icons::ARROW_COUNTER_CLOCKWISE,
        name,
        "Lay it along another slice; a drag with Alt turns it",
        false,
        22.0,
    );
    egui::Popup::menu(&button).accessible_name(name).show(|ui| {
        ui.set_width(240.0);
        let between = |a: DVec3, b: DVec3| Tilt { right: (a + b).normalize(), down: DVec3::Y };
        let choices = [
            ("As XY", Tilt::of(Plane::Xy)),
            ("As YZ", Tilt::of(Plane::Yz)),
            ("As XZ", Tilt::of(Plane::Xz)),
            ("Between XY and YZ", between(DVec3::X, DVec3::Z)),
            ("Between XY and XZ", Tilt { right: DVec3::X, down: (DVec3::Y + DVec3::Z).normalize() }),
        ];
        for (label, tilt) in choices {
            let is_on = (cx.view.tilt.normal() - tilt.normal()).length() < 1e-6;
            let choice = widgets::Button::new(label).quiet().fill_width().height(26.0).selected(is_on);
            if choice.show(ui).clicked() {
                cx.view.tilt = tilt;
                ui.close();
            }
        }
        ui.separator();
        for (id, label) in [
            (CommandId::PlanePoints, "Through three points"),
            (CommandId::SliceAlong, "Along the long axis"),
            (CommandId::SliceAcross, "Across the long axis"),
        ] {
            let entry = find(id);
            ui.add_enabled_ui((entry.enabled)(&cx.facts), |ui| {
                let choice = widgets::Button::new(label).quiet().fill_width().height(26.0);
                if choice.show(ui).on_hover_text(entry.tooltip_with_key()).clicked() {
                    cx.queue.run(id);
                    ui.close();
                }
            });
        }
        widgets::hint(ui, "Or drag a handle of its line in another slice");
    });
}
