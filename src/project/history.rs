//! Undo and redo without a practical end.
//!
//! Every step goes into the journal as it is made, together with its inverse. The newest
//! inverses are also held in memory; beyond a budget the oldest are let go and read back from
//! the journal when they are wanted. That is also how steps of an earlier session are undone.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::arrays::Arrays;
use super::edit::{Edit, EditError};
use super::journal::{self, Journal, Place, RawRecord, Record};
use super::stored::{Reading, decode_edit};
use super::{LayerId, Project};
use crate::base::Progress;

/// Changes of one setting of one thing within this time are one step: a slider that is dragged.
const SAME_GESTURE: Duration = Duration::from_millis(800);
/// Bytes of inverses held in memory.
const MEMORY_BUDGET: u64 = 512 << 20;

/// A step could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It does not fit the document.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// It cannot be read back.
    #[error("the step “{label}” cannot be read from the journal ({problem}); the document is as it was")]
    Unreadable {
        /// What the step was.
        label: String,
        /// What is wrong.
        problem: String,
    },
}

/// One step that can be taken back, or done again.
#[derive(Debug)]
struct Step {
    label: String,
    /// What to apply; `None` where it must be read from the journal.
    held: Option<Edit>,
    bytes: u64,
    /// The record of the step.
    done: Place,
    /// The record with the last form of the step: another one where it was amended.
    latest: Place,
}

/// The steps behind and ahead of the document as it is.
#[derive(Debug)]
pub struct History {
    undo: Vec<Step>,
    redo: Vec<Step>,
    last: Option<(Setting, Instant)>,
    journal: Option<Journal>,
    /// Where the arrays are that a step from the journal may need.
    arrays: Arrays,
    folder: PathBuf,
    budget: u64,
    held: u64,
}

impl Default for History {
    fn default() -> Self {
        Self {
            undo: Vec::new(),
            redo: Vec::new(),
            last: None,
            journal: None,
            arrays: Arrays::default(),
            folder: PathBuf::new(),
            budget: MEMORY_BUDGET,
            held: 0,
        }
    }
}

/// The one setting that an edit gives a new value, where it does no more than that.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Setting {
    Name(LayerId),
    Display(LayerId),
    Placement(LayerId),
    Class(u16),
    /// Of a list of so many: one that is added or removed is a step of its own.
    Annotations(usize),
    Kept(String),
}

impl Setting {
    fn of(edit: &Edit) -> Option<Self> {
        match edit {
            Edit::RenameLayer { layer, .. } => Some(Self::Name(*layer)),
            Edit::SetDisplay { layer, .. } => Some(Self::Display(*layer)),
            Edit::SetPlacement { layer, .. } => Some(Self::Placement(*layer)),
            Edit::SetClass(class) => Some(Self::Class(class.id)),
            Edit::SetAnnotations(list) => Some(Self::Annotations(list.len())),
            Edit::Keep { name, .. } => Some(Self::Kept(name.clone())),
            _ => None,
        }
    }
}

/// Which half of a record.
#[derive(Clone, Copy)]
enum Half {
    Forward,
    Inverse,
}

impl History {
    /// What "Undo" would take back.
    pub fn undo_label(&self) -> Option<&str> {
        self.undo.last().map(|step| step.label.as_str())
    }

    /// What "Redo" would do again.
    pub fn redo_label(&self) -> Option<&str> {
        self.redo.last().map(|step| step.label.as_str())
    }

    /// Number of steps that can be taken back.
    pub fn n_undo(&self) -> usize {
        self.undo.len()
    }

