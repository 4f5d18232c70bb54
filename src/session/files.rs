//! Opening, saving, exporting: commands that become jobs among files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::assess::Beside;
use super::landing::{Done, Landing};
use super::looks::{FileAbout, Looks, role_of};
use super::{Event, ExportKind, Level, MeshFormat, Session};
use crate::base::{MemoryBudget, Progress};
use crate::gpu::DeviceChoice;
use crate::io::{self, WriteRequest};
use crate::jobs::{JobError, JobSpec, Lane, Policy};
use crate::measure::fsc::Curve;
use crate::ops::chain::{AlignSource, Chain, prepare, scan_to_volume};
use crate::ops::{self, Context, Data, Outcome};
use crate::project::{
    Content, History, Layer, LayerId, Opened, Project, Role, ScanOptions, SourceFile, SourcePart, Store,
    open, store,
};
use crate::volume::marks::codes_of;
use crate::volume::{ClassTable, Mark};

/// Any error as the sentence of a failed job.
fn failed(error: impl std::fmt::Display) -> JobError {
    let text = error.to_string();
    if text == crate::base::Cancelled.to_string() { JobError::Cancelled } else { JobError::Failed(text) }
}

impl Session {
    fn file_job(
        &mut self,
        label: String,
        work: impl FnOnce(&Progress) -> Result<Done, JobError> + Send + 'static,
    ) {
        let spec = JobSpec {
            key: label.clone(),
            label,
            lane: Lane::Files,
            policy: Policy::Queue,
            work: Box::new(work),
        };
        let id = self.jobs.submit(spec);
        self.events.push(Event::JobChanged(id));
    }

    /// Opens whatever lies there.
    pub(super) fn open_path(&mut self, path: PathBuf, role: Option<Role>, options: ScanOptions) {
        let (budget, autosaves) = (self.settings.budget(), self.home.autosaves());
        self.file_job(format!("Open {}", shown(&path)), move |progress| {
            if role.is_none() && open::is_project(&path) {
                return Ok(Done::Opened(Box::new(open::open(progress, &path, &autosaves).map_err(failed)?)));
            }
            if role == Some(Role::Classifier) || io::is_model(&path) {
                return read_source(progress, path, Role::Classifier, options, budget);
            }
            let header = io::read_header_of(&path, &options.read);
            if header.as_ref().map_or(true, |header| !header.guessed.is_empty()) {
                let about = Arc::new(FileAbout::of(&path, &options.read));
                if let Some(problem) = about.question() {
                    return Ok(Done::Unchosen { path, role, options: Box::new(options), about, problem });
                }
            }
            if let Some(role) = role {
                return read_source(progress, path, role, options, budget);
            }
            let (kind, problem) = io::kind_from(&path, &header.map_err(failed)?);
            let mut done = read_source(progress, path, role_of(kind), options, budget)?;
            if let Done::Layers { outcome, .. } = &mut done {
                outcome.notes.extend(problem);
            }
            Ok(done)
        });
    }

    /// Opens another level, or a part of one, of a layer's file.
    pub(super) fn open_part(&mut self, layer: LayerId, part: SourcePart) {
        let Some(source) = self.project.layer(layer).and_then(|layer| layer.source.clone()) else {
            return self.say(Level::Error, "the layer was not read from a file with levels");
        };
        let source = SourceFile { part: Some(part), ..source };
        let budget = self.settings.budget();
        self.file_job(format!("Open level {} of {}", part.level, shown(&source.path)), move |progress| {
            let read = source.read(progress, budget).map_err(failed)?;
            Ok(Landing::of_file(source, read))
        });
    }

    /// Writes a volume as a pyramid, layer by layer, and opens it.
    pub(super) fn make_pyramid(&mut self, source: PathBuf, read: io::ReadOptions, target: PathBuf) {
        let target = if target.extension().is_some_and(|e| e == "zarr") {
            target
        } else {
            target.with_extension("zarr")
        };
        let budget = self.settings.budget();
        self.file_job(format!("Make a pyramid of {}", shown(&source)), move |progress| {
            let done = io::convert(&source, &target, &read, progress, budget).map_err(failed)?;
            let opened = read_source(progress, target, Role::Volume, ScanOptions::default(), budget)?;
            Ok(match opened {
                Done::Layers { landing, mut outcome, displays } => {
                    outcome.notes.extend(done.warnings);
                    Done::Layers { landing, outcome, displays }
                }
                other => other,
            })
        });
    }

