//! Virtual datasets: one array whose parts lie in other datasets, of this file or of others.
//!
//! Every part says which elements of which dataset fill which elements here. A part is read where both
//! are the same blocks along every axis, in the same order, which is how views are put together by
//! beamlines. `%b` in a name counts the blocks. Elements that no part fills, or whose file is missing,
//! have the fill value; what is missing is named. Reference: HDF5 File Format Specification 3.0, IV.A.2.i
//! and VII.B.

use hdf5_reader::global_heap::GlobalHeapCollection;
use rayon::prelude::*;

use super::boxes::Area;
use super::copy::{Corner, copy_box};
use super::node::{Dataset, Node};
use super::overlay::HeapId;
use super::selection::{Blocks, Bytes, Runs, Selection, UNLIMITED, total};
use super::text;

/// Parts of one dataset at most.
const MAX_PARTS: u64 = 1_000_000;
/// Virtual datasets of virtual datasets at most.
const MAX_DEPTH: usize = 8;
/// Marks of a source in lists of version 1: it lies in this file, its file or its dataset has the name of an earlier one.
const SAME_FILE: u64 = 4;
const FILE_OF: u64 = 1;
const DATASET_OF: u64 = 2;
/// About how many bytes of parts are held at once.
const BATCH_BYTES: usize = 64 << 20;

/// Which elements of which dataset fill which elements here.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    file: String,
    dataset: String,
    source: Selection,
    target: Selection,
}

/// A virtual dataset.
#[derive(Debug)]
pub(super) struct Virtual {
    parts: Vec<Part>,
    /// Its shape, grown to what its sources hold.
    pub(super) shape: Vec<u64>,
}

/// One box that is copied from a source.
struct Job<'a> {
    source: &'a Dataset,
    from: Area,
    /// The same elements here, in the same order.
    to: Area,
}

impl Virtual {
    /// Reads the list of sources of a virtual dataset.
    pub(super) fn read(dataset: &Dataset, id: HeapId) -> Result<Self, String> {
        let file = &dataset.file;
        let sizes = file.sizes();
        let storage = file.inner.storage();
        let heap = GlobalHeapCollection::parse_at_storage(storage, id.address, sizes.offset, sizes.length)
            .map_err(text)?;
        let index = u16::try_from(id.index).map_err(text)?;
        let object = heap.get_object(index).ok_or("a virtual dataset without its list of sources")?;
        let parts = parts(&object.data, sizes.length)?;
        if dataset.depth >= MAX_DEPTH {
            return Err(too_deep(dataset));
        }
        let mut whole = Self { parts, shape: dataset.written_shape().to_vec() };
        whole.grow(dataset)?;
        Ok(whole)
    }

