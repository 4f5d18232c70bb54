//! Alignments: ALIGN.json and IMOD's .xf.
//!
//! A line of an .xf is `A11 A12 A21 A22 DX DY`: content at X of the view goes to
//! `A (X - centre) + D + centre`. Ours is `aligned(x) = view(x + shift)`, so `D = -shift`. An .xf has
//! no angles and no excluded views: those come from the scan.

use std::fmt::Write as _;
use std::path::Path;

use super::error::IoError;
use super::text::{read_text, write_json, write_text};
use crate::volume::{Alignment, ViewShift};

/// How far the 2 × 2 part of an .xf line may be from no rotation and no magnification.
const IDENTITY_TOLERANCE: f64 = 1e-3;

/// Reads ALIGN.json.
///
/// # Errors
/// [`IoError`] for a missing file, one that is no alignment, or shifts that are not finite.
pub fn read_alignment(path: &Path) -> Result<Alignment, IoError> {
    let alignment: Alignment = serde_json::from_str(&read_text(path)?)
        .map_err(|e| IoError::content(path, format!("not an alignment of this program: {e}")))?;
    match alignment.problem(alignment.views.len()) {
        Some(problem) => Err(IoError::content(path, problem)),
        None => Ok(alignment),
    }
}

/// Writes ALIGN.json.
///
/// # Errors
/// [`IoError`] where the folder does not take it.
pub fn write_alignment(path: &Path, alignment: &Alignment) -> Result<(), IoError> {
    write_json(path, alignment)
}

/// Reads the shifts of an IMOD transform file for views at these angles.
///
/// # Errors
/// [`IoError`] for a wrong number of lines, values that are no numbers, and lines that rotate or magnify:
/// those would need another interpolation, and nothing is dropped silently.
pub fn read_xf(path: &Path, angles_deg: &[f64]) -> Result<Alignment, IoError> {
    let text = read_text(path)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.len() != angles_deg.len() {
        let (n, views) = (lines.len(), angles_deg.len());
        return Err(IoError::content(
            path,
            format!("{n} transforms for {views} views: the file belongs to another stack"),
        ));
    }
    let mut alignment = Alignment::identity(angles_deg);
    "xf".clone_into(&mut alignment.method);
    for (number, (line, view)) in lines.iter().zip(&mut alignment.views).enumerate() {
        let values: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [a11, a12, a21, a22, dx, dy] = values[..] else {
            return Err(IoError::content(path, format!("line {} is not six numbers", number + 1)));
        };
        if !values.iter().all(|v| v.is_finite()) {
            return Err(IoError::content(
                path,
                format!("line {} has a number that is not finite", number + 1),
            ));
        }
        let off = [a11 - 1.0, a12, a21, a22 - 1.0].into_iter().fold(0.0, |worst: f64, v| worst.max(v.abs()));
        if off > IDENTITY_TOLERANCE {
            let problem = format!(
                "line {} rotates or magnifies (by {off:.3}), only shifts are read: apply the rotation to the stack first, then use its shifts",
                number + 1
            );
            return Err(IoError::content(path, problem));
        }
        *view = ViewShift { shift_x_px: -dx, shift_y_px: -dy, ..*view };
    }
    Ok(alignment)
}

/// Writes the shifts as an IMOD transform file, one line a view.
///
/// # Errors
/// [`IoError`] where the folder does not take it.
pub fn write_xf(path: &Path, alignment: &Alignment) -> Result<(), IoError> {
    let mut text = String::new();
    for view in &alignment.views {
        // Adding zero turns -0 into 0.
        let (dx, dy) = (0.0 - view.shift_x_px, 0.0 - view.shift_y_px);
        let _ = writeln!(text, "   1.0000000   0.0000000   0.0000000   1.0000000 {dx:11.3} {dy:11.3}");
    }
    write_text(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted() -> Alignment {
        let mut alignment = Alignment::identity(&[-1.0, 0.0, 1.0]);
        alignment.views[1].shift_x_px = 2.5;
        alignment.views[2].shift_y_px = -1.25;
        alignment.views[0].used = false;
        alignment
    }

    #[test]
    fn json_round_trip_keeps_excluded_views() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_alignment(&path, &shifted()).unwrap();
        assert_eq!(read_alignment(&path).unwrap(), shifted());
        std::fs::write(&path, "{\"views\": 3}").unwrap();
        assert!(read_alignment(&path).unwrap_err().to_string().contains("not an alignment"));
    }

    #[test]
    fn xf_has_the_opposite_sign_and_refuses_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.xf");
        write_xf(&path, &shifted()).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().lines().nth(1).unwrap().contains("-2.500"));
        let back = read_xf(&path, &[-1.0, 0.0, 1.0]).unwrap();
        assert_eq!((back.views[1].shift_x_px, back.views[2].shift_y_px), (2.5, -1.25));
        assert!(read_xf(&path, &[0.0]).unwrap_err().to_string().contains("3 transforms for 1 views"));
        std::fs::write(&path, "0 -1 1 0 0 0\n").unwrap();
        assert!(read_xf(&path, &[0.0]).unwrap_err().to_string().contains("rotates"));
        std::fs::write(&path, "1 0 0 1 nan 0\n").unwrap();
        assert!(read_xf(&path, &[0.0]).is_err());
    }
}
