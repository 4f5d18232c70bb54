//! Which level of a pyramid a picture takes, and which part of it.

use glam::{DAffine3, DVec3};

use super::camera::Projection;
use super::scene::{SliceScene, VolumeScene};
use super::setup::{MarchSetup, SliceSetup};
use crate::volume::{BlockId, Pyramid};

/// A box of voxels of a level, z, y, x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LevelBox {
    pub(crate) level: usize,
    pub(crate) low: [usize; 3],
    pub(crate) dims: [usize; 3],
}

impl LevelBox {
    /// The voxels of a level between two corners (x, y, z in voxels), with `margin` voxels around; `None` where there are none.
    fn around(pyramid: &Pyramid, level: usize, (low, high): (DVec3, DVec3), margin: f64) -> Option<Self> {
        let shape = pyramid.levels().get(level)?.shape;
        let (mut first, mut dims) = ([0; 3], [0; 3]);
        for axis in 0..3 {
            let (a, b) = (low[2 - axis] - margin, high[2 - axis] + margin);
            let last = shape[axis] as f64 - 1.0;
            if !(a <= last + 0.5 && b >= -0.5) {
                return None;
            }
            first[axis] = a.floor().clamp(0.0, last) as usize;
            dims[axis] = b.ceil().clamp(0.0, last) as usize + 1 - first[axis];
        }
        Some(Self { level, low: first, dims })
    }

    /// The same up to the faces of the blocks that hold it.
    fn in_whole_blocks(self, pyramid: &Pyramid) -> Self {
        let Some(at) = pyramid.levels().get(self.level) else { return self };
        let low: [usize; 3] = std::array::from_fn(|a| self.low[a] / at.block[a] * at.block[a]);
        let end: [usize; 3] = std::array::from_fn(|a| {
            ((self.low[a] + self.dims[a]).div_ceil(at.block[a]) * at.block[a]).min(at.shape[a])
        });
        Self { low, dims: std::array::from_fn(|a| end[a] - low[a]), ..self }
    }

    /// The part of it that a block covers.
    pub(crate) fn common(&self, pyramid: &Pyramid, block: BlockId) -> Self {
        let (at, n) = pyramid.block_box(block);
        let low: [usize; 3] = std::array::from_fn(|a| at[a].max(self.low[a]));
        let dims =
            std::array::from_fn(|a| (at[a] + n[a]).min(self.low[a] + self.dims[a]).saturating_sub(low[a]));
        Self { low, dims, ..*self }
    }

    /// Whether all of another box lies in it.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        self.level == other.level
            && (0..3).all(|a| {
                self.low[a] <= other.low[a] && other.low[a] + other.dims[a] <= self.low[a] + self.dims[a]
            })
    }

    /// Whether it covers the place of another box, whatever their levels; a voxel of its own may be missing at the faces.
    pub(crate) fn covers(&self, other: &Self, pyramid: &Pyramid) -> bool {
        let from_other =
            pyramid.working_from_level(self.level).inverse() * pyramid.working_from_level(other.level);
        let corner = |low: [usize; 3], dims: [usize; 3]| {
            let [z, y, x]: [f64; 3] = std::array::from_fn(|a| (low[a] + dims[a]) as f64 - 0.5);
            DVec3::new(x, y, z)
        };
        let (a, b) = (corner(self.low, [0; 3]), corner(self.low, self.dims));
        let (c, d) = (corner(other.low, [0; 3]), corner(other.low, other.dims));
        (a - 1.0).cmple(from_other.transform_point3(c)).all()
            && (b + 1.0).cmpge(from_other.transform_point3(d)).all()
    }

    /// Bytes on the device.
    pub(crate) fn bytes(&self) -> u64 {
        self.dims.iter().map(|n| *n as u64).product::<u64>() * 2
    }

    /// The map from voxels of the box (x, y, z) to those of the working level.
    pub(crate) fn working_from_box(&self, pyramid: &Pyramid) -> DAffine3 {
        let [z, y, x] = self.low.map(|n| n as f64);
        pyramid.working_from_level(self.level) * DAffine3::from_translation(DVec3::new(x, y, z))
    }
}

