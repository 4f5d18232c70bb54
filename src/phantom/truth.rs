//! What only a simulation knows: the content of a demo's `truth.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cell::{CELL_CLASSES, Cell, CellKind, ScanKind};

/// The truth of a simulated scan; truth.mrc and labels.mrc hold the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Voxel and pixel size in µm.
    pub voxel_um: f64,
    /// Name of each label.
    pub classes: BTreeMap<u16, String>,
    /// Mean LAC of each label in 1/µm.
    pub lac: BTreeMap<u16, f64>,
    /// Displacement of each view as (y, x) in pixels: `aligned(y, x) = view(y + shift_y, x + shift_x)`.
    pub shifts_yx: Vec<[f64; 2]>,
    /// Middle of each gold bead as (z, y, x) in voxels.
    pub beads_zyx: Vec<[f64; 3]>,
    /// Seed of the cell.
    pub seed: u64,
    /// Which cell.
    pub cell: CellKind,
    /// Full rotation or grid.
    pub scan: ScanKind,
}

impl Truth {
    /// The truth of a scan of `cell` whose views were displaced by `shifts_yx`.
    pub(super) fn new(cell: &Cell, shifts_yx: &[[f64; 2]]) -> Self {
        // Through decimal text: 0.1 in 1/µm shall read 0.1, not the nearest f32.
        let exact = |lac: f32| (f64::from(lac) * 1e4).round() / 1e4;
        Self {
            voxel_um: cell.voxel_um,
            classes: CELL_CLASSES.iter().map(|class| (class.id, class.name.to_owned())).collect(),
            lac: CELL_CLASSES.iter().map(|class| (class.id, exact(class.lac))).collect(),
            shifts_yx: shifts_yx.to_vec(),
            beads_zyx: cell.beads_zyx.clone(),
            seed: cell.params.seed,
            cell: cell.params.kind,
            scan: cell.params.scan,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Progress;
    use crate::phantom::{CellParams, build_cell};

    #[test]
    fn json_has_the_fields_of_the_contract_and_round_trips() {
        let params = CellParams { size: 32, beads: 2, ..CellParams::default() };
        let cell = build_cell(&Progress::new(), &params).unwrap();
        let truth = Truth::new(&cell, &[[0.5, -1.0]]);
        let json = serde_json::to_value(&truth).unwrap();
        assert_eq!(json["lac"]["0"], 0.1);
        assert_eq!(json["classes"]["6"], "lipid droplets");
        assert_eq!(json["shifts_yx"][0][1], -1.0);
        assert_eq!(json["beads_zyx"].as_array().unwrap().len(), 2);
        assert_eq!(json["voxel_um"], 0.32);
        assert_eq!(serde_json::from_value::<Truth>(json).unwrap(), truth);
    }
}
