//! Tilt angles and pixel size from the extended headers of MRC stacks.
//!
//! SerialEM ("SERI" or untagged), FEI ("FEI1", "FEI2") and the old layout of FEI and Agard's
//! programs: per section `nint` whole numbers and `nreal` floats, the first float being the tilt.

use super::header::MrcHeader;

/// What an extended header says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Extended {
    /// Tilt of each section in degrees; empty where not found or not believable.
    pub(super) angles_deg: Vec<f64>,
    /// Pixel size in µm.
    pub(super) pixel_um: Option<f64>,
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
    found.filter(|extended| is_believable(&extended.angles_deg)).unwrap_or_default()
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

/// SerialEM: `nint` bytes a section, `nreal` flags say what they are; bit 0 is tilt · 100 in the first two bytes.
fn serial_em(header: &MrcHeader, bytes: &[u8]) -> Option<Extended> {
    let [n_bytes, flags] = header.n_int_real;
    let flagged: i16 = [2, 6, 4, 2, 2, 4]
        .iter()
        .enumerate()
        .filter(|(bit, _)| flags & (1 << bit) != 0)
        .map(|(_, n)| n)
        .sum();
    if flags <= 0 || flags & 1 == 0 || n_bytes != flagged {
        return None;
    }
    let step = usize::try_from(n_bytes).ok()?;
    let angles_deg = (0..header.shape[0])
        .map(|section| {
            let word = word(bytes, section * step)?;
            let tilt = if header.big_endian { i16::from_be_bytes(word) } else { i16::from_le_bytes(word) };
            Some(f64::from(tilt) / 100.0)
        })
        .collect::<Option<Vec<_>>>()?;
    Some(Extended { angles_deg, pixel_um: None })
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
    Some(Extended { angles_deg, pixel_um: pixel_m.map(tidy).and_then(pixel_um_of_m) })
}

/// FEI1 and FEI2: records that begin with their size; always little-endian. Alpha tilt at byte 100, pixel size in m at 156.
fn fei(header: &MrcHeader, bytes: &[u8]) -> Option<Extended> {
    let step = usize::try_from(i32::from_le_bytes(word(bytes, 0)?)).ok().filter(|n| *n >= 164)?;
    let float = |section: usize, at: usize| {
        word(bytes, section.checked_mul(step)?.checked_add(at)?).map(f64::from_le_bytes)
    };
    let angles_deg = (0..header.shape[0]).map(|section| float(section, 100)).collect::<Option<Vec<_>>>()?;
    Some(Extended { angles_deg, pixel_um: float(0, 156).and_then(pixel_um_of_m) })
}

/// An f32 as the number that was meant: -75.9 rather than -75.9000015258789.
fn tidy(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// A pixel size in µm from one in m, if it is one that a microscope may have.
fn pixel_um_of_m(pixel_m: f64) -> Option<f64> {
    (1e-12..1e-4).contains(&pixel_m).then(|| format!("{:.6e}", pixel_m * 1e6).parse().ok())?
}
