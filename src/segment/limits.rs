//! What an edit by hand may touch: a range of LAC, certain classes, never a locked one.
//!
//! Every hand tool takes the same limits, so that a rule holds whichever tool is at hand.

use crate::volume::Volume;

/// Which voxels an edit may change, locked classes aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaintOver {
    /// Every voxel.
    #[default]
    All,
    /// Unlabelled voxels only.
    Unlabelled,
    /// Voxels of this class only: an eraser for one class.
    Class(u16),
}

/// The limits of an edit; the default has none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    /// Only where the volume's value lies in this closed range (1/µm); NaN never does.
    pub lac: Option<[f32; 2]>,
    /// Which voxels may change.
    pub over: PaintOver,
    /// Only voxels of these classes: the parent of the painted class and all that lies inside it.
    pub inside: Option<Vec<u16>>,
    /// Classes that neither lose nor gain a voxel.
    pub locked: Vec<u16>,
}

impl Limits {
    /// Whether `class` may be painted at all; 0 erases and always may.
    pub fn allow(&self, class: u16) -> bool {
        class == 0 || !self.locked.contains(&class)
    }

    /// What decides voxel by voxel for `class`.
    pub(super) fn guard<'a>(&'a self, class: u16, volume: Option<&'a Volume<f32>>) -> Guard<'a> {
        let mut guard = Guard { class, limits: self, volume, last: (0, false) };
        guard.last = (0, guard.decide(0));
        guard
    }
}

/// Whether the value of a voxel lies in the range; true without a range, false where there is no value.
pub(super) fn in_range(volume: Option<&Volume<f32>>, zyx: [usize; 3], range: Option<[f32; 2]>) -> bool {
    let Some([low, high]) = range else { return true };
    let value = volume.and_then(|volume| volume.data.get(zyx));
    value.is_some_and(|value| *value >= low && *value <= high)
}

/// Says which voxels an edit may change; remembers the last class because neighbours are alike.
pub(super) struct Guard<'a> {
    class: u16,
    limits: &'a Limits,
    volume: Option<&'a Volume<f32>>,
    last: (u16, bool),
}

impl Guard<'_> {
    /// Whether a voxel of class `old` may change.
    pub(super) fn may_change(&mut self, zyx: [usize; 3], old: u16) -> bool {
        if old != self.last.0 {
            self.last = (old, self.decide(old));
        }
        self.last.1 && in_range(self.volume, zyx, self.limits.lac)
    }

    /// The new class of a voxel of class `old`.
    pub(super) fn painted(&mut self, zyx: [usize; 3], old: u16) -> u16 {
        if self.may_change(zyx, old) { self.class } else { old }
    }

    fn decide(&self, old: u16) -> bool {
        let Limits { over, inside, locked, .. } = self.limits;
        let allowed = match over {
            PaintOver::All => true,
            PaintOver::Unlabelled => old == 0,
            PaintOver::Class(id) => old == *id,
        };
        let inside = inside.as_ref().is_none_or(|classes| classes.contains(&old));
        allowed && inside && old != self.class && !locked.contains(&old)
    }
}