    /// Normalises, aligns and reconstructs a scan as the command line does.
    pub(super) fn reconstruct(&mut self, scan: LayerId, chain: Chain, name: Option<String>) {
        let found = self.project.layer(scan).and_then(|layer| match &layer.content {
            Content::Scan(scan) => Some((layer.name.clone(), Arc::clone(scan))),
            _ => None,
        });
        let Some((scan_name, data)) = found else {
            return self.say(Level::Error, "choose a scan first; only a scan can be reconstructed");
        };
        let params = serde_json::to_value(&chain).unwrap_or(Value::Null);
        let name = name.or_else(|| Some(format!("{scan_name} LAC")));
        let mut landing =
            Landing::of(&self.project, "reconstruct", params, &[("scan".to_owned(), scan)], name);
        if let AlignSource::Find(params) = &chain.align {
            let inputs = landing.input_names();
            landing = landing.on_the_way("alignment", "align", params.clone(), inputs);
        }
        let budget = self.settings.budget();
        let id = self.jobs.submit(JobSpec {
            label: "Reconstruct".to_owned(),
            key: "reconstruct".to_owned(),
            lane: Lane::Work,
            policy: Policy::Queue,
            work: Box::new(move |progress| {
                let context = Context { progress: progress.clone(), budget, device: DeviceChoice::Auto };
                let done = scan_to_volume(&context, data, &chain)?;
                // An alignment that was found is kept: to look at, to correct, to use again.
                let mut outcome = match &chain.align {
                    AlignSource::Find(_) => Outcome::of("alignment", Data::Alignment(done.alignment)),
                    AlignSource::Given(_) => Outcome::default(),
                };
                outcome.data.push(("volume", Data::Volume(done.volume)));
                (outcome.notes, outcome.details) = (done.notes, done.details);
                Ok(landing.with(outcome))
            }),
        });
        self.events.push(Event::JobChanged(id));
    }

    /// Normalises and aligns a scan as the command line does.
    pub(super) fn align(&mut self, scan: LayerId, chain: Chain) {
        let found = self.project.layer(scan).and_then(|layer| match &layer.content {
            Content::Scan(scan) => Some(Arc::clone(scan)),
            _ => None,
        });
        let Some(data) = found else {
            return self.say(Level::Error, "choose a scan first; only a scan can be aligned");
        };
        let params = match &chain.align {
            AlignSource::Find(params) => params.clone(),
            AlignSource::Given(_) => Value::Null,
        };
        let name = Some("alignment".to_owned());
        let landing = Landing::of(&self.project, "align", params, &[("scan".to_owned(), scan)], name);
        let budget = self.settings.budget();
        let id = self.jobs.submit(JobSpec {
            label: "Align".to_owned(),
            key: "align".to_owned(),
            lane: Lane::Work,
            policy: Policy::Queue,
            work: Box::new(move |progress| {
                let context = Context { progress: progress.clone(), budget, device: DeviceChoice::Auto };
                let prepared = prepare(&context, data, &chain)?;
                let outcome = Outcome {
                    notes: prepared.notes,
                    details: Value::Object(prepared.details),
                    ..Outcome::of("alignment", Data::Alignment(prepared.alignment))
                };
                Ok(landing.with(outcome))
            }),
        });
        self.events.push(Event::JobChanged(id));
    }

    /// Views, rows and columns of the scan that an alignment belongs to; `None` where it is not there.
    fn series_shape(&self, alignment: &Layer) -> Option<(usize, usize, usize)> {
        let names = &alignment.provenance.inputs;
        self.project.from_top().find_map(|layer| match &layer.content {
            Content::Scan(scan) if names.contains(&layer.name) => {
                let [views, rows, cols] = scan.projections.shape();
                Some((views, rows, cols))
            }
            Content::Series(series) if names.contains(&layer.name) => Some(series.data.dim()),
            _ => None,
        })
    }

