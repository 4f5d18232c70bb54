//! Classes by value: a range, Otsu's thresholds, Gaussian mixtures, and hetero- and euchromatin.
//!
//! Every class is a band of values, in the unit of the volume; the bands come from a histogram of the
//! domain (the whole volume, or what a class of other labels covers). Where they are fitted, the
//! histogram is taken apart by blocks of 16³ voxels dealt to sixteen groups, so that errors account for
//! neighbours that vary together (see [`super::mixture`]). Values that are NaN belong to no class.
//! Memory: two bytes a voxel for the result.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::SegmentError;
use super::mixture::{Mixture, MixtureError, MixtureParams, Otsu, fit_groups, otsu};
use crate::base::{Cancelled, Progress};
use crate::volume::{Histogram, Volume};

/// Where the thresholds come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdMethod {
    /// Given: from `low` to `high`.
    Range,
    /// Least variance within the classes.
    #[default]
    Otsu,
    /// A mixture of Gaussians.
    Mixture,
    /// Two Gaussians and what is mixed of both: euchromatin and heterochromatin of a nucleus.
    Chromatin,
}

/// Parameters of [`threshold`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThresholdParams {
    /// Where the thresholds come from.
    pub method: ThresholdMethod,
    /// Classes of Otsu and of the mixture, 1 to 8.
    pub classes: u32,
    /// Smallest value of the range, in the volume's unit; none where not given.
    pub low: Option<f64>,
    /// Largest value of the range, in the volume's unit; none where not given.
    pub high: Option<f64>,
    /// Class of the domain labels that is looked at, 1 to 65 535; all labelled voxels where not given.
    pub within: Option<u16>,
    /// Whether the mixture has voxels mixed of two classes.
    pub partial_volume: bool,
    /// Bins of the histogram, 16 to 65 536.
    pub bins: u32,
}

impl Default for ThresholdParams {
    fn default() -> Self {
        Self {
            method: ThresholdMethod::Otsu,
            classes: 2,
            low: None,
            high: None,
            within: None,
            partial_volume: false,
            bins: 1024,
        }
    }
}

/// One class of values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Band {
    /// Its id in the labels.
    pub class: u16,
    /// Smallest value; `None` without a bound.
    pub low: Option<f64>,
    /// First value beyond (of a given range the last value); `None` without a bound.
    pub high: Option<f64>,
    /// Voxels.
    pub voxels: u64,
    /// Share of the domain's voxels that are numbers.
    pub share: f64,
    /// Mean of its voxels; `None` where it has none.
    pub mean: Option<f64>,
    /// Standard deviation of its voxels.
    pub sd: Option<f64>,
}

/// What [`threshold`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholded {
    /// Class of each voxel, 0 outside the domain, outside the range and where the value is NaN.
    pub labels: Array3<u16>,
    /// The classes by ascending value.
    pub bands: Vec<Band>,
    /// Otsu's numbers, where that was the method.
    pub otsu: Option<Otsu>,
    /// The mixture, where that was the method.
    pub mixture: Option<Mixture>,
    /// Voxels of the domain that are NaN or infinite.
    pub n_not_finite: u64,
}

impl From<MixtureError> for SegmentError {
    fn from(error: MixtureError) -> Self {
        match error {
            MixtureError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            other => Self::Mixture(other),
        }
    }
}

/// Slices of one parallel piece and edge of the blocks that are left out together; fixed.
const BLOCK: usize = 16;
/// Groups of blocks.
const GROUPS: usize = 16;
/// Part of the values left out at either end of the histogram: gold beads and streaks.
const TAIL: f64 = 5e-5;

