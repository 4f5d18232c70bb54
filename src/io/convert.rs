//! Copies an array from one format into another: types and values as they are.

use std::path::Path;

use super::array::{Dtype, zeros};
use super::atomic::write_atomically;
use super::choice::{ReadAs, ReadOptions};
use super::error::IoError;
use super::format::{
    Format, Loaded, Source, WriteRequest, for_each_slab, open, ratio_loss, read_all, write_array, writer,
};
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
    let header = from.header().clone();
    let streams = super::zarr::label_place(target).is_none();
    let (shape, dtype) = (header.shape, header.dtype);
    let losses = if let Some(needed) = format.bytes_of_streaming(&header).filter(|_| streams) {
        let over = |error| IoError::Memory { path: source.to_owned(), source: error };
        budget.admit(needed).map_err(over)?;
        // The values come by planes: what is asked for says all but them.
        let said = Loaded { array: zeros(dtype, [0; 3]), header };
        stream_array(format, target, from.as_mut(), &WriteRequest::loaded(&said), progress)?
    } else {
        let loaded = read_all(from.as_mut(), source, progress, budget)?;
        write_array(target, &WriteRequest::loaded(&loaded), progress)?
    };
    Ok(Converted { shape, dtype, warnings: from.header().warnings.clone(), losses })
}

/// As [`write_array`], of an array whose planes come from a source.
fn stream_array(
    format: &dyn Format,
    target: &Path,
    source: &mut dyn Source,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let mut losses =
        write_atomically(target, |temporary| format.stream(temporary, source, request, progress))?;
    losses.extend(ratio_loss(format, request));
    let mut beside = format.sidecar(request);
    losses.extend(beside.drop_what_is_too_long());
    sidecar::write_beside(target, Some(&beside).filter(|beside| !beside.is_empty()))?;
    Ok(losses)
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
