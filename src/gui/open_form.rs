//! What is filled in to open a file: the path, what it is, which part of it is read, what its files do not say.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::panels::operation::sentence;
use crate::base::Unit;
use crate::io::{Kind, ReadAs, ReadOptions, TiltAxis, VoxelSize};
use crate::session::{Command, FileAbout, Role, ScanOptions, Subject};

/// What a file is opened as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OpenAs {
    /// What it looks like.
    #[default]
    Guess,
    /// Raw frames.
    Scan,
    /// A volume.
    Volume,
    /// Class ids.
    Labels,
}

/// The open dialog's fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct OpenForm {
    /// The file or folder.
    pub(crate) path: String,
    /// What it is.
    pub(crate) role: OpenAs,
    /// Which part of the file is read, but for its axes.
    pub(crate) read: ReadOptions,
    /// The order of the axes as typed.
    pub(crate) axes: String,
    /// Angles as typed.
    pub(crate) angles: String,
    /// Flat file as typed.
    pub(crate) flat: String,
    /// Dark file as typed.
    pub(crate) dark: String,
    /// Voxel size as typed, of a scan its pixel size.
    pub(crate) voxel: String,
    /// What the values mean; `None` for what the file says.
    pub(crate) unit: Option<Unit>,
    /// How the tilt axis lies in the pictures.
    pub(crate) tilt_axis: TiltAxis,
    /// Why the dialog asks, where a first try failed.
    pub(crate) problem: Option<String>,
    /// What the file holds, as far as it is known.
    pub(crate) seen: Seen,
}

/// What the dialog knows of the file at its path.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Seen {
    /// The path that it is of.
    pub(crate) path: String,
    /// When the path changed last, while it is not looked at yet; seconds of the window.
    pub(crate) changed_at: Option<f64>,
    /// What was seen there last.
    pub(crate) about: Option<Arc<FileAbout>>,
    /// The first of several, which is opened where nobody chooses.
    pub(crate) first: ReadOptions,
    /// What is searched for among the arrays.
    pub(crate) search: String,
}

impl OpenForm {
    /// The dialog for a file that could not be opened without a question, as it was to be opened.
    pub(crate) fn again(path: &Path, role: Option<Role>, options: &ScanOptions, problem: &str) -> Self {
        let text =
            |path: &Option<PathBuf>| path.as_ref().map_or_else(String::new, |p| p.display().to_string());
        let shown = path.display().to_string();
        Self {
            role: match role {
                Some(Role::Scan) => OpenAs::Scan,
                Some(Role::Volume) => OpenAs::Volume,
                Some(Role::Labels) => OpenAs::Labels,
                Some(Role::Classifier) | None => OpenAs::Guess,
            },
            read: options.read.clone(),
            axes: options.read.axes.map_or_else(String::new, |axes| axes.to_string()),
            angles: options.angles.clone().unwrap_or_default(),
            flat: text(&options.flat),
            dark: text(&options.dark),
            voxel: match (options.read.voxel_um, options.pixel_um) {
                (Some(size), _) => format!("{size} µm"),
                (None, Some(um)) => format!("{um} µm"),
                (None, None) => String::new(),
            },
            unit: options.read.unit.or(options.input),
            tilt_axis: options.tilt_axis,
            problem: Some(sentence(problem)),
            seen: Seen { path: shown.clone(), ..Seen::default() },
            path: shown,
        }
    }

    /// The same with what is known of the file.
    pub(crate) fn with(mut self, about: Arc<FileAbout>) -> Self {
        self.take(about);
        self
    }

    /// Takes up what was seen of the file, and which part of it is the first.
    pub(crate) fn take(&mut self, about: Arc<FileAbout>) {
        let first = &mut self.seen.first;
        match &about.info {
            Some(info) => {
                // What was chosen is no guess any more; what was the first of its kind stays so.
                let guessed = info.guessed.clone();
                first.entry = guessed.entry.or(first.entry.take().filter(|_| self.read.entry.is_some()));
                first.dataset =
                    guessed.dataset.or(first.dataset.take().filter(|_| self.read.dataset.is_some()));
                (first.channel, first.time) = (guessed.channel, guessed.time);
            }
            // Nothing is read before something is chosen, so the first is.
            None if self.read.entry.is_none() && !about.entries().is_empty() => {
                first.entry = about.entries().first().cloned();
                self.read.entry.clone_from(&first.entry);
            }
            None if self.read.dataset.is_none() => {
                first.dataset = about.arrays().first().map(|array| array.path.clone());
                self.read.dataset.clone_from(&first.dataset);
            }
            None => {}
        }
        self.seen.about = Some(about);
    }

    /// What is asked of the session: the file at the path, read as it is chosen.
    pub(crate) fn subject(&self) -> Subject {
        let axes = self.axes.trim().parse().ok();
        Subject::File {
            path: PathBuf::from(self.path.trim()),
            read: ReadOptions { axes, ..self.read.clone() },
        }
    }

    /// Another path: what was chosen in the file at the old one means nothing there.
    pub(crate) fn forget(&mut self, now: f64) {
        self.seen = Seen { path: self.path.clone(), changed_at: Some(now), ..Seen::default() };
        (self.read, self.problem) = (ReadOptions::default(), None);
        self.axes.clear();
    }

