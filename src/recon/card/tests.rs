//! Tests of recon::card: what a device finds is what the processor finds.

use ndarray::Array3;

use super::*;
use crate::base::MemoryBudget;
use crate::gpu::DeviceChoice;
use crate::kernels::projector::{back_project, project};
use crate::recon::{Mask, Method, ReconError, Sample, plan, reconstruct_rows, reconstruct_rows_on};
use crate::volume::{Alignment, TiltSeries, ViewShift};

/// A device to compute on, a software driver included; `None`, with a word about it, where there is none.
fn device() -> Option<&'static Gpu> {
    Gpu::to_compute_on(DeviceChoice::Gpu).unwrap_or_else(|error| {
        eprintln!("SKIP: {error}");
        None
    })
}

/// A reproducible number in 0..1 for each index.
fn noise(i: usize) -> f32 {
    let mut h = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    h = (h ^ (h >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((h ^ (h >> 27)) >> 40) as f32 / (1u64 << 24) as f32
}

fn noisy(shape: (usize, usize, usize)) -> Array3<f32> {
    let mut i = 0;
    Array3::from_shape_simple_fn(shape, || {
        i += 1;
        noise(i) - 0.5
    })
}

fn geometries() -> Vec<ParallelGeometry> {
    let full: Vec<f64> = (0..17).map(|i| -90.0 + 180.0 * f64::from(i) / 17.0).collect();
    let limited: Vec<f64> = (-6..=6).map(|i| 65.0 * f64::from(i) / 6.0).collect();
    // Right angles and half ones, where steps change from one axis to the other.
    let square = [-90.0, -45.0, 0.0, 45.0, 90.0, 135.0, 180.0];
    let shifted = ParallelGeometry {
        shift_x_px: (0..13).map(|i| 3.3 * f64::from(i) - 17.7).collect(),
        depth: 19,
        width: 83,
        ..ParallelGeometry::new(&limited, 61)
    };
    vec![
        ParallelGeometry::new(&full, 64),
        shifted,
        ParallelGeometry { depth: 70, width: 9, ..ParallelGeometry::new(&square, 67) },
        ParallelGeometry { depth: 1, width: 40, ..ParallelGeometry::new(&[20.0], 1) },
    ]
}

/// A kernel over all rows of `source`: one that gathers along rays, or one that gathers over views.
fn on_card(gpu: &Gpu, geometry: &ParallelGeometry, source: &Array3<f32>, forward: bool) -> Array3<f32> {
    let n_rows = source.dim().1;
    let window = Window { z0: 0, x0: 0, depth: geometry.depth, width: geometry.width };
    let n_slabs = n_rows.div_ceil(LANES);
    let wants =
        Wants { geometry, footprint: Footprint::Matched, window, n_slabs, subsets: 0, room: u64::MAX };
    let card = Card::new(gpu, &wants).unwrap();
    assert_eq!(card.n_planes, if n_slabs == 1 { 1 } else { n_slabs.next_multiple_of(2) });
    let (mut section, mut sinogram) = (card.new_section(), card.new_sinogram());
    let progress = Progress::new();
    let mut feed = Feed::new(gpu, &progress, &card.params);
    for slab in 0..n_slabs {
        let (buffer, plane) =
            if forward { (&card.section, &mut section) } else { (&card.sino, &mut sinogram) };
        plane.pack(source.view(), slab * LANES);
        card.send(buffer, slab, plane).unwrap();
    }
    // Pieces of few tiles, so that their borders are seen.
    feed.piece = 3.0e4;
    feed.add(&if forward {
        card.along_rays(&card.project, 0, geometry.n_views())
    } else {
        card.over_voxels(&card.smear, [0, geometry.n_views()], 0, 0.0)
    })
    .unwrap();
    feed.submit().unwrap();
    let (from, like) = if forward { (&card.sino, &mut sinogram) } else { (&card.section, &mut section) };
    let mut out = Array3::zeros((like.n_lines(), n_rows, like.line_len()));
    for slab in 0..n_slabs {
        let groups = card.read(from, slab, like).unwrap();
        for ((line, row, at), value) in out.indexed_iter_mut() {
            if row / LANES == slab {
                *value = groups[like.first() + line * like.stride() + at][row % LANES];
            }
        }
        let outside = groups.len() - like.n_lines() * like.line_len();
        assert!(
            groups.iter().filter(|group| group.iter().all(|v| *v == 0.0)).count() >= outside,
            "margins stay zero"
        );
    }
    out
}

/// Largest difference, in parts of the range of `b`.
fn apart(a: &Array3<f32>, b: &Array3<f32>) -> f64 {
    let range =
        b.iter().copied().fold(f32::NEG_INFINITY, f32::max) - b.iter().copied().fold(f32::INFINITY, f32::min);
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(a.iter().all(|v| v.is_finite()), "not a number");
    f64::from(worst / range.max(f32::MIN_POSITIVE))
}

fn dot(a: &Array3<f32>, b: &Array3<f32>) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[test]
fn both_directions_are_those_of_the_processor_and_adjoint_to_each_other() {
    let Some(gpu) = device() else { return };
    let progress = Progress::new();
    // One slab, two with a last one that is not full, and three, of which a fourth is made.
    for (geometry, n_rows) in geometries().iter().zip([16, 19, 37, 1]) {
        let volume = noisy((geometry.depth, n_rows, geometry.width));
        let series = noisy((geometry.n_views(), n_rows, geometry.n_cols));
        let projected = on_card(gpu, geometry, &volume, true);
        let smeared = on_card(gpu, geometry, &series, false);
        // Single precision: the order of sums differs.
        let parted = apart(&projected, &project(&progress, geometry, volume.view()).unwrap());
        assert!(parted < 1e-5, "projections {parted}");
        let parted = apart(&smeared, &back_project(&progress, geometry, series.view()).unwrap());
        assert!(parted < 1e-5, "back projection {parted}");
        let size = dot(&projected, &projected).sqrt() * dot(&series, &series).sqrt();
        let adjoint = (dot(&projected, &series) - dot(&volume, &smeared)).abs() / size;
        assert!(adjoint < 1e-5, "adjoint {adjoint}");
    }
}

#[test]
fn places_are_exact_far_from_the_corner() {
    let Some(gpu) = device() else { return };
    // 3000 voxels along x: single precision alone would miss columns by 2e-4.
    let geometry = ParallelGeometry {
        depth: 3,
        width: 3001,
        shift_x_px: vec![1300.7, -1200.2, 0.1],
        ..ParallelGeometry::new(&[-41.3, 28.9, 0.7], 257)
    };
    let volume = noisy((3, 2, 3001));
    let projected = on_card(gpu, &geometry, &volume, true);
    let parted = apart(&projected, &project(&Progress::new(), &geometry, volume.view()).unwrap());
    // The worst of some thousand sums of few terms.
    assert!(parted < 1e-5, "{parted}");
}

/// The rows of discs that differ from row to row, a little noisy.
fn scan(angles_deg: &[f64], n_rows: usize, n_cols: usize) -> (TiltSeries, Alignment) {
    let mut data = Array3::zeros((angles_deg.len(), n_rows, n_cols));
    for ((v, row, u), value) in data.indexed_iter_mut() {
        let (sin, cos) = angles_deg[v].to_radians().sin_cos();
        for (z, x, r, lac) in [(2.0, -3.0, 18.0, 0.3), (-6.0, 5.0, 5.0 + row as f64 / 10.0, 0.4)] {
            let d = u as f64 - (n_cols as f64 - 1.0) / 2.0 - (x * cos - z * sin);
            let half2: f64 = r * r - d * d;
            *value += if half2 > 0.0 { (2.0 * half2.sqrt() * lac * 0.05) as f32 } else { 0.0 };
        }
        *value += 0.01 * (noise((v * n_rows + row) * n_cols + u) - 0.5);
    }
    let series = TiltSeries { data, angles_deg: angles_deg.to_vec(), pixel_um: Some(0.05), energy_ev: None };
    (series, Alignment::identity(angles_deg))
}

fn shift(alignment: &mut Alignment) {
    for (v, view) in alignment.views.iter_mut().enumerate() {
        let angle_deg = view.angle_deg;
        *view =
            ViewShift { shift_x_px: 0.37 * v as f64 - 3.1, shift_y_px: 0.21 * v as f64, angle_deg, ..*view };
    }
}

/// Device and processor agree to 1e-3 of range, the bar of the reconstruction.
fn check(gpu: &Gpu, scan: &(TiltSeries, Alignment), params: &ReconstructParams) {
    check_within(gpu, scan, params, 4 << 30);
}

fn check_within(gpu: &Gpu, scan: &(TiltSeries, Alignment), params: &ReconstructParams, bytes: u64) {
    let (series, alignment) = scan;
    let (rows, budget, progress) = (params.rows(series.n_rows()), MemoryBudget { bytes }, Progress::new());
    let (expected, report) =
        reconstruct_rows(&progress, series, alignment, params, budget, rows.clone()).unwrap();
    assert_eq!(report.device, None, "the processor made it");
    let (found, report) =
        reconstruct_rows_on(&progress, Some(gpu), series, alignment, params, budget, rows).unwrap();
    assert_eq!(report.device.as_deref(), Some(gpu.info.name.as_str()), "{:?}", report.note);
    assert_eq!((found.data.dim(), found.origin_um), (expected.data.dim(), expected.origin_um));
    let status = progress.report();
    assert_eq!(status.done, status.total, "all work is told of");
    let parted = apart(&found.data, &expected.data);
    println!("{parted:.1e} of range apart");
    assert!(parted < 1e-3, "{params:?}: {parted} of range apart");
}

fn half_turn() -> Vec<f64> {
    (0..45).map(|i| -90.0 + 4.0 * f64::from(i)).collect()
}

fn limited() -> Vec<f64> {
    (-13..=13).map(|i| 5.0 * f64::from(i)).collect()
}

#[test]
fn fbp_on_a_device_is_that_of_the_processor() {
    let Some(gpu) = device() else { return };
    let full = scan(&half_turn(), 18, 48);
    check(gpu, &full, &ReconstructParams::default());
    let mut moved = scan(&limited(), 35, 51);
    shift(&mut moved.1);
    let params = ReconstructParams {
        thickness: Some(30),
        first_row: Some(1),
        end_row: Some(34),
        ..Default::default()
    };
    check(gpu, &moved, &params);
    for sample in [Sample::Beyond, Sample::Inside] {
        check(gpu, &moved, &ReconstructParams { sample, bin: 2, thickness: Some(15), ..Default::default() });
    }
}

fn sirt(iterations: u32) -> ReconstructParams {
    ReconstructParams { method: Method::Sirt, iterations: Some(iterations), ..Default::default() }
}

#[test]
fn sirt_on_a_device_is_that_of_the_processor_at_full_rotation() {
    let Some(gpu) = device() else { return };
    let full = scan(&half_turn(), 18, 48);
    check(gpu, &full, &sirt(6));
    let mask_size = Some(1.1);
    check(gpu, &full, &ReconstructParams { mask: Mask::Capillary, mask_size, subsets: Some(1), ..sirt(3) });
}

#[test]
fn sirt_on_a_device_is_that_of_the_processor_beyond_the_detector() {
    let Some(gpu) = device() else { return };
    let mut moved = scan(&limited(), 33, 47);
    shift(&mut moved.1);
    let sample = Sample::Beyond;
    check(gpu, &moved, &ReconstructParams { sample, relaxation: 0.7, thickness: Some(40), ..sirt(2) });
}

#[test]
fn sirt_on_a_device_is_that_of_the_processor_at_limited_tilt() {
    let Some(gpu) = device() else { return };
    let mut moved = scan(&limited(), 18, 47);
    shift(&mut moved.1);
    let thin = ReconstructParams { thickness: Some(40), sample: Sample::Inside, ..sirt(3) };
    // One slab alone is its own second.
    check(gpu, &moved, &ReconstructParams { end_row: Some(15), subsets: Some(4), ..thin.clone() });
    let masked =
        ReconstructParams { mask: Mask::Slab, mask_size: Some(1.5), minimum: Some(0.05), ..thin.clone() };
    check(gpu, &moved, &masked);
    let free = ReconstructParams { nonnegative: false, subsets: Some(3), center: Some(24.3), ..thin };
    check(gpu, &moved, &free);
}

#[test]
fn several_slabs_in_a_row_are_all_right() {
    let Some(gpu) = device() else { return };
    let scan = scan(&limited()[8..19], 70, 20);
    let input_rows = scan.0.n_rows();
    let (geometry, n_slabs) = (ParallelGeometry::new(&scan.0.angles_deg, 20), input_rows.div_ceil(LANES));
    let window = Window { z0: 0, x0: 0, depth: 20, width: 20 };
    let wants = Wants {
        geometry: &geometry,
        footprint: Footprint::Matched,
        window,
        n_slabs,
        subsets: 1,
        room: u64::MAX,
    };
    assert_eq!(Card::new(gpu, &wants).unwrap().n_planes, 6, "five slabs and one to make it even");
    let n_planes = |room| Card::new(gpu, &Wants { room, ..wants }).unwrap().n_planes;
    let result = (20 * 20 * LANES * size_of::<f32>()) as u64;
    // Two results come back at a time.
    assert_eq!([0, 7, 8, 11].map(|n| n_planes(n * result)), [2, 2, 4, 4], "fewer where memory is short");
    // With no room left two planes at a time: three slabs, the last of which is half empty.
    let n_views = scan.1.views.len();
    for params in [sirt(2), ReconstructParams::default()] {
        let plan = plan(scan.0.data.dim(), n_views, &scan.0.angles_deg, &params, 0..70).unwrap();
        check_within(gpu, &scan, &params, plan.peak_bytes);
    }
}

#[test]
fn a_cancel_is_answered_and_nothing_is_made() {
    let Some(gpu) = device() else { return };
    let (series, alignment) = scan(&half_turn(), 33, 96);
    let progress = Progress::new();
    let begun = std::time::Instant::now();
    let (rows, budget) = (0..33, MemoryBudget::from_gib(4.0));
    let (result, waited) = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result =
                reconstruct_rows_on(&progress, Some(gpu), &series, &alignment, &sirt(10_000), budget, rows);
            (result.map(|_| ()), begun.elapsed())
        });
        // Shaders are made and sweeps are under way.
        while progress.report().done < 4 && begun.elapsed().as_secs() < 60 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let cancelled = begun.elapsed();
        progress.cancel();
        let (result, ended) = worker.join().unwrap();
        (result, ended.saturating_sub(cancelled))
    });
    assert!(matches!(result, Err(ReconError::Cancelled(_))), "{result:?}");
    // Half a second is the bar; a software driver on a machine that does other things may take longer.
    assert!(waited.as_secs_f64() < 2.0, "{waited:?}");
}

