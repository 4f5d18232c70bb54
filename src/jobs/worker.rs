//! One job on one named thread: whatever happens in it, exactly one report comes out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use rayon::ThreadPool;

use super::{JobError, JobId, Work};
use crate::base::Progress;

/// Called by a worker when something changed; the window asks for a repaint.
pub(super) type Waker = Arc<dyn Fn() + Send + Sync>;

/// What a worker sends when it is through.
pub(super) struct Report<T> {
    pub(super) id: JobId,
    pub(super) elapsed: Duration,
    pub(super) result: Result<T, JobError>,
}

/// Sends the report when it goes out of scope, so that no path leaves a job running for ever.
struct Guard<T> {
    id: JobId,
    started: Instant,
    result: Option<Result<T, JobError>>,
    reports: SyncSender<Report<T>>,
    waker: Option<Waker>,
}

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        let result = self
            .result
            .take()
            .unwrap_or_else(|| Err(JobError::Failed("the worker stopped without a result".to_owned())));
        let report = Report { id: self.id, elapsed: self.started.elapsed(), result };
        // The receiver is gone only when the program ends; nobody is left to tell.
        if self.reports.send(report).is_ok()
            && let Some(waker) = &self.waker
        {
            waker();
        }
    }
}

/// Starts `work` on a thread of its own, its parallel loops in `pool`.
///
/// # Errors
/// The system's sentence where it gives no thread.
pub(super) fn start<T: Send + 'static>(
    id: JobId,
    work: Work<T>,
    progress: Progress,
    pool: Arc<ThreadPool>,
    reports: SyncSender<Report<T>>,
    waker: Option<Waker>,
) -> std::io::Result<()> {
    let run = move || {
        let mut guard = Guard { id, started: Instant::now(), result: None, reports, waker };
        let result = catch_unwind(AssertUnwindSafe(|| {
            progress.check().map_err(JobError::from)?;
            pool.install(|| work(&progress))
        }));
        guard.result = Some(result.unwrap_or_else(|panic| Err(JobError::Failed(panic_sentence(&*panic)))));
    };
    std::thread::Builder::new().name(format!("job-{}", id.0)).spawn(run).map(drop)
}

fn panic_sentence(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    format!("a fault in the program stopped it ({words}); everything else is as it was. Please report this")
}
