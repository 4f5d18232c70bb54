//! The bar at the top: the program, the project, the stages of the work, search, theme.

use egui::{Align2, Sense, Stroke, vec2};

use super::commands::{COMMANDS, CommandId, Group, find};
use super::frame::Cx;
use super::moment::is_unsaved;
use super::{icons, theme, widgets};
use crate::ops::Stage;

/// The stages in the order of the work.
const STAGES: [Stage; 8] = [
    Stage::Scan,
    Stage::Align,
    Stage::Reconstruct,
    Stage::Quality,
    Stage::Segment,
    Stage::Measure,
    Stage::Correlate,
    Stage::Export,
];

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    ui.spacing_mut().item_spacing.x = 4.0;
    let bar = ui.max_rect();
    let used = ui.horizontal_centered(|ui| {
        brand(ui);
        if cx.facts.project {
            ui.add_space(8.0);
            project_menu(ui, cx);
        }
        ui.cursor().left()
    });
    if cx.facts.project {
        stages(ui, bar, used.inner, cx);
    }
    let right = egui::UiBuilder::new().max_rect(bar).layout(egui::Layout::right_to_left(egui::Align::Center));
    ui.scope_builder(right, |ui| right_end(ui, bar.width(), cx));
}

/// The mark: a frame whose left half is filled.
fn brand(ui: &mut egui::Ui) {
    let t = theme::of(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(18.0, 18.0), Sense::hover());
    let painter = ui.painter();
    painter.rect_stroke(rect.shrink(1.0), 3, Stroke::new(1.5, t.text_strong), egui::StrokeKind::Inside);
    let half =
        egui::Rect::from_min_max(rect.min + vec2(4.0, 4.0), egui::pos2(rect.center().x, rect.bottom() - 4.0));
    painter.rect_filled(half, 1, t.accent);
    ui.add_space(2.0);
    ui.label(egui::RichText::new("Waterwindow").font(theme::semibold(14.0)).color(t.text_strong));
}

fn project_menu(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let name = cx.session.project().name.clone();
    let shown: String = if name.chars().count() > 22 {
        name.chars().take(21).chain(std::iter::once('…')).collect()
    } else {
        name
    };
    let galley = ui.painter().layout_no_wrap(shown, theme::medium(13.0), t.text_strong);
    let unsaved = is_unsaved(cx.session, cx.view);
    let dot = if unsaved { 12.0 } else { 0.0 };
    let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x + 34.0 + dot, 28.0), Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "Project menu"));
    if response.hovered() || egui::Popup::is_id_open(ui.ctx(), egui::Popup::default_response_id(&response)) {
        ui.painter().rect_filled(rect, theme::RADIUS, t.hover);
    }
    let y = rect.center().y;
    ui.painter().galley(egui::pos2(rect.left() + 8.0, y - galley.size().y / 2.0), galley, t.text_strong);
    if dot > 0.0 {
        ui.painter().circle_filled(egui::pos2(rect.right() - 28.0, y), 3.0, t.accent);
    }
    ui.painter().text(
        egui::pos2(rect.right() - 12.0, y),
        Align2::CENTER_CENTER,
        icons::CARET_DOWN,
        theme::icon(12.0),
        t.text_weak,
    );
    egui::Popup::menu(&response).accessible_name("Project menu").show(|ui| {
        ui.set_width(300.0);
        ui.spacing_mut().item_spacing.y = 0.0;
        menu_items(ui, Group::Project, cx);
        ui.add(egui::Separator::default().spacing(6.0));
        menu_items(ui, Group::Edit, cx);
    });
    if unsaved {
        response.on_hover_text(if cx.session.is_dirty() {
            "There are changes that are not saved; they are kept in the journal"
        } else {
            "Volume or surfaces look otherwise than when the project was saved"
        });
    }
}

/// The commands of a group as a menu.
fn menu_items(ui: &mut egui::Ui, group: Group, cx: &mut Cx<'_>) {
    for entry in COMMANDS.iter().filter(|entry| entry.group == group) {
        let enabled = (entry.enabled)(&cx.facts);
        let label = match entry.id {
            CommandId::Undo => cx.session.undo_label().map(|what| format!("Undo {}", lower_first(what))),
            CommandId::Redo => cx.session.redo_label().map(|what| format!("Redo {}", lower_first(what))),
            _ => None,
        }
        .unwrap_or_else(|| entry.label.to_owned());
        ui.add_enabled_ui(enabled, |ui| {
            let clicked = widgets::Button::new(&label)
                .icon(entry.icon)
                .quiet()
                .fill_width()
                .height(28.0)
                .shortcut(entry.shortcut())
                .show(ui)
                .on_hover_text(entry.tooltip)
                .clicked();
            if clicked {
                cx.queue.run(entry.id);
                ui.close();
            }
        });
    }
}

/// A sentence's start as it continues another one; abbreviations stay.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

