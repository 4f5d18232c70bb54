//! HDF5 (.h5 .hdf5 .nxs .ims .emd): scans as NXtomo, of Mistral and DataExchange, and volumes of other programs.
//!
//! A scan is found by what it says of itself, not by names; links to other files and virtual datasets are
//! followed. Volumes of BigDataViewer, Imaris, EMD and ilastik are known by their layout. Without any of these the
//! largest numeric dataset of three axes is the volume; any other is chosen by its path. Structures are read by one
//! pure-Rust crate and written by another, values by code of this program; nothing to install.
#![cfg_attr(
    not(test),
    expect(
        clippy::cast_possible_truncation,
        reason = "sides and bytes of the file as usize: each was checked against the length of the file or the budget"
    )
)]

mod axes;
mod containers;
mod detector;
mod exchange;
mod frames;
mod listing;
mod mistral;
mod nxtomo;
mod read;
mod scales;
mod scan;
mod store;
mod tree;
mod values;
mod write;

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod layout_tests;
#[cfg(test)]
mod tests;

use std::path::Path;

use self::read::Hdf5Source;
use self::store::Family;
use super::choice::Turned;
use super::error::IoError;
use super::format::{ArrayEntry, Format, OpenRequest, Probe, Source, WriteRequest};
use super::walk::Values;
use crate::base::{MemoryBudget, Progress};
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
        &["h5", "hdf5", "nxs", "hdf", "nx5", "nexus", "nx"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        // A user block of 512, 1024, … bytes may precede the mark.
        [0, 512, 1024, 2048].iter().any(|at| probe.head.get(*at..*at + 8) == Some(MAGIC))
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let source = Hdf5Source::open(request)?;
        let order = source.order;
        Ok(Turned::wrap(Box::new(source), order, request.path, request.budget))
    }

    fn has_tree(&self) -> bool {
        true
    }

    fn arrays(&self, path: &Path) -> Result<Vec<ArrayEntry>, IoError> {
        tree::guarded(path, || {
            let family = Family::open(path, MemoryBudget::from_system())?;
            Ok(listing::arrays(&family.root()?))
        })
    }

    fn entries(&self, path: &Path) -> Result<Vec<String>, IoError> {
        tree::guarded(path, || {
            let root = Family::open(path, MemoryBudget::from_system())?.root()?;
            let scans = nxtomo::entries(&root);
            let groups = || exchange::groups(&root).iter().map(|group| group.name().to_owned()).collect();
            Ok(if scans.is_empty() { groups() } else { scans })
        })
    }

    fn write(
        &self,
        path: &Path,
        values: Values<'_>,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        match values {
            Values::Held(_) => write::write_volume(path, request, progress),
            Values::Read(_) => Err(IoError::content(path, "this format takes an array only whole")),
        }
    }

    fn holds_scans(&self) -> bool {
        true
    }

    fn read_scan(&self, request: &OpenRequest<'_>, progress: &Progress) -> Option<Result<Scan, IoError>> {
        match Hdf5Source::open(request) {
            Ok(source) => {
                source.layout.is_some().then(|| scan::read(source, request.path, progress, request.budget))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
