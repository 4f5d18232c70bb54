//! DataExchange: frames in `/exchange/data`, `data_white` and `data_dark`, angles in `theta`.
//!
//! Reference: De Carlo et al. 2014 (doi:10.1107/S160057751401604X) and what the beamlines of the APS add.

use super::axes::tags;
use super::frames::Frames;
use super::scan::ScanLayout;
use super::store::{Dataset, Group};
use super::tree::{first_dataset, numbers, s_per, units_of};
use super::values::{degrees, energy_ev, median_ev, own_unit, pixel_at_sample, pixel_um, source_ev};

/// Where the pixel at the sample stands, the surest first.
const AT_SAMPLE: [&str; 6] = [
    "measurement/instrument/detector/actual_pixel_size_x",
    "measurement/instrument/detector/actual_pixel_size",
    "measurement/instrument/detection_system/objective/resolution",
    "process/acquisition/pixel_size_actual",
    "measurement/instrument/detector/pixel_size_actual",
    "measurement/instrument/detection_system/objective/pixel_size",
];
/// Where the pixel of the camera stands.
const OF_CAMERA: [&str; 3] = [
    "measurement/instrument/detector/pixel_size_x",
    "measurement/instrument/detector/pixel_size",
    "measurement/instrument/detector/x_pixel_size",
];
/// Where the magnification stands.
const MAGNIFICATION: [&str; 3] = [
    "measurement/instrument/detection_system/objective/magnification",
    "measurement/instrument/detector/magnification",
    "measurement/instrument/objective/magnification",
];
/// Where the photon energy stands.
const ENERGY: [&str; 2] =
    ["measurement/instrument/monochromator/energy", "measurement/instrument/beam/incident_energy"];
/// Where a source without either says it.
const SOURCE_ENERGY: &str = "measurement/instrument/source/beam_energy";

/// The scan, if the file holds one; the group that is named where there are several.
pub(super) fn data_exchange(root: &Group, wanted: Option<&str>) -> Result<Option<ScanLayout>, String> {
    let groups = groups(root);
    let names: Vec<&str> = groups.iter().map(Group::name).collect();
    let group = match wanted {
        Some(wanted) if !groups.is_empty() => {
            let found = groups.iter().find(|group| group.name() == wanted.trim_matches('/'));
            found.ok_or_else(|| format!("no scan named {wanted}; the file holds {}", names.join(", ")))?
        }
        // Derived data stand beside the scan as exchange1 and so on.
        _ => match groups.first() {
            Some(group) => group,
            None => return Ok(None),
        },
    };
    let Some(data) = group.dataset("data") else { return Ok(None) };
    let mut layout = read(root, group, data)?;
    if wanted.is_none() && groups.len() > 1 {
        layout.warnings.push(format!(
            "{} was read; the file also holds {} (--entry)",
            names[0],
            names[1..].join(", ")
        ));
        layout.is_first = true;
    }
    group.path().clone_into(&mut layout.entry);
    Ok(Some(layout))
}

/// The groups that hold frames, in the order of the file.
pub(super) fn groups(root: &Group) -> Vec<Group> {
    root.names()
        .into_iter()
        .filter(|name| {
            name == "exchange" || name.strip_prefix("exchange").is_some_and(|n| n.parse::<u32>().is_ok())
        })
        .filter_map(|name| root.group(&name))
        .filter(|group| group.dataset("data").is_some_and(|data| data.ndim() == 3))
        .collect()
}

fn read(root: &Group, group: &Group, data: Dataset) -> Result<ScanLayout, String> {
    let unit = own_unit(&data);
    check_axes(&data)?;
    let frames = Frames::all(data)?;
    let n = frames.n_stored();
    let mut layout = ScanLayout::new("DataExchange", frames);
    let set = |name: &str| -> Result<Option<Frames>, String> {
        let Some(data) = group.dataset(name).filter(|d| matches!(d.ndim(), 2 | 3)) else { return Ok(None) };
        Ok(Some(Frames::all(data)?).filter(|frames| !frames.shape().contains(&0)))
    };
    (layout.flats, layout.darks) = (set("data_white")?, set("data_dark")?);
    layout.unit = unit;
    match group.dataset("theta") {
        Some(theta) => layout.angles_deg = degrees(&theta, &mut layout.warnings),
        None => {
            layout.angles_deg = (0..n).map(|i| 180.0 * i as f64 / n as f64).collect();
            layout.warnings.push(format!(
                "no angles in the file: {n} views over 0 to 180° were assumed (--angles gives others)"
            ));
        }
    }
    layout.pixel_um = pixel_of(root, &mut layout.warnings);
    let energies = ENERGY.iter().find_map(|path| energy_ev(&root.dataset(path)?));
    let energies = energies.or_else(|| source_ev(&root.dataset(SOURCE_ENERGY)?));
    layout.energy_ev = energies.and_then(|values| median_ev(&values, &mut layout.warnings));
    let exposure = first_dataset(
        root,
        &[
            "measurement/instrument/detector/exposure_time",
            "measurement/instrument/detector/exposure_time_flat",
        ],
    );
    if let Some(exposure) = exposure {
        let seconds = |times: &Dataset| -> Vec<f64> {
            let scale = s_per(units_of(times).trim()).unwrap_or(1.0);
            numbers(times).into_iter().map(|t| t * scale).collect()
        };
        layout.exposure_s = super::values::one_each(seconds(&exposure), n);
        let flat = root.dataset("measurement/instrument/detector/exposure_time_flat");
        let n_flats = layout.flats.as_ref().map_or(0, |f| f.shape()[0]);
        layout.flat_exposure_s =
            flat.map(|d| super::values::one_each(seconds(&d), n_flats)).unwrap_or_default();
    }
    layout.title = first_dataset(group, &["title", "name"]).and_then(|d| d.text());
    Ok(layout)
}

/// Refuses frames that say that views are not their first axis.
fn check_axes(data: &Dataset) -> Result<(), String> {
    let axes = data.attr_text("axes");
    if axes.is_empty() || axes.starts_with("theta") || tags(data).is_some() {
        return Ok(());
    }
    Err(format!(
        "{}: its axes are {axes}, views must come first (theta:y:x); choose the array and turn it (--dataset {0} --axes yzx)",
        data.path()
    ))
}

fn pixel_of(root: &Group, warnings: &mut Vec<String>) -> Option<f64> {
    if let Some(size) = first_dataset(root, &AT_SAMPLE) {
        return pixel_um(&size, warnings);
    }
    let size = pixel_um(&first_dataset(root, &OF_CAMERA)?, warnings)?;
    let magnification =
        first_dataset(root, &MAGNIFICATION).and_then(|d| super::values::magnification(&d, warnings));
    Some(pixel_at_sample(size, magnification, warnings))
}
