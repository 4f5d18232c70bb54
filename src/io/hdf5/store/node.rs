//! Groups and datasets, found by name through every kind of link.

use std::sync::{Arc, OnceLock};

use hdf5_reader::global_heap::GlobalHeapCollection;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::link::LinkTarget;
use hdf5_reader::{Attribute, Datatype};

use super::bits::Bits;
use super::boxes::Stored;
use super::family::{Family, File};
use super::overlay::number;
use super::text;

/// Links that lead to links, followed at most.
const MAX_LINKS_DEEP: usize = 16;

/// What a name leads to.
pub(in crate::io::hdf5) enum Node {
    /// A group.
    Group(Group),
    /// A dataset.
    Dataset(Dataset),
}

/// A group of one of the files.
#[derive(Clone)]
pub(in crate::io::hdf5) struct Group {
    family: Arc<Family>,
    file: Arc<File>,
    raw: hdf5_reader::group::Group,
    path: String,
}

/// A dataset of one of the files.
#[derive(Clone)]
pub(in crate::io::hdf5) struct Dataset {
    pub(super) family: Arc<Family>,
    pub(super) file: Arc<File>,
    raw: hdf5_reader::Dataset,
    path: String,
    pub(super) stored: Arc<OnceLock<Result<Arc<Stored>, String>>>,
    bits: Arc<OnceLock<Result<Option<Bits>, String>>>,
    /// Virtual datasets that were passed through to get here.
    pub(super) depth: usize,
}

impl Group {
    pub(super) fn new(
        family: Arc<Family>,
        file: Arc<File>,
        raw: hdf5_reader::group::Group,
        path: String,
    ) -> Self {
        Self { family, file, raw, path }
    }

    /// Path in the file that was asked for, without a slash at the end; empty for the root.
    pub(in crate::io::hdf5) fn path(&self) -> &str {
        &self.path
    }

