//! AreTomo's alignment files, .aln.
//!
//! One row a view: `SEC ROT GMAG TX TY SMEAN SFIT SCALE BASE TILT`. ROT is the direction of the tilt axis, from y
//! towards x, TX and TY what is taken off the view, in pixels: `aligned(p) = view(R(ROT) (p - c) + c + (TX, TY))`,
//! which is ours (its own .xf has `A = R(-ROT)`, `D = -A (TX, TY)`). Views that were left out stand in
//! the head as `# DarkFrame = INDEX INDEX+1 TILT`. Some versions count sections before leaving views
//! out, some after: rows whose numbers do not fit the scan are told by their tilt.

use std::fmt::Write as _;
use std::path::Path;

use super::error::IoError;
use super::text::{read_text, write_text};
use crate::volume::{Alignment, ViewShift};

/// Most that a refined tilt may be from the angle of the scan, in degrees.
const MAX_REFINED_DEG: f64 = 20.0;

/// One row, or a view that was left out.
#[derive(Debug, Clone, Copy)]
struct Section {
    number: usize,
    view: ViewShift,
}

/// Reads an .aln for views at these angles; views that it leaves out stay in the list, unused.
///
/// # Errors
/// [`IoError`] for another number of views, values that are no numbers, and tilts that are not those of the scan.
pub fn read_aln(path: &Path, angles_deg: &[f64]) -> Result<Alignment, IoError> {
    parse_aln(&read_text(path)?, angles_deg).map_err(|problem| IoError::content(path, problem))
}

fn parse_aln(text: &str, angles_deg: &[f64]) -> Result<Alignment, String> {
    let mut sections = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("# Local") {
            break;
        }
        if let Some(rest) = line.strip_prefix('#') {
            if let Some(("DarkFrame", values)) = rest.split_once('=').map(|(key, v)| (key.trim(), v)) {
                sections.push(dark(values).ok_or_else(|| problem(number, "is no DarkFrame"))?);
            }
        } else if !line.is_empty() {
            sections.push(row(line).ok_or_else(|| problem(number, "is not a row of ten finite numbers"))?);
        }
    }
    let (n, views) = (sections.len(), angles_deg.len());
    if n != views {
        return Err(format!(
            "{n} sections (excluded ones counted) for {views} views: the file belongs to another stack"
        ));
    }
    let order = order(&sections, angles_deg);
    let mut alignment = Alignment::identity(angles_deg);
    "aln".clone_into(&mut alignment.method);
    for (section, place) in sections.iter().zip(order) {
        let (index, angle) = (place, angles_deg[place]);
        let tilt = section.view.angle_deg;
        if (tilt - angle).abs() > MAX_REFINED_DEG {
            return Err(format!(
                "the tilt of section {} is {tilt}°, that of the view {angle}°: the angles of the scan or of the file are wrong",
                section.number
            ));
        }
        alignment.views[place] = ViewShift { index, ..section.view };
    }
    Ok(alignment)
}

fn problem(number: usize, what: &str) -> String {
    format!("line {} {what}", number + 1)
}

/// A view that was left out: index, index from 1, tilt.
fn dark(values: &str) -> Option<Section> {
    let numbers: Vec<f64> = values.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [index, _, tilt] = numbers[..] else { return None };
    let view = ViewShift { used: false, ..ViewShift::still(0, tilt) };
    (view.is_sound() && index >= 0.0).then_some(Section { number: to_index(index), view })
}

