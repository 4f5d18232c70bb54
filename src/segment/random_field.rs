//! A Markov random field over the regions: the labelling of least energy instead of the best class of each region.
//!
//! ```text
//! E = Σ_r -ln p(class of r) + strength · Σ_(r,s) w(r,s) [class of r ≠ class of s]
//! w = shared faces / mean faces of a region · exp(-(difference of values)² / 2σ²) · wedge
//! ```
//!
//! Minimised by α-expansion (Boykov, Veksler, Zabih, IEEE TPAMI 23 (2001), doi:10.1109/34.969114): for one class after
//! another a least cut finds the best set of regions that change to it. Energies are whole numbers, classes are tried
//! in a fixed order: the same bits everywhere, and the energy never increases.
//!
//! Where a scan could not be turned all the way, borders whose normal lies in the missing wedge leave no trace in the
//! volume. Equal values on both sides then say little, and the weight of such pairs is lowered.

use rayon::prelude::*;

use super::FeatureCache;
use super::features::neighbour_noise;
use super::prediction::best_two;
use super::regions::{Adjacency, Place};
use crate::base::{Cancelled, Progress};
use crate::kernels::max_flow::MaxFlow;

/// Whole numbers per unit of energy.
const UNIT: f32 = 65536.0;
/// σ of the contrast in units of the noise between neighbours.
const RANGE: f32 = 6.0;
/// Probability below which a class costs no more.
const LEAST: f32 = 1e-3;
/// From this probability on, with neighbours that are as sure of the same class, a region is not asked.
const SURE: f32 = 0.995;
/// Rounds over the classes.
const ROUNDS: usize = 4;
/// Weight that is left across the middle of the missing wedge.
const WEDGE_FLOOR: f32 = 0.3;

/// What the field is made of: costs of the regions and weights of the pairs.
#[derive(Debug, Clone)]
pub struct RandomField {
    n_classes: usize,
    /// Cost of every class, region after region.
    costs: Vec<i64>,
    /// Pairs of touching regions, the lower first, with their weight.
    pairs: Vec<(u32, u32, i64)>,
}

/// What [`RandomField::solve`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelling {
    /// Position of the class of every region.
    pub classes: Vec<u16>,
    /// Energy of the start and after every change, never increasing.
    pub energies: Vec<i64>,
}

impl RandomField {
    /// The field of some regions with the probabilities `probabilities` (region after region).
    ///
    /// `strength` is how much neighbours count, 0 (not) upwards; `tilt_deg` the greatest tilt of the scan to either
    /// side, `None` where it was turned all the way. The rotation axis is y, the beam z.
    pub fn new(
        cache: &FeatureCache,
        probabilities: &[f32],
        n_classes: usize,
        strength: f32,
        tilt_deg: Option<f32>,
    ) -> Self {
        let mean: Vec<f32> = (0..cache.features.n_regions).map(|r| cache.features.row(r)[0]).collect();
        let sigma = RANGE * neighbour_noise(&mean, &cache.adjacency);
        let weights = weights(&cache.adjacency, &cache.places, &mean, sigma, tilt_deg);
        Self::from_parts(probabilities, n_classes, &weights, strength)
    }

    /// From pairs of regions with the weight of each.
    fn from_parts(
        probabilities: &[f32],
        n_classes: usize,
        weights: &[(u32, u32, f32)],
        strength: f32,
    ) -> Self {
        let costs = probabilities.par_iter().map(|p| (-p.max(LEAST).ln() * UNIT) as i64).collect();
        let pairs = weights
            .iter()
            .map(|(a, b, w)| (*a, *b, (w * strength * UNIT) as i64))
            .filter(|(_, _, w)| *w > 0)
            .collect();
        Self { n_classes, costs, pairs }
    }

    /// Energy of a labelling.
    pub fn energy(&self, classes: &[u16]) -> i64 {
        let own: i64 = classes
            .iter()
            .zip(self.costs.chunks_exact(self.n_classes))
            .map(|(c, row)| row[*c as usize])
            .sum();
        let between = |(a, b, w): &(u32, u32, i64)| {
            if classes[*a as usize] == classes[*b as usize] { 0 } else { *w }
        };
        own + self.pairs.iter().map(between).sum::<i64>()
    }

