//! Regions: ids of objects on a grid (u32), and which class each object is of.
//!
//! A region map is what parting or connecting classes gives, and what a file with ids above 65 535 is read as. Its table
//! says of which class each object is, so that numbers of objects keep the names of their classes. Without a table each
//! id stands for itself.

use std::collections::BTreeMap;
use std::ops::Deref;

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::classes::{ClassTable, palette_color};
use super::dense::Volume;
use super::table::{Cell, Column, Table};

/// An id of a class (u16) or of an object (u32); 0 is neither.
pub trait LabelId: Copy + Ord + Default + Send + Sync + std::fmt::Debug + Into<u32> + 'static {}
impl LabelId for u16 {}
impl LabelId for u32 {}

/// Which class each object is of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Columns", into = "Columns")]
pub struct ObjectTable {
    /// Class of each object by the id of the object.
    pub class_of: BTreeMap<u32, u32>,
    /// Names and colours of the classes.
    pub classes: ClassTable,
}

/// The table as files hold it: two columns are a third as long as a list of pairs with names.
#[derive(Clone, Serialize, Deserialize)]
struct Columns {
    object: Vec<u32>,
    class: Vec<u32>,
    #[serde(default)]
    classes: ClassTable,
}

impl From<Columns> for ObjectTable {
    fn from(columns: Columns) -> Self {
        let class_of = columns.object.into_iter().zip(columns.class).collect();
        Self { class_of, classes: columns.classes }
    }
}

impl From<ObjectTable> for Columns {
    fn from(table: ObjectTable) -> Self {
        let (object, class) = table.class_of.into_iter().unzip();
        Self { object, class, classes: table.classes }
    }
}

/// The name of a class, or "class 70000" for an id that no table names.
pub fn class_name(classes: &ClassTable, class: u32) -> String {
    u16::try_from(class).map_or_else(|_above| format!("class {class}"), |id| classes.name(id))
}

/// The colour of a class, or one of the palette for an id that no table names.
pub fn class_color(classes: &ClassTable, class: u32) -> [u8; 3] {
    let known = u16::try_from(class).ok().and_then(|id| classes.get(id));
    known.map_or_else(|| palette_color(class.saturating_sub(1) as usize), |class| class.color)
}

impl ObjectTable {
    /// The table of these objects, `(id, class)` each; classes that none of them has are left out.
    pub fn new(objects: impl IntoIterator<Item = (u32, u32)>, classes: &ClassTable) -> Self {
        let class_of: BTreeMap<u32, u32> = objects.into_iter().collect();
        let mut own = classes.clone();
        let used: std::collections::BTreeSet<u32> = class_of.values().copied().collect();
        own.classes.retain(|class| used.contains(&u32::from(class.id)));
        Self { class_of, classes: own }
    }

    /// The table that `components --table` and `split --table` write: columns `object`, and `class` or `name` or both.
    ///
    /// Where there is no column `class`, equal names are one class, numbered as they come.
    ///
    /// # Errors
    /// One sentence that says which line cannot be read.
    pub fn from_csv(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, head) = lines.next().ok_or("the table of objects is empty")?;
        let head = cells(head);
        let column = |name: &str| head.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
        let object = column("object").ok_or("the table of objects has no column object")?;
        let (class, name) = (column("class"), column("name"));
        if class.is_none() && name.is_none() {
            return Err("the table of objects has neither a column class nor a column name".to_owned());
        }
        let mut table = Self::default();
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        for (at, line) in lines {
            let row = cells(line);
            let cell = |column: usize| row.get(column).map(|cell| cell.trim()).unwrap_or_default();
            let number = |column: usize, what: &str| {
                cell(column).parse::<u32>().map_err(|_e| {
                    let (line, found) = (at + 1, cell(column));
                    format!(
                        "line {line} of the table of objects has {what} {found:?}, expected a whole number"
                    )
                })
            };
            let (id, called) = (number(object, "object")?, name.map_or("", cell));
            let next = numbers.len() as u32 + 1;
            let of = match class {
                Some(column) => number(column, "class")?,
                None => *numbers.entry(called.to_owned()).or_insert(next),
            };
            table.class_of.insert(id, of);
            table.name(of, called);
        }
        Ok(table)
    }

    /// Gives a class a name, where it has none.
    fn name(&mut self, class: u32, name: &str) {
        let Ok(id) = u16::try_from(class) else { return };
        if id == 0 || name.is_empty() || self.classes.get(id).is_some() {
            return;
        }
        if let Some(proposed) = self.classes.proposed(name) {
            let color = palette_color(usize::from(id) - 1);
            self.classes.insert(super::classes::Class { id, color, parent: None, ..proposed });
        }
    }

    /// The class of an object; `None` where the table lacks it.
    pub fn class(&self, object: u32) -> Option<u32> {
        self.class_of.get(&object).copied()
    }

    /// The name of a class.
    pub fn class_name(&self, class: u32) -> String {
        class_name(&self.classes, class)
    }

    /// Rows `object, class, name, voxels` of these objects, `(id, class, voxels)` each.
    pub fn rows(classes: &ClassTable, objects: impl Iterator<Item = (u32, u32, u64)>) -> Table {
        let rows = objects.map(|(id, class, voxels)| {
            vec![
                Cell::from(u64::from(id)),
                Cell::from(u64::from(class)),
                Cell::Text(class_name(classes, class)),
                Cell::from(voxels),
            ]
        });
        Table {
            columns: ["object", "class", "name", "voxels"].map(|name| Column::new(name, "")).into(),
            rows: rows.collect(),
            ..Table::default()
        }
    }
}

