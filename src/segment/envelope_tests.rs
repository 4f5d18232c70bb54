//! Tests of the envelope on a cell with filopodia and a lamellipodium.

use super::*;
use crate::base::{Cancelled, Unit};

const N: usize = 72;

/// A body with four filopodia three voxels wide and a lamellipodium three voxels thick; the middle lines of the filopodia.
fn crawling_cell() -> (Array3<bool>, Vec<Vec<[usize; 3]>>) {
    let c = N as f64 / 2.0;
    let lines: Vec<([f64; 3], [f64; 3])> = vec![
        ([c, c, c + 14.0], [c, c, c + 32.0]),
        ([c, c - 12.0, c], [c - 10.0, c - 30.0, c]),
        ([c - 12.0, c, c - 6.0], [c - 30.0, c + 4.0, c - 12.0]),
        ([c + 6.0, c + 12.0, c + 4.0], [c + 12.0, c + 31.0, c + 8.0]),
    ];
    let to_line = |p: [f64; 3], (a, b): &([f64; 3], [f64; 3])| {
        let ab: [f64; 3] = std::array::from_fn(|k| b[k] - a[k]);
        let length: f64 = ab.iter().map(|v| v * v).sum();
        let t = ((0..3).map(|k| (p[k] - a[k]) * ab[k]).sum::<f64>() / length).clamp(0.0, 1.0);
        (0..3).map(|k| (p[k] - a[k] - t * ab[k]).powi(2)).sum::<f64>().sqrt()
    };
    let cell = Array3::from_shape_fn((N, N, N), |(z, y, x)| {
        let p = [z as f64, y as f64, x as f64];
        let body = (0..3).map(|k| (p[k] - c).powi(2)).sum::<f64>() <= 16.0 * 16.0;
        let lamella = (p[0] - c).abs() <= 1.0 && (p[1] - c).abs() <= 9.0 && p[2] <= c && p[2] >= c - 30.0;
        body || lamella || lines.iter().any(|line| to_line(p, line) <= 1.5)
    });
    let steps = |(a, b): &([f64; 3], [f64; 3])| -> Vec<[usize; 3]> {
        (0..=40)
            .map(|i| std::array::from_fn(|k| (a[k] + (b[k] - a[k]) * f64::from(i) / 40.0).round() as usize))
            .collect()
    };
    let middles = lines.iter().map(steps).collect();
    (cell, middles)
}

/// LAC of ice and cytoplasm, with organelles and vacuoles inside, blur and noise.
fn imaged(cell: &Array3<bool>, noise: f32, seed: u32) -> Volume<f32> {
    let c = N as f32 / 2.0;
    let lac = Array3::from_shape_fn(cell.dim(), |(z, y, x)| {
        let d = |dz: f32, dy: f32, dx: f32| {
            ((z as f32 - c - dz).powi(2) + (y as f32 - c - dy).powi(2) + (x as f32 - c - dx).powi(2)).sqrt()
        };
        match cell[[z, y, x]] {
            false => 0.1,
            true if d(0.0, 6.0, 5.0) < 5.0 => 0.12, // a vacuole like ice
            true if d(4.0, -6.0, -4.0) < 4.0 => 0.6, // a droplet
            true => 0.25f32,
        }
    });
    let mut data = gaussian(&Progress::new(), lac.view(), [0.6; 3]).unwrap();
    let mut state = seed;
    data.mapv_inplace(|v| {
        let deviate = (0..12)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 16_777_216.0
            })
            .sum::<f32>()
            - 6.0;
        v + noise * deviate
    });
    Volume::new(data, Some([0.02; 3]), Unit::PerUm)
}

fn ball(r: f64) -> Array3<u16> {
    let c = N as f64 / 2.0;
    Array3::from_shape_fn((N, N, N), |(z, y, x)| {
        u16::from([z, y, x].iter().map(|i| (*i as f64 - c).powi(2)).sum::<f64>() <= r * r)
    })
}

fn dice(truth: &Array3<bool>, found: &Array3<u16>) -> f64 {
    let both = truth.iter().zip(found).filter(|(a, b)| **a && **b != 0).count() as f64;
    let all = truth.iter().filter(|a| **a).count() + found.iter().filter(|b| **b != 0).count();
    2.0 * both / all as f64
}

