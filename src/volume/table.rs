//! Tables of results: what measuring gives, what the window shows and what becomes CSV or JSON.

use serde::{Deserialize, Serialize};

/// A column's name and unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name as the CSV header has it; ends in its unit where it has one (`volume_um3`).
    pub name: String,
    /// Unit as a person reads it ("µm³"); empty where there is none.
    #[serde(default)]
    pub unit: String,
}

impl Column {
    /// A column with this name and unit.
    pub fn new(name: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { name: name.into(), unit: unit.into() }
    }
}

/// One value of a table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A whole number.
    Integer(i64),
    /// A number; one that is not finite is written as nothing.
    Number(f64),
    /// A text.
    Text(String),
    /// No value.
    #[default]
    Empty,
}

impl Cell {
    /// The number in this cell, if it holds one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            Self::Text(_) | Self::Empty => None,
        }
    }

    /// The cell as CSV and the window write it: the shortest digits that read back the same number.
    pub fn text(&self) -> String {
        match self {
            Self::Integer(value) => value.to_string(),
            Self::Number(value) if value.is_finite() => value.to_string(),
            Self::Text(text) => text.clone(),
            Self::Number(_) | Self::Empty => String::new(),
        }
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Number(value) } else { Self::Empty }
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

/// Rows of cells under named columns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Table {
    /// Columns from left to right.
    pub columns: Vec<Column>,
    /// Rows, each with one cell a column.
    pub rows: Vec<Vec<Cell>>,
    /// What a reader must know: assumptions, units that are not known.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Table {
    /// Position of the column with this name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The cell of a row under the column with this name.
    pub fn get(&self, row: usize, name: &str) -> Option<&Cell> {
        self.rows.get(row)?.get(self.column(name)?)
    }

    /// The number in a row under the column with this name.
    pub fn number(&self, row: usize, name: &str) -> Option<f64> {
        self.get(row, name)?.as_f64()
    }

    /// The table as CSV (RFC 4180, lines end in `\n`): names, then rows. Notes are not in it.
    pub fn to_csv(&self) -> String {
        let mut out = String::new();
        push_row(&mut out, self.columns.iter().map(|column| column.name.clone()));
        for row in &self.rows {
            push_row(&mut out, row.iter().map(Cell::text));
        }
        out
    }
}

fn push_row(out: &mut String, cells: impl Iterator<Item = String>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&cell);
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        Table {
            columns: vec![Column::new("name", ""), Column::new("volume_um3", "µm³"), Column::new("n", "")],
            rows: vec![
                vec!["a \"b\", c".into(), 0.1.into(), 3u64.into()],
                vec![Cell::Empty, f64::NAN.into(), None::<f64>.into()],
            ],
            notes: vec!["one".to_owned()],
        }
    }

    #[test]
    fn csv_quotes_and_leaves_out_what_is_not_finite() {
        assert_eq!(sample().to_csv(), "name,volume_um3,n\n\"a \"\"b\"\", c\",0.1,3\n,,\n");
        assert_eq!(sample().number(0, "volume_um3"), Some(0.1));
        assert_eq!(sample().number(0, "missing"), None);
    }

    #[test]
    fn json_round_trips() {
        let json = serde_json::to_string(&sample()).unwrap();
        assert_eq!(serde_json::from_str::<Table>(&json).unwrap(), sample());
    }
}
