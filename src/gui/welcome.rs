//! The first page: two demo cells, opening a file, what was open before, a place to drop files.

use egui::{Align2, Rect, Sense, Stroke, StrokeKind, vec2};

use super::commands::CommandId;
use super::frame::Cx;
use super::state::{Dialog, Request};
use super::widgets::Button;
use super::{dialogs, icons, theme, widgets};
use crate::session::Command;

/// How long a look for unsaved work holds.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(3);

/// A demo cell on the page.
struct Cell {
    name: &'static str,
    title: &'static str,
    text: &'static str,
    command: CommandId,
    picture: &'static [u8],
}

const CELLS: [Cell; 2] = [
    Cell {
        name: "yeast",
        title: "Yeast",
        text: "Vacuoles, a nucleus, mitochondria and lipid droplets",
        command: CommandId::DemoYeast,
        picture: include_bytes!("../../resources/welcome/yeast.png"),
    },
    Cell {
        name: "lymphocyte",
        title: "Lymphocyte",
        text: "A large nucleus with hetero- and euchromatin",
        command: CommandId::DemoLymphocyte,
        picture: include_bytes!("../../resources/welcome/lymphocyte.png"),
    },
];

/// Draws it.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    ui.painter().rect_filled(ui.max_rect(), 0, t.ground);
    let busy = cx.facts.jobs;
    let width = 860.0_f32.min(ui.available_width() - 48.0);
    egui::ScrollArea::vertical().show(ui, |ui| {
        let height = ui.available_height();
        ui.vertical_centered(|ui| {
            ui.add_space(((height - 640.0) / 2.2).clamp(20.0, 160.0));
            ui.allocate_ui_with_layout(vec2(width, 0.0), egui::Layout::top_down(egui::Align::Min), |ui| {
                ui.set_width(width);
                head(ui);
                ui.add_space(20.0);
                unsaved(ui, width, cx);
                widgets::heading(ui, "Start with a demo cell");
                cells(ui, width, busy, cx);
                ui.add_space(20.0);
                ui.horizontal_top(|ui| {
                    let half = ((width - 16.0) / 2.0).floor();
                    column(ui, half, |ui| open_part(ui, half, cx));
                    ui.add_space(16.0 - ui.spacing().item_spacing.x);
                    column(ui, half, |ui| recent(ui, half, cx));
                });
            });
        });
    });
}

/// A column of this width, filled from the top.
fn column(ui: &mut egui::Ui, width: f32, add: impl FnOnce(&mut egui::Ui)) {
    ui.allocate_ui_with_layout(vec2(width, 150.0), egui::Layout::top_down(egui::Align::Min), |ui| {
        ui.set_width(width);
        add(ui);
    });
}

fn head(ui: &mut egui::Ui) {
    let t = theme::of(ui);
    ui.label(
        egui::RichText::new("From tilt series to measured organelles")
            .font(theme::semibold(24.0))
            .color(t.text_strong),
    );
    ui.add_space(2.0);
    ui.label(
        egui::RichText::new(
            "Soft X-ray tomography: reconstruct, look, segment, measure. Every value stays in 1/µm.",
        )
        .size(14.0)
        .color(t.text_weak),
    );
}

/// Work of earlier sessions that did not end well: it can be opened again or thrown away.
fn unsaved(ui: &mut egui::Ui, width: f32, cx: &mut Cx<'_>) {
    let session = cx.session;
    // Another window may have ended meanwhile; nothing is drawn only to find out.
    if cx.derived.unsaved.as_ref().is_none_or(|(when, _)| when.elapsed() > LOOK_AGAIN) {
        cx.derived.unsaved = Some((std::time::Instant::now(), session.recoverable()));
    }
    let found = cx.derived.unsaved.as_ref().map_or(&[][..], |(_, found)| found.as_slice());
    if found.is_empty() {
        return;
    }
    let t = theme::of(ui);
    widgets::heading(ui, "Unsaved work");
    for work in found.iter().take(3) {
        let (rect, _) = ui.allocate_exact_size(vec2(width, 48.0), Sense::hover());
        ui.painter().rect(rect, 10, t.panel, Stroke::new(1.0, t.line), StrokeKind::Inside);
        let text = rect.left() + 16.0;
        ui.painter().text(
            egui::pos2(text, rect.center().y - 8.0),
            Align2::LEFT_CENTER,
            &work.name,
            theme::medium(13.0),
            t.text_strong,
        );
        let age = ago(std::time::SystemTime::now(), work.modified_secs);
        ui.painter().text(
            egui::pos2(text, rect.center().y + 9.0),
            Align2::LEFT_CENTER,
            format!("Not saved when the program ended; last change {age}"),
            egui::FontId::proportional(12.0),
            t.text_weak,
        );
        let inner = egui::UiBuilder::new()
            .max_rect(rect.shrink2(vec2(12.0, 9.0)))
            .layout(egui::Layout::right_to_left(egui::Align::Center));
        ui.scope_builder(inner, |ui| {
            let name = format!("Recover {}", work.name);
            if Button::new("Recover").primary().height(28.0).name(&name).show(ui).clicked() {
                cx.queue.session(Command::Open(work.path.clone()));
            }
            let name = format!("Throw away {}", work.name);
            if Button::new("Throw away").quiet().height(28.0).name(&name).show(ui).clicked() {
                cx.queue.session(Command::DiscardRecoverable(work.path.clone()));
            }
        });
        ui.add_space(4.0);
    }
    ui.add_space(12.0);
}

