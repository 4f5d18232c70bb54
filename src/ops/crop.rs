//! A box out of a volume and of what lies on it.

use ndarray::{Array3, ArrayView3};
use serde_json::{Value, json};

use super::data::{Inputs, Kind};
use super::grid::Grid;
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use super::regrid::{self, Change};
use crate::base::Progress;
use crate::volume::regrid::{CropParams, VoxelBox, bounds, copied, find_box};
use crate::volume::{LabelId, Placement, RegridError};

const NAMES: [&str; 3] = ["cropped", "cropped labels", "cropped objects"];
static OUTPUTS: [Output; 3] = regrid::outputs(NAMES);

pub(super) static OP: Op = Op {
    id: "crop",
    label: "Crop",
    stage: Stage::Reconstruct,
    summary: "Cuts a box out of a volume and of its labels, by its sides or around a mask",
    about: "\
Sides are start:end along an axis, in voxels counted from 0 with the end not included, or in µm of the world with --sides-in um: \
then all voxels whose centres lie between. Either end may be left out. A side that is not given is that of the mask with \
its margin, where there is a mask, else whole. Volume, labels and objects that are given together get the same box. The \
origin moves with the box, so that everything stays where it was in µm; values and ids are as they were.",
    inputs: &[
        regrid::VOLUME,
        regrid::LABELS,
        regrid::OBJECTS,
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "What the box encloses" },
    ],
    outputs: &OUTPUTS,
    params: &[
        Param::new(
            "z",
            "Along z",
            ParamKind::Text,
            "Side along z as start:end, such as 40:200 or :200; empty for all, or for what the mask says",
        ),
        Param::new("y", "Along y", ParamKind::Text, "Side along y as start:end"),
        Param::new("x", "Along x", ParamKind::Text, "Side along x as start:end"),
        Param::new(
            "sides_in",
            "Sides in",
            ParamKind::Choice(&[
                Choice { value: "voxels", label: "Voxels" },
                Choice { value: "um", label: "µm" },
            ]),
            "What the sides are given in",
        ),
        Param::new(
            "margin",
            "Margin",
            ParamKind::Int { min: 0, max: 10_000 },
            "How much wider than the mask the box is on every side; it ends at the faces of the volume",
        )
        .unit("voxels"),
        Param::new(
            "margin_um",
            "Margin in µm",
            ParamKind::Float { min: 0.0, max: 1000.0 },
            "The same in µm, in place of voxels",
        )
        .unit("µm")
        .optional(),
        Param::new(
            "class",
            "Class of the mask",
            ParamKind::Int { min: 1, max: 65_535 },
            "Class of the mask that the box encloses; all that is labelled where left empty",
        )
        .optional(),
    ],
    defaults: defaults_of::<CropParams>,
    forecast: |inputs, params| {
        let (grid, found) = box_of(inputs, &typed(params)?)?;
        let (per_voxel, dense) = regrid::bytes_per_voxel(inputs);
        let n = grid.shape.iter().map(|n| *n as u64).product::<u64>();
        Ok(Forecast { bytes: per_voxel * found.n_voxels() + dense * n, seconds: None })
    },
    run,
    policy: Policy::Queue,
};

/// The grid of what is given, and the box on it.
fn box_of(inputs: &Inputs, params: &CropParams) -> Result<(Grid, VoxelBox), OpError> {
    let (grid, place) = regrid::grid_of(inputs)?;
    let mask = match (inputs.find_labels("mask"), params.class) {
        (Some(mask), class) => {
            let found = bounds(&mask.labels, |id| class.map_or(id != 0, |class| id == class));
            let what = class.map_or("anything".to_owned(), |class| format!("class {class}"));
            let none = || {
                OpError::Parameter(format!(
                    "no voxel of the mask is labelled as {what}: there is no box around it"
                ))
            };
            Some(found.ok_or_else(none)?)
        }
        (None, Some(class)) => {
            return Err(OpError::Parameter(format!(
                "class is {class}, but no mask is given that could have it"
            )));
        }
        (None, None) => None,
    };
    Ok((grid, find_box(grid.shape, place, mask, params).map_err(OpError::method)?))
}

impl Change for VoxelBox {
    fn values(&self, progress: &Progress, array: &ArrayView3<'_, f32>) -> Result<Array3<f32>, RegridError> {
        Ok(copied(progress, &self.of(array))?)
    }

    fn ids<T: LabelId>(
        &self,
        progress: &Progress,
        array: &ArrayView3<'_, T>,
    ) -> Result<Array3<T>, RegridError> {
        Ok(copied(progress, &self.of(array))?)
    }

    fn place(&self, of: Placement) -> Placement {
        self.placed(of)
    }
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let (grid, found) = box_of(inputs, &typed(params)?)?;
    let data = regrid::changed(&context.progress, inputs, &found, NAMES)?;
    let [z, y, x] = found.shape();
    let mut notes = vec![format!("{z} × {y} × {x} voxels (z, y, x) of {grid}: {found}")];
    if found.shape() == grid.shape {
        notes.push("The box is the whole volume: nothing was cut off".to_owned());
    }
    let details = json!({ "box_start_zyx": found.lo, "box_end_zyx": found.hi, "shape_zyx": found.shape() });
    Ok(Outcome { data, notes, details })
}

#[cfg(test)]
mod tests {
    use super::super::regrid::tests::{BEAD, bead_um, context, given, labelled};
    use super::*;
    use crate::ops::{Data, find};

    #[test]
    fn a_bead_stays_at_its_place_in_volume_labels_and_objects() {
        let inputs = given();
        let params = json!({ "z": "2:8", "y": "1:", "x": "3:9" });
        let outcome = find("crop").unwrap().execute(&context(), &inputs, &params).unwrap();
        assert_eq!(outcome.data.len(), 3);
        for (slot, data) in &outcome.data {
            let at = bead_um(data);
            assert!((0..3).all(|axis| (at[axis] - BEAD[axis]).abs() < 1e-12), "{slot}: {at:?}");
            assert_eq!(crate::ops::grid::Grid::of(data).unwrap().shape, [6, 8, 6]);
        }
    }

    #[test]
    fn the_box_around_a_mask_has_its_margin_and_its_class() {
        let inputs = given().with("mask", labelled());
        let crop = |params: Value| find("crop").unwrap().execute(&context(), &inputs, &params);
        let details = crop(json!({ "margin": 1 })).unwrap().details;
        assert_eq!(details["box_start_zyx"], json!([3, 2, 5]));
        assert_eq!(details["box_end_zyx"], json!([7, 6, 9]));
        let said = crop(json!({ "class": 9 })).unwrap_err().to_string();
        assert!(said.contains("class 9"), "{said}");
        let said = crop(json!({ "z": "3:40" })).unwrap_err().to_string();
        assert!(said.contains("3:40") && said.contains("10 voxels"), "{said}");
    }

    #[test]
    fn nothing_given_is_said() {
        let mask = Inputs::default().with("mask", labelled());
        let said = find("crop").unwrap().execute(&context(), &mask, &Value::Null).unwrap_err().to_string();
        assert!(said.contains("volume"), "{said}");
        let labels = Inputs::default().with("labels", labelled());
        let outcome = find("crop").unwrap().execute(&context(), &labels, &json!({ "x": ":8" })).unwrap();
        assert!(matches!(outcome.get("cropped labels"), Some(Data::Labels(_))));
    }
}
