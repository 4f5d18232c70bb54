//! The whole application without a window: commands in, events out.
//!
//! A session holds the project, its history, the jobs and the settings. Nothing here blocks for
//! long: what takes time becomes a job, and its result lands in [`Session::poll`].

mod advice;
mod assess;
mod command;
mod files;
mod halves;
mod home;
mod landing;
mod live;
mod looks;
mod outputs;
mod refine;
mod review;
mod settings;
pub mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use crate::project::{Recoverable, Role, ScanOptions, SourcePart};
pub use advice::Advice;
pub use command::{Command, Event, ExportKind, Level, MeshFormat};
pub use home::user_folder;
pub use live::{Acceptance, LiveRequest, LiveState, Prediction};
pub use looks::{FileAbout, Look, Subject};
pub use outputs::write_outcome;
pub use refine::Refinement;
pub use review::{Review, Standing, Verdict};
pub use settings::{Recent, Settings, Theme};

use crate::base::Progress;
use crate::gpu::DeviceChoice;
use crate::jobs::{JobError, JobSpec, JobView, Jobs, Lane, Policy};
use crate::ops::{self, Context, Forecast, Inputs, Op, OpError, Outcome};
use crate::project::{Edit, EditError, History, HistoryError, Layer, LayerId, Project, Store, open};
use crate::segment::brush::Gesture;
use crate::volume::labels::BrickDelta;
use crate::volume::marks::mark_changes;
use crate::volume::{ClassTable, Labels, Mark, Volume};
use landing::{Done, Landing};

/// How long one wait for a worker lasts before the session looks again.
const WAIT: Duration = Duration::from_millis(200);

/// The application without a window.
pub struct Session {
    project: Project,
    history: History,
    settings: Settings,
    home: home::Home,
    quitting: bool,
    jobs: Jobs<Done>,
    events: Vec<Event>,
    stroke: Option<(LayerId, Gesture)>,
    live: live::Live,
    review: Option<Review>,
    looks: looks::Looks,
    path: Option<PathBuf>,
    dirty: bool,
    read_only: Option<String>,
    store: Option<Store>,
    /// Set once keeping unsaved work has failed: it is said once.
    store_refused: bool,
    n_edits: u64,
}

impl Session {
    /// An empty, unsaved project with the user's settings, which are kept when they change.
    pub fn of_user() -> Self {
        Self::in_home(home::Home::of_user())
    }

    /// An empty, unsaved project that keeps settings and unsaved work in this folder.
    pub fn at(folder: &Path) -> Self {
        Self::in_home(home::Home::at(folder))
    }

    fn in_home(home: home::Home) -> Self {
        let (settings, problem) = home.read_settings();
        let mut session = Self { home, ..Self::new(settings) };
        if let Some(problem) = problem {
            session.say(Level::Warning, problem);
        }
        session
    }

    /// An empty, unsaved project that leaves nothing behind: settings and unsaved work end with the session.
    pub fn new(settings: Settings) -> Self {
        settings.share_memory();
        Self {
            home: home::Home::scratch(),
            quitting: false,
            project: Project::default(),
            history: History::default(),
            jobs: Jobs::new(settings.threads),
            settings,
            events: Vec::new(),
            stroke: None,
            live: live::Live::default(),
            review: None,
            looks: looks::Looks::default(),
            path: None,
            dirty: false,
            read_only: None,
            store: None,
            store_refused: false,
            n_edits: 0,
        }
    }

    /// The document.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// What the user has set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The folder of the project; `None` while it is unsaved.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether the document has changed since it was saved.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether the project can be looked at but not saved where it lies.
    pub fn read_only(&self) -> bool {
        self.read_only.is_some()
    }

    /// What "Undo" would take back.
    pub fn undo_label(&self) -> Option<&str> {
        self.history.undo_label()
    }

    /// What "Redo" would do again.
    pub fn redo_label(&self) -> Option<&str> {
        self.history.redo_label()
    }

