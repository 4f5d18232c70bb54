//! A volume into small connected regions that follow its boundaries.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, mask_of};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::base::Unit;
use crate::gpu::Gpu;
use crate::segment::{SlicParams, SupervoxelMethod, supervoxels_between, supervoxels_on};

pub(super) static OP: Op = Op {
    id: "supervoxels",
    label: "Supervoxels",
    stage: Stage::Segment,
    summary: "Cuts a volume into small connected regions that follow its boundaries",
    about: "\
Simple linear iterative clustering in three dimensions: every voxel joins the nearest seed in value and place. \
Regions are connected, the same for any number of threads, and as large as half the smallest thing to be told apart.

On a graphics card, where there is one, voxels are compared with seeds there; a driver may round in another way, so \
that single voxels go to another region than on the processor. `--device cpu` gives the same bits everywhere.

Or a watershed of the gradient: every cell of a grid has one seed at its flattest voxel, and regions meet where the \
volume is steepest.

Or the regions between membranes: thin sheets darker (or brighter) than what they part are found by their shape, basins \
between them joined across the weakest wall until regions have the size asked for. Regions of like value on both sides \
of a membrane stay apart, and a gap of a few voxels does not join them. Where a few voxels of membranes (the lower class) and \
of anything else (other classes) are painted, a forest learns what a membrane is.

Sources: Achanta and others (2012), doi:10.1109/TPAMI.2012.120; Neubert and Protzel (2014), doi:10.1109/ICPR.2014.181; \
Sato and others (1998), doi:10.1016/S1361-8415(98)80009-1; Nunez-Iglesias and others (2013), \
doi:10.1371/journal.pone.0071715.",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "What is cut" },
        Input {
            name: "membranes",
            kind: Kind::Labels,
            optional: true,
            doc: "A few painted voxels: the lowest class is membrane, the others are not (method membranes)",
        },
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "Only where this is labelled" },
    ],
    outputs: &[Output { name: "regions", kind: Kind::Regions }],
    params: &[
        Param::new(
            "method",
            "Method",
            ParamKind::Choice(&[
                Choice { value: "slic", label: "Clusters (SLIC)" },
                Choice { value: "watershed", label: "Snap to borders (watershed)" },
                Choice { value: "membranes", label: "Between membranes" },
            ]),
            "Clusters of value and place, or a flood of the gradient from a grid of seeds whose regions meet on crests, \
             or basins between membranes joined across the weakest",
        ),
        Param::new("size_voxels", "Size", ParamKind::Float { min: 2.0, max: 64.0 }, "Edge of a region")
            .unit("voxels"),
        Param::new(
            "compactness",
            "Compactness",
            ParamKind::Float { min: 0.01, max: 100.0 },
            "How much a compact shape counts against an even value; larger makes cubes",
        )
        .only_with("method", &["slic", "watershed"]),
        Param::new("iterations", "Rounds", ParamKind::Int { min: 1, max: 50 }, "Rounds of assignment and update")
            .advanced()
            .only_with("method", &["slic"]),
        Param::new(
            "smoothing_voxels",
            "Smoothing",
            ParamKind::Float { min: 0.0, max: 10.0 },
            "Standard deviation of the Gaussian that the values are smoothed with first",
        )
        .unit("voxels")
        .advanced()
        .only_with("method", &["slic", "watershed"]),
        Param::new(
            "min_size",
            "Smallest",
            ParamKind::Float { min: 0.0, max: 1.0 },
            "Pieces smaller than this fraction of a region join a neighbour",
        )
        .advanced()
        .only_with("method", &["slic", "watershed"]),
        Param::new(
            "wall_voxels",
            "Thickness of membranes",
            ParamKind::Float { min: 1.0, max: 32.0 },
            "How thick membranes are",
        )
        .unit("voxels")
        .only_with("method", &["membranes"]),
        Param::new(
            "wall_nm",
            "Thickness in nm",
            ParamKind::Float { min: 0.1, max: 100_000.0 },
            "The same in nm, which goes before; needs the voxel size",
        )
        .unit("nm")
        .optional()
        .only_with("method", &["membranes"]),
        Param::new(
            "wall",
            "Membranes are",
            ParamKind::Choice(&[
                Choice { value: "dark", label: "Darker" },
                Choice { value: "bright", label: "Brighter" },
            ]),
            "Whether membranes are darker or brighter than what they part (where none are painted)",
        )
        .only_with("method", &["membranes"]),
    ],
    defaults: defaults_of::<SlicParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let params: SlicParams = typed(params)?;
    // Smoothed values, ids, joining; or heights, the sweep over them and the walls between fragments.
    let bytes = if params.method == SupervoxelMethod::Membranes { 40 } else { 14 };
    Ok(Forecast { bytes: inputs.volume("volume")?.n_voxels() as u64 * bytes, seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: SlicParams = typed(params)?;
    let volume = inputs.volume("volume")?;
    let mask = mask_of(inputs, "mask");
    let painted = inputs.find_labels("membranes").map(|data| data.labels.to_dense());
    if painted.is_some() && params.method != SupervoxelMethod::Membranes {
        return Err(OpError::Parameter("painted membranes need the method membranes".into()));
    }
    let mask = mask.as_ref().map(|mask| mask.view());
    let mut notes = Vec::new();
    let regions = if params.method == SupervoxelMethod::Slic {
        let gpu = Gpu::to_compute_on(context.device).unwrap_or_else(|error| {
            notes.push(format!("Supervoxels were made on the processor: {error}"));
            None
        });
        let (regions, note) =
            supervoxels_on(&context.progress, gpu, volume, mask, &params).map_err(OpError::method)?;
        notes.extend(note);
        regions
    } else {
        let painted = painted.as_ref().map(|painted| painted.view());
        supervoxels_between(&context.progress, volume, mask, painted, &params).map_err(OpError::method)?
    };
    let n = regions.n;
    let map = volume.with_data(regions.ids, Unit::Label);
    Ok(Outcome {
        notes,
        details: json!({ "regions": n }),
        ..Outcome::of("regions", Data::Regions(Arc::new(map.into())))
    })
}
