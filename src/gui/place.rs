//! Which voxel lies at a place of the world, and what value it has.

use glam::{DAffine3, DVec3};

use super::state::{voxel_at, world_from_voxel};
use crate::project::Layer;
use crate::volume::BlockId;

/// The grid of the finest voxels of a layer: world from voxel, and their number along z, y, x.
pub(crate) fn finest_grid(layer: &Layer) -> Option<(DAffine3, [usize; 3])> {
    let map = world_from_voxel(layer)?;
    match &layer.pyramid {
        Some(pyramid) => Some((map * pyramid.working_from_level(0), pyramid.levels().first()?.shape)),
        None => Some((map, layer.content.shape()?)),
    }
}

/// Edge of the finest voxels of a layer along an axis (0 for x), µm; 0 where there are none.
pub(crate) fn voxel_edge_um(layer: &Layer, axis: usize) -> f64 {
    finest_grid(layer).map_or(0.0, |(map, _)| map.matrix3.col(axis).length())
}

/// Index (z, y, x) on a grid of the voxel at a world point; `None` outside.
pub(crate) fn voxel_on((map, shape): (DAffine3, [usize; 3]), world_um: DVec3) -> Option<[usize; 3]> {
    let p = map.inverse().transform_point3(world_um).round();
    let index = [p.z, p.y, p.x];
    let inside = index.iter().zip(shape).all(|(i, n)| *i >= 0.0 && *i < n as f64);
    inside.then(|| index.map(|i| i as usize))
}

/// The value at a world point: of the finest voxel, or, while its block is read, of the level in memory and `false`.
pub(crate) fn value_at(layer: &Layer, world_um: DVec3) -> Option<(f32, bool)> {
    /// What the readout is called by the cache of blocks; views count up from 1.
    const READOUT: u64 = u64::MAX;
    let held = || Some(*layer.volume()?.data.get(voxel_at(layer, world_um)?)?);
    let Some(pyramid) = &layer.pyramid else { return Some((held()?, true)) };
    let index = voxel_on(finest_grid(layer)?, world_um)?;
    if let Some(value) = pyramid.value(0, index) {
        return Some((value, true));
    }
    let block = pyramid.levels().first()?.block;
    let block = BlockId { level: 0, at: std::array::from_fn(|a| index[a] / block[a]) };
    pyramid.cache().want(READOUT, pyramid, &[block]);
    Some((held()?, false))
}
