//! Settings of the user: one file for all projects.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which look the window has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    /// Light on dark greys.
    #[default]
    Dark,
    /// Dark on light greys.
    Light,
    /// As the system says.
    System,
}

/// A project or file that was open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Where it lies.
    pub path: PathBuf,
    /// When it was last opened, in seconds since 1970.
    pub opened_secs: u64,
}

/// What the user has set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Version of the layout, 1.
    pub version: u32,
    /// Look of the window.
    pub theme: Theme,
    /// Memory that operations may take, in GiB; `None`: three quarters of what is free.
    pub memory_gib: Option<f64>,
    /// Threads of parallel loops; 0: as many as there are cores.
    pub threads: usize,
    /// Set of shortcuts.
    pub keymap: String,
    /// Shortcuts that differ from the set: name of the command and its key, "ctrl+shift+Z", or nothing for none.
    pub shortcuts: std::collections::BTreeMap<String, String>,
    /// Projects and files that were open, newest first.
    pub recent: Vec<Recent>,
    /// Whether the tour of the first minute has been seen.
    pub tour_seen: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: 1,
            theme: Theme::default(),
            memory_gib: None,
            threads: 0,
            keymap: "standard".to_owned(),
            shortcuts: std::collections::BTreeMap::new(),
            recent: Vec::new(),
            tour_seen: false,
        }
    }
}

/// How many projects and files are listed.
const MAX_RECENT: usize = 12;

impl Settings {
    /// Puts a project or file at the head of what was open.
    pub fn remember(&mut self, path: &std::path::Path) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.recent.retain(|entry| entry.path != path);
        self.recent.insert(0, Recent { path, opened_secs: now.map_or(0, |time| time.as_secs()) });
        self.recent.truncate(MAX_RECENT);
    }

    /// Gives the blocks of pyramids, which all projects of the process share, a quarter of the memory.
    pub(super) fn share_memory(&self) {
        crate::volume::BlockCache::of_process().set_budget(self.budget().bytes / 4);
    }

    /// How much memory operations may take.
    pub fn budget(&self) -> crate::base::MemoryBudget {
        self.memory_gib
            .map_or_else(crate::base::MemoryBudget::from_system, crate::base::MemoryBudget::from_gib)
    }
}
