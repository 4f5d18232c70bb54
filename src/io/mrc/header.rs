//! The 1024-byte header of MRC files, as read and as written.
//!
//! Layout after Cheng et al. 2015 (doi:10.1016/j.jsb.2015.04.002, "MRC2014") and the IMOD header,
//! which uses its spare words. Real files break the standard in many ways: the byte-order stamp
//! may be nonsense, the version 0, the cell empty. What can be told from the rest is accepted.

use crate::io::array::Dtype;

/// Bytes of the main header.
pub(super) const HEADER_BYTES: usize = 1024;
/// Marks a header as one with IMOD's flags.
const IMOD_STAMP: i32 = 1_146_047_817;
/// Flag: bytes of mode 0 are signed.
const FLAG_SIGNED: i32 = 1;
/// Flag: the origin has the sign of MRC2014, not IMOD's.
const FLAG_ORIGIN_STANDARD: i32 = 4;
/// Longest side that is believed; nothing real is above it.
const MAX_SIDE: i32 = 1 << 24;
/// Å in a µm.
const ANGSTROM_PER_UM: f64 = 1e4;

/// A parsed header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MrcHeader {
    /// Whether numbers are big-endian.
    pub(super) big_endian: bool,
    /// Shape as z, y, x.
    pub(super) shape: [usize; 3],
    /// The MRC mode.
    pub(super) mode: i32,
    /// Type of a value once read.
    pub(super) dtype: Dtype,
    /// Bytes of the extended header.
    pub(super) n_extended: usize,
    /// Kind of the extended header ("FEI1"), empty where untagged.
    pub(super) extended_kind: String,
    /// IMOD's `nint` and `nreal`, which describe an untagged or SerialEM extended header.
    pub(super) n_int_real: [i16; 2],
    /// Voxel size in µm, z, y, x.
    pub(super) voxel_um: Option<[f64; 3]>,
    /// Position of voxel (0, 0, 0) in µm, z, y, x.
    pub(super) origin_um: [f64; 3],
    /// Text labels that are not empty.
    pub(super) labels: Vec<String>,
    /// What had to be assumed.
    pub(super) warnings: Vec<String>,
}

impl MrcHeader {
    /// Where the values begin.
    pub(super) fn data_offset(&self) -> u64 {
        HEADER_BYTES as u64 + self.n_extended as u64
    }

    /// Bytes of one value in the file (half floats are widened on reading).
    pub(super) fn file_value_bytes(&self) -> usize {
        if self.mode == 12 { 2 } else { self.dtype.n_bytes() }
    }
}

/// Numbers at fixed places of a header.
struct Words<'a> {
    raw: &'a [u8; HEADER_BYTES],
    big_endian: bool,
}

impl Words<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        if let Some(found) = self.raw.get(at..at + N) {
            bytes.copy_from_slice(found);
        }
        bytes
    }

    fn i32(&self, at: usize) -> i32 {
        let bytes = self.bytes(at);
        if self.big_endian { i32::from_be_bytes(bytes) } else { i32::from_le_bytes(bytes) }
    }

    fn i16(&self, at: usize) -> i16 {
        let bytes = self.bytes(at);
        if self.big_endian { i16::from_be_bytes(bytes) } else { i16::from_le_bytes(bytes) }
    }

    fn f32(&self, at: usize) -> f32 {
        let bytes = self.bytes(at);
        if self.big_endian { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) }
    }

    /// Whether sides and mode make sense in this byte order.
    fn is_sane(&self) -> bool {
        (0..3).all(|i| (1..=MAX_SIDE).contains(&self.i32(4 * i)))
            && matches!(self.i32(12), 0..=4 | 6 | 12 | 16 | 101)
    }
}

/// Whether the bytes carry the format's mark and make sense.
pub(super) fn looks_like_mrc(head: &[u8]) -> bool {
    let Some(raw) = head.first_chunk::<HEADER_BYTES>() else { return false };
    let sane = |big_endian| Words { raw, big_endian }.is_sane();
    // The mark alone decides even when the numbers are nonsense: the message is then about them, not about a foreign file.
    &raw[208..211] == b"MAP" || ((sane(false) || sane(true)) && has_old_signs(raw))
}

/// Signs of MRC files from before the mark existed: axis order 1, 2, 3 in either byte order.
fn has_old_signs(raw: &[u8; HEADER_BYTES]) -> bool {
    let axes = |big_endian| {
        let words = Words { raw, big_endian };
        [words.i32(64), words.i32(68), words.i32(72)] == [1, 2, 3] && words.is_sane()
    };
    axes(false) || axes(true)
}