    /// All jobs, oldest first.
    pub fn jobs(&self) -> Vec<JobView> {
        self.jobs.views()
    }

    /// Sets what workers call when something changed; the window asks for a repaint in it.
    pub fn set_waker(&mut self, waker: Arc<dyn Fn() + Send + Sync>) {
        self.jobs.set_waker(waker);
    }

    /// Somebody moves something in the window: for this long jobs let that go first.
    pub fn give_way(&self, time: std::time::Duration) {
        self.jobs.way().extend(time);
    }

    /// What an operation on these layers will take.
    ///
    /// # Errors
    /// What is missing or out of range, in one sentence.
    pub fn forecast(
        &self,
        op: &str,
        params: &Value,
        inputs: &[(String, LayerId)],
    ) -> Result<Forecast, OpError> {
        let op = ops::find(op).ok_or_else(|| OpError::Parameter(format!("unknown operation {op}")))?;
        let inputs = self.inputs(op, inputs)?;
        (op.forecast)(&inputs, &op.complete(params)?)
    }

    /// Does what a command says. What comes of it, [`Session::poll`] tells.
    pub fn apply(&mut self, command: Command) {
        self.end_stroke("Paint");
        match command {
            Command::Edit { label, edit } => {
                if let Err(error) = self.edit(label, edit) {
                    self.say(Level::Error, format!("not done: {error}"));
                }
            }
            Command::Undo => self.step(History::undo),
            Command::Redo => self.step(History::redo),
            Command::StartOp { op, params, inputs, name } => {
                if let Err(error) = self.start_op(&op, params, &inputs, name) {
                    self.say(Level::Error, error.to_string());
                }
            }
            Command::Classify(request) => self.classify(request),
            Command::PrepareRegions { volume, params } => self.prepare_regions(volume, &params),
            Command::StopLive => self.stop_live(),
            Command::Review { layer, volume } => self.start_review(layer, volume),
            Command::Align { scan, chain } => self.align(scan, *chain),
            Command::Assess { volume, params } => self.assess(volume, params),
            Command::Judge { seed_zyx, verdict } => self.judge(seed_zyx, verdict),
            Command::Refine(refinement) => self.refine(refinement),
            Command::AcceptPrediction(acceptance) => self.accept_prediction(&acceptance),
            Command::KeepClassifier => self.keep_classifier(),
            Command::DiscardPrediction => self.discard_prediction(),
            Command::Cancel(id) => self.jobs.cancel(id),
            Command::ClearFinishedJobs => self.jobs.clear_finished(),
            Command::SetSettings(settings) => {
                self.jobs.set_threads(settings.threads);
                self.settings = *settings;
                self.settings.share_memory();
                self.keep_settings();
            }
            Command::Open(path) => self.open_path(path, None, ScanOptions::default()),
            Command::OpenWith { path, role, options } => self.open_path(path, role, options),
            Command::LookAt(subject) => self.look_at(subject),
            Command::OpenPart { layer, part } => self.open_part(layer, part),
            Command::MakePyramid { source, read, target } => self.make_pyramid(source, read, target),
            Command::OpenDemo(params) => {
                if let Err(error) = self.start_op("demo", params, &[], None) {
                    self.say(Level::Error, error.to_string());
                }
            }
            Command::Save => self.save(),
            Command::SaveAs(path) => self.save_as(path),
            Command::NewProject | Command::CloseProject => self.replace_with_new(),
            Command::Reconstruct { scan, chain, name } => self.reconstruct(scan, *chain, name),
            Command::Export { what, layer, path } => self.export(what, layer, path),
            Command::DiscardChanges => self.discard_changes(),
            Command::DiscardRecoverable(path) => {
                let done = open::discard_recoverable(&self.home.autosaves(), &path);
                if let Err(error) = done {
                    self.say(Level::Error, error.to_string());
                }
            }
            Command::Quit => {
                [Lane::Work, Lane::Live, Lane::Pictures, Lane::Views, Lane::Looks]
                    .into_iter()
                    .for_each(|lane| self.jobs.cancel_lane(lane));
                if !self.history.flush_journal() && self.dirty {
                    log::debug!("no journal to flush");
                }
                self.quitting = true;
            }
        }
    }

