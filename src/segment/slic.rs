//! Supervoxels: simple linear iterative clustering (SLIC) in three dimensions.
//!
//! Seeds start on a regular grid of cells of about `size_voxels` along each edge (in physical size: a volume
//! with longer voxels along z gets fewer voxels along z). Each round gives every voxel to the seed with the
//! smallest distance
//!
//! ```text
//! d² = (Δvalue / (compactness · spread))² + (Δz/s_z)² + (Δy/s_y)² + (Δx/s_x)²
//! ```
//!
//! where `s` is the edge of a cell in voxels, and `spread` a quarter of the span between the 2nd and the
//! 98th percentile of the values, so that the result does not depend on their unit. Then every seed moves to
//! the mean of its voxels. Values are smoothed a little first, since reconstructions are noisy. At last
//! [`Regions::from_labels`] makes every region 6-connected and merges crumbs.
//!
//! Method: Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods", IEEE TPAMI 34
//! (2012), doi:10.1109/TPAMI.2012.120; here seeds are compared over the box of ±1 cell around them.
//!
//! The volume is cut into blocks of fixed size. A block keeps the best distance and seed of its voxels in
//! cache and runs through the seeds that reach into it, in order of their number; rows along x are compared
//! eight voxels at a time. Sums for the update are kept per block and added in the order of the blocks, so
//! the result does not depend on the number of threads.
//!
//! Cost: about 18 comparisons per voxel and round. Memory: one smoothed copy (4 bytes a voxel), the ids (4
//! bytes a voxel), some 60 bytes per region.

mod card;

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::card::{Card, CardError};
use super::membranes::{self, Wall};
use super::snap::Flood;
use super::{Regions, SegmentError};
use crate::base::{Cancelled, Progress};
use crate::gpu::Gpu;
use crate::kernels::smooth;
use crate::volume::Volume;

/// Block of the assignment: z, y, x voxels; x a multiple of the eight lanes of a row.
const BLOCK: [usize; 3] = [16, 32, 64];
const LANES: usize = 8;

/// How regions are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SupervoxelMethod {
    /// Clustering of values and places.
    #[default]
    Slic,
    /// Flooding of the gradient from a grid of seeds: regions that snap to borders.
    Watershed,
    /// Basins between membranes, joined across the weakest.
    Membranes,
}

/// What the user may choose about supervoxels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlicParams {
    /// How regions are found.
    pub method: SupervoxelMethod,
    /// Edge of a supervoxel in voxels, 2 to 64. About half the smallest thing to be told apart.
    pub size_voxels: f32,
    /// How much a compact shape counts against an even value, 0.01 to 100; larger makes cubes.
    pub compactness: f32,
    /// Rounds of assignment and update, 1 to 50.
    pub iterations: u32,
    /// Standard deviation of the Gaussian the values are smoothed with first, in voxels, 0 to 10.
    pub smoothing_voxels: f32,
    /// Connected pieces smaller than this fraction of a cell join a neighbour, 0 to 1.
    pub min_size: f32,
    /// Thickness of membranes in voxels, 1 to 32.
    pub wall_voxels: f32,
    /// The same in nm, which goes before; needs the voxel size.
    pub wall_nm: Option<f32>,
    /// Whether membranes are darker or brighter than what they part.
    pub wall: Wall,
}

impl Default for SlicParams {
    fn default() -> Self {
        Self {
            method: SupervoxelMethod::Slic,
            size_voxels: 4.5,
            compactness: 0.5,
            iterations: 5,
            smoothing_voxels: 1.0,
            min_size: 0.35,
            wall_voxels: 3.0,
            wall_nm: None,
            wall: Wall::Dark,
        }
    }
}

impl SlicParams {
    fn check(&self) -> Result<(), SegmentError> {
        let range = |name, value: f32, low: f32, high: f32, range| {
            if value >= low && value <= high {
                Ok(())
            } else {
                Err(SegmentError::Parameter { name, value: f64::from(value), range })
            }
        };
        range("size_voxels", self.size_voxels, 2.0, 64.0, "2 to 64 voxels")?;
        range("compactness", self.compactness, 0.01, 100.0, "0.01 to 100")?;
        range("iterations", self.iterations as f32, 1.0, 50.0, "1 to 50")?;
        range("smoothing_voxels", self.smoothing_voxels, 0.0, 10.0, "0 to 10 voxels")?;
        range("min_size", self.min_size, 0.0, 1.0, "0 to 1")?;
        range("wall_voxels", self.wall_voxels, 1.0, 32.0, "1 to 32 voxels")
    }
}

