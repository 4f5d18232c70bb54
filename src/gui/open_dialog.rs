//! The open dialog: what a file holds, which part of it is opened, and as what.

use std::sync::Arc;

use egui::{Align2, Rect, Role, Sense, WidgetInfo, pos2, vec2};

use super::dialogs::{Browse, footer, path_field, text_field};
use super::open_form::{OpenAs, OpenForm};
use super::panels::calibration::{OF_SCANS, OF_VOLUMES, unit_words};
use super::panels::file::{channel_words, kind_words, shape_words, size_words};
use super::panels::operation::sentence;
use super::state::{Queue, Request};
use super::widgets::{Button, Number};
use super::{icons, theme, widgets};
use crate::base::Unit;
use crate::io::{ArrayEntry, FileInfo, Kind, TiltAxis};
use crate::session::{Command, FileAbout, Look, Role as FileRole, Session};

/// How long a path stays as it is before it is looked at, seconds.
const SETTLED_S: f64 = 0.3;
/// Arrays from which on they can be searched.
const SEARCHED: usize = 8;
/// Height of a row of the list of arrays.
const ARRAY_ROW: f32 = 24.0;
/// Most that the list of arrays is high: a row that is cut shows that there are more.
const LIST_HEIGHT: f32 = 6.5 * ARRAY_ROW;
/// Every order of the axes that a menu offers.
const ORDERS: [&str; 6] = ["zyx", "zxy", "yzx", "yxz", "xzy", "xyz"];

/// Draws it; false once it is closed.
pub(super) fn show(ui: &mut egui::Ui, form: &mut OpenForm, session: &Session, queue: &mut Queue) -> bool {
    if let Some(problem) = &form.problem {
        widgets::warn(ui, problem);
        ui.add_space(4.0);
    }
    let hint = "A scan, a volume, labels or a project folder";
    let mut go = path_field(ui, &mut form.path, "Path", hint, Browse::OpenFile, queue);
    if Button::new("Choose a folder…").quiet().icon(icons::FOLDER_OPEN).show(ui).clicked() {
        queue.push(Request::Browse(Browse::OpenFolder));
    }
    let is_looking = follow(ui, form, session, queue);
    ui.add_space(4.0);
    // On a low window the choices scroll, so that the buttons stay in sight.
    let room = (ui.ctx().content_rect().height() - 280.0).max(160.0);
    egui::ScrollArea::vertical().max_height(room).auto_shrink([false, true]).show(ui, |ui| {
        what_it_is(ui, form, is_looking);
        choices(ui, form);
        opened_as(ui, form, queue);
    });
    ui.add_space(8.0);
    let mut keep = true;
    footer(ui, "Open", !form.path.trim().is_empty(), &mut go, &mut keep);
    if go && !form.path.trim().is_empty() {
        match form.command() {
            Ok(command) => {
                queue.session(command);
                return false;
            }
            Err(problem) => form.problem = Some(problem.to_owned()),
        }
    }
    keep
}

/// Has the file at the path looked at once the path has settled, and again for another part; whether that goes on.
fn follow(ui: &egui::Ui, form: &mut OpenForm, session: &Session, queue: &mut Queue) -> bool {
    let now = ui.input(|input| input.time);
    if form.path.trim() != form.seen.path.trim() {
        form.forget(now);
    }
    if form.path.trim().is_empty() {
        return false;
    }
    if let Some(at) = form.seen.changed_at {
        let left = at + SETTLED_S - now;
        if left > 0.0 {
            ui.ctx().request_repaint_after(std::time::Duration::from_secs_f64(left));
            return true;
        }
        // What was seen of the path before may be no longer true.
        form.seen.changed_at = None;
        queue.session(Command::LookAt(form.subject()));
        return true;
    }
    match session.look(&form.subject()) {
        Some(Look::Seen(about)) => {
            if form.seen.about.as_ref().is_none_or(|known| !Arc::ptr_eq(known, about)) {
                form.take(Arc::clone(about));
            }
            false
        }
        Some(Look::Looking) => true,
        None => {
            queue.session(Command::LookAt(form.subject()));
            true
        }
    }
}

