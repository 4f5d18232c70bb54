//! An array of a Zarr hierarchy as it is stored, read box by box as z, y, x.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array3, ArrayD, ArrayViewMut3, Axis as NdAxis, Ix3};
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use zarrs::array::{
    Array, ArrayShardedExt as _, ArrayShardedReadableExt as _, ArrayShardedReadableExtCache, ArraySubset,
    CodecOptions, ElementOwned, data_type,
};

use super::axes::Role;
use super::store::Store;
use super::{damaged, text};
use crate::io::array::{Dtype, FileVoxel, cut, zeros};
use crate::io::choice::ReadOptions;
use crate::volume::AnyArray;

/// Bytes of the pieces that one thread reads at once, at least: small chunks are read several at a time.
const PIECE_BYTES: usize = 512 << 10;

/// How the values are stored where this program holds them in another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    Same(Dtype),
    U64,
    I64,
    F16,
    Bool,
    /// Two numbers a voxel, which count as channels.
    Complex32,
    /// As [`Stored::Complex32`], in double precision.
    Complex64,
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
    array: Array<Store>,
    pub(super) stored: Stored,
    /// What each axis of the array is read as.
    axes: Vec<Axis>,
    /// Voxels along z, y, x.
    pub(super) shape: [usize; 3],
    pub(super) n_channels: usize,
    pub(super) n_times: usize,
    /// Whether the values are ids, which are never rounded.
    is_label: bool,
    /// Which of the two parts of complex numbers.
    part: usize,
    /// Where the chunks of each shard lie, once read.
    shards: ArrayShardedReadableExtCache,
    /// Whether several threads read blocks, so that no block is read by several.
    by_blocks: bool,
    /// Ids of -1 that were read as 0 and not yet taken note of.
    ignored: AtomicUsize,
}

fn side(n: u64) -> Result<usize, String> {
    usize::try_from(n).map_err(|_e| format!("a side of {n} voxels"))
}

impl StoredArray {
    /// Takes the channel and time of an array that are chosen, the first otherwise; `roles` are those of its axes.
    pub(super) fn new(
        array: Array<Store>,
        roles: &[Role],
        options: &ReadOptions,
        is_label: bool,
    ) -> Result<Self, String> {
        let stored = stored_type(&array)?;
        let n_parts = if matches!(stored, Stored::Complex32 | Stored::Complex64) { 2 } else { 1 };
        let (mut shape, mut n_times, mut n_channels) = ([1; 3], 1, n_parts);
        for (n, role) in array.shape().iter().zip(roles) {
            match role {
                Role::Space(at) => shape[*at] = side(*n)?,
                Role::Time => n_times = side(*n)?,
                Role::Channel => n_channels = side(*n)?.checked_mul(n_channels).ok_or("too many channels")?,
            }
        }
        let channel = options.channel.unwrap_or(0);
        // The last axis of channels runs fastest, the parts of complex numbers faster still.
        let mut rest = (channel / n_parts) as u64;
        let mut axes = Vec::new();
        for (n, role) in array.shape().iter().zip(roles).rev() {
            axes.push(match role {
                Role::Space(at) => Axis::Space(*at),
                Role::Time => Axis::Fixed(options.time.unwrap_or(0) as u64),
                Role::Channel => {
                    let n = (*n).max(1);
                    let at = rest % n;
                    rest /= n;
                    Axis::Fixed(at)
                }
            });
        }
        axes.reverse();
        let (part, shards) = (channel % n_parts, ArrayShardedReadableExtCache::new(&array));
        Ok(Self {
            array,
            stored,
            axes,
            shape,
            n_channels,
            n_times,
            is_label,
            part,
            shards,
            by_blocks: false,
            ignored: AtomicUsize::new(0),
        })
    }

    /// How many ids of -1 were read as 0 since this was asked last.
    pub(super) fn take_ignored(&self) -> usize {
        self.ignored.swap(0, Ordering::Relaxed)
    }

    /// The same read block by block, by many threads at once.
    pub(super) fn by_blocks(mut self) -> Self {
        self.by_blocks = true;
        self
    }

    /// The type that values are read as.
    pub(super) fn dtype(&self) -> Dtype {
        match self.stored {
            Stored::Same(dtype) => dtype,
            Stored::U64 | Stored::I64 if self.is_label => Dtype::U32,
            Stored::U64 | Stored::I64 | Stored::Complex64 => Dtype::F64,
            Stored::F16 | Stored::Complex32 => Dtype::F32,
            Stored::Bool => Dtype::U8,
        }
    }

