//! Bricks as bytes for the journal: a uniform brick is five bytes, a painted one a few runs.
//!
//! Layout of a delta: for each brick its position (u32), one byte that says how (0 uniform, 1 runs,
//! 2 raw), then a u16, or a u32 count and that many (length, id) pairs of u16, or all ids. Little-endian.

use crate::volume::labels::{BRICK_LEN, Brick, BrickDelta};

const UNIFORM: u8 = 0;
const RUNS: u8 = 1;
const RAW: u8 = 2;

/// Appends a delta to `out`.
pub(super) fn encode(delta: &BrickDelta, out: &mut Vec<u8>) {
    for (index, brick) in delta {
        out.extend(index.to_le_bytes());
        match brick {
            Brick::Uniform(id) => {
                out.push(UNIFORM);
                out.extend(id.to_le_bytes());
            }
            Brick::Dense(ids) => encode_dense(ids, out),
        }
    }
}

fn encode_dense(ids: &[u16], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(RUNS);
    out.extend([0; 4]);
    let mut n_runs = 0u32;
    for run in ids.chunk_by(|a, b| a == b) {
        // A brick has 2¹⁵ voxels, so a run fits 16 bits.
        out.extend((run.len() as u16).to_le_bytes());
        out.extend(run[0].to_le_bytes());
        n_runs += 1;
        if n_runs as usize * 4 >= BRICK_LEN * 2 {
            out.truncate(start);
            out.push(RAW);
            ids.iter().for_each(|id| out.extend(id.to_le_bytes()));
            return;
        }
    }
    out[start + 1..start + 5].copy_from_slice(&n_runs.to_le_bytes());
}

/// Reads a delta; `None` where the bytes are not one.
pub(super) fn decode(mut bytes: &[u8]) -> Option<BrickDelta> {
    let mut delta = BrickDelta::new();
    while !bytes.is_empty() {
        let index = u32::from_le_bytes(take(&mut bytes)?);
        let [how] = take(&mut bytes)?;
        let brick = match how {
            UNIFORM => Brick::Uniform(u16::from_le_bytes(take(&mut bytes)?)),
            RUNS => decode_runs(&mut bytes)?,
            RAW => {
                let (raw, rest) = bytes.split_at_checked(BRICK_LEN * 2)?;
                bytes = rest;
                let ids: Vec<u16> = raw.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
                Brick::Dense(ids.into())
            }
            _ => return None,
        };
        delta.push((index, brick));
    }
    Some(delta)
}

fn decode_runs(bytes: &mut &[u8]) -> Option<Brick> {
    let n_runs = u32::from_le_bytes(take(bytes)?);
    let mut ids = Vec::with_capacity(BRICK_LEN);
    for _ in 0..n_runs {
        let len = usize::from(u16::from_le_bytes(take(bytes)?));
        let id = u16::from_le_bytes(take(bytes)?);
        if ids.len() + len > BRICK_LEN {
            return None;
        }
        ids.resize(ids.len() + len, id);
    }
    (ids.len() == BRICK_LEN).then(|| Brick::Dense(ids.into()))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_painted_brick_is_small_and_noise_is_never_larger_than_its_ids() {
        let mut ids = vec![0u16; BRICK_LEN];
        ids[5000..5040].fill(3);
        let mut out = Vec::new();
        encode(&vec![(7, Brick::Dense(ids.into()))], &mut out);
        assert!(out.len() < 32, "{}", out.len());
        let noise: Vec<u16> = (0..BRICK_LEN).map(|i| (i % 7) as u16).collect();
        out.clear();
        encode(&vec![(7, Brick::Dense(noise.into()))], &mut out);
        assert_eq!(out.len(), 5 + BRICK_LEN * 2);
    }

    proptest! {
        #[test]
        fn bricks_survive_the_round_trip_and_torn_bytes_are_refused(
            runs in prop::collection::vec((0u16..9, 1usize..4000), 0..40),
            index in any::<u32>(), uniform in any::<u16>(), cut in 0.0f64..1.0,
        ) {
            let mut ids: Vec<u16> = runs.iter().flat_map(|(id, n)| std::iter::repeat_n(*id, *n)).collect();
            ids.resize(BRICK_LEN, 1);
            let delta = vec![(index, Brick::Dense(ids.into())), (index / 2, Brick::Uniform(uniform))];
            let mut out = Vec::new();
            encode(&delta, &mut out);
            prop_assert_eq!(decode(&out), Some(delta.clone()));
            let torn = &out[..(out.len() as f64 * cut) as usize];
            prop_assert_ne!(decode(torn), Some(delta));
        }
    }
}
