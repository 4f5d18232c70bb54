//! Shifts of the images that the microscope's program found: offered as an alignment, never applied to pixels.
//!
//! `Alignment/X-Shifts` and `Y-Shifts` say by how many pixels an image is to be moved, X to the right, Y along the rows as
//! they are stored, which is upwards. With rows flipped once and `aligned(y, x) = view(y + shift_y, x + shift_x)` that is
//! `shift_x = -X`, `shift_y = +Y`. Nobody outside the maker has this in writing: txrm2tiff 2.2.1, xrmreader 2.9.1 and
//! mbirjax all move the images as stored by +X along the columns and +Y along the rows, and dxchange notes that Y runs
//! against the rows of a picture. The flags beside them say which kinds of shift are in these sums.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::about::About;
use super::ole::Ole;
use super::streams::{Counts, int, listed, per_image};
use crate::base::MemoryBudget;
use crate::io::error::IoError;
use crate::volume::Alignment;

/// Kinds of shift, and the flag that says whether they are in the sums.
const KINDS: [(&str, &str); 9] = [
    ("Metrology", "MetrologyShiftsApplied"),
    ("Encoder", "EncoderShiftsApplied"),
    ("Reference", "ReferenceShiftsApplied"),
    ("Stage", "StageShiftsApplied"),
    ("StaticRunout", "StaticRunoutApplied"),
    ("Temperature", "TemperatureShiftsApplied"),
    ("SourceDrift", "SourceDriftShiftsApplied"),
    ("Spot", "SpotShiftsApplied"),
    ("User", "UserShiftsApplied"),
];

/// Stored shifts as the file has them, x then y; `None` where there are none or all are 0.
fn stored(ole: &mut Ole, counts: Counts) -> Option<[Vec<f64>; 2]> {
    let found = ["X", "Y"].map(|axis| per_image(ole, &format!("Alignment/{axis}-Shifts"), counts));
    let n = counts.there;
    let is_whole = found.iter().all(|values| values.len() == n && values.iter().all(|v| v.is_finite()));
    let is_still = found.iter().flatten().all(|v| *v == 0.0);
    (is_whole && !is_still).then_some(found)
}

/// Says in the metadata what shifts there are.
pub(super) fn describe(ole: &mut Ole, counts: Counts, found: &mut BTreeMap<String, String>) {
    let Some([x, y]) = stored(ole, counts) else { return };
    found.insert("stored_x_shifts_px".to_owned(), listed(&x));
    found.insert("stored_y_shifts_px".to_owned(), listed(&y));
    let in_sums: Vec<&str> = KINDS
        .iter()
        .filter(|(_, flag)| int(ole, &format!("Alignment/{flag}")).is_some_and(|value| value != 0))
        .map(|(kind, _)| *kind)
        .collect();
    if !in_sums.is_empty() {
        found.insert("stored_shifts_are".to_owned(), in_sums.join(" "));
    }
}

/// A sentence that offers the stored shifts, where there are any.
pub(super) fn offer(ole: &mut Ole, counts: Counts, path: &Path) -> Option<String> {
    let [x, y] = stored(ole, counts)?;
    let most = |values: &[f64]| values.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Some(format!(
        "the file holds shifts of its images (up to {:.2} px across, {:.2} px along the axis): they are not applied; --align {name} takes them, align --start {name} begins from them",
        most(&x),
        most(&y)
    ))
}

/// Reads the shifts that a TXRM holds as an alignment of views at these angles.
///
/// # Errors
/// [`IoError`] for a file that is none, holds no shifts, or has another number of images.
pub(crate) fn read_txrm_shifts(path: &Path, angles_deg: &[f64]) -> Result<Alignment, IoError> {
    let file = File::open(path).map_err(|e| IoError::system("read", path, e))?;
    let read = || -> Result<Alignment, String> {
        let mut ole = Ole::open(file, MemoryBudget::from_system())?;
        let counts = About::read(&mut ole)?.counts;
        if counts.there != angles_deg.len() {
            let (n, views) = (counts.there, angles_deg.len());
            return Err(format!("shifts of {n} images for {views} views: the file belongs to another scan"));
        }
        let [x, y] = stored(&mut ole, counts).ok_or(
            "no shifts of the images in this file (Alignment/X-Shifts, Y-Shifts), or all are 0: align the scan (waterwindow align)",
        )?;
        let mut alignment = Alignment::identity(angles_deg);
        "shifts stored by the microscope".clone_into(&mut alignment.method);
        for ((view, x), y) in alignment.views.iter_mut().zip(x).zip(y) {
            // Adding zero turns -0 into 0.
            (view.shift_x_px, view.shift_y_px) = (0.0 - x, y + 0.0);
        }
        Ok(alignment)
    };
    read().map_err(|problem| IoError::content(path, problem))
}
