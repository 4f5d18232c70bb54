//! Where to paint next: the places that would teach the classifier most.
//!
//! A region is worth a stroke where the classifier doubts, where much around it is doubtful too, and where it is
//! unlike what was painted already. Suggestions are taken one after the other, each as far as possible from strokes and
//! from earlier suggestions in the space of features (a weighted form of the farthest-first traversal for k centres,
//! Gonzalez, Theoretical Computer Science 38 (1985), doi:10.1016/0304-3975(85)90224-5), so that they do not crowd.
//!
//! Cost: one multiply-add per candidate, feature and painted region.

use rayon::prelude::*;

use super::prediction::best_two;
use super::{FeatureCache, Prediction, Scribbles};
use crate::base::{Cancelled, Progress};

/// Regions that are looked at closely.
const CANDIDATES: usize = 1500;
/// Scale at which doubt is gathered, in edges of a region.
const SCALE: f32 = 1.6;
/// Painted regions that are compared with at most.
const PAINTED: usize = 600;
/// Distance to what is painted from which on a region is unlike it, as a multiple of the usual distance.
const UNLIKE: f32 = 2.5;

/// Why a place is suggested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// Two classes are about as likely.
    Between,
    /// Its features are far from those of everything painted.
    Unlike,
}

/// A place that is worth a stroke.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// Zero-based index of the region.
    pub region: u32,
    /// Middle of the region as z, y, x in voxels.
    pub centre_zyx: [f32; 3],
    /// The most probable class and its probability.
    pub best: (u16, f32),
    /// The next and its probability.
    pub second: (u16, f32),
    /// Worth: greater is better.
    pub score: f32,
    /// Why.
    pub reason: Reason,
}

impl Suggestion {
    /// The reason in words, with the names of classes.
    pub fn sentence(&self, name: impl Fn(u16) -> String) -> String {
        let ((best, p), (second, q)) = (self.best, self.second);
        match self.reason {
            Reason::Between => format!("{} or {}: {p:.2} against {q:.2}", name(best), name(second)),
            Reason::Unlike => format!("unlike anything painted; taken for {} ({p:.2})", name(best)),
        }
    }
}

/// At most `n` places to paint, best first.
///
/// # Errors
/// [`Cancelled`].
pub fn suggest(
    progress: &Progress,
    cache: &FeatureCache,
    prediction: &Prediction,
    scribbles: &Scribbles,
    n: usize,
) -> Result<Vec<Suggestion>, Cancelled> {
    let k = prediction.classes.len();
    let uncertainty = prediction.uncertainty();
    if uncertainty.len() != cache.features.n_regions || n == 0 || k < 2 {
        return Ok(Vec::new());
    }
    let around = cache.grid.spread(progress, &uncertainty, SCALE)?;
    progress.check()?;
    let ids = cache.regions.values();
    let mut painted: Vec<u32> =
        scribbles.voxels().iter().filter_map(|(v, _)| ids.get(*v)?.checked_sub(1)).collect();
    painted.sort_unstable();
    painted.dedup();
    // Doubt of a region times the doubt gathered around it: its own size, and that of its kind beside it.
    let mut worth: Vec<(f32, u32)> = (0..uncertainty.len() as u32)
        .into_par_iter()
        .filter(|r| painted.binary_search(r).is_err())
        .map(|r| {
            let gathered = cache.grid.read(&around, r as usize, SCALE).max(0.0);
            (uncertainty[r as usize] * gathered.sqrt(), r)
        })
        .collect();
    worth.par_sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    worth.truncate(CANDIDATES);
    let stride = painted.len().div_ceil(PAINTED).max(1);
    let known: Vec<u32> = painted.iter().copied().step_by(stride).collect();
    let space = Space::new(cache);
    let mut distance: Vec<f32> = worth
        .par_iter()
        .map(|(_, r)| known.iter().map(|p| space.distance(*r, *p)).fold(f32::INFINITY, f32::min))
        .collect();
    progress.check()?;
    let usual = usual_distance(&space, &known);
    let mut out = Vec::new();
    while out.len() < n {
        let score = |i: usize| worth[i].0 * distance[i].min(4.0 * usual);
        let Some(best) = (0..worth.len()).max_by(|a, b| score(*a).total_cmp(&score(*b)).then(b.cmp(a)))
        else {
            break;
        };
        if score(best) <= 0.0 {
            break;
        }
        let region = worth[best].1;
        out.push(describe(cache, prediction, region, score(best), distance[best] > UNLIKE * usual));
        for (d, (_, other)) in distance.iter_mut().zip(&worth) {
            *d = d.min(space.distance(*other, region));
        }
        progress.check()?;
    }
    Ok(out)
}

