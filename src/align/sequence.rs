//! Projection matching at limited tilt in the order of the tilts, from the flattest view outwards.
//!
//! Each view is compared with what the nearest views that are placed already show at its tilt: a thin pile of
//! views within some twenty degrees, filtered and reprojected (after Zheng et al. 2022,
//! doi:10.1016/j.yjsbx.2022.100068). So that a sample that reaches beyond the field is compared with what is alike.

use super::Shifts;
use super::level::Level;
use super::matching::against;
use crate::base::{Cancelled, Progress};

/// How far views that are compared with lie away, in degrees.
const NEAR_DEG: f64 = 20.5;
/// Most views that one is compared with.
const MOST_VIEWS: usize = 10;
/// Passes at one binning.
const PASSES: usize = 2;
/// A view is placed when it moves less than this, in pixels of the level.
const STILL_PX: f64 = 0.02;
/// Columns above which a level is left to finer methods.
const MOST_COLS: usize = 160;

/// Shifts found view by view; each pass begins at the flattest view.
pub(super) fn refine(progress: &Progress, levels: &[Level], start: Shifts) -> Result<Shifts, Cancelled> {
    let finest = &levels[levels.len() - 1];
    let n_views = finest.n_views();
    let mut order: Vec<usize> = (0..n_views).collect();
    let tilt = |view: usize| finest.angles_deg[view].to_radians().sin().abs();
    order.sort_by(|a, b| tilt(*a).total_cmp(&tilt(*b)));
    let mut shifts = start;
    let coarse: Vec<&Level> = levels.iter().filter(|level| level.n_cols() <= MOST_COLS).collect();
    let chosen = if coarse.is_empty() { vec![&levels[0]] } else { coarse };
    for level in chosen {
        for pass in 0..PASSES {
            progress.phase("Placing views one after the other", n_views as u64);
            let mut most = 0.0f64;
            for (place, &view) in order.iter().enumerate().skip(1) {
                progress.check()?;
                // The first pass knows only what was placed before; later ones both sides.
                let known = if pass == 0 { &order[..place] } else { &order[..] };
                let moved = place_view(progress, level, &mut shifts, view, known)?;
                most = most.max(moved);
                progress.advance(1);
            }
            if most < STILL_PX {
                break;
            }
        }
    }
    Ok(shifts)
}

/// Moves one view to where it fits what the nearest of the known views show; gives how far.
fn place_view(
    progress: &Progress,
    level: &Level,
    shifts: &mut Shifts,
    view: usize,
    known: &[usize],
) -> Result<f64, Cancelled> {
    let apart = |other: usize| (level.angles_deg[other] - level.angles_deg[view]).abs();
    let mut near: Vec<usize> =
        known.iter().copied().filter(|other| *other != view && apart(*other) <= NEAR_DEG).collect();
    near.sort_by(|a, b| apart(*a).total_cmp(&apart(*b)).then(a.cmp(b)));
    near.truncate(MOST_VIEWS);
    if near.is_empty() {
        return Ok(0.0);
    }
    let before = shifts[view];
    let made = level.reproject(progress, shifts, &near, &[view])?;
    for _ in 0..4 {
        let fit = against(level, shifts, view, made.index_axis(ndarray::Axis(0), 0));
        if fit.correlation < 0.2 {
            break;
        }
        (0..2).for_each(|axis| shifts[view][axis] += fit.offset[axis] * level.bin as f64);
        if fit.offset[0].hypot(fit.offset[1]) < STILL_PX {
            break;
        }
    }
    Ok((shifts[view][0] - before[0]).hypot(shifts[view][1] - before[1]) / level.bin as f64)
}
