//! Figures by the processor and by a device: tiles, clear ground, the window's own pixels.

use std::sync::Arc;

use glam::{DAffine3, DVec3};

use super::*;
use crate::base::{Progress, Unit};
use crate::gpu::{DeviceChoice, Gpu};
use crate::render::cpu::Sources;
use crate::render::renderer::Renderer;
use crate::render::scene::{
    ImageLayer, PixelMask, Plane, SliceLayer, SliceScene, VolumeMode, VolumeScene, bounds_um,
};
use crate::volume::Volume;

const N: usize = 24;

/// A ball with a denser one inside.
fn sources() -> Sources {
    let value = |z: usize, y: usize, x: usize| {
        let p = DVec3::new(x as f64, y as f64, z as f64) - (N as f64 - 1.0) / 2.0;
        if p.length() < 5.0 {
            0.6
        } else if (p - DVec3::X).length() < 9.0 {
            0.3
        } else {
            0.0
        }
    };
    let data = ndarray::Array3::from_shape_fn((N, N, N), |(z, y, x)| value(z, y, x) as f32);
    let mut sources = Sources::default();
    sources.volumes.insert(1, Arc::new(Volume::new(data, Some([0.02; 3]), Unit::PerUm)));
    sources
}

fn world() -> DAffine3 {
    sources().volumes[&1].world_from_voxel().0
}

fn volume(size: [u32; 2], mode: VolumeMode) -> Scene {
    let mut scene = VolumeScene::new(1, world(), [N; 3], size);
    scene.mode = mode;
    scene.window = [0.0, 0.6];
    scene.camera.orbit_turntable(glam::DVec2::new(0.5, 0.35));
    Scene::Volume(scene)
}

fn slice(size: [u32; 2]) -> Scene {
    let mut scene = SliceScene::fitted(Plane::Xy, bounds_um(world(), [N; 3]), size);
    scene.layers.push(SliceLayer::Image(ImageLayer::new(1, world(), [0.0, 0.6])));
    Scene::Slice(scene)
}

fn gpu() -> Option<Gpu> {
    let gpu = Gpu::headless(DeviceChoice::Gpu).ok();
    if gpu.is_none() {
        eprintln!("SKIP: no graphics device");
    }
    gpu
}

#[test]
fn a_picture_in_tiles_is_the_picture_in_one_piece() {
    let Some(gpu) = gpu() else { return };
    let progress = Progress::new();
    let masked = |mask| {
        let mut scene = slice([128, 96]);
        if let Scene::Slice(SliceScene { layers, .. }) = &mut scene
            && let Some(SliceLayer::Image(image)) = layers.first_mut()
        {
            image.mask = Some(mask);
        }
        scene
    };
    let scenes = [
        volume([150, 90], VolumeMode::Composite),
        volume([150, 90], VolumeMode::Mip),
        slice([128, 96]),
        masked(PixelMask::LeftOf(70.0)),
        masked(PixelMask::OddSquares(6.0)),
    ];
    for scene in scenes {
        let mut artist = Artist::new(sources(), Some(gpu.clone()));
        let whole = artist.draw(&progress, &scene).unwrap();
        artist.set_tile(32);
        let tiled = artist.draw(&progress, &scene).unwrap();
        assert_eq!(whole.dimensions(), tiled.dimensions());
        assert!(whole == tiled, "every pixel is the same");
        let tones: std::collections::BTreeSet<[u8; 4]> = whole.pixels().map(|p| p.0).collect();
        assert!(tones.len() > 2, "something is seen");
    }
}

