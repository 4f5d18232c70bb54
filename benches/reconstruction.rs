//! Speed of the projector pair, the filter, FBP and SIRT; accuracy of every method with `-- --table`;
//! a graphics card beside the processor with `-- --card`.
//!
//! `cargo bench --bench reconstruction`; figures and method in docs/performance.md. Throughput of the
//! projectors is in voxel updates (one voxel or ray step, one view, one row) on one thread.

#[path = "reconstruction/card.rs"]
mod card;
#[path = "reconstruction/table.rs"]
mod table;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group};
use ndarray::Array3;
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::kernels::filter::{Beyond, RampFilter, Window};
use waterwindow::kernels::lanes::{LANES, Lanes};
use waterwindow::kernels::projector::{Footprint, ParallelGeometry, SlabProjector};
use waterwindow::recon::{Method, ReconstructParams, reconstruct};
use waterwindow::volume::{Alignment, TiltSeries};

fn half_turn(n: usize) -> Vec<f64> {
    (0..n).map(|i| -90.0 + 180.0 * i as f64 / n as f64).collect()
}

/// Projections of a cylinder with a grain.
fn series(n_views: usize, n: usize) -> TiltSeries {
    let data = Array3::from_shape_fn((n_views, n, n), |(v, y, x)| {
        let d = (x as f32 - n as f32 / 2.0) / (0.4 * n as f32);
        let grain = 1.0 + ((v * 7 + y * 13 + x * 5) % 11) as f32 * 0.01;
        (1.0 - d * d).max(0.0).sqrt() * grain
    });
    TiltSeries { data, angles_deg: half_turn(n_views), pixel_um: Some(0.03), energy_ev: Some(520.0) }
}

fn projectors(criterion: &mut Criterion) {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let Ok(one) = one else { return };
    for (n, n_views) in [(256, 180), (1024, 131)] {
        let geometry = ParallelGeometry::new(&half_turn(n_views), n);
        let projector = SlabProjector::new(&geometry);
        let (mut section, mut sinogram) = (projector.new_section(), projector.new_sinogram());
        for z in 0..n {
            section.line_mut(z).fill(Lanes([1.0; LANES]));
        }
        let progress = Progress::new();
        let mut group = criterion.benchmark_group(format!("slab of 16 rows, {n}² from {n_views} views"));
        group.throughput(Throughput::Elements(geometry.updates_per_row() * LANES as u64));
        group.sample_size(10).measurement_time(Duration::from_secs(5));
        group.bench_function("project", |b| {
            b.iter(|| one.install(|| projector.project(&progress, &section, &mut sinogram, |_, _| ())));
        });
        for footprint in [Footprint::Matched, Footprint::Linear] {
            group.bench_function(format!("back project, {footprint:?}"), |b| {
                b.iter(|| {
                    one.install(|| projector.back_project(&progress, footprint, &sinogram, &mut section))
                });
            });
        }
        group.finish();
    }
}

fn filter(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ramp filter");
    for n in [256, 1024, 2048] {
        let filter = RampFilter::new(n, Window::Hann, 1.0, 4, Beyond::Zero);
        let row: Vec<f32> = (0..n).map(|i| (i % 17) as f32).collect();
        let (mut out, mut scratch) = (vec![0.0; n], filter.scratch());
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(format!("row of {n}"), |b| {
            b.iter(|| filter.apply(black_box(&row), 1.0, &mut out, &mut scratch));
        });
    }
    group.finish();
}

fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("from 180 views, all cores");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    for n in [128, 256] {
        let series = series(180, n);
        let alignment = Alignment::identity(&series.angles_deg);
        let sweep = ReconstructParams {
            method: Method::Sirt,
            iterations: Some(1),
            subsets: Some(1),
            ..ReconstructParams::default()
        };
        for (name, params) in [("FBP", ReconstructParams::default()), ("one SIRT sweep", sweep)] {
            group.bench_function(format!("{name}, {n}³"), |b| {
                b.iter(|| {
                    reconstruct(&Progress::new(), &series, &alignment, &params, MemoryBudget::from_gib(8.0))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, projectors, filter, whole);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|arg| arg == "--table") {
        table::table(&args);
        return;
    }
    if args.iter().any(|arg| arg == "--card") {
        card::card(&args);
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
