//! The file behind a layer: what it says of itself, which part of it was read, what had to be assumed.

use std::collections::BTreeMap;
use std::sync::Arc;

use egui::{Align, Sense};

use super::super::frame::Cx;
use super::super::messages::Level;
use super::super::state::{self, Request};
use super::super::widgets;
use super::super::widgets::tree::Tree;
use super::super::{icons, theme};
use super::operation::{fact, sentence};
use super::scan::scan_layer;
use crate::base::Unit;
use crate::io::{ArrayEntry, FileInfo, Kind, ReadAs};
use crate::ops::Stage;
use crate::project::{Content, Layer, LayerId, Project, Role, SourceFile};
use crate::session::{Command, FileAbout, Look, Subject};
use crate::volume::Scan;

/// Most that the tree of metadata is high.
const TREE_HEIGHT: f32 = 360.0;
/// Height of a row of the list of arrays.
const ARRAY_ROW: f32 = 34.0;

/// The metadata of one layer as a tree, made once for what it was made of.
#[derive(Default)]
pub(crate) struct Metadata(Option<(Of, Tree)>);

/// What a tree was made of.
#[derive(Clone)]
enum Of {
    File(Arc<FileAbout>),
    Scan(Arc<Scan>),
}

impl Of {
    fn entries(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::File(about) => about.info.as_ref().map(|info| &info.metadata),
            Self::Scan(scan) => Some(&scan.metadata),
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => Arc::ptr_eq(a, b),
            (Self::Scan(a), Self::Scan(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Metadata {
    fn of(&mut self, of: &Of) -> &mut Tree {
        if self.0.as_ref().is_none_or(|(known, _)| !known.is(of)) {
            self.0 = None;
        }
        let make = || (of.clone(), of.entries().map(Tree::of).unwrap_or_default());
        &mut self.0.get_or_insert_with(make).1
    }
}

/// The layer whose file is shown: the chosen one, else the one that the stage works on.
fn shown<'a>(cx: &Cx<'a>) -> Option<&'a Layer> {
    let project = cx.session.project();
    let of_stage = || match cx.view.stage {
        Stage::Scan | Stage::Align | Stage::Reconstruct => scan_layer(project).map(|(layer, _)| layer),
        _ => state::main_volume(project, cx.view),
    };
    match cx.view.layer.and_then(|id| project.layer(id)) {
        Some(chosen) => Some(chosen),
        None => of_stage().filter(|layer| layer.source.is_some()),
    }
}

/// The layer whose file is told of: the chosen one, else the topmost that was read from a file.
pub(crate) fn with_file(project: &Project, view: &state::ViewState) -> Option<LayerId> {
    let chosen = view.layer.and_then(|id| project.layer(id)).filter(|layer| layer.source.is_some());
    chosen.or_else(|| project.from_top().find(|layer| layer.source.is_some())).map(|layer| layer.id)
}

/// Draws the section, for a layer without a file the notes on it alone.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let Some(layer) = shown(cx) else { return };
    let notes = notes_of(layer, cx);
    let Some(source) = &layer.source else {
        if !notes.is_empty() {
            widgets::divider(ui);
            widgets::heading(ui, &format!("Notes on {}", layer.name));
            say(ui, &notes);
        }
        return;
    };
    widgets::divider(ui);
    let top = ui.cursor().min;
    heading(ui, layer, cx);
    path(ui, source, cx);
    say(ui, &notes);
    // One place for all stages, so that it stays open from stage to stage.
    let id = egui::Id::unique("about-the-file");
    if cx.view.reveal_file {
        ui.scroll_to_rect(egui::Rect::from_min_size(top, egui::vec2(1.0, 1.0)), Some(Align::TOP));
        // It gets its height once it is open and the file was looked at; until then there is nowhere to scroll to.
        let is_seen = cx.session.look(&Subject::Layer(layer.id)).is_some_and(|look| look.seen().is_some());
        cx.view.reveal_file = !(widgets::open_fold(ui.ctx(), id) && is_seen);
    }
    widgets::fold_at(ui, id, "What the file says", false, |ui| about(ui, layer, source, cx));
}

/// The notes on a layer that the panel of the stage does not show.
fn notes_of(layer: &Layer, cx: &Cx<'_>) -> Vec<String> {
    let shown = match scan_layer(cx.session.project()) {
        Some((of_panel, scan)) if cx.view.stage == Stage::Scan && of_panel.id == layer.id => {
            scan.warnings.as_slice()
        }
        _ => &[],
    };
    layer.provenance.notes.iter().filter(|note| !shown.contains(note)).cloned().collect()
}

fn say(ui: &mut egui::Ui, notes: &[String]) {
    for note in notes {
        widgets::hint(ui, &sentence(note));
    }
}

fn heading(ui: &mut egui::Ui, layer: &Layer, cx: &mut Cx<'_>) {
    widgets::heading_row(ui, "File", |ui| {
        let again = "Looks at the file again: it may have changed, or have been moved back";
        if widgets::icon_sized(
            ui,
            icons::ARROW_COUNTER_CLOCKWISE,
            "Look at the file again",
            again,
            false,
            22.0,
        )
        .clicked()
        {
            cx.queue.session(Command::LookAt(Subject::Layer(layer.id)));
        }
    });
}

/// The path, its middle left out where it is too long; a click copies it.
fn path(ui: &mut egui::Ui, source: &SourceFile, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let whole = source.path.display().to_string();
    let text = widgets::middle_cut(ui, &whole, ui.available_width());
    let label = egui::Label::new(egui::RichText::new(text).color(t.text_strong)).sense(Sense::click());
    let response = ui.add(label);
    if response.on_hover_text(format!("{whole}\n\nA click copies it")).clicked() {
        copy(ui, whole, cx);
    }
}

fn copy(ui: &egui::Ui, text: String, cx: &mut Cx<'_>) {
    let first: String = text.chars().take(60).collect();
    let rest = if first.len() < text.len() { "…" } else { "" };
    cx.queue.push(Request::Say(Level::Info, format!("Copied {first}{rest}")));
    ui.ctx().copy_text(text);
}

/// Everything that is known of it, looked at when it is wanted.
fn about(ui: &mut egui::Ui, layer: &Layer, source: &SourceFile, cx: &mut Cx<'_>) {
    let subject = Subject::Layer(layer.id);
    let seen = match cx.session.look(&subject) {
        Some(Look::Seen(about)) => Some(Arc::clone(about)),
        Some(Look::Looking) => None,
        None => {
            cx.queue.session(Command::LookAt(subject));
            None
        }
    };
    let Some(seen) = seen else { return widgets::waiting(ui, "Looking at the file…") };
    for problem in [&seen.problem, &seen.change].into_iter().flatten() {
        widgets::warn(ui, &sentence(problem));
    }
    if let Some(info) = &seen.info {
        facts(ui, info);
        part(ui, source, info);
        arrays(ui, &info.arrays);
    }
    let of = match &layer.content {
        Content::Scan(scan) if seen.info.is_none() => Of::Scan(Arc::clone(scan)),
        _ => Of::File(Arc::clone(&seen)),
    };
    let tree = cx.derived.metadata.of(&of);
    if tree.is_empty() {
        if seen.info.is_some() {
            widgets::hint(ui, "The file says nothing else.");
        }
        return;
    }
    ui.add_space(4.0);
    if let Some(text) = tree.show(ui, "metadata", TREE_HEIGHT) {
        copy(ui, text, cx);
    }
}

/// What a file holds, in a word.
pub(crate) fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Scan => "scan",
        Kind::Volume => "volume",
        Kind::Labels => "labels",
        Kind::Image => "image",
    }
}

