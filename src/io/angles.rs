//! Tilt angles as text: .rawtlt, .tlt and `START:STEP`.
//!
//! Numbers in degrees separated by white space or commas, one or many a line, as IMOD and
//! SerialEM write them; a line that starts with `#` is a comment.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::atomic::write_atomically;
use super::error::IoError;

/// Degrees in a unit of angle, however it is spelt; `None` for what is none.
pub(crate) fn deg_per(unit: &str) -> Option<f64> {
    let unit = unit.trim().trim_matches(['[', ']', '\0']).to_lowercase();
    Some(match unit.as_str() {
        "deg" | "degree" | "degrees" | "°" | "degs" => 1.0,
        "mdeg" | "millidegree" | "millidegrees" => 1e-3,
        "rad" | "rads" | "radian" | "radians" => 1f64.to_degrees(),
        "mrad" | "milliradian" | "milliradians" => 1e-3f64.to_degrees(),
        "urad" | "µrad" | "microradian" | "microradians" => 1e-6f64.to_degrees(),
        "arcmin" | "arcminute" | "arcminutes" => 1.0 / 60.0,
        "arcsec" | "arcsecond" | "arcseconds" => 1.0 / 3600.0,
        "grad" | "gon" | "gradian" | "gradians" => 0.9,
        "rev" | "turn" | "turns" | "revolution" | "revolutions" => 360.0,
        _ => return None,
    })
}

/// Largest angle that is believed, in degrees: a hundred turns.
const MOST_DEG: f64 = 36_000.0;

/// Where the angles of a stack come from: a file, or a first angle and a step.
#[derive(Debug, Clone, PartialEq)]
pub enum AngleSource {
    /// A .rawtlt, .tlt or other text file of degrees.
    File(PathBuf),
    /// View `i` is at `start + i · step` degrees.
    Steps {
        /// Angle of the first view in degrees.
        start_deg: f64,
        /// Degrees from one view to the next.
        step_deg: f64,
    },
    /// The angles themselves, one a view in degrees.
    List(Vec<f64>),
}

impl FromStr for AngleSource {
    type Err = IoError;

    fn from_str(text: &str) -> Result<Self, IoError> {
        if let Some((start, step)) = text.split_once(':')
            && let (Ok(start_deg), Ok(step_deg)) = (start.trim().parse::<f64>(), step.trim().parse::<f64>())
        {
            if [start_deg, step_deg].iter().any(|deg| deg.is_nan() || deg.abs() > MOST_DEG) || step_deg == 0.0
            {
                return Err(IoError::scan(format!(
                    "angles {text}: START:STEP needs two numbers of degrees and a step other than 0"
                )));
            }
            return Ok(Self::Steps { start_deg, step_deg });
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}

impl AngleSource {
    /// The angles of `n_views` views, checked.
    ///
    /// # Errors
    /// [`IoError`] for an unreadable file, a wrong number of angles, or one that is not finite.
    pub fn angles(&self, n_views: usize) -> Result<Vec<f64>, IoError> {
        match self {
            Self::File(path) => {
                let angles = read_angles(path)?;
                check_count(path, angles.len(), n_views)?;
                Ok(angles)
            }
            Self::List(angles) => {
                check_count(Path::new("angles"), angles.len(), n_views)?;
                Ok(angles.clone())
            }
            Self::Steps { start_deg, step_deg } => {
                Ok((0..n_views).map(|i| start_deg + step_deg * i as f64).collect())
            }
        }
    }
}

fn check_count(path: &Path, n_angles: usize, n_views: usize) -> Result<(), IoError> {
    if n_angles == n_views {
        return Ok(());
    }
    let problem = format!(
        "{n_angles} angles for {n_views} views; trim the angle file or the stack so that they match, or pass --angles START:STEP"
    );
    Err(IoError::content(path, problem))
}

/// Longest angle file that is read; a million views are far below it.
const MAX_BYTES: u64 = 64 << 20;

/// Reads an angle file.
///
/// # Errors
/// [`IoError`] for a missing file, one that is no list of numbers, or an angle that is not finite.
pub fn read_angles(path: &Path) -> Result<Vec<f64>, IoError> {
    let bytes = fs::metadata(path).map_err(|e| IoError::system("read", path, e))?.len();
    if bytes > MAX_BYTES {
        return Err(IoError::content(path, "too large to be a list of angles"));
    }
    let raw = fs::read(path).map_err(|e| IoError::system("read", path, e))?;
    parse_angles(&raw).map_err(|problem| IoError::content(path, problem))
}

/// Angles from the bytes of an angle file, or what is wrong with them.
pub(crate) fn parse_angles(raw: &[u8]) -> Result<Vec<f64>, String> {
    let Ok(text) = std::str::from_utf8(raw) else {
        return Err("not a list of angles: the file is not text".to_owned());
    };
    let mut angles = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        for word in line.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty()) {
            let shown: String = word.chars().take(20).collect();
            match word.parse::<f64>() {
                Ok(angle) if angle.abs() <= MOST_DEG => angles.push(angle),
                Ok(angle) if angle.is_finite() => {
                    return Err(format!("line {}: {shown} is no angle of a tilt in degrees", number + 1));
                }
                Ok(_) => return Err(format!("line {}: the angle \"{shown}\" is not finite", number + 1)),
                Err(_) => return Err(format!("line {}: \"{shown}\" is not an angle in degrees", number + 1)),
            }
        }
    }
    if angles.is_empty() { Err("the file holds no angles".to_owned()) } else { Ok(angles) }
}

