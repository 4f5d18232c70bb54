//! Units of length as programs write them.

/// µm in a unit, however it is spelt; `None` for what is no length, such as pixels.
pub(super) fn um_per(unit: &str) -> Option<f64> {
    let unit = unescaped(unit);
    let plain = unit.trim().trim_end_matches('.').replace(['μ', 'Â'], "µ").replace("µµ", "µ");
    let um = match plain.as_str() {
        // Upper and lower case differ here.
        "m" => 1e6,
        "Å" | "A" | "Ångström" | "Angstrom" => 1e-4,
        "Mm" | "M" => return None,
        _ => match plain.to_lowercase().as_str() {
            "um" | "µm" | "µ" | "micron" | "microns" | "micrometer" | "micrometers" | "micrometre"
            | "micrometres" | "mikron" => 1.0,
            "nm" | "nanometer" | "nanometers" | "nanometre" | "nanometres" => 1e-3,
            "pm" | "picometer" | "picometre" => 1e-6,
            "mm" | "millimeter" | "millimeters" | "millimetre" | "millimetres" => 1e3,
            "cm" | "centimeter" | "centimeters" | "centimetre" => 1e4,
            "dm" => 1e5,
            "meter" | "meters" | "metre" | "metres" => 1e6,
            "å" | "ang" | "angstrom" | "angstroms" | "ångström" => 1e-4,
            "in" | "inch" | "inches" | "\"" => 25400.0,
            "thou" | "mil" => 25.4,
            _ => return None,
        },
    };
    Some(um)
}

/// Whether a unit says openly that it is none of length.
pub(super) fn is_no_length(unit: &str) -> bool {
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
        for (unit, um) in [("nm", 1e-3), ("mm", 1e3), ("cm", 1e4), ("inch", 25400.0), ("m", 1e6), ("Å", 1e-4)]
        {
            assert_eq!(um_per(unit), Some(um), "{unit}");
        }
        for unit in ["pixel", "reference frame", "", "Mm", "\\u", "\\u00", "\\uµµ", "\\ud800x"] {
            assert_eq!(um_per(unit), None, "{unit}");
        }
    }
}
