//! Writes stacks: for ImageJ, or as OME-TIFF.
//!
//! Planes lie right behind each other, which ImageJ expects where the description counts `images`: it reads the first
//! directory only. The other directories stand behind the values, for everyone else. What is too large for the offsets
//! of TIFF is written as ImageJ does it, with one directory for all planes, or as BigTIFF where ImageJ has no such values.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::describe::{Dialect, description, ome_xml};
use super::page::tag;
use crate::base::Progress;
use crate::io::array::{Dtype, write_values};
use crate::io::error::IoError;
use crate::io::format::WriteRequest;
use crate::io::room;
use crate::io::walk::Values;

/// Values begin at a multiple of this.
const ALIGNMENT: u64 = 16;

/// How the directories of a file are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// A directory for each plane, with offsets of 32 bits.
    Classic,
    /// As [`Layout::Classic`], with offsets of 64 bits.
    Big,
    /// One directory; ImageJ finds the planes behind the first.
    OneDirectory,
}

/// What stands before and behind the values.
pub(super) struct Frame {
    head: Vec<u8>,
    /// Bytes of the values between them.
    n_values: u64,
    tail: Vec<u8>,
}

/// One entry of a directory: tag, kind, number of values, their bytes.
type Entry = (u16, u16, u64, Vec<u8>);

const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;
const LONG8: u16 = 16;

/// Writes values; the description carries what TIFF has no tag for. Returns what other programs do not find in it.
pub(super) fn write(
    path: &Path,
    values: Values<'_>,
    request: &WriteRequest<'_>,
    is_ome: bool,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let frame = Frame::new(values.shape(), values.dtype(), request, is_ome)
        .map_err(|problem| IoError::content(path, problem))?;
    let losses = spacing_loss(values.shape(), values.dtype(), request, is_ome);
    let mut file = frame.create(path)?;
    let system = |e| IoError::system("write", path, e);
    values.for_each(progress, |planes| write_values(&planes, &mut file).map_err(system))?;
    file.write_all(&frame.tail).map_err(system)?;
    Ok(losses.into_iter().collect())
}

/// For whom a file is described.
fn dialect_of(dtype: Dtype, is_ome: bool) -> Dialect {
    match dtype {
        _ if is_ome => Dialect::Ome,
        // Other types have no place in ImageJ, or lose digits there.
        Dtype::U8 | Dtype::U16 | Dtype::I16 | Dtype::F32 => Dialect::ImageJ,
        _ => Dialect::Plain,
    }
}

/// The sentence about a distance of planes for which plain TIFF has no tag; who finds none takes that of the columns.
fn spacing_loss(
    [n_planes, ..]: [usize; 3],
    dtype: Dtype,
    request: &WriteRequest<'_>,
    is_ome: bool,
) -> Option<String> {
    let [z, _, x] = request.voxel_um.filter(|_| n_planes > 1)?;
    let is_lost = dialect_of(dtype, is_ome) == Dialect::Plain && (z - x).abs() > 1e-6 * x;
    is_lost.then(|| {
        format!(
            "only this program finds the distance of the planes ({z} µm) in a TIFF of {}; write .ome.tif, where others find it too",
            dtype.name()
        )
    })
}

/// Pixels in a unit of `um` as a fraction, as exact as 32 bits allow.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 2^32 by the bound above"
)]
fn pixels_per(um: f64, voxel_um: f64) -> Vec<u8> {
    let per_unit = um / voxel_um;
    let mut d = 1_000_000_000u32;
    while d > 1 && per_unit * f64::from(d) > f64::from(u32::MAX) {
        d /= 10;
    }
    let n = (per_unit * f64::from(d)).round().clamp(1.0, f64::from(u32::MAX)) as u32;
    [n.to_le_bytes(), d.to_le_bytes()].concat()
}

impl Frame {
    fn new(
        shape: [usize; 3],
        dtype: Dtype,
        request: &WriteRequest<'_>,
        is_ome: bool,
    ) -> Result<Self, String> {
        let dialect = dialect_of(dtype, is_ome);
        let text = match dialect {
            Dialect::Ome => ome_xml(shape, dtype, request),
            _ => description(shape[0], dialect, request),
        };
        let writer = Directories::new(shape, dtype, request, dialect, &text)?;
        Ok(writer.frame(shape[0]))
    }

    /// A file with the head, where the values follow.
    fn create(&self, path: &Path) -> Result<File, IoError> {
        let n_bytes = self.n_values.saturating_add((self.head.len() + self.tail.len()) as u64);
        let mut file = room::create(path, n_bytes).map_err(|e| IoError::system("create", path, e))?;
        file.write_all(&self.head).map_err(|e| IoError::system("write", path, e))?;
        Ok(file)
    }
}

/// Makes the directories of a file.
struct Directories {
    layout: Layout,
    /// Entries that all pages have.
    common: Vec<Entry>,
    text: Vec<u8>,
    plane_bytes: u64,
}

