//! What lies between painted slices.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::segment::{InterpolateParams, InterpolatedClass, interpolate};
use crate::volume::Labels;

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

pub(super) static OP: Op = Op {
    id: "interpolate",
    label: "Interpolate slices",
    stage: Stage::Segment,
    summary: "Fills the slices between painted ones, class by class, from the shape of the outlines",
    about: "\
Painted slices are found by themselves: for each class along the axis with the most slices that lack it, or, where \
slices of several axes were painted, wherever it lies in sheets one voxel thick. Parts of a class are matched from \
slice to slice, so branches split and merge and neighbours stay apart; a part without a partner ends. The only part of two \
slices is moved from one to the other however far; where no parts of two slices belong together, that is said. The outline \
follows the curve through up to four painted slices. Classes that touch in the slices touch in between. Only \
unlabelled voxels are filled, and the new ones are also given on their own. With --round-ends a class is closed \
beyond its first and last slice, within one step of painting.

Source: shape-based interpolation after Raya and Udupa (1990), doi:10.1109/42.52980.",
    inputs: &[Input { name: "labels", kind: Kind::Labels, optional: false, doc: "Painted slices" }],
    outputs: &[
        // The whole comes last: the next step of a recipe takes the newest.
        Output { name: "new voxels", kind: Kind::Labels },
        Output { name: "interpolated", kind: Kind::Labels },
    ],
    params: &[
        Param::new(
            "axis",
            "Painted across",
            ParamKind::Choice(&[
                choice("auto", "Find out"),
                choice("z", "z"),
                choice("y", "y"),
                choice("x", "x"),
                choice("several", "Several axes"),
            ]),
            "Across which axis slices were painted",
        ),
        Param::new(
            "classes",
            "Classes",
            ParamKind::Text,
            "Ids of the classes that are interpolated, such as 2,5-7; all where left empty",
        ),
        Param::new(
            "max_gap",
            "Widest gap",
            ParamKind::Int { min: 1, max: 10_000 },
            "Most slices that are filled between two painted ones",
        )
        .unit("slices"),
        Param::new(
            "round_ends",
            "Round ends",
            ParamKind::Bool,
            "Closes a class beyond its first and last painted slice as its outline curves",
        ),
    ],
    defaults: defaults_of::<InterpolateParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let n: u64 = inputs.labels("labels")?.labels.shape().iter().map(|n| *n as u64).product();
    // Labels, new labels and both together; depths of all and of one class with their weights.
    Ok(Forecast { bytes: n * (6 + 4 + 8), seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: InterpolateParams = typed(params)?;
    let data = inputs.labels("labels")?;
    let painted = data.labels.to_dense();
    let found = interpolate(&context.progress, &painted.view(), data.voxel_um.or(data.ratios), &params)
        .map_err(OpError::method)?;
    let n: u64 = found.classes.iter().map(|class| class.voxels).sum();
    let mut notes: Vec<String> = found
        .classes
        .iter()
        .flat_map(|class| open_gaps(&data.classes.name(class.class), class, &params))
        .collect();
    if n == 0 && notes.is_empty() {
        let why = if found.classes.iter().any(|class| class.gaps > 0) {
            "What lies between the painted slices is labelled already, so nothing was filled"
        } else {
            "No class has a gap between painted slices, so nothing was filled"
        };
        notes.push(why.to_owned());
    }
    let whole = found.laid_over(&painted.view());
    let of = |array| {
        let labels = LabelData { labels: Labels::from_dense(array), ..(**data).clone() };
        Data::Labels(Arc::new(labels))
    };
    Ok(Outcome {
        details: json!({ "classes": found.classes, "new_voxels": n }),
        data: vec![("new voxels", of(&found.new)), ("interpolated", of(&whole))],
        notes,
    })
}

/// What is said of gaps of a class that stay open.
fn open_gaps(name: &str, class: &InterpolatedClass, params: &InterpolateParams) -> Vec<String> {
    let mut said = Vec::new();
    if class.apart > 0 {
        let (n, all) = (class.apart, class.gaps);
        said.push(format!(
            "{name}: {n} of {all} gaps stay open, for the parts painted on both sides do not overlap and lie too far apart: paint a slice between them"
        ));
    }
    if class.wide > 0 {
        let (n, most) = (class.wide, params.max_gap);
        said.push(format!("{name}: {n} gaps of more than {most} slices stay open (--max-gap)"));
    }
    said
}