/// Voxels that a pixel must at least be long for a level to be fine enough.
const FINE_ENOUGH: f64 = 0.8;

/// The coarsest level that is fine enough for pixels whose steps (in voxels of a level, x, y, z) `steps_of` gives.
///
/// An axis that a level does not halve is as fine as it can be.
fn level_for(pyramid: &Pyramid, steps_of: impl Fn(usize) -> [DVec3; 2]) -> usize {
    let finest = pyramid.levels()[0].scale;
    let is_fine = |level: &usize| {
        let scale = pyramid.levels()[*level].scale;
        let steps = steps_of(*level);
        (0..3).all(|axis| {
            let step = steps[0][2 - axis].abs().max(steps[1][2 - axis].abs());
            step == 0.0 || step >= FINE_ENOUGH || scale[axis] <= finest[axis] * 1.001
        })
    };
    (0..pyramid.levels().len()).rev().find(is_fine).unwrap_or(0)
}

/// What a slice shows of a pyramid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SliceNeed {
    /// The voxels that it shows.
    pub(crate) shown: LevelBox,
    /// What is best kept for it: to the faces of blocks along the picture.
    pub(crate) kept: LevelBox,
    /// The axis (z, y, x) that it is perpendicular to; `None` for an oblique plane or a slab.
    pub(crate) axis: Option<usize>,
}

/// What a slice needs of a pyramid; `None` where the working level is fine enough or the plane misses the volume.
///
/// A level is taken whose part has no side above `limit` and at most `most_bytes`: of blocks, where it is a section, since
/// their whole depth is read; else on the device.
pub(crate) fn for_slice(
    scene: &SliceScene,
    world_from_working: DAffine3,
    pyramid: &Pyramid,
    (limit, most_bytes): (u32, u64),
) -> Option<SliceNeed> {
    let map = |level: usize| world_from_working * pyramid.working_from_level(level);
    let setup = |level: usize| SliceSetup::new(scene, map(level));
    let is_plane = setup(pyramid.working()).n_samples == 1;
    let axis = super::setup::aligned_axis(world_from_working, scene).filter(|_| is_plane).map(|xyz| 2 - xyz);
    let wanted = level_for(pyramid, |level| {
        let setup = setup(level);
        [setup.du, setup.dv]
    });
    for level in wanted..pyramid.working() {
        let setup = setup(level);
        let [w, h] = scene.size_px.map(f64::from);
        let (mut low, mut high) = (DVec3::INFINITY, DVec3::NEG_INFINITY);
        let through = setup.dw * f64::from(setup.n_samples - 1);
        for corner in [setup.at(0.0, 0.0), setup.at(w, 0.0), setup.at(0.0, h), setup.at(w, h)] {
            low = low.min(corner).min(corner + through);
            high = high.max(corner).max(corner + through);
        }
        // Two voxels around for the cubic, and none across a section.
        let mut shown = LevelBox::around(pyramid, level, (low, high), 2.0)?;
        let mut kept = shown.in_whole_blocks(pyramid);
        if let Some(axis) = axis {
            let section = setup.origin[2 - axis];
            let n = pyramid.levels()[level].shape[axis];
            if section < 0.0 || section >= n as f64 {
                return None;
            }
            for part in [&mut shown, &mut kept] {
                (part.low[axis], part.dims[axis]) = (section as usize, 1);
            }
        }
        let fits = |part: &LevelBox| {
            let bytes = match axis {
                Some(_) => pyramid.bytes_of(&pyramid.blocks_of(level, part.low, part.dims)),
                None => part.bytes(),
            };
            bytes <= most_bytes && part.dims.iter().all(|n| *n <= limit as usize)
        };
        if fits(&kept) {
            return Some(SliceNeed { shown, kept, axis });
        }
        if fits(&shown) {
            return Some(SliceNeed { shown, kept: shown, axis });
        }
    }
    None
}

