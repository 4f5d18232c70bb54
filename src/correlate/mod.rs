//! Correlation: the map from one image into another, fitted to landmark pairs, and how far it can be trusted.
//!
//! Fits are the closed forms of [`crate::kernels::registration`]. The residual of a pair that the fit has
//! seen says little about accuracy (three or four pairs fit almost perfectly whatever they are), so
//! every pair is also left out in turn and predicted from the others: the root mean square of these
//! distances is the target registration error that is shown first. A rigid or similarity fit never mirrors;
//! where mirrored points would fit clearly better, a warning says so.

pub mod stitch;
pub mod stitch_labels;

use glam::{DAffine3, DVec3};
use serde::{Deserialize, Serialize};

use crate::kernels::registration::{extent_ratios, fit_affine, fit_similarity};
use crate::volume::{Landmark, Transform, TransformModel};

/// What the fit may choose from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorrelateParams {
    /// Which maps the fit may choose from.
    pub model: TransformModel,
}

/// How well one pair is met.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairError {
    /// Name of the pair.
    pub name: String,
    /// Whether the fit uses it.
    pub used: bool,
    /// Distance between the fixed point and where the fit brings the moving one, µm.
    pub residual_um: f64,
    /// The same with a fit to all other pairs, µm; for a pair that is not used, its residual. Absent where the
    /// others do not determine a fit.
    pub left_out_um: Option<f64>,
}

/// A fit and what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The map from the moving into the fixed image.
    pub transform: Transform,
    /// Every pair, in the order given.
    pub pairs: Vec<PairError>,
    /// Root mean square of the residuals of the used pairs, µm.
    pub fre_um: f64,
    /// Root mean square of the used pairs' distances when each is left out, µm; absent where it cannot be told.
    pub tre_um: Option<f64>,
    /// Sentences for the user.
    pub warnings: Vec<String>,
}

/// Why there is no fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
#[non_exhaustive]
pub enum CorrelateError {
    #[error("{used} landmark pairs are used, a {model} fit needs at least {needed}: add pairs{hint}")]
    TooFew { used: usize, needed: usize, model: &'static str, hint: &'static str },
    #[error(
        "the {side} landmarks lie {shape}, which leaves a {model} fit undetermined: add a pair well away from the others{hint}"
    )]
    Flat { side: &'static str, shape: &'static str, model: &'static str, hint: &'static str },
    #[error("landmark {name} has a coordinate that is not finite")]
    NotFinite { name: String },
}

/// Second (third) extent of a set of points over its first below which it counts as a line (a plane).
const FLAT: f64 = 1e-3;
/// A mirrored or scaled fit is mentioned where its error is below this fraction of that of the fit.
const CLEARLY: f64 = 0.5;
/// A pair is mentioned where it lies this many times farther from where the others put it than they scatter.
const OUTLIER: f64 = 4.0;

impl TransformModel {
    /// The least number of pairs: four determine an affine map exactly, whatever they are.
    fn n_needed(self) -> usize {
        match self {
            Self::Rigid | Self::Similarity => 3,
            Self::Affine => 5,
        }
    }

    /// Numbers that the fit chooses.
    fn n_parameters(self) -> usize {
        match self {
            Self::Rigid => 6,
            Self::Similarity => 7,
            Self::Affine => 12,
        }
    }
}

/// What a pair says of the fit to all others.
#[derive(Clone, Copy)]
struct LeftOut {
    /// How far the fit puts its moving point from its fixed one, µm.
    distance_um: f64,
    /// How far the others lie from their fit, corrected for what the fit took up, µm; absent where it took all.
    scatter_um: Option<f64>,
}

fn fit(model: TransformModel, moving: &[DVec3], fixed: &[DVec3]) -> Option<DAffine3> {
    match model {
        TransformModel::Rigid => fit_similarity(moving, fixed, false),
        TransformModel::Similarity => fit_similarity(moving, fixed, true),
        TransformModel::Affine => fit_affine(moving, fixed),
    }
}

/// How the points lie too flat for the model, if they do.
fn flatness(model: TransformModel, points: &[DVec3]) -> Option<&'static str> {
    // NaN, where all points coincide, is not above either.
    let [second, third] = extent_ratios(points);
    if second.is_nan() {
        return Some("in one point");
    }
    match model {
        TransformModel::Affine if !(third > FLAT) => Some("in one plane"),
        _ if !(second > FLAT) => Some("on one line"),
        _ => None,
    }
}

fn rms(map: &DAffine3, moving: &[DVec3], fixed: &[DVec3]) -> f64 {
    let sum: f64 =
        moving.iter().zip(fixed).map(|(m, f)| (map.transform_point3(*m) - *f).length_squared()).sum();
    (sum / moving.len().max(1) as f64).sqrt()
}

