//! Painted regions as samples for training.

use super::{FeatureCache, Scribbles, SegmentError};

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
pub(super) fn check_classes(
    painted: impl Iterator<Item = u16>,
    known: &[u16],
) -> Result<Vec<u16>, SegmentError> {
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
