//! Small steps through the groups of an HDF5 file, tolerant of what real files lack.
//!
//! The parsing crate may panic on hostile bytes; [`guarded`] turns that into an error at this border.

use std::collections::HashSet;
use std::path::Path;

use hdf5_reader::Datatype;

use super::store::{Area, Bits, Dataset, Group, Node};
use crate::io::array::{Dtype, FileVoxel, values_from, with_dtype};
use crate::io::error::IoError;

/// Groups and datasets visited at most when a file is searched.
const MAX_VISITS: usize = 20_000;
/// Depth of groups searched at most.
const MAX_DEPTH: usize = 12;
/// Longest list (angles, monitor) that is read.
const MAX_LIST: u64 = 10_000_000;

/// Runs a piece of reading; errors and panics of the crate become errors about the file.
pub(super) fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, String>) -> Result<T, IoError> {
    crate::io::error::guarded(path, "HDF5", read)
}

/// The crate's error as text.
pub(super) fn text(error: impl std::fmt::Display) -> String {
    format!("HDF5: {error}")
}

/// The first of several datasets that exists.
pub(super) fn first_dataset(group: &Group, paths: &[&str]) -> Option<Dataset> {
    paths.iter().find_map(|path| group.dataset(path))
}

/// The type that values have underneath: truth values and other named numbers are stored as whole ones.
fn plain(dtype: &Datatype) -> &Datatype {
    match dtype {
        Datatype::Enum { base, .. } => base,
        other => other,
    }
}

/// Type of the values as this program holds them; `None` for text, records and the like.
///
/// 64-bit whole numbers become f64, exact up to 2^53; short floats become f32. Truth values are 0 and 1.
pub(super) fn dtype_of(dataset: &Dataset) -> Option<Dtype> {
    match plain(dataset.dtype()) {
        Datatype::FixedPoint { size: 1, signed: false, .. } | Datatype::Bitfield { size: 1, .. } => {
            Some(Dtype::U8)
        }
        Datatype::FixedPoint { size: 1, signed: true, .. } => Some(match dataset.dtype() {
            // What h5py writes for truth values is signed.
            Datatype::Enum { members, .. } if members.iter().all(|m| is_truth(&m.name)) => Dtype::U8,
            _ => Dtype::I8,
        }),
        Datatype::FixedPoint { size: 2, signed: false, .. } => Some(Dtype::U16),
        Datatype::FixedPoint { size: 2, signed: true, .. } => Some(Dtype::I16),
        Datatype::FixedPoint { size: 4, signed: false, .. } => Some(Dtype::U32),
        Datatype::FixedPoint { size: 4, signed: true, .. } => Some(Dtype::I32),
        Datatype::FloatingPoint { size: 1..=4, .. } => Some(match dataset.bits() {
            Ok(Some(bits)) if !bits.fits_f32() => Dtype::F64,
            _ => Dtype::F32,
        }),
        Datatype::FixedPoint { size: 8, .. } | Datatype::FloatingPoint { size: 8, .. } => Some(Dtype::F64),
        _ => None,
    }
}

fn is_truth(name: &str) -> bool {
    name.eq_ignore_ascii_case("true") || name.eq_ignore_ascii_case("false")
}

/// Whether 64-bit whole numbers are stored.
pub(super) fn is_wide(dataset: &Dataset) -> bool {
    matches!(plain(dataset.dtype()), Datatype::FixedPoint { size: 8, .. })
}

/// The type as people write it, for lists.
pub(super) fn type_name(dataset: &Dataset) -> String {
    let bits = |size: u8| u32::from(size) * 8;
    match dataset.dtype() {
        Datatype::Enum { .. } => "bool".to_owned(),
        Datatype::FixedPoint { size, signed, .. } => {
            format!("{}int{}", if *signed { "" } else { "u" }, bits(*size))
        }
        Datatype::FloatingPoint { size, .. } => format!("float{}", bits(*size)),
        Datatype::Bitfield { size, .. } => format!("uint{}", bits(*size)),
        Datatype::String { .. } | Datatype::VarLen { .. } => "text".to_owned(),
        Datatype::Compound { .. } => "record".to_owned(),
        _ => "other".to_owned(),
    }
}

fn is_big_endian(dtype: &Datatype) -> bool {
    use hdf5_reader::error::ByteOrder::BigEndian;
    matches!(
        plain(dtype),
        Datatype::FixedPoint { byte_order: BigEndian, .. }
            | Datatype::FloatingPoint { byte_order: BigEndian, .. }
            | Datatype::Bitfield { byte_order: BigEndian, .. }
    )
}

/// How stored bytes become values of the type that [`dtype_of`] says.
enum Coding {
    /// They are the values, but perhaps for the order of their bytes.
    Same,
    /// Bits lie in them otherwise than in this machine.
    Bits(Bits),
    /// Whole numbers of 64 bits.
    Wide { signed: bool },
    /// Half precision.
    Half,
}

fn coding(dataset: &Dataset) -> Result<Coding, String> {
    if let Some(bits) = dataset.bits()? {
        return Ok(Coding::Bits(bits));
    }
    Ok(match plain(dataset.dtype()) {
        Datatype::FixedPoint { size: 8, signed, .. } => Coding::Wide { signed: *signed },
        Datatype::FloatingPoint { size: 2, .. } => Coding::Half,
        _ => Coding::Same,
    })
}

/// Reads an area into values of the type that [`dtype_of`] says; `into` has as many as the area.
pub(super) fn read_values<T: FileVoxel + bytemuck::Pod>(
    dataset: &Dataset,
    area: &Area,
    into: &mut [T],
) -> Result<(), String> {
    if let Coding::Same = coding(dataset)? {
        dataset.read_into(area, bytemuck::cast_slice_mut(into))?;
        put_in_order(dataset, into);
        return Ok(());
    }
    let mut bytes = vec![0; into.len() * dataset.element_size()?];
    dataset.read_into(area, &mut bytes)?;
    decode(dataset, &bytes, into)
}

