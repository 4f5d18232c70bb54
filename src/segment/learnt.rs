//! What a classifier learnt from: its samples, kept with it so that the next volume can add to them.
//!
//! A classifier that labels another cell badly in a place need not be started over: strokes on that cell are added to
//! what it learnt, and the forests are trained on both. Of every sample the features are kept and, for the rounds after
//! the first, what its neighbourhood was taken for.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::SegmentError;
use super::prediction::best_two;

/// Samples that are kept of each class, and of all: enough for any shape of class, few enough for a file.
const KEPT: usize = 600;
const KEPT_IN_ALL: usize = 4000;
/// How much a sample of another volume counts beside one that was painted here.
const WEIGHT: f32 = 0.25;

/// Samples of a classifier, row after row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Learnt {
    /// Class id of every sample.
    class: Vec<u16>,
    weight: Vec<f32>,
    /// Which stroke it came from, counted from 0.
    stroke: Vec<u32>,
    /// Features of the regions, one row per sample.
    features: Vec<f32>,
    /// Context in each round after the first: one row per sample, blocks of equal width for the classes.
    context: Vec<Vec<f32>>,
}

/// Samples in the form that forests are trained on.
pub(super) struct Known {
    /// Position of the class in the list that was asked for.
    pub(super) class: Vec<u16>,
    pub(super) weight: Vec<f32>,
    pub(super) stroke: Vec<u32>,
    rounds: Vec<Vec<f32>>,
    /// Positions of classes that the context has never seen.
    unseen: Vec<usize>,
    n_classes: usize,
}

impl Known {
    /// Rows of a round: the features and, after the first, the context.
    ///
    /// A class that is new was seen around none of the samples, and a forest that is told so takes the least sign of
    /// it for proof. So each sample gets, for such classes, what is seen around a region of this volume that was taken
    /// for the class of the sample: `here` has a row of context for each (see [`Self::stand_ins`]).
    pub(super) fn rows(&self, round: usize, here: &[f32]) -> Cow<'_, [f32]> {
        let Some(rows) = self.rounds.get(round) else { return Cow::Borrowed(&[]) };
        let n = self.class.len();
        let (width, n_context) = (rows.len() / n, here.len() / n);
        if self.unseen.is_empty() || n_context == 0 || n_context > width {
            return Cow::Borrowed(rows);
        }
        let block = n_context / self.n_classes;
        let mut rows = rows.clone();
        for (row, here) in rows.chunks_exact_mut(width).zip(here.chunks_exact(n_context)) {
            let row = &mut row[width - n_context..];
            for column in 0..block {
                let new: f32 = self.unseen.iter().map(|class| here[class * block + column]).sum();
                // What the new classes take, the others lose: together they are 1 at every scale.
                row.iter_mut().skip(column).step_by(block).for_each(|p| *p *= 1.0 - new);
                for class in &self.unseen {
                    row[class * block + column] = here[class * block + column];
                }
            }
        }
        Cow::Owned(rows)
    }

    /// A region for each sample that was taken for its class, chosen evenly; any region where none was.
    /// `probabilities` has a row per region.
    pub(super) fn stand_ins(&self, probabilities: &[f32]) -> Vec<u32> {
        if self.unseen.is_empty() {
            return Vec::new();
        }
        let mut taken = vec![Vec::new(); self.n_classes];
        for (region, row) in probabilities.chunks_exact(self.n_classes).enumerate() {
            taken[best_two(row).0].push(region as u32);
        }
        let all: Vec<u32> = (0..(probabilities.len() / self.n_classes) as u32).collect();
        let n = self.class.len();
        self.class
            .iter()
            .enumerate()
            .map(|(i, class)| {
                let of_class = &taken[*class as usize];
                let pool = if of_class.is_empty() { &all } else { of_class };
                pool[i * pool.len() / n]
            })
            .collect()
    }
}

impl Learnt {
    /// Keeps samples: `class` are positions in `classes`, `rounds` the rows of each round, of which those after the
    /// first repeat the features of the first and go on with the context.
    pub(super) fn new(
        classes: &[u16],
        class: &[u16],
        weight: &[f32],
        stroke: &[u32],
        rounds: &[Vec<f32>],
    ) -> Self {
        let kept = kept(class, classes.len());
        let n = class.len().max(1);
        let pick = |rows: &[f32], from: usize| -> Vec<f32> {
            let width = rows.len() / n;
            kept.iter().flat_map(|i| rows[i * width + from..(i + 1) * width].iter().copied()).collect()
        };
        let n_features = rounds.first().map_or(0, |rows| rows.len() / n);
        Self {
            class: kept.iter().map(|i| classes[class[*i] as usize]).collect(),
            weight: kept.iter().map(|i| weight[*i]).collect(),
            stroke: kept.iter().map(|i| stroke[*i]).collect(),
            features: rounds.first().map_or_else(Vec::new, |rows| pick(rows, 0)),
            context: rounds.iter().skip(1).map(|rows| pick(rows, n_features)).collect(),
        }
    }

