//! JPEG and BMP pictures: what cameras and screens write, one channel at a time.

use std::path::Path;

use image::{DynamicImage, ImageReader, Limits};
use ndarray::Array3;

use super::png::PictureSource;
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
    let mut reader = ImageReader::open(path).map_err(failed)?.with_guessed_format().map_err(failed)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(budget.bytes);
    reader.limits(limits);
    let is_jpeg = reader.format() == Some(image::ImageFormat::Jpeg);
    let picture = reader.decode().map_err(|e| format!("the picture cannot be read: {e}"))?;
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
    if is_jpeg {
        header.warnings.push("JPEG keeps values only roughly; measure on the original".to_owned());
    }
    Ok(PictureSource { array, header })
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
}
