//! Fitted flats on scans whose beam moves between frames, and on such as do not need them.

use ndarray::Array3;

use super::*;
use crate::base::Unit;
use crate::prep::{FitFlats, NormalizeParams, NormalizeReport, PrepError, normalize};
use crate::volume::{AnyArray, Scan, TiltSeries};

const ROWS: usize = 64;
const COLS: usize = 96;
const VIEWS: usize = 12;

/// A deviate of about normal distribution: the sum of twelve even ones.
fn deviate(seed: u64, index: u64) -> f64 {
    (0..12).map(|k| mix(seed * 64 + k, index) as f64 / u64::MAX as f64).sum::<f64>() - 6.0
}

/// How the beam differs in one frame: shift along x, two modes, gain.
fn beam_of(frame: u64, unsteady: f64) -> [f64; 4] {
    [
        unsteady * 0.5 * deviate(1, frame),
        unsteady * 0.02 * deviate(2, frame),
        unsteady * 0.015 * deviate(3, frame),
        1.0 + unsteady * 0.02 * deviate(4, frame),
    ]
}

fn illumination(y: usize, x: usize, [shift, first, second, gain]: [f64; 4]) -> f64 {
    let (v, u) = (y as f64 / ROWS as f64 - 0.5, x as f64 / COLS as f64 - 0.5);
    let mirror = 0.08 * ((x as f64 - shift) * 0.55 + 2.0 * v).sin();
    let fixed = 1.0 + 0.01 * deviate(9, (y * COLS + x) as u64);
    let modes = first * (9.0 * v + 2.0 * u).cos() + second * (7.0 * u * v * 4.0).sin();
    gain * fixed * (1.0 - 0.3 * u * u - 0.2 * v * v + mirror) * (1.0 + modes)
}

/// A cell in ice up to the edges, or in air.
fn absorbance(view: usize, y: usize, x: usize) -> f64 {
    let turn = 0.2 * view as f64;
    let disc = |v: f64, u: f64, r: f64, height: f64| {
        let d2 = (y as f64 - v).powi(2) + (x as f64 - u).powi(2);
        height * (1.0 - d2 / (r * r)).max(0.0).sqrt()
    };
    let u = 48.0 + 12.0 * turn.sin();
    0.3 + disc(32.0, u, 24.0, 0.5)
        + disc(26.0, u + 6.0, 6.0, 0.4)
        + disc(40.0, u - 9.0 * turn.cos(), 4.0, 0.5)
}

/// Frames of `photons` a pixel (0: no noise); `n_flats`, half before and half after.
fn scan(n_flats: usize, unsteady: f64, photons: f64) -> Scan {
    let count = |frame: u64, y: usize, x: usize, transmission: f64, beam: [f64; 4]| {
        let exact = illumination(y, x, beam) * transmission * if photons > 0.0 { photons } else { 1e4 };
        let noise = deviate(100 + frame, (y * COLS + x) as u64) * exact.sqrt();
        (100.0 + exact + if photons > 0.0 { noise } else { 0.0 }) as f32
    };
    let views = Array3::from_shape_fn((VIEWS, ROWS, COLS), |(v, y, x)| {
        count(v as u64, y, x, (-absorbance(v, y, x)).exp(), beam_of(v as u64, unsteady))
    });
    let flats = Array3::from_shape_fn((n_flats, ROWS, COLS), |(i, y, x)| {
        count(500 + i as u64, y, x, 1.0, beam_of(500 + i as u64, unsteady))
    });
    let mut scan = Scan::new(AnyArray::F32(views), Unit::Counts);
    scan.flats = Some(AnyArray::F32(flats));
    scan.darks = Some(AnyArray::F32(Array3::from_elem((3, ROWS, COLS), 100.0)));
    scan.angles_deg = (0..VIEWS).map(|v| -60.0 + 10.0 * v as f64).collect();
    scan.beam = (0..VIEWS as u64).map(|v| beam_of(v, unsteady)[3]).collect();
    scan.flat_beam = (0..n_flats as u64).map(|i| beam_of(500 + i, unsteady)[3]).collect();
    scan.flat_times = (0..n_flats).map(|i| if i < n_flats / 2 { 0.0 } else { VIEWS as f64 }).collect();
    scan
}

fn run(scan: &Scan, fit_flats: FitFlats) -> Result<(TiltSeries, NormalizeReport), PrepError> {
    normalize(&Progress::new(), scan, &NormalizeParams { fit_flats, ..NormalizeParams::default() })
}