    /// Which part is read, the first where nobody chose.
    fn chosen(&self) -> Result<ReadOptions, &'static str> {
        let axes = match self.axes.trim() {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_unread| "The axes must be z, y and x once each, such as zyx, yzx or -zyx")?,
            ),
        };
        let read = ReadOptions {
            axes,
            voxel_um: parse_voxel_size(&self.voxel)?,
            unit: self.unit,
            ..self.read.or(&self.seen.first)
        };
        let says = self.seen.about.as_ref().and_then(|about| Some(about.info.as_ref()?.kind));
        // What the file says of its values is wrong where somebody says otherwise.
        let kind = match (self.role, says) {
            (OpenAs::Volume, Some(Kind::Labels)) => Some(ReadAs::Volume),
            _ => read.kind,
        };
        Ok(ReadOptions { kind, ..read })
    }

    /// What is to be read, as typed; what makes no sense in one sentence.
    pub(crate) fn options(&self) -> Result<ScanOptions, &'static str> {
        let path = |text: &str| (!text.trim().is_empty()).then(|| PathBuf::from(text.trim()));
        Ok(ScanOptions {
            angles: (!self.angles.trim().is_empty()).then(|| self.angles.trim().to_owned()),
            flat: path(&self.flat),
            dark: path(&self.dark),
            tilt_axis: self.tilt_axis,
            read: self.chosen()?,
            ..ScanOptions::default()
        })
    }

    /// What opening it asks of the session; what makes no sense in one sentence.
    pub(crate) fn command(&self) -> Result<Command, &'static str> {
        let (path, options) = (PathBuf::from(self.path.trim()), self.options()?);
        let of_scan = ScanOptions { read: ReadOptions::default(), ..options.clone() };
        let role = match self.role {
            OpenAs::Guess if options == ScanOptions::default() => return Ok(Command::Open(path)),
            OpenAs::Guess if of_scan == ScanOptions::default() => None,
            OpenAs::Guess | OpenAs::Scan => Some(Role::Scan),
            OpenAs::Volume => Some(Role::Volume),
            OpenAs::Labels => Some(Role::Labels),
        };
        Ok(Command::OpenWith { path, role, options })
    }
}

/// A voxel size as typed; one comma between two numbers is that of a decimal, and nothing typed is none.
pub(crate) fn parse_voxel_size(text: &str) -> Result<Option<VoxelSize>, &'static str> {
    let text = text.trim();
    let is_decimal = text.matches(',').count() == 1 && !text.contains(", ");
    let text = if is_decimal { text.replace(',', ".") } else { text.to_owned() };
    if text.is_empty() {
        return Ok(None);
    }
    let wrong =
        "The voxel size is one number above 0, or three (z, y, x), in µm or with a unit, such as 10 nm";
    text.parse().map(Some).map_err(|_unread| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{ArrayEntry, AxisOrder};

    #[test]
    fn the_dialog_comes_back_with_what_was_chosen() {
        let read = ReadOptions {
            channel: Some(1),
            dataset: Some("/a/b".to_owned()),
            axes: Some("yz-x".parse().unwrap()),
            ..ReadOptions::default()
        };
        let read =
            ReadOptions { voxel_um: Some("10nm".parse().unwrap()), unit: Some(Unit::Transmission), ..read };
        let options = ScanOptions { read, ..ScanOptions::default() };
        let form = OpenForm::again(Path::new("/data/cell.h5"), Some(Role::Scan), &options, "no angles");
        assert_eq!(form.options().unwrap(), options);
        assert_eq!(form.problem.as_deref(), Some("No angles"));
    }

    #[test]
    fn what_is_chosen_in_a_file_is_no_word_about_a_scan() {
        let form = OpenForm {
            path: "/data/cell.tif".to_owned(),
            read: ReadOptions { channel: Some(1), ..ReadOptions::default() },
            axes: "yzx".to_owned(),
            ..OpenForm::default()
        };
        let Ok(Command::OpenWith { role: None, options, .. }) = form.command() else {
            panic!("another command")
        };
        assert_eq!(options.read.axes, Some("yzx".parse::<AxisOrder>().unwrap()));
        assert!(OpenForm { axes: "yyx".to_owned(), ..form }.command().is_err());
    }

    #[test]
    fn a_voxel_size_is_taken_as_people_type_it() {
        let typed = |voxel: &str| OpenForm { voxel: voxel.to_owned(), ..OpenForm::default() }.options();
        for text in ["0,01", "0.01", "10 nm", "0.01, 0.01, 0.01"] {
            let size = typed(text).unwrap().read.voxel_um.unwrap();
            assert_eq!(size.um(), [0.01; 3], "{text}");
        }
        assert_eq!(typed(" ").unwrap().read.voxel_um, None);
        for text in ["0", "-3", "ten", "1e9"] {
            assert!(typed(text).unwrap_err().contains("voxel size"), "{text}");
        }
    }

    #[test]
    fn where_nothing_is_read_before_a_choice_the_first_is_chosen() {
        let array = |path: &str| ArrayEntry {
            path: path.to_owned(),
            shape: vec![4, 4, 4],
            dtype: "uint8".to_owned(),
            note: String::new(),
        };
        let about = FileAbout::of_arrays(vec![array("a"), array("b")]);
        let form = OpenForm::default().with(Arc::new(about));
        assert_eq!(form.read.dataset.as_deref(), Some("a"));
    }
}
