//! DeltaVision and Priism (.dv, .mrc of cryoSIM): the MRC layout with waves and times, and lengths in µm.
//!
//! What differs from MRC2014 is found by the mark -16224 at byte 96: cell lengths are the pixel size itself, in
//! µm; sections are planes, waves and times in one of three orders; modes 5 and 7 are signed words of 16 and 32 bits.

use super::frame::{Frame, rounded};
use super::header::{HEADER_BYTES, Split, Values, Words, unknown_mode};
use crate::io::array::Dtype;
use crate::io::choice::AxisOrder;
use crate::io::raw::Stored;

/// The mark, as a little-endian word.
const MARK: i16 = -16224;

/// Whether the header is big-endian; `None` where it is no DeltaVision header.
pub(super) fn byte_order(raw: &[u8; HEADER_BYTES]) -> Option<bool> {
    let mark = [raw[96], raw[97]];
    [false, true].into_iter().find(|big_endian| {
        let found = if *big_endian { i16::from_be_bytes(mark) } else { i16::from_le_bytes(mark) };
        found == MARK
    })
}

/// How a mode stores its values here.
pub(super) fn values(mode: i32) -> Result<Values, String> {
    let one = |dtype| Ok(Values { stored: Stored::Same(dtype), names: &[] });
    let complex = |dtype| Ok(Values { stored: Stored::Same(dtype), names: &["real", "imaginary"] });
    match mode {
        0 => one(Dtype::U8),
        1 | 5 => one(Dtype::I16),
        2 => one(Dtype::F32),
        3 => complex(Dtype::I16),
        4 => complex(Dtype::F32),
        6 => one(Dtype::U16),
        7 => one(Dtype::I32),
        other => Err(unknown_mode(other)),
    }
}

/// Pixel size and origin, in µm in the header.
pub(super) fn frame(words: &Words<'_>) -> Frame {
    let size = [48, 44, 40].map(|at| f64::from(words.f32(at)));
    let is_size = |s: f64| s.is_finite() && s > 0.0;
    // A single plane may lack its thickness.
    let size = if is_size(size[0]) { size } else { [size[2], size[1], size[2]] };
    let voxel_um = size.iter().all(|s| is_size(*s)).then(|| size.map(rounded));
    let origin = [208, 216, 212].map(|at| f64::from(words.f32(at)));
    let fine = voxel_um.is_some() && origin.iter().all(|o| o.is_finite());
    let origin_um = if fine { origin.map(|o| rounded(o) + 0.0) } else { [0.0; 3] };
    Frame { order: AxisOrder::ZYX, voxel_um, origin_um }
}

/// How the sections are shared out among planes, waves and times.
pub(super) fn split(words: &Words<'_>, n_sections: usize, warnings: &mut Vec<String>) -> Split {
    let count = |at: usize| usize::try_from(words.i16(at)).unwrap_or(0).max(1);
    let (times, waves) = (count(180), count(196));
    let per_plane = times.saturating_mul(waves);
    if per_plane == 1 {
        return Split::none(n_sections);
    }
    if n_sections == 0 || !n_sections.is_multiple_of(per_plane) {
        warnings.push(format!(
            "{n_sections} sections are not {waves} waves at {times} times: they were read one after the other"
        ));
        return Split::none(n_sections);
    }
    let planes = n_sections / per_plane;
    // Strides of plane, wave, time.
    let strides = match words.i16(182) {
        1 => [waves, 1, waves * planes],
        2 => [1, planes, planes * waves],
        _ => [1, planes * times, planes],
    };
    let channels = (0..waves).map(|wave| name_of(words, wave)).collect();
    Split { channels, n_times: times, strides, planes }
}

/// The name of a wave: its wavelength, where the header has it.
fn name_of(words: &Words<'_>, wave: usize) -> String {
    match (wave < 5).then(|| words.i16(198 + 2 * wave)) {
        Some(nm) if nm > 0 => format!("{nm} nm"),
        _ => format!("wave {wave}"),
    }
}
