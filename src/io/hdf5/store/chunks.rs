//! Datasets in chunks: the index, and boxes put together from chunks, decoded on all cores and each once.

use std::ops::Range;
use std::sync::OnceLock;

use hdf5_reader::btree_v1::{BTreeV1Key, collect_btree_v1_leaves_storage};
use hdf5_reader::chunk_index::{
    ChunkEntry, collect_implicit_chunk_entries, collect_v2_chunk_entries_storage, single_chunk_entry,
};
use hdf5_reader::extensible_array::collect_extensible_array_chunk_entries_storage;
use hdf5_reader::fixed_array::collect_fixed_array_chunk_entries_storage;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::layout::ChunkIndexing;
use hdf5_reader::object_header::ObjectHeader;
use rayon::prelude::*;

use super::boxes::Area;
use super::copy::{Corner, copy_box, fill};
use super::node::Dataset;
use super::pipeline::Pipeline;
use super::text;

/// About how many bytes of decoded chunks are held at once.
const BATCH_BYTES: usize = 64 << 20;

/// How a dataset lies in chunks.
pub(super) struct Chunked {
    address: Option<u64>,
    sides: Vec<u32>,
    indexing: Option<ChunkIndexing>,
    pipeline: Pipeline,
    index: OnceLock<Result<Vec<ChunkEntry>, String>>,
}

impl Chunked {
    /// What the header says about chunks.
    pub(super) fn of(
        dataset: &Dataset,
        header: &ObjectHeader,
        address: u64,
        sides: &[u32],
        indexing: Option<&ChunkIndexing>,
    ) -> Result<Self, String> {
        // The last of the sides may be the bytes of a value.
        let sides = &sides[..sides.len().min(dataset.ndim())];
        if sides.len() != dataset.ndim() || sides.contains(&0) {
            return Err(format!("{}: chunks of {sides:?}", dataset.path()));
        }
        let filters = header.messages.iter().find_map(|m| match m {
            HdfMessage::FilterPipeline(pipeline) => Some(pipeline.filters.clone()),
            _ => None,
        });
        Ok(Self {
            address: (!dataset.file.is_undefined(address)).then_some(address),
            sides: sides.to_vec(),
            indexing: indexing.cloned(),
            pipeline: Pipeline::new(filters.unwrap_or_default()),
            index: OnceLock::new(),
        })
    }

    fn index(&self, dataset: &Dataset) -> Result<&[ChunkEntry], String> {
        let found = self.index.get_or_init(|| self.find_index(dataset));
        found.as_ref().map(Vec::as_slice).map_err(Clone::clone)
    }

    /// Every chunk that was written and lies in the dataset.
    fn find_index(&self, dataset: &Dataset) -> Result<Vec<ChunkEntry>, String> {
        let Some(address) = self.address else { return Ok(Vec::new()) };
        let (file, shape, sides) = (&dataset.file, dataset.written_shape(), self.sides.as_slice());
        let (storage, sizes) = (file.inner.storage(), file.sizes());
        let (offset, length) = (sizes.offset, sizes.length);
        let n_axes = shape.len() as u32;
        let mut entries = match &self.indexing {
            None => {
                collect_btree_v1_leaves_storage(storage, address, offset, length, Some(n_axes), sides, None)
                    .map(|leaves| {
                        leaves.into_iter().filter_map(|(key, at)| entry(key, at, shape.len())).collect()
                    })
            }
            Some(ChunkIndexing::SingleChunk { filtered_size, filters }) => {
                Ok(vec![single_chunk_entry(address, *filtered_size, *filters, shape.len())])
            }
            Some(ChunkIndexing::BTreeV2) => {
                collect_v2_chunk_entries_storage(storage, address, offset, length, n_axes, sides, None)
            }
            Some(ChunkIndexing::Implicit) => {
                let size = dataset.element_size()?;
                collect_implicit_chunk_entries(address, shape, sides, size, None, storage.len())
            }
            Some(ChunkIndexing::FixedArray { .. }) => collect_fixed_array_chunk_entries_storage(
                storage, address, offset, length, shape, sides, None,
            ),
            Some(ChunkIndexing::ExtensibleArray { .. }) => {
                let most = dataset.raw().max_dims();
                collect_extensible_array_chunk_entries_storage(
                    storage, address, offset, length, shape, most, sides, None,
                )
            }
        }
        .map_err(text)?;
        entries.retain(|e| {
            !file.is_undefined(e.address)
                && e.offsets.len() == shape.len()
                && (0..shape.len())
                    .all(|a| e.offsets[a] < shape[a] && e.offsets[a] % u64::from(sides[a]) == 0)
        });
        entries.sort_by(|a, b| a.offsets.cmp(&b.offsets));
        entries.dedup_by(|a, b| a.offsets == b.offsets);
        Ok(entries)
    }

