//! The list of classes, and the search for a new one in the ontology of cell parts.

use egui::{Align2, Rect, Sense, vec2};

use super::super::commands::CommandId;
use super::super::frame::Cx;
use super::super::state::Queue;
use super::super::tour::{self, Step};
use super::super::widgets::{self, Button};
use super::super::{dialogs, icons, theme};
use crate::project::Edit;
use crate::volume::classes::{ONTOLOGY, palette_color};
use crate::volume::{Class, ClassTable};

/// Height of a row.
const ROW: f32 = 26.0;

/// Draws the list.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading_row(ui, "Classes", |ui| {
        if widgets::icon_button(ui, icons::PLUS, "New class", "Adds a class from the ontology  (A)").clicked()
        {
            cx.queue.run(CommandId::NewClass);
        }
    });
    let session = cx.session;
    let classes = &session.project().classes;
    if classes.classes.is_empty() {
        widgets::hint(
            ui,
            "No classes yet. Add the parts of the cell that you want to segment; names and GO numbers come from the ontology.",
        );
        ui.add_space(2.0);
        if Button::new("Add classes of a cell")
            .icon(icons::PLUS)
            .show(ui)
            .on_hover_text("Nucleus, mitochondria, lipid droplets, vacuoles, cytoplasm and buffer")
            .clicked()
        {
            add_usual(classes, cx.queue);
        }
        return;
    }
    ui.spacing_mut().item_spacing.y = 1.0;
    let top = ui.cursor().min;
    let rows = classes.tree();
    let height = (rows.len() as f32 * (ROW + 1.0)).min(270.0);
    // Only the rows that are seen are drawn: there may be a thousand classes.
    egui::ScrollArea::vertical().id_salt("classes").max_height(height + 2.0).show_rows(
        ui,
        ROW,
        rows.len(),
        |ui, seen| {
            for place in seen {
                if let Some((class, depth)) = rows.get(place) {
                    row(ui, place, class, (*depth).min(5), cx);
                }
            }
        },
    );
    let area = Rect::from_min_max(top, egui::pos2(ui.max_rect().right(), ui.cursor().top()));
    tour::anchor(ui, cx.view, Step::Paint, area);
}

fn row(ui: &mut egui::Ui, place: usize, class: &Class, depth: usize, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let chosen = cx.view.class == class.id;
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::ListItem, true, chosen, format!("Class {}", class.name))
    });
    let over = ui.rect_contains_pointer(rect);
    if chosen || over {
        ui.painter().rect_filled(rect, theme::RADIUS, if chosen { t.accent_soft } else { t.raised });
    }
    let mut inner = ui.new_child(
        egui::UiBuilder::new()
            .max_rect(rect.shrink2(vec2(6.0, 1.0)))
            .layout(egui::Layout::left_to_right(egui::Align::Center)),
    );
    let ui = &mut inner;
    ui.spacing_mut().item_spacing.x = 4.0;
    ui.add_space(depth as f32 * 12.0);
    swatch(ui, class, cx);
    let key = if place < 9 { format!("{}", place + 1) } else { String::new() };
    let (key_rect, _) = ui.allocate_exact_size(vec2(12.0, 20.0), Sense::hover());
    ui.painter().text(
        key_rect.center(),
        Align2::CENTER_CENTER,
        key,
        egui::FontId::proportional(11.0),
        t.text_weak,
    );
    let room = Rect::from_min_max(
        egui::pos2(key_rect.right() + 4.0, rect.top()),
        egui::pos2(
            rect.right() - if over || !class.visible || class.locked { 72.0 } else { 6.0 },
            rect.bottom(),
        ),
    );
    let color = if chosen { t.text_strong } else { t.text };
    let galley = egui::WidgetText::from(egui::RichText::new(&class.name).color(color)).into_galley(
        ui,
        Some(egui::TextWrapMode::Truncate),
        room.width(),
        egui::TextStyle::Body,
    );
    ui.painter().galley(egui::pos2(room.left(), room.center().y - galley.size().y / 2.0), galley, color);
    let end = Rect::from_min_max(
        egui::pos2(room.right(), rect.top() + 2.0),
        egui::pos2(rect.right() - 2.0, rect.bottom() - 2.0),
    );
    let mut end = ui.new_child(
        egui::UiBuilder::new().max_rect(end).layout(egui::Layout::right_to_left(egui::Align::Center)),
    );
    end.spacing_mut().item_spacing.x = 0.0;
    if over {
        menu(&mut end, class, cx);
    }
    if over || class.locked {
        let icon = if class.locked { icons::LOCK } else { icons::LOCK_OPEN };
        let name = format!("{} {}", if class.locked { "Unlock" } else { "Lock" }, class.name);
        if widgets::icon_sized(
            &mut end,
            icon,
            &name,
            "Painting and prediction leave a locked class alone",
            false,
            22.0,
        )
        .clicked()
        {
            change(class, "Lock class", cx, |class| class.locked = !class.locked);
        }
    }
    if over || !class.visible {
        let icon = if class.visible { icons::EYE } else { icons::EYE_SLASH };
        let name = format!("{} class {}", if class.visible { "Hide" } else { "Show" }, class.name);
        if widgets::icon_sized(&mut end, icon, &name, "Seen in the views or not", false, 22.0).clicked() {
            change(class, "Show class", cx, |class| class.visible = !class.visible);
        }
    }
    if response.clicked() {
        cx.view.choose_class(class.id);
    }
    let go = class.go_id.as_deref().unwrap_or("no GO number");
    let lac =
        class.typical_lac.map(|[a, b]| format!(", typically {a:.2} to {b:.2} 1/µm")).unwrap_or_default();
    response.on_hover_text(format!("{go}{lac}"));
}

