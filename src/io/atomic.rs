//! Outputs appear whole or not at all: written under a temporary name beside the final one, then renamed.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::IoError;

/// Files up to this size are forced to the disk before the rename; for larger ones that would take minutes on a slow disk.
const SYNC_LIMIT_BYTES: u64 = 64 << 20;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Removes the temporary file or folder unless it was renamed away.
struct Leftover(PathBuf);

impl Drop for Leftover {
    fn drop(&mut self) {
        // Best effort: when even the removal fails there is nobody left to tell, and the name says what it is.
        if self.0.is_dir() {
            drop(fs::remove_dir_all(&self.0));
        } else {
            drop(fs::remove_file(&self.0));
        }
    }
}

/// Runs `write` on a temporary path beside `path` and renames the result to `path` when it succeeded.
///
/// `write` may create a file or a folder (a .zarr) there. An existing file is replaced; an
/// existing folder only if it holds a Zarr hierarchy. Whatever fails, what was under `path`
/// before is still there.
///
/// # Errors
/// What `write` returns, or [`IoError::ReadOnly`] / [`IoError::System`] of the system.
pub fn write_atomically<T>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<T, IoError>,
) -> Result<T, IoError> {
    let leftover = temporary(path)?;
    let result = write(&leftover.0)?;
    put_in_place(&leftover.0, path)?;
    Ok(result)
}

/// As [`write_atomically`] for a folder that must not be there yet: of many processes that try, one succeeds and
/// its folder is never replaced. Returns whether it was this one.
pub(crate) fn create_folder_once(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), IoError>,
) -> Result<bool, IoError> {
    let leftover = temporary(path)?;
    write(&leftover.0)?;
    // A folder with files in it is never renamed over, on any system.
    match fs::rename(&leftover.0, path) {
        Ok(()) => Ok(true),
        Err(_) if path.exists() => Ok(false),
        Err(error) => Err(IoError::system("rename to", path, error)),
    }
}

/// A free temporary name beside `path`, where a file was seen to be possible.
fn temporary(path: &Path) -> Result<Leftover, IoError> {
    let Some(name) = path.file_name() else {
        return Err(IoError::content(path, "an output needs a file name"));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(IoError::content(path, "the folder of the output does not exist; create it first"));
    }
    if path.is_dir() && !is_zarr_folder(path) {
        return Err(IoError::content(
            path,
            "a folder of this name exists and is not replaced; choose another name",
        ));
    }
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{}.{}-{count}.part", name.to_string_lossy(), std::process::id()));
    // An empty file first: a folder that takes no files is found before an hour of work, and in one place.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&temporary)
        .map_err(|e| IoError::system("create", &temporary, e))?;
    fs::remove_file(&temporary).map_err(|e| IoError::system("create", &temporary, e))?;

    Ok(Leftover(temporary))
}

/// Says whether a file could be put under `path`, before hours of work go into it; leaves nothing there.
///
/// # Errors
/// As [`write_atomically`].
pub fn check_writable(path: &Path) -> Result<(), IoError> {
    temporary(path).map(drop)
}

/// Whether a folder is the root of a Zarr hierarchy.
pub(crate) fn is_zarr_folder(path: &Path) -> bool {
    ["zarr.json", ".zgroup", ".zarray"].iter().any(|name| path.join(name).is_file())
}

fn put_in_place(temporary: &Path, path: &Path) -> Result<(), IoError> {
    let rename =
        |from: &Path, to: &Path| fs::rename(from, to).map_err(|e| IoError::system("rename to", path, e));
    if temporary.is_file()
        && let Ok(file) = File::open(temporary)
        && file.metadata().is_ok_and(|meta| meta.len() <= SYNC_LIMIT_BYTES)
    {
        file.sync_all().map_err(|e| IoError::system("write", path, e))?;
    }
    if path.is_dir() {
        // A folder cannot be renamed over another: the old one steps aside and comes back if the new one fails.
        let aside = temporary.with_extension("old");
        rename(path, &aside)?;
        if let Err(error) = rename(temporary, path) {
            rename(&aside, path)?;
            return Err(error);
        }
        return fs::remove_dir_all(&aside).map_err(|e| IoError::system("remove the replaced", &aside, e));
    }
    rename(temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write_atomically(&path, |temp| {
            fs::write(temp, b"old").unwrap();
            Ok(())
        })
        .unwrap();
        let result: Result<(), _> = write_atomically(&path, |temp| {
            fs::write(temp, b"half").unwrap();
            Err(IoError::scan("stopped"))
        });
        assert!(result.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn a_zarr_folder_is_replaced_and_another_folder_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zarr");
        for content in ["one", "two"] {
            write_atomically(&path, |temp| {
                fs::create_dir(temp).unwrap();
                fs::write(temp.join("zarr.json"), content).unwrap();
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(fs::read_to_string(path.join("zarr.json")).unwrap(), "two");
        assert_eq!(names(folder.path()), ["a.zarr"]);
        let thesis = folder.path().join("thesis");
        fs::create_dir(&thesis).unwrap();
        let error = write_atomically(&thesis, |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("not replaced"), "{error}");
    }

    #[test]
    fn a_read_only_folder_is_named_in_one_sentence() {
        for kind in [std::io::ErrorKind::PermissionDenied, std::io::ErrorKind::ReadOnlyFilesystem] {
            let error = IoError::system("create", Path::new("/locked/a.mrc"), kind.into());
            let text = error.to_string();
            assert!(text.contains("nothing was saved") && text.ends_with("/locked"), "{text}");
        }
        let missing = write_atomically(Path::new("/no/such/folder/a.mrc"), |_| Ok(())).unwrap_err();
        assert!(missing.to_string().contains("does not exist"), "{missing}");
    }
}
