//! Segmentation: supervoxels, features of regions, a random forest, and the pipeline that turns a few
//! strokes into a label for every voxel.

pub mod agglomerate;
pub mod brush;
mod cache;
mod calibrate;
pub mod carve;
pub mod classify;
pub mod clean;
mod context;
mod decide;
pub mod envelope;
mod envelope_start;
pub mod features;
pub mod fill;
mod flood;
pub mod forest;
mod fragments;
mod grow;
pub mod interpolate;
mod lanes;
mod learnt;
pub mod limits;
mod membranes;
pub mod mixture;
mod noise;
pub mod object;
mod pipeline;
mod plane;
mod polish;
pub mod polygon;
mod prediction;
pub mod quality;
pub mod random_field;
pub mod region_brush;
pub mod regions;
mod samples;
mod scribbles;
pub mod slic;
pub mod smart;
mod snap;
pub mod split;
pub mod suggest;
pub mod threshold;
pub mod validate;
pub mod watershed;

#[cfg(test)]
mod test_data;

pub use agglomerate::Agglomeration;
pub use cache::{FeatureCache, Recipe};
pub use calibrate::calibration_error;
pub use carve::{CarveGraph, CarveParams, carve};
pub use classify::{Classifier, TrainParams, predict, refine, train};
pub use clean::{
    ClassList, CleanOperation, CleanParams, CleanPlane, Cleaned, CleanedClass, clean, clean_chosen,
};
pub use decide::{DecisionParams, LacPrior, Smoother};
pub use envelope::{EnvelopeParams, envelope};
pub use envelope_start::FoundStart;
pub use features::{FeatureParams, RegionFeatures, region_features};
pub use forest::{Forest, ForestKind, ForestParams};
pub use interpolate::{InterpolateParams, InterpolatedClass, PaintedAxis, interpolate};
pub use membranes::Wall;
pub use pipeline::{Aids, SegmentParams, Segmentation, segment, segment_with};
pub use prediction::Prediction;
pub use random_field::RandomField;
pub use regions::{Adjacency, Place, Regions};
pub use scribbles::Scribbles;
pub use slic::{SlicParams, SupervoxelMethod, supervoxels, supervoxels_between, supervoxels_on};
pub use split::{SplitMethod, SplitParams, split};
pub use suggest::{Suggestion, suggest};
pub use threshold::{ThresholdMethod, ThresholdParams, threshold};
pub use validate::{Validation, validate};
pub use watershed::{WatershedOn, WatershedParams, watershed};

use std::borrow::Cow;

use ndarray::ArrayView3;
use rayon::prelude::*;

use crate::base::{Cancelled, Progress, Unit};
use crate::kernels::components::ComponentsError;
use crate::volume::Volume;

