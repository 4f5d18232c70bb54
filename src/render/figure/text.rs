//! Letters of figures: outlines of the embedded Inter, filled with exact coverage.
//!
//! The same bits everywhere: no font of the system is looked at.

use std::sync::OnceLock;

use image::{Rgba, RgbaImage};
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, MetadataProvider as _};

/// How heavy letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weight {
    /// Numbers, names, lengths.
    #[default]
    Medium,
    /// Titles.
    SemiBold,
}

impl Weight {
    /// The weight as CSS and SVG say it.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Medium => 500,
            Self::SemiBold => 600,
        }
    }

    fn font(self) -> Option<&'static FontRef<'static>> {
        static FONTS: OnceLock<[Option<FontRef<'static>>; 2]> = OnceLock::new();
        let fonts = FONTS.get_or_init(|| {
            [
                FontRef::new(include_bytes!("../../../resources/fonts/Inter-Medium.otf")).ok(),
                FontRef::new(include_bytes!("../../../resources/fonts/Inter-SemiBold.otf")).ok(),
            ]
        });
        match self {
            Self::Medium => fonts[0].as_ref(),
            Self::SemiBold => fonts[1].as_ref(),
        }
    }
}

/// Width of a line of text of a size in pixels.
pub(super) fn width(text: &str, px: f64, weight: Weight) -> f64 {
    let Some(font) = weight.font() else { return 0.0 };
    let metrics = font.glyph_metrics(Size::new(px as f32), LocationRef::default());
    let charmap = font.charmap();
    let advance = |c: char| charmap.map(c).and_then(|glyph| metrics.advance_width(glyph)).unwrap_or(0.0);
    text.chars().map(|c| f64::from(advance(c))).sum()
}

/// Letters in black and white: how much of each pixel they cover.
pub(super) struct Coverage {
    /// Left upper corner in the picture.
    at: [i64; 2],
    size: [usize; 2],
    share: Vec<f32>,
}

/// Lines of an outline, laid down as the signed area that they leave to their right.
struct Filler {
    size: [usize; 2],
    area: Vec<f32>,
    /// Place of the glyph's origin in the coverage.
    origin: [f32; 2],
    start: [f32; 2],
    last: [f32; 2],
}

impl Filler {
    fn place(&self, x: f32, y: f32) -> [f32; 2] {
        [self.origin[0] + x, self.origin[1] - y]
    }

    /// Adds an edge: in each row that it crosses, the area to its right, split over the pixels that it runs through.
    fn edge(&mut self, from: [f32; 2], to: [f32; 2]) {
        let [width, height] = self.size;
        if from[1] == to[1] || width < 2 {
            return;
        }
        let (sign, top, bottom) = if from[1] < to[1] { (1.0, from, to) } else { (-1.0, to, from) };
        let slope = (bottom[0] - top[0]) / (bottom[1] - top[1]);
        let first = top[1].max(0.0) as usize;
        let end = (bottom[1].ceil().max(0.0) as usize).min(height);
        for row in first..end {
            let (y0, y1) = ((row as f32).max(top[1]), (row as f32 + 1.0).min(bottom[1]));
            if y1 <= y0 {
                continue;
            }
            let (xa, xb) = (top[0] + (y0 - top[1]) * slope, top[0] + (y1 - top[1]) * slope);
            let limit = (width - 1) as f32 - 0.001;
            let (x0, x1) = (xa.min(xb).clamp(0.0, limit), xa.max(xb).clamp(0.0, limit));
            self.span(row * width, sign * (y1 - y0), x0, x1);
        }
    }

