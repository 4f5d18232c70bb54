//! From the votes of a forest to probabilities: how common classes are, and agreement among neighbours.
//!
//! A forest is trained with all classes weighing the same, so its votes are those of a volume of which every class
//! fills an equal part. Organelles are rare: among many regions of cytoplasm a few that look a little like a droplet
//! outnumber the droplets. [`Votes::weights`] estimates how common every class is from the votes themselves and
//! weighs them by a power of it. The whole power would be right for calibrated probabilities (Saerens, Latinne,
//! Decaestecker, Neural Computation 14 (2002), doi:10.1162/089976602753284446); votes are softer than
//! that, and a rare class would drown.
//!
//! [`Votes::agree`] lets neighbours agree: a random field over the region graph in which touching regions prefer the
//! same class, the more so the more of their surface they share and the less their values differ. Solved by a few
//! rounds of mean field (Krähenbühl and Koltun, NIPS 2011, describe the update), each from the round before, so that
//! the result does not depend on the number of threads.
//!
//! Cost: one multiply-add per pair of neighbours, class and round.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::SegmentError;
use super::lanes::{LANES, Lanes, add_scaled, padded, quick_exp, quick_ln, unpadded, width};
use super::regions::{Adjacency, Place};
use crate::base::{Cancelled, Progress};

/// Regions per unit of parallel work.
const BLOCK: usize = 1024;
/// Rounds of mean field.
const ROUNDS: usize = 5;
/// How far values may differ between regions that shall agree, in units of the noise between neighbours.
const RANGE: f32 = 6.0;
/// From which probability on a class is sure.
const SURE: f32 = 0.98;
/// Least share of a class in the estimate of how common it is.
const LEAST_SHARE: f64 = 1e-5;

impl LacPrior {
    /// Priors from text: `class:mean:sd` in 1/µm, separated by commas.
    pub(super) fn list(text: &str) -> Result<Vec<Self>, SegmentError> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                let fields: Vec<f32> =
                    part.split(':').filter_map(|field| field.trim().parse().ok()).collect();
                let [class, mean_per_um, sd_per_um] = fields[..] else {
                    return Err(SegmentError::Prior { text: part.to_owned() });
                };
                let is_good = class.fract() == 0.0
                    && (1.0..=65535.0).contains(&class)
                    && mean_per_um.is_finite()
                    && sd_per_um > 0.0
                    && sd_per_um.is_finite();
                if !is_good {
                    return Err(SegmentError::Prior { text: part.to_owned() });
                }
                Ok(Self { class: class as u16, mean_per_um, sd_per_um })
            })
            .collect()
    }
}

/// How neighbours are brought to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Smoother {
    /// Each region asks its neighbours, a few times over; probabilities stay soft.
    #[default]
    Agreement,
    /// Agreement between the rounds, and the labelling of least energy at the end.
    RandomField,
}

/// What is known of the absorption of a class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LacPrior {
    /// Class id.
    pub class: u16,
    /// Mean LAC in 1/µm.
    pub mean_per_um: f32,
    /// Standard deviation in 1/µm, positive.
    pub sd_per_um: f32,
}

/// What a region off the mean of a class by far costs at most, and what a class without a prior costs, in units of
/// half squared standard deviations.
const PRIOR_COSTS: [f32; 2] = [8.0, 0.5];

/// How votes become classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecisionParams {
    /// How much it counts that a class is common in the volume, 0 (not) to 1.
    pub prior_strength: f32,
    /// How much neighbouring regions want the same class, 0 (not) to 100.
    pub smoothness: f32,
    /// How they are brought to agree.
    pub smoother: Smoother,
    /// Greatest tilt of the scan to either side in degrees, which makes agreement across the missing wedge weaker;
    /// none where it was turned all the way.
    pub tilt_range_deg: Option<f32>,
    /// What is known of the absorption of classes.
    pub lac_priors: Vec<LacPrior>,
    /// How much that counts, 0 (not) to 10.
    pub lac_weight: f32,
    /// Whether voxels near the borders of classes are decided one by one.
    pub polish: bool,
}

impl Default for DecisionParams {
    fn default() -> Self {
        Self {
            prior_strength: 0.3,
            smoothness: 6.0,
            smoother: Smoother::Agreement,
            tilt_range_deg: None,
            lac_priors: Vec::new(),
            lac_weight: 1.0,
            polish: true,
        }
    }
}

