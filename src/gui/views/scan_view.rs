//! The scan in place of the slices: its views as a movie with the angle dial, flats, darks, sinograms.

use egui::{Color32, Pos2, Rect, Sense, Shape, Stroke, pos2, vec2};

use super::super::derived::{FrameKey, FrameKind};
use super::super::frame::Cx;
use super::super::panels::scan::scan_layer;
use super::super::{icons, theme, widgets};
use super::beads::{self, Place};
use crate::project::{Content, LayerId, Project};
use crate::volume::{Alignment, Scan};

/// Pictures of a movie each second.
const RATE: f64 = 12.0;
/// Height of the bar under the picture.
const BAR: f32 = 56.0;

/// How a scan is looked at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScanView {
    /// Whether it takes the place of the slices in the stages Scan and Align.
    pub(crate) open: bool,
    /// Which pictures.
    pub(crate) kind: FrameKind,
    /// The view, frame or row.
    pub(crate) index: usize,
    /// Whether views are shown as the light that comes through.
    pub(crate) transmission: bool,
    /// Whether views are shown where the alignment puts them.
    pub(crate) aligned: bool,
    /// Whether beads are moved, added and taken out over the views.
    pub(crate) edit_beads: bool,
    /// The chosen bead.
    pub(crate) bead: Option<usize>,
    /// The bead that is being moved.
    pub(crate) drag: Option<super::beads::Drag>,
    /// Since when the movie runs, and from which picture.
    pub(crate) playing: Option<(f64, usize)>,
}

impl Default for ScanView {
    fn default() -> Self {
        Self {
            open: true,
            kind: FrameKind::Views,
            index: 0,
            transmission: true,
            aligned: false,
            edit_beads: false,
            bead: None,
            drag: None,
            playing: None,
        }
    }
}

/// The newest alignment that fits the scan.
fn alignment_of<'a>(project: &'a Project, scan: &Scan) -> Option<(LayerId, &'a Alignment)> {
    project.from_top().find_map(|layer| match &layer.content {
        Content::Alignment(alignment) if alignment.views.len() == scan.n_views() => {
            Some((layer.id, alignment.as_ref()))
        }
        _ => None,
    })
}

