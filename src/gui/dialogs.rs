//! Dialogs: what to open and as what, where to write, what to do with unsaved work.
//!
//! Each has a path field, so that a system without a file dialog is no obstacle.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use egui::text::{CCursor, CCursorRange};
use egui::{Align2, Key, vec2};

use super::state::{AfterSave, Dialog, Queue, Request, ViewState};
use super::widgets::Button;
use super::{open_dialog, theme, widgets};
use crate::io::ReadOptions;
use crate::project::LayerId;
use crate::session::{ExportKind, Session};

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum WriteWhat {
    /// The project.
    Project {
        /// What happens once it is saved.
        then: Option<AfterSave>,
    },
    /// A layer, its meshes or its table.
    Layer(LayerId, ExportKind),
    /// All annotations, as CSV.
    Annotations,
    /// The values along a line profile, as CSV.
    Profile(u64),
    /// A picture of a view.
    Picture(super::state::ViewId),
    /// The figure that is set up.
    Figure,
    /// The film that is set up.
    Film,
    /// A pyramid of a file that is too large to be read whole.
    Pyramid(PathBuf, ReadOptions),
}

/// The save dialog's fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WriteForm {
    /// What is written.
    pub(crate) what: WriteWhat,
    /// The dialog's heading.
    pub(crate) title: String,
    /// What the path should look like.
    pub(crate) hint: String,
    /// The path.
    pub(crate) path: String,
}

/// Which field a path from the system's dialog goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Browse {
    /// A file to open.
    OpenFile,
    /// A project or a folder of pictures to open.
    OpenFolder,
    /// The flat frames.
    Flat,
    /// The dark frames.
    Dark,
    /// A place to write to.
    Write,
}

/// The system's file dialog while it is open: it runs on a thread of its own.
#[derive(Debug)]
pub(crate) struct SystemDialog {
    browse: Browse,
    started: Instant,
    answer: Receiver<Option<PathBuf>>,
}

impl SystemDialog {
    /// Opens it; `None` where the thread could not start.
    pub(crate) fn open(browse: Browse, name: &str, waker: impl Fn() + Send + 'static) -> Option<Self> {
        let (sender, answer) = sync_channel(1);
        let dialog = rfd::AsyncFileDialog::new();
        let file_name = name.to_owned();
        let work = move || {
            let picked = match browse {
                Browse::OpenFolder => pollster::block_on(dialog.pick_folder()),
                Browse::Write => pollster::block_on(dialog.set_file_name(file_name).save_file()),
                _ => pollster::block_on(dialog.pick_file()),
            };
            // The window may have closed meanwhile; then nobody wants the answer.
            drop(sender.send(picked.map(|file| file.path().to_path_buf())));
            waker();
        };
        std::thread::Builder::new().name("file-dialog".to_owned()).spawn(work).ok()?;
        Some(Self { browse, started: Instant::now(), answer })
    }

