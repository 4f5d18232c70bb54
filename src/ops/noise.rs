//! The noise of a reconstruction from its halves.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::measure::noise::{NoiseParams, noise_map};

pub(super) static OP: Op = Op {
    id: "noise",
    label: "Noise map",
    stage: Stage::Quality,
    summary: "Maps the noise of a volume from two reconstructions of half of the views each",
    about: "\
What the halves do not share is noise. The map holds the standard deviation of the noise of their mean, which is near that \
of the volume from all views, around every voxel and in the unit of the volume. Errors that both halves share, such as the \
missing wedge, do not show.",
    inputs: &[
        Input { name: "even", kind: Kind::Volume, optional: false, doc: "The volume from every other view" },
        Input { name: "odd", kind: Kind::Volume, optional: false, doc: "The volume from the other views" },
    ],
    outputs: &[Output { name: "noise", kind: Kind::Volume }],
    params: &[Param::new(
        "sigma_voxels",
        "Averaging",
        ParamKind::Float { min: 0.5, max: 32.0 },
        "Standard deviation of the Gaussian that squared differences are averaged with",
    )
    .unit("voxels")],
    defaults: defaults_of::<NoiseParams>,
    forecast: |inputs, _| Ok(Forecast { bytes: inputs.volume("even")?.n_voxels() as u64 * 8, seconds: None }),
    run,
    policy: Policy::Queue,
};

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: NoiseParams = typed(params)?;
    let (even, odd) = (inputs.volume("even")?, inputs.volume("odd")?);
    let map = noise_map(&context.progress, even, odd, &params).map_err(OpError::method)?;
    let n = map.n_voxels().max(1) as f64;
    let mean = map.values().iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let details = json!({ "noise_mean": mean, "unit": map.unit.ascii() });
    Ok(Outcome { details, ..Outcome::of("noise", Data::Volume(Arc::new(map))) })
}
