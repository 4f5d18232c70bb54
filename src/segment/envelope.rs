//! The envelope of a cell or nucleus: a surface that moves voxel by voxel to where the values part.
//!
//! Region competition (Zhu and Yuille 1996, doi:10.1109/34.537343) on a narrow band: a voxel on the surface changes
//! sides where that lowers `Σ (value − mean of its side)² / 2 σ² + smoothing · Σ w (pairs on different sides)`,
//! the energy of Chan and Vese (2001, doi:10.1109/83.902291) with the means of the surroundings (Lankton and
//! Tannenbaum 2008, doi:10.1109/TIP.2008.2004611), a Gaussian of four voxels: a thin process is judged by its
//! own height, and the surface lies half way up. Pairs count less where there is an edge, so that the surface comes
//! to rest on it. There is no curvature flow: a filopodium or lamellipodium of three voxels keeps its voxels because
//! their values say so, while a speck of noise has neither values nor neighbours. Means are taken anew while the
//! surface moves. A seed that has to grow first goes by the histograms of both sides.
//!
//! Edges are the gradient magnitude, or, where membranes were painted, the likelihood of being one, from
//! how gradient (at two scales) and ridge look on the painted voxels and elsewhere; a forest says it where also
//! what is no membrane was painted (see [`super::membranes`]). Start from labels,
//! or from what [`super::envelope_start`] finds. What is enclosed is inside; what does not hang together with the start is left out.
//! One thread moves the surface, in scan order: the result depends on nothing but the input.
//! Memory: 24 bytes a voxel.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::clean::{CleanOperation, CleanParams, clean};
use super::envelope_start::{FoundStart, Wish, find_start};
use super::membranes::map_learnt;
use super::watershed::gradient;
use super::{SegmentError, check_inputs, spread};
use crate::base::{Cancelled, Progress};
use crate::kernels::components::{Connectivity, components};
use crate::kernels::distance::distance_to;
use crate::kernels::smooth::{gaussian, halve};
use crate::volume::Volume;

/// Parameters of [`envelope`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvelopeParams {
    /// How much an even surface counts against the values, 0 to 20.
    pub smoothing: f64,
    /// How much less the surface costs on edges, 0 to 20.
    pub edges: f64,
    /// Standard deviation of the Gaussian that the values are smoothed with first, 0 to 20 voxels.
    pub scale: f64,
    /// Whether the start is a seed well inside that has to grow, and not a rough outline.
    pub seed: bool,
    /// How far the surface may move from the start, 1 to 10 000 voxels; anywhere where not given.
    pub reach: Option<f64>,
    /// Class of the start that is moved, 1 to 65 535; all that is labelled where not given. The caller picks it.
    pub class: Option<u16>,
    /// Threshold of the start where none is drawn, in the unit of the values; found where not given.
    pub above: Option<f64>,
    /// A voxel of the object to start with where none is drawn, "z,y,x"; the largest object where not given.
    pub at: Option<String>,
    /// Most rounds of moves, 1 to 100 000.
    pub rounds: u32,
}

impl EnvelopeParams {
    /// The voxel of `at` as z, y, x.
    fn at_zyx(&self) -> Result<Option<[usize; 3]>, SegmentError> {
        let Some(text) = &self.at else { return Ok(None) };
        let numbers: Option<Vec<usize>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some([z, y, x]) => Ok(Some([*z, *y, *x])),
            _ => Err(SegmentError::AtText { text: text.clone() }),
        }
    }
}

impl Default for EnvelopeParams {
    fn default() -> Self {
        Self {
            smoothing: 1.0,
            edges: 1.0,
            scale: 0.7,
            seed: false,
            reach: None,
            class: None,
            above: None,
            at: None,
            rounds: 2000,
        }
    }
}

/// What [`envelope`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// 1 inside, 0 outside.
    pub labels: Array3<u16>,
    /// Voxels inside.
    pub voxels: u64,
    /// Rounds that were made.
    pub rounds: u32,
    /// Whether the surface came to rest.
    pub at_rest: bool,
    /// What it began with, where no start was given.
    pub start: Option<FoundStart>,
}

