//! Colour maps: from a value in its window, 0 to 1, to sRGB.
//!
//! viridis, magma and cividis (Smith, van der Walt, Nuñez et al.; CC0) and batlow (Crameri, MIT)
//! are perceptually uniform and readable for colour-blind people. They are kept as evenly spaced
//! control points of the published 256-entry tables, joined linearly: at most 3/255 off a channel.

use serde::{Deserialize, Serialize};

/// Entries of a table.
pub const TABLE_LEN: usize = 256;

/// A colour map by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColorMap {
    /// Black to white: the map of tomograms.
    #[default]
    Grey,
    /// White to black: dense is dark, as in a micrograph.
    GreyInverted,
    /// Dark blue over green to yellow.
    Viridis,
    /// Black over violet to cream.
    Magma,
    /// Blue to yellow, the same for all kinds of colour vision.
    Cividis,
    /// Dark blue over green and ochre to pink.
    Batlow,
    /// Black to red, for fluorescence.
    Red,
    /// Black to green, for fluorescence.
    Green,
    /// Black to blue, for fluorescence.
    Blue,
    /// Black to cyan, for fluorescence.
    Cyan,
    /// Black to magenta, for fluorescence.
    Magenta,
    /// Black to yellow, for fluorescence.
    Yellow,
    /// Clear to orange: how unsure a result is. The only map with transparency.
    Uncertainty,
}

const VIRIDIS: [u32; 52] = [
    0x440154, 0x46085c, 0x471063, 0x481769, 0x481d6f, 0x482475, 0x472a7a, 0x46307e, 0x453781, 0x433d84,
    0x414287, 0x3f4889, 0x3d4e8a, 0x3a538b, 0x38598c, 0x355e8d, 0x33638d, 0x31688e, 0x2e6d8e, 0x2c718e,
    0x2a768e, 0x297b8e, 0x27808e, 0x25848e, 0x23898e, 0x218e8d, 0x20928c, 0x1f978b, 0x1e9c89, 0x1fa188,
    0x21a585, 0x24aa83, 0x28ae80, 0x2eb37c, 0x35b779, 0x3dbc74, 0x46c06f, 0x50c46a, 0x5ac864, 0x65cb5e,
    0x70cf57, 0x7cd250, 0x89d548, 0x95d840, 0xa2da37, 0xb0dd2f, 0xbddf26, 0xcae11f, 0xd8e219, 0xe5e419,
    0xf1e51d, 0xfde725,
];
const MAGMA: [u32; 18] = [
    0x000004, 0x090720, 0x1a1042, 0x311165, 0x4a1079, 0x621980, 0x792282, 0x912b81, 0xaa337d, 0xc23b75,
    0xd9466b, 0xec5860, 0xf7725c, 0xfc8e64, 0xfeaa74, 0xfec68a, 0xfde2a3, 0xfcfdbf,
];
const CIVIDIS: [u32; 52] = [
    0x00224e, 0x002656, 0x002a5f, 0x002d68, 0x003070, 0x083370, 0x163770, 0x203a6f, 0x273e6e, 0x2e416d,
    0x34456c, 0x3a486c, 0x3f4c6c, 0x444f6c, 0x49536c, 0x4e566c, 0x535a6d, 0x575d6d, 0x5c616e, 0x60646f,
    0x656870, 0x696b71, 0x6d6f72, 0x727274, 0x767676, 0x7a7a78, 0x7e7d78, 0x838179, 0x888578, 0x8d8878,
    0x928c78, 0x969077, 0x9b9476, 0xa09875, 0xa59c74, 0xaaa073, 0xafa471, 0xb5a86f, 0xbaac6d, 0xbfb06b,
    0xc4b468, 0xc9b965, 0xcfbd62, 0xd4c15f, 0xdac65b, 0xdfca57, 0xe5cf52, 0xead34c, 0xf0d846, 0xf6dd3f,
    0xfce236, 0xfee838,
];
const BATLOW: [u32; 18] = [
    0x011959, 0x0c2f5d, 0x114160, 0x154f62, 0x1e5d62, 0x2f675c, 0x447052, 0x5b7745, 0x747e38, 0x8f862d,
    0xad8c2d, 0xca923c, 0xe39754, 0xf59f74, 0xfdaa97, 0xfdb5b8, 0xfcc0d8, 0xfaccfa,
];

