//! MetaImage of ITK: `.mha` with its values behind the header, `.mhd` with a file or several beside it.
//!
//! Reference: the MetaIO documentation of ITK. Lengths are mm to ITK, which the format does not say: the unit stands in
//! `NAME.mha.json` beside what this program writes, as ITK reads no header with a long line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::array::{Dtype, write_values};
use super::body::{Before, Body, Packing, all_beside, numbered};
use super::error::IoError;
use super::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use super::raw::Stored;
use super::room;
use super::sidecar::Sidecar;
use super::walk::{Values, bytes_of_views};
use crate::base::Progress;

/// Longest header that is read.
const MAX_HEADER: u64 = 1 << 20;
/// How far a direction may be from its axis.
const STRAIGHT: f64 = 1e-3;

/// Types of values by their names.
const TYPES: [(&str, Stored); 10] = [
    ("MET_CHAR", Stored::Same(Dtype::I8)),
    ("MET_UCHAR", Stored::Same(Dtype::U8)),
    ("MET_SHORT", Stored::Same(Dtype::I16)),
    ("MET_USHORT", Stored::Same(Dtype::U16)),
    ("MET_INT", Stored::Same(Dtype::I32)),
    ("MET_UINT", Stored::Same(Dtype::U32)),
    ("MET_LONG_LONG", Stored::I64),
    ("MET_ULONG_LONG", Stored::U64),
    ("MET_FLOAT", Stored::Same(Dtype::F32)),
    ("MET_DOUBLE", Stored::Same(Dtype::F64)),
];

/// The format.
pub(crate) struct MetaImage;

impl Format for MetaImage {
    fn name(&self) -> &'static str {
        "MetaImage"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["mha"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        let text = String::from_utf8_lossy(&probe.head);
        let is_field =
            |name: &str| text.lines().take(20).any(|line| field_of(line).is_some_and(|(n, _)| n == name));
        is_field("NDims") && (is_field("DimSize") || is_field("ObjectType"))
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        open(request)
    }

    fn bytes_of_streaming(&self, header: &Header) -> Option<u64> {
        bytes_of_views(header)
    }

    fn sidecar(&self, request: &WriteRequest<'_>) -> Sidecar {
        Sidecar::of(request)
    }

    fn write(
        &self,
        path: &Path,
        values: Values<'_>,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        let mut out = create(path, &values, request)?;
        values.for_each(progress, |planes| {
            write_values(&planes, &mut out).map_err(|e| IoError::system("write", path, e))
        })?;
        Ok(losses(request))
    }
}

/// Name and value of a line.
fn field_of(line: &str) -> Option<(&str, &str)> {
    line.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
}

/// The fields of a header, and what the last one, the place of the values, says.
struct Said {
    fields: Vec<(String, String)>,
    /// Names that follow a list of files.
    listed: Vec<String>,
    n_bytes: u64,
}

