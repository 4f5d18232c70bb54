//! Several scans or tomograms into one volume: dual, stitch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{
    array_output, output_arg, path, path_option, read_scan, read_scan_of, scan_args, scan_options,
    write_array,
};
use super::options::{command_of, op, params_of};
use super::scan::normalize_args;
use super::segment::{read_ids, read_volume, write_data};
use super::shell::Shell;
use crate::io::{self, WriteRequest};
use crate::ops::grid::Grid;
use crate::ops::stitch::SLOTS;
use crate::ops::{Data, Inputs, chain};
use crate::volume::Alignment;

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![Subcommand { build: dual_command, run: dual }, Subcommand { build: stitch_command, run: stitch }]
}

fn dual_command() -> Command {
    command_of(op("dual"), &[])
        .args(scan_args())
        .arg(
            Arg::new("second")
                .value_name("SCAN2")
                .required(true)
                .value_parser(clap::value_parser!(PathBuf))
                .help("The scan after the sample was turned a quarter about the beam"),
        )
        .args(normalize_args())
        .arg(output_arg("VOLUME", "LAC in 1/µm where the pixel size is known"))
        .arg(path_option("align", "ALIGN.json", "Alignment of the first scan [default: found]"))
        .arg(path_option("align-second", "ALIGN.json", "Alignment of the second scan [default: found]"))
        .after_help(
            "Example:\n  waterwindow dual first.h5 second.h5 -o cell.mrc --thickness 300 --iterations 40",
        )
}

fn dual(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("dual");
    let (params, normalize) = (params_of(op, matches)?, params_of(super::options::op("normalize"), matches)?);
    let target = array_output(matches, "output")?;
    let options = scan_options(matches)?;
    let second = matches.get_one::<PathBuf>("second").cloned().unwrap_or_default();
    refuse_one_file_twice(path(matches, "scan")?, &second)?;
    let first = read_scan(shell, matches)?;
    let second = read_scan_of(shell, &second, &options)?;
    let mut inputs = Inputs::default();
    for (scan, slots, option) in
        [(first, ["series", "alignment"], "align"), (second, ["second", "second alignment"], "align-second")]
    {
        let (series, _) = shell.run_noted(|context| chain::normalize(context, scan, &normalize))?;
        let alignment: Arc<Alignment> = match matches.get_one::<PathBuf>(option) {
            Some(file) => Arc::new(io::read_alignment(file)?),
            None => {
                shell.run_noted(|context| chain::align(context, Arc::clone(&series), None, &Value::Null))?.0
            }
        };
        inputs = inputs.with(slots[0], Data::Series(series)).with(slots[1], Data::Alignment(alignment));
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Volume(volume)) = outcome.get("volume") else {
        anyhow::bail!("nothing was reconstructed")
    };
    let mut result = write_array(shell, target, &WriteRequest::volume(volume))?;
    result["shape_zyx"] = json!(volume.shape());
    result["unit"] = json!(volume.unit.ascii());
    result["dual"] = outcome.details.clone();
    shell.finish(&result);
    Ok(())
}

/// Two axes need two scans.
fn refuse_one_file_twice(first: &Path, second: &Path) -> anyhow::Result<()> {
    let real = |file: &Path| std::fs::canonicalize(file).ok();
    let is_one = real(first).is_some_and(|file| Some(file) == real(second));
    anyhow::ensure!(
        !is_one,
        "both scans are {}: name the scan that was taken after the sample was turned a quarter as the second",
        first.display()
    );
    Ok(())
}

fn stitch_command() -> Command {
    command_of(op("stitch"), &[])
        .arg(
            Arg::new("volumes")
                .value_name("VOLUMES")
                .num_args(2..=SLOTS.len())
                .required(true)
                .value_parser(clap::value_parser!(PathBuf))
                .help("Two to eight tomograms that overlap, each with its origin"),
        )
        .arg(output_arg("VOLUME", "All of them in one"))
        .after_help("Example:\n  waterwindow stitch left.mrc right.mrc -o whole.mrc --search 2")
}

/// A volume, or labels where the file says so.
fn tomogram(shell: &Shell, file: &Path) -> anyhow::Result<Data> {
    let kind = io::read_header_of(file, &shell.read_options(file))?.kind;
    if kind != io::Kind::Labels {
        return Ok(Data::Volume(read_volume(shell, file)?));
    }
    match read_ids(shell, file, None)? {
        Data::Labels(labels) => Ok(Data::Labels(labels)),
        _ => anyhow::bail!(
            "ids of objects of two tomograms have nothing in common: stitch the labels of classes, then part them anew ({})",
            file.display()
        ),
    }
}

fn stitch(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("stitch");
    let params = params_of(op, matches)?;
    let target = array_output(matches, "output")?;
    let mut inputs = Inputs::default();
    let files = matches.get_many::<PathBuf>("volumes").into_iter().flatten();
    for (slot, file) in SLOTS.into_iter().zip(files) {
        inputs = inputs.with(slot, tomogram(shell, file)?);
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(stitched) = outcome.get("stitched") else { anyhow::bail!("nothing was stitched") };
    let mut result = write_data(shell, target, stitched)?;
    result["shape_zyx"] = json!(Grid::of(stitched).map(|grid| grid.shape));
    result["stitch"] = outcome.details.clone();
    shell.finish(&result);
    Ok(())
}
