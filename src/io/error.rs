//! What can go wrong between a file and the program, each as one sentence that says what to do.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::base::{Cancelled, MemoryError};

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IoError {
    /// Nothing is there under this name.
    #[error("no such file or folder, check the name: {}", path.display())]
    Missing {
        /// The name that was asked for.
        path: PathBuf,
    },
    /// The system refused; nothing was changed under the final name.
    #[error("could not {action}: {source} ({})", path.display())]
    System {
        /// What was tried ("read", "create").
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder of an output does not take new files.
    #[error("the folder cannot be written to, nothing was saved; choose another folder or change its permissions: {}", folder.display())]
    ReadOnly {
        /// The folder.
        folder: PathBuf,
    },
    /// No reader knows the content.
    #[error("format not recognised; this program reads {readable} ({})", path.display())]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// The readable formats with their extensions.
        readable: String,
    },
    /// No writer for this extension.
    #[error("no format is written under this extension; it writes {writable} ({})", path.display())]
    NoWriter {
        /// The file that was to be written.
        path: PathBuf,
        /// The writable formats with their extensions.
        writable: String,
    },
    /// The file is of the format it seems, but damaged, cut short or of a kind that is not read.
    #[error("{problem} ({})", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found and what to do.
        problem: String,
    },
    /// The content is larger than the memory it may take; checked before anything is allocated.
    #[error("{source} ({})", path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// The numbers.
        source: MemoryError,
    },
    /// The files of a scan do not fit together, or something must be said to read it.
    #[error("{problem}")]
    Scan {
        /// What was found and what to do.
        problem: String,
    },
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl IoError {
    /// An error about the content of a file.
    pub(crate) fn content(path: &Path, problem: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), problem: problem.into() }
    }

    /// An error about a scan as a whole.
    pub(crate) fn scan(problem: impl Into<String>) -> Self {
        Self::Scan { problem: problem.into() }
    }

    /// The same error about another file: the packed one that it was unpacked from.
    pub(crate) fn about(self, other: &Path) -> Self {
        let path = other.to_owned();
        match self {
            Self::Missing { .. } => Self::Missing { path },
            Self::System { action, source, .. } => Self::System { action, path, source },
            Self::Unrecognised { readable, .. } => Self::Unrecognised { path, readable },
            Self::Content { problem, .. } => Self::Content { path, problem },
            Self::Memory { source, .. } => Self::Memory { path, source },
            other => other,
        }
    }

    /// The system's error for an action on a path; names missing files and read-only folders as such.
    pub(crate) fn system(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound if action == "read" => Self::Missing { path: path.to_owned() },
            io::ErrorKind::UnexpectedEof => Self::content(path, "the file ends before its data do"),
            // Folders are looked for before files are created in them: one that is there and takes none says "not found" in /proc.
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
                if action == "create" =>
            {
                Self::ReadOnly { folder: path.parent().unwrap_or(path).to_owned() }
            }
            _ => Self::System { action, path: path.to_owned(), source },
        }
    }
}

/// Runs a piece of reading by a crate that may panic on hostile bytes; its errors and panics become errors about the file.
pub(crate) fn guarded<T>(
    path: &Path,
    format: &str,
    read: impl FnOnce() -> Result<T, String>,
) -> Result<T, IoError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(problem)) => Err(IoError::content(path, problem)),
        Err(_panic) => {
            Err(IoError::content(path, format!("damaged {format}: its structure contradicts itself")))
        }
    }
}
