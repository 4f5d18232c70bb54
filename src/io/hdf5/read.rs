//! The array of an HDF5 file: the projections of a scan, or the one volume.

use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, SliceInfo, SliceInfoElem};
use ndarray::{Array3, ArrayD, Ix3};

use super::scan::{Frames, ScanLayout, find, frame_type};
use super::tree::{attr_numbers, attr_text, dtype_of, guarded, open_file, search, text, values_f64};
use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::array::{Dtype, put_planes, with_dtype, zeros};
use crate::io::error::IoError;
use crate::io::format::{Header, Kind, Source};
use crate::volume::AnyArray;
use crate::volume::any::Voxel as _;

/// An open file with the array that was found in it.
pub(super) struct Hdf5Source {
    path: PathBuf,
    frames: Frames,
    header: Header,
    /// Where the parts of a scan are, if it is one.
    pub(super) layout: Option<ScanLayout>,
}

impl Hdf5Source {
    /// Opens a file and finds its array.
    pub(super) fn open(path: &Path, budget: MemoryBudget) -> Result<Self, IoError> {
        let file = open_file(path, budget)?;
        guarded(path, || {
            let root = file.root_group().map_err(text)?;
            if let Some(layout) = find(&root)? {
                let frames = layout.projections.clone();
                let header = scan_header(&layout)?;
                return Ok(Self { path: path.to_owned(), frames, header, layout: Some(layout) });
            }
            let (name, dataset, warnings) = find_volume(&root)?;
            let mut header = volume_header(&dataset)?;
            header.metadata.insert("dataset".to_owned(), name);
            header.warnings.extend(warnings);
            let frames = Frames { dataset, indices: None };
            Ok(Self { path: path.to_owned(), frames, header, layout: None })
        })
    }
}

impl Source for Hdf5Source {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        guarded(&self.path, || read_range(&self.frames, self.header.dtype, planes))
    }
}

