//! Stripes in sinograms: what a column of the detector adds to every view, a ring (at limited tilt an arc) in the volume.
//!
//! By sorting (Vo and others 2018, doi:10.1364/OE.26.028396, algorithm 3): each column of a sinogram is sorted, which takes
//! the sample apart from where it is; sorted columns are smooth across the detector but for those that are wrong, so a
//! median across columns mends them; the values then go back to where they came from.

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use crate::base::{Cancelled, Progress};

/// Takes stripes out of absorbance, shape (views, rows, columns); `width` columns, odd, are what the median goes over.
///
/// # Errors
/// [`Cancelled`], checked once a row.
pub(super) fn remove_stripes(
    progress: &Progress,
    data: &mut Array3<f32>,
    width: usize,
) -> Result<(), Cancelled> {
    let (n_views, n_rows, n_cols) = data.dim();
    if n_views < 2 || n_cols < width {
        return Ok(());
    }
    progress.phase("Removing stripes", n_rows as u64);
    data.axis_iter_mut(Axis(1)).into_par_iter().try_for_each_init(
        || Scratch::new(n_views, n_cols),
        |scratch, mut sinogram| {
            progress.check()?;
            for (x, column) in sinogram.columns().into_iter().enumerate() {
                let order = &mut scratch.order[x * n_views..][..n_views];
                order.iter_mut().enumerate().for_each(|(view, place)| *place = view as u32);
                order.sort_unstable_by(|a, b| {
                    column[*a as usize].total_cmp(&column[*b as usize]).then(a.cmp(b))
                });
                for (rank, view) in order.iter().enumerate() {
                    scratch.sorted[rank * n_cols + x] = column[*view as usize];
                }
            }
            let half = width / 2;
            for rank in 0..n_views {
                let line = &scratch.sorted[rank * n_cols..][..n_cols];
                for x in 0..n_cols {
                    scratch.window.clear();
                    // Beyond the edge the line goes on as its mirror image.
                    scratch.window.extend((0..width).map(|i| {
                        let at = (x + i) as isize - half as isize;
                        let at = if at < 0 { -at - 1 } else { at };
                        let n = n_cols as isize;
                        line[(if at >= n { 2 * n - 1 - at } else { at }) as usize]
                    }));
                    let (_, middle, _) = scratch.window.select_nth_unstable_by(half, f32::total_cmp);
                    let view = scratch.order[x * n_views + rank] as usize;
                    sinogram[[view, x]] = *middle;
                }
            }
            progress.advance(1);
            Ok(())
        },
    )
}

/// Buffers of one thread.
struct Scratch {
    /// Views by rising value, column after column.
    order: Vec<u32>,
    /// Sorted values, rank after rank.
    sorted: Vec<f32>,
    window: Vec<f32>,
}

impl Scratch {
    fn new(n_views: usize, n_cols: usize) -> Self {
        Self { order: vec![0; n_views * n_cols], sorted: vec![0.0; n_views * n_cols], window: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disc off the axis, seen from all sides.
    fn sinogram() -> Array3<f32> {
        Array3::from_shape_fn((90, 2, 64), |(view, _, x)| {
            let centre = 31.5 + 9.0 * (view as f64 * 2.0f64).to_radians().cos();
            (2.0 * (100.0 - (x as f64 - centre).powi(2)).max(0.0).sqrt() * 0.01) as f32
        })
    }

    #[test]
    fn a_striped_column_becomes_like_its_neighbours_and_the_rest_stays() {
        let truth = sinogram();
        let mut striped = truth.clone();
        striped.index_axis_mut(Axis(2), 30).mapv_inplace(|v| v + 0.05);
        let error = |data: &Array3<f32>, x: usize| {
            let (a, b) = (data.index_axis(Axis(2), x), truth.index_axis(Axis(2), x));
            (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / a.len() as f32).sqrt()
        };
        let before = error(&striped, 30);
        remove_stripes(&Progress::new(), &mut striped, 9).unwrap();
        // The median of nine columns is beside the truth by what these differ in their order of values.
        assert!(error(&striped, 30) < 0.45 * before, "{} of {before}", error(&striped, 30));
        // What was right changes by what its neighbours differ.
        assert!(error(&striped, 22) < 0.005, "{}", error(&striped, 22));
    }

    #[test]
    fn few_columns_are_left_alone_and_cancel_is_heard() {
        let mut small = Array3::from_elem((5, 1, 4), 1.0);
        remove_stripes(&Progress::new(), &mut small, 9).unwrap();
        assert!(small.iter().all(|v| *v == 1.0));
        let progress = Progress::new();
        progress.cancel();
        assert!(remove_stripes(&progress, &mut sinogram(), 9).is_err());
    }
}
