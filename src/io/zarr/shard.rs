//! Shards as they are written: chunks packed one by one on all cores, and behind them the table of where they lie.
//!
//! Reference: Zarr 3, codec `sharding_indexed`, index at the end, little-endian, with a CRC-32C.

use ndarray::{ArrayView3, Axis, Slice};
use rayon::prelude::*;
use zarrs::array::codec::BloscCodec;
use zarrs::array::{BytesToBytesCodecTraits as _, CodecOptions};

use super::text;
use crate::io::array::FileVoxel;

/// Offset and length of a chunk that is not there: it reads as the fill value.
const MISSING: [u64; 2] = [u64::MAX; 2];

/// A shard: its chunks one after the other, then the index.
pub(super) struct Shard {
    chunks: Vec<Vec<u8>>,
    index: Vec<u8>,
}

impl Shard {
    /// Packs a box of an array, which may be smaller than the shard at the far ends of the array.
    ///
    /// Chunks that hold nothing but zeros, the fill value, are left out; `None` where none is left.
    pub(super) fn pack<T: FileVoxel>(
        part: &ArrayView3<'_, T>,
        chunk: [usize; 3],
        shard: [usize; 3],
        codec: &BloscCodec,
    ) -> Result<Option<Self>, String> {
        let n: [usize; 3] = std::array::from_fn(|axis| shard[axis] / chunk[axis].max(1));
        let place = |i: usize| [i / (n[1] * n[2]), i / n[2] % n[1], i % n[2]];
        let packed: Vec<Option<Vec<u8>>> = (0..n.iter().product())
            .into_par_iter()
            .map_init(
                || vec![bytemuck::Zeroable::zeroed(); chunk.iter().product()],
                |values: &mut Vec<T>, i| {
                    if !gather(part, place(i), chunk, values) {
                        return Ok(None);
                    }
                    let bytes = bytemuck::cast_slice(values).into();
                    let options = CodecOptions::default().with_concurrent_target(1);
                    codec.encode(bytes, &options).map(|bytes| Some(bytes.into_owned())).map_err(text)
                },
            )
            .collect::<Result<_, String>>()?;
        let (mut index, mut end) = (Vec::with_capacity(16 * packed.len() + 4), 0);
        for chunk in &packed {
            let entry = chunk.as_ref().map_or(MISSING, |chunk| [end, chunk.len() as u64]);
            entry.iter().for_each(|number| index.extend_from_slice(&number.to_le_bytes()));
            end += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        }
        index.extend_from_slice(&crc32c::crc32c(&index).to_le_bytes());
        let chunks: Vec<Vec<u8>> = packed.into_iter().flatten().collect();
        Ok(Some(Self { chunks, index }).filter(|shard| !shard.chunks.is_empty()))
    }

    /// Its bytes, in the order of the file.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        self.chunks.iter().chain([&self.index]).map(Vec::as_slice).collect()
    }
}

/// Copies the chunk at `at` (z, y, x, counted in chunks) as little-endian values, zeros beyond the box; false where all
/// values are zero.
fn gather<T: FileVoxel>(
    part: &ArrayView3<'_, T>,
    at: [usize; 3],
    chunk: [usize; 3],
    values: &mut [T],
) -> bool {
    let mut inside = part.view();
    for axis in 0..3 {
        let side = inside.len_of(Axis(axis));
        let from = (at[axis] * chunk[axis]).min(side);
        inside.slice_axis_inplace(Axis(axis), Slice::from(from..side.min(from + chunk[axis])));
    }
    if inside.is_empty() {
        return false;
    }
    if inside.shape() != chunk {
        values.fill(bytemuck::Zeroable::zeroed());
    }
    let cols = inside.len_of(Axis(2));
    for (plane, values) in inside.outer_iter().zip(values.chunks_exact_mut(chunk[1] * chunk[2])) {
        for (row, values) in plane.outer_iter().zip(values.chunks_exact_mut(chunk[2])) {
            match row.as_slice() {
                Some(row) => values[..cols].copy_from_slice(row),
                None => values.iter_mut().zip(row).for_each(|(to, value)| *to = *value),
            }
        }
    }
    if cfg!(target_endian = "big") {
        values.iter_mut().for_each(|value| *value = value.byte_swapped());
    }
    bytemuck::cast_slice::<T, u8>(values).iter().any(|byte| *byte != 0)
}
