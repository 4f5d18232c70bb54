//! The histogram: an instrument. Window and level, a range that lights up, the curve of the 3D view.

use egui::{Align2, Color32, Pos2, Rect, Sense, Shape, Stroke, vec2};

use super::super::draw;
use super::super::frame::Cx;
use super::super::state::{self, HistogramMode};
use super::super::theme::{self, Tokens};
use super::super::tour;
use super::super::widgets::{self, gradient};
use super::fitted;
use super::layers::map_of;
use crate::base::Unit;
use crate::project::{Display, Edit, Layer};
use crate::render::transfer::TransferPoint;
use crate::session::Command;
use crate::volume::Histogram;

/// Room that it takes, the same in every mode: what is clicked stays where it is.
pub(crate) const HEIGHT: f32 = 250.0;

/// Landmarks of LAC near 520 eV: what, 1/µm.
const LANDMARKS: [(&str, f32); 3] = [("ice", 0.10), ("protein", 0.35), ("lipid", 0.60)];

/// Values along the histogram and places on the screen.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    pub(super) rect: Rect,
    low: f32,
    high: f32,
}

impl Axis {
    /// Where a value lies on the screen.
    pub(super) fn x(&self, value: f32) -> f32 {
        egui::remap(value, self.low..=self.high, self.rect.left()..=self.rect.right())
    }

    /// Whether a value is shown.
    pub(super) fn contains(&self, value: f32) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The value at a place on the screen.
    pub(super) fn value(&self, x: f32) -> f32 {
        egui::remap_clamp(x, self.rect.left()..=self.rect.right(), self.low..=self.high)
    }
}

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let session = cx.session;
    let project = session.project();
    let Some(layer) = state::main_volume(project, cx.view) else { return };
    let unit = state::value_unit(layer);
    let heading = if unit.is_empty() { "Histogram".to_owned() } else { format!("Histogram, {unit}") };
    widgets::heading_row(ui, &heading, |ui| {
        let log = &mut cx.view.histogram_log;
        if widgets::Button::new("log")
            .quiet()
            .height(20.0)
            .selected(*log)
            .name("Logarithmic counts")
            .show(ui)
            .clicked()
        {
            *log = !*log;
        }
    });
    widgets::segmented(
        ui,
        &mut cx.view.histogram,
        &[
            (HistogramMode::Window, "Window", "Which values get the first and last grey"),
            (
                HistogramMode::Range,
                "Range",
                "Drag over values: they light up in all views, become labels or limit the brush",
            ),
            (HistogramMode::Transfer, "3D", "Colour and opacity of values in the 3D view"),
        ],
    );
    let Some(stats) = cx.derived.stats(layer) else { return };
    let histogram = stats.histogram.clone();
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 118.0), Sense::click_and_drag());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Histogram"));
    tour::anchor(ui, cx.view, tour::Step::Histogram, rect);
    let t = theme::of(ui);
    ui.painter().rect_filled(rect, 4, t.inset);
    let plot = Rect::from_min_max(rect.min + vec2(6.0, 6.0), rect.max - vec2(6.0, 18.0));
    let axis = Axis { rect: plot, low: histogram.min, high: histogram.max };
    let painter = ui.painter().with_clip_rect(rect);
    let log = cx.view.histogram_log;
    fill(&painter, &histogram, &axis, log, t.text_weak.gamma_multiply(0.45));
    class_curves(&painter, layer, &histogram, &axis, cx);
    let top = scale(most(&histogram, log) as f32, log).max(1e-6);
    let height_of = |n: f32| (scale(n, log) / top).min(1.0) * plot.height();
    let bin = (histogram.max - histogram.min) / histogram.counts.len() as f32;
    fitted::show(&painter, &response, layer, &axis, bin, height_of, cx);
    ticks(&painter, layer, &axis, rect, t);
    match cx.view.histogram {
        HistogramMode::Window => window(&painter, &response, layer, &axis, cx, t),
        HistogramMode::Range => range(&painter, &response, &axis, cx, t),
        HistogramMode::Transfer => transfer(&painter, &response, &axis, cx, t),
    }
    footer(ui, layer, &axis, &histogram, cx);
}

