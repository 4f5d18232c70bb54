//! The other ways to go a step: every operation of a stage with its form, on layers the user chooses.
//!
//! What takes labels and gives labels can change the layer in place; anything else gives a new layer.

use std::collections::BTreeMap;

use super::super::frame::Cx;
use super::super::state::{self, Method};
use super::super::widgets;
use super::operation;
use crate::ops::{self, Input, Kind, Op, Stage};
use crate::project::{Layer, LayerId};
use crate::session::{Command, Refinement};
use crate::volume::Mark;

/// Operations that have a place of their own, with nothing else that they could be given here.
const ELSEWHERE: [&str; 8] = ["segment", "demo", "dose", "fsc", "noise", "measure", "mesh", "correlate"];

/// The operations that are offered in a stage. Alignment and reconstruction are: here they take a series that was
/// normalised, sharpened or combined before.
fn offered(stage: Stage) -> impl Iterator<Item = &'static Op> {
    ops::registry().iter().copied().filter(move |op| op.stage == stage && !ELSEWHERE.contains(&op.id))
}

/// Whether an operation can change a label layer in place.
pub(crate) fn refines(op: &Op) -> bool {
    // What takes strokes besides a volume gives something else than better strokes.
    let takes = op.inputs.iter().all(|slot| slot.optional || slot.name == "labels");
    takes
        && !op.changes_grid()
        && op.inputs.iter().any(|slot| slot.name == "labels")
        && op.outputs.iter().any(|output| output.kind == Kind::Labels)
}

/// Draws it, where a stage has more methods and there is something to give them.
pub(crate) fn show(ui: &mut egui::Ui, stage: Stage, cx: &mut Cx<'_>) {
    let has_input = |op: &Op| op.inputs.first().is_some_and(|slot| candidates(slot, cx).next().is_some());
    if !offered(stage).any(has_input) {
        return;
    }
    widgets::divider(ui);
    widgets::fold(ui, "methods", "More methods", false, |ui| {
        let chosen = cx.view.method.op.and_then(ops::find).filter(|op| op.stage == stage);
        egui::ComboBox::from_id_salt("method")
            .selected_text(chosen.map_or("Choose a method", |op| op.label))
            .width(ui.available_width() - 8.0)
            .show_ui(ui, |ui| {
                for op in offered(stage) {
                    let entry = ui.selectable_label(cx.view.method.op == Some(op.id), op.label);
                    if entry.on_hover_text(op.summary).clicked() {
                        cx.view.method.op = Some(op.id);
                    }
                }
            })
            .response
            .accessible_name("Other method");
        if let Some(op) = chosen {
            method(ui, op, cx);
        }
    });
}

fn method(ui: &mut egui::Ui, op: &'static Op, cx: &mut Cx<'_>) {
    widgets::hint(ui, op.summary);
    // Objects are not painted on: what changes a label layer takes none.
    let in_place = refines(op) && cx.view.method.in_place;
    for slot in op.inputs.iter().filter(|slot| !(in_place && slot.kind == Kind::Regions)) {
        input(ui, op, slot, cx);
    }
    let params = operation::form(ui, op, &[], cx);
    let in_place = refines(op);
    if in_place {
        let tooltip = "One step that can be undone; otherwise the result is a new layer";
        widgets::switch(ui, &mut cx.view.method.in_place, "Change this layer", tooltip);
    }
    let mut inputs = inputs(op, cx);
    let is_regions =
        |name: &str| op.inputs.iter().any(|slot| slot.name == name && slot.kind == Kind::Regions);
    inputs.retain(|(name, _)| !(in_place && cx.view.method.in_place && is_regions(name)));
    let forecast = cx.session.forecast(op.id, &params, &inputs);
    if !operation::start_button(ui, op.label, &[op.label], Some(&forecast), cx) {
        return;
    }
    let layer = op.inputs.iter().find(|slot| slot.kind == Kind::Labels && !slot.optional);
    let layer = layer.and_then(|slot| inputs.iter().find(|(name, _)| name == slot.name));
    match layer.filter(|_| in_place && cx.view.method.in_place) {
        Some((_, layer)) => cx.queue.session(Command::Refine(refinement(op, *layer, params, inputs.clone()))),
        None => cx.queue.session(Command::StartOp { op: op.id.to_owned(), params, inputs, name: None }),
    }
}