/// Root mean square error of the absorbance, its mean aside.
fn error(series: &TiltSeries) -> f64 {
    let (mut sum, n) = (0.0, (ROWS * COLS) as f64);
    for (v, view) in series.data.outer_iter().enumerate() {
        let off = |y: usize, x: usize, a: f32| f64::from(a) - absorbance(v, y, x);
        let mean = view.indexed_iter().map(|((y, x), a)| off(y, x, *a)).sum::<f64>() / n;
        sum += view.indexed_iter().map(|((y, x), a)| (off(y, x, *a) - mean).powi(2)).sum::<f64>() / n;
    }
    (sum / VIEWS as f64).sqrt()
}

#[test]
fn a_beam_that_moves_is_followed_several_times_better_than_by_interpolation() {
    let moving = scan(20, 1.0, 0.0);
    let (plain, report) = run(&moving, FitFlats::Off).unwrap();
    assert_eq!(report.flat_fit, None);
    let (fitted, report) = run(&moving, FitFlats::Auto).unwrap();
    let fit = report.flat_fit.unwrap();
    let (before, after) = (error(&plain), error(&fitted));
    assert!(fit.used && fit.explained > 0.99, "{fit:?}");
    assert!(after < before / 5.0, "{after} of {before}: {fit:?}");

    // 10 000 photons a pixel are a noise of 1.3 % of the views: what is beyond that counts.
    let noisy = scan(20, 1.0, 1e4);
    let floor = error(&run(&scan(20, 0.0, 1e4), FitFlats::Off).unwrap().0);
    let excess = |series: &TiltSeries| (error(series).powi(2) - floor.powi(2)).max(0.0).sqrt();
    let (plain, fitted) = (run(&noisy, FitFlats::Off).unwrap().0, run(&noisy, FitFlats::Auto).unwrap());
    let fit = fitted.1.flat_fit.unwrap();
    assert!(
        fit.used && excess(&fitted.0) < excess(&plain) / 3.0,
        "{} of {}",
        excess(&fitted.0),
        excess(&plain)
    );
}

#[test]
fn a_steady_beam_is_left_alone_bit_for_bit() {
    for photons in [0.0, 300.0, 1e4] {
        let steady = scan(16, 0.0, photons);
        let (plain, _) = run(&steady, FitFlats::Off).unwrap();
        let (fitted, report) = run(&steady, FitFlats::Auto).unwrap();
        assert!(report.flat_fit.is_none(), "{photons}: {:?}", report.flat_fit);
        assert_eq!(plain, fitted);
    }
}

#[test]
fn few_flats_are_taken_as_they_are_and_said_so_where_fitting_is_asked_for() {
    let few = scan(3, 1.0, 1e4);
    let (plain, _) = run(&few, FitFlats::Off).unwrap();
    let (auto, report) = run(&few, FitFlats::Auto).unwrap();
    assert_eq!((&plain, report.flat_fit), (&auto, None));
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let (on, report) = run(&few, FitFlats::On).unwrap();
    assert_eq!(plain, on);
    assert!(report.warnings.iter().any(|w| w.contains("3 usable flats")), "{:?}", report.warnings);
}

#[test]
fn nan_and_dead_pixels_and_a_flat_without_light_do_no_harm() {
    let whole = scan(20, 1.0, 1e4);
    let expected = error(&run(&whole, FitFlats::Auto).unwrap().0);
    let mut broken = whole;
    let (AnyArray::F32(views), Some(AnyArray::F32(flats))) = (&mut broken.projections, &mut broken.flats)
    else {
        panic!("the scan of this test is f32");
    };
    views[[2, 10, 10]] = f32::NAN;
    views[[3, 20, 30]] = f32::INFINITY;
    views.slice_mut(ndarray::s![.., 40, 50]).fill(100.0);
    flats.slice_mut(ndarray::s![.., 40, 50]).fill(100.0);
    flats[[7, 5, 5]] = 13_000.0;
    flats[[4, 6, 6]] = 10.0;
    let (series, report) = run(&broken, FitFlats::Auto).unwrap();
    assert!(series.data.iter().all(|v| v.is_finite()));
    assert!(error(&series) < 1.05 * expected, "{} {expected}", error(&series));
    assert!(report.flat_fit.unwrap().used);

    let mut dark = scan(20, 1.0, 1e4);
    if let Some(AnyArray::F32(flats)) = &mut dark.flats {
        flats.index_axis_mut(ndarray::Axis(0), 3).fill(100.0);
    }
    assert_eq!(run(&dark, FitFlats::Auto).unwrap().1.flat_fit.unwrap().n_flats, 19);
}

#[test]
fn the_same_bits_on_one_thread_and_three_and_cancel_is_heard() {
    let moving = scan(8, 1.0, 1e4);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&moving, FitFlats::Auto)).unwrap()
    };
    assert_eq!(on(1), on(3));
    let progress = Progress::new();
    progress.cancel();
    assert!(matches!(
        normalize(&progress, &moving, &NormalizeParams::default()),
        Err(PrepError::Cancelled(_))
    ));
}
