//! Polish: the class of single voxels where classes meet.
//!
//! A region is some voxels wide, so a border drawn along regions is jagged and thin things lose their ends. Here the
//! voxels of all regions that touch another class (the band) are decided one by one. A voxel's energy for a class is
//!
//! ```text
//! ½ V min(((value - local mean) / spread)², 2 C) + V ln spread - ln p - N · (neighbours of that class)
//! ```
//!
//! where the value is smoothed by less than a voxel, the local mean is that of the class's inner regions nearby, `p`
//! the probability around the voxel, and neighbours weigh 1, 0.7 and 0.5 across faces, edges and corners. A border
//! between two classes so settles where the blurred value passes the middle between both sides, as in the region
//! models of Chan and Vese (IEEE TIP 10 (2001), doi:10.1109/83.902291), and nothing needs to be learnt at borders,
//! where nobody paints. Every round takes the labels of the round before, so
//! that the order does not matter, and asks again only where a neighbour has changed and all neighbours together could
//! turn the class; the energies without neighbours are kept for that. All classes of a voxel are worked on at once.
//!
//! Cost: seven rows of probabilities and some 60 operations on whole rows per voxel of the band. Memory: 3 bytes per
//! voxel of the volume, 4 per voxel of the band and 36 (8 classes) per voxel that neighbours could turn, 4 per region
//! and class.

use std::ops::Range;

use rayon::prelude::*;

use super::FeatureCache;
use super::lanes::{LANES, Lanes, add_scaled, padded, quick_ln, width};
use super::prediction::best_two;
use crate::base::{Cancelled, Progress};

/// Rounds over the band.
const ROUNDS: usize = 3;
/// V: how much the value counts.
const VALUE_WEIGHT: f32 = 0.6;
/// C: what a value costs at most.
const VALUE_CAP: f32 = 8.0;
/// N: what a neighbour of the same class is worth.
const NEIGHBOUR: f32 = 0.2;
/// Weights of the neighbours across faces, edges and corners in tenths, in rows along x, with padding.
const TENTHS: [u16; 32] = {
    let mut tenths = [0; 32];
    let mut i = 0;
    while i < 27 {
        let off = (i / 9 != 1) as usize + (i / 3 % 3 != 1) as usize + (i % 3 != 1) as usize;
        tenths[i] = [0, 10, 7, 5][off];
        i += 1;
    }
    tenths
};
/// A little more than all of them together.
const ALL_NEIGHBOURS: f32 = 18.5;
/// Distance at which the probability around a voxel is looked up, in voxels along the axes.
const REACH: usize = 3;
/// Least probability around a voxel of a class that is tried there.
const LEAST: f32 = 0.01;
/// Least spread of a class as a multiple of the middle one among the classes'.
const LEAST_SPREAD: f32 = 1.5;
/// Voxels of inner regions that weigh as much as the class's mean over the whole volume.
const WHOLE: f32 = 20.0;
/// Scale of local means in edges of a region.
const SCALE: f32 = 3.2;
/// Voxels of the volume per unit of parallel work.
const BLOCK: usize = 1 << 15;
/// No class: outside the mask.
const OUTSIDE: u16 = u16::MAX;

