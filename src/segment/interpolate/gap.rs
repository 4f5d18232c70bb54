//! One gap between two painted slices: the parts in them are matched and what lies between is filled.

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis, Ix2, SliceInfo, SliceInfoElem, s};
use rayon::prelude::*;

use super::parts::{Part, groups, parts};
use crate::base::{Cancelled, Progress};
use crate::kernels::distance::distance_to;

/// Slices between two painted ones, and the painted ones that tell how the outline curves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    /// Axis that the slices are stacked along.
    pub(super) axis: usize,
    /// Painted slice before the gap.
    pub(super) from: usize,
    /// Painted slice behind the gap.
    pub(super) to: usize,
    /// Slices that are filled, half open: those between, or some beyond one end.
    pub(super) fill: (usize, usize),
    /// A painted slice further before, about as far off as the gap is wide.
    pub(super) before: Option<usize>,
    /// A painted slice further behind.
    pub(super) behind: Option<usize>,
}

/// The gaps of at most `max` slices between painted slices.
pub(super) fn gaps(axis: usize, painted: &[usize], max: usize) -> Vec<Gap> {
    let wide = painted.windows(2).filter(|pair| pair[1] - pair[0] > 1 && pair[1] - pair[0] - 1 <= max);
    wide.map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        let width = to - from;
        // Too near it would only repeat the slice, too far it says nothing of this gap.
        let nearest = |fits: &dyn Fn(usize) -> Option<usize>| {
            let known = painted.iter().filter_map(|k| fits(*k).map(|d| (*k, d)));
            let near = known.filter(|(_, d)| 2 * d >= width && *d <= 2 * width);
            near.min_by_key(|(_, d)| d.abs_diff(width)).map(|(k, _)| k)
        };
        Gap {
            axis,
            from,
            to,
            fill: (from + 1, to),
            before: nearest(&|k| from.checked_sub(k).filter(|d| *d > 0)),
            behind: nearest(&|k| k.checked_sub(to).filter(|d| *d > 0)),
        }
    })
    .collect()
}

/// What lies beyond the first and the last of `painted`, as far as the next step of painting, within `n` slices.
pub(super) fn ends(axis: usize, painted: &[usize], n: usize, max: usize) -> Vec<Gap> {
    let mut found = Vec::new();
    let step = |a: usize, b: usize| Some(b - a).filter(|step| *step > 1 && *step - 1 <= max);
    if let [first, second, rest @ ..] = painted
        && let Some(step) = step(*first, *second)
    {
        let behind = rest.first().copied().filter(|k| k - second <= 2 * step);
        let fill = ((first + 1).saturating_sub(step), *first);
        found.push(Gap { axis, from: *first, to: *second, fill, before: None, behind });
    }
    if let [rest @ .., second, last] = painted
        && let Some(step) = step(*second, *last)
    {
        let before = rest.last().copied().filter(|k| second - k <= 2 * step);
        let fill = (last + 1, (last + step).min(n));
        found.push(Gap { axis, from: *second, to: *last, fill, before, behind: None });
    }
    found.retain(|gap| gap.fill.0 < gap.fill.1);
    found
}

/// Voxel (z, y, x) of a place in slice `k` across an axis.
pub(super) fn place(axis: usize, k: usize, [u, v]: [usize; 2]) -> [usize; 3] {
    match axis {
        0 => [k, u, v],
        1 => [u, k, v],
        _ => [u, v, k],
    }
}

/// The slices around a gap, cut to the box of a class.
pub(super) struct Slices<'a> {
    labels: &'a ArrayView3<'a, u16>,
    gap: Gap,
    /// Distances of neighbouring voxels within the slice, and of neighbouring slices.
    steps: [f64; 2],
    step: f64,
    /// First voxel and size of the box within the slice.
    origin: [usize; 2],
    size: [usize; 2],
}

impl<'a> Slices<'a> {
    pub(super) fn new(
        labels: &'a ArrayView3<'a, u16>,
        gap: &Gap,
        spacing: [f64; 3],
        (lo, hi): ([usize; 3], [usize; 3]),
    ) -> Self {
        let [a, b] = match gap.axis {
            0 => [1, 2],
            1 => [0, 2],
            _ => [0, 1],
        };
        Self {
            labels,
            gap: *gap,
            steps: [spacing[a], spacing[b]],
            step: spacing[gap.axis],
            origin: [lo[a], lo[b]],
            size: [hi[a] - lo[a], hi[b] - lo[b]],
        }
    }

