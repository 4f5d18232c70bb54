//! Objects that touch are parted: mitochondria, granules, droplets.
//!
//! - **distance**: the depth inside the class, by an exact distance transform, has a summit in every
//!   object; two objects are kept apart where the neck between them is narrower than a share of the
//!   smaller one (a watershed of the depth with shallow summits joined, see [`crate::kernels::flood`]).
//! - **intensity**: the same on the blurred values, for objects that absorb more (or less) in their middle.
//! - **shape**: parted at every neck by distance, then neighbours are put together again, best first, as long
//!   as both together fill the ellipsoid of their moments nearly as well as each alone: long and bent
//!   mitochondria stay whole, balls that touch do not.
//!
//! Classes never mix. Pieces below a size join the neighbour with the largest contact. Lengths follow
//! the voxel's edges.
//! Memory: 14 bytes a voxel.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use ndarray::{Array3, ArrayView3, s};
use serde::{Deserialize, Serialize};

use super::SegmentError;
use super::clean::{ClassBox, class_boxes};
use crate::base::{Cancelled, Progress};
use crate::kernels::distance::distance_to;
use crate::kernels::flood::{Basins, Pass, basins};
use crate::kernels::smooth::gaussian;
use crate::volume::{LabelId, Volume};

/// What tells objects apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitMethod {
    /// Necks of the class.
    #[default]
    Distance,
    /// Values of a volume.
    Intensity,
    /// Whether parts make one convex body.
    Shape,
}

/// Parameters of [`split`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitParams {
    /// What tells objects apart.
    pub method: SplitMethod,
    /// Only objects of this class, from 1; of every class where not given.
    pub class: Option<u32>,
    /// Widest neck that is cut, as a share of the smaller object's width (or of its height in value), 0 to 1.
    pub neck: f64,
    /// Standard deviation of the smoothing of the values, 0 to 20 voxels.
    pub smoothing_voxels: f64,
    /// Whether objects are darker in their middle.
    pub dark: bool,
    /// How much less well two parts may fill one ellipsoid and still be one object, 0 to 1.
    pub convexity: f64,
    /// Pieces of fewer voxels join a neighbour, 0 to 1 000 000 000.
    pub min_voxels: u64,
}

impl Default for SplitParams {
    fn default() -> Self {
        Self {
            method: SplitMethod::Distance,
            class: None,
            neck: 0.8,
            smoothing_voxels: 1.0,
            dark: false,
            convexity: 0.92,
            min_voxels: 8,
        }
    }
}

/// One object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SplitObject {
    /// Its id in the map.
    pub id: u32,
    /// Its class.
    pub class: u32,
    /// Voxels.
    pub voxels: u64,
}

/// What [`split`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Id of the object of each voxel, in scan order from 1; 0 outside.
    pub map: Array3<u32>,
    /// The objects by id.
    pub objects: Vec<SplitObject>,
}

/// Depth in voxels that a summit must have over its pass whatever the neck: the steps of a grid make that much.
const GRID_NOISE: f32 = 0.75;
/// Neck below which the shape method parts first.
const ANY_NECK: f64 = 0.95;

