//! PNG pictures, with the values that they store: 1, 2 and 4 bits unscaled, numbers of palettes as they are.

use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

use image::metadata::Orientation;
use ndarray::Array3;
use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::shown_sentence;
use crate::base::{MemoryBudget, Progress};
use crate::io::array::values_from;
use crate::io::error::{IoError, guarded};
use crate::io::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use crate::io::walk::Values;
use crate::volume::AnyArray;

/// Single PNG pictures.
pub(crate) struct Png;

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
        let (path, budget) = (request.path, request.budget);
        let source = guarded(path, "PNG", || read(path, request.channel(), budget))?;
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
        Err(IoError::content(path, "volumes are not written as PNG"))
    }
}

/// A picture that is held whole.
pub(super) struct PictureSource {
    pub(super) array: AnyArray,
    pub(super) header: Header,
}

impl Source for PictureSource {
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

/// One channel of a picture.
fn read(path: &Path, channel: usize, budget: MemoryBudget) -> Result<PictureSource, String> {
    let damaged = |e: png::DecodingError| format!("PNG: {e}");
    let file = BufReader::new(File::open(path).map_err(|e| format!("could not read: {e}"))?);
    let bytes = usize::try_from(budget.bytes).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(file, Limits { bytes });
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let needed = reader.output_buffer_size().filter(|n| *n <= bytes / 2);
    let needed = needed.ok_or_else(|| {
        let info = reader.info();
        format!("a picture of {} × {} pixels is over the memory budget (--memory)", info.height, info.width)
    })?;
    let mut packed = vec![0; needed];
    let frame = reader.next_frame(&mut packed).map_err(damaged)?;
    let (rows, cols) = (frame.height as usize, frame.width as usize);
    let n_channels = frame.color_type.samples();
    let take = channel.min(n_channels - 1);
    let rows_of = packed.chunks_exact(frame.line_size.max(1)).take(rows);
    let plane = (1, rows, cols);
    let array = if frame.bit_depth == BitDepth::Sixteen {
        let values = rows_of.flat_map(|row| {
            values_from::<u16>(row, true).into_iter().skip(take).step_by(n_channels).take(cols)
        });
        Array3::from_shape_vec(plane, values.collect()).map(AnyArray::U16)
    } else {
        let depth = frame.bit_depth as usize;
        let values = rows_of.flat_map(|row| samples(row, depth).skip(take).step_by(n_channels).take(cols));
        Array3::from_shape_vec(plane, values.collect()).map(AnyArray::U8)
    };
    let array = array.map_err(|e| format!("PNG: {e}"))?;
    let dtype =
        if frame.bit_depth == BitDepth::Sixteen { crate::io::Dtype::U16 } else { crate::io::Dtype::U8 };
    let mut header = Header::new("PNG", array.shape(), dtype);
    header.n_channels = n_channels;
    header.channel_names = names_of(frame.color_type).iter().map(|name| (*name).to_owned()).collect();
    header.metadata.insert("bits".to_owned(), (frame.bit_depth as usize).to_string());
    if frame.color_type == ColorType::Indexed {
        let n = reader.info().palette.as_ref().map_or(0, |palette| palette.len() / 3);
        header.warnings.push(palette_sentence(n));
    }
    let exif = reader.info().exif_metadata.as_deref().and_then(Orientation::from_exif_chunk);
    header.warnings.extend(exif.and_then(|orientation| shown_sentence(orientation.to_exif())));
    if let Some(animation) = reader.info().animation_control().filter(|a| a.num_frames > 1) {
        header
            .warnings
            .push(format!("the first of {} pictures of an animation was read", animation.num_frames));
    }
    Ok(PictureSource { array, header })
}

/// What is said of the palette of a picture.
pub(super) fn palette_sentence(n_colours: usize) -> String {
    format!(
        "a picture with a palette of {n_colours} colours: the numbers of the colours were read, as label pictures have them, not the colours"
    )
}

/// Samples of `depth` bits of a row, the highest bits of a byte first.
fn samples(row: &[u8], depth: usize) -> impl Iterator<Item = u8> + '_ {
    let per_byte = 8 / depth.clamp(1, 8);
    let mask = u8::MAX >> (8 - depth.clamp(1, 8));
    row.iter().flat_map(move |byte| (1..=per_byte).map(move |i| (byte >> (8 - i * depth)) & mask))
}

/// Names of the channels of a colour type; none for grey and palettes.
fn names_of(color: ColorType) -> &'static [&'static str] {
    match color {
        ColorType::Grayscale | ColorType::Indexed => &[],
        ColorType::GrayscaleAlpha => &["grey", "alpha"],
        ColorType::Rgb => &["red", "green", "blue"],
        ColorType::Rgba => &["red", "green", "blue", "alpha"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Loaded, read_array};
    use proptest::prelude::*;

    /// A picture of 3 × 5 pixels whose rows are these bytes.
    fn picture(color: ColorType, depth: BitDepth, rows: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 5, 3);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![9u8; 48]);
        }
        encoder.write_header().unwrap().write_image_data(rows).unwrap();
        bytes
    }

    fn load(bytes: &[u8]) -> Result<Loaded, IoError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, bytes).unwrap();
        read_array(&path, &Progress::new(), MemoryBudget::from_gib(0.01))
    }

    fn values(loaded: &Loaded) -> Vec<f64> {
        loaded.array.to_f32().iter().map(|v| f64::from(*v)).collect()
    }

    #[test]
    fn small_depths_are_unscaled_and_palettes_give_their_numbers() {
        let expected: Vec<f64> = [0, 1, 2, 3, 0, 3, 2, 1, 0, 3, 1, 1, 0, 0, 2].map(f64::from).to_vec();
        for color in [ColorType::Grayscale, ColorType::Indexed] {
            let two = picture(color, BitDepth::Two, &[0x1b, 0, 0xe4, 0xc0, 0x50, 0x80]);
            let four = picture(color, BitDepth::Four, &[0x01, 0x23, 0, 0x32, 0x10, 0x30, 0x11, 0x00, 0x20]);
            for bytes in [two, four] {
                let loaded = load(&bytes).unwrap();
                assert_eq!(values(&loaded), expected, "{color:?}");
                assert_eq!(loaded.header.warnings.len(), usize::from(color == ColorType::Indexed));
            }
        }
        let one = load(&picture(ColorType::Grayscale, BitDepth::One, &[0x80, 0x08, 0xf8])).unwrap();
        assert_eq!(values(&one), [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1].map(f64::from));
    }

    #[test]
    fn sixteen_bits_and_alpha_are_read() {
        let bytes: Vec<u8> = (0..15u16).flat_map(|i| (i * 4000).to_be_bytes()).collect();
        let loaded = load(&picture(ColorType::Grayscale, BitDepth::Sixteen, &bytes)).unwrap();
        assert_eq!(loaded.array.dtype(), "uint16");
        assert_eq!(values(&loaded)[14], 56_000.0);
        let bytes: Vec<u8> = (0..30).collect();
        let loaded = load(&picture(ColorType::GrayscaleAlpha, BitDepth::Eight, &bytes)).unwrap();
        assert_eq!(values(&loaded)[1], 2.0);
        assert_eq!(loaded.header.channel_names, ["grey", "alpha"]);
        assert!(loaded.header.warnings[0].contains("channel 0 (grey) of 2"), "{:?}", loaded.header.warnings);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn mutated_pictures_never_panic(changes in prop::collection::vec((0usize..120, any::<u8>()), 1..6)) {
            let mut bytes = picture(ColorType::Rgba, BitDepth::Eight, &[77; 60]);
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            drop(load(&bytes));
        }
    }
}
