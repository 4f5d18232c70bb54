//! From a few strokes to a label for every voxel: the pipeline of supervoxels, features and forests.
//!
//! [`FeatureCache`] holds what does not change while the user paints: regions, their features, their
//! neighbours. [`train`] and [`predict`] work on it and are quick, so that a window can run both after every
//! stroke; [`segment`] does all of it once.
//!
//! 1. The painted voxels of a region become a training sample for each class painted there, and neighbours that
//!    absorb alike join in (see [`super::grow`]).
//! 2. A first forest votes for every region. Votes become probabilities (see [`super::decide`]): classes that
//!    are common in the volume weigh more, and neighbours agree.
//! 3. Each further round adds their smoothed neighbourhood (see [`super::context`]) to the features
//!    and trains another forest. Painted regions enter with what trees say that have not seen their stroke.
//! 4. The class of a region is the most probable one; the uncertainty is 1 minus the margin between the two
//!    most probable. Where classes meet, voxels are decided one by one (see [`super::polish`]). A painted voxel
//!    always keeps the class it was painted with.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::cache::mean_edge;
use super::calibrate;
use super::context::Spread;
use super::decide::{DecisionParams, LacPrior, Smoother, Votes, heard, weigh};
use super::forest::{Forest, ForestParams, Samples, Trained};
use super::grow::grow;
use super::learnt::{Known, Learnt};
use super::noise;
use super::polish::polish;
use super::prediction::best_two;
use super::random_field::RandomField;
use super::{FeatureCache, Prediction, Recipe, RegionFeatures, Scribbles, SegmentError, SupervoxelMethod};
use crate::base::{Cancelled, Progress, Unit};
use crate::volume::Volume;

/// How the forests are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainParams {
    /// The forest of each round.
    pub forest: ForestParams,
    /// Rounds with context after the first, 0 to 5.
    pub context_rounds: u32,
    /// How votes become classes.
    pub decision: DecisionParams,
}

