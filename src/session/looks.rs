//! What files say of themselves, for the inspector and the open dialog: looked at by jobs, kept beside the document.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Session;
use super::landing::Done;
use crate::io::{self, ArrayEntry, FileInfo, Kind, ReadOptions};
use crate::jobs::{JobSpec, Lane, Policy};
use crate::project::{LayerId, Role, SourceFile, open};

/// Whose file is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The file that a layer was read from, as it was read.
    Layer(LayerId),
    /// A file that may be opened.
    File {
        /// The file or folder.
        path: PathBuf,
        /// Which part of it.
        read: ReadOptions,
    },
}

/// How far a look has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// A job is at it.
    Looking,
    /// What was seen.
    Seen(Arc<FileAbout>),
}

impl Look {
    /// What was seen, once it was.
    pub fn seen(&self) -> Option<&Arc<FileAbout>> {
        if let Self::Seen(about) = self { Some(about) } else { None }
    }
}

/// A file without its values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FileAbout {
    /// Whether it is a project.
    pub is_project: bool,
    /// What it is opened as where nobody says otherwise; `None` where that cannot be told.
    pub role: Option<Role>,
    /// What its header says; `None` where there is none that can be read.
    pub info: Option<FileInfo>,
    /// What there is to choose from where the file cannot be read as it is chosen: its arrays.
    unread_arrays: Vec<ArrayEntry>,
    /// And the scans or images that it holds side by side.
    unread_entries: Vec<String>,
    /// Why it cannot be read as it is chosen, in one sentence.
    pub problem: Option<String>,
    /// That it is no longer what the layer was read from, in one sentence.
    pub change: Option<String>,
}

impl FileAbout {
    /// Looks at a file; its values are not read.
    pub fn of(path: &Path, read: &ReadOptions) -> Self {
        if open::is_project(path) {
            return Self { is_project: true, ..Self::default() };
        }
        if io::is_model(path) {
            return Self { role: Some(Role::Classifier), ..Self::default() };
        }
        if !path.exists() {
            let problem = format!("no such file or folder: {}", path.display());
            return Self { problem: Some(problem), ..Self::default() };
        }
        match io::describe(path, read) {
            Ok(info) => Self { role: Some(role_of(info.kind)), info: Some(info), ..Self::default() },
            // What cannot be read as it is may be once somebody chooses.
            Err(error) => Self {
                unread_arrays: several(io::list_arrays(path)),
                unread_entries: several(io::list_entries(path)),
                problem: Some(error.to_string()),
                ..Self::default()
            },
        }
    }

    /// As [`FileAbout::of`], of the file that a layer was read from.
    fn of_source(source: &SourceFile) -> Self {
        let path = &source.path;
        if !path.exists() {
            let problem =
                format!("the file is gone: {}. What was read of it stays in the project", path.display());
            return Self { problem: Some(problem), ..Self::default() };
        }
        Self { change: source.change(), ..Self::of(path, &source.options.read) }
    }

    /// The arrays among which one is chosen, where there are several.
    pub fn arrays(&self) -> &[ArrayEntry] {
        self.info.as_ref().map_or(&self.unread_arrays, |info| &info.arrays)
    }

    /// The scans or images among which one is chosen, where there are several.
    pub fn entries(&self) -> &[String] {
        self.info.as_ref().map_or(&self.unread_entries, |info| &info.entries)
    }

    /// What is said of a file that cannot be read until one of these arrays is chosen.
    #[cfg(test)]
    pub(crate) fn of_arrays(arrays: Vec<ArrayEntry>) -> Self {
        Self { unread_arrays: arrays, ..Self::default() }
    }

