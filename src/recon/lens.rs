//! Blur of images by a lens, one transfer function per distance from focus, in both directions.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::depth::Optics;
use crate::kernels::fft::fast_len;
use crate::kernels::lens::Lens;

/// Entries of the table of a transfer function.
const TABLE: usize = 512;
/// How far off an interpolated transfer function may be.
const TOLERANCE: f64 = 0.02;
/// At most these many bands.
pub(super) const MOST_BANDS: usize = 24;

/// How many evenly spaced distances from 0 to `farthest_um` describe the lens by interpolation for pixels of this size.
pub(super) fn bands_needed(lens: Lens, pixel_um: f64, farthest_um: f64) -> usize {
    if farthest_um <= 0.0 {
        return 1;
    }
    let highest = 0.5 / pixel_um;
    let good = |n: usize| {
        let spacing = farthest_um / (n - 1) as f64;
        (1..12).all(|i| {
            let frequency = highest * f64::from(i) / 11.0;
            let at = |bands: f64| lens.transfer(frequency, bands * spacing);
            (0..n - 1).all(|band| {
                let band = band as f64;
                (at(band + 0.5) - 0.5 * (at(band) + at(band + 1.0))).abs() < TOLERANCE
            })
        })
    };
    (2..MOST_BANDS).find(|n| good(*n)).unwrap_or(MOST_BANDS)
}

/// Transforms of images of one size and the gain of every band.
pub(super) struct Blur {
    n_rows: usize,
    n_cols: usize,
    height: usize,
    width: usize,
    /// Gains of each band, column of frequencies after column, scaling included.
    gains: Vec<Vec<f32>>,
    rows: [Arc<dyn Fft<f32>>; 2],
    columns: [Arc<dyn Fft<f32>>; 2],
}

/// Buffers of one thread.
pub(super) struct BlurScratch {
    /// Rows of an image.
    image: Vec<Complex<f32>>,
    /// Its transform, column after column.
    spectrum: Vec<Complex<f32>>,
    /// Sum over bands, or what a band is made of.
    sum: Vec<Complex<f32>>,
    work: Vec<Complex<f32>>,
}

impl Blur {
    pub(super) fn new(optics: &Optics, n_rows: usize, n_cols: usize) -> Self {
        let (height, width) = (fast_len(n_rows), fast_len(n_cols));
        let highest = std::f64::consts::FRAC_1_SQRT_2;
        let scale = 1.0 / (height * width) as f64;
        let frequency = |i: usize, n: usize| (if 2 * i > n { n - i } else { i }) as f64 / n as f64;
        let gains = (0..optics.bands.n)
            .map(|band| {
                let distance = band as f64 * optics.bands.spacing * optics.voxel_um;
                let table: Vec<f64> = (0..=TABLE)
                    .map(|i| {
                        let per_voxel = highest * i as f64 / TABLE as f64;
                        optics.lens.transfer(per_voxel / optics.voxel_um, distance)
                    })
                    .collect();
                let gain = |fx: f64, fy: f64| {
                    let at = (fx.hypot(fy) / highest * TABLE as f64).min(TABLE as f64 - 1e-9);
                    let (i, t) = (at as usize, at.fract());
                    (table[i] * (1.0 - t) + table[i + 1] * t) * scale
                };
                (0..width * height)
                    .map(|i| gain(frequency(i / height, width), frequency(i % height, height)) as f32)
                    .collect()
            })
            .collect();
        let mut planner = FftPlanner::<f32>::new();
        let mut both = |n: usize| [planner.plan_fft_forward(n), planner.plan_fft_inverse(n)];
        let (rows, columns) = (both(width), both(height));
        Self { n_rows, n_cols, height, width, gains, rows, columns }
    }

    pub(super) fn scratch(&self) -> BlurScratch {
        let zeros = || vec![Complex::default(); self.height * self.width];
        let plans = self.rows.iter().chain(&self.columns);
        let work = plans.map(|plan| plan.get_inplace_scratch_len()).max().unwrap_or(0);
        BlurScratch { image: zeros(), spectrum: zeros(), sum: zeros(), work: vec![Complex::default(); work] }
    }

