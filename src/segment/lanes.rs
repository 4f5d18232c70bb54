//! Rows of class probabilities in whole vector registers, and the little arithmetic that is done on them.
//!
//! A row of `n_classes` values is padded with zeros to [`width`] groups of [`LANES`]; loops over a group have no
//! remainder, so that the compiler turns them into vector instructions.

use ndarray::Array3;
use rayon::prelude::*;

/// Classes that are worked on together.
pub(super) const LANES: usize = 8;
pub(super) type Lanes = [f32; LANES];
/// Rows per unit of parallel work.
const BLOCK: usize = 2048;

/// Groups of lanes that a row of classes takes.
pub(super) fn width(n_classes: usize) -> usize {
    n_classes.div_ceil(LANES)
}

/// One row and a multiple of another.
#[inline(always)]
pub(super) fn add_scaled(a: &Lanes, b: &Lanes, weight: f32) -> Lanes {
    let mut out = *a;
    for i in 0..LANES {
        out[i] += weight * b[i];
    }
    out
}

/// From one row to another by a fraction.
#[inline(always)]
fn mix(a: &Lanes, b: &Lanes, fraction: f32) -> Lanes {
    let mut out = *a;
    for i in 0..LANES {
        out[i] += fraction * (b[i] - a[i]);
    }
    out
}

/// Cells on either side of a place on an axis of `n`, and how far it is from the first to the second.
#[inline(always)]
fn between(at: f32, n: usize) -> (usize, usize, f32) {
    let at = at.clamp(0.0, (n - 1) as f32);
    let low = (at as usize).min(n.saturating_sub(2));
    (low, (low + 1).min(n - 1), at - low as f32)
}

/// Padded copies of rows.
pub(super) fn padded(rows: &[f32], n_classes: usize) -> Vec<Lanes> {
    let width = width(n_classes);
    let mut out = vec![[0.0; LANES]; rows.len() / n_classes * width];
    out.par_chunks_mut(width * BLOCK).zip(rows.par_chunks(n_classes * BLOCK)).for_each(|(out, rows)| {
        for (out, row) in out.chunks_exact_mut(width).zip(rows.chunks_exact(n_classes)) {
            out.as_flattened_mut()[..n_classes].copy_from_slice(row);
        }
    });
    out
}

/// Rows without their padding.
pub(super) fn unpadded(rows: Vec<Lanes>, n_classes: usize) -> Vec<f32> {
    let width = width(n_classes);
    if width * LANES == n_classes {
        return rows.into_flattened();
    }
    let mut out = vec![0.0; rows.len() / width * n_classes];
    out.par_chunks_mut(n_classes * BLOCK).zip(rows.par_chunks(width * BLOCK)).for_each(|(out, rows)| {
        for (out, row) in out.chunks_exact_mut(n_classes).zip(rows.chunks_exact(width)) {
            out.copy_from_slice(&row.as_flattened()[..n_classes]);
        }
    });
    out
}

/// Natural logarithm of a positive number, right to 1e-4: exponent, and a polynomial of the mantissa.
#[inline(always)]
pub(super) fn quick_ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let m = f32::from_bits(bits & 0x007F_FFFF | 0x3F80_0000);
    // ln m = 2 artanh((m - 1) / (m + 1)).
    let t = (m - 1.0) / (m + 1.0);
    let squared = t * t;
    exponent as f32 * std::f32::consts::LN_2
        + 2.0 * t * (1.0 + squared * (1.0 / 3.0 + squared * (0.2 + squared / 7.0)))
}

/// Exponential of a number that is not positive, right to a few parts in a million; below -80 as at -80.
#[inline(always)]
pub(super) fn quick_exp(x: f32) -> f32 {
    // 2^(n + f) with f within half of 0: adding and subtracting 1.5 · 2²³ rounds.
    const ROUND: f32 = 12_582_912.0;
    let power = x.max(-80.0) * std::f32::consts::LOG2_E;
    let shifted = power + ROUND;
    let n = shifted - ROUND;
    let f = (power - n) * std::f32::consts::LN_2;
    let fraction = 1.0 + f * (1.0 + f * (0.5 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0)))));
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    f32::from_bits(exponent.wrapping_add(127) << 23) * fraction
}

