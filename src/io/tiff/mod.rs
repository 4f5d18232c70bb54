//! TIFF (.tif .tiff): stacks of pages, tiled or striped, of 8 to 64 bits, BigTIFF included.
//!
//! Voxel size and order of the pages come from ImageJ's description or OME-XML. ImageJ files over
//! 4 GiB, which list one directory for all planes, are read too. Written so that ImageJ opens
//! them with spacing and unit; a line of JSON in the description carries the rest, so that
//! nothing is lost. BigTIFF is written where the data pass 3.9 GiB.

mod describe;
#[cfg(test)]
mod tests;
mod write;

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::Array3;
use tiff::ColorType;
use tiff::decoder::ifd::Value;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{ByteOrder, Tag};

use self::describe::{Description, Pages};
use super::array::{Dtype, array_from_bytes, put_planes, zeros};
use super::error::{IoError, guarded};
use super::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use crate::base::{MemoryBudget, Progress};
use crate::volume::AnyArray;

/// The format.
pub(crate) struct Tiff;

impl Format for Tiff {
    fn name(&self) -> &'static str {
        "TIFF"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["tif", "tiff", "btf", "tf8"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        [b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0", b"MM\0\x2b"]
            .iter()
            .any(|magic| probe.head.starts_with(*magic))
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        Ok(Box::new(open(request.path, request.channel(), request.budget)?))
    }

    fn write(
        &self,
        path: &Path,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        write::write(path, request, progress)
    }
}

/// Where the values of a plane are.
enum Layout {
    /// Directory of each page; pages to channels and planes; sample of a pixel.
    Pages { directories: Vec<usize>, pages: Pages, sample: usize, n_samples: usize },
    /// ImageJ's single directory: planes one after the other from an offset.
    Raw { offset: u64, pages: Pages, big_endian: bool },
}

pub(super) struct TiffSource {
    path: PathBuf,
    decoder: Decoder<BufReader<File>>,
    /// The directory that the decoder stands at.
    at: usize,
    channel: usize,
    layout: Layout,
    header: Header,
}

fn text(error: impl std::fmt::Display) -> String {
    format!("TIFF: {error}")
}

/// The type of one sample of a page and how many a pixel has.
fn sample_type(decoder: &mut Decoder<BufReader<File>>) -> Result<(Dtype, usize), String> {
    let color = decoder.colortype().map_err(text)?;
    let n_samples = match color {
        ColorType::Gray(_) | ColorType::Palette(_) => 1,
        ColorType::GrayA(_) => 2,
        ColorType::RGB(_) => 3,
        ColorType::RGBA(_) => 4,
        ColorType::Multiband { num_samples, .. } => usize::from(num_samples),
        other => return Err(format!("TIFF colours of kind {other:?} are not read; save it as grey values")),
    };
    let format = decoder
        .find_tag(Tag::SampleFormat)
        .map_err(text)?
        .and_then(|value| value.into_u16_vec().ok()?.first().copied())
        .unwrap_or(1);
    if n_samples > 1 && decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(text)? == Some(2) {
        return Err(
            "a TIFF with its channels in separate planes of one page is not read; save it as a stack"
                .to_owned(),
        );
    }
    let dtype = match (format, color.bit_depth()) {
        (1 | 4, 8) => Dtype::U8,
        (1 | 4, 16) => Dtype::U16,
        (1 | 4, 32) => Dtype::U32,
        (2, 8) => Dtype::I8,
        (2, 16) => Dtype::I16,
        (2, 32) => Dtype::I32,
        (3, 16 | 32) => Dtype::F32,
        (1..=3, 64) => Dtype::F64,
        (format, bits) => {
            return Err(format!("TIFF values of {bits} bits and sample format {format} are not read"));
        }
    };
    Ok((dtype, n_samples))
}

/// Opens a file; walks through its directories.
pub(super) fn open(path: &Path, channel: usize, budget: MemoryBudget) -> Result<TiffSource, IoError> {
    let file = File::open(path).map_err(|e| IoError::system("read", path, e))?;
    let length = file.metadata().map_err(|e| IoError::system("read", path, e))?.len();
    guarded(path, "TIFF", || open_file(path, file, length, channel, budget))
}

/// Most directories that are walked through.
const MAX_PAGES: usize = 1 << 20;

fn open_file(
    path: &Path,
    file: File,
    length: u64,
    channel: usize,
    budget: MemoryBudget,
) -> Result<TiffSource, String> {
    let bytes = usize::try_from(budget.bytes).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (bytes, bytes);
    limits.ifd_value_size = bytes.min(256 << 20);
    let mut decoder = Decoder::new(BufReader::new(file)).map_err(text)?.with_limits(limits);
    let (width, height) = decoder.dimensions().map_err(text)?;
    let (dtype, n_samples) = sample_type(&mut decoder)?;
    let description = decoder
        .find_tag(Tag::ImageDescription)
        .ok()
        .flatten()
        .and_then(|value| value.into_string().ok())
        .map(|text| describe::parse(&text))
        .unwrap_or_default();
    let ratio = |decoder: &mut Decoder<BufReader<File>>, tag| {
        let value = match decoder.find_tag(tag).ok().flatten()? {
            Value::Rational(n, d) => f64::from(n) / f64::from(d),
            Value::Float(v) => f64::from(v),
            Value::Double(v) => v,
            _ => return None,
        };
        Some(value).filter(|v| v.is_finite() && *v > 0.0)
    };
    let per_unit = [ratio(&mut decoder, Tag::XResolution), ratio(&mut decoder, Tag::YResolution)];
    let um_per_tag = match decoder.find_tag_unsigned::<u16>(Tag::ResolutionUnit) {
        Ok(Some(3)) => Some(1e4),
        _ => None,
    };
    let side = |n: u32| usize::try_from(n).map_err(|_e| format!("a side of {n} pixels"));
    let (rows, cols) = (side(height)?, side(width)?);
    let mut warnings = Vec::new();
    let raw = raw_layout(&mut decoder, &description, [rows, cols], dtype, n_samples, length)?;
    let layout = match raw {
        Some(layout) => layout,
        None => {
            let same = (width, height, dtype, n_samples);
            let directories = walk(&mut decoder, same, &mut warnings)?;
            let pages = page_order(&description, directories.len(), &mut warnings);
            Layout::Pages { directories, pages, sample: 0, n_samples }
        }
    };
    let (pages, n_samples) = match &layout {
        Layout::Pages { pages, n_samples, .. } => (*pages, *n_samples),
        Layout::Raw { pages, .. } => (*pages, 1),
    };
    let mut header = Header::new("TIFF", [pages.n_planes, rows, cols], dtype);
    header.n_channels = pages.n_channels * n_samples;
    header.warnings = warnings;
    if um_per_tag.is_some() && description.um_per_unit.is_none() && !is_microscopic(per_unit[0]) {
        // 300 dots per inch say something about paper, not about a sample.
        description.apply(&mut header, [None, None], None);
    } else {
        description.apply(&mut header, per_unit, um_per_tag);
    }
    Ok(TiffSource { path: path.to_owned(), decoder, at: usize::MAX, channel, layout, header })
}

/// Whether pixels per cm are those of a microscope: below 10 µm each.
fn is_microscopic(per_cm: Option<f64>) -> bool {
    per_cm.is_some_and(|n| 1e4 / n < 10.0)
}

/// Collects the directories of the same size and type as the first; thumbnails and masks are passed over.
fn walk(
    decoder: &mut Decoder<BufReader<File>>,
    (width, height, dtype, n_samples): (u32, u32, Dtype, usize),
    warnings: &mut Vec<String>,
) -> Result<Vec<usize>, String> {
    let mut directories = vec![0];
    let (mut at, mut n_other) = (0, 0);
    while decoder.more_images() && at < MAX_PAGES {
        decoder
            .next_image()
            .map_err(|e| format!("truncated or damaged TIFF after {} pages, copy it again: {e}", at + 1))?;
        at += 1;
        let reduced =
            decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).ok().flatten().unwrap_or(0) & 5 != 0;
        let same = decoder.dimensions().map_err(text)? == (width, height)
            && sample_type(decoder).is_ok_and(|found| found == (dtype, n_samples));
        if same && !reduced {
            directories.push(at);
        } else {
            n_other += 1;
        }
    }
    if n_other > 0 {
        warnings.push(format!("{n_other} pages of another size or type are left out"));
    }
    Ok(directories)
}