/// How many pictures there are of a kind.
fn count(scan: &Scan, kind: FrameKind) -> usize {
    match kind {
        FrameKind::Views => scan.n_views(),
        FrameKind::Flats => scan.flats.as_ref().map_or(0, |frames| frames.shape()[0]),
        FrameKind::Darks => scan.darks.as_ref().map_or(0, |frames| frames.shape()[0]),
        FrameKind::Sinogram => scan.projections.shape()[1],
    }
}

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let rect = ui.available_rect_before_wrap();
    ui.painter().rect_filled(rect, 0, t.canvas);
    let session = cx.session;
    let Some((layer, scan)) = scan_layer(session.project()) else { return };
    if count(scan, cx.view.scan.kind) == 0 {
        cx.view.scan.kind = FrameKind::Views;
    }
    let n = count(scan, cx.view.scan.kind);
    if n == 0 {
        return;
    }
    play(ui, n, cx);
    let index = cx.view.scan.index.min(n - 1);
    let alignment = alignment_of(session.project(), scan).map(|(_, alignment)| alignment);
    let sense = if cx.view.scan.edit_beads { Sense::click_and_drag() } else { Sense::hover() };
    let response = ui.allocate_rect(rect, sense);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Scan view"));
    let top = Rect::from_min_size(rect.min, vec2(rect.width(), 40.0));
    let bar = Rect::from_min_max(pos2(rect.left(), rect.bottom() - BAR), rect.max);
    // The picture lies on the dark canvas in both themes, what is clicked lies on panels.
    ui.painter().rect_filled(top, 0, t.panel);
    ui.painter().rect_filled(bar, 0, t.panel);
    let room = Rect::from_min_max(top.left_bottom(), bar.right_top()).shrink(16.0);
    let transmission = cx.view.scan.transmission;
    let light = cx.derived.scan_light(layer, scan);
    let key = FrameKey { kind: cx.view.scan.kind, index, transmission: transmission && light.is_some() };
    let texture = cx.derived.projection(ui.ctx(), layer, scan, key);
    let size = texture.size_vec2();
    let is_sinogram = key.kind == FrameKind::Sinogram;
    let scale = if is_sinogram {
        // Views are few or many: the picture fills the room.
        vec2(room.width() / size.x, room.height() / size.y)
    } else {
        egui::Vec2::splat((room.width() / size.x).min(room.height() / size.y))
    };
    let place = Rect::from_center_size(room.center(), size * scale);
    let view = alignment.and_then(|alignment| alignment.views.get(index));
    let is_moved = key.kind == FrameKind::Views && cx.view.scan.aligned && view.is_some();
    let shift = view
        .filter(|_| is_moved)
        .map_or(egui::Vec2::ZERO, |view| vec2(view.shift_x_px as f32, view.shift_y_px as f32) * scale);
    let painter = ui.painter().with_clip_rect(place);
    let whole = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
    painter.image(texture.id(), place.translate(-shift), whole, Color32::WHITE);
    if is_moved {
        let axis = [place.center_top(), place.center_bottom()];
        painter.extend(Shape::dashed_line(&axis, Stroke::new(1.0, t.accent), 6.0, 5.0));
    }
    if key.kind == FrameKind::Views && cx.view.stage == crate::ops::Stage::Align {
        let layer = alignment_of(session.project(), scan).map(|(id, _)| id);
        let [_, n_rows, n_cols] = scan.projections.shape();
        let over =
            Place { rect: place.translate(-shift), scale: scale.x, view: index, shape: [n_rows, n_cols] };
        if let Some(layer) = layer {
            beads::show(ui, &response, over, layer, cx);
        }
    }
    title(ui, scan, index, n, place, key.kind, view.is_some_and(|view| !view.used));
    ui.scope_builder(egui::UiBuilder::new().max_rect(top.shrink2(vec2(16.0, 7.0))), |ui| {
        ui.horizontal(|ui| choices(ui, scan, alignment.is_some(), cx));
    });
    slider(ui, scan, bar, index, n, cx);
    if response.contains_pointer() {
        let lines: f32 = ui.input(|i| {
            let wheel = |e: &egui::Event| match e {
                egui::Event::MouseWheel { delta, .. } => delta.y,
                _ => 0.0,
            };
            i.events.iter().map(wheel).sum()
        });
        if lines != 0.0 {
            cx.view.scan.playing = None;
            cx.view.scan.index = index.saturating_add_signed(lines.signum() as isize).min(n - 1);
        }
    }
}

/// Goes on with the movie.
fn play(ui: &egui::Ui, n: usize, cx: &mut Cx<'_>) {
    let Some((since, from)) = cx.view.scan.playing else { return };
    let now = ui.input(|i| i.time);
    let steps = ((now - since) * RATE).max(0.0) as usize;
    cx.view.scan.index = (from + steps) % n;
    ui.ctx().request_repaint_after(std::time::Duration::from_secs_f64(1.0 / RATE));
}

fn title(ui: &egui::Ui, scan: &Scan, index: usize, n: usize, place: Rect, kind: FrameKind, is_out: bool) {
    let t = theme::of(ui);
    let what = match kind {
        FrameKind::Views => "View",
        FrameKind::Flats => "Flat",
        FrameKind::Darks => "Dark",
        FrameKind::Sinogram => "Sinogram of row",
    };
    let angle = match (kind, scan.angles_deg.get(index)) {
        (FrameKind::Views, Some(angle)) => format!("   {angle:.2}°"),
        _ => String::new(),
    };
    let out = if is_out { "   left out" } else { "" };
    let text = format!("{what} {} of {n}{angle}{out}", index + 1);
    let at = place.left_top() + vec2(10.0, 10.0);
    let painter = ui.painter();
    let galley = painter.layout_no_wrap(text, theme::medium(12.0), t.on_canvas);
    // Bright pictures would swallow the words.
    painter.rect_filled(
        Rect::from_min_size(at, galley.size()).expand2(vec2(6.0, 3.0)),
        4,
        Color32::from_black_alpha(150),
    );
    painter.galley(at, galley, t.on_canvas);
}

