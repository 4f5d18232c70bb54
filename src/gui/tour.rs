//! The first minute: five bubbles beside the widgets that they speak of, while the user does the thing.
//!
//! It begins by itself once, on a demo cell, and never again unless it is asked for.

use std::collections::BTreeMap;

use egui::{
    Align2, Context, Key, Modifiers, Order, Pos2, Rect, Sense, Shape, Stroke, StrokeKind, Vec2, vec2,
};
use glam::{DQuat, DVec3};

use super::commands::{CommandId, Facts, find};
use super::state::{self, Queue, ViewKind, ViewState};
use super::widgets::Button;
use super::{icons, theme, widgets};
use crate::ops::Stage;
use crate::session::Session;

/// Width of a bubble, points.
const WIDTH: f32 = 300.0;
/// Between a bubble and what it points at, points.
const GAP: f32 = 12.0;

/// A bubble, and what it points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Before there is a volume: the button that makes it.
    Reconstruct,
    /// A slice.
    Slice,
    /// The histogram.
    Histogram,
    /// The list of classes.
    Paint,
    /// The switch of live classification.
    Live,
    /// The volume.
    Volume,
}

impl Step {
    /// The five, in order.
    const FIVE: [Self; 5] = [Self::Slice, Self::Histogram, Self::Paint, Self::Live, Self::Volume];

    /// Its place among the five, from 1; `None` before them.
    fn number(self) -> Option<usize> {
        Self::FIVE.iter().position(|step| *step == self).map(|at| at + 1)
    }

    fn next(self) -> Option<Self> {
        self.number().map_or(Self::FIVE.first(), |n| Self::FIVE.get(n)).copied()
    }

    fn before(self) -> Option<Self> {
        Self::FIVE.get(self.number()?.checked_sub(2)?).copied()
    }

    fn title(self) -> &'static str {
        match self {
            Self::Reconstruct => "From views to a volume",
            Self::Slice => "Scroll through the cell",
            Self::Histogram => "Set the contrast",
            Self::Paint => "Paint two classes",
            Self::Live => "Let it classify",
            Self::Volume => "Turn the cell",
        }
    }

    fn text(self, is_painted: bool) -> String {
        let key = |id| find(id).shortcut();
        match self {
            Self::Reconstruct => "This is the scan of a synthetic cell: views from many sides. Press Reconstruct, and they become a volume.".to_owned(),
            Self::Slice => "Turn the wheel over a slice, or press Page Up and Page Down. A click moves the crosshair, and the other views follow.".to_owned(),
            Self::Histogram => "Drag the ends of the line: what lies outside becomes black or white. Values are absorption, in 1/µm; the ticks name what absorbs how much.".to_owned(),
            Self::Paint => format!("The brush is in your hand. Choose a class here and draw over it in a slice, then do the same with a second one. The right button erases, {} takes back.", key(CommandId::Undo)),
            Self::Live if !is_painted => "Classification learns from strokes of two classes: go back and paint them first.".to_owned(),
            Self::Live => "Switch this on: every voxel gets the class that your strokes speak for, and follows each new stroke.".to_owned(),
            Self::Volume => format!("Drag to turn the cell, turn the wheel to come nearer; a click moves the crosshair. {} finds every command, {} shows all keys.", key(CommandId::Palette), key(CommandId::KeyOverlay)),
        }
    }
}

/// Where the widgets are that bubbles point at, as drawn in this frame.
pub(crate) type Anchors = BTreeMap<Step, Rect>;

/// Notes where a widget is, and scrolls to it where the tour wants to show it.
pub(crate) fn anchor(ui: &egui::Ui, view: &mut ViewState, step: Step, rect: Rect) {
    if view.reveal.take_if(|wanted| *wanted == step).is_some() {
        ui.scroll_to_rect(rect, Some(egui::Align::Center));
    }
    if ui.clip_rect().contains(rect.center()) {
        view.anchors.entry(step).or_insert(rect.intersect(ui.clip_rect()));
    }
}

/// How things were when a bubble came: what differs, the user has done.
#[derive(Debug, Clone, PartialEq)]
struct Before {
    cursor_um: DVec3,
    window: Option<[f32; 2]>,
    directions: Vec<Option<DQuat>>,
}

/// The tour.
#[derive(Debug, Default)]
pub(crate) struct Tour {
    step: Option<Step>,
    before: Option<Before>,
    /// It begins as soon as there is a scan or a volume to show it on.
    wanted: bool,
    /// The button that goes on wants the focus.
    take_focus: bool,
    has_focus: bool,
    size: Vec2,
}

