//! The 3D view: turn, zoom, move; coarse while moving, fine when still. A click moves the crosshair to what is seen.

use egui::{Align2, PointerButton, Sense, Stroke, vec2};
use glam::{DVec2, DVec3};

use super::super::draw::{self, Drawer};
use super::super::frame::Cx;
use super::super::state::{self, ViewId};
use super::super::tour::{self, Step};
use super::{annotate_3d, clip, input, scale_bar};
use crate::base::Unit;
use crate::gui::theme::{self, Tokens};
use crate::render::cpu;
use crate::render::figure::Scene;
use crate::render::scene::bounds_um;
use crate::render::transfer::{TransferFunction, TransferPreset};

/// A preset for the main volume: as it is in 1/µm, stretched to what occurs, and over its size, in any other unit.
pub(crate) fn preset_for(preset: TransferPreset, cx: &mut Cx<'_>) -> TransferFunction {
    let layer = state::main_volume(cx.session.project(), cx.view);
    let Some((layer, volume)) = layer.and_then(|layer| Some((layer, layer.volume()?))) else {
        return preset.function();
    };
    let bounds = bounds_um(volume.world_from_voxel().0, volume.shape());
    let window = cx.derived.stats(layer).map_or([0.0, 1.0], |stats| stats.window);
    preset.for_volume(volume.unit, window, bounds)
}

/// Gives a volume in another unit than 1/µm a curve of its own where nobody has chosen one.
fn fit_curve(cx: &mut Cx<'_>) {
    let layer = state::main_volume(cx.session.project(), cx.view);
    let has_other_unit =
        layer.and_then(|layer| layer.volume()).is_some_and(|volume| volume.unit != Unit::PerUm);
    if has_other_unit && cx.view.look.transfer == TransferFunction::default() {
        cx.view.look.transfer = preset_for(TransferPreset::default(), cx);
    }
}

/// Draws it and takes its input.
pub(crate) fn show(ui: &mut egui::Ui, id: ViewId, cx: &mut Cx<'_>, drawer: Option<&mut Drawer>) {
    let t = theme::over_data();
    let rect = ui.available_rect_before_wrap();
    let response = ui.allocate_rect(rect, Sense::click_and_drag());
    // "3D", "3D 2": the number goes with the name.
    let name = cx.view.label(id).replacen("3D", "Volume view", 1);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &name));
    if rect.width() < 8.0 || rect.height() < 8.0 {
        return;
    }
    tour::anchor(ui, cx.view, Step::Volume, rect);
    fit_curve(cx);
    if !clip::drag(ui, &response, rect, id, cx) {
        handle(ui, &response, rect, id, cx);
        pick(ui, &response, rect, id, cx);
    }
    ui.painter().rect_filled(rect, 0, t.canvas);
    if let Some(drawer) = drawer {
        drawer.volume(ui, rect, id, cx);
    }
    let painter = ui.painter().with_clip_rect(rect);
    if cx.view.look.crosshair && cx.view.picture.is_none() {
        crosshair(&painter, rect, id, cx, t);
    }
    if cx.view.picture.is_none() {
        clip::paint(ui, &painter, rect, id, cx, t);
    }
    let unit = state::length_unit(state::main_volume(cx.session.project(), cx.view));
    let um_per_pt = cx.view.camera(id).um_per_px(f64::from(rect.height()));
    let bar = scale_bar::paint(&painter, rect, um_per_pt, unit, t);
    annotate_3d::paint(&painter, (rect, bar), id, cx, t);
    axes(&painter, rect, id, cx, t);
    super::surface_menu::overlay(ui, &painter, rect, id, cx, t);
    if let Some(picture) = cx.view.picture.as_mut().filter(|picture| picture.view == id) {
        picture.rect = Some(rect);
    }
}