/// Supervoxels of a volume, inside `mask` where one is given (shape of the volume, true is inside).
///
/// Region ids run from 1 without gaps; 0 is outside the mask. Every region is 6-connected.
///
/// # Errors
/// [`SegmentError::NonFinite`] where a voxel inside the mask is NaN or infinite; errors of shape, of an empty
/// mask or volume and of parameters; [`SegmentError::Cancelled`], checked once per block.
pub fn supervoxels(
    progress: &Progress,
    volume: &Volume<f32>,
    mask: Option<ArrayView3<'_, bool>>,
    params: &SlicParams,
) -> Result<Regions, SegmentError> {
    supervoxels_between(progress, volume, mask, None, params)
}

/// [`supervoxels`] with painted membranes: the lowest class that is painted (not 0) is membrane, all others are not.
///
/// Only [`SupervoxelMethod::Membranes`] looks at them.
///
/// # Errors
/// As [`supervoxels`]; a map of another shape, or with fewer than two classes.
pub fn supervoxels_between(
    progress: &Progress,
    volume: &Volume<f32>,
    mask: Option<ArrayView3<'_, bool>>,
    painted: Option<ArrayView3<'_, u16>>,
    params: &SlicParams,
) -> Result<Regions, SegmentError> {
    params.check()?;
    if params.method == SupervoxelMethod::Membranes {
        return membranes::regions(progress, volume, mask, painted.as_ref(), params);
    }
    Ok(supervoxels_on(progress, None, volume, mask, params)?.0)
}

/// The same with voxels compared on a graphics device where one is given, and one sentence about it.
///
/// A device that fails or is too small gives way to the processor. Few voxels may go to another region than on the
/// processor, where a driver rounds in another way. Only [`SupervoxelMethod::Slic`] uses it.
///
/// # Errors
/// Those of [`supervoxels`].
pub fn supervoxels_on(
    progress: &Progress,
    gpu: Option<&Gpu>,
    volume: &Volume<f32>,
    mask: Option<ArrayView3<'_, bool>>,
    params: &SlicParams,
) -> Result<(Regions, Option<String>), SegmentError> {
    params.check()?;
    if params.method == SupervoxelMethod::Membranes {
        return Ok((membranes::regions(progress, volume, mask, None, params)?, None));
    }
    let mask = super::check_inputs(progress, volume, mask)?;
    let mask = mask.as_deref();
    let shape = volume.shape();
    progress.phase("Smoothing for supervoxels", shape[0] as u64);
    let voxel = volume.voxel_um_or_one();
    let mean_voxel = (voxel[0] * voxel[1] * voxel[2]).cbrt();
    // σ and the cell are isotropic in space, so both shrink (in voxels) where voxels are longer.
    let relative = voxel.map(|v| (mean_voxel / v) as f32);
    let smooth = smooth_inside(progress, volume, mask, relative.map(|r| r * params.smoothing_voxels))?;
    let spread = super::spread(&smooth, mask);
    if params.method == SupervoxelMethod::Watershed {
        let cell = relative.map(|r| r * params.size_voxels);
        let flood = Flood { values: &smooth, mask, shape, cell, spread, compactness: params.compactness };
        let labels = flood.run(progress)?;
        let min_voxels = (params.min_size * cell.iter().product::<f32>()).round().max(1.0) as u32;
        return Ok((Regions::from_labels(progress, labels, mask, min_voxels)?, None));
    }
    let seeds = Seeds::on_grid(&smooth, shape, relative.map(|r| r * params.size_voxels));
    let nominal = seeds.cell.iter().product::<f32>();
    let problem = Problem {
        values: &smooth,
        mask,
        shape,
        weight_value: 1.0 / (params.compactness * spread).powi(2),
        cell: seeds.cell,
    };
    progress.phase("Growing supervoxels", u64::from(params.iterations));
    let (ids, note) = match gpu.map(|gpu| (gpu, problem.grow_on(progress, gpu, &seeds, params.iterations))) {
        Some((gpu, Ok(ids))) => (ids, Some(format!("Voxels were compared with seeds on {}", gpu.info.name))),
        Some((_, Err(CardError::Cancelled(cancelled)))) => return Err(cancelled.into()),
        Some((gpu, Err(error))) => {
            let note = format!("{} was not used for supervoxels: {error}; the processor was", gpu.info.name);
            progress.phase("Growing supervoxels", u64::from(params.iterations));
            (problem.grow(progress, seeds, params.iterations)?, Some(note))
        }
        None => (problem.grow(progress, seeds, params.iterations)?, None),
    };
    drop(smooth);
    let min_voxels = (params.min_size * nominal).round().max(1.0) as u32;
    Ok((Regions::from_labels(progress, ids, mask, min_voxels)?, note))
}

