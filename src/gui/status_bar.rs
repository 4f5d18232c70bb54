//! The bar at the bottom: what computes, and the microscope's read-out of what is under the pointer.

use egui::{Align2, Sense, Stroke, vec2};

use super::frame::Cx;
use super::{icons, state, theme, widgets};
use crate::base::position_text;
use crate::jobs::{JobState, JobView};
use crate::session::Command;

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let bar = ui.max_rect();
    let jobs: Vec<JobView> = cx.session.jobs().into_iter().filter(|job| !job.state.is_over()).collect();
    ui.horizontal_centered(|ui| jobs_ui(ui, bar, &jobs, cx));
    let right = egui::UiBuilder::new().max_rect(bar).layout(egui::Layout::right_to_left(egui::Align::Center));
    ui.scope_builder(right, |ui| device_ui(ui, cx));
    if cx.facts.volume {
        readout(ui, bar, cx);
    }
    if cx.view.jobs_open {
        if jobs.is_empty() {
            cx.view.jobs_open = false;
        } else {
            jobs_list(ui.ctx(), &jobs, cx);
        }
    }
}

fn jobs_ui(ui: &mut egui::Ui, bar: egui::Rect, jobs: &[JobView], cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let Some(job) = jobs.iter().find(|job| job.state == JobState::Running).or_else(|| jobs.first()) else {
        let text = if cx.facts.project { "Ready" } else { "" };
        ui.label(egui::RichText::new(text).size(12.0).color(t.text_weak));
        return;
    };
    ui.spacing_mut().item_spacing.x = GAP;
    let more = if jobs.len() > 1 { format!("  +{}", jobs.len() - 1) } else { String::new() };
    let right = if cx.facts.volume { readout_left(bar) } else { bar.center().x };
    let places = JobPlaces::within(ui.max_rect().left(), right - 2.0 * GAP);
    let (rect, response) = ui.allocate_exact_size(vec2(places.words, 20.0), Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, "Jobs"));
    ui.painter().circle_filled(egui::pos2(rect.left() + 5.0, rect.center().y), 3.5, t.accent);
    let line = job_line(job);
    let more_width = line_of(ui, &more, f32::INFINITY, t.text).size().x;
    let galley = line_of(ui, &line, rect.width() - 16.0 - more_width, t.text);
    let at = egui::pos2(rect.left() + 16.0, rect.center().y - galley.size().y / 2.0);
    let end = egui::pos2(at.x + galley.size().x, rect.center().y);
    ui.painter().galley(at, galley, t.text);
    ui.painter().text(end, Align2::LEFT_CENTER, more, egui::FontId::proportional(12.0), t.text);
    if response.on_hover_text(format!("{line}. A click lists all jobs")).clicked() {
        cx.view.jobs_open = !cx.view.jobs_open;
    }
    widgets::progress_bar(ui, job.report.fraction(), vec2(places.bar, 6.0));
    let (rest, says) = ui.allocate_exact_size(vec2(LEFT, 20.0), Sense::hover());
    if let Some(eta) = job.eta_secs {
        let text = format!("{} left", widgets::duration(f64::from(eta)));
        let galley = line_of(ui, &text, LEFT, t.text_weak);
        says.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &text));
        let at = egui::pos2(rest.left(), rest.center().y - galley.size().y / 2.0);
        ui.painter().galley(at, galley, t.text_weak);
    }
    if widgets::icon_sized(
        ui,
        icons::X,
        "Cancel job",
        "Stops it; nothing already done is lost",
        false,
        CANCEL,
    )
    .clicked()
    {
        cx.queue.session(Command::Cancel(job.id));
    }
}

/// Between the parts of what is said of a job, points.
const GAP: f32 = 8.0;
/// Room of the time that is left, points.
const LEFT: f32 = 84.0;
/// Edge of the button that cancels, points.
const CANCEL: f32 = 18.0;

/// Widths of what is said of a job: they change with the window and with nothing else, so that the button stays.
struct JobPlaces {
    words: f32,
    bar: f32,
}

impl JobPlaces {
    fn within(left: f32, right: f32) -> Self {
        let room = right - left - LEFT - CANCEL - 3.0 * GAP;
        let bar = (room * 0.22).clamp(24.0, 110.0);
        Self { words: (room - bar).clamp(60.0, 320.0), bar }
    }

