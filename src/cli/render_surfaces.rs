//! Surfaces of labels in pictures and films without a window.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use glam::DAffine3;
use serde_json::{Value, json};

use super::options::UsageError;
use super::shell::Shell;
use crate::base::Progress;
use crate::mesh::attribute::{distance_field, range_of};
use crate::mesh::{
    Attribute, Frame, Mesh, MeshError, MeshParams, TellFrom, VertexValues, mesh_classes, mesh_objects,
    summary,
};
use crate::ops::LabelData;
use crate::render::colormap::ColorMap;
use crate::render::surfaces::{PartStyle, SurfaceLayer, SurfacePart, SurfaceSet};
use crate::volume::Volume;

/// What colours can stand for, as the option spells it.
const COLORS: [&str; 7] =
    ["class", "object", "lac", "thickness", "mean-curvature", "gaussian-curvature", "distance"];

/// The options of surfaces.
pub(super) fn args() -> Vec<Arg> {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).requires("surfaces")
    };
    vec![
        Arg::new("surfaces")
            .long("surfaces")
            .action(ArgAction::SetTrue)
            .help("In the 3d view with surfaces of the labels; with --mode surfaces nothing else"),
        option("surface-objects", "", "A surface for each connected object")
            .action(ArgAction::SetTrue)
            .num_args(0),
        option("surface-color", "WHAT", "What the colours of surfaces stand for")
            .value_parser(COLORS)
            .default_value("class"),
        option(
            "surface-opacity",
            "X|CLASS=X,…",
            "Opacity of all surfaces, or of some classes [default: what holds other classes 0.25, others 1]",
        ),
        option("surface-range", "LOW:HIGH", "Values of the first and last colour [default: what occurs]")
            .allow_hyphen_values(true),
        option("surface-map", "MAP", "Colours of values")
            .value_parser(["viridis", "magma", "cividis", "batlow"])
            .default_value("viridis"),
        option("surface-offset-nm", "NM", "LAC is taken so far outside the surface, below 0 inside")
            .value_parser(value_parser!(f64))
            .allow_hyphen_values(true)
            .default_value("0"),
        option("surface-distance-to", "ID", "The class that distances are to")
            .value_parser(value_parser!(u16).range(1..)),
        option("silhouettes", "X", "Darkness of outlines, 0 to 1")
            .value_parser(value_parser!(f32))
            .default_value("0.6"),
    ]
}

/// Surfaces as they are drawn, and what is told of them.
pub(super) struct Surfaces {
    /// Their triangles.
    pub(super) set: Arc<SurfaceSet>,
    /// How they are drawn, under the key 0.
    pub(super) layer: SurfaceLayer,
    /// Name, triangles, error of the volume.
    pub(super) details: Value,
}

fn attribute(matches: &ArgMatches) -> Option<Attribute> {
    match matches.get_one::<String>("surface-color").map_or("", String::as_str) {
        "lac" => Some(Attribute::Lac),
        "thickness" => Some(Attribute::Thickness),
        "mean-curvature" => Some(Attribute::MeanCurvature),
        "gaussian-curvature" => Some(Attribute::GaussianCurvature),
        "distance" => Some(Attribute::Distance),
        _ => None,
    }
}

/// Opacity of all, and of classes by name.
fn opacities(matches: &ArgMatches) -> anyhow::Result<(Option<f32>, BTreeMap<String, f32>)> {
    let Some(text) = matches.get_one::<String>("surface-opacity") else { return Ok((None, BTreeMap::new())) };
    let number = |text: &str| text.trim().parse::<f32>().ok().filter(|x| (0.0..=1.0).contains(x));
    if let Some(all) = number(text) {
        return Ok((Some(all), BTreeMap::new()));
    }
    let each = text.split(',').map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_lowercase(), number(value)?))
    });
    let each = each.collect::<Option<BTreeMap<_, _>>>().ok_or_else(|| {
        UsageError(format!("--surface-opacity is {text}, it must be like 0.4 or nucleus=0.3,vacuoles=1"))
    })?;
    Ok((None, each))
}

fn range(matches: &ArgMatches) -> anyhow::Result<Option<[f32; 2]>> {
    let Some(text) = matches.get_one::<String>("surface-range") else { return Ok(None) };
    let pair = text.split_once(':').and_then(|(a, b)| Some([a.trim().parse().ok()?, b.trim().parse().ok()?]));
    let pair = pair.filter(|[a, b]: &[f32; 2]| a < b).ok_or_else(|| {
        UsageError(format!("--surface-range is {text}, it must be LOW:HIGH with LOW below HIGH"))
    })?;
    Ok(Some(pair))
}