/// Voxels that get another class than the most probable one of their region, as (index, class), in order.
pub(super) fn polish(
    progress: &Progress,
    cache: &FeatureCache,
    probabilities: &[f32],
    n_classes: usize,
) -> Result<Vec<(usize, u16)>, Cancelled> {
    let class: Vec<u16> = probabilities.par_chunks_exact(n_classes).map(|p| best_two(p).0 as u16).collect();
    let is_inner: Vec<bool> = (0..class.len())
        .into_par_iter()
        .map(|r| cache.adjacency.of(r).iter().all(|(other, _)| class[*other as usize] == class[r]))
        .collect();
    let stats = Stats::new(cache, &class, &is_inner, n_classes);
    let means = stats.local_means(progress, cache, &class, &is_inner)?;
    let band = Band::new(cache, probabilities, n_classes, &means, &stats.spreads);
    let (mut labels, voxels) = spread_out(progress, cache.regions.values(), &class, &is_inner)?;
    let found = (0..voxels.len())
        .into_par_iter()
        .map(|block| {
            progress.check()?;
            let ask = || band.decide_all(block * BLOCK, &voxels[block], &labels);
            Ok(pulp::Arch::new().dispatch(ask))
        })
        .collect::<Result<Vec<Decided>, Cancelled>>()?;
    let (mut changes, mut open): (Vec<_>, Vec<_>) = found.into_iter().map(|f| (f.changes, f.open)).unzip();
    for round in 1..=ROUNDS {
        progress.check()?;
        labels.par_chunks_mut(BLOCK).zip(&changes).for_each(|(labels, changes)| {
            changes.iter().for_each(|(offset, class)| labels[*offset as usize] = *class);
        });
        if round == ROUNDS {
            break;
        }
        // Only what has a neighbour that changed can change in the next round.
        let mut is_stirred = vec![false; labels.len()];
        for (block, changes) in changes.iter().enumerate() {
            for (offset, _) in changes {
                stir(block * BLOCK + *offset as usize, cache.regions.shape(), &mut is_stirred);
            }
        }
        changes = open
            .par_iter_mut()
            .enumerate()
            .map(|(block, open)| {
                progress.check()?;
                let ask = || band.turn_all(block * BLOCK, open, &is_stirred, &labels);
                Ok(pulp::Arch::new().dispatch(ask))
            })
            .collect::<Result<_, Cancelled>>()?;
    }
    let ids = cache.regions.values();
    let refined = voxels
        .par_iter()
        .enumerate()
        .flat_map_iter(|(block, offsets)| {
            let (ids, labels, class) = (&ids, &labels, &class);
            offsets.iter().filter_map(move |offset| {
                let voxel = block * BLOCK + *offset as usize;
                (labels[voxel] != class[ids[voxel] as usize - 1]).then_some((voxel, labels[voxel]))
            })
        })
        .collect();
    Ok(refined)
}

/// The class of every voxel's region, and per block the places of the voxels that are not in inner regions.
fn spread_out(
    progress: &Progress,
    ids: &[u32],
    class: &[u16],
    is_inner: &[bool],
) -> Result<(Vec<u16>, Vec<Vec<u32>>), Cancelled> {
    const IN_BAND: u32 = 1 << 31;
    let code = |r: usize| u32::from(class[r]) | if is_inner[r] { 0 } else { IN_BAND };
    let codes: Vec<u32> = std::iter::once(u32::from(OUTSIDE)).chain((0..class.len()).map(code)).collect();
    let mut labels = vec![0; ids.len()];
    let voxels = labels
        .par_chunks_mut(BLOCK)
        .zip(ids.par_chunks(BLOCK))
        .map(|(labels, ids)| {
            progress.check()?;
            let mut voxels = Vec::new();
            for (i, (labels, ids)) in labels.chunks_mut(16).zip(ids.chunks(16)).enumerate() {
                let mut any = 0;
                for (label, id) in labels.iter_mut().zip(ids) {
                    let code = codes[*id as usize];
                    *label = code as u16;
                    any |= code;
                }
                if any & IN_BAND != 0 {
                    let is_in = |(_, id): &(usize, &u32)| codes[**id as usize] & IN_BAND != 0;
                    voxels.extend(ids.iter().enumerate().filter(is_in).map(|(j, _)| (i * 16 + j) as u32));
                }
            }
            Ok(voxels)
        })
        .collect::<Result<_, Cancelled>>()?;
    Ok((labels, voxels))
}

/// What one block of voxels becomes in the first round.
struct Decided {
    /// Voxels that change, with their class.
    changes: Vec<(u32, u16)>,
    open: Open,
}

/// Voxels of a block that their neighbours can turn, and their energies without neighbours.
#[derive(Default)]
struct Open {
    voxels: Vec<u32>,
    energies: Vec<Lanes>,
}

/// Marks a voxel and the 26 around it.
fn stir(voxel: usize, shape: [usize; 3], is_stirred: &mut [bool]) {
    let [_, ny, nx] = shape;
    let [z, y, x] = near([voxel / (ny * nx), voxel / nx % ny, voxel % nx], shape);
    for z in z {
        for y in y.clone() {
            is_stirred[(z * ny + y) * nx..][x.clone()].fill(true);
        }
    }
}

