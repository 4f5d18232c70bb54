//! Zarr (.zarr folders, .ozx files): OME-Zarr 0.1 to 0.6, and plain arrays of Zarr 2 and 3.
//!
//! Written as OME-Zarr 0.5: a pyramid (mean of 2³ for images, most frequent for labels), chunks
//! of 64³ inside shards, zstd, axes z, y, x in micrometers where the voxel size is known.
//! [`create_rows`] and [`write_rows`] let many processes fill one volume, row range by row range.

mod axes;
mod classes;
mod codecs;
mod filters;
#[cfg(test)]
mod foreign_tests;
mod image;
#[cfg(test)]
mod meaning_tests;
mod node;
mod ome;
mod pyramid;
mod rows;
mod shard;
mod store;
mod stored;
#[cfg(test)]
mod tests;
mod transform;
mod tree;
mod write;
mod zip;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zarrs::array::Array;

use super::array::with_dtype;
use super::atomic::is_zarr_folder;
use super::error::{IoError, guarded};
use super::format::{ArrayEntry, Format, Header, Kind, OpenRequest, Probe, Source, WriteRequest};
use super::sidecar::Sidecar;
use super::walk::Values;
use crate::base::{MemoryBudget, Progress};
use crate::volume::AnyArray;
use crate::volume::any::Voxel as _;

use self::axes::{Axis, Frame, Role};
pub(crate) use self::pyramid::open_pyramid;
pub use self::rows::{ROWS_PER_SHARD, RowsTarget, create_rows, write_rows};
use self::store::Store;
use self::stored::StoredArray;
use self::tree::Level;
pub(crate) use self::write::label_place;
pub use self::write::write_labels_into;

/// The format.
pub(crate) struct Zarr;

impl Format for Zarr {
    fn name(&self) -> &'static str {
        "OME-Zarr"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["zarr", "ozx"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        if probe.is_folder {
            return is_zarr_folder(&probe.path) || is_n5(&probe.path);
        }
        probe.head.starts_with(b"PK\x03\x04") && zip::is_zarr(&probe.path)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let source = guarded(request.path, "Zarr", || ZarrSource::open(request))?;
        Ok(Box::new(source))
    }

    fn has_tree(&self) -> bool {
        true
    }

    fn arrays(&self, path: &Path) -> Result<Vec<ArrayEntry>, IoError> {
        let limit = MemoryBudget::from_system().bytes;
        guarded(path, "Zarr", || tree::arrays(&store::open_store(path, limit)?))
    }

    fn entries(&self, path: &Path) -> Result<Vec<String>, IoError> {
        let limit = MemoryBudget::from_system().bytes;
        guarded(path, "Zarr", || tree::entries(&store::open_store(path, limit)?))
    }

    fn sidecar(&self, _request: &WriteRequest<'_>) -> Sidecar {
        Sidecar::default()
    }

    fn bytes_of_streaming(&self, header: &Header) -> Option<u64> {
        Some(write::bytes_of_writing(header.dtype, header.shape))
    }

    fn write(
        &self,
        path: &Path,
        values: Values<'_>,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        let source = match values {
            Values::Held(_) => return write::write_image(path, request, progress),
            Values::Read(source) => source,
        };
        let (dtype, shape) = (source.header().dtype, source.header().shape);
        with_dtype!(dtype, T => write::write_planes::<T>(path, shape, request, progress, |planes, mut into| {
            let bytes = into.as_slice_mut().map(bytemuck::cast_slice_mut);
            if let Some(bytes) = bytes && source.read_into(planes.clone(), bytes)? {
                return Ok(());
            }
            let found = T::unwrap(source.read_planes(planes.clone())?).filter(|found| found.dim() == into.dim());
            let problem = || format!("planes {} to {} are not what the header says", planes.start, planes.end);
            into.assign(&found.ok_or_else(|| IoError::content(path, problem()))?);
            Ok(())
        }))?;
        Ok(Vec::new())
    }
}

