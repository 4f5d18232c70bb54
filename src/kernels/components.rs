//! Connected components of masks and of label volumes.
//!
//! Voxels belong together where they touch and have the same value; the default value of the type
//! (`false`, 0) is background. Rows are cut into runs of one value, runs that touch are united
//! (union-find whose root is always the first run in scan order), and components are numbered by
//! their first voxel in scan order (z, then y, then x). Slabs of fixed size are worked in parallel, so
//! the numbers depend on nothing but the input. Time is linear in the voxels, memory is the output
//! plus a few bytes per run.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress};

/// Slices per parallel piece; fixed, so that results never depend on the number of threads.
const SLAB: usize = 8;

/// Which neighbours touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connectivity {
    /// The 6 neighbours across faces.
    Faces,
    /// The 18 neighbours across faces and edges.
    Edges,
    /// All 26 neighbours.
    #[default]
    Corners,
}

/// Components of a volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Components<T> {
    /// Number of the component of each voxel from 1, in scan order; 0 is background. Shape as the input.
    pub map: Array3<u32>,
    /// Value of component `k + 1`.
    pub values: Vec<T>,
    /// Voxels of component `k + 1`.
    pub sizes: Vec<u64>,
}

impl<T> Components<T> {
    /// How many components there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether everything is background.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Why there are no components.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ComponentsError {
    #[error(
        "the volume breaks into {runs} runs, more than the {} that 32 bits can number: clean or crop it first",
        u32::MAX
    )]
    TooMany { runs: u64 },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Finds the connected components of equal, non-default values.
///
/// # Errors
/// [`ComponentsError::TooMany`] above 2³² runs; cancel.
pub fn components<T>(
    progress: &Progress,
    array: &ArrayView3<'_, T>,
    connectivity: Connectivity,
) -> Result<Components<T>, ComponentsError>
where
    T: Copy + PartialEq + Default + Send + Sync,
{
    let (nz, ny, nx) = array.dim();
    let array = array.as_standard_layout();
    let values = array.as_slice().unwrap_or(&[]);
    let mut map = Array3::<u32>::zeros((nz, ny, nx));
    if values.is_empty() {
        return Ok(Components { map, values: Vec::new(), sizes: Vec::new() });
    }
    let slab_len = SLAB * ny * nx;
    progress.phase("Connected components", 2 * nz.div_ceil(SLAB) as u64);
    let slabs = values
        .par_chunks(slab_len)
        .map(|part| {
            progress.check()?;
            let slab = Slab::new(part, [ny, nx], connectivity);
            progress.advance(1);
            Ok(slab)
        })
        .collect::<Result<Vec<_>, Cancelled>>()?;
    let mut forest = Forest::gather(&slabs)?;
    let mut base = 0;
    for pair in slabs.windows(2) {
        if let [lower, upper] = pair {
            let next = base + lower.runs.len() as u32;
            join_slabs(&mut forest, (lower, base), (upper, next), ny, connectivity);
            base = next;
        }
    }
    let (ids, values, sizes) = forest.number(&slabs);
    let slices = map.as_slice_mut().unwrap_or(&mut []);
    let mut starts = Vec::with_capacity(slabs.len());
    let mut rest = ids.as_slice();
    for slab in &slabs {
        let (own, others) = rest.split_at(slab.runs.len());
        starts.push(own);
        rest = others;
    }
    slices.par_chunks_mut(slab_len).zip(slabs.par_iter().zip(starts)).try_for_each(
        |(out, (slab, ids))| {
            progress.check()?;
            slab.paint(out, nx, ids);
            progress.advance(1);
            Ok::<(), Cancelled>(())
        },
    )?;
    Ok(Components { map, values, sizes })
}

/// A stretch of one row with one value; `end` is exclusive.
struct Run<T> {
    start: u32,
    end: u32,
    value: T,
}