/// Heights of the bins, 0 to 1.
fn heights(histogram: &Histogram, most: u64, log: bool) -> Vec<f32> {
    let top = scale(most as f32, log).max(1e-6);
    histogram.counts.iter().map(|n| (scale(*n as f32, log) / top).min(1.0)).collect()
}

/// A count on the upright axis.
fn scale(n: f32, log: bool) -> f32 {
    if log { (n + 1.0).ln() } else { n }
}

fn most(histogram: &Histogram, log: bool) -> u64 {
    let mut counts = histogram.counts.clone();
    counts.sort_unstable();
    // One overfull bin (a clipped background) does not flatten the rest of a linear plot.
    let at = if log { counts.len() - 1 } else { counts.len() * 199 / 200 };
    counts.get(at).copied().unwrap_or(1).max(1)
}

fn fill(painter: &egui::Painter, histogram: &Histogram, axis: &Axis, log: bool, color: Color32) {
    let bottom = axis.rect.bottom();
    let mut mesh = egui::Mesh::default();
    for (i, h) in heights(histogram, most(histogram, log), log).iter().enumerate() {
        let x = axis.x(histogram.center(i));
        mesh.colored_vertex(egui::pos2(x, bottom - h * axis.rect.height()), color);
        mesh.colored_vertex(egui::pos2(x, bottom), color);
        if i > 0 {
            let k = 2 * i as u32;
            mesh.add_triangle(k - 2, k - 1, k);
            mesh.add_triangle(k - 1, k, k + 1);
        }
    }
    painter.add(Shape::mesh(mesh));
}

/// A line for each class over the whole, on the same scale.
fn class_curves(painter: &egui::Painter, layer: &Layer, whole: &Histogram, axis: &Axis, cx: &mut Cx<'_>) {
    let session = cx.session;
    let project = session.project();
    if cx.view.stroke.is_some() {
        return;
    }
    let chosen = state::paint_layer(project, cx.view).filter(|layer| layer.display.visible);
    let Some(labels) = chosen.or_else(|| draw::seen_labels(project)) else { return };
    let log = cx.view.histogram_log;
    let top = most(whole, log);
    let Some(curves) = cx.derived.class_curves(layer, labels) else { return };
    for (id, curve) in curves {
        let Some(class) = project.classes.get(*id).filter(|class| class.visible) else { continue };
        let points: Vec<Pos2> = heights(curve, top, log)
            .iter()
            .enumerate()
            .step_by(2)
            .map(|(i, h)| egui::pos2(axis.x(curve.center(i)), axis.rect.bottom() - h * axis.rect.height()))
            .collect();
        painter.add(Shape::line(points, Stroke::new(1.25, theme::class_color(class.color))));
    }
}

/// Round numbers along the bottom, landmarks of LAC as small marks on top.
fn ticks(painter: &egui::Painter, layer: &Layer, axis: &Axis, rect: Rect, t: &Tokens) {
    let step = round_step((axis.high - axis.low) / 4.0);
    let font = egui::FontId::proportional(10.0);
    let mut value = (axis.low / step).ceil() * step;
    while value <= axis.high && step > 0.0 {
        let x = axis.x(value);
        painter.vline(x, axis.rect.bottom()..=axis.rect.bottom() + 3.0, Stroke::new(1.0, t.text_weak));
        let text = if step >= 1.0 {
            format!("{value:.0}")
        } else {
            // Adding 0 turns −0 into 0.
            format!("{:.*}", digits(step), value + 0.0)
        };
        let x = x.clamp(rect.left() + 10.0, rect.right() - 10.0);
        painter.text(
            egui::pos2(x, rect.bottom() - 2.0),
            Align2::CENTER_BOTTOM,
            text,
            font.clone(),
            t.text_weak,
        );
        value += step;
    }
    if layer.volume().is_none_or(|volume| volume.unit != Unit::PerUm) {
        return;
    }
    for (name, lac) in LANDMARKS {
        if lac > axis.low && lac < axis.high {
            let x = axis.x(lac);
            painter.extend(Shape::dashed_line(
                &[egui::pos2(x, axis.rect.top() + 12.0), egui::pos2(x, axis.rect.bottom())],
                Stroke::new(1.0, t.text_weak.gamma_multiply(0.5)),
                2.0,
                3.0,
            ));
            painter.text(egui::pos2(x, axis.rect.top()), Align2::CENTER_TOP, name, font.clone(), t.text_weak);
        }
    }
}

