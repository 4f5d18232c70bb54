//! Surfaces: the device against the processor, transparency from every direction, cuts, picking.

use std::sync::Arc;

use glam::{DAffine3, DVec2, DVec3, Vec3};
use ndarray::Array3;

use super::cpu::{self, Sources};
use super::parity_tests::{psnr, smaller};
use super::pipelines::OFFSCREEN;
use super::renderer::Renderer;
use super::scene::{Cut, VolumeMode, VolumeScene, bounds_um};
use super::surfaces::{PartStyle, SurfaceLayer, SurfacePart, SurfaceSet};
use super::{ColorMap, Projection, StandardView};
use crate::base::{Progress, Unit, WorldFromVoxel};
use crate::gpu::{DeviceChoice, Gpu};
use crate::volume::Volume;

const SIZE: [u32; 2] = [140, 110];
const VOXEL_UM: f64 = 0.05;
const SHAPE: [usize; 3] = [40; 3];

/// A ball of triangles: a cube cut into squares and blown up.
fn ball(middle: Vec3, radius: f32, n: u32) -> (Vec<[f32; 3]>, Vec<[u32; 3]>) {
    let (mut vertices, mut triangles) = (Vec::new(), Vec::new());
    for side in 0..6 {
        let axis = side / 2;
        let sign = if side % 2 == 0 { 1.0 } else { -1.0 };
        let first = vertices.len() as u32;
        for i in 0..=n {
            for j in 0..=n {
                let at = |k: u32| k as f32 / n as f32 * 2.0 - 1.0;
                let mut p = Vec3::ZERO;
                p[axis] = sign;
                p[(axis + 1) % 3] = at(i) * sign;
                p[(axis + 2) % 3] = at(j);
                vertices.push((middle + p.normalize() * radius).to_array());
            }
        }
        for i in 0..n {
            for j in 0..n {
                let [a, b] = [first + i * (n + 1) + j, first + (i + 1) * (n + 1) + j];
                triangles.extend([[a, b, b + 1], [a, b + 1, a + 1]]);
            }
        }
    }
    (vertices, triangles)
}

/// Two balls apart and one that overlaps both, in µm: colours of their own, the last one by the distance from x = 0.
fn set() -> SurfaceSet {
    let balls = [
        ball(Vec3::new(0.55, 1.0, 0.9), 0.45, 12),
        ball(Vec3::new(1.45, 1.0, 1.0), 0.44, 12),
        ball(Vec3::new(1.0, 0.8, 1.15), 0.3, 12),
    ];
    let values: Vec<f32> = balls[2].0.iter().map(|v| v[0]).collect();
    let parts: Vec<_> = balls
        .iter()
        .enumerate()
        .map(|(at, (vertices, triangles))| SurfacePart {
            vertices,
            triangles,
            values: if at == 2 { &values } else { &[] },
        })
        .collect();
    SurfaceSet::new(&Progress::new(), &parts, DAffine3::IDENTITY, VOXEL_UM).unwrap()
}

fn styles(opacity: [f32; 3]) -> Vec<PartStyle> {
    let colors = [[0.9, 0.3, 0.2], [0.2, 0.6, 0.9], [0.5, 0.8, 0.3]];
    let style =
        |at: usize| PartStyle { rgb: colors[at], opacity: opacity[at], by_value: at == 2, kept: false };
    (0..3).map(style).collect()
}

/// A haze that is denser in the middle, LAC in 1/µm.
fn sources() -> Sources {
    let data = Array3::from_shape_fn(SHAPE, |(z, y, x)| {
        let d = DVec3::new(x as f64, y as f64, z as f64).distance(DVec3::splat(19.5));
        (0.12 + 0.2 / (1.0 + (0.6 * (d - 13.0)).exp())) as f32
    });
    let mut sources = Sources::default();
    sources.volumes.insert(1, Arc::new(Volume::new(data, Some([VOXEL_UM; 3]), Unit::PerUm)));
    sources.surfaces.insert(7, Arc::new(set()));
    sources
}