/// Parts touching objects of `labels`, shape (z, y, x), 0 unlabelled; `class_of` says for which class an id counts. Ids
/// never mix.
///
/// # Errors
/// Values that are missing, of another shape or no numbers (for the intensity method); cancel.
pub fn split<L: LabelId>(
    progress: &Progress,
    labels: &ArrayView3<'_, L>,
    class_of: impl Fn(L) -> u32,
    voxel_um: Option<[f64; 3]>,
    volume: Option<&Volume<f32>>,
    params: &SplitParams,
) -> Result<Split, SegmentError> {
    let (nz, ny, nx) = labels.dim();
    let shape = [nz, ny, nx];
    let groups: Array3<L> = match params.class {
        Some(class) => labels.mapv(|id| if class_of(id) == class { id } else { L::default() }),
        None => labels.as_standard_layout().into_owned(),
    };
    let um = voxel_um.unwrap_or([1.0; 3]);
    let smallest = um.iter().copied().fold(f64::INFINITY, f64::min);
    let spacing = um.map(|v| v / smallest);
    let boxes = class_boxes(progress, &groups)?;
    let heights = match params.method {
        SplitMethod::Intensity => intensity_heights(progress, volume, shape, params)?,
        _ => depth_heights(progress, &groups, &boxes, spacing)?,
    };
    let group_values = groups.as_slice().unwrap_or(&[]);
    let height_values = heights.as_slice().unwrap_or(&[]);
    let neck = if params.method == SplitMethod::Shape { params.neck.max(ANY_NECK) } else { params.neck };
    let found = if params.method == SplitMethod::Intensity {
        let floors = floors(&groups, &heights);
        // The share of the height over the class's rim that is lost between two summits.
        let is_shallow = |class: L, p: Pass| {
            let floor = floors.get(&class).copied().unwrap_or(p.pass);
            f64::from(p.pass - p.bottom) < (1.0 - neck) * f64::from(floor - p.bottom)
        };
        basins(progress, height_values, group_values, shape, is_shallow)?
    } else {
        // The border lies half a voxel before the first voxel outside.
        let width = |h: f32| f64::from(-h) - 0.5;
        let is_shallow =
            |_, p: Pass| p.pass - p.bottom < GRID_NOISE || width(p.pass) > neck * width(p.bottom);
        basins(progress, height_values, group_values, shape, is_shallow)?
    };
    drop(heights);
    let mut parts = Parts::new(progress, &found, group_values, shape, spacing)?;
    if params.method == SplitMethod::Shape {
        parts.join_convex(params.convexity);
    }
    parts.join_small(params.min_voxels);
    Ok(parts.finish(found, &groups, class_of))
}

/// Minus the depth of each voxel inside its class, in units of the smallest edge.
fn depth_heights<L: LabelId>(
    progress: &Progress,
    groups: &Array3<L>,
    boxes: &BTreeMap<L, ClassBox>,
    spacing: [f64; 3],
) -> Result<Array3<f32>, Cancelled> {
    let (nz, ny, nx) = groups.dim();
    let mut heights = Array3::<f32>::zeros((nz, ny, nx));
    for (class, own) in boxes {
        // One voxel around, so that what is outside the class is seen.
        let lo: [usize; 3] = std::array::from_fn(|a| own.lo[a].saturating_sub(1));
        let hi: [usize; 3] = std::array::from_fn(|a| (own.hi[a] + 1).min([nz, ny, nx][a]));
        let window = s![lo[0]..hi[0], lo[1]..hi[1], lo[2]..hi[2]];
        let part = groups.slice(window);
        let depth = distance_to(progress, &part, |id| id != *class, spacing)?;
        // A class that fills everything is nowhere narrow.
        let most = (nz + ny + nx) as f32;
        ndarray::Zip::from(heights.slice_mut(window)).and(&part).and(&depth).for_each(|h, id, d| {
            if id == class {
                *h = -d.min(most);
            }
        });
    }
    Ok(heights)
}

fn intensity_heights(
    progress: &Progress,
    volume: Option<&Volume<f32>>,
    shape: [usize; 3],
    params: &SplitParams,
) -> Result<Array3<f32>, SegmentError> {
    let volume = volume.ok_or(SegmentError::NoVolume)?;
    if volume.shape() != shape {
        let (expected, found) = (shape, volume.shape());
        return Err(SegmentError::ShapeMismatch { what: "the volume of values", expected, found });
    }
    let sigma = [params.smoothing_voxels as f32; 3];
    let mut smooth = gaussian(progress, volume.data.view(), sigma)?;
    if !params.dark {
        smooth.mapv_inplace(|v| -v);
    }
    Ok(smooth)
}

/// The height that the rim of each class has: nineteen of twenty of its voxels are lower.
fn floors<L: LabelId>(groups: &Array3<L>, heights: &Array3<f32>) -> BTreeMap<L, f32> {
    let mut own: BTreeMap<L, Vec<f32>> = BTreeMap::new();
    for (class, height) in
        groups.iter().zip(heights).filter(|(class, h)| **class != L::default() && h.is_finite())
    {
        own.entry(*class).or_default().push(*height);
    }
    own.into_iter()
        .map(|(class, mut list)| {
            let at = (list.len() * 19 / 20).min(list.len() - 1);
            let (_, floor, _) = list.select_nth_unstable_by(at, f32::total_cmp);
            (class, *floor)
        })
        .collect()
}

