//! The project folder: `project.json` by atomic rename, `journal/`, `arrays.zarr/`.
//!
//! A project that has no folder of its own yet, or one that cannot be written, lives in a folder
//! of the same layout among the user's data, and is offered again after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::annotation::Annotation;
use super::arrays::Arrays;
use super::journal::Journal;
use super::layer::{Content, Landmark, Layer, LayerId};
use super::lock::{Lock, Refusal};
use super::stored::{Blobs, StoredContent, StoredLayer, Voxels};
use super::{History, Project};
use crate::base::Progress;
use crate::io::{IoError, write_atomically};
use crate::volume::ClassTable;

/// Extension of a project folder.
pub const EXTENSION: &str = "waterwindow";
/// Version of project.json that this program writes.
pub(super) const VERSION: u32 = 1;
pub(super) const PROJECT_FILE: &str = "project.json";
pub(super) const PREVIOUS_FILE: &str = "project.previous.json";
pub(super) const JOURNAL_FOLDER: &str = "journal";
pub(super) const FIRST_JOURNAL: &str = "log.wwj";

/// project.json.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredProject {
    #[serde(rename = "waterwindow_project")]
    pub(super) version: u32,
    #[serde(default)]
    pub(super) program: String,
    pub(super) name: String,
    /// Name of the journal's file, and how much of it is in here already.
    pub(super) journal: String,
    pub(super) journal_bytes: u64,
    pub(super) next_id: u64,
    pub(super) layers: Vec<StoredLayer>,
    #[serde(default)]
    pub(super) classes: ClassTable,
    #[serde(default)]
    pub(super) landmarks: Vec<Landmark>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) annotations: Vec<Annotation>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) kept: BTreeMap<String, Value>,
    /// Other project folders whose arrays are used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) arrays_from: Vec<PathBuf>,
    /// The project that this is the autosave of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<PathBuf>,
    /// Fields of a newer program: kept as they are.
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// A project could not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The system refused.
    #[error("could not {action}: {source}; the project is still open and complete ({})", path.display())]
    System {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something of this name is there already.
    #[error("something of this name is there already and is not replaced; choose another name ({})", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// An array could not be written.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl StoreError {
    pub(super) fn system(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::System { action, path: path.to_owned(), source }
    }
}

/// Whether a store is the project's own folder or keeps work that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The project's own folder.
    Own,
    /// Among the user's data.
    Autosave,
}

/// The folder in which an open project lives.
#[derive(Debug)]
pub struct Store {
    pub(super) folder: PathBuf,
    pub(super) place: Place,
    pub(super) arrays_from: Vec<PathBuf>,
    pub(super) origin: Option<PathBuf>,
    pub(super) journal: String,
    /// Bytes of the journal that project.json holds already.
    pub(super) journal_base: u64,
    pub(super) labels: BTreeMap<LayerId, (u64, String)>,
    pub(super) next_key: u64,
    pub(super) extra: Map<String, Value>,
    pub(super) layer_extra: BTreeMap<LayerId, Map<String, Value>>,
    pub(super) lock: Lock,
}

/// A new, locked folder for work without a folder of its own.
pub(super) fn new_autosave(root: &Path) -> Result<(PathBuf, Lock), StoreError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = root.join(format!("{secs}-{}-{count}", std::process::id()));
    let failed = |error| StoreError::system("keep unsaved work", &folder, error);
    fs::create_dir_all(folder.join(JOURNAL_FOLDER)).map_err(failed)?;
    let lock = take_lock(&folder)?;
    Ok((folder, lock))
}

fn take_lock(folder: &Path) -> Result<Lock, StoreError> {
    Lock::take(folder).map_err(|refusal| {
        let (Refusal::Held(why) | Refusal::ReadOnly(why)) = refusal;
        StoreError::system("lock the folder", folder, std::io::Error::other(why))
    })
}