/// What is said of ids of -1.
const IGNORED: &str = "-1, to be ignored: they are read as unlabelled (0)";

struct ZarrSource {
    path: PathBuf,
    array: StoredArray,
    header: Header,
    /// Ids of -1, by the first plane of what was read at once.
    ignored: BTreeMap<usize, usize>,
}

/// The sentence for a hierarchy that cannot be read.
fn damaged(error: impl std::fmt::Display) -> String {
    format!("incomplete, damaged or foreign Zarr, copy it again: {error}")
}

fn text(error: impl std::fmt::Display) -> String {
    format!("Zarr: {error}")
}

/// Whether a folder is an N5 container, which looks much like Zarr.
fn is_n5(path: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(path.join("attributes.json")) else { return false };
    let Ok(Value::Object(fields)) = serde_json::from_str(&text) else { return false };
    fields.contains_key("n5") || (fields.contains_key("blockSize") && fields.contains_key("dataType"))
}

/// Whether attributes say that the values are ids.
fn is_label(attributes: &Map<String, Value>) -> bool {
    image::ome(attributes).contains_key("image-label")
}

/// Names of the axes of a plain array in lower case: those of Zarr 3, or those that xarray writes into the attributes.
fn names_of(array: &Array<Store>) -> Option<Vec<String>> {
    let of_zarr = array.dimension_names().as_ref().map(|names| {
        names.iter().map(|name| name.as_deref().unwrap_or_default().to_lowercase()).collect::<Vec<_>>()
    });
    let of_xarray = || {
        let names = array.attributes().get("_ARRAY_DIMENSIONS")?.as_array()?;
        Some(names.iter().map(|name| name.as_str().unwrap_or_default().to_lowercase()).collect())
    };
    of_zarr.or_else(of_xarray).filter(|names| names.len() == array.dimensionality())
}

/// What the axes of an array are, and what had to be assumed.
fn roles_of(level: &Level) -> Result<(Vec<Role>, Vec<String>), String> {
    let (mut roles, names, mut said) = match &level.described {
        Some(described) => {
            let names = described.dims.iter().map(|dim| dim.name.clone()).collect();
            (described.dims.iter().map(|dim| dim.role).collect(), names, Vec::new())
        }
        None => roles_of_plain(&level.array)?,
    };
    let sides = level.array.shape();
    if let Some(at) = axes::series(&roles, &names, sides) {
        let (n, name) = (sides[at], names.get(at).map_or("", String::as_str));
        let name = if roles[at] == Role::Time { "times" } else { name };
        said.push(format!("{n} {name} of one plane each were read as {n} planes"));
        if let Some(single) = roles.iter().position(|role| *role == Role::Space(0)) {
            roles[single] = roles[at];
        }
        roles[at] = Role::Space(0);
    }
    Ok((roles, said))
}

/// Roles, names, and what was assumed.
type PlainRoles = (Vec<Role>, Vec<String>, Vec<String>);

fn roles_of_plain(array: &Array<Store>) -> Result<PlainRoles, String> {
    let (n, shape) = (array.dimensionality(), array.shape());
    if !(2..=transform::MAX_AXES).contains(&n) {
        return Err(format!("a Zarr array of shape {shape:?}, expected 3 axes (z, y, x)"));
    }
    let names = names_of(array).unwrap_or_default();
    let axes: Vec<Axis> = names.iter().map(|name| Axis::named(name)).collect();
    if let Ok(roles) = axes::roles(&axes) {
        return Ok((roles, names, Vec::new()));
    }
    let mut said = Vec::new();
    let is_named = names.iter().any(|name| !name.is_empty() && !name.starts_with("dim_"));
    let is_deep = shape.iter().rev().skip(3).any(|side| *side > 1);
    if is_named || is_deep {
        let names = if is_named {
            format!("are called {}, which does not tell z, y and x", names.join(", "))
        } else {
            "have no names".to_owned()
        };
        said.push(format!("the axes of the array {shape:?} {names}: the last three were taken as z, y, x, those before as channels"));
    }
    Ok((axes::roles_by_place(n), names, said))
}

