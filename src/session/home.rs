//! Where a session keeps what belongs to no project: settings and unsaved work.

use std::path::{Path, PathBuf};

use super::settings::Settings;
use crate::io::{IoError, write_atomically};

const SETTINGS_FILE: &str = "settings.toml";

/// A folder of the user's, or one for the time being.
#[derive(Debug)]
pub(super) struct Home {
    folder: PathBuf,
    /// Settings are written.
    kept: bool,
    /// Removes the folder at the end.
    _temporary: Option<tempfile::TempDir>,
}

/// The folder where this system keeps a user's data; `WATERWINDOW_DATA_DIR` names another one.
pub fn user_folder() -> Option<PathBuf> {
    let named = std::env::var_os("WATERWINDOW_DATA_DIR").map(PathBuf::from);
    let of_system =
        || directories::ProjectDirs::from("", "", "waterwindow").map(|dirs| dirs.data_dir().to_owned());
    named.or_else(of_system)
}

impl Home {
    /// The folder of the user.
    pub(super) fn of_user() -> Self {
        user_folder().map_or_else(Self::scratch, |folder| Self::at(&folder))
    }

    /// This folder.
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), kept: true, _temporary: None }
    }

    /// A folder that is gone when the session ends.
    pub(super) fn scratch() -> Self {
        let temporary = tempfile::Builder::new().prefix("waterwindow-").tempdir().ok();
        // No system takes a path with a zero in it: what is kept there fails, and is said to.
        let folder = temporary.as_ref().map_or_else(|| PathBuf::from("\0"), |dir| dir.path().to_owned());
        Self { folder, kept: false, _temporary: temporary }
    }

    /// Where unsaved work is kept.
    pub(super) fn autosaves(&self) -> PathBuf {
        self.folder.join("autosave")
    }

    /// The settings as they were left, and what was wrong with the file, if anything.
    pub(super) fn read_settings(&self) -> (Settings, Option<String>) {
        let path = self.folder.join(SETTINGS_FILE);
        if !path.is_file() {
            return (Settings::default(), None);
        }
        let read = crate::io::read_text(&path).map_err(|error| error.to_string());
        match read.and_then(|text| toml::from_str::<Settings>(&text).map_err(|e| e.message().to_owned())) {
            Ok(settings) => (settings, None),
            Err(error) => {
                // The file is kept beside, so that a slip in it can be mended.
                let aside = path.with_extension("toml.broken");
                let kept = std::fs::rename(&path, &aside).is_ok();
                let where_to =
                    if kept { format!("; it was set aside as {}", aside.display()) } else { String::new() };
                let problem =
                    format!("the settings could not be read ({error}), so the defaults are used{where_to}");
                (Settings::default(), Some(problem))
            }
        }
    }

    /// Keeps the settings.
    pub(super) fn write_settings(&self, settings: &Settings) -> Result<(), IoError> {
        if !self.kept {
            return Ok(());
        }
        let path = self.folder.join(SETTINGS_FILE);
        let system = |path: &Path, source| IoError::System { action: "write", path: path.to_owned(), source };
        let text =
            toml::to_string_pretty(settings).map_err(|error| system(&path, std::io::Error::other(error)))?;
        std::fs::create_dir_all(&self.folder).map_err(|error| system(&self.folder, error))?;
        write_atomically(&path, |part| std::fs::write(part, &text).map_err(|error| system(part, error)))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_and_a_broken_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        assert_eq!(home.read_settings(), (Settings::default(), None));
        let settings = Settings { memory_gib: Some(3.5), threads: 2, ..Settings::default() };
        home.write_settings(&settings).unwrap();
        assert_eq!(home.read_settings(), (settings, None));
        std::fs::write(folder.path().join(SETTINGS_FILE), "threads = \"many\"").unwrap();
        let (read, problem) = home.read_settings();
        assert_eq!(read, Settings::default());
        assert!(problem.unwrap().contains("settings.toml.broken"));
        assert!(folder.path().join("settings.toml.broken").is_file());
    }

    #[test]
    fn a_scratch_home_leaves_nothing() {
        let home = Home::scratch();
        std::fs::create_dir_all(home.autosaves()).unwrap();
        let folder = home.folder.clone();
        home.write_settings(&Settings::default()).unwrap();
        assert!(!folder.join(SETTINGS_FILE).exists());
        drop(home);
        assert!(!folder.exists());
    }
}
