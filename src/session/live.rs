//! Live classification: the whole volume is predicted anew after every stroke.
//!
//! Regions and features do not change while the user paints, so they are made once per volume in a
//! job of their own that no stroke cancels. Training and predicting start over with every stroke;
//! the newest request wins. The prediction is laid over the volume and becomes part of the document
//! only when it is accepted, with the record of the `segment` operation, whose bits it has.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ndarray::Array3;
use serde_json::Value;

use super::advice::{Advice, AdviceInputs};
use super::landing::Done;
use super::refine::Refined;
use super::{Event, Level, Session};
use crate::base::{Cancelled, MemoryBudget, Progress, Unit};
use crate::jobs::{JobError, JobId, JobSpec, Lane, Policy};
use crate::ops::{self, Data, OpError, Provenance};
use crate::project::{Content, Display, Edit, LabelLayer, Layer, LayerId};
use crate::segment::agglomerate::Agglomeration;
use crate::segment::{self, Classifier, FeatureCache, Recipe, Scribbles, SegmentParams};
use crate::volume::labels::BRICK;
use crate::volume::{Labels, Mark, Volume};

/// What is classified, and from what.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveRequest {
    /// The volume.
    pub volume: LayerId,
    /// The label layer with the strokes, on the grid of the volume.
    pub strokes: LayerId,
    /// Parameters of `segment` that differ from the defaults.
    pub params: Value,
    /// A classifier layer whose learning the strokes are added to; `None` to learn from the strokes alone.
    pub base: Option<LayerId>,
    /// The volume from the even and from the odd views: both tell the noise. See [`Session::half_sets`].
    pub halves: Option<[LayerId; 2]>,
    /// Whether every further stroke predicts again.
    pub follow: bool,
}

/// What the classifier says of every voxel.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Predicted class ids; painted voxels keep theirs.
    pub labels: Labels,
    /// What was trained.
    pub classifier: Arc<Classifier>,
    /// Uncertainty from 0 (sure) to 1, on the grid of the volume.
    pub uncertainty: Arc<Volume<f32>>,
    /// Fraction of painted regions that trees which have not seen their stroke label as painted, 0 to 1.
    pub accuracy: f32,
    /// Seconds that training and predicting took.
    pub seconds: f32,
    /// Share of the volume that each class takes, in order of id.
    pub shares: Vec<(u16, f32)>,
    /// Share of the volume whose uncertainty is at most 0 %, 1 % … 100 %.
    pub surer: Vec<f32>,
    /// Grows with every prediction.
    pub revision: u64,
    request: LiveRequest,
    inputs: Vec<String>,
}

impl Prediction {
    /// The volume that was classified.
    pub fn volume(&self) -> LayerId {
        self.request.volume
    }

    /// The record of the operation that gives the same.
    fn provenance(&self) -> Provenance {
        let params = ops::find("segment").and_then(|op| op.complete(&self.request.params).ok());
        Provenance::new("segment", params.unwrap_or(Value::Null), self.inputs.clone(), Vec::new())
    }
}

/// Which part of a prediction is accepted, and where to.
#[derive(Debug, Clone, PartialEq)]
pub struct Acceptance {
    /// Only voxels of this class; all of them where `None`.
    pub class: Option<u16>,
    /// Only voxels no more uncertain than this, 0 to 1.
    pub max_uncertainty: f32,
    /// The label layer that takes them in; a new one where `None`. There, what was painted by hand or accepted in
    /// proofreading, and locked classes, stay as they are.
    pub into: Option<LayerId>,
}

impl Default for Acceptance {
    fn default() -> Self {
        Self { class: None, max_uncertainty: 1.0, into: None }
    }
}

impl Acceptance {
    /// Whether all of the prediction is wanted.
    fn is_all(&self) -> bool {
        self.class.is_none() && self.max_uncertainty >= 1.0
    }
}

/// The accepted part of a prediction, to become a layer.
pub(super) struct Accepted {
    labels: Labels,
    prediction: Arc<Prediction>,
}

/// Labels that take in an accepted prediction.
struct Target {
    layer: LayerId,
    labels: Labels,
    marks: Labels,
    /// Codes of the marks of what a person has painted or found right: it stays.
    by_hand: Vec<u16>,
}

