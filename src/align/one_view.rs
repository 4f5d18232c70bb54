//! Where one new view lies, found against what it should look like: for scans that are still being taken.
//!
//! The expectation is the reprojection of the volume so far or, while that holds few views, the nearest view squeezed
//! by the ratio of the cosines of their tilts. Binned coarse to fine, each step the least squares fit of
//! projection matching.

use ndarray::{Array2, Array3, ArrayView2, Axis};

use super::level::Level;
use super::matching::{Fit, fit};
use super::neighbours::stretched;
use crate::base::{Cancelled, Progress};
use crate::volume::TiltSeries;

/// Steps at each binning, at most.
const STEPS: usize = 6;
/// Pixels of the coarsest binning that are tried to all sides.
const REACH: i32 = 5;
/// Beyond this tilt in degrees the ratio of cosines says nothing.
const STEEPEST_DEG: f64 = 75.0;
/// A view is not moved farther than this share of its sides.
const FARTHEST: f64 = 0.25;

/// Where a view lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    /// How far its content has moved, as (y, x), in unbinned pixels.
    pub shift_yx_px: [f64; 2],
    /// Correlation of the view, moved back, with what was expected, -1 to 1.
    pub correlation: f64,
}

fn level_of(progress: &Progress, view: ArrayView2<'_, f32>, bin: usize) -> Result<Level, Cancelled> {
    let data: Array3<f32> = view.to_owned().insert_axis(Axis(0));
    let series = TiltSeries { data, angles_deg: vec![0.0], pixel_um: None, energy_ev: None };
    Level::new(progress, &series, bin)
}

/// Finds where `view` lies, both shape (rows, columns); `start_yx_px` is where the last view lay.
///
/// What is found is kept only where it fits better than the start.
///
/// # Errors
/// [`Cancelled`] if the owner cancelled.
pub fn place_view(
    progress: &Progress,
    view: ArrayView2<'_, f32>,
    expected: ArrayView2<'_, f32>,
    start_yx_px: [f64; 2],
) -> Result<Placed, Cancelled> {
    let (n_rows, n_cols) = view.dim();
    let start = Placed { shift_yx_px: start_yx_px, correlation: 0.0 };
    if n_cols < 16 || n_rows == 0 || expected.dim() != view.dim() {
        return Ok(start);
    }
    let finest = n_cols.div_ceil(512).max(1);
    let bins: Vec<usize> =
        [8, 4, 2, 1].into_iter().map(|b| b * finest).filter(|b| n_cols / b >= 32).collect();
    let mut shift = start_yx_px;
    let mut before = None;
    let mut last = Fit::default();
    for (level, bin) in bins.into_iter().enumerate() {
        let (seen, made) = (level_of(progress, view, bin)?, level_of(progress, expected, bin)?);
        let made = made.views.index_axis(Axis(0), 0);
        let window = window(made.dim());
        let look = |shift: [f64; 2]| fit(seen.moved(0, shift.map(|s| s / bin as f64)), made, &window);
        if level == 0 {
            // A stage that has jumped is beyond what a fit to first order sees: try whole pixels all around.
            let around = |px: f64, limit: f64| {
                (-REACH..=REACH)
                    .map(move |d| px + f64::from(d) * bin as f64)
                    .filter(move |s| s.abs() <= limit)
            };
            let limit = [n_rows as f64 * FARTHEST, n_cols as f64 * FARTHEST];
            let mut best = (look(shift).correlation, shift);
            for y in around(shift[0], limit[0]) {
                progress.check()?;
                for x in around(shift[1], limit[1]) {
                    let correlation = look([y, x]).correlation;
                    if correlation > best.0 {
                        best = (correlation, [y, x]);
                    }
                }
            }
            shift = best.1;
        }
        for _ in 0..STEPS {
            progress.check()?;
            let found = look(shift);
            let limit = [n_rows as f64 * FARTHEST, n_cols as f64 * FARTHEST];
            for (axis, shift) in shift.iter_mut().enumerate() {
                *shift = (*shift + found.offset[axis] * bin as f64).clamp(-limit[axis], limit[axis]);
            }
            if found.offset[0].hypot(found.offset[1]) < 0.02 {
                break;
            }
        }
        last = look(shift);
        before = Some(look(start_yx_px).correlation);
    }
    Ok(match before {
        Some(before) if last.correlation > before => {
            Placed { shift_yx_px: shift, correlation: last.correlation }
        }
        Some(before) => Placed { correlation: before, ..start },
        None => start,
    })
}

