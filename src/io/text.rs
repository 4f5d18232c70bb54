//! Small text files: read with a bound on their size, written whole or not at all.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::atomic::write_atomically;
use super::error::IoError;

/// Longest text file that is read; tables and transforms are far below it.
const MAX_BYTES: u64 = 64 << 20;

/// Reads a text file.
///
/// # Errors
/// [`IoError`] for a missing file, one above 64 MiB, or one that is not text.
pub fn read_text(path: &Path) -> Result<String, IoError> {
    let bytes = fs::metadata(path).map_err(|e| IoError::system("read", path, e))?.len();
    if bytes > MAX_BYTES {
        return Err(IoError::content(path, "too large for a text file of this program"));
    }
    let bytes = fs::read(path).map_err(|e| IoError::system("read", path, e))?;
    String::from_utf8(bytes).map_err(|_utf8| IoError::content(path, "not a text file"))
}

/// Writes a text file under a temporary name and renames it.
///
/// # Errors
/// [`IoError`] where the folder does not take it.
pub fn write_text(path: &Path, text: &str) -> Result<(), IoError> {
    write_atomically(path, |temporary| {
        fs::write(temporary, text).map_err(|e| IoError::system("write", temporary, e))
    })
}

/// Writes a value as indented JSON with a line end.
///
/// # Errors
/// [`IoError`] where the folder does not take it.
pub fn write_json<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<(), IoError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| IoError::content(path, e.to_string()))?;
    write_text(path, &format!("{text}\n"))
}

/// Makes a folder and those above it; one that is there already is fine.
///
/// # Errors
/// [`IoError`] where the system refuses.
pub fn create_folder(path: &Path) -> Result<(), IoError> {
    fs::create_dir_all(path).map_err(|e| IoError::system("create", path, e))
}

/// A text as it stands inside an element or an attribute of HTML, SVG or XML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters have no place in XML.
            c if c.is_control() && !matches!(c, '\n' | '\t') => {}
            c => out.push(c),
        }
    }
    out
}
