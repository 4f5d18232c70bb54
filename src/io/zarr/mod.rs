//! Zarr (.zarr folders): OME-Zarr 0.4 and 0.5, and plain arrays of either version.
//!
//! Written as OME-Zarr 0.5: a pyramid (mean of 2³ for images, most frequent for labels), chunks
//! of 64³ inside shards, zstd, axes z, y, x in micrometers where the voxel size is known.
//! [`create_rows`] and [`write_rows`] let many processes fill one volume, row range by row range.

mod ome;
mod pyramid;
mod rows;
#[cfg(test)]
mod tests;
mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array3, ArrayD};
use serde_json::{Map, Value};
use zarrs::array::{Array, ArraySubset, ElementOwned, data_type};
use zarrs::filesystem::FilesystemStore;
use zarrs::group::Group;

use super::array::{Dtype, FileVoxel, with_dtype};
use super::atomic::is_zarr_folder;
use super::error::{IoError, guarded};
use super::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use crate::base::Progress;
use crate::volume::AnyArray;
use crate::volume::any::Voxel as _;

pub(crate) use self::pyramid::open_pyramid;
pub use self::rows::{ROWS_PER_SHARD, RowsTarget, create_rows, write_rows};
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
        let (path, channel) = (request.path, request.channel);
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

/// How the values are stored where this program holds them in another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Same(Dtype),
    U64,
    I64,
    F16,
    Bool,
}

struct ZarrSource {
    path: PathBuf,
    array: Array<FilesystemStore>,
    stored: Stored,
    /// What each axis of the array is read as.
    axes: Vec<Axis>,
    header: Header,
}

/// What happens to one axis of a stored array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    /// Only this index is read.
    Fixed(u64),
    /// All of it is read: z (0), y (1) or x (2).
    Space(usize),
}

/// The sentence for a hierarchy that cannot be read.
fn damaged(error: impl std::fmt::Display) -> String {
    format!("incomplete, damaged or foreign Zarr, copy it again: {error}")
}

fn text(error: impl std::fmt::Display) -> String {
    format!("Zarr: {error}")
}

/// Finds the array of a hierarchy and the attributes that describe it.
fn find(
    store: &Arc<FilesystemStore>,
) -> Result<(Array<FilesystemStore>, Map<String, Value>, Option<ome::Multiscale>), String> {
    let open = |path: &str| Array::open(store.clone(), path).map_err(damaged);
    let Ok(group) = Group::open(store.clone(), "/") else {
        let array = open("/")?;
        let attributes = array.attributes().clone();
        return Ok((array, attributes, None));
    };
    let mut attributes = group.attributes().clone();
    let mut base = String::new();
    let mut multiscale = ome::multiscale(&attributes);
    if multiscale.is_none()
        && let Ok(first) = Group::open(store.clone(), "/0")
        && let Some(found) = ome::multiscale(first.attributes())
    {
        // The layout of bioformats2raw: images are numbered groups.
        "/0".clone_into(&mut base);
        attributes.clone_from(first.attributes());
        multiscale = Some(found);
    }
    if let Some(found) = multiscale {
        let array = open(&format!("{base}/{}", found.path))?;
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
        let stored = stored_type(&array)?;
        check_chunk(&array, stored, limit)?;
        let names: Vec<String> = match &multiscale {
            Some(image) if image.axes.len() == array.dimensionality() => image.axes.clone(),
            _ => array
                .dimension_names()
                .iter()
                .flatten()
                .map(|name| name.clone().unwrap_or_default().to_ascii_lowercase())
                .collect(),
        };
        let (axes, shape, n_channels) = layout(array.shape(), &names, channel)?;
        let dtype = match stored {
            Stored::Same(dtype) => dtype,
            Stored::U64 | Stored::I64 => Dtype::F64,
            Stored::F16 => Dtype::F32,
            Stored::Bool => Dtype::U8,
        };
        let mut header = Header::new("OME-Zarr", shape, dtype);
        header.n_channels = n_channels;
        if multiscale.is_none() {
            header.format = "Zarr";
        }
        if let Some((voxel, origin)) = multiscale.as_ref().and_then(ome::Multiscale::frame) {
            (header.voxel_um, header.origin_um) = (Some(voxel), origin);
        }
        ome::describe(&attributes, &mut header);
        if matches!(stored, Stored::U64 | Stored::I64) {
            header.warnings.push("64-bit whole numbers are read as float64, exact up to 2^53".to_owned());
        }
        let chunk = array.chunk_shape(&vec![0; array.dimensionality()]).map_err(text)?;
        let z_axis = axes.iter().position(|axis| *axis == Axis::Space(0));
        header.slab = z_axis
            .and_then(|at| usize::try_from(chunk.get(at)?.get()).ok())
            .unwrap_or(1)
            .min(64)
            .clamp(1, shape[0].max(1));
        Ok(Self { path: path.to_owned(), array, stored, axes, header })
    }

    fn read<T: ElementOwned + FileVoxel>(&self, planes: &Range<usize>) -> Result<AnyArray, String> {
        Ok(T::wrap(self.read_as::<T>(planes)?))
    }

    fn read_as<T: ElementOwned + Clone>(&self, planes: &Range<usize>) -> Result<Array3<T>, String> {
        let [_, y, x] = self.header.shape;
        let ranges: Vec<Range<u64>> = self
            .axes
            .iter()
            .map(|axis| match axis {
                Axis::Fixed(at) => *at..*at + 1,
                Axis::Space(0) => planes.start as u64..planes.end as u64,
                Axis::Space(1) => 0..y as u64,
                Axis::Space(_) => 0..x as u64,
            })
            .collect();
        let subset = ArraySubset::new_with_ranges(&ranges);
        let array: ArrayD<T> = self.array.retrieve_array_subset(&subset).map_err(damaged)?;
        // The space axes come in the order z, y, x (checked on opening), so dropping the fixed ones keeps the order.
        array.as_standard_layout().into_owned().into_shape_with_order((planes.len(), y, x)).map_err(text)
    }

    fn read_any(&self, planes: &Range<usize>) -> Result<AnyArray, String> {
        match self.stored {
            Stored::Same(Dtype::U8) => self.read::<u8>(planes),
            Stored::Same(Dtype::I8) => self.read::<i8>(planes),
            Stored::Same(Dtype::U16) => self.read::<u16>(planes),
            Stored::Same(Dtype::I16) => self.read::<i16>(planes),
            Stored::Same(Dtype::U32) => self.read::<u32>(planes),
            Stored::Same(Dtype::I32) => self.read::<i32>(planes),
            Stored::Same(Dtype::F32) => self.read::<f32>(planes),
            Stored::Same(Dtype::F64) => self.read::<f64>(planes),
            Stored::U64 => Ok(AnyArray::F64(self.read_as::<u64>(planes)?.mapv(|v| v as f64))),
            Stored::I64 => Ok(AnyArray::F64(self.read_as::<i64>(planes)?.mapv(|v| v as f64))),
            Stored::F16 => Ok(AnyArray::F32(self.read_as::<half::f16>(planes)?.mapv(half::f16::to_f32))),
            Stored::Bool => Ok(AnyArray::U8(self.read_as::<bool>(planes)?.mapv(u8::from))),
        }
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
        guarded(&self.path, "Zarr", || self.read_any(&planes))
    }
}

