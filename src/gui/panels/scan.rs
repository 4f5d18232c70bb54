//! The scan: what it is, and its views before there is a volume.

use super::super::commands::CommandId;
use super::super::frame::Cx;
use super::super::widgets::plot::{Curve, Plot};
use super::super::widgets::{self, Button};
use super::super::{icons, theme};
use super::operation::fact;
use crate::measure::dose::{self, Dose, DoseParams};
use crate::ops;
use std::sync::Arc;

use crate::project::{Content, Layer, Project};
use crate::volume::Scan;
use crate::volume::series::range_of;

/// The newest scan.
pub(crate) fn scan_layer(project: &Project) -> Option<(&Layer, &Arc<Scan>)> {
    project.from_top().find_map(|layer| match &layer.content {
        Content::Scan(scan) => Some((layer, scan)),
        _ => None,
    })
}

/// Draws the inspector.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Scan");
    let session = cx.session;
    let Some((layer, scan)) = scan_layer(session.project()) else {
        widgets::hint(
            ui,
            "No scan is open. A reconstruction needs the views of a tilt series; a tomogram can be segmented without.",
        );
        ui.add_space(4.0);
        if Button::new("Open scan…").icon(icons::FOLDER_OPEN).show(ui).clicked() {
            cx.queue.run(CommandId::Open);
        }
        return;
    };
    views_switch(ui, cx);
    facts(ui, layer, scan);
    for warning in &scan.warnings {
        widgets::warn(ui, &super::operation::sentence(warning));
    }
    // Of a file the section about it tells all.
    if layer.source.is_none() && !scan.metadata.is_empty() {
        widgets::fold(ui, "scan-metadata", "What else the file says", false, |ui| {
            for (name, value) in &scan.metadata {
                fact(ui, name, value);
            }
        });
    }
    widgets::divider(ui);
    super::reconstruct::quick(ui, cx);
    widgets::divider(ui);
    light(ui, layer, scan, cx);
    dose(ui, layer, scan, cx);
}

/// Lets the views take the place of the slices, where there are both.
pub(crate) fn views_switch(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    if cx.facts.volume && scan_layer(cx.session.project()).is_some() {
        let tooltip = "The views of the scan in place of the slices of the volume";
        widgets::switch(ui, &mut cx.view.scan.open, "Show the views", tooltip);
    }
}

/// How much light comes through the sample.
fn light(ui: &mut egui::Ui, layer: &Layer, scan: &Arc<Scan>, cx: &mut Cx<'_>) {
    let Some(light) = cx.derived.scan_light(layer, scan) else {
        widgets::hint(ui, "Looking at the light…");
        return;
    };
    let Some(mean) = light.mean else { return };
    let t = theme::of(ui);
    widgets::heading(ui, "Transmission");
    let most = light.transmission.counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let points = light.transmission.counts.iter().enumerate();
    let points = points.map(|(bin, n)| [f64::from(light.transmission.center(bin)), *n as f64 / most]);
    let curves = [Curve::line(points.collect(), t.accent)];
    let plot = Plot {
        name: "Histogram of transmission",
        height: 96.0,
        ranges: [[0.0, 1.2], [0.0, 1.05]],
        x_text: &|x| format!("{x:.1}"),
        y_text: &|_| String::new(),
        curves: &curves,
    };
    plot.show(ui, |x| format!("{:.0} % comes through", x * 100.0));
    fact(ui, "Mean", &format!("{:.0} %", mean * 100.0));
    if light.starved > 0.0005 {
        let text = format!("{:.1} % of the pixels", light.starved * 100.0);
        widgets::row(
            ui,
            "Below 1 %",
            "Hardly a photon comes through there: gold beads, thick places",
            |ui, _| {
                ui.label(egui::RichText::new(text).color(t.warning));
            },
        );
    }
    if let Some(counts) = light.measured.counts {
        fact(ui, "Light", &format!("{counts:.0} counts a pixel"));
    }
}

/// What the scan costs the sample, as the form says.
fn dose(ui: &mut egui::Ui, layer: &Layer, scan: &Arc<Scan>, cx: &mut Cx<'_>) {
    let Some(op) = ops::find("dose") else { return };
    widgets::fold(ui, "dose", "Dose", false, |ui| {
        let given = super::operation::form(ui, op, &[], cx);
        let params = op.complete(&given).and_then(|all| ops::op::typed::<DoseParams>(&all));
        let Some(light) = cx.derived.scan_light(layer, scan) else { return };
        let found = match params {
            Ok(params) => dose::dose(&light.measured, &params).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        widgets::divider(ui);
        match found {
            Ok(found) => meter(ui, &found),
            Err(problem) => {
                widgets::hint(ui, &super::operation::sentence(&problem));
            }
        }
    });
}

fn meter(ui: &mut egui::Ui, found: &Dose) {
    let mgy = |dose: f64| {
        if dose >= 1e4 { format!("{:.1} GGy", dose * 1e-3) } else { format!("{dose:.1} MGy") }
    };
    fact(ui, "Dose", &mgy(found.dose_mgy));
    fact(ui, "Absorbed", &format!("{} ({:.0} %)", mgy(found.absorbed_mgy), found.absorbed_fraction * 100.0));
    fact(ui, "Fluence", &format!("{:.2e} photons/µm²", found.fluence_photons_per_um2));
    fact(
        ui,
        "Electrons",
        &format!(
            "{:.0} e/Å², {:.0} % of the budget",
            found.electrons_per_a2,
            found.electron_budget_share * 100.0
        ),
    );
    if let Some(plan) = &found.plan {
        fact(ui, "Detail needs", &mgy(plan.needed_mgy));
        fact(ui, "Detail stands", &mgy(plan.tolerable_mgy));
        fact(ui, "Finest possible", &format!("{:.0} nm", plan.finest_nm));
        if let Some(nm) = plan.seen_nm {
            fact(ui, "Seen at this dose", &format!("{nm:.0} nm"));
        }
        if let Some(views) = plan.views {
            fact(ui, "Views needed", &format!("{views} over 180°"));
        }
        if plan.needed_mgy > plan.tolerable_mgy {
            widgets::warn(ui, "The detail does not stand what is needed to see it.");
        }
    }
    for note in &found.notes {
        widgets::hint(ui, note);
    }
}

fn facts(ui: &mut egui::Ui, layer: &Layer, scan: &Scan) {
    let [views, rows, cols] = scan.projections.shape();
    fact(ui, "Name", &layer.name);
    fact(ui, "Number of views", &format!("{views}"));
    fact(ui, "Pictures", &format!("{cols} × {rows} px, {}", scan.projections.dtype()));
    if let (Some((low, high)), true) = (range_of(&scan.angles_deg), scan.angles_deg.len() > 1) {
        let step = (high - low) / (scan.angles_deg.len() - 1) as f64;
        fact(ui, "Tilt", &format!("{low:.1}° to {high:.1}°"));
        fact(ui, "Mean step", &format!("{step:.2}°"));
    }
    fact(
        ui,
        "Pixel",
        &scan.pixel_um.map_or_else(|| "unknown".to_owned(), |um| format!("{:.1} nm", um * 1000.0)),
    );
    if let Some(energy) = scan.energy_ev {
        fact(ui, "Energy", &format!("{energy:.0} eV"));
    }
    fact(ui, "Values", scan.unit.ascii());
    let frames = |array: &Option<crate::volume::AnyArray>| {
        array.as_ref().map_or_else(|| "none".to_owned(), |a| format!("{} frames", a.shape()[0]))
    };
    fact(ui, "Flat", &frames(&scan.flats));
    fact(ui, "Dark", &frames(&scan.darks));
}