/// Writes one angle a line, in degrees, with as many digits as the numbers need (two at least).
///
/// # Errors
/// [`IoError`] where the file cannot be created.
pub fn write_angles(path: &Path, angles_deg: &[f64]) -> Result<(), IoError> {
    let lines: String = angles_deg
        .iter()
        .map(|angle| {
            let short = format!("{angle:.2}");
            if short.parse() == Ok(*angle) { format!("{short}\n") } else { format!("{angle}\n") }
        })
        .collect();
    write_atomically(path, |temporary| {
        fs::write(temporary, lines).map_err(|e| IoError::system("write", temporary, e))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_layouts_of_an_angle_file_are_read() {
        for text in [
            "-60\n0.5\n60.25\n",
            " -60.00 0.5\t60.25",
            "# tilt\r\n-60,0.5\r\n60.25\r\n",
            "\u{feff}-6e1 .5 60.25",
        ] {
            assert_eq!(parse_angles(text.as_bytes()).unwrap(), [-60.0, 0.5, 60.25], "{text:?}");
        }
    }

    #[test]
    fn units_of_angle_are_known() {
        let close = |unit: &str, deg: f64| (deg_per(unit).unwrap() / deg - 1.0).abs() < 1e-12;
        assert!(close("Degrees", 1.0) && close("[rad]", 180.0 / std::f64::consts::PI) && close("mdeg", 1e-3));
        assert_eq!(deg_per("mm"), None);
    }

    #[test]
    fn what_is_no_angle_is_named_with_its_line() {
        for (text, part) in [
            (&b"1\n2\nNaN\n"[..], "line 3"),
            (b"1\ninf", "not finite"),
            (b"1\n1e300", "line 2: 1e300 is no angle"),
            (b"one two", "\"one\""),
            (b"  \n", "no angles"),
            (b"\xff\xfe\x00", "not text"),
        ] {
            let problem = parse_angles(text).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn wrong_count_names_both_numbers_and_steps_count_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rawtlt");
        write_angles(&path, &[-1.5, 0.0, 1.0 / 3.0]).unwrap();
        let source: AngleSource = path.to_str().unwrap().parse().unwrap();
        assert_eq!(source.angles(3).unwrap(), [-1.5, 0.0, 1.0 / 3.0]);
        let text = source.angles(4).unwrap_err().to_string();
        assert!(text.contains("3 angles for 4 views"), "{text}");
        let steps: AngleSource = "-60:0.5".parse().unwrap();
        assert_eq!(steps.angles(3).unwrap(), [-60.0, -59.5, -59.0]);
        assert!("0:0".parse::<AngleSource>().is_err());
        assert!("0:nan".parse::<AngleSource>().is_err());
        assert!("0:1e300".parse::<AngleSource>().is_err());
    }
}