#[test]
fn the_picture_is_what_the_window_shows_when_it_rests() {
    let Some(gpu) = gpu() else { return };
    let scene = volume([96, 64], VolumeMode::Composite);
    let figure = Artist::new(sources(), Some(gpu.clone())).draw(&Progress::new(), &scene).unwrap();
    // As the window: piece by piece until it is fine, then painted.
    let Scene::Volume(scene) = scene else { return };
    let mut window = Renderer::new(gpu, crate::render::pipelines::OFFSCREEN);
    window.set_volume(1, 1, &sources().volumes[&1]);
    let mut rounds = 0;
    while window.prepare_volume(7, &scene).needs_repaint {
        rounds += 1;
        assert!(rounds < 5000, "it comes to rest");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(window.screen(7, scene.size_px) == figure);
}

#[test]
fn device_and_processor_draw_the_same_picture() {
    let Some(gpu) = gpu() else { return };
    let progress = Progress::new();
    for mut scene in [volume([96, 64], VolumeMode::Composite), slice([96, 64])] {
        if let Scene::Volume(scene) = &mut scene {
            scene.jitter = false;
        }
        let by_device = Artist::new(sources(), Some(gpu.clone())).draw(&progress, &scene).unwrap();
        let by_processor = Artist::new(sources(), None).draw(&progress, &scene).unwrap();
        let far = by_device.as_raw().iter().zip(by_processor.as_raw()).filter(|(a, b)| a.abs_diff(**b) > 6);
        // Textures of 16 bits: rims of balls may fall to the other side of a sample.
        let share = far.count() as f64 / by_device.as_raw().len() as f64;
        assert!(share < 0.02, "{share}");
    }
}

#[test]
fn nothing_lies_behind_a_transparent_picture() {
    let devices = [None, gpu()];
    for gpu in devices {
        for mut scene in [volume([80, 60], VolumeMode::Composite), slice([80, 40])] {
            scene.set_background([0.0; 4]);
            let picture = Artist::new(sources(), gpu.clone()).draw(&Progress::new(), &scene).unwrap();
            assert_eq!(picture.get_pixel(0, 0).0[3], 0, "the corner is clear");
            let middle = picture.get_pixel(40, picture.height() / 2).0;
            assert!(middle[3] > 100, "the middle is there: {middle:?}");
        }
    }
}

#[test]
fn a_device_that_is_stopped_gives_no_picture() {
    let progress = Progress::new();
    progress.cancel();
    for gpu in [None, gpu()] {
        let mut artist = Artist::new(sources(), gpu);
        for scene in [volume([80, 60], VolumeMode::Mip), slice([80, 60])] {
            let result = artist.draw(&progress, &scene);
            assert!(matches!(result, Err(DrawError::Cancelled(_))), "{result:?}");
        }
    }
}

#[test]
fn a_view_in_another_shape_keeps_what_was_seen() {
    let Scene::Slice(wide) = slice([200, 100]) else { return };
    let resized = Scene::Slice(wide.clone()).resized([100, 400]);
    let seen = |scene: &SliceScene| scene.um_per_px * f64::from(scene.size_px[0]);
    let Scene::Slice(tall) = &resized else { return };
    assert!((seen(tall) - seen(&wide)).abs() < 1e-12, "as wide as before");
    let Scene::Volume(square) = volume([100, 100], VolumeMode::Mip) else { return };
    let Scene::Volume(narrow) = Scene::Volume(square.clone()).resized([50, 100]) else { return };
    let across = |scene: &VolumeScene| {
        scene.camera.um_per_px(f64::from(scene.size_px[1])) * f64::from(scene.size_px[0])
    };
    assert!((across(&narrow) - across(&square)).abs() < 1e-9, "as wide as before");
}

#[test]
fn marks_are_laid_where_the_layout_says() {
    let mut picture = image::RgbaImage::from_pixel(400, 300, image::Rgba([90, 90, 90, 255]));
    let style = FigureStyle {
        scale: Some(Scale { um_per_px: 0.02 }),
        values: Some(ValueBar {
            label: "T".to_owned(),
            range: [0.0, 1.0],
            colors: vec![[255, 0, 0], [0, 0, 255]],
        }),
        ..FigureStyle::default()
    };
    let marks = layout(&picture, &style);
    paint(&mut picture, &marks);
    let white = (0..400).filter(|x| picture.get_pixel(*x, 300 - 10 - 1).0[0] == 255).count();
    assert_eq!(white, 100, "2 µm of 0.02 µm");
    let bar = marks.iter().find_map(|mark| match mark {
        Mark::Ramp { at, size, .. } => Some((*at, *size)),
        _ => None,
    });
    let (at, size) = bar.unwrap();
    let x = at[0] as u32 + 2;
    assert!(picture.get_pixel(x, at[1] as u32).0[2] > 250, "high values above");
    assert!(picture.get_pixel(x, (at[1] + size[1]) as u32 - 1).0[0] > 250, "low values below");
}

/// Lines and words of a figure with a ruler.
fn ruled(scene: &Scene, shape: RulerShape, points_um: Vec<DVec3>) -> (Vec<Mark>, Vec<String>) {
    let ruler = FigureRuler { shape, points_um, label: "480 nm".to_owned() };
    let extras = Extras { rulers: vec![ruler], ..Extras::default() };
    let mut artist = Artist::new(sources(), None);
    let (_, marks) = figure(&Progress::new(), &mut artist, scene, &extras).unwrap();
    let words = marks.iter().filter_map(|mark| match mark {
        Mark::Text { text, .. } => Some(text.clone()),
        _ => None,
    });
    let words = words.collect();
    // A line without halo and gaps is the chip behind the words.
    let is_line = |mark: &Mark| match mark {
        Mark::Line { halo, dash, .. } => halo.is_some() || dash.is_some(),
        _ => false,
    };
    (marks.into_iter().filter(is_line).collect(), words)
}

#[test]
fn rulers_lie_in_their_slice_and_are_faint_in_3d_where_something_hides_them() {
    let middle = (N as f64 - 1.0) / 2.0 * 0.02;
    let across = |z: f64| vec![DVec3::new(-0.02, middle, z), DVec3::new(0.48, middle, z)];
    let scene = slice([200, 200]);
    let (lines, words) = ruled(&scene, RulerShape::Distance, across(middle));
    assert_eq!((lines.len(), words), (3, vec!["480 nm".to_owned()]), "a line and two ticks");
    let Mark::Line { points, opacity, .. } = &lines[0] else { panic!("a line") };
    let Scene::Slice(of) = &scene else { panic!("a slice") };
    let ends = across(middle).into_iter().map(|p| of.px_from_world(p).to_array());
    assert_eq!((points.clone(), *opacity), (ends.collect(), 1.0));
    let (lines, words) = ruled(&scene, RulerShape::Distance, across(middle + 0.03));
    assert!(lines.is_empty() && words.is_empty(), "not in this slice");

    let mut scene = volume([200, 200], VolumeMode::Iso);
    let Scene::Volume(of) = &mut scene else { panic!("a volume") };
    of.iso_value = 0.2;
    of.camera.look_from(crate::render::StandardView::Front);
    let (lines, _) = ruled(&scene, RulerShape::Profile(DVec3::ZERO), across(middle));
    let spans: Vec<(f64, f64, bool)> = lines
        .iter()
        .map(|line| match line {
            Mark::Line { points, opacity, .. } => (points[0][0], points[points.len() - 1][0], *opacity < 1.0),
            other => panic!("{other:?}"),
        })
        .collect();
    let hidden: Vec<bool> = spans.iter().map(|span| span.2).collect();
    assert_eq!(hidden, [false, true, false], "only what lies in the ball is hidden: {spans:?}");
    assert!((spans[1].1 - spans[1].0) / (spans[2].1 - spans[0].0) > 0.5, "{spans:?}");
    let (lines, _) =
        ruled(&volume([200, 200], VolumeMode::Mip), RulerShape::Profile(DVec3::ZERO), across(0.2));
    assert_eq!(lines.len(), 1, "a projection has no depth");
    // In vectors each line has its halo, and in pixels it is seen.
    let picture = RgbaImage::from_pixel(200, 200, image::Rgba([0, 0, 0, 255]));
    assert_eq!(svg(&picture, &lines, "").unwrap().matches("<polyline").count(), 2);
    let mut painted = picture.clone();
    paint(&mut painted, &lines);
    assert_ne!(painted, picture);
}

#[test]
fn words_of_rulers_lie_on_chips_of_their_own_and_off_the_bars() {
    let middle = (N as f64 - 1.0) / 2.0 * 0.02;
    let points_um = vec![DVec3::new(0.1, middle, middle), DVec3::new(0.3, middle, middle)];
    let one = |label: &str| FigureRuler {
        shape: RulerShape::Distance,
        points_um: points_um.clone(),
        label: label.to_owned(),
    };
    let rulers = vec![one("200 nm"), one("0.20 µm"), one("64.7°")];
    let extras = Extras {
        rulers,
        scale_bar: true,
        legend: vec![("nucleus".to_owned(), [9, 9, 200])],
        ..Extras::default()
    };
    let mut artist = Artist::new(sources(), None);
    let (_, marks) = figure(&Progress::new(), &mut artist, &slice([300, 300]), &extras).unwrap();
    let rooms: Vec<Area> =
        marks.iter().filter(|m| matches!(m, Mark::Text { .. })).filter_map(Mark::room).collect();
    assert_eq!(rooms.len(), 5, "three rulers, the bar and the legend");
    for (i, a) in rooms.iter().enumerate() {
        for b in &rooms[..i] {
            let apart = (a.low.max(b.low) - a.high.min(b.high)).max_element();
            assert!(apart >= 0.0, "{a:?} on {b:?}");
        }
    }
    let is_chip = |m: &&Mark| matches!(m, Mark::Line { halo: None, dash: None, .. });
    assert_eq!(marks.iter().filter(is_chip).count(), 3);
}