    /// Spreads `height` of an edge that runs from `x0` to `x1` within a row.
    fn span(&mut self, base: usize, height: f32, x0: f32, x1: f32) {
        let (first, last) = (x0 as usize, x1 as usize);
        let mut add = |x: usize, value: f32| {
            if let Some(cell) = self.area.get_mut(base + x) {
                *cell += value;
            }
        };
        if first == last {
            let covered = 1.0 - (0.5 * (x0 + x1) - first as f32);
            add(first, height * covered);
            add(first + 1, height * (1.0 - covered));
            return;
        }
        // What of the edge lies left of x, integrated over each pixel: a ramp.
        let per_px = height / (x1 - x0);
        let left_of = |x: f32| ((x - x0).clamp(0.0, x1 - x0)) * per_px;
        let mut before = 0.0;
        for x in first..=last + 1 {
            let (a, b) = (x as f32, x as f32 + 1.0);
            let (ca, cb) = (a.clamp(x0, x1), b.clamp(x0, x1));
            let ramp = (left_of(ca) + left_of(cb)) * 0.5 * (cb - ca);
            let mean = ramp + height * (b - cb.max(a)).max(0.0);
            add(x, mean - before);
            before = mean;
        }
        add(last + 2, height - before);
    }
}

/// Straight pieces of a curve; at the sizes of figures a curve of a letter is a few pixels long.
const PIECES: u32 = 8;

impl OutlinePen for Filler {
    fn move_to(&mut self, x: f32, y: f32) {
        self.start = self.place(x, y);
        self.last = self.start;
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let to = self.place(x, y);
        self.edge(self.last, to);
        self.last = to;
    }

    fn quad_to(&mut self, cx0: f32, cy0: f32, x: f32, y: f32) {
        let (a, b, c) = (self.last, self.place(cx0, cy0), self.place(x, y));
        for i in 1..=PIECES {
            let t = i as f32 / PIECES as f32;
            let s = 1.0 - t;
            let to = std::array::from_fn(|k| a[k] * s * s + b[k] * 2.0 * s * t + c[k] * t * t);
            self.edge(self.last, to);
            self.last = to;
        }
    }

    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        let (a, b, c, d) = (self.last, self.place(cx0, cy0), self.place(cx1, cy1), self.place(x, y));
        for i in 1..=PIECES {
            let t = i as f32 / PIECES as f32;
            let s = 1.0 - t;
            let (wa, wb, wc, wd) = (s * s * s, 3.0 * s * s * t, 3.0 * s * t * t, t * t * t);
            let to = std::array::from_fn(|k| a[k] * wa + b[k] * wb + c[k] * wc + d[k] * wd);
            self.edge(self.last, to);
            self.last = to;
        }
    }

    fn close(&mut self) {
        self.edge(self.last, self.start);
        self.last = self.start;
    }
}

impl Coverage {
    /// A line of text whose baseline begins at `at`, with `margin` pixels of room around it.
    pub(super) fn of(text: &str, at: [f64; 2], px: f64, weight: Weight, margin: usize) -> Option<Self> {
        let font = weight.font()?;
        let room = margin + 3;
        let left = at[0].floor() as i64 - room as i64;
        let top = (at[1] - px).floor() as i64 - room as i64;
        let size = [
            width(text, px, weight).ceil() as usize + 2 * room + 2,
            (px * 1.35).ceil() as usize + 2 * room + 1,
        ];
        let mut filler = Filler {
            size,
            area: vec![0.0; size[0] * size[1]],
            origin: [(at[0] - left as f64) as f32, (at[1] - top as f64) as f32],
            start: [0.0; 2],
            last: [0.0; 2],
        };
        let glyph_size = Size::new(px as f32);
        let (outlines, charmap) = (font.outline_glyphs(), font.charmap());
        let metrics = font.glyph_metrics(glyph_size, LocationRef::default());
        for c in text.chars() {
            let Some(glyph) = charmap.map(c) else { continue };
            if let Some(outline) = outlines.get(glyph) {
                let settings = DrawSettings::unhinted(glyph_size, LocationRef::default());
                // A letter without outline leaves a gap of its width.
                drop(outline.draw(settings, &mut filler));
            }
            filler.origin[0] += metrics.advance_width(glyph).unwrap_or(0.0);
        }
        let mut share = filler.area;
        for row in share.chunks_exact_mut(size[0]) {
            let mut sum = 0.0;
            for cell in row {
                sum += *cell;
                *cell = sum.abs().min(1.0);
            }
        }
        Some(Self { at: [left, top], size, share })
    }

