//! Normalise, align, reconstruct: forms from the registry, one button for the whole chain.

use serde_json::Value;

use super::super::frame::Cx;
use super::super::widgets::{self, Button};
use super::operation;
use super::scan::scan_layer;
use crate::ops::chain::{AlignSource, Chain};
use crate::ops::{self, Forecast, Op, OpError, Stage};
use crate::project::{Content, Layer, LayerId, Project};
use crate::session::Command;

/// The newest alignment.
fn alignment_layer(project: &Project) -> Option<&Layer> {
    project.from_top().find(|layer| matches!(layer.content, Content::Alignment(_)))
}

/// The newest layer of a kind.
fn newest(project: &Project, kind: ops::Kind) -> Option<LayerId> {
    project.from_top().find(|layer| layer.content.kind() == Some(kind)).map(|layer| layer.id)
}

/// Slots and layers that an operation can take as the project is, newest first.
pub(crate) fn inputs_for(project: &Project, op: &Op) -> Vec<(String, LayerId)> {
    op.inputs.iter().filter_map(|slot| Some((slot.name.to_owned(), newest(project, slot.kind)?))).collect()
}

/// What the operation would take, or why it cannot start.
fn forecast(cx: &Cx<'_>, op: &Op, params: &Value) -> Result<Forecast, OpError> {
    cx.session.forecast(op.id, params, &inputs_for(cx.session.project(), op))
}

/// The one button of the scan inspector: everything with what the forms say.
pub(crate) fn quick(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Reconstruction");
    widgets::hint(
        ui,
        "Normalises to absorbance, aligns the views and reconstructs the volume in 1/µm. Align and Reconstruct above have the details.",
    );
    if operation::start_button(ui, "Reconstruct", &["Reconstruct"], None, cx) {
        start(cx);
    }
}

/// Starts the chain with what the forms say.
pub(crate) fn start(cx: &mut Cx<'_>) {
    let project = cx.session.project();
    let Some((scan, _)) = scan_layer(project) else { return };
    let form = |id: &str| cx.view.forms.get(id).cloned().unwrap_or(Value::Null);
    let align = match alignment_layer(project).map(|layer| &layer.content) {
        Some(Content::Alignment(alignment)) if cx.view.use_alignment => {
            AlignSource::Given(alignment.as_ref().clone())
        }
        _ => AlignSource::Find(form("align")),
    };
    let chain = Chain { normalize: form("normalize"), align, reconstruct: form("reconstruct") };
    cx.queue.session(Command::Reconstruct { scan: scan.id, chain: Box::new(chain), name: None });
}

/// The align inspector.
pub(crate) fn align(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Normalise");
    if let Some(op) = ops::find("normalize") {
        operation::form(ui, op, &[], cx);
    }
    widgets::divider(ui);
    widgets::heading(ui, "Align");
    let Some(op) = ops::find("align") else { return };
    widgets::hint(ui, op.summary);
    let params = operation::form(ui, op, &[], cx);
    let session = cx.session;
    if scan_layer(session.project()).is_none() {
        widgets::hint(ui, "Open a scan to align its views.");
        return;
    }
    if newest(session.project(), ops::Kind::Series).is_none() {
        widgets::hint(
            ui,
            "Reconstruct normalises and aligns by itself; the shifts it finds are listed here.",
        );
        if operation::start_button(ui, "Reconstruct", &["Reconstruct"], None, cx) {
            start(cx);
        }
    } else {
        let forecast = forecast(cx, op, &params);
        if operation::start_button(ui, "Align", &[op.label], Some(&forecast), cx) {
            let inputs = inputs_for(session.project(), op);
            cx.queue.session(Command::StartOp { op: op.id.to_owned(), params, inputs, name: None });
        }
    }
    if let Some(layer) = alignment_layer(session.project()) {
        shifts(ui, layer);
    }
}

/// The shifts of the views as two curves.
fn shifts(ui: &mut egui::Ui, layer: &Layer) {
    let Content::Alignment(alignment) = &layer.content else { return };
    let t = super::super::theme::of(ui);
    widgets::divider(ui);
    widgets::heading(ui, "Shifts");
    let (rect, response) =
        ui.allocate_exact_size(egui::vec2(ui.available_width(), 110.0), egui::Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Shifts of the views"));
    ui.painter().rect_filled(rect, 4, t.inset);
    let largest = alignment
        .views
        .iter()
        .flat_map(|view| [view.shift_x_px.abs(), view.shift_y_px.abs()])
        .fold(0.5, f64::max);
    let n = alignment.views.len().max(2) - 1;
    let inner = rect.shrink2(egui::vec2(8.0, 10.0));
    ui.painter().hline(inner.x_range(), inner.center().y, egui::Stroke::new(1.0, t.line));
    for (axis, color) in [(0usize, t.axes[0]), (1, t.axes[1])] {
        let points: Vec<_> = alignment
            .views
            .iter()
            .enumerate()
            .map(|(i, view)| {
                let shift = if axis == 0 { view.shift_x_px } else { view.shift_y_px };
                egui::pos2(
                    egui::lerp(inner.x_range(), i as f32 / n as f32),
                    inner.center().y - (shift / largest) as f32 * inner.height() / 2.0,
                )
            })
            .collect();
        ui.painter().add(egui::Shape::line(points, egui::Stroke::new(1.25, color)));
    }
    let excluded = alignment.views.iter().filter(|view| !view.used).count();
    ui.horizontal(|ui| {
        for (name, color) in [("x", t.axes[0]), ("y", t.axes[1])] {
            ui.label(egui::RichText::new(name).color(color));
        }
        ui.label(
            egui::RichText::new(format!("up to {largest:.1} px, {excluded} views left out"))
                .size(12.0)
                .color(t.text_weak),
        );
    });
    if let Some(score) = alignment.score {
        operation::fact(ui, "Score", &format!("{score:.3}"));
    }
    if !alignment.method.is_empty() {
        operation::fact(ui, "Method", &alignment.method);
    }
}

/// The reconstruct inspector.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Reconstruct");
    let session = cx.session;
    let Some(op) = ops::find("reconstruct") else { return };
    if scan_layer(session.project()).is_none() && newest(session.project(), ops::Kind::Series).is_none() {
        widgets::hint(
            ui,
            "A reconstruction needs a scan. What is open is a volume already: look at it, then go on to Segment.",
        );
        ui.add_space(4.0);
        if Button::new("Go to Segment").show(ui).clicked() {
            cx.view.stage = Stage::Segment;
        }
        return;
    }
    widgets::hint(ui, op.summary);
    ui.add_space(2.0);
    let params = operation::form(ui, op, &[], cx);
    if alignment_layer(session.project()).is_some() {
        widgets::switch(
            ui,
            &mut cx.view.use_alignment,
            "Keep the alignment found before",
            "Uses the newest alignment of the list instead of aligning again",
        );
    }
    let forecast = newest(session.project(), ops::Kind::Series).map(|_| forecast(cx, op, &params));
    if operation::start_button(ui, "Reconstruct", &["Reconstruct"], forecast.as_ref(), cx) {
        start(cx);
    }
}
