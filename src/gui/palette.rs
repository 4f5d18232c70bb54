//! The command palette: every command by its name, found by typing parts of it.

use egui::{Align2, Key, Modifiers, Sense, vec2};

use super::commands::{COMMANDS, CommandId, Entry, Facts};
use super::{icons, theme};

/// The palette while it is open.
#[derive(Debug, Default)]
pub(crate) struct Palette {
    open: bool,
    query: String,
    chosen: usize,
}

/// How well `query` fits `text`: `None` if a letter is missing, smaller is better.
fn fit(query: &str, text: &str) -> Option<usize> {
    let text = text.to_lowercase();
    let mut cost = 0;
    for word in query.to_lowercase().split_whitespace() {
        if let Some(at) = text.find(word) {
            let starts_word = at == 0 || text.as_bytes().get(at - 1) == Some(&b' ');
            cost += at + if starts_word { 0 } else { 20 };
            continue;
        }
        let mut rest = text.chars();
        for letter in word.chars() {
            let skipped = rest.by_ref().position(|c| c == letter)?;
            cost += 40 + 4 * skipped;
        }
    }
    Some(cost)
}

/// The commands that fit, best first; those that cannot be done now come last.
pub(crate) fn matches(query: &str, facts: &Facts) -> Vec<&'static Entry> {
    let mut found: Vec<_> = COMMANDS
        .iter()
        .filter(|entry| !matches!(entry.id, CommandId::Class(_) | CommandId::Palette))
        .filter_map(|entry| {
            let by_label = fit(query, entry.label);
            let by_tooltip = (query.len() > 2)
                .then(|| entry.tooltip.to_lowercase().find(&query.to_lowercase()).map(|_| 500))
                .flatten();
            by_label.or(by_tooltip).map(|cost| (!(entry.enabled)(facts), cost, entry))
        })
        .collect();
    found.sort_by_key(|(off, cost, _)| (*off, *cost));
    found.into_iter().map(|(_, _, entry)| entry).collect()
}

impl Palette {
    /// Opens or closes it.
    pub(crate) fn toggle(&mut self) {
        *self = Self { open: !self.open, ..Self::default() };
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Draws it; gives the command that was chosen.
    pub(crate) fn show(&mut self, ctx: &egui::Context, facts: &Facts) -> Option<CommandId> {
        if !self.open {
            return None;
        }
        let (up, down, enter, escape) = ctx.input_mut(|input| {
            (
                input.consume_key(Modifiers::NONE, Key::ArrowUp),
                input.consume_key(Modifiers::NONE, Key::ArrowDown),
                input.consume_key(Modifiers::NONE, Key::Enter),
                input.consume_key(Modifiers::NONE, Key::Escape),
            )
        });
        let found = matches(&self.query, facts);
        if down {
            self.chosen = (self.chosen + 1).min(found.len().saturating_sub(1));
        }
        if up {
            self.chosen = self.chosen.saturating_sub(1);
        }
        let mut run = None;
        if enter && let Some(entry) = found.get(self.chosen).filter(|entry| (entry.enabled)(facts)) {
            run = Some(entry.id);
        }
        let content = ctx.content_rect();
        let tokens = theme::of_visuals(&ctx.global_style().visuals);
        let modal = egui::Modal::new(egui::Id::unique("palette"))
            .backdrop_color(tokens.backdrop)
            .frame(
                egui::Frame::new()
                    .fill(tokens.panel)
                    .stroke(egui::Stroke::new(1.0, tokens.line))
                    .corner_radius(10)
                    .shadow(egui::Shadow { offset: [0, 16], blur: 40, spread: 0, color: tokens.shadow }),
            )
            .area(
                egui::Modal::default_area(egui::Id::unique("palette"))
                    .anchor(Align2::CENTER_TOP, vec2(0.0, (content.height() * 0.14).round()))
                    .accessible_name("Command palette"),
            )
            .show(ctx, |ui| {
                ui.set_width(560.0_f32.min(content.width() - 40.0));
                ui.spacing_mut().item_spacing.y = 0.0;
                self.field(ui);
                ui.add(egui::Separator::default().spacing(1.0));
                self.list(ui, &found, facts, up || down)
            });
        if let Some(id) = modal.inner {
            run = Some(id);
        }
        if run.is_some() || escape || modal.should_close() {
            self.open = false;
        }
        run
    }

    fn field(&mut self, ui: &mut egui::Ui) {
        let t = theme::of(ui);
        egui::Frame::new().inner_margin(egui::Margin::symmetric(14, 10)).show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(
                    egui::RichText::new(icons::MAGNIFYING_GLASS).font(theme::icon(18.0)).color(t.text_weak),
                );
                let field = egui::TextEdit::singleline(&mut self.query)
                    .hint_text("Search commands")
                    .font(egui::FontId::proportional(15.0))
                    .frame(egui::Frame::NONE)
                    .background_color(egui::Color32::TRANSPARENT)
                    .desired_width(f32::INFINITY);
                let response = ui.add(field).accessible_name("Search commands field");
                response.request_focus();
                if response.changed() {
                    self.chosen = 0;
                }
            });
        });
    }

    fn list(
        &self,
        ui: &mut egui::Ui,
        found: &[&'static Entry],
        facts: &Facts,
        moved: bool,
    ) -> Option<CommandId> {
        let mut run = None;
        egui::ScrollArea::vertical().max_height(360.0).show(ui, |ui| {
            egui::Frame::new().inner_margin(6).show(ui, |ui| {
                if found.is_empty() {
                    ui.add_space(8.0);
                    super::widgets::hint(ui, "No command has this name");
                    ui.add_space(8.0);
                }
                for (i, entry) in found.iter().enumerate() {
                    let response = line(ui, entry, i == self.chosen, (entry.enabled)(facts));
                    if i == self.chosen && moved {
                        response.scroll_to_me(None);
                    }
                    if response.clicked() && (entry.enabled)(facts) {
                        run = Some(entry.id);
                    }
                }
            });
        });
        run
    }
}

