//! Annotations in the slices: drawn with pointer and keys, dragged by their handles, painted where they lie.

use std::sync::Arc;

use egui::{Key, Painter, PointerButton, Pos2, Rect, Response, Stroke, Vec2, pos2, vec2};
use glam::{DVec2, DVec3};

use super::super::frame::Cx;
use super::super::rulers::{self, Drag, Drawing};
use super::super::state::{self, Queue, Tool, ViewId, ViewState};
use super::super::theme::{self, Tokens};
use super::input;
use super::slice_view::Geometry;
use crate::measure::ruler::RulerKind;
use crate::project::{Annotation, Project};
use crate::render::figure::{Area, Label, place_labels};

/// How near a handle takes the pointer, points.
const NEAR: f32 = 9.0;
/// How far the pointer may wander in a click, points.
const CLICK_PT: f32 = 4.0;

/// How far from a slice something still lies in it: half a voxel, or half a slab.
fn thickness_um(id: ViewId, cx: &Cx<'_>) -> f64 {
    let layer = state::main_volume(cx.session.project(), cx.view);
    let map = layer.and_then(state::world_from_voxel);
    let steps = map.map_or(0.0, |map| (map.matrix3.inverse() * cx.view.normal(id)).abs().max_element());
    let voxel = if steps > 0.0 { 0.5 / steps } else { 0.5 };
    cx.view.slices.slab(id).map_or(voxel, |slab| voxel.max(slab.1 * 0.5)) * 1.001
}

/// Whether all points lie in the slice that a view shows.
fn lies_in(points: &[DVec3], id: ViewId, geometry: &Geometry, cx: &Cx<'_>) -> bool {
    let (normal, reach) = (cx.view.normal(id), thickness_um(id, cx));
    points.iter().all(|p| (*p - geometry.center_um).dot(normal).abs() <= reach)
}

/// Those of the document as they are now: one may be under the pointer.
pub(super) fn as_dragged<'a>(one: &'a Annotation, view: &'a ViewState) -> &'a Annotation {
    view.rulers.drag.as_ref().map(|drag| &drag.moved).filter(|moved| moved.id == one.id).unwrap_or(one)
}

/// Drags a handle; true while it does, so that nothing else takes the drag.
pub(super) fn drag(
    ui: &egui::Ui,
    response: &Response,
    id: ViewId,
    geometry: &Geometry,
    cx: &mut Cx<'_>,
) -> bool {
    let session = cx.session;
    let project = session.project();
    let pointer = ui.input(|i| i.pointer.latest_pos());
    let can_take =
        matches!(cx.view.tool, Tool::Navigate | Tool::Measure(_)) && cx.view.rulers.drawing.is_none();
    if cx.view.rulers.drag.is_none() && can_take && response.contains_pointer() {
        let near = pointer.and_then(|pos| handle_at(pos, id, geometry, project, cx));
        if let Some((which, point)) = near {
            ui.ctx().set_cursor_icon(egui::CursorIcon::Move);
            let pressed = ui.input(|i| i.pointer.button_pressed(PointerButton::Primary));
            let one = project.annotations.iter().find(|one| one.id == which).filter(|_| pressed);
            if let Some(one) = one {
                cx.view.rulers.chosen = Some(which);
                cx.view.rulers.drag = Some(Drag { view: id, point, moved: one.clone() });
                return true;
            }
        }
    }
    let Some(mut running) = cx.view.rulers.drag.take_if(|drag| drag.view == id) else { return false };
    if let (Some(pos), Some(point)) = (pointer, running.moved.points_um.get_mut(running.point)) {
        // In its own plane, whatever slab it is seen through.
        let (at, old) = (geometry.world(pos), DVec3::from_array(*point));
        let normal = geometry.right_down.0.cross(geometry.right_down.1);
        *point = (at + normal * (old - at).dot(normal)).to_array();
    }
    if ui.input(|i| i.pointer.button_down(PointerButton::Primary)) {
        cx.view.rulers.drag = Some(running);
    } else {
        let moved = running.moved;
        rulers::change(moved.id, "Move point", project, cx.queue, |one| *one = moved.clone());
    }
    true
}

