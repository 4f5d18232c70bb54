//! One object out of its surroundings by strokes on both.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, mask_of};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use super::segment::label_data;
use crate::segment::{CarveParams, carve};

pub(super) static OP: Op = Op {
    id: "carve",
    label: "Carve",
    stage: Stage::Segment,
    summary: "Carves objects out of their surroundings from a few strokes, where only their boundaries show",
    about: "\
Supervoxels, and between those that touch the height of the boundary, the mean gradient over the shared faces. Strokes \
spread over the lowest boundaries first until they meet. It needs no values that tell classes apart, only boundaries \
that close; where one leaks, another stroke on the far side stops it. Every voxel gets one of the painted classes, 0 \
only outside the mask; a painted voxel keeps its class.

Sources: minimum spanning forests after Cousty and others (2009), doi:10.1109/TPAMI.2008.173; as a way to carve after \
Straehle and others (2011).",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "What is carved" },
        Input { name: "scribbles", kind: Kind::Labels, optional: false, doc: "Strokes: 0 unpainted, k is class k" },
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "Only where this is labelled" },
    ],
    outputs: &[Output { name: "carved", kind: Kind::Labels }],
    params: &[
        Param::new(
            "region_voxels",
            "Region size",
            ParamKind::Float { min: 2.0, max: 64.0 },
            "Edge of a supervoxel",
        )
        .unit("voxels"),
        Param::new(
            "scale",
            "Scale",
            ParamKind::Float { min: 0.0, max: 20.0 },
            "Standard deviation of the Gaussian before the gradient",
        )
        .unit("voxels"),
    ],
    defaults: defaults_of::<CarveParams>,
    forecast,
    run,
    policy: Policy::Latest,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let n = inputs.volume("volume")?.n_voxels() as u64;
    // Strokes; regions and what makes them; smoothed values and slopes; faces of the pairs of some slabs.
    Ok(Forecast { bytes: n * (2 + 14 + 8 + 8), seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: CarveParams = typed(params)?;
    let (volume, scribbles) = (inputs.volume("volume")?, inputs.labels("scribbles")?);
    let strokes = scribbles.labels.to_dense();
    let mask = mask_of(inputs, "mask");
    let mask = mask.as_ref().map(|mask| mask.view());
    let found = carve(&context.progress, volume, &strokes.view(), mask, &params).map_err(OpError::method)?;
    let labels = label_data(volume, &found, scribbles);
    let details = json!({ "classes": labels.labels.ids() });
    Ok(Outcome { details, ..Outcome::of("carved", Data::Labels(Arc::new(labels))) })
}
