//! Align: the views' shifts, what found them, and views left out by a click.

use super::super::frame::Cx;
use super::super::theme;
use super::super::widgets::plot::{Curve, Plot};
use super::super::widgets::{self, Button};
use super::scan::scan_layer;
use super::{operation, reconstruct};
use crate::ops;
use crate::ops::chain::{AlignSource, Chain};
use crate::project::{Content, Edit, Layer};
use crate::session::Command;
use crate::volume::{Alignment, ViewShift};

/// The align inspector.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Normalise");
    if let Some(op) = ops::find("normalize") {
        operation::form(ui, op, &[], cx);
    }
    widgets::divider(ui);
    super::scan::views_switch(ui, cx);
    widgets::heading(ui, "Align");
    let Some(op) = ops::find("align") else { return };
    widgets::hint(ui, op.summary);
    let params = operation::form(ui, op, &[], cx);
    let session = cx.session;
    let has_series = reconstruct::newest(session.project(), ops::Kind::Series).is_some();
    if scan_layer(session.project()).is_none() && !has_series {
        widgets::hint(ui, "Open a scan to align its views.");
        return;
    }
    if let Some((layer, _)) = scan_layer(session.project()) {
        if operation::start_button(ui, "Align", &["Align"], None, cx) {
            let normalize = cx.view.forms.get("normalize").cloned().unwrap_or_default();
            let chain =
                Chain { normalize, align: AlignSource::Find(params), reconstruct: serde_json::Value::Null };
            cx.queue.session(Command::Align { scan: layer.id, chain: Box::new(chain) });
        }
    } else {
        let forecast = reconstruct::forecast(cx, op, &params);
        if operation::start_button(ui, "Align", &[op.label], Some(&forecast), cx) {
            let inputs = reconstruct::inputs_for(session.project(), op);
            cx.queue.session(Command::StartOp { op: op.id.to_owned(), params, inputs, name: None });
        }
    }
    if let Some(layer) = reconstruct::alignment_layer(session.project()) {
        shifts(ui, layer, cx);
    }
}

/// The shifts of the views as two curves; a click leaves a view out or takes it in again.
fn shifts(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    let Content::Alignment(alignment) = &layer.content else { return };
    let t = theme::of(ui);
    widgets::divider(ui);
    widgets::heading(ui, "Shifts");
    let n = alignment.views.len();
    let largest = alignment
        .views
        .iter()
        .filter(|view| view.used)
        .flat_map(|view| [view.shift_x_px.abs(), view.shift_y_px.abs()])
        .fold(0.5, f64::max);
    let along = |value: fn(&ViewShift) -> f64, used: bool| -> Vec<[f64; 2]> {
        let points = alignment.views.iter().enumerate();
        points.map(|(i, view)| [i as f64, if view.used == used { value(view) } else { f64::NAN }]).collect()
    };
    let mut curves = vec![
        Curve::line(along(|view| view.shift_x_px, true), t.axes[0]),
        Curve::line(along(|view| view.shift_y_px, true), t.axes[1]),
    ];
    curves.push(Curve { dots: true, width: 2.0, ..Curve::line(along(|_| 0.0, false), t.warning) });
    let plot = Plot {
        name: "Shifts of the views",
        height: 126.0,
        ranges: [[0.0, n.max(2) as f64 - 1.0], [-1.05 * largest, 1.05 * largest]],
        x_text: &|x| angle_text(alignment, x),
        y_text: &|y| format!("{y:.1} px"),
        curves: &curves,
    };
    let shown = plot.show(ui, |x| view_at(alignment, x).map_or_else(String::new, sentence));
    if shown.response.clicked()
        && let Some(view) = shown.x.and_then(|x| view_at(alignment, x))
    {
        let mut views = alignment.views.clone();
        let (index, leave_out) = (view.index, view.used);
        views.iter_mut().filter(|other| other.index == index).for_each(|other| other.used = !leave_out);
        let label = if leave_out { "Leave view out" } else { "Take view in" };
        let edit = Edit::SetAlignmentViews { layer: layer.id, views };
        cx.queue.session(Command::Edit { label: label.to_owned(), edit });
        // What is changed by hand is meant to be used.
        cx.view.use_alignment = true;
    }
    ui.horizontal(|ui| {
        for (name, color) in [("x", t.axes[0]), ("y", t.axes[1])] {
            ui.label(egui::RichText::new(name).color(color));
        }
        ui.label(egui::RichText::new(format!("up to {largest:.1} px")).size(12.0).color(t.text_weak));
    });
    let out = alignment.views.iter().filter(|view| !view.used).count();
    let hint = match out {
        0 => "A click on the plot leaves a view out of the reconstruction.".to_owned(),
        1 => "1 view is left out (orange); a click takes it in again.".to_owned(),
        n => format!("{n} views are left out (orange); a click takes one in again."),
    };
    widgets::hint(ui, &hint);
    if out > 0 && Button::new("Use all views").show(ui).clicked() {
        let views = alignment.views.iter().map(|view| ViewShift { used: true, ..*view }).collect();
        let edit = Edit::SetAlignmentViews { layer: layer.id, views };
        cx.queue.session(Command::Edit { label: "Use all views".to_owned(), edit });
    }
    residuals(ui, alignment);
    if let Some(score) = alignment.score {
        operation::fact(ui, "Score", &format!("{score:.3}"));
    }
    if !alignment.method.is_empty() {
        operation::fact(ui, "Method", &alignment.method);
    }
    super::beads::show(ui, layer.id, alignment, cx);
}

