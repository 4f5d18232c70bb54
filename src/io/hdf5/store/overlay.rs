//! A file whose headers of virtual datasets are shown in a form that the parsing crate takes.
//!
//! The crate refuses a whole group for one virtual dataset in it. Here such a layout message is shown as
//! one of compact storage; what it says in truth (where the list of sources stands) is kept beside.
//! Reference: HDF5 File Format Specification 3.0, IV.A (object headers) and IV.A.2.i (data layout).

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use hdf5_reader::checksum::jenkins_lookup3;
use hdf5_reader::error::Error;
use hdf5_reader::{FileStorage, Storage, StorageBuffer};

/// Longest run of header bytes that is looked through.
const MAX_HEADER: u64 = 1 << 24;
/// Continuations of one header at most.
const MAX_PIECES: usize = 1024;
/// Types of messages: datatype, layout, continuation.
const DATATYPE: u16 = 3;
const LAYOUT: u16 = 8;
const CONTINUATION: u16 = 16;
/// Mark of a message that only says where it stands in truth.
const SHARED: u8 = 2;

/// Where the list of sources of a virtual dataset stands: a collection of the global heap, and the object in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeapId {
    pub(super) address: u64,
    pub(super) index: u32,
}

/// The bytes of a file, with some of them shown otherwise.
pub(super) struct Overlay {
    bytes: FileStorage,
    /// Of an address in the file: what is shown there.
    shown: RwLock<BTreeMap<u64, Vec<u8>>>,
    /// Of the header of a virtual dataset (without the base address): its list of sources.
    virtuals: RwLock<HashMap<u64, HeapId>>,
    file: File,
}

impl Overlay {
    /// Opens an ordinary file.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let open = || File::open(path).map_err(|e| e.to_string());
        let bytes = FileStorage::from_file(open()?).map_err(super::text)?;
        Ok(Self { bytes, shown: RwLock::default(), virtuals: RwLock::default(), file: open()? })
    }

    /// The list of sources of the dataset whose header stands at `address`, if it is a virtual one.
    pub(super) fn heap_of(&self, address: u64) -> Option<HeapId> {
        self.virtuals.read().unwrap_or_else(PoisonError::into_inner).get(&address).copied()
    }

    /// Looks at the header at `address`; true where it is one of a virtual dataset, which can be parsed from now on.
    pub(super) fn show(&self, address: u64, base: u64, sizes: Sizes) -> bool {
        let walk = Walk { bytes: &self.bytes, base, sizes };
        let Some(found) = base.checked_add(address).and_then(|at| walk.find(at)) else { return false };
        self.shown.write().unwrap_or_else(PoisonError::into_inner).extend(found.shown);
        self.virtuals.write().unwrap_or_else(PoisonError::into_inner).insert(address, found.heap);
        true
    }

    /// The datatype message of the header at `address`, as it is written.
    pub(super) fn datatype(&self, address: u64, base: u64, sizes: Sizes) -> Option<Vec<u8>> {
        let walk = Walk { bytes: &self.bytes, base, sizes };
        let found = walk.datatype(base.checked_add(address)?)?;
        if !found.is_shared {
            return Some(found.body);
        }
        // A named type: version, kind, in version 1 six bytes of nothing, and the address of its header.
        let at = if found.body.first() == Some(&1) { 8 } else { 2 };
        let named = number(found.body.get(at..at + usize::from(sizes.offset))?);
        walk.datatype(base.checked_add(named)?).filter(|named| !named.is_shared).map(|named| named.body)
    }

    /// Fills `into` with the bytes from `at` on.
    pub(super) fn read_into(&self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        read_exact_at(&self.file, at, into)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, at: u64, into: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut at: u64, mut into: &mut [u8]) -> std::io::Result<()> {
    while !into.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, into, at)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        (at, into) = (at + n as u64, &mut into[n..]);
    }
    Ok(())
}

impl Storage for Overlay {
    fn len(&self) -> u64 {
        self.bytes.len()
    }

    fn read_range(&self, offset: u64, len: usize) -> Result<StorageBuffer, Error> {
        let read = self.bytes.read_range(offset, len)?;
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let end = offset.saturating_add(len as u64);
        // A piece that is shown otherwise is at most as long as a layout message.
        let mut near = shown.range(offset.saturating_sub(16)..end).peekable();
        if near.peek().is_none() {
            return Ok(read);
        }
        let mut bytes = read.to_vec();
        for (at, piece) in near {
            for (value, place) in piece.iter().zip(*at..) {
                if let Some(byte) = place.checked_sub(offset).and_then(|i| bytes.get_mut(i as usize)) {
                    *byte = *value;
                }
            }
        }
        Ok(StorageBuffer::from_vec(bytes))
    }
}

/// Bytes of an address and of a length in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) offset: u8,
    pub(super) length: u8,
}

/// What a header of a virtual dataset says, and how it is shown.
struct Found {
    heap: HeapId,
    shown: Vec<(u64, Vec<u8>)>,
}

/// A walk through the messages of a header.
struct Walk<'a> {
    bytes: &'a FileStorage,
    base: u64,
    sizes: Sizes,
}

/// One run of messages: where it stands, and what closes it.
struct Piece {
    /// First message.
    at: u64,
    bytes: StorageBuffer,
    /// Version 2: where the checksummed bytes begin.
    checked_from: Option<u64>,
}

