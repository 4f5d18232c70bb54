//! The rotation axis: one offset along x for all views.
//!
//! Full rotation: two views half a turn apart are mirror images of each other about the axis, so that
//! comparing one with the other mirrored gives twice the offset. Few scans hold such a pair exactly;
//! pairs that miss half a turn by up to six degrees on either side are fitted by a line over what they miss.
//! Limited tilt: views of one side only; the axis is where the centres of mass balance, if that fits better than the middle.

use ndarray::Array2;
use rayon::prelude::*;

use super::level::Level;
use super::matching::{fit, score};
use super::{Shifts, profiles};
use crate::base::{Cancelled, Progress};

/// How far a pair may miss half a turn, in degrees.
const MISS_DEG: f64 = 6.5;

/// Two views about half a turn apart and how far they miss it in degrees.
struct Pair {
    first: usize,
    second: usize,
    miss_deg: f64,
}

fn pairs(level: &Level) -> Vec<Pair> {
    let n = level.n_views();
    let mut found = Vec::new();
    for first in 0..n {
        for second in first + 1..n {
            let apart = (level.angles_deg[second] - level.angles_deg[first]).rem_euclid(360.0);
            let miss_deg = apart - 180.0;
            if miss_deg.abs() <= MISS_DEG {
                found.push(Pair { first, second, miss_deg });
            }
        }
    }
    found.sort_by(|a, b| a.miss_deg.abs().total_cmp(&b.miss_deg.abs()));
    // More pairs than this only cost time.
    found.truncate(48);
    found
}

/// Views of a pair moved back by their shifts, the second one mirrored.
fn mirrored(level: &Level, shifts: &Shifts, pair: &Pair) -> (Array2<f32>, Array2<f32>) {
    let first = level.moved(pair.first, level.shift_here(shifts[pair.first]));
    let mut second = level.moved(pair.second, level.shift_here(shifts[pair.second]));
    second.invert_axis(ndarray::Axis(1));
    (first, second.as_standard_layout().into_owned())
}

