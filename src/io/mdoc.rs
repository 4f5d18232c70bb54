//! SerialEM's .mdoc beside a stack: for each section its tilt, when it was taken, for how long and with what dose.
//!
//! Text of `Key = value` lines, in parts that begin with `[ZValue = 12]`; the number is that of the section, the order of
//! the parts is free. `PixelSpacing` is the pixel in Å of the picture as saved, binned as it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::beside;
use super::format::{Header, Kind};

/// Largest file that is read; a thousand sections take half a MB.
const MAX_BYTES: u64 = 64 << 20;
/// Most that two pixel sizes of one file may differ by, as a fraction.
const PIXEL_TOLERANCE: f64 = 0.01;

/// What an .mdoc says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Mdoc {
    /// Where it was read.
    pub(crate) path: PathBuf,
    /// Titles, in order.
    titles: Vec<String>,
    /// Keys that stand before the first part.
    whole: BTreeMap<String, String>,
    /// The parts by the number of their section.
    sections: BTreeMap<usize, BTreeMap<String, String>>,
    /// Numbers that stand over more than one part.
    doubled: Vec<usize>,
}

/// The .mdoc beside a file: `NAME.EXT.mdoc`, else `NAME.mdoc`; an unreadable one becomes a sentence.
pub(crate) fn beside(path: &Path) -> Option<Result<Mdoc, String>> {
    let names = beside::names(path);
    let candidates = names
        .iter()
        .map(|name| beside::with_suffix(name, ".mdoc"))
        .chain(names.iter().map(|name| name.with_extension("mdoc")));
    let found = candidates.into_iter().find(|candidate| candidate.is_file())?;
    Some(read(&found).map_err(|problem| format!("{} was left aside: {problem}", name_of(&found))))
}

fn read(path: &Path) -> Result<Mdoc, String> {
    let n_bytes = fs::metadata(path).map_err(|e| e.to_string())?.len();
    if n_bytes > MAX_BYTES {
        return Err(format!("{n_bytes} bytes are too many for an .mdoc"));
    }
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    Ok(Mdoc { path: path.to_owned(), ..parse(&String::from_utf8_lossy(&bytes)) })
}

/// Parses the text of an .mdoc; lines that make no sense are skipped.
pub(crate) fn parse(text: &str) -> Mdoc {
    let mut mdoc = Mdoc::default();
    // The part that lines belong to: none before the first, or of a kind that is not read (frame sets).
    let (mut section, mut before) = (None, true);
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
        if let Some(inside) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (key, value) = inside.split_once('=').unwrap_or((inside, ""));
            match key.trim() {
                "T" => mdoc.titles.push(value.trim().to_owned()),
                "ZValue" => {
                    (section, before) = (value.trim().parse::<usize>().ok(), false);
                    if let Some(z) = section
                        && mdoc.sections.insert(z, BTreeMap::new()).is_some()
                    {
                        mdoc.doubled.push(z);
                    }
                }
                _ => (section, before) = (None, false),
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        if key == "T" {
            mdoc.titles.push(value);
        } else if let Some(keys) = section.and_then(|z| mdoc.sections.get_mut(&z)) {
            keys.insert(key, value);
        } else if before {
            mdoc.whole.insert(key, value);
        }
    }
    mdoc
}

impl Mdoc {
    /// Its name, for messages.
    pub(crate) fn name(&self) -> String {
        name_of(&self.path)
    }

    /// A number of each of the first `n` sections; `None` where one lacks it.
    fn numbers(&self, n: usize, key: &str) -> Option<Vec<f64>> {
        (0..n).map(|z| first_number(self.sections.get(&z)?.get(key)?)).collect()
    }

