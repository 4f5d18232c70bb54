//! One layer of a slice as numbers for the shader (slice.wgsl).

use glam::{DAffine3, DMat3, DVec3};

use super::scene::{Blend, ImageLayer, Interpolation, LabelLayer, SlabMode, SliceScene};
use super::setup::{SliceSetup, aligned_axis, texel_from_voxel};
use super::texture::{Scale, turned};

/// Uniform of slice.wgsl, 15 vectors. Keep in sync with `Slice` there.
pub(crate) type SliceUniform = [[f32; 4]; 15];

pub(crate) fn vec4(v: DVec3, w: f32) -> [f32; 4] {
    [v.x as f32, v.y as f32, v.z as f32, w]
}

/// What of the data a layer needs in this scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// One section along an axis (0, 1, 2 for z, y, x).
    Section { axis: usize, section: usize },
    /// The whole volume: an oblique plane or a thick slab.
    Whole,
    /// Nothing: the plane misses the volume.
    Nothing,
}

/// What a layer of `shape_zyx` voxels needs.
pub(crate) fn need(scene: &SliceScene, world_from_voxel: DAffine3, shape_zyx: [usize; 3]) -> Need {
    let setup = SliceSetup::new(scene, world_from_voxel);
    if shape_zyx.contains(&0) {
        return Need::Nothing;
    }
    let Some(axis_xyz) = aligned_axis(world_from_voxel, scene).filter(|_| setup.n_samples == 1) else {
        return Need::Whole;
    };
    let section = setup.origin[axis_xyz];
    let axis = 2 - axis_xyz;
    if section < 0.0 || section >= shape_zyx[axis] as f64 {
        return Need::Nothing;
    }
    Need::Section { axis, section: section as usize }
}

/// Which texture is bound: its binning and the first voxel along z, y, x.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) factor: [usize; 3],
    pub(crate) first: [usize; 3],
    /// Whether y and x have changed places on the device, see [`super::texture::turned`].
    pub(crate) is_turned: bool,
}

impl Bound {
    /// All of a volume at a binning.
    pub(crate) fn whole(factor: [usize; 3]) -> Self {
        Self { factor, first: [0; 3], is_turned: false }
    }
}

fn geometry(
    scene: &SliceScene,
    world_from_voxel: DAffine3,
    shape_zyx: [usize; 3],
    bound: Bound,
    offset_px: [u32; 2],
) -> SliceUniform {
    let (mut world_from_voxel, mut sizes) = (world_from_voxel, [shape_zyx, bound.factor, bound.first]);
    if bound.is_turned {
        world_from_voxel *= DAffine3::from_mat3(DMat3::from_cols(DVec3::Y, DVec3::X, DVec3::Z));
        sizes = sizes.map(turned);
    }
    let [shape_zyx, factor, first] = sizes;
    let setup = SliceSetup::new(scene, world_from_voxel);
    let to_texel = texel_from_voxel(factor);
    let [nz, ny, nx] = shape_zyx.map(|n| n as f64);
    let [fz, fy, fx] = first.map(|n| n as f64);
    let mut u = SliceUniform::default();
    u[0] = vec4(to_texel.transform_point3(setup.origin), 0.0);
    u[1] = vec4(to_texel.transform_vector3(setup.du), 0.0);
    u[2] = vec4(to_texel.transform_vector3(setup.dv), 0.0);
    u[3] = vec4(to_texel.transform_vector3(setup.dw), setup.n_samples as f32);
    u[4] = vec4(to_texel.transform_point3(DVec3::splat(-0.5)), 0.0);
    u[5] = vec4(to_texel.transform_point3(DVec3::new(nx, ny, nz) - 0.5), 0.0);
    u[6] = vec4(DVec3::new(fx, fy, fz), 0.0);
    let [w, h] = scene.size_px.map(|n| n as f32);
    u[7] = [w, h, offset_px[0] as f32, offset_px[1] as f32];
    u
}

/// Numbers of the background.
pub(crate) fn background_uniform(scene: &SliceScene, is_srgb: bool) -> SliceUniform {
    let mut u = SliceUniform::default();
    u[9][3] = f32::from(u8::from(is_srgb));
    u[13] = scene.background;
    u
}

/// Numbers of an image layer.
pub(crate) fn image_uniform(
    scene: &SliceScene,
    layer: &ImageLayer,
    shape_zyx: [usize; 3],
    bound: Bound,
    scale: Scale,
    is_srgb: bool,
) -> SliceUniform {
    let mut u = geometry(scene, layer.world_from_voxel, shape_zyx, bound, [0, 0]);
    let flag = |on: bool| f32::from(u8::from(on));
    u[8] = [scale.mul, scale.add, layer.window[0], inverse_width(layer.window)];
    u[9] = [
        layer.opacity.clamp(0.0, 1.0),
        flag(layer.blend == Blend::Additive),
        match layer.interpolation {
            Interpolation::Nearest => 0.0,
            Interpolation::Linear => 1.0,
            Interpolation::Cubic => 2.0,
        },
        flag(is_srgb),
    ];
    let mode = match scene.slab {
        None | Some((SlabMode::Mean, _)) => 0.0,
        Some((SlabMode::Max, _)) => 1.0,
        Some((SlabMode::Min, _)) => 2.0,
    };
    u[10] = [0.0, 0.0, 0.0, mode];
    if let Some(highlight) = layer.highlight {
        let [r, g, b] = highlight.rgb;
        u[10] = [highlight.range[0], highlight.range[1], highlight.strength.clamp(0.0, 1.0), mode];
        u[11] = [r, g, b, 1.0];
    }
    if let Some([kind, length]) = layer.mask.map(super::scene::PixelMask::code) {
        u[14] = [kind, length, 0.0, 0.0];
    }
    u
}

/// Numbers of a label layer. Labels are never gathered over a slab: the plane in its middle is shown.
pub(crate) fn label_uniform(
    scene: &SliceScene,
    layer: &LabelLayer,
    shape_zyx: [usize; 3],
    bound: Bound,
    is_srgb: bool,
) -> SliceUniform {
    let plane = SliceScene { slab: None, layers: Vec::new(), ..scene.clone() };
    let mut u = geometry(&plane, layer.world_from_voxel, shape_zyx, bound, [0, 0]);
    u[9] = [1.0, 0.0, 0.0, f32::from(u8::from(is_srgb))];
    u[12] = [
        layer.fill_opacity.clamp(0.0, 1.0),
        layer.outline_px.clamp(0.0, 8.0),
        layer.outline_opacity.clamp(0.0, 1.0),
        0.0,
    ];
    u
}

/// 1 / width of a window; a window without width is a step at its value.
pub(crate) fn inverse_width([low, high]: [f32; 2]) -> f32 {
    let width = high - low;
    if width > 1e-30 { 1.0 / width } else { 1e30 }
}
