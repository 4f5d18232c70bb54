//! Small bright discs in absorbance views: where they are, how large, how strong, and their middle to a tenth of a pixel.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use crate::base::{Cancelled, Progress};
use crate::kernels::registration::inverse;
use crate::kernels::smooth::{HalfKernel, SliceScratch, smooth_slice};
use crate::volume::TiltSeries;

/// Views are binned until their shorter side has at most this many pixels.
const MAX_SIDE: usize = 640;
/// Most discs that are kept of a view.
const MAX_FOUND: usize = 60;
/// How far apart a disc and what surrounds it are smoothed.
const RATIO: f64 = 1.6;
/// How long a disc may be for its width, as a ratio of curvatures.
const MAX_OBLONG: f32 = 4.0;

/// A disc of a view, in unbinned pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Disc {
    pub(super) y: f64,
    pub(super) x: f64,
    pub(super) diameter: f64,
    /// Difference to its surroundings, in absorbance.
    pub(super) strength: f64,
}

/// The strongest discs of every view of `views`, strongest first.
pub(super) fn discs(
    progress: &Progress,
    series: &TiltSeries,
    views: &[usize],
    diameter: Option<f64>,
) -> Result<Vec<Vec<Disc>>, Cancelled> {
    progress.phase("Looking for beads", views.len() as u64);
    let bin = (series.n_rows().min(series.n_cols()) / MAX_SIDE).max(1);
    let shorter = series.n_rows().min(series.n_cols()) / bin;
    let diameters: Vec<f64> = match diameter {
        Some(d) => [0.75, 1.0, 1.35].map(|factor| (factor * d / bin as f64).max(2.0)).to_vec(),
        None => {
            (0..7).map(|k| 2.4 * 1.4f64.powi(k)).filter(|d| *d <= (shorter as f64 / 10.0).max(3.4)).collect()
        }
    };
    views
        .par_iter()
        .map(|&view| {
            progress.check()?;
            let image = binned(series.data.index_axis(Axis(0), view), bin);
            let found = find(&image, &diameters);
            progress.advance(1);
            let place = |at: f64| (at + 0.5) * bin as f64 - 0.5;
            Ok(found
                .into_iter()
                .map(|d| Disc { y: place(d.y), x: place(d.x), diameter: d.diameter * bin as f64, ..d })
                .collect())
        })
        .collect()
}

fn binned(image: ArrayView2<'_, f32>, bin: usize) -> Array2<f32> {
    let scale = 1.0 / (bin * bin) as f32;
    Array2::from_shape_fn((image.nrows() / bin, image.ncols() / bin), |(y, x)| {
        image.slice(ndarray::s![y * bin..(y + 1) * bin, x * bin..(x + 1) * bin]).sum() * scale
    })
}

/// The difference of a smoothed and a more smoothed image, for discs of one diameter.
fn response(image: &[f32], (n_rows, n_cols): (usize, usize), diameter: f64) -> Vec<f32> {
    let sigma = diameter / 2.0 / 2f64.sqrt();
    let mut scratch = SliceScratch::default();
    let mut smooth = |sigma: f64| {
        let kernel = HalfKernel::gaussian(sigma as f32);
        let kernels = [HalfKernel::gaussian(0.0), kernel.clone(), kernel];
        let mut out = vec![0.0; image.len()];
        smooth_slice(image, [1, n_rows, n_cols], &kernels, 0, &mut scratch, &mut out);
        out
    };
    let (mut near, far) = (smooth(sigma), smooth(RATIO * sigma));
    near.iter_mut().zip(far).for_each(|(near, far)| *near -= far);
    near
}

fn find(image: &Array2<f32>, diameters: &[f64]) -> Vec<Disc> {
    let (n_rows, n_cols) = image.dim();
    let Some(values) = image.as_slice() else { return Vec::new() };
    let layers: Vec<Vec<f32>> = diameters.iter().map(|d| response(values, (n_rows, n_cols), *d)).collect();
    let mut best = vec![(0.0f32, 0usize); values.len()];
    for (k, layer) in layers.iter().enumerate() {
        for (best, value) in best.iter_mut().zip(layer) {
            if *value > best.0 {
                *best = (*value, k);
            }
        }
    }
    let mut found = Vec::new();
    for y in 2..n_rows.saturating_sub(2) {
        for x in 2..n_cols.saturating_sub(2) {
            let (value, k) = best[y * n_cols + x];
            let is_top = value > 0.0
                && (y - 2..=y + 2).all(|v| (x - 2..=x + 2).all(|u| best[v * n_cols + u].0 <= value));
            let at = |v: usize, u: usize| layers[k][v * n_cols + u];
            if is_top && is_round(at, y, x) {
                let (diameter, strength) = (diameters[k], f64::from(value));
                found.push(Disc { y: y as f64, x: x as f64, diameter, strength });
            }
        }
    }
    found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    found.truncate(MAX_FOUND);
    found
}

