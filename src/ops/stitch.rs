//! Overlapping tomograms into one.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::correlate::stitch::{StitchParams, stitch};
use crate::volume::Volume;

const fn slot(name: &'static str, optional: bool) -> Input {
    Input { name, kind: Kind::Volume, optional, doc: "A tomogram, its place given by its origin" }
}

/// Names of the slots, in order.
pub const SLOTS: [&str; 8] = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"];

pub(super) static OP: Op = Op {
    id: "stitch",
    label: "Stitch",
    stage: Stage::Correlate,
    summary: "Joins overlapping tomograms into one volume",
    about: "\
Every pair that overlaps is registered by the correlation coefficient, from coarse to fine and to a fraction of a voxel; all \
volumes are then placed by least squares over all pairs, so that errors do not add up along a chain. Where volumes overlap \
they are blended with weights that fall towards the border of each. Voxels and units must be the same; the places that the \
origins give need only be right within the search.",
    inputs: &[
        slot("first", false),
        slot("second", false),
        slot("third", true),
        slot("fourth", true),
        slot("fifth", true),
        slot("sixth", true),
        slot("seventh", true),
        slot("eighth", true),
    ],
    outputs: &[Output { name: "stitched", kind: Kind::Volume }],
    params: &[
        Param::new(
            "register",
            "Find the places",
            ParamKind::Bool,
            "Otherwise they are taken as the origins give them",
        ),
        Param::new(
            "search",
            "Search",
            ParamKind::Float { min: 0.0, max: 1000.0 },
            "How far off the given places may be; a tenth of the longest side where left empty",
        )
        .unit("µm")
        .optional(),
    ],
    defaults: defaults_of::<StitchParams>,
    forecast: |inputs, _| {
        let bytes = volumes(inputs).iter().map(|volume| 8 * volume.n_voxels() as u64).sum();
        Ok(Forecast { bytes, seconds: None })
    },
    run,
    policy: Policy::Queue,
};

fn volumes(inputs: &Inputs) -> Vec<&Arc<Volume<f32>>> {
    SLOTS.iter().filter_map(|slot| inputs.find_volume(slot)).collect()
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: StitchParams = typed(params)?;
    let volumes: Vec<&Volume<f32>> = volumes(inputs).into_iter().map(|volume| &**volume).collect();
    let found = stitch(&context.progress, &volumes, &params, context.budget).map_err(OpError::method)?;
    let overlaps: Vec<Value> = found
        .overlaps
        .iter()
        .map(|o| {
            json!({
                "a": o.a,
                "b": o.b,
                "offset_voxels_zyx": o.offset_voxels,
                "correlation": o.correlation,
                "residual_voxels": o.residual_voxels,
            })
        })
        .collect();
    let details = json!({ "moved_voxels_zyx": found.moved_voxels, "overlaps": overlaps });
    Ok(Outcome { details, ..Outcome::of("stitched", Data::Volume(Arc::new(found.volume))) })
}
