//! Flats fitted to each view: the ways in which flats differ, and how much of each a view shows.
//!
//! A beam that moves between flats and views leaves its pattern in the absorbance. Where there are flats enough, their
//! logarithms differ by a shift of the pattern and a few principal components (eigen flat fields: Van Nieuwenhove and others
//! 2015, doi:10.1364/OE.23.027975); components are kept that stand out from those of the same values shuffled among the
//! frames (parallel analysis), and each band of their detail is freed of the share of noise in it. Their weights in a view are found from differences of neighbouring blocks of pixels, of many sizes,
//! by robust least squares: where the sample is smooth or is not, blocks differ by the flat and noise alone, and other pairs are
//! outliers. What a view does not tell is shrunk to none: the error of the weights is estimated from how 64 parts of
//! the view disagree, and weights are the mean of that and of what flats show. All of it comes on top of flats interpolated in time.
//!
//! Components have mean zero, so that the intensity of a view stays with the beam monitor or the air beside the sample.

use ndarray::Array2;
use rayon::prelude::*;
use serde::Serialize;

use super::fields::fill_gaps;
use super::pairs::{Pairs, Weights};
use crate::base::{Cancelled, Progress};
use crate::kernels::smooth::{HalfKernel, SliceScratch, smooth_slice};

/// Widths of the bands of detail in which components are freed of noise, in pixels.
const DETAIL: [f32; 3] = [1.0, 2.0, 4.0];

/// Fewer flats say nothing of how flats change.
pub(super) const LEAST_FLATS: usize = 4;
/// Of more flats these many, evenly spread, are learnt from.
pub(super) const MOST_FLATS: usize = 32;
/// At most these many components.
const MOST_COMPONENTS: usize = 8;
/// Pixels that tell components from noise.
const TELLING: usize = 1 << 17;
/// Flats that are left out, one at a time, to be predicted.
const FOLDS: usize = 6;
/// Fitted flats must predict these many times better, in mean square, ...
const BETTER: f64 = 0.995;
/// A component must stand out from shuffled values by this factor.
const STANDS_OUT: f64 = 1.05;
/// Pixels of a chunk of sums.
const CHUNK: usize = 1 << 14;
/// Variance of weights in views in multiples of that in flats: views are many and last long.
const WIDER: f64 = 4.0;

/// What was found of how flats differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlatFit {
    /// Flats that were learnt from.
    pub n_flats: usize,
    /// Whether the pattern moves.
    pub shift: bool,
    /// Principal components beside it.
    pub n_components: usize,
    /// Share of the variance among flats that these explain; the rest is noise.
    pub explained: f64,
    /// Root mean square error of the logarithm of flats left out, as they are predicted from the others by interpolation in time.
    pub error_plain: f64,
    /// The same for flats fitted to them; both with the noise of one frame.
    pub error_fitted: f64,
    /// Whether flats are fitted to the views.
    pub used: bool,
}

impl FlatFit {
    /// What was found and done, in a sentence.
    pub fn text(&self) -> String {
        let shift = if self.shift { "a shift and " } else { "" };
        let components = if self.n_components == 1 { "component" } else { "components" };
        let done = if self.used { "flats are fitted to each view" } else { "flats are taken as they are" };
        format!(
            "{} flats differ by {shift}{} {components} ({:.0} % of their variance); one left out is predicted to {:.2} % instead of {:.2} %: {done}",
            self.n_flats,
            self.n_components,
            100.0 * self.explained,
            100.0 * self.error_fitted,
            100.0 * self.error_plain,
        )
    }
}

/// Logarithms of flats over the good pixels, with mean zero.
pub(super) struct Frames {
    pub(super) n_rows: usize,
    pub(super) n_cols: usize,
    pub(super) good: Vec<bool>,
    pub(super) logs: Vec<Vec<f32>>,
    /// When each was taken, in views.
    pub(super) times: Vec<f64>,
}

/// The ways in which flats differ.
pub(super) struct Modes {
    /// Logarithms, mean zero, for a weight of variance one among flats.
    images: Vec<Vec<f32>>,
    pairs: Pairs,
    pub(super) fit: FlatFit,
}

