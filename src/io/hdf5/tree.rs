//! Small steps through the groups of an HDF5 file, tolerant of what real files lack.
//!
//! The reader crate may panic on hostile bytes; [`guarded`] turns that into an error at this border.

use std::path::Path;

use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, Hdf5File, OpenOptions, SliceInfo};

use crate::base::MemoryBudget;
use crate::io::array::Dtype;
use crate::io::error::IoError;

/// Groups and datasets visited at most when a file is searched.
const MAX_VISITS: usize = 20_000;
/// Depth of groups searched at most.
const MAX_DEPTH: usize = 8;
/// Longest one-dimensional list (angles, monitor) that is read.
const MAX_LIST: u64 = 10_000_000;

/// Runs a piece of reading; errors and panics of the crate become errors about the file.
pub(super) fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, String>) -> Result<T, IoError> {
    crate::io::error::guarded(path, "HDF5", read)
}

/// The crate's error as text.
pub(super) fn text(error: impl std::fmt::Display) -> String {
    format!("HDF5: {error}")
}

/// Opens a file with limits from the budget.
pub(super) fn open_file(path: &Path, budget: MemoryBudget) -> Result<Hdf5File, IoError> {
    let limit = usize::try_from(budget.bytes).unwrap_or(usize::MAX);
    let options = OpenOptions::default().with_max_read_bytes(limit).with_max_chunk_bytes(limit);
    guarded(path, || {
        let file = Hdf5File::open_with_options(path, options)
            .map_err(|e| format!("not an HDF5 file, or a truncated or damaged one; copy it again: {e}"))?;
        let superblock = file.superblock();
        let promised = superblock.base_address.saturating_add(superblock.eof_address);
        let length = std::fs::metadata(path).map_err(text)?.len();
        if promised > length {
            return Err(format!(
                "truncated: the file should have {promised} bytes and has {length}; copy it again"
            ));
        }
        Ok(file)
    })
}

/// A text attribute or "" where there is none.
pub(super) fn group_attr(group: &Group, name: &str) -> String {
    group.attribute(name).ok().and_then(|a| a.read_string().ok()).unwrap_or_default()
}

/// A text attribute of a dataset or "" where there is none.
pub(super) fn attr_text(dataset: &Dataset, name: &str) -> String {
    dataset.attribute(name).ok().and_then(|a| a.read_string().ok()).unwrap_or_default()
}

/// A numeric attribute list of a dataset, empty where there is none.
pub(super) fn attr_numbers(dataset: &Dataset, name: &str) -> Vec<f64> {
    let Ok(attribute) = dataset.attribute(name) else { return Vec::new() };
    if let Ok(values) = attribute.read_1d::<f64>() {
        return values;
    }
    if let Ok(values) = attribute.read_1d::<f32>() {
        return values.into_iter().map(f64::from).collect();
    }
    attribute.read_as_f64().map(|v| vec![v]).unwrap_or_default()
}

/// The group at a path below `group`, if there is one.
pub(super) fn group_at(group: &Group, path: &str) -> Option<Group> {
    path.split('/').try_fold(group.clone(), |group, name| group.group(name).ok())
}

/// The dataset at a path below `group`, if there is one.
pub(super) fn dataset_at(group: &Group, path: &str) -> Option<Dataset> {
    let (folder, name) = path.rsplit_once('/').map_or((None, path), |(f, n)| (Some(f), n));
    let group = folder.map_or_else(|| Some(group.clone()), |folder| group_at(group, folder))?;
    group.dataset(name).ok()
}

/// The first of several datasets that exists.
pub(super) fn first_dataset(group: &Group, paths: &[&str]) -> Option<Dataset> {
    paths.iter().find_map(|path| dataset_at(group, path))
}

/// Text of a scalar dataset.
pub(super) fn dataset_text(dataset: &Dataset) -> Option<String> {
    let found = dataset.read_string().ok().or_else(|| dataset.read_strings().ok()?.into_iter().next())?;
    Some(found.trim_matches(['\0', ' ', '\n']).to_owned())
}

