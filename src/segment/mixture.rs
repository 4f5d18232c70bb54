//! Classes of values from a histogram: Otsu's thresholds and mixtures of Gaussians, with errors.
//!
//! Pure functions over [`Histogram`], so that a panel can draw what a command computes.
//!
//! - [`otsu`]: the thresholds that leave the least variance within the classes, exact for any number
//!   of classes by dynamic programming over the bins (Otsu 1979, doi:10.1109/TSMC.1979.4310076).
//! - [`fit_mixture`]: Gaussians by expectation maximisation (Dempster and others 1977). With
//!   `partial_volume` a voxel may also lie across the border of two neighbouring classes: between two
//!   Gaussians stands the density of all mixing ratios, each equally likely (Santago and Gage 1993,
//!   IEEE Transactions on Medical Imaging 12). Where the point spread function is a few voxels wide this is what keeps the
//!   fractions of fine structures, such as chromatin, unbiased.
//!
//! The starts are fixed, so the same histogram gives the same bits. Errors of one histogram come from
//! the information matrix and hold for independent voxels; errors of groups of blocks
//! ([`fit_groups`]) from leaving out one group in turn, which neighbours that vary together cannot fool.
//! Cost: bins × components × rounds, some milliseconds.

use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress};
use crate::volume::Histogram;

/// Mixing ratios at which the density of mixed voxels is summed.
const MIXING_STEPS: usize = 16;

/// A number and its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The best value.
    pub value: f64,
    /// Its standard error; `None` where the data do not determine it.
    pub error: Option<f64>,
}

/// What is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixtureParams {
    /// Gaussians, 1 to 8.
    pub components: u32,
    /// Also voxels across the border of two classes.
    pub partial_volume: bool,
    /// Most rounds of expectation maximisation, 1 to 100 000.
    pub rounds: u32,
}

impl Default for MixtureParams {
    fn default() -> Self {
        Self { components: 2, partial_volume: false, rounds: 2000 }
    }
}

/// One Gaussian of a mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixtureComponent {
    /// Share of the voxels that are wholly of this class, 0 to 1.
    pub weight: Estimate,
    /// Share of the space of this class, 0 to 1: the weight and its part of the mixed voxels.
    pub fraction: Estimate,
    /// Mean value.
    pub mean: Estimate,
    /// Standard deviation of the values.
    pub sd: Estimate,
}

/// A fitted mixture, components by ascending mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// The Gaussians.
    pub components: Vec<MixtureComponent>,
    /// Share of voxels mixed of components `k` and `k + 1`; empty without partial volume.
    pub mixed: Vec<f64>,
    /// Value from which component `k + 1` is more likely than `k`.
    pub thresholds: Vec<Estimate>,
    /// Values that were fitted.
    pub n: u64,
    /// Bayesian information criterion: the lower of two models of one histogram is to be preferred.
    pub bic: f64,
}

/// Why there is no mixture or threshold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum MixtureError {
    #[error("{classes} classes need at least that many different values, there are {found}")]
    TooFewValues { classes: usize, found: usize },
    #[error("{found} classes are asked for, it must be 1 to 8")]
    Classes { found: usize },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Otsu's classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Otsu {
    /// Thresholds by ascending value: class `k` ends below threshold `k`.
    pub thresholds: Vec<f64>,
    /// Share, mean and standard deviation of each class.
    pub classes: Vec<[f64; 3]>,
    /// Variance between the classes over the whole variance, 0 to 1: how well the classes part.
    pub separability: f64,
}

