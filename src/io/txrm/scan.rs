//! A scan of one TXRM: its images, the reference inside it, and what was recorded at each image.

use std::path::Path;

use super::about::{About, ION_CHAMBER, Stored, exposures};
use super::folder::FolderSource;
use super::ole::Ole;
use super::source::{TxrmSource, picture, put_tile};
use super::streams::{Counts, count, int, per_image};
use super::{Txrm, XrmFolder};
use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::array::{Dtype, put_planes, zeros};
use crate::io::error::IoError;
use crate::io::format::{Format as _, Probe};
use crate::io::walk::read_all;
use crate::volume::{AnyArray, Scan};

/// Frames without a sample, with what was recorded at each.
pub(super) struct References {
    pub(super) frames: AnyArray,
    pub(super) exposure_s: Vec<f64>,
    pub(super) ion_current: Vec<f64>,
}

/// Reads the images of a file with the reference inside it.
pub(super) fn read(
    mut source: TxrmSource,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<Scan, IoError> {
    let path = source.path.clone();
    let mut warnings = Vec::new();
    let references = references(&mut source, budget, &mut warnings)?;
    let header = source.header.clone();
    let said = Recorded::of(&source.about, header.shape[0]);
    let is_referenced = source.about.is_referenced;
    let loaded = read_all(&mut source, &path, progress, budget)?;
    let mut scan = Scan::new(loaded.array, header.unit.unwrap_or_default());
    scan.pixel_um = header.voxel_um.map(|voxel| voxel[2]);
    scan.energy_ev = header.energy_ev;
    scan.metadata = header.metadata;
    scan.warnings = header.warnings;
    scan.warnings.extend(warnings);
    (scan.angles_deg, scan.exposure_s, scan.beam) = (said.angles_deg, said.exposure_s, said.beam);
    if is_referenced {
        to_fraction(&mut scan, references.is_some());
    } else if let Some(references) = references {
        give_flats(&mut scan, references, said.by_ion_chamber);
    }
    Ok(scan)
}

/// What was recorded at each view.
pub(super) struct Recorded {
    pub(super) angles_deg: Vec<f64>,
    pub(super) exposure_s: Vec<f64>,
    pub(super) beam: Vec<f64>,
    pub(super) by_ion_chamber: bool,
}

impl Recorded {
    /// Of `n_views` views; a mosaic of many images is one view, recorded as its first tile.
    pub(super) fn of(about: &About, n_views: usize) -> Self {
        let first = |values: &[f64]| values.iter().take(n_views).copied().collect();
        let (name, beam) =
            about.beam.as_ref().map_or(("", &[][..]), |(name, values)| (name.as_str(), values.as_slice()));
        Self {
            angles_deg: first(&about.angles_deg),
            exposure_s: first(&about.exposure_s),
            beam: first(beam),
            by_ion_chamber: name == ION_CHAMBER,
        }
    }
}

/// Per cent of transmission into a fraction: a number of 80 is never taken for 80 times the beam.
pub(super) fn to_fraction(scan: &mut Scan, has_reference: bool) {
    let fractions = scan.projections.to_f32().mapv(|percent| percent / 100.0);
    scan.projections = AnyArray::F32(fractions);
    scan.unit = Unit::Transmission;
    let unused = if has_reference { "; the reference inside the file was used for that already" } else { "" };
    scan.warnings
        .push(format!("the values were per cent of transmission and are divided by 100 here{unused}"));
}

/// The reference becomes the flats of a scan.
pub(super) fn give_flats(scan: &mut Scan, references: References, by_ion_chamber: bool) {
    let n = references.frames.shape()[0];
    let every = |values: Vec<f64>| if values.len() == n { values } else { Vec::new() };
    scan.flats = Some(references.frames);
    scan.flat_exposure_s = every(references.exposure_s);
    if by_ion_chamber && !scan.beam.is_empty() {
        scan.flat_beam = every(references.ion_current);
    }
    scan.flat_times = Vec::new();
    scan.metadata.insert("n_flats".to_owned(), n.to_string());
}

/// The reference inside a file, rows and columns as those of the images; `None` where there is none that fits.
pub(super) fn references(
    source: &mut TxrmSource,
    budget: MemoryBudget,
    warnings: &mut Vec<String>,
) -> Result<Option<References>, IoError> {
    let path = source.path.clone();
    let over = |error| IoError::Memory { path: path.clone(), source: error };
    let names = reference_names(&source.ole);
    let needed: u64 = names.iter().filter_map(|name| source.ole.bytes_of(name)).fold(0, u64::saturating_add);
    budget.admit(needed).map_err(over)?;
    let tile = reference_tile(&mut source.ole, &source.about);
    let mut frames: Vec<AnyArray> = Vec::new();
    for name in &names {
        match one_reference(&mut source.ole, name, tile, warnings) {
            Ok(frame) => frames.push(frame),
            Err(problem) => warnings.push(format!("the reference {name} is left out: {problem}")),
        }
    }
    let Some(frames) = joined(frames) else { return Ok(None) };
    let [_, rows, cols] = source.about.shape();
    let Some(frames) = fitted(frames, [rows, cols], source.about.mosaic.is_some(), budget).map_err(over)?
    else {
        warnings.push(format!(
            "the reference inside the file has {} × {} pixels, the images have {rows} × {cols}: it is left out",
            tile[0], tile[1]
        ));
        return Ok(None);
    };
    let n = frames.shape()[0];
    let storage = if names[0].starts_with("Multi") { "MultiReferenceData" } else { "ReferenceData" };
    let counts = Counts { there: n, planned: n };
    let mut exposure_s = exposures(&mut source.ole, storage, counts);
    if exposure_s.is_empty() {
        exposure_s = exposures(&mut source.ole, &format!("{storage}/ImageInfo"), counts);
    }
    let positive = |values: Vec<f64>| if values.iter().all(|v| *v > 0.0) { values } else { Vec::new() };
    let ion_current = positive(per_image(&mut source.ole, &format!("{storage}/IonCurrent"), counts));
    Ok(Some(References { frames, exposure_s, ion_current }))
}

/// Streams of the reference: one, or one a frame.
pub(super) fn reference_names(ole: &Ole) -> Vec<String> {
    if ole.bytes_of("ReferenceData/Image").is_some_and(|n| n > 0) {
        return vec!["ReferenceData/Image".to_owned()];
    }
    for storage in ["ReferenceData", "MultiReferenceData"] {
        let numbered = (1..).map(|k| format!("{storage}/Image{k}"));
        let found: Vec<String> = numbered.take_while(|name| ole.bytes_of(name).is_some()).collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// Rows and columns of the reference: its own where they are said, else those of an image, or of a tile of a mosaic.
fn reference_tile(ole: &mut Ole, about: &About) -> [usize; 2] {
    let own =
        [count(ole, "ReferenceData/ImageInfo/ImageHeight"), count(ole, "ReferenceData/ImageInfo/ImageWidth")];
    match (own, about.mosaic) {
        ([Some(rows), Some(cols)], _) => [rows, cols],
        (_, Some(mosaic)) if !mosaic.in_tiles => [about.tile[0] / mosaic.rows, about.tile[1] / mosaic.cols],
        _ => about.tile,
    }
}

fn one_reference(
    ole: &mut Ole,
    name: &str,
    tile: [usize; 2],
    warnings: &mut Vec<String>,
) -> Result<AnyArray, String> {
    let code = int(ole, "ReferenceData/DataType")
        .or_else(|| int(ole, "ReferenceData/ImageInfo/DataType"))
        .or_else(|| int(ole, "MultiReferenceData/DataType"));
    let raw = ole.read(name, usize::MAX)?.ok_or("it is missing")?;
    let n_pixels = (tile[0] as u64).saturating_mul(tile[1] as u64);
    let n_bytes = raw.len() as u64;
    // Several frames may follow each other in one stream.
    let n_frames = frames_in(code, n_pixels, n_bytes);
    let stored = Stored::find(code, n_pixels, n_bytes / n_frames, warnings)?;
    picture(&raw, stored, tile).ok_or_else(|| "it is too short".to_owned())
}

/// Frames of the type of `code` that fill a stream; 1 where they do not.
fn frames_in(code: Option<i32>, n_pixels: u64, n_bytes: u64) -> u64 {
    let mut unheard = Vec::new();
    let widths = [1u64, 2, 4, 8];
    let said = widths.into_iter().find(|width| {
        let bytes = n_pixels.saturating_mul(*width);
        Stored::find(code, n_pixels, bytes, &mut unheard).is_ok() && std::mem::take(&mut unheard).is_empty()
    });
    let frame = said.map_or(0, |width| n_pixels.saturating_mul(width));
    match n_bytes.checked_div(frame) {
        Some(n) if n > 0 && n_bytes.is_multiple_of(frame) => n,
        _ => 1,
    }
}

/// Frames of one size behind each other, as f32 where their types differ; `None` where there are none.
pub(super) fn joined(mut frames: Vec<AnyArray>) -> Option<AnyArray> {
    let first = frames.first()?;
    let [_, rows, cols] = first.shape();
    if frames.iter().any(|other| other.dtype() != first.dtype()) {
        frames = frames.iter().map(|frame| AnyArray::F32(frame.to_f32())).collect();
    }
    let dtype = Dtype::from_name(frames.first()?.dtype())?;
    let n = frames.iter().map(|frame| frame.shape()[0]).sum();
    let mut whole = zeros(dtype, [n, rows, cols]);
    let mut at = 0;
    for frame in &frames {
        if !put_planes(&mut whole, at, frame) {
            return None;
        }
        at += frame.shape()[0];
    }
    Some(whole)
}

/// Frames of the size of the images: as they are, or one for each tile of a mosaic; `None` where they do not fit.
fn fitted(
    frames: AnyArray,
    [rows, cols]: [usize; 2],
    is_mosaic: bool,
    budget: MemoryBudget,
) -> Result<Option<AnyArray>, crate::base::MemoryError> {
    let [n, own_rows, own_cols] = frames.shape();
    if [own_rows, own_cols] == [rows, cols] {
        return Ok(Some(frames));
    }
    if !is_mosaic || own_rows == 0 || own_cols == 0 || rows % own_rows != 0 || cols % own_cols != 0 {
        return Ok(None);
    }
    let Some(dtype) = Dtype::from_name(frames.dtype()) else { return Ok(None) };
    let needed = [n, rows, cols, dtype.n_bytes()].iter().fold(1u64, |n, side| n.saturating_mul(*side as u64));
    budget.admit(needed)?;
    let mut whole = zeros(dtype, [n, rows, cols]);
    for row in (0..rows).step_by(own_rows) {
        for col in (0..cols).step_by(own_cols) {
            put_tile(&mut whole, &frames, row, col);
        }
    }
    Ok(Some(whole))
}

/// The scan of a file, for its frames alone: nothing where the file holds a volume.
pub(super) fn open(path: &Path, progress: &Progress, budget: MemoryBudget) -> Result<Option<Scan>, IoError> {
    let source = TxrmSource::open(path, budget)?;
    if source.header.kind == crate::io::format::Kind::Volume {
        return Ok(None);
    }
    read(source, progress, budget).map(Some)
}

/// Frames of a TXRM or of a folder of XRM, for flats and darks of a scan with pictures of `[rows, columns]`, with what was
/// recorded at each; `None` for other formats. A frame of the size of a tile is laid over a mosaic.
pub(crate) fn read_frames(
    path: &Path,
    size: [usize; 2],
    is_mosaic: bool,
    progress: &Progress,
    budget: MemoryBudget,
) -> Option<Result<Scan, IoError>> {
    let probe = Probe::of(path).ok()?;
    let read = || -> Result<Scan, IoError> {
        let mut found = if probe.is_folder {
            FolderSource::open(path, budget)?.read_scan(progress, budget)?
        } else {
            open(path, progress, budget)?.ok_or_else(|| IoError::content(path, "a volume, no frames"))?
        };
        let frames =
            std::mem::replace(&mut found.projections, AnyArray::U8(ndarray::Array3::zeros((0, 0, 0))));
        let own = frames.shape();
        let over = |source| IoError::Memory { path: path.to_owned(), source };
        found.projections = fitted(frames, size, is_mosaic, budget).map_err(over)?.ok_or_else(|| {
            let problem = format!(
                "frames of {} × {} pixels for projections of {} × {}; flats and darks need the same size",
                own[1], own[2], size[0], size[1]
            );
            IoError::content(path, problem)
        })?;
        Ok(found)
    };
    (Txrm.sniff(&probe) || XrmFolder.sniff(&probe)).then(read)
}
