//! From scan to volume: reconstruct, whole, by rows, by half the views.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{output_arg, path, path_option, read_scan, scan_args, write_array};
use super::options::{UsageError, command_of, op, params_of};
use super::resume::Partial;
use super::scan::normalize_args;
use super::shell::{Shell, WORTH_SAYING_SECS, duration_text};
use crate::base::Unit;
use crate::base::memory::GIB;
use crate::gpu::Gpu;
use crate::io::{self, IoError, RowsTarget, WriteRequest};
use crate::ops::chain::{self, AlignSource, Chain, Prepared};
use crate::ops::{Forecast, Provenance, op as ops_op};
use crate::recon::{self, ReconstructParams, origin_um};
use crate::volume::{Alignment, Scan};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![Subcommand { build: command, run }]
}

fn command() -> Command {
    command_of(op("reconstruct"), &["center", "half", "first_row", "end_row", "mask", "mask_size"])
        .args(scan_args())
        .args(normalize_args())
        .arg(output_arg("VOLUME", "The reconstruction, LAC in 1/µm where the pixel size is known"))
        .args(align_args())
        .arg(Arg::new("rows").long("rows").value_name("A..B").help(
            "Only these rows of the result, from 0, half open: in their place in a .zarr that any number of processes fill, or alone in another format",
        ))
        .arg(path_option(
            "report",
            "FILE.html",
            "Also write a page with pictures, shifts, resolution and noise; both halves are reconstructed for it, which takes twice as long again",
        ))
        .arg(
            Arg::new("mask_shape")
                .long("mask")
                .value_name("none|slab[:T]|capillary[:R]")
                .help("Where the sample can be, for SIRT, CGLS and total variation: a slab of thickness T across the beam, a capillary of radius R around the axis, in µm (voxels where the pixel size is unknown); without a size, or with auto, it is found [default: none]"),
        )
        .arg(Arg::new("resume").long("resume").action(clap::ArgAction::SetTrue).help(
            "Keep finished rows beside the output while working, and go on from those of the same command that was stopped",
        ))
        .arg(
            Arg::new("views")
                .long("half")
                .value_parser(["even", "odd", "both"])
                .help("Every other view only; both writes NAME_even and NAME_odd"),
        )
}

/// The options that say where the alignment of a scan comes from; see [`align_source`].
pub(super) fn align_args() -> [Arg; 2] {
    [
        Arg::new("align")
            .long("align")
            .value_name("auto|none|ALIGN.json|FILE.xf|FILE.aln|FILE.txrm")
            .default_value("auto")
            .help(
                "Find the alignment, use none (rotation axis at the middle column), or take it from a file",
            ),
        Arg::new("center")
            .long("center")
            .value_name("PX")
            .value_parser(value_parser!(f64))
            .help("Column of the rotation axis, from 0; takes the place of a search, implies --align none"),
    ]
}

/// The alignment that --align and --center ask for.
pub(super) fn align_source(matches: &ArgMatches, scan: &Scan) -> anyhow::Result<AlignSource> {
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
        file => AlignSource::Given(io::read_any_alignment(Path::new(file), &scan.angles_deg)?),
    })
}

/// The rows of --rows.
fn rows(matches: &ArgMatches) -> anyhow::Result<Option<[usize; 2]>> {
    let Some(text) = matches.get_one::<String>("rows") else { return Ok(None) };
    let parsed =
        text.split_once("..").and_then(|(a, b)| Some([a.trim().parse().ok()?, b.trim().parse().ok()?]));
    parsed.filter(|[a, b]| a < b).map(Some).ok_or_else(|| {
        UsageError(format!("--rows is {text}, it must be A..B with A below B, as in 0..64")).into()
    })
}

/// The parameters of --mask.
fn mask(matches: &ArgMatches, params: &mut Value) -> anyhow::Result<()> {
    let Some(text) = matches.get_one::<String>("mask_shape") else { return Ok(()) };
    let (shape, size) = text.split_once(':').unwrap_or((text, "auto"));
    let wrong = || {
        UsageError(format!(
            "--mask is {text}, it must be none, slab, slab:T, capillary or capillary:R, T and R in µm"
        ))
    };
    let size: Option<f64> = match size {
        "auto" => None,
        number => Some(number.parse().ok().filter(|n: &f64| *n > 0.0 && n.is_finite()).ok_or_else(wrong)?),
    };
    if !["none", "slab", "capillary"].contains(&shape) || (shape == "none" && size.is_some()) {
        return Err(wrong().into());
    }
    params["mask"] = json!(shape);
    if let Some(size) = size {
        params["mask_size"] = json!(size);
    }
    Ok(())
}

