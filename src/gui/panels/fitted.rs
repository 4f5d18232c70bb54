//! Classes by value on the histogram: the thresholds that were found, and the Gaussians that were fitted, with errors.

use egui::{Color32, Pos2, Shape, Stroke};

use super::super::frame::Cx;
use super::super::theme;
use super::histogram::Axis;
use crate::ops::Data;
use crate::project::{Content, Layer, Project};
use crate::volume::Table;
use crate::volume::classes::palette_color;

/// One class of the newest thresholds of a volume.
struct Class {
    name: String,
    color: Color32,
    /// First value; `None` without a bound.
    low: Option<f64>,
    /// Mean of its voxels or of the Gaussian, its standard error where it was fitted, and the standard deviation.
    mean: f64,
    mean_error: Option<f64>,
    sd: f64,
    /// Voxels of the whole domain that the Gaussian stands for; `None` where none was fitted.
    voxels: Option<f64>,
}

/// The table that `threshold` made last of a volume.
fn newest<'p>(project: &'p Project, layer: &Layer) -> Option<&'p Table> {
    project.from_top().find_map(|found| match &found.content {
        Content::Other(Data::Table(table))
            if found.provenance.op == "threshold"
                && found.display.visible
                && found.provenance.inputs.contains(&layer.name) =>
        {
            Some(&**table)
        }
        _ => None,
    })
}

fn classes_of(table: &Table, project: &Project) -> Vec<Class> {
    let total: f64 = (0..table.rows.len()).filter_map(|row| table.number(row, "voxels")).sum();
    let class = |row: usize| {
        let number = |name: &str| table.number(row, name);
        let name = table.get(row, "name").map(crate::volume::Cell::text).unwrap_or_default();
        let known = project.classes.classes.iter().find(|class| class.name == name).map(|class| class.color);
        let weight = number("fitted_weight");
        let [mean, sd] = if weight.is_some() { ["fitted_mean", "fitted_sd"] } else { ["mean", "sd"] };
        Some(Class {
            name,
            color: theme::class_color(known.unwrap_or_else(|| palette_color(row))),
            low: number("low"),
            mean: number(mean)?,
            mean_error: number("fitted_mean_se"),
            sd: number(sd)?,
            voxels: weight.map(|weight| weight * total),
        })
    };
    (0..table.rows.len()).filter_map(class).collect()
}

/// Draws what was found of a volume; says the numbers where the pointer rests.
///
/// `height_of` gives the height in points of so many voxels in a bin, `bin` is the width of a bin.
pub(super) fn show(
    painter: &egui::Painter,
    response: &egui::Response,
    layer: &Layer,
    axis: &Axis,
    bin: f32,
    height_of: impl Fn(f32) -> f32,
    cx: &Cx<'_>,
) {
    let project = cx.session.project();
    let Some(table) = newest(project, layer) else { return };
    let classes = classes_of(table, project);
    let bottom = axis.rect.bottom();
    for class in &classes {
        if let Some(low) = class.low.filter(|low| axis.contains(*low as f32)) {
            let x = axis.x(low as f32);
            let line = [egui::pos2(x, axis.rect.top()), egui::pos2(x, bottom)];
            painter.extend(Shape::dashed_line(&line, Stroke::new(1.0, class.color), 4.0, 3.0));
        }
        if let Some(voxels) = class.voxels.filter(|_| class.sd > 0.0) {
            let at = |x: f32| {
                let off = (f64::from(axis.value(x)) - class.mean) / class.sd;
                let density = (-0.5 * off * off).exp() / (class.sd * std::f64::consts::TAU.sqrt());
                egui::pos2(x, bottom - height_of((voxels * density * f64::from(bin)) as f32))
            };
            let n = axis.rect.width() as usize / 2;
            let line: Vec<Pos2> = (0..=n).map(|i| at(axis.rect.left() + 2.0 * i as f32)).collect();
            painter.add(Shape::line(line, Stroke::new(1.5, class.color)));
        }
        // The mean on the axis; a bar of two standard errors to either side where it is wider than a point.
        if axis.contains(class.mean as f32) {
            let x = axis.x(class.mean as f32);
            painter.circle_filled(egui::pos2(x, bottom), 3.0, class.color);
            if let Some(error) = class.mean_error {
                let reach = [-2.0, 2.0].map(|n| axis.x((class.mean + n * error) as f32));
                painter.hline(reach[0]..=reach[1], bottom, Stroke::new(2.0, class.color));
            }
        }
    }
    if classes.is_empty() {
        return;
    }
    response.clone().on_hover_ui(|ui| {
        let t = theme::of(ui);
        for class in &classes {
            ui.horizontal(|ui| {
                let (dot, _) = ui.allocate_exact_size(egui::vec2(10.0, 10.0), egui::Sense::hover());
                ui.painter().circle_filled(dot.center(), 4.0, class.color);
                ui.label(egui::RichText::new(&class.name).color(t.text_strong));
                ui.label(egui::RichText::new(numbers(class)).color(t.text_weak));
            });
        }
    });
}

/// Mean with its error, and spread.
fn numbers(class: &Class) -> String {
    match class.mean_error {
        // Two digits of the error say all that it can.
        Some(error) => {
            let digits = (1.0 - error.log10().floor()).clamp(0.0, 9.0) as usize;
            format!("{:.digits$} ± {:.digits$}, spread {:.4}", class.mean, error, class.sd)
        }
        None => format!("{:.4}, spread {:.4}", class.mean, class.sd),
    }
}
