//! Where membranes are: a map of thin walls, found by their shape or learnt from a few painted voxels; and the regions
//! that they part.
//!
//! By shape: a wall is a sheet, so across it the second derivative is large (the largest eigenvalue of the Hessian,
//! Sato and others 1998, doi:10.1016/S1361-8415(98)80009-1), at two scales around half its thickness, and it is darker
//! (or brighter) than what lies around. Both are multiplied: the rim of a bright body is no sheet, a dark body
//! has none. Learnt: a forest on the voxels painted as membrane and as anything else, with value, gradient and two
//! eigenvalues of the Hessian at six scales; the map is the share of its trees that say membrane, smoothed a little.
//!
//! Regions are the basins between the walls, joined across the weakest (see [`super::fragments`]), so that they follow
//! membranes where values on both sides are alike. The same for any number of threads.
//! Memory: 24 bytes a voxel, some 150 bytes a pair of fragments, and the slices of a thread.

use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

use super::cache::mean_edge;
use super::features::voxels::{PER_SCALE, VoxelFeatures};
use super::forest::{Forest, ForestParams, Samples};
use super::fragments::Walls;
use super::{Regions, SegmentError, SlicParams, check_inputs, features, spread};
use crate::base::Progress;
use crate::kernels::smooth::gaussian;
use crate::volume::Volume;

/// Scales of a sheet as multiples of its thickness: the first also tells how dark it is.
const SHEET: [f32; 2] = [1.0 / 3.0, 0.5];
/// Scales of the learnt map as multiples of the thickness.
const LEARNT: [f32; 6] = [0.23, 0.33, 0.5, 0.73, 1.1, 1.7];
/// Smoothing of the learnt map as a multiple of the thickness.
const SMOOTH: f32 = 0.17;
/// What a sheet counts where it is as bright as its surroundings, in standard deviations of the values.
const PALE: f32 = 0.1;
/// Share of the values that are darker than what darkness is measured from.
const BRIGHT: f64 = 0.75;
/// How much the smaller of two fragments counts against the wall between them.
const SIZE_POWER: f64 = 0.3;
/// Fragments of fewer voxels join a neighbour at once.
const CRUMB: u32 = 8;
/// Seed of the forest.
const SEED: u64 = 0;

/// Whether membranes are darker or brighter than what they part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wall {
    /// Darker, as in stained electron micrographs.
    #[default]
    Dark,
    /// Brighter, as lipid in absorption.
    Bright,
}

/// Height of the membranes at every voxel, 0 or more, by their shape.
pub(super) fn map_by_shape(
    progress: &Progress,
    volume: &Volume<f32>,
    mask: Option<&[bool]>,
    thickness: f32,
    wall: Wall,
) -> Result<Vec<f32>, SegmentError> {
    let sign = if wall == Wall::Dark { 1.0 } else { -1.0 };
    let values = features::finite(volume);
    let scales = SHEET.map(|s| s * thickness);
    let found = VoxelFeatures::new(volume, &values, &scales);
    let fine = smoothed(progress, volume, values.to_vec(), scales[0])?;
    let mut sample: Vec<f32> = fine
        .iter()
        .enumerate()
        .step_by((fine.len() / (1 << 18)).max(1) | 1)
        .filter(|(i, _)| mask.is_none_or(|m| m[*i]))
        .map(|(_, v)| sign * v)
        .collect();
    sample.sort_unstable_by(f32::total_cmp);
    let at = ((BRIGHT * sample.len() as f64) as usize).min(sample.len().saturating_sub(1));
    let bright = sample.get(at).copied().unwrap_or(0.0);
    let spread = spread(&fine, mask);
    drop(fine);
    let n = found.n_features();
    let map = found.map(progress, |row, out, _| {
        for (out, row) in out.iter_mut().zip(row.chunks_exact(n)) {
            let darkness = ((bright - sign * row[0]) / spread).max(0.0);
            // Across a dark sheet the largest second derivative is up, across a bright one the least is down.
            let curved = |scale: usize| {
                let own = &row[scale * PER_SCALE..];
                if wall == Wall::Dark { own[2].max(0.0) } else { (-own[3]).max(0.0) }
            };
            // The root: a wall that is twice as dark is hardly more of a wall.
            *out = ((curved(0) + curved(1)) / spread * (PALE + darkness)).sqrt();
        }
    })?;
    Ok(map)
}

