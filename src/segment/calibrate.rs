//! Probabilities that mean what they say: of what is told with 0.8, four in five shall be right.
//!
//! Votes that were weighed and agreed among neighbours are too sure or too soft. One number, the temperature, puts that
//! right (Guo and others, ICML 2017): every probability is raised to one over it. It is found on the painted regions,
//! each told by trees that have not seen its stroke, so that the classifier cannot praise itself. The order of the
//! classes stays.

/// Least and greatest temperature.
const RANGE: [f32; 2] = [0.4, 4.0];
/// Samples that speak for leaving probabilities as they are: few strokes shall not turn much.
const DOUBT: f32 = 10.0;

/// The temperature under which what was said of some samples is most probable.
///
/// `said` has `n_classes` probabilities per sample, `classes` the true positions; every class counts the same.
pub(super) fn temperature(said: &[f32], classes: &[u16], n_classes: usize) -> f32 {
    let mut counts = vec![0.0f32; n_classes];
    classes.iter().for_each(|c| counts[*c as usize] += 1.0);
    let present = counts.iter().filter(|n| **n > 0.0).count().max(1) as f32;
    let loss = |log_t: f32| {
        let inverse = (-log_t).exp();
        let mut sum = 0.0f64;
        for (row, class) in said.chunks_exact(n_classes).zip(classes) {
            let own = row[*class as usize].max(1e-4).powf(inverse);
            let all: f32 = row.iter().map(|p| p.max(1e-4).powf(inverse)).sum();
            sum -= f64::from((own / all).ln() / (counts[*class as usize] * present));
        }
        sum as f32 + DOUBT / classes.len().max(1) as f32 * log_t * log_t
    };
    // Golden section: the loss has one valley.
    let golden = 0.618_034;
    let [mut low, mut high] = RANGE.map(f32::ln);
    for _ in 0..24 {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if loss(a) < loss(b) {
            high = b;
        } else {
            low = a;
        }
    }
    (0.5 * (low + high)).exp()
}

/// Raises a row of probabilities to one over the temperature and makes it sum to 1 again.
pub(super) fn apply(row: &mut [f32], temperature: f32) {
    let mut sum = 0.0;
    for p in row.iter_mut() {
        *p = p.powf(1.0 / temperature);
        sum += *p;
    }
    row.iter_mut().for_each(|p| *p /= sum);
}

/// Expected calibration error: in ten bins of what was said, the mean difference between that and the share that was
/// right, weighted by how many fall into the bin. 0 is best.
pub fn calibration_error(said: impl IntoIterator<Item = (f32, bool)>) -> f64 {
    let mut bins = [(0.0f64, 0.0f64, 0.0f64); 10];
    for (p, is_right) in said {
        let bin = &mut bins[((p * 10.0) as usize).min(9)];
        *bin = (bin.0 + 1.0, bin.1 + f64::from(p), bin.2 + f64::from(u8::from(is_right)));
    }
    let all: f64 = bins.iter().map(|b| b.0).sum();
    bins.iter().map(|(_, said, right)| (said - right).abs()).sum::<f64>() / all.max(1.0)
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand::SeedableRng as _;
    use rand_pcg::Pcg64Mcg;

    use super::*;

    /// Rows of three classes, drawn with the probability that they say, and then made sharper by `power`.
    fn drawn(power: f32) -> (Vec<f32>, Vec<u16>) {
        let mut rng = Pcg64Mcg::seed_from_u64(3);
        let (mut said, mut classes) = (Vec::new(), Vec::new());
        for _ in 0..4000 {
            let mut row = [0; 3].map(|_| rng.random_range(0.02f32..1.0).powi(3));
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= sum);
            let at: f32 = rng.random();
            classes.push(if at < row[0] { 0 } else { 1 + u16::from(at >= row[0] + row[1]) });
            row.iter_mut().for_each(|p| *p = p.powf(power));
            let sum: f32 = row.iter().sum();
            said.extend(row.map(|p| p / sum));
        }
        (said, classes)
    }

    fn error(said: &[f32], classes: &[u16]) -> f64 {
        calibration_error(said.chunks(3).zip(classes).map(|(row, class)| {
            let best = (0..3).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            (row[best], best == *class as usize)
        }))
    }

    #[test]
    fn the_temperature_undoes_what_made_probabilities_too_sure_or_too_soft() {
        for power in [0.5, 1.0, 2.0] {
            let (mut said, classes) = drawn(power);
            let found = temperature(&said, &classes, 3);
            // 4000 samples fix the exponent to a few per cent.
            assert!((found - power).abs() < 0.12 * power, "sharpened by {power}, found {found}");
            let before = error(&said, &classes);
            said.chunks_mut(3).for_each(|row| apply(row, found));
            let after = error(&said, &classes);
            assert!(after < 0.02 && after <= before + 0.005, "power {power}: {before} before, {after} after");
        }
    }

    #[test]
    fn a_handful_of_samples_turns_little_and_the_error_of_known_bins_is_right() {
        let found = temperature(&[0.9, 0.1, 0.2, 0.8], &[0, 1], 2);
        assert!((0.7..1.3).contains(&found), "{found}");
        assert!(temperature(&[], &[], 2).is_finite());
        let said = [(0.95, true), (0.95, false), (0.55, true), (0.55, true)];
        assert!((calibration_error(said) - 0.45).abs() < 1e-6);
    }
}
