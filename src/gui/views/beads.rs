//! Beads over a view of the scan: chosen by a click, moved by a drag, added and taken out by hand, fitted anew each time.

use std::sync::Arc;

use egui::{Pos2, Rect, Response, Stroke, vec2};

use super::super::frame::Cx;
use super::super::theme;
use crate::align::fit_tracks;
use crate::project::{Content, Edit, LayerId};
use crate::session::Command;
use crate::volume::{Alignment, BeadTrack, BeadTracks, TrackPoint};

/// How near the pointer takes a bead, in points.
const NEAR: f32 = 10.0;
/// Radius of a bead that is drawn where its size is not known, in pixels of the view.
const RADIUS_PX: f64 = 5.0;
/// A bead is not drawn with a larger radius, in points.
const MOST: f32 = 24.0;
/// A residual that is drawn as bad, in pixels.
const BAD_PX: f64 = 1.0;

/// A bead that is being moved: its number and where it is, as (y, x) in pixels of the view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Drag {
    bead: usize,
    yx: [f64; 2],
}

/// Where the pixels of a view lie on the screen.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Rectangle of the whole view.
    pub(crate) rect: Rect,
    /// Points a pixel.
    pub(crate) scale: f32,
    /// The view.
    pub(crate) view: usize,
    /// Rows and columns of a view.
    pub(crate) shape: [usize; 2],
}

impl Place {
    fn screen(&self, [y, x]: [f64; 2]) -> Pos2 {
        self.rect.min + vec2(x as f32 + 0.5, y as f32 + 0.5) * self.scale
    }

    fn pixel(&self, at: Pos2) -> [f64; 2] {
        let p = (at - self.rect.min) / self.scale;
        [f64::from(p.y) - 0.5, f64::from(p.x) - 0.5]
    }
}

/// Draws the beads of an alignment over a view and takes the mouse where they are edited.
pub(crate) fn show(ui: &egui::Ui, response: &Response, place: Place, layer: LayerId, cx: &mut Cx<'_>) {
    let session = cx.session;
    let Some(Content::Alignment(alignment)) = session.project().layer(layer).map(|l| &l.content) else {
        return;
    };
    let empty = BeadTracks::default();
    let tracks = alignment.beads.as_ref().unwrap_or(&empty);
    draw(ui, place, tracks, cx);
    if cx.view.scan.edit_beads {
        edit(ui, response, place, layer, alignment, tracks, cx);
    }
}

fn draw(ui: &egui::Ui, place: Place, tracks: &BeadTracks, cx: &Cx<'_>) {
    let t = theme::over_data();
    let painter = ui.painter().with_clip_rect(place.rect);
    let radius = ((tracks.diameter_px.unwrap_or(2.0 * RADIUS_PX) * 0.5) as f32 * place.scale).min(MOST);
    for (number, bead) in tracks.beads.iter().enumerate() {
        let Some(point) = bead.point(place.view) else { continue };
        let drag = cx.view.scan.drag.filter(|drag| drag.bead == number);
        let at = place.screen(drag.map_or([point.y, point.x], |drag| drag.yx));
        let is_chosen = cx.view.scan.bead == Some(number);
        let is_bad = point.residual_px.is_some_and(|r| r > BAD_PX) || point.weight == Some(0.0);
        let color = if is_bad { t.warning } else { t.accent };
        painter.circle_stroke(
            at,
            radius.max(4.0) + 2.0,
            Stroke::new(if is_chosen { 2.5 } else { 1.25 }, color),
        );
        if is_chosen {
            let text = format!("{}", number + 1);
            painter.text(
                at + vec2(radius.max(4.0) + 5.0, 0.0),
                egui::Align2::LEFT_CENTER,
                text,
                theme::medium(12.0),
                color,
            );
        }
    }
}

fn edit(
    ui: &egui::Ui,
    response: &Response,
    place: Place,
    layer: LayerId,
    alignment: &Alignment,
    tracks: &BeadTracks,
    cx: &mut Cx<'_>,
) {
    let nearest = |at: Pos2| {
        let distance = |bead: &BeadTrack| {
            bead.point(place.view).map(|point| place.screen([point.y, point.x]).distance(at))
        };
        let found = tracks.beads.iter().enumerate().filter_map(|(n, bead)| Some((n, distance(bead)?)));
        found.min_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, d)| *d <= NEAR).map(|(n, _)| n)
    };
    let pointer = response.interact_pointer_pos();
    if response.drag_started()
        && let Some(at) = pointer
        && let Some(bead) = nearest(at)
    {
        cx.view.scan.bead = Some(bead);
        cx.view.scan.drag = Some(Drag { bead, yx: place.pixel(at) });
    }
    if let (Some(drag), Some(at)) = (&mut cx.view.scan.drag, pointer) {
        drag.yx = place.pixel(at);
    }
    if response.drag_stopped()
        && let Some(Drag { bead, yx: [y, x] }) = cx.view.scan.drag.take()
    {
        let mut new = tracks.clone();
        if let Some(track) = new.beads.get_mut(bead) {
            track.set(TrackPoint::new(place.view, y, x));
            keep("Move bead", layer, alignment, new, place.shape, cx);
        }
        return;
    }
    if response.clicked()
        && let Some(at) = pointer.filter(|at| place.rect.contains(*at))
    {
        if let Some(bead) = nearest(at) {
            cx.view.scan.bead = Some(bead);
            return;
        }
        let [y, x] = place.pixel(at);
        let mut new = tracks.clone();
        let chosen = cx
            .view
            .scan
            .bead
            .filter(|bead| new.beads.get(*bead).is_some_and(|bead| bead.point(place.view).is_none()));
        let bead = chosen.unwrap_or(new.beads.len());
        if bead == new.beads.len() {
            new.beads.push(BeadTrack::default());
        }
        if let Some(track) = new.beads.get_mut(bead) {
            track.set(TrackPoint::new(place.view, y, x));
        }
        cx.view.scan.bead = Some(bead);
        keep("Add bead", layer, alignment, new, place.shape, cx);
        return;
    }
    let removes = ui.input(|i| i.key_pressed(egui::Key::Delete) || i.key_pressed(egui::Key::Backspace));
    if removes
        && !ui.ctx().text_edit_focused()
        && let Some(bead) = cx.view.scan.bead
    {
        let mut new = tracks.clone();
        if let Some(track) = new.beads.get_mut(bead) {
            track.remove(place.view);
            keep("Take bead out of view", layer, alignment, new, place.shape, cx);
        }
    }
}

/// Puts changed beads into the alignment, fitted anew where there are enough of them: one step that can be undone.
pub(crate) fn keep(
    label: &str,
    layer: LayerId,
    alignment: &Alignment,
    mut tracks: BeadTracks,
    shape: [usize; 2],
    cx: &mut Cx<'_>,
) {
    tracks.beads.retain(|bead| !bead.points.is_empty());
    let new = match fit_tracks(&tracks, alignment, shape) {
        Ok(fitted) => Alignment { method: "beads, changed by hand".to_owned(), ..fitted },
        // Too few beads for a fit yet: they are kept, the views stay where they are.
        Err(_) => Alignment { beads: Some(tracks), ..alignment.clone() },
    };
    let edit = Edit::SetAlignment { layer, alignment: Arc::new(new) };
    cx.queue.session(Command::Edit { label: label.to_owned(), edit });
    cx.view.use_alignment = true;
}
