//! The list of layers: seen or not, how, in which order.

use egui::{Align2, Rect, Sense, vec2};

use super::super::commands::CommandId;
use super::super::frame::Cx;
use super::super::state;
use super::super::widgets::{self, Button, Number, gradient};
use super::super::{icons, theme};
use crate::project::{Calibration, Content, Display, Edit, Layer};
use crate::render::colormap::ColorMap;

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let session = cx.session;
    let project = session.project();
    if project.layers.is_empty() {
        widgets::hint(ui, "Nothing is open. A demo cell shows what can be done here.");
        if Button::new("Open demo yeast").icon(icons::SPARKLE).show(ui).clicked() {
            cx.queue.run(CommandId::DemoYeast);
        }
        return;
    }
    ui.spacing_mut().item_spacing.y = 1.0;
    let n = project.layers.len();
    for (place, layer) in project.from_top().enumerate() {
        row(ui, layer, n - 1 - place, n, cx);
        let is_set = state::world_from_voxel(layer).is_some() || Calibration::of(layer).is_some();
        if cx.view.layer == Some(layer.id) && is_set {
            egui::Frame::new().inner_margin(BELOW).show(ui, |ui| settings(ui, layer, cx));
        }
    }
}

/// Room around what is set of a layer, below its row.
const BELOW: egui::Margin = egui::Margin { left: 10, right: 2, top: 4, bottom: 6 };

/// The icon of a kind of content.
fn kind_icon(layer: &Layer) -> &'static str {
    match &layer.content {
        Content::Scan(_) | Content::Series(_) => icons::SCAN,
        Content::Alignment(_) => icons::ALIGN_CENTER_HORIZONTAL,
        Content::Volume(_) => icons::CUBE,
        Content::Labels(_) => icons::SHAPES,
        Content::Regions(_) => icons::GRID_FOUR,
        Content::Missing(_) => icons::WARNING,
        _ => icons::TABLE,
    }
}

fn row(ui: &mut egui::Ui, layer: &Layer, index: usize, n: usize, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 28.0), Sense::click());
    let chosen = cx.view.layer == Some(layer.id);
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::ListItem, true, chosen, format!("Layer {}", layer.name))
    });
    let over = ui.rect_contains_pointer(rect);
    if chosen || over {
        ui.painter().rect_filled(rect, theme::RADIUS, if chosen { t.accent_soft } else { t.raised });
    }
    let drawn = state::world_from_voxel(layer).is_some();
    let mut inner = ui.new_child(
        egui::UiBuilder::new()
            .max_rect(rect.shrink2(vec2(2.0, 2.0)))
            .layout(egui::Layout::left_to_right(egui::Align::Center)),
    );
    let ui = &mut inner;
    ui.spacing_mut().item_spacing.x = 2.0;
    if drawn {
        let on = layer.display.visible;
        let icon = if on { icons::EYE } else { icons::EYE_SLASH };
        let name = format!("{} {}", if on { "Hide" } else { "Show" }, layer.name);
        if widgets::icon_sized(ui, icon, &name, "Seen in the views or not", false, 22.0).clicked() {
            set(layer, "Show layer", cx, |display| display.visible = !on);
        }
    } else {
        ui.add_space(24.0);
    }
    let (icon_rect, _) = ui.allocate_exact_size(vec2(18.0, 22.0), Sense::hover());
    let strength = if drawn && !layer.display.visible { 0.5 } else { 1.0 };
    ui.painter().text(
        icon_rect.center(),
        Align2::CENTER_CENTER,
        kind_icon(layer),
        theme::icon(14.0),
        t.text_weak,
    );
    let renaming = cx.view.name_edit.as_ref().is_some_and(|(id, _)| *id == layer.id);
    if renaming {
        rename(ui, layer, cx);
    } else {
        let room = Rect::from_min_max(
            egui::pos2(icon_rect.right() + 4.0, rect.top()),
            egui::pos2(rect.right() - if over { 28.0 } else { 6.0 }, rect.bottom()),
        );
        let color = if chosen { t.text_strong } else { t.text }.gamma_multiply(strength);
        let galley = egui::WidgetText::from(egui::RichText::new(&layer.name).color(color)).into_galley(
            ui,
            Some(egui::TextWrapMode::Truncate),
            room.width(),
            egui::TextStyle::Body,
        );
        ui.painter().galley(egui::pos2(room.left(), room.center().y - galley.size().y / 2.0), galley, color);
    }
    if over || chosen {
        let place = Rect::from_min_size(egui::pos2(rect.right() - 25.0, rect.top() + 3.0), vec2(22.0, 22.0));
        let mut end = ui.new_child(egui::UiBuilder::new().max_rect(place));
        menu(&mut end, layer, index, n, cx);
    }
    if response.clicked() {
        cx.view.layer = if chosen { None } else { Some(layer.id) };
    }
    if response.double_clicked() {
        cx.view.name_edit = Some((layer.id, layer.name.clone()));
    }
    response.on_hover_text(describe(layer));
}