    pub(super) fn origin(&self) -> [usize; 2] {
        self.origin
    }

    /// The box within the box of a class: all of it.
    pub(super) fn window(&self) -> SliceInfo<[SliceInfoElem; 2], Ix2, Ix2> {
        s![0..self.size[0], 0..self.size[1]]
    }

    fn mask(&self, k: usize, is_class: &impl Fn(u16) -> bool) -> Array2<bool> {
        let slice: ArrayView2<'_, u16> = self.labels.index_axis(Axis(self.gap.axis), k);
        let [[u, v], [h, w]] = [self.origin, self.size];
        slice.slice(s![u..u + h, v..v + w]).mapv(is_class)
    }

    /// Signed distances to a class in the two painted slices, negative inside.
    pub(super) fn distances(&self, progress: &Progress, class: u16) -> Result<[Array2<f32>; 2], Cancelled> {
        let of = |k| signed_distance(progress, &self.mask(k, &|id| id == class), self.steps);
        Ok([of(self.gap.from)?, of(self.gap.to)?])
    }

    /// Depth in every slice of the gap, about in voxels, negative inside.
    pub(super) fn fill(
        &self,
        progress: &Progress,
        is_class: impl Fn(u16) -> bool,
    ) -> Result<Vec<Array2<f32>>, Cancelled> {
        let Gap { from, to, before, behind, .. } = self.gap;
        let known = [before, Some(from), Some(to), behind];
        let parts: [Vec<Part>; 4] =
            known.map(|k| k.map_or_else(Vec::new, |k| parts(&self.mask(k, &is_class), self.steps)));
        let reach = (to - from) as f64 * self.step;
        let mut fillings = Vec::new();
        for (a, b) in groups(&parts[1], &parts[2], reach) {
            progress.check()?;
            let here: Vec<&Part> = a.iter().map(|i| &parts[1][*i]).collect();
            let there: Vec<&Part> = b.iter().map(|i| &parts[2][*i]).collect();
            let touching = |others: &'_ [Part], own: &[&Part]| -> Vec<usize> {
                (0..others.len()).filter(|i| own.iter().any(|part| part.overlaps(&others[*i]))).collect()
            };
            let earlier = touching(&parts[0], &here);
            let later = touching(&parts[3], &there);
            let chain: [Vec<&Part>; 4] = [
                earlier.iter().map(|i| &parts[0][*i]).collect(),
                here,
                there,
                later.iter().map(|i| &parts[3][*i]).collect(),
            ];
            fillings.push(Filling::new(progress, self, &chain)?);
        }
        let (first, end) = self.gap.fill;
        (first..end)
            .into_par_iter()
            .map(|k| {
                progress.check()?;
                let mut depth = Array2::from_elem(self.size, f32::INFINITY);
                fillings.iter().for_each(|filling| filling.draw(k, &mut depth));
                Ok(depth)
            })
            .collect()
    }
}

/// Signed distance in 2D, negative inside, zero half way between voxels.
fn signed_distance(
    progress: &Progress,
    mask: &Array2<bool>,
    steps: [f64; 2],
) -> Result<Array2<f32>, Cancelled> {
    let array = Array3::from_shape_fn((1, mask.dim().0, mask.dim().1), |(_, u, v)| mask[[u, v]]);
    let spacing = [1.0, steps[0], steps[1]];
    let to_class = distance_to(progress, &array.view(), |m| m, spacing)?;
    let to_rest = distance_to(progress, &array.view(), |m| !m, spacing)?;
    let half = (0.25 * (steps[0] + steps[1])) as f32;
    // Where one of the two is nowhere, it is a box away.
    let most = (mask.dim().0 + mask.dim().1) as f32 * (steps[0].max(steps[1])) as f32;
    Ok(Array2::from_shape_fn(mask.dim(), |(u, v)| {
        let (a, b) = (to_class[[0, u, v]].min(most), to_rest[[0, u, v]].min(most));
        if a > 0.0 { a - half } else { half - b }
    }))
}

