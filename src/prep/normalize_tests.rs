//! Tests of normalising: exact where exact is possible, one sentence for every bad scan.

use super::*;

const ROWS: usize = 12;
const COLS: usize = 140;

/// Absorbance of a bar that stands in the middle, with air at both sides.
fn truth(view: usize, y: usize, x: usize) -> f64 {
    let inside = (40..100).contains(&x);
    if inside { 0.5 + 0.3 * ((x + view) as f64 * 0.2).sin() + 0.02 * y as f64 } else { 0.0 }
}

fn flat_value(y: usize, x: usize) -> f64 {
    9000.0 + 30.0 * x as f64 - 50.0 * y as f64
}

/// A noiseless scan with a beam that fades to `last` and flats before and after.
fn scan(n_views: usize, last: f64) -> Scan {
    let beam: Vec<f64> =
        (0..n_views).map(|v| 1.0 + (last - 1.0) * (v as f64 + 0.5) / n_views as f64).collect();
    let views = Array3::from_shape_fn((n_views, ROWS, COLS), |(v, y, x)| {
        100.0 + flat_value(y, x) * beam[v] * (-truth(v, y, x)).exp()
    });
    let flat_beam = vec![1.0, 1.0, last, last];
    let flats = Array3::from_shape_fn((4, ROWS, COLS), |(i, y, x)| 100.0 + flat_value(y, x) * flat_beam[i]);
    let mut scan = Scan::new(AnyArray::F64(views), Unit::Counts);
    scan.flats = Some(AnyArray::F64(flats));
    scan.darks = Some(AnyArray::F64(Array3::from_elem((3, ROWS, COLS), 100.0)));
    scan.angles_deg = (0..n_views).map(|v| 180.0 * v as f64 / n_views as f64).collect();
    scan.beam = beam;
    scan.flat_beam = flat_beam;
    scan.flat_times = vec![0.0, 0.0, n_views as f64, n_views as f64];
    scan
}

fn run(scan: &Scan, params: &NormalizeParams) -> Result<(TiltSeries, NormalizeReport), PrepError> {
    normalize(&Progress::new(), scan, params)
}

fn worst_transmission_error(series: &TiltSeries) -> f64 {
    let errors = series
        .data
        .indexed_iter()
        .map(|((v, y, x), a)| ((-f64::from(*a)).exp() - (-truth(v, y, x)).exp()).abs());
    errors.fold(0.0, f64::max)
}

#[test]
fn a_noiseless_scan_gives_the_transmission_to_a_millionth_with_any_source_of_intensity() {
    for frames in [FrameMean::Mean, FrameMean::Median] {
        let params = NormalizeParams { frames, ..NormalizeParams::default() };
        let (series, report) = run(&scan(10, 0.7), &params).unwrap();
        assert!(worst_transmission_error(&series) < 1e-6, "{}", worst_transmission_error(&series));
        assert_eq!((report.intensity, report.n_flat_groups, report.n_clipped), ("beam monitor", 2, 0));
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    }
    // A beam that fades evenly is followed by interpolated flats alone.
    let constant = NormalizeParams { intensity: Intensity::Constant, ..NormalizeParams::default() };
    let (series, report) = run(&scan(10, 0.7), &constant).unwrap();
    assert!(worst_transmission_error(&series) < 1e-6);
    assert_eq!(report.intensity, "taken as constant");
}

#[test]
fn without_a_monitor_air_is_used_where_it_is_and_never_where_it_is_not() {
    let mut no_monitor = scan(10, 0.95);
    no_monitor.beam.clear();
    no_monitor.flat_times.clear();
    let (series, report) = run(&no_monitor, &NormalizeParams::default()).unwrap();
    assert_eq!(report.intensity, "air beside the sample");
    assert!(worst_transmission_error(&series) < 1e-6);

    // Ice up to the edges: the same scan with the bar over the whole field.
    let mut slab = no_monitor.clone();
    slab.projections = AnyArray::F64(Array3::from_elem((10, ROWS, COLS), 100.0 + 9000.0 * 0.93));
    let (_, report) = run(&slab, &NormalizeParams::default()).unwrap();
    assert_eq!(report.intensity, "taken as constant");
    assert!(report.warnings.iter().any(|w| w.contains("no air")), "{:?}", report.warnings);
    let air = NormalizeParams { intensity: Intensity::Air, ..NormalizeParams::default() };
    assert!(matches!(run(&slab, &air), Err(PrepError::NoAir)));
    // A limited tilt is not fitted either, whatever its edges show.
    no_monitor.angles_deg.iter_mut().for_each(|a| *a *= 0.5);
    assert_eq!(run(&no_monitor, &NormalizeParams::default()).unwrap().1.intensity, "taken as constant");
}