/// Fits the map that brings the moving points of the used pairs onto the fixed ones, least squares.
///
/// # Errors
/// [`CorrelateError`]: too few pairs, points on a line (affine: in a plane), numbers that are not finite.
pub fn correlate(landmarks: &[Landmark], params: &CorrelateParams) -> Result<Registration, CorrelateError> {
    let model = params.model;
    let finite = |pair: &&Landmark| pair.moving_um.iter().chain(&pair.fixed_um).all(|v| v.is_finite());
    if let Some(pair) = landmarks.iter().find(|pair| !finite(pair)) {
        return Err(CorrelateError::NotFinite { name: pair.name.clone() });
    }
    let used: Vec<&Landmark> = landmarks.iter().filter(|pair| pair.used).collect();
    let hint = if model == TransformModel::Affine { " or choose a simpler model" } else { "" };
    let word = model.word();
    if used.len() < model.n_needed() {
        return Err(CorrelateError::TooFew { used: used.len(), needed: model.n_needed(), model: word, hint });
    }
    let moving: Vec<DVec3> = used.iter().map(|pair| DVec3::from(pair.moving_um)).collect();
    let fixed: Vec<DVec3> = used.iter().map(|pair| DVec3::from(pair.fixed_um)).collect();
    for (side, points) in [("moving", &moving), ("fixed", &fixed)] {
        if let Some(shape) = flatness(model, points) {
            return Err(CorrelateError::Flat { side, shape, model: word, hint });
        }
    }
    let undetermined =
        CorrelateError::Flat { side: "moving", shape: "too close together", model: word, hint };
    let map = fit(model, &moving, &fixed).ok_or(undetermined)?;
    let left_out: Vec<Option<LeftOut>> =
        (0..used.len()).map(|k| left_out(model, &moving, &fixed, k)).collect();
    let mut distances = left_out.iter().map(|pair| pair.map(|pair| pair.distance_um));
    let pairs: Vec<PairError> = landmarks
        .iter()
        .map(|pair| {
            let brought = map.transform_point3(DVec3::from(pair.moving_um));
            let residual_um = (brought - DVec3::from(pair.fixed_um)).length();
            let left_out_um = if pair.used { distances.next().flatten() } else { Some(residual_um) };
            PairError { name: pair.name.clone(), used: pair.used, residual_um, left_out_um }
        })
        .collect();
    let squares: Option<Vec<f64>> =
        left_out.iter().map(|pair| pair.map(|pair| pair.distance_um.powi(2))).collect();
    let tre_um = squares.map(|squares| (squares.iter().sum::<f64>() / squares.len() as f64).sqrt());
    let fre_um = rms(&map, &moving, &fixed);
    let mut warnings = Vec::new();
    warnings.extend(mirror_warning(model, &map, fre_um, &moving, &fixed));
    warnings.extend(scale_warning(model, fre_um, &moving, &fixed));
    if tre_um.is_none() {
        let n = used.len();
        warnings.push(format!(
            "{n} pairs do not tell how good the fit is: add at least one more, well away from the others"
        ));
    }
    warnings.extend(outlier_warnings(&used, &left_out));
    Ok(Registration { transform: Transform::new(model, &map), pairs, fre_um, tre_um, warnings })
}

/// What pair `k` says of the fit to all others; `None` where they determine none.
fn left_out(model: TransformModel, moving: &[DVec3], fixed: &[DVec3], k: usize) -> Option<LeftOut> {
    let without = |points: &[DVec3]| -> Vec<DVec3> {
        points.iter().enumerate().filter(|(i, _)| *i != k).map(|(_, p)| *p).collect()
    };
    let (others_m, others_f) = (without(moving), without(fixed));
    let least = if model == TransformModel::Affine { 4 } else { 3 };
    if others_m.len() < least || flatness(model, &others_m).is_some() || flatness(model, &others_f).is_some()
    {
        return None;
    }
    let map = fit(model, &others_m, &others_f)?;
    let free = (3 * others_m.len()).saturating_sub(model.n_parameters());
    let scatter_um = (free >= 3)
        .then(|| rms(&map, &others_m, &others_f) * (3.0 * others_m.len() as f64 / free as f64).sqrt());
    Some(LeftOut { distance_um: (map.transform_point3(moving[k]) - fixed[k]).length(), scatter_um })
}

/// Says that a scale is missing from a rigid fit.
fn scale_warning(model: TransformModel, fre_um: f64, moving: &[DVec3], fixed: &[DVec3]) -> Option<String> {
    if model != TransformModel::Rigid {
        return None;
    }
    let scaled = fit_similarity(moving, fixed, true)?;
    let (scale, error) = (scaled.matrix3.determinant().cbrt(), rms(&scaled, moving, fixed));
    ((scale - 1.0).abs() > 0.02 && error < CLEARLY * fre_um).then(|| {
        format!(
            "With a scale of {scale:.3} the pairs fit to {error:.3} µm instead of {fre_um:.3} µm: check the voxel sizes, or choose the similarity model"
        )
    })
}

