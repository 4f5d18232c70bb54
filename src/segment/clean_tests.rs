//! Tests of cleaning against the definitions, voxel by voxel.

use super::*;

fn run(labels: &Array3<u16>, params: &CleanParams) -> Array3<u16> {
    clean(&Progress::new(), &labels.view(), Some([0.02; 3]), params).unwrap().labels
}

fn params(operation: CleanOperation) -> CleanParams {
    CleanParams { operation, ..CleanParams::default() }
}

/// Two classes at random in clumps.
fn clumps(shape: (usize, usize, usize), seed: u64) -> Array3<u16> {
    let mut state = seed | 1;
    let coarse = Array3::from_shape_simple_fn((shape.0 / 2 + 1, shape.1 / 2 + 1, shape.2 / 2 + 1), || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        [0, 0, 1, 1, 2][(state >> 33) as usize % 5]
    });
    Array3::from_shape_fn(shape, |(z, y, x)| coarse[[z / 2, y / 2, x / 2]])
}

/// Voxels within the ball around `at`; those outside the volume are left out.
fn ball(shape: [usize; 3], at: [usize; 3], radius: f64, spacing: [f64; 3]) -> Vec<[usize; 3]> {
    let mut found = Vec::new();
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            for x in 0..shape[2] {
                let d = [z, y, x];
                let r2: f64 = (0..3).map(|a| ((d[a] as f64 - at[a] as f64) * spacing[a]).powi(2)).sum();
                if r2.sqrt() <= radius * (1.0 + 1e-6) {
                    found.push(d);
                }
            }
        }
    }
    found
}

#[test]
fn growing_and_shrinking_are_those_of_the_definition_on_unequal_edges() {
    let labels = clumps((7, 9, 11), 3);
    let shape = [7, 9, 11];
    let um = [0.03, 0.02, 0.025];
    for (plane, spacing) in
        [(CleanPlane::Volume, um.map(|v| v * 1000.0)), (CleanPlane::Xz, [30.0, 1e9, 25.0])]
    {
        let params = |operation| CleanParams {
            operation,
            radius_nm: Some(41.0),
            plane,
            classes: "1".to_owned(),
            ..CleanParams::default()
        };
        let apply = |op| clean(&Progress::new(), &labels.view(), Some(um), &params(op)).unwrap().labels;
        let (grown, shrunk) = (apply(CleanOperation::Grow), apply(CleanOperation::Shrink));
        for ((z, y, x), was) in labels.indexed_iter() {
            let around = ball(shape, [z, y, x], 41.0, spacing);
            let near = around.iter().any(|at| labels[*at] == 1);
            let want = if *was == 0 && near { 1 } else { *was };
            assert_eq!(grown[[z, y, x]], want, "grown at {z} {y} {x}");
            let all = around.iter().all(|at| labels[*at] == 1);
            let want = if *was == 1 && !all { 0 } else { *was };
            assert_eq!(shrunk[[z, y, x]], want, "shrunk at {z} {y} {x}");
        }
    }
}

#[test]
fn opening_only_removes_closing_only_adds_and_both_are_done_once() {
    for seed in 0..4 {
        let labels = clumps((10, 12, 14), seed).mapv(|id| id.min(1));
        let with = |operation| CleanParams { radius: 1.5, ..params(operation) };
        let opened = run(&labels, &with(CleanOperation::Open));
        let closed = run(&labels, &with(CleanOperation::Close));
        assert!(labels.iter().zip(&opened).all(|(a, b)| b <= a));
        assert!(labels.iter().zip(&closed).all(|(a, b)| b >= a));
        assert_eq!(run(&opened, &with(CleanOperation::Open)), opened);
        assert_eq!(run(&closed, &with(CleanOperation::Close)), closed);
    }
}

#[test]
fn closing_does_not_stick_objects_to_the_faces_of_the_volume() {
    let labels = Array3::from_shape_fn((9, 9, 12), |(z, y, x)| {
        u16::from((3..6).contains(&z) && (3..6).contains(&y) && (2..8).contains(&x))
    });
    let params = CleanParams { radius: 3.0, ..params(CleanOperation::Close) };
    assert_eq!(run(&labels, &params), labels);
}

