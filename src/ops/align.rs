//! Shifts of the views from the views alone.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::align::{AlignParams, Aligned, align};

pub(super) static OP: Op = Op {
    id: "align",
    label: "Align",
    stage: Stage::Align,
    summary: "Finds the rotation axis and how far each view has moved, without markers or by gold beads",
    about: "\
Rows give the shift along the rotation axis, the centre of mass the start across it. Then the volume is \
reconstructed from half of the views and reprojected at the angles of the others; each view is moved to where it \
fits best. Nothing is accepted that does not raise the score, the mean correlation of held-out views with their \
reprojection. At full rotation the direction of the axis is where no view seems turned beside its reprojection; it is \
kept where it is surely not 0. At limited tilt it is where the views, summed across it, give the same profile whatever \
the tilt; a sample that goes on beyond the field does not tell it, beads do. There views are first placed by comparing \
neighbours, then one after the other against what the nearest views show. The result is one shift along y and x per view, in unbinned pixels, and one \
rotation if there is any; nothing is resampled.

Gold beads (method fiducial) are found as small bright discs, followed from the flattest view outwards, measured to a \
tenth of a pixel and fitted all at once: positions of beads, shifts of views, the direction of the tilt axis, and \
with six beads or more magnification and change of tilt along the series where they are worth it. Wrong tracks \
do not count. What no fit can know is set: nothing changes at the view nearest 0°, the mean shift along y is 0, \
shifts along x hold no sinusoid of the tilt. Where beads are too few or held-out views fit worse than before, \
projection matching takes over and says so.

Patches (method patch) of views aligned without markers are followed through pieces of the series and fitted like \
beads; what they find is kept only where it raises the score.

Sources: Dengler (1989), doi:10.1016/0304-3991(89)90009-0; Mastronarde (2007), doi:10.1016/j.jsb.2006.07.009; Gürsoy and others (2017), doi:10.1038/s41598-017-12141-9.",
    inputs: &[
        Input { name: "series", kind: Kind::Series, optional: false, doc: "Absorbance of each view" },
        Input {
            name: "start",
            kind: Kind::Alignment,
            optional: true,
            doc: "Where to begin: its excluded views, tilts, rotations and magnifications are kept, its shifts are tried",
        },
    ],
    outputs: &[Output { name: "alignment", kind: Kind::Alignment }],
    params: &[
        Param::new(
            "method",
            "Method",
            ParamKind::Choice(&[
                Choice { value: "auto", label: "Automatic" },
                Choice { value: "axis", label: "Rotation axis only" },
                Choice { value: "fiducial", label: "Gold beads" },
                Choice { value: "patch", label: "Patches" },
                Choice { value: "projection", label: "Projection matching" },
                Choice { value: "none", label: "None" },
            ]),
            "What is aligned: automatic keeps whatever fits better than leaving the views alone",
        ),
        Param::new(
            "cycles",
            "Cycles",
            ParamKind::Int { min: 1, max: 100 },
            "Most cycles of projection matching at each binning; it stops when nothing moves any more",
        )
        .advanced(),
        Param::new(
            "finest_bin",
            "Finest binning",
            ParamKind::Int { min: 1, max: 16 },
            "Pixels that the finest comparison is binned by; as fine as 256 columns where left empty",
        )
        .unit("px")
        .optional()
        .advanced(),
        Param::new(
            "bead_px",
            "Bead diameter",
            ParamKind::Float { min: 2.0, max: 200.0 },
            "Diameter of the gold beads; guessed from the views where left empty",
        )
        .unit("px")
        .optional(),
        Param::new(
            "patch_px",
            "Patch size",
            ParamKind::Int { min: 16, max: 4096 },
            "Side of the patches that are followed; a fifth of the shorter side of the views where left empty",
        )
        .unit("px")
        .optional()
        .advanced(),
        Param::new(
            "direction",
            "Find the direction of the axis",
            ParamKind::Bool,
            "Look for the direction of the rotation axis in the plane of the views, up to 6°; beads tell it by themselves",
        )
        .advanced(),
    ],
    defaults: defaults_of::<AlignParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, _params: &Value) -> Result<Forecast, OpError> {
    let (n_views, n_rows, n_cols) = inputs.series("series")?.data.dim();
    let (views, volume) = ((n_views * n_rows * n_cols) as u64, (n_rows * n_cols * n_cols) as u64);
    // Filtered and reprojected views beside the binned ones, and the volume, as f32.
    Ok(Forecast { bytes: 4 * (3 * views + volume), seconds: None })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: AlignParams = typed(params)?;
    let start = inputs.find_alignment("start").map(AsRef::as_ref);
    let Aligned { alignment, notes } =
        align(&context.progress, inputs.series("series")?, start, &params).map_err(OpError::method)?;
    let mut details = json!({ "method": alignment.method, "score": alignment.score });
    if let Some(tracks) = &alignment.beads {
        let fitted = tracks.beads.iter().filter(|bead| bead.position_zyx.is_some()).count();
        details["beads"] =
            json!({ "found": tracks.beads.len(), "fitted": fitted, "points": tracks.n_points() });
    }
    Ok(Outcome { notes, details, ..Outcome::of("alignment", Data::Alignment(Arc::new(alignment))) })
}