/// A coarse grid with a row of classes in every cell.
pub(super) struct LaneGrid {
    shape: [usize; 3],
    width: usize,
    cells: Vec<Lanes>,
}

impl LaneGrid {
    /// From one grid per class, all of one shape, each value as `of` makes it from the value and its index.
    pub(super) fn new(grids: &[Array3<f32>], of: impl Fn(f32, usize) -> f32 + Sync) -> Self {
        let (nz, ny, nx) = grids.first().map_or((0, 0, 0), Array3::dim);
        let width = width(grids.len());
        let values: Vec<&[f32]> = grids.iter().map(|grid| grid.as_slice().unwrap_or(&[])).collect();
        let mut cells = vec![[0.0; LANES]; nz * ny * nx * width];
        cells.par_chunks_mut(width * BLOCK).enumerate().for_each(|(block, cells)| {
            for (i, cell) in cells.chunks_exact_mut(width).enumerate() {
                let index = block * BLOCK + i;
                for (lane, values) in cell.as_flattened_mut().iter_mut().zip(&values) {
                    *lane = of(values[index], index);
                }
            }
        });
        Self { shape: [nz, ny, nx], width, cells }
    }

    /// Trilinear sample of all classes at a fractional index (z, y, x), clamped to the grid.
    #[inline(always)]
    pub(super) fn sample(&self, at: [f32; 3], out: &mut [Lanes]) {
        let [nz, ny, nx] = self.shape;
        let w = self.width;
        let ((z0, z1, fz), (y0, y1, fy), (x0, x1, fx)) =
            (between(at[0], nz), between(at[1], ny), between(at[2], nx));
        let lines = [(z0 * ny + y0) * nx, (z0 * ny + y1) * nx, (z1 * ny + y0) * nx, (z1 * ny + y1) * nx];
        for (group, out) in out.iter_mut().enumerate().take(w) {
            let [a, b, c, d] = lines.map(|line| {
                mix(&self.cells[(line + x0) * w + group], &self.cells[(line + x1) * w + group], fx)
            });
            *out = mix(&mix(&a, &b, fy), &mix(&c, &d, fy), fz);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::features::sample;

    #[test]
    fn the_quick_logarithm_and_exponential_are_near_the_true_ones() {
        for i in 1..2000 {
            let x = i as f32 * 0.001;
            assert!((quick_ln(x) - x.ln()).abs() < 1e-4, "{x}: {} {}", quick_ln(x), x.ln());
            let y = -x * 40.0;
            assert!((quick_exp(y) / y.exp() - 1.0).abs() < 2e-5, "{y}: {} {}", quick_exp(y), y.exp());
        }
        assert_eq!(quick_exp(0.0), 1.0);
        assert!(quick_exp(f32::NEG_INFINITY) < 1e-34);
    }

    #[test]
    fn padding_comes_and_goes_and_all_classes_are_sampled_as_one() {
        for k in [2, 8, 11] {
            let rows: Vec<f32> = (0..k * 5).map(|i| i as f32).collect();
            let wide = padded(&rows, k);
            assert_eq!(wide.len(), 5 * width(k));
            assert_eq!(unpadded(wide, k), rows);
            let grids: Vec<Array3<f32>> = (0..k)
                .map(|c| Array3::from_shape_fn((3, 1, 4), |(z, _, x)| ((z * 7 + x * 3 + c * 5) % 11) as f32))
                .collect();
            let together = LaneGrid::new(&grids, |v, _| v);
            for at in [[0.3, 0.0, 2.6], [-1.0, 2.0, 9.0], [2.0, 0.0, 3.0]] {
                let mut out = vec![[0.0; LANES]; width(k)];
                together.sample(at, &mut out);
                for (c, grid) in grids.iter().enumerate() {
                    assert_eq!(out.as_flattened()[c], sample(grid.view(), at), "{at:?} class {c}");
                }
            }
        }
    }
}
