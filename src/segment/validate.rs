//! Honest validation: how well what was painted is told by what was painted elsewhere.
//!
//! Neighbouring voxels of a stroke are so alike that leaving out single samples flatters. Two questions are asked
//! instead: are the regions of a stroke told right by trees that have not seen that stroke, and are those of a slab of
//! painted slices told right by a forest that has not seen that slab? Both look at the features of the regions only,
//! without the context of later rounds, and so are a little below what the whole pipeline does.
//!
//! Cost: one forest for the strokes and one per slab, on the painted regions only.

use super::forest::{Forest, ForestParams, Samples};
use super::prediction::best_two;
use super::samples::{Sample, samples};
use super::{FeatureCache, Scribbles, SegmentError, TrainParams};
use crate::base::Progress;

/// Most slabs that are left out one after the other.
const SLABS: usize = 6;
/// Trees of a forest of this module: enough for a verdict, few enough to run after every stroke.
const TREES: u32 = 24;

/// What was said of painted regions by what had not seen them.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Regions of every true class (row) by the class that was said (column), in the order of [`Validation::classes`].
    pub confusion: Vec<Vec<u32>>,
    /// How many parts were left out.
    pub n_parts: usize,
}

impl Verdict {
    fn new(classes: &[u16], said: &[usize], k: usize, n_parts: usize) -> Self {
        let mut confusion = vec![vec![0u32; k]; k];
        for (class, said) in classes.iter().zip(said) {
            confusion[*class as usize][*said] += 1;
        }
        Self { confusion, n_parts }
    }

    /// Fraction of all regions that were told right, 0 to 1.
    pub fn accuracy(&self) -> f32 {
        let right: u32 = (0..self.confusion.len()).map(|c| self.confusion[c][c]).sum();
        right as f32 / self.confusion.iter().flatten().sum::<u32>().max(1) as f32
    }

    /// Fraction of the regions of every class that were told right.
    pub fn recall(&self) -> Vec<f32> {
        let share =
            |(class, row): (usize, &Vec<u32>)| row[class] as f32 / row.iter().sum::<u32>().max(1) as f32;
        self.confusion.iter().enumerate().map(share).collect()
    }

    /// Mean of the recall over the classes.
    pub fn balanced_accuracy(&self) -> f32 {
        self.recall().iter().sum::<f32>() / self.confusion.len().max(1) as f32
    }
}

/// Both questions answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// Class ids, in the order of the rows and columns.
    pub classes: Vec<u16>,
    /// Each stroke by trees that have not seen it.
    pub by_stroke: Verdict,
    /// Each slab of painted slices by a forest that has not seen it; `None` where the paint lies in one slice, or every
    /// slab would take all of a class along.
    pub by_slab: Option<Verdict>,
}

/// Validates strokes on the features of a volume.
///
/// # Errors
/// [`SegmentError::ShapeMismatch`], [`SegmentError::NoScribbles`], [`SegmentError::OneClass`],
/// [`SegmentError::Cancelled`].
pub fn validate(
    progress: &Progress,
    cache: &FeatureCache,
    scribbles: &Scribbles,
    params: &TrainParams,
    seed: u64,
) -> Result<Validation, SegmentError> {
    let (samples, classes) = samples(cache, scribbles, &[])?;
    let k = classes.len();
    let class: Vec<u16> = samples.iter().map(|s| s.class).collect();
    let stroke: Vec<u32> = samples.iter().map(|s| s.stroke).collect();
    let forest = ForestParams { trees: params.forest.trees.min(TREES), ..params.forest.clone() };
    let all: Vec<usize> = (0..samples.len()).collect();
    progress.phase("Validating", 1 + SLABS as u64);
    let rows = Table::new(cache, &samples, &all);
    let held_out = Forest::train(progress, &rows.samples(&class, &stroke, k), &forest, seed)?.held_out;
    let said: Vec<usize> = held_out.chunks_exact(k).map(|p| best_two(p).0).collect();
    let mut n_strokes = stroke.clone();
    n_strokes.sort_unstable();
    n_strokes.dedup();
    let by_stroke = Verdict::new(&class, &said, k, n_strokes.len());
    progress.advance(1);
    let slab = slabs(scribbles, &samples);
    let n_slabs = slab.iter().max().map_or(0, |s| s + 1);
    let (mut classes_asked, mut said) = (Vec::new(), Vec::new());
    let mut n_parts = 0;
    for part in 0..n_slabs {
        let (inside, outside): (Vec<usize>, Vec<usize>) = all.iter().partition(|i| slab[**i] == part);
        // A class that lies in this slab only cannot be told from elsewhere.
        let known: Vec<bool> = (0..k).map(|c| outside.iter().any(|i| class[*i] as usize == c)).collect();
        let asked: Vec<usize> = inside.into_iter().filter(|i| known[class[*i] as usize]).collect();
        if asked.is_empty() || known.iter().filter(|k| **k).count() < 2 {
            continue;
        }
        let pick = |of: &[usize], list: &[_]| of.iter().map(|i| list[*i]).collect::<Vec<_>>();
        let class_outside: Vec<u16> = outside.iter().map(|i| class[*i]).collect();
        let rows = Table::new(cache, &samples, &outside);
        let trained = Forest::train(
            progress,
            &rows.samples(&class_outside, &pick(&outside, &stroke), k),
            &forest,
            seed.wrapping_add(1 + part as u64),
        )?;
        let votes = trained.forest.predict(progress, &Table::new(cache, &samples, &asked).features)?;
        said.extend(votes.chunks_exact(k).map(|p| best_two(p).0));
        classes_asked.extend(asked.iter().map(|i| class[*i]));
        n_parts += 1;
        progress.advance(1);
    }
    let by_slab = (n_parts > 1).then(|| Verdict::new(&classes_asked, &said, k, n_parts));
    Ok(Validation { classes, by_stroke, by_slab })
}