impl DecisionParams {
    /// Multiplies the probabilities of a region of mean value `mean` by what is known of the absorption of classes.
    pub(super) fn apply_priors(&self, row: &mut [f32], classes: &[u16], mean: f32) {
        if self.lac_priors.is_empty() || self.lac_weight <= 0.0 {
            return;
        }
        let mut sum = 0.0;
        for (p, class) in row.iter_mut().zip(classes) {
            let cost =
                self.lac_priors.iter().find(|prior| prior.class == *class).map_or(PRIOR_COSTS[1], |prior| {
                    (0.5 * ((mean - prior.mean_per_um) / prior.sd_per_um).powi(2)).min(PRIOR_COSTS[0])
                });
            *p *= (-self.lac_weight * cost).exp();
            sum += *p;
        }
        if sum > 0.0 {
            row.iter_mut().for_each(|p| *p /= sum);
        }
    }
}

/// Weight of every entry of the adjacency: its share of the region's faces, less where the values differ.
pub(super) fn affinity(adjacency: &Adjacency, mean: &[f32], noise: f32) -> Vec<f32> {
    let scale = -0.5 / (noise * RANGE).powi(2);
    (0..mean.len())
        .into_par_iter()
        .flat_map_iter(|r| {
            let entries = adjacency.of(r);
            let faces: u32 = entries.iter().map(|(_, faces)| faces).sum();
            entries.iter().map(move |(other, n)| {
                let difference = mean[*other as usize] - mean[r];
                *n as f32 / faces as f32 * (scale * difference * difference).exp()
            })
        })
        .collect()
}

/// What a forest says of every region: `n_classes` values each, which sum to 1.
pub(super) struct Votes<'a> {
    pub(super) values: &'a [f32],
    pub(super) n_classes: usize,
}

impl Votes<'_> {
    /// Weight of every class: its share of the voxels, by the votes, to the power of `strength`.
    pub(super) fn weights(&self, places: &[Place], strength: f32) -> Vec<f32> {
        let k = self.n_classes;
        // Sums of blocks, added in order: the same bits for any number of threads.
        let sums: Vec<Vec<f64>> = self
            .values
            .par_chunks(BLOCK * k)
            .zip(places.par_chunks(BLOCK))
            .map(|(votes, places)| {
                let mut sums = vec![0.0; k];
                for (votes, place) in votes.chunks_exact(k).zip(places) {
                    for (sum, vote) in sums.iter_mut().zip(votes) {
                        *sum += f64::from(place.n_voxels) * f64::from(*vote);
                    }
                }
                sums
            })
            .collect();
        let total = |class: usize| sums.iter().map(|s| s[class]).sum::<f64>();
        let all: f64 = (0..k).map(total).sum::<f64>().max(f64::MIN_POSITIVE);
        (0..k).map(|class| (total(class) / all).max(LEAST_SHARE).powf(f64::from(strength)) as f32).collect()
    }

    /// Regions that are not sure, or have a neighbour that is not sure of the same class, in order: the others need
    /// not be asked again.
    pub(super) fn open(&self, adjacency: &Adjacency) -> Vec<u32> {
        let sure: Vec<Option<usize>> = self
            .values
            .par_chunks(self.n_classes)
            .map(|votes| votes.iter().position(|vote| *vote >= SURE))
            .collect();
        (0..sure.len() as u32)
            .into_par_iter()
            .filter(|r| {
                let own = sure[*r as usize];
                own.is_none()
                    || adjacency.of(*r as usize).iter().any(|(other, _)| sure[*other as usize] != own)
            })
            .collect()
    }

    /// Probabilities in which the regions `open` agree with their neighbours; those of all others are the votes.
    /// `affinity` has one weight per entry of the adjacency.
    pub(super) fn agree(
        &self,
        progress: &Progress,
        adjacency: &Adjacency,
        affinity: &[f32],
        open: &[u32],
        smoothness: f32,
    ) -> Result<Vec<f32>, Cancelled> {
        let k = self.n_classes;
        if smoothness <= 0.0 {
            return Ok(self.values.to_vec());
        }
        let width = width(k);
        let mut now = padded(self.values, k);
        let mut own = vec![[FAR; LANES]; open.len() * width];
        own.par_chunks_mut(width * BLOCK).zip(open.par_chunks(BLOCK)).for_each(|(own, open)| {
            for (own, region) in own.chunks_exact_mut(width).zip(open) {
                let values = &self.values[*region as usize * k..][..k];
                own.as_flattened_mut().iter_mut().zip(values).for_each(|(own, p)| *own = quick_ln(p + 1e-3));
            }
        });
        let mut next = now.clone();
        for _ in 0..ROUNDS {
            next.par_chunks_mut(width * BLOCK).enumerate().try_for_each(|(block, next)| {
                progress.check()?;
                let first = block * BLOCK;
                let from = open.partition_point(|r| (*r as usize) < first);
                let to = open.partition_point(|r| (*r as usize) < first + BLOCK);
                let field = Field { adjacency, affinity, smoothness, now: &now };
                let own = &own[from * width..to * width];
                pulp::Arch::new().dispatch(|| match width {
                    // Most volumes have no more classes than lanes: there the compiler knows the width.
                    1 => field.hear(1, &open[from..to], own, first, next),
                    _ => field.hear(width, &open[from..to], own, first, next),
                });
                Ok::<_, Cancelled>(())
            })?;
            std::mem::swap(&mut now, &mut next);
        }
        Ok(unpadded(now, k))
    }
}

