//! Label volumes as sparse bricks: class ids (u16) that cost memory only where something is painted.
//!
//! A volume is cut into bricks of 32³ voxels. A brick is either one value throughout or its own
//! array. Bricks are shared by reference count, so a snapshot of the whole is cheap, and an undo
//! step keeps just the bricks that it replaced.

use std::ops::Range;
use std::sync::Arc;

use ndarray::Array3;
use rayon::prelude::*;

/// Edge of a brick in voxels.
pub const BRICK: usize = 32;
/// Voxels in a brick.
pub const BRICK_LEN: usize = BRICK * BRICK * BRICK;

/// One brick: a single value, or 32³ values with x fastest. Voxels beyond the volume are 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Brick {
    /// Every voxel has this id.
    Uniform(u16),
    /// Ids, x fastest, [`BRICK_LEN`] of them.
    Dense(Arc<[u16]>),
}

impl Brick {
    /// Id at a place within the brick.
    pub fn get(&self, offset: usize) -> u16 {
        match self {
            Self::Uniform(id) => *id,
            Self::Dense(ids) => ids[offset],
        }
    }

    /// The ids for writing; a shared or uniform brick becomes its own array first.
    fn ids_mut(&mut self) -> &mut [u16] {
        if let Self::Uniform(id) = self {
            *self = Self::Dense(vec![*id; BRICK_LEN].into());
        }
        match self {
            Self::Dense(ids) => Arc::make_mut(ids),
            Self::Uniform(_) => &mut [],
        }
    }

    /// A brick of these ids, [`BRICK_LEN`] of them, x fastest; uniform where all are alike.
    ///
    /// # Panics
    /// If there are more or fewer.
    pub fn of_ids(ids: Vec<u16>) -> Self {
        assert_eq!(ids.len(), BRICK_LEN, "a brick has 32³ voxels");
        let first = ids[0];
        if ids.iter().all(|id| *id == first) { Self::Uniform(first) } else { Self::Dense(ids.into()) }
    }

    /// A copy of all ids, x fastest.
    pub fn to_ids(&self) -> Vec<u16> {
        match self {
            Self::Uniform(id) => vec![*id; BRICK_LEN],
            Self::Dense(ids) => ids.to_vec(),
        }
    }

    /// Bytes held beyond the enum itself.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Uniform(_) => 0,
            Self::Dense(_) => BRICK_LEN * 2,
        }
    }
}

/// A sparse label volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    shape: [usize; 3],
    bricks: Vec<Brick>,
}

/// The bricks that an edit replaced: put back with [`Labels::swap_bricks`], which returns the inverse.
pub type BrickDelta = Vec<(u32, Brick)>;

impl Labels {
    /// An unlabelled volume of this shape (z, y, x).
    pub fn new(shape: [usize; 3]) -> Self {
        let n = shape.iter().map(|n| n.div_ceil(BRICK)).product();
        Self { shape, bricks: vec![Brick::Uniform(0); n] }
    }

    /// Shape as z, y, x.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of bricks along z, y, x.
    pub fn bricks_zyx(&self) -> [usize; 3] {
        self.shape.map(|n| n.div_ceil(BRICK))
    }

    /// Brick by its position in the list (z slowest, x fastest).
    pub fn brick(&self, index: usize) -> &Brick {
        &self.bricks[index]
    }

    /// Number of bricks.
    pub fn n_bricks(&self) -> usize {
        self.bricks.len()
    }

    /// First voxel (z, y, x) of a brick.
    pub fn brick_origin(&self, index: usize) -> [usize; 3] {
        let [_, ny, nx] = self.bricks_zyx();
        [index / (ny * nx) * BRICK, index / nx % ny * BRICK, index % nx * BRICK]
    }

    fn locate(&self, [z, y, x]: [usize; 3]) -> (usize, usize) {
        let [_, ny, nx] = self.bricks_zyx();
        let brick = (z / BRICK * ny + y / BRICK) * nx + x / BRICK;
        (brick, ((z % BRICK) * BRICK + y % BRICK) * BRICK + x % BRICK)
    }

    /// Id at a voxel; 0 outside the volume.
    pub fn get(&self, zyx: [usize; 3]) -> u16 {
        if zyx.iter().zip(self.shape).any(|(i, n)| *i >= n) {
            return 0;
        }
        let (brick, offset) = self.locate(zyx);
        self.bricks[brick].get(offset)
    }

    /// Sets one voxel; outside the volume nothing happens. Returns the position of the brick that changed.
    pub fn set(&mut self, zyx: [usize; 3], id: u16) -> Option<usize> {
        if zyx.iter().zip(self.shape).any(|(i, n)| *i >= n) {
            return None;
        }
        let (brick, offset) = self.locate(zyx);
        if self.bricks[brick].get(offset) == id {
            return None;
        }
        self.bricks[brick].ids_mut()[offset] = id;
        Some(brick)
    }

