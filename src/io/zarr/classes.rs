//! The classes of a label image: names, colours and properties in `image-label`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::volume::{Class, ClassTable};

/// Classes from `image-label`: colours and properties, joined by their value.
pub(super) fn classes(label: &Value) -> ClassTable {
    let mut joined: BTreeMap<u16, Map<String, Value>> = BTreeMap::new();
    for list in ["properties", "colors"] {
        for entry in label.get(list).and_then(Value::as_array).into_iter().flatten() {
            let id = entry.get("label-value").and_then(id_of);
            let (Some(id), Some(entry)) = (id.filter(|id| *id > 0), entry.as_object()) else { continue };
            joined.entry(id).or_default().extend(entry.clone());
        }
    }
    let mut table = ClassTable::default().with_ids(joined.keys().copied());
    for (id, fields) in joined {
        let Some(mut class) = table.get(id).cloned() else { continue };
        if let Some(rgba) = fields.get("rgba").map(numbers).filter(|c| c.len() >= 3) {
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

/// The id of a class; some writers give whole numbers as 3.0.
fn id_of(value: &Value) -> Option<u16> {
    let whole = value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..=65535.0).contains(v))?;
    Some(<u16 as crate::io::FileVoxel>::from_f64(whole))
}

/// `image-label` of a label image, with the image that it belongs to.
pub(super) fn image_label(classes: Option<&ClassTable>, source: Option<&str>) -> Value {
    let all: &[Class] = classes.map_or(&[], |table| &table.classes);
    let color = |c: &Class| json!({"label-value": c.id, "rgba": [c.color[0], c.color[1], c.color[2], 255]});
    // The strict schema wants a colour at least; what is not labelled has none.
    let background = json!({"label-value": 0, "rgba": [0, 0, 0, 0]});
    let colors: Vec<Value> = std::iter::once(background).chain(all.iter().map(color)).collect();
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
    let mut label = json!({"colors": colors});
    // An empty list is not allowed.
    if !properties.is_empty() {
        label["properties"] = json!(properties);
    }
    if let Some(source) = source {
        label["source"] = json!({"image": source});
    }
    label
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().map(|list| list.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
}
