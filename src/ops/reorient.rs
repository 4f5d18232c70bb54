//! Other axes: those of a file in another order, or backwards.

use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::data::{Data, Inputs};
use super::op::{Context, Forecast, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use super::regrid::{self, Change};
use crate::base::Progress;
use crate::measure::beam::{Beam, beam_axis};
use crate::volume::regrid::AxisOrder;
use crate::volume::{LabelId, Placement, RegridError, Volume};

const NAMES: [&str; 3] = ["reoriented", "reoriented labels", "reoriented objects"];
static OUTPUTS: [Output; 3] = regrid::outputs(NAMES);
/// The word for finding the order.
const GUESS: &str = "guess";
/// A side shorter than this share of the next is remarked on.
const THIN: f64 = 0.7;

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReorientParams {
    /// The axes of the array as it is, slowest first, or `guess`.
    order: String,
}

impl Default for ReorientParams {
    fn default() -> Self {
        Self { order: GUESS.to_owned() }
    }
}

pub(super) static OP: Op = Op {
    id: "reorient",
    label: "Reorient",
    stage: Stage::Reconstruct,
    summary: "Brings the axes of a volume into order: permutes and flips them, without changing a value",
    about: "\
--order says what the axes are as they lie, slowest first, as when a file is opened: yzx for slices along y, - before an axis \
that runs backwards. Afterwards they are z along the beam, y along the rotation axis, x across. IMOD writes tomograms as \
slices along y; y-zx turns them a quarter about x, as trimvol -rx does, yzx exchanges y and z and so makes the mirror \
image of the sample. Whether an order mirrors is said. Voxel sizes go with their axes, and so does the position of the \
first voxel: along each axis the box of the volume begins where it began, and a flipped axis is flipped within the box.

guess looks for the wedge of directions that a limited tilt leaves unmeasured: in Fourier space the power is missing around \
the beam, however far along the rotation axis. Where it is found the volume is turned, never mirrored. Where it is not, \
as after a whole turn in a capillary, nothing is changed and the reason is said; a side that is much shorter than the \
others is no proof of anything, and only remarked on.",
    inputs: &[regrid::VOLUME, regrid::LABELS, regrid::OBJECTS],
    outputs: &OUTPUTS,
    params: &[Param::new(
        "order",
        "Axes now",
        ParamKind::Text,
        "What the three axes are now, slowest first: z, y and x once each, - for one that runs backwards, such as y-zx; or guess",
    )],
    defaults: defaults_of::<ReorientParams>,
    forecast: |inputs, params| {
        let (grid, _) = regrid::grid_of(inputs)?;
        order_given(&typed::<ReorientParams>(params)?.order)?;
        let (per_voxel, dense) = regrid::bytes_per_voxel(inputs);
        let n = grid.shape.iter().map(|n| *n as u64).product::<u64>();
        // A guess transforms 128³ voxels at most.
        Ok(Forecast { bytes: ((per_voxel + dense) * n).max(8 * n.min(1 << 21)), seconds: None })
    },
    run,
    policy: Policy::Queue,
};

/// The order of a text; `None` for a guess.
fn order_given(text: &str) -> Result<Option<AxisOrder>, OpError> {
    if text.trim().eq_ignore_ascii_case(GUESS) {
        return Ok(None);
    }
    let wrong = |problem: String| OpError::Parameter(format!("order: {problem}, or {GUESS}"));
    text.parse().map(Some).map_err(wrong)
}

impl Change for AxisOrder {
    fn values(&self, progress: &Progress, array: &ArrayView3<'_, f32>) -> Result<Array3<f32>, RegridError> {
        Ok(self.turn(progress, array)?)
    }

    fn ids<T: LabelId>(
        &self,
        progress: &Progress,
        array: &ArrayView3<'_, T>,
    ) -> Result<Array3<T>, RegridError> {
        Ok(self.turn(progress, array)?)
    }

    fn place(&self, of: Placement) -> Placement {
        self.placed(of)
    }
}

/// The order that the wedge tells, which never mirrors, and the sentence that says why, or why nothing changes.
fn guess(progress: &Progress, volume: &Volume<f32>) -> Result<(AxisOrder, String), OpError> {
    let found = beam_axis(progress, volume)?;
    let name = |axis: usize| ["first (slowest)", "second", "third (fastest)"][axis];
    let Some(beam) = found.filter(Beam::is_clear) else {
        return Ok((AxisOrder::ZYX, unclear(volume, found.map(|found| found.ratio))));
    };
    let mut is = [2; 3];
    (is[beam.beam], is[beam.rotation]) = (0, 1);
    let order = AxisOrder::from_axes(is).unwrap_or(AxisOrder::ZYX);
    let backwards = std::array::from_fn(|axis| axis == beam.beam && order.mirrors());
    let order = order.running(backwards);
    let evidence = format!(
        "around the {} axis, far along the {}, there is {:.0} % of the power of other directions (next best pair of axes {:.0} %)",
        name(beam.beam),
        name(beam.rotation),
        100.0 * beam.ratio,
        100.0 * beam.next
    );
    Ok((order, format!("The wedge that the tilt did not measure says that the axes are {order}: {evidence}")))
}

/// Why nothing is changed, with what the sides of the volume suggest.
fn unclear(volume: &Volume<f32>, ratio: Option<f64>) -> String {
    let power = ratio.map_or_else(
        || "it is too small or holds too little to tell".to_owned(),
        |ratio| format!("the emptiest directions have {:.0} % of the power of others", 100.0 * ratio),
    );
    let mut text = format!(
        "No unmeasured wedge tells the axes ({power}): nothing is changed, name the order if you know it"
    );
    let (shape, voxel) = (volume.shape(), volume.voxel_um_or_one());
    let sides: [f64; 3] = std::array::from_fn(|axis| shape[axis] as f64 * voxel[axis]);
    let mut order = [0, 1, 2];
    order.sort_by(|a, b| sides[*a].total_cmp(&sides[*b]));
    if sides[order[0]] < THIN * sides[order[1]] && order[0] != 0 {
        let likely = if order[0] == 1 { "y-zx" } else { "xy-z" };
        text += &format!(
            "; the {} axis is the shortest, which may be that of the beam: then the axes are {likely}",
            ["first", "second", "third"][order[0]]
        );
    }
    text
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: ReorientParams = typed(params)?;
    context.progress.check()?;
    let (grid, place) = regrid::grid_of(inputs)?;
    let mut notes = Vec::new();
    let given = order_given(&params.order)?;
    let order = match given {
        Some(order) => order,
        None => {
            let wanted = || {
                OpError::Parameter(
                    "labels alone do not tell their axes: give the volume too, or name the order".to_owned(),
                )
            };
            let (order, said) =
                guess(&context.progress, inputs.find_volume(regrid::VOLUME.name).ok_or_else(wanted)?)?;
            notes.push(said);
            order
        }
    };
    let data = match order {
        AxisOrder::ZYX => as_given(inputs),
        order => regrid::changed(&context.progress, inputs, &order, NAMES)?,
    };
    if order == AxisOrder::ZYX {
        notes.push("All is as it was".to_owned());
    } else {
        let what = if order.mirrors() {
            "the sample is its mirror image now (an odd number of exchanges and flips): right where the file held the mirror image, else add or take away one -"
        } else {
            "turned, not mirrored"
        };
        notes.push(format!("{order} to zyx: {what}"));
        let [z, y, x] = order.placed(place).origin_um;
        notes.push(format!(
            "Along each axis the box begins where it began before, at ({z}, {y}, {x}) {}",
            place.length()
        ));
    }
    let details = json!({
        "order": order.to_string(),
        "guessed": given.is_none(),
        "mirrored": order.mirrors(),
        "shape_zyx": order.turned(grid.shape),
    });
    Ok(Outcome { data, notes, details })
}

/// All that was given, as it was.
fn as_given(inputs: &Inputs) -> Vec<(&'static str, Data)> {
    let slots = [regrid::VOLUME.name, regrid::LABELS.name, regrid::OBJECTS.name];
    let named = |(slot, data): (&'static str, &Data)| {
        slots.iter().position(|known| *known == slot).map(|at| (NAMES[at], data.clone()))
    };
    inputs.iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::super::regrid::tests::{bead_um, context, given};
    use super::*;
    use crate::ops::{find, grid::Grid};

    fn reoriented(inputs: &Inputs, axes: &str) -> Result<Outcome, OpError> {
        find("reorient").unwrap().execute(&context(), inputs, &json!({ "order": axes }))
    }

    #[test]
    fn the_bead_goes_with_the_axes_in_volume_labels_and_objects() {
        let outcome = reoriented(&given(), "y-zx").unwrap();
        for (slot, data) in &outcome.data {
            let grid = Grid::of(data).unwrap();
            assert_eq!((grid.shape, grid.voxel_um), ([9, 10, 12], Some([0.02, 0.03, 0.01])), "{slot}");
            // What was z from its 4.5th voxel is y; what was y from its 3.5th of 9 runs backwards as z.
            let expected = [-2.0 + (8.0 - 3.5) * 0.02, 1.0 + 4.5 * 0.03, 0.5 + 6.5 * 0.01];
            let at = bead_um(data);
            assert!((0..3).all(|axis| (at[axis] - expected[axis]).abs() < 1e-12), "{slot}: {at:?}");
        }
        assert_eq!(outcome.details["mirrored"], false);
        let mirrored = reoriented(&given(), "yzx").unwrap();
        assert_eq!(mirrored.details["mirrored"], true);
        assert!(mirrored.notes.iter().any(|note| note.contains("mirror image")));
    }

    #[test]
    fn without_evidence_a_guess_changes_nothing_and_says_so() {
        let inputs = given();
        let outcome = reoriented(&inputs, "guess").unwrap();
        assert_eq!(Grid::of(outcome.get("reoriented").unwrap()), Grid::of(inputs.iter().next().unwrap().1));
        assert!(outcome.notes[0].contains("nothing is changed"), "{:?}", outcome.notes);
        let labels = Inputs::default().with("labels", super::super::regrid::tests::labelled());
        assert!(reoriented(&labels, "guess").unwrap_err().to_string().contains("give the volume too"));
        assert!(reoriented(&inputs, "zzx").unwrap_err().to_string().contains("zzx"));
    }
}
