//! The reference of a scan in a file of its own beside it.

use std::fs;
use std::path::{Path, PathBuf};

use super::folder::{by_name, is_flat_name};
use crate::io::format::has_extension;

/// Endings that such a file may have.
const ENDINGS: [&str; 2] = ["xrm", "txrm"];

/// What was found of a reference beside a scan.
pub(crate) enum Beside {
    /// The file that it is.
    One(PathBuf),
    /// Several files that it could be.
    Several(Vec<PathBuf>),
}

/// Looks beside a scan for the file that it names as its reference, else for one whose name says that it is one
/// (`ref`, `reference`, `flat`, `FF`), those that begin with the name of the scan before others.
pub(crate) fn reference_beside(path: &Path, named: Option<&str>) -> Option<Beside> {
    if !has_extension(path, &ENDINGS) {
        return None;
    }
    let folder = path.parent()?;
    let mut files: Vec<PathBuf> =
        fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| has_extension(file, &ENDINGS) && file.file_name() != path.file_name())
            .collect();
    files.sort_by(|a, b| by_name(a, b));
    // Written on a system with other separators of folders and no case in names.
    let named = named.and_then(|name| name.rsplit(['\\', '/']).next()).map(str::to_lowercase);
    let is_named = |file: &&PathBuf| {
        file.file_name().is_some_and(|name| Some(name.to_string_lossy().to_lowercase()) == named)
    };
    if let Some(file) = files.iter().find(is_named) {
        return Some(Beside::One(file.clone()));
    }
    files.retain(|file| is_flat_name(file));
    let stem = path.file_stem()?.to_string_lossy().to_lowercase();
    let own: Vec<PathBuf> = files
        .iter()
        .filter(|file| {
            file.file_stem().is_some_and(|name| name.to_string_lossy().to_lowercase().starts_with(&stem))
        })
        .cloned()
        .collect();
    let found = if own.is_empty() { files } else { own };
    match found.len() {
        0 => None,
        1 => found.into_iter().next().map(Beside::One),
        _ => Some(Beside::Several(found)),
    }
}
