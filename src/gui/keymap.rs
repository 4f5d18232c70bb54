//! The overlay of every shortcut, opened with "?"; a click on a command changes its shortcut.

use std::collections::BTreeMap;

use egui::{Key, KeyboardShortcut, vec2};

use super::commands::presets::Preset;
use super::commands::{COMMANDS, CommandId, Entry, Group, MOUSE, custom, find, format_shortcut};
use super::widgets::Button;
use super::{icons, theme, widgets};
use crate::session::Settings;

/// The shortcut that is being changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Changing {
    /// Of which command; the next key is for it.
    id: Option<CommandId>,
    /// A key that another command has: it is asked first.
    taken: Option<KeyboardShortcut>,
}

impl Changing {
    /// Whether keys go to it and to no command.
    pub(crate) fn is_listening(self) -> bool {
        self.id.is_some()
    }

    /// Takes the key that was pressed; the shortcuts where that changes them.
    fn listen(&mut self, ctx: &egui::Context, settings: &Settings) -> Option<Settings> {
        let id = self.id.filter(|_| self.taken.is_none())?;
        let key = custom::take_pressed(ctx)?;
        if key.modifiers.is_none() && key.logical_key == Key::Escape {
            self.id = None;
            return None;
        }
        if key.modifiers.is_none() && matches!(key.logical_key, Key::Backspace | Key::Delete) {
            return Some(self.assign(id, None, settings));
        }
        if custom::owner(&key, id).is_some() {
            self.taken = Some(key);
            return None;
        }
        Some(self.assign(id, Some(key), settings))
    }

    fn assign(&mut self, id: CommandId, key: Option<KeyboardShortcut>, settings: &Settings) -> Settings {
        *self = Self::default();
        let shortcuts = custom::with(settings.shortcuts.clone(), id, key);
        Settings { shortcuts, ..settings.clone() }
    }
}

/// Draws the overlay; false once it should close, and the settings where a shortcut or the set was changed.
pub(crate) fn show(
    ctx: &egui::Context,
    changing: &mut Changing,
    settings: &Settings,
) -> (bool, Option<Settings>) {
    let mut changed = changing.listen(ctx, settings);
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
            let width = (content.width() - 96.0).min(1180.0);
            ui.set_width(width);
            ui.horizontal(|ui| {
                ui.label(
                    egui::RichText::new("Keyboard and mouse")
                        .font(theme::semibold(16.0))
                        .color(tokens.text_strong),
                );
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    if let Some(preset) = preset_choice(ui) {
                        changed = Some(Settings { keymap: preset.id().to_owned(), ..settings.clone() });
                    }
                    ui.add_enabled_ui(!settings.shortcuts.is_empty(), |ui| {
                        let button = Button::new("Reset all").height(theme::ROW).name("Reset all shortcuts");
                        if button.show(ui).on_hover_text("As in the set that is chosen").clicked() {
                            let shortcuts = BTreeMap::new();
                            changed = Some(Settings { shortcuts, ..settings.clone() });
                        }
                    });
                });
            });
            changed = question(ui, changing, settings).or(changed.take());
            ui.add_space(8.0);
            let room = content.height() - 170.0;
            egui::ScrollArea::vertical().max_height(room).min_scrolled_height(room).show(ui, |ui| {
                let n = if width > 900.0 { 3 } else { 2 };
                ui.columns(n, |columns| {
                    if let Some(reset) = columns_ui(columns, changing) {
                        let mut shortcuts = settings.shortcuts.clone();
                        shortcuts.remove(&custom::name_of(reset));
                        changed = Some(Settings { shortcuts, ..settings.clone() });
                    }
                });
            });
        });
    let open = changing.is_listening() || !modal.should_close();
    if !open {
        *changing = Changing::default();
    }
    (open, changed)
}

