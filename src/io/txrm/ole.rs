//! The compound file (OLE2, CFBF) around a TXRM: named streams in chains of sectors, read only.
//!
//! A file of its own beside the well-kept crates for it: those hold a writer's rules to be laws, which a file that is
//! still being written breaks, and follow what headers claim. Here every table is bounded by the length of the file, a
//! chain that meets itself is an error, the tree of names is walked once, and a stream is read only as far as is asked.
//! Sectors of 512 bytes (version 3) and 4096 bytes (version 4). Reference: MS-CFB, Microsoft Open Specifications.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use crate::base::MemoryBudget;

/// The first bytes of every compound file.
pub(crate) const MAGIC: &[u8; 8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

const HEADER_BYTES: usize = 512;
/// Sectors of the sector table that the header itself names.
const N_IN_HEADER: usize = 109;
const ENTRY_BYTES: usize = 128;
/// The largest number of a sector; what is above is a mark.
const LAST_SECTOR: u32 = 0xffff_fffa;
/// No entry of the directory.
const NOBODY: u32 = u32::MAX;
/// Most entries of a directory; files of this format have some thousand.
const MOST_ENTRIES: usize = 1 << 18;
/// Most storages inside each other; files of this format have five.
const DEEPEST: usize = 8;

/// Where a stream is.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    bytes: u64,
}

/// An open compound file.
pub(super) struct Ole {
    file: File,
    budget: MemoryBudget,
    length: u64,
    sector: usize,
    mini_sector: usize,
    /// Streams below this many bytes lie in small sectors.
    cutoff: u64,
    /// The sector after each sector.
    next: Vec<u32>,
    mini_next: Vec<u32>,
    /// Where the small sectors lie: the stream of the root.
    mini: Place,
    /// By path in lower case, parts joined by `/`: names are the same whatever their case.
    streams: BTreeMap<String, Place>,
}

type Found<T> = Result<T, String>;

fn damaged(what: impl std::fmt::Display) -> String {
    format!("damaged or still being written: {what}; copy it again once it is whole")
}

