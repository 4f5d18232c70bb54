//! Levels of a file that has none: every second, fourth, eighth … voxel, picked as it is read.
//!
//! A coarse level of such a file costs a part of its bytes and no copy on the disk, so that a picture of a file of any
//! size is there at once. Its voxels are voxels of the file, not means: they are as noisy as those, and labels stay labels.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::Slice;

use super::array::{put_planes, zeros};
use super::choice::ReadOptions;
use super::error::IoError;
use super::format::{Header, Source, open};
use crate::base::MemoryBudget;
use crate::volume::any::Voxel;
use crate::volume::{AnyArray, BlockCache, BlockSource, Pyramid, PyramidLevel};
use crate::with_array;

/// The coarsest level has at most this many voxels along each side.
const COARSEST: usize = 128;
/// About how many bytes a block has: some milliseconds of reading.
const BLOCK_BYTES: usize = 1 << 20;

/// A file read by picked voxels; every thread that reads has the file open once.
struct Flat {
    path: PathBuf,
    options: ReadOptions,
    budget: MemoryBudget,
    header: Header,
    levels: Vec<PyramidLevel>,
    idle: Mutex<Vec<Box<dyn Source>>>,
}

impl fmt::Debug for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flat")
            .field("path", &self.path)
            .field("n_levels", &self.levels.len())
            .finish_non_exhaustive()
    }
}

/// First voxel and distance of the voxels that a level picks along each axis.
fn picks(level: usize) -> (usize, usize) {
    let step = 1 << level;
    // The middle of what a picked voxel stands for, so that levels lie on each other.
    (step / 2, step)
}

/// The levels of an array of `shape`; `by_rows` tells whether a part of a plane can be read without the rest.
fn levels_of(header: &Header, by_rows: bool) -> Vec<PyramidLevel> {
    let [z, y, x] = header.shape;
    let mut levels = Vec::new();
    for level in 0.. {
        let (first, step) = picks(level);
        let n = |side: usize| side.saturating_sub(first.min(side - 1)).div_ceil(step).max(1);
        let shape = [n(z), n(y), n(x)];
        let row_bytes = (shape[2] * header.dtype.n_bytes()).max(1);
        let rows = if by_rows { shape[1].min(64) } else { shape[1] };
        let slabs =
            (BLOCK_BYTES / (row_bytes * rows).max(1) / header.slab.max(1)).max(1) * header.slab.max(1);
        let planes =
            if level == 0 { slabs } else { BLOCK_BYTES / (row_bytes * rows).max(1) }.clamp(1, shape[0]);
        levels.push(PyramidLevel {
            shape,
            block: [planes, rows, shape[2]],
            scale: [step as f64; 3],
            // An axis that is shorter than a step has its one voxel at its end.
            offset: [z, y, x].map(|side| first.min(side - 1) as f64),
        });
        if shape.iter().all(|side| *side <= COARSEST) {
            break;
        }
    }
    levels
}

/// Opens a file by levels that are picked from it; `working` chooses the level that is held by the shapes of all.
///
/// `None` where no plane can be read without the whole array.
///
/// # Errors
/// As [`open`].
pub(super) fn open_flat(
    path: &Path,
    options: &ReadOptions,
    working: impl Fn(&[[usize; 3]]) -> usize,
    cache: &Arc<BlockCache>,
    budget: MemoryBudget,
) -> Result<Option<Pyramid>, IoError> {
    let source = open(path, options, budget)?;
    if !source.reads_planes() {
        return Ok(None);
    }
    let header = source.header().clone();
    let levels = levels_of(&header, source.reads_rows());
    let shapes: Vec<[usize; 3]> = levels.iter().map(|level| level.shape).collect();
    let working = working(&shapes);
    if working >= levels.len() {
        let problem = format!("there is no level {working}, only 0 to {}", levels.len() - 1);
        return Err(IoError::content(path, problem));
    }
    let flat = Flat {
        path: path.to_owned(),
        options: options.clone(),
        budget,
        header,
        levels: levels.clone(),
        idle: Mutex::new(vec![source]),
    };
    Ok(Pyramid::new(levels, working, Box::new(flat), Arc::clone(cache)))
}

impl BlockSource for Flat {
    fn read(&self, level: usize, low: [usize; 3], shape: [usize; 3]) -> Result<AnyArray, String> {
        if self.levels.get(level).is_none() {
            return Err(format!("there is no level {level}"));
        }
        let mut source = self.take().map_err(|error| error.to_string())?;
        let read = self.read_with(source.as_mut(), level, low, shape).map_err(|error| error.to_string());
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(source);
        read
    }

