//! How fast the views are, as a table: slices of a volume in memory, the 3D view, volumes by their levels.
//!
//! `cargo bench --bench viewer -- [--size N] [--volume N] [--width PX] [--zarr FOLDER]`: edge of the volume for the slices (1024, or 0 for none), for
//! the 3D view (512) and its width in pixels (1920), and an OME-Zarr pyramid of any size. Times are of this thread's clock on the wall, so they hold on
//! a quiet machine only; what the device does later is not in those of the slices.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot make its data stops")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glam::{DAffine3, DQuat};
use ndarray::Array3;
use rayon::prelude::*;
use waterwindow::base::{MemoryBudget, Progress, Unit};
use waterwindow::gpu::{DeviceChoice, Gpu};
use waterwindow::io;
use waterwindow::render::scene::bounds_um;
use waterwindow::render::{
    ImageLayer, Plane, Renderer, SliceLayer, SliceScene, TransferPreset, VolumeMode, VolumeScene,
};
use waterwindow::volume::{Pyramid, Volume};

/// Pixels of a slice: a quarter of a large screen.
const SLICE_PX: [u32; 2] = [1200, 900];
struct Options {
    size: usize,
    volume: usize,
    /// Pixels of the 3D view.
    volume_px: [u32; 2],
    zarr: Option<PathBuf>,
}

fn options() -> Options {
    let mut options = Options { size: 1024, volume: 512, volume_px: [1920, 1080], zarr: None };
    let mut args = std::env::args().skip(1);
    let number = |text: Option<String>, default| text.and_then(|text| text.parse().ok()).unwrap_or(default);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--size" => options.size = number(args.next(), options.size),
            "--volume" => options.volume = number(args.next(), options.volume),
            "--width" => {
                let width = number(args.next(), 1920) as u32;
                options.volume_px = [width, width * 9 / 16];
            }
            "--zarr" => options.zarr = args.next().map(PathBuf::from),
            // Cargo adds --bench; anything else is none of ours either.
            _ => {}
        }
    }
    options
}

/// A cell of shells and droplets with noise, 1/µm.
fn cell(n: usize) -> Volume<f32> {
    let mut data = Array3::<f32>::zeros((n, n, n));
    let middle = n as f32 / 2.0;
    data.as_slice_mut().expect("in standard layout").par_chunks_mut(n * n).enumerate().for_each(
        |(z, plane)| {
            for (i, value) in plane.iter_mut().enumerate() {
                let (y, x) = (i / n, i % n);
                let p = [z, y, x].map(|v| (v as f32 - middle) / middle);
                let r = p.iter().map(|v| v * v).sum::<f32>().sqrt();
                let droplets = (p[0] * 19.0).sin() * (p[1] * 23.0).sin() * (p[2] * 17.0).sin();
                let noise = ((z * 73_856 + y * 19_349 + x * 83_492) % 1021) as f32 / 1021.0 - 0.5;
                let inside = if r < 0.8 { 0.25 + if droplets > 0.6 { 0.3 } else { 0.0 } } else { 0.1 };
                *value = inside + 0.06 * noise;
            }
        },
    );
    Volume::new(data, Some([0.01; 3]), Unit::PerUm)
}