    /// The labelling of least energy that α-expansion finds from the best class of each region.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn solve(&self, progress: &Progress, probabilities: &[f32]) -> Result<Labelling, Cancelled> {
        let k = self.n_classes;
        let mut classes: Vec<u16> = probabilities.chunks_exact(k).map(|p| best_two(p).0 as u16).collect();
        let mut energies = vec![self.energy(&classes)];
        let open = self.open(probabilities, &classes);
        let mut number = vec![u32::MAX; classes.len()];
        // A class need not be tried again while nothing has changed since it was.
        let mut unchanged = 0;
        'rounds: for _ in 0..ROUNDS {
            for class in 0..k as u16 {
                progress.check()?;
                let found = self.expand(progress, class, &classes, &open, &mut number)?;
                if found.is_empty() {
                    unchanged += 1;
                } else {
                    unchanged = 1;
                    found.iter().for_each(|r| classes[*r as usize] = class);
                    energies.push(self.energy(&classes));
                }
                if unchanged >= k {
                    break 'rounds;
                }
            }
        }
        Ok(Labelling { classes, energies })
    }

    /// Regions that are not sure, or have a neighbour that is not or is sure of another class.
    fn open(&self, probabilities: &[f32], classes: &[u16]) -> Vec<bool> {
        let sure: Vec<bool> =
            probabilities.chunks_exact(self.n_classes).map(|p| p.iter().any(|p| *p >= SURE)).collect();
        let mut open: Vec<bool> = sure.iter().map(|sure| !sure).collect();
        for (a, b, _) in &self.pairs {
            let (a, b) = (*a as usize, *b as usize);
            if !sure[a] || !sure[b] || classes[a] != classes[b] {
                (open[a], open[b]) = (true, true);
            }
        }
        open
    }

    /// Regions that change to a class in the least cut. `number` is scratch.
    fn expand(
        &self,
        progress: &Progress,
        class: u16,
        classes: &[u16],
        open: &[bool],
        number: &mut [u32],
    ) -> Result<Vec<u32>, Cancelled> {
        let k = self.n_classes;
        let mut asked = Vec::new();
        for (r, number) in number.iter_mut().enumerate() {
            *number = u32::MAX;
            if open[r] && classes[r] != class {
                *number = asked.len() as u32;
                asked.push(r as u32);
            }
        }
        let mut graph = MaxFlow::new(asked.len(), self.pairs.len());
        // To change is the side of the sink: what it costs flows from the source.
        let (mut change, mut keep): (Vec<i64>, Vec<i64>) = asked
            .iter()
            .map(|r| {
                let row = &self.costs[*r as usize * k..][..k];
                (row[class as usize], row[classes[*r as usize] as usize])
            })
            .unzip();
        for (a, b, w) in &self.pairs {
            let (i, j) = (number[*a as usize], number[*b as usize]);
            let (class_a, class_b) = (classes[*a as usize], classes[*b as usize]);
            match (i == u32::MAX, j == u32::MAX) {
                (true, true) => {}
                (false, true) => one_sided(i as usize, class_b, class_a, class, *w, &mut change, &mut keep),
                (true, false) => one_sided(j as usize, class_a, class_b, class, *w, &mut change, &mut keep),
                (false, false) if class_a == class_b => graph.add_edge(i as usize, j as usize, *w, *w),
                (false, false) => {
                    // Both keep: w. One changes: w. Both change: 0.
                    change[j as usize] -= w;
                    graph.add_edge(i as usize, j as usize, *w, 0);
                }
            }
        }
        for (i, (change, keep)) in change.iter().zip(&keep).enumerate() {
            let base = (*change).min(*keep);
            graph.add_terminals(i, change - base, keep - base);
        }
        graph.solve(progress)?;
        Ok(asked.into_iter().enumerate().filter(|(i, _)| graph.is_sink(*i)).map(|(_, r)| r).collect())
    }
}

/// A pair of which one region cannot change: what it costs the other to change or to keep its class.
fn one_sided(i: usize, fixed: u16, own: u16, class: u16, weight: i64, change: &mut [i64], keep: &mut [i64]) {
    if fixed != class {
        change[i] += weight;
    }
    if fixed != own {
        keep[i] += weight;
    }
}

/// Weight of every pair of touching regions.
fn weights(
    adjacency: &Adjacency,
    places: &[Place],
    mean: &[f32],
    sigma: f32,
    tilt_deg: Option<f32>,
) -> Vec<(u32, u32, f32)> {
    let faces: u64 = (0..mean.len()).flat_map(|r| adjacency.of(r)).map(|(_, faces)| u64::from(*faces)).sum();
    let usual = (faces as f32 / mean.len().max(1) as f32).max(1.0);
    let scale = -0.5 / (sigma * sigma);
    (0..mean.len())
        .into_par_iter()
        .flat_map_iter(|a| {
            adjacency.of(a).iter().filter(move |(b, _)| *b as usize > a).map(move |(b, faces)| {
                let difference = mean[*b as usize] - mean[a];
                let wedge = tilt_deg.map_or(1.0, |tilt| wedge_weight(&places[a], &places[*b as usize], tilt));
                let weight = *faces as f32 / usual * (scale * difference * difference).exp() * wedge;
                (a as u32, *b, weight)
            })
        })
        .collect()
}

