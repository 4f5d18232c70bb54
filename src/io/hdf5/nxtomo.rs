//! NXtomo of every age: with `image_key`, with `image_key_control`, and with a detector for each kind of frame.
//!
//! Frames are told apart by `image_key` (0 projection, 1 flat, 2 dark, 3 invalid); `image_key_control` is −1
//! for frames that were taken again to see drift. NXtomo 1.0b, and Mistral, keep flats and darks in detectors of
//! their own. The pixel at the sample comes before that of the camera. References: the NeXus definitions
//! NXtomo 1.0a, 1.0b and 2.0; nxtomo 3.1 for what the ESRF adds.

use super::detector::{mirrored, say_unused};
use super::frames::Frames;
use super::mistral;
use super::scan::ScanLayout;
use super::store::{Dataset, Group};
use super::tree::{children, first_dataset, number_in, numbers, search};
use super::values::{
    degrees, energy_ev, exposures_s, integrates, magnification, median_ev, one_each, own_unit,
    pixel_at_sample, pixel_um, source_ev,
};

/// Names of detectors that hold no views.
const FLATS: [&str; 4] = ["bright_field", "flat_field", "bright", "flat"];
const DARKS: [&str; 3] = ["dark_field", "dark_current", "dark"];

/// Paths of the entries that hold a scan.
pub(super) fn entries(root: &Group) -> Vec<String> {
    let (defined, alike) = found(root);
    let entries = distinct(if defined.is_empty() { alike } else { defined });
    entries.iter().map(|entry| entry.path().trim_start_matches('/').to_owned()).collect()
}

/// Entries that say that they hold a scan, and others that look like it.
fn found(root: &Group) -> (Vec<Group>, Vec<Group>) {
    let (mut defined, mut alike): (Vec<Group>, Vec<Group>) = (Vec::new(), Vec::new());
    let stopped: Option<()> = search(root, |group| {
        if is_defined(group) {
            defined.push(group.clone());
        } else if looks_alike(group) {
            alike.push(group.clone());
        }
        None
    });
    debug_assert!(stopped.is_none(), "the visit never stops the search");
    (defined, alike)
}

/// The entry that holds the scan; the one that is named, where there are several.
pub(super) fn entry(root: &Group, wanted: Option<&str>) -> Result<Option<Group>, String> {
    let (defined, alike) = found(root);
    if let Some(wanted) = wanted {
        return named(defined.into_iter().chain(alike).collect(), wanted);
    }
    let found = if defined.is_empty() { alike } else { defined };
    let mut entries = distinct(found);
    if entries.len() > 1 {
        let names: Vec<&str> = entries.iter().map(|entry| entry.path().trim_start_matches('/')).collect();
        return Err(format!(
            "{} scans in this file: {}; choose one (--entry {})",
            names.len(),
            names.join(", "),
            names[0]
        ));
    }
    Ok(entries.pop())
}

fn named(entries: Vec<Group>, wanted: &str) -> Result<Option<Group>, String> {
    let wanted = wanted.trim_matches('/');
    let path = |entry: &Group| entry.path().trim_start_matches('/').to_owned();
    let found =
        entries.iter().find(|e| path(e) == wanted).or_else(|| entries.iter().find(|e| e.name() == wanted));
    if entries.is_empty() {
        return Ok(None);
    }
    found.cloned().map(Some).ok_or_else(|| {
        let names: Vec<String> = entries.iter().map(path).collect();
        format!("no scan named {wanted}; the file holds {}", names.join(", "))
    })
}

/// Entries that hold different frames: an entry and its sub-entry may hold the same.
fn distinct(mut entries: Vec<Group>) -> Vec<Group> {
    // Of two with the same frames the one that knows which are flats.
    entries.sort_by_key(|entry| detectors(entry).is_some_and(|d| keys_dataset(entry, &d.views.0).is_none()));
    let mut seen = Vec::new();
    entries.retain(|entry| {
        let frames = detectors(entry).map(|d| d.views.1.identity());
        let is_new = frames.is_none_or(|frames| !seen.contains(&frames));
        seen.extend(frames);
        is_new
    });
    // One whose frames are missing is no choice beside one that has them.
    if entries.iter().any(|entry| detectors(entry).is_some()) {
        entries.retain(|entry| detectors(entry).is_some());
    }
    entries.sort_by(|a, b| a.path().cmp(b.path()));
    entries
}

fn is_defined(group: &Group) -> bool {
    let defined = group.dataset("definition").and_then(|d| d.text());
    defined.is_some_and(|text| text.eq_ignore_ascii_case("NXtomo"))
}

