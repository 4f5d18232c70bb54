//! The journal: one append-only log that is autosave and history in one.
//!
//! The file begins with [`MAGIC`]; then one record after the other: length and CRC-32 of the body
//! (u32 each, little-endian), and the body. A record is on its way to the disk as soon as the edit
//! is made, written by a thread of its own and forced to the disk within a second. A torn or
//! damaged record ends the log: everything before it counts.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::edit::Edit;
use super::stored::encode_edit;

/// First bytes of a journal, with its version.
pub(super) const MAGIC: &[u8; 8] = b"WWJRNL01";
/// Records that may wait for the disk before edits do.
const QUEUE_BOUND: usize = 64;
/// Records are forced to the disk at least this often.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Where a record lies in the journal; empty until it is written.
pub(super) type Place = Arc<OnceLock<u64>>;

/// What happened, as it goes into the journal.
#[derive(Debug, Clone)]
pub(super) enum Record {
    /// A step was done.
    Do { label: String, forward: Edit, inverse: Edit },
    /// The last step goes on: a slider that is still dragged.
    Amend { forward: Edit },
    /// The last step was taken back.
    Undo,
    /// The step taken back last was done again.
    Redo,
}

/// A record as read: edits still as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RawRecord {
    Do { label: String, forward: Vec<u8>, inverse: Vec<u8> },
    Amend { forward: Vec<u8> },
    Undo,
    Redo,
}

const DO: u8 = 1;
const AMEND: u8 = 2;
const UNDO: u8 = 3;
const REDO: u8 = 4;

impl Record {
    fn body(&self, folder: &Path) -> Vec<u8> {
        let mut body = Vec::new();
        let mut put = |part: &[u8]| {
            body.extend((part.len() as u32).to_le_bytes());
            body.extend(part);
        };
        let kind = match self {
            Self::Do { label, forward, inverse } => {
                put(label.as_bytes());
                put(&encode_edit(forward, folder));
                put(&encode_edit(inverse, folder));
                DO
            }
            Self::Amend { forward } => {
                put(&encode_edit(forward, folder));
                AMEND
            }
            Self::Undo => UNDO,
            Self::Redo => REDO,
        };
        body.push(kind);
        body
    }
}

impl RawRecord {
    fn parse(body: &[u8]) -> Option<Self> {
        let (kind, mut rest) = body.split_last()?;
        let mut part = || {
            let (len, after) = rest.split_first_chunk::<4>()?;
            let (part, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            rest = after;
            Some(part.to_vec())
        };
        Some(match *kind {
            DO => Self::Do { label: String::from_utf8(part()?).ok()?, forward: part()?, inverse: part()? },
            AMEND => Self::Amend { forward: part()? },
            UNDO => Self::Undo,
            REDO => Self::Redo,
            _ => return None,
        })
    }
}

/// Reads the record at the reader's position. `Ok(None)` at the end, torn or damaged included.
fn read_record(reader: &mut impl Read, left: u64) -> io::Result<Option<(RawRecord, u64)>> {
    let mut head = [0; 8];
    if left < 8 {
        return Ok(None);
    }
    reader.read_exact(&mut head)?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
    let len = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
    if len == 0 || len > left - 8 {
        return Ok(None);
    }
    let mut body = vec![0; len as usize];
    reader.read_exact(&mut body)?;
    if crc32fast::hash(&body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Ok(None);
    }
    Ok(RawRecord::parse(&body).map(|record| (record, len + 8)))
}

/// A journal read from the start.
pub(super) struct Scan {
    reader: BufReader<File>,
    at: u64,
    len: u64,
}

impl Scan {
    /// Opens a journal for reading; `None` where the file is no journal of this version.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut magic = [0; MAGIC.len()];
        if len < magic.len() as u64 {
            return Ok(None);
        }
        reader.read_exact(&mut magic)?;
        Ok((magic == *MAGIC).then_some(Self { reader, at: magic.len() as u64, len }))
    }

    /// The next record and where it lies; `None` at the end of what can be read.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, RawRecord)>> {
        let start = self.at;
        Ok(read_record(&mut self.reader, self.len - start)?.map(|(record, len)| {
            self.at = start + len;
            (start, record)
        }))
    }

    /// Goes on at another place.
    pub(super) fn seek(&mut self, place: u64) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(place))?;
        self.at = place;
        Ok(())
    }

    /// End of what could be read, and the length of the file.
    pub(super) fn ends(&self) -> (u64, u64) {
        (self.at, self.len)
    }
}

/// Reads one record of a journal.
pub(super) fn read_at(path: &Path, place: u64) -> io::Result<Option<RawRecord>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(place))?;
    Ok(read_record(&mut BufReader::new(file), len.saturating_sub(place))?.map(|(record, _)| record))
}

enum Message {
    Append(Box<Record>, Place),
    /// Answers with the length of the journal once everything before is on the disk.
    Flush(SyncSender<u64>),
}

/// A journal that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    problem: Arc<Mutex<Option<String>>>,
}

