//! How noisy the views are, and the sample of rows from which that and other choices for the whole are made.
//!
//! A choice that holds for all rows is made from sixteen rows spread over the whole height, whichever rows are wanted:
//! so a range of rows gets the same choice as the whole. The noise of a row is read from third differences along it,
//! which smooth structure hardly enters, and their median, which edges hardly move. Photon noise has the
//! variance `k exp(a)` at absorbance a; k is found for each view.

use rayon::prelude::*;

use super::input::Input;
use crate::base::{Cancelled, Progress};
use crate::kernels::lanes::{LANES, LanePlane};
use crate::kernels::projector::SlabProjector;

/// Median of the square of a standard normal deviate.
const CHI_SQUARE_MEDIAN: f32 = 0.454_94;
/// Sum of the squares of 1, -3, 3, -1.
const THIRD_DIFFERENCE: f32 = 20.0;
/// Noise is never taken to be less than this share of the root mean square of the data.
const LEAST: f32 = 1e-4;

/// Sixteen rows spread over the height of a series.
pub(super) struct Pilot {
    /// Which they are, one a lane.
    pub(super) rows: [Option<usize>; LANES],
    /// What all views measured there.
    pub(super) measured: LanePlane,
    /// Variance of each view where nothing absorbs.
    variance: Vec<f32>,
}

impl Pilot {
    /// Reads the rows and finds the noise.
    pub(super) fn new(
        progress: &Progress,
        input: &Input<'_>,
        projector: &SlabProjector,
    ) -> Result<Self, Cancelled> {
        let n_rows = input.n_rows();
        let rows = std::array::from_fn(|lane| {
            if n_rows <= LANES {
                Some(lane).filter(|row| *row < n_rows)
            } else {
                Some((2 * lane + 1) * n_rows / (2 * LANES))
            }
        });
        let views: Vec<usize> = (0..input.n_views()).collect();
        let mut measured = projector.new_sinogram();
        input.fill(
            progress,
            &rows,
            &views,
            &mut measured,
            || (),
            |_, row, line, ()| line.copy_from_slice(row),
        )?;
        let power: f64 = measured.sums(&measured, |_, _, a, b| a * b).iter().sum();
        let n = (rows.iter().flatten().count() * measured.line_len() * views.len()).max(1);
        let least = (power / n as f64) as f32 * LEAST * LEAST;
        let variance = views.par_iter().map(|&view| variance(&measured, view, &rows).max(least)).collect();
        Ok(Self { rows, measured, variance })
    }

    /// Variance of a ray of a view that measured the absorbance `a`.
    pub(super) fn variance(&self, view: usize, a: f32) -> f32 {
        self.variance[view] * a.clamp(0.0, 12.0).exp()
    }

    /// Standard deviation of the absorbance where nothing absorbs, the median of the views.
    pub(super) fn sigma(&self) -> f64 {
        let mut sorted = self.variance.clone();
        sorted.sort_by(f32::total_cmp);
        f64::from(sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)).sqrt()
    }
}

/// Variance of one view at no absorbance.
fn variance(measured: &LanePlane, view: usize, rows: &[Option<usize>; LANES]) -> f32 {
    let line = measured.line(view);
    let mut squares = Vec::with_capacity(line.len() * LANES);
    for four in line.windows(4) {
        for lane in (0..LANES).filter(|lane| rows[*lane].is_some()) {
            let [a, b, c, d] = [four[0].0[lane], four[1].0[lane], four[2].0[lane], four[3].0[lane]];
            let difference = (d - a) - 3.0 * (c - b);
            let level = (0.25 * (a + b + c + d)).clamp(0.0, 12.0);
            squares.push(difference * difference * (-level).exp());
        }
    }
    if squares.is_empty() {
        return 0.0;
    }
    let middle = squares.len() / 2;
    let (_, median, _) = squares.select_nth_unstable_by(middle, f32::total_cmp);
    *median / CHI_SQUARE_MEDIAN / THIRD_DIFFERENCE
}