fn looks_alike(group: &Group) -> bool {
    matches!(group.attr_text("NX_class").as_str(), "NXentry" | "NXsubentry")
        && detectors(group).is_some_and(|d| d.views.1.ndim() >= 3)
        && angles_dataset(group).is_some()
}

/// The detectors of an entry with their data.
struct Detectors {
    views: (Group, Dataset),
    flats: Option<(Group, Dataset)>,
    darks: Option<(Group, Dataset)>,
}

fn detectors(entry: &Group) -> Option<Detectors> {
    let mut found: Vec<(Group, Dataset)> = Vec::new();
    for instrument in children(entry, "NXinstrument", &["instrument"]) {
        let all = children(&instrument, "NXdetector", &["detector", "bright_field", "dark_field", "sample"]);
        found.extend(
            all.into_iter().filter_map(|detector| Some((detector.clone(), detector.dataset("data")?))),
        );
    }
    let mut take = |names: &[&str]| {
        let at = found.iter().position(|(group, _)| names.contains(&group.name().to_lowercase().as_str()))?;
        Some(found.swap_remove(at))
    };
    let (flats, darks) = (take(&FLATS), take(&DARKS));
    // A diode is a detector too: frames have rows and columns.
    let rank = |(group, data): &(Group, Dataset)| {
        let keyed = ["image_key", "image_key_control"].iter().any(|name| group.dataset(name).is_some());
        (data.ndim() < 2, !keyed, data.ndim() < 3, !matches!(group.name(), "detector" | "sample"))
    };
    found.sort_by_key(rank);
    let views = found.into_iter().next().or_else(|| {
        // Frames that are only linked from the NXdata group.
        let group = entry.group("data")?;
        let data = group.dataset("data")?;
        Some((group, data))
    })?;
    Some(Detectors { views, flats, darks })
}

fn angles_dataset(entry: &Group) -> Option<Dataset> {
    children(entry, "NXsample", &["sample"])
        .iter()
        .find_map(|sample| first_dataset(sample, &["rotation_angle", "transformations/rotation_angle"]))
        .or_else(|| {
            first_dataset(
                entry,
                &[
                    "data/rotation_angle",
                    "tomo_entry/data/rotation_angle",
                    "tomo_entry/sample/rotation_angle",
                ],
            )
        })
}

fn keys_dataset(entry: &Group, detector: &Group) -> Option<Dataset> {
    let names = ["image_key", "image_key_control"];
    let places = ["data/image_key", "instrument/image_key", "data/image_key_control"];
    first_dataset(detector, &names).or_else(|| first_dataset(entry, &places)).or_else(|| {
        // Wherever else a writer put it.
        search(entry, |group| names.iter().find_map(|name| group.dataset(name)))
    })
}

/// What each frame is: 0 view, 1 flat, 2 dark, −1 taken again, anything else left out.
fn keys_of(entry: &Group, detector: &Group, n: usize) -> Result<Option<Vec<i64>>, String> {
    let Some(dataset) = keys_dataset(entry, detector) else { return Ok(None) };
    // Numbers that are no whole ones are keys of nothing.
    let whole = |values: Vec<f64>| -> Vec<i64> {
        values.into_iter().map(|k| if k == k.round() && k.abs() < 100.0 { k as i64 } else { 99 }).collect()
    };
    let mut keys = whole(numbers(&dataset));
    if keys.len() != n {
        return Err(format!("{} image keys for {n} frames; the file is incomplete", keys.len()));
    }
    let control =
        first_dataset(detector, &["image_key_control"]).or_else(|| entry.dataset("data/image_key_control"));
    let control = control.map(|d| whole(numbers(&d))).filter(|control| control.len() == n);
    if let Some(control) = control {
        keys.iter_mut().zip(control).filter(|(_, c)| *c == -1).for_each(|(key, _)| *key = -1);
    }
    Ok(Some(keys))
}

fn positions(keys: &[i64], wanted: i64) -> Vec<usize> {
    keys.iter().enumerate().filter(|(_, key)| **key == wanted).map(|(i, _)| i).collect()
}

fn picked(values: &[f64], indices: &[usize]) -> Vec<f64> {
    indices.iter().filter_map(|i| values.get(*i).copied()).collect()
}

