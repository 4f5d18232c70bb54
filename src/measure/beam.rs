//! Which axis of a tomogram the beam went along, from the wedge of directions that a limited tilt leaves unmeasured.
//!
//! Turned about the axis r through less than a half circle, a sample is not measured in a wedge of Fourier space: around
//! the axis b of the beam, however far along r. So two things hold for the right pair (r, b) and for no other: far along r (at
//! least as far as across it) the directions within 12° of the plane of r and b are empty and those beyond 45° are not; and
//! the cone of 12° around b is empty while that around r is not. The quiet cone that the ramp of a reconstruction leaves
//! around its rotation axis has the second property alone, a smooth or flat sample has both for two pairs. The worse of
//! the two ratios of mean power is the score of a pair: near nothing for the right one.
//!
//! A cube from the middle, of at most 128 voxels along each edge, is looked at under a Hann window. Cost: its transform;
//! memory: 8 bytes for each of its voxels.

use ndarray::{Array3, s};
use rustfft::num_complex::Complex;

use crate::base::{Cancelled, Progress};
use crate::kernels::fft3::half_spectrum;
use crate::volume::Volume;

/// Longest edge of the part that is looked at.
const EDGE: usize = 128;
/// Shortest edge that can tell anything.
const LEAST: usize = 16;
/// Frequencies across r, in cycles per shortest voxel edge.
const ACROSS: std::ops::RangeInclusive<f64> = 0.04..=0.25;
/// Frequencies along the axis of a cone.
const CONE: std::ops::RangeInclusive<f64> = 0.06..=0.35;
/// Tangent of the angle around b that must be empty: 12°, tilts up to ±78°.
const WITHIN: f64 = 0.212_56;
/// The right pair has less than this share of the power of other directions.
const EMPTY: f64 = 0.35;
/// And every other pair at least so many times as much.
const CLEAR: f64 = 2.0;

/// What the wedge says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beam {
    /// Axis of the array along the beam: 0, 1 or 2, slowest first.
    pub beam: usize,
    /// Axis of the array that the sample was turned about.
    pub rotation: usize,
    /// Power in the wedge over that of other directions, the worse of the two ratios.
    pub ratio: f64,
    /// The same for the next best pair of axes.
    pub next: f64,
}

impl Beam {
    /// Whether it is sure enough to act on.
    pub fn is_clear(&self) -> bool {
        self.ratio < EMPTY && self.next >= CLEAR * self.ratio
    }
}

/// The pair of axes whose wedge is emptiest; `None` where the volume is too small or holds nothing.
///
/// # Errors
/// [`Cancelled`].
pub fn beam_axis(progress: &Progress, volume: &Volume<f32>) -> Result<Option<Beam>, Cancelled> {
    progress.check()?;
    let shape = volume.shape();
    if shape.iter().any(|n| *n < LEAST) {
        return Ok(None);
    }
    let edges = shape.map(|n| n.min(EDGE));
    let [z, y, x]: [usize; 3] = std::array::from_fn(|axis| (shape[axis] - edges[axis]) / 2);
    let part = volume.data.slice(s![z..z + edges[0], y..y + edges[1], x..x + edges[2]]);
    let (sum, n) =
        part.iter().filter(|v| v.is_finite()).fold((0.0, 0u64), |(s, n), v| (s + f64::from(*v), n + 1));
    let mean = (sum / n.max(1) as f64) as f32;
    let windows = edges.map(hann);
    let spectrum = half_spectrum(progress, part, |[z, y, x], value| {
        let weight = windows[0][z] * windows[1][y] * windows[2][x];
        if value.is_finite() { (value - mean) * weight } else { 0.0 }
    })?;
    Ok(emptiest(&spectrum, edges, volume.voxel_um_or_one()))
}

fn hann(n: usize) -> Vec<f32> {
    let phase = |i: usize| std::f64::consts::TAU * (i as f64 + 0.5) / n as f64;
    (0..n).map(|i| (0.5 - 0.5 * phase(i).cos()) as f32).collect()
}

/// Power and number of frequencies within the wedge of a pair, and beyond it.
type Tally = [(f64, u64); 2];

/// Ordered pairs (rotation, beam) with the third axis.
const PAIRS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

fn emptiest(spectrum: &Array3<Complex<f32>>, edges: [usize; 3], voxel: [f64; 3]) -> Option<Beam> {
    let shortest = voxel.into_iter().fold(f64::INFINITY, f64::min);
    let frequency = |axis: usize, k: usize| {
        let n = edges[axis];
        k.min(n - k) as f64 / n as f64 * shortest / voxel[axis]
    };
    let (mut tallies, mut cones) = ([Tally::default(); 6], [(0.0, 0); 3]);
    for ((z, y, x), value) in spectrum.indexed_iter() {
        let f = [frequency(0, z), frequency(1, y), frequency(2, x)];
        let power = f64::from(value.norm_sqr());
        for (tally, [r, b, t]) in tallies.iter_mut().zip(PAIRS) {
            if ACROSS.contains(&f[b].hypot(f[t])) {
                far_along(tally, [f[r], f[b], f[t]], power);
            }
        }
        for (axis, cone) in cones.iter_mut().enumerate() {
            let across = f[(axis + 1) % 3].hypot(f[(axis + 2) % 3]);
            if CONE.contains(&f[axis]) && across <= WITHIN * f[axis] {
                *cone = (cone.0 + power, cone.1 + 1);
            }
        }
    }
    best(&tallies, &cones.map(mean))
}

