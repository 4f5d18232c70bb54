//! Tilt series and alignment to a volume in 1/µm.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::recon::{ReconstructParams, plan, reconstruct, used_views};
use crate::volume::{Alignment, TiltSeries};

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

pub(super) static OP: Op = Op {
    id: "reconstruct",
    label: "Reconstruct",
    stage: Stage::Reconstruct,
    summary: "Reconstructs the volume of linear absorption coefficients from a tilt series",
    about: "\
Filtered back-projection (FBP) is quick; the window on its ramp filter trades noise against sharpness. SIRT is \
quiet and keeps values positive; at limited tilt it is the one whose absorption values can be trusted, after a \
hundred sweeps or more. Both use the same matched pair of projectors. The alignment is applied with one \
interpolation. Where the pixel size is known the result is in 1/µm, otherwise in 1/voxel.

Sources: ramp filter sampled in real space after Kak and Slaney (1988, chapter 3); SIRT after Gilbert (1972) with \
ordered subsets after Censor and Elfving (2002).",
    inputs: &[
        Input { name: "series", kind: Kind::Series, optional: false, doc: "Absorbance of each view" },
        Input { name: "alignment", kind: Kind::Alignment, optional: true, doc: "Shifts of the views; none where it is missing" },
    ],
    outputs: &[Output { name: "volume", kind: Kind::Volume }],
    params: &[
        Param::new(
            "method",
            "Method",
            ParamKind::Choice(&[choice("fbp", "Filtered back-projection"), choice("sirt", "SIRT")]),
            "Quick filtered back-projection, or quiet iterative reconstruction",
        ),
        Param::new(
            "filter",
            "Filter",
            ParamKind::Choice(&[
                choice("ram-lak", "Ramp"),
                choice("shepp-logan", "Shepp-Logan"),
                choice("cosine", "Cosine"),
                choice("hann", "Hann"),
                choice("hamming", "Hamming"),
                choice("butterworth", "Butterworth"),
            ]),
            "Window on the ramp filter of FBP: the bare ramp keeps all detail and noise, Hann is smoothest",
        )
        .only_with("method", &["fbp"]),
        Param::new(
            "iterations",
            "Sweeps",
            ParamKind::Int { min: 1, max: 10_000 },
            "Sweeps of SIRT over all views",
        )
        .only_with("method", &["sirt"]),
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
            "nonnegative",
            "Keep positive",
            ParamKind::Bool,
            "SIRT keeps every voxel at zero absorption or above",
        )
        .only_with("method", &["sirt"])
        .advanced(),
        Param::new(
            "cutoff",
            "Cut-off",
            ParamKind::Float { min: 0.05, max: 1.0 },
            "Where the window of FBP ends, as a fraction of the highest frequency",
        )
        .only_with("method", &["fbp"])
        .advanced(),
        Param::new(
            "order",
            "Order",
            ParamKind::Int { min: 1, max: 20 },
            "Steepness of the Butterworth window",
        )
        .only_with("filter", &["butterworth"])
        .advanced(),
        Param::new(
            "subsets",
            "Subsets",
            ParamKind::Int { min: 1, max: 64 },
            "Groups of views after each of which SIRT updates the volume; more converge faster",
        )
        .only_with("method", &["sirt"])
        .advanced(),
        Param::new(
            "relaxation",
            "Relaxation",
            ParamKind::Float { min: 0.01, max: 1.99 },
            "Step of SIRT; larger is faster but may not settle",
        )
        .only_with("method", &["sirt"])
        .advanced(),
        Param::new(
            "center",
            "Rotation axis",
            ParamKind::Float { min: -1.0e6, max: 1.0e6 },
            "Column of the rotation axis before the shifts of the alignment; the middle where left empty",
        )
        .unit("px")
        .optional()
        .advanced(),
        Param::new(
            "sample",
            "Sample",
            ParamKind::Choice(&[
                choice("auto", "Judge by the edges"),
                choice("inside", "Inside the field"),
                choice("beyond", "Goes on beyond the field"),
            ]),
            "Whether the sample reaches beyond the detector: what lies beyond is then unknown, not empty",
        )
        .advanced(),
        Param::new(
            "half",
            "Views",
            ParamKind::Choice(&[choice("all", "All"), choice("even", "Even"), choice("odd", "Odd")]),
            "All views, or every other one for a resolution estimate",
        )
        .advanced(),
        Param::new(
            "first_row",
            "First row",
            ParamKind::Int { min: 0, max: 1_000_000 },
            "First row of the result, from 0, as in the whole volume; row 0 where left empty",
        )
        .optional()
        .advanced(),
        Param::new(
            "end_row",
            "End row",
            ParamKind::Int { min: 1, max: 1_000_000 },
            "Row after the last of the result; all rows where left empty",
        )
        .optional()
        .advanced(),
    ],
    defaults: defaults_of::<ReconstructParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

/// The alignment given, or none: the rotation axis at the middle column.
fn alignment(inputs: &Inputs, series: &TiltSeries) -> Arc<Alignment> {
    inputs
        .find_alignment("alignment")
        .map_or_else(|| Arc::new(Alignment::identity(&series.angles_deg)), Arc::clone)
}

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let series = inputs.series("series")?;
    let params: ReconstructParams = typed(params)?;
    let n_used = alignment(inputs, series).used_indices().len();
    let rows = params.rows(series.n_rows());
    let plan = plan(series.data.dim(), n_used, &series.angles_deg, &params, rows).map_err(OpError::method)?;
    Ok(Forecast { bytes: plan.peak_bytes, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let series = inputs.series("series")?;
    let params: ReconstructParams = typed(params)?;
    let alignment = alignment(inputs, series);
    let rows = params.rows(series.n_rows());
    let volume = reconstruct(&context.progress, series, &alignment, &params, context.budget)
        .map_err(OpError::method)?;
    let mut outcome = Outcome::of("volume", Data::Volume(Arc::new(volume)));
    if series.pixel_um.is_none() {
        outcome.notes.push(
            "The pixel size is unknown, so values are in 1/voxel: give it (--pixel-size, or when opening the scan) for 1/µm".to_owned(),
        );
    }
    let used = used_views(series, &alignment, params.half).map_err(OpError::method)?;
    outcome.details =
        json!({ "views_used": used.len(), "half": params.half, "rows": [rows.start, rows.end] });
    Ok(outcome)
}
