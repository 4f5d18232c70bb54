//! Results as lines for people: every number with its unit and the digits that it is good for.
//!
//! The unit of a number is in the name of its field (`_um`, `_deg`, `_mgy` …), in that of the field around it, or, for
//! values of a volume, in the field `unit` beside it. `--json` has every digit.

use serde_json::{Map, Value};

/// Endings of names: the unit as a person reads it, and the significant digits of such a number.
const UNITS: [(&str, &str, usize); 34] = [
    ("photons_per_um2", "photons/µm²", 3),
    ("electrons_per_a2", "e/Å²", 3),
    ("spatial_frequency_per_nm", "1/nm", 4),
    ("resolution_nm_x", "nm", 3),
    ("resolution_nm_y", "nm", 3),
    ("resolution_nm_z", "nm", 3),
    ("resolution_voxels_x", "voxels", 3),
    ("resolution_voxels_y", "voxels", 3),
    ("resolution_voxels_z", "voxels", 3),
    ("voxels_zyx", "voxels (z, y, x)", 4),
    ("um_per_px", "µm/px", 4),
    ("per_um2", "1/µm²", 4),
    ("per_um", "1/µm", 4),
    ("_voxels", "voxels", 4),
    ("_um3", "µm³", 4),
    ("_um2", "µm²", 4),
    ("_um", "µm", 4),
    ("_nm", "nm", 3),
    ("_px", "px", 3),
    ("_deg", "°", 4),
    ("_ev", "eV", 5),
    ("_mgy", "MGy", 3),
    ("seconds", "s", 3),
    ("fps", "frames/s", 4),
    ("_fraction", "%", 3),
    ("_share", "%", 3),
    ("share", "%", 3),
    ("fraction", "%", 3),
    ("voxels", "voxels", 12),
    ("correlation", "", 3),
    ("score", "", 3),
    ("agreement", "", 3),
    ("explained", "%", 3),
    ("volume_error", "%", 2),
];

/// Numbers of a volume or series that are in its unit.
const OF_THE_VALUES: [&str; 16] = [
    "min",
    "max",
    "mean",
    "sd",
    "low",
    "high",
    "thresholds",
    "value",
    "error",
    "noise_mean",
    "window",
    "iso",
    "standard_error",
    "rms",
    "above",
    "mounts_above",
];

/// Names that say too little.
const WORDS: [(&str, &str); 54] = [
    ("n_views", "views"),
    ("n_channels", "channels"),
    ("n_flats", "flats"),
    ("n_components", "components"),
    ("n", "voxels looked at"),
    ("dtype", "type"),
    ("voxel_um", "voxel size"),
    ("um_per_px", "pixel"),
    ("fre_um", "error of the fit"),
    ("tre_um", "error of points left out"),
    ("left_out_um", "left out"),
    ("cv", "spread of the blocks"),
    ("bic", "Bayesian information criterion"),
    ("dose_mgy", "dose at the entrance"),
    ("absorbed_mgy", "dose absorbed"),
    ("fluence_photons_per_um2", "fluence, all views"),
    ("needed_photons_per_um2", "needed fluence"),
    ("needed_mgy", "needed dose"),
    ("tolerable_mgy", "tolerable dose"),
    ("electrons_per_a2", "as electrons"),
    ("electron_budget_share", "of the budget of electrons"),
    ("seen_nm", "seen at the tolerable dose"),
    ("finest_nm", "finest"),
    ("na", "numerical aperture"),
    ("at_rest", "came to rest"),
    ("not_finite", "voxels without a number"),
    ("not_crossed", "resolved to the last shell at"),
    ("half_bit", "at half bit"),
    ("size_px", "size"),
    ("error_plain", "error of interpolated flats"),
    ("error_fitted", "error of fitted flats"),
    ("explained", "variance explained"),
    ("lac", "trust in the absorption"),
    ("views_used", "views used"),
    ("rms", "root mean square"),
    ("worst_view", "worst view, from 0"),
    ("quarter", "quarter turn"),
    ("offset_voxels_zyx", "offset of the second"),
    ("moved_voxels_zyx", "moved"),
    ("is_flat", "flat"),
    ("resolution_nm_z", "resolution along z"),
    ("resolution_nm_y", "resolution along y"),
    ("resolution_nm_x", "resolution along x"),
    ("resolution_voxels_z", "resolution along z"),
    ("resolution_voxels_y", "resolution along y"),
    ("resolution_voxels_x", "resolution along x"),
    ("next_voxels", "next largest object"),
    ("spans_zyx", "reaches both ends (z, y, x)"),
    ("t_min", "smallest transmission taken"),
    ("half", "half of the views"),
    ("seconds", "length"),
    ("score", "agreement of held-out views"),
    ("correlation", "correlation of both"),
    ("agreement", "agreement of fine structure"),
];

