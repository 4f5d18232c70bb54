//! Projection matching with held-out halves.

use ndarray::{Array2, Array3, ArrayView2, Axis};
use rayon::prelude::*;

use super::level::Level;
use super::{Shifts, Trust};
use crate::base::{Cancelled, Progress};
use crate::kernels::registration::inverse;

/// Moves below this many pixels of the level are noise.
const STILL_PX: f64 = 0.01;
/// Standard deviation of the smoothing before comparison, in pixels of the level.
const SMOOTH_PX: f32 = 0.9;

/// How a view compares with its reprojection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fit {
    /// How far the content of the view lies beside that of the reprojection, as (y, x).
    pub(super) offset: [f64; 2],
    /// Correlation coefficient, -1 to 1.
    pub(super) correlation: f64,
}

/// Even and odd places in the order of the angles.
fn halves(level: &Level) -> [Vec<usize>; 2] {
    let mut order: Vec<usize> = (0..level.n_views()).collect();
    order.sort_by(|a, b| level.angles_deg[*a].total_cmp(&level.angles_deg[*b]));
    let half = |odd: usize| order.iter().copied().skip(odd).step_by(2).collect();
    [half(0), half(1)]
}

/// Mean correlation of held-out views with their reprojection.
pub(super) fn score(progress: &Progress, level: &Level, shifts: &Shifts) -> Result<f64, Cancelled> {
    let [even, odd] = halves(level);
    progress.phase("Scoring the alignment", level.n_views() as u64);
    let mut sum = 0.0;
    for (from, to) in [(&even, &odd), (&odd, &even)] {
        sum += compare(progress, level, shifts, from, to)?.iter().map(|fit| fit.correlation).sum::<f64>();
    }
    Ok(sum / level.n_views() as f64)
}

fn compare(
    progress: &Progress,
    level: &Level,
    shifts: &Shifts,
    from: &[usize],
    to: &[usize],
) -> Result<Vec<Fit>, Cancelled> {
    let made: Array3<f32> = level.reproject(progress, shifts, from, to)?;
    let window = window(level, shifts);
    to.par_iter()
        .enumerate()
        .map(|(index, &view)| {
            progress.check()?;
            let seen = level.moved(view, level.shift_here(shifts[view]));
            let fit = fit(seen, made.index_axis(Axis(0), index), &window);
            progress.advance(1);
            Ok(fit)
        })
        .collect()
}

/// How one view compares with a reprojection.
pub(super) fn against(level: &Level, shifts: &Shifts, view: usize, made: ArrayView2<'_, f32>) -> Fit {
    let seen = level.moved(view, level.shift_here(shifts[view]));
    fit(seen, made, &window(level, &vec![shifts[view]]))
}

/// Weights that leave out what shifts have brought in from beyond the edge.
fn window(level: &Level, shifts: &Shifts) -> Array2<f32> {
    let (n_rows, n_cols) = (level.n_rows(), level.n_cols());
    let worst = |axis: usize| shifts.iter().map(|s| level.shift_here(*s)[axis].abs()).fold(0.0f64, f64::max);
    let taper = |n: usize, worst: f64| -> Vec<f32> {
        let n = n as f32;
        let margin = (worst as f32 + 1.0).min(n / 4.0);
        let ramp = (0.08 * n).max(1.0);
        (0..n as usize)
            .map(|i| {
                let depth = (i as f32 + 0.5).min(n - 0.5 - i as f32) - margin;
                let t = (depth / ramp).clamp(0.0, 1.0);
                t * t * (3.0 - 2.0 * t)
            })
            .collect()
    };
    let rows = if n_rows < 4 { vec![1.0; n_rows] } else { taper(n_rows, worst(0)) };
    let cols = taper(n_cols, worst(1));
    Array2::from_shape_fn((n_rows, n_cols), |(y, x)| rows[y] * cols[x])
}

/// Running mean over `2 r + 1` values along an axis; edges go on.
fn box_mean(image: &Array2<f32>, r: usize, axis: Axis) -> Array2<f32> {
    let n = image.len_of(axis);
    let mut out = Array2::zeros(image.raw_dim());
    for (line, mut out) in image.lanes(axis).into_iter().zip(out.lanes_mut(axis)) {
        let at = |i: isize| line[i.clamp(0, n as isize - 1) as usize];
        let mut sum: f32 = (-(r as isize)..=r as isize).map(at).sum();
        for i in 0..n {
            out[i] = sum / (2 * r + 1) as f32;
            sum += at(i as isize + r as isize + 1) - at(i as isize - r as isize);
        }
    }
    out
}

