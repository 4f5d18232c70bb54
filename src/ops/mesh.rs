//! Surfaces of the classes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::mesh::{MeshParams, mesh_class};

pub(super) static OP: Op = Op {
    id: "mesh",
    label: "Mesh",
    stage: Stage::Export,
    summary: "Cuts a closed surface of every class, vertices in µm",
    about: "\
The region of a class is smoothed a little, its surface cut by surface nets, and the mesh smoothed so that the \
staircase of the voxels goes and the volume stays; what is missing from the volume of the voxels is made up along the \
normals, a quarter of a voxel at most. The error that remains is reported for every mesh. Triangles are \
counter-clockwise seen from outside. Where the voxel size is unknown, vertices are in voxels.

Source: Taubin (1995), doi:10.1145/218380.218473.",
    inputs: &[Input { name: "labels", kind: Kind::Labels, optional: false, doc: "Classes" }],
    outputs: &[Output { name: "meshes", kind: Kind::Meshes }],
    params: &[
        Param::new(
            "smoothing_voxels",
            "Smoothing",
            ParamKind::Float { min: 0.0, max: 3.0 },
            "Smoothing of a class before its surface is cut",
        )
        .unit("voxels"),
        Param::new(
            "iterations",
            "Rounds",
            ParamKind::Int { min: 0, max: 100 },
            "Rounds of smoothing of the mesh",
        )
        .advanced(),
    ],
    defaults: defaults_of::<MeshParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let n: u64 = inputs.labels("labels")?.labels.shape().iter().map(|n| *n as u64).product();
    // Dense classes, and a class that fills the volume smoothed in f32 with its cells.
    Ok(Forecast { bytes: n * 14, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: MeshParams = typed(params)?;
    let data = inputs.labels("labels")?;
    let ids = data.labels.to_dense();
    let found: Vec<u16> = data.labels.ids().into_iter().filter(|id| *id != 0).collect();
    if found.is_empty() {
        return Err(OpError::Method("nothing is labelled, so there is no surface to cut".to_owned()));
    }
    let classes = data.classes.clone().with_ids(found.iter().copied());
    let voxel_um = data.voxel_um.unwrap_or([1.0; 3]);
    let mut meshes = Vec::new();
    let mut details = Vec::new();
    for class in classes.classes.iter().filter(|class| found.contains(&class.id)) {
        let mesh = mesh_class(&context.progress, &ids.view(), class, voxel_um, data.origin_um, &params)
            .map_err(OpError::method)?;
        details.push(json!({
            "class": class.id, "name": mesh.name, "triangles": mesh.triangles.len(),
            "volume_um3": mesh.volume_um3(), "volume_error": mesh.volume_error(), "area_um2": mesh.area_um2(),
        }));
        meshes.push(mesh);
    }
    let mut outcome = Outcome::of("meshes", Data::Meshes(Arc::new(meshes)));
    if data.voxel_um.is_none() {
        outcome.notes.push("The voxel size is unknown, so vertices are in voxels".to_owned());
    }
    outcome.details = json!({ "meshes": details });
    Ok(outcome)
}
