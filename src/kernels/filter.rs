//! Ramp filters of filtered back-projection.
//!
//! The ramp is the transform of the sampled real-space kernel, h(0) = 1/4, h(odd n) = -1/(πn)²,
//! h(even n) = 0 (Kak and Slaney, Principles of Computerized Tomographic Imaging, 1988, eq. 3.61),
//! on rows padded to twice their length; sampling |f| itself would shift every value of the result.
//! Windows are functions of f in cycles per pixel, f = 1/2 is Nyquist.

use serde::{Deserialize, Serialize};

use super::fft::{RowFft, RowScratch, fast_len};

/// How the ramp is damped towards high frequencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// The bare ramp, cut at the cutoff: sharpest and noisiest.
    RamLak,
    /// sinc: nearly as sharp.
    SheppLogan,
    /// A quarter of a cosine.
    Cosine,
    /// Raised cosine that ends at zero: quiet.
    #[default]
    Hann,
    /// Raised cosine that ends at 0.08.
    Hamming,
    /// Flat, then a roll-off at the cutoff, steeper with the order.
    Butterworth,
    /// What a number of sweeps of SIRT would have done: `1 - (1 - a / f)^n`, see [`SirtLike`].
    SirtLike,
}

/// The gain with which SIRT has come to the ramp after some sweeps.
///
/// A sweep of `x + C Aᵀ R (b - A x)` takes off what is still missing at frequency f the share `a / f`: Aᵀ A sees f with the
/// density of views 1/(φ f), φ the angle that they cover, and R is one over the path through the section. So `a = 1 / (φ L)` with L
/// the mean path in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SirtLike {
    /// Sweeps.
    pub sweeps: u32,
    /// The frequency, in cycles per pixel, below which one sweep does all.
    pub first: f64,
}

impl SirtLike {
    /// `sweeps` sweeps over views that cover `covered_rad`, through a section whose mean path is `path_px`.
    pub fn new(sweeps: u32, covered_rad: f64, path_px: f64) -> Self {
        Self { sweeps, first: 1.0 / (covered_rad * path_px).max(1e-6) }
    }

    /// Gain on the ramp at frequency `f`, cycles per pixel.
    pub fn gain(self, f: f64) -> f64 {
        if f <= self.first {
            return 1.0;
        }
        1.0 - (1.0 - self.first / f).powi(self.sweeps.min(1_000_000) as i32)
    }
}

impl Window {
    /// Gain at frequency `f` (cycles per pixel) for a cutoff as a fraction of Nyquist.
    pub fn gain(self, f: f64, cutoff: f64, order: u32) -> f64 {
        use std::f64::consts::PI;
        let t = 2.0 * f / cutoff.max(1e-6);
        if self == Self::Butterworth {
            return 1.0 / (1.0 + t.powi(2 * order.clamp(1, 100) as i32)).sqrt();
        }
        if t > 1.0 + 1e-9 {
            return 0.0;
        }
        match self {
            Self::RamLak | Self::Butterworth | Self::SirtLike => 1.0,
            Self::SheppLogan if t == 0.0 => 1.0,
            Self::SheppLogan => (PI * t / 2.0).sin() / (PI * t / 2.0),
            Self::Cosine => (PI * t / 2.0).cos(),
            Self::Hann => 0.5 + 0.5 * (PI * t).cos(),
            Self::Hamming => 0.54 + 0.46 * (PI * t).cos(),
        }
    }
}

/// What a row is taken to be beyond its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// Nothing: the sample lies inside the detector.
    Zero,
    /// The mean of the last few values: the sample goes on for ever, as on a flat grid.
    Edge,
    /// The mean of the last few values, falling to nothing over half a row: the sample ends somewhere beyond.
    Fade,
}

/// Values averaged into the level that goes on beyond an edge.
const EDGE: usize = 4;

/// The ramp filter for rows of one length.
#[derive(Debug, Clone)]
pub struct RampFilter {
    n: usize,
    beyond: Beyond,
    fft: RowFft,
    response: Vec<f32>,
}

impl RampFilter {
    /// Plans a filter for rows of `n` values.
    ///
    /// `cutoff` is a fraction of Nyquist (0 to 1), `order` that of the Butterworth window.
    pub fn new(n: usize, window: Window, cutoff: f64, order: u32, beyond: Beyond) -> Self {
        Self::with_gain(n, beyond, |f| window.gain(f, cutoff, order))
    }

    /// Plans a filter whose gain on the ramp is a function of the frequency in cycles per pixel.
    pub fn with_gain(n: usize, beyond: Beyond, gain: impl Fn(f64) -> f64) -> Self {
        let padded = fast_len(2 * n);
        let fft = RowFft::new(padded);
        let mut scratch = fft.scratch();
        for (i, value) in scratch.row.iter_mut().enumerate() {
            let distance = i.min(padded - i) as f64;
            *value = match i {
                0 => 0.25,
                _ if distance % 2.0 == 1.0 => (-1.0 / (std::f64::consts::PI * distance).powi(2)) as f32,
                _ => 0.0,
            };
        }
        fft.forward(&mut scratch);
        let response = scratch
            .spectrum
            .iter()
            .enumerate()
            .map(|(k, ramp)| {
                let f = k as f64 / padded as f64;
                (f64::from(ramp.re) * gain(f) / padded as f64) as f32
            })
            .collect();
        Self { n, beyond, fft, response }
    }

