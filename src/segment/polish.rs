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
//! that the order does not matter, and asks again only where a neighbour has changed.
//!
//! Cost: some 60 operations per voxel of the band and round. Memory: 2 bytes per voxel of the volume, 10 per voxel of
//! the band, 4 per region and class.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::Array3;
use rayon::prelude::*;

use super::FeatureCache;
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
/// Weights of the neighbours across faces, edges and corners, in rows along x.
const ROWS: [[f32; 3]; 9] = {
    const CORNER: [f32; 3] = [0.5, 0.7, 0.5];
    const EDGE: [f32; 3] = [0.7, 1.0, 0.7];
    [CORNER, EDGE, CORNER, EDGE, [1.0, 0.0, 1.0], EDGE, CORNER, EDGE, CORNER]
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
/// Every so many voxels one is looked at for the statistics of the classes.
const STRIDE: usize = 5;
/// Voxels of the band per unit of parallel work.
const BLOCK: usize = 4096;
/// No class: outside the mask.
const OUTSIDE: u16 = u16::MAX;

/// Voxels that get another class than the most probable one of their region, as (index, class), in order.
pub(super) fn polish(
    progress: &Progress,
    cache: &FeatureCache,
    probabilities: &[f32],
    n_classes: usize,
) -> Result<Vec<(usize, u16)>, Cancelled> {
    let class: Vec<u16> = probabilities.chunks_exact(n_classes).map(|p| best_two(p).0 as u16).collect();
    let is_inner: Vec<bool> = (0..class.len())
        .into_par_iter()
        .map(|r| cache.adjacency.of(r).iter().all(|(other, _)| class[*other as usize] == class[r]))
        .collect();
    let ids = cache.regions.values();
    let stats = Stats::new(cache, &class, &is_inner, n_classes);
    let means = stats.local_means(progress, cache, &class, &is_inner)?;
    let band = Band::new(cache, probabilities, n_classes, &means, &stats.spreads);
    let mut labels: Vec<u16> = ids
        .par_iter()
        .map(|id| id.checked_sub(1).and_then(|r| class.get(r as usize)).copied().unwrap_or(OUTSIDE))
        .collect();
    let voxels: Vec<usize> =
        (0..ids.len()).into_par_iter().filter(|v| ids[*v] > 0 && !is_inner[ids[*v] as usize - 1]).collect();
    let mut asked = Cow::Borrowed(&voxels);
    for round in 0..ROUNDS {
        let mut found = vec![0u16; asked.len()];
        found.par_chunks_mut(BLOCK).zip(asked.par_chunks(BLOCK)).try_for_each_init(
            || Scratch::new(n_classes),
            |scratch, (found, voxels)| {
                progress.check()?;
                for (found, voxel) in found.iter_mut().zip(voxels) {
                    *found = band.decide(*voxel, &labels, scratch);
                }
                Ok(())
            },
        )?;
        // Only what has a neighbour that changed can change in the next round.
        let mut is_stirred = vec![false; if round + 1 < ROUNDS { labels.len() } else { 0 }];
        for (voxel, found) in asked.iter().zip(&found) {
            if std::mem::replace(&mut labels[*voxel], *found) != *found && !is_stirred.is_empty() {
                stir(*voxel, cache.regions.shape(), &mut is_stirred);
            }
        }
        let stirred = |v: &&usize| is_stirred.get(**v).copied().unwrap_or(false);
        asked = Cow::Owned(voxels.par_iter().filter(stirred).copied().collect());
    }
    let is_other = |voxel: &usize| labels[*voxel] != class[ids[*voxel] as usize - 1];
    Ok(voxels.into_iter().filter(is_other).map(|voxel| (voxel, labels[voxel])).collect())
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
        let ids = cache.regions.values();
        let sums = |inner_only: bool| {
            let chunks: Vec<Vec<[f64; 3]>> = ids
                .par_chunks(STRIDE << 16)
                .zip(cache.fine.par_chunks(STRIDE << 16))
                .map(|(ids, values)| {
                    let mut sums = vec![[0.0; 3]; n_classes];
                    for (id, value) in ids.iter().zip(values).step_by(STRIDE) {
                        let Some(r) = id.checked_sub(1).map(|r| r as usize) else { continue };
                        if is_inner[r] || !inner_only {
                            let value = f64::from(*value);
                            let sum = &mut sums[class[r] as usize];
                            *sum = [sum[0] + 1.0, sum[1] + value, sum[2] + value * value];
                        }
                    }
                    sums
                })
                .collect();
            chunks.into_iter().fold(vec![[0.0; 3]; n_classes], |mut total, part| {
                for (total, part) in total.iter_mut().zip(part) {
                    *total = std::array::from_fn(|i| total[i] + part[i]);
                }
                total
            })
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
    ) -> Result<Vec<f32>, Cancelled> {
        let k = self.means.len();
        let grids: Vec<[Array3<f32>; 2]> = (0..k)
            .into_par_iter()
            .map(|c| {
                let is_of = |r: usize| class[r] as usize == c && is_inner[r];
                let weights: Vec<f32> = (0..class.len()).map(|r| f32::from(u8::from(is_of(r)))).collect();
                let excess: Vec<f32> = (0..class.len())
                    .map(|r| if is_of(r) { cache.features.row(r)[0] - self.means[c] } else { 0.0 })
                    .collect();
                Ok([
                    cache.grid.spread(progress, &weights, SCALE)?,
                    cache.grid.spread(progress, &excess, SCALE)?,
                ])
            })
            .collect::<Result<_, Cancelled>>()?;
        let mut means = vec![0.0f32; class.len() * k];
        means.par_chunks_mut(k).enumerate().filter(|(r, _)| !is_inner[*r]).for_each(|(r, row)| {
            for ((mean, [weights, excess]), whole) in row.iter_mut().zip(&grids).zip(&self.means) {
                let at = |grid: &Array3<f32>| cache.grid.read(grid, r, SCALE);
                *mean = whole + at(excess) / (at(weights).max(0.0) + WHOLE);
            }
        });
        Ok(means)
    }
}

/// Classes that are added up together: a row of probabilities is padded to whole lanes.
const LANES: usize = 8;
type Lanes = [f32; LANES];

/// What the voxels of the band are decided by.
struct Band<'a> {
    cache: &'a FeatureCache,
    n_classes: usize,
    /// Lanes of a row.
    width: usize,
    /// Probabilities of every region, padded with zeros.
    probabilities: Vec<Lanes>,
    means: &'a [f32],
    /// One over the spread of every class, and the cost of a wide one.
    classes: Vec<(f32, f32)>,
}

