//! Opening a project: what can be read opens, and what cannot is said in one sentence each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::arrays::Arrays;
use super::journal::{Journal, MAGIC, Scan};
use super::layer::LayerId;
use super::lock::{Lock, Refusal};
use super::store::{
    EXTENSION, FIRST_JOURNAL, JOURNAL_FOLDER, PREVIOUS_FILE, PROJECT_FILE, Place, Store, StoreError,
    StoredProject, VERSION, new_autosave, read_stored, write_project,
};
use super::stored::{Problems, Reading, StoredContent, Voxels};
use super::{History, Project};
use crate::base::{Cancelled, Progress};

/// A project could not be opened at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder is no project.
    #[error("not a Waterwindow project: it has neither a readable {PROJECT_FILE} nor a journal ({})", path.display())]
    NotAProject {
        /// The folder.
        path: PathBuf,
    },
    /// A newer program made it.
    #[error("the project is of version {found}, this program reads up to {VERSION}; a newer Waterwindow opens it ({})", path.display())]
    Newer {
        /// Version found.
        found: u32,
        /// The folder.
        path: PathBuf,
    },
    /// No place for the changes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// An open project.
#[derive(Debug)]
pub struct Opened {
    /// The document.
    pub project: Project,
    /// Its steps, those of earlier sessions included.
    pub history: History,
    /// Where it lives from now on.
    pub store: Store,
    /// The folder that was opened; `None` for recovered work that never had one.
    pub path: Option<PathBuf>,
    /// Why it cannot be saved where it lies, if so.
    pub read_only: Option<String>,
    /// What could not be read, one sentence each.
    pub problems: Vec<String>,
    /// Number of steps that were made after the last save.
    pub n_unsaved: usize,
}

/// Work that was not saved, found among the user's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recoverable {
    /// Its folder.
    pub path: PathBuf,
    /// The project's name.
    pub name: String,
    /// The project that it belongs to, where it has a folder that could not be written.
    pub origin: Option<PathBuf>,
    /// When it was last changed, in seconds since 1970.
    pub modified_secs: u64,
}

/// Whether a folder looks like a project.
pub fn is_project(path: &Path) -> bool {
    path.is_dir()
        && (path.join(PROJECT_FILE).is_file()
            || path.join(JOURNAL_FOLDER).is_dir()
            || path.extension().is_some_and(|e| e.eq_ignore_ascii_case(EXTENSION)))
}

/// Unsaved work below `root` that no running program holds, newest first.
pub fn recoverable(root: &Path) -> Vec<Recoverable> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut found: Vec<_> = entries.flatten().filter_map(|entry| recoverable_in(&entry.path())).collect();
    found.sort_by_key(|work| std::cmp::Reverse(work.modified_secs));
    found
}

fn recoverable_in(path: &Path) -> Option<Recoverable> {
    let journal = path.join(JOURNAL_FOLDER).join(FIRST_JOURNAL);
    let meta = fs::metadata(&journal).ok()?;
    if meta.len() <= MAGIC.len() as u64 || Lock::take(path).is_err() {
        return None;
    }
    let stored = read_stored(&path.join(PROJECT_FILE)).ok();
    let modified = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Some(Recoverable {
        path: path.to_owned(),
        name: stored.as_ref().map_or_else(|| "Untitled".to_owned(), |stored| stored.name.clone()),
        origin: stored.and_then(|stored| stored.origin),
        modified_secs: modified.map_or(0, |since| since.as_secs()),
    })
}

/// Throws unsaved work away.
///
/// # Errors
/// [`StoreError`] where it is open in another program or cannot be removed.
pub fn discard_recoverable(root: &Path, path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::system("remove the autosave", path, error);
    if path.parent() != Some(root) || Lock::take(path).is_err() {
        return Err(failed(std::io::Error::other("it is in use or no autosave")));
    }
    fs::remove_dir_all(path).map_err(failed)
}

