//! What a classifier needs of a volume and strokes do not change: regions, their features, their neighbours.

use std::borrow::Cow;

use ndarray::ArrayView3;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::context::ContextGrid;
use super::decide::affinity;
use super::features::{finite, neighbour_noise};
use super::noise::{self, noise_of_regions};
use super::random_field::wedge_weight;
use super::regions::{Adjacency, Place};
use super::{FeatureParams, RegionFeatures, Regions, SegmentError, SlicParams, region_features, supervoxels};
use crate::base::{Progress, Unit};
use crate::kernels::smooth;
use crate::volume::Volume;

/// Standard deviation of the smoothing of [`FeatureCache::fine`] in voxels (of the mean edge): half of the noise of
/// single voxels goes, edges stay within a voxel.
const FINE_VOXELS: f32 = 0.8;

/// How regions and their features are made: the part of a classifier that another volume must share.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Supervoxels.
    pub supervoxels: SlicParams,
    /// Features.
    pub features: FeatureParams,
}

/// Regions of a volume and everything about them that strokes do not change.
#[derive(Debug, Clone)]
pub struct FeatureCache {
    /// The regions.
    pub regions: Regions,
    /// Size and place of each.
    pub places: Vec<Place>,
    /// Who touches whom.
    pub adjacency: Adjacency,
    /// Features of each.
    pub features: RegionFeatures,
    /// What they were made with.
    pub recipe: Recipe,
    /// Unit of the volume.
    pub unit: Unit,
    /// Mean edge of a voxel in µm; `None` where unknown.
    pub voxel_um: Option<f64>,
    /// Standard deviation of the noise around every region, where two halves told it.
    pub noise: Option<Vec<f32>>,
    pub(super) grid: ContextGrid,
    /// How much every entry of the adjacency counts where neighbours shall agree.
    pub(super) affinity: Vec<f32>,
    /// The values, smoothed a little: what the polish of voxels looks at.
    pub(super) fine: Vec<f32>,
    /// Of every region: sum of those values and of their squares.
    pub(super) fine_sums: Vec<[f64; 2]>,
    /// How far means may differ in neighbours of a stroke that join it.
    pub(super) grow_range: f32,
}

impl FeatureCache {
    /// Makes regions and features of a volume, inside `mask` where one is given.
    ///
    /// # Errors
    /// Those of [`supervoxels`] and [`region_features`].
    pub fn build(
        progress: &Progress,
        volume: &Volume<f32>,
        mask: Option<ArrayView3<'_, bool>>,
        recipe: &Recipe,
    ) -> Result<Self, SegmentError> {
        Self::build_with_halves(progress, volume, None, mask, recipe)
    }

    /// The same with two reconstructions from half of the views each: where they disagree is noise, which becomes
    /// features and makes what is said there less sure.
    ///
    /// # Errors
    /// Those of [`Self::build`]; [`SegmentError::SameHalves`] where the halves do not differ.
    pub fn build_with_halves(
        progress: &Progress,
        volume: &Volume<f32>,
        halves: Option<[&Volume<f32>; 2]>,
        mask: Option<ArrayView3<'_, bool>>,
        recipe: &Recipe,
    ) -> Result<Self, SegmentError> {
        let regions = supervoxels(progress, volume, mask, &recipe.supervoxels)?;
        let places = regions.places(progress)?;
        let adjacency = regions.adjacency(progress)?;
        let mut features =
            region_features(progress, volume, &regions, &places, &adjacency, &recipe.features)?;
        let voxel = volume.voxel_um_or_one();
        let mean = (voxel[0] * voxel[1] * voxel[2]).cbrt();
        let cell = voxel.map(|v| recipe.supervoxels.size_voxels * (mean / v) as f32);
        let grid = ContextGrid::new(progress, &places, volume.shape(), cell)?;
        let noise = match halves {
            Some(halves) => Some(noise_of_regions(progress, &regions, &grid, halves)?),
            None => None,
        };
        if let Some(noise) = &noise {
            features = noise::add_features(features, noise);
        }
        let region_mean: Vec<f32> = (0..features.n_regions).map(|r| features.row(r)[0]).collect();
        let affinity = affinity(&adjacency, &region_mean, neighbour_noise(&region_mean, &adjacency));
        let values = finite(volume);
        let values =
            ArrayView3::from_shape(volume.data.dim(), &values).unwrap_or_else(|_| volume.data.view());
        let fine = smooth::gaussian(progress, values, voxel.map(|v| FINE_VOXELS * (mean / v) as f32))?;
        let fine = fine.into_raw_vec_and_offset().0;
        let fine_sums = sums(&regions, &fine);
        let grow_range = super::grow::range(&features, &adjacency);
        let voxel_um = mean_edge(volume);
        Ok(Self {
            regions,
            places,
            adjacency,
            features,
            recipe: recipe.clone(),
            unit: volume.unit,
            voxel_um,
            noise,
            grid,
            affinity,
            fine,
            fine_sums,
            grow_range,
        })
    }

    /// How much every entry of the adjacency counts where neighbours shall agree: less across the missing wedge of a
    /// scan that was tilted by no more than `tilt_deg` to either side.
    pub(super) fn affinity_of(&self, tilt_deg: Option<f32>) -> Cow<'_, [f32]> {
        let Some(tilt) = tilt_deg.filter(|tilt| *tilt < 90.0) else { return Cow::Borrowed(&self.affinity) };
        let weighted = (0..self.places.len()).into_par_iter().flat_map_iter(|r| {
            let entries = self.adjacency.of(r).iter().zip(&self.affinity[self.adjacency.entries_of(r)]);
            entries.map(move |((other, _), weight)| {
                weight * wedge_weight(&self.places[r], &self.places[*other as usize], tilt)
            })
        });
        Cow::Owned(weighted.collect())
    }

    /// Bytes that building the cache of a volume of `n_voxels` takes at its peak, beyond the volume.
    pub fn peak_bytes(n_voxels: u64, recipe: &Recipe) -> u64 {
        let cell = f64::from(recipe.supervoxels.size_voxels).powi(3);
        let n_features =
            4 + 11 * recipe.features.fine_voxels.len() + 7 * recipe.features.coarse_voxels.len() + 8;
        // Labels, pieces and one more copy while supervoxels are joined, later labels and smoothed values; columns
        // and rows of features; edges.
        let per_region = 8.0 * n_features as f64 + 14.0 * 12.0 + 200.0;
        n_voxels * 12 + (n_voxels as f64 / cell * per_region) as u64
    }
}

/// Sum of the values of every region and of their squares.
fn sums(regions: &Regions, values: &[f32]) -> Vec<[f64; 2]> {
    let mut sums = vec![[0.0; 2]; regions.n as usize];
    for (id, value) in regions.values().iter().zip(values) {
        if let Some(sum) = id.checked_sub(1).and_then(|r| sums.get_mut(r as usize)) {
            let value = f64::from(*value);
            *sum = [sum[0] + value, sum[1] + value * value];
        }
    }
    sums
}

pub(super) fn mean_edge(volume: &Volume<f32>) -> Option<f64> {
    volume.voxel_um.map(|v| (v[0] * v[1] * v[2]).cbrt())
}
