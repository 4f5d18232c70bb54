//! Quality: how fine and how noisy a reconstruction is, told by its halves.

use super::super::frame::Cx;
use super::super::state::{self, Dialog};
use super::super::widgets::plot::{Curve as Line, Plot};
use super::super::widgets::{self, Button};
use super::super::{dialogs, icons, theme};
use super::{fourier, operation};
use crate::measure::fsc::{Criterion, Curve};
use crate::ops::{self, Data};
use crate::project::{Content, Layer, LayerId, Project};
use crate::session::{Command, ExportKind, Session};

/// Curves of the document, newest first.
fn curves(project: &Project) -> impl Iterator<Item = (&Layer, Curve)> {
    project.from_top().filter_map(|layer| match &layer.content {
        Content::Other(Data::Table(table)) if layer.provenance.op == "fsc" => {
            Some((layer, Curve::of_table(table)?))
        }
        _ => None,
    })
}

/// Whether something has been judged.
pub(crate) fn is_judged(project: &Project) -> bool {
    curves(project).next().is_some()
}

/// The reconstruction that would be judged: what is looked at, or the newest, but no half of it.
fn judged_volume(session: &Session, cx: &Cx<'_>) -> Option<LayerId> {
    let project = session.project();
    let whole = |layer: &&Layer| layer.provenance.op == "reconstruct" && session.half_of(layer.id).is_none();
    let seen = state::main_volume(project, cx.view).filter(|layer| session.half_of(layer.id).is_none());
    seen.filter(whole)
        .or_else(|| project.from_top().filter(|l| l.volume().is_some()).find(whole))
        .or(seen)
        .map(|layer| layer.id)
}

/// Draws the inspector.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Resolution and noise");
    let session = cx.session;
    let Some(volume) = judged_volume(session, cx) else {
        widgets::hint(ui, "Reconstruct a scan first, or open a volume with its two halves.");
        return;
    };
    let halves = session.half_sets(volume);
    widgets::hint(
        ui,
        match halves {
            Some(_) => "Compares the two halves of the reconstruction shell by shell of spatial frequency.",
            None => {
                "Reconstructs the even and the odd views apart, then compares both: what they share is sample, what they do not is noise."
            }
        },
    );
    let name = session.project().layer(volume).map_or("", |layer| layer.name.as_str());
    operation::fact(ui, "Volume", name);
    if let Some(op) = ops::find("fsc") {
        let params = operation::form(ui, op, &[], cx);
        if operation::start_button(ui, "Judge", &["Judge"], None, cx) {
            cx.queue.session(Command::Assess { volume, params });
        }
    }
    let found: Vec<_> = curves(session.project()).collect();
    let Some(own) = found.iter().position(|(layer, _)| layer.judges(name)) else {
        return fourier::show(ui, volume, None, cx);
    };
    let (layer, curve) = &found[own];
    let other = found.iter().enumerate().find(|(at, _)| *at != own).map(|(_, other)| other);
    widgets::divider(ui);
    heading(ui, layer, cx);
    plot(ui, curve, other.map(|(_, curve)| curve), cx);
    numbers(ui, curve);
    if let Some((before, _)) = other {
        widgets::hint(ui, &format!("Thin and grey: {}, for comparison.", before.name));
    }
    noise(ui, name, cx);
    fourier::show(ui, volume, Some(curve), cx);
    widgets::divider(ui);
    let button = Button::new("Save report…").icon(icons::EXPORT);
    let tooltip = "A page of HTML with slices, shifts, resolution, noise and all parameters";
    if button.show(ui).on_hover_text(tooltip).clicked() {
        cx.view.dialog = Some(Dialog::Write(dialogs::WriteForm {
            what: dialogs::WriteWhat::Layer(volume, ExportKind::Report),
            title: "Save report".to_owned(),
            hint: "A page that any browser opens; pictures are inside".to_owned(),
            path: super::export::in_documents(&format!("{name} report.html")),
        }));
    }
}

fn heading(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    widgets::heading_row(ui, &layer.name, |ui| {
        for (kind, extension, icon, title, hint) in [
            (
                ExportKind::Table,
                "csv",
                icons::TABLE,
                "Save curve as CSV",
                "A CSV file with a row for every spatial frequency",
            ),
            (
                ExportKind::Chart,
                "svg",
                icons::EXPORT,
                "Save curve as a drawing",
                "An SVG drawing for a paper or a talk",
            ),
        ] {
            if widgets::icon_button(ui, icon, title, hint).clicked() {
                cx.view.dialog = Some(Dialog::Write(dialogs::WriteForm {
                    what: dialogs::WriteWhat::Layer(layer.id, kind),
                    title: title.to_owned(),
                    hint: hint.to_owned(),
                    path: super::export::in_documents(&format!("{}.{extension}", layer.name)),
                }));
            }
        }
    });
}

