//! Segment: classes, live classification, uncertainty, acceptance.

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::state::{self, Request, Tool, ViewState};
use super::super::tour::{self, Step};
use super::super::widgets::{self, Button};
use super::super::{icons, theme};
use super::{classes, operation};
use crate::ops::{self, Data};
use crate::project::{Content, LayerId};
use crate::segment::Validation;
use crate::session::{Advice, Prediction, Session};
use crate::volume::ClassTable;

/// Draws the inspector.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    if !cx.facts.volume {
        widgets::heading(ui, "Segment");
        widgets::hint(ui, "Segmentation needs a volume: reconstruct the scan, or open a tomogram.");
        return;
    }
    classes::show(ui, cx);
    widgets::divider(ui);
    paint(ui, cx);
    widgets::divider(ui);
    classify(ui, cx);
    if super::proofread::start(cx.session, cx.view).is_some() {
        widgets::divider(ui);
        proofread(ui, cx);
    }
}

fn paint(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Paint");
    if cx.view.tool.paints() {
        let session = cx.session;
        let name = session.project().classes.name(cx.view.class);
        let what = match cx.view.tool {
            Tool::Eraser => "The eraser takes labels away.".to_owned(),
            Tool::Fill | Tool::Wand => format!("A click fills with {name}; a right click clears."),
            Tool::Polygon => format!(
                "Drag around what is {name}, or click corners and close with Enter; the right button erases."
            ),
            Tool::Object => format!("Whole objects; the chosen class is {name}."),
            _ => format!("The left button paints {name}, the right one erases."),
        };
        widgets::hint(ui, &what);
        return;
    }
    widgets::hint(ui, "A few strokes for each class, in any plane, are enough for the classifier.");
    let entry = find(CommandId::Brush);
    if Button::new("Take the brush").icon(icons::PAINT_BRUSH).shortcut(entry.shortcut()).show(ui).clicked() {
        cx.queue.run(CommandId::Brush);
    }
}

fn proofread(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Proofread");
    let entry = find(CommandId::Proofread);
    let button = Button::new("List objects").icon(entry.icon).shortcut(entry.shortcut());
    if button.show(ui).on_hover_text(entry.tooltip).clicked() {
        cx.queue.run(CommandId::Proofread);
    }
}

/// How many classes have been painted.
pub(crate) fn n_painted(session: &Session, view: &ViewState) -> usize {
    let labels = state::strokes_layer(session.project(), view).and_then(|layer| layer.labels());
    labels.map_or(0, |labels| labels.labels.ids().iter().filter(|id| **id != 0).count())
}

fn classify(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    widgets::heading(ui, "Classify");
    let session = cx.session;
    let state = session.live();
    let is_offered = start_from(ui, cx);
    let volume = state::main_volume(session.project(), cx.view).map(|layer| layer.id);
    let halves = volume.and_then(|volume| noise_from(ui, volume, cx));
    if n_painted(session, cx.view) < if cx.view.base_classifier.is_some() { 1 } else { 2 }
        && state.prediction.is_none()
    {
        let hint = match (cx.view.base_classifier, is_offered) {
            (Some(_), _) => {
                "Paint where the classifier errs on this volume: a stroke is enough, new classes may be painted too. To use it as it is, take Predict under More methods."
            }
            (None, true) => "Paint two classes or more, or start from a classifier that was trained before.",
            (None, false) => {
                "Paint two classes or more; then every voxel gets the class that its LAC and its surroundings speak for."
            }
        };
        widgets::hint(ui, hint);
        return;
    }
    if let Some(op) = ops::find("segment") {
        let params = operation::form(ui, op, &[], cx);
        // While it follows the strokes it follows the form as well.
        let is_new =
            params != state.params || cx.view.base_classifier != state.base || halves != state.halves;
        if state.on && is_new && !ui.ctx().text_edit_focused() {
            cx.queue.run(CommandId::Classify);
        }
    }
    let mut on = state.on;
    let entry = find(CommandId::Live);
    let switch = widgets::switch(ui, &mut on, "Live classification", &entry.tooltip_with_key());
    tour::anchor(ui, cx.view, Step::Live, switch.rect);
    if switch.changed() {
        cx.queue.push(Request::Live(on));
    }
    if !state.on && operation::start_button(ui, "Classify", &["Prepare", "Classify"], None, cx) {
        cx.queue.run(CommandId::Classify);
    }
    if !state.status.is_empty() {
        ui.label(egui::RichText::new(operation::sentence(&state.status)).size(12.0).color(t.text_weak));
    }
    if let Some(prediction) = &state.prediction {
        widgets::divider(ui);
        show_prediction(ui, prediction, cx);
    }
}

