//! Which pictures of a folder are views, flats and darks, by the words of their names.

use std::path::Path;

use super::names::stem;

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

#[cfg(test)]
mod tests {
    use super::*;

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