/// What a 3-D view needs of a pyramid: all that its rays meet. `None` where the working level is fine enough.
pub(crate) fn for_volume(
    scene: &VolumeScene,
    shape_of_working: [usize; 3],
    pyramid: &Pyramid,
    (limit, most_bytes): (u32, u64),
) -> Option<LevelBox> {
    // In perspective the nearest point that matters is nearer than the target; the level is for the target.
    let um_per_px = 2.0 * scene.camera.distance_um * (scene.camera.fov_y_rad * 0.5).tan()
        / f64::from(scene.size_px[1].max(1));
    let level_from_world =
        |level: usize| (scene.world_from_voxel * pyramid.working_from_level(level)).inverse();
    let wanted = level_for(pyramid, |level| {
        let map = level_from_world(level);
        let steps = [scene.camera.right(), scene.camera.down(), scene.camera.forward()]
            .map(|axis| map.transform_vector3(axis * um_per_px).abs());
        // Turned as it may be, an edge of a voxel is seen in full.
        [steps[0].max(steps[1]).max(steps[2]); 2]
    });
    let (low, high) = visible(scene, shape_of_working)?;
    let margin = (high - low) * 0.02;
    (wanted..pyramid.working()).find_map(|level| {
        let map = pyramid.working_from_level(level).inverse();
        let (a, b) = (map.transform_point3(low - margin), map.transform_point3(high + margin));
        let part = LevelBox::around(pyramid, level, (a, b), 2.0)?;
        (part.bytes() <= most_bytes && part.dims.iter().all(|n| *n <= limit as usize)).then_some(part)
    })
}

