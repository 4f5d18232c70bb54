//! Gaussian smoothing and halving of volumes, slice by slice.
//!
//! The Gaussian is a finite impulse response cut at [`TRUNCATE`] standard deviations and normalised to
//! sum 1; it is separable, so a voxel costs `3 (2r + 1)` multiply-adds with `r = ceil(TRUNCATE σ)`.
//! Large σ belong on a halved volume ([`halve`]): half the grid has an eighth of the voxels and half the
//! taps. Volumes are mirrored at their faces, the face voxel repeated (d c b a | a b c d), as most of the
//! field's tools do.
//!
//! Every output slice is computed on its own from the input slices around it (z first, then y, then x), so
//! a slab of slices gives the same bits as the whole volume, whatever the slab, and no intermediate volume
//! is held: the extra memory is two slices per thread. Inner loops run along x over contiguous rows and are
//! compiled for the widest vectors the processor has (`pulp`).

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use crate::base::{Cancelled, Progress};

/// Where the Gaussian is cut, in standard deviations.
pub const TRUNCATE: f32 = 3.5;

/// One half of a symmetric kernel: weight 0 is the centre.
#[derive(Debug, Clone, PartialEq)]
pub struct HalfKernel(Vec<f32>);

impl HalfKernel {
    /// A Gaussian of standard deviation `sigma` in voxels; below 0.05 voxel the identity.
    pub fn gaussian(sigma: f32) -> Self {
        if sigma < 0.05 {
            return Self(vec![1.0]);
        }
        let radius = (TRUNCATE * sigma).ceil().max(1.0) as usize;
        let weight = |k: usize| (-0.5 * (k as f64 / f64::from(sigma)).powi(2)).exp();
        let sum = weight(0) + 2.0 * (1..=radius).map(weight).sum::<f64>();
        Self((0..=radius).map(|k| (weight(k) / sum) as f32).collect())
    }

    /// How many voxels the kernel reaches to either side.
    pub fn radius(&self) -> usize {
        self.0.len() - 1
    }
}

/// Index mirrored into `0..n`, the face voxel repeated.
#[inline]
fn mirrored(index: isize, n: usize) -> usize {
    let n = n as isize;
    let period = 2 * n;
    let folded = index.rem_euclid(period);
    (if folded < n { folded } else { period - 1 - folded }) as usize
}

/// Scratch of one thread for [`smooth_slice`].
#[derive(Debug, Default)]
pub struct SliceScratch {
    plane: Vec<f32>,
    row: Vec<f32>,
}

/// Smooths slice `z` of a volume in standard layout into `out` (ny · nx values).
///
/// `values` are the volume's voxels, `shape` its z, y, x; one kernel per axis in the same order.
///
/// # Panics
/// If `values` or `out` do not have the length that `shape` says: a bug of the caller.
pub fn smooth_slice(
    values: &[f32],
    shape: [usize; 3],
    kernels: &[HalfKernel; 3],
    z: usize,
    scratch: &mut SliceScratch,
    out: &mut [f32],
) {
    let [nz, ny, nx] = shape;
    assert_eq!(values.len(), nz * ny * nx, "smooth_slice: values and shape disagree");
    assert_eq!(out.len(), ny * nx, "smooth_slice: the output is one slice");
    scratch.plane.resize(ny * nx, 0.0);
    scratch.row.resize(nx + 2 * kernels[2].radius(), 0.0);
    pulp::Arch::new().dispatch(|| {
        along_z(values, shape, &kernels[0], z, &mut scratch.plane);
        along_y(&scratch.plane, [ny, nx], &kernels[1], out);
        along_x(&kernels[2], nx, &mut scratch.row, out);
    });
}

#[inline(always)]
fn set_scaled(out: &mut [f32], a: &[f32], weight: f32) {
    for (o, a) in out.iter_mut().zip(a) {
        *o = weight * a;
    }
}

#[inline(always)]
fn add_scaled_pair(out: &mut [f32], a: &[f32], b: &[f32], weight: f32) {
    for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
        *o += weight * (a + b);
    }
}

