//! The views and what is drawn over them.

pub(crate) mod annotate;
pub(crate) mod annotate_3d;
pub(crate) mod beads;
pub(crate) mod clip;
mod clip_menu;
mod crosshair;
pub(crate) mod dock;
mod gestures;
mod input;
pub(crate) mod look;
mod look_menu;
mod oblique;
mod overlay;
pub(crate) mod reslice;
mod scale_bar;
pub(crate) mod scan_view;
pub(crate) mod slice_view;
mod surface_menu;
mod title;
mod view_menu;
pub(crate) mod volume_view;

use glam::DVec3;

use super::draw::Drawer;
use super::frame::Cx;
use super::moment::KeptLook;
use super::state::{self, FittedTo, ViewId};
use crate::ops::Stage;
use crate::project::Layer;

/// Draws the views, or the one that has all the room.
pub(crate) fn show(
    ui: &mut egui::Ui,
    cx: &mut Cx<'_>,
    dock: &mut dock::Dock,
    mut drawer: Option<&mut Drawer>,
) {
    let of_scan = matches!(cx.view.stage, Stage::Scan | Stage::Align) && cx.view.scan.open;
    let has_scan = super::panels::scan::scan_layer(cx.session.project()).is_some();
    if !cx.facts.volume || (of_scan && has_scan) {
        cx.view.hover = None;
        scan_view::show(ui, cx);
        return;
    }
    fit_to_new_volume(cx);
    super::surfaces::follow(cx);
    if let Some(drawer) = drawer.as_deref_mut() {
        drawer.sync(cx);
    }
    cx.view.hover = None;
    cx.view.views.pointed = None;
    dock.show(ui, cx, drawer);
}

/// One view with its title bar; true where a drag of the title wants to move it.
pub(crate) fn view(ui: &mut egui::Ui, id: ViewId, cx: &mut Cx<'_>, drawer: Option<&mut Drawer>) -> bool {
    if ui.rect_contains_pointer(ui.max_rect()) {
        cx.view.views.pointed = Some(id);
        if ui.input(|i| i.pointer.any_pressed()) {
            cx.view.views.active = Some(id);
        }
    }
    cx.view.enter(id);
    let is_moved = title::show(ui, id, cx);
    match cx.view.plane(id) {
        Some(plane) => slice_view::show(ui, id, plane, cx, drawer),
        None => volume_view::show(ui, id, cx, drawer),
    }
    cx.view.leave();
    is_moved
}

/// Shows the whole of a volume that the views have not seen yet; another volume of the same place changes nothing.
fn fit_to_new_volume(cx: &mut Cx<'_>) {
    let Some(layer) = state::main_volume(cx.session.project(), cx.view) else { return };
    let Some(bounds) = state::layer_bounds(layer) else { return };
    let voxel_um = layer.volume().map_or([1.0; 3], |volume| volume.voxel_um_or_one());
    let before = cx.view.fitted.replace(FittedTo { layer: layer.id, voxel_um, bounds });
    let first = before.is_none();
    if let Some(before) = before.filter(|before| before.layer == layer.id) {
        if before.voxel_um != voxel_um {
            // Another voxel size of the same voxels: the same place of the sample is looked at.
            let share = (cx.view.cursor_um - before.bounds.0) / (before.bounds.1 - before.bounds.0);
            let wanted = bounds.0 + share.clamp(DVec3::ZERO, DVec3::ONE) * (bounds.1 - bounds.0);
            look_at(layer, wanted, bounds, cx);
        }
        return;
    }
    let inside = cx.view.cursor_um.cmpge(bounds.0).all() && cx.view.cursor_um.cmple(bounds.1).all();
    if first || !inside {
        look_at(layer, (bounds.0 + bounds.1) * 0.5, bounds, cx);
        KeptLook::place(cx.view);
    }
}

/// Shows all of a volume, the crosshair at a place in it.
fn look_at(layer: &Layer, world_um: DVec3, bounds: (DVec3, DVec3), cx: &mut Cx<'_>) {
    cx.view.cursor_um = snap(layer, world_um);
    cx.view.fit_wanted = true;
    cx.view.views.fit_cameras(bounds);
}

/// The centre of the voxel at a world point, clamped into the layer.
pub(crate) fn snap(layer: &Layer, world_um: DVec3) -> DVec3 {
    let Some((map, [nz, ny, nx])) = crate::gui::place::finest_grid(layer) else { return world_um };
    let last = DVec3::new(nx as f64 - 1.0, ny as f64 - 1.0, nz as f64 - 1.0).max(DVec3::ZERO);
    let index = map.inverse().transform_point3(world_um).round().clamp(DVec3::ZERO, last);
    map.transform_point3(index)
}