    /// Where the last of them ends.
    #[cfg(test)]
    fn end(&self, left: f32) -> f32 {
        left + self.words + self.bar + LEFT + CANCEL + 3.0 * GAP
    }
}

/// Where the read-out begins.
fn readout_left(bar: egui::Rect) -> f32 {
    (bar.center().x - 230.0).max(bar.left() + 330.0)
}

/// A line of small text, ended with an ellipsis where it needs more room than there is.
fn line_of(ui: &egui::Ui, text: &str, room: f32, color: egui::Color32) -> std::sync::Arc<egui::Galley> {
    widgets::cut_line(ui, text, egui::FontId::proportional(12.0), room, color)
}

fn job_line(job: &JobView) -> String {
    let phase = job.report.phase.trim();
    let counts = if job.report.total > 1 {
        format!(" {}/{}", job.report.done.min(job.report.total), job.report.total)
    } else {
        String::new()
    };
    match (&job.state, phase.is_empty()) {
        (JobState::Queued, _) => format!("{} waits", job.label),
        (_, true) => job.label.clone(),
        (_, false) => format!("{}: {}{counts}", job.label, phase.to_lowercase()),
    }
}

/// The list of all jobs above the bar.
fn jobs_list(ctx: &egui::Context, jobs: &[JobView], cx: &mut Cx<'_>) {
    let t = theme::of_visuals(&ctx.global_style().visuals);
    egui::Area::new(egui::Id::unique("jobs"))
        .order(egui::Order::Foreground)
        .anchor(Align2::LEFT_BOTTOM, vec2(8.0, -(theme::STATUS_BAR + 6.0)))
        .accessible_name("Jobs")
        .show(ctx, |ui| {
            egui::Frame::popup(ui.style()).inner_margin(12).show(ui, |ui| {
                ui.set_width(340.0);
                widgets::heading(ui, "Jobs");
                for job in jobs {
                    ui.horizontal(|ui| {
                        ui.allocate_ui(vec2(300.0, 36.0), |ui| {
                            ui.vertical(|ui| {
                                ui.add(
                                    egui::Label::new(egui::RichText::new(job_line(job)).color(t.text_strong))
                                        .truncate(),
                                );
                                widgets::progress_bar(ui, job.report.fraction(), vec2(290.0, 4.0));
                            });
                        });
                        if widgets::icon_button(ui, icons::X, &format!("Cancel {}", job.label), "").clicked()
                        {
                            cx.queue.session(Command::Cancel(job.id));
                        }
                    });
                }
            });
        });
}

fn device_ui(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    ui.spacing_mut().item_spacing.x = 6.0;
    let small = |text: String| egui::RichText::new(text).size(12.0).color(t.text_weak);
    let name = cx.device.unwrap_or("no graphics device");
    let short: String = name.split(['(', '/']).next().unwrap_or(name).trim().chars().take(28).collect();
    if ui.available_width() > 900.0 {
        ui.label(small(short)).on_hover_text(format!("Draws the views: {name}"));
        ui.label(egui::RichText::new(icons::CPU).font(theme::icon(14.0)).color(t.text_weak));
        ui.add_space(6.0);
    }
    if cx.facts.project {
        let held: u64 = cx.session.project().layers.iter().map(|layer| layer.content.heap_bytes()).sum();
        let blocks = crate::volume::BlockCache::of_process().bytes();
        ui.label(small(widgets::bytes(held + blocks))).on_hover_text(format!(
            "Memory: {} in layers, {} in blocks of files that are shown by levels",
            widgets::bytes(held),
            widgets::bytes(blocks)
        ));
        ui.label(egui::RichText::new(icons::HARD_DRIVES).font(theme::icon(14.0)).color(t.text_weak));
    }
}

