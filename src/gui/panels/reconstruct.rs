//! Normalise, align, reconstruct: forms from the registry, one button for the whole chain.

use serde_json::Value;

use super::super::frame::Cx;
use super::super::preview::{Shown, Wanted};
use super::super::tour;
use super::super::widgets::{self, Button};
use super::operation;
use super::scan::scan_layer;
use crate::ops::chain::{AlignSource, Chain};
use crate::ops::{self, Forecast, Op, OpError, Stage};
use crate::project::{Content, Layer, LayerId, Project};
use crate::session::Command;

/// The newest alignment.
pub(super) fn alignment_layer(project: &Project) -> Option<&Layer> {
    project.from_top().find(|layer| matches!(layer.content, Content::Alignment(_)))
}

/// The newest layer of a kind.
pub(super) fn newest(project: &Project, kind: ops::Kind) -> Option<LayerId> {
    project.from_top().find(|layer| layer.content.kind() == Some(kind)).map(|layer| layer.id)
}

/// Slots and layers that an operation can take as the project is, newest first.
pub(crate) fn inputs_for(project: &Project, op: &Op) -> Vec<(String, LayerId)> {
    op.inputs.iter().filter_map(|slot| Some((slot.name.to_owned(), newest(project, slot.kind)?))).collect()
}

/// What the operation would take, or why it cannot start.
pub(super) fn forecast(cx: &Cx<'_>, op: &Op, params: &Value) -> Result<Forecast, OpError> {
    cx.session.forecast(op.id, params, &inputs_for(cx.session.project(), op))
}

/// The one button of the scan inspector: everything with what the forms say.
pub(crate) fn quick(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Reconstruction");
    widgets::hint(
        ui,
        "Normalises to absorbance, aligns the views and reconstructs the volume in 1/µm. Align and Reconstruct above have the details.",
    );
    let top = ui.cursor().top();
    if operation::start_button(ui, "Reconstruct", &["Reconstruct"], None, cx) {
        start(cx);
    }
    let button = egui::Rect::from_x_y_ranges(ui.max_rect().x_range(), top + 4.0..=top + 34.0);
    tour::anchor(ui, cx.view, tour::Step::Reconstruct, button);
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
    slice(ui, params, cx);
}

/// The slice that the form would give, at the cross hair where there is a volume.
fn slice(ui: &mut egui::Ui, params: Value, cx: &mut Cx<'_>) {
    let session = cx.session;
    let project = session.project();
    let Some((layer, scan)) = scan_layer(project) else { return };
    let [_, n_rows, _] = scan.projections.shape();
    let pixel = scan.pixel_um.unwrap_or(1.0);
    let at = if cx.facts.volume { cx.view.cursor_um.y / pixel } else { n_rows as f64 / 2.0 };
    let alignment = alignment_layer(project).and_then(|layer| match &layer.content {
        Content::Alignment(found) if found.views.len() == scan.n_views() => {
            Some(((layer.id, layer.revision), found))
        }
        _ => None,
    });
    let is_aligned = alignment.is_some();
    let wanted = Wanted {
        scan_key: (layer.id, layer.revision),
        scan,
        normalize: cx.view.forms.get("normalize").cloned().unwrap_or(Value::Null),
        alignment,
        params,
        row: (at.max(0.0) as usize).min(n_rows.saturating_sub(1)),
        budget: session.settings().budget(),
    };
    widgets::divider(ui);
    widgets::heading(ui, "Preview");
    match cx.derived.preview.show(ui.ctx(), &wanted) {
        Shown::Coming => {
            widgets::hint(ui, "The slice that the form would give is on its way.");
        }
        Shown::Problem(problem) => {
            widgets::warn(ui, &operation::sentence(&problem));
        }
        Shown::Slice(texture, slice) => {
            let size = texture.size_vec2();
            let width = ui.available_width();
            let height = (width * size.y / size.x.max(1.0)).min(360.0);
            // An image as a widget would ask for more than the room and push the panel wider with every frame.
            let (rect, response) = ui.allocate_exact_size(egui::vec2(width, height), egui::Sense::hover());
            let fitted = egui::vec2(height * size.x / size.y.max(1.0), height);
            egui::Image::new(&texture).paint_at(ui, egui::Rect::from_center_size(rect.center(), fitted));
            let enabled = ui.is_enabled();
            response.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::Image, enabled, "Preview of the slice")
            });
            let binned = if slice.bin > 1 { format!(", binned by {}", slice.bin) } else { String::new() };
            let aligned = if is_aligned { "" } else { ", not aligned yet" };
            let took = format!("Made in {:.0} ms", slice.seconds * 1e3);
            widgets::hint(ui, &format!("Row {}{binned}{aligned}", wanted.row + 1)).on_hover_text(took);
        }
    }
}
