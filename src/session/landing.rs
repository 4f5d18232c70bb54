//! How the result of a job lands: as new layers, never over old ones.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::advice::Advice;
use super::live::{Accepted, CacheKey, Predicted};
use super::looks::{FileAbout, Subject};
use super::refine::Refined;
use super::review::Review;
use super::{Event, Level, Session};
use crate::io::ReadOptions;
use crate::jobs::{Finished, JobError, Lane};
use crate::ops::{Data, Outcome, Provenance};
use crate::project::{
    Content, Display, Edit, Layer, LayerId, Opened, Project, Role, Saved, ScanOptions, SourceContent,
    SourceFile,
};
use crate::segment::agglomerate::Agglomeration;
use crate::segment::{Classifier, FeatureCache};
use crate::volume::classes::palette_color;
use crate::volume::histogram::automatic_window;
use crate::volume::{Class, ClassTable, Labels, Pyramid};

/// What a finished job gives the session.
pub(super) enum Done {
    /// A project.
    Opened(Box<Opened>),
    /// The project has been written; how many edits there were then.
    Saved { path: PathBuf, edits: u64, saved: Box<Saved> },
    /// A file has been written, and what its format could not carry.
    Exported { path: PathBuf, notes: Vec<String> },
    /// The voxels of new layers are on the disk.
    Kept,
    /// Regions and features for live classification.
    Features(CacheKey, Arc<FeatureCache>),
    /// What the classifier says.
    Predicted(Box<Predicted>),
    /// A change of a label layer.
    Refined(Box<Refined>),
    /// The objects of a label layer.
    Reviewed(Review),
    /// A part of a prediction as a new layer.
    Accepted(Box<Accepted>),
    /// What the strokes are worth.
    Advised(Box<Advice>),
    /// Megavoxels of a volume's regions.
    Agglomerated(LayerId, u64, Arc<Agglomeration>),
    /// A scan does not say enough about itself.
    Unclear { path: PathBuf, options: Box<ScanOptions>, problem: String },
    /// A file holds several things that may be meant.
    Unchosen {
        path: PathBuf,
        role: Option<Role>,
        options: Box<ScanOptions>,
        about: Arc<FileAbout>,
        problem: String,
    },
    /// A volume does not fit into memory.
    TooLarge { path: PathBuf, read: ReadOptions, problem: String },
    /// A file was looked at.
    Looked(Subject, Arc<FileAbout>),
    /// New layers.
    Layers { landing: Landing, outcome: Outcome, displays: Vec<Display> },
}

/// Where a result belongs and what it was made of, noted when the job started.
pub(super) struct Landing {
    op: String,
    params: Value,
    name: Option<String>,
    /// Name, id and revision of each input.
    inputs: Vec<(String, LayerId, u64)>,
    source: Option<SourceFile>,
    /// Finer levels of that file.
    pyramid: Option<Arc<Pyramid>>,
    /// Outputs of another operation that ran on the way: slot, and its record.
    on_the_way: Vec<(&'static str, Provenance)>,
    /// Names of the classes that a file with a classifier knows.
    classes: Option<ClassTable>,
}

/// Notes on a file that are said one by one.
const MOST_SAID: usize = 2;

impl Landing {
    pub(super) fn of(
        project: &Project,
        op: &str,
        params: Value,
        layers: &[(String, LayerId)],
        name: Option<String>,
    ) -> Self {
        let inputs = layers
            .iter()
            .filter_map(|(_, id)| project.layer(*id))
            .map(|layer| (layer.name.clone(), layer.id, layer.revision))
            .collect();
        let on_the_way = Vec::new();
        Self {
            op: op.to_owned(),
            params,
            name,
            inputs,
            source: None,
            pyramid: None,
            on_the_way,
            classes: None,
        }
    }

    /// Says that an output is the result of an operation that ran on the way, on inputs of these names; it is named
    /// after its slot.
    pub(super) fn on_the_way(
        mut self,
        slot: &'static str,
        op: &str,
        params: Value,
        inputs: Vec<String>,
    ) -> Self {
        self.on_the_way.push((slot, Provenance::new(op.to_owned(), params, inputs, Vec::new())));
        self
    }

