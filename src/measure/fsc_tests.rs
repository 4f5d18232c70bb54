//! Curves of known signal in known noise, and what cannot be compared.

use super::*;
use crate::base::Unit;
use rand::{RngExt as _, SeedableRng as _};

const N: usize = 64;

fn noise(seed: u64) -> Array3<f32> {
    let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    // The sum of four uniform numbers is close enough to a normal one.
    Array3::from_shape_simple_fn((N, N, N), || (0..4).map(|_| rng.random::<f32>() - 0.5).sum())
}

fn volume(data: Array3<f32>) -> Volume<f32> {
    Volume::new(data, Some([0.02; 3]), Unit::PerUm)
}

fn smooth(data: &Array3<f32>, sigma: [f32; 3]) -> Array3<f32> {
    crate::kernels::smooth::gaussian(&Progress::new(), data.view(), sigma).unwrap()
}

fn curve(a: Array3<f32>, b: Array3<f32>, params: &FscParams) -> Curve {
    fsc(&Progress::new(), &volume(a), &volume(b), None, params).unwrap()
}

#[test]
fn independent_noise_does_not_correlate_under_any_soft_mask() {
    for mask in [Region::Auto, Region::Box, Region::Cylinder, Region::Ball] {
        let params = FscParams { region: mask, ..FscParams::default() };
        let found = curve(noise(1).mapv(|v| v + 3.0), noise(2).mapv(|v| v + 3.0), &params);
        let rms = |shells: &[Shell]| {
            (shells.iter().map(|s| s.fsc.powi(2)).sum::<f64>() / shells.len() as f64).sqrt()
        };
        // Shells of a thousand independent voxels scatter by 0.03.
        let large: Vec<Shell> = found.shells.iter().filter(|s| s.independent > 1000.0).cloned().collect();
        assert!(large.len() > 10 && rms(&large) < 0.05, "{mask:?}: {}", rms(&large));
        assert_eq!(found.crossing(Criterion::HalfBit), Crossing::Never, "{mask:?}");
    }
}

#[test]
fn the_crossing_is_where_signal_and_noise_say() {
    // A signal of known spectrum exp(-(σ ω)²) in noise of flat spectrum r: FSC = S / (S + r).
    let (sigma, ratio) = (1.2f64, 0.05f64);
    for seed in [3, 30, 300] {
        let signal = smooth(&noise(seed), [sigma as f32; 3]);
        let with = |other| &signal + &(noise(other) * ratio.sqrt() as f32);
        let found = curve(with(seed + 1), with(seed + 2), &FscParams::default());
        for (criterion, level) in [(Criterion::Quarter, 0.25), (Criterion::Seventh, 0.143)] {
            // S = r level / (1 - level)
            let omega = (-(ratio * level / (1.0 - level)).ln()).sqrt() / sigma;
            let expected = omega / std::f64::consts::TAU / 0.02;
            let Crossing::At(at) = found.crossing(criterion) else { panic!("no crossing at {level}") };
            assert!((at / expected - 1.0).abs() < 0.1, "seed {seed}, {level}: {at} for {expected}");
        }
    }
}

#[test]
fn a_direction_that_is_blurred_resolves_less() {
    let signal = smooth(&noise(7), [3.0, 1.0, 1.0]);
    let with = |seed| &signal + &(noise(seed) * 0.1);
    let found = curve(with(8), with(9), &FscParams { region: Region::Box, ..FscParams::default() });
    let at = |axis| found.cone_crossing(axis, Criterion::Seventh).frequency().unwrap();
    assert!(at(0) < 0.6 * at(1), "{} along z, {} along y", at(0), at(1));
    assert!((at(1) / at(2) - 1.0).abs() < 0.15, "y and x are alike");
    let table = found.table();
    assert_eq!(table.columns[0].name, "spatial_frequency_per_nm");
    assert_eq!((&*table.columns[1].name, &*table.columns[2].name), ("fsc", "half_bit"));
    // The last shell is the Nyquist frequency of 20 nm voxels: 1 / 40 nm.
    let last = table.rows.last().unwrap()[0].as_f64().unwrap();
    assert!((last - 0.025).abs() < 0.0005, "{last}");
    let back = Curve::of_table(&table).unwrap();
    assert_eq!(back.shells.len(), found.shells.len());
    assert!((back.shells[9].frequency / found.shells[9].frequency - 1.0).abs() < 1e-12);
    assert_eq!(back.shells[9].cones_zyx, found.shells[9].cones_zyx);
}

#[test]
fn equal_detail_everywhere_is_resolved_beyond_the_last_shell() {
    let signal = noise(11);
    let found = curve(&signal + &(noise(12) * 0.01), &signal + &(noise(13) * 0.01), &FscParams::default());
    assert!(matches!(found.crossing(Criterion::Seventh), Crossing::Beyond(_)));
}

#[test]
fn labels_bound_what_is_compared() {
    // Signal in the left half only, noise everywhere.
    let (signal, [a, b]) = (smooth(&noise(14), [1.0; 3]), [15, 16].map(|seed| noise(seed) * 0.2));
    let left = |(_, _, x): (usize, usize, usize)| x < N / 2;
    let with = |noise: Array3<f32>| {
        Array3::from_shape_fn(noise.dim(), |at| noise[at] + if left(at) { signal[at] } else { 0.0 })
    };
    let (a, b) = (volume(with(a)), volume(with(b)));
    let labels = |side: bool| Array3::from_shape_fn((N, N, N), |at| u16::from(left(at) == side));
    let found = |labels: Array3<u16>| {
        fsc(&Progress::new(), &a, &b, Some(labels.view()), &FscParams::default()).unwrap()
    };
    let mean = |curve: &Curve| curve.shells[4..12].iter().map(|s| s.fsc).sum::<f64>() / 8.0;
    assert!(mean(&found(labels(true))) > 0.8 && mean(&found(labels(false))) < 0.4);
    let none = fsc(&Progress::new(), &a, &b, Some(Array3::zeros((N, N, N)).view()), &FscParams::default());
    assert_eq!(none, Err(FscError::EmptyMask));
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (progress, params) = (Progress::new(), FscParams::default());
    let a = volume(noise(1));
    let go = |b: &Volume<f32>| fsc(&progress, &a, b, None, &params).unwrap_err();
    assert_eq!(go(&a), FscError::Same);
    assert_eq!(go(&volume(Array3::ones((N, N, N)))), FscError::Flat("the second volume"));
    assert!(matches!(go(&volume(Array3::ones((N, N, 8)))), FscError::Shapes { .. }));
    let other = Volume::new(noise(2), Some([0.02, 0.02, 0.03]), Unit::PerUm);
    assert!(matches!(go(&other), FscError::Voxels { .. }));
    let thin = volume(Array3::ones((2, N, N)));
    assert!(matches!(fsc(&progress, &thin, &thin, None, &params), Err(FscError::TooSmall(_))));
    let wild = FscParams { edge: 0.7, ..params.clone() };
    assert!(fsc(&progress, &a, &volume(noise(2)), None, &wild).unwrap_err().to_string().contains("edge"));
    // A voxel that is no number counts as nothing and does not spread.
    let mut holed = noise(2);
    holed[[5, 5, 5]] = f32::NAN;
    let found = fsc(&progress, &a, &volume(holed), None, &params).unwrap();
    assert!(found.shells.iter().all(|s| s.fsc.is_finite()));
    progress.cancel();
    assert_eq!(go(&volume(noise(2))), FscError::Cancelled(Cancelled));
}