/// Keeps details between about a pixel and an eighth of the field.
pub(super) fn band_pass(image: Array2<f32>) -> Array2<f32> {
    let taps: Vec<f32> = (-3..=3).map(|i| (-0.5 * (i as f32 / SMOOTH_PX).powi(2)).exp()).collect();
    let total: f32 = taps.iter().sum();
    let smooth = |image: &Array2<f32>, axis: Axis| {
        let n = image.len_of(axis) as isize;
        let mut out = Array2::zeros(image.raw_dim());
        for (i, mut line) in out.axis_iter_mut(axis).enumerate() {
            for (k, tap) in taps.iter().enumerate() {
                let from = (i as isize + k as isize - 3).clamp(0, n - 1) as usize;
                line.scaled_add(tap / total, &image.index_axis(axis, from));
            }
        }
        out
    };
    let mut out = smooth(&smooth(&image, Axis(0)), Axis(1));
    let r = (image.ncols() / 16).max(2);
    let mut slow = out.clone();
    for _ in 0..2 {
        slow = box_mean(&box_mean(&slow, r, Axis(1)), r.min(image.nrows() / 2), Axis(0));
    }
    out -= &slow;
    out
}

/// Least squares fit of `seen = gain · made(y - ey, x - ex) + level` to first order in (ey, ex).
pub(super) fn fit(seen: Array2<f32>, made: ArrayView2<'_, f32>, window: &Array2<f32>) -> Fit {
    let (n_rows, n_cols) = seen.dim();
    let (seen, made) = (band_pass(seen), band_pass(made.to_owned()));
    let mut normal = [[0.0f64; 4]; 4];
    let mut right = [0.0f64; 4];
    let mut power = 0.0f64;
    for y in 0..n_rows {
        let (up, down) = (y.saturating_sub(1), (y + 1).min(n_rows - 1));
        for x in 1..n_cols - 1 {
            let weight = f64::from(window[[y, x]]);
            if weight == 0.0 {
                continue;
            }
            let row = [
                f64::from(made[[y, x]]),
                1.0,
                -0.5 * f64::from(made[[down, x]] - made[[up, x]]),
                -0.5 * f64::from(made[[y, x + 1]] - made[[y, x - 1]]),
            ];
            let value = f64::from(seen[[y, x]]);
            power += weight * value * value;
            for i in 0..4 {
                right[i] += weight * row[i] * value;
                for j in i..4 {
                    normal[i][j] += weight * row[i] * row[j];
                }
            }
        }
    }
    let correlation = correlation(&normal, &right, power);
    for i in 0..4 {
        for j in 0..i {
            normal[i][j] = normal[j][i];
        }
    }
    // One row has no slope along y; an even image has none at all.
    for i in 2..4 {
        normal[i][i] += 1e-6 * normal[0][0] + 1e-30;
    }
    let Some(inverse) = inverse(normal) else { return Fit { offset: [0.0; 2], correlation } };
    let solved: [f64; 4] = std::array::from_fn(|i| (0..4).map(|j| inverse[i][j] * right[j]).sum());
    if solved[0] <= 0.05 * (power / normal[0][0].max(1e-30)).sqrt() {
        return Fit { offset: [0.0; 2], correlation };
    }
    // To first order only small offsets are true; larger ones come in steps.
    let step = |v: f64| (v / solved[0]).clamp(-1.5, 1.5);
    Fit { offset: [step(solved[2]), step(solved[3])], correlation }
}

/// How far each view is turned beside its reprojection from the other half, in degrees, x towards y.
pub(super) fn turns(progress: &Progress, level: &Level, shifts: &Shifts) -> Result<Vec<f64>, Cancelled> {
    progress.phase("Looking for the direction of the axis", level.n_views() as u64);
    let window = window(level, shifts);
    let mut found = vec![0.0; level.n_views()];
    let [even, odd] = halves(level);
    for (from, to) in [(&even, &odd), (&odd, &even)] {
        let made: Array3<f32> = level.reproject(progress, shifts, from, to)?;
        let turned: Vec<f64> = to
            .par_iter()
            .enumerate()
            .map(|(index, &view)| {
                progress.check()?;
                let seen = level.moved(view, level.shift_here(shifts[view]));
                progress.advance(1);
                Ok(turn(seen, made.index_axis(Axis(0), index), &window))
            })
            .collect::<Result<_, Cancelled>>()?;
        to.iter().zip(turned).for_each(|(view, turn)| found[*view] = turn);
    }
    Ok(found)
}