    /// Sets every voxel of the box `lo..hi` (z, y, x) to what `id_at(zyx, old)` returns; gives back the bricks as they were.
    ///
    /// Only bricks that change are in the result, in order. Rows are visited z, then y, then x within a brick.
    pub fn update_box(
        &mut self,
        lo: [usize; 3],
        hi: [usize; 3],
        id_at: impl FnMut([usize; 3], u16) -> u16,
    ) -> BrickDelta {
        self.update_spans(lo, hi, |_, _| lo[2]..hi[2], id_at)
    }

    /// As [`Labels::update_box`], but of each row (z, y) only the part that `span_of(z, y)` names: what a round brush needs.
    ///
    /// A brick that ends up with one id throughout is stored as such.
    pub fn update_spans(
        &mut self,
        lo: [usize; 3],
        hi: [usize; 3],
        mut span_of: impl FnMut(usize, usize) -> Range<usize>,
        mut id_at: impl FnMut([usize; 3], u16) -> u16,
    ) -> BrickDelta {
        let hi = [hi[0].min(self.shape[0]), hi[1].min(self.shape[1]), hi[2].min(self.shape[2])];
        let mut before = BrickDelta::new();
        if (0..3).any(|a| lo[a] >= hi[a]) {
            return before;
        }
        let [_, ny, nx] = self.bricks_zyx();
        let range = |axis: usize, b: usize| lo[axis].max(b * BRICK)..hi[axis].min((b + 1) * BRICK);
        for bz in lo[0] / BRICK..=(hi[0] - 1) / BRICK {
            for by in lo[1] / BRICK..=(hi[1] - 1) / BRICK {
                for bx in lo[2] / BRICK..=(hi[2] - 1) / BRICK {
                    let index = (bz * ny + by) * nx + bx;
                    let old = &self.bricks[index];
                    let columns = range(2, bx);
                    let mut new: Option<Vec<u16>> = None;
                    for z in range(0, bz) {
                        for y in range(1, by) {
                            let span = span_of(z, y);
                            let row = ((z % BRICK) * BRICK + y % BRICK) * BRICK;
                            for x in columns.start.max(span.start)..columns.end.min(span.end) {
                                let was = old.get(row + x % BRICK);
                                let id = id_at([z, y, x], was);
                                if id != was {
                                    new.get_or_insert_with(|| old.to_ids())[row + x % BRICK] = id;
                                }
                            }
                        }
                    }
                    if let Some(ids) = new {
                        let new = self.packed(index, ids);
                        before.push((index as u32, std::mem::replace(&mut self.bricks[index], new)));
                    }
                }
            }
        }
        before
    }

    /// A brick of these ids; uniform where every voxel, those beyond the volume included, has one id.
    fn packed(&self, index: usize, ids: Vec<u16>) -> Brick {
        let first = ids[0];
        let origin = self.brick_origin(index);
        let whole = (0..3).all(|a| origin[a] + BRICK <= self.shape[a]);
        if (whole || first == 0) && ids.iter().all(|id| *id == first) {
            return Brick::Uniform(first);
        }
        Brick::Dense(ids.into())
    }

    /// Puts bricks in place and returns those that were there: its own inverse. Positions outside the volume are left out.
    pub fn swap_bricks(&mut self, delta: BrickDelta) -> BrickDelta {
        delta
            .into_iter()
            .filter_map(|(index, brick)| {
                let slot = self.bricks.get_mut(index as usize)?;
                Some((index, std::mem::replace(slot, brick)))
            })
            .collect()
    }

    /// The bricks in which `self` differs from `other`, as `other` has them. Shapes must be equal.
    pub fn delta_to(&self, other: &Self) -> BrickDelta {
        assert_eq!(self.shape, other.shape, "labels of one shape only");
        (0..self.bricks.len())
            .filter(|i| self.bricks[*i] != other.bricks[*i])
            .map(|i| (i as u32, other.bricks[i].clone()))
            .collect()
    }

    /// Labels of these bricks, in order (z slowest, x fastest). Voxels beyond the volume must be 0.
    ///
    /// # Panics
    /// If there are more or fewer than the shape takes.
    pub fn of_bricks(shape: [usize; 3], bricks: Vec<Brick>) -> Self {
        let n: usize = shape.iter().map(|n| n.div_ceil(BRICK)).product();
        assert_eq!(bricks.len(), n, "as many bricks as the shape takes");
        Self { shape, bricks }
    }

    /// Makes bricks from a dense array (z, y, x).
    pub fn from_dense(array: &Array3<u16>) -> Self {
        let (nz, ny, nx) = array.dim();
        let mut labels = Self::new([nz, ny, nx]);
        let origins: Vec<_> = (0..labels.n_bricks()).map(|i| labels.brick_origin(i)).collect();
        labels.bricks = origins
            .into_par_iter()
            .map(|[z0, y0, x0]| {
                let first = array[[z0, y0, x0]];
                let (z1, y1, x1) = ((z0 + BRICK).min(nz), (y0 + BRICK).min(ny), (x0 + BRICK).min(nx));
                let part = array.slice(ndarray::s![z0..z1, y0..y1, x0..x1]);
                let whole = part.len() == BRICK_LEN;
                if (whole || first == 0) && part.iter().all(|id| *id == first) {
                    return Brick::Uniform(first);
                }
                let mut ids = vec![0u16; BRICK_LEN];
                for ((z, y, x), id) in part.indexed_iter() {
                    ids[(z * BRICK + y) * BRICK + x] = *id;
                }
                Brick::Dense(ids.into())
            })
            .collect();
        labels
    }

