//! From scenes to numbers: the geometry that the device and the processor share.
//!
//! All of it is f64 until it is handed to a shader, so far-away origins cost no precision.
//! "Texel" space counts the voxels of what is sampled (a volume, or its binned level), with
//! centres at whole numbers, as voxel index space does.

use glam::{DAffine3, DMat3, DVec3, DVec4};

use super::camera::Projection;
use super::scene::{MOST_CHANNELS, MOST_CUTS, SliceScene, VolumeScene, bounds_um};

/// Which axis of a volume a plane is perpendicular to, as index into x, y, z; `None` if oblique to all.
pub(crate) fn aligned_axis(world_from_voxel: DAffine3, scene: &SliceScene) -> Option<usize> {
    let voxel_from_world = world_from_voxel.matrix3.inverse();
    let (right, down) = scene.plane.right_down();
    let (u, v) = (voxel_from_world * right, voxel_from_world * down);
    let scale = u.length().max(v.length());
    (0..3).find(|axis| u[*axis].abs().max(v[*axis].abs()) < 1e-6 * scale)
}

/// Where the pixels of a slice lie in texel space: `origin + px · du + py · dv`, pixel centres at halves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SliceSetup {
    /// Texel place of the picture's upper left corner.
    pub(crate) origin: DVec3,
    /// Step per pixel to the right.
    pub(crate) du: DVec3,
    /// Step per pixel down.
    pub(crate) dv: DVec3,
    /// Step through the slab, and the number of samples; one for a plane.
    pub(crate) dw: DVec3,
    /// Number of samples through the slab.
    pub(crate) n_samples: u32,
}

impl SliceSetup {
    /// Geometry of a layer. Planes aligned with the voxels are moved to the nearest voxel centre:
    /// a slice shows what is stored, never a blend of two sections.
    pub(crate) fn new(scene: &SliceScene, world_from_voxel: DAffine3) -> Self {
        let voxel_from_world = world_from_voxel.inverse();
        let (right, down) = scene.plane.right_down();
        let du = voxel_from_world.transform_vector3(right * scene.um_per_px);
        let dv = voxel_from_world.transform_vector3(down * scene.um_per_px);
        let [w, h] = scene.size_px.map(f64::from);
        let mut origin = voxel_from_world.transform_point3(scene.center_um) - du * (w * 0.5) - dv * (h * 0.5);
        let (mut dw, mut n_samples) = (DVec3::ZERO, 1);
        if let Some((_, thickness_um)) = scene.slab.filter(|slab| slab.1 > 0.0) {
            let through = voxel_from_world.transform_vector3(scene.plane.axis() * thickness_um);
            n_samples = (through.length().ceil() as u32).clamp(1, 512);
            dw = through / f64::from(n_samples);
            origin -= dw * (f64::from(n_samples - 1) * 0.5);
        }
        let mut setup = Self { origin, du, dv, dw, n_samples };
        if let (1, Some(axis)) = (n_samples, aligned_axis(world_from_voxel, scene)) {
            setup.origin[axis] = snapped(setup.origin[axis]);
            setup.du[axis] = 0.0;
            setup.dv[axis] = 0.0;
        }
        setup
    }

    /// Texel place of a pixel centre.
    pub(crate) fn at(&self, px: f64, py: f64) -> DVec3 {
        self.origin + self.du * px + self.dv * py
    }
}

/// Nearest whole number, halves down, safe against the noise of f64 sums.
fn snapped(place: f64) -> f64 {
    (place - 1e-9).round()
}

/// A volume's rays in texel space: `origin[0] + sx · origin[1] + sy · origin[2]`, the same for
/// directions, with `sx`, `sy` from -1 to 1 over the picture (right, down).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MarchSetup {
    pub(crate) origin: [DVec3; 3],
    pub(crate) direction: [DVec3; 3],
    /// World length of a direction is `sqrt(1 + (sx half_w)² + (sy half_h)²)`, or 1 with parallel rays.
    pub(crate) half: [f64; 2],
    pub(crate) is_perspective: bool,
    /// Shortest edge of a texel, µm.
    pub(crate) voxel_um: f64,
    /// Step along the ray in world µm.
    pub(crate) dt_um: f64,
    /// What is drawn: texel box, faces of the outer voxels cut by the clip box.
    pub(crate) low: DVec3,
    pub(crate) high: DVec3,
    /// The same without the clip box.
    pub(crate) whole: (DVec3, DVec3),
    /// Planes in texel space: what stays has `xyz · p + w >= 0`.
    pub(crate) cuts: [DVec4; MOST_CUTS],
    /// Columns: right, down and forward of the camera, each 1 µm long, in texels.
    pub(crate) basis: DMat3,
    /// Distances from the eye, µm, between which things fade into the background.
    pub(crate) depth_um: [f64; 2],
    /// Turns a gradient per texel into one per µm in camera axes (right, down, forward).
    pub(crate) camera_gradient: DMat3,
    /// Texels of the labels from texels of the volume.
    pub(crate) label_from_texel: DAffine3,
    /// Texels of each channel from texels of the volume.
    pub(crate) channel_from_texel: [DAffine3; MOST_CHANNELS],
}