#[test]
fn a_device_is_measured_by_a_short_trial() {
    let Some(gpu) = device() else { return };
    let rate = updates_per_second(gpu).unwrap();
    assert!((1.0e6..1.0e14).contains(&rate), "{rate}");
}

#[test]
fn a_device_that_is_gone_gives_way_to_the_processor() {
    let (series, alignment) = scan(&limited(), 20, 40);
    let (progress, budget) = (Progress::new(), MemoryBudget::from_gib(4.0));
    for lost_at in [0, 3] {
        // A device of its own: the others share one.
        let gpu = match Gpu::headless(DeviceChoice::Gpu) {
            Ok(gpu) => gpu,
            Err(error) => return eprintln!("SKIP: {error}"),
        };
        let iterations = if lost_at == 0 { 2 } else { 40 };
        let params = ReconstructParams { thickness: Some(12), sample: Sample::Inside, ..sirt(iterations) };
        let (volume, report) = std::thread::scope(|scope| {
            if lost_at == 0 {
                gpu.device.destroy();
            }
            let worker = scope.spawn(|| {
                reconstruct_rows_on(&progress, Some(&gpu), &series, &alignment, &params, budget, 0..20)
            });
            while progress.report().done < lost_at && !worker.is_finished() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            gpu.device.destroy();
            worker.join().unwrap().unwrap()
        });
        assert_eq!(report.device, None, "lost after {lost_at} sweeps");
        let note = report.note.unwrap();
        assert!(note.contains(&gpu.info.name) && note.contains("the processor was"), "{note}");
        let (expected, _) =
            reconstruct_rows(&Progress::new(), &series, &alignment, &params, budget, 0..20).unwrap();
        assert_eq!(volume.data, expected.data, "the processor's own bits");
    }
}

#[test]
fn a_device_that_is_too_small_is_told_so_before_anything_is_sent() {
    let Some(gpu) = device() else { return };
    let geometry = ParallelGeometry { depth: 60_000, width: 60_000, ..ParallelGeometry::new(&[0.0], 64) };
    let window = Window { z0: 0, x0: 0, depth: 1, width: 1 };
    let wants = Wants {
        geometry: &geometry,
        footprint: Footprint::Matched,
        window,
        n_slabs: 1,
        subsets: 1,
        room: u64::MAX,
    };
    let error = Card::new(gpu, &wants).err();
    assert!(matches!(error, Some(CardError::TooSmall { needs, has }) if needs > has), "{error:?}");
}
