//! From a few strokes to a label for every voxel: the pipeline of supervoxels, features and forests.
//!
//! [`FeatureCache`] holds what does not change while the user paints: regions, their features, their
//! neighbours. [`train`] and [`predict`] work on it and are quick, so that a window can run both after every
//! stroke; [`segment`] does all of it once.
//!
//! 1. The painted voxels of a region become a training sample for each class painted there.
//! 2. A first forest gives every region class probabilities.
//! 3. Each further round adds their smoothed neighbourhood (see [`super::context`]) to the features
//!    and trains another forest. Painted regions enter with what trees say that have not seen their stroke.
//! 4. The class of a region is the most probable one; the uncertainty is 1 minus the margin between the two
//!    most probable. A painted voxel always keeps the class it was painted with.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::context::ContextGrid;
use super::forest::{Forest, ForestParams, Samples, Trained};
use super::regions::{Adjacency, Place};
use super::{FeatureParams, RegionFeatures, Regions, SegmentError, SlicParams, region_features, supervoxels};
use crate::base::{Cancelled, Progress, Unit};
use crate::volume::Volume;

/// How regions and their features are made: the part of a classifier that another volume must share.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Supervoxels.
    pub supervoxels: SlicParams,
    /// Features.
    pub features: FeatureParams,
}

/// How the forests are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainParams {
    /// The forest of each round.
    pub forest: ForestParams,
    /// Rounds with context after the first, 0 to 5.
    pub context_rounds: u32,
}

impl Default for TrainParams {
    fn default() -> Self {
        Self { forest: ForestParams::default(), context_rounds: 2 }
    }
}

/// Regions of a volume and everything about them that strokes do not change.
#[derive(Debug, Clone)]
pub struct FeatureCache {
    /// The regions.
    pub regions: Regions,
    /// Size and place of each.
    pub places: Vec<Place>,
    /// Who touches whom.
    pub adjacency: Adjacency,
    /// Features of each.
    pub features: RegionFeatures,
    /// What they were made with.
    pub recipe: Recipe,
    /// Unit of the volume.
    pub unit: Unit,
    /// Mean edge of a voxel in µm; `None` where unknown.
    pub voxel_um: Option<f64>,
    grid: ContextGrid,
}

impl FeatureCache {
    /// Makes regions and features of a volume, inside `mask` where one is given.
    ///
    /// # Errors
    /// Those of [`supervoxels`] and [`region_features`].
    pub fn build(
        progress: &Progress,
        volume: &Volume<f32>,
        mask: Option<ArrayView3<'_, bool>>,
        recipe: &Recipe,
    ) -> Result<Self, SegmentError> {
        let regions = supervoxels(progress, volume, mask, &recipe.supervoxels)?;
        let places = regions.places(progress)?;
        let adjacency = regions.adjacency(progress)?;
        let features = region_features(progress, volume, &regions, &places, &adjacency, &recipe.features)?;
        let voxel = volume.voxel_um_or_one();
        let mean = (voxel[0] * voxel[1] * voxel[2]).cbrt();
        let cell = voxel.map(|v| recipe.supervoxels.size_voxels * (mean / v) as f32);
        let grid = ContextGrid::new(progress, &places, volume.shape(), cell)?;
        let voxel_um = mean_edge(volume);
        Ok(Self {
            regions,
            places,
            adjacency,
            features,
            recipe: recipe.clone(),
            unit: volume.unit,
            voxel_um,
            grid,
        })
    }

    /// Bytes that building the cache of a volume of `n_voxels` takes at its peak, beyond the volume.
    pub fn peak_bytes(n_voxels: u64, recipe: &Recipe) -> u64 {
        let cell = f64::from(recipe.supervoxels.size_voxels).powi(3);
        let n_features =
            4 + 11 * recipe.features.fine_voxels.len() + 7 * recipe.features.coarse_voxels.len() + 6;
        // Labels, pieces and one more copy while supervoxels are joined; columns and rows of features; edges.
        let per_region = 8.0 * n_features as f64 + 14.0 * 8.0 + 200.0;
        n_voxels * 12 + (n_voxels as f64 / cell * per_region) as u64
    }
}

fn mean_edge(volume: &Volume<f32>) -> Option<f64> {
    volume.voxel_um.map(|v| (v[0] * v[1] * v[2]).cbrt())
}