/// The cells of a line of CSV; quotes are taken off (RFC 4180).
fn cells(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                found.last_mut().into_iter().for_each(|cell| cell.push('"'));
            }
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(String::new()),
            c => found.last_mut().into_iter().for_each(|cell| cell.push(c)),
        }
    }
    found
}

/// Ids of objects on a grid, 0 outside, with the table of their classes where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionMap {
    /// The ids and where they lie.
    pub volume: Volume<u32>,
    /// Of which class each object is; `None` where nothing says so.
    pub objects: Option<ObjectTable>,
}

impl From<Volume<u32>> for RegionMap {
    fn from(volume: Volume<u32>) -> Self {
        Self { volume, objects: None }
    }
}

impl Deref for RegionMap {
    type Target = Volume<u32>;

    fn deref(&self) -> &Volume<u32> {
        &self.volume
    }
}

impl RegionMap {
    /// The class that an object counts for: that of the table, 0 where the table lacks it, its own id where there is none.
    pub fn class(&self, object: u32) -> u32 {
        self.objects.as_ref().map_or(object, |table| table.class(object).unwrap_or(0))
    }

    /// Names and colours of the classes; none where there is no table.
    pub fn classes(&self) -> ClassTable {
        self.objects.as_ref().map(|table| table.classes.clone()).unwrap_or_default()
    }

    /// Ids as ranks from 1 by ascending id, and how many there are; beyond 65 535 ranks begin anew. For pictures only.
    pub fn ranks_u16(&self) -> (Array3<u16>, usize) {
        let mut ids: Vec<u32> = self.values().chunk_by(|a, b| a == b).map(|run| run[0]).collect();
        ids.push(0);
        ids.sort_unstable();
        ids.dedup();
        let rank = |id: u32| match ids.binary_search(&id) {
            Ok(0) | Err(_) => 0,
            Ok(rank) => ((rank - 1) % usize::from(u16::MAX)) as u16 + 1,
        };
        let mut last = (0, 0);
        let ranks = self.data.mapv(|id| {
            if id != last.0 {
                last = (id, rank(id));
            }
            last.1
        });
        (ranks, ids.len() - 1)
    }

    /// The same ids and table, placed elsewhere or otherwise changed.
    #[must_use]
    pub fn with_volume(&self, volume: Volume<u32>) -> Self {
        Self { volume, objects: self.objects.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_survives_json_and_csv() {
        let classes = ClassTable::from_names(["nucleus", "a \"b\", c", "unused"]);
        let table = ObjectTable::new([(7, 2), (70_000, 1), (3, 70_001)], &classes);
        assert_eq!(table.classes.classes.len(), 2);
        let json = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<ObjectTable>(&json).unwrap(), table);
        let rows =
            ObjectTable::rows(&table.classes, table.class_of.iter().map(|(id, class)| (*id, *class, 1)));
        let read = ObjectTable::from_csv(&rows.to_csv()).unwrap();
        assert_eq!(read.class_of, table.class_of);
        assert_eq!(
            [1, 2, 70_001].map(|class| read.class_name(class)),
            ["nucleus", "a \"b\", c", "class 70001"]
        );
    }

    #[test]
    fn names_alone_make_classes_and_what_is_no_table_is_answered() {
        let table =
            ObjectTable::from_csv("name,object\nlipid droplets,4\nvacuoles,9\nlipid droplets,5\n").unwrap();
        assert_eq!(table.class_of, [(4, 1), (5, 1), (9, 2)].into());
        assert_eq!(table.class_name(2), "vacuoles");
        for (text, part) in [
            ("", "empty"),
            ("id,class\n1,2\n", "no column object"),
            ("object,voxels\n1,2\n", "neither"),
            ("object,class\n1,2\nx,3\n", "line 3"),
            ("object,class\n1,-2\n", "class \"-2\""),
        ] {
            let said = ObjectTable::from_csv(text).unwrap_err();
            assert!(said.contains(part), "{text:?}: {said}");
        }
    }

    #[test]
    fn without_a_table_an_id_is_its_own_class() {
        let volume =
            Volume::new(ndarray::Array3::from_elem((1, 1, 1), 70_000), None, crate::base::Unit::Label);
        let mut map = RegionMap::from(volume);
        assert_eq!((map.class(70_000), map.shape()), (70_000, [1; 3]));
        map.objects = Some(ObjectTable::new([(70_000, 4)], &ClassTable::default()));
        assert_eq!((map.class(70_000), map.class(5)), (4, 0));
        let ids = Array3::from_shape_vec((1, 1, 5), vec![0, 90_000, 7, 7, 80_000]).unwrap();
        let map = RegionMap::from(Volume::new(ids, None, crate::base::Unit::Label));
        assert_eq!((map.ranks_u16().0.as_slice().unwrap(), map.ranks_u16().1), (&[0, 3, 1, 1, 2][..], 3));
    }
}
