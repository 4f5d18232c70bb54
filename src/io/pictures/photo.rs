//! JPEG and BMP pictures: what cameras and screens write, one channel at a time.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits};
use ndarray::Array3;

use super::bmp::{self, Indexed};
use super::png::{PictureSource, palette_sentence};
use super::shown_sentence;
use crate::base::{MemoryBudget, Progress};
use crate::io::error::{IoError, guarded};
use crate::io::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use crate::io::walk::Values;
use crate::volume::AnyArray;

/// Single JPEG or BMP pictures.
pub(crate) struct Photo;

impl Format for Photo {
    fn name(&self) -> &'static str {
        "JPEG or BMP picture"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["jpg", "jpeg", "bmp"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        is_jpeg(&probe.head) || is_bmp(&probe.head)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let (path, budget) = (request.path, request.budget);
        let source = guarded(path, "picture", || read(path, request.channel(), budget))?;
        Ok(Box::new(source))
    }

    fn writes(&self) -> bool {
        false
    }

    fn write(
        &self,
        path: &Path,
        _: Values<'_>,
        _: &WriteRequest<'_>,
        _: &Progress,
    ) -> Result<Vec<String>, IoError> {
        Err(IoError::content(path, "volumes are not written as pictures"))
    }
}

fn is_jpeg(head: &[u8]) -> bool {
    head.starts_with(&[0xff, 0xd8, 0xff])
}

