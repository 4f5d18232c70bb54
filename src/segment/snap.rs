//! Supervoxels that snap to borders: a watershed of the gradient from a grid of seeds.
//!
//! SLIC weighs values against compactness and draws borders where the values pass the middle between two seeds. Here
//! every cell of a grid has one seed at its flattest voxel, and regions grow from the flat to the steep: two of them
//! meet on the crest between them. A small cost for the way from the seed keeps them compact where nothing is to be
//! seen (compact watershed: Neubert and Protzel, ICPR 2014, doi:10.1109/ICPR.2014.181).
//!
//! The flood runs on one thread, in the order of cost and then of arrival, so the result is the same everywhere.
//! Cost: six look-ups per voxel. Memory: 12 bytes per voxel.

use ndarray::Array3;
use rayon::prelude::*;

use crate::base::{Cancelled, Progress};

/// Steps of the cost.
const LEVELS: usize = 2048;
/// Gradient, in spreads per voxel, at the top of the steps.
const TOP: f32 = 1.0;
/// Steps that a way of one cell costs at compactness 1.
const WAY: f32 = 40.0;
/// Voxels between two looks at the cancel flag.
const LOOK: usize = 1 << 16;

/// What a flood runs on.
pub(super) struct Flood<'a> {
    /// Smoothed values.
    pub(super) values: &'a [f32],
    pub(super) mask: Option<&'a [bool]>,
    pub(super) shape: [usize; 3],
    /// Edge of a grid cell in voxels.
    pub(super) cell: [f32; 3],
    /// Usual spread of the values.
    pub(super) spread: f32,
    pub(super) compactness: f32,
}