/// Where live classification stands.
#[derive(Debug, Clone, Default)]
pub struct LiveState {
    /// Whether it follows the strokes.
    pub on: bool,
    /// The newest prediction.
    pub prediction: Option<Arc<Prediction>>,
    /// What it does or waits for, in one sentence; empty where there is nothing to say.
    pub status: String,
    /// Parameters of `segment` that it follows the strokes with.
    pub params: Value,
    /// The classifier layer that it started from.
    pub base: Option<LayerId>,
    /// The half-sets that tell it the noise.
    pub halves: Option<[LayerId; 2]>,
}

/// What regions and features rest on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CacheKey {
    volume: LayerId,
    revision: u64,
    /// The half-sets and their revisions.
    halves: Option<[(LayerId, u64); 2]>,
    recipe: Recipe,
}

/// The state with what the window need not see.
#[derive(Default)]
pub(super) struct Live {
    pub(super) state: LiveState,
    request: Option<LiveRequest>,
    cache: Option<(CacheKey, Arc<FeatureCache>)>,
    building: Option<CacheKey>,
    n_predictions: u64,
    /// What the classifier last said of its certainty, and of which volume: it outlives the prediction.
    pub(super) last_uncertainty: Option<(LayerId, Arc<Volume<f32>>)>,
    /// An array of the grid of the volume that the next prediction may write its uncertainty to.
    spare: Spare,
    /// Advice on the strokes of a prediction, and the job that makes the next.
    pub(super) advice: Option<Advice>,
    pub(super) advising: Option<JobId>,
    /// How the regions of a volume join into larger ones: layer, revision.
    agglomeration: Option<(LayerId, u64, Arc<Agglomeration>)>,
}

/// Memory handed from what is no longer shown to what is made next.
type Spare = Arc<Mutex<Option<Array3<f32>>>>;

/// What is learnt with beside strokes.
struct Learning {
    base: Option<Arc<Classifier>>,
    params: SegmentParams,
    seed: u64,
}

/// A prediction as the worker hands it over.
pub(super) struct Predicted {
    labels: Labels,
    classifier: Arc<Classifier>,
    uncertainty: Volume<f32>,
    accuracy: f32,
    shares: Vec<(u16, f32)>,
    surer: Vec<f32>,
    seconds: f32,
    request: LiveRequest,
    advice: AdviceInputs,
}

impl Session {
    /// Where live classification stands.
    pub fn live(&self) -> &LiveState {
        &self.live.state
    }

    /// The regions of a volume as it is now, where they have been made for classification.
    pub fn regions(&self, volume: LayerId) -> Option<Arc<FeatureCache>> {
        let revision = self.project.layer(volume)?.revision;
        let (key, cache) = self.live.cache.as_ref()?;
        ((key.volume, key.revision) == (volume, revision)).then(|| Arc::clone(cache))
    }

    /// How the regions of a volume join into megavoxels, where that has been found.
    pub fn agglomeration(&self, volume: LayerId) -> Option<Arc<Agglomeration>> {
        let revision = self.project.layer(volume)?.revision;
        let (of, at, tree) = self.live.agglomeration.as_ref()?;
        ((*of, *at) == (volume, revision)).then(|| Arc::clone(tree))
    }

    /// Finds how the regions join, once they are there.
    fn submit_agglomeration(&mut self, volume: LayerId, revision: u64, cache: Arc<FeatureCache>) {
        self.jobs.submit(JobSpec {
            label: "Join supervoxels".to_owned(),
            key: "agglomeration".to_owned(),
            lane: Lane::Work,
            policy: Policy::Latest,
            work: Box::new(move |progress| {
                let tree = Agglomeration::new(progress, &cache)?;
                Ok(Done::Agglomerated(volume, revision, Arc::new(tree)))
            }),
        });
    }

    /// Takes in how the regions join.
    pub(super) fn land_agglomeration(&mut self, volume: LayerId, revision: u64, tree: Arc<Agglomeration>) {
        self.live.agglomeration = Some((volume, revision, tree));
    }

    /// Makes regions and features of a volume, where they are not there or being made.
    pub(super) fn prepare_regions(&mut self, volume: LayerId, params: &Value) {
        if self.regions(volume).is_some() {
            return;
        }
        let outcome = (|| {
            let (params, _) = ops::segment::pipeline(params)?;
            let layer = self.project.layer(volume);
            let found = layer.and_then(|layer| Some((layer.revision, Arc::clone(layer.volume()?))));
            let Some((revision, data)) = found else { return Ok(()) };
            let key = CacheKey { volume, revision, halves: None, recipe: params.recipe() };
            if self.live.building.as_ref() == Some(&key) {
                return Ok(());
            }
            self.submit_features(key, data, None)
        })();
        if let Err(error) = outcome {
            let error: OpError = error;
            self.say(Level::Warning, format!("no supervoxels: {error}"));
        }
    }

