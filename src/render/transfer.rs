//! Transfer functions: what colour and how opaque a value is in the volume view.
//!
//! The axis is the volume's own unit (LAC in 1/µm), and opacity is an extinction in 1/µm of path,
//! so a picture does not change with voxel size or step length: a ray through `d` µm of a value
//! with extinction `k` keeps `exp(-k d)` of what lies behind.

use serde::{Deserialize, Serialize};

use super::camera::BoxUm;
use crate::base::Unit;

/// Entries of a sampled table.
pub const TABLE_LEN: usize = 1024;

/// One control point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferPoint {
    /// Value in the volume's unit, for tomograms LAC in 1/µm.
    pub lac_per_um: f32,
    /// Colour, sRGB 0 to 1.
    pub rgb: [f32; 3],
    /// Extinction in 1/µm, 0 or more.
    pub opacity_per_um: f32,
}

/// Control points in rising order of value, joined linearly; the ends continue outwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferFunction {
    /// The control points.
    pub points: Vec<TransferPoint>,
}

/// A ready-made transfer function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferPreset {
    /// Ice clear, cytoplasm a haze, organelles warm, lipid bright.
    #[default]
    WholeCell,
    /// What is denser than cytoplasm, thin and pale.
    Membranes,
    /// Lipid droplets and dense bodies alone.
    LipidAndDense,
    /// Euchromatin and heterochromatin told apart.
    Chromatin,
}

const fn point(lac_per_um: f32, rgb: [f32; 3], opacity_per_um: f32) -> TransferPoint {
    TransferPoint { lac_per_um, rgb, opacity_per_um }
}

impl TransferPreset {
    /// All presets in the order of menus.
    pub const ALL: [Self; 4] = [Self::WholeCell, Self::Membranes, Self::LipidAndDense, Self::Chromatin];

    /// Name as a person reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::WholeCell => "Whole cell",
            Self::Membranes => "Membranes",
            Self::LipidAndDense => "Lipid and dense",
            Self::Chromatin => "Chromatin",
        }
    }

    /// The control points, in 1/µm near 510 to 520 eV; a start for editing, not a law.
    pub fn function(self) -> TransferFunction {
        let points: &[TransferPoint] = match self {
            Self::WholeCell => &[
                point(0.12, [0.20, 0.36, 0.52], 0.0),
                point(0.19, [0.24, 0.44, 0.62], 0.05),
                point(0.26, [0.40, 0.60, 0.72], 0.12),
                point(0.29, [0.62, 0.62, 0.60], 0.25),
                point(0.33, [0.90, 0.56, 0.34], 1.3),
                point(0.42, [0.96, 0.70, 0.38], 3.0),
                point(0.55, [1.00, 0.90, 0.62], 7.0),
                point(0.80, [1.00, 0.98, 0.90], 12.0),
            ],
            Self::Membranes => &[
                point(0.24, [0.30, 0.50, 0.62], 0.0),
                point(0.29, [0.52, 0.74, 0.82], 0.25),
                point(0.34, [0.86, 0.92, 0.92], 1.4),
                point(0.45, [1.00, 0.96, 0.86], 2.0),
                point(0.80, [1.00, 0.90, 0.62], 3.0),
            ],
            Self::LipidAndDense => &[
                point(0.15, [0.30, 0.40, 0.52], 0.0),
                point(0.22, [0.34, 0.46, 0.60], 0.05),
                point(0.44, [0.45, 0.52, 0.60], 0.06),
                point(0.48, [0.95, 0.62, 0.25], 2.0),
                point(0.60, [1.00, 0.84, 0.42], 12.0),
                point(0.90, [1.00, 0.97, 0.85], 20.0),
            ],
            Self::Chromatin => &[
                point(0.17, [0.20, 0.34, 0.60], 0.0),
                point(0.21, [0.26, 0.52, 0.80], 0.35),
                point(0.26, [0.30, 0.62, 0.78], 0.45),
                point(0.29, [0.70, 0.52, 0.66], 0.8),
                point(0.34, [0.92, 0.40, 0.48], 3.0),
                point(0.42, [0.98, 0.66, 0.46], 4.0),
                point(0.46, [0.98, 0.80, 0.60], 0.5),
            ],
        };
        TransferFunction { points: points.to_vec() }
    }

    /// The control points for a volume: as they are where its values are absorption in 1/µm, else stretched to `window`
    /// and as opaque over the longest edge of its box, world µm, as over a cell.
    pub fn for_volume(self, unit: Unit, window: [f32; 2], (low, high): BoxUm) -> TransferFunction {
        let function = self.function();
        if unit == Unit::PerUm {
            return function;
        }
        let edge_um = (high - low).max_element();
        let opacity = if edge_um > 0.0 { (CELL_UM / edge_um) as f32 } else { 1.0 };
        function.stretched(window[0], window[1], opacity)
    }
}

