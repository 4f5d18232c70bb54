//! A volume in, a volume on the same grid out: filter.

use clap::{ArgMatches, Command};

use super::Subcommand;
use super::files::{array_output, output_arg, path, path_arg};
use super::grids::finish;
use super::options::{command_of, op, params_of};
use super::segment::{mask_input, mask_option, read_volume, resample_option};
use super::shell::Shell;
use crate::io;
use crate::ops::{Data, Inputs};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![Subcommand { build: filter_command, run: filter }]
}

fn filter_command() -> Command {
    command_of(op("filter"), &[])
        .arg(path_arg("volume", "What is filtered"))
        .arg(output_arg("VOLUME", "The filtered volume, in the unit of the other"))
        .arg(mask_option())
        .arg(resample_option())
        .after_help(
            "Examples:\n  waterwindow filter cell.mrc -o smooth.mrc --sigma-nm 40\n  \
             waterwindow filter cell.mrc -o quiet.mrc --method median --radius 2\n  \
             waterwindow filter cell.mrc -o quiet.mrc --method non-local-means --mask cell_labels.mrc",
        )
}

fn filter(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("filter");
    let params = params_of(op, matches)?;
    let target = array_output(matches, "output")?;
    let file = path(matches, "volume")?;
    let header = io::read_header_of(file, &shell.read_options(file))?;
    let volume = Data::Volume(read_volume(shell, file)?);
    let inputs = mask_input(shell, matches, Inputs::default().with("volume", volume))?;
    let outcome = shell.execute(op, &inputs, &params)?;
    finish(shell, target, op, &params, &outcome, &header)
}
