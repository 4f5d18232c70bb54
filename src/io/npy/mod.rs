//! NumPy's .npy: any numeric type, C or Fortran order, either byte order, 0 to 5 axes.
//!
//! The format knows shape and type only; voxel size, unit and classes stand in `NAME.npy.json`.
//! Four axes are channels (with `--time`: points of time) before z, y, x, or colours behind them; five are times,
//! channels, z, y, x. Complex numbers are two channels. Reference: NEP 1, versions 1.0 to 3.0 of the header.

mod axes;
mod header;
mod npz;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::Path;

use self::axes::Axes;
use super::array::{with_dtype, write_values};
use super::choice::Turned;
use super::error::IoError;
use super::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use super::raw::{RawFile, RawLayout, RawSource, Stored};
use super::room;
use super::sidecar::Sidecar;
use super::walk::{Values, bytes_of_views};
use crate::base::Progress;
use crate::volume::any::Voxel as _;

pub(crate) use self::npz::Npz;

/// The first bytes of every .npy file.
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longest header that is read.
const MAX_HEADER: usize = 1 << 20;

/// The format.
pub(crate) struct Npy;

impl Format for Npy {
    fn name(&self) -> &'static str {
        "NumPy"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npy"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        probe.head.starts_with(MAGIC)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let (source, axes) = open(request)?;
        Ok(Turned::wrap(Box::new(source), axes.order, request.path, request.budget))
    }

    fn bytes_of_streaming(&self, header: &Header) -> Option<u64> {
        bytes_of_views(header)
    }

    fn write(
        &self,
        path: &Path,
        values: Values<'_>,
        _request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        let mut file = create(path, &values)?;
        values.for_each(progress, |planes| {
            write_values(&planes, &mut file).map_err(|e| IoError::system("write", path, e))
        })?;
        Ok(Vec::new())
    }

    fn sidecar(&self, request: &WriteRequest<'_>) -> Sidecar {
        Sidecar::of(request)
    }
}

fn open(request: &OpenRequest<'_>) -> Result<(RawSource, Axes), IoError> {
    let path = request.path;
    let read_error = |e| IoError::system("read", path, e);
    let content = |problem: String| IoError::content(path, problem);
    let mut file = File::open(path).map_err(read_error)?;
    let length = file.metadata().map_err(read_error)?.len();
    let (text, offset) = header_text(path, &mut file)?;
    let npy = header::parse(&text).map_err(content)?;
    if npy.sides.contains(&0) {
        return Err(content(format!("the array is empty: its shape is {:?}", npy.sides)));
    }
    let axes = Axes::of(&npy, request.options).map_err(content)?;
    let mut layout =
        RawLayout { offset, stored: npy.stored, big_endian: npy.big_endian, ..axes.layout.clone() };
    let (missing, said) = layout.fit(length).map_err(content)?;
    let mut header = Header::new("NumPy", [layout.planes, layout.rows, layout.cols], npy.stored.dtype());
    if matches!(npy.stored, Stored::U64 | Stored::I64) {
        header.warnings.push("64-bit whole numbers are read as float64, exact up to 2^53".to_owned());
    }
    header.warnings.extend(axes.said.clone().into_iter().chain(said));
    header.missing_planes = missing;
    (header.n_channels, header.n_times) = (axes.n_channels, axes.n_times);
    header.channel_names.clone_from(&axes.channel_names);
    Ok((RawSource { raw: RawFile { path: path.to_owned(), file, layout }, header }, axes))
}

/// The text of the header, and where the values begin.
fn header_text(path: &Path, file: &mut impl Read) -> Result<(String, u64), IoError> {
    let read_error = |e| IoError::system("read", path, e);
    let mut start = [0; 10];
    file.read_exact(&mut start).map_err(read_error)?;
    if !start.starts_with(MAGIC) {
        return Err(IoError::content(path, "not a .npy file"));
    }
    let (n, offset) = if start[6] == 1 {
        (usize::from(u16::from_le_bytes([start[8], start[9]])), 10)
    } else {
        let mut rest = [0; 2];
        file.read_exact(&mut rest).map_err(read_error)?;
        let n = u32::from_le_bytes([start[8], start[9], rest[0], rest[1]]);
        (usize::try_from(n).unwrap_or(usize::MAX), 12)
    };
    if n > MAX_HEADER {
        return Err(IoError::content(path, format!("a .npy header of {n} bytes")));
    }
    let mut text = vec![0; n];
    file.read_exact(&mut text).map_err(read_error)?;
    Ok((String::from_utf8_lossy(&text).into_owned(), offset + n as u64))
}

/// Creates a file with its header, ready for the values.
fn create(path: &Path, values: &Values<'_>) -> Result<File, IoError> {
    let (dtype, [z, y, x]) = (values.dtype(), values.shape());
    let letter = with_dtype!(dtype, T => match T::DTYPE.as_bytes().first() {
        Some(b'u') => 'u',
        Some(b'i') => 'i',
        _ => 'f',
    });
    let order = if dtype.n_bytes() == 1 { '|' } else { '<' };
    let mut text = format!(
        "{{'descr': '{order}{letter}{}', 'fortran_order': False, 'shape': ({z}, {y}, {x}), }}",
        dtype.n_bytes()
    );
    // Magic, version, length, text and a line end fill a multiple of 64 bytes.
    let padded = (10 + text.len() + 1).next_multiple_of(64);
    text.push_str(&" ".repeat(padded - 11 - text.len()));
    text.push('\n');
    let n =
        u16::try_from(text.len()).map_err(|_e| IoError::content(path, "a .npy header that is too long"))?;
    let head = [&MAGIC[..], &[1, 0], &n.to_le_bytes(), text.as_bytes()].concat();
    let mut file = room::create(path, values.n_bytes().saturating_add(head.len() as u64))
        .map_err(|e| IoError::system("create", path, e))?;
    file.write_all(&head).map_err(|e| IoError::system("write", path, e))?;
    Ok(file)
}