/// The voxel and its neighbours along each axis.
fn near(zyx: [usize; 3], shape: [usize; 3]) -> [Range<usize>; 3] {
    std::array::from_fn(|a| zyx[a].saturating_sub(1)..(zyx[a] + 2).min(shape[a]))
}

/// Mean and spread of the smoothed values of every class.
struct Stats {
    means: Vec<f32>,
    spreads: Vec<f32>,
}

impl Stats {
    /// Of the voxels of inner regions; of all regions for a class that has no inner ones.
    fn new(cache: &FeatureCache, class: &[u16], is_inner: &[bool], n_classes: usize) -> Self {
        let sums = |inner_only: bool| {
            let mut sums = vec![[0.0; 3]; n_classes];
            for (r, ([values, squares], place)) in cache.fine_sums.iter().zip(&cache.places).enumerate() {
                if is_inner[r] || !inner_only {
                    let sum: &mut [f64; 3] = &mut sums[class[r] as usize];
                    *sum = [sum[0] + f64::from(place.n_voxels), sum[1] + values, sum[2] + squares];
                }
            }
            sums
        };
        let (inner, all) = (sums(true), sums(false));
        let moments: Vec<Option<(f32, f32)>> = inner
            .iter()
            .zip(&all)
            .map(|(inner, all)| if inner[0] >= 8.0 { inner } else { all })
            .map(|[n, sum, squares]| {
                let mean = sum / n;
                (*n > 0.0).then(|| (mean as f32, (squares / n - mean * mean).max(0.0).sqrt() as f32))
            })
            .collect();
        let mut spreads: Vec<f32> = moments.iter().flatten().map(|m| m.1).collect();
        spreads.sort_unstable_by(f32::total_cmp);
        let least = (LEAST_SPREAD * spreads.get(spreads.len() / 2).copied().unwrap_or(1.0)).max(1e-12);
        Self {
            means: moments.iter().map(|m| m.map_or(0.0, |m| m.0)).collect(),
            spreads: moments.iter().map(|m| m.map_or(least, |m| m.1.max(least))).collect(),
        }
    }

    /// Mean of every class around every region, row after row; 0 for inner regions, where none is needed.
    fn local_means(
        &self,
        progress: &Progress,
        cache: &FeatureCache,
        class: &[u16],
        is_inner: &[bool],
    ) -> Result<Vec<Lanes>, Cancelled> {
        let k = self.means.len();
        let is_of = |r: usize, c: usize| class[r] as usize == c && is_inner[r];
        let columns = |of: &(dyn Fn(usize, usize) -> f32 + Sync)| -> Vec<Vec<f32>> {
            let column = |c| (0..class.len()).map(|r| if is_of(r, c) { of(r, c) } else { 0.0 }).collect();
            (0..k).into_par_iter().map(column).collect()
        };
        let mean_of = |r: usize| cache.features.row(r)[0];
        let weights = cache.grid.spread_rows(progress, &columns(&|_, _| 1.0), SCALE)?;
        let excess = cache.grid.spread_rows(progress, &columns(&|r, c| mean_of(r) - self.means[c]), SCALE)?;
        let width = width(k);
        let whole = padded(&self.means, k);
        let mut means = vec![[0.0; LANES]; class.len() * width];
        means.par_chunks_mut(width * 256).enumerate().try_for_each_init(
            || (vec![[0.0; LANES]; width], vec![[0.0; LANES]; width]),
            |(weight, off), (block, rows)| {
                progress.check()?;
                pulp::Arch::new().dispatch(|| {
                    for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                        let r = block * 256 + i;
                        if is_inner[r] {
                            continue;
                        }
                        cache.grid.read_all(&weights, r, SCALE, weight);
                        cache.grid.read_all(&excess, r, SCALE, off);
                        for (group, mean) in row.iter_mut().enumerate() {
                            let (weight, off, whole) = (&weight[group], &off[group], &whole[group]);
                            *mean = std::array::from_fn(|i| whole[i] + off[i] / (weight[i].max(0.0) + WHOLE));
                        }
                    }
                });
                Ok(())
            },
        )?;
        Ok(means)
    }
}