/// Share of the filopodia's middle lines that is inside.
fn length_kept(middles: &[Vec<[usize; 3]>], found: &Array3<u16>) -> f64 {
    let all: Vec<&[usize; 3]> = middles.iter().flatten().collect();
    all.iter().filter(|at| found[***at] != 0).count() as f64 / all.len() as f64
}

fn run(volume: &Volume<f32>, start: Option<&Array3<u16>>, params: &EnvelopeParams) -> Envelope {
    envelope(&Progress::new(), volume, start.map(|s| s.view()), None, None, params).unwrap()
}

#[test]
fn filopodia_and_lamellipodia_are_kept_from_any_start() {
    let (cell, middles) = crawling_cell();
    let seed = EnvelopeParams { seed: true, ..EnvelopeParams::default() };
    for (noise, which) in [(0.02, 1), (0.04, 2)] {
        let volume = imaged(&cell, noise, which);
        let starts = [
            ("value", None, EnvelopeParams::default()),
            ("small ball", Some(ball(6.0)), seed.clone()),
            ("outline", Some(ball(18.0)), EnvelopeParams::default()),
        ];
        for (name, start, params) in starts {
            let found = run(&volume, start.as_ref(), &params);
            let (score, kept) = (dice(&cell, &found.labels), length_kept(&middles, &found.labels));
            let what =
                format!("noise {noise}, start {name}: Dice {score}, length {kept}, {} rounds", found.rounds);
            assert!(score >= 0.97 && kept >= 0.9, "{what}");
            assert!(found.at_rest, "{what}");
            assert_eq!(found.voxels, found.labels.iter().filter(|id| **id != 0).count() as u64);
        }
    }
}

#[test]
fn the_reach_and_the_mask_hold_the_surface() {
    let (cell, _) = crawling_cell();
    let volume = imaged(&cell, 0.02, 4);
    let start = ball(14.0);
    let near = run(&volume, Some(&start), &EnvelopeParams { reach: Some(4.0), ..EnvelopeParams::default() });
    let c = N as f64 / 2.0;
    for ((z, y, x), id) in near.labels.indexed_iter() {
        let d = [z, y, x].iter().map(|i| (*i as f64 - c).powi(2)).sum::<f64>().sqrt();
        assert!(*id == 0 || d <= 18.5, "{d}");
        assert!(*id == 1 || d >= 9.5, "{d}");
    }
    let mask = Array3::from_shape_fn((N, N, N), |(.., x)| x < N / 2);
    let view = Some(mask.view());
    let half = envelope(&Progress::new(), &volume, None, None, view, &EnvelopeParams::default()).unwrap();
    assert!(half.labels.indexed_iter().all(|((.., x), id)| *id == 0 || x < N / 2) && half.voxels > 0);
}

