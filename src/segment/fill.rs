//! The fill: gives the connected region under the pointer another class.
//!
//! The region is every voxel that can be reached from the seed through faces over voxels of the
//! seed's old class, and of values in a range where one is set; in one slice or through the volume.

use crate::base::{Cancelled, Progress};
use crate::volume::labels::BrickDelta;
use crate::volume::{Labels, Volume};

use super::brush::{Plane, in_range};

/// What to fill.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    /// The class that the region gets; 0 erases.
    pub class: u16,
    /// Stays in the slice of this plane through the seed; through the volume where `None`.
    pub plane: Option<Plane>,
    /// Goes only over voxels with a value in this closed range (1/µm); NaN never is.
    pub lac_limit: Option<[f32; 2]>,
    /// Classes that neither lose nor gain a voxel.
    pub locked: Vec<u16>,
    /// Refuses regions of more voxels than this: a leak is better refused than undone.
    pub max_voxels: u64,
}

impl Default for Fill {
    fn default() -> Self {
        Self {
            class: 1,
            plane: Some(Plane::Xy),
            lac_limit: None,
            locked: Vec::new(),
            max_voxels: 100_000_000,
        }
    }
}

/// Why nothing was filled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FillError {
    #[error("the pointer is outside the volume of {shape:?} voxels")]
    Outside { shape: [usize; 3] },
    #[error("class {class} is locked: unlock it to fill")]
    Locked { class: u16 },
    #[error("the value here is outside the range {low} to {high} 1/µm: widen the range or click elsewhere")]
    OutOfRange { low: f32, high: f32 },
    #[error(
        "the region has more than {max_voxels} voxels and nothing was filled: close the gap that it leaks through, narrow the range or raise the limit"
    )]
    TooLarge { max_voxels: u64 },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Fills the region of the seed (voxel index z, y, x); returns the bricks that changed as they were.
///
/// Memory: one bit per voxel of the slice or the volume.
///
/// # Errors
/// [`FillError`]; the labels are then untouched.
pub fn fill(
    progress: &Progress,
    labels: &mut Labels,
    volume: Option<&Volume<f32>>,
    seed_zyx: [usize; 3],
    fill: &Fill,
) -> Result<BrickDelta, FillError> {
    let shape = labels.shape();
    if seed_zyx.iter().zip(shape).any(|(i, n)| *i >= n) {
        return Err(FillError::Outside { shape });
    }
    let old = labels.get(seed_zyx);
    if let Some(class) = [old, fill.class].into_iter().find(|id| *id != 0 && fill.locked.contains(id)) {
        return Err(FillError::Locked { class });
    }
    if let Some([low, high]) = fill.lac_limit
        && !in_range(volume, seed_zyx, fill.lac_limit)
    {
        return Err(FillError::OutOfRange { low, high });
    }
    if old == fill.class {
        return Ok(BrickDelta::new());
    }
    progress.phase("Filling", 0);
    let (mut lo, mut hi) = ([0; 3], shape);
    if let Some(plane) = fill.plane {
        let axis = plane.normal_axis();
        lo[axis] = seed_zyx[axis];
        hi[axis] = seed_zyx[axis] + 1;
    }
    let mut flood = Flood::new(lo, hi);
    let accept = |zyx: [usize; 3]| labels.get(zyx) == old && in_range(volume, zyx, fill.lac_limit);
    flood.run(progress, seed_zyx, fill.max_voxels, accept)?;
    let (lo, hi) = flood.bounds;
    Ok(labels.update_box(lo, hi, |zyx, id| if flood.has(zyx) { fill.class } else { id }))
}

/// A flood within the box `lo..hi`: runs of columns are taken whole, their neighbours queued.
struct Flood {
    lo: [usize; 3],
    size: [usize; 3],
    /// One bit per voxel of the box.
    seen: Vec<u64>,
    /// The box around what was reached, half open.
    bounds: ([usize; 3], [usize; 3]),
}

impl Flood {
    fn new(lo: [usize; 3], hi: [usize; 3]) -> Self {
        let size: [usize; 3] = std::array::from_fn(|a| hi[a] - lo[a]);
        let bits: usize = size.iter().product();
        Self { lo, size, seen: vec![0; bits.div_ceil(64)], bounds: (hi, lo) }
    }

