//! Stripes in sinograms by wavelets and Fourier transforms (Münch and others 2009, doi:10.1364/OE.17.008567).
//!
//! A wavelet transform sorts a sinogram by width of detail. Where detail runs along the views, a stripe is all that lies at
//! frequencies near zero along them: that part is taken out, `exp(-k² / 2 σ²)` of k cycles over the scan. Wavelets are those of
//! Daubechies with five vanishing moments.
//!
//! Taken as it stands the method also removes what the sample shows at those frequencies, near the rotation axis most. So, other
//! than there, a column of coefficients gives up only what stands above its own power at the next frequencies (half a cycle to
//! three): a stripe has none there, a sample that turns has.

use ndarray::{Array3, ArrayViewMut2, Axis};
use rayon::prelude::*;
use rustfft::num_complex::Complex;

use crate::base::{Cancelled, Progress};
use crate::kernels::fft::RowFft;

/// Low-pass filter of Daubechies' wavelet with five vanishing moments (Ten Lectures on Wavelets, 1992, table 6.1).
const LOW: [f64; 10] = [
    0.160_102_397_974_125,
    0.603_829_269_797_473,
    0.724_308_528_438_574,
    0.138_428_145_901_103,
    -0.242_294_887_066_190,
    -0.032_244_869_585_030,
    0.077_571_493_840_065,
    -0.006_241_490_213_012,
    -0.012_580_751_999_016,
    0.003_335_725_285_002,
];
const TAPS: usize = LOW.len();
/// Stripes are sought up to this many levels where none are given: up to about 2^3 columns wide.
pub(super) const LEVELS: u32 = 3;
/// Frequencies beyond this many standard deviations are left alone.
const REACH: f64 = 4.0;

/// How many times the power that moves on slowly is taken off that which stands still.
const MOVING: f32 = 2.0;

/// The two filters.
fn filters() -> ([f32; TAPS], [f32; TAPS]) {
    let low = LOW.map(|v| v as f32);
    let high = std::array::from_fn(|i| if i % 2 == 0 { low[TAPS - 1 - i] } else { -low[TAPS - 1 - i] });
    (low, high)
}

/// A plane of values, row after row.
#[derive(Default)]
struct Plane {
    rows: usize,
    cols: usize,
    values: Vec<f32>,
}

impl Plane {
    fn zeros(rows: usize, cols: usize) -> Self {
        Self { rows, cols, values: vec![0.0; rows * cols] }
    }

    /// Half as many columns: what `filter` keeps of every row, the row going on from its end to its beginning.
    fn halve_columns(&self, filter: &[f32; TAPS]) -> Self {
        let mut out = Self::zeros(self.rows, self.cols / 2);
        for (row, out) in self.values.chunks_exact(self.cols).zip(out.values.chunks_exact_mut(self.cols / 2))
        {
            for (k, value) in out.iter_mut().enumerate() {
                *value = (0..TAPS).map(|i| filter[i] * row[(2 * k + i) % self.cols]).sum();
            }
        }
        out
    }

    /// Half as many rows: what `filter` keeps of every column.
    fn halve_rows(&self, filter: &[f32; TAPS]) -> Self {
        let mut out = Self::zeros(self.rows / 2, self.cols);
        for (k, out) in out.values.chunks_exact_mut(self.cols).enumerate() {
            for (i, weight) in filter.iter().enumerate() {
                let row = &self.values[(2 * k + i) % self.rows * self.cols..][..self.cols];
                out.iter_mut().zip(row).for_each(|(out, value)| *out += weight * value);
            }
        }
        out
    }

    /// Adds what these coefficients, half as many columns, stand for.
    fn add_columns(&mut self, coefficients: &Self, filter: &[f32; TAPS]) {
        let n = self.cols;
        for (row, from) in self.values.chunks_exact_mut(n).zip(coefficients.values.chunks_exact(n / 2)) {
            for (k, value) in from.iter().enumerate() {
                for (i, weight) in filter.iter().enumerate() {
                    row[(2 * k + i) % n] += weight * value;
                }
            }
        }
    }

