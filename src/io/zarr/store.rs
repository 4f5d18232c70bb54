//! Where the bytes of a hierarchy lie: a folder, or one zip file (.ozx).
//!
//! Keys come from files of strangers. A key is a plain relative path below the root; nothing is read through a link that
//! leaves the folder, and no value is larger than the limit that the store was opened with.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator, InvalidByteRangeError};
use zarrs::storage::{
    Bytes, ListableStorageTraits, MaybeBytes, MaybeBytesIterator, OffsetBytesIterator,
    ReadableListableStorageTraits, ReadableStorageTraits, StorageError, StoreKey, StoreKeys,
    StoreKeysPrefixes, StorePrefix, StorePrefixes, WritableStorageTraits, store_set_partial_many,
};

use super::zip::ZipStore;
use crate::io::error::IoError;
use crate::io::room;

/// Anything that a hierarchy is read from.
pub(super) type Store = dyn ReadableListableStorageTraits;

/// Folders in one folder that are listed at most: more are no children of a group but chunks.
const MAX_LISTED: usize = 100_000;

/// Opens the hierarchy at a path for reading; no value of more than `limit` bytes is read.
pub(super) fn open_store(path: &Path, limit: u64) -> Result<Arc<Store>, String> {
    if path.is_dir() {
        return Ok(Arc::new(FolderStore::open(path, limit)?));
    }
    Ok(Arc::new(ZipStore::open(path, limit)?))
}

/// An error of this program as one of a store.
pub(super) fn other(problem: impl std::fmt::Display) -> StorageError {
    StorageError::Other(problem.to_string())
}

/// The parts of a key; `None` where it is no plain relative path.
pub(super) fn parts(key: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
    let is_plain = |part: &&str| *part != "." && *part != ".." && !part.contains(['\\', ':', '\0']);
    (!key.starts_with('/') && parts.iter().all(is_plain)).then_some(parts)
}

/// The bytes that a range means in a value of `size`.
pub(super) fn within(range: ByteRange, size: u64) -> Result<(u64, u64), StorageError> {
    let wrong = || StorageError::from(InvalidByteRangeError::new(range, size));
    let (start, length) = match range {
        ByteRange::FromStart(start, Some(length)) => (start, length),
        ByteRange::FromStart(start, None) => (start, size.checked_sub(start).ok_or_else(wrong)?),
        ByteRange::Suffix(length) => (size.checked_sub(length).ok_or_else(wrong)?, length),
    };
    let end = start.checked_add(length).ok_or_else(wrong)?;
    if end > size { Err(wrong()) } else { Ok((start, length)) }
}

/// Refuses what is over the limit of a store.
pub(super) fn admit(bytes: u64, limit: u64) -> Result<usize, StorageError> {
    let fits = || usize::try_from(bytes).ok().filter(|_| bytes <= limit);
    fits().ok_or_else(|| other(format!("a piece of {bytes} bytes does not fit the memory budget")))
}

/// A folder.
#[derive(Debug)]
pub(super) struct FolderStore {
    /// Without links.
    root: PathBuf,
    limit: u64,
}

impl FolderStore {
    /// Opens an existing folder for reading.
    pub(super) fn open(path: &Path, limit: u64) -> Result<Self, String> {
        let root = fs::canonicalize(path).map_err(|error| format!("could not read the folder: {error}"))?;
        Ok(Self { root, limit })
    }

    /// Creates a folder to write into.
    pub(super) fn create(path: &Path) -> Result<Arc<Self>, IoError> {
        fs::create_dir_all(path).map_err(|error| IoError::system("create", path, error))?;
        Self::open(path, u64::MAX).map(Arc::new).map_err(|problem| IoError::content(path, problem))
    }

    /// The path of a key or prefix, which need not exist.
    fn path_of(&self, key: &str) -> Result<PathBuf, StorageError> {
        let parts = parts(key).ok_or_else(|| other(format!("the path {key:?} leaves the hierarchy")))?;
        Ok(self.root.join(parts.iter().collect::<PathBuf>()))
    }