impl Store {
    fn at(folder: PathBuf, place: Place, lock: Lock) -> Self {
        Self {
            folder,
            place,
            arrays_from: Vec::new(),
            origin: None,
            journal: FIRST_JOURNAL.to_owned(),
            journal_base: 0,
            labels: BTreeMap::new(),
            next_key: 1,
            extra: Map::new(),
            layer_extra: BTreeMap::new(),
            lock,
        }
    }

    /// A place below `root` for work that has none: the history goes on in its journal.
    ///
    /// # Errors
    /// [`StoreError::System`] where the user's data folder takes no files.
    pub fn autosave(root: &Path, project: &Project, history: &mut History) -> Result<Self, StoreError> {
        let (folder, lock) = new_autosave(root)?;
        let mut store = Self::at(folder, Place::Autosave, lock);
        store.start_journal(history)?;
        // The journal begins with the document as it is here; for a new project that is nothing.
        let work = store.save_work(project, store.journal_base);
        work.run(&Progress::new())?;
        Ok(store)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it is the project's own folder.
    pub fn place(&self) -> Place {
        self.place
    }

    pub(super) fn arrays(&self) -> Arrays {
        Arrays::new(&self.folder, &self.arrays_from)
    }

    pub(super) fn journal_path(&self) -> PathBuf {
        self.folder.join(JOURNAL_FOLDER).join(&self.journal)
    }

    /// Starts an empty journal.
    pub(super) fn start_journal(&mut self, history: &mut History) -> Result<(), StoreError> {
        let path = self.journal_path();
        let journal = Journal::open(&path, &self.folder, None)
            .map_err(|error| StoreError::system("start the journal", &path, error))?;
        history.attach_fresh(journal, &self.folder, self.arrays());
        self.journal_base = history.flush().unwrap_or(0);
        Ok(())
    }

    /// Prepares to write the project as it is now; the work itself is done by [`SaveWork::run`], elsewhere.
    ///
    /// # Errors
    /// [`StoreError::System`] where a broken journal cannot be replaced.
    pub fn prepare_save(&mut self, project: &Project, history: &mut History) -> Result<SaveWork, StoreError> {
        let bytes = match history.flush() {
            Some(bytes) => bytes,
            None => {
                let n =
                    (2..).find(|n| !self.folder.join(JOURNAL_FOLDER).join(format!("log-{n}.wwj")).exists());
                self.journal = format!("log-{}.wwj", n.unwrap_or(2));
                self.start_journal(history)?;
                self.journal_base
            }
        };
        Ok(self.save_work(project, bytes))
    }

    fn save_work(&mut self, project: &Project, journal_bytes: u64) -> SaveWork {
        let mut label_keys = BTreeMap::new();
        for layer in project.layers.iter().filter(|layer| layer.labels().is_some()) {
            let kept = self.labels.get(&layer.id).filter(|(revision, _)| *revision == layer.revision);
            let key = kept
                .map_or_else(|| format!("labels-{}-{}", layer.id.0, self.next_key), |(_, key)| key.clone());
            label_keys.insert(layer.id, key);
        }
        self.next_key += 1;
        SaveWork {
            folder: self.folder.clone(),
            arrays: self.arrays(),
            arrays_from: self.arrays_from.clone(),
            copy_from: None,
            origin: self.origin.clone(),
            journal: self.journal.clone(),
            journal_bytes,
            extra: self.extra.clone(),
            layer_extra: self.layer_extra.clone(),
            project: project.clone(),
            label_keys,
        }
    }

    /// Takes note of what was written.
    pub fn saved(&mut self, work: &Saved) {
        if work.folder != self.folder {
            return;
        }
        self.labels.clone_from(&work.labels);
        self.journal_base = work.journal_bytes;
        if work.copied {
            self.arrays_from.clear();
        }
    }

    /// Moves the project into a folder of its own: the journal at once, arrays by the returned work.
    ///
    /// # Errors
    /// [`StoreError`] where the folder cannot be made; the project stays where it is.
    pub fn move_to(
        &self,
        target: &Path,
        project: &Project,
        history: &mut History,
    ) -> Result<(Self, SaveWork), StoreError> {
        let failed = |error| StoreError::system("create the project folder", target, error);
        if target.exists() && fs::read_dir(target).map_err(failed)?.next().is_some() {
            return Err(StoreError::Exists { path: target.to_owned() });
        }
        fs::create_dir_all(target.join(JOURNAL_FOLDER)).map_err(failed)?;
        let folder = target.canonicalize().map_err(failed)?;
        let lock = take_lock(&folder)?;
        let mut store = Self::at(folder, Place::Own, lock);
        store.arrays_from = std::iter::once(self.folder.clone()).chain(self.arrays_from.clone()).collect();
        (store.extra, store.layer_extra) = (self.extra.clone(), self.layer_extra.clone());
        let bytes = if let Some(bytes) = history.flush() {
            let path = store.journal_path();
            let failed = |error| StoreError::system("copy the journal", &path, error);
            fs::copy(self.journal_path(), &path).map_err(failed)?;
            let journal = Journal::open(&path, &store.folder, Some(bytes)).map_err(failed)?;
            history.attach(journal, &store.folder, store.arrays());
            bytes
        } else {
            store.start_journal(history)?;
            store.journal_base
        };
        let mut work = store.save_work(project, bytes);
        work.copy_from = Some(store.arrays_from.clone());
        Ok((store, work))
    }

    /// The work of writing the voxels of new layers, so that a crash does not lose them; `None` where there are none.
    pub fn keep_work(
        &self,
        layers: Vec<Layer>,
    ) -> Option<impl FnOnce(&Progress) -> Result<(), IoError> + Send + use<>> {
        let has_voxels = |layer: &Layer| {
            layer.source.is_none()
                && !matches!(
                    layer.content,
                    Content::Labels(_) | Content::Alignment(_) | Content::Missing(_) | Content::Other(_)
                )
        };
        let layers: Vec<_> = layers.into_iter().filter(has_voxels).collect();
        let arrays = self.arrays();
        (!layers.is_empty()).then_some(move |progress: &Progress| {
            layers.iter().try_for_each(|layer| arrays.keep(layer, progress))
        })
    }

    /// Throws away what was not saved: the folder of an autosave, the end of a project's journal.
    ///
    /// # Errors
    /// [`StoreError::System`] where files cannot be removed.
    pub fn discard(self, history: &mut History) -> Result<(), StoreError> {
        history.close_journal();
        match self.place {
            Place::Autosave => remove_folder(&self.folder, self.lock),
            Place::Own => {
                let path = self.journal_path();
                let cut = fs::OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .and_then(|file| file.set_len(self.journal_base));
                cut.map_err(|error| StoreError::system("discard the changes", &path, error))
            }
        }
    }

    /// Removes the autosave folder once its project lives elsewhere.
    ///
    /// # Errors
    /// [`StoreError::System`] where files cannot be removed.
    pub fn retire(self) -> Result<(), StoreError> {
        match self.place {
            Place::Autosave => remove_folder(&self.folder, self.lock),
            Place::Own => Ok(()),
        }
    }
}

fn remove_folder(folder: &Path, lock: Lock) -> Result<(), StoreError> {
    drop(lock);
    fs::remove_dir_all(folder).map_err(|error| StoreError::system("remove the autosave", folder, error))
}

/// Everything that writing a project needs: a snapshot, to be run on a worker.
#[derive(Debug)]
pub struct SaveWork {
    folder: PathBuf,
    arrays: Arrays,
    arrays_from: Vec<PathBuf>,
    copy_from: Option<Vec<PathBuf>>,
    origin: Option<PathBuf>,
    journal: String,
    journal_bytes: u64,
    extra: Map<String, Value>,
    layer_extra: BTreeMap<LayerId, Map<String, Value>>,
    project: Project,
    label_keys: BTreeMap<LayerId, String>,
}

/// What was written.
#[derive(Debug)]
pub struct Saved {
    /// The project folder.
    pub folder: PathBuf,
    labels: BTreeMap<LayerId, (u64, String)>,
    journal_bytes: u64,
    copied: bool,
}

impl SaveWork {
    /// Writes arrays first, then project.json in one rename.
    ///
    /// # Errors
    /// [`StoreError`]; what was saved before is still there.
    pub fn run(self, progress: &Progress) -> Result<Saved, StoreError> {
        progress.phase("Saving", 0);
        for from in self.copy_from.iter().flatten() {
            let copied = self.arrays.copy_from(from, progress);
            copied.map_err(|error| StoreError::system("copy the arrays", &self.folder, error))?;
        }
        let mut labels = BTreeMap::new();
        for layer in &self.project.layers {
            self.arrays.keep(layer, progress)?;
            if let Some(key) = self.label_keys.get(&layer.id) {
                self.arrays.write_labels(key, layer, progress)?;
                labels.insert(layer.id, (layer.revision, key.clone()));
            }
        }
        let stored = self.stored();
        let previous = read_stored(&self.folder.join(PROJECT_FILE)).ok();
        write_project(&self.folder, &stored)?;
        let kept: BTreeSet<_> =
            label_keys_of(&stored).chain(previous.iter().flat_map(label_keys_of)).collect();
        self.arrays.sweep(|key| !key.starts_with("labels-") || kept.contains(key));
        let copied = self.copy_from.is_some();
        Ok(Saved { folder: self.folder, labels, journal_bytes: self.journal_bytes, copied })
    }