/// What the voxels of the band are decided by.
struct Band<'a> {
    cache: &'a FeatureCache,
    /// Groups of lanes in a row.
    width: usize,
    /// Probabilities of every region, padded with zeros.
    probabilities: Vec<Lanes>,
    means: &'a [Lanes],
    /// One over the spread of every class, and the cost of a wide one.
    inverse: Vec<Lanes>,
    wide: Vec<Lanes>,
}

impl<'a> Band<'a> {
    fn new(
        cache: &'a FeatureCache,
        probabilities: &[f32],
        n_classes: usize,
        means: &'a [Lanes],
        spreads: &[f32],
    ) -> Self {
        let row =
            |of: &dyn Fn(f32) -> f32| padded(&spreads.iter().map(|s| of(*s)).collect::<Vec<_>>(), n_classes);
        Self {
            cache,
            width: width(n_classes),
            probabilities: padded(probabilities, n_classes),
            means,
            inverse: row(&|s| 1.0 / s),
            wide: row(&|s| VALUE_WEIGHT * s.ln()),
        }
    }

    /// Decides voxels of a block, given the classes of the regions.
    #[inline(always)]
    fn decide_all(&self, first: usize, offsets: &[u32], labels: &[u16]) -> Decided {
        // Most volumes have no more classes than lanes: there the compiler knows the width.
        if self.width == 1 {
            self.decide_in(first, offsets, labels, &mut [[0.0; LANES]; 1], &mut [[0.0; LANES]; 1])
        } else {
            let mut around = vec![[0.0; LANES]; self.width];
            self.decide_in(first, offsets, labels, &mut around.clone(), &mut around)
        }
    }

    #[inline(always)]
    fn decide_in(
        &self,
        first: usize,
        offsets: &[u32],
        labels: &[u16],
        around: &mut [Lanes],
        own: &mut [Lanes],
    ) -> Decided {
        let mut changes = Vec::new();
        let mut open = Open::default();
        for offset in offsets {
            let voxel = first + *offset as usize;
            let (class, is_open) = self.decide(voxel, labels, around, own);
            if class != labels[voxel] {
                changes.push((*offset, class));
            }
            if is_open {
                open.voxels.push(*offset);
                open.energies.extend_from_slice(own);
            }
        }
        Decided { changes, open }
    }

    /// Decides again what is open in a block and has a neighbour that changed; gives what changes.
    #[inline(always)]
    fn turn_all(&self, first: usize, open: &Open, is_stirred: &[bool], labels: &[u16]) -> Vec<(u32, u16)> {
        let mut changes = Vec::new();
        for (i, offset) in open.voxels.iter().enumerate() {
            let voxel = first + *offset as usize;
            if is_stirred[voxel] {
                let own = &open.energies[i * self.width..][..self.width];
                let class = self.turned(voxel, labels, own, least(own));
                if class != labels[voxel] {
                    changes.push((*offset, class));
                }
            }
        }
        changes
    }

    /// The class of least energy for a voxel, and whether its neighbours were asked: where all together could not turn
    /// it they need not be. Leaves the energies without neighbours in `own`.
    #[inline(always)]
    fn decide(&self, voxel: usize, labels: &[u16], around: &mut [Lanes], own: &mut [Lanes]) -> (u16, bool) {
        let width = own.len();
        let region = self.cache.regions.values()[voxel] as usize - 1;
        self.look_around(voxel, region, around);
        let value = self.cache.fine[voxel];
        let means = &self.means[region * width..][..width];
        for (group, own) in own.iter_mut().enumerate() {
            let (p, mean) = (&around[group], &means[group]);
            let (inverse, wide) = (&self.inverse[group], &self.wide[group]);
            for i in 0..LANES {
                let off = (value - mean[i]) * inverse[i];
                let value_cost = VALUE_WEIGHT * (0.5 * off * off).min(VALUE_CAP);
                let energy = value_cost + wide[i] - quick_ln(p[i].max(LEAST));
                own[i] = if p[i] < LEAST { f32::INFINITY } else { energy };
            }
        }
        let least = least(own);
        let mut rivals = 0;
        let mut best = 0;
        for (group, own) in own.iter().enumerate() {
            let near = within(own, least + NEIGHBOUR * ALL_NEIGHBOURS);
            rivals += near.count_ones();
            if near != 0 {
                best = group as u32 * LANES as u32 + near.trailing_zeros();
            }
        }
        if rivals == 1 { (best as u16, false) } else { (self.turned(voxel, labels, own, least), true) }
    }

