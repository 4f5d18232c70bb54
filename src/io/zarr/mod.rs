//! Zarr (.zarr folders): OME-Zarr 0.4 and 0.5, and plain arrays of either version.
//!
//! Written as OME-Zarr 0.5: a pyramid (mean of 2³ for images, most frequent for labels), chunks
//! of 64³ inside shards, zstd, axes z, y, x in micrometers where the voxel size is known.
//! [`create_rows`] and [`write_rows`] let many processes fill one volume, row range by row range.

mod ome;
mod pyramid;
mod rows;
mod stored;
#[cfg(test)]
mod tests;
mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use zarrs::array::Array;
use zarrs::filesystem::FilesystemStore;
use zarrs::group::Group;

use super::array::with_dtype;
use super::atomic::is_zarr_folder;
use super::error::{IoError, guarded};
use super::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use crate::base::Progress;
use crate::volume::AnyArray;
use crate::volume::any::Voxel as _;

pub(crate) use self::pyramid::open_pyramid;
pub use self::rows::{ROWS_PER_SHARD, RowsTarget, create_rows, write_rows};
use self::stored::{Stored, StoredArray, open_array};
pub use self::write::write_labels_into;

/// The format.
pub(crate) struct Zarr;

impl Format for Zarr {
    fn name(&self) -> &'static str {
        "OME-Zarr"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["zarr"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        probe.is_folder && is_zarr_folder(&probe.path)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let (path, channel) = (request.path, request.channel());
        let limit = request.budget.bytes;
        let source = guarded(path, "Zarr", || ZarrSource::open(path, channel, limit))?;
        Ok(Box::new(source))
    }

    fn write(
        &self,
        path: &Path,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        write::write_image(path, request, progress)
    }

    fn bytes_of_streaming(&self, header: &Header) -> Option<u64> {
        Some(write::bytes_of_writing(header.dtype, header.shape))
    }

    fn stream(
        &self,
        path: &Path,
        source: &mut dyn Source,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<(), IoError> {
        let (dtype, shape) = (source.header().dtype, source.header().shape);
        with_dtype!(dtype, T => write::write_planes::<T>(path, shape, request, progress, |planes| {
            let (first, n) = (planes.start, planes.len());
            T::unwrap(source.read_planes(planes)?).filter(|found| found.dim() == (n, shape[1], shape[2])).ok_or_else(|| {
                IoError::content(path, format!("planes {first} to {} are not what the header says", first + n))
            })
        }))
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

/// The image of a hierarchy: the path that it lies at, its attributes and its levels, none where there is no image.
fn image(
    store: &Arc<FilesystemStore>,
    root: &Group<FilesystemStore>,
) -> (&'static str, Map<String, Value>, Vec<ome::Multiscale>) {
    let levels = ome::levels(root.attributes());
    if levels.is_empty()
        && let Ok(first) = Group::open(Arc::clone(store), "/0")
    {
        // The layout of bioformats2raw: images are numbered groups.
        let levels = ome::levels(first.attributes());
        if !levels.is_empty() {
            return ("/0", first.attributes().clone(), levels);
        }
    }
    ("", root.attributes().clone(), levels)
}

/// Finds the array of a hierarchy and the attributes that describe it.
fn find(
    store: &Arc<FilesystemStore>,
) -> Result<(Array<FilesystemStore>, Map<String, Value>, Option<ome::Multiscale>), String> {
    let Ok(group) = Group::open(store.clone(), "/") else {
        let array = open_array(store, "/")?;
        let attributes = array.attributes().clone();
        return Ok((array, attributes, None));
    };
    let (base, attributes, levels) = image(store, &group);
    if let Some(found) = levels.into_iter().next() {
        let array = open_array(store, &format!("{base}/{}", found.path))?;
        return Ok((array, attributes, Some(found)));
    }
    let arrays = group.child_arrays().map_err(text)?;
    let names: Vec<String> = arrays.iter().map(|a| a.path().to_string()).collect();
    let mut arrays = arrays.into_iter();
    match (arrays.next(), names.len()) {
        (Some(array), 1) => {
            let attributes = array.attributes().clone();
            Ok((array, attributes, None))
        }
        (Some(_), n) => Err(format!(
            "a Zarr group of {n} arrays without an image description; open one of {} inside it",
            names.join(", ")
        )),
        (None, _) => Err("a Zarr group without an image".to_owned()),
    }
}

impl ZarrSource {
    fn open(path: &Path, channel: usize, limit: u64) -> Result<Self, String> {
        let store = Arc::new(FilesystemStore::new(path).map_err(text)?);
        let (array, attributes, multiscale) = find(&store)?;
        let array = StoredArray::new(array, multiscale.as_ref().map(|image| image.axes.as_slice()), channel)?;
        array.check_chunk(limit)?;
        let mut header = Header::new("OME-Zarr", array.shape, array.dtype());
        header.n_channels = array.n_channels;
        if multiscale.is_none() {
            header.format = "Zarr";
        }
        if let Some((voxel, origin)) = multiscale.as_ref().and_then(ome::Multiscale::frame) {
            (header.voxel_um, header.origin_um) = (Some(voxel), origin);
        }
        ome::describe(&attributes, &mut header);
        if matches!(array.stored, Stored::U64 | Stored::I64) {
            header.warnings.push("64-bit whole numbers are read as float64, exact up to 2^53".to_owned());
        }
        header.slab = array.block()?[0].clamp(1, 64);
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