/// Parses a header, or says what is wrong with it.
pub(super) fn parse(raw: &[u8; HEADER_BYTES]) -> Result<MrcHeader, String> {
    let mut warnings = Vec::new();
    let words = words_in_order(raw, &mut warnings)?;
    let side = |i: usize| usize::try_from(words.i32(4 * i)).map_err(|_e| "a negative side".to_owned());
    let shape = [side(2)?, side(1)?, side(0)?];
    let mode = words.i32(12);
    let imod = words.i32(152) == IMOD_STAMP;
    let flags = if imod { words.i32(156) } else { 0 };
    let dtype = dtype_of(mode, imod.then_some(flags), &words)?;
    let n_extended = usize::try_from(words.i32(92))
        .map_err(|_e| format!("an extended header of {} bytes", words.i32(92)))?;
    let labels = labels_of(raw, words.i32(220));
    let (voxel_um, origin_um) =
        frame_of(&words, imod && flags & FLAG_ORIGIN_STANDARD == 0, &labels, &mut warnings);
    let extended_kind = String::from_utf8_lossy(&words.bytes::<4>(104)).trim_matches(['\0', ' ']).to_owned();
    Ok(MrcHeader {
        big_endian: words.big_endian,
        shape,
        mode,
        dtype,
        n_extended,
        extended_kind,
        n_int_real: [words.i16(128), words.i16(130)],
        voxel_um,
        origin_um,
        labels,
        warnings,
    })
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
    Err(format!(
        "not an MRC file, or a damaged one: its header would mean {} × {} × {} values of mode {}",
        words.i32(8),
        words.i32(4),
        words.i32(0),
        words.i32(12)
    ))
}

