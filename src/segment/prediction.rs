//! What a classifier says of the regions of a volume, and of its voxels.

use ndarray::Array3;
use rayon::prelude::*;

use super::{Regions, Scribbles};

/// Voxels per unit of parallel work.
const BLOCK: usize = 1 << 16;

/// What a classifier says of every region.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Class ids in the order of the probabilities.
    pub classes: Vec<u16>,
    /// Probability of every class, region after region.
    pub probabilities: Vec<f32>,
    /// Voxels whose class is not the most probable one of their region, as (index, position in `classes`), in order.
    pub refined: Vec<(usize, u16)>,
}

impl Prediction {
    /// Labels of every voxel: the class of its region, or its own where classes meet; 0 outside the mask. Painted voxels keep what was painted.
    pub fn labels(&self, regions: &Regions, scribbles: Option<&Scribbles>) -> Array3<u16> {
        let k = self.classes.len();
        let of_region = self.probabilities.par_chunks_exact(k).map(|p| self.classes[best_two(p).0]);
        let class: Vec<u16> = rayon::iter::once(0).chain(of_region).collect();
        let mut labels = Array3::zeros(regions.ids.dim());
        let Some(values) = labels.as_slice_mut() else { return labels };
        values.par_chunks_mut(BLOCK).zip(regions.values().par_chunks(BLOCK)).for_each(|(labels, ids)| {
            labels.iter_mut().zip(ids).for_each(|(label, id)| *label = class[*id as usize]);
        });
        for (index, position) in &self.refined {
            if let (Some(label), Some(class)) = (values.get_mut(*index), self.classes.get(*position as usize))
            {
                *label = *class;
            }
        }
        if let Some(scribbles) = scribbles {
            for (index, class) in scribbles.voxels() {
                if let Some(label) = values.get_mut(*index).filter(|label| **label > 0) {
                    *label = *class;
                }
            }
        }
        labels
    }

    /// Uncertainty of every voxel, 0 to 1: that of its region; 0 outside the mask.
    pub fn uncertainty_volume(&self, regions: &Regions) -> Array3<f32> {
        spread_out(regions, &self.uncertainty())
    }

    /// Probability of one of the classes for every voxel: that of its region; 0 outside the mask. `None` for
    /// a class that was not painted.
    pub fn probability_volume(&self, regions: &Regions, class: u16) -> Option<Array3<f32>> {
        let position = self.classes.iter().position(|c| *c == class)?;
        let of_region: Vec<f32> =
            self.probabilities.chunks_exact(self.classes.len()).map(|p| p[position]).collect();
        Some(spread_out(regions, &of_region))
    }

    /// Uncertainty of every region: 1 minus the margin between its two most probable classes, 0 to 1.
    pub fn uncertainty(&self) -> Vec<f32> {
        self.probabilities.chunks_exact(self.classes.len()).map(|p| 1.0 - best_two(p).1).collect()
    }
}

impl Prediction {
    /// Entropy of every region's probabilities as a fraction of the greatest possible, 0 (sure) to 1.
    pub fn entropy(&self) -> Vec<f32> {
        let most = (self.classes.len().max(2) as f32).ln();
        self.probabilities
            .chunks_exact(self.classes.len())
            .map(|row| row.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum::<f32>() / most)
            .collect()
    }
}

/// Gives every voxel the value of its region.
fn spread_out(regions: &Regions, values: &[f32]) -> Array3<f32> {
    let values: Vec<f32> = std::iter::once(0.0).chain(values.iter().copied()).collect();
    let mut out = Array3::zeros(regions.ids.dim());
    if let Some(out) = out.as_slice_mut() {
        out.par_chunks_mut(BLOCK).zip(regions.values().par_chunks(BLOCK)).for_each(|(out, ids)| {
            out.iter_mut()
                .zip(ids)
                .for_each(|(out, id)| *out = values.get(*id as usize).copied().unwrap_or(0.0));
        });
    }
    out
}

/// Index of the greatest value (the first among equals) and its lead over the next.
pub(super) fn best_two(p: &[f32]) -> (usize, f32) {
    let (mut best, mut first, mut second) = (0, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (i, p) in p.iter().enumerate() {
        if *p > first {
            (second, first, best) = (first, *p, i);
        } else if *p > second {
            second = *p;
        }
    }
    (best, if second.is_finite() { first - second } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margin_and_entropy_rank_what_is_sure_and_what_is_not() {
        let prediction = Prediction {
            classes: vec![1, 2, 3, 4],
            probabilities: vec![1.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.25, 0.25, 0.25, 0.25],
            refined: Vec::new(),
        };
        assert_eq!(prediction.uncertainty(), vec![0.0, 1.0, 1.0]);
        let entropy = prediction.entropy();
        assert!(entropy[0] == 0.0 && (entropy[1] - 0.5).abs() < 1e-6 && (entropy[2] - 1.0).abs() < 1e-6);
    }
}