/// Smoothed values; with a mask, values outside do not leak in (normalised convolution).
fn smooth_inside(
    progress: &Progress,
    volume: &Volume<f32>,
    mask: Option<&[bool]>,
    sigma: [f32; 3],
) -> Result<Vec<f32>, Cancelled> {
    let Some(mask) = mask else {
        return Ok(smooth::gaussian(progress, volume.data.view(), sigma)?.into_raw_vec_and_offset().0);
    };
    let dim = volume.data.dim();
    let of = |values: Vec<f32>| -> Result<Array3<f32>, Cancelled> {
        let array = Array3::from_shape_vec(dim, values).unwrap_or_default();
        smooth::gaussian(progress, array.view(), sigma)
    };
    let inside = volume.values().iter().zip(mask).map(|(v, m)| if *m { *v } else { 0.0 }).collect();
    let weight = of(mask.iter().map(|m| f32::from(u8::from(*m))).collect())?;
    let mut smooth = of(inside)?.into_raw_vec_and_offset().0;
    for (value, weight) in smooth.iter_mut().zip(&weight) {
        *value = if *weight > 1e-6 { *value / weight } else { 0.0 };
    }
    Ok(smooth)
}

/// Seeds: position (z, y, x in voxels) and value.
struct Seeds {
    zyx: Vec<[f32; 3]>,
    value: Vec<f32>,
    /// Edge of a grid cell in voxels.
    cell: [f32; 3],
}

/// What one block adds to one seed: count, sums of z, y, x relative to the block, sum of values.
#[derive(Clone, Copy, Default)]
struct Sum {
    n: u32,
    zyx: [u32; 3],
    value: f32,
}

/// Which seeds reach into which block, in order of their numbers.
struct Plan {
    blocks: [usize; 3],
    seeds: Vec<Vec<u32>>,
}

impl Seeds {
    fn on_grid(values: &[f32], shape: [usize; 3], cell: [f32; 3]) -> Self {
        let n: [usize; 3] = std::array::from_fn(|a| (shape[a] as f32 / cell[a]).round().max(1.0) as usize);
        let cell: [f32; 3] = std::array::from_fn(|a| shape[a] as f32 / n[a] as f32);
        let centre = |a: usize, i: usize| (i as f32 + 0.5) * cell[a] - 0.5;
        let mut seeds = Self { zyx: Vec::with_capacity(n[0] * n[1] * n[2]), value: Vec::new(), cell };
        for z in 0..n[0] {
            for y in 0..n[1] {
                for x in 0..n[2] {
                    let zyx = [centre(0, z), centre(1, y), centre(2, x)];
                    let [iz, iy, ix] = std::array::from_fn(|a| (zyx[a].round() as usize).min(shape[a] - 1));
                    seeds.zyx.push(zyx);
                    seeds.value.push(values[(iz * shape[1] + iy) * shape[2] + ix]);
                }
            }
        }
        seeds
    }

    /// The box of voxels (half-open) that seed `s` is compared with.
    fn window(&self, s: usize, shape: [usize; 3]) -> [[usize; 2]; 3] {
        std::array::from_fn(|a| {
            let reach = self.cell[a] * 1.05;
            let low = (self.zyx[s][a] - reach).ceil().max(0.0) as usize;
            let high = (self.zyx[s][a] + reach).floor().max(0.0) as usize + 1;
            [low.min(shape[a] - 1), high.min(shape[a])]
        })
    }