    /// The answer once there is one: which field, the path, and whether the system has no dialog at all.
    pub(crate) fn poll(&self) -> Option<(Browse, Option<PathBuf>, bool)> {
        match self.answer.try_recv() {
            // Without a portal the answer "nothing chosen" comes at once.
            Ok(None) => Some((self.browse, None, self.started.elapsed() < Duration::from_millis(400))),
            Ok(path) => Some((self.browse, path, false)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some((self.browse, None, true)),
        }
    }
}

/// Puts a path that the system's dialog gave into the open dialog.
pub(crate) fn take_path(dialog: &mut Option<Dialog>, browse: Browse, path: &std::path::Path) {
    let text = path.to_string_lossy().into_owned();
    match (dialog, browse) {
        (Some(Dialog::Open(form)), Browse::Flat) => form.flat = text,
        (Some(Dialog::Open(form)), Browse::Dark) => form.dark = text,
        (Some(Dialog::Open(form)), _) => form.path = text,
        (Some(Dialog::Write(form)), _) => form.path = text,
        _ => {}
    }
}

/// Draws the dialog that is open.
pub(crate) fn show(ctx: &egui::Context, session: &Session, view: &mut ViewState, queue: &mut Queue) {
    let Some(mut dialog) = view.dialog.take().or_else(|| view.waiting.pop_front()) else { return };
    let keep = match &mut dialog {
        Dialog::Open(form) => {
            frame(ctx, "open", "Open", 520.0, |ui| open_dialog::show(ui, form, session, queue))
        }
        Dialog::Write(form) => {
            let title = form.title.clone();
            frame(ctx, "write", &title, 480.0, |ui| write_ui(ui, form, queue))
        }
        Dialog::NewClass { query } => frame(ctx, "class", "New class", 380.0, |ui| {
            super::panels::classes::new_class_ui(ui, query, &session.project().classes, queue)
        }),
        Dialog::Unsaved(after) => {
            let after = after.clone();
            frame(ctx, "unsaved", "Save changes?", 420.0, |ui| unsaved_ui(ui, &after, queue))
        }
    };
    // A dialog may have asked for another one.
    if keep && view.dialog.is_none() {
        view.dialog = Some(dialog);
    }
    if view.dialog.is_none() && !view.waiting.is_empty() {
        ctx.request_repaint();
    }
}

/// A dialog's frame; false once it is closed.
fn frame(
    ctx: &egui::Context,
    id: &str,
    title: &str,
    width: f32,
    add: impl FnOnce(&mut egui::Ui) -> bool,
) -> bool {
    let t = theme::of_visuals(&ctx.global_style().visuals);
    let id = egui::Id::unique(("dialog", id));
    let modal = egui::Modal::new(id)
        .backdrop_color(t.backdrop)
        .area(
            egui::Modal::default_area(id)
                .anchor(Align2::CENTER_CENTER, vec2(0.0, -40.0))
                .accessible_name(format!("{title} dialog")),
        )
        .frame(
            egui::Frame::new()
                .fill(t.panel)
                .stroke(egui::Stroke::new(1.0, t.line))
                .corner_radius(12)
                .inner_margin(20)
                .shadow(egui::Shadow { offset: [0, 16], blur: 40, spread: 0, color: t.shadow }),
        )
        .show(ctx, |ui| {
            ui.set_width(width.min(ctx.content_rect().width() - 60.0));
            ui.label(egui::RichText::new(title).font(theme::semibold(16.0)).color(t.text_strong));
            ui.add_space(8.0);
            add(ui)
        });
    modal.inner && !modal.should_close()
}

/// A path field with a button for the system's dialog; true when Enter was pressed.
pub(super) fn path_field(
    ui: &mut egui::Ui,
    path: &mut String,
    name: &str,
    hint: &str,
    browse: Browse,
    queue: &mut Queue,
) -> bool {
    let mut entered = false;
    ui.horizontal(|ui| {
        let width = ui.available_width() - 92.0;
        let response = text_field(ui, path, name, hint, width);
        entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        // A dialog that asks for a path takes what is typed, its name first.
        if !entered && ui.memory(|memory| memory.focused().is_none()) {
            response.request_focus();
            select_name(ui.ctx(), response.id, path);
        }
        if Button::new("Browse…").name(&format!("Browse for {}", name.to_lowercase())).show(ui).clicked() {
            queue.push(Request::Browse(browse));
        }
    });
    entered
}

/// Selects the name of a file in the field of its path, without folder and ending.
fn select_name(ctx: &egui::Context, field: egui::Id, path: &str) {
    let is_separator = |c: char| c == '/' || c == std::path::MAIN_SEPARATOR;
    let begin = path.rfind(is_separator).map_or(0, |at| at + 1);
    let end = path[begin..].rfind('.').filter(|at| *at > 0).map_or(path.len(), |at| begin + at);
    let chars = |bytes: usize| CCursor::new(path[..bytes].chars().count());
    let mut state = egui::TextEdit::load_state(ctx, field).unwrap_or_default();
    state.cursor.set_char_range(Some(CCursorRange::two(chars(begin), chars(end))));
    state.store(ctx, field);
}

/// A text field in the look of the program.
pub(crate) fn text_field(
    ui: &mut egui::Ui,
    text: &mut String,
    name: &str,
    hint: &str,
    width: f32,
) -> egui::Response {
    let t = theme::of(ui);
    ui.scope(|ui| {
        widgets::field_style(ui, t);
        ui.add(
            egui::TextEdit::singleline(text)
                .hint_text(egui::RichText::new(hint).color(t.text_weak))
                .margin(egui::Margin::symmetric(8, 4))
                .desired_width(width),
        )
        .accessible_name(name)
    })
    .inner
}

fn write_ui(ui: &mut egui::Ui, form: &mut WriteForm, queue: &mut Queue) -> bool {
    let mut go = path_field(ui, &mut form.path, "Path", &form.hint, Browse::Write, queue);
    widgets::hint(ui, &form.hint);
    ui.add_space(8.0);
    let mut keep = true;
    footer(ui, "Save", !form.path.trim().is_empty(), &mut go, &mut keep);
    if go && !form.path.trim().is_empty() {
        let path = PathBuf::from(form.path.trim());
        queue.push(Request::Write(form.what.clone(), path));
        return false;
    }
    keep
}

fn unsaved_ui(ui: &mut egui::Ui, after: &AfterSave, queue: &mut Queue) -> bool {
    widgets::hint(ui, "This project has changes that are not saved. Discarding them cannot be undone.");
    ui.add_space(12.0);
    let mut keep = true;
    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
        if Button::new("Save").primary().height(28.0).show(ui).clicked() {
            queue.push(Request::SaveThen(after.clone()));
            keep = false;
        }
        if Button::new("Discard changes").height(28.0).show(ui).clicked() {
            queue.push(Request::DiscardThen(after.clone()));
            keep = false;
        }
        if Button::new("Cancel").quiet().height(28.0).show(ui).clicked() {
            keep = false;
        }
    });
    keep
}

/// The buttons at the end of a dialog.
pub(super) fn footer(ui: &mut egui::Ui, action: &str, enabled: bool, go: &mut bool, keep: &mut bool) {
    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
        ui.add_enabled_ui(enabled, |ui| {
            let name = format!("{action} file");
            *go |= Button::new(action).primary().name(&name).height(28.0).show(ui).clicked();
        });
        if Button::new("Cancel").quiet().height(28.0).show(ui).clicked() {
            *keep = false;
        }
    });
}
