//! The whole segmentation in one go: from a volume and strokes to labels.

use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

use super::classify::learn;
use super::decide::{LacPrior, Smoother};
use super::samples::check_classes;
use super::{
    Classifier, FeatureCache, Prediction, Recipe, Scribbles, SegmentError, SupervoxelMethod, TrainParams,
};
use crate::base::Progress;
use crate::volume::Volume;

/// What the user may choose about a whole segmentation; the defaults are what the benchmarks found best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegmentParams {
    /// Edge of a supervoxel in voxels, 2 to 64; chosen by the program where it is not given.
    pub region_voxels: Option<f32>,
    /// How supervoxels are found.
    pub regions: SupervoxelMethod,
    /// Trees of each forest, 1 to 10 000.
    pub trees: u32,
    /// Rounds in which the forest also sees what the neighbourhood was taken for, 0 to 5.
    pub context_rounds: u32,
    /// How much neighbouring regions want the same class, 0 (not) to 100.
    pub smooth: f32,
    /// How neighbours are brought to agree.
    pub smoother: Smoother,
    /// Greatest tilt of the scan to either side in degrees, 10 to 90; none where it was turned all the way.
    pub tilt_range_deg: Option<f32>,
    /// What is known of the absorption of classes: `class:mean:sd` in 1/µm, separated by commas.
    pub lac_priors: String,
    /// How much that counts, 0 (not) to 10.
    pub lac_weight: f32,
}

impl Default for SegmentParams {
    fn default() -> Self {
        let train = TrainParams::default();
        Self {
            region_voxels: None,
            regions: SupervoxelMethod::Slic,
            trees: train.forest.trees,
            context_rounds: train.context_rounds,
            smooth: train.decision.smoothness,
            smoother: train.decision.smoother,
            tilt_range_deg: None,
            lac_priors: String::new(),
            lac_weight: train.decision.lac_weight,
        }
    }
}

impl SegmentParams {
    /// How regions and features are made.
    pub fn recipe(&self) -> Recipe {
        let mut recipe = Recipe::default();
        recipe.supervoxels.method = self.regions;
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
        let bounded = |name, value: f32, low: f32, high: f32, range| {
            if (low..=high).contains(&value) {
                Ok(value)
            } else {
                Err(SegmentError::Parameter { name, value: f64::from(value), range })
            }
        };
        let decision = &mut params.decision;
        decision.smoothness = bounded("smooth", self.smooth, 0.0, 100.0, "0 to 100")?;
        decision.smoother = self.smoother;
        decision.tilt_range_deg = match self.tilt_range_deg {
            Some(tilt) => Some(bounded("tilt_range_deg", tilt, 10.0, 90.0, "10 to 90 degrees")?),
            None => None,
        };
        decision.lac_priors = LacPrior::list(&self.lac_priors)?;
        decision.lac_weight = bounded("lac_weight", self.lac_weight, 0.0, 10.0, "0 to 10")?;
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
/// painted classes, 0 only outside `mask`. Where there is a `base`, the strokes are added to what it learnt on other
/// volumes: see [`refine`].
///
/// # Errors
/// [`SegmentError`]: shapes that differ, values that are not finite, no class or only one painted, cancel.
pub fn segment(
    progress: &Progress,
    volume: &Volume<f32>,
    scribbles: ArrayView3<'_, u16>,
    mask: Option<ArrayView3<'_, bool>>,
    base: Option<&Classifier>,
    params: &SegmentParams,
    seed: u64,
) -> Result<Segmentation, SegmentError> {
    segment_with(progress, volume, scribbles, &Aids { mask, base, halves: None }, params, seed)
}

/// What may help a segmentation along.
#[derive(Debug, Clone, Copy, Default)]
pub struct Aids<'a> {
    /// Where there is anything to segment.
    pub mask: Option<ArrayView3<'a, bool>>,
    /// What the strokes are added to: see [`refine`].
    pub base: Option<&'a Classifier>,
    /// The volume from half of the views each: see [`FeatureCache::build_with_halves`].
    pub halves: Option<[&'a Volume<f32>; 2]>,
}

/// [`segment`] with all that may help.
///
/// # Errors
/// Those of [`segment`]; [`SegmentError::SameHalves`], [`SegmentError::Halves`] where halves do not fit.
pub fn segment_with(
    progress: &Progress,
    volume: &Volume<f32>,
    scribbles: ArrayView3<'_, u16>,
    aids: &Aids<'_>,
    params: &SegmentParams,
    seed: u64,
) -> Result<Segmentation, SegmentError> {
    let Aids { mask, base, halves } = *aids;
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
    check_classes(scribbles.voxels().iter().map(|v| v.1), base.map_or(&[], |base| &base.classes))?;
    let recipe = base.map_or_else(|| params.recipe(), |base| base.recipe_for(volume));
    let cache = FeatureCache::build_with_halves(progress, volume, halves, mask, &recipe)?;
    let (classifier, prediction) = learn(progress, &cache, &scribbles, base, &training, seed)?;
    let labels = prediction.labels(&cache.regions, Some(&scribbles));
    Ok(Segmentation { labels, cache, prediction, classifier })
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