    fn stored(&self) -> StoredProject {
        let project = &self.project;
        let layers = project.layers.iter().map(|layer| {
            let key = self.label_keys.get(&layer.id).cloned();
            let mut stored = StoredLayer::of(layer, &self.folder, key, &mut Blobs::new());
            stored.extra = self.layer_extra.get(&layer.id).cloned().unwrap_or_default();
            stored
        });
        StoredProject {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            name: project.name.clone(),
            journal: self.journal.clone(),
            journal_bytes: self.journal_bytes,
            next_id: project.next_id,
            layers: layers.collect(),
            classes: project.classes.clone(),
            landmarks: project.landmarks.clone(),
            annotations: project.annotations.clone(),
            kept: project.kept.clone(),
            arrays_from: if self.copy_from.is_some() { Vec::new() } else { self.arrays_from.clone() },
            origin: self.origin.clone(),
            extra: self.extra.clone(),
        }
    }
}

fn label_keys_of(stored: &StoredProject) -> impl Iterator<Item = String> {
    let key = |voxels: &Voxels| if let Voxels::Array(key) = voxels { Some(key.clone()) } else { None };
    stored
        .layers
        .iter()
        .flat_map(move |layer| match &layer.content {
            StoredContent::Labels { voxels, marks, .. } => [key(voxels), marks.as_ref().and_then(key)],
            _ => [None, None],
        })
        .flatten()
}

pub(super) fn read_stored(path: &Path) -> Result<StoredProject, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// Writes project.json by rename and keeps the one before it under another name.
pub(super) fn write_project(folder: &Path, stored: &StoredProject) -> Result<(), StoreError> {
    let path = folder.join(PROJECT_FILE);
    let mut text = serde_json::to_string_pretty(stored)
        .map_err(|error| StoreError::system("write the project", &path, error.into()))?;
    text.push('\n');
    let system = |path: &Path, source| IoError::System { action: "write", path: path.to_owned(), source };
    if let Ok(before) = fs::read(&path) {
        let previous = folder.join(PREVIOUS_FILE);
        write_atomically(&previous, |part| fs::write(part, &before).map_err(|e| system(part, e)))?;
    }
    write_atomically(&path, |part| fs::write(part, &text).map_err(|e| system(part, e)))?;
    Ok(())
}
