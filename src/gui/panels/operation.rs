//! The button that starts long work: what it will take beside it, progress and cancel in its place.

use egui::vec2;

use super::super::frame::Cx;
use super::super::widgets::{self, Button};
use super::super::{icons, theme};
use crate::jobs::JobView;
use crate::ops::{Forecast, Op, OpError};
use crate::session::Command;

/// The job that runs or waits whose name begins with one of these.
pub(crate) fn running(cx: &Cx<'_>, labels: &[&str]) -> Option<JobView> {
    let is_one = |job: &JobView| labels.iter().any(|label| job.label.starts_with(label));
    cx.session.jobs().into_iter().find(|job| !job.state.is_over() && is_one(job))
}

/// Draws the button or the progress; true when the work should start.
pub(crate) fn start_button(
    ui: &mut egui::Ui,
    label: &str,
    job_labels: &[&str],
    forecast: Option<&Result<Forecast, OpError>>,
    cx: &mut Cx<'_>,
) -> bool {
    let t = theme::of(ui);
    ui.add_space(4.0);
    if let Some(job) = running(cx, job_labels) {
        progress(ui, &job, cx);
        return false;
    }
    let refused = match forecast {
        Some(Ok(forecast)) => {
            cx.session.settings().budget().admit(forecast.bytes).err().map(|e| e.to_string())
        }
        Some(Err(error)) => Some(error.to_string()),
        None => None,
    };
    let mut clicked = false;
    ui.add_enabled_ui(refused.is_none(), |ui| {
        clicked = Button::new(label).icon(icons::PLAY).primary().fill_width().height(30.0).show(ui).clicked();
    });
    if let Some(text) = refused {
        widgets::warn(ui, &sentence(&text));
    } else if let Some(Ok(forecast)) = forecast {
        let time = forecast.seconds.map(|s| format!("about {}, ", widgets::duration(s))).unwrap_or_default();
        let text = format!("Takes {time}{} of memory", widgets::bytes(forecast.bytes));
        ui.label(egui::RichText::new(text).size(12.0).color(t.text_weak));
    }
    clicked
}

fn progress(ui: &mut egui::Ui, job: &JobView, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    ui.horizontal(|ui| {
        let width = ui.available_width() - 32.0;
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 4.0;
            let phase =
                if job.report.phase.is_empty() { "Waiting".to_owned() } else { job.report.phase.clone() };
            let eta = job
                .eta_secs
                .map(|s| format!(", {} left", widgets::duration(f64::from(s))))
                .unwrap_or_default();
            // Whatever a phase is called, it does not push the panel wider.
            ui.set_max_width(width);
            let text = format!("{phase}{eta}");
            let label = egui::Label::new(egui::RichText::new(&text).color(t.text)).truncate();
            ui.add(label).on_hover_text(text);
            widgets::progress_bar(ui, job.report.fraction(), vec2(width, 6.0));
        });
        if widgets::icon_button(ui, icons::X, "Cancel this job", "Stops it; nothing already done is lost")
            .clicked()
        {
            cx.queue.session(Command::Cancel(job.id));
        }
    });
}

/// A message of a floor below as a sentence of the window.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The form of an operation over the parameters that the view keeps for it.
pub(crate) fn form(ui: &mut egui::Ui, op: &'static Op, skip: &[&str], cx: &mut Cx<'_>) -> serde_json::Value {
    let given = cx.view.forms.entry(op.id).or_insert(serde_json::Value::Null);
    widgets::form::show(ui, op, given, skip);
    given.clone()
}

/// A line of facts: name at the left, value at the right.
pub(crate) fn fact(ui: &mut egui::Ui, name: &str, value: &str) {
    let t = theme::of(ui);
    let needs = [name, value].map(|text| widgets::text_width(ui, text));
    let name_width = widgets::name_width(ui.available_width(), needs[0], needs[1]);
    widgets::row_sized(ui, name, "", name_width, |ui, _| {
        ui.add(egui::Label::new(egui::RichText::new(value).color(t.text_strong)).truncate())
            .on_hover_text(value);
    });
}
