//! Pyramids on the device: the picture of the blocks that are needed is the picture of the whole.

use std::sync::Arc;

use glam::{DAffine3, DQuat, DVec3};
use ndarray::{Array3, s};

use super::cpu::{self, Sources};
use super::parity_tests::psnr;
use super::pipelines::OFFSCREEN;
use super::renderer::Renderer;
use super::scene::{
    ImageLayer, Interpolation, Plane, SlabMode, SliceLayer, SliceScene, VolumeMode, VolumeScene, bounds_um,
};
use crate::base::{Progress, Unit};
use crate::gpu::{DeviceChoice, Gpu};
use crate::volume::{AnyArray, BlockCache, BlockSource, Pyramid, PyramidLevel, Volume};

const SIZE: [u32; 2] = [160, 120];
const BLOCK: usize = 16;

/// Levels held as arrays, each the mean of 2³ voxels of the one before.
#[derive(Debug)]
struct Levels(Vec<Array3<f32>>);

impl BlockSource for Levels {
    fn read(&self, level: usize, low: [usize; 3], n: [usize; 3]) -> Result<AnyArray, String> {
        let [z, y, x] = low;
        let part = self.0[level].slice(s![z..z + n[0], y..y + n[1], x..x + n[2]]);
        Ok(AnyArray::F32(part.to_owned()))
    }

    fn value_bytes(&self) -> u64 {
        4
    }
}

/// Fine waves, so that a coarser level is seen to be one.
fn fine(shape: [usize; 3]) -> Volume<f32> {
    let data = Array3::from_shape_fn(shape, |(z, y, x)| {
        let (z, y, x) = (z as f32, y as f32, x as f32);
        let ball = ((z - 40.0).powi(2) + (y - 44.0).powi(2) + (x - 48.0).powi(2)).sqrt();
        let detail = 0.1 * (x * 1.3).sin() * (y * 1.1 + z * 0.9).cos();
        (0.5 - ball / 100.0).max(0.0) + detail
    });
    Volume { origin_um: [1.0, 2.0, 3.0], ..Volume::new(data, Some([0.05; 3]), Unit::PerUm) }
}

/// The finest volume, its pyramid, the working level.
fn pyramid(n_levels: usize, cache_bytes: u64) -> (Arc<Volume<f32>>, Arc<Pyramid>, Arc<Volume<f32>>) {
    let finest = fine([80, 88, 96]);
    let mut arrays = vec![finest.data.clone()];
    for _ in 1..n_levels {
        let of = &arrays[arrays.len() - 1];
        let (z, y, x) = of.dim();
        arrays.push(Array3::from_shape_fn((z / 2, y / 2, x / 2), |(z, y, x)| {
            of.slice(s![2 * z..2 * z + 2, 2 * y..2 * y + 2, 2 * x..2 * x + 2]).mean().unwrap()
        }));
    }
    let levels: Vec<PyramidLevel> = arrays
        .iter()
        .enumerate()
        .map(|(level, array)| {
            let factor = f64::from(1u32 << level);
            let (z, y, x) = array.dim();
            let offset = finest.origin_um.map(|o| o + 0.05 * (factor - 1.0) / 2.0);
            PyramidLevel { shape: [z, y, x], block: [BLOCK; 3], scale: [0.05 * factor; 3], offset }
        })
        .collect();
    let at = &levels[n_levels - 1];
    let mut working = Volume::new(arrays[n_levels - 1].clone(), Some(at.scale), Unit::PerUm);
    working.origin_um = at.offset;
    let cache = Arc::new(BlockCache::new(cache_bytes));
    let pyramid = Pyramid::new(levels, n_levels - 1, Box::new(Levels(arrays)), cache).unwrap();
    (Arc::new(finest), Arc::new(pyramid), Arc::new(working))
}

fn renderer(pyramid: &Arc<Pyramid>, working: &Arc<Volume<f32>>) -> Option<Renderer> {
    let mut renderer = Renderer::new(Gpu::headless(DeviceChoice::Auto).ok()?, OFFSCREEN);
    renderer.set_volume(1, 1, working);
    renderer.set_pyramid(1, pyramid);
    Some(renderer)
}

fn slice_of(map: DAffine3, shape: [usize; 3], plane: Plane, zoom: f64) -> SliceScene {
    let mut scene = SliceScene::fitted(plane, bounds_um(map, shape), SIZE);
    scene.um_per_px /= zoom;
    let mut layer = ImageLayer::new(1, map, [0.0, 0.6]);
    layer.interpolation = Interpolation::Linear;
    scene.layers = vec![SliceLayer::Image(layer)];
    scene
}

