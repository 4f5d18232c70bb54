//! The array of an HDF5 file: the projections of a scan, or a volume.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::axes::lay;
use super::containers;
use super::frames::Frames;
use super::listing;
use super::mistral;
use super::scan::{ScanLayout, find};
use super::store::{Dataset, Family, Group};
use super::tree::{dtype_of, guarded, is_wide, search};
use crate::base::Unit;
use crate::io::choice::{AxisOrder, ReadOptions};
use crate::io::error::IoError;
use crate::io::format::{Header, Kind, OpenRequest, Source};
use crate::volume::AnyArray;

/// Bytes of the largest array that is believed: sides cost nothing in a file, and no disk holds as much.
const MOST_BYTES: u64 = 1 << 50;

/// An open file with the array that was found in it.
pub(super) struct Hdf5Source {
    path: PathBuf,
    frames: Frames,
    header: Header,
    /// What the three axes are as they are stored.
    pub(super) order: AxisOrder,
    /// Where the parts of a scan are, if it is one.
    pub(super) layout: Option<ScanLayout>,
}

impl Hdf5Source {
    /// Opens a file and finds its array.
    pub(super) fn open(request: &OpenRequest<'_>) -> Result<Self, IoError> {
        guarded(request.path, || {
            let family = Family::open(request.path, request.budget)?;
            let root = family.root()?;
            let mut source = Self::find(request.path, &root, request.options)?;
            let header = &mut source.header;
            if header.n_bytes().is_none_or(|n| n > MOST_BYTES) {
                let [z, y, x] = header.shape;
                return Err(format!("an array of {z} × {y} × {x} values: the file is damaged"));
            }
            listing::describe(&root, header);
            let followed = family.followed();
            if !followed.is_empty() {
                header.metadata.insert("linked files".to_owned(), shortened(&followed));
            }
            let broken = family.broken();
            header.warnings.extend(broken.iter().take(3).cloned());
            if broken.len() > 3 {
                header.warnings.push(format!("{} more links lead nowhere", broken.len() - 3));
            }
            Ok(source)
        })
    }

    fn find(path: &Path, root: &Group, options: &ReadOptions) -> Result<Self, String> {
        let of_layout = |layout: ScanLayout| -> Result<Self, String> {
            let (frames, header) = (layout.projections.clone(), scan_header(&layout)?);
            Ok(Self { path: path.to_owned(), frames, header, order: AxisOrder::ZYX, layout: Some(layout) })
        };
        if options.dataset.is_none() {
            if let Some(found) = containers::find(root, path, options)? {
                return Self::of_volume(path, root, found);
            }
            if let Some(layout) = find(root, options)? {
                return of_layout(layout);
            }
            if let Some(found) = containers::emd(root, options)? {
                return Self::of_volume(path, root, found);
            }
            if let Some(entry) = &options.entry {
                return Err(format!("no scan named {entry}: the file holds no NXtomo and no DataExchange"));
            }
        }
        if let Some(wanted) = &options.dataset {
            let dataset = chosen(root, wanted)?;
            let found = match containers::velox(root, &dataset)? {
                Some(found) => found,
                None => containers::Found::of(lay(root, dataset, options)?),
            };
            return Self::of_volume(path, root, found);
        }
        if let Some((fields, pixel_um)) = mistral::mosaic(root) {
            let mut found = containers::Found::of(lay(root, fields, options)?);
            found.voxel_um = pixel_um.map(|pixel| [pixel; 3]);
            found.warnings.push("the fields of a mosaic were read, without its flats".to_owned());
            return Self::of_volume(path, root, found);
        }
        let (dataset, mut said) = largest(root)?;
        let guessed = (!said.is_empty()).then(|| dataset.path().to_owned());
        let mut found = containers::Found { guessed, ..containers::Found::of(lay(root, dataset, options)?) };
        found.warnings.append(&mut said);
        Self::of_volume(path, root, found)
    }

