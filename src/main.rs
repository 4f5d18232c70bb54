//! The program: a subcommand goes to the command line, anything else opens the workbench.

use std::process::ExitCode;

use waterwindow::cli;

fn main() -> ExitCode {
    let matches = cli::command().get_matches();
    let is_command = matches.subcommand_name().is_some();
    if cli::may_ask_drivers(&matches) {
        cli::silence_drivers();
    }
    let filter = if cli::is_quiet(&matches) { "off" } else { "warn,wgpu_hal=off,wgpu_core=error" };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(filter))
        .format_timestamp(None)
        .init();
    if is_command { cli::run(&matches) } else { open_workbench(&matches) }
}

#[cfg(feature = "gui")]
fn open_workbench(matches: &clap::ArgMatches) -> ExitCode {
    let start = waterwindow::gui::Start { files: cli::files(matches), demo: cli::demo_cell(matches) };
    match waterwindow::gui::run(start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::fail(&error),
    }
}

#[cfg(not(feature = "gui"))]
fn open_workbench(_matches: &clap::ArgMatches) -> ExitCode {
    cli::fail(&anyhow::anyhow!(
        "this build has no window: name a subcommand (waterwindow --help), or build with the gui feature"
    ))
}
