//! Overlapping tomograms into one: pairs registered by correlation, all of them placed by least squares, blended.
//!
//! Every pair that overlaps is compared from coarse to fine; the offset with the highest correlation coefficient is found
//! to a fraction of a voxel by a parabola. Places of all volumes then are the least squares solution of all offsets, each
//! weighted with its correlation, so that no chain of pairs adds up its errors. Where volumes overlap they are
//! blended with weights that fall linearly towards the border of each.

use ndarray::{Array3, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, MemoryBudget, MemoryError, Progress};
use crate::kernels::overlap::find_overlap;
use crate::volume::Volume;

/// A pair that correlates less tells nothing.
const LEAST_CORRELATION: f64 = 0.2;
/// Least number of voxels along each side of an overlap.
const LEAST_SIDE: usize = 6;

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StitchParams {
    /// How far off the given places may be, in µm (voxels where the size is unknown), 0 to 1000; a tenth of the longest side where not given.
    pub search: Option<f64>,
    /// Whether places are found; they are taken as given otherwise.
    pub register: bool,
}

impl Default for StitchParams {
    fn default() -> Self {
        Self { search: None, register: true }
    }
}

/// Why volumes are not stitched.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StitchError {
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The result would be too large.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Fewer than two.
    #[error("{0} volumes: at least two are stitched")]
    Few(usize),
    /// Other voxels or another unit.
    #[error(
        "volume {index} has voxels of {found:?} um in {found_unit}, the first {first:?} um in {first_unit}: resample it first"
    )]
    Voxels {
        /// Which, from 0.
        index: usize,
        /// Its voxel size as z, y, x.
        found: Option<[f64; 3]>,
        /// Its unit.
        found_unit: &'static str,
        /// Voxel size of the first.
        first: Option<[f64; 3]>,
        /// Unit of the first.
        first_unit: &'static str,
    },
    /// A volume that touches no other.
    #[error(
        "volume {0} overlaps none of the others enough to be placed: give its origin, or a wider search (--search)"
    )]
    Alone(usize),
    /// A search that makes no sense.
    #[error("search is {0}, it must lie in 0..=1000")]
    Search(f64),
}

/// Two volumes that overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlap {
    /// The first, from 0.
    pub a: usize,
    /// The second.
    pub b: usize,
    /// How far the second lies from where it was given, relative to the first, in voxels as z, y, x.
    pub offset_voxels: [f64; 3],
    /// Correlation coefficient there.
    pub correlation: f64,
    /// How far that is from where both were put at last, in voxels.
    pub residual_voxels: f64,
}

/// One volume of many.
#[derive(Debug, Clone)]
pub struct Stitched {
    /// All of them.
    pub volume: Volume<f32>,
    /// Where each was put beside where it was given, in voxels as z, y, x.
    pub moved_voxels: Vec<[f64; 3]>,
    /// What it was found from.
    pub overlaps: Vec<Overlap>,
}

/// Stitches volumes that lie where their origins say, give or take the search.
///
/// # Errors
/// [`StitchError`].
pub fn stitch(
    progress: &Progress,
    volumes: &[&Volume<f32>],
    params: &StitchParams,
    budget: MemoryBudget,
) -> Result<Stitched, StitchError> {
    let (first, voxel) = check(volumes, params)?;
    let places: Vec<[f64; 3]> = volumes
        .iter()
        .map(|volume| {
            std::array::from_fn(|axis| (volume.origin_um[axis] - first.origin_um[axis]) / voxel[axis])
        })
        .collect();
    let mut overlaps = Vec::new();
    let mut moved = vec![[0.0; 3]; volumes.len()];
    if params.register {
        let longest = volumes.iter().flat_map(|v| v.shape()).max().unwrap_or(1) as f64;
        let mean_edge = (voxel[0] * voxel[1] * voxel[2]).cbrt();
        let search = params.search.map_or(0.1 * longest, |search| search / mean_edge);
        let pairs: Vec<(usize, usize)> =
            (0..volumes.len()).flat_map(|a| (a + 1..volumes.len()).map(move |b| (a, b))).collect();
        progress.phase("Comparing overlaps", pairs.len() as u64);
        for (a, b) in pairs {
            let apart = std::array::from_fn(|axis| places[b][axis] - places[a][axis]);
            if let Some((offset, correlation)) = compare(progress, volumes[a], volumes[b], apart, search)? {
                let offset_voxels = std::array::from_fn(|axis| offset[axis] - apart[axis]);
                overlaps.push(Overlap { a, b, offset_voxels, correlation, residual_voxels: 0.0 });
            }
            progress.advance(1);
        }
        moved = solve(volumes.len(), &overlaps)?;
        for overlap in &mut overlaps {
            let off =
                |axis: usize| moved[overlap.b][axis] - moved[overlap.a][axis] - overlap.offset_voxels[axis];
            overlap.residual_voxels = (0..3).map(|axis| off(axis).powi(2)).sum::<f64>().sqrt();
        }
    }
    let places: Vec<[f64; 3]> = places
        .iter()
        .zip(&moved)
        .map(|(place, moved)| std::array::from_fn(|i| place[i] + moved[i]))
        .collect();
    let volume = blend(progress, volumes, &places, budget)?;
    Ok(Stitched { volume, moved_voxels: moved, overlaps })
}

