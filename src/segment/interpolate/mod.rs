//! Interpolation between painted slices, class by class, from the shape of the outlines.
//!
//! Painted slices are found by themselves: along an axis a class has gaps, slices without it between
//! slices with it; or, where several axes were painted, it lies in sheets one voxel thick. Between two
//! painted slices the parts of a class are matched: parts that overlap belong together, a part that
//! overlaps none goes to the nearest within reach, or to the only one there is, and one without a partner ends there. So branches split
//! and merge and neighbours do not run into each other.
//!
//! Between matched parts goes not the signed distance s itself, as in Raya and Udupa (1990,
//! doi:10.1109/42.52980), but `s (2 R + s)` with R the largest depth of the part: for a disc that is
//! r² less its radius squared, which changes along a ball or an ellipsoid as a parabola. It is
//! interpolated by a cubic through the two slices and the painted ones before and behind, limited to what
//! a body four times as curved as a ball needs, after the parts were moved onto each other where that
//! makes them overlap more. Classes that meet in both slices meet in between: slivers between them go to the
//! class that is nearest. Beyond the first and last slice a
//! class may be closed by the same curve. Only unlabelled voxels are filled. Unequal edges are respected.
//! Memory: 16 bytes a voxel.

mod gap;
mod parts;

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, Array3, ArrayView3, Axis};
use serde::{Deserialize, Serialize};

use super::SegmentError;
use super::clean::ClassList;
use crate::base::{Cancelled, Progress};
use gap::{Gap, Slices};

/// Which slices were painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaintedAxis {
    /// Found for each class.
    #[default]
    Auto,
    /// Slices across z.
    Z,
    /// Slices across y.
    Y,
    /// Slices across x.
    X,
    /// Slices across several axes.
    Several,
}

/// Parameters of [`interpolate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InterpolateParams {
    /// Which slices were painted.
    pub axis: PaintedAxis,
    /// Classes that are interpolated, such as "2,5-7"; all where empty.
    pub classes: String,
    /// Most slices that are filled between two painted ones, 1 to 10 000.
    pub max_gap: u32,
    /// Whether a class is closed beyond its first and last painted slice, within one step of painting.
    pub round_ends: bool,
}

impl Default for InterpolateParams {
    fn default() -> Self {
        Self { axis: PaintedAxis::Auto, classes: String::new(), max_gap: 100, round_ends: false }
    }
}

/// What was interpolated of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InterpolatedClass {
    /// Its id.
    pub class: u16,
    /// Axes across which slices were painted, as "z", "y", "x".
    pub axes: String,
    /// Gaps that were looked at.
    pub gaps: usize,
    /// Of these, gaps on whose two sides no parts belong together: they do not overlap and lie too far apart.
    pub apart: usize,
    /// Gaps of more slices than are filled.
    pub wide: usize,
    /// Voxels that are new.
    pub voxels: u64,
}

/// What [`interpolate`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Interpolated {
    /// The new voxels alone, 0 elsewhere: what becomes "interpolated" in the record of each voxel.
    pub new: Array3<u16>,
    /// Classes that were looked at, by id.
    pub classes: Vec<InterpolatedClass>,
}

impl Interpolated {
    /// The labels with the new voxels in them.
    pub fn laid_over(&self, labels: &ArrayView3<'_, u16>) -> Array3<u16> {
        ndarray::Zip::from(labels).and(&self.new).map_collect(|was, new| if *was == 0 { *new } else { *was })
    }
}

/// How far outside a voxel is taken to be where nothing is near, in voxels.
const FAR: f32 = 4.0;