    /// Last part of the path.
    pub(in crate::io::hdf5) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or("")
    }

    /// Something that tells this group from every other, under whatever name it was reached.
    pub(in crate::io::hdf5) fn identity(&self) -> (usize, u64) {
        (Arc::as_ptr(&self.file).addr(), self.raw.address())
    }

    /// The file and what it leads to.
    pub(in crate::io::hdf5) fn family(&self) -> &Arc<Family> {
        &self.family
    }

    /// Names of everything in the group, in the order of the file.
    pub(in crate::io::hdf5) fn names(&self) -> Vec<String> {
        let links = self.file.links(self.raw.address());
        links.map(|links| links.iter().map(|(name, _)| name.clone()).collect()).unwrap_or_default()
    }

    /// What lies at a path below this group; `None` where there is nothing or a link leads nowhere.
    pub(in crate::io::hdf5) fn at(&self, path: &str) -> Option<Node> {
        self.walk(path, 0).inspect_err(|problem| self.family.note_broken(problem.clone())).ok().flatten()
    }

    /// The group at a path below this one.
    pub(in crate::io::hdf5) fn group(&self, path: &str) -> Option<Self> {
        match self.at(path)? {
            Node::Group(group) => Some(group),
            Node::Dataset(_) => None,
        }
    }

    /// The dataset at a path below this group.
    pub(in crate::io::hdf5) fn dataset(&self, path: &str) -> Option<Dataset> {
        match self.at(path)? {
            Node::Dataset(dataset) => Some(dataset),
            Node::Group(_) => None,
        }
    }

    /// A text attribute, or "" where there is none.
    pub(in crate::io::hdf5) fn attr_text(&self, name: &str) -> String {
        self.raw.attribute(name).ok().map(|a| text_of(&a)).unwrap_or_default()
    }

    /// A list of texts in an attribute.
    pub(in crate::io::hdf5) fn attr_texts(&self, name: &str) -> Vec<String> {
        let found = self.raw.attribute(name).ok();
        found.map(|attribute| texts_of(&attribute)).unwrap_or_default()
    }

    /// All attributes.
    pub(in crate::io::hdf5) fn attributes(&self) -> Vec<Attribute> {
        self.raw.attributes().unwrap_or_default()
    }

    pub(super) fn walk(&self, path: &str, depth: usize) -> Result<Option<Node>, String> {
        let mut at = if path.starts_with('/') { self.family.root_of(&self.file)? } else { self.clone() };
        let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".").peekable();
        while let Some(part) = parts.next() {
            match (at.child(part, depth)?, parts.peek()) {
                (Some(Node::Group(group)), _) => at = group,
                (Some(node), None) => return Ok(Some(node)),
                _ => return Ok(None),
            }
        }
        Ok(Some(Node::Group(at)))
    }

    /// The child of a name, links followed.
    fn child(&self, name: &str, depth: usize) -> Result<Option<Node>, String> {
        let path = format!("{}/{name}", self.path);
        if depth > MAX_LINKS_DEEP {
            return Err(format!("{path}: more than {MAX_LINKS_DEEP} links lead to links"));
        }
        let links = self.file.links(self.raw.address())?;
        let Some((_, target)) = links.iter().find(|(known, _)| known == name) else { return Ok(None) };
        let node = match target {
            LinkTarget::Hard { address } => return self.object(name, *address, path),
            LinkTarget::Soft { path } => self.walk(path, depth + 1)?,
            LinkTarget::External { filename, path: target } => {
                let Some(file) = self.family.other(&self.file, filename)? else {
                    return Err(format!(
                        "{path} lies in another file, {filename} ({target}), which is missing: put it beside this file"
                    ));
                };
                let found = self.family.root_of(&file)?.walk(target, depth + 1)?;
                if found.is_none() {
                    return Err(format!("{path} lies in {filename}, which has no {target}"));
                }
                found
            }
        };
        Ok(node.map(|node| node.called(path)))
    }

    /// The object that a hard link leads to; `None` for what is neither group nor dataset.
    fn object(&self, name: &str, address: u64, path: String) -> Result<Option<Node>, String> {
        let header = self.file.header(address)?;
        let has = |test: fn(&HdfMessage) -> bool| header.messages.iter().any(test);
        if has(|m| matches!(m, HdfMessage::DataLayout(_))) {
            let raw = self.raw.dataset(name).map_err(text)?;
            let (family, file) = (self.family.clone(), self.file.clone());
            return Ok(Some(Node::Dataset(Dataset {
                family,
                file,
                raw,
                path,
                stored: Arc::default(),
                bits: Arc::default(),
                depth: 0,
            })));
        }
        if has(|m| matches!(m, HdfMessage::Datatype(_))) {
            return Ok(None);
        }
        let raw = self.raw.group(name).map_err(text)?;
        Ok(Some(Node::Group(Self::new(self.family.clone(), self.file.clone(), raw, path))))
    }
}

impl Node {
    /// The same under the name by which it was reached.
    fn called(self, path: String) -> Self {
        match self {
            Self::Group(group) => Self::Group(Group { path, ..group }),
            Self::Dataset(dataset) => Self::Dataset(Dataset { path, ..dataset }),
        }
    }
}

impl Dataset {
    /// What may be allocated for values.
    pub(in crate::io::hdf5) fn budget(&self) -> crate::base::MemoryBudget {
        self.family.budget()
    }

    /// Path in the file that was asked for.
    pub(in crate::io::hdf5) fn path(&self) -> &str {
        &self.path
    }

    /// Something that tells this dataset from every other, under whatever name it was reached.
    pub(in crate::io::hdf5) fn identity(&self) -> (usize, u64) {
        (Arc::as_ptr(&self.file).addr(), self.raw.address())
    }

    /// Number of axes.
    pub(in crate::io::hdf5) fn ndim(&self) -> usize {
        self.raw.ndim()
    }

    /// Shape as it stands in the header; that of a growing virtual dataset may be larger.
    pub(super) fn written_shape(&self) -> &[u64] {
        self.raw.shape()
    }

    /// Type of the values.
    pub(in crate::io::hdf5) fn dtype(&self) -> &Datatype {
        self.raw.dtype()
    }

    /// How the bits of its numbers lie, where not as this machine has them.
    ///
    /// # Errors
    /// A sentence for numbers of which that is not known.
    pub(in crate::io::hdf5) fn bits(&self) -> Result<Option<Bits>, String> {
        let read = || {
            let (base, sizes) = (self.file.base(), self.file.sizes());
            let message = self.file.bytes.datatype(self.address(), base, sizes).unwrap_or_default();
            Bits::of(&message).map_err(|problem| format!("{}: {problem}", self.path))
        };
        self.bits.get_or_init(read).clone()
    }