    /// Keeps something of those who draw with the document that is no step of the history: it is written with the next
    /// save.
    pub fn keep_aside(&mut self, name: &str, value: Value) {
        self.project.kept.insert(name.to_owned(), value);
    }

    /// Unsaved work of earlier sessions that did not end well, newest first.
    pub fn recoverable(&self) -> Vec<Recoverable> {
        open::recoverable(&self.home.autosaves())
    }

    /// Collects what has happened: results that landed, jobs that ended. Call it once a frame.
    pub fn poll(&mut self) -> Vec<Event> {
        for finished in self.jobs.poll() {
            self.land(finished);
        }
        // What is being written is written first.
        if self.quitting && self.jobs.is_idle() {
            self.quitting = false;
            self.events.push(Event::QuitReady);
        }
        std::mem::take(&mut self.events)
    }

    /// Writes a figure or a film as a job: `work` has everything that it needs, and leaves nothing when it is stopped.
    pub fn write_picture(
        &mut self,
        label: String,
        path: PathBuf,
        work: impl FnOnce(&Progress) -> Result<(), crate::io::IoError> + Send + 'static,
    ) {
        let id = self.jobs.submit(JobSpec {
            key: format!("{label} {}", path.display()),
            label,
            lane: Lane::Pictures,
            policy: Policy::Queue,
            work: Box::new(move |progress| match work(progress) {
                Ok(()) => Ok(Done::Exported { path, notes: Vec::new() }),
                Err(crate::io::IoError::Cancelled(cancelled)) => Err(cancelled.into()),
                Err(error) => Err(JobError::Failed(error.to_string())),
            }),
        });
        self.events.push(Event::JobChanged(id));
    }

    /// Runs work that only the views need as a job that can be watched and cancelled: its result goes where `work` puts it.
    pub fn run_beside(
        &mut self,
        label: &str,
        work: impl FnOnce(&Progress) -> Result<(), JobError> + Send + 'static,
    ) -> crate::jobs::JobId {
        let id = self.jobs.submit(JobSpec {
            key: label.to_owned(),
            label: label.to_owned(),
            lane: Lane::Views,
            policy: Policy::Latest,
            work: Box::new(move |progress| work(progress).map(|()| Done::Kept)),
        });
        self.events.push(Event::JobChanged(id));
        id
    }

    /// Polls until no job is left; for tests and for work without a window.
    pub fn wait_idle(&mut self) -> Vec<Event> {
        let mut events = self.poll();
        while !self.jobs.is_idle() {
            self.jobs.wait(WAIT);
            events.extend(self.poll());
        }
        events
    }

    /// Paints: `stamp` changes the labels of a layer at once and returns the bricks as they were.
    ///
    /// `guide` is a volume layer that limits the brush. The stamps up to [`Session::end_stroke`] are one step.
    ///
    /// # Errors
    /// [`EditError`] where the layer is gone or holds no labels.
    pub fn paint(
        &mut self,
        layer: LayerId,
        guide: Option<LayerId>,
        stamp: impl FnOnce(&mut Labels, Option<&Volume<f32>>, &ClassTable) -> BrickDelta,
    ) -> Result<(), EditError> {
        if self.stroke.as_ref().is_some_and(|(painted, _)| *painted != layer) {
            self.end_stroke("Paint");
        }
        let guide = guide.and_then(|id| self.project.volume(id)).cloned();
        let classes = std::mem::take(&mut self.project.classes);
        let delta =
            self.project.label_layer_mut(layer).map(|l| stamp(&mut l.labels, guide.as_deref(), &classes));
        self.project.classes = classes;
        let delta = delta?;
        if !delta.is_empty() {
            self.project.touch(layer);
            let bricks = delta.iter().map(|(index, _)| *index).collect();
            self.events.push(Event::LayerChanged(layer, Some(bricks)));
            self.stroke.get_or_insert_with(|| (layer, Gesture::default())).1.absorb(delta);
        }
        Ok(())
    }