    /// Names of the layers that it was made of.
    pub(super) fn input_names(&self) -> Vec<String> {
        self.inputs.iter().map(|(name, ..)| name.clone()).collect()
    }

    /// What was read of a file, as the outcome of an import.
    pub(super) fn of_file(source: SourceFile, read: SourceContent) -> Done {
        let mut name = source.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        if let (Some(name), Some(part)) = (&mut name, &read.part_read) {
            // Several channels or arrays of a file may be open side by side.
            name.push_str(&format!(" {part}"));
        }
        if let (Some(name), Some(part)) = (&mut name, read.part) {
            // Several levels and parts of a file may be open side by side.
            match part.region {
                Some(_) => name.push_str(&format!(" part, level {}", part.level)),
                None if read.pyramid.is_none() => {}
                None => name.push_str(&format!(" level {}", part.level)),
            }
        }
        let source = SourceFile { part: read.part, ..source };
        let classes = read.classes.unwrap_or_default();
        let data = read.content.to_data(&classes);
        let outcome = Outcome {
            data: data.into_iter().map(|data| ("import", data)).collect(),
            notes: read.warnings,
            ..Outcome::default()
        };
        let landing = Self {
            op: "import".to_owned(),
            params: Value::Null,
            name,
            inputs: Vec::new(),
            source: Some(source),
            pyramid: read.pyramid,
            on_the_way: Vec::new(),
            classes: Some(classes),
        };
        landing.with(outcome)
    }

    /// Goes with an outcome; still on the worker, so that windows are found there.
    pub(super) fn with(self, outcome: Outcome) -> Done {
        let displays = outcome.data.iter().map(|(_, data)| display_of(data)).collect();
        Done::Layers { landing: self, outcome, displays }
    }

