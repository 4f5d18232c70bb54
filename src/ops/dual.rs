//! One volume from two tilt series around axes at right angles.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::recon::{DualParams, dual_axis};
use crate::volume::TiltSeries;

pub(super) static OP: Op = Op {
    id: "dual",
    label: "Dual axis",
    stage: Stage::Reconstruct,
    summary: "Reconstructs one volume from two tilt series, the sample turned a quarter between them",
    about: "\
Each series is reconstructed by itself; the second is turned back and found against the first by the correlation of both. \
Sweeps of SIRT over both series then alternate on one volume, so that each fills in what the other misses. The places of \
both are found to a voxel; align each series well before. Series whose fine structure along the beam agrees too little after the \
quarter turn, or better without it, are refused.",
    inputs: &[
        Input { name: "series", kind: Kind::Series, optional: false, doc: "Absorbance of the first series" },
        Input {
            name: "second",
            kind: Kind::Series,
            optional: false,
            doc: "Of the series after the quarter turn",
        },
        Input { name: "alignment", kind: Kind::Alignment, optional: true, doc: "Of the first series" },
        Input {
            name: "second alignment",
            kind: Kind::Alignment,
            optional: true,
            doc: "Of the second series",
        },
    ],
    outputs: &[Output { name: "volume", kind: Kind::Volume }],
    params: &[
        Param::new("iterations", "Sweeps", ParamKind::Int { min: 1, max: 1000 }, "Sweeps over both series"),
        Param::new(
            "thickness",
            "Thickness",
            ParamKind::Int { min: 1, max: 65_536 },
            "Voxels of the result along the beam; as many as columns where left empty",
        )
        .unit("voxels")
        .optional(),
        Param::new(
            "bin",
            "Binning",
            ParamKind::Int { min: 1, max: 16 },
            "Pixels averaged along each side before anything else",
        ),
        Param::new(
            "quarter",
            "Quarter turn",
            ParamKind::Int { min: -1, max: 1 },
            "Which way the sample was turned, 1 or -1; both are tried where left empty",
        )
        .optional()
        .advanced(),
    ],
    defaults: defaults_of::<DualParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let params: DualParams = typed(params)?;
    let bin = params.bin.max(1) as usize;
    let (first, second) = (inputs.series("series")?, inputs.series("second")?);
    let depth = params.thickness.unwrap_or(first.n_cols() / bin);
    let volume = |series: &TiltSeries| (series.n_rows() / bin * (series.n_cols() / bin) * depth) as u64;
    let views = (first.data.len() + second.data.len()) / (bin * bin);
    // The volume, as the second sees it, a step of either; the aligned views and what is left of them.
    Ok(Forecast { bytes: 12 * (volume(first) + volume(second)) + 8 * views as u64, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: DualParams = typed(params)?;
    let of = |series: &'static str, alignment: &str| -> Result<_, OpError> {
        let series = inputs.series(series)?;
        Ok((series, inputs.alignment_or_still(alignment, series)))
    };
    let (first, of_first) = of("series", "alignment")?;
    let (second, of_second) = of("second", "second alignment")?;
    let found =
        dual_axis(&context.progress, (first, &of_first), (second, &of_second), &params, context.budget)
            .map_err(OpError::method)?;
    let details = json!({
        "quarter": found.quarter,
        "offset_voxels_zyx": found.offset_voxels,
        "correlation": found.correlation,
        "agreement": found.agreement,
    });
    Ok(Outcome { details, ..Outcome::of("volume", Data::Volume(Arc::new(found.volume))) })
}
