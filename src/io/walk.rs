//! Walks through the planes of an array: read from a file or held in memory, a slab at a time.

use std::ops::Range;
use std::path::Path;

use super::array::{ArrayRef, Dtype, FileVoxel, bytes_mut, put_planes, zeros};
use super::error::IoError;
use super::format::{Header, Loaded, Source};
use crate::base::{MemoryBudget, Progress};
use crate::volume::AnyArray;
use crate::with_array;

/// About how many bytes are read between two looks at the cancel flag.
const SLAB_BYTES: usize = 16 << 20;

/// About how many bytes are looked at at once where they are not kept: they stay in the cache of a core.
const VIEW_BYTES: usize = 4 << 20;
/// Most that is held for that; single planes may be larger.
const MOST_VIEW_BYTES: usize = 256 << 20;

/// Bytes that [`for_each_view`] holds at once, about.
pub(crate) fn bytes_of_views(header: &Header) -> Option<u64> {
    let plane = header.n_bytes()? / header.shape[0].max(1) as u64;
    let slab = plane.saturating_mul(header.slab.max(1) as u64).max(VIEW_BYTES as u64);
    // What is read, what is visited, and what a reader unpacks on the way.
    Some(slab.saturating_mul(3))
}

/// Planes that are looked at together: read into memory that is used again, or given by the source.
struct Slab {
    kept: AnyArray,
    given: Option<AnyArray>,
    planes: Range<usize>,
}

impl Slab {
    /// Room for `n_planes` planes, where they are few bytes enough to be kept.
    fn of(header: &Header, n_planes: usize, plane_bytes: usize) -> Self {
        let is_kept = n_planes.saturating_mul(plane_bytes) <= MOST_VIEW_BYTES;
        let [_, rows, cols] = header.shape;
        let shape = if is_kept { [n_planes, rows, cols] } else { [0; 3] };
        Self { kept: zeros(header.dtype, shape), given: None, planes: 0..0 }
    }

    fn read(&mut self, source: &mut dyn Source, planes: Range<usize>) -> Result<(), IoError> {
        let is_read = match bytes_mut(&mut self.kept, 0..planes.len()) {
            Some(bytes) if !bytes.is_empty() => source.read_into(planes.clone(), bytes)?,
            _ => false,
        };
        self.given = if is_read { None } else { Some(source.read_planes(planes.clone())?) };
        self.planes = planes;
        Ok(())
    }

    fn view(&self) -> ArrayRef<'_> {
        match &self.given {
            Some(array) => ArrayRef::from(array),
            None => with_array!(&self.kept, array => {
                FileVoxel::wrap_view(array.slice_axis(ndarray::Axis(0), (0..self.planes.len()).into()))
            }),
        }
    }
}