impl Default for TrainParams {
    fn default() -> Self {
        Self { forest: ForestParams::default(), context_rounds: 2, decision: DecisionParams::default() }
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
    /// How votes become classes.
    #[serde(default)]
    decision: DecisionParams,
    /// What makes probabilities mean what they say (see [`super::calibrate`]).
    #[serde(default = "one")]
    temperature: f32,
    /// The middle noise of painted regions, where halves told it.
    #[serde(default)]
    noise: Option<f32>,
    /// The forest of each round.
    forests: Vec<Forest>,
    /// What it learnt from.
    #[serde(default)]
    learnt: Learnt,
}

fn one() -> f32 {
    1.0
}

/// One painted region and class.
pub(super) struct Sample {
    pub(super) region: u32,
    pub(super) class: u16,
    pub(super) stroke: u32,
    /// Painted voxels; 0 where a neighbour of a painted region stands in.
    pub(super) n: u32,
}

impl Sample {
    /// How much it counts in training: voxels of a region are no independent samples.
    pub(super) fn weight(&self) -> f32 {
        (self.n.max(1) as f32).sqrt()
    }
}

/// The painted regions, and the painted classes with those that are known anyway, in increasing order.
pub(super) fn samples(
    cache: &FeatureCache,
    scribbles: &Scribbles,
    known: &[u16],
) -> Result<(Vec<Sample>, Vec<u16>), SegmentError> {
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
        .voxels()
        .iter()
        .zip(scribbles.strokes())
        .filter(|((index, _), _)| ids[*index] > 0)
        .map(|((index, class), stroke)| (ids[*index] - 1, *class, stroke))
        .collect();
    painted.sort_unstable();
    let classes = check_classes(painted.iter().map(|p| p.1), known)?;
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

/// The painted classes and those that are known anyway, in increasing order; an error if none is painted or there are
/// fewer than two in all.
fn check_classes(painted: impl Iterator<Item = u16>, known: &[u16]) -> Result<Vec<u16>, SegmentError> {
    let mut classes: Vec<u16> = painted.collect();
    if !classes.is_empty() {
        classes.extend_from_slice(known);
    }
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
    learn(progress, cache, scribbles, None, params, seed)
}

/// Trains on the painted regions along with all that a classifier learnt on other volumes, and predicts every region.
///
/// One stroke may be enough, and classes may be painted that the classifier does not know yet. What was painted here
/// counts four times as much as what was learnt elsewhere. `cache` is made with [`Classifier::recipe_for`]; the rounds
/// are those of the classifier.
///
/// # Errors
/// Those of [`train`]; [`SegmentError::Unit`], [`SegmentError::Recipe`], [`SegmentError::NothingLearnt`].
pub fn refine(
    progress: &Progress,
    cache: &FeatureCache,
    scribbles: &Scribbles,
    base: &Classifier,
    params: &TrainParams,
    seed: u64,
) -> Result<(Classifier, Prediction), SegmentError> {
    learn(progress, cache, scribbles, Some(base), params, seed)
}

fn learn(
    progress: &Progress,
    cache: &FeatureCache,
    scribbles: &Scribbles,
    base: Option<&Classifier>,
    params: &TrainParams,
    seed: u64,
) -> Result<(Classifier, Prediction), SegmentError> {
    let (samples, classes) = samples(cache, scribbles, base.map_or(&[], |base| &base.classes))?;
    let k = classes.len();
    let samples = grow(cache, samples);
    let mut class: Vec<u16> = samples.iter().map(|s| s.class).collect();
    let mut weight: Vec<f32> = samples.iter().map(Sample::weight).collect();
    let mut stroke: Vec<u32> = samples.iter().map(|s| s.stroke).collect();
    let is_painted: Vec<bool> = samples.iter().map(|s| s.n > 0).collect();
    let painted: Vec<u32> = samples.iter().map(|s| s.region).collect();
    if let Some(base) = base.filter(|base| base.noise.is_some() != cache.noise.is_some()) {
        return Err(SegmentError::Halves { trained: base.noise.is_some() });
    }
    let known = base.map(|base| base.known(cache.unit, &classes, 1 + max_of(&stroke))).transpose()?;
    let mut n_context_rounds = params.context_rounds;
    if let (Some(known), Some(base)) = (&known, base) {
        class.extend_from_slice(&known.class);
        weight.extend_from_slice(&known.weight);
        stroke.extend_from_slice(&known.stroke);
        n_context_rounds = base.forests.len().saturating_sub(1) as u32;
    }
    // Rows of the painted regions, and of what is known in the same round.
    let rows_of = |context: &[f32], round: u32, here: &[f32]| {
        let mut rows =
            Rows { features: &cache.features, regions: &painted, context }.gather(0..painted.len());
        if let Some(known) = &known {
            let more = known.rows(round as usize, here);
            let (expected, found) = (more.len() / known.class.len(), rows.len() / painted.len());
            if expected != found {
                return Err(SegmentError::Recipe { expected, found });
            }
            rows.extend_from_slice(&more);
        }
        Ok(rows)
    };
    let mut features = rows_of(&[], 0, &[])?;
    let (mut forests, mut rounds) = (Vec::new(), Vec::new());
    check_priors(&params.decision, cache.unit)?;
    let mut state = State::new(cache, &classes, params.decision.tilt_range_deg);
    let (mut held_out_accuracy, mut temperature) = (0.0, 1.0);
    progress.phase("Training and predicting", u64::from(n_context_rounds) + 1);
    for round in 0..=n_context_rounds {
        let training = Samples {
            features: &features,
            n_features: features.len() / class.len(),
            classes: &class,
            weights: &weight,
            groups: &stroke,
            n_classes: k,
        };
        let Trained { forest, mut held_out } =
            Forest::train(progress, &training, &params.forest, seed.wrapping_add(u64::from(round)))?;
        held_out.truncate(painted.len() * k);
        held_out_accuracy = balanced_accuracy(&class, &is_painted, &held_out, k);
        let weights = state.ask(progress, &forest, &params.decision)?;
        weigh(&mut held_out, &weights);
        for (region, row) in painted.iter().zip(held_out.chunks_exact_mut(k)) {
            params.decision.apply_priors(row, &classes, cache.features.row(*region as usize)[0]);
        }
        forests.push(forest);
        if round == n_context_rounds {
            temperature = state.temperature(&samples, &held_out, params.decision.smoothness);
        } else {
            for (region, held_out) in painted.iter().zip(held_out.chunks_exact(k)) {
                state.probabilities[*region as usize * k..][..k].copy_from_slice(held_out);
            }
            let spread = state.look_around(progress)?;
            let context = spread.rows(progress, &cache.grid, &state.probabilities, &painted)?;
            let stand_ins = known.as_ref().map_or(Vec::new(), |k| k.stand_ins(&state.probabilities));
            let here = spread.rows(progress, &cache.grid, &state.probabilities, &stand_ins)?;
            let next = rows_of(&context, round + 1, &here)?;
            rounds.push(std::mem::replace(&mut features, next));
        }
        progress.advance(1);
    }
    rounds.push(features);
    let painted = samples.iter().filter(|s| s.n > 0).map(|s| s.region);
    let noise = cache.noise.as_deref().and_then(|noise| noise::middle(noise, painted));
    let classifier = Classifier {
        recipe: cache.recipe.clone(),
        classes: classes.clone(),
        unit: cache.unit,
        voxel_um: cache.voxel_um,
        held_out_accuracy,
        decision: params.decision.clone(),
        temperature,
        noise,
        forests,
        learnt: Learnt::new(&classes, &class, &weight, &stroke, &rounds),
    };
    Ok((classifier, state.into_prediction(progress, [temperature, noise.unwrap_or(0.0)], &params.decision)?))
}

fn max_of(numbers: &[u32]) -> u32 {
    numbers.iter().copied().max().unwrap_or(0)
}

fn check_priors(params: &DecisionParams, unit: Unit) -> Result<(), SegmentError> {
    if params.lac_priors.is_empty() || unit == Unit::PerUm {
        Ok(())
    } else {
        Err(SegmentError::PriorUnit { found: unit })
    }
}

/// What is known of every region between two rounds.
struct State<'a> {
    cache: &'a FeatureCache,
    /// How much every entry of the adjacency counts: less across the missing wedge where the scan had one.
    affinity: Cow<'a, [f32]>,
    classes: &'a [u16],
    n_classes: usize,
    /// Regions that the next forest is asked about: all at first, then those that are not settled.
    open: Vec<u32>,
    /// Their context, row after row; empty at first.
    context: Vec<f32>,
    /// Votes of the last forest that was asked about a region.
    votes: Vec<f32>,
    probabilities: Vec<f32>,
}

impl<'a> State<'a> {
    fn new(cache: &'a FeatureCache, classes: &'a [u16], tilt_deg: Option<f32>) -> Self {
        let n = cache.features.n_regions;
        let n_classes = classes.len();
        Self {
            cache,
            affinity: cache.affinity_of(tilt_deg),
            classes,
            n_classes,
            open: (0..n as u32).collect(),
            context: Vec::new(),
            votes: vec![0.0; n * n_classes],
            probabilities: Vec::new(),
        }
    }

