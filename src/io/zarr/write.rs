//! Writes images and labels as OME-Zarr 0.5 with a pyramid.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array3, ArrayView1, ArrayView3, ArrayViewMut3, s};
use rayon::prelude::*;
use serde_json::{Map, Value};
use zarrs::array::codec::{BloscCodec, BloscCompressionLevel, BloscCompressor, BloscShuffleMode};
use zarrs::array::{Array, ArrayBuilder, DataType, data_type};
use zarrs::group::GroupBuilder;

use super::shard::Shard;
use super::store::FolderStore;
use super::{ome, text};
use crate::base::Progress;
use crate::io::array::{ArrayRef, Dtype, FileVoxel, with_view};
use crate::io::atomic::{is_zarr_folder, write_atomically};
use crate::io::error::IoError;
use crate::io::format::WriteRequest;

/// Edge of a chunk, the unit of compression and of reading.
const CHUNK: usize = 64;
/// Chunks along an edge of a shard, the unit of a file.
const CHUNKS_PER_SHARD: usize = 4;
/// Bytes of a layer of shards that is written at once.
const LAYER_BYTES: usize = 512 << 20;
/// Level of zstd inside Blosc: with the bytes of values sorted by their place (shuffle) the lowest packs noisy greys better
/// than level 3 without, at two to four times its speed.
const LEVEL: u8 = 1;

/// What is written: axes, shape and shape of chunks and shards of one array.
pub(super) struct ArrayPlan {
    pub(super) dtype: Dtype,
    pub(super) shape: [usize; 3],
    pub(super) chunk: [usize; 3],
    pub(super) shard: [usize; 3],
    /// Whether voxels never written read as NaN rather than 0, where the type has NaN.
    pub(super) nan_fill: bool,
}

impl ArrayPlan {
    /// Chunks of at most 64³ in shards of at most 256³, less deep where a layer of them would not fit well into memory.
    fn cubic(dtype: Dtype, shape: [usize; 3]) -> Self {
        let chunk = shape.map(|n| n.clamp(1, CHUNK));
        let mut shard: [usize; 3] =
            std::array::from_fn(|i| chunk[i] * shape[i].div_ceil(chunk[i]).clamp(1, CHUNKS_PER_SHARD));
        let plane_bytes = shape[1].saturating_mul(shape[2]).saturating_mul(dtype.n_bytes());
        while shard[0] > chunk[0] && shard[0].saturating_mul(plane_bytes) > LAYER_BYTES {
            shard[0] -= chunk[0];
        }
        Self { dtype, shape, chunk, shard, nan_fill: false }
    }

    /// Creates the array (its metadata) at `path` of a store.
    pub(super) fn create(&self, store: &Arc<FolderStore>, path: &str) -> Result<Array<FolderStore>, String> {
        let wide = |sides: [usize; 3]| sides.map(|n| n as u64).to_vec();
        let (kind, fill): (DataType, zarrs::array::FillValue) = match (self.dtype, self.nan_fill) {
            (Dtype::U8, _) => (data_type::uint8(), 0u8.into()),
            (Dtype::I8, _) => (data_type::int8(), 0i8.into()),
            (Dtype::U16, _) => (data_type::uint16(), 0u16.into()),
            (Dtype::I16, _) => (data_type::int16(), 0i16.into()),
            (Dtype::U32, _) => (data_type::uint32(), 0u32.into()),
            (Dtype::I32, _) => (data_type::int32(), 0i32.into()),
            (Dtype::F32, nan) => (data_type::float32(), if nan { f32::NAN } else { 0.0 }.into()),
            (Dtype::F64, nan) => (data_type::float64(), if nan { f64::NAN } else { 0.0 }.into()),
        };
        let mut builder = ArrayBuilder::new(wide(self.shape), wide(self.shard), kind, fill);
        builder
            .subchunk_shape(wide(self.chunk))
            .bytes_to_bytes_codecs(vec![Arc::new(blosc(self.dtype)?)])
            .dimension_names(["z", "y", "x"].into());
        let array = builder.build(store.clone(), path).map_err(text)?;
        array.store_metadata().map_err(text)?;
        Ok(array)
    }
}

