//! What the numbers in a voxel mean.
//!
//! The linear absorption coefficient (LAC) in 1/µm is the first-class quantity of this program.
//! Every volume carries its unit, and nothing rescales it silently.

use serde::{Deserialize, Serialize};

/// The unit of a volume's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Linear absorption coefficient, 1/µm.
    PerUm,
    /// Absorption per voxel: a reconstruction whose pixel size is unknown.
    PerVoxel,
    /// Detector counts.
    Counts,
    /// Transmitted fraction, 0 to 1.
    Transmission,
    /// `-ln T`, a line integral, no unit.
    Absorbance,
    /// Class or instance identifiers.
    Label,
    /// Anything else: fluorescence, scattering, density maps.
    #[default]
    Arbitrary,
}

impl Unit {
    /// The unit as files and JSON spell it, ASCII only ("1/um").
    pub fn ascii(self) -> &'static str {
        match self {
            Self::PerUm => "1/um",
            Self::PerVoxel => "1/voxel",
            Self::Counts => "counts",
            Self::Transmission => "transmission",
            Self::Absorbance => "absorbance",
            Self::Label => "label",
            Self::Arbitrary => "arbitrary",
        }
    }

    /// The unit as a person reads it ("1/µm"); empty for labels and arbitrary values.
    pub fn shown(self) -> &'static str {
        match self {
            Self::PerUm => "1/µm",
            Self::PerVoxel => "1/voxel",
            Self::Counts => "counts",
            Self::Transmission => "T",
            Self::Absorbance => "−ln T",
            Self::Label | Self::Arbitrary => "",
        }
    }

    /// The inverse of [`Unit::ascii`]; `None` for a word it never writes.
    pub fn from_ascii(text: &str) -> Option<Self> {
        [
            Self::PerUm,
            Self::PerVoxel,
            Self::Counts,
            Self::Transmission,
            Self::Absorbance,
            Self::Label,
            Self::Arbitrary,
        ]
        .into_iter()
        .find(|unit| unit.ascii() == text.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_names_round_trip() {
        for name in ["1/um", "1/voxel", "counts", "transmission", "absorbance", "label", "arbitrary"] {
            assert_eq!(Unit::from_ascii(name).map(Unit::ascii), Some(name), "{name}");
        }
        assert_eq!(Unit::from_ascii("furlong"), None);
    }
}
