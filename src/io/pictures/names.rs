//! Names of the pictures of a folder: their order, the tilts that stand in them, which are flats and darks.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// Pictures in the order in which they are read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Ordered {
    pub(super) files: Vec<PathBuf>,
    /// Tilt of each in degrees, as its name has it; empty where the names have none.
    pub(super) angles_deg: Vec<f64>,
    /// What the user has to know.
    pub(super) said: Option<String>,
}

/// Orders pictures by the tilts in their names, or in natural order.
pub(super) fn ordered(mut files: Vec<PathBuf>) -> Ordered {
    files.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
    let stems: Vec<String> = files.iter().map(|file| stem(file)).collect();
    match tilts(&stems) {
        Tilts::None => Ordered { files, ..Ordered::default() },
        Tilts::Unclear(said) => Ordered { files, said: Some(said), ..Ordered::default() },
        Tilts::Found(angles) => {
            let mut pairs: Vec<(f64, PathBuf)> = angles.into_iter().zip(files).collect();
            // Stable: pictures of one tilt stay in natural order.
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (angles_deg, files): (Vec<f64>, Vec<PathBuf>) = pairs.into_iter().unzip();
            let (first, last) = (angles_deg[0], angles_deg[angles_deg.len() - 1]);
            let said = Some(format!(
                "the pictures are in the order of the tilts in their names, {first}° to {last}°; --angles gives others, in this order"
            ));
            Ordered { files, angles_deg, said }
        }
    }
}

/// The name of a file without its last extension.
pub(super) fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().replace('\u{2212}', "-")
}

/// What names tell of tilts.
enum Tilts {
    None,
    /// More than one number of the names may be the tilt.
    Unclear(String),
    Found(Vec<f64>),
}

/// A number in a name, with what stands around it.
#[derive(Debug, Clone, PartialEq)]
struct Number {
    /// The letters between the number before and this one, without its sign.
    before: String,
    value: f64,
    has_sign: bool,
    has_decimals: bool,
    /// Whether it is one of several numbers with dots between, as in a time or a version.
    is_dotted: bool,
    /// The letters directly behind it.
    behind: String,
}

/// Which minus is the sign of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signs {
    /// One that stands apart from letters and digits: `tomo_-60`.
    Apart,
    /// Also one behind a letter: `tomo-60`, where other names have none.
    BehindLetters,
    /// The letters m, n (minus) and p (plus) that stand alone: `tomo_m60`.
    Letters,
}

/// One number of the same place of every name.
struct Field {
    numbers: Vec<Number>,
    signs: Signs,
}

fn tilts(stems: &[String]) -> Tilts {
    if stems.len() < 2 {
        return Tilts::None;
    }
    for signs in [Signs::Apart, Signs::BehindLetters, Signs::Letters] {
        let found = fields(stems, signs);
        let best = found.iter().map(Field::likeness).max().unwrap_or(0);
        if best == 0 {
            continue;
        }
        let mut values: Vec<Vec<f64>> =
            found.iter().filter(|field| field.likeness() == best).map(Field::values).collect();
        values.dedup();
        if let [one] = values.as_slice() {
            return Tilts::Found(one.clone());
        }
        return Tilts::Unclear(
            "the names of the pictures hold several numbers that may be tilts: the natural order was kept, --angles gives the tilts"
                .to_owned(),
        );
    }
    Tilts::None
}

/// The numbers that stand at the same place of all names, counted from the front and from the back.
fn fields(stems: &[String], signs: Signs) -> Vec<Field> {
    let names: Vec<Vec<Number>> = stems.iter().map(|stem| numbers(stem, signs)).collect();
    let shortest = names.iter().map(Vec::len).min().unwrap_or(0);
    let longest = names.iter().map(Vec::len).max().unwrap_or(0);
    let at = |place: &dyn Fn(&[Number]) -> Option<&Number>| {
        let numbers: Vec<Number> = names.iter().filter_map(|name| place(name).cloned()).collect();
        let same = numbers.len() == names.len() && numbers.iter().all(|n| n.before == numbers[0].before);
        same.then_some(Field { numbers, signs })
    };
    let mut found: Vec<Field> = (0..shortest).map_while(|i| at(&|name| name.get(i))).collect();
    if shortest < longest || found.len() < shortest {
        found.extend(
            (1..=shortest).map_while(|i| at(&|name| name.len().checked_sub(i).and_then(|i| name.get(i)))),
        );
    }
    found
}