    /// Classifies now, and after every further stroke where that is asked for.
    pub(super) fn classify(&mut self, request: LiveRequest) {
        self.live.state.on = request.follow;
        self.live.state.params = request.params.clone();
        self.live.state.base = request.base;
        self.live.state.halves = request.halves;
        self.live.request = Some(request);
        self.predict_again();
    }

    /// Stops following the strokes; the prediction stays.
    pub(super) fn stop_live(&mut self) {
        self.jobs.cancel_lane(Lane::Live);
        self.live.building = None;
        self.live.request = None;
        self.live.spare = Spare::default();
        self.live.state.on = false;
        self.live.state.status.clear();
        self.events.push(Event::PredictionChanged);
    }

    /// Throws the prediction away.
    pub(super) fn discard_prediction(&mut self) {
        self.stop_live();
        self.live.state.prediction = None;
    }

    /// Tells live classification that a layer has changed.
    pub(super) fn follow(&mut self, edit: &Edit) {
        if self.live.state.on && self.live.request.as_ref().is_some_and(|r| touches(edit, r.strokes)) {
            self.predict_again();
        }
    }

    fn predict_again(&mut self) {
        let Some(request) = self.live.request.clone() else { return };
        let status = match self.start_prediction(&request) {
            Ok(status) => status,
            Err(error) => {
                let sentence = error.to_string();
                if !request.follow {
                    self.say(Level::Warning, sentence.clone());
                }
                sentence
            }
        };
        self.live.state.status = status;
        self.events.push(Event::PredictionChanged);
    }

    /// Starts what is needed next: regions and features first, then the forest.
    fn start_prediction(&mut self, request: &LiveRequest) -> Result<String, OpError> {
        let (params, seed) = ops::segment::pipeline(&request.params)?;
        let gone = |what: &str| OpError::Method(format!("the {what} has been removed; choose another one"));
        let layer = self.project.layer(request.volume).ok_or_else(|| gone("volume"))?;
        let volume = Arc::clone(layer.volume().ok_or_else(|| gone("volume"))?);
        let revision = layer.revision;
        let strokes = self.project.labels(request.strokes).ok_or_else(|| gone("layer of strokes"))?;
        let labels = strokes.labels.clone();
        if labels.shape() != volume.shape() {
            return Err(OpError::Method(
                "the strokes are on another grid than the volume; choose labels made on this volume"
                    .to_owned(),
            ));
        }
        let base = match request.base.map(|id| self.project.layer(id).map(|layer| &layer.content)) {
            None => None,
            Some(Some(Content::Other(Data::Classifier(base)))) => Some(Arc::clone(base)),
            Some(_) => return Err(gone("classifier")),
        };
        let n_painted = labels.ids().iter().filter(|id| **id != 0).count();
        match (&base, n_painted) {
            (Some(_), 0) => return Ok("paint where the classifier errs".to_owned()),
            (None, 0 | 1) => return Ok("paint two classes or more".to_owned()),
            _ => {}
        }
        let recipe = base.as_ref().map_or_else(|| params.recipe(), |base| base.recipe_for(&volume));
        let halves = match request.halves {
            None => None,
            Some(ids) => Some(self.half_layers(ids)?),
        };
        let key_of = |(id, revision, _): &(LayerId, u64, Arc<Volume<f32>>)| (*id, *revision);
        let key = CacheKey {
            volume: request.volume,
            revision,
            halves: halves.as_ref().map(|[even, odd]| [key_of(even), key_of(odd)]),
            recipe,
        };
        let halves = halves.map(|halves| halves.map(|(_, _, volume)| volume));
        match &self.live.cache {
            Some((have, cache)) if *have == key => {
                let cache = Arc::clone(cache);
                let learning = Learning { base, params, seed };
                self.submit_prediction(request.clone(), cache, volume, labels, learning);
                Ok("classifying".to_owned())
            }
            _ => {
                if self.live.building.as_ref() != Some(&key) {
                    self.submit_features(key, volume, halves)?;
                }
                Ok("preparing regions and features, once for this volume".to_owned())
            }
        }
    }