#[test]
fn holes_are_filled_in_three_dimensions_or_in_slices_and_other_classes_stay() {
    let mut shell = Array3::<u16>::zeros((9, 9, 9));
    for ((z, y, x), id) in shell.indexed_iter_mut() {
        let d = [z, y, x].map(|i| i.abs_diff(4)).into_iter().max().unwrap();
        *id = u16::from(d == 3);
    }
    shell[[4, 4, 4]] = 2;
    let filled = run(&shell, &params(CleanOperation::FillHoles));
    assert_eq!(filled.iter().filter(|id| **id == 1).count(), 7 * 7 * 7 - 1);
    assert_eq!(filled[[4, 4, 4]], 2);
    let overwritten = run(&shell, &CleanParams { overwrite: true, ..params(CleanOperation::FillHoles) });
    assert_eq!(overwritten[[4, 4, 4]], 1);
    // Pierced, it holds no hole in three dimensions, but its slices do.
    let mut open = shell.clone();
    open[[4, 4, 7]] = 0;
    assert_eq!(run(&open, &params(CleanOperation::FillHoles)), open);
    let xy = run(&open, &CleanParams { plane: CleanPlane::Xy, ..params(CleanOperation::FillHoles) });
    assert_eq!((xy[[3, 4, 4]], xy[[4, 4, 3]]), (1, 0));
    // A hole in two nested classes belongs to the inner one.
    let nested = Array3::from_shape_fn((11, 11, 11), |(z, y, x)| {
        let d = [z, y, x].map(|i| i.abs_diff(5)).into_iter().max().unwrap();
        [0, 0, 2, 0, 1, 0][d]
    });
    let filled = run(&nested, &params(CleanOperation::FillHoles));
    assert_eq!((filled[[5, 5, 5]], filled[[5, 5, 8]]), (2, 1));
}

#[test]
fn islands_go_by_voxels_or_volume_and_the_largest_stays() {
    let mut labels = Array3::<u16>::zeros((6, 10, 20));
    labels.slice_mut(s![1..4, 1..4, 1..4]).fill(1);
    labels.slice_mut(s![1..3, 6..8, 1..3]).fill(1);
    labels.slice_mut(s![1..3, 6..8, 9..11]).fill(2);
    let islands =
        |p: CleanParams| run(&labels, &CleanParams { operation: CleanOperation::RemoveIslands, ..p });
    let by_voxels = islands(CleanParams { min_voxels: 9, ..CleanParams::default() });
    assert_eq!((by_voxels[[2, 2, 2]], by_voxels[[1, 6, 1]], by_voxels[[1, 6, 9]]), (1, 0, 0));
    // 8 voxels of (0.02 µm)³ are 6.4e-5 µm³.
    let um3 = |um3| CleanParams { min_voxels: 0, min_um3: Some(um3), ..CleanParams::default() };
    assert_eq!(islands(um3(6.3e-5)), labels);
    assert_eq!(islands(um3(6.5e-5)), by_voxels);
    let of_one = islands(CleanParams { min_voxels: 9, classes: "1".to_owned(), ..CleanParams::default() });
    assert_eq!((of_one[[1, 6, 1]], of_one[[1, 6, 9]]), (0, 2));
    let largest = run(&labels, &params(CleanOperation::KeepLargest));
    assert_eq!((largest[[2, 2, 2]], largest[[1, 6, 1]], largest[[1, 6, 9]]), (1, 0, 2));
    let in_slices = CleanParams { plane: CleanPlane::Yz, ..params(CleanOperation::KeepLargest) };
    let in_slices = run(&labels, &in_slices);
    assert_eq!((in_slices[[1, 6, 1]], in_slices[[2, 2, 3]]), (0, 1));
}

#[test]
fn small_objects_join_the_neighbour_with_the_largest_contact() {
    let mut labels = Array3::<u16>::zeros((5, 5, 12));
    labels.slice_mut(s![.., .., ..5]).fill(1);
    labels.slice_mut(s![.., .., 7..]).fill(2);
    labels.slice_mut(s![2..4, 2..4, 4..7]).fill(3); // four faces at its end in class 1 and around it
    labels[[0, 0, 5]] = 4; // beside class 1 only
    labels[[4, 4, 6]] = 5;
    let merged = run(&labels, &CleanParams { min_voxels: 20, ..params(CleanOperation::MergeSmall) });
    assert_eq!((merged[[2, 2, 5]], merged[[0, 0, 5]], merged[[4, 4, 6]]), (1, 1, 2));
    // One that touches nothing stays.
    let mut alone = Array3::<u16>::zeros((3, 3, 3));
    alone[[1, 1, 1]] = 1;
    assert_eq!(run(&alone, &params(CleanOperation::MergeSmall)), alone);
}

