//! Materials of AmiraMesh as classes, and classes as materials.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::header::{Field, Node, Said, numbers};
use crate::base::Unit;
use crate::io::format::{Header, WriteRequest};
use crate::volume::classes::palette_color;
use crate::volume::{Class, ClassTable};

/// Says of labels that they are, and which class each is.
pub(super) fn describe(said: &Said, field: &Field, header: &mut Header) {
    let materials = said.tree.iter().find_map(|(key, node)| match node {
        Node::Tree(tree) if key == "Materials" => Some(tree.as_slice()),
        _ => None,
    });
    let materials = materials.unwrap_or_default();
    let is_named = field.name.eq_ignore_ascii_case("labels");
    let is_first = said.on_lattice().next().is_some_and(|first| first.name == field.name);
    let is_said = said.text(&["ContentType"]).is_some_and(|kind| kind.contains("Label"));
    // Besides labels a file may hold how sure each of them is.
    let is_label = is_named || (is_first && (is_said || materials.len() > 1));
    if !is_label || !header.dtype.is_integer() || header.n_channels > 1 {
        return;
    }
    header.set_unit(Unit::Label);
    if materials.is_empty() {
        return;
    }
    let mut table = ClassTable::default();
    let (mut ids, mut names): (Vec<Option<f64>>, Vec<&str>) = (Vec::new(), Vec::new());
    for ((name, node), place) in materials.iter().zip(0u16..) {
        ids.push(number_of(node, "Id").first().copied());
        if place > 0 && *name != unused(place) {
            table.insert(class(place, name, node));
            names.push(name);
        }
    }
    let is_counted =
        |first: f64| ids.iter().zip(0u16..).all(|(id, n)| id.is_none_or(|id| id == first + f64::from(n)));
    if !is_counted(0.0) && !is_counted(1.0) {
        header.warnings.push(
            "the ids beside the materials are not their order: labels were taken by the order, as Amira does"
                .to_owned(),
        );
    }
    names.sort_unstable();
    for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
        header
            .warnings
            .push(format!("several materials are called {}: they stay classes of their own", pair[0]));
    }
    header.classes = Some(table);
}

fn number_of(node: &Node, key: &str) -> Vec<f64> {
    let Node::Tree(tree) = node else { return Vec::new() };
    let values = tree.iter().find_map(|(name, node)| match node {
        Node::Values(values) if name == key => Some(values),
        _ => None,
    });
    values.and_then(|values| numbers(values)).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
fn class(id: u16, name: &str, node: &Node) -> Class {
    let color = <[f64; 3]>::try_from(number_of(node, "Color")).map_or_else(
        |_| palette_color(usize::from(id) - 1),
        |color| color.map(|part| (part.clamp(0.0, 1.0) * 255.0).round() as u8),
    );
    Class {
        id,
        name: name.to_owned(),
        color,
        parent: None,
        go_id: None,
        typical_lac: None,
        visible: true,
        locked: false,
    }
}

/// The name of a material whose place in the list no class has.
fn unused(id: u16) -> String {
    format!("unused_{id}")
}

/// The name of a material: letters, digits and `_`, as programs read them without quotes.
fn plain(name: &str) -> String {
    let plain: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let is_word = plain.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_word { plain } else { format!("Material_{plain}") }
}

/// The names of the materials of classes, no two the same.
fn names(classes: &[Class]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(classes.len());
    let mut taken = BTreeSet::from(["Exterior".to_owned()]);
    for class in classes {
        let name = plain(&class.name);
        let is_taken = taken.contains(&name) || name.starts_with("unused_");
        let name = if is_taken { format!("{name}_{}", class.id) } else { name };
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// Whether the materials say everything that is known of the classes.
pub(super) fn hold_all(request: &WriteRequest<'_>) -> bool {
    let classes = request.classes.map_or(&[][..], |table| &table.classes);
    let has_more = |class: &Class| {
        class.parent.is_some()
            || class.go_id.is_some()
            || class.typical_lac.is_some()
            || class.locked
            || !class.visible
    };
    classes.iter().zip(names(classes)).all(|(class, name)| class.name == name && !has_more(class))
}

/// The materials of labels, one for every id up to the last of the table: the place in the list is the label.
pub(super) fn listed(request: &WriteRequest<'_>) -> String {
    let mut text = "    Materials {\n        Exterior {\n            Id 0\n        }\n".to_owned();
    let classes = request.classes.map_or(&[][..], |table| &table.classes);
    let names = names(classes);
    let last = classes.iter().map(|class| class.id).max().unwrap_or(0);
    let mut entries = classes.iter().zip(names).collect::<Vec<_>>();
    entries.sort_by_key(|(class, _)| class.id);
    let mut entries = entries.into_iter().peekable();
    for id in 1..=last {
        let (name, color) = entries
            .next_if(|(class, _)| class.id == id)
            .map_or_else(|| (unused(id), [0; 3]), |(class, name)| (name, class.color));
        let [r, g, b] = color.map(|part| f64::from(part) / 255.0);
        let written = writeln!(
            text,
            "        {name} {{\n            Id {id},\n            Color {r:.6} {g:.6} {b:.6}\n        }}"
        );
        debug_assert!(written.is_ok(), "text takes everything");
    }
    text + "    }\n"
}
