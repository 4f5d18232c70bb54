//! The controls that every panel is made of. The same widget for the same job everywhere.
//!
//! Each names itself for screen readers and for tests that find it by its label.

pub(crate) mod form;
pub(crate) mod gradient;
pub(crate) mod plot;
pub(crate) mod tree;

use std::sync::Arc;

use egui::{Align2, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, vec2};

use super::theme;
use super::{icons, theme::GRID};

/// Room before the label of a button.
pub(crate) const PAD: f32 = 2.0 * GRID + 1.0;

/// How loud a button is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loudness {
    /// The one thing to do here: on the accent.
    Primary,
    /// An ordinary button.
    Plain,
    /// No fill until hovered: rows, bars, toolbars.
    Quiet,
}

/// A button with an optional icon in front of its label.
pub(crate) struct Button<'a> {
    icon: &'a str,
    label: &'a str,
    loudness: Loudness,
    selected: bool,
    fill_width: bool,
    height: f32,
    shortcut: String,
    name: Option<&'a str>,
}

impl<'a> Button<'a> {
    /// A plain button.
    pub(crate) fn new(label: &'a str) -> Self {
        Self {
            icon: "",
            label,
            loudness: Loudness::Plain,
            selected: false,
            fill_width: false,
            height: theme::ROW,
            shortcut: String::new(),
            name: None,
        }
    }

    /// With an icon in front.
    pub(crate) fn icon(mut self, icon: &'a str) -> Self {
        self.icon = icon;
        self
    }

    /// The one thing to do here.
    pub(crate) fn primary(mut self) -> Self {
        self.loudness = Loudness::Primary;
        self
    }

    /// No fill until hovered.
    pub(crate) fn quiet(mut self) -> Self {
        self.loudness = Loudness::Quiet;
        self
    }

    /// Shown as chosen.
    pub(crate) fn selected(mut self, selected: bool) -> Self {
        self.selected = selected;
        self
    }

    /// As wide as its place; the label starts at the left in a quiet button, else it is centred.
    pub(crate) fn fill_width(mut self) -> Self {
        self.fill_width = true;
        self
    }

    /// Another height than a row's.
    pub(crate) fn height(mut self, height: f32) -> Self {
        self.height = height;
        self
    }

    /// A shortcut shown at the right end.
    pub(crate) fn shortcut(mut self, shortcut: impl Into<String>) -> Self {
        self.shortcut = shortcut.into();
        self
    }

    /// Another name for screen readers than the label.
    pub(crate) fn name(mut self, name: &'a str) -> Self {
        self.name = Some(name);
        self
    }

    /// Draws it.
    pub(crate) fn show(self, ui: &mut Ui) -> Response {
        let t = theme::of(ui);
        let font = if self.loudness == Loudness::Primary {
            theme::medium(13.0)
        } else {
            egui::FontId::proportional(13.0)
        };
        let pad = PAD;
        let icon_width = if self.icon.is_empty() { 0.0 } else { 16.0 };
        let gap = if self.icon.is_empty() || self.label.is_empty() { 0.0 } else { 6.0 };
        let galley = ui.painter().layout_no_wrap(self.label.to_owned(), font.clone(), t.text);
        let shortcut = (!self.shortcut.is_empty()).then(|| {
            ui.painter().layout_no_wrap(self.shortcut.clone(), egui::FontId::proportional(11.0), t.text_weak)
        });
        let shortcut_width = shortcut.as_ref().map_or(0.0, |galley| galley.size().x + 4.0 * GRID);
        let natural = galley.size().x + icon_width + gap + 2.0 * pad + shortcut_width;
        let available = ui.available_width();
        let width =
            if self.fill_width { available.max(32.0) } else { natural.min(available.max(theme::ROW)) };
        let (rect, response) = ui.allocate_exact_size(vec2(width, self.height), Sense::click());
        let enabled = ui.is_enabled();
        let name = self.name.unwrap_or(self.label).to_owned();
        let selected = self.selected;
        response.widget_info(|| {
            if selected {
                WidgetInfo::selected(Role::Button, enabled, true, &name)
            } else {
                WidgetInfo::labeled(Role::Button, enabled, &name)
            }
        });
        if !ui.is_rect_visible(rect) {
            return response;
        }
        let down = response.is_pointer_button_down_on();
        let (fill, text) = match (self.loudness, selected) {
            (Loudness::Primary, _) => {
                (if response.hovered() { t.accent_hover } else { t.accent }, t.on_accent)
            }
            (_, true) => (t.accent_soft, t.text_strong),
            (Loudness::Plain | Loudness::Quiet, _) if down => (t.pressed, t.text_strong),
            (Loudness::Plain | Loudness::Quiet, _) if response.hovered() => (t.hover, t.text_strong),
            (Loudness::Plain, _) => (t.raised, t.text_strong),
            (Loudness::Quiet, _) => (egui::Color32::TRANSPARENT, t.text),
        };
        ui.painter().rect_filled(rect, theme::RADIUS, fill);
        if response.has_focus() {
            ui.painter().rect_stroke(rect, theme::RADIUS, Stroke::new(1.0, t.accent), StrokeKind::Inside);
        }
        let clip = ui.painter().with_clip_rect(rect.shrink2(vec2(2.0, 0.0)).intersect(ui.clip_rect()));
        let content = galley.size().x + icon_width + gap;
        let centred = !(self.fill_width && self.loudness == Loudness::Quiet) && shortcut.is_none();
        let room = rect.width() - 2.0 * pad;
        let mut x =
            if centred && content < room + pad { rect.center().x - content / 2.0 } else { rect.left() + pad };
        if !self.icon.is_empty() {
            clip.text(
                egui::pos2(x + icon_width / 2.0, rect.center().y),
                Align2::CENTER_CENTER,
                self.icon,
                theme::icon(16.0),
                text,
            );
            x += icon_width + gap;
        }
        clip.text(egui::pos2(x, rect.center().y), Align2::LEFT_CENTER, self.label, font, text);
        if let Some(galley) = shortcut {
            let at =
                egui::pos2(rect.right() - pad - galley.size().x, rect.center().y - galley.size().y / 2.0);
            clip.galley(at, galley, t.text_weak);
        }
        response
    }
}