/// A change of a layer by an operation, named after it.
fn refinement(
    op: &Op,
    layer: LayerId,
    params: serde_json::Value,
    inputs: Vec<(String, LayerId)>,
) -> Refinement {
    let mark = if op.id == "interpolate" { Mark::Interpolated } else { Mark::Computed };
    Refinement { layer, op: op.id.to_owned(), params, inputs, label: op.label.to_owned(), mark }
}

/// Interpolates the painted slices of the layer that is painted on, with what the form says.
pub(crate) fn interpolate(session: &crate::session::Session, view: &state::ViewState) -> Option<Command> {
    let op = ops::find("interpolate")?;
    let layer = state::strokes_layer(session.project(), view)?.id;
    let params = view.forms.get(op.id).cloned().unwrap_or(serde_json::Value::Null);
    Some(Command::Refine(refinement(op, layer, params, Vec::new())))
}

/// Layers that fit a slot, from the top.
fn candidates<'a>(slot: &Input, cx: &'a Cx<'_>) -> impl Iterator<Item = &'a Layer> {
    let kind = slot.kind;
    cx.session.project().from_top().filter(move |layer| layer.content.kind() == Some(kind))
}

/// The layer that goes into a slot: the chosen one, else what is being worked on; optional slots stay empty until filled.
fn layer_for(op: &Op, slot: &Input, cx: &Cx<'_>) -> Option<LayerId> {
    let project = cx.session.project();
    let key = (op.id, slot.name);
    let fits = |id: &LayerId| project.layer(*id).is_some_and(|l| l.content.kind() == Some(slot.kind));
    if let Some(id) = cx.view.method.inputs.get(&key).copied().filter(fits) {
        return Some(id);
    }
    // What is put on another grid is the volume, unless labels or objects were chosen for that.
    let is_first = op.changes_grid() && slot.name == "volume";
    let nothing = || !op.inputs.iter().any(|other| cx.view.method.inputs.contains_key(&(op.id, other.name)));
    if slot.optional && !(is_first && nothing()) {
        return None;
    }
    match slot.kind {
        Kind::Volume => state::main_volume(project, cx.view).map(|layer| layer.id),
        Kind::Labels => state::paint_layer(project, cx.view).map(|layer| layer.id),
        _ => candidates(slot, cx).next().map(|layer| layer.id),
    }
}

fn inputs(op: &Op, cx: &Cx<'_>) -> Vec<(String, LayerId)> {
    op.inputs.iter().filter_map(|slot| Some((slot.name.to_owned(), layer_for(op, slot, cx)?))).collect()
}

fn input(ui: &mut egui::Ui, op: &'static Op, slot: &'static Input, cx: &mut Cx<'_>) {
    let names: Vec<(LayerId, String)> = candidates(slot, cx).map(|l| (l.id, l.name.clone())).collect();
    let current = layer_for(op, slot, cx);
    let text = current.and_then(|id| names.iter().find(|(other, _)| *other == id)).map_or_else(
        || if slot.optional { "none".to_owned() } else { format!("no {}", slot.kind.words()) },
        |(_, name)| name.clone(),
    );
    let label = operation::sentence(slot.name);
    widgets::row(ui, &label, slot.doc, |ui, _| {
        let width = ui.available_width().min(150.0);
        egui::ComboBox::from_id_salt((op.id, slot.name))
            .selected_text(text)
            .width(width)
            .truncate()
            .show_ui(ui, |ui| {
                let chosen: &mut BTreeMap<_, _> = &mut cx.view.method.inputs;
                if slot.optional && ui.selectable_label(current.is_none(), "none").clicked() {
                    chosen.remove(&(op.id, slot.name));
                }
                for (id, name) in &names {
                    if ui.selectable_label(current == Some(*id), name).clicked() {
                        chosen.insert((op.id, slot.name), *id);
                    }
                }
            })
            .response
            .accessible_name(&label);
    });
}

impl Default for Method {
    fn default() -> Self {
        Self { op: None, inputs: BTreeMap::new(), in_place: true }
    }
}
