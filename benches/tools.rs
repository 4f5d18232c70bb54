//! Speed of the segmenting tools and of the kernels below them, as a table.
//!
//! A synthetic lymphocyte, its linear absorption coefficients blurred and with noise; every tool with its defaults
//! on the whole volume, the best of three runs in wall time. `--labels FILE` takes other labels for the kernels, so
//! that other programs can be measured on the same.
//! `cargo bench --no-default-features --bench tools -- [--size N] [--labels FILE] [--filters]`; the last for filters alone.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot make its data stops")]

use std::path::PathBuf;
use std::time::Instant;

use ndarray::Array3;
use waterwindow::base::{MemoryBudget, Progress, Unit};
use waterwindow::filter::{FilterMethod, FilterParams, filter};
use waterwindow::io;
use waterwindow::kernels::components::{Connectivity, components};
use waterwindow::kernels::distance::distance_to;
use waterwindow::kernels::smooth::gaussian;
use waterwindow::mesh::{Frame, MeshParams, mesh_classes};
use waterwindow::phantom::{CellKind, CellParams, ScanKind, build_cell};
use waterwindow::segment::{
    CleanOperation, CleanParams, EnvelopeParams, InterpolateParams, SplitParams, ThresholdMethod,
    ThresholdParams, WatershedParams, clean, envelope, interpolate, split, threshold, watershed,
};
use waterwindow::volume::{ClassTable, Volume};

const RUNS: usize = 3;

/// Prints the least seconds of a few runs.
fn timed<R>(name: &str, mut work: impl FnMut(&Progress) -> R) -> R {
    let mut best = f64::INFINITY;
    let mut result = None;
    for _ in 0..RUNS {
        let start = Instant::now();
        let done = work(&Progress::new());
        best = best.min(start.elapsed().as_secs_f64());
        result = Some(done);
    }
    println!("{name:44} {best:8.3} s");
    result.expect("at least one run")
}

fn options() -> (usize, Option<PathBuf>, bool) {
    let (mut size, mut labels, mut only_filters) = (256, None, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--size" => size = args.next().and_then(|text| text.parse().ok()).unwrap_or(size),
            "--filters" => only_filters = true,
            "--labels" => labels = args.next().map(PathBuf::from),
            // Cargo adds --bench; anything else is none of ours either.
            _ => {}
        }
    }
    (size, labels, only_filters)
}

/// Filters: Gaussian of 2 voxels, medians of 3³ and 5³, non-local means of 3³ within 5 voxels, and the others.
fn filters(volume: &Volume<f32>) {
    let of = |method| FilterParams { method, sigma: 2.0, ..FilterParams::default() };
    let run = |name: &str, params: FilterParams| {
        timed(name, |p| filter(p, &volume.data.view(), volume.voxel_um, &params).expect("good parameters"));
    };
    run("filter, Gaussian 2", of(FilterMethod::Gaussian));
    run("filter, median 3³", of(FilterMethod::Median));
    run("filter, median 5³", FilterParams { radius: 2, ..of(FilterMethod::Median) });
    run("filter, non-local means 3³ within 5", of(FilterMethod::NonLocalMeans));
    run("filter, bilateral 1", FilterParams { sigma: 1.0, ..of(FilterMethod::Bilateral) });
    run("filter, diffusion of 10 steps", of(FilterMethod::Diffusion));
}

/// Surfaces of all classes: cut alone, and smoothed with the volume kept.
fn meshes(labels: &Array3<u16>) {
    let mut ids: Vec<u16> = labels.iter().copied().filter(|id| *id != 0).collect();
    ids.sort_unstable();
    ids.dedup();
    let classes = ClassTable::default().with_ids(ids).classes;
    let frame = Frame { voxel_um: [0.03; 3], origin_um: [0.0; 3] };
    for (name, smoothing_voxels, iterations) in
        [("surfaces of classes, cut alone", 0.0, 0), ("surfaces of classes, smoothed", 0.8, 10)]
    {
        let params = MeshParams { smoothing_voxels, iterations, ..MeshParams::default() };
        let found = timed(name, |progress| {
            mesh_classes(progress, &labels.view(), &classes, frame, &params).expect("some voxels")
        });
        let n: usize = found.iter().map(|mesh| mesh.triangles.len()).sum();
        let worst = found.iter().map(|mesh| mesh.volume_error().abs()).fold(0.0, f64::max);
        println!("{:44} {n} triangles, volume within {:.3} %", "", worst * 100.0);
    }
}

