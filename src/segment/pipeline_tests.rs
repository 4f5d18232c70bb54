//! Whole segmentations of small volumes whose truth is known.

use super::*;
use crate::base::{Cancelled, Unit};
use crate::segment::predict;
use crate::segment::test_data;

/// Strokes along x in three slices of [`test_data::balls`], class + 1.
fn strokes(truth: &Array3<u16>) -> Array3<u16> {
    let (nz, ny, nx) = truth.dim();
    let mut map = Array3::zeros(truth.dim());
    for z in [nz / 2 - 3, nz / 2, nz / 2 + 3] {
        for x in 2..nx - 2 {
            map[[z, ny / 2, x]] = truth[[z, ny / 2, x]] + 1;
        }
    }
    map
}

fn dice(a: &Array3<u16>, b: &Array3<u16>, class: u16) -> f64 {
    let both = a.iter().zip(b).filter(|(a, b)| **a == class && **b == class).count();
    let each = a.iter().chain(b).filter(|v| **v == class).count();
    2.0 * both as f64 / each.max(1) as f64
}

fn params() -> SegmentParams {
    SegmentParams { region_voxels: Some(3.5), trees: 40, ..SegmentParams::default() }
}

fn run(volume: &Volume<f32>, map: &Array3<u16>, seed: u64) -> Result<Segmentation, SegmentError> {
    segment(&Progress::new(), volume, map.view(), None, None, &params(), seed)
}

#[test]
fn balls_in_noise_are_found_from_three_painted_slices() {
    let shape = [48; 3];
    let truth = test_data::balls(shape);
    let found = run(&test_data::noisy_balls(shape, 11), &strokes(&truth), 1).unwrap();
    let truth = truth.mapv(|c| c + 1);
    for (class, least) in [(1, 0.97), (2, 0.93), (3, 0.85)] {
        // Seen: 0.99, 0.97, 0.9 to 0.95. Thresholds on single voxels reach 0.8 for class 2.
        let dice = dice(&found.labels, &truth, class);
        assert!(dice >= least, "class {class}: Dice {dice:.3}");
    }
}

#[test]
fn every_voxel_gets_a_painted_class_and_strokes_are_kept() {
    let shape = [24; 3];
    let truth = test_data::balls(shape);
    let mut map = strokes(&truth);
    map.mapv_inplace(|c| c * 5);
    map[[0, 0, 0]] = 15;
    let mask = Array3::from_shape_fn(shape, |(z, _, _)| z < 20);
    let volume = test_data::noisy_balls(shape, 3);
    let found =
        segment(&Progress::new(), &volume, map.view(), Some(mask.view()), None, &params(), 1).unwrap();
    assert_eq!(found.prediction.classes, vec![5, 10, 15]);
    for ((zyx, label), inside) in found.labels.indexed_iter().zip(&mask) {
        assert_eq!(*inside, [5, 10, 15].contains(label), "{zyx:?} is {label}");
        assert!(!inside || map[zyx] == 0 || map[zyx] == *label, "stroke at {zyx:?} is lost");
    }
    let uncertainty = found.prediction.uncertainty_volume(&found.cache.regions);
    assert!(uncertainty.iter().all(|u| (0.0..=1.0).contains(u)));
    let sum = [5, 10, 15]
        .map(|c| found.prediction.probability_volume(&found.cache.regions, c).unwrap()[[3, 4, 5]])
        .iter()
        .sum::<f32>();
    assert!((sum - 1.0).abs() < 1e-5, "probabilities sum to {sum}");
    assert_eq!(found.prediction.probability_volume(&found.cache.regions, 6), None);
}

#[test]
fn same_seed_same_bits_for_any_thread_count() {
    let shape = [24, 20, 28];
    let (volume, map) = (test_data::noisy_balls(shape, 3), strokes(&test_data::balls(shape)));
    let run = |n, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| run(&volume, &map, seed).unwrap())
    };
    let (one, three, other) = (run(1, 7), run(3, 7), run(1, 8));
    assert_eq!(one.labels, three.labels);
    assert_eq!(one.prediction, three.prediction);
    assert_ne!(one.prediction, other.prediction);
}

#[test]
fn a_saved_classifier_labels_another_volume_and_refuses_another_unit() {
    let shape = [32; 3];
    let truth = test_data::balls(shape);
    let found = run(&test_data::noisy_balls(shape, 3), &strokes(&truth), 1).unwrap();
    let text = serde_json::to_string(&found.classifier).unwrap();
    let classifier: Classifier = serde_json::from_str(&text).unwrap();
    assert_eq!(classifier, found.classifier);
    let progress = Progress::new();
    let mut next = test_data::noisy_balls(shape, 99);
    let cache = FeatureCache::build(&progress, &next, None, &classifier.recipe_for(&next)).unwrap();
    let labels = predict(&progress, &cache, &classifier).unwrap().labels(&cache.regions, None);
    let truth = truth.mapv(|c| c + 1);
    assert!(dice(&labels, &truth, 2) > 0.9, "Dice {}", dice(&labels, &truth, 2));
    next.unit = Unit::Absorbance;
    let cache = FeatureCache::build(&progress, &next, None, &classifier.recipe).unwrap();
    let error = predict(&progress, &cache, &classifier).unwrap_err().to_string();
    assert!(error.contains("1/um") && error.contains("absorbance"), "{error}");
    next.unit = Unit::PerUm;
    next.voxel_um = Some([0.01; 3]);
    assert_eq!(classifier.recipe_for(&next).supervoxels.size_voxels, 7.0);
}

