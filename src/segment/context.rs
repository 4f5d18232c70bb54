//! Context: what the neighbourhood of a region was taken for.
//!
//! The class probabilities of a first pass are spread on a coarse grid of about one region per cell,
//! smoothed at several scales and read back at every region. A second forest that sees them learns what the
//! first cannot know: a nucleolus lies in a nucleus, the blurred skin of a cell is no vacuole. Method: Tu and
//! Bai, "Auto-context", IEEE TPAMI 32 (2010), doi:10.1109/TPAMI.2009.186.
//!
//! Cost: a few dozen operations per region, class and scale. Memory: 4 bytes per region, class and scale, and
//! some grids of one value per region.

use ndarray::Array3;
use rayon::prelude::*;

use super::features::sample;
use super::lanes::{LANES, LaneGrid, Lanes, width};
use super::regions::Place;
use crate::base::{Cancelled, Progress};
use crate::kernels::smooth;

/// Scales of the context, in edges of a region.
pub(crate) const SCALES: [f32; 5] = [0.8, 1.6, 3.2, 6.4, 12.8];

/// A coarse grid over the volume on which regions are spread.
#[derive(Debug, Clone)]
pub(crate) struct ContextGrid {
    shape: [usize; 3],
    /// Cell of every region.
    cell: Vec<u32>,
    /// Place of every region in units of cells (cell centres at whole numbers).
    at: Vec<[f32; 3]>,
    /// Voxels of every region.
    weight: Vec<f32>,
    /// Smoothed weights, per scale.
    norm: Vec<Array3<f32>>,
}

impl ContextGrid {
    /// A grid for regions of `cell` voxels along z, y, x in a volume of `shape`.
    pub(crate) fn new(
        progress: &Progress,
        places: &[Place],
        shape: [usize; 3],
        cell: [f32; 3],
    ) -> Result<Self, Cancelled> {
        let grid: [usize; 3] = std::array::from_fn(|a| (shape[a] as f32 / cell[a]).ceil().max(1.0) as usize);
        let at: Vec<[f32; 3]> =
            places.iter().map(|p| std::array::from_fn(|a| (p.centre_zyx[a] + 0.5) / cell[a] - 0.5)).collect();
        let index = |at: &[f32; 3]| {
            let [z, y, x] = std::array::from_fn(|a| (at[a].round().max(0.0) as usize).min(grid[a] - 1));
            ((z * grid[1] + y) * grid[2] + x) as u32
        };
        let mut context = Self {
            shape: grid,
            cell: at.iter().map(index).collect(),
            weight: places.iter().map(|p| p.n_voxels as f32).collect(),
            at,
            norm: Vec::new(),
        };
        let ones = vec![1.0; places.len()];
        context.norm = context.smoothed(progress, &ones, 1, 0)?;
        Ok(context)
    }

    /// Columns that [`Spread::rows`] adds.
    pub(crate) fn n_features(n_classes: usize) -> usize {
        n_classes * (SCALES.len() + 1)
    }

    /// Sums of the regions' values, weighted by their voxels, on the grid.
    fn deposit<'v>(&self, values: impl Iterator<Item = &'v f32>) -> Array3<f32> {
        let mut grid = Array3::<f32>::zeros((self.shape[0], self.shape[1], self.shape[2]));
        if let Some(cells) = grid.as_slice_mut() {
            for ((cell, weight), value) in self.cell.iter().zip(&self.weight).zip(values) {
                cells[*cell as usize] += weight * value;
            }
        }
        grid
    }

    /// Voxels of a cell of the grid on which a scale (in edges of a region) is smoothed, as a multiple of a region's
    /// edge: σ stays near one and a half cells.
    fn factor(scale: f32) -> f32 {
        let mut factor = 1.0;
        while scale / factor > 2.0 {
            factor *= 2.0;
        }
        factor
    }

    /// One value per region, weighted by its voxels, spread over the neighbourhood at a scale: for [`Self::read`].
    pub(super) fn spread(
        &self,
        progress: &Progress,
        values: &[f32],
        scale: f32,
    ) -> Result<Array3<f32>, Cancelled> {
        let mut grid = self.deposit(values.iter());
        let factor = Self::factor(scale);
        let mut done = 1.0;
        while done < factor {
            grid = smooth::halve(progress, grid.view())?;
            done *= 2.0;
        }
        smooth::gaussian(progress, grid.view(), [scale / factor; 3])
    }

    /// What [`Self::spread`] at a scale left at a region.
    pub(super) fn read(&self, grid: &Array3<f32>, region: usize, scale: f32) -> f32 {
        let factor = Self::factor(scale);
        sample(grid.view(), self.at[region].map(|a| (a - 0.5 * (factor - 1.0)) / factor))
    }

    /// Weighted sums of one class's probabilities on the grid, smoothed at every scale.
    fn smoothed(
        &self,
        progress: &Progress,
        probabilities: &[f32],
        n_classes: usize,
        class: usize,
    ) -> Result<Vec<Array3<f32>>, Cancelled> {
        let mut grid = self.deposit(probabilities.iter().skip(class).step_by(n_classes));
        let mut grids = Vec::with_capacity(SCALES.len());
        let mut level = 0;
        for scale in SCALES {
            // Coarse scales on halved grids.
            while scale / (1 << level) as f32 > 2.0 {
                grid = smooth::halve(progress, grid.view())?;
                level += 1;
            }
            grids.push(smooth::gaussian(progress, grid.view(), [scale / (1 << level) as f32; 3])?);
        }
        Ok(grids)
    }

    /// What was taken for what where: for [`Spread::rows`].
    pub(super) fn spread_all(
        &self,
        progress: &Progress,
        probabilities: &[f32],
        n_classes: usize,
    ) -> Result<Spread, Cancelled> {
        let of_class = (0..n_classes)
            .into_par_iter()
            .map(|class| self.smoothed(progress, probabilities, n_classes, class))
            .collect::<Result<Vec<_>, Cancelled>>()?;
        // From class by class to all classes of a cell in one place.
        let mut of_class: Vec<_> = of_class.into_iter().map(Vec::into_iter).collect();
        let mut of_scale = Vec::with_capacity(SCALES.len());
        for norm in &self.norm {
            progress.check()?;
            let grids: Vec<Array3<f32>> = of_class.iter_mut().filter_map(Iterator::next).collect();
            let norm = norm.as_slice().unwrap_or(&[]);
            of_scale.push(LaneGrid::new(&grids, |v, i| if norm[i] > 1e-6 { v / norm[i] } else { 0.0 }));
        }
        Ok(Spread { n_classes, of_scale })
    }

    /// Several values per region as [`Self::spread`] leaves them at a scale, for [`Self::read_all`].
    pub(super) fn spread_rows(
        &self,
        progress: &Progress,
        columns: &[Vec<f32>],
        scale: f32,
    ) -> Result<LaneGrid, Cancelled> {
        let grids = columns
            .par_iter()
            .map(|values| self.spread(progress, values, scale))
            .collect::<Result<Vec<_>, Cancelled>>()?;
        Ok(LaneGrid::new(&grids, |v, _| v))
    }

    /// What [`Self::spread_rows`] at a scale left at a region.
    #[inline(always)]
    pub(super) fn read_all(&self, grid: &LaneGrid, region: usize, scale: f32, out: &mut [Lanes]) {
        let factor = Self::factor(scale);
        grid.sample(self.at[region].map(|a| (a - 0.5 * (factor - 1.0)) / factor), out);
    }
}

