//! Undo and redo: the inverse of every step.

use std::time::{Duration, Instant};

use super::edit::{Edit, EditError};
use super::{LayerId, Project};

/// Changes of one setting of one thing within this time are one step: a slider that is dragged.
const SAME_GESTURE: Duration = Duration::from_millis(800);

/// One step that can be taken back, or done again.
#[derive(Debug)]
struct Step {
    label: String,
    edit: Edit,
}

/// The steps behind and ahead of the document as it is.
#[derive(Debug, Default)]
pub struct History {
    undo: Vec<Step>,
    redo: Vec<Step>,
    last: Option<(Setting, Instant)>,
}

/// The one setting that an edit gives a new value, where it does no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Name(LayerId),
    Display(LayerId),
    Placement(LayerId),
    Class(u16),
}

impl Setting {
    fn of(edit: &Edit) -> Option<Self> {
        match edit {
            Edit::RenameLayer { layer, .. } => Some(Self::Name(*layer)),
            Edit::SetDisplay { layer, .. } => Some(Self::Display(*layer)),
            Edit::SetPlacement { layer, .. } => Some(Self::Placement(*layer)),
            Edit::SetClass(class) => Some(Self::Class(class.id)),
            _ => None,
        }
    }
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

    /// Keeps the inverse of an edit that was just applied. What could be redone is gone.
    pub fn record(&mut self, label: String, edit: &Edit, inverse: Edit) {
        self.redo.clear();
        let setting = Setting::of(edit);
        let now = Instant::now();
        let same = setting.is_some_and(|setting| {
            self.last.is_some_and(|(last, at)| last == setting && now.duration_since(at) < SAME_GESTURE)
        });
        // The older inverse already leads back to before the gesture.
        if !(same && self.undo.last().is_some_and(|step| step.label == label)) {
            self.undo.push(Step { label, edit: inverse });
        }
        self.last = setting.map(|setting| (setting, now));
    }

    /// Takes the last step back; returns what was applied.
    ///
    /// # Errors
    /// [`EditError`] where the document does not fit the history any more; nothing has changed then.
    pub fn undo(&mut self, project: &mut Project) -> Result<Option<(String, Edit)>, EditError> {
        let Some(Step { label, edit }) = self.undo.pop() else { return Ok(None) };
        self.last = None;
        let inverse = project.apply(edit.clone())?;
        self.redo.push(Step { label: label.clone(), edit: inverse });
        Ok(Some((label, edit)))
    }

    /// Does the step again that was taken back last; returns what was applied.
    ///
    /// # Errors
    /// [`EditError`] where the document does not fit the history any more; nothing has changed then.
    pub fn redo(&mut self, project: &mut Project) -> Result<Option<(String, Edit)>, EditError> {
        let Some(Step { label, edit }) = self.redo.pop() else { return Ok(None) };
        self.last = None;
        let inverse = project.apply(edit.clone())?;
        self.undo.push(Step { label: label.clone(), edit: inverse });
        Ok(Some((label, edit)))
    }
}