fn scene(mode: VolumeMode, opacity: [f32; 3]) -> VolumeScene {
    let map = WorldFromVoxel::from_spacing([VOXEL_UM; 3], [0.0; 3]).0;
    let mut scene = VolumeScene::new(1, map, SHAPE, SIZE);
    scene.camera = super::OrbitCamera::fitted(bounds_um(map, SHAPE));
    scene.camera.orbit_turntable(DVec2::new(0.6, -0.4));
    scene.jitter = false;
    scene.mode = mode;
    scene.depth_cue = 0.4;
    scene.iso_value = 0.27;
    let layer = SurfaceLayer::new(7, styles(opacity));
    let outlines = SurfaceLayer { range: [0.7, 1.3], color_map: ColorMap::Viridis, ..layer };
    scene.surfaces = Some(outlines);
    scene
}

fn cut() -> Vec<Cut> {
    let normal = DVec3::new(0.3, 0.2, 0.93).normalize();
    vec![Cut { normal, offset_um: normal.dot(DVec3::splat(0.97)) }]
}

/// A device, or a line that says why there is none.
fn renderer(sources: &Sources) -> Option<Renderer> {
    match Gpu::headless(DeviceChoice::Auto) {
        Ok(gpu) => {
            let mut renderer = Renderer::new(gpu, OFFSCREEN);
            renderer.set_volume(1, 1, &sources.volumes[&1]);
            renderer.set_surfaces(7, 1, &sources.surfaces[&7]);
            Some(renderer)
        }
        Err(error) => {
            eprintln!("not compared with a device: {error}");
            None
        }
    }
}

#[test]
fn surfaces_of_every_kind_are_those_of_the_reference() {
    let sources = sources();
    let Some(mut renderer) = renderer(&sources) else { return };
    let half = [0.5, 0.35, 0.7];
    // The faces of cuts belong to one part each.
    let apart = [1.0, 1.0, 0.0];
    let mut worse = Vec::new();
    let parallel = |mut scene: VolumeScene| {
        scene.camera.projection = Projection::Orthographic;
        scene
    };
    let keeping = |mut scene: VolumeScene| {
        if let Some(layer) = &mut scene.surfaces {
            layer.styles = layer
                .styles
                .iter()
                .enumerate()
                .map(|(at, style)| PartStyle { kept: at == 1, ..*style })
                .collect();
        }
        scene
    };
    let cases = [
        ("alone, opaque", scene(VolumeMode::Surfaces, [1.0; 3])),
        ("alone, clear", scene(VolumeMode::Surfaces, half)),
        ("alone, clear, parallel rays", parallel(scene(VolumeMode::Surfaces, half))),
        ("in haze, opaque", scene(VolumeMode::Composite, [1.0; 3])),
        ("in haze, clear", scene(VolumeMode::Composite, half)),
        ("in haze, clear, parallel rays", parallel(scene(VolumeMode::Composite, half))),
        ("with a surface at a value", scene(VolumeMode::Iso, half)),
        ("one hidden", scene(VolumeMode::Surfaces, [0.0, 1.0, 0.5])),
        ("cut, opaque", VolumeScene { cuts: cut(), ..scene(VolumeMode::Surfaces, apart) }),
        ("cut, clear", VolumeScene { cuts: cut(), ..scene(VolumeMode::Composite, [0.5, 0.4, 0.0]) }),
        ("cut, parallel", VolumeScene { cuts: cut(), ..parallel(scene(VolumeMode::Surfaces, apart)) }),
        ("cut, one kept", keeping(VolumeScene { cuts: cut(), ..scene(VolumeMode::Surfaces, apart) })),
        (
            "clipped",
            VolumeScene {
                clip: Some((DVec3::splat(0.7), DVec3::splat(1.2))),
                ..scene(VolumeMode::Surfaces, [0.6, 0.5, 0.0])
            },
        ),
        ("not in projections", scene(VolumeMode::Mip, half)),
    ];
    for (name, scene) in cases {
        let expected = cpu::volume(&Progress::new(), &sources, &scene).unwrap();
        let found = renderer.still_volume(&Progress::new(), &scene, None).unwrap();
        let db = psnr(&expected, &found);
        if let Some(folder) = std::env::var_os("WATERWINDOW_LOOK") {
            let file =
                |which: &str| std::path::Path::new(&folder).join(format!("surface {name} {which}.png"));
            expected.save(file("cpu")).unwrap();
            found.save(file("device")).unwrap();
        }
        if db < 40.0 {
            worse.push(format!("{name}: {db:.1} dB"));
        }
        let tiled = renderer.still_volume(&Progress::new(), &scene, Some(48)).unwrap();
        assert!(psnr(&found, &tiled) >= 50.0, "{name}: tiles change the picture");
    }
    assert!(worse.is_empty(), "{worse:?}");
}