/// Per class: probability around a voxel, energy without neighbours, and weight of the neighbours.
struct Scratch {
    around: Vec<Lanes>,
    own: Vec<f32>,
    near: Vec<f32>,
}

impl Scratch {
    fn new(n_classes: usize) -> Self {
        Self {
            around: vec![[0.0; LANES]; n_classes.div_ceil(LANES)],
            own: vec![0.0; n_classes],
            near: vec![0.0; n_classes],
        }
    }
}

impl<'a> Band<'a> {
    fn new(
        cache: &'a FeatureCache,
        probabilities: &[f32],
        n_classes: usize,
        means: &'a [f32],
        spreads: &[f32],
    ) -> Self {
        let width = n_classes.div_ceil(LANES);
        let mut padded = vec![[0.0; LANES]; width * cache.features.n_regions];
        padded.par_chunks_mut(width).zip(probabilities.par_chunks(n_classes)).for_each(|(padded, row)| {
            for (lanes, row) in padded.iter_mut().zip(row.chunks(LANES)) {
                lanes[..row.len()].copy_from_slice(row);
            }
        });
        let classes = spreads.iter().map(|s| (1.0 / s, VALUE_WEIGHT * s.ln())).collect();
        Self { cache, n_classes, width, probabilities: padded, means, classes }
    }

    /// The class of least energy for a voxel, given the labels of the round before.
    fn decide(&self, voxel: usize, labels: &[u16], scratch: &mut Scratch) -> u16 {
        let k = self.n_classes;
        let shape = self.cache.regions.shape();
        let [_, ny, nx] = shape;
        let zyx = [voxel / (ny * nx), voxel / nx % ny, voxel % nx];
        let region = self.cache.regions.values()[voxel] as usize - 1;
        self.look_around(voxel, zyx, region, &mut scratch.around);
        let around = &scratch.around.as_flattened()[..k];
        let mut possible = (0..k).filter(|c| around[*c] >= LEAST);
        if let (Some(only), None) = (possible.next(), possible.next()) {
            return only as u16;
        }
        let value = self.cache.fine[voxel];
        let means = &self.means[region * k..][..k];
        let (mut least, mut next) = (f32::INFINITY, f32::INFINITY);
        let mut best = labels[voxel];
        for c in 0..k {
            let p = around[c];
            if p < LEAST {
                scratch.own[c] = f32::INFINITY;
                continue;
            }
            let (inverse, wide) = self.classes[c];
            let off = (value - means[c]) * inverse;
            let own = VALUE_WEIGHT * (0.5 * off * off).min(VALUE_CAP) + wide - quick_ln(p);
            scratch.own[c] = own;
            if own < least {
                (next, least, best) = (least, own, c as u16);
            } else {
                next = next.min(own);
            }
        }
        // Where all neighbours together could not turn it, they need not be asked.
        if next - least > NEIGHBOUR * ALL_NEIGHBOURS {
            return best;
        }
        scratch.near.fill(0.0);
        self.ask_neighbours(voxel, zyx, labels, &mut scratch.near);
        let mut best = (f32::INFINITY, labels[voxel]);
        for (c, (own, near)) in scratch.own.iter().zip(&scratch.near).enumerate() {
            let energy = own - NEIGHBOUR * near;
            if energy < best.0 {
                best = (energy, c as u16);
            }
        }
        best.1
    }

