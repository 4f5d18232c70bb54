//! Room on the disk for a file, asked for before it is written.

use std::fs::File;
use std::io;
use std::path::Path;

/// Creates a file that will have `n_bytes`, and asks for room for them where the system can.
///
/// A disk that is too full says so before anything is written, the file lies in few pieces, and placing it once costs less
/// than placing it bit by bit. Its length is still 0.
///
/// # Errors
/// The system's error where the file cannot be created or there is no room for it.
pub(crate) fn create(path: &Path, n_bytes: u64) -> io::Result<File> {
    let file = File::create(path)?;
    reserve(&file, n_bytes)?;
    Ok(file)
}

#[cfg(target_os = "linux")]
fn reserve(file: &File, n_bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    if n_bytes == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, n_bytes) {
        Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(error.into()),
        // Many file systems cannot; they find room as the file grows.
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_file: &File, _n_bytes: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_has_the_bytes_that_were_written_whatever_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for asked in [0, 3, 1 << 20] {
            create(&path, asked).unwrap().write_all(b"abc").unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"abc", "{asked} bytes were asked for");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_no_disk_holds_is_refused_before_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        assert!(create(&folder.path().join("a"), 1 << 62).is_err());
    }
}