/// How chunks are packed.
fn blosc(dtype: Dtype) -> Result<BloscCodec, String> {
    let level =
        BloscCompressionLevel::try_from(LEVEL).map_err(|level| text(format!("level {level} of Blosc")))?;
    BloscCodec::new(BloscCompressor::Zstd, level, None, BloscShuffleMode::Shuffle, Some(dtype.n_bytes()))
        .map_err(text)
}

/// Writes the metadata of a group.
pub(super) fn write_group(
    store: &Arc<FolderStore>,
    path: &str,
    attributes: Map<String, Value>,
) -> Result<(), String> {
    let mut group = GroupBuilder::new().build(store.clone(), path).map_err(text)?;
    *group.attributes_mut() = attributes;
    group.store_metadata().map_err(text)
}

/// Number of levels until the coarsest fits one chunk.
fn n_levels(shape: [usize; 3]) -> usize {
    let mut longest = shape.into_iter().max().unwrap_or(1);
    let mut n = 1;
    while longest > CHUNK {
        longest = longest.div_ceil(2);
        n += 1;
    }
    n
}

/// Writes an image whose planes come one layer after the other; `request` says everything but the values.
///
/// `next` fills a view with the planes that it is asked for; reading goes on while the layer before is compressed. Two
/// layers of shards are in memory at once.
pub(super) fn write_planes<T: FileVoxel>(
    path: &Path,
    shape: [usize; 3],
    request: &WriteRequest<'_>,
    progress: &Progress,
    mut next: impl FnMut(std::ops::Range<usize>, ArrayViewMut3<'_, T>) -> Result<(), IoError> + Send,
) -> Result<(), IoError> {
    let store = FolderStore::create(path)?;
    let (n_levels, is_label) = (n_levels(shape), request.keeps_ids());
    let attributes = ome::attributes(request, &image_name(path), n_levels, None);
    write_group(&store, "/", attributes).map_err(|problem| IoError::content(path, problem))?;
    let mut levels = Levels::<T>::create(&store, path, "", shape, (n_levels, is_label))?;
    let [n_planes, rows, cols] = shape;
    let depth = levels.n_planes_at_once().min(n_planes);
    progress.phase("Converting", n_planes as u64);
    let empty = || Array3::from_elem((depth, rows, cols), bytemuck::Zeroable::zeroed());
    let (mut now, mut coming): (Array3<T>, Array3<T>) = (empty(), empty());
    next(0..depth, now.view_mut())?;
    let mut planes = 0..depth;
    while !planes.is_empty() {
        progress.check()?;
        let ahead = planes.end..(planes.end + depth).min(n_planes);
        let into = coming.slice_mut(s![..ahead.len(), .., ..]);
        let (read, written) = rayon::join(
            || if ahead.is_empty() { Ok(()) } else { next(ahead.clone(), into) },
            || levels.push(&now.slice(s![..planes.len(), .., ..]), progress),
        );
        written?;
        read?;
        std::mem::swap(&mut now, &mut coming);
        planes = ahead;
    }
    levels.finish(progress)
}

/// Bytes that [`write_planes`] holds at once, about: two layers of shards, packed chunks and what the coarser levels wait for.
pub(super) fn bytes_of_writing(dtype: Dtype, shape: [usize; 3]) -> u64 {
    let depth = ArrayPlan::cubic(dtype, shape).shard[0].min(shape[0]);
    let sides = [depth, shape[1], shape[2], dtype.n_bytes()];
    let layer = sides.iter().fold(1u64, |bytes, n| bytes.saturating_mul(*n as u64));
    layer.saturating_mul(7) / 2
}

/// Writes an image or a label image as the root of a hierarchy under `path`.
pub(super) fn write_image(
    path: &Path,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let store = FolderStore::create(path)?;
    write_at(&store, path, "", request, (None, n_levels(request.array.shape())), progress)?;
    Ok(Vec::new())
}

/// Adds a label image `labels/NAME` to an existing OME-Zarr image; replaces one of the same name.
///
/// # Errors
/// [`IoError`] where `image` is no OME-Zarr image of this program's layout or cannot be written.
pub fn write_labels_into(
    image: &Path,
    name: &str,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<(), IoError> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_ ".contains(c));
    let levels = levels_of(image).filter(|_| plain);
    let levels_of_parent = levels.ok_or_else(|| {
        let problem = format!(
            "labels \"{name}\" need a plain name and an OME-Zarr image of version 0.5 to lie in; convert the image first"
        );
        IoError::content(image, problem)
    })?;
    let folder = image.join("labels");
    let store = FolderStore::create(&folder)?;
    write_atomically(&folder.join(name), |temporary| {
        let store = FolderStore::create(temporary)?;
        write_at(&store, temporary, "", request, (Some("../../"), levels_of_parent), progress)
    })?;
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .map_err(|e| IoError::system("read", &folder, e))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && folder.join(name).is_dir())
        .collect();
    names.sort();
    let attributes = [("ome".to_owned(), serde_json::json!({"version": "0.5", "labels": names}))];
    write_group(&store, "/", attributes.into_iter().collect()).map_err(|e| IoError::content(&folder, e))
}