fn describe(
    cache: &FeatureCache,
    prediction: &Prediction,
    region: u32,
    score: f32,
    is_unlike: bool,
) -> Suggestion {
    let k = prediction.classes.len();
    let p = &prediction.probabilities[region as usize * k..][..k];
    let (best, margin) = best_two(p);
    let mut others = p.to_vec();
    others[best] = f32::NEG_INFINITY;
    let second = best_two(&others).0;
    let of = |i: usize| (prediction.classes[i], p[i]);
    Suggestion {
        region,
        centre_zyx: cache.places[region as usize].centre_zyx,
        best: of(best),
        second: of(second),
        score,
        reason: if is_unlike && margin > 0.2 { Reason::Unlike } else { Reason::Between },
    }
}

/// Features on a common scale.
struct Space<'a> {
    cache: &'a FeatureCache,
    /// One over the spread of each feature.
    scale: Vec<f32>,
}

impl<'a> Space<'a> {
    fn new(cache: &'a FeatureCache) -> Self {
        let features = &cache.features;
        let stride = (features.n_regions / 4096).max(1);
        let n = features.n_regions.div_ceil(stride) as f32;
        let mut sums = vec![[0.0f32; 2]; features.n_features];
        for r in (0..features.n_regions).step_by(stride) {
            for (sum, v) in sums.iter_mut().zip(features.row(r)) {
                *sum = [sum[0] + v, sum[1] + v * v];
            }
        }
        let scale = sums
            .iter()
            .map(|[sum, squares]| {
                let sd = (squares / n - (sum / n).powi(2)).max(0.0).sqrt();
                if sd > 0.0 { 1.0 / sd } else { 0.0 }
            })
            .collect();
        Self { cache, scale }
    }

    fn distance(&self, a: u32, b: u32) -> f32 {
        let rows = self.cache.features.row(a as usize).iter().zip(self.cache.features.row(b as usize));
        let sum: f32 = rows.zip(&self.scale).map(|((a, b), s)| ((a - b) * s).powi(2)).sum();
        (sum / self.scale.len().max(1) as f32).sqrt()
    }
}