fn round_step(rough: f32) -> f32 {
    if !(rough.is_finite() && rough > 0.0) {
        return 0.0;
    }
    let power = 10f32.powf(rough.log10().floor());
    match rough / power {
        f if f < 1.5 => power,
        f if f < 3.5 => 2.0 * power,
        f if f < 7.5 => 5.0 * power,
        _ => 10.0 * power,
    }
}

fn digits(step: f32) -> usize {
    (-step.log10().floor()).clamp(0.0, 6.0) as usize
}

/// Which of two handles a drag takes: the nearer one where it begins.
fn dragged_handle(response: &egui::Response, axis: &Axis, pair: [f32; 2]) -> Option<(usize, f32)> {
    let pos = response.interact_pointer_pos()?;
    let value = axis.value(pos.x);
    let id = response.id.with("handle");
    if response.drag_started() || response.clicked() {
        let start = response.ctx.input(|i| i.pointer.press_origin()).map_or(value, |p| axis.value(p.x));
        let near = usize::from((start - pair[1]).abs() < (start - pair[0]).abs());
        response.ctx.data_mut(|data| data.insert_temp(id, near));
    }
    if response.dragged() || response.clicked() {
        let which = response.ctx.data(|data| data.get_temp::<usize>(id))?;
        return Some((which, value));
    }
    None
}

fn handle(painter: &egui::Painter, axis: &Axis, value: f32, color: Color32) {
    let x = axis.x(value);
    painter.vline(x, axis.rect.y_range(), Stroke::new(1.5, color));
    let y = axis.rect.bottom() + 1.0;
    let triangle = vec![egui::pos2(x, y - 5.0), egui::pos2(x + 5.0, y + 4.0), egui::pos2(x - 5.0, y + 4.0)];
    painter.add(Shape::convex_polygon(triangle, color, Stroke::NONE));
}

/// The window: two handles and the ramp between them.
fn window(
    painter: &egui::Painter,
    response: &egui::Response,
    layer: &Layer,
    axis: &Axis,
    cx: &mut Cx<'_>,
    t: &Tokens,
) {
    let [low, high] = layer.display.window;
    if let Some((which, value)) = dragged_handle(response, axis, [low, high]) {
        let least = (axis.high - axis.low) * 0.005;
        let window = if which == 0 { [value.min(high - least), high] } else { [low, value.max(low + least)] };
        let display = Display { window, ..layer.display.clone() };
        cx.queue.edit("Window", Edit::SetDisplay { layer: layer.id, display });
    }
    let rect = axis.rect;
    let ramp = vec![egui::pos2(axis.x(low), rect.bottom()), egui::pos2(axis.x(high), rect.top())];
    painter.add(Shape::line(ramp, Stroke::new(1.0, t.accent.gamma_multiply(0.7))));
    handle(painter, axis, low, t.accent);
    handle(painter, axis, high, t.accent);
}

/// A range of values: drag to choose, drag a handle to change it, click to let go.
fn range(painter: &egui::Painter, response: &egui::Response, axis: &Axis, cx: &mut Cx<'_>, t: &Tokens) {
    let id = response.id.with("range");
    if let Some(pos) = response.interact_pointer_pos() {
        if response.drag_started()
            && let Some(start) = response.ctx.input(|i| i.pointer.press_origin())
        {
            // The end that stays: the other one where a handle is taken, else where the drag begins.
            let near = |value: f32| (axis.x(value) - start.x).abs() < 6.0;
            let stays = match cx.view.lit {
                Some([low, high]) if near(low) => high,
                Some([low, high]) if near(high) => low,
                _ => axis.value(start.x),
            };
            response.ctx.data_mut(|data| data.insert_temp(id, stays));
        }
        let stays = response.ctx.data(|data| data.get_temp::<f32>(id));
        if let Some(a) = stays.filter(|_| response.dragged()) {
            let b = axis.value(pos.x);
            cx.view.lit = Some([a.min(b), a.max(b)]);
        } else if response.clicked() {
            cx.view.lit = None;
        }
    }
    if let Some([low, high]) = cx.view.lit {
        let band = Rect::from_x_y_ranges(axis.x(low)..=axis.x(high), axis.rect.y_range());
        painter.rect_filled(band, 0, t.accent.gamma_multiply(0.25));
        handle(painter, axis, low, t.accent);
        handle(painter, axis, high, t.accent);
    }
}