#[test]
fn dead_hot_and_missing_pixels_are_repaired_and_counted() {
    let mut broken = scan(10, 0.9);
    let (AnyArray::F64(views), Some(AnyArray::F64(flats))) = (&mut broken.projections, &mut broken.flats)
    else {
        unreachable!("the scan above is f64");
    };
    flats.slice_mut(ndarray::s![.., 3, 60]).fill(100.0);
    flats.slice_mut(ndarray::s![.., 5, 61]).fill(f64::NAN);
    flats.slice_mut(ndarray::s![.., 8, 70]).fill(60_000.0);
    // A pixel that reads too little in every view, though its flat is fine.
    views.slice_mut(ndarray::s![.., 7, 20]).mapv_inplace(|v| v * 0.4);
    views[[4, 2, 2]] = f64::INFINITY;
    let (series, report) = run(&broken, &NormalizeParams::default()).unwrap();
    assert_eq!((report.n_bad_pixels, report.n_non_finite), (4, 1));
    assert!(series.data.iter().all(|v| v.is_finite()));
    // Filled from neighbours a pixel away: the bar changes by 0.06 per pixel at most.
    assert!(worst_transmission_error(&series) < 0.06, "{}", worst_transmission_error(&series));
}

#[test]
fn starved_pixels_are_clipped_at_the_stated_transmission_and_counted() {
    let mut dark = scan(10, 1.0);
    let AnyArray::F64(views) = &mut dark.projections else { unreachable!("the scan above is f64") };
    views.slice_mut(ndarray::s![2, .., 50..60]).fill(90.0);
    let (series, report) = run(&dark, &NormalizeParams::default()).unwrap();
    assert_eq!(report.n_clipped, (ROWS * 10) as u64);
    let most = series.data.iter().copied().fold(f32::MIN, f32::max);
    assert!((f64::from(most) + report.t_min.ln()).abs() < 1e-4, "{most} {}", report.t_min);
}

#[test]
fn transmission_and_absorbance_are_taken_as_they_are() {
    let given = |unit: Unit, f: fn(f64) -> f64| {
        let values = Array3::from_shape_fn((4, ROWS, COLS), |(v, y, x)| f(truth(v, y, x)) as f32);
        let mut scan = Scan::new(AnyArray::F32(values), unit);
        scan.angles_deg = vec![0.0, 1.0, 2.0, 3.0];
        scan
    };
    let transmission = given(Unit::Transmission, |a| (-a).exp());
    let (series, _) = run(&transmission, &NormalizeParams::default()).unwrap();
    assert!(worst_transmission_error(&series) < 1e-6);
    let absorbance = given(Unit::Absorbance, |a| a);
    let (series, report) = run(&absorbance, &NormalizeParams::default()).unwrap();
    assert_eq!(
        Some(&series.data.iter().copied().collect::<Vec<_>>()),
        match &absorbance.projections {
            AnyArray::F32(values) => Some(values.iter().copied().collect::<Vec<_>>()),
            _ => None,
        }
        .as_ref()
    );
    assert_eq!(report.intensity, "as given");
}

#[test]
fn every_bad_scan_gets_one_sentence_with_what_was_found() {
    type Spoil = fn(&mut Scan);
    let cases: [(&str, Spoil); 10] = [
        ("no flat fields", |s| s.flats = None),
        ("no flat fields", |s| s.flats = Some(AnyArray::U16(Array3::zeros((0, ROWS, COLS))))),
        ("flats are 4 x 4", |s| s.flats = Some(AnyArray::U16(Array3::from_elem((1, 4, 4), 9)))),
        ("darks are 4 x 4", |s| s.darks = Some(AnyArray::U16(Array3::from_elem((1, 4, 4), 9)))),
        ("1680 of 1680", |s| s.flats = Some(AnyArray::U16(Array3::zeros((1, ROWS, COLS))))),
        ("1680 of 1680", |s| s.flats = Some(AnyArray::F32(Array3::from_elem((1, ROWS, COLS), f32::NAN)))),
        ("9 angles for 10 views", |s| {
            s.angles_deg.pop();
        }),
        ("view 3 is NaN", |s| s.angles_deg[3] = f64::NAN),
        ("say what they are", |s| s.unit = Unit::Arbitrary),
        ("not finite", |s| s.projections = AnyArray::F32(Array3::from_elem((10, ROWS, COLS), f32::NAN))),
    ];
    for (expected, spoil) in cases {
        let mut scan = scan(10, 0.9);
        spoil(&mut scan);
        let text = run(&scan, &NormalizeParams::default()).unwrap_err().to_string();
        assert!(text.contains(expected) && !text.contains('\n'), "{expected}: {text}");
    }
    let empty = Scan::new(AnyArray::U16(Array3::zeros((0, 5, 5))), Unit::Counts);
    assert!(matches!(run(&empty, &NormalizeParams::default()), Err(PrepError::Empty { .. })));
}

#[test]
fn cancel_stops_and_threads_do_not_change_a_bit() {
    let scan = scan(10, 0.8);
    let progress = Progress::new();
    progress.cancel();
    let cancelled = normalize(&progress, &scan, &NormalizeParams::default());
    assert!(matches!(cancelled, Err(PrepError::Cancelled(_))));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let single = pool.install(|| run(&scan, &NormalizeParams::default()).unwrap());
    assert_eq!(single.0, run(&scan, &NormalizeParams::default()).unwrap().0);
}
