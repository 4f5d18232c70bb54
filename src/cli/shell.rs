//! What every subcommand shares: global options, progress, messages, results.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::options::UsageError;
use super::{human, output};
use crate::base::{MemoryBudget, Progress, Unit};
use crate::gpu::DeviceChoice;
use crate::io::{ReadAs, ReadOptions};
use crate::ops::{Context, Inputs, Op, OpError, Outcome, grid};

/// Forecasts shorter than this are not said.
pub(super) const WORTH_SAYING_SECS: f64 = 5.0;

/// A time in words, as exact as a forecast is.
pub(super) fn duration_text(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// The global options and where output goes.
pub(super) struct Shell {
    json: bool,
    quiet: bool,
    /// Sentences for the user, said when the command has succeeded: one that fails says one line.
    notes: Mutex<Vec<String>>,
    /// What is chosen of the first file that is read, and that file once it is known.
    read: ReadOptions,
    read_of: Mutex<Option<PathBuf>>,
    /// Whether labels on another grid than the volume are brought onto it.
    resample: bool,
    /// How much memory the work may take.
    pub(super) budget: MemoryBudget,
    /// Where it may compute.
    device: DeviceChoice,
}

impl Shell {
    /// Reads the global options and sets the number of threads.
    pub(super) fn new(matches: &ArgMatches) -> anyhow::Result<Self> {
        if let Some(n) = matches.get_one::<u16>("threads") {
            rayon::ThreadPoolBuilder::new()
                .num_threads(usize::from(*n))
                .build_global()
                .context("could not start the threads")?;
        }
        let budget = match matches.get_one::<f64>("memory") {
            Some(gib) if gib.is_finite() && *gib > 0.0 => MemoryBudget::from_gib(*gib),
            Some(gib) => {
                return Err(UsageError(format!("--memory is {gib}, it must be a number above 0")).into());
            }
            None => MemoryBudget::from_system(),
        };
        let device = match matches.get_one::<String>("device").map(String::as_str) {
            Some("cpu") => DeviceChoice::Cpu,
            Some("gpu") => DeviceChoice::Gpu,
            _ => DeviceChoice::Auto,
        };
        let shell = Self {
            json: matches.get_flag("json"),
            quiet: matches.get_flag("quiet"),
            notes: Mutex::default(),
            read: read_options(matches)?,
            read_of: Mutex::default(),
            resample: matches!(matches.try_get_one::<bool>("resample"), Ok(Some(true))),
            budget,
            device,
        };
        if device == DeviceChoice::Gpu {
            shell.note("Of all commands only reconstruct (FBP and SIRT) and supervoxels compute on the graphics device and render draws on it; the others compute on the processor");
        }
        Ok(shell)
    }

    /// What --channel, --time, --entry, --dataset, --axes and --as choose of a file: they are about the first that is read.
    pub(super) fn read_options(&self, file: &Path) -> ReadOptions {
        let mut first = self.read_of.lock().unwrap_or_else(PoisonError::into_inner);
        if first.get_or_insert_with(|| file.to_owned()) == file {
            return self.read.clone();
        }
        ReadOptions::default()
    }

    /// Notes what the reader of a file had to assume or repair.
    pub(super) fn note_of(&self, file: &Path, warnings: &[String]) {
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        warnings.iter().for_each(|warning| self.note(&format!("{name}: {warning}")));
    }

    /// Whether output is for machines.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether nothing is to be said.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Where it may compute.
    pub(super) fn device(&self) -> DeviceChoice {
        self.device
    }

    /// Runs `work` with a progress token; on a terminal a bar shows it.
    pub(super) fn with_progress<R: Send>(&self, work: impl FnOnce(&Progress) -> R + Send) -> R {
        let progress = Progress::new();
        if self.quiet || !std::io::stderr().is_terminal() {
            return work(&progress);
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:28} {bar:30} {percent:>3} %  {eta:>5} left") {
            bar.set_style(style);
        }
        let result = std::thread::scope(|scope| {
            let worker = scope.spawn(|| work(&progress));
            while !worker.is_finished() {
                let report = progress.report();
                bar.set_message(report.phase);
                bar.set_length(report.total.max(1));
                bar.set_position(report.done.min(report.total));
                std::thread::sleep(Duration::from_millis(80));
            }
            worker.join()
        });
        bar.finish_and_clear();
        match result {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Runs work that needs the context of an operation.
    pub(super) fn run<R: Send>(
        &self,
        work: impl FnOnce(&Context) -> Result<R, OpError> + Send,
    ) -> anyhow::Result<R> {
        let (budget, device) = (self.budget, self.device);
        let result =
            self.with_progress(|progress| work(&Context { progress: progress.clone(), budget, device }));
        Ok(result?)
    }

    /// As [`Shell::run`], and says what the operation noted.
    pub(super) fn run_noted<R: Send>(
        &self,
        work: impl FnOnce(&Context) -> Result<(R, Outcome), OpError> + Send,
    ) -> anyhow::Result<(R, Outcome)> {
        let (result, outcome) = self.run(work)?;
        outcome.notes.iter().for_each(|note| self.note(note));
        Ok((result, outcome))
    }

    /// Runs an operation of the registry and says what it noted.
    pub(super) fn execute(&self, op: &Op, inputs: &Inputs, params: &Value) -> anyhow::Result<Outcome> {
        let brought = if self.resample { Some(self.brought(op, inputs)?) } else { None };
        let inputs = brought.as_ref().unwrap_or(inputs);
        let ((), outcome) = self.run_noted(|context| Ok(((), op.execute(context, inputs, params)?)))?;
        Ok(outcome)
    }

    /// The inputs of an operation, seen to lie on one grid, with --resample brought onto it; for work that is not run by
    /// [`Shell::execute`].
    pub(super) fn together(&self, op: &Op, inputs: &Inputs) -> anyhow::Result<Inputs> {
        let brought = if self.resample { self.brought(op, inputs)? } else { inputs.clone() };
        let (inputs, notes) = op.on_one_grid(&brought)?;
        notes.iter().for_each(|note| self.note(note));
        Ok(inputs)
    }

    fn brought(&self, op: &Op, inputs: &Inputs) -> anyhow::Result<Inputs> {
        let (inputs, notes) = self.run(|context| grid::brought_together(context, op, inputs))?;
        notes.iter().for_each(|note| self.note(note));
        Ok(inputs)
    }

    /// A sentence for the user, said now, on stderr.
    #[expect(clippy::print_stderr, reason = "messages of the command line")]
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// A sentence for the user, said once, on stderr, when the command has succeeded.
    pub(super) fn note(&self, text: &str) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.iter().any(|said| said == text) {
            notes.push(text.to_owned());
        }
    }

    /// A result that also says what was noted, under `warnings` where it has no such field.
    fn with_warnings(&self, result: &Value) -> Value {
        let mut result = result.clone();
        if let Some(fields) = result.as_object_mut() {
            let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            fields.entry("warnings").or_insert_with(|| notes.clone().into());
        }
        result
    }

    /// The result: notes on stderr; a JSON object on stdout with --json, otherwise lines for people.
    #[expect(clippy::print_stderr, reason = "messages of the command line")]
    pub(super) fn finish(&self, result: &Value) {
        let unread = self.read_of.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if unread && !self.read.is_empty() {
            self.note(
                "nothing was read that --channel, --time, --entry, --dataset, --axes or --as could choose from",
            );
        }
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !self.quiet {
            notes.iter().for_each(|note| eprintln!("{note}"));
        }
        if self.json {
            output::print_line(&self.with_warnings(result).to_string());
        } else if !self.quiet {
            output::print_line(&human::lines(result, &notes));
        }
    }
}

/// What the global options choose of a file.
fn read_options(matches: &ArgMatches) -> anyhow::Result<ReadOptions> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let axes = text("axes").map(|order| order.parse()).transpose();
    let voxel_um = text("voxel-um").map(|size| size.parse()).transpose();
    Ok(ReadOptions {
        channel: matches.get_one::<usize>("channel").copied(),
        time: matches.get_one::<usize>("time").copied(),
        entry: text("entry"),
        dataset: text("dataset"),
        axes: axes.map_err(|problem| UsageError(format!("--axes: {problem}")))?,
        voxel_um: voxel_um.map_err(|problem: String| UsageError(format!("--voxel-um: {problem}")))?,
        unit: text("unit").and_then(|unit| Unit::from_ascii(&unit)),
        kind: text("as").map(|kind| if kind == "labels" { ReadAs::Labels } else { ReadAs::Volume }),
    })
}
