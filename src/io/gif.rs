//! Pictures to GIF: 256 colours of each frame's own, by median cut; between them by an even pattern that stays
//! where it is while the film runs.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;

use gif::{DisposalMethod, Encoder, EncodingError, Frame, Repeat};
use image::RgbaImage;
use rayon::prelude::*;

/// Frames per second beyond which browsers slow a GIF down.
pub(super) const MAX_FPS: f64 = 50.0;
/// Number of colours of a frame.
const N_COLORS: usize = 256;
/// Pixels that the colours are chosen by.
const SAMPLES: usize = 1 << 16;
/// How far the pattern moves a channel, either way, of 255.
const PATTERN: f32 = 5.0;

/// Writes frames to a GIF that starts over at its end.
pub(super) struct Writer {
    encoder: Encoder<BufWriter<File>>,
    fps: f64,
    n_frames: u32,
}

impl Writer {
    /// For pictures of a size, each edge up to 65 535.
    pub(super) fn new(file: File, [width, height]: [u16; 2], fps: f64) -> Result<Self, EncodingError> {
        let mut encoder = Encoder::new(BufWriter::new(file), width, height, &[])?;
        encoder.set_repeat(Repeat::Infinite)?;
        Ok(Self { encoder, fps, n_frames: 0 })
    }

    /// Adds a frame.
    pub(super) fn push(&mut self, picture: &RgbaImage) -> Result<(), EncodingError> {
        let (palette, indices) = reduced(picture);
        // Hundredths of a second, so that the sum does not drift.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a film of ten minutes")]
        let time = |n: u32| (f64::from(n) * 100.0 / self.fps).round() as u64;
        let delay = u16::try_from(time(self.n_frames + 1) - time(self.n_frames)).unwrap_or(u16::MAX);
        let edge = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        self.encoder.write_frame(&Frame {
            width: edge(picture.width()),
            height: edge(picture.height()),
            delay,
            dispose: DisposalMethod::Keep,
            palette: Some(palette.concat()),
            buffer: Cow::Owned(indices),
            ..Frame::default()
        })?;
        self.n_frames += 1;
        Ok(())
    }

    /// Writes the end.
    pub(super) fn finish(self) -> std::io::Result<()> {
        let file = self.encoder.into_inner().map_err(std::io::Error::other)?;
        file.into_inner().map(drop).map_err(std::io::IntoInnerError::into_error)
    }
}

fn rgb_of(pixel: &[u8]) -> [u8; 3] {
    [pixel[0], pixel[1], pixel[2]]
}

/// Few colours and which of them every pixel has.
fn reduced(picture: &RgbaImage) -> (Vec<[u8; 3]>, Vec<u8>) {
    let width = picture.width() as usize;
    let mut used = BTreeSet::new();
    for pixel in picture.as_raw().chunks_exact(4) {
        used.insert(rgb_of(pixel));
        if used.len() > N_COLORS {
            break;
        }
    }
    let is_exact = used.len() <= N_COLORS;
    let palette = if is_exact { used.into_iter().collect() } else { median_cut(picture) };
    let sorted = Palette::new(&palette);
    let mut indices = vec![0u8; picture.as_raw().len() / 4];
    let rows = indices.par_chunks_mut(width.max(1)).zip(picture.as_raw().par_chunks(width.max(1) * 4));
    rows.enumerate().for_each(|(y, (row, pixels))| {
        let mut last = ([-1.0; 3], 0);
        for (x, (index, pixel)) in row.iter_mut().zip(pixels.chunks_exact(4)).enumerate() {
            let shift = if is_exact { 0.0 } else { PATTERN * pattern(x, y) };
            let wanted = rgb_of(pixel).map(|c| (f32::from(c) + shift).clamp(0.0, 255.0));
            if wanted != last.0 {
                last = (wanted, sorted.nearest(wanted));
            }
            *index = last.1;
        }
    });
    (palette, indices)
}

/// The ordered pattern of Bayer, 8 by 8, from -1 to 1.
fn pattern(x: usize, y: usize) -> f32 {
    let value = (0..3).fold(0usize, |value, bit| {
        let (a, b) = (x >> bit & 1, y >> bit & 1);
        value << 2 | (a ^ b) << 1 | b
    });
    (value as f32 + 0.5) / 32.0 - 1.0
}

/// How much a difference counts in red, green and blue: the eye is keenest on green.
const WEIGHTS: [f32; 3] = [0.3, 0.6, 0.1];

/// Colours in the order of their green, so that few of them have to be looked at to find the nearest one.
struct Palette(Vec<([f32; 3], u8)>);

impl Palette {
    fn new(colors: &[[u8; 3]]) -> Self {
        let mut sorted: Vec<_> =
            (0u8..=255).zip(colors).map(|(index, color)| (color.map(f32::from), index)).collect();
        sorted.sort_by(|(a, _), (b, _)| a[1].total_cmp(&b[1]));
        Self(sorted)
    }

