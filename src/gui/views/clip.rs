//! The box and the free plane that cut the 3D view open, by their handles.
//!
//! A face of the box and the middle of the plane are dragged along their normals; the tip of the plane's normal turns it.

use egui::{CursorIcon, Painter, PointerButton, Pos2, Rect, Response, Shape, Stroke, vec2};
use glam::{DVec2, DVec3};

use super::super::frame::Cx;
use super::super::look::FreePlane;
use super::super::state::{self, ViewId};
use super::super::theme::Tokens;
use crate::render::camera::{BoxUm, OrbitCamera};

/// How near a handle takes the pointer, points.
const NEAR: f32 = 11.0;
/// The thinnest box, as a part of the volume's edge.
const THINNEST: f64 = 0.004;

/// What is dragged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grip {
    /// A face of the box: axis, and whether it is the upper one.
    Face(usize, bool),
    /// The plane, along its normal.
    Plane,
    /// The tip of its normal.
    Tip,
}

/// Places of the world on the screen.
struct Screen {
    rect: Rect,
    camera: OrbitCamera,
}

impl Screen {
    fn at(&self, world_um: DVec3) -> Option<Pos2> {
        let aspect = f64::from(self.rect.width() / self.rect.height().max(1.0));
        let uv = self.camera.project(world_um, aspect)?;
        Some(self.rect.min + vec2(uv.x as f32 * self.rect.width(), uv.y as f32 * self.rect.height()))
    }

    /// How far along a direction a drag of the screen goes, µm; `None` where it points at the viewer.
    fn along(&self, from: DVec3, direction: DVec3, drag: egui::Vec2) -> Option<f64> {
        let step = self.um_per_pt() * 20.0;
        let (a, b) = (self.at(from - direction * step)?, self.at(from + direction * step)?);
        let way = DVec2::new(f64::from(b.x - a.x), f64::from(b.y - a.y)) / (2.0 * step);
        let drag = DVec2::new(f64::from(drag.x), f64::from(drag.y));
        (way.length() * self.um_per_pt() > 0.08).then(|| drag.dot(way) / way.length_squared())
    }

    fn um_per_pt(&self) -> f64 {
        self.camera.um_per_px(f64::from(self.rect.height()))
    }
}

/// Half of the edge of the plane as it is drawn, and how far its tip is away, µm.
fn plane_size((low, high): BoxUm) -> f64 {
    (high - low).length() * 0.22
}

/// Everything that can be dragged in a view.
fn grips(screen: &Screen, bounds: BoxUm, cx: &Cx<'_>) -> Vec<(Grip, DVec3, Pos2)> {
    let look = &cx.view.look;
    let mut found = Vec::new();
    let mut add = |grip: Grip, at: DVec3| found.extend(screen.at(at).map(|pos| (grip, at, pos)));
    if let Some(plane) = &look.plane {
        add(Grip::Tip, plane.point_um + plane.normal * plane_size(bounds));
        add(Grip::Plane, plane.point_um);
    }
    if let Some((low, high)) = look.clip {
        for axis in 0..3 {
            for upper in [false, true] {
                let mut at = (low + high) * 0.5;
                at[axis] = if upper { high[axis] } else { low[axis] };
                add(Grip::Face(axis, upper), at);
            }
        }
    }
    found
}

fn screen_of(rect: Rect, id: ViewId, cx: &Cx<'_>) -> Option<(Screen, BoxUm)> {
    let look = &cx.view.look;
    if !look.handles || (look.clip.is_none() && look.plane.is_none()) {
        return None;
    }
    let bounds = state::main_volume(cx.session.project(), cx.view).and_then(state::layer_bounds)?;
    Some((Screen { rect, camera: cx.view.camera(id) }, bounds))
}

/// Drags a handle; true while it does, so that the cell is not turned.
pub(super) fn drag(ui: &egui::Ui, response: &Response, rect: Rect, id: ViewId, cx: &mut Cx<'_>) -> bool {
    let Some((screen, bounds)) = screen_of(rect, id, cx) else {
        cx.view.grip = None;
        return false;
    };
    let pointer = ui.input(|i| i.pointer.latest_pos());
    let running = cx.view.grip.filter(|(view, _)| *view == id).map(|(_, grip)| grip);
    if running.is_none() {
        let near = pointer.filter(|_| response.contains_pointer()).and_then(|pos| {
            let near = |(_, _, at): &&(Grip, DVec3, Pos2)| at.distance(pos) < NEAR;
            grips(&screen, bounds, cx).iter().find(near).map(|(grip, ..)| *grip)
        });
        if near.is_some() {
            ui.ctx().set_cursor_icon(CursorIcon::Grab);
            if ui.input(|i| i.pointer.button_pressed(PointerButton::Primary)) {
                cx.view.grip = near.map(|grip| (id, grip));
                return true;
            }
        }
        return false;
    }
    if !ui.input(|i| i.pointer.button_down(PointerButton::Primary)) {
        cx.view.grip = None;
        return true;
    }
    ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
    let delta = ui.input(|i| i.pointer.delta());
    if let (Some(grip), true) = (running, delta != egui::Vec2::ZERO) {
        pull(grip, delta, &screen, bounds, cx);
    }
    true
}