    /// Keeps an edit that was just applied, and its inverse. What could be redone is gone.
    pub fn record(&mut self, label: String, edit: Edit, inverse: Edit) {
        self.clear_redo();
        let setting = Setting::of(&edit);
        let now = Instant::now();
        let same = setting.is_some()
            && self
                .last
                .as_ref()
                .is_some_and(|(last, at)| Some(last) == setting.as_ref() && now - *at < SAME_GESTURE)
            && self.undo_label() == Some(label.as_str());
        self.last = setting.map(|setting| (setting, now));
        // In the same gesture the older inverse already leads back to before it.
        if same && let Some(step) = self.undo.last_mut() {
            if let Some(journal) = &self.journal {
                step.latest = journal.append(Record::Amend { forward: edit });
            }
            return;
        }
        let held = inverse.clone();
        let done = match &self.journal {
            Some(journal) => journal.append(Record::Do { label: label.clone(), forward: edit, inverse }),
            None => Place::default(),
        };
        let step = Step { label, held: None, bytes: 0, latest: Place::clone(&done), done };
        let step = self.holding(step, held);
        self.undo.push(step);
        self.trim();
    }

    /// Takes the last step back; returns what was applied.
    ///
    /// # Errors
    /// [`HistoryError`] where the step cannot be read or does not fit; nothing has changed then.
    pub fn undo(&mut self, project: &mut Project) -> Result<Option<(String, Edit)>, HistoryError> {
        let Some(step) = self.undo.last() else { return Ok(None) };
        let edit = self.edit_of(step, Half::Inverse)?;
        let forward = project.apply(edit.clone())?;
        let Some(step) = self.undo.pop() else { return Ok(None) };
        self.write(Record::Undo);
        self.let_go(&step);
        let label = step.label.clone();
        let step = self.holding(step, forward);
        self.redo.push(step);
        self.last = None;
        Ok(Some((label, edit)))
    }

    /// Does the step again that was taken back last; returns what was applied.
    ///
    /// # Errors
    /// [`HistoryError`] where the step cannot be read or does not fit; nothing has changed then.
    pub fn redo(&mut self, project: &mut Project) -> Result<Option<(String, Edit)>, HistoryError> {
        let Some(step) = self.redo.last() else { return Ok(None) };
        let edit = self.edit_of(step, Half::Forward)?;
        let inverse = project.apply(edit.clone())?;
        let Some(step) = self.redo.pop() else { return Ok(None) };
        self.write(Record::Redo);
        self.let_go(&step);
        let label = step.label.clone();
        let step = self.holding(step, inverse);
        self.undo.push(step);
        self.last = None;
        self.trim();
        Ok(Some((label, edit)))
    }

    /// Waits until every step is on the disk; false where the journal could not be written or there is none.
    pub fn flush_journal(&self) -> bool {
        self.flush().is_some()
    }

    /// Why the journal is not written any more, if so.
    pub fn problem(&self) -> Option<String> {
        self.journal.as_ref()?.problem()
    }

    /// Waits until the journal is on the disk; gives its length, `None` where there is none.
    pub(super) fn flush(&self) -> Option<u64> {
        self.journal.as_ref()?.flush()
    }

    /// Stops writing; the steps in memory stay.
    pub(super) fn close_journal(&mut self) {
        self.journal = None;
    }

    /// Goes on in another journal, in which all records so far lie at the same places.
    pub(super) fn attach(&mut self, journal: Journal, folder: &Path, arrays: Arrays) {
        self.journal = Some(journal);
        folder.clone_into(&mut self.folder);
        self.arrays = arrays;
    }

    /// Goes on in a fresh journal: steps that are held in memory stay, those that are not are lost.
    pub(super) fn attach_fresh(&mut self, journal: Journal, folder: &Path, arrays: Arrays) {
        let first_held = self.undo.iter().rposition(|step| step.held.is_none()).map_or(0, |at| at + 1);
        self.undo.drain(..first_held);
        let first_held = self.redo.iter().rposition(|step| step.held.is_none()).map_or(0, |at| at + 1);
        self.redo.drain(..first_held);
        for step in self.undo.iter_mut().chain(&mut self.redo) {
            (step.done, step.latest) = (Place::default(), Place::default());
        }
        self.attach(journal, folder, arrays);
    }

