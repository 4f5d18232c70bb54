//! What a volume reads against the tabulated absorption of ice or glass, and the rescaled volume where asked.

use std::sync::Arc;

use serde_json::Value;

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::recon::{CalibrateParams, Calibration, calibrate};
use crate::volume::{Cell, Column, Table};

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

pub(super) static OP: Op = Op {
    id: "calibrate",
    label: "Check the absorption scale",
    stage: Stage::Reconstruct,
    summary: "Compares what vacuum and bulk ice or glass read with what they should, and rescales only where asked",
    about: "\
Vacuum should read 0 and bulk ice, or the glass of a capillary, what the table of its elements gives at the photon energy. \
Slope, offset and their confidence say how far the volume is off; a slope 15 % off, or values of the substance that scatter by more \
than 20 %, are warned of, because then something is wrong that a factor does not repair. Microscopes read dense gold 10 to \
20 % low because of stray light and the point spread, which is no error of the scale.

Source of the table: Henke, Gullikson and Davis (1993), Center for X-Ray Optics.",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "A reconstruction in 1/µm" },
        Input { name: "labels", kind: Kind::Labels, optional: true, doc: "Where the substance and vacuum lie, if classes are named" },
    ],
    outputs: &[
        Output { name: "calibration", kind: Kind::Table },
        Output { name: "calibrated", kind: Kind::Volume },
    ],
    params: &[
        Param::new(
            "material",
            "Substance",
            ParamKind::Choice(&[
                choice("ice", "Vitreous ice"),
                choice("glass", "Silica glass"),
                choice("water", "Water"),
                choice("polystyrene", "Polystyrene"),
                choice("protein", "Protein"),
                choice("lipid", "Lipid"),
                choice("gold", "Gold"),
            ]),
            "What is in the sample in bulk and has a known absorption",
        ),
        Param::new(
            "energy_ev",
            "Energy",
            ParamKind::Float { min: 272.549, max: 543.0 },
            "Photon energy; on the command line what the file says where it is not given",
        )
        .unit("eV")
        .optional(),
        Param::new(
            "reference_class",
            "Class of the substance",
            ParamKind::Int { min: 0, max: 65_535 },
            "Class of the labels that holds the substance; found by itself where left empty",
        )
        .optional(),
        Param::new(
            "vacuum_class",
            "Class of vacuum",
            ParamKind::Int { min: 0, max: 65_535 },
            "Class of the labels that holds vacuum; found by itself where left empty",
        )
        .optional(),
        Param::new("apply", "Rescale", ParamKind::Bool, "Also make the volume with offset and slope taken out"),
    ],
    defaults: defaults_of::<CalibrateParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let params: CalibrateParams = typed(params)?;
    let n = inputs.volume("volume")?.n_voxels() as u64;
    // A dense copy of the labels, the result, and a sixty-fourth of block statistics.
    let labels = if inputs.find_labels("labels").is_some() { 2 * n } else { 0 };
    Ok(Forecast { bytes: n / 2 + labels + if params.apply { 4 * n } else { 0 }, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: CalibrateParams = typed(params)?;
    let volume = inputs.volume("volume")?;
    // Labels are of use only for a class that was named; others may lie on another grid.
    let named = params.reference_class.is_some() || params.vacuum_class.is_some();
    let labels = inputs.find_labels("labels").filter(|_| named).map(|data| &data.labels);
    let found = calibrate(&context.progress, volume, labels, &params).map_err(OpError::method)?;
    let mut outcome = Outcome::of("calibration", Data::Table(Arc::new(table(&found))));
    if params.apply {
        outcome.data.push(("calibrated", Data::Volume(Arc::new(found.apply(volume)))));
    }
    outcome.notes.push(sentence(&found));
    outcome.notes.extend(found.warnings.iter().cloned());
    outcome.details = serde_json::to_value(&found).map_err(|error| OpError::Method(error.to_string()))?;
    outcome.details["applied"] = Value::Bool(params.apply);
    Ok(outcome)
}

fn sentence(found: &Calibration) -> String {
    let [low, high] = found.slope_interval;
    format!(
        "{} reads {:.4} 1/µm where {:.4} is tabulated at {} eV: slope {:.3} ({low:.3} to {high:.3}), offset {:+.4} 1/µm",
        found.material.name(),
        found.reference.mean,
        found.expected_per_um,
        found.energy_ev,
        found.slope,
        found.offset_per_um
    )
}

fn table(found: &Calibration) -> Table {
    let vacuum = found.vacuum.as_ref();
    let [low, high] = found.slope_interval;
    let cells: Vec<(&str, &str, Cell)> = vec![
        ("material", "", found.material.name().into()),
        ("energy_ev", "eV", found.energy_ev.into()),
        ("expected_per_um", "1/µm", found.expected_per_um.into()),
        ("read_per_um", "1/µm", found.reference.mean.into()),
        ("sd_per_um", "1/µm", found.reference.sd.into()),
        ("cv", "", found.cv.into()),
        ("voxels", "", (found.reference.voxels as u64).into()),
        ("vacuum_per_um", "1/µm", vacuum.map(|vacuum| vacuum.mean).into()),
        ("vacuum_voxels", "", vacuum.map(|vacuum| vacuum.voxels as u64).into()),
        ("slope", "", found.slope.into()),
        ("slope_low", "", low.into()),
        ("slope_high", "", high.into()),
        ("offset_per_um", "1/µm", found.offset_per_um.into()),
    ];
    let mut table = Table { notes: found.warnings.clone(), rows: vec![Vec::new()], ..Table::default() };
    for (name, unit, cell) in cells {
        table.columns.push(Column::new(name, unit));
        table.rows[0].push(cell);
    }
    table
}
