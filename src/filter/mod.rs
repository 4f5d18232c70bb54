//! Filters: a volume in, a volume on the same grid out.
//!
//! Every filter leaves NaN where it is and takes nothing from it, mirrors volumes at their faces, works in pieces that do not
//! depend on the number of threads, and can be held to a mask: what lies outside is as it was.

pub mod bilateral;
pub mod calculate;
pub mod diffusion;
mod exponential;
pub mod gaussian;
pub mod median;
pub mod noise;
pub mod nonlocal;
pub mod rescale;

use ndarray::{Array3, ArrayView1, ArrayView3, Zip};
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress};
use nonlocal::NonLocal;

/// How a volume is filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterMethod {
    /// Smoothing by a Gaussian.
    #[default]
    Gaussian,
    /// Median of a cube.
    Median,
    /// Sharpening by what a Gaussian takes away.
    Unsharp,
    /// Means over what is near in place and value.
    Bilateral,
    /// Means over what looks alike.
    NonLocalMeans,
    /// Diffusion that stops at edges.
    Diffusion,
}

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterParams {
    /// How.
    pub method: FilterMethod,
    /// Standard deviation of the Gaussian in voxels.
    pub sigma: f32,
    /// The same in nm, in place of voxels.
    pub sigma_nm: Option<f64>,
    /// Radius of the cube of a median in voxels.
    pub radius: u32,
    /// How much is added by sharpening.
    pub amount: f32,
    /// Noise in the unit of the volume; measured where absent.
    pub noise: Option<f64>,
    /// Differences that are smoothed away, in standard deviations of the noise.
    pub strength: f32,
    /// Radius of the cubes that non-local means compare.
    pub patch: u32,
    /// How far non-local means look.
    pub search: u32,
    /// Steps of diffusion.
    pub steps: u32,
}

impl Default for FilterParams {
    fn default() -> Self {
        Self {
            method: FilterMethod::default(),
            sigma: 1.0,
            sigma_nm: None,
            radius: 1,
            amount: 1.0,
            noise: None,
            strength: 1.0,
            patch: 1,
            search: 5,
            steps: 10,
        }
    }
}

/// Why nothing is filtered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
#[non_exhaustive]
pub enum FilterError {
    #[error(
        "the voxel size is unknown, so {0} nm are no number of voxels: give --sigma in voxels, or set the voxel size first (rescale)"
    )]
    NoSize(f64),
    #[error(
        "a standard deviation of {0:.3} voxels is too wide for this filter: at most {1}; bin the volume first"
    )]
    Wide(f32, f32),
    #[error("the volume shows no noise to measure: give --noise in its unit")]
    NoNoise,
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl FilterMethod {
    /// Whether it goes by the noise.
    pub fn needs_noise(self) -> bool {
        matches!(self, Self::Bilateral | Self::NonLocalMeans | Self::Diffusion)
    }
}

impl FilterParams {
    /// Standard deviation in voxels along z, y, x.
    ///
    /// # Errors
    /// [`FilterError`] where nm are given and no voxel size is known, or it is too wide.
    pub fn sigma_voxels(&self, voxel_um: Option<[f64; 3]>) -> Result<[f32; 3], FilterError> {
        let sigma = match (self.sigma_nm, voxel_um) {
            (None, _) => [self.sigma; 3],
            (Some(nm), None) => return Err(FilterError::NoSize(nm)),
            (Some(nm), Some(voxel)) => voxel.map(|um| (nm * 1e-3 / um) as f32),
        };
        let most = if self.method == FilterMethod::Bilateral { 5.0 } else { 100.0 };
        match sigma.into_iter().find(|sigma| *sigma > most) {
            Some(sigma) => Err(FilterError::Wide(sigma, most)),
            None => Ok(sigma),
        }
    }

    fn non_local(&self, noise: f32) -> NonLocal {
        let (patch, search) = (self.patch as usize, self.search as usize);
        NonLocal { patch, search, noise, width: self.strength * noise }
    }

    /// Bytes that the work takes with so many threads, the result included.
    pub fn bytes(&self, shape: [usize; 3], threads: usize) -> u64 {
        let n = 4 * shape.iter().map(|n| *n as u64).product::<u64>();
        match self.method {
            // Where there are NaN, values and weights beside the result.
            FilterMethod::Gaussian | FilterMethod::Unsharp => 3 * n,
            FilterMethod::Median | FilterMethod::Bilateral => n,
            FilterMethod::Diffusion => 2 * n,
            FilterMethod::NonLocalMeans => n + threads as u64 * self.non_local(1.0).bytes(shape),
        }
    }
}

/// A filtered volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Filtered {
    /// Its values.
    pub values: Array3<f32>,
    /// The noise that the filter went by, where it did.
    pub noise: Option<f64>,
}

