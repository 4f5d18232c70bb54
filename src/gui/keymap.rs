//! The overlay of every shortcut, opened with "?" and closed with any key or click.

use egui::vec2;

use super::commands::presets::Preset;
use super::commands::{COMMANDS, CommandId, Entry, Group, MOUSE, format_shortcut};
use super::{theme, widgets};

/// Draws the overlay; false once it should close, and the set of shortcuts where another one was chosen.
pub(crate) fn show(ctx: &egui::Context) -> (bool, Option<Preset>) {
    let mut chosen = None;
    let content = ctx.content_rect();
    let tokens = theme::of_visuals(&ctx.global_style().visuals);
    let modal = egui::Modal::new(egui::Id::unique("key-overlay"))
        .backdrop_color(tokens.backdrop)
        .area(
            egui::Modal::default_area(egui::Id::unique("key-overlay")).accessible_name("Keyboard and mouse"),
        )
        .frame(
            egui::Frame::new()
                .fill(tokens.panel)
                .stroke(egui::Stroke::new(1.0, tokens.line))
                .corner_radius(12)
                .inner_margin(24)
                .shadow(egui::Shadow { offset: [0, 16], blur: 40, spread: 0, color: tokens.shadow }),
        )
        .show(ctx, |ui| {
            let width = (content.width() - 96.0).min(1080.0);
            ui.set_width(width);
            ui.horizontal(|ui| {
                ui.label(
                    egui::RichText::new("Keyboard and mouse")
                        .font(theme::semibold(16.0))
                        .color(tokens.text_strong),
                );
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    chosen = preset_choice(ui);
                });
            });
            ui.add_space(8.0);
            egui::ScrollArea::vertical().max_height(content.height() - 150.0).show(ui, |ui| {
                let n = if width > 900.0 { 3 } else { 2 };
                ui.columns(n, columns_ui);
            });
        });
    (!modal.should_close(), chosen)
}

/// The set of shortcuts; the one that was chosen now.
fn preset_choice(ui: &mut egui::Ui) -> Option<Preset> {
    let mut chosen = None;
    egui::ComboBox::from_id_salt("shortcuts")
        .selected_text(Preset::in_force().label())
        .width(150.0)
        .show_ui(ui, |ui| {
            for preset in Preset::ALL {
                if ui.selectable_label(preset == Preset::in_force(), preset.label()).clicked() {
                    chosen = Some(preset);
                }
            }
        })
        .response
        .accessible_name("Shortcuts as in");
    ui.label("Shortcuts as in");
    chosen
}

/// Fills the columns from left to right, each group in the shortest one.
fn columns_ui(columns: &mut [egui::Ui]) {
    let shortest = |columns: &[egui::Ui]| {
        (0..columns.len())
            .min_by(|a, b| columns[*a].min_rect().height().total_cmp(&columns[*b].min_rect().height()))
            .unwrap_or(0)
    };
    let at = shortest(columns);
    if let Some(ui) = columns.get_mut(at) {
        widgets::heading(ui, "Mouse in the views");
        for (input, what) in MOUSE {
            pair(ui, &[(*input).to_owned()], what);
        }
        ui.add_space(12.0);
    }
    for group in Group::ALL {
        let at = shortest(columns);
        let Some(ui) = columns.get_mut(at) else { continue };
        widgets::heading(ui, group.label());
        for entry in COMMANDS.iter().filter(|e| e.group == group && shown(e)) {
            match entry.id {
                CommandId::Class(_) => pair(ui, &["1".to_owned(), "9".to_owned()], "Paint with class 1 to 9"),
                _ => {
                    let keys: Vec<_> = entry.keys_in_force().iter().map(format_shortcut).collect();
                    pair(ui, &keys, entry.label.trim_end_matches('…'));
                }
            }
        }
        ui.add_space(12.0);
    }
}

fn shown(entry: &Entry) -> bool {
    !entry.keys_in_force().is_empty() && !matches!(entry.id, CommandId::Class(n) if n > 1)
}

fn pair(ui: &mut egui::Ui, keys: &[String], what: &str) {
    let t = theme::of(ui);
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), 22.0),
        egui::Layout::left_to_right(egui::Align::Center),
        |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            let start = ui.cursor().left();
            for key in keys {
                widgets::key_cap(ui, key);
            }
            let used = ui.cursor().left() - start;
            ui.add_space((150.0 - used).max(6.0));
            ui.add(egui::Label::new(egui::RichText::new(what).color(t.text)).truncate());
        },
    );
}
