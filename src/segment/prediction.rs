//! What a classifier says of the regions of a volume, and of its voxels.

use ndarray::Array3;
use rayon::prelude::*;

use super::{FeatureCache, Regions, Scribbles};
use crate::base::{Cancelled, Progress};
use crate::volume::Labels;
use crate::volume::labels::{BRICK, BRICK_LEN, Brick};

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
    /// Class id of every region, that of no region first.
    fn class_of_region(&self) -> Vec<u16> {
        let k = self.classes.len();
        let of_region = self.probabilities.par_chunks_exact(k).map(|p| self.classes[best_two(p).0]);
        rayon::iter::once(0).chain(of_region).collect()
    }

    /// Labels of every voxel: the class of its region, or its own where classes meet; 0 outside the mask. Painted voxels keep what was painted.
    pub fn labels(&self, regions: &Regions, scribbles: Option<&Scribbles>) -> Array3<u16> {
        let class = self.class_of_region();
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

    /// What [`Self::labels`] gives, as bricks.
    ///
    /// # Errors
    /// [`Cancelled`], checked once per row of bricks.
    pub fn bricks(
        &self,
        progress: &Progress,
        regions: &Regions,
        scribbles: Option<&Scribbles>,
    ) -> Result<Labels, Cancelled> {
        let class = self.class_of_region();
        let shape = regions.shape();
        let rows = shape[0].div_ceil(BRICK) * shape[1].div_ceil(BRICK);
        let painted = scribbles.map_or(&[][..], Scribbles::voxels);
        let bricks = (0..rows)
            .into_par_iter()
            .map(|row| {
                progress.check()?;
                Ok(self.row_of_bricks(row, shape, regions.values(), &class, painted))
            })
            .collect::<Result<Vec<_>, Cancelled>>()?;
        Ok(Labels::of_bricks(shape, bricks.into_iter().flatten().collect()))
    }

    /// The bricks along x of one row of them.
    fn row_of_bricks(
        &self,
        row: usize,
        [nz, ny, nx]: [usize; 3],
        regions: &[u32],
        class: &[u16],
        painted: &[(usize, u16)],
    ) -> Vec<Brick> {
        let per_layer = ny.div_ceil(BRICK);
        let (z0, y0) = (row / per_layer * BRICK, row % per_layer * BRICK);
        let (z1, y1) = ((z0 + BRICK).min(nz), (y0 + BRICK).min(ny));
        let mut bricks = vec![vec![0u16; BRICK_LEN]; nx.div_ceil(BRICK)];
        // Both lists are in order: those of the rows of a slice lie together.
        fn part<T>(list: &[(usize, T)], from: usize, to: usize) -> &[(usize, T)] {
            let from = list.partition_point(|(index, _)| *index < from);
            &list[from..from + list[from..].partition_point(|(index, _)| *index < to)]
        }
        for z in z0..z1 {
            let offset = |y: usize| ((z - z0) * BRICK + y - y0) * BRICK;
            for y in y0..y1 {
                let ids = &regions[(z * ny + y) * nx..][..nx];
                for (brick, ids) in bricks.iter_mut().zip(ids.chunks(BRICK)) {
                    let out = &mut brick[offset(y)..][..ids.len()];
                    out.iter_mut().zip(ids).for_each(|(out, id)| *out = class[*id as usize]);
                }
            }
            let (from, to) = ((z * ny + y0) * nx, (z * ny + y1) * nx);
            let place = |index: usize| (index % nx / BRICK, offset(index / nx % ny) + index % nx % BRICK);
            for (index, position) in part(&self.refined, from, to) {
                let (brick, at) = place(*index);
                bricks[brick][at] = self.classes[*position as usize];
            }
            for (index, class) in part(painted, from, to) {
                let (brick, at) = place(*index);
                if bricks[brick][at] > 0 {
                    bricks[brick][at] = *class;
                }
            }
        }
        bricks.into_iter().map(Brick::of_ids).collect()
    }

    /// Voxels of every class in [`Self::labels`], in order of id; 0 is outside the mask.
    pub fn counts(&self, cache: &FeatureCache, scribbles: &Scribbles) -> Vec<(u16, u64)> {
        let ids = cache.regions.values();
        let class = self.class_of_region();
        let mut counts = std::collections::BTreeMap::<u16, u64>::new();
        let mut inside = 0;
        for (class, place) in class[1..].iter().zip(&cache.places) {
            *counts.entry(*class).or_insert(0) += u64::from(place.n_voxels);
            inside += u64::from(place.n_voxels);
        }
        counts.insert(0, (ids.len() as u64).saturating_sub(inside));
        let refined = |index: usize| {
            let found = self.refined.binary_search_by_key(&index, |(index, _)| *index).ok()?;
            Some(self.classes[self.refined[found].1 as usize])
        };
        let mut turn = |from: u16, to: u16| {
            if let Some(n) = counts.get_mut(&from) {
                *n -= 1;
                *counts.entry(to).or_insert(0) += 1;
            }
        };
        for (index, position) in &self.refined {
            turn(class[ids[*index] as usize], self.classes[*position as usize]);
        }
        for (index, painted) in scribbles.voxels().iter().filter(|(index, _)| ids[*index] > 0) {
            turn(refined(*index).unwrap_or(class[ids[*index] as usize]), *painted);
        }
        counts.into_iter().filter(|(_, n)| *n > 0).collect()
    }

    /// Uncertainty of every voxel, 0 to 1: that of its region; 0 outside the mask.
    pub fn uncertainty_volume(&self, regions: &Regions) -> Array3<f32> {
        spread_out(&Progress::new(), regions, &self.uncertainty(), None).unwrap_or_default()
    }

    /// The same in an array that is no longer needed, where one of that shape is given: fresh memory costs more time
    /// than what is written to it.
    ///
    /// # Errors
    /// [`Cancelled`], checked once per block of voxels.
    pub fn uncertainty_in(
        &self,
        progress: &Progress,
        regions: &Regions,
        spare: Option<Array3<f32>>,
    ) -> Result<Array3<f32>, Cancelled> {
        spread_out(progress, regions, &self.uncertainty(), spare)
    }

    /// Probability of one of the classes for every voxel: that of its region; 0 outside the mask. `None` for
    /// a class that was not painted.
    pub fn probability_volume(&self, regions: &Regions, class: u16) -> Option<Array3<f32>> {
        let position = self.classes.iter().position(|c| *c == class)?;
        let of_region: Vec<f32> =
            self.probabilities.chunks_exact(self.classes.len()).map(|p| p[position]).collect();
        spread_out(&Progress::new(), regions, &of_region, None).ok()
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
fn spread_out(
    progress: &Progress,
    regions: &Regions,
    values: &[f32],
    spare: Option<Array3<f32>>,
) -> Result<Array3<f32>, Cancelled> {
    let values: Vec<f32> = std::iter::once(0.0).chain(values.iter().copied()).collect();
    let spare = spare.filter(|spare| spare.dim() == regions.ids.dim() && spare.is_standard_layout());
    let mut out = spare.unwrap_or_else(|| Array3::zeros(regions.ids.dim()));
    if let Some(out) = out.as_slice_mut() {
        out.par_chunks_mut(BLOCK).zip(regions.values().par_chunks(BLOCK)).try_for_each(|(out, ids)| {
            progress.check()?;
            out.iter_mut()
                .zip(ids)
                .for_each(|(out, id)| *out = values.get(*id as usize).copied().unwrap_or(0.0));
            Ok(())
        })?;
    }
    Ok(out)
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
    use crate::base::Progress;
    use crate::segment::{Recipe, SegmentParams, test_data, train};

    #[test]
    fn bricks_and_counts_are_those_of_the_dense_labels() {
        let shape = [40, 35, 70];
        let volume = test_data::noisy_balls(shape, 3);
        let truth = test_data::balls(shape);
        let mask = Array3::from_shape_fn(shape, |(z, y, x)| z + y + x > 12);
        let progress = Progress::new();
        let painted = (0..shape[0]).step_by(5).flat_map(|z| {
            let truth = &truth;
            (4..30)
                .step_by(5)
                .flat_map(move |y| (0..70).step_by(7).map(move |x| [z, y, x]))
                .map(move |zyx| (zyx, truth[zyx] + 1))
        });
        let scribbles = Scribbles::from_voxels(shape, painted);
        for mask in [None, Some(mask.view())] {
            let cache = FeatureCache::build(&progress, &volume, mask, &Recipe::default()).unwrap();
            let training = SegmentParams::default().training().unwrap();
            let (_, prediction) = train(&progress, &cache, &scribbles, &training, 0).unwrap();
            assert!(!prediction.refined.is_empty(), "some voxels are decided one by one");
            let dense = prediction.labels(&cache.regions, Some(&scribbles));
            let bricks = prediction.bricks(&progress, &cache.regions, Some(&scribbles)).unwrap();
            assert_eq!(bricks, Labels::from_dense(&dense));
            let mut counts = std::collections::BTreeMap::new();
            dense.iter().for_each(|id| *counts.entry(*id).or_insert(0u64) += 1);
            assert_eq!(prediction.counts(&cache, &scribbles), counts.into_iter().collect::<Vec<_>>());
            let fresh = prediction.uncertainty_volume(&cache.regions);
            for spare in [Array3::from_elem(shape, 7.0), Array3::from_elem([2; 3], 7.0)] {
                let found = prediction.uncertainty_in(&progress, &cache.regions, Some(spare)).unwrap();
                assert_eq!(found, fresh);
            }
            let cancelled = Progress::new();
            cancelled.cancel();
            assert_eq!(prediction.bricks(&cancelled, &cache.regions, None), Err(Cancelled));
        }
    }

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