/// The thresholds that part a histogram into `n_classes` with the least variance within.
///
/// Exact; `n_classes · bins²` steps.
///
/// # Errors
/// [`MixtureError`] where there are fewer different values than classes.
pub fn otsu(histogram: &Histogram, n_classes: usize) -> Result<Otsu, MixtureError> {
    let bins = Bins::new(histogram, n_classes)?;
    let n = bins.values.len();
    // Sums of weight, weight · x and weight · x² before each bin.
    let mut sums = vec![[0.0; 3]; n + 1];
    for i in 0..n {
        let (w, x) = (bins.weights[i], bins.values[i]);
        sums[i + 1] = [sums[i][0] + w, sums[i][1] + w * x, sums[i][2] + w * x * x];
    }
    let part = |a: usize, b: usize| -> [f64; 3] { std::array::from_fn(|k| sums[b][k] - sums[a][k]) };
    let gain = |a: usize, b: usize| {
        let [w, wx, _] = part(a, b);
        wx * wx / w
    };
    // best[k][b]: the largest sum of squared means over the first b bins in k + 1 classes, and where the last begins.
    let mut best = vec![vec![(f64::NEG_INFINITY, 0usize); n + 1]; n_classes];
    for b in 1..=n {
        best[0][b] = (gain(0, b), 0);
    }
    for k in 1..n_classes {
        for b in k + 1..=n {
            for a in k..b {
                let score = best[k - 1][a].0 + gain(a, b);
                if score > best[k][b].0 {
                    best[k][b] = (score, a);
                }
            }
        }
    }
    let mut ends = vec![n];
    for k in (1..n_classes).rev() {
        let last = ends[ends.len() - 1];
        ends.push(best[k][last].1);
    }
    ends.push(0);
    ends.reverse();
    let [_, mean, square] = sums[n];
    let total = square - mean * mean;
    let classes = ends.windows(2).map(|pair| {
        let [w, wx, wxx] = part(pair[0], pair[1]);
        let m = wx / w;
        [w, bins.unscaled(m), (wxx / w - m * m).max(0.0).sqrt() * bins.scale]
    });
    let borders = &ends[1..n_classes];
    let thresholds =
        borders.iter().map(|at| bins.unscaled(f64::midpoint(bins.values[at - 1], bins.values[*at])));
    Ok(Otsu {
        thresholds: thresholds.collect(),
        classes: classes.collect(),
        separability: if total > 0.0 { (best[n_classes - 1][n].0 - mean * mean) / total } else { 0.0 },
    })
}

/// Fits a mixture to one histogram; errors as for independent voxels.
///
/// # Errors
/// [`MixtureError`] where there are fewer different values than components; cancel.
pub fn fit_mixture(
    progress: &Progress,
    histogram: &Histogram,
    params: &MixtureParams,
) -> Result<Mixture, MixtureError> {
    let bins = Bins::new(histogram, params.components as usize)?;
    let model = best_model(progress, &bins, params)?;
    let errors = information_errors(&bins, &model);
    Ok(model.described(&bins, &errors, histogram.total()))
}

/// Fits a mixture to the sum of several histograms on the same bins, one of each group of blocks of a
/// volume; errors from leaving out one group in turn (the jackknife).
///
/// # Errors
/// As [`fit_mixture`].
pub fn fit_groups(
    progress: &Progress,
    groups: &[Histogram],
    params: &MixtureParams,
) -> Result<Mixture, MixtureError> {
    let mut all = groups.first().cloned().unwrap_or_else(|| Histogram::empty(0.0, 1.0, 1));
    for group in groups.iter().skip(1) {
        all.counts.iter_mut().zip(&group.counts).for_each(|(a, b)| *a += b);
    }
    let bins = Bins::new(&all, params.components as usize)?;
    let model = best_model(progress, &bins, params)?;
    let filled: Vec<_> = groups.iter().filter(|group| group.total() > 0).collect();
    if filled.len() < 4 {
        let errors = information_errors(&bins, &model);
        return Ok(model.described(&bins, &errors, all.total()));
    }
    let mut left_out = Vec::with_capacity(filled.len());
    for group in &filled {
        progress.check()?;
        let mut rest = bins.clone();
        rest.subtract(group, &all);
        let refit = climb(progress, &rest, model.clone(), params.rounds.min(300))?.0;
        left_out.push(refit.quantities());
    }
    let m = left_out.len() as f64;
    let errors = (0..model.quantities().len()).map(|q| {
        let mean = left_out.iter().map(|v| v[q]).sum::<f64>() / m;
        let spread = left_out.iter().map(|v| (v[q] - mean).powi(2)).sum::<f64>();
        ((m - 1.0) / m * spread).sqrt()
    });
    let errors: Vec<f64> = errors.collect();
    Ok(model.described(&bins, &errors, all.total()))
}

/// A histogram as weights that sum to 1 at scaled values of mean 0 and standard deviation 1; empty bins are left out.
#[derive(Debug, Clone)]
struct Bins {
    values: Vec<f64>,
    weights: Vec<f64>,
    /// Which bin of the histogram each entry is.
    index: Vec<usize>,
    middle: f64,
    scale: f64,
    /// Variance of the values within a bin.
    within: f64,
    total: f64,
}

