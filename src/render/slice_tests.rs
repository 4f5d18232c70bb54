//! Slices by the device against the processor: slabs, cubic interpolation, two layers compared.

use std::sync::Arc;

use glam::DVec3;
use image::RgbaImage;
use ndarray::Array3;

use super::cpu::{self, Sources};
use super::pipelines::OFFSCREEN;
use super::renderer::Renderer;
use super::scene::{
    ImageLayer, Interpolation, PixelMask, Plane, SlabMode, SliceLayer, SliceScene, bounds_um,
};
use crate::base::{Progress, Unit, WorldFromVoxel};
use crate::gpu::{DeviceChoice, Gpu};
use crate::volume::Volume;

const SIZE: [u32; 2] = [96, 72];

/// A volume of smooth waves with voxels of unequal edges.
fn waves(shape: [usize; 3], voxel_um: [f64; 3]) -> Volume<f32> {
    let data = Array3::from_shape_fn(shape, |(z, y, x)| {
        let (z, y, x) = (z as f32, y as f32, x as f32);
        0.4 + 0.15 * (x * 0.55).sin() + 0.12 * (y * 0.4 + z * 0.3).cos() + 0.08 * (z * 0.7).sin()
    });
    Volume::new(data, Some(voxel_um), Unit::PerUm)
}

fn layer(volume: &Volume<f32>, interpolation: Interpolation) -> ImageLayer {
    let mut layer = ImageLayer::new(1, volume.world_from_voxel().0, [0.0, 0.8]);
    layer.interpolation = interpolation;
    layer
}

fn scene(volume: &Volume<f32>, plane: Plane, layers: Vec<ImageLayer>) -> SliceScene {
    let bounds = bounds_um(volume.world_from_voxel().0, volume.shape());
    let mut scene = SliceScene::fitted(plane, bounds, SIZE);
    scene.layers = layers.into_iter().map(SliceLayer::Image).collect();
    // Off the centres of voxels.
    scene.center_um += DVec3::new(0.013, 0.021, 0.017);
    scene
}

fn oblique() -> Plane {
    let right = DVec3::new(1.0, 0.4, 0.3).normalize();
    let down = DVec3::new(-0.2, 1.0, 0.5);
    Plane::Oblique { right, down: (down - right * right.dot(down)).normalize() }
}

/// The picture that the device makes.
fn drawn(renderer: &mut Renderer, scene: &SliceScene) -> RgbaImage {
    while renderer.prepare_slice(1, scene).needs_repaint {}
    renderer.slice_screen(1, SIZE)
}

fn reference(volumes: &[(u64, Arc<Volume<f32>>)], scene: &SliceScene) -> RgbaImage {
    let volumes = volumes.iter().cloned().collect();
    cpu::slice(&Progress::new(), &Sources { volumes, ..Sources::default() }, scene).unwrap()
}

/// Share of pixels that are more than `levels` apart in any channel.
fn apart(a: &RgbaImage, b: &RgbaImage, levels: u8) -> f64 {
    let differs = |(a, b): (&image::Rgba<u8>, &image::Rgba<u8>)| {
        a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > levels)
    };
    a.pixels().zip(b.pixels()).filter(|pair| differs(*pair)).count() as f64 / f64::from(SIZE[0] * SIZE[1])
}

