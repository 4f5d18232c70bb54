//! One volume filled by any number of processes, each its own range of detector rows.
//!
//! The array is created once, whoever comes first; a shard spans all of z and x and
//! [`ROWS_PER_SHARD`] rows of y. Ranges that begin and end on multiples of that never share a
//! file with another process. Other ranges work too: the shard they share is rewritten under a
//! lock of the file system, one process after the other.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayView3, s};
use zarrs::array::{Array, ArraySubset, Element};

use super::store::FolderStore;
use super::write::{ArrayPlan, dtype_of, image_name, write_group};
use super::{codecs, ome, text};
use crate::base::Progress;
use crate::io::array::{Dtype, FileVoxel, with_view};
use crate::io::atomic::create_folder_once;
use crate::io::error::{IoError, guarded};
use crate::io::format::WriteRequest;

/// Rows of y in one shard.
pub const ROWS_PER_SHARD: usize = 8;
/// Edge of a chunk along z and x.
const CHUNK_ZX: usize = 64;

/// A volume that is being filled: what must be the same for everybody who writes into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsTarget {
    /// The .zarr folder.
    pub path: PathBuf,
    /// Shape of the whole volume as z, y, x.
    pub shape: [usize; 3],
}

/// Creates the volume of `shape`, or finds the one that another process created.
///
/// `request` says type, frame and unit; its array may be any part of the volume. Voxels that
/// nobody has written read as NaN (as 0 in whole-number types).
///
/// # Errors
/// [`IoError`] where the folder cannot be created, or where a volume of another shape or type is there.
pub fn create_rows(
    path: &Path,
    shape: [usize; 3],
    request: &WriteRequest<'_>,
) -> Result<RowsTarget, IoError> {
    let dtype = dtype_of(&request.array);
    let target = RowsTarget { path: path.to_owned(), shape };
    if !path.exists() {
        create_folder_once(path, |temporary| {
            let store = FolderStore::create(temporary)?;
            let build = || {
                write_group(&store, "/", ome::attributes(request, &image_name(path), 1, None))?;
                plan(dtype, shape).create(&store, "/0").map(drop)
            };
            build().map_err(|e| IoError::content(path, e))
        })?;
    }
    if path.join("1").exists() {
        let problem = "a finished volume with a pyramid is there already; choose another name or delete it";
        return Err(IoError::content(path, problem));
    }
    let array = open(path)?;
    let found: Vec<u64> = shape.iter().map(|n| *n as u64).collect();
    let same_type = plan_type(&array) == dtype.name();
    if array.shape() != found || !same_type {
        let problem = format!(
            "a volume of {:?} {} is there already, these rows are of {shape:?} {}; choose another name or delete it",
            array.shape(),
            plan_type(&array),
            dtype.name()
        );
        return Err(IoError::content(path, problem));
    }
    Ok(target)
}

fn plan_type(array: &Array<FolderStore>) -> &'static str {
    match super::stored::stored_type(array) {
        Ok(super::stored::Stored::Same(dtype)) => dtype.name(),
        _ => "another type",
    }
}

fn plan(dtype: Dtype, [nz, ny, nx]: [usize; 3]) -> ArrayPlan {
    let rows = ROWS_PER_SHARD.min(ny.max(1));
    let chunk = [nz.clamp(1, CHUNK_ZX), rows, nx.clamp(1, CHUNK_ZX)];
    let whole = |n: usize, chunk: usize| n.div_ceil(chunk).max(1) * chunk;
    ArrayPlan {
        dtype,
        shape: [nz, ny, nx],
        chunk,
        shard: [whole(nz, chunk[0]), rows, whole(nx, chunk[2])],
        nan_fill: true,
    }
}

fn open(path: &Path) -> Result<Array<FolderStore>, IoError> {
    guarded(path, "Zarr", || {
        codecs::register();
        let store = Arc::new(FolderStore::open(path, u64::MAX)?);
        Array::open(store, "/0").map_err(text)
    })
}

/// Writes rows `rows` of y: `request.array` has their shape (z, rows, x).
///
/// # Errors
/// [`IoError`] where the rows do not fit the volume or cannot be written.
pub fn write_rows(
    target: &RowsTarget,
    rows: Range<usize>,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<(), IoError> {
    let [nz, ny, nx] = target.shape;
    let found = request.array.shape();
    if rows.end > ny || rows.is_empty() || found != [nz, rows.len(), nx] {
        return Err(IoError::content(
            &target.path,
            format!(
                "rows {}..{} of shape {found:?} do not fit a volume of {nz} × {ny} × {nx}",
                rows.start, rows.end
            ),
        ));
    }
    let array = open(&target.path)?;
    with_view!(&request.array, view => write_view(target, &array, rows, view, progress))
}

fn write_view<T: Element + FileVoxel>(
    target: &RowsTarget,
    array: &Array<FolderStore>,
    rows: Range<usize>,
    view: &ArrayView3<'_, T>,
    progress: &Progress,
) -> Result<(), IoError> {
    let [nz, ny, nx] = target.shape;
    progress.phase("Writing", rows.len() as u64);
    let mut at = rows.start;
    while at < rows.end {
        progress.check()?;
        let shard_start = at / ROWS_PER_SHARD * ROWS_PER_SHARD;
        let shard_end = ny.min(shard_start + ROWS_PER_SHARD);
        let end = rows.end.min(shard_end);
        // Only a shard that others may write to as well needs the lock.
        let is_whole = at == shard_start && end == shard_end;
        let lock = if is_whole { None } else { Some(lock(&target.path)?) };
        let part = view.slice(s![.., at - rows.start..end - rows.start, ..]).to_owned();
        let subset = ArraySubset::new_with_ranges(&[0..nz as u64, at as u64..end as u64, 0..nx as u64]);
        array
            .store_array_subset(&subset, part.into_dyn())
            .map_err(|e| IoError::content(&target.path, text(e)))?;
        drop(lock);
        progress.advance((end - at) as u64);
        at = end;
    }
    Ok(())
}

/// Waits for the lock of a volume; it is released when the file is closed, also by a crash.
fn lock(path: &Path) -> Result<File, IoError> {
    let name = path.join(".rows.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|e| IoError::system("create", &name, e))?;
    file.lock().map_err(|e| IoError::system("lock", &name, e))?;
    Ok(file)
}
