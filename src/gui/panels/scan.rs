//! The scan: what it is, and its views before there is a volume.

use egui::{Sense, vec2};

use super::super::commands::CommandId;
use super::super::frame::Cx;
use super::super::widgets::{self, Button};
use super::super::{icons, theme};
use super::operation::fact;
use crate::project::{Content, Layer, Project};
use crate::volume::Scan;

/// The newest scan.
pub(crate) fn scan_layer(project: &Project) -> Option<(&Layer, &Scan)> {
    project.from_top().find_map(|layer| match &layer.content {
        Content::Scan(scan) => Some((layer, scan.as_ref())),
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
    facts(ui, layer, scan);
    for warning in &scan.warnings {
        widgets::warn(ui, &super::operation::sentence(warning));
    }
    if !scan.metadata.is_empty() {
        widgets::fold(ui, "scan-metadata", "What else the file says", false, |ui| {
            for (name, value) in &scan.metadata {
                fact(ui, name, value);
            }
        });
    }
    widgets::divider(ui);
    super::reconstruct::quick(ui, cx);
}

fn facts(ui: &mut egui::Ui, layer: &Layer, scan: &Scan) {
    let [views, rows, cols] = scan.projections.shape();
    fact(ui, "Name", &layer.name);
    fact(ui, "Views", &format!("{views}"));
    fact(ui, "Pictures", &format!("{cols} × {rows} px, {}", scan.projections.dtype()));
    let range = scan
        .angles_deg
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), a| (lo.min(*a), hi.max(*a)));
    if scan.angles_deg.len() > 1 {
        let step = (range.1 - range.0) / (scan.angles_deg.len() - 1) as f64;
        fact(ui, "Tilt", &format!("{:.1}° to {:.1}°", range.0, range.1));
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

/// The views of the scan in place of the slices, while there is no volume.
pub(crate) fn preview(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let rect = ui.available_rect_before_wrap();
    ui.painter().rect_filled(rect, 0, t.canvas);
    let session = cx.session;
    let Some((layer, scan)) = scan_layer(session.project()) else { return };
    let n = scan.n_views();
    if n == 0 {
        return;
    }
    let index = cx.derived.projection_index.min(n - 1);
    let texture = cx.derived.projection(ui.ctx(), layer, scan, index);
    let bar = egui::Rect::from_min_max(egui::pos2(rect.left(), rect.bottom() - 52.0), rect.max);
    let room = egui::Rect::from_min_max(rect.min, egui::pos2(rect.right(), bar.top())).shrink(24.0);
    let response = ui.allocate_rect(rect, Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Scan view"));
    let size = texture.size_vec2();
    let scale = (room.width() / size.x).min(room.height() / size.y);
    let place = egui::Rect::from_center_size(room.center(), size * scale);
    egui::Image::new(&texture).paint_at(ui, place);
    let painter = ui.painter();
    let angle = scan.angles_deg.get(index).map(|a| format!("   {a:.2}°")).unwrap_or_default();
    painter.text(
        place.left_top() + vec2(10.0, 10.0),
        egui::Align2::LEFT_TOP,
        format!("View {} of {n}{angle}", index + 1),
        theme::medium(12.0),
        t.on_canvas,
    );
    let mut fraction = if n > 1 { index as f32 / (n - 1) as f32 } else { 0.0 };
    let slider = egui::UiBuilder::new().max_rect(bar.shrink2(vec2(24.0, 12.0)));
    ui.scope_builder(slider, |ui| {
        let width = ui.available_width();
        if widgets::fraction(ui, &mut fraction, "View of the scan", width).changed() {
            cx.derived.projection_index = (fraction * (n - 1) as f32).round() as usize;
        }
    });
    if response.contains_pointer() {
        let lines: f32 = ui.input(|i| {
            i.events
                .iter()
                .map(|e| if let egui::Event::MouseWheel { delta, .. } = e { delta.y } else { 0.0 })
                .sum()
        });
        if lines != 0.0 {
            cx.derived.projection_index = index.saturating_add_signed(lines.signum() as isize).min(n - 1);
        }
    }
}
