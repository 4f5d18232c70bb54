//! Proofreading: the objects of the labels, the most doubtful first; a row leads there, a key decides.

use egui_extras::{Column, TableBuilder};

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::state::{self, ReviewOrder, ViewState};
use super::super::widgets::{self, Button};
use super::super::{icons, theme};
use super::operation;
use crate::measure::review::Finding;
use crate::project::{Layer, LayerId};
use crate::session::{Command, Review, Session, Standing, Verdict};

/// Labels and volume that would be proofread: the chosen labels, else the topmost that are no strokes.
fn inputs(session: &Session, view: &ViewState) -> Option<(LayerId, LayerId)> {
    let project = session.project();
    let volume = state::main_volume(project, view)?;
    let fits = |layer: &&Layer| {
        layer.labels().is_some_and(|labels| !labels.labels.is_empty())
            && layer.content.shape() == volume.content.shape()
    };
    let chosen = view.layer.and_then(|id| project.layer(id)).filter(fits);
    let layer = chosen
        .or_else(|| {
            project.from_top().filter(fits).find(|l| !matches!(&*l.provenance.op, "demo" | "painted"))
        })
        .or_else(|| project.from_top().filter(fits).find(|l| l.provenance.op != "demo"))?;
    Some((layer.id, volume.id))
}

/// Asks for the list.
pub(crate) fn start(session: &Session, view: &ViewState) -> Option<Command> {
    let (layer, volume) = inputs(session, view)?;
    Some(Command::Review { layer, volume })
}

/// The objects in the order that is shown.
fn ordered(review: &Review, order: ReviewOrder) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..review.findings.len()).collect();
    let key = |row: &usize| review.findings.get(*row);
    match order {
        ReviewOrder::Doubt => {}
        ReviewOrder::Size => rows.sort_by_key(|row| key(row).map(|f| std::cmp::Reverse(f.voxels))),
        ReviewOrder::Lac => rows.sort_by(|a, b| {
            let lac = |row| key(row).and_then(|f| f.lac_mean).unwrap_or(f64::NEG_INFINITY);
            lac(b).total_cmp(&lac(a))
        }),
    }
    rows
}

/// Goes to another object of the list: `by` rows on, past those that are decided where `open_only`.
pub(crate) fn step(session: &Session, view: &mut ViewState, by: isize, open_only: bool) {
    let Some(review) = session.review() else { return };
    let rows = ordered(review, view.review.order);
    let n = rows.len() as isize;
    let at = view.review.chosen.and_then(|chosen| rows.iter().position(|row| *row == chosen));
    let mut place = at.map_or(if by > 0 { -1 } else { n }, |at| at as isize);
    loop {
        place += by;
        let Some(row) = usize::try_from(place).ok().and_then(|place| rows.get(place)) else { return };
        let Some(finding) = review.findings.get(*row) else { return };
        if !open_only || session.standing(finding) == Standing::Open {
            view.review.chosen = Some(*row);
            view.review.scroll = true;
            go_to(session, view, review, finding);
            return;
        }
    }
}

/// Brings the crosshair to an object.
fn go_to(session: &Session, view: &mut ViewState, review: &Review, finding: &Finding) {
    let Some(layer) = session.project().layer(review.layer) else { return };
    let Some(map) = state::world_from_voxel(layer) else { return };
    // The middle may lie outside a bent object; its slice still cuts it.
    let [z, y, x] = finding.center_zyx.map(f64::round);
    view.cursor_um = map.transform_point3(glam::DVec3::new(x, y, z));
    view.center_um = view.cursor_um;
}

/// Decides about the chosen object and goes on to the next that is open.
pub(crate) fn judge(session: &mut Session, view: &mut ViewState, verdict: Verdict) {
    let finding = view.review.chosen.and_then(|row| session.review()?.findings.get(row).cloned());
    let Some(finding) = finding else { return };
    session.apply(Command::Judge { seed_zyx: finding.seed_zyx, verdict });
    step(session, view, 1, true);
}

