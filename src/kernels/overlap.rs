//! How one volume lies in another: the offset at which what both share correlates best.
//!
//! Every offset within reach is tried at a coarse binning, then the best one is followed to the voxels themselves and, by
//! a paraboloid, to a fraction of one. The measure is the correlation coefficient, which does
//! not care for gain and level.

use ndarray::{Array3, ArrayView3, Zip, s};
use rayon::prelude::*;

use super::registration::{inverse, symmetric_eigen};
use super::smooth::halve;
use crate::base::{Cancelled, Progress};

/// A volume is halved until its longest side has at most this many voxels.
const COARSEST: usize = 40;
/// Sides are not halved below this many voxels.
const LEAST_SIDE: usize = 6;
/// Least share of the expected overlap: a sliver that happens to fit well is no overlap.
const SLIVER: f64 = 0.3;

/// Where a volume lies in another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// Voxel of the first at which the second begins, z, y, x.
    pub at: [i64; 3],
    /// The same to a fraction of a voxel.
    pub exact: [f64; 3],
    /// Correlation coefficient of what both share there, -1 to 1.
    pub correlation: f64,
}

/// Finds `b` in `a` within `search` voxels to all sides of `given`; values must be finite.
///
/// # Errors
/// [`Cancelled`] if the owner cancelled.
pub fn find_overlap(
    progress: &Progress,
    a: &Array3<f32>,
    b: &Array3<f32>,
    given: [f64; 3],
    search: f64,
) -> Result<Overlap, Cancelled> {
    let mut coarser: Vec<(Array3<f32>, Array3<f32>)> = Vec::new();
    loop {
        let (last_a, last_b) = coarser.last().map_or((a, b), |(a, b)| (a, b));
        let sides = || last_a.shape().iter().chain(last_b.shape()).copied();
        if sides().max().unwrap_or(0) <= COARSEST || sides().min().unwrap_or(0) < 2 * LEAST_SIDE {
            break;
        }
        let next = (halve(progress, last_a.view())?, halve(progress, last_b.view())?);
        coarser.push(next);
    }
    let mut best = ([0i64; 3], f64::NEG_INFINITY);
    for level in (0..=coarser.len()).rev() {
        let (a, b) = level.checked_sub(1).map_or((a, b), |i| (&coarser[i].0, &coarser[i].1));
        let bin = (1u64 << level) as f64;
        let here = given.map(|d| (d / bin).round() as i64);
        let (centre, reach) = if level == coarser.len() {
            (here, (search / bin).ceil() as i64)
        } else {
            // A voxel of the coarser binning is two here.
            (best.0.map(|d| 2 * d), 1)
        };
        let expected = shared(a.dim(), b.dim(), here);
        let steps: Vec<[i64; 3]> = (-reach..=reach)
            .flat_map(|z| (-reach..=reach).flat_map(move |y| (-reach..=reach).map(move |x| [z, y, x])))
            .map(|d| std::array::from_fn(|axis| centre[axis] + d[axis]))
            .filter(|at| shared(a.dim(), b.dim(), *at) >= SLIVER * expected)
            .collect();
        let values = steps
            .par_iter()
            .map(|at| {
                progress.check()?;
                Ok(correlation_at(a.view(), b.view(), *at))
            })
            .collect::<Result<Vec<_>, Cancelled>>()?;
        best = (centre, f64::NEG_INFINITY);
        for (at, value) in steps.into_iter().zip(values) {
            if value > best.1 {
                best = (at, value);
            }
        }
    }
    let part = peak(|step| {
        correlation_at(a.view(), b.view(), std::array::from_fn(|axis| best.0[axis] + step[axis]))
    });
    let exact = std::array::from_fn(|axis| best.0[axis] as f64 + part[axis]);
    Ok(Overlap { at: best.0, exact, correlation: best.1.max(-1.0) })
}

/// Where the paraboloid through a maximum and its neighbours has its peak, at most a voxel off along each axis; 0 where it has
/// none. Axes are coupled: what is drawn out aslant has its peak off the axes.
fn peak(value: impl Fn([i64; 3]) -> f64) -> [f64; 3] {
    let at = |steps: &[(usize, i64)]| {
        let mut step = [0; 3];
        steps.iter().for_each(|(axis, by)| step[*axis] += by);
        value(step)
    };
    let middle = at(&[]);
    let mut bend = [[0.0; 3]; 3];
    let mut slope = [0.0; 3];
    for i in 0..3 {
        let (below, above) = (at(&[(i, -1)]), at(&[(i, 1)]));
        slope[i] = 0.5 * (above - below);
        bend[i][i] = above - 2.0 * middle + below;
        for j in 0..i {
            let same = at(&[(i, 1), (j, 1)]) + at(&[(i, -1), (j, -1)]);
            let other = at(&[(i, 1), (j, -1)]) + at(&[(i, -1), (j, 1)]);
            bend[i][j] = 0.25 * (same - other);
            bend[j][i] = bend[i][j];
        }
    }
    let (bends, _) = symmetric_eigen(bend);
    if bends.iter().any(|bend| *bend >= 0.0) {
        return [0.0; 3];
    }
    inverse(bend).map_or([0.0; 3], |inverse| {
        std::array::from_fn(|i| (-(0..3).map(|j| inverse[i][j] * slope[j]).sum::<f64>()).clamp(-1.0, 1.0))
    })
}