    /// Columns that a forest must know now.
    fn n_features(&self) -> usize {
        self.cache.features.n_features + self.context.len() / self.open.len().max(1)
    }

    /// Lets a forest vote and turns votes into probabilities; gives the weights of the classes.
    fn ask(
        &mut self,
        progress: &Progress,
        forest: &Forest,
        params: &DecisionParams,
    ) -> Result<Vec<f32>, Cancelled> {
        let Self { cache, n_classes, .. } = *self;
        let rows = Rows { features: &cache.features, regions: &self.open, context: &self.context };
        let votes = rows.predict(progress, forest)?;
        for (region, votes) in self.open.iter().zip(votes.chunks_exact(n_classes)) {
            self.votes[*region as usize * n_classes..][..n_classes].copy_from_slice(votes);
        }
        progress.check()?;
        let weights = Votes { values: &self.votes, n_classes }.weights(&cache.places, params.prior_strength);
        let mut weighted = self.votes.clone();
        weigh(&mut weighted, &weights);
        if !params.lac_priors.is_empty() {
            weighted.par_chunks_mut(n_classes).enumerate().for_each(|(r, row)| {
                params.apply_priors(row, self.classes, cache.features.row(r)[0]);
            });
        }
        progress.check()?;
        let weighted = Votes { values: &weighted, n_classes };
        if self.context.is_empty() {
            self.open = weighted.open(&cache.adjacency);
        }
        self.probabilities =
            weighted.agree(progress, &cache.adjacency, &self.affinity, &self.open, params.smoothness)?;
        Ok(weights)
    }