    /// What these coefficients, half as many rows, stand for.
    fn double_rows(&self, filter: &[f32; TAPS]) -> Self {
        let mut out = Self::zeros(2 * self.rows, self.cols);
        for (k, from) in self.values.chunks_exact(self.cols).enumerate() {
            for (i, weight) in filter.iter().enumerate() {
                let row = &mut out.values[(2 * k + i) % (2 * self.rows) * self.cols..][..self.cols];
                row.iter_mut().zip(from).for_each(|(out, value)| *out += weight * value);
            }
        }
        out
    }

    /// Keeps of every column what lies near frequency zero; `cycles` is the frequency of the first bin in cycles over the scan.
    fn keep_stripes(&mut self, cycles: f64, sigma: f64) {
        let fft = RowFft::new(self.rows);
        let mut scratch = fft.scratch();
        let gain: Vec<f32> = (0..=self.rows / 2)
            .map(|bin| {
                let k = bin as f64 * cycles / sigma;
                if k < REACH { ((-0.5 * k * k).exp() / self.rows as f64) as f32 } else { 0.0 }
            })
            .collect();
        let near = {
            let bin = |k: f64| (k / cycles).round() as usize;
            let first = bin(0.5).max(1).min(self.rows / 2);
            first..(bin(3.0).min(self.rows / 2) + 1).max(first)
        };
        for x in 0..self.cols {
            for (y, value) in scratch.row.iter_mut().enumerate() {
                *value = self.values[y * self.cols + x];
            }
            fft.forward(&mut scratch);
            // What stands still alone is a stripe; what moves on slowly has frequencies above zero, too.
            let beside = scratch.spectrum[near.clone()].iter().map(Complex::norm_sqr).fold(0.0, f32::max);
            let still = scratch.spectrum[0].norm_sqr();
            let share = if still > 0.0 { (1.0 - MOVING * beside / still).max(0.0) } else { 0.0 };
            scratch.spectrum.iter_mut().zip(&gain).for_each(|(value, gain)| *value *= *gain * share);
            fft.inverse(&mut scratch);
            for (y, value) in scratch.row.iter().enumerate() {
                self.values[y * self.cols + x] = *value;
            }
        }
    }
}

/// Where a sinogram lies within one that is mirrored at its edges and can be halved often enough.
#[derive(Clone, Copy)]
struct Frame {
    levels: u32,
    rows: usize,
    cols: usize,
    n_rows: usize,
    n_cols: usize,
}

impl Frame {
    fn new(n_rows: usize, n_cols: usize, levels: u32) -> Self {
        let unit = 1usize << levels;
        let padded = |n: usize| (n + 2 * (4 * unit).min(n)).next_multiple_of(2 * unit);
        Self { levels, rows: padded(n_rows), cols: padded(n_cols), n_rows, n_cols }
    }

    /// The stripes of a sinogram, of the size of the frame.
    fn stripes(&self, plane: &Plane, level: u32, sigma: f64) -> Plane {
        let (low, high) = filters();
        let wide = plane.halve_columns(&low);
        let mut detail = plane.halve_columns(&high).halve_rows(&low);
        detail.keep_stripes(self.n_rows as f64 / self.rows as f64, sigma);
        let mut out = Plane::zeros(plane.rows, plane.cols);
        out.add_columns(&detail.double_rows(&low), &high);
        if level + 1 < self.levels {
            let coarse = self.stripes(&wide.halve_rows(&low), level + 1, sigma);
            out.add_columns(&coarse.double_rows(&low), &low);
        }
        out
    }

    fn clean(&self, mut sinogram: ArrayViewMut2<'_, f32>, sigma: f64) {
        let mirrored = |i: usize, n: usize, length: usize| {
            let from = i as isize - ((length - n) / 2) as isize;
            let folded = from.rem_euclid(2 * n as isize) as usize;
            if folded < n { folded } else { 2 * n - 1 - folded }
        };
        let columns: Vec<usize> = (0..self.cols).map(|x| mirrored(x, self.n_cols, self.cols)).collect();
        let mut plane = Plane::zeros(self.rows, self.cols);
        for (y, row) in plane.values.chunks_exact_mut(self.cols).enumerate() {
            let from = mirrored(y, self.n_rows, self.rows);
            row.iter_mut().zip(&columns).for_each(|(value, x)| *value = sinogram[[from, *x]]);
        }
        let stripes = self.stripes(&plane, 0, sigma);
        let (y0, x0) = ((self.rows - self.n_rows) / 2, (self.cols - self.n_cols) / 2);
        for ((y, x), value) in sinogram.indexed_iter_mut() {
            *value -= stripes.values[(y + y0) * self.cols + x + x0];
        }
    }
}

