//! TIFF (.tif .tiff): stacks of pages, tiled or striped, of 1 to 64 bits, BigTIFF included.
//!
//! Order of the pages and voxel size come from OME-XML, ImageJ's description, tifffile's line of
//! JSON, or the tags of a microscope. Planes without a directory of their own, as ImageJ and
//! MetaMorph write them, are read too. Values are those stored: nothing is inverted, stretched or
//! coloured. Written so that ImageJ opens them with spacing and unit, or as OME-TIFF (.ome.tif); a
//! line of JSON carries the rest, so that nothing is lost.
//!
//! The container is read here and not by a crate, so that values stay as stored where 0 is white,
//! planes outside of directories are found, and strips are unpacked by all threads at once, straight into the
//! array.

mod chain;
mod codec;
mod container;
mod describe;
mod image_j;
mod notes;
mod ome;
mod page;
mod planes;
mod said;
mod samples;
mod shaped;
mod stack;
#[cfg(test)]
mod tests;
mod vendor;
mod write;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::Array3;

pub(in crate::io) use self::notes::shown;
use self::page::{Page, Stored};
use self::planes::has_rows;
use self::stack::Stack;
use super::array::{Dtype, FileVoxel, with_dtype};
use super::choice::{AxisOrder, Turned};
use super::error::{IoError, guarded};
use super::format::{ArrayEntry, Format, Header, OpenRequest, Probe, Source, WriteRequest, rows_of};
use super::walk::{Values, bytes_of_views};
use crate::base::Progress;
use crate::volume::AnyArray;
use crate::volume::any::Voxel as _;

/// Largest description beside the files of a set.
const MAX_COMPANION: u64 = 128 << 20;

/// The format.
pub(crate) struct Tiff {
    /// Whether it is written as OME-TIFF, described by OME-XML; read it is as every TIFF.
    is_ome: bool,
}

/// TIFF as ImageJ has it.
pub(crate) const TIFF: Tiff = Tiff { is_ome: false };
/// OME-TIFF, a choice of the writer by the extension.
pub(crate) const OME_TIFF: Tiff = Tiff { is_ome: true };

impl Format for Tiff {
    fn name(&self) -> &'static str {
        if self.is_ome { "OME-TIFF" } else { "TIFF" }
    }

    fn extensions(&self) -> &'static [&'static str] {
        if self.is_ome {
            &["ome.tif", "ome.tiff", "ome.btf", "ome.tf8"]
        } else {
            &["tif", "tiff", "btf", "tf8"]
        }
    }

    fn sniff(&self, probe: &Probe) -> bool {
        let is_tiff = [b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0", b"MM\0\x2b"]
            .iter()
            .any(|magic| probe.head.starts_with(*magic));
        // Both are read by the one.
        !self.is_ome && (is_tiff || is_companion(&probe.head))
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let source = open(request)?;
        let order = source.stack.said.order.unwrap_or(AxisOrder::ZYX);
        Ok(Turned::wrap(Box::new(source), order, request.path, request.budget))
    }

    fn has_tree(&self) -> bool {
        // OME-TIFF holds any number of images, of which --dataset chooses.
        true
    }

    fn arrays(&self, path: &Path) -> Result<Vec<ArrayEntry>, IoError> {
        guarded(path, "TIFF", || stack::images(path, companion(path)?))
    }

    fn bytes_of_streaming(&self, header: &Header) -> Option<u64> {
        bytes_of_streaming(header)
    }

    fn write(
        &self,
        path: &Path,
        values: Values<'_>,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        write::write(path, values, request, self.is_ome, progress)
    }
}

/// Planes that are held at once while one is read and another written; what the file cannot hold goes the other way,
/// where it is written beside or said.
fn bytes_of_streaming(header: &Header) -> Option<u64> {
    if header.objects.is_some() || header.ratios.is_some() {
        return None;
    }
    bytes_of_views(header)
}

/// Whether a file begins as OME-XML does.
fn is_companion(head: &[u8]) -> bool {
    let text = container::text_of(&head[..head.len().min(1024)]);
    let text = text.trim_start_matches(['\u{feff}', 'ï', '»', '¿']).trim_start();
    (text.starts_with("<?xml") || text.starts_with('<')) && text.contains("<OME")
}

