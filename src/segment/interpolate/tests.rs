//! Tests of interpolation on bodies whose slices are painted and whose rest is known.

use super::*;

/// Keeps the slices across `axis` at `offset`, `offset + every`, ….
fn painted(body: &Array3<u16>, axis: usize, offset: usize, every: usize) -> Array3<u16> {
    let mut labels = body.clone();
    for ((z, y, x), id) in labels.indexed_iter_mut() {
        let k = [z, y, x][axis];
        if k < offset || !(k - offset).is_multiple_of(every) {
            *id = 0;
        }
    }
    labels
}

fn filled(labels: &Array3<u16>, params: &InterpolateParams) -> Array3<u16> {
    let found = interpolate(&Progress::new(), &labels.view(), None, params).unwrap();
    for (was, new) in labels.iter().zip(&found.new) {
        assert!(*was == 0 || *new == 0, "a labelled voxel was taken");
    }
    found.laid_over(&labels.view())
}

fn dice(a: &Array3<u16>, b: &Array3<u16>, class: u16) -> f64 {
    let n = |f: &dyn Fn(u16, u16) -> bool| a.iter().zip(b).filter(|(a, b)| f(**a, **b)).count() as f64;
    2.0 * n(&|a, b| a == class && b == class) / (n(&|a, _| a == class) + n(&|_, b| b == class))
}

/// Voxels for which a function of the distance from `middle` (z, y, x) holds.
fn body(n: usize, inside: impl Fn([f64; 3]) -> u16) -> Array3<u16> {
    let c = (n as f64 - 1.0) / 2.0;
    Array3::from_shape_fn((n, n, n), |(z, y, x)| inside([z as f64 - c, y as f64 - c, x as f64 - c]))
}

fn sphere(n: usize, r: f64) -> Array3<u16> {
    body(n, |d| u16::from(d.iter().map(|v| v * v).sum::<f64>() <= r * r))
}

#[test]
fn a_sphere_painted_in_every_eighth_slice_comes_back() {
    let truth = sphere(91, 40.0);
    for axis in 0..3 {
        // The middle lies at 45: slices at 5, 13, …, 85.
        let found = filled(&painted(&truth, axis, 5, 8), &InterpolateParams::default());
        assert!(dice(&truth, &found, 1) >= 0.985, "axis {axis}: {}", dice(&truth, &found, 1));
    }
    // Off the middle the caps beyond the last slices, 2 % of the ball, are closed where that is asked for.
    let round = InterpolateParams { round_ends: true, ..InterpolateParams::default() };
    for offset in [1, 3, 5, 6] {
        let found = filled(&painted(&truth, 0, offset, 8), &round);
        assert!(dice(&truth, &found, 1) >= 0.985, "offset {offset}: {}", dice(&truth, &found, 1));
    }
}

#[test]
fn a_tilted_ellipsoid_comes_back() {
    let (s, c) = (30f64.to_radians().sin(), 30f64.to_radians().cos());
    let truth = body(81, |[z, y, x]| {
        let (along, across) = (c * z + s * x, c * x - s * z);
        u16::from((along / 36.0).powi(2) + (across / 14.0).powi(2) + (y / 20.0).powi(2) <= 1.0)
    });
    for axis in 0..3 {
        // Along its shortest axis it is painted in five slices, the last a single voxel.
        let least = if axis == 1 { 0.965 } else { 0.98 };
        for offset in [0, 2, 4, 6] {
            let labels = painted(&truth, axis, offset, 8);
            let round = InterpolateParams { round_ends: true, ..InterpolateParams::default() };
            let score = dice(&truth, &filled(&labels, &round), 1);
            assert!(score >= least, "axis {axis} from {offset}: {score}");
            // Without the ends only what lies between the slices is compared.
            let range: Vec<usize> = (offset..81)
                .step_by(8)
                .filter(|k| labels.index_axis(Axis(axis), *k).iter().any(|id| *id == 1))
                .collect();
            let mut between = truth.clone();
            for ((z, y, x), id) in between.indexed_iter_mut() {
                let k = [z, y, x][axis];
                if k < range[0] || k > range[range.len() - 1] {
                    *id = 0;
                }
            }
            let score = dice(&between, &filled(&labels, &InterpolateParams::default()), 1);
            assert!(score >= least, "axis {axis} between, from {offset}: {score}");
        }
    }
}