/// Values of the type that [`dtype_of`] says from their bytes in the file.
pub(super) fn decode<T: FileVoxel + bytemuck::Pod>(
    dataset: &Dataset,
    bytes: &[u8],
    into: &mut [T],
) -> Result<(), String> {
    let coding = coding(dataset)?;
    if let Coding::Same = coding {
        let target: &mut [u8] = bytemuck::cast_slice_mut(into);
        if target.len() != bytes.len() {
            return Err(format!("{}: {} bytes of values", dataset.path(), bytes.len()));
        }
        target.copy_from_slice(bytes);
        put_in_order(dataset, into);
        return Ok(());
    }
    let big_endian = is_big_endian(dataset.dtype());
    for (value, bytes) in into.iter_mut().zip(bytes.chunks_exact(dataset.element_size()?)) {
        let put = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        let bits = if big_endian { bytes.iter().fold(0, put) } else { bytes.iter().rev().fold(0, put) };
        *value = T::from_f64(match coding {
            Coding::Bits(kind) => kind.value(bits),
            Coding::Wide { signed: true } => bits.cast_signed() as f64,
            Coding::Half => half::f16::from_bits(bits as u16).to_f64(),
            Coding::Wide { signed: false } | Coding::Same => bits as f64,
        });
    }
    Ok(())
}

/// Brings the bytes of values into the order of this machine.
fn put_in_order<T: FileVoxel>(dataset: &Dataset, values: &mut [T]) {
    if is_big_endian(dataset.dtype()) != cfg!(target_endian = "big") {
        values.iter_mut().for_each(|value| *value = value.byte_swapped());
    }
}

/// All values of a dataset as f64, whatever whole or floating type they have.
fn all_values(dataset: &Dataset) -> Result<Vec<f64>, String> {
    let shape = dataset.shape()?;
    let n = shape.iter().try_fold(1u64, |n, side| n.checked_mul(*side)).filter(|n| *n <= MAX_LIST);
    let n = n.ok_or_else(|| format!("{}: a list of {shape:?} numbers", dataset.path()))? as usize;
    let area = Area { start: vec![0; shape.len()], count: shape };
    let dtype = dtype_of(dataset).ok_or("values that are no numbers")?;
    with_dtype!(dtype, T => {
        let mut values: Vec<T> = values_from::<T>(&vec![0; n * dtype.n_bytes()], false);
        read_values(dataset, &area, &mut values)?;
        Ok(values.into_iter().map(crate::volume::any::Voxel::to_f64).collect())
    })
}

/// All numbers of a small dataset, of text that is a number too; empty where it is none.
pub(super) fn numbers(dataset: &Dataset) -> Vec<f64> {
    match dtype_of(dataset) {
        Some(_) => all_values(dataset).unwrap_or_default(),
        None => dataset.text().and_then(|text| text.trim().parse().ok()).into_iter().collect(),
    }
}

/// Units of a dataset, as written.
pub(super) fn units_of(dataset: &Dataset) -> String {
    ["units", "unit"]
        .iter()
        .map(|name| dataset.attr_text(name))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

/// The single number of a dataset (the first of several), in the unit that `scale` knows.
pub(super) fn number_in(dataset: &Dataset, scale: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let value = *numbers(dataset).first()?;
    Some(value * scale(units_of(dataset).trim())?).filter(|v| v.is_finite())
}

/// Visits every group below `root`, itself included, breadth first; stops when `visit` returns something.
pub(super) fn search<T>(root: &Group, mut visit: impl FnMut(&Group) -> Option<T>) -> Option<T> {
    let mut seen = HashSet::from([root.identity()]);
    let mut level = vec![root.clone()];
    let mut n_visits = 0;
    for _ in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for group in &level {
            n_visits += 1;
            if n_visits > MAX_VISITS {
                return None;
            }
            if let Some(found) = visit(group) {
                return Some(found);
            }
            for name in group.names() {
                match group.at(&name) {
                    Some(Node::Group(child)) if seen.insert(child.identity()) => next.push(child),
                    _ => {}
                }
            }
        }
        level = next;
    }
    None
}

/// Children of a group that are of a NeXus class, or have one of these names.
pub(super) fn children(group: &Group, class: &str, names: &[&str]) -> Vec<Group> {
    let found = group.names().into_iter().filter_map(|name| {
        let is_named = names.contains(&name.as_str());
        let child = group.group(&name)?;
        (is_named || child.attr_text("NX_class") == class).then_some(child)
    });
    found.collect()
}

/// A photon energy of these units in eV.
pub(super) fn ev_per(units: &str) -> Option<f64> {
    match units.to_lowercase().as_str() {
        "ev" | "electronvolt" | "electron_volt" | "electronvolts" => Some(1.0),
        "kev" | "kiloelectronvolt" | "kiloelectron_volt" => Some(1e3),
        "mev" => Some(1e6),
        "j" | "joule" | "joules" => Some(1.0 / 1.602_176_634e-19),
        _ => None,
    }
}

/// A time of these units in s.
pub(super) fn s_per(units: &str) -> Option<f64> {
    match units.to_lowercase().as_str() {
        "s" | "sec" | "second" | "seconds" => Some(1.0),
        "ms" | "msec" | "millisecond" | "milliseconds" => Some(1e-3),
        "us" | "µs" | "μs" | "microsecond" | "microseconds" => Some(1e-6),
        "ns" | "nanosecond" | "nanoseconds" => Some(1e-9),
        "min" | "minute" | "minutes" => Some(60.0),
        _ => None,
    }
}
