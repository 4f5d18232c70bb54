//! Tests on beads whose places are known exactly.

use ndarray::Array3;

use super::*;
use crate::align::fit_sinusoid;

/// A small generator, so that tests always see the same numbers.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }

    /// About normal, standard deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

const SHAPE: [usize; 2] = [200, 240];

/// Tilts to ±60°, how the views really are, and tracks of `n_beads` with errors of `noise` pixels.
fn simulated(n_beads: usize, noise: f64, seed: u64, turn_deg: f64) -> (Vec<f64>, Vec<ViewShift>, BeadTracks) {
    let mut numbers = Numbers(seed);
    let angles: Vec<f64> = (0..81).map(|i| -60.0 + 1.5 * f64::from(i)).collect();
    let views: Vec<ViewShift> = angles
        .iter()
        .enumerate()
        .map(|(i, angle)| ViewShift {
            shift_x_px: 4.0 + 3.0 * numbers.normal(),
            shift_y_px: 3.0 * numbers.normal(),
            rotation_deg: turn_deg,
            ..ViewShift::still(i, *angle)
        })
        .collect();
    let beads = (0..n_beads)
        .map(|_| {
            let at = [
                160.0 * (numbers.next() - 0.5),
                140.0 * (numbers.next() - 0.5),
                60.0 * (numbers.next() - 0.5),
            ];
            let points = views.iter().map(|view| {
                let [x, y] = as_view(view).project(at);
                let (ey, ex) = (noise * numbers.normal(), noise * numbers.normal());
                TrackPoint::new(view.index, y + 99.5 + ey, x + 119.5 + ex)
            });
            BeadTrack { points: points.collect(), ..BeadTrack::default() }
        })
        .collect();
    (angles, views, BeadTracks { diameter_px: Some(5.0), beads })
}

/// Root mean square error of the shifts along y and x once a move of the sample is taken out.
fn residual(found: &Alignment, truth: &[ViewShift]) -> f64 {
    let aligned = |view: &ViewShift| {
        let [[a, b], [c, d]] = view.matrix();
        let (x, y, det) = (view.shift_x_px, view.shift_y_px, a * d - b * c);
        [(d * x - b * y) / det, (a * y - c * x) / det]
    };
    let off: Vec<[f64; 2]> = found
        .views
        .iter()
        .zip(truth)
        .map(|(f, t)| {
            let (f, t) = (aligned(f), aligned(t));
            [f[0] - t[0], f[1] - t[1]]
        })
        .collect();
    let angles: Vec<f64> = truth.iter().map(|v| v.angle_deg.to_radians()).collect();
    let [a, b, _] = fit_sinusoid(&angles, off.iter().map(|o| o[0]));
    let mean = off.iter().map(|o| o[1]).sum::<f64>() / off.len() as f64;
    let sum: f64 = off
        .iter()
        .zip(&angles)
        .map(|(o, t)| (o[0] - a * t.cos() - b * t.sin()).powi(2) + (o[1] - mean).powi(2))
        .sum();
    (sum / off.len() as f64 / 2.0).sqrt()
}

#[test]
fn exact_tracks_give_shifts_direction_of_the_axis_and_places_of_beads() {
    let (angles, truth, tracks) = simulated(5, 0.0, 1, 1.75);
    let found = fit_tracks(&tracks, &Alignment::identity(&angles), SHAPE).unwrap();
    // What the sinusoid and a constant share at ±60° is told apart to some thousandths.
    assert!(residual(&found, &truth) < 0.01, "{}", residual(&found, &truth));
    for view in &found.views {
        assert!((view.rotation_deg - 1.75).abs() < 1e-3 && view.magnification == 1.0, "{view:?}");
        assert!(view.residual_px.unwrap() < 1e-3);
    }
    let mean_y = found.views.iter().map(|v| v.shift_y_px).sum::<f64>();
    // In views that are turned by 1.75° the mean of the shifts that are turned back is 0, not that of the shifts.
    assert!(mean_y.abs() < 81.0 * 0.3, "{mean_y}");
    let beads = found.beads.unwrap();
    assert!(beads.beads.iter().all(|b| b.position_zyx.is_some() && b.residual_px.unwrap() < 1e-3));
}

