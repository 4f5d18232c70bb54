//! The container of TIFF and BigTIFF: byte order, directories and their entries.
//!
//! Every size is checked against the length of the file before memory is taken.
//! Source: TIFF 6.0 (Adobe, 1992); the BigTIFF proposal (AWare Systems).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest value of one entry that is read: the offsets of 32 million strips.
const MAX_VALUE_BYTES: u64 = 256 << 20;
/// Bytes that are read at once where a directory begins: most directories are shorter.
const FIRST_READ: usize = 512;

/// A TIFF file, opened where it is needed.
#[derive(Debug, Clone)]
pub(super) struct Container {
    path: PathBuf,
    /// Kept open for the file that was asked for; the others of a set are opened anew.
    file: Option<Arc<File>>,
    pub(super) length: u64,
    pub(super) big_endian: bool,
    /// Whether offsets have 64 bits.
    is_big: bool,
    first: u64,
}

/// One entry of a directory: a tag with its values, which stand in it or elsewhere.
#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    /// The values themselves where they fit, otherwise their place.
    field: [u8; 8],
}

/// A directory: the tags of one page.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    /// Where it begins.
    pub(super) offset: u64,
    entries: Vec<Entry>,
    /// Where the next one begins; 0 where this is the last.
    pub(super) next: u64,
}

/// Reads at a place without moving a common cursor, so that threads can share a file.
#[cfg(unix)]
pub(super) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Reads at a place without moving a common cursor, so that threads can share a file.
#[cfg(windows)]
pub(super) fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                bytes = &mut bytes[n..];
                at += n as u64;
            }
        }
    }
    Ok(())
}

/// A number that is small or checked elsewhere.
fn small(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Bytes of one value of each kind of entry; 0 for unknown ones.
fn bytes_of_kind(kind: u16) -> usize {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 0,
    }
}