/// How far what was tracked lies from the model, view by view, where that was measured.
fn residuals(ui: &mut egui::Ui, alignment: &Alignment) {
    let known = || alignment.views.iter().filter(|view| view.used).filter_map(|view| view.residual_px);
    let worst = known().fold(0.0, f64::max);
    if worst <= 0.0 {
        return;
    }
    let t = theme::of(ui);
    let points = alignment.views.iter().enumerate();
    let points =
        points.map(|(i, view)| [i as f64, view.residual_px.filter(|_| view.used).unwrap_or(f64::NAN)]);
    let curves = [Curve::line(points.collect(), t.accent)];
    widgets::heading(ui, "Residuals");
    let plot = Plot {
        name: "Residuals of the views",
        height: 96.0,
        ranges: [[0.0, alignment.views.len().max(2) as f64 - 1.0], [0.0, worst * 1.1]],
        x_text: &|x| angle_text(alignment, x),
        y_text: &|y| format!("{y:.2} px"),
        curves: &curves,
    };
    plot.show(ui, |x| {
        view_at(alignment, x).map_or_else(String::new, |view| match view.residual_px {
            Some(residual) => format!("view {}: {residual:.2} px", view.index + 1),
            None => format!("view {}: not measured", view.index + 1),
        })
    });
    let (sum, n) = known().fold((0.0, 0), |(sum, n), r| (sum + r * r, n + 1));
    operation::fact(ui, "Root mean square", &format!("{:.2} px", (sum / f64::from(n.max(1))).sqrt()));
}

/// The view at a place of the plot.
fn view_at(alignment: &Alignment, x: f64) -> Option<&ViewShift> {
    alignment.views.get(x.round().max(0.0) as usize)
}

fn angle_text(alignment: &Alignment, x: f64) -> String {
    view_at(alignment, x).map_or_else(String::new, |view| format!("{:.1}°", view.angle_deg))
}

/// What is known of a view, beside the cross hair.
fn sentence(view: &ViewShift) -> String {
    let used = if view.used { "" } else { ", left out" };
    format!(
        "view {}, {:.1}°: x {:.2}, y {:.2} px{used}",
        view.index + 1,
        view.angle_deg,
        view.shift_x_px,
        view.shift_y_px
    )
}