fn pull(grip: Grip, delta: egui::Vec2, screen: &Screen, bounds: BoxUm, cx: &mut Cx<'_>) {
    let look = &mut cx.view.look;
    match grip {
        Grip::Face(axis, upper) => {
            let Some((low, high)) = &mut look.clip else { return };
            let mut at = (*low + *high) * 0.5;
            at[axis] = if upper { high[axis] } else { low[axis] };
            let Some(by) = screen.along(at, DVec3::AXES[axis], delta) else { return };
            let thinnest = (bounds.1[axis] - bounds.0[axis]) * THINNEST;
            if upper {
                high[axis] = (high[axis] + by).clamp(low[axis] + thinnest, bounds.1[axis]);
            } else {
                low[axis] = (low[axis] + by).clamp(bounds.0[axis], high[axis] - thinnest);
            }
        }
        Grip::Plane => {
            let Some(plane) = &mut look.plane else { return };
            let Some(by) = screen.along(plane.point_um, plane.normal, delta) else { return };
            plane.point_um = (plane.point_um + plane.normal * by).clamp(bounds.0, bounds.1);
        }
        Grip::Tip => {
            let Some(plane) = &mut look.plane else { return };
            let (right, down) = (screen.camera.right(), screen.camera.down());
            let by = right * f64::from(delta.x) + down * f64::from(delta.y);
            let tip = plane.normal * plane_size(bounds) + by * screen.um_per_pt();
            plane.normal = tip.try_normalize().unwrap_or(plane.normal);
        }
    }
}

/// Draws box, plane and handles.
pub(super) fn paint(ui: &egui::Ui, painter: &Painter, rect: Rect, id: ViewId, cx: &Cx<'_>, t: &Tokens) {
    let Some((screen, bounds)) = screen_of(rect, id, cx) else { return };
    let line = |a: DVec3, b: DVec3, color: egui::Color32| {
        if let (Some(a), Some(b)) = (screen.at(a), screen.at(b)) {
            painter.line_segment([a, b], Stroke::new(2.5, t.canvas_halo.gamma_multiply(0.6)));
            painter.line_segment([a, b], Stroke::new(1.0, color));
        }
    };
    if let Some((low, high)) = cx.view.look.clip {
        let corner = |i: usize| {
            let pick = |axis: usize| if i >> axis & 1 == 0 { low[axis] } else { high[axis] };
            DVec3::new(pick(0), pick(1), pick(2))
        };
        for i in 0..8usize {
            for axis in (0..3).filter(|axis| i >> axis & 1 == 0) {
                line(corner(i), corner(i | 1 << axis), t.on_canvas.gamma_multiply(0.45));
            }
        }
    }
    if let Some(plane) = &cx.view.look.plane {
        let size = plane_size(bounds);
        let (u, v) = plane.axes();
        let corners = [(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)]
            .map(|(a, b)| plane.point_um + (u * a + v * b) * size);
        let places: Vec<Pos2> = corners.iter().filter_map(|at| screen.at(*at)).collect();
        let held = cx.view.grip.is_some_and(|(_, grip)| matches!(grip, Grip::Plane | Grip::Tip));
        if held && places.len() == 4 {
            painter.add(Shape::convex_polygon(places, t.accent.gamma_multiply(0.07), Stroke::NONE));
        }
        for i in 0..4 {
            line(corners[i], corners[(i + 1) % 4], t.accent.gamma_multiply(0.8));
        }
        line(plane.point_um, plane.point_um + plane.normal * size, t.accent);
    }
    let pointer = ui.input(|i| i.pointer.latest_pos());
    for (grip, _, at) in grips(&screen, bounds, cx).into_iter().rev() {
        let color = match grip {
            Grip::Face(axis, _) => t.axes.get(axis).copied().unwrap_or(t.on_canvas),
            Grip::Plane | Grip::Tip => t.accent,
        };
        let held = cx.view.grip == Some((id, grip));
        let near = held || (cx.view.grip.is_none() && pointer.is_some_and(|pos| at.distance(pos) < NEAR));
        let radius = if near { 6.5 } else { 5.0 };
        let fill = if grip == Grip::Tip || near { color } else { t.canvas_halo };
        painter.circle(at, radius, fill, Stroke::new(1.75, color));
    }
}

impl FreePlane {
    /// Two directions in the plane, upright on each other.
    fn axes(&self) -> (DVec3, DVec3) {
        let u = self.normal.any_orthonormal_vector();
        (u, self.normal.cross(u))
    }
}