/// Classes of a volume by value, within `domain` where one is given (labels of the volume's shape).
///
/// # Errors
/// An empty volume or domain, a range without a bound or upside down, fewer values than classes; cancel.
pub fn threshold(
    progress: &Progress,
    volume: &Volume<f32>,
    domain: Option<ArrayView3<'_, u16>>,
    params: &ThresholdParams,
) -> Result<Thresholded, SegmentError> {
    let shape = volume.shape();
    if volume.n_voxels() == 0 {
        return Err(SegmentError::EmptyVolume { shape });
    }
    if let Some(domain) = &domain {
        let (z, y, x) = domain.dim();
        if [z, y, x] != shape {
            let what = "the label volume";
            return Err(SegmentError::ShapeMismatch { what, expected: shape, found: [z, y, x] });
        }
    }
    let domain = domain.as_ref().map(|d| d.as_standard_layout());
    let ids = domain.as_ref().and_then(|d| d.as_slice());
    let inside = |i: usize| ids.is_none_or(|ids| params.within.map_or(ids[i] != 0, |class| ids[i] == class));
    progress.phase("Thresholds", 2 * shape[0].div_ceil(BLOCK) as u64);
    let mut found = Bounds::default();
    if params.method == ThresholdMethod::Range {
        found.borders = given_range(params)?;
    } else {
        let groups = grouped_histograms(progress, volume, &inside, params.bins.clamp(16, 65_536) as usize)?;
        found = fitted(progress, &groups, params)?;
    }
    let (labels, sums) = painted(progress, volume, &inside, &found.borders)?;
    let n_finite: u64 = sums.classes.iter().map(|s| s.n).sum::<u64>() + sums.outside;
    if n_finite + sums.not_finite == 0 {
        return Err(SegmentError::EmptyMask);
    }
    let bands = found.borders.windows(2).zip(&sums.classes).zip(1u16..).map(|((pair, sum), class)| {
        let n = sum.n as f64;
        let mean = (sum.n > 0).then(|| sum.first + sum.sum / n);
        let sd = (sum.n > 0).then(|| (sum.square / n - (sum.sum / n).powi(2)).max(0.0).sqrt());
        let bound = |v: f64| Some(v).filter(|v| v.is_finite());
        let (low, high) = (bound(pair[0]), bound(pair[1]));
        Band { class, low, high, voxels: sum.n, share: n / (n_finite.max(1)) as f64, mean, sd }
    });
    Ok(Thresholded {
        bands: bands.collect(),
        labels,
        otsu: found.otsu,
        mixture: found.mixture,
        n_not_finite: sums.not_finite,
    })
}

/// Where the bands begin and end, and what was fitted to find out.
#[derive(Default)]
struct Bounds {
    borders: Vec<f64>,
    otsu: Option<Otsu>,
    mixture: Option<Mixture>,
}

fn given_range(params: &ThresholdParams) -> Result<Vec<f64>, SegmentError> {
    let (low, high) = (params.low.unwrap_or(f64::NEG_INFINITY), params.high.unwrap_or(f64::INFINITY));
    if params.low.is_none() && params.high.is_none() {
        let range = "given, or high, or both";
        return Err(SegmentError::Parameter { name: "low", value: f64::NAN, range });
    }
    if !(low <= high) {
        return Err(SegmentError::Parameter { name: "low", value: low, range: "at most high" });
    }
    // Both ends belong to a range that is given.
    Ok(vec![low, if high.is_finite() { f64::from((high as f32).next_up()) } else { high }])
}

fn fitted(
    progress: &Progress,
    groups: &[Histogram],
    params: &ThresholdParams,
) -> Result<Bounds, SegmentError> {
    let all = |mut borders: Vec<f64>| {
        borders.insert(0, f64::NEG_INFINITY);
        borders.push(f64::INFINITY);
        borders
    };
    if params.method == ThresholdMethod::Otsu {
        let mut sum = groups[0].clone();
        for group in &groups[1..] {
            sum.counts.iter_mut().zip(&group.counts).for_each(|(a, b)| *a += b);
        }
        let found = otsu(&sum, params.classes as usize)?;
        return Ok(Bounds { borders: all(found.thresholds.clone()), otsu: Some(found), mixture: None });
    }
    let is_chromatin = params.method == ThresholdMethod::Chromatin;
    let mixture_params = MixtureParams {
        components: if is_chromatin { 2 } else { params.classes },
        partial_volume: is_chromatin || params.partial_volume,
        ..MixtureParams::default()
    };
    let found = fit_groups(progress, groups, &mixture_params)?;
    let borders = found.thresholds.iter().map(|t| t.value).collect();
    Ok(Bounds { borders: all(borders), otsu: None, mixture: Some(found) })
}