impl ColorMap {
    /// All maps in the order of menus.
    pub const ALL: [Self; 13] = [
        Self::Grey,
        Self::GreyInverted,
        Self::Viridis,
        Self::Magma,
        Self::Cividis,
        Self::Batlow,
        Self::Red,
        Self::Green,
        Self::Blue,
        Self::Cyan,
        Self::Magenta,
        Self::Yellow,
        Self::Uncertainty,
    ];

    /// Name as a person reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grey => "Grey",
            Self::GreyInverted => "Grey, inverted",
            Self::Viridis => "Viridis",
            Self::Magma => "Magma",
            Self::Cividis => "Cividis",
            Self::Batlow => "Batlow",
            Self::Red => "Red",
            Self::Green => "Green",
            Self::Blue => "Blue",
            Self::Cyan => "Cyan",
            Self::Magenta => "Magenta",
            Self::Yellow => "Yellow",
            Self::Uncertainty => "Uncertainty",
        }
    }

    /// Whether layers with this map add up (fluorescence) rather than cover what lies below.
    pub fn is_single_hue(self) -> bool {
        matches!(self, Self::Red | Self::Green | Self::Blue | Self::Cyan | Self::Magenta | Self::Yellow)
    }

    /// Colour at `t` (0 to 1, clamped; NaN is 0): sRGB and straight alpha, 0 to 1.
    pub fn at(self, t: f64) -> [f64; 4] {
        let t = if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) };
        let hue = |r: f64, g: f64, b: f64| [r * t, g * t, b * t, 1.0];
        match self {
            Self::Grey => [t, t, t, 1.0],
            Self::GreyInverted => [1.0 - t, 1.0 - t, 1.0 - t, 1.0],
            Self::Viridis => along(&VIRIDIS, t),
            Self::Magma => along(&MAGMA, t),
            Self::Cividis => along(&CIVIDIS, t),
            Self::Batlow => along(&BATLOW, t),
            // Pure primaries look unlike in brightness; these are near the emission colours of common dyes.
            Self::Red => hue(1.0, 0.15, 0.1),
            Self::Green => hue(0.15, 1.0, 0.2),
            Self::Blue => hue(0.2, 0.4, 1.0),
            Self::Cyan => hue(0.0, 0.9, 1.0),
            Self::Magenta => hue(1.0, 0.1, 0.9),
            Self::Yellow => hue(1.0, 0.9, 0.1),
            Self::Uncertainty => [1.0, 0.55 - 0.35 * t, 0.1, t],
        }
    }

    /// The whole map as [`TABLE_LEN`] entries of RGBA bytes, sRGB, straight alpha.
    pub fn table(self) -> Vec<[u8; 4]> {
        (0..TABLE_LEN)
            .map(|i| self.at(i as f64 / (TABLE_LEN - 1) as f64).map(|c| (c * 255.0).round() as u8))
            .collect()
    }
}

fn along(points: &[u32], t: f64) -> [f64; 4] {
    let place = t * (points.len() - 1) as f64;
    let i = (place as usize).min(points.len() - 2);
    let f = place - i as f64;
    let channel = |shift: u32| {
        let of = |p: u32| f64::from((p >> shift) & 255);
        (of(points[i]) * (1.0 - f) + of(points[i + 1]) * f) / 255.0
    };
    [channel(16), channel(8), channel(0), 1.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_meet_their_published_ends_and_middle() {
        // Published table entries 0, 128 and 255 of viridis, magma, cividis and batlow.
        let rows = [
            (ColorMap::Viridis, [68, 1, 84], [33, 145, 140], [253, 231, 37]),
            (ColorMap::Magma, [0, 0, 4], [183, 55, 121], [252, 253, 191]),
            (ColorMap::Cividis, [0, 34, 78], [125, 124, 120], [254, 232, 56]),
            (ColorMap::Batlow, [1, 25, 89], [130, 130, 49], [250, 204, 250]),
        ];
        for (map, first, middle, last) in rows {
            let table = map.table();
            for (i, want) in [(0, first), (128, middle), (255, last)] {
                for (channel, want) in want.into_iter().enumerate() {
                    // 4/255: the stated 3 of the control points and one of rounding.
                    let got = i32::from(table[i][channel]);
                    assert!((got - want).abs() <= 4, "{map:?} entry {i}: {:?}", table[i]);
                }
            }
        }
    }

    #[test]
    fn every_map_has_a_name_of_its_own_and_takes_nan() {
        for map in ColorMap::ALL {
            assert_eq!(ColorMap::ALL.iter().filter(|other| other.name() == map.name()).count(), 1);
            assert_eq!(map.at(f64::NAN), map.at(0.0));
            assert_eq!(map.table().len(), TABLE_LEN);
        }
    }
}
