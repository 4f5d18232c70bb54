//! Supervoxels on volumes whose truth is known; the same on a graphics device where there is one.

use super::*;
use crate::base::Unit;
use crate::segment::test_data;

fn params(size_voxels: f32) -> SlicParams {
    SlicParams { size_voxels, ..SlicParams::default() }
}

#[test]
fn every_region_is_connected_and_sizes_stay_near_the_cell() {
    let volume = test_data::noisy_balls([40, 41, 43], 7);
    let regions = supervoxels(&Progress::new(), &volume, None, &params(4.5)).unwrap();
    assert!(test_data::regions_are_connected(&regions), "a region falls apart");
    let sizes: Vec<u32> = regions.places(&Progress::new()).unwrap().iter().map(|p| p.n_voxels).collect();
    assert_eq!(sizes.iter().map(|n| *n as usize).sum::<usize>(), volume.n_voxels());
    let nominal = 4.5f32.powi(3);
    let off = sizes.iter().filter(|n| **n < (0.3 * nominal) as u32 || **n > (3.0 * nominal) as u32).count();
    assert!(off * 100 <= sizes.len(), "{off} of {} regions are far from {nominal} voxels", sizes.len());
}

#[test]
fn regions_follow_a_boundary() {
    let volume = test_data::noisy_balls([40, 40, 40], 3);
    let regions = supervoxels(&Progress::new(), &volume, None, &params(5.0)).unwrap();
    let truth = test_data::balls([40, 40, 40]);
    let mut counts = vec![[0u32; 3]; regions.n as usize];
    for (id, class) in regions.values().iter().zip(&truth) {
        counts[*id as usize - 1][*class as usize] += 1;
    }
    let wrong: u32 = counts.iter().map(|c| c.iter().sum::<u32>() - c.iter().max().unwrap()).sum();
    // Cubes of 5 voxels mix 6 % of the voxels here.
    assert!(f64::from(wrong) < 0.03 * truth.len() as f64, "{wrong} voxels lie in a region of another class");
}

#[test]
fn threads_do_not_change_the_bits() {
    let volume = test_data::noisy_balls([33, 40, 70], 5);
    let run = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| supervoxels(&Progress::new(), &volume, None, &params(4.0)).unwrap())
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn outside_the_mask_is_zero_and_may_be_nan() {
    let mut volume = test_data::noisy_balls([24, 24, 24], 5);
    let mask = Array3::from_shape_fn((24, 24, 24), |(z, y, x)| z > 4 && (y + x) % 17 != 3);
    volume.data.zip_mut_with(&mask, |value, inside| {
        if !inside {
            *value = f32::NAN;
        }
    });
    let regions = supervoxels(&Progress::new(), &volume, Some(mask.view()), &params(4.0)).unwrap();
    assert!(regions.ids.iter().zip(&mask).all(|(id, inside)| (*id > 0) == *inside));
    assert!(test_data::regions_are_connected(&regions), "a region falls apart");
}

#[test]
fn longer_voxels_get_fewer_per_region() {
    let mut volume = test_data::noisy_balls([32, 32, 32], 5);
    volume.data.fill(0.2);
    volume.voxel_um = Some([0.04, 0.02, 0.02]);
    let regions = supervoxels(&Progress::new(), &volume, None, &params(5.0)).unwrap();
    let column = |a: usize| {
        let line: Vec<u32> = (0..32).map(|i| regions.ids[[[i, 3, 3], [3, 3, i]][a]]).collect();
        line.windows(2).filter(|w| w[0] != w[1]).count() + 1
    };
    // Cells are 5 · 2^(1/3) voxels in the plane and half as many along z.
    assert!(column(0) >= 9 && column(1) <= 6, "{} along z, {} along x", column(0), column(1));
}

#[test]
fn the_unit_of_the_values_does_not_matter() {
    let volume = test_data::noisy_balls([20, 20, 20], 5);
    let mut scaled = volume.clone();
    // A power of two scales every f32 exactly, so even the bits must agree.
    scaled.data.mapv_inplace(|v| v * 1024.0);
    let run = |v| supervoxels(&Progress::new(), v, None, &params(4.0)).unwrap();
    assert_eq!(run(&volume), run(&scaled));
}

