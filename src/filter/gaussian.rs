//! Gaussian smoothing that leaves out what is NaN, and the sharpening that comes of it.
//!
//! Without NaN it is [`smooth::gaussian`]. With NaN, values and their weights (1, or 0 where NaN) are smoothed alike and
//! divided: means over what is known (Knutsson and Westin 1993, normalized convolution). What is NaN stays. Unsharp masking
//! adds what smoothing takes away: `u = v + amount (v - G v)`. Memory: the result; with NaN three volumes more.

use ndarray::{Array3, ArrayView3, Zip};

use crate::base::{Cancelled, Progress};
use crate::kernels::smooth;

/// Smoothed with σ in voxels (z, y, x).
///
/// # Errors
/// [`Cancelled`], checked once per slice.
pub fn gaussian(
    progress: &Progress,
    array: &ArrayView3<'_, f32>,
    sigma: [f32; 3],
) -> Result<Array3<f32>, Cancelled> {
    progress.phase("Gaussian", array.dim().0 as u64);
    progress.check()?;
    if !array.iter().any(|value| value.is_nan()) {
        return smooth::gaussian(progress, array.view(), sigma);
    }
    progress.phase("Gaussian", 2 * array.dim().0 as u64);
    let known = array.mapv(|value| if value.is_nan() { 0.0 } else { value });
    let mut out = smooth::gaussian(progress, known.view(), sigma)?;
    drop(known);
    let weights = array.mapv(|value| if value.is_nan() { 0.0 } else { 1.0f32 });
    let weights = smooth::gaussian(progress, weights.view(), sigma)?;
    Zip::from(&mut out).and(array).and(&weights).par_for_each(|out, value, weight| {
        *out = if value.is_nan() { *value } else { *out / weight };
    });
    Ok(out)
}

/// Sharpened by `amount` times what a Gaussian of σ takes away.
///
/// # Errors
/// [`Cancelled`].
pub fn unsharp(
    progress: &Progress,
    array: &ArrayView3<'_, f32>,
    sigma: [f32; 3],
    amount: f32,
) -> Result<Array3<f32>, Cancelled> {
    let mut out = gaussian(progress, array, sigma)?;
    Zip::from(&mut out).and(array).par_for_each(|out, value| *out = value + amount * (value - *out));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::{mirrored, tests::noise};
    use super::*;

    #[test]
    fn values_are_weighted_means_of_what_is_known_in_f64() {
        let mut array = noise([5, 9, 11]);
        array[[2, 4, 5]] = f32::NAN;
        array[[0, 0, 0]] = f32::NAN;
        let sigma = [0.7f32, 1.0, 1.3];
        let found = gaussian(&Progress::new(), &array.view(), sigma).unwrap();
        let (nz, ny, nx) = array.dim();
        let reach = sigma.map(|sigma| (smooth::TRUNCATE * sigma).ceil() as isize);
        let weight = |d: isize, axis: usize| (-0.5 * (d as f64 / f64::from(sigma[axis])).powi(2)).exp();
        for ((z, y, x), value) in found.indexed_iter().filter(|((z, y, x), _)| (z + y + x) % 3 == 0) {
            let (mut sum, mut weights) = (0.0, 0.0);
            for dz in -reach[0]..=reach[0] {
                for dy in -reach[1]..=reach[1] {
                    for dx in -reach[2]..=reach[2] {
                        let at = |i: usize, d: isize, n: usize| mirrored(i as isize + d, n);
                        let v = f64::from(array[[at(z, dz, nz), at(y, dy, ny), at(x, dx, nx)]]);
                        let w = weight(dz, 0) * weight(dy, 1) * weight(dx, 2);
                        if !v.is_nan() {
                            (sum, weights) = (sum + w * v, weights + w);
                        }
                    }
                }
            }
            let is_nan = array[[z, y, x]].is_nan();
            // Three passes of f32 sums of some ten values of about 1.
            assert!(
                is_nan && value.is_nan() || (f64::from(*value) - sum / weights).abs() < 3e-6,
                "{z} {y} {x}"
            );
        }
    }

    #[test]
    fn unsharp_adds_what_smoothing_takes_and_keeps_the_mean_of_even_parts() {
        let array = Array3::from_shape_fn((5, 5, 20), |(_, _, x)| if x < 10 { 0.2 } else { 0.6f32 });
        let found = unsharp(&Progress::new(), &array.view(), [1.0; 3], 1.0).unwrap();
        assert!((found[[2, 2, 0]] - 0.2).abs() < 1e-6 && (found[[2, 2, 19]] - 0.6).abs() < 1e-6);
        assert!(found[[2, 2, 9]] < 0.1 && found[[2, 2, 10]] > 0.7);
    }
}
