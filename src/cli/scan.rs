//! From scan to volume: normalize, align, reconstruct.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{output_arg, path, path_option, read_scan, scan_args, write_array};
use super::options::{UsageError, command_of, op, params_of};
use super::shell::Shell;
use crate::io::{self, WriteRequest};
use crate::ops::chain::{self, AlignSource, Chain};
use crate::volume::{Alignment, Scan, TiltSeries, Volume};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![
        Subcommand { build: normalize_command, run: normalize },
        Subcommand { build: align_command, run: align },
        Subcommand { build: reconstruct_command, run: reconstruct },
    ]
}

fn normalize_command() -> Command {
    command_of(op("normalize"), &[])
        .args(scan_args())
        .arg(output_arg("ABSORBANCE", "Absorbance of each view, with its angles"))
}

fn normalize(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let scan = read_scan(shell, matches)?;
    let params = params_of(op("normalize"), matches)?;
    let (series, outcome) =
        shell.run_noted(|context| chain::normalize(context, Arc::clone(&scan), &params))?;
    let mut result = write_series(shell, path(matches, "output")?, &series)?;
    result["normalize"] = outcome.details;
    shell.finish(&result);
    Ok(())
}

/// Writes a tilt series with its angles; formats that hold no angles get a .rawtlt beside them.
fn write_series(shell: &Shell, file: &Path, series: &TiltSeries) -> anyhow::Result<Value> {
    let mut request = WriteRequest::new(&series.data);
    request.unit = Some(crate::base::Unit::Absorbance);
    request.voxel_um = series.pixel_um.map(|um| [um; 3]);
    request.angles_deg.clone_from(&series.angles_deg);
    request.energy_ev = series.energy_ev;
    let mut result = write_array(shell, file, &request)?;
    let angle_file = file.with_extension("rawtlt");
    io::write_angles(&angle_file, &series.angles_deg)?;
    result["angles"] = json!(angle_file);
    result["shape_zyx"] = json!(series.data.shape());
    Ok(result)
}

fn align_command() -> Command {
    command_of(op("align"), &[])
        .args(scan_args())
        .arg(output_arg("ALIGN.json", "Shifts of each view, in unbinned pixels"))
        .arg(path_option("xf", "FILE", "Also write an IMOD transform file"))
}

fn align(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let scan = read_scan(shell, matches)?;
    let params = params_of(op("align"), matches)?;
    let (series, _) =
        shell.run_noted(|context| chain::normalize(context, Arc::clone(&scan), &Value::Null))?;
    let (alignment, outcome) =
        shell.run_noted(|context| chain::align(context, Arc::clone(&series), &params))?;
    let file = path(matches, "output")?;
    io::write_alignment(file, &alignment)?;
    let mut result = json!({ "output": file, "method": alignment.method, "score": alignment.score, "align": outcome.details });
    if let Some(xf) = matches.get_one::<PathBuf>("xf") {
        io::write_xf(xf, &alignment)?;
        result["xf"] = json!(xf);
    }
    shell.finish(&result);
    Ok(())
}

fn reconstruct_command() -> Command {
    command_of(op("reconstruct"), &["center", "half"])
        .args(scan_args())
        .arg(output_arg("VOLUME", "The reconstruction, LAC in 1/µm where the pixel size is known"))
        .arg(
            Arg::new("align")
                .long("align")
                .value_name("auto|none|ALIGN.json|FILE.xf")
                .default_value("auto")
                .help("Find the alignment, use none (rotation axis at the middle column), or take it from a file"),
        )
        .arg(
            Arg::new("center")
                .long("center")
                .value_name("PX")
                .value_parser(value_parser!(f64))
                .help("Column of the rotation axis, from 0; takes the place of a search, implies --align none"),
        )
        .arg(Arg::new("rows").long("rows").value_name("A..B").help(
            "Only these rows, from 0, half open, into a .zarr that any number of processes fill",
        ))
        .arg(
            Arg::new("half")
                .long("half")
                .value_parser(["even", "odd", "both"])
                .help("Every other view only; both writes NAME_even and NAME_odd"),
        )
}

/// The alignment that --align and --center ask for.
fn align_source(matches: &ArgMatches, scan: &Scan) -> anyhow::Result<AlignSource> {
    let word = matches.get_one::<String>("align").map_or("auto", String::as_str);
    if let Some(center) = matches.get_one::<f64>("center") {
        let [_, _, n_cols] = scan.projections.shape();
        if !(0.0..=n_cols as f64 - 1.0).contains(center) {
            let last = n_cols.saturating_sub(1);
            return Err(UsageError(format!("--center is {center}, the columns are 0 to {last}")).into());
        }
        if matches.value_source("align") == Some(clap::parser::ValueSource::CommandLine) && word != "none" {
            return Err(UsageError("--center goes with --align none only".to_owned()).into());
        }
        let mut alignment = Alignment::identity(&scan.angles_deg);
        let shift = center - (n_cols as f64 - 1.0) / 2.0;
        alignment.views.iter_mut().for_each(|view| view.shift_x_px = shift);
        return Ok(AlignSource::Given(alignment));
    }
    Ok(match word {
        "auto" => AlignSource::Find(Value::Null),
        "none" => AlignSource::Given(Alignment::identity(&scan.angles_deg)),
        file if Path::new(file).extension().is_some_and(|e| e.eq_ignore_ascii_case("xf")) => {
            AlignSource::Given(io::read_xf(Path::new(file), &scan.angles_deg)?)
        }
        file => AlignSource::Given(io::read_alignment(Path::new(file))?),
    })
}

fn reconstruct(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let scan = read_scan(shell, matches)?;
    let chain = Chain {
        normalize: Value::Null,
        align: align_source(matches, &scan)?,
        reconstruct: params_of(op("reconstruct"), matches)?,
    };
    let outcome = shell.run(|context| chain::scan_to_volume(context, scan, &chain))?;
    outcome.notes.iter().for_each(|note| shell.note(note));
    let mut result = write_volume(shell, path(matches, "output")?, &outcome.volume)?;
    result["details"] = outcome.details;
    shell.finish(&result);
    Ok(())
}

/// Writes a volume and says its shape, unit and voxel size.
fn write_volume(shell: &Shell, file: &Path, volume: &Volume<f32>) -> anyhow::Result<Value> {
    let mut result =
        write_array(shell, file, &WriteRequest::volume(volume)).context("could not keep the result")?;
    result["shape_zyx"] = json!(volume.shape());
    result["unit"] = json!(volume.unit.ascii());
    result["voxel_um"] = json!(volume.voxel_um);
    Ok(result)
}