/// What a layer holds and where it comes from.
fn describe(layer: &Layer) -> String {
    let shape = layer.content.shape().map(|[z, y, x]| format!(", {z} × {y} × {x}")).unwrap_or_default();
    let voxel = layer
        .volume()
        .and_then(|volume| volume.voxel_um)
        .map(|[_, _, x]| format!(", voxel {:.1} nm", x * 1000.0))
        .unwrap_or_default();
    let from = match layer.provenance.op.as_ref() {
        "import" => layer.source.as_ref().map(|s| format!("from {}", s.path.display())).unwrap_or_default(),
        op => format!("made by {op}"),
    };
    let notes = layer.provenance.notes.iter().fold(String::new(), |text, note| text + "\n" + note);
    match &layer.content {
        Content::Missing(missing) => missing.reason.clone(),
        content => format!("{}{shape}{voxel}\n{from}{notes}", content.words()),
    }
}

fn rename(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    let Some((_, name)) = &mut cx.view.name_edit else { return };
    let width = ui.available_width() - 28.0;
    let response = super::super::dialogs::text_field(ui, name, "Layer name", "", width);
    if !response.has_focus() && !response.lost_focus() {
        response.request_focus();
    }
    if response.lost_focus() {
        let name = name.trim().to_owned();
        if !name.is_empty() && name != layer.name && !ui.input(|i| i.key_pressed(egui::Key::Escape)) {
            cx.queue.edit("Rename layer", Edit::RenameLayer { layer: layer.id, name });
        }
        cx.view.name_edit = None;
    }
}

fn menu(ui: &mut egui::Ui, layer: &Layer, index: usize, n: usize, cx: &mut Cx<'_>) {
    let name = format!("Menu of {}", layer.name);
    let button = widgets::icon_sized(ui, icons::DOTS_THREE, &name, "", false, 22.0);
    egui::Popup::menu(&button).accessible_name(name).show(|ui| {
        ui.set_width(190.0);
        ui.spacing_mut().item_spacing.y = 0.0;
        let item = |ui: &mut egui::Ui, icon: &str, label: &str, enabled: bool| {
            let mut clicked = false;
            ui.add_enabled_ui(enabled, |ui| {
                clicked = Button::new(label).icon(icon).quiet().fill_width().height(26.0).show(ui).clicked();
            });
            if clicked {
                ui.close();
            }
            clicked
        };
        if item(ui, icons::PENCIL_SIMPLE, "Rename", true) {
            cx.view.name_edit = Some((layer.id, layer.name.clone()));
        }
        if item(ui, icons::ARROW_UP, "Move up", index + 1 < n) {
            cx.queue.edit("Move layer", Edit::MoveLayer { layer: layer.id, index: index + 1 });
        }
        if item(ui, icons::ARROW_DOWN, "Move down", index > 0) {
            cx.queue.edit("Move layer", Edit::MoveLayer { layer: layer.id, index: index.saturating_sub(1) });
        }
        if item(ui, icons::FILE_TEXT, "About the file", layer.source.is_some()) {
            cx.view.show_file(layer.id);
        }
        if item(ui, icons::EXPORT, "Export…", super::export::can_export(layer)) {
            cx.view.dialog = Some(super::export::layer_form(layer));
        }
        if item(ui, icons::TRASH, "Remove", true) {
            cx.queue.edit("Remove layer", Edit::RemoveLayer(layer.id));
        }
    });
}

/// Changes how a layer is shown.
fn set(layer: &Layer, label: &str, cx: &mut Cx<'_>, change: impl FnOnce(&mut Display)) {
    let mut display = layer.display.clone();
    change(&mut display);
    if display != layer.display {
        cx.queue.edit(label, Edit::SetDisplay { layer: layer.id, display });
    }
}

/// The name under which a colour map is kept in the document.
pub(crate) fn map_of(display: &Display) -> ColorMap {
    serde_json::from_value(serde_json::Value::from(display.colormap.as_str())).unwrap_or_default()
}