/// A square button that is only an icon; `name` is what screen readers and tooltips say.
pub(crate) fn icon_button(ui: &mut Ui, icon: &str, name: &str, tooltip: &str) -> Response {
    icon_toggle(ui, icon, name, tooltip, false)
}

/// An icon button that can be on.
pub(crate) fn icon_toggle(ui: &mut Ui, icon: &str, name: &str, tooltip: &str, on: bool) -> Response {
    icon_sized(ui, icon, name, tooltip, on, theme::ROW)
}

/// An icon button with an edge of `size`.
pub(crate) fn icon_sized(
    ui: &mut Ui,
    icon: &str,
    name: &str,
    tooltip: &str,
    on: bool,
    size: f32,
) -> Response {
    let t = theme::of(ui);
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(size), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(Role::Button, enabled, on, name));
    if ui.is_rect_visible(rect) {
        let fill = match (on, response.hovered(), response.is_pointer_button_down_on()) {
            (true, ..) => t.accent_soft,
            (_, _, true) => t.pressed,
            (_, true, _) => t.hover,
            _ => egui::Color32::TRANSPARENT,
        };
        ui.painter().rect_filled(rect, theme::RADIUS, fill);
        if response.has_focus() {
            ui.painter().rect_stroke(rect, theme::RADIUS, Stroke::new(1.0, t.accent), StrokeKind::Inside);
        }
        let color = if on || response.hovered() { t.text_strong } else { t.text };
        let color = if enabled { color } else { color.gamma_multiply(0.4) };
        let glyph = (size * 0.66).round().min(20.0);
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon, theme::icon(glyph), color);
    }
    if tooltip.is_empty() { response } else { response.on_hover_text(tooltip) }
}

/// A heading of a panel: small capitals.
pub(crate) fn heading(ui: &mut Ui, text: &str) -> Response {
    let t = theme::of(ui);
    let galley = ui.painter().layout_no_wrap(capitals(text), theme::semibold(11.0), t.text_weak);
    let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x, 20.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    ui.painter().galley(
        egui::pos2(rect.left(), rect.center().y - galley.size().y / 2.0),
        galley,
        t.text_weak,
    );
    response
}

/// Capitals, but for units: "1/µm" stays as it is.
fn capitals(text: &str) -> String {
    text.split_inclusive(' ')
        .map(|word| if word.contains('µ') { word.to_owned() } else { word.to_uppercase() })
        .collect()
}

/// A heading with controls at its right end.
pub(crate) fn heading_row(ui: &mut Ui, text: &str, right: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        heading(ui, text);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            right(ui);
        });
    });
}

