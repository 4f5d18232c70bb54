//! The list of jobs: what waits, what runs, what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::worker::{Report, Waker, start};
use super::{Finished, JobError, JobId, JobSpec, JobState, JobView, Lane, Policy, Work};
use crate::base::{GiveWay, Progress};

/// Reports that may wait for a poll before workers do.
const REPORT_BOUND: usize = 64;
/// Jobs that are over and still listed.
const LISTED_MAX: usize = 50;
/// A time left is told only after this fraction of a phase.
const ETA_FROM_FRACTION: f32 = 0.03;

struct Entry<T> {
    id: JobId,
    label: String,
    key: String,
    lane: Lane,
    state: JobState,
    progress: Progress,
    work: Option<Work<T>>,
    started: Option<Instant>,
    elapsed: Duration,
    phase: (String, Option<Instant>),
}

/// All jobs of a session. `T` is what a job gives back.
pub struct Jobs<T> {
    entries: Vec<Entry<T>>,
    /// Which job's thread holds a lane; a cancelled job holds it until it has really stopped.
    busy: BTreeMap<Lane, JobId>,
    pools: BTreeMap<Lane, Arc<ThreadPool>>,
    n_threads: usize,
    next_id: u64,
    sender: SyncSender<Report<T>>,
    receiver: Receiver<Report<T>>,
    waker: Option<Waker>,
    /// Who at the window goes first.
    way: GiveWay,
    /// Jobs that ended without ever having run.
    unreported: Vec<Finished<T>>,
}