    /// Follows a record of the journal, without the document.
    pub(super) fn follow(&mut self, place: u64, record: &RawRecord) {
        let at = Place::default();
        // A fresh place is empty.
        let _ = at.set(place);
        match record {
            RawRecord::Do { label, .. } => {
                self.clear_redo();
                let (label, latest) = (label.clone(), Place::clone(&at));
                self.undo.push(Step { label, held: None, bytes: 0, done: at, latest });
            }
            RawRecord::Amend { .. } => {
                if let Some(step) = self.undo.last_mut() {
                    step.latest = at;
                }
            }
            RawRecord::Undo => self.redo.extend(self.undo.pop()),
            RawRecord::Redo => self.undo.extend(self.redo.pop()),
        }
    }

    /// The edit that a record of the journal applied, when [`History::follow`] has not yet been told of it.
    pub(super) fn edit_of_record(
        &self,
        record: &RawRecord,
        context: &Reading<'_>,
        path: &Path,
        problems: &mut Vec<String>,
    ) -> Option<Edit> {
        let stored = |step: &Step, half| Self::read_step(path, step, half).ok();
        let bytes = match record {
            RawRecord::Do { forward, .. } | RawRecord::Amend { forward } => Some(forward.clone()),
            RawRecord::Undo => stored(self.undo.last()?, Half::Inverse),
            RawRecord::Redo => stored(self.redo.last()?, Half::Forward),
        };
        decode_edit(&bytes?, context, problems)
    }

    fn read_step(path: &Path, step: &Step, half: Half) -> Result<Vec<u8>, String> {
        let place = match half {
            Half::Forward => &step.latest,
            Half::Inverse => &step.done,
        };
        let place = place.get().ok_or("it was never written")?;
        match (journal::read_at(path, *place).map_err(|error| error.to_string())?, half) {
            (Some(RawRecord::Do { forward, .. } | RawRecord::Amend { forward }), Half::Forward) => {
                Ok(forward)
            }
            (Some(RawRecord::Do { inverse, .. }), Half::Inverse) => Ok(inverse),
            _ => Err("the record is damaged".to_owned()),
        }
    }

    fn edit_of(&self, step: &Step, half: Half) -> Result<Edit, HistoryError> {
        if let Some(edit) = &step.held {
            return Ok(edit.clone());
        }
        let unreadable = |problem: String| HistoryError::Unreadable { label: step.label.clone(), problem };
        let journal = self.journal.as_ref().ok_or_else(|| unreadable("there is no journal".to_owned()))?;
        let bytes = Self::read_step(journal.path(), step, half).map_err(unreadable)?;
        let progress = Progress::new();
        let context = Reading { folder: &self.folder, arrays: &self.arrays, progress: &progress };
        decode_edit(&bytes, &context, &mut Vec::new())
            .ok_or_else(|| unreadable("the record is damaged".to_owned()))
    }

    fn holding(&mut self, step: Step, edit: Edit) -> Step {
        let bytes = edit.heap_bytes();
        self.held += bytes;
        Step { held: Some(edit), bytes, ..step }
    }

    fn let_go(&mut self, step: &Step) {
        self.held -= if step.held.is_some() { step.bytes } else { 0 };
    }

    fn write(&self, record: Record) {
        if let Some(journal) = &self.journal {
            journal.append(record);
        }
    }

    fn clear_redo(&mut self) {
        for step in std::mem::take(&mut self.redo) {
            self.let_go(&step);
        }
    }

    /// Lets the oldest inverses go that the journal has; without a journal they stay.
    fn trim(&mut self) {
        for step in &mut self.undo {
            if self.held <= self.budget {
                return;
            }
            if step.held.is_some() && step.done.get().is_some() {
                step.held = None;
                self.held -= step.bytes;
            }
        }
    }
}