/// How likely every voxel is to be membrane, 0 to 1, learnt from painted voxels: the lowest class that is painted is
/// membrane, all others are not, 0 is unpainted.
pub(super) fn map_learnt(
    progress: &Progress,
    volume: &Volume<f32>,
    mask: Option<&[bool]>,
    painted: &ArrayView3<'_, u16>,
    thickness: f32,
) -> Result<Vec<f32>, SegmentError> {
    let (z, y, x) = painted.dim();
    if [z, y, x] != volume.shape() {
        let (expected, found) = (volume.shape(), [z, y, x]);
        return Err(SegmentError::ShapeMismatch { what: "the map of membranes", expected, found });
    }
    let own = |(i, id): (usize, &u16)| (*id != 0 && mask.is_none_or(|m| m[i])).then_some((i, *id));
    let (voxels, ids): (Vec<usize>, Vec<u16>) = painted.iter().enumerate().filter_map(own).unzip();
    let Some(membrane) = ids.iter().min().copied() else { return Err(SegmentError::NoScribbles) };
    if ids.iter().all(|id| *id == membrane) {
        return Err(SegmentError::OneClass { class: membrane });
    }
    let values = features::finite(volume);
    let scales = LEARNT.map(|s| s * thickness);
    let found = VoxelFeatures::new(volume, &values, &scales);
    let n = found.n_features();
    let classes: Vec<u16> = ids.iter().map(|id| u16::from(*id == membrane)).collect();
    let samples = Samples {
        features: &found.of_voxels(progress, &voxels)?,
        n_features: n,
        classes: &classes,
        weights: &vec![1.0; voxels.len()],
        groups: &(0..voxels.len() as u32).collect::<Vec<_>>(),
        n_classes: 2,
    };
    let params = ForestParams { min_split: 4, ..ForestParams::default() };
    let forest = Forest::train(progress, &samples, &params, SEED)?.forest;
    let map = found.map(progress, |row, out, first| {
        if mask.is_some_and(|m| !m[first..first + out.len()].contains(&true)) {
            return;
        }
        let mut votes = vec![0.0; 2 * out.len()];
        forest.predict_rows(row, &mut votes);
        out.iter_mut().zip(votes.chunks_exact(2)).for_each(|(out, votes)| *out = votes[1]);
    })?;
    smoothed(progress, volume, map, SMOOTH * thickness)
}

/// Values smoothed by `sigma` voxels of the mean edge.
fn smoothed(
    progress: &Progress,
    volume: &Volume<f32>,
    values: Vec<f32>,
    sigma: f32,
) -> Result<Vec<f32>, SegmentError> {
    let um = volume.voxel_um_or_one();
    let mean = (um[0] * um[1] * um[2]).cbrt();
    let array = Array3::from_shape_vec(volume.data.dim(), values).unwrap_or_default();
    Ok(gaussian(progress, array.view(), um.map(|e| sigma * (mean / e) as f32))?.into_raw_vec_and_offset().0)
}

/// Thickness of membranes in voxels of the mean edge.
fn thickness(volume: &Volume<f32>, params: &SlicParams) -> Result<f32, SegmentError> {
    let thickness = match (params.wall_nm, mean_edge(volume)) {
        (Some(nm), Some(edge_um)) => (f64::from(nm) / 1000.0 / edge_um) as f32,
        (Some(_), None) => return Err(SegmentError::VoxelSize),
        (None, _) => params.wall_voxels,
    };
    if (1.0..=32.0).contains(&thickness) {
        return Ok(thickness);
    }
    let value = f64::from(thickness);
    Err(SegmentError::Parameter { name: "wall_voxels", value, range: "1 to 32 voxels" })
}

/// Regions between membranes: those found by shape, or learnt from painted voxels.
pub(super) fn regions(
    progress: &Progress,
    volume: &Volume<f32>,
    mask: Option<ArrayView3<'_, bool>>,
    painted: Option<&ArrayView3<'_, u16>>,
    params: &SlicParams,
) -> Result<Regions, SegmentError> {
    let mask = check_inputs(progress, volume, mask)?;
    let mask = mask.as_deref();
    let thickness = thickness(volume, params)?;
    let heights = match painted {
        Some(painted) => map_learnt(progress, volume, mask, painted, thickness)?,
        None => map_by_shape(progress, volume, mask, thickness, params.wall)?,
    };
    let n_voxels = mask.map_or(heights.len(), |m| m.iter().filter(|m| **m).count());
    let n_regions = (n_voxels as f64 / f64::from(params.size_voxels).powi(3)).round().max(1.0) as usize;
    let walls = Walls { heights: &heights, mask, shape: volume.shape(), size_power: SIZE_POWER };
    walls.regions(progress, n_regions, CRUMB)
}

#[cfg(test)]
#[path = "membranes_tests.rs"]
mod tests;
