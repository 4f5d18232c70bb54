//! Tests of CGLS, total variation, masks and the least value, on the phantom of the other tests with noise.

use ndarray::s;

use super::tests::{PIXEL, check_discs, half_turn, mean, plain, run, series};
use super::*;
use crate::kernels::filter::Window;

/// A deviate of about normal distribution from two counters: the sum of twelve even ones.
fn deviate(i: usize, j: usize) -> f32 {
    let mut state =
        (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (j as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
    let mut sum = 0.0;
    for _ in 0..12 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sum += (state >> 40) as f32 / (1u64 << 24) as f32;
    }
    sum - 6.0
}

/// Adds noise of standard deviation `sigma` at no absorbance, as photons have it.
fn with_noise(mut series: TiltSeries, sigma: f32) -> TiltSeries {
    let (_, n_rows, n_cols) = series.data.dim();
    for ((v, row, col), value) in series.data.indexed_iter_mut() {
        *value += sigma * (0.5 * *value).exp() * deviate(v * n_rows + row, col + n_cols);
    }
    series
}

fn method(method: Method) -> ReconstructParams {
    ReconstructParams { method, ..ReconstructParams::default() }
}

fn go(series: &TiltSeries, alignment: &Alignment, params: &ReconstructParams) -> (Volume<f32>, Report) {
    let rows = params.rows(series.n_rows());
    reconstruct_rows(&Progress::new(), series, alignment, params, MemoryBudget::from_gib(4.0), rows).unwrap()
}

/// Root mean square difference over a disc that every view sees.
fn rms(a: &Volume<f32>, b: &Volume<f32>) -> f64 {
    let (depth, _, width) = a.data.dim();
    let (mut sum, mut n) = (0.0, 0.0);
    for ((z, y, x), value) in a.data.indexed_iter() {
        if (z as f64 - depth as f64 / 2.0).hypot(x as f64 - width as f64 / 2.0) < width as f64 * 0.45 {
            sum += f64::from(value - b.data[[z, y, x]]).powi(2);
            n += 1.0;
        }
    }
    (sum / n).sqrt()
}

/// Standard deviation within a part of the large disc where nothing changes.
fn spread(volume: &Volume<f32>) -> f64 {
    let part = volume.data.slice(s![40..47, .., 34..41]);
    let mean = part.mean().unwrap();
    f64::from(part.mapv(|v| (v - mean).powi(2)).mean().unwrap().sqrt())
}

#[test]
fn cgls_and_tv_recover_lac_in_place_and_find_the_noise() {
    let (clean, alignment) = plain(&half_turn(120), 16, 64);
    let noisy = with_noise(clean, 0.01);
    for params in [
        method(Method::Cgls),
        ReconstructParams { weights: Weighting::Photons, ..method(Method::Cgls) },
        method(Method::Tv),
    ] {
        let (volume, report) = go(&noisy, &alignment, &params);
        // The smallest discs are 8 and 12 voxels wide, and their means are of a few dozen voxels.
        check_discs(&volume, 1.0, 0.15);
        let noise = report.noise.unwrap();
        // The edges of the discs, in a third of the columns, count as noise a little.
        assert!((0.9..1.25).contains(&(noise / 0.01)), "{noise}");
    }
}

#[test]
fn cgls_stops_before_noise_comes_in_and_sooner_where_there_is_more() {
    let (clean, alignment) = plain(&half_turn(120), 16, 64);
    let mut last = u32::MAX;
    for sigma in [0.005, 0.05] {
        let noisy = with_noise(clean.clone(), sigma);
        let (stopped, report) = go(&noisy, &alignment, &method(Method::Cgls));
        let steps = report.iterations.unwrap();
        assert!(steps < last && steps > 2, "{sigma}: {steps} after {last}");
        last = steps;
        if sigma > 0.01 {
            // Far less noise than a bare ramp lets through.
            let ramp = ReconstructParams { filter: Window::RamLak, ..method(Method::Fbp) };
            let (found, bare) = (spread(&stopped), spread(&run(&noisy, &alignment, &ramp)));
            assert!(found < 0.7 * bare, "{found} {bare}");
        }
    }
}

#[test]
fn tv_is_quieter_than_everything_else_whatever_the_unit() {
    let (clean, alignment) = plain(&half_turn(120), 16, 64);
    let exact = run(&clean, &alignment, &ReconstructParams { iterations: Some(30), ..method(Method::Cgls) });
    let noisy = with_noise(clean, 0.03);
    let error = |params: &ReconstructParams| rms(&run(&noisy, &alignment, params), &exact);
    let tv = error(&method(Method::Tv));
    for other in [Method::Fbp, Method::Sirt, Method::Cgls] {
        assert!(tv < 0.8 * error(&method(other)), "{other:?}: {tv} {}", error(&method(other)));
    }
    // The same data in other units are the same volume in other units.
    let mut voxels = noisy.clone();
    voxels.pixel_um = None;
    let (a, b) =
        (run(&noisy, &alignment, &method(Method::Tv)), run(&voxels, &alignment, &method(Method::Tv)));
    for (a, b) in a.values().iter().zip(b.values()) {
        assert!((f64::from(*a) * PIXEL - f64::from(*b)).abs() < 1e-5, "{a} {b}");
    }
    // A weaker one keeps more of the noise.
    assert!(error(&ReconstructParams { strength: 0.1, ..method(Method::Tv) }) > tv);
}

#[test]
fn slabs_of_tv_join_without_a_seam() {
    let (clean, alignment) = plain(&half_turn(90), 40, 48);
    let noisy = with_noise(clean, 0.03);
    let volume = run(&noisy, &alignment, &method(Method::Tv));
    let step = |row: usize| {
        let d = &volume.data.slice(s![8..40, row + 1, 8..40]) - &volume.data.slice(s![8..40, row, 8..40]);
        d.mapv(|v| v * v).mean().unwrap().sqrt()
    };
    // Slabs of twelve rows end after rows 11 and 23.
    let seams = f32::midpoint(step(11), step(23));
    let inner: f32 = [3, 5, 7, 15, 17, 19, 27, 29, 31].map(step).iter().sum::<f32>() / 9.0;
    assert!((seams / inner - 1.0).abs() < 0.25, "{seams} {inner}");
}

#[test]
fn nothing_is_found_outside_a_mask_and_the_mask_is_found() {
    let angles: Vec<f64> = (-60..=60).step_by(2).map(f64::from).collect();
    // An endless slab of ice, 12 voxels thick.
    let ice = crate::base::lac::Material::Ice.lac_per_um(520.0).unwrap();
    let mut data = Array3::zeros((angles.len(), 16, 64));
    for (v, angle) in angles.iter().enumerate() {
        data.slice_mut(s![v, .., ..]).fill((12.0 / angle.to_radians().cos() * ice * PIXEL) as f32);
    }
    let series =
        TiltSeries { data, angles_deg: angles.clone(), pixel_um: Some(PIXEL), energy_ev: Some(520.0) };
    let series = with_noise(series, 0.01);
    let alignment = Alignment::identity(&angles);
    for kind in [Method::Sirt, Method::Cgls, Method::Tv] {
        let base = ReconstructParams { mask: Mask::Slab, thickness: Some(40), ..method(kind) };
        let given = ReconstructParams { mask_size: Some(12.0 * PIXEL), ..base.clone() };
        let volume = run(&series, &alignment, &given);
        let plane = |z: usize| volume.data.slice(s![z, .., 16..48]).mean().unwrap();
        assert_eq!((plane(13), plane(26)), (0.0, 0.0), "{kind:?}");
        // What is known to lie in the slab is all found there.
        let mean = (14..26).map(plane).sum::<f32>() / 12.0;
        assert!((f64::from(mean) / ice - 1.0).abs() < 0.03, "{kind:?}: {mean} {ice}");
        let (_, report) = go(&series, &alignment, &base);
        let found = report.mask_voxels.unwrap();
        // A tenth is added for safety.
        assert!((found[1] - 13.2).abs() < 0.7, "{found:?}");
    }
    let mut unknown = series.clone();
    unknown.energy_ev = None;
    let params = ReconstructParams { mask: Mask::Slab, ..method(Method::Sirt) };
    let error = reconstruct(&Progress::new(), &unknown, &alignment, &params, MemoryBudget::from_gib(1.0));
    assert!(error.unwrap_err().to_string().contains("energy"));
}

#[test]
fn a_capillary_is_found_around_the_shifted_axis() {
    let angles = half_turn(90);
    let shifts = vec![4.0; 90];
    let series = series(&angles, 2, 80, 1.0, &shifts);
    let mut alignment = Alignment::identity(&angles);
    alignment.views.iter_mut().for_each(|view| view.shift_x_px = 4.0);
    let params = ReconstructParams { mask: Mask::Capillary, ..method(Method::Sirt) };
    let (volume, report) = go(&series, &alignment, &params);
    // The large disc reaches 25.6 voxels from the axis, in one direction.
    let radius = report.mask_voxels.unwrap()[0];
    assert!((25.0..29.0).contains(&radius), "{radius}");
    check_discs(&volume, 1.0, 0.03);
    assert_eq!(volume.data[[0, 0, 0]], 0.0);
}

#[test]
fn a_minimum_is_kept_inside_the_sample() {
    let (clean, alignment) = plain(&half_turn(60), 2, 64);
    for kind in [Method::Sirt, Method::Tv] {
        let params = ReconstructParams {
            minimum: Some(0.05),
            mask: Mask::Capillary,
            mask_size: Some(24.0 * PIXEL),
            ..method(kind)
        };
        let volume = run(&clean, &alignment, &params);
        assert!(mean(&volume, 0.0, 0.0, 20.0) > 0.2);
        assert!(volume.values().iter().all(|v| *v == 0.0 || *v >= 0.05 - 1e-6), "{kind:?}");
    }
}

#[test]
fn the_sirt_like_filter_is_like_sirt() {
    let (clean, alignment) = plain(&half_turn(120), 1, 64);
    for sweeps in [10, 30, 100] {
        let sirt = ReconstructParams {
            iterations: Some(sweeps),
            subsets: Some(1),
            nonnegative: false,
            ..method(Method::Sirt)
        };
        let like =
            |n| ReconstructParams { filter: Window::SirtLike, iterations: Some(n), ..method(Method::Fbp) };
        let target = run(&clean, &alignment, &sirt);
        let error = |n| rms(&run(&clean, &alignment, &like(n)), &target);
        // Of values of 0.25 and 0.6; three times as many or as few sweeps are farther off.
        assert!(error(sweeps) < 0.02, "{sweeps}: {}", error(sweeps));
        assert!(error(sweeps) < error(sweeps / 3), "{sweeps}: {} {}", error(sweeps), error(sweeps / 3));
        // Late, where all has converged, more sweeps make little difference.
        assert!(sweeps == 100 || error(sweeps) < error(sweeps * 3), "{sweeps}");
    }
}