    /// Tilts in degrees of the first `n` sections; the sentence where some of them are missing; `None` where there are none.
    ///
    /// `n_missing` sections may follow that are not in the stack yet.
    pub(crate) fn tilts(&self, n: usize, n_missing: usize) -> Option<Result<Vec<f64>, String>> {
        let has = |z: &usize| self.sections.get(z).is_some_and(|keys| keys.contains_key("TiltAngle"));
        if n == 0 || !(0..n).any(|z| has(&z)) {
            return None;
        }
        let n_described = self.sections.keys().next_back().map_or(0, |last| last + 1);
        if n_described > n + n_missing {
            return Some(Err(format!(
                "{} describes {n_described} sections, the stack has {n}: its tilts were left aside, as nobody knows of which views they are",
                self.name()
            )));
        }
        if let Some(tilts) = self.numbers(n, "TiltAngle") {
            // One angle throughout is that of a single picture in pieces or frames.
            return tilts.iter().any(|tilt| *tilt != tilts[0]).then_some(Ok(tilts));
        }
        let lacking: Vec<usize> = (0..n).filter(|z| !has(z)).collect();
        Some(Err(format!(
            "{} has no tilt for {} of {n} sections ({}): its tilts were left aside",
            self.name(),
            lacking.len().max(1),
            listed(&lacking)
        )))
    }

    /// Seconds since some day at which each of the first `n` sections was taken.
    pub(crate) fn seconds(&self, n: usize) -> Option<Vec<i64>> {
        (0..n).map(|z| seconds_of(self.sections.get(&z)?.get("DateTime")?)).collect()
    }

    /// Exposure in s of each of the first `n` sections.
    fn exposure_s(&self, n: usize) -> Option<Vec<f64>> {
        self.numbers(n, "ExposureTime").filter(|times| times.iter().all(|t| *t > 0.0))
    }

    /// Pixel size in µm of the stack.
    fn pixel_um(&self) -> Option<f64> {
        let of_first = || self.sections.values().find_map(|keys| keys.get("PixelSpacing"));
        let angstrom = first_number(self.whole.get("PixelSpacing").or_else(of_first)?)?;
        (angstrom > 0.0).then(|| format!("{:.6e}", angstrom / 1e4).parse().ok())?
    }

    /// Columns and rows of the pictures.
    fn image_size(&self) -> Option<[usize; 2]> {
        let mut words = self.whole.get("ImageSize")?.split_whitespace().map(|word| word.parse().ok());
        Some([words.next()??, words.next()??])
    }

    /// Lets the header of the stack say what the .mdoc says: pixel size where it has none, dates and doses as metadata.
    pub(crate) fn apply(&self, header: &mut Header) {
        let [n, rows, cols] = header.shape;
        let name = self.name();
        header.metadata.insert("mdoc".to_owned(), name.clone());
        if let Some([x, y]) = self.image_size()
            && [x, y] != [cols, rows]
        {
            header.warnings.push(format!(
                "{name} is of pictures of {x} × {y} pixels, the stack has {cols} × {rows}: its pixel size was left aside"
            ));
        } else if let Some(pixel_um) = self.pixel_um() {
            apply_pixel(header, pixel_um, &name);
        }
        self.apply_sections(header, n);
        if matches!(self.tilts(n, header.missing_planes), Some(Ok(_))) && header.kind == Kind::Volume {
            header.kind = Kind::Scan;
        }
    }

    fn apply_sections(&self, header: &mut Header, n: usize) {
        for (key, entry) in [("exposure_s", "ExposureTime"), ("exposure_dose", "ExposureDose")] {
            if let Some(values) = self.numbers(n, entry).filter(|values| values.iter().any(|v| *v != 0.0)) {
                header.metadata.insert(key.to_owned(), short(&values));
            }
        }
        if let Some(times) = self.exposure_s(n) {
            let (low, high) = times.iter().fold((f64::MAX, 0.0f64), |(lo, hi), t| (lo.min(*t), hi.max(*t)));
            if high > low * (1.0 + PIXEL_TOLERANCE) {
                header.warnings.push(format!(
                    "the exposure goes from {low} to {high} s ({}); values were not scaled by it",
                    self.name()
                ));
            }
        }
        for (key, entry) in [("acquired_first", "DateTime"), ("tilt_axis_deg", "")] {
            let value = if entry.is_empty() { self.tilt_axis() } else { self.first(entry) };
            if let Some(value) = value {
                header.metadata.insert(key.to_owned(), value);
            }
        }
        header.warnings.extend(self.warnings(n));
    }

    /// A value of the first section.
    fn first(&self, key: &str) -> Option<String> {
        self.sections.values().next()?.get(key).cloned()
    }

