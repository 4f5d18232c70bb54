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

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::cache::mean_edge;
use super::calibrate;
use super::context::Spread;
use super::decide::{DecisionParams, Smoother, Votes, heard, weigh};
use super::forest::{Forest, ForestParams, Samples, Trained};
use super::grow::grow;
use super::learnt::{Known, Learnt};
use super::noise;
use super::polish::polish;
use super::prediction::best_two;
use super::random_field::RandomField;
use super::samples::{Sample, samples};
use super::{FeatureCache, Prediction, Recipe, RegionFeatures, Scribbles, SegmentError};
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

/// [`train`] or [`refine`].
pub(super) fn learn(
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
    let known = base.map(|base| base.known(cache, &classes, 1 + max_of(&stroke))).transpose()?;
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
    /// Whether it was trained with the noise of half-sets, and so needs them on every volume.
    pub fn knows_noise(&self) -> bool {
        self.noise.is_some()
    }

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

    /// What it learnt, for a training on the regions of a volume.
    fn known(&self, cache: &FeatureCache, classes: &[u16], first_stroke: u32) -> Result<Known, SegmentError> {
        self.check_fits(cache)?;
        self.learnt.known(&self.classes, classes, first_stroke)
    }

    /// Whether a volume has the unit that it was trained on, and half-sets if and only if it knows them.
    fn check_fits(&self, cache: &FeatureCache) -> Result<(), SegmentError> {
        let (trained, found) = (self.unit, cache.unit);
        if trained != found {
            return Err(SegmentError::Unit { trained, found });
        }
        let trained = self.knows_noise();
        if trained == cache.noise.is_some() { Ok(()) } else { Err(SegmentError::Halves { trained }) }
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
    classifier.check_fits(cache)?;
    check_priors(&classifier.decision, cache.unit)?;
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
