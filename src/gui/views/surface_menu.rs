//! The menu of the 3D view about surfaces of labels, and what is laid over the picture for them.

use egui::{Align2, Painter, Rect, Ui, vec2};

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::icons;
use super::super::state::{self, ViewId};
use super::super::surfaces::{self, ColorBy};
use super::super::theme::{self, Tokens};
use super::super::widgets::{self, Button, Number};
use super::scale_bar::halo_text;
use crate::mesh::{Attribute, ClassSurface};
use crate::project::Edit;
use crate::render::colormap::ColorMap;
use crate::render::scene::VolumeMode;

/// What is said where there is nothing to make surfaces of.
const NO_LABELS: &str = "No labels are seen: show a layer of labels, or paint.";

/// What colours can stand for, in the order of the menu.
const COLORS: [ColorBy; 7] = [
    ColorBy::Class,
    ColorBy::Object,
    ColorBy::Value(Attribute::Lac),
    ColorBy::Value(Attribute::Thickness),
    ColorBy::Value(Attribute::MeanCurvature),
    ColorBy::Value(Attribute::GaussianCurvature),
    ColorBy::Value(Attribute::Distance),
];
/// Colour maps for values.
const MAPS: [ColorMap; 4] = [ColorMap::Viridis, ColorMap::Magma, ColorMap::Cividis, ColorMap::Batlow];

fn color_label(color: ColorBy) -> &'static str {
    match color {
        ColorBy::Class => "Class",
        ColorBy::Object => "Object",
        ColorBy::Value(attribute) => attribute.label(),
    }
}

fn color_hint(color: ColorBy) -> &'static str {
    match color {
        ColorBy::Class => "The colour of the class",
        ColorBy::Object => "Each connected object has a colour of its own",
        ColorBy::Value(Attribute::Lac) => "The value of the volume at the surface, or beside it",
        ColorBy::Value(Attribute::Thickness) => "Straight inwards to where the class ends",
        ColorBy::Value(Attribute::MeanCurvature) => "Above 0 where it bulges out, below 0 in hollows",
        ColorBy::Value(Attribute::GaussianCurvature) => "Above 0 on domes and pits, below 0 on saddles",
        ColorBy::Value(Attribute::Distance) => "To the nearest surface of another class",
    }
}

/// The button and what it opens.
pub(super) fn show(ui: &mut Ui, cx: &mut Cx<'_>) {
    let entry = find(CommandId::Surfaces);
    if !(entry.enabled)(&cx.facts) {
        return;
    }
    let on = cx.view.surfaces.on;
    let tooltip = "Surfaces of the labels: colours, how clear, outlines";
    let button = widgets::icon_sized(ui, icons::POLYGON, "Surfaces", tooltip, on, 22.0);
    egui::Popup::menu(&button)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .accessible_name("Surfaces")
        .show(|ui| {
            egui::Frame::new().inner_margin(6.0).show(ui, |ui| {
                ui.set_width(300.0);
                let room = ui.ctx().content_rect().height() - 120.0;
                let room = room.clamp(200.0, 720.0);
                egui::ScrollArea::vertical()
                    .max_height(room)
                    .min_scrolled_height(room)
                    .show(ui, |ui| menu(ui, cx));
            });
        });
}

fn menu(ui: &mut Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Surfaces of labels");
    let entry = find(CommandId::Surfaces);
    let mut on = cx.view.surfaces.on;
    if widgets::switch(ui, &mut on, "Show surfaces", &entry.tooltip_with_key()).changed() {
        cx.queue.run(CommandId::Surfaces);
    }
    let mut alone = cx.view.look.mode == VolumeMode::Surfaces;
    if widgets::switch(ui, &mut alone, "Surfaces alone", "Without the haze of the volume").changed() {
        cx.queue.run(CommandId::SurfacesAlone);
    }
    if !cx.view.surfaces.on {
        widgets::hint(ui, "Closed surfaces of what is labelled, made when they are first shown.");
        return;
    }
    ui.add_space(2.0);
    let objects = [
        (false, "Each class", "One surface for all of a class"),
        (true, "Each object", "One for each connected object, of 30 voxels or more"),
    ];
    widgets::segmented(ui, &mut cx.view.surfaces.objects, &objects);
    widgets::divider(ui);
    colors(ui, cx);
    widgets::row(ui, "Outlines", "Dark lines where a surface turns away or ends before another", |ui, _| {
        let width = ui.available_width();
        widgets::fraction(ui, &mut cx.view.surfaces.silhouettes, "Outlines of surfaces", width);
    });
    widgets::divider(ui);
    classes(ui, cx);
}