impl Bins {
    fn new(histogram: &Histogram, n_classes: usize) -> Result<Self, MixtureError> {
        if !(1..=8).contains(&n_classes) {
            return Err(MixtureError::Classes { found: n_classes });
        }
        let index: Vec<usize> = (0..histogram.counts.len()).filter(|i| histogram.counts[*i] > 0).collect();
        if index.len() < n_classes || index.is_empty() {
            return Err(MixtureError::TooFewValues { classes: n_classes, found: index.len() });
        }
        let total = histogram.total() as f64;
        let width = (f64::from(histogram.max) - f64::from(histogram.min)) / histogram.counts.len() as f64;
        let values: Vec<f64> =
            index.iter().map(|i| f64::from(histogram.min) + (*i as f64 + 0.5) * width).collect();
        let weights: Vec<f64> = index.iter().map(|i| histogram.counts[*i] as f64 / total).collect();
        let middle: f64 = values.iter().zip(&weights).map(|(x, w)| x * w).sum();
        let variance: f64 = values.iter().zip(&weights).map(|(x, w)| (x - middle).powi(2) * w).sum();
        let scale = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        let values = values.iter().map(|x| (x - middle) / scale).collect();
        Ok(Self { values, weights, index, middle, scale, within: (width / scale).powi(2) / 12.0, total })
    }

    /// Takes a group out; the scale stays.
    fn subtract(&mut self, group: &Histogram, all: &Histogram) {
        self.total = (all.total() - group.total()) as f64;
        for (weight, i) in self.weights.iter_mut().zip(&self.index) {
            *weight = (all.counts[*i] - group.counts[*i]) as f64 / self.total.max(1.0);
        }
    }

    fn unscaled(&self, x: f64) -> f64 {
        self.middle + x * self.scale
    }
}

/// Means, variances and shares in the scale of the bins.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    weights: Vec<f64>,
    mixed: Vec<f64>,
    means: Vec<f64>,
    variances: Vec<f64>,
}

fn gaussian(x: f64, mean: f64, variance: f64) -> f64 {
    (-0.5 * (x - mean).powi(2) / variance).exp() / (std::f64::consts::TAU * variance).sqrt()
}

impl Model {
    fn len(&self) -> usize {
        self.means.len()
    }

    /// The Gaussians that the density sums: `(share, component below, part of the one above)`.
    fn terms(&self) -> Vec<(f64, usize, f64)> {
        let pure = self.weights.iter().enumerate().map(|(k, w)| (*w, k, 0.0));
        let mixed = self.mixed.iter().enumerate().flat_map(|(k, w)| {
            (0..MIXING_STEPS)
                .map(move |i| (w / MIXING_STEPS as f64, k, (i as f64 + 0.5) / MIXING_STEPS as f64))
        });
        pure.chain(mixed).collect()
    }

    /// Mean and variance of a term.
    fn moments(&self, k: usize, t: f64) -> (f64, f64) {
        if t == 0.0 {
            return (self.means[k], self.variances[k]);
        }
        let blend = |v: &[f64]| (1.0 - t) * v[k] + t * v[k + 1];
        (blend(&self.means), blend(&self.variances))
    }

    fn density(&self, x: f64) -> f64 {
        self.terms()
            .iter()
            .map(|(w, k, t)| {
                let (mean, variance) = self.moments(*k, *t);
                w * gaussian(x, mean, variance)
            })
            .sum()
    }

    /// Expected part of a voxel of value `x` that belongs to component `k + 1` rather than `k`.
    fn part_above(&self, k: usize, x: f64) -> f64 {
        let (mut above, mut all) = (0.0, 0.0);
        for (w, at, t) in self.terms() {
            let part = match at {
                _ if at == k => t,
                _ if at == k + 1 && t == 0.0 => 1.0,
                _ => continue,
            };
            let (mean, variance) = self.moments(at, t);
            let p = w * gaussian(x, mean, variance);
            above += p * part;
            all += p;
        }
        if all > 0.0 { above / all } else { f64::from(x > f64::midpoint(self.means[k], self.means[k + 1])) }
    }

    /// Where component `k + 1` begins to have more than half: between the means, or the mean that is nearer to it.
    fn threshold(&self, k: usize) -> f64 {
        let (mut low, mut high) = (self.means[k], self.means[k + 1]);
        for _ in 0..60 {
            let x = f64::midpoint(low, high);
            if self.part_above(k, x) < 0.5 { low = x } else { high = x }
        }
        f64::midpoint(low, high)
    }