/// Bins of the values.
const BINS: usize = 256;
/// Largest log likelihood ratio: no voxel is surer than that.
const SURE: f32 = 5.0;
/// Rounds between two looks at the means.
const RELEARN: u32 = 8;
/// Standard deviation of the surroundings, in voxels of half the size.
const AROUND: f32 = 2.0;
/// Thickness in voxels of the membranes that are learnt from two classes.
const THICKNESS: f32 = 3.0;
/// How much the means of all count in those of the surroundings.
const PRIOR: f32 = 0.02;

/// Moves the surface of `start` (not 0 is inside; found by value where not given) within `mask`.
///
/// `membranes` are painted voxels (not 0) of the membrane that is looked for; where several classes are painted, the
/// lowest is membrane and the others are not.
///
/// # Errors
/// Values that are no numbers, arrays of another shape, a start that is empty or fills everything; cancel.
pub fn envelope(
    progress: &Progress,
    volume: &Volume<f32>,
    start: Option<ArrayView3<'_, u16>>,
    membranes: Option<ArrayView3<'_, u16>>,
    mask: Option<ArrayView3<'_, bool>>,
    params: &EnvelopeParams,
) -> Result<Envelope, SegmentError> {
    let inside_mask = check_inputs(progress, volume, mask)?;
    let shape = volume.shape();
    for (array, what) in [(&start, "the start"), (&membranes, "the map of membranes")] {
        if let Some((z, y, x)) = array.as_ref().map(ArrayView3::dim).filter(|(z, y, x)| [*z, *y, *x] != shape)
        {
            return Err(SegmentError::ShapeMismatch { what, expected: shape, found: [z, y, x] });
        }
    }
    progress.phase("Surface", u64::from(params.rounds));
    let mut may_move: Vec<bool> =
        inside_mask.as_deref().map_or_else(|| vec![true; volume.n_voxels()], <[bool]>::to_vec);
    let mut clean_values = volume.data.clone();
    // Values outside the mask may be no numbers, and must not spread.
    clean_values
        .iter_mut()
        .zip(&may_move)
        .filter(|(v, m)| !**m && !v.is_finite())
        .for_each(|(v, _)| *v = 0.0);
    let smooth = gaussian(progress, clean_values.view(), [params.scale as f32; 3])?;
    drop(clean_values);
    let (state, found): (Vec<bool>, _) = match &start {
        Some(start) => (start.iter().zip(&may_move).map(|(id, m)| *id != 0 && *m).collect(), None),
        None => {
            let wish = Wish { above: params.above, at: params.at_zyx()? };
            let (state, found) = find_start(progress, &smooth, &may_move, wish)?;
            (state, Some(found))
        }
    };
    if !state.contains(&true) || state.iter().zip(&may_move).all(|(s, m)| *s == *m) {
        return Err(SegmentError::Start { all: state.contains(&true) });
    }
    let started = state.clone();
    if let Some(reach) = params.reach {
        limit_reach(progress, shape, &state, reach as f32, &mut may_move)?;
    }
    let costs = match &membranes {
        Some(painted) if has_two_classes(painted) => {
            let learnt = map_learnt(progress, volume, inside_mask.as_deref(), painted, THICKNESS)?;
            learnt.into_par_iter().map(|likely| edge_cost(likely, params)).collect()
        }
        _ => edge_costs(progress, &smooth, membranes.as_ref(), &may_move, params)?,
    };
    let mut front = Front {
        shape,
        state,
        may_move,
        bins: value_bins(&smooth, inside_mask.as_deref()),
        costs,
        smoothing: params.smoothing as f32,
        noise: noise_of(&smooth),
        surroundings: Surroundings::new(progress, &smooth, inside_mask.as_deref())?,
        values: smooth,
        knowledge: Knowledge::Histograms([0.0; BINS]),
    };
    let (rounds, at_rest) = front.run(progress, params)?;
    let done = finished(progress, front.state, &started, shape, (rounds, at_rest))?;
    Ok(Envelope { start: found, ..done })
}

