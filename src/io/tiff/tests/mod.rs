//! Tests of io::tiff: files made by hand, by an independent writer, and by our own.

mod order;
mod sets;
mod sparse;
mod values;
mod written;

use std::path::Path;

use crate::base::{MemoryBudget, Progress};
use crate::io::{IoError, Loaded, ReadOptions, read_array_of};
use crate::volume::AnyArray;

fn budget() -> MemoryBudget {
    MemoryBudget::from_gib(0.5)
}

fn read_of(path: &Path, options: &ReadOptions) -> Result<Loaded, IoError> {
    read_array_of(path, options, &Progress::new(), budget())
}

fn read(path: &Path) -> Loaded {
    read_of(path, &ReadOptions::default()).unwrap()
}

fn channel(n: usize) -> ReadOptions {
    ReadOptions { channel: Some(n), ..ReadOptions::default() }
}

fn time(n: usize) -> ReadOptions {
    ReadOptions { time: Some(n), ..ReadOptions::default() }
}

/// All values in their order.
fn values(loaded: &Loaded) -> Vec<f64> {
    crate::with_array!(&loaded.array, array => array.iter().map(|v| crate::volume::any::Voxel::to_f64(*v)).collect())
}

/// The first value of each plane.
fn firsts(loaded: &Loaded) -> Vec<f64> {
    let [n, ..] = loaded.array.shape();
    let all = values(loaded);
    all.chunks(all.len() / n).map(|plane| plane[0]).collect()
}

/// Whether a warning says `part`.
fn says(loaded: &Loaded, part: &str) -> bool {
    loaded.header.warnings.iter().any(|warning| warning.contains(part))
}

/// Values of a tag.
#[derive(Clone)]
enum Tag {
    Short(Vec<u16>),
    Long(Vec<u32>),
    Text(&'static str),
    Bytes(Vec<u8>),
    Ratio(u32, u32),
}

/// A page made by hand: entries beside those of its place, and its strips or tiles.
#[derive(Clone)]
struct Handmade {
    entries: Vec<(u16, Tag)>,
    pieces: Vec<Vec<u8>>,
}

/// A page of `rows` × `cols` samples of `bits` bits in one strip.
fn page(rows: u32, cols: u32, bits: u16, values: Vec<u8>) -> Handmade {
    let entries =
        vec![(256, Tag::Long(vec![cols])), (257, Tag::Long(vec![rows])), (258, Tag::Short(vec![bits]))];
    Handmade { entries, pieces: vec![values] }
}

impl Handmade {
    fn with(mut self, tag: u16, value: Tag) -> Self {
        self.entries.retain(|(known, _)| *known != tag);
        self.entries.push((tag, value));
        self
    }

    fn described(self, text: &'static str) -> Self {
        self.with(270, Tag::Text(text))
    }
}

/// The bytes of a file of these pages.
fn file_of(big_endian: bool, pages: &[Handmade]) -> Vec<u8> {
    let short = |v: u16| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
    let long = |v: u32| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
    let mut bytes = if big_endian { b"MM\0\x2a\0\0\0\0".to_vec() } else { b"II\x2a\0\0\0\0\0".to_vec() };
    let mut link = 4;
    for page in pages {
        let mut entries = page.entries.clone();
        let (mut places, mut lengths) = (Vec::new(), Vec::new());
        for piece in &page.pieces {
            // A piece without bytes is missing.
            places.push(if piece.is_empty() { 0 } else { bytes.len() as u32 });
            lengths.push(piece.len() as u32);
            bytes.extend(piece);
        }
        let is_tiled = entries.iter().any(|(tag, _)| *tag == 322);
        entries.push((if is_tiled { 324 } else { 273 }, Tag::Long(places)));
        entries.push((if is_tiled { 325 } else { 279 }, Tag::Long(lengths)));
        entries.sort_by_key(|(tag, _)| *tag);
        let mut fields = Vec::new();
        for (tag, value) in &entries {
            let (kind, n, mut value): (u16, usize, Vec<u8>) = match value {
                Tag::Short(v) => (3, v.len(), v.iter().flat_map(|v| short(*v)).collect()),
                Tag::Long(v) => (4, v.len(), v.iter().flat_map(|v| long(*v)).collect()),
                Tag::Text(v) => (2, v.len() + 1, [v.as_bytes(), &[0]].concat()),
                Tag::Bytes(v) => (7, v.len(), v.clone()),
                Tag::Ratio(n, d) => (5, 1, [long(*n), long(*d)].concat()),
            };
            if value.len() > 4 {
                let at = bytes.len() as u32;
                bytes.extend(&value);
                value = long(at).to_vec();
            }
            value.resize(4, 0);
            fields.extend([short(*tag), short(kind)].concat());
            fields.extend([long(n as u32).to_vec(), value].concat());
        }
        let at = bytes.len() as u32;
        bytes[link..link + 4].copy_from_slice(&long(at));
        bytes.extend(short(entries.len() as u16));
        bytes.extend(fields);
        link = bytes.len();
        bytes.extend([0; 4]);
    }
    bytes
}

/// Reads a file of these pages, little endian.
fn read_pages(pages: &[Handmade], options: &ReadOptions) -> Result<Loaded, IoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    std::fs::write(&path, file_of(false, pages)).unwrap();
    read_of(&path, options)
}

/// Pages of one value each: 1 × 2 bytes of 0, 1, 2 ….
fn numbered(n: u8) -> Vec<Handmade> {
    (0..n).map(|i| page(1, 2, 8, vec![i, 100 + i])).collect()
}

fn described(n: u8, text: &'static str) -> Vec<Handmade> {
    let mut pages = numbered(n);
    pages[0] = pages[0].clone().described(text);
    pages
}

fn any_u16(shape: (usize, usize, usize), values: Vec<u16>) -> AnyArray {
    AnyArray::U16(ndarray::Array3::from_shape_vec(shape, values).unwrap())
}
