//! Two-point calibration: what vacuum and a known substance read in a volume, against what they should.
//!
//! `read = slope · true + offset`. Vacuum gives the offset (0 is assumed where there is none), bulk ice or glass of known
//! absorption ([`crate::base::lac`]) the slope. Regions are classes of a label volume, or found: among blocks of four voxels a
//! side whose values hardly vary, the most frequent mean near to nothing and near to the substance. Confidence is from the
//! scatter of the block means. Nothing is rescaled here unless [`Calibration::apply`] is called.

use ndarray::{Array3, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::lac::Material;
use crate::base::{Cancelled, Progress, Unit};
use crate::volume::{Labels, Volume};

/// Edge of a block in voxels.
const EDGE: usize = 4;
/// Fewest blocks that make a region.
const LEAST_BLOCKS: usize = 8;
/// Shares of the tabulated value between which the substance is looked for; below, vacuum is.
const NEAR: [f64; 2] = [0.25, 2.5];
/// A block counts as even if its standard deviation is at most this many times that of the evenest fifth.
const EVEN: f64 = 1.5;
/// Standard deviation of the substance, as a share of its mean, above which a warning is due.
const LARGEST_CV: f64 = 0.2;
/// How far the slope may be from 1 without a warning.
const LARGEST_ERROR: f64 = 0.15;

/// What is calibrated against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrateParams {
    /// The substance whose absorption is known.
    pub material: Material,
    /// Photon energy in eV, 272.5 to 543.
    pub energy_ev: Option<f64>,
    /// Class of the substance in the labels; found by itself where not given.
    pub reference_class: Option<u16>,
    /// Class of vacuum in the labels; found by itself where not given.
    pub vacuum_class: Option<u16>,
    /// Whether the rescaled volume is made.
    pub apply: bool,
}

impl Default for CalibrateParams {
    fn default() -> Self {
        Self {
            material: Material::Ice,
            energy_ev: None,
            reference_class: None,
            vacuum_class: None,
            apply: false,
        }
    }
}

/// Why there is no calibration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The volume is no absorption.
    #[error(
        "the values are in {0}, only absorption in 1/um can be calibrated: give the pixel size when reconstructing"
    )]
    Unit(&'static str),
    /// No energy.
    #[error("the photon energy is not known: give it (--energy-ev)")]
    NoEnergy,
    /// The table ends.
    #[error("the table of absorption holds from 272.5 to 543 eV, the energy is {0} eV")]
    Energy(f64),
    /// Labels and volume differ.
    #[error("the labels are {labels:?} voxels, the volume {volume:?}: calibrate with labels of this volume")]
    Shape {
        /// Of the labels.
        labels: [usize; 3],
        /// Of the volume.
        volume: [usize; 3],
    },
    /// A class was asked for without labels.
    #[error("class {0} was asked for, but there are no labels")]
    NoLabels(u16),
    /// No region.
    #[error(
        "only {found} even blocks of {what} were found where {needed} are needed: name a class of labels that holds it"
    )]
    NoRegion {
        /// Of what.
        what: String,
        /// Blocks found.
        found: usize,
        /// Blocks needed.
        needed: usize,
    },
}

/// A region and what it reads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Region {
    /// Mean in 1/µm.
    pub mean: f64,
    /// Standard deviation of its voxels.
    pub sd: f64,
    /// Standard error of the mean.
    pub standard_error: f64,
    /// Voxels.
    pub voxels: usize,
    /// "class 3", or "found".
    pub source: String,
}

/// What a volume reads against what it should.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The substance.
    pub material: Material,
    /// Photon energy in eV.
    pub energy_ev: f64,
    /// Its absorption by the table, 1/µm.
    pub expected_per_um: f64,
    /// The substance as it reads.
    pub reference: Region,
    /// Vacuum as it reads; absent where there is none.
    pub vacuum: Option<Region>,
    /// Change of what is read with what is true; 1 where all is well.
    pub slope: f64,
    /// 95 % confidence interval of the slope.
    pub slope_interval: [f64; 2],
    /// What is read where nothing absorbs, 1/µm.
    pub offset_per_um: f64,
    /// Standard deviation of the substance as a share of its mean.
    pub cv: f64,
    /// What speaks against rescaling, in sentences.
    pub warnings: Vec<String>,
}