/// How many values at the start of a row are `value`.
fn run_len<T: Copy + PartialEq>(row: &[T], value: T) -> usize {
    /// Values compared at once, without a branch between them.
    const WIDTH: usize = 32;
    let same = row
        .chunks_exact(WIDTH)
        .take_while(|part| part.iter().fold(0u32, |others, v| others + u32::from(*v != value)) == 0);
    let len = same.count() * WIDTH;
    len + row[len..].iter().position(|v| *v != value).unwrap_or(row.len() - len)
}

/// The runs of a few slices, with what touches inside of them united.
struct Slab<T> {
    runs: Vec<Run<T>>,
    /// Where the runs of each row end in `runs`, rows in order.
    row_ends: Vec<u32>,
    /// Union-find over `runs`.
    parents: Vec<u32>,
}

impl<T: Copy + PartialEq + Default> Slab<T> {
    fn new(values: &[T], [ny, nx]: [usize; 2], connectivity: Connectivity) -> Self {
        let background = T::default();
        let mut slab = Self { runs: Vec::new(), row_ends: Vec::new(), parents: Vec::new() };
        for (index, row) in values.chunks_exact(nx).enumerate() {
            let mut rest = row;
            let mut x = 0;
            while let Some(&value) = rest.first() {
                let len = run_len(rest, value);
                if value != background {
                    slab.parents.push(slab.runs.len() as u32);
                    slab.runs.push(Run { start: x as u32, end: (x + len) as u32, value });
                }
                x += len;
                rest = &rest[len..];
            }
            slab.row_ends.push(slab.runs.len() as u32);
            let (z, y) = (index / ny, index % ny);
            let (runs, ends, parents) = (&slab.runs, &slab.row_ends, &mut slab.parents);
            for (row, reach) in earlier_rows(z, y, ny, connectivity) {
                let [here, there] = [index, row].map(|row| (row_of(runs, ends, row), first_of(ends, row)));
                unite_rows(here, there, reach, parents);
            }
        }
        slab
    }

    fn row(&self, row: usize) -> (&[Run<T>], u32) {
        (row_of(&self.runs, &self.row_ends, row), first_of(&self.row_ends, row))
    }

    fn paint(&self, out: &mut [u32], nx: usize, ids: &[u32]) {
        let mut run = 0;
        for (row, end) in out.chunks_exact_mut(nx).zip(&self.row_ends) {
            while run < *end as usize {
                let Run { start, end, .. } = self.runs[run];
                row[start as usize..end as usize].fill(ids[run]);
                run += 1;
            }
        }
    }
}

fn first_of(ends: &[u32], row: usize) -> u32 {
    if row == 0 { 0 } else { ends[row - 1] }
}

fn row_of<'a, T>(runs: &'a [Run<T>], ends: &[u32], row: usize) -> &'a [Run<T>] {
    &runs[first_of(ends, row) as usize..ends[row] as usize]
}

/// Rows before (z, y) of a slab that touch it, each with how far columns may be apart.
fn earlier_rows(
    z: usize,
    y: usize,
    ny: usize,
    connectivity: Connectivity,
) -> impl Iterator<Item = (usize, u32)> {
    let same = (y > 0).then(|| (z * ny + y - 1, u32::from(connectivity != Connectivity::Faces)));
    let below = (z > 0).then(|| rows_across(y, ny, connectivity));
    let below = below.into_iter().flatten().map(move |(y, reach)| ((z - 1) * ny + y, reach));
    same.into_iter().chain(below)
}

/// Rows of the slice before that touch row `y`, each with how far columns may be apart.
fn rows_across(y: usize, ny: usize, connectivity: Connectivity) -> impl Iterator<Item = (usize, u32)> {
    let (straight, slanted) = match connectivity {
        Connectivity::Faces => (0, None),
        Connectivity::Edges => (1, Some(0)),
        Connectivity::Corners => (1, Some(1)),
    };
    let up = slanted.filter(|_| y > 0).map(|reach| (y - 1, reach));
    let down = slanted.filter(|_| y + 1 < ny).map(|reach| (y + 1, reach));
    [Some((y, straight)), up, down].into_iter().flatten()
}

