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
    let middle = (size as f64 - 1.0) / 2.0;
    let data = Array3::from_shape_fn((angles_deg.len(), size, size), |(view, y, x)| {
        let (sin, cos) = angles_deg[view].to_radians().sin_cos();
        let (v, u) = (y as f64 - middle - shifts[view][0], x as f64 - middle - shifts[view][1]);
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
