//! One node of a hierarchy: group or array, of Zarr 2 or 3.

use std::sync::Arc;

use serde_json::{Map, Value};
use zarrs::array::{Array, ArrayMetadata, ArrayMetadataV2};
use zarrs::convert::array_metadata_v2_to_v3;
use zarrs::metadata::v3::MetadataV3;
use zarrs::storage::{StorageError, StoreKey};

use super::filters::Filter;
use super::store::{Store, parts};
use super::{codecs, damaged};

/// A group or an array.
pub(super) struct Node {
    pub(super) is_array: bool,
    pub(super) attributes: Map<String, Value>,
}

/// The path of what lies at `inner` below `base`; refused where it leads elsewhere.
pub(super) fn join(base: &str, inner: &str) -> Result<String, String> {
    let inner = inner.trim_start_matches("./").trim_matches('/');
    let inner = if inner == "." { "" } else { inner };
    let parts =
        parts(inner).ok_or_else(|| format!("the path {inner:?} leaves the hierarchy; it is not followed"))?;
    let base = base.trim_end_matches('/');
    if parts.is_empty() { Ok(base.to_owned()) } else { Ok(format!("{base}/{}", parts.join("/"))) }
}

/// The JSON in a file of a node.
fn json(store: &Arc<Store>, path: &str, file: &str) -> Result<Option<Value>, String> {
    let key = StoreKey::new(format!("{path}/{file}").trim_start_matches('/')).map_err(damaged)?;
    let said = |error| match error {
        StorageError::Other(problem) => problem,
        error => damaged(error),
    };
    let Some(bytes) = store.get(&key).map_err(said)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(format!("{file} of {path:?}: {error}")))
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The group or array at a path.
pub(super) fn node(store: &Arc<Store>, path: &str) -> Result<Option<Node>, String> {
    if let Some(found) = json(store, path, "zarr.json")? {
        if found.get("zarr_format").and_then(Value::as_u64) != Some(3) {
            return Err(match found.get("zarr_format") {
                Some(Value::String(draft)) => format!(
                    "an early draft of Zarr 3 ({draft}), which is not read; convert it with the program that wrote it"
                ),
                version => damaged(format!("zarr.json has the format {version:?}, expected 3")),
            });
        }
        let is_array = found.get("node_type").and_then(Value::as_str) == Some("array");
        return Ok(Some(Node { is_array, attributes: object(found.get("attributes").cloned()) }));
    }
    let is_array = json(store, path, ".zarray")?.is_some();
    let attributes = json(store, path, ".zattrs")?;
    if !is_array && attributes.is_none() && json(store, path, ".zgroup")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Node { is_array, attributes: object(attributes) }))
}

/// The array at a path.
pub(super) fn open_array(store: &Arc<Store>, path: &str) -> Result<Array<Store>, String> {
    codecs::register();
    let path = if path.is_empty() { "/" } else { path };
    let inner = path.trim_end_matches('/');
    if json(store, inner, "zarr.json")?.is_some() {
        return Array::open(Arc::clone(store), path).map_err(unread);
    }
    let Some(Value::Object(mut fields)) = json(store, inner, ".zarray")? else {
        return Err("the array is not there".to_owned());
    };
    if !matches!(fields.get("dtype"), Some(Value::String(_))) {
        return Err("a Zarr array of records, which are no voxels; write its fields as arrays of their own"
            .to_owned());
    }
    fields.insert("attributes".to_owned(), object(json(store, inner, ".zattrs")?).into());
    Array::new_with_metadata(Arc::clone(store), path, version_3(fields)?).map_err(unread)
}

/// The sentence for an array that is not understood: damaged, or of a kind that is not read.
fn unread(error: impl std::fmt::Display) -> String {
    let error = error.to_string();
    if error.contains("not supported") || error.contains("unsupported") {
        return format!(
            "a Zarr array of a kind that is not read, write it again as numbers packed by zstd, blosc or gzip: {error}"
        );
    }
    damaged(error)
}

/// The metadata of a Zarr 2 array in the form of Zarr 3, with the names of numcodecs for its codecs.
fn version_3(mut fields: Map<String, Value>) -> Result<ArrayMetadata, String> {
    let compressor = fields.insert("compressor".to_owned(), Value::Null).filter(|value| !value.is_null());
    let filters = fields.insert("filters".to_owned(), Value::Null);
    let filters: Vec<Value> = filters.and_then(|list| list.as_array().cloned()).unwrap_or_default();
    let is_big_endian =
        fields.get("dtype").and_then(Value::as_str).is_some_and(|dtype| dtype.starts_with('>'));
    // Complex numbers begin with a pair of parts; some writers give the real one alone.
    let is_complex = fields
        .get("dtype")
        .and_then(Value::as_str)
        .is_some_and(|dtype| dtype.trim_start_matches(['<', '>', '|']).starts_with('c'));
    if is_complex && let Some(real) = fields.get("fill_value").filter(|fill| fill.is_number()).cloned() {
        fields.insert("fill_value".to_owned(), Value::Array(vec![real, 0.0.into()]));
    }
    let metadata: ArrayMetadataV2 = serde_json::from_value(fields.into()).map_err(damaged)?;
    let mut metadata = array_metadata_v2_to_v3(&metadata).map_err(unread)?;
    let is_bytes = |codec: &MetadataV3| codec.name() == "bytes";
    let at = metadata.codecs.iter().position(is_bytes).unwrap_or(metadata.codecs.len());
    let mut bytes = metadata.codecs.split_off(at);
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    for filter in &filters {
        let (codec, fields) = codec_of(filter)?;
        if Filter::is_known(codec.name()) {
            if behind.is_empty() && before.is_empty() && Filter::is_swapped(&fields, is_big_endian) {
                return Err("a filter of the Zarr array takes its bytes in the wrong order; write it again without filters".to_owned());
            }
            // The bytes are in the order of what the last filter stores.
            if let Some(stored) = Filter::stored_type(&fields) {
                let endian = if stored.is_big_endian { "big" } else { "little" };
                bytes = vec![named("bytes", &[("endian".to_owned(), endian.into())].into_iter().collect())?];
            }
            before.push(codec);
        } else {
            behind.push(codec);
        }
    }
    metadata.codecs.extend(before);
    metadata.codecs.append(&mut bytes);
    metadata.codecs.extend(behind);
    if let Some(compressor) = &compressor {
        metadata.codecs.push(codec_of(compressor)?.0);
    }
    Ok(ArrayMetadata::V3(metadata))
}

/// A codec of Zarr 2 under its name in Zarr 3, and its configuration.
fn codec_of(value: &Value) -> Result<(MetadataV3, Map<String, Value>), String> {
    let mut fields = value.as_object().cloned().unwrap_or_default();
    let Some(Value::String(id)) = fields.remove("id") else {
        return Err(damaged("a codec without a name"));
    };
    Ok((named(&format!("numcodecs.{id}"), &fields)?, fields))
}

fn named(name: &str, fields: &Map<String, Value>) -> Result<MetadataV3, String> {
    let value = serde_json::json!({"name": name, "configuration": fields});
    serde_json::from_value(value).map_err(damaged)
}
