//! Figures: a drawn scene with scale bar, colour bar, title, legend, as pixels or as SVG.
//!
//! What is laid over the picture is a list of [`Mark`]s, so that pixels and vectors are the same
//! layout. Text is set in the embedded Inter.

mod artist;
mod extras;
mod labels;
mod layout;
mod line;
mod montage;
mod rulers;
mod svg;
mod text;

use image::RgbaImage;

pub use artist::{Artist, Backdrop, DrawError, Scene};
pub use extras::{Extras, axis_name, figure, film_frame, montage, value_bar};
pub use labels::{Area, Label, place_labels};
pub use layout::{FigureStyle, Ink, Scale, ValueBar, layout, nice_ticks};
pub use montage::{Choice, Montage, MontageGrid, Slices, compose, evenly, stepped};
pub use rulers::{FigureRuler, HIDDEN_OPACITY, RulerLine, RulerShape, pieces, runs, ticks};
pub use svg::svg;
pub use text::Weight;

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anchor {
    /// At its left end.
    #[default]
    Start,
    /// In its middle.
    Middle,
    /// At its right end.
    End,
}

/// Something that is laid over a picture; places and lengths in its pixels, from the left upper corner.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A filled box.
    Box {
        /// Left upper corner.
        at: [f64; 2],
        /// Width and height.
        size: [f64; 2],
        /// Colour.
        rgb: [u8; 3],
        /// A rim around it, and how wide.
        rim: Option<([u8; 3], f64)>,
    },
    /// A box of colours from bottom to top.
    Ramp {
        /// Left upper corner.
        at: [f64; 2],
        /// Width and height.
        size: [f64; 2],
        /// The colours, the lowest first.
        colors: Vec<[u8; 3]>,
    },
    /// A line through points, with round ends.
    Line {
        /// Its corners.
        points: Vec<[f64; 2]>,
        /// How wide.
        width: f64,
        /// Colour.
        rgb: [u8; 3],
        /// Around it, and how wide on either side.
        halo: Option<([u8; 3], f64)>,
        /// 0 to 1.
        opacity: f64,
        /// Lengths of dashes and of the gaps between them; whole where `None`.
        dash: Option<f64>,
    },
    /// A line of text.
    Text {
        /// Where the baseline is held.
        at: [f64; 2],
        /// How it is held there.
        anchor: Anchor,
        /// Size in pixels.
        px: f64,
        /// How heavy.
        weight: Weight,
        /// What it says.
        text: String,
        /// Colour.
        rgb: [u8; 3],
        /// Around the letters, so that they are read on any ground.
        halo: [u8; 3],
    },
}

impl Mark {
    /// Room that it takes, where it is no line.
    fn room(&self) -> Option<Area> {
        let area = |at: [f64; 2], size: [f64; 2]| Area::new(at.into(), size.into());
        match self {
            Self::Box { at, size, .. } | Self::Ramp { at, size, .. } => Some(area(*at, *size)),
            Self::Text { at, anchor, px, weight, text, .. } => {
                let width = text::width(text, *px, *weight);
                let left = at[0]
                    - match anchor {
                        Anchor::Start => 0.0,
                        Anchor::Middle => width / 2.0,
                        Anchor::End => width,
                    };
                Some(area([left, at[1] - px * 0.8], [width, px * 1.1]))
            }
            Self::Line { .. } => None,
        }
    }

    /// The same elsewhere.
    #[must_use]
    fn moved(mut self, by: [f64; 2]) -> Self {
        let shift = |at: &mut [f64; 2]| *at = [at[0] + by[0], at[1] + by[1]];
        match &mut self {
            Self::Box { at, .. } | Self::Ramp { at, .. } | Self::Text { at, .. } => shift(at),
            Self::Line { points, .. } => points.iter_mut().for_each(shift),
        }
        self
    }
}

/// How much of the halo's colour lies around letters.
const HALO_OPACITY: f32 = 0.75;

/// Width of the halo around letters of a size.
fn halo_px(px: f64) -> f64 {
    (px / 11.0).max(1.0)
}

/// Lays marks onto a picture.
pub fn paint(picture: &mut RgbaImage, marks: &[Mark]) {
    for mark in marks {
        match mark {
            Mark::Box { at, size, rgb, rim } => {
                if let Some((color, width)) = rim {
                    fill(picture, at.map(|v| v - width), size.map(|v| v + 2.0 * width), |_| *color);
                }
                fill(picture, *at, *size, |_| *rgb);
            }
            Mark::Ramp { at, size, colors } => fill(picture, *at, *size, |t| color_at(colors, 1.0 - t)),
            Mark::Line { points, width, rgb, halo, opacity, dash } => {
                let lines = line::dashed(points, *dash);
                if let Some((color, around)) = halo {
                    line::paint(
                        picture,
                        &lines,
                        width + 2.0 * around,
                        *color,
                        opacity * f64::from(HALO_OPACITY),
                    );
                }
                line::paint(picture, &lines, *width, *rgb, *opacity);
            }
            Mark::Text { at, anchor, px, weight, text, rgb, halo } => {
                let width = text::width(text, *px, *weight);
                let left = match anchor {
                    Anchor::Start => at[0],
                    Anchor::Middle => at[0] - width / 2.0,
                    Anchor::End => at[0] - width,
                };
                let radius = halo_px(*px);
                let margin = radius.ceil() as usize + 2;
                if let Some(letters) = text::Coverage::of(text, [left, at[1]], *px, *weight, margin) {
                    letters.grown(radius).paint(picture, *halo, HALO_OPACITY);
                    letters.paint(picture, *rgb, 1.0);
                }
            }
        }
    }
}

/// Fills whole pixels; the colour may change from top (0) to bottom (1).
fn fill(picture: &mut RgbaImage, at: [f64; 2], size: [f64; 2], color: impl Fn(f64) -> [u8; 3]) {
    let (width, height) = picture.dimensions();
    let range = |k: usize, n: u32| {
        let end = |v: f64| v.round().clamp(0.0, f64::from(n)) as u32;
        end(at[k])..end(at[k] + size[k])
    };
    let rows = range(1, height);
    for y in rows.clone() {
        let [r, g, b] = color((f64::from(y) + 0.5 - at[1]) / size[1].max(1e-9));
        for x in range(0, width) {
            picture.put_pixel(x, y, image::Rgba([r, g, b, 255]));
        }
    }
}

/// Colour at a place of a ramp, 0 for the first.
fn color_at(colors: &[[u8; 3]], t: f64) -> [u8; 3] {
    let Some(last) = colors.len().checked_sub(1) else { return [0; 3] };
    let place = t.clamp(0.0, 1.0) * last as f64;
    let (i, share) = (place as usize, place.fract());
    let (a, b) = (colors[i], colors[(i + 1).min(last)]);
    std::array::from_fn(|c| (f64::from(a[c]) + (f64::from(b[c]) - f64::from(a[c])) * share).round() as u8)
}

#[cfg(test)]
mod tests;
