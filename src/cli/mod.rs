//! The command line: one file per group of subcommands, human or JSON output.
//!
//! The contract with outside scripts is in docs/command-line.md: names, options, fields and exit
//! codes stay. Options of an operation come from its entry in the registry.

mod combine;
mod convert;
mod demo;
mod drivers;
mod files;
mod filters;
mod grids;
mod human;
mod options;
mod output;
mod quality;
mod recipe;
mod reconstruct;
mod render;
mod render_surfaces;
mod report;
mod results;
mod resume;
mod scan;
mod segment;
mod shell;
mod tools;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

pub use drivers::silence as silence_drivers;
use shell::Shell;

/// A subcommand: how it is described and what it does.
struct Subcommand {
    build: fn() -> Command,
    run: fn(&Shell, &ArgMatches) -> anyhow::Result<()>,
}

/// Every subcommand, in the order of the work.
fn subcommands() -> Vec<Subcommand> {
    let mut all = Vec::new();
    all.extend(demo::subcommands());
    all.extend(convert::subcommands());
    all.extend(scan::subcommands());
    all.extend(reconstruct::subcommands());
    all.extend(combine::subcommands());
    all.extend(grids::subcommands());
    all.extend(filters::subcommands());
    all.extend(quality::subcommands());
    all.extend(segment::subcommands());
    all.extend(tools::subcommands());
    all.extend(results::subcommands());
    all.extend(render::subcommands());
    all.extend(recipe::subcommands());
    all.extend(watch::subcommands());
    all
}

/// The whole command line as clap sees it.
pub fn command() -> Command {
    let mut command = Command::new("waterwindow")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Soft X-ray tomography: from tilt series to calibrated volume, organelles and numbers")
        .after_help("Without a subcommand the workbench opens, with the files if any are named.")
        .args_conflicts_with_subcommands(true)
        .arg(
            Arg::new("files")
                .value_name("FILE")
                .num_args(0..)
                .value_parser(value_parser!(PathBuf))
                .help("Projects, scans, volumes or labels to open in the workbench"),
        )
        .arg(
            Arg::new("demo")
                .long("demo")
                .value_name("CELL")
                .value_parser(["yeast", "lymphocyte"])
                .help("Open the workbench on a synthetic cell"),
        )
        .args(global_options());
    for sub in subcommands() {
        command = command.subcommand((sub.build)());
    }
    command
}

/// Options that every subcommand takes.
fn global_options() -> [Arg; 13] {
    [
        Arg::new("json")
            .long("json")
            .global(true)
            .action(ArgAction::SetTrue)
            .help("Machine output on stdout; progress and messages go to stderr"),
        Arg::new("threads")
            .long("threads")
            .global(true)
            .value_name("N")
            .value_parser(value_parser!(u16).range(1..))
            .help("Threads to compute with [default: all cores]"),
        Arg::new("memory")
            .long("memory")
            .global(true)
            .value_name("GIB")
            .value_parser(value_parser!(f64))
            .help("Memory budget in GiB [default: three quarters of what is available]"),
        Arg::new("device")
            .long("device")
            .global(true)
            .value_parser(["auto", "cpu", "gpu"])
            .default_value("auto")
            .help("Where to compute and draw"),
        Arg::new("quiet")
            .long("quiet")
            .global(true)
            .action(ArgAction::SetTrue)
            .help("No progress, no messages"),
        choice("channel", "N", "Channel of the first file, where it has several, from 0 [default: 0, which is said]")
            .value_parser(value_parser!(usize)),
        choice("time", "N", "Point of time of the first file, where it has several, from 0 [default: 0, which is said]")
            .value_parser(value_parser!(usize)),
        choice("entry", "NAME", "Entry of the first file, where NeXus holds several scans"),
        choice("dataset", "PATH", "Array inside the first file (HDF5, OME-Zarr), as /exchange/data"),
        choice("axes", "ORDER", "What the axes of the first file are, slowest first: zyx, yzx …, - before one that runs backwards")
            .allow_hyphen_values(true),
        choice("as", "KIND", "What the first file holds, where it does not say: labels are ids, never interpolated, with the most frequent one in coarse levels")
            .value_parser(["labels", "volume"]),
        choice("voxel-um", "SIZE", "Voxel size of the first file, over what it says: one number in µm, or z,y,x; or with a unit, as 10nm")
            .allow_hyphen_values(true),
        choice("unit", "UNIT", "What the values of the first file mean, over what it says")
            .value_parser(["1/um", "1/voxel", "counts", "transmission", "absorbance", "arbitrary"]),
    ]
}

/// An option that chooses what is read of the first file.
fn choice(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .global(true)
        .value_name(value)
        .help(help)
        .help_heading("What is read of the first file")
}

/// Runs the subcommand that was named; exit code 0 when done, 1 on failure.
pub fn run(matches: &ArgMatches) -> ExitCode {
    let Some((name, sub_matches)) = matches.subcommand() else {
        return ExitCode::from(2);
    };
    let shell = match Shell::new(sub_matches) {
        Ok(shell) => shell,
        Err(error) => return fail(&error),
    };
    let Some(sub) = subcommands().into_iter().find(|sub| (sub.build)().get_name() == name) else {
        return ExitCode::from(2);
    };
    match (sub.run)(&shell, sub_matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Prints one clear line and gives exit code 1, or 2 where the usage was wrong.
#[expect(clippy::print_stderr, reason = "the error line of the command line")]
pub fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", output::sentence(error));
    ExitCode::from(if error.is::<options::UsageError>() { 2 } else { 1 })
}

/// Files named without a subcommand.
pub fn files(matches: &ArgMatches) -> Vec<PathBuf> {
    matches.get_many::<PathBuf>("files").into_iter().flatten().cloned().collect()
}

/// Whether nothing but an error is to be said.
pub fn is_quiet(matches: &ArgMatches) -> bool {
    let of_command = matches.subcommand().is_some_and(|(_, matches)| matches.get_flag("quiet"));
    of_command || matches.get_flag("quiet")
}

/// Whether the command may look for a graphics device.
pub fn may_ask_drivers(matches: &ArgMatches) -> bool {
    let Some((name, command)) = matches.subcommand() else { return false };
    match command.get_one::<String>("device").map(String::as_str) {
        Some("cpu") => false,
        Some("gpu") => true,
        _ => !["info", "convert"].contains(&name),
    }
}

/// The synthetic cell asked for with --demo.
pub fn demo_cell(matches: &ArgMatches) -> Option<String> {
    matches.get_one::<String>("demo").cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn no_parameter_takes_the_name_of_an_option_of_all_commands() {
        for op in crate::ops::registry() {
            for option in global_options() {
                let name = option.get_id().as_str().replace('-', "_");
                assert!(op.param(&name).is_none(), "{}: {name}", op.id);
            }
        }
    }
}
