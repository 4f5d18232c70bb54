//! PNG pictures, and folders of pictures (PNG or TIFF) in natural order as one stack.

use std::cmp::Ordering;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader, Limits};
use ndarray::Array3;

use super::array::{Dtype, put_planes, zeros};
use super::choice::ReadOptions;
use super::error::{IoError, guarded};
use super::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest, has_extension};
use super::tiff;
use crate::base::{MemoryBudget, Progress};
use crate::volume::AnyArray;

/// Single PNG pictures.
pub(crate) struct Png;

/// Folders of pictures, one plane each.
pub(crate) struct PictureFolder;

const TIFF_EXTENSIONS: [&str; 2] = ["tif", "tiff"];

impl Format for Png {
    fn name(&self) -> &'static str {
        "PNG"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["png"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        probe.head.starts_with(b"\x89PNG\r\n\x1a\n")
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let (array, n_channels) = read_png(request.path, request.channel(), request.budget)?;
        let mut header = Header::new("PNG", array.shape(), dtype_of(&array));
        header.n_channels = n_channels;
        Ok(Box::new(PngSource { array, header }))
    }

    fn writes(&self) -> bool {
        false
    }

    fn write(&self, path: &Path, _: &WriteRequest<'_>, _: &Progress) -> Result<Vec<String>, IoError> {
        Err(IoError::content(path, "volumes are not written as PNG"))
    }
}

struct PngSource {
    array: AnyArray,
    header: Header,
}

impl Source for PngSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, _only: Range<usize>) -> Result<AnyArray, IoError> {
        Ok(self.array.clone())
    }
}

fn dtype_of(array: &AnyArray) -> Dtype {
    Dtype::from_name(array.dtype()).unwrap_or(Dtype::U8)
}

/// One channel of a PNG as a plane, and how many channels it has.
fn read_png(path: &Path, channel: usize, budget: MemoryBudget) -> Result<(AnyArray, usize), IoError> {
    let mut reader = ImageReader::open(path)
        .map_err(|e| IoError::system("read", path, e))?
        .with_guessed_format()
        .map_err(|e| IoError::system("read", path, e))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(budget.bytes);
    reader.limits(limits);
    let picture = guarded(path, "PNG", || reader.decode().map_err(|e| format!("PNG: {e}")))?;
    let shape = (1, picture.height() as usize, picture.width() as usize);
    let n_channels = usize::from(picture.color().channel_count());
    let take = |channel: usize| channel.min(n_channels - 1);
    let array = match picture {
        DynamicImage::ImageLuma8(p) => Array3::from_shape_vec(shape, p.into_raw()).map(AnyArray::U8),
        DynamicImage::ImageLuma16(p) => Array3::from_shape_vec(shape, p.into_raw()).map(AnyArray::U16),
        other if other.color().bytes_per_pixel() / other.color().channel_count() == 2 => {
            let values = match n_channels {
                2 => other.into_luma_alpha16().into_raw(),
                3 => other.into_rgb16().into_raw(),
                _ => other.into_rgba16().into_raw(),
            };
            let values = values.into_iter().skip(take(channel)).step_by(n_channels).collect();
            Array3::from_shape_vec(shape, values).map(AnyArray::U16)
        }
        other => {
            let values = match n_channels {
                2 => other.into_luma_alpha8().into_raw(),
                3 => other.into_rgb8().into_raw(),
                _ => other.into_rgba8().into_raw(),
            };
            let values = values.into_iter().skip(take(channel)).step_by(n_channels).collect();
            Array3::from_shape_vec(shape, values).map(AnyArray::U8)
        }
    };
    array.map(|array| (array, n_channels)).map_err(|e| IoError::content(path, format!("PNG: {e}")))
}

impl Format for PictureFolder {
    fn name(&self) -> &'static str {
        "folder of TIFF or PNG pictures"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        probe.is_folder && !pictures_in(&probe.path).is_empty()
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let files = pictures_in(request.path);
        let first =
            files.first().ok_or_else(|| IoError::content(request.path, "a folder without pictures"))?;
        let mut one = open_picture(first, request.channel(), request.budget)?;
        let of_first = one.header_mut().clone();
        let [n_pages, rows, cols] = of_first.shape;
        if n_pages != 1 && files.len() > 1 {
            let problem = format!(
                "a folder of {} stacks ({} has {n_pages} pages); open one of them",
                files.len(),
                first.display()
            );
            return Err(IoError::content(request.path, problem));
        }
        let mut header =
            Header::new("folder of pictures", [files.len().max(n_pages), rows, cols], of_first.dtype);
        header.voxel_um = of_first.voxel_um;
        header.n_channels = of_first.n_channels;
        let files = if n_pages == 1 { files } else { vec![first.clone(); n_pages] };
        header.metadata.insert("first".to_owned(), name_of(files.first()));
        header.metadata.insert("last".to_owned(), name_of(files.last()));
        let folder = request.path.to_owned();
        Ok(Box::new(FolderSource {
            folder,
            files,
            channel: request.channel(),
            budget: request.budget,
            header,
        }))
    }

    fn writes(&self) -> bool {
        false
    }

    fn write(&self, path: &Path, _: &WriteRequest<'_>, _: &Progress) -> Result<Vec<String>, IoError> {
        Err(IoError::content(path, "folders of pictures are not written"))
    }
}

