//! Ways to lay the oblique slice: through three points, along or across a cell.

use egui::{Painter, Stroke};
use glam::DVec3;

use super::super::frame::Cx;
use super::super::state::{self, Tilt, ViewId, ViewKind, ViewState};
use super::super::theme::Tokens;
use super::scale_bar::halo_text;
use super::slice_view::Geometry;
use crate::base::Progress;
use crate::measure::axes::{Moments, PrincipalAxes};
use crate::project::{Layer, Project};
use crate::segment::object::Object;

/// Most voxels of an object whose axes are looked for.
const MOST: u64 = 64_000_000;

/// How the slice lies to what it is aligned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// It holds the longest and the second axis.
    Along,
    /// The longest axis stands upright on it.
    Across,
}

/// Sets a point; with the third the slice goes through them. A sentence where they make no plane.
pub(crate) fn point(view: &mut ViewState, at_um: DVec3) -> Result<(), String> {
    view.plane_points.push(at_um);
    let [a, b, c] = *view.plane_points else { return Ok(()) };
    view.plane_points.clear();
    view.tool = state::Tool::Navigate;
    let tilt = through(a, b, c).ok_or("Three points on one line make no plane; set them again")?;
    lay(view, tilt, (a + b + c) / 3.0);
    Ok(())
}

/// The plane through three points: from the first to the second runs right, y or z runs down.
fn through(a: DVec3, b: DVec3, c: DVec3) -> Option<Tilt> {
    let size = (b - a).length().max((c - a).length());
    let normal = (b - a).cross(c - a);
    if normal.length().is_nan() || normal.length() < 1e-6 * size * size || size == 0.0 {
        return None;
    }
    let mut right = (b - a).normalize();
    if right.dot(DVec3::new(1.0, 0.1, 0.5)) < 0.0 {
        right = -right;
    }
    let down = normal.cross(right).normalize();
    let is_upside_down = down.dot(DVec3::new(0.1, 1.0, 0.5)) < 0.0;
    Some(Tilt { right, down: if is_upside_down { -down } else { down } })
}

/// Shows a slice through a point.
fn lay(view: &mut ViewState, tilt: Tilt, at_um: DVec3) {
    view.tilt = tilt;
    (view.cursor_um, view.center_um) = (at_um, at_um);
    view.want(ViewKind::Oblique);
}

/// What the slice is aligned to: the object at the crosshair, else the chosen class where the labels have it.
pub(crate) fn align(project: &Project, view: &mut ViewState, lie: Lie) -> Result<String, String> {
    let nothing =
        || "Aligning needs labels: an object at the crosshair, or voxels of the chosen class".to_owned();
    let layer = state::paint_layer(project, view).ok_or_else(nothing)?;
    let (name, axes) = object_axes(project, layer, view.cursor_um)
        .or_else(|| class_axes(project, layer, view.class))
        .ok_or_else(nothing)?;
    let [long, second, short] = axes.directions;
    let tilt = match lie {
        Lie::Along => Tilt { right: long, down: second },
        Lie::Across => Tilt { right: second, down: short },
    };
    lay(view, tilt, axes.center_um);
    let [a, b, c] = axes.sd_um;
    let word = if lie == Lie::Along { "along" } else { "across" };
    Ok(format!("The slice lies {word} the long axis of {name}; it is {:.2} : {:.2} : 1 long", a / c, b / c))
}

fn object_axes(project: &Project, layer: &Layer, at_um: DVec3) -> Option<(String, PrincipalAxes)> {
    let labels = &layer.labels()?.labels;
    let seed = state::voxel_at(layer, at_um)?;
    let object = Object::at(&Progress::new(), labels, seed, MOST).ok()?;
    let (lo, hi) = object.bounds();
    let mut moments = Moments::default();
    for z in lo[0]..hi[0] {
        for y in lo[1]..hi[1] {
            (lo[2]..hi[2]).filter(|x| object.has([z, y, *x])).for_each(|x| moments.add([z, y, x]));
        }
    }
    let name = format!("this {}", project.classes.name(labels.get(seed)));
    Some((name, moments.axes(state::world_from_voxel(layer)?)?))
}

fn class_axes(project: &Project, layer: &Layer, class: u16) -> Option<(String, PrincipalAxes)> {
    let moments = Moments::of_class(&layer.labels()?.labels, class);
    Some((project.classes.name(class), moments.axes(state::world_from_voxel(layer)?)?))
}

/// The points that are set so far.
pub(super) fn paint(painter: &Painter, geometry: &Geometry, id: ViewId, cx: &Cx<'_>, t: &Tokens) {
    let normal = cx.view.normal(id);
    let near = geometry.um_per_pt * 40.0;
    for (i, p) in cx.view.plane_points.iter().enumerate() {
        let away = (*p - geometry.center_um).dot(normal).abs();
        let fade = (1.0 - away / near) as f32;
        if fade > 0.0 {
            let at = geometry.screen(*p);
            painter.circle(at, 4.0, t.canvas_halo, Stroke::new(1.5, t.accent.gamma_multiply(fade)));
            halo_text(
                painter,
                at + egui::vec2(7.0, -7.0),
                egui::Align2::LEFT_BOTTOM,
                &(i + 1).to_string(),
                t,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_points_lie_in_the_plane_that_goes_through_them() {
        let points = [DVec3::new(1.0, 2.0, 3.0), DVec3::new(-2.0, 0.5, 4.0), DVec3::new(0.3, -1.0, 0.2)];
        let [a, b, c] = points;
        let tilt = through(a, b, c).unwrap();
        assert!((tilt.normal().length() - 1.0).abs() < 1e-12);
        for p in points {
            assert!((p - a).dot(tilt.normal()).abs() < 1e-12);
        }
        assert!(tilt.down.y > 0.0 || tilt.down.z > 0.0, "not upside down: {tilt:?}");
        assert!(through(a, b, a + (b - a) * 0.4).is_none());
        assert!(through(a, a, b).is_none());
        assert!(through(a, b, DVec3::NAN).is_none());
    }
}