    /// Writes a layer in the format of the extension.
    pub(super) fn export(&mut self, what: ExportKind, layer: LayerId, path: PathBuf) {
        let Some(layer) = self.project.layer(layer).cloned() else {
            return self.say(Level::Error, "the layer is gone; nothing was written");
        };
        let classes = self.project.classes.clone();
        let beside = (what == ExportKind::Report).then(|| self.beside(&layer));
        let series_shape = self.series_shape(&layer);
        self.file_job(format!("Export {}", layer.name), move |progress| {
            let notes = match what {
                ExportKind::Layer => export_layer(progress, &layer, &classes, &path, series_shape)?,
                ExportKind::Meshes(format) => export_meshes(progress, &layer, &classes, &path, format)?,
                ExportKind::Table => export_table(&layer, &path)?,
                ExportKind::Report => export_report(&layer, beside.unwrap_or_default(), &path)?,
                ExportKind::Chart => export_chart(&layer, &path)?,
                ExportKind::Marks => export_marks(progress, &layer, &path)?,
                ExportKind::Classifier => export_classifier(&layer, &classes, &path)?,
            };
            Ok(Done::Exported { path, notes })
        });
    }

    /// The place where the project lives, made when the first step is to be kept.
    pub(super) fn ensure_store(&mut self) {
        if self.store.is_some() || self.store_refused {
            return;
        }
        match Store::autosave(&self.home.autosaves(), &self.project, &mut self.history) {
            Ok(store) => self.store = Some(store),
            Err(error) => {
                self.store_refused = true;
                self.say(Level::Warning, format!("unsaved work is kept in memory only: {error}"));
            }
        }
    }

    /// Writes the project where it lies.
    pub(super) fn save(&mut self) {
        let Some(path) = self.path.clone().filter(|_| self.read_only.is_none()) else {
            let why = self.read_only.clone().unwrap_or_else(|| "it has no folder yet".to_owned());
            return self.say(Level::Error, format!("not saved: {why}; save it under another name"));
        };
        let Some(store) = &mut self.store else { return };
        match store.prepare_save(&self.project, &mut self.history) {
            Ok(work) => self.submit_save(path, move |progress| work.run(progress).map_err(failed)),
            Err(error) => self.say(Level::Error, error.to_string()),
        }
    }

    /// Writes the project to a folder of this name and goes on there.
    pub(super) fn save_as(&mut self, path: PathBuf) {
        let path = if path.extension().is_some_and(|e| e == store::EXTENSION) {
            path
        } else {
            path.with_extension(store::EXTENSION)
        };
        if self.path.as_deref() == Some(path.as_path()) && self.read_only.is_none() {
            return self.save();
        }
        if let Some(stem) = path.file_stem()
            && self.path.is_none()
        {
            self.project.name = stem.to_string_lossy().into_owned();
        }
        self.ensure_store();
        let Some(old) = self.store.take() else {
            return self.say(Level::Error, "not saved: there is no place to work from");
        };
        match old.move_to(&path, &self.project, &mut self.history) {
            Ok((store, work)) => {
                let folder = store.folder().to_owned();
                self.store = Some(store);
                (self.path, self.read_only) = (Some(folder.clone()), None);
                self.submit_save(folder, move |progress| {
                    let saved = work.run(progress).map_err(failed)?;
                    old.retire().map_err(failed)?;
                    Ok(saved)
                });
            }
            Err(error) => {
                self.store = Some(old);
                self.say(Level::Error, format!("not saved: {error}"));
            }
        }
    }

    fn submit_save(
        &mut self,
        path: PathBuf,
        work: impl FnOnce(&Progress) -> Result<crate::project::Saved, JobError> + Send + 'static,
    ) {
        let edits = self.n_edits;
        self.file_job("Save".to_owned(), move |progress| {
            Ok(Done::Saved { path, edits, saved: Box::new(work(progress)?) })
        });
    }

