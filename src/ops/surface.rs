//! The envelope of a cell or nucleus.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData, mask_of};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::segment::{EnvelopeParams, FoundStart, envelope};
use crate::volume::{ClassTable, Labels, Volume};

pub(super) static OP: Op = Op {
    id: "surface",
    label: "Evolve a surface",
    stage: Stage::Segment,
    summary: "Moves the surface of a cell or nucleus to where the values part, thin processes kept",
    about: "\
The surface of the start moves voxel by voxel to lie half way between the values inside and outside, each judged by \
its surroundings, so that filopodia and lamellipodia a few voxels wide are kept at their full width; it costs less \
where there is an edge, and there it comes to rest. Without a start it begins with the largest object above Otsu's \
threshold; where that is a capillary or a slab of ice, which goes on through the volume with one cross-section, the threshold is \
taken anew inside of it. What was taken is said; --above and --at choose otherwise. With --seed the start is a small region well inside that grows first. --reach holds the surface near a \
rough outline, as for a nucleus whose values are those of the cytoplasm. Where membranes are painted, edges are what \
looks like them; where a second class is painted too, the lower class is membrane and the other is not, and a forest \
learns to tell them. What is enclosed is inside, what does not hang together with the start is left out.

Sources: Chan and Vese (2001), doi:10.1109/83.902291; Lankton and Tannenbaum (2008), doi:10.1109/TIP.2008.2004611; Zhu \
and Yuille (1996), doi:10.1109/34.537343.",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "Where the surface moves" },
        Input { name: "start", kind: Kind::Labels, optional: true, doc: "What is labelled is inside at the start" },
        Input { name: "membranes", kind: Kind::Labels, optional: true, doc: "A few painted voxels of the membrane (of two classes: the lower is membrane, the other not)" },
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "Only where this is labelled" },
    ],
    outputs: &[Output { name: "envelope", kind: Kind::Labels }],
    params: &[
        Param::new(
            "smoothing",
            "Smoothing",
            ParamKind::Float { min: 0.0, max: 20.0 },
            "How much an even surface counts against the values",
        ),
        Param::new(
            "edges",
            "Edges",
            ParamKind::Float { min: 0.0, max: 20.0 },
            "How much less the surface costs where there is an edge",
        ),
        Param::new("seed", "Start is a seed", ParamKind::Bool, "The start lies well inside and has to grow first"),
        Param::new(
            "reach",
            "Reach",
            ParamKind::Float { min: 1.0, max: 10_000.0 },
            "How far the surface may move from the start; anywhere where left empty",
        )
        .unit("voxels")
        .optional(),
        Param::new(
            "class",
            "Class",
            ParamKind::Int { min: 1, max: 65_535 },
            "Class of the start that is moved; all that is labelled where left empty",
        )
        .optional(),
        Param::new(
            "above",
            "Start above",
            ParamKind::Float { min: -1.0e9, max: 1.0e9 },
            "Without a start: begin with an object of values above this, in the unit of the volume; found where left empty",
        )
        .optional(),
        Param::new(
            "at",
            "Start at",
            ParamKind::Text,
            "Without a start: begin with the object that holds this voxel, as Z,Y,X from 0; the largest one where left empty",
        )
        .optional(),
        Param::new(
            "scale",
            "Scale",
            ParamKind::Float { min: 0.0, max: 20.0 },
            "Standard deviation of the Gaussian that the values are smoothed with first",
        )
        .unit("voxels")
        .advanced(),
        Param::new("rounds", "Rounds", ParamKind::Int { min: 1, max: 100_000 }, "Most rounds of moves").advanced(),
    ],
    defaults: defaults_of::<EnvelopeParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let n = inputs.volume("volume")?.n_voxels() as u64;
    let given =
        ["start", "membranes"].iter().filter(|slot| inputs.find_labels(slot).is_some()).count() as u64;
    Ok(Forecast { bytes: n * (40 + 2 * given), seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: EnvelopeParams = typed(params)?;
    let volume = inputs.volume("volume")?;
    let start_data = inputs.find_labels("start");
    if let (Some(class), Some(start)) = (params.class, start_data)
        && !start.labels.ids().contains(&class)
    {
        return Err(OpError::Parameter(format!("class is {class}, but no voxel of the start has it")));
    }
    let start = start_data.map(|data| {
        let ids = data.labels.to_dense();
        match params.class {
            Some(class) => ids.mapv(|id| if id == class { id } else { 0 }),
            None => ids,
        }
    });
    let membranes = inputs.find_labels("membranes").map(|data| data.labels.to_dense());
    let mask = mask_of(inputs, "mask");
    let found = envelope(
        &context.progress,
        volume,
        start.as_ref().map(|a| a.view()),
        membranes.as_ref().map(|a| a.view()),
        mask.as_ref().map(|a| a.view()),
        &params,
    )
    .map_err(OpError::method)?;
    let mut notes = Vec::new();
    if !found.at_rest {
        notes.push(format!("The surface still moved after {} rounds: give more", found.rounds));
    }
    notes.extend(found.start.iter().flat_map(|start| start_notes(start, volume)));
    // The class that was moved keeps its name.
    let named = params.class.and_then(|class| start_data?.classes.get(class).cloned());
    let (id, classes) = match named {
        Some(class) => (class.id, ClassTable { classes: vec![class] }),
        None => (1, ClassTable::from_names(["cell"])),
    };
    let labels = Labels::from_dense(&found.labels.mapv(|inside| inside * id));
    let data = LabelData::on_grid_of(volume, labels, classes);
    let mut details = json!({ "voxels": found.voxels, "rounds": found.rounds, "at_rest": found.at_rest });
    if let Some(start) = &found.start {
        details["start"] = json!({
            "unit": volume.unit.ascii(), "above": start.above, "voxels": start.voxels, "next_voxels": start.next_voxels,
            "mounts_above": start.mounts_above, "spans_zyx": start.spans_zyx,
        });
    }
    Ok(Outcome { notes, details, ..Outcome::of("envelope", Data::Labels(Arc::new(data))) })
}

/// What the surface began with, and how to choose something else.
fn start_notes(start: &FoundStart, volume: &Volume<f32>) -> Vec<String> {
    let unit = volume.unit.shown();
    let value = |value: f64| format!("{value:.3} {unit}").trim_end().to_owned();
    let share = 100.0 * start.voxels as f64 / volume.n_voxels().max(1) as f64;
    let which = match start.at_zyx {
        Some([z, y, x]) => format!("the object at voxel {z},{y},{x}"),
        None => "the largest object".to_owned(),
    };
    let mount = match &*start.mounts_above {
        [] => String::new(),
        mounts => format!(
            ", inside what holds the sample (above {}, it goes through the volume with one cross-section)",
            mounts.iter().map(|above| value(*above)).collect::<Vec<_>>().join(", then ")
        ),
    };
    let mut notes = vec![format!(
        "Began with {which} above {}: {} voxels, {share:.1} % of the volume{mount}; --above, --at, --start or --mask choose another",
        value(start.above),
        start.voxels
    )];
    if start.spans_zyx.contains(&true) {
        let axes: Vec<&str> =
            ["z", "y", "x"].into_iter().zip(start.spans_zyx).filter(|(_, s)| *s).map(|(a, _)| a).collect();
        notes.push(format!(
            "It reaches from end to end of the volume along {}: see whether it is the cell and not what holds it",
            axes.join(" and ")
        ));
    }
    if start.at_zyx.is_none() && 2 * start.next_voxels >= start.voxels {
        notes.push(format!(
            "Another object has {} voxels: --at Z,Y,X begins with the one that holds that voxel",
            start.next_voxels
        ));
    }
    notes
}
