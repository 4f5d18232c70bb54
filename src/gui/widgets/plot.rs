//! A small line plot of an inspector: curves over one axis, a cross hair that reads them.

use egui::{Align2, Color32, FontId, Pos2, Rect, Response, Sense, Shape, Stroke, Ui, pos2, vec2};

use super::super::theme;

/// A curve of a plot.
pub(crate) struct Curve {
    /// Points from left to right; where one is not finite the line is broken.
    pub(crate) points: Vec<[f64; 2]>,
    /// Its colour.
    pub(crate) color: Color32,
    /// How thick it is drawn, in points.
    pub(crate) width: f32,
    /// Whether it is drawn in dashes, as thresholds are.
    pub(crate) dashed: bool,
    /// Whether each point is marked, as where few lie far apart.
    pub(crate) dots: bool,
}

impl Curve {
    /// A line of the usual width.
    pub(crate) fn line(points: Vec<[f64; 2]>, color: Color32) -> Self {
        Self { points, color, width: 1.5, dashed: false, dots: false }
    }
}

/// What a plot shows.
pub(crate) struct Plot<'a> {
    /// What it is called, for those who cannot see it.
    pub(crate) name: &'a str,
    /// Height in points.
    pub(crate) height: f32,
    /// Ends of the axis to the right and up.
    pub(crate) ranges: [[f64; 2]; 2],
    /// A value of the axis to the right, as its ends and the cross hair say it.
    pub(crate) x_text: &'a dyn Fn(f64) -> String,
    /// The same for the axis up.
    pub(crate) y_text: &'a dyn Fn(f64) -> String,
    /// The curves, drawn in this order.
    pub(crate) curves: &'a [Curve],
}

/// What a plot says back.
pub(crate) struct Shown {
    /// Of the whole plot.
    pub(crate) response: Response,
    /// Where the pointer is, on the axis to the right.
    pub(crate) x: Option<f64>,
}

impl Plot<'_> {
    /// Draws it over the whole width; `read` tells what stands beside the cross hair at a place.
    pub(crate) fn show(&self, ui: &mut Ui, read: impl FnOnce(f64) -> String) -> Shown {
        let t = theme::of(ui);
        let (rect, response) =
            ui.allocate_exact_size(vec2(ui.available_width(), self.height), Sense::click());
        let enabled = ui.is_enabled();
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, enabled, self.name));
        let painter = ui.painter().with_clip_rect(rect);
        painter.rect_filled(rect, 4, t.inset);
        let inner = Rect::from_min_max(rect.min + vec2(8.0, 8.0), rect.max - vec2(8.0, 20.0));
        let [xs, ys] = self.ranges;
        let at = |[x, y]: [f64; 2]| -> Pos2 {
            let part = |v: f64, [low, high]: [f64; 2]| ((v - low) / (high - low).max(1e-300)) as f32;
            let y = part(y, ys).clamp(-0.02, 1.02);
            pos2(inner.left() + part(x, xs) * inner.width(), inner.bottom() - y * inner.height())
        };
        if ys[0] < 0.0 && ys[1] > 0.0 {
            painter.hline(inner.x_range(), at([xs[0], 0.0]).y, Stroke::new(1.0, t.line));
        }
        for curve in self.curves {
            let stroke = Stroke::new(curve.width, curve.color);
            for piece in curve.points.split(|p| !p[0].is_finite() || !p[1].is_finite()) {
                let points: Vec<Pos2> = piece.iter().map(|p| at(*p)).collect();
                if curve.dots || points.len() == 1 {
                    points.iter().for_each(|p| _ = painter.circle_filled(*p, curve.width + 0.5, curve.color));
                }
                if points.len() > 1 {
                    if curve.dashed {
                        painter.extend(Shape::dashed_line(&points, stroke, 4.0, 3.0));
                    } else {
                        painter.add(Shape::line(points, stroke));
                    }
                }
            }
        }
        let font = FontId::proportional(11.0);
        let y = rect.bottom() - 4.0;
        for (x, align) in [(xs[0], Align2::LEFT_BOTTOM), (xs[1], Align2::RIGHT_BOTTOM)] {
            painter.text(pos2(at([x, 0.0]).x, y), align, (self.x_text)(x), font.clone(), t.text_weak);
        }
        for (value, align) in [(ys[1], Align2::LEFT_TOP), (ys[0], Align2::LEFT_BOTTOM)] {
            let place = at([xs[0], value]);
            painter.text(place + vec2(2.0, 0.0), align, (self.y_text)(value), font.clone(), t.text_weak);
        }
        let pointer = response.hover_pos().filter(|p| inner.x_range().contains(p.x));
        let x = pointer
            .map(|p| xs[0] + f64::from((p.x - inner.left()) / inner.width().max(1.0)) * (xs[1] - xs[0]));
        if let (Some(p), Some(x)) = (pointer, x) {
            painter.vline(p.x, inner.y_range(), Stroke::new(1.0, t.text_weak));
            let galley = painter.layout_no_wrap(read(x), font, t.text_strong);
            let right = p.x + 8.0 + galley.size().x > inner.right();
            let left = if right { p.x - 8.0 - galley.size().x } else { p.x + 8.0 };
            let place = pos2(left.max(inner.left()), inner.top() + 2.0);
            let back = Rect::from_min_size(place, galley.size()).expand(3.0);
            painter.rect_filled(back, 3, t.panel.gamma_multiply(0.9));
            painter.galley(place, galley, t.text_strong);
        }
        Shown { response, x }
    }
}
