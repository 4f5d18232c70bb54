//! Tests of recon.

use ndarray::{Array2, s};

use super::*;
use crate::base::Progress;
use crate::kernels::filter::Window;
use crate::volume::TiltSeries;

/// A disc (cylinder along y) of radius `r` around (`z`, `x`), from the middle, in voxels.
#[derive(Clone, Copy)]
struct Disc {
    z: f64,
    x: f64,
    r: f64,
    lac: f64,
}

/// One large disc with two smaller ones inside, at unlike places, so that every mirroring differs.
const PHANTOM: [Disc; 3] = [
    Disc { z: 2.0, x: -3.0, r: 22.0, lac: 0.25 },
    Disc { z: -8.0, x: 6.0, r: 6.0, lac: 0.35 },
    Disc { z: 10.0, x: -9.0, r: 4.0, lac: -0.15 },
];
pub(super) const PIXEL: f64 = 0.05;

/// The exact tilt series of the phantom in unbinned pixels times `scale`, with shifts (y has no effect: discs are cylinders).
pub(super) fn series(
    angles_deg: &[f64],
    n_rows: usize,
    n_cols: usize,
    scale: f64,
    shift_x: &[f64],
) -> TiltSeries {
    let mut data = Array3::zeros((angles_deg.len(), n_rows, n_cols));
    for (v, angle) in angles_deg.iter().enumerate() {
        let (sin, cos) = angle.to_radians().sin_cos();
        for u in 0..n_cols {
            // The mean over the pixel by nine rays.
            let mut sum = 0.0;
            for k in -4..=4 {
                let column = u as f64 + f64::from(k) / 9.0 - (n_cols as f64 - 1.0) / 2.0 - shift_x[v];
                for disc in PHANTOM {
                    let d = column - scale * (disc.x * cos - disc.z * sin);
                    let half2 = (disc.r * scale).powi(2) - d * d;
                    sum += if half2 > 0.0 { 2.0 * half2.sqrt() * disc.lac } else { 0.0 };
                }
            }
            data.slice_mut(s![v, .., u]).fill((sum / 9.0 * PIXEL) as f32);
        }
    }
    TiltSeries { data, angles_deg: angles_deg.to_vec(), pixel_um: Some(PIXEL), energy_ev: None }
}

pub(super) fn half_turn(n: usize) -> Vec<f64> {
    (0..n).map(|i| -90.0 + 180.0 * i as f64 / n as f64).collect()
}

pub(super) fn plain(angles_deg: &[f64], n_rows: usize, n_cols: usize) -> (TiltSeries, Alignment) {
    (series(angles_deg, n_rows, n_cols, 1.0, &vec![0.0; angles_deg.len()]), Alignment::identity(angles_deg))
}

pub(super) fn run(series: &TiltSeries, alignment: &Alignment, params: &ReconstructParams) -> Volume<f32> {
    reconstruct(&Progress::new(), series, alignment, params, MemoryBudget::from_gib(4.0)).unwrap()
}

/// Mean over the voxels of a section at most `r` from (z, x), both from the middle.
pub(super) fn mean(volume: &Volume<f32>, z: f64, x: f64, r: f64) -> f64 {
    let (depth, _, width) = volume.data.dim();
    let (mut sum, mut n) = (0.0, 0);
    for ((i, _, j), value) in volume.data.slice(s![.., ..1, ..]).indexed_iter() {
        let (dz, dx) = (i as f64 - (depth as f64 - 1.0) / 2.0 - z, j as f64 - (width as f64 - 1.0) / 2.0 - x);
        if dz.hypot(dx) <= r {
            sum += f64::from(*value);
            n += 1;
        }
    }
    sum / f64::from(n)
}

/// Means over the cores of the three discs are the LAC within `tolerance`.
pub(super) fn check_discs(volume: &Volume<f32>, scale: f64, tolerance: f64) {
    let [a, b, c] = PHANTOM;
    let found = [
        mean(volume, scale * 12.0, scale * 6.0, scale * 3.0),
        mean(volume, scale * b.z, scale * b.x, scale * (b.r - 2.0)),
        mean(volume, scale * c.z, scale * c.x, scale * (c.r - 2.0)),
    ];
    for (found, expected) in found.into_iter().zip([a.lac, a.lac + b.lac, a.lac + c.lac]) {
        assert!((found - expected).abs() < tolerance * 0.25, "found {found}, expected {expected}");
    }
}

