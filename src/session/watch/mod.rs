//! Follows a folder while a microscope writes into it.
//!
//! A scan that grows is added view by view to a running volume ([`series`]); one that has come to rest is worked on
//! by the recipe. Nothing is taken for finished while it still changes, what cannot be read yet is tried again when it
//! has changed, and what was finished is remembered in the folder of the results, so that the watch can be stopped and
//! started anew at any time.

mod series;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::outputs::write_outcome;
use crate::base::{MemoryBudget, Progress};
use crate::gpu::DeviceChoice;
use crate::io::{self, IoError, ScanOptions};
use crate::ops::op::typed;
use crate::ops::recipe::Recipe;
use crate::ops::{self, Context, Data, OpError};
use crate::recon::ReconstructParams;
use crate::volume::{Scan, ViewShift};
use series::Growing;
use source::{Seen, Stamp};

pub use series::{AddedView, Resolution};

/// Name of the list of what is finished, in the folder of the results.
const RECORD: &str = "watch.json";

/// What is followed and how.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The folder.
    pub folder: PathBuf,
    /// Where results go.
    pub out: PathBuf,
    /// What is done with a scan that has come to rest.
    pub recipe: Recipe,
    /// What the files do not say.
    pub scan: ScanOptions,
    /// How long a scan must not change until it counts as finished.
    pub settle: Duration,
    /// The volume so far is written and judged no more often than this.
    pub write_every: Duration,
    /// New views after which the recipe is run on what is there, beside the watch; never where 0.
    pub refine_every: usize,
    /// How much memory it may take.
    pub budget: MemoryBudget,
    /// Where it may compute.
    pub device: DeviceChoice,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// A scan that grows was found.
    Grows {
        /// The scan.
        scan: PathBuf,
    },
    /// A view was added.
    View {
        /// The scan.
        scan: PathBuf,
        /// The view.
        added: AddedView,
    },
    /// The volume so far was written.
    Written {
        /// The scan.
        scan: PathBuf,
        /// The volume.
        volume: PathBuf,
        /// Views in it.
        n_views: usize,
    },
    /// The volume so far was judged.
    Judged {
        /// The scan.
        scan: PathBuf,
        /// How fine it is.
        resolution: Resolution,
    },
    /// The recipe has been run on the views so far.
    Refined {
        /// The scan.
        scan: PathBuf,
        /// The results.
        outputs: Vec<PathBuf>,
    },
    /// A scan is finished.
    Finished {
        /// The scan.
        scan: PathBuf,
        /// The results.
        outputs: Vec<PathBuf>,
        /// Sentences of the steps.
        notes: Vec<String>,
    },
    /// A scan cannot be read or worked on as it is now; it is tried again when it has changed.
    Waiting {
        /// The scan.
        scan: PathBuf,
        /// Why, in one sentence.
        problem: String,
    },
}

/// What is finished, as it was then.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    #[serde(rename = "waterwindow_watch")]
    version: u32,
    finished: BTreeMap<String, Stamp>,
}

/// A scan that grows and what is known of its writing.
struct Live {
    growing: Growing,
    written: Option<Instant>,
    written_views: usize,
    refined_views: usize,
    told_flat: bool,
}

/// The recipe at work on the views so far.
struct Refining {
    scan: PathBuf,
    progress: Progress,
    result: Receiver<Result<Vec<PathBuf>, String>>,
}

impl Drop for Refining {
    fn drop(&mut self) {
        self.progress.cancel();
    }
}

