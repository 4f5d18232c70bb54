//! NumPy's .npy: any numeric type, C or Fortran order, either byte order.
//!
//! The format knows shape and type only; voxel size, unit and classes stand in `NAME.npy.json`.
//! Reference: NEP 1, versions 1.0 to 3.0 of the header.

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array3, s};

use super::array::{Dtype, array_from_bytes, values_from, with_dtype};
use super::error::IoError;
use super::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use super::sidecar::Sidecar;
use crate::base::Progress;
use crate::volume::AnyArray;
use crate::volume::any::Voxel as _;
use crate::with_array;

/// The first bytes of every .npy file.
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longest header that is read.
const MAX_HEADER: usize = 1 << 20;

/// The format.
pub(crate) struct Npy;

/// How the values are stored where this program holds them in another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Same(Dtype),
    U64,
    I64,
    F16,
}

#[derive(Debug, Clone, PartialEq)]
struct NpyHeader {
    stored: Stored,
    big_endian: bool,
    fortran: bool,
    /// Shape as z, y, x.
    shape: [usize; 3],
    data_offset: u64,
}

struct NpySource {
    path: PathBuf,
    file: File,
    npy: NpyHeader,
    header: Header,
}

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
        Ok(Box::new(open(request.path)?))
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
        Sidecar::of(request)
    }
}

fn open(path: &Path) -> Result<NpySource, IoError> {
    let read_error = |e| IoError::system("read", path, e);
    let mut file = File::open(path).map_err(read_error)?;
    let length = file.metadata().map_err(read_error)?.len();
    let mut start = [0; 12];
    file.read_exact(&mut start).map_err(read_error)?;
    let content = |problem: String| IoError::content(path, problem);
    if !start.starts_with(MAGIC) {
        return Err(content("not a .npy file".to_owned()));
    }
    let (n, offset) = if start[6] == 1 {
        (usize::from(u16::from_le_bytes([start[8], start[9]])), 10)
    } else {
        let n = u32::from_le_bytes([start[8], start[9], start[10], start[11]]);
        (usize::try_from(n).unwrap_or(usize::MAX), 12)
    };
    if n > MAX_HEADER {
        return Err(content(format!("a .npy header of {n} bytes")));
    }
    let mut text = vec![0; n];
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut text)).map_err(read_error)?;
    let npy = parse(&String::from_utf8_lossy(&text), offset + n as u64).map_err(content)?;
    let promised = npy
        .shape
        .iter()
        .try_fold(npy.stored.n_bytes() as u64, |n, side| n.checked_mul(*side as u64))
        .and_then(|n| n.checked_add(npy.data_offset));
    if promised.is_none_or(|promised| promised > length) {
        let [z, y, x] = npy.shape;
        return Err(content(format!(
            "truncated: {z} × {y} × {x} values need {} bytes, the file has {length}; copy it again",
            promised.map_or_else(|| "more than 2^64".to_owned(), |n| n.to_string())
        )));
    }
    let mut header = Header::new("NumPy", npy.shape, npy.stored.dtype());
    if matches!(npy.stored, Stored::U64 | Stored::I64) {
        header.warnings.push("64-bit whole numbers are read as float64, exact up to 2^53".to_owned());
    }
    // In Fortran order a plane is scattered over the whole file.
    header.slab = if npy.fortran { npy.shape[0].max(1) } else { 1 };
    Ok(NpySource { path: path.to_owned(), file, npy, header })
}

