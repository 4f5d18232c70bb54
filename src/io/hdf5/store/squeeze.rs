//! Bytes and bits that were set apart brought together again, and LZF: what no crate does.
//!
//! References: the shuffle filter of HDF5; K. Masui et al. 2015, Astronomy and Computing 12, 181
//! (doi:10.1016/j.ascom.2015.07.002) for bitshuffle; the format of LibLZF by M. Lehmann.

/// Undoes a shuffle of bytes: all first bytes of the values, then all second ones, and so on.
pub(super) fn bytes_apart(bytes: Vec<u8>, word: usize) -> Vec<u8> {
    let n = bytes.len().checked_div(word).unwrap_or(0);
    if word <= 1 || n == 0 {
        return bytes;
    }
    let mut out = vec![0; bytes.len()];
    let (body, tail) = out.split_at_mut(n * word);
    tail.copy_from_slice(&bytes[n * word..]);
    let lane = |at: usize| &bytes[at * n..(at + 1) * n];
    match word {
        2 => together(body, [lane(0), lane(1)]),
        4 => together(body, [lane(0), lane(1), lane(2), lane(3)]),
        8 => together(body, std::array::from_fn::<_, 8, _>(lane)),
        _ => {
            for at in 0..word {
                body[at..].iter_mut().step_by(word).zip(lane(at)).for_each(|(to, from)| *to = *from);
            }
        }
    }
    out
}

/// Values of `N` bytes from their bytes.
fn together<const N: usize>(into: &mut [u8], lanes: [&[u8]; N]) {
    let (values, _) = into.as_chunks_mut::<N>();
    let n = values.len();
    let lanes = lanes.map(|lane| &lane[..n]);
    for (at, value) in values.iter_mut().enumerate() {
        for (to, lane) in value.iter_mut().zip(&lanes) {
            *to = lane[at];
        }
    }
}

/// Undoes a shuffle of bits in blocks of `block` values; fewer than eight values at the end stand as they are.
///
/// `None` where blocks are no multiple of eight values.
pub(super) fn bits_apart(bytes: &[u8], word: usize, block: usize) -> Option<Vec<u8>> {
    if block == 0 || !block.is_multiple_of(8) || word == 0 {
        return None;
    }
    let mut out = bytes.to_vec();
    let mut at = 0;
    while bytes.len() - at >= 8 * word {
        let n = (bytes.len() - at).min(block * word) / (8 * word) * (8 * word);
        block_of_bits(&bytes[at..at + n], word, &mut out[at..at + n]);
        at += n;
    }
    Some(out)
}

/// One block: a row of bits for every bit of a value.
fn block_of_bits(bytes: &[u8], word: usize, out: &mut [u8]) {
    let row = bytes.len() / (8 * word);
    for byte in 0..word {
        let rows: [&[u8]; 8] = std::array::from_fn(|bit| &bytes[(byte * 8 + bit) * row..][..row]);
        for at in 0..row {
            let square = u64::from_le_bytes(rows.map(|row| row[at]));
            for (value, found) in turned(square).to_le_bytes().into_iter().enumerate() {
                out[(at * 8 + value) * word + byte] = found;
            }
        }
    }
}

/// A square of 8 × 8 bits with rows and columns exchanged.
fn turned(mut square: u64) -> u64 {
    for (shift, mask) in
        [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)]
    {
        let swapped = (square ^ (square >> shift)) & mask;
        square ^= swapped ^ (swapped << shift);
    }
    square
}

/// Undoes LZF; `limit` bounds what comes out.
pub(super) fn lzf(bytes: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let damaged = || "damaged LZF data".to_owned();
    let mut out: Vec<u8> = Vec::with_capacity(limit.min(bytes.len().saturating_mul(90)));
    let mut input = bytes.iter();
    while let Some(control) = input.next() {
        let control = usize::from(*control);
        if control < 32 {
            let literals = input.as_slice().get(..=control).ok_or_else(damaged)?;
            out.extend_from_slice(literals);
            input = input.as_slice()[control + 1..].iter();
        } else {
            let mut next = || input.next().map(|byte| usize::from(*byte)).ok_or_else(damaged);
            let n = if control >> 5 == 7 { 7 + next()? } else { control >> 5 };
            let back = ((control & 31) << 8 | next()?) + 1;
            let from = out.len().checked_sub(back).ok_or_else(damaged)?;
            for at in from..from + n + 2 {
                out.push(out[at]);
            }
        }
        if out.len() > limit {
            return Err(format!("LZF data of more than {limit} bytes"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shuffled(bytes: &[u8], word: usize) -> Vec<u8> {
        let n = bytes.len() / word;
        let body = (0..word).flat_map(|b| (0..n).map(move |v| v * word + b));
        body.chain(n * word..bytes.len()).map(|at| bytes[at]).collect()
    }

    /// Bits of a block set apart one by one.
    fn bit_shuffled(bytes: &[u8], word: usize) -> Vec<u8> {
        let n = bytes.len() / word;
        let mut out = vec![0; bytes.len()];
        for (value, bit) in (0..n).flat_map(|v| (0..8 * word).map(move |b| (v, b))) {
            let set = bytes[value * word + bit / 8] >> (bit % 8) & 1;
            out[bit * (n / 8) + value / 8] |= set << (value % 8);
        }
        out
    }

    proptest! {
        #[test]
        fn bytes_and_bits_come_together_again(bytes in prop::collection::vec(any::<u8>(), 0..600), word in 1usize..10) {
            prop_assert_eq!(bytes_apart(shuffled(&bytes, word), word), bytes.clone());
            let n = bytes.len() / (8 * word) * (8 * word);
            let whole = &bytes[..n];
            prop_assert_eq!(bits_apart(&bit_shuffled(whole, word), word, (n / word).max(8)).unwrap(), whole);
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(lzf(&bytes, 10_000).map_or(true, |out| out.len() <= 10_000));
        }
    }

    #[test]
    fn lzf_repeats_what_it_has_seen() {
        // "abc", then nine bytes from three back: length 7 + 0 + 2.
        let packed = [2, b'a', b'b', b'c', 0xe0, 0, 2];
        assert_eq!(lzf(&packed, 100).unwrap(), b"abcabcabcabc");
        assert!(lzf(&packed, 10).is_err());
        assert!(lzf(&[0xe0, 0, 200], 100).is_err());
    }
}
