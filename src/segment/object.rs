//! Objects: connected voxels of one class, taken as a whole to be moved, cut or given another class.

use crate::base::{Cancelled, Progress};
use crate::volume::Labels;
use crate::volume::labels::BrickDelta;

use super::brush::merge_deltas;
use super::flood::Flood;
use super::limits::Limits;

/// A connected piece of one class.
pub struct Object {
    /// Its class.
    pub class: u16,
    flood: Flood,
}

/// Why nothing was done with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// Nothing labelled lies there.
    #[error("there is no object here: point at labelled voxels")]
    Nothing,
    /// It is too large to be handled at once.
    #[error("the object has more than {max_voxels} voxels: too large to be handled by hand")]
    TooLarge {
        /// Most voxels it may have.
        max_voxels: u64,
    },
    /// Its class is locked.
    #[error("class {class} is locked: unlock it first")]
    Locked {
        /// That class.
        class: u16,
    },
    /// Part of it would lie outside the volume.
    #[error("part of the object would leave the volume; nothing was moved")]
    Leaves,
    /// The plane passes beside it.
    #[error("the line does not pass through the object")]
    Missed,
    /// Stopped by its owner.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A plane that cuts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// A point of it as fractional voxel indices (z, y, x).
    pub point_zyx: [f64; 3],
    /// Its normal in voxels (z, y, x), of any length; it points to the side that gets another class.
    pub normal_zyx: [f64; 3],
}

impl Object {
    /// The object that holds a voxel: what hangs together by faces.
    ///
    /// # Errors
    /// [`ObjectError::Nothing`] at 0 and outside, [`ObjectError::TooLarge`] beyond `max_voxels`, [`ObjectError::Cancelled`].
    pub fn at(
        progress: &Progress,
        labels: &Labels,
        seed_zyx: [usize; 3],
        max_voxels: u64,
    ) -> Result<Self, ObjectError> {
        let class = labels.get(seed_zyx);
        if class == 0 {
            return Err(ObjectError::Nothing);
        }
        let mut flood = Flood::new([0; 3], labels.shape());
        if !flood.run(progress, seed_zyx, max_voxels, |zyx| labels.get(zyx) == class)? {
            return Err(ObjectError::TooLarge { max_voxels });
        }
        Ok(Self { class, flood })
    }

    /// The box around it, half open (z, y, x).
    pub fn bounds(&self) -> ([usize; 3], [usize; 3]) {
        self.flood.bounds
    }

    /// Whether a voxel inside [`Object::bounds`] belongs to it.
    pub fn has(&self, zyx: [usize; 3]) -> bool {
        self.flood.has(zyx)
    }

    /// Gives all of it another class (0 erases); returns the bricks that changed as they were.
    ///
    /// # Errors
    /// [`ObjectError::Locked`].
    pub fn relabel(
        &self,
        labels: &mut Labels,
        class: u16,
        limits: &Limits,
    ) -> Result<BrickDelta, ObjectError> {
        self.check(class, limits)?;
        let (lo, hi) = self.bounds();
        Ok(labels.update_box(lo, hi, |zyx, old| if self.flood.has(zyx) { class } else { old }))
    }