/// Weight of a pair by the direction from one centre to the other: lower where it lies in the missing wedge.
pub(super) fn wedge_weight(a: &Place, b: &Place, tilt_deg: f32) -> f32 {
    let [z, y, x] = std::array::from_fn(|i| (b.centre_zyx[i] - a.centre_zyx[i]).abs());
    let across = z.hypot(x);
    // Beyond the greatest tilt, measured from the plane across the beam, nothing was seen.
    let into = ((z.atan2(x).to_degrees() - tilt_deg) / (90.0 - tilt_deg).max(1.0)).clamp(0.0, 1.0);
    // A direction along the rotation axis is seen in every view.
    let share = (across / across.hypot(y).max(1e-6)).powi(2);
    1.0 - (1.0 - WEDGE_FLOOR) * into * share
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand::SeedableRng as _;
    use rand_pcg::Pcg64Mcg;

    use super::*;

    fn random(n: usize, k: usize, seed: u64) -> (RandomField, Vec<f32>) {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let mut p: Vec<f32> = (0..n * k).map(|_| rng.random_range(0.05..1.0)).collect();
        p.chunks_mut(k).for_each(|row| {
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= sum);
        });
        let weights: Vec<_> = (0..n as u32)
            .flat_map(|a| (a + 1..n as u32).map(move |b| (a, b)))
            .filter(|_| rng.random_bool(0.4))
            .map(|(a, b)| (a, b, (a + b) as f32 % 5.0 * 0.2))
            .collect();
        (RandomField::from_parts(&p, k, &weights, 1.0), p)
    }

    #[test]
    fn two_classes_are_solved_exactly() {
        for seed in 0..30 {
            let (field, p) = random(9, 2, seed);
            let found = field.solve(&Progress::new(), &p).unwrap();
            let least = (0..1u32 << 9)
                .map(|bits| field.energy(&(0..9).map(|i| (bits >> i & 1) as u16).collect::<Vec<_>>()))
                .min()
                .unwrap();
            assert_eq!(field.energy(&found.classes), least, "seed {seed}");
        }
    }

    #[test]
    fn energy_never_increases_and_no_single_class_can_expand_further() {
        for seed in 0..20 {
            let (field, p) = random(40, 5, 100 + seed);
            let found = field.solve(&Progress::new(), &p).unwrap();
            assert!(found.energies.windows(2).all(|e| e[1] < e[0]), "{:?}", found.energies);
            assert_eq!(found.energies.last(), Some(&field.energy(&found.classes)));
            let least = *found.energies.last().unwrap();
            for r in 0..40 {
                for class in 0..5 {
                    let mut other = found.classes.clone();
                    other[r] = class;
                    assert!(field.energy(&other) >= least, "region {r} would rather be {class}");
                }
            }
        }
    }

    #[test]
    fn pairs_across_the_missing_wedge_count_less() {
        let at = |zyx: [f32; 3]| Place { n_voxels: 1, centre_zyx: zyx };
        let weight = |zyx: [f32; 3], tilt| wedge_weight(&at([0.0; 3]), &at(zyx), tilt);
        assert_eq!(weight([0.0, 0.0, 4.0], 65.0), 1.0);
        assert_eq!(weight([0.0, 4.0, 0.0], 65.0), 1.0);
        assert!((weight([4.0, 0.0, 0.0], 65.0) - WEDGE_FLOOR).abs() < 1e-6);
        let (steep, flat) = (weight([4.0, 0.0, 1.0], 65.0), weight([4.0, 0.0, 1.5], 65.0));
        assert!(WEDGE_FLOOR < steep && steep < flat && flat < 1.0, "{steep} {flat}");
        assert_eq!(weight([4.0, 0.0, 0.0], 90.0), 1.0);
    }

    #[test]
    fn a_cancel_is_answered() {
        let (field, p) = random(10, 3, 1);
        let progress = Progress::new();
        progress.cancel();
        assert_eq!(field.solve(&progress, &p), Err(Cancelled));
    }
}
