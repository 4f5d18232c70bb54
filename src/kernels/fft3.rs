//! Fourier transform of a real volume, in place of the volume's own axes.

use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;
use realfft::RealFftPlanner;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use crate::base::{Cancelled, Progress};

/// Columns that are transformed side by side along a strided axis: a cache line of complex numbers and more.
const BESIDE: usize = 16;

/// The half spectrum of a real volume: shape (nz, ny, nx / 2 + 1), frequencies in the order of the transform,
/// without scaling. Each value passes through `value` on its way in, with its index, so that a mask needs no copy.
///
/// Memory: the spectrum alone, four bytes a voxel and a little.
///
/// # Errors
/// [`Cancelled`], checked once per slice.
pub fn half_spectrum(
    progress: &Progress,
    volume: ArrayView3<'_, f32>,
    value: impl Fn([usize; 3], f32) -> f32 + Sync,
) -> Result<Array3<Complex<f32>>, Cancelled> {
    let (nz, ny, nx) = volume.dim();
    let mut spectrum = Array3::zeros((nz, ny, nx / 2 + 1));
    if nz * ny * nx == 0 {
        return Ok(spectrum);
    }
    let along_x = RealFftPlanner::<f32>::new().plan_fft_forward(nx);
    let mut planner = FftPlanner::<f32>::new();
    let (along_y, along_z) = (planner.plan_fft_forward(ny), planner.plan_fft_forward(nz));
    progress.phase("Fourier transform", nz as u64);
    spectrum.outer_iter_mut().into_par_iter().enumerate().try_for_each_init(
        || (along_x.make_input_vec(), along_x.make_scratch_vec(), Columns::new(ny, along_y.as_ref())),
        |(row, scratch, columns), (z, mut slice)| {
            progress.check()?;
            for (y, mut out) in slice.outer_iter_mut().enumerate() {
                for (x, (value_in, given)) in
                    row.iter_mut().zip(volume.slice(ndarray::s![z, y, ..])).enumerate()
                {
                    *value_in = value([z, y, x], *given);
                }
                if let Some(out) = out.as_slice_mut() {
                    let done = along_x.process_with_scratch(row, out, scratch);
                    debug_assert!(done.is_ok(), "buffers come from the plan: {done:?}");
                }
            }
            columns.transform(slice, along_y.as_ref());
            progress.advance(1);
            Ok(())
        },
    )?;
    spectrum.axis_iter_mut(Axis(1)).into_par_iter().try_for_each_init(
        || Columns::new(nz, along_z.as_ref()),
        |columns, plane| {
            progress.check()?;
            columns.transform(plane, along_z.as_ref());
            Ok(())
        },
    )?;
    Ok(spectrum)
}

/// Buffers that gather some columns of a plane.
struct Columns {
    values: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Columns {
    fn new(len: usize, fft: &dyn rustfft::Fft<f32>) -> Self {
        let zero = Complex::default();
        Self { values: vec![zero; len * BESIDE], scratch: vec![zero; fft.get_inplace_scratch_len()] }
    }

    /// Transforms a plane along its first axis.
    fn transform(
        &mut self,
        mut plane: ndarray::ArrayViewMut2<'_, Complex<f32>>,
        fft: &dyn rustfft::Fft<f32>,
    ) {
        let len = plane.nrows();
        for mut block in plane.axis_chunks_iter_mut(Axis(1), BESIDE) {
            for (i, row) in block.outer_iter().enumerate() {
                for (column, value) in row.iter().enumerate() {
                    self.values[column * len + i] = *value;
                }
            }
            let used = &mut self.values[..block.ncols() * len];
            fft.process_with_scratch(used, &mut self.scratch);
            for (i, mut row) in block.outer_iter_mut().enumerate() {
                for (column, value) in row.iter_mut().enumerate() {
                    *value = used[column * len + i];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_spectrum_is_the_sum_over_the_volume() {
        let shape = (4, 6, 5);
        let volume = Array3::from_shape_fn(shape, |(z, y, x)| ((z * 7 + y * 3 + x * 5) % 11) as f32 - 5.0);
        let twice = half_spectrum(&Progress::new(), volume.view(), |_, v| 2.0 * v).unwrap();
        assert_eq!(twice.dim(), (4, 6, 3));
        for ((kz, ky, kx), found) in twice.indexed_iter() {
            let mut sum = Complex::new(0.0f64, 0.0);
            for ((z, y, x), value) in volume.indexed_iter() {
                let turns = (kz * z) as f64 / 4.0 + (ky * y) as f64 / 6.0 + (kx * x) as f64 / 5.0;
                sum += Complex::from_polar(2.0 * f64::from(*value), -std::f64::consts::TAU * turns);
            }
            // Single precision over sums of 120 values of size 10.
            assert!(
                (f64::from(found.re) - sum.re).abs() < 1e-3 && (f64::from(found.im) - sum.im).abs() < 1e-3
            );
        }
    }

    #[test]
    fn empty_volumes_have_empty_spectra_and_cancel_is_heard() {
        let progress = Progress::new();
        assert_eq!(half_spectrum(&progress, Array3::zeros((0, 3, 4)).view(), |_, v| v).unwrap().len(), 0);
        progress.cancel();
        assert!(half_spectrum(&progress, Array3::zeros((2, 3, 4)).view(), |_, v| v).is_err());
    }
}