/// Fields that are for machines: the record of a file and what stderr has said.
const FOR_MACHINES: [&str; 2] = ["provenance", "subsets"];

/// Rows of a list that are shown.
const MOST_ROWS: usize = 24;

/// A result as lines "name  value unit"; nested values are indented. Sentences in `said` are not said again.
pub(super) fn lines(value: &Value, said: &[String]) -> String {
    let mut text = Vec::new();
    match value {
        Value::Object(fields) => block(&mut text, fields, "", &Around { unit: None, said, outer: None }),
        other => text.push(plain(other, 4)),
    }
    text.join("\n")
}

/// What a value stands in.
#[derive(Clone, Copy)]
struct Around<'a> {
    /// Unit of the values of the volume, or of the field around, with digits.
    unit: Option<(&'a str, usize)>,
    /// What stderr has said.
    said: &'a [String],
    /// The fields around, which are not said again.
    outer: Option<&'a Map<String, Value>>,
}

/// The unit of a field and the digits of its numbers.
fn unit_of<'a>(name: &str, around: &Around<'a>) -> (&'a str, usize) {
    let known = UNITS.iter().find(|(ending, ..)| name.ends_with(ending)).map(|(_, unit, n)| (*unit, *n));
    let inherited =
        || around.unit.filter(|_| OF_THE_VALUES.contains(&name) || is_number(name) || name == "half_bit");
    known.or_else(inherited).unwrap_or(("", 4))
}

fn is_number(name: &str) -> bool {
    name.parse::<f64>().is_ok()
}

/// The name of a field in words, without its unit.
fn label(name: &str) -> String {
    if let Some((_, words)) = WORDS.iter().find(|(known, _)| *known == name) {
        return (*words).to_owned();
    }
    if is_number(name) {
        return format!("at {name}");
    }
    let name = name.strip_prefix("n_").unwrap_or(name);
    let ending = UNITS.iter().find(|(ending, ..)| name.ends_with(ending)).map_or("", |(ending, ..)| *ending);
    let stem = name.strip_suffix(ending).filter(|_| ending.starts_with('_')).unwrap_or(name);
    let stem = stem.strip_suffix("_zyx").unwrap_or(stem);
    stem.strip_suffix("_per_um").or_else(|| stem.strip_suffix("_photons")).unwrap_or(stem).replace('_', " ")
}

/// Whether there is nothing to say.
fn is_nothing(value: &Value, said: &[String]) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().all(|item| is_nothing(item, said)),
        Value::Object(fields) => fields.values().all(|value| is_nothing(value, said)),
        Value::String(text) => text.is_empty() || said.contains(text),
        _ => false,
    }
}

/// The fields of an object, one a line or more.
fn block(text: &mut Vec<String>, fields: &Map<String, Value>, indent: &str, around: &Around<'_>) {
    let own = fields.get("unit").and_then(Value::as_str).map(shown_unit);
    let before = around.outer;
    let around = &Around { unit: own.map(|unit| (unit, 4)).or(around.unit), outer: Some(fields), ..*around };
    let is_known = |name: &str, value: &Value| before.is_some_and(|outer| outer.get(name) == Some(value));
    let wanted = |(name, value): &(&String, &Value)| {
        let is_empty = match value {
            // All that it holds stands around it.
            Value::Object(inner) => inner.iter().all(|(name, value)| fields.get(name) == Some(value)),
            _ => is_known(name, value),
        };
        !is_empty && !FOR_MACHINES.contains(&name.as_str()) && !is_nothing(value, around.said)
    };
    let shown: Vec<(String, &String, &Value)> =
        fields.iter().filter(wanted).map(|(name, value)| (label(name), name, value)).collect();
    let width = shown.iter().map(|(label, ..)| label.chars().count()).max().unwrap_or(0);
    let deeper = format!("{indent}  ");
    for (label, name, value) in shown {
        let unit = unit_of(name, around);
        let head = |rest: &str| {
            let pad = " ".repeat(width - label.chars().count());
            format!("{indent}{label}{pad}  {rest}")
        };
        match value {
            Value::Object(fields) if name == "metadata" => {
                text.push(format!("{indent}{label}"));
                foreign(text, fields, &deeper);
            }
            Value::Object(fields) => {
                text.push(format!("{indent}{label}"));
                let inner = if unit.0.is_empty() { around.unit } else { Some(unit) };
                block(text, fields, &deeper, &Around { unit: inner, ..*around });
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                text.push(format!("{indent}{label}"));
                table(text, items, &deeper, around);
            }
            Value::Array(items)
                if items.iter().any(|item| item.as_str().is_some_and(|s| s.contains(' '))) =>
            {
                text.push(format!("{indent}{label}"));
                let sentences = items.iter().filter(|item| !is_nothing(item, around.said));
                text.extend(sentences.map(|item| format!("{deeper}{}", plain(item, unit.1))));
            }
            _ => text.push(head(&with_unit(name, value, unit))),
        }
    }
}