fn plot(ui: &mut egui::Ui, curve: &Curve, before: Option<&Curve>, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let last = curve.shells.last().map_or(1.0, |shell| shell.frequency);
    let of = |curve: &Curve, value: &dyn Fn(&crate::measure::fsc::Shell) -> f64| -> Vec<[f64; 2]> {
        curve.shells.iter().map(|shell| [shell.frequency, value(shell)]).collect()
    };
    let dashed = |value: &dyn Fn(&crate::measure::fsc::Shell) -> f64| Line {
        dashed: true,
        width: 1.0,
        ..Line::line(of(curve, value), t.text_weak)
    };
    let mut lines = vec![dashed(&|_| 0.143), dashed(&|_| 0.25), dashed(&|shell| shell.half_bit)];
    if let Some(before) = before.filter(|before| before.in_um == curve.in_um) {
        lines.push(Line { width: 1.0, ..Line::line(of(before, &|shell| shell.fsc), t.text_weak) });
    }
    if cx.view.show_cones {
        // Axes have their colours in every view: x, y, z.
        for (axis, color) in [(0, t.axes[2]), (1, t.axes[1]), (2, t.axes[0])] {
            let points = of(curve, &|shell| shell.cones_zyx[axis].unwrap_or(f64::NAN));
            lines.push(Line { width: 1.0, ..Line::line(points, color) });
        }
    }
    lines.push(Line { width: 2.0, ..Line::line(of(curve, &|shell| shell.fsc), t.accent) });
    let plot = Plot {
        name: "Fourier shell correlation",
        height: 150.0,
        ranges: [[0.0, last], [-0.1, 1.0]],
        x_text: &|x| curve.period_text(x),
        y_text: &|y| format!("{y:.1}"),
        curves: &lines,
    };
    plot.show(ui, |x| {
        let near =
            curve.shells.iter().min_by(|a, b| (a.frequency - x).abs().total_cmp(&(b.frequency - x).abs()));
        near.map_or_else(String::new, |shell| {
            format!("{}: {:.2}", curve.period_text(shell.frequency), shell.fsc)
        })
    });
    widgets::switch(
        ui,
        &mut cx.view.show_cones,
        "Along the axes",
        "The correlation in cones around x (red), y (green) and z (blue): a missing wedge shows along z",
    );
}

fn numbers(ui: &mut egui::Ui, curve: &Curve) {
    let text = |crossing| curve.crossing_text(crossing);
    for (criterion, name) in [
        (Criterion::Quarter, "At 0.25"),
        (Criterion::Seventh, "At 0.143"),
        (Criterion::HalfBit, "At half a bit"),
    ] {
        operation::fact(ui, name, &text(curve.crossing(criterion)));
    }
    for (axis, name) in [(0, "Along z"), (1, "Along y"), (2, "Along x")] {
        operation::fact(ui, &format!("{name}, 0.143"), &text(curve.cone_crossing(axis, Criterion::Seventh)));
    }
    widgets::hint(ui, "Full periods; the half pitch is half of each. The halves share the alignment.");
}

/// The noise map of the volume of this name, where there is one: its mean, and a switch that shows it.
fn noise(ui: &mut egui::Ui, volume: &str, cx: &mut Cx<'_>) {
    let session = cx.session;
    let is_its = |layer: &&Layer| layer.provenance.op == "noise" && layer.judges(volume);
    let found = session.project().from_top().find(is_its);
    let Some(layer) = found.filter(|layer| layer.volume().is_some()) else { return };
    widgets::divider(ui);
    widgets::heading(ui, "Noise");
    if let Some(stats) = cx.derived.stats(layer) {
        let histogram = &stats.histogram;
        let (mut sum, mut n) = (0.0, 0u64);
        for (bin, count) in histogram.counts.iter().enumerate() {
            sum += f64::from(histogram.center(bin)) * *count as f64;
            n += count;
        }
        let unit = state::value_unit(layer);
        operation::fact(ui, "Mean", &format!("{:.4} {unit}", sum / n.max(1) as f64));
    }
    let label = if layer.display.visible { "Hide the map" } else { "Show the map" };
    if Button::new(label).icon(icons::EYE).show(ui).clicked() {
        let display = crate::project::Display { visible: !layer.display.visible, ..layer.display.clone() };
        let edit = crate::project::Edit::SetDisplay { layer: layer.id, display };
        cx.queue.session(Command::Edit { label: label.to_owned(), edit });
        cx.view.layer = Some(layer.id);
    }
}