fn map_name(map: ColorMap) -> String {
    serde_json::to_value(map).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What can be set of the chosen layer.
fn settings(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    ui.spacing_mut().item_spacing.y = 4.0;
    if state::world_from_voxel(layer).is_some() {
        widgets::row(ui, "Opacity", "How much of what lies below is covered", |ui, _| {
            let mut opacity = layer.display.opacity;
            let width = ui.available_width() - 4.0;
            if widgets::fraction(ui, &mut opacity, &format!("Opacity of {}", layer.name), width).changed() {
                set(layer, "Opacity", cx, |display| display.opacity = opacity);
            }
        });
    }
    if layer.volume().is_some() {
        of_a_volume(ui, layer, cx);
    }
    super::calibration::show(ui, layer, cx);
}

/// How values become colours, and which of a file's levels is held.
fn of_a_volume(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    super::levels::show(ui, layer, cx);
    widgets::row(ui, "Colours", "Colour map", |ui, _| color_map(ui, layer, cx));
    widgets::row(ui, "Window", "Values of the first and the last colour", |ui, _| window(ui, layer, cx));
    ui.horizontal(|ui| {
        let mut additive = layer.display.additive;
        let tooltip = "Adds to what lies below: fluorescence channels";
        if widgets::switch(ui, &mut additive, "Add light", tooltip).changed() {
            set(layer, "Blend", cx, |display| display.additive = additive);
        }
    });
    interpolation(ui, layer, cx);
}

/// What is shown between voxel centres.
fn interpolation(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    let before = (layer.display.smooth, layer.display.smooth && layer.display.cubic);
    let mut chosen = before;
    widgets::segmented(
        ui,
        &mut chosen,
        &[
            ((false, false), "Nearest", "Voxels as squares: what was measured"),
            ((true, false), "Linear", "Linear between voxel centres"),
            ((true, true), "Cubic", "Smooth and sharp; may go a little beyond the values around"),
        ],
    );
    if chosen != before {
        set(layer, "Interpolation", cx, |display| (display.smooth, display.cubic) = chosen);
    }
}

fn window(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    let [low, high] = layer.display.window.map(f64::from);
    let (mut a, mut b) = (low, high);
    let speed = ((high - low).abs() / 200.0).max(1e-6);
    let decimals = if (high - low).abs() > 50.0 { 0 } else { 3 };
    let width = ((ui.available_width() - 12.0) / 2.0).clamp(40.0, 70.0);
    ui.spacing_mut().item_spacing.x = 4.0;
    Number::new(&mut a, -1e9..=1e9).step(decimals, speed).width(width).show(ui, "Window low");
    Number::new(&mut b, -1e9..=1e9).step(decimals, speed).width(width).show(ui, "Window high");
    if (a, b) != (low, high) {
        set(layer, "Window", cx, |display| display.window = [a as f32, b as f32]);
    }
}

fn color_map(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let current = map_of(&layer.display);
    let at = |map: ColorMap| {
        move |f: f32| {
            let [r, g, b, a] = map.at(f64::from(f)).map(|c| (c * 255.0) as u8);
            theme::data_color([r, g, b], f32::from(a) / 255.0)
        }
    };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width() - 4.0, 22.0), Sense::click());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::ComboBox, true, format!("Colour map of {}", layer.name))
    });
    gradient::strip(ui, rect.shrink2(vec2(1.0, 4.0)), at(current));
    let edge = if response.hovered() { t.text_weak } else { t.line };
    ui.painter().rect_stroke(
        rect.shrink2(vec2(0.0, 3.0)),
        2,
        egui::Stroke::new(1.0, edge),
        egui::StrokeKind::Inside,
    );
    egui::Popup::menu(&response).accessible_name("Colour maps").show(|ui| {
        ui.set_min_width(190.0);
        ui.spacing_mut().item_spacing.y = 0.0;
        for map in ColorMap::ALL {
            let (rect, line) = ui.allocate_exact_size(vec2(190.0, 24.0), Sense::click());
            line.widget_info(|| {
                egui::WidgetInfo::selected(egui::Role::Button, true, map == current, map.name())
            });
            if line.hovered() || map == current {
                ui.painter().rect_filled(
                    rect,
                    theme::RADIUS,
                    if map == current { t.accent_soft } else { t.hover },
                );
            }
            let strip = Rect::from_min_size(rect.min + vec2(6.0, 7.0), vec2(60.0, 10.0));
            gradient::strip(ui, strip, at(map));
            ui.painter().text(
                egui::pos2(rect.left() + 76.0, rect.center().y),
                Align2::LEFT_CENTER,
                map.name(),
                egui::FontId::proportional(13.0),
                t.text,
            );
            if line.clicked() {
                set(layer, "Colour map", cx, |display| {
                    display.colormap = map_name(map);
                    display.additive = display.additive || map.is_single_hue();
                });
                ui.close();
            }
        }
    });
}
