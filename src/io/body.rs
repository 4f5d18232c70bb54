//! Values behind a header, as they are or packed: the bodies of NRRD, MetaImage, NIfTI and AmiraMesh.
//!
//! Packed values are unpacked into a temporary file, no further than the header says that they go and the memory budget
//! allows; then all are read plane by plane.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bzip2::read::MultiBzDecoder;
use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::array::Dtype;
use super::beside::is_inside;
use super::compressed::Unpacked;
use super::error::IoError;
use super::format::{Header, OpenRequest, Source};
use super::raw::{RawFile, RawLayout, RawSource, Stored};

/// How values are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Not at all.
    Plain,
    Gzip,
    Zlib,
    Bzip2,
    /// Numbers as text.
    Text,
    /// Bytes as two letters each.
    Hex,
    /// Runs of bytes: a count, and the byte that comes so often; above 128 as many bytes as they are.
    ByteRuns,
}

/// What lies before the values in each file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Lines of text, and behind them bytes, which are packed with the values.
    Skip { at: u64, lines: u64, bytes: u64 },
    /// As many bytes as the file has more than values.
    WhatIsMore,
}

/// Where and how the values of a file lie.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Body {
    /// Files one after the other.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) before: Before,
    pub(crate) packing: Packing,
    pub(crate) stored: Stored,
    pub(crate) big_endian: bool,
    /// Planes, rows, columns; columns run fastest.
    pub(crate) shape: [usize; 3],
    /// Values of a voxel that lie together: channels.
    pub(crate) n_together: usize,
    /// Volumes one after the other: times, and slower still channels.
    pub(crate) n_times: usize,
    pub(crate) n_apart: usize,
    /// Whether something else may stand behind the values.
    pub(crate) has_more: bool,
}

/// Files of values beside a header at most.
const MAX_FILES: i64 = 100_000;

/// The names that a pattern with `%d` or `%03d` means: of the numbers from the first to the last by a step.
pub(crate) fn numbered(pattern: &str, [first, last, step]: [i64; 3]) -> Result<Vec<String>, String> {
    let span = last.checked_sub(first).filter(|span| span.signum() * step.signum() >= 0);
    let n = span.and_then(|span| span.checked_div(step)).unwrap_or(-1);
    if !(0..MAX_FILES).contains(&n) {
        return Err(format!("files from {first} to {last} by {step}"));
    }
    let wrong = || format!("the pattern {pattern} of file names");
    let (before, behind) = pattern.split_once('%').ok_or_else(wrong)?;
    let (digits, behind) = behind.split_once('d').ok_or_else(wrong)?;
    let width: usize = if digits.is_empty() { 0 } else { digits.parse().map_err(|_e| wrong())? };
    if width > 32 || behind.contains('%') {
        return Err(wrong());
    }
    let name = |number: i64| {
        let text =
            if digits.starts_with('0') { format!("{number:0width$}") } else { format!("{number:width$}") };
        format!("{before}{text}{behind}")
    };
    Ok((0..=n).map(|i| name(first + i * step)).collect())
}

/// The files beside a header; more than are believed, and names that lead out of its folder, are refused.
pub(crate) fn all_beside(header: &Path, names: &[String]) -> Result<Vec<PathBuf>, IoError> {
    if i64::try_from(names.len()).is_ok_and(|n| n > MAX_FILES) {
        return Err(IoError::content(header, format!("values in {} files", names.len())));
    }
    names.iter().map(|name| one_beside(header, name)).collect()
}

fn one_beside(header: &Path, name: &str) -> Result<PathBuf, IoError> {
    if !is_inside(Path::new(name)) || name.trim().is_empty() {
        let problem = format!(
            "its values lie in {name:?}; only files in the folder of the header are opened: put it there and name it in the header"
        );
        return Err(IoError::content(header, problem));
    }
    let path = header.parent().unwrap_or(Path::new("")).join(name);
    if !path.is_file() {
        return Err(IoError::content(header, format!("its values lie in {name}, which is not beside it")));
    }
    Ok(path)
}

impl Body {
    /// Bytes of all values; `None` beyond 64 bits.
    fn n_bytes(&self) -> Option<u64> {
        self.layout(0, 0).section_bytes()?.checked_mul(self.n_sections()?)
    }

    fn n_sections(&self) -> Option<u64> {
        [self.shape[0], self.n_times, self.n_apart]
            .iter()
            .try_fold(1u64, |n, side| n.checked_mul(*side as u64))
    }

    fn layout(&self, channel: usize, time: usize) -> RawLayout {
        let together = self.n_together.max(1);
        let [planes, rows, cols] = self.shape;
        let volume = (channel / together).saturating_mul(self.n_times).saturating_add(time);
        RawLayout {
            offset: 0,
            stored: self.stored,
            big_endian: self.big_endian,
            planes,
            rows,
            cols,
            n_components: together,
            component: channel % together,
            first: (volume as u64).saturating_mul(planes as u64),
            step: 1,
            n_sections: self.n_sections().unwrap_or(u64::MAX),
        }
    }