/// Sum over `0..n` in chunks of fixed size, so that the bits do not depend on the threads.
fn total(n: usize, term: impl Fn(usize) -> f64 + Sync) -> f64 {
    let chunks: Vec<f64> = (0..n.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| (chunk * CHUNK..((chunk + 1) * CHUNK).min(n)).map(&term).sum::<f64>())
        .collect();
    chunks.iter().sum()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    total(a.len(), |i| f64::from(a[i]) * f64::from(b[i]))
}

/// Takes the mean over the good pixels off, and sets the others to zero.
pub(super) fn centre(image: &mut [f32], good: &[bool]) {
    let n = total(good.len(), |i| f64::from(u8::from(good[i])));
    let sum = total(image.len(), |i| if good[i] { f64::from(image[i]) } else { 0.0 });
    let mean = (sum / n.max(1.0)) as f32;
    image.par_iter_mut().zip(good).for_each(|(v, good)| *v = if *good { *v - mean } else { 0.0 });
}

impl Frames {
    /// Mean of some frames.
    fn mean(&self, which: &[usize]) -> Vec<f32> {
        let scale = 1.0 / which.len().max(1) as f32;
        let at = |i: usize| which.iter().map(|&frame| self.logs[frame][i]).sum::<f32>() * scale;
        (0..self.good.len()).into_par_iter().map(at).collect()
    }

    /// The flat at the moment of frame `left_out`, from the others: the mean of each moment, interpolated in time.
    fn predicted(&self, left_out: usize) -> Vec<f32> {
        let time = self.times[left_out];
        let mut others: Vec<usize> = (0..self.logs.len()).filter(|frame| *frame != left_out).collect();
        others.sort_by(|a, b| self.times[*a].total_cmp(&self.times[*b]));
        let mut moments: Vec<(f64, Vec<usize>)> = Vec::new();
        for frame in others {
            match moments.last_mut() {
                Some((start, frames)) if self.times[frame] - *start <= 1.0 => frames.push(frame),
                _ => moments.push((self.times[frame], vec![frame])),
            }
        }
        let after = moments.partition_point(|(start, _)| *start <= time);
        if after == 0 || after == moments.len() || time - moments[after - 1].0 <= 1.0 {
            return self.mean(&moments[after.saturating_sub(1)].1);
        }
        let (a, b) = (&moments[after - 1], &moments[after]);
        let share = ((time - a.0) / (b.0 - a.0)) as f32;
        let (low, high) = (self.mean(&a.1), self.mean(&b.1));
        low.iter().zip(high).map(|(a, b)| a + (b - a) * share).collect()
    }

    /// An image over the good pixels, smoothed; what lies between them is filled.
    fn smoothed(&self, image: &[f32], sigma: f32) -> Vec<f32> {
        let (ny, nx) = (self.n_rows, self.n_cols);
        let mut filled: Vec<f32> =
            image.iter().zip(&self.good).map(|(v, good)| if *good { *v } else { f32::NAN }).collect();
        fill_gaps(&mut filled, ny, nx);
        let mut smooth = vec![0.0; ny * nx];
        let kernels = [0.0, sigma, sigma].map(HalfKernel::gaussian);
        smooth_slice(&filled, [1, ny, nx], &kernels, 0, &mut SliceScratch::default(), &mut smooth);
        smooth
    }

    /// Takes from each band of detail of an image the share that noise of standard deviation `sigma` has in it.
    fn quieten(&self, image: &mut [f32], sigma: f64) {
        // The sum of four even deviates has a variance of a third.
        let even = |k: u64, i: usize| mix(90 + k, i as u64) as f64 / u64::MAX as f64 - 0.5;
        let deviate = |i: usize| (0..4).map(|k| even(k, i)).sum::<f64>() * 3.0f64.sqrt();
        let noise: Vec<f32> = (0..image.len()).into_par_iter().map(|i| (sigma * deviate(i)) as f32).collect();
        let power = |a: &[f32], b: &[f32]| {
            total(a.len(), |i| if self.good[i] { f64::from(a[i] - b[i]).powi(2) } else { 0.0 })
        };
        let original = image.to_vec();
        let (mut finer, mut finer_noise) = (original.clone(), noise.clone());
        for width in DETAIL {
            let (coarser, coarser_noise) = (self.smoothed(&original, width), self.smoothed(&noise, width));
            let (found, expected) = (power(&finer, &coarser), power(&finer_noise, &coarser_noise));
            let share = if found > 0.0 { (expected / found).min(1.0) as f32 } else { 0.0 };
            for ((out, fine), coarse) in image.iter_mut().zip(&finer).zip(&coarser) {
                *out -= share * (fine - coarse);
            }
            (finer, finer_noise) = (coarser, coarser_noise);
        }
        centre(image, &self.good);
    }