impl Flood<'_> {
    /// Labels of every voxel: 1 and up; 0 where no seed reaches.
    pub(super) fn run(&self, progress: &Progress) -> Result<Array3<u32>, Cancelled> {
        let [nz, ny, nx] = self.shape;
        progress.phase("Finding borders", nz as u64);
        let slope = self.slope(progress)?;
        let seeds = self.seeds(&slope);
        let is_inside = |voxel: usize| self.mask.is_none_or(|mask| mask[voxel]);
        let mut labels = vec![0u32; slope.len()];
        let mut queue: Vec<Vec<u32>> = vec![Vec::new(); LEVELS];
        for (i, seed) in seeds.iter().enumerate() {
            labels[*seed as usize] = i as u32 + 1;
            queue[slope[*seed as usize] as usize].push(*seed);
        }
        let place = |voxel: u32| {
            let voxel = voxel as usize;
            [voxel / (ny * nx), voxel / nx % ny, voxel % nx]
        };
        let way = WAY * self.compactness;
        progress.phase("Flooding", slope.len() as u64);
        let mut done = 0;
        for level in 0..LEVELS {
            let mut next = 0;
            // The list of a level grows while it is read.
            while let Some(&voxel) = queue[level].get(next) {
                next += 1;
                done += 1;
                if done % LOOK == 0 {
                    progress.check()?;
                    progress.advance(LOOK as u64);
                }
                let label = labels[voxel as usize];
                let zyx = place(voxel);
                let seed = place(seeds[label as usize - 1]);
                let steps = [(0, ny * nx, nz), (1, nx, ny), (2, 1, nx)];
                for (axis, stride, n) in steps {
                    let mut flow = |other: usize, at: usize| {
                        if labels[other] != 0 || !is_inside(other) {
                            return;
                        }
                        labels[other] = label;
                        let squared: f32 = (0..3)
                            .map(|a| {
                                let here = if a == axis { at } else { zyx[a] };
                                ((here as f32 - seed[a] as f32) / self.cell[a]).powi(2)
                            })
                            .sum();
                        let cost = f32::from(slope[other]) + way * squared.sqrt();
                        queue[(cost as usize).clamp(level, LEVELS - 1)].push(other as u32);
                    };
                    if zyx[axis] > 0 {
                        flow(voxel as usize - stride, zyx[axis] - 1);
                    }
                    if zyx[axis] + 1 < n {
                        flow(voxel as usize + stride, zyx[axis] + 1);
                    }
                }
            }
            queue[level] = Vec::new();
        }
        Ok(Array3::from_shape_vec((nz, ny, nx), labels).unwrap_or_default())
    }

    /// Steepness of every voxel in steps of the cost.
    fn slope(&self, progress: &Progress) -> Result<Vec<u16>, Cancelled> {
        let [nz, ny, nx] = self.shape;
        let scale = LEVELS as f32 / (TOP * self.spread);
        let mut slope = vec![0u16; nz * ny * nx];
        slope.par_chunks_mut(ny * nx).enumerate().try_for_each(|(z, slice)| {
            progress.check()?;
            let at = |z: usize, y: usize, x: usize| self.values[(z * ny + y) * nx + x];
            let (z0, z1) = (z.saturating_sub(1), (z + 1).min(nz - 1));
            for y in 0..ny {
                let (y0, y1) = (y.saturating_sub(1), (y + 1).min(ny - 1));
                for x in 0..nx {
                    let (x0, x1) = (x.saturating_sub(1), (x + 1).min(nx - 1));
                    let g = [
                        at(z1, y, x) - at(z0, y, x),
                        at(z, y1, x) - at(z, y0, x),
                        at(z, y, x1) - at(z, y, x0),
                    ];
                    let steep = 0.5 * g.iter().map(|g| g * g).sum::<f32>().sqrt();
                    slice[y * nx + x] = (steep * scale).min(LEVELS as f32 - 1.0) as u16;
                }
            }
            progress.advance(1);
            Ok(())
        })?;
        Ok(slope)
    }

    /// The flattest voxel of every cell (the one nearest to its middle among equals), in order of the cells.
    fn seeds(&self, slope: &[u16]) -> Vec<u32> {
        let [_, ny, nx] = self.shape;
        let n: [usize; 3] =
            std::array::from_fn(|a| (self.shape[a] as f32 / self.cell[a]).round().max(1.0) as usize);
        let range = |a: usize, i: usize| i * self.shape[a] / n[a]..(i + 1) * self.shape[a] / n[a];
        let cells: Vec<[usize; 3]> =
            (0..n[0]).flat_map(|z| (0..n[1]).flat_map(move |y| (0..n[2]).map(move |x| [z, y, x]))).collect();
        cells
            .par_iter()
            .filter_map(|cell| {
                let [zs, ys, xs] = std::array::from_fn(|a| range(a, cell[a]));
                let middle = [&zs, &ys, &xs].map(|r| (r.start + r.end - 1) as i64);
                let mut best: Option<(u16, i64, u32)> = None;
                for z in zs {
                    for y in ys.clone() {
                        for x in xs.clone() {
                            let voxel = (z * ny + y) * nx + x;
                            if self.mask.is_none_or(|mask| mask[voxel]) {
                                let off: i64 = [z, y, x]
                                    .iter()
                                    .zip(middle)
                                    .map(|(i, m)| (2 * *i as i64 - m).pow(2))
                                    .sum();
                                let found = (slope[voxel], off, voxel as u32);
                                best = Some(best.map_or(found, |best| best.min(found)));
                            }
                        }
                    }
                }
                best.map(|best| best.2)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::slic::SupervoxelMethod;
    use crate::segment::{Regions, SegmentError, SlicParams, quality, supervoxels, test_data};

    fn params(size_voxels: f32) -> SlicParams {
        SlicParams { method: SupervoxelMethod::Watershed, size_voxels, ..SlicParams::default() }
    }

    #[test]
    fn regions_are_connected_snap_to_borders_and_do_not_depend_on_threads() {
        let shape = [40, 36, 44];
        let (volume, truth) = (test_data::noisy_balls(shape, 6), test_data::balls(shape));
        let run = |n| -> Regions {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| supervoxels(&Progress::new(), &volume, None, &params(5.0)).unwrap())
        };
        let regions = run(1);
        assert_eq!(regions, run(3));
        assert!(test_data::regions_are_connected(&regions), "a region falls apart");
        let nominal = (shape.iter().product::<usize>() / 125) as u32;
        assert!(regions.n > nominal / 2 && regions.n < 2 * nominal, "{} regions", regions.n);
        let recall = quality::boundary_recall(&regions, truth.mapv(|c| u32::from(c) + 1).view(), 1);
        // Half of all voxels lie beside a border of regions of 5 voxels.
        assert!(recall > 0.9, "{recall}");
    }

    #[test]
    fn masks_are_kept_and_a_cancel_is_answered() {
        let mut volume = test_data::noisy_balls([20; 3], 6);
        volume.data.slice_mut(ndarray::s![15.., .., ..]).fill(f32::NAN);
        let mask = Array3::from_shape_fn([20; 3], |(z, _, _)| z < 15);
        let regions = supervoxels(&Progress::new(), &volume, Some(mask.view()), &params(4.0)).unwrap();
        assert!(regions.ids.iter().zip(&mask).all(|(id, inside)| (*id > 0) == *inside));
        let progress = Progress::new();
        progress.cancel();
        let error = supervoxels(&progress, &volume, Some(mask.view()), &params(4.0)).unwrap_err();
        assert_eq!(error, SegmentError::Cancelled(Cancelled));
    }
}