/// Fills the slices between painted ones; labels of shape (z, y, x), 0 unlabelled.
///
/// # Errors
/// A list of classes that is none; cancel.
pub fn interpolate(
    progress: &Progress,
    labels: &ArrayView3<'_, u16>,
    voxel_um: Option<[f64; 3]>,
    params: &InterpolateParams,
) -> Result<Interpolated, SegmentError> {
    let chosen = ClassList::parse(&params.classes)?;
    let labels = labels.as_standard_layout();
    let labels = labels.view();
    let profiles = profiles(progress, &labels)?;
    let mut profiles: Vec<(u16, Profile)> =
        profiles.into_iter().filter(|(id, _)| chosen.contains(u32::from(*id))).collect();
    // Lengths in units of the smallest edge.
    let um = voxel_um.unwrap_or([1.0; 3]);
    let smallest = um.iter().copied().fold(f64::INFINITY, f64::min);
    let spacing = um.map(|v| v / smallest);
    let mut new = Array3::<u16>::zeros(labels.dim());
    let mut best = Array3::<f32>::zeros(labels.dim());
    let gaps: Vec<Vec<Gap>> = profiles.iter().map(|(_, profile)| profile.gaps(params)).collect();
    let n_gaps: usize = gaps.iter().map(Vec::len).sum();
    progress.phase("Interpolating", n_gaps as u64);
    let mut apart = vec![0; profiles.len()];
    for (((class, profile), gaps), apart) in profiles.iter_mut().zip(&gaps).zip(&mut apart) {
        for gap in gaps {
            profile.lo[gap.axis] = profile.lo[gap.axis].min(gap.fill.0);
            profile.hi[gap.axis] = profile.hi[gap.axis].max(gap.fill.1);
        }
        let (votes, unmatched) = class_votes(progress, &labels, spacing, *class, profile, gaps)?;
        *apart = unmatched;
        for ((z, y, x), depth) in votes.indexed_iter() {
            let at = [z + profile.lo[0], y + profile.lo[1], x + profile.lo[2]];
            if *depth < best[at] && labels[at] == 0 {
                best[at] = *depth;
                new[at] = *class;
            }
        }
    }
    fill_slivers(progress, &labels, spacing, (&profiles, &gaps), &mut new)?;
    let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
    new.iter().filter(|id| **id != 0).for_each(|id| *counts.entry(*id).or_default() += 1);
    let classes =
        profiles.iter().zip(&gaps).zip(apart).map(|(((class, profile), gaps), apart)| InterpolatedClass {
            class: *class,
            axes: (0..3)
                .filter(|a| gaps.iter().any(|gap| gap.axis == *a))
                .map(|a| ['z', 'y', 'x'][a])
                .collect(),
            gaps: gaps.len(),
            apart,
            wide: profile.wide_gaps(params),
            voxels: counts.get(class).copied().unwrap_or(0),
        });
    Ok(Interpolated { new, classes: classes.collect() })
}

/// Where a class lies: its box, and for every axis its voxels per slice and those that are a sheet there.
#[derive(Debug, Clone)]
struct Profile {
    lo: [usize; 3],
    hi: [usize; 3],
    voxels: [Vec<u32>; 3],
    thin: [Vec<u32>; 3],
}

fn profiles(progress: &Progress, labels: &ArrayView3<'_, u16>) -> Result<BTreeMap<u16, Profile>, Cancelled> {
    let (nz, ny, nx) = labels.dim();
    let shape = [nz, ny, nx];
    let mut found: BTreeMap<u16, Profile> = BTreeMap::new();
    let empty = || shape.map(|n| vec![0u32; n]);
    for z in 0..nz {
        progress.check()?;
        for y in 0..ny {
            for x in 0..nx {
                let id = labels[[z, y, x]];
                if id == 0 {
                    continue;
                }
                let at = [z, y, x];
                let own = found.entry(id).or_insert_with(|| Profile {
                    lo: at,
                    hi: at,
                    voxels: empty(),
                    thin: empty(),
                });
                for a in 0..3 {
                    own.lo[a] = own.lo[a].min(at[a]);
                    own.hi[a] = own.hi[a].max(at[a] + 1);
                    own.voxels[a][at[a]] += 1;
                    let beside = |step: isize| {
                        let mut other = at;
                        other[a] = other[a].wrapping_add_signed(step);
                        labels.get(other) == Some(&id)
                    };
                    own.thin[a][at[a]] += u32::from(!beside(-1) && !beside(1));
                }
            }
        }
    }
    Ok(found)
}

impl Profile {
    fn size(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.hi[a] - self.lo[a])
    }

    /// Slices that were painted across an axis: those with the class, or those in which most of it is a sheet.
    fn painted(&self, axis: usize, sheets: bool) -> Vec<usize> {
        let is_painted = |k: usize| {
            let (n, thin) = (self.voxels[axis][k], self.thin[axis][k]);
            if sheets { thin * 2 > n } else { n > 0 }
        };
        (self.lo[axis]..self.hi[axis]).filter(|k| is_painted(*k)).collect()
    }

    /// Gaps that would be filled if they were not wider than the parameters allow.
    fn wide_gaps(&self, params: &InterpolateParams) -> usize {
        let all = InterpolateParams { max_gap: u32::MAX, round_ends: false, ..params.clone() };
        self.gaps(&all).iter().filter(|gap| gap.to - gap.from > params.max_gap as usize + 1).count()
    }

    /// Gaps to fill across the axes that the parameters ask for.
    fn gaps(&self, params: &InterpolateParams) -> Vec<Gap> {
        let of = |axis: usize, sheets: bool| {
            let mut painted = self.painted(axis, sheets);
            if sheets && painted.len() > 1 {
                // Where the class begins and ends, the sheets of other axes say how.
                painted.extend([self.lo[axis], self.hi[axis] - 1]);
                painted.sort_unstable();
                painted.dedup();
            }
            let mut gaps = gap::gaps(axis, &painted, params.max_gap as usize);
            if params.round_ends && !sheets {
                gaps.extend(gap::ends(axis, &painted, self.voxels[axis].len(), params.max_gap as usize));
            }
            gaps
        };
        let missing = |axis: usize| {
            let n = self.hi[axis] - self.lo[axis];
            (n - self.painted(axis, false).len()) as f64 / n as f64
        };
        let several = || (0..3).flat_map(|axis| of(axis, true)).collect::<Vec<_>>();
        match params.axis {
            PaintedAxis::Z => of(0, false),
            PaintedAxis::Y => of(1, false),
            PaintedAxis::X => of(2, false),
            PaintedAxis::Several => several(),
            PaintedAxis::Auto => {
                // Of equal axes the first.
                let best = (0..3).rev().max_by(|a, b| missing(*a).total_cmp(&missing(*b))).unwrap_or(0);
                if missing(best) > 0.0 { of(best, false) } else { several() }
            }
        }
    }
}