    /// What reading changes of the values.
    pub(super) fn warning(&self) -> Option<String> {
        let what = match self.stored {
            Stored::U64 if self.is_label => "64-bit ids are read as 32-bit ones; larger ids are refused",
            Stored::I64 if self.is_label => {
                "64-bit ids are read as 32-bit ones, -1 as unlabelled (0); larger and other negative ids are refused"
            }
            Stored::U64 | Stored::I64 => "64-bit whole numbers are read as float64, exact up to 2^53",
            Stored::Complex32 | Stored::Complex64 => {
                "complex numbers are read as channels: the real part, then the imaginary part"
            }
            _ => return None,
        };
        Some(what.to_owned())
    }

    /// Sides of what is decoded at once, z, y, x.
    pub(super) fn block(&self) -> Result<[usize; 3], String> {
        Ok(self.along_space(&self.chunk()?))
    }

    /// Planes along z that are best read at once: those of the chunks inside shards.
    pub(super) fn slab(&self) -> Result<usize, String> {
        Ok(self.block()?[0].max(1))
    }

    fn along_space(&self, sides: &[u64]) -> [usize; 3] {
        let mut block = [1; 3];
        for (axis, side) in self.axes.iter().zip(sides) {
            if let Axis::Space(at) = axis {
                block[*at] = usize::try_from(*side).unwrap_or(usize::MAX).min(self.shape[*at]);
            }
        }
        block
    }

    /// Sides of what is decoded at once, along all axes.
    fn chunk(&self) -> Result<Vec<u64>, String> {
        let chunk = match self.array.effective_subchunk_shape() {
            Some(chunk) => chunk,
            None => self.array.chunk_shape(&vec![0; self.array.dimensionality()]).map_err(text)?,
        };
        Ok(chunk.iter().map(|side| side.get()).collect())
    }

    /// Refuses chunks above a limit: one chunk is the least that is decoded at once.
    pub(super) fn check_chunk(&self, limit: u64) -> Result<(), String> {
        let width = match self.stored {
            Stored::Same(dtype) => dtype.n_bytes() as u64,
            Stored::U64 | Stored::I64 | Stored::Complex32 => 8,
            Stored::Complex64 => 16,
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
            Stored::U64 if self.is_label => ids(self.read_as::<u64>(low, shape)?),
            Stored::I64 if self.is_label => {
                let mut found = self.read_as::<i64>(low, shape)?;
                let ignored = found.iter_mut().filter(|id| **id == -1);
                let n = ignored.map(|id| *id = 0).count();
                self.ignored.fetch_add(n, Ordering::Relaxed);
                ids(found)
            }
            Stored::U64 => Ok(AnyArray::F64(self.read_as::<u64>(low, shape)?.mapv(|v| v as f64))),
            Stored::I64 => Ok(AnyArray::F64(self.read_as::<i64>(low, shape)?.mapv(|v| v as f64))),
            Stored::F16 => Ok(AnyArray::F32(self.read_as::<half::f16>(low, shape)?.mapv(half::f16::to_f32))),
            Stored::Bool => Ok(AnyArray::U8(self.read_as::<bool>(low, shape)?.mapv(u8::from))),
            Stored::Complex32 => {
                let part = |v: Complex<f32>| if self.part == 0 { v.re } else { v.im };
                Ok(AnyArray::F32(self.read_as::<Complex<f32>>(low, shape)?.mapv(part)))
            }
            Stored::Complex64 => {
                let part = |v: Complex<f64>| if self.part == 0 { v.re } else { v.im };
                Ok(AnyArray::F64(self.read_as::<Complex<f64>>(low, shape)?.mapv(part)))
            }
        }
    }

    fn read_same<T: ElementOwned + FileVoxel>(
        &self,
        low: [usize; 3],
        shape: [usize; 3],
    ) -> Result<AnyArray, String> {
        if self.by_blocks {
            return Ok(T::wrap(self.read_as::<T>(low, shape)?));
        }
        let mut whole = T::unwrap(zeros(T::KIND, shape)).ok_or("values of another type")?;
        self.fill(low, whole.view_mut())?;
        Ok(T::wrap(whole))
    }

