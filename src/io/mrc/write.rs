//! MRC as written: little-endian, modes 0, 1, 2 and 6, after MRC2014 and with IMOD's flags, so that both read the same.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::frame::ANGSTROM_PER_UM;
use super::header::{FLAG_ORIGIN_STANDARD, FLAG_SIGNED, HEADER_BYTES, IMOD_STAMP};
use super::{ENERGY_LABEL, UNIT_LABEL, VALIDITY_LABEL};
use crate::base::Progress;
use crate::io::array::{ArrayRef, Dtype, FileVoxel, Spread, le_bytes, with_dtype, with_view, write_values};
use crate::io::error::IoError;
use crate::io::format::{Header, WriteRequest};
use crate::io::room;
use crate::io::walk::{Values, bytes_of_views, n_bytes};
use crate::volume::any::Voxel as _;

/// Label that says which program wrote the file; its voxel size is then trusted whatever it is.
pub(super) const OWN_LABEL: &str = "Waterwindow";

/// What [`write`] holds at once where planes are read one after the other; `None` for types whose range decides how they are stored.
pub(super) fn bytes_of_streaming(header: &Header) -> Option<u64> {
    let is_fixed = !matches!(header.dtype, Dtype::U32 | Dtype::I32);
    // Where bytes become two, the planes are held once more.
    bytes_of_views(header).filter(|_| is_fixed).map(|bytes| bytes.saturating_mul(2))
}

/// Writes values.
pub(super) fn write(
    path: &Path,
    values: Values<'_>,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let shape = values.shape();
    // Types whose range is asked for are held whole.
    let range = || request.array.stats().map_or((0.0, 0.0), |s| (s.min, s.max));
    let (dtype, losses) = stored_type(path, values.dtype(), range)?;
    let mut out = Out::create(path, dtype, shape)?;
    values.for_each(progress, |planes| out.planes(&planes))?;
    out.finish(shape, request, losses)
}

/// How a type is stored: exactly where possible, with a sentence where it changes. `range` is asked for where it decides.
fn stored_type(
    path: &Path,
    dtype: Dtype,
    range: impl FnOnce() -> (f64, f64),
) -> Result<(Dtype, Vec<String>), IoError> {
    let name = dtype.name();
    let stored = match dtype {
        Dtype::I8 | Dtype::I16 | Dtype::U16 | Dtype::F32 => return Ok((dtype, Vec::new())),
        // Bytes of mode 0 are signed for whoever follows MRC2014.
        Dtype::U8 => Dtype::U16,
        Dtype::F64 => {
            let said = "float64 values are rounded to float32, MRC has no float64".to_owned();
            return Ok((Dtype::F32, vec![said]));
        }
        Dtype::U32 | Dtype::I32 => {
            let (min, max) = range();
            if min >= 0.0 && max <= f64::from(u16::MAX) {
                Dtype::U16
            } else if min >= f64::from(i16::MIN) && max <= f64::from(i16::MAX) {
                Dtype::I16
            } else if min.abs().max(max.abs()) <= f64::from(1u32 << 24) {
                Dtype::F32
            } else {
                let problem = format!(
                    "MRC holds whole numbers up to 2^24 exactly, the array goes from {min} to {max}; write .zarr, .tif or .npy"
                );
                return Err(IoError::content(path, problem));
            }
        }
    };
    Ok((stored, vec![format!("{name} is stored as {}, every value exactly", stored.name())]))
}

/// A file that is written plane by plane; its header comes last, when the range of the values is known.
struct Out<'a> {
    path: &'a Path,
    file: File,
    dtype: Dtype,
    spread: Spread,
}

impl<'a> Out<'a> {
    fn create(path: &'a Path, dtype: Dtype, shape: [usize; 3]) -> Result<Self, IoError> {
        let mut file = room::create(path, n_bytes(dtype, shape).saturating_add(HEADER_BYTES as u64))
            .map_err(|e| IoError::system("create", path, e))?;
        file.write_all(&[0; HEADER_BYTES]).map_err(|e| IoError::system("write", path, e))?;
        Ok(Self { path, file, dtype, spread: Spread::default() })
    }

