//! A folder with one XRM for each angle, as newer control programs write it, as one scan.

use std::cmp::Ordering;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::about::reference_name;
use super::axes;
use super::metadata;
use super::scan::{Recorded, References, give_flats, joined, references, to_fraction};
use super::source::TxrmSource;
use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::array::{put_planes, zeros};
use crate::io::error::IoError;
use crate::io::format::{Header, Kind, Source, has_extension};
use crate::io::pictures::natural_order;
use crate::io::walk::read_all;
use crate::volume::{AnyArray, Scan};

/// Endings of files that are one view of a scan.
const VIEWS: [&str; 1] = ["xrm"];

/// Words in names of files without a sample.
const FLAT_WORDS: [&str; 12] = [
    "ff",
    "flat",
    "flats",
    "flatfield",
    "ref",
    "refs",
    "reference",
    "references",
    "bright",
    "brightfield",
    "whitefield",
    "openbeam",
];
/// Words in names of files without a beam.
const DARK_WORDS: [&str; 4] = ["dark", "darks", "darkfield", "darkcurrent"];

/// Whether a word of a file's name is one of these, numbers at its end left aside.
fn has_word(path: &Path, words: &[&str]) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    stem.split(|c: char| !c.is_alphanumeric())
        .any(|word| words.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit())))
}

/// Whether a file is a reference by its name.
pub(super) fn is_flat_name(path: &Path) -> bool {
    has_word(path, &FLAT_WORDS)
}

/// The XRM files of a folder in natural order.
pub(crate) fn xrm_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| has_extension(path, &VIEWS))
        .filter(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')))
        .collect();
    files.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
    files
}

/// Whether a folder holds one XRM for each view of a scan.
pub fn is_xrm_folder(path: &Path) -> bool {
    path.is_dir() && !xrm_files(path).is_empty()
}

/// One view: an image of a file.
struct View {
    file: usize,
    image: usize,
    angle_deg: Option<f64>,
    exposure_s: Option<f64>,
    beam: Option<f64>,
    /// Sorts by time; empty where that was not recorded.
    date: String,
    zone_plate_z: Option<f64>,
}