    /// Counted blocks become parts of their own; endless axes get an end.
    fn grow(&mut self, dataset: &Dataset) -> Result<(), String> {
        let mut parts = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            let Some((axis, blocks)) = part.target.unlimited() else {
                parts.push(part);
                continue;
            };
            let side = self.shape.get_mut(axis).ok_or("a part with more axes than its dataset")?;
            if part.is_counted() {
                for n in 0..MAX_PARTS {
                    let one = part.block(axis, blocks, n);
                    let Ok(Some(_)) = one.find(dataset) else { break };
                    *side = (*side).max(blocks.start + n * blocks.stride + blocks.block);
                    parts.push(one);
                }
                continue;
            }
            if let Some(source) = part.open(dataset)? {
                let shape = source.shape()?;
                let along = part.source.unlimited().map_or(0, |(axis, _)| axis);
                let n = part.source.runs(&shape).and_then(|r| r.get(along).map(total)).unwrap_or(0);
                *side = (*side).max(end_of(blocks, n));
            }
            parts.push(part);
        }
        self.parts = parts;
        Ok(())
    }

    /// Of every place along the first axis, whether a part fills it that was written itself.
    pub(super) fn written(&self, dataset: &Dataset) -> Vec<bool> {
        let mut written = vec![false; usize::try_from(self.shape[0]).unwrap_or(0).min(1 << 24)];
        for part in &self.parts {
            let Some(target) = part.target.runs(&self.shape) else { continue };
            let opened =
                part.open(dataset).inspect_err(|problem| dataset.family.note_broken(problem.clone()));
            let (Ok(Some(source)), false) = (opened, target.iter().any(Vec::is_empty)) else { continue };
            let own = source.written().ok().flatten();
            for (at, from, n) in part.along_first(&source, &target[0]) {
                let own = own.as_ref().filter(|_| from != UNLIMITED);
                let at = (at as usize).min(written.len());
                for (step, place) in written[at..].iter_mut().take(n as usize).enumerate() {
                    *place |= own.is_none_or(|own| own.get(from as usize + step) != Some(&false));
                }
            }
        }
        written
    }

    /// Fills `into`, which holds the fill value, with what the parts have of an area.
    pub(super) fn read_into(&self, dataset: &Dataset, area: &Area, into: &mut [u8]) -> Result<(), String> {
        let size = dataset.element_size()?;
        let mut sources = Vec::new();
        for part in &self.parts {
            let target = part.target.runs(&self.shape).ok_or_else(|| unclear(dataset))?;
            if !touches(&target, area) {
                continue;
            }
            match part.open(dataset) {
                Ok(Some(source)) if source.element_size()? == size && source.dtype() == dataset.dtype() => {
                    sources.push((source, target, &part.source));
                }
                Ok(Some(source)) => {
                    return Err(format!("{}: a source of another type, {}", dataset.path(), source.path()));
                }
                Ok(None) => {}
                Err(problem) => dataset.family.note_broken(problem),
            }
        }
        let mut jobs = Vec::new();
        for (source, target, selection) in &sources {
            let runs = selection.runs(&source.shape()?).ok_or_else(|| unclear(dataset))?;
            jobs.extend(boxes(&runs, target, area, source).ok_or_else(|| unclear(dataset))?);
        }
        if let [job] = jobs.as_slice()
            && job.from.n_elements()? * size == into.len()
        {
            return job.source.read_into(&job.from, into);
        }
        copy_jobs(&jobs, area, size, into)
    }
}

/// Reads boxes beside each other and puts them in their places.
fn copy_jobs(jobs: &[Job<'_>], area: &Area, size: usize, into: &mut [u8]) -> Result<(), String> {
    let mut at = 0;
    while at < jobs.len() {
        let (mut end, mut bytes) = (at, 0);
        while end < jobs.len() && (end == at || bytes < BATCH_BYTES) {
            bytes += jobs[end].from.n_elements()? * size;
            end += 1;
        }
        let read = |job: &Job<'_>| -> Result<Vec<u8>, String> {
            let mut bytes = vec![0; job.from.n_elements()? * size];
            job.source.read_into(&job.from, &mut bytes)?;
            Ok(bytes)
        };
        let batch: Vec<Vec<u8>> = jobs[at..end].par_iter().map(read).collect::<Result<_, _>>()?;
        for (job, bytes) in jobs[at..end].iter().zip(&batch) {
            let zeros = vec![0; job.to.count.len()];
            let start: Vec<u64> = job.to.start.iter().zip(&area.start).map(|(to, from)| to - from).collect();
            let source = Corner { shape: &job.to.count, start: &zeros };
            let target = Corner { shape: &area.count, start: &start };
            if !copy_box(bytes, &source, into, &target, &job.to.count, size) {
                return Err("a part of a virtual dataset lies outside".to_owned());
            }
        }
        at = end;
    }
    Ok(())
}

fn too_deep(dataset: &Dataset) -> String {
    format!("{}: more than {MAX_DEPTH} virtual datasets lead to each other", dataset.path())
}

fn unclear(dataset: &Dataset) -> String {
    format!(
        "{}: a virtual dataset whose parts are no blocks along its axes, which is not read",
        dataset.path()
    )
}

