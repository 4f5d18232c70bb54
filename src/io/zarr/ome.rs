//! OME-Zarr metadata: axes, voxel size, origin and classes, in versions 0.4 and 0.5.
//!
//! Reference: ngff.openmicroscopy.org, versions 0.4 and 0.5. The values' unit, for which OME-Zarr
//! has no place, stands in the attribute `waterwindow` beside `ome`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::base::Unit;
use crate::io::format::{Header, Kind, WriteRequest};
use crate::volume::{Class, ClassTable};

/// One level of a pyramid as the metadata describe it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Multiscale {
    /// Path of its array.
    pub(super) path: String,
    /// Names of the axes, in order.
    pub(super) axes: Vec<String>,
    /// Units of the axes, in order.
    units: Vec<Option<String>>,
    scale: Vec<f64>,
    translation: Vec<f64>,
}

/// The object that holds `multiscales`: `ome` in 0.5, the attributes themselves in 0.4.
fn ome(attributes: &Map<String, Value>) -> &Map<String, Value> {
    attributes.get("ome").and_then(Value::as_object).unwrap_or(attributes)
}

fn numbers(value: Option<&Value>) -> Vec<f64> {
    value.and_then(Value::as_array).map(|a| a.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
}

/// Multiplies the scales and adds up the translations of a list of transformations.
fn apply(transformations: Option<&Value>, scale: &mut [f64], translation: &mut [f64]) {
    for step in transformations.and_then(Value::as_array).into_iter().flatten() {
        let (factors, offsets) = (numbers(step.get("scale")), numbers(step.get("translation")));
        if factors.len() == scale.len() {
            for ((s, t), f) in scale.iter_mut().zip(translation.iter_mut()).zip(factors) {
                (*s, *t) = (*s * f, *t * f);
            }
        }
        if offsets.len() == translation.len() {
            translation.iter_mut().zip(offsets).for_each(|(t, o)| *t += o);
        }
    }
}

/// The levels of the first image of a group's attributes, finest first.
pub(super) fn levels(attributes: &Map<String, Value>) -> Vec<Multiscale> {
    let images = ome(attributes).get("multiscales").and_then(Value::as_array);
    let Some(image) = images.and_then(|images| images.first()) else { return Vec::new() };
    let mut axes = Vec::new();
    let mut units = Vec::new();
    for axis in image.get("axes").and_then(Value::as_array).into_iter().flatten() {
        // Version 0.3 lists bare names.
        let name = axis.as_str().or_else(|| axis.get("name")?.as_str());
        axes.push(name.unwrap_or_default().to_ascii_lowercase());
        units.push(axis.get("unit").and_then(Value::as_str).map(str::to_owned));
    }
    let datasets = image.get("datasets").and_then(Value::as_array).into_iter().flatten();
    datasets
        .map_while(|level| {
            let path = level.get("path")?.as_str()?.trim_matches('/').to_owned();
            let (mut scale, mut translation) = (vec![1.0; axes.len()], vec![0.0; axes.len()]);
            apply(level.get("coordinateTransformations"), &mut scale, &mut translation);
            apply(image.get("coordinateTransformations"), &mut scale, &mut translation);
            Some(Multiscale { path, axes: axes.clone(), units: units.clone(), scale, translation })
        })
        .collect()
}

fn um_per(unit: &str) -> Option<f64> {
    match unit {
        "micrometer" | "micron" | "um" | "µm" => Some(1.0),
        "nanometer" | "nm" => Some(1e-3),
        "angstrom" => Some(1e-4),
        "millimeter" => Some(1e3),
        "meter" => Some(1e6),
        _ => None,
    }
}

impl Multiscale {
    /// Edge of a voxel and centre of voxel (0, 0, 0) in the units of the file, z, y, x.
    pub(super) fn spacing(&self) -> ([f64; 3], [f64; 3]) {
        let (mut scale, mut offset) = ([1.0; 3], [0.0; 3]);
        for (i, name) in self.axes.iter().enumerate() {
            if let Some(at) = ["z", "y", "x"].iter().position(|axis| axis == name) {
                (scale[at], offset[at]) = (self.scale[i], self.translation[i]);
            }
        }
        (scale, offset)
    }

    /// Voxel size and origin in µm, z, y, x; `None` where an axis has no unit of length.
    pub(super) fn frame(&self) -> Option<([f64; 3], [f64; 3])> {
        let mut voxel = [1.0; 3];
        let mut origin = [0.0; 3];
        let mut has_xy = 0;
        for (i, name) in self.axes.iter().enumerate() {
            let Some(at) = ["z", "y", "x"].iter().position(|axis| axis == name) else { continue };
            let um = um_per(self.units[i].as_deref()?)?;
            voxel[at] = self.scale[i] * um;
            origin[at] = self.translation[i] * um;
            has_xy += 1;
        }
        let fine = |v: f64| v.is_finite() && v > 0.0;
        (has_xy >= 2 && voxel.into_iter().all(fine) && origin.iter().all(|o| o.is_finite()))
            .then(|| (voxel.map(tidy), origin.map(tidy)))
    }
}

/// Ten significant digits: the noise of a unit's factor is dropped, no file holds more.
fn tidy(value: f64) -> f64 {
    format!("{value:.9e}").parse().unwrap_or(value)
}

/// Adds what this program writes beside `ome`, and the classes of a label image.
pub(super) fn describe(attributes: &Map<String, Value>, header: &mut Header) {
    if let Some(own) = attributes.get("waterwindow") {
        header.energy_ev = own.get("energy_ev").and_then(Value::as_f64);
        header.angles_deg = numbers(own.get("angles_deg"));
        if let Some(unit) = own.get("unit").and_then(Value::as_str).and_then(Unit::from_ascii) {
            header.set_unit(unit);
        }
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

/// Classes from `image-label`: colours and properties, joined by their value.
fn classes(label: &Value) -> ClassTable {
    let mut joined: BTreeMap<u16, Map<String, Value>> = BTreeMap::new();
    for list in ["properties", "colors"] {
        for entry in label.get(list).and_then(Value::as_array).into_iter().flatten() {
            let id = entry.get("label-value").and_then(Value::as_u64).and_then(|v| u16::try_from(v).ok());
            let (Some(id), Some(entry)) = (id.filter(|id| *id > 0), entry.as_object()) else { continue };
            joined.entry(id).or_default().extend(entry.clone());
        }
    }
    let mut table = ClassTable::default().with_ids(joined.keys().copied());
    for (id, fields) in joined {
        let Some(mut class) = table.get(id).cloned() else { continue };
        if let Some(rgba) = fields.get("rgba").map(|v| numbers(Some(v))).filter(|c| c.len() >= 3) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=255")]
            let byte = |v: f64| v.clamp(0.0, 255.0) as u8;
            class.color = [byte(rgba[0]), byte(rgba[1]), byte(rgba[2])];
        }
        let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
        class.name = text("name").or_else(|| text("class")).unwrap_or(class.name);
        class.go_id = text("go_id");
        class.parent = fields.get("parent").and_then(Value::as_u64).and_then(|v| u16::try_from(v).ok());
        class.typical_lac = fields.get("typical_lac").and_then(|v| serde_json::from_value(v.clone()).ok());
        let flag = |key: &str, default| fields.get(key).and_then(Value::as_bool).unwrap_or(default);
        (class.visible, class.locked) = (flag("visible", true), flag("locked", false));
        table.insert(class);
    }
    table
}

fn image_label(classes: Option<&ClassTable>, source: Option<&str>) -> Value {
    let all: &[Class] = classes.map_or(&[], |table| &table.classes);
    let colors: Vec<Value> = all
        .iter()
        .map(|c| json!({"label-value": c.id, "rgba": [c.color[0], c.color[1], c.color[2], 255]}))
        .collect();
    let properties: Vec<Value> = all
        .iter()
        .map(|c| {
            let mut entry =
                json!({"label-value": c.id, "name": c.name, "visible": c.visible, "locked": c.locked});
            if let Some(parent) = c.parent {
                entry["parent"] = json!(parent);
            }
            if let Some(go_id) = &c.go_id {
                entry["go_id"] = json!(go_id);
            }
            if let Some(lac) = c.typical_lac {
                entry["typical_lac"] = json!(lac);
            }
            entry
        })
        .collect();
    let mut label = json!({});
    // Empty lists are not allowed.
    if !colors.is_empty() {
        label["colors"] = json!(colors);
        label["properties"] = json!(properties);
    }
    if let Some(source) = source {
        label["source"] = json!({"image": source});
    }
    label
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
    let voxel = request.voxel_um.unwrap_or([1.0; 3]);
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
    let mut image = json!({
        "name": name,
        "axes": [axis("z"), axis("y"), axis("x")],
        "datasets": datasets,
    });
    if n_levels > 1 {
        image["type"] = json!(if is_label { "mode" } else { "mean" });
    }
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
    [("ome".to_owned(), ome), ("waterwindow".to_owned(), own)].into_iter().collect()
}
