//! The 1024-byte header of MRC files, as read.
//!
//! Layout after Cheng et al. 2015 (doi:10.1016/j.jsb.2015.04.002, "MRC2014") and the IMOD header,
//! which uses its spare words. Real files break the standard in many ways: the byte-order stamp
//! may be nonsense, the version 0, the cell empty. What can be told from the rest is accepted, and said.

use super::dv;
use super::frame::{self, Frame};
use crate::io::array::Dtype;
use crate::io::raw::{RawLayout, Stored};

/// Bytes of the main header.
pub(super) const HEADER_BYTES: usize = 1024;
/// Marks a header as one with IMOD's flags.
pub(super) const IMOD_STAMP: i32 = 1_146_047_817;
/// Flag: bytes of mode 0 are signed.
pub(super) const FLAG_SIGNED: i32 = 1;
/// Flag: the origin has the sign of MRC2014, not IMOD's.
pub(super) const FLAG_ORIGIN_STANDARD: i32 = 4;
/// Flag: every byte of mode 0 holds two values of 4 bits.
const FLAG_NIBBLES: i32 = 16;
/// Longest side that is believed; nothing real is above it.
const MAX_SIDE: i32 = 1 << 24;
/// Space groups of stacks of volumes.
const VOLUME_STACKS: std::ops::RangeInclusive<i32> = 401..=630;

/// A parsed header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MrcHeader {
    /// Whether numbers are big-endian.
    pub(super) big_endian: bool,
    /// Sections, rows and columns as they are stored; 0 sections where the writer never filled the number in.
    pub(super) shape: [usize; 3],
    /// The MRC mode.
    pub(super) mode: i32,
    /// How values are stored.
    pub(super) values: Values,
    /// Volumes, waves and times among the sections.
    pub(super) split: Split,
    /// Bytes of the extended header.
    pub(super) n_extended: usize,
    /// Kind of the extended header ("FEI1"), empty where untagged.
    pub(super) extended_kind: String,
    /// IMOD's `nint` and `nreal`, which describe an untagged or SerialEM extended header.
    pub(super) n_int_real: [i16; 2],
    /// How the stored axes lie in space, with their voxel size.
    pub(super) frame: Frame,
    /// Text labels that are not empty.
    pub(super) labels: Vec<String>,
    /// Whether it is a DeltaVision (Priism) header.
    pub(super) is_dv: bool,
    /// Tilt of the first section and step in degrees, where the header describes a tilt series.
    pub(super) tilt_steps: Option<[f64; 2]>,
    /// What had to be assumed.
    pub(super) warnings: Vec<String>,
}

/// How the values of a mode are stored, and what they are called where there are several at each column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values {
    pub(super) stored: Stored,
    /// Names of the values at a column; empty where there is one.
    pub(super) names: &'static [&'static str],
}

impl Values {
    fn one(stored: Stored) -> Self {
        Self { stored, names: &[] }
    }

    /// Values at each column.
    pub(super) fn n(&self) -> usize {
        self.names.len().max(1)
    }
}

/// How sections are shared out among channels and times: strides are in sections.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Split {
    /// Names of the channels; empty where there is one.
    pub(super) channels: Vec<String>,
    pub(super) n_times: usize,
    /// Sections from one plane, channel and time to the next.
    pub(super) strides: [usize; 3],
    /// Planes of one channel and time.
    pub(super) planes: usize,
}

impl Split {
    /// Every section a plane.
    pub(super) fn none(planes: usize) -> Self {
        Self { channels: Vec::new(), n_times: 1, strides: [1, planes, planes], planes }
    }

    /// Channels among the sections.
    pub(super) fn n_channels(&self) -> usize {
        self.channels.len().max(1)
    }
}

impl MrcHeader {
    /// Where the values begin.
    pub(super) fn data_offset(&self) -> u64 {
        HEADER_BYTES as u64 + self.n_extended as u64
    }
}

/// Numbers at fixed places of a header.
pub(super) struct Words<'a> {
    pub(super) raw: &'a [u8; HEADER_BYTES],
    pub(super) big_endian: bool,
}

impl Words<'_> {
    pub(super) fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some(found) = self.raw.get(at..at + N) {
            bytes.copy_from_slice(found);
        }
        bytes
    }

    pub(super) fn i32(&self, at: usize) -> i32 {
        let bytes = self.bytes(at);
        if self.big_endian { i32::from_be_bytes(bytes) } else { i32::from_le_bytes(bytes) }
    }

    pub(super) fn i16(&self, at: usize) -> i16 {
        let bytes = self.bytes(at);
        if self.big_endian { i16::from_be_bytes(bytes) } else { i16::from_le_bytes(bytes) }
    }

    pub(super) fn f32(&self, at: usize) -> f32 {
        let bytes = self.bytes(at);
        if self.big_endian { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) }
    }

    /// Whether sides and mode make sense in this byte order; the number of sections may not be filled in yet.
    fn is_sane(&self) -> bool {
        let side = |i: usize| self.i32(4 * i);
        (1..=MAX_SIDE).contains(&side(0))
            && (1..=MAX_SIDE).contains(&side(1))
            && (0..=MAX_SIDE).contains(&side(2))
            && matches!(self.i32(12), 0..=7 | 12 | 16 | 101)
    }
}

