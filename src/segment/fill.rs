//! The fill: gives the connected region under the pointer another class.
//!
//! The region is every voxel that can be reached from the seed through faces over voxels of the
//! seed's old class, and of values in a range where one is set; in one slice or through the volume.

use crate::base::{Cancelled, Progress};
use crate::volume::labels::BrickDelta;
use crate::volume::{Labels, Volume};

use super::brush::Plane;
use super::flood::Flood;
use super::limits::{Limits, in_range};

/// What to fill.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    /// The class that the region gets; 0 erases.
    pub class: u16,
    /// Stays in the slice of this plane through the seed; through the volume where `None`.
    pub plane: Option<Plane>,
    /// What it may touch; it goes only over voxels with a value in the range of LAC.
    pub limits: Limits,
    /// Refuses regions of more voxels than this: a leak is better refused than undone.
    pub max_voxels: u64,
}

impl Default for Fill {
    fn default() -> Self {
        Self { class: 1, plane: Some(Plane::Xy), limits: Limits::default(), max_voxels: 100_000_000 }
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
    #[error("here is no voxel that may be filled: it lies outside the parent class")]
    Outlying,
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
    if let Some(class) = [old, fill.class].into_iter().find(|id| *id != 0 && fill.limits.locked.contains(id))
    {
        return Err(FillError::Locked { class });
    }
    if let Some([low, high]) = fill.limits.lac
        && !in_range(volume, seed_zyx, fill.limits.lac)
    {
        return Err(FillError::OutOfRange { low, high });
    }
    if old == fill.class {
        return Ok(BrickDelta::new());
    }
    if !fill.limits.guard(fill.class, volume).may_change(seed_zyx, old) {
        return Err(FillError::Outlying);
    }
    progress.phase("Filling", 0);
    let (mut lo, mut hi) = ([0; 3], shape);
    if let Some(axis) = fill.plane.and_then(Plane::normal_axis) {
        lo[axis] = seed_zyx[axis];
        hi[axis] = seed_zyx[axis] + 1;
    }
    let slice = fill.plane.map(|plane| plane.slice(seed_zyx.map(|i| i as f64), 0));
    let mut flood = Flood::new(lo, hi);
    let accept = |zyx: [usize; 3]| {
        labels.get(zyx) == old
            && slice.is_none_or(|slice| slice.has(zyx))
            && in_range(volume, zyx, fill.limits.lac)
    };
    if !flood.run(progress, seed_zyx, fill.max_voxels, accept)? {
        return Err(FillError::TooLarge { max_voxels: fill.max_voxels });
    }
    let (lo, hi) = flood.bounds;
    Ok(labels.update_box(lo, hi, |zyx, id| if flood.has(zyx) { fill.class } else { id }))
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
            let axis = plane.normal_axis().unwrap();
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
        let locked = Fill { limits: Limits { locked: vec![5], ..Limits::default() }, ..spec.clone() };
        assert_eq!(go(&mut labels, [3; 3], &locked), FillError::Locked { class: 5 });
        assert!(matches!(go(&mut labels, [24, 0, 0], &spec), FillError::Outside { .. }));
        let range = Fill { limits: Limits { lac: Some([0.0, 5.0]), ..Limits::default() }, ..spec.clone() };
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
        let limits = Limits { lac: Some([10.0, 14.0]), ..Limits::default() };
        let spec = Fill { class: 1, plane: None, limits, ..Fill::default() };
        fill(&Progress::new(), &mut labels, Some(&volume), [2, 2, 12], &spec).unwrap();
        assert_eq!(count(&labels, 1), 5 * 5 * 5);
        assert_eq!((labels.get([0, 0, 14]), labels.get([0, 0, 15])), (1, 0));
    }
}