/// What others wrote, under their names.
fn foreign(text: &mut Vec<String>, fields: &Map<String, Value>, indent: &str) {
    let width = fields.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, value) in fields {
        let pad = " ".repeat(width - name.chars().count());
        let value = value.as_str().map_or_else(|| plain(value, 10), |line| line.trim().replace('\n', " "));
        text.push(format!("{indent}{name}{pad}  {value}"));
    }
}

/// A list of objects as columns.
fn table(text: &mut Vec<String>, items: &[Value], indent: &str, around: &Around<'_>) {
    let objects = || items.iter().filter_map(Value::as_object);
    let is_said =
        |name: &str| objects().any(|row| row.get(name).is_some_and(|v| !is_nothing(v, around.said)));
    let mut names: Vec<&String> = Vec::new();
    for name in objects().flat_map(Map::keys) {
        if !names.contains(&name) && is_said(name) && !FOR_MACHINES.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let heads = names.iter().map(|name| {
        let (unit, _) = unit_of(name, around);
        let label = label(name);
        if unit.is_empty() || label == unit { label } else { format!("{label} ({unit})") }
    });
    let mut rows: Vec<Vec<String>> = vec![heads.collect()];
    rows.extend(items.iter().take(MOST_ROWS).map(|item| {
        let cell = |name: &&String| match item.get(name.as_str()) {
            None | Some(Value::Null) => String::new(),
            Some(value) => scaled(value, unit_of(name, around)),
        };
        names.iter().map(cell).collect()
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let pad = " ".repeat(width - cell.chars().count());
            format!("{cell}{pad}")
        });
        text.push(format!("{indent}{}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned());
    }
    if items.len() > MOST_ROWS {
        text.push(format!("{indent}… {} in all; --json has them", items.len()));
    }
}

/// A value of a field with its unit.
fn with_unit(name: &str, value: &Value, unit: (&str, usize)) -> String {
    let items = value.as_array();
    match (name, items.map(Vec::as_slice)) {
        // What the score is stands in its own line.
        ("method", _) => scaled(value, unit).split("; score:").next().unwrap_or_default().to_owned(),
        ("unit", _) => value.as_str().map_or_else(|| plain(value, 4), |unit| shown_unit(unit).to_owned()),
        ("shape_zyx", Some([z, y, x])) => format!("{z} × {y} × {x} (z, y, x)"),
        ("size_px", Some([w, h])) => format!("{w} × {h} px"),
        ("rows", Some([first, end])) => format!("{first} to {} (from 0)", end.as_i64().unwrap_or(0) - 1),
        ("voxel_um", Some([z, y, x])) if z == y && y == x => format!("{} µm", scaled(z, unit)),
        ("voxel_um", Some([z, y, x])) => {
            let [z, y, x] = [z, y, x].map(|edge| scaled(edge, unit));
            format!("{z} × {y} × {x} µm (z, y, x)")
        }
        _ if unit.0.is_empty() || unit.0 == label(name) => scaled(value, unit),
        _ if has_number(value) => {
            let text = scaled(value, unit);
            let (text, count) = text.split_once(" (").unwrap_or((&text, ""));
            let count = if count.is_empty() { String::new() } else { format!(" ({count}") };
            format!("{text}{}{}{count}", if unit.0 == "°" { "" } else { " " }, unit.0)
        }
        _ => scaled(value, unit),
    }
}

fn has_number(value: &Value) -> bool {
    value.is_number() || value.as_array().is_some_and(|items| items.iter().any(Value::is_number))
}

/// A value without its unit; shares as percent.
fn scaled(value: &Value, (unit, digits): (&str, usize)) -> String {
    let is_share = unit == "%";
    let one = |value: &Value| match value.as_f64() {
        Some(x) if is_share => number(100.0 * x, digits),
        Some(x) if value.is_f64() => number(x, digits),
        _ => plain(value, digits),
    };
    match value {
        Value::Array(items) if items.len() > 8 => {
            let head: Vec<_> = items.iter().take(3).map(one).collect();
            let last = items.last().map(one).unwrap_or_default();
            format!("{} … {last} ({} values)", head.join(", "), items.len())
        }
        Value::Array(items) => items.iter().map(one).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => match (fields.get("value"), fields.get("error")) {
            (Some(value), Some(error)) => format!("{} ± {}", one(value), scaled(error, (unit, 2))),
            _ => fields
                .iter()
                .map(|(name, value)| format!("{} {}", label(name), one(value)))
                .collect::<Vec<_>>()
                .join(", "),
        },
        other => one(other),
    }
}

/// A value that has no unit.
fn plain(value: &Value, digits: usize) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "unknown".to_owned(),
        Value::Number(given) => match given.as_f64() {
            Some(x) if given.is_f64() => number(x, digits),
            _ => given.to_string(),
        },
        Value::Array(_) | Value::Object(_) => scaled(value, ("", digits)),
    }
}

/// A unit of JSON as a person reads it.
fn shown_unit(ascii: &str) -> &str {
    crate::base::Unit::from_ascii(ascii).map_or(ascii, |unit| match unit.shown() {
        "" => unit.ascii(),
        shown => shown,
    })
}

/// A number with so many significant digits; whole numbers keep theirs up to a million.
fn number(x: f64, digits: usize) -> String {
    let size = x.abs();
    if x == 0.0 || !x.is_finite() {
        return if x == 0.0 { "0".to_owned() } else { x.to_string() };
    }
    if !(1e-4..1e6).contains(&size) {
        let text = format!("{x:.*e}", digits.saturating_sub(1));
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{} × 10{}", trimmed(mantissa), raised(exponent));
    }
    let before = size.log10().floor() as i64 + 1;
    let decimals = usize::try_from(digits as i64 - before).unwrap_or(0);
    trimmed(&format!("{x:.decimals$}")).to_owned()
}

/// Without zeros at the end of its decimals.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// An exponent as it is written above.
fn raised(exponent: &str) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let high = |c: char| c.to_digit(10).map_or('⁻', |d| digits[d as usize]);
    exponent.chars().map(high).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_have_the_digits_they_are_good_for() {
        for (x, digits, text) in [
            (22_050_295_547.676_083, 3, "2.21 × 10¹⁰"),
            (0.031_25, 4, "0.03125"),
            (0.013_020_833, 4, "0.01302"),
            (520.0, 5, "520"),
            (12_345.678, 3, "12346"),
            (-64.999_999, 4, "-65"),
            (0.000_012_34, 3, "1.23 × 10⁻⁵"),
            (0.0, 3, "0"),
        ] {
            assert_eq!(number(x, digits), text);
        }
    }

    #[test]
    fn units_come_from_the_name_the_field_around_or_the_volume() {
        let result = json!({
            "output": "a.csv", "fluence_photons_per_um2": 22_050_295_547.676_083, "dose_mgy": 3.216_78,
            "absorbed_fraction": 0.412_345, "resolution_nm": {"0.143": 41.234, "half_bit": null},
            "voxel_um": [0.031_25, 0.031_25, 0.031_25], "shape_zyx": [48, 40, 32], "angles_deg": (0..20).collect::<Vec<_>>(),
            "unit": "1/um", "mean": 0.123_456_7, "losses": [], "align": {"method": "none", "score": 0.987_654_3},
            "notes": ["said already"], "warnings": ["not said yet"],
        });
        let text = lines(&result, &["said already".to_owned()]);
        for line in [
            "fluence, all views",
            "2.21 × 10¹⁰ photons/µm²",
            "3.22 MGy",
            "41.2 %",
            "\n  at 0.143  41.2 nm",
            "0.03125 µm",
            "48 × 40 × 32 (z, y, x)",
            "0, 1, 2 … 19° (20 values)",
            "0.1235 1/µm",
            "\n  agreement of held-out views  0.988",
            "\n  not said yet",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        for raw in ["{", "[", "\"", "said already", "losses", "half bit"] {
            assert!(!text.contains(raw), "{raw} is in\n{text}");
        }
    }

    #[test]
    fn lists_of_objects_are_columns() {
        let result = json!({ "unit": "1/um", "classes": [
            {"class": 1, "low": null, "high": 0.25, "voxels": 12_000, "share": 0.25},
            {"class": 12, "low": 0.25, "high": null, "voxels": 36_000, "share": 0.75},
        ]});
        let text = lines(&result, &[]);
        assert!(text.contains("  class  low (1/µm)  high (1/µm)  voxels  share (%)"), "{text}");
        assert!(text.contains("  1                  0.25         12000   25"), "{text}");
    }
}
