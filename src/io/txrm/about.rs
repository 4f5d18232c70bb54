//! What a TXRM says about its images: size, type, how many, angles, pixel size, energy, exposure, beam.

use super::axes::{self, Axis};
use super::ole::Ole;
use super::streams::{Counts, count, float, int, listed, per_image, text};
use crate::io::array::Dtype;

/// What one value is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// A type that arrays have.
    Plain(Dtype),
    /// i64, read as f64.
    I64,
    /// u64, read as f64.
    U64,
}

impl Stored {
    /// The type of a code of the format; `None` for those that are no pixels.
    fn of_code(code: i32) -> Option<Self> {
        Some(match code {
            2 => Self::Plain(Dtype::I8),
            3 => Self::Plain(Dtype::U8),
            4 => Self::Plain(Dtype::I16),
            5 => Self::Plain(Dtype::U16),
            6 => Self::Plain(Dtype::I32),
            7 => Self::Plain(Dtype::U32),
            8 => Self::I64,
            9 => Self::U64,
            10 => Self::Plain(Dtype::F32),
            11 => Self::Plain(Dtype::F64),
            _ => return None,
        })
    }

    /// The type that a value of so many bytes has where nothing says it.
    fn of_width(n_bytes: u64) -> Option<Self> {
        Some(match n_bytes {
            1 => Self::Plain(Dtype::U8),
            2 => Self::Plain(Dtype::U16),
            4 => Self::Plain(Dtype::F32),
            8 => Self::Plain(Dtype::F64),
            _ => return None,
        })
    }

    /// The type in memory.
    pub(super) fn dtype(self) -> Dtype {
        match self {
            Self::Plain(dtype) => dtype,
            Self::I64 | Self::U64 => Dtype::F64,
        }
    }

    /// Finds the type of pictures of `n_pixels` in streams of `n_bytes` whose code is `code`: the number of bytes decides
    /// where the two contradict each other.
    pub(super) fn find(
        code: Option<i32>,
        n_pixels: u64,
        n_bytes: u64,
        warnings: &mut Vec<String>,
    ) -> Result<Self, String> {
        let said = code.and_then(Self::of_code);
        let fits = |stored: &Self| n_pixels.checked_mul(stored.dtype().n_bytes() as u64) == Some(n_bytes);
        if let Some(stored) = said.filter(fits) {
            return Ok(stored);
        }
        let by_width = n_bytes.checked_div(n_pixels).and_then(Self::of_width).filter(fits);
        let Some(stored) = by_width else {
            return Err(format!(
                "an image of {n_bytes} bytes for {n_pixels} pixels (type {}); the file is damaged or still being written",
                code.map_or_else(|| "not said".to_owned(), |code| code.to_string())
            ));
        };
        warnings.push(format!(
            "the type of the values ({}) does not fit {n_bytes} bytes for {n_pixels} pixels: {} was taken",
            code.map_or_else(|| "not said".to_owned(), |code| format!("code {code}")),
            stored.dtype().name()
        ));
        Ok(stored)
    }
}

/// A mosaic: tiles in rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mosaic {
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Whether the images are the tiles; else one image holds them all already.
    pub(super) in_tiles: bool,
    /// Whether tiles follow each other upwards before they do to the right.
    pub(super) upwards_first: bool,
}

/// What a file says.
pub(super) struct About {
    pub(super) counts: Counts,
    /// Rows and columns of one stored image.
    pub(super) tile: [usize; 2],
    pub(super) stored: Stored,
    pub(super) mosaic: Option<Mosaic>,
    pub(super) angles_deg: Vec<f64>,
    pub(super) pixel_um: Option<f64>,
    /// Photon energy of each image in eV; empty where not recorded.
    pub(super) energies_ev: Vec<f64>,
    pub(super) exposure_s: Vec<f64>,
    /// What monitors the beam, and its reading at each image.
    pub(super) beam: Option<(String, Vec<f64>)>,
    pub(super) axes: Vec<Axis>,
    /// Whether the values were divided by the reference already and are per cent.
    pub(super) is_referenced: bool,
    pub(super) warnings: Vec<String>,
}

