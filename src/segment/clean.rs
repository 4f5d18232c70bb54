//! Cleaning of label volumes: holes, islands, opening and closing, growing and shrinking, smoothing.
//!
//! Every operation looks at the labels as they were, class by class, and then changes them: a voxel that
//! a class gives up becomes unlabelled, a voxel that a class gains must be unlabelled unless overwriting
//! is asked for, and where several classes gain one voxel the nearest gets it. Growing, shrinking,
//! opening and closing are exact Euclidean, by distance transforms (Serra 1982, Image Analysis and
//! Mathematical Morphology), with a ball of a radius in voxels or, where the voxel size is known, in nm,
//! so that unequal edges are respected; in one plane the ball is a disc. Smoothing gives each voxel the
//! class whose indicator, blurred by a Gaussian, is largest there. What the volume cuts off is taken to
//! go on beyond its faces. Memory: 4 bytes a voxel beside the result, and 10 bytes a voxel of the box of a class.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array3, ArrayView3, s};
use serde::{Deserialize, Serialize};

use super::SegmentError;
use crate::base::{Cancelled, Progress};
use crate::kernels::components::{Components, Connectivity, components};
use crate::kernels::distance::distance_to;
use crate::kernels::smooth::{TRUNCATE, gaussian};
use crate::volume::LabelId;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CleanOperation {
    /// Fills what a class encloses.
    #[default]
    FillHoles,
    /// Removes objects below a size.
    RemoveIslands,
    /// Keeps the largest object of each class.
    KeepLargest,
    /// Gives objects below a size to the neighbouring class with the largest contact.
    MergeSmall,
    /// Shrinks, then grows: removes what is thinner than the ball.
    Open,
    /// Grows, then shrinks: closes gaps narrower than the ball.
    Close,
    /// Grows by the radius.
    Grow,
    /// Shrinks by the radius.
    Shrink,
    /// Evens the borders out.
    Smooth,
}

/// Where neighbours are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CleanPlane {
    /// In all three dimensions.
    #[default]
    Volume,
    /// In every slice across z.
    Xy,
    /// In every slice across y.
    Xz,
    /// In every slice across x.
    Yz,
}

impl CleanPlane {
    /// The axis that the slices are stacked along (z, y, x as 0, 1, 2); `None` in three dimensions.
    fn axis(self) -> Option<usize> {
        match self {
            Self::Volume => None,
            Self::Xy => Some(0),
            Self::Xz => Some(1),
            Self::Yz => Some(2),
        }
    }
}

/// Parameters of [`clean`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CleanParams {
    /// What is done.
    pub operation: CleanOperation,
    /// Classes that it is done to, such as "2,5-7"; all where empty.
    pub classes: String,
    /// Radius of the ball, or standard deviation of the smoothing, 0 to 1000 voxels.
    pub radius: f64,
    /// The same in nm, which goes before; needs the voxel size.
    pub radius_nm: Option<f64>,
    /// Objects of fewer voxels are small, 0 to 1e15.
    pub min_voxels: u64,
    /// Objects of less volume are small too, in µm³; needs the voxel size.
    pub min_um3: Option<f64>,
    /// In three dimensions or slice by slice.
    pub plane: CleanPlane,
    /// Whether voxels of other classes may be taken.
    pub overwrite: bool,
    /// Which neighbours make one object.
    pub connectivity: Connectivity,
}

impl Default for CleanParams {
    fn default() -> Self {
        Self {
            operation: CleanOperation::FillHoles,
            classes: String::new(),
            radius: 1.0,
            radius_nm: None,
            min_voxels: 50,
            min_um3: None,
            plane: CleanPlane::Volume,
            overwrite: false,
            connectivity: Connectivity::Corners,
        }
    }
}

/// What changed of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CleanedClass {
    /// Its id.
    pub class: u32,
    /// Voxels before.
    pub before: u64,
    /// Voxels after.
    pub after: u64,
    /// Voxels that it gained.
    pub gained: u64,
    /// Voxels that it lost.
    pub lost: u64,
}