impl Calibration {
    /// The volume with `(value - offset) / slope`.
    pub fn apply(&self, volume: &Volume<f32>) -> Volume<f32> {
        let (offset, factor) = (self.offset_per_um as f32, (1.0 / self.slope) as f32);
        let mut data = volume.data.clone();
        data.par_mapv_inplace(|value| (value - offset) * factor);
        volume.with_data(data, volume.unit)
    }
}

/// Mean and standard deviation of a block.
#[derive(Debug, Clone, Copy)]
struct Block {
    mean: f64,
    sd: f64,
}

/// Calibrates `volume`, in 1/µm; `labels` have its shape and say where regions lie, if classes are asked for.
///
/// # Errors
/// See [`CalibrateError`].
pub fn calibrate(
    progress: &Progress,
    volume: &Volume<f32>,
    labels: Option<&Labels>,
    params: &CalibrateParams,
) -> Result<Calibration, CalibrateError> {
    if volume.unit != Unit::PerUm {
        return Err(CalibrateError::Unit(volume.unit.ascii()));
    }
    let energy_ev = params.energy_ev.ok_or(CalibrateError::NoEnergy)?;
    let expected = params.material.lac_per_um(energy_ev).ok_or(CalibrateError::Energy(energy_ev))?;
    if let Some(labels) = labels.filter(|labels| labels.shape() != volume.shape()) {
        return Err(CalibrateError::Shape { labels: labels.shape(), volume: volume.shape() });
    }
    let ids = labels.map(Labels::to_dense);
    progress.phase("Looking for vacuum and the substance", volume.shape()[0].div_ceil(EDGE) as u64);
    let all = blocks(progress, volume, None)?;
    let of_class = |class: u16, what: &str| -> Result<Region, CalibrateError> {
        let ids = ids.as_ref().ok_or(CalibrateError::NoLabels(class))?;
        let found = blocks(progress, volume, Some((ids, class)))?;
        region(found, what, format!("class {class}"))
    };
    let name = params.material.name();
    let reference = match params.reference_class {
        Some(class) => of_class(class, name)?,
        None => find(&all, |mean| mean >= NEAR[0] * expected && mean <= NEAR[1] * expected, name)?,
    };
    let vacuum = match params.vacuum_class {
        Some(class) => Some(of_class(class, "vacuum")?),
        None => find(&all, |mean| mean.abs() < NEAR[0] * expected, "vacuum").ok(),
    };
    let offset = vacuum.as_ref().map_or(0.0, |vacuum| vacuum.mean);
    let slope = (reference.mean - offset) / expected;
    let error = reference.standard_error.hypot(vacuum.as_ref().map_or(0.0, |v| v.standard_error)) / expected;
    let cv = reference.sd / reference.mean.abs().max(f64::MIN_POSITIVE);
    let mut warnings = Vec::new();
    if vacuum.is_none() {
        warnings.push("No vacuum was found, so the offset is taken to be 0".to_owned());
    }
    if cv > LARGEST_CV {
        warnings.push(format!("The values of {name} scatter by {:.0} %, more than 20 %: the region may hold other things, or noise hides the scale", 100.0 * cv));
    }
    if (slope - 1.0).abs() > LARGEST_ERROR {
        warnings.push(format!("The scale is off by {:.0} %, more than 15 %: look for the cause (limited tilt, short SIRT, pixel size, energy, flat field) before rescaling", 100.0 * (slope - 1.0)));
    }
    Ok(Calibration {
        material: params.material,
        energy_ev,
        expected_per_um: expected,
        reference,
        vacuum,
        slope,
        slope_interval: [slope - 1.96 * error, slope + 1.96 * error],
        offset_per_um: offset,
        cv,
        warnings,
    })
}

