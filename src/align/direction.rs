//! The direction of the rotation axis in the plane of the views, without markers.
//!
//! Where views are read with a wrong direction, each seems turned beside its reprojection from others: by how much
//! depends on its tilt and on the sample, but in the right direction no view is turned. So the turns are measured
//! as they are and with all views read turned a little more, and the direction is where a straight line
//! through both makes them vanish, by least squares over the views. (Scores tell it worse: reading views turned blurs
//! them, and blurred views correlate better.)
//!
//! At limited tilt turns do not tell it: a wrong direction only bends the sample, and neighbouring views agree in any.
//! There the common line tells it: summed across the axis, every view of a sample that lies within the field gives the same
//! profile along it, whatever the tilt (as in common-line methods of electron microscopy, Crowther, DeRosier and Klug,
//! doi:10.1098/rspa.1970.0119); summed across any other line the profiles change with tilt. Where the sample goes on
//! beyond the field the profiles change in any direction, and none is believed.

use ndarray::{Array1, Axis};
use rayon::prelude::*;

use super::Shifts;
use super::level::Level;
use super::matching::turns;
use super::profiles::{fitted, inside, moved_profile, reach, smoothed};
use crate::base::{Cancelled, Progress};

/// Farthest direction that is believed, in degrees.
const MOST_DEG: f64 = 6.0;
/// Rows and columns below which a direction is not told.
const MIN_SIDE: usize = 24;
/// Views that are enough to tell it by the common line.
const MOST_VIEWS: usize = 48;
/// The part of the profiles that may stay unexplained where the sample lies within the field. Such samples leave
/// 0.0004 to 0.0006 (simulated cells with noise); where the cell goes on beyond it, 0.1 to 0.2.
const UNEXPLAINED: f64 = 0.02;
/// Rows that a profile is moved at once, at most.
const MOST_OFFSET: f64 = 3.0;
/// Parts of the views that are asked apart how sure the common line is.
const PARTS: usize = 4;
/// Columns that are enough to tell it.
const MOST_COLS: usize = 160;

/// Shifts of views that are read turned: `R⁻¹ shift`.
pub(super) fn turned(shifts: &Shifts, rotation_deg: f64) -> Shifts {
    let (sin, cos) = rotation_deg.to_radians().sin_cos();
    shifts.iter().map(|[y, x]| [cos * y - sin * x, cos * x + sin * y]).collect()
}

/// The finest level of few columns, or the coarsest; none for views too small.
fn telling(levels: &[Level]) -> Option<&Level> {
    let told = |level: &&Level| level.n_rows().min(level.n_cols()) >= MIN_SIDE;
    let few = |level: &&Level| told(level) && level.n_cols() <= MOST_COLS;
    levels.iter().rev().find(few).or_else(|| levels.iter().find(told))
}

/// The direction at which views aligned by `shifts` are not turned beside each other, and its standard error, in
/// degrees; `None` for views too small or too
/// few directions to tell.
pub(super) fn find(
    progress: &Progress,
    levels: &[Level],
    shifts: &Shifts,
) -> Result<Option<[f64; 2]>, Cancelled> {
    let Some(level) = telling(levels).filter(|level| level.full_rotation) else { return Ok(None) };
    let at = |angle: f64| turns(progress, &level.turned(progress, angle)?, &turned(shifts, angle));
    let (mut best, mut error) = (0.0f64, f64::INFINITY);
    for more in [1.0, 0.7, 0.5] {
        let (here, there) = (at(best)?, at(best + more)?);
        let (mut cross, mut square) = (0.0, 1e-30);
        for (a, b) in here.iter().zip(&there) {
            cross += (b - a) * a;
            square += (b - a) * (b - a);
        }
        let step = -more * cross / square;
        let left: f64 = here.iter().zip(&there).map(|(a, b)| (a + step / more * (b - a)).powi(2)).sum();
        error = more * (left / here.len() as f64 / square).sqrt();
        best += step.clamp(-2.0, 2.0);
        if best.abs() > MOST_DEG {
            return Ok(None);
        }
        if step.abs() < 0.02 {
            break;
        }
    }
    Ok(Some([best, error]))
}

