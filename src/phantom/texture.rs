//! Band-limited random fields: the grain of every class and the wobble of every surface.
//!
//! One periodic tile of Gaussian-smoothed white noise is made per seed and read by trilinear
//! interpolation at any scale, offset and rotation. That is cheap, isotropic and free of the axis
//! marks of value noise; repeats of the tile are hidden by rotation and by summing octaves.

use glam::{Mat3, Quat, Vec3};
use rayon::prelude::*;

/// Edge of the tile in lattice points, a power of two.
const TILE: usize = 128;
/// Standard deviation of the smoothing in lattice points.
const SIGMA: f32 = 2.0;
/// Width at half maximum of the field's autocorrelation, in lattice points: the size of a grain.
const GRAIN_POINTS: f32 = 6.7;

/// A well-mixed 64-bit value from a seed and a position in a stream (the finaliser of SplitMix64).
pub(super) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A periodic random field of mean 0 and standard deviation 1.
pub(super) struct NoiseTile {
    values: Vec<f32>,
}

/// Where and how finely a [`NoiseTile`] is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Octave {
    /// Standard deviation of what is added.
    pub(super) amplitude: f32,
    tile_from_um: Mat3,
    offset: Vec3,
}

impl Octave {
    /// Noise of grains about `grain_um` wide; `stream` picks offset and rotation.
    pub(super) fn new(seed: u64, stream: u64, amplitude: f32, grain_um: f32) -> Self {
        let unit = |k: u64| mix(mix(seed, stream), k) as f32 / u64::MAX as f32;
        let turn = Quat::from_euler(
            glam::EulerRot::XYZ,
            0.4 + unit(0),
            0.3 + unit(1),
            unit(2) * std::f32::consts::TAU,
        );
        let scale = GRAIN_POINTS / grain_um;
        Self {
            amplitude,
            tile_from_um: Mat3::from_quat(turn) * scale,
            offset: Vec3::new(unit(3), unit(4), unit(5)) * TILE as f32,
        }
    }
}

impl NoiseTile {
    /// The tile of a seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut values = vec![0.0f32; TILE * TILE * TILE];
        values.par_chunks_mut(TILE * TILE).enumerate().for_each(|(z, plane)| {
            for (i, value) in plane.iter_mut().enumerate() {
                let bits = mix(seed, (z * TILE * TILE + i) as u64);
                // The sum of four 16-bit numbers is near enough to a normal deviate: smoothing does the rest.
                let sum: u64 = (0..4).map(|k| (bits >> (16 * k)) & 0xFFFF).sum();
                *value = sum as f32 / 65535.0 - 2.0;
            }
        });
        for stride in [1, TILE, TILE * TILE] {
            values = smoothed(&values, stride);
        }
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
        let variance =
            values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let gain = 1.0 / variance.sqrt();
        values.par_iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) * gain) as f32);
        Self { values }
    }

    /// The field at a point in µm, mean 0, standard deviation `octave.amplitude`.
    pub(super) fn sample(&self, octave: &Octave, point_um: Vec3) -> f32 {
        let q = octave.tile_from_um * point_um + octave.offset;
        let floor = q.floor();
        let [tx, ty, tz] = (q - floor).to_array();
        let wrap = |v: f32| (v as i32 & (TILE as i32 - 1)) as usize;
        let (x0, y0, z0) = (wrap(floor.x), wrap(floor.y), wrap(floor.z));
        let next = |i: usize| (i + 1) & (TILE - 1);
        let (x1, y1, z1) = (next(x0), next(y0), next(z0));
        let row = |z: usize, y: usize| {
            let base = (z * TILE + y) * TILE;
            let a = self.values[base + x0];
            a + (self.values[base + x1] - a) * tx
        };
        let (a, b) = (row(z0, y0), row(z0, y1));
        let (c, d) = (row(z1, y0), row(z1, y1));
        let (low, high) = (a + (b - a) * ty, c + (d - c) * ty);
        octave.amplitude * (low + (high - low) * tz)
    }

    /// Sum of several octaves.
    pub(super) fn sum(&self, octaves: &[Octave], point_um: Vec3) -> f32 {
        octaves.iter().map(|octave| self.sample(octave, point_um)).sum()
    }
}

/// The tile smoothed along the axis of this stride, periodic.
fn smoothed(values: &[f32], stride: usize) -> Vec<f32> {
    let radius = (4.0 * SIGMA) as usize;
    let kernel: Vec<f32> =
        (0..=2 * radius).map(|i| (-0.5 * ((i as f32 - radius as f32) / SIGMA).powi(2)).exp()).collect();
    let mut out = vec![0.0f32; values.len()];
    out.par_chunks_mut(TILE).enumerate().for_each(|(line, row)| {
        for (x, value) in row.iter_mut().enumerate() {
            let index = line * TILE + x;
            let position = index / stride % TILE;
            let base = index - position * stride;
            *value = kernel
                .iter()
                .enumerate()
                .map(|(i, w)| w * values[base + ((position + TILE + i - radius) % TILE) * stride])
                .sum();
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_has_the_asked_spread_and_grain() {
        let tile = NoiseTile::new(3);
        let octave = Octave::new(3, 1, 0.5, 0.2);
        let at = |x: f32| tile.sample(&octave, Vec3::new(x, 0.3 * x, -0.7 * x) * 20.0);
        let n = 20_000;
        let samples: Vec<f32> = (0..n).map(|i| at(i as f32 / n as f32 * 10.0)).collect();
        let mean = samples.iter().sum::<f32>() / n as f32;
        let sd = (samples.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n as f32).sqrt();
        // A line crosses some hundreds of independent grains; trilinear reading loses a few per cent of the spread.
        assert!((sd - 0.5).abs() < 0.06, "sd {sd}");
        let p = Vec3::new(1.0, 2.0, 3.0);
        let near = tile.sample(&octave, p) - tile.sample(&octave, p + Vec3::X * 0.01);
        assert!(near.abs() < 0.2, "the field is smooth over a twentieth of a grain, step {near}");
    }
}
