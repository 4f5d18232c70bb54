//! A volume or labels in hand onto another grid: crop, bin, reorient, rescale.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{array_output, output_arg, path, path_arg, path_option, write_array};
use super::options::{command_of, op, params_of};
use super::segment::{mask_input, objects_option, read_ids, read_volume, write_labels, write_regions};
use super::shell::Shell;
use crate::io::{self, WriteRequest};
use crate::ops::grid::Grid;
use crate::ops::{Data, Inputs, Op, Outcome};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![
        Subcommand { build: crop_command, run: crop },
        Subcommand { build: bin_command, run: bin },
        Subcommand { build: reorient_command, run: reorient },
        Subcommand { build: rescale_command, run: rescale },
    ]
}

/// A command that takes one file, a volume or labels, and writes one of the kind.
fn command_on_one(id: &str) -> Command {
    command_of(op(id), &[])
        .arg(path_arg(
            "in",
            "A volume, labels or objects; --as labels where a file does not say that its values are ids",
        ))
        .arg(output_arg("OUT", "The same on its new grid"))
        .arg(objects_option())
}

/// What a file holds, in its slot: values, classes or objects.
fn input(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<(Inputs, io::Header)> {
    let file = path(matches, "in")?;
    let header = io::read_header_of(file, &shell.read_options(file))?;
    let objects = matches.get_one::<PathBuf>("objects");
    if header.kind != io::Kind::Labels && objects.is_none() {
        return Ok((Inputs::default().with("volume", Data::Volume(read_volume(shell, file)?)), header));
    }
    let ids = read_ids(shell, file, objects.map(PathBuf::as_path))?;
    let slot = if matches!(ids, Data::Regions(_)) { "instances" } else { "labels" };
    Ok((Inputs::default().with(slot, ids), header))
}

/// Writes the volume, labels or objects of an outcome with what the file said besides.
fn write(
    shell: &Shell,
    target: &Path,
    data: &Data,
    header: &io::Header,
    made: &str,
) -> anyhow::Result<Value> {
    match data {
        Data::Labels(labels) => write_labels(shell, target, labels),
        Data::Regions(map) => write_regions(shell, target, map),
        Data::Volume(volume) => {
            let mut request = WriteRequest::volume(volume);
            request.metadata.clone_from(&header.metadata);
            request.metadata.insert("made_by".to_owned(), made.to_owned());
            request.energy_ev = header.energy_ev;
            write_array(shell, target, &request)
        }
        other => anyhow::bail!("a {} is not written as an array", other.kind().words()),
    }
}

/// Runs an operation on one file and writes what comes of it.
fn run_on_one(
    shell: &Shell,
    matches: &ArgMatches,
    op: &'static Op,
    more: impl FnOnce(Inputs) -> anyhow::Result<Inputs>,
) -> anyhow::Result<()> {
    let params = params_of(op, matches)?;
    let target = array_output(matches, "output")?;
    let (inputs, header) = input(shell, matches)?;
    let outcome = shell.execute(op, &more(inputs)?, &params)?;
    finish(shell, target, op, &params, &outcome, &header)
}

/// Writes the first array of an outcome and says how it went.
pub(super) fn finish(
    shell: &Shell,
    target: &Path,
    op: &Op,
    params: &Value,
    outcome: &Outcome,
    header: &io::Header,
) -> anyhow::Result<()> {
    let first = outcome.data.iter().map(|(_, data)| data).find(|data| Grid::of(data).is_some());
    let Some(data) = first else { anyhow::bail!("nothing was made") };
    let made = format!("waterwindow {} {} {params}", env!("CARGO_PKG_VERSION"), op.id);
    let mut result = write(shell, target, data, header, &made)?;
    if let Some(grid) = Grid::of(data) {
        result["shape_zyx"] = json!(grid.shape);
        result["voxel_um"] = json!(grid.voxel_um);
        result["origin_um"] = json!(grid.origin_um);
    }
    if let Value::Object(details) = &outcome.details {
        for (name, value) in details {
            result[name.as_str()] = value.clone();
        }
    }
    result["notes"] = json!(outcome.notes);
    shell.finish(&result);
    Ok(())
}

fn crop_command() -> Command {
    command_on_one("crop")
        .arg(path_option("mask", "FILE", "Labels that the box encloses, on the grid of the file"))
        .after_help(
            "Examples:\n  waterwindow crop cell.rec -o part.mrc --z 40:200 --x 100:\n  \
             waterwindow crop cell.mrc -o part.mrc --y 1.5:4 --unit um\n  \
             waterwindow crop cell.mrc -o nucleus.mrc --mask labels.mrc --class 3 --margin-um 0.2",
        )
}

fn crop(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    run_on_one(shell, matches, op("crop"), |inputs| mask_input(shell, matches, inputs))
}

fn bin_command() -> Command {
    command_on_one("bin").after_help(
        "Examples:\n  waterwindow bin cell.rec -o small.mrc --factor 2\n  \
         waterwindow bin labels.mrc -o small_labels.mrc --factors-zyx 1,2,2",
    )
}

fn bin(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    run_on_one(shell, matches, op("bin"), Ok)
}

fn reorient_command() -> Command {
    command_on_one("reorient").after_help(
        "Examples:\n  waterwindow reorient imod.rec -o cell.mrc --order y-zx\n  \
         waterwindow reorient unknown.rec -o cell.mrc --order guess",
    )
}

fn reorient(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    run_on_one(shell, matches, op("reorient"), Ok)
}

fn rescale_command() -> Command {
    command_on_one("rescale").after_help(
        "Examples:\n  waterwindow rescale cell.rec -o cell.mrc --voxel-um 0.0325\n  \
         waterwindow rescale stored.mrc -o lac.mrc --factor 0.0001 --unit 1/um",
    )
}

fn rescale(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    run_on_one(shell, matches, op("rescale"), Ok)
}