fn line(ui: &mut egui::Ui, entry: &Entry, chosen: bool, enabled: bool) -> egui::Response {
    let t = theme::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 30.0), Sense::click());
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::Button, enabled, chosen, format!("Run {}", entry.label))
    });
    if !ui.is_rect_visible(rect) {
        return response;
    }
    if chosen || response.hovered() {
        ui.painter().rect_filled(rect, theme::RADIUS, if chosen { t.accent_soft } else { t.raised });
    }
    let fade = if enabled { 1.0 } else { 0.4 };
    let painter = ui.painter();
    let y = rect.center().y;
    let at = |x: f32| egui::pos2(rect.left() + x, y);
    painter.text(at(18.0), Align2::CENTER_CENTER, entry.icon, theme::icon(16.0), t.text.gamma_multiply(fade));
    let label = painter.text(
        at(36.0),
        Align2::LEFT_CENTER,
        entry.label,
        theme::medium(13.0),
        t.text_strong.gamma_multiply(fade),
    );
    let keys = entry.shortcut();
    let right = painter.text(
        egui::pos2(rect.right() - 10.0, y),
        Align2::RIGHT_CENTER,
        &keys,
        egui::FontId::proportional(12.0),
        t.text_weak,
    );
    let room = egui::Rect::from_min_max(
        egui::pos2(label.right() + 12.0, rect.top()),
        egui::pos2(right.left() - 12.0, rect.bottom()),
    );
    let (font, color) = (egui::FontId::proportional(12.0), t.text_weak.gamma_multiply(fade));
    let galley = super::widgets::cut_line(ui, entry.tooltip, font, room.width(), color);
    painter.galley(egui::pos2(room.left(), y - galley.size().y / 2.0), galley, color);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_name_find_the_command() {
        let facts = Facts { project: true, volume: true, ..Facts::default() };
        assert_eq!(matches("fit", &facts).first().map(|e| e.id), Some(CommandId::FitViews));
        assert_eq!(matches("undo", &facts).first().map(|e| e.id), Some(CommandId::Undo));
        assert_eq!(matches("dmyst", &facts).first().map(|e| e.id), Some(CommandId::DemoYeast));
        assert!(matches("zzzz", &facts).is_empty());
    }

    #[test]
    fn what_cannot_be_done_now_comes_last() {
        let found = matches("", &Facts::default());
        let first_off = found.iter().position(|e| !(e.enabled)(&Facts::default())).unwrap();
        assert!(found[first_off..].iter().all(|e| !(e.enabled)(&Facts::default())));
    }
}