    /// Opens the channel and time that are asked for; the header of the source knows shape, type and numbers of both.
    pub(crate) fn open(
        self,
        request: &OpenRequest<'_>,
        format: &'static str,
    ) -> Result<Box<dyn Source>, IoError> {
        let path = request.path;
        let content = |problem: String| IoError::content(path, problem);
        if self.shape.contains(&0) || self.n_together == 0 || self.n_times == 0 || self.n_apart == 0 {
            return Err(content(format!("the array is empty: {:?}", self.shape)));
        }
        let n_bytes = self
            .n_bytes()
            .ok_or_else(|| content(format!("{:?} values need more than 2^64 bytes", self.shape)))?;
        let n_channels = self.n_together.saturating_mul(self.n_apart);
        // One that is not there is refused by the caller, in words.
        let channel = request.channel().min(n_channels - 1);
        let time = request.options.time.unwrap_or(0).min(self.n_times - 1);
        let mut layout = self.layout(channel, time);
        let (file, unpacked) = self.values(path, n_bytes, &mut layout, request)?;
        let length = file.metadata().map_err(|e| IoError::system("read", path, e))?.len();
        let end = layout.offset.saturating_add(n_bytes);
        let length = if self.has_more { length.min(end) } else { length };
        let (missing, said) = layout.fit(length).map_err(content)?;
        let shape = [layout.planes, layout.rows, layout.cols];
        let mut header = Header::new(format, shape, layout.stored.dtype());
        if matches!(self.stored, Stored::U64 | Stored::I64) {
            header.warnings.push("64-bit whole numbers are read as float64, exact up to 2^53".to_owned());
        }
        header.warnings.extend(said);
        (header.n_channels, header.n_times, header.missing_planes) = (n_channels, self.n_times, missing);
        let source = Box::new(RawSource { raw: RawFile { path: path.to_owned(), file, layout }, header });
        Ok(match unpacked {
            Some(unpacked) => unpacked.hold(source),
            None => source,
        })
    }

    /// The file that holds the values as they are, and the temporary one that it may be.
    fn values(
        &self,
        path: &Path,
        n_bytes: u64,
        layout: &mut RawLayout,
        request: &OpenRequest<'_>,
    ) -> Result<(File, Option<Unpacked>), IoError> {
        let read_error = |e| IoError::system("read", path, e);
        if let ([only], Packing::Plain) = (self.files.as_slice(), self.packing) {
            let mut file = File::open(only).map_err(read_error)?;
            let length = file.metadata().map_err(read_error)?.len();
            layout.offset = match self.before {
                Before::WhatIsMore => length.checked_sub(n_bytes).ok_or_else(|| {
                    IoError::content(
                        path,
                        format!("truncated: {n_bytes} bytes of values, the file has {length}"),
                    )
                })?,
                Before::Skip { at, lines, bytes } => {
                    let from = skip_lines(&mut file, at, lines).map_err(read_error)?;
                    from.saturating_add(bytes)
                }
            };
            return Ok((file, None));
        }
        let files = Files { body: self, rest: &self.files, now: Box::new(io::empty()) };
        let unpacked = Unpacked::content_of(path, "values", &mut files.take(n_bytes), request.budget)?;
        let file = File::open(unpacked.path()).map_err(read_error)?;
        layout.big_endian = self.big_endian && self.packing != Packing::Text;
        Ok((file, Some(unpacked)))
    }

    /// The bytes of the values of one file.
    fn unpacker(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        let mut file = File::open(path)?;
        let (from, bytes) = match self.before {
            Before::WhatIsMore => (0, 0),
            Before::Skip { at, lines, bytes } => (skip_lines(&mut file, at, lines)?, bytes),
        };
        file.seek(SeekFrom::Start(from))?;
        let file = BufReader::with_capacity(1 << 18, file);
        let mut values: Box<dyn Read> = match self.packing {
            Packing::Plain => Box::new(file),
            Packing::Gzip => Box::new(MultiGzDecoder::new(file)),
            Packing::Zlib => Box::new(ZlibDecoder::new(file)),
            Packing::Bzip2 => Box::new(MultiBzDecoder::new(file)),
            Packing::Text => Box::new(Numbers { text: file, stored: self.stored, ready: Vec::new(), at: 0 }),
            Packing::Hex => Box::new(Letters { text: file }),
            Packing::ByteRuns => Box::new(ByteRuns { packed: file, left: 0, repeated: None }),
        };
        io::copy(&mut values.by_ref().take(bytes), &mut io::sink())?;
        Ok(values)
    }
}

/// The values of all files, of which one is open at a time.
struct Files<'a> {
    body: &'a Body,
    rest: &'a [PathBuf],
    now: Box<dyn Read>,
}

impl Read for Files<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.now.read(out)?;
            if n > 0 || out.is_empty() {
                return Ok(n);
            }
            let Some((next, rest)) = self.rest.split_first() else { return Ok(0) };
            (self.now, self.rest) = (self.body.unpacker(next)?, rest);
        }
    }
}