/// The handle under the pointer: that of the chosen one first.
fn handle_at(
    pos: Pos2,
    id: ViewId,
    geometry: &Geometry,
    project: &Project,
    cx: &Cx<'_>,
) -> Option<(u64, usize)> {
    let chosen = cx.view.rulers.chosen;
    let shown = |one: &&Annotation| one.visible && lies_in(&one.points(), id, geometry, cx);
    let all = project.annotations.iter().filter(shown);
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|one| Some(one.id) != chosen);
    all.into_iter().find_map(|one| {
        let at = one.points().iter().position(|p| geometry.screen(*p).distance(pos) < NEAR)?;
        Some((one.id, at))
    })
}

/// Draws with the pointer: clicks set points; a drag draws a line, or an area freehand.
pub(super) fn draw(
    ui: &egui::Ui,
    response: &Response,
    ruler: RulerKind,
    id: ViewId,
    geometry: &Geometry,
    cx: &mut Cx<'_>,
) {
    let frame = geometry.right_down;
    if let Some(pos) = response.interact_pointer_pos().filter(|_| response.clicked()) {
        click(ruler, id, geometry, pos, cx);
    }
    let by_drag = ruler != RulerKind::Angle;
    let began = response.drag_started_by(PointerButton::Primary) && by_drag;
    if began && cx.view.rulers.drawing.is_none() {
        let from = ui.input(|i| i.pointer.press_origin()).map(|pos| geometry.world(pos));
        let points_um = from.into_iter().collect();
        cx.view.rulers.drawing = Some(Drawing { view: id, kind: ruler, points_um, frame, held: true });
    }
    if response.double_clicked() {
        finish(cx.session.project(), cx.view, cx.queue);
    }
    let Some(drawing) = cx.view.rulers.drawing.as_mut().filter(|d| d.view == id && d.held) else { return };
    let mut path = input::pointer_path(ui);
    path.extend(ui.input(|i| i.pointer.latest_pos()));
    for pos in path {
        let at = geometry.world(pos);
        if ruler == RulerKind::Area {
            let apart = f64::from(CLICK_PT) * geometry.um_per_pt;
            if drawing.points_um.last().is_none_or(|last| last.distance(at) > apart) {
                drawing.points_um.push(at);
            }
        } else {
            drawing.points_um.truncate(1);
            drawing.points_um.push(at);
        }
    }
    if ui.input(|i| !i.pointer.any_down()) {
        finish(cx.session.project(), cx.view, cx.queue);
    }
}

/// Sets a point, or closes an area where its first corner is.
fn click(ruler: RulerKind, id: ViewId, geometry: &Geometry, pos: Pos2, cx: &mut Cx<'_>) {
    if let Some(drawing) = cx.view.rulers.drawing.as_ref().filter(|d| d.view == id && d.kind == ruler) {
        let near = |p: Option<&DVec3>| p.is_some_and(|p| geometry.screen(*p).distance(pos) < NEAR);
        if ruler == RulerKind::Area && drawing.points_um.len() > 2 && near(drawing.points_um.first()) {
            return finish(cx.session.project(), cx.view, cx.queue);
        }
        // The second half of a double click sets no second point on the first.
        if near(drawing.points_um.last()) {
            return;
        }
    }
    let whole = cx.view.rulers.point(ruler, id, geometry.world(pos), geometry.right_down);
    if let Some(drawing) = whole {
        rulers::add(drawing, cx.session.project(), cx.view, cx.queue);
    }
}

/// Makes what is being drawn an annotation, where it is whole; what is too short was a slip of the hand.
fn finish(project: &Project, view: &mut ViewState, queue: &mut Queue) {
    let Some(drawing) = view.rulers.drawing.take_if(|d| d.held || d.kind.is_whole(d.points_um.len())) else {
        return;
    };
    let long = crate::measure::ruler::length_um(&drawing.points_um) > view.um_per_pt * f64::from(CLICK_PT);
    if long && drawing.kind.is_whole(drawing.points_um.len()) {
        rulers::add(drawing, project, view, queue);
    }
}