    /// Everything that is reported, in one list: weights, fractions, means, sds, thresholds.
    fn quantities(&self) -> Vec<f64> {
        let n = self.len();
        let half = |k: Option<usize>| k.and_then(|k| self.mixed.get(k)).map_or(0.0, |w| w / 2.0);
        let mut all = self.weights.clone();
        all.extend((0..n).map(|k| self.weights[k] + half(Some(k)) + half(k.checked_sub(1))));
        all.extend(&self.means);
        all.extend(self.variances.iter().map(|v| v.sqrt()));
        all.extend((0..n.saturating_sub(1)).map(|k| self.threshold(k)));
        all
    }

    fn described(&self, bins: &Bins, errors: &[f64], n: u64) -> Mixture {
        let k = self.len();
        let all = self.quantities();
        let at = |i: usize, scale: f64, offset: f64| Estimate {
            value: all[i] * scale + offset,
            error: errors.get(i).map(|e| e * scale).filter(|e| e.is_finite()),
        };
        let components = (0..k).map(|i| MixtureComponent {
            weight: at(i, 1.0, 0.0),
            fraction: at(k + i, 1.0, 0.0),
            mean: at(2 * k + i, bins.scale, bins.middle),
            sd: at(3 * k + i, bins.scale, 0.0),
        });
        let n_free = (3 * k - 1 + self.mixed.len()) as f64;
        let likelihood = bins.total * (log_likelihood(bins, self) - bins.scale.ln());
        Mixture {
            components: components.collect(),
            mixed: self.mixed.clone(),
            thresholds: (0..k.saturating_sub(1)).map(|i| at(4 * k + i, bins.scale, bins.middle)).collect(),
            n,
            bic: n_free * bins.total.ln() - 2.0 * likelihood,
        }
    }

    /// Components by ascending mean; only where nothing lies between them.
    fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by(|a, b| self.means[*a].total_cmp(&self.means[*b]));
        for list in [&mut self.weights, &mut self.means, &mut self.variances] {
            *list = order.iter().map(|k| list[*k]).collect();
        }
    }
}

/// Mean log density of the bins.
fn log_likelihood(bins: &Bins, model: &Model) -> f64 {
    let at = |(x, w): (&f64, &f64)| w * model.density(*x).max(f64::MIN_POSITIVE).ln();
    bins.values.iter().zip(&bins.weights).map(at).sum()
}

/// The best of a few fixed starts.
fn best_model(progress: &Progress, bins: &Bins, params: &MixtureParams) -> Result<Model, MixtureError> {
    let k = params.components as usize;
    let mut best: Option<(Model, f64)> = None;
    for borders in [otsu_borders(bins, k), quantile_borders(bins, k)] {
        let start = start_model(bins, &borders, params.partial_volume);
        let found = climb(progress, bins, start, params.rounds)?;
        if best.as_ref().is_none_or(|(_, score)| found.1 > *score + 1e-9) {
            best = Some(found);
        }
    }
    best.map(|(model, _)| model).ok_or(MixtureError::Classes { found: k })
}

fn otsu_borders(bins: &Bins, k: usize) -> Vec<usize> {
    // A coarse histogram is enough for a start.
    let (low, high) = (bins.values[0], bins.values[bins.values.len() - 1]);
    let mut coarse = Histogram::empty(low as f32, high as f32, 256);
    let n = coarse.counts.len();
    for (x, w) in bins.values.iter().zip(&bins.weights) {
        let bin = ((x - low) / (high - low).max(1e-12) * n as f64) as usize;
        coarse.counts[bin.min(n - 1)] += (w * 1e9) as u64;
    }
    match otsu(&coarse, k) {
        Ok(found) => found.thresholds.iter().map(|t| bins.values.partition_point(|x| x < t)).collect(),
        Err(_) => quantile_borders(bins, k),
    }
}

fn quantile_borders(bins: &Bins, k: usize) -> Vec<usize> {
    let mut sum = 0.0;
    let sums: Vec<f64> = bins
        .weights
        .iter()
        .map(|w| {
            sum += w;
            sum
        })
        .collect();
    (1..k).map(|i| sums.partition_point(|s| *s < i as f64 / k as f64)).collect()
}