/// Each half that is wanted, and the file it goes to.
fn halves(matches: &ArgMatches, target: &Path) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    Ok(match matches.get_one::<String>("views").map(String::as_str) {
        None => vec![("all", target.to_owned())],
        Some("even") => vec![("even", target.to_owned())],
        Some("odd") => vec![("odd", target.to_owned())],
        Some(_) => ["even", "odd"]
            .into_iter()
            .map(|half| Ok((half, with_suffix(target, half)?)))
            .collect::<anyhow::Result<_>>()?,
    })
}

/// NAME_half.ext for NAME.ext.
fn with_suffix(target: &Path, half: &str) -> anyhow::Result<PathBuf> {
    let stem = target.file_stem().context("an output needs a file name")?.to_string_lossy();
    let name = match target.extension() {
        Some(extension) => format!("{stem}_{half}.{}", extension.to_string_lossy()),
        None => format!("{stem}_{half}"),
    };
    Ok(target.with_file_name(name))
}

fn run(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("reconstruct");
    let target = path(matches, "output")?;
    let rows = rows(matches)?;
    let mut params = params_of(op, matches)?;
    mask(matches, &mut params)?;
    if let Some([first, end]) = rows {
        params["first_row"] = json!(first);
        params["end_row"] = json!(end);
    }
    let halves = halves(matches, target)?;
    halves.iter().try_for_each(|(_, file)| io::check_array_output(file))?;
    let report = matches.get_one::<PathBuf>("report");
    if let Some(file) = report {
        if rows.is_some() || halves.len() > 1 {
            return Err(UsageError(
                "--report is of a whole volume: not with --rows or --half both".to_owned(),
            )
            .into());
        }
        io::check_writable(file)?;
    }
    let scan = read_scan(shell, matches)?;
    let source = Source {
        scan: path(matches, "scan")?,
        align: matches.get_one::<String>("align").map_or("auto", String::as_str),
        center: matches.get_one::<f64>("center").copied(),
    };
    let chain = Chain {
        normalize: params_of(super::options::op("normalize"), matches)?,
        align: align_source(matches, &scan)?,
        ..Chain::default()
    };
    for (half, file) in &halves {
        let mut params = params.clone();
        params["half"] = json!(half);
        chain::check_memory(&scan, &params, is_zarr(file), shell.budget)?;
    }
    let mut forecast = chain::forecast(&scan, &params)?;
    let is_long = |forecast: &Forecast| {
        forecast.seconds.is_some_and(|seconds| seconds * halves.len() as f64 >= WORTH_SAYING_SECS)
    };
    if is_long(&forecast)
        && let Ok(Some(gpu)) = Gpu::to_compute_on(shell.device())
    {
        recon::measure_card(gpu);
        forecast = chain::forecast(&scan, &params)?;
    }
    if is_long(&forecast) {
        shell.say(&forecast_text(&forecast, halves.len()));
    }
    let prepared = shell.run(|context| chain::prepare(context, scan, &chain))?;
    prepared.notes.iter().for_each(|note| shell.note(note));
    let mut results = Vec::new();
    for (half, file) in &halves {
        if *half != "all" {
            params["half"] = json!(half);
        }
        let resume = matches.get_flag("resume");
        let job = Job { shell, prepared: &prepared, given: &params, file, source: &source, resume };
        results.push(job.run(rows.is_some())?);
    }
    if let (Some(file), Some(result)) = (report, results.last_mut()) {
        super::report::write(shell, &prepared, &params, target, file)?;
        result["report"] = json!(file);
    }
    shell.finish(&match (results.len(), results.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            results.extend(last);
            json!({ "outputs": results })
        }
    });
    Ok(())
}

/// What the reconstruction will take, in words.
fn forecast_text(forecast: &Forecast, times: usize) -> String {
    let seconds = forecast.seconds.unwrap_or(0.0) * times as f64;
    let time = duration_text(seconds);
    format!("Reconstructing will take about {time} and {:.2} GiB", forecast.bytes as f64 / GIB)
}

fn is_zarr(file: &Path) -> bool {
    file.extension().is_some_and(|e| e.eq_ignore_ascii_case("zarr"))
}

/// What a reconstruction was made from.
struct Source<'a> {
    scan: &'a Path,
    align: &'a str,
    center: Option<f64>,
}

