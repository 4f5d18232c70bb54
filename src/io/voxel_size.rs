//! A voxel size as people say it: `0.01`, `10nm`, `0.03,0.02,0.01` (z, y, x), µm where no unit is named.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::lengths::um_per;

/// Smallest and largest edge that is believed, in µm: a hundredth of an Ångström, and a metre.
const BELIEVED_UM: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

/// Edges of a voxel in µm as z, y, x; each a number above 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VoxelSize([f64; 3]);

// Its numbers are never NaN.
impl Eq for VoxelSize {}

impl VoxelSize {
    /// A size of these edges in µm as z, y, x.
    ///
    /// # Errors
    /// A sentence for an edge of 0, one that is not finite, or beyond what is believed.
    pub fn new(edges_um: [f64; 3]) -> Result<Self, String> {
        match edges_um.iter().find(|edge| !BELIEVED_UM.contains(edge)) {
            Some(edge) => Err(format!("a voxel size of {edge} µm; edges from 1e-6 to 1e6 µm are taken")),
            None => Ok(Self(edges_um)),
        }
    }

    /// The edges in µm as z, y, x.
    pub fn um(self) -> [f64; 3] {
        self.0
    }
}

impl fmt::Display for VoxelSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [z, y, x] = self.0;
        if z == y && y == x { write!(f, "{x}") } else { write!(f, "{z},{y},{x}") }
    }
}

impl FromStr for VoxelSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{}\" is no voxel size; it takes one number above 0 or three (z, y, x), in µm or with a unit, such as 0.01, 10nm or 0.03,0.02,0.02",
                text.chars().take(40).collect::<String>()
            )
        };
        let trimmed = text.trim();
        let numbers_end = trimmed
            .char_indices()
            .rev()
            .find(|(_, c)| c.is_ascii_digit() || *c == '.')
            .map_or(0, |(at, c)| at + c.len_utf8());
        let (numbers, unit) = trimmed.split_at(numbers_end);
        let scale = if unit.trim().is_empty() { 1.0 } else { um_per(unit).ok_or_else(wrong)? };
        let edges: Vec<f64> = numbers
            .split([',', ';', 'x', '×', ' '])
            .filter(|part| !part.is_empty())
            .map(|part| part.parse::<f64>().map(|edge| short(edge * scale)).map_err(|_e| wrong()))
            .collect::<Result<_, _>>()?;
        match edges.as_slice() {
            [edge] => Self::new([*edge; 3]),
            [z, y, x] => Self::new([*z, *y, *x]),
            _ => Err(wrong()),
        }
    }
}

/// Without the last digits that a product of decimals leaves.
fn short(value: f64) -> f64 {
    format!("{value:.12e}").parse().unwrap_or(value)
}

impl TryFrom<String> for VoxelSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<VoxelSize> for String {
    fn from(size: VoxelSize) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, um) in [
            ("0.01", [0.01; 3]),
            ("10nm", [0.01; 3]),
            (" 10 nm ", [0.01; 3]),
            ("1e-2", [0.01; 3]),
            ("0.03,0.02,0.01", [0.03, 0.02, 0.01]),
            ("30 x 20 x 10 nm", [0.03, 0.02, 0.01]),
            ("100 Å", [0.01; 3]),
        ] {
            assert_eq!(text.parse::<VoxelSize>().map(VoxelSize::um), Ok(um), "{text}");
        }
        let size: VoxelSize = "30,20,10nm".parse().unwrap();
        assert_eq!(size.to_string().parse(), Ok(size));
    }

    #[test]
    fn what_is_no_size_is_answered() {
        for text in ["", "0", "-1", "1e9", "nan", "inf", "0,01", "1,2,3,4", "10 furlongs", "px"] {
            assert!(text.parse::<VoxelSize>().is_err(), "{text}");
        }
        assert!("1e9".parse::<VoxelSize>().unwrap_err().contains("1000000000 µm"));
    }
}
