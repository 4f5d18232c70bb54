//! Where the label of a voxel comes from: painted, interpolated, predicted and so on.
//!
//! A label volume as a whole has one source (it was imported, or predicted). What is changed in it
//! later is marked voxel by voxel in a second sparse volume of the same bricks, so that an untouched
//! layer costs nothing. Code 0 there means "as the layer came".

use serde::{Deserialize, Serialize};

use super::labels::{BRICK_LEN, Brick, BrickDelta};
use super::{Class, Labels};

/// Where a label comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Painted by hand.
    Painted,
    /// Filled in between painted slices.
    Interpolated,
    /// Said by the classifier, and not looked at object by object.
    Predicted,
    /// Looked at and found right.
    Accepted,
    /// Read from a file.
    Imported,
    /// Made by another method: a threshold, a watershed, cleaning.
    Computed,
}

impl Mark {
    /// All marks in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Painted, Self::Interpolated, Self::Predicted, Self::Accepted, Self::Imported, Self::Computed];

    /// Its code in a volume of marks, 1 to 6.
    pub fn code(self) -> u16 {
        self as u16 + 1
    }

    /// The mark of a code; `None` for 0 and codes of a newer program.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// Whether a person has painted it or looked at it and found it right.
    pub fn is_by_hand(self) -> bool {
        matches!(self, Self::Painted | Self::Accepted)
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Painted => "painted",
            Self::Interpolated => "interpolated",
            Self::Predicted => "predicted",
            Self::Accepted => "accepted",
            Self::Imported => "imported",
            Self::Computed => "computed",
        }
    }

    /// The marks as a table of classes, for showing and exporting a volume of their codes.
    pub fn classes() -> Vec<Class> {
        Self::ALL
            .into_iter()
            .map(|mark| Class {
                id: mark.code(),
                name: mark.name().to_owned(),
                color: super::classes::palette_color(usize::from(mark.code()) - 1),
                parent: None,
                go_id: None,
                typical_lac: None,
                visible: true,
                locked: false,
            })
            .collect()
    }
}

/// Marks every voxel that differs from `before` (bricks as they were) with `code`; erased voxels lose their mark.
///
/// Returns the bricks of marks as they were, in the order of `before`. Positions outside the volume are left out.
pub fn mark_changes(marks: &mut Labels, labels: &Labels, before: &BrickDelta, code: u16) -> BrickDelta {
    let mut old_marks = BrickDelta::new();
    for (index, was) in before {
        let at = *index as usize;
        if at >= labels.n_bricks() || at >= marks.n_bricks() {
            continue;
        }
        let now = labels.brick(at);
        let mut changed: Option<Vec<u16>> = None;
        for offset in 0..BRICK_LEN {
            let id = now.get(offset);
            if id == was.get(offset) {
                continue;
            }
            let mark = if id == 0 { 0 } else { code };
            if marks.brick(at).get(offset) != mark {
                changed.get_or_insert_with(|| marks.brick(at).to_ids())[offset] = mark;
            }
        }
        if let Some(ids) = changed {
            let brick = Brick::of_ids(ids);
            old_marks.extend(marks.swap_bricks(vec![(*index, brick)]));
        }
    }
    old_marks
}

/// The code of every labelled voxel, `base` where nothing was changed since the layer came.
pub fn codes_of(labels: &Labels, marks: &Labels, base: u16) -> Labels {
    let delta = (0..labels.n_bricks())
        .filter_map(|at| {
            let (ids, marked) = (labels.brick(at), marks.brick(at));
            match (ids, marked) {
                (Brick::Uniform(0), _) => None,
                (Brick::Uniform(_), Brick::Uniform(code)) => {
                    Some((at as u32, Brick::Uniform(if *code == 0 { base } else { *code })))
                }
                _ => {
                    let codes = (0..BRICK_LEN)
                        .map(|offset| match (ids.get(offset), marked.get(offset)) {
                            (0, _) => 0,
                            (_, 0) => base,
                            (_, code) => code,
                        })
                        .collect();
                    Some((at as u32, Brick::of_ids(codes)))
                }
            }
        })
        .collect();
    let mut codes = Labels::new(labels.shape());
    codes.swap_bricks(delta);
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_voxels_are_marked_erased_ones_are_not_and_the_delta_takes_it_back() {
        let mut labels = Labels::new([40, 40, 40]);
        let mut marks = Labels::new([40, 40, 40]);
        let before = labels.update_box([30, 0, 0], [34, 4, 4], |_, _| 3);
        let inverse = mark_changes(&mut marks, &labels, &before, Mark::Painted.code());
        assert_eq!(inverse.len(), 2, "the box lies in two bricks");
        assert_eq!(marks.get([31, 2, 2]), 1);
        let before = labels.update_box([31, 0, 0], [32, 4, 4], |_, _| 0);
        let erased = mark_changes(&mut marks, &labels, &before, Mark::Painted.code());
        assert_eq!((marks.get([31, 2, 2]), marks.get([30, 2, 2])), (0, 1));
        marks.swap_bricks(erased);
        marks.swap_bricks(inverse);
        assert_eq!(marks, Labels::new([40, 40, 40]));
    }

    #[test]
    fn codes_name_the_source_of_every_labelled_voxel() {
        let mut labels = Labels::new([8, 8, 40]);
        labels.update_box([0; 3], [8, 8, 20], |_, _| 2);
        let mut marks = Labels::new([8, 8, 40]);
        let before = labels.update_box([0; 3], [1, 8, 8], |_, _| 4);
        mark_changes(&mut marks, &labels, &before, Mark::Interpolated.code());
        let codes = codes_of(&labels, &marks, Mark::Imported.code());
        let at = |zyx| Mark::from_code(codes.get(zyx));
        assert_eq!(at([0, 0, 0]), Some(Mark::Interpolated));
        assert_eq!(at([1, 0, 0]), Some(Mark::Imported));
        assert_eq!(at([0, 0, 30]), None);
        for mark in Mark::ALL {
            assert_eq!(Mark::from_code(mark.code()), Some(mark));
        }
    }
}