    /// The same grown by a radius in pixels, with a soft edge: the halo.
    pub(super) fn grown(&self, radius: f64) -> Self {
        let [width, height] = self.size;
        let reach = radius.ceil() as i64 + 1;
        let near: Vec<(i64, i64, f32)> = (-reach..=reach)
            .flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)))
            .map(|(dx, dy)| {
                (dx, dy, (radius + 0.5 - ((dx * dx + dy * dy) as f64).sqrt()).clamp(0.0, 1.0) as f32)
            })
            .filter(|(_, _, weight)| *weight > 0.0)
            .collect();
        let at = |x: i64, y: i64| {
            let inside = x >= 0 && y >= 0 && x < width as i64 && y < height as i64;
            if inside { self.share[y as usize * width + x as usize] } else { 0.0 }
        };
        let share = (0..width * height)
            .map(|i| {
                let (x, y) = ((i % width) as i64, (i / width) as i64);
                near.iter().map(|(dx, dy, weight)| at(x + dx, y + dy) * weight).fold(0.0, f32::max)
            })
            .collect();
        Self { at: self.at, size: self.size, share }
    }

    /// Lays a colour onto a picture where the letters are.
    pub(super) fn paint(&self, picture: &mut RgbaImage, rgb: [u8; 3], opacity: f32) {
        let (width, height) = picture.dimensions();
        for (i, share) in self.share.iter().enumerate() {
            let (x, y) = (self.at[0] + (i % self.size[0]) as i64, self.at[1] + (i / self.size[0]) as i64);
            if *share > 0.0 && x >= 0 && y >= 0 && x < i64::from(width) && y < i64::from(height) {
                lay_over(picture.get_pixel_mut(x as u32, y as u32), rgb, share * opacity);
            }
        }
    }
}

/// Lays a colour over a pixel with straight alpha.
pub(super) fn lay_over(below: &mut Rgba<u8>, rgb: [u8; 3], alpha: f32) {
    let under = f32::from(below.0[3]) / 255.0 * (1.0 - alpha);
    let whole = alpha + under;
    if whole <= 0.0 {
        return;
    }
    for (channel, color) in below.0.iter_mut().zip(rgb) {
        *channel = ((f32::from(color) * alpha + f32::from(*channel) * under) / whole).round() as u8;
    }
    below.0[3] = (whole * 255.0).round() as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_cover_as_much_as_their_outlines_enclose() {
        // A full stop is a disc or box; an "l" in Inter is an upright bar: its area is width times height.
        let coverage = Coverage::of("l", [20.0, 100.0], 80.0, Weight::Medium, 0).unwrap();
        let area: f32 = coverage.share.iter().sum();
        let full = coverage.share.iter().filter(|share| **share > 0.999).count() as f32;
        assert!(area > full && area < full * 1.35, "{area} of {full} full pixels");
        // The bar is as high as an ascender: 0.756 em in Inter's "l".
        let rows = (0..coverage.size[1])
            .map(|y| coverage.share[y * coverage.size[0]..][..coverage.size[0]].iter().sum::<f32>());
        let rows: Vec<f32> = rows.filter(|sum| *sum > 0.0).collect();
        let widest = rows.iter().copied().fold(0.0, f32::max);
        assert!((55.0..68.0).contains(&(area / widest)), "{} px high", area / widest);
        assert!(coverage.share.iter().all(|share| (0.0..=1.0).contains(share)));
    }

    #[test]
    fn every_letter_of_a_figure_is_in_the_font() {
        for c in "abcxyzABCXYZ0123456789 µ/.,-−()=×°%äöüéŁ±·₀¹²³".chars().filter(|c| *c != ' ')
        {
            let one = Coverage::of(&c.to_string(), [20.0, 40.0], 30.0, Weight::SemiBold, 0).unwrap();
            assert!(one.share.iter().sum::<f32>() > 1.0, "{c}");
        }
        assert!(width("Wide", 20.0, Weight::Medium) > width("il", 20.0, Weight::Medium) * 2.0);
    }

    #[test]
    fn colour_over_a_clear_pixel_keeps_its_colour() {
        let mut pixel = Rgba([0, 0, 0, 0]);
        lay_over(&mut pixel, [200, 100, 50], 0.5);
        assert_eq!(pixel.0, [200, 100, 50, 128]);
    }
}
