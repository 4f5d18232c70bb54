//! Numbers that stand at the same place of all names, and which of them are like tilts.

use super::numbers::{Number, Signs, numbers};

/// One number of the same place of every name.
#[derive(Debug, Clone)]
pub(super) struct Field {
    numbers: Vec<Number>,
    signs: Signs,
    /// How many numbers stand before it, counted from the front; `None` where it is counted from the back.
    pub(super) place: Option<usize>,
}

/// The numbers that stand at the same place of all names, counted from the front and from the back.
pub(super) fn fields(stems: &[String], signs: Signs) -> Vec<Field> {
    let names: Vec<Vec<Number>> = stems.iter().map(|stem| numbers(stem, signs)).collect();
    let shortest = names.iter().map(Vec::len).min().unwrap_or(0);
    let longest = names.iter().map(Vec::len).max().unwrap_or(0);
    let at = |at: Option<usize>, place: &dyn Fn(&[Number]) -> Option<&Number>| {
        let numbers: Vec<Number> = names.iter().filter_map(|name| place(name).cloned()).collect();
        let same = numbers.len() == names.len() && numbers.iter().all(|n| n.before == numbers[0].before);
        same.then_some(Field { numbers, signs, place: at })
    };
    let mut found: Vec<Field> = (0..shortest).map_while(|i| at(Some(i), &|name| name.get(i))).collect();
    if shortest < longest || found.len() < shortest {
        found.extend(
            (1..=shortest)
                .map_while(|i| at(None, &|name| name.len().checked_sub(i).and_then(|i| name.get(i)))),
        );
    }
    found
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
    pub(super) fn values(&self) -> Vec<f64> {
        self.numbers.iter().map(|number| number.value).collect()
    }

    /// What may be a hyphen or a letter is a sign only where some names have it and others not.
    fn is_mixed(&self) -> bool {
        let is_minus = |n: &Number| n.has_sign && n.value.is_sign_negative();
        self.numbers.iter().any(is_minus) && !self.numbers.iter().all(is_minus)
    }

    /// Whether the natural order of names may not be that of these numbers: they have signs or decimals.
    pub(super) fn is_ranked(&self) -> bool {
        let values = self.values();
        let is_plain = |n: &Number| !n.is_dotted && n.value.is_finite();
        let varies = values.iter().any(|value| *value != values[0]);
        let is_apart = |n: &Number| n.has_decimals || n.has_sign && n.value.is_sign_negative();
        let is_signed =
            if self.signs == Signs::Apart { self.numbers.iter().any(is_apart) } else { self.is_mixed() };
        varies && self.numbers.iter().all(is_plain) && is_signed
    }

    /// Whether a p was taken for the point.
    pub(super) fn has_p(&self) -> bool {
        self.numbers.iter().any(|n| n.has_p)
    }

    /// How much the field is like tilts: 0 not at all, 4 where the names say degrees.
    pub(super) fn likeness(&self) -> u8 {
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
        if self.signs != Signs::Apart && !self.is_mixed() {
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