#[test]
fn painted_membranes_hold_the_surface_where_values_do_not_part() {
    // Two rooms of one value with a brighter wall between them.
    let mut volume = imaged(&Array3::from_elem((N, N, N), false), 0.015, 3);
    for ((_, y, x), v) in volume.data.indexed_iter_mut() {
        let d = (y as f64 - 36.0).hypot(x as f64 - 36.0);
        *v += if (d - 20.0).abs() < 1.5 { 0.12 } else { 0.0 };
    }
    let volume = Volume::new(volume.data.slice(ndarray::s![..12, .., ..]).to_owned(), None, Unit::PerUm);
    let start = Array3::from_shape_fn((12, N, N), |(_, y, x)| {
        u16::from((y as f64 - 36.0).hypot(x as f64 - 36.0) < 17.0)
    });
    let mut painted = Array3::<u16>::zeros((12, N, N));
    for ((z, y, x), id) in painted.indexed_iter_mut() {
        let d = (y as f64 - 36.0).hypot(x as f64 - 36.0);
        *id = u16::from(z % 4 == 1 && (d - 20.0).abs() < 1.5 && x > 36);
    }
    // With what is no membrane painted too, a forest learns it.
    let mut both = painted.clone();
    for ((z, y, x), id) in both.indexed_iter_mut() {
        let d = (y as f64 - 36.0).hypot(x as f64 - 36.0);
        *id = if *id == 0 && z % 4 == 1 && (y + x) % 7 == 0 && (d - 20.0).abs() > 3.0 { 2 } else { *id };
    }
    let likely = map_learnt(&Progress::new(), &volume, None, &both.view(), THICKNESS).unwrap();
    let average = |on: &dyn Fn(f64) -> bool| {
        let at = |(y, x): (usize, usize)| (y as f64 - 36.0).hypot(x as f64 - 36.0);
        let own = likely.iter().enumerate().filter(|(i, _)| on(at((i / N % N, i % N))));
        let own: Vec<f32> = own.map(|(_, p)| *p).collect();
        own.iter().sum::<f32>() / own.len() as f32
    };
    let [wall, room] = [average(&|d| (d - 20.0).abs() < 1.0), average(&|d| d < 14.0)];
    assert!(wall > 0.7 && room < 0.15, "{wall} {room}");
    let params = EnvelopeParams { reach: Some(6.0), ..EnvelopeParams::default() };
    let held =
        envelope(&Progress::new(), &volume, Some(start.view()), Some(both.view()), None, &params).unwrap();
    let leaked = held
        .labels
        .indexed_iter()
        .filter(|((_, y, x), id)| **id != 0 && (*y as f64 - 36.0).hypot(*x as f64 - 36.0) > 22.0);
    assert!(held.voxels > 0 && leaked.count() as u64 * 50 < held.voxels);
    let smooth = gaussian(&Progress::new(), volume.data.view(), [0.7; 3]).unwrap();
    let all = vec![true; smooth.len()];
    let costs = |membranes: Option<&ArrayView3<'_, u16>>| {
        edge_costs(&Progress::new(), &smooth, membranes, &all, &EnvelopeParams::default()).unwrap()
    };
    let learnt = costs(Some(&painted.view()));
    let mean = |costs: &[f32], on: &dyn Fn(f64) -> bool| {
        let own = smooth
            .indexed_iter()
            .zip(costs)
            .filter(|(((_, y, x), _), _)| on((*y as f64 - 36.0).hypot(*x as f64 - 36.0)));
        let own: Vec<f32> = own.map(|(_, c)| *c).collect();
        own.iter().sum::<f32>() / own.len() as f32
    };
    // On the unpainted half of the wall too the surface costs far less than beside it.
    let (wall, room) = (mean(&learnt, &|d| (d - 20.0).abs() < 1.0), mean(&learnt, &|d| d < 14.0));
    assert!(wall < 0.6 * room, "{wall} {room}");
    let view = Some(painted.view());
    let found = envelope(
        &Progress::new(),
        &volume,
        Some(start.view()),
        view,
        None,
        &EnvelopeParams { reach: Some(6.0), ..EnvelopeParams::default() },
    )
    .unwrap();
    assert!(found.voxels > 0);
}

#[test]
fn what_cannot_start_is_refused_and_cancel_threads_and_one_slice_pass() {
    let (cell, _) = crawling_cell();
    let volume = imaged(&cell, 0.02, 9);
    let params = EnvelopeParams::default();
    let with =
        |start: &Array3<u16>| envelope(&Progress::new(), &volume, Some(start.view()), None, None, &params);
    assert_eq!(with(&Array3::zeros((N, N, N))), Err(SegmentError::Start { all: false }));
    assert_eq!(with(&Array3::ones((N, N, N))), Err(SegmentError::Start { all: true }));
    assert!(matches!(with(&Array3::ones((2, 2, 2))), Err(SegmentError::ShapeMismatch { .. })));
    let progress = Progress::new();
    progress.cancel();
    let cancelled = envelope(&progress, &volume, None, None, None, &params);
    assert_eq!(cancelled, Err(SegmentError::Cancelled(Cancelled)));
    let threads = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| run(&volume, None, &params))
    };
    assert_eq!(threads(1), threads(3));
    let slice = Volume::new(volume.data.slice(ndarray::s![36..37, .., ..]).to_owned(), None, Unit::PerUm);
    assert!(run(&slice, None, &params).voxels > 300);
    let mut broken = volume.clone();
    broken.values_mut()[5] = f32::NAN;
    assert!(matches!(
        envelope(&Progress::new(), &broken, None, None, None, &params),
        Err(SegmentError::NonFinite { .. })
    ));
}
