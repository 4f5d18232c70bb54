//! Following a folder while a microscope writes into it: `watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{path, path_arg, scan_args, scan_options};
use super::output;
use super::shell::Shell;
use crate::base::Progress;
use crate::io;
use crate::ops::recipe::Recipe;
use crate::session::watch::{WatchEvent, WatchOptions, Watcher};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![Subcommand { build: command, run }]
}

fn seconds(name: &'static str, default: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("SECONDS")
        .value_parser(value_parser!(f64))
        .default_value(default)
        .help(help)
}

fn command() -> Command {
    let [_, rest @ ..] = scan_args();
    Command::new("watch")
        .about("Follow a folder: add each new view to a running volume, work on every scan that is finished")
        .long_about(
            "Follow a folder while a microscope writes into it.\n\n\
             A stack that grows (a file, or a folder of pictures with its angles beside it as NAME.rawtlt) is read again \
             whenever it has changed. Each new view is normalised, found against the volume so far and added to it; the \
             volume is written as NAME_live.mrc with its shifts as NAME_live.json, its resolution told, and it is said when \
             further views hardly add to it. A scan that has not changed for --settle seconds is finished: the recipe is run \
             on it, results go to a folder of its name. Half-written files are tried again when they have changed. The watch \
             can be stopped and started anew at any time: what was finished is remembered in watch.json.\n\n\
             With --json every event is a line: `event` is grows, view, written, judged, refined, finished or waiting.",
        )
        .arg(path_arg("dir", "The folder that scans come to"))
        .arg(
            Arg::new("recipe")
                .long("recipe")
                .value_name("RECIPE.json")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("What is done with a finished scan; its normalize and reconstruct steps also set the running volume"),
        )
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Folder for the results [default: waterwindow in the watched folder]"),
        )
        .arg(seconds("poll", "0.5", "How often the folder is looked at"))
        .arg(seconds("settle", "60", "How long a scan must not change until it counts as finished"))
        .arg(seconds("write-every", "10", "The running volume is written and judged no more often"))
        .arg(
            Arg::new("refine-every")
                .long("refine-every")
                .value_name("VIEWS")
                .value_parser(value_parser!(usize))
                .default_value("0")
                .help("New views after which the recipe is run on those so far, beside the watch; 0 never"),
        )
        .arg(
            Arg::new("once")
                .long("once")
                .action(ArgAction::SetTrue)
                .help("Stop when all that is there is finished, instead of waiting for more"),
        )
        .args(rest.map(|arg| arg.help_heading("Of the scans")))
        .after_help("Example:\n  waterwindow watch /data/today --recipe sirt.json -o /data/today/volumes")
}

fn run(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let folder = path(matches, "dir")?.to_owned();
    let recipe = Recipe::parse(&io::read_text(path(matches, "recipe")?)?)?;
    let number = |name: &str| -> anyhow::Result<Duration> {
        let value = matches.get_one::<f64>(name).copied().unwrap_or(0.0);
        Duration::try_from_secs_f64(value).map_err(|_invalid| {
            super::options::UsageError(format!("--{name} is {value}, it must be a number of seconds")).into()
        })
    };
    let poll = number("poll")?.max(Duration::from_millis(20));
    let options = WatchOptions {
        out: matches.get_one::<PathBuf>("output").cloned().unwrap_or_else(|| folder.join("waterwindow")),
        folder,
        recipe,
        scan: scan_options(matches)?,
        settle: number("settle")?,
        write_every: number("write-every")?,
        refine_every: matches.get_one::<usize>("refine-every").copied().unwrap_or(0),
        budget: shell.budget,
        device: shell.device(),
    };
    let mut watcher = Watcher::new(options)?;
    let (progress, once) = (Progress::new(), matches.get_flag("once"));
    let mut finished = 0usize;
    loop {
        watcher.step(&progress, |event| {
            finished += usize::from(matches!(event, WatchEvent::Finished { .. }));
            say(shell, &event);
        })?;
        if once && watcher.is_idle() {
            break;
        }
        std::thread::sleep(poll);
    }
    shell.finish(&if shell.is_json() {
        json!({ "event": "end", "finished": finished })
    } else {
        json!({ "scans finished": finished })
    });
    Ok(())
}

/// A line for an event.
fn say(shell: &Shell, event: &WatchEvent) {
    if shell.is_json() {
        output::print_line(&as_json(event).to_string());
    } else if !shell.is_quiet() {
        output::print_line(&sentence(event));
    }
}

fn as_json(event: &WatchEvent) -> Value {
    match event {
        WatchEvent::Grows { scan } => json!({ "event": "grows", "scan": scan }),
        WatchEvent::View { scan, added } => json!({
            "event": "view", "scan": scan, "index": added.view.index, "angle_deg": added.view.angle_deg,
            "shift_y_px": added.view.shift_y_px, "shift_x_px": added.view.shift_x_px,
            "correlation": added.correlation, "seconds": added.seconds,
        }),
        WatchEvent::Written { scan, volume, n_views } => {
            json!({ "event": "written", "scan": scan, "output": volume, "n_views": n_views })
        }
        WatchEvent::Judged { scan, resolution } => json!({
            "event": "judged", "scan": scan, "n_views": resolution.n_views, "resolution": resolution.period,
            "gain": resolution.gain, "is_flat": resolution.is_flat,
        }),
        WatchEvent::Refined { scan, outputs } => {
            json!({ "event": "refined", "scan": scan, "outputs": outputs })
        }
        WatchEvent::Finished { scan, outputs, notes } => {
            json!({ "event": "finished", "scan": scan, "outputs": outputs, "notes": notes })
        }
        WatchEvent::Waiting { scan, problem } => {
            json!({ "event": "waiting", "scan": scan, "problem": problem })
        }
    }
}

fn sentence(event: &WatchEvent) -> String {
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match event {
        WatchEvent::Grows { scan } => format!("{}: a scan that grows", name(scan)),
        WatchEvent::View { scan, added } => format!(
            "{}: view {} at {:.2}°, moved by x {:.2}, y {:.2} px, in the volume after {:.2} s",
            name(scan),
            added.view.index + 1,
            added.view.angle_deg,
            added.view.shift_x_px,
            added.view.shift_y_px,
            added.seconds
        ),
        WatchEvent::Written { scan, volume, n_views } => {
            format!("{}: {n_views} views in {}", name(scan), volume.display())
        }
        WatchEvent::Judged { scan, resolution } => {
            let flat = if resolution.is_flat {
                "; the last fifth of the views hardly added to it: more of them bring little"
            } else {
                ""
            };
            format!(
                "{}: {:.0} nm from {} views (Fourier shell correlation 0.143){flat}",
                name(scan),
                resolution.period,
                resolution.n_views
            )
        }
        WatchEvent::Refined { scan, outputs } => {
            format!("{}: the recipe on the views so far, {} files", name(scan), outputs.len())
        }
        WatchEvent::Finished { scan, outputs, notes } => {
            let files = outputs.iter().map(|file| file.display().to_string());
            let lines: Vec<_> = files.chain(notes.iter().cloned()).map(|line| format!("  {line}")).collect();
            format!("{}: finished\n{}", name(scan), lines.join("\n"))
        }
        WatchEvent::Waiting { scan, problem } => format!("{}: waiting: {problem}", name(scan)),
    }
}
