//! Labels onto the grid of a volume.

use serde_json::Value;

use super::data::{Data, Inputs, Kind};
use super::grid::{self, Grid};
use super::ids::{INSTANCES, Marked};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage};

pub(super) static OP: Op = Op {
    id: "resample",
    label: "Bring onto a grid",
    stage: Stage::Segment,
    summary: "Draws labels or objects on the grid of a volume: each voxel gets the id nearest to its centre",
    about: "\
For labels that were made on a binned, cut or differently placed copy of a volume. Places are those of the world: voxel \
size and origin of both must be right. Ids are never mixed or invented; what the labels do not reach is unlabelled. \
Classes, names and tables of objects stay.",
    inputs: &[
        Input { name: "labels", kind: Kind::Labels, optional: false, doc: "What is brought over" },
        Input {
            name: "volume",
            kind: Kind::Volume,
            optional: false,
            doc: "The volume whose grid they are to have",
        },
        INSTANCES,
    ],
    outputs: &[Output { name: "on the grid", kind: Kind::Labels }],
    params: &[],
    defaults: || Value::Object(serde_json::Map::new()),
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let marked = Marked::of(inputs)?;
    let n = inputs.volume("volume")?.n_voxels() as u64;
    let per_voxel = 2 + marked.more_bytes() / 2;
    Ok(Forecast { bytes: per_voxel * (marked.n_voxels() + 2 * n), seconds: None })
}

fn run(context: &Context, inputs: &Inputs, _params: &Value) -> Result<Outcome, OpError> {
    let grid = Grid::of_volume(inputs.volume("volume")?);
    let data = match Marked::of(inputs)? {
        Marked::Labels(data) => Data::Labels(data.clone()),
        Marked::Regions(map) => Data::Regions(map.clone()),
    };
    let own = Grid::of(&data).unwrap_or(grid);
    if own.voxel_um.is_some() != grid.voxel_um.is_some() {
        return Err(OpError::Method(format!(
            "one of both does not know its voxel size, so it is not known where it lies: the labels are {own}, the volume {grid}"
        )));
    }
    let found = grid::onto(context, &data, &grid)?;
    Ok(Outcome { notes: vec![format!("{own}, onto {grid}")], ..Outcome::of("on the grid", found) })
}
