//! Values by a line, another unit, the right voxel size.

use std::sync::Arc;

use ndarray::{Array3, ArrayView3};
use serde_json::{Value, json};

use super::data::{Data, Inputs};
use super::op::{Context, Forecast, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use super::regrid::{self, Change};
use crate::base::{Progress, Unit};
use crate::filter::rescale::{RescaleParams, rescaled, resized};
use crate::volume::regrid::copied;
use crate::volume::{LabelId, Placement, RegridError, Volume};

const NAMES: [&str; 3] = ["rescaled", "rescaled labels", "rescaled objects"];
static OUTPUTS: [Output; 3] = regrid::outputs(NAMES);

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

pub(super) static OP: Op = Op {
    id: "rescale",
    label: "Set scale and units",
    stage: Stage::Reconstruct,
    summary: "Sets the voxel size, multiplies values and adds to them, names their unit: only as far as it is told to",
    about: "\
value = factor × value + offset, for volumes whose values were stored in other numbers. --to-unit names what they are \
afterwards. --to-voxel-um sets the voxel size where a file says a wrong one or none; the first voxel stays as many voxels from \
the origin of the world as it was, so that its position in µm grows with the voxels. Nothing else follows by itself: \
LAC in 1/µm that was reconstructed with the wrong voxel size is wrong by the same factor, which is said with its number, \
and so is the factor from 1/voxel to 1/µm. Labels and objects get the voxel size alone; their ids stay.",
    inputs: &[regrid::VOLUME, regrid::LABELS, regrid::OBJECTS],
    outputs: &OUTPUTS,
    params: &[
        Param::new(
            "to_voxel_um",
            "Voxel size",
            ParamKind::Float { min: 1e-5, max: 1e3 },
            "Edge of a voxel; as it is where left empty",
        )
        .unit("µm")
        .optional(),
        Param::new(
            "factor",
            "Factor",
            ParamKind::Float { min: -1e30, max: 1e30 },
            "What values are multiplied with; not 0",
        ),
        Param::new(
            "offset",
            "Offset",
            ParamKind::Float { min: -1e30, max: 1e30 },
            "What is added then, in the new unit",
        ),
        Param::new(
            "to_unit",
            "Unit afterwards",
            ParamKind::Choice(&[
                choice("keep", "As before"),
                choice("1/um", "1/µm (LAC)"),
                choice("1/voxel", "1/voxel"),
                choice("counts", "Counts"),
                choice("transmission", "Transmission"),
                choice("absorbance", "Absorbance"),
                choice("arbitrary", "Arbitrary"),
            ]),
            "What the values are afterwards",
        ),
        Param::new(
            "to_voxel_zyx_um",
            "Voxel size z,y,x",
            ParamKind::Text,
            "Edges of a voxel where they differ, as z,y,x, such as 0.02,0.01,0.01; empty for the one edge",
        )
        .unit("µm")
        .advanced(),
    ],
    defaults: defaults_of::<RescaleParams>,
    forecast: |inputs, _| {
        let (grid, _) = regrid::grid_of(inputs)?;
        let (per_voxel, dense) = regrid::bytes_per_voxel(inputs);
        let n = grid.shape.iter().map(|n| *n as u64).product::<u64>();
        Ok(Forecast { bytes: (per_voxel + dense) * n, seconds: None })
    },
    run,
    policy: Policy::Queue,
};

struct Rescale {
    params: RescaleParams,
    voxel: Option<[f64; 3]>,
}

impl Change for Rescale {
    fn values(&self, progress: &Progress, array: &ArrayView3<'_, f32>) -> Result<Array3<f32>, RegridError> {
        Ok(rescaled(progress, array, self.params.factor, self.params.offset)?)
    }

    fn ids<T: LabelId>(
        &self,
        progress: &Progress,
        array: &ArrayView3<'_, T>,
    ) -> Result<Array3<T>, RegridError> {
        Ok(copied(progress, array)?)
    }

    fn place(&self, of: Placement) -> Placement {
        self.voxel.map_or(of, |voxel| resized(of, voxel))
    }
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: RescaleParams = typed(params)?;
    params.check().map_err(OpError::method)?;
    let (_, place) = regrid::grid_of(inputs)?;
    if let Some(volume) = inputs.find_volume(regrid::VOLUME.name).filter(|_| params.changes_values()) {
        regrid::no_ids(volume, "multiplied")?;
    }
    let change = Rescale { voxel: params.voxel().map_err(OpError::method)?, params };
    let mut data = regrid::changed(&context.progress, inputs, &change, NAMES)?;
    let mut notes: Vec<String> = change.voxel.map(|voxel| size_said(place, voxel)).into_iter().collect();
    for (_, data) in &mut data {
        if let (Data::Volume(after), Some(before)) = (data, inputs.find_volume(regrid::VOLUME.name)) {
            let unit = change.params.new_unit().unwrap_or(before.unit);
            notes.extend(values_said(before, unit, after, &change));
            Arc::make_mut(after).unit = unit;
        }
    }
    if inputs.find_volume(regrid::VOLUME.name).is_none() && change.params.changes_values() {
        notes.push("Factor and offset were not used: ids stay as they are".to_owned());
    }
    let found = change.place(place);
    let details = json!({
        "factor": change.params.factor,
        "offset": change.params.offset,
        "voxel_um": found.voxel_um,
        "origin_um": found.origin_um,
    });
    Ok(Outcome { data, notes, details })
}

/// The sentence on the voxel size.
fn size_said(before: Placement, voxel: [f64; 3]) -> String {
    let text = |[z, y, x]: [f64; 3]| {
        if z == y && y == x { format!("{z} µm") } else { format!("{z} × {y} × {x} µm (z, y, x)") }
    };
    let was = before.voxel_um.map_or("unknown".to_owned(), text);
    format!("The voxel size is {}, it was {was}; positions in µm follow", text(voxel))
}

/// What is to be said of values that changed, or perhaps should have.
fn values_said(before: &Volume<f32>, unit: Unit, after: &Volume<f32>, change: &Rescale) -> Vec<String> {
    let mut said = Vec::new();
    let RescaleParams { factor, offset, .. } = change.params;
    if change.params.changes_values() {
        said.push(format!("value = {factor} × value {offset:+} {}", unit.shown()).trim_end().to_owned());
        let is_new = |(a, b): &(&f32, &f32)| a.is_finite() && !b.is_finite();
        let n = before.values().iter().zip(after.values()).filter(is_new).count();
        if n > 0 {
            said.push(format!("{n} values are beyond what 32 bits hold and are infinite now"));
        }
        return said;
    }
    let edge = change.voxel.or(before.voxel_um).map(|voxel| voxel[2]);
    if let (Unit::PerVoxel, Unit::PerUm, Some(edge)) = (before.unit, unit, edge) {
        let factor = 1.0 / edge;
        said.push(format!(
            "The values are as they were: from 1/voxel to 1/µm takes the factor 1 / {edge} µm = {factor:.6}"
        ));
    }
    if let (Unit::PerUm, Unit::PerUm, Some(old), Some(new)) =
        (before.unit, unit, before.voxel_um, change.voxel)
        && old[2] != new[2]
    {
        let factor = old[2] / new[2];
        said.push(format!("The values are as they were: LAC that was reconstructed with the old voxel size takes the factor {factor:.6}"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::super::regrid::tests::{context, given};
    use super::*;
    use crate::ops::find;

    fn run(params: Value) -> Result<Outcome, OpError> {
        find("rescale").unwrap().execute(&context(), &given(), &params)
    }

    #[test]
    fn voxel_size_unit_and_values_are_set_and_what_does_not_follow_is_said() {
        let outcome = run(json!({ "to_voxel_um": 0.05 })).unwrap();
        for (_, data) in &outcome.data {
            let grid = crate::ops::grid::Grid::of(data).unwrap();
            assert_eq!(grid.voxel_um, Some([0.05; 3]));
            // 1 µm were 33.3 voxels of 0.03 µm.
            assert!((grid.origin_um[0] - 0.05 / 0.03).abs() < 1e-12);
        }
        // 0.01 µm along x before.
        assert!(outcome.notes.iter().any(|note| note.contains("factor 0.200000")), "{:?}", outcome.notes);
        let outcome = run(json!({ "factor": 0.5, "offset": 0.25, "to_unit": "arbitrary" })).unwrap();
        let Some(Data::Volume(volume)) = outcome.get("rescaled") else { panic!("no volume") };
        assert_eq!(
            (volume.unit, volume.data[[4, 3, 6]], volume.data[[0, 0, 0]]),
            (Unit::Arbitrary, 1.25, 0.25)
        );
        let Some(Data::Labels(labels)) = outcome.get("rescaled labels") else { panic!("no labels") };
        assert_eq!(labels.labels.ids(), [0, 5]);
    }

    #[test]
    fn sizes_of_nothing_and_of_a_kilometre_are_refused() {
        for voxel_um in [0.0, 1e9] {
            let said = run(json!({ "to_voxel_um": voxel_um })).unwrap_err().to_string();
            assert!(said.contains("voxel-um") && said.contains("1000"), "{said}");
        }
        assert!(run(json!({})).unwrap_err().to_string().contains("nothing to do"));
        assert!(run(json!({ "factor": 0.0 })).unwrap_err().to_string().contains("factor of 0"));
    }
}
