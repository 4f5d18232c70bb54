//! Bilateral filter: means over neighbours that are near in place and in value.
//!
//! `u(p) = Σ_q w v(q) / Σ_q w`, `w = exp(-|p - q|² / 2σ²) exp(-(v(q) - v(p))² / 2ρ²)`, over the cube of
//! `r = ceil(2.5 σ)` voxels (Tomasi and Manduchi 1998, doi:10.1109/ICCV.1998.710815). What is NaN has no weight and stays.
//! Volumes are mirrored at their faces. Cost: `(2r + 1)³` exponentials a voxel, in vectors along x; memory: the result.

use ndarray::{Array3, ArrayView3, s};
use rayon::prelude::*;

use super::exponential::exp;
use super::{mirrored, padded_row};
use crate::base::{Cancelled, Progress};

/// Where the Gaussian is cut, in standard deviations.
const TRUNCATE: f32 = 2.5;

/// Smooths `array` with σ in voxels (z, y, x), by values no further apart than about ρ, in the unit of the volume.
///
/// # Errors
/// [`Cancelled`], checked once per row.
pub fn bilateral(
    progress: &Progress,
    array: &ArrayView3<'_, f32>,
    sigma: [f32; 3],
    rho: f32,
) -> Result<Array3<f32>, Cancelled> {
    let (nz, ny, nx) = array.dim();
    progress.phase("Bilateral filter", (nz * ny) as u64);
    progress.check()?;
    let mut out = Array3::zeros((nz, ny, nx));
    let values = out.as_slice_mut().unwrap_or(&mut []);
    let radii = sigma.map(|sigma| (TRUNCATE * sigma).ceil() as usize);
    let minus = -0.5 / (rho * rho).max(f32::MIN_POSITIVE);
    values.par_chunks_mut(nx.max(1)).enumerate().try_for_each_init(
        || (vec![0.0; nx + 2 * radii[2]], vec![0.0; nx], vec![0.0; nx]),
        |(padded, centre, weights), (line, out)| {
            progress.check()?;
            let (z, y) = (line / ny, line % ny);
            centre.iter_mut().zip(array.slice(s![z, y, ..])).for_each(|(to, from)| *to = *from);
            weights.fill(0.0);
            for dz in 0..=2 * radii[0] {
                for dy in 0..=2 * radii[1] {
                    let zz = mirrored((z + dz) as isize - radii[0] as isize, nz);
                    let yy = mirrored((y + dy) as isize - radii[1] as isize, ny);
                    padded_row(&array.slice(s![zz, yy, ..]), radii[2], padded);
                    let far = share(dz, radii[0], sigma[0]) + share(dy, radii[1], sigma[1]);
                    pulp::Arch::new().dispatch(|| {
                        for dx in 0..=2 * radii[2] {
                            let place = exp(far + share(dx, radii[2], sigma[2]));
                            add(out, weights, centre, &padded[dx..dx + nx], [place, minus]);
                        }
                    });
                }
            }
            for ((out, weight), centre) in out.iter_mut().zip(weights).zip(centre) {
                *out = if centre.is_nan() { *centre } else { *out / *weight };
            }
            progress.advance(1);
            Ok(())
        },
    )?;
    Ok(out)
}

/// The exponent that a step along one axis adds.
#[inline(always)]
fn share(step: usize, radius: usize, sigma: f32) -> f32 {
    let distance = step as f32 - radius as f32;
    if distance == 0.0 { 0.0 } else { -0.5 * (distance / sigma).powi(2) }
}

/// Adds a row of neighbours with their weights.
#[inline(always)]
fn add(out: &mut [f32], weights: &mut [f32], centre: &[f32], row: &[f32], [place, minus]: [f32; 2]) {
    for (((out, weight), centre), value) in out.iter_mut().zip(weights).zip(centre).zip(row) {
        let apart = value - centre;
        let w = place * exp(apart * apart * minus);
        // Comparisons with NaN are false.
        let counts = apart * apart >= 0.0;
        *out += if counts { w * value } else { 0.0 };
        *weight += if counts { w } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::noise;
    use super::*;

    #[test]
    fn every_value_is_the_weighted_mean_in_f64() {
        let mut array = noise([5, 6, 9]);
        array[[2, 3, 4]] = f32::NAN;
        let (sigma, rho) = ([0.8f32, 1.0, 0.6], 0.3f32);
        let found = bilateral(&Progress::new(), &array.view(), sigma, rho).unwrap();
        let (nz, ny, nx) = array.dim();
        for ((z, y, x), value) in found.indexed_iter() {
            let centre = f64::from(array[[z, y, x]]);
            let (mut sum, mut weights) = (0.0, 0.0);
            for dz in -2isize..=2 {
                for dy in -3isize..=3 {
                    for dx in -2isize..=2 {
                        let at = |i: usize, d: isize, n: usize| mirrored(i as isize + d, n);
                        let v = f64::from(array[[at(z, dz, nz), at(y, dy, ny), at(x, dx, nx)]]);
                        let part = |d: isize, s: f32| (d as f64 / f64::from(s)).powi(2);
                        let far = part(dz, sigma[0]) + part(dy, sigma[1]) + part(dx, sigma[2]);
                        let w = (-0.5 * (far + ((v - centre) / f64::from(rho)).powi(2))).exp();
                        if v.is_finite() {
                            (sum, weights) = (sum + w * v, weights + w);
                        }
                    }
                }
            }
            // Weights to 4e-6, sums of some hundred f32 values of about 1.
            assert!(centre.is_nan() == value.is_nan(), "{z} {y} {x}");
            assert!(centre.is_nan() || (f64::from(*value) - sum / weights).abs() < 2e-5, "{z} {y} {x}");
        }
    }

    #[test]
    fn a_step_much_higher_than_rho_stays() {
        let array = Array3::from_shape_fn((6, 6, 12), |(_, _, x)| if x < 6 { 0.2 } else { 0.8f32 });
        let found = bilateral(&Progress::new(), &array.view(), [1.0; 3], 0.05).unwrap();
        assert!(found.iter().zip(&array).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
