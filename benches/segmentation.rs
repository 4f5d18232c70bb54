//! Accuracy and speed of segmentation from a few strokes, as a table.
//!
//! For each cell and seed the demo microscope scans a synthetic cell (full rotation, 180 views, photon noise),
//! filtered back-projection reconstructs it, five slices are scribbled with short random strokes, two per class
//! and slice, and the whole volume is segmented; several sets of strokes on each. Printed are the Dice coefficient
//! of every class and the seconds of each stage.
//! `cargo bench --no-default-features --bench segmentation -- [--size N] [--seeds K] [--strokes K] [--grid]`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot make its data stops")]

use std::time::Instant;

use ndarray::Array3;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::phantom::{CellKind, CellParams, ScanKind, ScanParams, build_cell, scan};
use waterwindow::prep::{NormalizeParams, normalize};
use waterwindow::recon::{ReconstructParams, reconstruct};
use waterwindow::segment::{FeatureCache, Scribbles, SegmentParams, supervoxels, train};
use waterwindow::volume::{Alignment, Volume};

/// Classes of a synthetic cell, and the first that is an organelle.
const N_CLASSES: usize = 8;
const FIRST_ORGANELLE: usize = 2;

struct Options {
    size: usize,
    seeds: u64,
    strokes: u64,
    scan: ScanKind,
}

fn options() -> Options {
    let mut options = Options { size: 256, seeds: 3, strokes: 2, scan: ScanKind::Full };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|text| text.parse::<usize>().ok());
        match arg.as_str() {
            "--size" => options.size = number().unwrap_or(options.size),
            "--seeds" => options.seeds = number().unwrap_or(3) as u64,
            "--strokes" => options.strokes = number().unwrap_or(2) as u64,
            "--grid" => options.scan = ScanKind::Grid,
            // Cargo adds --bench; anything else is none of ours either.
            _ => {}
        }
    }
    options
}

/// A cell as the demo microscope sees it: reconstruction and true labels.
fn demo(options: &Options, kind: CellKind, seed: u64) -> (Volume<f32>, Array3<u16>) {
    let progress = Progress::new();
    let params = CellParams { kind, scan: options.scan, size: options.size, beads: 0, seed };
    let cell = build_cell(&progress, &params).expect("the size is in range");
    let counts = scan(&progress, &cell, &ScanParams { seed, ..ScanParams::default() }).expect("defaults");
    let (series, _) = normalize(&progress, &counts.scan, &NormalizeParams::default()).expect("a good scan");
    let alignment = Alignment::identity(&series.angles_deg);
    let budget = MemoryBudget::from_system();
    let volume = reconstruct(&progress, &series, &alignment, &ReconstructParams::default(), budget)
        .expect("a good series");
    (volume, cell.labels.data)
}

