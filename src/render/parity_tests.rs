//! The device against the processor: the same scenes drawn by both, the processor in double precision.

use std::sync::Arc;

use glam::{DAffine3, DVec2, DVec3};
use image::RgbaImage;
use ndarray::Array3;

use super::cpu::{self, Sources};
use super::pipelines::OFFSCREEN;
use super::renderer::Renderer;
use super::scene::{
    Cut, Interpolation, LabelColors, LabelLayer, Plane, SlabMode, SliceLayer, SliceScene, VolumeChannel,
    VolumeLabels, VolumeMode, VolumeScene, bounds_um,
};
use super::{ColorMap, ImageLayer};
use crate::base::{Progress, Unit, WorldFromVoxel};
use crate::gpu::{DeviceChoice, Gpu};
use crate::volume::{Labels, Volume};

const SIZE: [u32; 2] = [120, 96];
const SHAPE: [usize; 3] = [40, 44, 48];
const VOXEL_UM: f64 = 0.05;

/// A device, or a line that says why there is none.
fn renderer() -> Option<Renderer> {
    match Gpu::headless(DeviceChoice::Auto) {
        Ok(gpu) => Some(Renderer::new(gpu, OFFSCREEN)),
        Err(error) => {
            eprintln!("not compared with a device: {error}");
            None
        }
    }
}

fn map() -> DAffine3 {
    WorldFromVoxel::from_spacing([VOXEL_UM; 3], [0.0; 3]).0
}

/// A ball with an off-centre core and a gentle slope, LAC in 1/µm.
fn cell() -> Volume<f32> {
    let [nz, ny, nx] = SHAPE.map(|n| (n as f64 - 1.0) / 2.0);
    let data = Array3::from_shape_fn(SHAPE, |(z, y, x)| {
        let p = DVec3::new(x as f64 - nx, y as f64 - ny, z as f64 - nz);
        let ball = |middle: DVec3, radius: f64| 1.0 / (1.0 + ((p - middle).length() - radius).exp());
        let core = ball(DVec3::new(5.0, -4.0, -3.0), 6.0);
        (0.12 + 0.16 * ball(DVec3::ZERO, 15.0) + 0.3 * core + 0.001 * p.x) as f32
    });
    Volume::new(data, Some([VOXEL_UM; 3]), Unit::PerUm)
}

/// Two halves of the ball.
fn halves() -> Labels {
    let mut labels = Labels::new(SHAPE);
    let volume = cell();
    labels.update_box([0; 3], SHAPE, |[z, y, x], _| match volume.data[[z, y, x]] {
        v if v < 0.2 => 0,
        _ if x < 24 => 1,
        _ => 2,
    });
    labels
}

fn sources() -> Sources {
    let mut sources = Sources::default();
    sources.volumes.insert(1, Arc::new(cell()));
    sources.labels.insert(2, halves());
    sources.volumes.insert(3, Arc::new(spot([6.0, 8.0, 8.0])));
    sources.volumes.insert(4, Arc::new(spot([9.0, 14.0, 16.0])));
    sources
}