fn handle(ui: &egui::Ui, response: &egui::Response, rect: egui::Rect, id: ViewId, cx: &mut Cx<'_>) {
    let shift = ui.input(|i| i.modifiers.shift);
    if response.contains_pointer() {
        for turn in input::wheel(ui) {
            cx.view.set_camera(id, |camera| {
                camera.zoom(1.12f64.powf(f64::from(turn.lines)));
                camera.pan(DVec2::new(f64::from(turn.aside), 0.0), f64::from(rect.height()));
            });
        }
        if let Some((moved, spread)) = input::fingers(ui) {
            cx.view.set_camera(id, |camera| {
                camera.pan(DVec2::new(f64::from(moved.x), f64::from(moved.y)), f64::from(rect.height()));
                camera.zoom(f64::from(spread));
            });
            return;
        }
        let pinch = input::pinch(ui);
        if pinch != 1.0 {
            cx.view.set_camera(id, |camera| camera.zoom(f64::from(pinch)));
        }
    }
    let delta = response.drag_delta();
    if delta != egui::Vec2::ZERO {
        let delta = DVec2::new(f64::from(delta.x), f64::from(delta.y));
        let pan = response.dragged_by(PointerButton::Middle)
            || response.dragged_by(PointerButton::Secondary)
            || shift;
        cx.view.set_camera(id, |camera| {
            if pan {
                camera.pan(delta, f64::from(rect.height()));
            } else {
                camera.orbit_turntable(delta * 0.008);
            }
        });
    }
    if response.double_clicked()
        && let Some(bounds) = state::main_volume(cx.session.project(), cx.view).and_then(state::layer_bounds)
    {
        cx.view.set_camera(id, |camera| camera.fit(bounds));
    }
}

/// A click moves the crosshair to what is seen there.
fn pick(ui: &egui::Ui, response: &egui::Response, rect: egui::Rect, id: ViewId, cx: &mut Cx<'_>) {
    let Some(pos) = response.interact_pointer_pos().filter(|_| response.clicked()) else { return };
    let scale = f64::from(ui.ctx().pixels_per_point());
    let Some(scene) = draw::volume_scene(rect, scale, id, cx) else { return };
    let scene = Scene::Volume(scene);
    let sources = draw::sources_of(&scene, cx.session, cx.view, cx.derived);
    let Scene::Volume(scene) = &scene else { return };
    let at = (pos - rect.min) / rect.size();
    if let Some(world_um) = cpu::pick(&sources, scene, DVec2::new(f64::from(at.x), f64::from(at.y))) {
        cx.view.cursor_um = world_um;
    }
}

/// The crosshair: a line along each axis through it, as long as the volume.
fn crosshair(painter: &egui::Painter, rect: egui::Rect, id: ViewId, cx: &Cx<'_>, t: &Tokens) {
    let Some((low, high)) = state::main_volume(cx.session.project(), cx.view).and_then(state::layer_bounds)
    else {
        return;
    };
    let aspect = f64::from(rect.width() / rect.height().max(1.0));
    let camera = cx.view.camera(id);
    let place = |world_um: DVec3| {
        let uv = camera.project(world_um, aspect)?;
        Some(rect.min + vec2(uv.x as f32 * rect.width(), uv.y as f32 * rect.height()))
    };
    let cursor = cx.view.cursor_um;
    for axis in 0..3 {
        let (mut from, mut to) = (cursor, cursor);
        (from[axis], to[axis]) = (low[axis], high[axis]);
        if let (Some(from), Some(to)) = (place(from), place(to)) {
            let color = t.axes.get(axis).copied().unwrap_or(t.on_canvas);
            painter.line_segment([from, to], Stroke::new(1.0, color.gamma_multiply(0.8)));
        }
    }
    if let Some(at) = place(cursor) {
        painter.circle_stroke(at, 4.0, Stroke::new(1.5, t.on_canvas));
    }
}

/// The three axes as seen, at the bottom left.
fn axes(painter: &egui::Painter, rect: egui::Rect, id: ViewId, cx: &Cx<'_>, t: &Tokens) {
    let center = rect.left_bottom() + vec2(38.0, -38.0);
    for axis in cx.view.camera(id).axes() {
        let index = match axis.name {
            "x" => 0,
            "y" => 1,
            _ => 2,
        };
        let fade = if axis.depth > 0.0 { 0.55 } else { 1.0 };
        let color = t.axes.get(index).copied().unwrap_or(t.on_canvas).gamma_multiply(fade);
        let end = center + vec2(axis.direction.x as f32, axis.direction.y as f32) * 22.0;
        painter.line_segment([center, end], Stroke::new(3.5, t.canvas_halo));
        painter.line_segment([center, end], Stroke::new(1.75, color));
        let letter = center + vec2(axis.direction.x as f32, axis.direction.y as f32) * 31.0;
        painter.text(letter, Align2::CENTER_CENTER, axis.name, theme::medium(11.0), color);
    }
}
