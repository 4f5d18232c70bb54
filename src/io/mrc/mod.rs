//! MRC (.mrc .st .rec .ali .map): the field's exchange format.
//!
//! Reads modes 0 (signed or not), 1, 2, 6 and 12 (half floats, widened to f32) in either byte
//! order, with the extended headers of SerialEM and FEI. Writes modes 0, 1, 2 and 6 with the voxel
//! size, the origin, the range and a label "unit 1/um"; classes go to NAME.mrc.json. Rows are neither flipped on reading nor on
//! writing: row 0 of the file is row 0 of the array.

mod extended;
mod header;
/// A text cut at spaces into lines that fit a label with its prefix, at most four.
fn validity_lines(text: &str) -> Vec<String> {
    let room = 80 - VALIDITY_LABEL.len();
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let word: String = word.chars().filter(char::is_ascii).take(room).collect();
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word,
            Some(line) if line.len() + 1 + word.len() <= room => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines.truncate(4);
    lines.into_iter().map(|line| format!("{VALIDITY_LABEL}{line}")).collect()
}

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array3, ArrayView3, Axis, Slice};

use self::extended::Extended;
use self::header::{HEADER_BYTES, MrcHeader, NewHeader};
use super::array::{ArrayRef, Dtype, FileVoxel, array_from_bytes, with_view};
use super::error::IoError;
use super::format::{Format, Header, Kind, OpenRequest, Probe, Source, WriteRequest, has_extension};
use super::sidecar::Sidecar;
use crate::base::{Progress, Unit};
use crate::volume::AnyArray;

/// What precedes the unit in a text label.
const UNIT_LABEL: &str = "unit ";
/// What precedes the photon energy in a text label.
const ENERGY_LABEL: &str = "energy_ev ";
/// What precedes each line of how far absorption values can be trusted.
const VALIDITY_LABEL: &str = "lac_validity ";
/// Largest extended header that is read for angles; more is skipped.
const MAX_EXTENDED: usize = 64 << 20;

/// The format.
pub(crate) struct Mrc;

struct MrcSource {
    file: File,
    path: PathBuf,
    mrc: MrcHeader,
    header: Header,
}

impl Format for Mrc {
    fn name(&self) -> &'static str {
        "MRC"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["mrc", "st", "rec", "ali", "map", "mrcs", "preali"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        header::looks_like_mrc(&probe.head)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        Ok(Box::new(MrcSource::open(request.path)?))
    }

    fn write(
        &self,
        path: &Path,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        write(path, request, progress)
    }

    fn sidecar(&self, request: &WriteRequest<'_>) -> Sidecar {
        Sidecar::classes_of(request)
    }
}

impl MrcSource {
    fn open(path: &Path) -> Result<Self, IoError> {
        let read_error = |e| IoError::system("read", path, e);
        let mut file = File::open(path).map_err(read_error)?;
        let length = file.metadata().map_err(read_error)?.len();
        let mut raw = [0; HEADER_BYTES];
        if length < HEADER_BYTES as u64 {
            let problem = format!("truncated: {length} bytes, an MRC header alone has {HEADER_BYTES}");
            return Err(IoError::content(path, problem));
        }
        file.read_exact(&mut raw).map_err(read_error)?;
        let mrc = header::parse(&raw).map_err(|problem| IoError::content(path, problem))?;
        check_length(path, &mrc, length)?;
        let mut bytes = vec![0; if mrc.n_extended <= MAX_EXTENDED { mrc.n_extended } else { 0 }];
        file.read_exact(&mut bytes).map_err(read_error)?;
        let extended = extended::parse(&mrc, &bytes);
        let header = header_of(path, &mrc, extended);
        Ok(Self { file, path: path.to_owned(), mrc, header })
    }
}