/// What a bubble was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Next,
    Back,
    Skip,
    Show,
}

impl Tour {
    /// It begins as soon as it can.
    pub(crate) fn want(&mut self) {
        *self = Self { wanted: true, ..Self::default() };
    }

    /// Takes the keys that belong to it before any command does.
    pub(crate) fn keys(&mut self, ctx: &Context, session: &Session, view: &mut ViewState, queue: &mut Queue) {
        let Some(step) = self.step.filter(|_| !ctx.text_edit_focused()) else { return };
        let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if self.has_focus && pressed(Key::Enter) {
            self.go(step.next(), session, view, queue);
        } else if view.rulers.drawing.is_none() && view.outline.is_none() && pressed(Key::Escape) {
            self.step = None;
        }
    }

    /// Begins where it is wanted and can.
    pub(crate) fn begin(&mut self, facts: Facts, session: &Session, view: &mut ViewState, queue: &mut Queue) {
        if !self.wanted || !facts.project || view.dialog.is_some() {
            return;
        }
        let has_scan = super::panels::scan::scan_layer(session.project()).is_some();
        let step = match (facts.volume, has_scan && !facts.jobs) {
            (true, _) => Step::Slice,
            (false, true) => Step::Reconstruct,
            (false, false) => return,
        };
        self.wanted = false;
        self.go(Some(step), session, view, queue);
    }

    fn go(&mut self, step: Option<Step>, session: &Session, view: &mut ViewState, queue: &mut Queue) {
        self.step = step;
        self.take_focus = true;
        let Some(step) = step else { return };
        self.before = Some(now(session, view));
        show_widget(step, session, view, queue);
    }

    /// Draws the bubble.
    pub(crate) fn show(
        &mut self,
        ctx: &Context,
        facts: Facts,
        session: &Session,
        view: &mut ViewState,
        queue: &mut Queue,
    ) {
        let Some(step) = self.step else { return };
        if !facts.project {
            self.step = None;
            return;
        }
        if step == Step::Reconstruct && facts.volume {
            return self.go(step.next(), session, view, queue);
        }
        let is_done = self.is_done(step, session, view);
        let target = view.anchors.get(&step).copied();
        let t = theme::of_visuals(&ctx.global_style().visuals);
        let room = ctx.content_rect().shrink(8.0);
        let size = if self.size == Vec2::ZERO { vec2(WIDTH + 28.0, 170.0) } else { self.size };
        let (at, edge) = place(target, size, room);
        if let Some(target) = target {
            point(ctx, target, at, size, edge, t);
        }
        let is_painted = super::panels::segment::n_painted(session, view) >= 2;
        // The switch of live classification comes with the second class.
        let is_seen = target.is_some() || (step == Step::Live && !is_painted);
        let text = step.text(is_painted);
        let name = match step.number() {
            Some(n) => format!("Tour, {n} of 5: {}", step.title()),
            None => format!("Tour: {}", step.title()),
        };
        let shown = egui::Area::new(egui::Id::unique("tour"))
            .order(Order::Foreground)
            .fixed_pos(at)
            .constrain_to(room)
            .accessible_name(name)
            .show(ctx, |ui| {
                let frame = egui::Frame::new()
                    .fill(t.raised)
                    .stroke(Stroke::new(1.0, t.accent))
                    .corner_radius(10)
                    .inner_margin(14)
                    .shadow(egui::Shadow { offset: [0, 8], blur: 24, spread: 0, color: t.shadow });
                frame.show(ui, |ui| self.bubble(ui, step, is_done, (is_seen, text), t)).inner
            });
        let size = shown.response.rect.size();
        if (size - self.size).length() > 0.5 {
            self.size = size;
            ctx.request_repaint();
        }
        match shown.inner {
            Some(Wish::Next) => self.go(step.next(), session, view, queue),
            Some(Wish::Back) => self.go(step.before(), session, view, queue),
            Some(Wish::Skip) => self.step = None,
            Some(Wish::Show) => show_widget(step, session, view, queue),
            None => return,
        }
        ctx.request_repaint();
    }

