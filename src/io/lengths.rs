//! Units of length as programs write them.

/// What comes before "meter" in the units of UDUNITS, which OME-Zarr lists, with the µm that it makes of it.
const METERS: [(&str, f64); 19] = [
    ("yocto", 1e-18),
    ("zepto", 1e-15),
    ("atto", 1e-12),
    ("femto", 1e-9),
    ("pico", 1e-6),
    ("nano", 1e-3),
    ("micro", 1.0),
    ("milli", 1e3),
    ("centi", 1e4),
    ("deci", 1e5),
    ("hecto", 1e8),
    ("kilo", 1e9),
    ("mega", 1e12),
    ("giga", 1e15),
    ("tera", 1e18),
    ("peta", 1e21),
    ("exa", 1e24),
    ("zetta", 1e27),
    ("yotta", 1e30),
];

/// µm in a unit, however it is spelt; `None` for what is no length, such as pixels.
pub(crate) fn um_per(unit: &str) -> Option<f64> {
    let unit = unescaped(unit);
    if unit.trim() == "\"" {
        return Some(25_400.0);
    }
    let plain = unit.trim().trim_matches(['[', ']', '"', '\0']).trim_end_matches('.');
    let plain = plain.replace(['μ', 'Â'], "µ").replace("µµ", "µ").replace('_', "");
    // Upper and lower case differ here.
    match plain.as_str() {
        "m" => return Some(1e6),
        "Å" | "A" => return Some(1e-4),
        "Mm" | "M" => return None,
        _ => {}
    }
    let lower = plain.to_lowercase();
    let meters = ["meter", "meters", "metre", "metres"].iter().find_map(|m| lower.strip_suffix(m));
    if let Some(before) = meters {
        let known = METERS.iter().find(|(name, _)| *name == before).map(|(_, um)| *um);
        return known.or(before.is_empty().then_some(1e6));
    }
    Some(match lower.as_str() {
        "um" | "µm" | "µ" | "micron" | "microns" | "mikron" => 1.0,
        "nm" => 1e-3,
        "pm" => 1e-6,
        "mm" => 1e3,
        "cm" => 1e4,
        "dm" => 1e5,
        "km" => 1e9,
        "fm" => 1e-9,
        "hm" => 1e8,
        "dam" => 1e7,
        "å" | "a" | "ang" | "angstrom" | "angstroms" | "ångström" => 1e-4,
        "in" | "inch" | "inches" => 25_400.0,
        "ft" | "foot" | "feet" => 304_800.0,
        "yd" | "yard" | "yards" => 914_400.0,
        "mi" | "mile" | "miles" => 1_609_344_000.0,
        "li" | "line" | "lines" => 25_400.0 / 12.0,
        "pt" | "point" | "points" => 25_400.0 / 72.0,
        "thou" | "mil" => 25.4,
        _ => return None,
    })
}

/// Whether a unit says openly that it is none of length.
pub(crate) fn is_no_length(unit: &str) -> bool {
    let lower = unit.trim().to_lowercase();
    lower.is_empty() || lower.starts_with("pixel") || lower == "voxel" || lower == "px"
}

/// Text with escapes such as `\u00B5` in place.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split("\\u");
    out.push_str(parts.next().unwrap_or(""));
    for part in parts {
        let digits = part.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match digits.and_then(char::from_u32) {
            Some(letter) => {
                out.push(letter);
                out.push_str(&part[4..]);
            }
            None => {
                out.push_str("\\u");
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_known_in_every_spelling() {
        for unit in
            ["um", "µm", "μm", "\\u00B5m", "\\u00b5m", "micron", "Microns", " µm ", "Âµm", "micrometer"]
        {
            assert_eq!(um_per(unit), Some(1.0), "{unit}");
        }
        for (unit, um) in [
            ("nm", 1e-3),
            ("mm", 1e3),
            ("cm", 1e4),
            ("inch", 25_400.0),
            ("\"", 25_400.0),
            ("m", 1e6),
            ("meter", 1e6),
            ("Å", 1e-4),
            ("A", 1e-4),
            ("Angstroms", 1e-4),
            ("picometer", 1e-6),
            ("nanometres", 1e-3),
            ("[n_m]", 1e-3),
            ("yottameter", 1e30),
            ("yards", 914_400.0),
            ("miles", 1_609_344_000.0),
            ("feet", 304_800.0),
            ("hm", 1e8),
        ] {
            assert_eq!(um_per(unit), Some(um), "{unit}");
        }
        for unit in [
            "pixel",
            "reference frame",
            "",
            "second",
            "s",
            "parameter",
            "Mm",
            "\\u",
            "\\u00",
            "\\uµµ",
            "\\ud800x",
        ] {
            assert_eq!(um_per(unit), None, "{unit}");
        }
    }
}