    /// The direction of the tilt axis in degrees, from the titles.
    fn tilt_axis(&self) -> Option<String> {
        let title = self.titles.iter().find_map(|title| title.split_once("Tilt axis angle ="))?;
        let word = title.1.trim_start().split([',', ' ']).next()?;
        word.parse::<f64>().ok().filter(|a| a.is_finite()).map(|angle| angle.to_string())
    }

    /// What the user has to know about its parts.
    fn warnings(&self, n: usize) -> Vec<String> {
        let mut said = Vec::new();
        let place = |keys: &BTreeMap<String, String>| {
            keys.get("PieceCoordinates")?.split_whitespace().nth(2)?.parse::<i64>().ok()
        };
        let pieces: Vec<i64> = self.sections.values().filter_map(place).collect();
        let mut sections = pieces.clone();
        sections.sort_unstable();
        sections.dedup();
        if sections.len() < pieces.len() && !pieces.is_empty() {
            said.push(format!(
                "a montage: {} pieces of {} larger pictures, read piece by piece and not put together (IMOD's blendmont does that)",
                pieces.len(),
                sections.len()
            ));
        }
        if !self.doubled.is_empty() {
            said.push(format!(
                "{} describes sections more than once ({}): the last was taken",
                self.name(),
                listed(&self.doubled)
            ));
        }
        let lacking: Vec<usize> = (0..n).filter(|z| !self.sections.contains_key(z)).collect();
        if !self.sections.is_empty() && !lacking.is_empty() {
            said.push(format!(
                "{} has nothing about {} of {n} sections ({})",
                self.name(),
                lacking.len(),
                listed(&lacking)
            ));
        }
        said
    }
}