    /// Context of the open regions for the next forest.
    fn look_around(&mut self, progress: &Progress) -> Result<Spread, Cancelled> {
        let spread = self.cache.grid.spread_all(progress, &self.probabilities, self.n_classes)?;
        self.context = spread.rows(progress, &self.cache.grid, &self.probabilities, &self.open)?;
        Ok(spread)
    }

    /// The temperature that fits what is said of painted regions by trees that have not seen their stroke, after
    /// their neighbours have been heard.
    fn temperature(&self, samples: &[Sample], held_out: &[f32], smoothness: f32) -> f32 {
        let k = self.n_classes;
        let (mut said, mut classes) = (Vec::new(), Vec::new());
        for (sample, row) in samples.iter().zip(held_out.chunks_exact(k)).filter(|(s, _)| s.n > 0) {
            let from = said.len();
            said.extend_from_slice(row);
            let entries = self.cache.adjacency.entries_of(sample.region as usize);
            heard(
                &mut said[from..],
                self.cache.adjacency.of(sample.region as usize),
                &self.affinity[entries],
                &self.probabilities,
                smoothness,
            );
            classes.push(sample.class);
        }
        calibrate::temperature(&said, &classes, k)
    }

    /// Puts the labelling of least energy on top of the probabilities.
    fn settle(&mut self, progress: &Progress, params: &DecisionParams) -> Result<(), Cancelled> {
        let k = self.n_classes;
        let field =
            RandomField::new(self.cache, &self.probabilities, k, params.smoothness, params.tilt_range_deg);
        let found = field.solve(progress, &self.probabilities)?;
        for (row, class) in self.probabilities.chunks_exact_mut(k).zip(&found.classes) {
            if best_two(row).0 != *class as usize {
                row.iter_mut().for_each(|p| *p *= 0.5);
                row[*class as usize] += 0.5;
            }
        }
        Ok(())
    }

