//! Classes by value: ranges, Otsu, mixtures, chromatin.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::base::Unit;
use crate::segment::threshold::Thresholded;
use crate::segment::{ThresholdMethod, ThresholdParams, threshold};
use crate::volume::{Cell, ClassTable, Column, Labels, Table};

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

pub(super) static OP: Op = Op {
    id: "threshold",
    label: "Threshold",
    stage: Stage::Segment,
    summary: "Labels voxels by their value: a range, Otsu's thresholds, a mixture, or chromatin",
    about: "\
range takes the values from --low to --high, in the unit of the volume (LAC in 1/µm). otsu finds the thresholds that \
leave the least variance within the classes. mixture fits Gaussians, says mean, standard deviation and share of each \
with their standard errors, and cuts where one class becomes more likely than the next. chromatin fits two Gaussians \
and the voxels that are mixed of both, which blur makes of every fine structure: class 1 is euchromatin, class 2 \
heterochromatin, and the fraction of each counts its part of the mixed voxels. Give the nucleus as --mask with \
--within, the id of its class; the other methods work within such a class too. Classes are numbered by ascending \
value; a value that is no number belongs to none. Standard errors come from leaving out one sixteenth of the domain \
in turn, in blocks of 16 voxels, so that neighbours that vary together do not count twice.

Sources: Otsu (1979), doi:10.1109/TSMC.1979.4310076; expectation maximisation after Dempster and others (1977); \
mixed voxels after Santago and Gage (1993).",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "What is labelled" },
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "Only where this is labelled" },
    ],
    outputs: &[
        Output { name: "classes by value", kind: Kind::Labels },
        Output { name: "classes", kind: Kind::Table },
    ],
    params: &[
        Param::new(
            "method",
            "Method",
            ParamKind::Choice(&[
                choice("otsu", "Otsu"),
                choice("mixture", "Mixture of Gaussians"),
                choice("chromatin", "Hetero- and euchromatin"),
                choice("range", "Range"),
            ]),
            "Where the thresholds come from",
        ),
        Param::new("classes", "Classes", ParamKind::Int { min: 1, max: 8 }, "How many classes there are")
            .only_with("method", &["otsu", "mixture"]),
        Param::new(
            "low",
            "From",
            ParamKind::Float { min: -1.0e9, max: 1.0e9 },
            "Smallest value of the range, in the unit of the volume; no bound where left empty",
        )
        .optional()
        .only_with("method", &["range"]),
        Param::new(
            "high",
            "To",
            ParamKind::Float { min: -1.0e9, max: 1.0e9 },
            "Largest value of the range, in the unit of the volume; no bound where left empty",
        )
        .optional()
        .only_with("method", &["range"]),
        Param::new(
            "within",
            "Within",
            ParamKind::Int { min: 1, max: 65_535 },
            "Class of the mask that is looked at, such as the nucleus; all that is labelled where left empty",
        )
        .optional(),
        Param::new(
            "partial_volume",
            "Mixed voxels",
            ParamKind::Bool,
            "The mixture also has voxels that lie across the border of two classes",
        )
        .only_with("method", &["mixture"])
        .advanced(),
        Param::new(
            "bins",
            "Bins",
            ParamKind::Int { min: 16, max: 65_536 },
            "Bins of the histogram that the thresholds are found on",
        )
        .advanced(),
    ],
    defaults: defaults_of::<ThresholdParams>,
    forecast,
    run,
    policy: Policy::Latest,
};

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let params: ThresholdParams = typed(params)?;
    let n = inputs.volume("volume")?.n_voxels() as u64;
    let mask = if inputs.find_labels("mask").is_some() { 2 * n } else { 0 };
    // Dense labels and their bricks; rough histograms of sixteen groups, a few at a time.
    let histograms = if params.method == ThresholdMethod::Range { 0 } else { 16 * 8 * (1 << 16) * 4 };
    Ok(Forecast { bytes: 4 * n + mask + histograms, seconds: None })
}