/// What the user painted: voxel indices (x fastest) in increasing order, with a class from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scribbles {
    shape: [usize; 3],
    voxels: Vec<(usize, u16)>,
}

impl Scribbles {
    /// From a map of the volume's shape: 0 is unpainted, k is class k.
    pub fn from_map(map: ArrayView3<'_, u16>) -> Self {
        let (z, y, x) = map.dim();
        let voxels = map.iter().enumerate().filter(|(_, c)| **c > 0).map(|(i, c)| (i, *c)).collect();
        Self { shape: [z, y, x], voxels }
    }

    /// From painted voxels (z, y, x) with their class; the last one counts where a voxel occurs twice, and
    /// class 0 or a voxel outside the shape is left out.
    pub fn from_voxels(shape: [usize; 3], painted: impl IntoIterator<Item = ([usize; 3], u16)>) -> Self {
        let map: std::collections::BTreeMap<usize, u16> = painted
            .into_iter()
            .filter(|(zyx, class)| *class > 0 && (0..3).all(|a| zyx[a] < shape[a]))
            .map(|([z, y, x], class)| ((z * shape[1] + y) * shape[2] + x, class))
            .collect();
        Self { shape, voxels: map.into_iter().collect() }
    }

    /// Painted voxels as (index, class), in order.
    pub fn voxels(&self) -> &[(usize, u16)] {
        &self.voxels
    }

    /// Number of the stroke of every painted voxel: pieces of one class that touch, by a corner too.
    fn strokes(&self) -> Vec<u32> {
        let [_, ny, nx] = self.shape;
        let mut stroke: Vec<u32> = (0..self.voxels.len() as u32).collect();
        fn root(stroke: &mut [u32], mut i: usize) -> usize {
            while stroke[i] as usize != i {
                stroke[i] = stroke[stroke[i] as usize];
                i = stroke[i] as usize;
            }
            i
        }
        for i in 0..self.voxels.len() {
            let (index, class) = self.voxels[i];
            let (z, y, x) = (index / (ny * nx), index / nx % ny, index % nx);
            // Half of the 26 neighbours: those that come earlier.
            for k in 0..13 {
                let (dz, dy, dx) = (k / 9, k / 3 % 3, k % 3);
                let Some(z) = (z + dz).checked_sub(1) else { continue };
                let (Some(y), Some(x)) = ((y + dy).checked_sub(1), (x + dx).checked_sub(1)) else { continue };
                if y >= ny || x >= nx {
                    continue;
                }
                if let Ok(j) = self.voxels.binary_search_by_key(&((z * ny + y) * nx + x), |v| v.0)
                    && self.voxels[j].1 == class
                {
                    let (a, b) = (root(&mut stroke, i), root(&mut stroke, j));
                    stroke[a.max(b)] = a.min(b) as u32;
                }
            }
        }
        (0..stroke.len()).map(|i| root(&mut stroke, i) as u32).collect()
    }
}

/// A trained classifier: it can label every volume of the same unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    /// How regions and features are made.
    pub recipe: Recipe,
    /// Class ids in the order of the forests' classes.
    pub classes: Vec<u16>,
    /// Unit of the values it was trained on.
    pub unit: Unit,
    /// Mean edge in µm of the voxels it was trained on; `None` where unknown.
    pub voxel_um: Option<f64>,
    /// Fraction of painted regions that trees which have not seen their stroke label as painted, every class
    /// weighing the same, 0 to 1: an honest estimate on the strokes it was trained with.
    pub held_out_accuracy: f32,
    /// The forest of each round.
    forests: Vec<Forest>,
}

/// What a classifier says of every region.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Class ids in the order of the probabilities.
    pub classes: Vec<u16>,
    /// Probability of every class, region after region.
    pub probabilities: Vec<f32>,
}

/// One painted region and class.
struct Sample {
    region: u32,
    class: u16,
    stroke: u32,
    n: u32,
}