fn sirt() -> ReconstructParams {
    ReconstructParams {
        method: Method::Sirt,
        iterations: Some(20),
        subsets: Some(6),
        ..ReconstructParams::default()
    }
}

#[test]
fn fbp_recovers_lac_in_place_and_in_its_unit() {
    let (series, alignment) = plain(&half_turn(120), 2, 64);
    for filter in [
        Window::RamLak,
        Window::SheppLogan,
        Window::Cosine,
        Window::Hann,
        Window::Hamming,
        Window::Butterworth,
    ] {
        let volume = run(&series, &alignment, &ReconstructParams { filter, ..ReconstructParams::default() });
        assert_eq!(volume.shape(), [64, 2, 64]);
        assert_eq!((volume.unit, volume.voxel_um), (Unit::PerUm, Some([PIXEL; 3])));
        // The discs lie at unlike places, so a mirrored or shifted result fails.
        check_discs(&volume, 1.0, 0.01);
    }
}

#[test]
fn sirt_recovers_lac_in_place_and_stays_at_zero_or_above() {
    let (series, alignment) = plain(&half_turn(120), 2, 64);
    let volume = run(&series, &alignment, &sirt());
    // The mean of the smallest disc, eight voxels wide, converges last.
    check_discs(&volume, 1.0, 0.015);
    assert!(volume.values().iter().all(|v| *v >= 0.0));
    // One subset is the classical method.
    let classical = ReconstructParams { subsets: Some(1), iterations: Some(150), ..sirt() };
    check_discs(&run(&series, &alignment, &classical), 1.0, 0.02);
}

#[test]
fn without_a_pixel_size_the_unit_is_per_voxel() {
    let (mut series, alignment) = plain(&half_turn(90), 1, 64);
    let in_um = run(&series, &alignment, &ReconstructParams::default());
    series.pixel_um = None;
    let in_voxels = run(&series, &alignment, &ReconstructParams::default());
    assert_eq!((in_voxels.unit, in_voxels.voxel_um), (Unit::PerVoxel, None));
    for (a, b) in in_um.values().iter().zip(in_voxels.values()) {
        assert!((f64::from(*a) * PIXEL - f64::from(*b)).abs() < 1e-6);
    }
}

#[test]
fn a_full_turn_and_uneven_angles_weigh_right() {
    let turn: Vec<f64> = (0..240).map(|i| f64::from(i) * 1.5).collect();
    let uneven: Vec<f64> =
        (0..160).map(|i| if i < 80 { f64::from(i) * 0.5 } else { 40.0 + f64::from(i - 80) * 1.75 }).collect();
    for angles in [turn, uneven] {
        let (series, alignment) = plain(&angles, 1, 64);
        check_discs(&run(&series, &alignment, &ReconstructParams::default()), 1.0, 0.02);
    }
}

#[test]
fn shifts_and_the_centre_are_undone() {
    let angles = half_turn(120);
    let shifts: Vec<f64> = (0..120).map(|i| 5.0 + 2.5 * f64::from(i * 7 % 11) / 11.0).collect();
    let series = series(&angles, 1, 80, 1.0, &shifts);
    let mut alignment = Alignment::identity(&angles);
    for (view, shift) in alignment.views.iter_mut().zip(&shifts) {
        view.shift_x_px = shift - 4.0;
    }
    let params = ReconstructParams { center: Some(39.5 + 4.0), ..ReconstructParams::default() };
    check_discs(&run(&series, &alignment, &params), 1.0, 0.015);
}

#[test]
fn vertical_shifts_move_rows_back() {
    let angles = half_turn(90);
    let (mut series, mut alignment) = plain(&angles, 20, 64);
    // Absorption rises smoothly along y in the sample; each view is moved by its own shift.
    let along_y = |y: f64| 1.0 + 0.5 * (y / 4.0).sin();
    for (v, view) in alignment.views.iter_mut().enumerate() {
        view.shift_y_px = (v % 5) as f64 * 0.7 - 1.4;
        for row in 0..20 {
            let factor = along_y(f64::from(row) - view.shift_y_px) as f32;
            series.data.slice_mut(s![v, row, ..]).mapv_inplace(|a| a * factor);
        }
    }
    let volume = run(&series, &alignment, &ReconstructParams::default());
    for y in 3..17 {
        let found = f64::from(volume.data.slice(s![42..46, y, 35..39]).mean().unwrap());
        let expected = 0.25 * along_y(f64::from(y));
        // Cubic interpolation of a wave of 25 rows.
        assert!((found - expected).abs() < 0.004, "{y}: {found} {expected}");
    }
}

