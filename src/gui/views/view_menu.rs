//! The menus in a view's title: what it shows, views beside it, its link to the others, layouts.

use egui::{Response, Ui};

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::layouts::{LONGEST_NAME, Preset, name_of};
use super::super::state::{Request, ViewId, ViewKind};
use super::super::widgets::{self, Button};
use super::super::{dialogs, icons, theme};
use super::dock::ViewAct;

/// What the view may show instead.
pub(super) fn kinds(button: &Response, id: ViewId, cx: &mut Cx<'_>) {
    let name = format!("What {} shows, choices", cx.view.label(id));
    egui::Popup::menu(button).accessible_name(name).show(|ui| {
        ui.set_width(160.0);
        ui.spacing_mut().item_spacing.y = 0.0;
        let now = cx.view.kind(id);
        for kind in ViewKind::ALL {
            let words = match kind {
                ViewKind::Xy => "XY slice",
                ViewKind::Yz => "YZ slice",
                ViewKind::Xz => "XZ slice",
                ViewKind::Oblique => "Oblique slice",
                ViewKind::Volume => "3D volume",
            };
            let button = Button::new(words).quiet().fill_width().height(26.0).selected(kind == now);
            if button.show(ui).clicked() {
                if let Some(pane) = cx.view.views.get_mut(id) {
                    pane.kind = kind;
                }
                cx.view.scenes.remove(&id);
                ui.close();
            }
        }
    });
}

/// The button and the menu of everything else.
pub(super) fn show(ui: &mut Ui, id: ViewId, cx: &mut Cx<'_>) {
    let name = format!("Menu of {}", cx.view.label(id));
    let tooltip = "Views beside this one, its link to the others, layouts";
    let button = widgets::icon_sized(ui, icons::DOTS_THREE, &name, tooltip, false, 22.0);
    egui::Popup::menu(&button)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .accessible_name(name)
        .show(|ui| {
            ui.set_width(244.0);
            ui.spacing_mut().item_spacing.y = 0.0;
            for command in [
                CommandId::SplitRight,
                CommandId::SplitBelow,
                CommandId::DuplicateView,
                CommandId::LinkView,
                CommandId::CloseView,
            ] {
                item(ui, id, command, cx);
            }
            ui.add(egui::Separator::default().spacing(6.0));
            layouts(ui, cx);
        });
}

fn item(ui: &mut Ui, id: ViewId, command: CommandId, cx: &mut Cx<'_>) {
    let entry = find(command);
    let linked = cx.view.views.is_linked(id);
    let label = match command {
        CommandId::LinkView if linked => "Unlink from the other views",
        CommandId::LinkView => "Link to the other views",
        _ => entry.label,
    };
    let can = command != CommandId::CloseView || cx.view.views.ids().count() > 1;
    ui.add_enabled_ui(can, |ui| {
        let button = Button::new(label).icon(entry.icon).quiet().fill_width().height(26.0);
        if button.shortcut(entry.shortcut()).show(ui).on_hover_text(entry.tooltip).clicked() {
            // The command is for the view whose menu this is, wherever the pointer went.
            cx.view.views.active = Some(id);
            cx.view.views.pointed = Some(id);
            cx.queue.run(command);
            ui.close();
        }
    });
}

fn layouts(ui: &mut Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Layout");
    let (shown, named) = cx.view.views.layouts.clone();
    for preset in Preset::ALL {
        let entry = find(CommandId::Layout(preset));
        let button = Button::new(preset.label()).quiet().fill_width().height(26.0).shortcut(entry.shortcut());
        let button = button.selected(shown == Some(preset)).name(entry.label);
        if button.show(ui).on_hover_text(entry.tooltip).clicked() {
            cx.queue.run(entry.id);
            ui.close();
        }
    }
    for name in named {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            let width = ui.available_width() - 28.0;
            ui.allocate_ui(egui::vec2(width, 26.0), |ui| {
                let words = format!("Layout {name}");
                let button = Button::new(&name).quiet().fill_width().height(26.0).name(&words);
                if button.show(ui).clicked() {
                    cx.queue.push(Request::View(ViewAct::Use(name.clone())));
                    ui.close();
                }
            });
            let words = format!("Forget layout {name}");
            if widgets::icon_sized(ui, icons::TRASH, &words, &words, false, 22.0).clicked() {
                cx.queue.push(Request::View(ViewAct::Forget(name.clone())));
            }
        });
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let width = ui.available_width() - 68.0;
        let field = dialogs::text_field(
            ui,
            &mut cx.view.views.new_name,
            "Name of the layout",
            "This layout as…",
            width,
        );
        let text = &mut cx.view.views.new_name;
        if let Some((end, _)) = text.char_indices().nth(LONGEST_NAME) {
            text.truncate(end);
        }
        let entered = field.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
        let name = name_of(text);
        ui.add_enabled_ui(name.is_some(), |ui| {
            let button = Button::new("Save").fill_width().height(theme::ROW).name("Save layout").show(ui);
            if let Some(name) = name.filter(|_| button.clicked() || entered) {
                cx.view.views.new_name.clear();
                cx.queue.push(Request::View(ViewAct::Keep(name)));
            }
        });
    });
}
