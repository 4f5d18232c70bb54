//! The fill and the wand: what hangs together under one label, or is alike in LAC as well.

use glam::DVec3;

use super::{brush_plane, canvas};
use crate::base::Progress;
use crate::gui::state::{self, ViewId, ViewState};
use crate::segment::fill::{Fill, fill};
use crate::session::Session;
use crate::volume::labels::BrickDelta;

/// Where a fill starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FillAt {
    /// In which view.
    pub(crate) view: ViewId,
    /// World µm.
    pub(crate) at_um: DVec3,
    /// Takes labels away.
    pub(crate) erase: bool,
    /// How far from the LAC there it may go; `None` fills whatever the LAC.
    pub(crate) tolerance: Option<f32>,
    /// The gesture goes on: what it has filled so far is taken back first, and it is no step yet.
    pub(crate) pulling: bool,
}

/// Most voxels a fill may take before it is called a leak: about a quarter of a 256³ volume.
const MOST: u64 = 4_000_000;

/// Fills; a sentence where it could not.
pub(crate) fn apply(session: &mut Session, view: &mut ViewState, at: &FillAt) -> Result<(), String> {
    session.restart_stroke();
    let Some(canvas) = canvas(session, view, at.erase) else { return Ok(()) };
    let project = session.project();
    let Some(layer) = project.layer(canvas.layer) else { return Ok(()) };
    let Some(seed) = state::voxel_at(layer, at.at_um) else {
        return Err("Click inside the volume to fill".to_owned());
    };
    let main = state::main_volume(project, view);
    let value = main.and_then(|m| m.volume()?.data.get(state::voxel_at(m, at.at_um)?).copied());
    let mut limits = canvas.limits;
    if let (Some(tolerance), Some(value)) = (at.tolerance, value) {
        let [low, high] = limits.lac.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        limits.lac = Some([low.max(value - tolerance), high.min(value + tolerance)]);
    }
    limits.lac = limits.lac.filter(|_| canvas.guide.is_some());
    let settings = Fill {
        class: canvas.class,
        plane: view.brush.fill_in_plane.then(|| brush_plane(view, at.view, layer)),
        limits,
        max_voxels: MOST,
    };
    let mut outcome = Ok(());
    let painted = session.paint(canvas.layer, canvas.guide, |labels, volume, _| {
        fill(&Progress::new(), labels, volume, seed, &settings).unwrap_or_else(|error| {
            outcome = Err(format!("Not filled: {error}"));
            BrickDelta::new()
        })
    });
    if !at.pulling {
        session.end_stroke("Fill");
    }
    painted.map_err(|error| error.to_string())?;
    outcome
}
