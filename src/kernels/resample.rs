//! Resampling: a volume drawn onto another grid through an affine map.
//!
//! Each voxel of the new grid is looked up in the old one with trilinear weights. Rows are independent
//! and worked in parallel.

use glam::{DAffine3, DVec3};
use ndarray::{Array3, ArrayView3};

use crate::base::parallel::for_each_chunk;
use crate::base::{Cancelled, Progress, WorldFromVoxel};
use crate::volume::Volume;

/// Where the voxels of a volume lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridFrame {
    /// Shape as z, y, x.
    pub shape: [usize; 3],
    /// Voxel size in µm as z, y, x.
    pub voxel_um: [f64; 3],
    /// World position in µm of voxel (0, 0, 0), as z, y, x.
    pub origin_um: [f64; 3],
}

impl GridFrame {
    /// The grid of a volume; one voxel counts as 1 µm where the size is unknown.
    pub fn of<T>(volume: &Volume<T>) -> Self {
        Self { shape: volume.shape(), voxel_um: volume.voxel_um_or_one(), origin_um: volume.origin_um }
    }

    /// The map from voxel index (x, y, z) to world µm.
    pub fn world_from_voxel(&self) -> WorldFromVoxel {
        WorldFromVoxel::from_spacing(self.voxel_um, self.origin_um)
    }
}

/// Why nothing was resampled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ResampleError {
    #[error("the transform flattens space or is not finite, so it cannot be applied")]
    Singular,
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// `moving` on `grid`, where `fixed_from_moving` maps its world (x, y, z in µm) to that of the grid.
///
/// Points up to half a voxel beyond the outermost centres take the nearest value; `outside` is what
/// points farther out get. A NaN spreads only to points that give it weight. The unit is kept.
///
/// # Errors
/// [`ResampleError`].
pub fn resample(
    progress: &Progress,
    moving: &Volume<f32>,
    fixed_from_moving: &DAffine3,
    grid: &GridFrame,
    outside: f32,
) -> Result<Volume<f32>, ResampleError> {
    let index_from_grid =
        moving.world_from_voxel().0.inverse() * fixed_from_moving.inverse() * grid.world_from_voxel().0;
    if !index_from_grid.is_finite() {
        return Err(ResampleError::Singular);
    }
    let [_, ny, nx] = grid.shape;
    let mut data = Array3::from_elem(grid.shape, outside);
    let values = data.as_slice_mut().unwrap_or(&mut []);
    progress.phase("Resampling", grid.shape[0] as u64);
    let step = index_from_grid.transform_vector3(DVec3::X);
    for_each_chunk(progress, values, ny * nx, |z, slice| {
        for (y, row) in slice.chunks_exact_mut(nx).enumerate() {
            let start = index_from_grid.transform_point3(DVec3::new(0.0, y as f64, z as f64));
            for (x, value) in row.iter_mut().enumerate() {
                if let Some(found) = sample(moving, start + step * x as f64) {
                    *value = found;
                }
            }
        }
    })?;
    Ok(Volume { origin_um: grid.origin_um, ..Volume::new(data, Some(grid.voxel_um), moving.unit) })
}

/// Ids of `array`, which lies on `from`, on another grid: each voxel gets the id whose voxel its centre lies in, the
/// default one outside. On a border between two voxels it is that of the lower index.
///
/// # Errors
/// [`Cancelled`].
pub fn resample_nearest<T: Copy + Default + Send + Sync>(
    progress: &Progress,
    array: &ArrayView3<'_, T>,
    from: &GridFrame,
    grid: &GridFrame,
) -> Result<Array3<T>, Cancelled> {
    let identity = DAffine3::IDENTITY;
    match resample_nearest_by(progress, array, from, &identity, grid) {
        Ok(found) => Ok(found),
        Err(ResampleError::Cancelled(cancelled)) => Err(cancelled),
        Err(ResampleError::Singular) => Ok(Array3::default(grid.shape)),
    }
}

