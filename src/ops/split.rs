//! Touching objects into instances.

use serde_json::{Value, json};

use super::data::{Inputs, Kind};
use super::ids::{INSTANCES, Marked};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::segment::{SplitMethod, SplitParams, split};

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

pub(super) static OP: Op = Op {
    id: "split",
    label: "Split objects",
    stage: Stage::Segment,
    summary: "Parts touching objects of a class and gives each an id of its own",
    about: "\
distance parts objects at necks narrower than --neck times the smaller one, by the watershed of the depth inside the \
class. intensity does the same with the values of the volume, for granules or droplets that absorb most in their \
middle. shape parts at every neck and puts together again what makes one convex body, so that long and bent \
mitochondria stay whole. Classes never mix. Lengths follow the edges of the voxels. Ids go in scan order; the table \
says which class an object belongs to.

Sources: watersheds after Meyer (1991); shallow summits joined after Edelsbrunner and others (2002), \
doi:10.1007/s00454-002-2885-2.",
    inputs: &[
        Input { name: "labels", kind: Kind::Labels, optional: false, doc: "Classes whose objects touch" },
        Input { name: "volume", kind: Kind::Volume, optional: true, doc: "Values for the intensity method" },
        INSTANCES,
    ],
    outputs: &[
        Output { name: "instances", kind: Kind::Regions },
        Output { name: "objects", kind: Kind::Table },
    ],
    params: &[
        Param::new(
            "method",
            "By",
            ParamKind::Choice(&[
                choice("distance", "Distance"),
                choice("intensity", "Intensity"),
                choice("shape", "Shape"),
            ]),
            "What tells objects apart",
        ),
        Param::new(
            "class",
            "Class",
            ParamKind::Int { min: 1, max: 4_294_967_295 },
            "Only objects of the class with this id; of every class where left empty",
        )
        .optional(),
        Param::new(
            "neck",
            "Widest neck",
            ParamKind::Float { min: 0.0, max: 1.0 },
            "Widest neck that is cut, as a share of the smaller object's width, or of its height in value",
        ),
        Param::new(
            "convexity",
            "Convexity",
            ParamKind::Float { min: 0.0, max: 1.0 },
            "Parts stay one object if both together fill an ellipsoid this well, compared with each alone",
        )
        .only_with("method", &["shape"]),
        Param::new(
            "smoothing_voxels",
            "Smoothing",
            ParamKind::Float { min: 0.0, max: 20.0 },
            "Standard deviation of the Gaussian that the values are smoothed with",
        )
        .unit("voxels")
        .only_with("method", &["intensity"]),
        Param::new("dark", "Dark objects", ParamKind::Bool, "Objects are darker in their middle, not brighter")
            .only_with("method", &["intensity"]),
        Param::new(
            "min_voxels",
            "Smallest object",
            ParamKind::Int { min: 0, max: 1_000_000_000 },
            "Pieces of fewer voxels join the neighbour with the largest contact",
        )
        .unit("voxels")
        .advanced(),
    ],
    defaults: defaults_of::<SplitParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let marked = Marked::of(inputs)?;
    // Dense classes twice, heights, levels, order and ids.
    Ok(Forecast { bytes: marked.n_voxels() * (4 + marked.more_bytes() + 4 + 2 + 4 + 4), seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: SplitParams = typed(params)?;
    let marked = Marked::of(inputs)?;
    let volume = inputs.find_volume("volume").filter(|_| params.method == SplitMethod::Intensity);
    let (progress, um, volume) =
        (&context.progress, marked.voxel_um().or(marked.ratios()), volume.map(AsRef::as_ref));
    let found = match marked {
        Marked::Labels(data) => {
            split(progress, &data.labels.to_dense().view(), u32::from, um, volume, &params)
        }
        Marked::Regions(map) => split(progress, &map.data.view(), |id| map.class(id), um, volume, &params),
    }
    .map_err(OpError::method)?;
    let notes: Vec<_> = marked.missing_class(params.class).into_iter().collect();
    let details = json!({ "objects": found.objects.len() });
    let each: Vec<_> = found.objects.iter().map(|object| (object.id, object.class, object.voxels)).collect();
    let data = marked.objects(found.map, &each);
    Ok(Outcome { data, notes, details })
}