/// A folder as a stack of views.
pub(super) struct FolderSource {
    folder: PathBuf,
    budget: MemoryBudget,
    files: Vec<PathBuf>,
    views: Vec<View>,
    flats: Vec<PathBuf>,
    darks: Vec<PathBuf>,
    by_ion_chamber: bool,
    /// Whether the values are per cent of transmission.
    is_referenced: bool,
    header: Header,
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl FolderSource {
    /// Opens every file for what it says; no pixels.
    pub(super) fn open(folder: &Path, budget: MemoryBudget) -> Result<Self, IoError> {
        let mut sources = Vec::new();
        for path in xrm_files(folder) {
            let mut source = TxrmSource::open(&path, budget)?;
            let reference = reference_name(&mut source.ole).map(|name| name.to_lowercase());
            sources.push((path, Said::of(&mut source), reference, source.header));
        }
        let named: Vec<String> =
            sources.iter().filter_map(|(_, _, reference, _)| reference.clone()).collect();
        let is_dark = |path: &Path| has_word(path, &DARK_WORDS);
        let is_flat = |path: &Path| is_flat_name(path) || named.contains(&name_of(path).to_lowercase());
        // A folder of nothing but references is opened for its frames.
        let all_are = sources.iter().all(|(path, ..)| is_dark(path) || is_flat(path));
        let (mut files, mut views, mut flats, mut darks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut header: Option<Header> = None;
        let (mut by_ion_chamber, mut is_referenced) = (true, false);
        let mut differs = Differences::default();
        for (path, said, _, own) in sources {
            if !all_are && is_dark(&path) {
                darks.push(path);
                continue;
            }
            if !all_are && is_flat(&path) {
                flats.push(path);
                continue;
            }
            match &mut header {
                None => header = Some(own.clone()),
                Some(first) => {
                    check_like(folder, first, &own, &path)?;
                    differs.hear(first, &own, &path);
                }
            }
            by_ion_chamber &= said.by_ion_chamber;
            is_referenced |= said.is_referenced;
            views.extend(said.views(files.len(), own.shape[0]));
            files.push(path);
        }
        let mut header = header.ok_or_else(|| IoError::content(folder, "a folder without XRM files"))?;
        differs.say(&mut header);
        let mut source = Self {
            folder: folder.to_owned(),
            budget,
            files,
            views,
            flats,
            darks,
            by_ion_chamber,
            is_referenced,
            header,
        };
        source.sort();
        source.describe();
        Ok(source)
    }

    /// Orders the views by angle; by name where an angle is missing.
    fn sort(&mut self) {
        if self.views.iter().all(|view| view.angle_deg.is_some()) {
            let angle = |view: &View| view.angle_deg.unwrap_or_default();
            self.views.sort_by(|a, b| {
                angle(a).total_cmp(&angle(b)).then((a.file, a.image).cmp(&(b.file, b.image)))
            });
        } else {
            self.header.warnings.push(
                "not every file says its angle: the views are in the order of their names (--angles FILE|START:STEP)".to_owned(),
            );
        }
    }

    /// Positions of the views in the order in which they were taken; by name where that was not recorded.
    fn by_time(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.views.len()).collect();
        let key = |at: &usize| (&self.views[*at].date, self.views[*at].file, self.views[*at].image);
        order.sort_by(|a, b| key(a).cmp(&key(b)));
        order
    }

    fn describe(&mut self) {
        let n = self.views.len();
        let angles: Vec<f64> = self.views.iter().filter_map(|view| view.angle_deg).collect();
        let header = &mut self.header;
        header.format = "folder of XRM";
        header.shape[0] = n;
        header.kind = if n > 1 { Kind::Scan } else { Kind::Image };
        header.angles_deg = if angles.len() == n { angles } else { Vec::new() };
        // What was said of the first file alone would be wrong of the scan.
        header.metadata.retain(|key, _| !key.starts_with("axis ") && !OF_ONE.contains(&key.as_str()));
        header.warnings.retain(|warning| !warning.contains("--align"));
        let repeated = header.angles_deg.windows(2).filter(|pair| pair[1] - pair[0] < 1e-3).count();
        if repeated > 0 {
            header
                .warnings
                .push(format!("{repeated} of {n} views repeat the angle of another: all are taken"));
        }
        let foci: Vec<f64> = self.views.iter().filter_map(|view| view.zone_plate_z).collect();
        let (low, high) =
            foci.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
        if repeated > 0 && high - low > 0.5 {
            header.warnings.push(format!(
                "the zone plate stood from {low:.1} to {high:.1} µm: a focal series; put each focus into a folder of its own (waterwindow focal)"
            ));
        }
        let list = |files: &[PathBuf]| files.iter().map(|file| name_of(file)).collect::<Vec<_>>().join("; ");
        let (flats, darks, first, last) = (
            list(&self.flats),
            list(&self.darks),
            self.views.first().map(|view| name_of(&self.files[view.file])).unwrap_or_default(),
            self.views.last().map(|view| name_of(&self.files[view.file])).unwrap_or_default(),
        );
        for (files, what) in [(&self.flats, "files of flats"), (&self.darks, "files of darks")] {
            self.header.beside_views.extend((!files.is_empty()).then(|| format!("{} {what}", files.len())));
        }
        let order: Vec<String> = self.by_time().iter().map(ToString::to_string).collect();
        let mut say = |key: &str, value: String| {
            if !value.is_empty() {
                self.header.metadata.insert(key.to_owned(), value);
            }
        };
        say("first", first);
        say("last", last);
        say("flats", flats.clone());
        say("darks", darks.clone());
        say(ORDER, order.join(" "));
        for (what, files) in [("flats", flats), ("darks", darks)] {
            if !files.is_empty() {
                let most: String = files.chars().take(120).collect();
                self.header.warnings.push(format!("{what} by their names: {most}"));
            }
        }
    }

    /// Reads the views with their flats and darks.
    pub(super) fn read_scan(mut self, progress: &Progress, budget: MemoryBudget) -> Result<Scan, IoError> {
        let (folder, header) = (self.folder.clone(), self.header.clone());
        let flats = self.frames(&self.flats, budget)?;
        let darks = self.frames(&self.darks, budget)?.map(|found| found.frames);
        let embedded = if flats.is_none() { self.embedded(budget)? } else { None };
        let every = |of: fn(&View) -> Option<f64>| -> Vec<f64> {
            self.views.iter().map(of).collect::<Option<Vec<f64>>>().unwrap_or_default()
        };
        let (exposure_s, beam) = (every(|view| view.exposure_s), every(|view| view.beam));
        let flat_times = self.flat_times(budget);
        let (by_ion_chamber, is_referenced) = (self.by_ion_chamber, self.is_referenced);
        let loaded = read_all(&mut self, &folder, progress, budget)?;
        let mut scan = Scan::new(loaded.array, header.unit.unwrap_or_default());
        scan.angles_deg = header.angles_deg;
        scan.pixel_um = header.voxel_um.map(|voxel| voxel[2]);
        scan.energy_ev = header.energy_ev;
        (scan.exposure_s, scan.beam) = (exposure_s, beam);
        scan.metadata = header.metadata;
        scan.warnings = header.warnings;
        if is_referenced {
            to_fraction(&mut scan, flats.is_some() || embedded.is_some());
        } else if let Some(found) = flats {
            let n = found.frames.shape()[0];
            let beam = found.ion_current.clone();
            give_flats(&mut scan, found, false);
            scan.flat_beam = if beam.len() == n && !scan.beam.is_empty() { beam } else { Vec::new() };
            scan.flat_times = if flat_times.len() == n { flat_times } else { Vec::new() };
        } else if let Some(found) = embedded {
            scan.warnings.push(format!(
                "flats are the references inside the files, {} of them different",
                found.frames.shape()[0]
            ));
            give_flats(&mut scan, found, by_ion_chamber);
        }
        scan.darks = darks;
        if scan.unit == Unit::Arbitrary && scan.flats.is_some() {
            scan.unit = Unit::Counts;
        }
        Ok(scan)
    }

    /// All frames of some files; what monitors the beam stands where the ion current of a reference does.
    fn frames(&self, files: &[PathBuf], budget: MemoryBudget) -> Result<Option<References>, IoError> {
        let (mut frames, mut exposure_s, mut beam, mut n) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for path in files {
            let mut source = TxrmSource::open(path, budget)?;
            check_size(&self.folder, &self.header, &source.header, path)?;
            let own = source.header.shape[0];
            n += own;
            let all = source.header.n_bytes().and_then(|bytes| bytes.checked_mul(files.len() as u64));
            budget
                .admit(all.unwrap_or(u64::MAX))
                .map_err(|source| IoError::Memory { path: self.folder.clone(), source })?;
            frames.push(source.read_planes(0..own)?);
            let recorded = Recorded::of(&source.about, own);
            exposure_s.extend(recorded.exposure_s);
            if recorded.by_ion_chamber == self.by_ion_chamber {
                beam.extend(recorded.beam);
            }
        }
        let every = |values: Vec<f64>| if values.len() == n { values } else { Vec::new() };
        let (exposure_s, ion_current) = (every(exposure_s), every(beam));
        Ok(joined(frames).map(|frames| References { frames, exposure_s, ion_current }))
    }

    /// References inside the files of the views, each that differs from the one before.
    fn embedded(&self, budget: MemoryBudget) -> Result<Option<References>, IoError> {
        let (mut frames, mut exposure_s, mut ion_current): (Vec<AnyArray>, _, _) =
            (Vec::new(), Vec::new(), Vec::new());
        let mut held = 0u64;
        for path in &self.files {
            let mut source = TxrmSource::open(path, budget)?;
            let mut unheard = Vec::new();
            let Some(found) = references(&mut source, budget, &mut unheard)? else { continue };
            if frames.last() == Some(&found.frames) {
                continue;
            }
            let bytes = found.frames.shape().iter().fold(8u64, |n, side| n.saturating_mul(*side as u64));
            held = held.saturating_add(bytes);
            budget.admit(held).map_err(|source| IoError::Memory { path: self.folder.clone(), source })?;
            exposure_s.extend(found.exposure_s);
            ion_current.extend(found.ion_current);
            frames.push(found.frames);
        }
        Ok(joined(frames).map(|frames| References { frames, exposure_s, ion_current }))
    }

    /// When each flat was taken, in views, where the views follow each other in time as they do by angle.
    fn flat_times(&self, budget: MemoryBudget) -> Vec<f64> {
        let dates: Vec<&str> = self.views.iter().map(|view| view.date.as_str()).collect();
        if dates.iter().any(|date| date.is_empty()) || dates.windows(2).any(|pair| pair[1] < pair[0]) {
            return Vec::new();
        }
        let mut times = Vec::new();
        for path in &self.flats {
            let Ok(mut source) = TxrmSource::open(path, budget) else { return Vec::new() };
            let n = source.header.shape[0];
            let said = Said::of(&mut source);
            let views = said.views(0, n);
            if views.iter().any(|view| view.date.is_empty()) {
                return Vec::new();
            }
            times.extend(
                views
                    .iter()
                    .map(|flat| dates.iter().filter(|date| **date < flat.date.as_str()).count() as f64),
            );
        }
        times
    }
}

/// Metadata that is of one file only.
const OF_ONE: [&str; 12] = [
    "dates",
    "date_first",
    "date_last",
    "exposure_s",
    "beam_monitor",
    "ion_chamber_current",
    "x_position_um",
    "y_position_um",
    "z_position_um",
    "images_planned",
    "images_taken",
    "stored_shifts_are",
];

/// Under what name the order in time is kept: positions of views.
const ORDER: &str = "order_in_time";

/// Positions of the views of a scan in the order in which they were taken, where that differs from theirs.
pub fn order_in_time(scan: &Scan) -> Option<Vec<usize>> {
    let order: Vec<usize> =
        scan.metadata.get(ORDER)?.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    let is_whole = sorted.len() == scan.n_views() && sorted.iter().enumerate().all(|(i, at)| i == *at);
    (is_whole && order != sorted).then_some(order)
}

/// What one file says of its images.
struct Said {
    recorded: Recorded,
    is_referenced: bool,
    by_ion_chamber: bool,
    dates: Vec<String>,
    zone_plate_z: Vec<f64>,
}

impl Said {
    fn of(source: &mut TxrmSource) -> Self {
        let counts = source.about.counts;
        let recorded = Recorded::of(&source.about, source.header.shape[0]);
        let dates = metadata::dates(&mut source.ole, counts);
        Self {
            by_ion_chamber: recorded.by_ion_chamber,
            is_referenced: source.about.is_referenced,
            recorded,
            dates: dates.iter().map(|date| metadata::iso(date).unwrap_or_default()).collect(),
            zone_plate_z: axes::zone_plate_z(&source.about.axes, counts.there).unwrap_or_default().to_vec(),
        }
    }

