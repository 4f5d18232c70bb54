//! Tests of CGLS through a lens, against views of a microscope that knows nothing of bands: every plane across the beam is
//! blurred by itself.

use ndarray::{Array2, Array3};

use super::*;
use crate::kernels::fft2::filtered;
use crate::recon::{Method, ReconstructParams, reconstruct_rows};
use crate::volume::{Alignment, TiltSeries, Volume};

const SIZE: usize = 48;
const ROWS: usize = 32;
const PIXEL: f64 = 0.05;
const ZONE: f64 = 25.0;

/// Small spheres, most of them far from the axis, in a larger one.
fn phantom() -> Array3<f32> {
    let spheres = [
        (0.0, 0.0, 0.0, 11.0, 0.2),
        (0.0, 0.0, 17.0, 2.2, 0.6),
        (3.0, 16.0, 2.0, 2.0, 0.7),
        (-4.0, -12.0, -12.0, 2.4, 0.6),
        (2.0, 12.0, -13.0, 1.8, 0.8),
        (-2.0, -16.0, 6.0, 1.8, 0.8),
        (1.0, 2.0, -3.0, 2.0, 0.6),
    ];
    Array3::from_shape_fn((SIZE, ROWS, SIZE), |(z, y, x)| {
        let of = |(cy, cz, cx, r, lac): &(f64, f64, f64, f64, f64)| {
            let (dy, dz, dx) = (y as f64 - 15.5 - cy, z as f64 - 23.5 - cz, x as f64 - 23.5 - cx);
            // Edges a voxel wide.
            lac * (r + 0.5 - (dy * dy + dz * dz + dx * dx).sqrt()).clamp(0.0, 1.0)
        };
        spheres.iter().map(of).sum::<f64>() as f32
    })
}

/// What the lens shows: the volume turned, each of its planes across the beam blurred by its distance from focus.
fn seen(volume: &Array3<f32>, angles: &[f64], lens: Option<Lens>, focus_um: f64) -> TiltSeries {
    let mut data = Array3::zeros((angles.len(), ROWS, SIZE));
    let reach = SIZE as isize / 2 + 8;
    // The transfer function of each plane in steps of a 256th of a cycle a voxel.
    let of_plane = |s: isize| -> Vec<f64> {
        let distance = (s as f64 + 0.5) * PIXEL - focus_um;
        let at = |lens: Lens, i: u32| lens.transfer(f64::from(i) / 256.0 / PIXEL, distance);
        lens.map_or_else(Vec::new, |lens| (0..=184).map(|i| at(lens, i)).collect())
    };
    let gains: Vec<Vec<f64>> = (-reach..reach).map(of_plane).collect();
    for (angle, mut view) in angles.iter().zip(data.outer_iter_mut()) {
        let (sin, cos) = angle.to_radians().sin_cos();
        for (s, gains) in (-reach..reach).zip(&gains) {
            let s = s as f64 + 0.5;
            let mut plane = Array2::<f32>::zeros((ROWS, SIZE));
            for x in 0..SIZE {
                let u = x as f64 - 23.5;
                let (z, x_at) = (23.5 + s * cos - u * sin, 23.5 + u * cos + s * sin);
                let (z0, x0) = (z.floor(), x_at.floor());
                for (dz, dx) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] {
                    let (zi, xi) = (z0 + dz, x0 + dx);
                    let weight = (1.0 - (z - zi).abs()) * (1.0 - (x_at - xi).abs());
                    if zi >= 0.0 && xi >= 0.0 && zi < SIZE as f64 && xi < SIZE as f64 {
                        for y in 0..ROWS {
                            plane[[y, x]] += (weight * PIXEL) as f32 * volume[[zi as usize, y, xi as usize]];
                        }
                    }
                }
            }
            if !gains.is_empty() {
                let gain = |fy: f64, fx: f64| {
                    let at = fy.hypot(fx) * 256.0;
                    let (i, t) = (at as usize, at.fract());
                    gains[i] * (1.0 - t) + gains[i + 1] * t
                };
                plane = filtered(plane.view(), gain);
            }
            view += &plane;
        }
    }
    TiltSeries { data, angles_deg: angles.to_vec(), pixel_um: Some(PIXEL), energy_ev: Some(520.0) }
}

/// Sum of products, the same bits on any number of threads.
fn product(a: &[f32], b: &[f32]) -> f64 {
    let term =
        |(a, b): (&[f32], &[f32])| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let chunks: Vec<f64> = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).map(term).collect();
    chunks.iter().sum()
}