/// The surfaces of the labels; `None` where they are not asked for.
pub(super) fn surfaces(
    shell: &Shell,
    matches: &ArgMatches,
    volume: &Volume<f32>,
    labels: Option<&LabelData>,
) -> anyhow::Result<Option<Surfaces>> {
    if !matches.get_flag("surfaces") {
        return Ok(None);
    }
    let labels = labels
        .ok_or_else(|| UsageError("--surfaces are cut from labels: name a label file too".to_owned()))?;
    let (range, opacities) = (range(matches)?, opacities(matches)?);
    let attribute = attribute(matches);
    let distance_to = matches.get_one::<u16>("surface-distance-to").copied();
    if attribute == Some(Attribute::Distance) && distance_to.is_none() {
        let text = "--surface-color distance needs the class: add --surface-distance-to ID";
        return Err(UsageError(text.to_owned()).into());
    }
    let meshes = shell.with_progress(|progress| meshes(progress, matches, volume, labels, attribute))?;
    anyhow::ensure!(!meshes.is_empty(), "nothing is labelled, so there is no surface to draw");
    let parts: Vec<_> = meshes
        .iter()
        .map(|mesh| SurfacePart {
            vertices: &mesh.vertices,
            triangles: &mesh.triangles,
            values: mesh.values.first().map_or(&[], |told| told.values.as_slice()),
        })
        .collect();
    let voxel_um = labels.voxel_um_or_one().into_iter().fold(f64::INFINITY, f64::min);
    let set =
        shell.with_progress(|progress| SurfaceSet::new(progress, &parts, DAffine3::IDENTITY, voxel_um))?;
    let found = range_of(meshes.iter().flat_map(|mesh| &mesh.values).flat_map(|told| &told.values));
    let label = match (attribute, distance_to) {
        (None, _) => String::new(),
        (Some(Attribute::Distance), Some(id)) => format!("Distance to {} (µm)", labels.classes.name(id)),
        (Some(Attribute::Lac), _) => format!("LAC ({})", volume.unit.shown()),
        (Some(other), _) => format!("{} ({})", other.label(), other.unit()),
    };
    let layer = SurfaceLayer {
        classes: meshes.iter().map(|mesh| mesh.class).collect(),
        color_map: match matches.get_one::<String>("surface-map").map_or("", String::as_str) {
            "magma" => ColorMap::Magma,
            "cividis" => ColorMap::Cividis,
            "batlow" => ColorMap::Batlow,
            _ => ColorMap::Viridis,
        },
        range: range.unwrap_or(found),
        value_label: label,
        silhouettes: matches.get_one::<f32>("silhouettes").copied().unwrap_or(0.6).clamp(0.0, 1.0),
        ..SurfaceLayer::new(0, styles(matches, &meshes, labels, &opacities))
    };
    let details = meshes
        .iter()
        .map(|mesh| {
            let error = mesh.volume_error();
            json!({ "name": mesh.name, "triangles": mesh.triangles.len(), "volume_error": error })
        })
        .collect();
    Ok(Some(Surfaces { set: Arc::new(set), layer, details }))
}

fn meshes(
    progress: &Progress,
    matches: &ArgMatches,
    volume: &Volume<f32>,
    labels: &LabelData,
    attribute: Option<Attribute>,
) -> Result<Vec<Mesh>, MeshError> {
    let ids = labels.labels.to_dense();
    let present = labels.labels.ids();
    let table = labels.classes.clone().with_ids(present.iter().copied().filter(|id| *id != 0));
    let classes: Vec<_> = table.classes.into_iter().filter(|class| present.contains(&class.id)).collect();
    let frame = Frame { voxel_um: labels.voxel_um_or_one(), origin_um: labels.origin_um };
    let params = MeshParams::default();
    let is_object = matches.get_one::<String>("surface-color").is_some_and(|what| what == "object");
    let mut meshes = if is_object || matches.get_flag("surface-objects") {
        mesh_objects(progress, &ids.view(), &classes, frame, &params)?
    } else {
        mesh_classes(progress, &ids.view(), &classes, frame, &params)?
    };
    let Some(attribute) = attribute else { return Ok(meshes) };
    let view = ids.view();
    let distance_to =
        matches.get_one::<u16>("surface-distance-to").filter(|_| attribute == Attribute::Distance);
    let field =
        distance_to.map(|class| distance_field(progress, &view, |id| id == *class, frame)).transpose()?;
    let from = TellFrom {
        labels: &view,
        objects: None,
        frame,
        volume: Some((volume, DAffine3::IDENTITY)),
        lac_offset_um: matches.get_one::<f64>("surface-offset-nm").copied().unwrap_or(0.0) * 1e-3,
        field: field.as_ref(),
    };
    // Every surface of the class itself is at no distance from it.
    for mesh in meshes.iter_mut().filter(|mesh| distance_to != Some(&mesh.class)) {
        let values = from.tell(progress, mesh, attribute)?;
        mesh.values.push(VertexValues { attribute, values });
    }
    Ok(meshes)
}

fn styles(
    matches: &ArgMatches,
    meshes: &[Mesh],
    labels: &LabelData,
    (all, each): &(Option<f32>, BTreeMap<String, f32>),
) -> Vec<PartStyle> {
    let by_object = matches.get_one::<String>("surface-color").is_some_and(|what| what == "object");
    let classes = summary(meshes);
    let style = |mesh: &Mesh| {
        let class = labels.classes.get(mesh.class);
        let color = if by_object { mesh.color } else { class.map_or(mesh.color, |class| class.color) };
        let best = classes.iter().find(|known| known.class == mesh.class).map_or(1.0, |known| known.opacity);
        let name = labels.classes.name(mesh.class).to_lowercase();
        let is_seen = class.is_none_or(|class| class.visible);
        PartStyle {
            rgb: color.map(|c| f32::from(c) / 255.0),
            opacity: if is_seen { each.get(&name).copied().or(*all).unwrap_or(best) } else { 0.0 },
            by_value: !mesh.values.is_empty(),
            kept: false,
        }
    };
    meshes.iter().map(style).collect()
}
