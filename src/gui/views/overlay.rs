//! What is drawn over a slice besides crosshair and scale bar: the brush, landmarks, notes.

use egui::{Align2, Painter, Rect, Stroke, vec2};

use super::super::frame::Cx;
use super::super::state::{self, ObjectAction, Tool, ViewId};
use super::super::theme::{self, Tokens};
use super::scale_bar::halo_text;
use super::slice_view::Geometry;

/// The outline of the brush where the pointer is, in every plane that it cuts.
pub(crate) fn brush(painter: &Painter, geometry: &Geometry, id: ViewId, cx: &Cx<'_>, t: &Tokens) {
    if !cx.view.tool.has_brush() {
        return;
    }
    let Some(hover) = &cx.view.hover else { return };
    let project = cx.session.project();
    let Some(layer) = state::paint_layer(project, cx.view).or_else(|| state::main_volume(project, cx.view))
    else {
        return;
    };
    let Some(map) = state::world_from_voxel(layer) else { return };
    let voxel = (0..3).map(|axis| map.matrix3.col(axis).length()).fold(f64::INFINITY, f64::min);
    let radius = (cx.view.brush.radius + 0.5) * voxel;
    let erasing = cx.view.tool == Tool::Eraser || cx.view.stroke.is_some_and(|stroke| stroke.erase);
    let color = if erasing {
        t.on_canvas
    } else {
        project.classes.get(cx.view.class).map_or(t.accent, |class| theme::class_color(class.color))
    };
    let at = geometry.screen(hover.world_um);
    let points = |um: f64| (um / geometry.um_per_pt) as f32;
    let away = (hover.world_um - cx.view.cursor_um).dot(cx.view.normal(id));
    if hover.view == id {
        painter.circle_stroke(at, points(radius) + 1.0, Stroke::new(1.0, t.canvas_halo));
        painter.circle_stroke(at, points(radius), Stroke::new(1.25, color));
    } else if cx.view.brush.ball {
        // The circle in which this slice cuts the ball.
        let cut = radius * radius - away * away;
        if cut > 0.0 {
            painter.circle_stroke(at, points(cut.sqrt()), Stroke::new(1.0, color.gamma_multiply(0.8)));
        }
    } else if away.abs() <= radius {
        let across = cx.view.normal(hover.view);
        disc_on_edge(painter, geometry, across, (at, points(radius), points(voxel)), color);
    }
}

/// A disc seen from its edge: a bar as thick as a slice, where this view cuts the disc's plane, whose normal is `across`.
fn disc_on_edge(
    painter: &Painter,
    geometry: &Geometry,
    across: glam::DVec3,
    (at, radius, voxel): (egui::Pos2, f32, f32),
    color: egui::Color32,
) {
    let Some(along) = geometry.trace(across) else { return };
    let (long, short) = (along * radius, along.rot90() * (voxel.max(2.0) * 0.5));
    let corners = [at + long + short, at + long - short, at - long - short, at - long + short];
    if Rect::from_points(&corners).intersects(geometry.rect) {
        let outline = Stroke::new(1.0, color.gamma_multiply(0.8));
        painter.add(egui::Shape::closed_line(corners.to_vec(), outline));
    }
}

/// The box around the object that is being proofread, where this slice cuts it.
pub(crate) fn reviewed(painter: &Painter, geometry: &Geometry, id: ViewId, cx: &Cx<'_>, t: &Tokens) {
    let session = cx.session;
    let chosen = cx.view.review.chosen.filter(|_| cx.view.review.open);
    let Some(review) = session.review() else { return };
    let Some(finding) = chosen.and_then(|row| review.findings.get(row)) else { return };
    let map = session.project().layer(review.layer).and_then(state::world_from_voxel);
    let Some(map) = map else { return };
    let corner = |zyx: [usize; 3]| {
        let [z, y, x] = zyx.map(|i| i as f64 - 0.5);
        map.transform_point3(glam::DVec3::new(x, y, z))
    };
    let (lo, hi) = (corner(finding.bounds.0), corner(finding.bounds.1));
    // The corners as this view sees them: the box is cut where they lie on both sides of the slice.
    let corners: [glam::DVec3; 8] = std::array::from_fn(|i| {
        let pick = |axis: usize| if i >> axis & 1 == 0 { lo[axis] } else { hi[axis] };
        glam::DVec3::new(pick(0), pick(1), pick(2))
    });
    let normal = cx.view.normal(id);
    let away = corners.map(|corner| (corner - cx.view.cursor_um).dot(normal));
    if away.iter().all(|d| *d < 0.0) || away.iter().all(|d| *d > 0.0) {
        return;
    }
    let rect = Rect::from_points(&corners.map(|corner| geometry.screen(corner))).expand(4.0);
    painter.rect_stroke(rect, 3, Stroke::new(3.0, t.canvas_halo), egui::StrokeKind::Outside);
    painter.rect_stroke(rect, 3, Stroke::new(1.25, t.on_canvas), egui::StrokeKind::Outside);
}