fn angles(n: usize) -> Vec<f64> {
    (0..n).map(|i| -90.0 + 180.0 * i as f64 / n as f64).collect()
}

fn go(series: &TiltSeries, params: &ReconstructParams) -> (Volume<f32>, crate::recon::Report) {
    let rows = params.rows(series.n_rows());
    let still = Alignment::identity(&series.angles_deg);
    reconstruct_rows(&Progress::new(), series, &still, params, MemoryBudget::from_gib(2.0), rows).unwrap()
}

fn params(zone_nm: Option<f64>) -> ReconstructParams {
    ReconstructParams {
        method: Method::Cgls,
        zone_nm,
        sample: crate::recon::Sample::Inside,
        ..ReconstructParams::default()
    }
}

fn error(found: &Volume<f32>, truth: &Array3<f32>) -> f64 {
    let sum: f64 = found.data.iter().zip(truth).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (sum / truth.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>()).sqrt()
}

#[test]
fn what_is_out_of_focus_is_found_sharper_than_by_plain_steps() {
    let truth = phantom();
    let lens = Lens::new(ZONE, 520.0);
    // 1.05 µm of depth of field for a sample of 2.4 µm.
    assert!(lens.depth_of_field_um() < 0.5 * SIZE as f64 * PIXEL);
    let series = seen(&truth, &angles(45), Some(lens), 0.0);
    let (through, report) = go(&series, &ReconstructParams { iterations: Some(24), ..params(Some(ZONE)) });
    let depth = report.depth.unwrap();
    assert!(depth.bands > 2 && depth.farthest_um > 1.2, "{depth:?}");
    let (plain, _) = go(&series, &params(None));
    let best_plain = (4..32)
        .step_by(9)
        .map(|n| error(&go(&series, &ReconstructParams { iterations: Some(n), ..params(None) }).0, &truth))
        .fold(f64::INFINITY, f64::min);
    let found = error(&through, &truth);
    assert!(found < 0.8 * error(&plain, &truth) && found < 0.85 * best_plain, "{found} {best_plain}");
}

#[test]
fn the_focus_is_where_it_is_said_to_be() {
    let truth = phantom();
    let series = seen(&truth, &angles(45), Some(Lens::new(ZONE, 520.0)), 0.6);
    let at = |focus_um: f64| {
        let params = ReconstructParams { focus_um, iterations: Some(16), ..params(Some(ZONE)) };
        error(&go(&series, &params).0, &truth)
    };
    let (right, wrong, opposite) = (at(0.6), at(0.0), at(-0.6));
    assert!(right < wrong && right < opposite, "{right} {wrong} {opposite}");
}

