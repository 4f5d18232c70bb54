//! The step that SIRT and total variation share: a group of views corrects the section.

use rayon::prelude::*;

use super::domain::Domain;
use super::input::Input;
use crate::base::{Cancelled, Progress};
use crate::kernels::lanes::{LANES, LanePlane, Lanes, MARGIN};
use crate::kernels::projector::{BAND, Footprint, ParallelGeometry, SlabProjector};

/// A group of views that makes one step.
pub(super) struct Subset {
    pub(super) views: Vec<usize>,
    pub(super) projector: SlabProjector,
    /// 1 / length of each ray inside the section, one line of columns per view.
    pub(super) ray_weights: Vec<f32>,
    /// λ / sum of the weights with which the views see each voxel, one line of x per z.
    voxel_weights: Vec<f32>,
}

impl Subset {
    /// The step of these `views` with this relaxation λ.
    pub(super) fn new(
        progress: &Progress,
        input: &Input<'_>,
        domain: &Domain,
        views: Vec<usize>,
        relaxation: f32,
    ) -> Result<Self, Cancelled> {
        let whole = domain.geometry(input);
        let geometry = ParallelGeometry {
            angles_deg: views.iter().map(|&v| whole.angles_deg[v]).collect(),
            shift_x_px: views.iter().map(|&v| whole.shift_x_px[v]).collect(),
            ..whole
        };
        let projector = SlabProjector::new(&geometry);
        let (mut section, mut sinogram) = (projector.new_section(), projector.new_sinogram());
        section.par_lines_mut().enumerate().for_each(|(z, line)| {
            line.iter_mut().zip(domain.mask_line(z)).for_each(|(group, mask)| *group = Lanes([mask; LANES]));
        });
        projector.project(progress, &section, &mut sinogram, |_, _| ())?;
        let ray_weights = lane_zero(&sinogram, ray_weight);
        sinogram.par_lines_mut().for_each(|line| line.fill(Lanes([1.0; LANES])));
        projector.back_project(progress, Footprint::Matched, &sinogram, &mut section)?;
        let mut voxel_weights = lane_zero(&section, |sum| if sum > 1e-3 { relaxation / sum } else { 0.0 });
        for (weight, mask) in voxel_weights.iter_mut().zip(domain.mask.iter().flatten()) {
            *weight *= mask;
        }
        Ok(Self { views, projector, ray_weights, voxel_weights })
    }

    /// One step on the section, which stays at `floor` or above; `residual` is a buffer.
    pub(super) fn step(
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
                        // What no view sees, and what the mask leaves out, stays as it is.
                        let floor = if *weight > 0.0 { floor } else { f32::NEG_INFINITY };
                        for (value, step) in group.0.iter_mut().zip(step.0) {
                            *value = (*value + step * weight).max(floor);
                        }
                    }
                }
            },
        )
    }
}

/// The weight of a ray of this length inside the section; one that only grazes a corner does not get the say of a whole voxel.
pub(super) fn ray_weight(length: f32) -> f32 {
    if length > 0.0 { 1.0 / length.max(1.0) } else { 0.0 }
}

/// The first row of a plane, each value through `map`.
pub(super) fn lane_zero(plane: &LanePlane, map: impl Fn(f32) -> f32) -> Vec<f32> {
    (0..plane.n_lines()).flat_map(|line| plane.line(line)).map(|group| map(group.0[0])).collect()
}

/// Interleaved groups of views in the order in which they are visited.
pub(super) fn subsets(
    progress: &Progress,
    input: &Input<'_>,
    domain: &Domain,
    n: usize,
    relaxation: f32,
) -> Result<Vec<Subset>, Cancelled> {
    let n = n.clamp(1, input.n_views());
    visiting_order(n)
        .into_iter()
        .map(|first| {
            let views = (first..input.n_views()).step_by(n).collect();
            Subset::new(progress, input, domain, views, relaxation)
        })
        .collect()
}

/// The order in which subsets are visited: each far from the last, by reversing the bits of its number.
pub(super) fn visiting_order(n: usize) -> Vec<usize> {
    let bits = usize::BITS - n.next_power_of_two().leading_zeros() - 1;
    (0..n.next_power_of_two())
        .map(|i| if bits == 0 { 0 } else { i.reverse_bits() >> (usize::BITS - bits) })
        .filter(|i| *i < n)
        .collect()
}

/// Reads these rows into one plane per subset.
pub(super) fn read(
    progress: &Progress,
    input: &Input<'_>,
    rows: &[Option<usize>; LANES],
    subsets: &[Subset],
    measured: &mut [LanePlane],
) -> Result<(), Cancelled> {
    for (subset, plane) in subsets.iter().zip(measured) {
        input.fill(
            progress,
            rows,
            &subset.views,
            plane,
            || (),
            |_, row, line, ()| line.copy_from_slice(row),
        )?;
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
}
