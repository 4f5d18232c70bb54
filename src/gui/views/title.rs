//! The title bar of a view: which plane, where, what is shown in it, all the room for it.

use egui::{Align2, Sense, vec2};

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::state::{self, ViewId, ViewKind};
use super::super::{icons, theme, widgets};
use crate::base::position_text;
use crate::project::{Display, Edit};
use crate::render::scene::VolumeMode;
use crate::render::transfer::TransferPreset;

/// Below this width of the bar what the 3D view shows is no longer written out, points.
const SHORT: f32 = 250.0;

/// Draws it; true where it is dragged, which moves the view elsewhere.
pub(crate) fn show(ui: &mut egui::Ui, id: ViewId, cx: &mut Cx<'_>) -> bool {
    let t = theme::of(ui);
    let (bar, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), theme::VIEW_TITLE), Sense::click_and_drag());
    ui.painter().rect_filled(bar, 0, t.panel);
    let (kind, label) = (cx.view.kind(id), cx.view.label(id));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("View {label}")));
    if response.double_clicked() {
        toggle(id, cx);
    }
    let right = egui::UiBuilder::new()
        .max_rect(bar.shrink2(vec2(4.0, 2.0)))
        .layout(egui::Layout::right_to_left(egui::Align::Center));
    let free = ui.scope_builder(right, |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let big = cx.view.maximised == Some(id);
        let icon = if big { icons::CORNERS_IN } else { icons::CORNERS_OUT };
        let name = format!("Maximise {label}");
        let tooltip = find(CommandId::MaximiseView).tooltip_with_key();
        if widgets::icon_sized(ui, icon, &name, &tooltip, false, 22.0).clicked() {
            toggle(id, cx);
        }
        super::view_menu::show(ui, id, cx);
        match kind {
            ViewKind::Volume => {
                super::look_menu::show(ui, id, cx);
                super::clip_menu::show(ui, cx);
                super::surface_menu::show(ui, cx);
                super::surface_menu::retry(ui, cx);
                volume_controls(ui, bar.width() < SHORT, cx);
            }
            ViewKind::Oblique => {
                super::oblique::menu(ui, cx);
                layer_menu(ui, id, cx);
            }
            ViewKind::Xy | ViewKind::Yz | ViewKind::Xz => layer_menu(ui, id, cx),
        }
        ui.cursor().right()
    });
    let left = egui::Rect::from_min_max(bar.min, egui::pos2(free.inner.max(bar.left()), bar.bottom()));
    left_end(ui, left, &response, id, cx);
    let is_moved = response.drag_started() && cx.view.maximised.is_none();
    is_moved && cx.view.views.shown.len() > 1
}

/// Colour and name of what is shown, with the menu to change it; where that is.
fn left_end(ui: &mut egui::Ui, room: egui::Rect, response: &egui::Response, id: ViewId, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let (kind, label) = (cx.view.kind(id), cx.view.label(id));
    let y = room.center().y;
    let mut x = room.left() + 10.0;
    let painter = ui.painter().with_clip_rect(room);
    if kind != ViewKind::Volume {
        let color = kind.axes().and_then(|axes| t.axes.get(axes[2])).copied().unwrap_or(t.accent);
        let mark = egui::Rect::from_center_size(egui::pos2(x + 3.0, y), vec2(6.0, 6.0));
        painter.rect_filled(mark, 1, color);
        x += 14.0;
    }
    let galley = painter.layout_no_wrap(label.clone(), theme::semibold(12.0), t.text_strong);
    let button = egui::Rect::from_min_max(
        egui::pos2(x - 4.0, room.top() + 2.0),
        egui::pos2(x + galley.size().x + 18.0, room.bottom() - 2.0),
    );
    let choose = ui.interact(button.intersect(room), response.id.with("kind"), Sense::click());
    let name = format!("What {label} shows");
    choose.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
    if choose.hovered() || egui::Popup::is_id_open(ui.ctx(), egui::Popup::default_response_id(&choose)) {
        painter.rect_filled(button, theme::RADIUS, t.hover);
    }
    if choose.has_focus() {
        painter.rect_stroke(
            button,
            theme::RADIUS,
            egui::Stroke::new(1.0, t.accent),
            egui::StrokeKind::Inside,
        );
    }
    painter.galley(egui::pos2(x, y - galley.size().y / 2.0), galley, t.text_strong);
    painter.text(
        egui::pos2(button.right() - 8.0, y),
        Align2::CENTER_CENTER,
        icons::CARET_DOWN,
        theme::icon(9.0),
        t.text_weak,
    );
    super::view_menu::kinds(&choose, id, cx);
    let mut after = button.right() + 6.0;
    if !cx.view.views.is_linked(id) {
        let at = egui::pos2(after + 6.0, y);
        painter.text(at, Align2::CENTER_CENTER, icons::LINK_BREAK, theme::icon(13.0), t.warning);
        after += 18.0;
    }
    let text = match kind {
        ViewKind::Volume => cx.view.slices.level_text(id).unwrap_or_default(),
        ViewKind::Oblique => super::oblique::lie(cx) + &super::look::title(id, cx),
        ViewKind::Xy | ViewKind::Yz | ViewKind::Xz => place(kind, cx) + &super::look::title(id, cx),
    };
    if text.is_empty() {
        return;
    }
    let font = egui::FontId::proportional(12.0);
    let width = room.right() - 6.0 - after;
    let line = |text: &str| widgets::cut_line(ui, text, font.clone(), width, t.text_weak);
    let mut galley = line(&text);
    if galley.elided {
        galley = line(&text.replace("  ·  ", " · "));
    }
    let is_cut = galley.elided;
    painter.galley(egui::pos2(after, y - galley.size().y / 2.0), galley, t.text_weak);
    let rest = egui::Rect::from_min_max(egui::pos2(after.min(room.right()), room.top()), room.max);
    let says = ui.interact(rest, response.id.with("place"), Sense::hover());
    says.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, text.clone()));
    if is_cut {
        says.on_hover_text(text);
    }
}

