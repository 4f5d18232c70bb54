//! Surfaces of the classes.

use std::sync::Arc;

use ndarray::Array3;
use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::ids::{INSTANCES, Marked};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::base::Progress;
use crate::mesh::{
    Attribute, Frame, Mesh, MeshParams, TellFrom, VertexValues, attribute, mesh_classes, mesh_objects,
    mesh_region_map, mesh_regions,
};

pub(super) static OP: Op = Op {
    id: "mesh",
    label: "Mesh",
    stage: Stage::Export,
    summary: "Cuts a closed surface of every class or object, vertices in µm",
    about: "\
The region of a class or object is smoothed a little, its surface cut by marching cubes, and the mesh smoothed so that the \
staircase of the voxels goes and the volume stays; what is missing from the volume of the voxels is made up along the \
normals, a quarter of a voxel at most; where more than a hundredth would still be missing there are fewer rounds. The error that remains is reported for every mesh. Triangles are \
counter-clockwise seen from outside. Where the voxel size is unknown, vertices are in voxels.

With --values every vertex tells: LAC of the volume, where one is given, linear between voxel centres; thickness, the \
way straight inwards to where the region ends; mean curvature (above 0 where it bulges out) and Gaussian curvature, \
averaged over ten rounds of neighbours, about two voxels around. With --distance-to also the distance to the surface of another class, by the \
exact Euclidean transform. PLY files carry them as properties of the vertices; NaN where they are not known.

Sources: Taubin (1995), doi:10.1145/218380.218473; Rusinkiewicz (2004), doi:10.1109/TDPVT.2004.1335277.",
    inputs: &[
        Input { name: "labels", kind: Kind::Labels, optional: false, doc: "Classes" },
        Input { name: "volume", kind: Kind::Volume, optional: true, doc: "Values for the LAC at the vertices" },
        Input { name: "regions", kind: Kind::Regions, optional: true, doc: "A mesh for each of these instead" },
        INSTANCES,
    ],
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
        Param::new(
            "objects",
            "Each object",
            ParamKind::Bool,
            "A mesh for each connected object instead of one for each class",
        ),
        Param::new(
            "min_voxels",
            "Smallest object",
            ParamKind::Int { min: 1, max: 1_000_000_000 },
            "Leaves out objects of fewer voxels",
        )
        .unit("voxels")
        .advanced(),
        Param::new(
            "values",
            "Values at vertices",
            ParamKind::Bool,
            "Thickness and curvature at every vertex, and LAC where a volume is given",
        ),
        Param::new(
            "lac_offset_um",
            "LAC beside the surface",
            ParamKind::Float { min: -10.0, max: 10.0 },
            "Takes the LAC so far outside the surface, below 0 inside",
        )
        .unit("µm")
        .advanced(),
        Param::new(
            "distance_to",
            "Distance to class",
            ParamKind::Int { min: 1, max: 65_535 },
            "Distance to the class with this id at every vertex; none where left empty",
        )
        .optional()
        .advanced(),
    ],
    defaults: defaults_of::<MeshParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let params: MeshParams = typed(params)?;
    let n = Marked::of(inputs)?.n_voxels();
    // Dense classes, and a class that fills the volume smoothed in f32 with its cells; numbers of objects; distances.
    let more = if params.objects { 4 } else { 0 } + if params.distance_to.is_some() { 4 } else { 0 };
    Ok(Forecast { bytes: n * (14 + more), seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: MeshParams = typed(params)?;
    let progress = &context.progress;
    let marked = Marked::of(inputs)?;
    let frame = Frame { voxel_um: marked.voxel_um_or_one(), origin_um: marked.origin_um() };
    let ids = match marked {
        Marked::Labels(data) => data.labels.to_dense(),
        Marked::Regions(_) => Array3::zeros([0; 3]),
    };
    let (mut meshes, found) = match marked {
        Marked::Labels(data) => {
            let found: Vec<u16> = data.labels.ids().into_iter().filter(|id| *id != 0).collect();
            if found.is_empty() {
                return Err(OpError::Method("nothing is labelled, so there is no surface to cut".to_owned()));
            }
            let classes = data.classes.clone().with_ids(found.iter().copied()).classes;
            let meshes = match inputs.find_regions("regions") {
                Some(map) => mesh_regions(progress, &map.data.view(), &ids.view(), &classes, frame, &params),
                None if params.objects => mesh_objects(progress, &ids.view(), &classes, frame, &params),
                None => mesh_classes(progress, &ids.view(), &classes, frame, &params),
            };
            (meshes.map_err(OpError::method)?, found)
        }
        Marked::Regions(map) => {
            if map.data.iter().all(|id| *id == 0) {
                return Err(OpError::Method("nothing is labelled, so there is no surface to cut".to_owned()));
            }
            (mesh_region_map(progress, map, frame, &params).map_err(OpError::method)?, Vec::new())
        }
    };
    if meshes.is_empty() {
        return Err(OpError::Method(format!(
            "no object has {} voxels or more, so there is no surface to cut",
            params.min_voxels
        )));
    }
    tell(progress, inputs, marked, &ids.view(), &mut meshes, frame, &params)?;
    let class_of = |mesh: &Mesh| match (marked, mesh.object) {
        (Marked::Regions(map), Some(id)) => map.class(id),
        _ => u32::from(mesh.class),
    };
    let details: Vec<Value> = meshes
        .iter()
        .map(|mesh| {
            json!({
                "class": class_of(mesh), "object": mesh.object, "name": mesh.name, "triangles": mesh.triangles.len(),
                "volume_um3": mesh.volume_um3(), "volume_error": mesh.volume_error(), "area_um2": mesh.area_um2(),
            })
        })
        .collect();
    meshes.iter_mut().for_each(|mesh| mesh.in_voxels = marked.voxel_um().is_none());
    let mut outcome = Outcome::of("meshes", Data::Meshes(Arc::new(meshes)));
    if marked.voxel_um().is_none() {
        outcome
            .notes
            .push("The voxel size is unknown, so vertices are in voxels (of the shortest edge)".to_owned());
    }
    if matches!(marked, Marked::Labels(_)) && params.distance_to.is_some_and(|class| !found.contains(&class))
    {
        outcome.notes.push("The class of --distance-to does not occur: no distance is known".to_owned());
    }
    outcome.details = json!({ "meshes": details });
    Ok(outcome)
}

/// Adds what is wanted at every vertex.
fn tell(
    progress: &Progress,
    inputs: &Inputs,
    marked: Marked<'_>,
    labels: &ndarray::ArrayView3<'_, u16>,
    meshes: &mut [Mesh],
    frame: Frame,
    params: &MeshParams,
) -> Result<(), OpError> {
    let objects = match marked {
        Marked::Labels(_) => None,
        Marked::Regions(map) => Some(map.data.view()),
    };
    let field = params
        .distance_to
        .map(|class| match marked {
            Marked::Labels(_) => attribute::distance_field(progress, labels, |id| id == class, frame),
            Marked::Regions(map) => {
                let is_class = |id: u32| id != 0 && map.class(id) == u32::from(class);
                attribute::distance_field(progress, &map.data.view(), is_class, frame)
            }
        })
        .transpose()?;
    progress.phase("Values at vertices", meshes.len() as u64);
    let volume = inputs.find_volume("volume");
    let from = TellFrom {
        labels,
        objects: objects.as_ref(),
        frame,
        volume: volume.map(|volume| (volume.as_ref(), glam::DAffine3::IDENTITY)),
        lac_offset_um: params.lac_offset_um,
        field: field.as_ref(),
    };
    let wanted: Vec<Attribute> = Attribute::ALL
        .into_iter()
        .filter(|what| match what {
            Attribute::Lac => params.values && volume.is_some(),
            Attribute::Distance => field.is_some(),
            _ => params.values,
        })
        .collect();
    for mesh in meshes {
        for attribute in &wanted {
            let values = from.tell(progress, mesh, *attribute)?;
            mesh.values.push(VertexValues { attribute: *attribute, values });
        }
        progress.advance(1);
    }
    Ok(())
}
