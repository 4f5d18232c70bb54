//! Accuracy of every method on the simulated cells, as docs/performance.md prints it.
//!
//! `cargo bench --bench reconstruction -- --table [--size N] [--seeds K] [--flux PHOTONS]`: mean LAC of the core of each class
//! against the truth, and the error of a voxel over what every view sees, at full rotation and on a flat grid.

use std::time::Instant;

use ndarray::{Array3, s};
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::kernels::projector::{ParallelGeometry, back_project, project};
use waterwindow::phantom::{self, Cell, CellKind, CellParams, ScanKind, ScanParams, build_cell};
use waterwindow::prep;
use waterwindow::recon::{Mask, Method, ReconstructParams, Report, reconstruct_rows};
use waterwindow::volume::{Alignment, TiltSeries};

/// What is asked for.
struct Options {
    size: usize,
    seeds: u64,
    flux: f64,
}

fn options(args: &[String]) -> Options {
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1));
    let number = |name: &str, default: f64| value(name).and_then(|v| v.parse().ok()).unwrap_or(default);
    Options {
        size: number("--size", 128.0) as usize,
        seeds: number("--seeds", 1.0) as u64,
        flux: number("--flux", 10_000.0),
    }
}

/// A simulated scan, normalised, with what is true of it.
struct Case {
    series: TiltSeries,
    alignment: Alignment,
    cell: Cell,
    /// Voxels in the core of each class, as positions in the volume.
    cores: Vec<Vec<usize>>,
    /// Voxels that every view sees.
    seen: Vec<bool>,
}

fn case(kind: CellKind, scan: ScanKind, options: &Options, seed: u64, noise: bool) -> Option<Case> {
    let progress = Progress::new();
    let size = options.size;
    let cell = build_cell(&progress, &CellParams { kind, scan, size, beads: 0, seed }).ok()?;
    let params = ScanParams { noise, seed, flux: options.flux, ..ScanParams::default() };
    let simulated = phantom::scan(&progress, &cell, &params).ok()?;
    let (series, _) = prep::normalize(&progress, &simulated.scan, &prep::NormalizeParams::default()).ok()?;
    let middle = (size as f64 - 1.0) / 2.0;
    let labels = cell.labels.values();
    let (mut cores, mut seen) = (vec![Vec::new(); 8], vec![false; labels.len()]);
    for (at, ((z, y, x), label)) in cell.labels.data.indexed_iter().enumerate() {
        seen[at] = match scan {
            ScanKind::Full => (z as f64 - middle).hypot(x as f64 - middle) <= middle - 1.0,
            ScanKind::Grid => cell.slab_lac[z] > 0.0 && x > size / 8 && x < size - size / 8,
        };
        let inner = |i: usize| i >= 2 && i + 2 < size;
        if !seen[at] || !inner(z) || !inner(y) || !inner(x) {
            continue;
        }
        let around = [at - 1, at + 1, at - size, at + size, at - size * size, at + size * size];
        if around.iter().all(|i| labels[*i] == *label) {
            cores[usize::from(*label)].push(at);
        }
    }
    let alignment = Alignment::identity(&series.angles_deg);
    Some(Case { series, alignment, cell, cores, seen })
}

fn reconstruct(case: &Case, params: &ReconstructParams) -> Option<(Vec<f32>, Report, f64)> {
    let rows = params.rows(case.series.n_rows());
    let budget = MemoryBudget::from_gib(16.0);
    let begun = Instant::now();
    let (volume, report) =
        reconstruct_rows(&Progress::new(), &case.series, &case.alignment, params, budget, rows).ok()?;
    let seconds = begun.elapsed().as_secs_f64();
    let n = case.series.n_cols();
    let depth = volume.data.dim().0;
    let mut cube = Array3::zeros((n, n, n));
    cube.slice_mut(s![(n - depth) / 2..(n - depth) / 2 + depth, .., ..]).assign(&volume.data);
    Some((cube.into_raw_vec_and_offset().0, report, seconds))
}

