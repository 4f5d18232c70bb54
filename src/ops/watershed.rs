//! Basins of a volume, from markers or by themselves.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData, mask_of};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::segment::{WatershedParams, watershed};
use crate::volume::{ClassTable, Labels};

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

pub(super) static OP: Op = Op {
    id: "watershed",
    label: "Watershed",
    stage: Stage::Segment,
    summary: "Floods a volume from markers, or from its own basins, up to the borders between them",
    about: "\
gradient floods the gradient magnitude, so that borders lie where values change; intensity the values themselves, \
dark regions with bright borders, or with --bright the other way round; distance the depth inside the mask, so that \
its parts are separated at necks. With markers, painted labels, every region gets the class of its marker. Without, \
every basin that lies --depth below its lowest pass becomes a region with a number of its own, in scan order. A scale \
in nm stays the same on any grid. Floods go by height, first come first served: the result depends on nothing but the \
input.

Sources: Meyer (1991); Beucher and Meyer (1993).",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "What is flooded" },
        Input { name: "markers", kind: Kind::Labels, optional: true, doc: "Where floods begin: 0 nowhere, k is class k" },
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "Only where this is labelled" },
    ],
    outputs: &[Output { name: "flooded", kind: Kind::Labels }],
    params: &[
        Param::new(
            "on",
            "On",
            ParamKind::Choice(&[
                choice("gradient", "Gradient"),
                choice("intensity", "Intensity"),
                choice("distance", "Distance"),
            ]),
            "What is flooded",
        ),
        Param::new(
            "scale",
            "Scale",
            ParamKind::Float { min: 0.0, max: 50.0 },
            "Standard deviation of the Gaussian that the values are smoothed with",
        )
        .unit("voxels"),
        Param::new(
            "scale_nm",
            "Scale in nm",
            ParamKind::Float { min: 0.0, max: 1.0e6 },
            "The same in nm, in place of voxels",
        )
        .unit("nm")
        .optional(),
        Param::new("bright", "Bright regions", ParamKind::Bool, "Regions are bright and their borders dark")
            .only_with("on", &["intensity"]),
        Param::new(
            "depth",
            "Depth",
            ParamKind::Float { min: 0.0, max: 100.0 },
            "Depth below its lowest pass that a basin must have without markers, in standard deviations of what is flooded",
        )
        .unit("σ"),
        Param::new(
            "min_voxels",
            "Smallest region",
            ParamKind::Int { min: 0, max: 1_000_000_000 },
            "Without markers, basins of fewer voxels go to their neighbours",
        )
        .unit("voxels"),
    ],
    defaults: defaults_of::<WatershedParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let n = inputs.volume("volume")?.n_voxels() as u64;
    // Values and heights, levels, ids, order, groups; labels at the end.
    Ok(Forecast { bytes: n * (8 + 2 + 4 + 4 + 2 + 4), seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: WatershedParams = typed(params)?;
    let volume = inputs.volume("volume")?;
    let markers = inputs.find_labels("markers");
    let dense = markers.map(|data| data.labels.to_dense());
    let mask = mask_of(inputs, "mask");
    let found = watershed(
        &context.progress,
        volume,
        dense.as_ref().map(|m| m.view()),
        mask.as_ref().map(|m| m.view()),
        &params,
    )
    .map_err(OpError::method)?;
    let labels = Labels::from_dense(&found.labels);
    let classes = match markers {
        Some(data) => data.classes.clone(),
        None => {
            let names: Vec<String> = (1..=found.n).map(|n| format!("region {n}")).collect();
            ClassTable::from_names(names.iter().take(1000).map(String::as_str))
        }
    };
    let classes = classes.with_ids(labels.ids());
    let data = LabelData::on_grid_of(volume, labels, classes);
    let details = json!({ "regions": found.n, "from_markers": found.from_markers });
    Ok(Outcome { details, ..Outcome::of("flooded", Data::Labels(Arc::new(data))) })
}