    fn reach(&self, shape: [usize; 3]) -> Plan {
        let blocks: [usize; 3] = std::array::from_fn(|a| shape[a].div_ceil(BLOCK[a]));
        let mut seeds = vec![Vec::new(); blocks.iter().product()];
        for s in 0..self.zyx.len() {
            let [z, y, x] = self.window(s, shape);
            for bz in z[0] / BLOCK[0]..=(z[1] - 1) / BLOCK[0] {
                for by in y[0] / BLOCK[1]..=(y[1] - 1) / BLOCK[1] {
                    for bx in x[0] / BLOCK[2]..=(x[1] - 1) / BLOCK[2] {
                        seeds[(bz * blocks[1] + by) * blocks[2] + bx].push(s as u32);
                    }
                }
            }
        }
        Plan { blocks, seeds }
    }

    fn update(&mut self, sums: &[(Block<'_>, Vec<Sum>)]) {
        let mut total = vec![(0u64, [0.0f64; 3], 0.0f64); self.zyx.len()];
        for (block, sums) in sums {
            for (s, sum) in block.seeds.iter().zip(sums) {
                let entry = &mut total[*s as usize];
                entry.0 += u64::from(sum.n);
                entry.2 += f64::from(sum.value);
                for a in 0..3 {
                    entry.1[a] += f64::from(sum.zyx[a]) + f64::from(sum.n) * block.origin[a] as f64;
                }
            }
        }
        for (s, (n, zyx, value)) in total.into_iter().enumerate() {
            if n > 0 {
                self.zyx[s] = zyx.map(|sum| (sum / n as f64) as f32);
                self.value[s] = (value / n as f64) as f32;
            }
        }
    }
}

/// One block: its first voxel, its extent and the seeds that reach into it.
struct Block<'a> {
    origin: [usize; 3],
    size: [usize; 3],
    seeds: &'a [u32],
}

impl Plan {
    fn block(&self, index: usize, shape: [usize; 3]) -> Block<'_> {
        let [_, ny, nx] = self.blocks;
        let cell = [index / (ny * nx), index / nx % ny, index % nx];
        let origin: [usize; 3] = std::array::from_fn(|a| cell[a] * BLOCK[a]);
        let size = std::array::from_fn(|a| BLOCK[a].min(shape[a] - origin[a]));
        Block { origin, size, seeds: &self.seeds[index] }
    }
}

/// Buffers of one block: rows along x are padded to whole lanes.
struct BlockBuffer {
    value: Vec<f32>,
    distance: Vec<f32>,
    /// Index into the block's list of seeds; `u32::MAX` where no seed came.
    best: Vec<u32>,
}

impl BlockBuffer {
    fn new() -> Self {
        let n = BLOCK.iter().product();
        Self { value: vec![0.0; n], distance: vec![0.0; n], best: vec![0; n] }
    }
}

struct Problem<'a> {
    values: &'a [f32],
    mask: Option<&'a [bool]>,
    shape: [usize; 3],
    weight_value: f32,
    cell: [f32; 3],
}