impl Part {
    /// Runs along the first axis of the target with those of the source, where both have one; else the source at "no place".
    fn along_first(&self, source: &Dataset, target: &Runs) -> Pairs {
        let runs = source.shape().ok().and_then(|shape| self.source.runs(&shape));
        match runs.filter(|runs| runs.len() > 2) {
            Some(runs) => paired(&runs[0], target, 0, UNLIMITED),
            None => target.iter().map(|(at, n)| (*at, UNLIMITED, *n)).collect(),
        }
    }

    /// Whether names count blocks.
    fn is_counted(&self) -> bool {
        self.file.contains("%b") || self.dataset.contains("%b")
    }

    /// The part that block `n` along an axis is.
    fn block(&self, axis: usize, blocks: Blocks, n: u64) -> Self {
        let name = |text: &str| text.replace("%b", &n.to_string()).replace("%%", "%");
        let mut target = self.target.clone();
        if let Selection::Regular(axes) = &mut target {
            axes[axis] = Blocks {
                start: blocks.start.saturating_add(n.saturating_mul(blocks.stride)),
                count: 1,
                ..blocks
            };
        }
        Self { file: name(&self.file), dataset: name(&self.dataset), source: self.source.clone(), target }
    }

    /// The dataset that the part comes from; `None` where its file or it is missing, which is noted.
    fn open(&self, dataset: &Dataset) -> Result<Option<Dataset>, String> {
        let found = self.find(dataset)?;
        if found.is_none() {
            dataset.family.note_broken(format!(
                "{} has parts in {} of {}, which is missing: put it beside this file",
                dataset.path(),
                self.dataset,
                self.file
            ));
        }
        Ok(found)
    }

    /// The dataset that the part comes from; `None` where its file or it is missing.
    fn find(&self, dataset: &Dataset) -> Result<Option<Dataset>, String> {
        let family = &dataset.family;
        family.step(dataset.depth).map_err(|()| too_deep(dataset))?;
        let file = if self.file == "." {
            Some(dataset.file.clone())
        } else {
            family.other(&dataset.file, &self.file)?
        };
        let Some(file) = file else { return Ok(None) };
        let found = family.root_of(&file)?.walk(&format!("/{}", self.dataset), 0)?;
        Ok(match found {
            Some(Node::Dataset(mut source)) => {
                source.depth = dataset.depth + 1;
                Some(source)
            }
            _ => None,
        })
    }
}

/// Where `n` places end that fill blocks.
fn end_of(blocks: Blocks, n: u64) -> u64 {
    if blocks.block == UNLIMITED || blocks.block == 0 {
        return blocks.start.saturating_add(n);
    }
    let (full, rest) = (n / blocks.block, n % blocks.block);
    let at = |block: u64| blocks.start.saturating_add(block.saturating_mul(blocks.stride));
    match (full, rest) {
        (0, 0) => 0,
        (_, 0) => at(full - 1).saturating_add(blocks.block),
        _ => at(full).saturating_add(rest),
    }
}

/// Reads the list of parts.
fn parts(bytes: &[u8], length_size: u8) -> Result<Vec<Part>, String> {
    let mut bytes = Bytes(bytes);
    let version = bytes.number(1)?;
    if version > 1 {
        return Err(format!("a list of sources of version {version}, which is not read"));
    }
    let n = bytes.number(usize::from(length_size))?;
    if n > MAX_PARTS.min(bytes.0.len() as u64) {
        return Err(format!("{n} parts in a list that is shorter"));
    }
    let mut parts: Vec<Part> = Vec::new();
    for _ in 0..n {
        let flags = if version == 1 { bytes.number(1)? } else { 0 };
        if flags & !(SAME_FILE | FILE_OF | DATASET_OF) != 0 {
            return Err(format!("a source with the marks {flags:#x}, which are not known"));
        }
        let file = if flags & SAME_FILE != 0 {
            ".".to_owned()
        } else {
            name(&mut bytes, flags & FILE_OF != 0, length_size, &parts, |part| &part.file)?
        };
        let dataset = name(&mut bytes, flags & DATASET_OF != 0, length_size, &parts, |part| &part.dataset)?;
        let source = Selection::read(&mut bytes)?;
        let target = Selection::read(&mut bytes)?;
        parts.push(Part { file, dataset, source, target });
    }
    Ok(parts)
}