/// "181 × 2 × 640".
pub(crate) fn shape_words(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
}

/// Edges of voxels in nm, or one where all are alike.
pub(crate) fn size_words(voxel_um: [f64; 3]) -> String {
    let nm = voxel_um.map(|edge| format!("{:.4}", edge * 1000.0));
    let nm = nm.map(|text| text.trim_end_matches('0').trim_end_matches('.').to_owned());
    if nm[0] == nm[1] && nm[1] == nm[2] { format!("{} nm", nm[0]) } else { format!("{} nm", nm.join(" × ")) }
}

fn facts(ui: &mut egui::Ui, info: &FileInfo) {
    fact(ui, "Format", info.format);
    fact(ui, "Holds", kind_words(info.kind));
    fact(ui, "Shape z × y × x", &shape_words(&info.shape_zyx));
    fact(ui, "Type", info.dtype);
    let size = info.voxel_um.map_or_else(|| "not said".to_owned(), size_words);
    fact(ui, if info.kind == Kind::Scan { "Pixel" } else { "Voxel" }, &size);
    let unit = match info.unit.and_then(Unit::from_ascii) {
        None => "not said",
        Some(unit) if unit.shown().is_empty() => unit.ascii(),
        Some(unit) => unit.shown(),
    };
    fact(ui, "Unit of the values", unit);
    if let Some(energy) = info.energy_ev {
        fact(ui, "Energy", &format!("{energy:.1} eV"));
    }
    if let Some(n) = info.n_views {
        fact(ui, "Number of views", &n.to_string());
    }
    if let Some((low, high)) = crate::volume::series::range_of(&info.angles_deg) {
        fact(ui, "Tilt", &format!("{low:.1}° to {high:.1}°"));
    }
    if info.n_channels > 1 {
        let names: Vec<String> = (0..info.n_channels).map(|at| channel_words(info, at)).collect();
        fact(ui, "Channels", &names.join(", "));
    }
    if info.n_times > 1 {
        fact(ui, "Times", &info.n_times.to_string());
    }
}

