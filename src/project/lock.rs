//! One writer at a time: a lock that the system lets go when the program ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

const LOCK_FILE: &str = "lock";

/// Held while a project is open for writing.
#[derive(Debug)]
pub(super) struct Lock {
    /// Closing the file lets go.
    _file: File,
}

/// Why a project cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another program has it; who, as far as it says.
    Held(String),
    /// The folder takes no files.
    ReadOnly(String),
}

impl Lock {
    /// Takes the lock of a folder.
    pub(super) fn take(folder: &Path) -> Result<Self, Refusal> {
        let read_only = |error: std::io::Error| Refusal::ReadOnly(error.to_string());
        let path = folder.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(read_only)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Windows refuses to read a locked file; then nobody is named.
                if file.read_to_string(&mut owner).is_err() || owner.trim().is_empty() {
                    "another program".clone_into(&mut owner);
                }
                return Err(Refusal::Held(owner.trim().to_owned()));
            }
            // A file system without locks: better one unguarded writer than none.
            Err(TryLockError::Error(error)) => log::debug!("{}: no locks here: {error}", path.display()),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(read_only)?;
        writeln!(file, "process {} on {}", std::process::id(), host()).map_err(read_only)?;
        Ok(Self { _file: file })
    }
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "this computer".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_has_it_and_a_lock_left_behind_does_not_bar() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let Err(Refusal::Held(owner)) = Lock::take(folder.path()) else { panic!("held twice") };
        assert!(owner.contains(&std::process::id().to_string()) || owner == "another program", "{owner}");
        drop(first);
        assert!(folder.path().join(LOCK_FILE).exists(), "the file stays, as after a crash");
        Lock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_missing_folder_is_read_only_not_held() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        assert!(matches!(Lock::take(&gone), Err(Refusal::ReadOnly(_))));
    }
}