    /// Takes back what has been painted since the last step, for a gesture that starts over while it is drawn.
    pub fn restart_stroke(&mut self) {
        let Some((layer, gesture)) = self.stroke.take() else { return };
        let before = gesture.into_delta();
        let bricks = before.iter().map(|(index, _)| *index).collect();
        if let Ok(painted) = self.project.label_layer_mut(layer) {
            painted.labels.swap_bricks(before);
            self.project.touch(layer);
            self.events.push(Event::LayerChanged(layer, Some(bricks)));
        }
    }

    /// Ends the stroke that is being painted, if any: it becomes one step of the history, its voxels are painted ones.
    pub fn end_stroke(&mut self, label: &str) {
        self.end_stroke_as(label, Mark::Painted);
    }

    /// As [`Session::end_stroke`], for voxels that were not painted by hand.
    pub fn end_stroke_as(&mut self, label: &str, mark: Mark) {
        let Some((layer, gesture)) = self.stroke.take() else { return };
        let before = gesture.into_delta();
        let code = self.project.layer(layer).map_or(0, |l| l.code_of(mark));
        let Ok(painted) = self.project.label_layer_mut(layer) else { return };
        let marks_before = mark_changes(&mut painted.marks, &painted.labels, &before, code);
        let now = |labels: &Labels, before: &BrickDelta| -> BrickDelta {
            before.iter().map(|(i, _)| (*i, labels.brick(*i as usize).clone())).collect()
        };
        let (delta, marks) = (now(&painted.labels, &before), now(&painted.marks, &marks_before));
        let inverse = Edit::ReplaceBricks { layer, delta: before, marks: marks_before };
        self.keep(label.to_owned(), Edit::ReplaceBricks { layer, delta, marks }, inverse);
    }

    /// Notes what was opened or saved for the list of the first page.
    fn remember(&mut self, path: &Path) {
        // What lies among the unsaved work is offered there, not as a recent file.
        if !path.starts_with(self.home.autosaves()) {
            self.settings.remember(path);
            self.keep_settings();
        }
    }

    fn keep_settings(&mut self) {
        if let Err(error) = self.home.write_settings(&self.settings) {
            self.say(Level::Warning, format!("the settings were not kept: {error}"));
        }
    }

    fn edit(&mut self, label: String, edit: Edit) -> Result<(), EditError> {
        // Before the first step there is nothing to write, so this takes no time.
        self.ensure_store();
        let before: Vec<_> = self.project.layers.iter().map(|layer| layer.id).collect();
        let edit = self.project.with_ids(edit);
        let inverse = self.project.apply(edit.clone())?;
        self.tell(&edit, &before);
        self.keep(label, edit, inverse);
        Ok(())
    }

    /// Puts a step that has been applied into the history, and its voxels on the disk.
    fn keep(&mut self, label: String, edit: Edit, inverse: Edit) {
        self.n_edits += 1;
        self.dirty = true;
        let added = self.added_layers(&edit);
        self.follow(&edit);
        self.history.record(label, edit, inverse);
        if let Some(work) = self.store.as_ref().and_then(|store| store.keep_work(added)) {
            self.keep_voxels(work);
        }
        if let Some(problem) = self.history.problem().filter(|_| !self.store_refused) {
            self.store_refused = true;
            self.say(Level::Error, format!("changes are in memory only: {problem}. Save the project now, elsewhere if the disk is full"));
        }
    }