/// Keys that a drawing takes before any command does: Enter closes an area, Backspace takes the last point back,
/// Escape gives up, also a drag.
pub(crate) fn keys(ctx: &egui::Context, project: &Project, view: &mut ViewState, queue: &mut Queue) {
    if !view.plane_points.is_empty()
        && !ctx.text_edit_focused()
        && ctx.input_mut(|input| input.consume_key(egui::Modifiers::NONE, Key::Escape))
    {
        view.plane_points.clear();
    }
    let busy = view.rulers.drawing.is_some() || view.rulers.drag.is_some();
    if !busy || ctx.text_edit_focused() {
        return;
    }
    let pressed = |key| ctx.input_mut(|input| input.consume_key(egui::Modifiers::NONE, key));
    if pressed(Key::Escape) {
        (view.rulers.drawing, view.rulers.drag) = (None, None);
    } else if pressed(Key::Backspace) {
        view.rulers.drawing.take_if(|drawing| {
            drawing.points_um.pop();
            drawing.points_um.is_empty()
        });
    } else if pressed(Key::Enter) {
        finish(project, view, queue);
    }
}

/// Draws those that lie in this slice, and the one that is being drawn.
pub(super) fn paint(
    painter: &Painter,
    (view, bar): (Rect, Option<Rect>),
    geometry: &Geometry,
    id: ViewId,
    cx: &mut Cx<'_>,
    t: &Tokens,
) {
    let mut words = Words::default();
    let session = cx.session;
    let project = session.project();
    let layer = state::main_volume(project, cx.view);
    let (unit, value_unit) = (state::length_unit(layer), layer.map_or("", state::value_unit));
    let is_picture = cx.view.picture.as_ref().is_some_and(|picture| picture.view == id);
    for one in project.annotations.iter().filter(|one| one.visible) {
        let one = as_dragged(one, cx.view).clone();
        let points = one.points();
        if !lies_in(&points, id, geometry, cx) {
            continue;
        }
        let is_chosen = cx.view.rulers.chosen == Some(one.id) && !is_picture;
        let color = if is_chosen { t.accent } else { t.warning };
        let places: Vec<Pos2> = points.iter().map(|p| geometry.screen(*p)).collect();
        shape(painter, one.kind, &places, color, t);
        if one.kind == RulerKind::Profile && one.width_px > 1 {
            band(painter, &one, geometry, layer, color);
        }
        for place in places.iter().filter(|_| is_chosen) {
            painter.circle(*place, 4.0, t.canvas_halo, Stroke::new(1.5, color));
        }
        let text = rulers::value_text(one.kind, cx.view.rulers.measured(&one, layer), unit, value_unit);
        words.add(painter, &places, one.kind, &text, t);
    }
    drawing(painter, geometry, id, (unit, &mut words), cx, t);
    words.write(painter, view, bar, t);
}

/// The one that is being drawn.
fn drawing(
    painter: &Painter,
    geometry: &Geometry,
    id: ViewId,
    (unit, words): (&str, &mut Words),
    cx: &Cx<'_>,
    t: &Tokens,
) {
    let hover = cx.view.hover.as_ref().filter(|hover| hover.view == id).map(|hover| hover.world_um);
    let Some(drawing) = cx.view.rulers.drawing.as_ref().filter(|drawing| drawing.view == id) else {
        return;
    };
    let mut points = drawing.points_um.clone();
    points.extend(hover.filter(|_| !drawing.held));
    let places: Vec<Pos2> = points.iter().map(|p| geometry.screen(*p)).collect();
    shape(painter, drawing.kind, &places, t.accent, t);
    for place in places.iter().take(drawing.points_um.len()).filter(|_| !drawing.held) {
        painter.circle(*place, 4.0, t.canvas_halo, Stroke::new(1.5, t.accent));
    }
    if matches!(drawing.kind, RulerKind::Distance | RulerKind::Profile) && places.len() == 2 {
        let text = rulers::length_text(crate::measure::ruler::length_um(&points), unit);
        words.add(painter, &places, drawing.kind, &text, t);
    }
}

