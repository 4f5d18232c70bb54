//! One zip file as a store (.ozx, RFC-9 of OME-NGFF): entries stored as they are, or deflated.
//!
//! The names inside are keys, never paths of this machine. What an entry inflates to is checked against the size and the
//! sum that the archive says, and against the limit of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use flate2::read::DeflateDecoder;
use zarrs::storage::byte_range::ByteRangeIterator;
use zarrs::storage::{
    Bytes, ListableStorageTraits, MaybeBytes, MaybeBytesIterator, ReadableStorageTraits, StorageError,
    StoreKey, StoreKeys, StoreKeysPrefixes, StorePrefix,
};
use zip::{CompressionMethod, ZipArchive};

use super::store::{admit, other, parts, within};

/// Names of the files that say what a hierarchy is.
const METADATA: [&str; 3] = ["zarr.json", ".zgroup", ".zarray"];

/// A zip file.
pub(super) struct ZipStore {
    archive: Mutex<ZipArchive<BufReader<File>>>,
    file: File,
    /// Entries by key.
    entries: BTreeMap<String, usize>,
    limit: u64,
    /// The entry that was inflated last: pieces of one shard are asked for one after the other.
    last: Mutex<Option<(usize, Bytes)>>,
}

/// Where the bytes of an entry lie.
struct Entry {
    start: u64,
    stored: u64,
    size: u64,
    crc: u32,
    is_deflated: bool,
}

/// Whether a zip file holds a Zarr hierarchy.
pub(super) fn is_zarr(path: &Path) -> bool {
    ZipStore::open(path, u64::MAX).is_ok()
}

/// The folder in which the hierarchy lies: the root, or the only folder of the archive.
fn base_of(keys: &[(String, usize)]) -> Option<String> {
    let is_there = |name: &str| keys.iter().any(|(key, _)| key == name);
    if METADATA.iter().any(|name| is_there(name)) {
        return Some(String::new());
    }
    let tops: BTreeSet<&str> = keys.iter().filter_map(|(key, _)| Some(key.split_once('/')?.0)).collect();
    let mut bases =
        tops.into_iter().filter(|top| METADATA.iter().any(|name| is_there(&format!("{top}/{name}"))));
    let only = bases.next()?;
    bases.next().is_none().then(|| format!("{only}/"))
}

impl ZipStore {
    /// Opens an archive; reads its directory only.
    pub(super) fn open(path: &Path, limit: u64) -> Result<Self, String> {
        let said =
            |error: &dyn std::fmt::Display| format!("incomplete or damaged zip file, copy it again: {error}");
        let file = File::open(path).map_err(|e| said(&e))?;
        let reader = BufReader::new(file.try_clone().map_err(|e| said(&e))?);
        let archive = ZipArchive::new(reader).map_err(|e| said(&e))?;
        let named = (0..archive.len()).filter_map(|at| {
            let name = archive.name_for_index(at)?.ok()?;
            let key = parts(&name).filter(|_| !name.ends_with('/'))?.join("/");
            Some((key, at))
        });
        let keys: Vec<(String, usize)> = named.collect();
        let base = base_of(&keys).ok_or("a zip file without one Zarr hierarchy in it")?;
        let within_base = |(key, at): (String, usize)| Some((key.strip_prefix(&base)?.to_owned(), at));
        let entries = keys.into_iter().filter_map(within_base).collect();
        // The reader's place in the file is its own: this one is opened anew.
        let file = File::open(path).map_err(|e| said(&e))?;
        Ok(Self { archive: Mutex::new(archive), file, entries, limit, last: Mutex::new(None) })
    }