/// Type of the values. Bytes are signed where IMOD's flag or the header's range says so, else as MRC2014 has it.
fn dtype_of(mode: i32, imod_flags: Option<i32>, words: &Words<'_>) -> Result<Dtype, String> {
    let what = match mode {
        0 => {
            let (min, max, version) = (words.f32(76), words.f32(80), words.i32(108));
            let signed = match imod_flags {
                Some(flags) => flags & FLAG_SIGNED != 0,
                None if max > 127.0 && max <= 255.0 && min >= 0.0 => false,
                None if (-128.0..0.0).contains(&min) && max > min => true,
                None => version >= 20140,
            };
            return Ok(if signed { Dtype::I8 } else { Dtype::U8 });
        }
        1 => return Ok(Dtype::I16),
        2 | 12 => return Ok(Dtype::F32),
        6 => return Ok(Dtype::U16),
        3 | 4 => "complex values",
        16 => "colour values",
        101 => "4-bit values",
        _ => "values of an unknown type",
    };
    Err(format!("mode {mode} ({what}) is not read; modes 0, 1, 2, 6 and 12 are"))
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

/// A text cut at spaces into labels of at most 80 characters.
pub(super) fn label_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= 80 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Label that says which program wrote the file; its voxel size is then trusted whatever it is.
const OWN_LABEL: &str = "Waterwindow";

/// Voxel size and origin in µm. `flip_origin`: the origin has IMOD's sign.
fn frame_of(
    words: &Words<'_>,
    flip_origin: bool,
    labels: &[String],
    warnings: &mut Vec<String>,
) -> (Option<[f64; 3]>, [f64; 3]) {
    // Cell lengths are of the axes X, Y, Z; columns, rows and sections may be any of them.
    let axes = [words.i32(64), words.i32(68), words.i32(72)];
    let mut sorted = axes;
    sorted.sort_unstable();
    let axes = if sorted == [1, 2, 3] { axes } else { [1, 2, 3] };
    if axes != [1, 2, 3] {
        warnings.push(format!(
            "columns, rows and sections are the axes {axes:?} of the header; the array is kept as stored"
        ));
    }
    let axis = |i: usize| usize::try_from(axes[i] - 1).unwrap_or(i);
    let spacing: [f64; 3] = std::array::from_fn(|i| {
        let cell = f64::from(words.f32(40 + 4 * axis(i)));
        let n = words.i32(28 + 4 * axis(i));
        if n > 0 { rounded(cell / f64::from(n)) } else { 0.0 }
    });
    let known = spacing.iter().all(|s| s.is_finite() && *s > 0.0);
    // 1 Å a pixel is what programs write that do not know it; a density map (space group set) means it.
    let own = labels.iter().any(|label| label.starts_with(OWN_LABEL));
    let placeholder = spacing == [1.0; 3] && words.i32(88) == 0 && !own;
    if known && placeholder {
        warnings.push(
            "a voxel size of exactly 1 Å in an image stack means that it was not known; pass the pixel size"
                .to_owned(),
        );
    }
    let voxel_um =
        (known && !placeholder).then(|| std::array::from_fn(|i| rounded(spacing[2 - i] / ANGSTROM_PER_UM)));
    let sign = if flip_origin { -1.0 } else { 1.0 };
    let origin: [f64; 3] = std::array::from_fn(|i| f64::from(words.f32(196 + 4 * axis(i))));
    let start: [f64; 3] = std::array::from_fn(|i| f64::from(words.i32(16 + 4 * i)) * spacing[i]);
    // Maps of the databases leave the origin at 0 and count the position in `nstart`.
    let at = if origin.iter().any(|o| *o != 0.0) { origin.map(|o| sign * o) } else { start };
    let usable = voxel_um.is_some() && at.iter().all(|a| a.is_finite());
    let origin_um =
        if usable { std::array::from_fn(|i| rounded(at[2 - i] / ANGSTROM_PER_UM) + 0.0) } else { [0.0; 3] };
    (voxel_um, origin_um)
}

/// Seven significant digits: what an f32 holds, without the noise of its last bits.
fn rounded(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

/// What a written header says.
pub(super) struct NewHeader<'a> {
    /// Shape as z, y, x.
    pub(super) shape: [usize; 3],
    /// Type of the values as stored.
    pub(super) dtype: Dtype,
    /// Voxel size in µm, z, y, x; zero in the file where unknown.
    pub(super) voxel_um: Option<[f64; 3]>,
    /// Position of voxel (0, 0, 0) in µm, z, y, x.
    pub(super) origin_um: [f64; 3],
    /// Smallest, largest, mean value and deviation from the mean.
    pub(super) statistics: [f64; 4],
    /// Whether it is a stack of pictures rather than a volume.
    pub(super) is_stack: bool,
    /// Lines of text, at most nine.
    pub(super) labels: &'a [String],
}

/// The bytes of a header, little-endian; or what does not fit into one.
#[expect(clippy::cast_possible_truncation, reason = "the format stores f32")]
pub(super) fn build(new: &NewHeader<'_>) -> Result<[u8; HEADER_BYTES], String> {
    let mut raw = [0u8; HEADER_BYTES];
    let mut put = |at: usize, bytes: [u8; 4]| raw[at..at + 4].copy_from_slice(&bytes);
    let mode = match new.dtype {
        Dtype::U8 | Dtype::I8 => 0i32,
        Dtype::I16 => 1,
        Dtype::F32 => 2,
        Dtype::U16 => 6,
        other => return Err(format!("MRC has no mode for {}", other.name())),
    };
    for (i, side) in new.shape.iter().rev().enumerate() {
        let side = i32::try_from(*side).map_err(|_e| format!("a side of {side} voxels is beyond MRC"))?;
        put(4 * i, side.to_le_bytes());
        put(28 + 4 * i, side.to_le_bytes());
        let axis = [1i32, 2, 3][i];
        put(64 + 4 * i, axis.to_le_bytes());
        put(52 + 4 * i, 90f32.to_le_bytes());
        if let Some(voxel) = new.voxel_um {
            let cell = voxel[2 - i] * ANGSTROM_PER_UM * f64::from(side);
            put(40 + 4 * i, (cell as f32).to_le_bytes());
            put(196 + 4 * i, ((new.origin_um[2 - i] * ANGSTROM_PER_UM) as f32).to_le_bytes());
        }
    }
    put(12, mode.to_le_bytes());
    let [min, max, mean, rms] = new.statistics;
    for (at, value) in [(76, min), (80, max), (84, mean), (216, rms)] {
        put(at, (value as f32).to_le_bytes());
    }
    put(88, i32::from(!new.is_stack).to_le_bytes());
    put(108, 20141i32.to_le_bytes());
    let signed = if new.dtype == Dtype::I8 { FLAG_SIGNED } else { 0 };
    put(152, IMOD_STAMP.to_le_bytes());
    put(156, (FLAG_ORIGIN_STANDARD | signed).to_le_bytes());
    put(208, *b"MAP ");
    put(212, [0x44, 0x44, 0, 0]);
    let labels = std::iter::once(OWN_LABEL).chain(new.labels.iter().map(String::as_str)).take(10);
    let mut n_labels = 0i32;
    for (slot, label) in raw[224..].chunks_exact_mut(80).zip(labels) {
        slot.fill(b' ');
        for (to, from) in slot.iter_mut().zip(label.bytes()) {
            *to = from;
        }
        n_labels += 1;
    }
    raw[220..224].copy_from_slice(&n_labels.to_le_bytes());
    Ok(raw)
}