/// What [`clean`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleaned<L = u16> {
    /// The labels.
    pub labels: Array3<L>,
    /// Every class that was or is there, by id.
    pub classes: Vec<CleanedClass>,
}

/// Ids that a list such as "2,5-7" names; all where it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassList(Option<Vec<(u32, u32)>>);

impl ClassList {
    /// Reads a list.
    ///
    /// # Errors
    /// [`SegmentError::ClassList`] where it is none.
    pub fn parse(text: &str) -> Result<Self, SegmentError> {
        let wrong = || SegmentError::ClassList { text: text.to_owned() };
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        let id = |text: &str| text.trim().parse::<u32>().ok().filter(|id| *id > 0).ok_or_else(wrong);
        let range = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = (id(from)?, id(to)?);
            if from <= to { Ok((from, to)) } else { Err(wrong()) }
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(|ranges| Self(Some(ranges)))
    }

    /// Whether the list names an id.
    pub fn contains(&self, id: u32) -> bool {
        self.0.as_ref().is_none_or(|ranges| ranges.iter().any(|(from, to)| (*from..=*to).contains(&id)))
    }
}

/// Cleans labels of shape (z, y, x), 0 unlabelled; `voxel_um` is the size of a voxel in the same order.
///
/// # Errors
/// A list of classes that is none, a length in nm without a voxel size; cancel.
pub fn clean(
    progress: &Progress,
    labels: &ArrayView3<'_, u16>,
    voxel_um: Option<[f64; 3]>,
    params: &CleanParams,
) -> Result<Cleaned, SegmentError> {
    let chosen = ClassList::parse(&params.classes)?;
    clean_chosen(progress, labels, voxel_um, |id| chosen.contains(u32::from(id)), params)
}

/// As [`clean`], of the ids for which `is_chosen` holds, whatever the list of classes; ids must lie below 2³¹.
///
/// # Errors
/// As [`clean`].
pub fn clean_chosen<L: LabelId + TryFrom<u32>>(
    progress: &Progress,
    labels: &ArrayView3<'_, L>,
    voxel_um: Option<[f64; 3]>,
    is_chosen: impl Fn(L) -> bool,
    params: &CleanParams,
) -> Result<Cleaned<L>, SegmentError> {
    let before = labels.as_standard_layout().into_owned();
    let boxes = class_boxes(progress, &before)?;
    let is_chosen = |id: L| id != L::default() && is_chosen(id);
    let job = Job { progress, labels: &before, params, ball: Ball::new(voxel_um, params)? };
    let classes: Vec<(L, ClassBox)> =
        boxes.iter().filter(|(id, _)| is_chosen(**id)).map(|(id, b)| (*id, *b)).collect();
    let after = match params.operation {
        CleanOperation::RemoveIslands | CleanOperation::KeepLargest | CleanOperation::MergeSmall => {
            job.by_objects(&is_chosen, voxel_um)?
        }
        CleanOperation::Smooth => job.smoothed(&boxes, &is_chosen)?,
        _ => job.by_classes(&classes)?,
    };
    let classes = counted(&before, &after);
    Ok(Cleaned { labels: after, classes })
}

/// The box of a class, half open.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassBox {
    pub(super) lo: [usize; 3],
    pub(super) hi: [usize; 3],
}

pub(super) fn class_boxes<L: LabelId>(
    progress: &Progress,
    labels: &Array3<L>,
) -> Result<BTreeMap<L, ClassBox>, Cancelled> {
    let mut boxes: BTreeMap<L, ClassBox> = BTreeMap::new();
    for (z, slice) in labels.outer_iter().enumerate() {
        progress.check()?;
        for (y, row) in slice.outer_iter().enumerate() {
            let row = row.to_slice().unwrap_or(&[]);
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                let (lo, hi) = ([z, y, x], [z + 1, y + 1, x + run.len()]);
                x += run.len();
                if run[0] != L::default() {
                    let own = boxes.entry(run[0]).or_insert(ClassBox { lo, hi });
                    own.lo = std::array::from_fn(|a| own.lo[a].min(lo[a]));
                    own.hi = std::array::from_fn(|a| own.hi[a].max(hi[a]));
                }
            }
        }
    }
    Ok(boxes)
}

