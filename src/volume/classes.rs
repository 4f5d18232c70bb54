//! Classes of labels: names, colours, parents and Gene Ontology identifiers.
//!
//! The default table follows the ontology that groups of the field use: sample, cell, nucleus,
//! chromatin and so on. Typical LACs are defaults a user edits, never constants in code.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// One class of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Value in the label volume, 1 to 65 535; 0 is unlabelled and never in the table.
    pub id: u16,
    /// Name as the user sees it.
    pub name: String,
    /// Colour, sRGB 0 to 255.
    pub color: [u8; 3],
    /// The class this one lies inside, if any.
    #[serde(default)]
    pub parent: Option<u16>,
    /// Gene Ontology identifier ("GO:0005634").
    #[serde(default)]
    pub go_id: Option<String>,
    /// Typical LAC in 1/µm, low and high: a hint, editable.
    #[serde(default)]
    pub typical_lac: Option<[f32; 2]>,
    /// Shown in the views.
    #[serde(default = "yes")]
    pub visible: bool,
    /// Painting and prediction leave its voxels alone.
    #[serde(default)]
    pub locked: bool,
}

fn yes() -> bool {
    true
}

/// All classes of a project, ordered by id.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClassTable {
    /// Classes in order of id.
    pub classes: Vec<Class>,
}

/// Twelve colours that colour-blind people tell apart, after Okabe and Ito (2008) and Tol (2021), sRGB.
pub const PALETTE: [[u8; 3]; 12] = [
    [86, 180, 233],
    [230, 159, 0],
    [0, 158, 115],
    [204, 121, 167],
    [240, 228, 66],
    [213, 94, 0],
    [0, 114, 178],
    [170, 170, 0],
    [153, 221, 255],
    [238, 136, 102],
    [68, 187, 153],
    [255, 170, 187],
];

/// Colour of the `n`-th class: the palette, then lighter and darker rounds of it.
pub fn palette_color(n: usize) -> [u8; 3] {
    let base = PALETTE[n % PALETTE.len()];
    let lighten = |c: u8, t: f32| (f32::from(c) + (255.0 - f32::from(c)) * t) as u8;
    match (n / PALETTE.len()) % 3 {
        0 => base,
        1 => base.map(|c| lighten(c, 0.45)),
        _ => base.map(|c| (f32::from(c) * 0.6) as u8),
    }
}

/// Entry of the built-in ontology: name, parent's name, GO id, typical LAC in 1/µm.
pub struct OntologyEntry {
    /// Name as shown.
    pub name: &'static str,
    /// Name of the enclosing class, empty at the top.
    pub parent: &'static str,
    /// Gene Ontology cellular component, empty where there is none.
    pub go_id: &'static str,
    /// Typical LAC in 1/µm, low and high, near 510 to 520 eV.
    pub typical_lac: [f32; 2],
}

const fn entry(
    name: &'static str,
    parent: &'static str,
    go_id: &'static str,
    typical_lac: [f32; 2],
) -> OntologyEntry {
    OntologyEntry { name, parent, go_id, typical_lac }
}

/// Cell parts that users of soft X-ray tomography segment, with GO identifiers.
pub const ONTOLOGY: [OntologyEntry; 18] = [
    entry("ice", "", "", [0.08, 0.12]),
    entry("buffer", "", "", [0.08, 0.12]),
    entry("capillary", "", "", [0.9, 1.2]),
    entry("cell", "", "", [0.2, 0.35]),
    entry("cytoplasm", "cell", "GO:0005737", [0.2, 0.3]),
    entry("plasma membrane", "cell", "GO:0005886", [0.25, 0.4]),
    entry("nucleus", "cell", "GO:0005634", [0.2, 0.4]),
    entry("euchromatin", "nucleus", "GO:0000791", [0.2, 0.26]),
    entry("heterochromatin", "nucleus", "GO:0000792", [0.3, 0.4]),
    entry("nucleolus", "nucleus", "GO:0005730", [0.3, 0.36]),
    entry("mitochondria", "cell", "GO:0005739", [0.3, 0.4]),
    entry("lipid droplets", "cell", "GO:0005811", [0.5, 0.8]),
    entry("vacuoles", "cell", "GO:0005773", [0.15, 0.2]),
    entry("endoplasmic reticulum", "cell", "GO:0005783", [0.25, 0.35]),
    entry("Golgi apparatus", "cell", "GO:0005794", [0.25, 0.35]),
    entry("secretory granules", "cell", "GO:0030141", [0.3, 0.5]),
    entry("chloroplast", "cell", "GO:0009507", [0.3, 0.5]),
    entry("gold beads", "", "", [2.0, 24.0]),
];

impl ClassTable {
    /// The class with this id.
    pub fn get(&self, id: u16) -> Option<&Class> {
        self.classes.iter().find(|class| class.id == id)
    }

    /// The class with this id, for editing.
    pub fn get_mut(&mut self, id: u16) -> Option<&mut Class> {
        self.classes.iter_mut().find(|class| class.id == id)
    }

    /// The name of a class, or "class 7" for an id without an entry, "unlabelled" for 0.
    pub fn name(&self, id: u16) -> String {
        match (id, self.get(id)) {
            (0, _) => "unlabelled".to_owned(),
            (_, Some(class)) => class.name.clone(),
            (_, None) => format!("class {id}"),
        }
    }

    /// Lowest id that is free; `None` when all 65 535 are taken.
    pub fn free_id(&self) -> Option<u16> {
        (1..=u16::MAX).find(|id| self.get(*id).is_none())
    }

    /// Ids of the classes that are locked, in order.
    pub fn locked(&self) -> Vec<u16> {
        self.classes.iter().filter(|class| class.locked).map(|class| class.id).collect()
    }

