//! What the session is asked and what it answers: plain data both ways.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::live::{Acceptance, LiveRequest};
use super::looks::{FileAbout, Subject};
use super::refine::Refinement;
use super::review::Verdict;
use super::settings::Settings;
use crate::io::ReadOptions;
use crate::jobs::JobId;
use crate::ops::chain::Chain;
use crate::project::{Edit, LayerId, Role, ScanOptions, SourcePart};

/// Formats of meshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeshFormat {
    /// Binary PLY.
    Ply,
    /// Binary STL.
    Stl,
}

impl MeshFormat {
    /// The extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Ply => "ply",
            Self::Stl => "stl",
        }
    }
}

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportKind {
    /// The layer itself; the extension says the format.
    Layer,
    /// A mesh per class of a label layer, into a folder or into one file.
    Meshes(MeshFormat),
    /// A table as CSV.
    Table,
    /// A volume with all that is known of how good it is, as a page of HTML.
    Report,
    /// A curve as an SVG drawing.
    Chart,
    /// Where every label comes from, as labels of their own.
    Marks,
    /// A classifier as JSON, for other volumes.
    Classifier,
}

/// A request to the session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Command {
    /// Opens a project folder, a scan, a volume or labels: the content says which.
    Open(PathBuf),
    /// Opens a file as the user says.
    OpenWith {
        /// The file or folder.
        path: PathBuf,
        /// What it is; `None` where its content says.
        role: Option<Role>,
        /// Which part of it is read, and what its files do not say.
        options: ScanOptions,
    },
    /// Looks at what a file says of itself; [`super::Session::look`] has it then.
    LookAt(Subject),
    /// Opens another level, or a part of one, of the file that a layer was read from.
    OpenPart {
        /// The layer.
        layer: LayerId,
        /// What of the file.
        part: SourcePart,
    },
    /// Writes a volume as an OME-Zarr pyramid and opens that.
    MakePyramid {
        /// The file that is too large to be read whole.
        source: PathBuf,
        /// Which part of it.
        read: ReadOptions,
        /// The .zarr folder.
        target: PathBuf,
    },
    /// Makes a demo cell with these parameters of the `demo` operation and adds scan and truth.
    OpenDemo(Value),
    /// Writes the project where it lies.
    Save,
    /// Writes the project to a folder of this name.
    SaveAs(PathBuf),
    /// Starts an empty project.
    NewProject,
    /// Closes the project; what was not saved stays in the journal and is offered again.
    CloseProject,
    /// Throws away what was not saved and closes the project.
    DiscardChanges,
    /// Throws unsaved work of an earlier session away.
    DiscardRecoverable(PathBuf),
    /// Changes the document: one step of the history.
    Edit {
        /// What the undo menu says.
        label: String,
        /// The change.
        edit: Edit,
    },
    /// Takes the last step back.
    Undo,
    /// Does the step again that was taken back last.
    Redo,
    /// Starts an operation.
    StartOp {
        /// Id of the operation.
        op: String,
        /// Parameters that differ from the defaults.
        params: Value,
        /// Slot and layer of each input.
        inputs: Vec<(String, LayerId)>,
        /// Name of the new layer; `None` takes the name of the output.
        name: Option<String>,
    },
    /// Normalises, aligns and reconstructs a scan in one job, with the same bits as the command line.
    Reconstruct {
        /// The layer of the scan.
        scan: LayerId,
        /// Parameters of each step.
        chain: Box<Chain>,
        /// Name of the new layer; `None` takes the scan's.
        name: Option<String>,
    },
    /// Normalises a scan and finds its alignment, which becomes a layer; nothing is reconstructed.
    Align {
        /// The layer of the scan.
        scan: LayerId,
        /// Parameters of `normalize` and, where the alignment is to be found, of `align`.
        chain: Box<Chain>,
    },
    /// Tells the resolution and the noise of a reconstruction from its halves, which are made where they are missing.
    Assess {
        /// The volume.
        volume: LayerId,
        /// Parameters of `fsc` that differ from the defaults.
        params: Value,
    },
    /// Classifies a volume from strokes; the prediction is laid over it until it is accepted.
    Classify(LiveRequest),
    /// Makes the supervoxels of a volume that the supervoxel brush and the classifier need.
    PrepareRegions {
        /// The volume.
        volume: LayerId,
        /// Parameters of `segment` that differ from the defaults.
        params: Value,
    },
    /// Stops following the strokes; the prediction stays.
    StopLive,
    /// Lists the objects of a label layer, the most doubtful first.
    Review {
        /// The label layer.
        layer: LayerId,
        /// The volume on the same grid.
        volume: LayerId,
    },
    /// Decides about an object of that list: one step.
    Judge {
        /// A voxel of it (z, y, x).
        seed_zyx: [usize; 3],
        /// What is decided.
        verdict: Verdict,
    },
    /// Changes a label layer by an operation: one step, nothing painted meanwhile is lost.
    Refine(Refinement),
    /// Makes the prediction, or the part of it that is wanted, labels of the document.
    AcceptPrediction(Acceptance),
    /// Keeps the classifier of the prediction as a layer, for other volumes.
    KeepClassifier,
    /// Throws the prediction away.
    DiscardPrediction,
    /// Stops a job.
    Cancel(JobId),
    /// Takes jobs that are over off the list.
    ClearFinishedJobs,
    /// Writes a layer to a file of another format.
    Export {
        /// What to write.
        what: ExportKind,
        /// Which layer.
        layer: LayerId,
        /// Where to.
        path: PathBuf,
    },
    /// Changes the settings and keeps them.
    SetSettings(Box<Settings>),
    /// Stops all jobs, keeps everything and answers with [`Event::QuitReady`].
    Quit,
}

/// How grave a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something went as asked.
    Info,
    /// Something was done otherwise than asked.
    Warning,
    /// Something was not done.
    Error,
}

/// What the session has to tell.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A scan was not opened because it does not say enough about itself: what the user may add.
    ScanUnclear {
        /// The file.
        path: PathBuf,
        /// What was said about it.
        options: Box<ScanOptions>,
        /// What is missing, in one sentence.
        problem: String,
    },
    /// A file was not opened because it holds several things that may be meant.
    Unchosen {
        /// The file.
        path: PathBuf,
        /// What it was to be opened as.
        role: Option<Role>,
        /// What was said about it.
        options: Box<ScanOptions>,
        /// What there is to choose from.
        about: Arc<FileAbout>,
        /// Why somebody has to choose, in one sentence.
        problem: String,
    },
    /// A volume was not opened because it is larger than memory.
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        read: ReadOptions,
        /// The numbers, in one sentence.
        problem: String,
    },
    /// A layer has come.
    LayerAdded(LayerId),
    /// A layer's content has changed: these bricks of a label layer, or all of it.
    LayerChanged(LayerId, Option<Vec<u32>>),
    /// A layer has gone.
    LayerRemoved(LayerId),
    /// Order, names, display, placement, classes or landmarks have changed.
    DocumentChanged,
    /// Another project is open.
    ProjectReplaced,
    /// A job has changed its state.
    JobChanged(JobId),
    /// The live prediction is another one.
    PredictionChanged,
    /// A sentence for the user.
    Message {
        /// How grave.
        level: Level,
        /// What happened, what is still fine, what to do.
        text: String,
    },
    /// The project has been written.
    Saved(PathBuf),
    /// Everything is kept; the program may end.
    QuitReady,
}