    /// Derivatives along x and y of the smoothed pattern, mean zero: what small shifts add.
    fn slopes(&self, mean: &[f32]) -> [Vec<f32>; 2] {
        let (ny, nx) = (self.n_rows, self.n_cols);
        let smooth = self.smoothed(mean, 1.5);
        let slope =
            |y0: usize, x0: usize, y1: usize, x1: usize| 0.5 * (smooth[y1 * nx + x1] - smooth[y0 * nx + x0]);
        let at = |along_x: bool| {
            let mut image: Vec<f32> = (0..ny * nx)
                .map(|i| {
                    let (y, x) = (i / nx, i % nx);
                    if along_x {
                        slope(y, x.saturating_sub(1), y, (x + 1).min(nx - 1))
                    } else {
                        slope(y.saturating_sub(1), x, (y + 1).min(ny - 1), x)
                    }
                })
                .collect();
            centre(&mut image, &self.good);
            image
        };
        [at(true), at(false)]
    }
}

/// Modes that some frames show.
struct Learnt {
    images: Vec<Vec<f32>>,
    n_shifts: usize,
    explained: f64,
    /// Noise of the logarithm of a pixel of one frame.
    sigma: f64,
}

/// What is to be looked for in the frames.
#[derive(Clone, Copy)]
enum Seek {
    /// Whatever stands out from noise.
    All,
    /// What was found before: a shift or not, and so many components.
    Known { shift: bool, n_components: usize },
}

fn learn(progress: &Progress, frames: &Frames, which: &[usize], seek: Seek) -> Result<Learnt, Cancelled> {
    let n = which.len();
    let n_good = total(frames.good.len(), |i| f64::from(u8::from(frames.good[i]))).max(1.0);
    let mean = frames.mean(which);
    let mut rest: Vec<Vec<f32>> = which
        .par_iter()
        // A factor of two is a cosmic ray or a sample in the way, no change of the beam.
        .map(|&frame| frames.logs[frame].iter().zip(&mean).map(|(v, m)| (v - m).clamp(-0.7, 0.7)).collect())
        .collect();
    progress.check()?;
    let power = |rest: &[Vec<f32>]| rest.iter().map(|image| dot(image, image)).sum::<f64>();
    let before = power(&rest);
    let mut images = Vec::new();
    let wants_shift = !matches!(seek, Seek::Known { shift: false, .. });
    if wants_shift {
        let noise = before / n_good / (n - 1) as f64;
        for mut slope in frames.slopes(&mean) {
            progress.check()?;
            let length = dot(&slope, &slope);
            if length <= 0.0 {
                continue;
            }
            let scores: Vec<f64> = rest.iter().map(|image| dot(image, &slope) / length).collect();
            let variance = scores.iter().map(|s| s * s).sum::<f64>() / (n - 1) as f64;
            // Noise alone gives a variance of noise / length.
            if matches!(seek, Seek::All) && variance * length < 9.0 * noise.max(1e-10) {
                continue;
            }
            rest.par_iter_mut().zip(&scores).for_each(|(image, score)| {
                image.iter_mut().zip(&slope).for_each(|(v, s)| *v -= *score as f32 * s);
            });
            slope.iter_mut().for_each(|v| *v *= variance.sqrt() as f32);
            images.push(slope);
        }
    }
    let n_shifts = images.len();
    let (most, tested) = match seek {
        Seek::All => (MOST_COMPONENTS.min(n.saturating_sub(2)), true),
        Seek::Known { n_components, .. } => (n_components.min(n - 1), false),
    };
    let step = (frames.good.len() / TELLING).max(1);
    let telling: Vec<usize> = (0..frames.good.len()).step_by(step).filter(|i| frames.good[*i]).collect();
    for found in 0..most {
        progress.check()?;
        let (vector, value) = first_component(&gram(&rest, &telling, None), n);
        if tested {
            let shuffled = |seed: u64| first_component(&gram(&rest, &telling, Some(seed)), n).1;
            // What was taken out leaves as much power in fewer directions.
            let fair = (n - 1) as f64 / (n - 1 - found) as f64;
            let chance = (1..=3).map(shuffled).fold(0.0, f64::max) * fair * STANDS_OUT;
            // Less than a part in 10^5 is rounding.
            if value <= chance || value <= 1e-10 * telling.len() as f64 {
                break;
            }
        }
        let mut image = vec![0.0f32; frames.good.len()];
        image.par_iter_mut().enumerate().for_each(|(i, out)| {
            *out = rest.iter().zip(&vector).map(|(image, v)| image[i] * *v as f32).sum();
        });
        rest.par_iter_mut().zip(&vector).for_each(|(rest, v)| {
            rest.iter_mut().zip(&image).for_each(|(rest, p)| *rest -= *v as f32 * p);
        });
        let scale = 1.0 / ((n - 1) as f32).sqrt();
        image.iter_mut().for_each(|v| *v *= scale);
        images.push(image);
    }
    let after = power(&rest);
    let free = (n - 1).saturating_sub(images.len() - n_shifts).max(1);
    let sigma = (after / n_good / free as f64).sqrt().max(1e-4);
    let noise = sigma / ((n - 1) as f64).sqrt();
    images[n_shifts..].iter_mut().for_each(|image| frames.quieten(image, noise));
    let explained = if before > 0.0 { 1.0 - after / before } else { 0.0 };
    Ok(Learnt { images, n_shifts, explained, sigma })
}

