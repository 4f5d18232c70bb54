//! Noise: how far two reconstructions from half the views each disagree, region by region.
//!
//! What both halves share is the sample, what they do not share is noise. Their difference has four times the variance
//! that noise has in the mean of both, which is the volume from all views. It is averaged over a few regions, for one
//! region alone would tell more of chance than of the place.
//!
//! Cost: three operations per voxel and two smoothings of a grid of one cell per region.

use rayon::prelude::*;

use super::context::ContextGrid;
use super::{RegionFeatures, Regions, SegmentError};
use crate::base::Progress;
use crate::volume::Volume;

/// Scale of the average in edges of a region.
const SCALE: f32 = 1.6;
/// Least noise as a share of that of the whole volume.
const LEAST: f32 = 0.05;
/// Columns that [`add_features`] adds.
pub(super) const NAMES: [&str; 3] = ["noise", "difference to neighbours over noise", "sd beyond noise"];
/// How much warmer or colder than where strokes were painted a region is taken at most.
const HEAT: [f32; 2] = [1.0, 8.0];

/// Standard deviation of the noise in the volume from all views, around every region; from 0.
pub(super) fn noise_of_regions(
    progress: &Progress,
    regions: &Regions,
    grid: &ContextGrid,
    halves: [&Volume<f32>; 2],
) -> Result<Vec<f32>, SegmentError> {
    for (half, what) in halves.iter().zip(["the even half", "the odd half"]) {
        if half.shape() != regions.shape() {
            return Err(SegmentError::ShapeMismatch { what, expected: regions.shape(), found: half.shape() });
        }
    }
    let [even, odd] = halves.map(Volume::values);
    let [nz, ny, nx] = regions.shape();
    progress.phase("Noise of regions", nz.div_ceil(super::regions::SLAB) as u64);
    // Voxels, voxels known in both halves, and the sum of squared differences there.
    let sums = regions.accumulate(
        progress,
        |z, first, entries: &mut [[f32; 3]]| {
            let voxels = z.start * ny * nx..z.end * ny * nx;
            let pairs = even[voxels.clone()].iter().zip(&odd[voxels.clone()]);
            for (id, (a, b)) in regions.values()[voxels].iter().zip(pairs) {
                if *id > 0 {
                    let entry = &mut entries[(id - first) as usize];
                    let square = (a - b) * (a - b);
                    entry[0] += 1.0;
                    if square.is_finite() {
                        entry[1] += 1.0;
                        entry[2] += square;
                    }
                }
            }
            Ok(())
        },
        |total, part| total.iter_mut().zip(part).for_each(|(total, part)| *total += part),
    )?;
    let all = sums.iter().fold([0.0f64; 2], |all, s| [all[0] + f64::from(s[1]), all[1] + f64::from(s[2])]);
    let whole = (0.5 * (all[1] / all[0].max(1.0)).sqrt()) as f32;
    if whole <= 0.0 || !whole.is_finite() {
        return Err(SegmentError::SameHalves);
    }
    let column = |i: usize| -> Vec<f32> { sums.iter().map(|s| s[i] / s[0].max(1.0)).collect() };
    let known = grid.spread(progress, &column(1), SCALE)?;
    let squares = grid.spread(progress, &column(2), SCALE)?;
    let around = |r: usize| {
        let n = grid.read(&known, r, SCALE);
        let local = if n > 1e-3 { 0.5 * (grid.read(&squares, r, SCALE) / n).max(0.0).sqrt() } else { whole };
        local.max(LEAST * whole)
    };
    Ok((0..sums.len()).into_par_iter().map(around).collect())
}

/// Adds what the noise says to the features: itself, contrast as a multiple of it, and the texture that it does not
/// explain.
pub(super) fn add_features(features: RegionFeatures, noise: &[f32]) -> RegionFeatures {
    let column = |name: &str| features.names.iter().position(|n| n == name);
    let (sd, difference) = (column("sd of values"), column("difference to neighbours"));
    let n_features = features.n_features + NAMES.len();
    let mut values = vec![0.0; features.n_regions * n_features];
    values.par_chunks_mut(n_features).zip(noise.par_iter()).enumerate().for_each(|(r, (row, noise))| {
        let (own, added) = row.split_at_mut(features.n_features);
        own.copy_from_slice(features.row(r));
        added[0] = *noise;
        added[1] = difference.map_or(0.0, |i| own[i] / noise);
        added[2] = sd.map_or(0.0, |i| (own[i] * own[i] - noise * noise).max(0.0).sqrt());
    });
    let names = features.names.into_iter().chain(NAMES.map(str::to_owned)).collect();
    RegionFeatures { n_regions: features.n_regions, n_features, names, values }
}

/// By how much the probabilities of every region are softer than where strokes were painted: where there is
/// more noise, what is said is less sure, never surer where there is less.
pub(super) fn heat(noise: f32, painted: f32) -> f32 {
    (noise / painted.max(f32::MIN_POSITIVE)).clamp(HEAT[0], HEAT[1])
}

