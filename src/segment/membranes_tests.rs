//! Supervoxels between membranes, on a foam of cells with thin walls.

use super::*;
use crate::base::{Cancelled, Unit};
use crate::segment::{SupervoxelMethod, quality, supervoxels, supervoxels_between, test_data};

const N: usize = 48;

/// Deviates in 0..1.
fn deviates(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0
    }
}

/// A foam of 64 cells of one value, their walls (about three voxels, `wall` brighter) with gaps, noise; and
/// the cell of every voxel, and whether it is wall.
fn foam(wall: f32) -> (Volume<f32>, Array3<u32>, Array3<bool>) {
    let mut uniform = deviates(3);
    let step = N as f32 / 4.0;
    let centres: Vec<[f32; 3]> = (0..64)
        .map(|i| [i / 16, i / 4 % 4, i % 4].map(|k: usize| (k as f32 + 0.5 + 0.7 * (uniform() - 0.5)) * step))
        .collect();
    let gaps: Vec<[f32; 3]> = (0..150).map(|_| [0; 3].map(|_: i32| uniform() * N as f32)).collect();
    let far = |a: &[f32; 3], b: &[f32; 3]| (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f32>().sqrt();
    let mut cells = Array3::<u32>::zeros((N, N, N));
    let mut walls = Array3::from_elem((N, N, N), false);
    let mut data = Array3::<f32>::zeros((N, N, N));
    for ((z, y, x), cell) in cells.indexed_iter_mut() {
        let at = [z as f32, y as f32, x as f32];
        let mut near: Vec<(f32, u32)> = centres.iter().map(|c| far(c, &at)).zip(1..).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        *cell = near[0].1;
        // The distance from the plane between the two nearest centres.
        let apart = far(&centres[near[0].1 as usize - 1], &centres[near[1].1 as usize - 1]);
        let from_wall = (near[1].0.powi(2) - near[0].0.powi(2)) / (2.0 * apart);
        let is_wall = from_wall < 1.5;
        walls[[z, y, x]] = is_wall;
        let is_gap = gaps.iter().any(|g| far(g, &at) < 2.0);
        let noise = (0..12).map(|_| uniform()).sum::<f32>() - 6.0;
        data[[z, y, x]] = 1.0 + 0.1 * noise + if is_wall && !is_gap { wall } else { 0.0 };
    }
    (Volume::new(data, Some([0.01; 3]), Unit::PerUm), cells, walls)
}

/// Some voxels of walls (2) and of insides (5).
fn painted(walls: &Array3<bool>) -> Array3<u16> {
    let mut uniform = deviates(9);
    Array3::from_shape_fn(walls.dim(), |at| {
        let is_painted = at.0 % 12 == 5 && uniform() < 0.04;
        u16::from(is_painted) * if walls[at] { 2 } else { 5 }
    })
}

fn params(method: SupervoxelMethod) -> SlicParams {
    SlicParams { method, size_voxels: 8.0, ..SlicParams::default() }
}

#[test]
fn cells_of_one_value_are_kept_apart_by_thin_walls_with_gaps() {
    let (volume, cells, walls) = foam(-0.5);
    let progress = Progress::new();
    let error = |regions: &Regions| quality::undersegmentation_error(regions, cells.view());
    let between = params(SupervoxelMethod::Membranes);
    let by_shape = supervoxels(&progress, &volume, None, &between).unwrap();
    assert_eq!(by_shape.n, 216);
    assert!(test_data::regions_are_connected(&by_shape), "a region falls apart");
    let map = painted(&walls);
    let learnt = supervoxels_between(&progress, &volume, None, Some(map.view()), &between).unwrap();
    let slic = supervoxels(&progress, &volume, None, &params(SupervoxelMethod::Slic)).unwrap();
    let snapped = supervoxels(&progress, &volume, None, &params(SupervoxelMethod::Watershed)).unwrap();
    let [by_shape, learnt, slic, snapped] = [&by_shape, &learnt, &slic, &snapped].map(error);
    // A wall of three voxels takes a third of such a cell, and nobody knows whose the middle of a wall is.
    assert!(by_shape < 0.2 && learnt < 0.2, "{by_shape} {learnt}");
    assert!(by_shape < 0.6 * slic && by_shape < 0.6 * snapped, "{by_shape} {slic} {snapped}");
    assert!(learnt < 0.6 * slic, "{learnt} {slic}");
}

#[test]
fn bright_walls_sizes_in_nm_and_masks() {
    let (dark, ..) = foam(-0.5);
    let mut bright = dark.clone();
    bright.data.mapv_inplace(|v| 2.0 - v);
    let progress = Progress::new();
    let between = params(SupervoxelMethod::Membranes);
    // Voxels of 10 nm.
    let other = SlicParams { wall: Wall::Bright, wall_nm: Some(30.0), wall_voxels: 9.0, ..between.clone() };
    let found = supervoxels(&progress, &bright, None, &other).unwrap();
    let same = supervoxels(&progress, &dark, None, &between).unwrap();
    let differ = found.ids.iter().zip(&same.ids).filter(|(a, b)| a != b).count();
    // Rounding of 2 - v may move single voxels and with them numbers.
    assert!(differ < N * N * N / 2 && found.n == same.n, "{differ} {} {}", found.n, same.n);
    let mut holed = dark.clone();
    holed.data.slice_mut(ndarray::s![40.., .., ..]).fill(f32::NAN);
    let mask = Array3::from_shape_fn((N, N, N), |(z, ..)| z < 40);
    let masked = supervoxels(&progress, &holed, Some(mask.view()), &between).unwrap();
    assert!(masked.ids.iter().zip(&mask).all(|(id, inside)| (*id > 0) == *inside));
    assert!(supervoxels(&progress, &holed, None, &between).is_err());
}

#[test]
fn what_is_painted_is_checked_and_threads_and_cancel_pass() {
    let (volume, _, walls) = foam(-0.5);
    let map = painted(&walls);
    let between = params(SupervoxelMethod::Membranes);
    let progress = Progress::new();
    let run = |map: &Array3<u16>| supervoxels_between(&progress, &volume, None, Some(map.view()), &between);
    let with = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| run(&map).unwrap())
    };
    assert_eq!(with(1), with(3));
    assert_eq!(run(&map.mapv(|id| id.min(1))), Err(SegmentError::OneClass { class: 1 }));
    assert_eq!(run(&Array3::zeros((N, N, N))), Err(SegmentError::NoScribbles));
    assert!(run(&Array3::zeros((1, 2, 3))).unwrap_err().to_string().contains("membranes"));
    let thick = SlicParams { wall_voxels: 0.0, ..between.clone() };
    assert!(supervoxels(&progress, &volume, None, &thick).is_err());
    let one = Volume::new(Array3::zeros((1, 1, 1)), None, Unit::PerUm);
    assert_eq!(supervoxels(&progress, &one, None, &between).unwrap().n, 1);
    let unknown = SlicParams { wall_nm: Some(30.0), ..between.clone() };
    assert_eq!(supervoxels(&progress, &one, None, &unknown), Err(SegmentError::VoxelSize));
    progress.cancel();
    assert_eq!(run(&map), Err(SegmentError::Cancelled(Cancelled)));
}
