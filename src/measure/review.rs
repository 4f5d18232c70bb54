//! Review: the objects of a segmentation, the most doubtful first, with the reason in words.
//!
//! An object is doubtful where the classifier was unsure, where its LAC lies far from that of the other
//! objects of its class, where it is a crumb beside them, where a thin neck joins two parts of it, and
//! where it is cut by the border of the volume.

use ndarray::{Array3, ArrayView3, s};
use rayon::prelude::*;

use super::MeasureError;
use super::objects::{Tally, tally};
use crate::base::Progress;
use crate::kernels::components::{Connectivity, components};
use crate::kernels::distance::distance_to;
use crate::volume::Volume;

/// Objects of a class from which on they are compared with each other.
const ENOUGH: usize = 5;
/// Deviations from the class's median at which a LAC is called far: about 1 of 400 by chance.
const FAR: f64 = 3.0;
/// Part of the median volume of a class below which an object is a crumb.
const CRUMB: f64 = 0.05;
/// Mean uncertainty from which on an object is called unsure.
const UNSURE: f64 = 0.5;
/// Voxels of the box around an object up to which necks are sought.
const NECK_BOX: usize = 4 << 20;
/// Voxels that an object needs to have a neck.
const NECK_VOXELS: u64 = 200;
/// Part of an eroded object that a piece needs to count.
const NECK_PART: f64 = 0.15;

/// Why an object should be looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// Mean uncertainty of its voxels, 0 to 1.
    Unsure(f64),
    /// Its LAC is this many deviations from the median of its class.
    Lac(f64),
    /// Its volume as a part of the class's median.
    Crumb(f64),
    /// Two parts hang together by a neck less wide than this many voxels.
    Neck(f64),
    /// It touches the border of the volume.
    Border,
}

impl Reason {
    /// The reason in words.
    pub fn words(self) -> String {
        match self {
            Self::Unsure(mean) => format!("unsure: {mean:.2}"),
            Self::Lac(z) if z > 0.0 => format!("LAC {z:.1} deviations above its class"),
            Self::Lac(z) => format!("LAC {:.1} deviations below its class", -z),
            Self::Crumb(part) if part < 0.01 => "a crumb beside the others".to_owned(),
            Self::Crumb(part) => format!("{:.0} % of the usual volume", part * 100.0),
            Self::Neck(width) => format!("a neck under {width:.0} voxels wide"),
            Self::Border => "cut by the border".to_owned(),
        }
    }

    /// How much it weighs.
    fn doubt(self) -> f64 {
        match self {
            Self::Unsure(mean) => 2.0 * mean,
            Self::Lac(z) => (z.abs() / FAR).min(3.0),
            Self::Crumb(_) => 0.8,
            Self::Neck(_) => 1.0,
            Self::Border => 0.2,
        }
    }
}

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Its class.
    pub class: u16,
    /// Its voxels.
    pub voxels: u64,
    /// A voxel of it, the first in array order (z, y, x).
    pub seed_zyx: [usize; 3],
    /// Mean index of its voxels.
    pub center_zyx: [f64; 3],
    /// The box around it, half open.
    pub bounds: ([usize; 3], [usize; 3]),
    /// Mean of the volume's values; `None` where none is finite.
    pub lac_mean: Option<f64>,
    /// Why it should be looked at, the weightiest first.
    pub reasons: Vec<Reason>,
    /// The sum of their weights.
    pub doubt: f64,
}

/// The objects of `labels` (z, y, x; 0 unlabelled), the most doubtful first, equals in array order.
///
/// Objects are connected by faces. `uncertainty` is 0 (sure) to 1 on the same grid.
/// Memory: 8 bytes a voxel.
///
/// # Errors
/// [`MeasureError::Shape`] where the grids differ; too many pieces; cancel.
pub fn review(
    progress: &Progress,
    labels: &ArrayView3<'_, u16>,
    volume: &Volume<f32>,
    uncertainty: Option<&Volume<f32>>,
) -> Result<Vec<Finding>, MeasureError> {
    let (nz, ny, nx) = labels.dim();
    let shape = [nz, ny, nx];
    for grid in std::iter::once(volume).chain(uncertainty) {
        if grid.shape() != shape {
            return Err(MeasureError::Shape { volume: grid.shape(), labels: shape });
        }
    }
    let found = components(progress, labels, Connectivity::Faces)?;
    let tallies = tally(progress, &found.map, found.len(), Some(volume.values()))?;
    let unsure = match uncertainty {
        Some(uncertainty) => Some(tally(progress, &found.map, found.len(), Some(uncertainty.values()))?),
        None => None,
    };
    let seeds = first_voxels(&found.map, found.len());
    let usual = usual_of_classes(&found.values, &tallies);
    progress.phase("Looking for necks", found.len() as u64);
    let mut findings = (0..found.len())
        .into_par_iter()
        .map(|k| {
            progress.check()?;
            let (class, object) = (found.values[k], &tallies[k]);
            let mut reasons = Vec::new();
            if let Some(mean) = unsure.as_ref().map(|u| u[k].mean).filter(|mean| *mean >= UNSURE) {
                reasons.push(Reason::Unsure(mean));
            }
            if let Some((_, usual)) = usual.iter().find(|(id, _)| *id == class) {
                reasons.extend(usual.reasons(object));
            }
            if let Some(width) = neck(progress, &found.map, k as u32 + 1, object)? {
                reasons.push(Reason::Neck(width));
            }
            if (0..3).any(|a| object.lo[a] == 0 || object.hi[a] == shape[a]) {
                reasons.push(Reason::Border);
            }
            reasons.sort_by(|a, b| b.doubt().total_cmp(&a.doubt()));
            progress.advance(1);
            Ok(Finding {
                class,
                voxels: object.n,
                seed_zyx: seeds[k],
                center_zyx: object.center(),
                bounds: (object.lo, object.hi),
                lac_mean: (object.n_values > 0).then_some(object.mean),
                doubt: reasons.iter().map(|reason| reason.doubt()).sum(),
                reasons,
            })
        })
        .collect::<Result<Vec<_>, MeasureError>>()?;
    findings.sort_by(|a, b| b.doubt.total_cmp(&a.doubt));
    Ok(findings)
}