    fn into_prediction(
        mut self,
        progress: &Progress,
        [temperature, painted_noise]: [f32; 2],
        params: &DecisionParams,
    ) -> Result<Prediction, Cancelled> {
        if params.smoother == Smoother::RandomField {
            self.settle(progress, params)?;
        }
        let refined = if params.polish {
            polish(progress, self.cache, &self.probabilities, self.n_classes)?
        } else {
            Vec::new()
        };
        let k = self.n_classes;
        let noise = self.cache.noise.as_deref().filter(|_| painted_noise > 0.0).unwrap_or(&[]);
        self.probabilities.par_chunks_mut(k).enumerate().for_each(|(r, row)| {
            let heat = noise.get(r).map_or(1.0, |noise| noise::heat(*noise, painted_noise));
            // What is certain stays so; most regions are.
            if heat > 1.0 || row.iter().all(|p| *p < 0.9999) {
                calibrate::apply(row, temperature * heat);
            }
        });
        Ok(Prediction { classes: self.classes.to_vec(), probabilities: self.probabilities, refined })
    }
}

/// Mean over the classes of the fraction of samples that are predicted as painted.
fn balanced_accuracy(classes: &[u16], is_painted: &[bool], probabilities: &[f32], k: usize) -> f32 {
    let mut counts = vec![(0u32, 0u32); k];
    let samples = classes.iter().zip(probabilities.chunks_exact(k)).zip(is_painted);
    for ((class, p), _) in samples.filter(|(_, is_painted)| **is_painted) {
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
                slic.wall_voxels = (slic.wall_voxels * factor as f32).clamp(1.0, 32.0);
                let scale = |list: &mut Vec<f64>, low: f64, high: f64| {
                    list.iter_mut().for_each(|s| *s = (*s * factor).clamp(low, high));
                };
                scale(&mut recipe.features.fine_voxels, 0.3, 8.0);
                scale(&mut recipe.features.coarse_voxels, 2.0, 200.0);
            }
        }
        recipe
    }

    /// What it learnt, for a training on values of a unit.
    fn known(&self, unit: Unit, classes: &[u16], first_stroke: u32) -> Result<Known, SegmentError> {
        self.check_unit(unit)?;
        self.learnt.known(&self.classes, classes, first_stroke)
    }

    fn check_unit(&self, found: Unit) -> Result<(), SegmentError> {
        let trained = self.unit;
        if trained == found { Ok(()) } else { Err(SegmentError::Unit { trained, found }) }
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
    classifier.check_unit(cache.unit)?;
    check_priors(&classifier.decision, cache.unit)?;
    if classifier.noise.is_some() != cache.noise.is_some() {
        return Err(SegmentError::Halves { trained: classifier.noise.is_some() });
    }
    let k = classifier.classes.len();
    let mut state = State::new(cache, &classifier.classes, classifier.decision.tilt_range_deg);
    progress.phase("Predicting", classifier.forests.len() as u64);
    for (round, forest) in classifier.forests.iter().enumerate() {
        if round > 0 {
            state.look_around(progress)?;
        }
        let found = state.n_features();
        // Where nothing is open the context has no rows to tell its width by.
        if forest.n_classes() != k || (forest.n_features() != found && !state.open.is_empty()) {
            return Err(SegmentError::Recipe { expected: forest.n_features(), found });
        }
        state.ask(progress, forest, &classifier.decision)?;
        progress.advance(1);
    }
    let noise = classifier.noise.unwrap_or(0.0);
    Ok(state.into_prediction(progress, [classifier.temperature, noise], &classifier.decision)?)
}

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

/// Features of some regions and, beside them, their context (one row per entry of `regions`, or none).
struct Rows<'a> {
    features: &'a RegionFeatures,
    regions: &'a [u32],
    context: &'a [f32],
}

