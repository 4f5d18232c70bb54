//! From counts to absorbance and shifts: normalize, align.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{
    array_output, output_arg, path, path_option, read_scan, read_scan_of, scan_args, write_stack,
};
use super::options::{UsageError, args_of, command_of, op, params_of};
use super::shell::Shell;
use crate::io::{self, WriteRequest};
use crate::ops::{Data, Inputs, chain};
use crate::volume::{Alignment, TiltSeries};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![
        Subcommand { build: normalize_command, run: normalize },
        Subcommand { build: deconvolve_command, run: deconvolve },
        Subcommand { build: focal_command, run: focal },
        Subcommand { build: align_command, run: align },
    ]
}

fn normalize_command() -> Command {
    command_of(op("normalize"), &[])
        .args(scan_args())
        .arg(output_arg("ABSORBANCE", "Absorbance of each view, with its angles"))
}

fn normalize(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let params = params_of(op("normalize"), matches)?;
    let target = array_output(matches, "output")?;
    let scan = read_scan(shell, matches)?;
    let (series, outcome) =
        shell.run_noted(|context| chain::normalize(context, Arc::clone(&scan), &params))?;
    let mut result = write_series(shell, target, &series)?;
    result["normalize"] = outcome.details;
    shell.finish(&result);
    Ok(())
}

fn deconvolve_command() -> Command {
    command_of(op("deconvolve"), &[])
        .args(scan_args())
        .args(normalize_args())
        .arg(output_arg("ABSORBANCE", "Absorbance of each view, sharpened"))
        .after_help(
            "Example:\n  waterwindow deconvolve scan.h5 -o sharp.mrc --zone-nm 25\n  \
             waterwindow reconstruct sharp.mrc --input absorbance -o cell.mrc",
        )
}

fn deconvolve(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let scan = read_scan(shell, matches)?;
    series_op(shell, matches, "deconvolve", vec![("series", scan)])
}

fn focal_command() -> Command {
    command_of(op("focal"), &[])
        .args(scan_args())
        .arg(
            Arg::new("others")
                .value_name("SCAN2 [SCAN3]")
                .num_args(1..=2)
                .required(true)
                .value_parser(clap::value_parser!(PathBuf))
                .help("The same views at the next foci"),
        )
        .args(normalize_args())
        .arg(output_arg("ABSORBANCE", "Absorbance of each view, all foci together"))
        .after_help("Example:\n  waterwindow focal near.h5 middle.h5 far.h5 -o all.mrc --step-um 3")
}

fn focal(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let options = super::files::scan_options(matches)?;
    let mut scans = vec![("series", read_scan(shell, matches)?)];
    let others = matches.get_many::<PathBuf>("others").into_iter().flatten();
    for (slot, file) in ["second", "third"].into_iter().zip(others) {
        scans.push((slot, read_scan_of(shell, file, &options)?));
    }
    series_op(shell, matches, "focal", scans)
}