/// A line between two parts of a panel, edge to edge.
pub(crate) fn divider(ui: &mut Ui) {
    ui.add_space(GRID);
    let t = theme::of(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 1.0), Sense::hover());
    ui.painter().hline(rect.left() - 12.0..=rect.right() + 12.0, rect.center().y, Stroke::new(1.0, t.line));
    ui.add_space(GRID);
}

/// Weak text that wraps: what a panel has to say where there is nothing to control.
pub(crate) fn hint(ui: &mut Ui, text: &str) -> Response {
    let t = theme::of(ui);
    // Laid out here: menus would stretch the lines to their width.
    let text = egui::WidgetText::from(egui::RichText::new(text).color(t.text_weak));
    let wrap = Some(egui::TextWrapMode::Wrap);
    let galley = text.into_galley(ui, wrap, ui.available_width(), egui::TextStyle::Body);
    ui.add(egui::Label::new(galley))
}

/// What is being waited for, which will not take long.
pub(crate) fn waiting(ui: &mut Ui, text: &str) {
    ui.horizontal(|ui| {
        ui.add(egui::Spinner::new().size(14.0));
        hint(ui, text);
    });
}

/// A line of text whose middle is left out where it needs more room than there is: of a path both ends tell most.
pub(crate) fn middle_cut(ui: &Ui, text: &str, room: f32) -> String {
    let letters: Vec<char> = text.chars().collect();
    let cut = |kept: usize| -> String {
        let (front, back) = (kept / 3, kept - kept / 3);
        let ends = [&letters[..front], &['…'], &letters[letters.len() - back..]];
        ends.concat().into_iter().collect()
    };
    if text_width(ui, text) <= room {
        return text.to_owned();
    }
    // The widths of letters differ: the most that fits is searched for.
    let (mut fits, mut most) = (0, letters.len());
    while fits + 1 < most {
        let middle = usize::midpoint(fits, most);
        if text_width(ui, &cut(middle)) <= room { fits = middle } else { most = middle }
    }
    cut(fits)
}

/// A warning in one sentence.
pub(crate) fn warn(ui: &mut Ui, text: &str) -> Response {
    let t = theme::of(ui);
    ui.horizontal_top(|ui| {
        ui.label(egui::RichText::new(icons::WARNING).font(theme::icon(15.0)).color(t.warning));
        ui.add(egui::Label::new(egui::RichText::new(text).color(t.warning)).wrap())
    })
    .inner
}

/// A line of text for a painter, ended with an ellipsis where it needs more room than there is.
pub(crate) fn cut_line(
    ui: &Ui,
    text: &str,
    font: egui::FontId,
    room: f32,
    color: egui::Color32,
) -> Arc<egui::Galley> {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, color);
    job.wrap = egui::text::TextWrapping::truncate_at_width(room.max(0.0));
    ui.painter().layout_job(job)
}

/// Share of a row that its label has.
const NAME_SHARE: f32 = 0.46;

/// Width of a text of a panel.
pub(crate) fn text_width(ui: &Ui, text: &str) -> f32 {
    let font = egui::TextStyle::Body.resolve(ui.style());
    ui.painter().layout_no_wrap(text.to_owned(), font, egui::Color32::PLACEHOLDER).size().x
}

/// Width of the label of a row whose control needs so much: its share, more where the label needs it and less where
/// the control does.
pub(crate) fn name_width(row: f32, label: f32, control: f32) -> f32 {
    let share = (row * NAME_SHARE).floor();
    let label = label.ceil() + 1.0;
    let rest = (row - control - 2.0 * GRID).floor();
    if rest < share { rest.max(label.min(share)) } else { share.max(label.min(rest)) }
}

/// A row of a form: a label in the left 46 %, the control in the rest. Returns what `add` returns.
pub(crate) fn row<R>(ui: &mut Ui, label: &str, tooltip: &str, add: impl FnOnce(&mut Ui, egui::Id) -> R) -> R {
    let name_width = (ui.available_width() * NAME_SHARE).floor();
    row_sized(ui, label, tooltip, name_width, add)
}

/// A row with a list that opens; gives what was clicked.
pub(crate) fn choose(
    ui: &mut Ui,
    name: &str,
    tooltip: &str,
    chosen: &str,
    choices: &[impl AsRef<str>],
) -> Option<usize> {
    row(ui, name, tooltip, |ui, _| {
        let mut clicked = None;
        egui::ComboBox::from_id_salt(("choose", name))
            .selected_text(chosen)
            .width(ui.available_width() - 4.0)
            .show_ui(ui, |ui| {
                for (at, choice) in choices.iter().enumerate() {
                    let choice = choice.as_ref();
                    if ui.selectable_label(choice == chosen, choice).clicked() {
                        clicked = Some(at);
                    }
                }
            })
            .response
            .accessible_name(name);
        clicked
    })
}