/// Names the pairs that lie far from where the others put them.
fn outlier_warnings(used: &[&Landmark], left_out: &[Option<LeftOut>]) -> Vec<String> {
    let first = used.first().map_or(DVec3::ZERO, |pair| DVec3::from(pair.fixed_um));
    let extent = used.iter().map(|pair| (DVec3::from(pair.fixed_um) - first).length()).fold(0.0, f64::max);
    let mut warnings = Vec::new();
    for (pair, left) in used.iter().zip(left_out) {
        let Some(LeftOut { distance_um, scatter_um: Some(scatter) }) = left else { continue };
        // Below a thousandth of the extent the pairs agree, whatever their ratios.
        if *distance_um > OUTLIER * scatter && *distance_um > 1e-3 * extent {
            warnings.push(format!(
                "Pair {} lies {distance_um:.3} µm from where the others put it, which agree to {scatter:.3} µm: check it",
                pair.name
            ));
        }
    }
    warnings
}

/// Says that one image seems to be a mirror image of the other.
fn mirror_warning(
    model: TransformModel,
    map: &DAffine3,
    fre_um: f64,
    moving: &[DVec3],
    fixed: &[DVec3],
) -> Option<String> {
    const ADVICE: &str = "one image is probably flipped, read it in its right orientation first";
    if model == TransformModel::Affine {
        let mirrors = map.matrix3.determinant() < 0.0;
        return mirrors.then(|| format!("The fit mirrors the moving image: {ADVICE}"));
    }
    // Points in one plane fit their mirror image as well, by a turn.
    if !(extent_ratios(moving)[1] > FLAT) {
        return None;
    }
    let mirrored: Vec<DVec3> = moving.iter().map(|p| DVec3::new(-p.x, p.y, p.z)).collect();
    let error = rms(&fit(model, &mirrored, fixed)?, &mirrored, fixed);
    (error < CLEARLY * fre_um).then(|| {
        format!("Mirrored, the pairs would fit to {error:.3} µm instead of {fre_um:.3} µm: {ADVICE}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::DQuat;

    fn points(n: usize) -> Vec<DVec3> {
        // Low-discrepancy places in a box of 10 × 8 × 6 µm: neither on a line nor in a plane.
        let place = |i: usize, step: f64| (i as f64 * step + 0.37).fract();
        (0..n)
            .map(|i| DVec3::new(10.0 * place(i, 0.819), 8.0 * place(i, 0.671), 6.0 * place(i, 0.549)))
            .collect()
    }

    fn pairs(n: usize, map: &DAffine3, noise_um: f64) -> Vec<Landmark> {
        let noise = |i: usize, a: usize| noise_um * (((i * 7 + a * 13) % 11) as f64 / 5.0 - 1.0);
        points(n)
            .into_iter()
            .enumerate()
            .map(|(i, p)| {
                let off = DVec3::new(noise(i, 0), noise(i, 1), noise(i, 2));
                Landmark {
                    name: format!("L{i}"),
                    moving_um: p.to_array(),
                    fixed_um: (map.transform_point3(p) + off).to_array(),
                    used: true,
                }
            })
            .collect()
    }

    fn turn(scale: f64) -> DAffine3 {
        DAffine3::from_scale_rotation_translation(
            DVec3::splat(scale),
            DQuat::from_axis_angle(DVec3::new(1.0, 2.0, -1.0).normalize(), 0.7),
            DVec3::new(3.0, -20.0, 100.0),
        )
    }

    fn run(landmarks: &[Landmark], model: TransformModel) -> Result<Registration, CorrelateError> {
        correlate(landmarks, &CorrelateParams { model })
    }

    #[test]
    fn exact_pairs_give_the_map_and_no_error() {
        use TransformModel::{Affine, Rigid, Similarity};
        let sheared = DAffine3::from_mat3_translation(
            glam::DMat3::from_cols(DVec3::new(1.1, 0.1, 0.0), DVec3::new(0.2, 0.9, 0.0), DVec3::Z),
            DVec3::ONE,
        );
        for (model, map) in [(Rigid, turn(1.0)), (Similarity, turn(1.3)), (Affine, sheared)] {
            let found = run(&pairs(6, &map, 0.0), model).unwrap();
            let probe = [4.0, -3.0, 9.0];
            let want = map.transform_point3(probe.into());
            // f64 on positions of about 100 µm.
            assert!((DVec3::from(found.transform.apply(probe)) - want).length() < 1e-9, "{model:?}");
            assert!(found.fre_um < 1e-9 && found.tre_um.unwrap() < 1e-9, "{model:?}");
            assert!(found.warnings.is_empty(), "{:?}", found.warnings);
            assert_eq!(found.transform.model, model);
        }
    }

    #[test]
    fn the_error_of_left_out_pairs_is_above_that_of_the_fit() {
        for model in [TransformModel::Rigid, TransformModel::Similarity, TransformModel::Affine] {
            let found = run(&pairs(8, &turn(1.0), 0.05), model).unwrap();
            let tre = found.tre_um.unwrap();
            assert!(
                tre > found.fre_um && tre < 0.5 && found.fre_um > 0.01,
                "{model:?} {tre} {}",
                found.fre_um
            );
            for pair in &found.pairs {
                assert!(pair.left_out_um.unwrap() >= pair.residual_um - 1e-12, "{pair:?}");
            }
        }
    }

    #[test]
    fn a_pair_that_is_not_used_pulls_nothing_and_shows_its_error() {
        let mut landmarks = pairs(6, &turn(1.0), 0.0);
        landmarks[2].fixed_um[0] += 5.0;
        landmarks[2].used = false;
        let found = run(&landmarks, TransformModel::Rigid).unwrap();
        assert!(found.fre_um < 1e-9);
        assert!((found.pairs[2].residual_um - 5.0).abs() < 1e-9);
        landmarks[2].used = true;
        let found = run(&landmarks, TransformModel::Rigid).unwrap();
        assert!(found.warnings.iter().any(|w| w.contains("L2")), "{:?}", found.warnings);
    }

    #[test]
    fn too_few_and_flat_sets_are_refused_in_words() {
        use TransformModel::{Affine, Rigid};
        let text = |landmarks: &[Landmark], model| run(landmarks, model).unwrap_err().to_string();
        let all = pairs(6, &turn(1.0), 0.0);
        assert!(text(&all[..2], Rigid).contains("2 landmark pairs are used"), "{}", text(&all[..2], Rigid));
        assert!(text(&all[..4], Affine).contains("at least 5"), "{}", text(&all[..4], Affine));
        assert!(text(&[], Rigid).contains("0 landmark pairs"));
        let shaped = |shape: &dyn Fn(usize) -> DVec3| -> Vec<Landmark> {
            (0..6)
                .map(|i| {
                    let p = shape(i);
                    Landmark {
                        name: String::new(),
                        moving_um: p.to_array(),
                        fixed_um: p.to_array(),
                        used: true,
                    }
                })
                .collect()
        };
        let line = shaped(&|i| DVec3::new(1.0, 2.0, 3.0) * i as f64);
        assert!(text(&line, Rigid).contains("on one line"), "{}", text(&line, Rigid));
        let plane = shaped(&|i| DVec3::new(i as f64, (i * i % 5) as f64, 2.0));
        assert!(run(&plane, Rigid).is_ok());
        assert!(text(&plane, Affine).contains("in one plane"), "{}", text(&plane, Affine));
        let point = shaped(&|_| DVec3::ONE);
        assert!(text(&point, Rigid).contains("in one point"), "{}", text(&point, Rigid));
        let mut bad = all;
        bad[1].fixed_um[2] = f64::NAN;
        assert!(text(&bad, Rigid).contains("L1"));
    }

    #[test]
    fn mirrored_pairs_are_fitted_without_mirroring_and_said_aloud() {
        let mirror = DAffine3::from_scale(DVec3::new(1.0, 1.0, -1.0));
        let landmarks = pairs(7, &(turn(1.0) * mirror), 0.01);
        for model in [TransformModel::Rigid, TransformModel::Similarity, TransformModel::Affine] {
            let found = run(&landmarks, model).unwrap();
            assert!(found.warnings.iter().any(|w| w.contains("flipped")), "{model:?} {:?}", found.warnings);
            let mirrors = found.transform.affine().matrix3.determinant() < 0.0;
            assert_eq!(mirrors, model == TransformModel::Affine);
        }
    }

    #[test]
    fn three_pairs_fit_but_their_error_is_not_known_and_a_scale_is_noticed() {
        let found = run(&pairs(3, &turn(1.0), 0.0), TransformModel::Rigid).unwrap();
        assert_eq!(found.tre_um, None);
        assert!(found.warnings.iter().any(|w| w.contains("3 pairs")), "{:?}", found.warnings);
        let found = run(&pairs(6, &turn(1.25), 0.0), TransformModel::Rigid).unwrap();
        assert!(found.warnings.iter().any(|w| w.contains("1.250")), "{:?}", found.warnings);
    }
}
