//! The section that the iterative methods work on: larger than the result where the sample goes on, smaller where
//! a mask says that there is nothing.

use ndarray::ArrayViewMut3;
use rayon::prelude::*;

use super::input::Input;
use super::mask::Region;
use super::{ReconstructParams, sirt};
use crate::kernels::lanes::LanePlane;
use crate::kernels::projector::ParallelGeometry;

/// Size of the section, where the result lies in it, and what of it may absorb.
pub(super) struct Domain {
    /// Lines of the section, along z.
    pub(super) deep: usize,
    /// Voxels of a line, along x.
    pub(super) wide: usize,
    depth: usize,
    width: usize,
    /// 1 where the sample may be and 0 elsewhere, one line of x per z.
    pub(super) mask: Option<Vec<f32>>,
}

impl Domain {
    /// The section for a result of `depth` × `width` from `input`.
    pub(super) fn new(
        input: &Input<'_>,
        params: &ReconstructParams,
        depth: usize,
        width: usize,
        region: Option<Region>,
    ) -> Self {
        let (tilt, full) = input.tilt_range();
        let (deep, wide) =
            sirt::section_size(depth, width, input.beyond, tilt, full, params.thickness.is_none());
        Self { deep, wide, depth, width, mask: region.map(|region| region.draw(deep, wide)) }
    }

    /// Where rays run through the section.
    pub(super) fn geometry(&self, input: &Input<'_>) -> ParallelGeometry {
        input.geometry(input.n_cols, self.deep, self.wide)
    }

    /// The mask at a line, all ones where there is none.
    pub(super) fn mask_line(&self, z: usize) -> impl Iterator<Item = f32> + '_ {
        let line = self.mask.as_deref().map(|mask| &mask[z * self.wide..(z + 1) * self.wide]);
        (0..self.wide).map(move |x| line.map_or(1.0, |line| line[x]))
    }

    /// Writes lanes `first_lane..` of a section into the rows of a result, times `per_voxel`.
    pub(super) fn write(
        &self,
        section: &LanePlane,
        first_lane: usize,
        per_voxel: f32,
        mut rows: ArrayViewMut3<'_, f32>,
    ) {
        let (z0, x0) = ((self.deep - self.depth) / 2, (self.wide - self.width) / 2);
        rows.outer_iter_mut().into_par_iter().enumerate().for_each(|(z, mut out)| {
            let line = &section.line(z0 + z)[x0..x0 + self.width];
            for (lane, mut row) in out.outer_iter_mut().enumerate() {
                for (value, group) in row.iter_mut().zip(line) {
                    *value = group.0[first_lane + lane] * per_voxel;
                }
            }
        });
    }
}
