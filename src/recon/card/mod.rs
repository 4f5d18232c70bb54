//! Filtered back-projection and SIRT on a graphics device, with the footprint and the steps of the processor.
//!
//! A slab (some multiple of 32 rows, or 16 where no more fit) stays on the device for all its sweeps: section, projections of all groups of views,
//! weights of rays and voxels. Rows lie in planes of sixteen as on the processor; an invocation sums four rows of two
//! planes, so that a place and its two weights are found once for eight rows. Rows are gathered (and filtered)
//! on the processor while the device works on the slab before.
//!
//! Work goes to the device in pieces of some 40 ms. What a voxel is does not depend on the pieces.
//!
//! Memory on the device: a section of at most 512 MiB (or two planes), projections once or twice, one number per voxel
//! and group of views. Beside the plan of the processor: two results of at most 128 MiB on their way back, fewer rows where the
//! budget leaves less room, two planes at least.

mod device;
mod feed;
mod place;

use std::time::{Duration, Instant};

use ndarray::{ArrayViewMut3, Axis};

use super::ReconstructParams;
use super::domain::Domain;
use super::fbp::Filtering;
use super::input::Input;
use super::steps::{ray_weight, visiting_order};
use crate::base::{Cancelled, Progress};
use crate::gpu::Gpu;
use crate::kernels::lanes::{LANES, LanePlane, Lanes, MARGIN, line_stride};
use crate::kernels::projector::{BAND, Footprint, ParallelGeometry};
use device::{Card, Landing, Wants, Window};
use feed::Feed;

/// Why a device could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CardError {
    /// Its limits are too low.
    #[error("one buffer of {needs} bytes is needed and the device allows {has}")]
    TooSmall {
        /// Bytes needed.
        needs: u64,
        /// Bytes there are.
        has: u64,
    },
    /// It lacks something else.
    #[error("the device takes {0}")]
    Lacks(String),
    /// It failed or is gone.
    #[error("{0}")]
    Lost(String),
    /// Cancelled by the owner.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Where to work.
#[derive(Clone, Copy)]
pub(super) struct On<'g> {
    pub(super) gpu: &'g Gpu,
    /// Bytes of the memory budget that the plan leaves.
    pub(super) room: u64,
}

/// A group of views in the order in which they lie on the device.
struct Group {
    first: usize,
    n: usize,
    weights_at: usize,
}

/// Slabs in order: each is started, and the one before it is taken over while the device works.
struct Slabs<'a, 'v> {
    card: &'a Card<'a>,
    scale: f32,
    before: Option<(Landing, ArrayViewMut3<'v, f32>)>,
}

impl<'v> Slabs<'_, 'v> {
    /// Takes over the slab that was ended last.
    fn take(&mut self) -> Result<(), CardError> {
        match self.before.take() {
            Some((landing, rows)) => self.card.fetch(landing, self.scale, rows),
            None => Ok(()),
        }
    }

    fn end(
        &mut self,
        feed: &mut Feed<'_>,
        number: usize,
        rows: ArrayViewMut3<'v, f32>,
    ) -> Result<(), CardError> {
        let landing = self.card.land(feed, number)?;
        self.take()?;
        self.before = Some((landing, rows));
        Ok(())
    }
}

/// As [`super::fbp::fbp`].
pub(super) fn fbp(
    progress: &Progress,
    On { gpu, room }: On<'_>,
    input: &Input<'_>,
    params: &ReconstructParams,
    per_voxel: f32,
    mut volume: ArrayViewMut3<'_, f32>,
) -> Result<(), CardError> {
    let (depth, _, width) = volume.dim();
    let filtering = Filtering::new(input, params, per_voxel, depth, width);
    let geometry = input.geometry(filtering.n_cols, depth, width);
    let window = Window { z0: 0, x0: 0, depth, width };
    let n_slabs = input.n_slabs();
    let wants =
        Wants { geometry: &geometry, footprint: Footprint::Linear, window, n_slabs, subsets: 0, room };
    let card = Card::new(gpu, &wants)?;
    let mut feed = Feed::new(gpu, progress, &card.params);
    let mut plane = card.new_sinogram();
    let bands = depth.div_ceil(BAND) as u64;
    progress.phase("Back projecting", n_slabs as u64 * bands);
    let mut slabs = Slabs { card: &card, scale: 1.0, before: None };
    for (number, rows) in volume.axis_chunks_iter_mut(Axis(1), LANES * card.n_planes).enumerate() {
        let first = number * card.n_planes;
        let n = card.n_planes.min(n_slabs - first);
        for index in 0..n {
            filtering.fill(progress, input, first + index, &mut plane)?;
            card.send(&card.sino, index, &plane)?;
        }
        feed.add(&card.over_voxels(&card.smear, [0, geometry.n_views()], 0, 0.0))?;
        slabs.end(&mut feed, number, rows)?;
        progress.advance(n as u64 * bands);
    }
    slabs.take()
}