impl Directories {
    fn new(
        [n_planes, rows, cols]: [usize; 3],
        dtype: Dtype,
        request: &WriteRequest<'_>,
        dialect: Dialect,
        text: &str,
    ) -> Result<Self, String> {
        let side = |n: usize| u32::try_from(n).map_err(|_e| format!("a side of {n} pixels"));
        let short = |tag: u16, value: u16| (tag, SHORT, 1, value.to_le_bytes().to_vec());
        let long = |tag: u16, value: u32| (tag, LONG, 1, value.to_le_bytes().to_vec());
        let n_bytes = dtype.n_bytes();
        let format = match dtype {
            Dtype::U8 | Dtype::U16 | Dtype::U32 => 1,
            Dtype::I8 | Dtype::I16 | Dtype::I32 => 2,
            Dtype::F32 | Dtype::F64 => 3,
        };
        let mut common = vec![
            long(tag::SUBFILE, 0),
            long(tag::WIDTH, side(cols)?),
            long(tag::HEIGHT, side(rows)?),
            short(tag::BITS, u16::try_from(8 * n_bytes).unwrap_or(0)),
            short(tag::COMPRESSION, 1),
            short(tag::PHOTOMETRIC, 1),
            short(tag::SAMPLES, 1),
            long(tag::ROWS_PER_STRIP, side(rows)?),
            short(tag::SAMPLE_FORMAT, format),
        ];
        if let Some([_, y, x]) = request.voxel_um {
            // ImageJ has its own unit, others count pixels in a centimetre.
            let (um, unit) = if dialect == Dialect::ImageJ { (1.0, 1) } else { (1e4, 3) };
            common.push((tag::X_RESOLUTION, RATIONAL, 1, pixels_per(um, x)));
            common.push((tag::Y_RESOLUTION, RATIONAL, 1, pixels_per(um, y)));
            common.push(short(tag::RESOLUTION_UNIT, unit));
        }
        let plane_bytes = (rows as u64)
            .checked_mul(cols as u64)
            .and_then(|n| n.checked_mul(n_bytes as u64))
            .ok_or("a plane beyond 64 bits")?;
        let text = [text.as_bytes(), &[0]].concat();
        let mut writer = Self { layout: Layout::Classic, common, text, plane_bytes };
        let needed = writer.n_bytes(n_planes as u64).ok_or("a stack beyond 64 bits")?;
        if needed > u64::from(u32::MAX) {
            let fits = u32::try_from(plane_bytes).is_ok();
            writer.layout =
                if dialect == Dialect::ImageJ && fits { Layout::OneDirectory } else { Layout::Big };
        }
        Ok(writer)
    }

    /// Bytes of the whole file.
    fn n_bytes(&self, n_planes: u64) -> Option<u64> {
        let others = self.entries(0, false).len() as u64 * 12 + 64;
        let head = others + self.text.len() as u64 + 4 * ALIGNMENT;
        self.plane_bytes.checked_add(others)?.checked_mul(n_planes)?.checked_add(head)
    }

    fn is_big(&self) -> bool {
        self.layout == Layout::Big
    }

    /// The entries of a page whose values begin at `offset`.
    fn entries(&self, offset: u64, is_first: bool) -> Vec<Entry> {
        let long = |tag: u16, value: u64| {
            if self.is_big() {
                (tag, LONG8, 1, value.to_le_bytes().to_vec())
            } else {
                // Checked with the size of the whole file; of one directory only the first place counts.
                (tag, LONG, 1, u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes().to_vec())
            }
        };
        let mut entries = self.common.clone();
        entries.push(long(tag::STRIP_OFFSETS, offset));
        entries.push(long(tag::STRIP_BYTES, self.plane_bytes));
        if is_first {
            entries.push((tag::DESCRIPTION, ASCII, self.text.len() as u64, self.text.clone()));
        }
        entries.sort_by_key(|entry| entry.0);
        entries
    }

    /// A directory at `at` with the values that do not fit into it right behind it.
    fn directory(&self, entries: &[Entry], at: u64, next: u64) -> Vec<u8> {
        let (n_head, n_entry, n_field) = if self.is_big() { (8, 20, 8) } else { (2, 12, 4) };
        let word = |value: u64, n: usize| value.to_le_bytes()[..n].to_vec();
        let n_directory = n_head + entries.len() * n_entry + n_field;
        let mut bytes = word(entries.len() as u64, n_head);
        let mut behind: Vec<u8> = Vec::new();
        for (tag, kind, count, value) in entries {
            bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            bytes.extend(word(*count, n_field));
            if value.len() <= n_field {
                bytes.extend(value);
                bytes.resize(bytes.len() + n_field - value.len(), 0);
            } else {
                bytes.extend(word(at + (n_directory + behind.len()) as u64, n_field));
                behind.extend(value);
                behind.resize(behind.len().next_multiple_of(8), 0);
            }
        }
        bytes.extend(word(next, n_field));
        bytes.extend(behind);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    }

    fn frame(&self, n_planes: usize) -> Frame {
        let start: &[u8] = if self.is_big() {
            &[b'I', b'I', 43, 0, 8, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0]
        } else {
            &[b'I', b'I', 42, 0, 8, 0, 0, 0]
        };
        let at = start.len() as u64;
        let n_first = self.directory(&self.entries(0, true), at, 0).len() as u64;
        let data = (at + n_first).next_multiple_of(ALIGNMENT);
        let end = data + self.plane_bytes * n_planes as u64;
        let tail_at = end.next_multiple_of(ALIGNMENT);
        let n_others = if self.layout == Layout::OneDirectory { 0 } else { n_planes.saturating_sub(1) };
        let first_next = if n_others > 0 { tail_at } else { 0 };
        let mut head = start.to_vec();
        head.extend(self.directory(&self.entries(data, true), at, first_next));
        head.resize(usize::try_from(data).unwrap_or(head.len()), 0);
        let mut tail = Vec::new();
        if n_others > 0 {
            tail.resize(usize::try_from(tail_at - end).unwrap_or(0), 0);
        }
        for plane in 1..=n_others {
            let at = end + tail.len() as u64;
            let entries = self.entries(data + self.plane_bytes * plane as u64, false);
            let length = self.directory(&entries, at, 0).len() as u64;
            let next = if plane == n_others { 0 } else { at + length };
            tail.extend(self.directory(&entries, at, next));
        }
        Frame { head, n_values: end - data, tail }
    }
}
