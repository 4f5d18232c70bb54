//! What lies in a watched folder: scans that are there, scans that grow, files that are only half written.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use crate::base::{MemoryBudget, Progress};
use crate::io::{self, AngleSource, IoError, ScanOptions};
use crate::volume::any::Voxel;
use crate::volume::{AnyArray, Scan};
use crate::with_array;

/// Endings that a scan may have.
const ENDINGS: [&str; 11] = ["h5", "hdf5", "nxs", "mrc", "mrcs", "st", "tif", "tiff", "npy", "zarr", "txrm"];

/// Most entries of a folder that are looked at.
const MOST_ENTRIES: usize = 100_000;

/// How large and how old a source is: while that changes it is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    pub(super) files: u64,
    /// Milliseconds since 1970.
    pub(super) modified_ms: u64,
}

impl Stamp {
    /// Of a file, or of a folder with the files in it, and of the angle file beside.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let mut stamp = Self { bytes: 0, files: 0, modified_ms: 0 };
        let mut add = |meta: &fs::Metadata| {
            let age = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH);
            let ms = u64::try_from(age.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
            stamp.modified_ms = stamp.modified_ms.max(ms);
            stamp.bytes += meta.len();
            stamp.files += 1;
        };
        let meta = fs::metadata(path).ok()?;
        if meta.is_dir() {
            // Of a folder with one XRM a view nothing else counts: results may be written into it.
            let only_views = io::is_xrm_folder(path);
            for entry in fs::read_dir(path).ok()?.take(MOST_ENTRIES).flatten() {
                if !only_views || entry.path().extension().is_some_and(|e| e.eq_ignore_ascii_case("xrm")) {
                    add(&entry.metadata().ok()?);
                }
            }
        } else {
            add(&meta);
        }
        if let Some(angles) = angle_file(path).and_then(|file| fs::metadata(file).ok()) {
            add(&angles);
        }
        Some(stamp)
    }

    /// How long ago the last change was, by the clock.
    pub(super) fn age(self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(Duration::from_millis(self.modified_ms))
    }
}

fn angle_file(path: &Path) -> Option<PathBuf> {
    ["rawtlt", "tlt"].iter().map(|e| path.with_extension(e)).find(|file| file.is_file())
}

/// A source and what was last seen of it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) stamp: Stamp,
    /// When the stamp changed last, by this program's watch.
    pub(super) since: Instant,
    /// The stamp at which the source was last read, in vain or not.
    pub(super) read_at: Option<Stamp>,
}

/// Files and folders that may be scans, with where they stand now.
pub(super) fn look(folder: &Path, out: &Path, seen: &mut BTreeMap<PathBuf, Seen>) -> Result<(), IoError> {
    let entries = fs::read_dir(folder).map_err(|source| IoError::System {
        action: "look into",
        path: folder.to_owned(),
        source,
    })?;
    let mut there = BTreeMap::new();
    // The folder itself is a scan where it holds one XRM for each view, and no scans that are whole.
    let has_whole = |e: fs::DirEntry| e.path().extension().is_some_and(|e| e.eq_ignore_ascii_case("txrm"));
    if io::is_xrm_folder(folder)
        && !fs::read_dir(folder).is_ok_and(|entries| entries.take(MOST_ENTRIES).flatten().any(has_whole))
        && let Some(stamp) = Stamp::of(folder)
    {
        there.insert(folder.to_owned(), stamp);
    }
    for path in entries.take(MOST_ENTRIES).flatten().map(|entry| entry.path()) {
        if path == out || !may_be_scan(&path) {
            continue;
        }
        if let Some(stamp) = Stamp::of(&path) {
            there.insert(path, stamp);
        }
    }
    seen.retain(|path, _| there.contains_key(path));
    for (path, stamp) in there {
        let entry = seen.entry(path).or_insert_with(|| Seen { stamp, since: Instant::now(), read_at: None });
        if entry.stamp != stamp {
            (entry.stamp, entry.since) = (stamp, Instant::now());
        }
    }
    Ok(())
}