impl Journal {
    /// Goes on at the end of `len` bytes of an existing journal, or starts one where there is none.
    ///
    /// What lies beyond `len` (a torn record) is kept aside under another name, never overwritten.
    pub(super) fn open(path: &Path, folder: &Path, len: Option<u64>) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let end = match len {
            Some(end) => {
                if file.metadata()?.len() > end {
                    let mut torn = Vec::new();
                    file.seek(SeekFrom::Start(end))?;
                    file.read_to_end(&mut torn)?;
                    std::fs::write(path.with_extension("torn"), torn)?;
                    file.set_len(end)?;
                }
                end
            }
            None => {
                file.set_len(0)?;
                file.write_all(MAGIC)?;
                MAGIC.len() as u64
            }
        };
        file.seek(SeekFrom::Start(end))?;
        file.sync_all()?;
        let (sender, receiver) = sync_channel(QUEUE_BOUND);
        let problem = Arc::default();
        let mut writer =
            Writer { file, end, folder: folder.to_owned(), problem: Arc::clone(&problem), unsynced: None };
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(&receiver))?;
        Ok(Self { path: path.to_owned(), sender: Some(sender), thread: Some(thread), problem })
    }

    /// Where the journal lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sends a record on its way; its place is known once it is written.
    pub(super) fn append(&self, record: Record) -> Place {
        let place = Place::default();
        if let Some(sender) = &self.sender
            && sender.send(Message::Append(Box::new(record), Arc::clone(&place))).is_err()
        {
            self.set_problem("the thread that writes it has ended");
        }
        place
    }

    /// Waits until everything is on the disk; gives the length of the journal, `None` if it could not be written.
    pub(super) fn flush(&self) -> Option<u64> {
        let (answer, receiver) = sync_channel(1);
        self.sender.as_ref()?.send(Message::Flush(answer)).ok()?;
        receiver.recv().ok().filter(|_| self.problem().is_none())
    }

    /// Why nothing more is written, if so.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_problem(&self, text: &str) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("{}: the journal's thread stopped early", self.path.display());
        }
    }
}

struct Writer {
    file: File,
    end: u64,
    folder: PathBuf,
    problem: Arc<Mutex<Option<String>>>,
    /// Since when something waits to be forced to the disk.
    unsynced: Option<Instant>,
}

impl Writer {
    fn run(&mut self, receiver: &Receiver<Message>) {
        loop {
            match receiver.recv_timeout(SYNC_EVERY) {
                Ok(Message::Append(record, place)) => self.append(&record, &place),
                Ok(Message::Flush(answer)) => {
                    self.sync();
                    // Whoever asked may have gone; nothing depends on the answer here.
                    let _ = answer.send(self.end);
                }
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Err(RecvTimeoutError::Disconnected) => return self.sync(),
            }
            if self.unsynced.is_some_and(|since| since.elapsed() >= SYNC_EVERY) {
                self.sync();
            }
        }
    }

    fn append(&mut self, record: &Record, place: &Place) {
        // Steps build on each other: after one that could not be written, later ones would be read in vain.
        if self.problem.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return;
        }
        let body = record.body(&self.folder);
        let Ok(len) = u32::try_from(body.len()) else {
            return self.fail("a single step is larger than 4 GiB");
        };
        let mut bytes = Vec::with_capacity(body.len() + 8);
        bytes.extend(len.to_le_bytes());
        bytes.extend(crc32fast::hash(&body).to_le_bytes());
        bytes.extend(body);
        match self.file.write_all(&bytes) {
            Ok(()) => {
                // Each place is set once, here.
                let _ = place.set(self.end);
                self.end += bytes.len() as u64;
                self.unsynced.get_or_insert_with(Instant::now);
            }
            Err(error) => {
                let cut = self.file.set_len(self.end);
                self.fail(&format!("{error}{}", if cut.is_err() { ", the last record is torn" } else { "" }));
            }
        }
    }

    fn sync(&mut self) {
        if self.unsynced.take().is_some()
            && let Err(error) = self.file.sync_data()
        {
            self.fail(&error.to_string());
        }
    }

    fn fail(&self, problem: &str) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(path: &Path) -> Vec<String> {
        let mut scan = Scan::open(path).unwrap().unwrap();
        let mut out = Vec::new();
        while let Some((_, record)) = scan.next().unwrap() {
            if let RawRecord::Do { label, .. } = record {
                out.push(label);
            }
        }
        out
    }

    fn step(label: &str) -> Record {
        let rename = |name: &str| Edit::RenameProject(name.to_owned());
        Record::Do { label: label.to_owned(), forward: rename("b"), inverse: rename("a") }
    }

    #[test]
    fn records_come_back_in_order_and_a_torn_tail_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.wwj");
        let journal = Journal::open(&path, folder.path(), None).unwrap();
        let place = journal.append(step("one"));
        journal.append(step("two"));
        let len = journal.flush().unwrap();
        drop(journal);
        assert_eq!(labels(&path), ["one", "two"]);
        assert!(
            matches!(read_at(&path, *place.get().unwrap()).unwrap(), Some(RawRecord::Do { label, .. }) if label == "one")
        );
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64, len);
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(labels(&path), ["one"]);
        let mut scan = Scan::open(&path).unwrap().unwrap();
        while scan.next().unwrap().is_some() {}
        let journal = Journal::open(&path, folder.path(), Some(scan.ends().0)).unwrap();
        journal.append(step("three"));
        drop(journal);
        assert_eq!(labels(&path), ["one", "three"]);
        assert!(path.with_extension("torn").exists());
    }

    #[test]
    fn a_flipped_bit_ends_the_log_before_the_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.wwj");
        let journal = Journal::open(&path, folder.path(), None).unwrap();
        journal.append(step("one"));
        let len = journal.flush().unwrap();
        journal.append(step("two"));
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[len as usize + 20] ^= 4;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(labels(&path), ["one"]);
    }
}