    /// Moves it by whole voxels (z, y, x); what it left is unlabelled, what it comes to lie on becomes its class
    /// where the limits allow it.
    ///
    /// # Errors
    /// [`ObjectError::Leaves`], [`ObjectError::Locked`]; the labels are then untouched.
    pub fn move_by(
        &self,
        labels: &mut Labels,
        by_zyx: [i64; 3],
        limits: &Limits,
    ) -> Result<BrickDelta, ObjectError> {
        self.check(self.class, limits)?;
        let (lo, hi) = self.bounds();
        let shape = labels.shape();
        let moved = |at: [usize; 3]| -> Option<[usize; 3]> {
            let mut to = [0; 3];
            for a in 0..3 {
                to[a] = at[a].checked_add_signed(isize::try_from(by_zyx[a]).ok()?)?;
            }
            Some(to)
        };
        let (Some(new_lo), Some(new_hi)) = (moved(lo), moved(hi)) else { return Err(ObjectError::Leaves) };
        if (0..3).any(|a| new_hi[a] > shape[a]) {
            return Err(ObjectError::Leaves);
        }
        let taken = labels.update_box(lo, hi, |zyx, old| if self.flood.has(zyx) { 0 } else { old });
        let mut guard = limits.guard(self.class, None);
        let put = labels.update_box(new_lo, new_hi, |zyx, old| {
            let from: [usize; 3] = std::array::from_fn(|a| zyx[a] - new_lo[a] + lo[a]);
            if self.flood.has(from) { guard.painted(zyx, old) } else { old }
        });
        Ok(merge_deltas([taken, put]))
    }