/// A line on what the file holds, or why it cannot be read.
fn what_it_is(ui: &mut egui::Ui, form: &OpenForm, is_looking: bool) {
    let t = theme::of(ui);
    let Some(about) = &form.seen.about else {
        if is_looking {
            widgets::waiting(ui, "Looking at the file…");
        }
        return;
    };
    ui.horizontal(|ui| {
        match (&about.problem, words(about)) {
            (Some(problem), _) if form.problem.is_none() => {
                widgets::warn(ui, &sentence(problem));
            }
            (_, Some(words)) => {
                let text = egui::RichText::new(words).color(t.text_strong);
                ui.add(egui::Label::new(text).truncate());
            }
            _ => {}
        }
        if is_looking {
            ui.add(egui::Spinner::new().size(14.0));
        }
    });
}

/// "HDF5 · scan · 181 × 2 × 640 · uint16".
fn words(about: &FileAbout) -> Option<String> {
    if about.is_project {
        return Some("A project".to_owned());
    }
    let Some(info) = &about.info else {
        return (about.role == Some(FileRole::Classifier)).then(|| "A classifier".to_owned());
    };
    let kind = match about.role {
        Some(FileRole::Scan) => kind_words(Kind::Scan),
        _ => kind_words(info.kind),
    };
    Some([info.format, kind, &shape_words(&info.shape_zyx), info.dtype].join(" · "))
}

/// What there is to choose from, where there is anything.
fn choices(ui: &mut egui::Ui, form: &mut OpenForm) {
    let Some(about) = form.seen.about.clone() else { return };
    if about.entries().len() > 1 {
        entry(ui, form, about.entries());
    }
    let n_arrays = about.arrays().len();
    if n_arrays > 1 && form.seen.first.dataset.is_none() {
        // The file says itself what is meant: the others are for those who look for them.
        widgets::fold(ui, "open-arrays", &format!("Another array ({n_arrays})"), false, |ui| {
            arrays(ui, form, about.arrays());
        });
    } else if n_arrays > 1 {
        widgets::hint(ui, "Array");
        arrays(ui, form, about.arrays());
    }
    let Some(info) = &about.info else { return };
    if info.n_channels > 1 {
        channel(ui, form, info);
    }
    if info.n_times > 1 {
        time(ui, form, info.n_times);
    }
    if info.kind != Kind::Image || !form.axes.is_empty() {
        axes(ui, form);
    }
    set_right(ui, form, info);
}

/// Voxel size and meaning of the values, where the file does not say them or says them wrong.
fn set_right(ui: &mut egui::Ui, form: &mut OpenForm, info: &FileInfo) {
    let is_flat = matches!(info.kind, Kind::Scan | Kind::Image);
    let name = if is_flat { "Pixel size" } else { "Voxel size" };
    let tooltip = "Over what the file says: one number, or z, y, x; in µm, or with a unit";
    widgets::row(ui, name, tooltip, |ui, _| {
        let said = info.voxel_um.map_or_else(
            || "unknown, such as 10 nm".to_owned(),
            |um| format!("{}, as the file says", size_words(um)),
        );
        let width = ui.available_width() - 4.0;
        text_field(ui, &mut form.voxel, name, &said, width);
    });
    if info.kind == Kind::Labels {
        return;
    }
    let is_scan = form.role == OpenAs::Scan || (form.role == OpenAs::Guess && info.kind == Kind::Scan);
    let units = if is_scan { &OF_SCANS[..] } else { &OF_VOLUMES[..] };
    let said = info.unit.and_then(Unit::from_ascii).map_or("not said", unit_words);
    let mut words = vec![format!("As the file says ({said})")];
    words.extend(units.iter().map(|unit| unit_words(*unit).to_owned()));
    let chosen = form.unit.and_then(|unit| units.iter().position(|known| *known == unit));
    let shown = words[chosen.map_or(0, |at| at + 1)].clone();
    if let Some(at) = widgets::choose(ui, "Values are", "What the numbers in the file mean", &shown, &words) {
        form.unit = at.checked_sub(1).map(|at| units[at]);
    }
}

