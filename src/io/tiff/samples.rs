//! Bytes of a piece to values: byte order, predictors, packed bits, one sample of several.
//!
//! Whole numbers of few bits keep their values: 12 bits are 0 to 4095, never stretched.

use super::page::{Page, Stored};
use crate::io::array::FileVoxel;

/// Whether a sample fills whole machine words, so that rows can be worked on in place.
fn is_machine_word(bits: usize) -> bool {
    matches!(bits, 8 | 16 | 32 | 64)
}

/// Whether values come out of a piece as they are to be held: no other type, no sample to leave out.
pub(super) fn is_direct<T: FileVoxel>(page: &Page) -> bool {
    let stored = page.form.stored;
    let same =
        stored.bits() == 8 * size_of::<T>() && !matches!(stored, Stored::Unsigned(64) | Stored::Signed(64));
    same && page.samples_in_piece() == 1 && !page.is_tiled && page.predictor != 3
}

/// Brings rows into the machine's byte order and undoes the predictor, where samples are machine words.
pub(super) fn to_native(bytes: &mut [u8], page: &Page, big_endian: bool) -> Result<(), String> {
    let bits = page.form.stored.bits();
    let row_bytes = page.row_bytes().unwrap_or(0).max(1);
    if page.codec.is_jpeg() {
        return Ok(());
    }
    if page.predictor == 3 {
        let mut row_before = vec![0; row_bytes];
        bytes.chunks_exact_mut(row_bytes).for_each(|row| unshuffle(row, &mut row_before, page, big_endian));
        return Ok(());
    }
    if !is_machine_word(bits) {
        return Ok(());
    }
    let swap = big_endian != cfg!(target_endian = "big");
    let n = page.samples_in_piece();
    let is_difference = page.predictor == 2;
    let odd = |_e| "a strip of an odd number of bytes".to_owned();
    macro_rules! rows {
        ($word:ty) => {{
            let words: &mut [$word] = bytemuck::try_cast_slice_mut(bytes).map_err(odd)?;
            if swap {
                words.iter_mut().for_each(|word| *word = word.swap_bytes());
            }
            if is_difference {
                for row in words.chunks_exact_mut(row_bytes / size_of::<$word>()) {
                    add_up(row, n, <$word>::wrapping_add);
                }
            }
        }};
    }
    match bits {
        8 => rows!(u8),
        16 => rows!(u16),
        32 => rows!(u32),
        _ => rows!(u64),
    }
    Ok(())
}

/// Every value becomes the sum of all before it in its sample.
fn add_up<T: Copy>(row: &mut [T], n_samples: usize, add: impl Fn(T, T) -> T) {
    if n_samples == 1 {
        // The running sum in a register: twice as fast as through memory.
        let Some((first, rest)) = row.split_first_mut() else { return };
        let mut sum = *first;
        for value in rest {
            sum = add(sum, *value);
            *value = sum;
        }
        return;
    }
    for i in n_samples..row.len() {
        row[i] = add(row[i], row[i - n_samples]);
    }
}

/// The predictor of real numbers: bytes of equal weight lie together, as differences.
/// Source: Adobe Photoshop TIFF technical note 3.
fn unshuffle(row: &mut [u8], before: &mut [u8], page: &Page, big_endian: bool) {
    add_up(row, page.samples_in_piece(), u8::wrapping_add);
    before.copy_from_slice(row);
    let width = page.form.stored.bits() / 8;
    let n = row.len() / width;
    // Machine words come out in the machine's order, others in the file's.
    let is_big = if is_machine_word(8 * width) { cfg!(target_endian = "big") } else { big_endian };
    for (i, value) in row.chunks_exact_mut(width).enumerate() {
        for (b, byte) in value.iter_mut().enumerate() {
            let weight = if is_big { b } else { width - 1 - b };
            *byte = before[weight * n + i];
        }
    }
}

/// One sample of each pixel of a row, as [`to_native`] left it.
pub(super) fn pick<T: FileVoxel>(row: &[u8], page: &Page, sample: usize, big_endian: bool, out: &mut [T]) {
    let n = page.samples_in_piece();
    let sample = if n == 1 { 0 } else { sample };
    let stored = page.form.stored;
    let width = stored.bits() / 8;
    let is_wide = matches!(stored, Stored::Unsigned(64) | Stored::Signed(64));
    if stored.bits() == 8 * size_of::<T>() && stored.dtype() == T::KIND && !is_wide {
        let values = row.chunks_exact(width).skip(sample).step_by(n);
        out.iter_mut().zip(values).for_each(|(out, bytes)| *out = bytemuck::pod_read_unaligned(bytes));
        return;
    }
    let codes = codes_of(row, page, big_endian);
    let values = codes.into_iter().skip(sample).step_by(n);
    out.iter_mut().zip(values).for_each(|(out, code)| *out = T::from_f64(value_of(code, stored)));
}

/// The bits of every sample of a row as whole numbers.
fn codes_of(row: &[u8], page: &Page, big_endian: bool) -> Vec<u64> {
    let bits = page.form.stored.bits();
    let number = |bytes: &[u8], is_big: bool| {
        let add = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
        if is_big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    };
    if is_machine_word(bits) {
        return row.chunks_exact(bits / 8).map(|bytes| number(bytes, cfg!(target_endian = "big"))).collect();
    }
    // Whole numbers of 24 bits are packed like those of 12, real ones have the file's order.
    let mut codes: Vec<u64> = if page.form.stored == Stored::Float(24) {
        row.chunks_exact(3).map(|bytes| number(bytes, big_endian)).collect()
    } else {
        packed_codes(row, bits)
    };
    if page.predictor == 2 {
        let mask = (1 << bits) - 1;
        add_up(&mut codes, page.samples_in_piece(), |a, b| a.wrapping_add(b) & mask);
    }
    codes
}

/// Samples of fewer bits than a byte, or odd ones: the highest bit first, whatever the byte order.
fn packed_codes(row: &[u8], bits: usize) -> Vec<u64> {
    let mut codes = Vec::with_capacity(row.len() * 8 / bits);
    let (mut held, mut n_held) = (0u64, 0);
    for byte in row {
        held = held << 8 | u64::from(*byte);
        n_held += 8;
        while n_held >= bits {
            n_held -= bits;
            codes.push(held >> n_held & ((1 << bits) - 1));
        }
        held &= (1 << n_held) - 1;
    }
    codes
}

/// The value that the bits of a sample stand for; 64-bit whole numbers are rounded above 2^53.
fn value_of(code: u64, stored: Stored) -> f64 {
    match stored {
        Stored::Unsigned(_) => code as f64,
        Stored::Signed(bits) => {
            let unused = 64 - u32::from(bits);
            ((code << unused).cast_signed() >> unused) as f64
        }
        Stored::Float(16) => half::f16::from_bits(u16::try_from(code).unwrap_or(0)).to_f64(),
        Stored::Float(24) => float24(code),
        Stored::Float(32) => f64::from(f32::from_bits(u32::try_from(code).unwrap_or(0))),
        Stored::Float(_) => f64::from_bits(code),
    }
}

/// One bit of sign, seven of exponent, sixteen of fraction.
fn float24(code: u64) -> f64 {
    let sign = if code >> 23 & 1 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::try_from(code >> 16 & 0x7f).unwrap_or(0);
    let fraction = (code & 0xffff) as f64 / 65536.0;
    match exponent {
        0 => sign * fraction * 2f64.powi(-62),
        127 if fraction == 0.0 => sign * f64::INFINITY,
        127 => f64::NAN,
        _ => sign * (1.0 + fraction) * 2f64.powi(exponent - 63),
    }
}
