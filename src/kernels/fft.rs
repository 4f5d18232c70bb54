//! Fourier transforms of real rows, planned once and used from any thread.

use std::sync::Arc;

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex;

/// The shortest even length of at least `n` whose only prime factors are 2, 3 and 5.
pub fn fast_len(n: usize) -> usize {
    let smooth = |mut m: usize| {
        for factor in [2, 3, 5] {
            while m.is_multiple_of(factor) {
                m /= factor;
            }
        }
        m == 1
    };
    let mut len = n.max(2).next_multiple_of(2);
    while !smooth(len) {
        len += 2;
    }
    len
}

/// Forward and inverse transform of real rows of one length.
#[derive(Clone)]
pub struct RowFft {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

/// What one thread needs to transform a row.
#[derive(Debug, Clone)]
pub struct RowScratch {
    /// The row: input of the forward, output of the inverse transform.
    pub row: Vec<f32>,
    /// Its half spectrum, `len / 2 + 1` values.
    pub spectrum: Vec<Complex<f32>>,
    work: Vec<Complex<f32>>,
}

impl std::fmt::Debug for RowFft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowFft").field("len", &self.len()).finish()
    }
}

impl RowFft {
    /// Plans for rows of `len` values.
    pub fn new(len: usize) -> Self {
        let mut planner = RealFftPlanner::<f32>::new();
        Self { forward: planner.plan_fft_forward(len), inverse: planner.plan_fft_inverse(len) }
    }

    /// Values of a row.
    pub fn len(&self) -> usize {
        self.forward.len()
    }

    /// Whether rows have no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Buffers for one thread.
    pub fn scratch(&self) -> RowScratch {
        let n_work = self.forward.get_scratch_len().max(self.inverse.get_scratch_len());
        RowScratch {
            row: self.forward.make_input_vec(),
            spectrum: self.forward.make_output_vec(),
            work: vec![Complex::default(); n_work],
        }
    }

    /// Transforms `scratch.row` into `scratch.spectrum`; the row is used up.
    pub fn forward(&self, scratch: &mut RowScratch) {
        let RowScratch { row, spectrum, work } = scratch;
        let done = self.forward.process_with_scratch(row, spectrum, work);
        debug_assert!(done.is_ok(), "buffers come from RowFft::scratch: {done:?}");
    }

    /// Transforms `scratch.spectrum` into `scratch.row`, times `len`; the spectrum is used up.
    ///
    /// The imaginary parts of the first and last bin, which a real row cannot have, are dropped.
    pub fn inverse(&self, scratch: &mut RowScratch) {
        let RowScratch { row, spectrum, work } = scratch;
        if let Some(first) = spectrum.first_mut() {
            first.im = 0.0;
        }
        if row.len().is_multiple_of(2)
            && let Some(last) = spectrum.last_mut()
        {
            last.im = 0.0;
        }
        let done = self.inverse.process_with_scratch(spectrum, row, work);
        debug_assert!(done.is_ok(), "buffers come from RowFft::scratch: {done:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_lengths_are_even_and_smooth() {
        for (n, expected) in [(0, 2), (1, 2), (7, 8), (17, 18), (241, 250), (511, 512), (1023, 1024)] {
            assert_eq!(fast_len(n), expected, "{n}");
        }
    }

    #[test]
    fn inverse_undoes_forward_up_to_the_length() {
        for len in [2, 18, 250, 512] {
            let fft = RowFft::new(len);
            let mut scratch = fft.scratch();
            let row: Vec<f32> = (0..len).map(|i| ((i * i) % 17) as f32 - 8.0).collect();
            scratch.row.copy_from_slice(&row);
            fft.forward(&mut scratch);
            fft.inverse(&mut scratch);
            for (a, b) in scratch.row.iter().zip(&row) {
                // Single precision over log2(512) stages.
                assert!((a / len as f32 - b).abs() < 1e-5, "{len}: {a} {b}");
            }
        }
    }
}