/// Levels of an OME-Zarr image of version 0.5 or later; `None` where there is none.
fn levels_of(image: &Path) -> Option<usize> {
    let bytes = std::fs::read(image.join("zarr.json")).ok()?;
    let Value::Object(fields) = serde_json::from_slice(&bytes).ok()? else { return None };
    let attributes = fields.get("attributes")?.as_object()?;
    let n = super::image::paths(super::image::multiscales(attributes).first()?).len();
    (n > 0).then_some(n)
}

/// The image and the name of a label image at `IMAGE/labels/NAME`; `None` for any other path.
pub(crate) fn label_place(path: &Path) -> Option<(PathBuf, String)> {
    let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
    let image = folder.parent()?;
    (folder.file_name()? == "labels" && is_zarr_folder(image)).then(|| (image.to_owned(), name.to_owned()))
}

/// Name of the image: that of the folder, which may still be a temporary one (`.NAME.zarr.1-2.part`).
pub(super) fn image_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.trim_start_matches('.');
    let end = name.find(".zarr").or_else(|| name.find('.')).unwrap_or(name.len());
    name[..end].to_owned()
}

fn write_at(
    store: &Arc<FolderStore>,
    path: &Path,
    base: &str,
    request: &WriteRequest<'_>,
    (label_source, n_levels): (Option<&str>, usize),
    progress: &Progress,
) -> Result<(), IoError> {
    let content = |problem: String| IoError::content(path, problem);
    let attributes = ome::attributes(request, &image_name(path), n_levels, label_source);
    let root = if base.is_empty() { "/" } else { base };
    write_group(store, root, attributes).map_err(content)?;
    let is_label = request.keeps_ids();
    with_view!(&request.array, view => {
        write_levels(store, path, base, view, (n_levels, is_label), progress)
    })
}

/// Writes the levels of a view.
fn write_levels<T: FileVoxel>(
    store: &Arc<FolderStore>,
    path: &Path,
    base: &str,
    finest: &ArrayView3<'_, T>,
    (n_levels, is_label): (usize, bool),
    progress: &Progress,
) -> Result<(), IoError> {
    let (z, y, x) = finest.dim();
    let mut levels = Levels::<T>::create(store, path, base, [z, y, x], (n_levels, is_label))?;
    progress.phase("Writing", z as u64);
    levels.push(finest, progress)?;
    levels.finish(progress)
}

/// Levels of a pyramid that are written while the planes of the finest come, each level a few planes at a time.
pub(super) struct Levels<T> {
    path: PathBuf,
    is_label: bool,
    /// The finest first.
    levels: Vec<LevelWriter<T>>,
}

/// One level that is being written.
struct LevelWriter<T> {
    array: Array<FolderStore>,
    store: Arc<FolderStore>,
    shape: [usize; 3],
    shard: [usize; 3],
    chunk: [usize; 3],
    /// Planes of one layer of shards; empty until planes come that do not fill one.
    buffer: Array3<T>,
    n_buffered: usize,
    /// The first plane that is not written.
    next_z: usize,
}

impl<T: FileVoxel> Levels<T> {
    /// Creates the arrays `BASE/0`, `BASE/1` and so on for `shape_zyx` voxels.
    pub(super) fn create(
        store: &Arc<FolderStore>,
        path: &Path,
        base: &str,
        shape_zyx: [usize; 3],
        (n_levels, is_label): (usize, bool),
    ) -> Result<Self, IoError> {
        let mut shape = shape_zyx;
        let mut levels = Vec::new();
        for level in 0..n_levels {
            let plan = ArrayPlan::cubic(T::KIND, shape);
            let array =
                plan.create(store, &format!("{base}/{level}")).map_err(|e| IoError::content(path, e))?;
            levels.push(LevelWriter {
                array,
                store: Arc::clone(store),
                shape,
                shard: plan.shard,
                chunk: plan.chunk,
                buffer: Array3::from_elem((0, 0, 0), bytemuck::Zeroable::zeroed()),
                n_buffered: 0,
                next_z: 0,
            });
            shape = shape.map(|n| n.div_ceil(2));
        }
        Ok(Self { path: path.to_owned(), is_label, levels })
    }

