//! Graphics drivers that write to stderr by themselves.
//!
//! The layer of Mesa that chooses among devices asks Wayland which of them draws the desktop. Where `XDG_RUNTIME_DIR` is not
//! set, as in batch jobs, containers and cron, the Wayland library complains of that on stderr, past any logger. A
//! process cannot safely change its own environment once threads may run, so the program starts itself anew in its
//! place with a folder that does not exist: asked there, Wayland says no in silence.

/// Where no Wayland display is.
#[cfg(target_os = "linux")]
const NOWHERE: &str = "/nonexistent";

/// Starts the program anew where a driver would complain of the environment; returns where there is nothing to do.
#[cfg(target_os = "linux")]
pub fn silence() {
    use std::os::unix::process::CommandExt as _;

    let folder = std::env::var_os("XDG_RUNTIME_DIR");
    if folder.is_some_and(|folder| std::path::Path::new(&folder).is_absolute()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut args = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    // Returns only where it failed; then the complaint is all that is lost.
    let error = command.args(args).env("XDG_RUNTIME_DIR", NOWHERE).exec();
    log::debug!("not started anew: {error}");
}

/// Other systems ask no Wayland.
#[cfg(not(target_os = "linux"))]
pub fn silence() {}