/// Binning level: texel index from voxel index when `factor` voxels are averaged along each axis.
pub(crate) fn texel_from_voxel(factor: [usize; 3]) -> DAffine3 {
    let [fz, fy, fx] = factor.map(|f| f as f64);
    let scale = DVec3::new(1.0 / fx, 1.0 / fy, 1.0 / fz);
    DAffine3::from_mat3_translation(DMat3::from_diagonal(scale), (scale - 1.0) * 0.5)
}

impl MarchSetup {
    /// Rays of `scene` through a volume of `shape_zyx` voxels sampled at `factor`, whose voxels lie at `world_from_voxel`.
    pub(crate) fn new(
        scene: &VolumeScene,
        world_from_voxel: DAffine3,
        shape_zyx: [usize; 3],
        factor: [usize; 3],
    ) -> Self {
        let texel_from_voxel = texel_from_voxel(factor);
        let texel_from_world = texel_from_voxel * world_from_voxel.inverse();
        let camera = &scene.camera;
        let half_h = (camera.fov_y_rad * 0.5).tan();
        let half = [half_h * scene.aspect(), half_h];
        let is_perspective = camera.projection == Projection::Perspective;
        let (right, down) = (camera.right() * half[0], camera.down() * half[1]);
        let point = |p: DVec3| texel_from_world.transform_point3(p);
        let vector = |v: DVec3| texel_from_world.transform_vector3(v);
        let eye = point(camera.eye_um());
        let (origin, direction) = if is_perspective {
            ([eye, DVec3::ZERO, DVec3::ZERO], [vector(camera.forward()), vector(right), vector(down)])
        } else {
            let d = camera.distance_um;
            ([eye, vector(right * d), vector(down * d)], [vector(camera.forward()), DVec3::ZERO, DVec3::ZERO])
        };
        let [nz, ny, nx] = shape_zyx.map(|n| n as f64);
        let mut low = texel_from_voxel.transform_point3(DVec3::splat(-0.5));
        let mut high = texel_from_voxel.transform_point3(DVec3::new(nx, ny, nz) - 0.5);
        let whole = (low, high);
        if let Some((clip_low, clip_high)) = scene.clip {
            let (a, b) = texel_box(texel_from_world, (clip_low, clip_high));
            low = low.max(a);
            high = high.min(b);
        }
        let world_from_texel = texel_from_world.inverse().matrix3;
        let voxel_um = (0..3).map(|a| world_from_texel.col(a).length()).fold(f64::INFINITY, f64::min);
        let mut cuts = [DVec4::W; MOST_CUTS];
        let world = texel_from_world.inverse();
        for (cut, plane) in cuts.iter_mut().zip(&scene.cuts) {
            let normal = world.matrix3.transpose() * plane.normal;
            *cut = normal.extend(plane.normal.dot(world.translation) - plane.offset_um);
        }
        let camera_from_world = DMat3::from_cols(camera.right(), camera.down(), camera.forward()).transpose();
        let label_from_texel = scene.labels.as_ref().map_or(DAffine3::IDENTITY, |labels| {
            labels.world_from_voxel.inverse() * texel_from_world.inverse()
        });
        let mut channel_from_texel = [DAffine3::IDENTITY; MOST_CHANNELS];
        for (map, channel) in channel_from_texel.iter_mut().zip(scene.drawn_channels()) {
            *map = channel.world_from_voxel.inverse() * world;
        }
        Self {
            channel_from_texel,
            origin,
            direction,
            half,
            is_perspective,
            voxel_um,
            dt_um: voxel_um * f64::from(scene.step_voxels.clamp(0.05, 16.0)),
            low,
            high,
            whole,
            cuts,
            basis: texel_from_world.matrix3
                * DMat3::from_cols(camera.right(), camera.down(), camera.forward()),
            depth_um: Self::depth_um(scene, world_from_voxel, shape_zyx),
            camera_gradient: camera_from_world * texel_from_world.matrix3.transpose(),
            label_from_texel,
        }
    }

