//! SIRT: simultaneous iterative reconstruction, with ordered subsets and positivity.
//!
//! `x ← P₊[x + λ C Aᵀ R (b - A x)]` with R and C the inverse sums of rows and columns of A (Gregor and Benson,
//! IEEE Trans. Med. Imaging 27, 918, 2008, doi:10.1109/TMI.2008.923696). A and Aᵀ are exact transposes. With s subsets of
//! interleaved views the step is made s times a sweep, each with its own R and C.
//!
//! Where the sample reaches beyond the detector, the section is made larger than the result, so that what a
//! ray passes outside is explained there and does not pile up as a bright rim.
//!
//! Cost: two passes of depth · width · views updates a row and sweep. Memory: one slab of the section and
//! two of the projections beside input and output.

use ndarray::{ArrayViewMut3, Axis};
use rayon::prelude::*;

use super::input::Input;
use super::{ReconError, ReconstructParams};
use crate::base::{Cancelled, Progress};
use crate::kernels::lanes::{LANES, LanePlane, Lanes, MARGIN};
use crate::kernels::projector::{BAND, Footprint, ParallelGeometry, SlabProjector};

/// The section may become this many times as wide as the detector, at most.
const WIDEST: f64 = 2.0;
/// How much larger than the detector a section is that is seen from all sides.
const ALL_ROUND: f64 = 1.5;

/// Depth and width of the section that is worked on for a result of `depth` × `width`.
///
/// `tilt_deg` is the largest tilt, `full` whether the views go round.
pub(super) fn section_size(
    depth: usize,
    width: usize,
    beyond: bool,
    tilt_deg: f64,
    full: bool,
    free_depth: bool,
) -> (usize, usize) {
    if !beyond {
        return (depth, width);
    }
    // Both differences are even, so that the middle stays on the same voxel.
    let grown = |n: usize, to: f64| n + 2 * ((to - n as f64).max(0.0) / 2.0).ceil() as usize;
    if full {
        let to = width as f64 * ALL_ROUND;
        return (if free_depth { grown(depth, to) } else { depth }, grown(width, to));
    }
    let (sin, cos) = tilt_deg.to_radians().sin_cos();
    let reach = (width as f64 + depth as f64 * sin.abs()) / cos.abs().max(1e-3);
    (depth, grown(width, reach.min(width as f64 * WIDEST)))
}

/// A group of views that makes one step.
struct Subset {
    views: Vec<usize>,
    projector: SlabProjector,
    /// 1 / length of each ray inside the section, one line of columns per view.
    ray_weights: Vec<f32>,
    /// λ / sum of the weights with which the views see each voxel, one line of x per z.
    voxel_weights: Vec<f32>,
}

impl Subset {
    fn new(
        progress: &Progress,
        whole: &ParallelGeometry,
        views: Vec<usize>,
        relaxation: f32,
    ) -> Result<Self, Cancelled> {
        let geometry = ParallelGeometry {
            angles_deg: views.iter().map(|&v| whole.angles_deg[v]).collect(),
            shift_x_px: views.iter().map(|&v| whole.shift_x_px[v]).collect(),
            ..*whole
        };
        let projector = SlabProjector::new(&geometry);
        let (mut section, mut sinogram) = (projector.new_section(), projector.new_sinogram());
        section.par_lines_mut().for_each(|line| line.fill(Lanes([1.0; LANES])));
        projector.project(progress, &section, &mut sinogram, |_, _| ())?;
        // Rays that only graze a corner do not get the say of a whole voxel.
        let ray_weights = lane_zero(&sinogram, |sum| if sum > 0.0 { 1.0 / sum.max(1.0) } else { 0.0 });
        sinogram.par_lines_mut().for_each(|line| line.fill(Lanes([1.0; LANES])));
        projector.back_project(progress, Footprint::Matched, &sinogram, &mut section)?;
        let voxel_weights = lane_zero(&section, |sum| if sum > 1e-3 { relaxation / sum } else { 0.0 });
        Ok(Self { views, projector, ray_weights, voxel_weights })
    }