/// Adds the power of a frequency, given along r, b and the third axis, to what lies far along r.
fn far_along(tally: &mut Tally, [r, b, t]: [f64; 3], power: f64) {
    if r < b.hypot(t) {
        return;
    }
    if t <= WITHIN * b {
        tally[0] = (tally[0].0 + power, tally[0].1 + 1);
    } else if b <= t {
        tally[1] = (tally[1].0 + power, tally[1].1 + 1);
    }
}

fn mean((power, n): (f64, u64)) -> f64 {
    if n == 0 { f64::NAN } else { power / n as f64 }
}

/// The pair with the lowest score, and the next lowest.
fn best(tallies: &[Tally; 6], cones: &[f64; 3]) -> Option<Beam> {
    let score = |(tally, [r, b, _]): (&Tally, [usize; 3])| {
        let (wedge, cone) = (mean(tally[0]) / mean(tally[1]), cones[b] / cones[r]);
        if wedge.is_finite() && cone.is_finite() { wedge.max(cone) } else { f64::NAN }
    };
    let scores: Vec<f64> = tallies.iter().zip(PAIRS).map(score).collect();
    let mut order: Vec<usize> = (0..6).filter(|pair| scores[*pair].is_finite()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let [first, next, ..] = *order else { return None };
    let [rotation, beam, _] = PAIRS[first];
    Some(Beam { beam, rotation, ratio: scores[first], next: scores[next] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Unit;
    use ndarray::Axis;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, StandardNormal};
    use rustfft::{FftDirection, FftPlanner};

    const N: usize = 48;

    fn transform(data: &mut Array3<Complex<f32>>, direction: FftDirection) {
        let fft = FftPlanner::new().plan_fft(N, direction);
        for axis in 0..3 {
            for mut lane in data.lanes_mut(Axis(axis)) {
                let mut line = lane.to_vec();
                fft.process(&mut line);
                lane.iter_mut().zip(line).for_each(|(to, value)| *to = value);
            }
        }
    }

    /// Noise whose frequencies have the amplitude that each is given.
    fn noise(amplitude: impl Fn([f64; 3]) -> f64) -> Volume<f32> {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(3);
        let mut data =
            Array3::from_shape_simple_fn((N, N, N), || Complex::new(StandardNormal.sample(&mut rng), 0.0));
        transform(&mut data, FftDirection::Forward);
        let frequency = |k: usize| if 2 * k < N { k as f64 } else { k as f64 - N as f64 } / N as f64;
        for ((z, y, x), value) in data.indexed_iter_mut() {
            *value *= amplitude([z, y, x].map(frequency)) as f32;
        }
        transform(&mut data, FftDirection::Inverse);
        Volume::new(data.mapv(|value| value.re), Some([0.02; 3]), Unit::PerUm)
    }

    /// Whether a tilt about axis r of ±60° from beam b misses a frequency.
    fn is_missing(f: [f64; 3], r: usize, b: usize) -> bool {
        let t = 3 - r - b;
        f[t].abs() < f[b].abs() * 30f64.to_radians().tan()
    }

    #[test]
    fn the_wedge_names_beam_and_rotation_axis() {
        for (r, b) in [(1, 0), (0, 1), (2, 0)] {
            let volume = noise(|f| if is_missing(f, r, b) { 0.0 } else { 1.0 });
            let found = beam_axis(&Progress::new(), &volume).unwrap().unwrap();
            assert!(found.is_clear() && (found.rotation, found.beam) == (r, b), "{r} {b}: {found:?}");
        }
    }

    #[test]
    fn a_whole_turn_is_no_evidence_even_where_the_ramp_makes_its_axis_quiet() {
        let all = noise(|_| 1.0);
        let ramp = noise(|f| f[0].hypot(f[2]));
        let flat = noise(|f| (-(f[0] / 0.1).powi(2)).exp());
        for volume in [all, ramp, flat] {
            let found = beam_axis(&Progress::new(), &volume).unwrap();
            assert!(found.is_none_or(|found| !found.is_clear()), "{found:?}");
        }
        let constant = Volume::new(Array3::from_elem((20, 20, 20), 1.0), None, Unit::PerUm);
        assert_eq!(beam_axis(&Progress::new(), &constant).unwrap(), None);
    }
}