#[inline(always)]
fn along_z(values: &[f32], [nz, ny, nx]: [usize; 3], kernel: &HalfKernel, z: usize, out: &mut [f32]) {
    let slice_len = ny * nx;
    for y in 0..ny {
        let row = |zz: usize| &values[zz * slice_len + y * nx..][..nx];
        let out_row = &mut out[y * nx..][..nx];
        set_scaled(out_row, row(z), kernel.0[0]);
        for (k, weight) in kernel.0.iter().enumerate().skip(1) {
            let (below, above) = (z as isize - k as isize, (z + k) as isize);
            add_scaled_pair(out_row, row(mirrored(below, nz)), row(mirrored(above, nz)), *weight);
        }
    }
}

#[inline(always)]
fn along_y(plane: &[f32], [ny, nx]: [usize; 2], kernel: &HalfKernel, out: &mut [f32]) {
    let row = |yy: usize| &plane[yy * nx..][..nx];
    for y in 0..ny {
        let out_row = &mut out[y * nx..][..nx];
        set_scaled(out_row, row(y), kernel.0[0]);
        for (k, weight) in kernel.0.iter().enumerate().skip(1) {
            let (below, above) = (y as isize - k as isize, (y + k) as isize);
            add_scaled_pair(out_row, row(mirrored(below, ny)), row(mirrored(above, ny)), *weight);
        }
    }
}

#[inline(always)]
fn along_x(kernel: &HalfKernel, nx: usize, padded: &mut [f32], plane: &mut [f32]) {
    let r = kernel.radius();
    if r == 0 {
        for value in plane {
            *value *= kernel.0[0];
        }
        return;
    }
    for row in plane.chunks_exact_mut(nx) {
        padded[r..r + nx].copy_from_slice(row);
        for k in 1..=r {
            padded[r - k] = row[mirrored(-(k as isize), nx)];
            padded[r + nx - 1 + k] = row[mirrored((nx - 1 + k) as isize, nx)];
        }
        set_scaled(row, &padded[r..r + nx], kernel.0[0]);
        for (k, weight) in kernel.0.iter().enumerate().skip(1) {
            add_scaled_pair(row, &padded[r - k..r - k + nx], &padded[r + k..r + k + nx], *weight);
        }
    }
}

/// Gaussian-smoothed copy of a volume; `sigma` in voxels per axis (z, y, x).
///
/// A NaN spreads to the whole reach of the kernel; callers that must refuse NaN do so first.
///
/// # Errors
/// [`Cancelled`], checked once per slice.
pub fn gaussian(
    progress: &Progress,
    volume: ArrayView3<'_, f32>,
    sigma: [f32; 3],
) -> Result<Array3<f32>, Cancelled> {
    let (nz, ny, nx) = volume.dim();
    let standard = volume.as_standard_layout();
    let values = standard.as_slice().unwrap_or(&[]);
    let kernels = sigma.map(HalfKernel::gaussian);
    let mut out = Array3::zeros((nz, ny, nx));
    let slice_len = ny * nx;
    if let Some(out_values) = out.as_slice_mut().filter(|_| slice_len > 0) {
        out_values.par_chunks_mut(slice_len).enumerate().try_for_each_init(
            SliceScratch::default,
            |scratch, (z, slice)| {
                progress.check()?;
                smooth_slice(values, [nz, ny, nx], &kernels, z, scratch, slice);
                progress.advance(1);
                Ok(())
            },
        )?;
    }
    Ok(out)
}

