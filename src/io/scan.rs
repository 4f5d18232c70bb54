//! A scan from whatever it comes in: one HDF5 file, or a stack with its angles, flats and darks beside it.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use super::angles::AngleSource;
use super::choice::{AxisOrder, ReadOptions};
use super::compressed::Unpacked;
use super::error::IoError;
use super::format::{Loaded, OpenRequest, check_tree, find_format, open_unpacked};
use super::mdoc;
use super::tilts::{self, Stack};
use super::txrm;
use super::walk::read_all;
use crate::base::{MemoryBudget, Progress, Unit};
use crate::volume::any::Voxel;
use crate::volume::series::range_of;
use crate::volume::{AnyArray, Scan};
use crate::with_array;

/// What the numbers of a stack are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScanInput {
    /// Detector counts, to be divided by flats.
    Counts,
    /// Transmitted fraction.
    Transmission,
    /// `-ln T` already, or any projection that adds up along the beam.
    Absorbance,
}

impl ScanInput {
    /// The unit of the values.
    pub fn unit(self) -> Unit {
        match self {
            Self::Counts => Unit::Counts,
            Self::Transmission => Unit::Transmission,
            Self::Absorbance => Unit::Absorbance,
        }
    }
}

/// How the tilt axis lies in the pictures of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TiltAxis {
    /// From top to bottom, as this program has it.
    #[default]
    Vertical,
    /// From left to right: every picture is turned a quarter on reading, never mirrored.
    Horizontal,
}

/// What the user says about a scan; everything left out is looked for in the file and beside it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScanOptions {
    /// Tilt angles.
    pub angles: Option<AngleSource>,
    /// Flat-field frames, a stack.
    pub flat: Option<PathBuf>,
    /// Dark frames, a stack.
    pub dark: Option<PathBuf>,
    /// Pixel size at the sample in µm; wins over the file's.
    pub pixel_um: Option<f64>,
    /// What the numbers are; counts where flats are known, else it must be said.
    pub input: Option<ScanInput>,
    /// How the tilt axis lies in the pictures.
    pub tilt_axis: TiltAxis,
    /// In which order the views are kept.
    pub order: ViewOrder,
    /// Which part of the file is read, where it holds several.
    pub read: ReadOptions,
}

/// In which order the views of a scan are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewOrder {
    /// As they lie in the file.
    #[default]
    Stored,
    /// As they were taken, by the dates of the .mdoc.
    Date,
    /// By their tilt, the lowest first.
    Angle,
}

/// Extensions that a stack, and `flat.*` and `dark.*` beside it, may have.
const STACK_EXTENSIONS: [&str; 12] =
    ["mrc", "st", "mrcs", "tif", "tiff", "npy", "h5", "hdf5", "zarr", "rec", "txrm", "xrm"];

/// `flat.*` or `dark.*` in the folder of a stack.
fn frames_beside(path: &Path, stem: &str) -> Option<PathBuf> {
    let folder = path.parent()?;
    ["", ".gz", ".bz2"]
        .iter()
        .flat_map(|packed| {
            STACK_EXTENSIONS.map(|extension| folder.join(format!("{stem}.{extension}{packed}")))
        })
        .find(|candidate| candidate.exists() && candidate != path)
}

