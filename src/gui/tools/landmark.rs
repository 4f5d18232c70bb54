//! Landmark pairs: the same thing clicked in the moving volume and in the fixed one.

use glam::DVec3;

use crate::gui::frame::Cx;
use crate::project::{Edit, Landmark, Layer};

/// The sides of a pair that are set so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Half {
    /// Which side the next click sets.
    pub(crate) next: Side,
    /// The moving side, in the moving layer before its placement, µm.
    pub(crate) moving_um: Option<DVec3>,
    /// The fixed side, world µm.
    pub(crate) fixed_um: Option<DVec3>,
}

/// A side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Side {
    /// In the volume that is moved.
    #[default]
    Moving,
    /// In the volume that stays.
    Fixed,
}

/// Sets the next side of the pair at a world point; a whole pair goes into the project.
pub(crate) fn click(cx: &mut Cx<'_>, moving: &Layer, world_um: DVec3) {
    let half = &mut cx.view.half_landmark;
    match half.next {
        Side::Moving => {
            half.moving_um = Some(moving.placement.inverse().transform_point3(world_um));
            half.next = Side::Fixed;
        }
        Side::Fixed => {
            half.fixed_um = Some(world_um);
            half.next = Side::Moving;
        }
    }
    let (Some(moving_um), Some(fixed_um)) = (half.moving_um, half.fixed_um) else { return };
    *half = Half::default();
    let mut landmarks = cx.session.project().landmarks.clone();
    let name = (1..)
        .map(|n| format!("P{n}"))
        .find(|name| landmarks.iter().all(|l| l.name != *name))
        .unwrap_or_default();
    landmarks.push(Landmark {
        name,
        moving_layer: Some(moving.id),
        fixed_layer: None,
        moving_um: moving_um.to_array(),
        fixed_um: fixed_um.to_array(),
        used: true,
    });
    cx.queue.edit("Add landmark", Edit::SetLandmarks(landmarks));
}