#[test]
fn excluded_views_do_not_count_and_halves_share_the_views() {
    let angles = half_turn(180);
    let (mut series, mut alignment) = plain(&angles, 1, 64);
    for v in (0..180).step_by(9) {
        series.data.slice_mut(s![v, .., ..]).fill(f32::NAN);
        alignment.views[v].used = false;
    }
    let all = run(&series, &alignment, &ReconstructParams::default());
    check_discs(&all, 1.0, 0.015);
    let half = |half| run(&series, &alignment, &ReconstructParams { half, ..ReconstructParams::default() });
    let (even, odd) = (half(Half::Even), half(Half::Odd));
    check_discs(&even, 1.0, 0.03);
    check_discs(&odd, 1.0, 0.03);
    assert_ne!(even.data, odd.data);
}

#[test]
fn a_range_of_rows_has_the_same_bits_as_the_whole() {
    let (mut series, alignment) = plain(&half_turn(40), 40, 48);
    for ((v, row, col), value) in series.data.indexed_iter_mut() {
        *value *= 1.0 + ((v * 7 + row * 13 + col * 3) % 10) as f32 / 50.0;
    }
    let few = |method| ReconstructParams { method, iterations: Some(2), ..sirt() };
    let masked = ReconstructParams { mask: Mask::Capillary, ..few(Method::Sirt) };
    for params in
        [ReconstructParams::default(), few(Method::Sirt), few(Method::Cgls), few(Method::Tv), masked]
    {
        let params = ReconstructParams { thickness: Some(30), ..params };
        let whole = run(&series, &alignment, &params);
        let part = reconstruct_rows(
            &Progress::new(),
            &series,
            &alignment,
            &params,
            MemoryBudget::from_gib(1.0),
            9..30,
        )
        .unwrap()
        .0;
        assert_eq!(whole.data.slice(s![.., 9..30, ..]), part.data, "{:?}", params.method);
        assert!((part.origin_um[1] - 9.0 * PIXEL).abs() < 1e-12);
        assert_eq!(whole.shape(), [30, 40, 48]);
    }
}

#[test]
fn a_bead_has_one_place_in_the_world_whatever_the_thickness_binning_and_rows() {
    let angles = half_turn(90);
    // A bead 15 pixels to the left of the axis and 12 down the beam; 127 columns leave one over when binned.
    let n_cols = 127;
    let middle = (n_cols as f64 - 1.0) / 2.0;
    let data = Array3::from_shape_fn((90, 8, n_cols), |(v, _, u)| {
        let (sin, cos) = angles[v].to_radians().sin_cos();
        (-(u as f64 - middle + 15.0 * cos + 12.0 * sin).powi(2) / 18.0).exp() as f32
    });
    let series = TiltSeries { data, angles_deg: angles.clone(), pixel_um: Some(PIXEL), energy_ev: None };
    let base = ReconstructParams { sample: Sample::Inside, ..ReconstructParams::default() };
    let with = |thickness, bin, first_row| ReconstructParams { thickness, bin, first_row, ..base.clone() };
    for params in [
        with(None, 1, None),
        with(Some(65), 1, None),
        with(Some(100), 1, Some(4)),
        with(Some(301), 1, None),
        with(None, 2, None),
        with(Some(40), 2, Some(2)),
        with(None, 3, None),
        ReconstructParams { half: Half::Odd, ..with(Some(80), 1, None) },
    ] {
        let volume = run(&series, &Alignment::identity(&angles), &params);
        let most = volume.values().iter().copied().fold(0.0, f32::max);
        let (mut sum, mut place) = (0.0, [0.0; 2]);
        for ((z, _, x), value) in volume.data.indexed_iter() {
            let weight = f64::from((value - 0.4 * most).max(0.0));
            sum += weight;
            place[0] += weight * z as f64;
            place[1] += weight * x as f64;
        }
        let voxel = PIXEL * f64::from(params.bin);
        let world = [0, 1].map(|a| volume.origin_um[2 * a] + place[a] / sum * voxel);
        let expected = [(middle + 12.0) * PIXEL, (middle - 15.0) * PIXEL];
        assert!(
            (0..2).all(|a| (world[a] - expected[a]).abs() < 0.1 * PIXEL),
            "{params:?}: {world:?}, {expected:?}"
        );
        let row = params.first_row.unwrap_or(0) as f64 * voxel + (voxel - PIXEL) / 2.0;
        assert!((volume.origin_um[1] - row).abs() < 1e-12);
    }
}

