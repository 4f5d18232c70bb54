//! Landmark pairs as CSV and transforms as JSON.

use std::path::Path;

use super::error::IoError;
use super::text::{read_text, write_json, write_text};
use crate::volume::landmarks::{Landmark, Transform};

const HEADER: [&str; 8] =
    ["name", "moving_x_um", "moving_y_um", "moving_z_um", "fixed_x_um", "fixed_y_um", "fixed_z_um", "used"];

/// Reads landmark pairs; columns are found by name, `used` may be missing.
///
/// # Errors
/// [`IoError`] that names the column or the line.
pub fn read_landmarks(path: &Path) -> Result<Vec<Landmark>, IoError> {
    let text = read_text(path)?;
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| IoError::content(path, e.to_string()))?.clone();
    let column = |name: &str| header.iter().position(|found| found == name);
    let mut places = [0; 6];
    for (place, name) in places.iter_mut().zip(&HEADER[1..7]) {
        *place = column(name).ok_or_else(|| {
            IoError::content(path, format!("no column {name}; landmarks have {}", HEADER.join(",")))
        })?;
    }
    let mut landmarks = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let line = row + 2;
        let record = record.map_err(|e| IoError::content(path, format!("line {line}: {e}")))?;
        let mut um = [0.0; 6];
        for (value, place) in um.iter_mut().zip(places) {
            let word = record.get(place).unwrap_or("");
            *value = word.parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| {
                IoError::content(path, format!("line {line}: \"{word}\" is not a number of µm"))
            })?;
        }
        let used = column("used").and_then(|at| record.get(at)).unwrap_or("true");
        landmarks.push(Landmark {
            name: column("name").and_then(|at| record.get(at)).unwrap_or("").to_owned(),
            moving_um: [um[0], um[1], um[2]],
            fixed_um: [um[3], um[4], um[5]],
            used: !matches!(used.to_ascii_lowercase().as_str(), "0" | "false" | "no"),
        });
    }
    Ok(landmarks)
}

/// Writes landmark pairs.
///
/// # Errors
/// [`IoError`] where the folder does not take it.
pub fn write_landmarks(path: &Path, landmarks: &[Landmark]) -> Result<(), IoError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |e: csv::Error| IoError::content(path, e.to_string());
    writer.write_record(HEADER).map_err(failed)?;
    for landmark in landmarks {
        let mut record = vec![landmark.name.clone()];
        record.extend(landmark.moving_um.iter().chain(&landmark.fixed_um).map(f64::to_string));
        record.push(landmark.used.to_string());
        writer.write_record(&record).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|e| IoError::content(path, e.to_string()))?;
    write_text(path, &String::from_utf8_lossy(&bytes))
}

/// Reads a transform.
///
/// # Errors
/// [`IoError`] for a file that is no transform of this program, or numbers that are not finite.
pub fn read_transform(path: &Path) -> Result<Transform, IoError> {
    let transform: Transform = serde_json::from_str(&read_text(path)?)
        .map_err(|e| IoError::content(path, format!("not a transform of this program: {e}")))?;
    match transform.problem() {
        Some(problem) => Err(IoError::content(path, problem)),
        None => Ok(transform),
    }
}

/// Writes a transform.
///
/// # Errors
/// [`IoError`] where the folder does not take it.
pub fn write_transform(path: &Path, transform: &Transform) -> Result<(), IoError> {
    write_json(path, transform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn landmarks_round_trip_and_bad_lines_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l.csv");
        let landmarks = vec![Landmark {
            name: "bead, left".to_owned(),
            moving_um: [1.0, 2.5, -3.0],
            fixed_um: [0.1, 0.2, 0.3],
            used: false,
        }];
        write_landmarks(&path, &landmarks).unwrap();
        assert_eq!(read_landmarks(&path).unwrap(), landmarks);
        std::fs::write(&path, format!("{}\na,1,2,x,4,5,6,1\n", HEADER.join(","))).unwrap();
        let text = read_landmarks(&path).unwrap_err().to_string();
        assert!(text.contains("line 2") && text.contains("\"x\""), "{text}");
        std::fs::write(&path, "name,x\n").unwrap();
        assert!(read_landmarks(&path).unwrap_err().to_string().contains("moving_x_um"));
    }
}
