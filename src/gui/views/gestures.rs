//! Gestures of the hand tools that are no strokes: outlines, fills, the wand, objects.

use egui::{PointerButton, Pos2, Response};
use glam::DVec3;

use super::super::frame::Cx;
use super::super::state::{ObjectAction, Outline, Pull, Request, ViewId};
use super::super::tools::fill::FillAt;
use super::super::tools::object::Act;
use super::input;
use super::slice_view::Geometry;

/// Points of the screen that the pointer may wander in a click.
const CLICK_PT: f32 = 4.0;
/// Points of the screen within which a click closes the outline at its first corner.
const CLOSE_PT: f32 = 9.0;
/// Points of the screen that double the tolerance of the wand.
const DOUBLE_PT: f32 = 80.0;

/// A drag draws a lasso, clicks set the corners of a polygon.
pub(super) fn outline(ui: &egui::Ui, response: &Response, id: ViewId, geometry: &Geometry, cx: &mut Cx<'_>) {
    for button in [PointerButton::Primary, PointerButton::Secondary] {
        let erase = button == PointerButton::Secondary;
        if response.drag_started_by(button) && cx.view.outline.is_none() {
            let first = ui.input(|i| i.pointer.press_origin()).map(|pos| geometry.world(pos));
            cx.view.outline =
                Some(Outline { view: id, corners_um: first.into_iter().collect(), lasso: true, erase });
        }
        if let Some(pos) = response.interact_pointer_pos().filter(|_| response.clicked_by(button)) {
            click(id, geometry, pos, erase, cx);
        }
    }
    if response.double_clicked() && cx.view.outline.as_ref().is_some_and(|o| !o.lasso) {
        close(cx);
    }
    let Some(outline) = cx.view.outline.as_mut().filter(|o| o.view == id && o.lasso) else { return };
    for pos in input::pointer_path(ui) {
        let at = geometry.world(pos);
        let apart =
            outline.corners_um.last().is_none_or(|last| (at - *last).length() > geometry.um_per_pt * 1.5);
        if apart {
            outline.corners_um.push(at);
        }
    }
    if ui.input(|i| !i.pointer.any_down()) {
        close(cx);
    }
}

/// Sets a corner, or closes the outline where the first one is.
fn click(id: ViewId, geometry: &Geometry, pos: Pos2, erase: bool, cx: &mut Cx<'_>) {
    let at = geometry.world(pos);
    match cx.view.outline.as_mut().filter(|outline| outline.view == id) {
        Some(outline) => {
            let first = outline.corners_um.first().map(|first| geometry.screen(*first));
            if outline.corners_um.len() > 2 && first.is_some_and(|first| first.distance(pos) < CLOSE_PT) {
                close(cx);
            } else {
                outline.erase = erase;
                outline.corners_um.push(at);
            }
        }
        None => cx.view.outline = Some(Outline { view: id, corners_um: vec![at], lasso: false, erase }),
    }
}

fn close(cx: &mut Cx<'_>) {
    if let Some(outline) = cx.view.outline.take() {
        cx.queue.push(Request::Outline(outline));
    }
}

/// A click fills what hangs together under one label.
pub(super) fn fill(response: &Response, id: ViewId, geometry: &Geometry, cx: &mut Cx<'_>) {
    let erase = response.clicked_by(PointerButton::Secondary);
    if let Some(pos) = response.interact_pointer_pos().filter(|_| response.clicked() || erase) {
        let at_um = geometry.world(pos);
        cx.queue.push(Request::Fill(FillAt { view: id, at_um, erase, tolerance: None, pulling: false }));
    }
}

/// A press fills what is alike; a drag to the right widens what is alike, to the left narrows it.
pub(super) fn wand(ui: &egui::Ui, response: &Response, id: ViewId, geometry: &Geometry, cx: &mut Cx<'_>) {
    let began = begin(ui, response, id, geometry, cx);
    let Some(pull) = cx.view.pull.filter(|pull| pull.view == id) else { return };
    let at = |tolerance, pulling| {
        let Pull { view, from_um: at_um, erase, .. } = pull;
        Request::Fill(FillAt { view, at_um, erase, tolerance: Some(tolerance), pulling })
    };
    let pulled = ui.input(|i| i.pointer.latest_pos()).map_or(0.0, |pos| pos.x - pull.from_pt.x);
    let tolerance =
        if pulled.abs() < CLICK_PT { pull.tolerance } else { pull.tolerance * (pulled / DOUBLE_PT).exp2() };
    if began || (tolerance - cx.view.brush.tolerance).abs() > f32::EPSILON {
        cx.view.brush.tolerance = tolerance;
        cx.queue.push(at(tolerance, true));
    }
    if ui.input(|i| !i.pointer.any_down()) {
        cx.view.pull = None;
        cx.queue.push(Request::EndStroke("Fill by LAC"));
    }
}

/// A click gives an object another class or takes it away; a drag moves or cuts it.
pub(super) fn object(ui: &egui::Ui, response: &Response, id: ViewId, geometry: &Geometry, cx: &mut Cx<'_>) {
    let act = |act| Request::Object(act);
    if let Some(pos) =
        response.interact_pointer_pos().filter(|_| response.clicked_by(PointerButton::Secondary))
    {
        cx.queue.push(act(Act::Relabel { at_um: geometry.world(pos), erase: true }));
        return;
    }
    if cx.view.brush.object == ObjectAction::Relabel {
        if let Some(pos) = response.interact_pointer_pos().filter(|_| response.clicked()) {
            cx.queue.push(act(Act::Relabel { at_um: geometry.world(pos), erase: false }));
        }
        return;
    }
    if ui.input(|i| i.pointer.button_pressed(PointerButton::Primary)) {
        begin(ui, response, id, geometry, cx);
    }
    let Some(mut pull) = cx.view.pull.filter(|pull| pull.view == id) else { return };
    let before = pull.to_um;
    if let Some(pos) = ui.input(|i| i.pointer.latest_pos()) {
        pull.to_um = geometry.world(pos);
    }
    let Pull { view, from_um, to_um, .. } = pull;
    let over = ui.input(|i| !i.pointer.any_down());
    cx.view.pull = (!over).then_some(pull);
    match cx.view.brush.object {
        ObjectAction::Move if over || to_um != before => {
            cx.queue.push(act(Act::Move { from_um, to_um, pulling: !over }));
        }
        ObjectAction::Cut if over && is_line(from_um, to_um, geometry) => {
            cx.queue.push(act(Act::Cut { view, from_um, to_um }));
        }
        _ => {}
    }
}

fn is_line(from: DVec3, to: DVec3, geometry: &Geometry) -> bool {
    (to - from).length() > geometry.um_per_pt * f64::from(CLICK_PT)
}

/// Notes where a button went down in this view.
fn begin(ui: &egui::Ui, response: &Response, id: ViewId, geometry: &Geometry, cx: &mut Cx<'_>) -> bool {
    let pressed = |button| ui.input(|i| i.pointer.button_pressed(button));
    let erase = pressed(PointerButton::Secondary);
    let down = erase || pressed(PointerButton::Primary);
    if !down || cx.view.pull.is_some() || !response.is_pointer_button_down_on() {
        return false;
    }
    let Some(pos) = ui.input(|i| i.pointer.press_origin()) else { return false };
    let at_um = geometry.world(pos);
    let tolerance = cx.view.brush.tolerance.max(1e-6);
    cx.view.pull = Some(Pull { view: id, from_um: at_um, to_um: at_um, from_pt: pos, erase, tolerance });
    true
}
