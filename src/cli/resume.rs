//! Finished rows kept beside an output while it is being made, so that a stopped run goes on from them.
//!
//! `.NAME.resume/` holds the rows (a Zarr of the whole shape) and a record of which are done and of what: the
//! data, the alignment and the parameters. Rows are recorded after they are written, so a run that was killed at any
//! moment loses no more than one slab. Another scan or other parameters start anew.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shell::Shell;
use crate::io::{self, RowsTarget, WriteRequest};
use crate::volume::Volume;

/// What is done.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Record {
    /// Of data, alignment and parameters.
    fingerprint: String,
    /// Rows that are written, half open.
    done: Vec<[usize; 2]>,
    /// What the method said of them.
    details: Value,
}

/// Rows that are done, on disk.
pub(super) struct Partial {
    folder: PathBuf,
    record: Record,
    /// Rows that a run before this one has made.
    pub(super) resumed: usize,
}

impl Partial {
    /// Finds the rows that were made for `target` from the same data in the same way, or begins.
    pub(super) fn open(target: &Path, fingerprint: String) -> anyhow::Result<Self> {
        let name = target.file_name().context("an output needs a file name")?.to_string_lossy();
        let folder = target.with_file_name(format!(".{name}.resume"));
        let found = fs::read_to_string(folder.join("record.json")).ok();
        let record: Option<Record> = found.and_then(|text| serde_json::from_str(&text).ok());
        let record = match record.filter(|record| record.fingerprint == fingerprint) {
            Some(record) => record,
            None => {
                if folder.exists() {
                    fs::remove_dir_all(&folder)
                        .with_context(|| format!("could not remove old rows ({})", folder.display()))?;
                }
                io::create_folder(&folder)?;
                Record { fingerprint, ..Record::default() }
            }
        };
        let resumed = record.done.iter().map(|[start, end]| end - start).sum();
        Ok(Self { folder, record, resumed })
    }

    /// Whether these rows are done.
    pub(super) fn has(&self, rows: &Range<usize>) -> bool {
        self.record.done.contains(&[rows.start, rows.end])
    }

    /// What the method said.
    pub(super) fn details(&self) -> Value {
        self.record.details.clone()
    }

    /// The folder with the rows.
    pub(super) fn rows(&self) -> PathBuf {
        self.folder.join("rows.zarr")
    }

    /// Keeps these rows of a volume of `shape`; `first` is the first row of that volume.
    pub(super) fn keep(
        &mut self,
        shell: &Shell,
        shape: [usize; 3],
        first: usize,
        rows: Range<usize>,
        volume: &Volume<f32>,
        details: Value,
    ) -> anyhow::Result<()> {
        let request = WriteRequest::volume(volume);
        let place: RowsTarget = io::create_rows(&self.rows(), shape, &request)?;
        let at = rows.start - first..rows.end - first;
        shell.with_progress(|progress| io::write_rows(&place, at, &request, progress))?;
        self.record.done.push([rows.start, rows.end]);
        self.record.details = details;
        io::write_text(&self.folder.join("record.json"), &serde_json::to_string(&self.record)?)?;
        Ok(())
    }

    /// Removes everything: the output is there.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("could not remove the kept rows ({})", self.folder.display()))
    }
}