/// Position, value, class: in the middle of the bar, columns that do not jump.
fn readout(ui: &mut egui::Ui, bar: egui::Rect, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let project = cx.session.project();
    let Some(layer) = state::main_volume(project, cx.view) else { return };
    let at = cx.view.hover.as_ref().map_or(cx.view.cursor_um, |hover| hover.world_um);
    let edges_um = [0, 1, 2].map(|axis| crate::gui::place::voxel_edge_um(layer, axis));
    // One unit for all three.
    let finest_um = edges_um.into_iter().fold(f64::INFINITY, f64::min);
    let unit = state::position_unit(layer, finest_um);
    let value = crate::gui::place::value_at(layer, at);
    if value.is_some_and(|(_, is_finest)| !is_finest) {
        // The block with the finest voxel is on its way.
        ui.ctx().request_repaint_after(std::time::Duration::from_millis(30));
    }
    let said = |axis: usize| position_text(at[axis], finest_um);
    let position = format!("x {}   y {}   z {} {unit}", said(0), said(1), said(2));
    let name = state::value_name(layer);
    let noise = noise_at(cx, layer, at).map_or_else(String::new, |sd| format!(" ± {sd:.3}"));
    let value = value.map_or_else(
        || format!("{name} –"),
        |(v, is_finest)| {
            let about = if is_finest { "" } else { "≈ " };
            format!("{name} {about}{v:.3}{noise} {}", state::value_unit(layer))
        },
    );
    let class = class_at(cx, at);
    let class_said = class.as_ref().map_or_else(String::new, |(name, _)| format!(", {name}"));
    let font = egui::FontId::proportional(12.0);
    let mut x = readout_left(bar);
    let y = bar.center().y;
    let put = |ui: &egui::Ui, x: f32, text: &str, color| {
        ui.painter().text(egui::pos2(x, y), Align2::LEFT_CENTER, text, font.clone(), color)
    };
    let start = x;
    put(ui, x, &position, t.text);
    // Small voxels have more decimals.
    let decimals = said(0).rsplit('.').next().map_or(0, str::len);
    x += 210.0 + 21.0 * decimals.saturating_sub(2) as f32;
    ui.painter().vline(x - 14.0, bar.top() + 7.0..=bar.bottom() - 7.0, Stroke::new(1.0, t.line));
    put(ui, x, &value, t.text_strong);
    x += if noise.is_empty() { 150.0 } else { 196.0 };
    if let Some((name, color)) = class {
        ui.painter().vline(x - 14.0, bar.top() + 7.0..=bar.bottom() - 7.0, Stroke::new(1.0, t.line));
        ui.painter().rect_filled(
            egui::Rect::from_center_size(egui::pos2(x + 4.0, y), vec2(9.0, 9.0)),
            2,
            theme::class_color(color),
        );
        put(ui, x + 14.0, &name, t.text);
    }
    let all = ui.interact(
        egui::Rect::from_min_max(egui::pos2(start, bar.top()), egui::pos2(x, bar.bottom())),
        ui.scope_id().with("readout"),
        Sense::hover(),
    );
    all.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{position}, {value}{class_said}"))
    });
}

/// Standard deviation of the noise at a world point, where a map of it was made for this volume.
fn noise_at(cx: &Cx<'_>, layer: &crate::project::Layer, world_um: glam::DVec3) -> Option<f32> {
    let map = cx
        .session
        .project()
        .from_top()
        .find(|other| other.provenance.op == "noise" && other.judges(&layer.name))?;
    let sd = *map.volume()?.data.get(state::voxel_at(map, world_um)?)?;
    sd.is_finite().then_some(sd)
}

/// Name and colour of the class at a world point, from the topmost labels that have one there.
fn class_at(cx: &Cx<'_>, world_um: glam::DVec3) -> Option<(String, [u8; 3])> {
    let project = cx.session.project();
    project.from_top().filter(|layer| layer.display.visible).find_map(|layer| {
        let labels = layer.labels()?;
        let id = labels.labels.get(state::voxel_at(layer, world_um)?);
        let color = project.classes.get(id)?.color;
        Some((project.classes.name(id), color))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_never_reaches_into_the_readout() {
        for width in [1280.0, 1600.0, 2560.0] {
            let bar = egui::Rect::from_min_size(egui::Pos2::ZERO, vec2(width, theme::STATUS_BAR));
            let places = JobPlaces::within(12.0, readout_left(bar) - 2.0 * GAP);
            assert!(places.end(12.0) <= readout_left(bar) - GAP, "{width}: {}", places.end(12.0));
            assert!(places.words >= 150.0, "{width}: room for words");
        }
    }
}