/// A well mixed number from a seed and an index (the finaliser of SplitMix64).
fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_mul(0xA076_1D64_78BD_642F) ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Products of all frames with each other over the telling pixels, the values of each pixel shuffled among the frames where
/// there is a seed.
fn gram(frames: &[Vec<f32>], telling: &[usize], seed: Option<u64>) -> Vec<f64> {
    let n = frames.len();
    let chunks: Vec<Vec<f64>> = telling
        .par_chunks(CHUNK)
        .map(|pixels| {
            let mut sums = vec![0.0; n * n];
            let mut values = vec![0.0f64; n];
            for &pixel in pixels {
                values.iter_mut().zip(frames).for_each(|(v, frame)| *v = f64::from(frame[pixel]));
                if let Some(seed) = seed {
                    for last in (1..n).rev() {
                        let other = mix(seed + ((last as u64) << 32), pixel as u64) % (last as u64 + 1);
                        values.swap(last, other as usize);
                    }
                }
                for a in 0..n {
                    for b in 0..=a {
                        sums[a * n + b] += values[a] * values[b];
                    }
                }
            }
            sums
        })
        .collect();
    let mut all = vec![0.0; n * n];
    for chunk in chunks {
        all.iter_mut().zip(chunk).for_each(|(all, v)| *all += v);
    }
    for a in 0..n {
        for b in a + 1..n {
            all[a * n + b] = all[b * n + a];
        }
    }
    all
}

/// The largest eigenvalue of a symmetric matrix without negative ones, and its vector of length one, by powers.
fn first_component(matrix: &[f64], n: usize) -> (Vec<f64>, f64) {
    let mut vector: Vec<f64> = (0..n).map(|i| mix(7, i as u64) as f64 / u64::MAX as f64 - 0.5).collect();
    let mut value = 0.0;
    for _ in 0..300 {
        let next: Vec<f64> =
            matrix.chunks_exact(n).map(|row| row.iter().zip(&vector).map(|(a, b)| a * b).sum()).collect();
        let length = next.iter().map(|v| v * v).sum::<f64>().sqrt();
        if length <= 0.0 {
            return (vec![0.0; n], 0.0);
        }
        vector = next.into_iter().map(|v| v / length).collect();
        if (length - value).abs() <= 1e-12 * length {
            value = length;
            break;
        }
        value = length;
    }
    (vector, value)
}