/// What is asked while a shortcut is being changed.
fn question(ui: &mut egui::Ui, changing: &mut Changing, settings: &Settings) -> Option<Settings> {
    let t = theme::of(ui);
    let Some(id) = changing.id else {
        widgets::hint(ui, "Click a command to change its shortcut.");
        return None;
    };
    let label = find(id).label.trim_end_matches('…');
    let mut changed = None;
    ui.horizontal(|ui| {
        let owner = changing.taken.and_then(|key| custom::owner(&key, id).map(|owner| (key, owner)));
        let text = match owner {
            Some((key, owner)) => {
                format!("{} belongs to “{}”.", format_shortcut(&key), owner.label.trim_end_matches('…'))
            }
            None => format!("Press the new key for “{label}”; Backspace for none, Escape to leave it."),
        };
        ui.label(egui::RichText::new(text).color(t.text_strong));
        if let Some((key, _)) = owner {
            let name = format!("Give it to {label}");
            if Button::new(&name).primary().height(theme::ROW).show(ui).clicked() {
                changed = Some(changing.assign(id, Some(key), settings));
            }
        }
        if Button::new("Cancel").height(theme::ROW).name("Cancel change of shortcut").show(ui).clicked() {
            *changing = Changing::default();
        }
    });
    changed
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

/// Fills the columns from left to right, each group in the shortest one; a command whose shortcut is to be as in its set.
fn columns_ui(columns: &mut [egui::Ui], changing: &mut Changing) -> Option<CommandId> {
    let mut reset = None;
    let shortest = |columns: &[egui::Ui]| {
        (0..columns.len())
            .min_by(|a, b| columns[*a].min_rect().height().total_cmp(&columns[*b].min_rect().height()))
            .unwrap_or(0)
    };
    let at = shortest(columns);
    if let Some(ui) = columns.get_mut(at) {
        widgets::heading(ui, "Mouse in the views");
        for (input, what) in MOUSE {
            pair(ui, &[(*input).to_owned()], what, false);
        }
        ui.add_space(12.0);
    }
    for group in Group::ALL {
        let at = shortest(columns);
        let Some(ui) = columns.get_mut(at) else { continue };
        widgets::heading(ui, group.label());
        for entry in COMMANDS.iter().filter(|e| e.group == group && shown(e)) {
            match entry.id {
                CommandId::Class(_) => {
                    pair(ui, &["1".to_owned(), "9".to_owned()], "Paint with class 1 to 9", true);
                }
                _ => reset = command(ui, entry, changing).or(reset),
            }
        }
        ui.add_space(12.0);
    }
    reset
}

/// A command with its keys: a click changes them. Itself, where its keys are to be as in the set.
fn command(ui: &mut egui::Ui, entry: &Entry, changing: &mut Changing) -> Option<CommandId> {
    let t = theme::of(ui);
    let keys: Vec<_> = entry.keys_in_force().iter().map(format_shortcut).collect();
    let label = entry.label.trim_end_matches('…');
    let top = ui.cursor().min;
    let row = egui::Rect::from_min_size(top, vec2(ui.available_width(), 22.0));
    let name = format!("Shortcut of {label}");
    let response = ui.interact(row, ui.scope_id().with(("shortcut", label)), egui::Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
    let is_on = changing.id == Some(entry.id);
    if is_on || response.hovered() || response.has_focus() {
        let fill = if is_on { t.accent_soft } else { t.hover };
        ui.painter().rect_filled(row.expand2(vec2(4.0, 0.0)), theme::RADIUS, fill);
    }
    if response.clicked() {
        *changing = Changing { id: Some(entry.id), taken: None };
    }
    pair(ui, &keys, label, true);
    if !custom::is_changed(entry.id) {
        return None;
    }
    let place = egui::Rect::from_min_size(row.right_top() - vec2(22.0, 0.0), vec2(22.0, 22.0));
    let name = format!("Reset shortcut of {label}");
    let tooltip = "As in the set that is chosen";
    let button = ui.scope_builder(egui::UiBuilder::new().max_rect(place), |ui| {
        widgets::icon_sized(ui, icons::ARROW_COUNTER_CLOCKWISE, &name, tooltip, false, 20.0).clicked()
    });
    button.inner.then_some(entry.id)
}

fn shown(entry: &Entry) -> bool {
    !matches!(entry.id, CommandId::Class(n) if n > 1)
}

/// Room of the keys before what they do, points.
const KEYS: f32 = 134.0;

/// Keys and what they do, in one line or in as many as it takes.
fn pair(ui: &mut egui::Ui, keys: &[String], what: &str, one_line: bool) {
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
            ui.add_space((KEYS - used).max(6.0));
            let label = egui::Label::new(egui::RichText::new(what).color(t.text));
            ui.add(if one_line { label.truncate() } else { label.wrap() });
        },
    );
}
