//! Progress and cancel: one token that a worker reports to and its owner reads and cancels.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::give_way::GiveWay;

/// The work was cancelled by its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// What a [`Progress`] says at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressReport {
    /// What is being done, in words a user understands.
    pub phase: String,
    /// Units of work done in this phase.
    pub done: u64,
    /// Units of work of this phase; 0 where unknown.
    pub total: u64,
}

impl ProgressReport {
    /// Fraction of the phase that is done, 0 to 1; `None` where the total is unknown.
    pub fn fraction(&self) -> Option<f32> {
        (self.total > 0).then(|| (self.done as f32 / self.total as f32).min(1.0))
    }
}

#[derive(Debug, Default)]
struct Shared {
    cancelled: Arc<AtomicBool>,
    way: GiveWay,
    done: AtomicU64,
    total: AtomicU64,
    phase: Mutex<String>,
}

/// A handle shared by a worker and its owner; clones are the same token.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Shared>);

impl Progress {
    /// A fresh token, nothing done, not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// A fresh token of work that lets a hand at the window go first.
    pub fn giving_way(way: &GiveWay) -> Self {
        Self(Arc::new(Shared { way: way.clone(), ..Shared::default() }))
    }

    /// A token for a part of the work: cancelled with this one, its phases and counts are its own.
    #[must_use]
    pub fn part(&self) -> Self {
        Self(Arc::new(Shared {
            cancelled: Arc::clone(&self.0.cancelled),
            way: self.0.way.clone(),
            ..Shared::default()
        }))
    }

    /// Starts a phase of `total` units of work; 0 means that the total is unknown.
    pub fn phase(&self, name: &str, total: u64) {
        name.clone_into(&mut self.0.phase.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.done.store(0, Ordering::Relaxed);
        self.0.total.store(total, Ordering::Relaxed);
    }

    /// Adds `n` units of work done.
    pub fn advance(&self, n: u64) {
        self.0.done.fetch_add(n, Ordering::Relaxed);
    }

    /// Asks the worker to stop; it does at its next [`Progress::check`].
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the owner asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// Returns [`Cancelled`] once the owner asked to stop. Workers call it at least every 50 ms, and rest in it, 20 ms at
    /// most, while somebody at the window goes first.
    ///
    /// # Errors
    /// [`Cancelled`] after [`Progress::cancel`].
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            return Err(Cancelled);
        }
        self.0.way.rest();
        Ok(())
    }

    /// Phase and counts as they are now.
    pub fn report(&self) -> ProgressReport {
        ProgressReport {
            phase: self.0.phase.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            done: self.0.done.load(Ordering::Relaxed),
            total: self.0.total.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancel_is_seen_by_every_clone_and_counts_add_up() {
        let owner = Progress::new();
        let worker = owner.clone();
        worker.phase("Filtering", 4);
        worker.advance(1);
        assert_eq!(owner.report().fraction(), Some(0.25));
        assert_eq!(worker.check(), Ok(()));
        let part = worker.part();
        part.phase("Part", 9);
        assert_eq!(owner.report().phase, "Filtering", "a part says nothing of the whole");
        owner.cancel();
        assert_eq!(part.check(), Err(Cancelled));
        assert_eq!(worker.check(), Err(Cancelled));
    }
}