    /// Of every place along the first axis, whether a chunk there was written.
    pub(super) fn written(&self, dataset: &Dataset) -> Result<Vec<bool>, String> {
        let n = dataset.written_shape().first().copied().unwrap_or(0).min(1 << 24) as usize;
        let mut written = vec![false; n];
        for entry in self.index(dataset)? {
            let at = entry.offsets[0] as usize;
            written[at.min(n)..].iter_mut().take(self.sides[0] as usize).for_each(|w| *w = true);
        }
        Ok(written)
    }

    /// Bytes of a decoded chunk, if the budget has room for one.
    fn chunk_bytes(&self, dataset: &Dataset, size: usize) -> Result<usize, String> {
        let n = self.sides.iter().try_fold(size as u64, |n, side| n.checked_mul(u64::from(*side)));
        let limit = dataset.family.budget().bytes;
        n.filter(|n| *n <= limit).and_then(|n| usize::try_from(n).ok()).ok_or_else(|| {
            format!(
                "{}: chunks of {:?} are larger than the memory that may be used",
                dataset.path(),
                self.sides
            )
        })
    }

    /// Fills `into` with an area; what was never written has the fill value.
    pub(super) fn read_into(
        &self,
        dataset: &Dataset,
        area: &Area,
        size: usize,
        into: &mut [u8],
    ) -> Result<(), String> {
        let chunk_bytes = self.chunk_bytes(dataset, size)?;
        let wanted: Vec<&ChunkEntry> = self.index(dataset)?.iter().filter(|e| self.meets(e, area)).collect();
        let cover = self.n_chunks(area);
        if (wanted.len() as u64) < cover {
            fill(into, &dataset.fill_value()?);
        }
        let work = Work { chunks: self, dataset, size, chunk_bytes };
        let layers = Self::layers(&wanted);
        if layers.len() >= 2 && area.count.len() > 1 {
            return work.layer_by_layer(&wanted, &layers, area, into);
        }
        let batch = (BATCH_BYTES / chunk_bytes.max(1)).max(2);
        for batch in wanted.chunks(batch) {
            let decoded: Vec<Vec<u8>> = batch.par_iter().map(|e| work.decode(e)).collect::<Result<_, _>>()?;
            for (entry, bytes) in batch.iter().zip(&decoded) {
                work.place(entry, bytes, area, into)?;
            }
        }
        Ok(())
    }

    /// Runs of chunks that begin at the same place of the first axis.
    fn layers(wanted: &[&ChunkEntry]) -> Vec<Range<usize>> {
        let mut layers: Vec<Range<usize>> = Vec::new();
        for (at, entry) in wanted.iter().enumerate() {
            match layers.last_mut() {
                Some(layer) if wanted[layer.start].offsets.first() == entry.offsets.first() => {
                    layer.end = at + 1;
                }
                _ => layers.push(at..at + 1),
            }
        }
        layers
    }

    fn meets(&self, entry: &ChunkEntry, area: &Area) -> bool {
        (0..self.sides.len()).all(|a| {
            entry.offsets[a] < area.start[a] + area.count[a]
                && entry.offsets[a] + u64::from(self.sides[a]) > area.start[a]
        })
    }

    /// Chunks that an area has if all were written.
    fn n_chunks(&self, area: &Area) -> u64 {
        let along = |a: usize| {
            let side = u64::from(self.sides[a]);
            (area.start[a] + area.count[a]).div_ceil(side) - area.start[a] / side
        };
        (0..self.sides.len()).fold(1, |n, a| n * along(a))
    }
}