/// The numbers of a name.
fn numbers(stem: &str, signs: Signs) -> Vec<Number> {
    let bytes = stem.as_bytes();
    let (mut found, mut at, mut text_from) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        let digits = |from: usize| bytes[from..].iter().take_while(|c| c.is_ascii_digit()).count();
        at += digits(at);
        let has_decimals = bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if has_decimals {
            at += 1 + digits(at + 1);
        }
        let sign = sign_before(bytes, start, text_from, signs);
        let size: f64 = stem.get(start..at).and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        let before =
            stem.get(text_from..start - usize::from(sign.is_some())).unwrap_or_default().to_lowercase();
        let dot_before = start > 1 && bytes[start - 1] == b'.' && bytes[start - 2].is_ascii_digit();
        let dot_behind = bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        let behind = stem.get(at..).unwrap_or_default().trim_start_matches([' ', '_']);
        let behind: String = behind.chars().take_while(|c| c.is_alphabetic() || *c == '°').collect();
        found.push(Number {
            before,
            value: if sign == Some(true) { -size } else { size },
            has_sign: sign.is_some(),
            has_decimals,
            is_dotted: dot_before || dot_behind,
            behind: behind.to_lowercase(),
        });
        text_from = at;
    }
    found
}

/// Whether a sign stands before the number at `start`: `Some(true)` for minus, `Some(false)` for plus.
fn sign_before(bytes: &[u8], start: usize, text_from: usize, signs: Signs) -> Option<bool> {
    let place = start.checked_sub(1).filter(|place| *place >= text_from)?;
    let apart = place == text_from && text_from == 0
        || place > text_from && !bytes[place - 1].is_ascii_alphanumeric();
    match (bytes[place], signs) {
        (b'+', _) => Some(false),
        (b'-', Signs::BehindLetters) if apart || place > text_from => Some(true),
        (b'-', Signs::Apart | Signs::Letters) | (b'm' | b'n' | b'M' | b'N', Signs::Letters) if apart => {
            Some(true)
        }
        (b'p' | b'P', Signs::Letters) if apart => Some(false),
        _ => None,
    }
}

/// Words before a number that is an angle.
const ANGLE_WORDS: [&str; 9] = ["tilt", "tilts", "angle", "ang", "theta", "rot", "rotation", "alpha", "phi"];
/// Words before a number that is none.
const OTHER_WORDS: [&str; 15] = [
    "energy", "ev", "kev", "z", "x", "y", "focus", "defocus", "exp", "exposure", "time", "pos", "dose",
    "slice", "v",
];
/// Units behind a number that is none.
const OTHER_UNITS: [&str; 15] =
    ["ev", "kev", "nm", "um", "µm", "mm", "s", "ms", "sec", "min", "px", "x", "kv", "ma", "k"];

impl Field {
    fn values(&self) -> Vec<f64> {
        self.numbers.iter().map(|number| number.value).collect()
    }

    /// How much the field is like tilts: 0 not at all, 4 where the names say degrees.
    fn likeness(&self) -> u8 {
        let values = self.values();
        let (low, high) =
            values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
        let in_range = low >= -180.0 && high <= if low < 0.0 { 180.0 } else { 360.0 };
        if !(in_range && high > low) || self.numbers.iter().any(|n| n.is_dotted) {
            return 0;
        }
        let first = &self.numbers[0];
        let all_degrees =
            |n: &Number| n.behind.starts_with("deg") || n.behind.starts_with('°') || n.behind == "dg";
        if self.numbers.iter().all(all_degrees) {
            return 4;
        }
        let word = first
            .before
            .rsplit(|c: char| !c.is_alphabetic())
            .find(|word| !word.is_empty())
            .unwrap_or_default();
        if OTHER_WORDS.contains(&word) || OTHER_UNITS.contains(&first.behind.as_str()) {
            return 0;
        }
        let has_sign = self.numbers.iter().any(|n| n.has_sign);
        // What may be a hyphen or a letter is a sign only where some names have it and others not.
        let is_minus = |n: &Number| n.has_sign && n.value.is_sign_negative();
        let is_mixed = self.numbers.iter().any(is_minus) && !self.numbers.iter().all(is_minus);
        if self.signs != Signs::Apart && !is_mixed {
            return 0;
        }
        let has_decimals = self.numbers.iter().any(|n| n.has_decimals);
        if ANGLE_WORDS.contains(&word) && (has_sign || has_decimals || !is_counter(&values)) {
            return 3;
        }
        if has_sign { 2 } else { u8::from(has_decimals) }
    }
}

/// Whether values count 0, 1, 2 … or 1, 2, 3 …, in some order.
fn is_counter(values: &[f64]) -> bool {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[0] <= 1.0 && sorted.windows(2).all(|pair| pair[1] - pair[0] == 1.0)
}

/// What a picture is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PictureRole {
    View,
    Flat,
    Dark,
}

const FLAT_WORDS: [&str; 17] = [
    "flat",
    "flats",
    "flatfield",
    "ff",
    "ref",
    "refs",
    "reference",
    "white",
    "whites",
    "bright",
    "brightfield",
    "bf",
    "background",
    "bg",
    "openbeam",
    "ob",
    "izero",
];
const DARK_WORDS: [&str; 4] = ["dark", "darks", "darkfield", "darkcurrent"];