    fn views(&self, file: usize, n: usize) -> Vec<View> {
        let at = |values: &[f64], image: usize| values.get(image).copied();
        (0..n)
            .map(|image| View {
                file,
                image,
                angle_deg: at(&self.recorded.angles_deg, image),
                exposure_s: at(&self.recorded.exposure_s, image),
                beam: at(&self.recorded.beam, image),
                date: self.dates.get(image).cloned().unwrap_or_default(),
                zone_plate_z: at(&self.zone_plate_z, image),
            })
            .collect()
    }
}

/// Most sentences about single files of a folder.
const MOST_SAID: usize = 5;

/// What files of a folder say otherwise than the first.
#[derive(Default)]
struct Differences {
    sentences: Vec<String>,
    n_more: usize,
    energies_ev: Vec<f64>,
    pixels_um: Vec<f64>,
}

impl Differences {
    fn hear(&mut self, first: &Header, own: &Header, path: &Path) {
        let is_new = |warning: &&String| !first.warnings.contains(warning) && !warning.contains("--align");
        for warning in own.warnings.iter().filter(is_new) {
            if self.sentences.len() < MOST_SAID {
                self.sentences.push(format!("{}: {warning}", name_of(path)));
            } else {
                self.n_more += 1;
            }
        }
        let far = |a: Option<f64>, b: Option<f64>| a.zip(b).filter(|(a, b)| (a - b).abs() > 1e-3 * b.abs());
        self.energies_ev.extend(far(own.energy_ev, first.energy_ev).map(|(own, _)| own));
        let pixel = |header: &Header| header.voxel_um.map(|voxel| voxel[2]);
        self.pixels_um.extend(far(pixel(own), pixel(first)).map(|(own, _)| own));
    }