fn may_be_scan(path: &Path) -> bool {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy().to_lowercase()) else { return false };
    // Hidden files are half written ones of ours and of others; flats and darks belong to scans.
    if name.starts_with('.') || name.starts_with("flat.") || name.starts_with("dark.") {
        return false;
    }
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    if path.is_dir() && ending.as_deref() != Some("zarr") {
        // A folder of pictures has its angles beside it, one of XRM inside.
        return angle_file(path).is_some() || io::is_xrm_folder(path);
    }
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// The views of a scan that are there so far: as many as have both picture and angle.
///
/// # Errors
/// [`IoError`] where it cannot be read, or not yet.
pub(super) fn read_so_far(
    path: &Path,
    options: &ScanOptions,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<Scan, IoError> {
    let mut options = options.clone();
    let mut whole = None;
    if options.angles.is_none()
        && let Some(file) = angle_file(path)
    {
        let n_views = io::read_header(path)?.shape[0];
        let mut angles = finished_angles(&file)?;
        whole = Some(angles.len().min(n_views));
        let last = angles.last().copied().unwrap_or(0.0);
        angles.resize(n_views, last);
        options.angles = Some(AngleSource::List(angles));
    }
    let scan = io::read_scan(path, &options, progress, budget)?;
    // Views that come must come behind those that are there, whatever their angle.
    let scan = match io::order_in_time(&scan) {
        Some(order) => reordered(scan, &order),
        None => scan,
    };
    Ok(match whole {
        Some(n) if n < scan.projections.shape()[0] => views(&scan, 0..n),
        _ => scan,
    })
}

/// Angles of lines that have been written to their end.
fn finished_angles(file: &Path) -> Result<Vec<f64>, IoError> {
    let text = io::read_text(file)?;
    let end = text.rfind('\n').map_or(0, |at| at + 1);
    let words = text[..end].lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = words.flat_map(|line| line.split([' ', '\t', ',', '\r'])).filter(|word| !word.is_empty());
    words
        .map(|word| word.parse::<f64>().ok().filter(|angle| angle.is_finite()))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| IoError::content(file, "not a list of angles in degrees"))
}

/// The views of a scan in another order.
fn reordered(mut scan: Scan, order: &[usize]) -> Scan {
    fn some<T: Voxel>(array: &Array3<T>, order: &[usize]) -> AnyArray {
        T::wrap(array.select(Axis(0), order))
    }
    scan.projections = with_array!(&scan.projections, array => some(array, order));
    for values in [&mut scan.angles_deg, &mut scan.beam, &mut scan.exposure_s] {
        *values = order.iter().filter_map(|at| values.get(*at).copied()).collect();
    }
    // The order by angle was not that in time, so the flats have no place in it.
    scan.flat_times = Vec::new();
    scan
}

/// Some views of a scan, with its flats and darks.
pub(super) fn views(scan: &Scan, range: Range<usize>) -> Scan {
    fn some<T: Voxel>(array: &Array3<T>, range: Range<usize>) -> AnyArray {
        T::wrap(array.slice_axis(Axis(0), ndarray::Slice::from(range)).to_owned())
    }
    let projections = with_array!(&scan.projections, array => some(array, range.clone()));
    let part = |values: &[f64]| values.get(range.clone()).map(<[f64]>::to_vec).unwrap_or_default();
    let first = range.start as f64;
    Scan {
        projections,
        angles_deg: part(&scan.angles_deg),
        beam: part(&scan.beam),
        exposure_s: part(&scan.exposure_s),
        flat_times: scan.flat_times.iter().map(|time| time - first).collect(),
        flats: scan.flats.clone(),
        darks: scan.darks.clone(),
        metadata: scan.metadata.clone(),
        warnings: scan.warnings.clone(),
        flat_beam: scan.flat_beam.clone(),
        flat_exposure_s: scan.flat_exposure_s.clone(),
        ..*scan
    }
}
