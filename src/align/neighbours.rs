//! A first alignment at limited tilt: every view against its neighbour, from the flattest outwards.
//!
//! A slab seen at a steeper tilt is narrower by the ratio of the cosines: the steeper view is compared
//! with the flatter one squeezed along x (as AreTomo does; Zheng et al. 2022, doi:10.1016/j.yjsbx.2022.100068).

use ndarray::{Array2, Axis};

use super::Shifts;
use super::level::Level;
use super::matching::{band_pass, fit};
use crate::base::{Cancelled, Progress};

/// Shifts in unbinned pixels, accumulated from the flattest view.
pub(super) fn start(progress: &Progress, levels: &[Level]) -> Result<Shifts, Cancelled> {
    let finest = &levels[levels.len() - 1];
    let n_views = finest.n_views();
    let mut order: Vec<usize> = (0..n_views).collect();
    order.sort_by(|a, b| finest.angles_deg[*a].total_cmp(&finest.angles_deg[*b]));
    let flattest = (0..n_views)
        .min_by(|a, b| finest.angles_deg[order[*a]].abs().total_cmp(&finest.angles_deg[order[*b]].abs()))
        .unwrap_or(0);
    progress.phase("Comparing neighbours", n_views as u64);
    let mut shifts = vec![[0.0; 2]; n_views];
    let pairs = (flattest + 1..n_views).map(|i| (i - 1, i)).chain((0..flattest).rev().map(|i| (i + 1, i)));
    for (known, new) in pairs {
        progress.check()?;
        let (known, new) = (order[known], order[new]);
        shifts[new] = shifts[known];
        let jump = far(&levels[0], &shifts, known, new);
        (0..2).for_each(|axis| shifts[new][axis] += jump[axis] * levels[0].bin as f64);
        for level in levels {
            for _ in 0..4 {
                let offset = compare(level, &shifts, known, new);
                shifts[new][0] += offset[0] * level.bin as f64;
                shifts[new][1] += offset[1] * level.bin as f64;
                if offset[0].hypot(offset[1]) < 0.02 {
                    break;
                }
            }
        }
        progress.advance(1);
    }
    Ok(shifts)
}

/// The known view as the new one should show it, and the new one.
fn pair(level: &Level, shifts: &Shifts, known: usize, new: usize) -> (Array2<f32>, Array2<f32>) {
    let reference = level.moved(known, level.shift_here(shifts[known]));
    let cos = |view: usize| level.angles_deg[view].to_radians().cos().max(0.05);
    let squeezed = stretched(&reference, cos(known) / cos(new));
    (squeezed, level.moved(new, level.shift_here(shifts[new])))
}

/// The whole displacement at which two views correlate best, up to a quarter of the field, in pixels of the level.
fn far(level: &Level, shifts: &Shifts, known: usize, new: usize) -> [f64; 2] {
    let (reference, seen) = pair(level, shifts, known, new);
    let (reference, seen) = (band_pass(reference), band_pass(seen));
    let (n_rows, n_cols) = (seen.nrows() as isize, seen.ncols() as isize);
    let most = [n_rows / 4, n_cols / 4];
    let mut best = (f64::NEG_INFINITY, [0.0; 2]);
    for dy in -most[0]..=most[0] {
        for dx in -most[1]..=most[1] {
            let (mut cross, mut a2, mut b2) = (0.0f32, 1e-20f32, 1e-20f32);
            let columns = 0.max(dx) as usize..n_cols.min(n_cols + dx) as usize;
            let from = (columns.start as isize - dx) as usize..(columns.end as isize - dx) as usize;
            for y in 0.max(dy)..n_rows.min(n_rows + dy) {
                let a = seen.slice(ndarray::s![y, columns.clone()]);
                let b = reference.slice(ndarray::s![y - dy, from.clone()]);
                for (a, b) in a.iter().zip(&b) {
                    cross += a * b;
                    a2 += a * a;
                    b2 += b * b;
                }
            }
            // Of two that correlate alike the nearer one.
            let away = (dy as f64 / most[0].max(1) as f64).hypot(dx as f64 / most[1].max(1) as f64);
            let value = f64::from(cross / (a2 * b2).sqrt()) - 0.05 * away * away;
            if value > best.0 {
                best = (value, [dy as f64, dx as f64]);
            }
        }
    }
    best.1
}

fn compare(level: &Level, shifts: &Shifts, known: usize, new: usize) -> [f64; 2] {
    let (squeezed, seen) = pair(level, shifts, known, new);
    let (n_rows, n_cols) = seen.dim();
    let taper = |i: usize, n: usize| {
        let depth = (i as f32 + 0.5).min(n as f32 - 0.5 - i as f32) / (0.2 * n as f32);
        let t = depth.clamp(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    };
    let window = Array2::from_shape_fn((n_rows, n_cols), |(y, x)| taper(y, n_rows) * taper(x, n_cols));
    fit(seen, squeezed.view(), &window).offset
}

/// `out(y, c + x) = image(y, c + ratio x)`: squeezed for a ratio above 1.
pub(super) fn stretched(image: &Array2<f32>, ratio: f64) -> Array2<f32> {
    let n = image.ncols();
    let centre = (n as f64 - 1.0) / 2.0;
    let mut out = Array2::zeros(image.raw_dim());
    for x in 0..n {
        let at = (centre + (x as f64 - centre) * ratio).clamp(0.0, n as f64 - 1.0);
        let low = (at.floor() as usize).min(n - 2);
        let t = (at - low as f64) as f32;
        let mut column = out.index_axis_mut(Axis(1), x);
        column.scaled_add(1.0 - t, &image.column(low));
        column.scaled_add(t, &image.column(low + 1));
    }
    out
}
