//! What rulers measure, and how that is said.

use glam::{DAffine3, DVec3};

use super::ruler::{self, AreaValues, Placed, Profile, RulerKind};

/// What a ruler measures.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// Length, or the way around an area, µm.
    pub length_um: f64,
    /// Angle, degrees.
    pub angle_deg: Option<f64>,
    /// Area, µm².
    pub area_um2: Option<f64>,
    /// Values within an area.
    pub values: Option<AreaValues>,
    /// Values along a line.
    pub profile: Option<Profile>,
}

/// A ruler as it lies in the world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Laid<'a> {
    /// What it measures.
    pub kind: RulerKind,
    /// Its points, world µm.
    pub points: &'a [DVec3],
    /// Right and down in its plane, directions of length 1.
    pub frame: (DVec3, DVec3),
    /// Width of a profile in voxel edges.
    pub width_px: u32,
}

impl Laid<'_> {
    /// Half of the width of a profile, across it in its plane, µm.
    pub fn half_band(&self, world_from_voxel: DAffine3) -> DVec3 {
        let [from, to] = *self.points else { return DVec3::ZERO };
        let (right, down) = self.frame;
        let across = right.cross(down).cross(to - from).try_normalize();
        let is_wide = self.kind == RulerKind::Profile && self.width_px > 1;
        let Some(across) = across.filter(|_| is_wide) else { return DVec3::ZERO };
        let steps = (world_from_voxel.matrix3.inverse() * across).abs().max_element();
        across * (f64::from(self.width_px) * 0.5 / steps.max(1e-12))
    }

    /// What it measures, in a volume where there is one.
    pub fn measure(&self, placed: Option<Placed<'_>>) -> Measured {
        let (points, (right, down)) = (self.points, self.frame);
        let mut found = Measured { length_um: ruler::length_um(points), ..Measured::default() };
        match self.kind {
            RulerKind::Distance => {}
            RulerKind::Angle => found.angle_deg = ruler::angle_deg(points),
            RulerKind::Area => {
                found.length_um = ruler::perimeter_um(points);
                found.area_um2 = Some(ruler::area_um2(points));
                found.values = placed.and_then(|placed| ruler::area_values(placed, points, self.frame));
            }
            RulerKind::Profile => {
                if let (Some(placed), [from, to]) = (placed, points) {
                    let ends = [*from, *to];
                    found.profile = Some(ruler::profile(placed, ends, right.cross(down), self.width_px));
                }
            }
        }
        found
    }
}

/// "234 nm", "1.23 µm", or px where the size of a voxel is unknown.
pub fn length_text(um: f64, unit: &str) -> String {
    match unit {
        "px" => format!("{um:.1} px"),
        _ if um < 0.1 => format!("{:.1} nm", um * 1e3),
        _ if um < 1.0 => format!("{:.0} nm", um * 1e3),
        _ => format!("{um:.2} µm"),
    }
}

/// What a ruler measures, in one line; values within areas with their unit.
pub fn value_text(kind: RulerKind, measured: &Measured, unit: &str, value_unit: &str) -> String {
    let length = length_text(measured.length_um, unit);
    match kind {
        RulerKind::Distance | RulerKind::Profile => length,
        RulerKind::Angle => measured.angle_deg.map_or_else(|| "–".to_owned(), |deg| format!("{deg:.1}°")),
        RulerKind::Area => {
            let area = measured.area_um2.unwrap_or(0.0);
            let area = if unit == "px" { format!("{area:.1} px²") } else { format!("{area:.3} µm²") };
            match measured.values {
                Some(AreaValues { mean, sd, .. }) => format!("{area}  ·  {mean:.3} ± {sd:.3} {value_unit}"),
                None => area,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_with_units_that_fit_their_size() {
        assert_eq!(length_text(0.2344, "µm"), "234 nm");
        assert_eq!(length_text(12.3456, "µm"), "12.35 µm");
        assert_eq!(length_text(12.3456, "px"), "12.3 px");
        let values = Some(AreaValues { n: 9, mean: 0.35, sd: 0.021 });
        let measured = Measured { area_um2: Some(1.5), values, ..Measured::default() };
        let text = value_text(RulerKind::Area, &measured, "µm", "1/µm");
        assert_eq!(text, "1.500 µm²  ·  0.350 ± 0.021 1/µm");
    }
}
