//! The noise of a volume, read from its finest differences.
//!
//! Third differences along x, which smooth structure hardly enters, and the median of their squares, which edges hardly
//! move: `σ² = median(d²) / 0.45494 / 20`. Noise that neighbours share, as that of smoothed reconstructions, is larger than
//! this says. Cost: one row in several, a million differences or so.

use ndarray::ArrayView3;

use crate::base::{Cancelled, Progress};

/// Median of the square of a standard normal deviate.
const CHI_SQUARE_MEDIAN: f64 = 0.454_94;
/// Sum of the squares of 1, -3, 3, -1.
const THIRD_DIFFERENCE: f64 = 20.0;
/// Differences that are looked at, about.
const WANTED: usize = 1 << 20;

/// Standard deviation of the noise; 0 where there are no four numbers in a row.
///
/// # Errors
/// [`Cancelled`].
pub fn noise_sd(progress: &Progress, array: &ArrayView3<'_, f32>) -> Result<f32, Cancelled> {
    progress.check()?;
    let step = (array.len() / WANTED).max(1);
    let mut squares = Vec::with_capacity(array.len() / step);
    for row in array.rows().into_iter().step_by(step) {
        for four in row.windows(4) {
            let difference = (four[3] - four[0]) - 3.0 * (four[2] - four[1]);
            if difference.is_finite() {
                squares.push(difference * difference);
            }
        }
    }
    if squares.is_empty() {
        return Ok(0.0);
    }
    let middle = squares.len() / 2;
    let (_, median, _) = squares.select_nth_unstable_by(middle, f32::total_cmp);
    Ok((f64::from(*median) / CHI_SQUARE_MEDIAN / THIRD_DIFFERENCE).sqrt() as f32)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, StandardNormal};

    use super::*;

    #[test]
    fn the_noise_is_found_beside_edges_and_slopes() {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(2);
        let array = Array3::from_shape_fn((20, 30, 60), |(z, _, x)| {
            let noise: f32 = StandardNormal.sample(&mut rng);
            0.05 * x as f32 + if z > 8 && x > 30 { 4.0 } else { 0.0 } + 0.2 * noise
        });
        let found = noise_sd(&Progress::new(), &array.view()).unwrap();
        // An edge in 3 % of the differences moves their median up by 3.5 %; chance by about 1 % more or less.
        assert!((found / 0.2 - 1.0).abs() < 0.06, "{found}");
        assert_eq!(noise_sd(&Progress::new(), &Array3::zeros((2, 2, 3)).view()), Ok(0.0));
    }
}
