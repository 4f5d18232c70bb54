//! Copies an array from one format into another: types and values as they are.

use std::collections::BTreeSet;
use std::path::Path;

use super::array::{Dtype, zeros};
use super::choice::{ReadAs, ReadOptions};
use super::error::IoError;
use super::format::{Loaded, Source, WriteRequest, open, write_array, write_whole, writer};
use super::walk::{Values, for_each_view, read_all};
use crate::base::{MemoryBudget, Progress, Unit};
use crate::volume::NotAnId;

/// What was copied.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// Shape as z, y, x.
    pub shape: [usize; 3],
    /// Type of the values.
    pub dtype: Dtype,
    /// What the reader had to assume or repair.
    pub warnings: Vec<String>,
    /// What the format could not carry, one sentence each.
    pub losses: Vec<String>,
}

/// Copies an array. Where the format takes it plane by plane (OME-Zarr, MRC, .npy), neither the array nor its pyramid has
/// to fit into memory; other formats take it whole.
///
/// # Errors
/// As [`super::read_array`] and [`super::write_array`]; what is over the budget is refused before anything is read.
pub fn convert(
    source: &Path,
    target: &Path,
    options: &ReadOptions,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<Converted, IoError> {
    let format = writer(target)?;
    let mut from = open(source, options, budget)?;
    if options.kind == Some(ReadAs::Labels) {
        check_ids(from.as_mut(), source, progress)?;
    }
    let keeps_values =
        format.name() == "OME-Zarr" && options.kind.is_none() && looks_like_ids(from.as_mut())?;
    if keeps_values {
        from.header_mut().warnings.push(
            "the values look like ids: coarse levels take the most frequent one; --as labels says that they are, --as volume makes means"
                .to_owned(),
        );
    }
    let header = from.header().clone();
    let streams = super::zarr::label_place(target).is_none();
    let (shape, dtype) = (header.shape, header.dtype);
    let beside_views = header.beside_views.clone();
    let mut losses = if let Some(needed) = format.bytes_of_streaming(&header).filter(|_| streams) {
        let over = |error| IoError::Memory { path: source.to_owned(), source: error };
        budget.admit(needed).map_err(over)?;
        // The values come by planes: what is asked for says all but them.
        let said = Loaded { array: zeros(dtype, [0; 3]), header };
        let request = WriteRequest { keeps_values, ..WriteRequest::loaded(&said) };
        write_whole(format, target, Values::Read(from.as_mut()), &request, progress)?
    } else {
        let loaded = read_all(from.as_mut(), source, progress, budget)?;
        write_array(target, &WriteRequest { keeps_values, ..WriteRequest::loaded(&loaded) }, progress)?
    };
    if !beside_views.is_empty() {
        losses.push(format!(
            "only the views were written, not what the file holds beside them: {} (normalize and reconstruct read them from the file itself)",
            beside_views.join(", ")
        ));
    }
    Ok(Converted { shape, dtype, warnings: from.header().warnings.clone(), losses })
}

/// Share of neighbours with the same id from which values count as ids; noise of a camera has a tenth of it.
const ALIKE: f64 = 0.8;
/// Most different values in three planes of what counts as ids.
const MOST_IDS: usize = 4096;

/// Whether whole numbers whose meaning the file does not say look like ids: few different ones, the same over whole areas.
fn looks_like_ids(source: &mut dyn Source) -> Result<bool, IoError> {
    let header = source.header();
    let says_nothing = matches!(header.unit, None | Some(Unit::Arbitrary)) && header.angles_deg.is_empty();
    let n_planes = header.shape[0];
    if !header.dtype.is_integer() || !says_nothing {
        return Ok(false);
    }
    let (mut values, mut n_alike, mut n_pairs) = (BTreeSet::new(), 0u64, 0u64);
    for plane in BTreeSet::from([n_planes / 4, n_planes / 2, 3 * n_planes / 4]) {
        let array = source.read_planes(plane..plane + 1)?.to_f32();
        for row in array.rows() {
            for pair in row.iter().zip(row.iter().skip(1)).filter(|(a, b)| **a != 0.0 || **b != 0.0) {
                n_pairs += 1;
                n_alike += u64::from(pair.0 == pair.1);
                values.insert(pair.0.to_bits());
            }
            if values.len() > MOST_IDS {
                return Ok(false);
            }
        }
    }
    Ok(n_pairs > 0 && n_alike as f64 >= ALIKE * n_pairs as f64)
}

/// Sees to it that what is said to be labels holds whole numbers only.
fn check_ids(source: &mut dyn Source, path: &Path, progress: &Progress) -> Result<(), IoError> {
    if matches!(source.header().dtype, Dtype::U8 | Dtype::U16 | Dtype::U32) {
        return Ok(());
    }
    for_each_view(source, progress, |at, planes| {
        planes.to_owned_array().check_ids().map(|_ids| ()).map_err(|NotAnId { value, zyx: [z, y, x] }| {
            IoError::content(path, NotAnId { value, zyx: [z + at, y, x] }.to_string())
        })
    })
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::io::{read_array, write_array};

    #[test]
    fn what_looks_like_ids_keeps_them_in_coarse_levels_and_noise_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let ids =
            Array3::from_shape_fn(
                (70, 70, 70),
                |(z, y, x)| {
                    if (z / 30 + y / 30 + x / 30) % 2 == 0 { 4u16 } else { 9 }
                },
            );
        let noise = Array3::from_shape_fn((70, 70, 70), |(z, y, x)| {
            ((z * 7919 + y * 104_729 + x * 1_299_709) % 251) as u16
        });
        for (array, are_ids) in [(ids, true), (noise, false)] {
            let (source, target) = (folder.path().join("a.npy"), folder.path().join("a.zarr"));
            write_array(&source, &WriteRequest::new(&array), &Progress::new()).unwrap();
            let budget = MemoryBudget::from_gib(0.5);
            let done = convert(&source, &target, &ReadOptions::default(), &Progress::new(), budget).unwrap();
            assert_eq!(
                done.warnings.iter().any(|said| said.contains("look like ids")),
                are_ids,
                "{:?}",
                done.warnings
            );
            let coarse = read_array(&target.join("1"), &Progress::new(), budget).unwrap().array.to_f32();
            assert_eq!(coarse.iter().all(|v| *v == 4.0 || *v == 9.0), are_ids);
        }
    }
}