/// Names of the classes: those of chromatin, or the band of values.
fn class_table(found: &Thresholded, method: ThresholdMethod, unit: Unit) -> ClassTable {
    if method == ThresholdMethod::Chromatin {
        return ClassTable::from_names(["euchromatin", "heterochromatin"]);
    }
    let names = found.bands.iter().map(|band| {
        let text = match (band.low, band.high) {
            (None, Some(high)) => format!("below {high:.4}"),
            (Some(low), None) => format!("from {low:.4}"),
            (Some(low), Some(high)) => format!("{low:.4} to {high:.4}"),
            (None, None) => "all values".to_owned(),
        };
        format!("{text} {}", unit.shown()).trim().to_owned()
    });
    let names: Vec<String> = names.collect();
    ClassTable::from_names(names.iter().map(String::as_str))
}

fn table(found: &Thresholded, classes: &ClassTable, unit: Unit) -> Table {
    let mut columns: Vec<&str> = "class,name,low,high,voxels,share,mean,sd".split(',').collect();
    let fitted = "fitted_weight,fitted_weight_se,fitted_fraction,fitted_fraction_se,fitted_mean,fitted_mean_se,fitted_sd,fitted_sd_se,threshold_se";
    if found.mixture.is_some() {
        columns.extend(fitted.split(','));
    }
    let rows = found.bands.iter().enumerate().map(|(k, band)| {
        let mut row = vec![
            Cell::from(u64::from(band.class)),
            Cell::Text(classes.name(band.class)),
            Cell::from(band.low),
            Cell::from(band.high),
            Cell::from(band.voxels),
            Cell::from(band.share),
            Cell::from(band.mean),
            Cell::from(band.sd),
        ];
        if let Some((mixture, component)) =
            found.mixture.as_ref().and_then(|m| Some((m, m.components.get(k)?)))
        {
            for estimate in [component.weight, component.fraction, component.mean, component.sd] {
                row.extend([Cell::from(estimate.value), Cell::from(estimate.error)]);
            }
            row.push(Cell::from(mixture.thresholds.get(k).and_then(|t| t.error)));
        }
        row
    });
    let unit_of = |name: &str| match name.trim_end_matches("_se").trim_start_matches("fitted_") {
        "low" | "high" | "mean" | "sd" | "threshold" => unit.shown(),
        _ => "",
    };
    Table {
        rows: rows.collect(),
        columns: columns.iter().map(|name| Column::new(*name, unit_of(name))).collect(),
        ..Table::default()
    }
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: ThresholdParams = typed(params)?;
    let volume = inputs.volume("volume")?;
    let mask = inputs.find_labels("mask");
    let domain = mask.map(|data| data.labels.to_dense());
    let mut notes = Vec::new();
    if mask.is_none() && (params.within.is_some() || params.method == ThresholdMethod::Chromatin) {
        let wanted = "the labels that hold the nucleus, or what else is to be looked at, are missing: give them as mask";
        return Err(OpError::Parameter(wanted.to_owned()));
    }
    if let (Some(class), Some(mask)) = (params.within, mask)
        && !mask.labels.ids().contains(&class)
    {
        let name = mask.classes.name(class);
        return Err(OpError::Parameter(format!("within is {class}, but no voxel of the mask is {name}")));
    }
    let found = threshold(&context.progress, volume, domain.as_ref().map(|d| d.view()), &params)
        .map_err(OpError::method)?;
    if found.n_not_finite > 0 {
        notes.push(format!("{} voxels are NaN or infinite and belong to no class", found.n_not_finite));
    }
    let classes = class_table(&found, params.method, volume.unit);
    let details = json!({
        "unit": volume.unit.ascii(),
        "classes": found.bands,
        "otsu": found.otsu,
        "mixture": found.mixture,
        "not_finite": found.n_not_finite,
    });
    let table = table(&found, &classes, volume.unit);
    let labels = Labels::from_dense(&found.labels);
    let data = LabelData::on_grid_of(volume, labels, classes);
    Ok(Outcome {
        data: vec![
            ("classes by value", Data::Labels(Arc::new(data))),
            ("classes", Data::Table(Arc::new(table))),
        ],
        notes,
        details,
    })
}