/// Short strokes inside each class on a few slices, as a person would paint them: class k becomes k + 1.
fn scribble(labels: &Array3<u16>, seed: u64) -> Array3<u16> {
    const SLICES: usize = 5;
    const STROKES: usize = 2;
    const LENGTH: usize = 10;
    let (nz, ny, nx) = labels.dim();
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut map = Array3::zeros(labels.dim());
    for slice in 0..SLICES {
        let z = ((0.3 + 0.1 * slice as f64) * nz as f64) as usize;
        for class in 0..N_CLASSES as u16 {
            let is_class = |y: usize, x: usize| labels[[z, y, x]] == class;
            let is_inside = |y: usize, x: usize| {
                (1..ny - 1).contains(&y)
                    && (1..nx - 1).contains(&x)
                    && [(y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                        .iter()
                        .all(|p| is_class(p.0, p.1))
            };
            let all = || (0..ny).flat_map(|y| (0..nx).map(move |x| (y, x)));
            let mut points: Vec<_> = all().filter(|p| is_inside(p.0, p.1)).collect();
            let eroded = points.len() >= 4;
            if !eroded {
                points = all().filter(|p| is_class(p.0, p.1)).collect();
            }
            if points.is_empty() {
                continue;
            }
            for _ in 0..STROKES {
                let (y, x) = points[rng.random_range(0..points.len())];
                let angle = rng.random_range(0.0..std::f64::consts::TAU);
                for step in 0..LENGTH {
                    let yy = (y as f64 + step as f64 * angle.sin()).round();
                    let xx = (x as f64 + step as f64 * angle.cos()).round();
                    if yy < 0.0 || xx < 0.0 || yy >= ny as f64 || xx >= nx as f64 {
                        break;
                    }
                    let (yy, xx) = (yy as usize, xx as usize);
                    if !(if eroded { is_inside(yy, xx) } else { is_class(yy, xx) }) {
                        break;
                    }
                    map[[z, yy, xx]] = class + 1;
                }
            }
        }
    }
    map
}

fn dice(truth: &Array3<u16>, found: &Array3<u16>) -> [f64; N_CLASSES] {
    let mut counts = [[0u64; 3]; N_CLASSES];
    for (t, f) in truth.iter().zip(found) {
        let f = f.wrapping_sub(1);
        counts[*t as usize][0] += 1;
        if let Some(count) = counts.get_mut(f as usize) {
            count[1] += 1;
            count[2] += u64::from(f == *t);
        }
    }
    counts.map(|[t, f, both]| 2.0 * both as f64 / (t + f).max(1) as f64)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// One volume, one set of strokes: prints its row and gives the Dice of every class.
fn row(name: &str, cache: &FeatureCache, truth: &Array3<u16>, seed: u64, before: &str) -> [f64; N_CLASSES] {
    let map = scribble(truth, seed);
    let strokes = Scribbles::from_map(map.view());
    let training = SegmentParams::default().training().expect("defaults");
    let start = Instant::now();
    let (_, prediction) = train(&Progress::new(), cache, &strokes, &training, seed).expect("good strokes");
    let trained = start.elapsed();
    let start = Instant::now();
    let labels = prediction.labels(&cache.regions, Some(&strokes));
    let painted = start.elapsed();
    let scores = dice(truth, &labels);
    println!(
        "{name:<12} {seed:>7} {:>7} | {} | {:.3}      {:.3} | {before} {:.2}          {:.2}",
        strokes.voxels().len(),
        scores.map(|s| format!("{s:.3}")).join(" "),
        mean(&scores[FIRST_ORGANELLE..]),
        mean(&scores),
        trained.as_secs_f64(),
        painted.as_secs_f64(),
    );
    scores
}

fn main() {
    let options = options();
    println!(
        "cell         strokes painted | ice   cyto  euchr heter nucle mito  lipid vacuo | organelles all   | SLIC   graph+features train+predict labels [s]"
    );
    let mut rows = Vec::new();
    for kind in [CellKind::Yeast, CellKind::Lymphocyte] {
        for seed in 0..options.seeds {
            let (volume, truth) = demo(&options, kind, seed);
            let progress = Progress::new();
            let recipe = SegmentParams::default().recipe();
            let start = Instant::now();
            let regions = supervoxels(&progress, &volume, None, &recipe.supervoxels).expect("a good volume");
            let slic = start.elapsed();
            drop(regions);
            let start = Instant::now();
            let cache = FeatureCache::build(&progress, &volume, None, &recipe).expect("a good volume");
            let features = start.elapsed().saturating_sub(slic);
            let before = format!("{:<6.2} {:<14.2}", slic.as_secs_f64(), features.as_secs_f64());
            let name = format!("{kind:?} {seed}");
            for strokes in 0..options.strokes {
                rows.push(row(&name, &cache, &truth, strokes, &before));
            }
        }
    }
    let of_class: [f64; N_CLASSES] =
        std::array::from_fn(|c| mean(&rows.iter().map(|r| r[c]).collect::<Vec<_>>()));
    let organelles: Vec<f64> = rows.iter().map(|r| mean(&r[FIRST_ORGANELLE..])).collect();
    println!(
        "mean                         | {} | {:.3}      {:.3}",
        of_class.map(|s| format!("{s:.3}")).join(" "),
        mean(&organelles),
        mean(&of_class),
    );
    println!("least organelles: {:.3}", organelles.iter().copied().fold(f64::INFINITY, f64::min));
}
