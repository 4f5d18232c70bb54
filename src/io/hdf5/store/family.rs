//! An opened file and the files that it points to.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::{Hdf5File, OpenOptions};

use super::links::{Link, links};
use super::node::Group;
use super::overlay::{Overlay, Sizes};
use super::text;
use crate::base::MemoryBudget;

/// Files kept open at once.
const MAX_OPEN: usize = 48;

/// One opened file.
pub(super) struct File {
    /// Where it lies.
    pub(super) path: PathBuf,
    pub(super) inner: Hdf5File,
    pub(super) bytes: Arc<Overlay>,
    links: Mutex<HashMap<u64, Arc<Vec<Link>>>>,
}

impl File {
    fn open(path: &Path, budget: MemoryBudget) -> Result<Arc<Self>, String> {
        let limit = usize::try_from(budget.bytes).unwrap_or(usize::MAX);
        let options = OpenOptions::default().with_max_read_bytes(limit).with_max_chunk_bytes(limit);
        let bytes = Arc::new(Overlay::open(path)?);
        let inner = Hdf5File::from_storage_with_options(bytes.clone(), options)
            .map_err(|e| format!("not an HDF5 file, or a truncated or damaged one; copy it again: {e}"))?;
        let superblock = inner.superblock();
        // Counted from the start of the file, a user block included.
        let promised = superblock.eof_address;
        let length = std::fs::metadata(path).map_err(text)?.len();
        if promised > length {
            return Err(format!(
                "truncated: the file should have {promised} bytes and has {length}; copy it again"
            ));
        }
        Ok(Arc::new(Self { path: path.to_owned(), inner, bytes, links: Mutex::default() }))
    }

    /// What addresses in the file count from.
    pub(super) fn base(&self) -> u64 {
        self.inner.superblock().base_address
    }

    /// Sizes of addresses and lengths.
    pub(super) fn sizes(&self) -> Sizes {
        Sizes { offset: self.inner.superblock().offset_size, length: self.inner.superblock().length_size }
    }

    /// Whether an address is that of nothing.
    pub(super) fn is_undefined(&self, address: u64) -> bool {
        hdf5_reader::io::Cursor::is_undefined_offset(address, self.sizes().offset)
    }

    /// The header of an object; of a virtual dataset as it is shown.
    pub(super) fn header(&self, address: u64) -> Result<Arc<ObjectHeader>, String> {
        match self.inner.get_or_parse_header(address) {
            Ok(header) => Ok(header),
            Err(_) if self.bytes.show(address, self.base(), self.sizes()) => {
                self.inner.get_or_parse_header(address).map_err(text)
            }
            Err(error) => Err(text(error)),
        }
    }

    /// The links of the group at an address.
    pub(super) fn links(&self, address: u64) -> Result<Arc<Vec<Link>>, String> {
        let lock = || self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&address) {
            return Ok(known.clone());
        }
        let header = self.header(address)?;
        let found = Arc::new(links(&self.inner, &header)?);
        lock().insert(address, found.clone());
        Ok(found)
    }
}

/// The file that was asked for, and those it leads to.
pub(in crate::io::hdf5) struct Family {
    budget: MemoryBudget,
    first: Arc<File>,
    others: Mutex<Vec<(PathBuf, Arc<File>)>>,
    /// Files that were followed.
    followed: Mutex<BTreeSet<PathBuf>>,
    /// Sentences on links that lead nowhere.
    broken: Mutex<BTreeSet<String>>,
    /// Steps from one virtual dataset to another.
    steps: AtomicUsize,
}

/// Steps from one virtual dataset to another at most: they may branch at every one.
const MAX_STEPS: usize = 100_000;

impl Family {
    /// Opens a file.
    pub(in crate::io::hdf5) fn open(path: &Path, budget: MemoryBudget) -> Result<Arc<Self>, String> {
        let first = File::open(path, budget)?;
        Ok(Arc::new(Self {
            budget,
            first,
            others: Mutex::default(),
            followed: Mutex::default(),
            broken: Mutex::default(),
            steps: AtomicUsize::new(0),
        }))
    }

    /// The root of the file.
    pub(in crate::io::hdf5) fn root(self: &Arc<Self>) -> Result<Group, String> {
        self.root_of(&self.first)
    }

    pub(super) fn root_of(self: &Arc<Self>, file: &Arc<File>) -> Result<Group, String> {
        let raw = file.inner.root_group().map_err(text)?;
        Ok(Group::new(self.clone(), file.clone(), raw, String::new()))
    }

    /// What may be allocated.
    pub(in crate::io::hdf5) fn budget(&self) -> MemoryBudget {
        self.budget
    }

    /// The file of a name that stands in the file `from`; `None` where there is none.
    pub(super) fn other(&self, from: &Arc<File>, name: &str) -> Result<Option<Arc<File>>, String> {
        let Some(path) = find(&from.path, name)? else { return Ok(None) };
        if same_file(&path, &from.path) {
            return Ok(Some(from.clone()));
        }
        if same_file(&path, &self.first.path) {
            return Ok(Some(self.first.clone()));
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = others.iter().position(|(known, _)| *known == path) {
            let known = others.remove(at);
            let file = known.1.clone();
            others.push(known);
            return Ok(Some(file));
        }
        let file = File::open(&path, self.budget).map_err(|e| format!("{}: {e}", path.display()))?;
        if others.len() >= MAX_OPEN {
            others.remove(0);
        }
        others.push((path.clone(), file.clone()));
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
        Ok(Some(file))
    }

    /// Counts a step to a part of a virtual dataset that is itself a part of one; an error after too many.
    pub(super) fn step(&self, depth: usize) -> Result<(), ()> {
        if depth == 0 || self.steps.fetch_add(1, Ordering::Relaxed) < MAX_STEPS { Ok(()) } else { Err(()) }
    }

    /// Notes a link that leads nowhere.
    pub(super) fn note_broken(&self, sentence: String) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.len() < 100 {
            broken.insert(sentence);
        }
    }

    /// Sentences on links that were followed and lead nowhere.
    pub(in crate::io::hdf5) fn broken(&self) -> Vec<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Names of the files that were followed.
    pub(in crate::io::hdf5) fn followed(&self) -> Vec<String> {
        let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.iter().map(|path| path.display().to_string()).collect()
    }
}

/// Where a file that is named in the file `from` lies: as named, or in the folder of that file.
fn find(from: &Path, name: &str) -> Result<Option<PathBuf>, String> {
    let folder = from.parent().unwrap_or_else(|| Path::new(""));
    // A name from another machine, with either kind of slash: its last part in this folder.
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let mut places = vec![folder.join(name)];
    if Path::new(name).is_absolute() || name.contains(['\\', ':']) {
        places.push(folder.join(last));
    }
    let Some(place) = places.into_iter().find(|place| place.exists()) else { return Ok(None) };
    let place = place.canonicalize().map_err(|e| format!("{name}: {e}"))?;
    let is_system = ["/proc", "/dev", "/sys"].iter().any(|root| place.starts_with(root));
    if is_system || !place.is_file() {
        return Err(format!("{name} is no ordinary file and is not followed"));
    }
    Ok(Some(place))
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
