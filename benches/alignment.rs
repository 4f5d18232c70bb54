//! How well simulated scans are aligned: `cargo bench --no-default-features --bench alignment`.
//!
//! One line a scan: residual of the shifts along y and x after taking out what no alignment can know, error of the
//! axis, of its direction, score, seconds. `-- --size N`, `--seeds K`, `--only WORD` (full, limited, beads, wrong,
//! turned, axis) choose. Figures and method in docs/performance.md.
#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::time::Instant;

use waterwindow::align::{AlignParams, Method, align, fit_tracks};
use waterwindow::base::Progress;
use waterwindow::phantom::{
    Cell, CellKind, CellParams, ScanKind, ScanParams, SimulatedScan, build_cell, scan,
};
use waterwindow::prep::{NormalizeParams, normalize};
use waterwindow::volume::{Alignment, TiltSeries};

/// What is simulated.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    scan: ScanKind,
    beads: usize,
    method: Method,
    jitter_px: f64,
    axis_offset_px: f64,
}

const CASES: [Case; 6] = [
    Case {
        name: "full",
        scan: ScanKind::Full,
        beads: 0,
        method: Method::Auto,
        jitter_px: 3.0,
        axis_offset_px: 5.0,
    },
    Case {
        name: "axis",
        scan: ScanKind::Full,
        beads: 0,
        method: Method::Axis,
        jitter_px: 0.0,
        axis_offset_px: 5.0,
    },
    Case {
        name: "limited",
        scan: ScanKind::Grid,
        beads: 0,
        method: Method::Auto,
        jitter_px: 3.0,
        axis_offset_px: 0.0,
    },
    Case {
        name: "beads",
        scan: ScanKind::Grid,
        beads: 8,
        method: Method::Fiducial,
        jitter_px: 3.0,
        axis_offset_px: 3.0,
    },
    Case {
        name: "four",
        scan: ScanKind::Grid,
        beads: 4,
        method: Method::Fiducial,
        jitter_px: 3.0,
        axis_offset_px: 3.0,
    },
    Case {
        name: "full-beads",
        scan: ScanKind::Full,
        beads: 8,
        method: Method::Fiducial,
        jitter_px: 3.0,
        axis_offset_px: 5.0,
    },
];

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let option = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1));
    let size = option("--size").and_then(|w| w.parse().ok()).unwrap_or(256);
    let seeds: u64 = option("--seeds").and_then(|w| w.parse().ok()).unwrap_or(3);
    let only = option("--only");
    println!(
        "scan, cell, seed, rms y px, rms x px, largest px, axis px, axis direction deg, score, s, method"
    );
    for case in CASES.iter().filter(|case| only.is_none_or(|word| case.name == word)) {
        for kind in [CellKind::Yeast, CellKind::Lymphocyte] {
            for seed in 1..=seeds {
                run(case, kind, size, seed);
            }
        }
    }
}

fn simulate(
    case: &Case,
    kind: CellKind,
    size: usize,
    seed: u64,
) -> Option<(Cell, SimulatedScan, TiltSeries)> {
    let progress = Progress::new();
    let params = CellParams { kind, scan: case.scan, size, beads: case.beads, seed };
    let cell = build_cell(&progress, &params).ok()?;
    let params = ScanParams {
        jitter_px: case.jitter_px,
        axis_offset_px: case.axis_offset_px,
        seed,
        ..ScanParams::default()
    };
    let simulated = scan(&progress, &cell, &params).ok()?;
    let (series, _) = normalize(&progress, &simulated.scan, &NormalizeParams::default()).ok()?;
    Some((cell, simulated, series))
}

fn run(case: &Case, kind: CellKind, size: usize, seed: u64) {
    let Some((_, simulated, series)) = simulate(case, kind, size, seed) else { return };
    let params = AlignParams { method: case.method, ..AlignParams::default() };
    let begun = Instant::now();
    let found = match align(&Progress::new(), &series, None, &params) {
        Ok(found) => found,
        Err(error) => return println!("{}, {kind:?}, {seed}: {error}", case.name),
    };
    let seconds = begun.elapsed().as_secs_f64();
    for note in &found.notes {
        println!("  {note}");
    }
    let extra = if case.method == Method::Axis { axis_error(&found.alignment, case) } else { f64::NAN };
    report(case.name, kind, seed, &found.alignment, &simulated.truth.shifts_yx, extra, seconds);
    if let Some(beads) = found.alignment.beads.as_ref() {
        let kept: Vec<_> = beads.beads.iter().filter_map(|bead| bead.residual_px).collect();
        println!("  beads {} kept {}: {kept:.3?}", beads.beads.len(), kept.len());
        wrong_tracks(case, kind, seed, &series, &found.alignment, &simulated.truth.shifts_yx);
    }
}