/// Refuses a file that is shorter than its header promises, before anything of that size is allocated.
fn check_length(path: &Path, mrc: &MrcHeader, length: u64) -> Result<(), IoError> {
    let [z, y, x] = mrc.shape;
    let promised = [z, y, x]
        .iter()
        .try_fold(mrc.file_value_bytes() as u64, |n, side| n.checked_mul(*side as u64))
        .and_then(|n| n.checked_add(mrc.data_offset()));
    match promised {
        Some(promised) if promised <= length => Ok(()),
        _ => {
            let promised = promised.map_or_else(|| "more than 2^64".to_owned(), |n| n.to_string());
            let problem = format!(
                "truncated: {z} × {y} × {x} values of mode {} need {promised} bytes, the file has {length}; copy it again",
                mrc.mode
            );
            Err(IoError::content(path, problem))
        }
    }
}

fn header_of(path: &Path, mrc: &MrcHeader, extended: Extended) -> Header {
    let mut header = Header::new("MRC", mrc.shape, mrc.dtype);
    header.voxel_um = mrc.voxel_um;
    header.origin_um = mrc.origin_um;
    header.warnings.clone_from(&mrc.warnings);
    if mrc.voxel_um.is_none()
        && let Some(pixel_um) = extended.pixel_um
    {
        header.voxel_um = Some([pixel_um; 3]);
        header.warnings = vec![format!(
            "pixel size {pixel_um} µm taken from the extended header, the main header has none"
        )];
    }
    header.angles_deg = extended.angles_deg;
    if !header.angles_deg.is_empty() || (mrc.shape[0] > 1 && has_extension(path, &["st", "ali", "preali"])) {
        header.kind = Kind::Scan;
    }
    header.metadata.insert("mode".to_owned(), mrc.mode.to_string());
    if mrc.big_endian {
        header.metadata.insert("byte_order".to_owned(), "big".to_owned());
    }
    if !mrc.extended_kind.is_empty() {
        header.metadata.insert("extended_header".to_owned(), mrc.extended_kind.clone());
    }
    let (mut free, mut validity) = (Vec::new(), Vec::new());
    for label in &mrc.labels {
        if let Some(unit) = label.strip_prefix(UNIT_LABEL).and_then(Unit::from_ascii) {
            header.set_unit(unit);
        } else if let Some(energy) = label.strip_prefix(ENERGY_LABEL).and_then(|e| e.parse::<f64>().ok()) {
            header.energy_ev = Some(energy).filter(|e| e.is_finite() && *e > 0.0);
        } else if let Some(line) = label.strip_prefix(VALIDITY_LABEL) {
            validity.push(line.trim());
        } else {
            free.push(label.as_str());
        }
    }
    if !validity.is_empty() {
        header.metadata.insert("lac_validity".to_owned(), validity.join(" "));
    }
    if !free.is_empty() {
        header.metadata.insert("labels".to_owned(), free.join("\n"));
    }
    header
}

impl Source for MrcSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let [_, rows, cols] = self.mrc.shape;
        let plane_bytes = rows * cols * self.mrc.file_value_bytes();
        let start = self.mrc.data_offset() + planes.start as u64 * plane_bytes as u64;
        let mut bytes = vec![0; planes.len() * plane_bytes];
        self.file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|e| IoError::system("read", &self.path, e))?;
        let shape = [planes.len(), rows, cols];
        let array = if self.mrc.mode == 12 {
            half_array(shape, &bytes, self.mrc.big_endian)
        } else {
            array_from_bytes(self.mrc.dtype, shape, &bytes, self.mrc.big_endian)
        };
        array.ok_or_else(|| IoError::content(&self.path, "the number of values does not fit the header"))
    }
}

/// Half floats widened to f32, which holds each of them exactly.
fn half_array(shape: [usize; 3], bytes: &[u8], big_endian: bool) -> Option<AnyArray> {
    let values = bytes
        .chunks_exact(2)
        .map(|pair| {
            let bits = [pair[0], pair[1]];
            let bits = if big_endian { u16::from_be_bytes(bits) } else { u16::from_le_bytes(bits) };
            half::f16::from_bits(bits).to_f32()
        })
        .collect();
    Array3::from_shape_vec(shape, values).ok().map(AnyArray::F32)
}

