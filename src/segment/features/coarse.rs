//! Features of coarse scales: derivatives at the centres of regions on smoothed, halved volumes.

use ndarray::Array3;
use rayon::prelude::*;

use super::fine::derivatives;
use super::{Frame, eigenvalues, sample};
use crate::base::{Cancelled, Progress};
use crate::kernels::smooth;
use crate::segment::Place;

pub(super) const COARSE_NAMES: [&str; 6] = [
    "smoothed",
    "gradient magnitude",
    "Laplacian",
    "Hessian eigenvalue 1",
    "Hessian eigenvalue 2",
    "Hessian eigenvalue 3",
];

/// Features at the regions' centres; `pyramid` grows by halved volumes as the scale asks.
pub(super) fn coarse_scale(
    progress: &Progress,
    pyramid: &mut Vec<Array3<f32>>,
    places: &[Place],
    frame: &Frame,
    sigma: f32,
) -> Result<Vec<[f32; 6]>, Cancelled> {
    let mut level = 0;
    while sigma / (1 << level) as f32 >= 2.5 {
        level += 1;
    }
    while pyramid.len() <= level {
        if let Some(last) = pyramid.last() {
            pyramid.push(smooth::halve(progress, last.view())?);
        }
    }
    // The volumes below are needed no more once a coarser one exists, for scales increase.
    for done in pyramid.iter_mut().take(level) {
        *done = Array3::default((0, 0, 0));
    }
    let factor = (1 << level) as f32;
    // Means over blocks of `factor` voxels have smoothed already, by a box of variance (factor² - 1) / 12.
    let boxed = (factor * factor - 1.0) / 12.0 / (factor * factor);
    let coarse_sigma = frame.edge.map(|e| ((sigma / factor / e).powi(2) - boxed).max(0.0).sqrt());
    let smooth = smooth::gaussian(progress, pyramid[level].view(), coarse_sigma)?;
    let step = frame.edge.map(|e| sigma / factor / e);
    let offset = 0.5 * (factor - 1.0);
    let features = |place: &Place| {
        let at = place.centre_zyx.map(|c| (c - offset) / factor);
        let g = |dz: i8, dy: i8, dx: i8| {
            sample(smooth.view(), [at[0] + f32::from(dz), at[1] + f32::from(dy), at[2] + f32::from(dx)])
        };
        let rows: [[f32; 3]; 9] =
            std::array::from_fn(|r| [-1, 0, 1].map(|dx| g(r as i8 / 3 - 1, r as i8 % 3 - 1, dx)));
        let mut windows = [[0.0f32; 10]; 9];
        for (window, row) in windows.iter_mut().zip(rows) {
            window[..3].copy_from_slice(&row);
        }
        let mut terms = [[0.0f32; 8]; 17];
        derivatives(&windows, step, &mut terms);
        let hessian = eigenvalues(std::array::from_fn(|i| terms[5 + i][0]));
        let laplacian = terms[5][0] + terms[8][0] + terms[10][0];
        [terms[1][0], terms[3][0], laplacian, hessian[0], hessian[1], hessian[2]]
    };
    progress.check()?;
    Ok(places.par_iter().map(features).collect())
}