impl Rows<'_> {
    /// Whole rows, one after the other.
    fn gather(&self, entries: Range<usize>) -> Vec<f32> {
        let n_context = self.context.len() / self.regions.len().max(1);
        let mut out = Vec::with_capacity(entries.len() * (self.features.n_features + n_context));
        for entry in entries {
            out.extend_from_slice(self.features.row(self.regions[entry] as usize));
            out.extend_from_slice(&self.context[entry * n_context..][..n_context]);
        }
        out
    }

    /// What a forest says of every row.
    fn predict(&self, progress: &Progress, forest: &Forest) -> Result<Vec<f32>, Cancelled> {
        const BLOCK: usize = 256;
        let k = forest.n_classes();
        // The rows of all regions are there already.
        let is_all = self.context.is_empty()
            && self.regions.iter().enumerate().all(|(i, r)| i == *r as usize)
            && self.regions.len() == self.features.n_regions;
        let mut out = vec![0.0; self.regions.len() * k];
        out.par_chunks_mut(BLOCK * k).enumerate().try_for_each(|(block, out)| {
            progress.check()?;
            let first = block * BLOCK;
            let entries = first..first + out.len() / k;
            if is_all {
                let n = self.features.n_features;
                forest.predict_rows(&self.features.values[entries.start * n..entries.end * n], out);
            } else {
                forest.predict_rows(&self.gather(entries), out);
            }
            Ok::<_, Cancelled>(())
        })?;
        Ok(out)
    }
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
        segment(&Progress::new(), volume, map.view(), None, None, &params(), seed)
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
        let found =
            segment(&Progress::new(), &volume, map.view(), Some(mask.view()), None, &params(), 1).unwrap();
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
    fn a_classifier_is_refined_with_a_stroke_of_a_class_it_did_not_know() {
        let shape = [48; 3];
        let truth = test_data::balls(shape);
        let base = run(&test_data::noisy_balls(shape, 3), &strokes(&truth), 1).unwrap().classifier;
        let base: Classifier = serde_json::from_str(&serde_json::to_string(&base).unwrap()).unwrap();
        // The next volume has a slab of something else.
        let mut volume = test_data::noisy_balls(shape, 99);
        volume.data.slice_mut(ndarray::s![..6, .., ..]).mapv_inplace(|v| v + 0.6);
        let mut map = Array3::zeros(shape);
        map.slice_mut(ndarray::s![3, 24, 8..40]).fill(9);
        map.slice_mut(ndarray::s![24, 24, 8..40])
            .assign(&truth.slice(ndarray::s![24, 24, 8..40]).mapv(|c| c + 1));
        let refined =
            segment(&Progress::new(), &volume, map.view(), None, Some(&base), &params(), 1).unwrap();
        assert_eq!(refined.classifier.classes, [1, 2, 3, 9]);
        let truth = Array3::from_shape_fn(shape, |at| if at.0 < 6 { 9 } else { truth[at] + 1 });
        for (class, least) in [(1, 0.9), (2, 0.85), (9, 0.8)] {
            // Seen: 0.99, 0.93, 0.91. The base alone knows no class 9.
            let dice = dice(&refined.labels, &truth, class);
            assert!(dice >= least, "class {class}: Dice {dice:.3}");
        }
        // What was refined can be refined again, and knows all classes.
        let again = &refined.classifier;
        let twice = segment(&Progress::new(), &volume, map.view(), None, Some(again), &params(), 1).unwrap();
        assert_eq!(twice.classifier.classes, [1, 2, 3, 9]);
        let old = Classifier { learnt: Learnt::default(), ..base.clone() };
        let refused = segment(&Progress::new(), &volume, map.view(), None, Some(&old), &params(), 1);
        assert_eq!(refused.unwrap_err(), SegmentError::NothingLearnt);
        volume.unit = Unit::Absorbance;
        let refused = segment(&Progress::new(), &volume, map.view(), None, Some(&base), &params(), 1);
        assert!(matches!(refused, Err(SegmentError::Unit { .. })));
    }

    #[test]
    fn the_random_field_smooths_and_priors_need_a_lac() {
        let shape = [32; 3];
        let (mut volume, truth) = (test_data::noisy_balls(shape, 3), test_data::balls(shape));
        let map = strokes(&truth);
        let run = |volume: &Volume<f32>, params: &SegmentParams| {
            segment(&Progress::new(), volume, map.view(), None, None, params, 1)
        };
        let field = SegmentParams {
            smoother: Smoother::RandomField,
            tilt_range_deg: Some(65.0),
            lac_priors: "1:0.1:0.03,2:0.25:0.03,3:0.5:0.05".to_owned(),
            ..params()
        };
        let found = run(&volume, &field).unwrap();
        assert!(dice(&found.labels, &truth.mapv(|c| c + 1), 2) > 0.9);
        volume.unit = Unit::Absorbance;
        let error = run(&volume, &field).unwrap_err();
        assert_eq!(error, SegmentError::PriorUnit { found: Unit::Absorbance });
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
        let error = segment(&progress, &volume, map.view(), None, None, &params(), 1).unwrap_err();
        assert_eq!(error, SegmentError::Cancelled(Cancelled));
    }
}