fn page_order(description: &Description, n: usize, warnings: &mut Vec<String>) -> Pages {
    let plain = Pages { n_channels: 1, n_planes: n, channel_step: 1, plane_step: 1 };
    let Some(pages) = description.pages else { return plain };
    let last = (pages.n_planes - 1)
        .checked_mul(pages.plane_step)
        .zip((pages.n_channels - 1).checked_mul(pages.channel_step))
        .and_then(|(z, c)| z.checked_add(c));
    match last {
        Some(last) if last < n => {
            if pages.n_planes * pages.n_channels < n {
                warnings.push(format!("{n} pages, of which the first time point was read"));
            }
            pages
        }
        _ => {
            warnings.push(format!(
                "the description promises {} planes of {} channels, the file has {n} pages",
                pages.n_planes, pages.n_channels
            ));
            plain
        }
    }
}

/// ImageJ's layout for large stacks: one directory, planes one after the other behind its first strip.
fn raw_layout(
    decoder: &mut Decoder<BufReader<File>>,
    description: &Description,
    [rows, cols]: [usize; 2],
    dtype: Dtype,
    n_samples: usize,
    length: u64,
) -> Result<Option<Layout>, String> {
    let Some(n_images) = description.n_images.filter(|n| *n > 1) else { return Ok(None) };
    let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(text)?.unwrap_or(1);
    if decoder.more_images() || n_samples != 1 || compression != 1 {
        return Ok(None);
    }
    let Some(offsets) = decoder.find_tag_unsigned_vec::<u64>(Tag::StripOffsets).map_err(text)? else {
        return Ok(None);
    };
    let offset = offsets.first().copied().ok_or("a TIFF without data")?;
    // ImageJ writes the directory first; data before it are those of an ordinary file.
    if decoder.ifd_pointer().is_none_or(|directory| directory.0 > offset) {
        return Ok(None);
    }
    let needed = [n_images, rows, cols]
        .iter()
        .try_fold(dtype.n_bytes() as u64, |n, side| n.checked_mul(*side as u64))
        .and_then(|n| n.checked_add(offset));
    if needed.is_none_or(|needed| needed > length) {
        return Err(format!(
            "truncated: ImageJ's description promises {n_images} planes, the file has {length} bytes"
        ));
    }
    let mut unheard = Vec::new();
    let pages = page_order(description, n_images, &mut unheard);
    Ok(Some(Layout::Raw { offset, pages, big_endian: decoder.byte_order() == ByteOrder::BigEndian }))
}