/// Smoothed probabilities of all classes, per scale.
pub(super) struct Spread {
    n_classes: usize,
    of_scale: Vec<LaneGrid>,
}

impl Spread {
    /// Context of some regions: for each class its own probability and the smoothed ones,
    /// [`ContextGrid::n_features`] columns, row after row in the order of `regions`.
    pub(super) fn rows(
        &self,
        progress: &Progress,
        context: &ContextGrid,
        probabilities: &[f32],
        regions: &[u32],
    ) -> Result<Vec<f32>, Cancelled> {
        const BLOCK: usize = 256;
        let n_classes = self.n_classes;
        let n_features = ContextGrid::n_features(n_classes);
        let mut out = vec![0.0f32; regions.len() * n_features];
        out.par_chunks_mut(n_features * BLOCK).zip(regions.par_chunks(BLOCK)).try_for_each(
            |(rows, regions)| {
                progress.check()?;
                pulp::Arch::new().dispatch(|| self.fill_rows(context, probabilities, regions, rows));
                Ok(())
            },
        )?;
        Ok(out)
    }

    #[inline(always)]
    fn fill_rows(&self, context: &ContextGrid, probabilities: &[f32], regions: &[u32], rows: &mut [f32]) {
        const STEP: usize = SCALES.len() + 1;
        let k = self.n_classes;
        let factors = SCALES.map(ContextGrid::factor);
        let mut all = vec![[0.0; LANES]; width(k)];
        for (row, region) in rows.chunks_exact_mut(k * STEP).zip(regions) {
            let r = *region as usize;
            for (columns, p) in row.chunks_exact_mut(STEP).zip(&probabilities[r * k..][..k]) {
                columns[0] = *p;
            }
            for (scale, (grid, factor)) in self.of_scale.iter().zip(factors).enumerate() {
                grid.sample(context.at[r].map(|a| (a - 0.5 * (factor - 1.0)) / factor), &mut all);
                for (columns, value) in row.chunks_exact_mut(STEP).zip(all.as_flattened()) {
                    columns[scale + 1] = *value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_the_probability_itself_and_then_its_neighbourhood() {
        // A row of 64 regions of 4 voxels along x; the right half is class 1.
        let places: Vec<Place> =
            (0..64).map(|i| Place { n_voxels: 64, centre_zyx: [1.5, 1.5, i as f32 * 4.0 + 1.5] }).collect();
        let probabilities: Vec<f32> =
            (0..64).flat_map(|i| if i < 32 { [1.0, 0.0] } else { [0.0, 1.0] }).collect();
        let progress = Progress::new();
        let grid = ContextGrid::new(&progress, &places, [4, 4, 256], [4.0; 3]).unwrap();
        let spread = grid.spread_all(&progress, &probabilities, 2).unwrap();
        let all: Vec<u32> = (0..64).collect();
        let features = spread.rows(&progress, &grid, &probabilities, &all).unwrap();
        let n = ContextGrid::n_features(2);
        let row = |r: usize| &features[r * n..][..n];
        for r in 0..64 {
            let (first, second) = row(r).split_at(n / 2);
            assert_eq!([first[0], second[0]], [probabilities[2 * r], probabilities[2 * r + 1]]);
            for (a, b) in first.iter().zip(second) {
                assert!((a + b - 1.0).abs() < 1e-5, "region {r}: {a} + {b}");
            }
        }
        // Beside the border the far class shows the more, the coarser the scale.
        let near = &row(28)[n / 2 + 1..];
        assert!(near.windows(2).all(|w| w[1] >= w[0] - 1e-3), "{near:?}");
        assert_eq!(spread.rows(&progress, &grid, &probabilities, &[28]).unwrap(), row(28));
        assert!(near[0] < 0.01 && near[2] > 0.05 && near[4] > 0.3, "{near:?}");
    }
}