    /// Adds up the weights of the 26 neighbours per class.
    #[inline(always)]
    fn ask_neighbours(&self, voxel: usize, zyx: [usize; 3], labels: &[u16], sums: &mut [f32]) {
        let shape = self.cache.regions.shape();
        let [_, ny, nx] = shape;
        let mut add = |label: u16, weight: f32| {
            if let Some(sum) = sums.get_mut(label as usize) {
                *sum += weight;
            }
        };
        if (0..3).all(|a| zyx[a] > 0 && zyx[a] + 1 < shape[a]) {
            for (i, weights) in ROWS.iter().enumerate() {
                let at = voxel + (i / 3) * ny * nx + (i % 3) * nx - ny * nx - nx - 1;
                for (label, weight) in labels[at..at + 3].iter().zip(weights) {
                    add(*label, *weight);
                }
            }
            return;
        }
        let [z, y, x] = near(zyx, shape);
        for z in z {
            for y in y.clone() {
                let weights = &ROWS[(z + 1 - zyx[0]) * 3 + y + 1 - zyx[1]];
                let row = &labels[(z * ny + y) * nx..][x.clone()];
                for (label, weight) in row.iter().zip(&weights[x.start + 1 - zyx[2]..]) {
                    add(*label, *weight);
                }
            }
        }
    }

    /// Probability of every class around a voxel: that of its own region, twice, and of the six regions a few voxels
    /// away along the axes.
    #[inline(always)]
    fn look_around(&self, voxel: usize, zyx: [usize; 3], region: usize, around: &mut [Lanes]) {
        let ids = self.cache.regions.values();
        let shape = self.cache.regions.shape();
        let row = |region: usize| &self.probabilities[region * self.width..][..self.width];
        for (p, own) in around.iter_mut().zip(row(region)) {
            *p = own.map(|own| 0.25 * own);
        }
        let mut add = |voxel: usize| {
            if let Some(other) = ids[voxel].checked_sub(1) {
                for (p, other) in around.iter_mut().zip(row(other as usize)) {
                    *p = std::array::from_fn(|i| p[i] + 0.125 * other[i]);
                }
            }
        };
        let steps = [shape[1] * shape[2], shape[2], 1];
        for a in 0..3 {
            if zyx[a] >= REACH {
                add(voxel - REACH * steps[a]);
            }
            if zyx[a] + REACH < shape[a] {
                add(voxel + REACH * steps[a]);
            }
        }
    }
}

/// Natural logarithm of a positive number, right to 1e-4: exponent, and a polynomial of the mantissa.
#[inline(always)]
fn quick_ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let m = f32::from_bits(bits & 0x007F_FFFF | 0x3F80_0000);
    // ln m = 2 artanh((m - 1) / (m + 1)).
    let t = (m - 1.0) / (m + 1.0);
    let squared = t * t;
    exponent as f32 * std::f32::consts::LN_2
        + 2.0 * t * (1.0 + squared * (1.0 / 3.0 + squared * (0.2 + squared / 7.0)))
}

#[cfg(test)]
mod tests {
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
        let sum: f32 = ROWS.iter().flatten().sum();
        assert!(sum < ALL_NEIGHBOURS && sum > ALL_NEIGHBOURS - 0.2, "{sum}");
    }

    #[test]
    fn the_quick_logarithm_is_near_the_true_one() {
        for i in 1..2000 {
            let x = i as f32 * 0.001;
            assert!((quick_ln(x) - x.ln()).abs() < 1e-4, "{x}: {} {}", quick_ln(x), x.ln());
        }
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
