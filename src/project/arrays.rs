//! The arrays of a project: one OME-Zarr image per array under `arrays.zarr`, written once and never changed.

use std::fs;
use std::path::{Path, PathBuf};

use super::layer::{Content, Layer};
use crate::base::{MemoryBudget, Progress};
use crate::io::{self, ArrayRef, IoError, Loaded, WriteRequest};
use crate::volume::Labels;

use super::stored::marks_key;

const FOLDER: &str = "arrays.zarr";
/// Makes the folder a Zarr group, so that other programs can walk through it.
const GROUP: &str = "{\"zarr_format\": 3, \"node_type\": \"group\", \"attributes\": {}}\n";

/// Where arrays are written, and where else they may lie.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrays {
    /// Project folders, the own one first.
    folders: Vec<PathBuf>,
}

impl Arrays {
    /// Arrays of the project in `own`, which may also use those of `others`.
    pub(super) fn new(own: &Path, others: &[PathBuf]) -> Self {
        Self { folders: std::iter::once(own.to_owned()).chain(others.iter().cloned()).collect() }
    }

    /// Where the array with this key lies, if it is there.
    fn find(&self, key: &str) -> Option<PathBuf> {
        let name = format!("{key}.zarr");
        self.folders.iter().map(|folder| folder.join(FOLDER).join(&name)).find(|path| path.is_dir())
    }

    /// Whether the array is there.
    pub(super) fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn write(&self, key: &str, request: &WriteRequest<'_>, progress: &Progress) -> Result<(), IoError> {
        if self.contains(key) {
            return Ok(());
        }
        let Some(own) = self.folders.first() else { return Ok(()) };
        let folder = own.join(FOLDER);
        let system = |source| IoError::System { action: "write", path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(system)?;
        let group = folder.join("zarr.json");
        if !group.exists() {
            fs::write(&group, GROUP).map_err(system)?;
        }
        io::write_array(&folder.join(format!("{key}.zarr")), request, progress).map(drop)
    }

    /// Reads an array.
    pub(super) fn read(&self, key: &str, progress: &Progress) -> Result<Loaded, IoError> {
        let path =
            self.find(key).or_else(|| Some(self.folders.first()?.join(FOLDER).join(format!("{key}.zarr"))));
        io::read_array(&path.unwrap_or_default(), progress, MemoryBudget::from_system())
    }

    /// Writes labels as they are now under a new key.
    pub(super) fn write_labels(&self, key: &str, layer: &Layer, progress: &Progress) -> Result<(), IoError> {
        let Some(layer) = layer.labels() else { return Ok(()) };
        let write = |key: &str, labels: &Labels| {
            let dense = labels.to_dense();
            self.write(key, &WriteRequest::labels(&dense, layer.voxel_um, layer.origin_um, None), progress)
        };
        write(key, &layer.labels)?;
        if layer.marks.is_empty() { Ok(()) } else { write(&marks_key(key), &layer.marks) }
    }

    /// Reads labels.
    pub(super) fn read_labels(&self, key: &str, progress: &Progress) -> Result<Labels, IoError> {
        let loaded = self.read(key, progress)?;
        let ids = loaded.array.to_label_ids().ok_or_else(|| IoError::Content {
            path: PathBuf::from(key),
            problem: "not a label volume".to_owned(),
        })?;
        Ok(Labels::from_dense(&ids))
    }

    /// Writes what a layer needs and is not there yet. Labels and files that stay where they are are not its business.
    pub(super) fn keep(&self, layer: &Layer, progress: &Progress) -> Result<(), IoError> {
        if layer.source.is_some() {
            return Ok(());
        }
        let key = key_of(layer);
        let plain = |array| WriteRequest::new(array);
        match &layer.content {
            Content::Scan(scan) => {
                self.write(&key, &plain(ArrayRef::from(&scan.projections)), progress)?;
                for (name, frames) in [("flats", &scan.flats), ("darks", &scan.darks)] {
                    if let Some(frames) = frames {
                        self.write(&format!("{key}-{name}"), &plain(ArrayRef::from(frames)), progress)?;
                    }
                }
                Ok(())
            }
            Content::Series(series) => self.write(&key, &plain(ArrayRef::from(&series.data)), progress),
            Content::Volume(volume) => self.write(&key, &WriteRequest::volume(volume), progress),
            Content::Regions(regions) => self.write(&key, &WriteRequest::volume(regions), progress),
            _ => Ok(()),
        }
    }

    /// Copies all arrays of `from` that are not here yet.
    pub(super) fn copy_from(&self, from: &Path, progress: &Progress) -> std::io::Result<()> {
        let Some(own) = self.folders.first() else { return Ok(()) };
        let from = from.join(FOLDER);
        if from.is_dir() { copy_tree(&from, &own.join(FOLDER), progress) } else { Ok(()) }
    }

    /// Removes arrays whose key `keep` does not want.
    pub(super) fn sweep(&self, keep: impl Fn(&str) -> bool) {
        let Some(folder) = self.folders.first().map(|own| own.join(FOLDER)) else { return };
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(key) = name.strip_suffix(".zarr")
                && !keep(key)
                && let Err(error) = fs::remove_dir_all(entry.path())
            {
                log::debug!("{}: {error}", entry.path().display());
            }
        }
    }
}

/// The key under which a layer's content is kept.
pub(super) fn key_of(layer: &Layer) -> String {
    format!("layer-{}", layer.id.0)
}

fn copy_tree(from: &Path, to: &Path, progress: &Progress) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        progress.check().map_err(|_cancelled| std::io::Error::from(std::io::ErrorKind::Interrupted))?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target, progress)?;
        } else if !target.exists() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