/// What is interpolated of one part: `s (2 R + s)` on a box of its own.
struct Shape {
    field: Array2<f32>,
    depth: f32,
    middle: [f64; 2],
}

impl Shape {
    /// The field at a place of the box in fractions of a voxel, between voxels by straight lines.
    fn at(&self, u: f64, v: f64) -> f32 {
        let (h, w) = self.field.dim();
        let (u, v) = (u.clamp(0.0, (h - 1) as f64), v.clamp(0.0, (w - 1) as f64));
        let (i, j) = ((u as usize).min(h.saturating_sub(2)), (v as usize).min(w.saturating_sub(2)));
        let (fu, fv) = ((u - i as f64) as f32, (v - j as f64) as f32);
        let (i1, j1) = ((i + 1).min(h - 1), (j + 1).min(w - 1));
        let f = &self.field;
        let low = f[[i, j]] + (f[[i, j1]] - f[[i, j]]) * fv;
        let high = f[[i1, j]] + (f[[i1, j1]] - f[[i1, j]]) * fv;
        low + (high - low) * fu
    }
}

/// Matched parts of up to four slices, ready to be drawn at any height between.
struct Filling {
    /// Position of each slice along the axis, and its shape.
    shapes: Vec<(f64, Shape)>,
    /// Which of them bound the gap.
    bounds: [usize; 2],
    /// Whether parts are moved onto each other.
    moves: bool,
    /// First voxel of the box of the fields, within the box of the class.
    lo: [isize; 2],
    size: [usize; 2],
    /// Distance of neighbouring slices.
    step: f64,
}

/// A part of less than this share of its partner's area is the tip of the body.
const TIP: f64 = 0.05;

/// Times the curvature of a ball that a cubic may add.
const CURVATURE: f64 = 4.0;

impl Filling {
    fn new(progress: &Progress, slices: &Slices<'_>, chain: &[Vec<&Part>; 4]) -> Result<Self, Cancelled> {
        let Gap { from, to, before, behind, .. } = slices.gap;
        let middles = chain.each_ref().map(|parts| middle_of(parts));
        let moved: [f64; 2] = std::array::from_fn(|a| middles[2][a] - middles[1][a]);
        let plain = shared(&chain[1], &chain[2], [0.0; 2]);
        let moves = shared(&chain[1], &chain[2], moved) > plain;
        let width = ((to - from) as f64 * slices.step / slices.steps[0].min(slices.steps[1])).ceil() as isize;
        let margin = width + 3;
        let all = || chain[1].iter().chain(&chain[2]);
        let lo: [isize; 2] =
            std::array::from_fn(|a| all().map(|p| p.lo[a]).min().unwrap_or(0) as isize - margin);
        let hi: [isize; 2] =
            std::array::from_fn(|a| all().map(|p| p.hi[a]).max().unwrap_or(0) as isize + margin);
        let size: [usize; 2] = std::array::from_fn(|a| (hi[a] - lo[a]) as usize);
        let mut shapes = Vec::new();
        let mut bounds = [0; 2];
        for (i, (parts, k)) in chain.iter().zip([before, Some(from), Some(to), behind]).enumerate() {
            let Some(k) = k.filter(|_| !parts.is_empty()) else { continue };
            if i == 1 || i == 2 {
                bounds[i - 1] = shapes.len();
            }
            let mut mask = Array2::from_elem(size, false);
            for [u, v] in parts.iter().flat_map(|part| &part.voxels) {
                let at = [*u as isize - lo[0], *v as isize - lo[1]];
                if (0..2).all(|a| at[a] >= 0 && (at[a] as usize) < size[a]) {
                    mask[[at[0] as usize, at[1] as usize]] = true;
                }
            }
            let signed = signed_distance(progress, &mask, slices.steps)?;
            let depth = -signed.iter().copied().fold(0.0f32, f32::min);
            let field = signed.mapv(|s| s * (2.0 * depth + s));
            shapes.push((k as f64, Shape { field, depth, middle: middles[i] }));
        }
        // A tip says where the body ends, its partner in which shape: that shrunk to its own middle line.
        let area = |i: usize| chain[i].iter().map(|part| part.voxels.len() as f64).sum::<f64>();
        for (tip, partner) in [(0, 1), (1, 0)] {
            if area(1 + tip) < TIP * area(1 + partner) {
                let Shape { field, depth, middle } = &shapes[bounds[partner]].1;
                let field = field.mapv(|f| f + depth * depth);
                shapes[bounds[tip]].1 = Shape { field, depth: 0.5, middle: *middle };
            }
        }
        Ok(Self { shapes, bounds, moves, lo, size, step: slices.step })
    }

