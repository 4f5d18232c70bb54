//! What the scripts of the Mistral beamline (ALBA) write: normalised series, single images, mosaics.
//!
//! Raw scans are NXtomo with a detector for each kind of frame. Normalised ones are `/TomoNormalized/TomoNormalized`,
//! transmission, with angles, energies and pixel sizes beside them.

use super::frames::Frames;
use super::scan::ScanLayout;
use super::store::{Dataset, Group};
use super::tree::{first_dataset, number_in, numbers};
use super::values::{degrees, energy_ev, median_ev, own_unit, pixel_um};
use crate::base::Unit;
use crate::io::lengths::um_per;

/// Groups of normalised series, and the names of the series in them.
const NORMALIZED: [&str; 5] =
    ["TomoNormalized", "SpecNormalized", "MosaicNormalized", "FastAligned", "TomoAligned"];

/// A normalised series, if the file holds one.
pub(super) fn normalized(root: &Group) -> Option<Result<ScanLayout, String>> {
    let (group, data) = NORMALIZED.iter().find_map(|name| {
        let group = root.group(name)?;
        let data = first_dataset(&group, &[name, "TomoNormalized", "tomo_aligned", "spec_norm"])?;
        (data.ndim() == 3).then_some((group, data))
    })?;
    Some(read(root, &group, data))
}

fn read(root: &Group, group: &Group, data: Dataset) -> Result<ScanLayout, String> {
    let unit = own_unit(&data);
    let frames = Frames::all(data)?;
    let n = frames.n_stored();
    let mut layout = ScanLayout::new("Mistral", frames);
    layout.unit = unit.or_else(|| {
        layout.warnings.push(
            "a normalised series of Mistral: its values are taken for transmission (--input says otherwise)"
                .to_owned(),
        );
        Some(Unit::Transmission)
    });
    // An aligned series stands in a group of its own, its angles in that of the normalised one.
    let places = [Some(group.clone()), root.group("TomoNormalized"), root.group("SpecNormalized")];
    let beside = |names: &[&str]| places.iter().flatten().find_map(|group| first_dataset(group, names));
    layout.angles_deg =
        beside(&["rotation_angle", "angles"]).map(|d| degrees(&d, &mut layout.warnings)).unwrap_or_default();
    layout.pixel_um =
        beside(&["x_pixel_size", "pixel_size"]).and_then(|d| pixel_in_um(&d, &mut layout.warnings));
    let energies = beside(&["energy", "Energies"]).and_then(|d| energy_ev(&d));
    layout.energy_ev = energies.and_then(|values| median_ev(&values, &mut layout.warnings));
    let exposure =
        beside(&["ExpTimesTomo", "ExpTimes", "ExpTimesSpec"]).map(|d| numbers(&d)).unwrap_or_default();
    layout.exposure_s = super::values::one_each(exposure, n);
    group.path().clone_into(&mut layout.entry);
    Ok(layout)
}

/// Mistral writes pixels in µm, without a unit.
fn pixel_in_um(dataset: &Dataset, warnings: &mut Vec<String>) -> Option<f64> {
    match number_in(dataset, um_per) {
        Some(_) => pixel_um(dataset, warnings),
        None => number_in(dataset, |_| Some(1.0)).filter(|p| *p > 0.0),
    }
}

/// The two images at 0° before and after a scan are named, where there are any.
pub(super) fn say_repeats(entry: &Group, layout: &mut ScanLayout) {
    let n = ["0_degrees_initial_image", "0_degrees_final_image"]
        .iter()
        .filter(|name| entry.dataset(&format!("instrument/sample/{name}")).is_some())
        .count();
    if n > 0 {
        layout.warnings.push(format!(
            "{n} images at 0° from before or after the scan are left out; --dataset instrument/sample/0_degrees_initial_image reads one"
        ));
    }
}

/// The fields of a mosaic and their pixel in µm; flats and darks stand beside them.
pub(super) fn mosaic(root: &Group) -> Option<(Dataset, Option<f64>)> {
    let group = root.group("NXmosaic")?;
    let pixel = first_dataset(&group, &["instrument/sample/x_pixel_size", "sample/x_pixel_size"]);
    let pixel_um = pixel.and_then(|d| pixel_in_um(&d, &mut Vec::new()));
    Some((first_dataset(&group, &["instrument/sample/data", "data/data"])?, pixel_um))
}

/// A single image or a stack of them with `/metadata` beside it: angle, energy, pixel size.
pub(super) struct Beside {
    pub(super) pixel_um: Option<f64>,
    pub(super) energy_ev: Option<f64>,
    pub(super) angle_deg: Option<f64>,
}

/// What `/metadata` says of a single image.
pub(super) fn beside(root: &Group, warnings: &mut Vec<String>) -> Option<Beside> {
    let group = root.group("metadata")?;
    let is_image = group.dataset("energy").is_some() && group.dataset("angle").is_some();
    is_image.then(|| Beside {
        pixel_um: first_dataset(&group, &["pixel_size", "x_pixel_size"])
            .and_then(|d| pixel_in_um(&d, warnings)),
        energy_ev: group.dataset("energy").and_then(|d| energy_ev(&d)).and_then(|v| median_ev(&v, warnings)),
        angle_deg: group.dataset("angle").and_then(|d| numbers(&d).first().copied()),
    })
}