/// Edge of a volume around a cell, µm, for which the presets are made.
const CELL_UM: f64 = 6.0;

impl Default for TransferFunction {
    fn default() -> Self {
        TransferPreset::default().function()
    }
}

impl TransferFunction {
    /// A ramp of `rgb` from clear at `low` to `opacity_per_um` at `high`: for fluorescence and unknown units.
    pub fn ramp(low: f32, high: f32, rgb: [f32; 3], opacity_per_um: f32) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { points: vec![point(low, rgb.map(|c| c * 0.6), 0.0), point(high, rgb, opacity_per_um)] }
    }

    /// The same curve moved and stretched from its own range to `low..high`, opacity times `opacity`:
    /// a preset on a volume that is not in 1/µm.
    pub fn stretched(&self, low: f32, high: f32, opacity: f32) -> Self {
        let (from, to) = self.range();
        let scale = (high - low) / (to - from);
        let points = self
            .points
            .iter()
            .map(|p| TransferPoint {
                lac_per_um: low + (p.lac_per_um - from) * scale,
                opacity_per_um: p.opacity_per_um * opacity,
                ..*p
            })
            .collect();
        Self { points }
    }

    /// Values of the first and last point; an empty or single-valued curve gets a width of 1.
    pub fn range(&self) -> (f32, f32) {
        let low = self.points.first().map_or(0.0, |p| p.lac_per_um);
        let high = self.points.last().map_or(1.0, |p| p.lac_per_um);
        (low, if high > low { high } else { low + 1.0 })
    }

    /// Colour (sRGB 0 to 1) and extinction (1/µm) of a value; an empty curve is clear.
    pub fn at(&self, value: f32) -> [f32; 4] {
        let of = |p: &TransferPoint| [p.rgb[0], p.rgb[1], p.rgb[2], p.opacity_per_um.max(0.0)];
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return [0.0; 4];
        };
        if value >= last.lac_per_um {
            return of(last);
        }
        let Some(i) = self.points.windows(2).rposition(|pair| pair[0].lac_per_um <= value) else {
            return of(first);
        };
        let (a, b) = (&self.points[i], &self.points[i + 1]);
        let width = b.lac_per_um - a.lac_per_um;
        let t = if width > 0.0 { ((value - a.lac_per_um) / width).clamp(0.0, 1.0) } else { 0.0 };
        let (ca, cb) = (of(a), of(b));
        std::array::from_fn(|c| ca[c] + (cb[c] - ca[c]) * t)
    }

    /// Samples the curve for drawing.
    pub fn table(&self) -> TransferTable {
        TransferTable::new(self)
    }
}

/// A transfer function sampled evenly over its range, with running integrals.
///
/// The mean between two entries comes from the integrals in one subtraction: that is the
/// pre-integration that keeps thin features without tiny steps.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferTable {
    /// Value of the first entry.
    pub low: f32,
    /// Value of the last entry.
    pub high: f32,
    /// Colour and extinction (1/µm) of each entry, [`TABLE_LEN`] of them.
    pub direct: Vec<[f32; 4]>,
    /// Integral from the first entry of colour times extinction, and of extinction, in entries, over [`TABLE_LEN`].
    pub integral: Vec<[f32; 4]>,
    /// How many of the entries before the i-th are not clear; one longer than the table.
    opaque_before: Vec<u32>,
}

