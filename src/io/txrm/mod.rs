//! Zeiss and Xradia TXRM, XRM, TXM: compound files with one stream an image and one for everything that is said of it.
//!
//! Tilt series, single images and mosaics of file versions 3 and 5, and reconstructed volumes, read only. Rows are stored
//! from the bottom up and are flipped once. Images that were taken are read, not those that were planned. There is no
//! document of the maker; what streams mean was taken from files and from three readers that agree (txrm2tiff 2.2.1,
//! dxchange, xrmreader 2.9.1).

mod about;
mod axes;
mod beside;
mod folder;
mod metadata;
mod ole;
mod scan;
mod shifts;
mod source;
mod streams;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod writer_tests;

use std::path::Path;

use self::folder::{FolderSource, xrm_files};
use self::source::TxrmSource;
use super::error::IoError;
use super::format::{Format, OpenRequest, Probe, Source, WriteRequest};
use super::pictures::pictures_in;
use super::walk::Values;
use crate::base::Progress;
use crate::volume::Scan;

pub(crate) use self::beside::{Beside, reference_beside};
pub(crate) use self::scan::read_frames;
pub(crate) use self::shifts::read_txrm_shifts;

pub use self::folder::{is_xrm_folder, order_in_time};

/// Single files.
pub(crate) struct Txrm;

/// Folders with one XRM for each angle.
pub(crate) struct XrmFolder;

/// Extensions of single files.
pub(crate) const EXTENSIONS: [&str; 3] = ["txrm", "xrm", "txm"];

impl Format for Txrm {
    fn name(&self) -> &'static str {
        "TXRM"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &EXTENSIONS
    }

    fn sniff(&self, probe: &Probe) -> bool {
        // Other programs write compound files, too; which streams are inside is seen on opening.
        probe.head.starts_with(ole::MAGIC)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        Ok(Box::new(TxrmSource::open(request.path, request.budget)?))
    }

    fn holds_scans(&self) -> bool {
        true
    }

    fn read_scan(&self, request: &OpenRequest<'_>, progress: &Progress) -> Option<Result<Scan, IoError>> {
        scan::open(request.path, progress, request.budget).transpose()
    }

    fn writes(&self) -> bool {
        false
    }

    fn write(
        &self,
        path: &Path,
        _: Values<'_>,
        _: &WriteRequest<'_>,
        _: &Progress,
    ) -> Result<Vec<String>, IoError> {
        Err(IoError::content(path, "TXRM is not written"))
    }
}

impl Format for XrmFolder {
    fn name(&self) -> &'static str {
        "folder of XRM"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        // A folder of pictures may hold a few of these, and a scan a picture.
        probe.is_folder && xrm_files(&probe.path).len() > pictures_in(&probe.path).len()
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        Ok(Box::new(FolderSource::open(request.path, request.budget)?))
    }

    fn holds_scans(&self) -> bool {
        true
    }

    fn read_scan(&self, request: &OpenRequest<'_>, progress: &Progress) -> Option<Result<Scan, IoError>> {
        let source = FolderSource::open(request.path, request.budget);
        Some(source.and_then(|source| source.read_scan(progress, request.budget)))
    }

    fn writes(&self) -> bool {
        false
    }

    fn write(
        &self,
        path: &Path,
        _: Values<'_>,
        _: &WriteRequest<'_>,
        _: &Progress,
    ) -> Result<Vec<String>, IoError> {
        Err(IoError::content(path, "folders of XRM are not written"))
    }
}