/// Number and name of a channel.
pub(crate) fn channel_words(info: &FileInfo, channel: usize) -> String {
    match info.channel_names.get(channel) {
        Some(name) if !name.is_empty() => format!("{channel} {name}"),
        _ => channel.to_string(),
    }
}

/// Which part of the file the layer holds, and what was said about it when it was opened.
fn part(ui: &mut egui::Ui, source: &SourceFile, info: &FileInfo) {
    let (read, options) = (source.options.read.or(&info.guessed), &source.options);
    if let Some(entry) = &read.entry {
        fact(ui, "Entry read", entry);
    }
    if let Some(array) = &read.dataset {
        fact(ui, "Array read", array);
    }
    if info.n_channels > 1 {
        fact(ui, "Channel read", &channel_words(info, read.channel.unwrap_or(0)));
    }
    if info.n_times > 1 {
        fact(ui, "Time read", &read.time.unwrap_or(0).to_string());
    }
    if let Some(axes) = read.axes {
        fact(ui, "Axes read as", &axes.to_string());
    }
    let read_as = match (source.role, info.kind) {
        (_, _) if read.kind == Some(ReadAs::Volume) => Some("values"),
        (Role::Labels, kind) if kind != Kind::Labels => Some("labels"),
        (Role::Scan, kind) if kind != Kind::Scan => Some("scan"),
        (Role::Volume, Kind::Scan | Kind::Labels) => Some("values"),
        _ => None,
    };
    if let Some(read_as) = read_as {
        fact(ui, "Read as", read_as);
    }
    if let Some(pixel) = options.pixel_um {
        fact(ui, "Pixel given", &size_words([pixel; 3]));
    }
    if let Some(part) = source.part.filter(|part| part.level > 0 || part.region.is_some()) {
        let region = if part.region.is_some() { ", a part of it" } else { "" };
        fact(ui, "Level read", &format!("{}{region}", part.level));
    }
}

fn arrays(ui: &mut egui::Ui, arrays: &[ArrayEntry]) {
    if arrays.is_empty() {
        return;
    }
    widgets::fold(ui, "arrays-of-the-file", &format!("Arrays of the file ({})", arrays.len()), false, |ui| {
        let t = theme::of(ui);
        egui::ScrollArea::vertical()
            .id_salt("arrays")
            .max_height(220.0)
            .min_scrolled_height(220.0)
            .auto_shrink([false, true])
            .show_rows(ui, ARRAY_ROW, arrays.len(), |ui, range| {
                for array in &arrays[range] {
                    ui.vertical(|ui| {
                        ui.set_height(ARRAY_ROW);
                        ui.spacing_mut().item_spacing.y = 0.0;
                        let path = egui::RichText::new(&array.path).color(t.text_strong);
                        let what = format!("{}  {}  {}", shape_words(&array.shape), array.dtype, array.note);
                        ui.add(egui::Label::new(path).truncate()).on_hover_text(&array.path);
                        let what = egui::RichText::new(what.trim_end()).size(12.0).color(t.text_weak);
                        ui.add(egui::Label::new(what).truncate());
                    });
                }
            });
    });
}