fn entry(key: BTreeV1Key, address: u64, n_axes: usize) -> Option<ChunkEntry> {
    let BTreeV1Key::RawData { chunk_size, filter_mask, offsets } = key else { return None };
    let offsets = offsets.get(..n_axes)?.to_vec();
    Some(ChunkEntry { address, size: u64::from(chunk_size), filter_mask, offsets })
}

/// Chunks on their way into an area.
struct Work<'a> {
    chunks: &'a Chunked,
    dataset: &'a Dataset,
    size: usize,
    chunk_bytes: usize,
}

impl Work<'_> {
    /// Every layer of chunks fills a piece of the area of its own, so that layers are decoded beside each other.
    fn layer_by_layer(
        &self,
        wanted: &[&ChunkEntry],
        layers: &[Range<usize>],
        area: &Area,
        into: &mut [u8],
    ) -> Result<(), String> {
        let side = u64::from(self.chunks.sides[0]);
        let row = into.len() / area.count[0] as usize;
        let mut rest = into;
        let mut at = area.start[0];
        let mut pieces = Vec::new();
        for layer in layers {
            let first = wanted[layer.start].offsets[0].max(area.start[0]);
            let end = (wanted[layer.start].offsets[0] + side).min(area.start[0] + area.count[0]);
            let (_, from) = rest.split_at_mut((first - at) as usize * row);
            let (piece, after) = from.split_at_mut((end - first) as usize * row);
            let mut part = area.clone();
            (part.start[0], part.count[0]) = (first, end - first);
            pieces.push((&wanted[layer.clone()], part, piece));
            (rest, at) = (after, end);
        }
        pieces.into_par_iter().try_for_each(|(entries, part, piece)| {
            for entry in entries {
                let bytes = self.decode(entry)?;
                self.place(entry, &bytes, &part, piece)?;
            }
            Ok(())
        })
    }

    fn decode(&self, entry: &ChunkEntry) -> Result<Vec<u8>, String> {
        let file = &self.dataset.file;
        let n = match entry.size {
            0 => self.chunk_bytes,
            n => usize::try_from(n).unwrap_or(usize::MAX),
        };
        let at = file.base().saturating_add(entry.address);
        let length = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let available = hdf5_reader::Storage::len(&*file.bytes);
        let fits = at.checked_add(n as u64).is_some_and(|end| end <= available);
        let mut raw = vec![0; if fits { n } else { 0 }];
        let read = if fits { file.bytes.read_into(at, &mut raw) } else { Err(length) };
        read.map_err(|e| {
            format!(
                "{}: a chunk that the file does not hold, it may be truncated; copy it again: {e}",
                self.dataset.path()
            )
        })?;
        self.chunks
            .pipeline
            .decode(raw, entry.filter_mask, self.size, self.chunk_bytes)
            .map_err(|problem| format!("{}: {problem}", self.dataset.path()))
    }

    /// Copies what a chunk has of an area.
    fn place(&self, entry: &ChunkEntry, bytes: &[u8], area: &Area, into: &mut [u8]) -> Result<(), String> {
        let sides: Vec<u64> = self.chunks.sides.iter().map(|side| u64::from(*side)).collect();
        let n_axes = sides.len();
        let first: Vec<u64> = (0..n_axes).map(|a| entry.offsets[a].max(area.start[a])).collect();
        let end = |a: usize| (entry.offsets[a] + sides[a]).min(area.start[a] + area.count[a]);
        let count: Vec<u64> = (0..n_axes).map(|a| end(a).saturating_sub(first[a])).collect();
        let in_chunk: Vec<u64> = (0..n_axes).map(|a| first[a] - entry.offsets[a]).collect();
        let in_area: Vec<u64> = (0..n_axes).map(|a| first[a] - area.start[a]).collect();
        let (source, target) =
            (Corner { shape: &sides, start: &in_chunk }, Corner { shape: &area.count, start: &in_area });
        if copy_box(bytes, &source, into, &target, &count, self.size) {
            return Ok(());
        }
        Err(format!("{}: a chunk of another size", self.dataset.path()))
    }
}
