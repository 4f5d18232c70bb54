//! What is counted voxel by voxel: size, place and values of objects.

use std::collections::BTreeMap;

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use crate::base::{Cancelled, Progress};

/// Slices per parallel piece; fixed, so that sums never depend on the number of threads.
const SLAB: usize = 8;

/// Sums over the voxels of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tally {
    pub(super) n: u64,
    /// Sum of indices along z, y, x.
    index_sum: [f64; 3],
    /// Box of the object, half open.
    pub(super) lo: [usize; 3],
    pub(super) hi: [usize; 3],
    /// Finite values: how many, mean, sum of squared deviations, range.
    pub(super) n_values: u64,
    pub(super) mean: f64,
    deviation: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            n: 0,
            index_sum: [0.0; 3],
            lo: [usize::MAX; 3],
            hi: [0; 3],
            n_values: 0,
            mean: 0.0,
            deviation: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Tally {
    /// A stretch of one row: columns `first..last` of row (z, y), with its values.
    fn of_run([z, y]: [usize; 2], first: usize, last: usize, values: &[f32]) -> Self {
        let n = (last - first) as u64;
        let mut run = Self {
            n,
            index_sum: [z as f64 * n as f64, y as f64 * n as f64, (first + last - 1) as f64 * n as f64 / 2.0],
            lo: [z, y, first],
            hi: [z + 1, y + 1, last],
            ..Self::default()
        };
        let finite = || values.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v));
        run.n_values = finite().count() as u64;
        if run.n_values > 0 {
            run.mean = finite().sum::<f64>() / run.n_values as f64;
            run.deviation = finite().map(|v| (v - run.mean).powi(2)).sum();
            run.min = finite().fold(f64::INFINITY, f64::min);
            run.max = finite().fold(f64::NEG_INFINITY, f64::max);
        }
        run
    }

    /// Adds the voxels of another; the moments combine after Chan, Golub and LeVeque (1979).
    pub(super) fn join(&mut self, other: &Self) {
        self.n += other.n;
        for a in 0..3 {
            self.index_sum[a] += other.index_sum[a];
            self.lo[a] = self.lo[a].min(other.lo[a]);
            self.hi[a] = self.hi[a].max(other.hi[a]);
        }
        if other.n_values > 0 {
            let (n_a, n_b) = (self.n_values as f64, other.n_values as f64);
            let delta = other.mean - self.mean;
            self.n_values += other.n_values;
            self.mean += delta * n_b / (n_a + n_b);
            self.deviation += other.deviation + delta * delta * n_a * n_b / (n_a + n_b);
            self.min = self.min.min(other.min);
            self.max = self.max.max(other.max);
        }
    }

    /// Mean index as z, y, x.
    pub(super) fn center(&self) -> [f64; 3] {
        self.index_sum.map(|sum| sum / self.n as f64)
    }

    /// Standard deviation of the values (of the population, divided by n); `None` without values.
    pub(super) fn sd(&self) -> Option<f64> {
        (self.n_values > 0).then(|| (self.deviation / self.n_values as f64).sqrt())
    }
}

/// The tallies of components 1 to `n` of `map`, in order.
pub(super) fn tally(
    progress: &Progress,
    map: &Array3<u32>,
    n: usize,
    values: Option<&[f32]>,
) -> Result<Vec<Tally>, Cancelled> {
    let (nz, ny, nx) = map.dim();
    progress.phase("Counting voxels", nz.div_ceil(SLAB) as u64);
    let ids = map.as_slice().unwrap_or(&[]);
    let slabs = ids
        .par_chunks((SLAB * ny * nx).max(1))
        .enumerate()
        .map(|(slab, ids)| {
            progress.check()?;
            let mut found = BTreeMap::<u32, Tally>::new();
            for (row, ids) in ids.chunks_exact(nx).enumerate() {
                let at = slab * SLAB * ny + row;
                let values = values.map_or(&[][..], |values| &values[at * nx..][..nx]);
                let mut first = 0;
                for run in ids.chunk_by(|a, b| a == b) {
                    let last = first + run.len();
                    if run[0] > 0 {
                        let part = values.get(first..last).unwrap_or(&[]);
                        let run_tally = Tally::of_run([at / ny, at % ny], first, last, part);
                        found.entry(run[0]).or_default().join(&run_tally);
                    }
                    first = last;
                }
            }
            progress.advance(1);
            Ok(found)
        })
        .collect::<Result<Vec<_>, Cancelled>>()?;
    let mut tallies = vec![Tally::default(); n];
    for (id, part) in slabs.iter().flatten() {
        tallies[*id as usize - 1].join(part);
    }
    Ok(tallies)
}

/// Smallest value of `field` over each component 1 to `n` of `map`; infinite where there is none.
pub(super) fn nearest(
    progress: &Progress,
    map: &Array3<u32>,
    n: usize,
    field: &ArrayView3<'_, f32>,
) -> Result<Vec<f32>, Cancelled> {
    let (_, ny, nx) = map.dim();
    let field = field.as_standard_layout();
    let field = field.as_slice().unwrap_or(&[]);
    let len = (SLAB * ny * nx).max(1);
    let slabs = map
        .as_slice()
        .unwrap_or(&[])
        .par_chunks(len)
        .zip(field.par_chunks(len))
        .map(|(ids, field)| {
            progress.check()?;
            let mut found = BTreeMap::<u32, f32>::new();
            let mut first = 0;
            for run in ids.chunk_by(|a, b| a == b) {
                let last = first + run.len();
                if run[0] > 0 {
                    let least = found.entry(run[0]).or_insert(f32::INFINITY);
                    *least = field[first..last].iter().copied().fold(*least, f32::min);
                }
                first = last;
            }
            Ok(found)
        })
        .collect::<Result<Vec<_>, Cancelled>>()?;
    let mut least = vec![f32::INFINITY; n];
    for (id, value) in slabs.iter().flatten() {
        least[*id as usize - 1] = least[*id as usize - 1].min(*value);
    }
    Ok(least)
}