/// All blocks with something in them, or those that lie wholly in a class.
fn blocks(
    progress: &Progress,
    volume: &Volume<f32>,
    class: Option<(&Array3<u16>, u16)>,
) -> Result<Vec<Block>, Cancelled> {
    let [nz, ny, nx] = volume.shape();
    let layers: Vec<Vec<Block>> = (0..nz / EDGE)
        .into_par_iter()
        .map(|layer| {
            progress.check()?;
            let z = layer * EDGE;
            let mut found = Vec::new();
            for y in (0..ny / EDGE).map(|i| i * EDGE) {
                for x in (0..nx / EDGE).map(|i| i * EDGE) {
                    let place = s![z..z + EDGE, y..y + EDGE, x..x + EDGE];
                    if class.is_none_or(|(ids, class)| ids.slice(place).iter().all(|id| *id == class)) {
                        found.extend(block(volume.data.slice(place).iter()));
                    }
                }
            }
            progress.advance(1);
            Ok(found)
        })
        .collect::<Result<_, Cancelled>>()?;
    Ok(layers.into_iter().flatten().collect())
}

/// Mean and standard deviation; none for a block of zeros (outside a mask) or with values that are no numbers.
fn block<'a>(values: impl Iterator<Item = &'a f32> + Clone) -> Option<Block> {
    let n = (EDGE * EDGE * EDGE) as f64;
    let mean = values.clone().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = values.map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean.is_finite() && (mean != 0.0 || variance > 0.0)).then_some(Block { mean, sd: variance.sqrt() })
}

/// The region around the most frequent mean of the even blocks whose mean is `near`.
fn find(all: &[Block], near: impl Fn(f64) -> bool, what: &str) -> Result<Region, CalibrateError> {
    let mut candidates: Vec<Block> = all.iter().copied().filter(|block| near(block.mean)).collect();
    let mut spreads: Vec<f64> = candidates.iter().map(|block| block.sd).collect();
    spreads.sort_by(f64::total_cmp);
    let even = spreads.get(spreads.len() / 5).copied().unwrap_or(0.0) * EVEN;
    candidates.retain(|block| block.sd <= even);
    candidates.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    let means: Vec<f64> = candidates.iter().map(|block| block.mean).collect();
    let mode = half_sample_mode(&means);
    let reach = 3.0 * even / (EDGE * EDGE * EDGE) as f64 + 0.05 * mode.abs() + even / EDGE as f64;
    candidates.retain(|block| (block.mean - mode).abs() <= reach);
    region(candidates, what, "found".to_owned())
}

/// The most frequent value of sorted ones: the densest half of them, again and again (Bickel and Frühwirth 2006,
/// doi:10.1016/j.csda.2005.07.011).
fn half_sample_mode(sorted: &[f64]) -> f64 {
    let mut part = sorted;
    while part.len() > 3 {
        let half = part.len().div_ceil(2);
        let width = |i: usize| part[i + half - 1] - part[i];
        let start = (0..=part.len() - half).min_by(|a, b| width(*a).total_cmp(&width(*b))).unwrap_or(0);
        part = &part[start..start + half];
    }
    part.iter().sum::<f64>() / part.len().max(1) as f64
}

