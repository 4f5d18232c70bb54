//! Dark and flat fields: combined frames, interpolation in time, pixels that cannot be trusted.

use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use super::background::median;
use super::params::FrameMean;
use crate::volume::AnyArray;
use crate::volume::any::Voxel;
use crate::with_array;

/// Flats at one moment of the acquisition, dark subtracted and divided by the beam monitor.
pub(super) struct FlatGroup {
    /// Position in views.
    pub(super) time: f64,
    /// Counts per unit of beam.
    pub(super) net: Array2<f32>,
}

/// Mean or median of frames `which`, each multiplied by its gain.
pub(super) fn combine(
    frames: &AnyArray,
    which: &[usize],
    gain: impl Fn(usize) -> f64 + Sync,
    how: FrameMean,
) -> Array2<f32> {
    with_array!(frames, array => combine_typed(array, which, &gain, how))
}

fn combine_typed<T: Voxel>(
    frames: &Array3<T>,
    which: &[usize],
    gain: &(impl Fn(usize) -> f64 + Sync),
    how: FrameMean,
) -> Array2<f32> {
    let (_, n_rows, n_cols) = frames.dim();
    let mut out = Array2::<f32>::zeros((n_rows, n_cols));
    let gains: Vec<f64> = which.iter().map(|&frame| gain(frame)).collect();
    out.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(y, mut row)| {
        let mut values = vec![0.0f32; which.len()];
        for (x, out) in row.iter_mut().enumerate() {
            let scaled = which.iter().zip(&gains).map(|(&frame, gain)| frames[[frame, y, x]].to_f64() * gain);
            *out = match how {
                FrameMean::Mean => (scaled.sum::<f64>() / which.len() as f64) as f32,
                FrameMean::Median => {
                    values.iter_mut().zip(scaled).for_each(|(v, s)| *v = s as f32);
                    even_median(&mut values)
                }
            };
        }
    });
    out
}

/// The median, the mean of the two middle values where the number is even; NaN if any value is.
fn even_median(values: &mut [f32]) -> f32 {
    if values.iter().any(|v| v.is_nan()) {
        return f32::NAN;
    }
    values.sort_unstable_by(f32::total_cmp);
    let n = values.len();
    if n == 0 {
        return f32::NAN;
    }
    if n % 2 == 1 { values[n / 2] } else { 0.5 * (values[n / 2 - 1] + values[n / 2]) }
}

/// Noise of one pixel of one dark frame in counts: over time where there are frames, else over neighbours.
pub(super) fn dark_noise(darks: Option<&AnyArray>) -> f64 {
    let Some(darks) = darks else { return 0.0 };
    let [n, n_rows, n_cols] = darks.shape();
    let value = |i: usize, y: usize, x: usize| with_array!(darks, array => array[[i, y, x]].to_f64());
    let mut sum = 0.0;
    let mut count = 0u64;
    // Each eighth pixel says enough.
    for y in (0..n_rows).step_by(3) {
        for x in (0..n_cols.saturating_sub(1)).step_by(3) {
            let difference =
                if n > 1 { value(0, y, x) - value(n - 1, y, x) } else { value(0, y, x) - value(0, y, x + 1) };
            if difference.is_finite() {
                sum += difference * difference;
                count += 1;
            }
        }
    }
    if count == 0 { 0.0 } else { (sum / count as f64 / 2.0).sqrt() }
}

/// Pixels whose flat is dead, not a number, or far from that of their neighbours.
pub(super) fn bad_pixels(dark: &Array2<f32>, groups: &[FlatGroup]) -> Array2<bool> {
    let mut bad = dark.mapv(|v| !v.is_finite());
    for group in groups {
        let mut all: Vec<f32> = group.net.iter().copied().filter(|v| v.is_finite()).collect();
        let typical = median(&mut all);
        let (n_rows, n_cols) = group.net.dim();
        bad.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(y, mut row)| {
            let mut near = Vec::with_capacity(25);
            for (x, bad) in row.iter_mut().enumerate() {
                let value = group.net[[y, x]];
                if !value.is_finite() || value <= 0.0 || value < 0.02 * typical {
                    *bad = true;
                    continue;
                }
                near.clear();
                for v in y.saturating_sub(2)..(y + 3).min(n_rows) {
                    for u in x.saturating_sub(2)..(x + 3).min(n_cols) {
                        let neighbour = group.net[[v, u]];
                        if neighbour.is_finite() {
                            near.push(neighbour);
                        }
                    }
                }
                let local = median(&mut near);
                *bad |= value < 0.3 * local || value > 3.0 * local;
            }
        });
    }
    bad
}

/// Replaces every NaN of an image by the median of its nearest good neighbours; returns how many.
///
/// A pixel without a good neighbour within six pixels becomes 0.
pub(super) fn fill_gaps(image: &mut [f32], n_rows: usize, n_cols: usize) -> usize {
    let gaps: Vec<usize> = (0..image.len()).filter(|&i| image[i].is_nan()).collect();
    let mut near = Vec::new();
    let filled: Vec<f32> = gaps
        .iter()
        .map(|&at| {
            let (y, x) = (at / n_cols, at % n_cols);
            for reach in 1..=6usize {
                near.clear();
                for v in y.saturating_sub(reach)..(y + reach + 1).min(n_rows) {
                    let row = &image[v * n_cols..(v + 1) * n_cols];
                    let columns = x.saturating_sub(reach)..(x + reach + 1).min(n_cols);
                    near.extend(row[columns].iter().copied().filter(|value| !value.is_nan()));
                }
                if near.len() >= 3 {
                    return even_median(&mut near);
                }
            }
            0.0
        })
        .collect();
    for (at, value) in gaps.iter().zip(filled) {
        image[*at] = value;
    }
    gaps.len()
}