pub(super) struct TiffSource {
    path: PathBuf,
    stack: Stack,
    header: Header,
}

/// Opens a file and walks through its directories.
pub(super) fn open(request: &OpenRequest<'_>) -> Result<TiffSource, IoError> {
    let path = request.path;
    guarded(path, "TIFF", || {
        if let Some(entry) = &request.options.entry {
            return Err(format!(
                "--entry {entry} chooses in NeXus files; --dataset chooses an image of an OME-TIFF"
            ));
        }
        let stack = match companion(path)? {
            Some(text) => stack::open_companion(path, &text, request.options)?,
            None => stack::open(path, request.options)?,
        };
        let needed = stack.page.piece_bytes().and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX);
        if stack.page.is_tiled && needed > request.budget.bytes {
            return Err(format!(
                "a tile of {needed} bytes, more than the {} that may be used",
                request.budget.bytes
            ));
        }
        let header = header(&stack);
        Ok(TiffSource { path: path.to_owned(), stack, header })
    })
}

/// The text of a description beside the files of a set, where `path` is one.
fn companion(path: &Path) -> Result<Option<String>, String> {
    let mut head = [0; 4];
    let length = fs::metadata(path).map_err(|e| e.to_string())?.len();
    let file = fs::File::open(path).map_err(|e| e.to_string())?;
    container::read_at(&file, &mut head, 0).map_err(|e| e.to_string())?;
    if head.starts_with(b"II") || head.starts_with(b"MM") {
        return Ok(None);
    }
    if length > MAX_COMPANION {
        return Err(format!("OME-XML of {} MB", length >> 20));
    }
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    Ok(Some(container::text_of(&bytes)))
}

/// What the file says, and what had to be assumed.
fn header(stack: &Stack) -> Header {
    let page = &stack.page;
    let stored = page.form.stored;
    let said = stack.said.clone();
    let dtype = if said.is_signed_16 { Dtype::I16 } else { stored.dtype() };
    let [_, rows, cols] = page.form.shape;
    let mut header = Header::new("TIFF", [stack.spots.len(), rows, cols], dtype);
    header.n_channels = stack.axes.n_channels * stack.n_samples;
    header.n_times = stack.axes.n_times;
    header.slab = page.piece[0];
    header.channel_names = said.channel_names.iter().take(stack.axes.n_channels).cloned().collect();
    if stack.n_samples > 1 {
        header.channel_names = sample_names(page, stack.axes.n_channels, &header.channel_names);
    }
    header.warnings.extend(value_notes(page, said.is_signed_16));
    said.apply(&mut header, stack.resolution);
    header
}

/// What is to be known about the values of a page.
fn value_notes(page: &Page, is_signed_16: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if matches!(page.form.stored, Stored::Unsigned(33..) | Stored::Signed(33..)) {
        notes.push("64-bit whole numbers are read as float64, exact up to 2^53".to_owned());
    }
    if is_signed_16 {
        notes.push(
            "ImageJ's signed 16 bits: 32768 was taken off every stored value, as ImageJ shows them"
                .to_owned(),
        );
    }
    let of_colours = match page.photometric {
        0 => "0 is drawn white in this file (MinIsWhite); the stored values were read, not inverted",
        3 => "a palette of colours is left out; the numbers of the colours were read",
        5 => "colours are stored as cyan, magenta, yellow and black, and were read as such",
        6 if !page.codec.is_jpeg() => {
            "colours are stored as brightness and two differences, and were read as such"
        }
        8..=10 => "colours are stored as Lab, and were read as such",
        32803 => "the mosaic of a colour sensor, read as grey values",
        _ => "",
    };
    if !of_colours.is_empty() {
        notes.push(of_colours.to_owned());
    }
    if page.predictor != 1 && page.codec.has_no_predictor() {
        notes.push(format!(
            "the file says of values that are not packed that they are differences (predictor {}), on which programs disagree; they were added up",
            page.predictor
        ));
    }
    if page.codec.is_jpeg() {
        notes.push("values were compressed with JPEG, which changes them a little".to_owned());
    }
    notes
}