    fn added_layers(&self, edit: &Edit) -> Vec<Layer> {
        match edit {
            Edit::AddLayer { .. } => self.project.layers.last().cloned().into_iter().collect(),
            Edit::Batch(edits) => {
                let n = edits.iter().filter(|edit| matches!(edit, Edit::AddLayer { .. })).count();
                self.project.layers.iter().rev().take(n).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    fn keep_voxels(
        &mut self,
        work: impl FnOnce(&Progress) -> Result<(), crate::io::IoError> + Send + 'static,
    ) {
        self.jobs.submit(JobSpec {
            label: "Keep new layers".to_owned(),
            key: "keep".to_owned(),
            lane: Lane::Files,
            policy: Policy::Queue,
            work: Box::new(move |progress| match work(progress) {
                Ok(()) => Ok(Done::Kept),
                Err(error) => Err(JobError::Failed(format!("new layers are in memory only: {error}"))),
            }),
        });
    }

    fn step(&mut self, step: fn(&mut History, &mut Project) -> Result<Option<(String, Edit)>, HistoryError>) {
        let before: Vec<_> = self.project.layers.iter().map(|layer| layer.id).collect();
        match step(&mut self.history, &mut self.project) {
            Ok(Some((_, edit))) => {
                self.dirty = true;
                self.n_edits += 1;
                self.tell(&edit, &before);
                self.follow(&edit);
            }
            Ok(None) => {}
            Err(error) => self.say(Level::Error, format!("that step cannot be taken: {error}")),
        }
    }

    fn say(&mut self, level: Level, text: impl Into<String>) {
        self.events.push(Event::Message { level, text: text.into() });
    }

    fn inputs(&self, op: &'static Op, layers: &[(String, LayerId)]) -> Result<Inputs, OpError> {
        let mut inputs = Inputs::default();
        for (name, id) in layers {
            let slot = op
                .inputs
                .iter()
                .find(|slot| slot.name == name)
                .ok_or_else(|| OpError::Parameter(format!("{} has no input {name}", op.id)))?;
            let layer = self.project.layer(*id);
            let data = layer.and_then(|layer| layer.content.to_data(&self.project.classes));
            let data = data.filter(|data| data.kind() == slot.kind);
            let data = data.ok_or(OpError::MissingInput { slot: slot.name, kind: slot.kind })?;
            inputs = inputs.with(slot.name, data);
        }
        match op.missing(&inputs) {
            Some(slot) => Err(OpError::MissingInput { slot: slot.name, kind: slot.kind }),
            None => Ok(inputs),
        }
    }

    fn start_op(
        &mut self,
        op: &str,
        params: Value,
        layers: &[(String, LayerId)],
        name: Option<String>,
    ) -> Result<(), OpError> {
        let op = ops::find(op).ok_or_else(|| OpError::Parameter(format!("unknown operation {op}")))?;
        let params = op.complete(&params)?;
        let landing = Landing::of(&self.project, op.id, params.clone(), layers, name);
        self.submit_op(op, params, layers, |outcome| Ok(landing.with(outcome)))
    }

    /// Checks inputs and memory and runs an operation; `land` turns its outcome into a result, still on the worker.
    fn submit_op(
        &mut self,
        op: &'static Op,
        params: Value,
        layers: &[(String, LayerId)],
        land: impl FnOnce(Outcome) -> Result<Done, JobError> + Send + 'static,
    ) -> Result<(), OpError> {
        let inputs = self.inputs(op, layers)?;
        let budget = self.settings.budget();
        budget.admit((op.forecast)(&inputs, &params)?.bytes)?;
        let id = self.jobs.submit(JobSpec {
            label: op.label.to_owned(),
            key: op.id.to_owned(),
            lane: Lane::Work,
            policy: op.policy,
            work: Box::new(move |progress| {
                let context = Context { progress: progress.clone(), budget, device: DeviceChoice::Auto };
                land(op.execute(&context, &inputs, &params)?)
            }),
        });
        self.events.push(Event::JobChanged(id));
        Ok(())
    }
}
