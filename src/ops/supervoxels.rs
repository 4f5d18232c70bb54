//! A volume into small connected regions that follow its boundaries.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, mask_of};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::base::Unit;
use crate::segment::{SlicParams, supervoxels};

pub(super) static OP: Op = Op {
    id: "supervoxels",
    label: "Supervoxels",
    stage: Stage::Segment,
    summary: "Cuts a volume into small connected regions that follow its boundaries",
    about: "\
Simple linear iterative clustering in three dimensions: every voxel joins the nearest seed in value and place. \
Regions are connected, the same for any number of threads, and as large as half the smallest thing to be told apart.

Or a watershed of the gradient: every cell of a grid has one seed at its flattest voxel, and regions meet where the \
volume is steepest.

Sources: Achanta and others (2012), doi:10.1109/TPAMI.2012.120; Neubert and Protzel (2014), doi:10.1109/ICPR.2014.181.",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "What is cut" },
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "Only where this is labelled" },
    ],
    outputs: &[Output { name: "regions", kind: Kind::Regions }],
    params: &[
        Param::new(
            "method",
            "Method",
            ParamKind::Choice(&[
                Choice { value: "slic", label: "Clusters (SLIC)" },
                Choice { value: "watershed", label: "Snap to borders (watershed)" },
            ]),
            "Clusters of value and place, or a flood of the gradient from a grid of seeds whose regions meet on crests",
        ),
        Param::new("size_voxels", "Size", ParamKind::Float { min: 2.0, max: 64.0 }, "Edge of a region")
            .unit("voxels"),
        Param::new(
            "compactness",
            "Compactness",
            ParamKind::Float { min: 0.01, max: 100.0 },
            "How much a compact shape counts against an even value; larger makes cubes",
        ),
        Param::new("iterations", "Rounds", ParamKind::Int { min: 1, max: 50 }, "Rounds of assignment and update")
            .advanced()
            .only_with("method", &["slic"]),
        Param::new(
            "smoothing_voxels",
            "Smoothing",
            ParamKind::Float { min: 0.0, max: 10.0 },
            "Standard deviation of the Gaussian that the values are smoothed with first",
        )
        .unit("voxels")
        .advanced(),
        Param::new(
            "min_size",
            "Smallest",
            ParamKind::Float { min: 0.0, max: 1.0 },
            "Pieces smaller than this fraction of a region join a neighbour",
        )
        .advanced(),
    ],
    defaults: defaults_of::<SlicParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    // Smoothed values, ids, joining.
    Ok(Forecast { bytes: inputs.volume("volume")?.n_voxels() as u64 * 14, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: SlicParams = typed(params)?;
    let volume = inputs.volume("volume")?;
    let mask = mask_of(inputs, "mask");
    let regions = supervoxels(&context.progress, volume, mask.as_ref().map(|mask| mask.view()), &params)
        .map_err(OpError::method)?;
    let n = regions.n;
    let map = volume.with_data(regions.ids, Unit::Label);
    Ok(Outcome { details: json!({ "regions": n }), ..Outcome::of("regions", Data::Regions(Arc::new(map))) })
}
