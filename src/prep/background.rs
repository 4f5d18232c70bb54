//! Air beside the sample: columns at both edges of every view where nothing absorbs.

use ndarray::{Array3, ArrayView2, Axis};
use rayon::prelude::*;

/// Largest absorbance at the edge that can still be air seen by a beam that has changed a little.
const AIR_MOST: f32 = 0.15;

/// Median of values; NaN for none. Reorders them.
pub(super) fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return f32::NAN;
    }
    let middle = values.len() / 2;
    let (_, value, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    *value
}

/// What the edge columns of one view show.
struct Edges {
    left: f32,
    right: f32,
    /// Median absolute deviation within the edges.
    spread: f32,
    inside: f32,
}

fn edges(view: ArrayView2<'_, f32>, width: usize) -> Edges {
    let n = view.ncols();
    let band = |from: usize, to: usize| -> Vec<f32> {
        view.slice(ndarray::s![.., from..to]).iter().copied().collect()
    };
    let (mut left, mut right) = (band(0, width), band(n - width, n));
    let mut inside = band(n / 3, (2 * n / 3).max(n / 3 + 1));
    let (l, r) = (median(&mut left), median(&mut right));
    let mut off: Vec<f32> =
        left.iter().map(|v| (v - l).abs()).chain(right.iter().map(|v| (v - r).abs())).collect();
    Edges { left: l, right: r, spread: median(&mut off), inside: median(&mut inside) }
}

/// The absorbance of the air in each view, if every view shows air at both edges.
///
/// Air is flat, the same on both sides, close to 0 and clearly less than the middle of the view.
pub(super) fn air_level(views: &Array3<f32>) -> Option<Vec<f32>> {
    let n_cols = views.dim().2;
    let width = (n_cols / 64).max(2);
    if n_cols < 8 * width {
        return None;
    }
    let levels: Vec<Option<f32>> = (0..views.dim().0)
        .into_par_iter()
        .map(|index| {
            let e = edges(views.index_axis(Axis(0), index), width);
            let level = 0.5 * (e.left + e.right);
            let even = (e.left - e.right).abs() < 0.02 + 0.5 * e.spread;
            let air = even && level.abs() < AIR_MOST && e.spread < 0.05 && e.inside > level + 0.1;
            air.then_some(level)
        })
        .collect();
    levels.into_iter().collect()
}