fn stored_type(array: &Array<FilesystemStore>) -> Result<Stored, String> {
    let found = array.data_type();
    let known = [
        (data_type::uint8(), Stored::Same(Dtype::U8)),
        (data_type::int8(), Stored::Same(Dtype::I8)),
        (data_type::uint16(), Stored::Same(Dtype::U16)),
        (data_type::int16(), Stored::Same(Dtype::I16)),
        (data_type::uint32(), Stored::Same(Dtype::U32)),
        (data_type::int32(), Stored::Same(Dtype::I32)),
        (data_type::float32(), Stored::Same(Dtype::F32)),
        (data_type::float64(), Stored::Same(Dtype::F64)),
        (data_type::uint64(), Stored::U64),
        (data_type::int64(), Stored::I64),
        (data_type::float16(), Stored::F16),
        (data_type::bool(), Stored::Bool),
    ];
    known
        .into_iter()
        .find(|(kind, _)| kind == found)
        .map(|(_, stored)| stored)
        .ok_or_else(|| format!("Zarr values of type {found:?} are not read"))
}

/// Refuses chunks that do not fit the budget: one chunk is the least that is decoded at once.
fn check_chunk(array: &Array<FilesystemStore>, stored: Stored, limit: u64) -> Result<(), String> {
    let width = match stored {
        Stored::Same(dtype) => dtype.n_bytes() as u64,
        Stored::U64 | Stored::I64 => 8,
        Stored::F16 => 2,
        Stored::Bool => 1,
    };
    let chunk = array.chunk_shape(&vec![0; array.dimensionality()]).map_err(text)?;
    let bytes = chunk.iter().try_fold(width, |n, side| n.checked_mul(side.get()));
    if bytes.is_some_and(|bytes| bytes <= limit) {
        return Ok(());
    }
    Err(format!("Zarr chunks of {chunk:?} values do not fit the memory budget; store it in smaller chunks"))
}

/// What each axis is, the shape as z, y, x, and the number of channels. Without names the last three axes are z, y, x.
fn layout(shape: &[u64], names: &[String], channel: usize) -> Result<(Vec<Axis>, [usize; 3], usize), String> {
    let n = shape.len();
    let side = |i: usize| usize::try_from(shape[i]).map_err(|_e| format!("a side of {} voxels", shape[i]));
    let named =
        names.len() == n && names.iter().any(|name| name == "y") && names.iter().any(|name| name == "x");
    let mut axes = Vec::with_capacity(n);
    let mut sides = [1; 3];
    let mut n_channels = 1;
    for i in 0..n {
        let space = if named {
            ["z", "y", "x"].iter().position(|axis| *axis == names[i])
        } else {
            (i + 3).checked_sub(n).filter(|at| *at < 3 && i + 3 >= n)
        };
        if let Some(at) = space {
            if axes.iter().any(|axis| matches!(axis, Axis::Space(before) if *before >= at)) {
                return Err(format!("Zarr axes in the order {names:?}; only z, y, x is read"));
            }
            axes.push(Axis::Space(at));
            sides[at] = side(i)?;
        } else if named && names[i] == "c" {
            n_channels = side(i)?;
            axes.push(Axis::Fixed(channel as u64));
        } else if shape[i] == 1 || (named && names[i] == "t") {
            axes.push(Axis::Fixed(0));
        } else {
            return Err(format!("a Zarr array of shape {shape:?}, expected 3 axes (z, y, x)"));
        }
    }
    if n < 2 {
        return Err(format!("a Zarr array of shape {shape:?}, expected 3 axes (z, y, x)"));
    }
    Ok((axes, sides, n_channels))
}
