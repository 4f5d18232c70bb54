//! Alignments: ALIGN.json and IMOD's .xf.
//!
//! A line of an .xf is `A11 A12 A21 A22 DX DY`: content at X of the view goes to
//! `A (X - centre) + D + centre`, X = (x, y) in pixels with y along the rows of the array as they are
//! stored, never flipped. Ours says where a pixel comes from, `aligned(p) = view(A' (p - c) + c + shift)`, so
//! `A = A'⁻¹` and `D = -A shift`. An .xf has no angles and no excluded views: those come from the scan.

use std::fmt::Write as _;
use std::path::Path;

use super::error::IoError;
use super::text::{read_text, write_json, write_text};
use crate::volume::{Alignment, ViewShift};

/// How far the 2 × 2 part of an .xf line may be from a rotation with a magnification, as a share of it.
const SKEW_TOLERANCE: f64 = 2e-4;
/// Entries of an .xf have seven decimals: below this there is no rotation and no magnification.
const LAST_DIGIT: f64 = 1e-7;

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

/// Reads an alignment of views at these angles by its extension: .xf, .aln, the shifts that a .txrm holds, or
/// ALIGN.json under any other.
///
/// # Errors
/// The error of the format.
pub fn read_any_alignment(path: &Path, angles_deg: &[f64]) -> Result<Alignment, IoError> {
    let is = |extension: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
    if is("xf") {
        read_xf(path, angles_deg)
    } else if is("aln") {
        super::aretomo::read_aln(path, angles_deg)
    } else if super::format::has_extension(path, &super::txrm::EXTENSIONS) {
        super::txrm::read_txrm_shifts(path, angles_deg)
    } else {
        read_alignment(path)
    }
}

/// Writes ALIGN.json.
///
/// # Errors
/// [`IoError`] where the folder does not take it.
pub fn write_alignment(path: &Path, alignment: &Alignment) -> Result<(), IoError> {
    write_json(path, alignment)
}

/// Writes an alignment of a series of shape (views, rows, columns) in the format of the extension: .xf, .tlt or .rawtlt (tilts
/// alone), .aln, .mod (beads alone), anything else as ALIGN.json.
///
/// # Errors
/// [`IoError`] where the folder does not take it, where the format needs the shape of the series and it is not known,
/// and for a model of beads where none were followed.
pub fn write_any_alignment(
    path: &Path,
    alignment: &Alignment,
    shape: Option<(usize, usize, usize)>,
) -> Result<(), IoError> {
    let is = |extension: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
    let of_series = || {
        let problem = "this format needs the size of the pictures: open the scan that was aligned, or write .json or .xf";
        shape.ok_or_else(|| IoError::content(path, problem))
    };
    if is("xf") {
        write_xf(path, alignment)
    } else if is("tlt") || is("rawtlt") {
        let tilts: Vec<f64> = alignment.views.iter().map(|view| view.angle_deg).collect();
        super::write_angles(path, &tilts)
    } else if is("aln") {
        let (_, n_rows, n_cols) = of_series()?;
        super::write_aln(path, alignment, [n_rows, n_cols])
    } else if is("mod") {
        match &alignment.beads {
            Some(beads) => super::write_imod(path, beads, of_series()?),
            None => Err(IoError::content(path, "no beads were followed, so there is no model of them")),
        }
    } else {
        write_alignment(path, alignment)
    }
}

/// Reads the transforms of an IMOD transform file for views at these angles.
///
/// # Errors
/// [`IoError`] for a wrong number of lines, values that are no numbers, and lines that skew or mirror:
/// those a view cannot carry, and nothing is dropped silently.
pub fn read_xf(path: &Path, angles_deg: &[f64]) -> Result<Alignment, IoError> {
    parse_xf(&read_text(path)?, angles_deg).map_err(|problem| IoError::content(path, problem))
}

fn parse_xf(text: &str, angles_deg: &[f64]) -> Result<Alignment, String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.len() != angles_deg.len() {
        let (n, views) = (lines.len(), angles_deg.len());
        return Err(format!("{n} transforms for {views} views: the file belongs to another stack"));
    }
    let mut alignment = Alignment::identity(angles_deg);
    "xf".clone_into(&mut alignment.method);
    for (number, (line, view)) in lines.iter().zip(&mut alignment.views).enumerate() {
        *view = parse_line(line, *view).map_err(|problem| format!("line {} {problem}", number + 1))?;
    }
    Ok(alignment)
}

fn parse_line(line: &str, view: ViewShift) -> Result<ViewShift, String> {
    let values: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [a11, a12, a21, a22, dx, dy] = values[..] else { return Err("is not six numbers".to_owned()) };
    if !values.iter().all(|v| v.is_finite()) {
        return Err("has a number that is not finite".to_owned());
    }
    // The nearest rotation with a magnification, and what is left over.
    let (along, across) = (0.5 * (a11 + a22), 0.5 * (a21 - a12));
    let scale = along.hypot(across);
    let skew = (a11 - along).hypot(0.5 * (a12 + a21));
    if !(skew <= SKEW_TOLERANCE * scale) {
        let what = if a11 * a22 - a12 * a21 < 0.0 { "mirrors" } else { "skews" };
        return Err(format!(
            "{what} the view (by {:.4}), only shifts, rotation and magnification are read: apply the transform to the stack first",
            skew / scale.max(f64::MIN_POSITIVE)
        ));
    }
    let turned = (along - 1.0).abs() > LAST_DIGIT || across.abs() > LAST_DIGIT;
    let (rotation_deg, magnification) =
        if turned { (0.0 - across.atan2(along).to_degrees(), 1.0 / scale) } else { (0.0, 1.0) };
    let mut found = ViewShift { rotation_deg, magnification, ..view };
    let a = found.matrix();
    found.shift_x_px = 0.0 - (a[0][0] * dx + a[0][1] * dy);
    found.shift_y_px = 0.0 - (a[1][0] * dx + a[1][1] * dy);
    if found.is_sound() { Ok(found) } else { Err("magnifies beyond belief".to_owned()) }
}

