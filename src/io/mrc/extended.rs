//! Tilt angles, pixel size and more from the extended headers of MRC stacks.
//!
//! SerialEM ("SERI" or untagged), FEI ("FEI1", "FEI2") and the old layout of FEI and Agard's
//! programs: per section `nint` whole numbers and `nreal` floats, the first float being the tilt.

use std::collections::{BTreeMap, BTreeSet};

use super::header::MrcHeader;

/// What an extended header says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Extended {
    /// Tilt of each section in degrees; empty where not found or not believable.
    pub(super) angles_deg: Vec<f64>,
    /// Pixel size in µm.
    pub(super) pixel_um: Option<f64>,
    /// Anything else, as text.
    pub(super) metadata: BTreeMap<String, String>,
    /// What the user has to know.
    pub(super) warnings: Vec<String>,
}

/// Parses the bytes of the extended header.
pub(super) fn parse(header: &MrcHeader, bytes: &[u8]) -> Extended {
    let found = match header.extended_kind.as_str() {
        "FEI1" | "FEI2" => fei(header, bytes),
        "SERI" => serial_em(header, bytes),
        "AGAR" => agard(header, bytes),
        "" => serial_em(header, bytes).or_else(|| agard(header, bytes)),
        _ => None,
    };
    let mut found = found.unwrap_or_default();
    if !is_believable(&found.angles_deg) {
        found.angles_deg.clear();
    }
    found
}

/// Angles are finite, within two turns, and not one number throughout.
fn is_believable(angles: &[f64]) -> bool {
    angles.iter().all(|a| a.is_finite() && a.abs() <= 720.0)
        && angles.len() > 1
        && angles.iter().any(|a| *a != angles[0])
}

/// Number `i` of `N` bytes per step from `at` on.
fn word<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.first_chunk().copied()
}

fn f32_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<f32> {
    let word = word(bytes, at)?;
    Some(if big_endian { f32::from_be_bytes(word) } else { f32::from_le_bytes(word) })
}

fn i16_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<i16> {
    let word = word(bytes, at)?;
    Some(if big_endian { i16::from_be_bytes(word) } else { i16::from_le_bytes(word) })
}

/// Bytes of what each flag of SerialEM stands for: tilt, place of a piece, stage, magnification, intensity, dose, reserved.
const FLAGGED: [i16; 11] = [2, 6, 4, 2, 2, 4, 2, 4, 2, 4, 2];

/// SerialEM: `nint` bytes a section, `nreal` flags say what they are; bit 0 is tilt · 100 in the first two bytes.
fn serial_em(header: &MrcHeader, bytes: &[u8]) -> Option<Extended> {
    let [n_bytes, flags] = header.n_int_real;
    let has = |bit: usize| flags & (1 << bit) != 0;
    let flagged: i16 = FLAGGED.iter().enumerate().filter(|(bit, _)| has(*bit)).map(|(_, n)| n).sum();
    if flags <= 0 || n_bytes != flagged {
        return None;
    }
    let step = usize::try_from(n_bytes).ok()?;
    let at = |section: usize, place: usize| i16_at(bytes, section * step + place, header.big_endian);
    let n = header.shape[0];
    let mut found = Extended::default();
    if has(0) {
        found.angles_deg =
            (0..n).map(|section| Some(f64::from(at(section, 0)?) / 100.0)).collect::<Option<_>>()?;
    }
    if has(1) {
        // Columns, rows and section of each piece follow the tilt.
        let place = if has(0) { 6 } else { 4 };
        let sections: BTreeSet<i16> = (0..n).filter_map(|section| at(section, place)).collect();
        found.warnings.extend(montage(n, sections.len()));
    }
    Some(found)
}

/// The sentence about sections that are pieces of larger pictures.
pub(super) fn montage(n_pieces: usize, n_sections: usize) -> Option<String> {
    (n_sections > 0 && n_sections < n_pieces).then(|| {
        format!(
            "a montage: {n_pieces} pieces of {n_sections} larger pictures, read piece by piece and not put together (IMOD's blendmont does that)"
        )
    })
}

/// Agard and old FEI: `nint` numbers then `nreal` floats a section. FEI's twelfth float is the pixel size in m.
fn agard(header: &MrcHeader, bytes: &[u8]) -> Option<Extended> {
    let [n_int, n_real] = header.n_int_real.map(|n| usize::try_from(n).unwrap_or(0));
    if n_real == 0 || n_int > 1024 || n_real > 1024 {
        return None;
    }
    let step = 4 * (n_int + n_real);
    let float = |section: usize, i: usize| f32_at(bytes, section * step + 4 * (n_int + i), header.big_endian);
    let angles_deg =
        (0..header.shape[0]).map(|section| float(section, 0).map(tidy)).collect::<Option<Vec<_>>>()?;
    let is_fei = header.labels.iter().any(|label| label.to_ascii_lowercase().contains("fei"));
    let pixel_m = (is_fei && n_real >= 13).then(|| float(0, 11)).flatten();
    let pixel_um = pixel_m.map(tidy).and_then(pixel_um_of_m).filter(|_| is_believable(&angles_deg));
    Some(Extended { angles_deg, pixel_um, ..Extended::default() })
}

/// FEI1 and FEI2: records that begin with their size, in the byte order of the file or little-endian. Alpha tilt at byte
/// 100, direction of the tilt axis at 140, pixel size in m at 156.
fn fei(header: &MrcHeader, bytes: &[u8]) -> Option<Extended> {
    let size = |big_endian: bool| {
        let word = word(bytes, 0)?;
        let n = if big_endian { i32::from_be_bytes(word) } else { i32::from_le_bytes(word) };
        usize::try_from(n).ok().filter(|n| (164..=1 << 20).contains(n)).map(|n| (n, big_endian))
    };
    let (step, big_endian) = size(header.big_endian).or_else(|| size(!header.big_endian))?;
    let float = |section: usize, at: usize| {
        let word = word(bytes, section.checked_mul(step)?.checked_add(at)?)?;
        Some(if big_endian { f64::from_be_bytes(word) } else { f64::from_le_bytes(word) })
    };
    let angles_deg = (0..header.shape[0]).map(|section| float(section, 100)).collect::<Option<Vec<_>>>()?;
    let mut metadata = BTreeMap::new();
    if let Some(axis) = float(0, 140).filter(|a| a.is_finite() && a.abs() <= 360.0 && *a != 0.0) {
        metadata.insert("tilt_axis_deg".to_owned(), axis.to_string());
    }
    let pixel_um = float(0, 156).and_then(pixel_um_of_m);
    Some(Extended { angles_deg, pixel_um, metadata, ..Extended::default() })
}

/// An f32 as the number that was meant: -75.9 rather than -75.9000015258789.
fn tidy(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// A pixel size in µm from one in m, if it is one that a microscope may have.
fn pixel_um_of_m(pixel_m: f64) -> Option<f64> {
    (1e-12..1e-4).contains(&pixel_m).then(|| format!("{:.6e}", pixel_m * 1e6).parse().ok())?
}