#[test]
fn a_slice_of_a_pyramid_is_the_slice_of_the_finest_level_where_pixels_need_it() {
    let (finest, pyramid, working) = pyramid(3, 1 << 28);
    let Some(mut renderer) = renderer(&pyramid, &working) else { return };
    let oblique = Plane::Oblique { right: DVec3::new(0.8, 0.6, 0.0), down: DVec3::new(-0.36, 0.48, 0.8) };
    let slab = Some((SlabMode::Max, 0.4));
    for (plane, slab) in
        [(Plane::Xy, None), (Plane::Xz, None), (Plane::Yz, None), (oblique, None), (Plane::Xy, slab)]
    {
        let mut scene = slice_of(working.world_from_voxel().0, working.shape(), plane, 3.0);
        scene.slab = slab;
        let mut last = renderer.prepare_slice(1, &scene);
        while last.needs_repaint {
            last = renderer.prepare_slice(1, &scene);
        }
        assert_eq!(last.binning, 1, "{plane:?} {slab:?}: the finest level");
        let found = renderer.slice_screen(1, SIZE);
        let reference = SliceScene {
            layers: slice_of(finest.world_from_voxel().0, finest.shape(), plane, 3.0).layers,
            ..scene.clone()
        };
        let volumes = [(1, Arc::clone(&finest))].into_iter().collect();
        let sources = Sources { volumes, ..Sources::default() };
        let expected = cpu::slice(&Progress::new(), &sources, &reference).unwrap();
        let db = psnr(&found, &expected);
        assert!(db > 50.0, "{plane:?} {slab:?}: {db} dB");
        // The working level alone is another picture: the test would see a failure.
        let volumes = [(1, Arc::clone(&working))].into_iter().collect();
        let coarse =
            cpu::slice(&Progress::new(), &Sources { volumes, ..Sources::default() }, &scene).unwrap();
        assert!(psnr(&coarse, &expected) < 40.0);
    }
    // Few pixels: a coarser level, and the status says which.
    let scene = slice_of(working.world_from_voxel().0, working.shape(), Plane::Xy, 0.4);
    let mut status = renderer.prepare_slice(1, &scene);
    while status.needs_repaint {
        status = renderer.prepare_slice(1, &scene);
    }
    assert_eq!(status.binning, 2);
}

#[test]
fn a_near_3d_view_of_a_pyramid_is_that_of_the_finest_level() {
    let (finest, pyramid, working) = pyramid(3, 1 << 28);
    let Some(mut renderer) = renderer(&pyramid, &working) else { return };
    for (mode, zoom) in [(VolumeMode::Composite, 3.0), (VolumeMode::Mip, 4.0), (VolumeMode::Iso, 3.0)] {
        let mut scene = VolumeScene::new(1, working.world_from_voxel().0, working.shape(), SIZE);
        scene.camera.rotation = DQuat::from_rotation_y(0.5) * DQuat::from_rotation_x(0.3);
        scene.camera.distance_um /= zoom;
        (scene.mode, scene.window, scene.iso_value, scene.jitter) = (mode, [0.0, 0.6], 0.42, false);
        scene.depth_cue = 0.5;
        let mut status = renderer.prepare_volume(1, &scene);
        while status.needs_repaint {
            status = renderer.prepare_volume(1, &scene);
        }
        assert_eq!(status.binning, 1, "{mode:?}");
        let found = renderer.screen(1, SIZE);
        let reference = VolumeScene { world_from_voxel: finest.world_from_voxel().0, ..scene.clone() };
        let volumes = [(1, Arc::clone(&finest))].into_iter().collect();
        let expected =
            cpu::volume(&Progress::new(), &Sources { volumes, ..Sources::default() }, &reference).unwrap();
        let db = psnr(&found, &expected);
        assert!(db > 40.0, "{mode:?}: {db} dB");
    }
}

#[test]
fn a_small_cache_is_held_to_and_the_picture_still_comes() {
    // Room for 160 of the 5 × 6 × 6 blocks of the finest level.
    let bytes = 160 * (BLOCK as u64).pow(3) * 4;
    let (_, pyramid, working) = pyramid(2, bytes);
    let Some(mut renderer) = renderer(&pyramid, &working) else { return };
    let mut scene = slice_of(working.world_from_voxel().0, working.shape(), Plane::Xy, 1.2);
    for step in 0..24 {
        scene.center_um.z = 1.0 + f64::from(step) * 0.17;
        while renderer.prepare_slice(1, &scene).needs_repaint {
            assert!(pyramid.cache().bytes() <= bytes);
        }
    }
    assert!(pyramid.cache().arrivals() > 160, "more came than there is room for");
}

#[test]
fn eight_volumes_keep_to_the_budgets_of_device_and_processor() {
    // Each is 1.4 MB on the device when whole, 2.7 MB in blocks: no more than three fit at once.
    let (on_device, in_blocks) = (5 << 20, 8 << 20);
    let (_, first, working) = pyramid(2, in_blocks);
    let Some(mut renderer) = renderer(&first, &working) else { return };
    renderer.set_budget(on_device);
    let levels = first.levels().to_vec();
    for id in 2..=8 {
        // Fresh data of the same kind, in the same cache.
        let (_, other, working) = pyramid(2, 1);
        let arrays = (0..2)
            .map(|level| other.read_box(level, [0; 3], other.levels()[level].shape).unwrap().into_f32())
            .collect();
        let shared = Arc::clone(first.cache());
        let shared = Pyramid::new(levels.clone(), 1, Box::new(Levels(arrays)), shared).unwrap();
        renderer.set_volume(id, 1, &working);
        renderer.set_pyramid(id, &Arc::new(shared));
    }
    let map = working.world_from_voxel().0;
    // All of them, and the first two again.
    for id in (1..=8).chain(1..=2) {
        let mut scene = VolumeScene::new(id, map, working.shape(), [40, 30]);
        scene.camera.distance_um /= 12.0;
        let mut slice = slice_of(map, working.shape(), Plane::Xz, 1.2);
        if let [SliceLayer::Image(layer)] = slice.layers.as_mut_slice() {
            layer.volume = id;
        }
        let (mut frames, mut needs) = (0, true);
        while needs || frames < 12 {
            needs = renderer.prepare_volume(1, &scene).needs_repaint;
            needs |= renderer.prepare_slice(2, &slice).needs_repaint;
            frames += 1;
            assert!(renderer.gpu_bytes() <= on_device, "{} at {id}", renderer.gpu_bytes());
            assert!(first.cache().bytes() <= in_blocks, "{}", first.cache().bytes());
        }
    }
}
