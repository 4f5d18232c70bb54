//! Counts to absorbance.

use std::sync::Arc;

use serde_json::Value;

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::prep::{NormalizeParams, learning_frames, normalize};

pub(super) static OP: Op = Op {
    id: "normalize",
    label: "Normalise",
    stage: Stage::Scan,
    summary: "Turns detector counts into absorbance with flats, darks and the beam current",
    about: "\
Transmission is (view − dark) over the beam of the view over (flat − dark); absorbance is its negative logarithm. \
Flats taken before and after the scan are interpolated in time. Where flats differ in ways that stand out from noise (four \
flats or more), the flat of each view is fitted to it: a shift of the pattern and a few principal components, with weights from \
robust least squares on differences of neighbouring pixels; that is kept only where flats left out are predicted better (eigen \
flat fields after Van Nieuwenhove and others 2015, doi:10.1364/OE.23.027975). The report says what was found. Dead and hot pixels are replaced by the median of \
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
            "fit_flats",
            "Fit flats",
            ParamKind::Choice(&[
                Choice { value: "auto", label: "Where it helps" },
                Choice { value: "off", label: "Never" },
                Choice { value: "on", label: "Always" },
            ]),
            "Fit the flat to each view by the ways in which flats differ, against a beam whose pattern moves: where flats left out are predicted better that way, never, or wherever flats differ by more than noise",
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
            "stripe_method",
            "Stripes",
            ParamKind::Choice(&[
                Choice { value: "sorting", label: "By sorting, where a width is given" },
                Choice { value: "wavelet", label: "By wavelets" },
            ]),
            "How stripes in sinograms, rings in the volume, are found: sorting changes the columns beside them a little, wavelets remove narrow ones and leave the sample alone",
        )
        .advanced(),
        Param::new(
            "stripes",
            "Remove stripes",
            ParamKind::Int { min: 0, max: 101 },
            "Columns that a median across sorted columns goes over, against stripes in sinograms and rings in the volume: 9 to 21 are usual, 0 leaves them",
        )
        .unit("px")
        .only_with("stripe_method", &["sorting"])
        .advanced(),
        Param::new(
            "stripe_levels",
            "Levels",
            ParamKind::Int { min: 1, max: 8 },
            "Levels of wavelets: stripes up to about two to that power columns wide are removed; more see wider parts of the sample as stripes",
        )
        .only_with("stripe_method", &["wavelet"])
        .advanced(),
        Param::new(
            "stripe_sigma",
            "Slowness",
            ParamKind::Float { min: 0.1, max: 50.0 },
            "How much a stripe may change over the scan, for wavelets: the width in frequency of what is removed",
        )
        .unit("cycles")
        .only_with("stripe_method", &["wavelet"])
        .advanced(),
    ],
    defaults: defaults_of::<NormalizeParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let params: NormalizeParams = typed(params)?;
    let scan = inputs.scan("scan")?;
    let [n_views, n_rows, n_cols] = scan.projections.shape();
    // The result, the combined frames with their masks, and what is learnt of the flats.
    let frames = n_views as u64 + 8 + learning_frames(scan, &params);
    Ok(Forecast { bytes: 4 * frames * (n_rows * n_cols) as u64, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: NormalizeParams = typed(params)?;
    let (series, report) =
        normalize(&context.progress, inputs.scan("scan")?, &params).map_err(OpError::method)?;
    let mut outcome = Outcome::of("absorbance", Data::Series(Arc::new(series)));
    outcome.notes.clone_from(&report.warnings);
    outcome.notes.extend(report.flat_fit.as_ref().map(crate::prep::FlatFit::text));
    outcome.details = serde_json::to_value(&report).unwrap_or(Value::Null);
    Ok(outcome)
}
