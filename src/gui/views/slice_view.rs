//! A slice: the picture, what the mouse does in it, what is drawn over it.

use egui::{Key, PointerButton, Pos2, Rect, Response, Sense, vec2};
use glam::DVec3;

use super::super::draw::Drawer;
use super::super::frame::Cx;
use super::super::state::{self, Hover, Request, Stroke, Tool, ViewId, ViewKind};
use super::super::tools::{brush::Stamp, landmark};
use super::super::tour::{self, Step};
use super::{annotate, crosshair, gestures, input, look, oblique, overlay, reslice, scale_bar, snap};
use crate::gui::theme;
use crate::project::{Display, Edit};
use crate::render::scene::Plane;

/// Where points of the screen lie in the world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    /// The view's place on the screen.
    pub(crate) rect: Rect,
    /// What lies in its middle, on the slice.
    pub(crate) center_um: DVec3,
    /// World length of a point.
    pub(crate) um_per_pt: f64,
    /// World directions right and down.
    pub(crate) right_down: (DVec3, DVec3),
}

impl Geometry {
    /// World point under a point of the screen.
    pub(crate) fn world(&self, at: Pos2) -> DVec3 {
        let offset = at - self.rect.center();
        let (right, down) = self.right_down;
        self.center_um
            + right * (f64::from(offset.x) * self.um_per_pt)
            + down * (f64::from(offset.y) * self.um_per_pt)
    }

    /// Point of the screen where a world point falls.
    pub(crate) fn screen(&self, world_um: DVec3) -> Pos2 {
        let (right, down) = self.right_down;
        let offset = (world_um - self.center_um) / self.um_per_pt;
        self.rect.center() + vec2(offset.dot(right) as f32, offset.dot(down) as f32)
    }

    /// Where this view cuts a plane with this normal, as a direction on the screen of length 1; `None` where they are
    /// parallel.
    pub(crate) fn trace(&self, normal: DVec3) -> Option<egui::Vec2> {
        let (right, down) = self.right_down;
        let along = normal.cross(right.cross(down));
        let on_screen = vec2(along.dot(right) as f32, along.dot(down) as f32);
        (on_screen.length() > 1e-3).then(|| on_screen.normalized())
    }

    /// World vector of a drag.
    fn drag(&self, delta: egui::Vec2) -> DVec3 {
        let (right, down) = self.right_down;
        (right * f64::from(delta.x) + down * f64::from(delta.y)) * self.um_per_pt
    }
}

/// Draws it and takes its input.
pub(crate) fn show(
    ui: &mut egui::Ui,
    id: ViewId,
    plane: Plane,
    cx: &mut Cx<'_>,
    drawer: Option<&mut Drawer>,
) {
    let t = theme::over_data();
    let rect = ui.available_rect_before_wrap();
    let response = ui.allocate_rect(rect, Sense::click_and_drag());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Image, true, format!("Slice {}", cx.view.label(id)))
    });
    if rect.width() < 8.0 || rect.height() < 8.0 {
        return;
    }
    if cx.view.kind(id) == ViewKind::Xy {
        tour::anchor(ui, cx.view, Step::Slice, rect);
    }
    fit(rect, id, cx);
    let geometry = geometry(rect, id, plane, cx);
    handle(ui, &response, id, &geometry, cx);
    // What the input has changed is drawn in this frame, not in the next.
    let geometry = self::geometry(rect, id, plane, cx);
    ui.painter().rect_filled(rect, 0, t.canvas);
    look::tick(ui, id, cx);
    if let Some(drawer) = drawer {
        drawer.slice(ui, id, plane, &geometry, cx);
    }
    let painter = ui.painter().with_clip_rect(rect);
    let unit = state::length_unit(state::main_volume(cx.session.project(), cx.view));
    let bar = scale_bar::paint(&painter, rect, geometry.um_per_pt, unit, t);
    overlay::level_badge(&painter, rect, cx, t);
    look::paint(&painter, id, rect, cx, t);
    annotate::paint(&painter, (rect, bar), &geometry, id, cx, t);
    if let Some(picture) = cx.view.picture.as_mut().filter(|picture| picture.view == id) {
        picture.rect = Some(rect);
        return;
    }
    let painting = cx.view.tool.paints() && response.contains_pointer();
    let strength = if painting { 0.25 } else { 1.0 };
    if let Some(axes) = cx.view.kind(id).axes().filter(|_| cx.view.show_crosshair) {
        crosshair::paint(&painter, rect, geometry.screen(cx.view.cursor_um), axes, strength, t);
    }
    oblique::lines(&painter, id, &geometry, strength, cx, t);
    reslice::paint(&painter, &geometry, id, cx, t);
    overlay::landmarks(&painter, &geometry, id, cx, t);
    overlay::brush(&painter, &geometry, id, cx, t);
    overlay::reviewed(&painter, &geometry, id, cx, t);
    overlay::gesture(&painter, &geometry, id, cx, t);
}

