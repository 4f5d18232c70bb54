//! The left side: tools, layers, histogram.

use super::super::frame::Cx;
use super::super::widgets;
use super::{histogram, layers, tool_bar};

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let with_volume = cx.facts.volume;
    if with_volume {
        tool_bar::show(ui, cx);
        widgets::divider(ui);
    }
    let histogram_height = if with_volume { histogram::HEIGHT } else { 0.0 };
    let room = (ui.available_height() - histogram_height - 24.0).max(80.0);
    widgets::heading(ui, "Layers");
    egui::ScrollArea::vertical()
        .id_salt("layers")
        .max_height(room - 24.0)
        .auto_shrink([false, !with_volume])
        .show(ui, |ui| layers::show(ui, cx));
    if with_volume {
        widgets::divider(ui);
        histogram::show(ui, cx);
    }
}