/// Volume, first and second moments of a part, in units of the smallest edge.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: f64,
    first: [f64; 3],
    /// zz, yy, xx, zy, zx, yx.
    second: [f64; 6],
}

impl Moments {
    fn add(&mut self, at: [f64; 3]) {
        let [z, y, x] = at;
        self.n += 1.0;
        (0..3).for_each(|a| self.first[a] += at[a]);
        for (sum, v) in self.second.iter_mut().zip([z * z, y * y, x * x, z * y, z * x, y * x]) {
            *sum += v;
        }
    }

    fn join(mut self, other: &Self) -> Self {
        self.n += other.n;
        (0..3).for_each(|a| self.first[a] += other.first[a]);
        (0..6).for_each(|a| self.second[a] += other.second[a]);
        self
    }

    /// Volume over that of the ellipsoid with the same moments: 1 for an ellipsoid, less for anything else.
    fn fill(&self, spacing: [f64; 3]) -> f64 {
        let m = self.first.map(|v| v / self.n);
        let [zz, yy, xx, zy, zx, yx] = self.second.map(|v| v / self.n);
        // A voxel is a box, not a point.
        let grain = spacing.map(|v| v * v / 12.0);
        let (a, b, c) =
            (zz - m[0] * m[0] + grain[0], yy - m[1] * m[1] + grain[1], xx - m[2] * m[2] + grain[2]);
        let (d, e, f) = (zy - m[0] * m[1], zx - m[0] * m[2], yx - m[1] * m[2]);
        let determinant = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e);
        let ellipsoid = 4.0 / 3.0 * std::f64::consts::PI * 5.0f64.powf(1.5) * determinant.max(0.0).sqrt();
        self.n * spacing.iter().product::<f64>() / ellipsoid.max(1e-12)
    }
}

/// Basins, whom they touch and what they become.
struct Parts {
    /// Union-find over basins 1 to n; index 0 is unused.
    parents: Vec<u32>,
    moments: Vec<Moments>,
    /// Of each, whom it touches and how many faces they share.
    contacts: Vec<BTreeMap<u32, u64>>,
    spacing: [f64; 3],
}