/// Frames until nothing more is to come.
fn settle(renderer: &mut Renderer, prepare: impl Fn(&mut Renderer) -> bool) {
    let begun = std::time::Instant::now();
    while prepare(renderer) {
        assert!(begun.elapsed().as_secs() < 60, "the picture never came");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Peak signal to noise over the colours, in decibels.
pub(super) fn psnr(a: &RgbaImage, b: &RgbaImage) -> f64 {
    let pairs =
        a.pixels().zip(b.pixels()).flat_map(|(a, b)| (0..3).map(|c| (a.0[c], b.0[c])).collect::<Vec<_>>());
    let (mut sum, mut n) = (0.0, 0.0);
    for (a, b) in pairs {
        sum += (f64::from(a) - f64::from(b)).powi(2);
        n += 1.0;
    }
    10.0 * (255.0f64 * 255.0 / (sum / n).max(1e-9)).log10()
}

fn scene() -> VolumeScene {
    let mut scene = VolumeScene::new(1, map(), SHAPE, SIZE);
    scene.camera.orbit_turntable(DVec2::new(-0.5, 0.35));
    // Random starts are noise by intent.
    scene.jitter = false;
    scene
}

fn with_labels(scene: VolumeScene) -> VolumeScene {
    let labels =
        VolumeLabels { labels: 2, world_from_voxel: map(), colors: LabelColors::palette(), strength: 0.75 };
    VolumeScene { labels: Some(labels), ..scene }
}

/// Two channels on a grid of their own.
fn channels() -> Vec<VolumeChannel> {
    let map = WorldFromVoxel::from_spacing([0.1, 0.08, 0.07], [0.1, 0.2, 0.3]).0;
    [(3, [0.1, 0.9], [0.0, 1.0, 0.2]), (4, [0.2, 0.8], [1.0, 0.0, 0.8])]
        .map(|(volume, window, rgb)| VolumeChannel {
            volume,
            world_from_voxel: map,
            window,
            rgb,
            density_per_um: 3.0,
        })
        .to_vec()
}

/// A spot around a place, 0 to 1.
fn spot(at: [f64; 3]) -> Volume<f32> {
    let data = Array3::from_shape_fn([16, 20, 24], |(z, y, x)| {
        let d = [z as f64 - at[0], y as f64 - at[1], x as f64 - at[2]];
        (-d.iter().map(|d| d * d).sum::<f64>() / 18.0).exp() as f32
    });
    Volume::new(data, Some([0.1, 0.08, 0.07]), Unit::Arbitrary)
}

/// A cut that leaves what lies beyond the middle.
fn cut() -> Vec<Cut> {
    let normal = DVec3::new(-0.6, 0.0, 0.8);
    let (low, high) = bounds_um(map(), SHAPE);
    vec![Cut { normal, offset_um: normal.dot((low + high) * 0.5) }]
}

#[test]
fn every_way_to_draw_a_volume_is_that_of_the_reference() {
    let Some(mut renderer) = renderer() else { return };
    let sources = sources();
    for (key, volume) in &sources.volumes {
        renderer.set_volume(*key, 1, volume);
    }
    renderer.set_labels(2, 1, &sources.labels[&2], None);
    let of = |mode| VolumeScene { mode, ..scene() };
    let dressed = |scene: VolumeScene| VolumeScene {
        depth_cue: 0.6,
        occlusion: 0.8,
        shadow: 0.7,
        cuts: cut(),
        ..scene
    };
    let surface = VolumeScene { iso_value: 0.22, ..of(VolumeMode::Iso) };
    let boxed = |scene: VolumeScene| {
        let (low, high) = bounds_um(map(), SHAPE);
        let part = (high - low) * DVec3::new(0.25, 0.3, 0.1);
        VolumeScene { clip: Some((low + part, high - part)), ..scene }
    };
    let keeping = |scene: VolumeScene| {
        let mut scene = VolumeScene { keeps: true, ..with_labels(scene) };
        if let Some(labels) = &mut scene.labels {
            labels.colors = labels.colors.keeping(&[2]);
        }
        scene
    };
    let cases = [
        ("haze", of(VolumeMode::Composite)),
        ("haze, cut, faded", dressed(of(VolumeMode::Composite))),
        ("haze with labels", with_labels(of(VolumeMode::Composite))),
        ("haze with channels", VolumeScene { channels: channels(), ..of(VolumeMode::Composite) }),
        ("maximum", of(VolumeMode::Mip)),
        ("minimum, cut", VolumeScene { cuts: cut(), window: [0.0, 0.3], ..of(VolumeMode::MinIp) }),
        ("mean", of(VolumeMode::Mean)),
        ("surface", VolumeScene { iso_value: 0.22, ..of(VolumeMode::Iso) }),
        ("surface, cut open", VolumeScene { iso_value: 0.22, ..dressed(of(VolumeMode::Iso)) }),
        ("labels", with_labels(of(VolumeMode::Labels))),
        ("labels, cut open", dressed(with_labels(of(VolumeMode::Labels)))),
        ("haze in a box", boxed(of(VolumeMode::Composite))),
        ("haze in a box, one half whole", keeping(boxed(dressed(of(VolumeMode::Composite))))),
        ("maximum, one half whole", keeping(boxed(of(VolumeMode::Mip)))),
        ("surface in a box, one half whole", keeping(boxed(dressed(surface.clone())))),
        ("labels in a box, one half whole", keeping(boxed(dressed(of(VolumeMode::Labels))))),
    ];
    for (name, scene) in cases {
        let expected = cpu::volume(&Progress::new(), &sources, &scene).unwrap();
        settle(&mut renderer, |r| r.prepare_volume(1, &scene).needs_repaint);
        let found = renderer.screen(1, SIZE);
        if let Some(folder) = std::env::var_os("WATERWINDOW_LOOK") {
            let folder = std::path::PathBuf::from(folder);
            let name = name.replace([' ', ','], "_");
            expected.save(folder.join(format!("parity_{name}_processor.png"))).unwrap();
            found.save(folder.join(format!("parity_{name}_device.png"))).unwrap();
        }
        // Brighter than what lies behind.
        let seen = expected.pixels().filter(|p| p.0[..3].iter().any(|c| *c > 6 + 10)).count();
        assert!(seen > 300, "{name}: hardly anything is seen, {seen} pixels");
        let db = psnr(&expected, &found);
        assert!(db >= 40.0, "{name}: {db:.1} dB");
        if scene.mode == VolumeMode::Mip {
            let worst = expected.pixels().zip(found.pixels()).map(|(a, b)| a.0[0].abs_diff(b.0[0])).max();
            assert!(worst <= Some(1), "a maximum is equal to a grey level: {worst:?}");
        }
    }
}

/// The mean of squares of pixels of a picture that was drawn larger.
pub(super) fn smaller(large: &RgbaImage, factor: u32) -> RgbaImage {
    let [width, height] = [large.width() / factor, large.height() / factor];
    RgbaImage::from_fn(width, height, |x, y| {
        let sum = |c: usize| -> u32 {
            let square = (0..factor * factor).map(|i| (x * factor + i % factor, y * factor + i / factor));
            square.map(|(x, y)| u32::from(large.get_pixel(x, y).0[c])).sum()
        };
        image::Rgba(std::array::from_fn(|c| ((sum(c) + factor * factor / 2) / (factor * factor)) as u8))
    })
}

#[test]
fn a_view_at_rest_becomes_the_mean_over_its_pixels_the_same_each_time() {
    let Some(mut renderer) = renderer() else { return };
    let sources = sources();
    renderer.set_volume(1, 1, &sources.volumes[&1]);
    renderer.set_labels(2, 1, &sources.labels[&2], None);
    let cases = [
        ("haze", VolumeScene { cuts: cut(), ..scene() }, 40.0),
        ("surface", VolumeScene { iso_value: 0.22, mode: VolumeMode::Iso, ..scene() }, 36.0),
        ("labels", with_labels(VolumeScene { mode: VolumeMode::Labels, ..scene() }), 30.0),
    ];
    for (name, scene, least) in cases {
        let large = VolumeScene { size_px: SIZE.map(|n| n * 4), ..scene.clone() };
        let expected = smaller(&cpu::volume(&Progress::new(), &sources, &large).unwrap(), 4);
        let one = {
            settle(&mut renderer, |r| r.prepare_volume(1, &scene).needs_repaint);
            renderer.screen(1, SIZE)
        };
        let sampled = VolumeScene { jitter: true, ..scene.clone() };
        let mut rest = || {
            settle(&mut renderer, |r| r.prepare_volume(1, &sampled).needs_repaint);
            let picture = renderer.screen(1, SIZE);
            // Something else in between.
            settle(&mut renderer, |r| r.prepare_volume(1, &scene).needs_repaint);
            picture
        };
        let (first, second) = (rest(), rest());
        assert!(first == second, "{name}: the same picture each time");
        let (before, after) = (psnr(&expected, &one), psnr(&expected, &first));
        // A haze has no edges that samples could make smooth.
        let is_better = after > before + 1.0 || before > 50.0;
        assert!(after >= least && is_better, "{name}: {after:.1} dB, one sample {before:.1} dB");
    }
}

#[test]
fn the_surface_of_a_ball_is_picked_to_a_quarter_of_a_voxel() {
    let middle = DVec3::new(23.2, 21.7, 19.4);
    let radius = 13.3;
    let data = Array3::from_shape_fn(SHAPE, |(z, y, x)| {
        let p = DVec3::new(x as f64, y as f64, z as f64);
        (radius - (p - middle).length()) as f32
    });
    let mut sources = Sources::default();
    sources.volumes.insert(1, Arc::new(Volume::new(data, Some([VOXEL_UM; 3]), Unit::PerUm)));
    let scene = VolumeScene { mode: VolumeMode::Iso, iso_value: 0.0, ..scene() };
    let mut hits = 0;
    for i in 0..40 {
        for j in 0..40 {
            let uv = DVec2::new((f64::from(i) + 0.5) / 40.0, (f64::from(j) + 0.5) / 40.0);
            let Some(at) = cpu::pick(&sources, &scene, uv) else { continue };
            hits += 1;
            let off = (at / VOXEL_UM - middle).length() - radius;
            assert!(off.abs() < 0.25, "{off} voxels off at {uv}");
            // Under the pointer that asked.
            let back = scene.camera.project(at, scene.aspect()).unwrap();
            assert!((back - uv).length() < 1e-6);
        }
    }
    assert!(hits > 100, "{hits}");
    // What is cut away is not picked.
    let open = VolumeScene { cuts: cut(), ..scene };
    for i in 0..40 {
        let uv = DVec2::new((f64::from(i) + 0.5) / 40.0, 0.5);
        if let Some(at) = cpu::pick(&sources, &open, uv) {
            assert!(open.cuts[0].normal.dot(at) >= open.cuts[0].offset_um - 1e-6);
        }
    }
}

#[test]
fn slices_of_every_kind_are_those_of_the_reference() {
    let Some(mut renderer) = renderer() else { return };
    let sources = sources();
    renderer.set_volume(1, 1, &sources.volumes[&1]);
    renderer.set_labels(2, 1, &sources.labels[&2], None);
    let tilted = Plane::Oblique { right: DVec3::new(0.8, 0.0, 0.6), down: DVec3::Y };
    let image = |interpolation| ImageLayer {
        interpolation,
        color_map: ColorMap::Viridis,
        ..ImageLayer::new(1, map(), [0.1, 0.6])
    };
    for plane in [Plane::Xy, Plane::Xz, Plane::Yz, tilted] {
        for interpolation in [Interpolation::Nearest, Interpolation::Linear] {
            for slab in
                [None, Some((SlabMode::Mean, 0.4)), Some((SlabMode::Max, 0.4)), Some((SlabMode::Min, 0.4))]
            {
                let mut scene = SliceScene::fitted(plane, bounds_um(map(), SHAPE), SIZE);
                scene.layers = vec![SliceLayer::Image(image(interpolation))];
                scene.slab = slab;
                if slab.is_none() {
                    scene.layers.push(SliceLayer::Labels(LabelLayer::new(2, map(), LabelColors::palette())));
                }
                let expected = cpu::slice(&Progress::new(), &sources, &scene).unwrap();
                settle(&mut renderer, |r| r.prepare_slice(1, &scene).needs_repaint);
                let found = renderer.slice_screen(1, SIZE);
                let db = psnr(&expected, &found);
                // Where a place falls between two voxels rounding may choose the other one: a few pixels.
                assert!(db >= 36.0, "{plane:?} {interpolation:?} {slab:?}: {db:.1} dB");
            }
        }
    }
}