fn kernels(labels: &Array3<u16>) {
    meshes(labels);
    let found = timed("connected components, corners", |progress| {
        components(progress, &labels.view(), Connectivity::Corners).expect("few runs")
    });
    println!("  {} components", found.len());
    timed("connected components, faces", |progress| {
        components(progress, &labels.view(), Connectivity::Faces).expect("few runs")
    });
    timed("distance to what is labelled", |progress| {
        distance_to(progress, &labels.view(), |id| id != 0, [1.0; 3]).expect("not cancelled")
    });
    timed("distance to what is not labelled, edges differ", |progress| {
        distance_to(progress, &labels.view(), |id| id == 0, [3.0, 2.0, 1.0]).expect("not cancelled")
    });
}

fn main() {
    let (size, file, only_filters) = options();
    let progress = Progress::new();
    let params = CellParams { kind: CellKind::Lymphocyte, scan: ScanKind::Full, size, beads: 0, seed: 0 };
    let cell = build_cell(&progress, &params).expect("the size is in range");
    let labels = cell.labels.data;
    let mut data = gaussian(&progress, cell.lac.data.view(), [0.8; 3]).expect("not cancelled");
    let mut state = 1u32;
    data.mapv_inplace(|v| {
        let uniform = |state: &mut u32| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (*state >> 8) as f32 / 16_777_216.0
        };
        v + 0.03 * ((0..4).map(|_| uniform(&mut state)).sum::<f32>() - 2.0)
    });
    let volume = Volume::new(data, Some([cell.voxel_um; 3]), Unit::PerUm);
    println!("{size}³ voxels, {} threads, best of {RUNS}", rayon::current_num_threads());
    filters(&volume);
    if only_filters {
        return;
    }
    match file {
        Some(file) => {
            let read =
                io::read_labels(&file, &io::ReadOptions::default(), &progress, MemoryBudget::from_system())
                    .expect("a label volume");
            kernels(&read.volume.data);
        }
        None => kernels(&labels),
    }
    timed("threshold, otsu", |p| {
        threshold(p, &volume, None, &ThresholdParams::default()).expect("two classes")
    });
    let chromatin = ThresholdParams { method: ThresholdMethod::Chromatin, ..ThresholdParams::default() };
    let nucleus = labels.mapv(|id| u16::from((2..=4).contains(&id)));
    timed("threshold, chromatin", |p| {
        threshold(p, &volume, Some(nucleus.view()), &chromatin).expect("a nucleus")
    });
    use CleanOperation::{Close, FillHoles, RemoveIslands, Smooth};
    for operation in [FillHoles, RemoveIslands, Close, Smooth] {
        let params = CleanParams { operation, ..CleanParams::default() };
        let name = format!("clean, {operation:?}");
        timed(&name, |p| clean(p, &labels.view(), volume.voxel_um, &params).expect("good parameters"));
    }
    let mut painted = labels.clone();
    for (z, mut slice) in painted.outer_iter_mut().enumerate() {
        if z % 8 != 0 {
            slice.fill(0);
        }
    }
    timed("interpolate, every eighth slice", |p| {
        interpolate(p, &painted.view(), volume.voxel_um, &InterpolateParams::default()).expect("slices")
    });
    timed("split by distance, all classes", |p| {
        split(p, &labels.view(), u32::from, volume.voxel_um, None, &SplitParams::default()).expect("objects")
    });
    timed("watershed of the gradient, no markers", |p| {
        watershed(p, &volume, None, None, &WatershedParams { scale: 2.0, ..WatershedParams::default() })
            .map(|found| found.n)
    })
    .expect("few basins");
    timed("watershed of the gradient, painted slices", |p| {
        watershed(p, &volume, Some(painted.view()), None, &WatershedParams::default()).expect("markers")
    });
    let found = timed("surface, from values", |p| {
        envelope(p, &volume, None, None, None, &EnvelopeParams::default()).expect("a cell")
    });
    println!("  {} rounds", found.rounds);
}