fn slice(map: DAffine3, shape: [usize; 3], plane: Plane) -> SliceScene {
    let mut scene = SliceScene::fitted(plane, bounds_um(map, shape), SLICE_PX);
    scene.layers = vec![SliceLayer::Image(ImageLayer::new(1, map, [0.0, 0.6]))];
    scene
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

const PLANES: [(&str, Plane, usize); 3] = [("XY", Plane::Xy, 2), ("XZ", Plane::Xz, 1), ("YZ", Plane::Yz, 0)];

/// Between two steps: as fast as a wheel or a held key goes.
const STEP: Duration = Duration::from_millis(33);

/// Steps through sections and prints the mean and the longest time of a step.
fn scroll(renderer: &mut Renderer, map: DAffine3, shape: [usize; 3], step_um: f64) {
    for (name, plane, axis) in PLANES {
        let mut scene = slice(map, shape, plane);
        renderer.prepare_slice(1, &scene);
        let (mut total, mut longest, n) = (Duration::ZERO, Duration::ZERO, 100);
        for _ in 0..n {
            scene.center_um[axis] += step_um;
            let began = Instant::now();
            renderer.prepare_slice(1, &scene);
            let took = began.elapsed();
            total += took;
            renderer.gpu().queue.submit([]);
            longest = longest.max(took);
            renderer.gpu().wait();
            std::thread::sleep(STEP.saturating_sub(began.elapsed()));
        }
        println!("{name}: a step {:.2} ms, the longest {:.2} ms", ms(total) / f64::from(n), ms(longest));
    }
}

fn slices(gpu: &Gpu, n: usize) {
    let volume = Arc::new(cell(n));
    println!("\nSlices of {n}³ f32 in memory, {SLICE_PX:?} pixels");
    let mut renderer = Renderer::new(gpu.clone(), wgpu::TextureFormat::Rgba8Unorm);
    let began = Instant::now();
    renderer.set_volume(1, 1, &volume);
    let map = volume.world_from_voxel().0;
    for (i, (_, plane, _)) in PLANES.into_iter().enumerate() {
        renderer.prepare_slice(i as u64 + 10, &slice(map, volume.shape(), plane));
    }
    renderer.gpu().wait();
    println!("first picture of all three: {:.1} ms", ms(began.elapsed()));
    scroll(&mut renderer, map, volume.shape(), 0.01);
}

fn volume(gpu: &Gpu, n: usize, px: [u32; 2]) {
    let volume = Arc::new(cell(n));
    println!("\n3D view of {n}³, {px:?} pixels");
    let map = volume.world_from_voxel().0;
    for mode in [VolumeMode::Composite, VolumeMode::Mip, VolumeMode::Iso] {
        let mut renderer = Renderer::new(gpu.clone(), wgpu::TextureFormat::Rgba8Unorm);
        renderer.set_volume(1, 1, &volume);
        let mut scene = VolumeScene::new(1, map, volume.shape(), px);
        (scene.mode, scene.window, scene.iso_value) = (mode, [0.1, 0.6], 0.4);
        scene.transfer = TransferPreset::WholeCell.function();
        let began = Instant::now();
        while renderer.prepare_volume(1, &scene).loaded < 1.0 {}
        let loaded = began.elapsed();
        let (mut frames, mut moving, began) = (0, 0.0, Instant::now());
        while began.elapsed() < Duration::from_secs(4) {
            scene.camera.rotation = DQuat::from_rotation_y(0.01 * f64::from(frames)) * scene.camera.rotation;
            // A frame is shown once its coarse picture is done.
            moving = renderer.prepare_volume(1, &scene).resolution;
            renderer.gpu().wait();
            frames += 1;
        }
        let rate = f64::from(frames) / began.elapsed().as_secs_f64();
        let (began, mut whole) = (Instant::now(), None);
        loop {
            let status = renderer.prepare_volume(1, &scene);
            if status.resolution >= 1.0 {
                whole = whole.or_else(|| Some(began.elapsed()));
            }
            if !status.needs_repaint {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        println!(
            "{mode:?}: on the device in {:.0} ms, {rate:.1} frames/s while turning at {moving:.3} of the \
             resolution, every pixel {:.2} s after, all samples {:.2} s after",
            ms(loaded),
            whole.unwrap_or_default().as_secs_f64(),
            began.elapsed().as_secs_f64()
        );
    }
}

/// Resident memory and its peak in MB, where the system tells.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    match (field("VmRSS:"), field("VmHWM:")) {
        (Some(now), Some(peak)) => format!("{} MB now, {} MB at the most", now / 1024, peak / 1024),
        _ => "unknown".to_owned(),
    }
}

fn levels(gpu: &Gpu, path: &std::path::Path) {
    let budget = MemoryBudget::from_gib(4.0);
    waterwindow::volume::BlockCache::of_process().set_budget(budget.bytes / 4);
    let began = Instant::now();
    let header = io::read_header(path).expect("a volume");
    let levels = io::open_levels(path, &io::ReadOptions::default(), &header, None, budget)
        .expect("a Zarr folder")
        .expect("several levels");
    let at = levels.pyramid.working();
    let working = levels.read(path, at, None, &Progress::new(), budget).expect("its working level");
    let opened = began.elapsed();
    let pyramid: Arc<Pyramid> = levels.into();
    let shape = pyramid.levels().first().map(|level| level.shape).unwrap_or_default();
    println!("\nBy levels: {} of {shape:?}, 4 GiB, level {at} in memory", path.display());
    println!("opened in {:.0} ms", ms(opened));
    let map = working.world_from_voxel().0;
    let working = Arc::new(working);
    let mut renderer = Renderer::new(gpu.clone(), wgpu::TextureFormat::Rgba8Unorm);
    renderer.set_volume(1, 1, &working);
    renderer.set_pyramid(1, &pyramid);
    for zoom in [1.0, 2.0, 8.0] {
        for (name, plane, _) in PLANES {
            let mut scene = slice(map, working.shape(), plane);
            scene.um_per_px /= zoom;
            let began = Instant::now();
            let mut status = renderer.prepare_slice(2, &scene);
            let first = began.elapsed();
            while status.needs_repaint {
                std::thread::sleep(Duration::from_millis(2));
                status = renderer.prepare_slice(2, &scene);
            }
            let (first, all) = (ms(first), ms(began.elapsed()));
            println!(
                "zoom {zoom} {name}: drawn in {first:.1} ms, sharp (1/{}) in {all:.0} ms",
                status.binning
            );
        }
    }
    scroll(&mut renderer, map, working.shape(), pyramid_step_um(&pyramid, map));
    println!("memory: {}", memory());
}

/// Length of an edge of the finest voxels.
fn pyramid_step_um(pyramid: &Pyramid, map: DAffine3) -> f64 {
    (map * pyramid.working_from_level(0)).matrix3.col(2).length()
}

fn main() {
    let options = options();
    let gpu = match Gpu::headless(DeviceChoice::Auto) {
        Ok(gpu) => gpu,
        Err(error) => {
            println!("no graphics device: {error}");
            return;
        }
    };
    println!("device: {}", gpu.info.name);
    match &options.zarr {
        Some(path) => levels(&gpu, path),
        None => {
            if options.size > 0 {
                slices(&gpu, options.size);
            }
            volume(&gpu, options.volume, options.volume_px);
        }
    }
}