/// As [`resample_nearest`], where `fixed_from_moving` maps the world (x, y, z in µm) of the ids to that of the grid.
///
/// # Errors
/// [`ResampleError`].
pub fn resample_nearest_by<T: Copy + Default + Send + Sync>(
    progress: &Progress,
    array: &ArrayView3<'_, T>,
    from: &GridFrame,
    fixed_from_moving: &DAffine3,
    grid: &GridFrame,
) -> Result<Array3<T>, ResampleError> {
    let index_from_grid =
        from.world_from_voxel().0.inverse() * fixed_from_moving.inverse() * grid.world_from_voxel().0;
    if !index_from_grid.is_finite() {
        return Err(ResampleError::Singular);
    }
    let [_, ny, nx] = grid.shape;
    let mut data = Array3::default(grid.shape);
    progress.phase("Resampling", grid.shape[0] as u64);
    let step = index_from_grid.transform_vector3(DVec3::X);
    // What lies on a border by rounding alone must not flicker between both sides.
    let nearest = |position: f64| (position - 1e-6).round();
    for_each_chunk(progress, data.as_slice_mut().unwrap_or(&mut []), ny * nx, |z, slice| {
        for (y, row) in slice.chunks_exact_mut(nx).enumerate() {
            let start = index_from_grid.transform_point3(DVec3::new(0.0, y as f64, z as f64));
            for (x, value) in row.iter_mut().enumerate() {
                let at = start + step * x as f64;
                let index = [at.z, at.y, at.x].map(nearest);
                // What is below 0 as a number is above every size as an index.
                if index.iter().all(|i| *i >= 0.0)
                    && let Some(id) = array.get(index.map(|i| i as usize))
                {
                    *value = *id;
                }
            }
        }
    })?;
    Ok(data)
}

/// The value at a fractional index (x, y, z); `None` outside.
fn sample(volume: &Volume<f32>, at: DVec3) -> Option<f32> {
    let shape = volume.shape();
    let (mut low, mut high, mut weight) = ([0; 3], [0; 3], [0.0f32; 3]);
    for (axis, position) in [at.z, at.y, at.x].into_iter().enumerate() {
        let last = shape[axis].checked_sub(1)? as f64;
        // The margin keeps a grid on the very rim inside whatever its rounding.
        if !(position >= -0.5 - 1e-9 && position <= last + 0.5 + 1e-9) {
            return None;
        }
        let position = position.clamp(0.0, last);
        low[axis] = position as usize;
        high[axis] = (low[axis] + 1).min(shape[axis] - 1);
        weight[axis] = (position - low[axis] as f64) as f32;
    }
    let data = &volume.data;
    let along = |z: usize, y: usize| lerp(data[[z, y, low[2]]], data[[z, y, high[2]]], weight[2]);
    let across = |z: usize| lerp(along(z, low[1]), along(z, high[1]), weight[1]);
    Some(lerp(across(low[0]), across(high[0]), weight[0]))
}