/// One reconstruction of a prepared scan into one file.
struct Job<'a> {
    shell: &'a Shell,
    prepared: &'a Prepared,
    /// Parameters that differ from the defaults.
    given: &'a Value,
    file: &'a Path,
    source: &'a Source<'a>,
    /// Rows are kept as they are done.
    resume: bool,
}

impl Job<'_> {
    fn run(&self, only_rows: bool) -> anyhow::Result<Value> {
        let all = op("reconstruct").complete(self.given)?;
        let params: ReconstructParams = ops_op::typed(&all)?;
        let is_zarr = is_zarr(self.file);
        let fits = self.prepared.plan(&params)?.peak_bytes <= self.shell.budget.bytes;
        let (mut result, details, notes) = if is_zarr && only_rows {
            let (shape, details) = self.fill(&params, self.file)?;
            (json!({ "output": self.file, "losses": [], "shape_zyx": shape }), details, Vec::new())
        } else if self.resume {
            self.run_kept(&params, fits)?
        } else if is_zarr && !fits {
            self.shell.note("The volume is over the memory budget and goes to the file slab by slab");
            let (shape, details) = self.fill_whole(&params)?;
            (json!({ "output": self.file, "losses": [], "shape_zyx": shape }), details, Vec::new())
        } else {
            let (volume, outcome) =
                self.shell.run_noted(|context| self.prepared.reconstruct(context, self.given))?;
            let mut request = WriteRequest::volume(&volume);
            self.describe(&mut request, self.given, &params);
            let mut result =
                write_array(self.shell, self.file, &request).context("could not keep the result")?;
            result["shape_zyx"] = json!(volume.shape());
            (result, outcome.details, outcome.notes)
        };
        let voxel_um = self.prepared.series.pixel_um.map(|um| um * f64::from(params.bin));
        result["unit"] = json!(self.unit().ascii());
        result["voxel_um"] = json!(voxel_um.map(|um| [um; 3]));
        let mut steps = self.prepared.details.clone();
        steps.insert("reconstruct".to_owned(), details);
        result["details"] = Value::Object(steps);
        let inputs = vec![self.source.scan.display().to_string(), format!("align {}", self.source.align)];
        result["provenance"] = serde_json::to_value(Provenance::new("reconstruct", all, inputs, notes))?;
        Ok(result)
    }

    fn unit(&self) -> Unit {
        if self.prepared.series.pixel_um.is_some() { Unit::PerUm } else { Unit::PerVoxel }
    }

    /// What the file says beside the values: how it was made, how far its values can be trusted, the energy.
    fn describe(&self, request: &mut WriteRequest<'_>, given: &Value, params: &ReconstructParams) {
        let series = &self.prepared.series;
        let views = &self.prepared.alignment.views;
        let angles: Vec<f64> = views.iter().filter(|view| view.used).map(|view| view.angle_deg).collect();
        let validity = recon::validity(params, &angles, series.pixel_um.is_some());
        request.metadata.insert("made_by".to_owned(), self.made_by(given));
        request.metadata.insert("lac_validity".to_owned(), validity.text());
        request.energy_ev = series.energy_ev;
    }

    /// One line for the metadata of the file: program, operation, what differs from the defaults.
    fn made_by(&self, given: &Value) -> String {
        let mut line = format!("waterwindow {} reconstruct", env!("CARGO_PKG_VERSION"));
        for (name, value) in given.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            line.push_str(&format!(" {name}={value}"));
        }
        match self.source.center {
            Some(center) => line + &format!(" center={center}"),
            None => {
                let name = Path::new(self.source.align).file_name().unwrap_or_default();
                line + &format!(" align={}", name.to_string_lossy())
            }
        }
    }

    /// Of the data, the alignment and the parameters; one of the same gives the same volume.
    fn fingerprint(&self) -> anyhow::Result<String> {
        let mut hash = crc32fast::Hasher::new();
        let series = &self.prepared.series;
        for values in series.data.as_slice().unwrap_or(&[]).chunks(1 << 20) {
            hash.update(bytemuck::cast_slice(values));
        }
        let alignment = serde_json::to_string(self.prepared.alignment.as_ref())?;
        let scale = json!([series.pixel_um, series.energy_ev, series.data.dim()]);
        let version = env!("CARGO_PKG_VERSION");
        Ok(format!("{version} {:08x} {scale} {} {alignment}", hash.finalize(), self.given))
    }

    /// Reconstructs slab by slab, keeps each, and goes on from those that an earlier run kept.
    fn run_kept(
        &self,
        params: &ReconstructParams,
        fits: bool,
    ) -> anyhow::Result<(Value, Value, Vec<String>)> {
        let series = &self.prepared.series;
        let rows = params.rows(series.n_rows());
        let [depth, n_rows, width] = self.prepared.plan(params)?.shape;
        let mut partial = Partial::open(self.file, self.fingerprint()?)?;
        if partial.resumed > 0 {
            self.shell.note(&format!("Went on from {} of {n_rows} rows that were done", partial.resumed));
        }
        let mut notes = Vec::new();
        for slab in self.prepared.slabs_to_keep(self.shell.budget, params)? {
            if partial.has(&slab) {
                continue;
            }
            let mut given = self.given.clone();
            given["first_row"] = json!(slab.start);
            given["end_row"] = json!(slab.end);
            let (volume, outcome) =
                self.shell.run_noted(|context| self.prepared.reconstruct(context, &given))?;
            partial.keep(self.shell, [depth, n_rows, width], rows.start, slab, &volume, outcome.details)?;
            notes = outcome.notes;
        }
        let (mut details, resumed) = (partial.details(), partial.resumed);
        details["rows"] = json!([rows.start, rows.end]);
        details["resumed_rows"] = json!(resumed);
        let kept = partial.rows();
        let mut result = if fits {
            let budget = self.shell.budget;
            let mut volume = self.shell.with_progress(|progress| io::read_volume(&kept, progress, budget))?;
            volume.unit = self.unit();
            volume.voxel_um = series.pixel_um.map(|um| [um * f64::from(params.bin); 3]);
            volume.origin_um = origin_um(series, params, rows.start, depth);
            let mut request = WriteRequest::volume(&volume);
            self.describe(&mut request, self.given, params);
            write_array(self.shell, self.file, &request).context("could not keep the result")?
        } else {
            anyhow::ensure!(
                is_zarr(self.file),
                "the volume is over the memory budget, which only a .zarr can be: name one, or raise the budget"
            );
            std::fs::rename(&kept, self.file).context("could not put the volume in place")?;
            json!({ "output": self.file, "losses": [] })
        };
        partial.finish()?;
        result["shape_zyx"] = json!([depth, n_rows, width]);
        Ok((result, details, notes))
    }

    /// Reconstructs all rows slab by slab; the file appears when the last is done.
    fn fill_whole(&self, params: &ReconstructParams) -> anyhow::Result<([usize; 3], Value)> {
        let mut failed = None;
        let written = io::write_atomically(self.file, |temporary| {
            self.fill(params, temporary).map_err(|error| {
                let problem = IoError::Scan { problem: error.to_string() };
                failed = Some(error);
                problem
            })
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(written?),
        }
    }

    /// Reconstructs the rows slab by slab into their place in the volume `target`; returns its shape.
    fn fill(&self, params: &ReconstructParams, target: &Path) -> anyhow::Result<([usize; 3], Value)> {
        let series = &self.prepared.series;
        let n_rows = series.n_rows() / params.bin.max(1) as usize;
        let [depth, _, width] = self.prepared.plan(params)?.shape;
        let shape = [depth, n_rows, width];
        // Other processes write the other rows, so the file says nothing of the rows of this one.
        let mut shared = self.given.clone();
        if let Value::Object(fields) = &mut shared {
            fields.retain(|name, _| name != "first_row" && name != "end_row");
        }
        let mut place: Option<RowsTarget> = None;
        let mut details = Value::Null;
        for slab in self.prepared.slabs(self.shell.budget, params)? {
            let mut given = self.given.clone();
            given["first_row"] = json!(slab.start);
            given["end_row"] = json!(slab.end);
            let (volume, outcome) = self.shell.run(|context| self.prepared.reconstruct(context, &given))?;
            let mut request = WriteRequest::volume(&volume);
            request.origin_um = origin_um(series, params, 0, depth);
            self.describe(&mut request, &shared, params);
            let place = match &place {
                Some(place) => place,
                None => {
                    outcome.notes.iter().for_each(|note| self.shell.note(note));
                    details = outcome.details;
                    place.insert(io::create_rows(target, shape, &request)?)
                }
            };
            self.shell.with_progress(|progress| io::write_rows(place, slab, &request, progress))?;
        }
        let rows = params.rows(series.n_rows());
        details["rows"] = json!([rows.start, rows.end]);
        Ok((shape, details))
    }
}
