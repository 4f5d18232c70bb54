//! A tree of keys and values, as files carry them: folded, searched, laid out once, and drawn only where it is seen.

use std::collections::BTreeMap;

use egui::{Align2, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::super::{dialogs, icons, theme};
use super::cut_line;

/// Height of a row.
const ROW: f32 = 20.0;
/// How far a row is set in for each group around it.
const INDENT: f32 = 12.0;
/// Room before a label, where the caret of a group is.
const CARET: f32 = 16.0;
/// Room between a label and its value.
const GAP: f32 = 8.0;
/// A tree of no more rows is open from the start.
const OPEN_ROWS: usize = 16;
/// Characters of a value that are shown when it is pointed at.
const MAX_HOVER: usize = 3000;

/// A key with its value, or a group of keys.
struct Node {
    /// The last part of the key.
    label: String,
    /// The whole key.
    key: String,
    /// `None` for a group that has none of its own.
    value: Option<String>,
    /// Key and value in small letters.
    sought: String,
    depth: usize,
    parent: Option<usize>,
    /// The first node behind those of this group.
    end: usize,
    is_open: bool,
}

/// The tree, with what is open and what is searched for.
#[derive(Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    query: String,
    /// The nodes that are seen, in order.
    rows: Vec<usize>,
    /// How many values the search found.
    n_found: usize,
}

/// Keys below one another while the tree is built.
#[derive(Default)]
struct Branch<'a> {
    key: String,
    value: Option<&'a str>,
    children: BTreeMap<&'a str, Self>,
}

/// The parts of a key: HDF5 writes `group/array@attribute`, others `group.name`.
fn parts(key: &str) -> Vec<&str> {
    let (path, attribute) = match key.rsplit_once('@') {
        Some((path, name)) if !name.is_empty() && !name.contains('/') => (path, Some(name)),
        _ => (key, None),
    };
    let is_name = |part: &str| part.starts_with(char::is_alphabetic) && !part.contains(char::is_whitespace);
    let mut parts: Vec<&str> = if path.contains('/') {
        path.split('/').filter(|part| !part.is_empty()).collect()
    } else if path.split('.').all(is_name) {
        path.split('.').collect()
    } else {
        vec![path]
    };
    parts.extend(attribute);
    parts
}

impl Tree {
    /// The tree of these keys and values.
    pub(crate) fn of(entries: &BTreeMap<String, String>) -> Self {
        let mut root = Branch::default();
        for (key, value) in entries {
            let mut at = &mut root;
            for part in parts(key) {
                let above = at.key.clone();
                at = at.children.entry(part).or_default();
                at.key = if above.is_empty() { part.to_owned() } else { format!("{above}/{part}") };
            }
            at.value = Some(value);
            at.key.clone_from(key);
        }
        let mut tree = Self::default();
        tree.flatten(&root, 0, None);
        if tree.nodes.len() <= OPEN_ROWS {
            tree.nodes.iter_mut().for_each(|node| node.is_open = true);
        }
        tree.lay();
        tree
    }

