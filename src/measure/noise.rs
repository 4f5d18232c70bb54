//! Noise of a reconstruction from its two halves.
//!
//! What the halves do not share is noise: the volume of all views is near their mean, whose variance is a quarter of
//! that of their difference. The local mean of the squared difference is taken with a Gaussian.

use ndarray::{Array3, Zip};
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress};
use crate::kernels::smooth::gaussian;
use crate::volume::Volume;

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseParams {
    /// Standard deviation of the Gaussian that squares are averaged with, in voxels, 0.5 to 32.
    pub sigma_voxels: f32,
}

impl Default for NoiseParams {
    fn default() -> Self {
        Self { sigma_voxels: 3.0 }
    }
}

/// Why there is no noise map.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Volumes of other shapes.
    #[error(
        "the volumes are {a:?} and {b:?} voxels (z, y, x): they must be halves of the same reconstruction"
    )]
    Shapes {
        /// Of the first.
        a: [usize; 3],
        /// Of the second.
        b: [usize; 3],
    },
    /// The same volume twice.
    #[error("both volumes are the same: give reconstructions from different views")]
    Same,
    /// A width outside its range.
    #[error("sigma_voxels is {0}, it must lie in 0.5..=32")]
    Sigma(f32),
}

/// Standard deviation of the noise around every voxel, in the unit and on the grid of the halves.
///
/// Where a half is no finite number the difference counts as none.
///
/// # Errors
/// [`NoiseError`].
pub fn noise_map(
    progress: &Progress,
    even: &Volume<f32>,
    odd: &Volume<f32>,
    params: &NoiseParams,
) -> Result<Volume<f32>, NoiseError> {
    let sigma = params.sigma_voxels;
    if !(0.5..=32.0).contains(&sigma) {
        return Err(NoiseError::Sigma(sigma));
    }
    if even.shape() != odd.shape() {
        return Err(NoiseError::Shapes { a: even.shape(), b: odd.shape() });
    }
    if even.data == odd.data {
        return Err(NoiseError::Same);
    }
    progress.phase("Noise map", even.shape()[0] as u64);
    let mut squares: Array3<f32> = Array3::zeros(even.data.raw_dim());
    Zip::from(&mut squares).and(&even.data).and(&odd.data).par_for_each(|square, a, b| {
        let half = 0.5 * (a - b);
        *square = if half.is_finite() { half * half } else { 0.0 };
    });
    progress.check()?;
    let mut map = gaussian(progress, squares.view(), [sigma; 3])?;
    map.par_mapv_inplace(|variance| variance.max(0.0).sqrt());
    Ok(even.with_data(map, even.unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Unit;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, StandardNormal};

    #[test]
    fn the_map_is_the_noise_of_the_mean_of_the_halves_where_it_is() {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(5);
        let sd = |x: usize| if x < 20 { 0.1f32 } else { 0.3 };
        let mut half = || {
            let data = Array3::from_shape_fn((40, 40, 40), |(z, _, x)| {
                let noise: f32 = StandardNormal.sample(&mut rng);
                (z as f32).sin() + sd(x) * noise
            });
            Volume::new(data, Some([0.02; 3]), Unit::PerUm)
        };
        let (even, odd) = (half(), half());
        let map = noise_map(&Progress::new(), &even, &odd, &NoiseParams::default()).unwrap();
        assert_eq!((map.unit, map.voxel_um), (Unit::PerUm, Some([0.02; 3])));
        for x in [6, 33] {
            let mean = map.data.index_axis(ndarray::Axis(2), x).mean().unwrap();
            // The mean of two halves has 1/√2 of the noise of one; 1600 columns of some hundred voxels each.
            let expected = sd(x) / 2f32.sqrt();
            assert!((mean / expected - 1.0).abs() < 0.05, "{mean} for {expected} at {x}");
        }
        let refused =
            |other: &Volume<f32>| noise_map(&Progress::new(), &even, other, &NoiseParams::default());
        assert_eq!(refused(&even), Err(NoiseError::Same));
        let small = Volume::new(Array3::zeros((4, 4, 4)), None, Unit::PerUm);
        assert!(matches!(refused(&small), Err(NoiseError::Shapes { .. })));
    }
}