fn samples(cache: &FeatureCache, scribbles: &Scribbles) -> Result<(Vec<Sample>, Vec<u16>), SegmentError> {
    let shape = cache.regions.shape();
    if scribbles.shape != shape {
        return Err(SegmentError::ShapeMismatch {
            what: "the scribble map",
            expected: shape,
            found: scribbles.shape,
        });
    }
    let ids = cache.regions.values();
    let mut painted: Vec<(u32, u16, u32)> = scribbles
        .voxels
        .iter()
        .zip(scribbles.strokes())
        .filter(|((index, _), _)| ids[*index] > 0)
        .map(|((index, class), stroke)| (ids[*index] - 1, *class, stroke))
        .collect();
    painted.sort_unstable();
    let classes = check_classes(painted.iter().map(|p| p.1))?;
    let position = |class: u16| classes.iter().position(|c| *c == class).unwrap_or(0) as u16;
    let samples = painted
        .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
        .map(|run| Sample {
            region: run[0].0,
            class: position(run[0].1),
            stroke: run[0].2,
            n: run.len() as u32,
        })
        .collect();
    Ok((samples, classes))
}

/// The painted classes in increasing order; an error if there are fewer than two.
fn check_classes(painted: impl Iterator<Item = u16>) -> Result<Vec<u16>, SegmentError> {
    let mut classes: Vec<u16> = painted.collect();
    classes.sort_unstable();
    classes.dedup();
    match classes[..] {
        [] => Err(SegmentError::NoScribbles),
        [class] => Err(SegmentError::OneClass { class }),
        _ => Ok(classes),
    }
}

/// Trains a classifier on the painted regions and predicts every region with it.
///
/// # Errors
/// [`SegmentError::ShapeMismatch`], [`SegmentError::NoScribbles`], [`SegmentError::OneClass`],
/// [`SegmentError::Cancelled`].
pub fn train(
    progress: &Progress,
    cache: &FeatureCache,
    scribbles: &Scribbles,
    params: &TrainParams,
    seed: u64,
) -> Result<(Classifier, Prediction), SegmentError> {
    let (samples, classes) = samples(cache, scribbles)?;
    let k = classes.len();
    let class: Vec<u16> = samples.iter().map(|s| s.class).collect();
    let weight: Vec<f32> = samples.iter().map(|s| (s.n as f32).sqrt()).collect();
    let stroke: Vec<u32> = samples.iter().map(|s| s.stroke).collect();
    let mut forests = Vec::new();
    let mut probabilities: Vec<f32> = Vec::new();
    let mut context: Vec<f32> = Vec::new();
    let mut held_out_accuracy = 0.0;
    progress.phase("Training and predicting", u64::from(params.context_rounds) + 1);
    for round in 0..=params.context_rounds {
        let with_context = Rows::new(&cache.features, &context);
        let features: Vec<f32> = samples.iter().flat_map(|s| with_context.row(s.region as usize)).collect();
        let training = Samples {
            features: &features,
            n_features: with_context.n_features(),
            classes: &class,
            weights: &weight,
            groups: &stroke,
            n_classes: k,
        };
        let Trained { forest, held_out } =
            Forest::train(progress, &training, &params.forest, seed.wrapping_add(u64::from(round)))?;
        held_out_accuracy = balanced_accuracy(&class, &held_out, k);
        probabilities = with_context.predict(progress, &forest)?;
        forests.push(forest);
        if round < params.context_rounds {
            for (sample, held_out) in samples.iter().zip(held_out.chunks_exact(k)) {
                probabilities[sample.region as usize * k..][..k].copy_from_slice(held_out);
            }
            context = cache.grid.features(progress, &probabilities, k)?;
        }
        progress.advance(1);
    }
    let classifier = Classifier {
        recipe: cache.recipe.clone(),
        classes: classes.clone(),
        unit: cache.unit,
        voxel_um: cache.voxel_um,
        held_out_accuracy,
        forests,
    };
    Ok((classifier, Prediction { classes, probabilities }))
}

/// Mean over the classes of the fraction of samples that are predicted as painted.
fn balanced_accuracy(classes: &[u16], probabilities: &[f32], k: usize) -> f32 {
    let mut counts = vec![(0u32, 0u32); k];
    for (class, p) in classes.iter().zip(probabilities.chunks_exact(k)) {
        let (right, all) = &mut counts[*class as usize];
        *all += 1;
        *right += u32::from(best_two(p).0 == *class as usize);
    }
    let present: Vec<f32> =
        counts.iter().filter(|c| c.1 > 0).map(|(right, all)| *right as f32 / *all as f32).collect();
    present.iter().sum::<f32>() / present.len().max(1) as f32
}