fn choices(ui: &mut egui::Ui, scan: &Scan, has_alignment: bool, cx: &mut Cx<'_>) {
    let all = [
        (FrameKind::Views, "Views", "The pictures of the tilt series"),
        (
            FrameKind::Sinogram,
            "Sinogram",
            "One row of all views: a bad view or a jump shows as a broken line",
        ),
        (FrameKind::Flats, "Flats", "The light without a sample"),
        (FrameKind::Darks, "Darks", "The camera without light"),
    ];
    let there: Vec<_> = all.into_iter().filter(|(kind, ..)| count(scan, *kind) > 0).collect();
    let width = 78.0 * there.len() as f32;
    if widgets::segmented_sized(ui, &mut cx.view.scan.kind, &there, width) {
        cx.view.scan.playing = None;
        cx.view.scan.index =
            if cx.view.scan.kind == FrameKind::Sinogram { count(scan, FrameKind::Sinogram) / 2 } else { 0 };
    }
    ui.add_space(12.0);
    let is_counts = scan.unit == crate::base::Unit::Counts && scan.flats.is_some();
    if is_counts && matches!(cx.view.scan.kind, FrameKind::Views | FrameKind::Sinogram) {
        widgets::switch(
            ui,
            &mut cx.view.scan.transmission,
            "Transmission",
            "Divided by the light without a sample",
        );
        ui.add_space(12.0);
    }
    if has_alignment && cx.view.scan.kind == FrameKind::Views {
        widgets::switch(
            ui,
            &mut cx.view.scan.aligned,
            "Aligned",
            "Each view where the alignment puts it: nothing should jump any more; the line is the rotation axis",
        );
    }
    if cx.facts.volume {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if widgets::Button::new("Slices")
                .icon(icons::CUBE)
                .quiet()
                .show(ui)
                .on_hover_text("Back to the slices of the volume")
                .clicked()
            {
                cx.view.scan.open = false;
            }
        });
    }
}

fn slider(ui: &mut egui::Ui, scan: &Scan, bar: Rect, index: usize, n: usize, cx: &mut Cx<'_>) {
    let inner = bar.shrink2(vec2(20.0, 12.0));
    ui.scope_builder(egui::UiBuilder::new().max_rect(inner), |ui| {
        ui.horizontal_centered(|ui| {
            let is_playing = cx.view.scan.playing.is_some();
            let (icon, name) =
                if is_playing { (icons::PAUSE, "Stop the movie") } else { (icons::PLAY, "Play as a movie") };
            if widgets::icon_button(ui, icon, name, "Runs through the pictures, twelve a second").clicked() {
                let now = ui.input(|i| i.time);
                cx.view.scan.playing = (!is_playing).then_some((now, index));
            }
            ui.add_space(8.0);
            let dial = if scan.angles_deg.len() > 1 { 64.0 } else { 0.0 };
            let width = (ui.available_width() - dial).max(40.0);
            let mut fraction = if n > 1 { index as f32 / (n - 1) as f32 } else { 0.0 };
            if widgets::fraction(ui, &mut fraction, "View of the scan", width).changed() {
                cx.view.scan.playing = None;
                cx.view.scan.index = (fraction * (n - 1) as f32).round() as usize;
            }
            if dial > 0.0 {
                let (rect, response) = ui.allocate_exact_size(vec2(56.0, 32.0), Sense::hover());
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Angle dial"));
                let at = matches!(cx.view.scan.kind, FrameKind::Views).then_some(index);
                angle_dial(ui, scan, rect, at);
            }
        });
    });
    if n > 1 && ui.input(|i| i.key_pressed(egui::Key::Escape)) {
        cx.view.scan.playing = None;
    }
}

/// The tilts of all views as ticks of a dial, that of the shown one as its hand.
fn angle_dial(ui: &egui::Ui, scan: &Scan, rect: Rect, index: Option<usize>) {
    let t = theme::of(ui);
    let painter = ui.painter();
    let centre = pos2(rect.center().x, rect.bottom() - 4.0);
    let radius = rect.height() - 8.0;
    // 0° is straight up, along the beam; a turn beyond a quarter goes on below the line and is folded up.
    let at = |deg: f64, r: f32| -> Pos2 {
        let tilt = ((deg + 90.0).rem_euclid(180.0) - 90.0).to_radians();
        centre + vec2(tilt.sin() as f32, -tilt.cos() as f32) * r
    };
    for angle in &scan.angles_deg {
        painter.line_segment([at(*angle, radius), at(*angle, radius - 4.0)], Stroke::new(1.0, t.text_weak));
    }
    if let Some(angle) = index.and_then(|index| scan.angles_deg.get(index)) {
        painter.line_segment([centre, at(*angle, radius)], Stroke::new(2.0, t.accent));
    }
    painter.circle_filled(centre, 2.5, t.text);
}
