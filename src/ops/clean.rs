//! Cleaning of labels: holes, islands, opening, closing, growing, shrinking, smoothing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData};
use super::ids::{INSTANCES, Marked, name, ranked};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::segment::{ClassList, CleanParams, Cleaned, CleanedClass, SegmentError, clean, clean_chosen};
use crate::volume::{Cell, Column, Labels, RegionMap, Table};

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
    inputs: &[Input { name: "labels", kind: Kind::Labels, optional: false, doc: "What is cleaned" }, INSTANCES],
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
    let marked = Marked::of(inputs)?;
    let n = marked.n_voxels();
    // Labels before and after, what is nearest, and the masks and distances of a class as large as the volume.
    Ok(Forecast { bytes: n * (6 + 2 * marked.more_bytes() + 4 + 10), seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: CleanParams = typed(params)?;
    let marked = Marked::of(inputs)?;
    let (cleaned, rows): (Data, Vec<(u32, CleanedClass)>) = match marked {
        Marked::Labels(data) => {
            let before = data.labels.to_dense();
            let found =
                clean(&context.progress, &before.view(), data.voxel_um, &params).map_err(OpError::method)?;
            let labels = LabelData { labels: Labels::from_dense(&found.labels), ..(**data).clone() };
            (
                Data::Labels(Arc::new(labels)),
                found.classes.iter().map(|class| (class.class, *class)).collect(),
            )
        }
        Marked::Regions(map) => {
            let (found, rows) = cleaned_objects(context, map, &params).map_err(OpError::method)?;
            (Data::Regions(Arc::new(found)), rows)
        }
    };
    let classes = marked.classes();
    let is_table = matches!(marked, Marked::Regions(map) if map.objects.is_some());
    let changed: u64 = rows.iter().map(|(_, class)| class.lost + class.gained).sum();
    let notes = if changed == 0 { vec!["Nothing had to be changed".to_owned()] } else { Vec::new() };
    let class_of = |id: u32| match marked {
        Marked::Labels(_) => id,
        Marked::Regions(map) => map.class(id),
    };
    let line = |(id, counts): &(u32, CleanedClass)| {
        let class = class_of(*id);
        let mut row = vec![Cell::from(u64::from(class)), Cell::Text(name(&classes, class))];
        row.extend(is_table.then(|| Cell::from(u64::from(*id))));
        row.extend([counts.before, counts.after, counts.gained, counts.lost].map(Cell::from));
        row
    };
    let head = ["class", "name"].into_iter().chain(is_table.then_some("object"));
    let columns =
        head.chain(["before", "after", "gained", "lost"]).map(|name| Column::new(name, "")).collect();
    let table = Table { columns, rows: rows.iter().map(line).collect(), ..Table::default() };
    let listed: Vec<&CleanedClass> = rows.iter().map(|(_, class)| class).collect();
    Ok(Outcome {
        details: json!({ "classes": listed }),
        data: vec![("cleaned", cleaned), ("changes", Data::Table(Arc::new(table)))],
        notes,
    })
}

/// Objects cleaned each by itself, and what changed of each by its id; those of the classes that the list names.
fn cleaned_objects(
    context: &Context,
    map: &RegionMap,
    params: &CleanParams,
) -> Result<(RegionMap, Vec<(u32, CleanedClass)>), SegmentError> {
    let chosen = ClassList::parse(&params.classes)?;
    let (ranks, ids) = ranked(&map.data);
    let id = |rank: u32| ids.get(rank as usize).copied().unwrap_or(0);
    let is_chosen = |rank: u32| chosen.contains(map.class(id(rank)));
    let Cleaned { labels, classes } =
        clean_chosen(&context.progress, &ranks.view(), map.voxel_um, is_chosen, params)?;
    drop(ranks);
    let named = |class: &CleanedClass| (id(class.class), CleanedClass { class: id(class.class), ..*class });
    let rows = classes.iter().map(named).collect();
    Ok((map.with_volume(map.volume.with_data(labels.mapv(id), map.unit)), rows))
}