/// Whether a top falls off about alike in every direction.
fn is_round(at: impl Fn(usize, usize) -> f32, y: usize, x: usize) -> bool {
    let yy = at(y - 1, x) + at(y + 1, x) - 2.0 * at(y, x);
    let xx = at(y, x - 1) + at(y, x + 1) - 2.0 * at(y, x);
    let xy = 0.25 * (at(y - 1, x - 1) + at(y + 1, x + 1) - at(y - 1, x + 1) - at(y + 1, x - 1));
    let (trace, determinant) = (xx + yy, xx * yy - xy * xy);
    let most = (MAX_OBLONG + 1.0) * (MAX_OBLONG + 1.0) / MAX_OBLONG;
    trace < 0.0 && determinant > 0.0 && trace * trace < most * determinant
}

/// The middle of a disc.
#[derive(Debug, Clone, Copy)]
pub(super) struct Middle {
    pub(super) y: f64,
    pub(super) x: f64,
    /// Height above the plane around it.
    pub(super) height: f64,
}

/// Fits a round hill on a plane to what lies around (y, x); `None` where there is none of about this size within
/// `reach` pixels.
pub(super) fn middle(
    image: ArrayView2<'_, f32>,
    y: f64,
    x: f64,
    diameter: f64,
    reach: f64,
) -> Option<Middle> {
    let (n_rows, n_cols) = image.dim();
    let radius = 0.75 * diameter + 2.0;
    let usual = (0.36 * diameter).max(0.7);
    let (mut cy, mut cx, mut width) = (y, x, usual);
    let mut height = 0.0;
    for _ in 0..12 {
        if !(cy > 1.0 && cx > 1.0 && cy < n_rows as f64 - 2.0 && cx < n_cols as f64 - 2.0) {
            return None;
        }
        let (mut normal, mut right) = ([[0.0; 6]; 6], [0.0; 6]);
        let rows = (cy - radius).ceil().max(0.0) as usize..=((cy + radius) as usize).min(n_rows - 1);
        for v in rows {
            let columns = (cx - radius).ceil().max(0.0) as usize..=((cx + radius) as usize).min(n_cols - 1);
            for u in columns {
                let (dy, dx) = (v as f64 - cy, u as f64 - cx);
                let d2 = dy * dy + dx * dx;
                let weight = (radius + 0.5 - d2.sqrt()).clamp(0.0, 1.0);
                if weight == 0.0 {
                    continue;
                }
                let hill = (-0.5 * d2 / (width * width)).exp();
                let slope = hill / (width * width);
                // Height, plane, and height times the moves of the middle.
                let row = [hill, 1.0, dy, dx, slope * dy, slope * dx];
                let value = f64::from(image[[v, u]]);
                for i in 0..6 {
                    right[i] += weight * row[i] * value;
                    for j in 0..6 {
                        normal[i][j] += weight * row[i] * row[j];
                    }
                }
            }
        }
        let inverse = inverse(normal)?;
        let solved: [f64; 6] = std::array::from_fn(|i| (0..6).map(|j| inverse[i][j] * right[j]).sum());
        height = solved[0];
        if !(height > 0.0) {
            return None;
        }
        let step = |s: f64| (s / height).clamp(-1.0, 1.0);
        let (dy, dx) = (step(solved[4]), step(solved[5]));
        (cy, cx) = (cy + dy, cx + dx);
        if (cy - y).hypot(cx - x) > reach {
            return None;
        }
        width = better_width(image, cy, cx, radius, width, usual);
        if dy.hypot(dx) < 2e-3 {
            break;
        }
    }
    Some(Middle { y: cy, x: cx, height })
}

