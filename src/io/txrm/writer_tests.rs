//! Writes compound files for the tests of the reader: both sizes of sectors, small streams, lists of sector tables.

use std::collections::BTreeMap;
use std::path::Path;

const END: u32 = 0xffff_fffe;
const FREE: u32 = 0xffff_ffff;
const MINI: usize = 64;
const CUTOFF: usize = 4096;

/// Streams by path, `/` between storages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams(pub(crate) BTreeMap<String, Vec<u8>>);

impl Streams {
    pub(crate) fn put(&mut self, path: &str, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.0.insert(path.to_owned(), bytes.into());
        self
    }

    pub(crate) fn int(&mut self, path: &str, value: i32) -> &mut Self {
        self.put(path, value.to_le_bytes())
    }

    pub(crate) fn floats(&mut self, path: &str, values: &[f32]) -> &mut Self {
        self.put(path, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// One value every 40 bytes.
    pub(crate) fn spaced(&mut self, path: &str, values: &[f32]) -> &mut Self {
        let mut array = vec![0.0; 10 * (values.len() - 1) + 1];
        values.iter().enumerate().for_each(|(i, v)| array[10 * i] = *v);
        self.floats(path, &array)
    }

    /// Texts in slots of `width` bytes, garbage behind the NUL.
    pub(crate) fn slots(&mut self, path: &str, width: usize, texts: &[&str]) -> &mut Self {
        let mut raw = Vec::new();
        for text in texts {
            let mut slot: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            slot.push(0);
            slot.resize(width, b'Q');
            raw.extend(slot);
        }
        self.put(path, raw)
    }

    pub(crate) fn write(&self, path: &Path, version: u16) {
        std::fs::write(path, self.bytes(version)).unwrap();
    }

    /// The bytes of the file: version 3 has sectors of 512 bytes, version 4 of 4096.
    pub(crate) fn bytes(&self, version: u16) -> Vec<u8> {
        let sector = if version == 3 { 512 } else { 4096 };
        let mut body = Body { sector, bytes: Vec::new(), next: Vec::new() };
        let (mut mini, mut mini_next) = (Vec::new(), Vec::new());
        let mut places = BTreeMap::new();
        for (path, content) in &self.0 {
            let start = if content.is_empty() {
                END
            } else if content.len() < CUTOFF {
                let start = u32::try_from(mini.len() / MINI).unwrap();
                let n = content.len().div_ceil(MINI);
                (1..n).for_each(|i| mini_next.push(start + u32::try_from(i).unwrap()));
                mini_next.push(END);
                mini.extend_from_slice(content);
                mini.resize(mini.len().next_multiple_of(MINI), 0xaa);
                start
            } else {
                body.append(content)
            };
            places.insert(path.clone(), (start, content.len() as u64));
        }
        let mini_start = body.append(&mini);
        let mini_table: Vec<u8> = mini_next.iter().flat_map(|n| n.to_le_bytes()).collect();
        let mini_table_start = body.append(&mini_table);
        let directory = directory(&places, (mini_start, mini.len() as u64));
        let directory_start = body.append(&directory);
        body.finish(version, directory_start, mini_table_start, mini_table.len().div_ceil(sector))
    }
}

struct Body {
    sector: usize,
    bytes: Vec<u8>,
    next: Vec<u32>,
}

impl Body {
    fn append(&mut self, content: &[u8]) -> u32 {
        if content.is_empty() {
            return END;
        }
        let start = u32::try_from(self.next.len()).unwrap();
        let n = u32::try_from(content.len().div_ceil(self.sector)).unwrap();
        (1..n).for_each(|i| self.next.push(start + i));
        self.next.push(END);
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.next.len() * self.sector, 0);
        start
    }

    fn finish(mut self, version: u16, directory: u32, mini_table: u32, n_mini: usize) -> Vec<u8> {
        let per = self.sector / 4;
        let (mut n_fat, mut n_lists) = (1, 0);
        while self.next.len() + n_fat + n_lists > n_fat * per {
            n_fat += 1;
            n_lists = n_fat.saturating_sub(109).div_ceil(per - 1);
        }
        let first = u32::try_from(self.next.len()).unwrap();
        let fat: Vec<u32> = (0..n_fat).map(|i| first + u32::try_from(i).unwrap()).collect();
        let first_list = first + u32::try_from(n_fat).unwrap();
        self.next.resize(self.next.len() + n_fat, 0xffff_fffd);
        self.next.resize(self.next.len() + n_lists, 0xffff_fffc);
        self.next.resize(n_fat * per, FREE);
        self.bytes.extend(self.next.iter().flat_map(|n| n.to_le_bytes()));
        let (in_head, in_lists) = fat.split_at(fat.len().min(109));
        for (i, part) in in_lists.chunks(per - 1).enumerate() {
            let mut list = part.to_vec();
            list.resize(per - 1, FREE);
            list.push(if i + 1 < n_lists { first_list + u32::try_from(i).unwrap() + 1 } else { END });
            self.bytes.extend(list.iter().flat_map(|n| n.to_le_bytes()));
        }
        let mut head = Vec::new();
        head.extend(super::ole::MAGIC);
        head.extend([0; 16]);
        let shift = if version == 3 { 9u16 } else { 12 };
        for value in [0x3e, version, 0xfffe, shift, 6] {
            head.extend(value.to_le_bytes());
        }
        head.extend([0; 6]);
        let n_directory = u32::from(version != 3);
        let n = |n: usize| u32::try_from(n).unwrap();
        let lists = if n_lists == 0 { END } else { first_list };
        for value in
            [n_directory, n(n_fat), directory, 0, n(CUTOFF), mini_table, n(n_mini), lists, n(n_lists)]
        {
            head.extend(value.to_le_bytes());
        }
        head.extend((0..109).flat_map(|i| in_head.get(i).copied().unwrap_or(FREE).to_le_bytes()));
        head.resize(self.sector, 0);
        head.extend(self.bytes);
        head
    }
}

/// A directory: storages before what is in them, siblings in a chain to the right in the order of the format.
fn directory(places: &BTreeMap<String, (u32, u64)>, mini: (u32, u64)) -> Vec<u8> {
    let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in places.keys() {
        let mut at = path.as_str();
        loop {
            let parent = at.rsplit_once('/').map_or("", |(parent, _)| parent);
            let known = children.entry(parent.to_owned()).or_default();
            if !known.iter().any(|child| child == at) {
                known.push(at.to_owned());
            }
            if parent.is_empty() {
                break;
            }
            at = parent;
        }
    }
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    for known in children.values_mut() {
        known.sort_by_key(|path| (name(path).len(), name(path).to_uppercase()));
    }
    let order: Vec<String> = children.values().flatten().cloned().collect();
    let number = |path: &str| u32::try_from(order.iter().position(|p| p == path).unwrap() + 1).unwrap();
    let first = |path: &str| children.get(path).map_or(FREE, |known| number(&known[0]));
    let mut raw = entry("Root Entry", 5, [FREE, FREE, first("")], mini);
    for path in &order {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let siblings = &children[parent];
        let at = siblings.iter().position(|p| p == path).unwrap();
        let right = siblings.get(at + 1).map_or(FREE, |next| number(next));
        let place = places.get(path).copied();
        raw.extend(entry(
            &name(path),
            if place.is_some() { 2 } else { 1 },
            [FREE, right, first(path)],
            place.unwrap_or((0, 0)),
        ));
    }
    raw
}

fn entry(name: &str, kind: u8, links: [u32; 3], (start, bytes): (u32, u64)) -> Vec<u8> {
    let mut raw: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let n = u16::try_from(raw.len() + 2).unwrap();
    raw.resize(64, 0);
    raw.extend(n.to_le_bytes());
    raw.extend([kind, 1]);
    raw.extend(links.iter().flat_map(|link| link.to_le_bytes()));
    raw.resize(116, 0);
    raw.extend(start.to_le_bytes());
    raw.extend(bytes.to_le_bytes());
    raw
}

/// A tilt series as the microscope writes it: `n` images of rows × cols, u16, value 1000 k + 10 · row + column by its row
/// from the top.
pub(crate) fn series(n: usize, rows: usize, cols: usize) -> Streams {
    let mut streams = Streams::default();
    let sides = [n, n, rows, cols].map(|side| i32::try_from(side).unwrap());
    streams.floats("Version", &[3.0]);
    for (name, value) in ["NoOfImages", "ImagesTaken", "ImageHeight", "ImageWidth"].iter().zip(sides) {
        streams.int(&format!("ImageInfo/{name}"), value);
    }
    streams.int("ImageInfo/DataType", 5);
    let angles: Vec<f32> = (0..n).map(|k| 2.0 * k as f32 - 10.0).collect();
    streams.floats("ImageInfo/Angles", &angles).floats("ImageInfo/PixelSize", &[0.0125]);
    for k in 0..n {
        streams.put(&super::about::image_name(k + 1), pixels(rows, cols, |y, x| value(k, y, x)));
    }
    streams
}

/// What image `k` (from 0) of [`series`] holds at a row from the top.
pub(crate) fn value(k: usize, y: usize, x: usize) -> u16 {
    u16::try_from(1000 * (k % 60 + 1) + 10 * y + x).unwrap()
}

/// u16 pixels of a picture, its rows written from the bottom up.
pub(crate) fn pixels(rows: usize, cols: usize, value: impl Fn(usize, usize) -> u16) -> Vec<u8> {
    let at = |y: usize| (0..cols).map(move |x| (y, x));
    (0..rows).rev().flat_map(at).flat_map(|(y, x)| value(y, x).to_le_bytes()).collect()
}
