//! Operations on a label layer that change it in place: interpolation, cleaning, acceptance of a prediction.
//!
//! The work runs on a snapshot. When it is done, what it changed goes into the layer as one step that can be
//! undone; voxels that were painted meanwhile keep what was painted.

use serde_json::Value;

use super::landing::Done;
use super::{Level, Session};
use crate::jobs::JobError;
use crate::ops::{self, Data, Kind, OpError};
use crate::project::LayerId;
use crate::volume::labels::{BRICK_LEN, Brick, BrickDelta};
use crate::volume::{Labels, Mark};

/// A change of a label layer by an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Refinement {
    /// The label layer.
    pub layer: LayerId,
    /// Id of an operation that takes labels and gives labels.
    pub op: String,
    /// Parameters that differ from the defaults.
    pub params: Value,
    /// Slot and layer of its other inputs.
    pub inputs: Vec<(String, LayerId)>,
    /// What the undo menu says.
    pub label: String,
    /// Where the changed labels come from.
    pub mark: Mark,
}

/// What came of it.
pub(super) struct Refined {
    layer: LayerId,
    label: String,
    mark: Mark,
    before: Labels,
    /// Bricks that changed, as they are to be.
    changed: BrickDelta,
    n_voxels: u64,
    notes: Vec<String>,
}

impl Session {
    /// Starts it.
    pub(super) fn refine(&mut self, refinement: Refinement) {
        if let Err(error) = self.start_refinement(refinement) {
            self.say(Level::Error, error.to_string());
        }
    }

    fn start_refinement(&mut self, refinement: Refinement) -> Result<(), OpError> {
        let Refinement { layer, op, params, mut inputs, label, mark } = refinement;
        let op = ops::find(&op).ok_or_else(|| OpError::Parameter(format!("unknown operation {op}")))?;
        let slot = op.inputs.iter().find(|slot| slot.kind == Kind::Labels);
        let slot = slot.ok_or_else(|| OpError::Parameter(format!("{} takes no labels", op.id)))?;
        inputs.retain(|(name, _)| name != slot.name);
        inputs.push((slot.name.to_owned(), layer));
        let params = op.complete(&params)?;
        let before = self.project.labels(layer).map(|found| found.labels.clone());
        let before = before.ok_or(OpError::MissingInput { slot: slot.name, kind: slot.kind })?;
        self.submit_op(op, params, &inputs, move |outcome| {
            // The whole comes last, after what only says what is new.
            let after = outcome.data.iter().rev().find_map(|(_, data)| match data {
                Data::Labels(data) => Some(data.labels.clone()),
                _ => None,
            });
            let after = after
                .filter(|after| after.shape() == before.shape())
                .ok_or_else(|| JobError::Failed(format!("{} did not give labels on the same grid", op.id)))?;
            Ok(Done::Refined(Box::new(Refined::of(layer, label, mark, before, &after, outcome.notes))))
        })
    }

    /// Puts what was changed into the layer.
    pub(super) fn land_refined(&mut self, refined: Refined) {
        let Refined { layer, label, mark, before, changed, n_voxels, notes } = refined;
        let painted = self.paint(layer, None, |labels, _, classes| {
            let locked = classes.locked();
            let merged = changed
                .into_iter()
                .filter(|(index, _)| (*index as usize) < labels.n_bricks().min(before.n_bricks()))
                .map(|(index, new)| {
                    let at = index as usize;
                    (index, merge(labels.brick(at), before.brick(at), new, &locked))
                })
                .filter(|(index, new)| labels.brick(*index as usize) != new)
                .collect();
            labels.swap_bricks(merged)
        });
        if let Err(error) = painted {
            return self.say(Level::Error, format!("{label}: {error}"));
        }
        self.end_stroke_as(&label, mark);
        notes.into_iter().for_each(|note| self.say(Level::Info, note));
        let what = match n_voxels {
            0 => "nothing to change".to_owned(),
            1 => "1 voxel changed".to_owned(),
            n => format!("{n} voxels changed"),
        };
        self.say(Level::Info, format!("{label}: {what}"));
    }
}

impl Refined {
    /// What differs between two states of a layer.
    pub(super) fn of(
        layer: LayerId,
        label: String,
        mark: Mark,
        before: Labels,
        after: &Labels,
        notes: Vec<String>,
    ) -> Self {
        let changed = before.delta_to(after);
        let differing = |(index, new): &(u32, Brick)| {
            let old = before.brick(*index as usize);
            (0..BRICK_LEN).filter(|offset| old.get(*offset) != new.get(*offset)).count() as u64
        };
        let n_voxels = changed.iter().map(differing).sum();
        Self { layer, label, mark, before, changed, n_voxels, notes }
    }
}

/// `new` where the work changed `before` and nobody else did, `now` elsewhere; locked classes neither lose nor gain.
fn merge(now: &Brick, before: &Brick, new: Brick, locked: &[u16]) -> Brick {
    if now == before && locked.is_empty() {
        return new;
    }
    let ids = (0..BRICK_LEN)
        .map(|offset| {
            let (current, was, wanted) = (now.get(offset), before.get(offset), new.get(offset));
            let free = current == was && !locked.contains(&current) && !locked.contains(&wanted);
            if free { wanted } else { current }
        })
        .collect();
    Brick::of_ids(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_painted_meanwhile_and_locked_classes_stay() {
        let brick = |ids: [u16; 4]| {
            let mut all = vec![0; BRICK_LEN];
            all[..4].copy_from_slice(&ids);
            Brick::of_ids(all)
        };
        let before = brick([1, 1, 2, 3]);
        let now = brick([1, 5, 2, 3]);
        let new = brick([4, 4, 4, 4]);
        assert_eq!(merge(&now, &before, new.clone(), &[3]), brick([4, 5, 4, 3]));
        assert_eq!(merge(&now, &before, new.clone(), &[4]), now);
        assert_eq!(merge(&before, &before, new.clone(), &[]), new);
    }
}
