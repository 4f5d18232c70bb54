//! Regions between walls: basins of a height map, joined across the weakest wall first until few enough are left.
//!
//! Every minimum of the map becomes a fragment (see [`crate::kernels::flood`]). Two fragments that touch share a wall;
//! its height is the mean over its faces of the larger of the two heights there. The pair with the lowest
//! wall joins, its walls to common neighbours become one, and so on. A gap of a few voxels in a wall lets water through
//! but hardly changes its mean. Small fragments go first: the height counts times a power of the smaller size.
//! (Agglomeration of a watershed by mean boundary height: Nunez-Iglesias and others 2013,
//! doi:10.1371/journal.pone.0071715.)
//!
//! The order depends on nothing but the input: equal costs join by number. Faces are summed per slab
//! of fixed size and slabs in order. Memory: 16 bytes a voxel, and some 150 bytes a pair of fragments.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use ndarray::Array3;
use rayon::prelude::*;

use super::regions::{SLAB, for_each_face_at};
use super::{Regions, SegmentError};
use crate::base::{Cancelled, Progress};
use crate::kernels::flood::basins;

/// Joins between two looks at the cancel flag.
const LOOK: usize = 1 << 12;

/// The wall between two fragments: sum of its heights and number of its faces.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Wall {
    sum: f64,
    faces: u32,
    /// How often it changed: what waits in the queue for an older wall is void.
    age: u32,
}

/// What is cut into fragments.
pub(super) struct Walls<'a> {
    /// Height of the walls at every voxel, 0 or more; small inside.
    pub(super) heights: &'a [f32],
    pub(super) mask: Option<&'a [bool]>,
    pub(super) shape: [usize; 3],
    /// How much the smaller of two sizes counts: 0 not at all, 0.5 as its root.
    pub(super) size_power: f64,
}