#[test]
fn unequal_edges_are_respected() {
    // A ball in µm with slices three times as thick as pixels are wide.
    let truth = Array3::from_shape_fn((31, 91, 91), |(z, y, x)| {
        let d = [(z as f64 - 15.0) * 3.0, y as f64 - 45.0, x as f64 - 45.0];
        u16::from(d.iter().map(|v| v * v).sum::<f64>() <= 1600.0)
    });
    let labels = painted(&truth, 0, 3, 4);
    let params = InterpolateParams::default();
    let found = interpolate(&Progress::new(), &labels.view(), Some([0.09, 0.03, 0.03]), &params).unwrap();
    let score = dice(&truth, &found.laid_over(&labels.view()), 1);
    assert!(score >= 0.97, "{score}");
}

#[test]
fn classes_that_touch_meet_without_slivers_or_holes() {
    // A ball of two halves with a core, and a nested shell.
    let truth = body(65, |[z, y, x]| {
        let r = (z * z + y * y + x * x).sqrt();
        match r {
            _ if r > 29.0 => 0,
            _ if r < 12.0 => 3,
            _ if x + 0.3 * z < 0.0 => 1,
            _ => 2,
        }
    });
    let found = filled(&painted(&truth, 0, 4, 6), &InterpolateParams::default());
    for class in 1..=3 {
        // The first and last slices lie where the ball begins, the core's at half its last step.
        assert!(dice(&truth, &found, class) >= 0.95, "{class}: {}", dice(&truth, &found, class));
    }
    let holes = truth.indexed_iter().filter(|((z, y, x), id)| {
        let d: f64 = [*z, *y, *x].iter().map(|i| (*i as f64 - 32.0).powi(2)).sum();
        **id != 0 && d < 26.0f64.powi(2) && found[[*z, *y, *x]] == 0
    });
    assert_eq!(holes.count(), 0);
}

#[test]
fn two_branches_merge_and_neighbours_stay_apart() {
    // A fork: two tubes that run together into one, and a third tube beside them.
    let truth = Array3::from_shape_fn((49, 60, 90), |(z, y, x)| {
        let apart = 14.0 - z as f64 * 0.4;
        let tube = |centre: f64, r: f64| (x as f64 - centre).hypot(y as f64 - 30.0) <= r;
        u16::from(tube(35.0 - apart, 8.0) || tube(35.0 + apart, 8.0) || tube(80.0, 5.0))
    });
    let found = filled(&painted(&truth, 0, 0, 8), &InterpolateParams::default());
    assert!(dice(&truth, &found, 1) >= 0.96, "{}", dice(&truth, &found, 1));
    // Between the tubes nothing is invented.
    let wrong =
        truth.indexed_iter().filter(|((z, y, x), id)| **id == 0 && *x > 60 && found[[*z, *y, *x]] == 1);
    assert!(wrong.count() < 60);
}

#[test]
fn a_thin_slanted_tube_that_never_overlaps_itself_is_followed_and_an_end_ends() {
    let truth = Array3::from_shape_fn((33, 20, 60), |(z, y, x)| {
        u16::from((x as f64 - 10.0 - z as f64).hypot(y as f64 - 10.0) <= 2.5)
    });
    let mut labels = painted(&truth, 0, 0, 8);
    // A second part with no partner in the next slice.
    labels.slice_mut(ndarray::s![0, 3..6, 50..53]).fill(1);
    let found = filled(&labels, &InterpolateParams::default());
    assert_eq!(found[[2, 4, 51]], 0);
    labels.slice_mut(ndarray::s![0, 3..6, 50..53]).fill(0);
    let score = dice(&truth, &filled(&labels, &InterpolateParams::default()), 1);
    assert!(score > 0.9, "{score}");
}

