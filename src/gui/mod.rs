//! The window.

use std::path::PathBuf;

/// What the window opens with.
#[derive(Debug, Default)]
pub struct Start {
    /// Projects, scans, volumes or labels.
    pub files: Vec<PathBuf>,
    /// A synthetic cell: "yeast" or "lymphocyte".
    pub demo: Option<String>,
}

/// Opens the window and returns when it is closed.
///
/// # Errors
/// Where the system has no display or no device to draw with.
pub fn run(start: Start) -> anyhow::Result<()> {
    anyhow::bail!("no window yet for {start:?}")
}