fn counted<L: LabelId>(before: &Array3<L>, after: &Array3<L>) -> Vec<CleanedClass> {
    let mut pairs: BTreeMap<(L, L), u64> = BTreeMap::new();
    let (before, after) = (before.as_slice().unwrap_or(&[]), after.as_slice().unwrap_or(&[]));
    let mut at = 0;
    for run in before.chunk_by(|a, b| a == b) {
        for part in after[at..at + run.len()].chunk_by(|a, b| a == b) {
            *pairs.entry((run[0], part[0])).or_default() += part.len() as u64;
        }
        at += run.len();
    }
    let mut classes: BTreeMap<u32, CleanedClass> = BTreeMap::new();
    for ((a, b), n) in pairs {
        let mut count = |class: u32, add: &dyn Fn(&mut CleanedClass)| {
            if class != 0 {
                add(classes.entry(class).or_insert(CleanedClass { class, ..CleanedClass::default() }));
            }
        };
        count(a.into(), &|c| c.before += n);
        count(b.into(), &|c| c.after += n);
        if a != b {
            count(a.into(), &|c| c.lost += n);
            count(b.into(), &|c| c.gained += n);
        }
    }
    classes.into_values().collect()
}

/// The structuring element: a radius in the unit of the spacing.
#[derive(Debug, Clone, Copy)]
struct Ball {
    radius: f64,
    /// Distance of neighbouring voxels along z, y, x; across slices that are apart, further than any radius.
    spacing: [f64; 3],
    /// Whole voxels that it reaches along z, y, x.
    reach: [usize; 3],
}

/// Distance between slices that do not know each other.
const APART: f64 = 1.0e9;

impl Ball {
    fn new(voxel_um: Option<[f64; 3]>, params: &CleanParams) -> Result<Self, SegmentError> {
        let needed = params.radius_nm.is_some() || params.min_um3.is_some();
        if needed && voxel_um.is_none() {
            return Err(SegmentError::VoxelSize);
        }
        let (radius, mut spacing) = match (params.radius_nm, voxel_um) {
            (Some(nm), Some(um)) => (nm, um.map(|um| um * 1000.0)),
            _ => (params.radius, [1.0; 3]),
        };
        if !(0.0..=1.0e6).contains(&radius) {
            let range = "0 or more, and at most 1 000 000";
            return Err(SegmentError::Parameter { name: "radius", value: radius, range });
        }
        if let Some(axis) = params.plane.axis() {
            spacing[axis] = APART;
        }
        let reach = spacing.map(|step| (radius / step).ceil() as usize);
        Ok(Self { radius, spacing, reach })
    }

    /// A little more than the radius, so that whole distances count as within.
    fn limit(&self) -> f32 {
        (self.radius * (1.0 + 1e-6)) as f32
    }
}

struct Job<'a, L> {
    progress: &'a Progress,
    labels: &'a Array3<L>,
    params: &'a CleanParams,
    ball: Ball,
}

/// A box that may reach beyond the volume: its first index may be negative.
struct Frame {
    lo: [isize; 3],
    size: [usize; 3],
}

impl Frame {
    /// A box with a margin; clipped at the faces of the volume unless `beyond`.
    fn new(of: &ClassBox, margin: [usize; 3], shape: [usize; 3], beyond: bool) -> Self {
        let lo: [isize; 3] = std::array::from_fn(|a| {
            let lo = of.lo[a] as isize - margin[a] as isize;
            if beyond { lo } else { lo.max(0) }
        });
        let size = std::array::from_fn(|a| {
            let hi = of.hi[a] + margin[a];
            (if beyond { hi } else { hi.min(shape[a]) } as isize - lo[a]) as usize
        });
        Self { lo, size }
    }

    /// Position in the volume of a place in the box.
    fn place(&self, at: [usize; 3], shape: [usize; 3]) -> Option<[usize; 3]> {
        let mut out = [0; 3];
        for a in 0..3 {
            let i = self.lo[a] + at[a] as isize;
            if i < 0 || i as usize >= shape[a] {
                return None;
            }
            out[a] = i as usize;
        }
        Some(out)
    }
}

