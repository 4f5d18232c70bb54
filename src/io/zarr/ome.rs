//! The attributes of an image as this program writes them, and what it adds to OME-Zarr.
//!
//! The values' unit, for which OME-Zarr has no place, stands in the attribute `waterwindow` beside `ome`.

use serde_json::{Map, Value, json};

use super::classes::{classes, image_label};
use super::image::ome;
use crate::base::Unit;
use crate::io::format::{Header, Kind, WriteRequest};

fn numbers(value: Option<&Value>) -> Vec<f64> {
    value.and_then(Value::as_array).map(|a| a.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
}

/// Adds what this program writes beside `ome`, and the classes of a label image.
pub(super) fn describe(attributes: &Map<String, Value>, header: &mut Header) {
    if let Some(own) = attributes.get("waterwindow") {
        header.energy_ev = own.get("energy_ev").and_then(Value::as_f64);
        header.angles_deg = numbers(own.get("angles_deg"));
        if let Some(unit) = own.get("unit").and_then(Value::as_str).and_then(Unit::from_ascii) {
            header.set_unit(unit);
        }
        header.objects = own.get("objects").and_then(|table| serde_json::from_value(table.clone()).ok());
        for (key, value) in own.get("metadata").and_then(Value::as_object).into_iter().flatten() {
            if let Some(text) = value.as_str() {
                header.metadata.insert(key.clone(), text.to_owned());
            }
        }
    }
    if let Some(label) = ome(attributes).get("image-label") {
        header.set_unit(Unit::Label);
        header.kind = Kind::Labels;
        header.classes = Some(classes(label)).filter(|table| !table.classes.is_empty());
    }
}

/// Attributes of an image group with `n_levels` levels, each half as fine as the one before.
///
/// `label_source`: the image that a label image belongs to, relative to it.
pub(super) fn attributes(
    request: &WriteRequest<'_>,
    name: &str,
    n_levels: usize,
    label_source: Option<&str>,
) -> Map<String, Value> {
    let axis = |name: &str| match request.voxel_um {
        Some(_) => json!({"name": name, "type": "space", "unit": "micrometer"}),
        None => json!({"name": name, "type": "space"}),
    };
    let voxel = request.voxel_um.or(request.ratios).unwrap_or([1.0; 3]);
    let datasets: Vec<Value> = (0..n_levels)
        .map(|level| {
            let factor = 2f64.powi(i32::try_from(level).unwrap_or(0));
            let scale = voxel.map(|v| v * factor);
            // The centre of a coarse voxel is the middle of the fine ones it covers.
            let at: [f64; 3] =
                std::array::from_fn(|i| request.origin_um[i] + voxel[i] * (factor - 1.0) / 2.0);
            let mut steps = vec![json!({"type": "scale", "scale": scale})];
            if at.iter().any(|v| *v != 0.0) {
                steps.push(json!({"type": "translation", "translation": at}));
            }
            json!({"path": level.to_string(), "coordinateTransformations": steps})
        })
        .collect();
    let is_label = request.unit == Some(Unit::Label);
    let (kind, method) = if request.keeps_ids() {
        ("mode", "most frequent id of 2 x 2 x 2 voxels, the smallest of equals")
    } else {
        ("mean", "mean of 2 x 2 x 2 voxels")
    };
    let program = concat!("waterwindow ", env!("CARGO_PKG_VERSION"));
    let image = json!({
        "name": name,
        "type": kind,
        "metadata": {"method": method, "program": program},
        "axes": [axis("z"), axis("y"), axis("x")],
        "datasets": datasets,
    });
    let mut ome = json!({"version": "0.5", "multiscales": [image]});
    if is_label {
        ome["image-label"] = image_label(request.classes, label_source);
    }
    let mut own = json!({});
    if let Some(unit) = request.unit {
        own["unit"] = json!(unit.ascii());
    }
    if let Some(energy) = request.energy_ev {
        own["energy_ev"] = json!(energy);
    }
    if !request.angles_deg.is_empty() {
        own["angles_deg"] = json!(request.angles_deg);
    }
    if !request.metadata.is_empty() {
        own["metadata"] = json!(request.metadata);
    }
    if let Some(objects) = request.objects {
        own["objects"] = json!(objects);
    }
    [("ome".to_owned(), ome), ("waterwindow".to_owned(), own)].into_iter().collect()
}
