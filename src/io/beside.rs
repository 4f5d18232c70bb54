//! Names of the files that lie beside another: its sidecar, its angles, its .mdoc.

use std::path::{Component, Path, PathBuf};

/// Extensions of compressed files.
const COMPRESSED: [&str; 4] = ["gz", "bz2", "gzip", "bzip2"];

/// A file's name without the extension that says that it is compressed; the same name where there is none.
pub(crate) fn without_compression(path: &Path) -> PathBuf {
    let is_compressed = path
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| COMPRESSED.iter().any(|c| c.eq_ignore_ascii_case(e)));
    if is_compressed { path.with_extension("") } else { path.to_owned() }
}

/// The names under which companions of a file are looked for: its own, and that of what is packed in it.
pub(crate) fn names(path: &Path) -> Vec<PathBuf> {
    let inner = without_compression(path);
    if inner == path { vec![inner] } else { vec![path.to_owned(), inner] }
}

/// Whether a name that a file gives of another leads nowhere out of the folder of both.
pub(crate) fn is_inside(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// A path with more letters at its end.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The first file that is there among `NAME.EXT` with the extension replaced, extensions in order.
pub(crate) fn with_extension(path: &Path, extensions: &[&str]) -> Option<PathBuf> {
    let inner = without_compression(path);
    extensions.iter().map(|e| inner.with_extension(e)).find(|candidate| candidate.is_file())
}