/// Opens a project folder, or recovers an autosave below `autosaves`.
///
/// # Errors
/// [`OpenError`] where nothing of it can be read.
pub fn open(progress: &Progress, path: &Path, autosaves: &Path) -> Result<Opened, OpenError> {
    progress.phase("Opening the project", 0);
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if !is_project(&path) {
        return Err(OpenError::NotAProject { path });
    }
    let mut problems = Problems::new();
    let stored = find_stored(&path, &mut problems)?;
    let is_autosave = autosaves.canonicalize().ok().as_deref() == path.parent();
    let (folder, lock, read_only) = match Lock::take(&path) {
        Ok(lock) => (path.clone(), lock, None),
        Err(refusal) => {
            let (folder, lock) = copy_aside(&path, autosaves)?;
            let why = match refusal {
                Refusal::Held(owner) => format!("it is open in another Waterwindow ({owner})"),
                Refusal::ReadOnly(error) => format!("its folder cannot be written ({error})"),
            };
            (folder, lock, Some(why))
        }
    };
    let mut opening = Opening {
        source_folder: path.clone(),
        arrays_from: stored
            .arrays_from
            .iter()
            .cloned()
            .chain(read_only.iter().map(|_| path.clone()))
            .collect(),
        folder,
        problems,
    };
    let base = opening.read_base(&stored, progress)?;
    let place = if is_autosave || read_only.is_some() { Place::Autosave } else { Place::Own };
    let origin = if read_only.is_some() { Some(path.clone()) } else { stored.origin.clone() };
    let own_path = if is_autosave { stored.origin.clone() } else { Some(path) };
    let mut store = opening.store(stored, place, lock, origin, &base);
    let (project, history, n_unsaved) = opening.replay(&mut store, base, progress)?;
    let read_only = read_only.or_else(|| {
        let recovered = is_autosave && own_path.is_some();
        recovered.then(|| "it was recovered beside its folder".to_owned())
    });
    Ok(Opened { project, history, store, path: own_path, read_only, problems: opening.problems, n_unsaved })
}

/// The newest project.json that can be read; an empty one where the journal must tell everything.
fn find_stored(path: &Path, problems: &mut Problems) -> Result<StoredProject, OpenError> {
    let newest = read_stored(&path.join(PROJECT_FILE));
    let stored = match newest {
        Ok(stored) => stored,
        Err(error) => {
            let before = read_stored(&path.join(PREVIOUS_FILE)).ok();
            let has_journal = path.join(JOURNAL_FOLDER).join(FIRST_JOURNAL).is_file();
            let how = if before.is_some() { "the save before it and the journal" } else { "the journal" };
            let Some(stored) = before.or_else(|| has_journal.then(|| empty_project(path))) else {
                return Err(OpenError::NotAProject { path: path.to_owned() });
            };
            problems.push(format!(
                "{PROJECT_FILE} could not be read ({error}); the project was rebuilt from {how}"
            ));
            stored
        }
    };
    if stored.version > VERSION {
        return Err(OpenError::Newer { found: stored.version, path: path.to_owned() });
    }
    Ok(stored)
}

fn empty_project(path: &Path) -> StoredProject {
    let name =
        path.file_stem().map_or_else(|| "Untitled".to_owned(), |stem| stem.to_string_lossy().into_owned());
    StoredProject {
        version: VERSION,
        program: String::new(),
        name,
        journal: FIRST_JOURNAL.to_owned(),
        journal_bytes: MAGIC.len() as u64,
        next_id: 1,
        layers: Vec::new(),
        classes: crate::volume::ClassTable::default(),
        landmarks: Vec::new(),
        annotations: Vec::new(),
        kept: BTreeMap::new(),
        arrays_from: Vec::new(),
        origin: None,
        extra: serde_json::Map::new(),
    }
}

/// Copies what changes of a project that cannot be written; its arrays are read where they are.
fn copy_aside(path: &Path, autosaves: &Path) -> Result<(PathBuf, Lock), StoreError> {
    let (folder, lock) = new_autosave(autosaves)?;
    let failed = |error| StoreError::system("keep changes aside", &folder, error);
    for name in [PROJECT_FILE, PREVIOUS_FILE] {
        if path.join(name).is_file() {
            fs::copy(path.join(name), folder.join(name)).map_err(failed)?;
        }
    }
    if let Ok(entries) = fs::read_dir(path.join(JOURNAL_FOLDER)) {
        for entry in entries.flatten() {
            fs::copy(entry.path(), folder.join(JOURNAL_FOLDER).join(entry.file_name())).map_err(failed)?;
        }
    }
    Ok((folder, lock))
}

/// A project on its way in.
struct Opening {
    /// Where it was found; files beside it are looked for from here.
    source_folder: PathBuf,
    /// Where it lives from now on.
    folder: PathBuf,
    arrays_from: Vec<PathBuf>,
    problems: Problems,
}

impl Opening {
    fn arrays(&self) -> Arrays {
        Arrays::new(&self.folder, &self.arrays_from)
    }