/// Joined to the start, holes filled, counted.
fn finished(
    progress: &Progress,
    state: Vec<bool>,
    started: &[bool],
    shape: [usize; 3],
    (rounds, at_rest): (u32, bool),
) -> Result<Envelope, SegmentError> {
    let dim = (shape[0], shape[1], shape[2]);
    let array = Array3::from_shape_vec(dim, state).unwrap_or_else(|_| Array3::from_elem(dim, false));
    let parts = components(progress, &array.view(), Connectivity::Corners)?;
    let mut holds_start = vec![false; parts.len() + 1];
    parts.map.iter().zip(started).filter(|(_, s)| **s).for_each(|(id, _)| holds_start[*id as usize] = true);
    let joined = parts.map.mapv(|id| u16::from(id != 0 && holds_start[id as usize]));
    let fill = CleanParams { operation: CleanOperation::FillHoles, ..CleanParams::default() };
    let labels = clean(progress, &joined.view(), None, &fill)?.labels;
    let voxels = labels.iter().filter(|id| **id != 0).count() as u64;
    Ok(Envelope { labels, voxels, rounds, at_rest, start: None })
}

/// Values between which nearly all lie.
pub(super) fn bounds(values: &[f32]) -> [f32; 2] {
    let stride = (values.len() / (1 << 18)).max(1) | 1;
    let mut sample: Vec<f32> = values.iter().step_by(stride).copied().collect();
    sample.sort_unstable_by(f32::total_cmp);
    let at = |q: f64| {
        sample.get(((q * sample.len() as f64) as usize).min(sample.len().max(1) - 1)).copied().unwrap_or(0.0)
    };
    let (low, high) = (at(0.001), at(0.999));
    if high > low { [low, high] } else { [low - 0.5, low + 0.5] }
}

fn bin_of(value: f32, [low, high]: [f32; 2]) -> u8 {
    // A cast from a float stops at the bounds of the type.
    ((value - low) / (high - low) * BINS as f32) as u8
}

fn value_bins(smooth: &Array3<f32>, inside: Option<&[bool]>) -> Vec<u8> {
    let values = smooth.as_slice().unwrap_or(&[]);
    let own: Vec<f32> = match inside {
        Some(mask) => values.iter().zip(mask).filter(|(_, m)| **m).map(|(v, _)| *v).collect(),
        None => values.to_vec(),
    };
    let range = bounds(&own);
    values.par_iter().map(|v| bin_of(*v, range)).collect()
}

/// Only voxels within `reach` of the surface may change sides.
fn limit_reach(
    progress: &Progress,
    shape: [usize; 3],
    state: &[bool],
    reach: f32,
    may_move: &mut [bool],
) -> Result<(), SegmentError> {
    let Ok(array) = ArrayView3::from_shape(shape, state) else { return Err(SegmentError::EmptyMask) };
    for side in [true, false] {
        let distance = distance_to(progress, &array, |s| s == side, [1.0; 3])?;
        may_move.iter_mut().zip(&distance).filter(|(_, d)| **d > reach).for_each(|(m, _)| *m = false);
    }
    Ok(())
}

