//! The crosshair: thin lines coloured by the axis that they stand on, open in the middle.

use egui::{Painter, Pos2, Rect, Stroke};

use super::super::theme::Tokens;

/// Draws it at `at` in a view whose screen axes are `axes` (right, down).
pub(crate) fn paint(painter: &Painter, rect: Rect, at: Pos2, axes: [usize; 3], strength: f32, t: &Tokens) {
    const OPEN: f32 = 10.0;
    let [right, down, _] = axes;
    let color =
        |axis: usize| t.axes.get(axis).copied().unwrap_or(t.on_canvas).gamma_multiply(0.85 * strength);
    // The upright line is where the coordinate that runs right is constant, so it has that axis' colour.
    let upright = Stroke::new(1.0, color(right));
    let level = Stroke::new(1.0, color(down));
    let x = at.x.round() + 0.5;
    let y = at.y.round() + 0.5;
    if rect.x_range().contains(x) {
        painter.vline(x, rect.top()..=(y - OPEN).max(rect.top()), upright);
        painter.vline(x, (y + OPEN).min(rect.bottom())..=rect.bottom(), upright);
    }
    if rect.y_range().contains(y) {
        painter.hline(rect.left()..=(x - OPEN).max(rect.left()), y, level);
        painter.hline((x + OPEN).min(rect.right())..=rect.right(), y, level);
    }
}
