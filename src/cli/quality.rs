//! How good a scan and its volume are, and what they cost: fsc, noise, dose.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{
    array_output, output_arg, path, path_arg, path_option, read_scan, scan_args, write_array,
};
use super::options::{UsageError, args_of, command_of, op, params_of};
use super::reconstruct::{align_args, align_source};
use super::scan::normalize_args;
use super::segment::{read_labels, read_volume};
use super::shell::Shell;
use crate::io::{self, WriteRequest};
use crate::measure::fsc::Curve;
use crate::ops::chain::{self, Chain};
use crate::ops::{Data, Inputs};
use crate::volume::Volume;

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![
        Subcommand { build: fsc_command, run: fsc },
        Subcommand { build: noise_command, run: noise },
        Subcommand { build: residual_command, run: residual },
        Subcommand { build: dose_command, run: dose },
    ]
}

/// Parameters of a reconstruction that make no sense for its halves, or have another option here.
const NOT_OF_HALVES: [&str; 4] = ["center", "half", "first_row", "end_row"];

fn fsc_command() -> Command {
    let [first, rest @ ..] = scan_args();
    command_of(op("fsc"), &[])
        .override_usage(
            "waterwindow fsc A B -o CURVE.csv [OPTIONS]\n       waterwindow fsc SCAN -o CURVE.csv [OPTIONS]",
        )
        .arg(
            first.value_name("A|SCAN").help(
                "The volume from the even views; or, alone, a scan whose halves are reconstructed first",
            ),
        )
        .arg(
            Arg::new("odd")
                .value_name("B")
                .value_parser(value_parser!(PathBuf))
                .help("The volume from the odd views"),
        )
        .arg(output_arg("CURVE.csv", "Correlation by spatial frequency"))
        .arg(path_option("plot", "FILE.svg", "Also draw the curve"))
        .arg(path_option("labels", "FILE", "Compare only where this is labelled"))
        .args(rest.map(|arg| arg.help_heading("Of a scan")))
        .args(normalize_args())
        .args(align_args().map(|arg| arg.help_heading("Of a scan")))
        .args(
            args_of(op("reconstruct"), &NOT_OF_HALVES)
                .into_iter()
                .map(|arg| arg.help_heading("Reconstructing the halves of a scan")),
        )
        .after_help(
            "Examples:\n  waterwindow reconstruct scan.h5 -o cell.mrc --half both\n  \
             waterwindow fsc cell_even.mrc cell_odd.mrc -o fsc.csv --plot fsc.svg\n  \
             waterwindow fsc scan.h5 -o fsc.csv --method sirt --iterations 50",
        )
}

fn fsc(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let (op, file) = (op("fsc"), path(matches, "output")?);
    let params = params_of(op, matches)?;
    io::check_writable(file)?;
    let plot = matches.get_one::<PathBuf>("plot");
    if let Some(plot) = plot {
        if !plot.extension().is_some_and(|e| e.eq_ignore_ascii_case("svg")) {
            return Err(UsageError("--plot draws an .svg; give a name that ends so".to_owned()).into());
        }
        io::check_writable(plot)?;
    }
    let [even, odd] = match matches.get_one::<PathBuf>("odd") {
        Some(odd) => [read_volume(shell, path(matches, "scan")?)?, read_volume(shell, odd)?],
        None => halves(shell, matches)?,
    };
    let mut inputs = Inputs::default().with("even", Data::Volume(even)).with("odd", Data::Volume(odd));
    if let Some(labels) = matches.get_one::<PathBuf>("labels") {
        inputs = inputs.with("labels", Data::Labels(Arc::new(read_labels(shell, labels)?)));
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Table(table)) = outcome.get("FSC") else { anyhow::bail!("nothing was compared") };
    io::write_text(file, &table.to_csv())?;
    let mut result = outcome.details.clone();
    result["output"] = json!(file);
    if let (Some(plot), Some(curve)) = (plot, Curve::of_table(table)) {
        io::write_text(plot, &io::fsc_chart(&curve).svg())?;
        result["plot"] = json!(plot);
    }
    result["notes"] = json!(outcome.notes);
    shell.finish(&result);
    Ok(())
}

