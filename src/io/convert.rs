//! Copies an array from one format into another: types and values as they are.

use std::path::Path;

use super::array::{Dtype, zeros};
use super::atomic::write_atomically;
use super::choice::{ReadAs, ReadOptions};
use super::error::IoError;
use super::format::{Loaded, Source, WriteRequest, for_each_slab, open, read_all, write_array, writer};
use super::sidecar;
use crate::base::{MemoryBudget, Progress};
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

/// Copies an array. Into OME-Zarr it goes layer by layer, so that neither the array nor its pyramid has to fit into
/// memory; other formats take it whole.
///
/// # Errors
/// As [`super::read_array`] and [`write_array`]; what is over the budget is refused before anything is read.
pub fn convert(
    source: &Path,
    target: &Path,
    options: &ReadOptions,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<Converted, IoError> {
    let format = writer(target)?;
    let mut from = open(source, options, budget)?;
    let mut header = from.header().clone();
    if options.kind == Some(ReadAs::Labels) {
        check_ids(from.as_mut(), source, progress)?;
    }
    let of = |shape, dtype, warnings, losses| Converted { shape, dtype, warnings, losses };
    let streams = super::zarr::label_place(target).is_none();
    if let Some(needed) = format.bytes_of_streaming(&header).filter(|_| streams) {
        let over = |error| IoError::Memory { path: source.to_owned(), source: error };
        budget.admit(needed).map_err(over)?;
        let (shape, dtype) = (header.shape, header.dtype);
        let warnings = std::mem::take(&mut header.warnings);
        // The values come by planes: what is asked for says all but them.
        let said = Loaded { array: zeros(dtype, [0; 3]), header };
        let request = WriteRequest::loaded(&said);
        write_atomically(target, |temporary| format.stream(temporary, from.as_mut(), &request, progress))?;
        sidecar::write_beside(target, None)?;
        return Ok(of(shape, dtype, warnings, Vec::new()));
    }
    let loaded = read_all(from.as_mut(), source, progress, budget)?;
    let losses = write_array(target, &WriteRequest::loaded(&loaded), progress)?;
    Ok(of(header.shape, header.dtype, header.warnings, losses))
}

/// Sees to it that what is said to be labels holds whole numbers only.
fn check_ids(source: &mut dyn Source, path: &Path, progress: &Progress) -> Result<(), IoError> {
    if matches!(source.header().dtype, Dtype::U8 | Dtype::U16 | Dtype::U32) {
        return Ok(());
    }
    for_each_slab(source, progress, |at, planes| {
        planes.check_ids().map(|_ids| ()).map_err(|NotAnId { value, zyx: [z, y, x] }| {
            IoError::content(path, NotAnId { value, zyx: [z + at, y, x] }.to_string())
        })
    })
}