impl Said {
    fn read(path: &Path) -> Result<Self, IoError> {
        let read_error = |e| IoError::system("read", path, e);
        let mut text = BufReader::new(File::open(path).map_err(read_error)?).take(MAX_HEADER);
        let mut said = Self { fields: Vec::new(), listed: Vec::new(), n_bytes: 0 };
        loop {
            let mut line = Vec::new();
            let n = text.read_until(b'\n', &mut line).map_err(read_error)?;
            said.n_bytes += n as u64;
            if n == 0 {
                break;
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            let Some((name, value)) = field_of(&line) else { continue };
            said.fields.push((name.to_owned(), value.to_owned()));
            // The values, or the names of their files, follow this field.
            if name == "ElementDataFile" {
                if value.to_uppercase().starts_with("LIST") {
                    let mut names = String::new();
                    text.read_to_string(&mut names).map_err(read_error)?;
                    said.listed =
                        names.lines().map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect();
                }
                break;
            }
        }
        Ok(said)
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn numbers(&self, names: &[&str]) -> Vec<f64> {
        let text = names.iter().find_map(|name| self.field(name)).unwrap_or_default();
        text.split_whitespace().map(|n| n.parse().unwrap_or(f64::NAN)).collect()
    }

    fn is_true(&self, names: &[&str]) -> bool {
        names.iter().find_map(|name| self.field(name)).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The files that hold the values.
    fn files(&self, path: &Path) -> Result<Vec<PathBuf>, IoError> {
        let content = |problem: String| IoError::content(path, problem);
        let named = self.field("ElementDataFile").ok_or_else(|| content("no ElementDataFile".to_owned()))?;
        if named.eq_ignore_ascii_case("LOCAL") {
            return Ok(vec![path.to_owned()]);
        }
        if named.to_uppercase().starts_with("LIST") {
            return all_beside(path, &self.listed);
        }
        let words: Vec<&str> = named.split_whitespace().collect();
        let range: Option<Vec<i64>> = words.iter().skip(1).map(|n| n.parse().ok()).collect();
        let names = match (words.first(), range.as_deref()) {
            (Some(pattern), Some([first, last, step])) if pattern.contains('%') => {
                numbered(pattern, [*first, *last, *step]).map_err(content)?
            }
            _ => vec![named.to_owned()],
        };
        all_beside(path, &names)
    }
}

fn open(request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
    let path = request.path;
    let content = |problem: String| IoError::content(path, problem);
    let said = Said::read(path)?;
    let kind = said.field("ElementType").unwrap_or_default();
    // Colours have their number in the name of the type, other channels in a field.
    let plain = kind.trim_end_matches("_ARRAY");
    let stored = TYPES.iter().find(|(name, _)| *name == plain).map(|(_, stored)| *stored);
    let stored = stored.ok_or_else(|| content(format!("values of type {kind:?}, which are not read")))?;
    let sizes: Option<Vec<usize>> =
        said.field("DimSize").map(|text| text.split_whitespace().map(|n| n.parse().unwrap_or(0)).collect());
    let sizes = sizes.filter(|sizes| (2..=4).contains(&sizes.len()) && !sizes.contains(&0));
    let sizes = sizes.ok_or_else(|| {
        content(format!("the sizes {:?}, of 2 to 4 axes", said.field("DimSize").unwrap_or_default()))
    })?;
    let side = |axis: usize| sizes.get(axis).copied().unwrap_or(1);
    let n_together = said.field("ElementNumberOfChannels").map_or(Some(1), |n| n.parse().ok());
    let is_packed = said.is_true(&["CompressedData"]);
    let files = said.files(path)?;
    let is_here = files.len() == 1 && files[0] == path;
    let before = match said.field("HeaderSize").map_or(Some(0), |n| n.parse::<i64>().ok()) {
        Some(-1) if !is_packed => Before::WhatIsMore,
        Some(n) if n >= 0 => {
            let at = if is_here { said.n_bytes } else { 0 };
            Before::Skip { at, lines: 0, bytes: u64::try_from(n).unwrap_or(0) }
        }
        _ => {
            return Err(content(format!(
                "a header size of {}",
                said.field("HeaderSize").unwrap_or_default()
            )));
        }
    };
    let is_binary = said.field("BinaryData").is_none_or(|value| value.eq_ignore_ascii_case("true"));
    let body = Body {
        files,
        before,
        packing: match (is_binary, is_packed) {
            (false, _) => Packing::Text,
            (true, true) => Packing::Zlib,
            (true, false) => Packing::Plain,
        },
        stored,
        big_endian: said.is_true(&["BinaryDataByteOrderMSB", "ElementByteOrderMSB"]),
        shape: [side(2), side(1), side(0)],
        n_together: n_together.ok_or_else(|| content("ElementNumberOfChannels is no number".to_owned()))?,
        n_times: side(3),
        n_apart: 1,
        has_more: false,
    };
    let mut source = body.open(request, "MetaImage")?;
    place(&said, source.header_mut());
    Ok(source)
}

/// Fills in edges, place and orientation.
fn place(said: &Said, header: &mut Header) {
    let numbers = |names: &[&str]| {
        said.numbers(names).into_iter().map(|n| if n.is_finite() { n } else { 0.0 }).collect::<Vec<_>>()
    };
    let spacing = numbers(&["ElementSpacing", "ElementSize"]);
    let edge = |axis: usize| spacing.get(axis).copied().map(f64::abs).filter(|edge| *edge > 0.0);
    if let (Some(x), Some(y)) = (edge(0), edge(1)) {
        let edges = [edge(2).unwrap_or(x), y, x];
        let shortest = edges.iter().copied().fold(f64::INFINITY, f64::min);
        header.ratios = Some(edges.map(|edge| edge / shortest));
    }
    for (name, value) in &said.fields {
        if name != "ElementDataFile" {
            header.metadata.insert(name.clone(), value.clone());
        }
    }
    let matrix = numbers(&["TransformMatrix", "Rotation", "Orientation"]);
    let n = header.metadata.get("NDims").and_then(|n| n.parse::<usize>().ok()).unwrap_or(3);
    let is_straight = matrix.len() != n * n
        || (0..n * n).all(|i| (matrix[i] - if i % (n + 1) == 0 { 1.0 } else { 0.0 }).abs() < STRAIGHT);
    if !is_straight {
        header.warnings.push(format!(
            "the file turns or mirrors its axes (TransformMatrix {}); the voxels are read in the order of the file; --axes turns them",
            said.field("TransformMatrix").or(said.field("Rotation")).or(said.field("Orientation")).unwrap_or_default()
        ));
    }
}

/// What 3-D programs take the lengths of a file for.
fn losses(request: &WriteRequest<'_>) -> Vec<String> {
    let said = "MetaImage has no unit of length: other programs take the µm in it for mm".to_owned();
    request.voxel_um.map(|_| said).into_iter().collect()
}

fn create(path: &Path, values: &Values<'_>, request: &WriteRequest<'_>) -> Result<File, IoError> {
    let [z, y, x] = values.shape();
    let [dz, dy, dx] = request.voxel_um.or(request.ratios).unwrap_or([1.0; 3]);
    let [oz, oy, ox] = request.voxel_um.map_or([0.0; 3], |_| request.origin_um);
    let kind = TYPES
        .iter()
        .find(|(_, stored)| *stored == Stored::Same(values.dtype()))
        .map_or("", |(name, _)| *name);
    let head = format!(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = {ox} {oy} {oz}\nElementSpacing = {dx} {dy} {dz}\nDimSize = {x} {y} {z}\nElementType = {kind}\nElementDataFile = LOCAL\n"
    );
    let mut file = room::create(path, values.n_bytes().saturating_add(head.len() as u64))
        .map_err(|e| IoError::system("create", path, e))?;
    file.write_all(head.as_bytes()).map_err(|e| IoError::system("write", path, e))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::base::{MemoryBudget, Unit};
    use crate::io::{Loaded, ReadOptions, read_array_of, write_array};
    use crate::volume::AnyArray;

    fn read_of(path: &Path, options: &ReadOptions) -> Result<Loaded, IoError> {
        read_array_of(path, options, &Progress::new(), MemoryBudget::from_gib(0.5))
    }

    fn read(head: &str, values: &[u8], options: &ReadOptions) -> Result<Loaded, IoError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mha");
        std::fs::write(
            &path,
            [format!("ObjectType = Image\n{head}ElementDataFile = LOCAL\n").as_bytes(), values].concat(),
        )
        .unwrap();
        read_of(&path, options)
    }

    fn bytes(loaded: &Loaded) -> Vec<u8> {
        let AnyArray::U8(array) = &loaded.array else { panic!("another type") };
        array.iter().copied().collect()
    }

    const SMALL: &str = "NDims = 3\nDimSize = 3 2 1\nElementType = MET_UCHAR\n";

    #[test]
    fn values_are_read_plain_packed_as_text_and_beside() {
        let raw = [1, 2, 3, 4, 5, 6];
        let any = ReadOptions::default();
        assert_eq!(bytes(&read(SMALL, &raw, &any).unwrap()), raw);
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
        packer.write_all(&raw).unwrap();
        let packed = format!("{SMALL}CompressedData = True\n");
        assert_eq!(bytes(&read(&packed, &packer.finish().unwrap(), &any).unwrap()), raw);
        let text = format!("{SMALL}BinaryData = False\n");
        assert_eq!(bytes(&read(&text, b"1 2 3\n4 5 6\n", &any).unwrap()), raw);
        let big = "NDims = 2\nDimSize = 2 1\nElementType = MET_SHORT\nElementByteOrderMSB = True\n";
        let found = read(big, &[0xff, 0xfe, 0, 3], &any).unwrap().array;
        assert_eq!(found, AnyArray::I16(Array3::from_shape_vec((1, 1, 2), vec![-2, 3]).unwrap()));
        let colours = "NDims = 2\nDimSize = 2 1\nElementType = MET_UCHAR\nElementNumberOfChannels = 3\n";
        let blue = ReadOptions { channel: Some(2), ..any.clone() };
        assert_eq!(bytes(&read(colours, &raw, &blue).unwrap()), [3, 6]);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mhd");
        std::fs::write(folder.path().join("a_1.raw"), [1, 2, 3]).unwrap();
        std::fs::write(folder.path().join("a_2.raw"), [4, 5, 6]).unwrap();
        let head =
            "ObjectType = Image\nNDims = 3\nDimSize = 3 1 2\nElementType = MET_UCHAR\nElementDataFile = ";
        for named in ["a_%d.raw 1 2 1\n", "LIST\na_1.raw\na_2.raw\n"] {
            std::fs::write(&path, format!("{head}{named}")).unwrap();
            assert_eq!(bytes(&read_of(&path, &any).unwrap()), raw, "{named}");
        }
        std::fs::write(&path, format!("{head}../a_1.raw\n")).unwrap();
        assert!(read_of(&path, &any).unwrap_err().to_string().contains("only files in the folder"));
    }

    #[test]
    fn planes_in_more_files_than_can_be_open_at_once_are_read() {
        let folder = tempfile::tempdir().unwrap();
        // A process has 1024 files open at most on most systems.
        let n = 1500usize;
        for plane in 0..n {
            std::fs::write(folder.path().join(format!("p{plane:04}.raw")), [(plane % 251) as u8]).unwrap();
        }
        let path = folder.path().join("a.mhd");
        let head = format!("ObjectType = Image\nNDims = 3\nDimSize = 1 1 {n}\nElementType = MET_UCHAR\n");
        std::fs::write(&path, format!("{head}ElementDataFile = p%04d.raw 0 {} 1\n", n - 1)).unwrap();
        let expected: Vec<u8> = (0..n).map(|plane| (plane % 251) as u8).collect();
        assert_eq!(bytes(&read_of(&path, &ReadOptions::default()).unwrap()), expected);
        for wrong in ["0 9 0", "9 0 1", "9 8 2", "0 9999999999 1"] {
            std::fs::write(&path, format!("{head}ElementDataFile = p%04d.raw {wrong}\n")).unwrap();
            assert!(read_of(&path, &ReadOptions::default()).unwrap_err().to_string().contains("files from"));
        }
    }

    #[test]
    fn edges_without_a_unit_are_ratios_and_turned_axes_are_said() {
        let head = format!("{SMALL}ElementSpacing = 1 2 4\nTransformMatrix = -1 0 0 0 1 0 0 0 1\n");
        let header = read(&head, &[0; 6], &ReadOptions::default()).unwrap().header;
        assert_eq!((header.voxel_um, header.ratios), (None, Some([4.0, 2.0, 1.0])));
        let said = header.warnings.join("; ");
        assert!(said.contains("no unit of length") && said.contains("turns or mirrors"), "{said}");
    }

    #[test]
    fn what_is_written_comes_back_and_damage_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mha");
        let array = Array3::from_shape_fn((3, 4, 5), |(z, y, x)| (z * 20 + y * 5 + x) as u16);
        let request = WriteRequest {
            voxel_um: Some([0.03, 0.02, 0.01]),
            origin_um: [1.0, 2.0, 3.0],
            unit: Some(Unit::PerUm),
            ..WriteRequest::new(&array)
        };
        assert!(write_array(&path, &request, &Progress::new()).unwrap()[0].contains("mm"));
        let back = read_of(&path, &ReadOptions::default()).unwrap();
        assert_eq!(back.array, AnyArray::U16(array));
        let header = back.header;
        assert_eq!((header.voxel_um, header.origin_um), (Some([0.03, 0.02, 0.01]), [1.0, 2.0, 3.0]));
        assert_eq!(header.unit, Some(Unit::PerUm));
        assert!(header.warnings.is_empty(), "{:?}", header.warnings);
        for head in [
            "NDims = 3\nDimSize = 3 2\nElementType = MET_OTHER\n",
            "NDims = 3\nDimSize = 0 2 1\nElementType = MET_UCHAR\n",
            "NDims = 3\nDimSize = 99999999999 99999999999 99999999999\nElementType = MET_UCHAR\n",
            "NDims = 3\nDimSize = 3 2 1\nElementType = MET_UCHAR\nHeaderSize = -5\n",
            "NDims = 3\nDimSize = 3 2 1\nElementType = MET_UCHAR\nElementNumberOfChannels = 0\n",
        ] {
            assert!(read(head, &[0; 6], &ReadOptions::default()).is_err(), "{head}");
        }
    }
}