/// The name of image `k`, from 1; a hundred lie in one storage.
pub(super) fn image_name(k: usize) -> String {
    format!("ImageData{}/Image{k}", k.div_ceil(100))
}

impl About {
    /// Reads what a file says about its images.
    ///
    /// # Errors
    /// A sentence where there is no image, or none of the size that the file says.
    pub(super) fn read(ole: &mut Ole) -> Result<Self, String> {
        let mut warnings = Vec::new();
        let sides = [count(ole, "ImageInfo/ImageHeight"), count(ole, "ImageInfo/ImageWidth")];
        let [Some(rows), Some(cols)] = sides else {
            return Err("a compound file without the size of images (ImageInfo/ImageHeight, ImageWidth); not a TXRM, XRM or TXM, or still being written".to_owned());
        };
        let first = ole.bytes_of(&image_name(1)).ok_or(
            "no image yet: ImageData1/Image1 is missing; the scan was stopped before its first image, or is still being written",
        )?;
        let n_pixels = (rows as u64).saturating_mul(cols as u64);
        let stored = Stored::find(int(ole, "ImageInfo/DataType"), n_pixels, first, &mut warnings)?;
        if matches!(stored, Stored::I64 | Stored::U64) {
            warnings.push("64-bit whole numbers are read as float64, exact up to 2^53".to_owned());
        }
        let counts = images_there(ole, first, &mut warnings);
        let axes = axes::read(ole, counts);
        let n = counts.there;
        let mut about = Self {
            counts,
            tile: [rows, cols],
            stored,
            mosaic: None,
            angles_deg: angles(ole, counts, &axes, &mut warnings),
            pixel_um: pixel_um(ole, &mut warnings),
            energies_ev: energies(ole, counts, &axes, &mut warnings),
            exposure_s: whole(exposures(ole, "ImageInfo", counts), n),
            beam: beam(ole, counts, &axes),
            axes,
            is_referenced: int(ole, "ImageInfo/OriginalDataRefCorrected").is_some_and(|flag| flag != 0),
            warnings,
        };
        about.mosaic = mosaic(ole, &mut about);
        if let Some(version) = float(ole, "Version").filter(|v| !matches!(v.floor(), 3.0 | 5.0)) {
            about.warnings.push(format!(
                "file version {version}; versions 3 and 5 are known, others are read like them"
            ));
        }
        let cone = float(ole, "ImageInfo/ConeAngle").filter(|angle| *angle > 0.0);
        if let Some(cone) = cone {
            about.warnings.push(format!(
                "the beam is a cone of {cone:.2}°: this program reconstructs parallel beams, so what lies off the middle is blurred"
            ));
        }
        Ok(about)
    }

    /// Shape of the array: images, rows, columns; a mosaic in tiles is one picture.
    pub(super) fn shape(&self) -> [usize; 3] {
        let [rows, cols] = self.tile;
        match self.mosaic {
            Some(mosaic) if mosaic.in_tiles => {
                [1, rows.saturating_mul(mosaic.rows), cols.saturating_mul(mosaic.cols)]
            }
            _ => [self.counts.there, rows, cols],
        }
    }

    /// Bytes of one stored image.
    pub(super) fn image_bytes(&self) -> usize {
        self.tile[0].saturating_mul(self.tile[1]).saturating_mul(self.stored.dtype().n_bytes())
    }
}

/// Values that there are for every image; none where some are missing.
fn whole(values: Vec<f64>, n: usize) -> Vec<f64> {
    if values.len() == n { values } else { Vec::new() }
}