/// Normalises scans, runs an operation on the series and writes the series that it gives.
fn series_op(
    shell: &Shell,
    matches: &ArgMatches,
    id: &str,
    scans: Vec<(&'static str, Arc<crate::volume::Scan>)>,
) -> anyhow::Result<()> {
    let target = array_output(matches, "output")?;
    let (params, normalize) = (params_of(op(id), matches)?, params_of(op("normalize"), matches)?);
    let mut inputs = Inputs::default();
    for (slot, scan) in scans {
        let (series, _) = shell.run_noted(|context| chain::normalize(context, scan, &normalize))?;
        inputs = inputs.with(slot, Data::Series(series));
    }
    let outcome = shell.execute(op(id), &inputs, &params)?;
    let Some((_, Data::Series(series))) = outcome.data.first() else { anyhow::bail!("{id} gave no series") };
    let mut result = write_series(shell, target, series)?;
    result[id] = outcome.details.clone();
    shell.finish(&result);
    Ok(())
}

/// Writes a tilt series with its angles, in a .rawtlt beside it too.
pub(super) fn write_series(shell: &Shell, file: &Path, series: &TiltSeries) -> anyhow::Result<Value> {
    let mut request = WriteRequest::new(&series.data);
    request.unit = Some(crate::base::Unit::Absorbance);
    request.voxel_um = series.pixel_um.map(|um| [um; 3]);
    request.angles_deg.clone_from(&series.angles_deg);
    request.energy_ev = series.energy_ev;
    let mut result = write_stack(shell, file, &request, &series.angles_deg)?;
    result["shape_zyx"] = json!(series.data.shape());
    Ok(result)
}

/// Options of the normalising that comes before anything else is done with a scan.
pub(super) fn normalize_args() -> Vec<Arg> {
    args_of(op("normalize"), &[]).into_iter().map(|arg| arg.help_heading("Normalising")).collect()
}

fn align_command() -> Command {
    command_of(op("align"), &[])
        .args(scan_args())
        .args(normalize_args())
        .arg(output_arg(
            "ALIGN.json",
            "Shift, rotation, magnification and tilt of each view, in unbinned pixels",
        ))
        .arg(path_option("start", "ALIGN.json|FILE.xf|FILE.aln|FILE.txrm", "Begin from this alignment"))
        .arg(path_option("xf", "FILE", "Also write an IMOD transform file"))
        .arg(path_option("tlt", "FILE", "Also write the tilts, one a line"))
        .arg(path_option("aln", "FILE", "Also write an AreTomo alignment file"))
        .arg(path_option(
            "fiducials",
            "FILE.fid",
            "Also write the beads that were followed, as an IMOD model",
        ))
        .arg(path_option(
            "beads",
            "FILE.mod|.fid",
            "Begin from these beads, drawn on the views as they are; implies --method fiducial",
        ))
}

/// Files that an alignment is written to besides ALIGN.json.
const ALSO: [&str; 4] = ["xf", "tlt", "aln", "fiducials"];

fn align(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let mut params = params_of(op("align"), matches)?;
    let normalize = params_of(op("normalize"), matches)?;
    let file = path(matches, "output")?;
    io::check_writable(file)?;
    let also = |name: &str| matches.get_one::<PathBuf>(name);
    ALSO.iter().filter_map(|name| also(name)).try_for_each(|file| io::check_writable(file))?;
    let scan = read_scan(shell, matches)?;
    let mut start = also("start").map(|file| io::read_any_alignment(file, &scan.angles_deg)).transpose()?;
    if let Some(file) = also("beads") {
        let beads = io::read_imod(file, scan.n_views())?;
        start.get_or_insert_with(|| Alignment::identity(&scan.angles_deg)).beads = Some(beads);
        match params.get("method").and_then(Value::as_str) {
            None => params["method"] = json!("fiducial"),
            Some("fiducial") => {}
            Some(_) => return Err(UsageError("--beads goes with --method fiducial".to_owned()).into()),
        }
    }
    let (series, _) = shell.run_noted(|context| chain::normalize(context, Arc::clone(&scan), &normalize))?;
    let (alignment, outcome) = shell.run_noted(|context| {
        chain::align(context, Arc::clone(&series), start.clone().map(Arc::new), &params)
    })?;
    io::write_alignment(file, &alignment)?;
    let mut result = json!({ "output": file, "method": alignment.method, "score": alignment.score, "align": outcome.details });
    for (name, file) in ALSO.iter().filter_map(|name| Some((*name, also(name)?))) {
        match name {
            "xf" => io::write_xf(file, &alignment)?,
            "tlt" => {
                let tilts: Vec<f64> = alignment.views.iter().map(|view| view.angle_deg).collect();
                io::write_angles(file, &tilts)?;
            }
            "aln" => io::write_aln(file, &alignment, [series.n_rows(), series.n_cols()])?,
            _ => match &alignment.beads {
                Some(beads) => io::write_imod(file, beads, series.data.dim())?,
                None => anyhow::bail!("no beads were followed, nothing is written to {}", file.display()),
            },
        }
        result[name] = json!(file);
    }
    shell.finish(&result);
    Ok(())
}
