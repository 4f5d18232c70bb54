//! Cleaning of labels: holes, islands, opening, closing, growing, shrinking, smoothing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::segment::{CleanParams, clean};
use crate::volume::{Cell, Column, Labels, Table};

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

/// Operations that have a radius.
const WITH_RADIUS: &[&str] = &["open", "close", "grow", "shrink", "smooth"];
/// Operations that have a smallest size.
const WITH_SIZE: &[&str] = &["remove-islands", "merge-small"];

pub(super) static OP: Op = Op {
    id: "clean",
    label: "Clean labels",
    stage: Stage::Segment,
    summary: "Fills holes, removes islands, opens, closes, grows, shrinks or smooths classes",
    about: "\
fill-holes fills what a class encloses. remove-islands takes objects below --min-voxels or --min-um3 away; \
keep-largest all but the largest of each class; merge-small gives them to the neighbouring class with the largest \
contact. open removes what is thinner than the ball of --radius, close bridges gaps narrower than it, grow and shrink \
move borders by it; they are exact Euclidean, and in nm they respect unequal edges. smooth gives each voxel the class \
whose blurred share is largest. A voxel that a class gives up becomes unlabelled. A class gains only unlabelled \
voxels unless --overwrite is given; of two classes that gain one voxel the nearest gets it. What the volume cuts off \
is taken to go on beyond its faces.

Source: Serra (1982), Image Analysis and Mathematical Morphology.",
    inputs: &[Input { name: "labels", kind: Kind::Labels, optional: false, doc: "What is cleaned" }],
    outputs: &[
        Output { name: "cleaned", kind: Kind::Labels },
        Output { name: "changes", kind: Kind::Table },
    ],
    params: &[
        Param::new(
            "operation",
            "Operation",
            ParamKind::Choice(&[
                choice("fill-holes", "Fill holes"),
                choice("remove-islands", "Remove islands"),
                choice("keep-largest", "Keep the largest"),
                choice("merge-small", "Merge small objects"),
                choice("open", "Open"),
                choice("close", "Close"),
                choice("grow", "Grow"),
                choice("shrink", "Shrink"),
                choice("smooth", "Smooth"),
            ]),
            "What is done",
        ),
        Param::new(
            "classes",
            "Classes",
            ParamKind::Text,
            "Ids of the classes that it is done to, such as 2,5-7; all where left empty",
        ),
        Param::new(
            "radius",
            "Radius",
            ParamKind::Float { min: 0.0, max: 1000.0 },
            "Radius of the ball, or standard deviation of the smoothing",
        )
        .unit("voxels")
        .only_with("operation", WITH_RADIUS),
        Param::new(
            "radius_nm",
            "Radius in nm",
            ParamKind::Float { min: 0.0, max: 1.0e6 },
            "The same in nm, in place of voxels",
        )
        .unit("nm")
        .optional()
        .only_with("operation", WITH_RADIUS),
        Param::new(
            "min_voxels",
            "Smallest object",
            ParamKind::Int { min: 0, max: 1_000_000_000_000 },
            "Objects of fewer voxels are small",
        )
        .unit("voxels")
        .only_with("operation", WITH_SIZE),
        Param::new(
            "min_um3",
            "Smallest volume",
            ParamKind::Float { min: 0.0, max: 1.0e9 },
            "Objects of less volume are small too",
        )
        .unit("µm³")
        .optional()
        .only_with("operation", WITH_SIZE),
        Param::new(
            "plane",
            "In",
            ParamKind::Choice(&[
                choice("volume", "Three dimensions"),
                choice("xy", "Slices xy"),
                choice("xz", "Slices xz"),
                choice("yz", "Slices yz"),
            ]),
            "In three dimensions, or in every slice on its own",
        ),
        Param::new("overwrite", "Take from others", ParamKind::Bool, "Voxels of other classes may be taken"),
        Param::new(
            "connectivity",
            "Neighbours",
            ParamKind::Choice(&[
                choice("faces", "Faces (6)"),
                choice("edges", "Edges (18)"),
                choice("corners", "Corners (26)"),
            ]),
            "Voxels that make one object: those that share a face, also an edge, or also a corner",
        )
        .only_with("operation", &["remove-islands", "keep-largest", "merge-small"])
        .advanced(),
    ],
    defaults: defaults_of::<CleanParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let n: u64 = inputs.labels("labels")?.labels.shape().iter().map(|n| *n as u64).product();
    // Labels before and after, what is nearest, and the masks and distances of a class as large as the volume.
    Ok(Forecast { bytes: n * (6 + 4 + 10), seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: CleanParams = typed(params)?;
    let data = inputs.labels("labels")?;
    let before = data.labels.to_dense();
    let found = clean(&context.progress, &before.view(), data.voxel_um, &params).map_err(OpError::method)?;
    let changed: u64 = found.classes.iter().map(|class| class.lost + class.gained).sum();
    let notes = if changed == 0 { vec!["Nothing had to be changed".to_owned()] } else { Vec::new() };
    let rows = found.classes.iter().map(|class| {
        let numbers = [class.before, class.after, class.gained, class.lost];
        let mut row = vec![Cell::from(u64::from(class.class)), Cell::Text(data.classes.name(class.class))];
        row.extend(numbers.map(Cell::from));
        row
    });
    let table = Table {
        columns: ["class", "name", "before", "after", "gained", "lost"]
            .map(|name| Column::new(name, ""))
            .into(),
        rows: rows.collect(),
        ..Table::default()
    };
    let details = json!({ "classes": found.classes });
    let labels = LabelData { labels: Labels::from_dense(&found.labels), ..(**data).clone() };
    Ok(Outcome {
        data: vec![("cleaned", Data::Labels(Arc::new(labels))), ("changes", Data::Table(Arc::new(table)))],
        notes,
        details,
    })
}