#[test]
fn device_and_processor_agree_on_slabs_cubic_values_and_comparisons() {
    let Ok(gpu) = Gpu::headless(DeviceChoice::Auto) else { return };
    let first = Arc::new(waves([20, 28, 36], [0.05, 0.04, 0.03]));
    // Another grid, turned and shifted in the world.
    let second = Arc::new(waves([16, 16, 16], [0.07, 0.07, 0.07]));
    let volumes = [(1, Arc::clone(&first)), (2, Arc::clone(&second))];
    let mut renderer = Renderer::new(gpu, OFFSCREEN);
    for (id, volume) in &volumes {
        renderer.set_volume(*id, 1, volume);
    }
    let mut scenes = Vec::new();
    for plane in [Plane::Xy, Plane::Xz, Plane::Yz, oblique()] {
        for interpolation in [Interpolation::Nearest, Interpolation::Linear, Interpolation::Cubic] {
            for slab in [None, Some(SlabMode::Mean), Some(SlabMode::Max), Some(SlabMode::Min)] {
                let mut scene = scene(&first, plane, vec![layer(&first, interpolation)]);
                scene.slab = slab.map(|mode| (mode, 0.31));
                scenes.push(scene);
            }
        }
    }
    for mask in [PixelMask::LeftOf(40.0), PixelMask::EvenSquares(13.0)] {
        let mut below = layer(&first, Interpolation::Linear);
        let turned = glam::DAffine3::from_rotation_z(0.3) * second.world_from_voxel().0;
        let mut above = ImageLayer::new(2, turned, [0.1, 0.9]);
        above.color_map = super::ColorMap::Magma;
        (below.mask, above.mask) = (Some(mask), Some(mask.complement()));
        scenes.push(scene(&first, Plane::Xy, vec![below, above]));
    }
    for scene in &scenes {
        let (device, processor) = (drawn(&mut renderer, scene), reference(&volumes, scene));
        // Stored values have 11 bits: two grey levels. Places at the border of two voxels fall to either side in f32.
        let share = apart(&device, &processor, 2);
        assert!(share < 0.01, "{share:.4} of the pixels differ: {:?} {:?}", scene.plane, scene.slab);
    }
}

#[test]
fn a_slab_gathers_what_lies_within_its_thickness() {
    // One bright section at z = 10 of 20, voxels of 50 nm.
    let data = Array3::from_shape_fn((20, 8, 8), |(z, _, _)| if z == 10 { 1.0 } else { 0.0 });
    let volume = Arc::new(Volume::new(data, Some([0.05; 3]), Unit::PerUm));
    let grey = |mode, thickness_um: f64, z: f64| {
        let mut image = ImageLayer::new(1, WorldFromVoxel::from_spacing([0.05; 3], [0.0; 3]).0, [0.0, 1.0]);
        image.interpolation = Interpolation::Nearest;
        let mut scene = scene(&volume, Plane::Xy, vec![image]);
        scene.center_um = DVec3::new(0.175, 0.175, z * 0.05);
        scene.slab = Some((mode, thickness_um));
        reference(&[(1, Arc::clone(&volume))], &scene).get_pixel(SIZE[0] / 2, SIZE[1] / 2).0[0]
    };
    // Five sections of 50 nm, one of them bright: a fifth of 255.
    assert_eq!(grey(SlabMode::Mean, 0.25, 10.0), 51);
    assert_eq!(grey(SlabMode::Max, 0.25, 12.0), 255);
    assert_eq!(grey(SlabMode::Max, 0.25, 13.0), 0, "three sections away is outside a slab of five");
    assert_eq!(grey(SlabMode::Min, 0.25, 10.0), 0);
}

#[test]
fn cubic_goes_through_the_voxels_and_keeps_straight_lines() {
    let ramp = Array3::from_shape_fn((6, 7, 9), |(z, y, x)| (x + 2 * y + 3 * z) as f32);
    let volume = Arc::new(Volume::new(ramp, None, Unit::Arbitrary));
    let value = |at: DVec3| {
        let mut image = ImageLayer::new(1, glam::DAffine3::IDENTITY, [0.0, 51.0]);
        image.interpolation = Interpolation::Cubic;
        // A plane across the axes samples where it is asked to, not at the nearest centre.
        let mut scene = scene(&volume, oblique(), vec![image]);
        scene.um_per_px = 1e-9;
        scene.center_um = at;
        f64::from(reference(&[(1, Arc::clone(&volume))], &scene).get_pixel(48, 36).0[0]) / 5.0
    };
    for (at, wanted) in [([4.0, 3.0, 2.0], 16.0), ([4.5, 3.0, 2.0], 16.5), ([3.2, 2.4, 3.4], 18.2)] {
        let found = value(DVec3::from_array(at));
        // 255 levels for 51 units: half a level is 0.1.
        assert!((found - wanted).abs() <= 0.101, "{found} at {at:?}, {wanted} expected");
    }
}

#[test]
fn masks_share_the_picture_between_two_layers() {
    for mask in [PixelMask::LeftOf(10.3), PixelMask::RightOf(4.0), PixelMask::EvenSquares(7.0)] {
        for y in 0..20 {
            for x in 0..20 {
                let (x, y) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
                assert_ne!(mask.shows(x, y), mask.complement().shows(x, y), "{mask:?} at {x}, {y}");
            }
        }
    }
}