    /// Sentences about inputs that are no longer what the job saw.
    fn stale_notes(&self, project: &Project) -> Vec<String> {
        self.inputs
            .iter()
            .filter_map(|(name, id, revision)| match project.layer(*id) {
                None => Some(format!("made from “{name}”, which has been removed since")),
                Some(layer) if layer.revision != *revision => {
                    Some(format!("made from “{name}” as it was before its last changes"))
                }
                Some(_) => None,
            })
            .collect()
    }
}

/// A first look at a result: nearly all of a volume's values fill its window.
pub(super) fn display_of(data: &Data) -> Display {
    match data {
        Data::Volume(volume) => {
            let values = volume.values();
            // A sample of about a million voxels finds the percentiles of any volume well enough.
            let step = (values.len() / (1 << 20)).max(1);
            let sample: Vec<f32> = values.iter().step_by(step).copied().filter(|v| v.is_finite()).collect();
            Display { window: automatic_window(&sample), ..Display::default() }
        }
        Data::Labels(_) | Data::Regions(_) => Display { opacity: 0.5, smooth: false, ..Display::default() },
        _ => Display::default(),
    }
}

/// Classes that came with labels, brought into the project's table: the edits for it, and new ids where an id means something else here.
fn merge_classes(project: &ClassTable, incoming: ClassTable) -> (Vec<Edit>, Vec<(u16, u16)>) {
    let mut table = project.clone();
    let mut edits = Vec::new();
    let mut renamed = Vec::new();
    for class in incoming.classes {
        let same_name = table.classes.iter().find(|c| c.name == class.name).map(|c| c.id);
        let new_id = match (table.get(class.id), same_name) {
            (Some(there), _) if there.name == class.name => continue,
            (_, Some(id)) => id,
            (None, None) => class.id,
            (Some(_), None) => table.free_id().unwrap_or(class.id),
        };
        if new_id != class.id {
            renamed.push((class.id, new_id));
        }
        if same_name.is_none() {
            // A colour that means something else here would be mistaken for it.
            let is_taken = table.classes.iter().any(|there| there.color == class.color);
            let color = if is_taken { palette_color(usize::from(new_id) - 1) } else { class.color };
            let class = Class { id: new_id, color, ..class };
            table.insert(class.clone());
            edits.push(Edit::SetClass(class));
        }
    }
    (edits, renamed)
}

fn with_ids_renamed(labels: &mut Labels, renamed: &[(u16, u16)]) {
    if !renamed.is_empty() {
        let shape = labels.shape();
        let new_id = |id: u16| renamed.iter().find(|(old, _)| *old == id).map_or(id, |(_, new)| *new);
        labels.update_box([0; 3], shape, |_, id| new_id(id));
    }
}

impl Session {
    /// Takes in what came of a job.
    pub(super) fn land(&mut self, finished: Finished<Done>) {
        self.events.push(Event::JobChanged(finished.id));
        match finished.result {
            Ok(Done::Layers { landing, outcome, displays }) => self.land_layers(landing, outcome, displays),
            Ok(Done::Opened(opened)) => self.land_opened(*opened),
            Ok(Done::Saved { path, edits, saved }) => {
                if let Some(store) = &mut self.store {
                    store.saved(&saved);
                }
                self.dirty = self.n_edits != edits;
                self.remember(&path);
                self.events.push(Event::Saved(path));
            }
            Ok(Done::Exported { path, notes }) => {
                self.say(Level::Info, format!("Written to {}", path.display()));
                notes.into_iter().for_each(|note| self.say(Level::Warning, note));
            }
            Ok(Done::Features(key, cache)) => self.land_features(key, cache),
            Ok(Done::Predicted(predicted)) => self.land_prediction(*predicted),
            Ok(Done::Refined(refined)) => self.land_refined(*refined),
            Ok(Done::Reviewed(review)) => self.land_review(review),
            Ok(Done::Advised(advice)) => self.land_advice(*advice),
            Ok(Done::Agglomerated(volume, revision, tree)) => self.land_agglomeration(volume, revision, tree),
            Ok(Done::Accepted(accepted)) => self.land_accepted(*accepted),
            Ok(Done::Unclear { path, options, problem }) => {
                self.events.push(Event::ScanUnclear { path, options, problem });
            }
            Ok(Done::Unchosen { path, role, options, about, problem }) => {
                self.events.push(Event::Unchosen { path, role, options, about, problem });
            }
            Ok(Done::TooLarge { path, read, problem }) => {
                self.events.push(Event::TooLarge { path, read, problem });
            }
            Ok(Done::Looked(subject, about)) => self.land_look(subject, about),
            Ok(Done::Kept) => {}
            Err(JobError::Cancelled) => self.live_failed(finished.lane, ""),
            Err(JobError::Failed(sentence)) if finished.lane == Lane::Looks => self.looks_failed(&sentence),
            Err(JobError::Failed(sentence)) => {
                self.live_failed(finished.lane, &sentence);
                self.say(Level::Error, format!("{}: {sentence}", finished.label));
            }
        }
    }

