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

use super::domain::Domain;
use super::input::Input;
use super::steps::{read, subsets};
use super::{ReconError, ReconstructParams};
use crate::base::Progress;
use crate::kernels::lanes::{LANES, LanePlane};

/// The section may become this many times as wide as the detector, at most.
const WIDEST: f64 = 4.0;
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

/// Fills `volume`, shape (depth, rows, columns), with values times `per_voxel` after `sweeps` sweeps.
pub(super) fn sirt(
    progress: &Progress,
    input: &Input<'_>,
    params: &ReconstructParams,
    domain: &Domain,
    sweeps: u32,
    per_voxel: f32,
    mut volume: ArrayViewMut3<'_, f32>,
) -> Result<(), ReconError> {
    progress.phase("SIRT", input.n_slabs() as u64 * u64::from(sweeps));
    let subsets = subsets(progress, input, domain, params.subsets(), params.relaxation)?;
    let mut measured: Vec<LanePlane> = subsets.iter().map(|s| s.projector.new_sinogram()).collect();
    let mut residuals = measured.clone();
    let mut section = LanePlane::section(domain.deep, domain.wide);
    let floor = params.floor(per_voxel);
    for (slab, rows) in volume.axis_chunks_iter_mut(Axis(1), LANES).enumerate() {
        read(progress, input, &input.slab_rows(slab), &subsets, &mut measured)?;
        section.clear();
        for _ in 0..sweeps {
            for ((subset, measured), residual) in subsets.iter().zip(&measured).zip(&mut residuals) {
                subset.step(progress, measured, residual, &mut section, floor)?;
            }
            progress.advance(1);
        }
        domain.write(&section, 0, per_voxel, rows);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_grow_evenly_and_only_where_the_sample_goes_on() {
        assert_eq!(section_size(50, 100, false, 65.0, false, true), (50, 100));
        assert_eq!(section_size(20, 100, true, 0.0, false, false), (20, 100));
        assert_eq!(section_size(20, 101, true, 60.0, false, false), (20, 237));
        assert_eq!(section_size(100, 100, true, 90.0, true, true), (150, 150));
    }
}