/// Draws the panel below the views.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    ui.set_min_height(ui.available_height());
    let session = cx.session;
    widgets::heading_row(ui, "Proofread", |ui| {
        if widgets::icon_button(ui, icons::X, "Close proofreading", "Puts the list away").clicked() {
            cx.view.review.open = false;
        }
    });
    if let Some(job) = operation::running(cx, &["List objects"]) {
        ui.horizontal(|ui| {
            widgets::progress_bar(ui, job.report.fraction(), egui::vec2(200.0, 6.0));
            ui.label("Looking at the objects");
        });
    }
    let Some(review) = session.review() else {
        widgets::hint(ui, "The list of objects is made from labels on the grid of the volume.");
        return;
    };
    let Some(layer) = session.project().layer(review.layer) else {
        widgets::hint(ui, "The labels of this list have been removed.");
        return;
    };
    toolbar(ui, review, layer, cx);
    coverage(ui, layer, cx);
    table(ui, review, layer, cx);
}

fn toolbar(ui: &mut egui::Ui, review: &Review, layer: &Layer, cx: &mut Cx<'_>) {
    let session = cx.session;
    let decided =
        review.findings.iter().filter(|finding| session.standing(finding) != Standing::Open).count();
    let chosen = cx.view.review.chosen.is_some();
    ui.horizontal_wrapped(|ui| {
        ui.label(format!("{}: {decided} of {} objects decided", layer.name, review.findings.len()));
        ui.add_space(8.0);
        widgets::segmented_sized(
            ui,
            &mut cx.view.review.order,
            &[
                (ReviewOrder::Doubt, "Doubt", "The most doubtful first"),
                (ReviewOrder::Size, "Size", "The largest first"),
                (ReviewOrder::Lac, "LAC", "The brightest first"),
            ],
            190.0,
        );
        ui.add_space(8.0);
        ui.add_enabled_ui(chosen, |ui| {
            for (id, icon, label) in [
                (CommandId::AcceptObject, icons::CHECK, "Accept"),
                (CommandId::RemoveObject, icons::TRASH, "Remove"),
            ] {
                let entry = find(id);
                let button = Button::new(label).icon(icon).height(26.0).name(entry.label).show(ui);
                if button.on_hover_text(entry.tooltip_with_key()).clicked() {
                    cx.queue.run(id);
                }
            }
            let entry = find(CommandId::RelabelObject);
            let label = format!("Is {}", session.project().classes.name(cx.view.class));
            let button = Button::new(&label).icon(icons::SWAP).height(26.0).name(entry.label).show(ui);
            if button.on_hover_text(entry.tooltip_with_key()).clicked() {
                cx.queue.run(CommandId::RelabelObject);
            }
        });
        if layer.revision != review.revision {
            let button = Button::new("List again").quiet().height(26.0).show(ui);
            if button.on_hover_text("The labels have changed since the list was made").clicked() {
                cx.queue.run(CommandId::Proofread);
            }
        }
    });
}

/// How much of each slice has been looked at: painted or accepted. A click goes to the slice.
fn coverage(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let Some(parts) = cx.derived.coverage(layer) else { return };
    let (rect, response) =
        ui.allocate_exact_size(egui::vec2(ui.available_width(), 10.0), egui::Sense::click_and_drag());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Slices looked at"));
    ui.painter().rect_filled(rect, 2, t.inset);
    let n = parts.len().max(1) as f32;
    let x = |slice: f32| rect.left() + slice / n * rect.width();
    for (slice, part) in parts.iter().enumerate() {
        let Some(part) = part.filter(|part| *part > 0.0) else { continue };
        let bar = egui::Rect::from_min_max(
            egui::pos2(x(slice as f32), rect.bottom() - 1.0 - part * (rect.height() - 1.0)),
            egui::pos2(x(slice as f32 + 1.0).max(x(slice as f32) + 1.0), rect.bottom()),
        );
        ui.painter().rect_filled(bar, 0, t.success);
    }
    let n_slices = parts.len();
    let Some(here) = state::voxel_at(layer, cx.view.cursor_um).map(|zyx| zyx[0]) else { return };
    let at = x(here as f32 + 0.5);
    ui.painter().vline(at, rect.y_range(), egui::Stroke::new(1.5, t.text_strong));
    if let Some(pos) = response.interact_pointer_pos()
        && let Some(map) = state::world_from_voxel(layer)
    {
        let slice = ((pos.x - rect.left()) / rect.width() * n).clamp(0.0, n_slices as f32 - 1.0).floor();
        let mut index = map.inverse().transform_point3(cx.view.cursor_um);
        index.z = f64::from(slice);
        cx.view.cursor_um = map.transform_point3(index);
    }
    response.on_hover_text("How much of each slice was painted or accepted; a click goes there");
}