/// Whether the bytes carry the format's mark and make sense.
pub(super) fn looks_like_mrc(head: &[u8]) -> bool {
    let Some(raw) = head.first_chunk::<HEADER_BYTES>() else { return false };
    let sane = |big_endian| Words { raw, big_endian }.is_sane();
    // The mark alone decides even when the numbers are nonsense: the message is then about them, not about a foreign file.
    &raw[208..211] == b"MAP"
        || ((sane(false) || sane(true)) && (has_old_signs(raw) || dv::byte_order(raw).is_some()))
}

/// Signs of MRC files from before the mark existed: axis order 1, 2, 3 in either byte order.
fn has_old_signs(raw: &[u8; HEADER_BYTES]) -> bool {
    let axes = |big_endian| {
        let words = Words { raw, big_endian };
        [words.i32(64), words.i32(68), words.i32(72)] == [1, 2, 3] && words.is_sane()
    };
    axes(false) || axes(true)
}

/// Parses the header of a file of `length` bytes, or says what is wrong with it.
pub(super) fn parse(raw: &[u8; HEADER_BYTES], length: u64) -> Result<MrcHeader, String> {
    let mut warnings = Vec::new();
    let dv_order = dv::byte_order(raw).filter(|big_endian| Words { raw, big_endian: *big_endian }.is_sane());
    let is_dv = dv_order.is_some();
    let words = match dv_order {
        Some(big_endian) => Words { raw, big_endian },
        None => words_in_order(raw, &mut warnings)?,
    };
    let side = |i: usize| usize::try_from(words.i32(4 * i)).map_err(|_e| "a negative side".to_owned());
    let mut shape = [side(2)?, side(1)?, side(0)?];
    let mode = words.i32(12);
    let imod = !is_dv && words.i32(152) == IMOD_STAMP;
    let flags = if imod { words.i32(156) } else { 0 };
    let values = if is_dv { dv::values(mode)? } else { values_of(mode, imod.then_some(flags), &words)? };
    let is_packed_mode_0 = mode == 0 && flags & FLAG_NIBBLES != 0;
    if is_packed_mode_0 {
        warnings.push(
            "IMOD's flag says that each byte holds two values of 4 bits: they were taken apart".to_owned(),
        );
        shape[2] *= 2;
    }
    let mut n_extended = usize::try_from(words.i32(92))
        .map_err(|_e| format!("an extended header of {} bytes", words.i32(92)))?;
    match_length(&values, &mut shape, &mut n_extended, length, &mut warnings)?;
    let labels = labels_of(raw, words.i32(220));
    let frame = if is_dv {
        dv::frame(&words)
    } else {
        let flip = imod && flags & FLAG_ORIGIN_STANDARD == 0;
        frame::read(&words, shape, flip, &labels, &mut warnings)
    };
    let split = if is_dv {
        dv::split(&words, shape[0], &mut warnings)
    } else {
        volumes_of(&words, shape[0], &mut warnings)
    };
    let extended_kind = String::from_utf8_lossy(&words.bytes::<4>(104)).trim_matches(['\0', ' ']).to_owned();
    Ok(MrcHeader {
        big_endian: words.big_endian,
        shape,
        mode,
        values,
        split,
        n_extended,
        extended_kind: if is_dv { String::new() } else { extended_kind },
        n_int_real: [words.i16(128), words.i16(130)],
        frame,
        labels,
        is_dv,
        tilt_steps: tilt_steps(&words),
        warnings,
    })
}

/// Brings the number of sections and the size of the extended header in line with the length of the file, where they
/// were never filled in or are nonsense.
fn match_length(
    values: &Values,
    shape: &mut [usize; 3],
    n_extended: &mut usize,
    length: u64,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    let mut layout = RawLayout::plain(HEADER_BYTES as u64, values.stored, false, *shape);
    layout.n_components = values.n();
    let Some(section) = layout.section_bytes().filter(|n| *n > 0) else { return Ok(()) };
    let body = length.saturating_sub(HEADER_BYTES as u64);
    if *n_extended > 0 && section.checked_mul(shape[0] as u64) == Some(body) && body > 0 {
        warnings.push(format!(
            "the header tells of an extended header of {n_extended} bytes, but the file has room for its values only: they were read from byte {HEADER_BYTES} on"
        ));
        *n_extended = 0;
    }
    if shape[0] == 0 {
        let n = body.saturating_sub(*n_extended as u64) / section;
        shape[0] = usize::try_from(n).unwrap_or(0);
        if n == 0 {
            return Err("the header counts 0 sections and the file holds not one whole; wait until it is written, or copy it again".to_owned());
        }
        warnings.push(format!(
            "the header counts 0 sections (still being written?): {n} whole ones were found and read"
        ));
    }
    Ok(())
}

