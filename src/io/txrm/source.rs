//! The images of a TXRM as planes, read one at a time.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis, Slice, s};

use super::about::{About, Mosaic, Stored, image_name};
use super::metadata;
use super::ole::Ole;
use super::shifts;
use super::streams::float;
use crate::base::{MemoryBudget, Unit};
use crate::io::array::{array_from_bytes, put_planes, zeros};
use crate::io::error::IoError;
use crate::io::format::{Header, Kind, Source, has_extension};
use crate::volume::AnyArray;
use crate::volume::any::Voxel;
use crate::with_array;

/// An open file.
pub(super) struct TxrmSource {
    pub(super) path: PathBuf,
    pub(super) ole: Ole,
    pub(super) about: About,
    pub(super) header: Header,
}

impl TxrmSource {
    /// Opens a file; reads everything but pixels.
    pub(super) fn open(path: &Path, budget: MemoryBudget) -> Result<Self, IoError> {
        let file = File::open(path).map_err(|e| IoError::system("read", path, e))?;
        let content = |problem: String| IoError::content(path, problem);
        let mut ole = Ole::open(file, budget).map_err(content)?;
        let about = About::read(&mut ole).map_err(content)?;
        let header = header_of(path, &mut ole, &about);
        // A picture is read whole: one that is too large is refused before it is.
        let plane = header.n_bytes().unwrap_or(u64::MAX) / header.shape[0].max(1) as u64;
        budget.admit(plane).map_err(|source| IoError::Memory { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), ole, about, header })
    }

    /// Image `k`, from 0, its rows from the top down.
    fn image(&mut self, k: usize) -> Result<AnyArray, String> {
        let n_bytes = self.about.image_bytes();
        let raw = self
            .ole
            .read(&image_name(k + 1), n_bytes)?
            .ok_or_else(|| format!("image {} is missing", k + 1))?;
        picture(&raw, self.about.stored, self.about.tile)
            .ok_or_else(|| format!("image {} has {} bytes, {n_bytes} are needed", k + 1, raw.len()))
    }

    /// All tiles of a mosaic side by side; those that are missing are 0.
    fn stitched(&mut self, mosaic: Mosaic) -> Result<AnyArray, String> {
        let [rows, cols] = self.about.tile;
        let mut whole = zeros(self.about.stored.dtype(), self.about.shape());
        for k in 0..self.about.counts.there {
            let (up, right) = if mosaic.upwards_first {
                (k % mosaic.rows, k / mosaic.rows)
            } else {
                (k / mosaic.cols, k % mosaic.cols)
            };
            let tile = self.image(k)?;
            // Rows of tiles are counted from the bottom, as rows of pixels are.
            put_tile(&mut whole, &tile, (mosaic.rows - 1 - up) * rows, right * cols);
        }
        Ok(whole)
    }
}

impl Source for TxrmSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let read = || -> Result<AnyArray, String> {
            if let Some(mosaic) = self.about.mosaic.filter(|mosaic| mosaic.in_tiles) {
                return self.stitched(mosaic);
            }
            let [_, rows, cols] = self.header.shape;
            let mut whole = zeros(self.header.dtype, [planes.len(), rows, cols]);
            for (at, k) in planes.enumerate() {
                let image = self.image(k)?;
                if !put_planes(&mut whole, at, &image) {
                    return Err(format!("image {} has another size or type", k + 1));
                }
            }
            Ok(whole)
        };
        read().map_err(|problem| IoError::content(&self.path, problem))
    }
}

/// Pictures of `rows` by `cols` values from their bytes, rows turned from bottom-up into top-down; `None` where bytes are missing.
pub(super) fn picture(raw: &[u8], stored: Stored, [rows, cols]: [usize; 2]) -> Option<AnyArray> {
    let n_pixels = rows.checked_mul(cols).filter(|n| *n > 0)?;
    let n_frames = raw.len() / stored.dtype().n_bytes() / n_pixels;
    let shape = [n_frames, rows, cols];
    let array = match stored {
        Stored::Plain(dtype) => array_from_bytes(dtype, shape, raw, false)?,
        wide => {
            let values = raw.chunks_exact(8).map(|b| {
                let bytes = [b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]];
                if wide == Stored::I64 {
                    i64::from_le_bytes(bytes) as f64
                } else {
                    u64::from_le_bytes(bytes) as f64
                }
            });
            AnyArray::F64(Array3::from_shape_vec(shape, values.collect()).ok()?)
        }
    };
    (n_frames > 0).then(|| upright(&array))
}

/// Rows in reverse order.
fn upright(array: &AnyArray) -> AnyArray {
    fn turned<T: Voxel>(array: &Array3<T>) -> AnyArray {
        let mut view = array.view();
        view.invert_axis(Axis(1));
        T::wrap(view.as_standard_layout().into_owned())
    }
    with_array!(array, array => turned(array))
}