/// Histograms of the finite values of the domain, one of each group of blocks, on bins that leave out
/// the last few extremes.
fn grouped_histograms(
    progress: &Progress,
    volume: &Volume<f32>,
    inside: &(impl Fn(usize) -> bool + Sync),
    n_bins: usize,
) -> Result<Vec<Histogram>, SegmentError> {
    let values = volume.values();
    let finite = |i: usize, v: f32| v.is_finite() && inside(i);
    let piece = 1 << 18;
    let ranges = values.par_chunks(piece).enumerate().map(|(p, part)| {
        progress.check()?;
        let own = part.iter().enumerate().filter(|(i, v)| finite(p * piece + i, **v));
        Ok(own.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), (_, v)| (a.min(*v), b.max(*v))))
    });
    let ranges = ranges.collect::<Result<Vec<_>, Cancelled>>()?;
    let (low, high) =
        ranges.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), (c, d)| (a.min(*c), b.max(*d)));
    if low > high {
        return Err(SegmentError::EmptyMask);
    }
    let rough = group_counts(progress, volume, inside, &Histogram::empty(low, high, 1 << 16))?;
    let sum = rough.into_iter().reduce(added).unwrap_or_else(|| Histogram::empty(low, high, 1));
    // Two rough bins more on either side, so that evenly spread values lose nothing.
    let margin = 2.0 * (sum.max - sum.min) / sum.counts.len() as f32;
    let (a, b) = (sum.quantile(TAIL) - margin, sum.quantile(1.0 - TAIL) + margin);
    Ok(group_counts(progress, volume, inside, &Histogram::empty(a.max(low), b.min(high), n_bins))?)
}

fn added(mut a: Histogram, b: Histogram) -> Histogram {
    a.counts.iter_mut().zip(&b.counts).for_each(|(a, b)| *a += b);
    a
}

/// Counts the domain on the bins of `like`; one histogram per group of blocks.
fn group_counts(
    progress: &Progress,
    volume: &Volume<f32>,
    inside: &(impl Fn(usize) -> bool + Sync),
    like: &Histogram,
) -> Result<Vec<Histogram>, Cancelled> {
    let [_, ny, nx] = volume.shape();
    let slab = BLOCK * ny * nx;
    let fresh = || vec![like.clone(); GROUPS];
    volume
        .values()
        .par_chunks(slab)
        .enumerate()
        .map(|(bz, part)| {
            progress.check()?;
            let mut groups = fresh();
            for (row, line) in part.chunks_exact(nx).enumerate() {
                let start = bz * slab + row * nx;
                for (bx, block) in line.chunks(BLOCK).enumerate() {
                    // Neighbouring blocks along any axis fall into different groups.
                    let group = &mut groups[(bz * 7 + (row % ny) / BLOCK * 5 + bx) % GROUPS];
                    for (i, v) in block.iter().enumerate() {
                        if inside(start + bx * BLOCK + i) {
                            group.add(*v);
                        }
                    }
                }
            }
            progress.advance(1);
            Ok(groups)
        })
        .try_reduce(fresh, |a, b| Ok(a.into_iter().zip(b).map(|(a, b)| added(a, b)).collect()))
}

/// Sums over the voxels of one class, of values less the first of them.
#[derive(Debug, Clone, Default)]
struct ClassSum {
    n: u64,
    first: f64,
    sum: f64,
    square: f64,
}

impl ClassSum {
    fn add(&mut self, v: f64) {
        if self.n == 0 {
            self.first = v;
        }
        let d = v - self.first;
        self.n += 1;
        self.sum += d;
        self.square += d * d;
    }

    /// Joins the sums of a later piece.
    fn join(&mut self, other: &Self) {
        if self.n == 0 {
            *self = other.clone();
            return;
        }
        let shift = other.first - self.first;
        let n = other.n as f64;
        self.square += other.square + 2.0 * shift * other.sum + n * shift * shift;
        self.sum += other.sum + n * shift;
        self.n += other.n;
    }
}

#[derive(Debug, Clone, Default)]
struct Sums {
    classes: Vec<ClassSum>,
    /// Finite values of the domain in no class.
    outside: u64,
    not_finite: u64,
}

