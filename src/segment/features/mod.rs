//! Features of regions: what a classifier knows of each.
//!
//! The families are those of ilastik (Gaussian smoothing, Laplacian of Gaussian, gradient magnitude,
//! difference of Gaussians, eigenvalues of the Hessian and of the structure tensor), and with them statistics
//! of the values in the region, of its neighbours, and an edge-preserving mean over the region graph.
//!
//! - **Fine scales** (σ of about one region edge and less): a slab of slices is smoothed with a halo of one
//!   slice, derivatives are central differences on the smoothed slices, and every voxel's values are added to
//!   its region at once. No volume of features exists at any time. The structure tensor's outer window is the
//!   region itself, and the Hessian is the region's mean Hessian; both are diagonalised once per region.
//! - **Coarse scales**: smoothed on halved volumes (an eighth of the voxels per halving), derivatives are taken
//!   at the region's centre with trilinear interpolation.
//! - **Graph**: contact-weighted mean, least and greatest value of the neighbours, and means over the region
//!   graph that stop at edges (a bilateral filter, Tomasi and Manduchi, ICCV 1998, doi:10.1109/ICCV.1998.710815).
//!
//! Derivatives are scale-normalised (times σ, or σ² for second ones) and so carry the unit of the values. σ and
//! steps are isotropic in space where voxels are not cubes.
//!
//! Cost: about 60 multiply-adds and 16 additions per voxel and fine scale. Memory: (slab + 2) slices per thread,
//! an eighth of the volume, and 4 bytes per region and feature.

mod coarse;
mod fine;
mod graph;
pub(super) mod voxels;

use std::borrow::Cow;

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::coarse::{COARSE_NAMES, coarse_scale};
use self::fine::{FINE_NAMES, fine_scale};
use self::graph::graph_features;
pub(super) use self::graph::neighbour_noise;
use super::regions::{Adjacency, Place};
use super::{Regions, SegmentError};
use crate::base::{Cancelled, Progress};
use crate::volume::Volume;

/// Which features are computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureParams {
    /// Standard deviations of the fine scales in voxels (of the mean edge), 0.3 to 8, increasing.
    pub fine_voxels: Vec<f64>,
    /// Standard deviations of the coarse scales in voxels, 2 to 200, increasing.
    pub coarse_voxels: Vec<f64>,
    /// How far values may differ and still be averaged over the region graph, as multiples of the
    /// difference that noise alone makes between neighbours, 0.1 to 100.
    pub graph_ranges: Vec<f64>,
}

impl Default for FeatureParams {
    fn default() -> Self {
        Self {
            fine_voxels: vec![1.0, 2.0],
            coarse_voxels: vec![3.5, 5.0, 10.0, 20.0, 40.0],
            graph_ranges: vec![1.5, 3.0],
        }
    }
}

/// A table of features: one row per region.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionFeatures {
    /// Rows.
    pub n_regions: usize,
    /// Columns.
    pub n_features: usize,
    /// Names of the columns.
    pub names: Vec<String>,
    /// Values, row after row.
    pub values: Vec<f32>,
}

impl RegionFeatures {
    /// Features of the region with zero-based index `region`.
    pub fn row(&self, region: usize) -> &[f32] {
        &self.values[region * self.n_features..][..self.n_features]
    }
}

/// Columns in the making; rows are interleaved at the end.
#[derive(Default)]
struct Columns {
    names: Vec<String>,
    columns: Vec<Vec<f32>>,
}

impl Columns {
    fn push(&mut self, name: String, values: Vec<f32>) {
        self.names.push(name);
        self.columns.push(values);
    }

    /// Adds several columns from one row of each region.
    fn push_rows<const N: usize>(&mut self, names: [String; N], rows: &[[f32; N]]) {
        for (i, name) in names.into_iter().enumerate() {
            self.push(name, rows.iter().map(|row| row[i]).collect());
        }
    }

