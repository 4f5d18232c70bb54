//! Watersheds: flooding from markers, and basins of heights with those that are too shallow joined.
//!
//! Heights are cut into 65 536 levels, and voxels wait in one queue per level, so that time is linear in
//! the voxels (Meyer 1991; Beucher and Meyer 1993). Within a level first come is first served, markers
//! in scan order: the result depends on nothing but the input. [`basins`] sweeps the voxels by height
//! once; where two basins meet, the shallower joins the deeper if the caller's rule says that its depth,
//! its persistence, does not count (Edelsbrunner and others 2002, doi:10.1007/s00454-002-2885-2). That is
//! the watershed of the h-minima without a reconstruction before. Floods are one thread each: what is
//! reached first decides.
//!
//! Memory: 4 bytes a voxel for the result, 2 for the levels and up to 4 for those that wait.

use rayon::prelude::*;

use crate::base::{Cancelled, Progress};

/// Levels that heights are cut into.
const LEVELS: usize = 1 << 16;

/// Voxels between two checks of the progress.
const CHECK: usize = 1 << 16;

/// Heights as levels of equal width between the lowest and the highest that take part; NaN is highest.
///
/// `takes_part` gets the index of a voxel.
pub fn levels(heights: &[f32], takes_part: impl Fn(usize) -> bool + Sync) -> Vec<u16> {
    let piece = 1 << 18;
    let bounds = heights.par_chunks(piece).enumerate().map(|(p, part)| {
        let own = part.iter().enumerate().filter(|(i, h)| h.is_finite() && takes_part(p * piece + i));
        own.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), (_, h)| (a.min(*h), b.max(*h)))
    });
    let (low, high) =
        bounds.reduce(|| (f32::INFINITY, f32::NEG_INFINITY), |a, b| (a.0.min(b.0), a.1.max(b.1)));
    let scale = if high > low { (LEVELS - 1) as f64 / (f64::from(high) - f64::from(low)) } else { 0.0 };
    let level = |h: &f32| {
        if h.is_nan() {
            return u16::MAX;
        }
        // A cast from a float stops at the bounds of the type.
        ((f64::from(h.clamp(low, high.max(low))) - f64::from(low)) * scale) as u16
    };
    heights.par_iter().map(level).collect()
}

/// The six neighbours of a voxel within the volume.
#[inline]
fn neighbors(i: usize, [nz, ny, nx]: [usize; 3], mut visit: impl FnMut(usize)) {
    let (z, y, x) = (i / (ny * nx), i / nx % ny, i % nx);
    if x > 0 {
        visit(i - 1);
    }
    if x + 1 < nx {
        visit(i + 1);
    }
    if y > 0 {
        visit(i - nx);
    }
    if y + 1 < ny {
        visit(i + nx);
    }
    if z > 0 {
        visit(i - ny * nx);
    }
    if z + 1 < nz {
        visit(i + ny * nx);
    }
}

/// Floods from the voxels whose `ids` are not 0 over those for which `takes_part` holds, low levels first.
///
/// Voxels that no flood reaches stay 0. All slices have the length of `shape` (z, y, x).
///
/// # Errors
/// Cancel.
///
/// # Panics
/// If the lengths do not agree or there are 2³² voxels or more: a bug of the caller.
pub fn flood(
    progress: &Progress,
    levels: &[u16],
    shape: [usize; 3],
    ids: &mut [u32],
    takes_part: impl Fn(usize) -> bool,
) -> Result<(), Cancelled> {
    let n: usize = shape.iter().product();
    assert!(levels.len() == n && ids.len() == n, "flood: levels, ids and shape disagree");
    assert!(u32::try_from(n).is_ok(), "flood: too many voxels");
    progress.phase("Watershed", n as u64);
    let mut queues: Vec<Vec<u32>> = vec![Vec::new(); LEVELS];
    for i in 0..n {
        if i.is_multiple_of(CHECK) {
            progress.check()?;
        }
        if ids[i] == 0 {
            continue;
        }
        // Only markers that border on something open have to wait.
        let mut is_border = false;
        neighbors(i, shape, |j| is_border |= ids[j] == 0 && takes_part(j));
        if is_border {
            queues[usize::from(levels[i])].push(i as u32);
        }
    }
    let mut done = 0usize;
    for level in 0..LEVELS {
        let mut queue = std::mem::take(&mut queues[level]);
        let mut at = 0;
        while let Some(i) = queue.get(at).map(|i| *i as usize) {
            at += 1;
            done += 1;
            if done.is_multiple_of(CHECK) {
                progress.check()?;
                progress.advance(CHECK as u64);
            }
            let id = ids[i];
            neighbors(i, shape, |j| {
                if ids[j] == 0 && takes_part(j) {
                    ids[j] = id;
                    let own = usize::from(levels[j]);
                    if own > level { queues[own].push(j as u32) } else { queue.push(j as u32) }
                }
            });
        }
    }
    Ok(())
}

/// Basins of heights.
#[derive(Debug, Clone, PartialEq)]
pub struct Basins {
    /// Basin of each voxel from 1, in scan order of their first voxels; 0 where no voxel takes part.
    pub ids: Vec<u32>,
    /// How many there are.
    pub n: u32,
}