/// Lines of an annotation, with ticks at the ends of a distance and an arc in an angle.
fn shape(painter: &Painter, kind: RulerKind, places: &[Pos2], color: egui::Color32, t: &Tokens) {
    let mut line = places.to_vec();
    if kind == RulerKind::Area && places.len() > 2 {
        line.extend(places.first());
    }
    let draw = |points: Vec<Pos2>| {
        painter.line(points.clone(), Stroke::new(3.5, t.canvas_halo));
        painter.line(points, Stroke::new(1.5, color));
    };
    draw(line);
    match (kind, places) {
        (RulerKind::Distance, [a, b]) => {
            let across = (*b - *a).normalized().rot90() * 5.0;
            [a, b].into_iter().for_each(|end| draw(vec![*end - across, *end + across]));
        }
        (RulerKind::Angle, [a, b, c]) => {
            let radius = ((*a - *b).length().min((*c - *b).length()) * 0.35).clamp(4.0, 28.0);
            let (from, mut turn) = ((*a - *b).angle(), (*c - *b).angle() - (*a - *b).angle());
            // The way around that is the angle, not the rest of the circle.
            turn -= (turn / std::f32::consts::TAU).round() * std::f32::consts::TAU;
            let at = |i: u16| *b + egui::Vec2::angled(from + turn * f32::from(i) / 16.0) * radius;
            draw((0..=16).map(at).collect());
        }
        _ => {}
    }
}

/// How wide a line profile gathers.
fn band(
    painter: &Painter,
    one: &Annotation,
    geometry: &Geometry,
    layer: Option<&crate::project::Layer>,
    color: egui::Color32,
) {
    let [from, to] = *one.points() else { return };
    let half = rulers::half_band(one, layer);
    for side in [half, -half] {
        let ends = [geometry.screen(from + side), geometry.screen(to + side)];
        painter.extend(egui::Shape::dashed_line(&ends, Stroke::new(1.0, color), 3.0, 3.0));
    }
}

/// What rulers measure, gathered while their lines are drawn, so that none is written on another.
#[derive(Default)]
pub(super) struct Words {
    labels: Vec<Label>,
    galleys: Vec<Arc<egui::Galley>>,
}

/// Room of a chip around its words, points.
const CHIP: Vec2 = vec2(4.0, 1.0);
/// How far words stand from what they say something of, points.
const GAP: f64 = 5.0;

impl Words {
    /// Adds what a ruler says.
    pub(super) fn add(
        &mut self,
        painter: &Painter,
        places: &[Pos2],
        kind: RulerKind,
        text: &str,
        t: &Tokens,
    ) {
        let galley = painter.layout_no_wrap(text.to_owned(), theme::medium(12.0), t.on_canvas);
        let room = galley.size() + CHIP * 2.0;
        let point = |p: &Pos2| DVec2::new(f64::from(p.x), f64::from(p.y));
        self.labels.push(Label {
            shape: rulers::shape(kind),
            points: places.iter().map(point).collect(),
            size: DVec2::new(f64::from(room.x), f64::from(room.y)),
        });
        self.galleys.push(galley);
    }

    /// Writes all of them, within a view and off its scale bar.
    pub(super) fn write(self, painter: &Painter, view: Rect, bar: Option<Rect>, t: &Tokens) {
        let area = |rect: Rect| Area {
            low: DVec2::new(f64::from(rect.min.x), f64::from(rect.min.y)),
            high: DVec2::new(f64::from(rect.max.x), f64::from(rect.max.y)),
        };
        let taken: Vec<Area> = bar.into_iter().map(area).collect();
        let places = place_labels(&self.labels, area(view.shrink(2.0)), &taken, GAP);
        for (place, galley) in places.into_iter().zip(self.galleys) {
            let corner = pos2(place.low.x as f32, place.low.y as f32);
            let back = Rect::from_min_size(corner, galley.size() + CHIP * 2.0);
            painter.rect_filled(back, 3, t.canvas_halo.gamma_multiply(0.85));
            painter.galley(back.min + CHIP, galley, t.on_canvas);
        }
    }
}
