//! The brush and the eraser: pointer movements become stamps into the labels.

use glam::DVec3;

use super::{brush_plane, ensure_class, index_at, locked, paint_target};
use crate::gui::state::{self, ViewKind, ViewState};
use crate::segment::brush::{Brush, BrushShape, PaintOver, stamp_stroke};
use crate::session::Session;

/// A piece of a stroke, from one pointer position to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stamp {
    /// In which view.
    pub(crate) view: ViewKind,
    /// Where it starts, world µm.
    pub(crate) from_um: DVec3,
    /// Where it ends, world µm.
    pub(crate) to_um: DVec3,
    /// Takes labels away.
    pub(crate) erase: bool,
}

/// Puts a piece of a stroke into the labels.
pub(crate) fn apply(session: &mut Session, view: &mut ViewState, stamp: &Stamp) {
    if !stamp.erase {
        ensure_class(session, view);
    }
    let Some(target) = paint_target(session, view) else { return };
    let Some(layer) = session.project().layer(target) else { return };
    let (Some(from), Some(to)) = (index_at(layer, stamp.from_um), index_at(layer, stamp.to_um)) else {
        return;
    };
    let guide = view
        .brush
        .limited
        .then(|| state::main_volume(session.project(), view).map(|layer| layer.id))
        .flatten();
    let voxel_um = layer.labels().and_then(|labels| labels.voxel_um).unwrap_or([1.0; 3]);
    let settings = view.brush;
    let class = if stamp.erase { 0 } else { view.class };
    let painted = session.paint(target, guide, |labels, volume, classes| {
        let brush = Brush {
            shape: if settings.ball { BrushShape::Ball } else { BrushShape::Disc },
            radius_voxels: settings.radius,
            voxel_um,
            plane: brush_plane(stamp.view),
            class,
            lac_limit: settings.limited.then_some(settings.limit),
            over: PaintOver::All,
            locked: locked(classes),
        };
        stamp_stroke(labels, volume, from, to, &brush)
    });
    // The layer was there a moment ago; if it is gone, there is nothing to paint on.
    drop(painted);
}