    fn entry(&self, at: usize) -> Result<Entry, StorageError> {
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let found = archive.by_index_raw(at).map_err(other)?;
        let is_deflated = match found.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            method => {
                return Err(other(format!(
                    "an entry of the zip file is compressed as {method}; stored and deflated ones are read"
                )));
            }
        };
        if found.encrypted() {
            return Err(other("the zip file is encrypted; unpack it first"));
        }
        let start = found.data_start().ok_or_else(|| other("an entry of the zip file has no data"))?;
        let (stored, size) = (found.compressed_size(), found.size());
        if !is_deflated && stored != size {
            return Err(other("an entry of the zip file contradicts itself"));
        }
        Ok(Entry { start, stored, size, crc: found.crc32(), is_deflated })
    }

    /// Bytes of the archive from `start` on.
    fn raw(&self, start: u64, length: u64) -> Result<Vec<u8>, StorageError> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(admit(length, self.limit)?).map_err(other)?;
        // A handle of its own has a place of its own only when it is opened anew: readers take turns.
        let _turn = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start))?;
        if file.take(length).read_to_end(&mut bytes)? as u64 != length {
            return Err(other("the zip file ends before its data do"));
        }
        Ok(bytes)
    }

    /// The whole value of a deflated entry.
    fn inflated(&self, at: usize, entry: &Entry) -> Result<Bytes, StorageError> {
        if let Some((last, bytes)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && *last == at
        {
            return Ok(bytes.clone());
        }
        admit(entry.size, self.limit)?;
        let raw = self.raw(entry.start, entry.stored)?;
        let mut bytes = Vec::new();
        DeflateDecoder::new(raw.as_slice()).take(entry.size.saturating_add(1)).read_to_end(&mut bytes)?;
        let bytes = checked(bytes, entry)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, bytes.clone()));
        Ok(bytes)
    }
}

/// The value of an entry, if its size and sum are what the archive says.
fn checked(bytes: Vec<u8>, entry: &Entry) -> Result<Bytes, StorageError> {
    if bytes.len() as u64 != entry.size || crc32fast::hash(&bytes) != entry.crc {
        return Err(other("an entry of the zip file is damaged: its checksum is wrong; copy it again"));
    }
    Ok(bytes.into())
}

impl ReadableStorageTraits for ZipStore {
    fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        let Some(at) = self.entries.get(key.as_str()) else { return Ok(None) };
        let entry = self.entry(*at)?;
        if entry.is_deflated {
            return self.inflated(*at, &entry).map(Some);
        }
        checked(self.raw(entry.start, entry.stored)?, &entry).map(Some)
    }

    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some(at) = self.entries.get(key.as_str()) else { return Ok(None) };
        let entry = self.entry(*at)?;
        let whole = if entry.is_deflated { Some(self.inflated(*at, &entry)?) } else { None };
        let pieces = byte_ranges.map(|range| {
            let (start, length) = within(range, entry.size)?;
            match &whole {
                Some(bytes) => {
                    let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
                    Ok(bytes.slice(at(start)..at(start + length)))
                }
                None => self.raw(entry.start + start, length).map(Bytes::from),
            }
        });
        Ok(Some(Box::new(pieces.collect::<Vec<_>>().into_iter())))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        self.entries.get(key.as_str()).map(|at| Ok(self.entry(*at)?.size)).transpose()
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

impl ListableStorageTraits for ZipStore {
    fn list(&self) -> Result<StoreKeys, StorageError> {
        self.list_prefix(&StorePrefix::root())
    }

    fn list_prefix(&self, prefix: &StorePrefix) -> Result<StoreKeys, StorageError> {
        let keys = self.entries.keys().filter(|key| key.starts_with(prefix.as_str()));
        Ok(keys.map(|key| StoreKey::new(key.clone())).collect::<Result<_, _>>()?)
    }

    fn list_dir(&self, prefix: &StorePrefix) -> Result<StoreKeysPrefixes, StorageError> {
        let (mut keys, mut prefixes) = (Vec::new(), BTreeSet::new());
        for key in self.entries.keys() {
            let Some(rest) = key.strip_prefix(prefix.as_str()) else { continue };
            match rest.split_once('/') {
                Some((folder, _)) => {
                    prefixes.insert(StorePrefix::new(format!("{}{folder}/", prefix.as_str()))?);
                }
                None => keys.push(StoreKey::new(key.clone())?),
            }
        }
        Ok(StoreKeysPrefixes::new(keys, prefixes.into_iter().collect()))
    }

    fn size_prefix(&self, _prefix: &StorePrefix) -> Result<u64, StorageError> {
        Err(StorageError::Unsupported("the size of a zip file's part is not counted".to_owned()))
    }
}