impl Classifier {
    /// The recipe for a volume: lengths in voxels follow its voxel size, so that they stay the same in µm.
    pub fn recipe_for(&self, volume: &Volume<f32>) -> Recipe {
        let mut recipe = self.recipe.clone();
        if let (Some(own), Some(other)) = (self.voxel_um, mean_edge(volume)) {
            let factor = own / other;
            // A rounding error of a voxel size read from another format must not change the result.
            if (factor - 1.0).abs() > 1e-3 {
                let slic = &mut recipe.supervoxels;
                slic.size_voxels = (slic.size_voxels * factor as f32).clamp(2.0, 64.0);
                slic.smoothing_voxels = (slic.smoothing_voxels * factor as f32).min(10.0);
                let scale = |list: &mut Vec<f64>, low: f64, high: f64| {
                    list.iter_mut().for_each(|s| *s = (*s * factor).clamp(low, high));
                };
                scale(&mut recipe.features.fine_voxels, 0.3, 8.0);
                scale(&mut recipe.features.coarse_voxels, 2.0, 200.0);
            }
        }
        recipe
    }
}

/// Predicts every region of a volume with a classifier trained before, maybe on another volume.
///
/// # Errors
/// [`SegmentError::Unit`] if the volume's unit is another, [`SegmentError::Recipe`] if the cache was not made
/// with [`Classifier::recipe_for`], [`SegmentError::Cancelled`].
pub fn predict(
    progress: &Progress,
    cache: &FeatureCache,
    classifier: &Classifier,
) -> Result<Prediction, SegmentError> {
    if classifier.unit != cache.unit {
        return Err(SegmentError::Unit { trained: classifier.unit, found: cache.unit });
    }
    let k = classifier.classes.len();
    let mut probabilities = Vec::new();
    let mut context = Vec::new();
    progress.phase("Predicting", classifier.forests.len() as u64);
    for (round, forest) in classifier.forests.iter().enumerate() {
        if round > 0 {
            context = cache.grid.features(progress, &probabilities, k)?;
        }
        let rows = Rows::new(&cache.features, &context);
        if forest.n_classes() != k || forest.n_features() != rows.n_features() {
            return Err(SegmentError::Recipe { expected: forest.n_features(), found: rows.n_features() });
        }
        probabilities = rows.predict(progress, forest)?;
        progress.advance(1);
    }
    Ok(Prediction { classes: classifier.classes.clone(), probabilities })
}

/// What the user may choose about a whole segmentation; the defaults are what the benchmarks found best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegmentParams {
    /// Edge of a supervoxel in voxels, 2 to 64; chosen by the program where it is not given.
    pub region_voxels: Option<f32>,
    /// Trees of each forest, 1 to 10 000.
    pub trees: u32,
    /// Rounds in which the forest also sees what the neighbourhood was taken for, 0 to 5.
    pub context_rounds: u32,
}

impl Default for SegmentParams {
    fn default() -> Self {
        let train = TrainParams::default();
        Self { region_voxels: None, trees: train.forest.trees, context_rounds: train.context_rounds }
    }
}

impl SegmentParams {
    /// How regions and features are made.
    pub fn recipe(&self) -> Recipe {
        let mut recipe = Recipe::default();
        if let Some(size) = self.region_voxels {
            recipe.supervoxels.size_voxels = size;
        }
        recipe
    }

    /// How the forests are trained.
    ///
    /// # Errors
    /// [`SegmentError::Parameter`] for a value out of its range.
    pub fn training(&self) -> Result<TrainParams, SegmentError> {
        let range = |name, value: u32, low, high, range| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(SegmentError::Parameter { name, value: f64::from(value), range })
            }
        };
        range("trees", self.trees, 1, 10_000, "1 to 10 000")?;
        range("context_rounds", self.context_rounds, 0, 5, "0 to 5")?;
        let mut params = TrainParams { context_rounds: self.context_rounds, ..TrainParams::default() };
        params.forest.trees = self.trees;
        Ok(params)
    }
}