    /// Appends what lies below a branch, each node before its own.
    fn flatten(&mut self, branch: &Branch<'_>, depth: usize, parent: Option<usize>) {
        for (part, child) in &branch.children {
            let (mut label, mut child) = ((*part).to_owned(), child);
            // Groups that hold nothing but another group are one row.
            while let (None, Some((part, only)), 1) =
                (child.value, child.children.first_key_value(), child.children.len())
                && !only.children.is_empty()
                && only.value.is_none()
            {
                label = format!("{label}/{part}");
                child = only;
            }
            let at = self.nodes.len();
            self.nodes.push(Node {
                label,
                sought: format!("{} {}", child.key, child.value.unwrap_or_default()).to_lowercase(),
                key: child.key.clone(),
                value: child.value.map(str::to_owned),
                depth,
                parent,
                end: 0,
                is_open: false,
            });
            self.flatten(child, depth + 1, Some(at));
            self.nodes[at].end = self.nodes.len();
        }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Finds out which nodes are seen.
    fn lay(&mut self) {
        let query = self.query.to_lowercase();
        let words: Vec<&str> = query.split_whitespace().collect();
        if words.is_empty() {
            self.rows.clear();
            let mut at = 0;
            while let Some(node) = self.nodes.get(at) {
                self.rows.push(at);
                at = if node.is_open { at + 1 } else { node.end };
            }
            return;
        }
        let fits = |node: &Node| node.value.is_some() && words.iter().all(|word| node.sought.contains(word));
        let mut seen: Vec<bool> = self.nodes.iter().map(fits).collect();
        self.n_found = seen.iter().filter(|fits| **fits).count();
        for at in (0..seen.len()).rev() {
            if let (true, Some(parent)) = (seen[at], self.nodes[at].parent) {
                seen[parent] = true;
            }
        }
        self.rows = (0..seen.len()).filter(|at| seen[*at]).collect();
    }

    /// Draws the field of the search and the rows, no higher than `height`; gives a text that is to be copied.
    pub(crate) fn show(&mut self, ui: &mut Ui, name: &str, height: f32) -> Option<String> {
        let search = format!("Search {name}");
        let width = ui.available_width() - 18.0;
        if dialogs::text_field(ui, &mut self.query, &search, &search, width).changed() {
            self.lay();
        }
        if !self.query.trim().is_empty() {
            let found = match self.n_found {
                0 => "Nothing found".to_owned(),
                n => format!("{n} found"),
            };
            super::hint(ui, &found);
        }
        let (mut toggled, mut copied) = (None, None);
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            egui::ScrollArea::vertical()
                .id_salt(name)
                .max_height(height)
                .min_scrolled_height(height)
                .auto_shrink([false, true])
                .show_rows(ui, ROW, self.rows.len(), |ui, range| {
                    for at in self.rows[range].iter().copied() {
                        ui.push_id(at, |ui| match self.row(ui, at) {
                            Some(Act::Toggle) => toggled = Some(at),
                            Some(Act::Copy(text)) => copied = Some(text),
                            None => {}
                        });
                    }
                });
        });
        if let Some(at) = toggled {
            self.nodes[at].is_open = !self.nodes[at].is_open;
            self.lay();
        }
        copied
    }

    fn row(&self, ui: &mut Ui, at: usize) -> Option<Act> {
        let t = theme::of(ui);
        let node = &self.nodes[at];
        let is_group = node.end > at + 1;
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
        response.widget_info(|| {
            let name = match &node.value {
                Some(value) => format!("{}: {}", node.key, shortened(value)),
                None => format!("Group {}", node.key),
            };
            WidgetInfo::labeled(Role::Button, true, name)
        });
        if response.hovered() {
            ui.painter().rect_filled(rect, theme::RADIUS, t.raised);
        }
        let left = rect.left() + node.depth as f32 * INDENT;
        if is_group {
            let is_open = node.is_open || !self.query.trim().is_empty();
            let icon = if is_open { icons::CARET_DOWN } else { icons::CARET_RIGHT };
            let place = pos2(left + CARET / 2.0, rect.center().y);
            ui.painter().text(place, Align2::CENTER_CENTER, icon, theme::icon(11.0), t.text_weak);
        }
        texts(ui, node, Rect::from_min_max(pos2(left + CARET, rect.top()), rect.max));
        let act = if !response.clicked() {
            None
        } else if is_group {
            Some(Act::Toggle)
        } else {
            node.value.clone().map(Act::Copy)
        };
        act.or_else(|| menu(&response, node)).or_else(|| {
            hover(response, node, is_group);
            None
        })
    }
}