/// The parts of the scan of an entry.
pub(super) fn read(entry: &Group) -> Result<ScanLayout, String> {
    let Some(found) = detectors(entry) else {
        let broken = entry.family().broken();
        let why = if broken.is_empty() { String::new() } else { format!(": {}", broken.join("; ")) };
        return Err(format!("{}: an NXtomo entry without frames of a detector{why}", entry.path()));
    };
    let (detector, data) = &found.views;
    let mut frames = Frames::all(data.clone())?;
    let mut layout = ScanLayout::new("NXtomo", frames.clone());
    frames.mirrored = mirrored(detector, &mut layout.warnings);
    layout.projections.mirrored = frames.mirrored;
    let n = frames.n_stored();
    let angles = angles_dataset(entry).map(|d| degrees(&d, &mut layout.warnings)).unwrap_or_default();
    match keys_of(entry, detector, n)? {
        Some(keys) => by_keys(&mut layout, entry, detector, &frames, &keys, angles)?,
        None => by_detectors(&mut layout, entry, &found, n, angles)?,
    }
    say_unused(entry, detector, &mut layout);
    integrates(&mut layout);
    layout.pixel_um = pixel_of(entry, detector, &mut layout.warnings);
    layout.energy_ev = energy_of(entry, &mut layout.warnings);
    layout.title = entry.dataset("title").and_then(|d| d.text());
    layout.unit = own_unit(data);
    entry.path().clone_into(&mut layout.entry);
    Ok(layout)
}

/// All frames in one dataset, told apart by keys.
fn by_keys(
    layout: &mut ScanLayout,
    entry: &Group,
    detector: &Group,
    frames: &Frames,
    keys: &[i64],
    angles: Vec<f64>,
) -> Result<(), String> {
    let n = keys.len();
    let (views, flats, darks) = (positions(keys, 0), positions(keys, 1), positions(keys, 2));
    let again = positions(keys, -1).len();
    if views.is_empty() {
        return Err(format!("none of the {n} frames is a projection (image_key 0)"));
    }
    if again > 0 {
        layout.warnings.push(format!(
            "{again} frames were taken again to see drift (image_key_control -1) and are left out"
        ));
    }
    let n_invalid = n - views.len() - flats.len() - darks.len() - again;
    if n_invalid > 0 {
        layout.warnings.push(format!("{n_invalid} frames are marked invalid and left out"));
    }
    let of = |values: &[f64], indices: &[usize]| match values.len() {
        len if len == n => picked(values, indices),
        1 => vec![values[0]; indices.len()],
        _ => Vec::new(),
    };
    // Some writers list projections only; a wrong number is kept, so that it is named.
    layout.angles_deg = if angles.len() == n { picked(&angles, &views) } else { angles };
    let monitor = monitor_of(entry, detector);
    say_left_out(&mut layout.warnings, "beam monitor", monitor.len(), &[1, n, views.len()]);
    let listed = |values: &[f64], n: usize| if values.len() == n { values.to_vec() } else { Vec::new() };
    layout.beam = if monitor.len() == n { picked(&monitor, &views) } else { listed(&monitor, views.len()) };
    layout.flat_beam = if monitor.len() == n { picked(&monitor, &flats) } else { Vec::new() };
    let exposure = exposures_s(entry, detector, &mut layout.warnings);
    say_left_out(&mut layout.warnings, "exposures", exposure.len(), &[1, n, views.len()]);
    layout.exposure_s = if exposure.len() == views.len() { exposure.clone() } else { of(&exposure, &views) };
    layout.flat_exposure_s = of(&exposure, &flats);
    layout.flat_times =
        flats.iter().map(|flat| views.iter().take_while(|view| *view < flat).count() as f64).collect();
    let set = |indices: Vec<usize>| (!indices.is_empty()).then(|| frames.clone().picked(indices));
    layout.flats = set(flats);
    layout.darks = set(darks);
    layout.projections = frames.clone().picked(views);
    Ok(())
}

/// Says of values that belong to no frames why they were not used; `fits` are the numbers of which they could be.
fn say_left_out(warnings: &mut Vec<String>, what: &str, n: usize, fits: &[usize]) {
    if n > 0 && !fits.contains(&n) {
        warnings.push(format!(
            "the {what} of the file were not used: {n} values for {} frames, of which {} are views",
            fits.get(1).copied().unwrap_or(0),
            fits.last().copied().unwrap_or(0)
        ));
    }
}

