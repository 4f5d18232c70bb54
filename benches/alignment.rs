//! How well simulated scans are aligned: `cargo bench --no-default-features --bench alignment`.
//!
//! One line a scan: residual of the shifts along y and x after taking out what no alignment can know, error of the
//! axis, of its direction, score, seconds. `-- --size N`, `--seeds K`, `--only NAME` choose. Figures and method in docs/performance.md.
#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::time::Instant;

use ndarray::s;
use waterwindow::align::{AlignParams, Method, align, fit_tracks};
use waterwindow::base::Progress;
use waterwindow::kernels::turn::Turn;
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
    /// In-plane rotation of all views in degrees.
    turn_deg: f64,
    /// Only the middle of the views, an edge of this share of theirs: the sample reaches beyond on all sides.
    middle: f64,
}

const PLAIN: Case = Case {
    name: "",
    scan: ScanKind::Grid,
    beads: 0,
    method: Method::Auto,
    jitter_px: 3.0,
    axis_offset_px: 0.0,
    turn_deg: 0.0,
    middle: 1.0,
};

const CASES: [Case; 12] = [
    Case { name: "full", scan: ScanKind::Full, axis_offset_px: 5.0, ..PLAIN },
    Case { name: "full turned", scan: ScanKind::Full, axis_offset_px: 5.0, turn_deg: 0.7, ..PLAIN },
    Case {
        name: "axis",
        scan: ScanKind::Full,
        method: Method::Axis,
        jitter_px: 0.0,
        axis_offset_px: 5.0,
        ..PLAIN
    },
    Case { name: "axis limited", method: Method::Axis, jitter_px: 0.0, axis_offset_px: 5.0, ..PLAIN },
    Case { name: "limited", ..PLAIN },
    Case { name: "limited turned", turn_deg: -0.7, ..PLAIN },
    Case { name: "cropped", middle: 0.4, ..PLAIN },
    Case { name: "cropped patch", middle: 0.4, method: Method::Patch, ..PLAIN },
    Case { name: "beads", beads: 8, method: Method::Fiducial, axis_offset_px: 3.0, ..PLAIN },
    Case { name: "beads turned", beads: 8, method: Method::Fiducial, turn_deg: 1.2, ..PLAIN },
    Case { name: "four beads", beads: 4, method: Method::Fiducial, axis_offset_px: 3.0, ..PLAIN },
    Case {
        name: "full beads",
        scan: ScanKind::Full,
        beads: 8,
        method: Method::Fiducial,
        axis_offset_px: 5.0,
        ..PLAIN
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
    Some((cell, simulated, changed(series, case)))
}

/// Views turned in their plane and cut down to their middle.
fn changed(mut series: TiltSeries, case: &Case) -> TiltSeries {
    if case.turn_deg != 0.0 {
        let (sin, cos) = case.turn_deg.to_radians().sin_cos();
        let pivot = [series.n_cols(), series.n_rows()].map(|n| (n as f64 - 1.0) / 2.0);
        // What is at p goes to R (p - c) + c: each pixel is read where it came from.
        let turn = Turn { matrix: [[cos, sin], [-sin, cos]], pivot, shift: [0.0; 2] };
        for mut view in series.data.outer_iter_mut() {
            let old = view.to_owned();
            for (row, mut out) in view.outer_iter_mut().enumerate() {
                if let Some(out) = out.as_slice_mut() {
                    turn.row(&old.view(), row, out);
                }
            }
        }
    }
    if case.middle < 1.0 {
        let [rows, cols] = [series.n_rows(), series.n_cols()].map(|n| {
            let cut = ((1.0 - case.middle) / 2.0 * n as f64) as usize;
            cut..n - cut
        });
        series.data = series.data.slice(s![.., rows, cols]).to_owned();
    }
    series
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
    report(
        &format!("{}, {kind:?}, {seed}", case.name),
        &found.alignment,
        &simulated.truth.shifts_yx,
        extra,
        case.turn_deg,
        seconds,
    );
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
    // SplitMix64 (Steele et al. 2014).
    let mut random = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
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
    report(
        &format!("  10 % wrong, {kind:?}, {seed}"),
        &again,
        truth,
        f64::NAN,
        case.turn_deg,
        begun.elapsed().as_secs_f64(),
    );
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
        report(
            &format!("  and one bead wrong, {kind:?}, {seed}"),
            &again,
            truth,
            f64::NAN,
            case.turn_deg,
            begun.elapsed().as_secs_f64(),
        );
    }
}

/// Shifts in the frame of the volume: what is left is compared with the truth.
fn report(name: &str, found: &Alignment, truth: &[[f64; 2]], extra: f64, turn_deg: f64, seconds: f64) {
    let used = found.used_indices();
    let off = |axis: usize| -> Vec<f64> {
        used.iter()
            .map(|&v| {
                let view = &found.views[v];
                let [[a, b], [c, d]] = view.matrix();
                let (x, y, det) = (view.shift_x_px, view.shift_y_px, a * d - b * c);
                let back = [(a * y - c * x) / det, (d * x - b * y) / det];
                back[axis] - truth[v][axis]
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
    if largest > 1.0 {
        let worst =
            (0..y.len()).max_by(|a, b| y[*a].hypot(x[*a]).total_cmp(&y[*b].hypot(x[*b]))).unwrap_or(0);
        let points: Vec<_> = found
            .beads
            .iter()
            .flat_map(|b| &b.beads)
            .filter_map(|bead| bead.point(used[worst]))
            .map(|p| (p.residual_px, p.weight))
            .collect();
        println!("  worst view {} off {:.2} {:.2}: {points:.2?}", used[worst], y[worst], x[worst]);
    }
    let axis = if extra.is_nan() { axis } else { extra };
    let rotation =
        used.iter().map(|&v| found.views[v].rotation_deg).sum::<f64>() / used.len() as f64 - turn_deg;
    println!(
        "{name}, {:.3}, {:.3}, {largest:.3}, {axis:.3}, {rotation:.3}, {:.4}, {seconds:.2}, {}",
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
