//! Where the parts of a scan are in NXtomo, Mistral and DataExchange files.

use std::path::Path;

use hdf5_reader::Dataset;
use hdf5_reader::group::Group;

use super::read::{Hdf5Source, read_frames};
use super::tree::{
    attr_text, dataset_at, dataset_text, ev_per, first_dataset, group_attr, number_in, numbers, search,
    um_per,
};
use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::array::Dtype;
use crate::io::error::IoError;
use crate::io::format::{Source as _, read_all};
use crate::volume::{AnyArray, Scan};

/// A set of frames: some or all of a dataset's.
#[derive(Clone)]
pub(super) struct Frames {
    /// The dataset, three axes.
    pub(super) dataset: Dataset,
    /// Positions of the frames; `None` means all.
    pub(super) indices: Option<Vec<usize>>,
}

/// The parts of a scan that a file holds.
pub(super) struct ScanLayout {
    /// "NXtomo" or "DataExchange".
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
    pub(super) unit: Option<Unit>,
    pub(super) title: Option<String>,
    pub(super) warnings: Vec<String>,
}

impl ScanLayout {
    fn new(name: &'static str, projections: Frames) -> Self {
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
            unit: None,
            title: None,
            warnings: Vec::new(),
        }
    }
}

/// Looks for a scan; `Ok(None)` where the file holds none.
pub(super) fn find(root: &Group) -> Result<Option<ScanLayout>, String> {
    if let Some(entry) = search(root, |_, group| is_nxtomo(group).then(|| group.clone())) {
        return nxtomo(&entry).map(Some);
    }
    match dataset_at(root, "exchange/data").filter(|data| data.ndim() == 3) {
        Some(data) => data_exchange(root, data).map(Some),
        None => Ok(None),
    }
}

fn is_nxtomo(group: &Group) -> bool {
    let defined = dataset_at(group, "definition").and_then(|d| dataset_text(&d));
    if defined.is_some_and(|text| text.eq_ignore_ascii_case("NXtomo")) {
        return true;
    }
    matches!(group_attr(group, "NX_class").as_str(), "NXentry" | "NXsubentry")
        && detector(group).is_some_and(|(_, data)| data.ndim() == 3)
        && angles_dataset(group).is_some()
}

/// Children of a group that are of a NeXus class, or have one of these names.
fn children(group: &Group, class: &str, names: &[&str]) -> Vec<Group> {
    let (all, _) = group.member_names().unwrap_or_default();
    all.iter()
        .filter_map(|name| Some((name, group.group(name).ok()?)))
        .filter(|(name, child)| names.contains(&name.as_str()) || group_attr(child, "NX_class") == class)
        .map(|(_, child)| child)
        .collect()
}

/// The detector with its data: one that has an `image_key` before others.
fn detector(entry: &Group) -> Option<(Group, Dataset)> {
    let mut found: Vec<(Group, Dataset)> = children(entry, "NXinstrument", &["instrument"])
        .iter()
        .flat_map(|instrument| children(instrument, "NXdetector", &["detector"]))
        .filter_map(|detector| {
            let data = dataset_at(&detector, "data")?;
            Some((detector, data))
        })
        .collect();
    let keyed = found.iter().position(|(detector, _)| dataset_at(detector, "image_key").is_some());
    (!found.is_empty()).then(|| found.swap_remove(keyed.unwrap_or(0)))
}

fn angles_dataset(entry: &Group) -> Option<Dataset> {
    children(entry, "NXsample", &["sample"])
        .iter()
        .find_map(|sample| dataset_at(sample, "rotation_angle"))
        .or_else(|| first_dataset(entry, &["data/rotation_angle", "tomo_entry/data/rotation_angle"]))
}

/// Angles in degrees: radians are said in the units.
fn degrees(dataset: &Dataset) -> Vec<f64> {
    let units = attr_text(dataset, "units").to_ascii_lowercase();
    let in_radians = units.starts_with("rad");
    numbers(dataset).into_iter().map(|a| if in_radians { a.to_degrees() } else { a }).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "keys are small whole numbers; others match none")]
fn keys_of(entry: &Group, detector: &Group, n: usize) -> Result<Option<Vec<i64>>, String> {
    let dataset = dataset_at(detector, "image_key").or_else(|| dataset_at(entry, "data/image_key"));
    let Some(dataset) = dataset else { return Ok(None) };
    let keys: Vec<i64> = numbers(&dataset).into_iter().map(|k| k as i64).collect();
    if keys.len() != n {
        return Err(format!("{} image keys for {n} frames; the file is incomplete", keys.len()));
    }
    Ok(Some(keys))
}