fn axis_error(found: &Alignment, case: &Case) -> f64 {
    found.views.iter().map(|view| view.shift_x_px).sum::<f64>() / found.views.len() as f64
        - case.axis_offset_px
}

/// The same beads with a tenth of the points far off and one bead that wanders.
fn wrong_tracks(
    case: &Case,
    kind: CellKind,
    seed: u64,
    series: &TiltSeries,
    found: &Alignment,
    truth: &[[f64; 2]],
) {
    let Some(tracks) = &found.beads else { return };
    let mut wrong = tracks.clone();
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    for point in wrong.beads.iter_mut().flat_map(|bead| &mut bead.points) {
        if random() < 0.1 {
            let angle = std::f64::consts::TAU * random();
            let far = 4.0 + 30.0 * random();
            point.y += far * angle.sin();
            point.x += far * angle.cos();
        }
    }
    let begun = Instant::now();
    let start = Alignment::identity(&series.angles_deg);
    let Ok(again) = fit_tracks(&wrong, &start, [series.n_rows(), series.n_cols()]) else { return };
    report("  10 % wrong", kind, seed, &again, truth, f64::NAN, begun.elapsed().as_secs_f64());
    if wrong.beads.len() > 4 {
        // One bead becomes another one halfway.
        let other = wrong.beads[1].clone();
        let half = series.n_views() / 2;
        for point in &mut wrong.beads[0].points {
            if let Some(there) = other.point(point.view).filter(|_| point.view > half) {
                (point.y, point.x) = (there.y, there.x);
            }
        }
        let begun = Instant::now();
        let Ok(again) = fit_tracks(&wrong, &start, [series.n_rows(), series.n_cols()]) else { return };
        report("  and one bead of 8", kind, seed, &again, truth, f64::NAN, begun.elapsed().as_secs_f64());
    }
    let _ = case;
}

/// Shifts in the frame of the volume: what is left is compared with the truth.
fn report(
    name: &str,
    kind: CellKind,
    seed: u64,
    found: &Alignment,
    truth: &[[f64; 2]],
    extra: f64,
    seconds: f64,
) {
    let used = found.used_indices();
    let off = |axis: usize| -> Vec<f64> {
        used.iter()
            .map(|&v| {
                let view = &found.views[v];
                (if axis == 0 { view.shift_y_px } else { view.shift_x_px }) - truth[v][axis]
            })
            .collect()
    };
    let angles: Vec<f64> = used.iter().map(|&v| found.views[v].angle_deg.to_radians()).collect();
    let (y, x) = (off(0), off(1));
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let y: Vec<f64> = y.iter().map(|v| v - mean).collect();
    let (x, axis) = without_sinusoid(&angles, &x);
    let rms = |v: &[f64]| (v.iter().map(|v| v * v).sum::<f64>() / v.len() as f64).sqrt();
    let largest = y.iter().chain(&x).fold(0.0f64, |m, v| m.max(v.abs()));
    let axis = if extra.is_nan() { axis } else { extra };
    let rotation = used.iter().map(|&v| found.views[v].rotation_deg).sum::<f64>() / used.len() as f64;
    println!(
        "{name}, {kind:?}, {seed}, {:.3}, {:.3}, {largest:.3}, {axis:.3}, {rotation:.3}, {:.4}, {seconds:.2}, {}",
        rms(&y),
        rms(&x),
        found.score.unwrap_or(f64::NAN),
        found.method.split(';').next().unwrap_or("")
    );
}

/// Residual of the least squares fit of `a cos θ + b sin θ + c`, and c: the error of the axis.
fn without_sinusoid(angles: &[f64], values: &[f64]) -> (Vec<f64>, f64) {
    let mut normal = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for (angle, value) in angles.iter().zip(values) {
        let row = [angle.cos(), angle.sin(), 1.0];
        for i in 0..3 {
            right[i] += row[i] * value;
            for j in 0..3 {
                normal[i][j] += row[i] * row[j];
            }
        }
    }
    let Some(inverse) = waterwindow::kernels::registration::inverse(normal) else {
        return (values.to_vec(), f64::NAN);
    };
    let [a, b, c]: [f64; 3] = std::array::from_fn(|i| (0..3).map(|j| inverse[i][j] * right[j]).sum());
    let rest = angles.iter().zip(values).map(|(t, v)| v - a * t.cos() - b * t.sin() - c).collect();
    (rest, c)
}