    fn bit(&self, zyx: [usize; 3]) -> usize {
        let [z, y, x] = std::array::from_fn(|a| zyx[a] - self.lo[a]);
        (z * self.size[1] + y) * self.size[2] + x
    }

    fn has(&self, zyx: [usize; 3]) -> bool {
        let bit = self.bit(zyx);
        self.seen[bit / 64] >> (bit % 64) & 1 == 1
    }

    fn run(
        &mut self,
        progress: &Progress,
        seed: [usize; 3],
        max_voxels: u64,
        accept: impl Fn([usize; 3]) -> bool,
    ) -> Result<(), FillError> {
        let mut stack = vec![seed];
        let (mut n, mut steps) = (0u64, 0u32);
        while let Some([z, y, x]) = stack.pop() {
            if self.has([z, y, x]) {
                continue;
            }
            steps += 1;
            if steps.is_multiple_of(4096) {
                progress.check()?;
            }
            let open = |flood: &Self, x: usize| !flood.has([z, y, x]) && accept([z, y, x]);
            let (mut first, mut last) = (x, x);
            while first > self.lo[2] && open(self, first - 1) {
                first -= 1;
            }
            while last + 1 < self.lo[2] + self.size[2] && open(self, last + 1) {
                last += 1;
            }
            n += (last - first + 1) as u64;
            progress.advance((last - first + 1) as u64);
            if n > max_voxels {
                return Err(FillError::TooLarge { max_voxels });
            }
            self.mark([z, y], first, last);
            for (dz, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                self.queue_row([z, y], [dz, dy], first..last + 1, &accept, &mut stack);
            }
        }
        Ok(())
    }

    fn mark(&mut self, [z, y]: [usize; 2], first: usize, last: usize) {
        for x in first..=last {
            let bit = self.bit([z, y, x]);
            self.seen[bit / 64] |= 1 << (bit % 64);
        }
        for (a, (low, high)) in [(z, z), (y, y), (first, last)].into_iter().enumerate() {
            self.bounds.0[a] = self.bounds.0[a].min(low);
            self.bounds.1[a] = self.bounds.1[a].max(high + 1);
        }
    }