#[test]
fn binning_keeps_lac_and_scales_the_voxel() {
    let angles = half_turn(120);
    // 129 columns: one does not fill a bin, which must not move the axis.
    let series = series(&angles, 4, 129, 2.0, &vec![0.0; 120]);
    let params = ReconstructParams { bin: 2, ..ReconstructParams::default() };
    let volume = run(&series, &Alignment::identity(&angles), &params);
    assert_eq!((volume.shape(), volume.voxel_um), ([64, 2, 64], Some([2.0 * PIXEL; 3])));
    // LAC per µm of a phantom drawn in pixels of the same size: twice the size, the same LAC.
    check_discs(&volume, 1.0, 0.02);
}

#[test]
fn a_sample_beyond_the_detector_keeps_its_lac_and_has_no_bright_rim() {
    let angles = half_turn(120);
    // 32 of the 50 columns that the large disc covers.
    let series = series(&angles, 1, 32, 1.0, &vec![0.0; 120]);
    let alignment = Alignment::identity(&angles);
    let rim = |volume: &Volume<f32>| mean(volume, 0.0, -14.5, 1.0) / mean(volume, 0.0, -5.0, 3.0);
    for params in [ReconstructParams::default(), sirt()] {
        let auto = run(&series, &alignment, &params);
        let inside =
            run(&series, &alignment, &ReconstructParams { sample: Sample::Inside, ..params.clone() });
        assert!((rim(&auto) - 1.0).abs() < 0.25, "{:?}: {}", params.method, rim(&auto));
        assert!(
            (rim(&inside) - 1.0).abs() > (rim(&auto) - 1.0).abs(),
            "{:?}: {}",
            params.method,
            rim(&inside)
        );
    }
}

#[test]
fn thread_count_does_not_change_a_bit() {
    let (series, alignment) = plain(&half_turn(30), 19, 40);
    let few = |method| ReconstructParams { method, iterations: Some(3), ..sirt() };
    for params in [ReconstructParams::default(), few(Method::Sirt), few(Method::Cgls), few(Method::Tv)] {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&series, &alignment, &params))
        };
        assert_eq!(with(1).data, with(2).data);
    }
}

#[test]
fn one_view_one_row_one_column_give_finite_values() {
    for (views, rows, cols) in [(1, 1, 8), (1, 3, 1), (3, 1, 2)] {
        let angles = half_turn(views);
        let (series, alignment) = plain(&angles, rows, cols);
        let of = |method| ReconstructParams { method, ..sirt() };
        for params in [ReconstructParams::default(), sirt(), of(Method::Cgls), of(Method::Tv)] {
            let volume = run(&series, &alignment, &params);
            assert_eq!(volume.shape(), [cols, rows, cols]);
            assert!(volume.values().iter().all(|v| v.is_finite()), "{views} {rows} {cols}");
        }
    }
}

