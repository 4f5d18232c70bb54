//! The supervoxel brush: paints the whole regions that a stroke touches.

use std::collections::{BTreeSet, HashSet};

use ndarray::ArrayView3;

use crate::volume::labels::BrickDelta;
use crate::volume::{Labels, Volume};

use super::brush::{Brush, BrushShape, Capsule};
use super::plane::Slice;

/// Paints every region that the stroke touches: with a ball the whole region, with a disc its part in the slice.
///
/// `regions` has one id per voxel (z, y, x) on the grid of the labels; 0 is no region. Where `group_of` is given,
/// regions `r` and `s` count as one where `group_of[r - 1] == group_of[s - 1]`: megavoxels. Positions are
/// fractional voxel indices. Returns the bricks that changed as they were; nothing is painted where the
/// shapes differ.
pub fn paint_regions(
    labels: &mut Labels,
    volume: Option<&Volume<f32>>,
    regions: ArrayView3<'_, u32>,
    group_of: Option<&[u32]>,
    from_zyx: [f64; 3],
    to_zyx: [f64; 3],
    brush: &Brush,
) -> BrickDelta {
    let shape = labels.shape();
    if regions.shape() != shape || !brush.limits.allow(brush.class) {
        return BrickDelta::new();
    }
    let Some((capsule, lo, hi)) = Capsule::new(shape, from_zyx, to_zyx, brush) else {
        return BrickDelta::new();
    };
    let mut touched = BTreeSet::new();
    let mut seeds = Vec::new();
    for z in lo[0]..hi[0] {
        for y in lo[1]..hi[1] {
            for x in capsule.row(z, y) {
                if let Some(id) = group(regions[[z, y, x]], group_of) {
                    touched.insert(id);
                    seeds.push([z, y, x]);
                }
            }
        }
    }
    let slice = (brush.shape == BrushShape::Disc).then(|| brush.plane.slice(to_zyx, 0));
    let inside = |id: u32| group(id, group_of).is_some_and(|id| touched.contains(&id));
    let reached = Reached::from(&regions, seeds, inside, slice);
    let (lo, hi) = reached.bounds;
    let mut guard = brush.limits.guard(brush.class, volume);
    labels.update_box(lo, hi, |zyx, old| if reached.has(zyx) { guard.painted(zyx, old) } else { old })
}

/// The group of a region; `None` for 0, which is no region.
fn group(id: u32, group_of: Option<&[u32]>) -> Option<u32> {
    let place = id.checked_sub(1)?;
    group_of.map_or(Some(place), |groups| groups.get(place as usize).copied())
}

/// Voxels of regions that hang together with seeds.
struct Reached {
    shape: [usize; 3],
    /// Positions in array order; only asked whether a voxel is among them, so their order does not matter.
    voxels: HashSet<usize>,
    /// The box around them, half open; empty where there are none.
    bounds: ([usize; 3], [usize; 3]),
}

impl Reached {
    /// Spreads from the seeds over the touched regions, within a slice where there is one.
    fn from(
        regions: &ArrayView3<'_, u32>,
        mut open: Vec<[usize; 3]>,
        inside: impl Fn(u32) -> bool,
        slice: Option<Slice>,
    ) -> Self {
        let (nz, ny, nx) = regions.dim();
        let mut reached =
            Self { shape: [nz, ny, nx], voxels: HashSet::new(), bounds: ([usize::MAX; 3], [0; 3]) };
        open.retain(|at| reached.add(*at));
        while let Some(at) = open.pop() {
            for axis in 0..3 {
                for step in [-1isize, 1] {
                    let mut next = at;
                    let Some(place) = at[axis].checked_add_signed(step) else { continue };
                    next[axis] = place;
                    let is_in = slice.is_none_or(|slice| slice.has(next));
                    if is_in && regions.get(next).is_some_and(|id| inside(*id)) && reached.add(next) {
                        open.push(next);
                    }
                }
            }
        }
        reached
    }

    /// Takes a voxel in; false where it was in already.
    fn add(&mut self, zyx: [usize; 3]) -> bool {
        let new = self.voxels.insert(self.position(zyx));
        for (a, at) in zyx.into_iter().enumerate() {
            self.bounds.0[a] = self.bounds.0[a].min(at);
            self.bounds.1[a] = self.bounds.1[a].max(at + 1);
        }
        new
    }

    fn has(&self, zyx: [usize; 3]) -> bool {
        self.voxels.contains(&self.position(zyx))
    }

    fn position(&self, [z, y, x]: [usize; 3]) -> usize {
        (z * self.shape[1] + y) * self.shape[2] + x
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::*;
    use ndarray::Array3;

    /// Regions of 4³ voxels, ids from 1; the first column of blocks belongs to none.
    fn blocks() -> Array3<u32> {
        Array3::from_shape_fn((12, 12, 16), |(z, y, x)| {
            if x < 4 { 0 } else { 1 + ((z / 4) * 9 + (y / 4) * 3 + x / 4 - 1) as u32 }
        })
    }

    #[test]
    fn a_touched_region_is_painted_whole_and_a_disc_stays_in_its_slice() {
        let regions = blocks();
        let at = [5.0, 5.0, 9.0];
        let brush = Brush { shape: BrushShape::Ball, radius_voxels: 0.0, ..Brush::default() };
        let mut labels = Labels::new([12, 12, 16]);
        let delta = paint_regions(&mut labels, None, regions.view(), None, at, at, &brush);
        assert_eq!(labels.to_dense().iter().filter(|id| **id == 1).count(), 64);
        labels.swap_bricks(delta);
        assert!(labels.is_empty());
        let disc = Brush { shape: BrushShape::Disc, ..brush.clone() };
        paint_regions(&mut labels, None, regions.view(), None, at, [5.0, 5.0, 13.0], &disc);
        let dense = labels.to_dense();
        assert_eq!(dense.iter().filter(|id| **id == 1).count(), 32);
        assert!(dense.indexed_iter().all(|((z, ..), id)| *id == 0 || z == 5));
    }

    #[test]
    fn joined_regions_are_painted_together() {
        let regions = blocks();
        let at = [5.0, 5.0, 9.0];
        let brush = Brush { shape: BrushShape::Ball, radius_voxels: 0.0, ..Brush::default() };
        let mut labels = Labels::new([12, 12, 16]);
        // Blocks in pairs along x: 0 and 1, 3 and 4, and so on; the third of a row stays alone.
        let groups: Vec<u32> = (0..27).map(|r| if r % 3 == 1 { r - 1 } else { r }).collect();
        paint_regions(&mut labels, None, regions.view(), Some(&groups), at, at, &brush);
        assert_eq!(labels.to_dense().iter().filter(|id| **id == 1).count(), 128);
    }

    #[test]
    fn no_region_other_shapes_and_locked_classes_paint_nothing() {
        let regions = blocks();
        let mut labels = Labels::new([12, 12, 16]);
        let brush = Brush { radius_voxels: 1.0, ..Brush::default() };
        let at = [5.0, 5.0, 1.0];
        assert!(paint_regions(&mut labels, None, regions.view(), None, at, at, &brush).is_empty());
        let mut small = Labels::new([3, 3, 3]);
        assert!(paint_regions(&mut small, None, regions.view(), None, at, at, &brush).is_empty());
        let locked = Brush { limits: Limits { locked: vec![1], ..Limits::default() }, ..brush };
        assert!(
            paint_regions(&mut labels, None, regions.view(), None, [5.0; 3], [5.0; 3], &locked).is_empty()
        );
    }
}
