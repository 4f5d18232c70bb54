//! Sums, differences, products and ratios of volumes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use super::regrid;
use crate::base::Unit;
use crate::filter::calculate::{CalculateParams, Calculation, Second, calculate};

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

pub(super) static OP: Op = Op {
    id: "calculate",
    label: "Calculate",
    stage: Stage::Reconstruct,
    summary: "Adds, subtracts, multiplies or divides two volumes on one grid, or a volume and a number",
    about: "\
Voxel by voxel, in 64 bits and rounded once. Both volumes must lie on one grid. A division by 0 gives NaN and is counted; \
what is NaN in either is NaN. With a mask the values outside it are those of the first volume. Sums and differences of one \
unit keep it, so that LAC minus LAC is LAC; products and ratios of two volumes are arbitrary. A number that is added \
is one in the unit of the volume; one that multiplies has none.",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "The first volume" },
        Input {
            name: "second",
            kind: Kind::Volume,
            optional: true,
            doc: "The second, on the same grid; not used where there is a number",
        },
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "Only where this is labelled" },
    ],
    outputs: &[Output { name: "calculated", kind: Kind::Volume }],
    params: &[
        Param::new(
            "operation",
            "Operation",
            ParamKind::Choice(&[
                choice("add", "First + second"),
                choice("subtract", "First − second"),
                choice("multiply", "First × second"),
                choice("divide", "First ÷ second"),
            ]),
            "What is done",
        ),
        Param::new(
            "constant",
            "Number",
            ParamKind::Float { min: -1e30, max: 1e30 },
            "A number in place of the second volume",
        )
        .optional(),
    ],
    defaults: defaults_of::<CalculateParams>,
    forecast: |inputs, _| {
        let n = inputs.volume("volume")?.n_voxels() as u64;
        let mask = if inputs.find_labels("mask").is_some() { 2 * n } else { 0 };
        Ok(Forecast { bytes: 4 * n + mask, seconds: None })
    },
    run,
    policy: Policy::Queue,
};

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: CalculateParams = typed(params)?;
    let volume = inputs.volume("volume")?;
    regrid::no_ids(volume, "reckoned with")?;
    let other = inputs.find_volume("second").filter(|_| params.constant.is_none());
    let second = match (params.constant, other) {
        (Some(number), _) => Second::Constant(number),
        (None, Some(volume)) => Second::Volume(volume.data.view()),
        (None, None) => {
            return Err(OpError::Parameter(
                "give a second volume or a number (--constant) to calculate with".to_owned(),
            ));
        }
    };
    let ids = inputs.find_labels("mask").map(|mask| mask.labels.to_dense());
    let mask = ids.as_ref().map(|ids| ids.view());
    let progress = &context.progress;
    let found = calculate(progress, &volume.data.view(), second, mask.as_ref(), params.operation)?;
    let unit = params.operation.unit(volume.unit, other.map(|volume| volume.unit));
    let mut notes = Vec::new();
    if params.constant.is_some() && inputs.find_volume("second").is_some() {
        notes.push("The second volume was not used: there is a number in its place".to_owned());
    }
    if found.by_zero > 0 {
        notes.push(format!("{} voxels were divided by 0 and are NaN", found.by_zero));
    }
    if found.too_large > 0 {
        notes.push(format!("{} results are beyond what 32 bits hold and are infinite", found.too_large));
    }
    notes.extend(unit_said(params.operation, [Some(volume.unit), other.map(|volume| volume.unit)], unit));
    if mask.is_some() && unit != volume.unit {
        notes.push("Outside the mask the values are those of the first volume, in its own unit".to_owned());
    }
    let details =
        json!({ "unit": unit.ascii(), "divided_by_zero": found.by_zero, "infinite": found.too_large });
    let calculated = volume.with_data(found.values, unit);
    Ok(Outcome { notes, details, ..Outcome::of("calculated", Data::Volume(Arc::new(calculated))) })
}

/// A sentence where the unit is not what one of both had.
fn unit_said(operation: Calculation, of: [Option<Unit>; 2], unit: Unit) -> Option<String> {
    let [Some(first), Some(second)] = of else { return None };
    let is_sum = matches!(operation, Calculation::Add | Calculation::Subtract);
    if is_sum && first != second {
        return Some(format!(
            "The units differ, {} and {}: the result has none",
            first.ascii(),
            second.ascii()
        ));
    }
    (unit != first).then(|| "The result has no unit of its own (arbitrary)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::regrid::tests::{context, given, labelled};
    use super::*;
    use crate::ops::find;
    use crate::volume::Volume;

    fn with(second: Option<Volume<f32>>) -> Inputs {
        let given = given();
        let volume = Arc::clone(given.volume("volume").unwrap());
        let inputs = Inputs::default().with("volume", Data::Volume(volume));
        second
            .into_iter()
            .fold(inputs, |inputs, second| inputs.with("second", Data::Volume(Arc::new(second))))
    }

    fn run(inputs: &Inputs, params: Value) -> Result<Outcome, OpError> {
        find("calculate").unwrap().execute(&context(), inputs, &params)
    }

    fn result(outcome: &Outcome) -> &Volume<f32> {
        let Some(Data::Volume(volume)) = outcome.get("calculated") else { panic!("nothing was calculated") };
        volume
    }

    #[test]
    fn lac_minus_lac_is_lac_a_ratio_is_not_and_division_by_zero_is_counted() {
        let same = (**given().volume("volume").unwrap()).clone();
        let inputs = with(Some(same));
        let found = run(&inputs, Value::Null).unwrap();
        assert!(result(&found).data.iter().all(|v| *v == 0.0) && result(&found).unit == Unit::PerUm);
        let found = run(&inputs, json!({ "operation": "divide" })).unwrap();
        assert_eq!(result(&found).unit, Unit::Arbitrary);
        // All but the eight voxels of the bead are 0.
        assert_eq!(found.details["divided_by_zero"], json!(10 * 9 * 12 - 8));
        assert!(found.notes.iter().any(|note| note.contains("1072 voxels were divided by 0")));
    }

    #[test]
    fn a_number_stands_for_a_volume_and_a_mask_holds() {
        let inputs = with(None).with("mask", labelled());
        let found = run(&inputs, json!({ "operation": "multiply", "constant": 3.0 })).unwrap();
        assert_eq!((result(&found).data[[4, 3, 6]], result(&found).unit), (6.0, Unit::PerUm));
        assert!(run(&with(None), Value::Null).unwrap_err().to_string().contains("--constant"));
    }

    #[test]
    fn other_grids_are_refused_with_both() {
        let mut moved = (**given().volume("volume").unwrap()).clone();
        moved.origin_um[2] += 0.01;
        let said = run(&with(Some(moved)), Value::Null).unwrap_err().to_string();
        assert!(said.contains("0.5)") && said.contains("0.51)"), "{said}");
    }
}
