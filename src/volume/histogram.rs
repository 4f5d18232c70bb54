//! Histograms of voxel values: of a whole volume and of each class.

use std::collections::BTreeMap;

use rayon::prelude::*;

/// Counts of values in bins of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Left edge of the first bin.
    pub min: f32,
    /// Right edge of the last bin; greater than `min`.
    pub max: f32,
    /// Counts; values outside the range and NaN are left out.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// An empty histogram; `max` is moved up where it is not greater than `min`.
    pub fn empty(min: f32, max: f32, n_bins: usize) -> Self {
        let max = if max > min { max } else { min + 1.0 };
        Self { min, max, counts: vec![0; n_bins.max(1)] }
    }

    /// Counts `values` into `n_bins` bins from `min` to `max`.
    pub fn of(values: &[f32], min: f32, max: f32, n_bins: usize) -> Self {
        values
            .par_chunks(1 << 18)
            .map(|chunk| {
                let mut part = Self::empty(min, max, n_bins);
                chunk.iter().for_each(|v| part.add(*v));
                part
            })
            .reduce(|| Self::empty(min, max, n_bins), Self::merged)
    }

    /// One histogram per class id that occurs, on the same bins; `ids` and `values` run in step.
    pub fn per_class(values: &[f32], ids: &[u16], min: f32, max: f32, n_bins: usize) -> BTreeMap<u16, Self> {
        let mut classes = BTreeMap::new();
        for (value, id) in values.iter().zip(ids) {
            classes.entry(*id).or_insert_with(|| Self::empty(min, max, n_bins)).add(*value);
        }
        classes
    }

    /// Counts one value.
    pub fn add(&mut self, value: f32) {
        if value >= self.min && value <= self.max {
            let n = self.counts.len();
            let bin = ((value - self.min) / (self.max - self.min) * n as f32) as usize;
            self.counts[bin.min(n - 1)] += 1;
        }
    }

    fn merged(mut self, other: Self) -> Self {
        self.counts.iter_mut().zip(other.counts).for_each(|(a, b)| *a += b);
        self
    }

    /// Value at the middle of a bin.
    pub fn center(&self, bin: usize) -> f32 {
        self.min + (bin as f32 + 0.5) * (self.max - self.min) / self.counts.len() as f32
    }

    /// All values counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The value below which a fraction `q` (0 to 1) of the counted values lie; `min` when empty.
    pub fn quantile(&self, q: f64) -> f32 {
        let target = (q.clamp(0.0, 1.0) * self.total() as f64) as u64;
        let mut seen = 0;
        for (bin, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > target {
                return self.center(bin);
            }
        }
        if seen == 0 { self.min } else { self.max }
    }
}

/// A window that shows nearly all of a volume's values: rare extremes are left out at both ends.
///
/// `values` may be a sample. Values that are not finite do not count; without any the window is 0 to 1.
pub fn automatic_window(values: &[f32]) -> [f32; 2] {
    let (low, high) = values
        .iter()
        .filter(|v| v.is_finite())
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
    if low > high {
        return [0.0, 1.0];
    }
    if low == high {
        return [low, low + 1.0];
    }
    // Twice: a single extreme value must not leave all the others in one bin.
    let rough = Histogram::of(values, low, high, 4096);
    let (a, b) = (rough.quantile(0.0005), rough.quantile(0.9999));
    let (a, b) = if b > a { (a, b) } else { (low, high) };
    let fine = Histogram::of(values, a, b, 4096);
    let window = [fine.quantile(0.005), fine.quantile(0.9985)];
    if window[1] > window[0] { window } else { [low, high] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_window_leaves_out_rare_extremes() {
        let mut values: Vec<f32> = (0..4000).map(|i| (i % 10) as f32 * 0.05).collect();
        values.extend([500.0, f32::NAN, f32::INFINITY]);
        let window = automatic_window(&values);
        assert!(window[1] < 1.0 && window[0] >= 0.0 && window[1] > window[0], "{window:?}");
        assert_eq!(automatic_window(&[]), [0.0, 1.0]);
        assert_eq!(automatic_window(&[2.0; 9]), [2.0, 3.0]);
    }

    #[test]
    fn counts_edges_and_quantiles() {
        let values: Vec<f32> = (0..1000).map(|i| i as f32 / 999.0).chain([f32::NAN, -1.0, 2.0]).collect();
        let histogram = Histogram::of(&values, 0.0, 1.0, 10);
        assert_eq!(histogram.total(), 1000);
        // Half a bin.
        assert!((histogram.quantile(0.5) - 0.5).abs() < 0.0501);
    }

    #[test]
    fn classes_are_counted_apart() {
        let classes = Histogram::per_class(&[0.1, 0.2, 0.9], &[1, 1, 2], 0.0, 1.0, 4);
        assert_eq!(classes[&1].total(), 2);
        assert_eq!(classes[&2].total(), 1);
    }
}