#[test]
fn eight_noisy_beads_place_views_to_a_tenth_of_a_pixel_and_four_to_a_fifth() {
    for (n_beads, most) in [(8, 0.1), (4, 0.2)] {
        for seed in 2..5 {
            // Middles to 0.1 px along each axis: 0.1 / √8 in each view, and what beads are off.
            let (angles, truth, tracks) = simulated(n_beads, 0.1, seed, -0.8);
            let found = fit_tracks(&tracks, &Alignment::identity(&angles), SHAPE).unwrap();
            let off = residual(&found, &truth);
            assert!(off < most, "{n_beads} beads: {off}");
            assert!((found.views[40].rotation_deg + 0.8).abs() < 0.05);
        }
    }
}

#[test]
fn a_tenth_of_wrong_points_and_a_bead_that_becomes_another_do_no_harm() {
    for seed in 10..14 {
        let (angles, truth, mut tracks) = simulated(8, 0.1, seed, 0.5);
        let mut numbers = Numbers(seed);
        for point in tracks.beads.iter_mut().flat_map(|bead| &mut bead.points) {
            if numbers.next() < 0.1 {
                point.x += 5.0 + 30.0 * numbers.next();
                point.y += 20.0 * numbers.normal();
            }
        }
        let other = tracks.beads[3].clone();
        tracks.beads[5].points.truncate(40);
        tracks.beads[5].points.extend(other.points.into_iter().filter(|p| p.view >= 40));
        let found = fit_tracks(&tracks, &Alignment::identity(&angles), SHAPE).unwrap();
        let off = residual(&found, &truth);
        assert!(off < 0.12, "seed {seed}: {off}");
        let weights: f64 = found.beads.unwrap().beads[0].points.iter().filter_map(|p| p.weight).sum();
        assert!((55.0..81.0).contains(&weights), "{weights}");
    }
}

#[test]
fn growth_and_tilts_along_the_series_are_found_where_beads_tell_them() {
    let (angles, mut truth, mut tracks) = simulated(14, 0.0, 7, 0.4);
    let mut numbers = Numbers(70);
    for view in &mut truth {
        let t = view.angle_deg / 60.0;
        view.magnification = 1.0 + 0.01 * t;
        view.angle_deg += 0.8 * t * t;
    }
    let positions: Vec<[f64; 3]> = (0..14)
        .map(|_| {
            [170.0 * (numbers.next() - 0.5), 140.0 * (numbers.next() - 0.5), 90.0 * (numbers.next() - 0.5)]
        })
        .collect();
    for (bead, at) in tracks.beads.iter_mut().zip(positions) {
        for (point, view) in bead.points.iter_mut().zip(&truth) {
            let [x, y] = as_view(view).project(at);
            (point.x, point.y) = (x + 119.5 + 0.05 * numbers.normal(), y + 99.5 + 0.05 * numbers.normal());
        }
    }
    let found = fit_tracks(&tracks, &Alignment::identity(&angles), SHAPE).unwrap();
    let worst = |of: fn(&ViewShift) -> f64| {
        found.views.iter().zip(&truth).map(|(f, t)| (of(f) - of(t)).abs()).fold(0.0, f64::max)
    };
    assert!(worst(|v| v.magnification) < 0.001, "{}", worst(|v| v.magnification));
    assert!(worst(|v| v.angle_deg) < 0.15, "{}", worst(|v| v.angle_deg));
}

#[test]
fn excluded_and_empty_views_and_too_few_beads_are_handled() {
    let (angles, truth, mut tracks) = simulated(5, 0.0, 3, 0.0);
    let mut start = Alignment::identity(&angles);
    start.views[7].used = false;
    tracks.beads.iter_mut().for_each(|bead| bead.remove(20));
    let found = fit_tracks(&tracks, &start, SHAPE).unwrap();
    assert!(!found.views[7].used && !found.views[20].used && found.views[21].used);
    assert_eq!(found.views[7], start.views[7]);
    assert!((found.views[50].shift_x_px - truth[50].shift_x_px).abs() < 30.0);
    tracks.beads.truncate(1);
    let text = fit_tracks(&tracks, &start, SHAPE).unwrap_err().to_string();
    assert!(text.contains("1 beads"), "{text}");
    tracks.beads[0].points[0].x = f64::INFINITY;
    assert!(matches!(fit_tracks(&tracks, &start, SHAPE), Err(AlignError::Start(_))));
}

