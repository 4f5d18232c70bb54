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

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

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

struct ZarrSource {
    path: PathBuf,
    array: StoredArray,
    header: Header,
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

/// What the axes of an array are, and what had to be assumed.
fn roles_of(level: &Level) -> Result<(Vec<Role>, Vec<String>), String> {
    let n = level.array.dimensionality();
    if let Some(described) = &level.described {
        return Ok((described.dims.iter().map(|dim| dim.role).collect(), Vec::new()));
    }
    if !(2..=transform::MAX_AXES).contains(&n) {
        let shape = level.array.shape();
        return Err(format!("a Zarr array of shape {shape:?}, expected 3 axes (z, y, x)"));
    }
    let names: Option<Vec<Axis>> = level
        .array
        .dimension_names()
        .as_ref()
        .map(|names| names.iter().map(|name| Axis::named(name.as_deref().unwrap_or_default())).collect());
    if let Some(roles) = names.filter(|names| names.len() == n).and_then(|names| axes::roles(&names).ok()) {
        return Ok((roles, Vec::new()));
    }
    let mut said = Vec::new();
    if level.array.shape().iter().rev().skip(3).any(|side| *side > 1) {
        let shape = level.array.shape();
        said.push(format!("the axes of the array {shape:?} have no names: the last three were taken as z, y, x, those before as channels"));
    }
    Ok((axes::roles_by_place(n), said))
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
        Ok(Self { path: path.to_owned(), array, header })
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
        guarded(&self.path, "Zarr", || self.array.read([planes.start, 0, 0], [planes.len(), ny, nx]))
    }
}