/// Type of the values as this program holds them; `None` for text, records and the like.
///
/// 64-bit whole numbers become f64, exact up to 2^53.
pub(super) fn dtype_of(dataset: &Dataset) -> Option<Dtype> {
    match dataset.dtype() {
        Datatype::FixedPoint { size: 1, signed: false, .. } => Some(Dtype::U8),
        Datatype::FixedPoint { size: 1, signed: true, .. } => Some(Dtype::I8),
        Datatype::FixedPoint { size: 2, signed: false, .. } => Some(Dtype::U16),
        Datatype::FixedPoint { size: 2, signed: true, .. } => Some(Dtype::I16),
        Datatype::FixedPoint { size: 4, signed: false, .. } => Some(Dtype::U32),
        Datatype::FixedPoint { size: 4, signed: true, .. } => Some(Dtype::I32),
        Datatype::FloatingPoint { size: 4, .. } => Some(Dtype::F32),
        Datatype::FixedPoint { size: 8, .. } | Datatype::FloatingPoint { size: 8, .. } => Some(Dtype::F64),
        _ => None,
    }
}

/// Values of a selection as f64, whatever whole or floating type they have.
pub(super) fn values_f64(dataset: &Dataset, selection: &SliceInfo) -> Result<Vec<f64>, String> {
    macro_rules! read {
        ($type:ty) => {
            dataset
                .read_slice::<$type>(selection)
                .map(|array| array.into_iter().map(|v| v as f64).collect())
                .map_err(text)
        };
    }
    #[expect(clippy::cast_lossless, reason = "one macro for all types")]
    match dataset.dtype() {
        Datatype::FixedPoint { size: 8, signed: false, .. } => read!(u64),
        Datatype::FixedPoint { size: 8, signed: true, .. } => read!(i64),
        _ => match dtype_of(dataset).ok_or("values that are no numbers")? {
            Dtype::U8 => read!(u8),
            Dtype::I8 => read!(i8),
            Dtype::U16 => read!(u16),
            Dtype::I16 => read!(i16),
            Dtype::U32 => read!(u32),
            Dtype::I32 => read!(i32),
            Dtype::F32 => read!(f32),
            Dtype::F64 => read!(f64),
        },
    }
}

/// All numbers of a small dataset; empty where it is none.
pub(super) fn numbers(dataset: &Dataset) -> Vec<f64> {
    if dataset.num_elements().map_or(true, |n| n > MAX_LIST) {
        return Vec::new();
    }
    values_f64(dataset, &SliceInfo::all(dataset.ndim())).unwrap_or_default()
}

/// The single number of a dataset (the first of several), in the unit that `scale` knows.
pub(super) fn number_in(dataset: &Dataset, scale: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let value = *numbers(dataset).first()?;
    let units = attr_text(dataset, "units");
    Some(value * scale(units.trim())?).filter(|v| v.is_finite())
}

/// Visits every group below `group`, itself included, breadth first; stops when `visit` returns something.
pub(super) fn search<T>(root: &Group, mut visit: impl FnMut(&str, &Group) -> Option<T>) -> Option<T> {
    let mut level = vec![(String::new(), root.clone())];
    let mut n_visits = 0;
    for _ in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for (path, group) in &level {
            n_visits += 1;
            if n_visits > MAX_VISITS {
                return None;
            }
            if let Some(found) = visit(path, group) {
                return Some(found);
            }
            let (names, _) = group.member_names().unwrap_or_default();
            next.extend(names.into_iter().filter_map(|name| {
                let group = group.group(&name).ok()?;
                Some((format!("{path}/{name}"), group))
            }));
        }
        level = next;
    }
    None
}

/// A length of these units in µm.
pub(super) fn um_per(units: &str) -> Option<f64> {
    match units {
        "m" | "meter" | "meters" | "metre" | "metres" => Some(1e6),
        "mm" | "millimeter" | "millimetre" => Some(1e3),
        "um" | "µm" | "μm" | "micron" | "microns" | "micrometer" | "micrometers" | "micrometre" => {
            Some(1.0)
        }
        "nm" | "nanometer" | "nanometers" | "nanometre" => Some(1e-3),
        "angstrom" | "Angstrom" | "A" | "Å" => Some(1e-4),
        _ => None,
    }
}

/// A photon energy of these units in eV.
pub(super) fn ev_per(units: &str) -> Option<f64> {
    match units {
        "eV" | "ev" => Some(1.0),
        "keV" | "kev" => Some(1e3),
        "J" | "joule" => Some(1.0 / 1.602_176_634e-19),
        _ => None,
    }
}