/// The outline or the line that is being drawn.
pub(crate) fn gesture(painter: &Painter, geometry: &Geometry, id: ViewId, cx: &Cx<'_>, t: &Tokens) {
    let class = cx.session.project().classes.get(cx.view.class);
    let color = |erase: bool| match class {
        Some(class) if !erase => theme::class_color(class.color),
        _ => t.on_canvas,
    };
    let line = |points: Vec<egui::Pos2>, color: egui::Color32| {
        painter.line(points.clone(), Stroke::new(3.0, t.canvas_halo));
        painter.line(points, Stroke::new(1.5, color));
    };
    if let Some(outline) = cx.view.outline.as_ref().filter(|outline| outline.view == id) {
        let color = color(outline.erase);
        let mut points: Vec<_> = outline.corners_um.iter().map(|at| geometry.screen(*at)).collect();
        let corners = points.clone();
        if let Some(hover) = cx.view.hover.as_ref().filter(|hover| hover.view == id && !outline.lasso) {
            points.push(geometry.screen(hover.world_um));
        }
        if let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) {
            let back = egui::Shape::dashed_line(&[last, first], Stroke::new(1.0, color), 4.0, 4.0);
            painter.extend(back);
        }
        line(points, color);
        if !outline.lasso {
            for at in corners {
                painter.circle(at, 3.0, t.canvas_halo, Stroke::new(1.5, color));
            }
        }
    }
    let cutting = cx.view.tool == Tool::Object && cx.view.brush.object == ObjectAction::Cut;
    if let Some(pull) = cx.view.pull.filter(|pull| pull.view == id && cutting) {
        line(vec![geometry.screen(pull.from_um), geometry.screen(pull.to_um)], t.on_canvas);
    }
}

/// Landmarks near the slice, with their names; the half pair that is being set.
pub(crate) fn landmarks(painter: &Painter, geometry: &Geometry, id: ViewId, cx: &Cx<'_>, t: &Tokens) {
    if cx.view.stage != crate::ops::Stage::Correlate {
        return;
    }
    let project = cx.session.project();
    let normal = cx.view.normal(id);
    let distance = |p: glam::DVec3| (p - cx.view.cursor_um).dot(normal).abs();
    let near = geometry.um_per_pt * 40.0;
    let mark = |p: glam::DVec3, color: egui::Color32, name: &str| {
        let fade = (1.0 - distance(p) / near) as f32;
        if fade <= 0.0 {
            return;
        }
        let at = geometry.screen(p);
        painter.circle_stroke(at, 5.0, Stroke::new(3.0, t.canvas_halo.gamma_multiply(fade)));
        painter.circle_stroke(at, 5.0, Stroke::new(1.5, color.gamma_multiply(fade)));
        if !name.is_empty() && fade > 0.3 {
            halo_text(painter, at + vec2(8.0, -6.0), Align2::LEFT_CENTER, name, t);
        }
    };
    for pair in &project.landmarks {
        let placement = pair
            .moving_layer
            .and_then(|id| project.layer(id))
            .map_or(glam::DAffine3::IDENTITY, |layer| layer.placement);
        let moving = placement.transform_point3(glam::DVec3::from_array(pair.moving_um));
        let fixed = glam::DVec3::from_array(pair.fixed_um);
        if distance(fixed) < near && distance(moving) < near {
            painter.line_segment(
                [geometry.screen(moving), geometry.screen(fixed)],
                Stroke::new(1.0, t.warning.gamma_multiply(0.8)),
            );
        }
        mark(moving, t.warning, "");
        mark(fixed, t.accent, &pair.name);
    }
    let half = cx.view.half_landmark;
    if let Some(p) = half.moving_um {
        let placement =
            cx.view.moving.and_then(|id| project.layer(id)).map_or(glam::DAffine3::IDENTITY, |l| l.placement);
        mark(placement.transform_point3(p), t.warning, "new");
    }
    if let Some(p) = half.fixed_um {
        mark(p, t.accent, "new");
    }
}

/// Says where a picture is coarser than the data.
pub(crate) fn level_badge(painter: &Painter, rect: Rect, cx: &Cx<'_>, t: &Tokens) {
    let Some(layer) = state::main_volume(cx.session.project(), cx.view) else { return };
    if let Some(volume) = layer.volume()
        && volume.voxel_um.is_none()
    {
        halo_text(
            painter,
            rect.left_bottom() + vec2(10.0, -10.0),
            Align2::LEFT_BOTTOM,
            "voxel size unknown",
            t,
        );
    }
}