/// A name, or that of an earlier part.
fn name(
    bytes: &mut Bytes<'_>,
    is_of_earlier: bool,
    length_size: u8,
    parts: &[Part],
    of: impl Fn(&Part) -> &String,
) -> Result<String, String> {
    if !is_of_earlier {
        return bytes.text();
    }
    let index = bytes.number(usize::from(length_size))?;
    let earlier = usize::try_from(index).ok().and_then(|index| parts.get(index));
    earlier.map(of).cloned().ok_or_else(|| format!("a source named after the {index}th, which comes later"))
}

fn touches(runs: &[Runs], area: &Area) -> bool {
    let meets = |(runs, (start, count)): (&Runs, (&u64, &u64))| {
        runs.iter().any(|(at, n)| *at < start + count && at + n > *start)
    };
    runs.len() == area.start.len() && runs.iter().zip(area.start.iter().zip(&area.count)).all(meets)
}

/// Runs that are runs on both sides: first place in the target, in the source, and length.
type Pairs = Vec<(u64, u64, u64)>;

/// The boxes that are copied from a source into an area; `None` where the two sides do not go together.
fn boxes<'a>(source: &[Runs], target: &[Runs], area: &Area, dataset: &'a Dataset) -> Option<Vec<Job<'a>>> {
    let wide =
        |runs: &[Runs]| -> Vec<usize> { (0..runs.len()).filter(|axis| total(&runs[*axis]) != 1).collect() };
    let (from, to) = (wide(source), wide(target));
    if from.len() != to.len() {
        return None;
    }
    let pairs: Vec<Pairs> = from
        .iter()
        .zip(&to)
        .map(|(a, b)| paired(&source[*a], &target[*b], area.start[*b], area.count[*b]))
        .collect();
    let n = pairs.iter().try_fold(1usize, |n, pairs| n.checked_mul(pairs.len()))?;
    if n as u64 > MAX_PARTS {
        return None;
    }
    let one = |runs: &[Runs]| -> Area {
        Area {
            start: runs.iter().map(|r| r.first().map_or(0, |r| r.0)).collect(),
            count: vec![1; runs.len()],
        }
    };
    let job = |mut index: usize| {
        let mut job = Job { source: dataset, from: one(source), to: one(target) };
        for (pairs, (a, b)) in pairs.iter().zip(from.iter().zip(&to)).rev() {
            let (t, s, n) = pairs[index % pairs.len()];
            index /= pairs.len();
            (job.to.start[*b], job.to.count[*b]) = (t, n);
            (job.from.start[*a], job.from.count[*a]) = (s, n);
        }
        job
    };
    Some((0..n).map(job).collect())
}

/// Runs of the two sides brought together, as far as they lie in `count` places of the target from `start` on.
fn paired(source: &Runs, target: &Runs, start: u64, count: u64) -> Pairs {
    let mut pairs = Pairs::new();
    let (mut a, mut b) = (source.iter().copied(), target.iter().copied());
    let (mut from, mut to) = (a.next(), b.next());
    while let (Some((s, s_left)), Some((t, t_left))) = (from, to) {
        let n = s_left.min(t_left);
        let (low, high) = (t.max(start), (t + n).min(start.saturating_add(count)));
        if low < high {
            pairs.push((low, s + (low - t), high - low));
        }
        from = if s_left > n { Some((s + n, s_left - n)) } else { a.next() };
        to = if t_left > n { Some((t + n, t_left - n)) } else { b.next() };
    }
    pairs
}
