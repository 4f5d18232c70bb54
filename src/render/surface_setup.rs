//! Surfaces as numbers for the shader (surface.wgsl) and for the reference: places in camera axes.

use glam::{DAffine3, DMat3, DVec3, DVec4};

use super::camera::{BoxUm, Projection};
use super::scene::{MOST_CUTS, VolumeScene};
use super::slice::{inverse_width, vec4};
use super::surfaces::{SurfaceLayer, SurfaceSet};

/// Uniform of surface.wgsl, 18 vectors. Keep in sync with `Surface` there.
pub(crate) type SurfaceUniform = [[f32; 4]; 18];

/// Planes that cut: those of the scene and the faces of its clip box.
const N_PLANES: usize = MOST_CUTS + 6;
/// How far the inside of a surface is set back, in voxels: where two regions touch, the one that is entered wins.
const SET_BACK: f64 = 0.35;
/// Pixels around a picture that sheets are drawn in too, for outlines.
pub(crate) const MARGIN: u32 = 4;

/// What is the same for all pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SurfaceSetup {
    /// Camera axes (right, down, forward, µm from the eye) from the places of a set.
    pub(crate) camera_from_set: DAffine3,
    /// Half width and height of the picture at distance 1, or of the picture where rays are parallel.
    pub(crate) half: [f64; 2],
    pub(crate) is_perspective: bool,
    /// In camera axes: what stays has `xyz · p + w >= 0`.
    pub(crate) planes: [DVec4; N_PLANES],
    /// Farthest t, µm.
    pub(crate) far_um: f64,
    /// How far the inside of a surface is set back, µm.
    pub(crate) set_back_um: f64,
    /// World length of a pixel: at distance 1, or everywhere where rays are parallel.
    pub(crate) um_per_px: f64,
    /// Steps in depth up to this are no edge, µm, besides some pixels.
    pub(crate) step_um: f64,
}

impl SurfaceSetup {
    pub(crate) fn new(scene: &VolumeScene, set: &SurfaceSet) -> Self {
        let camera = &scene.camera;
        let eye = camera.eye_um();
        let axes = DMat3::from_cols(camera.right(), camera.down(), camera.forward());
        let camera_from_world = DAffine3::from_mat3_translation(axes.transpose(), -(axes.transpose() * eye));
        let is_perspective = camera.projection == Projection::Perspective;
        let reach = if is_perspective { 1.0 } else { camera.distance_um };
        let half_h = (camera.fov_y_rad * 0.5).tan() * reach;
        let mut planes = [DVec4::W; N_PLANES];
        let mut cut = |at: usize, normal: DVec3, offset_um: f64| {
            planes[at] = (axes.transpose() * normal).extend(normal.dot(eye) - offset_um);
        };
        for (at, plane) in scene.cuts.iter().take(MOST_CUTS).enumerate() {
            cut(at, plane.normal, plane.offset_um);
        }
        if let Some((low, high)) = scene.clip {
            for axis in 0..3 {
                let normal = DVec3::AXES[axis];
                cut(MOST_CUTS + 2 * axis, normal, low[axis]);
                cut(MOST_CUTS + 2 * axis + 1, -normal, -high[axis]);
            }
        }
        let (low, high) = set.bounds;
        let radius = (high - low).length() * 0.5;
        let far_um = ((low + high) * 0.5 - eye).length() + radius + set.voxel_um;
        Self {
            camera_from_set: camera_from_world * DAffine3::from_translation(set.middle_um),
            half: [half_h * scene.aspect(), half_h],
            is_perspective,
            planes,
            far_um: far_um.max(1e-9),
            set_back_um: SET_BACK * set.voxel_um,
            um_per_px: 2.0 * half_h / f64::from(scene.size_px[1].max(1)),
            step_um: 2.0 * set.voxel_um,
        }
    }

    /// Whether anything may be cut away.
    pub(crate) fn is_cut(&self) -> bool {
        self.planes.iter().any(|plane| *plane != DVec4::W)
    }

    /// Origin and direction (length 1) of a ray in camera axes, `sx` and `sy` from -1 to 1 over the picture.
    pub(crate) fn ray(&self, sx: f64, sy: f64) -> (DVec3, DVec3) {
        let side = DVec3::new(sx * self.half[0], sy * self.half[1], 0.0);
        if self.is_perspective { (DVec3::ZERO, (side + DVec3::Z).normalize()) } else { (side, DVec3::Z) }
    }

    /// Where a ray comes out from behind what is cut away, 0 where nothing is, and where it is cut off.
    pub(crate) fn span(&self, origin: DVec3, direction: DVec3) -> (f64, f64) {
        let (mut enter, mut leave) = (0.0f64, f64::INFINITY);
        for plane in &self.planes {
            let (at, rises) = (plane.truncate().dot(origin) + plane.w, plane.truncate().dot(direction));
            if rises > 0.0 {
                enter = enter.max(-at / rises);
            } else if rises < 0.0 {
                leave = leave.min(-at / rises);
            } else if at < 0.0 {
                leave = -1.0;
            }
        }
        (enter, leave)
    }

    /// Steps in depth above this, `ring` pixels aside, are an edge, for a surface at `t`. Keep in sync with volume.wgsl.
    pub(crate) fn edge_um(&self, t: f64, ring: f64) -> f64 {
        let pixel = if self.is_perspective { self.um_per_px * t } else { self.um_per_px };
        self.step_um + 6.0 * ring * pixel
    }
}

/// A map whose one voxel is a box: the frame of a scene of surfaces alone.
pub(crate) fn world_of_box((low, high): BoxUm) -> DAffine3 {
    let size = (high - low).max(DVec3::splat(1e-9));
    DAffine3::from_mat3_translation(DMat3::from_diagonal(size), (low + high) * 0.5)
}

/// Numbers of a view; `tile` is the size of the target and the place of its upper left corner in the picture.
pub(crate) fn surface_uniform(
    scene: &VolumeScene,
    layer: &SurfaceLayer,
    setup: &SurfaceSetup,
    [tile, picture]: [[u32; 2]; 2],
    corner: [f64; 2],
) -> SurfaceUniform {
    let mut u: SurfaceUniform = [[0.0; 4]; 18];
    for axis in 0..3 {
        let map = &setup.camera_from_set;
        u[axis] = vec4(map.matrix3.row(axis), map.translation[axis] as f32);
    }
    let [half_w, half_h] = setup.half.map(|v| v as f32);
    let perspective = f32::from(u8::from(setup.is_perspective));
    u[3] = [half_w, half_h, perspective, (1.0 / setup.far_um) as f32];
    let scale = |k: usize| f64::from(picture[k]) / f64::from(tile[k]);
    let shift = |k: usize| (f64::from(picture[k]) - 2.0 * corner[k]) / f64::from(tile[k]) - 1.0;
    u[4] = [scale(0), scale(1), shift(0), -shift(1)].map(|v| v as f32);
    u[5] = [picture[0] as f32, picture[1] as f32, corner[0] as f32, corner[1] as f32];
    let share = |value: f32| value.clamp(0.0, 1.0);
    u[6] = [share(scene.shading), share(layer.silhouettes), setup.set_back_um as f32, 0.0];
    u[7] = [layer.range[0], inverse_width(layer.range), 0.0, 0.0];
    for (out, plane) in u[8..].iter_mut().zip(&setup.planes) {
        *out = plane.as_vec4().to_array();
    }
    u
}