/// As [`row`], with a label of a given width.
pub(crate) fn row_sized<R>(
    ui: &mut Ui,
    label: &str,
    tooltip: &str,
    name_width: f32,
    add: impl FnOnce(&mut Ui, egui::Id) -> R,
) -> R {
    let t = theme::of(ui);
    let width = ui.available_width();
    ui.allocate_ui_with_layout(
        vec2(width, theme::ROW),
        egui::Layout::left_to_right(egui::Align::Center),
        |ui| {
            let text = egui::RichText::new(label).color(t.text);
            let name = ui
                .allocate_ui_with_layout(
                    vec2(name_width, theme::ROW),
                    egui::Layout::left_to_right(egui::Align::Center),
                    |ui| {
                        ui.set_width(name_width);
                        ui.add(egui::Label::new(text).truncate())
                    },
                )
                .inner;
            let id = name.id;
            if !tooltip.is_empty() {
                name.on_hover_text(tooltip);
            }
            add(ui, id)
        },
    )
    .inner
}

/// A box that can be ticked, with an edge that is seen in both themes.
pub(crate) fn check(ui: &mut Ui, on: &mut bool, label: &str) -> Response {
    let t = theme::of(ui);
    ui.scope(|ui| {
        field_style(ui, t);
        let widgets = &mut ui.visuals_mut().widgets;
        for look in [&mut widgets.inactive, &mut widgets.hovered, &mut widgets.active] {
            look.bg_fill = t.inset;
        }
        widgets.inactive.bg_stroke = Stroke::new(1.0, t.text_weak);
        ui.checkbox(on, egui::RichText::new(label).color(t.text))
    })
    .inner
}

/// A number with its unit, dragged or typed.
pub(crate) struct Number<'a> {
    value: &'a mut f64,
    range: std::ops::RangeInclusive<f64>,
    unit: &'a str,
    decimals: usize,
    speed: f64,
    width: f32,
}

impl<'a> Number<'a> {
    /// A number within `range`.
    pub(crate) fn new(value: &'a mut f64, range: std::ops::RangeInclusive<f64>) -> Self {
        Self { value, range, unit: "", decimals: 2, speed: 0.01, width: 76.0 }
    }

    /// With a unit behind it.
    pub(crate) fn unit(mut self, unit: &'a str) -> Self {
        self.unit = unit;
        self
    }

    /// Decimals shown, and how far a drag of one point moves.
    pub(crate) fn step(mut self, decimals: usize, speed: f64) -> Self {
        self.decimals = decimals;
        self.speed = speed;
        self
    }

    /// Another width.
    pub(crate) fn width(mut self, width: f32) -> Self {
        self.width = width;
        self
    }

    /// Draws it under a name for screen readers.
    pub(crate) fn show(self, ui: &mut Ui, name: &str) -> Response {
        let t = theme::of(ui);
        let suffix = if self.unit.is_empty() { String::new() } else { format!("\u{2009}{}", self.unit) };
        ui.scope(|ui| {
            field_style(ui, t);
            ui.spacing_mut().interact_size = vec2(self.width, theme::ROW);
            ui.add(
                egui::DragValue::new(self.value)
                    .range(self.range)
                    .speed(self.speed)
                    .max_decimals(self.decimals)
                    .suffix(suffix)
                    .min_size(vec2(self.width, theme::ROW)),
            )
            .accessible_name(name)
        })
        .inner
    }
}

/// Brings fields into the look of something set into the panel.
pub(crate) fn field_style(ui: &mut Ui, t: &theme::Tokens) {
    let widgets = &mut ui.visuals_mut().widgets;
    widgets.inactive.weak_bg_fill = t.inset;
    widgets.inactive.bg_stroke = Stroke::new(1.0, t.line);
    widgets.hovered.weak_bg_fill = t.inset;
    widgets.hovered.bg_stroke = Stroke::new(1.0, t.text_weak);
    widgets.active.weak_bg_fill = t.inset;
    widgets.active.bg_stroke = Stroke::new(1.0, t.accent);
}

