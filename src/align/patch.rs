//! Patches of the views followed from view to view: tracks for the fit of [`super::fiducial`] where there are no beads.
//!
//! Views that are roughly aligned are cut into overlapping patches, which are followed through short pieces
//! of the series from its middle outwards, so that what a chain of comparisons drifts stays small. Each patch of
//! each piece is one point of the sample in the fit (as in IMOD's patch tracking).

use ndarray::Array2;
use rayon::prelude::*;

use super::Shifts;
use super::level::Level;
use super::matching::band_pass;
use crate::base::{Cancelled, Progress};
use crate::kernels::registration::inverse;
use crate::kernels::turn::keys;
use crate::volume::{BeadTrack, BeadTracks, TrackPoint};

/// Degrees that a piece spans.
const PIECE_DEG: f64 = 45.0;
/// Fewest views of a piece.
const MIN_PIECE: usize = 5;
/// Correlation below which a patch is lost.
const MIN_CORRELATION: f64 = 0.6;
/// Farthest that a patch moves between two views beyond the rough alignment, in pixels of the level.
const MAX_STEP_PX: f64 = 3.0;
/// Patches with less contrast than this share of the usual are left out.
const MIN_CONTRAST: f64 = 0.5;

/// Tracks in pixels of the level where all views are moved back by `shifts`; y and x from its first pixel.
pub(super) fn tracks(
    progress: &Progress,
    level: &Level,
    shifts: &Shifts,
    side: usize,
) -> Result<BeadTracks, Cancelled> {
    let n_views = level.n_views();
    progress.phase("Following patches", n_views as u64);
    let images: Vec<Array2<f32>> = (0..n_views)
        .into_par_iter()
        .map(|view| {
            progress.check()?;
            Ok(band_pass(level.moved(view, level.shift_here(shifts[view]))))
        })
        .collect::<Result<_, Cancelled>>()?;
    let mut order: Vec<usize> = (0..n_views).collect();
    order.sort_by(|a, b| level.angles_deg[*a].total_cmp(&level.angles_deg[*b]));
    let span = level.angles_deg[order[n_views - 1]] - level.angles_deg[order[0]];
    let piece =
        ((PIECE_DEG / span.max(1.0) * n_views as f64) as usize).clamp(MIN_PIECE, n_views.max(MIN_PIECE));
    let starts = (0..n_views).step_by((piece / 2).max(1));
    let pieces: Vec<&[usize]> = starts
        .map(|first| &order[first..(first + piece).min(n_views)])
        .filter(|views| views.len() >= MIN_PIECE)
        .collect();
    let found: Vec<Vec<BeadTrack>> = pieces
        .par_iter()
        .map(|views| {
            progress.check()?;
            let middle = views.len() / 2;
            let beads = centres(&images[views[middle]], side);
            let followed = beads.into_iter().map(|at| follow(&images, views, middle, at, side));
            let tracks = followed.filter(|bead| bead.points.len() >= MIN_PIECE).collect();
            progress.advance((views.len() / 2) as u64);
            Ok(tracks)
        })
        .collect::<Result<_, Cancelled>>()?;
    Ok(BeadTracks { diameter_px: None, beads: found.into_iter().flatten().collect() })
}

/// Middles of patches with contrast, half a side apart.
fn centres(image: &Array2<f32>, side: usize) -> Vec<[f64; 2]> {
    let (n_rows, n_cols) = image.dim();
    let half = side / 2;
    let mut found = Vec::new();
    for y in (half + 2..n_rows.saturating_sub(half + 2)).step_by(half.max(1)) {
        for x in (half + 2..n_cols.saturating_sub(half + 2)).step_by(half.max(1)) {
            let patch = image.slice(ndarray::s![y - half..y + half, x - half..x + half]);
            let power = patch.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
            found.push((power, [y as f64, x as f64]));
        }
    }
    let mut powers: Vec<f64> = found.iter().map(|(power, _)| *power).collect();
    powers.sort_by(f64::total_cmp);
    let usual = powers.get(powers.len() * 3 / 4).copied().unwrap_or(0.0);
    found
        .into_iter()
        .filter(|(power, _)| *power > MIN_CONTRAST * usual && *power > 0.0)
        .map(|f| f.1)
        .collect()
}

/// One patch from the middle view of a piece to both ends.
fn follow(images: &[Array2<f32>], views: &[usize], middle: usize, at: [f64; 2], side: usize) -> BeadTrack {
    let mut track = BeadTrack::default();
    track.set(TrackPoint::new(views[middle], at[0], at[1]));
    let forward: Vec<usize> = (middle + 1..views.len()).collect();
    let backward: Vec<usize> = (0..middle).rev().collect();
    for places in [forward, backward] {
        let (mut known, mut here) = (middle, at);
        for place in places {
            let Some(there) = compare(&images[views[known]], here, &images[views[place]], here, side) else {
                break;
            };
            track.set(TrackPoint::new(views[place], there[0], there[1]));
            (known, here) = (place, there);
        }
    }
    track
}