/// How long ago a time in seconds since 1970 was, in words.
fn ago(now: std::time::SystemTime, secs: u64) -> String {
    let now = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let (n, unit) = match now.saturating_sub(secs) {
        0..60 => return "just now".to_owned(),
        s @ 60..3600 => (s / 60, "minute"),
        s @ 3600..86_400 => (s / 3600, "hour"),
        s => (s / 86_400, "day"),
    };
    format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" })
}

fn cells(ui: &mut egui::Ui, width: f32, busy: bool, cx: &mut Cx<'_>) {
    let each = ((width - 16.0) / 2.0).floor();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 16.0;
        for cell in &CELLS {
            if card(ui, cell, each, busy, cx) {
                cx.queue.run(cell.command);
            }
        }
    });
}

/// One demo cell; true when it was clicked.
fn card(ui: &mut egui::Ui, cell: &Cell, width: f32, busy: bool, cx: &mut Cx<'_>) -> bool {
    let t = theme::of(ui);
    let picture_height = (width * 0.52).round();
    let sense = if busy { Sense::hover() } else { Sense::click() };
    let (rect, response) = ui.allocate_exact_size(vec2(width, picture_height + 62.0), sense);
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Button, !busy, format!("Open demo {}", cell.name))
    });
    let hovered = response.hovered() && !busy;
    let edge = if hovered || response.has_focus() { t.accent } else { t.line };
    ui.painter().rect(rect, 10, t.panel, Stroke::new(1.0, edge), StrokeKind::Inside);
    let frame = Rect::from_min_size(rect.min, vec2(width, picture_height)).shrink(1.0);
    let rounding = egui::CornerRadius { nw: 9, ne: 9, sw: 0, se: 0 };
    ui.painter().rect_filled(frame, rounding, t.canvas);
    if let Some(texture) = picture(ui.ctx(), cell, cx) {
        let size = texture.size_vec2();
        // The middle of the picture, cut to the frame's shape.
        let shown = (frame.width() / frame.height()) / (size.x / size.y);
        let uv = if shown > 1.0 {
            let h = 1.0 / shown;
            Rect::from_min_max(egui::pos2(0.0, 0.5 - h / 2.0), egui::pos2(1.0, 0.5 + h / 2.0))
        } else {
            Rect::from_min_max(egui::pos2(0.5 - shown / 2.0, 0.0), egui::pos2(0.5 + shown / 2.0, 1.0))
        };
        egui::Image::new(&texture).uv(uv).corner_radius(rounding).paint_at(ui, frame);
    }
    let text = rect.left() + 16.0;
    let y = frame.bottom();
    ui.painter().text(
        egui::pos2(text, y + 20.0),
        Align2::LEFT_CENTER,
        cell.title,
        theme::semibold(14.0),
        t.text_strong,
    );
    ui.painter().with_clip_rect(rect.shrink(4.0).intersect(ui.clip_rect())).text(
        egui::pos2(text, y + 40.0),
        Align2::LEFT_CENTER,
        cell.text,
        egui::FontId::proportional(12.0),
        t.text_weak,
    );
    let icon = egui::pos2(rect.right() - 24.0, y + 22.0);
    let color = if hovered { t.accent } else { t.text_weak };
    ui.painter().text(icon, Align2::CENTER_CENTER, icons::PLAY, theme::icon(18.0), color);
    response.on_hover_cursor(egui::CursorIcon::PointingHand).clicked()
}