fn start_model(bins: &Bins, borders: &[usize], partial_volume: bool) -> Model {
    let n = bins.values.len();
    let mut ends = vec![0];
    ends.extend(borders.iter().map(|b| (*b).clamp(0, n)));
    ends.push(n);
    let mut model =
        Model { weights: Vec::new(), mixed: Vec::new(), means: Vec::new(), variances: Vec::new() };
    for pair in ends.windows(2) {
        let range = pair[0].min(n - 1)..pair[1].max(pair[0] + 1).min(n);
        let w: f64 = bins.weights[range.clone()].iter().sum::<f64>().max(1e-6);
        let mean = range.clone().map(|i| bins.weights[i] * bins.values[i]).sum::<f64>() / w;
        let variance = range.map(|i| bins.weights[i] * (bins.values[i] - mean).powi(2)).sum::<f64>() / w;
        model.weights.push(w);
        model.means.push(mean);
        model.variances.push(variance.max(1e-3));
    }
    let sum: f64 = model.weights.iter().sum();
    let pure = if partial_volume && !borders.is_empty() { 0.8 } else { 1.0 };
    model.weights.iter_mut().for_each(|w| *w *= pure / sum);
    if partial_volume {
        model.mixed = vec![(1.0 - pure) / borders.len().max(1) as f64; borders.len()];
    }
    model
}

/// Expectation maximisation from a start; gives the model and its mean log density.
fn climb(progress: &Progress, bins: &Bins, start: Model, rounds: u32) -> Result<(Model, f64), MixtureError> {
    let mut model = start;
    let mut score = f64::NEG_INFINITY;
    for round in 0..rounds.max(1) {
        if round.is_multiple_of(8) {
            progress.check()?;
        }
        let (mut next, reached) = round_of(bins, &model);
        if next.mixed.is_empty() {
            next.sort();
        } else if next.means.windows(2).any(|pair| pair[1] <= pair[0]) {
            // Neighbours that changed places have no border between them: this start leads nowhere.
            break;
        }
        let gained = reached - score;
        score = reached;
        model = next;
        if gained.abs() < 1e-10 {
            break;
        }
    }
    let score = log_likelihood(bins, &model);
    Ok((model, score))
}

/// One round: the next model and the mean log density of this one.
fn round_of(bins: &Bins, model: &Model) -> (Model, f64) {
    let n = model.len();
    let terms = model.terms();
    let moments: Vec<(f64, f64)> = terms.iter().map(|(_, k, t)| model.moments(*k, *t)).collect();
    // What a term is multiplied by, so that the inner loop has one exponential.
    let heights: Vec<f64> =
        terms.iter().zip(&moments).map(|((w, ..), (_, v))| w / (std::f64::consts::TAU * v).sqrt()).collect();
    let mut shares = vec![0.0; terms.len()];
    // Per term: sums of r, r·x, r·x².
    let mut sums = vec![[0.0f64; 3]; terms.len()];
    let mut score = 0.0;
    for (x, w) in bins.values.iter().zip(&bins.weights).filter(|(_, w)| **w > 0.0) {
        let mut all = f64::MIN_POSITIVE;
        for ((share, height), (mean, variance)) in shares.iter_mut().zip(&heights).zip(&moments) {
            *share = height * (-0.5 * (x - mean) * (x - mean) / variance).exp();
            all += *share;
        }
        score += w * all.ln();
        for (sum, share) in sums.iter_mut().zip(&shares) {
            let r = w * share / all;
            sum[0] += r;
            sum[1] += r * x;
            sum[2] += r * x * x;
        }
    }
    let mut next = Model {
        weights: (0..n).map(|k| sums[k][0]).collect(),
        mixed: (0..model.mixed.len())
            .map(|k| sums[n + k * MIXING_STEPS..][..MIXING_STEPS].iter().map(|s| s[0]).sum())
            .collect(),
        means: model.means.clone(),
        variances: model.variances.clone(),
    };
    next.means = weighted_means(model, &terms, &moments, &sums);
    // A voxel of mixing ratio t tells (1 - t) of the noise below and t of that above.
    let mut spread = vec![[0.0f64; 2]; n];
    for ((_, k, t), sum) in terms.iter().zip(&sums) {
        let mean = next.moments(*k, *t).0;
        let square = sum[2] - 2.0 * mean * sum[1] + mean * mean * sum[0];
        for (at, part) in [(*k, 1.0 - t), (*k + 1, *t)] {
            if part > 0.0 {
                spread[at][0] += part * sum[0];
                spread[at][1] += part * square;
            }
        }
    }
    let floor = bins.within.max(1e-6);
    for (variance, [w, square]) in next.variances.iter_mut().zip(&spread) {
        if *w > 1e-12 {
            *variance = (square / w + bins.within).max(floor);
        }
    }
    (next, score)
}