    /// The samples for a training on `classes` with strokes counted from `first_stroke`. `own` are the classes that the
    /// context knows, in order.
    ///
    /// # Errors
    /// [`SegmentError::NothingLearnt`] where no samples were kept, or the file that they come from is damaged.
    pub(super) fn known(
        &self,
        own: &[u16],
        classes: &[u16],
        first_stroke: u32,
    ) -> Result<Known, SegmentError> {
        let n = self.class.len();
        let of_rows = |rows: &[f32]| (n > 0 && rows.len().is_multiple_of(n)).then(|| rows.len() / n);
        let place = |class: &u16| classes.iter().position(|c| c == class).map(|c| c as u16);
        let (Some(n_features), true) =
            (of_rows(&self.features), self.weight.len() == n && self.stroke.len() == n)
        else {
            return Err(SegmentError::NothingLearnt);
        };
        let class: Option<Vec<u16>> = self.class.iter().map(place).collect();
        let places: Option<Vec<u16>> = own.iter().map(place).collect();
        let (Some(class), Some(places)) = (class, places) else { return Err(SegmentError::NothingLearnt) };
        let mut rounds = vec![self.features.clone()];
        for context in &self.context {
            let width = of_rows(context).filter(|n| n.is_multiple_of(own.len().max(1)));
            let block = width.ok_or(SegmentError::NothingLearnt)? / own.len().max(1);
            let mut rows = Vec::with_capacity(n * (n_features + block * classes.len()));
            for sample in 0..n {
                rows.extend_from_slice(&self.features[sample * n_features..][..n_features]);
                let from = rows.len();
                rows.resize(from + block * classes.len(), 0.0);
                let blocks = context[sample * block * own.len()..].chunks_exact(block.max(1));
                for (place, seen) in places.iter().zip(blocks) {
                    rows[from + *place as usize * block..][..block].copy_from_slice(seen);
                }
            }
            rounds.push(rows);
        }
        // Strokes are numbered anew, so that a number from a file cannot ask for memory.
        let mut numbers = self.stroke.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let stroke = self.stroke.iter().map(|s| first_stroke + numbers.partition_point(|n| n < s) as u32);
        Ok(Known {
            class,
            weight: self.weight.iter().map(|w| w.clamp(1e-3, 1e3) * WEIGHT).collect(),
            stroke: stroke.collect(),
            rounds,
            unseen: (0..classes.len()).filter(|c| !own.contains(&classes[*c])).collect(),
            n_classes: classes.len(),
        })
    }
}

/// Places of the samples that are kept, in order: all of a class, or evenly chosen ones.
fn kept(class: &[u16], n_classes: usize) -> Vec<usize> {
    let mut n = vec![0usize; n_classes];
    class.iter().for_each(|c| n[*c as usize] += 1);
    let most = KEPT.min(KEPT_IN_ALL / n_classes.max(1)).max(1);
    let mut seen = vec![0usize; n_classes];
    let is_kept = |c: u16| {
        let (n, seen) = (n[c as usize], &mut seen[c as usize]);
        let before = *seen * most.min(n) / n;
        *seen += 1;
        *seen * most.min(n) / n > before
    };
    let flags: Vec<bool> = class.iter().copied().map(is_kept).collect();
    (0..class.len()).filter(|i| flags[*i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_rounds() -> Learnt {
        // Two samples of classes 3 and 7, two features, one column of context a class.
        let rounds = [vec![1.0, 2.0, 3.0, 4.0], vec![1.0, 2.0, 0.9, 0.1, 3.0, 4.0, 0.2, 0.8]];
        Learnt::new(&[3, 7], &[0, 1], &[4.0, 8.0], &[5, 900], &rounds)
    }

    #[test]
    fn samples_meet_a_new_class_with_what_is_seen_of_it_here() {
        let known = two_rounds().known(&[3, 7], &[3, 5, 7], 10).unwrap();
        assert_eq!(known.class, [0, 2]);
        assert_eq!(known.stroke, [10, 11]);
        assert_eq!(known.weight, [1.0, 2.0]);
        assert_eq!(*known.rows(0, &[]), [1.0, 2.0, 3.0, 4.0]);
        // Regions here: two of class 7, one of class 5; none of class 3.
        let probabilities = [0.1, 0.3, 0.6, 0.0, 1.0, 0.0, 0.2, 0.0, 0.8];
        assert_eq!(known.stand_ins(&probabilities), [0, 2]);
        let here = [0.1, 0.3, 0.6, 0.2, 0.0, 0.8];
        let rows = known.rows(1, &here).iter().map(|v| (v * 1e4).round() / 1e4).collect::<Vec<_>>();
        assert_eq!(rows, [1.0, 2.0, 0.63, 0.3, 0.07, 3.0, 4.0, 0.2, 0.0, 0.8]);
        assert!(known.rows(2, &here).is_empty());
        let same = two_rounds().known(&[3, 7], &[3, 7], 0).unwrap();
        assert!(same.stand_ins(&probabilities[..6]).is_empty());
        assert_eq!(*same.rows(1, &[]), [1.0, 2.0, 0.9, 0.1, 3.0, 4.0, 0.2, 0.8]);
    }

    #[test]
    fn what_is_damaged_or_was_never_kept_is_refused() {
        let refused = |learnt: &Learnt| learnt.known(&[3, 7], &[3, 7], 0).is_err();
        assert!(!refused(&two_rounds()));
        assert!(refused(&Learnt::default()));
        let damage: [fn(&mut Learnt); 5] = [
            |l| l.weight.truncate(1),
            |l| l.stroke.clear(),
            |l| l.features.truncate(3),
            |l| l.context[0].truncate(3),
            |l| l.class[0] = 4,
        ];
        for damage in damage {
            let mut learnt = two_rounds();
            damage(&mut learnt);
            assert!(refused(&learnt), "{learnt:?}");
        }
    }

    #[test]
    fn of_a_common_class_some_samples_are_kept_evenly() {
        let class: Vec<u16> = (0..10_000).map(|i| u16::from(i % 100 == 0)).collect();
        let kept = kept(&class, 2);
        assert_eq!(kept.iter().filter(|i| class[**i] == 1).count(), 100);
        assert_eq!(kept.len(), 100 + KEPT);
        let first_half = kept.iter().filter(|i| **i < 5000).count();
        assert!((first_half as f32 / kept.len() as f32 - 0.5).abs() < 0.01);
    }
}
