//! Filtered back-projection, on limited tilt also called weighted back-projection.
//!
//! `f(z, x) = Σ_v w_v q_v(u_v(z, x))`: every row is filtered with a ramp ([`crate::kernels::filter`]), weighted
//! with the angle it stands for, and back projected with linear interpolation. A sample that reaches beyond
//! the detector is continued while filtering, at its edge level (falling, where views go all round), and the filtered continuation is back
//! projected too, which keeps bright rims away.
//!
//! Cost: depth · width · views updates a row. Memory: one slab of filtered rows beside input and output.

use ndarray::{ArrayViewMut3, Axis};
use rayon::prelude::*;

use super::input::Input;
use super::weights::angular_weights;
use super::{ReconError, ReconstructParams};
use crate::base::{Cancelled, Progress};
use crate::kernels::filter::{Beyond, RampFilter, SirtLike, Window};
use crate::kernels::lanes::{LANES, LanePlane};
use crate::kernels::projector::{BAND, Footprint, SlabProjector};

/// Columns added on each side of a detector of `n_cols` where the sample reaches beyond.
pub(super) fn extra_columns(n_cols: usize, beyond: bool) -> usize {
    if beyond { n_cols / 4 } else { 0 }
}

/// Mean path of the rays through a section, in voxels, as SIRT weighs them; the factor is fitted to our own (a test).
fn mean_path(depth: usize, width: usize) -> f64 {
    const FITTED: f64 = 0.8;
    FITTED * depth.min(width) as f64
}

/// Rows of projections made ready for back projection.
pub(super) struct Filtering {
    filter: RampFilter,
    /// Of each view.
    weights: Vec<f32>,
    views: Vec<usize>,
    /// Columns of a filtered row.
    pub(super) n_cols: usize,
}

impl Filtering {
    /// For a result of `depth` × `width` whose values are to be times `per_voxel`.
    pub(super) fn new(
        input: &Input<'_>,
        params: &ReconstructParams,
        per_voxel: f32,
        depth: usize,
        width: usize,
    ) -> Self {
        let (_, full) = input.tilt_range();
        let beyond = match (input.beyond, full) {
            (false, _) => Beyond::Zero,
            (true, false) => Beyond::Edge,
            (true, true) => Beyond::Fade,
        };
        let angular = angular_weights(&input.angles_deg);
        let sirt = SirtLike::new(params.sweeps(!full), angular.iter().sum(), mean_path(depth, width));
        let filter = RampFilter::with_gain(input.n_cols, beyond, |f| {
            let gain = params.filter.gain(f, params.cutoff, params.order);
            if params.filter == Window::SirtLike { gain * sirt.gain(f) } else { gain }
        });
        Self {
            filter,
            weights: angular.iter().map(|w| *w as f32 * per_voxel).collect(),
            views: (0..input.n_views()).collect(),
            n_cols: input.n_cols + 2 * extra_columns(input.n_cols, input.beyond),
        }
    }

    /// Fills a sinogram slab with the filtered rows of slab `slab`.
    pub(super) fn fill(
        &self,
        progress: &Progress,
        input: &Input<'_>,
        slab: usize,
        sinogram: &mut LanePlane,
    ) -> Result<(), Cancelled> {
        let filter_row = |view: usize, row: &[f32], line: &mut [f32], scratch: &mut _| {
            self.filter.apply(row, self.weights[view], line, scratch);
        };
        let scratch = || self.filter.scratch();
        input.fill(progress, &input.slab_rows(slab), &self.views, sinogram, scratch, filter_row)
    }
}

/// Fills `volume`, shape (depth, rows, columns), with values times `per_voxel`.
pub(super) fn fbp(
    progress: &Progress,
    input: &Input<'_>,
    params: &ReconstructParams,
    per_voxel: f32,
    mut volume: ArrayViewMut3<'_, f32>,
) -> Result<(), ReconError> {
    let (depth, _, width) = volume.dim();
    let filtering = Filtering::new(input, params, per_voxel, depth, width);
    let projector = SlabProjector::new(&input.geometry(filtering.n_cols, depth, width));
    let mut sinogram = projector.new_sinogram();
    progress.phase("Back projecting", (input.n_slabs() * depth.div_ceil(BAND)) as u64);
    for (slab, mut rows) in volume.axis_chunks_iter_mut(Axis(1), LANES).enumerate() {
        filtering.fill(progress, input, slab, &mut sinogram)?;
        let targets = rows.axis_chunks_iter_mut(Axis(0), BAND).into_par_iter();
        projector.back_project_bands(
            progress,
            Footprint::Linear,
            &sinogram,
            targets,
            |band, mut target| {
                for (line, mut out) in band.chunks_exact(width).zip(target.outer_iter_mut()) {
                    for (lane, mut row) in out.outer_iter_mut().enumerate() {
                        for (value, group) in row.iter_mut().zip(line) {
                            *value = group.0[lane];
                        }
                    }
                }
                progress.advance(1);
            },
        )?;
    }
    Ok(())
}