#[test]
fn smoothing_evens_bumps_out_and_leaves_junctions_without_holes() {
    let mut labels = Array3::from_shape_fn((12, 12, 12), |(_, y, x)| {
        if x < 6 {
            1
        } else if y < 6 {
            2
        } else {
            3
        }
    });
    labels[[6, 3, 5]] = 2;
    labels[[6, 3, 6]] = 1;
    let smooth =
        |overwrite| run(&labels, &CleanParams { radius: 1.0, overwrite, ..params(CleanOperation::Smooth) });
    let kept = smooth(false);
    assert_eq!(kept, labels, "classes that touch keep their voxels unless asked");
    let evened = smooth(true);
    assert_eq!((evened[[6, 3, 5]], evened[[6, 3, 6]]), (1, 2));
    assert!(evened.iter().all(|id| *id != 0), "no hole at the junction");
    // Against nothing a bump goes and a dent is filled.
    let mut flat = Array3::from_shape_fn((12, 12, 12), |(.., x)| u16::from(x < 6));
    flat[[6, 6, 6]] = 1;
    flat[[3, 3, 5]] = 0;
    let smooth = run(&flat, &params(CleanOperation::Smooth));
    assert_eq!((smooth[[6, 6, 6]], smooth[[3, 3, 5]], smooth[[9, 9, 5]]), (0, 1, 1));
    for overwrite in [false, true] {
        let other = CleanParams { classes: "7".to_owned(), overwrite, ..params(CleanOperation::Smooth) };
        assert_eq!(run(&flat, &other), flat, "nothing was asked of class 1");
    }
}

#[test]
fn two_classes_that_grow_meet_half_way() {
    let mut labels = Array3::<u16>::zeros((1, 1, 11));
    labels[[0, 0, 0]] = 2;
    labels[[0, 0, 10]] = 1;
    let grown = run(&labels, &CleanParams { radius: 20.0, ..params(CleanOperation::Grow) });
    assert_eq!(grown.as_slice().unwrap(), [2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn lists_of_classes_are_read_and_others_refused() {
    let named = |text: &str| -> Vec<u32> {
        let list = ClassList::parse(text).unwrap();
        [1, 2, 4, 5, 6, 7, 8, 70_000, u32::MAX].into_iter().filter(|id| list.contains(*id)).collect()
    };
    assert_eq!(named(" ").len(), 9);
    assert_eq!(named("2, 5-7,6"), [2, 5, 6, 7]);
    assert_eq!(named("8-4294967295"), [8, 70_000, u32::MAX]);
    for wrong in ["a", "0", "3-1", "1,,2", "-1", "4294967296"] {
        assert!(ClassList::parse(wrong).unwrap_err().to_string().contains(wrong), "{wrong}");
    }
}

#[test]
fn changes_are_counted_and_threads_empty_and_cancel_are_kept() {
    let labels = clumps((16, 18, 20), 9);
    let grow = CleanParams { radius: 2.0, ..params(CleanOperation::Grow) };
    let done = clean(&Progress::new(), &labels.view(), None, &grow).unwrap();
    for class in &done.classes {
        let n = |array: &Array3<u16>| array.iter().filter(|id| u32::from(**id) == class.class).count() as u64;
        assert_eq!((class.before, class.after), (n(&labels), n(&done.labels)));
        assert_eq!(class.after, class.before + class.gained - class.lost);
    }
    use CleanOperation::{
        Close, FillHoles, Grow, KeepLargest, MergeSmall, Open, RemoveIslands, Shrink, Smooth,
    };
    for operation in [Close, FillHoles, Grow, KeepLargest, MergeSmall, Open, RemoveIslands, Shrink, Smooth] {
        let run = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| run(&labels, &params(operation)))
        };
        assert_eq!(run(1), run(3), "{operation:?}");
        let empty = Array3::<u16>::zeros((0, 4, 4));
        assert!(clean(&Progress::new(), &empty.view(), None, &params(operation)).unwrap().labels.is_empty());
        let cancelled = Progress::new();
        cancelled.cancel();
        let result = clean(&cancelled, &labels.view(), None, &params(operation));
        assert_eq!(result, Err(SegmentError::Cancelled(Cancelled)), "{operation:?}");
    }
    let nm = CleanParams { radius_nm: Some(30.0), ..params(Grow) };
    let error = clean(&Progress::new(), &labels.view(), None, &nm).unwrap_err();
    assert!(error.to_string().contains("voxel size"), "{error}");
}