/// A switch with its label at the right.
pub(crate) fn switch(ui: &mut Ui, on: &mut bool, label: &str, tooltip: &str) -> Response {
    let t = theme::of(ui);
    let galley = ui.painter().layout_no_wrap(label.to_owned(), egui::FontId::proportional(13.0), t.text);
    let track = vec2(26.0, 14.0);
    let gap = if label.is_empty() { 0.0 } else { 8.0 };
    let size = vec2(track.x + gap + galley.size().x, theme::ROW);
    let (rect, mut response) = ui.allocate_exact_size(size, Sense::click());
    if response.clicked() {
        *on = !*on;
        response.mark_changed();
    }
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, enabled, *on, label));
    if ui.is_rect_visible(rect) {
        let how = ui.ctx().animate_bool(response.id, *on);
        let box_rect = Rect::from_min_size(egui::pos2(rect.left(), rect.center().y - track.y / 2.0), track);
        let off = if response.hovered() { t.pressed } else { t.hover };
        let fill = if *on { t.accent } else { off };
        ui.painter().rect_filled(box_rect, track.y / 2.0, fill);
        let x = egui::lerp(box_rect.left() + 7.0..=box_rect.right() - 7.0, how);
        let knob = if *on { t.on_accent } else { t.text };
        ui.painter().circle_filled(egui::pos2(x, box_rect.center().y), 5.0, knob);
        let at = egui::pos2(box_rect.right() + gap, rect.center().y - galley.size().y / 2.0);
        ui.painter().galley(at, galley, t.text);
    }
    if tooltip.is_empty() { response } else { response.on_hover_text(tooltip) }
}

/// A slider over a fraction 0 to 1, thin, without a number.
pub(crate) fn fraction(ui: &mut Ui, value: &mut f32, name: &str, width: f32) -> Response {
    let t = theme::of(ui);
    let (rect, mut response) = ui.allocate_exact_size(vec2(width, theme::ROW), Sense::click_and_drag());
    if let Some(pos) = response.interact_pointer_pos() {
        let new = ((pos.x - rect.left() - 6.0) / (rect.width() - 12.0)).clamp(0.0, 1.0);
        if new != *value {
            *value = new;
            response.mark_changed();
        }
    }
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::slider(enabled, f64::from(*value), name));
    if ui.is_rect_visible(rect) {
        let y = rect.center().y;
        let (left, right) = (rect.left() + 6.0, rect.right() - 6.0);
        let x = egui::lerp(left..=right, *value);
        ui.painter().hline(left..=right, y, Stroke::new(3.0, t.hover));
        ui.painter().hline(left..=x, y, Stroke::new(3.0, t.accent));
        let radius = if response.hovered() || response.dragged() { 6.0 } else { 5.0 };
        ui.painter().circle_filled(egui::pos2(x, y), radius, t.text_strong);
    }
    response
}

/// A choice among a few, side by side.
pub(crate) fn segmented<T: PartialEq + Copy>(
    ui: &mut Ui,
    value: &mut T,
    choices: &[(T, &str, &str)],
) -> bool {
    let width = ui.available_width();
    segmented_sized(ui, value, choices, width)
}

/// As [`segmented`], of a given width.
pub(crate) fn segmented_sized<T: PartialEq + Copy>(
    ui: &mut Ui,
    value: &mut T,
    choices: &[(T, &str, &str)],
    width: f32,
) -> bool {
    let t = theme::of(ui);
    let mut changed = false;
    let (rect, _) = ui.allocate_exact_size(vec2(width, theme::ROW), Sense::hover());
    ui.painter().rect_filled(rect, theme::RADIUS, t.inset);
    let each = width / choices.len().max(1) as f32;
    for (i, (choice, label, tooltip)) in choices.iter().enumerate() {
        let cell = Rect::from_min_size(
            egui::pos2(rect.left() + each * i as f32, rect.top()),
            vec2(each, rect.height()),
        );
        let id = ui.scope_id().with(("segmented", rect.left() as i32, rect.top() as i32, i));
        let response = ui.interact(cell, id, Sense::click());
        let on = value == choice;
        let enabled = ui.is_enabled();
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, enabled, on, *label));
        if response.clicked() && !on {
            *value = *choice;
            changed = true;
        }
        let inner = cell.shrink(2.0);
        if on {
            ui.painter().rect_filled(inner, theme::RADIUS - 1, t.hover);
        }
        let color = if on || response.hovered() { t.text_strong } else { t.text_weak };
        ui.painter().with_clip_rect(inner).text(
            cell.center(),
            Align2::CENTER_CENTER,
            label,
            egui::FontId::proportional(12.0),
            color,
        );
        if !tooltip.is_empty() {
            response.on_hover_text(*tooltip);
        }
    }
    changed
}