/// The curve of the 3D view: drag points; a double click adds one or takes it away.
fn transfer(painter: &egui::Painter, response: &egui::Response, axis: &Axis, cx: &mut Cx<'_>, t: &Tokens) {
    let points = &mut cx.view.look.transfer.points;
    let tallest = points.iter().map(|p| p.opacity_per_um).fold(1.0, f32::max);
    // Opacities reach from haze to solid: a square root keeps the haze editable.
    let y = |opacity: f32| axis.rect.bottom() - (opacity / tallest).sqrt() * axis.rect.height();
    let opacity_at = |y: f32| {
        let f = ((axis.rect.bottom() - y) / axis.rect.height()).clamp(0.0, 1.0);
        f * f * tallest
    };
    let id = response.id.with("point");
    if let Some(pos) = response.interact_pointer_pos() {
        let near = |at: Pos2| {
            points
                .iter()
                .enumerate()
                .map(|(i, p)| (i, (egui::pos2(axis.x(p.lac_per_um), y(p.opacity_per_um)) - at).length()))
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .filter(|(_, distance)| *distance < 12.0)
                .map(|(i, _)| i)
        };
        if response.double_clicked() {
            match near(pos) {
                Some(i) if points.len() > 2 => {
                    points.remove(i);
                }
                None => {
                    let value = axis.value(pos.x);
                    let at = points.partition_point(|p| p.lac_per_um < value);
                    let rgb = points.get(at).or(points.last()).map_or([0.8; 3], |p| p.rgb);
                    points.insert(
                        at,
                        TransferPoint { lac_per_um: value, rgb, opacity_per_um: opacity_at(pos.y) },
                    );
                }
                _ => {}
            }
        } else if response.drag_started() {
            let start = response.ctx.input(|i| i.pointer.press_origin()).unwrap_or(pos);
            let taken = near(start);
            response.ctx.data_mut(|data| data.insert_temp(id, taken));
        } else if response.dragged()
            && let Some(Some(i)) = response.ctx.data(|data| data.get_temp::<Option<usize>>(id))
        {
            let low = i.checked_sub(1).and_then(|j| points.get(j)).map_or(axis.low, |p| p.lac_per_um);
            let high = points.get(i + 1).map_or(axis.high, |p| p.lac_per_um);
            if let Some(point) = points.get_mut(i) {
                point.lac_per_um = axis.value(pos.x).clamp(low, high.max(low));
                point.opacity_per_um = opacity_at(pos.y);
            }
        }
    }
    let color = |p: &TransferPoint| {
        let [r, g, b] = p.rgb.map(|c| (c * 255.0) as u8);
        theme::data_color([r, g, b], 1.0)
    };
    let places: Vec<Pos2> =
        points.iter().map(|p| egui::pos2(axis.x(p.lac_per_um), y(p.opacity_per_um))).collect();
    painter.add(Shape::line(places.clone(), Stroke::new(1.5, t.text)));
    for (point, at) in points.iter().zip(places) {
        painter.circle(at, 5.0, color(point), Stroke::new(1.5, t.text_strong));
    }
}

