//! A volume in, a volume on the same grid out: filter.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::Subcommand;
use super::files::{array_output, output_arg, path, path_arg};
use super::grids::finish;
use super::options::{UsageError, command_of, op, params_of};
use super::segment::{mask_input, mask_option, read_volume, resample_option};
use super::shell::Shell;
use crate::io;
use crate::ops::{Data, Inputs};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![
        Subcommand { build: filter_command, run: filter },
        Subcommand { build: calculate_command, run: calculate },
    ]
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

fn calculate_command() -> Command {
    command_of(op("calculate"), &[])
        .arg(path_arg("volume", "The first volume"))
        .arg(
            Arg::new("second")
                .value_name("SECOND")
                .value_parser(value_parser!(PathBuf))
                .help("The second volume, on the same grid; or --constant"),
        )
        .arg(output_arg("VOLUME", "What is calculated"))
        .arg(mask_option())
        .arg(resample_option())
        .after_help(
            "Examples:\n  waterwindow calculate above.mrc below.mrc -o edge.mrc --operation subtract\n  \
             waterwindow calculate cell.mrc -o half.mrc --operation multiply --constant 0.5",
        )
}

fn calculate(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("calculate");
    let params = params_of(op, matches)?;
    let second = matches.get_one::<PathBuf>("second");
    if second.is_some() != params["constant"].is_null() {
        let wanted = "calculate takes a second volume or --constant, one of both";
        return Err(UsageError(wanted.to_owned()).into());
    }
    let target = array_output(matches, "output")?;
    let file = path(matches, "volume")?;
    let header = io::read_header_of(file, &shell.read_options(file))?;
    let mut inputs = Inputs::default().with("volume", Data::Volume(read_volume(shell, file)?));
    if let Some(second) = second {
        inputs = inputs.with("second", Data::Volume(read_volume(shell, second)?));
    }
    let outcome = shell.execute(op, &mask_input(shell, matches, inputs)?, &params)?;
    finish(shell, target, op, &params, &outcome, &header)
}