/// The colour of a class; a click changes it.
fn swatch(ui: &mut egui::Ui, class: &Class, cx: &mut Cx<'_>) {
    let (rect, response) = ui.allocate_exact_size(vec2(14.0, 20.0), Sense::click());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Colour of {}", class.name))
    });
    let square = Rect::from_center_size(rect.center(), vec2(12.0, 12.0));
    let fade = if class.visible { 1.0 } else { 0.35 };
    ui.painter().rect_filled(square, 3, theme::class_color(class.color).gamma_multiply(fade));
    egui::Popup::menu(&response).accessible_name("Colours").show(|ui| {
        ui.set_max_width(190.0);
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
            for n in 0..24 {
                let color = palette_color(n);
                let (rect, dot) = ui.allocate_exact_size(vec2(24.0, 24.0), Sense::click());
                dot.widget_info(|| {
                    egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Colour {}", n + 1))
                });
                ui.painter().rect_filled(rect, theme::RADIUS, theme::class_color(color));
                if dot.clicked() {
                    change(class, "Colour of class", cx, |class| class.color = color);
                    ui.close();
                }
            }
        });
    });
}

fn menu(ui: &mut egui::Ui, class: &Class, cx: &mut Cx<'_>) {
    let name = format!("Menu of class {}", class.name);
    let button = widgets::icon_sized(ui, icons::DOTS_THREE, &name, "", false, 22.0);
    egui::Popup::menu(&button)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .accessible_name(name)
        .show(|ui| {
            ui.set_width(200.0);
            let mut name = class.name.clone();
            if dialogs::text_field(ui, &mut name, "Class name", "", 180.0).changed()
                && !name.trim().is_empty()
            {
                change(class, "Rename class", cx, |class| class.name = name);
            }
            let others: Vec<_> =
                cx.session.project().classes.classes.iter().filter(|c| c.id != class.id).cloned().collect();
            let inside = class
                .parent
                .and_then(|id| others.iter().find(|c| c.id == id))
                .map_or("nothing", |c| c.name.as_str());
            egui::ComboBox::from_id_salt("class-parent")
                .selected_text(format!("Inside {inside}"))
                .width(180.0)
                .show_ui(ui, |ui| {
                    for (label, parent) in std::iter::once(("nothing", None))
                        .chain(others.iter().map(|c| (c.name.as_str(), Some(c.id))))
                    {
                        if ui.selectable_label(class.parent == parent, label).clicked() {
                            change(class, "Parent of class", cx, |class| class.parent = parent);
                        }
                    }
                })
                .response
                .accessible_name("Inside");
            if Button::new("Remove from list")
                .icon(icons::TRASH)
                .quiet()
                .fill_width()
                .show(ui)
                .on_hover_text("Voxels keep their number; undo brings the class back")
                .clicked()
            {
                cx.queue.edit("Remove class", Edit::RemoveClass(class.id));
                ui.close();
            }
        });
}