    fn bubble(
        &mut self,
        ui: &mut egui::Ui,
        step: Step,
        is_done: bool,
        (is_seen, text): (bool, String),
        t: &theme::Tokens,
    ) -> Option<Wish> {
        let mut wish = None;
        ui.set_width(WIDTH);
        ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
        ui.horizontal(|ui| {
            let title = egui::RichText::new(step.title()).font(theme::semibold(14.0)).color(t.text_strong);
            ui.label(title);
            if is_done {
                let (rect, response) = ui.allocate_exact_size(vec2(16.0, 16.0), Sense::hover());
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, "Done"));
                let icon = icons::CHECK_CIRCLE;
                ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon, theme::icon(16.0), t.success);
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let tip = "Ends the tour; the palette finds it again";
                if widgets::icon_sized(ui, icons::X, "End tour", tip, false, 20.0).clicked() {
                    wish = Some(Wish::Skip);
                }
            });
        });
        ui.add(egui::Label::new(egui::RichText::new(text).color(t.text)).wrap());
        ui.add_space(2.0);
        ui.horizontal(|ui| {
            if let Some(n) = step.number() {
                dots(ui, n, t);
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let label = if step == Step::Volume { "Finish" } else { "Next" };
                if step != Step::Reconstruct {
                    let button = Button::new(label).height(26.0);
                    let button = if is_done || step == Step::Volume { button.primary() } else { button };
                    let button = button.show(ui);
                    if std::mem::take(&mut self.take_focus) {
                        button.request_focus();
                    }
                    self.has_focus = button.has_focus();
                    if button.clicked() {
                        wish = Some(Wish::Next);
                    }
                }
                if step.before().is_some() && Button::new("Back").quiet().height(26.0).show(ui).clicked() {
                    wish = Some(Wish::Back);
                }
                if !is_seen && Button::new("Show me").height(26.0).show(ui).clicked() {
                    wish = Some(Wish::Show);
                }
            });
        });
        wish
    }

    fn is_done(&self, step: Step, session: &Session, view: &ViewState) -> bool {
        let (Some(before), now) = (&self.before, now(session, view)) else { return false };
        match step {
            Step::Reconstruct => false,
            Step::Slice => now.cursor_um != before.cursor_um,
            Step::Histogram => now.window != before.window,
            Step::Paint => super::panels::segment::n_painted(session, view) >= 2,
            Step::Live => session.live().on || session.live().prediction.is_some(),
            Step::Volume => now.directions != before.directions,
        }
    }
}

fn now(session: &Session, view: &ViewState) -> Before {
    let volume = state::main_volume(session.project(), view);
    Before {
        cursor_um: view.cursor_um,
        window: volume.map(|layer| layer.display.window),
        directions: view.views.ids().map(|id| view.views.direction(id).map(|(turn, _)| turn)).collect(),
    }
}

/// Brings the widget of a step into sight.
fn show_widget(step: Step, session: &Session, view: &mut ViewState, queue: &mut Queue) {
    view.maximised = None;
    view.reveal = Some(step);
    if step != Step::Reconstruct {
        view.scan.open = false;
    }
    match step {
        Step::Reconstruct => (view.stage, view.right_open) = (Stage::Scan, true),
        Step::Slice => {
            if !view.views.shows(ViewKind::Xy) {
                view.want(ViewKind::Xy);
            }
        }
        Step::Histogram => {
            (view.left_open, view.histogram) = (true, state::HistogramMode::Window);
        }
        Step::Paint => {
            view.right_open = true;
            queue.run(CommandId::Brush);
            if session.project().classes.classes.is_empty() {
                super::panels::classes::add_usual(&session.project().classes, queue);
            }
        }
        Step::Live => (view.stage, view.right_open) = (Stage::Segment, true),
        Step::Volume => {
            queue.run(CommandId::Navigate);
            if !view.views.shows(ViewKind::Volume) {
                view.want(ViewKind::Volume);
            }
        }
    }
}

/// How far the tour is.
fn dots(ui: &mut egui::Ui, n: usize, t: &theme::Tokens) {
    let (rect, response) = ui.allocate_exact_size(vec2(70.0, 20.0), Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("Step {n} of 5")));
    for i in 1..=5 {
        let at = rect.left_center() + vec2(i as f32 * 12.0 - 6.0, 0.0);
        ui.painter().circle_filled(at, 3.0, if i <= n { t.accent } else { t.pressed });
    }
}