impl Walls<'_> {
    /// About `n_regions` regions; more where walls leave no way between them.
    ///
    /// Fragments of fewer than `crumb` voxels join the neighbour they share most faces with before any other.
    pub(super) fn regions(
        &self,
        progress: &Progress,
        n_regions: usize,
        crumb: u32,
    ) -> Result<Regions, SegmentError> {
        let groups: Vec<u16> = match self.mask {
            Some(mask) => mask.iter().map(|m| u16::from(*m)).collect(),
            None => vec![1; self.heights.len()],
        };
        // Plateaus are no basins of their own.
        let found = basins(progress, self.heights, &groups, self.shape, |_, p| p.pass <= p.bottom)?;
        drop(groups);
        let [nz, ny, nx] = self.shape;
        let ids = Array3::from_shape_vec((nz, ny, nx), found.ids).unwrap_or_default();
        let mut regions = Regions::from_labels(progress, ids, self.mask, crumb)?;
        let mut sizes = vec![0u64; regions.n as usize];
        regions.values().iter().filter(|id| **id != 0).for_each(|id| sizes[*id as usize - 1] += 1);
        let target = self.join(progress, regions.values(), sizes, n_regions)?;
        // Numbers in the order of the first voxel.
        let mut numbers = vec![0u32; target.len()];
        let mut n = 0;
        for id in regions.ids.iter_mut().filter(|id| **id != 0) {
            let number = &mut numbers[target[*id as usize - 1] as usize];
            if *number == 0 {
                n += 1;
                *number = n;
            }
            *id = *number;
        }
        regions.n = n;
        Ok(regions)
    }

    /// All walls, sorted by their pair of zero-based fragments.
    fn walls(&self, progress: &Progress, ids: &[u32]) -> Result<Vec<(u64, f64, u32)>, Cancelled> {
        let slabs: Vec<Vec<(u64, f64, u32)>> = (0..self.shape[0].div_ceil(SLAB))
            .into_par_iter()
            .map(|slab| {
                progress.check()?;
                let mut faces: Vec<(u64, f32)> = Vec::new();
                for_each_face_at(ids, self.shape, slab, |i, j| {
                    let (a, b) = (ids[i], ids[j]);
                    if a != b && a != 0 && b != 0 {
                        let key = u64::from(a.min(b) - 1) << 32 | u64::from(a.max(b) - 1);
                        faces.push((key, self.heights[i].max(self.heights[j])));
                    }
                });
                faces.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
                let sum = |run: &[(u64, f32)]| run.iter().map(|f| f64::from(f.1)).sum::<f64>();
                let runs = faces.chunk_by(|a, b| a.0 == b.0);
                Ok(runs.map(|run| (run[0].0, sum(run), run.len() as u32)).collect())
            })
            .collect::<Result<_, Cancelled>>()?;
        let mut all = slabs.concat();
        // Stable: parts of one wall stay in the order of the slabs.
        all.par_sort_by_key(|wall| wall.0);
        all.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
                kept.2 += next.2;
            }
            same
        });
        Ok(all)
    }

    /// The fragment that each fragment belongs to at last.
    fn join(
        &self,
        progress: &Progress,
        ids: &[u32],
        mut sizes: Vec<u64>,
        n_regions: usize,
    ) -> Result<Vec<u32>, Cancelled> {
        let n = sizes.len();
        let mut around: Vec<BTreeMap<u32, Wall>> = vec![BTreeMap::new(); n];
        let mut queue: BinaryHeap<Reverse<(u64, u32, u32, u32)>> = BinaryHeap::new();
        let cost = |wall: &Wall, a: u64, b: u64| {
            let mean = (wall.sum / f64::from(wall.faces)).max(0.0);
            // Bits of numbers that are not negative are in the order of the numbers.
            (mean * (a.min(b) as f64).powf(self.size_power)).to_bits()
        };
        for (key, sum, faces) in self.walls(progress, ids)? {
            let (a, b) = ((key >> 32) as u32, key as u32);
            let wall = Wall { sum, faces, age: 0 };
            around[a as usize].insert(b, wall);
            around[b as usize].insert(a, wall);
            queue.push(Reverse((cost(&wall, sizes[a as usize], sizes[b as usize]), a, b, 0)));
        }
        let mut parent: Vec<u32> = (0..n as u32).collect();
        let mut left = n;
        progress.phase("Joining fragments", n.saturating_sub(n_regions) as u64);
        while left > n_regions {
            let Some(Reverse((waited, a, b, age))) = queue.pop() else { break };
            let Some(wall) = around[a as usize].get(&b).filter(|wall| wall.age == age).copied() else {
                continue;
            };
            // Either may have grown since.
            let now = cost(&wall, sizes[a as usize], sizes[b as usize]);
            if now > waited {
                queue.push(Reverse((now, a, b, age)));
                continue;
            }
            // The one with more neighbours stays.
            let (stays, goes) =
                if around[a as usize].len() >= around[b as usize].len() { (a, b) } else { (b, a) };
            let moved = std::mem::take(&mut around[goes as usize]);
            around[stays as usize].remove(&goes);
            parent[goes as usize] = stays;
            sizes[stays as usize] += sizes[goes as usize];
            for (other, wall) in moved {
                if other == stays {
                    continue;
                }
                around[other as usize].remove(&goes);
                let both = match around[stays as usize].get(&other) {
                    Some(own) => Wall {
                        sum: own.sum + wall.sum,
                        faces: own.faces + wall.faces,
                        age: own.age.max(wall.age) + 1,
                    },
                    None => Wall { age: wall.age + 1, ..wall },
                };
                around[stays as usize].insert(other, both);
                around[other as usize].insert(stays, both);
                let (a, b) = (stays.min(other), stays.max(other));
                queue.push(Reverse((cost(&both, sizes[a as usize], sizes[b as usize]), a, b, both.age)));
            }
            left -= 1;
            if left.is_multiple_of(LOOK) {
                progress.check()?;
                progress.advance(LOOK as u64);
            }
        }
        for i in 0..n {
            let mut root = parent[i];
            while parent[root as usize] != root {
                root = parent[root as usize];
            }
            parent[i] = root;
        }
        Ok(parent)
    }
}