/// Reconstructs the even and the odd views of the scan.
fn halves(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<[Arc<Volume<f32>>; 2]> {
    let scan = read_scan(shell, matches)?;
    let mut params = params_of(op("reconstruct"), matches)?;
    let chain = Chain {
        normalize: params_of(op("normalize"), matches)?,
        align: align_source(matches, &scan)?,
        ..Chain::default()
    };
    params["half"] = json!("even");
    chain::check_memory(&scan, &params, false, shell.budget)?;
    let prepared = shell.run(|context| chain::prepare(context, scan, &chain))?;
    prepared.notes.iter().for_each(|note| shell.note(note));
    let (pair, notes) = shell.run(|context| prepared.halves(context, &params))?;
    notes.iter().for_each(|note| shell.note(note));
    Ok(pair)
}

fn noise_command() -> Command {
    command_of(op("noise"), &[])
        .arg(path_arg("even", "The volume from the even views"))
        .arg(path_arg("odd", "The volume from the odd views"))
        .arg(output_arg("NOISE", "Standard deviation of the noise around every voxel"))
        .after_help("Example:\n  waterwindow noise cell_even.mrc cell_odd.mrc -o noise.mrc")
}

fn noise(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("noise");
    let params = params_of(op, matches)?;
    let target = array_output(matches, "output")?;
    let read =
        |name: &str| -> anyhow::Result<Data> { Ok(Data::Volume(read_volume(shell, path(matches, name)?)?)) };
    let inputs = Inputs::default().with("even", read("even")?).with("odd", read("odd")?);
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Volume(map)) = outcome.get("noise") else { anyhow::bail!("no noise was found") };
    let mut result = write_array(shell, target, &WriteRequest::volume(map))?;
    merge(&mut result, &outcome.details);
    shell.finish(&result);
    Ok(())
}

fn residual_command() -> Command {
    command_of(op("residual"), &[])
        .args(scan_args())
        .arg(
            Arg::new("volume")
                .value_name("VOLUME")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The reconstruction of all rows, binned or not"),
        )
        .args(normalize_args())
        .args(align_args())
        .arg(output_arg("TABLE.csv", "A line for each view"))
        .arg(path_option("views", "FILE", "Also write what is left over of every view"))
        .after_help("Example:\n  waterwindow residual scan.h5 cell.mrc --align align.json -o residuals.csv")
}

fn residual(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let file = path(matches, "output")?;
    io::check_writable(file)?;
    let views = matches.get_one::<PathBuf>("views");
    views.map_or(Ok(()), |file| io::check_array_output(file))?;
    let scan = read_scan(shell, matches)?;
    let chain = Chain {
        normalize: params_of(op("normalize"), matches)?,
        align: align_source(matches, &scan)?,
        ..Chain::default()
    };
    let volume = read_volume(shell, path(matches, "volume")?)?;
    let prepared = shell.run(|context| chain::prepare(context, scan, &chain))?;
    prepared.notes.iter().for_each(|note| shell.note(note));
    let inputs = Inputs::default()
        .with("series", Data::Series(Arc::clone(&prepared.series)))
        .with("alignment", Data::Alignment(Arc::clone(&prepared.alignment)))
        .with("volume", Data::Volume(volume));
    let outcome = shell.execute(op("residual"), &inputs, &json!({}))?;
    let Some(Data::Table(table)) = outcome.get("residuals") else { anyhow::bail!("nothing was compared") };
    io::write_text(file, &table.to_csv())?;
    let mut result = outcome.details.clone();
    result["output"] = json!(file);
    if let (Some(views), Some(Data::Series(series))) = (views, outcome.get("residual views")) {
        result["views"] = super::scan::write_series(shell, views, series)?;
    }
    shell.finish(&result);
    Ok(())
}

fn dose_command() -> Command {
    let [first, rest @ ..] = scan_args();
    command_of(op("dose"), &[])
        .arg(first.required(false).help("A scan whose counts and flats tell the light"))
        .args(rest.map(|arg| arg.help_heading("Of a scan")))
        .arg(path_option("table", "CSV", "Also write the numbers"))
        .after_help(
            "Examples:\n  waterwindow dose --energy-ev 520 --fluence 6.7e7 --views 131\n  \
             waterwindow dose scan.h5 --efficiency 0.05\n  \
             waterwindow dose --resolution-nm 40 --thickness-um 8 --contrast-per-um 0.05",
        )
}

fn dose(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("dose");
    let params = params_of(op, matches)?;
    let table_file = matches.get_one::<PathBuf>("table");
    table_file.map_or(Ok(()), |file| io::check_writable(file))?;
    let mut inputs = Inputs::default();
    if matches.get_one::<PathBuf>("scan").is_some() {
        inputs = inputs.with("scan", Data::Scan(read_scan(shell, matches)?));
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    let mut result = outcome.details.clone();
    if let (Some(file), Some(Data::Table(table))) = (table_file, outcome.get("dose")) {
        io::write_text(file, &table.to_csv())?;
        result["table"] = json!(file as &Path);
    }
    result["notes"] = json!(outcome.notes);
    shell.finish(&result);
    Ok(())
}

fn merge(result: &mut Value, details: &Value) {
    for (name, value) in details.as_object().into_iter().flatten() {
        result[name.as_str()] = value.clone();
    }
}