/// Visits all planes of a source, from the first on, in slabs whose memory is used again and again; while one is visited
/// the next is read.
pub(crate) fn for_each_view(
    source: &mut dyn Source,
    progress: &Progress,
    mut visit: impl FnMut(usize, ArrayRef<'_>) -> Result<(), IoError> + Send,
) -> Result<(), IoError> {
    let header = source.header();
    let ([n_planes, rows, cols], slab) = (header.shape, header.slab.max(1));
    let plane_bytes = rows.saturating_mul(cols).saturating_mul(header.dtype.n_bytes());
    let step = ((VIEW_BYTES / plane_bytes.max(1) / slab).max(1) * slab).min(n_planes);
    let (mut now, mut next) = (Slab::of(header, step, plane_bytes), Slab::of(header, step, plane_bytes));
    progress.phase("Reading", u64::try_from(n_planes).unwrap_or(0));
    next.read(source, 0..step)?;
    while !next.planes.is_empty() {
        progress.check()?;
        std::mem::swap(&mut now, &mut next);
        let ahead = now.planes.end..(now.planes.end + step).min(n_planes);
        let read_ahead = || {
            if ahead.is_empty() {
                next.planes = ahead;
                return Ok(());
            }
            next.read(source, ahead)
        };
        let (visited, read) = rayon::join(|| visit(now.planes.start, now.view()), read_ahead);
        visited?;
        read?;
        progress.advance(u64::try_from(now.planes.len()).unwrap_or(0));
    }
    Ok(())
}

/// What is written: an array in memory, or planes that are read one after the other.
pub(crate) enum Values<'a> {
    Held(ArrayRef<'a>),
    Read(&'a mut dyn Source),
}

impl Values<'_> {
    /// Planes, rows, columns.
    pub(crate) fn shape(&self) -> [usize; 3] {
        match self {
            Self::Held(array) => array.shape(),
            Self::Read(source) => source.header().shape,
        }
    }

    pub(crate) fn dtype(&self) -> Dtype {
        match self {
            Self::Held(array) => array.dtype(),
            Self::Read(source) => source.header().dtype,
        }
    }

    /// Bytes of all values in their own type.
    pub(crate) fn n_bytes(&self) -> u64 {
        n_bytes(self.dtype(), self.shape())
    }

    /// Visits all planes, from the first on, in slabs that stay in the cache of a core.
    pub(crate) fn for_each(
        self,
        progress: &Progress,
        mut visit: impl FnMut(ArrayRef<'_>) -> Result<(), IoError> + Send,
    ) -> Result<(), IoError> {
        let array = match self {
            Self::Read(source) => return for_each_view(source, progress, |_, planes| visit(planes)),
            Self::Held(array) => array,
        };
        let (n, step) = (array.shape()[0], array.planes_a_slab());
        progress.phase("Writing", n as u64);
        for at in (0..n).step_by(step) {
            progress.check()?;
            let end = n.min(at + step);
            visit(array.planes(at..end))?;
            progress.advance((end - at) as u64);
        }
        Ok(())
    }
}

/// Bytes of an array; the most that 64 bits hold where it has more.
pub(crate) fn n_bytes(dtype: Dtype, shape: [usize; 3]) -> u64 {
    shape.iter().fold(dtype.n_bytes() as u64, |n, side| n.saturating_mul(*side as u64))
}

/// Planes that are read between two looks at the cancel flag.
fn planes_a_slab(header: &Header) -> usize {
    let slab = header.slab.max(1);
    let plane_bytes = header.shape[1].saturating_mul(header.shape[2]).saturating_mul(header.dtype.n_bytes());
    (SLAB_BYTES / plane_bytes.max(1) / slab).max(1) * slab
}

/// Reads a whole source; memory is asked for before it is taken.
pub(crate) fn read_all(
    source: &mut dyn Source,
    path: &Path,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<Loaded, IoError> {
    let header = source.header().clone();
    let needed = header.n_bytes().unwrap_or(u64::MAX);
    budget.admit(needed).map_err(|source| IoError::Memory { path: path.to_owned(), source })?;
    let mut array = zeros(header.dtype, header.shape);
    let n_planes = header.shape[0];
    let step = planes_a_slab(&header);
    progress.phase("Reading", u64::try_from(n_planes).unwrap_or(0));
    for at in (0..n_planes).step_by(step) {
        progress.check()?;
        let end = n_planes.min(at + step);
        let is_read = match bytes_mut(&mut array, at..end) {
            Some(bytes) => source.read_into(at..end, bytes)?,
            None => false,
        };
        if !is_read {
            let planes = source.read_planes(at..end)?;
            if !put_planes(&mut array, at, &planes) {
                let (found, dtype) = (planes.shape(), planes.dtype());
                let problem = format!(
                    "planes from {at} on are {found:?} {dtype}, expected rows and columns of {:?} {}",
                    header.shape,
                    header.dtype.name()
                );
                return Err(IoError::content(path, problem));
            }
        }
        progress.advance(u64::try_from(end - at).unwrap_or(0));
    }
    Ok(Loaded { array, header: source.header().clone() })
}