/// A choice in a row of its own kind; lists that fold out would close the menu that they are in.
fn choice(ui: &mut Ui, label: &str, name: &str, on: bool) -> egui::Response {
    Button::new(label).quiet().fill_width().height(24.0).selected(on).name(name).show(ui)
}

fn colors(ui: &mut Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Colour by");
    ui.spacing_mut().item_spacing.y = 2.0;
    for pair in COLORS.chunks(2) {
        ui.columns(2, |columns| {
            for (ui, color) in columns.iter_mut().zip(pair) {
                let look = &mut cx.view.surfaces;
                let label = color_label(*color);
                let line = choice(
                    ui,
                    label,
                    &format!("Colour by {}", label.to_lowercase()),
                    look.color_by == *color,
                );
                if line.on_hover_text(color_hint(*color)).clicked() {
                    look.objects |= *color == ColorBy::Object;
                    (look.color_by, look.range) = (*color, None);
                }
            }
        });
    }
    let ColorBy::Value(attribute) = cx.view.surfaces.color_by else { return };
    ui.add_space(4.0);
    match attribute {
        Attribute::Lac => {
            let tooltip = "Takes the value so far outside the surface, below 0 inside";
            widgets::row(ui, "Beside it", tooltip, |ui, _| {
                let nm = &mut cx.view.surfaces.offset_nm;
                Number::new(nm, -2000.0..=2000.0).unit("nm").step(0, 5.0).show(ui, "LAC beside the surface");
            });
        }
        Attribute::Distance => distance(ui, cx),
        _ => {}
    }
    let maps = MAPS.map(|map| (map, map.name(), "Colours of the values"));
    widgets::segmented(ui, &mut cx.view.surfaces.color_map, &maps);
    // Until the values are there nobody knows their range.
    let is_told = cx.derived.surfaces.made().is_some_and(|made| made.tells(attribute));
    ui.add_enabled_ui(is_told, |ui| range(ui, cx));
}

/// The class that distances are to.
fn distance(ui: &mut Ui, cx: &mut Cx<'_>) {
    let project = cx.session.project();
    let Some(made) = cx.derived.surfaces.made() else { return };
    let present: Vec<u16> = made.classes.iter().map(|class| class.class).collect();
    let chosen = surfaces::distance_class(&cx.view.surfaces, &present);
    ui.label(egui::RichText::new("Distance to the nearest surface of").color(theme::of(ui).text_weak));
    for pair in present.chunks(2) {
        ui.columns(2, |columns| {
            for (ui, id) in columns.iter_mut().zip(pair) {
                let name = project.classes.name(*id);
                if choice(ui, &name, &format!("Distance to {name}"), *id == chosen).clicked() {
                    (cx.view.surfaces.distance_to, cx.view.surfaces.range) = (*id, None);
                }
            }
        });
    }
    ui.add_space(4.0);
}