/// Parses the header, a Python dictionary: `{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }`.
fn parse(text: &str, data_offset: u64) -> Result<NpyHeader, String> {
    let field = |name: &str| {
        let at = text.find(&format!("'{name}'"))? + name.len() + 2;
        text.get(at..)?.trim_start().strip_prefix(':').map(str::trim_start)
    };
    let damaged = || "a damaged .npy header".to_owned();
    let descr = field("descr").and_then(|rest| rest.strip_prefix('\'')?.split('\'').next());
    let descr = descr.ok_or("a .npy file of records, expected plain numbers")?;
    let fortran = field("fortran_order").ok_or_else(damaged)?.starts_with("True");
    let inside =
        field("shape").and_then(|rest| rest.strip_prefix('(')?.split(')').next()).ok_or_else(damaged)?;
    let sides: Vec<usize> = inside
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(|side| side.trim_end_matches('L').parse().map_err(|_e| damaged()))
        .collect::<Result<_, _>>()?;
    let shape = match sides.as_slice() {
        [y, x] => [1, *y, *x],
        [rest @ .., z, y, x] if rest.iter().all(|n| *n == 1) => [*z, *y, *x],
        _ => return Err(format!("a .npy array of shape ({inside}), expected 3 axes (z, y, x)")),
    };
    let (order, kind) = descr.split_at_checked(1).ok_or_else(damaged)?;
    let stored = match kind {
        "u1" | "b1" => Stored::Same(Dtype::U8),
        "i1" => Stored::Same(Dtype::I8),
        "u2" => Stored::Same(Dtype::U16),
        "i2" => Stored::Same(Dtype::I16),
        "u4" => Stored::Same(Dtype::U32),
        "i4" => Stored::Same(Dtype::I32),
        "f4" => Stored::Same(Dtype::F32),
        "f8" => Stored::Same(Dtype::F64),
        "u8" => Stored::U64,
        "i8" => Stored::I64,
        "f2" => Stored::F16,
        _ => return Err(format!(".npy values of type {descr} are not read")),
    };
    Ok(NpyHeader { stored, big_endian: order == ">", fortran, shape, data_offset })
}

impl Stored {
    fn n_bytes(self) -> usize {
        match self {
            Self::Same(dtype) => dtype.n_bytes(),
            Self::U64 | Self::I64 => 8,
            Self::F16 => 2,
        }
    }

    fn dtype(self) -> Dtype {
        match self {
            Self::Same(dtype) => dtype,
            Self::U64 | Self::I64 => Dtype::F64,
            Self::F16 => Dtype::F32,
        }
    }

    /// An array of `shape`, x fastest, from its bytes.
    fn array(self, shape: [usize; 3], bytes: &[u8], big_endian: bool) -> Option<AnyArray> {
        let words = |word: &[u8]| {
            let mut le: [u8; 8] = word.try_into().unwrap_or_default();
            if big_endian {
                le.reverse();
            }
            le
        };
        match self {
            Self::Same(dtype) => array_from_bytes(dtype, shape, bytes, big_endian),
            Self::U64 => {
                let values = bytes.chunks_exact(8).map(|w| u64::from_le_bytes(words(w)) as f64).collect();
                Array3::from_shape_vec(shape, values).ok().map(AnyArray::F64)
            }
            Self::I64 => {
                let values = bytes.chunks_exact(8).map(|w| i64::from_le_bytes(words(w)) as f64).collect();
                Array3::from_shape_vec(shape, values).ok().map(AnyArray::F64)
            }
            Self::F16 => {
                let values = values_from::<u16>(bytes, big_endian);
                let values = values.into_iter().map(|bits| half::f16::from_bits(bits).to_f32()).collect();
                Array3::from_shape_vec(shape, values).ok().map(AnyArray::F32)
            }
        }
    }
}

impl Source for NpySource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let [nz, ny, nx] = self.npy.shape;
        let wanted = if self.npy.fortran { 0..nz } else { planes.clone() };
        let plane_bytes = ny * nx * self.npy.stored.n_bytes();
        let start = self.npy.data_offset + wanted.start as u64 * plane_bytes as u64;
        let mut bytes = vec![0; wanted.len() * plane_bytes];
        self.file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|e| IoError::system("read", &self.path, e))?;
        let shape = if self.npy.fortran { [nx, ny, nz] } else { [wanted.len(), ny, nx] };
        let array = self.npy.stored.array(shape, &bytes, self.npy.big_endian);
        let array = array.ok_or_else(|| IoError::content(&self.path, "the number of values does not fit"))?;
        if !self.npy.fortran {
            return Ok(array);
        }
        Ok(with_array!(array, array => {
            let turned = array.reversed_axes();
            crate::volume::any::Voxel::wrap(turned.slice(s![planes, .., ..]).as_standard_layout().into_owned())
        }))
    }
}