/// Gold balls over soft blobs, displaced; each pixel is its middle's ray, balls are smoothed by half a pixel.
fn pictures(truth: &[ViewShift], beads: &[[f64; 3]]) -> TiltSeries {
    let (n, mut numbers) = (96usize, Numbers(5));
    let middle = (n as f64 - 1.0) / 2.0;
    let noise: Vec<f32> = (0..4096).map(|_| 0.05 * numbers.normal() as f32).collect();
    let data = Array3::from_shape_fn((truth.len(), n, n), |(v, row, column)| {
        let view = as_view(&truth[v]);
        let (y, x) = (row as f64 - middle, column as f64 - middle);
        let mut sum = 0.0;
        for at in beads {
            let p = view.project(*at);
            let d2 = (p[0] - x).powi(2) + (p[1] - y).powi(2);
            sum += 2.5 * (-d2 / 4.0).exp();
        }
        for (at, width) in [([8.0, 5.0, 3.0], 14.0f64), ([-12.0, -9.0, -4.0], 9.0)] {
            let p = view.project(at);
            sum += 0.8 * (-((p[0] - x).powi(2) + (p[1] - y).powi(2)) / (width * width)).exp();
        }
        sum as f32 + noise[(v * 977 + row * 131 + column * 7) % 4096]
    });
    let angles_deg = truth.iter().map(|view| view.angle_deg).collect();
    TiltSeries { data, angles_deg, pixel_um: None, energy_ev: None }
}

#[test]
fn beads_in_pictures_are_found_followed_and_place_the_views() {
    let mut numbers = Numbers(9);
    let truth: Vec<ViewShift> = (0..49)
        .map(|i| ViewShift {
            shift_x_px: 2.0 + 2.0 * numbers.normal(),
            shift_y_px: 2.0 * numbers.normal(),
            rotation_deg: 1.0,
            ..ViewShift::still(i, -60.0 + 2.5 * i as f64)
        })
        .collect();
    let beads = [
        [20.0, 22.0, 5.0],
        [-24.0, 10.0, -7.0],
        [3.0, -25.0, 9.0],
        [-10.0, -12.0, -9.0],
        [26.0, -6.0, 2.0],
        [-2.0, 30.0, -3.0],
    ];
    let series = pictures(&truth, &beads);
    let start = Alignment::identity(&series.angles_deg);
    let found = by_beads(&Progress::new(), &series, &start, None).unwrap().unwrap();
    let tracks = found.beads.as_ref().unwrap();
    assert_eq!(tracks.beads.iter().filter(|bead| bead.position_zyx.is_some()).count(), 6);
    assert!(tracks.n_points() > 6 * 47, "{}", tracks.n_points());
    let off = residual(&found, &truth);
    assert!(off < 0.06, "{off}");
    assert!((found.views[24].rotation_deg - 1.0).abs() < 0.05, "{}", found.views[24].rotation_deg);
    // From given beads, a pixel off, to the same.
    let mut given = start.clone();
    let mut rough = tracks.clone();
    rough.beads.iter_mut().flat_map(|bead| &mut bead.points).for_each(|p| p.x = p.x.round());
    given.beads = Some(rough);
    let again = by_beads(&Progress::new(), &series, &given, None).unwrap().unwrap();
    assert!(residual(&again, &truth) < 0.06);
}

#[test]
fn pictures_without_beads_say_so_and_cancel_stops() {
    let truth: Vec<ViewShift> = (0..21).map(|i| ViewShift::still(i, -50.0 + 5.0 * i as f64)).collect();
    let series = pictures(&truth, &[]);
    let start = Alignment::identity(&series.angles_deg);
    let reason = by_beads(&Progress::new(), &series, &start, None).unwrap().unwrap_err();
    assert!(reason.contains("beads"), "{reason}");
    let progress = Progress::new();
    progress.cancel();
    assert!(by_beads(&progress, &series, &start, None).is_err());
}