/// A whole segmentation: labels, what they rest on, and the classifier for the next volume.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// Class of every voxel, shape (z, y, x); 0 outside the mask only.
    pub labels: Array3<u16>,
    /// Regions and features.
    pub cache: FeatureCache,
    /// Probabilities of the regions.
    pub prediction: Prediction,
    /// The classifier.
    pub classifier: Classifier,
}

/// Segments a volume from strokes: supervoxels, features, training and prediction in one go.
///
/// `scribbles` has the volume's shape: 0 is unpainted, k is class k. Every voxel of the result gets one of the
/// painted classes, 0 only outside `mask`.
///
/// # Errors
/// [`SegmentError`]: shapes that differ, values that are not finite, no class or only one painted, cancel.
pub fn segment(
    progress: &Progress,
    volume: &Volume<f32>,
    scribbles: ArrayView3<'_, u16>,
    mask: Option<ArrayView3<'_, bool>>,
    params: &SegmentParams,
    seed: u64,
) -> Result<Segmentation, SegmentError> {
    let training = params.training()?;
    let (z, y, x) = scribbles.dim();
    let scribbles = Scribbles::from_map(scribbles);
    // What is wrong with the strokes is said before the long work.
    if [z, y, x] != volume.shape() {
        return Err(SegmentError::ShapeMismatch {
            what: "the scribble map",
            expected: volume.shape(),
            found: [z, y, x],
        });
    }
    check_classes(scribbles.voxels.iter().map(|v| v.1))?;
    let cache = FeatureCache::build(progress, volume, mask, &params.recipe())?;
    let (classifier, prediction) = train(progress, &cache, &scribbles, &training, seed)?;
    let labels = prediction.labels(&cache.regions, Some(&scribbles));
    Ok(Segmentation { labels, cache, prediction, classifier })
}

/// Feature rows and context rows side by side.
struct Rows<'a> {
    features: &'a RegionFeatures,
    context: &'a [f32],
    n_context: usize,
}

impl<'a> Rows<'a> {
    fn new(features: &'a RegionFeatures, context: &'a [f32]) -> Self {
        Self { features, context, n_context: context.len() / features.n_regions.max(1) }
    }

    fn n_features(&self) -> usize {
        self.features.n_features + self.n_context
    }

    fn row(&self, region: usize) -> impl Iterator<Item = f32> + '_ {
        let context = &self.context[region * self.n_context..][..self.n_context];
        self.features.row(region).iter().chain(context).copied()
    }

    fn predict(&self, progress: &Progress, forest: &Forest) -> Result<Vec<f32>, Cancelled> {
        if self.n_context == 0 {
            return forest.predict(progress, &self.features.values);
        }
        const BLOCK: usize = 256;
        let k = forest.n_classes();
        let mut out = vec![0.0; self.features.n_regions * k];
        out.par_chunks_mut(BLOCK * k).enumerate().try_for_each_init(Vec::new, |rows, (block, out)| {
            progress.check()?;
            rows.clear();
            for i in 0..out.len() / k {
                rows.extend(self.row(block * BLOCK + i));
            }
            forest.predict_rows(rows, out);
            Ok::<_, Cancelled>(())
        })?;
        Ok(out)
    }
}

impl Prediction {
    /// Labels of every voxel; 0 outside the mask. Painted voxels keep what was painted.
    pub fn labels(&self, regions: &Regions, scribbles: Option<&Scribbles>) -> Array3<u16> {
        let k = self.classes.len();
        let class: Vec<u16> =
            self.probabilities.chunks_exact(k).map(|p| self.classes[best_two(p).0]).collect();
        let mut labels = regions.ids.map(|id| if *id > 0 { class[*id as usize - 1] } else { 0 });
        if let (Some(scribbles), Some(labels)) = (scribbles, labels.as_slice_mut()) {
            for (index, class) in scribbles.voxels() {
                if let Some(label) = labels.get_mut(*index).filter(|label| **label > 0) {
                    *label = *class;
                }
            }
        }
        labels
    }

    /// Uncertainty of every voxel, 0 to 1: that of its region; 0 outside the mask.
    pub fn uncertainty_volume(&self, regions: &Regions) -> Array3<f32> {
        spread_out(regions, &self.uncertainty())
    }