    /// Number of the nearest colour, the first of several.
    fn nearest(&self, wanted: [f32; 3]) -> u8 {
        let middle = self.0.partition_point(|(color, _)| color[1] < wanted[1]);
        let (below, above) = self.0.split_at(middle);
        let mut best = (f32::INFINITY, 0u8);
        // Upwards and downwards, as far as the green alone leaves a chance.
        let mut look = |(color, index): &([f32; 3], u8)| {
            let square = |c: usize| WEIGHTS[c] * (color[c] - wanted[c]).powi(2);
            let far = square(0) + square(1) + square(2);
            if far < best.0 || (far == best.0 && *index < best.1) {
                best = (far, *index);
            }
            square(1) > best.0
        };
        for color in above {
            if look(color) {
                break;
            }
        }
        for color in below.iter().rev() {
            if look(color) {
                break;
            }
        }
        best.1
    }
}

/// Colours by halving boxes of the colour space, the widest and fullest first.
fn median_cut(picture: &RgbaImage) -> Vec<[u8; 3]> {
    let step = (picture.as_raw().len() / 4).div_ceil(SAMPLES).max(1);
    let samples: Vec<[u8; 3]> = picture.as_raw().chunks_exact(4).step_by(step).map(rgb_of).collect();
    let mut boxes = vec![ColorBox::new(samples)];
    while boxes.len() < N_COLORS {
        let widest = (0..boxes.len()).max_by(|a, b| boxes[*a].score.total_cmp(&boxes[*b].score));
        let Some(widest) = widest.filter(|i| boxes[*i].score > 0.0) else { break };
        let taken = boxes.swap_remove(widest);
        boxes.extend(taken.halves());
    }
    let mut palette: Vec<[u8; 3]> = boxes.iter().map(ColorBox::mean).collect();
    palette.sort_unstable();
    palette.dedup();
    palette
}

struct ColorBox {
    colors: Vec<[u8; 3]>,
    axis: usize,
    /// How much it wants to be cut; 0 for a single colour.
    score: f64,
}

impl ColorBox {
    fn new(colors: Vec<[u8; 3]>) -> Self {
        let range = |axis: usize| {
            let values = || colors.iter().map(|color| color[axis]);
            f64::from(values().max().unwrap_or(0)) - f64::from(values().min().unwrap_or(0))
        };
        let weights = [1.0, 1.4, 0.7];
        let axis = (0..3).max_by(|a, b| (range(*a) * weights[*a]).total_cmp(&(range(*b) * weights[*b])));
        let axis = axis.unwrap_or(0);
        let score = range(axis) * weights[axis] * (colors.len() as f64).sqrt();
        Self { colors, axis, score }
    }

    fn halves(mut self) -> [Self; 2] {
        let axis = self.axis;
        self.colors.sort_unstable_by_key(|color| (color[axis], *color));
        // Equal values stay together, and neither side is empty.
        let middle = self.colors[self.colors.len() / 2][axis];
        let below = self.colors.partition_point(|color| color[axis] < middle);
        let cut = if below == 0 { self.colors.partition_point(|color| color[axis] <= middle) } else { below };
        let upper = self.colors.split_off(cut);
        [Self::new(self.colors), Self::new(upper)]
    }

    fn mean(&self) -> [u8; 3] {
        let n = self.colors.len().max(1) as u64;
        std::array::from_fn(|axis| {
            let sum: u64 = self.colors.iter().map(|color| u64::from(color[axis])).sum();
            u8::try_from((sum + n / 2) / n).unwrap_or(u8::MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_colour_is_that_of_a_search_through_all() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let colors: Vec<[u8; 3]> = (0..200).map(|_| [next() / 8, next() / 8, next()]).collect();
        let sorted = Palette::new(&colors);
        for _ in 0..2000 {
            let wanted = [next(), next(), next()].map(|c| f32::from(c) / 6.0);
            let far = |color: &[u8; 3]| {
                let square = |c: usize| WEIGHTS[c] * (f32::from(color[c]) - wanted[c]).powi(2);
                square(0) + square(1) + square(2)
            };
            let expected = (0..colors.len()).min_by(|a, b| far(&colors[*a]).total_cmp(&far(&colors[*b])));
            assert_eq!(Some(usize::from(sorted.nearest(wanted))), expected);
        }
    }

    #[test]
    fn few_colours_stay_and_many_come_close() {
        let grey = RgbaImage::from_fn(256, 4, |x, _| image::Rgba([x as u8, x as u8, x as u8, 255]));
        let (palette, indices) = reduced(&grey);
        assert_eq!(palette.len(), 256);
        assert!(grey.pixels().zip(&indices).all(|(p, i)| palette[usize::from(*i)] == [p.0[0]; 3]), "exact");

        let rich =
            RgbaImage::from_fn(128, 128, |x, y| image::Rgba([x as u8 * 2, y as u8 * 2, (x + y) as u8, 255]));
        let (palette, indices) = reduced(&rich);
        assert!(palette.len() <= 256);
        let error = rich.pixels().zip(&indices).map(|(p, i)| {
            (0..3).map(|c| (f64::from(p.0[c]) - f64::from(palette[usize::from(*i)][c])).powi(2)).sum::<f64>()
        });
        let rms = (error.sum::<f64>() / (3.0 * 128.0 * 128.0)).sqrt();
        // 256 colours over a plane of 128 × 128: cells of 8 × 8 steps of 2, so a deviation of 16/√12 and the pattern's.
        assert!(rms < 9.0, "{rms}");
    }
}