    fn into_features(self, n_regions: usize) -> RegionFeatures {
        let n_features = self.columns.len();
        let mut values = vec![0.0; n_regions * n_features];
        values.par_chunks_mut(n_features * 1024).enumerate().for_each(|(block, rows)| {
            for (i, row) in rows.chunks_exact_mut(n_features).enumerate() {
                for (value, column) in row.iter_mut().zip(&self.columns) {
                    *value = column[block * 1024 + i];
                }
            }
        });
        RegionFeatures { n_regions, n_features, names: self.names, values }
    }
}

/// Computes the features of every region of a volume.
///
/// Voxels outside all regions take part in smoothing; where they are not finite, the mean of the rest stands in.
///
/// # Errors
/// [`SegmentError::ShapeMismatch`] if regions and volume differ in shape, [`SegmentError::Parameter`],
/// [`SegmentError::Cancelled`] (checked once per slab).
pub fn region_features(
    progress: &Progress,
    volume: &Volume<f32>,
    regions: &Regions,
    places: &[Place],
    adjacency: &Adjacency,
    params: &FeatureParams,
) -> Result<RegionFeatures, SegmentError> {
    check(params)?;
    if regions.shape() != volume.shape() {
        return Err(SegmentError::ShapeMismatch {
            what: "the map of regions",
            expected: volume.shape(),
            found: regions.shape(),
        });
    }
    let values = finite(volume);
    let frame = Frame::new(volume);
    let mut columns = Columns::default();
    let n_slabs = volume.shape()[0].div_ceil(super::regions::SLAB) as u64;
    progress.phase("Features of regions", n_slabs * (1 + params.fine_voxels.len() as u64));
    let raw = raw_statistics(progress, &values, regions)?;
    let mean: Vec<f32> = raw.iter().map(|r| r[0]).collect();
    columns.push_rows(["mean", "sd", "min", "max"].map(|n| format!("{n} of values")), &raw);
    let mut smoothed: Vec<(f64, Vec<f32>)> = Vec::new();
    for sigma in &params.fine_voxels {
        let rows = fine_scale(progress, &values, regions, &frame, *sigma as f32)?;
        smoothed.push((*sigma, rows.iter().map(|r| r[0]).collect()));
        columns.push_rows(FINE_NAMES.map(|n| format!("{n}, σ {sigma}")), &rows);
    }
    progress.phase("Features around regions", params.coarse_voxels.len() as u64);
    let mut pyramid =
        vec![Array3::from_shape_vec(volume.data.dim(), values.into_owned()).unwrap_or_default()];
    for sigma in &params.coarse_voxels {
        let rows = coarse_scale(progress, &mut pyramid, places, &frame, *sigma as f32)?;
        smoothed.push((*sigma, rows.iter().map(|r| r[0]).collect()));
        columns.push_rows(COARSE_NAMES.map(|n| format!("{n}, σ {sigma}")), &rows);
        progress.advance(1);
    }
    drop(pyramid);
    for pair in smoothed.windows(2) {
        let difference = pair[0].1.iter().zip(&pair[1].1).map(|(a, b)| a - b).collect();
        columns.push(format!("difference of Gaussians, σ {} and {}", pair[0].0, pair[1].0), difference);
    }
    graph_features(progress, &mean, places, adjacency, params, &mut columns)?;
    Ok(columns.into_features(regions.n as usize))
}

fn check(params: &FeatureParams) -> Result<(), SegmentError> {
    let all = |name, values: &[f64], low: f64, high: f64, range| match values
        .iter()
        .find(|v| !(low..=high).contains(*v))
    {
        Some(value) => Err(SegmentError::Parameter { name, value: *value, range }),
        None => Ok(()),
    };
    all("fine_voxels", &params.fine_voxels, 0.3, 8.0, "0.3 to 8 voxels")?;
    all("coarse_voxels", &params.coarse_voxels, 2.0, 200.0, "2 to 200 voxels")?;
    all("graph_ranges", &params.graph_ranges, 0.1, 100.0, "0.1 to 100")
}

