//! Tests of kernels::projector.

use ndarray::{Array3, Zip};

use super::*;

/// A reproducible number in -1..1 for each index.
fn noise(i: usize) -> f32 {
    let mut h = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    h = (h ^ (h >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (h >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

fn noise_array(shape: (usize, usize, usize), seed: usize) -> Array3<f32> {
    let (_, b, c) = shape;
    Array3::from_shape_fn(shape, |(i, j, k)| noise(((i * b + j) * c + k).wrapping_add(seed * 1_000_003)))
}

fn dot(a: &Array3<f32>, b: &Array3<f32>) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn odd_geometry() -> ParallelGeometry {
    let angles: Vec<f64> =
        vec![-200.0, -90.0, -65.3, -45.0, -10.0, 0.0, 0.01, 26.565, 44.99, 45.0, 60.0, 90.0, 135.0, 181.5];
    ParallelGeometry {
        shift_x_px: (0..angles.len()).map(|i| f64::from(noise(i)) * 3.0).collect(),
        angles_deg: angles,
        n_cols: 37,
        depth: 23,
        width: 45,
    }
}

#[test]
fn back_projection_is_the_adjoint_of_projection() {
    let geometry = odd_geometry();
    let x = noise_array((23, 19, 45), 1);
    let y = noise_array((14, 19, 37), 2);
    let ax = project(&Progress::new(), &geometry, x.view()).unwrap();
    let aty = back_project(&Progress::new(), &geometry, y.view()).unwrap();
    let norm = dot(&ax, &ax).sqrt() * dot(&y, &y).sqrt();
    let difference = (dot(&ax, &y) - dot(&x, &aty)).abs() / norm;
    // Single-precision weights placed from double-precision positions.
    assert!(difference < 1.0e-6, "{difference}");
}

#[test]
fn a_voxel_lands_on_the_column_of_the_contract() {
    let geometry = ParallelGeometry {
        shift_x_px: vec![0.0, 1.5, -2.0],
        ..ParallelGeometry::new(&[0.0, 30.0, -70.0], 41)
    };
    // A smooth blob around (z, x) = (28, 25).
    let volume = Array3::from_shape_fn((41, 1, 41), |(z, _, x)| {
        (-((z as f32 - 28.0).powi(2) + (x as f32 - 25.0).powi(2)) / 4.0).exp()
    });
    let series = project(&Progress::new(), &geometry, volume.view()).unwrap();
    for (v, angle) in geometry.angles_deg.iter().enumerate() {
        let (sin, cos) = angle.to_radians().sin_cos();
        let expected = 20.0 + 5.0 * cos - 8.0 * sin + geometry.shift_x_px[v];
        let view = series.slice(ndarray::s![v, 0, ..]);
        let total: f64 = view.iter().map(|w| f64::from(*w)).sum();
        let centroid = view.iter().enumerate().map(|(u, w)| u as f64 * f64::from(*w)).sum::<f64>() / total;
        assert!((centroid - expected).abs() < 0.005, "{angle}: {centroid} {expected}");
    }
}

/// Chord of the ray of column `u` through an ellipse with semi-axes a (z), b (x) around (z0, x0).
fn chord(angle_deg: f64, u: f64, centre: [f64; 2], axes: [f64; 2]) -> f64 {
    let (sin, cos) = angle_deg.to_radians().sin_cos();
    let offset = u - (centre[1] * cos - centre[0] * sin);
    let width2 = (axes[1] * cos).powi(2) + (axes[0] * sin).powi(2);
    if offset * offset >= width2 {
        0.0
    } else {
        2.0 * axes[0] * axes[1] * (width2 - offset * offset).sqrt() / width2
    }
}

#[test]
fn projections_of_an_ellipse_are_its_chords_within_one_percent() {
    let n = 512;
    let (centre, axes) = ([31.3, -44.7], [150.0, 97.0]);
    let angles: Vec<f64> = vec![0.0, 7.3, 26.565, 45.0, 58.0, 90.0, 135.0, 171.0];
    let middle = (n as f64 - 1.0) / 2.0;
    // The share of each voxel that lies inside, by 4 x 4 points.
    let volume = Array3::from_shape_fn((n, 1, n), |(z, _, x)| {
        let mut inside = 0;
        for i in 0..16 {
            let dz = z as f64 - middle + (f64::from(i / 4) - 1.5) / 4.0 - centre[0];
            let dx = x as f64 - middle + (f64::from(i % 4) - 1.5) / 4.0 - centre[1];
            inside += i32::from((dz / axes[0]).powi(2) + (dx / axes[1]).powi(2) < 1.0);
        }
        inside as f32 / 16.0
    });
    let series = project(&Progress::new(), &ParallelGeometry::new(&angles, n), volume.view()).unwrap();
    for (v, angle) in angles.iter().enumerate() {
        let (mut error, mut total) = (0.0, 0.0);
        for u in 0..n {
            let exact = chord(*angle, u as f64 - middle, centre, axes);
            error += (f64::from(series[[v, 0, u]]) - exact).powi(2);
            total += exact * exact;
        }
        let relative = (error / total).sqrt();
        assert!(relative < 0.01, "{angle}°: {relative}");
    }
}

#[test]
fn every_instruction_set_gives_the_same_numbers_within_rounding() {
    let geometry = odd_geometry();
    let mut section = SlabProjector::new(&geometry).new_section();
    section.pack(noise_array((23, 16, 45), 3).view(), 0);
    let run = |arch: Arch| {
        let projector = SlabProjector { arch, ..SlabProjector::new(&geometry) };
        let (mut sinogram, mut back) = (projector.new_sinogram(), projector.new_section());
        projector.project(&Progress::new(), &section, &mut sinogram, |_, _| ()).unwrap();
        projector.back_project(&Progress::new(), Footprint::Matched, &sinogram, &mut back).unwrap();
        let mut out = Array3::<f32>::zeros((23, 16, 45));
        back.unpack(out.view_mut());
        out
    };
    let (best, scalar) = (run(Arch::new()), run(Arch::Scalar));
    let scale = scalar.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    Zip::from(&best).and(&scalar).for_each(|a, b| assert!((a - b).abs() < 1e-5 * scale, "{a} {b}"));
}

#[test]
fn thread_count_does_not_change_a_bit() {
    let geometry = odd_geometry();
    let volume = noise_array((23, 19, 45), 4);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let series = project(&Progress::new(), &geometry, volume.view()).unwrap();
            back_project(&Progress::new(), &geometry, series.view()).unwrap()
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn degenerate_sizes_and_far_shifts_are_harmless() {
    let geometry = ParallelGeometry {
        angles_deg: vec![45.0, 0.0],
        shift_x_px: vec![1.0e12, -1.0e12],
        n_cols: 1,
        depth: 1,
        width: 1,
    };
    let one = Array3::from_elem((1, 1, 1), 1.0f32);
    assert_eq!(project(&Progress::new(), &geometry, one.view()).unwrap().sum(), 0.0);
    let near = ParallelGeometry { shift_x_px: vec![0.0; 2], ..geometry };
    let series = project(&Progress::new(), &near, one.view()).unwrap();
    assert!((series[[0, 0, 0]] - 2.0f32.sqrt()).abs() < 1e-6 && series[[1, 0, 0]] == 1.0, "{series:?}");
    let none = ParallelGeometry::new(&[], 8);
    assert_eq!(project(&Progress::new(), &none, Array3::zeros((8, 3, 8)).view()).unwrap().dim(), (0, 3, 8));
}

#[test]
fn a_cancelled_token_stops_both_directions() {
    let progress = Progress::new();
    progress.cancel();
    let geometry = ParallelGeometry::new(&[0.0], 8);
    let array = Array3::zeros((8, 1, 8));
    assert_eq!(project(&progress, &geometry, array.view()), Err(Cancelled));
    assert_eq!(back_project(&progress, &geometry, Array3::zeros((1, 1, 8)).view()), Err(Cancelled));
}
