//! Overlapping tomograms into one.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::base::Unit;
use crate::correlate::stitch::{StitchParams, stitch};
use crate::correlate::stitch_labels::{LabelPart, stitch_labels};
use crate::volume::{ClassTable, Labels, Volume};

const fn slot(name: &'static str, optional: bool) -> Input {
    Input { name, kind: Kind::Volume, optional, doc: "A tomogram, its place given by its origin" }
}

/// Names of the slots, in order.
pub const SLOTS: [&str; 8] = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"];

pub(super) static OP: Op = Op {
    id: "stitch",
    label: "Stitch",
    stage: Stage::Correlate,
    summary: "Joins overlapping tomograms into one volume",
    about: "\
Every pair that overlaps is registered by the correlation coefficient, from coarse to fine and to a fraction of a voxel; all \
volumes are then placed by least squares over all pairs, so that errors do not add up along a chain. Where volumes overlap \
they are blended with weights that fall towards the border of each. Voxels and units must be the same; the places that the \
origins give need only be right within the search.

Label volumes are put together too, where their origins say, to the nearest voxel: where they overlap the earlier one keeps \
what it labels. Ids tell nothing about places, so they cannot be registered: stitch the volumes, give the labels the places \
that were found, and switch finding places off.",
    inputs: &[
        slot("first", false),
        slot("second", false),
        slot("third", true),
        slot("fourth", true),
        slot("fifth", true),
        slot("sixth", true),
        slot("seventh", true),
        slot("eighth", true),
    ],
    outputs: &[Output { name: "stitched", kind: Kind::Volume }],
    params: &[
        Param::new(
            "register",
            "Find the places",
            ParamKind::Bool,
            "Otherwise they are taken as the origins give them",
        ),
        Param::new(
            "search",
            "Search",
            ParamKind::Float { min: 0.0, max: 1000.0 },
            "How far off the given places may be; a tenth of the longest side where left empty",
        )
        .unit("µm")
        .optional(),
    ],
    defaults: defaults_of::<StitchParams>,
    forecast: |inputs, _| {
        let n = |labels: &Arc<LabelData>| labels.labels.shape().iter().map(|n| *n as u64).product::<u64>();
        let of_volumes: u64 = volumes(inputs).iter().map(|volume| 8 * volume.n_voxels() as u64).sum();
        let bytes = of_volumes + labels(inputs).iter().map(|labels| 6 * n(labels)).sum::<u64>();
        Ok(Forecast { bytes, seconds: None })
    },
    run,
    policy: Policy::Queue,
};

fn volumes(inputs: &Inputs) -> Vec<&Arc<Volume<f32>>> {
    SLOTS.iter().filter_map(|slot| inputs.find_volume(slot)).collect()
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: StitchParams = typed(params)?;
    let parts = labels(inputs);
    if !parts.is_empty() {
        return of_labels(context, inputs, &parts, &params);
    }
    if volumes(inputs).iter().any(|volume| volume.unit == Unit::Label) {
        return Err(OpError::Method(
            "ids of labels are never blended: give label volumes as labels".to_owned(),
        ));
    }
    let volumes: Vec<&Volume<f32>> = volumes(inputs).into_iter().map(|volume| &**volume).collect();
    let found = stitch(&context.progress, &volumes, &params, context.budget).map_err(OpError::method)?;
    let overlaps: Vec<Value> = found
        .overlaps
        .iter()
        .map(|o| {
            json!({
                "a": o.a,
                "b": o.b,
                "offset_voxels_zyx": o.offset_voxels,
                "correlation": o.correlation,
                "residual_voxels": o.residual_voxels,
            })
        })
        .collect();
    let details = json!({ "moved_voxels_zyx": found.moved_voxels, "overlaps": overlaps });
    Ok(Outcome { details, ..Outcome::of("stitched", Data::Volume(Arc::new(found.volume))) })
}

fn labels(inputs: &Inputs) -> Vec<&Arc<LabelData>> {
    SLOTS.iter().filter_map(|slot| inputs.find_labels(slot)).collect()
}

/// Label volumes put together where their origins say.
fn of_labels(
    context: &Context,
    inputs: &Inputs,
    parts: &[&Arc<LabelData>],
    params: &StitchParams,
) -> Result<Outcome, OpError> {
    if inputs.iter().count() > parts.len() {
        return Err(OpError::Method("label volumes are stitched with label volumes only".to_owned()));
    }
    if params.register {
        return Err(OpError::Method(
            "labels cannot be registered, their ids tell nothing about places: stitch the volumes, give the labels those places, and add --register=off"
                .to_owned(),
        ));
    }
    let dense: Vec<_> = parts.iter().map(|part| part.labels.to_dense()).collect();
    let placed: Vec<LabelPart<'_>> = parts
        .iter()
        .zip(&dense)
        .map(|(part, ids)| LabelPart { ids: ids.view(), voxel_um: part.voxel_um, origin_um: part.origin_um })
        .collect();
    let (ids, origin_um) = stitch_labels(&context.progress, &placed).map_err(OpError::method)?;
    let (classes, notes) = merged(parts);
    let (labels, first) = (Labels::from_dense(&ids), parts.first());
    let (voxel_um, ratios) = (first.and_then(|part| part.voxel_um), first.and_then(|part| part.ratios));
    let data = Data::Labels(Arc::new(LabelData { labels, voxel_um, ratios, origin_um, classes }));
    Ok(Outcome { notes, ..Outcome::of("stitched", data) })
}

/// The classes of all; where one id has two names the first stays, which is said.
fn merged(parts: &[&Arc<LabelData>]) -> (ClassTable, Vec<String>) {
    let (mut classes, mut notes) = (ClassTable::default(), Vec::new());
    for class in parts.iter().flat_map(|part| &part.classes.classes) {
        match classes.get(class.id) {
            None => {
                classes.insert(class.clone());
            }
            Some(known) if known.name != class.name => {
                notes.push(format!(
                    "Class {} is {} in one file and {} in another",
                    class.id, known.name, class.name
                ));
            }
            Some(_) => {}
        }
    }
    (classes, notes)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::base::{MemoryBudget, Progress};
    use crate::gpu::DeviceChoice;

    fn labels(id: u16, x_um: f64) -> Data {
        let labels = Labels::from_dense(&Array3::from_elem((2, 3, 10), id));
        let classes = ClassTable::default().with_ids([id]);
        let (voxel_um, origin_um) = (Some([0.02; 3]), [0.0, 0.0, x_um]);
        Data::Labels(Arc::new(LabelData { labels, voxel_um, ratios: None, origin_um, classes }))
    }

    #[test]
    fn labels_are_put_where_their_origins_say_and_never_registered() {
        let budget = MemoryBudget::from_gib(1.0);
        let context = Context { progress: Progress::new(), budget, device: DeviceChoice::Cpu };
        let inputs = Inputs::default().with("first", labels(3, 0.0)).with("second", labels(8, 0.12));
        let said = OP.execute(&context, &inputs, &json!({})).unwrap_err().to_string();
        assert!(said.contains("--register=off"), "{said}");
        let outcome = OP.execute(&context, &inputs, &json!({ "register": false })).unwrap();
        let Some(Data::Labels(whole)) = outcome.get("stitched") else { panic!("no labels") };
        let ids = whole.labels.to_dense();
        assert_eq!(ids.dim(), (2, 3, 16));
        assert!(ids.indexed_iter().all(|((_, _, x), id)| *id == if x < 10 { 3 } else { 8 }));
        assert_eq!(whole.classes.classes.len(), 2);
    }
}