/// Two neighbours and how well they fill one ellipsoid; the best, of equal ones the first pair, is the greatest.
#[derive(Debug, PartialEq)]
struct Scored {
    score: f64,
    pair: (u32, u32),
    /// Voxels of each when it was scored: what grew since must be scored anew.
    sizes: (f64, f64),
}

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.pair.cmp(&self.pair))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Parts {
    fn new<L: LabelId>(
        progress: &Progress,
        found: &Basins,
        groups: &[L],
        [nz, ny, nx]: [usize; 3],
        spacing: [f64; 3],
    ) -> Result<Self, Cancelled> {
        let n = found.n as usize + 1;
        let mut parts = Self {
            parents: (0..n as u32).collect(),
            moments: vec![Moments::default(); n],
            contacts: vec![BTreeMap::new(); n],
            spacing,
        };
        for z in 0..nz {
            progress.check()?;
            for y in 0..ny {
                for x in 0..nx {
                    let i = (z * ny + y) * nx + x;
                    let id = found.ids[i];
                    if id == 0 {
                        continue;
                    }
                    let place = [z as f64 * spacing[0], y as f64 * spacing[1], x as f64 * spacing[2]];
                    parts.moments[id as usize].add(place);
                    let ahead = [(z + 1 < nz, ny * nx), (y + 1 < ny, nx), (x + 1 < nx, 1)];
                    for (_, step) in ahead.into_iter().filter(|(inside, _)| *inside) {
                        let other = found.ids[i + step];
                        if other != 0 && other != id && groups[i] == groups[i + step] {
                            *parts.contacts[id as usize].entry(other).or_default() += 1;
                            *parts.contacts[other as usize].entry(id).or_default() += 1;
                        }
                    }
                }
            }
        }
        Ok(parts)
    }

    fn root(&self, mut id: u32) -> u32 {
        while self.parents[id as usize] != id {
            id = self.parents[id as usize];
        }
        id
    }

    /// Joins two roots; the lower stays and is given back.
    fn unite(&mut self, a: u32, b: u32) -> u32 {
        let (a, b) = (a.min(b), a.max(b));
        self.parents[b as usize] = a;
        self.moments[a as usize] = self.moments[a as usize].join(&self.moments[b as usize]);
        self.contacts[a as usize].remove(&b);
        for (other, n) in std::mem::take(&mut self.contacts[b as usize]) {
            if other == a {
                continue;
            }
            self.contacts[other as usize].remove(&b);
            *self.contacts[other as usize].entry(a).or_default() += n;
            *self.contacts[a as usize].entry(other).or_default() += n;
        }
        a
    }

    /// How well two neighbours fill one ellipsoid, over how well each does alone.
    fn scored(&self, a: u32, b: u32) -> Scored {
        let (p, q) = (&self.moments[a as usize], &self.moments[b as usize]);
        let alone = (p.n * p.fill(self.spacing) + q.n * q.fill(self.spacing)) / (p.n + q.n);
        Scored { score: p.join(q).fill(self.spacing) / alone, pair: (a, b), sizes: (p.n, q.n) }
    }

    /// Puts neighbours together, best first, that fill one ellipsoid nearly as well as each alone.
    fn join_convex(&mut self, convexity: f64) {
        let all = (1u32..).zip(self.contacts.iter().skip(1));
        let pairs = all.flat_map(|(a, own)| own.keys().filter(move |b| a < **b).map(move |b| (a, *b)));
        let mut queue: BinaryHeap<Scored> = pairs.map(|(a, b)| self.scored(a, b)).collect();
        while let Some(Scored { score, pair: (a, b), sizes }) = queue.pop() {
            if score < convexity {
                return;
            }
            let is_now = |id: u32, n: f64| self.root(id) == id && self.moments[id as usize].n == n;
            if is_now(a, sizes.0) && is_now(b, sizes.1) {
                let root = self.unite(a, b);
                let others = self.contacts[root as usize].keys();
                let again: Vec<Scored> =
                    others.map(|other| self.scored(root.min(*other), root.max(*other))).collect();
                queue.extend(again);
            }
        }
    }

    /// Gives pieces that are too small to the neighbour with the largest contact, smallest pieces first.
    fn join_small(&mut self, min_voxels: u64) {
        let size = |parts: &Self, id: u32| parts.moments[id as usize].n as u64;
        let roots = (1..self.parents.len() as u32).filter(|id| self.parents[*id as usize] == *id);
        let mut small: BTreeSet<(u64, u32)> =
            roots.map(|id| (size(self, id), id)).filter(|(n, _)| *n < min_voxels).collect();
        while let Some((_, id)) = small.pop_first() {
            // Of equal contacts the pair with the lowest ids; what touches nothing stays as it is.
            let key = |other: u32, n: u64| (n, std::cmp::Reverse((id.min(other), id.max(other))));
            let own = &self.contacts[id as usize];
            let Some((other, _)) = own.iter().max_by_key(|(other, n)| key(**other, **n)) else { continue };
            let other = *other;
            small.remove(&(size(self, other), other));
            let root = self.unite(id, other);
            if size(self, root) < min_voxels {
                small.insert((size(self, root), root));
            }
        }
    }

    fn finish<L: LabelId>(self, found: Basins, groups: &Array3<L>, class_of: impl Fn(L) -> u32) -> Split {
        let mut numbers = vec![0u32; self.parents.len()];
        let mut objects: Vec<SplitObject> = Vec::new();
        let mut ids = found.ids;
        for (id, class) in ids.iter_mut().zip(groups).filter(|(id, _)| **id != 0) {
            let root = self.root(*id) as usize;
            if numbers[root] == 0 {
                numbers[root] = objects.len() as u32 + 1;
                objects.push(SplitObject { id: numbers[root], class: class_of(*class), voxels: 0 });
            }
            *id = numbers[root];
            objects[numbers[root] as usize - 1].voxels += 1;
        }
        let map = Array3::from_shape_vec(groups.dim(), ids).unwrap_or_else(|_| Array3::zeros(groups.dim()));
        Split { map, objects }
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