    /// The document as project.json has it.
    fn read_base(&mut self, stored: &StoredProject, progress: &Progress) -> Result<Project, OpenError> {
        let arrays = self.arrays();
        let context = Reading { folder: &self.source_folder, arrays: &arrays, progress };
        let mut project = Project {
            name: stored.name.clone(),
            classes: stored.classes.clone(),
            landmarks: stored.landmarks.clone(),
            annotations: super::annotation::usable(&stored.annotations, &mut self.problems),
            kept: stored.kept.clone(),
            ..Project::default()
        };
        for layer in stored.layers.iter().cloned() {
            progress.check()?;
            let layer = layer.read(&context, &[], &mut self.problems);
            let (id, index) = (layer.id, project.layers.len());
            if project.apply(super::Edit::AddLayer { index, layer: Box::new(layer) }).is_err() {
                self.problems.push(format!("layer {} is there twice; the second was left out", id.0));
            }
        }
        progress.check()?;
        project.next_id = project.next_id.max(stored.next_id);
        Ok(project)
    }

    fn store(
        &self,
        stored: StoredProject,
        place: Place,
        lock: Lock,
        origin: Option<PathBuf>,
        base: &Project,
    ) -> Store {
        let mut labels = BTreeMap::new();
        let mut layer_extra: BTreeMap<LayerId, _> = BTreeMap::new();
        let mut next_key = 1;
        for layer in stored.layers {
            if let StoredContent::Labels { voxels: Voxels::Array(key), .. } = &layer.content {
                let number = key.rsplit('-').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
                next_key = next_key.max(number + 1);
                if let Some(read) = base.layer(layer.id).filter(|layer| layer.labels().is_some()) {
                    labels.insert(layer.id, (read.revision, key.clone()));
                }
            }
            if !layer.extra.is_empty() {
                layer_extra.insert(layer.id, layer.extra);
            }
        }
        Store {
            folder: self.folder.clone(),
            place,
            arrays_from: self.arrays_from.clone(),
            origin,
            journal: stored.journal,
            journal_base: stored.journal_bytes,
            labels,
            next_key,
            extra: stored.extra,
            layer_extra,
            lock,
        }
    }

    /// Follows the journal: steps before the save become history, those after it are applied again.
    fn replay(
        &mut self,
        store: &mut Store,
        mut project: Project,
        progress: &Progress,
    ) -> Result<(Project, History, usize), OpenError> {
        let path = store.journal_path();
        let failed = |error| OpenError::from(StoreError::system("read the journal", &path, error));
        let mut history = History::default();
        let scan = if path.is_file() { Scan::open(&path).map_err(failed)? } else { None };
        let Some(mut scan) = scan else { return self.without_journal(store, project, history) };
        let base = store.journal_base;
        while scan.ends().0 < base
            && let Some((place, record)) = scan.next().map_err(failed)?
        {
            history.follow(place, &record);
        }
        if scan.ends().0 != base {
            self.problems
                .push("the undo history could not be read; the document itself is complete".to_owned());
            history = History::default();
            if base > scan.ends().1 {
                return self.without_journal(store, project, history);
            }
            scan.seek(base).map_err(failed)?;
        }
        let arrays = self.arrays();
        let context = Reading { folder: &self.source_folder, arrays: &arrays, progress };
        let mut n_unsaved = 0;
        let mut end = scan.ends().0;
        while let Some((place, record)) = scan.next().map_err(failed)? {
            progress.check()?;
            let edit = history.edit_of_record(&record, &context, &path, &mut self.problems);
            if edit.is_none_or(|edit| project.apply(edit).is_err()) {
                break;
            }
            history.follow(place, &record);
            n_unsaved += 1;
            end = scan.ends().0;
        }
        let lost = scan.ends().1 - end;
        if lost > 0 {
            self.problems.push(format!(
                "the last {lost} bytes of the journal could not be read, as after a power cut; everything before them is here"
            ));
        }
        let journal = Journal::open(&path, &self.folder, Some(end)).map_err(failed)?;
        history.attach(journal, &self.folder, arrays);
        Ok((project, history, n_unsaved))
    }

    /// Goes on with an empty journal; project.json must point to it before the first new step.
    fn without_journal(
        &mut self,
        store: &mut Store,
        project: Project,
        mut history: History,
    ) -> Result<(Project, History, usize), OpenError> {
        let path = store.journal_path();
        if path.exists() {
            let aside = path.with_extension("broken");
            fs::rename(&path, &aside)
                .map_err(|e| StoreError::system("set the damaged journal aside", &path, e))?;
        } else {
            fs::create_dir_all(self.folder.join(JOURNAL_FOLDER))
                .map_err(|e| StoreError::system("create the journal", &path, e))?;
        }
        store.start_journal(&mut history)?;
        if let Ok(mut stored) = read_stored(&self.folder.join(PROJECT_FILE)) {
            stored.journal_bytes = store.journal_base;
            write_project(&self.folder, &stored)?;
        }
        Ok((project, history, 0))
    }
}