/// The box (x, y, z in voxels of the working level) around all that the rays of a scene meet.
fn visible(scene: &VolumeScene, shape_zyx: [usize; 3]) -> Option<(DVec3, DVec3)> {
    const RAYS: usize = 16;
    let setup = MarchSetup::new(scene, scene.world_from_voxel, shape_zyx, [1; 3]);
    let (mut low, mut high) = (DVec3::INFINITY, DVec3::NEG_INFINITY);
    let mut add = |p: DVec3| {
        low = low.min(p);
        high = high.max(p);
    };
    let place = |i: usize| 2.0 * i as f64 / RAYS as f64 - 1.0;
    for i in 0..=RAYS {
        for j in 0..=RAYS {
            let (origin, direction) = setup.ray(place(i), place(j));
            let (enter, leave) = setup.span(origin, direction);
            if enter < leave {
                add(origin + direction * enter);
                add(origin + direction * leave);
            }
        }
    }
    // Between the rays only a corner of the volume can stick out by more than the margin.
    for corner in 0..8 {
        let pick = |axis: usize| if corner >> axis & 1 == 0 { setup.low[axis] } else { setup.high[axis] };
        let p = DVec3::new(pick(0), pick(1), pick(2));
        let world_um = scene.world_from_voxel.transform_point3(p);
        let ahead = world_um - scene.camera.eye_um();
        let depth = match scene.camera.projection {
            Projection::Perspective => ahead.dot(scene.camera.forward()),
            Projection::Orthographic => scene.camera.distance_um,
        };
        let (x, y) = (
            ahead.dot(scene.camera.right()) / (depth * setup.half[0]),
            ahead.dot(scene.camera.down()) / (depth * setup.half[1]),
        );
        if depth > 0.0 && x.abs() <= 1.0 && y.abs() <= 1.0 {
            add(p);
        }
    }
    low.is_finite().then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::scene::Plane;
    use crate::volume::BlockCache;
    use crate::volume::pyramid::tests::Computed;
    use std::sync::Arc;

    fn pyramid() -> (Arc<Pyramid>, DAffine3, [usize; 3]) {
        let (pyramid, working) =
            Computed::new([512; 3], 4, 64).pyramid(3, &Arc::new(BlockCache::new(1 << 20)));
        (pyramid, working.world_from_voxel().0, working.shape())
    }

    /// A slice of `um_per_px` with its centre in the middle of the volume.
    fn slice(um_per_px: f64, size_px: [u32; 2]) -> SliceScene {
        SliceScene {
            um_per_px,
            center_um: DVec3::splat(25.55),
            size_px,
            ..SliceScene::fitted(Plane::Xy, (DVec3::ZERO, DVec3::splat(51.2)), size_px)
        }
    }

    #[test]
    fn a_slice_takes_the_coarsest_level_that_a_pixel_cannot_tell_from_the_finest() {
        let (pyramid, map, _) = pyramid();
        let room = (2048, 1 << 30);
        let level =
            |um_per_px| for_slice(&slice(um_per_px, [200, 100]), map, &pyramid, room).map(|n| n.shown.level);
        assert_eq!(level(0.01), Some(0), "magnified");
        assert_eq!(level(0.1), Some(0), "a voxel a pixel");
        assert_eq!(level(0.2), Some(1));
        assert_eq!(level(0.5), Some(2));
        assert_eq!(level(1.0), None, "the working level is fine enough");
        let need = for_slice(&slice(0.1, [200, 100]), map, &pyramid, room).unwrap();
        assert_eq!(need.axis, Some(0));
        assert_eq!((need.shown.low[0], need.shown.dims[0]), (255, 1), "the section at 25.55 µm");
        assert!(need.kept.holds(&need.shown));
        // 200 × 100 pixels of a voxel each, two around, to the faces of blocks of 64.
        assert_eq!((need.shown.dims[1], need.shown.dims[2]), (106, 206));
        assert_eq!((need.kept.low[1], need.kept.dims[1]), (192, 128));
        // With no room for it the next level is taken.
        let need = for_slice(&slice(0.1, [200, 100]), map, &pyramid, (120, 1 << 30)).unwrap();
        assert_eq!(need.shown.level, 1);
    }

    #[test]
    fn a_view_of_a_corner_takes_less_and_finer_than_one_of_the_whole() {
        let (pyramid, map, shape) = pyramid();
        let room = (2048, 60 << 20);
        let mut scene = VolumeScene::new(1, map, shape, [1000, 1000]);
        let whole = for_volume(&scene, shape, &pyramid, room).unwrap();
        assert_eq!((whole.level, whole.dims), (1, [256; 3]), "34 MB; the finest would be 268");
        scene.camera.distance_um /= 8.0;
        let near = for_volume(&scene, shape, &pyramid, room).unwrap();
        assert_eq!(near.level, 0);
        assert!(near.bytes() <= 60 << 20 && near.dims[0] > 400, "{near:?}: the view goes through all depths");
        scene.size_px = [60, 60];
        scene.camera.distance_um *= 8.0;
        assert_eq!(
            for_volume(&scene, shape, &pyramid, room),
            None,
            "few pixels need no more than the working level"
        );
    }

    #[test]
    fn everything_that_a_ray_meets_lies_in_the_box() {
        let (pyramid, map, shape) = pyramid();
        let mut scene = VolumeScene::new(1, map, shape, [300, 200]);
        for (turn, nearer) in [(0.3, 2.0), (1.1, 4.0), (2.5, 7.0), (4.0, 3.0)] {
            scene.camera = crate::render::OrbitCamera::fitted((DVec3::ZERO, DVec3::splat(51.2)));
            scene.camera.rotation =
                glam::DQuat::from_rotation_y(turn) * glam::DQuat::from_rotation_x(turn * 0.4);
            scene.camera.distance_um /= nearer;
            let part = for_volume(&scene, shape, &pyramid, (2048, 1 << 40)).unwrap();
            let to_box = (map * part.working_from_box(&pyramid)).inverse() * map;
            let setup = MarchSetup::new(&scene, map, shape, [1; 3]);
            let high = DVec3::new(part.dims[2] as f64, part.dims[1] as f64, part.dims[0] as f64);
            for i in 0..=97 {
                for j in 0..=89 {
                    let (origin, direction) = setup.ray(f64::from(i) / 48.5 - 1.0, f64::from(j) / 44.5 - 1.0);
                    let (enter, leave) = setup.span(origin, direction);
                    for t in [enter, leave].into_iter().filter(|_| enter < leave) {
                        // Faces of voxels lie half a voxel beyond their centres.
                        let p = to_box.transform_point3(origin + direction * t);
                        assert!(
                            p.cmpge(DVec3::splat(-0.51)).all() && p.cmple(high - 0.49).all(),
                            "{p} {part:?}"
                        );
                    }
                }
            }
        }
    }
}