/// The energy of a class that does not exist.
const FAR: f32 = -1e30;

/// What neighbours say in one round.
struct Field<'a> {
    adjacency: &'a Adjacency,
    affinity: &'a [f32],
    smoothness: f32,
    now: &'a [Lanes],
}

impl Field<'_> {
    /// Lets some regions hear their neighbours once; `next` begins with the row of region `first`.
    #[inline(always)]
    fn hear(&self, w: usize, regions: &[u32], own: &[Lanes], first: usize, next: &mut [Lanes]) {
        for (region, own) in regions.iter().zip(own.chunks_exact(w)) {
            let r = *region as usize;
            let row = &mut next[(r - first) * w..][..w];
            let weights = &self.affinity[self.adjacency.entries_of(r)];
            for (group, (row, own)) in row.iter_mut().zip(own).enumerate() {
                let mut energy = *own;
                for ((other, _), weight) in self.adjacency.of(r).iter().zip(weights) {
                    energy =
                        add_scaled(&energy, &self.now[*other as usize * w + group], self.smoothness * weight);
                }
                *row = energy;
            }
            quick_softmax(row);
        }
    }
}

/// From energies to probabilities.
#[inline(always)]
fn quick_softmax(row: &mut [Lanes]) {
    let top = row.as_flattened().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0f32; LANES];
    for lanes in row.iter_mut() {
        for (energy, sum) in lanes.iter_mut().zip(&mut sums) {
            *energy = if *energy > 0.5 * FAR { quick_exp(*energy - top) } else { 0.0 };
            *sum += *energy;
        }
    }
    let inverse = 1.0 / sums.iter().sum::<f32>();
    for p in row.as_flattened_mut() {
        *p *= inverse;
    }
}

/// What one region says after its neighbours have been heard once.
pub(super) fn heard(
    row: &mut [f32],
    neighbours: &[(u32, u32)],
    weights: &[f32],
    now: &[f32],
    smoothness: f32,
) {
    let k = row.len();
    row.iter_mut().for_each(|p| *p = (*p + 1e-3).ln());
    for ((other, _), weight) in neighbours.iter().zip(weights) {
        for (energy, p) in row.iter_mut().zip(&now[*other as usize * k..]) {
            *energy += smoothness * weight * p;
        }
    }
    softmax(row);
}

/// Multiplies every row by the weights of the classes and makes it sum to 1 again.
pub(super) fn weigh(rows: &mut [f32], weights: &[f32]) {
    rows.par_chunks_mut(weights.len() * BLOCK).for_each(|rows| {
        for row in rows.chunks_exact_mut(weights.len()) {
            let mut sum = 0.0;
            for (p, weight) in row.iter_mut().zip(weights) {
                *p *= weight;
                sum += *p;
            }
            let inverse = 1.0 / sum;
            row.iter_mut().for_each(|p| *p *= inverse);
        }
    });
}