fn change(class: &Class, label: &str, cx: &mut Cx<'_>, change: impl FnOnce(&mut Class)) {
    let mut class = class.clone();
    change(&mut class);
    cx.queue.edit(label, Edit::SetClass(class));
}

/// Classes that most cells have, as one step.
/// Adds the classes that most cells have.
pub(crate) fn add_usual(classes: &ClassTable, queue: &mut Queue) {
    let mut table = classes.clone();
    let mut edits = Vec::new();
    for name in ["buffer", "cytoplasm", "nucleus", "mitochondria", "lipid droplets", "vacuoles"] {
        if let Some(class) = table.proposed(name) {
            edits.push(Edit::SetClass(class.clone()));
            table.insert(class);
        }
    }
    let first = table.classes.first().map_or(1, |class| class.id);
    queue.push(super::super::state::Request::ChooseClass(first));
    queue.edit("Add classes", Edit::Batch(edits));
}

/// The dialog for a new class; false once it is done.
pub(crate) fn new_class_ui(
    ui: &mut egui::Ui,
    query: &mut String,
    classes: &ClassTable,
    queue: &mut Queue,
) -> bool {
    let t = theme::of(ui);
    let width = ui.available_width() - 16.0;
    let field = dialogs::text_field(
        ui,
        query,
        "Class to add",
        "Search the ontology, or type a name of your own",
        width,
    );
    if !field.has_focus() && !field.lost_focus() {
        field.request_focus();
    }
    let enter = field.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
    let wanted = query.trim().to_lowercase();
    let taken = |name: &str| classes.classes.iter().any(|class| class.name.eq_ignore_ascii_case(name));
    let found: Vec<_> =
        ONTOLOGY.iter().filter(|e| e.name.to_lowercase().contains(&wanted) && !taken(e.name)).collect();
    let mut picked = None;
    egui::ScrollArea::vertical().max_height(280.0).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for entry in &found {
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 28.0), Sense::click());
            response.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Add {}", entry.name))
            });
            if response.hovered() {
                ui.painter().rect_filled(rect, theme::RADIUS, t.hover);
            }
            let at = |x: f32| egui::pos2(x, rect.center().y);
            ui.painter().text(
                at(rect.left() + 8.0),
                Align2::LEFT_CENTER,
                entry.name,
                theme::medium(13.0),
                t.text_strong,
            );
            let [a, b] = entry.typical_lac;
            let text = format!("{}   {a:.2}–{b:.2} 1/µm", entry.go_id);
            ui.painter().text(
                at(rect.right() - 8.0),
                Align2::RIGHT_CENTER,
                text,
                egui::FontId::proportional(12.0),
                t.text_weak,
            );
            if response.clicked() {
                picked = Some(entry.name.to_owned());
            }
        }
    });
    let own = query.trim();
    if !own.is_empty() && !taken(own) && !found.iter().any(|e| e.name.eq_ignore_ascii_case(own)) {
        let label = format!("Add “{own}”");
        if Button::new(&label).icon(icons::PLUS).name("Add own class").show(ui).clicked()
            || (enter && found.is_empty())
        {
            picked = Some(own.to_owned());
        }
    }
    if enter && picked.is_none() {
        picked = found.first().map(|e| e.name.to_owned());
    }
    let Some(class) = picked.and_then(|name| classes.proposed(&name)) else { return true };
    queue.push(super::super::state::Request::ChooseClass(class.id));
    queue.edit("Add class", Edit::SetClass(class));
    false
}
