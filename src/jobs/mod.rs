//! Long work beside the window: queue, worker, handle.
//!
//! A job gets immutable snapshots, reports to its [`Progress`] and gives back a value; it never
//! touches the document. Each [`Lane`] runs one job at a time on its own named thread, with the
//! parallel loops inside a pool whose size the user sets. A cancelled job counts as cancelled at
//! once and its result is dropped; a panic becomes [`JobState::Failed`].

mod queue;
mod worker;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{Progress, ProgressReport};
use crate::ops::OpError;
pub use crate::ops::Policy;
pub use queue::Jobs;

/// Names a job; never given twice while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Waits for its turn.
    Queued,
    /// At work.
    Running,
    /// Its result has landed.
    Done,
    /// Stopped by the user, or replaced by a newer request. Not an error.
    Cancelled,
    /// It did not give a result: why, in one sentence.
    Failed(String),
}

impl JobState {
    /// Whether nothing more will come of it.
    pub fn is_over(&self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Jobs of one lane run one after the other; lanes run beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Operations of the registry.
    Work,
    /// Live classification, which must not wait for a long reconstruction.
    Live,
    /// Opening, saving, exporting.
    Files,
    /// Figures and films, which saving must not wait for.
    Pictures,
    /// What the views show beside the layers: surfaces of labels.
    Views,
    /// Headers of files, which do not wait for what is read or written meanwhile.
    Looks,
}

impl Lane {
    /// Every lane, those first that somebody waits for at the window.
    pub(crate) const ALL: [Self; 6] =
        [Self::Looks, Self::Live, Self::Files, Self::Work, Self::Pictures, Self::Views];
}

/// Why a job gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The owner cancelled.
    #[error("cancelled")]
    Cancelled,
    /// It failed; its own sentence.
    #[error("{0}")]
    Failed(String),
}

impl From<OpError> for JobError {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Cancelled(_) => Self::Cancelled,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<crate::base::Cancelled> for JobError {
    fn from(_: crate::base::Cancelled) -> Self {
        Self::Cancelled
    }
}

/// The work itself: it owns its snapshots.
pub type Work<T> = Box<dyn FnOnce(&Progress) -> Result<T, JobError> + Send>;

/// A request for work.
pub struct JobSpec<T> {
    /// What the list of jobs shows.
    pub label: String,
    /// Requests of one key follow `policy` among themselves.
    pub key: String,
    /// Where it runs.
    pub lane: Lane,
    /// What happens to an earlier request of the same key that is not over.
    pub policy: Policy,
    /// The work.
    pub work: Work<T>,
}

/// A job as the window shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobView {
    /// Its name for the program.
    pub id: JobId,
    /// Its name for the user.
    pub label: String,
    /// Where it runs.
    pub lane: Lane,
    /// Where it stands.
    pub state: JobState,
    /// Phase and counts.
    pub report: ProgressReport,
    /// Seconds since it started; 0 while it waits.
    pub elapsed_secs: f32,
    /// Seconds left in this phase; only after 3 % of it are done.
    pub eta_secs: Option<f32>,
}

/// A job that is over.
#[derive(Debug)]
pub struct Finished<T> {
    /// Which.
    pub id: JobId,
    /// Its name for the user.
    pub label: String,
    /// Where it ran.
    pub lane: Lane,
    /// How long it worked.
    pub elapsed: Duration,
    /// What came of it.
    pub result: Result<T, JobError>,
}
