//! Opens the levels of an OME-Zarr image for reading block by block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::store::open_store;
use super::stored::StoredArray;
use super::{axes, is_label, roles_of, tree};
use crate::base::MemoryBudget;
use crate::io::choice::ReadOptions;
use crate::io::error::{IoError, guarded};
use crate::volume::{AnyArray, BlockCache, BlockSource, Pyramid, PyramidLevel};

/// The least budget is this many of the largest blocks: some are decoded at once.
const BLOCKS_IN_BUDGET: u64 = 16;

/// The levels of an image.
struct Levels {
    path: PathBuf,
    arrays: Vec<StoredArray>,
}

impl std::fmt::Debug for Levels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Levels").field("path", &self.path).field("n", &self.arrays.len()).finish()
    }
}

impl BlockSource for Levels {
    fn read(&self, level: usize, low: [usize; 3], shape: [usize; 3]) -> Result<AnyArray, String> {
        let Some(at) = self.arrays.get(level) else { return Err(format!("there is no level {level}")) };
        guarded(&self.path, "Zarr", || at.read(low, shape)).map_err(|error| error.to_string())
    }

    fn value_bytes(&self) -> u64 {
        self.arrays.first().map_or(4, |at| at.dtype().n_bytes() as u64)
    }
}

/// Sides of the blocks of a level.
fn checked_block(array: &StoredArray, budget: MemoryBudget) -> Result<[usize; 3], String> {
    let limit = budget.bytes / BLOCKS_IN_BUDGET;
    array.check_chunk(limit)?;
    let block = array.block()?;
    let bytes = block.iter().try_fold(8u64, |n, side| n.checked_mul(*side as u64));
    if bytes.is_none_or(|bytes| bytes > limit) {
        return Err(format!(
            "Zarr chunks of {block:?} voxels do not fit the memory budget; store it in smaller chunks"
        ));
    }
    Ok(block)
}

/// Opens an OME-Zarr image by its levels; `working` chooses the working level by the shapes of all.
///
/// `None` where the image has only one level.
///
/// # Errors
/// [`IoError`] for a foreign or damaged hierarchy, and for blocks that do not fit the budget.
pub(crate) fn open_pyramid(
    path: &Path,
    options: &ReadOptions,
    working: impl Fn(&[[usize; 3]]) -> usize,
    cache: &Arc<BlockCache>,
    budget: MemoryBudget,
) -> Result<Option<Pyramid>, IoError> {
    guarded(path, "Zarr", || open(path, options, &working, cache, budget))
}

fn open(
    path: &Path,
    options: &ReadOptions,
    working: impl Fn(&[[usize; 3]]) -> usize,
    cache: &Arc<BlockCache>,
    budget: MemoryBudget,
) -> Result<Option<Pyramid>, String> {
    let found = tree::find(&open_store(path, budget.bytes)?, options)?;
    if found.levels.len() < 2 {
        return Ok(None);
    }
    let is_label = is_label(&found.attributes);
    let is_sized = found.levels.iter().all(|level| level.described.as_ref().is_some_and(|d| d.is_sized));
    let (mut levels, mut arrays): (Vec<PyramidLevel>, Vec<StoredArray>) = (Vec::new(), Vec::new());
    for level in found.levels {
        let (roles, _) = roles_of(&level)?;
        let described = level.described.as_ref().filter(|_| is_sized);
        let mut spacing = described.map(|d| axes::spacing(&d.dims));
        // Times or views that are read as planes are no coarser in a coarse level.
        let is_series =
            described.is_some_and(|d| d.dims.iter().zip(&roles).any(|(dim, role)| dim.role != *role));
        if let (true, Some((scale, _)), Some(finest)) = (is_series, &mut spacing, levels.first()) {
            scale[0] = finest.scale[0];
        }
        let array = StoredArray::new(level.array, &roles, options, is_label)?.by_blocks();
        let (shape, block) = (array.shape, checked_block(&array, budget)?);
        let (scale, offset) =
            spacing.unwrap_or_else(|| by_shape(levels.first().map_or(shape, |l| l.shape), shape));
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

/// Edges and place of a level that says none, in voxels of the finest: its voxels cover whole ones of the finest, and both
/// begin at the same corner.
fn by_shape(finest: [usize; 3], shape: [usize; 3]) -> ([f64; 3], [f64; 3]) {
    let factor = |at: usize| {
        let ratio = finest[at] as f64 / shape[at].max(1) as f64;
        let n = (finest[at] + shape[at] / 2).checked_div(shape[at]).unwrap_or(1).max(1);
        if finest[at].div_ceil(n) == shape[at] || finest[at] / n == shape[at] { n as f64 } else { ratio }
    };
    let scale: [f64; 3] = std::array::from_fn(factor);
    (scale, scale.map(|factor| (factor - 1.0) / 2.0))
}