fn entry(ui: &mut egui::Ui, form: &mut OpenForm, entries: &[String]) {
    let chosen = form.read.entry.clone().or_else(|| form.seen.first.entry.clone()).unwrap_or_default();
    let tooltip = "Scans or images that the file holds side by side";
    if let Some(at) = widgets::choose(ui, "Entry", tooltip, &chosen, entries) {
        form.read.entry = entries.get(at).cloned();
        (form.read.dataset, form.read.channel, form.read.time) = (None, None, None);
    }
}

fn channel(ui: &mut egui::Ui, form: &mut OpenForm, info: &FileInfo) {
    let names: Vec<String> = (0..info.n_channels).map(|at| channel_words(info, at)).collect();
    let chosen = names.get(form.read.channel.unwrap_or(0)).cloned().unwrap_or_default();
    let tooltip = "One channel becomes a layer; open the file again for another";
    if let Some(at) = widgets::choose(ui, "Channel", tooltip, &chosen, &names) {
        form.read.channel = Some(at);
    }
}

fn time(ui: &mut egui::Ui, form: &mut OpenForm, n_times: usize) {
    widgets::row(ui, "Time", "Points of time, counted from 0", |ui, _| {
        let last = (n_times - 1) as f64;
        let mut chosen = form.read.time.unwrap_or(0) as f64;
        if Number::new(&mut chosen, 0.0..=last).step(0, 0.1).show(ui, "Time").changed() {
            form.read.time = Some(chosen as usize);
        }
        widgets::hint(ui, &format!("0 to {last}"));
    });
}

fn axes(ui: &mut egui::Ui, form: &mut OpenForm) {
    let tooltip = "What the three axes are as they are read without it, slowest first; a - before a letter reverses it: yzx, -zyx";
    widgets::row(ui, "Axes", tooltip, |ui, _| {
        let width = ui.available_width() - 34.0;
        text_field(ui, &mut form.axes, "Axes", "zyx, as read", width);
        let button = widgets::icon_button(ui, icons::CARET_DOWN, "Orders of the axes", tooltip);
        egui::Popup::menu(&button).accessible_name("Orders of the axes").show(|ui| {
            ui.set_width(120.0);
            ui.spacing_mut().item_spacing.y = 0.0;
            for order in ORDERS {
                if Button::new(order).quiet().fill_width().show(ui).clicked() {
                    form.axes = if order == ORDERS[0] { String::new() } else { order.to_owned() };
                    ui.close();
                }
            }
        });
    });
}

/// The arrays of the file, each a row; where the reader knows which is meant that comes first.
fn arrays(ui: &mut egui::Ui, form: &mut OpenForm, arrays: &[ArrayEntry]) {
    let t = theme::of(ui);
    if arrays.len() >= SEARCHED {
        let width = ui.available_width() - 18.0;
        text_field(ui, &mut form.seen.search, "Search arrays", "Search arrays", width);
    }
    let sought = form.seen.search.trim().to_lowercase();
    let fits = |array: &&ArrayEntry| {
        sought.is_empty()
            || [&array.path, &array.note].iter().any(|text| text.to_lowercase().contains(&sought))
    };
    let of_file = form.seen.first.dataset.is_none() && sought.is_empty();
    let mut rows: Vec<Option<&ArrayEntry>> = if of_file { vec![None] } else { Vec::new() };
    rows.extend(arrays.iter().filter(fits).map(Some));
    let chosen = form.read.dataset.clone().or_else(|| form.seen.first.dataset.clone());
    egui::Frame::new().fill(t.inset).corner_radius(theme::RADIUS).inner_margin(2).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        egui::ScrollArea::vertical()
            .id_salt("arrays")
            .max_height(LIST_HEIGHT)
            .min_scrolled_height(LIST_HEIGHT)
            .auto_shrink([false, true])
            .show_rows(ui, ARRAY_ROW, rows.len(), |ui, range| {
                for array in &rows[range] {
                    let path = array.map(|array| array.path.clone());
                    let is_chosen = path == chosen;
                    if array_row(ui, *array, is_chosen) && !is_chosen {
                        form.read.dataset = path;
                        (form.read.channel, form.read.time) = (None, None);
                    }
                }
            });
    });
    ui.add_space(4.0);
}