#[test]
fn a_classifier_is_refined_with_a_stroke_of_a_class_it_did_not_know() {
    let shape = [48; 3];
    let truth = test_data::balls(shape);
    let base = run(&test_data::noisy_balls(shape, 3), &strokes(&truth), 1).unwrap().classifier;
    let base: Classifier = serde_json::from_str(&serde_json::to_string(&base).unwrap()).unwrap();
    // The next volume has a slab of something else.
    let mut volume = test_data::noisy_balls(shape, 99);
    volume.data.slice_mut(ndarray::s![..6, .., ..]).mapv_inplace(|v| v + 0.6);
    let mut map = Array3::zeros(shape);
    map.slice_mut(ndarray::s![3, 24, 8..40]).fill(9);
    map.slice_mut(ndarray::s![24, 24, 8..40])
        .assign(&truth.slice(ndarray::s![24, 24, 8..40]).mapv(|c| c + 1));
    let refined = segment(&Progress::new(), &volume, map.view(), None, Some(&base), &params(), 1).unwrap();
    assert_eq!(refined.classifier.classes, [1, 2, 3, 9]);
    let truth = Array3::from_shape_fn(shape, |at| if at.0 < 6 { 9 } else { truth[at] + 1 });
    for (class, least) in [(1, 0.9), (2, 0.85), (9, 0.8)] {
        // Seen: 0.99, 0.93, 0.91. The base alone knows no class 9.
        let dice = dice(&refined.labels, &truth, class);
        assert!(dice >= least, "class {class}: Dice {dice:.3}");
    }
    // What was refined can be refined again, and knows all classes.
    let again = &refined.classifier;
    let twice = segment(&Progress::new(), &volume, map.view(), None, Some(again), &params(), 1).unwrap();
    assert_eq!(twice.classifier.classes, [1, 2, 3, 9]);
    let mut old = serde_json::to_value(&base).unwrap();
    old.as_object_mut().unwrap().remove("learnt").unwrap();
    let old: Classifier = serde_json::from_value(old).unwrap();
    let refused = segment(&Progress::new(), &volume, map.view(), None, Some(&old), &params(), 1);
    assert_eq!(refused.unwrap_err(), SegmentError::NothingLearnt);
    volume.unit = Unit::Absorbance;
    let refused = segment(&Progress::new(), &volume, map.view(), None, Some(&base), &params(), 1);
    assert!(matches!(refused, Err(SegmentError::Unit { .. })));
}

#[test]
fn the_random_field_smooths_and_priors_need_a_lac() {
    let shape = [32; 3];
    let (mut volume, truth) = (test_data::noisy_balls(shape, 3), test_data::balls(shape));
    let map = strokes(&truth);
    let run = |volume: &Volume<f32>, params: &SegmentParams| {
        segment(&Progress::new(), volume, map.view(), None, None, params, 1)
    };
    let field = SegmentParams {
        smoother: Smoother::RandomField,
        tilt_range_deg: Some(65.0),
        lac_priors: "1:0.1:0.03,2:0.25:0.03,3:0.5:0.05".to_owned(),
        ..params()
    };
    let found = run(&volume, &field).unwrap();
    assert!(dice(&found.labels, &truth.mapv(|c| c + 1), 2) > 0.9);
    volume.unit = Unit::Absorbance;
    let error = run(&volume, &field).unwrap_err();
    assert_eq!(error, SegmentError::PriorUnit { found: Unit::Absorbance });
}

#[test]
fn bad_inputs_get_one_clear_sentence() {
    let shape = [12; 3];
    let mut volume = test_data::noisy_balls(shape, 3);
    let map = strokes(&test_data::balls(shape));
    let text = |r: Result<Segmentation, SegmentError>| r.unwrap_err().to_string();
    assert!(text(run(&volume, &Array3::zeros(shape), 1)).contains("no scribbles"));
    assert!(text(run(&volume, &map.mapv(|c| c.min(1) * 4), 1)).contains("only class 4"));
    assert!(text(run(&volume, &Array3::ones((12, 12, 13)), 1)).contains("12×12×13"));
    volume.data[[2, 3, 4]] = f32::NAN;
    assert!(text(run(&volume, &map, 1)).contains("(2, 3, 4)"));
    volume.data[[2, 3, 4]] = 0.1;
    let progress = Progress::new();
    progress.cancel();
    let error = segment(&progress, &volume, map.view(), None, None, &params(), 1).unwrap_err();
    assert_eq!(error, SegmentError::Cancelled(Cancelled));
}