    /// Buffers for one thread.
    pub fn scratch(&self) -> RowScratch {
        self.fft.scratch()
    }

    /// Filters `row` and multiplies it by `scale`; `out` may be longer than the row by the same number
    /// on both sides (at most half a row), where the filtered continuation is written.
    pub fn apply(&self, row: &[f32], scale: f32, out: &mut [f32], scratch: &mut RowScratch) {
        let n = self.n;
        let padded = scratch.row.len();
        scratch.row[..n].copy_from_slice(&row[..n]);
        scratch.row[n..].fill(0.0);
        if self.beyond != Beyond::Zero && n > 0 {
            let m = EDGE.min(n);
            let mean = |values: &[f32]| values.iter().sum::<f32>() / m as f32;
            let middle = n + (padded - n) / 2;
            let (left, right) = (mean(&row[..m]), mean(&row[n - m..n]));
            let fade = self.beyond == Beyond::Fade;
            continue_row(&mut scratch.row[n..middle], right, fade, false);
            continue_row(&mut scratch.row[middle..], left, fade, true);
        }
        self.fft.forward(scratch);
        for (value, gain) in scratch.spectrum.iter_mut().zip(&self.response) {
            *value *= gain * scale;
        }
        self.fft.inverse(scratch);
        let extra = (out.len() - n) / 2;
        let (before, rest) = out.split_at_mut(extra);
        rest.copy_from_slice(&scratch.row[..rest.len()]);
        before.copy_from_slice(&scratch.row[padded - extra..]);
    }
}

/// Fills a continuation with `level`, or lets it fall as a raised cosine from its start (or end) to nothing.
fn continue_row(values: &mut [f32], level: f32, fade: bool, backwards: bool) {
    values.fill(level);
    let n = values.len();
    if !fade {
        return;
    }
    for (i, value) in values.iter_mut().enumerate() {
        let distance = if backwards { n - i } else { i + 1 };
        let phase = std::f32::consts::PI * distance as f32 / (n + 1) as f32;
        *value *= 0.5 + 0.5 * phase.cos();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Window; 6] = [
        Window::RamLak,
        Window::SheppLogan,
        Window::Cosine,
        Window::Hann,
        Window::Hamming,
        Window::Butterworth,
    ];

    #[test]
    fn every_window_starts_at_one_and_falls() {
        for window in ALL {
            assert!((window.gain(0.0, 1.0, 4) - 1.0).abs() < 1e-12, "{window:?}");
            let mut last = 1.0;
            for i in 1..=50 {
                let gain = window.gain(f64::from(i) / 100.0, 1.0, 4);
                assert!(gain <= last + 1e-12 && gain >= -1e-12, "{window:?} {i}");
                last = gain;
            }
            if window != Window::Butterworth {
                assert_eq!(window.gain(0.3, 0.5, 4), 0.0, "{window:?} beyond the cutoff");
            }
        }
        assert!((Window::Butterworth.gain(0.25, 0.5, 3) - 0.5f64.sqrt()).abs() < 1e-12);
        assert!((Window::SheppLogan.gain(0.5, 1.0, 1) - 2.0 / std::f64::consts::PI).abs() < 1e-12);
    }

    #[test]
    fn the_bare_ramp_convolves_with_the_sampled_kernel() {
        let n = 21;
        let filter = RampFilter::new(n, Window::RamLak, 1.0, 1, Beyond::Zero);
        let mut row = vec![0.0; n];
        row[3] = 2.0;
        row[20] = -1.0;
        let mut out = vec![0.0; n];
        filter.apply(&row, 3.0, &mut out, &mut filter.scratch());
        let kernel = |d: i32| match d {
            0 => 0.25,
            d if d % 2 != 0 => -1.0 / (std::f64::consts::PI * f64::from(d)).powi(2),
            _ => 0.0,
        };
        for (i, value) in out.iter().enumerate() {
            let expected = 3.0 * (2.0 * kernel(i as i32 - 3) - kernel(i as i32 - 20));
            assert!((f64::from(*value) - expected).abs() < 1e-6, "{i}: {value} {expected}");
        }
    }

    #[test]
    fn a_constant_row_that_goes_on_is_filtered_to_nearly_nothing() {
        let n = 64;
        let filter = RampFilter::new(n, Window::RamLak, 1.0, 1, Beyond::Edge);
        let mut out = vec![9.0; n + 32];
        filter.apply(&vec![1.0; n], 1.0, &mut out, &mut filter.scratch());
        // The transform of the kernel at zero frequency is the tail cut off beyond the padding, 2 / (π² · 128).
        assert!(out.iter().all(|v| v.abs() < 0.002), "{out:?}");
    }

    #[test]
    fn one_value_rows_work() {
        let filter = RampFilter::new(1, Window::Hann, 1.0, 1, Beyond::Zero);
        let mut out = vec![0.0];
        filter.apply(&[4.0], 1.0, &mut out, &mut filter.scratch());
        assert!(out[0].is_finite());
    }
}