/// The direction at which the profiles along the axis are the same in every view, and its standard error, in degrees;
/// `None` for views too small or too few. `shifts` need to be right to some pixels only.
pub(super) fn by_common_line(
    progress: &Progress,
    levels: &[Level],
    shifts: &Shifts,
) -> Result<Option<[f64; 2]>, Cancelled> {
    let Some(level) = telling(levels) else { return Ok(None) };
    let step = level.n_views().div_ceil(MOST_VIEWS);
    let (level, shifts): (_, Shifts) = (level.every(step), shifts.iter().step_by(step).copied().collect());
    if level.n_views() < 4 * PARTS {
        return Ok(None);
    }
    // Coarse, then fine around the best; the first part is all views, the others each a part of them.
    let mut best = 0.0f64;
    let mut found = [0.0; PARTS + 1];
    for (reach, by) in [(MOST_DEG, 0.5), (0.5, 0.1)] {
        let n = (reach / by).round() as i32;
        let middle = best;
        let tried: Vec<f64> = (-n..=n).map(|i| middle + f64::from(i) * by).collect();
        let mut differences = Vec::with_capacity(tried.len());
        for angle in &tried {
            differences.push(disagreement(&level.turned(progress, *angle)?, &turned(&shifts, *angle)));
        }
        if differences.iter().all(|of| of[0] > UNEXPLAINED) {
            return Ok(None);
        }
        for (part, found) in found.iter_mut().enumerate() {
            let values: Vec<f64> = differences.iter().map(|of| of[part]).collect();
            *found = lowest(&tried, &values);
        }
        best = found[0];
        if best.abs() > MOST_DEG - 1.0 {
            return Ok(None);
        }
    }
    let spread: f64 = found[1..].iter().map(|part| (part - best).powi(2)).sum::<f64>() / PARTS as f64;
    Ok(Some([best, (spread / (PARTS - 1) as f64).sqrt()]))
}

/// The place of the lowest value, between the places tried where it is a valley.
fn lowest(places: &[f64], values: &[f64]) -> f64 {
    let at = (0..values.len()).min_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0);
    if at == 0 || at + 1 >= values.len() {
        return places[at];
    }
    let (left, right) = (values[at - 1] - values[at], values[at + 1] - values[at]);
    let part = 0.5 * (left - right) / (left + right).max(1e-30);
    places[at] + part * (places[at + 1] - places[at])
}

/// The part of the profiles along y that the common profile does not explain, 0 to 1: of all views, and of every
/// [`PARTS`]th view from each start.
fn disagreement(level: &Level, shifts: &Shifts) -> [f64; PARTS + 1] {
    let (n_rows, n_cols) = (level.n_rows(), level.n_cols());
    let here: Vec<[f64; 2]> = shifts.iter().map(|shift| level.shift_here(*shift)).collect();
    let half = reach(n_cols, here.iter().map(|s| s[1]));
    let slopes: Vec<Array1<f64>> = here
        .par_iter()
        .enumerate()
        .map(|(view, shift)| {
            let centre = (n_cols as f64 - 1.0) / 2.0 + shift[1];
            let weights: Array1<f32> = (0..n_cols).map(|x| inside(x, centre, half) as f32).collect();
            let masses = level.views.index_axis(Axis(0), view).dot(&weights).mapv(f64::from);
            let profile = moved_profile(&smoothed(&masses, 1.0), shift[0]);
            // The level of the ice, which goes with the tilt, is gone from the slope.
            (0..n_rows)
                .map(|y| 0.5 * (profile[(y + 1).min(n_rows - 1)] - profile[y.saturating_sub(1)]))
                .collect()
        })
        .collect();
    let margin = (n_rows as f64 / 2.0 - reach(n_rows, here.iter().map(|s| s[0]))).ceil() as usize + 2;
    let rows = margin.clamp(2, n_rows / 4)..n_rows - margin.clamp(2, n_rows / 4);
    let mut out = [0.0; PARTS + 1];
    for (part, out) in out.iter_mut().enumerate() {
        let of: Vec<&Array1<f64>> = slopes
            .iter()
            .enumerate()
            .filter(|(v, _)| part == 0 || v % PARTS == part - 1)
            .map(|(_, s)| s)
            .collect();
        let mut common = Array1::<f64>::zeros(n_rows);
        // Again: the common profile is sharper once the views have been moved to it.
        let mut moved: Vec<Array1<f64>> = of.iter().map(|slope| (*slope).clone()).collect();
        for _ in 0..3 {
            common.fill(0.0);
            moved.iter().for_each(|slope| common += slope);
            common /= moved.len() as f64;
            let mut left = (0.0, 1e-30);
            for slope in &mut moved {
                let fit = fitted(slope, &common, rows.clone(), MOST_OFFSET);
                left = (left.0 + fit.unexplained, left.1 + fit.whole);
                *slope = moved_profile(slope, fit.offset);
            }
            *out = left.0 / left.1;
        }
    }
    out
}