/// The width of the hill from its second moment above the rim, damped and kept near the usual one.
fn better_width(image: ArrayView2<'_, f32>, y: f64, x: f64, radius: f64, width: f64, usual: f64) -> f64 {
    let (n_rows, n_cols) = image.dim();
    let mut error = [0.0f64; 3];
    let candidates = [0.85 * width, width, 1.18 * width];
    for (error, candidate) in error.iter_mut().zip(candidates) {
        // Least squares of a hill on a level, at each of three widths.
        let (mut n, mut h, mut hh, mut v1, mut hv, mut vv) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        let rows = (y - radius).ceil().max(0.0) as usize..=((y + radius) as usize).min(n_rows - 1);
        for row in rows {
            let columns = (x - radius).ceil().max(0.0) as usize..=((x + radius) as usize).min(n_cols - 1);
            for column in columns {
                let d2 = (row as f64 - y).powi(2) + (column as f64 - x).powi(2);
                if d2 > radius * radius {
                    continue;
                }
                let hill = (-0.5 * d2 / (candidate * candidate)).exp();
                let value = f64::from(image[[row, column]]);
                n += 1.0;
                h += hill;
                hh += hill * hill;
                v1 += value;
                hv += hill * value;
                vv += value * value;
            }
        }
        let (spread, shared) = (hh - h * h / n, hv - h * v1 / n);
        *error = (vv - v1 * v1 / n) - shared * shared / spread.max(1e-12);
    }
    let best = (0..3).min_by(|a, b| error[*a].total_cmp(&error[*b])).unwrap_or(1);
    candidates[best].clamp(0.6 * usual, 1.8 * usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ball of gold seen on a slope, each pixel the mean over 5 × 5 rays.
    fn ball(n: usize, y: f64, x: f64, diameter: f64) -> Array2<f32> {
        let r2 = diameter * diameter / 4.0;
        Array2::from_shape_fn((n, n), |(v, u)| {
            let mut sum = 0.0;
            for k in 0..25 {
                let dy = v as f64 + f64::from(k / 5) * 0.2 - 0.4 - y;
                let dx = u as f64 + f64::from(k % 5) * 0.2 - 0.4 - x;
                sum += (r2 - dy * dy - dx * dx).max(0.0).sqrt() * 0.08;
            }
            let noise = ((v * 7919 + u * 104_729) % 1000) as f64 / 1000.0 - 0.5;
            (sum / 25.0 * 25.0 / 5.0 + 0.01 * u as f64 - 0.006 * v as f64 + 0.05 * noise) as f32
        })
    }

    #[test]
    fn balls_are_found_at_their_size_and_their_middle_to_a_tenth_of_a_pixel() {
        for (y, x, diameter) in [(20.3, 25.8, 3.0), (24.75, 21.5, 5.0), (22.0, 22.4, 9.0)] {
            let image = ball(48, y, x, diameter);
            let diameters: Vec<f64> = (0..6).map(|k| 2.4 * 1.4f64.powi(k)).collect();
            let found = find(&image, &diameters)[0];
            assert!((found.y - y).hypot(found.x - x) < 1.0, "{found:?}");
            assert!((0.6..1.7).contains(&(found.diameter / diameter)), "{diameter}: {found:?}");
            let middle = middle(image.view(), found.y, found.x, found.diameter, 2.0).unwrap();
            // Noise of 0.015 rms under a hill above 0.5.
            assert!((middle.y - y).hypot(middle.x - x) < 0.1, "{diameter}: {middle:?}");
        }
    }

    #[test]
    fn an_even_image_a_ramp_and_an_edge_hold_no_disc() {
        let even = Array2::from_elem((40, 40), 0.7f32);
        assert!(find(&even, &[3.0, 5.0]).iter().all(|d| d.strength < 1e-5));
        assert!(middle(even.view(), 20.0, 20.0, 5.0, 2.0).is_none_or(|m| m.height < 1e-3));
        let edge = Array2::from_shape_fn((40, 40), |(_, x)| if x > 20 { 1.0f32 } else { 0.0 });
        assert!(find(&edge, &[3.0, 5.0]).iter().all(|d| d.strength < 0.05));
        assert!(middle(even.view(), 0.0, f64::NAN, 5.0, 2.0).is_none());
    }
}
