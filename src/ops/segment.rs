//! From a few strokes to a label for every voxel.

use std::sync::Arc;

use ndarray::Array3;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData, mask_of};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::base::Unit;
use crate::segment::{self, Aids, FeatureCache, SegmentParams, Segmentation, Smoother, SupervoxelMethod};
use crate::volume::{Labels, Volume};

/// The parameters of the pipeline and the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SegmentOpParams {
    region_voxels: Option<f32>,
    regions: SupervoxelMethod,
    smooth: f32,
    smoother: Smoother,
    tilt_range_deg: Option<f32>,
    lac_priors: String,
    lac_weight: f32,
    trees: u32,
    context_rounds: u32,
    seed: u64,
}

impl Default for SegmentOpParams {
    fn default() -> Self {
        let SegmentParams {
            region_voxels,
            regions,
            trees,
            context_rounds,
            smooth,
            smoother,
            tilt_range_deg,
            lac_priors,
            lac_weight,
        } = SegmentParams::default();
        Self {
            region_voxels,
            regions,
            smooth,
            smoother,
            tilt_range_deg,
            lac_priors,
            lac_weight,
            trees,
            context_rounds,
            seed: 0,
        }
    }
}

impl SegmentOpParams {
    fn pipeline(&self) -> SegmentParams {
        SegmentParams {
            region_voxels: self.region_voxels,
            regions: self.regions,
            trees: self.trees,
            context_rounds: self.context_rounds,
            smooth: self.smooth,
            smoother: self.smoother,
            tilt_range_deg: self.tilt_range_deg,
            lac_priors: self.lac_priors.clone(),
            lac_weight: self.lac_weight,
        }
    }
}

pub(super) static OP: Op = Op {
    id: "segment",
    label: "Classify",
    stage: Stage::Segment,
    summary: "Labels every voxel from a few painted strokes",
    about: "\
Supervoxels, features of each at several scales, a seeded random forest, and further rounds in which the forest \
also sees what the neighbourhood was taken for. Regions beside a stroke that absorb like it are samples too. Classes that are common in the volume weigh more, neighbouring \
regions of like value agree, and voxels near a border are decided one by one by their own value. The program chooses \
the region size. Every voxel gets one of the painted classes, 0 only outside the mask; a painted voxel keeps its \
class. Probabilities are calibrated on regions whose stroke was left out; where the two most probable classes are close the \
uncertainty is near 1. Where the volume was also reconstructed from half of the views each, what the halves do not \
share is noise: features see it, and where there is more of it than under the strokes the result is less sure. The same strokes and seed \
give the same bits.

With a classifier that was trained before, the strokes are added to what it learnt: a few where it errs on this volume \
are enough, and new classes may be painted. What is painted here counts four times as much as what it learnt elsewhere. \
Regions and features are then made with its recipe, and region size and context rounds are the classifier's.

Sources: random forests after Breiman (2001); extra trees after Geurts and others (2006); context after Tu and Bai \
(2010); how common classes are after Saerens and others (2002); agreement after Krähenbühl and Koltun (2011); random field \
after Boykov, Veksler and Zabih (2001); borders after Chan and Vese (2001); calibration after Guo and others (2017).",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "What is segmented" },
        Input { name: "scribbles", kind: Kind::Labels, optional: false, doc: "Strokes: 0 unpainted, k is class k" },
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "Only where this is labelled" },
        Input {
            name: "classifier",
            kind: Kind::Classifier,
            optional: true,
            doc: "Trained before, maybe on another volume: the strokes are added to what it learnt",
        },
        Input { name: "even", kind: Kind::Volume, optional: true, doc: "The volume from every other view" },
        Input { name: "odd", kind: Kind::Volume, optional: true, doc: "The volume from the other views: both halves tell the noise" },
    ],
    outputs: &[
        Output { name: "prediction", kind: Kind::Labels },
        Output { name: "uncertainty", kind: Kind::Volume },
        Output { name: "classifier", kind: Kind::Classifier },
    ],
    params: &[
        Param::new(
            "region_voxels",
            "Region size",
            ParamKind::Float { min: 2.0, max: 64.0 },
            "Edge of a supervoxel; chosen by the program where left empty",
        )
        .unit("voxels")
        .optional(),
        Param::new(
            "regions",
            "Regions",
            ParamKind::Choice(&[
                Choice { value: "slic", label: "Clusters (SLIC)" },
                Choice { value: "watershed", label: "Snap to borders (watershed)" },
                Choice { value: "membranes", label: "Between dark membranes" },
            ]),
            "How supervoxels are found",
        )
        .advanced(),
        Param::new(
            "smooth",
            "Smoothness",
            ParamKind::Float { min: 0.0, max: 100.0 },
            "How much neighbouring regions want the same class; 0 leaves every region to itself",
        ),
        Param::new(
            "smoother",
            "Smoothed by",
            ParamKind::Choice(&[
                Choice { value: "agreement", label: "Agreement of neighbours" },
                Choice { value: "random-field", label: "Random field" },
            ]),
            "Neighbours are asked a few times over, or the labelling of least energy is found by least cuts",
        )
        .advanced(),
        Param::new(
            "tilt_range_deg",
            "Tilt range",
            ParamKind::Float { min: 10.0, max: 90.0 },
            "Greatest tilt of the scan to either side: neighbours across the missing wedge count less; empty for a full rotation",
        )
        .unit("°")
        .optional()
        .advanced(),
        Param::new(
            "lac_priors",
            "Known LAC",
            ParamKind::Text,
            "What is known of classes as class:mean:sd in 1/µm, separated by commas, such as 1:0.1:0.02,3:0.35:0.05",
        )
        .advanced(),
        Param::new(
            "lac_weight",
            "Weight of known LAC",
            ParamKind::Float { min: 0.0, max: 10.0 },
            "How much what is known of the LAC counts beside the strokes",
        )
        .advanced(),
        Param::new("trees", "Trees", ParamKind::Int { min: 1, max: 10_000 }, "Trees of each forest").advanced(),
        Param::new(
            "context_rounds",
            "Context rounds",
            ParamKind::Int { min: 0, max: 5 },
            "Rounds in which the forest also sees what the neighbourhood was taken for",
        )
        .advanced(),
        Param::new("seed", "Seed", ParamKind::Int { min: 0, max: i64::MAX }, "Another number, another forest")
            .advanced(),
    ],
    defaults: defaults_of::<SegmentOpParams>,
    forecast,
    run,
    policy: Policy::Latest,
};

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let params: SegmentOpParams = typed(params)?;
    let volume = inputs.volume("volume")?;
    let base = inputs.find_classifier("classifier");
    let recipe = base.map_or_else(|| params.pipeline().recipe(), |base| base.recipe_for(volume));
    let n = volume.n_voxels() as u64;
    // The cache, the dense strokes, and labels with uncertainty at the end.
    let bytes = FeatureCache::peak_bytes(n, &recipe) + 2 * n + 6 * n;
    Ok(Forecast { bytes, seconds: None })
}