fn positions(keys: &[i64], wanted: i64) -> Vec<usize> {
    keys.iter().enumerate().filter(|(_, key)| **key == wanted).map(|(i, _)| i).collect()
}

fn picked(values: &[f64], indices: &[usize]) -> Vec<f64> {
    indices.iter().filter_map(|i| values.get(*i).copied()).collect()
}

fn nxtomo(entry: &Group) -> Result<ScanLayout, String> {
    let (detector, data) = detector(entry).ok_or("an NXtomo entry without detector data")?;
    if data.ndim() != 3 {
        return Err(format!("NXtomo data of {} axes, expected 3 (frames, rows, columns)", data.ndim()));
    }
    let n = usize::try_from(data.shape()[0]).map_err(|_e| "too many frames")?;
    let angles = angles_dataset(entry).map(|d| degrees(&d)).unwrap_or_default();
    let monitor = monitor_of(entry, &detector);
    let exposure =
        first_dataset(&detector, &["count_time", "ExpTimes"]).map(|d| numbers(&d)).unwrap_or_default();
    let per_frame = |values: &[f64], indices: &[usize], total: usize| match values.len() {
        len if len == n => picked(values, indices),
        // Some writers list projections only.
        len if len == indices.len() && total != n => values.to_vec(),
        _ => Vec::new(),
    };

    let mut layout = ScanLayout::new("NXtomo", Frames { dataset: data.clone(), indices: None });
    if let Some(keys) = keys_of(entry, &detector, n)? {
        let (views, flats, darks) = (positions(&keys, 0), positions(&keys, 1), positions(&keys, 2));
        if views.is_empty() {
            return Err(format!("none of the {n} frames is a projection (image_key 0)"));
        }
        let n_invalid = n - views.len() - flats.len() - darks.len();
        if n_invalid > 0 {
            layout.warnings.push(format!("{n_invalid} frames are marked invalid and left out"));
        }
        let of_views = per_frame(&angles, &views, views.len());
        // A wrong number is kept, so that it is named.
        layout.angles_deg = if of_views.is_empty() { angles } else { of_views };
        layout.beam = per_frame(&monitor, &views, views.len());
        layout.flat_beam = if monitor.len() == n { picked(&monitor, &flats) } else { Vec::new() };
        layout.exposure_s = per_frame(&exposure, &views, views.len());
        layout.flat_times =
            flats.iter().map(|flat| views.iter().take_while(|view| *view < flat).count() as f64).collect();
        let frames = |indices: Vec<usize>| {
            (!indices.is_empty()).then(|| Frames { dataset: data.clone(), indices: Some(indices) })
        };
        layout.flats = frames(flats);
        layout.darks = frames(darks);
        layout.projections = Frames { dataset: data, indices: Some(views) };
    } else {
        layout.angles_deg = angles;
        layout.beam = if monitor.len() == n { monitor } else { Vec::new() };
        layout.exposure_s = if exposure.len() == n { exposure } else { Vec::new() };
        mistral_fields(entry, &mut layout);
    }
    layout.pixel_um =
        first_dataset(&detector, &["x_pixel_size"]).and_then(|d| pixel_um(&d, &mut layout.warnings));
    layout.energy_ev = energy_of(entry);
    layout.title = dataset_at(entry, "title").and_then(|d| dataset_text(&d));
    layout.unit = own_unit(&layout.projections.dataset);
    Ok(layout)
}

/// Mistral's beamline files have no image keys but groups of their own for flats and darks.
fn mistral_fields(entry: &Group, layout: &mut ScanLayout) {
    for instrument in children(entry, "NXinstrument", &["instrument"]) {
        let frames = |name: &str| {
            let dataset = dataset_at(&instrument, name).filter(|d| d.ndim() == 3)?;
            Some(Frames { dataset, indices: None })
        };
        layout.flats = layout.flats.take().or_else(|| frames("bright_field/data"));
        layout.darks = layout.darks.take().or_else(|| frames("dark_field/data"));
        let current = dataset_at(&instrument, "bright_field/current").map(|d| numbers(&d));
        if let Some(current) = current.filter(|c| !c.is_empty() && !layout.beam.is_empty()) {
            layout.flat_beam = current;
        }
    }
}

