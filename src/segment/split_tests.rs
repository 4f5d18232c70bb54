//! Tests of instance splitting on packings of balls whose number is known.

use super::*;
use crate::base::Unit;

struct Ball {
    middle: [f64; 3],
    radius: f64,
}

/// Balls that touch: each but the first reaches a tenth of the distance into one before, and into no other further.
fn packing(n: usize, size: f64, radii: [f64; 2], seed: u64) -> Vec<Ball> {
    let mut state = seed.wrapping_mul(977) | 1;
    let mut uniform = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    let mut balls = vec![Ball { middle: [size / 2.0; 3], radius: radii[0] }];
    for _ in 0..20_000 {
        if balls.len() == n {
            break;
        }
        let radius = radii[0] + (radii[1] - radii[0]) * uniform();
        let host = &balls[(uniform() * balls.len() as f64) as usize];
        let (c, phi) = (2.0 * uniform() - 1.0, std::f64::consts::TAU * uniform());
        let s = (1.0 - c * c).sqrt();
        let d = 0.9 * (radius + host.radius);
        let middle =
            [host.middle[0] + d * c, host.middle[1] + d * s * phi.cos(), host.middle[2] + d * s * phi.sin()];
        let inside = middle.iter().all(|v| *v > radius + 2.0 && *v < size - radius - 2.0);
        let free = balls.iter().all(|other| {
            let d: f64 = (0..3).map(|a| (middle[a] - other.middle[a]).powi(2)).sum::<f64>().sqrt();
            d >= 0.9 * (radius + other.radius) - 1e-9
        });
        if inside && free {
            balls.push(Ball { middle, radius });
        }
    }
    balls
}

fn drawn(balls: &[Ball], shape: [usize; 3], spacing: [f64; 3]) -> Array3<u16> {
    Array3::from_shape_fn(shape, |(z, y, x)| {
        let at = [z as f64 * spacing[0], y as f64 * spacing[1], x as f64 * spacing[2]];
        u16::from(balls.iter().any(|ball| {
            (0..3).map(|a| (at[a] - ball.middle[a]).powi(2)).sum::<f64>() <= ball.radius * ball.radius
        }))
    })
}

fn run(labels: &Array3<u16>, um: Option<[f64; 3]>, params: &SplitParams) -> Split {
    split(&Progress::new(), &labels.view(), u32::from, um, None, params).unwrap()
}

/// Share of balls that have an object of their own: the one at their middle is at no other's.
fn found_alone(balls: &[Ball], split: &Split, spacing: [f64; 3]) -> f64 {
    let ids: Vec<u32> = balls
        .iter()
        .map(|b| {
            split.map[std::array::from_fn::<usize, 3, _>(|a| (b.middle[a] / spacing[a]).round() as usize)]
        })
        .collect();
    let alone = ids.iter().filter(|id| **id != 0 && ids.iter().filter(|other| other == id).count() == 1);
    alone.count() as f64 / balls.len() as f64
}

#[test]
fn touching_balls_are_counted_in_packings_of_many_sizes() {
    for (radii, size) in [([4.0, 4.0], 64), ([6.0, 6.0], 80), ([4.0, 9.0], 88), ([5.0, 12.0], 96)] {
        for seed in 0..3 {
            let balls = packing(60, size as f64, radii, seed);
            assert!(balls.len() >= 20, "{}", balls.len());
            let labels = drawn(&balls, [size; 3], [1.0; 3]);
            // Two balls taken for one count twice among those without an object of their own.
            for (method, alone) in [(SplitMethod::Distance, 0.95), (SplitMethod::Shape, 0.9)] {
                let found = run(&labels, None, &SplitParams { method, ..SplitParams::default() });
                let ratio = found.objects.len() as f64 / balls.len() as f64;
                let what = format!("{method:?}, radii {radii:?}, seed {seed}: {ratio}");
                assert!((0.95..=1.05).contains(&ratio), "{what}");
                assert!(found_alone(&balls, &found, [1.0; 3]) >= alone, "{what}");
            }
        }
    }
}

#[test]
fn unequal_edges_do_not_change_the_count() {
    let balls = packing(30, 64.0, [7.0, 9.0], 4);
    let spacing = [2.0, 1.0, 1.0];
    let labels = drawn(&balls, [32, 64, 64], spacing);
    let found = run(&labels, Some([0.04, 0.02, 0.02]), &SplitParams::default());
    let ratio = found.objects.len() as f64 / balls.len() as f64;
    assert!((0.95..=1.05).contains(&ratio), "{ratio}");
    assert!(found_alone(&balls, &found, spacing) >= 0.95);
}