/// Takes stripes out of absorbance, shape (views, rows, columns).
///
/// # Errors
/// [`Cancelled`], checked once a row.
pub(super) fn remove_stripes(
    progress: &Progress,
    data: &mut Array3<f32>,
    levels: u32,
    sigma: f64,
) -> Result<(), Cancelled> {
    let (n_views, n_rows, n_cols) = data.dim();
    // A stripe wider than half of the field is the sample.
    let most = n_cols.checked_ilog2().unwrap_or(0).saturating_sub(1);
    let levels = levels.min(most);
    if n_views < 4 || levels == 0 {
        return Ok(());
    }
    progress.phase("Removing stripes", n_rows as u64);
    let frame = Frame::new(n_views, n_cols, levels);
    data.axis_iter_mut(Axis(1)).into_par_iter().try_for_each(|sinogram| {
        progress.check()?;
        frame.clean(sinogram, sigma);
        progress.advance(1);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prep::stripes;

    const VIEWS: usize = 120;
    const COLS: usize = 160;

    /// A body that is not round, and discs within, seen from all sides.
    fn sinogram() -> Array3<f32> {
        // Middle z and x, half axes, turned by, absorption.
        let bodies = [
            (3.0, -5.0, 58.0, 44.0, 0.3, 0.004),
            (20.0, 10.0, 14.0, 11.0, 1.0, 0.008),
            (-30.0, 5.0, 6.0, 6.0, 0.0, 0.02),
            (4.0, -22.0, 3.0, 3.0, 0.0, 0.04),
        ];
        Array3::from_shape_fn((VIEWS, 2, COLS), |(view, _, x)| {
            let angle = std::f64::consts::PI * view as f64 / VIEWS as f64;
            let of = |(z, u, a, b, turned, lac): &(f64, f64, f64, f64, f64, f64)| {
                let d = x as f64 - 79.5 - u * angle.cos() + z * angle.sin();
                let reach = (a * (angle - turned).cos()).hypot(b * (angle - turned).sin());
                2.0 * a * b * (reach * reach - d * d).max(0.0).sqrt() / (reach * reach) * lac
            };
            bodies.iter().map(of).sum::<f64>() as f32
        })
    }

    /// What single columns and pairs, or groups of six, add to every view, nothing elsewhere.
    fn offsets(wide: bool) -> Vec<f32> {
        let mut offsets = vec![0.0; COLS];
        let widths = if wide { [6; 6] } else { [1, 1, 2, 1, 2, 1] };
        let at = [30, 52, 70, 95, 110, 131];
        let heights = [0.05, -0.04, 0.03, 0.04, -0.03, 0.06];
        for ((at, width), height) in at.into_iter().zip(widths).zip(heights) {
            offsets[at..at + width].fill(height);
        }
        offsets
    }

    fn striped(truth: &Array3<f32>, wide: bool) -> Array3<f32> {
        let offsets = offsets(wide);
        let mut data = truth.clone();
        data.indexed_iter_mut().for_each(|((_, _, x), value)| *value += offsets[x]);
        data
    }

    /// Root mean square over columns of the mean over views of what differs: the height of the rings.
    fn rings(data: &Array3<f32>, truth: &Array3<f32>) -> f64 {
        let mean = (data - truth).mean_axis(Axis(0)).unwrap();
        f64::from(mean.mapv(|v| v * v).mean().unwrap().sqrt())
    }

    fn error(data: &Array3<f32>, truth: &Array3<f32>) -> f64 {
        f64::from((data - truth).mapv(|v| v * v).mean().unwrap().sqrt())
    }

    #[test]
    fn the_filters_are_orthonormal_and_what_is_split_comes_back() {
        let (low, high) = filters();
        for shift in 0..TAPS / 2 {
            let product = |a: &[f32; TAPS], b: &[f32; TAPS]| -> f32 {
                (0..TAPS - 2 * shift).map(|i| a[i] * b[i + 2 * shift]).sum()
            };
            let expected = f32::from(u8::from(shift == 0));
            assert!((product(&low, &low) - expected).abs() < 1e-6);
            assert!(product(&low, &high).abs() < 1e-6);
        }
        // Five moments vanish: a polynomial of degree four has no detail.
        for power in 0..5 {
            let moment: f64 = (0..TAPS).map(|i| f64::from(high[i]) * (i as f64 - 4.5).powi(power)).sum();
            assert!(moment.abs() < 1e-3, "{power}: {moment}");
        }
        let plane = Plane { rows: 4, cols: 16, values: (0..64).map(|i| ((i * i) % 23) as f32).collect() };
        let mut back = Plane::zeros(4, 16);
        back.add_columns(&plane.halve_columns(&low), &low);
        back.add_columns(&plane.halve_columns(&high), &high);
        for (a, b) in back.values.iter().zip(&plane.values) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    /// Rings and error after one of the two methods, on stripes and on a sinogram without.
    fn after(truth: &Array3<f32>, data: &Array3<f32>, levels: Option<u32>) -> (f64, f64) {
        let mut data = data.clone();
        match levels {
            Some(levels) => remove_stripes(&Progress::new(), &mut data, levels, 1.0),
            None => stripes::remove_stripes(&Progress::new(), &mut data, 9),
        }
        .unwrap();
        (rings(&data, truth), error(&data, truth))
    }

    #[test]
    fn narrow_stripes_fade_with_less_loss_than_by_sorting_and_a_clean_sinogram_is_hardly_changed() {
        let truth = sinogram();
        let narrow = striped(&truth, false);
        let before = rings(&narrow, &truth);
        let (wavelet, sorting) = (after(&truth, &narrow, Some(LEVELS)), after(&truth, &narrow, None));
        let figures = format!("of {before}: wavelet {wavelet:?}, sorting {sorting:?}");
        // What of a stripe is wider than eight columns stays: an eighth of the power of a single column, a quarter of a pair.
        assert!(wavelet.0 < 0.65 * before && wavelet.1 < 0.65 * before, "{figures}");
        assert!(wavelet.1 < 0.6 * sorting.1, "sorting changes the sample more: {figures}");
        // Six columns need more levels, which see wider parts of the sample as stripes.
        let broad = striped(&truth, true);
        let (few, more) = (after(&truth, &broad, Some(LEVELS)), after(&truth, &broad, Some(LEVELS + 1)));
        let broad_before = rings(&broad, &truth);
        assert!(more.0 < few.0 && few.0 < broad_before, "{few:?} {more:?} of {broad_before}");
        let (clean, sorted) = (after(&truth, &truth, Some(LEVELS)), after(&truth, &truth, None));
        // The strongest absorption is 0.8.
        assert!(clean.1 < 0.002 && clean.1 < 0.2 * sorted.1, "{clean:?} {sorted:?}");
    }

    #[test]
    fn the_same_bits_on_one_thread_and_three_and_nothing_is_done_to_what_is_too_small() {
        let data = striped(&sinogram(), false);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut data = data.clone();
            pool.install(|| remove_stripes(&Progress::new(), &mut data, 3, 2.0)).unwrap();
            data
        };
        assert_eq!(run(1), run(3));
        let flat = Array3::from_elem((3, 1, 64), 1.0f32);
        let mut small = flat.clone();
        remove_stripes(&Progress::new(), &mut small, 4, 2.0).unwrap();
        assert_eq!(small, flat);
        let mut narrow = Array3::from_elem((10, 1, 3), 1.0f32);
        remove_stripes(&Progress::new(), &mut narrow, 4, 2.0).unwrap();
        assert!(narrow.iter().all(|v| *v == 1.0));
        let progress = Progress::new();
        progress.cancel();
        assert!(remove_stripes(&progress, &mut data.clone(), 4, 2.0).is_err());
    }
}