    /// Draws the depth at height `k` where it is less than what is there.
    fn draw(&self, k: usize, depth: &mut Array2<f32>) {
        let z = k as f64;
        let [(z0, from), (z1, to)] = self.bounds.map(|i| (self.shapes[i].0, &self.shapes[i].1));
        let t = (z - z0) / (z1 - z0);
        let middle: [f64; 2] = std::array::from_fn(|a| (1.0 - t) * from.middle[a] + t * to.middle[a]);
        // Weights of the polynomial through all slices.
        let weights: Vec<f64> = (0..self.shapes.len())
            .map(|i| {
                let others = self.shapes.iter().enumerate().filter(|(j, _)| *j != i);
                others.map(|(_, (zj, _))| (z - zj) / (self.shapes[i].0 - zj)).product()
            })
            .collect();
        let limit = (CURVATURE * (z - z0) * (z1 - z) * self.step * self.step) as f32;
        // Beyond the ends the outline may only shrink, at least as that of a ball does.
        let outer = if z < z0 { Some(from) } else { Some(to).filter(|_| z > z1) };
        let s = t.clamp(0.0, 1.0) as f32;
        let thick = 2.0 * ((1.0 - s) * from.depth + s * to.depth).max(0.5);
        let (h, w) = depth.dim();
        for u in 0..self.size[0] {
            let row = self.lo[0] + u as isize;
            if row < 0 || row as usize >= h {
                continue;
            }
            for v in 0..self.size[1] {
                let column = self.lo[1] + v as isize;
                if column < 0 || column as usize >= w {
                    continue;
                }
                let value = |shape: &Shape| {
                    let shift: [f64; 2] = if self.moves {
                        std::array::from_fn(|a| shape.middle[a] - middle[a])
                    } else {
                        [0.0; 2]
                    };
                    shape.at(u as f64 + shift[0], v as f64 + shift[1])
                };
                let straight = (1.0 - t) as f32 * value(from) + t as f32 * value(to);
                let mut field = straight;
                if let Some(outer) = outer {
                    let ball = -limit / CURVATURE as f32;
                    field = if self.shapes.len() > 2 {
                        let curved: f64 =
                            self.shapes.iter().zip(&weights).map(|((_, s), w)| w * f64::from(value(s))).sum();
                        straight + (curved as f32 - straight).clamp(0.0, -limit)
                    } else {
                        straight + ball
                    };
                    field = field.max(value(outer));
                } else if self.shapes.len() > 2 && straight.abs() < 4.0 * limit + thick {
                    let curved: f64 =
                        self.shapes.iter().zip(&weights).map(|((_, s), w)| w * f64::from(value(s))).sum();
                    field += (curved as f32 - straight).clamp(-limit, limit);
                }
                let old = &mut depth[[row as usize, column as usize]];
                *old = old.min(field / thick);
            }
        }
    }
}

/// Middle of all voxels of some parts.
fn middle_of(parts: &[&Part]) -> [f64; 2] {
    let n: f64 = parts.iter().map(|part| part.voxels.len() as f64).sum();
    std::array::from_fn(|a| {
        parts.iter().flat_map(|part| &part.voxels).map(|at| at[a] as f64).sum::<f64>() / n.max(1.0)
    })
}

/// How many voxels of some parts lie in others, moved.
fn shared(here: &[&Part], there: &[&Part], moved: [f64; 2]) -> usize {
    let moved = moved.map(|d| d.round() as isize);
    let there: std::collections::BTreeSet<[usize; 2]> =
        there.iter().flat_map(|part| part.voxels.iter().copied()).collect();
    let target =
        |at: &[usize; 2]| -> [usize; 2] { std::array::from_fn(|a| at[a].wrapping_add_signed(moved[a])) };
    here.iter().flat_map(|part| &part.voxels).filter(|at| there.contains(&target(at))).count()
}
