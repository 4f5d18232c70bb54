//! What a file is, for `info` and for the open dialog.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::array::Spread;
use super::choice::ReadOptions;
use super::error::IoError;
use super::format::{ArrayEntry, Header, Kind, list_arrays, list_entries, open, read_header};
use super::tilts::{self, Stack};
use super::walk::for_each_view;
use crate::base::{MemoryBudget, Progress, Unit};

/// A file described: the fields of `info --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileInfo {
    /// The file or folder.
    pub path: PathBuf,
    /// Name of its format.
    pub format: &'static str,
    /// What it seems to hold.
    pub kind: Kind,
    /// Shape as z, y, x; a scan is views, rows, columns (of its projections).
    pub shape_zyx: [usize; 3],
    /// Type of the values as NumPy spells it.
    pub dtype: &'static str,
    /// Voxel size in µm as z, y, x; of a scan the pixel size in y and x, repeated in z.
    pub voxel_um: Option<[f64; 3]>,
    /// Unit of the values ("1/um"); absent where the file does not say.
    pub unit: Option<&'static str>,
    /// Number of views of a scan.
    pub n_views: Option<usize>,
    /// Tilt angles in degrees, from the file or the angle file beside it; empty where none were found.
    pub angles_deg: Vec<f64>,
    /// Photon energy in eV.
    pub energy_ev: Option<f64>,
    /// Smallest finite value.
    pub min: Option<f64>,
    /// Largest finite value.
    pub max: Option<f64>,
    /// Mean of the finite values.
    pub mean: Option<f64>,
    /// Channels; min, max and mean are of the one that is read.
    pub n_channels: usize,
    /// Names of the channels, as far as the file has any.
    pub channel_names: Vec<String>,
    /// Points of time.
    pub n_times: usize,
    /// Objects whose class the file tells; none where the ids are not those of objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_objects: Option<usize>,
    /// Arrays that the file holds, where there are several; `--dataset` reads another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arrays: Vec<ArrayEntry>,
    /// Scans or images that the file holds side by side, where there are several; `--entry` reads another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<String>,
    /// What was taken of several that may be meant as well because nobody chose, as a choice would say it.
    #[serde(skip_serializing_if = "ReadOptions::is_empty")]
    pub guessed: ReadOptions,
    /// Anything else the file says.
    pub metadata: BTreeMap<String, String>,
    /// What the reader had to assume.
    pub warnings: Vec<String>,
}

/// What a file seems to hold, by its header and the angles beside it; no values are read.
///
/// # Errors
/// [`IoError`] for a missing, foreign or damaged file.
pub fn kind_of(path: &Path) -> Result<Kind, IoError> {
    Ok(kind_from(path, &read_header(path)?).0)
}

/// As [`kind_of`], of a file with this header; and why angles that lie beside it were not taken, if they were not.
pub fn kind_from(path: &Path, header: &Header) -> (Kind, Option<String>) {
    if header.kind != Kind::Volume {
        return (header.kind, None);
    }
    match tilts::choose(&Stack::of(path, header), &mut Vec::new()) {
        Ok(Some(_)) => (Kind::Scan, None),
        Ok(None) => (Kind::Volume, None),
        // A reconstruction of IMOD lies beside the angles of its scan.
        Err(error) => (Kind::Volume, Some(format!("taken for a volume, not for a scan: {error}"))),
    }
}

/// Describes a file by its header; no values are read, so that range and mean are unknown.
///
/// # Errors
/// [`IoError`] for a missing, foreign or damaged file.
pub fn describe(path: &Path, options: &ReadOptions) -> Result<FileInfo, IoError> {
    let source = open(path, options, MemoryBudget::from_system())?;
    Ok(about(path, source.header().clone()))
}

/// Describes a file; values are streamed for range and mean, never held at once.
///
/// # Errors
/// [`IoError`] for a missing, foreign or damaged file.
pub fn info(path: &Path, options: &ReadOptions, progress: &Progress) -> Result<FileInfo, IoError> {
    let mut source = open(path, options, MemoryBudget::from_system())?;
    let mut spread = Spread::default();
    for_each_view(source.as_mut(), progress, |_, planes| {
        spread.add(&planes);
        Ok(())
    })?;
    let mut header = source.header().clone();
    let Some(stats) = spread.stats() else { return Ok(about(path, header)) };
    if stats.n_non_finite > 0 {
        header.warnings.push(format!("{} values are NaN or infinite", stats.n_non_finite));
    }
    let (min, max, mean) = (Some(stats.min), Some(stats.max), Some(stats.mean));
    Ok(FileInfo { min, max, mean, ..about(path, header) })
}

/// What a header says, and the angles beside the file.
fn about(path: &Path, header: Header) -> FileInfo {
    let (mut kind, mut warnings) = (header.kind, header.warnings.clone());
    let mut angles_deg = header.angles_deg.clone();
    if matches!(kind, Kind::Volume | Kind::Scan) {
        match tilts::choose(&Stack::of(path, &header), &mut warnings) {
            Ok(Some(found)) => angles_deg = found,
            Ok(None) => {}
            Err(error) => warnings.push(error.to_string()),
        }
    }
    // A single picture that knows its tilt is no series.
    if !angles_deg.is_empty() && kind != Kind::Image {
        kind = Kind::Scan;
    }
    FileInfo {
        path: path.to_owned(),
        format: header.format,
        kind,
        shape_zyx: header.shape,
        dtype: header.dtype.name(),
        voxel_um: header.voxel_um,
        unit: header.unit.map(Unit::ascii),
        n_views: (kind == Kind::Scan).then_some(header.shape[0]),
        angles_deg,
        energy_ev: header.energy_ev,
        min: None,
        max: None,
        mean: None,
        n_channels: header.n_channels,
        channel_names: header.channel_names,
        n_times: header.n_times,
        n_objects: header.objects.map(|table| table.class_of.len()),
        arrays: list_arrays(path).ok().filter(|arrays| arrays.len() > 1).unwrap_or_default(),
        entries: list_entries(path).ok().filter(|entries| entries.len() > 1).unwrap_or_default(),
        guessed: header.guessed,
        metadata: header.metadata,
        warnings,
    }
}