/// Volume of half the size (rounded up) whose voxels are means of 2 × 2 × 2 blocks, cut at the far faces.
///
/// The centre of coarse voxel `i` lies at fine index `2 i + 0.5`.
///
/// # Errors
/// [`Cancelled`], checked once per slice.
pub fn halve(progress: &Progress, volume: ArrayView3<'_, f32>) -> Result<Array3<f32>, Cancelled> {
    let (nz, ny, nx) = volume.dim();
    let standard = volume.as_standard_layout();
    let values = standard.as_slice().unwrap_or(&[]);
    let (hz, hy, hx) = (nz.div_ceil(2), ny.div_ceil(2), nx.div_ceil(2));
    let mut out = Array3::zeros((hz, hy, hx));
    let Some(out_values) = out.as_slice_mut().filter(|v| !v.is_empty()) else { return Ok(out) };
    out_values.par_chunks_mut(hy * hx).enumerate().try_for_each(|(z, slice)| {
        progress.check()?;
        let near = |i: usize, n: usize| (2 * i, (2 * i + 1).min(n - 1));
        for (y, row) in slice.chunks_exact_mut(hx).enumerate() {
            let ((z0, z1), (y0, y1)) = (near(z, nz), near(y, ny));
            let line = |z: usize, y: usize| &values[(z * ny + y) * nx..][..nx];
            let lines = [line(z0, y0), line(z0, y1), line(z1, y0), line(z1, y1)];
            for (x, out) in row.iter_mut().enumerate() {
                let (x0, x1) = near(x, nx);
                let sum: f32 = lines.iter().map(|line| line[x0] + line[x1]).sum();
                *out = 0.125 * sum;
            }
        }
        Ok(())
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(shape: (usize, usize, usize), seed: u32) -> Array3<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        Array3::from_shape_fn(shape, |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0
        })
    }

    #[test]
    fn an_impulse_becomes_the_gaussian() {
        let mut volume = Array3::zeros((25, 23, 27));
        volume[[12, 11, 13]] = 1.0f32;
        let smooth = gaussian(&Progress::new(), volume.view(), [1.0, 1.5, 2.0]).unwrap();
        let expected = |dz: f64, dy: f64, dx: f64| {
            let r2 = dz * dz + (dy / 1.5).powi(2) + (dx / 2.0).powi(2);
            (-0.5 * r2).exp() / ((2.0 * std::f64::consts::PI).powf(1.5) * 3.0)
        };
        for (dz, dy, dx) in [(0isize, 0isize, 0isize), (1, 0, 0), (0, 2, 0), (0, 0, -3), (1, -1, 2)] {
            let got = smooth[[(12 + dz) as usize, (11 + dy) as usize, (13 + dx) as usize]];
            let want = expected(dz as f64, dy as f64, dx as f64);
            // Sampling a σ = 1 Gaussian and cutting it at 3.5 σ changes its weights by under 1e-3.
            assert!((f64::from(got) - want).abs() < 2e-3 * want.max(1e-3), "{dz} {dy} {dx}: {got} {want}");
        }
    }

    #[test]
    fn a_constant_stays_constant_up_to_the_faces_even_where_the_kernel_is_larger_than_the_volume() {
        for shape in [(9, 8, 7), (1, 1, 1), (2, 3, 40)] {
            let volume = Array3::from_elem(shape, 0.25f32);
            let smooth = gaussian(&Progress::new(), volume.view(), [4.0; 3]).unwrap();
            assert!(smooth.iter().all(|v| (v - 0.25).abs() < 1e-6), "{shape:?}");
        }
    }

    #[test]
    fn threads_do_not_change_the_bits() {
        let volume = noise((20, 17, 33), 3);
        let run = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| gaussian(&Progress::new(), volume.view(), [1.2; 3]).unwrap())
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn halving_takes_means_and_repeats_the_far_face() {
        let volume = Array3::from_shape_fn((3, 2, 3), |(z, _, x)| (z * 10 + x) as f32);
        let half = halve(&Progress::new(), volume.view()).unwrap();
        assert_eq!(half.dim(), (2, 1, 2));
        assert_eq!(half[[0, 0, 0]], 5.5);
        assert_eq!(half[[1, 0, 1]], 22.0);
    }

    #[test]
    fn cancel_stops_and_empty_volumes_pass() {
        let progress = Progress::new();
        assert!(gaussian(&progress, Array3::zeros((0, 4, 4)).view(), [1.0; 3]).unwrap().is_empty());
        progress.cancel();
        assert_eq!(gaussian(&progress, noise((4, 4, 4), 1).view(), [1.0; 3]), Err(Cancelled));
    }
}
