//! Where each motor stood at each image, looked up by the name of its axis: numbers of axes change when motors do.
//!
//! `PositionInfo`: names of 25 bytes, units of 15, positions as f32, all axes of one image after the other.

use super::ole::Ole;
use super::streams::{Counts, bytes, count, floats, latin};
use crate::io::angles::deg_per;

/// Most axes that are believed.
const MOST_AXES: usize = 1000;
/// Names of the axis that turns the sample.
const TILT: [&str; 4] = ["sample theta", "theta", "sample rotation", "rotation"];
/// Names of the axis that records the current of the storage ring, without spaces and underscores.
const RING: [&str; 6] =
    ["machinecurrent", "ringcurrent", "storageringcurrent", "srcurrent", "beamcurrent", "currentmachine"];

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) name: String,
    pub(super) unit: String,
    /// Its position at each image that is there.
    pub(super) values: Vec<f64>,
}

/// All axes of a file; empty where it has none.
pub(super) fn read(ole: &mut Ole, counts: Counts) -> Vec<Axis> {
    let slots = |ole: &mut Ole, path: &str, n: usize, usual: usize| -> Vec<String> {
        let raw = bytes(ole, path).unwrap_or_default();
        // 25 and 15 bytes in all files seen; a whole share of the stream where another writer took more.
        let width =
            if n > 0 && raw.len().is_multiple_of(n) && raw.len() / n > 0 { raw.len() / n } else { usual };
        raw.chunks(width).take(n).map(latin).collect()
    };
    let n = count(ole, "PositionInfo/TotalAxis").unwrap_or(0).min(MOST_AXES);
    let names = slots(ole, "PositionInfo/AxisNames", n, 25);
    let units = slots(ole, "PositionInfo/AxisUnits", n, 15);
    let positions = bytes(ole, "PositionInfo/MotorPositions").map(|raw| floats(&raw)).unwrap_or_default();
    let rows: Vec<&[f32]> = positions.chunks_exact(n.max(1)).take(counts.there).collect();
    names
        .into_iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty())
        .map(|(at, name)| Axis {
            name,
            unit: units.get(at).cloned().unwrap_or_default(),
            values: rows.iter().filter_map(|row| row.get(at)).map(|v| f64::from(*v)).collect(),
        })
        .collect()
}

fn named(axes: &[Axis], n: usize, is: impl Fn(&str) -> bool) -> Option<&Axis> {
    axes.iter().find(|axis| axis.values.len() == n && is(&axis.name.to_lowercase()))
}

/// Tilts in degrees by the axis that turns the sample.
pub(super) fn tilts_deg(axes: &[Axis], n: usize, warnings: &mut Vec<String>) -> Option<(String, Vec<f64>)> {
    let axis = TILT.iter().find_map(|tilt| named(axes, n, |name| name == *tilt))?;
    let scale = deg_per(&axis.unit);
    if scale.is_none() && !axis.unit.trim().is_empty() {
        warnings.push(format!(
            "the unit {} of the axis {} is no angle that is known; degrees were assumed (--angles gives others)",
            axis.unit, axis.name
        ));
    }
    let values = axis.values.iter().map(|v| v * scale.unwrap_or(1.0)).collect();
    Some((axis.name.clone(), values))
}

/// Photon energies in eV by the axis of that name.
pub(super) fn energies_ev(axes: &[Axis], n: usize) -> Option<Vec<f64>> {
    let axis = named(axes, n, |name| name == "energy")
        .filter(|axis| axis.values.iter().any(|v| *v > 0.0))
        .or_else(|| named(axes, n, |name| name.starts_with("energy")))?;
    let scale = if axis.unit.eq_ignore_ascii_case("kev") { 1e3 } else { 1.0 };
    Some(axis.values.iter().map(|v| v * scale).collect())
}

/// The current of the storage ring at each image, by the axis that records it.
pub(super) fn ring_current(axes: &[Axis], n: usize) -> Option<(String, Vec<f64>)> {
    let plain = |name: &str| name.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let axis = named(axes, n, |name| RING.contains(&plain(name).as_str()))?;
    axis.values.iter().all(|v| v.is_finite() && *v > 0.0).then(|| (axis.name.clone(), axis.values.clone()))
}

/// Positions of the zone plate along the beam, where there is such an axis.
pub(super) fn zone_plate_z(axes: &[Axis], n: usize) -> Option<&[f64]> {
    let plain = |name: &str| name.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    named(axes, n, |name| matches!(plain(name).as_str(), "zoneplatez" | "zpz"))
        .map(|axis| axis.values.as_slice())
}