fn window(level: &Level, most_px: f64) -> Array2<f32> {
    let taper = |i: usize, n: usize, margin: f32| {
        let depth = (i as f32 + 0.5).min(n as f32 - 0.5 - i as f32) - margin;
        let t = (depth / (0.1 * n as f32).max(1.0)).clamp(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    };
    let (n_rows, n_cols) = (level.n_rows(), level.n_cols());
    let margin = (most_px / level.bin as f64).min(n_cols as f64 / 4.0) as f32;
    Array2::from_shape_fn((n_rows, n_cols), |(y, x)| {
        let along_y = if n_rows < 8 { 1.0 } else { taper(y, n_rows, 0.0) };
        along_y * taper(x, n_cols, margin)
    })
}

/// The axis offset that pairs still show after `shifts`, in unbinned pixels; `None` without pairs.
fn from_pairs(progress: &Progress, level: &Level, shifts: &Shifts) -> Result<Option<f64>, Cancelled> {
    let pairs = pairs(level);
    if pairs.is_empty() {
        return Ok(None);
    }
    let most = shifts.iter().map(|s| s[1].abs()).fold(0.0, f64::max);
    let window = window(level, most);
    let offsets: Vec<(f64, f64)> = pairs
        .par_iter()
        .map(|pair| {
            progress.check()?;
            let (first, second) = mirrored(level, shifts, pair);
            let fit = fit(first, second.view(), &window);
            Ok((pair.miss_deg, fit.offset[1] / 2.0 * level.bin as f64))
        })
        .collect::<Result<_, Cancelled>>()?;
    Ok(Some(at_zero(&offsets)))
}

/// Value at 0 of a line through points, robust to a few that are far off.
fn at_zero(points: &[(f64, f64)]) -> f64 {
    let mut weights = vec![1.0; points.len()];
    let mut value = 0.0;
    for _ in 0..6 {
        let (mut s, mut sx, mut sy, mut sxx, mut sxy) = (1e-9, 0.0, 0.0, 0.0, 0.0);
        for ((x, y), w) in points.iter().zip(&weights) {
            s += w;
            sx += w * x;
            sy += w * y;
            sxx += w * x * x;
            sxy += w * x * y;
        }
        let spread = s * sxx - sx * sx;
        let slope = if spread > 1e-6 * s * s { (s * sxy - sx * sy) / spread } else { 0.0 };
        value = (sy - slope * sx) / s;
        let mut errors: Vec<f64> = points.iter().map(|(x, y)| (y - value - slope * x).abs()).collect();
        let residuals = errors.clone();
        errors.sort_unstable_by(f64::total_cmp);
        let scale = 1.4826 * errors[errors.len() / 2] + 1e-6;
        for (weight, error) in weights.iter_mut().zip(residuals) {
            *weight = 1.0 / (1.0 + (error / (2.0 * scale)).powi(2));
        }
    }
    value
}

/// Coarse offset: the integer displacement at which the closest pairs correlate best with their mirror images.
fn by_sliding(level: &Level) -> f64 {
    let still = vec![[0.0; 2]; level.n_views()];
    let n = level.n_cols() as isize;
    let most = n / 3;
    let mut pairs = pairs(level);
    pairs.truncate(6);
    let images: Vec<_> = pairs
        .iter()
        .map(|pair| {
            let (first, second) = mirrored(level, &still, pair);
            (super::matching::band_pass(first), super::matching::band_pass(second))
        })
        .collect();
    let correlation = |shift: isize| -> f64 {
        let (mut cross, mut a2, mut b2) = (0.0f64, 1e-30f64, 1e-30f64);
        for (first, second) in &images {
            for (a, b) in first.outer_iter().zip(second.outer_iter()) {
                for x in 0.max(shift)..n.min(n + shift) {
                    let (a, b) = (f64::from(a[x as usize]), f64::from(b[(x - shift) as usize]));
                    cross += a * b;
                    a2 += a * a;
                    b2 += b * b;
                }
            }
        }
        cross / (a2 * b2).sqrt()
    };
    let best = (-most..=most).max_by(|a, b| correlation(*a).total_cmp(&correlation(*b))).unwrap_or(0);
    best as f64 / 2.0 * level.bin as f64
}

/// The axis of a series whose views are not displaced otherwise, in unbinned pixels right of the middle column.
pub(super) fn find(progress: &Progress, levels: &[Level]) -> Result<f64, Cancelled> {
    progress.phase("Looking for the rotation axis", 0);
    let coarsest = &levels[0];
    let n_views = coarsest.n_views();
    if !coarsest.full_rotation || pairs(coarsest).is_empty() {
        let weighed = profiles::start(progress, coarsest)?;
        let mean = weighed.iter().map(|s| s[1]).sum::<f64>() / n_views as f64;
        let middle = score(progress, coarsest, &vec![[0.0; 2]; n_views])?;
        let balanced = score(progress, coarsest, &vec![[0.0, mean]; n_views])?;
        return Ok(if balanced > middle { mean } else { 0.0 });
    }
    let mut shifts = vec![[0.0, by_sliding(coarsest)]; n_views];
    for level in levels {
        for _ in 0..3 {
            shifts = polish(progress, level, shifts)?;
        }
    }
    Ok(shifts[0][1])
}

/// Moves all views by the axis offset that pairs still show.
pub(super) fn polish(progress: &Progress, level: &Level, shifts: Shifts) -> Result<Shifts, Cancelled> {
    let offset = from_pairs(progress, level, &shifts)?.unwrap_or(0.0);
    Ok(shifts.iter().map(|s| [s[0], s[1] + offset]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_at_zero_in_spite_of_an_outlier() {
        let mut points: Vec<(f64, f64)> =
            (1..12).map(|i| (f64::from(i) * 0.5, 1.25 + 0.1 * f64::from(i))).collect();
        points.push((3.0, 40.0));
        assert!((at_zero(&points) - 1.25).abs() < 0.02, "{}", at_zero(&points));
    }
}