fn range(ui: &mut Ui, cx: &mut Cx<'_>) {
    let found = cx.derived.surfaces.made().map_or([0.0, 1.0], |made| made.range);
    let [low, high] = cx.view.surfaces.range.unwrap_or(found).map(f64::from);
    let (mut a, mut b) = (low, high);
    widgets::row(ui, "Range", "Values of the first and the last colour", |ui, _| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let speed = ((high - low).abs() / 200.0).max(1e-6);
        let decimals = if (high - low).abs() > 20.0 { 1 } else { 3 };
        let width = ((ui.available_width() - 30.0) / 2.0).clamp(40.0, 70.0);
        Number::new(&mut a, -1e6..=1e6).step(decimals, speed).width(width).show(ui, "Lowest surface value");
        Number::new(&mut b, -1e6..=1e6).step(decimals, speed).width(width).show(ui, "Highest surface value");
        let tooltip = "From 2 % to 98 % of what occurs";
        if widgets::icon_sized(ui, icons::CIRCLE_HALF, "Range by what occurs", tooltip, false, 22.0).clicked()
        {
            cx.view.surfaces.range = None;
            (a, b) = (low, high);
        }
    });
    if (a, b) != (low, high) {
        cx.view.surfaces.range = Some([a as f32, b as f32]);
    }
}

/// One line for each class: seen or not, how far its volume is off, how opaque.
fn classes(ui: &mut Ui, cx: &mut Cx<'_>) {
    let Some(made) = cx.derived.surfaces.made().cloned() else {
        widgets::hint(ui, cx.derived.surfaces.badge().unwrap_or(NO_LABELS));
        return;
    };
    widgets::heading_row(ui, "Error of the volume, opacity", |ui| {
        let chosen = !cx.view.surfaces.opacity.is_empty();
        ui.add_enabled_ui(chosen, |ui| {
            let tooltip = "What holds other classes clear, everything else opaque";
            let icon = icons::ARROW_COUNTER_CLOCKWISE;
            if widgets::icon_button(ui, icon, "Opacities as they were", tooltip).clicked() {
                cx.view.surfaces.opacity.clear();
            }
        });
    });
    ui.spacing_mut().item_spacing.y = 2.0;
    for class in &made.classes {
        class_line(ui, class, cx);
    }
}

fn class_line(ui: &mut Ui, class: &ClassSurface, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let project = cx.session.project();
    let name = project.classes.name(class.class);
    let known = project.classes.get(class.class);
    let is_seen = known.is_none_or(|known| known.visible);
    let unit = state::length_unit(state::main_volume(project, cx.view));
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        let icon = if is_seen { icons::EYE } else { icons::EYE_SLASH };
        let label = format!("{} surface of {name}", if is_seen { "Hide" } else { "Show" });
        let tooltip = "Seen in all views or not";
        if widgets::icon_sized(ui, icon, &label, tooltip, false, 20.0).clicked()
            && let Some(known) = known
        {
            let class = crate::volume::Class { visible: !is_seen, ..known.clone() };
            cx.queue.edit("Show class", Edit::SetClass(class));
        }
        let (mark, _) = ui.allocate_exact_size(vec2(9.0, 9.0), egui::Sense::hover());
        let color = known.map_or([128; 3], |known| known.color);
        ui.painter().rect_filled(mark, 2, theme::class_color(color));
        let text = egui::RichText::new(&name).color(if is_seen { t.text } else { t.text_weak });
        let left = egui::Layout::left_to_right(egui::Align::Center);
        ui.allocate_ui_with_layout(vec2(104.0, 20.0), left, |ui| {
            ui.set_min_width(104.0);
            ui.add(egui::Label::new(text).truncate());
        });
        let percent = (class.volume_error() * 1e4).round() / 100.0;
        // No error has no sign.
        let error = if percent == 0.0 { "0.00 %".to_owned() } else { format!("{percent:+.2} %") };
        let each = if class.n == 1 { "one surface".to_owned() } else { format!("{} surfaces", class.n) };
        let facts = format!(
            "{name}: {each} of {} triangles, {:.3} {unit}², {:.4} {unit}³; the voxels have {:.4} {unit}³",
            class.n_triangles, class.area_um2, class.volume_um3, class.voxel_volume_um3
        );
        let weak = egui::RichText::new(&error).size(12.0).color(t.text_weak);
        let right = egui::Layout::right_to_left(egui::Align::Center);
        let response = ui
            .allocate_ui_with_layout(vec2(58.0, 20.0), right, |ui| {
                ui.set_min_width(58.0);
                ui.add(egui::Label::new(weak))
            })
            .inner;
        response.widget_info(|| {
            let said = format!("Volume error of {name}: {error}");
            egui::WidgetInfo::labeled(egui::Role::Label, true, said)
        });
        response.on_hover_text(facts);
        let mut opacity = surfaces::opacity_of(&cx.view.surfaces, class);
        let width = ui.available_width();
        let slider = widgets::fraction(ui, &mut opacity, &format!("Opacity of the surface of {name}"), width);
        if slider.changed() {
            cx.view.surfaces.opacity.insert(class.class, opacity);
        }
    });
}