    fn planes(&mut self, planes: &ArrayRef<'_>) -> Result<(), IoError> {
        self.spread.add(planes);
        let written = if planes.dtype() == self.dtype {
            write_values(planes, &mut self.file)
        } else {
            self.file.write_all(&with_dtype!(self.dtype, T => converted::<T>(planes)))
        };
        written.map_err(|e| IoError::system("write", self.path, e))
    }

    fn finish(
        mut self,
        shape: [usize; 3],
        request: &WriteRequest<'_>,
        mut losses: Vec<String>,
    ) -> Result<Vec<String>, IoError> {
        if !request.angles_deg.is_empty() {
            losses.push("tilt angles are not stored in MRC; write a .rawtlt beside it".to_owned());
        }
        let new = NewHeader {
            shape,
            dtype: self.dtype,
            voxel_um: request.voxel_um,
            origin_um: request.origin_um,
            statistics: self.spread.statistics(),
            is_stack: request.is_stack(),
            labels: &labels_of(request),
        };
        let raw = build(&new).map_err(|problem| IoError::content(self.path, problem))?;
        let system = |e| IoError::system("write", self.path, e);
        self.file.seek(SeekFrom::Start(0)).map_err(system)?;
        self.file.write_all(&raw).map_err(system)?;
        Ok(losses)
    }
}

/// Planes as little-endian bytes of another type; every value was seen to fit, or its rounding is said.
fn converted<T: FileVoxel>(planes: &ArrayRef<'_>) -> Vec<u8> {
    with_view!(planes, view => le_bytes(&view.mapv(|v| T::from_f64(v.to_f64())).view()))
}

/// The lines of text of a file.
fn labels_of(request: &WriteRequest<'_>) -> Vec<String> {
    let mut labels = Vec::new();
    if let Some(unit) = request.unit {
        labels.push(format!("{UNIT_LABEL}{}", unit.ascii()));
    }
    if let Some(energy) = request.energy_ev {
        labels.push(format!("{ENERGY_LABEL}{energy}"));
    }
    let text = |key: &str| request.metadata.get(key).map_or("", String::as_str);
    let room = LABEL_BYTES - VALIDITY_LABEL.len();
    labels.extend(
        lines(text("lac_validity"), room).into_iter().take(4).map(|line| format!("{VALIDITY_LABEL}{line}")),
    );
    labels.extend(lines(text("made_by"), LABEL_BYTES));
    labels
}

/// Bytes of a label.
const LABEL_BYTES: usize = 80;

/// A text cut at spaces into lines of ASCII that fit into `room` bytes.
fn lines(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word: String = word.chars().filter(char::is_ascii).take(room).collect();
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= room => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
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
        Dtype::I8 => 0i32,
        Dtype::I16 => 1,
        Dtype::F32 => 2,
        Dtype::U16 => 6,
        other => return Err(format!("MRC has no mode for {}", other.name())),
    };
    for (i, side) in new.shape.iter().rev().enumerate() {
        let side = i32::try_from(*side).map_err(|_e| format!("a side of {side} voxels is beyond MRC"))?;
        put(4 * i, side.to_le_bytes());
        // A stack of pictures has cells of one section each.
        let intervals = if new.is_stack && i == 2 { 1 } else { side };
        put(28 + 4 * i, intervals.to_le_bytes());
        let axis = [1i32, 2, 3][i];
        put(64 + 4 * i, axis.to_le_bytes());
        put(52 + 4 * i, 90f32.to_le_bytes());
        if let Some(voxel) = new.voxel_um {
            let cell = voxel[2 - i] * ANGSTROM_PER_UM * f64::from(intervals);
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