#[test]
fn the_only_part_of_two_slices_is_moved_however_far_and_what_stays_open_is_counted() {
    // A square that moves by twice its edge between two slices.
    let mut labels = Array3::<u16>::zeros((11, 60, 60));
    labels.slice_mut(ndarray::s![0, 10..20, 10..20]).fill(1);
    labels.slice_mut(ndarray::s![10, 30..40, 30..40]).fill(1);
    let found = filled(&labels, &InterpolateParams::default());
    for z in 1..10 {
        let at: Vec<(usize, usize)> = found
            .index_axis(Axis(0), z)
            .indexed_iter()
            .filter(|(_, id)| **id == 1)
            .map(|(at, _)| at)
            .collect();
        let middle = |pick: fn(&(usize, usize)) -> usize| {
            at.iter().map(|at| pick(at) as f64).sum::<f64>() / at.len() as f64
        };
        let expected = 14.5 + 2.0 * z as f64;
        assert!((70..=110).contains(&at.len()), "slice {z}: {} voxels", at.len());
        assert!((middle(|at| at.0) - expected).abs() < 0.5 && (middle(|at| at.1) - expected).abs() < 0.5);
    }
    // Two parts here and none near there: nothing can be told, and it is said.
    labels.slice_mut(ndarray::s![0, 50..56, 0..6]).fill(1);
    let params = InterpolateParams::default();
    let found = interpolate(&Progress::new(), &labels.view(), None, &params).unwrap();
    let class = &found.classes[0];
    assert_eq!((class.gaps, class.apart, class.wide, class.voxels), (1, 1, 0, 0));
    let narrow = InterpolateParams { max_gap: 3, ..params };
    let found = interpolate(&Progress::new(), &labels.view(), None, &narrow).unwrap();
    assert_eq!((found.classes[0].gaps, found.classes[0].wide), (0, 1));
}

#[test]
fn slices_of_several_axes_work_together() {
    let truth = sphere(65, 28.0);
    let by = [painted(&truth, 0, 4, 14), painted(&truth, 2, 4, 14)];
    let labels = ndarray::Zip::from(&by[0]).and(&by[1]).map_collect(|a, b| *a.max(b));
    let found = interpolate(&Progress::new(), &labels.view(), None, &InterpolateParams::default()).unwrap();
    assert_eq!(found.classes[0].axes, "zx");
    let score = dice(&truth, &found.laid_over(&labels.view()), 1);
    let one = dice(&truth, &filled(&by[0], &InterpolateParams::default()), 1);
    assert!(score >= 0.97 && score > one, "{score} {one}");
}

#[test]
fn only_chosen_classes_and_gaps_that_are_not_too_wide_are_filled() {
    let truth = sphere(41, 16.0);
    let labels = painted(&truth, 0, 4, 8);
    let none = |params: InterpolateParams| filled(&labels, &params) == labels;
    assert!(none(InterpolateParams { classes: "2".to_owned(), ..InterpolateParams::default() }));
    assert!(none(InterpolateParams { max_gap: 6, ..InterpolateParams::default() }));
    assert!(none(InterpolateParams {
        axis: PaintedAxis::Several,
        max_gap: 3,
        ..InterpolateParams::default()
    }));
    assert!(!none(InterpolateParams { axis: PaintedAxis::Z, max_gap: 7, ..InterpolateParams::default() }));
    // What is whole has no gap.
    assert_eq!(filled(&truth, &InterpolateParams::default()), truth);
    // Other classes in the way stay.
    let mut blocked = labels.clone();
    blocked[[16, 20, 20]] = 9;
    assert_eq!(filled(&blocked, &InterpolateParams::default())[[16, 20, 20]], 9);
}

#[test]
fn empty_one_slice_cancel_and_threads() {
    let params = InterpolateParams::default();
    for shape in [(0, 3, 3), (1, 9, 9), (5, 1, 1)] {
        assert_eq!(filled(&Array3::zeros(shape), &params), Array3::<u16>::zeros(shape));
    }
    let one = Array3::from_elem((1, 4, 4), 3);
    assert_eq!(filled(&one, &params), one);
    let labels = painted(&sphere(41, 16.0), 1, 4, 5);
    let progress = Progress::new();
    progress.cancel();
    let cancelled = interpolate(&progress, &labels.view(), None, &params);
    assert_eq!(cancelled, Err(SegmentError::Cancelled(Cancelled)));
    let run = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| interpolate(&Progress::new(), &labels.view(), None, &params).unwrap())
    };
    assert_eq!(run(1), run(3));
}
