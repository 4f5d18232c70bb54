//! The beads of an alignment: how well each fits, chosen and taken out here, moved and added over the views.

use egui_extras::{Column, TableBuilder};

use super::super::frame::Cx;
use super::super::views::beads::keep;
use super::super::widgets::{self};
use super::super::{icons, theme};
use super::operation;
use super::scan::scan_layer;
use crate::project::LayerId;
use crate::volume::Alignment;

/// Draws the table and the switch for editing.
pub(crate) fn show(ui: &mut egui::Ui, layer: LayerId, alignment: &Alignment, cx: &mut Cx<'_>) {
    let session = cx.session;
    let Some((_, scan)) = scan_layer(session.project()) else { return };
    let [_, n_rows, n_cols] = scan.projections.shape();
    widgets::divider(ui);
    widgets::heading(ui, "Beads");
    let tooltip = "A drag over a view moves a bead, a click adds one or chooses one, Delete takes it out of the view; the model follows at once";
    if widgets::switch(ui, &mut cx.view.scan.edit_beads, "Edit beads", tooltip).changed()
        && cx.view.scan.edit_beads
    {
        (cx.view.scan.open, cx.view.scan.aligned) = (true, false);
    }
    let Some(tracks) = alignment.beads.as_ref().filter(|tracks| !tracks.beads.is_empty()) else {
        widgets::hint(
            ui,
            "None yet. Align with the method Gold beads finds them; or edit and click the same beads in several views: two beads in three views each are the least.",
        );
        return;
    };
    let t = theme::of(ui);
    let mut remove = None;
    let text = |ui: &mut egui::Ui, text: String, color: egui::Color32| {
        ui.add(egui::Label::new(egui::RichText::new(text).size(12.0).color(color)).truncate());
    };
    TableBuilder::new(ui)
        .id_salt("beads")
        .striped(true)
        .max_scroll_height(170.0)
        .sense(egui::Sense::click())
        .column(Column::exact(46.0))
        .column(Column::exact(62.0))
        .column(Column::remainder())
        .column(Column::exact(24.0))
        .header(20.0, |mut header| {
            for name in ["Bead", "Views", "Residual", ""] {
                header.col(|ui| text(ui, name.to_owned(), t.text_weak));
            }
        })
        .body(|body| {
            body.rows(22.0, tracks.beads.len(), |mut row| {
                let number = row.index();
                let bead = &tracks.beads[number];
                row.set_selected(cx.view.scan.bead == Some(number));
                row.col(|ui| text(ui, format!("{}", number + 1), t.text_strong));
                row.col(|ui| text(ui, format!("{}", bead.points.len()), t.text));
                row.col(|ui| {
                    let residual = bead.residual_px;
                    let color = if residual.is_some_and(|r| r > 1.0) { t.warning } else { t.text };
                    text(
                        ui,
                        residual.map_or_else(|| "not fitted".to_owned(), |r| format!("{r:.2} px")),
                        color,
                    );
                });
                row.col(|ui| {
                    let name = format!("Remove bead {}", number + 1);
                    if widgets::icon_button(ui, icons::X, &name, "Takes it out of all views").clicked() {
                        remove = Some(number);
                    }
                });
                if row.response().clicked() {
                    cx.view.scan.bead = Some(number);
                    // Where it fits worst is what one wants to look at.
                    let worst = bead
                        .points
                        .iter()
                        .max_by(|a, b| a.residual_px.unwrap_or(0.0).total_cmp(&b.residual_px.unwrap_or(0.0)));
                    if let Some(point) = worst {
                        cx.view.scan.index = point.view;
                        cx.view.scan.open = true;
                    }
                }
            });
        });
    operation::fact(ui, "Points", &format!("{} of {} beads", tracks.n_points(), tracks.beads.len()));
    if let Some(number) = remove {
        let mut new = tracks.clone();
        new.beads.remove(number);
        cx.view.scan.bead = None;
        keep("Remove bead", layer, alignment, new, [n_rows, n_cols], cx);
    }
}