    /// Planes that are best pushed at once.
    pub(super) fn n_planes_at_once(&self) -> usize {
        self.levels.first().map_or(1, |level| level.shard[0])
    }

    /// Takes the next planes of the finest level and advances by their number.
    pub(super) fn push(&mut self, planes: &ArrayView3<'_, T>, progress: &Progress) -> Result<(), IoError> {
        push(&mut self.levels, planes, (&self.path, self.is_label), progress, true)
    }

    /// Writes what is left; every plane must have come.
    pub(super) fn finish(mut self, progress: &Progress) -> Result<(), IoError> {
        for level in 0..self.levels.len() {
            let Some((writer, coarser)) = self.levels[level..].split_first_mut() else { break };
            let n = writer.n_buffered;
            if n > 0 {
                let buffer = std::mem::replace(
                    &mut writer.buffer,
                    Array3::from_elem((0, 0, 0), bytemuck::Zeroable::zeroed()),
                );
                let rest = buffer.slice(s![..n, .., ..]);
                flush(writer, coarser, &rest, (&self.path, self.is_label), progress, level == 0)?;
                writer.n_buffered = 0;
            }
            if writer.next_z != writer.shape[0] {
                let problem = format!("{} planes of {} came", writer.next_z, writer.shape[0]);
                return Err(IoError::content(&self.path, problem));
            }
        }
        Ok(())
    }
}

/// Hands planes to the first of `levels`, layer of shards by layer of shards.
fn push<T: FileVoxel>(
    levels: &mut [LevelWriter<T>],
    planes: &ArrayView3<'_, T>,
    (path, is_label): (&Path, bool),
    progress: &Progress,
    is_finest: bool,
) -> Result<(), IoError> {
    let Some((writer, coarser)) = levels.split_first_mut() else { return Ok(()) };
    let (depth, [_, ny, nx]) = (writer.shard[0], writer.shape);
    let mut from = 0;
    while from < planes.dim().0 {
        let left = planes.dim().0 - from;
        if writer.n_buffered == 0 && left >= depth {
            let layer = planes.slice(s![from..from + depth, .., ..]);
            flush(writer, coarser, &layer, (path, is_label), progress, is_finest)?;
            from += depth;
            continue;
        }
        if writer.buffer.is_empty() {
            writer.buffer = Array3::from_elem((depth, ny, nx), bytemuck::Zeroable::zeroed());
        }
        let n = left.min(depth - writer.n_buffered);
        let to = writer.n_buffered..writer.n_buffered + n;
        writer.buffer.slice_mut(s![to, .., ..]).assign(&planes.slice(s![from..from + n, .., ..]));
        writer.n_buffered += n;
        from += n;
        if writer.n_buffered == depth {
            let buffer = std::mem::replace(
                &mut writer.buffer,
                Array3::from_elem((0, 0, 0), bytemuck::Zeroable::zeroed()),
            );
            flush(writer, coarser, &buffer.view(), (path, is_label), progress, is_finest)?;
            (writer.buffer, writer.n_buffered) = (buffer, 0);
        }
    }
    Ok(())
}