/// The middle noise of some regions.
pub(super) fn middle(noise: &[f32], regions: impl Iterator<Item = u32>) -> Option<f32> {
    let mut of: Vec<f32> = regions.filter_map(|r| noise.get(r as usize).copied()).collect();
    of.sort_unstable_by(f32::total_cmp);
    of.get(of.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, Normal};
    use rand_pcg::Pcg64Mcg;

    use super::*;
    use crate::segment::{Aids, segment_with};
    use crate::segment::{FeatureCache, Recipe, SegmentParams, test_data};

    const SHAPE: [usize; 3] = [40; 3];

    /// Balls from halves of which one is noisier, by a factor, for x beyond the middle; and the mean of both.
    fn halves(factor: f32, seed: u64) -> [Volume<f32>; 3] {
        let clean = test_data::balls(SHAPE).mapv(|class| [0.1f32, 0.25, 0.5][class as usize]);
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let normal = Normal::new(0.0f32, 0.03).unwrap();
        let mut half = |factor: f32| {
            let data = Array3::from_shape_fn(clean.dim(), |at| {
                clean[at] + normal.sample(&mut rng) * if at.2 >= SHAPE[2] / 2 { factor } else { 1.0 }
            });
            Volume::new(data, Some([0.02; 3]), crate::base::Unit::PerUm)
        };
        let (even, odd) = (half(1.0), half(factor));
        let mean = (&even.data + &odd.data) * 0.5;
        let all = even.with_data(mean, even.unit);
        [all, even, odd]
    }

    fn strokes(x: std::ops::Range<usize>) -> Array3<u16> {
        let truth = test_data::balls(SHAPE);
        let mut map = Array3::zeros(truth.dim());
        for z in [17, 20, 23] {
            for x in x.clone() {
                map[[z, 20, x]] = truth[[z, 20, x]] + 1;
            }
        }
        map
    }

    #[test]
    fn the_noise_is_found_where_it_is_and_as_large_as_it_is() {
        let [all, mut even, odd] = halves(4.0, 1);
        even.data[[3, 3, 3]] = f32::NAN;
        let progress = Progress::new();
        let cache =
            FeatureCache::build_with_halves(&progress, &all, Some([&even, &odd]), None, &Recipe::default())
                .unwrap();
        let noise = cache.noise.as_deref().unwrap();
        let middle_of = |x: std::ops::Range<f32>| {
            let inside = (0..noise.len()).filter(|r| x.contains(&cache.places[*r].centre_zyx[2]));
            middle(noise, inside.map(|r| r as u32)).unwrap()
        };
        // The mean of two halves of 0.03: 0.0212; of 0.03 and 0.12: 0.0618. Some 90 voxels in a few regions.
        // Two scales (14 voxels) from the border, so that little of the other side is averaged in.
        let (quiet, loud) = (middle_of(0.0..6.0), middle_of(34.0..40.0));
        assert!((quiet / 0.0212 - 1.0).abs() < 0.1 && (loud / 0.0618 - 1.0).abs() < 0.1, "{quiet} {loud}");
        assert!(cache.features.names.ends_with(&NAMES.map(str::to_owned)));
        assert!(cache.features.values.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn a_noisy_half_makes_uncertain_there_and_costs_no_accuracy() {
        let truth = test_data::balls(SHAPE).mapv(|class| class + 1);
        let params = SegmentParams { trees: 40, ..SegmentParams::default() };
        let (mut with, mut without, mut far) = (0, 0, [0.0f64; 4]);
        for seed in [1, 2, 3] {
            let [all, even, odd] = halves(4.0, seed);
            let map = strokes(2..24);
            let run = |halves| {
                segment_with(
                    &Progress::new(),
                    &all,
                    map.view(),
                    &Aids { halves, ..Aids::default() },
                    &params,
                    seed,
                )
                .unwrap()
            };
            let right = |labels: &Array3<u16>| labels.iter().zip(&truth).filter(|(l, t)| l == t).count();
            let (plain, aware) = (run(None), run(Some([&even, &odd])));
            (without, with) = (without + right(&plain.labels), with + right(&aware.labels));
            for (i, found) in [plain, aware].iter().enumerate() {
                let uncertainty = found.prediction.uncertainty_volume(&found.cache.regions);
                for ((_, _, x), u) in uncertainty.indexed_iter() {
                    far[2 * i + usize::from(x >= 28)] += f64::from(*u);
                }
            }
        }
        let [plain_quiet, plain_loud, quiet, loud] = far;
        assert!(loud > 1.1 * plain_loud, "{loud} with the halves, {plain_loud} without");
        assert!(loud / quiet > plain_loud / plain_quiet, "{far:?}");
        // A voxel in two hundred is chance between forests of different features.
        assert!(with + 3 * 320 >= without, "{with} right with the halves, {without} without");
    }

    #[test]
    fn halves_that_do_not_fit_are_refused() {
        let [all, even, _] = halves(1.0, 1);
        let run = |halves| {
            FeatureCache::build_with_halves(&Progress::new(), &all, Some(halves), None, &Recipe::default())
                .map(|cache| cache.regions.n)
                .unwrap_err()
                .to_string()
        };
        assert!(run([&even, &even]).contains("the same"));
        let small = Volume::new(Array3::zeros((40, 40, 39)), None, even.unit);
        assert!(run([&even, &small]).contains("the odd half is 40×40×39"));
    }

    #[test]
    fn heat_only_softens_and_has_an_end() {
        assert_eq!([heat(0.5, 1.0), heat(1.0, 1.0), heat(3.0, 1.0), heat(1e9, 1.0)], [1.0, 1.0, 3.0, 8.0]);
    }
}