/// Images up to the first that is missing or of another size, and no more than were taken.
fn images_there(ole: &mut Ole, bytes: u64, warnings: &mut Vec<String>) -> Counts {
    if is_one_mosaic(ole) {
        return Counts { there: 1, planned: 1 };
    }
    let planned = count(ole, "ImageInfo/NoOfImages");
    let taken = count(ole, "ImageInfo/ImagesTaken");
    let mut there = 1;
    while ole.bytes_of(&image_name(there + 1)) == Some(bytes) {
        there += 1;
    }
    match taken {
        Some(taken) if taken < there => {
            warnings.push(format!(
                "{there} images lie in the file, of which it says that {taken} were taken: the others are left out"
            ));
            there = taken;
        }
        Some(taken) if taken > there => {
            let found = ole.bytes_of(&image_name(there + 1));
            let why = found
                .map_or_else(|| "is missing".to_owned(), |n| format!("has {n} bytes instead of {bytes}"));
            warnings.push(format!(
                "{taken} images were taken, image {} {why}: the {there} before it are read",
                there + 1
            ));
        }
        _ => {}
    }
    let stopped = planned.filter(|planned| taken.unwrap_or(there) < *planned);
    if let Some(planned) = stopped {
        warnings.push(format!(
            "{planned} images were planned, {there} were taken: the scan was stopped or goes on"
        ));
    }
    Counts { there, planned: planned.unwrap_or(there).max(there) }
}

/// Whether the one image of a file of version 3 is a whole mosaic; the numbers of images may be those of its tiles.
fn is_one_mosaic(ole: &mut Ole) -> bool {
    float(ole, "Version").is_none_or(|version| version < 5.0)
        && int(ole, "ImageInfo/MosiacMode") == Some(1)
        && ole.bytes_of(&image_name(2)).is_none()
}

/// Tilts of the images: as listed, else by the axis that turns the sample.
fn angles(ole: &mut Ole, counts: Counts, axes: &[Axis], warnings: &mut Vec<String>) -> Vec<f64> {
    let n = counts.there;
    let listed = per_image(ole, "ImageInfo/Angles", counts);
    let varies = |values: &[f64]| values.iter().any(|v| Some(v) != values.first());
    let is_whole = listed.len() == n && listed.iter().all(|a| a.is_finite());
    let mut of_the_axis = Vec::new();
    match axes::tilts_deg(axes, n, &mut of_the_axis) {
        Some((name, tilts)) if !is_whole || (n > 1 && !varies(&listed) && varies(&tilts)) => {
            let found =
                if listed.is_empty() { "no list of angles" } else { "a list of angles that is not whole" };
            warnings.push(format!("{found}: the tilts are the positions of the axis \"{name}\""));
            warnings.append(&mut of_the_axis);
            tilts
        }
        _ if is_whole => listed,
        _ if listed.is_empty() => Vec::new(),
        _ => {
            warnings.push(format!(
                "{} angles for {n} images: they are left out; give them (--angles FILE|START:STEP)",
                listed.len()
            ));
            Vec::new()
        }
    }
}

/// Pixel size at the sample in µm, of binned pixels; from camera and magnifications where it is not said.
fn pixel_um(ole: &mut Ole, warnings: &mut Vec<String>) -> Option<f64> {
    if let Some(pixel) = float(ole, "ImageInfo/PixelSize").filter(|um| *um > 0.0) {
        return Some(pixel);
    }
    let mut positive = |path: &str| float(ole, path).filter(|v| *v > 0.0);
    let camera = positive("ImageInfo/CamPixelSize")
        .or_else(|| positive("ConfigureBackup/ConfigCamera/Camera 1/CCDPixelSize"))?;
    let magnification =
        positive("ImageInfo/XrayMagnification")? * positive("ImageInfo/OpticalMagnification")?;
    let bin = count(ole, "ImageInfo/HorizontalBin").or_else(|| count(ole, "ImageInfo/CameraBinning"))?;
    let pixel = camera * bin as f64 / magnification;
    warnings.push(format!(
        "no pixel size: {pixel:.6} µm from the camera's {camera} µm, binning {bin} and magnification {magnification} (--pixel-size sets another)"
    ));
    Some(pixel)
}

