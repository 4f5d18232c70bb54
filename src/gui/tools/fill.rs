//! The fill: a click floods what is connected and alike in LAC.

use glam::DVec3;

use super::{brush_plane, ensure_class, locked, paint_target};
use crate::base::Progress;
use crate::gui::state::{self, ViewKind, ViewState};
use crate::segment::fill::{Fill, fill};
use crate::session::Session;

/// Where a fill starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FillAt {
    /// In which view.
    pub(crate) view: ViewKind,
    /// World µm.
    pub(crate) at_um: DVec3,
    /// Takes labels away.
    pub(crate) erase: bool,
}

/// Most voxels a fill may take before it is called a leak: about a quarter of a 256³ volume.
const MOST: u64 = 4_000_000;

/// Fills; a sentence where it could not.
pub(crate) fn apply(session: &mut Session, view: &mut ViewState, at: &FillAt) -> Result<(), String> {
    if !at.erase {
        ensure_class(session, view);
    }
    let Some(target) = paint_target(session, view) else { return Ok(()) };
    let project = session.project();
    let Some(layer) = project.layer(target) else { return Ok(()) };
    let Some(seed) = state::voxel_at(layer, at.at_um) else {
        return Err("Click inside the volume to fill".to_owned());
    };
    let main = state::main_volume(project, view);
    let guide = main.filter(|m| m.content.shape() == layer.content.shape()).map(|m| m.id);
    let value = main.and_then(|m| m.volume()?.data.get(state::voxel_at(m, at.at_um)?).copied());
    let brush = view.brush;
    let range = if brush.limited {
        Some(brush.limit)
    } else {
        value.map(|v| [v - brush.tolerance, v + brush.tolerance])
    };
    let class = if at.erase { 0 } else { view.class };
    let mut outcome = Ok(());
    let painted = session.paint(target, guide, |labels, volume, classes| {
        let settings = Fill {
            class,
            plane: brush.fill_in_plane.then(|| brush_plane(at.view)),
            lac_limit: volume.and(range),
            locked: locked(classes),
            max_voxels: MOST,
        };
        match fill(&Progress::new(), labels, volume, seed, &settings) {
            Ok(delta) => delta,
            Err(error) => {
                outcome = Err(format!("Not filled: {error}"));
                crate::volume::labels::BrickDelta::new()
            }
        }
    });
    session.end_stroke("Fill");
    painted.map_err(|error| error.to_string())?;
    outcome
}