fn le16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Ole {
    /// Reads the tables and the directory.
    ///
    /// # Errors
    /// A sentence for what is no compound file, is cut short or contradicts itself.
    pub(super) fn open(mut file: File, budget: MemoryBudget) -> Found<Self> {
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        let mut head = [0; HEADER_BYTES];
        file.read_exact(&mut head).map_err(|_short| damaged("shorter than its header"))?;
        if !head.starts_with(MAGIC) {
            return Err("not a compound file (OLE2), as TXRM, XRM and TXM are".to_owned());
        }
        let (shift, mini_shift) = (le16(&head, 30), le16(&head, 32));
        if !matches!(shift, 9 | 12) || !(2..9).contains(&mini_shift) {
            return Err(damaged(format!(
                "sectors of 2^{shift} and 2^{mini_shift} bytes, 2^9 or 2^12 and 2^6 are known"
            )));
        }
        let mut ole = Self {
            file,
            budget,
            length,
            sector: 1 << shift,
            mini_sector: 1 << mini_shift,
            cutoff: u64::from(le32(&head, 56)),
            next: Vec::new(),
            mini_next: Vec::new(),
            mini: Place { start: LAST_SECTOR + 1, bytes: 0 },
            streams: BTreeMap::new(),
        };
        // Tables of sectors and of the directory, a few bytes for each sector of the file.
        let tables = ole.n_sectors().saturating_mul(16);
        budget.admit(u64::try_from(tables).unwrap_or(u64::MAX)).map_err(|error| error.to_string())?;
        ole.next = ole.sector_table(&head)?;
        ole.mini_next = ole.whole_chain(le32(&head, 60)).map(|bytes| words(&bytes))?;
        let directory = ole.whole_chain(le32(&head, 48))?;
        ole.read_directory(&directory)?;
        Ok(ole)
    }

    /// Sectors that begin within the file.
    fn n_sectors(&self) -> usize {
        let sectors = self.length.div_ceil(self.sector as u64).saturating_sub(1);
        usize::try_from(sectors).unwrap_or(usize::MAX)
    }

    /// One sector; the last of a file may be cut short where nothing of it is used.
    fn read_sector(&mut self, number: u32) -> Found<Vec<u8>> {
        let mut bytes = vec![0; self.sector];
        let at = (u64::from(number) + 1) * self.sector as u64;
        if number > LAST_SECTOR || at >= self.length {
            return Err(damaged(format!("sector {number} lies beyond the end of the file")));
        }
        let there = usize::try_from(self.length - at).unwrap_or(usize::MAX).min(self.sector);
        self.file
            .seek(SeekFrom::Start(at))
            .and_then(|_| self.file.read_exact(&mut bytes[..there]))
            .map_err(damaged)?;
        Ok(bytes)
    }

    /// The table that says which sector follows which; its own sectors are named in the header and in a chain of lists.
    fn sector_table(&mut self, head: &[u8]) -> Found<Vec<u32>> {
        let n_sectors = self.n_sectors();
        let wanted = n_sectors.div_ceil(self.sector / 4);
        let mut named: Vec<u32> = (0..N_IN_HEADER).map(|i| le32(head, 76 + 4 * i)).collect();
        let mut list = le32(head, 68);
        let mut n_lists = 0;
        while list <= LAST_SECTOR && named.len() < wanted {
            n_lists += 1;
            if n_lists > n_sectors {
                return Err(damaged("the list of its sector tables never ends"));
            }
            let mut part = words(&self.read_sector(list)?);
            list = part.pop().unwrap_or(NOBODY);
            named.extend(part);
        }
        let mut table = Vec::with_capacity(n_sectors);
        for number in named.into_iter().filter(|number| *number <= LAST_SECTOR).take(wanted) {
            table.extend(words(&self.read_sector(number)?));
        }
        table.truncate(n_sectors);
        Ok(table)
    }

    /// Numbers of the sectors of a chain, `n` at most; fewer where it ends before.
    fn chain(table: &[u32], start: u32, n: usize) -> Found<Vec<u32>> {
        let mut chain = Vec::with_capacity(n.min(table.len()));
        let mut at = start;
        while chain.len() < n && at <= LAST_SECTOR {
            if chain.len() >= table.len() {
                return Err(damaged("a chain of sectors that runs in a circle"));
            }
            chain.push(at);
            at = *table.get(index(at)).ok_or_else(|| damaged(format!("sector {at} is in no table")))?;
        }
        Ok(chain)
    }

    /// Runs of neighbouring sectors; no sector twice.
    fn runs(chain: &[u32]) -> Found<Vec<Range<u64>>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for number in chain.iter().map(|number| u64::from(*number)) {
            match runs.last_mut() {
                Some(run) if run.end == number => run.end += 1,
                _ => runs.push(number..number + 1),
            }
        }
        let mut sorted: Vec<&Range<u64>> = runs.iter().collect();
        sorted.sort_by_key(|run| run.start);
        if sorted.windows(2).any(|pair| pair[1].start < pair[0].end) {
            return Err(damaged("a chain of sectors that runs in a circle"));
        }
        Ok(runs)
    }

    /// All sectors of a chain.
    fn whole_chain(&mut self, start: u32) -> Found<Vec<u8>> {
        let chain = Self::chain(&self.next, start, usize::MAX)?;
        Self::runs(&chain)?;
        let needed = chain.len().saturating_mul(self.sector);
        self.budget.admit(u64::try_from(needed).unwrap_or(u64::MAX)).map_err(|error| error.to_string())?;
        let mut bytes = Vec::with_capacity(needed);
        for number in chain {
            bytes.extend(self.read_sector(number)?);
        }
        Ok(bytes)
    }

    /// The first `n` bytes of a chain of full sectors; `n` is known to be within the file.
    fn read_chain(&mut self, start: u32, n: usize) -> Found<Vec<u8>> {
        let chain = Self::chain(&self.next, start, n.div_ceil(self.sector))?;
        if chain.len() < n.div_ceil(self.sector) {
            return Err(damaged(format!("a stream of {n} bytes with {} sectors", chain.len())));
        }
        let mut bytes = vec![0; n];
        let mut at = 0_usize;
        for run in Self::runs(&chain)? {
            let from = (run.start + 1) * self.sector as u64;
            let run_bytes =
                usize::try_from(run.end - run.start).unwrap_or(usize::MAX).saturating_mul(self.sector);
            let end = n.min(at.saturating_add(run_bytes));
            if from + (end - at) as u64 > self.length {
                return Err(damaged("a stream that goes on beyond the end of the file"));
            }
            self.file
                .seek(SeekFrom::Start(from))
                .and_then(|_| self.file.read_exact(&mut bytes[at..end]))
                .map_err(damaged)?;
            at = end;
        }
        Ok(bytes)
    }

    /// The first `n` bytes of a chain of small sectors.
    fn read_mini(&mut self, start: u32, n: usize) -> Found<Vec<u8>> {
        let chain = Self::chain(&self.mini_next, start, n.div_ceil(self.mini_sector))?;
        Self::runs(&chain)?;
        if chain.len() < n.div_ceil(self.mini_sector) {
            return Err(damaged(format!("a stream of {n} bytes with {} small sectors", chain.len())));
        }
        let Some(last) = chain.iter().max() else { return Ok(Vec::new()) };
        let needed = (index(*last).saturating_add(1)).saturating_mul(self.mini_sector);
        let there = usize::try_from(self.mini.bytes.min(self.length)).unwrap_or(usize::MAX);
        if needed > there.next_multiple_of(self.mini_sector) {
            return Err(damaged("a small stream beyond the sectors of small streams"));
        }
        // All small streams together are a few hundred kB: only the sectors that are wanted are read.
        let sectors = Self::chain(&self.next, self.mini.start, needed.div_ceil(self.sector))?;
        let mut bytes = Vec::with_capacity(n);
        let mut held: Option<(u32, Vec<u8>)> = None;
        for number in chain {
            let at = index(number).saturating_mul(self.mini_sector);
            let sector =
                *sectors.get(at / self.sector).ok_or_else(|| damaged("small sectors without a place"))?;
            if held.as_ref().is_none_or(|(number, _)| *number != sector) {
                held = Some((sector, self.read_sector(sector)?));
            }
            if let Some((_, content)) = &held {
                bytes.extend_from_slice(&content[at % self.sector..][..self.mini_sector]);
            }
        }
        bytes.truncate(n);
        Ok(bytes)
    }

    /// Walks the tree of names; each entry is visited once.
    fn read_directory(&mut self, directory: &[u8]) -> Found<()> {
        let entries: Vec<&[u8]> = directory.chunks_exact(ENTRY_BYTES).take(MOST_ENTRIES).collect();
        let Some(root) = entries.first() else { return Err(damaged("no directory")) };
        self.mini = self.place(root);
        let mut seen = vec![false; entries.len()];
        let mut open: Vec<(u32, String, usize)> = vec![(le32(root, 76), String::new(), 0)];
        while let Some((number, folder, depth)) = open.pop() {
            let Some(entry) = entries.get(index(number)) else { continue };
            if std::mem::replace(&mut seen[index(number)], true) {
                return Err(damaged("a directory that runs in a circle"));
            }
            open.push((le32(entry, 68), folder.clone(), depth));
            open.push((le32(entry, 72), folder.clone(), depth));
            let path =
                if folder.is_empty() { name_of(entry) } else { format!("{folder}/{}", name_of(entry)) };
            match entry[66] {
                1 if depth < DEEPEST => open.push((le32(entry, 76), path, depth + 1)),
                2 => {
                    let place = self.place(entry);
                    self.streams.insert(path, place);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn place(&self, entry: &[u8]) -> Place {
        let (low, high) = (u64::from(le32(entry, 120)), u64::from(le32(entry, 124)));
        // The upper half is undefined where sectors are small.
        let bytes = if self.sector == 512 { low } else { low | high << 32 };
        Place { start: le32(entry, 116), bytes }
    }

    /// Bytes of a stream; `None` where there is none of this name, whatever the case.
    pub(super) fn bytes_of(&self, path: &str) -> Option<u64> {
        self.streams.get(&path.to_lowercase()).map(|place| place.bytes)
    }

    /// Reads the first `most` bytes of a stream, all of it where it has fewer; `None` where there is none.
    ///
    /// # Errors
    /// A sentence where the chain of its sectors is broken or the stream is longer than the file.
    pub(super) fn read(&mut self, path: &str, most: usize) -> Found<Option<Vec<u8>>> {
        let Some(place) = self.streams.get(&path.to_lowercase()).copied() else { return Ok(None) };
        if place.bytes > self.length {
            return Err(damaged(format!(
                "{path} says it has {} bytes, the file has {}",
                place.bytes, self.length
            )));
        }
        let n = usize::try_from(place.bytes).unwrap_or(usize::MAX).min(most);
        let bytes = if place.bytes < self.cutoff {
            self.read_mini(place.start, n)
        } else {
            self.read_chain(place.start, n)
        };
        bytes.map(Some).map_err(|problem| format!("{path}: {problem}"))
    }
}

/// The name of an entry in lower case; UTF-16.
fn name_of(entry: &[u8]) -> String {
    let units = usize::from(le16(entry, 64) / 2).saturating_sub(1).min(31);
    let name: Vec<u16> = (0..units).map(|i| le16(entry, 2 * i)).collect();
    String::from_utf16_lossy(&name).to_lowercase()
}
