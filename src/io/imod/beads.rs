//! Beads in a model of IMOD (.mod, .fid): one contour a bead, z is the view.

use std::fs;
use std::path::Path;

use super::pieces::{Cursor, HEAD, MAX_BYTES, OBJECT, check_magic};
use crate::io::atomic::write_atomically;
use crate::io::error::IoError;
use crate::volume::{BeadTrack, BeadTracks, TrackPoint};

/// Objects of open contours whose points are not in one plane.
const OBJECT_FLAGS: u32 = 1 << 3 | 1 << 4;
/// Z starts at -0.5; not written by 3dmod.
const MODEL_FLAGS: u32 = 1 << 10 | 1 << 11;

/// Reads the beads of a model drawn on a stack of `n_views` views, one bead a contour.
///
/// # Errors
/// [`IoError`] for a missing file, one that is no such model, and points that are in no view.
pub fn read_imod(path: &Path, n_views: usize) -> Result<BeadTracks, IoError> {
    let bytes = fs::metadata(path).map_err(|e| IoError::system("read", path, e))?.len();
    if bytes > MAX_BYTES {
        return Err(IoError::content(path, "too large for a model of beads"));
    }
    let bytes = fs::read(path).map_err(|e| IoError::system("read", path, e))?;
    parse(&bytes, n_views).map_err(|problem| IoError::content(path, problem))
}

fn parse(bytes: &[u8], n_views: usize) -> Result<BeadTracks, String> {
    let mut cursor = Cursor(bytes);
    check_magic(&mut cursor)?;
    cursor.take(HEAD)?;
    let mut tracks = BeadTracks::default();
    while !cursor.0.is_empty() {
        match &cursor.word()? {
            b"IEOF" => break,
            b"OBJT" => _ = cursor.take(OBJECT)?,
            b"CONT" => {
                let bead = contour(&mut cursor, n_views)?;
                if !bead.points.is_empty() {
                    tracks.beads.push(bead);
                }
            }
            b"MESH" => cursor.skip_mesh()?,
            _ => {
                let n = cursor.count(1)?;
                cursor.take(n)?;
            }
        }
    }
    Ok(tracks)
}

fn contour(cursor: &mut Cursor<'_>, n_views: usize) -> Result<BeadTrack, String> {
    let mut head = Cursor(cursor.take(16)?);
    let n = usize::try_from(i32::from_be_bytes(head.word()?))
        .map_err(|_negative| "the model has a negative count".to_owned())?;
    let bytes = n.checked_mul(12).ok_or("the model ends before its data do")?;
    let mut values = Cursor(cursor.take(bytes)?);
    let mut points = Vec::new();
    while !values.0.is_empty() {
        let (x, y, z) = (values.float()?, values.float()?, values.float()?);
        if !(x.is_finite() && y.is_finite() && z.is_finite()) {
            return Err("a point of the model is not a finite number".to_owned());
        }
        points.push(TrackPoint::new(view_of(z, n_views)?, y - 0.5, x - 0.5));
    }
    // Of two points in one view the later one counts.
    points.reverse();
    points.sort_by_key(|point| point.view);
    points.dedup_by_key(|point| point.view);
    Ok(BeadTrack { points, ..BeadTrack::default() })
}

/// The section of a z: whole numbers as they are, halves (old models) down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the number of views"
)]
fn view_of(z: f64, n_views: usize) -> Result<usize, String> {
    let view = (z + 0.25).floor();
    if (0.0..n_views as f64).contains(&view) {
        return Ok(view as usize);
    }
    Err(format!(
        "a point of the model is in section {z} of a scan of {n_views} views: it was drawn on another stack"
    ))
}

/// Writes beads found in a series of shape (views, rows, columns) as a model.
///
/// # Errors
/// [`IoError`] where the folder does not take it, or for more points than a model can count.
pub fn write_imod(path: &Path, tracks: &BeadTracks, shape: (usize, usize, usize)) -> Result<(), IoError> {
    let bytes = encode(tracks, shape).ok_or_else(|| {
        IoError::content(path, "more views, rows, columns or points than a model can count")
    })?;
    write_atomically(path, |temporary| {
        fs::write(temporary, &bytes).map_err(|e| IoError::system("write", temporary, e))
    })
}

#[expect(clippy::cast_possible_truncation, reason = "whole and between 0 and 10 000")]
fn radius(diameter: Option<f64>) -> i32 {
    diameter.map_or(0, |d| (0.5 * d).round().clamp(0.0, 1e4) as i32)
}

#[expect(clippy::cast_possible_truncation, reason = "a model holds single precision")]
fn single(value: f64) -> f32 {
    value as f32
}