/// Photon energy of each image in eV.
fn energies(ole: &mut Ole, counts: Counts, axes: &[Axis], warnings: &mut Vec<String>) -> Vec<f64> {
    let n = counts.there;
    let listed = whole(per_image(ole, "ImageInfo/Energy", counts), n);
    let usable = |values: &[f64]| !values.is_empty() && values.iter().all(|v| v.is_finite() && *v > 0.0);
    let mut found = if usable(&listed) { listed } else { axes::energies_ev(axes, n).unwrap_or_default() };
    if !usable(&found) {
        return Vec::new();
    }
    // No photon below 50 eV gets through anything: such a number is in keV.
    if found.iter().all(|v| *v < 50.0) {
        warnings.push(format!("an energy of {} was taken for keV", listed_range(&found)));
        found.iter_mut().for_each(|v| *v *= 1e3);
    }
    if found.iter().any(|v| (v - found[0]).abs() > 1e-3 * found[0]) {
        warnings.push(format!(
            "the images have energies of {} eV: the first is taken for all",
            listed_range(&found)
        ));
    }
    found
}

fn listed_range(values: &[f64]) -> String {
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    if low == high { listed(&[low]) } else { format!("{low:.2} to {high:.2}") }
}

/// Exposure of each image in s, below `ImageInfo` or the same of the reference.
pub(super) fn exposures(ole: &mut Ole, storage: &str, counts: Counts) -> Vec<f64> {
    ["ExpTimes", "ExpTime"]
        .iter()
        .map(|name| per_image(ole, &format!("{storage}/{name}"), counts))
        .find(|values| !values.is_empty() && values.iter().all(|v| v.is_finite() && *v > 0.0))
        .unwrap_or_default()
}

/// The beam at each image: the ring current where an axis records it, else the ion chamber where it was read.
fn beam(ole: &mut Ole, counts: Counts, axes: &[Axis]) -> Option<(String, Vec<f64>)> {
    if let Some((name, values)) = axes::ring_current(axes, counts.there) {
        return Some((format!("axis {name}"), values));
    }
    if int(ole, "ImageInfo/IonChamberRead") == Some(0) {
        return None;
    }
    let values = whole(per_image(ole, "ImageInfo/IonChamberCurrent", counts), counts.there);
    (!values.is_empty() && values.iter().all(|v| v.is_finite() && *v > 0.0))
        .then(|| (ION_CHAMBER.to_owned(), values))
}

/// Name of the ion chamber as a monitor; the reference has its reading, too.
pub(super) const ION_CHAMBER: &str = "ion chamber";

/// Whether the images are tiles of a mosaic, or one image is a mosaic already.
fn mosaic(ole: &mut Ole, about: &mut About) -> Option<Mosaic> {
    let rows = count(ole, "ImageInfo/MosiacRows").or_else(|| count(ole, "ImageInfo/MosaicRows"))?;
    let cols = count(ole, "ImageInfo/MosiacColumns").or_else(|| count(ole, "ImageInfo/MosaicColumns"))?;
    let n_tiles = rows.checked_mul(cols).filter(|n| *n > 1)?;
    let upwards_first = int(ole, "ImageInfo/MosaicFastAxis") == Some(1);
    let there = about.counts.there;
    if there == 1 && about.counts.planned == 1 {
        about
            .warnings
            .push(format!("a mosaic of {rows} rows and {cols} columns, put together by the microscope"));
        return Some(Mosaic { rows, cols, in_tiles: false, upwards_first });
    }
    let turns = about.angles_deg.iter().any(|a| (a - about.angles_deg[0]).abs() > 0.5);
    // More than half of the tiles are there, so that the picture is at most twice what the file holds.
    if turns || there > n_tiles || 2 * there < n_tiles {
        about.warnings.push(format!(
            "{there} images do not make the mosaic of {rows} rows and {cols} columns that the file speaks of: they are a stack"
        ));
        return None;
    }
    let missing = n_tiles - there;
    let gaps = if missing > 0 { format!("; {missing} tiles are missing and 0") } else { String::new() };
    about.warnings.push(format!(
        "{there} tiles of a mosaic are put side by side in {rows} rows and {cols} columns; their overlap is not taken out{gaps}"
    ));
    Some(Mosaic { rows, cols, in_tiles: true, upwards_first })
}

/// Name of the file that the microscope took for the reference, without its folders.
pub(super) fn reference_name(ole: &mut Ole) -> Option<String> {
    let path = text(ole, "ImageInfo/ReferenceFile")?;
    path.rsplit(['\\', '/']).next().map(str::to_owned).filter(|name| !name.is_empty())
}
