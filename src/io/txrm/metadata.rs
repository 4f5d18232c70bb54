//! Everything else that a TXRM says, as text under readable names.

use std::collections::BTreeMap;

use super::about::About;
use super::ole::Ole;
use super::shifts;
use super::streams::{Counts, bytes, float, int, latin, listed, per_image, text};

/// What a stream holds.
#[derive(Clone, Copy)]
enum Holds {
    Int,
    Float,
    PerImage,
    Text,
}

/// Streams that are passed on, with the name that the user sees.
const STREAMS: [(&str, &str, Holds); 42] = [
    ("Version", "file_version", Holds::Float),
    ("exeVersion", "program_version", Holds::Text),
    ("ImageInfo/NoOfImages", "images_planned", Holds::Int),
    ("ImageInfo/ImagesTaken", "images_taken", Holds::Int),
    ("ImageInfo/NoOfImagesAveraged", "frames_averaged", Holds::Int),
    ("ImageInfo/AcquisitionMode", "acquisition_mode", Holds::Int),
    ("ImageInfo/HorizontalBin", "binning_x", Holds::Int),
    ("ImageInfo/VerticalalBin", "binning_y", Holds::Int),
    ("ImageInfo/CameraBinning", "camera_binning", Holds::Int),
    ("ImageInfo/CamPixelSize", "camera_pixel_um", Holds::Float),
    ("ImageInfo/CameraName", "camera", Holds::Text),
    ("ImageInfo/ObjectiveName", "objective", Holds::Text),
    ("ImageInfo/XrayMagnification", "xray_magnification", Holds::PerImage),
    ("ImageInfo/OpticalMagnification", "optical_magnification", Holds::PerImage),
    ("ImageInfo/ZonePlateName", "zone_plate", Holds::Text),
    ("ImageInfo/ZonePlateSerial", "zone_plate_serial", Holds::Text),
    ("ImageInfo/XPosition", "x_position_um", Holds::PerImage),
    ("ImageInfo/YPosition", "y_position_um", Holds::PerImage),
    ("ImageInfo/ZPosition", "z_position_um", Holds::PerImage),
    ("ImageInfo/ExpTimes", "exposure_s", Holds::PerImage),
    ("ImageInfo/ExpTime", "exposure_s", Holds::PerImage),
    ("ImageInfo/IonChamberCurrent", "ion_chamber_current", Holds::PerImage),
    ("ImageInfo/XrayCurrent", "source_current", Holds::PerImage),
    ("ImageInfo/Voltage", "source_voltage", Holds::Float),
    ("ImageInfo/StoRADistance", "source_to_axis", Holds::PerImage),
    ("ImageInfo/DtoRADistance", "detector_to_axis", Holds::PerImage),
    ("ImageInfo/ConeAngle", "cone_angle_deg", Holds::Float),
    ("ImageInfo/ReferenceFile", "reference_file", Holds::Text),
    ("ReferenceData/ExpTime", "reference_exposure_s", Holds::Float),
    ("ReferenceData/IonCurrent", "reference_ion_chamber_current", Holds::Float),
    ("SampleInfo/SampleID", "sample", Holds::Text),
    ("SampleInfo/Analyst", "analyst", Holds::Text),
    ("SampleInfo/Facility", "facility", Holds::Text),
    ("SampleInfo/ProcessInfo", "process", Holds::Text),
    ("AutoRecon/CenterShift", "recon_center_shift_px", Holds::Float),
    ("ReconSettings/CenterShift", "recon_center_shift_px", Holds::Float),
    ("AutoRecon/RotationAngle", "recon_rotation_deg", Holds::Float),
    ("AutoRecon/ReconBinning", "recon_binning", Holds::Int),
    ("AutoRecon/GlobalMin", "recon_min", Holds::Float),
    ("AutoRecon/GlobalMax", "recon_max", Holds::Float),
    ("GlobalMinMax/GlobalMin", "recon_min", Holds::Float),
    ("GlobalMinMax/GlobalMax", "recon_max", Holds::Float),
];

/// Most images whose values are listed one by one.
const MOST_LISTED: usize = 4000;