impl Container {
    /// Opens a file that begins like a TIFF.
    pub(super) fn open(path: &Path, keep_open: bool) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| format!("could not read {}: {e}", path.display()))?;
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        let mut head = [0; 16];
        let n = usize::try_from(length.min(16)).unwrap_or(16);
        read_at(&file, &mut head[..n], 0).map_err(|e| e.to_string())?;
        let big_endian = match &head[..2] {
            b"II" => false,
            b"MM" => true,
            _ => return Err("not a TIFF".to_owned()),
        };
        let mut container =
            Self { path: path.to_owned(), file: None, length, big_endian, is_big: false, first: 0 };
        container.is_big = match container.number(&head[2..4]) {
            42 => false,
            43 if container.number(&head[4..6]) == 8 => true,
            _ => return Err("not a TIFF".to_owned()),
        };
        container.first =
            if container.is_big { container.number(&head[8..16]) } else { container.number(&head[4..8]) };
        container.file = keep_open.then(|| Arc::new(file));
        Ok(container)
    }

    /// The file that holds the values.
    pub(super) fn file(&self) -> Result<Arc<File>, String> {
        match &self.file {
            Some(file) => Ok(Arc::clone(file)),
            None => File::open(&self.path)
                .map(Arc::new)
                .map_err(|e| format!("could not read {}: {e}", self.path.display())),
        }
    }

    /// A whole number of up to 8 bytes in the file's order.
    pub(super) fn number(&self, bytes: &[u8]) -> u64 {
        let add = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }

    fn short(&self, bytes: &[u8]) -> u16 {
        u16::try_from(self.number(bytes)).unwrap_or(0)
    }

    /// Bytes of the file that must be there.
    pub(super) fn bytes(&self, file: &File, at: u64, n: u64) -> Result<Vec<u8>, String> {
        let end = at.checked_add(n).filter(|end| *end <= self.length);
        if end.is_none() {
            return Err(format!("{n} bytes at {at} of a file of {}", self.length));
        }
        let mut bytes = vec![0; usize::try_from(n).map_err(|_e| format!("{n} bytes"))?];
        read_at(file, &mut bytes, at).map_err(|e| e.to_string())?;
        Ok(bytes)
    }

    /// The directory at a place.
    pub(super) fn directory(&self, file: &File, offset: u64) -> Result<Directory, String> {
        let (n_head, n_entry, n_next) = if self.is_big { (8, 20, 8) } else { (2, 12, 4) };
        let left = small(self.length.saturating_sub(offset));
        let at_hand = left.min(FIRST_READ);
        let mut bytes = self.bytes(file, offset, at_hand.max(n_head) as u64)?;
        let n = self.number(&bytes[..n_head]);
        if n == 0 || n > 0xffff {
            return Err(format!("a directory of {n} entries"));
        }
        let whole = n_head + small(n) * n_entry;
        if whole + n_next > at_hand {
            // A file may end with the entries of its last directory.
            bytes = self.bytes(file, offset, whole.max(left.min(whole + n_next)) as u64)?;
        }
        let entries = bytes[n_head..whole].chunks_exact(n_entry).map(|entry| self.entry(entry)).collect();
        let next = bytes.get(whole..whole + n_next).map_or(0, |next| self.number(next));
        Ok(Directory { offset, entries, next })
    }

    fn entry(&self, bytes: &[u8]) -> Entry {
        let (count, value) = bytes[4..].split_at(if self.is_big { 8 } else { 4 });
        let mut field = [0; 8];
        field[..value.len()].copy_from_slice(value);
        Entry {
            tag: self.short(&bytes[..2]),
            kind: self.short(&bytes[2..4]),
            count: self.number(count),
            field,
        }
    }

    /// The place of the first directory.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    fn inline_bytes(&self) -> usize {
        if self.is_big { 8 } else { 4 }
    }

    /// The bytes of an entry's values.
    fn value(&self, file: &File, entry: &Entry) -> Result<Vec<u8>, String> {
        let n = (bytes_of_kind(entry.kind) as u64)
            .checked_mul(entry.count)
            .filter(|n| *n <= MAX_VALUE_BYTES)
            .ok_or_else(|| format!("tag {} of {} values", entry.tag, entry.count))?;
        if n <= self.inline_bytes() as u64 {
            return Ok(entry.field[..small(n)].to_vec());
        }
        let at = self.number(&entry.field[..self.inline_bytes()]);
        self.bytes(file, at, n).map_err(|e| format!("tag {}: {e}", entry.tag))
    }

    /// Whole numbers of a tag; empty where it is missing or of another kind.
    pub(super) fn numbers(&self, file: &File, from: &Directory, tag: u16) -> Result<Vec<u64>, String> {
        let Some(entry) = from.find(tag) else { return Ok(Vec::new()) };
        let width = match entry.kind {
            1 | 3 | 4 | 7 | 13 | 16 | 18 | 6 | 8 | 9 | 17 => bytes_of_kind(entry.kind),
            _ => return Ok(Vec::new()),
        };
        let bytes = self.value(file, entry)?;
        Ok(bytes.chunks_exact(width).map(|value| self.number(value)).collect())
    }

    /// The first whole number of a tag.
    pub(super) fn count(&self, file: &File, from: &Directory, tag: u16) -> Result<Option<u64>, String> {
        // Cheap for the one value that most tags have.
        match from.find(tag) {
            Some(entry) if entry.count == 1 && matches!(entry.kind, 1 | 3 | 4 | 13) => {
                Ok(Some(self.number(&entry.field[..bytes_of_kind(entry.kind)])))
            }
            _ => Ok(self.numbers(file, from, tag)?.first().copied()),
        }
    }

    /// Fractions and real numbers of a tag; empty where it is missing or of another kind.
    pub(super) fn reals(&self, file: &File, from: &Directory, tag: u16) -> Result<Vec<f64>, String> {
        let Some(entry) = from.find(tag) else { return Ok(Vec::new()) };
        let bytes = self.value(file, entry)?;
        let values = |width: usize| bytes.chunks_exact(width).map(|value| self.number(value));
        Ok(match entry.kind {
            5 => values(4).zip(values(4).skip(1)).step_by(2).map(|(n, d)| n as f64 / d as f64).collect(),
            11 => values(4).map(|bits| f64::from(f32::from_bits(u32::try_from(bits).unwrap_or(0)))).collect(),
            12 => values(8).map(f64::from_bits).collect(),
            _ => Vec::new(),
        })
    }

    /// Where the values of a tag lie that do not stand in the directory.
    pub(super) fn place(&self, from: &Directory, tag: u16) -> Option<u64> {
        from.find(tag).map(|entry| self.number(&entry.field[..self.inline_bytes()]))
    }

    /// The bytes of a tag as they are.
    pub(super) fn raw(&self, file: &File, from: &Directory, tag: u16) -> Result<Option<Vec<u8>>, String> {
        from.find(tag).map(|entry| self.value(file, entry)).transpose()
    }

    /// The text of a tag up to its first 0, as UTF-8, or as Latin-1 where it is none.
    pub(super) fn text(&self, file: &File, from: &Directory, tag: u16) -> Option<String> {
        let bytes = self.raw(file, from, tag).ok().flatten()?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Some(text_of(&bytes[..end]))
    }
}

/// Bytes as text: UTF-8, or Latin-1 where they are none.
pub(super) fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

impl Directory {
    fn find(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    /// Whether a tag stands in it.
    pub(super) fn has(&self, tag: u16) -> bool {
        self.find(tag).is_some()
    }

    /// Number of values of a tag.
    pub(super) fn n_values(&self, tag: u16) -> u64 {
        self.find(tag).map_or(0, |entry| entry.count)
    }
}