/// Unites the runs of two rows that touch: columns at most `reach` apart and equal values.
fn unite_rows<T: PartialEq>(
    (here, here_first): (&[Run<T>], u32),
    (there, there_first): (&[Run<T>], u32),
    reach: u32,
    parents: &mut [u32],
) {
    let (mut i, mut j) = (0, 0);
    let mut meet = |i: usize, j: usize| {
        let (Some(a), Some(b)) = (here.get(i), there.get(j)) else { return };
        if a.value == b.value && a.start < b.end + reach && b.start < a.end + reach {
            unite(parents, here_first + i as u32, there_first + j as u32);
        }
    };
    while i < here.len() && j < there.len() {
        meet(i, j);
        match here[i].end.cmp(&there[j].end) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                // With a reach of 1 each may still touch the run right after the other.
                meet(i + 1, j);
                j += 1;
            }
        }
    }
}

fn find(parents: &mut [u32], mut run: u32) -> u32 {
    while parents[run as usize] != run {
        let grand = parents[parents[run as usize] as usize];
        parents[run as usize] = grand;
        run = grand;
    }
    run
}

/// Unites two runs; the earlier root stays root.
fn unite(parents: &mut [u32], a: u32, b: u32) {
    let (a, b) = (find(parents, a), find(parents, b));
    parents[a.max(b) as usize] = a.min(b);
}

/// Union-find over the runs of all slabs.
struct Forest {
    parents: Vec<u32>,
}

impl Forest {
    fn gather<T>(slabs: &[Slab<T>]) -> Result<Self, ComponentsError> {
        let n: usize = slabs.iter().map(|slab| slab.runs.len()).sum();
        if u32::try_from(n).is_err() {
            return Err(ComponentsError::TooMany { runs: n as u64 });
        }
        let mut parents = Vec::with_capacity(n);
        for slab in slabs {
            let base = parents.len() as u32;
            parents.extend(slab.parents.iter().map(|parent| parent + base));
        }
        Ok(Self { parents })
    }

    /// Gives every run the number of its component; also value and size of each component.
    fn number<T: Copy>(self, slabs: &[Slab<T>]) -> (Vec<u32>, Vec<T>, Vec<u64>) {
        let mut ids = self.parents;
        let (mut values, mut sizes) = (Vec::new(), Vec::new());
        for (index, run) in slabs.iter().flat_map(|slab| &slab.runs).enumerate() {
            // A parent comes before its child, so its entry already holds the final number.
            let parent = ids[index] as usize;
            if parent == index {
                values.push(run.value);
                sizes.push(0u64);
                ids[index] = values.len() as u32;
            } else {
                ids[index] = ids[parent];
            }
            sizes[ids[index] as usize - 1] += u64::from(run.end - run.start);
        }
        (ids, values, sizes)
    }
}