    /// Why somebody should choose before the file is opened, in one sentence; `None` where there is nothing to choose.
    pub fn question(&self) -> Option<String> {
        let Some(info) = &self.info else {
            let has_choice = self.arrays().len() > 1 || self.entries().len() > 1;
            return self.problem.clone().filter(|_| has_choice);
        };
        let guessed = &info.guessed;
        let parts: Vec<String> = [
            guessed.entry.as_ref().map(|_| format!("{} images or scans", self.entries().len())),
            guessed.dataset.as_ref().map(|_| format!("{} arrays", self.arrays().len())),
            guessed.channel.map(|_| format!("{} channels", info.n_channels)),
            guessed.time.map(|_| format!("{} times", info.n_times)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let name = info.path.file_name().unwrap_or_default().to_string_lossy();
        (!parts.is_empty()).then(|| format!("{} in {name}: choose which is opened", parts.join(" and ")))
    }
}

fn several<T>(found: Result<Vec<T>, io::IoError>) -> Vec<T> {
    found.ok().filter(|found| found.len() > 1).unwrap_or_default()
}

/// What a file is opened as that seems to hold this.
pub(super) fn role_of(kind: Kind) -> Role {
    match kind {
        Kind::Labels => Role::Labels,
        Kind::Scan => Role::Scan,
        Kind::Volume | Kind::Image => Role::Volume,
    }
}

/// What was looked at: the files of layers, and the last one of the open dialog.
#[derive(Default)]
pub(super) struct Looks(Vec<(Subject, Look)>);

impl Looks {
    fn get(&self, subject: &Subject) -> Option<&Look> {
        self.0.iter().find(|(known, _)| known == subject).map(|(_, look)| look)
    }

    fn put(&mut self, subject: Subject, look: Look) {
        let is_file = |subject: &Subject| matches!(subject, Subject::File { .. });
        self.0.retain(|(known, _)| *known != subject && !(is_file(known) && is_file(&subject)));
        self.0.push((subject, look));
    }
}

impl Session {
    /// What is known of a file; `None` until [`super::Command::LookAt`] asks for it.
    pub fn look(&self, subject: &Subject) -> Option<&Look> {
        self.looks.get(subject)
    }

    /// Looks at a file in a job.
    pub(super) fn look_at(&mut self, subject: Subject) {
        let key = match &subject {
            Subject::Layer(id) => format!("look at layer {}", id.0),
            Subject::File { .. } => "look at a file".to_owned(),
        };
        let of_layer = match &subject {
            Subject::Layer(id) => {
                let source = self.project.layer(*id).and_then(|layer| layer.source.clone());
                let Some(source) = source else { return };
                Some(source)
            }
            Subject::File { .. } => None,
        };
        self.looks.put(subject.clone(), Look::Looking);
        let id = self.jobs.submit(JobSpec {
            label: "Look at a file".to_owned(),
            key,
            lane: Lane::Looks,
            policy: Policy::Latest,
            work: Box::new(move |_| {
                let about = match (&subject, of_layer) {
                    (_, Some(source)) => FileAbout::of_source(&source),
                    (Subject::File { path, read }, None) => FileAbout::of(path, read),
                    (Subject::Layer(_), None) => FileAbout::default(),
                };
                Ok(Done::Looked(subject, Arc::new(about)))
            }),
        });
        self.events.push(super::Event::JobChanged(id));
    }

    pub(super) fn land_look(&mut self, subject: Subject, about: Arc<FileAbout>) {
        // Somebody may have gone on to another file.
        if self.looks.get(&subject).is_some() {
            self.looks.put(subject, Look::Seen(about));
        }
    }

    /// A reader broke down over a header: nobody waits for it any longer.
    pub(super) fn looks_failed(&mut self, sentence: &str) {
        let about = FileAbout { problem: Some(sentence.to_owned()), ..FileAbout::default() };
        let about = Arc::new(about);
        for (_, look) in self.looks.0.iter_mut().filter(|(_, look)| *look == Look::Looking) {
            *look = Look::Seen(Arc::clone(&about));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, Event, Settings};
    use super::*;
    use crate::base::{Progress, Unit};
    use crate::io::{WriteRequest, write_array};
    use crate::volume::Volume;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hdf5").join(name)
    }

    fn file(path: &Path) -> Subject {
        Subject::File { path: path.to_owned(), read: ReadOptions::default() }
    }

    fn seen(session: &mut Session, subject: &Subject) -> Arc<FileAbout> {
        session.apply(Command::LookAt(subject.clone()));
        assert_eq!(session.look(subject), Some(&Look::Looking));
        session.wait_idle();
        Arc::clone(session.look(subject).and_then(Look::seen).unwrap())
    }

    #[test]
    fn a_file_is_looked_at_in_a_job_and_the_last_one_wins() {
        let mut session = Session::new(Settings::default());
        let (first, second) = (file(&fixture("imaris.ims")), file(&fixture("raw.h5")));
        session.apply(Command::LookAt(first.clone()));
        let about = seen(&mut session, &second);
        assert_eq!(
            (about.role, about.question()),
            (Some(Role::Scan), None),
            "a scan knows its flats and angles"
        );
        let info = about.info.as_ref().unwrap();
        assert_eq!((info.n_views, info.mean), (Some(6), None), "no values are read");
        assert_eq!(session.look(&first), None);
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut session = Session::new(Settings::default());
        let about = seen(&mut session, &file(Path::new("/nowhere/cell.h5")));
        assert!(about.problem.as_ref().unwrap().contains("no such file"), "{about:?}");
        assert_eq!(about.question(), None);
    }

    #[test]
    fn channels_are_asked_about_until_one_is_chosen() {
        let mut session = Session::new(Settings::default());
        let path = fixture("imaris.ims");
        session.apply(Command::Open(path.clone()));
        let events = session.wait_idle();
        let asked = events.into_iter().find_map(|event| match event {
            Event::Unchosen { options, about, problem, .. } => Some((options, about, problem)),
            _ => None,
        });
        let (mut options, about, problem) = asked.unwrap();
        assert_eq!(problem, "2 channels and 2 times in imaris.ims: choose which is opened");
        assert!(session.project().is_empty());
        options.read = about.info.as_ref().unwrap().guessed.clone();
        session.apply(Command::OpenWith { path, role: None, options: *options });
        session.wait_idle();
        assert_eq!(session.project().layers[0].name, "imaris channel 0 DAPI time 0");
        assert_eq!(session.project().name, "imaris");
    }

    #[test]
    fn what_was_seen_belongs_to_the_layers_of_one_project() {
        let mut session = Session::new(Settings::default());
        session.apply(Command::Open(fixture("raw.h5")));
        session.wait_idle();
        let subject = Subject::Layer(session.project().layers[0].id);
        assert!(seen(&mut session, &subject).info.is_some());
        session.apply(Command::NewProject);
        assert_eq!(session.look(&subject), None, "another project gives the same id to another layer");
    }

    #[test]
    fn scans_side_by_side_are_asked_about_though_the_reader_takes_none() {
        let mut session = Session::new(Settings::default());
        let about = seen(&mut session, &file(&fixture("nxtomo31.nx")));
        assert_eq!(about.entries(), ["entry0000", "entry0001"]);
        assert!(about.question().unwrap().contains("2 scans in this file"), "{:?}", about.question());
        session.apply(Command::Open(fixture("nxtomo31.nx")));
        assert!(session.wait_idle().iter().any(|event| matches!(event, Event::Unchosen { .. })));
    }

    #[test]
    fn levels_and_labels_of_an_image_are_no_question() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.zarr");
        let volume = Volume::new(ndarray::Array3::<f32>::zeros((80, 80, 80)), Some([0.01; 3]), Unit::PerUm);
        write_array(&path, &WriteRequest::volume(&volume), &Progress::new()).unwrap();
        let ids = ndarray::Array3::<u16>::ones((80, 80, 80));
        let labels = WriteRequest::labels(&ids, Some([0.01; 3]), [0.0; 3], None);
        write_array(&path.join("labels/cell"), &labels, &Progress::new()).unwrap();
        let about = FileAbout::of(&path, &ReadOptions::default());
        assert_eq!(about.question(), None);
        let paths: Vec<&str> = about.arrays().iter().map(|array| array.path.as_str()).collect();
        assert_eq!(paths, ["/", "labels/cell"], "but they can be chosen");
        let read = ReadOptions { dataset: Some("labels/cell".to_owned()), ..ReadOptions::default() };
        assert_eq!(FileAbout::of(&path, &read).role, Some(Role::Labels));
    }

    #[test]
    fn a_layer_knows_that_its_file_has_changed_and_that_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.h5");
        std::fs::copy(fixture("raw.h5"), &path).unwrap();
        let source = SourceFile::of(&path, Role::Scan, super::super::ScanOptions::default()).unwrap();
        assert_eq!(FileAbout::of_source(&source).change, None);
        std::fs::copy(fixture("imaris.ims"), &path).unwrap();
        assert!(FileAbout::of_source(&source).change.unwrap().contains("has changed"));
        std::fs::remove_file(&path).unwrap();
        assert!(FileAbout::of_source(&source).problem.unwrap().contains("the file is gone"));
    }
}