impl Source for TiffSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let path = self.path.clone();
        guarded(&path, "TIFF", || {
            let [_, rows, cols] = self.header.shape;
            let mut whole = zeros(self.header.dtype, [planes.len(), rows, cols]);
            for (at, plane) in planes.enumerate() {
                let page = self.read_page(plane)?;
                if !put_planes(&mut whole, at, &page) {
                    return Err(format!("page {plane} has another size or type"));
                }
            }
            Ok(whole)
        })
    }
}

impl TiffSource {
    fn read_page(&mut self, plane: usize) -> Result<AnyArray, String> {
        let [_, rows, cols] = self.header.shape;
        let dtype = self.header.dtype;
        match &self.layout {
            Layout::Raw { offset, pages, big_endian } => {
                let page = plane * pages.plane_step + self.channel * pages.channel_step;
                let plane_bytes = rows * cols * dtype.n_bytes();
                let mut bytes = vec![0; plane_bytes];
                let start = offset + page as u64 * plane_bytes as u64;
                let reader = self.decoder.inner();
                reader
                    .seek(SeekFrom::Start(start))
                    .and_then(|_| reader.read_exact(&mut bytes))
                    .map_err(text)?;
                array_from_bytes(dtype, [1, rows, cols], &bytes, *big_endian)
                    .ok_or_else(|| "truncated".to_owned())
            }
            Layout::Pages { directories, pages, sample, n_samples } => {
                let (n_samples, first) = (*n_samples, *sample);
                let (page_channel, sample) = (self.channel / n_samples, first + self.channel % n_samples);
                let page = plane * pages.plane_step + page_channel * pages.channel_step;
                let directory = *directories.get(page).ok_or_else(|| format!("no page {page}"))?;
                if self.at != directory {
                    if self.at.checked_add(1) == Some(directory) && self.decoder.more_images() {
                        self.decoder.next_image().map_err(text)?;
                    } else {
                        self.decoder.seek_to_image(directory).map_err(text)?;
                    }
                    self.at = directory;
                }
                let decoded = self.decoder.read_image().map_err(|e| format!("page {page}: {e}"))?;
                one_sample(decoded, [rows, cols], sample, n_samples)
                    .ok_or_else(|| format!("page {page} does not hold {rows} × {cols} pixels"))
            }
        }
    }
}

/// One sample of each pixel as a plane.
fn one_sample(
    decoded: DecodingResult,
    [rows, cols]: [usize; 2],
    sample: usize,
    n: usize,
) -> Option<AnyArray> {
    macro_rules! plane {
        ($values:expr, $wrap:path, $convert:expr) => {{
            let values: Vec<_> = if n == 1 {
                $values.into_iter().map($convert).collect()
            } else {
                $values.into_iter().skip(sample).step_by(n).map($convert).collect()
            };
            Array3::from_shape_vec((1, rows, cols), values).ok().map($wrap)
        }};
    }
    match decoded {
        DecodingResult::U8(v) => plane!(v, AnyArray::U8, |v| v),
        DecodingResult::I8(v) => plane!(v, AnyArray::I8, |v| v),
        DecodingResult::U16(v) => plane!(v, AnyArray::U16, |v| v),
        DecodingResult::I16(v) => plane!(v, AnyArray::I16, |v| v),
        DecodingResult::U32(v) => plane!(v, AnyArray::U32, |v| v),
        DecodingResult::I32(v) => plane!(v, AnyArray::I32, |v| v),
        DecodingResult::F32(v) => plane!(v, AnyArray::F32, |v| v),
        DecodingResult::F64(v) => plane!(v, AnyArray::F64, |v| v),
        DecodingResult::F16(v) => plane!(v, AnyArray::F32, half::f16::to_f32),
        DecodingResult::U64(v) => plane!(v, AnyArray::F64, |v| v as f64),
        DecodingResult::I64(v) => plane!(v, AnyArray::F64, |v| v as f64),
    }
}