/// What the parameters of this operation say to the method: its parameters and the seed.
///
/// # Errors
/// [`OpError::Parameter`] with one sentence.
pub fn pipeline(params: &Value) -> Result<(SegmentParams, u64), OpError> {
    let params: SegmentOpParams = typed(&OP.complete(params)?)?;
    Ok((params.pipeline(), params.seed))
}

/// The two halves, where both are given.
///
/// # Errors
/// [`OpError::MissingInput`] where one is.
pub(super) fn halves_of(inputs: &Inputs) -> Result<Option<[&Volume<f32>; 2]>, OpError> {
    if inputs.find_volume("even").is_none() && inputs.find_volume("odd").is_none() {
        return Ok(None);
    }
    Ok(Some([inputs.volume("even")?, inputs.volume("odd")?]))
}

/// The whole pipeline with everything it rests on; the command line takes the probabilities from here.
///
/// # Errors
/// The sentence of the method.
pub fn segmentation(context: &Context, inputs: &Inputs, params: &Value) -> Result<Segmentation, OpError> {
    let params: SegmentOpParams = typed(&OP.complete(params)?)?;
    let scribbles: Array3<u16> = inputs.labels("scribbles")?.labels.to_dense();
    let mask = mask_of(inputs, "mask");
    let aids = Aids {
        mask: mask.as_ref().map(|mask| mask.view()),
        base: inputs.find_classifier("classifier").map(|base| &**base),
        halves: halves_of(inputs)?,
    };
    segment::segment_with(
        &context.progress,
        inputs.volume("volume")?,
        scribbles.view(),
        &aids,
        &params.pipeline(),
        params.seed,
    )
    .map_err(OpError::method)
}

/// The layers that a segmentation becomes.
pub fn outcome(volume: &Volume<f32>, classes: &LabelData, segmentation: Segmentation) -> Outcome {
    let uncertainty = segmentation.prediction.uncertainty_volume(&segmentation.cache.regions);
    let details = json!({
        "regions": segmentation.cache.regions.n,
        "features": segmentation.cache.features.n_features,
        "classes": segmentation.classifier.classes,
    });
    let labels = label_data(volume, &segmentation.labels, classes);
    Outcome {
        data: vec![
            ("prediction", Data::Labels(Arc::new(labels))),
            ("uncertainty", Data::Volume(Arc::new(volume.with_data(uncertainty, Unit::Arbitrary)))),
            ("classifier", Data::Classifier(Arc::new(segmentation.classifier))),
        ],
        notes: Vec::new(),
        details,
    }
}

/// Labels in the frame of a volume with the classes of other labels.
pub(super) fn label_data(volume: &Volume<f32>, ids: &Array3<u16>, classes: &LabelData) -> LabelData {
    let labels = Labels::from_dense(ids);
    let classes = classes.classes.clone().with_ids(labels.ids());
    LabelData::on_grid_of(volume, labels, classes)
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let segmentation = segmentation(context, inputs, params)?;
    Ok(outcome(inputs.volume("volume")?, inputs.labels("scribbles")?, segmentation))
}