    /// The class and every class that lies inside it, however deep, in order of id. A loop of parents is walked once.
    pub fn within(&self, id: u16) -> Vec<u16> {
        let mut found = vec![id];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            let children = self.classes.iter().filter(|class| class.parent == Some(parent));
            let new: Vec<u16> = children.map(|class| class.id).filter(|id| !found.contains(id)).collect();
            found.extend(new);
            next += 1;
        }
        found.sort_unstable();
        found
    }

    /// The classes as a tree, each parent before its children, with its depth; parents that are missing or lie
    /// inside their own children count as none.
    pub fn tree(&self) -> Vec<(&Class, usize)> {
        let parents: BTreeMap<u16, Option<u16>> = self.classes.iter().map(|c| (c.id, c.parent)).collect();
        // The parent that counts: it exists, and going up from it does not come back here.
        let parent_of = |class: &Class| {
            let parent = class.parent.filter(|id| parents.contains_key(id))?;
            let mut up = Some(parent);
            for _ in 0..parents.len() {
                match up {
                    None => return Some(parent),
                    Some(id) if id == class.id => return None,
                    Some(id) => up = parents.get(&id).copied().flatten(),
                }
            }
            Some(parent)
        };
        let mut children: BTreeMap<Option<u16>, Vec<&Class>> = BTreeMap::new();
        for class in self.classes.iter().rev() {
            children.entry(parent_of(class)).or_default().push(class);
        }
        let mut rows = Vec::with_capacity(self.classes.len());
        let below = |id, depth| children.get(&id).into_iter().flatten().map(move |class| (*class, depth));
        let mut open: Vec<(&Class, usize)> = below(None, 0).collect();
        while let Some((class, depth)) = open.pop() {
            rows.push((class, depth));
            open.extend(below(Some(class.id), depth + 1));
        }
        rows
    }

    /// A class of this name with a free id, the next colour, and what the ontology knows of it. Not yet in the table.
    pub fn proposed(&self, name: &str) -> Option<Class> {
        let id = self.free_id()?;
        let known = ONTOLOGY.iter().find(|entry| entry.name.eq_ignore_ascii_case(name));
        Some(Class {
            id,
            name: name.to_owned(),
            color: palette_color(usize::from(id) - 1),
            parent: known
                .and_then(|entry| self.classes.iter().find(|class| class.name == entry.parent))
                .map(|class| class.id),
            go_id: known.filter(|entry| !entry.go_id.is_empty()).map(|entry| entry.go_id.to_owned()),
            typical_lac: known.map(|entry| entry.typical_lac),
            visible: true,
            locked: false,
        })
    }

    /// Adds or replaces a class, keeping the order by id.
    pub fn insert(&mut self, class: Class) -> Option<Class> {
        match self.classes.binary_search_by_key(&class.id, |c| c.id) {
            Ok(at) => Some(std::mem::replace(&mut self.classes[at], class)),
            Err(at) => {
                self.classes.insert(at, class);
                None
            }
        }
    }

    /// Takes a class out.
    pub fn remove(&mut self, id: u16) -> Option<Class> {
        let at = self.classes.iter().position(|class| class.id == id)?;
        Some(self.classes.remove(at))
    }

    /// A table with these names, ids from 1, colours from the palette.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut table = Self::default();
        for name in names {
            if let Some(class) = table.proposed(name) {
                table.insert(class);
            }
        }
        table
    }

    /// Adds an entry "class N" for every id of `ids` that the table lacks (0 is skipped).
    pub fn with_ids(mut self, ids: impl IntoIterator<Item = u16>) -> Self {
        let known: BTreeSet<u16> = self.classes.iter().map(|class| class.id).collect();
        let new: BTreeSet<u16> = ids.into_iter().filter(|id| *id != 0 && !known.contains(id)).collect();
        self.classes.extend(new.into_iter().map(|id| Class {
            id,
            name: format!("class {id}"),
            color: palette_color(usize::from(id) - 1),
            parent: None,
            go_id: None,
            typical_lac: None,
            visible: true,
            locked: false,
        }));
        self.classes.sort_by_key(|class| class.id);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposed_class_knows_parent_and_go_id() {
        let mut table = ClassTable::from_names(["nucleus"]);
        let class = table.proposed("nucleolus").unwrap();
        assert_eq!((class.id, class.parent, class.go_id.as_deref()), (2, Some(1), Some("GO:0005730")));
        table.insert(class);
        assert_eq!(table.name(2), "nucleolus");
        assert_eq!(table.name(9), "class 9");
    }

    #[test]
    fn the_tree_has_every_class_once_and_children_below_their_parent() {
        let mut table = ClassTable::from_names(["nucleolus", "cell", "nucleus", "lipid droplets", "buffer"]);
        for (child, parent) in [(1, 3), (3, 2), (4, 2)] {
            table.get_mut(child).unwrap().parent = Some(parent);
        }
        let rows: Vec<_> = table.tree().into_iter().map(|(class, depth)| (class.id, depth)).collect();
        assert_eq!(rows, [(2, 0), (3, 1), (1, 2), (4, 1), (5, 0)]);
        assert_eq!(table.within(2), [1, 2, 3, 4]);
        assert_eq!(table.within(3), [1, 3]);
        // A loop, and a parent that is gone.
        table.get_mut(2).unwrap().parent = Some(1);
        table.get_mut(5).unwrap().parent = Some(99);
        let mut ids: Vec<_> = table.tree().into_iter().map(|(class, _)| class.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
        assert_eq!(table.within(1), [1, 2, 3, 4]);
    }

    #[test]
    fn first_36_colors_differ() {
        let colors: std::collections::BTreeSet<_> = (0..36).map(palette_color).collect();
        assert_eq!(colors.len(), 36);
    }
}