#[test]
fn edges_of_surfaces_are_smooth_at_rest() {
    let sources = sources();
    let Some(mut renderer) = renderer(&sources) else { return };
    // Outlines are as wide in pixels whatever the size of a picture.
    let plain = |mut scene: VolumeScene| {
        if let Some(layer) = &mut scene.surfaces {
            layer.silhouettes = 0.0;
        }
        VolumeScene { background: [1.0; 4], ..scene }
    };
    let cases = [
        ("opaque", scene(VolumeMode::Surfaces, [1.0; 3])),
        ("clear", scene(VolumeMode::Surfaces, [0.5, 0.35, 0.7])),
        ("in haze, cut", VolumeScene { cuts: cut(), ..scene(VolumeMode::Composite, [1.0, 1.0, 0.0]) }),
    ];
    for (name, scene) in cases {
        let scene = plain(scene);
        let large = VolumeScene { size_px: SIZE.map(|n| n * 4), ..scene.clone() };
        let large = cpu::volume(&Progress::new(), &sources, &large).unwrap();
        let expected = smaller(&large, 4);
        let mut still = |scene: &VolumeScene| renderer.still_volume(&Progress::new(), scene, None).unwrap();
        let (one, sampled) = (still(&scene), still(&VolumeScene { jitter: true, ..scene.clone() }));
        let (before, after) = (psnr(&expected, &one), psnr(&expected, &sampled));
        if let Some(folder) = std::env::var_os("WATERWINDOW_LOOK") {
            let file = |which: &str| std::path::Path::new(&folder).join(format!("edges {name} {which}.png"));
            expected.save(file("expected")).unwrap();
            one.save(file("one")).unwrap();
            sampled.save(file("sampled")).unwrap();
        }
        assert!(after >= 32.0 && after > before + 3.0, "{name}: {after:.1} dB, one sample {before:.1} dB");
        // The window comes to the same picture, piece by piece.
        let scene = VolumeScene { jitter: true, ..scene };
        while renderer.prepare_volume(1, &scene).needs_repaint {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let db = psnr(&sampled, &renderer.screen(1, SIZE));
        assert!(db >= 50.0, "{name}: the window is {db:.1} dB from a figure");
    }
}

/// Premultiplied colours laid over each other, the nearest first.
fn over(sheets: &[([f64; 3], f64)], below: [f64; 3]) -> [f64; 3] {
    sheets
        .iter()
        .rev()
        .fold(below, |below, (rgb, a)| std::array::from_fn(|c| rgb[c] * a + below[c] * (1.0 - a)))
}

#[test]
fn clear_surfaces_are_laid_over_each_other_right_from_every_side() {
    // Three walls across x, without light or outlines: the order of their colours is that of their places.
    let wall = |x: f32| {
        let vertices: Vec<[f32; 3]> = (0..8)
            .map(|k| [x + 0.02 * (k & 1) as f32, (k >> 1 & 1) as f32 * 2.0, (k >> 2) as f32 * 2.0])
            .collect();
        let quads = [[0, 4, 6, 2], [1, 3, 7, 5], [0, 1, 5, 4], [2, 6, 7, 3], [0, 2, 3, 1], [4, 5, 7, 6]];
        let triangles =
            quads.iter().flat_map(|[a, b, c, d]| [[*a, *b, *c], [*a, *c, *d]]).collect::<Vec<[u32; 3]>>();
        (vertices, triangles)
    };
    // Handed over out of order.
    let walls = [wall(1.4), wall(0.4), wall(0.9)];
    let parts: Vec<_> =
        walls.iter().map(|(vertices, triangles)| SurfacePart { vertices, triangles, values: &[] }).collect();
    let set = Arc::new(SurfaceSet::new(&Progress::new(), &parts, DAffine3::IDENTITY, 0.01).unwrap());
    let mut sources = sources();
    sources.surfaces.insert(7, Arc::clone(&set));
    let mut device = renderer(&sources);
    let colors = [[1.0f64, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let alphas = [0.4f64, 0.5, 0.6];
    let styles: Vec<_> = (0..3)
        .map(|k| PartStyle {
            rgb: colors[k].map(|c| c as f32),
            opacity: alphas[k] as f32,
            by_value: false,
            kept: false,
        })
        .collect();
    let layer = SurfaceLayer { silhouettes: 0.0, ..SurfaceLayer::new(7, styles) };
    for view in [StandardView::Left, StandardView::Right, StandardView::Corner] {
        for projection in [Projection::Perspective, Projection::Orthographic] {
            let mut scene = scene(VolumeMode::Surfaces, [1.0; 3]);
            scene.camera = super::OrbitCamera::fitted(set.bounds_um());
            scene.camera.look_from(view);
            scene.camera.projection = projection;
            (scene.shading, scene.depth_cue) = (0.0, 0.0);
            scene.background = [0.0, 0.0, 0.0, 1.0];
            scene.surfaces = Some(layer.clone());
            // The eye of the corner view and of the left one lies at smaller x.
            let seen_from_low_x = scene.camera.forward().x > 0.0;
            let order: [usize; 3] = if seen_from_low_x { [1, 2, 0] } else { [0, 2, 1] };
            let sheets: Vec<_> = order.iter().flat_map(|k| [(colors[*k], alphas[*k]); 2]).collect();
            let expected = over(&sheets, [0.0; 3]).map(|c| (c * 255.0).round() as i32);
            let middle = [SIZE[0] / 2, SIZE[1] / 2];
            let mut pictures = vec![cpu::volume(&Progress::new(), &sources, &scene).unwrap()];
            pictures.extend(
                device.as_mut().map(|device| device.still_volume(&Progress::new(), &scene, None).unwrap()),
            );
            for picture in pictures {
                let found = picture.get_pixel(middle[0], middle[1]).0;
                let is_close = (0..3).all(|c| (i32::from(found[c]) - expected[c]).abs() <= 2);
                assert!(is_close, "{view:?} {projection:?}: {found:?}, expected {expected:?}");
            }
        }
    }
}

#[test]
fn cut_surfaces_are_closed_and_a_click_finds_them() {
    let sources = sources();
    let mut scene = scene(VolumeMode::Surfaces, [1.0; 3]);
    scene.camera.look_from(StandardView::Front);
    let middle = DVec2::splat(0.5);
    let target = scene.camera.target_um;
    let whole = cpu::pick(&sources, &scene, middle).unwrap();
    assert!((whole - DVec3::new(target.x, target.y, whole.z)).length() < 1e-6);
    assert!(whole.z < 1.0, "the near side of a ball: {whole}");
    // Cut through the third ball: the face of the cut is seen, not the far wall.
    scene.cuts = vec![Cut { normal: DVec3::Z, offset_um: 1.1 }];
    let face = cpu::pick(&sources, &scene, middle).unwrap();
    assert!((face.z - 1.1).abs() < 1e-6, "{face}");
    let picture = cpu::volume(&Progress::new(), &sources, &scene).unwrap();
    let pixel = picture.get_pixel(SIZE[0] / 2, SIZE[1] / 2).0;
    assert!(pixel[..3].iter().any(|c| *c > 100), "the face is as bright as the class: {pixel:?}");
    assert!(cpu::pick(&sources, &scene, DVec2::new(0.02, 0.02)).is_none());
    scene.surfaces = None;
    assert!(cpu::pick(&sources, &scene, middle).is_none());
}

#[test]
fn the_window_draws_the_surfaces_of_the_figure() {
    let sources = sources();
    let Some(mut renderer) = renderer(&sources) else { return };
    let scene = scene(VolumeMode::Composite, [0.5, 1.0, 0.7]);
    let began = std::time::Instant::now();
    while renderer.prepare_volume(3, &scene).needs_repaint {
        assert!(began.elapsed().as_secs() < 60, "the picture never becomes fine");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let figure = renderer.still_volume(&Progress::new(), &scene, None).unwrap();
    assert!(psnr(&renderer.screen(3, SIZE), &figure) > 60.0);
}
