//! NRRD, and the segmentations of 3D Slicer (`.seg.nrrd`): values in this file or beside it (`.nhdr`), plain or packed.
//!
//! Reference: teem.sourceforge.net/nrrd/format.html; the keys of segments as 3D Slicer documents them.

mod frame;
mod header;
mod segments;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;

use self::header::Said;
use super::body::{Before, Body, Packing, all_beside};
use super::error::IoError;
use super::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use super::sidecar::Sidecar;
use super::walk::{Values, bytes_of_views};
use crate::base::Progress;

/// The first bytes of every file.
const MAGIC: &[u8] = b"NRRD000";
/// Under which key this program keeps what NRRD has no field for.
const OWN_KEY: &str = "waterwindow";

/// The format.
pub(crate) struct Nrrd;

impl Format for Nrrd {
    fn name(&self) -> &'static str {
        "NRRD"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["nrrd", "seg.nrrd"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        probe.head.starts_with(MAGIC)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        open(request)
    }

    fn bytes_of_streaming(&self, header: &Header) -> Option<u64> {
        bytes_of_views(header)
    }

    fn write(
        &self,
        path: &Path,
        values: Values<'_>,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        write::write(path, values, request, progress)
    }
}

fn open(request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
    let path = request.path;
    let content = |problem: String| IoError::content(path, problem);
    let said = Said::read(path)?;
    let axes = said.axes().map_err(content)?;
    let (packing, skip) = (said.packing().map_err(content)?, said.skip().map_err(content)?);
    let before = match (packing, skip) {
        (Packing::Plain, (0, -1)) => Before::WhatIsMore,
        (_, (lines, bytes)) => {
            let bytes = u64::try_from(bytes).map_err(|_e| content(format!("a byte skip of {bytes}")))?;
            Before::Skip { at: said.values_at(), lines, bytes }
        }
    };
    let body = Body {
        files: files(path, &said)?,
        before,
        packing,
        stored: said.stored().map_err(content)?,
        big_endian: said.field("endian").is_some_and(|endian| endian.eq_ignore_ascii_case("big")),
        shape: axes.shape,
        n_together: axes.n_together,
        n_times: axes.n_times,
        n_apart: axes.n_apart,
        has_more: false,
    };
    let mut source = body.open(request, "NRRD")?;
    let header = source.header_mut();
    frame::place(&said, &axes, header);
    segments::describe(&said, request.channel(), header);
    for (key, value) in said.keys.iter().filter(|(key, _)| key != OWN_KEY) {
        header.metadata.insert(key.clone(), value.clone());
    }
    for name in ["content", "space", "measurementframe", "sampleunits"] {
        if let Some(value) = said.field(name) {
            header.metadata.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some(own) = said.key(OWN_KEY).and_then(|json| serde_json::from_str::<Sidecar>(json).ok()) {
        own.apply(header);
    }
    Ok(source)
}

/// The files that hold the values, in their order.
fn files(path: &Path, said: &Said) -> Result<Vec<std::path::PathBuf>, IoError> {
    let Some(names) = said.data_files().map_err(|problem| IoError::content(path, problem))? else {
        return Ok(vec![path.to_owned()]);
    };
    all_beside(path, &names)
}