fn picture(ctx: &egui::Context, cell: &Cell, cx: &mut Cx<'_>) -> Option<egui::TextureHandle> {
    if let Some(texture) = cx.derived.pictures.get(cell.name) {
        return Some(texture.clone());
    }
    let image = image::load_from_memory_with_format(cell.picture, image::ImageFormat::Png).ok()?.to_rgba8();
    let size = [image.width() as usize, image.height() as usize];
    let pixels = egui::ColorImage::from_rgba_unmultiplied(size, image.as_raw());
    let texture = ctx.load_texture(cell.name, pixels, egui::TextureOptions::LINEAR);
    cx.derived.pictures.insert(cell.name, texture.clone());
    Some(texture)
}

fn open_part(ui: &mut egui::Ui, width: f32, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    widgets::heading(ui, "Open your own");
    let (rect, _) = ui.allocate_exact_size(vec2(width, 118.0), Sense::hover());
    let over = ui.input(|input| !input.raw.hovered_files.is_empty());
    let edge = if over { t.accent } else { t.line };
    let fill = if over { t.accent_soft } else { t.panel };
    ui.painter().rect(rect, 10, fill, Stroke::new(1.0, edge), StrokeKind::Inside);
    let inner =
        egui::UiBuilder::new().max_rect(rect.shrink(16.0)).layout(egui::Layout::top_down(egui::Align::Min));
    ui.scope_builder(inner, |ui| {
        ui.spacing_mut().item_spacing.y = 8.0;
        ui.horizontal(|ui| {
            if Button::new("Open scan or tomogram…").icon(icons::FOLDER_OPEN).primary().height(30.0).show(ui).clicked() {
                cx.view.dialog = Some(Dialog::Open(Box::default()));
            }
            if Button::new("Browse…").height(30.0).show(ui).clicked() {
                cx.view.dialog = Some(Dialog::Open(Box::default()));
                cx.queue.push(Request::Browse(dialogs::Browse::OpenFile));
            }
        });
        widgets::hint(ui, "Or drop files here: NXtomo and DataExchange HDF5, MRC and .st with .rawtlt, TIFF, OME-Zarr, NumPy, or a .waterwindow folder");
    });
}

fn recent(ui: &mut egui::Ui, width: f32, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    widgets::heading(ui, "Recent");
    let entries: Vec<_> = cx.session.settings().recent.iter().take(4).map(|r| r.path.clone()).collect();
    if entries.is_empty() {
        let (rect, _) = ui.allocate_exact_size(vec2(width, 118.0), Sense::hover());
        ui.painter().rect(rect, 10, t.panel, Stroke::new(1.0, t.line), StrokeKind::Inside);
        ui.painter().text(
            rect.center(),
            Align2::CENTER_CENTER,
            "Projects and files you open are listed here",
            egui::FontId::proportional(13.0),
            t.text_weak,
        );
        return;
    }
    ui.spacing_mut().item_spacing.y = 2.0;
    for path in entries {
        let name =
            path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
        let folder = path.parent().map(|p| p.display().to_string()).unwrap_or_default();
        let (rect, response) = ui.allocate_exact_size(vec2(width, 28.0), Sense::click());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Open {name}")));
        if response.hovered() {
            ui.painter().rect_filled(rect, theme::RADIUS, t.hover);
        }
        let y = rect.center().y;
        let icon = if name.ends_with(".waterwindow") { icons::STACK } else { icons::CLOCK };
        ui.painter().text(
            egui::pos2(rect.left() + 16.0, y),
            Align2::CENTER_CENTER,
            icon,
            theme::icon(15.0),
            t.text_weak,
        );
        let clip = ui.painter().with_clip_rect(rect.shrink2(vec2(4.0, 0.0)));
        let shown = clip.text(
            egui::pos2(rect.left() + 32.0, y),
            Align2::LEFT_CENTER,
            &name,
            theme::medium(13.0),
            t.text_strong,
        );
        clip.text(
            egui::pos2(shown.right() + 10.0, y),
            Align2::LEFT_CENTER,
            &folder,
            egui::FontId::proportional(12.0),
            t.text_weak,
        );
        if response.on_hover_text(path.display().to_string()).clicked() {
            cx.queue.session(Command::Open(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_in_words() {
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        let said = |seconds: u64| ago(now, 1_000_000 - seconds);
        assert_eq!(
            [said(3), said(60), said(7300), said(200_000)],
            ["just now", "1 minute ago", "2 hours ago", "2 days ago"]
        );
    }
}
