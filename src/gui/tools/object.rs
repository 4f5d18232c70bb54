//! Objects as a whole: another class, another place, a cut.

use glam::DVec3;

use super::{canvas, index_at};
use crate::base::Progress;
use crate::gui::panels::operation;
use crate::gui::state::{self, ViewId, ViewState};
use crate::project::Layer;
use crate::segment::object::{Cut, Object, ObjectError};
use crate::session::Session;
use crate::volume::labels::BrickDelta;

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Act {
    /// The object here gets the chosen class, or none.
    Relabel {
        /// Where, world µm.
        at_um: DVec3,
        /// It is taken away.
        erase: bool,
    },
    /// The object at the start goes along; while it is pulled it is no step yet.
    Move {
        /// Where it was taken, world µm.
        from_um: DVec3,
        /// Where it is, world µm.
        to_um: DVec3,
        /// The button is still held.
        pulling: bool,
    },
    /// The line cuts the object in the middle of it: what lies to the left of the line gets the chosen class.
    Cut {
        /// In which view.
        view: ViewId,
        /// Where the line begins, world µm.
        from_um: DVec3,
        /// Where it ends, world µm.
        to_um: DVec3,
    },
}

/// Most voxels of an object that is handled by hand.
const MOST: u64 = 8_000_000;

/// Does it; a sentence where it could not.
pub(crate) fn apply(session: &mut Session, view: &mut ViewState, act: &Act) -> Result<(), String> {
    session.restart_stroke();
    let erase = matches!(act, Act::Relabel { erase: true, .. });
    let Some(canvas) = canvas(session, view, erase) else { return Ok(()) };
    let Some(layer) = session.project().layer(canvas.layer) else { return Ok(()) };
    let outside = || "Point at an object inside the volume".to_owned();
    let voxel = |um| state::voxel_at(layer, um).ok_or_else(outside);
    let index = |um| index_at(layer, um).ok_or_else(outside);
    let (seeds, step) = match act {
        Act::Relabel { at_um, .. } => (vec![voxel(*at_um)?], Step::Relabel),
        Act::Move { from_um, to_um, .. } => {
            let (from, to) = (index(*from_um)?, index(*to_um)?);
            (vec![voxel(*from_um)?], Step::Move(std::array::from_fn(|a| (to[a] - from[a]).round() as i64)))
        }
        Act::Cut { view: kind, from_um, to_um } => {
            // Any labelled voxel under the line names the object; the middle is asked first.
            let places = [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9, 0.0, 1.0];
            let seeds =
                places.iter().filter_map(|t| state::voxel_at(layer, from_um.lerp(*to_um, *t))).collect();
            let (right, down) = view.plane(*kind).unwrap_or_default().right_down();
            let line = *to_um - *from_um;
            let left = right * line.dot(down) - down * line.dot(right);
            (seeds, Step::Cut(Cut { point_zyx: index(*from_um)?, normal_zyx: normal_of(layer, left) }))
        }
    };
    let mut outcome = Ok(());
    let painted = session.paint(canvas.layer, canvas.guide, |labels, _, _| {
        let mut found = Err(ObjectError::Nothing);
        for seed in seeds {
            found = Object::at(&Progress::new(), labels, seed, MOST);
            if !matches!(found, Err(ObjectError::Nothing)) {
                break;
            }
        }
        let changed = found.and_then(|object| match step {
            Step::Relabel => object.relabel(labels, canvas.class, &canvas.limits),
            Step::Move(by) => object.move_by(labels, by, &canvas.limits),
            Step::Cut(cut) => object.cut(labels, cut, canvas.class, &canvas.limits),
        });
        changed.unwrap_or_else(|error| {
            outcome = Err(operation::sentence(&error.to_string()));
            BrickDelta::new()
        })
    });
    let pulling = matches!(act, Act::Move { pulling: true, .. });
    if !pulling {
        session.end_stroke(match act {
            Act::Relabel { erase: true, .. } => "Remove object",
            Act::Relabel { .. } => "Change class of object",
            Act::Move { .. } => "Move object",
            Act::Cut { .. } => "Cut object",
        });
    }
    painted.map_err(|error| error.to_string())?;
    // While it is pulled, an object that is missed is no news yet.
    if pulling { Ok(()) } else { outcome }
}

enum Step {
    Relabel,
    Move([i64; 3]),
    Cut(Cut),
}

/// The normal, in voxels along z, y, x, of the plane that stands upright on a world direction.
fn normal_of(layer: &Layer, across_um: DVec3) -> [f64; 3] {
    let map = state::world_from_voxel(layer).unwrap_or(glam::DAffine3::IDENTITY);
    let normal = map.matrix3.transpose() * across_um;
    [normal.z, normal.y, normal.x]
}