fn toggle(id: ViewId, cx: &mut Cx<'_>) {
    cx.view.maximised = if cx.view.maximised == Some(id) { None } else { Some(id) };
}

/// "z 128/256 · 5.12 µm".
fn place(kind: ViewKind, cx: &Cx<'_>) -> String {
    let Some(layer) = state::main_volume(cx.session.project(), cx.view) else { return String::new() };
    let Some([_, _, normal]) = kind.axes() else { return String::new() };
    let axis = ["x", "y", "z"].get(normal).copied().unwrap_or("");
    let um = cx.view.cursor_um.to_array().get(normal).copied().unwrap_or(0.0);
    let edge_um = crate::gui::place::voxel_edge_um(layer, normal);
    let unit = state::position_unit(layer, edge_um);
    let grid = crate::gui::place::finest_grid(layer);
    let shape = grid.map(|(_, shape)| shape).unwrap_or_default();
    let said = position_text(um, edge_um);
    match grid.and_then(|grid| crate::gui::place::voxel_on(grid, cx.view.cursor_um)) {
        Some(index) => {
            let at = index.get(2 - normal).copied().unwrap_or(0);
            let n = shape.get(2 - normal).copied().unwrap_or(0);
            format!("{axis} {}/{n}  ·  {said} {unit}", at + 1)
        }
        None => format!("{axis} {said} {unit}"),
    }
}

/// Which layers are seen: a short way to the eyes of the layer list.
fn layer_menu(ui: &mut egui::Ui, id: ViewId, cx: &mut Cx<'_>) {
    let name = format!("Layers of {}", cx.view.label(id));
    let button =
        widgets::icon_sized(ui, icons::STACK, &name, "Which layers are seen, slab, comparison", false, 22.0);
    egui::Popup::menu(&button)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .accessible_name(name)
        .show(|ui| {
            ui.set_min_width(200.0);
            for layer in cx.session.project().from_top() {
                if state::world_from_voxel(layer).is_none() {
                    continue;
                }
                let mut on = layer.display.visible;
                if widgets::check(ui, &mut on, &layer.name).changed() {
                    let display = Display { visible: on, ..layer.display.clone() };
                    cx.queue.edit("Show layer", Edit::SetDisplay { layer: layer.id, display });
                }
            }
            ui.separator();
            widgets::check(ui, &mut cx.view.show_crosshair, "Crosshair");
            widgets::check(ui, &mut cx.view.show_labels, "Labels");
            super::look::menu(ui, id, cx);
        });
}

/// The modes of the 3D view.
pub(crate) const MODES: [(VolumeMode, &str); 7] = [
    (VolumeMode::Composite, "Haze"),
    (VolumeMode::Mip, "Maximum"),
    (VolumeMode::MinIp, "Minimum"),
    (VolumeMode::Mean, "Mean"),
    (VolumeMode::Iso, "Surface at a value"),
    (VolumeMode::Labels, "Labels as voxels"),
    (VolumeMode::Surfaces, "Surfaces alone"),
];

fn volume_controls(ui: &mut egui::Ui, short: bool, cx: &mut Cx<'_>) {
    let look = &cx.view.look;
    let text = match look.mode {
        VolumeMode::Composite => look.preset.name(),
        mode => MODES.iter().find(|(m, _)| *m == mode).map_or("", |(_, label)| label),
    }
    .to_owned();
    let shown = if short { "" } else { &text };
    let button =
        widgets::Button::new(shown).icon(icons::CARET_DOWN).quiet().height(22.0).name("3D mode").show(ui);
    let button = if short { button.on_hover_text(&text) } else { button };
    egui::Popup::menu(&button).accessible_name("3D mode").show(|ui| {
        ui.set_width(210.0);
        ui.spacing_mut().item_spacing.y = 0.0;
        for preset in TransferPreset::ALL {
            let on = cx.view.look.mode == VolumeMode::Composite && cx.view.look.preset == preset;
            if widgets::Button::new(preset.name())
                .quiet()
                .fill_width()
                .height(26.0)
                .selected(on)
                .show(ui)
                .clicked()
            {
                cx.view.look.mode = VolumeMode::Composite;
                cx.view.look.preset = preset;
                cx.view.look.transfer = super::volume_view::preset_for(preset, cx);
                ui.close();
            }
        }
        ui.add(egui::Separator::default().spacing(6.0));
        for (mode, label) in MODES.iter().skip(1) {
            let on = cx.view.look.mode == *mode;
            if widgets::Button::new(label).quiet().fill_width().height(26.0).selected(on).show(ui).clicked() {
                cx.view.look.mode = *mode;
                ui.close();
            }
        }
        ui.add(egui::Separator::default().spacing(6.0));
        widgets::check(ui, &mut cx.view.look.labels, "Tint by labels");
    });
}