/// Filters a volume.
///
/// # Errors
/// [`FilterError`].
pub fn filter(
    progress: &Progress,
    array: &ArrayView3<'_, f32>,
    voxel_um: Option<[f64; 3]>,
    params: &FilterParams,
) -> Result<Filtered, FilterError> {
    let sigma = params.sigma_voxels(voxel_um)?;
    let noise = match (params.method.needs_noise(), params.noise) {
        (false, _) => None,
        (true, Some(noise)) => Some(noise as f32),
        (true, None) => Some(noise::noise_sd(progress, array)?),
    };
    if noise.is_some_and(|noise| noise <= 0.0) {
        return Err(FilterError::NoNoise);
    }
    let sd = noise.unwrap_or(0.0);
    let values = match params.method {
        FilterMethod::Gaussian => gaussian::gaussian(progress, array, sigma)?,
        FilterMethod::Unsharp => gaussian::unsharp(progress, array, sigma, params.amount)?,
        FilterMethod::Median => median::median(progress, array, params.radius as usize)?,
        FilterMethod::Bilateral => bilateral::bilateral(progress, array, sigma, 2.0 * params.strength * sd)?,
        FilterMethod::NonLocalMeans => nonlocal::non_local_means(progress, array, &params.non_local(sd))?,
        FilterMethod::Diffusion => {
            diffusion::diffusion(progress, array, 2.0 * params.strength * sd, params.steps as usize)?
        }
    };
    Ok(Filtered { values, noise: noise.map(f64::from) })
}

/// Puts back what lies outside a mask.
pub fn held_to_mask(filtered: &mut Array3<f32>, array: &ArrayView3<'_, f32>, mask: &ArrayView3<'_, u16>) {
    Zip::from(filtered).and(array).and(mask).par_for_each(|out, value, id| {
        *out = if *id == 0 { *value } else { *out };
    });
}

/// Index mirrored into `0..n`, the face voxel repeated.
#[inline]
fn mirrored(index: isize, n: usize) -> usize {
    let n = n as isize;
    let folded = index.rem_euclid(2 * n);
    (if folded < n { folded } else { 2 * n - 1 - folded }) as usize
}

/// A row with `pad` voxels more at both ends.
fn padded_row(row: &ArrayView1<'_, f32>, pad: usize, out: &mut [f32]) {
    let n = row.len();
    for (to, from) in out[pad..].iter_mut().zip(row) {
        *to = *from;
    }
    for k in 1..=pad {
        out[pad - k] = row[mirrored(-(k as isize), n)];
        out[pad + n - 1 + k] = row[mirrored((n - 1 + k) as isize, n)];
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, StandardNormal};

    use super::*;

    /// Normal deviates.
    pub(super) fn noise(shape: [usize; 3]) -> Array3<f32> {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(7);
        Array3::from_shape_simple_fn(shape, || StandardNormal.sample(&mut rng))
    }

    const METHODS: [FilterMethod; 6] = [
        FilterMethod::Gaussian,
        FilterMethod::Median,
        FilterMethod::Unsharp,
        FilterMethod::Bilateral,
        FilterMethod::NonLocalMeans,
        FilterMethod::Diffusion,
    ];

    fn params(method: FilterMethod) -> FilterParams {
        FilterParams { method, search: 2, ..FilterParams::default() }
    }

    #[test]
    fn every_filter_but_the_sharpening_lowers_noise_and_none_moves_the_mean() {
        let array = noise([20, 20, 24]).mapv(|v| 0.3 + 0.05 * v);
        for method in METHODS {
            let found = filter(&Progress::new(), &array.view(), None, &params(method)).unwrap();
            let (before, after) = (array.std(0.0), found.values.std(0.0));
            assert!(
                if method == FilterMethod::Unsharp { after > before } else { after < 0.7 * before },
                "{method:?}"
            );
            // The mean of 9600 values with a noise of 0.05 is good to 0.0005; a median's noise is a quarter more.
            let moved = found.values.mean().unwrap() - array.mean().unwrap();
            assert!(moved.abs() < 1e-3, "{method:?}: {moved}");
            assert!(found.noise.is_none_or(|noise| (noise / 0.05 - 1.0).abs() < 0.1), "{:?}", found.noise);
        }
    }

    #[test]
    fn nan_stays_where_it_is_and_spreads_nowhere() {
        let mut array = noise([9, 10, 19]);
        array.slice_mut(ndarray::s![.., .., ..3]).fill(f32::NAN);
        for method in METHODS {
            let found = filter(&Progress::new(), &array.view(), None, &params(method)).unwrap().values;
            assert!(found.indexed_iter().all(|((_, _, x), v)| v.is_nan() == (x < 3)), "{method:?}");
        }
    }

    #[test]
    fn lengths_in_nm_need_a_voxel_size_and_have_a_limit() {
        let nm = FilterParams { sigma_nm: Some(40.0), ..FilterParams::default() };
        assert_eq!(nm.sigma_voxels(Some([0.04, 0.02, 0.01])), Ok([1.0, 2.0, 4.0]));
        assert!(nm.sigma_voxels(None).unwrap_err().to_string().contains("40 nm"));
        let wide = FilterParams { sigma: 6.0, ..params(FilterMethod::Bilateral) };
        assert_eq!(wide.sigma_voxels(None), Err(FilterError::Wide(6.0, 5.0)));
        let flat = Array3::from_elem((8, 8, 8), 1.0f32);
        let found = filter(&Progress::new(), &flat.view(), None, &params(FilterMethod::NonLocalMeans));
        assert_eq!(found, Err(FilterError::NoNoise));
    }
}