fn encode(tracks: &BeadTracks, (n_views, n_rows, n_cols): (usize, usize, usize)) -> Option<Vec<u8>> {
    let mut out = b"IMODV1.2".to_vec();
    let int = |n: usize| i32::try_from(n).ok();
    let mut name = [0; 128];
    name[..16].copy_from_slice(b"Waterwindow bead");
    out.extend(name);
    let put_int = |out: &mut Vec<u8>, value: i32| out.extend(value.to_be_bytes());
    let put_float = |out: &mut Vec<u8>, value: f32| out.extend(value.to_be_bytes());
    for n in [n_cols, n_rows, n_views, 1] {
        put_int(&mut out, int(n)?);
    }
    out.extend(MODEL_FLAGS.to_be_bytes());
    // Draw mode, mouse mode, black and white level.
    [1, 0, 0, 255].into_iter().for_each(|value| put_int(&mut out, value));
    // Offsets, then scales.
    [0.0, 0.0, 0.0, 1.0, 1.0, 1.0].into_iter().for_each(|value| put_float(&mut out, value));
    // Current object, contour and point, resolution, threshold.
    [0, 0, 0, 3, 128].into_iter().for_each(|value| put_int(&mut out, value));
    put_float(&mut out, 1.0);
    // Units: pixels; no checksum.
    [0, 0].into_iter().for_each(|value| put_int(&mut out, value));
    [0.0; 3].into_iter().for_each(|angle| put_float(&mut out, angle));
    debug_assert_eq!(out.len(), 8 + HEAD);

    out.extend(b"OBJT");
    out.extend([0; 128]);
    put_int(&mut out, int(tracks.beads.len())?);
    out.extend(OBJECT_FLAGS.to_be_bytes());
    [0, 1].into_iter().for_each(|value| put_int(&mut out, value));
    [0.0, 1.0, 0.0].into_iter().for_each(|colour| put_float(&mut out, colour));
    put_int(&mut out, radius(tracks.diameter_px));
    // Symbol (a circle), its size, line widths, style, flags, padding, transparency.
    out.extend([0, 7, 1, 1, 0, 0, 0, 0]);
    [0, 0].into_iter().for_each(|value| put_int(&mut out, value));
    for bead in &tracks.beads {
        out.extend(b"CONT");
        put_int(&mut out, int(bead.points.len())?);
        [0, 0, 0].into_iter().for_each(|value| put_int(&mut out, value));
        for point in &bead.points {
            int(point.view)?;
            let at = [point.x + 0.5, point.y + 0.5, point.view as f64];
            at.into_iter().for_each(|value| put_float(&mut out, single(value)));
        }
    }
    out.extend(b"IEOF");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> BeadTracks {
        let bead = |n: usize, off: f64| BeadTrack {
            points: (0..n).map(|view| TrackPoint::new(view * 2, 10.25 + off, 3.5 * view as f64)).collect(),
            ..BeadTrack::default()
        };
        BeadTracks { diameter_px: Some(8.0), beads: vec![bead(5, 0.0), bead(3, 100.5)] }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fid");
        write_imod(&path, &some(), (9, 200, 100)).unwrap();
        // 8 + 232, OBJT, two contours of 16 bytes and 8 points of 12, IEOF.
        assert_eq!(fs::metadata(&path).unwrap().len(), 240 + 180 + 2 * 20 + 8 * 12 + 4);
        assert_eq!(read_imod(&path, 9).unwrap().beads, some().beads);
        let text = read_imod(&path, 8).unwrap_err().to_string();
        assert!(text.contains("section 8") && text.contains("another stack"), "{text}");
    }

    #[test]
    fn other_pieces_are_skipped_halves_go_down_and_the_later_point_counts() {
        let mut bytes = encode(&some(), (9, 200, 100)).unwrap();
        bytes.truncate(bytes.len() - 4);
        bytes.extend(b"IMAT\0\0\0\x04abcd");
        bytes.extend(b"MESH\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0");
        bytes.extend([0; 20]);
        bytes.extend(b"CONT\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0");
        for value in [1.0f32, 1.0, 3.5, 2.0, 2.0, 3.0] {
            bytes.extend(value.to_be_bytes());
        }
        let found = parse(&bytes, 9).unwrap();
        assert_eq!(found.beads.len(), 3);
        assert_eq!(found.beads[2].points, [TrackPoint::new(3, 1.5, 1.5)]);
    }

    #[test]
    fn no_bytes_make_it_panic_or_ask_for_memory() {
        let good = encode(&some(), (9, 200, 100)).unwrap();
        for end in 0..good.len() - 4 {
            // A model may end after any piece; cut inside one it is refused.
            let _ = parse(&good[..end], 9);
        }
        assert!(parse(&good[..300], 9).unwrap_err().contains("ends"));
        assert!(parse(b"IMODV1.1", 9).unwrap_err().contains("version"));
        assert!(parse(b"MRC", 9).unwrap_err().contains("not an IMOD model"));
        for place in 240..good.len() {
            for value in [0x00, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[place] = value;
                if let Ok(tracks) = parse(&bad, 9) {
                    assert_eq!(tracks.problem(9), None, "byte {place} = {value}");
                }
            }
        }
    }
}
