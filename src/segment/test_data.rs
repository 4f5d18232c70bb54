//! Small volumes with known truth, for the tests of this floor.

use ndarray::Array3;

use super::Regions;
use crate::base::Unit;
use crate::volume::Volume;

/// Class of every voxel: 0 around, 1 in a large ball, 2 in two small balls within it.
pub(crate) fn balls(shape: [usize; 3]) -> Array3<u16> {
    let centre = shape.map(|n| (n as f32 - 1.0) / 2.0);
    let r = shape.into_iter().min().unwrap_or(0) as f32;
    let inside = |zyx: [usize; 3], offset: f32, radius: f32| {
        let d2: f32 = (0..3)
            .map(|a| zyx[a] as f32 - centre[a] - if a == 2 { offset } else { 0.0 })
            .map(|d| d * d)
            .sum();
        d2 < radius * radius
    };
    Array3::from_shape_fn(shape, |(z, y, x)| {
        let zyx = [z, y, x];
        if inside(zyx, -0.18 * r, 0.14 * r) || inside(zyx, 0.2 * r, 0.12 * r) {
            2
        } else {
            u16::from(inside(zyx, 0.0, 0.42 * r))
        }
    })
}

/// [`balls`] with values 0.1, 0.25 and 0.5 and noise of standard deviation 0.05.
pub(crate) fn noisy_balls(shape: [usize; 3], seed: u32) -> Volume<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0
    };
    let data = balls(shape).mapv(|class| {
        // Twelve uniform deviates minus six: close to a normal deviate.
        let noise = (0..12).map(|_| uniform()).sum::<f32>() - 6.0;
        [0.1, 0.25, 0.5][class as usize] + 0.05 * noise
    });
    Volume::new(data, Some([0.02; 3]), Unit::PerUm)
}

/// Whether every region can be walked through faces from its first voxel.
pub(crate) fn regions_are_connected(regions: &Regions) -> bool {
    let [nz, ny, nx] = regions.shape();
    let ids = regions.values();
    let mut seen = vec![false; ids.len()];
    let mut started = vec![false; regions.n as usize + 1];
    for first in 0..ids.len() {
        if seen[first] || ids[first] == 0 {
            continue;
        }
        if std::mem::replace(&mut started[ids[first] as usize], true) {
            return false;
        }
        let mut stack = vec![first];
        seen[first] = true;
        while let Some(i) = stack.pop() {
            let (z, y, x) = (i / (ny * nx), i / nx % ny, i % nx);
            let steps = [
                (z > 0, i.wrapping_sub(ny * nx)),
                (z + 1 < nz, i + ny * nx),
                (y > 0, i.wrapping_sub(nx)),
                (y + 1 < ny, i + nx),
                (x > 0, i.wrapping_sub(1)),
                (x + 1 < nx, i + 1),
            ];
            for (_, j) in steps.into_iter().filter(|(is_inside, _)| *is_inside) {
                if ids[j] == ids[first] && !seen[j] {
                    seen[j] = true;
                    stack.push(j);
                }
            }
        }
    }
    started[1..].iter().all(|s| *s)
}