#[test]
fn odd_inputs_are_answered() {
    let progress = Progress::new();
    for shape in [[1, 30, 30], [1, 1, 1], [3, 1, 50]] {
        let volume = Volume::new(Array3::from_elem(shape, 0.5f32), None, Unit::PerUm);
        let regions = supervoxels(&progress, &volume, None, &params(4.5)).unwrap();
        assert!(regions.ids.iter().all(|id| (1..=regions.n).contains(id)), "{shape:?}");
    }
    let empty = Volume::new(Array3::<f32>::zeros((0, 3, 3)), None, Unit::PerUm);
    let error = supervoxels(&progress, &empty, None, &params(4.5)).unwrap_err();
    assert_eq!(error, SegmentError::EmptyVolume { shape: [0, 3, 3] });
    let mut volume = test_data::noisy_balls([8, 8, 8], 1);
    let none = Array3::from_elem((8, 8, 8), false);
    assert_eq!(
        supervoxels(&progress, &volume, Some(none.view()), &params(4.0)).unwrap_err(),
        SegmentError::EmptyMask
    );
    let error = supervoxels(&progress, &volume, None, &params(0.5)).unwrap_err();
    assert!(error.to_string().contains("size_voxels is 0.5"), "{error}");
    volume.data[[1, 2, 3]] = f32::NAN;
    let error = supervoxels(&progress, &volume, None, &params(4.0)).unwrap_err();
    assert_eq!(error, SegmentError::NonFinite { n: 1, first_zyx: [1, 2, 3] });
    progress.cancel();
    let volume = test_data::noisy_balls([8, 8, 8], 1);
    let error = supervoxels(&progress, &volume, None, &params(4.0)).unwrap_err();
    assert_eq!(error, SegmentError::Cancelled(Cancelled));
}

/// A device to compute on, a software driver included; `None`, with a word about it, where there is none.
fn device() -> Option<&'static Gpu> {
    Gpu::to_compute_on(crate::gpu::DeviceChoice::Gpu).unwrap_or_else(|error| {
        eprintln!("SKIP: {error}");
        None
    })
}

#[test]
fn a_device_finds_the_regions_that_the_processor_finds() {
    let Some(gpu) = device() else { return };
    let progress = Progress::new();
    // No multiple of a bin or a block along any axis, longer than a block along x.
    let shape = [37, 43, 99];
    let volume = test_data::noisy_balls(shape, 11);
    let mask = Array3::from_shape_fn(shape, |(z, y, _)| z + y > 20);
    for mask in [None, Some(mask.view())] {
        let alone = supervoxels(&progress, &volume, mask, &params(4.5)).unwrap();
        let (regions, note) = supervoxels_on(&progress, Some(gpu), &volume, mask, &params(4.5)).unwrap();
        assert!(note.is_some_and(|note| note.contains(&gpu.info.name)));
        assert_eq!(regions.n, alone.n);
        let same = regions.values().iter().zip(alone.values()).filter(|(a, b)| a == b).count();
        assert!(same * 1000 >= 999 * volume.n_voxels(), "{same} of {} voxels", volume.n_voxels());
        // Software drivers round every operation as the processor does.
        if gpu.is_software() {
            assert_eq!(same, volume.n_voxels());
        }
    }
}

#[test]
fn a_device_that_is_too_small_gives_way_and_a_cancel_is_answered() {
    let Some(gpu) = device() else { return };
    let problem_of = |shape: [usize; 3]| Card::new(gpu, &[], shape, [1.0; 4]).err();
    let huge = 1 << 20;
    assert!(matches!(problem_of([4, huge, huge]), Some(CardError::TooSmall { needs, has }) if needs > has));
    let volume = test_data::noisy_balls([12; 3], 1);
    let progress = Progress::new();
    progress.cancel();
    let cancelled = supervoxels_on(&progress, Some(gpu), &volume, None, &params(4.5));
    assert!(matches!(cancelled, Err(SegmentError::Cancelled(_))));
}