/// Lets a classifier that was trained before be chosen as the start; false where there is none.
fn start_from(ui: &mut egui::Ui, cx: &mut Cx<'_>) -> bool {
    let session = cx.session;
    let known = session.project().from_top().filter_map(|layer| match &layer.content {
        Content::Other(Data::Classifier(_)) => Some((layer.id, layer.name.as_str())),
        _ => None,
    });
    let known: Vec<_> = known.collect();
    let chosen = &mut cx.view.base_classifier;
    if !known.iter().any(|(id, _)| Some(*id) == *chosen) {
        *chosen = None;
    }
    if known.is_empty() {
        return false;
    }
    let tooltip = "Strokes alone, or strokes added to what a classifier learnt before, maybe on another cell";
    widgets::row(ui, "Start from", tooltip, |ui, _| {
        let name = known.iter().find(|(id, _)| Some(*id) == *chosen).map_or("strokes alone", |k| k.1);
        egui::ComboBox::from_id_salt("start-from")
            .selected_text(name)
            .width(ui.available_width().min(150.0))
            .truncate()
            .show_ui(ui, |ui| {
                ui.selectable_value(chosen, None, "strokes alone");
                for (id, name) in &known {
                    ui.selectable_value(chosen, Some(*id), *name);
                }
            })
            .response
            .accessible_name("Classifier to start from");
    });
    true
}

/// The half-sets that tell the classifier the noise of a volume, where there are some and it is to hear them.
///
/// A classifier to start from decides by itself: it needs half-sets if it was trained with them, and takes none otherwise.
pub(crate) fn halves(session: &Session, view: &ViewState, volume: LayerId) -> Option<[LayerId; 2]> {
    let base = view.base_classifier.and_then(|id| session.project().layer(id));
    let wanted = match base.map(|layer| &layer.content) {
        Some(Content::Other(Data::Classifier(base))) => base.knows_noise(),
        _ => view.use_halves,
    };
    session.half_sets(volume).filter(|_| wanted)
}

/// Lets the noise of half-sets be heard or not, where there are some.
fn noise_from(ui: &mut egui::Ui, volume: LayerId, cx: &mut Cx<'_>) -> Option<[LayerId; 2]> {
    let session = cx.session;
    let pair = session.half_sets(volume)?;
    if cx.view.base_classifier.is_none() {
        let name = |id| session.project().layer(id).map_or("", |layer| &layer.name);
        let tooltip = format!(
            "What {} and {} do not share is noise: features see it, and where there is more of it the result is less sure",
            name(pair[0]),
            name(pair[1])
        );
        widgets::switch(ui, &mut cx.view.use_halves, "Noise from half-sets", &tooltip);
    }
    halves(session, cx.view, volume)
}