    /// Throws away what was not saved; an empty project is open then.
    pub(super) fn discard_changes(&mut self) {
        [Lane::Work, Lane::Live, Lane::Files].into_iter().for_each(|lane| self.jobs.cancel_lane(lane));
        let (store, mut history) = (self.store.take(), std::mem::take(&mut self.history));
        self.replace_with_new();
        if let Some(store) = store {
            // Behind whatever still writes there.
            self.file_job("Discard changes".to_owned(), move |_| {
                store.discard(&mut history).map_err(failed)?;
                Ok(Done::Kept)
            });
        }
    }

    /// An empty project in place of the open one, whose journal stays.
    pub(super) fn replace_with_new(&mut self) {
        self.jobs.cancel_lane(Lane::Work);
        self.jobs.cancel_lane(Lane::Live);
        (self.project, self.history, self.store) = (Project::default(), History::default(), None);
        (self.path, self.read_only, self.dirty) = (None, None, false);
        // Another project gives the same ids to other layers.
        self.looks = Looks::default();
        self.reset_live();
        self.events.push(Event::ProjectReplaced);
    }

    pub(super) fn land_opened(&mut self, opened: Opened) {
        self.replace_with_new();
        self.dirty = opened.n_unsaved > 0;
        (self.project, self.history, self.store) = (opened.project, opened.history, Some(opened.store));
        (self.path, self.read_only) = (opened.path, opened.read_only);
        if let Some(path) = self.path.clone() {
            self.remember(&path);
        }
        for problem in opened.problems {
            self.say(Level::Warning, problem);
        }
        if let Some(why) = self.read_only.clone() {
            self.say(
                Level::Warning,
                format!("opened for reading: {why}. Changes are kept aside; save under another name"),
            );
        }
    }
}

fn read_source(
    progress: &Progress,
    path: PathBuf,
    role: Role,
    options: ScanOptions,
    budget: MemoryBudget,
) -> Result<Done, JobError> {
    // Reading says best why a file is missing, so it goes first where there is nothing to note.
    if !path.exists() {
        return Err(failed(format!("no such file or folder: {}", path.display())));
    }
    let source = SourceFile::of(&path, role, options.clone()).map_err(failed)?;
    match source.read(progress, budget) {
        Ok(read) => Ok(Landing::of_file(source, read)),
        // The user may know what the file does not say.
        Err(error @ io::IoError::Scan { .. }) => {
            Ok(Done::Unclear { path, options: Box::new(options), problem: error.to_string() })
        }
        Err(io::IoError::Memory { source, .. }) if role == Role::Volume => {
            let (needed, budget) = (source.needed_gib, source.budget_gib);
            let problem =
                format!("{} takes {needed:.2} GiB of memory, and {budget:.2} GiB may be used", shown(&path));
            Ok(Done::TooLarge { path, read: options.read, problem })
        }
        Err(error) => Err(failed(error)),
    }
}