/// Where two basins meet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pass {
    /// Lowest height of the shallower basin.
    pub bottom: f32,
    /// Height of the pass between them.
    pub pass: f32,
}

/// Basins of `heights`: every voxel of a `group` other than 0 drains into one.
///
/// Voxels of different groups never meet. Where two basins do, the shallower joins the deeper if
/// `is_shallow` holds; of two equally deep ones the later in the sweep joins. Neighbours are all 26.
///
/// # Errors
/// Cancel.
///
/// # Panics
/// If the lengths do not agree or there are 2³² voxels or more: a bug of the caller.
pub fn basins<G: Copy + PartialEq + Default + Send + Sync>(
    progress: &Progress,
    heights: &[f32],
    groups: &[G],
    shape: [usize; 3],
    is_shallow: impl Fn(G, Pass) -> bool,
) -> Result<Basins, Cancelled> {
    let n: usize = shape.iter().product();
    assert!(heights.len() == n && groups.len() == n, "basins: heights, groups and shape disagree");
    assert!(u32::try_from(n).is_ok(), "basins: too many voxels");
    progress.phase("Watershed", n as u64);
    let order = by_height(progress, &levels(heights, |i| groups[i] != G::default()), groups)?;
    let mut ids = vec![0u32; n];
    let mut forest = Forest { parents: vec![0], bottoms: vec![f32::INFINITY] };
    let mut around: Vec<(u32, f32)> = Vec::with_capacity(26);
    for (count, i) in order.iter().map(|i| *i as usize).enumerate() {
        if count.is_multiple_of(CHECK) {
            progress.check()?;
            progress.advance(CHECK as u64);
        }
        around.clear();
        all_neighbors(i, shape, |j| {
            if ids[j] != 0 && groups[j] == groups[i] {
                around.push((ids[j], heights[j]));
            }
        });
        let Some((lowest, _)) = around.iter().copied().reduce(|a, b| if b.1 < a.1 { b } else { a }) else {
            ids[i] = forest.parents.len() as u32;
            forest.parents.push(ids[i]);
            forest.bottoms.push(heights[i]);
            continue;
        };
        ids[i] = lowest;
        let mut own = forest.root(lowest);
        for (id, _) in &around {
            let other = forest.root(*id);
            if other == own {
                continue;
            }
            let (deep, shallow) = forest.sorted(own, other);
            let bottom = forest.bottoms[shallow as usize];
            if is_shallow(groups[i], Pass { bottom, pass: heights[i] }) {
                forest.parents[shallow as usize] = deep;
                own = forest.root(own);
            }
        }
    }
    let mut numbers = vec![0u32; forest.parents.len()];
    let mut n_basins = 0;
    for id in ids.iter_mut().filter(|id| **id != 0) {
        let number = &mut numbers[forest.root(*id) as usize];
        if *number == 0 {
            n_basins += 1;
            *number = n_basins;
        }
        *id = *number;
    }
    Ok(Basins { ids, n: n_basins })
}

/// Union-find over basins, with the lowest height of each.
struct Forest {
    parents: Vec<u32>,
    bottoms: Vec<f32>,
}

impl Forest {
    fn root(&mut self, mut id: u32) -> u32 {
        while self.parents[id as usize] != id {
            let grand = self.parents[self.parents[id as usize] as usize];
            self.parents[id as usize] = grand;
            id = grand;
        }
        id
    }

    /// The deeper of two roots first; of equal ones the earlier.
    fn sorted(&self, a: u32, b: u32) -> (u32, u32) {
        let depth = |id: u32| (self.bottoms[id as usize], id);
        let ((da, _), (db, _)) = (depth(a), depth(b));
        if da < db || da == db && a < b { (a, b) } else { (b, a) }
    }
}

/// Voxels of any group by ascending level, in scan order within one.
fn by_height<G: Copy + PartialEq + Default>(
    progress: &Progress,
    levels: &[u16],
    groups: &[G],
) -> Result<Vec<u32>, Cancelled> {
    let mut starts = vec![0u32; LEVELS + 1];
    let inside = || levels.iter().zip(groups).enumerate().filter(|(_, (_, group))| **group != G::default());
    for (_, (level, _)) in inside() {
        starts[usize::from(*level) + 1] += 1;
    }
    progress.check()?;
    for level in 0..LEVELS {
        starts[level + 1] += starts[level];
    }
    let mut order = vec![0u32; starts[LEVELS] as usize];
    for (i, (level, _)) in inside() {
        let at = &mut starts[usize::from(*level)];
        order[*at as usize] = i as u32;
        *at += 1;
    }
    progress.check()?;
    Ok(order)
}