    /// Half-sets with their revisions.
    fn half_layers(&self, ids: [LayerId; 2]) -> Result<[(LayerId, u64, Arc<Volume<f32>>); 2], OpError> {
        let find = |id| {
            let layer = self.project.layer(id);
            let found = layer.and_then(|layer| Some((id, layer.revision, Arc::clone(layer.volume()?))));
            found.ok_or_else(|| {
                OpError::Method(
                    "a half-set has been removed; classify without the noise of half-sets".to_owned(),
                )
            })
        };
        Ok([find(ids[0])?, find(ids[1])?])
    }

    fn submit_features(
        &mut self,
        key: CacheKey,
        volume: Arc<Volume<f32>>,
        halves: Option<[Arc<Volume<f32>>; 2]>,
    ) -> Result<(), OpError> {
        self.live.cache = None;
        let recipe = key.recipe.clone();
        let budget: MemoryBudget = self.settings.budget();
        budget.admit(FeatureCache::peak_bytes(volume.n_voxels() as u64, &recipe))?;
        self.live.building = Some(key.clone());
        let id = self.jobs.submit(JobSpec {
            label: "Prepare classification".to_owned(),
            key: "features".to_owned(),
            lane: Lane::Live,
            policy: Policy::Latest,
            work: Box::new(move |progress| {
                let halves = halves.as_ref().map(|[even, odd]| [&**even, &**odd]);
                let cache = FeatureCache::build_with_halves(progress, &volume, halves, None, &recipe)
                    .map_err(OpError::method)?;
                Ok(Done::Features(key, Arc::new(cache)))
            }),
        });
        self.events.push(Event::JobChanged(id));
        Ok(())
    }

    fn submit_prediction(
        &mut self,
        request: LiveRequest,
        cache: Arc<FeatureCache>,
        volume: Arc<Volume<f32>>,
        strokes: Labels,
        learning: Learning,
    ) {
        // Advice on the strokes before these is no longer wanted, and must not keep the worker.
        if let Some(id) = self.live.advising.take() {
            self.jobs.cancel(id);
        }
        let spare = Arc::clone(&self.live.spare);
        let id = self.jobs.submit(JobSpec {
            label: "Classify".to_owned(),
            key: "classify".to_owned(),
            lane: Lane::Live,
            policy: Policy::Latest,
            work: Box::new(move |progress| {
                let predicted = predict(progress, request, &cache, &volume, &strokes, &learning, &spare)?;
                Ok(Done::Predicted(Box::new(predicted)))
            }),
        });
        self.events.push(Event::JobChanged(id));
    }

    /// Regions and features are there: on to the forest.
    pub(super) fn land_features(&mut self, key: CacheKey, cache: Arc<FeatureCache>) {
        self.live.building = None;
        self.submit_agglomeration(key.volume, key.revision, Arc::clone(&cache));
        self.live.cache = Some((key, cache));
        self.predict_again();
    }

    /// Takes in what the classifier says.
    pub(super) fn land_prediction(&mut self, predicted: Predicted) {
        self.live.n_predictions += 1;
        let Predicted { labels, classifier, uncertainty, accuracy, shares, surer, seconds, request, advice } =
            predicted;
        self.submit_advice(advice, request.volume, self.live.n_predictions);
        let name = |id| self.project.layer(id).map_or_else(String::new, |layer: &Layer| layer.name.clone());
        let more = request.base.into_iter().chain(request.halves.into_iter().flatten());
        let inputs = [request.volume, request.strokes].into_iter().chain(more).map(name).collect();
        self.live.state.status = format!("the whole volume in {seconds:.2} s");
        let uncertainty = Arc::new(uncertainty);
        let last = self.live.last_uncertainty.replace((request.volume, Arc::clone(&uncertainty)));
        let before = self.live.state.prediction.replace(Arc::new(Prediction {
            labels,
            classifier,
            uncertainty,
            accuracy,
            shares,
            surer,
            seconds,
            revision: self.live.n_predictions,
            request,
            inputs,
        }));
        // Giving back hundreds of megabytes would take longer than a frame.
        let spare = Arc::clone(&self.live.spare);
        rayon::spawn(move || {
            drop(before);
            if let Some(Ok(volume)) = last.map(|(_, uncertainty)| Arc::try_unwrap(uncertainty)) {
                *spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(volume.data);
            }
        });
        self.events.push(Event::PredictionChanged);
    }

    /// A live job ended without a result.
    pub(super) fn live_failed(&mut self, lane: Lane, sentence: &str) {
        if lane == Lane::Live && !self.jobs.is_lane_active(Lane::Live) {
            self.live.building = None;
            sentence.clone_into(&mut self.live.state.status);
            self.events.push(Event::PredictionChanged);
        }
    }

