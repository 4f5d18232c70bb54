//! Opens the levels of an OME-Zarr image for reading block by block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array3, ArrayD};
use zarrs::array::{
    Array, ArrayShardedExt as _, ArrayShardedReadableExt as _, ArrayShardedReadableExtCache, ArraySubset,
    CodecOptions, ElementOwned,
};
use zarrs::filesystem::FilesystemStore;
use zarrs::group::Group;

use super::{Axis, Stored, check_chunk, damaged, layout, ome, stored_type, text};
use crate::base::MemoryBudget;
use crate::io::array::{Dtype, FileVoxel};
use crate::io::error::{IoError, guarded};
use crate::volume::{AnyArray, BlockCache, BlockSource, Pyramid, PyramidLevel};

/// The least budget is this many of the largest blocks: some are decoded at once.
const BLOCKS_IN_BUDGET: u64 = 16;

/// One level as it is stored.
struct LevelArray {
    array: Array<FilesystemStore>,
    stored: Stored,
    axes: Vec<Axis>,
    /// Where the chunks of each shard lie, once read.
    shards: ArrayShardedReadableExtCache,
}

/// The levels of an image.
struct Levels {
    path: PathBuf,
    arrays: Vec<LevelArray>,
}

impl std::fmt::Debug for Levels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Levels").field("path", &self.path).field("n", &self.arrays.len()).finish()
    }
}

impl BlockSource for Levels {
    fn read(&self, level: usize, low: [usize; 3], shape: [usize; 3]) -> Result<AnyArray, String> {
        let Some(at) = self.arrays.get(level) else { return Err(format!("there is no level {level}")) };
        guarded(&self.path, "Zarr", || at.read_any(low, shape)).map_err(|error| error.to_string())
    }

    fn value_bytes(&self) -> u64 {
        self.arrays.first().map_or(4, |at| match at.stored {
            Stored::Same(dtype) => dtype.n_bytes() as u64,
            Stored::U64 | Stored::I64 | Stored::F16 => 4,
            Stored::Bool => 1,
        })
    }
}

impl LevelArray {
    fn open(
        store: &Arc<FilesystemStore>,
        path: &str,
        names: &[String],
        budget: MemoryBudget,
    ) -> Result<(Self, [usize; 3], [usize; 3]), String> {
        let array = Array::open(Arc::clone(store), path).map_err(damaged)?;
        let stored = stored_type(&array)?;
        let (axes, shape, _) = layout(array.shape(), names, 0)?;
        let shards = ArrayShardedReadableExtCache::new(&array);
        let inner = array.effective_subchunk_shape();
        if inner.is_none() {
            check_chunk(&array, stored, budget.bytes / BLOCKS_IN_BUDGET)?;
        }
        let chunk = match inner {
            Some(chunk) => chunk,
            None => array.chunk_shape(&vec![0; array.dimensionality()]).map_err(text)?,
        };
        let mut block = [1; 3];
        for (axis, side) in axes.iter().zip(&chunk) {
            if let Axis::Space(at) = axis {
                block[*at] = usize::try_from(side.get()).unwrap_or(usize::MAX).min(shape[*at]);
            }
        }
        let bytes = block.iter().try_fold(8u64, |n, side| n.checked_mul(*side as u64));
        if bytes.is_none_or(|bytes| bytes > budget.bytes / BLOCKS_IN_BUDGET) {
            return Err(format!(
                "Zarr chunks of {chunk:?} values do not fit the memory budget; store it in smaller chunks"
            ));
        }
        Ok((Self { array, stored, axes, shards }, shape, block))
    }

    fn read_as<T: ElementOwned + Clone>(
        &self,
        low: [usize; 3],
        shape: [usize; 3],
    ) -> Result<Array3<T>, String> {
        let ranges: Vec<std::ops::Range<u64>> = self
            .axes
            .iter()
            .map(|axis| match axis {
                Axis::Fixed(at) => *at..*at + 1,
                Axis::Space(at) => low[*at] as u64..(low[*at] + shape[*at]) as u64,
            })
            .collect();
        let subset = ArraySubset::new_with_ranges(&ranges);
        // Blocks are read by several threads already.
        let options = CodecOptions::default().with_concurrent_target(1);
        let array: ArrayD<T> =
            self.array.retrieve_array_subset_sharded_opt(&self.shards, &subset, &options).map_err(damaged)?;
        array.as_standard_layout().into_owned().into_shape_with_order(shape).map_err(text)
    }

