//! What the strokes are worth, and where the next one would teach most: made after every prediction.

use std::sync::Arc;

use super::Session;
use super::landing::Done;
use crate::jobs::{JobSpec, Lane, Policy};
use crate::ops::OpError;
use crate::project::LayerId;
use crate::segment::suggest::{Suggestion, suggest};
use crate::segment::validate::{Validation, validate};
use crate::segment::{self, FeatureCache, Scribbles, SegmentError, TrainParams};

/// Places that are suggested.
const PLACES: usize = 12;

/// Advice on the strokes of a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The prediction that it belongs to.
    pub revision: u64,
    /// The volume that the places lie in.
    pub volume: LayerId,
    /// How well strokes and slabs of slices are told by what had not seen them; `None` where strokes of one class were
    /// added to an older classifier.
    pub validation: Option<Validation>,
    /// Places worth a stroke, best first.
    pub places: Vec<Suggestion>,
}

/// What advice is made from: handed over by the worker that predicted.
pub(super) struct AdviceInputs {
    pub(super) cache: Arc<FeatureCache>,
    pub(super) prediction: segment::Prediction,
    pub(super) scribbles: Scribbles,
    pub(super) training: TrainParams,
    pub(super) seed: u64,
}

impl Session {
    /// Advice on the strokes, where it is there for the newest prediction.
    pub fn advice(&self) -> Option<&Advice> {
        let prediction = self.live.state.prediction.as_ref()?;
        self.live.advice.as_ref().filter(|advice| advice.revision == prediction.revision)
    }

    /// Asks for advice; a newer prediction cancels it.
    pub(super) fn submit_advice(&mut self, inputs: AdviceInputs, volume: LayerId, revision: u64) {
        let id = self.jobs.submit(JobSpec {
            label: "Look where to paint".to_owned(),
            key: "advice".to_owned(),
            lane: Lane::Live,
            policy: Policy::Latest,
            work: Box::new(move |progress| {
                let AdviceInputs { cache, prediction, scribbles, training, seed } = inputs;
                let places = suggest(progress, &cache, &prediction, &scribbles, PLACES)?;
                let validation = match validate(progress, &cache, &scribbles, &training, seed) {
                    Err(SegmentError::OneClass { .. }) => None,
                    found => Some(found.map_err(OpError::method)?),
                };
                Ok(Done::Advised(Box::new(Advice { revision, volume, validation, places })))
            }),
        });
        self.live.advising = Some(id);
    }

    /// Takes in the advice.
    pub(super) fn land_advice(&mut self, advice: Advice) {
        self.live.advice = Some(advice);
        self.events.push(super::Event::PredictionChanged);
    }
}
