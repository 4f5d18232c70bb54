//! An array of a Zarr hierarchy as it is stored, read box by box as z, y, x.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array3, ArrayD};
use zarrs::array::{
    Array, ArrayShardedExt as _, ArrayShardedReadableExt as _, ArrayShardedReadableExtCache, ArraySubset,
    CodecOptions, ElementOwned, data_type,
};
use zarrs::filesystem::FilesystemStore;

use super::{damaged, text};
use crate::io::array::{Dtype, FileVoxel};
use crate::volume::AnyArray;

/// How the values are stored where this program holds them in another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    Same(Dtype),
    U64,
    I64,
    F16,
    Bool,
}

/// What happens to one axis of a stored array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    /// Only this index is read.
    Fixed(u64),
    /// All of it is read: z (0), y (1) or x (2).
    Space(usize),
}

/// An array, and what of it is read.
pub(super) struct StoredArray {
    array: Array<FilesystemStore>,
    pub(super) stored: Stored,
    /// What each axis of the array is read as.
    axes: Vec<Axis>,
    /// Voxels along z, y, x.
    pub(super) shape: [usize; 3],
    pub(super) n_channels: usize,
    /// Where the chunks of each shard lie, once read; without it shards are decoded whole.
    shards: Option<ArrayShardedReadableExtCache>,
}

impl StoredArray {
    /// Takes one channel of an array; `names` are those of its axes, if an image says them.
    pub(super) fn new(
        array: Array<FilesystemStore>,
        names: Option<&[String]>,
        channel: usize,
    ) -> Result<Self, String> {
        let stored = stored_type(&array)?;
        let own_names = || {
            let names = array.dimension_names().iter().flatten();
            names.map(|name| name.clone().unwrap_or_default().to_ascii_lowercase()).collect()
        };
        let names = names.filter(|names| names.len() == array.dimensionality());
        let names = names.map_or_else(own_names, <[String]>::to_vec);
        let (axes, shape, n_channels) = layout(array.shape(), &names, channel)?;
        Ok(Self { array, stored, axes, shape, n_channels, shards: None })
    }

    /// The same read by the chunks inside shards, by many threads at once.
    pub(super) fn by_blocks(mut self) -> Self {
        self.shards = Some(ArrayShardedReadableExtCache::new(&self.array));
        self
    }

    /// The type that values are read as.
    pub(super) fn dtype(&self) -> Dtype {
        match self.stored {
            Stored::Same(dtype) => dtype,
            Stored::U64 | Stored::I64 => Dtype::F64,
            Stored::F16 => Dtype::F32,
            Stored::Bool => Dtype::U8,
        }
    }

    /// Sides of what is decoded at once, z, y, x.
    pub(super) fn block(&self) -> Result<[usize; 3], String> {
        let chunk = self.chunk()?;
        let mut block = [1; 3];
        for (axis, side) in self.axes.iter().zip(&chunk) {
            if let Axis::Space(at) = axis {
                block[*at] = usize::try_from(*side).unwrap_or(usize::MAX).min(self.shape[*at]);
            }
        }
        Ok(block)
    }

    /// Sides of what is decoded at once, along all axes.
    fn chunk(&self) -> Result<Vec<u64>, String> {
        let inner = self.shards.as_ref().and_then(|_| self.array.effective_subchunk_shape());
        let chunk = match inner {
            Some(chunk) => chunk,
            None => self.array.chunk_shape(&vec![0; self.array.dimensionality()]).map_err(text)?,
        };
        Ok(chunk.iter().map(|side| side.get()).collect())
    }

    /// Refuses chunks above a limit: one chunk is the least that is decoded at once.
    pub(super) fn check_chunk(&self, limit: u64) -> Result<(), String> {
        let width = match self.stored {
            Stored::Same(dtype) => dtype.n_bytes() as u64,
            Stored::U64 | Stored::I64 => 8,
            Stored::F16 => 2,
            Stored::Bool => 1,
        };
        let chunk = self.chunk()?;
        let bytes = chunk.iter().try_fold(width, |n, side| n.checked_mul(*side));
        if bytes.is_some_and(|bytes| bytes <= limit) {
            return Ok(());
        }
        Err(format!(
            "Zarr chunks of {chunk:?} values do not fit the memory budget; store it in smaller chunks"
        ))
    }

    /// Reads a box: first voxel and number along z, y, x.
    pub(super) fn read(&self, low: [usize; 3], shape: [usize; 3]) -> Result<AnyArray, String> {
        match self.stored {
            Stored::Same(Dtype::U8) => self.read_same::<u8>(low, shape),
            Stored::Same(Dtype::I8) => self.read_same::<i8>(low, shape),
            Stored::Same(Dtype::U16) => self.read_same::<u16>(low, shape),
            Stored::Same(Dtype::I16) => self.read_same::<i16>(low, shape),
            Stored::Same(Dtype::U32) => self.read_same::<u32>(low, shape),
            Stored::Same(Dtype::I32) => self.read_same::<i32>(low, shape),
            Stored::Same(Dtype::F32) => self.read_same::<f32>(low, shape),
            Stored::Same(Dtype::F64) => self.read_same::<f64>(low, shape),
            Stored::U64 => Ok(AnyArray::F64(self.read_as::<u64>(low, shape)?.mapv(|v| v as f64))),
            Stored::I64 => Ok(AnyArray::F64(self.read_as::<i64>(low, shape)?.mapv(|v| v as f64))),
            Stored::F16 => Ok(AnyArray::F32(self.read_as::<half::f16>(low, shape)?.mapv(half::f16::to_f32))),
            Stored::Bool => Ok(AnyArray::U8(self.read_as::<bool>(low, shape)?.mapv(u8::from))),
        }
    }

    fn read_same<T: ElementOwned + FileVoxel>(
        &self,
        low: [usize; 3],
        shape: [usize; 3],
    ) -> Result<AnyArray, String> {
        Ok(T::wrap(self.read_as::<T>(low, shape)?))
    }

    fn read_as<T: ElementOwned + Clone>(
        &self,
        low: [usize; 3],
        shape: [usize; 3],
    ) -> Result<Array3<T>, String> {
        let range = |axis: &Axis| -> Range<u64> {
            match axis {
                Axis::Fixed(at) => *at..*at + 1,
                Axis::Space(at) => low[*at] as u64..(low[*at] + shape[*at]) as u64,
            }
        };
        let subset = ArraySubset::new_with_ranges(&self.axes.iter().map(range).collect::<Vec<_>>());
        let read: Result<ArrayD<T>, _> = match &self.shards {
            Some(shards) => {
                // Blocks are read by several threads already.
                let options = CodecOptions::default().with_concurrent_target(1);
                self.array.retrieve_array_subset_sharded_opt(shards, &subset, &options)
            }
            None => self.array.retrieve_array_subset(&subset),
        };
        // The space axes come in the order z, y, x (checked on opening), so dropping the fixed ones keeps the order.
        let array = read.map_err(damaged)?;
        array.as_standard_layout().into_owned().into_shape_with_order(shape).map_err(text)
    }
}

/// The array at a path of a store.
pub(super) fn open_array(store: &Arc<FilesystemStore>, path: &str) -> Result<Array<FilesystemStore>, String> {
    Array::open(Arc::clone(store), path).map_err(damaged)
}

/// How the values of an array are stored.
pub(super) fn stored_type(array: &Array<FilesystemStore>) -> Result<Stored, String> {
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