fn row(line: &str) -> Option<Section> {
    let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [number, rotation_deg, magnification, x, y, _, _, _, _, tilt] = numbers[..] else { return None };
    let view =
        ViewShift { rotation_deg, magnification, shift_x_px: x, shift_y_px: y, ..ViewShift::still(0, tilt) };
    (view.is_sound() && number >= 0.0).then_some(Section { number: to_index(number), view })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and capped")]
fn to_index(number: f64) -> usize {
    number.min(1e9) as usize
}

/// The view of each section: by its number where these are the views of the scan, else by the order of the tilts.
fn order(sections: &[Section], angles_deg: &[f64]) -> Vec<usize> {
    for first in [0, 1] {
        let mut seen = vec![false; sections.len()];
        let places: Option<Vec<usize>> = sections
            .iter()
            .map(|section| {
                // Excluded ones count from 0 always.
                let place = section.number.checked_sub(if section.view.used { first } else { 0 })?;
                let free = seen.get_mut(place)?;
                (!std::mem::replace(free, true)).then_some(place)
            })
            .collect();
        let fits = |places: &Vec<usize>| {
            let off = |(s, p): (&Section, &usize)| (s.view.angle_deg - angles_deg[*p]).abs();
            sections.iter().zip(places).all(|pair| off(pair) <= MAX_REFINED_DEG)
        };
        if let Some(places) = places.filter(fits) {
            return places;
        }
    }
    let by_angle = |angles: Vec<f64>| {
        let mut order: Vec<usize> = (0..angles.len()).collect();
        order.sort_by(|a, b| angles[*a].total_cmp(&angles[*b]));
        order
    };
    let sorted = by_angle(sections.iter().map(|section| section.view.angle_deg).collect());
    let mut places = vec![0; sections.len()];
    for (section, place) in sorted.into_iter().zip(by_angle(angles_deg.to_vec())) {
        places[section] = place;
    }
    places
}

/// Writes an alignment as AreTomo does, for a stack of `n_rows` × `n_cols` pixels.
///
/// # Errors
/// [`IoError`] where the folder does not take it.
pub fn write_aln(path: &Path, alignment: &Alignment, [n_rows, n_cols]: [usize; 2]) -> Result<(), IoError> {
    let mut text = format!(
        "# AreTomo Alignment / written by Waterwindow\n# RawSize = {n_cols} {n_rows} {}\n# NumPatches = 0\n",
        alignment.views.len()
    );
    for (i, view) in alignment.views.iter().enumerate().filter(|(_, view)| !view.used) {
        let _ = writeln!(text, "# DarkFrame =  {i:4} {:4} {:8.2}", i + 1, view.angle_deg);
    }
    text.push_str(
        "# SEC     ROT         GMAG       TX          TY      SMEAN     SFIT    SCALE     BASE     TILT\n",
    );
    for (i, view) in alignment.views.iter().enumerate().filter(|(_, view)| view.used) {
        let _ = writeln!(
            text,
            "{i:5}  {:9.4}  {:9.5}  {:9.3}  {:9.3}     1.00     1.00     1.00     0.00  {:8.2}",
            view.rotation_deg, view.magnification, view.shift_x_px, view.shift_y_px, view.angle_deg
        );
    }
    write_text(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# AreTomo Alignment / Priims bprmMn\n# RawSize = 64 64 4\n# NumPatches = 0\n# DarkFrame =     0    1   -60.00\n";
    const ANGLES: [f64; 4] = [-60.0, -30.0, 0.0, 30.0];

    #[test]
    fn what_was_written_is_read_with_excluded_views() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.aln");
        let mut alignment = Alignment::identity(&ANGLES);
        alignment.views[1].used = false;
        for (i, view) in alignment.views.iter_mut().enumerate().filter(|(_, view)| view.used) {
            view.rotation_deg = -1.5;
            view.magnification = 1.01;
            (view.shift_x_px, view.shift_y_px) = (1.5 * i as f64, -0.25);
            view.angle_deg += 0.5;
        }
        write_aln(&path, &alignment, [64, 48]).unwrap();
        let back = read_aln(&path, &ANGLES).unwrap();
        assert_eq!(back.views, alignment.views);
        assert!(std::fs::read_to_string(&path).unwrap().contains("# RawSize = 48 64 4"));
    }

    #[test]
    fn sections_counted_after_leaving_views_out_are_told_by_their_tilt() {
        let rows = "    0  85.0 1.0 10.0 0.5 1 1 1 0 -30.2\n 1 85.0 1.0 0 5 1 1 1 0 -0.2\n 2 85 1 -3 2 1 1 1 0 29.8\n# Local Alignment\n junk\n";
        let found = parse_aln(&format!("{HEAD}{rows}"), &ANGLES).unwrap();
        assert_eq!(found.used_indices(), [1, 2, 3]);
        assert_eq!((found.views[1].shift_x_px, found.views[1].shift_y_px), (10.0, 0.5));
        assert_eq!((found.views[3].angle_deg, found.views[3].rotation_deg), (29.8, 85.0));
        // The same, counted from 1 before leaving out, and a scan in another order.
        let rows = "2 85 1 10 0.5 1 1 1 0 -30\n3 85 1 0 5 1 1 1 0 0\n4 85 1 -3 2 1 1 1 0 30\n";
        assert_eq!(parse_aln(&format!("{HEAD}{rows}"), &ANGLES).unwrap().views[1].shift_x_px, 10.0);
        let found = parse_aln(&format!("{HEAD}{rows}"), &[30.0, 0.0, -30.0, -60.0]).unwrap();
        assert_eq!(
            (found.views[0].shift_x_px, found.views[2].shift_x_px, found.views[3].used),
            (-3.0, 10.0, false)
        );
    }

    #[test]
    fn garbage_is_refused_in_one_sentence() {
        let row = |text: &str| {
            parse_aln(&format!("{HEAD}{text}\n1 0 1 0 0 1 1 1 0 0\n2 0 1 0 0 1 1 1 0 30\n"), &ANGLES)
        };
        for (text, part) in [
            ("0 0 1 0 0 1 1 1 0 nan", "ten finite"),
            ("0 0 1 0 0 1 1 1 0 -3000000", "another stack"),
            ("0 0 1 inf 0 1 1 1 0 -30", "ten finite"),
            ("0 0 0 0 0 1 1 1 0 -30", "ten finite"),
            ("0 0 1 0 0", "ten finite"),
            ("# DarkFrame = x", "DarkFrame"),
        ] {
            let problem = row(text).err();
            if part == "another stack" {
                assert!(problem.is_some_and(|p| p.contains("wrong")), "{text}");
            } else {
                assert!(problem.as_ref().is_some_and(|p| p.contains(part)), "{text}: {problem:?}");
            }
        }
        assert!(parse_aln(HEAD, &ANGLES).unwrap_err().contains("1 sections"));
        assert!(parse_aln("", &[]).is_ok_and(|a| a.views.is_empty()));
    }
}