fn table(ui: &mut egui::Ui, review: &Review, layer: &Layer, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let session = cx.session;
    let classes = &session.project().classes;
    let voxel_um3 = layer.labels().and_then(|l| l.voxel_um).map(|v| v[0] * v[1] * v[2]);
    let rows = ordered(review, cx.view.review.order);
    let height = (ui.available_height() - 30.0).max(48.0);
    let chosen = cx.view.review.chosen.and_then(|c| rows.iter().position(|row| *row == c));
    let mut builder = TableBuilder::new(ui)
        .striped(true)
        .sense(egui::Sense::click())
        .cell_layout(egui::Layout::left_to_right(egui::Align::Center))
        .min_scrolled_height(height)
        .max_scroll_height(height)
        .column(Column::exact(26.0))
        .column(Column::initial(150.0).at_least(80.0).clip(true).resizable(true))
        .column(Column::initial(96.0).at_least(60.0).clip(true).resizable(true))
        .column(Column::initial(80.0).at_least(50.0).clip(true).resizable(true))
        .column(Column::remainder().at_least(140.0).clip(true));
    if let (true, Some(row)) = (std::mem::take(&mut cx.view.review.scroll), chosen) {
        builder = builder.scroll_to_row(row, None);
    }
    let volume = if voxel_um3.is_some() { "Volume, µm³" } else { "Voxels" };
    builder
        .header(20.0, |mut head| {
            for text in ["", "Class", volume, "LAC", "Why look at it"] {
                head.col(|ui| {
                    ui.label(egui::RichText::new(text).size(12.0).color(t.text_weak));
                });
            }
        })
        .body(|body| {
            body.rows(24.0, rows.len(), |mut line| {
                let Some(row) = rows.get(line.index()).copied() else { return };
                let Some(finding) = review.findings.get(row) else { return };
                line.set_selected(cx.view.review.chosen == Some(row));
                let standing = session.standing(finding);
                line.col(|ui| standing_icon(ui, standing));
                line.col(|ui| {
                    let id = if let Standing::Relabelled(id) = standing { id } else { finding.class };
                    if let Some(class) = classes.get(id) {
                        let (rect, _) = ui.allocate_exact_size(egui::vec2(10.0, 10.0), egui::Sense::hover());
                        ui.painter().rect_filled(rect, 2, theme::class_color(class.color));
                    }
                    text(ui, &classes.name(id), t.text_strong);
                });
                line.col(|ui| match voxel_um3 {
                    Some(unit) => text(ui, &digits(finding.voxels as f64 * unit), t.text),
                    None => text(ui, &finding.voxels.to_string(), t.text),
                });
                line.col(|ui| text(ui, &finding.lac_mean.map_or_else(String::new, digits), t.text));
                line.col(|ui| {
                    let words: Vec<_> = finding.reasons.iter().map(|reason| reason.words()).collect();
                    text(ui, &words.join(" · "), t.text);
                });
                let response = line.response();
                response.widget_info(|| {
                    let name = format!("Object {}", line_name(row, finding, classes));
                    egui::WidgetInfo::selected(egui::Role::ListItem, true, false, name)
                });
                if response.clicked() {
                    cx.view.review.chosen = Some(row);
                    go_to(session, cx.view, review, finding);
                }
            });
        });
}

fn line_name(row: usize, finding: &Finding, classes: &crate::volume::ClassTable) -> String {
    format!("{} {}", row + 1, classes.name(finding.class))
}

fn standing_icon(ui: &mut egui::Ui, standing: Standing) {
    let t = theme::of(ui);
    let (icon, color, words) = match standing {
        Standing::Open => return,
        Standing::Accepted => (icons::CHECK_CIRCLE, t.success, "accepted"),
        Standing::Removed => (icons::TRASH, t.text_weak, "removed"),
        Standing::Relabelled(_) => (icons::SWAP, t.accent, "another class"),
    };
    ui.label(egui::RichText::new(icon).font(theme::icon(14.0)).color(color)).on_hover_text(words);
}

fn text(ui: &mut egui::Ui, text: &str, color: egui::Color32) {
    ui.add(egui::Label::new(egui::RichText::new(text).color(color)).truncate().selectable(false));
}

/// Three digits that count.
fn digits(value: f64) -> String {
    let places = (2 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 5) as usize;
    format!("{value:.places$}")
}