/// Means that fit all terms best: for pure terms their own mean, for mixed ones a small linear system.
fn weighted_means(
    model: &Model,
    terms: &[(f64, usize, f64)],
    moments: &[(f64, f64)],
    sums: &[[f64; 3]],
) -> Vec<f64> {
    let n = model.len();
    let mut matrix = vec![vec![0.0; n + 1]; n];
    for (((_, k, t), (_, variance)), sum) in terms.iter().zip(moments).zip(sums) {
        let parts = [(*k, 1.0 - t), (*k + 1, *t)];
        for (i, a) in parts.iter().filter(|(_, part)| *part > 0.0) {
            for (j, b) in parts.iter().filter(|(_, part)| *part > 0.0) {
                matrix[*i][*j] += a * b * sum[0] / variance;
            }
            matrix[*i][n] += a * sum[1] / variance;
        }
    }
    solve(matrix).unwrap_or_else(|| model.means.clone())
}

/// Solves a linear system given as rows with the right side last; `None` where it is singular.
fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|a, b| rows[*a][i].abs().total_cmp(&rows[*b][i].abs()))?;
        if !(rows[pivot][i].abs() > 1e-14) {
            return None;
        }
        rows.swap(i, pivot);
        for j in 0..n {
            if j != i {
                let factor = rows[j][i] / rows[i][i];
                for c in i..=n {
                    let above = rows[i][c];
                    rows[j][c] -= factor * above;
                }
            }
        }
    }
    Some((0..n).map(|i| rows[i][n] / rows[i][i]).collect())
}

/// Standard errors of [`Model::quantities`] from the information in the histogram (voxels independent).
fn information_errors(bins: &Bins, model: &Model) -> Vec<f64> {
    let theta = free_parameters(model);
    let p = theta.len();
    let steps: Vec<f64> = theta.iter().map(|v| 1e-4 * v.abs().max(1e-2)).collect();
    let moved = |i: usize, sign: f64| {
        let mut at = theta.clone();
        at[i] += sign * steps[i];
        with_parameters(model, &at)
    };
    let models: Vec<[Model; 2]> = (0..p).map(|i| [moved(i, 1.0), moved(i, -1.0)]).collect();
    let mut information = vec![vec![0.0; p]; p];
    for (x, w) in bins.values.iter().zip(&bins.weights) {
        let log = |m: &Model| m.density(*x).max(f64::MIN_POSITIVE).ln();
        let score: Vec<f64> =
            models.iter().zip(&steps).map(|([a, b], h)| (log(a) - log(b)) / (2.0 * h)).collect();
        for i in 0..p {
            for j in 0..p {
                information[i][j] += bins.total * w * score[i] * score[j];
            }
        }
    }
    let quantities: Vec<[Vec<f64>; 2]> =
        models.iter().map(|[a, b]| [a.quantities(), b.quantities()]).collect();
    (0..model.quantities().len())
        .map(|q| {
            let gradient: Vec<f64> =
                (0..p).map(|i| (quantities[i][0][q] - quantities[i][1][q]) / (2.0 * steps[i])).collect();
            let rows = (0..p).map(|i| {
                let mut row = information[i].clone();
                row.push(gradient[i]);
                row
            });
            let solved = solve(rows.collect());
            solved.map_or(f64::NAN, |s| {
                s.iter().zip(&gradient).map(|(a, b)| a * b).sum::<f64>().max(0.0).sqrt()
            })
        })
        .collect()
}

/// Shares but the first, means, standard deviations.
fn free_parameters(model: &Model) -> Vec<f64> {
    let shares = model.weights.iter().skip(1).chain(&model.mixed);
    shares.chain(&model.means).copied().chain(model.variances.iter().map(|v| v.sqrt())).collect()
}

fn with_parameters(model: &Model, theta: &[f64]) -> Model {
    let n = model.len();
    let (shares, rest) = theta.split_at(n - 1 + model.mixed.len());
    let mut weights = vec![1.0 - shares.iter().sum::<f64>()];
    weights.extend(&shares[..n - 1]);
    Model {
        weights,
        mixed: shares[n - 1..].to_vec(),
        means: rest[..n].to_vec(),
        variances: rest[n..].iter().map(|sd| sd * sd).collect(),
    }
}

#[cfg(test)]
#[path = "mixture_tests.rs"]
mod tests;