fn softmax(row: &mut [f32]) {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - top).exp();
        sum += *value;
    }
    row.iter_mut().for_each(|p| *p /= sum);
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::segment::Regions;

    /// Cubes of 2 voxels in a row of eight; all votes 0.8 for class 0 but those of region 3.
    fn row_of_regions(odd: [f32; 2]) -> (Adjacency, Vec<Place>, Vec<f32>) {
        let labels = Array3::from_shape_fn((2, 2, 16), |(_, _, x)| x as u32 / 2);
        let progress = Progress::new();
        let regions = Regions::from_labels(&progress, labels, None, 1).unwrap();
        let votes = (0..8).flat_map(|r| if r == 3 { odd } else { [0.8, 0.2] }).collect();
        (regions.adjacency(&progress).unwrap(), regions.places(&progress).unwrap(), votes)
    }

    const ALL: [u32; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

    #[test]
    fn what_is_sure_with_all_its_neighbours_is_closed() {
        let (adjacency, _, mut values) = row_of_regions([0.5, 0.5]);
        values.chunks_mut(2).filter(|v| v[0] > 0.6).for_each(|v| v.copy_from_slice(&[1.0, 0.0]));
        assert_eq!(Votes { values: &values, n_classes: 2 }.open(&adjacency), vec![2, 3, 4]);
        values[6..8].copy_from_slice(&[0.0, 1.0]);
        assert_eq!(Votes { values: &values, n_classes: 2 }.open(&adjacency), vec![2, 3, 4]);
    }

    #[test]
    fn a_lonely_doubtful_region_joins_its_neighbours_unless_its_value_differs() {
        let (adjacency, _, values) = row_of_regions([0.4, 0.6]);
        let votes = Votes { values: &values, n_classes: 2 };
        let agreed = |mean: &[f32]| {
            let affinity = affinity(&adjacency, mean, 0.01);
            votes.agree(&Progress::new(), &adjacency, &affinity, &ALL, 4.0).unwrap()[6]
        };
        assert!(agreed(&[0.25; 8]) > 0.9, "{}", agreed(&[0.25; 8]));
        let mut mean = [0.25; 8];
        mean[3] = 0.6;
        assert!((agreed(&mean) - 0.4).abs() < 0.01, "{}", agreed(&mean));
    }

    #[test]
    fn rows_stay_probabilities_and_no_smoothness_changes_nothing() {
        let (adjacency, _, values) = row_of_regions([0.0, 1.0]);
        let votes = Votes { values: &values, n_classes: 2 };
        let affinity = affinity(&adjacency, &[0.1; 8], 1.0);
        let progress = Progress::new();
        let agreed = votes.agree(&progress, &adjacency, &affinity, &ALL, 2.0).unwrap();
        assert!(agreed.chunks(2).all(|p| (p[0] + p[1] - 1.0).abs() < 1e-6 && p[0] >= 0.0));
        assert_eq!(votes.agree(&progress, &adjacency, &affinity, &ALL, 0.0).unwrap(), values);
        progress.cancel();
        assert_eq!(votes.agree(&progress, &adjacency, &affinity, &ALL, 2.0), Err(Cancelled));
    }

    #[test]
    fn a_known_absorption_turns_what_is_alike_and_says_nothing_without_priors() {
        let prior = |class, mean_per_um| LacPrior { class, mean_per_um, sd_per_um: 0.03 };
        let mut params =
            DecisionParams { lac_priors: vec![prior(4, 0.23), prior(9, 0.35)], ..Default::default() };
        let turned = |params: &DecisionParams, mean| {
            let mut row = [0.3, 0.3, 0.4];
            params.apply_priors(&mut row, &[4, 9, 12], mean);
            row
        };
        let [light, dark, other] = turned(&params, 0.24);
        assert!(light > 0.5 && dark < 0.01 && other < light, "{light} {dark} {other}");
        assert!((light + dark + other - 1.0).abs() < 1e-6);
        assert!(turned(&params, 0.35)[1] > 0.5);
        // Far from both, the class without a prior is left.
        assert!(turned(&params, 0.9)[2] > 0.99);
        params.lac_weight = 0.0;
        assert_eq!(turned(&params, 0.24), [0.3, 0.3, 0.4]);
    }

    #[test]
    fn a_rare_class_needs_more_votes() {
        let (_, places, mut values) = row_of_regions([0.45, 0.55]);
        let votes = Votes { values: &values, n_classes: 2 };
        assert_eq!(votes.weights(&places, 0.0), vec![1.0, 1.0]);
        let weights = votes.weights(&places, 0.5);
        // Shares: (7 · 0.8 + 0.45) / 8 and (7 · 0.2 + 0.55) / 8.
        assert!(
            (weights[0] - 0.756_25f32.sqrt()).abs() < 1e-6 && (weights[1] - 0.243_75f32.sqrt()).abs() < 1e-6
        );
        weigh(&mut values, &weights);
        assert!(values[6] > 0.5 && (values[6] + values[7] - 1.0).abs() < 1e-6, "{:?}", &values[6..8]);
    }

    #[test]
    fn priors_are_read_from_text_and_what_is_wrong_is_named() {
        let priors = LacPrior::list("1:0.1:0.02, 3 : 0.35:0.05,").unwrap();
        assert_eq!(priors[1], LacPrior { class: 3, mean_per_um: 0.35, sd_per_um: 0.05 });
        assert_eq!(priors.len(), 2);
        for wrong in ["1:0.1", "0:0.1:0.1", "2:x:0.1", "2:0.1:0", "1.5:0.1:0.1", "2:0.1:NaN"] {
            let error = LacPrior::list(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
