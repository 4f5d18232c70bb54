//! Materials of AmiraMesh as classes, and classes as materials.

use std::fmt::Write as _;

use super::header::{Field, Node, Said};
use crate::base::Unit;
use crate::io::format::{Header, WriteRequest};
use crate::volume::classes::palette_color;
use crate::volume::{Class, ClassTable};

/// Says of values with materials that they are labels, and which class each is.
pub(super) fn describe(said: &Said, field: &Field, header: &mut Header) {
    let Some(materials) = said.tree.iter().find_map(|(key, node)| match node {
        Node::Tree(tree) if key == "Materials" => Some(tree),
        _ => None,
    }) else {
        return;
    };
    let is_label = said.text(&["ContentType"]).is_some_and(|kind| kind.contains("Label"))
        || field.name.eq_ignore_ascii_case("labels");
    if !is_label || !header.dtype.is_integer() || header.n_channels > 1 {
        return;
    }
    header.set_unit(Unit::Label);
    let mut table = ClassTable::default();
    let (mut ids, mut names): (Vec<Option<f64>>, Vec<&str>) = (Vec::new(), Vec::new());
    for ((name, node), place) in materials.iter().zip(0u16..) {
        ids.push(number_of(node, "Id").first().copied());
        if place > 0 {
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
    values.into_iter().flatten().filter_map(|text| text.parse().ok()).collect()
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

/// The materials of labels, one for every id up to the last of the table: the place in the list is the label.
pub(super) fn listed(request: &WriteRequest<'_>) -> String {
    let mut text = "    Materials {\n        Exterior { Id 0 }\n".to_owned();
    let classes = request.classes.map_or(&[][..], |table| &table.classes);
    let last = classes.iter().map(|class| class.id).max().unwrap_or(0);
    for id in 1..=last {
        let class = classes.iter().find(|class| class.id == id);
        let name = class.map_or_else(|| format!("unused {id}"), |class| class.name.clone());
        let name: String =
            name.chars().map(|c| if c == '"' || c == '\\' || c.is_control() { '_' } else { c }).collect();
        let [r, g, b] = class.map_or([0; 3], |class| class.color).map(|part| f64::from(part) / 255.0);
        let written = writeln!(text, "        \"{name}\" {{ Id {id}, Color {r:.6} {g:.6} {b:.6} }}");
        debug_assert!(written.is_ok(), "text takes everything");
    }
    text + "    }\n"
}
