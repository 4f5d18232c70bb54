//! One image brought into the frame of another by landmark pairs.

use std::sync::Arc;

use glam::DAffine3;
use ndarray::{Array3, ArrayView3};
use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData};
use super::ids::{INSTANCES, Marked};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::base::Unit;
use crate::correlate::{CorrelateParams, Registration, correlate};
use crate::kernels::resample::{GridFrame, resample, resample_nearest_by};
use crate::volume::{Cell, Column, LabelId, Labels, Table, Volume};

pub(super) static OP: Op = Op {
    id: "correlate",
    label: "Correlate",
    stage: Stage::Correlate,
    summary: "Brings a volume into the frame of another by landmark pairs",
    about: "\
Least-squares fit in closed form. The residual of a pair is not the accuracy: every pair is also left out in turn and \
predicted from the others, which is. A rigid or similarity fit never mirrors; a warning says where a mirrored one would \
fit clearly better. With both volumes given, the moving one is also drawn onto the grid of the fixed one, trilinear, 0 \
where it does not reach. Labels and objects are drawn by nearest id, so that none is invented.

Source: Horn (1987), doi:10.1364/JOSAA.4.000629.",
    inputs: &[
        Input { name: "landmarks", kind: Kind::Landmarks, optional: false, doc: "Pairs, positions in µm" },
        Input { name: "moving", kind: Kind::Volume, optional: true, doc: "The volume that is brought over" },
        Input { name: "fixed", kind: Kind::Volume, optional: true, doc: "The volume whose grid is kept" },
        Input { name: "labels", kind: Kind::Labels, optional: true, doc: "Labels that are brought over, by nearest id" },
        INSTANCES,
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
    let ids = match (Marked::of(inputs), inputs.find_volume("fixed")) {
        (Ok(marked), Some(fixed)) => {
            (2 + marked.more_bytes() / 2) * (marked.n_voxels() + 2 * fixed.n_voxels() as u64)
        }
        _ => 0,
    };
    Ok(Forecast { bytes: moved + ids, seconds: None })
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
    let Some(fixed) = inputs.find_volume("fixed") else { return Ok(outcome) };
    let unknown =
        |name: &str| format!("The voxel size of the {name} volume is unknown; a voxel counts as 1 µm");
    let onto = Onto { context, map: found.transform.affine(), fixed };
    let moving = inputs.find_volume("moving");
    let marked = Marked::of(inputs).ok();
    if moving.is_some_and(|moving| moving.voxel_um.is_none())
        || marked.is_some_and(|marked| marked.voxel_um().is_none())
    {
        outcome.notes.push(unknown("moving"));
    }
    if fixed.voxel_um.is_none() && (moving.is_some() || marked.is_some()) {
        outcome.notes.push(unknown("fixed"));
    }
    if let Some(moving) = moving {
        outcome.data.push(("moved", Data::Volume(Arc::new(onto.volume(moving)?))));
    }
    let slot = if moving.is_some() { "moved labels" } else { "moved" };
    match marked {
        Some(Marked::Labels(data)) => {
            let ids = onto.ids(&data.labels.to_dense().view(), marked)?;
            let (voxel_um, origin_um) = (Some(onto.grid().voxel_um), fixed.origin_um);
            let (labels, classes) = (Labels::from_dense(&ids), data.classes.clone());
            let moved = LabelData { labels, voxel_um, ratios: None, origin_um, classes };
            outcome.data.push((slot, Data::Labels(Arc::new(moved))));
        }
        Some(Marked::Regions(map)) => {
            let ids = onto.ids(&map.data.view(), marked)?;
            let volume = Volume::new(ids, Some(onto.grid().voxel_um), Unit::Label);
            let moved = map.with_volume(Volume { origin_um: fixed.origin_um, ..volume });
            outcome.data.push((slot, Data::Regions(Arc::new(moved))));
        }
        None => {}
    }
    Ok(outcome)
}

/// Where things are brought to, and how.
struct Onto<'a> {
    context: &'a Context,
    /// From the world of what is moved to that of the fixed volume.
    map: DAffine3,
    fixed: &'a Volume<f32>,
}

impl Onto<'_> {
    fn grid(&self) -> GridFrame {
        GridFrame::of(self.fixed)
    }

    /// A volume between its voxels by straight lines, but one of ids by the nearest.
    fn volume(&self, moving: &Volume<f32>) -> Result<Volume<f32>, OpError> {
        let (progress, grid) = (&self.context.progress, self.grid());
        if moving.unit != Unit::Label {
            return resample(progress, moving, &self.map, &grid, 0.0).map_err(OpError::method);
        }
        let from = GridFrame::of(moving);
        let data = resample_nearest_by(progress, &moving.data.view(), &from, &self.map, &grid)
            .map_err(OpError::method)?;
        Ok(Volume { origin_um: grid.origin_um, ..Volume::new(data, Some(grid.voxel_um), Unit::Label) })
    }

    /// Ids by the nearest.
    fn ids<L: LabelId>(
        &self,
        ids: &ArrayView3<'_, L>,
        marked: Option<Marked<'_>>,
    ) -> Result<Array3<L>, OpError> {
        let (z, y, x) = ids.dim();
        let from = GridFrame {
            shape: [z, y, x],
            voxel_um: marked.and_then(Marked::voxel_um).unwrap_or([1.0; 3]),
            origin_um: marked.map(Marked::origin_um).unwrap_or_default(),
        };
        resample_nearest_by(&self.context.progress, ids, &from, &self.map, &self.grid())
            .map_err(OpError::method)
    }
}