fn check<'a>(
    volumes: &[&'a Volume<f32>],
    params: &StitchParams,
) -> Result<(&'a Volume<f32>, [f64; 3]), StitchError> {
    let [first, _, ..] = volumes else { return Err(StitchError::Few(volumes.len())) };
    if let Some(search) = params.search.filter(|search| !(0.0..=1000.0).contains(search)) {
        return Err(StitchError::Search(search));
    }
    let voxel = first.voxel_um_or_one();
    for (index, volume) in volumes.iter().enumerate() {
        let other = volume.voxel_um_or_one();
        let same = voxel.iter().zip(other).all(|(a, b)| (a / b - 1.0).abs() < 1e-3);
        if !same || volume.voxel_um.is_some() != first.voxel_um.is_some() || volume.unit != first.unit {
            return Err(StitchError::Voxels {
                index,
                found: volume.voxel_um,
                found_unit: volume.unit.ascii(),
                first: first.voxel_um,
                first_unit: first.unit.ascii(),
            });
        }
    }
    Ok((first, voxel))
}

/// Offset of `b` from `a` in voxels and the correlation there, or `None` where they do not overlap or do not fit.
fn compare(
    progress: &Progress,
    a: &Volume<f32>,
    b: &Volume<f32>,
    apart: [f64; 3],
    search: f64,
) -> Result<Option<([f64; 3], f64)>, StitchError> {
    let start: [i64; 3] = apart.map(|d| d.round() as i64);
    // What of `a` may lie under `b`, wherever `b` is; and all of `b` that may lie over it.
    let reach = search.ceil() as i64;
    let part = |length: usize, other: usize, at: i64| -> Option<(usize, usize)> {
        let low = (at - reach).max(0);
        let high = (at + other as i64 + reach).min(length as i64);
        (high - low >= LEAST_SIDE as i64).then_some((low as usize, high as usize))
    };
    let mut of_a = [(0, 0); 3];
    let mut of_b = [(0, 0); 3];
    for axis in 0..3 {
        let (Some(in_a), Some(in_b)) = (
            part(a.shape()[axis], b.shape()[axis], start[axis]),
            part(b.shape()[axis], a.shape()[axis], -start[axis]),
        ) else {
            return Ok(None);
        };
        (of_a[axis], of_b[axis]) = (in_a, in_b);
    }
    let cut = |volume: &Volume<f32>, part: [(usize, usize); 3]| -> Array3<f32> {
        let [(z0, z1), (y0, y1), (x0, x1)] = part;
        volume.data.slice(s![z0..z1, y0..y1, x0..x1]).mapv(|v| if v.is_finite() { v } else { 0.0 })
    };
    // Offset of the part of `b` from the part of `a`.
    let between = |axis: usize| of_b[axis].0 as f64 - of_a[axis].0 as f64;
    let given: [f64; 3] = std::array::from_fn(|axis| start[axis] as f64 + between(axis));
    let found = find_overlap(progress, &cut(a, of_a), &cut(b, of_b), given, search)?;
    if found.correlation < LEAST_CORRELATION {
        return Ok(None);
    }
    Ok(Some((std::array::from_fn(|axis| found.exact[axis] - between(axis)), found.correlation)))
}