fn geometry(rect: Rect, id: ViewId, plane: Plane, cx: &Cx<'_>) -> Geometry {
    // The middle of the view, brought into the slice that the crosshair lies in.
    let normal = cx.view.normal(id);
    let center_um = cx.view.center_um + normal * (cx.view.cursor_um - cx.view.center_um).dot(normal);
    Geometry { rect, center_um, um_per_pt: cx.view.um_per_pt.max(1e-9), right_down: plane.right_down() }
}

/// Sets zoom and centre so that the whole volume is seen. One of the linked views decides; the others follow.
fn fit(rect: Rect, id: ViewId, cx: &mut Cx<'_>) {
    let wanted = cx.view.fit_wanted || cx.view.um_per_pt <= 0.0;
    if !wanted || !decides(id, cx) {
        return;
    }
    let Some((low, high)) = state::main_volume(cx.session.project(), cx.view).and_then(state::layer_bounds)
    else {
        return;
    };
    let (right, down) = cx.view.plane(id).unwrap_or_default().right_down();
    let size = |along: DVec3| (high - low).dot(along.abs());
    let scale = (size(right) / f64::from(rect.width())).max(size(down) / f64::from(rect.height()));
    cx.view.um_per_pt = scale * 1.06;
    cx.view.center_um = (low + high) * 0.5;
    cx.view.fit_wanted = false;
}

/// XY where it is seen, else the first of the linked slices; an unlinked one decides for itself.
fn decides(id: ViewId, cx: &Cx<'_>) -> bool {
    let views = &cx.view.views;
    let others = |other: &&ViewId| views.is_linked(**other) && views.kind(**other) != ViewKind::Volume;
    let first = views.shown.iter().filter(others).min_by_key(|other| views.kind(**other) != ViewKind::Xy);
    cx.view.maximised == Some(id) || !views.is_linked(id) || first.is_none_or(|first| *first == id)
}

fn handle(ui: &egui::Ui, response: &Response, id: ViewId, geometry: &Geometry, cx: &mut Cx<'_>) {
    let pointer = ui.input(|i| i.pointer.latest_pos());
    let over = response.contains_pointer();
    if let Some(pos) = pointer.filter(|_| over) {
        cx.view.hover = Some(Hover { view: id, world_um: geometry.world(pos) });
        wheel(ui, id, geometry, pos, cx);
        keys(ui, id, cx);
    }
    let space = ui.input(|i| i.key_down(Key::Space)) && !ui.ctx().text_edit_focused();
    if response.dragged_by(PointerButton::Middle) || (space && response.dragged_by(PointerButton::Primary)) {
        cx.view.center_um -= geometry.drag(response.drag_delta());
        return;
    }
    if look::drag(ui, response, id, geometry.rect, cx) {
        return;
    }
    if annotate::drag(ui, response, id, geometry, cx) {
        return;
    }
    if oblique::turn(ui, response, id, geometry, cx) {
        return;
    }
    let modifiers = ui.input(|i| i.modifiers);
    let no_button = ui.input(|i| !i.pointer.any_down());
    if let Some(pos) = pointer.filter(|_| over && modifiers.shift && no_button) {
        move_cursor(id, geometry.world(pos), cx);
    }
    match cx.view.tool {
        _ if space => {}
        Tool::Brush | Tool::Eraser | Tool::Regions => stroke(ui, response, id, geometry, cx),
        Tool::Polygon => gestures::outline(ui, response, id, geometry, cx),
        Tool::Fill => gestures::fill(response, id, geometry, cx),
        Tool::Wand => gestures::wand(ui, response, id, geometry, cx),
        Tool::Object => gestures::object(ui, response, id, geometry, cx),
        Tool::PlanePoints => {
            if let Some(pos) = response.interact_pointer_pos().filter(|_| response.clicked()) {
                cx.queue.push(Request::PlanePoint(geometry.world(pos)));
            }
        }
        Tool::Measure(ruler) => annotate::draw(ui, response, ruler, id, geometry, cx),
        Tool::Landmark => {
            if let Some(pos) = response.interact_pointer_pos().filter(|_| response.clicked()) {
                let world = geometry.world(pos);
                let session = cx.session;
                if let Some(moving) = cx.view.moving.and_then(|id| session.project().layer(id)) {
                    landmark::click(cx, moving, world);
                }
            }
        }
        Tool::Navigate => {
            if let Some(pos) = response.interact_pointer_pos()
                && (response.clicked() || response.dragged_by(PointerButton::Primary))
            {
                move_cursor(id, geometry.world(pos), cx);
            }
            if response.dragged_by(PointerButton::Secondary) {
                window_level(response, cx);
            }
        }
    }
    cursor_icon(ui, response, space, cx);
}

