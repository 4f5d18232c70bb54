//! How fine a reconstruction is: the Fourier shell correlation of its halves.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::measure::fsc::{Criterion, Crossing, Curve, FscParams, fsc, fsc_bytes};

pub(super) static OP: Op = Op {
    id: "fsc",
    label: "Fourier shell correlation",
    stage: Stage::Quality,
    summary: "Tells the resolution of a volume from two reconstructions of half of the views each",
    about: "\
Both halves are multiplied with one soft mask, after their mean inside it is taken off, and compared shell by shell of \
spatial frequency. The resolution is where the curve first falls below 0.25, 0.143, or half a bit of information per \
voxel. Cones around the axes tell the resolution along each: a scan with a missing wedge resolves less along z. The \
halves share the alignment, which was found from all views, so that errors of the alignment show only in part.

Sources: Harauz and van Heel (1986); 0.143 after Rosenthal and Henderson (2003), doi:10.1016/j.jmb.2003.07.013; half-bit \
after van Heel and Schatz (2005), doi:10.1016/j.jsb.2005.05.009.",
    inputs: &[
        Input { name: "even", kind: Kind::Volume, optional: false, doc: "The volume from every other view" },
        Input { name: "odd", kind: Kind::Volume, optional: false, doc: "The volume from the other views" },
        Input { name: "labels", kind: Kind::Labels, optional: true, doc: "Compare only where this is labelled" },
    ],
    outputs: &[Output { name: "FSC", kind: Kind::Table }],
    params: &[
        Param::new(
            "region",
            "Region",
            ParamKind::Choice(&[
                Choice { value: "auto", label: "Automatic" },
                Choice { value: "box", label: "Whole box" },
                Choice { value: "cylinder", label: "Cylinder" },
                Choice { value: "ball", label: "Ball" },
                Choice { value: "none", label: "Everything, hard edge" },
            ]),
            "What is compared: automatic takes labels where given, else a cylinder where the volume is as deep as wide, else the box; with a soft edge",
        ),
        Param::new(
            "edge",
            "Soft edge",
            ParamKind::Float { min: 0.0, max: 0.5 },
            "Width of the edge as a fraction of the shortest side",
        )
        .advanced(),
        Param::new(
            "cone_deg",
            "Cones",
            ParamKind::Float { min: 5.0, max: 54.0 },
            "Half opening of the cones around the axes",
        )
        .unit("°")
        .advanced(),
    ],
    defaults: defaults_of::<FscParams>,
    forecast: |inputs, _| {
        Ok(Forecast { bytes: fsc_bytes(inputs.volume("even")?.shape()), seconds: None })
    },
    run,
    policy: Policy::Queue,
};

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: FscParams = typed(params)?;
    let labels = inputs.find_labels("labels").map(|data| data.labels.to_dense());
    let (even, odd) = (inputs.volume("even")?, inputs.volume("odd")?);
    let labels = labels.as_ref().map(|labels| labels.view());
    let curve = fsc(&context.progress, even, odd, labels, &params).map_err(OpError::method)?;
    let table = curve.table();
    let notes = table.notes.clone();
    Ok(Outcome { notes, details: details(&curve), ..Outcome::of("FSC", Data::Table(Arc::new(table))) })
}

/// Resolutions of a curve for `--json`: in nm where the voxel size is known, else in voxels.
fn details(curve: &Curve) -> Value {
    let unit = if curve.in_um { "resolution_nm" } else { "resolution_voxels" };
    let scale = if curve.in_um { 1e3 } else { 1.0 };
    let period = |crossing: Crossing| crossing.frequency().map(|frequency| scale / frequency);
    let of = |crossing: fn(&Curve, Criterion) -> Crossing| -> Value {
        let entry =
            |criterion: Criterion| (criterion.name().to_owned(), json!(period(crossing(curve, criterion))));
        Value::Object(Criterion::ALL.into_iter().map(entry).collect::<Map<_, _>>())
    };
    let beyond: Vec<_> = Criterion::ALL
        .into_iter()
        .filter(|criterion| matches!(curve.crossing(*criterion), Crossing::Beyond(_)))
        .map(Criterion::name)
        .collect();
    let mut details = json!({ "mask": curve.mask, "shells": curve.shells.len(), "not_crossed": beyond });
    details[unit] = of(Curve::crossing);
    details[format!("{unit}_z")] = of(|curve, criterion| curve.cone_crossing(0, criterion));
    details[format!("{unit}_y")] = of(|curve, criterion| curve.cone_crossing(1, criterion));
    details[format!("{unit}_x")] = of(|curve, criterion| curve.cone_crossing(2, criterion));
    details
}