    /// One step on the section; `residual` is a buffer.
    fn step(
        &self,
        progress: &Progress,
        measured: &LanePlane,
        residual: &mut LanePlane,
        section: &mut LanePlane,
        floor: f32,
    ) -> Result<(), Cancelled> {
        let n_cols = measured.line_len();
        self.projector.project(progress, section, residual, |line, groups| {
            let weights = &self.ray_weights[line * n_cols..(line + 1) * n_cols];
            for ((group, measured), weight) in groups.iter_mut().zip(measured.line(line)).zip(weights) {
                for (value, measured) in group.0.iter_mut().zip(measured.0) {
                    *value = (measured - *value) * weight;
                }
            }
        })?;
        let (width, stride) = (section.line_len(), section.stride());
        let targets = section
            .padded_lines_mut()
            .par_chunks_mut(stride * BAND)
            .zip(self.voxel_weights.par_chunks(width * BAND));
        self.projector.back_project_bands(
            progress,
            Footprint::Matched,
            residual,
            targets,
            |band, (target, weights)| {
                let lines = target.chunks_exact_mut(stride).zip(band.chunks_exact(width));
                for ((target, step), weights) in lines.zip(weights.chunks_exact(width)) {
                    for ((group, step), weight) in
                        target[MARGIN..MARGIN + width].iter_mut().zip(step).zip(weights)
                    {
                        for (value, step) in group.0.iter_mut().zip(step.0) {
                            *value = (*value + step * weight).max(floor);
                        }
                    }
                }
            },
        )
    }
}

fn lane_zero(plane: &LanePlane, invert: impl Fn(f32) -> f32) -> Vec<f32> {
    (0..plane.n_lines()).flat_map(|line| plane.line(line)).map(|group| invert(group.0[0])).collect()
}

/// The order in which subsets are visited: each far from the last, by reversing the bits of its number.
fn visiting_order(n: usize) -> Vec<usize> {
    let bits = usize::BITS - n.next_power_of_two().leading_zeros() - 1;
    (0..n.next_power_of_two())
        .map(|i| if bits == 0 { 0 } else { i.reverse_bits() >> (usize::BITS - bits) })
        .filter(|i| *i < n)
        .collect()
}

/// Fills `volume`, shape (depth, rows, columns), with values times `per_voxel`.
pub(super) fn sirt(
    progress: &Progress,
    input: &Input<'_>,
    params: &ReconstructParams,
    per_voxel: f32,
    mut volume: ArrayViewMut3<'_, f32>,
) -> Result<(), ReconError> {
    let (depth, _, width) = volume.dim();
    let (tilt, full) = input.tilt_range();
    let (deep, wide) = section_size(depth, width, input.beyond, tilt, full, params.thickness.is_none());
    let whole = input.geometry(input.n_cols, deep, wide);
    let n_subsets = (params.subsets as usize).min(input.n_views());
    progress.phase("SIRT", input.n_slabs() as u64 * u64::from(params.iterations));
    let subsets = visiting_order(n_subsets)
        .into_iter()
        .map(|first| {
            let views = (first..input.n_views()).step_by(n_subsets).collect();
            Subset::new(progress, &whole, views, params.relaxation)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut measured: Vec<LanePlane> = subsets.iter().map(|s| s.projector.new_sinogram()).collect();
    let mut residuals = measured.clone();
    let mut section = LanePlane::section(deep, wide);
    let floor = if params.nonnegative { 0.0 } else { f32::NEG_INFINITY };
    let (z0, x0) = ((deep - depth) / 2, (wide - width) / 2);
    for (slab, mut rows) in volume.axis_chunks_iter_mut(Axis(1), LANES).enumerate() {
        for (subset, plane) in subsets.iter().zip(&mut measured) {
            input.fill(
                progress,
                slab,
                &subset.views,
                plane,
                || (),
                |_, row, line, ()| line.copy_from_slice(row),
            )?;
        }
        section.par_lines_mut().for_each(|line| line.fill(Lanes::ZERO));
        for _ in 0..params.iterations {
            for ((subset, measured), residual) in subsets.iter().zip(&measured).zip(&mut residuals) {
                subset.step(progress, measured, residual, &mut section, floor)?;
            }
            progress.advance(1);
        }
        rows.outer_iter_mut().into_par_iter().enumerate().for_each(|(z, mut out)| {
            let line = &section.line(z0 + z)[x0..x0 + width];
            for (lane, mut row) in out.outer_iter_mut().enumerate() {
                for (value, group) in row.iter_mut().zip(line) {
                    *value = group.0[lane] * per_voxel;
                }
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsets_are_visited_once_and_far_apart() {
        assert_eq!(visiting_order(1), [0]);
        assert_eq!(visiting_order(5), [0, 4, 2, 1, 3]);
        let mut order = visiting_order(37);
        order.sort_unstable();
        assert_eq!(order, (0..37).collect::<Vec<_>>());
    }

    #[test]
    fn sections_grow_evenly_and_only_where_the_sample_goes_on() {
        assert_eq!(section_size(50, 100, false, 65.0, false, true), (50, 100));
        assert_eq!(section_size(20, 100, true, 0.0, false, false), (20, 100));
        assert_eq!(section_size(20, 101, true, 60.0, false, false), (20, 203));
        assert_eq!(section_size(100, 100, true, 90.0, true, true), (150, 150));
    }
}