/// Lays the colour bar and what is not yet done over the picture.
pub(super) fn overlay(ui: &Ui, painter: &Painter, rect: Rect, id: ViewId, cx: &Cx<'_>, t: &Tokens) {
    if !cx.view.surfaces.on {
        return;
    }
    let nothing = cx.derived.surfaces.made().is_none().then_some(NO_LABELS);
    if let Some(text) = cx.derived.surfaces.badge().or(nothing) {
        halo_text(painter, rect.left_top() + vec2(10.0, 10.0), Align2::LEFT_TOP, text, t);
        let said = ui.interact(
            Rect::from_min_size(rect.left_top(), vec2(200.0, 26.0)),
            ui.scope_id().with("surface-badge"),
            egui::Sense::hover(),
        );
        said.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, text));
    }
    let scene = cx.view.scenes.get(&id);
    let Some(crate::render::figure::Scene::Volume(scene)) = scene else { return };
    let Some(layer) = scene.drawn_surfaces().filter(|layer| layer.shows_values()) else { return };
    let width = (rect.width() * 0.4).clamp(60.0, 180.0);
    let bar = Rect::from_min_size(rect.right_top() + vec2(-width - 14.0, 26.0), vec2(width, 9.0));
    painter.rect_filled(bar.expand(1.0), 1, t.canvas_halo);
    let steps = 64;
    for i in 0..steps {
        let [a, b] = [i, i + 1].map(|k| bar.left() + bar.width() * k as f32 / steps as f32);
        let [r, g, b_, _] =
            layer.color_map.at((f64::from(i) + 0.5) / f64::from(steps)).map(|c| (c * 255.0) as u8);
        let piece = Rect::from_min_max(egui::pos2(a, bar.top()), egui::pos2(b, bar.bottom()));
        painter.rect_filled(piece, 0, theme::data_color([r, g, b_], 1.0));
    }
    let number = |value: f32| {
        let size = (layer.range[1] - layer.range[0]).abs();
        let digits = if size >= 20.0 {
            0
        } else if size >= 2.0 {
            1
        } else if size >= 0.2 {
            2
        } else {
            3
        };
        format!("{value:.digits$}")
    };
    let [low, high] = layer.range;
    halo_text(painter, bar.left_top() - vec2(0.0, 4.0), Align2::LEFT_BOTTOM, &layer.value_label, t);
    halo_text(painter, bar.left_bottom() + vec2(0.0, 3.0), Align2::LEFT_TOP, &number(low), t);
    halo_text(painter, bar.right_bottom() + vec2(0.0, 3.0), Align2::RIGHT_TOP, &number(high), t);
    let said = format!("Surface colours: {} {} to {}", layer.value_label, number(low), number(high));
    let response = ui.interact(bar, ui.scope_id().with("surface-bar"), egui::Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, said.as_str()));
}

/// The button that tries again what was cancelled or failed.
pub(super) fn retry(ui: &mut Ui, cx: &mut Cx<'_>) {
    if cx.view.surfaces.on && cx.derived.surfaces.badge() == Some("surfaces stopped") {
        let button = Button::new("Make surfaces").quiet().height(22.0);
        if button.show(ui).on_hover_text("They were stopped or could not be made").clicked() {
            cx.derived.surfaces.retry();
        }
    }
}