    fn value_bytes(&self) -> u64 {
        self.header.dtype.n_bytes() as u64
    }
}

impl Flat {
    /// A source that no other thread reads with.
    fn take(&self) -> Result<Box<dyn Source>, IoError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let source = idle.map_or_else(|| open(&self.path, &self.options, self.budget), Ok)?;
        if source.header().shape == self.header.shape && source.header().dtype == self.header.dtype {
            return Ok(source);
        }
        Err(IoError::content(&self.path, "the file has another shape than when it was opened; open it again"))
    }

    fn read_with(
        &self,
        source: &mut dyn Source,
        level: usize,
        low: [usize; 3],
        shape: [usize; 3],
    ) -> Result<AnyArray, IoError> {
        let (first, step) = picks(level);
        let at = |axis: usize, i: usize| (first + (low[axis] + i) * step).min(self.header.shape[axis] - 1);
        let (rows, cols) = (at(1, 0)..at(1, shape[1] - 1) + 1, at(2, 0)..at(2, shape[2] - 1) + 1);
        if step == 1 {
            let planes = source.read_rows(low[0]..low[0] + shape[0], rows)?;
            return Ok(picked(&planes, 1, 1, cols));
        }
        let mut whole = zeros(self.header.dtype, shape);
        for z in 0..shape[0] {
            let plane = at(0, z)..at(0, z) + 1;
            let picked = if source.reads_rows() {
                let mut plane_of = zeros(self.header.dtype, [shape[1], 1, shape[2]]);
                for y in 0..shape[1] {
                    let row = source.read_rows(plane.clone(), at(1, y)..at(1, y) + 1)?;
                    put_planes(&mut plane_of, y, &picked(&row, 1, step, cols.clone()));
                }
                with_array!(plane_of, rows => Voxel::wrap(rows.permuted_axes([1, 0, 2]).as_standard_layout().into_owned()))
            } else {
                picked(&source.read_rows(plane, rows.clone())?, step, step, cols.clone())
            };
            if !put_planes(&mut whole, z, &picked) {
                let problem = format!("plane {} has {:?} voxels", at(0, z), picked.shape());
                return Err(IoError::content(&self.path, problem));
            }
        }
        Ok(whole)
    }
}

/// Every `rows`-th row and every `step`-th voxel of the columns `cols`.
fn picked(planes: &AnyArray, rows: usize, step: usize, cols: std::ops::Range<usize>) -> AnyArray {
    let by = |n: usize| isize::try_from(n).unwrap_or(1);
    with_array!(planes, array => {
        let view = array.slice_axis(ndarray::Axis(1), Slice::new(0, None, by(rows)));
        let end = Some(by(cols.end));
        Voxel::wrap(view.slice_axis(ndarray::Axis(2), Slice::new(by(cols.start), end, by(step))).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::base::Progress;
    use crate::io::{WriteRequest, write_array};

    fn budget() -> MemoryBudget {
        MemoryBudget::from_gib(0.5)
    }

    #[test]
    fn levels_of_flat_files_hold_their_voxels_in_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let data = Array3::from_shape_fn((37, 300, 259), |(z, y, x)| (z * 1000 + y * 3 + x) as f32);
        for name in ["a.mrc", "a.npy", "a.tif", "a.h5"] {
            let path = folder.path().join(name);
            write_array(&path, &WriteRequest::new(&data), &Progress::new()).unwrap();
            let cache = Arc::new(BlockCache::new(1 << 24));
            let options = ReadOptions::default();
            let pyramid = open_flat(&path, &options, |_| 1, &cache, budget()).unwrap().unwrap();
            assert_eq!(
                pyramid.levels().iter().map(|l| l.shape).collect::<Vec<_>>()[..2],
                [[37, 300, 259], [18, 150, 129]]
            );
            for (level, at) in pyramid.levels().iter().enumerate() {
                let AnyArray::F32(found) = pyramid.read_box(level, [0; 3], at.shape).unwrap() else {
                    panic!("another type")
                };
                for ((z, y, x), value) in found.indexed_iter() {
                    let place: [usize; 3] =
                        std::array::from_fn(|a| (at.offset[a] + at.scale[a] * [z, y, x][a] as f64) as usize);
                    assert_eq!(*value, data[place], "{name} level {level} {z} {y} {x}");
                }
                let block = pyramid.read_box(level, [1, 2, 3], [2, 1, 5]).unwrap();
                let AnyArray::F32(block) = block else { panic!("another type") };
                assert_eq!(block, found.slice(ndarray::s![1..3, 2..3, 3..8]));
            }
        }
    }
}
