//! Fewer, larger voxels.

use ndarray::{Array3, ArrayView3};
use serde_json::{Value, json};

use super::data::Inputs;
use super::op::{Context, Forecast, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use super::regrid::{self, Change};
use crate::base::Progress;
use crate::volume::regrid::{BinParams, Bins};
use crate::volume::{LabelId, Placement, RegridError};

const NAMES: [&str; 3] = ["binned", "binned labels", "binned objects"];
static OUTPUTS: [Output; 3] = regrid::outputs(NAMES);

pub(super) static OP: Op = Op {
    id: "bin",
    label: "Bin",
    stage: Stage::Reconstruct,
    summary: "Makes one voxel of each block of voxels: by their mean, or by the id that most of them have",
    about: "\
Each block of --factor voxels along every edge becomes one. A value is the mean of those in the block that are numbers, so \
that LAC stays LAC; it is NaN only where the block has none. A label is the id that most voxels of the block have, of \
equally frequent ones the smallest: ids are never mixed or invented, but what is thinner than half a block may go. The \
voxel size grows by the factor, and the first voxel lies in the middle of its block, (factor − 1) / 2 of the old voxels \
further on, so that everything stays where it was in µm. What is left over at the far faces is cut, which is said.",
    inputs: &[regrid::VOLUME, regrid::LABELS, regrid::OBJECTS],
    outputs: &OUTPUTS,
    params: &[
        Param::new(
            "factor",
            "Factor",
            ParamKind::Int { min: 1, max: 64 },
            "Voxels along each edge of a block",
        )
        .unit("voxels"),
        Param::new(
            "factors_zyx",
            "Factors z,y,x",
            ParamKind::Text,
            "Voxels along each edge where they differ, as z,y,x, such as 1,2,2; empty for the one factor",
        )
        .unit("voxels")
        .advanced(),
    ],
    defaults: defaults_of::<BinParams>,
    forecast: |inputs, params| {
        let (grid, _) = regrid::grid_of(inputs)?;
        let bins = typed::<BinParams>(params)?.bins(grid.shape).map_err(OpError::method)?;
        let count = |shape: [usize; 3]| shape.iter().map(|n| *n as u64).product::<u64>();
        let (per_voxel, dense) = regrid::bytes_per_voxel(inputs);
        Ok(Forecast {
            bytes: per_voxel * count(bins.shape(grid.shape)) + dense * count(grid.shape),
            seconds: None,
        })
    },
    run,
    policy: Policy::Queue,
};

impl Change for Bins {
    fn values(&self, progress: &Progress, array: &ArrayView3<'_, f32>) -> Result<Array3<f32>, RegridError> {
        Ok(self.means(progress, array)?)
    }

    fn ids<T: LabelId>(
        &self,
        progress: &Progress,
        array: &ArrayView3<'_, T>,
    ) -> Result<Array3<T>, RegridError> {
        Ok(Self::ids(*self, progress, array)?)
    }

    fn place(&self, of: Placement) -> Placement {
        self.placed(of)
    }
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let (grid, place) = regrid::grid_of(inputs)?;
    let bins = typed::<BinParams>(params)?.bins(grid.shape).map_err(OpError::method)?;
    inputs.find_volume(regrid::VOLUME.name).map_or(Ok(()), |volume| regrid::no_ids(volume, "averaged"))?;
    let data = regrid::changed(&context.progress, inputs, &bins, NAMES)?;
    let ([z, y, x], [fz, fy, fx]) = (bins.shape(grid.shape), bins.factors);
    let found = bins.placed(place);
    let [vz, vy, vx] = found.voxel_or_one().map(|edge| (edge * 1e6).round() / 1e6);
    let mut notes = vec![format!(
        "{z} × {y} × {x} voxels of {vz} × {vy} × {vx} {} (z, y, x), each of {fz} × {fy} × {fx}",
        found.length()
    )];
    let rest = bins.rest(grid.shape);
    if rest != [0; 3] {
        let [z, y, x] = rest;
        notes.push(format!(
            "Left over at the far faces and cut: {z} voxels along z, {y} along y, {x} along x"
        ));
    }
    if let Some(lost) = lost(inputs, &data) {
        notes.push(lost);
    }
    let details = json!({ "factors_zyx": bins.factors, "shape_zyx": [z, y, x], "cut_zyx": rest });
    Ok(Outcome { data, notes, details })
}

/// A sentence on classes that have no voxel left.
fn lost(inputs: &Inputs, made: &[(&'static str, super::Data)]) -> Option<String> {
    let before = inputs.find_labels(regrid::LABELS.name)?;
    let after = made.iter().find_map(|(_, data)| match data {
        super::Data::Labels(labels) => Some(labels.labels.ids()),
        _ => None,
    })?;
    let gone = before.labels.ids().into_iter().filter(|id| *id != 0 && !after.contains(id));
    let names: Vec<String> = gone.map(|id| before.classes.name(id)).collect();
    (!names.is_empty()).then(|| format!("Too thin for the blocks, with no voxel left: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::regrid::tests::{BEAD, bead_um, context, given};
    use super::*;
    use crate::ops::grid::Grid;
    use crate::ops::{Data, find};

    #[test]
    fn a_bead_stays_at_its_place_and_the_mean_is_kept() {
        // The bead begins at an even voxel, so that its blocks hold nothing else.
        let inputs = given();
        let crop = find("crop").unwrap().execute(&context(), &inputs, &json!({ "y": "1:9" })).unwrap();
        let slots = ["volume", "labels", "instances"];
        let inputs =
            crop.data.into_iter().zip(slots).fold(Inputs::default(), |i, ((_, d), slot)| i.with(slot, d));
        let outcome = find("bin").unwrap().execute(&context(), &inputs, &Value::Null).unwrap();
        for (slot, data) in &outcome.data {
            let at = bead_um(data);
            assert!((0..3).all(|axis| (at[axis] - BEAD[axis]).abs() < 1e-12), "{slot}: {at:?}");
            let grid = Grid::of(data).unwrap();
            assert_eq!((grid.shape, grid.voxel_um), ([5, 4, 6], Some([0.06, 0.04, 0.02])));
        }
        let Some(Data::Volume(volume)) = outcome.get("binned") else { panic!("no volume") };
        let before = inputs.volume("volume").unwrap().data.mean().unwrap();
        assert!(
            (volume.data.mean().unwrap() / before - 1.0).abs() < 1e-6,
            "eight thousandths of values in f32"
        );
        assert_eq!(volume.data.iter().copied().fold(0.0, f32::max), 2.0);
    }

    #[test]
    fn what_is_cut_and_what_is_lost_is_said() {
        let params = json!({ "factors_zyx": "4,5,5" });
        let outcome = find("bin").unwrap().execute(&context(), &given(), &params).unwrap();
        let said = outcome.notes.join("; ");
        assert!(said.contains("2 voxels along z, 4 along y, 2 along x"), "{said}");
        assert!(said.contains("no voxel left"), "{said}");
        let said = find("bin").unwrap().execute(&context(), &given(), &json!({ "factor": 10 })).unwrap_err();
        assert!(said.to_string().contains("10 × 9 × 12"), "{said}");
    }
}
