//! Files as they are: info and convert.

use clap::{ArgMatches, Command};
use serde_json::json;

use super::Subcommand;
use super::files::{array_output, path, path_arg, written};
use super::shell::Shell;
use crate::io;

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![Subcommand { build: info_command, run: info }, Subcommand { build: convert_command, run: convert }]
}

fn info_command() -> Command {
    Command::new("info")
        .about("Say what a file holds: shape, type, voxel size, unit, angles, range")
        .arg(path_arg("file", "A scan, volume, label volume or project"))
}

fn info(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let file = path(matches, "file")?;
    let info = shell.with_progress(|progress| io::info(file, &shell.read_options(file), progress))?;
    shell.finish(&serde_json::to_value(info)?);
    Ok(())
}

fn convert_command() -> Command {
    Command::new("convert")
        .about("Copy an array into another format: type and values as they are")
        .arg(path_arg("in", "What to read"))
        .arg(path_arg(
            "out",
            "What to write; the format follows the extension (.mrc .rec .st .tif .zarr .h5 .npy)",
        ))
}

fn convert(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let source = path(matches, "in")?;
    let target = array_output(matches, "out")?;
    let options = shell.read_options(source);
    let done =
        shell.with_progress(|progress| io::convert(source, target, &options, progress, shell.budget))?;
    done.warnings.iter().for_each(|warning| shell.note(warning));
    let mut result = written(shell, target, &done.losses);
    result["shape_zyx"] = json!(done.shape);
    result["dtype"] = json!(done.dtype.name());
    shell.finish(&result);
    Ok(())
}