    fn land_layers(&mut self, landing: Landing, outcome: Outcome, displays: Vec<Display>) {
        let mut notes = outcome.notes;
        notes.extend(landing.stale_notes(&self.project));
        if self.project.is_empty()
            && self.path.is_none()
            && let Some(name) = project_name(&landing)
        {
            // Before the first step, so that unsaved work goes by this name too.
            self.project.name = name;
        }
        let inputs = landing.input_names();
        let provenance = Provenance::new(landing.op, landing.params, inputs, notes.clone());
        if let Some(source) = &landing.source {
            self.remember(&source.path);
        }
        let mut edits = Vec::new();
        for ((slot, data), display) in outcome.data.into_iter().zip(displays) {
            let (mut content, classes) = Content::from_data(data);
            if let (Content::Labels(layer), Some(classes)) = (&mut content, classes) {
                let (class_edits, renamed) = merge_classes(&self.project.classes, classes);
                with_ids_renamed(&mut layer.labels, &renamed);
                edits.extend(class_edits);
            }
            if let (Content::Other(Data::Classifier(classifier)), Some(classes)) =
                (&mut content, &landing.classes)
            {
                let (class_edits, renamed) = merge_classes(&self.project.classes, classes.clone());
                let new_id = |id: u16| renamed.iter().find(|(old, _)| *old == id).map_or(id, |(_, new)| *new);
                let mut known = Classifier::clone(classifier);
                known.classes.iter_mut().for_each(|id| *id = new_id(*id));
                *classifier = Arc::new(known);
                edits.extend(class_edits);
            }
            let on_the_way = landing.on_the_way.iter().find(|(part, _)| *part == slot);
            let (name, provenance) = match on_the_way {
                Some((_, record)) => (slot, record.clone()),
                None => (landing.name.as_deref().unwrap_or(slot), provenance.clone()),
            };
            let name = self.project.free_name(name);
            let source = landing.source.clone();
            let pyramid = landing.pyramid.clone();
            let mut layer =
                Layer { display, source, pyramid, ..Layer::new(name, content, provenance.clone()) };
            // The truth of a demo is there to judge by, not to be looked at before the work is done.
            layer.display.visible &= provenance.op != "demo";
            edits.push(Edit::AddLayer { index: usize::MAX, layer: Box::new(layer) });
        }
        let label = format!("Add {}", provenance.op);
        if let Err(error) = self.edit(label, Edit::Batch(edits)) {
            self.say(Level::Error, format!("the result could not be added: {error}"));
        }
        self.say_notes(notes, landing.source.as_ref());
    }

    /// Says what an operation noted; what a reader had to assume is a warning, and all of it stays in the inspector.
    fn say_notes(&mut self, notes: Vec<String>, source: Option<&SourceFile>) {
        let level = if source.is_some() { Level::Warning } else { Level::Info };
        let n_more = notes.len().saturating_sub(MOST_SAID);
        let shown = if source.is_some() && n_more > 1 { MOST_SAID } else { notes.len() };
        for note in notes.into_iter().take(shown) {
            self.say(level, note);
        }
        if let Some(source) = source.filter(|_| n_more > 1) {
            let name = source.path.file_name().unwrap_or_default().to_string_lossy();
            self.say(
                level,
                format!("{n_more} more notes on {name} stand under About the file in the inspector"),
            );
        }
    }

    /// Tells what an edit that was just applied has changed.
    pub(super) fn tell(&mut self, edit: &Edit, before: &[LayerId]) {
        let now: Vec<_> = self.project.layers.iter().map(|layer| layer.id).collect();
        for id in now.iter().filter(|id| !before.contains(id)) {
            self.events.push(Event::LayerAdded(*id));
        }
        for id in before.iter().filter(|id| !now.contains(id)) {
            self.events.push(Event::LayerRemoved(*id));
        }
        let mut bricks = Vec::new();
        changed_content(edit, &mut bricks);
        for (id, changed) in bricks {
            self.events.push(Event::LayerChanged(id, changed));
        }
        self.events.push(Event::DocumentChanged);
    }
}

/// What a new project is called after the first thing in it: the demo cell, or the file.
fn project_name(landing: &Landing) -> Option<String> {
    match landing.op.as_str() {
        "demo" => landing.params.get("cell").and_then(Value::as_str).map(|cell| format!("{cell} demo")),
        _ => {
            let file = landing.source.as_ref().and_then(|source| source.path.file_stem());
            file.map(|stem| stem.to_string_lossy().into_owned()).or_else(|| landing.name.clone())
        }
    }
}

/// Layers whose content an edit changes, with the bricks where it says which.
fn changed_content(edit: &Edit, out: &mut Vec<(LayerId, Option<Vec<u32>>)>) {
    match edit {
        Edit::ReplaceBricks { layer, delta, .. } => {
            out.push((*layer, Some(delta.iter().map(|(index, _)| *index).collect())));
        }
        Edit::SetAlignmentViews { layer, .. }
        | Edit::SetAlignment { layer, .. }
        | Edit::SetCalibration { layer, .. } => out.push((*layer, None)),
        Edit::Batch(edits) => edits.iter().for_each(|edit| changed_content(edit, out)),
        _ => {}
    }
}
