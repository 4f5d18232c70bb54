//! Scans and volumes: demo, info, convert, normalize, align, reconstruct.

use super::Subcommand;

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    Vec::new()
}