/// What attributes say of the values after the rules for climate data (CF), which is not acted on.
fn conventions(attributes: &Map<String, Value>) -> Vec<String> {
    let number = |key: &str| attributes.get(key).and_then(Value::as_f64).filter(|v| v.is_finite());
    let (scale, offset) = (number("scale_factor").unwrap_or(1.0), number("add_offset").unwrap_or(0.0));
    let scaled = ((scale, offset) != (1.0, 0.0)).then(|| {
        format!("the attributes take these values as {offset} + {scale} × stored (add_offset, scale_factor); the stored values were read, without it")
    });
    let mut said: Vec<String> = scaled.into_iter().collect();
    for key in ["_FillValue", "missing_value"] {
        said.extend(number(key).map(|value| {
            format!("values of {value} mean no data in this file ({key}); they were read as they are")
        }));
    }
    said
}

/// Size and place of the voxels of an image.
fn place(level: &Level, header: &mut Header) {
    let Some(described) = &level.described else { return };
    let frame = if described.is_sized { Frame::of(&described.dims) } else { None };
    let Some(frame) = frame else {
        header.warnings.push("the file gives no usable voxel size".to_owned());
        return;
    };
    (header.voxel_um, header.origin_um, header.ratios) = (frame.voxel_um, frame.origin_um, frame.ratios);
    header.warnings.extend(frame.warnings);
}

impl ZarrSource {
    fn open(request: &OpenRequest<'_>) -> Result<Self, String> {
        let (path, limit) = (request.path, request.budget.bytes);
        if path.is_dir() && !is_zarr_folder(path) && is_n5(path) {
            return Err(
                "an N5 container, which is not read; convert it into OME-Zarr (n5-utils, z5py, Fiji)"
                    .to_owned(),
            );
        }
        let found = tree::find(&store::open_store(path, limit)?, request.options)?;
        let is_label = is_label(&found.attributes);
        let level = found.levels.into_iter().next().ok_or("a Zarr group without an image")?;
        let (roles, said) = roles_of(&level)?;
        let mut header = Header::new("OME-Zarr", [1; 3], crate::io::Dtype::U8);
        if level.described.is_none() {
            header.format = "Zarr";
        }
        header.warnings = found.warnings;
        header.guessed.entry = found.first;
        header.warnings.extend(said);
        header.warnings.extend(conventions(level.array.attributes()));
        place(&level, &mut header);
        let array = StoredArray::new(level.array, &roles, request.options, is_label)?;
        array.check_chunk(limit)?;
        (header.shape, header.dtype) = (array.shape, array.dtype());
        header.kind = if array.shape[0] == 1 { Kind::Image } else { Kind::Volume };
        (header.n_channels, header.n_times) = (array.n_channels, array.n_times);
        header.channel_names = image::channel_names(&found.attributes);
        ome::describe(&found.attributes, &mut header);
        header.warnings.extend(array.warning());
        header.slab = array.slab()?;
        Ok(Self { path: path.to_owned(), array, header, ignored: BTreeMap::new() })
    }
}

impl Source for ZarrSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let [_, ny, nx] = self.header.shape;
        let from = planes.start;
        let read = guarded(&self.path, "Zarr", || self.array.read([from, 0, 0], [planes.len(), ny, nx]))?;
        // Planes that are read again are counted once.
        self.ignored.insert(from, self.array.take_ignored());
        let n: usize = self.ignored.values().sum();
        self.header.warnings.retain(|said| !said.ends_with(IGNORED));
        self.header.warnings.extend((n > 0).then(|| format!("{n} voxels are {IGNORED}")));
        Ok(read)
    }
}
