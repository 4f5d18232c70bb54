//! The exact Euclidean distance transform.
//!
//! Squared distance to the nearest site, one axis after the other: along x by two sweeps, then along
//! y and z as the lower envelope of parabolas (Felzenszwalb and Huttenlocher 2012,
//! doi:10.4086/toc.2012.v008a019). Voxels may have three different edges. Time is linear in the
//! voxels; memory is the output and a few columns per thread.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use crate::base::{Cancelled, Progress};

/// Columns that are transposed into a buffer at a time: one cache line of f32.
const TILE: usize = 16;

/// Distance of every voxel's centre to the centre of the nearest voxel for which `is_site` holds.
///
/// `spacing_zyx` is the size of a voxel as z, y, x, and the result is in its unit; 0 on sites, infinite
/// everywhere if there are none. Shape as the input.
///
/// # Errors
/// Cancel.
pub fn distance_to<T: Copy + Sync>(
    progress: &Progress,
    array: &ArrayView3<'_, T>,
    is_site: impl Fn(T) -> bool + Sync,
    spacing_zyx: [f64; 3],
) -> Result<Array3<f32>, Cancelled> {
    let (nz, ny, nx) = array.dim();
    let mut out = Array3::<f32>::zeros((nz, ny, nx));
    if out.is_empty() {
        return Ok(out);
    }
    let array = array.as_standard_layout();
    let sites = array.as_slice().unwrap_or(&[]);
    let squared = out.as_slice_mut().unwrap_or(&mut []);
    let plane = ny * nx;
    progress.phase("Distances", (nz + ny) as u64);
    squared.par_chunks_mut(plane).zip(sites.par_chunks(plane)).try_for_each(|(slice, sites)| {
        progress.check()?;
        for (row, sites) in slice.chunks_exact_mut(nx).zip(sites.chunks_exact(nx)) {
            sweep_row(row, sites, &is_site, spacing_zyx[2]);
        }
        let mut envelope = Envelope::new(ny, spacing_zyx[1]);
        for x in (0..nx).step_by(TILE) {
            envelope.columns(slice, x, (nx - x).min(TILE), nx, |d| d);
        }
        progress.advance(1);
        Ok::<(), Cancelled>(())
    })?;
    // Along z the columns cross all slices; transposing a band of rows at a time keeps writes apart.
    across_slices(progress, squared, [nz, ny, nx], spacing_zyx[0])?;
    Ok(out)
}

/// The pass along z, with the square root on the way out.
fn across_slices(
    progress: &Progress,
    squared: &mut [f32],
    [nz, ny, nx]: [usize; 3],
    spacing: f64,
) -> Result<(), Cancelled> {
    // Band y holds row y of every slice, so that each thread owns what it writes.
    let mut bands: Vec<Vec<&mut [f32]>> = (0..ny).map(|_| Vec::with_capacity(nz)).collect();
    for slice in squared.chunks_exact_mut(ny * nx) {
        for (band, row) in bands.iter_mut().zip(slice.chunks_exact_mut(nx)) {
            band.push(row);
        }
    }
    bands.into_par_iter().try_for_each(|mut rows| {
        progress.check()?;
        let mut envelope = Envelope::new(nz, spacing);
        for x in (0..nx).step_by(TILE) {
            let width = (nx - x).min(TILE);
            for (z, row) in rows.iter().enumerate() {
                envelope.load(z, &row[x..x + width]);
            }
            envelope.solve(width, f32::sqrt);
            for (z, row) in rows.iter_mut().enumerate() {
                envelope.store(z, &mut row[x..x + width]);
            }
        }
        progress.advance(1);
        Ok(())
    })
}

/// Squared distance along one row.
fn sweep_row<T: Copy>(row: &mut [f32], sites: &[T], is_site: &impl Fn(T) -> bool, spacing: f64) {
    let mut last = f32::INFINITY;
    for (value, site) in row.iter_mut().zip(sites) {
        last = if is_site(*site) { 0.0 } else { last + 1.0 };
        *value = last;
    }
    let mut next = f32::INFINITY;
    let scale = (spacing * spacing) as f32;
    for value in row.iter_mut().rev() {
        next = if *value == 0.0 { 0.0 } else { next + 1.0 };
        let steps = value.min(next);
        *value = steps * steps * scale;
    }
}

/// Lower envelopes of parabolas over columns of one length, with the buffers they need.
struct Envelope {
    n: usize,
    /// Squared spacing of the samples of a column.
    step_sq: f64,
    /// `1 / (2 k · step_sq)` for every distance k of two samples.
    shares: Vec<f64>,
    /// Columns one after the other, transposed from the volume.
    tile: Vec<f32>,
    /// Vertex and height of the parabolas in the envelope, and where each begins to be the lowest.
    vertices: Vec<u32>,
    heights: Vec<f64>,
    begins: Vec<f64>,
}

impl Envelope {
    fn new(n: usize, spacing: f64) -> Self {
        Self {
            n,
            step_sq: spacing * spacing,
            shares: (0..n.max(1)).map(|k| 0.5 / (k.max(1) as f64 * spacing * spacing)).collect(),
            tile: vec![0.0; n * TILE],
            vertices: vec![0; n],
            heights: vec![0.0; n],
            begins: vec![0.0; n],
        }
    }