/// Names of the samples of a pixel, for each channel that the pages have.
fn sample_names(page: &Page, n_channels: usize, names: &[String]) -> Vec<String> {
    let colours: &[&str] = match page.photometric {
        2 => &["red", "green", "blue", "alpha"],
        6 if page.codec.is_jpeg() => &["red", "green", "blue"],
        5 => &["cyan", "magenta", "yellow", "black"],
        0 | 1 if page.form.n_samples == 2 => &["grey", "alpha"],
        _ => &[],
    };
    if n_channels > 1 {
        return Vec::new();
    }
    // A microscope names each sample, where they are channels and no colours.
    if names.len() == page.form.n_samples {
        return names.to_vec();
    }
    colours.iter().take(page.form.n_samples).map(|name| (*name).to_owned()).collect()
}

impl Source for TiffSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        guarded(
            &self.path,
            "TIFF",
            || with_dtype!(self.header.dtype, T => self.planes_of::<T>(planes).map(T::wrap)),
        )
    }

    fn reads_rows(&self) -> bool {
        let page = &self.stack.page;
        !self.stack.said.is_signed_16 && with_dtype!(self.header.dtype, T => has_rows::<T>(page))
    }

    fn read_rows(&mut self, planes: Range<usize>, rows: Range<usize>) -> Result<AnyArray, IoError> {
        if self.reads_rows() {
            let read = guarded(
                &self.path,
                "TIFF",
                || with_dtype!(self.header.dtype, T => self.rows_of::<T>(planes.clone(), rows.clone())),
            )?;
            if let Some(read) = read {
                return Ok(read);
            }
        }
        Ok(rows_of(self.read_planes(planes)?, rows))
    }

    fn read_into(&mut self, planes: Range<usize>, into: &mut [u8]) -> Result<bool, IoError> {
        guarded(&self.path, "TIFF", || {
            with_dtype!(self.header.dtype, T => match bytemuck::try_cast_slice_mut::<u8, T>(into) {
                Ok(values) => self.read(planes, values).map(|()| true),
                Err(_misaligned) => Ok(false),
            })
        })
    }
}

impl TiffSource {
    fn planes_of<T: FileVoxel>(&self, planes: Range<usize>) -> Result<Array3<T>, String> {
        let [_, rows, cols] = self.header.shape;
        let shape = (planes.len(), rows, cols);
        let mut values = bytemuck::zeroed_vec(planes.len() * rows * cols);
        self.read(planes, &mut values)?;
        Array3::from_shape_vec(shape, values).map_err(|e| e.to_string())
    }

    /// Rows of planes; `None` where a plane is stored in another way than the first.
    fn rows_of<T: FileVoxel>(
        &self,
        planes: Range<usize>,
        rows: Range<usize>,
    ) -> Result<Option<AnyArray>, String> {
        let [_, n_rows, cols] = self.header.shape;
        let spots = self.stack.spots.get(planes.clone()).filter(|_| rows.end <= n_rows);
        let spots = spots.ok_or_else(|| format!("no rows {rows:?} of the planes {planes:?}"))?;
        let mut values: Vec<T> = bytemuck::zeroed_vec(planes.len() * rows.len() * cols);
        if !self.stack.planes.read_rows(spots, rows.clone(), &mut values)? {
            return Ok(None);
        }
        let shape = (planes.len(), rows.len(), cols);
        Array3::from_shape_vec(shape, values).map(|array| Some(T::wrap(array))).map_err(|e| e.to_string())
    }

    /// Fills `out` with planes.
    fn read<T: FileVoxel>(&self, planes: Range<usize>, out: &mut [T]) -> Result<(), String> {
        let from = planes.start;
        let spots = self.stack.spots.get(planes).ok_or_else(|| format!("no plane {from}"))?;
        let problem = |e: String| format!("planes from {from} on: {e}");
        if !self.stack.said.is_signed_16 {
            return self.stack.planes.read(spots, out).map_err(problem);
        }
        let mut stored = vec![0u16; out.len()];
        self.stack.planes.read(spots, &mut stored).map_err(problem)?;
        let values = stored.iter().map(|stored| f64::from(*stored) - 32768.0);
        out.iter_mut().zip(values).for_each(|(out, value)| *out = T::from_f64(value));
        Ok(())
    }
}