/// Least squares fit of `seen = gain · made + level`, made moved and turned, to first order; the turn in degrees.
fn turn(seen: Array2<f32>, made: ArrayView2<'_, f32>, window: &Array2<f32>) -> f64 {
    let (n_rows, n_cols) = seen.dim();
    let (seen, made) = (band_pass(seen), band_pass(made.to_owned()));
    let (mut normal, mut right) = ([[0.0f64; 5]; 5], [0.0f64; 5]);
    // Turns count in halves of the width, so that all columns are of one size.
    let half = n_cols as f64 / 2.0;
    let middle = [(n_rows as f64 - 1.0) / 2.0, (n_cols as f64 - 1.0) / 2.0];
    for y in 1..n_rows.saturating_sub(1) {
        for x in 1..n_cols - 1 {
            let weight = f64::from(window[[y, x]]);
            if weight == 0.0 {
                continue;
            }
            let along_y = -0.5 * f64::from(made[[y + 1, x]] - made[[y - 1, x]]);
            let along_x = -0.5 * f64::from(made[[y, x + 1]] - made[[y, x - 1]]);
            let (dy, dx) = ((y as f64 - middle[0]) / half, (x as f64 - middle[1]) / half);
            let row = [f64::from(made[[y, x]]), 1.0, along_y, along_x, dx * along_y - dy * along_x];
            let value = f64::from(seen[[y, x]]);
            for i in 0..5 {
                right[i] += weight * row[i] * value;
                for j in 0..5 {
                    normal[i][j] += weight * row[i] * row[j];
                }
            }
        }
    }
    let Some(inverse) = inverse(normal) else { return 0.0 };
    let solved = |i: usize| -> f64 { (0..5).map(|j| inverse[i][j] * right[j]).sum() };
    let gain = solved(0);
    if gain > 0.05 { (solved(4) / gain / half).clamp(-0.1, 0.1).to_degrees() } else { 0.0 }
}

fn correlation(normal: &[[f64; 4]; 4], right: &[f64; 4], power: f64) -> f64 {
    let total = normal[1][1].max(1e-30);
    let covariance = right[0] - normal[0][1] * right[1] / total;
    let made = normal[0][0] - normal[0][1] * normal[0][1] / total;
    let seen = power - right[1] * right[1] / total;
    covariance / (made * seen).sqrt().max(1e-30)
}

/// Takes out of the offsets along x what changes slowly from view to view, given in the order of angles.
fn remove_slow(fits: &mut [Fit]) {
    let offsets: Vec<f64> = fits.iter().map(|fit| fit.offset[1]).collect();
    let sigma = offsets.len() as f64 / 24.0;
    for (i, fit) in fits.iter_mut().enumerate() {
        let weight = |j: usize| (-0.5 * ((i as f64 - j as f64) / sigma).powi(2)).exp();
        let (sum, total) = offsets
            .iter()
            .enumerate()
            .fold((0.0, 0.0), |(sum, total), (j, offset)| (sum + weight(j) * offset, total + weight(j)));
        fit.offset[1] -= sum / total;
    }
}

/// Cycles of matching at one level; never returns shifts of a lower score than those given.
pub(super) fn refine(
    progress: &Progress,
    level: &Level,
    start: Shifts,
    cycles: usize,
    trust: Trust,
) -> Result<Shifts, Cancelled> {
    let [even, odd] = halves(level);
    let mut best = (f64::NEG_INFINITY, start.clone());
    let mut shifts = start;
    for cycle in 0..=cycles {
        progress.phase("Matching projections", level.n_views() as u64);
        let before = shifts.clone();
        let mut moved = 0.0f64;
        let mut score = 0.0;
        for (from, to) in [(&even, &odd), (&odd, &even)] {
            let mut fits = compare(progress, level, &shifts, from, to)?;
            if trust == Trust::Start {
                remove_slow(&mut fits);
            }
            for (view, fit) in to.iter().zip(fits) {
                for (shift, offset) in shifts[*view].iter_mut().zip(fit.offset) {
                    *shift += offset * level.bin as f64;
                    moved += offset * offset;
                }
                score += fit.correlation;
            }
        }
        score /= level.n_views() as f64;
        // The score belongs to the shifts that the cycle began with (the second half saw the first one moved).
        if score > best.0 {
            best = (score, before);
        } else if cycle > 1 {
            break;
        }
        if (moved / (2 * level.n_views()) as f64).sqrt() < STILL_PX {
            break;
        }
    }
    Ok(best.1)
}
