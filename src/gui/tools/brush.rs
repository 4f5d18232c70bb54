//! The brush, the eraser and the supervoxel brush: pointer movements become stamps into the labels.

use glam::DVec3;

use super::{brush_plane, canvas, index_at, voxel_um};
use crate::gui::state::{self, Tool, ViewId, ViewState};
use crate::segment::brush::{Brush, BrushShape, merge_deltas, stamp_stroke};
use crate::segment::region_brush::paint_regions;
use crate::segment::smart::smart_stamp;
use crate::session::{Command, Session};

/// A piece of a stroke, from one pointer position to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stamp {
    /// In which view.
    pub(crate) view: ViewId,
    /// Where it starts, world µm.
    pub(crate) from_um: DVec3,
    /// Where it ends, world µm.
    pub(crate) to_um: DVec3,
    /// Takes labels away.
    pub(crate) erase: bool,
    /// How hard a pen presses, 0 to 1: a part of the radius. 1 for a mouse.
    pub(crate) pressure: f32,
}

/// The part of the radius that a pen paints with: a fifth where it hardly touches.
fn part_of_radius(pressure: f32) -> f64 {
    0.2 + 0.8 * f64::from(pressure.clamp(0.0, 1.0))
}

/// Puts a piece of a stroke into the labels; a sentence where it could not.
pub(crate) fn apply(session: &mut Session, view: &mut ViewState, stamp: &Stamp) -> Result<(), String> {
    let Some(canvas) = canvas(session, view, stamp.erase) else { return Ok(()) };
    let Some(layer) = session.project().layer(canvas.layer) else { return Ok(()) };
    let (Some(from), Some(to)) = (index_at(layer, stamp.from_um), index_at(layer, stamp.to_um)) else {
        return Ok(());
    };
    let mut settings = view.brush.clone();
    if settings.pen_pressure {
        settings.radius *= part_of_radius(stamp.pressure);
    }
    let brush = Brush {
        shape: if settings.ball { BrushShape::Ball } else { BrushShape::Disc },
        radius_voxels: settings.radius,
        voxel_um: voxel_um(layer),
        plane: brush_plane(view, stamp.view, layer),
        class: canvas.class,
        limits: canvas.limits,
    };
    if view.tool == Tool::Regions {
        return regions(session, view, canvas.layer, [from, to], &brush);
    }
    let painted = session.paint(canvas.layer, canvas.guide, |labels, volume, _| match volume {
        Some(volume) if settings.smart => merge_deltas(
            along(from, to, settings.radius)
                .map(|at| smart_stamp(labels, volume, at, &brush, settings.sensitivity)),
        ),
        _ => stamp_stroke(labels, volume, from, to, &brush),
    });
    painted.map_err(|error| error.to_string())
}

/// Places along a line for a brush that looks around at each: a third of its radius apart, the start left out
/// unless it is the whole line.
fn along(from: [f64; 3], to: [f64; 3], radius: f64) -> impl Iterator<Item = [f64; 3]> {
    let length = (0..3).map(|a| (to[a] - from[a]).powi(2)).sum::<f64>().sqrt();
    // A line from one corner of a volume to the other is as long as it gets.
    let n = (length / (radius / 3.0).max(1.0)).ceil().clamp(1.0, 1e4) as usize;
    (1..=n).map(move |i| std::array::from_fn(|a| from[a] + (to[a] - from[a]) * i as f64 / n as f64))
}

/// Paints the supervoxels that are touched: those of a region layer on this grid, else those of the classifier.
fn regions(
    session: &mut Session,
    view: &ViewState,
    target: crate::project::LayerId,
    [from, to]: [[f64; 3]; 2],
    brush: &Brush,
) -> Result<(), String> {
    let project = session.project();
    let Some(main) = state::main_volume(project, view) else { return Ok(()) };
    let (guide, shape) = (main.id, main.content.shape());
    let shown = project.from_top().find_map(|layer| match &layer.content {
        crate::project::Content::Regions(regions)
            if layer.display.visible && Some(regions.shape()) == shape =>
        {
            Some(std::sync::Arc::clone(regions))
        }
        _ => None,
    });
    let made = session.regions(guide);
    let Some(ids) = shown.as_ref().map(|r| r.data.view()).or(made.as_ref().map(|c| c.regions.ids.view()))
    else {
        let params = view.forms.get("segment").cloned().unwrap_or(serde_json::Value::Null);
        session.apply(Command::PrepareRegions { volume: guide, params });
        return Err("Making the supervoxels, once for this volume; paint again in a moment".to_owned());
    };
    // Megavoxels join the classifier's regions, not those of a layer.
    let groups = view.brush.groups.as_ref().filter(|groups| shown.is_none() && groups.0 == guide);
    let groups = groups.map(|(_, of_region)| of_region.as_slice());
    let painted = session.paint(target, Some(guide), |labels, volume, _| {
        paint_regions(labels, volume, ids, groups, from, to, brush)
    });
    painted.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pen_that_is_pressed_fully_paints_as_a_mouse_does() {
        assert!((part_of_radius(1.0) - 1.0).abs() < 1e-12);
        assert!(part_of_radius(0.0) > 0.1 && part_of_radius(0.5) > part_of_radius(0.2));
        assert!((part_of_radius(7.0) - 1.0).abs() < 1e-12, "whatever a driver tells");
    }
}