    /// Makes the prediction, or the wanted part of it, labels of the document. The strokes stay for the next training.
    pub(super) fn accept_prediction(&mut self, acceptance: &Acceptance) {
        let Some(prediction) = self.live.state.prediction.clone() else {
            return self.say(Level::Warning, "there is no prediction to accept; classify first");
        };
        match acceptance.into.and_then(|id| Some((id, self.project.layer(id)?))) {
            Some((id, layer)) => {
                let Some(target) = layer.labels().filter(|t| t.labels.shape() == prediction.labels.shape())
                else {
                    return self.say(
                        Level::Warning,
                        "these labels are on another grid than the prediction; nothing was accepted",
                    );
                };
                let (labels, marks) = (target.labels.clone(), target.marks.clone());
                let by_hand = Mark::ALL.into_iter().filter(|m| m.is_by_hand()).map(|m| layer.code_of(m));
                let target = Target { layer: id, labels, marks, by_hand: by_hand.collect() };
                self.submit_acceptance(acceptance.clone(), prediction, Some(target));
            }
            // The whole of it is there already; only a part takes time.
            None if acceptance.is_all() => {
                self.land_accepted(Accepted { labels: prediction.labels.clone(), prediction });
            }
            None => self.submit_acceptance(acceptance.clone(), prediction, None),
        }
    }

    fn submit_acceptance(
        &mut self,
        acceptance: Acceptance,
        prediction: Arc<Prediction>,
        target: Option<Target>,
    ) {
        let id = self.jobs.submit(JobSpec {
            label: "Accept prediction".to_owned(),
            key: "accept".to_owned(),
            lane: Lane::Work,
            policy: Policy::Queue,
            work: Box::new(move |progress| {
                let wanted = wanted_part(progress, &prediction, &acceptance)?;
                let Some(Target { layer, labels, marks, by_hand }) = target else {
                    return Ok(Done::Accepted(Box::new(Accepted { labels: wanted, prediction })));
                };
                let mut after = labels.clone();
                let shape = after.shape();
                after.update_box([0; 3], shape, |zyx, old| match wanted.get(zyx) {
                    0 => old,
                    _ if old != 0 && by_hand.contains(&marks.get(zyx)) => old,
                    new => new,
                });
                let label = "Accept prediction".to_owned();
                let refined = Refined::of(layer, label, Mark::Predicted, labels, &after, Vec::new());
                Ok(Done::Refined(Box::new(refined)))
            }),
        });
        self.events.push(Event::JobChanged(id));
    }

    /// Adds what was accepted as a label layer above the strokes.
    pub(super) fn land_accepted(&mut self, accepted: Accepted) {
        let Accepted { labels, prediction } = accepted;
        let Some(volume) = self.project.layer(prediction.request.volume) else {
            return self.say(Level::Warning, "the volume that was classified is gone; nothing was accepted");
        };
        let grid = &prediction.uncertainty;
        let content = Content::Labels(LabelLayer::new(labels, grid.voxel_um, grid.origin_um));
        let mut layer = Layer::new(self.project.free_name("segmentation"), content, prediction.provenance());
        layer.placement = volume.placement;
        layer.display = Display { opacity: 0.5, smooth: false, ..Display::default() };
        let mut edits = vec![Edit::AddLayer { index: usize::MAX, layer: Box::new(layer) }];
        if let Some(strokes) = self.project.layer(prediction.request.strokes) {
            let display = Display { visible: false, ..strokes.display.clone() };
            edits.push(Edit::SetDisplay { layer: strokes.id, display });
        }
        self.stop_live();
        self.live.state.prediction = None;
        if let Err(error) = self.edit("Accept prediction".to_owned(), Edit::Batch(edits)) {
            self.live.state.prediction = Some(prediction);
            self.say(Level::Error, format!("the prediction was not accepted: {error}"));
        }
    }

    /// Keeps the classifier of the prediction as a layer of its own.
    pub(super) fn keep_classifier(&mut self) {
        let Some(prediction) = self.live.state.prediction.clone() else {
            return self.say(Level::Warning, "there is no classifier to keep; classify first");
        };
        let content = Content::Other(Data::Classifier(Arc::clone(&prediction.classifier)));
        let layer = Layer::new(self.project.free_name("classifier"), content, prediction.provenance());
        let edit = Edit::AddLayer { index: usize::MAX, layer: Box::new(layer) };
        match self.edit("Keep classifier".to_owned(), edit) {
            Ok(()) => self.say(
                Level::Info,
                "The classifier is a layer now: apply it with Predict under More methods, or export it for other projects",
            ),
            Err(error) => self.say(Level::Error, format!("the classifier was not kept: {error}")),
        }
    }