    /// The class of least energy when the neighbours have been asked.
    #[inline(always)]
    fn turned(&self, voxel: usize, labels: &[u16], own: &[Lanes], least: f32) -> u16 {
        let near = near_labels(voxel, self.cache.regions.shape(), labels);
        let (mut lowest, mut best) = (f32::INFINITY, labels[voxel]);
        for (group, own) in own.iter().enumerate() {
            let mut rivals = within(own, least + NEIGHBOUR * ALL_NEIGHBOURS);
            while rivals != 0 {
                let lane = rivals.trailing_zeros() as usize;
                let class = (group * LANES + lane) as u16;
                let energy = own[lane] - NEIGHBOUR * weight_of(&near, class);
                if energy < lowest {
                    (lowest, best) = (energy, class);
                }
                rivals &= rivals - 1;
            }
        }
        best
    }

    /// Probability of every class around a voxel: that of its own region, twice, and of the six regions a few voxels
    /// away along the axes.
    #[inline(always)]
    fn look_around(&self, voxel: usize, region: usize, around: &mut [Lanes]) {
        let ids = self.cache.regions.values();
        let shape = self.cache.regions.shape();
        let zyx = place(voxel, shape);
        let width = around.len();
        let row = |region: usize| &self.probabilities[region * width..][..width];
        for (p, own) in around.iter_mut().zip(row(region)) {
            *p = add_scaled(&[0.0; LANES], own, 0.25);
        }
        let steps = [shape[1] * shape[2], shape[2], 1];
        for a in 0..3 {
            let lower = if zyx[a] >= REACH { ids[voxel - REACH * steps[a]] } else { 0 };
            let upper = if zyx[a] + REACH < shape[a] { ids[voxel + REACH * steps[a]] } else { 0 };
            for id in [lower, upper] {
                if id > 0 {
                    for (p, other) in around.iter_mut().zip(row(id as usize - 1)) {
                        *p = add_scaled(p, other, 0.125);
                    }
                }
            }
        }
    }
}

/// Index of a voxel along each axis; in 32 bits, where dividing is quicker, as long as they do.
#[inline(always)]
fn place(voxel: usize, [_, ny, nx]: [usize; 3]) -> [usize; 3] {
    if let (Ok(voxel), Ok(slice)) = (u32::try_from(voxel), u32::try_from(ny * nx)) {
        let (z, rest) = (voxel / slice, voxel % slice);
        return [z, rest / nx as u32, rest % nx as u32].map(|i| i as usize);
    }
    [voxel / (ny * nx), voxel / nx % ny, voxel % nx]
}

/// The least of all energies.
#[inline(always)]
fn least(energies: &[Lanes]) -> f32 {
    energies.iter().fold(f32::INFINITY, |least, e| {
        let half: [f32; 4] = std::array::from_fn(|i| e[i].min(e[i + 4]));
        least.min(half[0].min(half[2]).min(half[1].min(half[3])))
    })
}

/// Bits of the lanes that are not above a limit.
#[inline(always)]
fn within(energies: &Lanes, limit: f32) -> u32 {
    let mut bits = 0;
    for (i, energy) in energies.iter().enumerate() {
        bits |= u32::from(*energy <= limit) << i;
    }
    bits
}

