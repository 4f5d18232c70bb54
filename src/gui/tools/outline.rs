//! The polygon and the lasso: an outline becomes labels.

use super::{brush_plane, canvas, index_at};
use crate::gui::state::{Outline, Queue, Request, ViewState};
use crate::segment::polygon::{Polygon, paint_polygon};
use crate::session::Session;

/// Paints what the outline holds, through as many slices as the tool is deep; a sentence where it could not.
pub(crate) fn apply(session: &mut Session, view: &mut ViewState, outline: &Outline) -> Result<(), String> {
    let Some(canvas) = canvas(session, view, outline.erase) else { return Ok(()) };
    let Some(layer) = session.project().layer(canvas.layer) else { return Ok(()) };
    let corners: Option<Vec<_>> = outline.corners_um.iter().map(|at| index_at(layer, *at)).collect();
    let Some(corners_zyx) = corners.filter(|corners| corners.len() > 2) else {
        return Err("An outline needs three corners; click to set more, or drag".to_owned());
    };
    let plane = brush_plane(view, outline.view, layer);
    let depth = view.brush.depth;
    let polygon = Polygon { plane, corners_zyx, depth, class: canvas.class, limits: canvas.limits };
    let painted = session
        .paint(canvas.layer, canvas.guide, |labels, volume, _| paint_polygon(labels, volume, &polygon));
    session.end_stroke(if outline.erase { "Erase outline" } else { "Paint outline" });
    painted.map_err(|error| error.to_string())
}

/// Keys that a gesture takes before any command does: Enter closes a polygon, Backspace takes its last corner
/// back, Escape gives up what is being drawn.
pub(crate) fn keys(ctx: &egui::Context, view: &mut ViewState, queue: &mut Queue) {
    if ctx.text_edit_focused() {
        return;
    }
    let pressed = |key| ctx.input_mut(|input| input.consume_key(egui::Modifiers::NONE, key));
    let busy = view.outline.is_some() || view.pull.is_some() || view.stroke.is_some();
    if busy && pressed(egui::Key::Escape) {
        view.outline = None;
        view.pull = None;
        view.stroke = None;
        queue.push(Request::AbandonStroke);
        return;
    }
    let Some(outline) = view.outline.as_mut().filter(|outline| !outline.lasso) else { return };
    if pressed(egui::Key::Backspace) {
        outline.corners_um.pop();
        if outline.corners_um.is_empty() {
            view.outline = None;
        }
    } else if pressed(egui::Key::Enter)
        && let Some(outline) = view.outline.take()
    {
        queue.push(Request::Outline(outline));
    }
}
