//! A trained classifier on another volume.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData, mask_of};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of};
use super::segment::halves_of;
use crate::base::Unit;
use crate::segment::{self, FeatureCache};
use crate::volume::{ClassTable, Labels};

/// Nothing to choose: the classifier says it all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PredictParams {}

pub(super) static OP: Op = Op {
    id: "predict",
    label: "Predict",
    stage: Stage::Segment,
    summary: "Labels a volume with a classifier trained on another",
    about: "\
The classifier brings its regions, features and scales along; lengths follow the voxel size, so that they stay the \
same in µm. The volume must have the unit that it was trained on: LAC is compared with LAC.",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "What is labelled" },
        Input { name: "classifier", kind: Kind::Classifier, optional: false, doc: "Trained by `segment`" },
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "Only where this is labelled" },
        Input {
            name: "even",
            kind: Kind::Volume,
            optional: true,
            doc: "The volume from every other view, if the classifier was trained with halves",
        },
        Input { name: "odd", kind: Kind::Volume, optional: true, doc: "The volume from the other views" },
    ],
    outputs: &[
        Output { name: "prediction", kind: Kind::Labels },
        Output { name: "uncertainty", kind: Kind::Volume },
    ],
    params: &[],
    defaults: defaults_of::<PredictParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let volume = inputs.volume("volume")?;
    let recipe = inputs.classifier("classifier")?.recipe_for(volume);
    let n = volume.n_voxels() as u64;
    Ok(Forecast { bytes: FeatureCache::peak_bytes(n, &recipe) + 6 * n, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, _params: &Value) -> Result<Outcome, OpError> {
    let volume = inputs.volume("volume")?;
    let classifier = inputs.classifier("classifier")?;
    let mask = mask_of(inputs, "mask");
    let recipe = classifier.recipe_for(volume);
    let mask = mask.as_ref().map(|mask| mask.view());
    let halves = halves_of(inputs)?;
    let cache = FeatureCache::build_with_halves(&context.progress, volume, halves, mask, &recipe)
        .map_err(OpError::method)?;
    let prediction = segment::predict(&context.progress, &cache, classifier).map_err(OpError::method)?;
    let labels = Labels::from_dense(&prediction.labels(&cache.regions, None));
    let classes = ClassTable::default().with_ids(classifier.classes.iter().copied());
    let labels = LabelData::on_grid_of(volume, labels, classes);
    let uncertainty = prediction.uncertainty_volume(&cache.regions);
    Ok(Outcome {
        data: vec![
            ("prediction", Data::Labels(Arc::new(labels))),
            ("uncertainty", Data::Volume(Arc::new(volume.with_data(uncertainty, Unit::Arbitrary)))),
        ],
        notes: Vec::new(),
        details: json!({ "regions": cache.regions.n, "classes": classifier.classes }),
    })
}
