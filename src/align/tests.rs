//! Tests on balls whose projections are known exactly, displaced by known shifts.

use ndarray::Array3;

use super::*;

/// A ball at (z, y, x) from the middle, its radius and its absorption.
const BALLS: [([f64; 3], f64, f64); 7] = [
    ([0.0, 0.0, 0.0], 15.0, 0.010),
    ([6.0, 5.0, -4.0], 4.0, 0.030),
    ([-5.0, -7.0, 6.0], 3.0, 0.050),
    ([-7.0, 3.0, -6.0], 2.5, 0.050),
    ([3.0, -9.0, 3.0], 2.0, 0.080),
    ([8.0, -2.0, 5.0], 2.2, 0.060),
    ([-2.0, 9.0, 7.0], 2.6, 0.040),
];

fn series(angles_deg: Vec<f64>, shifts: &[[f64; 2]], size: usize) -> TiltSeries {
    turned_series(angles_deg, shifts, size, 0.0)
}

/// The same in views that have turned about their middle.
fn turned_series(angles_deg: Vec<f64>, shifts: &[[f64; 2]], size: usize, turn_deg: f64) -> TiltSeries {
    let (sin_turn, cos_turn) = turn_deg.to_radians().sin_cos();
    let middle = (size as f64 - 1.0) / 2.0;
    let data = Array3::from_shape_fn((angles_deg.len(), size, size), |(view, y, x)| {
        let (sin, cos) = angles_deg[view].to_radians().sin_cos();
        let (dy, dx) = (y as f64 - middle, x as f64 - middle);
        let v = cos_turn * dy - sin_turn * dx - shifts[view][0];
        let u = cos_turn * dx + sin_turn * dy - shifts[view][1];
        let mut sum = 0.0;
        for ([bz, by, bx], radius, lac) in BALLS {
            let d2 = radius * radius - (v - by).powi(2) - (u - bx * cos + bz * sin).powi(2);
            sum += 2.0 * lac * d2.max(0.0).sqrt();
        }
        // A little noise of a fixed pattern, so that nothing fits perfectly.
        let hash = (view * 7919 + y * 104_729 + x * 1_299_709) % 1000;
        (sum + 0.004 * (hash as f64 / 1000.0 - 0.5)) as f32
    });
    TiltSeries { data, angles_deg, pixel_um: None, energy_ev: None }
}

fn full(n: usize) -> Vec<f64> {
    (0..n).map(|i| -90.0 + 180.0 * i as f64 / n as f64).collect()
}

/// Irregular displacements with a drift, of about `size` pixels.
fn displaced(n: usize, size: f64) -> Vec<[f64; 2]> {
    (0..n)
        .map(|i| {
            let t = i as f64;
            [
                size * ((t * 2.4).sin() + 0.4 * (t * 0.05).cos()),
                size * ((t * 1.7).cos() + 0.4 * (t * 0.07).sin()),
            ]
        })
        .collect()
}

/// Root mean square error along y and x once a move of the sample and the axis are taken out.
fn residual(found: &Alignment, truth: &[[f64; 2]]) -> [f64; 2] {
    let n = truth.len() as f64;
    let angles: Vec<f64> = found.views.iter().map(|v| v.angle_deg.to_radians()).collect();
    let y: Vec<f64> = found.views.iter().zip(truth).map(|(f, t)| f.shift_y_px - t[0]).collect();
    let x: Vec<f64> = found.views.iter().zip(truth).map(|(f, t)| f.shift_x_px - t[1]).collect();
    let mean = y.iter().sum::<f64>() / n;
    let [a, b, c] = fit_sinusoid(&angles, x.iter().copied());
    let rms = |sum: f64| (sum / n).sqrt();
    [
        rms(y.iter().map(|v| (v - mean).powi(2)).sum()),
        rms(x.iter().zip(&angles).map(|(v, t)| (v - a * t.cos() - b * t.sin() - c).powi(2)).sum()),
    ]
}

fn run(series: &TiltSeries, method: Method) -> Alignment {
    align(&Progress::new(), series, None, &AlignParams { method, ..AlignParams::default() })
        .unwrap()
        .alignment
}

#[test]
fn a_full_rotation_with_jumping_views_is_aligned_to_a_tenth_of_a_pixel() {
    let mut shifts = displaced(60, 1.5);
    shifts.iter_mut().for_each(|s| s[1] += 2.0);
    let found = run(&series(full(60), &shifts, 56), Method::Auto);
    let [y, x] = residual(&found, &shifts);
    assert!(y < 0.1 && x < 0.1, "rms {y} {x}");
    assert!(found.score.unwrap() > 0.8, "{found:?}");
}

#[test]
fn the_axis_is_found_to_a_quarter_of_a_pixel_and_still_views_are_left_alone() {
    for offset in [-4.3, 0.0, 2.6] {
        let shifts = vec![[0.0, offset]; 60];
        let series = series(full(60), &shifts, 56);
        for method in [Method::Axis, Method::Auto] {
            let found = run(&series, method);
            for view in &found.views {
                assert!((view.shift_x_px - offset).abs() < 0.25, "{method:?} {offset}: {}", view.shift_x_px);
                assert!(view.shift_y_px.abs() < 0.1, "{method:?}: {}", view.shift_y_px);
            }
        }
    }
}

#[test]
fn a_limited_tilt_ends_better_than_it_began() {
    let angles: Vec<f64> = (0..61).map(|i| -60.0 + 2.0 * f64::from(i)).collect();
    let shifts = displaced(61, 1.2);
    let found = run(&series(angles.clone(), &shifts, 56), Method::Auto);
    let before = residual(&Alignment::identity(&angles), &shifts);
    let after = residual(&found, &shifts);
    assert!(after[0] < 0.2 && after[1] < 0.4, "{before:?} {after:?}");
}