/// The values, with the mean in place of those that are not finite.
pub(super) fn finite(volume: &Volume<f32>) -> Cow<'_, [f32]> {
    let values = volume.values();
    if values.par_iter().all(|v| v.is_finite()) {
        return Cow::Borrowed(values);
    }
    let finite = values.iter().filter(|v| v.is_finite());
    let (sum, n) = finite.fold((0.0f64, 0u64), |(s, n), v| (s + f64::from(*v), n + 1));
    let mean = (sum / n.max(1) as f64) as f32;
    Cow::Owned(values.iter().map(|v| if v.is_finite() { *v } else { mean }).collect())
}

/// Shape, and the edge of a voxel along each axis relative to the geometric mean.
struct Frame {
    shape: [usize; 3],
    edge: [f32; 3],
}

impl Frame {
    fn new(volume: &Volume<f32>) -> Self {
        let voxel = volume.voxel_um_or_one();
        let mean = (voxel[0] * voxel[1] * voxel[2]).cbrt();
        Self { shape: volume.shape(), edge: voxel.map(|v| (v / mean) as f32) }
    }
}

/// Mean, standard deviation, minimum and maximum of the values of every region.
fn raw_statistics(
    progress: &Progress,
    values: &[f32],
    regions: &Regions,
) -> Result<Vec<[f32; 4]>, Cancelled> {
    #[derive(Clone)]
    struct Sum {
        n: u32,
        sum: f64,
        squares: f64,
        min: f32,
        max: f32,
    }
    impl Default for Sum {
        fn default() -> Self {
            Self { n: 0, sum: 0.0, squares: 0.0, min: f32::INFINITY, max: f32::NEG_INFINITY }
        }
    }
    let [_, ny, nx] = regions.shape();
    let sums = regions.accumulate(
        progress,
        |z, first, entries: &mut [Sum]| {
            let voxels = z.start * ny * nx..z.end * ny * nx;
            for (id, value) in regions.values()[voxels.clone()].iter().zip(&values[voxels]) {
                if *id > 0 {
                    let entry = &mut entries[(id - first) as usize];
                    entry.n += 1;
                    entry.sum += f64::from(*value);
                    entry.squares += f64::from(*value) * f64::from(*value);
                    entry.min = entry.min.min(*value);
                    entry.max = entry.max.max(*value);
                }
            }
            Ok(())
        },
        |total, part| {
            total.n += part.n;
            total.sum += part.sum;
            total.squares += part.squares;
            total.min = total.min.min(part.min);
            total.max = total.max.max(part.max);
        },
    )?;
    let row = |s: &Sum| {
        let mean = s.sum / f64::from(s.n.max(1));
        let variance = (s.squares / f64::from(s.n.max(1)) - mean * mean).max(0.0);
        [mean as f32, variance.sqrt() as f32, s.min, s.max]
    };
    Ok(sums.iter().map(row).collect())
}

/// Eigenvalues, largest first, of the symmetric matrix [zz, zy, zx, yy, yx, xx] (closed form, in f64 inside).
pub(crate) fn eigenvalues(m: [f32; 6]) -> [f32; 3] {
    let [a, b, c, d, e, f] = m.map(f64::from);
    let q = (a + d + f) / 3.0;
    let (a, d, f) = (a - q, d - q, f - q);
    let p = ((a * a + d * d + f * f + 2.0 * (b * b + c * c + e * e)) / 6.0).sqrt();
    if p < 1e-30 {
        return [q as f32; 3];
    }
    let det = a * (d * f - e * e) - b * (b * f - e * c) + c * (b * e - d * c);
    let phi = (det / (2.0 * p * p * p)).clamp(-1.0, 1.0).acos() / 3.0;
    let first = q + 2.0 * p * phi.cos();
    let last = q + 2.0 * p * (phi + 2.0 * std::f64::consts::FRAC_PI_3).cos();
    [first as f32, (3.0 * q - first - last) as f32, last as f32]
}