/// The byte order: what the stamp says if the numbers make sense that way, else the order in which they do.
fn words_in_order<'a>(raw: &'a [u8; HEADER_BYTES], warnings: &mut Vec<String>) -> Result<Words<'a>, String> {
    let stamped_big = match raw[212] {
        0x44 => Some(false),
        0x11 => Some(true),
        _ => None,
    };
    let first = stamped_big.unwrap_or(false);
    for big_endian in [first, !first] {
        let words = Words { raw, big_endian };
        if words.is_sane() {
            if stamped_big.is_some_and(|stamped| stamped != big_endian) {
                warnings.push(
                    "the byte-order stamp contradicts the numbers, the numbers were believed".to_owned(),
                );
            }
            return Ok(words);
        }
    }
    let words = Words { raw, big_endian: first };
    let [z, y, x, mode] = [8, 4, 0, 12].map(|at| words.i32(at));
    if (1..=MAX_SIDE).contains(&x) && (1..=MAX_SIDE).contains(&y) && (0..=MAX_SIDE).contains(&z) {
        return Err(unknown_mode(mode));
    }
    Err(format!(
        "not an MRC file, or a damaged one: its header would mean {z} × {y} × {x} values of mode {mode}"
    ))
}

/// The message about a mode that nobody knows.
pub(super) fn unknown_mode(mode: i32) -> String {
    format!("mode {mode} is not read; modes 0, 1, 2, 3, 4, 6, 12, 16 and 101 are")
}

/// How a mode stores its values. Bytes are signed where IMOD's flag or the header's range says so, else as MRC2014 has it.
fn values_of(mode: i32, imod_flags: Option<i32>, words: &Words<'_>) -> Result<Values, String> {
    const COMPLEX: &[&str] = &["real", "imaginary"];
    Ok(match mode {
        0 if imod_flags.is_some_and(|flags| flags & FLAG_NIBBLES != 0) => Values::one(Stored::Nibbles),
        0 => {
            let (min, max, version) = (words.f32(76), words.f32(80), words.i32(108));
            let signed = match imod_flags {
                Some(flags) => flags & FLAG_SIGNED != 0,
                None if max > 127.0 && max <= 255.0 && min >= 0.0 => false,
                None if (-128.0..0.0).contains(&min) && max > min => true,
                None => version >= 20140,
            };
            Values::one(Stored::Same(if signed { Dtype::I8 } else { Dtype::U8 }))
        }
        1 => Values::one(Stored::Same(Dtype::I16)),
        2 => Values::one(Stored::Same(Dtype::F32)),
        3 => Values { stored: Stored::Same(Dtype::I16), names: COMPLEX },
        4 => Values { stored: Stored::Same(Dtype::F32), names: COMPLEX },
        6 => Values::one(Stored::Same(Dtype::U16)),
        12 => Values::one(Stored::F16),
        16 => Values { stored: Stored::Same(Dtype::U8), names: &["red", "green", "blue"] },
        101 => Values::one(Stored::Nibbles),
        other => return Err(unknown_mode(other)),
    })
}

/// Volumes of a stack of volumes (space groups 401 to 630), each of `mz` sections, as points of time.
fn volumes_of(words: &Words<'_>, n_sections: usize, warnings: &mut Vec<String>) -> Split {
    let mz = usize::try_from(words.i32(36)).unwrap_or(0);
    if !VOLUME_STACKS.contains(&words.i32(88)) || mz == 0 || mz >= n_sections {
        return Split::none(n_sections);
    }
    if !n_sections.is_multiple_of(mz) {
        warnings.push(format!(
            "a stack of volumes of {mz} sections each, but {n_sections} sections in all: they were read as one volume"
        ));
        return Split::none(n_sections);
    }
    Split { channels: Vec::new(), n_times: n_sections / mz, strides: [1, 0, mz], planes: mz }
}

/// First tilt and step in degrees, where IMOD's or Priism's words say that the sections are a tilt series.
fn tilt_steps(words: &Words<'_>) -> Option<[f64; 2]> {
    let [kind, axis, step, start] = [160, 164, 168, 170].map(|at| words.i16(at));
    (kind == 1 && (1..=3).contains(&axis) && step != 0)
        .then(|| [f64::from(start) / 100.0, f64::from(step) / 100.0])
}

fn labels_of(raw: &[u8; HEADER_BYTES], n_labels: i32) -> Vec<String> {
    let n = usize::try_from(n_labels).unwrap_or(0).min(10);
    raw[224..]
        .chunks_exact(80)
        .take(if n == 0 { 10 } else { n })
        .map(|label| {
            let text: String = label.iter().take_while(|b| **b != 0).map(|b| char::from(*b)).collect();
            text.trim().to_owned()
        })
        .filter(|label| !label.is_empty())
        .collect()
}