/// What a pair of voxels on different sides costs, 0 to 1: little on edges.
fn edge_costs(
    progress: &Progress,
    smooth: &Array3<f32>,
    membranes: Option<&ArrayView3<'_, u16>>,
    may_move: &[bool],
    params: &EnvelopeParams,
) -> Result<Vec<f32>, SegmentError> {
    let strength = params.edges as f32;
    let slope = gradient(progress, smooth, [1.0; 3])?;
    let Some(membranes) = membranes else {
        let typical = 2.0 * spread(&slope, Some(may_move));
        let cost = |g: &f32| 1.0 / (1.0 + strength * (g / typical).powi(2));
        return Ok(slope.par_iter().map(cost).collect());
    };
    let painted: Vec<bool> = membranes.iter().map(|id| *id != 0).collect();
    let coarse = gaussian(progress, smooth.view(), [2.0; 3])?;
    let coarse_slope = gradient(progress, &coarse, [1.0; 3])?;
    let ridge: Vec<f32> = smooth.iter().zip(&coarse).map(|(a, b)| a - b).collect();
    drop(coarse);
    let mut evidence = vec![-1.0f32; slope.len()];
    for feature in [&slope, &coarse_slope, &ridge] {
        let range = bounds(feature);
        let mut counts = [[0.5f32; BINS]; 2];
        for ((v, p), m) in feature.iter().zip(&painted).zip(may_move) {
            if *p || *m {
                counts[usize::from(*p)][usize::from(bin_of(*v, range))] += 1.0;
            }
        }
        let [rest, own] = counts.map(|c| blurred(&c, 6));
        let ratios: Vec<f32> = own.iter().zip(&rest).map(|(a, b)| (a / b).ln().clamp(-2.0, 2.0)).collect();
        evidence
            .par_iter_mut()
            .zip(feature.par_iter())
            .for_each(|(sum, v)| *sum += ratios[usize::from(bin_of(*v, range))]);
    }
    let likely = |e: &f32| 1.0 / (1.0 + (-e).exp());
    Ok(evidence.par_iter().map(|e| edge_cost(likely(e), params)).collect())
}

/// What a pair costs where a membrane is so likely.
fn edge_cost(likely: f32, params: &EnvelopeParams) -> f32 {
    1.0 / (1.0 + 4.0 * params.edges as f32 * likely)
}

/// Whether something else than membranes was painted too.
fn has_two_classes(painted: &ArrayView3<'_, u16>) -> bool {
    let mut ids = painted.iter().filter(|id| **id != 0);
    let first = ids.next();
    ids.any(|id| Some(id) != first)
}

/// Shares of the counts, averaged over neighbouring bins.
fn blurred(counts: &[f32; BINS], reach: usize) -> [f32; BINS] {
    let total: f32 = counts.iter().sum();
    std::array::from_fn(|i| {
        let part = &counts[i.saturating_sub(reach)..(i + reach + 1).min(BINS)];
        part.iter().sum::<f32>() / (part.len() as f32 * total)
    })
}

/// The moving surface.
struct Front {
    shape: [usize; 3],
    state: Vec<bool>,
    may_move: Vec<bool>,
    bins: Vec<u8>,
    costs: Vec<f32>,
    smoothing: f32,
    /// Standard deviation of the noise of the values.
    noise: f32,
    surroundings: Surroundings,
    values: Array3<f32>,
    knowledge: Knowledge,
}

/// What is known of the values on both sides.
enum Knowledge {
    /// Log likelihood of each bin inside over that outside.
    Histograms([f32; BINS]),
    /// Weight and sum of the values of the inside in the surroundings of each voxel of half the size; means of all.
    Means { weight: Array3<f32>, sum: Array3<f32>, all: [f32; 2] },
}

/// Weight and sum of all values around each voxel, on a grid of half the size.
struct Surroundings {
    weight: Array3<f32>,
    sum: Array3<f32>,
}

/// The Gaussian mean of an array on a grid of half the size.
fn around_mean(progress: &Progress, array: &Array3<f32>) -> Result<Array3<f32>, Cancelled> {
    gaussian(progress, halve(progress, array.view())?.view(), [AROUND; 3])
}

impl Surroundings {
    fn new(progress: &Progress, values: &Array3<f32>, inside: Option<&[bool]>) -> Result<Self, Cancelled> {
        let Some(mask) = inside else {
            let sum = around_mean(progress, values)?;
            return Ok(Self { weight: Array3::ones(sum.dim()), sum });
        };
        let mut weight = Array3::<f32>::zeros(values.dim());
        weight.iter_mut().zip(mask).filter(|(_, m)| **m).for_each(|(w, _)| *w = 1.0);
        let sum = around_mean(progress, &(values * &weight))?;
        Ok(Self { weight: around_mean(progress, &weight)?, sum })
    }
}

