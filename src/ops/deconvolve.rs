//! Sharper views: deconvolution by the objective, and focal series.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::prep::{DeconvolveParams, deconvolve};

pub(super) static OP: Op = Op {
    id: "deconvolve",
    label: "Deconvolve",
    stage: Stage::Align,
    summary: "Sharpens every view by what the objective zone plate does to it",
    about: "\
The light of each view is divided in Fourier space by the transfer function of the zone plate, where that leaves enough to \
divide by (Wiener). The transfer function is that of light that does not interfere, in focus or at a distance from it. It \
holds for a sample thinner than the depth of field, whose figure is told; of a thicker one the parts out of focus are \
sharpened too little.

Sources: transfer function after Hopkins (1955), doi:10.1098/rspa.1955.0158; deconvolution of soft X-ray views after \
Otón and others (2017), doi:10.1038/srep45808.",
    inputs: &[Input { name: "series", kind: Kind::Series, optional: false, doc: "Absorbance of each view" }],
    outputs: &[Output { name: "sharpened", kind: Kind::Series }],
    params: PARAMS,
    defaults: defaults_of::<DeconvolveParams>,
    forecast: |inputs, _| {
        let n = inputs.series("series")?.data.len() as u64;
        Ok(Forecast { bytes: 4 * n, seconds: None })
    },
    run,
    policy: Policy::Queue,
};

/// Parameters of the lens, shared with the focal series.
pub(super) const PARAMS: &[Param] = &[
    Param::new(
        "zone_nm",
        "Outermost zone",
        ParamKind::Float { min: 5.0, max: 500.0 },
        "Width of the outermost zone of the objective zone plate",
    )
    .unit("nm"),
    Param::new(
        "energy_ev",
        "Photon energy",
        ParamKind::Float { min: 100.0, max: 1e4 },
        "That of the scan where left empty, else 520",
    )
    .unit("eV")
    .optional(),
    Param::new(
        "defocus_um",
        "Defocus",
        ParamKind::Float { min: -100.0, max: 100.0 },
        "Distance from focus of what is to become sharp",
    )
    .unit("µm"),
    Param::new(
        "snr",
        "Signal to noise",
        ParamKind::Float { min: 1.0, max: 1e4 },
        "That is hoped for: larger sharpens more and brings out more noise; about 20 for one focus, 100 for the mean of several",
    ),
];

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: DeconvolveParams = typed(params)?;
    let series = inputs.series("series")?;
    let lens = params.lens(series.energy_ev).map_err(OpError::method)?;
    let sharp =
        deconvolve(&context.progress, series, &[params.defocus_um], &params).map_err(OpError::method)?;
    let details = json!({
        "na": lens.na,
        "resolution_nm": lens.resolution_um() * 1e3,
        "depth_of_field_um": lens.depth_of_field_um(),
    });
    let mut outcome = Outcome::of("sharpened", Data::Series(Arc::new(sharp)));
    let width = series.n_cols() as f64 * series.pixel_um.unwrap_or(0.0);
    if width > 2.0 * lens.depth_of_field_um() {
        outcome.notes.push(format!(
            "The depth of field is {:.1} µm, the field {width:.1} µm wide: if the sample is as thick, most of it is out of focus and is sharpened too little",
            lens.depth_of_field_um()
        ));
    }
    outcome.details = details;
    Ok(outcome)
}