    /// Distances from the eye, µm, of the near and the far side of the sphere around a volume.
    pub(crate) fn depth_um(
        scene: &VolumeScene,
        world_from_voxel: DAffine3,
        shape_zyx: [usize; 3],
    ) -> [f64; 2] {
        let (low_um, high_um) = bounds_um(world_from_voxel, shape_zyx);
        let middle_um = ((low_um + high_um) * 0.5 - scene.camera.eye_um()).dot(scene.camera.forward());
        let radius_um = (high_um - low_um).length() * 0.5;
        [(middle_um - radius_um).max(0.0), middle_um + radius_um]
    }

    /// The ray at `sx`, `sy`: origin and direction in texels, the direction per µm.
    pub(crate) fn ray(&self, sx: f64, sy: f64) -> (DVec3, DVec3) {
        let origin = self.origin[0] + self.origin[1] * sx + self.origin[2] * sy;
        let direction = self.direction[0] + self.direction[1] * sx + self.direction[2] * sy;
        (origin, direction / self.direction_um(sx, sy))
    }

    fn direction_um(&self, sx: f64, sy: f64) -> f64 {
        if !self.is_perspective {
            return 1.0;
        }
        (1.0 + (sx * self.half[0]).powi(2) + (sy * self.half[1]).powi(2)).sqrt()
    }

    /// Where a ray enters and leaves the volume, whatever is cut away; nothing in front of the eye gives entry past exit.
    pub(crate) fn whole_span(&self, origin: DVec3, direction: DVec3) -> (f64, f64) {
        crossing(self.whole, origin, direction)
    }

    /// Where a ray enters and leaves what is drawn, µm along it; nothing in front of the eye gives entry past exit.
    pub(crate) fn span(&self, origin: DVec3, direction: DVec3) -> (f64, f64) {
        let (mut enter, mut leave) = crossing((self.low, self.high), origin, direction);
        for cut in &self.cuts {
            let (at, rises) = (cut.truncate().dot(origin) + cut.w, cut.truncate().dot(direction));
            if rises > 0.0 {
                enter = enter.max(-at / rises);
            } else if rises < 0.0 {
                leave = leave.min(-at / rises);
            } else if at < 0.0 {
                leave = enter;
            }
        }
        (enter, leave)
    }
}

/// Where a ray enters and leaves a box.
fn crossing((low, high): (DVec3, DVec3), origin: DVec3, direction: DVec3) -> (f64, f64) {
    let inverse = direction.recip();
    let (a, b) = ((low - origin) * inverse, (high - origin) * inverse);
    (a.min(b).max_element().max(0.0), a.max(b).min_element())
}

fn texel_box(texel_from_world: DAffine3, (low, high): (DVec3, DVec3)) -> (DVec3, DVec3) {
    let (mut a, mut b) = (DVec3::INFINITY, DVec3::NEG_INFINITY);
    for corner in 0..8 {
        let pick = |axis: usize| if corner >> axis & 1 == 0 { low[axis] } else { high[axis] };
        let p = texel_from_world.transform_point3(DVec3::new(pick(0), pick(1), pick(2)));
        a = a.min(p);
        b = b.max(p);
    }
    (a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::WorldFromVoxel;
    use crate::render::scene::{Plane, bounds_um};

    #[test]
    fn aligned_slices_snap_to_a_stored_section_and_oblique_ones_do_not() {
        let map = WorldFromVoxel::from_spacing([0.5, 0.1, 0.1], [0.0; 3]).0;
        let mut scene = SliceScene::fitted(Plane::Xy, bounds_um(map, [8, 8, 8]), [16, 16]);
        scene.center_um.z = 1.27;
        let setup = SliceSetup::new(&scene, map);
        assert_eq!(setup.at(3.5, 9.5).z, 3.0, "1.27 µm is nearest to section 3 at 1.5 µm");
        scene.plane = Plane::Oblique { right: DVec3::X, down: DVec3::new(0.0, 0.6, 0.8) };
        assert_eq!(aligned_axis(map, &scene), None);
    }

    #[test]
    fn a_binned_level_covers_the_same_place() {
        let map = texel_from_voxel([2, 2, 4]);
        // Texel 0 along x averages voxels 0 to 3: its centre is voxel 1.5.
        let p = map.transform_point3(DVec3::new(1.5, 0.5, 2.5));
        assert!((p - DVec3::new(0.0, 0.0, 1.0)).length() < 1e-12, "{p}");
    }
}