/// Standard deviation of the noise, from neighbours two voxels apart.
fn noise_of(values: &Array3<f32>) -> f32 {
    let values = values.as_slice().unwrap_or(&[]);
    let stride = (values.len() / (1 << 18)).max(1) | 1;
    let mut steps: Vec<f32> =
        (2..values.len()).step_by(stride).map(|i| (values[i] - values[i - 2]).abs()).collect();
    steps.sort_unstable_by(f32::total_cmp);
    // The median of a half normal distribution; two values make the difference.
    steps.get(steps.len() / 2).map_or(0.0, |median| median / (0.6745 * std::f32::consts::SQRT_2))
}

impl Front {
    /// Moves until nothing changes; gives the rounds and whether it came to rest.
    fn run(&mut self, progress: &Progress, params: &EnvelopeParams) -> Result<(u32, bool), SegmentError> {
        let n = self.state.len();
        let mut stamps = vec![0u32; n];
        let mut rounds = 0;
        let mut grows = params.seed;
        loop {
            if grows {
                self.learn_histograms();
            } else {
                self.learn_means(progress)?;
            }
            let mut open: Vec<u32> = (0..n).filter(|i| self.is_border(*i)).map(|i| i as u32).collect();
            let mut changed = 0usize;
            for _ in 0..RELEARN {
                progress.check()?;
                rounds += 1;
                progress.advance(1);
                let mut next = Vec::new();
                for (count, i) in open.iter().map(|i| *i as usize).enumerate() {
                    if count.is_multiple_of(1 << 14) {
                        progress.check()?;
                    }
                    if self.may_move[i] && self.is_border(i) && self.wants_change(i) {
                        self.state[i] = !self.state[i];
                        changed += 1;
                        around(i, self.shape, |j, _| {
                            if stamps[j] != rounds {
                                stamps[j] = rounds;
                                next.push(j as u32);
                            }
                        });
                    }
                }
                next.sort_unstable();
                open = next;
                if open.is_empty() || rounds >= params.rounds {
                    break;
                }
            }
            let at_rest = changed == 0;
            // A seed that has grown up: from here on both sides are what they are.
            if at_rest && grows {
                grows = false;
                continue;
            }
            if at_rest || rounds >= params.rounds {
                return Ok((rounds, at_rest));
            }
        }
    }

    /// Takes the means of both sides anew.
    fn learn_means(&mut self, progress: &Progress) -> Result<(), Cancelled> {
        let dim = self.values.dim();
        let state = self.state.iter().map(|s| f32::from(u8::from(*s))).collect();
        let state = Array3::from_shape_vec(dim, state).unwrap_or_else(|_| Array3::zeros(dim));
        let mut sums = [[0.0f64; 2]; 2];
        for ((v, inside), m) in self.values.iter().zip(&self.state).zip(&self.may_move) {
            if *m {
                let side = &mut sums[usize::from(*inside)];
                side[0] += 1.0;
                side[1] += f64::from(*v);
            }
        }
        let all = sums.map(|[n, sum]| (sum / n.max(1.0)) as f32);
        let sum = around_mean(progress, &(&self.values * &state))?;
        let weight = around_mean(progress, &state)?;
        self.knowledge = Knowledge::Means { weight, sum, all };
        Ok(())
    }

