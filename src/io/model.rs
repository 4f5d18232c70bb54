//! A trained classifier with the names of its classes, as JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::IoError;
use super::text::{read_text, write_text};
use crate::segment::Classifier;
use crate::volume::ClassTable;

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "waterwindow_classifier")]
    version: u32,
    classes: &'a ClassTable,
    classifier: &'a Classifier,
}

#[derive(Deserialize)]
struct Read {
    #[serde(rename = "waterwindow_classifier")]
    version: u32,
    classes: ClassTable,
    classifier: Classifier,
}

/// Writes a classifier and the classes that it knows.
///
/// # Errors
/// [`IoError`]; nothing half-written is left.
pub fn write_model(path: &Path, classifier: &Classifier, classes: &ClassTable) -> Result<(), IoError> {
    // A number a line would make the file three times as large.
    let text = serde_json::to_string(&Written { version: VERSION, classes, classifier })
        .map_err(|error| IoError::content(path, error.to_string()))?;
    write_text(path, &text)
}

/// Reads a classifier and the names of its classes.
///
/// # Errors
/// [`IoError`] where it is no classifier, or one of another version.
pub fn read_model(path: &Path) -> Result<(Classifier, ClassTable), IoError> {
    let text = read_text(path)?;
    let model: Read = serde_json::from_str(&text)
        .map_err(|error| IoError::content(path, format!("not a classifier of this program: {error}")))?;
    if model.version != VERSION {
        let problem =
            format!("classifier of version {}, this program reads version {VERSION}", model.version);
        return Err(IoError::content(path, problem));
    }
    Ok((model.classifier, model.classes))
}

/// Whether a file says of itself that it is a classifier; false where it cannot be read.
pub fn is_model(path: &Path) -> bool {
    use std::io::Read as _;
    let mut head = [0; 64];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut head));
    let key = b"\"waterwindow_classifier\"";
    read.is_ok_and(|n| head.get(..n).unwrap_or(&[]).windows(key.len()).any(|part| part == key))
}
