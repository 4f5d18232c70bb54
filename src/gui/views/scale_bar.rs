//! The scale bar: a round length, at the bottom right.

use egui::{Align2, Painter, Rect, Stroke, vec2};

use super::super::theme::{self, Tokens};

/// The largest of 1, 2, 5 times a power of ten that is at most `longest`.
pub(crate) fn round_length(longest: f64) -> f64 {
    if !longest.is_finite() || longest <= 0.0 {
        return 0.0;
    }
    let power = 10f64.powf(longest.log10().floor());
    let fraction = longest / power;
    let digit = if fraction >= 5.0 {
        5.0
    } else if fraction >= 2.0 {
        2.0
    } else {
        1.0
    };
    digit * power
}

/// A length in words: "500 nm", "2 µm", "50 px".
pub(crate) fn label(length: f64, unit: &str) -> String {
    if unit == "µm" && length < 0.999 {
        format!("{:.0} nm", length * 1000.0)
    } else if length < 1.0 {
        format!("{length:.2} {unit}")
    } else {
        format!("{length:.0} {unit}")
    }
}

/// Draws it and says which room it took; `um_per_pt` is the world length of a point of the screen.
pub(crate) fn paint(painter: &Painter, rect: Rect, um_per_pt: f64, unit: &str, t: &Tokens) -> Option<Rect> {
    let longest = f64::from((rect.width() * 0.3).clamp(40.0, 150.0));
    let length = round_length(longest * um_per_pt);
    if length <= 0.0 || rect.width() < 80.0 {
        return None;
    }
    let points = (length / um_per_pt) as f32;
    let end = rect.right_bottom() - vec2(14.0, 14.0);
    let start = end - vec2(points, 0.0);
    let line = |stroke: Stroke| {
        painter.line_segment([start, end], stroke);
        for at in [start, end] {
            painter.line_segment([at - vec2(0.0, 4.0), at + vec2(0.0, 4.0)], stroke);
        }
    };
    line(Stroke::new(4.0, t.canvas_halo));
    line(Stroke::new(1.5, t.on_canvas));
    halo_text(
        painter,
        (start + (end - start) * 0.5) - vec2(0.0, 7.0),
        Align2::CENTER_BOTTOM,
        &label(length, unit),
        t,
    );
    Some(Rect::from_min_max(start - vec2(4.0, 24.0), end + vec2(4.0, 6.0)))
}

/// Text over data, readable on black and on white.
pub(crate) fn halo_text(painter: &Painter, at: egui::Pos2, align: Align2, text: &str, t: &Tokens) {
    let font = theme::medium(12.0);
    for offset in [vec2(1.0, 0.0), vec2(-1.0, 0.0), vec2(0.0, 1.0), vec2(0.0, -1.0)] {
        painter.text(at + offset, align, text, font.clone(), t.canvas_halo);
    }
    painter.text(at, align, text, font, t.on_canvas);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_round_and_fit() {
        for longest in [0.013, 0.9, 1.0, 3.7, 9.99, 123.0] {
            let length = round_length(longest);
            assert!(length <= longest && length > longest * 0.39, "{longest}: {length}");
        }
        assert_eq!(label(0.5, "µm"), "500 nm");
        assert_eq!(label(2.0, "µm"), "2 µm");
        assert_eq!(round_length(f64::NAN), 0.0);
    }
}
