//! How far the rays of a scene may leap over what it does not show.

use super::grid::{self, MinMaxGrid};
use super::scene::{VolumeLabels, VolumeMode, VolumeScene};
use super::transfer::TransferTable;
use crate::volume::Labels;
use crate::volume::labels::Brick;

/// Leaps through a volume, by brick of its ranges, see [`grid::leaps`].
pub(crate) fn volume_leaps(ranges: &MinMaxGrid, scene: &VolumeScene, table: &TransferTable) -> Vec<u8> {
    match scene.mode {
        VolumeMode::Composite => ranges.leaps(|low, high| table.shows(low, high)),
        VolumeMode::Mip => ranges.leaps(|_, high| high > scene.window[0]),
        VolumeMode::Iso => ranges.leaps(|_, high| high >= scene.iso_value),
        // Every value counts in the least and in the mean; labels and surfaces do not ask for values.
        VolumeMode::MinIp | VolumeMode::Mean | VolumeMode::Labels | VolumeMode::Surfaces => {
            ranges.leaps(|_, _| true)
        }
    }
}

/// Leaps through labels, by their bricks: those without a visible id are empty.
pub(crate) fn label_leaps(labels: &Labels, layer: &VolumeLabels) -> Vec<u8> {
    let is_visible = |id: u16| layer.colors.get(id)[3] > 0;
    grid::leaps(labels.bricks_zyx(), |i| match labels.brick(i) {
        Brick::Uniform(id) => is_visible(*id),
        Brick::Dense(ids) => ids.iter().any(|id| is_visible(*id)),
    })
}