    /// Takes the histograms of both sides anew; what the values of the seed explain of the other side does not count
    /// as outside.
    fn learn_histograms(&mut self) {
        let mut counts = [[0.5f32; BINS]; 2];
        for ((bin, inside), m) in self.bins.iter().zip(&self.state).zip(&self.may_move) {
            if *m {
                counts[usize::from(*inside)][usize::from(*bin)] += 1.0;
            }
        }
        let totals = counts.map(|c| c.iter().sum::<f32>());
        let [mut outside, inside] = counts.map(|c| blurred(&c, 3));
        // The share of the outside that looks like the inside: the ratio that three quarters of it exceed.
        let mut ratios: Vec<(f32, f32)> =
            outside.iter().zip(&inside).filter(|(_, i)| **i > 0.0).map(|(o, i)| (o / i, *i)).collect();
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f32 = ratios.iter().map(|(_, w)| w).sum();
        let mut sum = 0.0;
        let explained = ratios.iter().find(|(_, w)| {
            sum += w;
            sum > 0.25 * total
        });
        let explained = explained.map_or(0.0, |(ratio, _)| *ratio);
        outside.iter_mut().zip(&inside).for_each(|(o, i)| *o = (*o - explained * i).max(0.02 * *o));
        let rest: f32 = outside.iter().sum();
        outside.iter_mut().for_each(|o| *o /= rest.max(1e-12));
        // No bin is surer than its counts allow.
        let least = totals.map(|n| 1.0 / n);
        self.knowledge = Knowledge::Histograms(std::array::from_fn(|b| {
            ((inside[b] + least[1]) / (outside[b] + least[0])).ln().clamp(-SURE, SURE)
        }));
    }

    /// How much more the value speaks for inside than for outside.
    fn evidence(&self, i: usize) -> f32 {
        let (weight, sum, all) = match &self.knowledge {
            Knowledge::Histograms(ratios) => return ratios[usize::from(self.bins[i])],
            Knowledge::Means { weight, sum, all } => (weight, sum, all),
        };
        let [_, ny, nx] = self.shape;
        let at = [i / (ny * nx) / 2, i / nx % ny / 2, i % nx / 2];
        let (w, s) = (weight[at], sum[at]);
        let (w_all, s_all) = (self.surroundings.weight[at], self.surroundings.sum[at]);
        let mean = |w: f32, s: f32, all: f32| (s + PRIOR * all) / (w.max(0.0) + PRIOR);
        let (inside, outside) = (mean(w, s, all[1]), mean(w_all - w, s_all - s, all[0]));
        let step = inside - outside;
        let sd = self.noise.max(0.25 * step.abs()).max(1e-9);
        let value = self.values.as_slice().map_or(0.0, |v| v[i]);
        (step * (value - 0.5 * (inside + outside)) / (sd * sd)).clamp(-SURE, SURE)
    }

    fn is_border(&self, i: usize) -> bool {
        let mut is_border = false;
        around(i, self.shape, |j, faces| is_border |= faces && self.state[j] != self.state[i]);
        is_border
    }

    /// Whether the voxel is better off on the other side.
    fn wants_change(&self, i: usize) -> bool {
        let (mut pull, mut all) = (0.0f32, 0.0f32);
        let cost = self.costs[i];
        around(i, self.shape, |j, faces| {
            let weight = if faces { 1.0 } else { 0.6 };
            all += weight;
            let pair = weight * cost.min(self.costs[j]);
            pull += if self.state[j] { pair } else { -pair };
        });
        let inside = self.evidence(i) + self.smoothing * 2.0 * pull / all.max(1.0);
        if self.state[i] { inside < 0.0 } else { inside > 0.0 }
    }
}

/// The 26 neighbours of a voxel within the volume, and whether each shares a face.
#[inline]
fn around(i: usize, [nz, ny, nx]: [usize; 3], mut visit: impl FnMut(usize, bool)) {
    let (z, y, x) = (i / (ny * nx), i / nx % ny, i % nx);
    let range = |at: usize, n: usize| at.saturating_sub(1)..(at + 2).min(n);
    for zz in range(z, nz) {
        for yy in range(y, ny) {
            for xx in range(x, nx) {
                let steps = zz.abs_diff(z) + yy.abs_diff(y) + xx.abs_diff(x);
                if steps > 0 {
                    visit((zz * ny + yy) * nx + xx, steps == 1);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