    /// Transforms two images, as real and imaginary part, into `scratch.spectrum`.
    fn forward(&self, scratch: &mut BlurScratch, first: &[f32], second: &[f32]) {
        for (y, row) in scratch.image.chunks_exact_mut(self.width).take(self.n_rows).enumerate() {
            let line = y * self.n_cols..(y + 1) * self.n_cols;
            let second = second.get(line.clone()).unwrap_or(&[]);
            for (x, (value, re)) in row.iter_mut().zip(&first[line]).enumerate() {
                *value = Complex::new(*re, second.get(x).copied().unwrap_or(0.0));
            }
            row[self.n_cols..].fill(Complex::default());
            self.rows[0].process_with_scratch(row, &mut scratch.work);
        }
        for (x, column) in scratch.spectrum.chunks_exact_mut(self.height).enumerate() {
            for (y, value) in column.iter_mut().enumerate() {
                *value = if y < self.n_rows { scratch.image[y * self.width + x] } else { Complex::default() };
            }
            self.columns[0].process_with_scratch(column, &mut scratch.work);
        }
    }

    /// Transforms `scratch.spectrum` back into one image or two.
    fn inverse(&self, scratch: &mut BlurScratch, out: &mut [f32]) {
        for column in scratch.spectrum.chunks_exact_mut(self.height) {
            self.columns[1].process_with_scratch(column, &mut scratch.work);
        }
        let (first, second) = out.split_at_mut(self.n_rows * self.n_cols);
        for (y, row) in scratch.image.chunks_exact_mut(self.width).take(self.n_rows).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                *value = scratch.spectrum[x * self.height + y];
            }
            self.rows[1].process_with_scratch(row, &mut scratch.work);
            let line = y * self.n_cols..(y + 1) * self.n_cols;
            first[line.clone()].iter_mut().zip(&*row).for_each(|(out, value)| *out = value.re);
            if let Some(second) = second.get_mut(line) {
                second.iter_mut().zip(&*row).for_each(|(out, value)| *out = value.im);
            }
        }
    }

    /// Adds what the spectrum shows through a band to the sum.
    fn add_band(&self, scratch: &mut BlurScratch, band: usize) {
        let BlurScratch { spectrum, sum, .. } = scratch;
        for ((sum, value), gain) in sum.iter_mut().zip(spectrum.iter()).zip(&self.gains[band]) {
            *sum += value * gain;
        }
    }

    /// Adds images of a band as the lens shows them.
    pub(super) fn add(&self, scratch: &mut BlurScratch, band: usize, [first, second]: [&[f32]; 2]) {
        self.forward(scratch, first, second);
        self.add_band(scratch, band);
    }

    /// Writes the sum of all bands added.
    pub(super) fn finish(&self, scratch: &mut BlurScratch, out: &mut [f32]) {
        std::mem::swap(&mut scratch.spectrum, &mut scratch.sum);
        self.inverse(scratch, out);
    }

    /// Takes one image, or two, to be seen back through every band.
    pub(super) fn load(&self, scratch: &mut BlurScratch, images: &[f32]) {
        let (first, second) = images.split_at(self.n_rows * self.n_cols);
        self.forward(scratch, first, second);
        std::mem::swap(&mut scratch.spectrum, &mut scratch.sum);
    }

    /// The adjoint of [`Blur::add`] for the images loaded.
    pub(super) fn back(&self, scratch: &mut BlurScratch, band: usize, out: &mut [f32]) {
        let BlurScratch { spectrum, sum, .. } = &mut *scratch;
        for ((value, sum), gain) in spectrum.iter_mut().zip(sum.iter()).zip(&self.gains[band]) {
            *value = sum * gain;
        }
        self.inverse(scratch, out);
    }
}

impl BlurScratch {
    /// Forgets what was added.
    pub(super) fn start(&mut self) {
        self.sum.fill(Complex::default());
    }
}