fn cursor_icon(ui: &egui::Ui, response: &Response, space: bool, cx: &Cx<'_>) {
    if !response.contains_pointer() {
        return;
    }
    let icon = match cx.view.tool {
        _ if space => egui::CursorIcon::Grab,
        Tool::Navigate => egui::CursorIcon::Default,
        _ => egui::CursorIcon::Crosshair,
    };
    ui.ctx().set_cursor_icon(icon);
}

/// Moves the crosshair to the voxel at a world point; across the axes to the point itself, so that the slice stays.
fn move_cursor(id: ViewId, world_um: DVec3, cx: &mut Cx<'_>) {
    let Some(layer) = state::main_volume(cx.session.project(), cx.view) else { return };
    cx.view.cursor_um = match (cx.view.kind(id), state::layer_bounds(layer)) {
        (ViewKind::Oblique, Some((low, high))) => world_um.clamp(low, high),
        _ => snap(layer, world_um),
    };
}

/// Moves through the slices.
fn step(id: ViewId, by: i32, cx: &mut Cx<'_>) {
    let Some(layer) = state::main_volume(cx.session.project(), cx.view) else { return };
    let Some((map, _)) = crate::gui::place::finest_grid(layer) else { return };
    let normal = cx.view.normal(id);
    // Along an axis the edge of a voxel, across the axes what lies between; of the level that is shown.
    let shown =
        if layer.pyramid.is_some() { cx.view.slices.binning.get(&id).copied().unwrap_or(1) } else { 1 };
    let edges = [map.x_axis, map.y_axis, map.z_axis].map(|edge| edge.length() * shown as f64);
    let voxel = DVec3::from_array(edges).dot(normal.abs()) / normal.abs().element_sum();
    move_cursor(id, cx.view.cursor_um + normal * (voxel * f64::from(by)), cx);
}

fn wheel(ui: &egui::Ui, id: ViewId, geometry: &Geometry, pos: Pos2, cx: &mut Cx<'_>) {
    for turn in input::wheel(ui) {
        let input::Turn { modifiers, lines, aside, .. } = turn;
        cx.view.center_um -= geometry.drag(vec2(aside, 0.0));
        if modifiers.command || modifiers.ctrl {
            zoom(geometry, pos, 1.15f64.powf(f64::from(lines)), cx);
        } else if modifiers.shift {
            let brush = &mut cx.view.brush;
            let by = f64::from(input::slices(turn, &mut cx.view.turn_rest).signum());
            brush.radius = (brush.radius + by).clamp(0.0, 128.0);
        } else {
            let steps = input::slices(turn, &mut cx.view.turn_rest);
            step(id, if modifiers.alt { steps * 10 } else { steps }, cx);
        }
    }
    if let Some((moved, spread)) = input::fingers(ui) {
        cx.view.center_um -= geometry.drag(moved);
        zoom(geometry, pos, f64::from(spread), cx);
    }
    let pinch = input::pinch(ui);
    if pinch != 1.0 {
        zoom(geometry, pos, f64::from(pinch), cx);
    }
}