    fn of_volume(path: &Path, root: &Group, found: containers::Found) -> Result<Self, String> {
        let laid = found.laid;
        let (frames, order) = (laid.frames, laid.order);
        let mut header = volume_header(&frames)?;
        header.metadata.insert("dataset".to_owned(), frames.dataset.path().to_owned());
        if let Some(layout) = found.name {
            header.metadata.insert("layout".to_owned(), layout.to_owned());
        }
        header.voxel_um = header.voxel_um.or(found.voxel_um).or(laid.voxel_um);
        header.ratios = laid.ratios.filter(|_| header.voxel_um.is_none());
        if let Some(origin) = found.origin_um.or(laid.origin_um).filter(|_| header.origin_um == [0.0; 3]) {
            header.origin_um = origin;
        }
        (header.n_channels, header.n_times) = (laid.n_channels.max(1), laid.n_times.max(1));
        header.channel_names = found.channel_names;
        header.guessed.dataset = found.guessed;
        if !laid.angles_deg.is_empty() {
            header.kind = Kind::Scan;
            header.angles_deg = laid.angles_deg;
        }
        header.warnings.extend(laid.warnings);
        header.warnings.extend(found.warnings);
        if let Some(image) = mistral::beside(root, &mut header.warnings) {
            header.energy_ev = header.energy_ev.or(image.energy_ev);
            header.voxel_um = header.voxel_um.or(image.pixel_um.map(|p| [p; 3]));
            if let Some(angle) = image.angle_deg.filter(|_| header.shape[0] == 1) {
                header.metadata.insert("angle_deg".to_owned(), angle.to_string());
            }
        }
        if order != AxisOrder::ZYX {
            // What the file says of its axes is said in the order z, y, x; the caller turns all of it together.
            header.voxel_um = header.voxel_um.map(|voxel| order.stored(voxel));
            header.ratios = header.ratios.map(|ratios| order.stored(ratios));
            header.origin_um = order.stored(header.origin_um);
        }
        Ok(Self { path: path.to_owned(), frames, header, order, layout: None })
    }
}

/// Names, at most twenty of them.
fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 20 { format!("{shown}, and {} more", names.len() - 20) } else { shown }
}

impl Source for Hdf5Source {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        guarded(&self.path, || self.frames.read(planes))
    }

    fn read_into(&mut self, planes: Range<usize>, into: &mut [u8]) -> Result<bool, IoError> {
        guarded(&self.path, || self.frames.read_into(planes, into))
    }

    fn reads_rows(&self) -> bool {
        self.frames.reads_rows()
    }

    fn read_rows(&mut self, planes: Range<usize>, rows: Range<usize>) -> Result<AnyArray, IoError> {
        guarded(&self.path, || self.frames.read_rows(planes, rows))
    }
}

fn scan_header(layout: &ScanLayout) -> Result<Header, String> {
    let frames = &layout.projections;
    let mut header = Header::new("HDF5", frames.shape(), frames.dtype()?);
    header.kind = Kind::Scan;
    header.slab = if frames.picked.is_none() { frames.slab() } else { 1 };
    header.voxel_um = layout.pixel_um.map(|pixel| [pixel; 3]);
    header.angles_deg.clone_from(&layout.angles_deg);
    header.energy_ev = layout.energy_ev;
    header.unit = layout.unit.or(layout.flats.as_ref().map(|_| Unit::Counts));
    header.warnings.clone_from(&layout.warnings);
    let mut say = |key: &str, value: String| header.metadata.insert(key.to_owned(), value);
    say("layout", layout.name.to_owned());
    if !layout.entry.is_empty() {
        say("entry", layout.entry.trim_start_matches('/').to_owned());
    }
    if layout.is_first {
        header.guessed.entry = Some(layout.entry.trim_start_matches('/').to_owned());
    }
    for (key, frames) in [("n_flats", &layout.flats), ("n_darks", &layout.darks)] {
        if let Some(frames) = frames {
            say(key, frames.shape()[0].to_string());
        }
    }
    header.beside_views = beside_views(layout);
    if let Some(title) = &layout.title {
        say("title", title.clone());
    }
    say_wide(&layout.projections.dataset, &mut header);
    Ok(header)
}

/// What belongs to the views and is read with a scan only.
fn beside_views(layout: &ScanLayout) -> Vec<String> {
    let frames = |frames: &Option<Frames>, what: &str| {
        frames.as_ref().map(|frames| format!("{} {what}", frames.shape()[0]))
    };
    let list = |values: &[f64], what: &str| (!values.is_empty()).then(|| what.to_owned());
    let parts = [
        frames(&layout.flats, "flats"),
        frames(&layout.darks, "darks"),
        list(&layout.beam, "the beam monitor"),
        list(&layout.exposure_s, "the exposures"),
    ];
    parts.into_iter().flatten().collect()
}

