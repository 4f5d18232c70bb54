//! The tools, and what the chosen one can be set to.

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::state::Tool;
use super::super::widgets::{self, Number};

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for (tool, id) in [
            (Tool::Navigate, CommandId::Navigate),
            (Tool::Brush, CommandId::Brush),
            (Tool::Eraser, CommandId::Eraser),
            (Tool::Fill, CommandId::Fill),
        ] {
            let entry = find(id);
            let on = cx.view.tool == tool;
            if widgets::icon_sized(ui, entry.icon, entry.label, &entry.tooltip_with_key(), on, 30.0).clicked()
            {
                cx.queue.run(id);
            }
        }
    });
    match cx.view.tool {
        Tool::Brush | Tool::Eraser => brush(ui, cx),
        Tool::Fill => fill(ui, cx),
        Tool::Navigate | Tool::Landmark => {}
    }
}

fn brush(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    ui.add_space(2.0);
    let brush = &mut cx.view.brush;
    widgets::row(
        ui,
        "Shape",
        "A disc lies in the plane that is painted, a ball goes through it  (D)",
        |ui, _| {
            widgets::segmented(ui, &mut brush.ball, &[(false, "Disc", ""), (true, "Ball", "")]);
        },
    );
    widgets::row(ui, "Radius", "In voxels; also [ and ], and Shift with the wheel", |ui, _| {
        Number::new(&mut brush.radius, 0.0..=128.0).unit("px").step(0, 0.1).show(ui, "Brush radius");
    });
    limit(ui, cx);
}

fn limit(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let limited = &mut cx.view.brush.limited;
    widgets::switch(
        ui,
        limited,
        "Limit to LAC range",
        "Only voxels whose LAC lies in the range are touched  (T)",
    );
    if !cx.view.brush.limited {
        return;
    }
    ui.horizontal(|ui| {
        let [low, high] = cx.view.brush.limit.map(f64::from);
        let (mut new_low, mut new_high) = (low, high);
        Number::new(&mut new_low, -1e6..=1e6).step(3, 0.002).width(70.0).show(ui, "Lowest LAC of the brush");
        ui.label("to");
        Number::new(&mut new_high, -1e6..=1e6)
            .step(3, 0.002)
            .width(70.0)
            .show(ui, "Highest LAC of the brush");
        if (new_low, new_high) != (low, high) {
            cx.view.brush.limit = [new_low.min(new_high) as f32, new_low.max(new_high) as f32];
            cx.view.lit = Some(cx.view.brush.limit);
        }
    });
}

fn fill(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    ui.add_space(2.0);
    let brush = &mut cx.view.brush;
    widgets::row(ui, "Within", "The plane that is clicked, or the whole volume", |ui, _| {
        widgets::segmented(ui, &mut brush.fill_in_plane, &[(true, "Plane", ""), (false, "Volume", "")]);
    });
    widgets::row(ui, "Tolerance", "How far the LAC may be from that under the pointer", |ui, _| {
        let mut tolerance = f64::from(brush.tolerance);
        if Number::new(&mut tolerance, 0.0..=1e6).step(3, 0.001).show(ui, "Fill tolerance").changed() {
            brush.tolerance = tolerance as f32;
        }
    });
    limit(ui, cx);
}