/// Copies a tile into a picture of the same type.
pub(super) fn put_tile(whole: &mut AnyArray, tile: &AnyArray, row: usize, col: usize) {
    fn put<T: Voxel>(whole: &mut Array3<T>, tile: &Array3<T>, row: usize, col: usize) {
        let (_, rows, cols) = tile.dim();
        whole
            .slice_axis_mut(Axis(1), Slice::from(row..row + rows))
            .slice_mut(s![.., .., col..col + cols])
            .assign(tile);
    }
    match (whole, tile) {
        (AnyArray::U8(a), AnyArray::U8(b)) => put(a, b, row, col),
        (AnyArray::I8(a), AnyArray::I8(b)) => put(a, b, row, col),
        (AnyArray::U16(a), AnyArray::U16(b)) => put(a, b, row, col),
        (AnyArray::I16(a), AnyArray::I16(b)) => put(a, b, row, col),
        (AnyArray::U32(a), AnyArray::U32(b)) => put(a, b, row, col),
        (AnyArray::I32(a), AnyArray::I32(b)) => put(a, b, row, col),
        (AnyArray::F32(a), AnyArray::F32(b)) => put(a, b, row, col),
        (AnyArray::F64(a), AnyArray::F64(b)) => put(a, b, row, col),
        _ => {}
    }
}

/// Whether a file holds a volume that was reconstructed, not images of a scan.
pub(super) fn is_volume(path: &Path, ole: &mut Ole, about: &About) -> bool {
    if has_extension(path, &["txm"]) {
        return true;
    }
    // The limits of the grey values are -1 in files that were never reconstructed.
    let mut limit = |name: &str| {
        float(ole, &format!("AutoRecon/{name}")).or_else(|| float(ole, &format!("GlobalMinMax/{name}")))
    };
    let has_limits = limit("GlobalMax") > limit("GlobalMin") && limit("GlobalMin").is_some();
    let turns = about.angles_deg.iter().any(|a| Some(a) != about.angles_deg.first());
    about.counts.there > 1 && has_limits && !turns && !has_extension(path, &["txrm", "xrm"])
}

fn header_of(path: &Path, ole: &mut Ole, about: &About) -> Header {
    let mut header = Header::new("TXRM", about.shape(), about.stored.dtype());
    header.voxel_um = about.pixel_um.map(|pixel| [pixel; 3]);
    header.energy_ev = about.energies_ev.first().copied();
    header.warnings.clone_from(&about.warnings);
    header.metadata = metadata::read(ole, about);
    if is_volume(path, ole, about) {
        header.kind = Kind::Volume;
        header.warnings.push(volume_warning(&header));
        return header;
    }
    if about.is_referenced {
        header.warnings.push(
            "the values were divided by the reference and are per cent of transmission, not a fraction"
                .to_owned(),
        );
    } else if header.dtype.is_integer() || ole.bytes_of("ReferenceData/Image").is_some() {
        header.unit = Some(Unit::Counts);
    }
    if header.shape[0] == about.angles_deg.len() {
        header.angles_deg.clone_from(&about.angles_deg);
    }
    if header.shape[0] > 1 {
        header.kind = Kind::Scan;
        let first = about.angles_deg.first().copied().unwrap_or(0.0);
        if !about.angles_deg.is_empty() && about.angles_deg.iter().all(|a| *a == first) {
            header.warnings.push(format!(
                "all {} images were taken at {first}°: repeats, foci, energies or references, no tilt series",
                header.shape[0]
            ));
        }
    }
    let n_references = super::scan::reference_names(ole).len();
    header.beside_views.extend((n_references > 0).then(|| "the reference".to_owned()));
    header.beside_views.extend(about.beam.as_ref().map(|_| "the beam monitor".to_owned()));
    header.beside_views.extend((!about.exposure_s.is_empty()).then(|| "the exposures".to_owned()));
    header.warnings.extend(shifts::offer(ole, about.counts, path));
    header
}

fn volume_warning(header: &Header) -> String {
    let limits = header.metadata.get("recon_min").zip(header.metadata.get("recon_max"));
    let scaled = match limits {
        Some((min, max)) if header.dtype.is_integer() => {
            format!(
                "grey values of the program that reconstructed it (darkest and brightest stand for {min} and {max} of its own)"
            )
        }
        _ => "in the scale of the program that reconstructed it".to_owned(),
    };
    format!(
        "a reconstructed volume whose values are {scaled}: no absorption in 1/µm; its planes lie across the rotation axis (--axes yzx turns it)"
    )
}