    /// The path of something that exists, links followed; an error where they lead out of the folder.
    fn found(&self, key: &str) -> Result<Option<PathBuf>, StorageError> {
        match fs::canonicalize(self.path_of(key)?) {
            Ok(path) if path.starts_with(&self.root) => Ok(Some(path)),
            Ok(_) => Err(other(format!("{key:?} is a link that leaves the folder; it is not followed"))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a value that lies in several pieces of memory.
    pub(super) fn set_parts(&self, key: &StoreKey, parts: &[&[u8]]) -> Result<(), StorageError> {
        let path = self.path_of(key.as_str())?;
        let n_bytes = parts.iter().map(|part| part.len() as u64).sum();
        let mut file = match room::create(&path, n_bytes) {
            Err(error) if is_missing(&error) => {
                fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
                room::create(&path, n_bytes)?
            }
            file => file?,
        };
        Ok(parts.iter().try_for_each(|part| file.write_all(part))?)
    }

    /// An existing file with its size.
    fn file(&self, key: &StoreKey) -> Result<Option<(File, u64)>, StorageError> {
        let Some(path) = self.found(key.as_str())? else { return Ok(None) };
        let meta = fs::metadata(&path)?;
        if !meta.is_file() {
            return Ok(None);
        }
        Ok(Some((File::open(&path)?, meta.len())))
    }

    fn listed(&self, prefix: &StorePrefix) -> Result<(StoreKeys, StorePrefixes), StorageError> {
        let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
        let Some(folder) = self.found(prefix.as_str())? else { return Ok((keys, prefixes)) };
        for entry in fs::read_dir(folder)?.take(MAX_LISTED) {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let full = format!("{}{name}", prefix.as_str());
            if entry.path().is_dir() {
                prefixes.extend(StorePrefix::new(format!("{full}/")));
            } else {
                keys.extend(StoreKey::new(full));
            }
        }
        keys.sort();
        prefixes.sort();
        Ok((keys, prefixes))
    }
}

/// Whether nothing is there: neither the file nor the folder that it would be in.
fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

impl ReadableStorageTraits for FolderStore {
    fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        let Some((file, size)) = self.file(key)? else { return Ok(None) };
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(admit(size, self.limit)?).map_err(other)?;
        (&file).take(size).read_to_end(&mut bytes)?;
        Ok(Some(bytes.into()))
    }

    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some((file, size)) = self.file(key)? else { return Ok(None) };
        let limit = self.limit;
        let pieces = byte_ranges.map(move |range| {
            let (start, length) = within(range, size)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(admit(length, limit)?).map_err(other)?;
            (&file).seek(SeekFrom::Start(start))?;
            if (&file).take(length).read_to_end(&mut bytes)? as u64 != length {
                return Err(other("the file ends before its data do"));
            }
            Ok(Bytes::from(bytes))
        });
        Ok(Some(Box::new(pieces.collect::<Vec<_>>().into_iter())))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        Ok(self.file(key)?.map(|(_, size)| size))
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

impl ListableStorageTraits for FolderStore {
    fn list(&self) -> Result<StoreKeys, StorageError> {
        Err(StorageError::Unsupported("a folder is listed level by level".to_owned()))
    }

    fn list_prefix(&self, _prefix: &StorePrefix) -> Result<StoreKeys, StorageError> {
        self.list()
    }

    fn list_dir(&self, prefix: &StorePrefix) -> Result<StoreKeysPrefixes, StorageError> {
        self.listed(prefix).map(|(keys, prefixes)| StoreKeysPrefixes::new(keys, prefixes))
    }

    fn size_prefix(&self, _prefix: &StorePrefix) -> Result<u64, StorageError> {
        Err(StorageError::Unsupported("the size of a folder is not counted".to_owned()))
    }
}

/// Files are not forced to the disk one by one: a folder of many shards would take minutes on a slow disk, and what counts
/// is that a folder appears under its final name only when all of it is written.
impl WritableStorageTraits for FolderStore {
    fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        self.set_parts(key, &[&value])
    }

    fn set_partial_many(
        &self,
        key: &StoreKey,
        offset_values: OffsetBytesIterator<'_>,
    ) -> Result<(), StorageError> {
        store_set_partial_many(self, key, offset_values)
    }

    fn erase(&self, key: &StoreKey) -> Result<(), StorageError> {
        match fs::remove_file(self.path_of(key.as_str())?) {
            Err(error) if !is_missing(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn erase_prefix(&self, prefix: &StorePrefix) -> Result<(), StorageError> {
        match fs::remove_dir_all(self.path_of(prefix.as_str())?) {
            Err(error) if !is_missing(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn supports_set_partial(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> StoreKey {
        StoreKey::new(text).unwrap()
    }

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a.zarr");
        fs::create_dir(&root).unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        fs::write(root.join("inside"), "inside").unwrap();
        let store = FolderStore::open(&root, 100).unwrap();
        assert_eq!(store.get(&key("inside")).unwrap().unwrap().as_ref(), b"inside");
        assert!(store.get(&key("missing")).unwrap().is_none());
        assert!(store.get(&key("inside/missing")).unwrap().is_none());
        assert!(store.get(&key("../secret")).is_err());
        assert!(store.get(&key("x/../../secret")).is_err());
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("secret"), root.join("link")).unwrap();
            std::os::unix::fs::symlink(root.join("inside"), root.join("within")).unwrap();
            assert!(store.get(&key("link")).unwrap_err().to_string().contains("link"));
            assert_eq!(store.get(&key("within")).unwrap().unwrap().as_ref(), b"inside");
        }
        let tight = FolderStore::open(&root, 5).unwrap();
        assert!(tight.get(&key("inside")).unwrap_err().to_string().contains("budget"));
    }

    #[test]
    fn ranges_beyond_the_end_are_errors() {
        let all = |range| within(range, 10).ok();
        assert_eq!(all(ByteRange::FromStart(2, None)), Some((2, 8)));
        assert_eq!(all(ByteRange::FromStart(2, Some(8))), Some((2, 8)));
        assert_eq!(all(ByteRange::Suffix(4)), Some((6, 4)));
        for range in [
            ByteRange::FromStart(2, Some(9)),
            ByteRange::FromStart(11, None),
            ByteRange::Suffix(11),
            ByteRange::FromStart(u64::MAX, Some(2)),
        ] {
            assert_eq!(all(range), None, "{range:?}");
        }
    }
}