impl TransferTable {
    fn new(function: &TransferFunction) -> Self {
        let (low, high) = function.range();
        let step = (high - low) / (TABLE_LEN - 1) as f32;
        let direct: Vec<[f32; 4]> = (0..TABLE_LEN).map(|i| function.at(low + step * i as f32)).collect();
        let mut sum = [0f64; 4];
        let mut integral = vec![[0f32; 4]];
        for pair in direct.windows(2) {
            for (c, total) in sum.iter_mut().enumerate() {
                let weighted = |e: &[f32; 4]| f64::from(if c == 3 { e[3] } else { e[c] * e[3] });
                *total += (weighted(&pair[0]) + weighted(&pair[1])) * 0.5 / TABLE_LEN as f64;
            }
            integral.push(sum.map(|s| s as f32));
        }
        let mut opaque_before = vec![0u32];
        for entry in &direct {
            let last = opaque_before.last().copied().unwrap_or(0);
            opaque_before.push(last + u32::from(entry[3] > 0.0));
        }
        Self { low, high, direct, integral, opaque_before }
    }

    /// Entry nearest to a value; the first one for NaN.
    pub fn index(&self, value: f32) -> usize {
        let place = (value - self.low) / (self.high - self.low) * (TABLE_LEN - 1) as f32 + 0.5;
        (place.max(0.0) as usize).min(TABLE_LEN - 1)
    }

    /// Whether any value from `min` to `max` can be seen.
    pub fn shows(&self, min: f32, max: f32) -> bool {
        let (a, b) = (self.index(min), self.index(max));
        self.opaque_before[b + 1] > self.opaque_before[a.min(b)]
    }
}

#[cfg(test)]
mod tests {
    use glam::DVec3;

    use super::*;

    #[test]
    fn a_preset_is_as_opaque_through_any_volume_as_through_a_cell() {
        let cube = |edge_um: f64| (DVec3::ZERO, DVec3::splat(edge_um));
        let lac = TransferPreset::WholeCell.for_volume(Unit::PerUm, [10.0, 20.0], cube(0.03));
        assert_eq!(lac, TransferPreset::WholeCell.function());
        let through = |edge_um: f64| {
            let function = TransferPreset::WholeCell.for_volume(Unit::Arbitrary, [10.0, 20.0], cube(edge_um));
            assert_eq!(function.range(), (10.0, 20.0));
            f64::from(function.at(17.0)[3]) * edge_um
        };
        assert!((through(0.03) / through(60.0) - 1.0).abs() < 1e-5);
        let flat = TransferPreset::Chromatin.for_volume(Unit::Arbitrary, [0.0, 1.0], cube(0.0));
        assert!(flat.at(0.5)[3].is_finite());
    }

    #[test]
    fn curve_interpolates_and_continues_at_its_ends() {
        let f = TransferFunction { points: vec![point(0.2, [0.0; 3], 0.0), point(0.4, [1.0; 3], 2.0)] };
        assert_eq!(f.at(0.0), [0.0; 4]);
        assert_eq!(f.at(9.0), [1.0, 1.0, 1.0, 2.0]);
        assert!((f.at(0.3)[3] - 1.0).abs() < 1e-5, "halfway");
        assert_eq!(TransferFunction { points: Vec::new() }.at(0.3), [0.0; 4]);
    }

    #[test]
    fn table_integral_gives_the_mean_extinction_between_two_entries() {
        let f = TransferFunction { points: vec![point(0.0, [1.0; 3], 0.0), point(1.0, [1.0; 3], 4.0)] };
        let table = f.table();
        let (a, b) = (table.index(0.25), table.index(0.75));
        let mean = (table.integral[b][3] - table.integral[a][3]) * TABLE_LEN as f32 / (b - a) as f32;
        // A straight line: its mean over 0.25 to 0.75 is 2; f32 sums of 512 entries hold 1e-3.
        assert!((mean - 2.0).abs() < 4e-3, "{mean}");
    }

    #[test]
    fn what_can_be_seen_follows_the_curve() {
        let table = TransferPreset::LipidAndDense.function().table();
        assert!(!table.shows(0.0, 0.1), "ice is clear");
        assert!(table.shows(0.0, 0.7));
        assert!(!table.shows(f32::NAN, f32::NAN));
    }

    #[test]
    fn presets_rise_in_value_and_keep_ice_clear() {
        for preset in TransferPreset::ALL {
            let f = preset.function();
            assert!(f.points.is_sorted_by(|a, b| a.lac_per_um < b.lac_per_um), "{preset:?}");
            assert_eq!(f.at(0.10)[3], 0.0, "{preset:?} hides ice");
            let json = serde_json::to_string(&f).unwrap();
            assert_eq!(serde_json::from_str::<TransferFunction>(&json).unwrap(), f);
        }
    }
}