/// The first voxel of each of `n` components in array order.
fn first_voxels(map: &Array3<u32>, n: usize) -> Vec<[usize; 3]> {
    let mut seeds = vec![None; n];
    for ((z, y, x), id) in map.indexed_iter() {
        if *id != 0
            && let Some(seed @ None) = seeds.get_mut(*id as usize - 1)
        {
            *seed = Some([z, y, x]);
        }
    }
    seeds.into_iter().map(Option::unwrap_or_default).collect()
}

/// What is usual among the objects of a class.
struct Usual {
    lac: f64,
    /// Robust standard deviation of the mean LAC of objects.
    lac_sd: f64,
    voxels: f64,
}

impl Usual {
    fn reasons(&self, object: &Tally) -> impl Iterator<Item = Reason> {
        let z = (object.mean - self.lac) / self.lac_sd;
        let part = object.n as f64 / self.voxels;
        let far = (object.n_values > 0 && z.abs() >= FAR).then_some(Reason::Lac(z));
        let crumb = (part < CRUMB).then_some(Reason::Crumb(part));
        far.into_iter().chain(crumb)
    }
}

/// Medians over the objects of every class that has enough of them. Large objects weigh as much as small ones.
fn usual_of_classes(classes: &[u16], tallies: &[Tally]) -> Vec<(u16, Usual)> {
    let mut ids = classes.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter()
        .filter_map(|id| {
            let mine = || classes.iter().zip(tallies).filter(move |(class, _)| **class == id).map(|(_, t)| t);
            if mine().count() < ENOUGH {
                return None;
            }
            // Crumbs are counted out of the median volume, or a hundred of them would make themselves usual.
            let largest = mine().map(|t| t.n).max().unwrap_or(1) as f64;
            let voxels = median(mine().map(|t| t.n as f64).filter(|n| *n > largest * 0.01).collect())?;
            let lac = median(mine().filter(|t| t.n_values > 0).map(|t| t.mean).collect())?;
            let off = median(mine().filter(|t| t.n_values > 0).map(|t| (t.mean - lac).abs()).collect())?;
            // 1.4826 makes the median deviation that of a Gaussian; the floor keeps equal objects from all being far.
            let lac_sd = (off * 1.4826).max(lac.abs() * 0.01).max(1e-9);
            Some((id, Usual { lac, lac_sd, voxels }))
        })
        .collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The width in voxels below which a neck joins two large parts of an object, if there is one.
fn neck(
    progress: &Progress,
    map: &Array3<u32>,
    id: u32,
    object: &Tally,
) -> Result<Option<f64>, MeasureError> {
    let (lo, hi) = (object.lo, object.hi);
    let size: usize = (0..3).map(|a| hi[a] - lo[a] + 2).product();
    if object.n < NECK_VOXELS || size > NECK_BOX {
        return Ok(None);
    }
    let part = map.slice(s![lo[0]..hi[0], lo[1]..hi[1], lo[2]..hi[2]]);
    let (z, y, x) = part.dim();
    // A rim of background, so that the object ends at its box.
    let mut inside = Array3::<u8>::zeros((z + 2, y + 2, x + 2));
    inside.slice_mut(s![1..=z, 1..=y, 1..=x]).zip_mut_with(&part, |inside, v| *inside = u8::from(*v == id));
    let depth = distance_to(progress, &inside.view(), |v| v == 0, [1.0; 3])?;
    for radius in [1.5f32, 2.5, 3.5] {
        let eroded = depth.mapv(|d| u8::from(d > radius));
        let n: u64 = eroded.iter().map(|v| u64::from(*v)).sum();
        if n < NECK_VOXELS / 4 {
            return Ok(None);
        }
        let pieces = components(progress, &eroded.view(), Connectivity::Faces)?;
        let large = pieces.sizes.iter().filter(|size| **size as f64 >= NECK_PART * n as f64).count();
        if large > 1 {
            return Ok(Some(f64::from(radius) * 2.0));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Cancelled, Unit};

    /// Six balls of class 1 of alike LAC, one of them far brighter, a crumb, a dumb-bell of class 2.
    fn cell() -> (Array3<u16>, Volume<f32>) {
        let mut labels = Array3::zeros((24, 40, 90));
        let mut values = Array3::from_elem((24, 40, 90), 0.1f32);
        for k in 0..6 {
            let lac = if k == 4 { 0.6 } else { 0.3 + k as f32 * 0.004 };
            ball(&mut labels, &mut values, [10, 10, 8 + 14 * k], 5.0, 1, lac);
        }
        labels[[20, 5, 5]] = 1;
        values[[20, 5, 5]] = 0.31;
        ball(&mut labels, &mut values, [12, 28, 20], 6.0, 2, 0.2);
        ball(&mut labels, &mut values, [12, 28, 36], 6.0, 2, 0.2);
        for x in 20..36 {
            labels.slice_mut(s![11..13, 27..29, x]).fill(2);
        }
        (labels, Volume::new(values, None, Unit::PerUm))
    }

    fn ball(
        labels: &mut Array3<u16>,
        values: &mut Array3<f32>,
        at: [usize; 3],
        radius: f64,
        class: u16,
        lac: f32,
    ) {
        for ((z, y, x), id) in labels.indexed_iter_mut() {
            let d = [z, y, x].iter().zip(at).map(|(a, b)| (*a as f64 - b as f64).powi(2)).sum::<f64>();
            if d.sqrt() <= radius {
                *id = class;
                values[[z, y, x]] = lac;
            }
        }
    }

    #[test]
    fn the_doubtful_come_first_with_their_reasons() {
        let (labels, volume) = cell();
        let findings = review(&Progress::new(), &labels.view(), &volume, None).unwrap();
        assert_eq!(findings.len(), 8);
        let bright = &findings[0];
        assert!(matches!(bright.reasons[..], [Reason::Lac(z)] if z > 10.0), "{:?}", bright.reasons);
        assert_eq!(bright.bounds, ([5, 5, 59], [16, 16, 70]));
        let neck = findings.iter().find(|f| f.class == 2).unwrap();
        assert!(matches!(neck.reasons[..], [Reason::Neck(_)]), "{:?}", neck.reasons);
        let crumb = findings.iter().find(|f| f.voxels == 1).unwrap();
        assert!(matches!(crumb.reasons[..], [Reason::Crumb(_)]), "{:?}", crumb.reasons);
        assert_eq!(crumb.seed_zyx, [20, 5, 5]);
        assert_eq!(
            findings.iter().filter(|f| f.reasons.is_empty()).count(),
            5,
            "the other balls are as usual"
        );
        for finding in &findings {
            let [z, y, x] = finding.seed_zyx;
            assert_eq!(labels[[z, y, x]], finding.class);
        }
    }

    #[test]
    fn what_the_classifier_was_unsure_of_and_what_the_border_cuts_is_said() {
        let (mut labels, volume) = cell();
        labels.slice_mut(s![0..3, 30..34, 80..84]).fill(3);
        let mut unsure = Volume::new(Array3::zeros((24, 40, 90)), None, Unit::Arbitrary);
        unsure.data.slice_mut(s![0..3, 30..34, 80..84]).fill(0.9);
        let findings = review(&Progress::new(), &labels.view(), &volume, Some(&unsure)).unwrap();
        let block = findings.iter().find(|f| f.class == 3).unwrap();
        assert_eq!(block.reasons.len(), 2);
        assert!(matches!(block.reasons[0], Reason::Unsure(mean) if (mean - 0.9).abs() < 1e-6));
        assert_eq!(block.reasons[1], Reason::Border);
    }

    #[test]
    fn other_grids_are_refused_and_cancel_is_kept() {
        let (labels, _) = cell();
        let small = Volume::new(Array3::zeros((2, 2, 2)), None, Unit::PerUm);
        let error = review(&Progress::new(), &labels.view(), &small, None);
        assert!(matches!(error, Err(MeasureError::Shape { .. })));
        let (labels, volume) = cell();
        let progress = Progress::new();
        progress.cancel();
        let error = review(&progress, &labels.view(), &volume, None);
        assert_eq!(error, Err(MeasureError::Cancelled(Cancelled)));
        let none = Array3::zeros((24, 40, 90));
        assert_eq!(review(&Progress::new(), &none.view(), &volume, None).unwrap(), []);
    }
}