/// Writes shifts, rotation and magnification as an IMOD transform file, one line a view.
///
/// # Errors
/// [`IoError`] where the folder does not take it.
pub fn write_xf(path: &Path, alignment: &Alignment) -> Result<(), IoError> {
    let mut text = String::new();
    for view in &alignment.views {
        let (sin, cos) = view.rotation_deg.to_radians().sin_cos();
        let scale = 1.0 / view.magnification;
        // Adding zero turns -0 into 0.
        let [a11, a12, a21, a22] = [cos, sin, 0.0 - sin, cos].map(|v| v * scale + 0.0);
        let dx = 0.0 - (a11 * view.shift_x_px + a12 * view.shift_y_px);
        let dy = 0.0 - (a21 * view.shift_x_px + a22 * view.shift_y_px);
        let _ = writeln!(text, "{a11:12.7}{a12:12.7}{a21:12.7}{a22:12.7} {dx:11.3} {dy:11.3}");
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
    fn the_extension_says_the_format_and_what_is_missing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let alignment = shifted();
        let angles: Vec<f64> = alignment.views.iter().map(|view| view.angle_deg).collect();
        let shape = Some((angles.len(), 64, 48));
        for name in ["a.json", "a.xf", "a.aln"] {
            write_any_alignment(&at(name), &alignment, shape).unwrap();
            let back = read_any_alignment(&at(name), &angles).unwrap();
            for (found, view) in back.views.iter().zip(&alignment.views) {
                // Text formats keep three decimals.
                assert!((found.shift_x_px - view.shift_x_px).abs() < 2e-3, "{name}: {found:?} {view:?}");
            }
        }
        write_any_alignment(&at("a.tlt"), &alignment, None).unwrap();
        assert_eq!(std::fs::read_to_string(at("a.tlt")).unwrap().lines().count(), angles.len());
        for (name, shape, word) in [("b.aln", None, "size of the pictures"), ("b.mod", shape, "no beads")] {
            let error = write_any_alignment(&at(name), &alignment, shape).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert!(!at(name).exists());
        }
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
    fn xf_has_the_opposite_sign() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.xf");
        write_xf(&path, &shifted()).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().lines().nth(1).unwrap().contains("-2.500"));
        let back = read_xf(&path, &[-1.0, 0.0, 1.0]).unwrap();
        assert_eq!((back.views[1].shift_x_px, back.views[2].shift_y_px), (2.5, -1.25));
        assert!(read_xf(&path, &[0.0]).unwrap_err().to_string().contains("3 transforms for 1 views"));
        assert!(back.views.iter().all(ViewShift::is_shift), "shifts stay shifts");
        std::fs::write(&path, "1 0 0 1 nan 0\n").unwrap();
        assert!(read_xf(&path, &[0.0]).is_err());
    }

    #[test]
    fn xf_carries_rotation_and_magnification_and_refuses_skew_and_mirrors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.xf");
        let mut alignment = shifted();
        for (i, view) in alignment.views.iter_mut().enumerate() {
            view.rotation_deg = 84.5 + i as f64;
            view.magnification = 1.0 + 0.01 * i as f64;
            (view.shift_x_px, view.shift_y_px) = (12.25 - i as f64, -7.5);
        }
        write_xf(&path, &alignment).unwrap();
        let back = read_xf(&path, &[-1.0, 0.0, 1.0]).unwrap();
        for (a, b) in alignment.views.iter().zip(&back.views) {
            // Seven decimals of the matrix, three of the shift.
            assert!((a.rotation_deg - b.rotation_deg).abs() < 1e-5, "{a:?} {b:?}");
            assert!((a.magnification - b.magnification).abs() < 1e-6);
            assert!((a.shift_x_px - b.shift_x_px).abs() < 2e-3 && (a.shift_y_px - b.shift_y_px).abs() < 2e-3);
        }
        // Content 10 px to the right of the middle goes 10 px down: read from where it lies now.
        let view = parse_xf("0 -1 1 0 0 0", &[0.0]).unwrap().views[0];
        let a = view.matrix();
        let source = [a[0][1] * 10.0, a[1][1] * 10.0];
        assert!((source[0] - 10.0).abs() < 1e-9 && source[1].abs() < 1e-9, "{source:?}");
        for (line, part) in [
            ("1 0 0 -1 0 0", "mirrors"),
            ("1 0.1 0 1 0 0", "skews"),
            ("0 0 0 0 0 0", "magnifies"),
            ("1e-9 0 0 1e-9 0 0", "magnifies"),
        ] {
            let problem = parse_xf(line, &[0.0]).unwrap_err();
            assert!(problem.contains(part), "{line}: {problem}");
        }
    }
}