fn join_slabs<T: Copy + PartialEq + Default>(
    forest: &mut Forest,
    (lower, lower_base): (&Slab<T>, u32),
    (upper, upper_base): (&Slab<T>, u32),
    ny: usize,
    connectivity: Connectivity,
) {
    let last_slice = lower.row_ends.len() - ny;
    for y in 0..ny {
        let (here, first) = upper.row(y);
        for (row, reach) in rows_across(y, ny, connectivity) {
            let (there, there_first) = lower.row(last_slice + row);
            unite_rows(
                (here, upper_base + first),
                (there, lower_base + there_first),
                reach,
                &mut forest.parents,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn touches(d: [isize; 3], connectivity: Connectivity) -> bool {
        let sum: isize = d.iter().map(|v| v.abs()).sum();
        let limit = match connectivity {
            Connectivity::Faces => 1,
            Connectivity::Edges => 2,
            Connectivity::Corners => 3,
        };
        sum > 0 && sum <= limit
    }

    /// Breadth-first search from every voxel in scan order: slow and plain.
    fn reference(array: &Array3<u16>, connectivity: Connectivity) -> (Array3<u32>, usize) {
        let mut map = Array3::<u32>::zeros(array.dim());
        let mut n = 0;
        for ((z, y, x), value) in array.indexed_iter() {
            if *value == 0 || map[[z, y, x]] != 0 {
                continue;
            }
            n += 1;
            map[[z, y, x]] = n;
            let mut stack = vec![[z, y, x]];
            while let Some(at) = stack.pop() {
                for (dz, dy, dx) in neighbors() {
                    if !touches([dz, dy, dx], connectivity) {
                        continue;
                    }
                    let next = [dz, dy, dx].into_iter().zip(at).map(|(d, i)| i.wrapping_add_signed(d));
                    let next: Vec<usize> = next.collect();
                    let next = [next[0], next[1], next[2]];
                    if array.get(next) == Some(value) && map[next] == 0 {
                        map[next] = n;
                        stack.push(next);
                    }
                }
            }
        }
        (map, n as usize)
    }

    fn neighbors() -> Vec<(isize, isize, isize)> {
        let around = || -1..=1isize;
        around().flat_map(|z| around().flat_map(move |y| around().map(move |x| (z, y, x)))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equals_the_plain_search_with_its_numbers(
            shape in (1usize..20, 1usize..7, 1usize..9), seed in any::<u64>(), fill in 1u64..5,
        ) {
            let mut state = seed | 1;
            let array = Array3::from_shape_simple_fn(shape, || {
                // A small generator of its own keeps shape and values independent.
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let r = state >> 33;
                if r % 5 < fill { (r / 5 % 2 + 1) as u16 } else { 0 }
            });
            for connectivity in [Connectivity::Faces, Connectivity::Edges, Connectivity::Corners] {
                let (map, n) = reference(&array, connectivity);
                let found = components(&Progress::new(), &array.view(), connectivity).unwrap();
                prop_assert_eq!(&found.map, &map);
                prop_assert_eq!(found.len(), n);
                for k in 0..n {
                    let voxels: Vec<_> = map.indexed_iter().filter(|(_, v)| **v == k as u32 + 1).collect();
                    prop_assert_eq!(voxels.len() as u64, found.sizes[k]);
                    prop_assert_eq!(array[voxels[0].0], found.values[k]);
                }
            }
        }
    }

    #[test]
    fn empty_single_and_full_volumes() {
        let progress = Progress::new();
        for shape in [(0, 3, 3), (3, 0, 3), (3, 3, 0), (2, 2, 2)] {
            let found = components(&progress, &Array3::<u16>::zeros(shape).view(), Connectivity::Corners);
            assert!(found.unwrap().is_empty());
        }
        let full = Array3::from_elem((20, 3, 3), true);
        let found = components(&progress, &full.view(), Connectivity::Faces).unwrap();
        assert_eq!(found.sizes, [180]);
        let turned = Array3::from_shape_fn((4, 5, 6), |(z, ..)| z == 1);
        let view = turned.view().reversed_axes();
        assert_eq!(components(&progress, &view, Connectivity::Faces).unwrap().sizes, [30]);
    }

    #[test]
    fn diagonals_follow_the_connectivity() {
        let mut array = Array3::<u16>::zeros((10, 3, 3));
        array[[7, 0, 0]] = 1;
        array[[8, 1, 1]] = 1;
        array[[8, 1, 2]] = 2;
        array[[9, 2, 2]] = 1;
        let count = |c| components(&Progress::new(), &array.view(), c).unwrap().len();
        assert_eq!([Connectivity::Faces, Connectivity::Edges, Connectivity::Corners].map(count), [4, 4, 2]);
    }

    #[test]
    fn cancel_stops() {
        let progress = Progress::new();
        progress.cancel();
        let full = Array3::from_elem((20, 3, 3), true);
        let result = components(&progress, &full.view(), Connectivity::Faces);
        assert_eq!(result, Err(ComponentsError::Cancelled(Cancelled)));
    }
}