    /// Reads a box into its place, piece by piece, all threads at once.
    fn fill<T: ElementOwned + FileVoxel>(
        &self,
        low: [usize; 3],
        whole: ArrayViewMut3<'_, T>,
    ) -> Result<(), String> {
        let sides = self.piece(size_of::<T>())?;
        let mut pieces = vec![(low, whole)];
        for axis in 0..3 {
            pieces = pieces.into_iter().flat_map(|(at, view)| cut(at, view, axis, sides[axis])).collect();
        }
        pieces.into_par_iter().try_for_each(|(at, mut view)| {
            let (z, y, x) = view.dim();
            view.assign(&self.read_as::<T>(at, [z, y, x])?);
            Ok(())
        })
    }

    /// Sides of the pieces that are read at once: whole chunks, several where they are small.
    fn piece(&self, value_bytes: usize) -> Result<[usize; 3], String> {
        let mut sides = self.block()?.map(|side| side.max(1));
        for axis in (0..3).rev() {
            let bytes = sides.iter().fold(value_bytes, |n, side| n.saturating_mul(*side));
            let more = (PIECE_BYTES / bytes.max(1)).clamp(1, self.shape[axis].div_ceil(sides[axis]).max(1));
            sides[axis] *= more;
        }
        Ok(sides)
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
        // Pieces and blocks are read by several threads already.
        let options = CodecOptions::default().with_concurrent_target(1);
        let read: Result<ArrayD<T>, _> =
            self.array.retrieve_array_subset_sharded_opt(&self.shards, &subset, &options);
        self.arranged(read.map_err(damaged)?, shape)
    }

    /// Brings what was read along the axes of the array into the order z, y, x.
    fn arranged<T: Clone>(&self, mut read: ArrayD<T>, shape: [usize; 3]) -> Result<Array3<T>, String> {
        let mut spaces = Vec::new();
        for (i, axis) in self.axes.iter().enumerate().rev() {
            match axis {
                Axis::Fixed(_) => read = read.index_axis_move(NdAxis(i), 0),
                Axis::Space(at) => spaces.push(*at),
            }
        }
        spaces.reverse();
        for missing in (0..3).filter(|at| !self.axes.contains(&Axis::Space(*at))) {
            read = read.insert_axis(NdAxis(spaces.len()));
            spaces.push(missing);
        }
        let places: Vec<usize> =
            (0..3).map(|at| spaces.iter().position(|space| *space == at).unwrap_or(at)).collect();
        let array = read.permuted_axes(places).into_dimensionality::<Ix3>().map_err(text)?;
        if array.dim() != (shape[0], shape[1], shape[2]) {
            return Err(text(format!("{:?} voxels were read, expected {shape:?}", array.dim())));
        }
        Ok(if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() })
    }
}

/// Ids of 64 bits, where all of them fit 32.
fn ids<T: Copy + std::fmt::Display>(ids: Array3<T>) -> Result<AnyArray, String>
where
    u32: TryFrom<T>,
{
    let narrow = |id: T| u32::try_from(id).ok();
    if let Some(id) = ids.iter().find(|id| narrow(**id).is_none()) {
        return Err(format!(
            "the id {id} does not fit 32 bits; number the labels anew (skimage relabel_sequential)"
        ));
    }
    Ok(AnyArray::U32(ids.mapv(|id| narrow(id).unwrap_or_default())))
}

/// The type of the values of an array, as NumPy spells it; as Zarr does where it is not read.
pub(super) fn type_name<S: ?Sized>(array: &Array<S>) -> String {
    match stored_type(array) {
        Ok(Stored::Same(dtype)) => dtype.name().to_owned(),
        Ok(Stored::U64) => "uint64".to_owned(),
        Ok(Stored::I64) => "int64".to_owned(),
        Ok(Stored::F16) => "float16".to_owned(),
        Ok(Stored::Bool) => "bool".to_owned(),
        Ok(Stored::Complex32) => "complex64".to_owned(),
        Ok(Stored::Complex64) => "complex128".to_owned(),
        Err(_unread) => format!("{:?}", array.data_type()),
    }
}

/// How the values of an array are stored.
pub(super) fn stored_type<S: ?Sized>(array: &Array<S>) -> Result<Stored, String> {
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
        (data_type::complex64(), Stored::Complex32),
        (data_type::complex_float32(), Stored::Complex32),
        (data_type::complex128(), Stored::Complex64),
        (data_type::complex_float64(), Stored::Complex64),
    ];
    known
        .into_iter()
        .find(|(kind, _)| kind == found)
        .map(|(_, stored)| stored)
        .ok_or_else(|| format!("Zarr values of type {found:?} are not read"))
}
