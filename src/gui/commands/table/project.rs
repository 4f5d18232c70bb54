//! Commands of the project and of its history.

use egui::Key;

use super::super::keys::{ctrl, ctrl_shift};
use super::super::{CommandId as C, Entry, Group as G};
use super::entry;
use crate::gui::icons;

pub(super) static ENTRIES: &[Entry] = &[
    entry(
        C::Open,
        G::Project,
        icons::FOLDER_OPEN,
        "Open…",
        &[ctrl(Key::O)],
        "Opens a scan, a tomogram, labels or a project",
    )
    .asks(),
    entry(
        C::DemoYeast,
        G::Project,
        icons::SPARKLE,
        "Open demo yeast",
        &[],
        "Scans a synthetic yeast cell with a simulated microscope",
    ),
    entry(
        C::DemoLymphocyte,
        G::Project,
        icons::SPARKLE,
        "Open demo lymphocyte",
        &[],
        "Scans a synthetic lymphocyte with a simulated microscope",
    ),
    entry(
        C::AddVolume,
        G::Project,
        icons::STACK,
        "Add volume as layer…",
        &[ctrl_shift(Key::O)],
        "Adds another volume, such as a fluorescence channel, to what is open",
    )
    .asks()
    .when(|f| f.project),
    entry(
        C::Save,
        G::Project,
        icons::FLOPPY_DISK,
        "Save",
        &[ctrl(Key::S)],
        "Saves the project; asks for a place the first time",
    )
    .when(|f| f.project),
    entry(
        C::SaveAs,
        G::Project,
        icons::FLOPPY_DISK,
        "Save as…",
        &[ctrl_shift(Key::S)],
        "Saves the project under another name",
    )
    .asks()
    .when(|f| f.project),
    entry(
        C::CloseProject,
        G::Project,
        icons::X,
        "Close project",
        &[ctrl(Key::W)],
        "Goes back to the welcome page; asks where work is not saved",
    )
    .when(|f| f.project),
    entry(
        C::Quit,
        G::Project,
        icons::SIGN_OUT,
        "Quit",
        &[ctrl(Key::Q)],
        "Leaves the program; asks where work is not saved",
    ),
    entry(C::Undo, G::Edit, icons::ARROW_U_UP_LEFT, "Undo", &[ctrl(Key::Z)], "Takes the last change back")
        .when(|f| f.undo),
    entry(
        C::Redo,
        G::Edit,
        icons::ARROW_U_UP_RIGHT,
        "Redo",
        &[ctrl_shift(Key::Z), ctrl(Key::Y)],
        "Makes the change again that was taken back",
    )
    .when(|f| f.redo),
    entry(
        C::CancelJobs,
        G::Edit,
        icons::STOP,
        "Cancel all jobs",
        &[],
        "Stops everything that computes; nothing already done is lost",
    )
    .when(|f| f.jobs),
];