/// Weights that fall towards the edges, where content has come and gone.
fn window((n_rows, n_cols): (usize, usize)) -> Array2<f32> {
    let taper = |i: usize, n: usize| {
        let depth = (i as f32 + 0.5).min(n as f32 - 0.5 - i as f32) / (0.15 * n as f32).max(0.5);
        let t = depth.clamp(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    };
    Array2::from_shape_fn((n_rows, n_cols), |(y, x)| taper(y, n_rows) * taper(x, n_cols))
}

/// How a view at one tilt, moved back by its shift, should look at another: squeezed or stretched across the axis.
///
/// # Errors
/// [`Cancelled`] if the owner cancelled.
pub fn as_seen_at(
    progress: &Progress,
    view: ArrayView2<'_, f32>,
    shift_yx_px: [f64; 2],
    from_deg: f64,
    to_deg: f64,
) -> Result<Array2<f32>, Cancelled> {
    let moved = level_of(progress, view, 1)?.moved(0, shift_yx_px);
    if from_deg.abs().max(to_deg.abs()) > STEEPEST_DEG {
        return Ok(moved);
    }
    Ok(stretched(&moved, from_deg.to_radians().cos() / to_deg.to_radians().cos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs(dy: f64, dx: f64) -> Array2<f32> {
        let spots =
            [(20.0, 30.0, 4.0), (40.0, 70.0, 6.0), (60.0, 45.0, 5.0), (30.0, 90.0, 3.0), (70.0, 100.0, 4.0)];
        Array2::from_shape_fn((96, 128), |(y, x)| {
            spots
                .iter()
                .map(|(sy, sx, r): &(f64, f64, f64)| {
                    let d2 = (y as f64 - sy - dy).powi(2) + (x as f64 - sx - dx).powi(2);
                    (-d2 / (2.0 * r * r)).exp()
                })
                .sum::<f64>() as f32
        })
    }

    #[test]
    fn a_view_is_found_to_hundredths_of_a_pixel_from_far_off() {
        for (dy, dx) in [(0.0, 0.0), (3.3, -2.4), (-9.6, 11.2)] {
            let found =
                place_view(&Progress::new(), blobs(dy, dx).view(), blobs(0.0, 0.0).view(), [0.0; 2]).unwrap();
            let [y, x] = found.shift_yx_px;
            // Without noise only the interpolation is left.
            assert!((y - dy).abs() < 0.05 && (x - dx).abs() < 0.05, "{found:?} for {dy}, {dx}");
            assert!(found.correlation > 0.99);
        }
    }

    #[test]
    fn where_nothing_fits_the_start_stays() {
        let empty = Array2::zeros((96, 128));
        let found = place_view(&Progress::new(), empty.view(), blobs(0.0, 0.0).view(), [1.0, 2.0]).unwrap();
        assert_eq!(found.shift_yx_px, [1.0, 2.0]);
        let tiny = Array2::zeros((4, 4));
        assert_eq!(
            place_view(&Progress::new(), tiny.view(), tiny.view(), [0.5, 0.0]).unwrap().shift_yx_px,
            [0.5, 0.0]
        );
        let cancelled = Progress::new();
        cancelled.cancel();
        assert!(place_view(&cancelled, blobs(1.0, 0.0).view(), blobs(0.0, 0.0).view(), [0.0; 2]).is_err());
    }

    #[test]
    fn a_steeper_view_is_narrower() {
        let flat = blobs(0.0, 0.0);
        let steep = as_seen_at(&Progress::new(), flat.view(), [0.0; 2], 0.0, 60.0).unwrap();
        // A spot 36.5 columns right of the middle comes to 18.25 at cos 60° = 1/2.
        let row: Vec<f32> = steep.row(70).to_vec();
        let peak = (64..128).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
        assert!((peak as f64 - (63.5 + 18.25)).abs() <= 1.0, "{peak}");
    }
}
