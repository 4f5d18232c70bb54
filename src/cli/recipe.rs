//! Recipes: `run`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::json;

use super::Subcommand;
use super::files::{check_folder, path, path_arg};
use super::segment::{read_labels, read_volume};
use super::shell::Shell;
use crate::io::{self, ScanOptions};
use crate::ops::Data;
use crate::ops::recipe::Recipe;
use crate::session::write_outcome;

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![Subcommand { build: command, run }]
}

fn command() -> Command {
    Command::new("run")
        .about("Run the steps of a recipe on scans or volumes")
        .arg(path_arg("recipe", "RECIPE.json: operations with parameters"))
        .arg(
            Arg::new("inputs")
                .value_name("INPUTS")
                .num_args(0..)
                .value_parser(value_parser!(PathBuf))
                .help("What the first steps take: scans, volumes"),
        )
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("DIR")
                .default_value(".")
                .value_parser(value_parser!(PathBuf))
                .help("Folder for the results, named after step and output"),
        )
}

fn run(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let recipe = Recipe::parse(&io::read_text(path(matches, "recipe")?)?)?;
    let mut start = Vec::new();
    for file in matches.get_many::<PathBuf>("inputs").into_iter().flatten() {
        start.push(read_input(shell, file)?);
    }
    let folder = matches.get_one::<PathBuf>("output").context("--output is missing")?;
    check_folder(folder)?;
    let outcomes = shell.run(|context| recipe.run(context, start))?;
    io::create_folder(folder)?;
    let mut written = Vec::new();
    for (number, (op, outcome)) in outcomes.iter().enumerate() {
        outcome.notes.iter().for_each(|note| shell.note(note));
        let stem = format!("{:02}_{op}", number + 1);
        let (files, losses) =
            shell.with_progress(|progress| write_outcome(progress, folder, &stem, outcome))?;
        losses.iter().for_each(|loss| shell.note(loss));
        written.extend(files);
    }
    shell.finish(&json!({ "outputs": written }));
    Ok(())
}

/// What a file holds: landmark pairs (.csv), labels, a scan, or else a volume.
fn read_input(shell: &Shell, file: &Path) -> anyhow::Result<Data> {
    if file.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
        return Ok(Data::Landmarks(Arc::new(io::read_landmarks(file)?)));
    }
    let kind = io::read_header(file).map(|header| header.kind);
    if matches!(kind, Ok(io::Kind::Labels)) {
        return Ok(Data::Labels(Arc::new(read_labels(shell, file)?)));
    }
    let options = ScanOptions::default();
    let scan = shell.with_progress(|progress| io::read_scan(file, &options, progress, shell.budget));
    Ok(match scan {
        Ok(scan) => Data::Scan(Arc::new(scan)),
        // A file that is no array at all is refused with its own sentence.
        Err(problem) if kind.is_err() => return Err(problem.into()),
        Err(_no_scan) => Data::Volume(read_volume(shell, file)?),
    })
}