/// A solver over a few rows of a series.
fn with_solver(zone: f64, work: impl FnOnce(&mut Solver<'_>)) {
    let series = seen(&phantom(), &angles(9), None, 0.0);
    let params = params(Some(zone));
    let still = Alignment::identity(&series.angles_deg);
    let used: Vec<usize> = (0..9).collect();
    let progress = Progress::new();
    let input = Input::new(&progress, &series, &still, &params, used, 0..ROWS).unwrap();
    let domain = Domain::new(&input, &params, SIZE, SIZE, None);
    let optics = Optics::new(Lens::new(zone, 520.0), 0.1, PIXEL, &domain, &input);
    let mut solver =
        Solver::new(&progress, &input, &domain, &optics, &(0..ROWS), Weighting::Equal, None).unwrap();
    work(&mut solver);
}

#[test]
fn the_lens_and_its_adjoint_are_transposes() {
    with_solver(ZONE, |solver| {
        let progress = Progress::new();
        let n_rows = solver.rows.len();
        for (slab, plane) in solver.direction.iter_mut().enumerate() {
            plane.par_lines_mut().enumerate().for_each(|(z, line)| {
                for (x, group) in line.iter_mut().enumerate() {
                    for (lane, value) in group.0.iter_mut().enumerate() {
                        let row = slab * LANES + lane;
                        *value = if row < n_rows {
                            ((z * 31 + x * 7 + row * 13) % 29) as f32 / 29.0 - 0.3
                        } else {
                            0.0
                        };
                    }
                }
            });
        }
        solver.project(&progress).unwrap();
        let projected = solver.image.clone();
        for (i, (r, w)) in solver.residual.iter_mut().zip(&mut solver.weights).enumerate() {
            (*r, *w) = ((i * 17 % 37) as f32 / 37.0 - 0.4, 1.0);
        }
        let residual = solver.residual.clone();
        solver.descend(&progress).unwrap();
        let forward = product(&projected, &residual);
        let backward: f64 = solver
            .gradient
            .iter()
            .zip(&solver.direction)
            .flat_map(|(a, b)| a.sums(b, |_, _, a, b| a * b))
            .sum();
        let sizes = (product(&projected, &projected) * product(&residual, &residual)).sqrt();
        assert!((forward - backward).abs() / sizes < 1e-5, "{forward} {backward} {sizes}");
    });
}

#[test]
fn without_blur_it_is_plain_cgls() {
    let truth = phantom();
    let series = seen(&truth, &angles(24), None, 0.0);
    // Weights of all rows together and of each by itself differ, so one row is seen: sixteen alike.
    let mut alike = series;
    let row = alike.data.index_axis(Axis(1), 15).to_owned();
    alike.data.axis_iter_mut(Axis(1)).for_each(|mut to| to.assign(&row));
    let still = Alignment::identity(&alike.angles_deg);
    let params = ReconstructParams { iterations: Some(6), ..params(Some(ZONE)) };
    let progress = Progress::new();
    let input = Input::new(&progress, &alike, &still, &params, (0..24).collect(), 0..ROWS).unwrap();
    let domain = Domain::new(&input, &params, SIZE, SIZE, None);
    let mut optics = Optics::new(Lens::new(ZONE, 520.0), 0.0, PIXEL, &domain, &input);
    optics.lens = SHARP;
    let mut solver =
        Solver::new(&progress, &input, &domain, &optics, &(0..ROWS), Weighting::Equal, None).unwrap();
    let plain_projector = SlabProjector::new(&domain.geometry(&input));
    let mut plain =
        super::super::cgls::Solver::new(&progress, &plain_projector, &domain, Weighting::Equal).unwrap();
    let views: Vec<usize> = (0..24).collect();
    let copy = |_: usize, row: &[f32], line: &mut [f32], (): &mut ()| line.copy_from_slice(row);
    input.fill(&progress, &input.slab_rows(0), &views, &mut plain.residual, || (), copy).unwrap();
    plain.start(&progress).unwrap();
    for _ in 0..6 {
        solver.step(&progress).unwrap();
        plain.step(&progress).unwrap();
    }
    let first = lead(optics.halo) / LANES;
    let (mut off, mut all) = (0.0f64, 0.0f64);
    for z in 0..SIZE {
        for (a, b) in solver.section[first].line(z).iter().zip(plain.section.line(z)) {
            off += f64::from(a.0[3] - b.0[3]).powi(2);
            all += f64::from(b.0[3]).powi(2);
        }
    }
    // The transfer function is integrated to 1e-4, and steps add up.
    assert!((off / all).sqrt() < 2e-3, "{}", (off / all).sqrt());
}

/// Passes every frequency that pixels hold, in and out of focus: a wavelength of nothing.
const SHARP: Lens = Lens { na: 1e-6, wavelength_um: 1e-12 };

#[test]
fn the_same_bits_on_one_thread_and_three_and_a_part_of_the_rows_is_like_the_whole() {
    let series = seen(&phantom(), &angles(16), Some(Lens::new(ZONE, 520.0)), 0.0);
    let params = ReconstructParams { iterations: Some(5), ..params(Some(ZONE)) };
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| go(&series, &params))
    };
    let whole = on(1);
    assert_eq!(whole, on(3));
    let part = go(&series, &ReconstructParams { first_row: Some(8), end_row: Some(20), ..params });
    let truth = whole.0.data.slice(ndarray::s![.., 8..20, ..]).to_owned();
    // Steps are those of all rows together, so parts are alike, not the same.
    assert!(error(&part.0, &truth) < 0.03, "{}", error(&part.0, &truth));
}

#[test]
fn cancel_memory_and_an_unknown_pixel_are_told() {
    let series = seen(&phantom(), &angles(16), None, 0.0);
    let still = Alignment::identity(&series.angles_deg);
    let params = params(Some(ZONE));
    let run = |progress: &Progress, series: &TiltSeries, gib: f64| {
        reconstruct_rows(progress, series, &still, &params, MemoryBudget::from_gib(gib), 0..ROWS)
    };
    let progress = Progress::new();
    progress.cancel();
    assert!(matches!(run(&progress, &series, 2.0), Err(ReconError::Cancelled(_))));
    assert!(matches!(run(&Progress::new(), &series, 0.005), Err(ReconError::Memory(_))));
    let unknown = TiltSeries { pixel_um: None, ..series };
    let text = run(&Progress::new(), &unknown, 2.0).unwrap_err().to_string();
    assert!(text.contains("pixel size"), "{text}");
}