/// Trilinear sample at a fractional index (z, y, x), clamped to the volume.
pub(crate) fn sample(volume: ArrayView3<'_, f32>, at: [f32; 3]) -> f32 {
    let (nz, ny, nx) = volume.dim();
    let axis = |at: f32, n: usize| {
        let at = at.clamp(0.0, (n - 1) as f32);
        let low = (at as usize).min(n.saturating_sub(2));
        (low, (low + 1).min(n - 1), at - low as f32)
    };
    let ((z0, z1, fz), (y0, y1, fy), (x0, x1, fx)) = (axis(at[0], nz), axis(at[1], ny), axis(at[2], nx));
    let line = |z: usize, y: usize| {
        let (a, b) = (volume[[z, y, x0]], volume[[z, y, x1]]);
        a + fx * (b - a)
    };
    let face = |z: usize| {
        let (a, b) = (line(z, y0), line(z, y1));
        a + fy * (b - a)
    };
    let (a, b) = (face(z0), face(z1));
    a + fz * (b - a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::smooth;
    use crate::segment::test_data;

    fn grid_regions(shape: [usize; 3], edge: usize) -> Regions {
        let labels = Array3::from_shape_fn(shape, |(z, y, x)| {
            ((z / edge) * 10_000 + (y / edge) * 100 + x / edge) as u32
        });
        Regions::from_labels(&Progress::new(), labels, None, 1).unwrap()
    }

    fn features(volume: &Volume<f32>, regions: &Regions, params: &FeatureParams) -> RegionFeatures {
        let progress = Progress::new();
        let (places, adjacency) = (regions.places(&progress).unwrap(), regions.adjacency(&progress).unwrap());
        region_features(&progress, volume, regions, &places, &adjacency, params).unwrap()
    }

    fn column(features: &RegionFeatures, name: &str) -> Vec<f32> {
        let index = features.names.iter().position(|n| n == name).unwrap();
        (0..features.n_regions).map(|r| features.row(r)[index]).collect()
    }

    #[test]
    fn slab_by_slab_equals_the_whole_volume() {
        // Regions of 7 voxels lie across the borders of the slabs of 16 slices.
        let volume = test_data::noisy_balls([40, 30, 33], 4);
        let regions = grid_regions([40, 30, 33], 7);
        let got = features(&volume, &regions, &FeatureParams::default());
        let progress = Progress::new();
        let smooth = smooth::gaussian(&progress, volume.data.view(), [2.0; 3]).unwrap();
        let (nz, ny, nx) = smooth.dim();
        let mut sums = vec![(0.0f64, 0.0f64, 0.0f64); regions.n as usize];
        for ((z, y, x), id) in regions.ids.indexed_iter() {
            let near = |i: usize, n: usize| (i.saturating_sub(1), (i + 1).min(n - 1));
            let ((z0, z1), (y0, y1), (x0, x1)) = (near(z, nz), near(y, ny), near(x, nx));
            let d = |a: f32, b: f32| f64::from(a) - f64::from(b);
            let gz = d(smooth[[z1, y, x]], smooth[[z0, y, x]]);
            let gy = d(smooth[[z, y1, x]], smooth[[z, y0, x]]);
            let gx = d(smooth[[z, y, x1]], smooth[[z, y, x0]]);
            let sum = &mut sums[*id as usize - 1];
            sum.0 += 1.0;
            sum.1 += f64::from(smooth[[z, y, x]]);
            // σ = 2 normalises: half the difference times 2.
            sum.2 += (gz * gz + gy * gy + gx * gx).sqrt();
        }
        for (r, (mean, gradient)) in
            column(&got, "smoothed, σ 2").into_iter().zip(column(&got, "gradient magnitude, σ 2")).enumerate()
        {
            let (n, m, g) = sums[r];
            assert!((f64::from(mean) - m / n).abs() < 1e-4, "region {r}: mean {mean} {}", m / n);
            assert!((f64::from(gradient) - g / n).abs() < 1e-4, "region {r}: gradient {gradient} {}", g / n);
        }
    }

    #[test]
    fn a_plane_wave_shows_its_derivatives() {
        // v = x² / 200: second derivative 1/100 along x, none elsewhere.
        let data = Array3::from_shape_fn((24, 24, 48), |(_, _, x)| (x as f32).powi(2) / 200.0);
        let volume = Volume::new(data, None, crate::base::Unit::PerUm);
        let regions = grid_regions([24, 24, 48], 6);
        let params =
            FeatureParams { fine_voxels: vec![1.5], coarse_voxels: vec![4.0], ..FeatureParams::default() };
        let got = features(&volume, &regions, &params);
        // The middle of the volume, away from mirrored faces.
        let r = regions.ids[[12, 12, 24]] as usize - 1;
        let value = |name: &str| column(&got, name)[r];
        // Scale-normalised: σ² / 100.
        assert!((value("Hessian eigenvalue 1, σ 1.5") - 0.0225).abs() < 1e-4);
        assert!(value("Hessian eigenvalue 3, σ 1.5").abs() < 1e-4);
        assert!((value("Laplacian, σ 4") - 0.16).abs() < 0.01, "{}", value("Laplacian, σ 4"));
        let slope = 26.5 / 100.0;
        assert!((value("gradient magnitude, σ 1.5") - 1.5 * slope).abs() < 0.01);
        // The coarse gradient is taken at the region's centre, x = 26.5.
        assert!((value("gradient magnitude, σ 4") - 4.0 * slope).abs() < 0.02);
    }

    #[test]
    fn eigenvalues_of_known_matrices() {
        assert_eq!(eigenvalues([2.0, 0.0, 0.0, 2.0, 0.0, 2.0]), [2.0; 3]);
        let [a, b, c] = eigenvalues([2.0, 1.0, 0.0, 2.0, 0.0, -1.0]);
        assert!((a - 3.0).abs() < 1e-6 && (b - 1.0).abs() < 1e-6 && (c + 1.0).abs() < 1e-6, "{a} {b} {c}");
    }

    #[test]
    fn threads_do_not_change_the_bits_and_voxels_outside_may_be_nan() {
        let mut volume = test_data::noisy_balls([30, 24, 24], 4);
        let regions = {
            let mut regions = grid_regions([30, 24, 24], 5);
            regions.ids.slice_mut(ndarray::s![.., .., 23..]).fill(0);
            regions
        };
        volume.data.slice_mut(ndarray::s![.., .., 23..]).fill(f32::NAN);
        let run = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| features(&volume, &regions, &FeatureParams::default()))
        };
        let one = run(1);
        assert_eq!(one, run(3));
        assert!(one.values.iter().all(|v| v.is_finite()), "a feature is not finite");
        assert_eq!(one.names.len(), one.n_features);
    }

    #[test]
    fn other_shapes_bad_scales_and_a_cancel_are_answered() {
        let volume = test_data::noisy_balls([8, 8, 8], 4);
        let regions = grid_regions([8, 8, 9], 4);
        let progress = Progress::new();
        let run = |regions: &Regions, params: &FeatureParams, worker: &Progress| {
            let places = regions.places(&progress).unwrap();
            let adjacency = regions.adjacency(&progress).unwrap();
            region_features(worker, &volume, regions, &places, &adjacency, params).unwrap_err()
        };
        let default = FeatureParams::default();
        assert!(matches!(run(&regions, &default, &progress), SegmentError::ShapeMismatch { .. }));
        let regions = grid_regions([8, 8, 8], 4);
        let bad = FeatureParams { fine_voxels: vec![f64::NAN], ..default.clone() };
        assert!(matches!(run(&regions, &bad, &progress), SegmentError::Parameter { .. }));
        let cancelled = Progress::new();
        cancelled.cancel();
        assert_eq!(run(&regions, &default, &cancelled), SegmentError::Cancelled(Cancelled));
    }
}
