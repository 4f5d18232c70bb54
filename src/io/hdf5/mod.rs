//! HDF5 (.h5 .hdf5 .nxs): scans as NXtomo and DataExchange, and plain volumes.
//!
//! An NXtomo entry is found by its definition, not by its name; frames are told apart by
//! `image_key` (0 projection, 1 flat, 2 dark, 3 invalid). DataExchange keeps them in
//! `/exchange/data`, `data_white` and `data_dark`. Without either, the largest numeric dataset of
//! three axes is the volume. References: the NeXus definition NXtomo 2.0; De Carlo et al. 2014
//! (doi:10.1107/S160057751401604X). Read by one pure-Rust crate and written by another; nothing to install.

mod read;
mod scan;
mod tree;
mod write;

#[cfg(test)]
mod tests;

use std::path::Path;

use self::read::Hdf5Source;
use super::error::IoError;
use super::format::{Format, OpenRequest, Probe, Source, WriteRequest};
use crate::base::Progress;
use crate::volume::Scan;

pub use self::write::write_scan;

/// The first bytes of every HDF5 file without a user block.
const MAGIC: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// The format.
pub(crate) struct Hdf5;

impl Format for Hdf5 {
    fn name(&self) -> &'static str {
        "HDF5"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["h5", "hdf5", "nxs", "hdf", "nx5", "nexus"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        // A user block of 512, 1024, … bytes may precede the mark.
        [0, 512, 1024, 2048].iter().any(|at| probe.head.get(*at..*at + 8) == Some(MAGIC))
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        Ok(Box::new(Hdf5Source::open(request.path, request.budget)?))
    }

    fn write(
        &self,
        path: &Path,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        write::write_volume(path, request, progress)
    }

    fn read_scan(&self, request: &OpenRequest<'_>, progress: &Progress) -> Option<Result<Scan, IoError>> {
        let (path, budget) = (request.path, request.budget);
        match Hdf5Source::open(path, budget) {
            Ok(source) => source.layout.is_some().then(|| scan::read(source, path, progress, budget)),
            Err(error) => Some(Err(error)),
        }
    }
}