/// For every voxel of a class's box how deep inside the class it is to be: negative inside; and gaps without parts that
/// belong together.
fn class_votes(
    progress: &Progress,
    labels: &ArrayView3<'_, u16>,
    spacing: [f64; 3],
    class: u16,
    profile: &Profile,
    gaps: &[Gap],
) -> Result<(Array3<f32>, usize), SegmentError> {
    let size = if gaps.is_empty() { [0; 3] } else { profile.size() };
    let mut sum = Array3::<f32>::zeros(size);
    let mut weights = Array3::<f32>::zeros(size);
    let mut unmatched = 0;
    for gap in gaps {
        let slices = Slices::new(labels, gap, spacing, (profile.lo, profile.hi));
        let filled = slices.fill(progress, |id| id == class)?;
        unmatched += usize::from(filled.iter().flatten().all(|depth| depth.is_infinite()));
        for (k, depth) in (gap.fill.0..gap.fill.1).zip(&filled) {
            let weight = 1.0 / k.abs_diff(gap.from).min(k.abs_diff(gap.to)) as f32;
            let at = k - profile.lo[gap.axis];
            let window = slices.window();
            let mut sum = sum.index_axis_mut(Axis(gap.axis), at);
            let mut weights = weights.index_axis_mut(Axis(gap.axis), at);
            let target = sum.slice_mut(window);
            ndarray::Zip::from(target).and(depth).for_each(|s, d| *s += weight * d.clamp(-1e6, FAR));
            weights.slice_mut(window).mapv_inplace(|w| w + weight);
        }
        progress.advance(1);
    }
    ndarray::Zip::from(&mut sum).and(&weights).for_each(|s, w| *s = if *w > 0.0 { *s / w } else { FAR });
    Ok((sum, unmatched))
}

/// Where several classes share a gap, what is inside all of them together but in none goes to the nearest.
fn fill_slivers(
    progress: &Progress,
    labels: &ArrayView3<'_, u16>,
    spacing: [f64; 3],
    (profiles, gaps): (&[(u16, Profile)], &[Vec<Gap>]),
    new: &mut Array3<u16>,
) -> Result<(), SegmentError> {
    let shared: BTreeSet<(usize, usize, usize)> = gaps
        .iter()
        .flatten()
        .filter(|gap| gap.fill == (gap.from + 1, gap.to))
        .map(|gap| (gap.axis, gap.from, gap.to))
        .collect();
    for (axis, from, to) in shared {
        progress.check()?;
        let is_there = |profile: &Profile| profile.voxels[axis][from] > 0 || profile.voxels[axis][to] > 0;
        let classes: Vec<usize> = (0..profiles.len()).filter(|c| is_there(&profiles[*c].1)).collect();
        if classes.len() < 2 {
            continue;
        }
        let ids: Vec<u16> = classes.iter().map(|c| profiles[*c].0).collect();
        let lo = std::array::from_fn(|a| classes.iter().map(|c| profiles[*c].1.lo[a]).min().unwrap_or(0));
        let hi = std::array::from_fn(|a| classes.iter().map(|c| profiles[*c].1.hi[a]).max().unwrap_or(0));
        let gap = Gap { axis, from, to, fill: (from + 1, to), before: None, behind: None };
        let slices = Slices::new(labels, &gap, spacing, (lo, hi));
        let together = slices.fill(progress, |id| ids.contains(&id))?;
        let distances: Vec<[Array2<f32>; 2]> =
            ids.iter().map(|class| slices.distances(progress, *class)).collect::<Result<_, _>>()?;
        let [u0, v0] = slices.origin();
        for (k, inside) in (from + 1..to).zip(&together) {
            let t = (k - from) as f32 / (to - from) as f32;
            for ((u, v), _) in inside.indexed_iter().filter(|(_, d)| **d < 0.0) {
                let at = gap::place(axis, k, [u + u0, v + v0]);
                if labels[at] != 0 || new[at] != 0 {
                    continue;
                }
                let far = |[a, b]: &[Array2<f32>; 2]| (1.0 - t) * a[[u, v]] + t * b[[u, v]];
                let nearest = ids.iter().zip(&distances).map(|(id, d)| (*id, far(d)));
                if let Some((id, _)) = nearest.min_by(|a, b| a.1.total_cmp(&b.1)) {
                    new[at] = id;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
