//! The title bar of a view: which plane, where, what is shown in it, all the room for it.

use egui::{Align2, Sense, vec2};

use super::super::frame::Cx;
use super::super::state::{self, ViewKind};
use super::super::{icons, theme, widgets};
use crate::project::{Display, Edit};
use crate::render::scene::VolumeMode;
use crate::render::transfer::TransferPreset;

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, kind: ViewKind, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let (bar, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), theme::VIEW_TITLE), Sense::click());
    ui.painter().rect_filled(bar, 0, t.panel);
    let y = bar.center().y;
    let mut x = bar.left() + 10.0;
    if kind != ViewKind::Volume {
        let color = kind.axes().and_then(|axes| t.axes.get(axes[2])).copied().unwrap_or(t.accent);
        let mark = egui::Rect::from_center_size(egui::pos2(x + 3.0, y), vec2(6.0, 6.0));
        ui.painter().rect_filled(mark, 1, color);
        x += 14.0;
    }
    let label = ui.painter().text(
        egui::pos2(x, y),
        Align2::LEFT_CENTER,
        kind.label(),
        theme::semibold(12.0),
        t.text_strong,
    );
    let text = match kind {
        ViewKind::Volume => String::new(),
        ViewKind::Oblique => super::oblique::lie(cx) + &super::look::title(kind, cx),
        ViewKind::Xy | ViewKind::Yz | ViewKind::Xz => place(kind, cx) + &super::look::title(kind, cx),
    };
    ui.painter().with_clip_rect(bar).text(
        egui::pos2(label.right() + 10.0, y),
        Align2::LEFT_CENTER,
        &text,
        egui::FontId::proportional(12.0),
        t.text_weak,
    );
    response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("View {}", kind.label())));
    if !text.is_empty() {
        let says = ui.interact(bar, response.id.with("place"), Sense::hover());
        says.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, text.clone()));
    }
    if response.double_clicked() {
        toggle(kind, cx);
    }
    let right = egui::UiBuilder::new()
        .max_rect(bar.shrink2(vec2(4.0, 2.0)))
        .layout(egui::Layout::right_to_left(egui::Align::Center));
    ui.scope_builder(right, |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let big = cx.view.maximised == Some(kind);
        let icon = if big { icons::CORNERS_IN } else { icons::CORNERS_OUT };
        let name = format!("Maximise {}", kind.label());
        if widgets::icon_sized(ui, icon, &name, "All the room for this view, or back  (Q)", false, 22.0)
            .clicked()
        {
            toggle(kind, cx);
        }
        match kind {
            ViewKind::Volume => {
                super::look_menu::show(ui, cx);
                super::oblique::switch(ui, cx);
                volume_controls(ui, cx);
            }
            ViewKind::Oblique => {
                super::oblique::switch(ui, cx);
                super::oblique::menu(ui, cx);
                layer_menu(ui, kind, cx);
            }
            ViewKind::Xy | ViewKind::Yz | ViewKind::Xz => layer_menu(ui, kind, cx),
        }
    });
}

fn toggle(kind: ViewKind, cx: &mut Cx<'_>) {
    cx.view.maximised = if cx.view.maximised == Some(kind) { None } else { Some(kind) };
}

/// "z 128/256 · 5.12 µm".
fn place(kind: ViewKind, cx: &Cx<'_>) -> String {
    let Some(layer) = state::main_volume(cx.session.project(), cx.view) else { return String::new() };
    let Some([_, _, normal]) = kind.axes() else { return String::new() };
    let axis = ["x", "y", "z"].get(normal).copied().unwrap_or("");
    let um = cx.view.cursor_um.to_array().get(normal).copied().unwrap_or(0.0);
    let unit = state::length_unit(Some(layer));
    let shape = layer.content.shape().unwrap_or_default();
    match state::voxel_at(layer, cx.view.cursor_um) {
        Some(index) => {
            let at = index.get(2 - normal).copied().unwrap_or(0);
            let n = shape.get(2 - normal).copied().unwrap_or(0);
            format!("{axis} {}/{n}  ·  {um:.2} {unit}", at + 1)
        }
        None => format!("{axis} {um:.2} {unit}"),
    }
}

/// Which layers are seen: a short way to the eyes of the layer list.
fn layer_menu(ui: &mut egui::Ui, kind: ViewKind, cx: &mut Cx<'_>) {
    let name = format!("Layers of {}", kind.label());
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
                if ui.checkbox(&mut on, &layer.name).changed() {
                    let display = Display { visible: on, ..layer.display.clone() };
                    cx.queue.edit("Show layer", Edit::SetDisplay { layer: layer.id, display });
                }
            }
            ui.separator();
            ui.checkbox(&mut cx.view.show_crosshair, "Crosshair");
            ui.checkbox(&mut cx.view.show_labels, "Labels");
            super::look::menu(ui, kind, cx);
        });
}

/// The modes of the 3D view.
pub(crate) const MODES: [(VolumeMode, &str); 6] = [
    (VolumeMode::Composite, "Haze"),
    (VolumeMode::Mip, "Maximum"),
    (VolumeMode::MinIp, "Minimum"),
    (VolumeMode::Mean, "Mean"),
    (VolumeMode::Iso, "Surface at a value"),
    (VolumeMode::Labels, "Surfaces of labels"),
];

fn volume_controls(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let look = &cx.view.look;
    let text = match look.mode {
        VolumeMode::Composite => look.preset.name(),
        mode => MODES.iter().find(|(m, _)| *m == mode).map_or("", |(_, label)| label),
    }
    .to_owned();
    let button =
        widgets::Button::new(&text).icon(icons::CARET_DOWN).quiet().height(22.0).name("3D mode").show(ui);
    egui::Popup::menu(&button).accessible_name("3D mode").show(|ui| {
        ui.set_min_width(190.0);
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
        ui.checkbox(&mut cx.view.look.labels, "Tint by labels");
    });
}
