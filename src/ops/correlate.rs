//! One image brought into the frame of another by landmark pairs.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::correlate::{CorrelateParams, Registration, correlate};
use crate::kernels::resample::{GridFrame, resample};
use crate::volume::{Cell, Column, Table};

pub(super) static OP: Op = Op {
    id: "correlate",
    label: "Correlate",
    stage: Stage::Correlate,
    summary: "Brings a volume into the frame of another by landmark pairs",
    about: "\
Least-squares fit in closed form. The residual of a pair is not the accuracy: every pair is also left out in turn and \
predicted from the others, which is. A rigid or similarity fit never mirrors; a warning says where a mirrored one would \
fit clearly better. With both volumes given, the moving one is also drawn onto the grid of the fixed one, trilinear, 0 \
where it does not reach.

Source: Horn (1987), doi:10.1364/JOSAA.4.000629.",
    inputs: &[
        Input { name: "landmarks", kind: Kind::Landmarks, optional: false, doc: "Pairs, positions in µm" },
        Input { name: "moving", kind: Kind::Volume, optional: true, doc: "The volume that is brought over" },
        Input { name: "fixed", kind: Kind::Volume, optional: true, doc: "The volume whose grid is kept" },
    ],
    outputs: &[
        Output { name: "transform", kind: Kind::Transform },
        Output { name: "residuals", kind: Kind::Table },
        Output { name: "moved", kind: Kind::Volume },
    ],
    params: &[Param::new(
        "model",
        "Model",
        ParamKind::Choice(&[
            Choice { value: "rigid", label: "Rigid" },
            Choice { value: "similarity", label: "Similarity" },
            Choice { value: "affine", label: "Affine" },
        ]),
        "Rotation and shift; with one scale; or any linear map, which needs five pairs not in one plane",
    )],
    defaults: defaults_of::<CorrelateParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    inputs.landmarks("landmarks")?;
    let moved = match (inputs.find_volume("moving"), inputs.find_volume("fixed")) {
        (Some(_), Some(fixed)) => 4 * fixed.n_voxels() as u64,
        _ => 0,
    };
    Ok(Forecast { bytes: moved, seconds: None })
}

fn residuals(found: &Registration) -> Table {
    let column = |(name, unit): (&str, &str)| Column::new(name, unit);
    let rows = found.pairs.iter().map(|pair| {
        vec![
            Cell::from(pair.name.as_str()),
            Cell::from(u64::from(pair.used)),
            Cell::from(pair.residual_um),
            Cell::from(pair.left_out_um),
        ]
    });
    Table {
        columns: [("name", ""), ("used", ""), ("residual_um", "µm"), ("left_out_um", "µm")]
            .map(column)
            .into(),
        rows: rows.collect(),
        notes: found.warnings.clone(),
    }
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: CorrelateParams = typed(params)?;
    let found = correlate(inputs.landmarks("landmarks")?, &params).map_err(OpError::method)?;
    let details = json!({
        "model": params.model.word(), "fre_um": found.fre_um, "tre_um": found.tre_um, "landmarks": found.pairs,
    });
    let mut outcome = Outcome {
        data: vec![
            ("transform", Data::Transform(Arc::new(found.transform.clone()))),
            ("residuals", Data::Table(Arc::new(residuals(&found)))),
        ],
        notes: found.warnings,
        details,
    };
    if let (Some(moving), Some(fixed)) = (inputs.find_volume("moving"), inputs.find_volume("fixed")) {
        for (name, volume) in [("moving", moving), ("fixed", fixed)] {
            if volume.voxel_um.is_none() {
                outcome
                    .notes
                    .push(format!("The voxel size of the {name} volume is unknown; a voxel counts as 1 µm"));
            }
        }
        let grid = GridFrame::of(&**fixed);
        let moved = resample(&context.progress, moving, &found.transform.affine(), &grid, 0.0)
            .map_err(OpError::method)?;
        outcome.data.push(("moved", Data::Volume(Arc::new(moved))));
    }
    Ok(outcome)
}