/// Follows a folder: call [`Watcher::step`] again and again.
pub struct Watcher {
    options: WatchOptions,
    record: Record,
    seen: BTreeMap<PathBuf, Seen>,
    live: BTreeMap<PathBuf, Live>,
    refining: Option<Refining>,
    normalize: Value,
    reconstruct: ReconstructParams,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Parameters that a recipe has for an operation, the last of several.
fn params_of(recipe: &Recipe, op: &str) -> Value {
    recipe.steps.iter().rev().find(|step| step.op == op).map_or(Value::Null, |step| step.params.clone())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Watcher {
    /// Reads what was finished before, if anything.
    ///
    /// # Errors
    /// One sentence: no folder, a recipe whose parameters make no sense, a place that takes no results.
    pub fn new(options: WatchOptions) -> Result<Self, OpError> {
        let problem = |error: IoError| OpError::Method(error.to_string());
        if !options.folder.is_dir() {
            return Err(OpError::Method(format!("{} is no folder", options.folder.display())));
        }
        io::create_folder(&options.out).map_err(problem)?;
        let file = options.out.join(RECORD);
        io::check_writable(&file).map_err(problem)?;
        let record = if file.is_file() {
            serde_json::from_str(&io::read_text(&file).map_err(problem)?).map_err(|error| {
                let file = file.display();
                OpError::Method(format!("{file}: not a record of a watch: {error}; remove it to start anew"))
            })?
        } else {
            Record { version: 1, ..Record::default() }
        };
        let op = ops::find("reconstruct");
        let params = params_of(&options.recipe, "reconstruct");
        let params = op.map_or(Ok(Value::Null), |op| op.complete(&params))?;
        Ok(Self {
            normalize: params_of(&options.recipe, "normalize"),
            reconstruct: typed(&params)?,
            record,
            seen: BTreeMap::new(),
            live: BTreeMap::new(),
            refining: None,
            options,
        })
    }

    /// Whether everything that lies in the folder is finished or waits for its files to change.
    pub fn is_idle(&self) -> bool {
        self.refining.is_none()
            && self.live.is_empty()
            && self
                .seen
                .iter()
                .all(|(path, seen)| self.is_finished(path, seen.stamp) || seen.read_at == Some(seen.stamp))
    }

    fn is_finished(&self, path: &Path, stamp: Stamp) -> bool {
        self.record.finished.get(&name_of(path)) == Some(&stamp)
    }

    fn context(&self, progress: &Progress) -> Context {
        Context { progress: progress.clone(), budget: self.options.budget, device: self.options.device }
    }

    /// Looks once and does what is to be done; `tell` hears of everything as it happens.
    ///
    /// # Errors
    /// [`OpError::Cancelled`], and where the folder or the results cannot be reached. A scan that fails is told as
    /// [`WatchEvent::Waiting`] and does not stop the watch.
    pub fn step(&mut self, progress: &Progress, mut tell: impl FnMut(WatchEvent)) -> Result<(), OpError> {
        let problem = |error: IoError| OpError::Method(error.to_string());
        source::look(&self.options.folder, &self.options.out, &mut self.seen).map_err(problem)?;
        self.live.retain(|path, _| self.seen.contains_key(path));
        let due: Vec<(PathBuf, Seen)> = self
            .seen
            .iter()
            .filter(|(path, seen)| !self.is_finished(path, seen.stamp))
            .map(|(path, seen)| (path.clone(), seen.clone()))
            .collect();
        for (path, seen) in due {
            progress.check()?;
            let at_rest =
                seen.since.elapsed() >= self.options.settle || seen.stamp.age() >= self.options.settle;
            let is_new = seen.read_at != Some(seen.stamp);
            let worked = if at_rest && (is_new || self.live.contains_key(&path)) {
                self.finish(progress, &path, seen.stamp, &mut tell)
            } else if is_new && !at_rest {
                self.grow(progress, &path, &mut tell)
            } else {
                continue;
            };
            if let Some(entry) = self.seen.get_mut(&path) {
                entry.read_at = Some(seen.stamp);
            }
            match worked {
                Ok(()) => {}
                Err(OpError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => {
                    // A scan that is at rest and fails is not taken up again until it changes.
                    if at_rest {
                        self.live.remove(&path);
                    }
                    tell(WatchEvent::Waiting { scan: path, problem: error.to_string() });
                }
            }
        }
        self.collect(&mut tell);
        Ok(())
    }

    fn read(&self, progress: &Progress, path: &Path) -> Result<Scan, OpError> {
        source::read_so_far(path, &self.options.scan, progress, self.options.budget)
            .map_err(|error| OpError::Method(error.to_string()))
    }

    /// Adds what is new of a scan that grows.
    fn grow(
        &mut self,
        progress: &Progress,
        path: &Path,
        tell: &mut impl FnMut(WatchEvent),
    ) -> Result<(), OpError> {
        let context = self.context(progress);
        let scan = self.read(progress, path)?;
        let (volume, alignment) = self.live_files(path);
        if !self.live.contains_key(path) {
            tell(WatchEvent::Grows { scan: path.to_owned() });
            // Views that were placed before the watch was stopped lie where they lay.
            let known: Vec<ViewShift> = io::read_alignment(&alignment).map(|a| a.views).unwrap_or_default();
            let growing = Growing::new(&context, &scan, self.normalize.clone(), &self.reconstruct, known)?;
            let live = Live { growing, written: None, written_views: 0, refined_views: 0, told_flat: false };
            self.live.insert(path.to_owned(), live);
        }
        let Some(live) = self.live.get_mut(path) else { return Ok(()) };
        live.growing.add_new(&context, &scan, |added| {
            tell(WatchEvent::View { scan: path.to_owned(), added });
        })?;
        let n_views = live.growing.n_views();
        let is_due = live.written.is_none_or(|at| at.elapsed() >= self.options.write_every);
        if n_views > live.written_views && is_due {
            live.growing
                .write(&context, &volume, &alignment)
                .map_err(|error| OpError::Method(error.to_string()))?;
            (live.written, live.written_views) = (Some(Instant::now()), n_views);
            tell(WatchEvent::Written { scan: path.to_owned(), volume, n_views });
            if let Some(resolution) = live.growing.judge(&context)?
                && !(live.told_flat && resolution.is_flat)
            {
                live.told_flat = resolution.is_flat;
                tell(WatchEvent::Judged { scan: path.to_owned(), resolution });
            }
        }
        let every = self.options.refine_every;
        if every > 0 && self.refining.is_none() && n_views >= live.refined_views + every {
            live.refined_views = n_views;
            self.refine(path, scan);
        }
        Ok(())
    }

    fn live_files(&self, path: &Path) -> (PathBuf, PathBuf) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let file = |ending: &str| self.options.out.join(format!("{stem}_live.{ending}"));
        (file("mrc"), file("json"))
    }

    /// Runs the recipe on the views so far, beside the watch.
    fn refine(&mut self, path: &Path, scan: Scan) {
        let progress = Progress::new();
        let (context, recipe) = (self.context(&progress), self.options.recipe.clone());
        let (sender, result) = sync_channel(1);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = self.options.out.join(format!("{stem}_refining"));
        let work = move || {
            let run = || -> Result<Vec<PathBuf>, String> {
                run_recipe(&context, &recipe, scan, &folder)
                    .map(|(files, _)| files)
                    .map_err(|e| e.to_string())
            };
            // Nobody listens any more where the watch has ended.
            drop(sender.send(run()));
        };
        if std::thread::Builder::new().name("refine".to_owned()).spawn(work).is_ok() {
            self.refining = Some(Refining { scan: path.to_owned(), progress, result });
        }
    }

    /// Takes in what the recipe gave beside the watch.
    fn collect(&mut self, tell: &mut impl FnMut(WatchEvent)) {
        let Some(refining) = &self.refining else { return };
        let scan = refining.scan.clone();
        match refining.result.try_recv() {
            Err(TryRecvError::Empty) => return,
            Ok(Ok(outputs)) => tell(WatchEvent::Refined { scan, outputs }),
            Ok(Err(problem)) => tell(WatchEvent::Waiting { scan, problem }),
            Err(TryRecvError::Disconnected) => {
                tell(WatchEvent::Waiting { scan, problem: "the recipe stopped without a result".to_owned() });
            }
        }
        self.refining = None;
    }

    /// Runs the recipe on a scan that has come to rest and remembers that it is done.
    fn finish(
        &mut self,
        progress: &Progress,
        path: &Path,
        stamp: Stamp,
        tell: &mut impl FnMut(WatchEvent),
    ) -> Result<(), OpError> {
        // What was at work on fewer views is no longer wanted.
        if self.refining.as_ref().is_some_and(|refining| refining.scan == path) {
            self.refining = None;
        }
        let scan = self.read(progress, path)?;
        let context = self.context(progress);
        let (volume, alignment) = self.live_files(path);
        if let Some(live) = self.live.get_mut(path) {
            // Views that came while nobody looked are added, and what the user watches is brought to its end.
            live.growing.add_new(&context, &scan, |added| {
                tell(WatchEvent::View { scan: path.to_owned(), added });
            })?;
            let n_views = live.growing.n_views();
            if n_views > live.written_views {
                live.growing
                    .write(&context, &volume, &alignment)
                    .map_err(|error| OpError::Method(error.to_string()))?;
                tell(WatchEvent::Written { scan: path.to_owned(), volume, n_views });
            }
        }
        // The running volume is no longer needed: its memory is for the recipe.
        self.live.remove(path);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (outputs, notes) =
            run_recipe(&context, &self.options.recipe, scan, &self.options.out.join(stem))?;
        self.record.finished.insert(name_of(path), stamp);
        io::write_json(&self.options.out.join(RECORD), &self.record)
            .map_err(|error| OpError::Method(error.to_string()))?;
        tell(WatchEvent::Finished { scan: path.to_owned(), outputs, notes });
        Ok(())
    }
}

/// Runs a recipe on a scan and writes what its steps give; files, then sentences.
fn run_recipe(
    context: &Context,
    recipe: &Recipe,
    scan: Scan,
    folder: &Path,
) -> Result<(Vec<PathBuf>, Vec<String>), OpError> {
    let problem = |error: IoError| OpError::Method(error.to_string());
    let outcomes = recipe.run(context, vec![Data::Scan(Arc::new(scan))])?;
    io::create_folder(folder).map_err(problem)?;
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    for (number, (op, outcome)) in outcomes.iter().enumerate() {
        let stem = format!("{:02}_{op}", number + 1);
        let (written, losses) = write_outcome(&context.progress, folder, &stem, outcome).map_err(problem)?;
        files.extend(written);
        notes.extend(outcome.notes.iter().cloned().chain(losses));
    }
    Ok((files, notes))
}

#[cfg(test)]
mod tests;