#[test]
fn shape_keeps_long_bodies_whole_where_they_are_uneven() {
    // A rod of radius 5 that narrows to 3.2 in the middle, and two balls that touch.
    let labels = Array3::from_shape_fn((20, 40, 60), |(z, y, x)| {
        let d = (z as f64 - 10.0).hypot(y as f64 - 10.0);
        let rod = (5..55).contains(&x) && d <= 5.0 - 1.8 * (-((x as f64 - 30.0) / 4.0).powi(2)).exp();
        let ball =
            |c: f64| ((z as f64 - 10.0).powi(2) + (y as f64 - 30.0).powi(2) + (x as f64 - c).powi(2)) <= 49.0;
        u16::from(rod || ball(20.0) || ball(32.6))
    });
    let count = |method| run(&labels, None, &SplitParams { method, ..SplitParams::default() }).objects.len();
    assert_eq!(count(SplitMethod::Shape), 3);
    assert!(count(SplitMethod::Distance) > 3, "the waist alone would part the rod");
}

#[test]
fn granules_are_told_apart_by_their_values_where_the_class_is_one_block() {
    let middles = [[8.0, 8.0, 8.0], [8.0, 8.0, 18.0], [8.0, 18.0, 12.0]];
    let value = |at: [f64; 3]| {
        let bump = |m: &[f64; 3]| (-(0..3).map(|a| (at[a] - m[a]).powi(2)).sum::<f64>() / 18.0).exp();
        0.3 + 0.3 * middles.iter().map(bump).fold(0.0, f64::max)
    };
    let shape = (16, 26, 26);
    let data = Array3::from_shape_fn(shape, |(z, y, x)| value([z as f64, y as f64, x as f64]) as f32);
    let labels = data.mapv(|v| u16::from(v > 0.35));
    for dark in [false, true] {
        let data = if dark { data.mapv(|v| 1.0 - v) } else { data.clone() };
        let volume = Volume::new(data, None, Unit::PerUm);
        let params = SplitParams { method: SplitMethod::Intensity, dark, ..SplitParams::default() };
        let found = split(&Progress::new(), &labels.view(), u32::from, None, Some(&volume), &params).unwrap();
        assert_eq!(found.objects.len(), 3);
        let ids: std::collections::BTreeSet<u32> =
            middles.iter().map(|m| found.map[m.map(|v| v as usize)]).collect();
        assert_eq!(ids.len(), 3);
    }
    let params = SplitParams { method: SplitMethod::Intensity, ..SplitParams::default() };
    let missing = split(&Progress::new(), &labels.view(), u32::from, None, None, &params).unwrap_err();
    assert!(missing.to_string().contains("volume"), "{missing}");
    let other = Volume::new(Array3::zeros((2, 2, 2)), None, Unit::PerUm);
    assert!(split(&Progress::new(), &labels.view(), u32::from, None, Some(&other), &params).is_err());
}

#[test]
fn classes_stay_apart_ids_go_in_scan_order_and_small_pieces_join() {
    let mut labels = Array3::<u16>::zeros((9, 9, 24));
    labels.slice_mut(s![2..7, 2..7, 2..10]).fill(1);
    labels.slice_mut(s![2..7, 2..7, 10..20]).fill(2);
    labels[[0, 0, 23]] = 2;
    let found = run(&labels, None, &SplitParams::default());
    let summary: Vec<_> = found.objects.iter().map(|o| (o.id, o.class, o.voxels)).collect();
    assert_eq!(summary, [(1, 2, 1), (2, 1, 200), (3, 2, 250)]);
    let of_one = run(&labels, None, &SplitParams { class: Some(1), ..SplitParams::default() });
    assert_eq!(of_one.objects.len(), 1);
    for object in &found.objects {
        assert_eq!(found.map.iter().filter(|id| **id == object.id).count() as u64, object.voxels);
    }
}

#[test]
fn empty_cancel_and_threads() {
    let balls = packing(20, 48.0, [4.0, 6.0], 8);
    let labels = drawn(&balls, [48; 3], [1.0; 3]);
    let shape = SplitParams { method: SplitMethod::Shape, ..SplitParams::default() };
    let with = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| run(&labels, None, &shape))
    };
    assert_eq!(with(1), with(3));
    assert!(run(&Array3::zeros((0, 2, 2)), None, &shape).objects.is_empty());
    assert!(run(&Array3::zeros((1, 5, 5)), None, &shape).objects.is_empty());
    assert_eq!(run(&Array3::from_elem((1, 6, 6), 4), None, &shape).objects.len(), 1);
    let progress = Progress::new();
    progress.cancel();
    let cancelled = split(&progress, &labels.view(), u32::from, None, None, &shape);
    assert_eq!(cancelled, Err(SegmentError::Cancelled(Cancelled)));
}