/// Reads all frames of a set.
pub(super) fn read_frames(
    path: &Path,
    frames: &Frames,
    what: &str,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<AnyArray, IoError> {
    let (dtype, shape) = guarded(path, || Ok((frame_type(&frames.dataset)?, shape_of(frames)?)))?;
    let needed = shape.iter().try_fold(dtype.n_bytes() as u64, |n, side| n.checked_mul(*side as u64));
    budget
        .admit(needed.unwrap_or(u64::MAX))
        .map_err(|source| IoError::Memory { path: path.to_owned(), source })?;
    progress.phase(&format!("Reading {what}"), shape[0] as u64);
    let mut whole = zeros(dtype, shape);
    for at in 0..shape[0] {
        progress.check()?;
        let plane = guarded(path, || read_range(frames, dtype, at..at + 1))?;
        if !put_planes(&mut whole, at, &plane) {
            return Err(IoError::content(path, format!("frame {at} of the {what} has another size")));
        }
        progress.advance(1);
    }
    Ok(whole)
}

/// Shape of a set of frames.
fn shape_of(frames: &Frames) -> Result<[usize; 3], String> {
    let [mut z, y, x] = shape_3d(&frames.dataset)?;
    if let Some(indices) = &frames.indices {
        z = indices.len();
    }
    Ok([z, y, x])
}

/// Shape with leading axes of length 1 dropped or added.
fn shape_3d(dataset: &Dataset) -> Result<[usize; 3], String> {
    let sides: Vec<usize> = dataset
        .shape()
        .iter()
        .map(|n| usize::try_from(*n).map_err(|_e| format!("a side of {n}")))
        .collect::<Result<_, _>>()?;
    match sides.as_slice() {
        [y, x] => Ok([1, *y, *x]),
        [rest @ .., z, y, x] if rest.iter().all(|n| *n == 1) => Ok([*z, *y, *x]),
        other => Err(format!("{}: shape {other:?}, expected 3 axes", dataset.name())),
    }
}

/// Reads planes of a set of frames; runs of neighbours are read at once.
fn read_range(frames: &Frames, dtype: Dtype, planes: Range<usize>) -> Result<AnyArray, String> {
    let Some(indices) = &frames.indices else { return read_run(&frames.dataset, dtype, planes) };
    let wanted = indices.get(planes.clone()).ok_or("frames beyond the end")?;
    let is_run = wanted.windows(2).all(|pair| pair[1] == pair[0] + 1);
    match wanted.first() {
        Some(first) if is_run => read_run(&frames.dataset, dtype, *first..*first + wanted.len()),
        _ => {
            let [_, y, x] = shape_3d(&frames.dataset)?;
            let mut whole = zeros(dtype, [wanted.len(), y, x]);
            for (at, index) in wanted.iter().enumerate() {
                let plane = read_run(&frames.dataset, dtype, *index..*index + 1)?;
                if !put_planes(&mut whole, at, &plane) {
                    return Err("frames of different sizes".to_owned());
                }
            }
            Ok(whole)
        }
    }
}

fn read_run(dataset: &Dataset, dtype: Dtype, planes: Range<usize>) -> Result<AnyArray, String> {
    let [_, y, x] = shape_3d(dataset)?;
    let n_axes = dataset.ndim();
    let mut selection = SliceInfo::all(n_axes);
    if n_axes >= 3
        && let Some(axis) = selection.selections.get_mut(n_axes - 3)
    {
        *axis = SliceInfoElem::Slice { start: planes.start as u64, end: planes.end as u64, step: 1 };
    }
    let shape = [planes.len(), y, x];
    let wide = matches!(dataset.dtype(), hdf5_reader::Datatype::FixedPoint { size: 8, .. });
    if wide {
        let values = values_f64(dataset, &selection)?;
        return Array3::from_shape_vec(shape, values).map(AnyArray::F64).map_err(text);
    }
    with_dtype!(dtype, T => {
        let array: ArrayD<T> = dataset.read_slice(&selection).map_err(text)?;
        let array = array.into_shape_with_order(shape).map_err(text)?;
        let array = array.into_dimensionality::<Ix3>().map_err(text)?;
        Ok(T::wrap(array))
    })
}

fn scan_header(layout: &ScanLayout) -> Result<Header, String> {
    let dataset = &layout.projections.dataset;
    let mut header = Header::new("HDF5", shape_of(&layout.projections)?, frame_type(dataset)?);
    header.kind = Kind::Scan;
    header.voxel_um = layout.pixel_um.map(|pixel| [pixel; 3]);
    header.angles_deg.clone_from(&layout.angles_deg);
    header.energy_ev = layout.energy_ev;
    header.unit = layout.unit.or(layout.flats.as_ref().map(|_| Unit::Counts));
    header.warnings.clone_from(&layout.warnings);
    let mut say = |key: &str, value: String| header.metadata.insert(key.to_owned(), value);
    say("layout", layout.name.to_owned());
    for (key, frames) in [("n_flats", &layout.flats), ("n_darks", &layout.darks)] {
        if let Some(frames) = frames {
            say(key, shape_of(frames)?[0].to_string());
        }
    }
    if let Some(title) = &layout.title {
        say("title", title.clone());
    }
    Ok(header)
}

/// The largest numeric dataset of three axes (of two where there is none), with its path.
fn find_volume(root: &Group) -> Result<(String, Dataset, Vec<String>), String> {
    let mut found: Vec<(String, Dataset)> = Vec::new();
    let stopped: Option<()> = search(root, |path, group| {
        let datasets = group.datasets().unwrap_or_default();
        found.extend(
            datasets
                .into_iter()
                .filter(|d| dtype_of(d).is_some() && shape_3d(d).is_ok_and(|s| !s.contains(&0)))
                .map(|d| (format!("{path}/{}", d.name()), d)),
        );
        None
    });
    debug_assert!(stopped.is_none(), "the visit never stops the search");
    let has_3d = found.iter().any(|(_, d)| d.ndim() >= 3);
    found.retain(|(_, d)| d.ndim() >= 3 || !has_3d);
    let size = |d: &Dataset| d.num_elements().unwrap_or(0);
    let Some(best) =
        (0..found.len()).reduce(|a, b| if size(&found[b].1) > size(&found[a].1) { b } else { a })
    else {
        return Err(
            "an HDF5 file without a scan (NXtomo, DataExchange) and without a numeric array of 3 axes"
                .to_owned(),
        );
    };
    let (name, dataset) = found.swap_remove(best);
    let mut warnings = Vec::new();
    if !found.is_empty() {
        let others: Vec<&str> = found.iter().take(5).map(|(name, _)| name.as_str()).collect();
        warnings
            .push(format!("{name} was read, the largest array; the file also holds {}", others.join(", ")));
    }
    Ok((name, dataset, warnings))
}

fn volume_header(dataset: &Dataset) -> Result<Header, String> {
    let mut header = Header::new("HDF5", shape_3d(dataset)?, frame_type(dataset)?);
    let triple = |name: &str| -> Option<[f64; 3]> {
        let found: [f64; 3] = attr_numbers(dataset, name).try_into().ok()?;
        found.iter().all(|v| v.is_finite()).then_some(found)
    };
    header.voxel_um = triple("element_size_um").filter(|voxel| voxel.iter().all(|v| *v > 0.0));
    header.origin_um = triple("origin_um").unwrap_or_default();
    header.energy_ev = attr_numbers(dataset, "energy_ev").first().copied().filter(|e| e.is_finite());
    header.angles_deg = attr_numbers(dataset, "angles_deg");
    if let Some(unit) = Unit::from_ascii(&attr_text(dataset, "unit")) {
        header.set_unit(unit);
    }
    header.classes = serde_json::from_str(&attr_text(dataset, "classes")).ok();
    if let Ok(metadata) = serde_json::from_str(&attr_text(dataset, "metadata")) {
        header.metadata = metadata;
    }
    if matches!(dataset.dtype(), hdf5_reader::Datatype::FixedPoint { size: 8, .. }) {
        header.warnings.push("64-bit whole numbers are read as float64, exact up to 2^53".to_owned());
    }
    header.slab = dataset
        .chunks()
        .and_then(|chunks| chunks.len().checked_sub(3).and_then(|at| chunks.get(at).copied()))
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(1)
        .clamp(1, header.shape[0].max(1));
    Ok(header)
}
