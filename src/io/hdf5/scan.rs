//! A scan in an HDF5 file: where its parts are, and reading them.

use std::path::Path;

use ndarray::{Array3, ArrayView1};

use super::exchange::data_exchange;
use super::frames::Frames;
use super::mistral;
use super::nxtomo;
use super::read::Hdf5Source;
use super::store::Group;
use super::tree::guarded;
use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::array::{put_planes, zeros};
use crate::io::choice::ReadOptions;
use crate::io::error::IoError;
use crate::io::format::Source as _;
use crate::io::walk::read_all;
use crate::volume::any::Voxel;
use crate::volume::{AnyArray, Scan};
use crate::with_array;

/// The parts of a scan that a file holds.
pub(super) struct ScanLayout {
    /// "NXtomo", "DataExchange" or "Mistral".
    pub(super) name: &'static str,
    pub(super) projections: Frames,
    pub(super) flats: Option<Frames>,
    pub(super) darks: Option<Frames>,
    pub(super) angles_deg: Vec<f64>,
    pub(super) pixel_um: Option<f64>,
    pub(super) energy_ev: Option<f64>,
    pub(super) beam: Vec<f64>,
    pub(super) flat_beam: Vec<f64>,
    pub(super) flat_times: Vec<f64>,
    pub(super) exposure_s: Vec<f64>,
    pub(super) flat_exposure_s: Vec<f64>,
    pub(super) unit: Option<Unit>,
    pub(super) title: Option<String>,
    /// Path of the entry.
    pub(super) entry: String,
    /// Whether it was taken as the first of several.
    pub(super) is_first: bool,
    pub(super) warnings: Vec<String>,
}

impl ScanLayout {
    pub(super) fn new(name: &'static str, projections: Frames) -> Self {
        Self {
            name,
            projections,
            flats: None,
            darks: None,
            angles_deg: Vec::new(),
            pixel_um: None,
            energy_ev: None,
            beam: Vec::new(),
            flat_beam: Vec::new(),
            flat_times: Vec::new(),
            exposure_s: Vec::new(),
            flat_exposure_s: Vec::new(),
            unit: None,
            title: None,
            entry: String::new(),
            is_first: false,
            warnings: Vec::new(),
        }
    }

    /// Keeps only some of the views, by their positions among those that there are.
    fn keep(&mut self, kept: &[usize]) {
        let n = self.projections.shape()[0];
        let all = self.projections.positions();
        self.projections.picked = Some(kept.iter().filter_map(|view| all.get(*view).copied()).collect());
        for values in [&mut self.angles_deg, &mut self.beam, &mut self.exposure_s] {
            if values.len() == n {
                *values = kept.iter().filter_map(|view| values.get(*view).copied()).collect();
            }
        }
        for time in &mut self.flat_times {
            *time = kept.iter().take_while(|view| (**view as f64) < *time).count() as f64;
        }
    }
}

/// Looks for a scan; `Ok(None)` where the file holds none.
pub(super) fn find(root: &Group, options: &ReadOptions) -> Result<Option<ScanLayout>, String> {
    let mut layout = match nxtomo::entry(root, options.entry.as_deref())? {
        Some(entry) => nxtomo::read(&entry)?,
        None => match mistral::normalized(root) {
            Some(layout) => layout?,
            None => match data_exchange(root, options.entry.as_deref())? {
                Some(layout) => layout,
                None => return Ok(None),
            },
        },
    };
    drop_never_written(&mut layout)?;
    Ok(Some(layout))
}

/// Leaves out frames that were never written, as an aborted scan has them, and says so.
fn drop_never_written(layout: &mut ScanLayout) -> Result<(), String> {
    let views = layout.projections.positions();
    let written = first_axis_written(&layout.projections)?;
    let mut missing: Vec<usize> = (0..views.len())
        .filter(|view| written.as_ref().is_some_and(|w| w.get(views[*view]) == Some(&false)))
        .collect();
    let blank = blank_at_the_end(&layout.projections)?;
    let last = views.len() - blank.len();
    missing.extend(blank);
    let begun = begun_only(&layout.projections, last)?;
    if let Some(rows) = begun {
        missing.push(last - 1);
        layout.warnings.push(format!(
            "view {} was written in part: {rows} of its rows hold nothing but the fill value; it is left out",
            last - 1
        ));
    }
    missing.sort_unstable();
    missing.dedup();
    if missing.len() == views.len() && !views.is_empty() {
        return Err(format!(
            "none of the {} frames was ever written, or the files that hold them are missing",
            views.len()
        ));
    }
    if !missing.is_empty() {
        let n = views.len();
        let kept: Vec<usize> = (0..n).filter(|view| missing.binary_search(view).is_err()).collect();
        layout.keep(&kept);
        layout.warnings.push(format!(
            "{} of {n} views were never written (views {}) and are left out",
            missing.len(),
            ranges(&missing)
        ));
    }
    for (what, frames) in [("flats", &mut layout.flats), ("darks", &mut layout.darks)] {
        let Some(set) = frames else { continue };
        let Some(written) = first_axis_written(set)? else { continue };
        let all = set.positions();
        let kept: Vec<usize> = (0..all.len()).filter(|at| written.get(all[*at]) != Some(&false)).collect();
        if kept.len() == all.len() {
            continue;
        }
        layout.warnings.push(format!(
            "{} of {} {what} were never written and are left out",
            all.len() - kept.len(),
            all.len()
        ));
        if what == "flats" {
            for values in [&mut layout.flat_beam, &mut layout.flat_times, &mut layout.flat_exposure_s] {
                if values.len() == all.len() {
                    *values = kept.iter().map(|at| values[*at]).collect();
                }
            }
        }
        set.picked = Some(kept.iter().map(|at| all[*at]).collect());
        if kept.is_empty() {
            *frames = None;
        }
    }
    Ok(())
}