/// Labels of the 26 neighbours in rows along x and padding; [`OUTSIDE`] beyond the faces of the volume.
#[inline(always)]
fn near_labels(voxel: usize, shape: [usize; 3], labels: &[u16]) -> [u16; 32] {
    let [_, ny, nx] = shape;
    let zyx = place(voxel, shape);
    let mut out = [OUTSIDE; 32];
    if (0..3).all(|a| zyx[a] > 0 && zyx[a] + 1 < shape[a]) {
        for i in 0..9 {
            let at = voxel + (i / 3) * ny * nx + (i % 3) * nx - ny * nx - nx - 1;
            out[i * 3..i * 3 + 3].copy_from_slice(&labels[at..at + 3]);
        }
        return out;
    }
    let [z, y, x] = near(zyx, shape);
    for z in z {
        for y in y.clone() {
            let row = (z + 1 - zyx[0]) * 3 + y + 1 - zyx[1];
            let at = row * 3 + x.start + 1 - zyx[2];
            out[at..at + x.len()].copy_from_slice(&labels[(z * ny + y) * nx..][x.clone()]);
        }
    }
    out
}

/// Weights of the neighbours that have a class.
#[inline(always)]
fn weight_of(near: &[u16; 32], class: u16) -> f32 {
    let mut sum = 0u16;
    for (label, weight) in near.iter().zip(&TENTHS) {
        sum += if *label == class { *weight } else { 0 };
    }
    0.1 * f32::from(sum)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::segment::{Recipe, SlicParams, test_data};

    /// Regions of 6 voxels, the true class of most of their voxels as probability 0.9.
    fn blocky(shape: [usize; 3]) -> (FeatureCache, Array3<u16>, Vec<f32>) {
        let (volume, truth) = (test_data::noisy_balls(shape, 5), test_data::balls(shape));
        let supervoxels = SlicParams { size_voxels: 6.0, compactness: 50.0, ..SlicParams::default() };
        let recipe = Recipe { supervoxels, ..Recipe::default() };
        let cache = FeatureCache::build(&Progress::new(), &volume, None, &recipe).unwrap();
        let mut votes = vec![[0u32; 3]; cache.regions.n as usize];
        for (id, class) in cache.regions.values().iter().zip(&truth) {
            votes[*id as usize - 1][*class as usize] += 1;
        }
        let probabilities = votes
            .iter()
            .flat_map(|votes| {
                let best = (0..3).max_by_key(|c| votes[*c]).unwrap();
                [0, 1, 2].map(|c| if c == best { 0.9 } else { 0.05 })
            })
            .collect();
        (cache, truth, probabilities)
    }

    #[test]
    fn borders_follow_the_values_instead_of_the_regions() {
        let (cache, truth, probabilities) = blocky([48; 3]);
        let changes = polish(&Progress::new(), &cache, &probabilities, 3).unwrap();
        let mut labels: Vec<u16> = cache
            .regions
            .values()
            .iter()
            .map(|id| best_two(&probabilities[(*id as usize - 1) * 3..][..3]).0 as u16)
            .collect();
        let wrong = |labels: &[u16]| labels.iter().zip(&truth).filter(|(l, t)| l != t).count();
        let before = wrong(&labels);
        changes.iter().for_each(|(voxel, class)| labels[*voxel] = *class);
        // Cubes of 6 voxels are wrong along every border; a few voxels in ten of those remain for the noise.
        assert!(wrong(&labels) * 3 < before, "{} of {before} wrong voxels left", wrong(&labels));
        assert!(changes.is_sorted(), "changes are in order");
    }

    #[test]
    fn neighbours_weigh_no_more_together_than_is_assumed() {
        let sum = 0.1 * f32::from(TENTHS.iter().sum::<u16>());
        assert!(sum < ALL_NEIGHBOURS && sum > ALL_NEIGHBOURS - 0.2, "{sum}");
    }

    #[test]
    fn one_class_everywhere_has_no_border_and_a_cancel_is_answered() {
        let (cache, _, probabilities) = blocky([24; 3]);
        let even: Vec<f32> = probabilities.chunks(3).flat_map(|_| [0.2, 0.5, 0.3]).collect();
        assert_eq!(polish(&Progress::new(), &cache, &even, 3).unwrap(), vec![]);
        let progress = Progress::new();
        progress.cancel();
        assert_eq!(polish(&progress, &cache, &probabilities, 3), Err(Cancelled));
    }
}