/// Reads what is passed on as text.
pub(super) fn read(ole: &mut Ole, about: &About) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let counts = about.counts;
    for (path, key, holds) in STREAMS {
        let value = match holds {
            Holds::Int => int(ole, path).map(|n| n.to_string()),
            Holds::Float => float(ole, path).map(|v| listed(&[v])),
            Holds::Text => text(ole, path),
            Holds::PerImage => {
                Some(per_image(ole, path, counts)).filter(|v| !v.is_empty()).map(|v| shown(&v))
            }
        };
        if let Some(value) = value {
            found.entry(key.to_owned()).or_insert(value);
        }
    }
    found.insert(
        "rows".to_owned(),
        "stored from the bottom up, flipped once on reading: row 0 is the top".to_owned(),
    );
    if about.energies_ev.iter().any(|v| Some(v) != about.energies_ev.first()) {
        found.insert("energies_ev".to_owned(), shown(&about.energies_ev));
    }
    for axis in &about.axes {
        found.insert(
            format!("axis {}", axis.name),
            format!("{} {}", shown(&axis.values), axis.unit).trim().to_owned(),
        );
    }
    if let Some((name, values)) = &about.beam {
        found.insert("beam_monitor".to_owned(), format!("{name}: {}", shown(values)));
    }
    if let Some(mosaic) = about.mosaic {
        let [_, rows, cols] = about.shape();
        let layout = format!(
            "{} rows, {} columns of tiles of {} × {} pixels; the first tile is at the lower left",
            mosaic.rows,
            mosaic.cols,
            rows / mosaic.rows,
            cols / mosaic.cols
        );
        found.insert("mosaic".to_owned(), layout);
    }
    insert_dates(&mut found, &dates(ole, counts));
    shifts::describe(ole, counts, &mut found);
    found
}

fn shown(values: &[f64]) -> String {
    if values.len() <= MOST_LISTED {
        return listed(values);
    }
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    format!("{low} to {high}")
}

/// When each image was taken, as the file has it: month/day/year and the time; empty where that is not recorded.
pub(super) fn dates(ole: &mut Ole, counts: Counts) -> Vec<String> {
    let raw = bytes(ole, "ImageInfo/Date").unwrap_or_default();
    // 40 bytes an image in all files seen; a whole share where another writer took others.
    let share =
        |n: usize| (n > 0 && raw.len().is_multiple_of(n)).then(|| raw.len() / n).filter(|width| *width >= 17);
    let usual =
        Some(40).filter(|width| raw.len().is_multiple_of(*width) && raw.len() / width >= counts.there);
    let Some(width) = usual.or_else(|| share(counts.there)).or_else(|| share(counts.planned)) else {
        return Vec::new();
    };
    raw.chunks(width).take(counts.there).map(latin).collect()
}

/// A date of the file as year-month-day and time, which sorts; `None` where it is not of that kind.
pub(super) fn iso(date: &str) -> Option<String> {
    let (day, time) = date.split_once(' ')?;
    let mut parts = day.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    let is_number = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let is_time = time.len() >= 8 && time.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
    let year = match year.len() {
        2 => format!("20{year}"),
        _ => year.to_owned(),
    };
    (is_number(month, 2) && is_number(day, 2) && is_number(&year, 4) && is_time)
        .then(|| format!("{year}-{month}-{day} {time}"))
}

fn insert_dates(found: &mut BTreeMap<String, String>, dates: &[String]) {
    if dates.iter().all(String::is_empty) {
        return;
    }
    found.insert("dates".to_owned(), dates.iter().take(MOST_LISTED).cloned().collect::<Vec<_>>().join("; "));
    for (key, date) in [("date_first", dates.first()), ("date_last", dates.last())] {
        if let Some(date) = date.and_then(|date| iso(date)) {
            found.insert(key.to_owned(), date);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn dates_of_both_versions_sort_as_text() {
        assert_eq!(iso("11/09/15 18:19:21").as_deref(), Some("2015-11-09 18:19:21"));
        assert_eq!(iso("11/09/2015 18:19:21.50").as_deref(), Some("2015-11-09 18:19:21.50"));
        assert_eq!(iso("yesterday"), None);
        assert_eq!(iso("1/2/3 4"), None);
    }
}
