//! The table of commands itself, in the order of the menus.

mod paint;
mod project;
mod view;
mod window;

use std::sync::LazyLock;

use egui::KeyboardShortcut;

use super::{CommandId, Entry, Group};

const fn entry(
    id: CommandId,
    group: Group,
    icon: &'static str,
    label: &'static str,
    keys: &'static [KeyboardShortcut],
    tooltip: &'static str,
) -> Entry {
    Entry { id, label, tooltip, icon, group, keys, asks: false, enabled: |_| true }
}

/// The table.
pub(crate) static COMMANDS: LazyLock<Vec<Entry>> =
    LazyLock::new(|| [project::ENTRIES, paint::ENTRIES, view::ENTRIES, window::ENTRIES].concat());