/// Values of a patch around (y, x), by a cubic; `None` beyond the edge.
fn patch(image: &Array2<f32>, at: [f64; 2], side: usize) -> Option<Array2<f32>> {
    let first = at.map(|v| v - side as f64 / 2.0);
    let whole = first.map(f64::floor);
    let (n_rows, n_cols) = image.dim();
    let fits = |from: f64, n: usize| from >= 1.0 && from + side as f64 + 2.0 < n as f64;
    if !(fits(whole[0], n_rows) && fits(whole[1], n_cols)) {
        return None;
    }
    let (along_y, along_x) = (keys(first[0] - whole[0]), keys(first[1] - whole[1]));
    let (y0, x0) = (whole[0] as usize - 1, whole[1] as usize - 1);
    let mut lines = Array2::<f32>::zeros((side + 3, side));
    for ((y, x), value) in lines.indexed_iter_mut() {
        *value = (0..4).map(|k| along_x[k] * image[[y0 + y, x0 + x + k]]).sum();
    }
    Some(Array2::from_shape_fn((side, side), |(y, x)| (0..4).map(|k| along_y[k] * lines[[y + k, x]]).sum()))
}

/// Where the patch around `at` of one image lies in another, near `guess`.
fn compare(
    known: &Array2<f32>,
    at: [f64; 2],
    other: &Array2<f32>,
    guess: [f64; 2],
    side: usize,
) -> Option<[f64; 2]> {
    let reference = patch(known, at, side)?;
    let mut here = guess;
    for _ in 0..6 {
        let seen = patch(other, here, side)?;
        let (step, correlation) = offset(&reference, &seen)?;
        here = [here[0] + step[0], here[1] + step[1]];
        if (here[0] - guess[0]).hypot(here[1] - guess[1]) > MAX_STEP_PX {
            return None;
        }
        if step[0].hypot(step[1]) < 0.01 {
            return (correlation > MIN_CORRELATION).then_some(here);
        }
    }
    None
}

/// How far the content of `seen` lies beside that of `reference`, to first order, and how alike they are.
fn offset(reference: &Array2<f32>, seen: &Array2<f32>) -> Option<([f64; 2], f64)> {
    let n = reference.nrows();
    let (mut normal, mut right) = ([[0.0f64; 4]; 4], [0.0f64; 4]);
    let (mut power, mut total) = (0.0f64, 0.0f64);
    let window = |i: usize| {
        let t = (i as f64 + 0.5) / n as f64;
        (std::f64::consts::PI * t).sin()
    };
    for y in 1..n - 1 {
        for x in 1..n - 1 {
            let weight = window(y) * window(x);
            let at = |y: usize, x: usize| f64::from(reference[[y, x]]);
            let row =
                [at(y, x), 1.0, -0.5 * (at(y + 1, x) - at(y - 1, x)), -0.5 * (at(y, x + 1) - at(y, x - 1))];
            let value = f64::from(seen[[y, x]]);
            power += weight * value * value;
            total += weight;
            for i in 0..4 {
                right[i] += weight * row[i] * value;
                for j in 0..4 {
                    normal[i][j] += weight * row[i] * row[j];
                }
            }
        }
    }
    let covariance = right[0] - normal[0][1] * right[1] / total;
    let made = normal[0][0] - normal[0][1] * normal[0][1] / total;
    let correlation = covariance / (made * (power - right[1] * right[1] / total)).sqrt().max(1e-30);
    let inverse = inverse(normal)?;
    let solved: [f64; 4] = std::array::from_fn(|i| (0..4).map(|j| inverse[i][j] * right[j]).sum());
    if !(solved[0] > 0.1) {
        return None;
    }
    let step = |v: f64| (v / solved[0]).clamp(-1.0, 1.0);
    Some(([step(solved[2]), step(solved[3])], correlation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_found_where_it_went_and_not_in_another_picture() {
        let wave = |y: f64, x: f64| {
            ((0.41 * y).sin() * (0.33 * x).cos() + (0.27 * x + 0.19 * y).sin() + (0.004 * x * y).cos()) as f32
        };
        let known = Array2::from_shape_fn((60, 70), |(y, x)| wave(y as f64, x as f64));
        let other = Array2::from_shape_fn((60, 70), |(y, x)| wave(y as f64 - 1.3, x as f64 + 0.7));
        let found = compare(&known, [28.0, 33.0], &other, [28.0, 33.0], 24).unwrap();
        // A cubic through waves of nine pixels and more.
        assert!((found[0] - 29.3).abs() < 0.1 && (found[1] - 32.3).abs() < 0.1, "{found:?}");
        let noise = Array2::from_shape_fn((60, 70), |(y, x)| ((y * 7919 + x * 104_729) % 101) as f32);
        assert!(compare(&known, [28.0, 33.0], &noise, [28.0, 33.0], 24).is_none());
        let even = Array2::from_elem((60, 70), 1.0f32);
        assert!(compare(&even, [28.0, 33.0], &even, [28.0, 33.0], 24).is_none());
        assert!(compare(&known, [3.0, 33.0], &other, [3.0, 33.0], 24).is_none(), "beyond the edge");
    }
}