/// What can go wrong in segmentation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The volume has no voxels.
    #[error("the volume is empty ({}×{}×{} voxels)", shape[0], shape[1], shape[2])]
    EmptyVolume {
        /// Shape as z, y, x.
        shape: [usize; 3],
    },
    /// A voxel that takes part is NaN or infinite.
    #[error(
        "{n} voxels are NaN or infinite, the first at (z, y, x) = ({}, {}, {}): replace them or leave them out with a mask",
        first_zyx[0], first_zyx[1], first_zyx[2]
    )]
    NonFinite {
        /// How many.
        n: u64,
        /// The first in array order.
        first_zyx: [usize; 3],
    },
    /// Two arrays that must match do not.
    #[error(
        "{what} is {}×{}×{} voxels (z×y×x), the volume is {}×{}×{}",
        found[0], found[1], found[2], expected[0], expected[1], expected[2]
    )]
    ShapeMismatch {
        /// The array that does not fit.
        what: &'static str,
        /// Shape of the volume as z, y, x.
        expected: [usize; 3],
        /// Shape of that array as z, y, x.
        found: [usize; 3],
    },
    /// The mask leaves nothing to segment.
    #[error("the mask is empty: no voxel is left to segment")]
    EmptyMask,
    /// Nothing was painted (inside the mask).
    #[error("no scribbles: paint a few voxels of at least two classes (0 is unpainted)")]
    NoScribbles,
    /// Only one class was painted.
    #[error("only class {class} is painted: paint at least one more, for example the background")]
    OneClass {
        /// That class.
        class: u16,
    },
    /// A parameter is out of its range.
    #[error("{name} is {value}, it must be {range}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is accepted, in words.
        range: &'static str,
    },
    /// A classifier meets values of another unit.
    #[error(
        "the classifier was trained on values in {}, the volume is in {}: bring it to the same unit first",
        trained.ascii(), found.ascii()
    )]
    Unit {
        /// Unit of the training volume.
        trained: Unit,
        /// Unit of this one.
        found: Unit,
    },
    /// A classifier meets features made by another recipe.
    #[error(
        "the classifier expects {expected} features per region, the volume has {found}: make them with its recipe"
    )]
    Recipe {
        /// Features the classifier knows.
        expected: usize,
        /// Features there are.
        found: usize,
    },
    /// A classifier carries nothing that strokes could be added to.
    #[error(
        "the classifier can label volumes but not learn more: it was saved without the samples it learnt from, or its file is damaged"
    )]
    NothingLearnt,
    /// A LAC prior cannot be read.
    #[error(
        "the LAC prior {text:?} is not class:mean:sd with a class from 1 and both in 1/um, such as 3:0.35:0.05"
    )]
    Prior {
        /// What was given.
        text: String,
    },
    /// LAC priors were given for values that are no LAC.
    #[error("LAC priors are in 1/um, the volume is in {}: leave them out or calibrate the volume", found.ascii())]
    PriorUnit {
        /// Unit of the volume.
        found: Unit,
    },
    /// A list of classes that is none.
    #[error("{text:?} is no list of classes: give ids from 1 such as 2,5-7")]
    ClassList {
        /// What was given.
        text: String,
    },
    /// A length in nm or a volume in µm³ without a voxel size.
    #[error("the voxel size is unknown: give lengths and sizes in voxels")]
    VoxelSize,
    /// A method needs values and got none.
    #[error("splitting by intensity needs the volume of values: give it")]
    NoVolume,
    /// Flooding distances needs something to be inside of.
    #[error("the watershed on distance needs a mask: give the labels whose parts are looked for")]
    NoMask,
    /// More basins than classes.
    #[error(
        "{n} basins, more than the 65535 that labels can number: raise the depth or the scale, or give markers"
    )]
    TooManyBasins {
        /// How many there are.
        n: u32,
    },
    /// A surface needs both sides.
    #[error("the start {}", if *all { "covers everything: leave something outside" } else { "is empty: label something inside" })]
    Start {
        /// Whether it is full rather than empty.
        all: bool,
    },
    /// Nothing to begin with where it was asked for.
    #[error(
        "the value at voxel {}, {}, {} (z, y, x) is {value:.3}, not above the threshold of {above:.3}: name a voxel inside, or a lower threshold (--above)",
        at[0], at[1], at[2]
    )]
    At {
        /// The voxel as z, y, x.
        at: [usize; 3],
        /// The smoothed value there.
        value: f64,
        /// The threshold.
        above: f64,
    },
    /// A voxel that is spelt in another way.
    #[error("at is {text}, it must be a voxel as Z,Y,X: three whole numbers from 0")]
    AtText {
        /// What was given.
        text: String,
    },
    /// A voxel that does not exist.
    #[error("there is no voxel {}, {}, {} (z, y, x): the volume has {} x {} x {}", at[0], at[1], at[2], shape[0], shape[1], shape[2])]
    Beyond {
        /// The voxel as z, y, x.
        at: [usize; 3],
        /// Shape of the volume as z, y, x.
        shape: [usize; 3],
    },
    /// Two halves that tell nothing of the noise.
    #[error("the two halves are the same: give reconstructions from different views")]
    SameHalves,
    /// A classifier that knows the noise meets a volume without it, or the other way round.
    #[error(
        "the classifier was trained {} the noise of two halves, the volume comes {} them",
        if *trained { "with" } else { "without" }, if *trained { "without" } else { "with" }
    )]
    Halves {
        /// Whether it was trained with them.
        trained: bool,
    },
    /// Too many pieces to number.
    #[error("{0}")]
    Components(ComponentsError),
    /// The values do not part into classes.
    #[error("{0}")]
    Mixture(mixture::MixtureError),
    /// Stopped by its owner.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<ComponentsError> for SegmentError {
    fn from(error: ComponentsError) -> Self {
        match error {
            ComponentsError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error @ ComponentsError::TooMany { .. } => Self::Components(error),
        }
    }
}