/// What a picture is, by the words of its name.
pub(super) fn role_of(file: &Path) -> PictureRole {
    let words = words_of(&stem(file));
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    if has(&DARK_WORDS) {
        PictureRole::Dark
    } else if has(&FLAT_WORDS) {
        PictureRole::Flat
    } else {
        PictureRole::View
    }
}

/// Words of letters, lower case; a capital behind a small letter begins one.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && small) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphabetic()) {
            word.extend(c.to_lowercase());
        }
        small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Order of names in which `view_2` comes before `view_10`.
pub(in crate::io) fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let split = |s: &[u8]| s.iter().take_while(|c| c.is_ascii_digit()).count();
    while let (Some(first), Some(second)) = (a.first(), b.first()) {
        let (n, m) = (split(a), split(b));
        let order = if n > 0 && m > 0 {
            let number =
                |digits: &[u8]| -> Vec<u8> { digits.iter().copied().skip_while(|c| *c == b'0').collect() };
            let (p, q) = (number(&a[..n]), number(&b[..m]));
            (a, b) = (&a[n..], &b[m..]);
            p.len().cmp(&q.len()).then(p.cmp(&q)).then(n.cmp(&m))
        } else {
            let order = first.cmp(second);
            (a, b) = (&a[1..], &b[1..]);
            order
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn angles(names: &[&str]) -> Vec<f64> {
        ordered(names.iter().map(PathBuf::from).collect()).angles_deg
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["v_10.tif", "v_2.tif", "v_002.tif", "v_1.tif", "u_11.tif", "v_.tif"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["u_11.tif", "v_.tif", "v_1.tif", "v_2.tif", "v_002.tif", "v_10.tif"]);
    }

    #[test]
    fn tilts_in_names_are_found_in_every_way_of_writing() {
        for names in [
            ["tomo_-20deg.tif", "tomo_0deg.tif", "tomo_5deg.tif"],
            ["tomo_-020.0.tif", "tomo_+000.0.tif", "tomo_+005.0.tif"],
            ["tomo-20.tif", "tomo0.tif", "tomo5.tif"],
            ["s_m20.tif", "s_p00.tif", "s_p05.tif"],
            ["-20.tif", "0.tif", "5.tif"],
            ["a 001 tilt=-20 .png", "a 002 tilt=0 .png", "a 003 tilt=5 .png"],
            [
                "TS_01_000_-20.0_Oct08_07.46.46.tif",
                "TS_01_001_0.0_Oct08_07.47.46.tif",
                "TS_01_002_5.0_Oct08_08.46.46.tif",
            ],
            ["x_\u{2212}20°.tif", "x_0°.tif", "x_5°.tif"],
        ] {
            assert_eq!(angles(&names), [-20.0, 0.0, 5.0], "{names:?}");
        }
        assert_eq!(angles(&["p_179.50.tif", "p_0.00.tif", "p_0.50.tif"]), [0.0, 0.5, 179.5]);
        assert_eq!(angles(&["theta0.tif", "theta2.tif", "theta4.tif"]), [0.0, 2.0, 4.0]);
    }

    #[test]
    fn counters_times_energies_and_single_numbers_are_no_tilts() {
        for names in [
            ["0001.tif", "0002.tif", "0003.tif"],
            ["view_12.tif", "view_13.tif", "view_9.tif"],
            ["view-001.tif", "view-002.tif", "view-003.tif"],
            ["tilt_001.tif", "tilt_002.tif", "tilt_003.tif"],
            ["a_520.0eV.tif", "a_520.5eV.tif", "a_521.0eV.tif"],
            ["a_Oct08_07.46.46.tif", "a_Oct08_07.47.46.tif", "a_Oct08_07.48.46.tif"],
            ["2024-05-01.tif", "2024-05-02.tif", "2024-05-03.tif"],
            ["energy_12.5.tif", "energy_13.5.tif", "energy_14.5.tif"],
            ["a_-500.tif", "a_0.tif", "a_500.tif"],
        ] {
            assert_eq!(angles(&names), [0.0; 0], "{names:?}");
        }
        let unclear = ordered(["a_-1_-5.tif", "a_0_-6.tif", "a_1_-7.tif"].map(PathBuf::from).to_vec());
        assert!(unclear.angles_deg.is_empty() && unclear.said.unwrap().contains("several numbers"));
    }

    #[test]
    fn flats_and_darks_are_told_by_whole_words() {
        for (name, role) in [
            ("ref_001.tif", PictureRole::Flat),
            ("Flat_3.png", PictureRole::Flat),
            ("tomo_FlatField0001.tif", PictureRole::Flat),
            ("dark-12.tif", PictureRole::Dark),
            ("DARK.tif", PictureRole::Dark),
            ("bg_1.tif", PictureRole::Flat),
            ("sample_001.tif", PictureRole::View),
            ("reflection_001.tif", PictureRole::View),
            ("darkroom_001.tif", PictureRole::View),
            ("i_001.tif", PictureRole::View),
        ] {
            assert_eq!(role_of(Path::new(name)), role, "{name}");
        }
    }
}