/// Features of some samples.
struct Table {
    features: Vec<f32>,
    n_features: usize,
    weights: Vec<f32>,
}

impl Table {
    fn new(cache: &FeatureCache, samples: &[Sample], of: &[usize]) -> Self {
        Self {
            features: of
                .iter()
                .flat_map(|i| cache.features.row(samples[*i].region as usize))
                .copied()
                .collect(),
            n_features: cache.features.n_features,
            weights: of.iter().map(|i| samples[*i].weight()).collect(),
        }
    }

    fn samples<'a>(&'a self, classes: &'a [u16], groups: &'a [u32], n_classes: usize) -> Samples<'a> {
        Samples {
            features: &self.features,
            n_features: self.n_features,
            classes,
            weights: &self.weights,
            groups,
            n_classes,
        }
    }
}

/// Slab of every sample: the painted slices lie apart along one axis; they are cut into parts of like number.
fn slabs(scribbles: &Scribbles, samples: &[Sample]) -> Vec<usize> {
    let [_, ny, nx] = scribbles.shape;
    let at = |a: usize, voxel: usize| [voxel / (ny * nx), voxel / nx % ny, voxel % nx][a];
    // Planes across an axis that hold paint, and the first of each bundle of planes that touch.
    let planes = |a: usize| {
        let mut planes: Vec<usize> = scribbles.voxels().iter().map(|(v, _)| at(a, *v)).collect();
        planes.sort_unstable();
        planes.dedup();
        let starts: Vec<usize> = planes
            .iter()
            .enumerate()
            .filter(|(i, plane)| *i == 0 || planes[i - 1] + 2 < **plane)
            .map(|(_, plane)| *plane)
            .collect();
        (planes.len(), a, starts)
    };
    let Some((_, axis, starts)) = (0..3).map(planes).filter(|(_, _, starts)| starts.len() > 1).min() else {
        return vec![0; samples.len()];
    };
    samples
        .iter()
        .map(|s| {
            // A stroke is named after its first voxel.
            let plane = scribbles.voxels().get(s.stroke as usize).map_or(0, |(v, _)| at(axis, *v));
            let layer = starts.partition_point(|start| *start <= plane).saturating_sub(1);
            layer * SLABS.min(starts.len()) / starts.len()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::base::Cancelled;
    use crate::segment::{Recipe, test_data};

    fn painted(slices: &[usize], wrong: Option<usize>) -> (FeatureCache, Scribbles) {
        let shape = [40; 3];
        let truth = test_data::balls(shape);
        let mut map = Array3::zeros(shape);
        for z in slices {
            for x in 2..38 {
                let class = truth[[*z, 20, x]] + 1;
                map[[*z, 20, x]] = if wrong == Some(*z) { class % 3 + 1 } else { class };
            }
        }
        let volume = test_data::noisy_balls(shape, 2);
        let cache = FeatureCache::build(&Progress::new(), &volume, None, &Recipe::default()).unwrap();
        (cache, Scribbles::from_map(map.view()))
    }

    #[test]
    fn good_strokes_are_told_from_elsewhere_and_a_slice_painted_wrong_shows() {
        let params = TrainParams::default();
        let run = |wrong| {
            let (cache, scribbles) = painted(&[9, 16, 23, 30], wrong);
            validate(&Progress::new(), &cache, &scribbles, &params, 1).unwrap()
        };
        let good = run(None);
        let slab = good.by_slab.clone().unwrap();
        assert_eq!((good.classes.clone(), slab.n_parts), (vec![1, 2, 3], 4));
        assert!(slab.accuracy() > 0.8, "{slab:?}");
        assert!(good.by_stroke.balanced_accuracy() > 0.7, "{:?}", good.by_stroke);
        let bad = run(Some(23)).by_slab.unwrap();
        assert!(bad.accuracy() + 0.15 < slab.accuracy(), "{} {}", bad.accuracy(), slab.accuracy());
        let rows: u32 = slab.confusion.iter().flatten().sum();
        let recall = slab.recall();
        assert!(rows > 20 && recall.len() == 3 && recall.iter().all(|r| (0.0..=1.0).contains(r)));
    }

    #[test]
    fn one_slice_has_no_slabs_and_a_cancel_is_answered() {
        let (cache, scribbles) = painted(&[20], None);
        let params = TrainParams::default();
        assert_eq!(validate(&Progress::new(), &cache, &scribbles, &params, 1).unwrap().by_slab, None);
        let progress = Progress::new();
        progress.cancel();
        let error = validate(&progress, &cache, &scribbles, &params, 1).unwrap_err();
        assert_eq!(error, SegmentError::Cancelled(Cancelled));
    }
}