    /// Sides of a chunk, where the dataset is stored in chunks.
    pub(in crate::io::hdf5) fn chunks(&self) -> Option<Vec<u32>> {
        self.raw.chunks()
    }

    pub(super) fn address(&self) -> u64 {
        self.raw.address()
    }

    pub(super) fn raw(&self) -> &hdf5_reader::Dataset {
        &self.raw
    }

    /// All attributes.
    pub(in crate::io::hdf5) fn attributes(&self) -> Vec<Attribute> {
        self.raw.attributes()
    }

    /// A text attribute, or "" where there is none.
    pub(in crate::io::hdf5) fn attr_text(&self, name: &str) -> String {
        self.raw.attribute(name).ok().map(|a| text_of(&a)).unwrap_or_default()
    }

    /// A list of texts in an attribute.
    pub(in crate::io::hdf5) fn attr_texts(&self, name: &str) -> Vec<String> {
        self.raw.attribute(name).ok().map(|attribute| texts_of(&attribute)).unwrap_or_default()
    }

    /// A numeric attribute list, empty where there is none.
    pub(in crate::io::hdf5) fn attr_numbers(&self, name: &str) -> Vec<f64> {
        self.raw.attribute(name).ok().map(|a| numbers_of(&a)).unwrap_or_default()
    }

    /// The headers that an attribute of lists of references leads to, the first of each list; `None` where it is none.
    pub(in crate::io::hdf5) fn references(&self, name: &str) -> Option<Vec<Option<u64>>> {
        let attribute = self.raw.attribute(name).ok()?;
        let sizes = self.file.sizes();
        let (offset, storage) = (usize::from(sizes.offset), self.file.inner.storage());
        // Of each list: how long it is, and where in the global heap it lies.
        let lists = attribute.raw_data.chunks_exact(8 + offset);
        let first = |list: &[u8]| {
            let (n, address) = (number(&list[..4]), number(&list[4..4 + offset]));
            let index = u16::try_from(number(&list[4 + offset..])).ok().filter(|_| n > 0)?;
            let heap =
                GlobalHeapCollection::parse_at_storage(storage, address, sizes.offset, sizes.length).ok()?;
            heap.get_object(index)?.data.get(..offset).map(number)
        };
        matches!(attribute.datatype, Datatype::VarLen { .. }).then(|| lists.map(first).collect())
    }

    /// The text of a scalar, or the first of several.
    pub(in crate::io::hdf5) fn text(&self) -> Option<String> {
        let found =
            self.raw.read_string().ok().or_else(|| self.raw.read_strings().ok()?.into_iter().next())?;
        Some(trimmed(&found))
    }
}

fn trimmed(text: &str) -> String {
    text.trim_matches(['\0', ' ', '\n']).to_owned()
}

/// Texts of an attribute.
fn texts_of(attribute: &Attribute) -> Vec<String> {
    let texts = attribute.read_strings().unwrap_or_default();
    texts.iter().map(|text| trimmed(text)).collect()
}

/// Text of an attribute.
pub(in crate::io::hdf5) fn text_of(attribute: &Attribute) -> String {
    let found = attribute.read_string().ok();
    let found = found.or_else(|| attribute.read_strings().ok()?.into_iter().next());
    found.map(|text| trimmed(&text)).unwrap_or_default()
}

/// Numbers of an attribute.
pub(in crate::io::hdf5) fn numbers_of(attribute: &Attribute) -> Vec<f64> {
    macro_rules! read {
        ($($type:ty)*) => {$(
            if let Ok(values) = attribute.read_1d::<$type>() {
                return values.into_iter().map(|v| v as f64).collect();
            }
        )*};
    }
    #[expect(clippy::cast_lossless, reason = "one macro for all types")]
    {
        read!(f64 f32 i64 u64 i32 u32 i16 u16 i8 u8);
    }
    attribute.read_as_f64().map(|v| vec![v]).unwrap_or_default()
}
