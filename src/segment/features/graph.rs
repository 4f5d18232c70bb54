//! Features from the region graph: neighbours, and means that stop at edges.

use rayon::prelude::*;

use super::{Columns, FeatureParams};
use crate::base::{Cancelled, Progress};
use crate::segment::{Adjacency, Place};

/// Rounds of averaging over the graph, each from the round before, and the name of what they give.
const GRAPH_ROUNDS: [(usize, &str); 2] = [(3, "edge-preserving mean"), (7, "wide edge-preserving mean")];

/// Neighbours' statistics and edge-preserving means of the regions' mean values.
pub(super) fn graph_features(
    progress: &Progress,
    mean: &[f32],
    places: &[Place],
    adjacency: &Adjacency,
    params: &FeatureParams,
    columns: &mut Columns,
) -> Result<(), Cancelled> {
    progress.check()?;
    let around: Vec<[f32; 4]> = (0..mean.len())
        .into_par_iter()
        .map(|r| {
            let (mut sum, mut weight, mut low, mut high) = (0.0, 0.0, mean[r], mean[r]);
            for (other, faces) in adjacency.of(r) {
                let value = mean[*other as usize];
                sum += *faces as f32 * value;
                weight += *faces as f32;
                low = low.min(value);
                high = high.max(value);
            }
            let around = if weight > 0.0 { sum / weight } else { mean[r] };
            [around, mean[r] - around, low, high]
        })
        .collect();
    let names = ["mean of neighbours", "difference to neighbours", "least neighbour", "greatest neighbour"];
    columns.push_rows(names.map(str::to_owned), &around);
    let noise = neighbour_noise(mean, adjacency);
    for range in &params.graph_ranges {
        let mut values = mean.to_vec();
        for (rounds, name) in GRAPH_ROUNDS {
            for _ in 0..rounds {
                progress.check()?;
                values = bilateral(&values, places, adjacency, noise * *range as f32);
            }
            columns.push(format!("{name}, range {range}"), values.clone());
        }
    }
    Ok(())
}

/// Half the median difference between neighbours, divided by 0.6745 √2 / 2: the standard deviation of the
/// means where most neighbours differ by noise only. Never zero.
pub(in crate::segment) fn neighbour_noise(mean: &[f32], adjacency: &Adjacency) -> f32 {
    let mut differences: Vec<f32> = (0..mean.len())
        .filter_map(|r| adjacency.of(r).first().map(|(other, _)| (mean[r] - mean[*other as usize]).abs()))
        .collect();
    let middle = differences.len() / 2;
    if differences.is_empty() {
        return 1.0;
    }
    let (_, median, _) = differences.select_nth_unstable_by(middle, f32::total_cmp);
    (*median / (0.6745 * std::f32::consts::SQRT_2)).max(1e-12)
}

/// One round of averaging over neighbours, weighted by size and by how little the values differ.
fn bilateral(values: &[f32], places: &[Place], adjacency: &Adjacency, range: f32) -> Vec<f32> {
    let scale = -0.5 / (range * range);
    (0..values.len())
        .into_par_iter()
        .map(|r| {
            let own = places[r].n_voxels as f32;
            let (mut sum, mut weight) = (own * values[r], own);
            for (other, _) in adjacency.of(r) {
                let other = *other as usize;
                let difference = values[other] - values[r];
                let w = places[other].n_voxels as f32 * (scale * difference * difference).exp();
                sum += w * values[other];
                weight += w;
            }
            sum / weight
        })
        .collect()
}