/// Stores a layer of shards, all at once, and hands its halves to the coarser levels.
fn flush<T: FileVoxel>(
    writer: &mut LevelWriter<T>,
    coarser: &mut [LevelWriter<T>],
    layer: &ArrayView3<'_, T>,
    (path, is_label): (&Path, bool),
    progress: &Progress,
    is_finest: bool,
) -> Result<(), IoError> {
    let (nz, ny, nx) = layer.dim();
    let steps = |n: usize, step: usize| (0..n).step_by(step).map(move |at| at..n.min(at + step));
    let parts: Vec<_> = steps(ny, writer.shard[1])
        .flat_map(|y| steps(nx, writer.shard[2]).map(move |x| (y.clone(), x)))
        .collect();
    let (array, store, shard, chunk) = (&writer.array, &writer.store, writer.shard, writer.chunk);
    let codec = blosc(T::KIND).map_err(|problem| IoError::content(path, problem))?;
    let z = writer.next_z / shard[0];
    parts.into_par_iter().try_for_each(|(y, x)| {
        progress.check()?;
        let key = array.chunk_key(&[z, y.start / shard[1], x.start / shard[2]].map(|n| n as u64));
        let packed = Shard::pack(&layer.slice(s![.., y, x]), chunk, shard, &codec);
        match packed.map_err(|problem| IoError::content(path, problem))? {
            Some(packed) => {
                store.set_parts(&key, &packed.parts()).map_err(|e| IoError::content(path, text(e)))
            }
            None => Ok(()),
        }
    })?;
    writer.next_z += nz;
    if is_finest {
        progress.advance(nz as u64);
    }
    if coarser.is_empty() {
        return Ok(());
    }
    let half = halved(layer, is_label, progress)?;
    push(coarser, &half.view(), (path, is_label), progress, false)
}

/// An array of half the size: the mean of up to 2³ voxels, or the most frequent id for labels (the smallest of equals).
fn halved<T: FileVoxel>(
    fine: &ArrayView3<'_, T>,
    is_label: bool,
    progress: &Progress,
) -> Result<Array3<T>, IoError> {
    let (nz, ny, nx) = fine.dim();
    let zero: T = bytemuck::Zeroable::zeroed();
    let mut coarse = Array3::from_elem((nz.div_ceil(2), ny.div_ceil(2), nx.div_ceil(2)), zero);
    coarse.outer_iter_mut().into_par_iter().enumerate().try_for_each(|(z, mut plane)| {
        progress.check()?;
        let mut sums = vec![0.0; plane.dim().1];
        for (y, mut to) in plane.outer_iter_mut().enumerate() {
            let pairs =
                (2 * z..nz.min(2 * z + 2)).flat_map(|fz| (2 * y..ny.min(2 * y + 2)).map(move |fy| (fz, fy)));
            let rows: Vec<ArrayView1<'_, T>> = pairs.map(|(fz, fy)| fine.slice(s![fz, fy, ..])).collect();
            if is_label {
                to.iter_mut()
                    .enumerate()
                    .for_each(|(x, to)| *to = most_frequent(&rows, 2 * x, nx.min(2 * x + 2)));
            } else {
                mean_rows(&rows, &mut sums);
                if let Some(sum) = sums.last_mut().filter(|_| nx % 2 == 1) {
                    // The last column stands alone.
                    *sum *= 2.0;
                }
                let n = (2 * rows.len()) as f64;
                to.iter_mut().zip(&sums).for_each(|(to, sum)| *to = T::from_f64(sum / n));
            }
        }
        Ok::<(), crate::base::Cancelled>(())
    })?;
    Ok(coarse)
}

/// Adds up the values of rows two by two, in f64.
fn mean_rows<T: FileVoxel>(rows: &[ArrayView1<'_, T>], sums: &mut [f64]) {
    sums.fill(0.0);
    for row in rows {
        let Some(values) = row.as_slice() else {
            row.iter().enumerate().for_each(|(x, value)| sums[x / 2] += value.to_f64());
            continue;
        };
        let (pairs, last) = values.as_chunks::<2>();
        sums.iter_mut().zip(pairs).for_each(|(sum, [a, b])| *sum += a.to_f64() + b.to_f64());
        if let (Some(sum), [value]) = (sums.get_mut(pairs.len()), last) {
            *sum += value.to_f64();
        }
    }
}

/// The id that is met most often at `from..to` of the rows, the smallest of those that are met equally often.
fn most_frequent<T: FileVoxel>(rows: &[ArrayView1<'_, T>], from: usize, to: usize) -> T {
    let values = || rows.iter().flat_map(|row| (from..to).map(|x| row[x]));
    let mut best = (0, bytemuck::Zeroable::zeroed());
    for value in values() {
        // Most blocks have one id only, which is found at once.
        if best.0 > 0 && value == best.1 {
            continue;
        }
        let n = values().filter(|other| *other == value).count();
        if n > best.0 || (n == best.0 && value < best.1) {
            best = (n, value);
        }
    }
    best.1
}

/// The type of the values of a view.
pub(super) fn dtype_of(array: &ArrayRef<'_>) -> Dtype {
    array.dtype()
}