#[test]
fn what_cannot_be_done_is_refused_in_a_sentence() {
    let angles = half_turn(4);
    let (series, alignment) = plain(&angles, 2, 16);
    let go = |series: &TiltSeries, alignment: &Alignment, params: &ReconstructParams, gib: f64| {
        reconstruct(&Progress::new(), series, alignment, params, MemoryBudget::from_gib(gib)).unwrap_err()
    };
    let params = ReconstructParams::default();
    let mut bad = series.clone();
    bad.data[[2, 1, 5]] = f32::NAN;
    assert_eq!(go(&bad, &alignment, &params, 1.0), ReconError::NotFinite { view: 2, row: 1, col: 5 });
    assert!(matches!(go(&series, &alignment, &params, 1e-6), ReconError::Memory(_)));
    let short = Alignment::identity(&angles[..3]);
    assert!(go(&series, &short, &params, 1.0).to_string().contains("3 views for a scan of 4"));
    let bins = ReconstructParams { bin: 4, ..params.clone() };
    assert!(matches!(go(&series, &alignment, &bins, 1.0), ReconError::Empty { rows: 0, .. }));
    for params in [
        ReconstructParams { bin: 0, ..params.clone() },
        ReconstructParams { relaxation: f32::NAN, ..params.clone() },
        ReconstructParams { cutoff: 0.0, ..params.clone() },
        ReconstructParams { thickness: Some(0), ..params.clone() },
        ReconstructParams { strength: 0.0, ..params.clone() },
        ReconstructParams { subsets: Some(0), ..params.clone() },
        ReconstructParams { minimum: Some(-1.0), ..params.clone() },
        ReconstructParams { mask_size: Some(f64::NAN), ..params.clone() },
        ReconstructParams { center: Some(f64::NAN), ..params.clone() },
    ] {
        assert!(matches!(go(&series, &alignment, &params, 1.0), ReconError::Parameter { .. }), "{params:?}");
    }
    let rows =
        reconstruct_rows(&Progress::new(), &series, &alignment, &params, MemoryBudget::from_gib(1.0), 1..3);
    assert_eq!(rows.unwrap_err(), ReconError::Rows { start: 1, end: 3, n_rows: 2 });
}

#[test]
fn cancel_stops_within_a_tenth_of_a_second() {
    let (series, alignment) = plain(&half_turn(60), 16, 128);
    for params in [
        ReconstructParams { thickness: Some(20_000), ..ReconstructParams::default() },
        ReconstructParams { iterations: Some(10_000), ..sirt() },
        ReconstructParams { method: Method::Tv, iterations: Some(10_000), ..sirt() },
        ReconstructParams { method: Method::Cgls, thickness: Some(8_000), ..sirt() },
    ] {
        let progress = Progress::new();
        let owner = progress.clone();
        let (result, waited) = std::thread::scope(|scope| {
            let worker = scope
                .spawn(|| reconstruct(&progress, &series, &alignment, &params, MemoryBudget::from_gib(4.0)));
            std::thread::sleep(std::time::Duration::from_millis(20));
            owner.cancel();
            let start = std::time::Instant::now();
            (worker.join().unwrap(), start.elapsed())
        });
        assert_eq!(result.unwrap_err(), ReconError::Cancelled(Cancelled), "{:?}", params.method);
        // Four times the promise, for machines that are busy with other tests.
        assert!(waited.as_millis() < 400, "{waited:?}");
    }
}

#[test]
fn the_plan_stays_within_input_and_output_and_a_third() {
    let angles: Vec<f64> = (-65..=65).map(f64::from).collect();
    let slab = ReconstructParams { thickness: Some(500), ..ReconstructParams::default() };
    for method in [Method::Fbp, Method::Sirt, Method::Cgls, Method::Tv] {
        let params = ReconstructParams { method, ..slab.clone() };
        let plan = plan((131, 1024, 1024), 131, &angles, &params, 0..1024).unwrap();
        let both = (131.0 + 500.0) * 1024.0 * 1024.0 * 4.0;
        assert!(plan.peak_bytes as f64 <= 1.3 * both, "{plan:?}");
        assert_eq!(plan.shape, [500, 1024, 1024]);
    }
    let full = plan((180, 256, 256), 180, &half_turn(180), &ReconstructParams::default(), 0..256).unwrap();
    assert_eq!(full.updates, 180 * 256 * 256 * 256);
    assert!(full.seconds(1.0e9) > 3.0);
    // Measured on this machine: between a slow core without optimisation and a large server.
    let rate = updates_per_second();
    assert!((1.0e6..1.0e13).contains(&rate) && rate == updates_per_second(), "{rate}");
}