impl<L: LabelId + TryFrom<u32>> Job<'_, L> {
    fn shape(&self) -> [usize; 3] {
        let (z, y, x) = self.labels.dim();
        [z, y, x]
    }

    /// Whether each voxel of a box has the class; outside the volume none has.
    fn mask(&self, frame: &Frame, class: L) -> Array3<bool> {
        let shape = self.shape();
        Array3::from_shape_fn(frame.size, |(z, y, x)| {
            frame.place([z, y, x], shape).is_some_and(|at| self.labels[at] == class)
        })
    }

    fn distance(&self, mask: &Array3<bool>, to: bool) -> Result<Array3<f32>, Cancelled> {
        distance_to(self.progress, &mask.view(), |v| v == to, self.ball.spacing)
    }

    /// What each class wants on its own, with how far off it is; settled between them.
    fn by_classes(&self, classes: &[(L, ClassBox)]) -> Result<Array3<L>, SegmentError> {
        let mut out = self.labels.clone();
        let mut nearest = Array3::<f32>::from_elem(out.dim(), f32::INFINITY);
        let limit = self.ball.limit();
        for (class, class_box) in classes {
            self.progress.check()?;
            let margin = self.ball.reach.map(|r| r + 1);
            let closes = self.params.operation == CleanOperation::Close;
            let frame = Frame::new(class_box, margin, self.shape(), closes);
            let mask = self.mask(&frame, *class);
            // How far each voxel that the class keeps or gains is from it; infinite elsewhere.
            let wanted = match self.params.operation {
                CleanOperation::FillHoles => self.filled(&mask)?,
                CleanOperation::Shrink | CleanOperation::Open => {
                    let inner = self.distance(&mask, false)?.mapv(|d| d > limit);
                    let kept = if self.params.operation == CleanOperation::Open {
                        self.distance(&inner, true)?.mapv(|d| d <= limit)
                    } else {
                        inner
                    };
                    // Opening never adds, whatever the rounding of distances.
                    ndarray::Zip::from(&kept)
                        .and(&mask)
                        .map_collect(|k, m| if *k && *m { 0.0 } else { f32::INFINITY })
                }
                CleanOperation::Close => {
                    let near = self.distance(&mask, true)?;
                    let grown = near.mapv(|d| d <= limit);
                    let inner = self.distance(&grown, false)?;
                    ndarray::Zip::from(&near).and(&inner).map_collect(|near, inner| {
                        if *near == 0.0 || *inner > limit { *near } else { f32::INFINITY }
                    })
                }
                _ => self.distance(&mask, true)?.mapv(|d| if d <= limit { d } else { f32::INFINITY }),
            };
            self.settle(*class, &frame, &mask, &wanted, (&mut out, &mut nearest));
        }
        Ok(out)
    }

    /// Writes what a class gives up and gains.
    fn settle(
        &self,
        class: L,
        frame: &Frame,
        mask: &Array3<bool>,
        wanted: &Array3<f32>,
        (out, nearest): (&mut Array3<L>, &mut Array3<f32>),
    ) {
        let shape = self.shape();
        for (((z, y, x), had), d) in mask.indexed_iter().zip(wanted) {
            if *had == d.is_finite() {
                continue;
            }
            let Some(at) = frame.place([z, y, x], shape) else { continue };
            if *had {
                if out[at] == class {
                    out[at] = L::default();
                }
            } else if (self.labels[at] == L::default() || self.params.overwrite) && *d < nearest[at] {
                out[at] = class;
                nearest[at] = *d;
            }
        }
    }

    /// 0 on the class, the size of the hole on what it encloses, infinite elsewhere.
    fn filled(&self, mask: &Array3<bool>) -> Result<Array3<f32>, SegmentError> {
        let axis = self.params.plane.axis();
        let around = self.sliced(mask.dim(), |at| u32::from(!mask[at]));
        // What touches through edges of the class is apart: the class is connected by corners, its holes by faces.
        let found = numbered(self.progress, &around, Connectivity::Faces)?;
        let mut is_open = vec![false; found.len() + 1];
        let (nz, ny, nx) = mask.dim();
        let size = [nz, ny, nx];
        for face in (0..3).filter(|a| Some(*a) != axis) {
            for end in [0, size[face] - 1] {
                for id in found.map.index_axis(ndarray::Axis(face), end) {
                    is_open[*id as usize] = true;
                }
            }
        }
        Ok(found.map.mapv(|id| match id {
            0 => 0.0,
            id if is_open[id as usize] => f32::INFINITY,
            id => found.sizes[id as usize - 1] as f32,
        }))
    }

    /// An array of values of which neighbouring slices never agree, where slices are apart.
    fn sliced(&self, dim: (usize, usize, usize), value: impl Fn([usize; 3]) -> u32) -> Array3<u32> {
        let axis = self.params.plane.axis();
        Array3::from_shape_fn(dim, |(z, y, x)| {
            let at = [z, y, x];
            match value(at) {
                0 => 0,
                v => 2 * v + axis.map_or(0, |a| at[a] as u32 % 2),
            }
        })
    }

    /// Removes or reassigns whole objects.
    fn by_objects(
        &self,
        is_chosen: &impl Fn(L) -> bool,
        voxel_um: Option<[f64; 3]>,
    ) -> Result<Array3<L>, SegmentError> {
        let merges = self.params.operation == CleanOperation::MergeSmall;
        let connectivity = self.params.connectivity;
        // For merging, the neighbours must be known as objects too.
        let values = self.sliced(self.labels.dim(), |at| {
            let id = self.labels[at];
            if merges || is_chosen(id) { id.into() } else { 0 }
        });
        let found = numbered(self.progress, &values, connectivity)?;
        drop(values);
        let class_of = |k: usize| L::try_from(found.values[k] / 2).unwrap_or_default();
        let voxel_um3 = voxel_um.map_or(0.0, |[z, y, x]| z * y * x);
        let is_small = |k: usize| {
            let n = found.sizes[k];
            n < self.params.min_voxels || self.params.min_um3.is_some_and(|um3| (n as f64 * voxel_um3) < um3)
        };
        // New class of each object.
        let mut becomes: Vec<L> = (0..found.len()).map(class_of).collect();
        match self.params.operation {
            CleanOperation::KeepLargest => {
                let slices = self.slice_of(&found);
                let mut largest: BTreeMap<(L, usize), usize> = BTreeMap::new();
                for k in 0..found.len() {
                    let best = largest.entry((class_of(k), slices[k])).or_insert(k);
                    if found.sizes[k] > found.sizes[*best] {
                        *best = k;
                    }
                }
                for k in 0..found.len() {
                    if largest[&(class_of(k), slices[k])] != k {
                        becomes[k] = L::default();
                    }
                }
            }
            CleanOperation::MergeSmall => {
                let contacts = self.contacts(&found, |k| is_small(k) && is_chosen(class_of(k)))?;
                for (k, classes) in contacts {
                    // The largest contact; of equal ones the lowest id.
                    let best = classes.iter().max_by_key(|(class, n)| (**n, std::cmp::Reverse(**class)));
                    if let Some((class, _)) = best {
                        becomes[k] = *class;
                    }
                }
            }
            _ => (0..found.len()).filter(|k| is_small(*k)).for_each(|k| becomes[k] = L::default()),
        }
        let mut out = self.labels.clone();
        for (id, object) in out.iter_mut().zip(&found.map).filter(|(_, object)| **object != 0) {
            *id = becomes[*object as usize - 1];
        }
        Ok(out)
    }

    /// The slice that each object lies in, 0 in three dimensions.
    fn slice_of(&self, found: &Components<u32>) -> Vec<usize> {
        let mut slices = vec![0; found.len()];
        if let Some(axis) = self.params.plane.axis() {
            for ((z, y, x), id) in found.map.indexed_iter().filter(|(_, id)| **id != 0) {
                slices[*id as usize - 1] = [z, y, x][axis];
            }
        }
        slices
    }

    /// For every small object, faces shared with each class of objects that are not small.
    fn contacts(
        &self,
        found: &Components<u32>,
        is_small: impl Fn(usize) -> bool,
    ) -> Result<BTreeMap<usize, BTreeMap<L, u64>>, Cancelled> {
        let small: Vec<bool> = (0..found.len()).map(is_small).collect();
        let axis = self.params.plane.axis();
        let mut contacts: BTreeMap<usize, BTreeMap<L, u64>> = BTreeMap::new();
        for (z, slice) in found.map.outer_iter().enumerate() {
            self.progress.check()?;
            for ((y, x), id) in slice.indexed_iter().filter(|(_, id)| **id != 0) {
                let k = *id as usize - 1;
                if !small[k] {
                    continue;
                }
                for a in (0..3).filter(|a| Some(*a) != axis) {
                    for step in [-1isize, 1] {
                        let mut at = [z, y, x];
                        at[a] = at[a].wrapping_add_signed(step);
                        let other = found.map.get(at).map_or(0, |id| *id as usize);
                        if other != 0 && other - 1 != k && !small[other - 1] {
                            let class = L::try_from(found.values[other - 1] / 2).unwrap_or_default();
                            *contacts.entry(k).or_default().entry(class).or_default() += 1;
                        }
                    }
                }
            }
        }
        Ok(contacts)
    }

    /// The class whose blurred indicator is largest.
    fn smoothed(
        &self,
        boxes: &BTreeMap<L, ClassBox>,
        is_chosen: &impl Fn(L) -> bool,
    ) -> Result<Array3<L>, SegmentError> {
        let none = L::default();
        let axis = self.params.plane.axis();
        let sigma: [f32; 3] = std::array::from_fn(|a| {
            if Some(a) == axis { 0.0 } else { (self.ball.radius / self.ball.spacing[a]) as f32 }
        });
        let unlabelled = self.labels.mapv(|id| f32::from(u8::from(id == none)));
        let mut best = gaussian(self.progress, unlabelled.view(), sigma)?;
        drop(unlabelled);
        let overwrite = self.params.overwrite;
        // A class that is not chosen keeps its voxels, or competes for them where they may be taken.
        let mut out = self.labels.mapv(|id| if overwrite || is_chosen(id) { none } else { id });
        let margin = sigma.map(|sd| (TRUNCATE * sd).ceil() as usize + 1);
        for (class, class_box) in boxes.iter().filter(|(id, _)| overwrite || is_chosen(**id)) {
            self.progress.check()?;
            let frame = Frame::new(class_box, margin, self.shape(), false);
            let mask = self.mask(&frame, *class).mapv(|m| f32::from(u8::from(m)));
            let share = gaussian(self.progress, mask.view(), sigma)?;
            let range =
                |a: usize| -> Range<usize> { frame.lo[a] as usize..frame.lo[a] as usize + frame.size[a] };
            let window = s![range(0), range(1), range(2)];
            ndarray::Zip::from(out.slice_mut(window))
                .and(best.slice_mut(window))
                .and(self.labels.slice(window))
                .and(&share)
                .for_each(|out, best, was, share| {
                    let may = *was == *class || is_chosen(*class) && (*was == none || overwrite);
                    // Where it is even, a voxel keeps its class.
                    if may && (*share > *best || *share == *best && *was == *class) {
                        *out = *class;
                        *best = *share;
                    }
                });
        }
        // A class that is not chosen gives voxels to others, where asked, but to nothing it gives none.
        ndarray::Zip::from(&mut out).and(self.labels).for_each(|out, was| {
            if *out == none && *was != none && !is_chosen(*was) {
                *out = *was;
            }
        });
        Ok(out)
    }
}

fn numbered(
    progress: &Progress,
    values: &Array3<u32>,
    connectivity: Connectivity,
) -> Result<Components<u32>, SegmentError> {
    Ok(components(progress, &values.view(), connectivity)?)
}

#[cfg(test)]
#[path = "clean_tests.rs"]
mod tests;