/// A detector for each kind of frame.
fn by_detectors(
    layout: &mut ScanLayout,
    entry: &Group,
    found: &Detectors,
    n: usize,
    angles: Vec<f64>,
) -> Result<(), String> {
    let detector = &found.views.0;
    layout.angles_deg = angles;
    let set = |pair: &Option<(Group, Dataset)>| -> Result<Option<Frames>, String> {
        let Some((_, data)) = pair.as_ref().filter(|(_, data)| data.ndim() >= 2) else { return Ok(None) };
        let mut frames = Frames::all(data.clone())?;
        frames.mirrored = layout.projections.mirrored;
        Ok(Some(frames).filter(|frames| frames.shape()[0] > 0))
    };
    (layout.flats, layout.darks) = (set(&found.flats)?, set(&found.darks)?);
    if layout.flats.is_none() && layout.darks.is_none() {
        layout.warnings.push(format!(
            "the file does not say which of its frames are flats or darks (no image_key): all {n} were taken for views"
        ));
    }
    let monitor = monitor_of(entry, detector);
    say_left_out(&mut layout.warnings, "beam monitor", monitor.len(), &[n, n]);
    layout.beam = if monitor.len() == n { monitor } else { Vec::new() };
    layout.exposure_s = one_each(exposures_s(entry, detector, &mut layout.warnings), n);
    if let (Some((group, _)), Some(flats)) = (&found.flats, &layout.flats) {
        let n_flats = flats.shape()[0];
        layout.flat_exposure_s = one_each(exposures_s(group, group, &mut layout.warnings), n_flats);
        let current = group.dataset("current").map(|d| numbers(&d)).unwrap_or_default();
        if current.len() == n_flats && !layout.beam.is_empty() {
            layout.flat_beam = current;
        }
    }
    mistral::say_repeats(entry, layout);
    Ok(())
}

/// The beam monitor, or the ring current that Mistral writes beside the images; frame by frame as written.
fn monitor_of(entry: &Group, detector: &Group) -> Vec<f64> {
    children(entry, "NXmonitor", &["control"])
        .iter()
        .find_map(|control| control.dataset("data"))
        .or_else(|| detector.dataset("current"))
        .map(|d| numbers(&d))
        .unwrap_or_default()
}

/// Where the magnification stands, if not with the detector.
const MAGNIFICATION: [&str; 4] = [
    "instrument/magnification",
    "instrument/optics/magnification",
    "instrument/objective/magnification",
    "instrument/lens/magnification",
];

fn pixel_of(entry: &Group, detector: &Group, warnings: &mut Vec<String>) -> Option<f64> {
    let at_sample = children(entry, "NXsample", &["sample"])
        .iter()
        .find_map(|sample| sample.dataset("x_pixel_size"))
        .or_else(|| detector.dataset("x_magnified_pixel_size"))
        .or_else(|| detector.dataset("sample_x_pixel_size"));
    if let Some(size) = at_sample.and_then(|d| pixel_um(&d, warnings)) {
        return Some(size);
    }
    let camera = first_dataset(detector, &["x_pixel_size", "real_x_pixel_size", "y_pixel_size"])?;
    let size = pixel_um(&camera, warnings)?;
    if let Some(other) =
        detector.dataset("y_pixel_size").and_then(|d| number_in(&d, crate::io::lengths::um_per))
        && (other / size - 1.0).abs() > 1e-3
    {
        warnings.push(format!("pixels of {size} µm × {other} µm: the width {size} µm was taken for both"));
    }
    let by = first_dataset(detector, &["magnification", "x_magnification"])
        .or_else(|| first_dataset(entry, &MAGNIFICATION));
    let by = by.and_then(|d| magnification(&d, warnings));
    Some(pixel_at_sample(size, by, warnings))
}

fn energy_of(entry: &Group, warnings: &mut Vec<String>) -> Option<f64> {
    let mut places: Vec<(Group, &str)> = Vec::new();
    for instrument in children(entry, "NXinstrument", &["instrument"]) {
        places.extend(children(&instrument, "NXbeam", &["beam"]).into_iter().map(|g| (g, "incident_energy")));
        places.extend(
            children(&instrument, "NXmonochromator", &["monochromator"]).into_iter().map(|g| (g, "energy")),
        );
        // The source of a beamline that has no other place; that of a ring is far beyond what X-rays have.
        places.extend(children(&instrument, "NXsource", &["source"]).into_iter().map(|g| (g, "energy")));
    }
    places.splice(0..0, children(entry, "NXbeam", &["beam"]).into_iter().map(|g| (g, "incident_energy")));
    places.push((entry.clone(), "energy"));
    let mut all =
        places.iter().flat_map(|(group, name)| [*name, "energy", "incident_energy"].map(|n| (group, n)));
    let values = all.find_map(|(group, name)| {
        let is_source = group.attr_text("NX_class").contains("ource");
        let energy = if is_source { source_ev } else { energy_ev };
        energy(&group.dataset(name)?)
    })?;
    median_ev(&values, warnings)
}