    /// Queues the start of every open run of a neighbouring row below or above `columns`.
    fn queue_row(
        &self,
        at: [usize; 2],
        step: [isize; 2],
        columns: std::ops::Range<usize>,
        accept: &impl Fn([usize; 3]) -> bool,
        stack: &mut Vec<[usize; 3]>,
    ) {
        let row: [Option<usize>; 2] = std::array::from_fn(|a| {
            at[a].checked_add_signed(step[a]).filter(|i| (self.lo[a]..self.lo[a] + self.size[a]).contains(i))
        });
        let [Some(z), Some(y)] = row else { return };
        let mut inside = false;
        for x in columns {
            let open = !self.has([z, y, x]) && accept([z, y, x]);
            if open && !inside {
                stack.push([z, y, x]);
            }
            inside = open;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Unit;
    use ndarray::Array3;

    /// A closed box of class 5 with walls at 3 and 20 on every axis.
    fn boxed() -> Labels {
        let mut labels = Labels::new([24, 40, 40]);
        labels.update_box([3; 3], [21; 3], |_, _| 5);
        labels.update_box([4; 3], [20; 3], |_, _| 0);
        labels
    }

    fn count(labels: &Labels, id: u16) -> usize {
        labels.to_dense().iter().filter(|v| **v == id).count()
    }

    #[test]
    fn fills_the_inside_of_a_closed_box_and_comes_back() {
        let mut labels = boxed();
        let start = labels.clone();
        let spec = Fill { class: 2, plane: None, ..Fill::default() };
        let delta = fill(&Progress::new(), &mut labels, None, [10, 10, 10], &spec).unwrap();
        assert_eq!(count(&labels, 2), 16usize.pow(3));
        assert_eq!(labels.get([0, 0, 0]), 0);
        labels.swap_bricks(delta);
        assert_eq!(labels, start);
    }

    #[test]
    fn stays_in_the_slice_of_each_plane() {
        for plane in [Plane::Xy, Plane::Xz, Plane::Yz] {
            let mut labels = boxed();
            let spec = Fill { class: 2, plane: Some(plane), ..Fill::default() };
            fill(&Progress::new(), &mut labels, None, [10, 11, 12], &spec).unwrap();
            assert_eq!(count(&labels, 2), 256, "{plane:?}");
            let seed = [10, 11, 12];
            let axis = plane.normal_axis();
            for (i, id) in labels.to_dense().indexed_iter() {
                assert!(*id != 2 || [i.0, i.1, i.2][axis] == seed[axis], "{plane:?}");
            }
        }
    }

    #[test]
    fn corners_do_not_connect() {
        let mut labels = Labels::new([1, 2, 2]);
        labels.set([0, 0, 0], 1);
        labels.set([0, 1, 1], 1);
        let spec = Fill { class: 2, ..Fill::default() };
        fill(&Progress::new(), &mut labels, None, [0, 0, 0], &spec).unwrap();
        assert_eq!((labels.get([0, 0, 0]), labels.get([0, 1, 1])), (2, 1));
    }

    #[test]
    fn a_winding_corridor_is_followed_to_its_end() {
        let mut labels = Labels::new([1, 41, 41]);
        labels.update_box([0; 3], [1, 41, 41], |[_, y, x], _| {
            let gap = if y / 2 % 2 == 0 { 40 } else { 0 };
            u16::from(y % 2 == 1 && x != gap) * 7
        });
        let open = count(&labels, 0);
        let spec = Fill { class: 2, ..Fill::default() };
        fill(&Progress::new(), &mut labels, None, [0, 0, 0], &spec).unwrap();
        assert_eq!(count(&labels, 2), open);
    }

    #[test]
    fn too_large_locked_outside_and_range_are_refused_and_leave_no_trace() {
        let mut labels = boxed();
        let start = labels.clone();
        let data = Array3::from_shape_fn((24, 40, 40), |(_, _, x)| x as f32);
        let volume = Volume::new(data, None, Unit::PerUm);
        let go = |labels: &mut Labels, seed, spec: &Fill| {
            fill(&Progress::new(), labels, Some(&volume), seed, spec).unwrap_err()
        };
        let spec = Fill { class: 2, plane: None, max_voxels: 4095, ..Fill::default() };
        let error = go(&mut labels, [10; 3], &spec);
        assert_eq!(error, FillError::TooLarge { max_voxels: 4095 });
        assert!(error.to_string().contains("4095"));
        let locked = Fill { locked: vec![5], ..spec.clone() };
        assert_eq!(go(&mut labels, [3; 3], &locked), FillError::Locked { class: 5 });
        assert!(matches!(go(&mut labels, [24, 0, 0], &spec), FillError::Outside { .. }));
        let range = Fill { lac_limit: Some([0.0, 5.0]), ..spec.clone() };
        assert!(matches!(go(&mut labels, [10; 3], &range), FillError::OutOfRange { .. }));
        let cancelled = Progress::new();
        cancelled.cancel();
        let rows = Fill { plane: None, class: 2, ..Fill::default() };
        let mut large = Labels::new([80, 80, 2]);
        assert_eq!(fill(&cancelled, &mut large, None, [0; 3], &rows), Err(FillError::Cancelled(Cancelled)));
        assert!(large.is_empty());
        assert_eq!(labels, start);
    }

    #[test]
    fn a_range_bounds_the_region() {
        let data = Array3::from_shape_fn((5, 5, 30), |(_, _, x)| x as f32);
        let volume = Volume::new(data, None, Unit::PerUm);
        let mut labels = Labels::new([5, 5, 30]);
        let spec = Fill { class: 1, plane: None, lac_limit: Some([10.0, 14.0]), ..Fill::default() };
        fill(&Progress::new(), &mut labels, Some(&volume), [2, 2, 12], &spec).unwrap();
        assert_eq!(count(&labels, 1), 5 * 5 * 5);
        assert_eq!((labels.get([0, 0, 14]), labels.get([0, 0, 15])), (1, 0));
    }
}