    /// Probability of one of the classes for every voxel: that of its region; 0 outside the mask. `None` for
    /// a class that was not painted.
    pub fn probability_volume(&self, regions: &Regions, class: u16) -> Option<Array3<f32>> {
        let position = self.classes.iter().position(|c| *c == class)?;
        let of_region: Vec<f32> =
            self.probabilities.chunks_exact(self.classes.len()).map(|p| p[position]).collect();
        Some(spread_out(regions, &of_region))
    }

    /// Uncertainty of every region: 1 minus the margin between its two most probable classes, 0 to 1.
    pub fn uncertainty(&self) -> Vec<f32> {
        self.probabilities.chunks_exact(self.classes.len()).map(|p| 1.0 - best_two(p).1).collect()
    }
}

/// Gives every voxel the value of its region.
fn spread_out(regions: &Regions, values: &[f32]) -> Array3<f32> {
    regions.ids.map(|id| id.checked_sub(1).and_then(|r| values.get(r as usize)).copied().unwrap_or(0.0))
}

/// Index of the greatest value (the first among equals) and its lead over the next.
fn best_two(p: &[f32]) -> (usize, f32) {
    let (mut best, mut first, mut second) = (0, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (i, p) in p.iter().enumerate() {
        if *p > first {
            (second, first, best) = (first, *p, i);
        } else if *p > second {
            second = *p;
        }
    }
    (best, if second.is_finite() { first - second } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::test_data;

    /// Strokes along x in three slices of [`test_data::balls`], class + 1.
    fn strokes(truth: &Array3<u16>) -> Array3<u16> {
        let (nz, ny, nx) = truth.dim();
        let mut map = Array3::zeros(truth.dim());
        for z in [nz / 2 - 3, nz / 2, nz / 2 + 3] {
            for x in 2..nx - 2 {
                map[[z, ny / 2, x]] = truth[[z, ny / 2, x]] + 1;
            }
        }
        map
    }

    fn dice(a: &Array3<u16>, b: &Array3<u16>, class: u16) -> f64 {
        let both = a.iter().zip(b).filter(|(a, b)| **a == class && **b == class).count();
        let each = a.iter().chain(b).filter(|v| **v == class).count();
        2.0 * both as f64 / each.max(1) as f64
    }

    fn params() -> SegmentParams {
        SegmentParams { region_voxels: Some(3.5), trees: 40, ..SegmentParams::default() }
    }

    fn run(volume: &Volume<f32>, map: &Array3<u16>, seed: u64) -> Result<Segmentation, SegmentError> {
        segment(&Progress::new(), volume, map.view(), None, &params(), seed)
    }

    #[test]
    fn balls_in_noise_are_found_from_three_painted_slices() {
        let shape = [48; 3];
        let truth = test_data::balls(shape);
        let found = run(&test_data::noisy_balls(shape, 11), &strokes(&truth), 1).unwrap();
        let truth = truth.mapv(|c| c + 1);
        for (class, least) in [(1, 0.97), (2, 0.93), (3, 0.85)] {
            // Seen: 0.99, 0.97, 0.9 to 0.95. Thresholds on single voxels reach 0.8 for class 2.
            let dice = dice(&found.labels, &truth, class);
            assert!(dice >= least, "class {class}: Dice {dice:.3}");
        }
    }

    #[test]
    fn every_voxel_gets_a_painted_class_and_strokes_are_kept() {
        let shape = [24; 3];
        let truth = test_data::balls(shape);
        let mut map = strokes(&truth);
        map.mapv_inplace(|c| c * 5);
        map[[0, 0, 0]] = 15;
        let mask = Array3::from_shape_fn(shape, |(z, _, _)| z < 20);
        let volume = test_data::noisy_balls(shape, 3);
        let found = segment(&Progress::new(), &volume, map.view(), Some(mask.view()), &params(), 1).unwrap();
        assert_eq!(found.prediction.classes, vec![5, 10, 15]);
        for ((zyx, label), inside) in found.labels.indexed_iter().zip(&mask) {
            assert_eq!(*inside, [5, 10, 15].contains(label), "{zyx:?} is {label}");
            assert!(!inside || map[zyx] == 0 || map[zyx] == *label, "stroke at {zyx:?} is lost");
        }
        let uncertainty = found.prediction.uncertainty_volume(&found.cache.regions);
        assert!(uncertainty.iter().all(|u| (0.0..=1.0).contains(u)));
        let sum = [5, 10, 15]
            .map(|c| found.prediction.probability_volume(&found.cache.regions, c).unwrap()[[3, 4, 5]])
            .iter()
            .sum::<f32>();
        assert!((sum - 1.0).abs() < 1e-5, "probabilities sum to {sum}");
        assert_eq!(found.prediction.probability_volume(&found.cache.regions, 6), None);
    }

    #[test]
    fn same_seed_same_bits_for_any_thread_count() {
        let shape = [24, 20, 28];
        let (volume, map) = (test_data::noisy_balls(shape, 3), strokes(&test_data::balls(shape)));
        let run = |n, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| run(&volume, &map, seed).unwrap())
        };
        let (one, three, other) = (run(1, 7), run(3, 7), run(1, 8));
        assert_eq!(one.labels, three.labels);
        assert_eq!(one.prediction, three.prediction);
        assert_ne!(one.prediction, other.prediction);
    }

    #[test]
    fn a_saved_classifier_labels_another_volume_and_refuses_another_unit() {
        let shape = [32; 3];
        let truth = test_data::balls(shape);
        let found = run(&test_data::noisy_balls(shape, 3), &strokes(&truth), 1).unwrap();
        let text = serde_json::to_string(&found.classifier).unwrap();
        let classifier: Classifier = serde_json::from_str(&text).unwrap();
        assert_eq!(classifier, found.classifier);
        let progress = Progress::new();
        let mut next = test_data::noisy_balls(shape, 99);
        let cache = FeatureCache::build(&progress, &next, None, &classifier.recipe_for(&next)).unwrap();
        let labels = predict(&progress, &cache, &classifier).unwrap().labels(&cache.regions, None);
        let truth = truth.mapv(|c| c + 1);
        assert!(dice(&labels, &truth, 2) > 0.9, "Dice {}", dice(&labels, &truth, 2));
        next.unit = Unit::Absorbance;
        let cache = FeatureCache::build(&progress, &next, None, &classifier.recipe).unwrap();
        let error = predict(&progress, &cache, &classifier).unwrap_err().to_string();
        assert!(error.contains("1/um") && error.contains("absorbance"), "{error}");
        next.unit = Unit::PerUm;
        next.voxel_um = Some([0.01; 3]);
        assert_eq!(classifier.recipe_for(&next).supervoxels.size_voxels, 7.0);
    }

    #[test]
    fn bad_inputs_get_one_clear_sentence() {
        let shape = [12; 3];
        let mut volume = test_data::noisy_balls(shape, 3);
        let map = strokes(&test_data::balls(shape));
        let text = |r: Result<Segmentation, SegmentError>| r.unwrap_err().to_string();
        assert!(text(run(&volume, &Array3::zeros(shape), 1)).contains("no scribbles"));
        assert!(text(run(&volume, &map.mapv(|c| c.min(1) * 4), 1)).contains("only class 4"));
        assert!(text(run(&volume, &Array3::ones((12, 12, 13)), 1)).contains("12×12×13"));
        volume.data[[2, 3, 4]] = f32::NAN;
        assert!(text(run(&volume, &map, 1)).contains("(2, 3, 4)"));
        volume.data[[2, 3, 4]] = 0.1;
        let progress = Progress::new();
        progress.cancel();
        let error = segment(&progress, &volume, map.view(), None, &params(), 1).unwrap_err();
        assert_eq!(error, SegmentError::Cancelled(Cancelled));
    }

    #[test]
    fn strokes_are_pieces_that_touch_and_the_last_paint_counts() {
        let painted = [
            ([0, 0, 0], 1),
            ([0, 1, 1], 1),
            ([1, 2, 2], 1),
            ([1, 2, 3], 2),
            ([3, 3, 3], 1),
            ([1, 2, 3], 3),
            ([9, 9, 9], 1),
        ];
        let scribbles = Scribbles::from_voxels([4; 3], painted);
        assert_eq!(scribbles.voxels(), &[(0, 1), (5, 1), (26, 1), (27, 3), (63, 1)]);
        assert_eq!(scribbles.strokes(), vec![0, 0, 0, 3, 4]);
    }
}