/// The 26 neighbours of a voxel within the volume.
#[inline]
fn all_neighbors(i: usize, [nz, ny, nx]: [usize; 3], mut visit: impl FnMut(usize)) {
    let (z, y, x) = (i / (ny * nx), i / nx % ny, i % nx);
    let range = |at: usize, n: usize| at.saturating_sub(1)..(at + 2).min(n);
    for zz in range(z, nz) {
        for yy in range(y, ny) {
            for xx in range(x, nx) {
                let j = (zz * ny + yy) * nx + xx;
                if j != i {
                    visit(j);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BinaryHeap;

    use proptest::prelude::*;

    use super::*;

    /// The same flood by a heap ordered by (level, time): slow and plain.
    fn reference(levels: &[u16], shape: [usize; 3], ids: &mut [u32], open: &[bool]) {
        let mut heap = BinaryHeap::new();
        let mut time = 0u64;
        for i in 0..ids.len() {
            if ids[i] != 0 {
                heap.push(std::cmp::Reverse((levels[i], time, i)));
                time += 1;
            }
        }
        while let Some(std::cmp::Reverse((level, _, i))) = heap.pop() {
            neighbors(i, shape, |j| {
                if ids[j] == 0 && open[j] {
                    ids[j] = ids[i];
                    heap.push(std::cmp::Reverse((levels[j].max(level), time, j)));
                    time += 1;
                }
            });
        }
    }

    fn random(n: usize, seed: u64) -> impl Iterator<Item = u32> {
        let mut state = seed | 1;
        (0..n).map(move |_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as u32
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn flooding_equals_the_ordered_heap(
            shape in [1usize..7, 1usize..8, 1usize..9], seed in any::<u64>(), steps in 1u32..9,
        ) {
            let n = shape.iter().product();
            let levels: Vec<u16> = random(n, seed).map(|r| (r % steps) as u16 * 7).collect();
            let open: Vec<bool> = random(n, seed ^ 5).map(|r| r % 4 > 0).collect();
            let marks: Vec<u32> = random(n, seed ^ 9).map(|r| if r % 11 == 0 { r % 3 + 1 } else { 0 }).collect();
            let (mut want, mut got) = (marks.clone(), marks);
            reference(&levels, shape, &mut want, &open);
            flood(&Progress::new(), &levels, shape, &mut got, |i| open[i]).unwrap();
            prop_assert_eq!(want, got);
        }

        #[test]
        fn without_joining_there_is_one_basin_per_regional_minimum(
            shape in [1usize..5, 1usize..7, 1usize..9], seed in any::<u64>(),
        ) {
            let n = shape.iter().product();
            // All heights differ, so that a minimum is one voxel lower than all around it.
            let mut heights: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let keys: Vec<u32> = random(n, seed).collect();
            heights.sort_by_key(|h| keys[*h as usize]);
            let groups: Vec<u16> = random(n, seed ^ 3).map(|r| (r % 3) as u16).collect();
            let found = basins(&Progress::new(), &heights, &groups, shape, |_, _| false).unwrap();
            let mut minima = 0;
            for i in 0..n {
                let mut is_lowest = groups[i] != 0;
                all_neighbors(i, shape, |j| is_lowest &= groups[j] != groups[i] || heights[j] > heights[i]);
                minima += u32::from(is_lowest);
            }
            prop_assert_eq!(found.n, minima);
            // Everything joined: one basin per connected part of a group.
            let one = basins(&Progress::new(), &heights, &groups, shape, |_, _| true).unwrap();
            let array = ndarray::Array3::from_shape_vec((shape[0], shape[1], shape[2]), groups).unwrap();
            use crate::kernels::components::{Connectivity, components};
            let parts = components(&Progress::new(), &array.view(), Connectivity::Corners).unwrap();
            prop_assert_eq!(parts.map.as_slice().unwrap(), &one.ids[..]);
        }
    }

    #[test]
    fn a_basin_joins_by_its_depth_below_the_pass() {
        // Bottoms 0, 2 and 1; passes 3 (depth 1 of the second) and 6 (depth 5 of the third).
        let heights = [0.0, 3.0, 2.0, 6.0, 1.0, 9.0];
        let count = |depth: f32| {
            let shallow = |_, p: Pass| p.pass - p.bottom < depth;
            basins(&Progress::new(), &heights, &[1; 6], [1, 1, 6], shallow).unwrap()
        };
        assert_eq!(count(0.5).ids, [1, 1, 2, 3, 3, 3]);
        assert_eq!(count(2.0).ids, [1, 1, 1, 2, 2, 2]);
        assert_eq!(count(5.5).n, 1);
    }

    #[test]
    fn nothing_flat_and_cancelled() {
        let none = basins::<u16>(&Progress::new(), &[], &[], [0, 3, 3], |_, _| false).unwrap();
        assert_eq!(none.n, 0);
        let flat = basins(&Progress::new(), &[1.0; 8], &[1; 8], [2, 2, 2], |_, _| false).unwrap();
        assert_eq!(flat.n, 1);
        assert_eq!(levels(&[f32::NAN, 1.0, 3.0, f32::NEG_INFINITY], |_| true), [u16::MAX, 0, u16::MAX, 0]);
        let progress = Progress::new();
        progress.cancel();
        assert_eq!(basins(&progress, &[1.0; 8], &[1; 8], [2, 2, 2], |_, _| false), Err(Cancelled));
        assert_eq!(flood(&progress, &[1; 8], [2, 2, 2], &mut [1; 8], |_| true), Err(Cancelled));
    }
}
