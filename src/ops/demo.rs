//! A synthetic cell under a simulated microscope: scan, true LAC, true labels.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::{Data, Inputs, Kind, LabelData};
use super::op::{Context, Forecast, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::phantom::{CellKind, CellParams, ScanKind, ScanParams, build_cell, scan};
use crate::volume::{Class, ClassTable, Labels};

/// What the user may choose of the demo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DemoParams {
    cell: CellKind,
    size: usize,
    scan: ScanKind,
    seed: u64,
    jitter: f64,
    beads: usize,
    views: Option<usize>,
    axis_offset: f64,
    flux: f64,
    noise: bool,
}

impl Default for DemoParams {
    fn default() -> Self {
        let (cell, scan) = (CellParams::default(), ScanParams::default());
        Self {
            cell: cell.kind,
            size: 256,
            scan: cell.scan,
            seed: 0,
            jitter: scan.jitter_px,
            beads: 0,
            views: None,
            axis_offset: scan.axis_offset_px,
            flux: scan.flux,
            noise: scan.noise,
        }
    }
}

pub(super) static OP: Op = Op {
    id: "demo",
    label: "Demo cell",
    stage: Stage::Scan,
    summary: "Makes a synthetic cell and scans it with a simulated microscope",
    about: "\
A yeast or a lymphocyte with membrane, nucleus, nucleolus, mitochondria, lipid droplets and vacuoles at the linear \
absorption coefficients of the field, scanned at full rotation or on a flat grid (±65°) with Poisson noise, an \
uneven and decaying beam, a dark level and, if asked, jitter and gold beads. The same seed gives the same bits. \
The truth comes with it, so that every later step can be judged.",
    inputs: &[],
    outputs: &[
        Output { name: "scan", kind: Kind::Scan },
        Output { name: "truth", kind: Kind::Volume },
        Output { name: "true labels", kind: Kind::Labels },
    ],
    params: &[
        Param::new(
            "cell",
            "Cell",
            ParamKind::Choice(&[
                Choice { value: "yeast", label: "Yeast" },
                Choice { value: "lymphocyte", label: "Lymphocyte" },
            ]),
            "Which cell is made",
        ),
        Param::new("size", "Size", ParamKind::Int { min: 16, max: 2048 }, "Edge of the cube of voxels; the field stays the same in µm")
            .unit("voxels"),
        Param::new(
            "scan",
            "Scan",
            ParamKind::Choice(&[
                Choice { value: "full", label: "Full rotation" },
                Choice { value: "grid", label: "Flat grid, ±65°" },
            ]),
            "Thin capillary at full rotation, or flat grid with a missing wedge",
        ),
        Param::new("seed", "Seed", ParamKind::Int { min: 0, max: i64::MAX }, "Another number, another cell"),
        Param::new(
            "jitter",
            "Jitter",
            ParamKind::Float { min: 0.0, max: 20.0 },
            "How far each view is displaced at random, standard deviation; a slow drift of the same size comes with it",
        )
        .unit("px"),
        Param::new("beads", "Gold beads", ParamKind::Int { min: 0, max: 200 }, "Fiducials on the cell's surface"),
        Param::new(
            "views",
            "Views",
            ParamKind::Int { min: 1, max: 3600 },
            "Number of views; 180 for a full rotation and 131 on a grid where left empty",
        )
        .optional()
        .advanced(),
        Param::new(
            "axis_offset",
            "Axis offset",
            ParamKind::Float { min: -200.0, max: 200.0 },
            "How far right of the middle column the rotation axis lies",
        )
        .unit("px")
        .advanced(),
        Param::new(
            "flux",
            "Photons",
            ParamKind::Float { min: 1.0, max: 40_000.0 },
            "Photons per pixel and view without a sample",
        )
        .advanced(),
        Param::new("noise", "Noise", ParamKind::Bool, "Photon and read noise").advanced(),
    ],
    defaults: defaults_of::<DemoParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(_inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let params: DemoParams = typed(params)?;
    let n = params.size as u64;
    let n_views = params.views.unwrap_or(180) as u64;
    // LAC, labels and a working copy of the volume; views as f32 and u16, frames.
    Ok(Forecast { bytes: n * n * n * (4 + 2 + 4) + n * n * (n_views * 6 + 60), seconds: None })
}

fn run(context: &Context, _inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: DemoParams = typed(params)?;
    let cell = CellParams {
        kind: params.cell,
        scan: params.scan,
        size: params.size,
        beads: params.beads,
        seed: params.seed,
    };
    let cell = build_cell(&context.progress, &cell).map_err(OpError::method)?;
    let scanned = ScanParams {
        n_views: params.views,
        jitter_px: params.jitter,
        axis_offset_px: params.axis_offset,
        flux: params.flux,
        noise: params.noise,
        seed: params.seed,
        ..ScanParams::default()
    };
    let simulated = scan(&context.progress, &cell, &scanned).map_err(OpError::method)?;
    let details = serde_json::to_value(&simulated.truth).unwrap_or(Value::Null);
    let labels = LabelData {
        labels: Labels::from_dense(&cell.labels.data),
        voxel_um: cell.labels.voxel_um,
        ratios: None,
        origin_um: cell.labels.origin_um,
        classes: true_classes(&simulated.truth.classes),
    };
    Ok(Outcome {
        data: vec![
            ("scan", Data::Scan(Arc::new(simulated.scan))),
            ("truth", Data::Volume(Arc::new(cell.lac))),
            ("true labels", Data::Labels(Arc::new(labels))),
        ],
        notes: Vec::new(),
        details,
    })
}

/// The classes of the true labels, with what the ontology knows of their names.
fn true_classes(names: &std::collections::BTreeMap<u16, String>) -> ClassTable {
    let mut table = ClassTable::default();
    for (&id, name) in names.iter().filter(|(id, _)| **id != 0) {
        if let Some(class) = table.proposed(name) {
            let color = crate::volume::classes::palette_color(usize::from(id) - 1);
            table.insert(Class { id, color, ..class });
        }
    }
    // 0 is the ice of the truth; who paints needs a class for it.
    if let Some(ice) = table.proposed("ice") {
        table.insert(ice);
    }
    table
}
