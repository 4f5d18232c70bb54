//! Tests of thresholds and mixtures on values whose classes are known.

use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Normal};
use rand_pcg::Pcg64Mcg;

use super::*;

/// Values drawn from Gaussians (share, mean, sd).
fn drawn(n: usize, classes: &[(f64, f64, f64)], seed: u64) -> Vec<f32> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let mut u: f64 = rng.random();
            let class = classes.iter().find(|(w, ..)| {
                u -= w;
                u < 0.0
            });
            let (_, mean, sd) = class.unwrap_or(&classes[0]);
            Normal::new(*mean, *sd).unwrap().sample(&mut rng) as f32
        })
        .collect()
}

fn histogram(values: &[f32]) -> Histogram {
    Histogram::of(values, -0.2, 1.2, 700)
}

/// Every way to place two thresholds, tried one by one.
#[test]
fn otsu_equals_the_search_over_all_thresholds() {
    let values = drawn(4000, &[(0.5, 0.1, 0.05), (0.3, 0.4, 0.08), (0.2, 0.8, 0.03)], 1);
    let histogram = Histogram::of(&values, -0.2, 1.2, 60);
    let within = |from: usize, to: usize| {
        let n: f64 = (from..to).map(|b| histogram.counts[b] as f64).sum();
        let mean =
            (from..to).map(|b| histogram.counts[b] as f64 * f64::from(histogram.center(b))).sum::<f64>() / n;
        let square = |b: usize| histogram.counts[b] as f64 * (f64::from(histogram.center(b)) - mean).powi(2);
        if n > 0.0 { (from..to).map(square).sum::<f64>() } else { 0.0 }
    };
    let mut best = (f64::INFINITY, 0, 0);
    for a in 1..59 {
        for b in a + 1..60 {
            let sum = within(0, a) + within(a, b) + within(b, 60);
            if sum < best.0 - 1e-12 {
                best = (sum, a, b);
            }
        }
    }
    let found = otsu(&histogram, 3).unwrap();
    let split = |from: f64, to: f64| {
        (0..60)
            .filter(|b| (from..to).contains(&f64::from(histogram.center(*b))))
            .map(|b| histogram.counts[b])
            .sum::<u64>()
    };
    let counted = |from: usize, to: usize| histogram.counts[from..to].iter().sum::<u64>();
    let [a, b] = [found.thresholds[0], found.thresholds[1]];
    // Empty bins at a border may fall to either side, so the classes are compared, not the bins.
    assert_eq!(
        [split(-9.0, a), split(a, b), split(b, 9.0)],
        [counted(0, best.1), counted(best.1, best.2), counted(best.2, 60)]
    );
    assert!(found.separability > 0.9 && found.separability <= 1.0, "{}", found.separability);
    let weights: f64 = found.classes.iter().map(|c| c[0]).sum();
    assert!((weights - 1.0).abs() < 1e-12);
}

#[test]
fn a_mixture_finds_its_gaussians_within_the_errors_it_states() {
    let truth = [(0.55, 0.22, 0.03), (0.45, 0.33, 0.04)];
    let mut worst = 0.0f64;
    for seed in 0..8 {
        let found = fit_mixture(
            &Progress::new(),
            &histogram(&drawn(20_000, &truth, seed)),
            &MixtureParams::default(),
        )
        .unwrap();
        for (component, (w, mean, sd)) in found.components.iter().zip(truth) {
            for (estimate, true_value) in [(component.weight, w), (component.mean, mean), (component.sd, sd)]
            {
                let error = estimate.error.unwrap();
                // Twenty thousand values of classes two sd apart: errors of a few per cent, no more.
                assert!(error > 0.0 && error < 0.03 * true_value.max(0.2), "{estimate:?}");
                worst = worst.max((estimate.value - true_value).abs() / error);
            }
        }
        // Where the weighted densities cross: 0.2745 by bisection of the two Gaussians.
        assert!((found.thresholds[0].value - 0.2745).abs() < 0.004, "{:?}", found.thresholds);
    }
    // 48 estimates: 3.5 standard errors are exceeded once in 45 such tests by chance.
    assert!(worst < 3.5, "{worst} standard errors off");
}