fn region(blocks: Vec<Block>, what: &str, source: String) -> Result<Region, CalibrateError> {
    let n = blocks.len();
    if n < LEAST_BLOCKS {
        return Err(CalibrateError::NoRegion { what: what.to_owned(), found: n, needed: LEAST_BLOCKS });
    }
    let mean = blocks.iter().map(|b| b.mean).sum::<f64>() / n as f64;
    let between = blocks.iter().map(|b| (b.mean - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let within = blocks.iter().map(|b| b.sd.powi(2)).sum::<f64>() / n as f64;
    Ok(Region {
        mean,
        sd: (between + within).sqrt(),
        standard_error: (between / n as f64).sqrt(),
        voxels: n * EDGE * EDGE * EDGE,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vacuum around a cylinder of ice with a cell in it, read as `slope · true + offset` with a grain.
    fn volume(slope: f32, offset: f32, grain: f32, vacuum: bool) -> (Volume<f32>, Labels) {
        let ice = Material::Ice.lac_per_um(520.0).unwrap() as f32;
        let mut ids = Array3::<u16>::zeros((48, 48, 48));
        let data = Array3::from_shape_fn((48, 48, 48), |(z, y, x)| {
            let d = (z as f32 - 23.5).hypot(x as f32 - 23.5);
            let (id, lac) = if vacuum && d > 21.0 {
                (2, 0.0)
            } else if d < 10.0 {
                (3, 0.25 + 0.05 * ((x * 5 + y * 3 + z * 7) % 9) as f32 / 9.0)
            } else {
                (1, ice)
            };
            ids[[z, y, x]] = id;
            let noise = ((x * 7919 + y * 104_729 + z * 1_299_709) % 1009) as f32 / 1009.0 - 0.5;
            slope * lac + offset + grain * noise
        });
        (Volume::new(data, Some([0.05; 3]), Unit::PerUm), Labels::from_dense(&ids))
    }

    fn at_520() -> CalibrateParams {
        CalibrateParams { energy_ev: Some(520.0), ..CalibrateParams::default() }
    }

    #[test]
    fn slope_and_offset_are_found_within_a_hundredth_by_labels_and_without() {
        let classes = CalibrateParams { reference_class: Some(1), vacuum_class: Some(2), ..at_520() };
        for (slope, offset) in [(1.0, 0.0), (0.9, 0.012), (1.12, -0.008)] {
            let (volume, labels) = volume(slope, offset, 0.03, true);
            for params in [&at_520(), &classes] {
                let found = calibrate(&Progress::new(), &volume, Some(&labels), params).unwrap();
                assert!((found.slope - f64::from(slope)).abs() < 0.01, "{slope}: {found:?}");
                assert!((found.offset_per_um - f64::from(offset)).abs() < 0.001, "{found:?}");
                let [low, high] = found.slope_interval;
                assert!(low < found.slope && found.slope < high && high - low < 0.02, "{found:?}");
                assert!(found.warnings.is_empty(), "{found:?}");
                let applied = found.apply(&volume);
                let again = calibrate(&Progress::new(), &applied, Some(&labels), params).unwrap();
                assert!((again.slope - 1.0).abs() < 1e-4 && again.offset_per_um.abs() < 1e-5, "{again:?}");
            }
        }
    }

    #[test]
    fn a_scale_far_off_scatter_and_missing_vacuum_are_warned_of() {
        let says = |slope, grain, vacuum| {
            let (volume, _) = volume(slope, 0.0, grain, vacuum);
            calibrate(&Progress::new(), &volume, None, &at_520()).unwrap().warnings.join(" ")
        };
        assert!(says(0.8, 0.02, true).contains("off by -20 %"));
        assert!(says(1.0, 0.1, true).contains("scatter"), "{}", says(1.0, 0.1, true));
        assert!(says(1.0, 0.02, false).contains("No vacuum"));
        assert_eq!(says(1.0, 0.02, true), "");
    }

    #[test]
    fn what_cannot_be_calibrated_is_refused() {
        let (mut volume, labels) = volume(1.0, 0.0, 0.02, true);
        let go = |volume: &Volume<f32>, labels: Option<&Labels>, params: &CalibrateParams| {
            calibrate(&Progress::new(), volume, labels, params).unwrap_err().to_string()
        };
        assert!(go(&volume, None, &CalibrateParams::default()).contains("--energy-ev"));
        assert!(go(&volume, None, &CalibrateParams { energy_ev: Some(800.0), ..at_520() }).contains("800"));
        let class = CalibrateParams { reference_class: Some(9), ..at_520() };
        assert!(go(&volume, None, &class).contains("no labels"));
        assert!(go(&volume, Some(&labels), &class).contains("only 0"));
        volume.data.fill(f32::NAN);
        assert!(go(&volume, None, &at_520()).contains("even blocks of ice"));
        volume.unit = Unit::PerVoxel;
        assert!(go(&volume, None, &at_520()).contains("1/voxel"));
    }
}
