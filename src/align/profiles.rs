//! A first alignment from masses: rows for y, the centre of mass of every view for x.

use std::ops::Range;

use ndarray::{Array1, ArrayView2, Axis};
use rayon::prelude::*;

use super::level::Level;
use super::{Shifts, fit_sinusoid};
use crate::base::{Cancelled, Progress};

/// Shifts in unbinned pixels that bring the masses of all views together.
///
/// Ice that goes on beyond the field is taken off at the level of the outermost columns first.
pub(super) fn start(progress: &Progress, level: &Level) -> Result<Shifts, Cancelled> {
    progress.phase("Weighing rows and views", 16);
    let mut here: Vec<[f64; 2]> = vec![[0.0; 2]; level.n_views()];
    let background: Vec<f32> = (0..level.n_views())
        .map(|view| if level.full_rotation { 0.0 } else { edge_level(level.views.index_axis(Axis(0), view)) })
        .collect();
    for round in 0..16 {
        progress.check()?;
        balance_x(level, &background, &mut here);
        if level.n_rows() >= 8 {
            balance_y(level, &mut here, round);
        }
        progress.advance(1);
    }
    let angles: Vec<f64> = level.angles_deg.iter().map(|a| a.to_radians()).collect();
    let [a, b, _] = fit_sinusoid(&angles, here.iter().map(|s| s[1]));
    let middle = level.shift_here([0.0; 2]);
    let bin = level.bin as f64;
    Ok(here
        .iter()
        .zip(&angles)
        .map(|(s, t)| [s[0] * bin, (s[1] - a * t.cos() - b * t.sin() - middle[1]) * bin])
        .collect())
}

fn edge_level(view: ArrayView2<'_, f32>) -> f32 {
    let n = view.ncols();
    let width = (n / 24).max(1);
    let side = |from: usize| view.slice(ndarray::s![.., from..from + width]).mean().unwrap_or(0.0);
    0.5 * (side(0) + side(n - width))
}

/// Soft window of half width `half` around `centre`: the weight of pixel `i`.
pub(super) fn inside(i: usize, centre: f64, half: f64) -> f64 {
    (half + 0.5 - (i as f64 - centre).abs()).clamp(0.0, 1.0)
}

/// Half width of the widest window that stays in the field for every view.
pub(super) fn reach(n: usize, shifts: impl Iterator<Item = f64>) -> f64 {
    let most = shifts.map(f64::abs).fold(0.0, f64::max);
    (n as f64 / 2.0 - 1.0 - most).max(n as f64 / 4.0)
}

/// Moves every view so that the centres of mass lie on a sinusoid without an offset.
///
/// The window stays on the axis, not on the centre of mass: what it cuts off a cylinder of ice around
/// the axis is then the same on both sides.
fn balance_x(level: &Level, background: &[f32], here: &mut [[f64; 2]]) {
    let (n_rows, n_cols) = (level.n_rows(), level.n_cols());
    let (half_x, half_y) =
        (reach(n_cols, here.iter().map(|s| s[1])), reach(n_rows, here.iter().map(|s| s[0])));
    let most = n_cols as f64 / 8.0;
    let centres: Vec<f64> = here
        .par_iter()
        .enumerate()
        .map(|(view, shift)| {
            let image = level.views.index_axis(Axis(0), view);
            let centre_y = (n_rows as f64 - 1.0) / 2.0 + shift[0];
            let centre_x = (n_cols as f64 - 1.0) / 2.0 + shift[1];
            let weights: Vec<f64> = (0..n_cols).map(|x| inside(x, centre_x, half_x)).collect();
            let (mut mass, mut moment) = (0.0, 0.0);
            for (y, row) in image.outer_iter().enumerate() {
                let weight_y = inside(y, centre_y, half_y);
                for ((x, value), weight) in row.iter().enumerate().zip(&weights) {
                    let m = f64::from(value - background[view]) * weight * weight_y;
                    mass += m;
                    moment += m * (x as f64 - centre_x);
                }
            }
            if mass > 0.0 { (moment / mass).clamp(-most, most) } else { 0.0 }
        })
        .collect();
    let angles: Vec<f64> = level.angles_deg.iter().map(|a| a.to_radians()).collect();
    let [a, b, _] = fit_sinusoid(&angles, centres.iter().copied());
    for ((shift, centre), angle) in here.iter_mut().zip(centres).zip(&angles) {
        let off = centre - a * angle.cos() - b * angle.sin();
        shift[1] = (shift[1] + off).clamp(-2.0 * most, 2.0 * most);
    }
}