impl Modes {
    /// Looks for the ways in which flats differ, and tries them on flats left out; none where nothing stands out from noise.
    pub(super) fn learn(
        progress: &Progress,
        frames: &Frames,
        always: bool,
    ) -> Result<Option<Self>, Cancelled> {
        let n = frames.logs.len();
        if n < LEAST_FLATS {
            return Ok(None);
        }
        progress.phase("Learning how flats change", (n.min(FOLDS) + 1) as u64);
        let all: Vec<usize> = (0..n).collect();
        let learnt = learn(progress, frames, &all, Seek::All)?;
        progress.advance(1);
        if learnt.images.is_empty() {
            return Ok(None);
        }
        let n_components = learnt.images.len() - learnt.n_shifts;
        let seek = Seek::Known { shift: learnt.n_shifts > 0, n_components };
        let folds = n.min(FOLDS);
        let (mut plain, mut fitted, mut won) = (0.0, 0.0, 0);
        for fold in 0..folds {
            let left_out = (2 * fold + 1) * n / (2 * folds);
            let errors = predict(progress, frames, left_out, seek)?;
            plain += errors[0] / folds as f64;
            fitted += errors[1] / folds as f64;
            won += usize::from(errors[1] < errors[0]);
            progress.advance(1);
        }
        let better = fitted < BETTER * plain && 4 * won >= 3 * folds;
        let pairs = Pairs::new(frames, &learnt.images, learnt.sigma);
        let fit = FlatFit {
            n_flats: n,
            shift: learnt.n_shifts > 0,
            n_components,
            explained: learnt.explained,
            error_plain: plain.sqrt(),
            error_fitted: fitted.sqrt(),
            used: better || always,
        };
        Ok(Some(Self { images: learnt.images, pairs, fit }))
    }

    /// The logarithm of what the flat of a view is to be multiplied by; `counts` less the dark, `flat` as interpolated in time.
    pub(super) fn correction(&self, counts: &[f32], flat: &[f32]) -> Vec<f32> {
        let weights = self.pairs.fit(counts, flat, WIDER);
        self.combined(&weights)
    }

    fn combined(&self, weights: &Weights) -> Vec<f32> {
        combined(&self.images, weights)
    }
}

fn combined(images: &[Vec<f32>], weights: &Weights) -> Vec<f32> {
    let mut out = vec![0.0f32; images.first().map_or(0, Vec::len)];
    for (image, weight) in images.iter().zip(weights) {
        let weight = *weight as f32;
        out.iter_mut().zip(image).for_each(|(out, v)| *out += weight * v);
    }
    out
}

/// Mean square error of the logarithm of a flat, predicted from the others and fitted to it.
fn predict(progress: &Progress, frames: &Frames, left_out: usize, seek: Seek) -> Result<[f64; 2], Cancelled> {
    let others: Vec<usize> = (0..frames.logs.len()).filter(|frame| *frame != left_out).collect();
    let learnt = learn(progress, frames, &others, seek)?;
    let flat = frames.predicted(left_out);
    let pairs = Pairs::new(frames, &learnt.images, learnt.sigma);
    let light = |logs: &[f32]| -> Vec<f32> { logs.par_iter().map(|v| v.exp()).collect() };
    progress.check()?;
    let weights = pairs.fit(&light(&frames.logs[left_out]), &light(&flat), WIDER);
    let correction = combined(&learnt.images, &weights);
    let error = |corrected: bool| {
        let truth = &frames.logs[left_out];
        let mut off: Vec<f32> = (0..truth.len())
            .map(|i| truth[i] - flat[i] - if corrected { correction[i] } else { 0.0 })
            .collect();
        centre(&mut off, &frames.good);
        dot(&off, &off) / total(frames.good.len(), |i| f64::from(u8::from(frames.good[i]))).max(1.0)
    };
    Ok([error(false), error(true)])
}

/// One logarithm per good pixel of a frame whose dark is taken off, mean zero; none if too much of it is not positive.
pub(super) fn logarithm(net: &Array2<f32>, typical: &Array2<f32>, good: &[bool]) -> Option<Vec<f32>> {
    let mut n_bad = 0usize;
    let mut logs: Vec<f32> = net
        .iter()
        .zip(typical)
        .zip(good)
        .map(|((value, typical), good)| match good {
            false => 0.0,
            true if *value > 0.0 && value.is_finite() => value.ln(),
            true => {
                n_bad += 1;
                typical.max(f32::MIN_POSITIVE).ln()
            }
        })
        .collect();
    let mostly = n_bad * 100 <= good.len();
    centre(&mut logs, good);
    mostly.then_some(logs)
}

#[cfg(test)]
#[path = "flats_tests.rs"]
mod tests;