#[test]
fn sirt_on_limited_tilt_finds_a_slab_of_ice() {
    // An endless slab, 20 voxels thick, 0.1 per µm: the path is 20 / cos.
    let angles: Vec<f64> = (-60..=60).step_by(3).map(f64::from).collect();
    let mut data = Array3::zeros((angles.len(), 1, 64));
    for (v, angle) in angles.iter().enumerate() {
        data.slice_mut(s![v, .., ..]).fill((20.0 / angle.to_radians().cos() * 0.1 * PIXEL) as f32);
    }
    let series = TiltSeries { data, angles_deg: angles.clone(), pixel_um: Some(PIXEL), energy_ev: None };
    let params = ReconstructParams { thickness: Some(20), ..sirt() };
    let volume = run(&series, &Alignment::identity(&angles), &params);
    let section: Array2<f32> = volume.data.slice(s![.., 0, ..]).to_owned();
    let worst = section.iter().fold(0.0f32, |m, v| m.max((v - 0.1).abs()));
    // Up to the rim: what lies beyond the detector is worked out, not cut off.
    assert!(worst < 0.01, "{worst}");
}

/// Balls along smooth profiles, (z, y, x) from the middle, radius, seen by views that have turned, grown and moved.
fn turned_series(alignment: &Alignment, shape: [usize; 2]) -> TiltSeries {
    let balls = [([3.0, -2.0, 5.0], 9.0), ([-8.0, 6.0, -4.0], 6.0), ([6.0, -9.0, -10.0], 5.0)];
    let middle = [(shape[0] as f64 - 1.0) / 2.0, (shape[1] as f64 - 1.0) / 2.0];
    let data = Array3::from_shape_fn((alignment.views.len(), shape[0], shape[1]), |(v, row, column)| {
        let view = &alignment.views[v];
        let (sin, cos) = view.angle_deg.to_radians().sin_cos();
        let [[a, b], [c, d]] = view.matrix();
        let (qx, qy) =
            (column as f64 - middle[1] - view.shift_x_px, row as f64 - middle[0] - view.shift_y_px);
        let determinant = a * d - b * c;
        let (x, y) = ((d * qx - b * qy) / determinant, (a * qy - c * qx) / determinant);
        let sum: f64 = balls
            .iter()
            .map(|([bz, by, bx], r)| {
                let d2 = (x - bx * cos + bz * sin).powi(2) + (y - by).powi(2);
                (-2.0 * d2 / (r * r)).exp()
            })
            .sum();
        sum as f32
    });
    TiltSeries {
        data,
        angles_deg: alignment.views.iter().map(|v| v.angle_deg).collect(),
        pixel_um: None,
        energy_ev: None,
    }
}

#[test]
fn views_that_have_turned_and_grown_are_read_back_whole_by_rows_and_binned() {
    let angles = half_turn(60);
    let still = Alignment::identity(&angles);
    let mut alignment = still.clone();
    for (v, view) in alignment.views.iter_mut().enumerate() {
        // Every third view stays as it is.
        if v % 3 > 0 {
            view.rotation_deg = 1.5 + (v % 5) as f64;
            view.magnification = 1.0 + 0.01 * (v % 4) as f64;
        }
        (view.shift_x_px, view.shift_y_px) = ((v % 7) as f64 * 0.6 - 1.8, (v % 4) as f64 * 0.7 - 1.0);
    }
    for (shape, bin) in [([34, 48], 1), ([67, 97], 2)] {
        let params = ReconstructParams { bin, sample: Sample::Inside, ..ReconstructParams::default() };
        let expected = run(&turned_series(&still, shape), &still, &params).data;
        let series = turned_series(&alignment, shape);
        let found = run(&series, &alignment, &params).data;
        let without = run(&series, &still, &params).data;
        let off = |other: &Array3<f32>| {
            let (depth, n_rows, width) = expected.dim();
            let inner = s![6..depth - 6, 4..n_rows - 4, 6..width - 6];
            let d = &other.slice(inner) - &expected.slice(inner);
            (d.mapv(|v| v * v).sum() / expected.slice(inner).mapv(|v| v * v).sum()).sqrt()
        };
        // One cubic interpolation of balls five pixels wide; without the alignment far more.
        assert!(off(&found) < 0.02 && off(&without) > 0.1, "bin {bin}: {} {}", off(&found), off(&without));
        let rows = ReconstructParams { first_row: Some(9), end_row: Some(14), ..params };
        assert_eq!(run(&series, &alignment, &rows).data, found.slice(s![.., 9..14, ..]).to_owned());
    }
}