/// Moves every view along y so that its row masses agree with the mean of all.
fn balance_y(level: &Level, here: &mut [[f64; 2]], round: usize) {
    let (n_rows, n_cols) = (level.n_rows(), level.n_cols());
    let half_x = reach(n_cols, here.iter().map(|s| s[1]));
    let profiles: Vec<Array1<f64>> = here
        .par_iter()
        .enumerate()
        .map(|(view, shift)| {
            let centre = (n_cols as f64 - 1.0) / 2.0 + shift[1];
            let weights: Array1<f32> = (0..n_cols).map(|x| inside(x, centre, half_x) as f32).collect();
            let masses = level.views.index_axis(Axis(0), view).dot(&weights);
            let sigma = (n_rows as f64 / 16.0 * 0.6f64.powi(round as i32)).max(1.0);
            moved_profile(&smoothed(&masses.mapv(f64::from), sigma), shift[0])
        })
        .collect();
    let mut mean = Array1::<f64>::zeros(n_rows);
    for profile in &profiles {
        mean += profile;
    }
    mean /= profiles.len() as f64;
    let margin = (n_rows as f64 / 2.0 - reach(n_rows, here.iter().map(|s| s[0]))).ceil() as usize;
    for (shift, profile) in here.iter_mut().zip(&profiles) {
        shift[0] += profile_offset(profile, &mean, margin.clamp(1, n_rows / 4));
    }
    let middle = here.iter().map(|s| s[0]).sum::<f64>() / here.len() as f64;
    here.iter_mut().for_each(|s| s[0] -= middle);
}

pub(super) fn smoothed(values: &Array1<f64>, sigma: f64) -> Array1<f64> {
    let n = values.len() as isize;
    let r = (3.0 * sigma).ceil() as isize;
    let taps: Vec<f64> = (-r..=r).map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp()).collect();
    let total: f64 = taps.iter().sum();
    (0..n)
        .map(|i| {
            (-r..=r).zip(&taps).map(|(k, w)| w * values[(i + k).clamp(0, n - 1) as usize]).sum::<f64>()
                / total
        })
        .collect()
}

/// `out(y) = profile(y + shift)`, linear; it is smooth already.
pub(super) fn moved_profile(profile: &Array1<f64>, shift: f64) -> Array1<f64> {
    let last = profile.len() as f64 - 1.0;
    (0..profile.len())
        .map(|y| {
            let at = (y as f64 + shift).clamp(0.0, last);
            let low = (at.floor() as usize).min(profile.len() - 2);
            profile[low] + (profile[low + 1] - profile[low]) * (at - low as f64)
        })
        .collect()
}

/// How far down the content of `profile` lies of that of `mean`.
fn profile_offset(profile: &Array1<f64>, mean: &Array1<f64>, margin: usize) -> f64 {
    fitted(profile, mean, margin..mean.len() - margin, mean.len() as f64 / 8.0).offset
}

/// A profile as another one moved, with gain and level free.
pub(super) struct ProfileFit {
    /// How far down its content lies.
    pub(super) offset: f64,
    /// Squares that are left.
    pub(super) unexplained: f64,
    /// All squares.
    pub(super) whole: f64,
}

/// Fits `profile` by `common` over some rows, least squares; the offset is held within `most`, and 0 where hardly anything
/// of `common` is in it.
pub(super) fn fitted(
    profile: &Array1<f64>,
    common: &Array1<f64>,
    rows: Range<usize>,
    most: f64,
) -> ProfileFit {
    let mut normal = [[0.0; 3]; 3];
    let (mut right, mut whole) = ([0.0; 3], 0.0);
    for y in rows {
        let row = [common[y], 1.0, -0.5 * (common[y + 1] - common[y - 1])];
        whole += profile[y] * profile[y];
        for i in 0..3 {
            right[i] += row[i] * profile[y];
            for j in 0..3 {
                normal[i][j] += row[i] * row[j];
            }
        }
    }
    let Some(inverse) = crate::kernels::registration::inverse(normal) else {
        return ProfileFit { offset: 0.0, unexplained: whole, whole };
    };
    let solved: [f64; 3] = std::array::from_fn(|i| (0..3).map(|j| inverse[i][j] * right[j]).sum());
    let explained: f64 = solved.iter().zip(right).map(|(a, b)| a * b).sum();
    let offset = if solved[0] > 0.1 { (solved[2] / solved[0]).clamp(-most, most) } else { 0.0 };
    ProfileFit { offset, unexplained: (whole - explained).max(0.0), whole }
}
