//! Counts to absorbance.

use std::sync::Arc;

use serde_json::Value;

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::prep::{NormalizeParams, normalize};

pub(super) static OP: Op = Op {
    id: "normalize",
    label: "Normalise",
    stage: Stage::Scan,
    summary: "Turns detector counts into absorbance with flats, darks and the beam current",
    about: "\
Transmission is (view − dark) over the beam of the view over (flat − dark); absorbance is its negative logarithm. \
Flats taken before and after the scan are interpolated in time. Dead and hot pixels are replaced by the median of \
their neighbours. Starved pixels are clipped at a stated transmission and counted, never set to zero. Where no air \
lies beside the sample the intensity of a view comes from the beam monitor and is never fitted.",
    inputs: &[Input { name: "scan", kind: Kind::Scan, optional: false, doc: "Raw frames" }],
    outputs: &[Output { name: "absorbance", kind: Kind::Series }],
    params: &[
        Param::new(
            "intensity",
            "Beam",
            ParamKind::Choice(&[
                Choice { value: "auto", label: "Automatic" },
                Choice { value: "monitor", label: "Beam monitor" },
                Choice { value: "air", label: "Air beside the sample" },
                Choice { value: "constant", label: "Constant" },
            ]),
            "Where the intensity of each view comes from",
        ),
        Param::new(
            "frames",
            "Flats and darks",
            ParamKind::Choice(&[
                Choice { value: "mean", label: "Mean" },
                Choice { value: "median", label: "Median" },
            ]),
            "How frames of one kind are combined: the mean is quietest, the median ignores outliers",
        ),
        Param::new(
            "interpolate_flats",
            "Interpolate flats",
            ParamKind::Bool,
            "Interpolate flats in time where they were taken at several moments",
        )
        .advanced(),
        Param::new(
            "repair_pixels",
            "Repair pixels",
            ParamKind::Bool,
            "Replace dead and hot pixels by the median of their neighbours",
        )
        .advanced(),
        Param::new(
            "clip_sigma",
            "Clip",
            ParamKind::Float { min: 0.0, max: 20.0 },
            "Lowest transmission that is believed, in standard deviations of the read noise",
        )
        .unit("σ")
        .advanced(),
        Param::new(
            "background",
            "Background",
            ParamKind::Float { min: -1.0e9, max: 1.0e9 },
            "Value where there is nothing, subtracted from views that are absorbance already; where left empty 0, or for whole numbers what lies in their darkest quarter",
        )
        .optional()
        .advanced(),
        Param::new(
            "stripes",
            "Remove stripes",
            ParamKind::Int { min: 0, max: 101 },
            "Columns that a median across sorted columns goes over, against stripes in sinograms and rings in the volume: 9 to 21 are usual, 0 leaves them",
        )
        .unit("px")
        .advanced(),
    ],
    defaults: defaults_of::<NormalizeParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let [n_views, n_rows, n_cols] = inputs.scan("scan")?.projections.shape();
    // The result, and the combined frames with their masks.
    Ok(Forecast { bytes: 4 * (n_views as u64 + 8) * (n_rows * n_cols) as u64, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: NormalizeParams = typed(params)?;
    let (series, report) =
        normalize(&context.progress, inputs.scan("scan")?, &params).map_err(OpError::method)?;
    let mut outcome = Outcome::of("absorbance", Data::Series(Arc::new(series)));
    outcome.notes.clone_from(&report.warnings);
    outcome.details = serde_json::to_value(&report).unwrap_or(Value::Null);
    Ok(outcome)
}