/// Path at the left, shape and type at the right; true when it is clicked.
fn array_row(ui: &mut egui::Ui, array: Option<&ArrayEntry>, is_chosen: bool) -> bool {
    let t = theme::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ARRAY_ROW), Sense::click());
    let (path, what) = match array {
        Some(array) => {
            (array.path.clone(), format!("{}  {}", shape_words(&array.shape), array.dtype).trim().to_owned())
        }
        None => ("As the file says".to_owned(), String::new()),
    };
    response.widget_info(|| WidgetInfo::selected(Role::ListItem, true, is_chosen, format!("Array {path}")));
    if is_chosen || response.hovered() {
        let fill = if is_chosen { t.accent_soft } else { t.hover };
        ui.painter().rect_filled(rect, theme::RADIUS, fill);
    }
    let what =
        widgets::cut_line(ui, &what, egui::FontId::proportional(12.0), rect.width() * 0.5, t.text_weak);
    let (middle, right) = (rect.center().y, rect.right() - 8.0 - what.size().x);
    let room = Rect::from_min_max(pos2(rect.left() + 8.0, rect.top()), pos2(right - 8.0, rect.bottom()));
    let shown = widgets::middle_cut(ui, &path, room.width());
    let color = if is_chosen { t.text_strong } else { t.text };
    let font = egui::FontId::proportional(13.0);
    ui.painter().text(pos2(room.left(), middle), Align2::LEFT_CENTER, shown, font, color);
    ui.painter().galley(pos2(right, middle - what.size().y / 2.0), what, t.text_weak);
    let clicked = response.clicked();
    let note = array.map_or("", |array| array.note.as_str());
    response.on_hover_text(format!("{path}\n{note}").trim_end());
    clicked
}

/// What the file is opened as, and for a scan what its files do not say.
fn opened_as(ui: &mut egui::Ui, form: &mut OpenForm, queue: &mut Queue) {
    ui.add_space(4.0);
    widgets::segmented(
        ui,
        &mut form.role,
        &[
            (OpenAs::Guess, "By content", "What the file is, is read from it"),
            (OpenAs::Scan, "Scan", "Raw frames of a tilt series"),
            (OpenAs::Volume, "Volume", "A reconstruction or another image stack"),
            (OpenAs::Labels, "Labels", "Whole numbers that name classes"),
        ],
    );
    if matches!(form.role, OpenAs::Guess | OpenAs::Scan) {
        let is_open = form.role == OpenAs::Scan;
        // Open where it is asked for, and only there.
        let id = if is_open { "options-of-a-scan" } else { "options-of-a-file" };
        widgets::fold(ui, id, "What the scan's files do not say", is_open, |ui| {
            scan_options_ui(ui, form, queue);
        });
    }
}

fn scan_options_ui(ui: &mut egui::Ui, form: &mut OpenForm, queue: &mut Queue) {
    ui.add_space(4.0);
    widgets::row(ui, "Angles", "A file of angles, or first:step in degrees", |ui, _| {
        let width = ui.available_width() - 4.0;
        text_field(ui, &mut form.angles, "Angles", "angles.rawtlt or -65:1", width);
    });
    for (label, browse) in [("Flat frames", Browse::Flat), ("Dark frames", Browse::Dark)] {
        let text = if browse == Browse::Flat { &mut form.flat } else { &mut form.dark };
        widgets::row(
            ui,
            label,
            "A stack beside the scan; found by itself where it is called flat or dark",
            |ui, _| {
                path_field(ui, text, label, "", browse, queue);
            },
        );
    }
    widgets::row(
        ui,
        "Tilt axis",
        "How it lies in the pictures; from left to right in many scans of electron microscopes",
        |ui, _| {
            widgets::segmented(
                ui,
                &mut form.tilt_axis,
                &[
                    (TiltAxis::Vertical, "Upright", "From top to bottom"),
                    (TiltAxis::Horizontal, "Level", "From left to right: every picture is turned on reading"),
                ],
            );
        },
    );
}