/// First voxel in the first, in the second, and number of voxels that both share along one axis.
fn shared_along(n_a: usize, n_b: usize, at: i64) -> (usize, usize, usize) {
    let low = at.max(0);
    let high = at.saturating_add(n_b as i64).min(n_a as i64).max(low);
    (low as usize, low.saturating_sub(at) as usize, (high - low) as usize)
}

/// Voxels that both share where the second begins at voxel `at` of the first.
fn shared(a: (usize, usize, usize), b: (usize, usize, usize), at: [i64; 3]) -> f64 {
    let n = |a, b, at| shared_along(a, b, at).2 as f64;
    n(a.0, b.0, at[0]) * n(a.1, b.1, at[1]) * n(a.2, b.2, at[2])
}

/// Correlation coefficient of what both share where the second begins at voxel `at` of the first; -1 where that is nothing
/// or flat.
pub fn correlation_at(a: ArrayView3<'_, f32>, b: ArrayView3<'_, f32>, at: [i64; 3]) -> f64 {
    let (da, db) = (a.dim(), b.dim());
    let (az, bz, nz) = shared_along(da.0, db.0, at[0]);
    let (ay, by, ny) = shared_along(da.1, db.1, at[1]);
    let (ax, bx, nx) = shared_along(da.2, db.2, at[2]);
    if nz * ny * nx == 0 {
        return -1.0;
    }
    let a = a.slice_move(s![az..az + nz, ay..ay + ny, ax..ax + nx]);
    let b = b.slice_move(s![bz..bz + nz, by..by + ny, bx..bx + nx]);
    let n = a.len() as f64;
    let [mut sa, mut sb, mut saa, mut sbb, mut sab] = [0.0f64; 5];
    Zip::from(&a).and(&b).for_each(|a, b| {
        let (a, b) = (f64::from(*a), f64::from(*b));
        sa += a;
        sb += b;
        saa += a * a;
        sbb += b * b;
        sab += a * b;
    });
    let (va, vb) = (saa - sa * sa / n, sbb - sb * sb / n);
    if va <= 0.0 || vb <= 0.0 { -1.0 } else { (sab - sa * sb / n) / (va * vb).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(z: f64, y: f64, x: f64) -> f32 {
        ((0.31 * z + 0.2 * y).sin() + (0.23 * y - 0.17 * x).cos() + (0.27 * x + 0.1 * z).sin()) as f32
    }

    #[test]
    fn a_part_is_found_in_the_whole_to_a_fraction_of_a_voxel() {
        let whole = Array3::from_shape_fn((50, 60, 70), |(z, y, x)| wave(z as f64, y as f64, x as f64));
        let (dz, dy, dx) = (12.3, 15.0, 20.6);
        let part = Array3::from_shape_fn((20, 25, 30), |(z, y, x)| {
            2.0 * wave(z as f64 + dz, y as f64 + dy, x as f64 + dx) + 5.0
        });
        let found = find_overlap(&Progress::new(), &whole, &part, [10.0, 17.0, 19.0], 6.0).unwrap();
        for (found, expected) in found.exact.iter().zip([dz, dy, dx]) {
            assert!((found - expected).abs() < 0.2, "{found} for {expected}");
        }
        assert!(found.correlation > 0.98);
        let progress = Progress::new();
        progress.cancel();
        assert_eq!(find_overlap(&progress, &whole, &part, [10.0, 17.0, 19.0], 6.0), Err(Cancelled));
    }

    #[test]
    fn what_shares_nothing_or_says_nothing_correlates_with_nothing() {
        let a = Array3::from_shape_fn((8, 8, 8), |(z, y, x)| wave(z as f64, y as f64, x as f64));
        assert_eq!(correlation_at(a.view(), a.view(), [9, 0, 0]), -1.0);
        assert_eq!(correlation_at(a.view(), a.view(), [i64::MAX, i64::MIN, 0]), -1.0);
        assert_eq!(correlation_at(a.view(), Array3::ones((8, 8, 8)).view(), [0; 3]), -1.0);
        assert!((correlation_at(a.view(), a.view(), [0; 3]) - 1.0).abs() < 1e-12);
    }
}