/// The beam monitor, or the ring current that Mistral writes beside the images.
fn monitor_of(entry: &Group, detector: &Group) -> Vec<f64> {
    children(entry, "NXmonitor", &["control"])
        .iter()
        .find_map(|control| dataset_at(control, "data"))
        .or_else(|| dataset_at(detector, "current"))
        .map(|d| numbers(&d))
        .filter(|values| values.iter().all(|v| v.is_finite() && *v > 0.0))
        .unwrap_or_default()
}

/// A pixel size; a number without units is taken for m where it is small enough to be that.
fn pixel_um(dataset: &Dataset, warnings: &mut Vec<String>) -> Option<f64> {
    let sized = number_in(dataset, um_per).or_else(|| {
        let value = number_in(dataset, |_| Some(1.0))?;
        let (scale, unit) = if value < 1e-3 { (1e6, "m") } else { (1.0, "µm") };
        warnings.push(format!("the pixel size {value} has no known unit, {unit} was assumed"));
        Some(value * scale)
    })?;
    format!("{sized:.9e}").parse().ok().filter(|p: &f64| *p > 0.0)
}

fn energy_of(entry: &Group) -> Option<f64> {
    let mut places = vec![entry.clone()];
    for instrument in children(entry, "NXinstrument", &["instrument"]) {
        places.extend(children(&instrument, "NXsource", &["source"]));
        places.extend(children(&instrument, "NXmonochromator", &["monochromator"]));
        places.extend(children(&instrument, "NXbeam", &["beam"]));
    }
    places.extend(children(entry, "NXbeam", &["beam"]));
    // A value without units is in eV where it is above what keV could be in soft X-rays.
    let to_ev = |units: &str| ev_per(units).or_else(|| units.is_empty().then_some(1.0));
    places
        .iter()
        .find_map(|place| {
            first_dataset(place, &["energy", "incident_energy"]).and_then(|d| number_in(&d, to_ev))
        })
        .filter(|e| *e > 0.0)
}

/// The unit that this program writes beside the data.
fn own_unit(dataset: &Dataset) -> Option<Unit> {
    Unit::from_ascii(&attr_text(dataset, "unit")).or_else(|| Unit::from_ascii(&attr_text(dataset, "units")))
}

fn data_exchange(root: &Group, data: Dataset) -> Result<ScanLayout, String> {
    let n = usize::try_from(data.shape()[0]).map_err(|_e| "too many frames")?;
    let unit = own_unit(&data);
    let mut layout = ScanLayout::new("DataExchange", Frames { dataset: data, indices: None });
    let frames = |path: &str| {
        let dataset = dataset_at(root, path).filter(|d| d.ndim() == 3 && !d.shape().contains(&0))?;
        Some(Frames { dataset, indices: None })
    };
    layout.flats = frames("exchange/data_white");
    layout.darks = frames("exchange/data_dark");
    layout.unit = unit;
    match dataset_at(root, "exchange/theta") {
        Some(theta) => layout.angles_deg = degrees(&theta),
        None => {
            layout.angles_deg = (0..n).map(|i| 180.0 * i as f64 / n as f64).collect();
            layout.warnings.push(format!("no angles in the file: {n} views over 0 to 180° were assumed"));
        }
    }
    let pixel = first_dataset(
        root,
        &[
            "measurement/instrument/detector/pixel_size",
            "measurement/instrument/detector/actual_pixel_size_x",
            "measurement/instrument/detector/pixel_size_x",
        ],
    );
    layout.pixel_um = pixel.and_then(|d| pixel_um(&d, &mut layout.warnings));
    layout.energy_ev = dataset_at(root, "measurement/instrument/monochromator/energy")
        .and_then(|d| number_in(&d, |units| ev_per(units).or(Some(1e3))));
    layout.title = dataset_at(root, "exchange/title").and_then(|d| dataset_text(&d));
    Ok(layout)
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
    scan.flat_beam = layout.flat_beam;
    scan.flat_times = layout.flat_times;
    scan.exposure_s = layout.exposure_s;
    scan.metadata = header.metadata;
    scan.warnings.extend(header.warnings);
    Ok(scan)
}

/// Type that the frames of a dataset are read in.
pub(super) fn frame_type(dataset: &Dataset) -> Result<Dtype, String> {
    super::tree::dtype_of(dataset).ok_or_else(|| format!("{}: values that are no numbers", dataset.name()))
}
