//! Median of a cube of voxels.
//!
//! The median is found by halving: as whole numbers in the order of the values, the smallest of which half of the cube are not
//! above it. Sixteen neighbouring voxels are worked on side by side without a branch, so that the loop is one of compares and
//! adds in vectors; a voxel costs at most 33 looks at each of its `(2r + 1)³` neighbours. The result is a value that occurs:
//! no rounding. What is NaN is left out of the cubes of others, of an even number the lower of the two middle values is
//! taken; where the centre is NaN it stays. Volumes are mirrored at their faces, the face voxel repeated.
//! Memory: the result, and `(2r + 1)²` rows a thread.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use super::mirrored;
use crate::base::{Cancelled, Progress};

/// Voxels side by side.
const BESIDE: usize = 16;
/// What stands for NaN: above every number.
const NONE: i32 = i32::MAX;

/// A value as a whole number of the same order.
#[inline(always)]
fn key(value: f32) -> i32 {
    let bits = value.to_bits() as i32;
    let ordered = bits ^ ((bits >> 31) & 0x7fff_ffff);
    if value.is_nan() { NONE } else { ordered }
}

#[inline(always)]
fn value(key: i32) -> f32 {
    if key == NONE { f32::NAN } else { f32::from_bits((key ^ ((key >> 31) & 0x7fff_ffff)) as u32) }
}

/// The rows around one row, as keys, each with `radius` voxels more at both ends and room for whole groups.
struct Rows {
    keys: Vec<i32>,
    stride: usize,
    /// Voxels of a cube that one row holds.
    width: usize,
}

impl Rows {
    fn new(nx: usize, radius: usize) -> Self {
        let width = 2 * radius + 1;
        let stride = nx.next_multiple_of(BESIDE) + 2 * radius;
        Self { keys: vec![NONE; width * width * stride], stride, width }
    }

    fn fill(&mut self, array: &ArrayView3<'_, f32>, z: usize, y: usize) {
        let (nz, ny, nx) = array.dim();
        let r = self.width / 2;
        for (row, keys) in self.keys.chunks_exact_mut(self.stride).enumerate() {
            let zz = mirrored((z + row / self.width) as isize - r as isize, nz);
            let yy = mirrored((y + row % self.width) as isize - r as isize, ny);
            let line = array.slice(ndarray::s![zz, yy, ..]);
            for (to, from) in keys[r..].iter_mut().zip(&line) {
                *to = key(*from);
            }
            for k in 1..=r {
                keys[r - k] = key(line[mirrored(-(k as isize), nx)]);
                keys[r + nx - 1 + k] = key(line[mirrored((nx - 1 + k) as isize, nx)]);
            }
        }
    }

    /// How many voxels of each of the cubes from column `x` on are at most `least`.
    #[inline(always)]
    fn at_most(&self, x: usize, least: &[i32; BESIDE]) -> [i32; BESIDE] {
        let mut counts = [0; BESIDE];
        for row in self.keys.chunks_exact(self.stride) {
            for dx in 0..self.width {
                let keys = &row[x + dx..x + dx + BESIDE];
                for ((count, key), least) in counts.iter_mut().zip(keys).zip(least) {
                    *count += i32::from(key <= least);
                }
            }
        }
        counts
    }

    /// The medians of the cubes around columns `x` to `x + 16`.
    #[inline(always)]
    fn medians(&self, x: usize) -> [i32; BESIDE] {
        let numbers = self.at_most(x, &[NONE - 1; BESIDE]);
        let wanted = numbers.map(|n| (n + 1) / 2);
        let (mut low, mut high) = ([i32::MIN; BESIDE], [NONE; BESIDE]);
        for _ in 0..32 {
            let mut middle = [0; BESIDE];
            for ((middle, low), high) in middle.iter_mut().zip(low).zip(high) {
                // The mean without overflow.
                *middle = (low & high) + ((low ^ high) >> 1);
            }
            let counts = self.at_most(x, &middle);
            let mut open = false;
            for lane in 0..BESIDE {
                let enough = counts[lane] >= wanted[lane];
                high[lane] = if enough { middle[lane] } else { high[lane] };
                low[lane] = if enough { low[lane] } else { middle[lane].saturating_add(1) };
                open |= low[lane] < high[lane];
            }
            if !open {
                break;
            }
        }
        high
    }
}

/// The median of the cube of `2 radius + 1` voxels around every voxel.
///
/// # Errors
/// [`Cancelled`], checked once per row.
pub fn median(
    progress: &Progress,
    array: &ArrayView3<'_, f32>,
    radius: usize,
) -> Result<Array3<f32>, Cancelled> {
    let (nz, ny, nx) = array.dim();
    progress.phase("Median", (nz * ny) as u64);
    progress.check()?;
    let mut out = Array3::zeros((nz, ny, nx));
    let values = out.as_slice_mut().unwrap_or(&mut []);
    values.par_chunks_mut(nx.max(1)).enumerate().try_for_each_init(
        || Rows::new(nx, radius),
        |rows, (line, out)| {
            progress.check()?;
            let (z, y) = (line / ny, line % ny);
            rows.fill(array, z, y);
            pulp::Arch::new().dispatch(|| {
                for (group, out) in out.chunks_mut(BESIDE).enumerate() {
                    let found = rows.medians(group * BESIDE);
                    out.iter_mut().zip(found).for_each(|(out, key)| *out = value(key));
                }
            });
            for (out, centre) in out.iter_mut().zip(array.slice(ndarray::s![z, y, ..])) {
                *out = if centre.is_nan() { *centre } else { *out };
            }
            progress.advance(1);
            Ok(())
        },
    )?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::tests::noise;
    use super::*;

    /// As the words say it.
    fn sorted(array: &Array3<f32>, radius: isize) -> Array3<f32> {
        let (nz, ny, nx) = array.dim();
        Array3::from_shape_fn(array.dim(), |(z, y, x)| {
            let mut values = Vec::new();
            for dz in -radius..=radius {
                for dy in -radius..=radius {
                    for dx in -radius..=radius {
                        let at = |i: usize, d: isize, n: usize| mirrored(i as isize + d, n);
                        values.push(array[[at(z, dz, nz), at(y, dy, ny), at(x, dx, nx)]]);
                    }
                }
            }
            values.retain(|value| !value.is_nan());
            values.sort_by(f32::total_cmp);
            if array[[z, y, x]].is_nan() { f32::NAN } else { values[(values.len() - 1) / 2] }
        })
    }

    #[test]
    fn every_value_is_that_of_the_sorted_cube_whatever_sign_and_nan() {
        let mut array = noise([5, 6, 37]);
        array[[2, 3, 17]] = f32::NAN;
        array[[0, 0, 0]] = f32::NAN;
        array[[4, 5, 30]] = f32::INFINITY;
        array[[4, 5, 31]] = f32::NEG_INFINITY;
        for radius in [1, 2] {
            let found = median(&Progress::new(), &array.view(), radius).unwrap();
            let expected = sorted(&array, radius as isize);
            let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
            assert!(found.iter().zip(&expected).all(same), "{radius}");
        }
    }

    #[test]
    fn an_outlier_goes_and_a_step_stays() {
        let mut array = Array3::from_shape_fn((7, 7, 20), |(_, _, x)| if x < 10 { 0.25 } else { 0.5f32 });
        let step = array.clone();
        array[[3, 3, 4]] = 9.0;
        assert_eq!(median(&Progress::new(), &array.view(), 1).unwrap(), step);
    }
}