#[test]
fn three_components_are_sorted_and_sum_to_one() {
    let truth = [(0.2, 0.7, 0.05), (0.5, 0.1, 0.02), (0.3, 0.35, 0.04)];
    let params = MixtureParams { components: 3, ..MixtureParams::default() };
    let found = fit_mixture(&Progress::new(), &histogram(&drawn(30_000, &truth, 5)), &params).unwrap();
    for (component, (w, mean, sd)) in found.components.iter().zip([truth[1], truth[2], truth[0]]) {
        assert!((component.weight.value - w).abs() < 0.02, "{component:?}");
        assert!((component.mean.value - mean).abs() < 0.005 && (component.sd.value - sd).abs() < 0.005);
    }
    assert!(found.thresholds[0].value < found.thresholds[1].value);
    let two = fit_mixture(&Progress::new(), &histogram(&drawn(30_000, &truth, 5)), &MixtureParams::default());
    assert!(two.unwrap().bic > found.bic, "three Gaussians explain it better");
}

#[test]
fn partial_volume_keeps_fractions_of_fine_structures() {
    // A third of the values are mixed of both classes in every ratio.
    let mut rng = Pcg64Mcg::seed_from_u64(9);
    let noise = Normal::new(0.0, 0.012).unwrap();
    let mut above = 0.0;
    let values: Vec<f32> = (0..60_000)
        .map(|i| {
            let part: f64 = match i % 10 {
                0..5 => 0.0,
                5..7 => 1.0,
                _ => rng.random(),
            };
            above += part / 60_000.0;
            (0.22 + part * 0.12 + noise.sample(&mut rng)) as f32
        })
        .collect();
    let fit = |partial_volume| {
        let params = MixtureParams { partial_volume, ..MixtureParams::default() };
        fit_mixture(&Progress::new(), &histogram(&values), &params).unwrap()
    };
    let (plain, mixed) = (fit(false), fit(true));
    let off = |m: &Mixture| (m.components[1].fraction.value - above).abs();
    assert!(off(&mixed) < 0.006 && off(&mixed) < off(&plain), "{} {} {above}", off(&mixed), off(&plain));
    assert!((mixed.components[1].mean.value - 0.34).abs() < 0.002, "{:?}", mixed.components[1]);
    assert!((mixed.mixed[0] - 0.3).abs() < 0.03 && mixed.bic < plain.bic);
}

#[test]
fn the_jackknife_sees_what_varies_together() {
    // The same values in blocks of 50 equal ones: a fiftieth of the information.
    let independent = drawn(40_000, &[(0.6, 0.2, 0.03), (0.4, 0.35, 0.03)], 3);
    let blocks: Vec<f32> = independent.iter().step_by(50).flat_map(|v| [*v; 50]).collect();
    let groups = |values: &[f32]| -> Vec<Histogram> {
        (0..16)
            .map(|g| {
                let own =
                    values.chunks(50).enumerate().filter(|(i, _)| i % 16 == g).flat_map(|(_, c)| c.to_vec());
                histogram(&own.collect::<Vec<_>>())
            })
            .collect()
    };
    let error = |values: &[f32]| {
        let found = fit_groups(&Progress::new(), &groups(values), &MixtureParams::default()).unwrap();
        found.components[1].weight.error.unwrap()
    };
    let (free, tied) = (error(&independent), error(&blocks));
    // Expected √50 ≈ 7; sixteen groups give an error to some 20 %.
    assert!(tied > 3.0 * free, "{free} {tied}");
}

#[test]
fn what_cannot_be_fitted_is_refused_in_words() {
    let empty = Histogram::empty(0.0, 1.0, 10);
    assert!(otsu(&empty, 2).unwrap_err().to_string().contains("there are 0"));
    let one = Histogram::of(&[0.5; 9], 0.0, 1.0, 10);
    assert_eq!(otsu(&one, 2), Err(MixtureError::TooFewValues { classes: 2, found: 1 }));
    assert_eq!(otsu(&one, 9), Err(MixtureError::Classes { found: 9 }));
    let params = MixtureParams { components: 1, ..MixtureParams::default() };
    let single = fit_mixture(&Progress::new(), &one, &params).unwrap();
    assert!((single.components[0].mean.value - 0.55).abs() < 1e-6 && single.thresholds.is_empty());
    let progress = Progress::new();
    progress.cancel();
    let two = Histogram::of(&[0.2, 0.8, 0.7], 0.0, 1.0, 10);
    assert_eq!(
        fit_mixture(&progress, &two, &MixtureParams::default()),
        Err(MixtureError::Cancelled(Cancelled))
    );
}