/// Zooms so that what is under the pointer stays there.
fn zoom(geometry: &Geometry, pos: Pos2, factor: f64, cx: &mut Cx<'_>) {
    let new = (cx.view.um_per_pt / factor).clamp(1e-5, 1e4);
    let ratio = new / cx.view.um_per_pt;
    let under = geometry.world(pos);
    cx.view.center_um = under + (geometry.center_um - under) * ratio;
    cx.view.um_per_pt = new;
}

fn keys(ui: &egui::Ui, id: ViewId, cx: &mut Cx<'_>) {
    if ui.ctx().text_edit_focused() {
        return;
    }
    let steps = ui.input(|i| {
        i32::from(i.key_pressed(Key::PageUp)) + i32::from(i.key_pressed(Key::ArrowUp))
            - i32::from(i.key_pressed(Key::PageDown))
            - i32::from(i.key_pressed(Key::ArrowDown))
    });
    if steps != 0 {
        step(id, steps, cx);
    }
}

/// A drag to the right widens the window, a drag up brightens.
fn window_level(response: &Response, cx: &mut Cx<'_>) {
    let Some(layer) = state::main_volume(cx.session.project(), cx.view) else { return };
    let [low, high] = layer.display.window;
    let width = (high - low).max(1e-9);
    let delta = response.drag_delta();
    if delta == egui::Vec2::ZERO {
        return;
    }
    let level = (low + high) * 0.5 + delta.y * width / 300.0;
    let width = width * (1.0 + delta.x / 200.0).clamp(0.5, 2.0);
    let display = Display { window: [level - width / 2.0, level + width / 2.0], ..layer.display.clone() };
    cx.queue.edit("Window and level", Edit::SetDisplay { layer: layer.id, display });
}

/// Paints while a button is held: the left one paints, the right one erases.
fn stroke(ui: &egui::Ui, response: &Response, id: ViewId, geometry: &Geometry, cx: &mut Cx<'_>) {
    let (primary, secondary, pressed_left, pressed_right) = ui.input(|i| {
        let p = &i.pointer;
        (
            p.button_down(PointerButton::Primary),
            p.button_down(PointerButton::Secondary),
            p.button_pressed(PointerButton::Primary),
            p.button_pressed(PointerButton::Secondary),
        )
    });
    let here = response.is_pointer_button_down_on();
    let mut path = input::pointer_path(ui);
    if let Some(pos) = ui.input(|i| i.pointer.latest_pos())
        && path.last() != Some(&pos)
    {
        path.push(pos);
    }
    if cx.view.stroke.is_none() && here && (pressed_left || pressed_right) {
        let erase = pressed_right || cx.view.tool == Tool::Eraser;
        let Some(pos) = response.interact_pointer_pos().or_else(|| path.last().copied()) else { return };
        let at_um = geometry.world(pos);
        cx.view.stroke = Some(Stroke { view: id, at_um, erase });
        let pressure = input::pressure(ui).unwrap_or(1.0);
        cx.view.pressure = pressure;
        cx.queue.push(Request::Paint(Stamp { view: id, from_um: at_um, to_um: at_um, erase, pressure }));
        path = vec![pos];
    }
    let Some(mut running) = cx.view.stroke.filter(|stroke| stroke.view == id) else { return };
    cx.view.brush.pen_seen |= input::pressure(ui).is_some();
    let pressure = input::pressure(ui).unwrap_or(cx.view.pressure);
    cx.view.pressure = pressure;
    for pos in path {
        let to_um = geometry.world(pos);
        if (to_um - running.at_um).length() > geometry.um_per_pt * 0.5 {
            cx.queue.push(Request::Paint(Stamp {
                view: id,
                from_um: running.at_um,
                to_um,
                erase: running.erase,
                pressure,
            }));
            running.at_um = to_um;
        }
    }
    cx.view.stroke = Some(running);
    if !primary && !secondary {
        cx.view.stroke = None;
        cx.queue.push(Request::EndStroke(if running.erase { "Erase" } else { "Paint" }));
    }
}