/// Checks shape and values of a volume and its mask; gives the mask in array order, `None` where it leaves
/// nothing out.
fn check_inputs<'m>(
    progress: &Progress,
    volume: &Volume<f32>,
    mask: Option<ArrayView3<'m, bool>>,
) -> Result<Option<Cow<'m, [bool]>>, SegmentError> {
    let shape = volume.shape();
    if volume.n_voxels() == 0 {
        return Err(SegmentError::EmptyVolume { shape });
    }
    let mask = match mask {
        None => None,
        Some(mask) => {
            let (z, y, x) = mask.dim();
            if [z, y, x] != shape {
                return Err(SegmentError::ShapeMismatch {
                    what: "the mask",
                    expected: shape,
                    found: [z, y, x],
                });
            }
            let inside = match mask.to_slice() {
                Some(slice) => Cow::Borrowed(slice),
                None => Cow::Owned(mask.iter().copied().collect()),
            };
            if !inside.iter().any(|m| *m) {
                return Err(SegmentError::EmptyMask);
            }
            inside.iter().any(|m| !*m).then_some(inside)
        }
    };
    progress.check()?;
    let slice_len = shape[1] * shape[2];
    let bad: Vec<(u64, Option<usize>)> = volume
        .values()
        .par_chunks(slice_len)
        .enumerate()
        .map(|(z, slice)| {
            let inside = mask.as_deref().map(|m| &m[z * slice_len..][..slice_len]);
            let is_bad = |i: usize| !slice[i].is_finite() && inside.is_none_or(|m| m[i]);
            let n = (0..slice.len()).filter(|i| is_bad(*i)).count();
            let first = if n > 0 { (0..slice.len()).find(|i| is_bad(*i)) } else { None };
            (n as u64, first.map(|i| z * slice_len + i))
        })
        .collect();
    if let Some(first) = bad.iter().find_map(|(_, first)| *first) {
        let first_zyx = [first / slice_len, first / shape[2] % shape[1], first % shape[2]];
        return Err(SegmentError::NonFinite { n: bad.iter().map(|(n, _)| n).sum(), first_zyx });
    }
    Ok(mask)
}

/// A quarter of the span between the 2nd and the 98th percentile of (a sample of) the values inside the mask:
/// about one standard deviation, whatever gold beads there are. Never zero.
fn spread(values: &[f32], mask: Option<&[bool]>) -> f32 {
    const SAMPLES: usize = 1 << 18;
    // An odd stride that shares no factor with usual row lengths.
    let stride = (values.len() / SAMPLES).max(1) | 1;
    let mut sample: Vec<f32> =
        (0..values.len()).step_by(stride).filter(|i| mask.is_none_or(|m| m[*i])).map(|i| values[i]).collect();
    sample.sort_unstable_by(f32::total_cmp);
    let at = |q: f64| sample.get((q * sample.len() as f64) as usize).copied().unwrap_or(0.0);
    let spread = (at(0.98) - at(0.02)) / 4.0;
    if spread > 0.0 && spread.is_finite() { spread } else { 1.0 }
}