    /// All ids as a dense array (z, y, x).
    pub fn to_dense(&self) -> Array3<u16> {
        let mut array = Array3::zeros(self.shape);
        self.copy_box([0; 3], &mut array);
        array
    }

    /// Fills `out` with the box of its shape that starts at `lo` (z, y, x); 0 outside the volume.
    pub fn copy_box(&self, lo: [usize; 3], out: &mut Array3<u16>) {
        let [_, nby, nbx] = self.bricks_zyx();
        out.outer_iter_mut().into_par_iter().enumerate().for_each(|(dz, mut plane)| {
            let z = lo[0] + dz;
            for (dy, mut row) in plane.outer_iter_mut().enumerate() {
                let y = lo[1] + dy;
                if z >= self.shape[0] || y >= self.shape[1] {
                    row.fill(0);
                    continue;
                }
                let base = (z / BRICK * nby + y / BRICK) * nbx;
                let in_brick = ((z % BRICK) * BRICK + y % BRICK) * BRICK;
                for (dx, id) in row.iter_mut().enumerate() {
                    let x = lo[2] + dx;
                    *id = if x < self.shape[2] {
                        self.bricks[base + x / BRICK].get(in_brick + x % BRICK)
                    } else {
                        0
                    };
                }
            }
        });
    }

    /// Ids that occur, in order, 0 included where it occurs.
    pub fn ids(&self) -> Vec<u16> {
        let mut seen = vec![false; usize::from(u16::MAX) + 1];
        for index in 0..self.bricks.len() {
            match &self.bricks[index] {
                Brick::Uniform(id) => seen[usize::from(*id)] = true,
                Brick::Dense(_) => self.for_each_in_brick(index, |_, id| seen[usize::from(id)] = true),
            }
        }
        (0..=u16::MAX).filter(|id| seen[usize::from(*id)]).collect()
    }

    /// Visits the voxels of a brick that lie inside the volume.
    pub fn for_each_in_brick(&self, index: usize, mut visit: impl FnMut([usize; 3], u16)) {
        let [z0, y0, x0] = self.brick_origin(index);
        let brick = &self.bricks[index];
        for z in z0..(z0 + BRICK).min(self.shape[0]) {
            for y in y0..(y0 + BRICK).min(self.shape[1]) {
                for x in x0..(x0 + BRICK).min(self.shape[2]) {
                    let offset = ((z % BRICK) * BRICK + y % BRICK) * BRICK + x % BRICK;
                    visit([z, y, x], brick.get(offset));
                }
            }
        }
    }

    /// Whether nothing is labelled.
    pub fn is_empty(&self) -> bool {
        self.bricks.iter().all(|brick| match brick {
            Brick::Uniform(id) => *id == 0,
            Brick::Dense(ids) => ids.iter().all(|id| *id == 0),
        })
    }

    /// Bytes held, bricks shared with snapshots counted in full.
    pub fn heap_bytes(&self) -> usize {
        self.bricks.len() * size_of::<Brick>() + self.bricks.iter().map(Brick::heap_bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_large_volume_is_small() {
        assert!(Labels::new([1024, 1024, 700]).heap_bytes() < 10 << 20);
    }

    proptest! {
        #[test]
        fn dense_round_trip_and_delta_inverse(
            shape in [1usize..70, 1usize..40, 1usize..70],
            boxes in prop::collection::vec(([0usize..70, 0usize..40, 0usize..70], [1usize..40, 1usize..40, 1usize..40], 0u16..5), 1..6),
        ) {
            let mut labels = Labels::new(shape);
            let mut dense = Array3::<u16>::zeros(shape);
            let mut undo = Vec::new();
            let mut states = vec![labels.clone()];
            for (lo, size, id) in boxes {
                let hi = [lo[0] + size[0], lo[1] + size[1], lo[2] + size[2]];
                undo.push(labels.update_box(lo, hi, |_, _| id));
                for ((z, y, x), v) in dense.indexed_iter_mut() {
                    if (lo[0]..hi[0]).contains(&z) && (lo[1]..hi[1]).contains(&y) && (lo[2]..hi[2]).contains(&x) {
                        *v = id;
                    }
                }
                prop_assert_eq!(&labels.to_dense(), &dense);
                prop_assert_eq!(Labels::from_dense(&dense).to_dense(), dense.clone());
                states.push(labels.clone());
            }
            while let Some(delta) = undo.pop() {
                labels.swap_bricks(delta);
                states.pop();
                prop_assert_eq!(labels.to_dense(), states.last().unwrap().to_dense());
            }
            prop_assert!(labels.is_empty());
        }
    }
}
