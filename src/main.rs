//! The program: a subcommand goes to the command line, anything else opens the workbench.

use std::process::ExitCode;

use waterwindow::cli;

fn main() -> ExitCode {
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("warn,wgpu_hal=off,wgpu_core=error"),
    )
    .format_timestamp(None)
    .init();
    let matches = cli::command().get_matches();
    if matches.subcommand_name().is_some() {
        return cli::run(&matches);
    }
    open_workbench(&matches)
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
