//! Arguments that name files, and how their content is read and written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, value_parser};
use serde_json::{Value, json};

use super::options::UsageError;
use super::shell::Shell;
use crate::io::{self, AngleSource, ScanInput, ScanOptions, TiltAxis, ViewOrder, WriteRequest};
use crate::volume::Scan;

/// A required path argument.
pub(super) fn path_arg(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .value_name(name.to_ascii_uppercase())
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help(help)
}

/// The option -o, required.
pub(super) fn output_arg(value_name: &'static str, help: &'static str) -> Arg {
    Arg::new("output")
        .short('o')
        .long("output")
        .value_name(value_name)
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help(help)
}

/// An optional path option.
pub(super) fn path_option(name: &'static str, value_name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value_name).value_parser(value_parser!(PathBuf)).help(help)
}

/// The path given for an argument that clap requires.
pub(super) fn path<'a>(matches: &'a ArgMatches, name: &str) -> anyhow::Result<&'a Path> {
    matches.get_one::<PathBuf>(name).map(PathBuf::as_path).with_context(|| format!("{name} is missing"))
}

/// The output of an argument, seen to take an array in the format of its extension before any work.
pub(super) fn array_output<'a>(matches: &'a ArgMatches, name: &str) -> anyhow::Result<&'a Path> {
    let target = path(matches, name)?;
    io::check_array_output(target)?;
    Ok(target)
}

/// Sees to it that a folder takes files, or can be created, before any work.
pub(super) fn check_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(io::check_writable(&folder.join("waterwindow"))?);
    }
    let parent = folder.ancestors().skip(1).find(|parent| parent.exists() || parent.as_os_str().is_empty());
    match parent {
        Some(parent) if parent.as_os_str().is_empty() => Ok(io::check_writable(Path::new("waterwindow"))?),
        Some(parent) => Ok(io::check_writable(&parent.join("waterwindow"))?),
        None => Ok(()),
    }
}

/// SCAN and the options that every command with a scan accepts.
pub(super) fn scan_args() -> [Arg; 8] {
    [
        path_arg(
            "scan",
            "A scan: .h5/.nxs/.hdf5, .txrm/.xrm, a folder of .xrm, or a stack (.mrc .st .tif, a folder of TIFFs, .npy)",
        ),
        Arg::new("angles")
            .long("angles")
            .value_name("FILE|START:STEP")
            .allow_hyphen_values(true)
            .help("Tilt angles in degrees [default: in the file, or NAME.rawtlt/.tlt beside it]"),
        path_option("flat", "FILE", "Flat-field frames, a stack [default: flat.* in the same folder]"),
        path_option("dark", "FILE", "Dark frames, a stack [default: dark.* in the same folder]"),
        Arg::new("pixel-size")
            .long("pixel-size")
            .value_name("UM")
            .value_parser(value_parser!(f64))
            .help("Pixel size at the sample in µm [default: what the file says]"),
        Arg::new("input")
            .long("input")
            .value_parser(["counts", "transmission", "absorbance"])
            .help("What the values are [default: counts where flats are known]"),
        Arg::new("tilt-axis")
            .long("tilt-axis")
            .value_parser(["vertical", "horizontal"])
            .default_value("vertical")
            .help("How the tilt axis lies in the pictures; horizontal turns each a quarter on reading"),
        Arg::new("view-order")
            .long("view-order")
            .value_parser(["stored", "date", "angle"])
            .default_value("stored")
            .help("Order of the views: as stored, by the dates of the .mdoc beside, or by tilt"),
    ]
}

/// What the options of [`scan_args`] say.
pub(super) fn scan_options(matches: &ArgMatches) -> anyhow::Result<ScanOptions> {
    let angles = match matches.get_one::<String>("angles") {
        Some(text) => {
            Some(text.parse::<AngleSource>().map_err(|problem| UsageError(format!("--angles: {problem}")))?)
        }
        None => None,
    };
    let pixel_um = matches.get_one::<f64>("pixel-size").copied();
    if pixel_um.is_some_and(|um| !um.is_finite() || um <= 0.0) {
        return Err(UsageError("--pixel-size must be a number of µm above 0".to_owned()).into());
    }
    let input = matches.get_one::<String>("input").map(|word| match word.as_str() {
        "counts" => ScanInput::Counts,
        "transmission" => ScanInput::Transmission,
        _ => ScanInput::Absorbance,
    });
    Ok(ScanOptions {
        angles,
        flat: matches.get_one::<PathBuf>("flat").cloned(),
        dark: matches.get_one::<PathBuf>("dark").cloned(),
        pixel_um,
        input,
        tilt_axis: match matches.get_one::<String>("tilt-axis").map(String::as_str) {
            Some("horizontal") => TiltAxis::Horizontal,
            _ => TiltAxis::Vertical,
        },
        order: match matches.get_one::<String>("view-order").map(String::as_str) {
            Some("date") => ViewOrder::Date,
            Some("angle") => ViewOrder::Angle,
            _ => ViewOrder::Stored,
        },
        read: io::ReadOptions::default(),
    })
}

/// Reads the scan that the arguments of [`scan_args`] name and says what the reader noted.
pub(super) fn read_scan(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<Arc<Scan>> {
    let file = path(matches, "scan")?;
    let options = ScanOptions { read: shell.read_options(file), ..scan_options(matches)? };
    read_scan_of(shell, file, &options)
}

/// Reads a scan and says what the reader noted.
pub(super) fn read_scan_of(shell: &Shell, file: &Path, options: &ScanOptions) -> anyhow::Result<Arc<Scan>> {
    let scan = shell.with_progress(|progress| io::read_scan(file, options, progress, shell.budget))?;
    shell.note_of(file, &scan.warnings);
    Ok(Arc::new(scan))
}

/// Writes an array, says what the format could not carry, and returns `{"output", "format losses"…}` for the result.
pub(super) fn write_array(shell: &Shell, path: &Path, request: &WriteRequest<'_>) -> anyhow::Result<Value> {
    let losses = shell.with_progress(|progress| io::write_array(path, request, progress))?;
    Ok(written(shell, path, &losses))
}

/// As [`write_array`] for a stack of views: their angles go into a .rawtlt beside it, so that they are not lost.
pub(super) fn write_stack(
    shell: &Shell,
    path: &Path,
    request: &WriteRequest<'_>,
    angles_deg: &[f64],
) -> anyhow::Result<Value> {
    let losses = shell.with_progress(|progress| io::write_array(path, request, progress))?;
    let kept: Vec<String> = losses.into_iter().filter(|loss| !loss.starts_with("tilt angles")).collect();
    let mut result = written(shell, path, &kept);
    if !angles_deg.is_empty() {
        let angle_file = path.with_extension("rawtlt");
        io::write_angles(&angle_file, angles_deg)?;
        result["angles"] = json!(angle_file);
    }
    Ok(result)
}

/// Says what the format of an output could not carry, and returns it for the result.
pub(super) fn written(shell: &Shell, path: &Path, losses: &[String]) -> Value {
    losses.iter().for_each(|loss| shell.note(loss));
    json!({ "output": path, "losses": losses })
}
