//! The direction of the rotation axis in the plane of the views, without markers.
//!
//! Where views are read with a wrong direction, each seems turned beside its reprojection from others: by how much
//! depends on its tilt and on the sample, but in the right direction no view is turned. So the turns are measured
//! as they are and with all views read turned a little more, and the direction is where a straight line
//! through both makes them vanish, by least squares over the views. (Scores tell it worse: reading views turned blurs
//! them, and blurred views correlate better.)
//!
//! At limited tilt nothing is looked for: a wrong direction only bends the sample, and neighbouring views agree in any;
//! beads tell it there.

use super::Shifts;
use super::level::Level;
use super::matching::turns;
use crate::base::{Cancelled, Progress};

/// Farthest direction that is believed, in degrees.
const MOST_DEG: f64 = 6.0;
/// Rows and columns below which a direction is not told.
const MIN_SIDE: usize = 24;
/// Columns that are enough to tell it.
const MOST_COLS: usize = 160;

/// Shifts of views that are read turned: `R⁻¹ shift`.
pub(super) fn turned(shifts: &Shifts, rotation_deg: f64) -> Shifts {
    let (sin, cos) = rotation_deg.to_radians().sin_cos();
    shifts.iter().map(|[y, x]| [cos * y - sin * x, cos * x + sin * y]).collect()
}

/// The direction at which views aligned by `shifts` are not turned beside each other, and its standard error, in
/// degrees; `None` for views too small or too
/// few directions to tell.
pub(super) fn find(
    progress: &Progress,
    levels: &[Level],
    shifts: &Shifts,
) -> Result<Option<[f64; 2]>, Cancelled> {
    let told = |level: &&Level| level.n_rows().min(level.n_cols()) >= MIN_SIDE && level.full_rotation;
    let few = |level: &&Level| told(level) && level.n_cols() <= MOST_COLS;
    let Some(level) = levels.iter().rev().find(few).or_else(|| levels.iter().find(told)) else {
        return Ok(None);
    };
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
