//! Messages at the bottom right: what happened, what is still fine, what to do.
//!
//! Information goes by itself; warnings stay longer; errors stay until they are closed.

use egui::{Align2, Sense, Stroke, vec2};

use super::{icons, theme, widgets};

/// How serious a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Done.
    Info,
    /// Done otherwise than asked.
    Warning,
    /// Not done.
    Error,
}

#[derive(Debug, Clone)]
struct Message {
    id: u64,
    level: Level,
    text: String,
    until: Option<f64>,
}

/// All messages that are shown.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    shown: Vec<Message>,
    next: u64,
    fresh: Vec<(Level, String)>,
}

impl Messages {
    /// Adds a message; the same text is not shown twice.
    pub(crate) fn push(&mut self, level: Level, text: impl Into<String>) {
        let text = text.into();
        if !self.shown.iter().any(|m| m.text == text) && !self.fresh.iter().any(|(_, other)| *other == text) {
            self.fresh.push((level, text));
        }
    }

    /// Draws them and lets those go whose time is over.
    pub(crate) fn show(&mut self, ctx: &egui::Context) {
        let now = ctx.input(|input| input.time);
        for (level, text) in std::mem::take(&mut self.fresh) {
            let seconds = match level {
                Level::Info => Some(5.0),
                Level::Warning => Some(14.0),
                Level::Error => None,
            };
            self.shown.push(Message { id: self.next, level, text, until: seconds.map(|s| now + s) });
            self.next += 1;
        }
        self.shown.retain(|m| m.until.is_none_or(|until| until > now));
        if self.shown.is_empty() {
            return;
        }
        if let Some(next) = self.shown.iter().filter_map(|m| m.until).reduce(f64::min) {
            ctx.request_repaint_after(std::time::Duration::from_secs_f64((next - now).clamp(0.02, 60.0)));
        }
        let mut closed = None;
        egui::Area::new(egui::Id::unique("messages"))
            .order(egui::Order::Foreground)
            .anchor(Align2::RIGHT_BOTTOM, vec2(-12.0, -(theme::STATUS_BAR + 12.0)))
            .accessible_name("Messages")
            .show(ctx, |ui| {
                ui.spacing_mut().item_spacing.y = 8.0;
                for message in self.shown.iter().rev().take(5).rev() {
                    if toast(ui, message) {
                        closed = Some(message.id);
                    }
                }
            });
        if let Some(id) = closed {
            self.shown.retain(|m| m.id != id);
        }
    }
}

/// One message; true when it was closed.
fn toast(ui: &mut egui::Ui, message: &Message) -> bool {
    let t = theme::of(ui);
    let (icon, color) = match message.level {
        Level::Info => (icons::CHECK_CIRCLE, t.success),
        Level::Warning => (icons::WARNING, t.warning),
        Level::Error => (icons::WARNING_CIRCLE, t.error),
    };
    let frame = egui::Frame::new()
        .fill(t.raised)
        .stroke(Stroke::new(1.0, t.line))
        .corner_radius(8)
        .inner_margin(egui::Margin::symmetric(10, 8))
        .shadow(egui::Shadow { offset: [0, 6], blur: 18, spread: 0, color: t.shadow });
    frame
        .show(ui, |ui| {
            ui.set_width(360.0);
            ui.horizontal_top(|ui| {
                let (rect, _) = ui.allocate_exact_size(vec2(18.0, 20.0), Sense::hover());
                ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon, theme::icon(17.0), color);
                ui.allocate_ui(vec2(300.0, 0.0), |ui| {
                    ui.set_width(300.0);
                    ui.add(egui::Label::new(egui::RichText::new(&message.text).color(t.text_strong)).wrap());
                });
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Min), |ui| {
                    widgets::icon_sized(ui, icons::X, "Close message", "", false, 20.0).clicked()
                })
                .inner
            })
            .inner
        })
        .inner
}