fn show_prediction(ui: &mut egui::Ui, prediction: &Prediction, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Prediction");
    let advice = cx.session.advice();
    match advice.and_then(|advice| advice.validation.as_ref()) {
        Some(validation) => worth(ui, validation, &cx.session.project().classes),
        None => operation::fact(ui, "Held-out accuracy", &format!("{:.0} %", prediction.accuracy * 100.0)),
    }
    if let Some(advice) = advice {
        next_place(ui, advice, cx);
    }
    let entry = find(CommandId::Uncertainty);
    widgets::switch(ui, &mut cx.view.show_uncertainty, "Show uncertainty", &entry.tooltip_with_key());
    accept_what(ui, prediction, cx);
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        let entry = find(CommandId::AcceptPrediction);
        let accept = Button::new("Accept into labels").icon(icons::CHECK).primary().height(30.0);
        if accept.show(ui).on_hover_text(entry.tooltip_with_key()).clicked() {
            cx.queue.run(CommandId::AcceptPrediction);
        }
        let entry = find(CommandId::DiscardPrediction);
        let discard = Button::new("Discard").height(30.0).name("Discard prediction");
        if discard.show(ui).on_hover_text(entry.tooltip_with_key()).clicked() {
            cx.queue.run(CommandId::DiscardPrediction);
        }
    });
    let entry = find(CommandId::KeepClassifier);
    if Button::new(entry.label).icon(entry.icon).quiet().show(ui).on_hover_text(entry.tooltip).clicked() {
        cx.queue.run(CommandId::KeepClassifier);
    }
    // Last, so that however many classes there are, what is decided is seen without scrolling.
    let session = cx.session;
    legend(ui, &session.project().classes, cx);
}

/// What the strokes are worth.
fn worth(ui: &mut egui::Ui, validation: &Validation, classes: &ClassTable) {
    let t = theme::of(ui);
    let percent = |part: f32| format!("{:.0} %", part * 100.0);
    let (strokes, slabs) = (&validation.by_stroke, validation.by_slab.as_ref());
    let tooltip =
        "How much of each class is told right by what has not seen it, every class weighing the same";
    for (name, verdict) in [("Left-out strokes", Some(strokes)), ("Left-out slabs", slabs)] {
        let Some(verdict) = verdict else { continue };
        widgets::row(ui, name, tooltip, |ui, _| {
            let text = format!("{} right", percent(verdict.balanced_accuracy()));
            ui.add(egui::Label::new(egui::RichText::new(text).color(t.text_strong)).truncate());
        });
    }
    widgets::fold(ui, "confusion", "Which class is taken for which", false, |ui| {
        for (row, (class, recall)) in validation.classes.iter().zip(strokes.recall()).enumerate() {
            let taken = strokes.confusion.get(row).into_iter().flatten().enumerate();
            let worst = taken.filter(|(column, n)| *column != row && **n > 0).max_by_key(|(_, n)| **n);
            let worst = worst.and_then(|(column, _)| validation.classes.get(column));
            let for_what = worst.map_or_else(String::new, |id| format!(", else {}", classes.name(*id)));
            let text = format!("{}{for_what}", percent(recall));
            operation::fact(ui, &classes.name(*class), &text);
        }
    });
}

/// Where to paint next, and why.
fn next_place(ui: &mut egui::Ui, advice: &Advice, cx: &mut Cx<'_>) {
    let session = cx.session;
    let classes = &session.project().classes;
    let Some(next) = advice.places.get(cx.view.suggestion.unwrap_or(0)) else { return };
    let entry = find(CommandId::NextPlace);
    widgets::hint(ui, &format!("Paint next: {}", next.sentence(|id| classes.name(id))));
    let label = if cx.view.suggestion.is_some() { "Next place" } else { "Show place" };
    let button = Button::new(label).icon(entry.icon).shortcut(entry.shortcut()).name(entry.label);
    if button.show(ui).on_hover_text(entry.tooltip).clicked() {
        cx.queue.run(CommandId::NextPlace);
    }
    ui.add_space(4.0);
}

/// Goes to another place that is worth a stroke.
pub(crate) fn step_place(session: &Session, view: &mut ViewState, by: isize) {
    let Some(advice) = session.advice().filter(|advice| !advice.places.is_empty()) else { return };
    let n = advice.places.len() as isize;
    let at = view.suggestion.map_or(if by > 0 { 0 } else { n - 1 }, |at| (at as isize + by).rem_euclid(n));
    let Some(place) = advice.places.get(at as usize) else { return };
    let Some(map) = session.project().layer(advice.volume).and_then(state::world_from_voxel) else { return };
    let [z, y, x] = place.centre_zyx.map(|v| f64::from(v.round()));
    view.suggestion = Some(at as usize);
    view.cursor_um = map.transform_point3(glam::DVec3::new(x, y, z));
    view.center_um = view.cursor_um;
}