/// The last part of a path.
fn shown(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn export_layer(
    progress: &Progress,
    layer: &Layer,
    classes: &ClassTable,
    path: &Path,
    series_shape: Option<(usize, usize, usize)>,
) -> Result<Vec<String>, JobError> {
    let written = match &layer.content {
        Content::Volume(volume) => io::write_array(path, &WriteRequest::volume(volume), progress),
        Content::Regions(regions) => io::write_array(path, &WriteRequest::regions(regions), progress),
        Content::Labels(labels) => {
            let dense = labels.labels.to_dense();
            let request = WriteRequest::labels(&dense, labels.voxel_um, labels.origin_um, Some(classes));
            io::write_array(path, &request, progress)
        }
        Content::Alignment(alignment) => {
            let written = io::write_any_alignment(path, alignment, series_shape);
            return written.map(|()| Vec::new()).map_err(failed);
        }
        other => return Err(failed(format!("a {} is not written as an array", other.words()))),
    };
    written.map_err(failed)
}

fn export_meshes(
    progress: &Progress,
    layer: &Layer,
    classes: &ClassTable,
    path: &Path,
    format: MeshFormat,
) -> Result<Vec<String>, JobError> {
    let Some(labels) = layer.labels() else {
        return Err(failed("meshes are cut from labels; choose a label layer"));
    };
    let ids = labels.labels.to_dense();
    let voxel_um = labels.voxel_um_or_one();
    let present = labels.labels.ids();
    let mut meshes = Vec::new();
    for class in classes.classes.iter().filter(|class| present.contains(&class.id)) {
        let params = crate::mesh::MeshParams::default();
        let made = crate::mesh::mesh_class(progress, &ids.view(), class, voxel_um, labels.origin_um, &params);
        let in_voxels = labels.voxel_um.is_none();
        meshes.push(crate::mesh::Mesh { in_voxels, ..made.map_err(failed)? });
    }
    if meshes.is_empty() {
        return Err(failed("nothing is labelled, so there is no surface to cut"));
    }
    if path.extension().is_some() {
        io::write_meshes(path, &meshes).map_err(failed)?;
    } else {
        io::create_folder(path).map_err(failed)?;
        for mesh in meshes {
            let name = mesh.name.replace(['/', '\\', ' '], "_");
            let file = path.join(format!("{name}.{}", format.extension()));
            io::write_meshes(&file, &[mesh]).map_err(failed)?;
        }
    }
    Ok(Vec::new())
}

/// Where every label comes from, as a label volume of its own with the names of the sources.
fn export_marks(progress: &Progress, layer: &Layer, path: &Path) -> Result<Vec<String>, JobError> {
    let Some(labels) = layer.labels() else {
        return Err(failed("only labels know where they come from; choose a label layer"));
    };
    let codes = codes_of(&labels.labels, &labels.marks, layer.base_mark().code()).to_dense();
    let classes = ClassTable { classes: Mark::classes() };
    let request = WriteRequest::labels(&codes, labels.voxel_um, labels.origin_um, Some(&classes));
    io::write_array(path, &request, progress).map_err(failed)
}

fn export_classifier(layer: &Layer, classes: &ClassTable, path: &Path) -> Result<Vec<String>, JobError> {
    let Content::Other(Data::Classifier(classifier)) = &layer.content else {
        return Err(failed("the layer holds no classifier"));
    };
    let known = classes.classes.iter().filter(|class| classifier.classes.contains(&class.id)).cloned();
    let known = ClassTable { classes: known.collect() };
    io::write_model(path, classifier, &known).map_err(failed)?;
    Ok(Vec::new())
}

/// A page about a volume and what was found beside it.
fn export_report(layer: &Layer, beside: Beside, path: &Path) -> Result<Vec<String>, JobError> {
    let volume = layer.volume().ok_or_else(|| failed("a report is of a volume"))?;
    let params = &layer.provenance.params;
    let params = params.get("reconstruct").unwrap_or(params);
    let mut facts = vec![("Made by".to_owned(), layer.provenance.op.to_string())];
    facts.push(("From".to_owned(), layer.provenance.inputs.join(", ")));
    facts.extend(ops::find(&layer.provenance.op).map(|op| ops::op::facts(op, params)).unwrap_or_default());
    let report = io::Report {
        title: &layer.name,
        facts: &facts,
        volume,
        series: None,
        alignment: beside.alignment.as_deref(),
        curve: beside.curve.as_ref(),
        noise: beside.noise.as_deref(),
        notes: &layer.provenance.notes,
    };
    io::write_text(path, &report.html()).map_err(failed)?;
    Ok(Vec::new())
}

/// A curve that is kept as a table, drawn.
fn export_chart(layer: &Layer, path: &Path) -> Result<Vec<String>, JobError> {
    let curve = match &layer.content {
        Content::Other(Data::Table(table)) => Curve::of_table(table),
        _ => None,
    };
    let curve = curve.ok_or_else(|| failed("the layer holds no curve"))?;
    io::write_text(path, &io::fsc_chart(&curve).svg()).map_err(failed)?;
    Ok(Vec::new())
}

fn export_table(layer: &Layer, path: &Path) -> Result<Vec<String>, JobError> {
    let Content::Other(Data::Table(table)) = &layer.content else {
        return Err(failed("the layer holds no table"));
    };
    let text = table.to_csv();
    let write = |part: &Path| {
        std::fs::write(part, &text).map_err(|source| io::IoError::System {
            action: "write",
            path: part.to_owned(),
            source,
        })
    };
    io::write_atomically(path, write).map_err(failed)?;
    Ok(Vec::new())
}
