//! Proofreading: the objects of a label layer, the most doubtful first, and what is decided about each.
//!
//! The list is made in a job from a snapshot and is no part of the document. What is decided is: another
//! class, no class, or the mark of acceptance on the object's voxels, each one step that can be undone. How
//! an object stands is read from the document, so it follows every undo.

use std::sync::Arc;

use super::landing::Done;
use super::{Event, Level, Session};
use crate::base::{Progress, Unit};
use crate::jobs::{JobSpec, Lane, Policy};
use crate::measure::review::{Finding, review};
use crate::ops::OpError;
use crate::project::{Edit, LayerId};
use crate::segment::limits::Limits;
use crate::segment::object::{Object, ObjectError};
use crate::volume::labels::BrickDelta;
use crate::volume::{Mark, Volume};

/// Bytes per voxel that making the list takes.
const BYTES_PER_VOXEL: u64 = 12;
/// Most voxels of an object that can be judged at once.
const MOST_VOXELS: u64 = 64 << 20;

/// The objects of a label layer as they were when the list was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// The label layer.
    pub layer: LayerId,
    /// Its revision then: another one means that something has changed since.
    pub revision: u64,
    /// The objects, the most doubtful first.
    pub findings: Arc<Vec<Finding>>,
}

/// What is decided about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is right.
    Accept,
    /// It is none of this class and becomes unlabelled.
    Remove,
    /// It belongs to another class.
    Relabel(u16),
}

/// How an object of the list stands in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing has been decided.
    Open,
    /// Accepted, or painted by hand.
    Accepted,
    /// Taken away.
    Removed,
    /// It has another class now.
    Relabelled(u16),
}

impl Session {
    /// The list that was made last.
    pub fn review(&self) -> Option<&Review> {
        self.review.as_ref()
    }

    /// How an object of the list stands.
    pub fn standing(&self, finding: &Finding) -> Standing {
        let layer = self.review.as_ref().and_then(|review| self.project.layer(review.layer));
        let Some((layer, labels)) = layer.and_then(|layer| Some((layer, layer.labels()?))) else {
            return Standing::Open;
        };
        let class = labels.labels.get(finding.seed_zyx);
        if class == 0 {
            return Standing::Removed;
        }
        if class != finding.class {
            return Standing::Relabelled(class);
        }
        let mark = Mark::from_code(labels.marks.get(finding.seed_zyx)).unwrap_or(layer.base_mark());
        if mark.is_by_hand() { Standing::Accepted } else { Standing::Open }
    }

    /// Makes the list anew.
    pub(super) fn start_review(&mut self, layer: LayerId, volume: LayerId) {
        if let Err(error) = self.submit_review(layer, volume) {
            self.say(Level::Error, error.to_string());
        }
    }

    fn submit_review(&mut self, layer: LayerId, volume: LayerId) -> Result<(), OpError> {
        let found = self.project.layer(layer).and_then(|l| Some((l.revision, l.labels()?.labels.clone())));
        let (revision, labels) = found.ok_or_else(|| OpError::Method("the labels are gone".to_owned()))?;
        let data = self.project.volume(volume).cloned();
        let data = data.ok_or_else(|| OpError::Method("the volume is gone".to_owned()))?;
        let unsure = self.live.uncertainty_of(volume, data.shape());
        self.settings.budget().admit(data.n_voxels() as u64 * BYTES_PER_VOXEL)?;
        let id = self.jobs.submit(JobSpec {
            label: "List objects".to_owned(),
            key: "review".to_owned(),
            lane: Lane::Work,
            policy: Policy::Latest,
            work: Box::new(move |progress| {
                let dense = labels.to_dense();
                progress.check()?;
                let findings =
                    review(progress, &dense.view(), &data, unsure.as_deref()).map_err(OpError::method)?;
                Ok(Done::Reviewed(Review { layer, revision, findings: Arc::new(findings) }))
            }),
        });
        self.events.push(Event::JobChanged(id));
        Ok(())
    }

    /// Takes in the list.
    pub(super) fn land_review(&mut self, review: Review) {
        self.review = Some(review);
        self.events.push(Event::DocumentChanged);
    }

    /// Decides about the object that holds a voxel of the reviewed layer.
    pub(super) fn judge(&mut self, seed_zyx: [usize; 3], verdict: Verdict) {
        let Some(layer) = self.review.as_ref().map(|review| review.layer) else { return };
        let done = match verdict {
            Verdict::Accept => self.accept_object(layer, seed_zyx),
            Verdict::Remove => self.relabel_object(layer, seed_zyx, 0, "Remove object"),
            Verdict::Relabel(class) => self.relabel_object(layer, seed_zyx, class, "Change class of object"),
        };
        if let Err(problem) = done {
            self.say(Level::Warning, problem);
        }
    }

    /// Marks an object's voxels as accepted.
    fn accept_object(&mut self, layer: LayerId, seed_zyx: [usize; 3]) -> Result<(), String> {
        let gone = || "these labels are gone".to_owned();
        let code = self.project.layer(layer).ok_or_else(gone)?.code_of(Mark::Accepted);
        let found = self.project.labels(layer).ok_or_else(gone)?;
        let object = Object::at(&Progress::new(), &found.labels, seed_zyx, MOST_VOXELS)
            .map_err(|error| error.to_string())?;
        let mut marks = found.marks.clone();
        let (lo, hi) = object.bounds();
        let before = marks.update_box(lo, hi, |zyx, old| if object.has(zyx) { code } else { old });
        if before.is_empty() {
            return Ok(());
        }
        let marks = before.iter().map(|(index, _)| (*index, marks.brick(*index as usize).clone())).collect();
        let edit = Edit::ReplaceBricks { layer, delta: BrickDelta::new(), marks };
        self.edit("Accept object".to_owned(), edit).map_err(|error| error.to_string())
    }

    fn relabel_object(
        &mut self,
        layer: LayerId,
        seed_zyx: [usize; 3],
        class: u16,
        label: &str,
    ) -> Result<(), String> {
        let mut outcome: Result<(), ObjectError> = Ok(());
        let painted = self.paint(layer, None, |labels, _, classes| {
            let limits = Limits { locked: classes.locked(), ..Limits::default() };
            let changed = Object::at(&Progress::new(), labels, seed_zyx, MOST_VOXELS)
                .and_then(|object| object.relabel(labels, class, &limits));
            changed.unwrap_or_else(|error| {
                outcome = Err(error);
                BrickDelta::new()
            })
        });
        self.end_stroke_as(label, Mark::Accepted);
        painted.map_err(|error| error.to_string())?;
        outcome.map_err(|error| error.to_string())
    }
}

impl super::live::Live {
    /// What the classifier last said of its certainty in a volume of this shape.
    fn uncertainty_of(&self, volume: LayerId, shape: [usize; 3]) -> Option<Arc<Volume<f32>>> {
        let (of, uncertainty) = self.last_uncertainty.as_ref()?;
        (*of == volume && uncertainty.shape() == shape && uncertainty.unit == Unit::Arbitrary)
            .then(|| Arc::clone(uncertainty))
    }
}