    fn read<T: ElementOwned + FileVoxel>(
        &self,
        low: [usize; 3],
        shape: [usize; 3],
    ) -> Result<AnyArray, String> {
        Ok(T::wrap(self.read_as::<T>(low, shape)?))
    }

    fn read_any(&self, low: [usize; 3], shape: [usize; 3]) -> Result<AnyArray, String> {
        match self.stored {
            Stored::Same(Dtype::U8) => self.read::<u8>(low, shape),
            Stored::Same(Dtype::I8) => self.read::<i8>(low, shape),
            Stored::Same(Dtype::U16) => self.read::<u16>(low, shape),
            Stored::Same(Dtype::I16) => self.read::<i16>(low, shape),
            Stored::Same(Dtype::U32) => self.read::<u32>(low, shape),
            Stored::Same(Dtype::I32) => self.read::<i32>(low, shape),
            Stored::Same(Dtype::F32) => self.read::<f32>(low, shape),
            Stored::Same(Dtype::F64) => self.read::<f64>(low, shape),
            Stored::U64 => Ok(AnyArray::F32(self.read_as::<u64>(low, shape)?.mapv(|v| v as f32))),
            Stored::I64 => Ok(AnyArray::F32(self.read_as::<i64>(low, shape)?.mapv(|v| v as f32))),
            Stored::F16 => Ok(AnyArray::F32(self.read_as::<half::f16>(low, shape)?.mapv(half::f16::to_f32))),
            Stored::Bool => Ok(AnyArray::U8(self.read_as::<bool>(low, shape)?.mapv(u8::from))),
        }
    }
}

/// Opens an OME-Zarr image by its levels; `working` chooses the working level by the shapes of all.
///
/// `None` where the image has only one level.
///
/// # Errors
/// [`IoError`] for a foreign or damaged hierarchy, and for blocks that do not fit the budget.
pub(crate) fn open_pyramid(
    path: &Path,
    working: impl Fn(&[[usize; 3]]) -> usize,
    cache: &Arc<BlockCache>,
    budget: MemoryBudget,
) -> Result<Option<Pyramid>, IoError> {
    guarded(path, "Zarr", || open(path, &working, cache, budget))
}

fn open(
    path: &Path,
    working: impl Fn(&[[usize; 3]]) -> usize,
    cache: &Arc<BlockCache>,
    budget: MemoryBudget,
) -> Result<Option<Pyramid>, String> {
    let store = Arc::new(FilesystemStore::new(path).map_err(text)?);
    let Ok(group) = Group::open(store.clone(), "/") else { return Ok(None) };
    let (mut base, mut found) = (String::new(), ome::levels(group.attributes()));
    if found.is_empty()
        && let Ok(first) = Group::open(store.clone(), "/0")
    {
        // The layout of bioformats2raw: images are numbered groups.
        "/0".clone_into(&mut base);
        found = ome::levels(first.attributes());
    }
    if found.len() < 2 {
        return Ok(None);
    }
    let (mut levels, mut arrays) = (Vec::new(), Vec::new());
    for level in &found {
        let (array, shape, block) =
            LevelArray::open(&store, &format!("{base}/{}", level.path), &level.axes, budget)?;
        let (scale, offset) = level.spacing();
        levels.push(PyramidLevel { shape, block, scale, offset });
        arrays.push(array);
    }
    let shapes: Vec<[usize; 3]> = levels.iter().map(|level| level.shape).collect();
    let working = working(&shapes);
    if working >= levels.len() {
        return Err(format!("there is no level {working}, only 0 to {}", levels.len() - 1));
    }
    let source = Box::new(Levels { path: path.to_owned(), arrays });
    let wrong = || "the levels of the pyramid have no voxels, or no size".to_owned();
    Pyramid::new(levels, working, source, Arc::clone(cache)).map(Some).ok_or_else(wrong)
}