/// The chosen range as numbers, the share of voxels in it, and what becomes of it.
fn range_footer(
    ui: &mut egui::Ui,
    layer: &Layer,
    [low, high]: [f32; 2],
    histogram: &Histogram,
    cx: &mut Cx<'_>,
) {
    let t = theme::of(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let (mut a, mut b) = (f64::from(low), f64::from(high));
        let speed = f64::from((histogram.max - histogram.min).abs() / 400.0).max(1e-6);
        for (value, name) in [(&mut a, "Range from"), (&mut b, "Range to")] {
            widgets::Number::new(value, -1e9..=1e9).step(3, speed).width(58.0).show(ui, name);
        }
        let new = [a.min(b) as f32, a.max(b) as f32];
        if new != [low, high] {
            cx.view.lit = Some(new);
        }
        let share = format!("{:.1} %", 100.0 * share_within(histogram, [low, high]));
        let says = ui.label(egui::RichText::new(share).size(12.0).color(t.text_weak));
        says.on_hover_text("Voxels whose value lies in the range, by the histogram");
    });
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let labels = widgets::Button::new("To labels").height(20.0).name("Threshold to labels");
        if labels.show(ui).on_hover_text("A new layer of labels with the voxels in the range").clicked() {
            cx.queue.session(Command::StartOp {
                op: "threshold".to_owned(),
                params: serde_json::json!({ "method": "range", "low": low, "high": high }),
                inputs: vec![("volume".to_owned(), layer.id)],
                name: None,
            });
        }
        if widgets::Button::new("Limit brush").height(20.0).show(ui).clicked() {
            cx.view.brush.limit = [low, high];
            cx.view.brush.limited = true;
        }
        if widgets::Button::new("Clear").name("Clear range").quiet().height(20.0).show(ui).clicked() {
            cx.view.lit = None;
        }
    });
}

/// Share of the counted voxels whose value lies in a range; bins that it cuts count by their part.
fn share_within(histogram: &Histogram, [low, high]: [f32; 2]) -> f64 {
    let width = f64::from(histogram.max - histogram.min) / histogram.counts.len().max(1) as f64;
    let (mut within, mut all) = (0.0, 0.0);
    for (bin, count) in histogram.counts.iter().enumerate() {
        let left = f64::from(histogram.min) + bin as f64 * width;
        let part = (f64::from(high).min(left + width) - f64::from(low).max(left)) / width.max(1e-30);
        within += *count as f64 * part.clamp(0.0, 1.0);
        all += *count as f64;
    }
    if all > 0.0 { within / all } else { 0.0 }
}

/// What can be done with what is set: automatic contrast, the brush's limit, colours of points.
fn footer(ui: &mut egui::Ui, layer: &Layer, axis: &Axis, histogram: &Histogram, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    match cx.view.histogram {
        HistogramMode::Window => {
            let (strip, _) = ui.allocate_exact_size(vec2(ui.available_width(), 8.0), Sense::hover());
            let map = map_of(&layer.display);
            let [low, high] = layer.display.window;
            let inner = strip.shrink2(vec2(6.0, 0.0));
            gradient::strip(ui, inner, |f| {
                let value = axis.low + (axis.high - axis.low) * f;
                let [r, g, b, _] = map.at(f64::from((value - low) / (high - low))).map(|c| (c * 255.0) as u8);
                theme::data_color([r, g, b], 1.0)
            });
            ui.horizontal(|ui| {
                ui.label(egui::RichText::new(format!("{low:.3} to {high:.3}")).size(12.0).color(t.text_weak));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    if widgets::Button::new("Auto")
                        .name("Automatic contrast")
                        .quiet()
                        .height(20.0)
                        .show(ui)
                        .clicked()
                    {
                        cx.queue.run(super::super::commands::CommandId::AutoContrast);
                    }
                });
            });
        }
        HistogramMode::Range => match cx.view.lit {
            Some(lit) => range_footer(ui, layer, lit, histogram, cx),
            None => {
                widgets::hint(ui, "Drag over values to light them up");
            }
        },
        HistogramMode::Transfer => {
            widgets::hint(ui, "Drag points; double-click adds or removes one");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_a_range_counts_cut_bins_by_their_part() {
        let counts = vec![10, 20, 30, 40];
        let histogram = Histogram { min: 0.0, max: 4.0, counts };
        assert!((share_within(&histogram, [0.0, 4.0]) - 1.0).abs() < 1e-12);
        assert!((share_within(&histogram, [1.0, 2.5]) - 0.35).abs() < 1e-12);
        assert_eq!(share_within(&histogram, [5.0, 6.0]), 0.0);
    }
}