/// Which part is accepted, and where to.
fn accept_what(ui: &mut egui::Ui, prediction: &Prediction, cx: &mut Cx<'_>) {
    let session = cx.session;
    let project = session.project();
    let class = project.classes.name(cx.view.class);
    widgets::row(ui, "Accept", "Every class, or only the one that is chosen", |ui, _| {
        let text = if cx.view.accept.one_class { class.as_str() } else { "all classes" };
        egui::ComboBox::from_id_salt("accept-class")
            .selected_text(text)
            .width(ui.available_width().min(150.0))
            .truncate()
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut cx.view.accept.one_class, false, "all classes");
                ui.selectable_value(&mut cx.view.accept.one_class, true, format!("only {class}"));
            })
            .response
            .accessible_name("Classes to accept");
    });
    let percent = ((cx.view.accept.max_uncertainty * 100.0).round() as usize).min(100);
    let covers = prediction.surer.get(percent).copied().unwrap_or(1.0) * 100.0;
    let tooltip = "Voxels that are less sure stay unlabelled; how much of the volume is sure enough";
    widgets::row(ui, "Where sure", tooltip, |ui, _| {
        ui.spacing_mut().item_spacing.x = 6.0;
        // Uncertainty from sure (all the way left) to anything.
        widgets::fraction(ui, &mut cx.view.accept.max_uncertainty, "Most uncertain voxel to accept", 96.0);
        ui.label(format!("{covers:.0} %"));
    });
    let targets: Vec<_> = project
        .from_top()
        .filter(|layer| layer.labels().is_some_and(|l| l.labels.shape() == prediction.labels.shape()))
        .filter(|layer| !matches!(&*layer.provenance.op, "demo" | "painted"))
        .map(|layer| (layer.id, layer.name.clone()))
        .collect();
    if !targets.iter().any(|(id, _)| Some(*id) == cx.view.accept.into) {
        cx.view.accept.into = None;
    }
    if targets.is_empty() {
        return;
    }
    let tooltip = "A new layer, or one that is there: painted voxels, accepted objects and locked classes stay as they are";
    widgets::row(ui, "Into", tooltip, |ui, _| {
        let chosen = targets.iter().find(|(id, _)| Some(*id) == cx.view.accept.into);
        egui::ComboBox::from_id_salt("accept-into")
            .selected_text(chosen.map_or("a new layer", |(_, name)| name))
            .width(ui.available_width().min(150.0))
            .truncate()
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut cx.view.accept.into, None, "a new layer");
                for (id, name) in &targets {
                    ui.selectable_value(&mut cx.view.accept.into, Some(*id), name);
                }
            })
            .response
            .accessible_name("Layer to accept into");
    });
}

/// How much of the volume each class takes in the prediction.
fn legend(ui: &mut egui::Ui, classes: &ClassTable, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let session = cx.session;
    let Some(prediction) = session.live().prediction.as_ref() else { return };
    for (id, share) in &prediction.shares {
        let Some(class) = classes.get(*id) else { continue };
        ui.horizontal(|ui| {
            let (rect, _) =
                ui.allocate_exact_size(egui::vec2(ui.available_width(), 16.0), egui::Sense::hover());
            let bar = egui::Rect::from_min_size(
                rect.min,
                egui::vec2((rect.width() * share).max(2.0), rect.height()),
            );
            ui.painter().rect_filled(bar, 2, theme::class_color(class.color).gamma_multiply(0.35));
            let at = egui::pos2(rect.left() + 6.0, rect.center().y);
            ui.painter().text(
                at,
                egui::Align2::LEFT_CENTER,
                &class.name,
                egui::FontId::proportional(12.0),
                t.text,
            );
            let at = egui::pos2(rect.right() - 6.0, rect.center().y);
            let text = format!("{:.1} %", share * 100.0);
            ui.painter().text(
                at,
                egui::Align2::RIGHT_CENTER,
                text,
                egui::FontId::proportional(12.0),
                t.text_weak,
            );
        });
    }
}