/// The dataset that was asked for.
fn chosen(root: &Group, wanted: &str) -> Result<Dataset, String> {
    let found = root.dataset(wanted).or_else(|| {
        // A path below an entry, as its parts are spoken of.
        root.names().iter().find_map(|name| root.group(name)?.dataset(wanted.trim_start_matches('/')))
    });
    let Some(dataset) = found else {
        let arrays = listing::arrays(root);
        let names: Vec<String> = arrays.iter().map(|array| array.path.clone()).collect();
        let broken = root.family().broken();
        let why = if broken.is_empty() { String::new() } else { format!(" ({})", broken.join("; ")) };
        return Err(format!("no dataset {wanted}{why}; the file holds {}", shortened(&names)));
    };
    if dtype_of(&dataset).is_none() || dataset.ndim() < 2 {
        return Err(format!("{wanted} is no array of numbers with rows and columns"));
    }
    Ok(dataset)
}

/// The largest numeric dataset of three axes (of two where there is none), and what is said about that.
fn largest(root: &Group) -> Result<(Dataset, Vec<String>), String> {
    let mut found: Vec<(Dataset, u64)> = Vec::new();
    let stopped: Option<()> = search(root, |group| {
        for name in group.names() {
            let Some(dataset) = group.dataset(&name).filter(|d| dtype_of(d).is_some() && d.ndim() >= 2)
            else {
                continue;
            };
            let n =
                dataset.shape().ok().and_then(|s| s.iter().try_fold(1u64, |n, side| n.checked_mul(*side)));
            if let Some(n) = n.filter(|n| *n > 0)
                && found.iter().all(|(known, _)| known.identity() != dataset.identity())
            {
                found.push((dataset, n));
            }
        }
        None
    });
    debug_assert!(stopped.is_none(), "the visit never stops the search");
    let has_3d = found.iter().any(|(d, _)| d.ndim() >= 3);
    found.retain(|(d, _)| d.ndim() >= 3 || !has_3d);
    let best = (0..found.len()).reduce(|a, b| if found[b].1 > found[a].1 { b } else { a });
    let Some(best) = best else {
        let broken = root.family().broken();
        let why = if broken.is_empty() { String::new() } else { format!(": {}", broken.join("; ")) };
        return Err(format!(
            "an HDF5 file without a scan (NXtomo, DataExchange) and without a numeric array of 3 axes{why}"
        ));
    };
    let (dataset, _) = found.swap_remove(best);
    let mut warnings = Vec::new();
    if !found.is_empty() {
        let others: Vec<&str> = found.iter().take(5).map(|(d, _)| d.path()).collect();
        warnings.push(format!(
            "{} was read, the largest array; the file also holds {} (--dataset reads another)",
            dataset.path(),
            others.join(", ")
        ));
    }
    Ok((dataset, warnings))
}

fn say_wide(dataset: &Dataset, header: &mut Header) {
    if is_wide(dataset) {
        header.warnings.push("64-bit whole numbers are read as float64, exact up to 2^53".to_owned());
    }
}

fn volume_header(frames: &Frames) -> Result<Header, String> {
    let dataset = &frames.dataset;
    let mut header = Header::new("HDF5", frames.shape(), frames.dtype()?);
    header.slab = frames.slab();
    let triple = |name: &str| -> Option<[f64; 3]> {
        let found: [f64; 3] = dataset.attr_numbers(name).try_into().ok()?;
        found.iter().all(|v| v.is_finite()).then_some(found)
    };
    header.voxel_um = triple("element_size_um").filter(|voxel| voxel.iter().all(|v| *v > 0.0));
    header.origin_um = triple("origin_um").unwrap_or_default();
    header.energy_ev = dataset.attr_numbers("energy_ev").first().copied().filter(|e| e.is_finite());
    header.angles_deg = dataset.attr_numbers("angles_deg");
    if let Some(unit) = Unit::from_ascii(&dataset.attr_text("unit")) {
        header.set_unit(unit);
    }
    header.classes = serde_json::from_str(&dataset.attr_text("classes")).ok();
    if let Ok(metadata) = serde_json::from_str(&dataset.attr_text("metadata")) {
        header.metadata = metadata;
    }
    say_wide(dataset, &mut header);
    Ok(header)
}