/// Where the line after the next `lines` begins, from byte `at` on.
fn skip_lines(file: &mut File, at: u64, lines: u64) -> io::Result<u64> {
    let mut from = at;
    if lines > 0 {
        file.seek(SeekFrom::Start(at))?;
        let mut text = BufReader::new(&*file);
        for _ in 0..lines {
            let n = text.skip_until(b'\n')?;
            if n == 0 {
                break;
            }
            from += n as u64;
        }
    }
    Ok(from)
}

/// Longest word that is taken for a number.
const LONGEST_NUMBER: u64 = 64;

/// Numbers as text, read as little-endian bytes of their type.
struct Numbers<R> {
    text: R,
    stored: Stored,
    ready: Vec<u8>,
    at: usize,
}

impl<R: BufRead> Read for Numbers<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            let Some(word) = word(&mut self.text)? else { return Ok(0) };
            let wrong =
                || io::Error::new(io::ErrorKind::InvalidData, format!("{word:?} is no number of its type"));
            self.ready = bytes_of(&word, self.stored).ok_or_else(wrong)?;
            self.at = 0;
        }
        let n = out.len().min(self.ready.len() - self.at);
        out[..n].copy_from_slice(&self.ready[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// The next word of a text; `None` at its end.
fn word(text: &mut impl BufRead) -> io::Result<Option<String>> {
    let is_between = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
    let mut word = Vec::new();
    loop {
        let buffer = text.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        if word.is_empty() {
            let n = buffer.iter().take_while(|byte| is_between(byte)).count();
            if n > 0 {
                text.consume(n);
                continue;
            }
        }
        let n = buffer.iter().take_while(|byte| !is_between(byte)).count();
        let ends = n < buffer.len();
        word.extend_from_slice(&buffer[..n]);
        text.consume(n);
        if word.len() as u64 > LONGEST_NUMBER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "text that is no number"));
        }
        if ends {
            break;
        }
    }
    Ok((!word.is_empty()).then(|| String::from_utf8_lossy(&word).into_owned()))
}

/// A number as little-endian bytes of its type; `None` where it is none of it.
fn bytes_of(word: &str, stored: Stored) -> Option<Vec<u8>> {
    let whole = |word: &str| word.parse::<i128>().ok();
    Some(match stored {
        Stored::Same(Dtype::F32) => word.parse::<f32>().ok()?.to_le_bytes().to_vec(),
        Stored::Same(Dtype::F64) => word.parse::<f64>().ok()?.to_le_bytes().to_vec(),
        Stored::Same(dtype) => {
            let n = dtype.n_bytes();
            let value = whole(word)?;
            let bits = u32::try_from(8 * n).ok()?;
            let range = if dtype.name().starts_with('i') {
                -(1i128 << (bits - 1))..(1i128 << (bits - 1))
            } else {
                0..1i128 << bits
            };
            range.contains(&value).then(|| value.to_le_bytes()[..n].to_vec())?
        }
        Stored::U64 => u64::try_from(whole(word)?).ok()?.to_le_bytes().to_vec(),
        Stored::I64 => i64::try_from(whole(word)?).ok()?.to_le_bytes().to_vec(),
        Stored::F16 | Stored::Nibbles => return None,
    })
}

/// Runs of bytes as Amira packs labels.
struct ByteRuns<R> {
    packed: R,
    /// Bytes of this run that are still to come.
    left: usize,
    /// The byte that is repeated; `None` where the bytes stand as they are.
    repeated: Option<u8>,
}

impl<R: BufRead> ByteRuns<R> {
    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.packed.fill_buf()?.first().copied();
        self.packed.consume(usize::from(byte.is_some()));
        Ok(byte)
    }
}

impl<R: BufRead> Read for ByteRuns<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let Some(count) = self.byte()? else { return Ok(0) };
            self.left = usize::from(count & 127);
            // A run of nothing at the end has no byte behind it.
            self.repeated = if count > 127 { None } else { self.byte()? };
            if count <= 127 && self.repeated.is_none() {
                return Ok(0);
            }
        }
        let n = out.len().min(self.left);
        let n = match self.repeated {
            Some(byte) => {
                out[..n].fill(byte);
                n
            }
            None => self.packed.read(&mut out[..n])?,
        };
        self.left -= n;
        Ok(n)
    }
}

/// Bytes as two letters each, anything between them passed over.
struct Letters<R> {
    text: R,
}

impl<R: BufRead> Read for Letters<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let (mut n, mut half) = (0, None);
        while n < out.len() {
            let mut letter = [0];
            if self.text.read(&mut letter)? == 0 {
                break;
            }
            let Some(digit) = char::from(letter[0]).to_digit(16).and_then(|d| u8::try_from(d).ok()) else {
                continue;
            };
            match half.take() {
                None => half = Some(digit),
                Some(high) => {
                    out[n] = high << 4 | digit;
                    n += 1;
                }
            }
        }
        Ok(n)
    }
}
