//! Numbers of classes and objects.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::base::Unit;
use crate::measure::{MeasureInput, MeasureParams, measure};

pub(super) static OP: Op = Op {
    id: "measure",
    label: "Measure",
    stage: Stage::Measure,
    summary: "Measures volume, surface, shape and LAC of every class or object",
    about: "\
Volumes count voxels; surfaces are those of a smooth closed surface, not of voxel faces. LAC mean and standard \
deviation are over the voxels of the class. Objects are connected by faces, edges or corners. Where the voxel size \
is unknown, lengths are in voxels and the table says so.",
    inputs: &[
        Input { name: "labels", kind: Kind::Labels, optional: false, doc: "Classes" },
        Input { name: "volume", kind: Kind::Volume, optional: true, doc: "Values for the LAC columns" },
    ],
    outputs: &[Output { name: "measurements", kind: Kind::Table }],
    params: &[
        Param::new(
            "instances",
            "Each object",
            ParamKind::Bool,
            "One row per object instead of one per class",
        ),
        Param::new(
            "contacts",
            "Contacts",
            ParamKind::Bool,
            "Adds the contact area with every other class, in µm²",
        ),
        Param::new(
            "distances",
            "Distances",
            ParamKind::Bool,
            "Adds the distance to the nearest voxel of every other class, in µm",
        ),
        Param::new(
            "min_voxels",
            "Smallest object",
            ParamKind::Int { min: 1, max: 1_000_000_000 },
            "Leaves out objects of fewer voxels",
        )
        .unit("voxels")
        .advanced(),
    ],
    defaults: defaults_of::<MeasureParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let params: MeasureParams = typed(params)?;
    let n: u64 = inputs.labels("labels")?.labels.shape().iter().map(|n| *n as u64).product();
    // Dense ids, objects, and distances where asked.
    Ok(Forecast { bytes: n * if params.distances { 14 } else { 6 }, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: MeasureParams = typed(params)?;
    let data = inputs.labels("labels")?;
    let ids = data.labels.to_dense();
    let volume = inputs.find_volume("volume");
    let input = MeasureInput {
        labels: ids.view(),
        // A label file may have lost its voxel size; the volume on the same grid knows it.
        voxel_um: data.voxel_um.or_else(|| volume.and_then(|volume| volume.voxel_um)),
        ratios: data.ratios.or_else(|| volume.and_then(|volume| volume.ratios)),
        origin_um: data.origin_um,
        volume: volume.map(|volume| &**volume),
        classes: &data.classes,
    };
    let table = measure(&context.progress, &input, &params).map_err(OpError::method)?;
    let mut notes = table.notes.clone();
    if let Some(volume) = volume.filter(|volume| volume.unit != Unit::PerUm) {
        let unit = volume.unit.ascii();
        notes.push(format!(
            "The values of the volume are in {unit}, not in 1/um; the LAC columns hold them as they are"
        ));
    }
    let rows = table.rows.len();
    Ok(Outcome {
        notes,
        details: json!({ "rows": rows }),
        ..Outcome::of("measurements", Data::Table(Arc::new(table)))
    })
}