/// Reads a scan: projections, flats, darks, angles, and what else the files say.
///
/// The result is complete and consistent: one finite angle a view, flats and darks of the same
/// rows and columns, a known meaning of the values.
///
/// # Errors
/// [`IoError`] for missing, foreign or damaged files, a wrong number of angles, frames that do not fit, and
/// where angles or the meaning of the values are found nowhere (the message says what to pass).
pub fn read_scan(
    path: &Path,
    options: &ScanOptions,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<Scan, IoError> {
    let unpacked = Unpacked::of(path, budget)?;
    let content = unpacked.as_ref().map_or(path, Unpacked::path);
    let format = find_format(content).map_err(|error| error.about(path))?;
    check_tree(format, path, &options.read)?;
    let request = OpenRequest { path: content, options: &options.read, budget };
    // What is turned or taken out by its path is read as a stack.
    let is_turned = options.read.axes.is_some_and(|order| order != AxisOrder::ZYX);
    let has_layout = !is_turned && options.read.dataset.is_none();
    let (mut scan, stack) = match has_layout.then(|| format.read_scan(&request, progress)).flatten() {
        Some(scan) => (scan.map_err(|error| error.about(path))?, Stacked::default()),
        None => scan_of_stack(path, unpacked, &options.read, progress, budget)?,
    };
    if !has_layout && format.holds_scans() {
        scan.warnings.push(
            "with --axes or --dataset the file is read as a plain stack: flats, darks, beam monitor and exposures of its own are left aside"
                .to_owned(),
        );
    }
    apply_options(&mut scan, path, stack, options, progress, budget)?;
    set_right(&mut scan, options)?;
    percent_to_fraction(&mut scan);
    check(&scan, path)?;
    if options.angles.is_none() {
        check_recorded(&scan, path)?;
        say_if_radians(&mut scan);
    }
    put_in_order(&mut scan, path, options.order)?;
    if options.tilt_axis == TiltAxis::Horizontal {
        scan.projections = quarter_turned(&scan.projections);
        scan.flats = scan.flats.as_ref().map(quarter_turned);
        scan.darks = scan.darks.as_ref().map(quarter_turned);
    }
    Ok(scan)
}

/// Lets the voxel size and the unit that were given of any file win, where nothing was given of the scan.
fn set_right(scan: &mut Scan, options: &ScanOptions) -> Result<(), IoError> {
    if let Some(size) = options.read.voxel_um.filter(|_| options.pixel_um.is_none()) {
        let [_, y, x] = size.um();
        if (y - x).abs() > 1e-6 * x {
            return Err(IoError::scan(format!("pixels of {y} × {x} µm (y × x); those of a scan are square")));
        }
        if let Some(old) = scan.pixel_um.filter(|old| (old - x).abs() > 1e-6 * x) {
            scan.warnings.push(format!(
                "the pixel size of the file, {old} µm, was replaced by the one that was given"
            ));
        }
        scan.pixel_um = Some(x);
    }
    match options.read.unit.filter(|_| options.input.is_none()) {
        Some(unit @ (Unit::Counts | Unit::Transmission | Unit::Absorbance)) => scan.unit = unit,
        Some(unit) => {
            return Err(IoError::scan(format!(
                "the views of a scan are counts, transmission or absorbance, not {}",
                unit.ascii()
            )));
        }
        None => {}
    }
    Ok(())
}

/// Transmission in per cent, told by its range, becomes a fraction.
///
/// A fraction is about 1 where there is nothing and never far above; per cent are about 100 there.
fn percent_to_fraction(scan: &mut Scan) {
    if scan.unit != Unit::Transmission {
        return;
    }
    let is_per_cent = |bright: &f64| *bright > MOST_TRANSMITTED && *bright <= MOST_PER_CENT;
    let Some(bright) = bright(&scan.projections).filter(is_per_cent) else { return };
    let fractions = with_array!(&scan.projections, values => values.mapv(|v| <f32 as crate::io::FileVoxel>::from_f64(v.to_f64() / 100.0)));
    scan.projections = AnyArray::F32(fractions);
    scan.warnings.push(format!(
        "the transmission is in per cent (a tenth of the values is above {bright:.1}): it was divided by 100"
    ));
}

/// Least span in degrees of a series of many views.
const LEAST_SPAN_DEG: f64 = 7.0;
/// From how many views on a narrower span is worth a word.
const MANY_VIEWS: usize = 11;

/// Says of many views within few degrees that their angles may be radians.
fn say_if_radians(scan: &mut Scan) {
    let Some((low, high)) = range_of(&scan.angles_deg) else { return };
    if scan.n_views() >= MANY_VIEWS && high - low < LEAST_SPAN_DEG {
        scan.warnings.push(format!(
            "{} views from {low:.3}° to {high:.3}°: if these are radians, give the angles in degrees (--angles FILE|START:STEP)",
            scan.n_views()
        ));
    }
}

/// Refuses angles that a file has and that no motor went to.
fn check_recorded(scan: &Scan, path: &Path) -> Result<(), IoError> {
    let (n_views, angles) = (scan.n_views(), &scan.angles_deg);
    match angles.first() {
        Some(first) if n_views > 2 && angles.iter().all(|angle| angle == first) => {
            Err(IoError::scan(format!(
                "all {n_views} views have the angle {first}°: the angles were not recorded; give them (--angles FILE|START:STEP) ({})",
                path.display()
            )))
        }
        _ => Ok(()),
    }
}

/// Every picture turned so that what runs from left to right runs from top to bottom.
fn quarter_turned(frames: &AnyArray) -> AnyArray {
    fn turned<T: Voxel>(frames: &Array3<T>) -> AnyArray {
        let mut view = frames.view();
        // Transposed and then reversed along the new columns: a rotation.
        view.swap_axes(1, 2);
        view.invert_axis(Axis(2));
        T::wrap(view.as_standard_layout().into_owned())
    }
    with_array!(frames, frames => turned(frames))
}

/// What is known of the views of a plain stack.
#[derive(Default, Clone, Copy)]
struct Stacked {
    /// Views that it promises beyond those that it has.
    n_missing: usize,
    /// Whether they were turned around.
    is_reversed: bool,
}

/// A scan of a plain stack, and how many views it promises beyond those that it has: what the file itself and its
/// neighbours say. The unit is arbitrary where nobody said.
fn scan_of_stack(
    path: &Path,
    unpacked: Option<Unpacked>,
    options: &ReadOptions,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<(Scan, Stacked), IoError> {
    let mut source = open_unpacked(path, unpacked, options, budget)?;
    let Loaded { array, header } = read_all(source.as_mut(), path, progress, budget)?;
    let mut scan = Scan::new(array, header.unit.unwrap_or_default());
    scan.angles_deg = header.angles_deg;
    scan.pixel_um = header.voxel_um.map(|voxel| voxel[2]);
    scan.energy_ev = header.energy_ev;
    scan.metadata = header.metadata;
    scan.warnings = header.warnings;
    Ok((scan, Stacked { n_missing: header.missing_planes, is_reversed: header.is_reversed }))
}

/// The scan with its views in the order that is asked for.
fn put_in_order(scan: &mut Scan, path: &Path, order: ViewOrder) -> Result<(), IoError> {
    let n_views = scan.n_views();
    let mut views: Vec<usize> = (0..n_views).collect();
    match order {
        ViewOrder::Stored => return Ok(()),
        ViewOrder::Angle => views.sort_by(|a, b| scan.angles_deg[*a].total_cmp(&scan.angles_deg[*b])),
        ViewOrder::Date => {
            let dates = mdoc::beside(path).and_then(Result::ok).and_then(|mdoc| mdoc.seconds(n_views));
            let dates = dates.ok_or_else(|| {
                IoError::scan(format!(
                    "--view-order date needs an .mdoc beside the stack with a DateTime for each of its {n_views} sections ({})",
                    path.display()
                ))
            })?;
            views.sort_by_key(|view| dates[*view]);
        }
    }
    if views.is_sorted() {
        return Ok(());
    }
    fn ordered<T: Voxel>(frames: &Array3<T>, views: &[usize]) -> AnyArray {
        T::wrap(frames.select(Axis(0), views))
    }
    scan.projections = with_array!(&scan.projections, frames => ordered(frames, &views));
    for values in [&mut scan.angles_deg, &mut scan.beam, &mut scan.exposure_s] {
        if values.len() == n_views {
            *values = views.iter().map(|view| values[*view]).collect();
        }
    }
    if !scan.flat_times.is_empty() {
        scan.flat_times.clear();
        scan.warnings.push("the places of the flats among the views are lost by --view-order".to_owned());
    }
    let first: Vec<usize> = views.iter().take(20).copied().collect();
    scan.warnings
        .push(format!("the views were put in another order than stored: sections {}", mdoc::listed(&first)));
    Ok(())
}

/// Lets what the user said win, and fills what is missing from the files beside.
fn apply_options(
    scan: &mut Scan,
    path: &Path,
    stacked: Stacked,
    options: &ScanOptions,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<(), IoError> {
    let n_views = scan.n_views();
    match &options.angles {
        Some(source) => scan.angles_deg = source.angles(n_views)?,
        None => {
            let Stacked { n_missing, is_reversed } = stacked;
            let stack = Stack { path, n_views, n_missing, own_deg: &scan.angles_deg, is_reversed };
            if let Some(angles) = tilts::choose(&stack, &mut scan.warnings)? {
                scan.angles_deg = angles;
            }
        }
    }
    // Frames that merely lie in the folder have no say in what was declared to be free of them.
    let unit = options.input.map_or(scan.unit, ScanInput::unit);
    let wants_frames = !matches!(unit, Unit::Absorbance | Unit::Transmission);
    let flat = match &options.flat {
        None if wants_frames && scan.flats.is_none() => {
            named_reference(scan, path).or_else(|| frames_beside(path, "flat"))
        }
        given => given.clone(),
    };
    let dark = match &options.dark {
        None if wants_frames && scan.darks.is_none() => frames_beside(path, "dark"),
        given => given.clone(),
    };
    if let Some(flat) = flat {
        let found =
            frames(&flat, scan, |scan| (scan.flats, scan.flat_exposure_s, scan.flat_beam), progress, budget)?;
        let same_monitor = monitor_of(scan).is_some() && monitor_of(scan) == monitor_of(&found);
        (scan.flat_beam, scan.flat_times) = (if same_monitor { found.beam } else { Vec::new() }, Vec::new());
        scan.flat_exposure_s = found.exposure_s;
        scan.flats = Some(found.projections);
    }
    if let Some(dark) = dark {
        let darks = frames(&dark, scan, |scan| (scan.darks, Vec::new(), Vec::new()), progress, budget)?;
        scan.darks = Some(darks.projections);
    }
    if let Some(pixel_um) = options.pixel_um {
        scan.pixel_um = Some(pixel_um);
    }
    match options.input {
        Some(input) => scan.unit = input.unit(),
        None if scan.unit == Unit::Arbitrary && scan.flats.is_some() => scan.unit = Unit::Counts,
        None => {}
    }
    Ok(())
}

/// The reference beside a TXRM, where the file names it or its own name says what it is; said aloud.
fn named_reference(scan: &mut Scan, path: &Path) -> Option<PathBuf> {
    let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match txrm::reference_beside(path, scan.metadata.get("reference_file").map(String::as_str))? {
        txrm::Beside::One(file) => {
            scan.warnings
                .push(format!("flats are taken from {} beside the scan (--flat gives others)", name(&file)));
            Some(file)
        }
        txrm::Beside::Several(files) => {
            let most: Vec<String> = files.iter().take(5).map(|file| name(file)).collect();
            scan.warnings.push(format!(
                "{} files beside the scan may be its reference: {}; give one of them (--flat FILE)",
                files.len(),
                most.join(", ")
            ));
            None
        }
    }
}

/// What monitors the beam of a scan, where its file says it.
fn monitor_of(scan: &Scan) -> Option<&str> {
    scan.metadata.get("beam_monitor")?.split(':').next()
}

/// Frames of the size of a scan, with what their file says was recorded at each.
///
/// Of a file that is a scan itself those that `own` takes of it are read, never its views.
fn frames(
    path: &Path,
    scan: &mut Scan,
    own: impl FnOnce(Scan) -> (Option<AnyArray>, Vec<f64>, Vec<f64>),
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<Scan, IoError> {
    let ([_, rows, cols], is_mosaic) = (scan.projections.shape(), scan.metadata.contains_key("mosaic"));
    let found = match txrm::read_frames(path, [rows, cols], is_mosaic, progress, budget) {
        Some(found) => found?,
        None => {
            let unpacked = Unpacked::of(path, budget)?;
            let content = unpacked.as_ref().map_or(path, Unpacked::path);
            let format = find_format(content).map_err(|error| error.about(path))?;
            let options = ReadOptions::default();
            match format.read_scan(&OpenRequest { path: content, options: &options, budget }, progress) {
                Some(found) => {
                    let found = found.map_err(|error| error.about(path))?;
                    let (metadata, warnings) = (found.metadata.clone(), found.warnings.clone());
                    let (frames, exposure_s, beam) = own(found);
                    let frames = frames.ok_or_else(|| {
                        IoError::content(path, "a scan without such frames of its own; its views are none: give a stack of flats or darks")
                    })?;
                    Scan { beam, exposure_s, metadata, warnings, ..Scan::new(frames, Unit::Counts) }
                }
                None => scan_of_stack(path, unpacked, &options, progress, budget)?.0,
            }
        }
    };
    if let Some((low, high)) = range_of(&found.angles_deg)
        && high - low > MOST_TURNED_DEG
    {
        let problem = format!(
            "a tilt series from {low}° to {high}°, no flats or darks: give frames without the sample"
        );
        return Err(IoError::content(path, problem));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    scan.warnings.extend(found.warnings.iter().map(|warning| format!("{name}: {warning}")));
    let [_, own_rows, own_cols] = found.projections.shape();
    if (rows, cols) != (own_rows, own_cols) {
        let problem = format!(
            "frames of {own_rows} × {own_cols} pixels for projections of {rows} × {cols}; flats and darks need the same size"
        );
        return Err(IoError::content(path, problem));
    }
    Ok(found)
}

/// Refuses a scan that is not complete.
fn check(scan: &Scan, path: &Path) -> Result<(), IoError> {
    let n_views = scan.n_views();
    // Its owner may know what the files do not say, so these are no errors about the content of a file.
    let unclear = |problem: String| Err(IoError::scan(format!("{problem} ({})", path.display())));
    if scan.angles_deg.is_empty() {
        return unclear(format!(
            "{n_views} views without tilt angles; put a .rawtlt beside the stack or give the angles (--angles FILE|START:STEP)"
        ));
    }
    if scan.angles_deg.len() != n_views {
        let n = scan.angles_deg.len();
        return unclear(format!(
            "{n} angles for {n_views} views; give the right ones (--angles FILE|START:STEP)"
        ));
    }
    if let Some(view) = scan.angles_deg.iter().position(|a| !a.is_finite()) {
        return unclear(format!(
            "the angle of view {view} is not a finite number; give the angles (--angles FILE|START:STEP)"
        ));
    }
    if let Some(pixel) = scan.pixel_um.filter(|p| !(p.is_finite() && *p > 0.0)) {
        return Err(IoError::scan(format!("a pixel size of {pixel} µm; it must be greater than 0")));
    }
    if scan.unit == Unit::Transmission
        && let Some(bright) = bright(&scan.projections).filter(|bright| *bright > MOST_TRANSMITTED)
    {
        return unclear(format!(
            "transmission is a fraction from 0 to 1, but a tenth of these values is above {bright:.1}, more than per cent would be: give flats where they are counts (--flat FILE --input counts)"
        ));
    }
    match scan.unit {
        Unit::Counts if scan.flats.is_none() => unclear(
            "counts without flat-field frames; give them (--flat FILE), or say what the values are (--input transmission|absorbance)".to_owned(),
        ),
        Unit::Counts | Unit::Transmission | Unit::Absorbance => Ok(()),
        _ => unclear("the file does not say what its values are and there are no flats; say what they are (--input absorbance|transmission), or give flat frames for counts (--flat FILE)".to_owned()),
    }
}

/// A tenth of the values of a scan is never above this where they are a transmitted fraction; of per cent it is.
const MOST_TRANSMITTED: f64 = 3.0;

/// A tenth of the values of a scan is never above this where they are per cent; of counts it is.
const MOST_PER_CENT: f64 = 200.0;

/// Flats and darks are taken without a tilt; their files may say a little one.
const MOST_TURNED_DEG: f64 = 5.0;

/// What nine tenths of some of the values are below: it lies in the open field, however dense the sample.
fn bright(frames: &AnyArray) -> Option<f64> {
    let step = (frames.shape().iter().product::<usize>() / (1 << 16)).max(1);
    let mut values: Vec<f64> =
        with_array!(frames, frames => frames.iter().step_by(step).map(|v| v.to_f64()).collect());
    values.retain(|v| v.is_finite());
    values.sort_by(f64::total_cmp);
    values.get(values.len() * 9 / 10).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{WriteRequest, write_array, write_scan};

    fn views(values: [f32; 3]) -> Array3<f32> {
        Array3::from_shape_fn((3, 4, 5), |(view, ..)| values[view])
    }

    fn read(path: &Path, options: &ScanOptions) -> Result<Scan, IoError> {
        read_scan(path, options, &Progress::new(), MemoryBudget::from_gib(0.2))
    }

    #[test]
    fn views_that_are_turned_around_take_the_angles_beside_them_along() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let stack = views([0.5, 0.6, 0.7]);
        write_array(&path, &WriteRequest::new(&stack), &Progress::new()).unwrap();
        std::fs::write(folder.path().join("a.rawtlt"), "-10\n0\n20\n").unwrap();
        let read_as = ReadOptions { axes: Some("-zyx".parse().unwrap()), ..ReadOptions::default() };
        let options =
            ScanOptions { input: Some(ScanInput::Transmission), read: read_as, ..ScanOptions::default() };
        let scan = read(&path, &options).unwrap();
        assert_eq!(scan.angles_deg, [20.0, 0.0, -10.0]);
        assert_eq!(scan.projections, AnyArray::F32(views([0.7, 0.6, 0.5])));
    }

    #[test]
    fn flats_of_another_scan_are_its_flats_and_never_its_views() {
        let folder = tempfile::tempdir().unwrap();
        let stack = views([500.0, 600.0, 700.0]);
        let path = folder.path().join("a.npy");
        write_array(&path, &WriteRequest::new(&stack), &Progress::new()).unwrap();
        let other = folder.path().join("other.h5");
        let mut scan = Scan::new(AnyArray::F32(views([1.0, 2.0, 3.0])), Unit::Counts);
        scan.angles_deg = vec![-10.0, 0.0, 10.0];
        scan.flats = Some(AnyArray::F32(views([1000.0; 3])));
        write_scan(&other, &scan, &Progress::new()).unwrap();
        let options = |frames: &Path| ScanOptions {
            angles: Some("0:10".parse().unwrap()),
            flat: Some(frames.to_owned()),
            ..ScanOptions::default()
        };
        assert_eq!(read(&path, &options(&other)).unwrap().flats, scan.flats);
        let dark = ScanOptions { dark: Some(other.clone()), ..options(&other) };
        assert!(read(&path, &dark).unwrap_err().to_string().contains("without such frames"));
    }

    #[test]
    fn per_cent_of_a_dense_sample_are_known_by_the_open_field() {
        // Three quarters of the field are dark.
        let dense = Array3::from_shape_fn((3, 4, 8), |(.., x)| if x < 6 { 1.0f32 } else { 95.0 });
        let mut scan = Scan::new(AnyArray::F32(dense), Unit::Transmission);
        percent_to_fraction(&mut scan);
        assert!(scan.warnings[0].contains("per cent"));
        let AnyArray::F32(found) = scan.projections else { panic!("another type") };
        assert_eq!((found[[0, 0, 0]], found[[0, 0, 7]]), (0.01, 0.95));
        let mut fraction = Scan::new(AnyArray::F32(views([0.2, 1.1, 0.9])), Unit::Transmission);
        percent_to_fraction(&mut fraction);
        assert!(fraction.warnings.is_empty());
    }

    #[test]
    fn size_and_unit_that_are_given_of_any_file_are_those_of_a_scan() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.h5");
        let mut scan = Scan::new(AnyArray::F32(views([0.5, 0.6, 0.7])), Unit::Absorbance);
        (scan.angles_deg, scan.pixel_um) = (vec![-10.0, 0.0, 10.0], Some(0.02));
        write_scan(&path, &scan, &Progress::new()).unwrap();
        let given = |size: &str, unit| {
            let read = ReadOptions { voxel_um: Some(size.parse().unwrap()), unit, ..ReadOptions::default() };
            read_scan(
                &path,
                &ScanOptions { read, ..ScanOptions::default() },
                &Progress::new(),
                MemoryBudget::from_gib(0.2),
            )
        };
        let other = given("10nm", Some(Unit::Transmission)).unwrap();
        assert_eq!((other.pixel_um, other.unit), (Some(0.01), Unit::Transmission));
        assert!(other.warnings.iter().any(|said| said.contains("0.02 µm, was replaced")));
        assert!(given("0.03,0.02,0.01", None).unwrap_err().to_string().contains("square"));
        assert!(given("10nm", Some(Unit::PerUm)).unwrap_err().to_string().contains("not 1/um"));
    }

    #[test]
    fn a_quarter_turn_keeps_the_handedness() {
        let frames = Array3::from_shape_fn((2, 3, 4), |(v, y, x)| (100 * v + 10 * y + x) as u8);
        let AnyArray::U8(turned) = quarter_turned(&AnyArray::U8(frames.clone())) else {
            panic!("another type")
        };
        assert_eq!(turned.dim(), (2, 4, 3));
        for ((v, y, x), value) in frames.indexed_iter() {
            // Right becomes down, down becomes left.
            assert_eq!(turned[[v, x, 2 - y]], *value);
        }
    }
}