/// As [`super::sirt::sirt`].
#[expect(clippy::too_many_arguments, reason = "those of its twin on the processor, and the device")]
pub(super) fn sirt(
    progress: &Progress,
    On { gpu, room }: On<'_>,
    input: &Input<'_>,
    params: &ReconstructParams,
    domain: &Domain,
    sweeps: u32,
    per_voxel: f32,
    mut volume: ArrayViewMut3<'_, f32>,
) -> Result<(), CardError> {
    let (depth, n_rows, width) = volume.dim();
    let n_slabs = n_rows.div_ceil(LANES);
    progress.phase("SIRT", n_slabs as u64 * u64::from(sweeps));
    let n_groups = params.subsets().clamp(1, input.n_views());
    let (mut order, mut groups) = (Vec::new(), Vec::new());
    for first in visiting_order(n_groups) {
        let start = order.len();
        order.extend((first..input.n_views()).step_by(n_groups));
        let weights_at = groups.len() * domain.deep * domain.wide;
        groups.push(Group { first: start, n: order.len() - start, weights_at });
    }
    let whole = domain.geometry(input);
    let geometry = ParallelGeometry {
        angles_deg: order.iter().map(|&v| whole.angles_deg[v]).collect(),
        shift_x_px: order.iter().map(|&v| whole.shift_x_px[v]).collect(),
        ..whole
    };
    let (z0, x0) = ((domain.deep - depth) / 2, (domain.wide - width) / 2);
    let window = Window { z0, x0, depth, width };
    let wants = Wants {
        geometry: &geometry,
        footprint: Footprint::Matched,
        window,
        n_slabs,
        subsets: groups.len(),
        room,
    };
    let card = Card::new(gpu, &wants)?;
    let mut feed = Feed::new(gpu, progress, &card.params);
    weigh(&card, &mut feed, domain, &groups, params.relaxation)?;
    let floor = params.floor(per_voxel).max(f32::MIN);
    let mut plane = card.new_sinogram();
    let mut slabs = Slabs { card: &card, scale: per_voxel, before: None };
    for (number, rows) in volume.axis_chunks_iter_mut(Axis(1), LANES * card.n_planes).enumerate() {
        let first = number * card.n_planes;
        let n = card.n_planes.min(n_slabs - first);
        for index in 0..n {
            let slab_rows = input.slab_rows(first + index);
            let copy = |_: usize, row: &[f32], line: &mut [f32], (): &mut ()| line.copy_from_slice(row);
            input.fill(progress, &slab_rows, &order, &mut plane, || (), copy)?;
            card.send(&card.measured, index, &plane)?;
        }
        let _ = feed.submit_with(|encoder| encoder.clear_buffer(&card.section, 0, None))?;
        for _ in 0..sweeps {
            for group in &groups {
                feed.add(&card.along_rays(&card.compare, group.first, group.n))?;
                let views = [group.first, group.n];
                feed.add(&card.over_voxels(&card.correct, views, group.weights_at, floor))?;
            }
            feed.submit()?;
            slabs.take()?;
            progress.advance(n as u64);
        }
        slabs.end(&mut feed, number, rows)?;
    }
    slabs.take()
}

/// Finds the weights of rays and voxels as `Subset::new` of the processor does, on the device.
fn weigh<'a>(
    card: &'a Card<'_>,
    feed: &mut Feed<'a>,
    domain: &Domain,
    groups: &[Group],
    relaxation: f32,
) -> Result<(), CardError> {
    let mut section = card.new_section();
    for z in 0..domain.deep {
        let line = section.line_mut(z);
        line.iter_mut().zip(domain.mask_line(z)).for_each(|(group, mask)| *group = Lanes([mask; LANES]));
    }
    let mask: Vec<f32> = (0..domain.deep).flat_map(|z| domain.mask_line(z)).collect();
    let mut ones = card.new_sinogram();
    let n_views = ones.n_lines();
    card.send(&card.section, 0, &section)?;
    feed.add(&card.along_rays(&card.project, 0, n_views))?;
    feed.submit()?;
    let sums = card.read(&card.sino, 0, &ones)?;
    let (stride, n_cols) = (line_stride(ones.line_len()), ones.line_len());
    let of_line = |view: usize| &sums[view * stride + MARGIN..view * stride + MARGIN + n_cols];
    let weights: Vec<f32> = (0..n_views).flat_map(of_line).map(|group| ray_weight(group[0])).collect();
    card.send_values(&card.ray_weights, 0, &weights)?;
    fill_ones(&mut ones);
    card.send(&card.sino, 0, &ones)?;
    for group in groups {
        card.send_values(&card.voxel_weights, group.weights_at, &mask)?;
        feed.add(&card.over_voxels(&card.weigh, [group.first, group.n], group.weights_at, relaxation))?;
    }
    feed.submit()
}

/// Updates a second of both directions on this device, by a short trial; none where it fails.
pub(super) fn updates_per_second(gpu: &Gpu) -> Option<f64> {
    const TRIAL: Duration = Duration::from_millis(20);
    let angles: Vec<f64> = (0..30).map(|i| -60.0 + 4.0 * f64::from(i)).collect();
    let geometry = ParallelGeometry::new(&angles, 256);
    let window = Window { z0: 0, x0: 0, depth: 1, width: 1 };
    let footprint = Footprint::Matched;
    let wants = Wants { geometry: &geometry, footprint, window, n_slabs: 4, subsets: 0, room: u64::MAX };
    let card = Card::new(gpu, &wants).ok()?;
    let progress = Progress::new();
    let mut feed = Feed::new(gpu, &progress, &card.params);
    let mut times = 1;
    loop {
        // The first time warms up.
        let begun = Instant::now();
        let mut updates = 0.0;
        for _ in 0..times {
            let works = [
                card.along_rays(&card.project, 0, angles.len()),
                card.over_voxels(&card.smear, [0, angles.len()], 0, 0.0),
            ];
            for work in works {
                updates += f64::from(work.tiles) * work.updates;
                feed.add(&work).ok()?;
            }
        }
        feed.submit().ok()?;
        if !gpu.wait() {
            return None;
        }
        let took = begun.elapsed();
        if times > 1 && took > TRIAL {
            return Some(updates / took.as_secs_f64());
        }
        times *= 2;
    }
}

fn fill_ones(plane: &mut LanePlane) {
    for line in 0..plane.n_lines() {
        plane.line_mut(line).fill(Lanes([1.0; LANES]));
    }
}

#[cfg(test)]
mod tests;