/// `BM`, and behind the file head of 14 bytes the size of one of the known picture heads.
fn is_bmp(head: &[u8]) -> bool {
    head.starts_with(b"BM")
        && head.get(14..18).is_some_and(|size| matches!(size, [12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

fn read(path: &Path, channel: usize, budget: MemoryBudget) -> Result<PictureSource, String> {
    let failed = |e: std::io::Error| format!("could not read: {e}");
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > budget.bytes / 2 {
        return Err(format!("a picture of {length} bytes is over the memory budget (--memory)"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    if is_bmp(&bytes)
        && let Some(indexed) = bmp::indexed(&bytes)?
    {
        return numbers(indexed);
    }
    colours(&bytes, channel, budget)
}

/// A picture whose numbers are those of a palette.
fn numbers(indexed: Indexed) -> Result<PictureSource, String> {
    let Indexed { rows, cols, values, n_colours, is_grey } = indexed;
    let array = Array3::from_shape_vec((1, rows, cols), values).map_err(|e| e.to_string())?;
    let mut header = Header::new("BMP", [1, rows, cols], crate::io::Dtype::U8);
    header.warnings.extend((!is_grey).then(|| palette_sentence(n_colours)));
    Ok(PictureSource { array: AnyArray::U8(array), header })
}

/// A picture of colours or greys, of which one channel is taken.
fn colours(bytes: &[u8], channel: usize, budget: MemoryBudget) -> Result<PictureSource, String> {
    let unread = |e: image::ImageError| format!("the picture cannot be read: {e}");
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| format!("could not read: {e}"))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(budget.bytes);
    reader.limits(limits);
    let is_jpeg = reader.format() == Some(image::ImageFormat::Jpeg);
    let mut decoder = reader.into_decoder().map_err(unread)?;
    if decoder.total_bytes() > budget.bytes / 2 {
        let (cols, rows) = decoder.dimensions();
        return Err(format!("a picture of {rows} × {cols} pixels is over the memory budget (--memory)"));
    }
    let orientation = decoder.orientation().map_or(1, image::metadata::Orientation::to_exif);
    let picture = DynamicImage::from_decoder(decoder).map_err(unread)?;
    let shape = (1, picture.height() as usize, picture.width() as usize);
    let (n_channels, values) = match picture {
        DynamicImage::ImageLuma8(p) => (1, p.into_raw()),
        DynamicImage::ImageRgba8(p) => (4, p.into_raw()),
        other => (3, other.into_rgb8().into_raw()),
    };
    let values = values.into_iter().skip(channel.min(n_channels - 1)).step_by(n_channels).collect();
    let array = Array3::from_shape_vec(shape, values).map(AnyArray::U8).map_err(|e| e.to_string())?;
    let mut header = Header::new(if is_jpeg { "JPEG" } else { "BMP" }, array.shape(), crate::io::Dtype::U8);
    header.n_channels = n_channels;
    if n_channels > 1 {
        let names = ["red", "green", "blue", "alpha"];
        header.channel_names = names.iter().take(n_channels).map(|name| (*name).to_owned()).collect();
    }
    header.warnings.extend(shown_sentence(orientation));
    header.warnings.extend(if is_jpeg { said_of_jpeg(bytes) } else { said_of_bmp(bytes, n_channels) });
    Ok(PictureSource { array, header })
}

fn said_of_jpeg(bytes: &[u8]) -> Vec<String> {
    let mut said = vec!["JPEG keeps values only roughly; measure on the original".to_owned()];
    if components_of_jpeg(bytes) == Some(4) {
        said.push(
            "colours are stored as cyan, magenta, yellow and black; they were turned into red, green and blue"
                .to_owned(),
        );
    }
    said
}

/// Number of colours of a pixel, as the frame of a JPEG says.
fn components_of_jpeg(bytes: &[u8]) -> Option<u8> {
    let mut at = 2;
    loop {
        let marker = *bytes.get(at + 1).filter(|_| bytes.get(at) == Some(&0xff))?;
        match marker {
            0xff => at += 1,
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return bytes.get(at + 9).copied(),
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                let length = bytes.get(at + 2..at + 4)?;
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
}

fn said_of_bmp(bytes: &[u8], n_channels: usize) -> Vec<String> {
    let said = match bmp::bits(bytes) {
        Some(32) if n_channels == 3 => {
            "the fourth byte of each pixel, which some programs use as opacity, was left out"
        }
        Some(16) => "colours of 16 bits a pixel were stretched to 0 to 255 each",
        Some(1..=8) => {
            "a palette packed in runs: its colours were read, not their numbers; save it as PNG for these"
        }
        _ => return Vec::new(),
    };
    vec![said.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::read_array;

    #[test]
    fn both_kinds_are_read_and_jpeg_is_said_to_be_rough() {
        let folder = tempfile::tempdir().unwrap();
        for (name, n_said) in [("a.bmp", 1), ("a.jpg", 2)] {
            let path = folder.path().join(name);
            image::RgbImage::from_pixel(8, 8, image::Rgb([200, 100, 50])).save(&path).unwrap();
            let loaded = read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.01)).unwrap();
            assert_eq!((loaded.array.shape(), loaded.header.n_channels), ([1, 8, 8], 3));
            assert!((loaded.array.stats().unwrap().mean - 200.0).abs() < 4.0);
            assert_eq!(loaded.header.warnings.len(), n_said, "{:?}", loaded.header.warnings);
        }
    }

    /// A BMP of 3 × 5 pixels of `bits` bits with a palette, its rows from the bottom up.
    fn palette(bits: u16, colours: &[[u8; 4]], rows: [&[u8]; 3]) -> Vec<u8> {
        let mut bytes = b"BM\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend((54 + 4 * colours.len() as u32).to_le_bytes());
        bytes.extend([40u32, 5, 3].iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend([1, bits].iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend([0u32, 0, 0, 0, colours.len() as u32, 0].iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend(colours.concat());
        for row in rows {
            bytes.extend(row);
            bytes.resize(bytes.len() + (4 - row.len() % 4) % 4, 0);
        }
        bytes
    }

    fn load(name: &str, bytes: &[u8]) -> crate::io::Loaded {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.01)).unwrap()
    }

    fn says(loaded: &crate::io::Loaded, part: &str) -> bool {
        loaded.header.warnings.iter().any(|said| said.contains(part))
    }

    #[test]
    fn palettes_give_their_numbers_and_greys_their_values() {
        let wanted = Array3::from_shape_vec((1, 3, 5), vec![0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let wanted = AnyArray::U8(wanted.unwrap());
        let colours = [[255, 255, 255, 0], [0, 0, 255, 0]];
        let one = palette(1, &colours, [&[0x08], &[0x80], &[0x68]]);
        let four = palette(4, &colours, [&[0, 0, 0x10], &[0x10, 0, 0], &[0x01, 0x10, 0x10]]);
        let eight = palette(8, &colours, [&[0, 0, 0, 0, 1], &[1, 0, 0, 0, 0], &[0, 1, 1, 0, 1]]);
        for bytes in [one, four, eight] {
            let loaded = load("a.bmp", &bytes);
            assert_eq!((&loaded.array, loaded.header.n_channels), (&wanted, 1));
            assert!(says(&loaded, "palette of 2 colours"), "{:?}", loaded.header.warnings);
        }
        let greys: Vec<[u8; 4]> = (0..=255).map(|i| [i, i, i, 0]).collect();
        let loaded = load("a.bmp", &palette(8, &greys, [&[9; 5], &[8; 5], &[7; 5]]));
        assert_eq!(loaded.array.to_f32().iter().step_by(5).copied().collect::<Vec<_>>(), [7.0, 8.0, 9.0]);
        assert_eq!(loaded.header.warnings, Vec::<String>::new());
    }

    #[test]
    fn what_is_left_out_of_a_bmp_and_how_a_jpeg_is_to_be_shown_is_said() {
        let mut wide = palette(32, &[], [&[1; 20], &[2; 20], &[3; 20]]);
        wide[28] = 32;
        assert!(says(&load("a.bmp", &wide), "fourth byte"));
        let mut bytes = Vec::new();
        let grey = image::GrayImage::from_pixel(8, 8, image::Luma([50]));
        grey.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Jpeg).unwrap();
        assert_eq!(components_of_jpeg(&bytes), Some(1));
        // Exif with one entry, the orientation 6.
        let exif = b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        let head = [&bytes[..2], &[0xff, 0xe1], &length, &exif[..]].concat();
        let loaded = load("a.jpg", &[&head[..], &bytes[2..]].concat());
        assert!(
            says(&loaded, "turned by 90° to the right (Exif orientation 6)"),
            "{:?}",
            loaded.header.warnings
        );
    }
}
