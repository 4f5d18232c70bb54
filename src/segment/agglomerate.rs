//! Megavoxels: regions joined step by step into larger ones, so that a slider picks any level at once.
//!
//! Neighbours are joined in the order of Ward's cost (Journal of the American Statistical Association 58 (1963),
//! doi:10.1080/01621459.1963.10500845): the squared difference of their means times the harmonic sum of their sizes,
//! that is, what joining adds to the spread within regions. In every round each region names the neighbour that costs
//! least, and the cheaper half of those pairs is joined. All joins are kept in order; a level is the first so many.
//!
//! Cost: some thirty passes over the pairs of neighbours, fewer pairs each time. A level: one pass over the regions.

use rayon::prelude::*;

use super::FeatureCache;
use super::regions::{Adjacency, Place};
use crate::base::{Cancelled, Progress};

/// The order in which regions are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agglomeration {
    n_regions: usize,
    /// Zero-based regions whose groups are joined, in order.
    joins: Vec<(u32, u32)>,
}

/// Finds the smallest member of a group.
fn root(parent: &mut [u32], mut i: u32) -> u32 {
    while parent[i as usize] != i {
        parent[i as usize] = parent[parent[i as usize] as usize];
        i = parent[i as usize];
    }
    i
}

impl Agglomeration {
    /// Joins the regions of a cache by their mean values.
    ///
    /// # Errors
    /// [`Cancelled`], checked once per round.
    pub fn new(progress: &Progress, cache: &FeatureCache) -> Result<Self, Cancelled> {
        let mean: Vec<f32> = (0..cache.features.n_regions).map(|r| cache.features.row(r)[0]).collect();
        Self::from_means(progress, &cache.adjacency, &cache.places, &mean)
    }

    /// Joins regions by the given means.
    ///
    /// # Errors
    /// [`Cancelled`], checked once per round.
    pub fn from_means(
        progress: &Progress,
        adjacency: &Adjacency,
        places: &[Place],
        mean: &[f32],
    ) -> Result<Self, Cancelled> {
        let n = mean.len();
        let mut size: Vec<f64> = places.iter().map(|p| f64::from(p.n_voxels.max(1))).collect();
        let mut mean: Vec<f64> = mean.iter().map(|m| f64::from(*m)).collect();
        let mut parent: Vec<u32> = (0..n as u32).collect();
        let mut pairs: Vec<(u32, u32)> = (0..n as u32)
            .flat_map(|a| adjacency.of(a as usize).iter().map(move |(b, _)| (a, *b)))
            .filter(|(a, b)| a < b)
            .collect();
        let mut joins = Vec::with_capacity(n);
        progress.phase("Joining regions", n as u64);
        while !pairs.is_empty() {
            progress.check()?;
            // The cheapest neighbour of every region; the lower number among equals.
            let mut best: Vec<(f64, u32)> = vec![(f64::INFINITY, u32::MAX); n];
            for (a, b) in &pairs {
                let (i, j) = (*a as usize, *b as usize);
                let cost = (mean[i] - mean[j]).powi(2) * size[i] * size[j] / (size[i] + size[j]);
                if (cost, *b) < best[i] {
                    best[i] = (cost, *b);
                }
                if (cost, *a) < best[j] {
                    best[j] = (cost, *a);
                }
            }
            let mut picks: Vec<(f64, u32, u32)> = best
                .iter()
                .enumerate()
                .filter(|(_, (_, other))| *other != u32::MAX)
                .map(|(i, (cost, other))| (*cost, *other.min(&(i as u32)), *other.max(&(i as u32))))
                .collect();
            picks.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
            picks.dedup();
            let before = joins.len();
            for (_, a, b) in &picks[..picks.len().div_ceil(2)] {
                let (a, b) = (root(&mut parent, *a), root(&mut parent, *b));
                if a == b {
                    continue;
                }
                let (low, high) = (a.min(b) as usize, a.max(b) as usize);
                parent[high] = low as u32;
                let both = size[low] + size[high];
                mean[low] = (mean[low] * size[low] + mean[high] * size[high]) / both;
                size[low] = both;
                joins.push((low as u32, high as u32));
            }
            progress.advance((joins.len() - before) as u64);
            for pair in &mut pairs {
                let (a, b) = (root(&mut parent, pair.0), root(&mut parent, pair.1));
                *pair = (a.min(b), a.max(b));
            }
            pairs.retain(|(a, b)| a != b);
            pairs.par_sort_unstable();
            pairs.dedup();
        }
        Ok(Self { n_regions: n, joins })
    }

    /// How many regions there are.
    pub fn n_regions(&self) -> usize {
        self.n_regions
    }

    /// How few groups can be left: 1 where all regions hang together.
    pub fn fewest(&self) -> usize {
        self.n_regions - self.joins.len()
    }

    /// The group of every region when `n_groups` are left (as near as can be), numbered from 0 in the order of their
    /// first region, and how many there are.
    pub fn level(&self, n_groups: usize) -> (Vec<u32>, usize) {
        let n_joins = self.n_regions.saturating_sub(n_groups).min(self.joins.len());
        let mut parent: Vec<u32> = (0..self.n_regions as u32).collect();
        for (low, high) in &self.joins[..n_joins] {
            parent[*high as usize] = *low;
        }
        // Parents have lower numbers than their children, so one pass finds every root.
        let (mut group, mut n) = (vec![0u32; self.n_regions], 0);
        for i in 0..self.n_regions {
            if parent[i] as usize == i {
                group[i] = n;
                n += 1;
            } else {
                group[i] = group[parent[i] as usize];
            }
        }
        (group, n as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Recipe, quality, test_data};

    #[test]
    fn levels_nest_and_follow_what_is_alike() {
        let shape = [40; 3];
        let (volume, truth) = (test_data::noisy_balls(shape, 4), test_data::balls(shape));
        let progress = Progress::new();
        let cache = FeatureCache::build(&progress, &volume, None, &Recipe::default()).unwrap();
        let tree = Agglomeration::new(&progress, &cache).unwrap();
        assert_eq!(tree.fewest(), 1);
        assert_eq!(tree.level(1).1, 1);
        assert_eq!(tree.level(usize::MAX).1, cache.features.n_regions);
        let (fine, n_fine) = tree.level(200);
        let (coarse, n_coarse) = tree.level(20);
        assert_eq!((n_fine, n_coarse), (200, 20));
        let mut of_fine = vec![None; n_fine];
        for (f, c) in fine.iter().zip(&coarse) {
            let seen = *of_fine[*f as usize].get_or_insert(*c);
            assert_eq!(seen, *c, "a group of the fine level lies in two of the coarse one");
        }
        let dice = |group: &[u32]| {
            let of_class =
                quality::achievable_dice(&cache.regions, Some(group), truth.mapv(|c| c + 1).view());
            of_class.iter().map(|d| d.1).sum::<f64>() / of_class.len() as f64
        };
        // 20 groups of 730 regions still tell three classes apart.
        assert!(dice(&coarse) > 0.85, "{}", dice(&coarse));
        assert!(dice(&fine) >= dice(&coarse) - 1e-9, "{} {}", dice(&fine), dice(&coarse));
        progress.cancel();
        assert_eq!(Agglomeration::new(&progress, &cache), Err(Cancelled));
    }
}
