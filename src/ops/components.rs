//! Connected objects of the classes.

use serde_json::{Value, json};

use super::data::{Inputs, Kind};
use super::ids::{INSTANCES, Marked};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::measure::{InstancesParams, instances};

pub(super) static OP: Op = Op {
    id: "components",
    label: "Connected objects",
    stage: Stage::Segment,
    summary: "Finds the connected objects of the classes and gives each an id of its own",
    about: "\
Voxels of one class that touch belong to one object. Objects are numbered in scan order over all classes; the id of \
an object is its number in the table of measure --instances, and stays the same whatever is left out. The table says \
which class an object belongs to.",
    inputs: &[Input { name: "labels", kind: Kind::Labels, optional: false, doc: "Classes" }, INSTANCES],
    outputs: &[
        Output { name: "instances", kind: Kind::Regions },
        Output { name: "objects", kind: Kind::Table },
    ],
    params: &[
        Param::new(
            "class",
            "Class",
            ParamKind::Int { min: 1, max: 4_294_967_295 },
            "Only objects of the class with this id; of every class where left empty",
        )
        .optional(),
        Param::new(
            "min_voxels",
            "Smallest object",
            ParamKind::Int { min: 1, max: 1_000_000_000 },
            "Leaves out objects of fewer voxels",
        )
        .unit("voxels"),
        Param::new(
            "connectivity",
            "Neighbours",
            ParamKind::Choice(&[
                Choice { value: "faces", label: "Faces (6)" },
                Choice { value: "edges", label: "Edges (18)" },
                Choice { value: "corners", label: "Corners (26)" },
            ]),
            "Voxels that belong together: those that share a face, also an edge, or also a corner",
        )
        .advanced(),
    ],
    defaults: defaults_of::<InstancesParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    // Dense classes, ids, and runs, which are few in any label volume.
    Ok(Forecast { bytes: Marked::of(inputs)?.n_voxels() * 8, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: InstancesParams = typed(params)?;
    let marked = Marked::of(inputs)?;
    let found = match marked {
        Marked::Labels(data) => {
            instances(&context.progress, &data.labels.to_dense().view(), u32::from, &params)
        }
        Marked::Regions(map) => instances(&context.progress, &map.data.view(), |id| map.class(id), &params),
    }
    .map_err(OpError::method)?;
    let mut notes: Vec<_> = marked.missing_class(params.class).into_iter().collect();
    if found.n_small > 0 {
        notes.push(format!(
            "{} objects of fewer than {} voxels are left out",
            found.n_small, params.min_voxels
        ));
    }
    let details = json!({ "objects": found.objects.len(), "left_out": found.n_small });
    let each: Vec<_> = found.objects.iter().map(|object| (object.id, object.class, object.voxels)).collect();
    let data = marked.objects(found.map, &each);
    Ok(Outcome { data, notes, details })
}