    fn say(self, header: &mut Header) {
        header.warnings.extend(self.sentences);
        if self.n_more > 0 {
            header.warnings.push(format!("{} more sentences about single files of the folder", self.n_more));
        }
        let pixel = header.voxel_um.map(|voxel| voxel[2]);
        for (what, unit, first, others) in [
            ("energy", "eV", header.energy_ev, self.energies_ev),
            ("pixel size", "µm", pixel, self.pixels_um),
        ] {
            if let (Some(first), Some(other)) = (first, others.first()) {
                header.warnings.push(format!(
                    "{} files have another {what} ({other} {unit}) than the first ({first} {unit}), which counts for all",
                    others.len()
                ));
            }
        }
    }
}

fn check_size(folder: &Path, first: &Header, own: &Header, path: &Path) -> Result<(), IoError> {
    if own.shape[1..] == first.shape[1..] {
        return Ok(());
    }
    let problem = format!(
        "{} is {} × {}, the first file is {} × {}: put files of one scan into a folder of their own",
        name_of(path),
        own.shape[1],
        own.shape[2],
        first.shape[1],
        first.shape[2]
    );
    Err(IoError::content(folder, problem))
}

fn check_like(folder: &Path, first: &Header, own: &Header, path: &Path) -> Result<(), IoError> {
    check_size(folder, first, own, path)?;
    if own.dtype == first.dtype && own.unit == first.unit {
        return Ok(());
    }
    let problem = format!(
        "{} holds {} ({}), the first file {} ({}): put files of one scan into a folder of their own",
        name_of(path),
        own.dtype.name(),
        own.unit.map_or("no unit", Unit::ascii),
        first.dtype.name(),
        first.unit.map_or("no unit", Unit::ascii)
    );
    Err(IoError::content(folder, problem))
}

impl Source for FolderSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let [_, rows, cols] = self.header.shape;
        let mut whole = zeros(self.header.dtype, [planes.len(), rows, cols]);
        for (at, view) in self.views.get(planes).unwrap_or_default().iter().enumerate() {
            let path = &self.files[view.file];
            let image = TxrmSource::open(path, self.budget)?.read_planes(view.image..view.image + 1)?;
            if !put_planes(&mut whole, at, &image) {
                return Err(IoError::content(path, "the file has changed while it was read; read it again"));
            }
        }
        Ok(whole)
    }
}

/// Compares names so that numbers in them count as numbers.
pub(super) fn by_name(a: &Path, b: &Path) -> Ordering {
    natural_order(&a.to_string_lossy(), &b.to_string_lossy())
}