/// Median distance of painted regions to the nearest other painted one.
fn usual_distance(space: &Space<'_>, known: &[u32]) -> f32 {
    let mut nearest: Vec<f32> = known
        .par_iter()
        .map(|a| {
            known.iter().filter(|b| *b != a).map(|b| space.distance(*a, *b)).fold(f32::INFINITY, f32::min)
        })
        .filter(|d| d.is_finite())
        .collect();
    nearest.sort_unstable_by(f32::total_cmp);
    nearest.get(nearest.len() / 2).copied().filter(|d| *d > 0.0).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::RngExt as _;
    use rand::SeedableRng as _;
    use rand_pcg::Pcg64Mcg;

    use super::*;
    use crate::segment::{Recipe, TrainParams, test_data, train};

    const SHAPE: [usize; 3] = [36; 3];

    /// Paints a small plus of the true class of a voxel.
    fn paint(map: &mut Array3<u16>, truth: &Array3<u16>, zyx: [usize; 3]) {
        let class = truth[zyx];
        for (dy, dx) in [(0i64, 0i64), (1, 0), (-1, 0), (0, 1), (0, -1)] {
            let (y, x) = (zyx[1] as i64 + dy, zyx[2] as i64 + dx);
            let at = [zyx[0], y.clamp(0, 35) as usize, x.clamp(0, 35) as usize];
            if truth[at] == class {
                map[at] = class + 1;
            }
        }
    }

    fn mean_dice(truth: &Array3<u16>, found: &Array3<u16>) -> f64 {
        let dice = |class: u16| {
            let both = truth.iter().zip(found).filter(|(t, f)| **t == class && **f == class + 1).count();
            let each = truth.iter().filter(|t| **t == class).count()
                + found.iter().filter(|f| **f == class + 1).count();
            2.0 * both as f64 / each as f64
        };
        (dice(0) + dice(1) + dice(2)) / 3.0
    }

    /// [`test_data::noisy_balls`] with three times the noise: single voxels say little.
    fn very_noisy(seed: u32) -> crate::volume::Volume<f32> {
        let mut volume = test_data::noisy_balls(SHAPE, seed);
        volume.data.zip_mut_with(&test_data::balls(SHAPE), |value, class| {
            let clean = [0.1, 0.25, 0.5][*class as usize];
            *value = clean + 3.0 * (*value - clean);
        });
        volume
    }

    /// Mean Dice after each of `most` strokes that follow one of each class.
    fn course(cache: &FeatureCache, truth: &Array3<u16>, guided: bool, seed: u64, most: usize) -> Vec<f64> {
        let progress = Progress::new();
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let mut map = Array3::zeros(SHAPE);
        for zyx in [[4, 4, 4], [18, 18, 18], [18, 18, 11]] {
            paint(&mut map, truth, zyx);
        }
        let mut training = TrainParams { context_rounds: 0, ..TrainParams::default() };
        training.forest.trees = 20;
        (0..=most)
            .map(|_| {
                let strokes = Scribbles::from_map(map.view());
                let (_, prediction) = train(&progress, cache, &strokes, &training, seed).unwrap();
                let at = if guided {
                    let found = suggest(&progress, cache, &prediction, &strokes, 1).unwrap();
                    found[0].centre_zyx.map(|c| c.round() as usize)
                } else {
                    [0; 3].map(|_| rng.random_range(0..36))
                };
                paint(&mut map, truth, at);
                mean_dice(truth, &prediction.labels(&cache.regions, None))
            })
            .collect()
    }

    #[test]
    fn suggested_strokes_reach_the_aim_with_half_as_many_as_random_ones() {
        const MOST: usize = 24;
        let truth = test_data::balls(SHAPE);
        let cache = FeatureCache::build(&Progress::new(), &very_noisy(8), None, &Recipe::default()).unwrap();
        let courses = |guided| -> Vec<Vec<f64>> {
            (0..5).map(|seed| course(&cache, &truth, guided, seed, MOST)).collect()
        };
        let (guided, random) = (courses(true), courses(false));
        let median = |mut values: Vec<f64>| {
            values.sort_unstable_by(f64::total_cmp);
            values[values.len() / 2]
        };
        // The aim: what random strokes reach in the end.
        let aim = median(random.iter().map(|c| c[MOST]).collect());
        let needed = |courses: &[Vec<f64>]| {
            median(courses.iter().map(|c| c.iter().position(|d| *d >= aim).unwrap_or(MOST) as f64).collect())
        };
        let (few, many) = (needed(&guided), needed(&random));
        assert!(many > 1.0 && 2.0 * few <= many, "{few} suggested strokes, {many} random ones to {aim:.3}");
    }

    #[test]
    fn suggestions_are_apart_avoid_paint_and_say_why() {
        let truth = test_data::balls(SHAPE);
        let volume = test_data::noisy_balls(SHAPE, 8);
        let progress = Progress::new();
        let cache = FeatureCache::build(&progress, &volume, None, &Recipe::default()).unwrap();
        let mut map = Array3::zeros(SHAPE);
        for zyx in [[4, 4, 4], [18, 18, 18], [18, 18, 11]] {
            paint(&mut map, &truth, zyx);
        }
        let strokes = Scribbles::from_map(map.view());
        let (_, prediction) = train(&progress, &cache, &strokes, &TrainParams::default(), 1).unwrap();
        let found = suggest(&progress, &cache, &prediction, &strokes, 5).unwrap();
        assert_eq!(found.len(), 5);
        let mut regions: Vec<u32> = found.iter().map(|s| s.region).collect();
        regions.sort_unstable();
        regions.dedup();
        assert_eq!(regions.len(), 5, "a region is suggested twice");
        for s in &found {
            assert!(s.best.1 >= s.second.1 && s.best.0 != s.second.0, "{s:?}");
            let sentence = s.sentence(|class| format!("class {class}"));
            assert!(sentence.contains("against") || sentence.contains("unlike"), "{sentence}");
        }
        progress.cancel();
        assert_eq!(suggest(&progress, &cache, &prediction, &strokes, 5), Err(Cancelled));
    }
}