impl Walk<'_> {
    /// The list of sources of a virtual dataset.
    fn find(&self, header: u64) -> Option<Found> {
        self.first(header, |piece, message| {
            let heap = self.virtual_layout(&message.body).filter(|_| message.kind == LAYOUT)?;
            Some(self.shown(piece, message.at, heap).map(|shown| Found { heap, shown }))
        })?
    }

    fn datatype(&self, header: u64) -> Option<Message> {
        self.first(header, |_, message| (message.kind == DATATYPE).then(|| message.clone()))
    }

    /// The first message of a header of which `take` makes something.
    fn first<T>(&self, header: u64, take: impl Fn(&Piece, &Message) -> Option<T>) -> Option<T> {
        let mut prefix = [0; 16];
        let head = self.bytes.read_range(header, 16).ok()?;
        prefix.copy_from_slice(&head);
        let is_v2 = prefix.starts_with(b"OHDR");
        let (first, has_order) =
            if is_v2 { self.first_v2(header, prefix[5])? } else { self.first_v1(header, &prefix)? };
        let mut pieces = vec![first];
        let mut n_pieces = 1;
        while let Some(piece) = pieces.pop() {
            for message in messages(&piece, is_v2, has_order) {
                if let Some(taken) = take(&piece, &message) {
                    return Some(taken);
                }
                if message.kind == CONTINUATION && n_pieces < MAX_PIECES {
                    n_pieces += 1;
                    pieces.extend(self.continued(&message.body, is_v2));
                }
            }
        }
        None
    }

    fn first_v1(&self, header: u64, prefix: &[u8; 16]) -> Option<(Piece, bool)> {
        if prefix[0] != 1 {
            return None;
        }
        let n = number(&prefix[8..12]);
        Some((self.piece(header + 16, n, None)?, false))
    }

    fn first_v2(&self, header: u64, flags: u8) -> Option<(Piece, bool)> {
        let times = if flags & 0x20 == 0 { 0 } else { 16 };
        let phases = if flags & 0x10 == 0 { 0 } else { 4 };
        let width = 1 << (flags & 3);
        let at = header + 6 + times + phases;
        let n = number(&self.bytes.read_range(at, width).ok()?);
        Some((self.piece(at + width as u64, n, Some(header))?, flags & 4 != 0))
    }

    fn piece(&self, at: u64, n: u64, checked_from: Option<u64>) -> Option<Piece> {
        let n = usize::try_from(n.min(MAX_HEADER)).ok()?;
        Some(Piece { at, bytes: self.bytes.read_range(at, n).ok()?, checked_from })
    }

    fn continued(&self, body: &[u8], is_v2: bool) -> Option<Piece> {
        let (offset, length) = (usize::from(self.sizes.offset), usize::from(self.sizes.length));
        let at = self.base.checked_add(number(body.get(..offset)?))?;
        let n = number(body.get(offset..offset + length)?);
        if is_v2 {
            // A signature before the messages, a checksum behind them.
            return self.piece(at.checked_add(4)?, n.checked_sub(8)?, Some(at));
        }
        self.piece(at, n, None)
    }

    /// Version 4 or 5, class 3: the address of a heap and a number.
    fn virtual_layout(&self, body: &[u8]) -> Option<HeapId> {
        let offset = usize::from(self.sizes.offset);
        let is_virtual = matches!(body.first(), Some(4 | 5)) && body.get(1) == Some(&3) && offset == 8;
        let index = body.get(2 + offset..6 + offset).filter(|_| is_virtual)?;
        Some(HeapId { address: number(&body[2..2 + offset]), index: number(index) as u32 })
    }

    /// The layout as compact storage of ten bytes, and the checksum of version 2 renewed.
    fn shown(&self, piece: &Piece, at: usize, heap: HeapId) -> Option<Vec<(u64, Vec<u8>)>> {
        let mut message = vec![4, 0, 10, 0];
        message.extend_from_slice(&heap.address.to_le_bytes()[..6]);
        message.extend_from_slice(&heap.index.to_le_bytes());
        let place = piece.at + at as u64;
        let Some(from) = piece.checked_from else { return Some(vec![(place, message)]) };
        let end = piece.at + piece.bytes.len() as u64;
        let mut whole = self.bytes.read_range(from, usize::try_from(end - from).ok()?).ok()?.to_vec();
        // A damaged header stays one: only what was sound is shown with a new checksum.
        let stored = self.bytes.read_range(end, 4).ok()?;
        if number(&stored) != u64::from(jenkins_lookup3(&whole)) {
            return None;
        }
        let within = usize::try_from(place - from).ok()?;
        whole.get_mut(within..within + message.len())?.copy_from_slice(&message);
        let sum = jenkins_lookup3(&whole).to_le_bytes().to_vec();
        Some(vec![(place, message), (end, sum)])
    }
}

/// One message of a header.
#[derive(Clone)]
struct Message {
    kind: u16,
    is_shared: bool,
    /// Where its body begins in its piece.
    at: usize,
    body: Vec<u8>,
}

/// The messages of a piece that are looked at here.
fn messages(piece: &Piece, is_v2: bool, has_order: bool) -> Vec<Message> {
    let bytes: &[u8] = &piece.bytes;
    let head = match (is_v2, has_order) {
        (false, _) => 8,
        (true, false) => 4,
        (true, true) => 6,
    };
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(prefix) = bytes.get(at..at + head) {
        let (kind, n, flags) = if is_v2 {
            (u16::from(prefix[0]), number(&prefix[1..3]) as usize, prefix[3])
        } else {
            (number(&prefix[..2]) as u16, number(&prefix[2..4]) as usize, prefix[4])
        };
        let Some(body) = bytes.get(at + head..at + head + n) else { break };
        if matches!(kind, DATATYPE | LAYOUT | CONTINUATION) {
            found.push(Message { kind, is_shared: flags & SHARED != 0, at: at + head, body: body.to_vec() });
        }
        at += head + n;
    }
    found
}

/// A little-endian number of up to eight bytes.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
}
