//! Numbers of classes and objects.

use std::sync::Arc;

use ndarray::ArrayView3;
use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::ids::{INSTANCES, Marked, with_classes_of};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::base::Unit;
use crate::measure::{MeasureError, MeasureInput, MeasureParams, measure};
use crate::volume::{ClassTable, LabelId, ObjectTable, RegionMap, Table, Volume};

pub(super) static OP: Op = Op {
    id: "measure",
    label: "Measure",
    stage: Stage::Measure,
    summary: "Measures volume, surface, shape and LAC of every class or object",
    about: "\
Volumes count voxels; surfaces are those of a smooth closed surface, not of voxel faces. LAC mean and standard \
deviation are over the voxels of the class. Objects are connected by faces, edges or corners. Where the voxel size \
is unknown, lengths are in voxels and the table says so.

Where ids are those of objects, as split and components give them, each is one object whatever its pieces, and its row \
has the class and name that the table of objects says; with labels beside the objects and no table, the class that most \
of its voxels have there. Ids above 65 535 without a table are classes of their own.",
    inputs: &[
        Input { name: "labels", kind: Kind::Labels, optional: false, doc: "Classes" },
        Input { name: "volume", kind: Kind::Volume, optional: true, doc: "Values for the LAC columns" },
        INSTANCES,
    ],
    outputs: &[Output { name: "measurements", kind: Kind::Table }],
    params: &[
        Param::new(
            "instances",
            "Each object",
            ParamKind::Bool,
            "One row per object instead of one per class",
        ),
        Param::new(
            "contacts",
            "Contacts",
            ParamKind::Bool,
            "Adds the contact area with every other class, in µm²",
        ),
        Param::new(
            "distances",
            "Distances",
            ParamKind::Bool,
            "Adds the distance to the nearest voxel of every other class, in µm",
        ),
        Param::new(
            "min_voxels",
            "Smallest object",
            ParamKind::Int { min: 1, max: 1_000_000_000 },
            "Leaves out objects of fewer voxels",
        )
        .unit("voxels")
        .advanced(),
    ],
    defaults: defaults_of::<MeasureParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let params: MeasureParams = typed(params)?;
    let marked = Marked::of(inputs)?;
    // Dense ids, objects, and distances where asked.
    let per_voxel = if params.distances { 14 } else { 6 };
    Ok(Forecast { bytes: marked.n_voxels() * per_voxel, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: MeasureParams = typed(params)?;
    let volume = inputs.find_volume("volume");
    let work = Work { context, marked: Marked::of(inputs)?, volume: volume.map(|volume| &**volume), params };
    let table = match work.marked {
        Marked::Labels(data) => work.table(data.labels.to_dense().view(), &data.classes, None),
        Marked::Regions(map) => {
            let placed: Option<RegionMap> = match inputs.find_labels("labels") {
                Some(labels) if map.objects.is_none() => Some(with_classes_of(map, labels)),
                _ => None,
            };
            let map = placed.as_ref().unwrap_or(map);
            work.table(map.data.view(), &map.classes(), map.objects.as_ref())
        }
    }
    .map_err(OpError::method)?;
    let mut notes = table.notes.clone();
    if let Some(volume) = volume.filter(|volume| volume.unit != Unit::PerUm) {
        let unit = volume.unit.ascii();
        notes.push(format!(
            "The values of the volume are in {unit}, not in 1/um; the LAC columns hold them as they are"
        ));
    }
    let rows = table.rows.len();
    Ok(Outcome {
        notes,
        details: json!({ "rows": rows }),
        ..Outcome::of("measurements", Data::Table(Arc::new(table)))
    })
}

/// What is measured, whatever the type of its ids.
struct Work<'a> {
    context: &'a Context,
    marked: Marked<'a>,
    volume: Option<&'a Volume<f32>>,
    params: MeasureParams,
}

impl Work<'_> {
    fn table<L: LabelId>(
        &self,
        labels: ArrayView3<'_, L>,
        classes: &ClassTable,
        objects: Option<&ObjectTable>,
    ) -> Result<Table, MeasureError> {
        let input = MeasureInput {
            labels,
            voxel_um: self.marked.voxel_um(),
            ratios: self.marked.ratios().or_else(|| self.volume.and_then(|volume| volume.ratios)),
            origin_um: self.marked.origin_um(),
            volume: self.volume,
            classes,
            objects,
        };
        measure(&self.context.progress, &input, &self.params)
    }
}