fn apply_pixel(header: &mut Header, pixel_um: f64, name: &str) {
    match header.voxel_um {
        None => {
            header.voxel_um = Some([pixel_um; 3]);
            header.warnings.push(format!("pixel size {pixel_um} µm taken from {name}, the file itself has none"));
        }
        Some([_, _, x]) if (x / pixel_um - 1.0).abs() > PIXEL_TOLERANCE => header.warnings.push(format!(
            "the pixel size is {x} µm in the file and {pixel_um} µm in {name}: that of the file was used (--pixel-size changes it)"
        )),
        Some(_) => {}
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The first number of a value.
fn first_number(value: &str) -> Option<f64> {
    value.split_whitespace().next()?.parse().ok().filter(|v: &f64| v.is_finite())
}

/// Some numbers as text: one where all are the same.
fn short(values: &[f64]) -> String {
    if values.iter().all(|v| *v == values[0]) {
        return values[0].to_string();
    }
    values.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
}

/// Some numbers of sections, the first few.
pub(crate) fn listed(sections: &[usize]) -> String {
    let shown: Vec<String> = sections.iter().take(5).map(usize::to_string).collect();
    let more = if sections.len() > 5 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Seconds of a date such as `30-Nov-15  15:21:38` or `30-Nov-2015 15:21:38`, counted from the year 0.
fn seconds_of(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let mut words = text.split_whitespace();
    let (date, time) = (words.next()?, words.next()?);
    let mut parts = date.split('-');
    let (first, month, last) = (parts.next()?, parts.next()?.to_ascii_lowercase(), parts.next()?);
    let month = match MONTHS.iter().position(|name| month.starts_with(name)) {
        Some(month) => i64::try_from(month).ok()? + 1,
        None => month.parse().ok().filter(|m| (1..=12).contains(m))?,
    };
    // The year first where it has four digits.
    let (day, year) = if first.len() == 4 { (last, first) } else { (first, last) };
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    if !(1..=31).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    let year = if year < 100 { 2000 + year } else { year };
    let mut clock = time.split(':').map(|part| part.parse::<f64>().ok().filter(|v| (0.0..=60.0).contains(v)));
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next().unwrap_or(Some(0.0))?);
    // Days of the civil calendar; a year begins in March, so that leap days come last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1;
    #[expect(clippy::cast_possible_truncation, reason = "a clock has 86 400 seconds")]
    let of_day = (hours * 3600.0 + minutes * 60.0 + seconds) as i64;
    Some(days * 86_400 + of_day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "PixelSpacing = 5.4\r\nImageFile = TS_01.mrc\r\nImageSize = 924 958\r\n\r\n[T = SerialEM: somewhere]\r\n[T =     Tilt axis angle = 85.3, binning = 4  spot = 8  camera = 2]\r\n\r\n[ZValue = 1]\r\nTiltAngle = 3.00113\r\nExposureTime = 0.8\r\nExposureDose = 1.5\r\nDateTime = 30-Nov-15  15:22:37\r\n\r\n[ZValue = 0]\r\nTiltAngle = 0.000999877\r\nExposureTime = 0.8\r\nExposureDose = 1.5\r\nDateTime = 30-Nov-15  15:21:38\r\n\r\n[ZValue = 2]\r\nTiltAngle = -2.99863\r\nExposureTime = 1.6\r\nExposureDose = 3\r\nDateTime = 01-Dec-2015  00:00:01\r\n";

    #[test]
    fn parts_belong_to_the_section_that_they_name() {
        let mdoc = parse(TEXT);
        assert_eq!(mdoc.tilts(3, 0).unwrap().unwrap(), [0.000999877, 3.00113, -2.99863]);
        assert_eq!(mdoc.pixel_um(), Some(5.4e-4));
        assert_eq!(mdoc.tilt_axis().as_deref(), Some("85.3"));
        let seconds = mdoc.seconds(3).unwrap();
        assert_eq!(seconds[1] - seconds[0], 59);
        assert_eq!(seconds[2] - seconds[0], 8 * 3600 + 38 * 60 + 23);
        assert!(mdoc.tilts(4, 0).unwrap().unwrap_err().contains("no tilt for 1 of 4 sections (3)"));
        assert_eq!(mdoc.tilts(2, 1).unwrap().unwrap(), [0.000999877, 3.00113], "the third is still to come");
        assert!(mdoc.tilts(2, 0).unwrap().unwrap_err().contains("describes 3 sections, the stack has 2"));
    }

    #[test]
    fn the_header_gets_what_it_lacks_and_disagreement_is_said() {
        let mut header = Header::new("MRC", [3, 958, 924], crate::io::Dtype::I16);
        parse(TEXT).apply(&mut header);
        assert_eq!(header.voxel_um, Some([5.4e-4; 3]));
        assert_eq!(header.metadata["exposure_s"], "0.8 0.8 1.6");
        assert_eq!(header.metadata["tilt_axis_deg"], "85.3");
        assert!(
            header.warnings.iter().any(|w| w.contains("exposure goes from 0.8 to 1.6 s")),
            "{:?}",
            header.warnings
        );
        let mut other = Header::new("MRC", [3, 958, 924], crate::io::Dtype::I16);
        other.voxel_um = Some([1e-3; 3]);
        parse(TEXT).apply(&mut other);
        assert_eq!(other.voxel_um, Some([1e-3; 3]));
        assert!(other.warnings.iter().any(|w| w.contains("0.00054 µm")), "{:?}", other.warnings);
        let mut binned = Header::new("MRC", [3, 479, 462], crate::io::Dtype::I16);
        parse(TEXT).apply(&mut binned);
        assert_eq!(binned.voxel_um, None);
    }

    #[test]
    fn dates_of_several_kinds_are_read() {
        let a = seconds_of("29-Feb-24 23:59:59").unwrap();
        assert_eq!(seconds_of("01-Mar-24 00:00:00").unwrap() - a, 1);
        assert_eq!(seconds_of("2024-Feb-29 23:59:59"), Some(a));
        assert_eq!(seconds_of("2024-02-29 23:59:59"), Some(a));
        for text in ["", "yesterday", "40-Feb-24 1:1:1", "1-Foo-24 1:1:1", "1-Jan-24 99:00:00"] {
            assert_eq!(seconds_of(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn mutated_texts_never_panic(changes in prop::collection::vec((0usize..700, any::<u8>()), 1..20)) {
            let mut bytes = TEXT.as_bytes().to_vec();
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            let mut header = Header::new("MRC", [3, 958, 924], crate::io::Dtype::I16);
            let mdoc = parse(&String::from_utf8_lossy(&bytes));
            mdoc.apply(&mut header);
            drop((mdoc.seconds(3), mdoc.tilts(3, 0)));
        }
    }
}