impl<T: Send + 'static> Jobs<T> {
    /// No jobs; parallel loops will use `n_threads` (0: as many as there are cores).
    pub fn new(n_threads: usize) -> Self {
        let (sender, receiver) = sync_channel(REPORT_BOUND);
        Self {
            entries: Vec::new(),
            busy: BTreeMap::new(),
            pools: BTreeMap::new(),
            n_threads,
            next_id: 1,
            sender,
            receiver,
            waker: None,
            way: GiveWay::default(),
            unreported: Vec::new(),
        }
    }

    /// Sets what workers call when something changed.
    pub fn set_waker(&mut self, waker: Arc<dyn Fn() + Send + Sync>) {
        self.waker = Some(waker);
    }

    /// Where a hand at the window says that it goes first.
    pub fn way(&self) -> &GiveWay {
        &self.way
    }

    /// Sets how many threads jobs use from the next start on (0: as many as there are cores).
    pub fn set_threads(&mut self, n_threads: usize) {
        if n_threads != self.n_threads {
            self.n_threads = n_threads;
            self.pools.clear();
        }
    }

    /// Queues work and starts it as soon as its lane is free.
    pub fn submit(&mut self, spec: JobSpec<T>) -> JobId {
        if spec.policy == Policy::Latest {
            let older: Vec<_> = self
                .entries
                .iter()
                .filter(|entry| entry.key == spec.key && !entry.state.is_over())
                .map(|entry| entry.id)
                .collect();
            older.into_iter().for_each(|id| self.cancel(id));
        }
        let id = JobId(self.next_id);
        self.next_id += 1;
        self.entries.push(Entry {
            id,
            label: spec.label,
            key: spec.key,
            lane: spec.lane,
            state: JobState::Queued,
            progress: Progress::giving_way(&self.way),
            work: Some(spec.work),
            started: None,
            elapsed: Duration::ZERO,
            phase: (String::new(), None),
        });
        self.start_waiting();
        self.forget_old();
        id
    }

    /// Cancels a job: it counts as cancelled now, and its thread stops at its next check.
    pub fn cancel(&mut self, id: JobId) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id && !entry.state.is_over()) {
            entry.progress.cancel();
            entry.work = None;
            entry.elapsed = entry.started.map_or(Duration::ZERO, |at| at.elapsed());
            entry.state = JobState::Cancelled;
            self.unreported.push(Finished {
                id,
                label: entry.label.clone(),
                lane: entry.lane,
                elapsed: entry.elapsed,
                result: Err(JobError::Cancelled),
            });
        }
    }

    /// Cancels everything of a lane that is not over.
    pub fn cancel_lane(&mut self, lane: Lane) {
        let ids: Vec<_> =
            self.entries.iter().filter(|entry| entry.lane == lane).map(|entry| entry.id).collect();
        ids.into_iter().for_each(|id| self.cancel(id));
    }

    /// Takes jobs that are over off the list.
    pub fn clear_finished(&mut self) {
        self.entries.retain(|entry| !entry.state.is_over());
    }

    /// Collects what has ended since the last call, and starts what waits.
    pub fn poll(&mut self) -> Vec<Finished<T>> {
        let mut finished = std::mem::take(&mut self.unreported);
        while let Ok(report) = self.receiver.try_recv() {
            finished.extend(self.settle(report));
        }
        for entry in self.entries.iter_mut().filter(|entry| entry.state == JobState::Running) {
            let phase = entry.progress.report().phase;
            if entry.phase.1.is_none() || entry.phase.0 != phase {
                entry.phase = (phase, Some(Instant::now()));
            }
        }
        self.start_waiting();
        finished
    }

    /// Waits up to `timeout` for a worker to report; true where one did.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        if !self.unreported.is_empty() {
            return true;
        }
        let Ok(report) = self.receiver.recv_timeout(timeout) else { return false };
        let finished = self.settle(report);
        self.unreported.extend(finished);
        true
    }

    /// Whether no job waits or runs and no thread is left at work.
    pub fn is_idle(&self) -> bool {
        self.busy.is_empty() && self.unreported.is_empty() && self.entries.iter().all(|e| e.state.is_over())
    }

    /// Whether a job of this lane waits or runs.
    pub fn is_lane_active(&self, lane: Lane) -> bool {
        self.entries.iter().any(|entry| entry.lane == lane && !entry.state.is_over())
    }

    /// All jobs, oldest first.
    pub fn views(&self) -> Vec<JobView> {
        self.entries.iter().map(Entry::view).collect()
    }

    fn settle(&mut self, report: Report<T>) -> Option<Finished<T>> {
        self.busy.retain(|_, id| *id != report.id);
        let entry = self.entries.iter_mut().find(|entry| entry.id == report.id)?;
        if entry.state != JobState::Running {
            // Cancelled before: told then, and whatever came of it is dropped.
            return None;
        }
        entry.elapsed = report.elapsed;
        entry.state = match &report.result {
            Ok(_) => JobState::Done,
            Err(JobError::Cancelled) => JobState::Cancelled,
            Err(JobError::Failed(sentence)) => JobState::Failed(sentence.clone()),
        };
        Some(Finished {
            id: report.id,
            label: entry.label.clone(),
            lane: entry.lane,
            elapsed: report.elapsed,
            result: report.result,
        })
    }

    fn start_waiting(&mut self) {
        for lane in Lane::ALL {
            while !self.busy.contains_key(&lane) {
                let next = self.entries.iter().position(|e| e.lane == lane && e.state == JobState::Queued);
                let Some(at) = next else { break };
                self.start_entry(at, lane);
            }
        }
    }

    fn start_entry(&mut self, at: usize, lane: Lane) {
        let pool = self.pool(lane);
        let entry = &mut self.entries[at];
        let Some(work) = entry.work.take() else {
            entry.state = JobState::Cancelled;
            return;
        };
        entry.state = JobState::Running;
        entry.started = Some(Instant::now());
        let started = pool.and_then(|pool| {
            let (sender, waker) = (self.sender.clone(), self.waker.clone());
            start(entry.id, work, entry.progress.clone(), pool, sender, waker).map_err(|e| e.to_string())
        });
        match started {
            Ok(()) => {
                self.busy.insert(lane, entry.id);
            }
            Err(error) => {
                let sentence = format!(
                    "the system gave no thread for it ({error}); close other programs and start it again"
                );
                entry.state = JobState::Failed(sentence.clone());
                self.unreported.push(Finished {
                    id: entry.id,
                    label: entry.label.clone(),
                    lane: entry.lane,
                    elapsed: Duration::ZERO,
                    result: Err(JobError::Failed(sentence)),
                });
            }
        }
    }

    fn pool(&mut self, lane: Lane) -> Result<Arc<ThreadPool>, String> {
        if let Some(pool) = self.pools.get(&lane) {
            return Ok(Arc::clone(pool));
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(self.n_threads)
            .thread_name(move |n| format!("{lane:?}-{n}").to_lowercase())
            .build()
            .map_err(|error| error.to_string())?;
        let pool = Arc::new(pool);
        self.pools.insert(lane, Arc::clone(&pool));
        Ok(pool)
    }

    fn forget_old(&mut self) {
        let over = self.entries.iter().filter(|entry| entry.state.is_over()).count();
        let mut surplus = over.saturating_sub(LISTED_MAX);
        self.entries.retain(|entry| {
            let drop = surplus > 0 && entry.state.is_over();
            surplus -= usize::from(drop);
            !drop
        });
    }
}

impl<T> Drop for Jobs<T> {
    fn drop(&mut self) {
        self.entries.iter().for_each(|entry| entry.progress.cancel());
    }
}

impl<T> Entry<T> {
    fn view(&self) -> JobView {
        let report = self.progress.report();
        let elapsed = match (&self.state, self.started) {
            (JobState::Running, Some(at)) => at.elapsed(),
            _ => self.elapsed,
        };
        let in_phase =
            self.phase.1.filter(|_| self.phase.0 == report.phase && self.state == JobState::Running);
        let eta_secs = report
            .fraction()
            .filter(|fraction| *fraction >= ETA_FROM_FRACTION)
            .zip(in_phase)
            .map(|(fraction, since)| since.elapsed().as_secs_f32() * (1.0 - fraction) / fraction);
        JobView {
            id: self.id,
            label: self.label.clone(),
            lane: self.lane,
            state: self.state.clone(),
            report,
            elapsed_secs: elapsed.as_secs_f32(),
            eta_secs,
        }
    }
}