fn stages(ui: &mut egui::Ui, bar: egui::Rect, after: f32, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let font = theme::medium(13.0);
    let names: Vec<_> = STAGES
        .iter()
        .map(|stage| {
            let entry = find(CommandId::Stage(*stage));
            (*stage, entry, ui.painter().layout_no_wrap(entry.label.to_owned(), font.clone(), t.text))
        })
        .collect();
    let gap = if bar.width() < 1400.0 { 18.0 } else { 26.0 };
    let width: f32 = names.iter().map(|(_, _, galley)| galley.size().x + gap).sum();
    // In the middle where there is room, else right behind the project.
    let left = (bar.center().x - width / 2.0).max(after + 12.0);
    let mut x = left;
    for (stage, entry, galley) in names {
        let done = super::frame::stage_done(cx, stage);
        let cell =
            egui::Rect::from_min_size(egui::pos2(x, bar.top()), vec2(galley.size().x + gap, bar.height()));
        x += cell.width();
        let response = ui.interact(cell, ui.scope_id().with(("stage", entry.label)), Sense::click());
        let on = cx.view.stage == stage;
        let name = format!("Stage {}", entry.label);
        response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Tab, true, on, &name));
        let color = if on {
            t.text_strong
        } else if response.hovered() {
            t.text
        } else {
            t.text_weak
        };
        let at = egui::pos2(cell.center().x - galley.size().x / 2.0, cell.center().y - galley.size().y / 2.0);
        let right = at.x + galley.size().x;
        ui.painter().galley_with_override_text_color(at, galley, color);
        if done {
            ui.painter().text(
                egui::pos2(right + 1.0, cell.center().y - 6.0),
                Align2::LEFT_CENTER,
                icons::CHECK,
                theme::icon(10.0),
                t.success,
            );
        }
        if on {
            ui.painter().hline(at.x..=right, cell.bottom() - 1.0, Stroke::new(2.0, t.accent));
        }
        if response.on_hover_text(entry.tooltip_with_key()).clicked() {
            cx.queue.run(entry.id);
        }
    }
}

fn right_end(ui: &mut egui::Ui, width: f32, cx: &mut Cx<'_>) {
    ui.spacing_mut().item_spacing.x = 2.0;
    let dark = ui.visuals().dark_mode;
    let entry = find(CommandId::Theme);
    let icon = if dark { icons::SUN } else { icons::MOON };
    if widgets::icon_button(ui, icon, "Dark or light", entry.tooltip).clicked() {
        cx.queue.run(CommandId::Theme);
    }
    let help = widgets::icon_button(ui, icons::QUESTION, "Help", "Keys, and the tour of one minute");
    egui::Popup::menu(&help).accessible_name("Help").show(|ui| {
        ui.set_width(230.0);
        ui.spacing_mut().item_spacing.y = 0.0;
        for id in [CommandId::KeyOverlay, CommandId::Tour] {
            let entry = find(id);
            let button = widgets::Button::new(entry.label).icon(entry.icon).quiet().fill_width().height(28.0);
            if button.shortcut(entry.shortcut()).show(ui).on_hover_text(entry.tooltip).clicked() {
                cx.queue.run(id);
                ui.close();
            }
        }
    });
    if cx.facts.project {
        let panel = find(CommandId::RightPanel);
        let tip = panel.tooltip_with_key();
        if widgets::icon_toggle(ui, icons::SLIDERS_HORIZONTAL, panel.label, &tip, false).clicked() {
            cx.queue.run(CommandId::RightPanel);
        }
        for id in [CommandId::Redo, CommandId::Undo] {
            let entry = find(id);
            ui.add_enabled_ui((entry.enabled)(&cx.facts), |ui| {
                if widgets::icon_button(ui, entry.icon, entry.label, &entry.tooltip_with_key()).clicked() {
                    cx.queue.run(id);
                }
            });
        }
    }
    ui.add_space(4.0);
    search(ui, width < 1500.0 && cx.facts.project, cx);
}

/// Looks like a field, opens the palette.
fn search(ui: &mut egui::Ui, small: bool, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let entry = find(CommandId::Palette);
    if small {
        if widgets::icon_button(ui, entry.icon, entry.label, &entry.tooltip_with_key()).clicked() {
            cx.queue.run(CommandId::Palette);
        }
        return;
    }
    let (rect, response) = ui.allocate_exact_size(vec2(190.0, 26.0), Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, entry.label));
    let edge = if response.hovered() { t.text_weak } else { t.line };
    ui.painter().rect(rect, theme::RADIUS, t.inset, Stroke::new(1.0, edge), egui::StrokeKind::Inside);
    let y = rect.center().y;
    ui.painter().text(
        egui::pos2(rect.left() + 14.0, y),
        Align2::CENTER_CENTER,
        entry.icon,
        theme::icon(14.0),
        t.text_weak,
    );
    ui.painter().text(
        egui::pos2(rect.left() + 26.0, y),
        Align2::LEFT_CENTER,
        entry.label,
        egui::FontId::proportional(12.0),
        t.text_weak,
    );
    ui.painter().text(
        egui::pos2(rect.right() - 8.0, y),
        Align2::RIGHT_CENTER,
        entry.shortcut(),
        egui::FontId::proportional(11.0),
        t.text_weak,
    );
    if response.clicked() {
        cx.queue.run(CommandId::Palette);
    }
}