#[test]
fn threads_do_not_change_a_bit_and_cancel_stops() {
    let series = series(full(24), &displaced(24, 1.0), 40);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let single = pool.install(|| run(&series, Method::Auto));
    assert_eq!(single, run(&series, Method::Auto));
    let progress = Progress::new();
    progress.cancel();
    assert!(matches!(
        align(&progress, &series, None, &AlignParams::default()),
        Err(AlignError::Cancelled(_))
    ));
}

#[test]
fn bad_series_get_one_sentence_and_none_leaves_any_series_alone() {
    let tiny = series(full(4), &[[0.0; 2]; 4], 20);
    let text = align(&Progress::new(), &tiny, None, &AlignParams::default()).unwrap_err().to_string();
    assert!(text.contains("4 views of 20 x 20"), "{text}");
    assert_eq!(run(&tiny, Method::None), Alignment::identity(&tiny.angles_deg));
    let mut odd = tiny.clone();
    odd.angles_deg[2] = f64::NAN;
    let text = align(&Progress::new(), &odd, None, &AlignParams::default()).unwrap_err().to_string();
    assert!(text.contains("view 2"), "{text}");
    odd.angles_deg.pop();
    assert!(matches!(
        align(&Progress::new(), &odd, None, &AlignParams::default()),
        Err(AlignError::AngleCount { n_angles: 3, n_views: 4 })
    ));
    let empty = TiltSeries { data: Array3::zeros((30, 20, 20)), angles_deg: full(30), ..tiny };
    let found = run(&empty, Method::Auto);
    assert!(found.problem(30).is_none() && found.views.iter().all(|v| v.shift_x_px.abs() < 1.0), "{found:?}");
}

#[test]
fn the_direction_of_the_axis_is_found_at_full_rotation() {
    for (turn, most) in [(1.2, 0.1), (-0.8, 0.1)] {
        let shifts = displaced(90, 0.8);
        let found = run(&turned_series(full(90), &shifts, 72, turn), Method::Auto);
        let is = found.views[0].rotation_deg;
        assert!((is - turn).abs() < most, "{turn}: {is}");
        assert!(found.views.iter().all(|view| view.rotation_deg == is));
        let [[a, b], [c, d]] = found.views[0].matrix();
        let mut back = found.clone();
        for view in &mut back.views {
            let (x, y) = (view.shift_x_px, view.shift_y_px);
            (view.shift_x_px, view.shift_y_px) = (d * x - b * y, a * y - c * x);
        }
        let [y, x] = residual(&back, &shifts);
        assert!(y < 0.15 && x < 0.3, "{turn}: rms {y} {x}");
    }
}

#[test]
fn the_direction_of_the_axis_is_found_at_limited_tilt() {
    let angles: Vec<f64> = (0..61).map(|i| -60.0 + 2.0 * f64::from(i)).collect();
    let shifts = displaced(61, 0.8);
    for turn in [1.2, -0.8] {
        let found = run(&turned_series(angles.clone(), &shifts, 72, turn), Method::Auto);
        let is = found.views[0].rotation_deg;
        assert!((is - turn).abs() < 0.1, "{turn}: {is}");
    }
    let straight = run(&series(angles, &shifts, 72), Method::Auto);
    assert!(straight.views[0].rotation_deg.abs() < 0.1, "{}", straight.views[0].rotation_deg);
}

#[test]
fn an_alignment_that_is_given_keeps_its_rotation_and_its_excluded_views() {
    let shifts = displaced(45, 1.0);
    let series = turned_series(full(45), &shifts, 56, 2.0);
    let mut start = Alignment::identity(&series.angles_deg);
    start.views.iter_mut().for_each(|view| view.rotation_deg = 2.0);
    start.views[3].used = false;
    let params = AlignParams { direction: false, ..AlignParams::default() };
    let found = align(&Progress::new(), &series, Some(&start), &params).unwrap().alignment;
    assert!(found.views.iter().all(|view| view.rotation_deg == 2.0));
    assert_eq!(found.views[3], start.views[3]);
    assert!(found.score.unwrap() > 0.8);
    let short = Alignment::identity(&[0.0]);
    assert!(matches!(
        align(&Progress::new(), &series, Some(&short), &params),
        Err(AlignError::Start(text)) if text.contains("1 views")
    ));
    let none = AlignParams { method: Method::None, ..params };
    assert_eq!(align(&Progress::new(), &series, Some(&start), &none).unwrap().alignment, start);
}

#[test]
fn patches_end_no_worse_than_they_began_and_beads_fall_back_with_a_note() {
    let angles: Vec<f64> = (0..41).map(|i| -60.0 + 3.0 * f64::from(i)).collect();
    let shifts = displaced(41, 1.0);
    let series = series(angles, &shifts, 72);
    let automatic = run(&series, Method::Auto);
    let params = AlignParams { method: Method::Patch, ..AlignParams::default() };
    let patched = align(&Progress::new(), &series, None, &params).unwrap();
    assert!(patched.alignment.score.unwrap() >= automatic.score.unwrap() - 1e-3, "{patched:?}");
    assert!(patched.notes.len() == 1 || patched.alignment.method.starts_with("patches"));
    let params = AlignParams { method: Method::Fiducial, ..AlignParams::default() };
    let found = align(&Progress::new(), &series, None, &params).unwrap();
    let fell_back = found.notes.first().is_some_and(|note| note.contains("without markers"));
    assert!(fell_back || found.alignment.method.starts_with("gold beads"), "{:?}", found.notes);
    assert!(residual(&found.alignment, &shifts)[1] < 0.4);
}