/// A key as it is printed on a keyboard.
pub(crate) fn key_cap(ui: &mut Ui, text: &str) {
    let t = theme::of(ui);
    let galley = ui.painter().layout_no_wrap(text.to_owned(), theme::medium(11.0), t.text);
    let size = vec2((galley.size().x + 10.0).max(20.0), 20.0);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    ui.painter().rect(rect, 4, t.raised, Stroke::new(1.0, t.line), StrokeKind::Inside);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, t.text);
}

/// A folded part of a panel; open or not is remembered by egui under `id`.
pub(crate) fn fold(ui: &mut Ui, id: &str, label: &str, open: bool, add: impl FnOnce(&mut Ui)) {
    let id = ui.make_persistent_id(id);
    fold_at(ui, id, label, open, add);
}

/// Opens what is folded under `id`; whether all of it is seen.
pub(crate) fn open_fold(ctx: &egui::Context, id: egui::Id) -> bool {
    let mut state = egui::collapsing_header::CollapsingState::load_with_default_open(ctx, id, true);
    state.set_open(true);
    state.store(ctx);
    state.openness(ctx) >= 1.0
}

/// As [`fold`], under an id that is the same wherever it is drawn.
pub(crate) fn fold_at(ui: &mut Ui, id: egui::Id, label: &str, open: bool, add: impl FnOnce(&mut Ui)) {
    let t = theme::of(ui);
    let mut state = egui::collapsing_header::CollapsingState::load_with_default_open(ui.ctx(), id, open);
    let how = state.openness(ui.ctx());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), theme::ROW), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, label));
    if response.clicked() {
        state.toggle(ui);
    }
    let color = if response.hovered() { t.text_strong } else { t.text_weak };
    let icon = if how > 0.5 { icons::CARET_DOWN } else { icons::CARET_RIGHT };
    ui.painter().text(
        egui::pos2(rect.left() + 6.0, rect.center().y),
        Align2::CENTER_CENTER,
        icon,
        theme::icon(12.0),
        color,
    );
    ui.painter().text(
        egui::pos2(rect.left() + 18.0, rect.center().y),
        Align2::LEFT_CENTER,
        label,
        egui::FontId::proportional(13.0),
        color,
    );
    state.show_body_unindented(ui, add);
}

/// A bar that fills: progress. `None` draws a moving piece.
pub(crate) fn progress_bar(ui: &mut Ui, fraction: Option<f32>, size: Vec2) {
    let t = theme::of(ui);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, "progress");
        info.value = fraction.map(f64::from);
        info
    });
    ui.painter().rect_filled(rect, 2, t.hover);
    let part = match fraction {
        Some(f) => Rect::from_min_size(rect.min, vec2(rect.width() * f.clamp(0.0, 1.0), rect.height())),
        None => Rect::from_min_size(
            egui::pos2(rect.left() + rect.width() * 0.35, rect.top()),
            vec2(rect.width() * 0.3, rect.height()),
        ),
    };
    ui.painter().rect_filled(part, 2, t.accent);
}

/// Bytes as a person reads them.
pub(crate) fn bytes(n: u64) -> String {
    let n = n as f64;
    if n >= 1024.0 * 1024.0 * 1024.0 {
        format!("{:.1}\u{2009}GiB", n / (1024.0 * 1024.0 * 1024.0))
    } else {
        format!("{:.0}\u{2009}MiB", (n / (1024.0 * 1024.0)).max(1.0))
    }
}

/// A time as a person reads it.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        "under 1\u{2009}s".to_owned()
    } else if seconds < 60.0 {
        format!("{seconds:.0}\u{2009}s")
    } else {
        let whole = seconds.round() as u64;
        format!("{}:{:02}\u{2009}min", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_controls_take_the_room_that_the_other_leaves() {
        assert_eq!(name_width(250.0, 50.0, 100.0), 115.0, "its share");
        assert_eq!(name_width(250.0, 130.0, 76.0), 131.0, "a long label beside a short control");
        assert_eq!(name_width(250.0, 50.0, 180.0), 62.0, "a short label beside a long control");
        assert_eq!(name_width(250.0, 300.0, 180.0), 115.0, "both too long: the label is cut");
    }
}