    /// Cuts it: the side the normal points to gets `class`; where it has that class already, a gap is cleared
    /// that parts the two sides even across corners.
    ///
    /// # Errors
    /// [`ObjectError::Missed`] where all of it lies on one side, [`ObjectError::Locked`]; the labels are then untouched.
    pub fn cut(
        &self,
        labels: &mut Labels,
        cut: Cut,
        class: u16,
        limits: &Limits,
    ) -> Result<BrickDelta, ObjectError> {
        self.check(class, limits)?;
        let length = cut.normal_zyx.iter().map(|n| n * n).sum::<f64>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return Err(ObjectError::Missed);
        }
        let normal = cut.normal_zyx.map(|n| n / length);
        let distance =
            |zyx: [usize; 3]| (0..3).map(|a| (zyx[a] as f64 - cut.point_zyx[a]) * normal[a]).sum::<f64>();
        let gap = (class == self.class).then(|| normal.iter().map(|n| n.abs()).sum::<f64>());
        let beyond = |zyx: [usize; 3]| match gap {
            Some(gap) => (0.0..gap).contains(&distance(zyx)),
            None => distance(zyx) >= 0.0,
        };
        let (lo, hi) = self.bounds();
        let (mut here, mut there) = (0u64, 0u64);
        let new = if gap.is_some() { 0 } else { class };
        let delta = labels.update_box(lo, hi, |zyx, old| {
            if !self.flood.has(zyx) {
                return old;
            }
            if distance(zyx) < 0.0 {
                here += 1;
            } else {
                there += 1;
            }
            if beyond(zyx) { new } else { old }
        });
        if here == 0 || there == 0 {
            labels.swap_bricks(delta);
            return Err(ObjectError::Missed);
        }
        Ok(delta)
    }

    fn check(&self, class: u16, limits: &Limits) -> Result<(), ObjectError> {
        match [self.class, class].into_iter().find(|class| !limits.allow(*class)) {
            Some(class) => Err(ObjectError::Locked { class }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: u64 = 1 << 20;

    /// A bar of class 3 and a cube of class 3 beside it that does not touch it.
    fn bar() -> Labels {
        let mut labels = Labels::new([20, 20, 60]);
        labels.update_box([8, 8, 4], [12, 12, 40], |_, _| 3);
        labels.update_box([14, 14, 4], [16, 16, 6], |_, _| 3);
        labels
    }

    fn count(labels: &Labels, id: u16) -> usize {
        labels.to_dense().iter().filter(|v| **v == id).count()
    }

    fn object(labels: &Labels) -> Object {
        Object::at(&Progress::new(), labels, [9, 9, 9], MANY).unwrap()
    }

    #[test]
    fn an_object_is_what_hangs_together_and_is_relabelled_alone() {
        let mut labels = bar();
        let bar = object(&labels);
        assert_eq!(bar.bounds(), ([8, 8, 4], [12, 12, 40]));
        bar.relabel(&mut labels, 5, &Limits::default()).unwrap();
        assert_eq!((count(&labels, 5), count(&labels, 3)), (16 * 36, 8));
        let nothing = Object::at(&Progress::new(), &labels, [0; 3], MANY);
        assert_eq!(nothing.err(), Some(ObjectError::Nothing));
        let large = Object::at(&Progress::new(), &labels, [9, 9, 9], 10);
        assert_eq!(large.err(), Some(ObjectError::TooLarge { max_voxels: 10 }));
    }

    #[test]
    fn a_plane_across_one_object_parts_its_voxels_and_no_other() {
        let mut labels = Labels::new([12, 12, 30]);
        labels.update_box([2; 3], [9, 9, 20], |_, _| 3);
        labels.update_box([2, 2, 24], [9, 9, 29], |_, _| 3);
        let object = Object::at(&Progress::new(), &labels, [4, 4, 4], MANY).unwrap();
        let cut = Cut { point_zyx: [5.0, 0.0, 10.5], normal_zyx: [0.0, 0.0, 1.0] };
        object.cut(&mut labels, cut, 5, &Limits::default()).unwrap();
        let beyond: Vec<_> =
            labels.to_dense().indexed_iter().filter(|(_, id)| **id == 5).map(|((_, _, x), _)| x).collect();
        assert!(beyond.iter().all(|x| *x > 10) && beyond.len() == 7 * 7 * 9, "{}", beyond.len());
        let progress = Progress::new();
        progress.cancel();
        let mut large = Labels::new([64; 3]);
        large.update_box([0; 3], [64; 3], |[z, y, x], _| u16::from((z + y + x) % 2 == 0 || x % 2 == 0));
        let cancelled = Object::at(&progress, &large, [0; 3], u64::MAX);
        assert_eq!(cancelled.err(), Some(ObjectError::Cancelled(Cancelled)));
    }

    #[test]
    fn a_move_overlapping_its_old_place_keeps_every_voxel_and_comes_back() {
        let mut labels = bar();
        let start = labels.clone();
        let delta = object(&labels).move_by(&mut labels, [1, -2, 7], &Limits::default()).unwrap();
        assert_eq!(count(&labels, 3), 16 * 36 + 8);
        assert_eq!((labels.get([9, 6, 11]), labels.get([8, 8, 4])), (3, 0));
        labels.swap_bricks(delta);
        assert_eq!(labels, start);
        let leaves = object(&labels).move_by(&mut labels, [0, 0, 21], &Limits::default());
        assert_eq!(leaves.err(), Some(ObjectError::Leaves));
        assert_eq!(labels, start);
    }

    #[test]
    fn a_cut_gives_one_side_another_class_or_parts_them_by_a_gap() {
        let cut = Cut { point_zyx: [9.0, 9.0, 19.5], normal_zyx: [0.3, 0.0, 2.0] };
        let mut labels = bar();
        object(&labels).cut(&mut labels, cut, 6, &Limits::default()).unwrap();
        assert_eq!((labels.get([9, 9, 10]), labels.get([9, 9, 30])), (3, 6));
        let mut labels = bar();
        object(&labels).cut(&mut labels, cut, 3, &Limits::default()).unwrap();
        let left = object(&labels);
        assert!(left.bounds().1[2] < 24, "the gap parts the sides: {:?}", left.bounds());
        assert!(count(&labels, 3) > 16 * 36 + 8 - 16 * 3, "the gap is thin");
        let start = labels.clone();
        let beside = Cut { point_zyx: [9.0, 9.0, 50.0], ..cut };
        let missed = left.cut(&mut labels, beside, 6, &Limits::default());
        assert_eq!(missed.err(), Some(ObjectError::Missed));
        // No plane at all.
        let none = Cut { normal_zyx: [0.0; 3], ..cut };
        assert_eq!(left.cut(&mut labels, none, 6, &Limits::default()).err(), Some(ObjectError::Missed));
        let limits = Limits { locked: vec![3], ..Limits::default() };
        assert_eq!(left.cut(&mut labels, cut, 6, &limits).err(), Some(ObjectError::Locked { class: 3 }));
        assert_eq!(labels, start);
    }
}
