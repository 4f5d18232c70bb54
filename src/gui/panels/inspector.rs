//! The right side: one inspector that follows the stage of the work.

use super::super::frame::Cx;
use super::{
    align, annotations, correlate, export, file, measure, methods, quality, reconstruct, scan, segment,
};
use crate::ops::Stage;

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let stage = cx.view.stage;
    egui::ScrollArea::vertical().id_salt(("inspector", stage as u8)).auto_shrink([false, false]).show(
        ui,
        |ui| {
            ui.set_width(ui.available_width() - 2.0);
            match stage {
                Stage::Scan => scan::show(ui, cx),
                Stage::Align => align::show(ui, cx),
                Stage::Reconstruct => reconstruct::show(ui, cx),
                Stage::Quality => quality::show(ui, cx),
                Stage::Segment => segment::show(ui, cx),
                Stage::Measure => {
                    measure::show(ui, cx);
                    annotations::show(ui, cx);
                }
                Stage::Correlate => correlate::show(ui, cx),
                Stage::Export => export::show(ui, cx),
            }
            methods::show(ui, stage, cx);
            ui.add_space(8.0);
            file::show(ui, cx);
        },
    );
}