/// Label and value of a row: the label has what the value leaves, and half of the room at least.
fn texts(ui: &Ui, node: &Node, room: Rect) {
    let t = theme::of(ui);
    let font = egui::FontId::proportional(12.5);
    let line = node.value.as_deref().map(first_line);
    let cut = |text: &str, room: f32, color| cut_line(ui, text, font.clone(), room, color);
    let needed =
        line.as_ref().map_or(0.0, |line| cut(line, room.width() * 0.5, t.text_strong).size().x + GAP);
    let color = if node.value.is_some() { t.text_weak } else { t.text };
    let label = cut(&node.label, room.width() - needed, color);
    let beside = room.left() + label.size().x + GAP;
    let middle = |galley: &egui::Galley| room.center().y - galley.size().y / 2.0;
    ui.painter().galley(pos2(room.left(), middle(&label)), label, color);
    if let Some(line) = line {
        let value = cut(&line, room.right() - beside - 4.0, t.text_strong);
        ui.painter().galley(pos2(beside, middle(&value)), value, t.text_strong);
    }
}

/// What a click on a row asks for.
enum Act {
    Toggle,
    Copy(String),
}

/// What is drawn of a value: one line of it.
fn first_line(value: &str) -> String {
    value.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(MAX_HOVER) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}

fn menu(response: &egui::Response, node: &Node) -> Option<Act> {
    let value = node.value.as_ref()?;
    let mut act = None;
    response.context_menu(|ui| {
        let choices =
            [("Copy value", value.clone()), ("Copy key and value", format!("{}: {value}", node.key))];
        for (label, text) in choices {
            if super::Button::new(label).icon(icons::COPY).quiet().fill_width().show(ui).clicked() {
                act = Some(Act::Copy(text));
                ui.close();
            }
        }
    });
    act
}

/// The whole key and value where the pointer rests.
fn hover(response: egui::Response, node: &Node, is_group: bool) {
    let Some(value) = &node.value else { return };
    let what = if is_group { "" } else { "\n\nA click copies the value" };
    response.on_hover_text(format!("{}\n{}{what}", node.key, shortened(value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, &str)]) -> Tree {
        Tree::of(&entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn rows(tree: &Tree) -> Vec<String> {
        let line = |at: &usize| format!("{}{}", " ".repeat(tree.nodes[*at].depth), tree.nodes[*at].label);
        tree.rows.iter().map(line).collect()
    }

    #[test]
    fn keys_are_split_as_the_formats_write_them() {
        assert_eq!(parts("entry/detector/x_pixel@units"), ["entry", "detector", "x_pixel", "units"]);
        assert_eq!(parts("omero.channels"), ["omero", "channels"]);
        for whole in ["linked files", "v1.2", "first 0.5 s", "rate", "1.5"] {
            assert_eq!(parts(whole), [whole]);
        }
    }

    #[test]
    fn a_small_tree_is_open_and_groups_of_one_group_are_one_row() {
        let tree =
            tree(&[("entry/a/b/x", "1"), ("entry/a/b/y", "2"), ("entry/a/b/x@units", "um"), ("title", "t")]);
        assert_eq!(rows(&tree), ["entry/a/b", " x", "  units", " y", "title"]);
    }

    #[test]
    fn a_large_tree_is_folded_until_it_is_opened_or_searched() {
        let entries: Vec<(String, String)> =
            (0..3000).map(|i| (format!("group{}/name{i}", i % 3), format!("value {i}"))).collect();
        let mut tree = Tree::of(&entries.into_iter().collect());
        assert_eq!(rows(&tree), ["group0", "group1", "group2"]);
        tree.query = "NAME17 value".to_owned();
        tree.lay();
        // 17, 170 to 179, 1700 to 1799: all words are looked for in key and value, whatever the case.
        assert_eq!(tree.n_found, 111);
        tree.query = "value 2999".to_owned();
        tree.lay();
        assert_eq!(rows(&tree), ["group2", " name2999"]);
        tree.query.clear();
        tree.lay();
        assert_eq!(tree.rows.len(), 3);
    }
}