impl Problem<'_> {
    /// Rounds of assignment and update; 1 + the number of the nearest seed of every voxel.
    fn grow(&self, progress: &Progress, mut seeds: Seeds, iterations: u32) -> Result<Array3<u32>, Cancelled> {
        for _ in 1..iterations {
            let plan = seeds.reach(self.shape);
            let sums = self.sum_blocks(progress, &seeds, &plan)?;
            seeds.update(&sums);
            progress.advance(1);
        }
        let plan = seeds.reach(self.shape);
        let mut ids = Array3::zeros(self.shape);
        self.assign(progress, &seeds, &plan, ids.as_slice_mut().unwrap_or(&mut []))?;
        Ok(ids)
    }

    /// The same with voxels and seeds compared on a graphics device.
    fn grow_on(
        &self,
        progress: &Progress,
        gpu: &Gpu,
        seeds: &Seeds,
        iterations: u32,
    ) -> Result<Array3<u32>, CardError> {
        let [z, y, x] = self.cell.map(|s| 1.0 / (s * s));
        let card = Card::new(gpu, self.values, self.shape, [z, y, x, self.weight_value])?;
        let mut seeds = Seeds { zyx: seeds.zyx.clone(), value: seeds.value.clone(), cell: seeds.cell };
        let mut out = Array3::zeros(self.shape);
        let ids = out.as_slice_mut().unwrap_or(&mut []);
        for round in 1..=iterations {
            card.assign(progress, &seeds, ids)?;
            if let Some(mask) = self.mask {
                ids.par_iter_mut().zip(mask).filter(|(_, inside)| !**inside).for_each(|(id, _)| *id = 0);
            }
            if round < iterations {
                let plan = seeds.reach(self.shape);
                let sums = self.sum_of(progress, &plan, ids)?;
                seeds.update(&sums);
            }
            progress.advance(1);
        }
        Ok(out)
    }

    /// What [`Self::sum_blocks`] gives, for ids that are there: the same sums in the same order.
    fn sum_of<'p>(
        &self,
        progress: &Progress,
        plan: &'p Plan,
        ids: &[u32],
    ) -> Result<Vec<(Block<'p>, Vec<Sum>)>, Cancelled> {
        let [_, ny, nx] = self.shape;
        (0..plan.seeds.len())
            .into_par_iter()
            .map_init(BlockBuffer::new, |buffer, index| {
                progress.check()?;
                let block = plan.block(index, self.shape);
                self.load(&block, buffer);
                // Neighbours mostly have the same seed.
                let (mut last, mut local) = (0, u32::MAX);
                for z in 0..block.size[0] {
                    for y in 0..block.size[1] {
                        let row = ((block.origin[0] + z) * ny + block.origin[1] + y) * nx + block.origin[2];
                        let best = &mut buffer.best[(z * BLOCK[1] + y) * BLOCK[2]..][..block.size[2]];
                        for (id, best) in ids[row..row + block.size[2]].iter().zip(best) {
                            if *id != last {
                                let found =
                                    id.checked_sub(1).and_then(|s| block.seeds.binary_search(&s).ok());
                                (last, local) = (*id, found.map_or(u32::MAX, |i| i as u32));
                            }
                            *best = local;
                        }
                    }
                }
                let sums = sum_block(&block, buffer);
                Ok((block, sums))
            })
            .collect()
    }

    fn sum_blocks<'p>(
        &self,
        progress: &Progress,
        seeds: &Seeds,
        plan: &'p Plan,
    ) -> Result<Vec<(Block<'p>, Vec<Sum>)>, Cancelled> {
        (0..plan.seeds.len())
            .into_par_iter()
            .map_init(BlockBuffer::new, |buffer, index| {
                progress.check()?;
                let block = plan.block(index, self.shape);
                let sums = pulp::Arch::new().dispatch(|| {
                    self.compare(&block, seeds, buffer);
                    sum_block(&block, buffer)
                });
                Ok((block, sums))
            })
            .collect()
    }

    /// Writes 1 + the number of the best seed of every voxel; 0 where no seed reached.
    fn assign(
        &self,
        progress: &Progress,
        seeds: &Seeds,
        plan: &Plan,
        ids: &mut [u32],
    ) -> Result<(), Cancelled> {
        let [_, ny, nx] = self.shape;
        let slab_blocks = plan.blocks[1] * plan.blocks[2];
        ids.par_chunks_mut(BLOCK[0] * ny * nx).enumerate().try_for_each_init(
            BlockBuffer::new,
            |buffer, (slab, ids)| {
                for index in slab * slab_blocks..(slab + 1) * slab_blocks {
                    progress.check()?;
                    let block = plan.block(index, self.shape);
                    pulp::Arch::new().dispatch(|| self.compare(&block, seeds, buffer));
                    for z in 0..block.size[0] {
                        for y in 0..block.size[1] {
                            let row = (z * ny + block.origin[1] + y) * nx + block.origin[2];
                            let best = &buffer.best[(z * BLOCK[1] + y) * BLOCK[2]..][..block.size[2]];
                            for (id, best) in ids[row..row + block.size[2]].iter_mut().zip(best) {
                                *id = block.seeds.get(*best as usize).map_or(0, |s| s + 1);
                            }
                        }
                    }
                }
                Ok(())
            },
        )
    }

    /// Finds the best seed of every voxel of a block.
    #[inline(always)]
    fn compare(&self, block: &Block<'_>, seeds: &Seeds, buffer: &mut BlockBuffer) {
        self.load(block, buffer);
        let weight = self.cell.map(|s| 1.0 / (s * s));
        let end: [usize; 3] = std::array::from_fn(|a| block.origin[a] + block.size[a]);
        for (local, s) in block.seeds.iter().enumerate() {
            let s = *s as usize;
            let window = seeds.window(s, self.shape);
            let low: [usize; 3] = std::array::from_fn(|a| window[a][0].max(block.origin[a]));
            let high: [usize; 3] = std::array::from_fn(|a| window[a][1].min(end[a]));
            if low[2] >= high[2] {
                continue;
            }
            // Whole lanes: a few voxels beyond the window are compared too, which can only help.
            let lane0 = (low[2] - block.origin[2]) / LANES;
            let lane1 = (high[2] - block.origin[2]).div_ceil(LANES);
            let seed = seeds.zyx[s];
            let x0 = block.origin[2] as f32 - seed[2];
            for z in low[0]..high[0] {
                let dz = (z as f32 - seed[0]).powi(2) * weight[0];
                for y in low[1]..high[1] {
                    let base = (y as f32 - seed[1]).powi(2) * weight[1] + dz;
                    let row = ((z - block.origin[0]) * BLOCK[1] + y - block.origin[1]) * BLOCK[2];
                    let span = row + lane0 * LANES..row + lane1 * LANES;
                    compare_row(
                        &buffer.value[span.clone()],
                        &mut buffer.distance[span.clone()],
                        &mut buffer.best[span],
                        &RowSeed {
                            x0: x0 + (lane0 * LANES) as f32,
                            base,
                            value: seeds.value[s],
                            weight_x: weight[2],
                            weight_value: self.weight_value,
                            local: local as u32,
                        },
                    );
                }
            }
        }
    }

    /// Copies a block's values; voxels outside the mask or the volume get a distance that nothing beats.
    #[inline(always)]
    fn load(&self, block: &Block<'_>, buffer: &mut BlockBuffer) {
        let [_, ny, nx] = self.shape;
        buffer.best.fill(u32::MAX);
        buffer.distance.fill(-1.0);
        for z in 0..block.size[0] {
            for y in 0..block.size[1] {
                let from = ((block.origin[0] + z) * ny + block.origin[1] + y) * nx + block.origin[2];
                let to = (z * BLOCK[1] + y) * BLOCK[2];
                let n = block.size[2];
                buffer.value[to..to + n].copy_from_slice(&self.values[from..from + n]);
                match self.mask {
                    None => buffer.distance[to..to + n].fill(f32::INFINITY),
                    Some(mask) => {
                        for (d, inside) in buffer.distance[to..to + n].iter_mut().zip(&mask[from..from + n]) {
                            *d = if *inside { f32::INFINITY } else { -1.0 };
                        }
                    }
                }
            }
        }
    }
}