/// Of every frame of a dataset, whether it was written; `None` where that is not recorded.
fn first_axis_written(frames: &Frames) -> Result<Option<Vec<bool>>, String> {
    match frames.axes[0] {
        Some(0) => frames.dataset.written(),
        _ => Ok(None),
    }
}

/// Views at the end that hold nothing but the fill value: space was set aside for them, and the scan ended before.
fn blank_at_the_end(frames: &Frames) -> Result<Vec<usize>, String> {
    let n = frames.shape()[0];
    let fill = frames.fill_value()?;
    let mut at = n;
    while at > 0 && n_blank_rows(&frames.read(at - 1..at)?, fill) == frames.shape()[1] {
        at -= 1;
    }
    // A scan of nothing but zeros is answered by what is done with it.
    Ok(if at == 0 { Vec::new() } else { (at..n).collect() })
}

/// How many rows at the end of the last of `n` views were not written, where the scan ended within it.
///
/// The view before it has values there, and has no such rows: they are none of the sample.
fn begun_only(frames: &Frames, n: usize) -> Result<Option<usize>, String> {
    if n < 2 {
        return Ok(None);
    }
    let fill = frames.fill_value()?;
    let [before, last] =
        [n - 2, n - 1].map(|at| frames.read(at..at + 1).map(|frame| n_blank_rows(&frame, fill)));
    let (before, last) = (before?, last?);
    let least = (frames.shape()[1] / 16).max(2);
    Ok((before == 0 && last >= least).then_some(last))
}

/// Rows from the top or from the bottom on that hold nothing but the fill value: a mirrored detector is read upwards.
fn n_blank_rows(frame: &AnyArray, fill: f64) -> usize {
    fn count<T: Voxel>(frame: &Array3<T>, fill: f64) -> usize {
        let is_blank = |row: &ArrayView1<'_, T>| row.iter().all(|v| v.to_f64().to_bits() == fill.to_bits());
        let are_blank: Vec<bool> = frame.rows().into_iter().map(|row| is_blank(&row)).collect();
        let at_the_top = are_blank.iter().take_while(|blank| **blank).count();
        at_the_top.max(are_blank.iter().rev().take_while(|blank| **blank).count())
    }
    with_array!(frame, values => count(values, fill))
}

/// Numbers as "0-3, 7".
pub(super) fn ranges(numbers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let shown = runs.iter().take(10).map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if runs.len() > 10 {
        text += ", …";
    }
    text
}

/// Reads a scan whose layout was found.
pub(super) fn read(
    mut source: Hdf5Source,
    path: &Path,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<Scan, IoError> {
    let Some(layout) = source.layout.take() else {
        return Err(IoError::content(path, "no scan in this HDF5 file"));
    };
    let header = source.header().clone();
    let loaded = read_all(&mut source, path, progress, budget)?;
    let mut scan = Scan::new(loaded.array, layout.unit.unwrap_or_default());
    scan.warnings.extend(header.warnings);
    let own = scan.projections.shape();
    let mut read = |frames: Option<Frames>, what: &str| -> Result<Option<AnyArray>, IoError> {
        let Some(frames) = frames else { return Ok(None) };
        let array = read_frames(path, &frames, what, progress, budget)?;
        let found = array.shape();
        if found[1..] == own[1..] {
            return Ok(Some(array));
        }
        scan.warnings.push(format!(
            "{what} of {} × {} pixels do not fit projections of {} × {} and are left out",
            found[1], found[2], own[1], own[2]
        ));
        Ok(None)
    };
    let flats = read(layout.flats, "flats")?;
    let darks = read(layout.darks, "darks")?;
    (scan.flats, scan.darks) = (flats, darks);
    scan.angles_deg = layout.angles_deg;
    scan.pixel_um = layout.pixel_um;
    scan.energy_ev = layout.energy_ev;
    scan.beam = layout.beam;
    scan.exposure_s = layout.exposure_s;
    if scan.flats.is_some() {
        scan.flat_beam = layout.flat_beam;
        scan.flat_times = layout.flat_times;
        scan.flat_exposure_s = layout.flat_exposure_s;
    }
    scan.metadata = header.metadata;
    Ok(scan)
}

/// Reads all frames of a set.
fn read_frames(
    path: &Path,
    frames: &Frames,
    what: &str,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<AnyArray, IoError> {
    let (dtype, shape) = guarded(path, || Ok((frames.dtype()?, frames.shape())))?;
    let needed = shape.iter().try_fold(dtype.n_bytes() as u64, |n, side| n.checked_mul(*side as u64));
    budget
        .admit(needed.unwrap_or(u64::MAX))
        .map_err(|source| IoError::Memory { path: path.to_owned(), source })?;
    progress.phase(&format!("Reading {what}"), shape[0] as u64);
    let mut whole = zeros(dtype, shape);
    let step = frames.slab();
    for at in (0..shape[0]).step_by(step) {
        progress.check()?;
        let planes = guarded(path, || frames.read(at..shape[0].min(at + step)))?;
        if !put_planes(&mut whole, at, &planes) {
            return Err(IoError::content(path, format!("frame {at} of the {what} has another size")));
        }
        progress.advance(planes.shape()[0] as u64);
    }
    Ok(whole)
}
