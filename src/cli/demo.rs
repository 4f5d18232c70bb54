//! The demo cell as files: scan, truth and labels.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{check_folder, write_array};
use super::options::{command_of, op, params_of};
use super::segment::write_labels;
use super::shell::Shell;
use crate::base::Unit;
use crate::io::{self, WriteRequest};
use crate::ops::{Data, Inputs, Outcome};
use crate::volume::{AnyArray, Scan};

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
            .help("Folder for projections, flats, darks, angles, truth and labels"),
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

/// The same counts as MRC stacks with angles and as one NXtomo file.
fn write_scan(shell: &Shell, folder: &Path, scan: &Scan) -> anyhow::Result<()> {
    let stack = |array: &AnyArray, name: &str, angles_deg: &[f64]| -> anyhow::Result<Value> {
        let mut request = WriteRequest::new(array);
        request.unit = Some(Unit::Counts);
        request.voxel_um = scan.pixel_um.map(|um| [um; 3]);
        request.angles_deg = angles_deg.to_vec();
        request.energy_ev = scan.energy_ev;
        write_array(shell, &folder.join(name), &request)
    };
    stack(&scan.projections, "projections.mrc", &scan.angles_deg)?;
    io::write_angles(&folder.join("projections.rawtlt"), &scan.angles_deg)?;
    if let Some(flats) = &scan.flats {
        stack(flats, "flat.mrc", &[])?;
    }
    if let Some(darks) = &scan.darks {
        stack(darks, "dark.mrc", &[])?;
    }
    shell.with_progress(|progress| io::write_scan(&folder.join("scan.h5"), scan, progress))?;
    Ok(())
}
