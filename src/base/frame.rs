//! Named spaces and the maps between them.
//!
//! World space is right-handed µm: x right, y down the array, z into the screen, away from the
//! viewer. A voxel's centre is at `origin + index · voxel_um`; index (0, 0, 0) is a centre, never
//! a corner. Arrays and array-like triples are z, y, x; world vectors are x, y, z.

use glam::{DAffine3, DMat3, DVec3};
use serde::{Deserialize, Serialize};

/// The map from voxel index (x, y, z as a vector, centre of a voxel at whole numbers) to world µm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WorldFromVoxel(pub DAffine3);

impl WorldFromVoxel {
    /// Axis-parallel map from a voxel size and the world position of voxel (0, 0, 0), both z, y, x in µm.
    pub fn from_spacing(voxel_um_zyx: [f64; 3], origin_um_zyx: [f64; 3]) -> Self {
        let [vz, vy, vx] = voxel_um_zyx;
        let [oz, oy, ox] = origin_um_zyx;
        Self(DAffine3::from_mat3_translation(
            DMat3::from_diagonal(DVec3::new(vx, vy, vz)),
            DVec3::new(ox, oy, oz),
        ))
    }

    /// World position in µm of a (possibly fractional) index given as z, y, x.
    pub fn world_from_zyx(&self, index_zyx: [f64; 3]) -> DVec3 {
        self.0.transform_point3(DVec3::new(index_zyx[2], index_zyx[1], index_zyx[0]))
    }

    /// Fractional index as z, y, x of a world position in µm.
    pub fn zyx_from_world(&self, world_um: DVec3) -> [f64; 3] {
        let p = self.0.inverse().transform_point3(world_um);
        [p.z, p.y, p.x]
    }
}

/// Voxels shorter than this, µm, have positions in nm: particles, not cells.
const FINE_UM: f64 = 0.002;

/// The unit in which [`position_text`] tells positions among voxels of a length, µm.
pub fn position_unit(voxel: f64) -> &'static str {
    if voxel > 0.0 && voxel < FINE_UM { "nm" } else { "µm" }
}

/// A position along an axis, µm, as text in its [`position_unit`], with as many decimals as tell voxels apart, at least two.
pub fn position_text(position: f64, voxel: f64) -> String {
    let scale = if position_unit(voxel) == "nm" { 1e3 } else { 1.0 };
    let (position, voxel) = (position * scale, voxel * scale);
    let decimals = if voxel > 0.0 { (0.7 - voxel.log10()).floor().clamp(2.0, 6.0) as usize } else { 2 };
    let text = format!("{position:.decimals$}");
    // What is rounded to nothing has no sign.
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|byte| matches!(byte, b'0' | b'.')) => rest.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_tell_voxels_apart() {
        assert_eq!(position_text(5.1234, 0.01), "5.12");
        assert_eq!(position_text(5.1234, 0.02), "5.12");
        assert_eq!(position_text(0.032_14, 0.000_47) + position_unit(0.000_47), "32.14nm");
        assert_eq!(position_text(5.1234, 0.002) + position_unit(0.002), "5.123µm");
        assert_eq!(position_text(31.0, 1.0), "31.00");
        assert_eq!(position_text(1.0, 0.0), "1.00");
        assert_eq!(position_text(-0.001, 1.0), "0.00");
        assert_eq!(position_text(-0.01, 1.0), "-0.01");
    }

    #[test]
    fn index_and_world_are_inverse_and_axes_are_named_right() {
        let map = WorldFromVoxel::from_spacing([0.3, 0.2, 0.1], [3.0, 2.0, 1.0]);
        let world = map.world_from_zyx([10.0, 20.0, 30.0]);
        assert!((world - DVec3::new(1.0 + 3.0, 2.0 + 4.0, 3.0 + 3.0)).length() < 1e-12, "{world}");
        let back = map.zyx_from_world(world);
        for (a, b) in back.into_iter().zip([10.0, 20.0, 30.0]) {
            assert!((a - b).abs() < 1e-9, "{back:?}");
        }
    }
}