fn name_of(file: Option<&PathBuf>) -> String {
    file.and_then(|file| file.file_name()).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn open_picture(path: &Path, channel: usize, budget: MemoryBudget) -> Result<Box<dyn Source>, IoError> {
    let options = ReadOptions { channel: Some(channel), ..ReadOptions::default() };
    let request = OpenRequest { path, options: &options, budget };
    if has_extension(path, &TIFF_EXTENSIONS) {
        return Ok(Box::new(tiff::open(&request)?));
    }
    Png.open(&request)
}

/// The TIFFs of a folder in natural order, or its PNGs where it has no TIFFs.
pub(super) fn pictures_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    for extensions in [&TIFF_EXTENSIONS[..], &["png"]] {
        let mut found: Vec<PathBuf> =
            files.iter().filter(|file| has_extension(file, extensions) && !hidden(file)).cloned().collect();
        if !found.is_empty() {
            found.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
            return found;
        }
    }
    Vec::new()
}

/// Order of names in which `view_2` comes before `view_10`.
pub(super) fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let split = |s: &[u8]| s.iter().take_while(|c| c.is_ascii_digit()).count();
    while let (Some(first), Some(second)) = (a.first(), b.first()) {
        let (n, m) = (split(a), split(b));
        let order = if n > 0 && m > 0 {
            let number =
                |digits: &[u8]| -> Vec<u8> { digits.iter().copied().skip_while(|c| *c == b'0').collect() };
            let (p, q) = (number(&a[..n]), number(&b[..m]));
            (a, b) = (&a[n..], &b[m..]);
            p.len().cmp(&q.len()).then(p.cmp(&q)).then(n.cmp(&m))
        } else {
            let order = first.cmp(second);
            (a, b) = (&a[1..], &b[1..]);
            order
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

struct FolderSource {
    folder: PathBuf,
    files: Vec<PathBuf>,
    channel: usize,
    budget: MemoryBudget,
    header: Header,
}

impl Source for FolderSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let [_, rows, cols] = self.header.shape;
        let mut whole = zeros(self.header.dtype, [planes.len(), rows, cols]);
        let is_one_file = self.files.windows(2).any(|pair| pair[0] == pair[1]);
        for (at, plane) in planes.enumerate() {
            let Some(file) = self.files.get(plane) else { continue };
            let mut source = open_picture(file, self.channel, self.budget)?;
            let page = if is_one_file { plane } else { 0 };
            let picture = source.read_planes(page..page + 1)?;
            if !put_planes(&mut whole, at, &picture) {
                let [_, y, x] = picture.shape();
                let problem = format!(
                    "{} is {y} × {x} {}, the first picture is {rows} × {cols} {}",
                    name_of(Some(file)),
                    picture.dtype(),
                    self.header.dtype.name()
                );
                return Err(IoError::content(&self.folder, problem));
            }
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{read_array, read_array_of, write_array};

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["v_10.tif", "v_2.tif", "v_002.tif", "v_1.tif", "u_11.tif", "v_.tif"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["u_11.tif", "v_.tif", "v_1.tif", "v_2.tif", "v_002.tif", "v_10.tif"]);
    }

    #[test]
    fn folders_of_pictures_are_stacks_and_odd_ones_out_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in [("s_2.tif", 2u16), ("s_10.tif", 10), ("s_1.tif", 1)] {
            let plane = Array3::from_elem((1, 3, 4), value);
            write_array(&folder.path().join(name), &WriteRequest::new(&plane), &Progress::new()).unwrap();
        }
        let read = || read_array(folder.path(), &Progress::new(), MemoryBudget::from_gib(0.1));
        let array = read().unwrap().array.to_f32();
        assert_eq!(array.dim(), (3, 3, 4));
        assert_eq!([array[[0, 0, 0]], array[[1, 0, 0]], array[[2, 2, 3]]], [1.0, 2.0, 10.0]);
        let odd = Array3::from_elem((1, 3, 5), 1u16);
        write_array(&folder.path().join("s_3.tif"), &WriteRequest::new(&odd), &Progress::new()).unwrap();
        let text = read().unwrap_err().to_string();
        assert!(text.contains("s_3.tif is 3 × 5"), "{text}");
    }

    #[test]
    fn png_slices_of_grey_and_colour_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..3u8 {
            image::GrayImage::from_pixel(4, 2, image::Luma([i]))
                .save(folder.path().join(format!("{i}.png")))
                .unwrap();
        }
        let loaded = read_array(folder.path(), &Progress::new(), MemoryBudget::from_gib(0.1)).unwrap();
        assert_eq!((loaded.array.shape(), loaded.array.dtype()), ([3, 2, 4], "uint8"));
        let path = folder.path().join("rgb.png");
        image::RgbImage::from_pixel(2, 2, image::Rgb([7, 8, 9])).save(&path).unwrap();
        let options = ReadOptions { channel: Some(2), ..ReadOptions::default() };
        let blue = read_array_of(&path, &options, &Progress::new(), MemoryBudget::from_gib(0.1)).unwrap();
        assert_eq!(blue.array, AnyArray::U8(Array3::from_elem((1, 2, 2), 9)));
    }
}