/// Prints one line: error of a voxel, bias of each class, of the whole cell, seconds.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn line(name: &str, case: &Case, params: &ReconstructParams) {
    let Some((found, report, seconds)) = reconstruct(case, params) else { return };
    let truth = case.cell.lac.values();
    let (mut sum, mut n) = (0.0, 0usize);
    for ((found, truth), seen) in found.iter().zip(truth).zip(&case.seen) {
        if *seen {
            sum += f64::from(found - truth).powi(2);
            n += 1;
        }
    }
    let mean = |of: &[f32], at: &[usize]| at.iter().map(|i| f64::from(of[*i])).sum::<f64>() / at.len() as f64;
    let bias = |at: &[usize]| {
        if at.len() < 20 {
            return "      -".to_owned();
        }
        format!("{:+6.1}%", 100.0 * (mean(&found, at) / mean(truth, at) - 1.0))
    };
    let cell: Vec<usize> = case.cores[1..].iter().flatten().copied().collect();
    let classes: Vec<String> = case.cores.iter().map(|core| bias(core)).collect();
    let steps = report.iterations.map_or(String::new(), |n| format!("{n} steps"));
    println!(
        "{name:34} {:.4} {} {} {seconds:6.2} s {steps}",
        (sum / n.max(1) as f64).sqrt(),
        classes.join(" "),
        bias(&cell)
    );
}

/// |⟨Ax, y⟩ - ⟨x, Aᵀy⟩| / (|Ax| |y|) of the projector pair at 1024 columns, 131 views.
fn adjoint() -> Option<f64> {
    let angles: Vec<f64> = (-65..=65).map(f64::from).collect();
    let mut geometry = ParallelGeometry::new(&angles, 1024);
    geometry.depth = 300;
    let grain = |a: usize, b: usize| ((a * 7919 + b * 104_729) % 1009) as f32 / 1009.0 - 0.3;
    let x = Array3::from_shape_fn((300, 1, 1024), |(z, _, x)| grain(z, x));
    let y = Array3::from_shape_fn((131, 1, 1024), |(v, _, u)| grain(v + 17, u));
    let ax = project(&Progress::new(), &geometry, x.view()).ok()?;
    let aty = back_project(&Progress::new(), &geometry, y.view()).ok()?;
    let dot = |a: &Array3<f32>, b: &Array3<f32>| {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    Some((dot(&ax, &y) - dot(&x, &aty)).abs() / (dot(&ax, &ax) * dot(&y, &y)).sqrt())
}

/// Runs everything and prints it.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
pub(crate) fn table(args: &[String]) {
    let options = options(args);
    if let Some(error) = adjoint() {
        println!("projector pair, 300 × 1024 from 131 views: adjoint to {error:.1e}");
    }
    let of = |method| ReconstructParams { method, ..ReconstructParams::default() };
    for (kind, name) in [(CellKind::Yeast, "yeast"), (CellKind::Lymphocyte, "lymphocyte")] {
        for seed in 0..options.seeds {
            for noise in [false, true] {
                let Some(case) = case(kind, ScanKind::Full, &options, seed, noise) else { continue };
                println!("\n{name} {seed}, full rotation, noise {noise}, {}³", options.size);
                println!(
                    "{:34} RMSE, bias of ice, cytoplasm, euchromatin, heterochromatin, nucleolus, mitochondria, lipid, vacuoles, cell",
                    ""
                );
                for method in [Method::Fbp, Method::Sirt, Method::Cgls, Method::Tv] {
                    line(&format!("{method:?}"), &case, &of(method));
                }
            }
            let Some(case) = case(kind, ScanKind::Grid, &options, seed, true) else { continue };
            let slab = case.cell.slab_lac.iter().filter(|v| **v > 0.0).count();
            println!(
                "\n{name} {seed}, flat grid of ±65°, slab of {slab} voxels, noise true, {}³",
                options.size
            );
            let thick = |params: ReconstructParams| ReconstructParams { thickness: Some(slab), ..params };
            line("FBP", &case, &thick(of(Method::Fbp)));
            for (name, iterations) in [("SIRT, 100 sweeps", 20), ("SIRT, 200 sweeps", 40)] {
                let sirt =
                    ReconstructParams { iterations: Some(iterations), subsets: Some(5), ..of(Method::Sirt) };
                line(name, &case, &thick(sirt.clone()));
                line(
                    &format!("{name}, minimum of ice"),
                    &case,
                    &thick(ReconstructParams { minimum: Some(0.098), ..sirt }),
                );
            }
            line("CGLS", &case, &thick(of(Method::Cgls)));
            line("total variation", &case, &thick(of(Method::Tv)));
            for method in [Method::Sirt, Method::Cgls, Method::Tv] {
                let params = ReconstructParams { mask: Mask::Slab, ..of(method) };
                line(&format!("{method:?}, slab found"), &case, &params);
            }
            line("SIRT, nothing bounds the sample", &case, &of(Method::Sirt));
        }
    }
}