/// Between `a` and `b`; a NaN without weight does not count.
fn lerp(a: f32, b: f32, t: f32) -> f32 {
    if t == 0.0 {
        a
    } else if t == 1.0 {
        b
    } else {
        a + t * (b - a)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Unit;
    use glam::DQuat;

    /// A linear ramp in world coordinates, which trilinear interpolation reproduces.
    fn ramp(shape: [usize; 3], voxel: [f64; 3], origin: [f64; 3]) -> Volume<f32> {
        let map = WorldFromVoxel::from_spacing(voxel, origin);
        let data = Array3::from_shape_fn(shape, |(z, y, x)| {
            value(map.world_from_zyx([z as f64, y as f64, x as f64]))
        });
        Volume { origin_um: origin, ..Volume::new(data, Some(voxel), Unit::Arbitrary) }
    }

    fn value(p: DVec3) -> f32 {
        (2.0 * p.x - 3.0 * p.y + 0.5 * p.z + 7.0) as f32
    }

    #[test]
    fn a_ramp_is_reproduced_through_rotation_scale_and_anisotropic_voxels() {
        let moving = ramp([20, 24, 28], [0.3, 0.2, 0.1], [5.0, -1.0, 2.0]);
        let map = DAffine3::from_scale_rotation_translation(
            DVec3::splat(1.3),
            DQuat::from_axis_angle(DVec3::new(1.0, 2.0, 3.0).normalize(), 0.4),
            DVec3::new(10.0, 20.0, 30.0),
        );
        let center = map.transform_point3(DVec3::new(3.4, 1.3, 7.9));
        let grid = GridFrame {
            shape: [12, 10, 8],
            voxel_um: [0.11; 3],
            origin_um: [center.z - 0.6, center.y - 0.5, center.x - 0.4],
        };
        let out = resample(&Progress::new(), &moving, &map, &grid, f32::NAN).unwrap();
        let inverse = map.inverse();
        for ((z, y, x), got) in out.data.indexed_iter() {
            let world = grid.world_from_voxel().world_from_zyx([z as f64, y as f64, x as f64]);
            let want = value(inverse.transform_point3(world));
            // Values near 10 in f32, three interpolations.
            assert!((got - want).abs() < 1e-4, "{got} {want}");
        }
    }

    #[test]
    fn identity_keeps_every_bit_and_outside_is_outside() {
        let moving = ramp([3, 4, 5], [0.1; 3], [0.3; 3]);
        let same = GridFrame::of(&moving);
        let out = resample(&Progress::new(), &moving, &DAffine3::IDENTITY, &same, -1.0).unwrap();
        for (a, b) in out.values().iter().zip(moving.values()) {
            assert!((a - b).abs() < 1e-5);
        }
        let shifted = DAffine3::from_translation(DVec3::new(0.2, 0.0, 0.0));
        let out = resample(&Progress::new(), &moving, &shifted, &same, -1.0).unwrap();
        assert_eq!(out.data[[0, 0, 0]], -1.0);
        assert!((out.data[[0, 0, 3]] - moving.data[[0, 0, 1]]).abs() < 1e-5);
    }

    #[test]
    fn nan_stays_where_it_is_and_flat_maps_are_refused() {
        let mut moving = ramp([1, 4, 4], [1.0; 3], [0.0; 3]);
        moving.data[[0, 1, 1]] = f32::NAN;
        let grid = GridFrame::of(&moving);
        let out = resample(&Progress::new(), &moving, &DAffine3::IDENTITY, &grid, 0.0).unwrap();
        assert_eq!(out.values().iter().filter(|v| v.is_nan()).count(), 1);
        let flat = DAffine3::from_scale(DVec3::new(1.0, 0.0, 1.0));
        assert_eq!(resample(&Progress::new(), &moving, &flat, &grid, 0.0), Err(ResampleError::Singular));
        let progress = Progress::new();
        progress.cancel();
        let cancelled = resample(&progress, &moving, &DAffine3::IDENTITY, &grid, 0.0);
        assert_eq!(cancelled, Err(ResampleError::Cancelled(Cancelled)));
    }

    #[test]
    fn ids_keep_their_value_and_lie_where_their_voxel_lies() {
        let ids = Array3::from_shape_fn((4, 5, 6), |(z, y, x)| 70_000 + (z * 30 + y * 6 + x) as u32);
        let frame = |shape, voxel_um, origin_um| GridFrame { shape, voxel_um, origin_um };
        let coarse = frame([4, 5, 6], [0.06, 0.04, 0.02], [1.0, 2.0, 3.0]);
        let progress = Progress::new();
        let on = |grid: &GridFrame| resample_nearest(&progress, &ids.view(), &coarse, grid).unwrap();
        assert_eq!(on(&coarse), ids);
        // Twice as fine: every id eight times, at its place.
        let fine = frame([8, 10, 12], [0.03, 0.02, 0.01], [0.985, 1.99, 2.995]);
        let found = on(&fine);
        assert!(found.indexed_iter().all(|((z, y, x), id)| *id == ids[[z / 2, y / 2, x / 2]]));
        // One voxel on: what comes in from outside is 0.
        let found = on(&frame([4, 5, 6], coarse.voxel_um, [1.0, 2.0, 2.98]));
        assert!(
            found.indexed_iter().all(|((z, y, x), id)| *id == if x == 0 { 0 } else { ids[[z, y, x - 1]] })
        );
        let back = resample_nearest(&progress, &on(&fine).view(), &fine, &coarse).unwrap();
        assert_eq!(back, ids);
        progress.cancel();
        assert_eq!(resample_nearest(&progress, &ids.view(), &coarse, &fine), Err(Cancelled));
    }
}
