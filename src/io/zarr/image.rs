//! What OME-Zarr metadata say of an image: its levels, their axes and sizes, in versions 0.1 to 0.6.
//!
//! Reference: ngff.openmicroscopy.org, versions 0.1 to 0.6.

use serde_json::{Map, Value};

use super::axes::{Axis, Dim, dims, roles, roles_by_place};
use super::transform::{MAX_AXES, Map as Affine};

/// Levels of an image that are looked at.
const MAX_LEVELS: usize = 64;
/// The newest version that is known.
const NEWEST: (u32, u32) = (0, 6);

/// The object that holds the metadata: `ome` from 0.5 on, the attributes themselves before.
pub(super) fn ome(attributes: &Map<String, Value>) -> &Map<String, Value> {
    attributes.get("ome").and_then(Value::as_object).unwrap_or(attributes)
}

/// The images of a group, most often one.
pub(super) fn multiscales(attributes: &Map<String, Value>) -> &[Value] {
    ome(attributes).get("multiscales").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text under a key.
pub(super) fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Paths of the arrays of an image, as they are listed.
pub(super) fn paths(image: &Value) -> Vec<String> {
    list(image, "datasets")
        .take(MAX_LEVELS)
        .filter_map(|level| text_of(level, "path"))
        .map(str::to_owned)
        .collect()
}

/// Names of the channels, as far as there are any.
pub(super) fn channel_names(attributes: &Map<String, Value>) -> Vec<String> {
    let Some(omero) = ome(attributes).get("omero") else { return Vec::new() };
    let name = |channel: &Value| text_of(channel, "label").unwrap_or_default().to_owned();
    list(omero, "channels").take(4096).map(name).collect()
}

/// Says what a version newer than the known ones may mean.
pub(super) fn say_version(attributes: &Map<String, Value>, warnings: &mut Vec<String>) {
    let of = |value: &Value| text_of(value, "version").map(str::to_owned);
    let own = ome(attributes).get("version").and_then(Value::as_str).map(str::to_owned);
    let Some(version) = own.or_else(|| of(multiscales(attributes).first()?)) else { return };
    let digits = |part: Option<&str>| -> Option<u32> {
        part?.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    let mut parts = version.split('.');
    let found = (digits(parts.next()), digits(parts.next()));
    if !matches!(found, (Some(major), Some(minor)) if (major, minor) <= NEWEST) {
        warnings.push(format!("OME-Zarr of version {version} was read as 0.6, the newest that is known"));
    }
}

/// The axes of an image, from the system that its arrays are placed in.
fn axes(image: &Value, n: usize) -> Result<Vec<Axis>, String> {
    let first = list(image, "datasets").next();
    let output = first.and_then(|level| {
        let output = list(level, "coordinateTransformations").next()?.get("output")?;
        output.as_str().or_else(|| text_of(output, "name"))
    });
    let mut systems = list(image, "coordinateSystems").peekable();
    let own = systems.peek().copied();
    let system = systems.find(|system| output.is_some() && text_of(system, "name") == output).or(own);
    let said: Vec<Axis> = list(system.unwrap_or(image), "axes").take(MAX_AXES).map(axis).collect();
    // Versions 0.1 and 0.2 have no axes: their arrays are always t, c, z, y, x.
    let said = if said.is_empty() {
        let all = ["t", "c", "z", "y", "x"];
        all.iter().skip(all.len().saturating_sub(n)).map(|name| Axis::named(name)).collect()
    } else {
        said
    };
    if said.len() != n {
        return Err(format!("the metadata name {} axes, the array has {n}", said.len()));
    }
    Ok(said)
}

fn axis(value: &Value) -> Axis {
    // Version 0.3 lists bare names.
    let name = value.as_str().or_else(|| text_of(value, "name")).unwrap_or_default();
    Axis {
        kind: text_of(value, "type").map(str::to_lowercase),
        unit: text_of(value, "unit").map(str::to_owned),
        ..Axis::named(name)
    }
}

/// An array of an image as its metadata describe it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Described {
    /// Its axes, in the order of the array.
    pub(super) dims: Vec<Dim>,
    /// Whether the metadata say a size.
    pub(super) is_sized: bool,
}

/// What the metadata say of one array of an image, which has `n` axes.
pub(super) fn describe(
    image: &Value,
    path: &str,
    n: usize,
    warnings: &mut Vec<String>,
) -> Result<Described, String> {
    let axes = axes(image, n)?;
    let roles = roles(&axes).or_else(|problem| {
        // Names that mean nothing are no names.
        let is_unnamed = axes.iter().all(|axis| axis.kind.is_none()) && n <= 3;
        if is_unnamed { Ok(roles_by_place(n)) } else { Err(problem) }
    })?;
    let level = list(image, "datasets").find(|level| text_of(level, "path") == Some(path));
    let own = level.into_iter().flat_map(|level| list(level, "coordinateTransformations"));
    // From 0.6 on what stands beside the levels leads into other systems, before it belongs to every level.
    let has_systems = list(image, "coordinateSystems").next().is_some();
    let shared = list(image, "coordinateTransformations").filter(|_| !has_systems);
    let mut map = Affine::identity(n);
    let mut is_sized = false;
    for step in own.chain(shared) {
        match map.then(step) {
            Ok(next) => {
                is_sized |=
                    text_of(step, "type") != Some("identity") && text_of(step, "type") != Some("translation");
                map = next;
            }
            Err(problem) => say(warnings, problem),
        }
    }
    is_sized |= has_systems;
    if has_systems {
        say_systems(image, warnings);
    }
    let along = map.along_axes().unwrap_or_else(|| {
        say(warnings, "the file turns the image against its axes; the rotation was not applied".to_owned());
        map.turned_axes()
    });
    let dims = dims(&axes, &roles, &along).ok_or("the coordinate transformations contradict the axes")?;
    Ok(Described { dims, is_sized })
}

/// Says a sentence once.
fn say(warnings: &mut Vec<String>, sentence: String) {
    if !warnings.contains(&sentence) {
        warnings.push(sentence);
    }
}

/// Says which other systems an image is placed in: it is read in its own.
fn say_systems(image: &Value, warnings: &mut Vec<String>) {
    for step in list(image, "coordinateTransformations").take(8) {
        let kind = text_of(step, "type").unwrap_or("unknown");
        let output =
            step.get("output").and_then(|output| output.as_str().or_else(|| text_of(output, "name")));
        if kind != "identity" {
            let to = output.unwrap_or("without a name");
            say(
                warnings,
                format!(
                    "the image is read in its own coordinates; the transformation of type {kind} into the system {to:?} was not applied"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::axes::Frame;
    use super::*;

    fn frame(image: &Value, n: usize) -> (Frame, Vec<String>) {
        let mut warnings = Vec::new();
        let described = describe(image, "0", n, &mut warnings).unwrap();
        (Frame::of(&described.dims).unwrap(), warnings)
    }

    #[test]
    fn what_stands_beside_the_levels_belongs_to_all_of_them() {
        let axis = |name: &str| json!({"name": name, "type": "space", "unit": "nanometer"});
        let image = json!({"version": "0.4", "axes": [axis("z"), axis("y"), axis("x")],
            "datasets": [{"path": "0", "coordinateTransformations": [
                {"type": "scale", "scale": [3, 2, 1]}, {"type": "translation", "translation": [1, 1, 1]}]}],
            "coordinateTransformations": [{"type": "scale", "scale": [10, 10, 10]}]});
        let (frame, warnings) = frame(&image, 3);
        assert_eq!(frame.voxel_um, Some([0.03, 0.02, 0.01]));
        assert_eq!(frame.origin_um, [0.01; 3]);
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn version_0_6_is_read_in_the_system_of_its_arrays() {
        let system = |name: &str, unit: &str| {
            let axis = |axis: &str| json!({"name": axis, "type": "space", "unit": unit});
            json!({"name": name, "axes": [axis("z"), axis("y"), axis("x")]})
        };
        let image = json!({
            "coordinateSystems": [system("world", "millimeter"), system("physical", "micrometer")],
            "datasets": [{"path": "0", "coordinateTransformations": [{"type": "sequence",
                "input": {"path": "0"}, "output": {"name": "physical"},
                "transformations": [{"type": "scale", "scale": [3, 2, 1]}, {"type": "translation", "translation": [0.5, 0, 0]}]}]}],
            "coordinateTransformations": [{"type": "rotation", "rotation": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
                "input": {"name": "physical"}, "output": {"name": "world"}}]});
        let (frame, warnings) = frame(&image, 3);
        assert_eq!((frame.voxel_um, frame.origin_um), (Some([3.0, 2.0, 1.0]), [0.5, 0.0, 0.0]));
        assert!(warnings[0].contains("rotation") && warnings[0].contains("world"), "{warnings:?}");
    }

    #[test]
    fn old_versions_have_bare_names_or_none() {
        let image = json!({"version": "0.1", "datasets": [{"path": "0"}]});
        let described = describe(&image, "0", 5, &mut Vec::new()).unwrap();
        assert!(!described.is_sized);
        assert_eq!(described.dims[2].role, super::super::axes::Role::Space(0));
        let named = json!({"version": "0.3", "axes": ["y", "x", "c"], "datasets": [{"path": "0"}]});
        let described = describe(&named, "0", 3, &mut Vec::new()).unwrap();
        assert_eq!(described.dims[2].role, super::super::axes::Role::Channel);
        assert!(describe(&named, "0", 4, &mut Vec::new()).unwrap_err().contains("name 3 axes"));
    }

    #[test]
    fn a_newer_version_is_said() {
        let said = |attributes: Value| {
            let mut warnings = Vec::new();
            say_version(attributes.as_object().unwrap(), &mut warnings);
            warnings.len()
        };
        assert_eq!(said(json!({"ome": {"version": "0.6"}})), 0);
        assert_eq!(said(json!({"ome": {"version": "0.6rc0"}})), 0);
        assert_eq!(said(json!({"multiscales": [{"version": "0.4"}]})), 0);
        assert_eq!(said(json!({})), 0);
        assert_eq!(said(json!({"ome": {"version": "0.7"}})), 1);
        assert_eq!(said(json!({"ome": {"version": "1.0"}})), 1);
    }
}