/// What [`compare_row`] knows of a seed.
struct RowSeed {
    x0: f32,
    base: f32,
    value: f32,
    weight_x: f32,
    weight_value: f32,
    local: u32,
}

#[inline(always)]
fn compare_row(values: &[f32], distance: &mut [f32], best: &mut [u32], seed: &RowSeed) {
    const RAMP: [f32; LANES] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    let lanes = values.as_chunks::<LANES>().0.iter();
    let lanes = lanes.zip(distance.as_chunks_mut::<LANES>().0).zip(best.as_chunks_mut::<LANES>().0);
    let mut x0 = seed.x0;
    for ((value, distance), best) in lanes {
        for i in 0..LANES {
            let dx = x0 + RAMP[i];
            let dv = value[i] - seed.value;
            let d = seed.base + dx * dx * seed.weight_x + dv * dv * seed.weight_value;
            let nearer = d < distance[i];
            distance[i] = if nearer { d } else { distance[i] };
            best[i] = if nearer { seed.local } else { best[i] };
        }
        x0 += LANES as f32;
    }
}

#[inline(always)]
fn sum_block(block: &Block<'_>, buffer: &BlockBuffer) -> Vec<Sum> {
    let mut sums = vec![Sum::default(); block.seeds.len()];
    for z in 0..block.size[0] {
        for y in 0..block.size[1] {
            let row = (z * BLOCK[1] + y) * BLOCK[2];
            for x in 0..block.size[2] {
                if let Some(sum) = sums.get_mut(buffer.best[row + x] as usize) {
                    sum.n += 1;
                    sum.zyx[0] += z as u32;
                    sum.zyx[1] += y as u32;
                    sum.zyx[2] += x as u32;
                    sum.value += buffer.value[row + x];
                }
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests;
