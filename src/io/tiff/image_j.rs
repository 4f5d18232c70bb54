//! ImageJ's description: lines of `key=value`, and its labels of slices.
//!
//! Source: ij.io.TiffDecoder, ij.io.FileOpener and ij.io.FileSaver of ImageJ 1.54.

use super::said::{Axes, OWN_LINE, Said};
use crate::io::lengths::{is_no_length, um_per};

/// Whether a description is ImageJ's.
pub(super) fn is_image_j(text: &str) -> bool {
    text.starts_with("ImageJ=")
}

/// Parses the lines; `n_pages` pages of `n_samples` samples are there.
pub(super) fn parse(text: &str, n_pages: usize, n_samples: usize) -> Said {
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::trim));
    let number = |name: &str| field(name).and_then(|v| v.parse::<f64>().ok()).filter(|v| v.is_finite());
    let count = |name: &str| field(name).and_then(whole);
    let mut said = Said { n_images: count("images"), ..Said::default() };
    said.axes = axes(&count, field("order"), n_pages, n_samples);
    size(&mut said, &field, number("spacing").map(f64::abs).filter(|v| *v > 0.0));
    calibration(&mut said, &field, &number);
    for key in ["finterval", "fps", "vunit", "Info"] {
        if let Some(value) = field(key) {
            said.metadata.insert(format!("imagej_{}", key.to_lowercase()), value.to_owned());
        }
    }
    said.own = field(OWN_LINE.trim_end_matches('=')).and_then(|json| serde_json::from_str(json).ok());
    said
}

/// A count, perhaps written as a real number.
fn whole(text: &str) -> Option<usize> {
    text.split('.').next()?.parse().ok().filter(|n| (1..=1_000_000_000).contains(n))
}

/// The order of the pages; `None` where they are planes.
fn axes(
    count: &impl Fn(&str) -> Option<usize>,
    order: Option<&str>,
    n_pages: usize,
    n_samples: usize,
) -> Option<Axes> {
    let n_images = count("images").unwrap_or(n_pages);
    let (slices, frames) = (count("slices"), count("frames"));
    let mut channels = count("channels").unwrap_or(1);
    let rest = slices.unwrap_or(1).saturating_mul(frames.unwrap_or(1));
    // The colours of a pixel may be counted as channels.
    if channels > 1 && channels == n_samples && n_images == rest {
        channels = 1;
    }
    if slices.is_none() && frames.is_none() && channels == 1 {
        return None;
    }
    let slices = slices.unwrap_or_else(|| (n_images / channels / frames.unwrap_or(1)).max(1));
    let frames = frames.unwrap_or(1);
    if slices.saturating_mul(frames).saturating_mul(channels) == 1 && n_pages > 1 {
        return None;
    }
    let letters: Vec<char> = order.unwrap_or("czt").to_uppercase().chars().collect();
    let order = match letters.as_slice() {
        [a, b, c] if ['C', 'Z', 'T'].iter().all(|axis| letters.contains(axis)) => [*a, *b, *c],
        _ => ['C', 'Z', 'T'],
    };
    Axes::ordered(order, channels, slices, frames)
}

/// The units of the resolution tags and of the spacing.
fn size<'a>(said: &mut Said, field: &impl Fn(&str) -> Option<&'a str>, spacing: Option<f64>) {
    let unit = field("unit").filter(|unit| !unit.is_empty());
    let um = unit.and_then(um_per);
    said.has_unit_of_its_own = um.is_none();
    said.is_without_size = unit.is_some() && um.is_none();
    if let Some(unit) = unit.filter(|unit| um.is_none() && !is_no_length(unit)) {
        said.warnings.push(format!(
            "the voxel size is in {unit}, which is no unit of length known here; it was left out"
        ));
    }
    // Along y and z there may be other units.
    let own = |key: &str| field(key).filter(|own| !own.is_empty() && Some(*own) != unit);
    let um_along = |key: &str| own(key).map_or(um, um_per);
    let um_y = um_along("yunit");
    if let Some(unit) = own("yunit").filter(|_| um.is_some() && um_y.is_none()) {
        said.warnings
            .push(format!("the size along y is in {unit}, which is no unit of length; it was left out"));
    }
    said.um_per_unit_yx = [um_y, um];
    said.voxel_um[0] = um_along("zunit").zip(spacing).map(|(um, spacing)| um * spacing);
    match (own("zunit"), spacing) {
        (Some(unit), Some(spacing)) if um_per(unit).is_none() => said.warnings.push(format!(
            "the spacing of the planes is {spacing} {unit}, which is no length; it was left out"
        )),
        // In the unit of the others, or in none.
        (None, _) if um.is_none() => said.edges[0] = spacing,
        _ => {}
    }
}

/// ImageJ may keep a function from stored values to those that it shows.
fn calibration<'a>(
    said: &mut Said,
    field: &impl Fn(&str) -> Option<&'a str>,
    number: &impl Fn(&str) -> Option<f64>,
) {
    let Some(function) = number("cf") else { return };
    let (c0, c1) = (number("c0"), number("c1"));
    if function == 0.0 && c0 == Some(-32768.0) && c1.is_none_or(|c1| c1 == 1.0) {
        said.is_signed_16 = true;
        return;
    }
    if function == 0.0 && c0.is_none_or(|c0| c0 == 0.0) && c1.is_none_or(|c1| c1 == 1.0) {
        return;
    }
    let unit = field("vunit").unwrap_or("a unit of its own");
    let rule = match (c0, c1) {
        (Some(c0), Some(c1)) if function == 0.0 => format!("{c0} + {c1} × stored"),
        _ => format!("its function {function}"),
    };
    said.warnings.push(format!(
        "ImageJ shows these values as {rule} ({unit}); the stored values were read, without it"
    ));
}

/// Names of the first `n` slices, from the tags that ImageJ keeps its labels in.
pub(super) fn labels(counts: &[u64], bytes: &[u8], n: usize) -> Vec<String> {
    let Some((magic, _)) = bytes.split_at_checked(4) else { return Vec::new() };
    let big_endian = match magic {
        b"IJIJ" => true,
        b"JIJI" => false,
        _ => return Vec::new(),
    };
    let word = |at: usize| {
        let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    };
    let mut lengths = counts.iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX));
    let Some(mut at) = lengths.next() else { return Vec::new() };
    let mut names = Vec::new();
    for entry in (4..at.min(bytes.len())).step_by(8) {
        let (Some(kind), Some(of_kind)) = (word(entry), word(entry + 4)) else { break };
        for _ in 0..of_kind {
            let Some(length) = lengths.next() else { return names };
            let Some(value) = at.checked_add(length).and_then(|end| bytes.get(at..end)) else { return names };
            at += length;
            if kind == u32::from_be_bytes(*b"labl") && names.len() < n {
                names.push(utf16(value, big_endian));
            }
        }
    }
    names
}

fn utf16(bytes: &[u8], big_endian: bool) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| {
            if big_endian {
                u16::from_be_bytes([pair[0], pair[1]])
            } else {
                u16::from_le_bytes([pair[0], pair[1]])
            }
        })
        .collect();
    String::from_utf16_lossy(&units).lines().next().unwrap_or("").trim().to_owned()
}