/// How a type without a mode of its own is stored: exactly where possible, with a sentence about it.
fn stored_type(path: &Path, array: &ArrayRef<'_>, losses: &mut Vec<String>) -> Result<Dtype, IoError> {
    let dtype = array.dtype();
    if matches!(dtype, Dtype::U8 | Dtype::I8 | Dtype::I16 | Dtype::U16 | Dtype::F32) {
        return Ok(dtype);
    }
    let name = dtype.name();
    if dtype == Dtype::F64 {
        losses.push("float64 values are rounded to float32, MRC has no float64".to_owned());
        return Ok(Dtype::F32);
    }
    let (min, max) = array.stats().map_or((0.0, 0.0), |s| (s.min, s.max));
    let stored = if min >= 0.0 && max <= f64::from(u16::MAX) {
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
    };
    losses.push(format!("{name} is stored as {}, every value exactly", stored.name()));
    Ok(stored)
}

fn write(path: &Path, request: &WriteRequest<'_>, progress: &Progress) -> Result<Vec<String>, IoError> {
    let mut losses = Vec::new();
    let array = &request.array;
    let dtype = stored_type(path, array, &mut losses)?;
    let shape = array.shape();
    let mut labels = Vec::new();
    if let Some(unit) = request.unit {
        labels.push(format!("{UNIT_LABEL}{}", unit.ascii()));
    }
    if let Some(energy) = request.energy_ev {
        labels.push(format!("{ENERGY_LABEL}{energy}"));
    }
    let validity = request.metadata.get("lac_validity").into_iter().flat_map(|text| validity_lines(text));
    labels.extend(validity);
    labels.extend(request.metadata.get("made_by").into_iter().flat_map(|text| header::label_lines(text)));
    if !request.angles_deg.is_empty() {
        losses.push("tilt angles are not stored in MRC; write a .rawtlt beside it".to_owned());
    }
    let new = NewHeader {
        shape,
        dtype,
        voxel_um: request.voxel_um,
        origin_um: request.origin_um,
        statistics: statistics(array),
        is_stack: request.is_stack(),
        labels: &labels,
    };
    let raw = header::build(&new).map_err(|problem| IoError::content(path, problem))?;
    let system = |e| IoError::system("write", path, e);
    let mut file = BufWriter::new(File::create(path).map_err(|e| IoError::system("create", path, e))?);
    file.write_all(&raw).map_err(system)?;
    progress.phase("Writing", shape[0] as u64);
    for z in 0..shape[0] {
        progress.check()?;
        file.write_all(&plane_bytes(array, z, dtype)).map_err(system)?;
        progress.advance(1);
    }
    file.flush().map_err(system)?;
    Ok(losses)
}

/// Plane `z` as little-endian bytes of the stored type.
fn plane_bytes(array: &ArrayRef<'_>, z: usize, dtype: Dtype) -> Vec<u8> {
    if array.dtype() == dtype {
        return array.plane_bytes(z, z + 1);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`stored_type` looked at every value; float64 is rounded and said so"
    )]
    fn convert<T: FileVoxel>(view: &ArrayView3<'_, T>, z: usize, dtype: Dtype) -> Vec<u8> {
        let plane = view.slice_axis(Axis(0), Slice::from(z..z + 1));
        let values = plane.iter().map(|v| v.to_f64());
        match dtype {
            Dtype::U16 => values.flat_map(|v| (v as u16).to_le_bytes()).collect(),
            Dtype::I16 => values.flat_map(|v| (v as i16).to_le_bytes()).collect(),
            _ => values.flat_map(|v| (v as f32).to_le_bytes()).collect(),
        }
    }
    with_view!(array, view => convert(view, z, dtype))
}

/// Smallest, largest, mean value and the deviation from the mean, of the finite values; by plane, in order.
fn statistics(array: &ArrayRef<'_>) -> [f64; 4] {
    let Some(stats) = array.stats() else { return [0.0, -1.0, -2.0, -1.0] };
    fn squares<T: FileVoxel>(view: &ArrayView3<'_, T>, mean: f64) -> (f64, f64) {
        view.iter()
            .map(|v| v.to_f64())
            .filter(|v| v.is_finite())
            .fold((0.0, 0.0), |(sum, n), v| (sum + (v - mean) * (v - mean), n + 1.0))
    }
    let (sum, n) = with_view!(array, view => squares(view, stats.mean));
    [stats.min, stats.max, stats.mean, (sum / f64::max(n, 1.0)).sqrt()]
}