    fn load(&mut self, at: usize, values: &[f32]) {
        for (c, value) in values.iter().enumerate() {
            self.tile[c * self.n + at] = *value;
        }
    }

    fn store(&self, at: usize, values: &mut [f32]) {
        for (c, value) in values.iter_mut().enumerate() {
            *value = self.tile[c * self.n + at];
        }
    }

    /// Solves `width` neighbouring columns of a slice in place.
    fn columns(&mut self, slice: &mut [f32], x: usize, width: usize, nx: usize, finish: fn(f32) -> f32) {
        for y in 0..self.n {
            self.load(y, &slice[y * nx + x..][..width]);
        }
        self.solve(width, finish);
        for y in 0..self.n {
            self.store(y, &mut slice[y * nx + x..][..width]);
        }
    }

    fn solve(&mut self, width: usize, finish: fn(f32) -> f32) {
        for c in 0..width {
            self.solve_column(c, finish);
        }
    }

    fn solve_column(&mut self, c: usize, finish: fn(f32) -> f32) {
        let column = &mut self.tile[c * self.n..(c + 1) * self.n];
        // Among sites alone there is nothing to do; most columns of a sparse volume are such.
        if column.iter().fold(0u32, |far, d| far + u32::from(*d != 0.0)) == 0 {
            return;
        }
        let mut len = 0;
        for (q, height) in column.iter().enumerate() {
            if !height.is_finite() {
                continue;
            }
            let height = f64::from(*height);
            let mut begin = f64::NEG_INFINITY;
            while len > 0 {
                let p = self.vertices[len - 1] as usize;
                let rise = height - self.heights[len - 1];
                // Where the parabola of q gets below that of p, in samples.
                begin = rise * self.shares[q - p] + 0.5 * (q + p) as f64;
                if begin > self.begins[len - 1] {
                    break;
                }
                len -= 1;
                begin = f64::NEG_INFINITY;
            }
            self.vertices[len] = q as u32;
            self.heights[len] = height;
            self.begins[len] = begin;
            len += 1;
        }
        if len == 0 {
            column.fill(f32::INFINITY);
            return;
        }
        let mut k = 0;
        for (q, value) in column.iter_mut().enumerate() {
            while k + 1 < len && self.begins[k + 1] < q as f64 {
                k += 1;
            }
            let steps = q as f64 - f64::from(self.vertices[k]);
            *value = finish((self.heights[k] + steps * steps * self.step_sq) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn brute(array: &Array3<u8>, spacing: [f64; 3]) -> Array3<f64> {
        let sites: Vec<_> = array.indexed_iter().filter(|(_, v)| **v == 1).map(|(i, _)| i).collect();
        Array3::from_shape_fn(array.dim(), |(z, y, x)| {
            sites
                .iter()
                .map(|s| {
                    let d = [s.0 as f64 - z as f64, s.1 as f64 - y as f64, s.2 as f64 - x as f64];
                    (0..3).map(|a| (d[a] * spacing[a]).powi(2)).sum::<f64>()
                })
                .fold(f64::INFINITY, f64::min)
                .sqrt()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equals_brute_force_on_any_spacing(
            shape in (1usize..9, 1usize..9, 1usize..22),
            spacing in prop::array::uniform3(0.01f64..3.0),
            picks in prop::collection::vec(0usize..10_000, 0..12),
        ) {
            let mut array = Array3::<u8>::zeros(shape);
            let n = array.len();
            for pick in picks {
                *array.iter_mut().nth(pick % n).unwrap() = 1;
            }
            let got = distance_to(&Progress::new(), &array.view(), |v| v == 1, spacing).unwrap();
            for (got, want) in got.iter().zip(&brute(&array, spacing)) {
                // Squares are kept in f32: relative error of a few 1e-7.
                let same = f64::from(*got) == *want || (f64::from(*got) - want).abs() <= 1e-6 * want;
                prop_assert!(same, "{} instead of {}", got, want);
            }
        }
    }

    #[test]
    fn no_site_is_infinitely_far_and_empty_is_empty() {
        let progress = Progress::new();
        let none = distance_to(&progress, &Array3::<u8>::zeros((2, 3, 4)).view(), |v| v == 1, [1.0; 3]);
        assert!(none.unwrap().iter().all(|d| *d == f32::INFINITY));
        let empty = distance_to(&progress, &Array3::<u8>::zeros((2, 0, 4)).view(), |v| v == 1, [1.0; 3]);
        assert_eq!(empty.unwrap().dim(), (2, 0, 4));
        progress.cancel();
        let array = Array3::<u8>::zeros((2, 3, 4));
        assert_eq!(distance_to(&progress, &array.view(), |v| v == 1, [1.0; 3]), Err(Cancelled));
    }

    #[test]
    fn whole_distances_are_exact() {
        let array = Array3::from_shape_fn((1, 1, 2000), |(.., x)| u8::from(x == 3));
        let got = distance_to(&Progress::new(), &array.view(), |v| v == 1, [1.0; 3]).unwrap();
        assert!(got.indexed_iter().all(|((.., x), d)| *d == (x as f32 - 3.0).abs()));
    }
}
