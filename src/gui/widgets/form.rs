//! A form for the parameters of an operation, made from its entry in the registry.

use egui::Ui;
use serde_json::{Map, Value};

use super::{Number, fold, icon_sized, name_width, row_sized, switch, text_width};
use crate::gui::{dialogs, icons};
use crate::ops::{Op, Param, ParamKind};

/// Draws the form; `given` holds the parameters that differ from the defaults.
pub(crate) fn show(ui: &mut Ui, op: &'static Op, given: &mut Value, skip: &[&str]) {
    if !given.is_object() {
        *given = Value::Object(Map::new());
    }
    let defaults = (op.defaults)();
    let values = given.clone();
    let params = || {
        let wanted = |param: &&Param| !skip.contains(&param.name) && counts(op, param, &defaults, &values);
        op.params.iter().filter(wanted)
    };
    // One width for all names, so that the controls stand below each other.
    let names = params().map(|param| text_width(ui, param.label)).fold(0.0, f32::max);
    for param in params().filter(|param| !param.advanced) {
        field(ui, param, names, &defaults, given);
    }
    let advanced = params().filter(|param| param.advanced).count();
    if advanced > 0 {
        fold(ui, &format!("more-{}", op.id), "More", false, |ui| {
            for param in params().filter(|param| param.advanced) {
                field(ui, param, names, &defaults, given);
            }
        });
    }
}

/// Whether a parameter counts with the others as they are.
fn counts(op: &Op, param: &Param, defaults: &Value, given: &Value) -> bool {
    let Some((name, values)) = param.only_with else { return true };
    let Some(other) = op.params.iter().find(|other| other.name == name) else { return true };
    let value = given.get(name).or_else(|| defaults.get(name)).and_then(Value::as_str);
    value.is_some_and(|value| values.contains(&value)) && counts(op, other, defaults, given)
}

/// One parameter with its reset button.
fn field(ui: &mut Ui, param: &'static Param, names: f32, defaults: &Value, given: &mut Value) {
    let default = defaults.get(param.name).cloned().unwrap_or(Value::Null);
    let current = given.get(param.name).cloned().unwrap_or_else(|| default.clone());
    let mut value = current.clone();
    let buttons = if param.optional { 2.0 } else { 1.0 };
    let needs = control_width(ui, param, &value) + buttons * BUTTON;
    let room = ui.available_width();
    let label = if names + needs < room { names } else { text_width(ui, param.label) };
    let name_width = name_width(room, label, needs);
    row_sized(ui, param.label, param.doc, name_width, |ui, _| {
        control(ui, param, &mut value);
        if value != default {
            let name = format!("Reset {}", param.label.to_lowercase());
            let tip = format!("Back to {}", shown(param, &default));
            if icon_sized(ui, icons::ARROW_COUNTER_CLOCKWISE, &name, &tip, false, 20.0).clicked() {
                value = default.clone();
            }
        }
    });
    if value != current
        && let Some(fields) = given.as_object_mut()
    {
        if value == default {
            fields.remove(param.name);
        } else {
            fields.insert(param.name.to_owned(), value);
        }
    }
}

fn shown(param: &Param, value: &Value) -> String {
    match (param.kind, value) {
        (_, Value::Null) => "automatic".to_owned(),
        (ParamKind::Choice(choices), Value::String(text)) => {
            choices.iter().find(|c| c.value == text).map_or_else(|| text.clone(), |c| c.label.to_owned())
        }
        (_, Value::Bool(on)) => if *on { "on" } else { "off" }.to_owned(),
        _ => format!("{value} {}", param.unit).trim_end().to_owned(),
    }
}

/// Room of a small button behind a control, with the gap before it.
const BUTTON: f32 = 28.0;

/// Room that a control needs to show its value.
fn control_width(ui: &Ui, param: &Param, value: &Value) -> f32 {
    match param.kind {
        ParamKind::Bool => 26.0,
        ParamKind::Int { .. } | ParamKind::Float { .. } => 76.0,
        ParamKind::Choice(choices) => {
            let chosen = choices.iter().find(|choice| value.as_str() == Some(choice.value));
            // With the arrow and the padding around both.
            let label = chosen.map_or(0.0, |choice| text_width(ui, choice.label));
            label.ceil() + 16.0 + 3.0 * ui.spacing().button_padding.x
        }
        ParamKind::Text => 120.0,
    }
}

fn control(ui: &mut Ui, param: &'static Param, value: &mut Value) {
    if param.optional && value.is_null() {
        if super::Button::new("Automatic")
            .name(&format!("{}: automatic", param.label))
            .show(ui)
            .on_hover_text("Click to set a value")
            .clicked()
        {
            *value = start_value(param);
        }
        return;
    }
    match param.kind {
        ParamKind::Bool => {
            let mut on = value.as_bool().unwrap_or(false);
            if switch(ui, &mut on, "", param.doc).accessible_name(param.label).changed() {
                *value = Value::Bool(on);
            }
        }
        ParamKind::Int { min, max } => {
            let mut number = value.as_i64().unwrap_or(min) as f64;
            let speed = ((max - min) as f64 / 400.0).clamp(0.05, 1.0);
            let field = Number::new(&mut number, min as f64..=max as f64).unit(param.unit).step(0, speed);
            if field.show(ui, param.label).changed() {
                *value = Value::from(number.round() as i64);
            }
        }
        ParamKind::Float { min, max } => {
            let mut number = value.as_f64().unwrap_or(min);
            let speed = (number.abs() / 100.0).clamp((max - min).min(1.0) / 1e4, 10.0);
            let field = Number::new(&mut number, min..=max).unit(param.unit).step(4, speed);
            if field.show(ui, param.label).changed() {
                *value = Value::from(number);
            }
        }
        ParamKind::Choice(choices) => {
            let current = value.as_str().unwrap_or_default().to_owned();
            let label = choices.iter().find(|c| c.value == current).map_or("", |c| c.label);
            let width =
                (ui.available_width() - BUTTON).clamp(60.0, control_width(ui, param, value).max(120.0));
            // A long word is cut at the room that there is: unbounded it would push the panel wider with every frame.
            ui.scope(|ui| {
                ui.set_max_width(width);
                let combo = egui::ComboBox::from_id_salt(("form", param.name))
                    .selected_text(label)
                    .width(width)
                    .truncate()
                    .show_ui(ui, |ui| {
                        for choice in choices {
                            if ui.selectable_label(choice.value == current, choice.label).clicked() {
                                *value = Value::from(choice.value);
                            }
                        }
                    });
                combo.response.accessible_name(param.label);
            });
        }
        ParamKind::Text => {
            let mut text = value.as_str().unwrap_or_default().to_owned();
            let width = (ui.available_width() - 40.0).max(60.0);
            if dialogs::text_field(ui, &mut text, param.label, "", width).changed() {
                *value = Value::from(text);
            }
        }
    }
    if param.optional && ui.available_width() > 18.0 {
        let name = format!("{}: automatic again", param.label);
        if icon_sized(ui, icons::X, &name, "Automatic again", false, 20.0).clicked() {
            *value = Value::Null;
        }
    }
}

/// What an optional parameter starts with when it is set.
fn start_value(param: &Param) -> Value {
    match param.kind {
        ParamKind::Bool => Value::Bool(true),
        ParamKind::Int { min, max } => Value::from(min.max(1).min(max)),
        ParamKind::Float { min, max } => Value::from(if min > 0.0 || max < 0.0 { min } else { 0.0 }),
        ParamKind::Choice(choices) => choices.first().map_or(Value::Null, |c| Value::from(c.value)),
        ParamKind::Text => Value::from(""),
    }
}