fn painted(
    progress: &Progress,
    volume: &Volume<f32>,
    inside: &(impl Fn(usize) -> bool + Sync),
    borders: &[f64],
) -> Result<(Array3<u16>, Sums), Cancelled> {
    let [nz, ny, nx] = volume.shape();
    let mut labels = Array3::<u16>::zeros((nz, ny, nx));
    let slab = BLOCK * ny * nx;
    let n_classes = borders.len() - 1;
    let pieces = labels
        .as_slice_mut()
        .unwrap_or(&mut [])
        .par_chunks_mut(slab)
        .zip(volume.values().par_chunks(slab))
        .enumerate()
        .map(|(z, (out, values))| {
            progress.check()?;
            let mut sums = Sums { classes: vec![ClassSum::default(); n_classes], ..Sums::default() };
            for (i, (id, value)) in out.iter_mut().zip(values).enumerate() {
                if !inside(z * slab + i) {
                    continue;
                }
                if !value.is_finite() {
                    sums.not_finite += 1;
                    continue;
                }
                let v = f64::from(*value);
                match borders.iter().rposition(|b| *b <= v).filter(|k| *k < n_classes) {
                    Some(k) => {
                        *id = k as u16 + 1;
                        sums.classes[k].add(v);
                    }
                    None => sums.outside += 1,
                }
            }
            progress.advance(1);
            Ok(sums)
        })
        .collect::<Result<Vec<_>, Cancelled>>()?;
    let mut all = Sums { classes: vec![ClassSum::default(); n_classes], ..Sums::default() };
    for piece in &pieces {
        all.classes.iter_mut().zip(&piece.classes).for_each(|(a, b)| a.join(b));
        all.outside += piece.outside;
        all.not_finite += piece.not_finite;
    }
    Ok((labels, all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Unit;
    use crate::kernels::smooth::gaussian;

    fn volume(data: Array3<f32>) -> Volume<f32> {
        Volume::new(data, Some([0.03; 3]), Unit::PerUm)
    }

    fn noise(state: &mut u32) -> f32 {
        // Twelve uniform deviates minus six: close to a normal deviate.
        (0..12)
            .map(|_| {
                *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (*state >> 8) as f32 / 16_777_216.0
            })
            .sum::<f32>()
            - 6.0
    }

    #[test]
    fn a_range_holds_both_its_ends_and_nothing_that_is_no_number() {
        let data =
            Array3::from_shape_vec((1, 1, 6), vec![0.1, 0.2, 0.3, 0.31, f32::NAN, f32::INFINITY]).unwrap();
        let params = ThresholdParams {
            method: ThresholdMethod::Range,
            low: Some(0.2),
            high: Some(f64::from(0.3f32)),
            ..ThresholdParams::default()
        };
        let found = threshold(&Progress::new(), &volume(data.clone()), None, &params).unwrap();
        // 0.2 as f64 is a little below 0.2 as f32: the voxel is inside.
        assert_eq!(found.labels.as_slice().unwrap(), [0, 1, 1, 0, 0, 0]);
        assert_eq!((found.n_not_finite, found.bands[0].voxels), (2, 2));
        assert!(
            (found.bands[0].share - 0.5).abs() < 1e-12 && (found.bands[0].mean.unwrap() - 0.25).abs() < 1e-6
        );
        let none = ThresholdParams { low: None, high: None, ..params.clone() };
        assert!(threshold(&Progress::new(), &volume(data.clone()), None, &none).is_err());
        let wrong = ThresholdParams { low: Some(0.4), ..params };
        assert!(threshold(&Progress::new(), &volume(data), None, &wrong).is_err());
    }

    #[test]
    fn otsu_parts_ice_cell_and_beads_within_the_domain_alone() {
        let mut state = 1;
        let data = Array3::from_shape_fn((20, 24, 40), |(_, _, x)| {
            [0.1, 0.25, 0.6][(x * 3 / 40).min(2)] + 0.01 * noise(&mut state)
        });
        let params = ThresholdParams { classes: 3, ..ThresholdParams::default() };
        let found = threshold(&Progress::new(), &volume(data.clone()), None, &params).unwrap();
        let wrong = found.labels.indexed_iter().filter(|((.., x), id)| **id != (x * 3 / 40) as u16 + 1);
        assert_eq!(wrong.count(), 0);
        assert!(found.otsu.unwrap().separability > 0.99);
        // Only where the domain is 7: two classes, ice left out.
        let domain = Array3::from_shape_fn((20, 24, 40), |(_, _, x)| if x > 14 { 7 } else { 3 });
        let params = ThresholdParams { within: Some(7), ..ThresholdParams::default() };
        let found = threshold(&Progress::new(), &volume(data.clone()), Some(domain.view()), &params).unwrap();
        assert!(found.labels.indexed_iter().all(|((.., x), id)| (*id == 0) == (x <= 14)));
        assert_eq!(found.labels[[3, 3, 39]], 2);
        let nowhere = ThresholdParams { within: Some(9), ..ThresholdParams::default() };
        let error = threshold(&Progress::new(), &volume(data), Some(domain.view()), &nowhere);
        assert_eq!(error, Err(SegmentError::EmptyMask));
    }

    #[test]
    fn chromatin_is_measured_through_blur_and_noise_within_its_error() {
        // Heterochromatin as clumps a few voxels wide: a smoothed random field above a level.
        let shape = (48, 48, 48);
        let mut state = 77;
        let field = Array3::from_shape_simple_fn(shape, || noise(&mut state));
        let field = gaussian(&Progress::new(), field.view(), [3.5; 3]).unwrap();
        let mut sorted: Vec<f32> = field.iter().copied().collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let level = sorted[sorted.len() * 7 / 10];
        let part = field.mapv(|v| if v > level { 0.34 } else { 0.23f32 });
        let mut data = gaussian(&Progress::new(), part.view(), [1.0; 3]).unwrap();
        data.mapv_inplace(|v| v + 0.012 * noise(&mut state));
        let nucleus = Array3::from_elem(shape, 4u16);
        let params = ThresholdParams { method: ThresholdMethod::Chromatin, ..ThresholdParams::default() };
        let found = threshold(&Progress::new(), &volume(data), Some(nucleus.view()), &params).unwrap();
        let mixture = found.mixture.unwrap();
        let hetero = &mixture.components[1];
        // Blur of curved clumps pulls the levels together a little; 0.3 is the truth.
        assert!((hetero.fraction.value - 0.3).abs() < 0.02, "{hetero:?}");
        assert!((hetero.mean.value - 0.34).abs() < 0.01, "{hetero:?}");
        let error = hetero.fraction.error.unwrap();
        assert!(error > 0.001 && error < 0.03, "{error}");
        // Voxels by threshold: as many as there are, within the same.
        assert!((found.bands[1].share - 0.3).abs() < 0.02, "{:?}", found.bands);
    }

    #[test]
    fn threads_do_not_change_the_bits_and_cancel_stops() {
        let mut state = 3;
        let data = volume(Array3::from_shape_fn((37, 19, 23), |(z, ..)| {
            0.1 * (z % 3) as f32 + 0.02 * noise(&mut state)
        }));
        let params =
            ThresholdParams { method: ThresholdMethod::Mixture, classes: 3, ..ThresholdParams::default() };
        let run = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| threshold(&Progress::new(), &data, None, &params).unwrap())
        };
        let one = run(1);
        assert_eq!(one, run(3));
        // Sums in double precision beside those of the definition.
        let own: Vec<f64> = data
            .values()
            .iter()
            .zip(&one.labels)
            .filter(|(_, id)| **id == 2)
            .map(|(v, _)| f64::from(*v))
            .collect();
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        let sd = (own.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / own.len() as f64).sqrt();
        assert!(
            (one.bands[1].mean.unwrap() - mean).abs() < 1e-9 && (one.bands[1].sd.unwrap() - sd).abs() < 1e-9
        );
        let progress = Progress::new();
        progress.cancel();
        assert_eq!(threshold(&progress, &data, None, &params), Err(SegmentError::Cancelled(Cancelled)));
        let empty = volume(Array3::zeros((0, 3, 3)));
        let error = threshold(&Progress::new(), &empty, None, &params);
        assert_eq!(error, Err(SegmentError::EmptyVolume { shape: [0, 3, 3] }));
        let blank = volume(Array3::from_elem((2, 2, 2), f32::NAN));
        assert_eq!(threshold(&Progress::new(), &blank, None, &params), Err(SegmentError::EmptyMask));
    }
}