fn write(path: &Path, request: &WriteRequest<'_>, progress: &Progress) -> Result<Vec<String>, IoError> {
    let array = &request.array;
    let [z, y, x] = array.shape();
    let dtype = array.dtype();
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
    let system = |e| IoError::system("write", path, e);
    let mut file = BufWriter::new(File::create(path).map_err(|e| IoError::system("create", path, e))?);
    file.write_all(MAGIC).and_then(|()| file.write_all(&[1, 0])).map_err(system)?;
    file.write_all(&n.to_le_bytes()).and_then(|()| file.write_all(text.as_bytes())).map_err(system)?;
    progress.phase("Writing", z as u64);
    for plane in 0..z {
        progress.check()?;
        file.write_all(&array.plane_bytes(plane, plane + 1)).map_err(system)?;
        progress.advance(1);
    }
    file.flush().map_err(system)?;
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MemoryBudget, Unit};
    use crate::io::{read_array, write_array};
    use proptest::prelude::*;

    fn read_bytes(bytes: &[u8]) -> Result<AnyArray, IoError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, bytes).unwrap();
        Ok(read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.1))?.array)
    }

    fn file(text: &str, data: &[u8]) -> Vec<u8> {
        let n = u16::try_from(text.len()).unwrap().to_le_bytes();
        [&MAGIC[..], &[1, 0], &n, text.as_bytes(), data].concat()
    }

    #[test]
    fn every_type_comes_back_and_the_sidecar_carries_frame_and_unit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let base = Array3::from_shape_fn((2, 3, 4), |(z, y, x)| (z * 12 + y * 4 + x) as f64);
        for array in [
            AnyArray::U8(base.mapv(|v| v as u8)),
            AnyArray::I8(base.mapv(|v| v as i8 - 9)),
            AnyArray::U16(base.mapv(|v| v as u16 * 2000)),
            AnyArray::I16(base.mapv(|v| v as i16 - 1000)),
            AnyArray::U32(base.mapv(|v| v as u32 * 100_000_000)),
            AnyArray::I32(base.mapv(|v| -(v as i32))),
            AnyArray::F32(base.mapv(|v| v as f32 / 3.0)),
            AnyArray::F64(base.mapv(|v| v / 7.0)),
        ] {
            let request = WriteRequest {
                voxel_um: Some([0.3, 0.2, 0.1]),
                origin_um: [1.0, 2.0, 3.0],
                unit: Some(Unit::PerUm),
                metadata: [("sample".to_owned(), "Hefe µ".to_owned())].into(),
                ..WriteRequest::new(&array)
            };
            assert_eq!(write_array(&path, &request, &Progress::new()).unwrap(), Vec::<String>::new());
            let loaded = read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.1)).unwrap();
            assert_eq!(loaded.array, array);
            let header = loaded.header;
            assert_eq!((header.voxel_um, header.origin_um), (Some([0.3, 0.2, 0.1]), [1.0, 2.0, 3.0]));
            assert_eq!((header.unit, header.metadata["sample"].as_str()), (Some(Unit::PerUm), "Hefe µ"));
        }
        // Written again without anything to say: the old sidecar must not lie about the new file.
        write_array(&path, &WriteRequest::new(&base), &Progress::new()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn fortran_order_big_endian_and_wide_integers_are_read() {
        let data: Vec<u8> = (0..6u16).flat_map(u16::to_be_bytes).collect();
        let text = "{'descr': '>u2', 'fortran_order': True, 'shape': (1, 2, 3), }\n";
        let array = read_bytes(&file(text, &data)).unwrap();
        // Column-major: the first axis runs fastest, so element (0, 1, 0) is the second value.
        assert_eq!(array, AnyArray::U16(Array3::from_shape_vec((1, 2, 3), vec![0, 2, 4, 1, 3, 5]).unwrap()));
        let data: Vec<u8> = [-7i64, 1 << 40].iter().flat_map(|v| v.to_le_bytes()).collect();
        let array =
            read_bytes(&file("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }", &data)).unwrap();
        assert_eq!(
            array,
            AnyArray::F64(Array3::from_shape_vec((1, 1, 2), vec![-7.0, 1_099_511_627_776.0]).unwrap())
        );
    }

    #[test]
    fn damaged_files_are_answered() {
        for (text, part) in [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (10, 10, 10), }", "truncated"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999, 9), }", "2^64"),
            ("{'descr': '<c8', 'fortran_order': False, 'shape': (1, 1, 1), }", "<c8"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1, 1), }", "records"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }", "3 axes"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5, 5), }", "empty"),
            ("nonsense", "records"),
        ] {
            let text = read_bytes(&file(text, &[0; 16])).unwrap_err().to_string();
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn mutated_headers_never_panic(changes in prop::collection::vec((0usize..80, any::<u8>()), 1..6)) {
            let mut bytes = file("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 2), }", &[1; 16]);
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            drop(read_bytes(&bytes));
        }
    }
}
