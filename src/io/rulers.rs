//! Rulers as CSV, as the window writes its annotations: for figures without a window.

use std::path::Path;

use glam::DVec3;

use super::error::IoError;
use super::text::read_text;
use crate::measure::ruler::RulerKind;

/// A ruler of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct RulerRow {
    /// Its name.
    pub name: String,
    /// What it measures.
    pub kind: RulerKind,
    /// World µm, or voxels where the size of a voxel is unknown.
    pub points: Vec<DVec3>,
    /// Right and down in its plane, directions of length 1.
    pub frame: (DVec3, DVec3),
    /// Width of a profile in voxel edges.
    pub width_px: u32,
}

/// Reads rulers; columns are found by name: `kind` and `points_x_y_z_um` (or `_px`), and where they are there `name`,
/// `plane` and `width_px`.
///
/// # Errors
/// [`IoError`] that names the column or the line.
pub fn read_rulers(path: &Path) -> Result<Vec<RulerRow>, IoError> {
    let text = read_text(path)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| IoError::content(path, e.to_string()))?.clone();
    let column = |name: &str| header.iter().position(|found| found.trim() == name);
    let wanted =
        |name: &str| IoError::content(path, format!("no column {name}: this is no list of annotations"));
    let kinds = column("kind").ok_or_else(|| wanted("kind"))?;
    let places = column("points_x_y_z_um").or_else(|| column("points_x_y_z_px"));
    let places = places.ok_or_else(|| wanted("points_x_y_z_um"))?;
    let [names, planes, widths] = ["name", "plane", "width_px"].map(column);
    let mut rulers = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let line = row + 2;
        let wrong = |problem: String| IoError::content(path, format!("line {line}: {problem}"));
        let record = record.map_err(|e| wrong(e.to_string()))?;
        let word = |at: Option<usize>| at.and_then(|at| record.get(at)).unwrap_or("").trim();
        let kind = word(Some(kinds)).to_lowercase();
        let found = RulerKind::ALL.into_iter().find(|known| known.label().to_lowercase() == kind);
        let kind = found.ok_or_else(|| wrong(format!("“{kind}” is no kind of annotation")))?;
        let points = points_of(word(Some(places)))
            .filter(|points| kind.is_whole(points.len()))
            .ok_or_else(|| wrong(format!("these points make no {}", kind.label().to_lowercase())))?;
        rulers.push(RulerRow {
            name: word(names).to_owned(),
            kind,
            frame: frame_of(word(planes), &points),
            points,
            width_px: word(widths).parse().unwrap_or(1).clamp(1, 1000),
        });
    }
    Ok(rulers)
}

/// "x y z; x y z".
fn points_of(text: &str) -> Option<Vec<DVec3>> {
    let point = |text: &str| {
        let numbers: Option<Vec<f64>> =
            text.split_whitespace().map(|v| v.parse().ok().filter(|v: &f64| v.is_finite())).collect();
        Some(DVec3::from(<[f64; 3]>::try_from(numbers?).ok()?))
    };
    text.split(';').map(point).collect()
}

/// Right and down in a plane of this name, or in the one that the points lie in.
fn frame_of(plane: &str, points: &[DVec3]) -> (DVec3, DVec3) {
    match plane {
        "XY" => return (DVec3::X, DVec3::Y),
        "XZ" => return (DVec3::X, DVec3::Z),
        "YZ" => return (DVec3::Z, DVec3::Y),
        _ => {}
    }
    let from = points.first().copied().unwrap_or_default();
    let along = points.get(1).and_then(|to| (*to - from).try_normalize()).unwrap_or(DVec3::X);
    let beside = points.iter().skip(2).find_map(|p| {
        let across = *p - from;
        (across - along * across.dot(along)).try_normalize()
    });
    (along, beside.unwrap_or_else(|| along.any_orthonormal_vector()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rulers_are_read_by_the_names_of_their_columns_and_damage_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_rulers(&path)
        };
        let head = "name,kind,plane,points_x_y_z_um,width_px\n";
        let rows =
            read(&format!("{head}\"a, b\",distance,XZ,0 0 0; 1 2 3,1\n,area,oblique,0 0 0; 2 0 0; 2 1 1,\n"));
        let rows = rows.unwrap();
        assert_eq!(
            (rows[0].name.as_str(), rows[0].kind, rows[0].points.len()),
            ("a, b", RulerKind::Distance, 2)
        );
        assert_eq!(rows[0].frame, (DVec3::X, DVec3::Z));
        let (right, down) = rows[1].frame;
        assert!(
            right.dot(down).abs() < 1e-12 && (down - DVec3::new(0.0, 1.0, 1.0).normalize()).length() < 1e-9
        );
        for (text, said) in [
            ("name,kind\na,area\n".to_owned(), "no column points_x_y_z_um"),
            (format!("{head}a,volume,XY,0 0 0,1\n"), "line 2: “volume”"),
            (format!("{head}a,area,XY,0 0 0; 1 1 1,1\n"), "line 2: these points make no area"),
            (format!("{head}a,distance,XY,0 0 0; 1 nan 1,1\n"), "line 2"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
