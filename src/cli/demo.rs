//! The demo cell as files: scan, truth, labels, strokes as a person would paint them, a second cell, a recipe.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{check_folder, write_array, write_stack};
use super::options::{command_of, op, params_of};
use super::segment::write_labels;
use super::shell::Shell;
use crate::base::Unit;
use crate::io::{self, WriteRequest};
use crate::ops::{Data, Inputs, LabelData, Outcome};
use crate::phantom::{self, CARVING_CLASSES, STROKE_CLASSES};
use crate::volume::{AnyArray, Class, ClassTable, Labels, Scan};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![Subcommand { build: command, run }]
}

fn command() -> Command {
    command_of(op("demo"), &[]).arg(
        Arg::new("out")
            .long("out")
            .value_name("DIR")
            .default_value("waterwindow-demo")
            .value_parser(value_parser!(PathBuf))
            .help("Folder for projections, flats, darks, angles, truth, labels, strokes, a second cell and a recipe"),
    )
}

fn run(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("demo");
    let params = params_of(op, matches)?;
    let folder = matches.get_one::<PathBuf>("out").context("--out is missing")?;
    check_folder(folder)?;
    let outcome = shell.execute(op, &Inputs::default(), &params)?;
    io::create_folder(folder)?;
    write_all(shell, folder, &outcome)?;
    let Some(Data::Labels(labels)) = outcome.get("true labels") else {
        anyhow::bail!("the demo gave no labels")
    };
    write_strokes(shell, folder, labels)?;
    io::write_json(&folder.join("recipe.json"), &recipe())?;
    write_second(shell, folder, &params)?;
    shell.finish(&json!({ "output": folder, "voxel_um": outcome.details["voxel_um"], "seed": outcome.details["seed"] }));
    Ok(())
}

fn write_all(shell: &Shell, folder: &Path, outcome: &Outcome) -> anyhow::Result<()> {
    let Some(Data::Scan(scan)) = outcome.get("scan") else { anyhow::bail!("the demo gave no scan") };
    write_scan(shell, folder, scan)?;
    if let Some(Data::Volume(truth)) = outcome.get("truth") {
        write_array(shell, &folder.join("truth.mrc"), &WriteRequest::volume(truth))?;
    }
    if let Some(Data::Labels(labels)) = outcome.get("true labels") {
        write_labels(shell, &folder.join("labels.mrc"), labels)?;
    }
    io::write_json(&folder.join("truth.json"), &outcome.details)?;
    Ok(())
}

/// A cell painted as a person would: for segmenting, interpolating and carving.
fn write_strokes(shell: &Shell, folder: &Path, labels: &LabelData) -> anyhow::Result<()> {
    let ids = labels.labels.to_dense();
    let painted = shell.with_progress(|progress| phantom::strokes(progress, &ids))?;
    for (name, ids, classes) in [
        ("scribbles.mrc", &painted.scribbles, &STROKE_CLASSES[..]),
        ("painted.mrc", &painted.painted, &STROKE_CLASSES[1..2]),
        ("strokes.mrc", &painted.carving, &CARVING_CLASSES[..]),
    ] {
        let mut table = ClassTable::default();
        for (id, name) in classes {
            if let Some(class) = table.proposed(name) {
                let color = crate::volume::classes::palette_color(usize::from(*id) - 1);
                table.insert(Class { id: *id, color, ..class });
            }
        }
        let data = LabelData { labels: Labels::from_dense(ids), classes: table, ..labels.clone() };
        write_labels(shell, &folder.join(name), &data)?;
    }
    Ok(())
}

/// What `run` and `watch` do with a scan.
fn recipe() -> Value {
    json!({ "waterwindow_recipe": 1, "steps": [
        { "op": "normalize" },
        { "op": "align" },
        { "op": "reconstruct", "params": { "method": "fbp" } },
    ]})
}

/// Another cell of the kind in a folder of its own: half as many views, in their places.
fn write_second(shell: &Shell, folder: &Path, params: &Value) -> anyhow::Result<()> {
    let op = op("demo");
    let mut params = op.complete(params)?;
    let usual = if params["scan"] == "grid" { 131 } else { 180 };
    params["views"] = json!((params["views"].as_u64().unwrap_or(usual) / 2).max(1));
    params["seed"] = json!(params["seed"].as_i64().unwrap_or(0).wrapping_add(1).max(0));
    params["jitter"] = json!(0.0);
    params["beads"] = json!(0);
    let outcome = shell.execute(op, &Inputs::default(), &params)?;
    let Some(Data::Scan(scan)) = outcome.get("scan") else { anyhow::bail!("the demo gave no second scan") };
    let folder = folder.join("second");
    io::create_folder(&folder)?;
    shell.with_progress(|progress| io::write_scan(&folder.join("scan.h5"), scan, progress))?;
    Ok(())
}

/// The same counts as MRC stacks with angles and as one NXtomo file.
fn write_scan(shell: &Shell, folder: &Path, scan: &Scan) -> anyhow::Result<()> {
    let stack = |array: &AnyArray, name: &str, angles_deg: &[f64]| -> anyhow::Result<Value> {
        let mut request = WriteRequest::new(array);
        request.unit = Some(Unit::Counts);
        request.voxel_um = scan.pixel_um.map(|um| [um; 3]);
        request.angles_deg = angles_deg.to_vec();
        request.energy_ev = scan.energy_ev;
        write_stack(shell, &folder.join(name), &request, angles_deg)
    };
    stack(&scan.projections, "projections.mrc", &scan.angles_deg)?;
    if let Some(flats) = &scan.flats {
        stack(flats, "flat.mrc", &[])?;
    }
    if let Some(darks) = &scan.darks {
        stack(darks, "dark.mrc", &[])?;
    }
    shell.with_progress(|progress| io::write_scan(&folder.join("scan.h5"), scan, progress))?;
    Ok(())
}