/// Where a bubble is, and on which side of it lies what it points at: beside it where there is room, else within it.
fn place(target: Option<Rect>, size: Vec2, room: Rect) -> (Pos2, Option<Vec2>) {
    let below = room.center_bottom() - vec2(size.x / 2.0, size.y + 60.0);
    let Some(target) = target else { return (below, None) };
    let middle = target.center() - size / 2.0;
    let sides = [
        (vec2(-1.0, 0.0), egui::pos2(target.right() + GAP, middle.y)),
        (vec2(1.0, 0.0), egui::pos2(target.left() - GAP - size.x, middle.y)),
        (vec2(0.0, -1.0), egui::pos2(middle.x, target.bottom() + GAP)),
        (vec2(0.0, 1.0), egui::pos2(middle.x, target.top() - GAP - size.y)),
    ];
    for (toward, at) in sides {
        // Along the edge it may slide; across it there must be room.
        let along_x = toward.x == 0.0;
        let slid = Pos2::new(
            if along_x { at.x.clamp(room.left(), (room.right() - size.x).max(room.left())) } else { at.x },
            if along_x { at.y } else { at.y.clamp(room.top(), (room.bottom() - size.y).max(room.top())) },
        );
        if room.contains_rect(Rect::from_min_size(slid, size)) {
            return (slid, Some(toward));
        }
    }
    let within = target.center_bottom() - vec2(size.x / 2.0, size.y + 16.0);
    (within.clamp(room.min, (room.max - size).max(room.min)), None)
}

/// A ring around what is meant, and the tip of the bubble.
fn point(ctx: &Context, target: Rect, at: Pos2, size: Vec2, toward: Option<Vec2>, t: &theme::Tokens) {
    let layer = egui::LayerId::new(Order::Foreground, egui::Id::unique("tour-ring"));
    let painter = ctx.layer_painter(layer);
    painter.rect_stroke(target.expand(2.0), 6, Stroke::new(2.0, t.accent), StrokeKind::Outside);
    let Some(toward) = toward else { return };
    let bubble = Rect::from_min_size(at, size);
    let across = toward.rot90() * 7.0;
    // The tip is at the middle of what both edges share.
    let shared = target.intersect(bubble.expand2(toward.abs() * 2.0 * (GAP + size.length())));
    let along = if toward.x == 0.0 {
        shared.center().x.clamp(bubble.left() + 16.0, bubble.right() - 16.0)
    } else {
        shared.center().y.clamp(bubble.top() + 16.0, bubble.bottom() - 16.0)
    };
    let base = bubble.center() + toward * (size * 0.5);
    let base = if toward.x == 0.0 { egui::pos2(along, base.y) } else { egui::pos2(base.x, along) };
    let tip = base + toward * (GAP - 3.0);
    painter.add(Shape::convex_polygon(vec![base + across, tip, base - across], t.accent, Stroke::NONE));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_lead_to_the_end_and_back_to_the_first() {
        let mut step = Step::Reconstruct;
        let mut names = Vec::new();
        while let Some(next) = step.next() {
            step = next;
            names.push(step.number().unwrap());
        }
        assert_eq!(names, [1, 2, 3, 4, 5]);
        while let Some(before) = step.before() {
            step = before;
        }
        assert_eq!(step, Step::Slice);
        assert_eq!(Step::Reconstruct.before(), None);
    }

    #[test]
    fn a_bubble_stays_in_the_window_beside_what_it_points_at() {
        let room = Rect::from_min_size(Pos2::ZERO, vec2(1280.0, 720.0)).shrink(8.0);
        let size = vec2(328.0, 160.0);
        let targets = [
            Rect::from_min_size(egui::pos2(0.0, 500.0), vec2(240.0, 118.0)),
            Rect::from_min_size(egui::pos2(1000.0, 80.0), vec2(270.0, 26.0)),
            Rect::from_min_size(egui::pos2(300.0, 50.0), vec2(340.0, 300.0)),
            Rect::from_min_size(egui::pos2(10.0, 700.0), vec2(1260.0, 18.0)),
        ];
        for target in targets {
            let (at, toward) = place(Some(target), size, room);
            let bubble = Rect::from_min_size(at, size);
            assert!(room.contains_rect(bubble), "{bubble:?}");
            assert!(toward.is_some() && !bubble.intersects(target), "{bubble:?} covers {target:?}");
        }
        let (at, toward) = place(Some(room), size, room);
        assert!(
            toward.is_none() && room.contains_rect(Rect::from_min_size(at, size)),
            "within what fills it all"
        );
        assert!(room.contains_rect(Rect::from_min_size(place(None, size, room).0, size)));
    }
}
