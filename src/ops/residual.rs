//! What a volume leaves unexplained of the views it was made from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::data::{Data, Kind};
use super::op::{Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of};
use crate::recon::residuals;
use crate::volume::{Cell, Column, Table};

/// Nothing to choose.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ResidualParams {}

pub(super) static OP: Op = Op {
    id: "residual",
    label: "Residuals",
    stage: Stage::Quality,
    summary: "Compares every view with the reprojection of the volume",
    about: "\
The volume is projected along the direction of every view and taken from it, both where the alignment puts them. A view that \
was placed wrongly, has jumped or holds something that was not there in the others stands out by its root mean square.",
    inputs: &[
        Input { name: "series", kind: Kind::Series, optional: false, doc: "Absorbance of each view" },
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "The reconstruction of all rows" },
        Input {
            name: "alignment",
            kind: Kind::Alignment,
            optional: true,
            doc: "Shifts of the views; none where it is missing",
        },
    ],
    outputs: &[
        Output { name: "residual views", kind: Kind::Series },
        Output { name: "residuals", kind: Kind::Table },
    ],
    params: &[],
    defaults: defaults_of::<ResidualParams>,
    forecast: |inputs, _| {
        let n = inputs.series("series")?.data.len() as u64;
        Ok(Forecast { bytes: 8 * n, seconds: None })
    },
    run: |context, inputs, _| {
        let series = inputs.series("series")?;
        let alignment = inputs.alignment_or_still("alignment", series);
        let (left, lines) = residuals(&context.progress, series, &alignment, inputs.volume("volume")?)
            .map_err(OpError::method)?;
        let columns = [("view", ""), ("angle_deg", "°"), ("rms", ""), ("relative", ""), ("correlation", "")];
        let rows = lines.iter().map(|line| {
            vec![
                Cell::Integer(i64::try_from(line.index).unwrap_or(i64::MAX)),
                line.angle_deg.into(),
                line.rms.into(),
                line.relative.into(),
                line.correlation.into(),
            ]
        });
        let table = Table {
            columns: columns.map(|(name, unit)| Column::new(name, unit)).into(),
            rows: rows.collect(),
            notes: Vec::new(),
        };
        let n = lines.len().max(1) as f64;
        let rms = (lines.iter().map(|line| line.rms * line.rms).sum::<f64>() / n).sqrt();
        let worst = lines.iter().max_by(|a, b| a.rms.total_cmp(&b.rms)).map(|line| line.index);
        let correlation = lines.iter().map(|line| line.correlation).sum::<f64>() / n;
        Ok(Outcome {
            data: vec![
                ("residual views", Data::Series(Arc::new(left))),
                ("residuals", Data::Table(Arc::new(table))),
            ],
            notes: Vec::new(),
            details: json!({ "rms": rms, "correlation": correlation, "worst_view": worst }),
        })
    },
    policy: Policy::Queue,
};
