//! Values and ids between voxel centres, in f64.

use glam::DVec3;

use crate::volume::{Labels, Volume};

/// A value as it is drawn: what is not finite counts as 0.
fn drawn(value: f32) -> f64 {
    if value.is_finite() { f64::from(value) } else { 0.0 }
}

/// Value at the nearest voxel, ends continued.
pub(super) fn nearest(volume: &Volume<f32>, p: DVec3) -> f64 {
    let [nz, ny, nx] = volume.shape();
    let index = |v: f64, n: usize| ((v + 0.5).floor().max(0.0) as usize).min(n - 1);
    let (z, y, x) = (index(p.z, nz), index(p.y, ny), index(p.x, nx));
    drawn(volume.values()[(z * ny + y) * nx + x])
}

/// Value linear between voxel centres, ends continued.
pub(super) fn linear(volume: &Volume<f32>, p: DVec3) -> f64 {
    let [nz, ny, nx] = volume.shape();
    let values = volume.values();
    let split = |v: f64, n: usize| {
        let v = v.clamp(0.0, (n - 1) as f64);
        let i = (v as usize).min(n.saturating_sub(2));
        (i, (i + 1).min(n - 1), v - i as f64)
    };
    let ((z0, z1, fz), (y0, y1, fy), (x0, x1, fx)) = (split(p.z, nz), split(p.y, ny), split(p.x, nx));
    let row = |z: usize, y: usize| {
        let base = (z * ny + y) * nx;
        drawn(values[base + x0]) * (1.0 - fx) + drawn(values[base + x1]) * fx
    };
    let plane = |z: usize| row(z, y0) * (1.0 - fy) + row(z, y1) * fy;
    plane(z0) * (1.0 - fz) + plane(z1) * fz
}

/// Weights of four neighbours, one before to two behind, at a fraction from 0 to 1: cubic after Catmull and Rom.
///
/// They add up to 1, are exact at the centres and for straight lines. Keep in sync with `weights` in slice.wgsl.
fn cubic_weights(f: f64) -> [f64; 4] {
    let (f2, f3) = (f * f, f * f * f);
    [
        0.5 * (-f3 + 2.0 * f2 - f),
        0.5 * (3.0 * f3 - 5.0 * f2 + 2.0),
        0.5 * (-3.0 * f3 + 4.0 * f2 + f),
        0.5 * (f3 - f2),
    ]
}

/// Value cubic through voxel centres, ends continued.
pub(super) fn cubic(volume: &Volume<f32>, p: DVec3) -> f64 {
    let [nz, ny, nx] = volume.shape();
    let values = volume.values();
    let taps = |v: f64, n: usize| {
        let base = v.floor();
        let weights = cubic_weights(v - base);
        let last = n as f64 - 1.0;
        std::array::from_fn::<_, 4, _>(|i| ((base + i as f64 - 1.0).clamp(0.0, last) as usize, weights[i]))
    };
    let (zs, ys, xs) = (taps(p.z, nz), taps(p.y, ny), taps(p.x, nx));
    let mut sum = 0.0;
    for (z, wz) in zs {
        for (y, wy) in ys {
            let row = &values[(z * ny + y) * nx..][..nx];
            sum += wz * wy * xs.iter().map(|(x, wx)| drawn(row[*x]) * wx).sum::<f64>();
        }
    }
    sum
}

/// Id at a place, 0 outside.
pub(super) fn id_at(labels: &Labels, p: DVec3) -> u16 {
    let [x, y, z] = (p + 0.5).floor().to_array();
    if x < 0.0 || y < 0.0 || z < 0.0 {
        return 0;
    }
    labels.get([z as usize, y as usize, x as usize])
}