    /// Forgets everything about the project that was open.
    pub(super) fn reset_live(&mut self) {
        self.live = Live::default();
        self.review = None;
        self.events.push(Event::PredictionChanged);
    }
}

fn predict(
    progress: &Progress,
    request: LiveRequest,
    cache: &Arc<FeatureCache>,
    volume: &Volume<f32>,
    strokes: &Labels,
    learning: &Learning,
    spare: &Mutex<Option<Array3<f32>>>,
) -> Result<Predicted, JobError> {
    let began = Instant::now();
    let Learning { base, params, seed } = learning;
    let (training, seed) = (params.training().map_err(OpError::method)?, *seed);
    let scribbles = Scribbles::from_labels(strokes);
    let (classifier, prediction) = match base {
        Some(base) => segment::refine(progress, cache, &scribbles, base, &training, seed),
        None => segment::train(progress, cache, &scribbles, &training, seed),
    }
    .map_err(OpError::method)?;
    progress.check()?;
    let n_voxels = cache.regions.values().len();
    let surer = surer_of(&prediction, cache, n_voxels);
    let share = |(id, n)| (id, n as f32 / n_voxels.max(1) as f32);
    let shares = prediction.counts(cache, &scribbles).into_iter().map(share).collect();
    let bricks = prediction.bricks(progress, &cache.regions, Some(&scribbles))?;
    let spare = spare.lock().unwrap_or_else(PoisonError::into_inner).take();
    let uncertainty = prediction.uncertainty_in(progress, &cache.regions, spare)?;
    let uncertainty = volume.with_data(uncertainty, Unit::Arbitrary);
    progress.check()?;
    Ok(Predicted {
        shares,
        surer,
        labels: bricks,
        uncertainty,
        accuracy: classifier.held_out_accuracy,
        classifier: Arc::new(classifier),
        seconds: began.elapsed().as_secs_f32(),
        request,
        advice: AdviceInputs { cache: Arc::clone(cache), prediction, scribbles, training, seed },
    })
}

/// Share of the volume that is at most 0 %, 1 % … 100 % uncertain; what lies outside a mask is not.
fn surer_of(prediction: &segment::Prediction, cache: &FeatureCache, n_voxels: usize) -> Vec<f32> {
    let mut counts = vec![0u64; 101];
    for (uncertainty, place) in prediction.uncertainty().iter().zip(&cache.places) {
        counts[((uncertainty * 100.0).ceil() as usize).min(100)] += u64::from(place.n_voxels);
    }
    counts[0] += (n_voxels as u64).saturating_sub(counts.iter().sum());
    let total = n_voxels.max(1) as f32;
    let mut sum = 0;
    let add = |n: u64| {
        sum += n;
        sum as f32 / total
    };
    counts.into_iter().map(add).collect()
}

/// The part of a prediction that is wanted; 0 elsewhere.
fn wanted_part(
    progress: &Progress,
    prediction: &Prediction,
    acceptance: &Acceptance,
) -> Result<Labels, Cancelled> {
    let mut wanted = prediction.labels.clone();
    if acceptance.is_all() {
        return Ok(wanted);
    }
    let uncertainty = &prediction.uncertainty.data;
    let [nz, ny, nx] = wanted.shape();
    progress.phase("Accepting", nz as u64);
    for z in (0..nz).step_by(BRICK) {
        progress.check()?;
        wanted.update_box([z, 0, 0], [z + BRICK, ny, nx], |zyx, id| {
            let sure = uncertainty.get(zyx).is_some_and(|u| *u <= acceptance.max_uncertainty);
            if sure && acceptance.class.is_none_or(|class| class == id) { id } else { 0 }
        });
        progress.advance(BRICK as u64);
    }
    Ok(wanted)
}

/// Whether an edit changes the voxels of a label layer.
fn touches(edit: &Edit, layer: LayerId) -> bool {
    match edit {
        Edit::ReplaceBricks { layer: changed, .. } | Edit::SetCalibration { layer: changed, .. } => {
            *changed == layer
        }
        Edit::RemoveLayer(removed) => *removed == layer,
        Edit::Batch(edits) => edits.iter().any(|edit| touches(edit, layer)),
        _ => false,
    }
}