/// How far each volume is moved: least squares of the offsets, the first one stays.
fn solve(n: usize, overlaps: &[Overlap]) -> Result<Vec<[f64; 3]>, StitchError> {
    // Everything hangs together with the first, or it cannot be placed.
    let mut reached = vec![false; n];
    reached[0] = true;
    for _ in 0..n {
        for overlap in overlaps {
            let any = reached[overlap.a] || reached[overlap.b];
            (reached[overlap.a], reached[overlap.b]) = (any, any);
        }
    }
    if let Some(alone) = reached.iter().position(|reached| !reached) {
        return Err(StitchError::Alone(alone));
    }
    // The first column and row are left out: it does not move.
    let m = n - 1;
    let mut normal = vec![vec![0.0f64; m + 3]; m];
    for overlap in overlaps {
        let weight = overlap.correlation.powi(2);
        for (from, to, sign) in [(overlap.a, overlap.b, -1.0), (overlap.b, overlap.a, 1.0)] {
            let Some(row) = from.checked_sub(1) else { continue };
            normal[row][row] += weight;
            if let Some(column) = to.checked_sub(1) {
                normal[row][column] -= weight;
            }
            for axis in 0..3 {
                normal[row][m + axis] += sign * weight * overlap.offset_voxels[axis];
            }
        }
    }
    for pivot in 0..m {
        let best = (pivot..m).max_by(|a, b| normal[*a][pivot].abs().total_cmp(&normal[*b][pivot].abs()));
        normal.swap(pivot, best.unwrap_or(pivot));
        let row = normal[pivot].clone();
        for (other, values) in normal.iter_mut().enumerate() {
            if other != pivot {
                let factor = values[pivot] / row[pivot];
                values.iter_mut().zip(&row).for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
    }
    let moved = normal.iter().enumerate().map(|(i, row)| std::array::from_fn(|axis| row[m + axis] / row[i]));
    Ok(std::iter::once([0.0; 3]).chain(moved).collect())
}

/// All volumes on one grid, that of the first.
fn blend(
    progress: &Progress,
    volumes: &[&Volume<f32>],
    places: &[[f64; 3]],
    budget: MemoryBudget,
) -> Result<Volume<f32>, StitchError> {
    let low: [f64; 3] = std::array::from_fn(|axis| {
        places.iter().map(|place| place[axis]).fold(f64::INFINITY, f64::min).floor()
    });
    let shape: [usize; 3] = std::array::from_fn(|axis| {
        let high = places.iter().zip(volumes).map(|(place, v)| place[axis] + v.shape()[axis] as f64);
        (high.fold(f64::NEG_INFINITY, f64::max).ceil() - low[axis]).max(1.0) as usize
    });
    let n: u64 = shape.iter().map(|n| *n as u64).product();
    budget.admit(4 * n)?;
    progress.phase("Blending", shape[0] as u64);
    let mut data = Array3::<f32>::zeros((shape[0], shape[1], shape[2]));
    data.outer_iter_mut().into_par_iter().enumerate().try_for_each(|(z, mut out)| {
        progress.check()?;
        let mut weights = vec![0.0f32; shape[1] * shape[2]];
        for (volume, place) in volumes.iter().zip(places) {
            let at: [f64; 3] = std::array::from_fn(|axis| place[axis] - low[axis]);
            add(volume, at, z, &mut out, &mut weights);
        }
        for (value, weight) in out.iter_mut().zip(&weights) {
            if *weight > 0.0 {
                *value /= weight;
            }
        }
        progress.advance(1);
        Ok::<(), Cancelled>(())
    })?;
    let first = volumes[0];
    let voxel = first.voxel_um_or_one();
    let mut volume = first.with_data(data, first.unit);
    volume.origin_um =
        std::array::from_fn(|axis| first.origin_um[axis] + (low[axis] - places[0][axis]) * voxel[axis]);
    Ok(volume)
}

/// Adds what a volume that begins at `at` holds of slice `z`, between voxels by linear interpolation.
fn add(
    volume: &Volume<f32>,
    at: [f64; 3],
    z: usize,
    out: &mut ndarray::ArrayViewMut2<'_, f32>,
    weights: &mut [f32],
) {
    let [nz, ny, nx] = volume.shape();
    let values = volume.values();
    let width = out.ncols();
    // Position, whole voxel, fraction, and how far from the border, for a place of the result.
    let axis = |i: usize, at: f64, n: usize| -> Option<(usize, usize, f32, f32)> {
        let position = i as f64 - at;
        if position < -0.5 || position > n as f64 - 0.5 {
            return None;
        }
        let inside = position.clamp(0.0, n as f64 - 1.0);
        let whole = inside.floor();
        let border = (position + 0.5).min(n as f64 - 0.5 - position);
        let index = whole as usize;
        Some((index, (index + 1).min(n - 1), (inside - whole) as f32, border as f32))
    };
    let Some((z0, z1, tz, bz)) = axis(z, at[0], nz) else { return };
    let columns: Vec<_> = (0..width).map(|x| axis(x, at[2], nx)).collect();
    for y in 0..out.nrows() {
        let Some((y0, y1, ty, by)) = axis(y, at[1], ny) else { continue };
        let row = |z: usize, y: usize| &values[(z * ny + y) * nx..][..nx];
        let rows = [row(z0, y0), row(z0, y1), row(z1, y0), row(z1, y1)];
        for (x, column) in columns.iter().enumerate() {
            let Some((x0, x1, tx, bx)) = *column else { continue };
            let along = |row: &[f32]| row[x0] * (1.0 - tx) + row[x1] * tx;
            let [a, b, c, d] = rows.map(along);
            let value = (a * (1.0 - ty) + b * ty) * (1.0 - tz) + (c * (1.0 - ty) + d * ty) * tz;
            if value.is_finite() {
                let weight = bz.min(by).min(bx).max(1e-3);
                out[[y, x]] += value * weight;
                weights[y * width + x] += weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Unit;
    use crate::kernels::smooth::gaussian;
    use ndarray::ArrayView3;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, StandardNormal};

    const VOXEL: f64 = 0.02;

    /// Smooth random texture around 0.3.
    fn texture(shape: (usize, usize, usize), seed: u64) -> Array3<f32> {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let white = Array3::from_shape_simple_fn(shape, || StandardNormal.sample(&mut rng));
        let mut smooth = gaussian(&Progress::new(), white.view(), [2.0; 3]).unwrap();
        smooth.mapv_inplace(|v: f32| 0.3 + v);
        smooth
    }

    /// A part of the texture with noise of its own, said to lie `error` voxels from where it does.
    fn part(
        whole: &Array3<f32>,
        from: [usize; 3],
        shape: [usize; 3],
        error: [f64; 3],
        seed: u64,
    ) -> Volume<f32> {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let [z, y, x] = from;
        let mut data = whole.slice(s![z..z + shape[0], y..y + shape[1], x..x + shape[2]]).to_owned();
        data.mapv_inplace(|v| {
            let noise: f32 = StandardNormal.sample(&mut rng);
            v + 0.005 * noise
        });
        let mut volume = Volume::new(data, Some([VOXEL; 3]), Unit::PerUm);
        volume.origin_um = std::array::from_fn(|axis| (from[axis] as f64 + error[axis]) * VOXEL);
        volume
    }

    fn budget() -> MemoryBudget {
        MemoryBudget::from_gib(1.0)
    }

    #[test]
    fn volumes_with_fifteen_per_cent_of_overlap_are_put_where_they_were_without_a_seam() {
        let whole = texture((40, 60, 150), 1);
        let a = part(&whole, [0, 0, 0], [40, 60, 81], [0.0; 3], 2);
        let b = part(&whole, [0, 0, 69], [40, 60, 81], [2.0, -3.0, 4.0], 3);
        let found = stitch(&Progress::new(), &[&a, &b], &StitchParams::default(), budget()).unwrap();
        for (moved, expected) in found.moved_voxels[1].iter().zip([-2.0, 3.0, -4.0]) {
            assert!((moved - expected).abs() < 0.3, "{:?}", found.moved_voxels);
        }
        assert!(found.overlaps[0].correlation > 0.9);
        let [nz, ny, nx] = found.volume.shape();
        assert!((40..=42).contains(&nz) && (60..=62).contains(&ny) && (150..=152).contains(&nx));
        // The texture is found again through the seam, its mean to a hundredth.
        let seam = found.volume.data.slice(s![2..38, 2..58, 66..86]);
        let truth = whole.slice(s![2..38, 2..58, 66..86]);
        let mean = |values: ArrayView3<'_, f32>| f64::from(values.mean().unwrap());
        assert!((mean(seam) / mean(truth) - 1.0).abs() < 0.01);
        let rms =
            seam.iter().zip(&truth).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / seam.len() as f64;
        assert!(rms.sqrt() < 0.02, "{}", rms.sqrt());
    }

    #[test]
    fn four_in_a_ring_agree_and_one_that_lies_apart_is_named() {
        let whole = texture((24, 100, 100), 5);
        let shape = [24, 58, 58];
        let parts = [
            part(&whole, [0, 0, 0], shape, [0.0; 3], 6),
            part(&whole, [0, 0, 42], shape, [1.0, 2.0, 0.0], 7),
            part(&whole, [0, 42, 0], shape, [0.0, -2.0, 3.0], 8),
            part(&whole, [0, 42, 42], shape, [-1.0, 0.0, -2.0], 9),
        ];
        let all: Vec<&Volume<f32>> = parts.iter().collect();
        let found = stitch(&Progress::new(), &all, &StitchParams::default(), budget()).unwrap();
        assert!(found.overlaps.len() >= 4);
        assert!(found.overlaps.iter().all(|o| o.residual_voxels < 0.3), "{:?}", found.overlaps);
        for axis in 0..3 {
            let expected = [[0.0; 3], [-1.0, -2.0, 0.0], [0.0, 2.0, -3.0], [1.0, 0.0, 2.0]];
            for (moved, expected) in found.moved_voxels.iter().zip(expected) {
                assert!((moved[axis] - expected[axis]).abs() < 0.3, "{:?}", found.moved_voxels);
            }
        }
        let apart = part(&whole, [0, 0, 0], shape, [0.0, 0.0, 500.0], 10);
        let alone = stitch(&Progress::new(), &[&parts[0], &apart], &StitchParams::default(), budget());
        assert_eq!(alone.unwrap_err(), StitchError::Alone(1));
    }

    #[test]
    fn places_can_be_taken_as_given_and_nonsense_is_refused() {
        let whole = texture((12, 30, 60), 11);
        let a = part(&whole, [0, 0, 0], [12, 30, 36], [0.0; 3], 12);
        let b = part(&whole, [0, 0, 24], [12, 30, 36], [0.0; 3], 13);
        let given = StitchParams { register: false, ..StitchParams::default() };
        let found = stitch(&Progress::new(), &[&b, &a], &given, budget()).unwrap();
        assert_eq!((found.volume.shape(), found.volume.origin_um), ([12, 30, 60], [0.0; 3]));
        assert!((found.volume.data[[5, 5, 30]] - whole[[5, 5, 30]]).abs() < 0.03);
        let go = |volumes: &[&Volume<f32>], params: &StitchParams, bytes: u64| {
            stitch(&Progress::new(), volumes, params, MemoryBudget { bytes }).unwrap_err()
        };
        assert_eq!(go(&[&a], &given, u64::MAX), StitchError::Few(1));
        assert!(matches!(go(&[&a, &b], &given, 100), StitchError::Memory(_)));
        let other = Volume::new(b.data.clone(), Some([0.03; 3]), Unit::PerUm);
        assert!(matches!(go(&[&a, &other], &given, u64::MAX), StitchError::Voxels { index: 1, .. }));
        let wild = StitchParams { search: Some(-1.0), register: true };
        assert_eq!(go(&[&a, &b], &wild, u64::MAX), StitchError::Search(-1.0));
    }
}
