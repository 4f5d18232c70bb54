//! One table of everything a user can ask for.
//!
//! Menus, the palette, shortcuts, tooltips, the key overlay and docs/shortcuts.md are made from
//! it, so that none of them can say something else.

use egui::{Key, KeyboardShortcut, Modifiers};

use super::icons;
use crate::ops::Stage;

/// Everything a user can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CommandId {
    Open,
    DemoYeast,
    DemoLymphocyte,
    AddVolume,
    Save,
    SaveAs,
    CloseProject,
    Quit,
    Undo,
    Redo,
    Stage(Stage),
    Navigate,
    Brush,
    Eraser,
    Fill,
    BallBrush,
    SmallerBrush,
    LargerBrush,
    LacLimit,
    Class(u8),
    NewClass,
    Classify,
    Live,
    AcceptPrediction,
    DiscardPrediction,
    Uncertainty,
    ToggleLabels,
    Measure,
    FitViews,
    AutoContrast,
    MaximiseView,
    Crosshair,
    ResetCamera,
    ResetLayout,
    SavePicture,
    LeftPanel,
    RightPanel,
    Palette,
    KeyOverlay,
    Theme,
    CancelJobs,
}

/// Where a command is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Opening, saving, leaving.
    Project,
    /// Undo and redo.
    Edit,
    /// Stages of the work.
    Stage,
    /// Painting and classes.
    Paint,
    /// The views.
    View,
    /// The window itself.
    Window,
}

impl Group {
    /// All groups in the order of the overlay.
    pub(crate) const ALL: [Self; 6] =
        [Self::Project, Self::Edit, Self::Paint, Self::View, Self::Stage, Self::Window];

    /// The group's heading.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Project => "Project",
            Self::Edit => "Edit",
            Self::Stage => "Stages",
            Self::Paint => "Paint",
            Self::View => "Views",
            Self::Window => "Window",
        }
    }
}

/// What a command's being possible depends on; gathered once a frame.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of facts, each on its own")]
pub(crate) struct Facts {
    /// Something is open.
    pub(crate) project: bool,
    /// There is a volume to look at.
    pub(crate) volume: bool,
    /// There are labels.
    pub(crate) labels: bool,
    /// There is a prediction.
    pub(crate) prediction: bool,
    /// Something can be undone.
    pub(crate) undo: bool,
    /// Something can be redone.
    pub(crate) redo: bool,
    /// A job runs or waits.
    pub(crate) jobs: bool,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What it is.
    pub(crate) id: CommandId,
    /// What menus and the palette call it; "…" at the end if it asks more.
    pub(crate) label: &'static str,
    /// What it does, in one sentence.
    pub(crate) tooltip: &'static str,
    /// Its icon.
    pub(crate) icon: &'static str,
    /// Where it is listed.
    pub(crate) group: Group,
    /// Its shortcuts; the first is shown.
    pub(crate) keys: &'static [KeyboardShortcut],
    /// Whether it asks more before it acts.
    pub(crate) asks: bool,
    /// Whether it can be done now.
    pub(crate) enabled: fn(&Facts) -> bool,
}

const fn key(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::NONE, key)
}
const fn ctrl(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND, key)
}
const fn shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::SHIFT, key)
}
const fn ctrl_shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), key)
}
const fn alt(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::ALT, key)
}

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

impl Entry {
    const fn asks(mut self) -> Self {
        self.asks = true;
        self
    }

    const fn when(mut self, enabled: fn(&Facts) -> bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// The first shortcut as it is printed on keys; empty where there is none.
    pub(crate) fn shortcut(&self) -> String {
        self.keys.first().map(format_shortcut).unwrap_or_default()
    }

    /// The tooltip with the shortcut behind it.
    pub(crate) fn tooltip_with_key(&self) -> String {
        let shortcut = self.shortcut();
        if shortcut.is_empty() { self.tooltip.to_owned() } else { format!("{}  ({shortcut})", self.tooltip) }
    }
}

/// A shortcut in words: "Ctrl+Shift+Z".
pub(crate) fn format_shortcut(shortcut: &KeyboardShortcut) -> String {
    let mac = cfg!(target_os = "macos");
    let mut text = String::new();
    let modifiers = shortcut.modifiers;
    if modifiers.command || modifiers.ctrl {
        text.push_str(if mac { "⌘" } else { "Ctrl+" });
    }
    if modifiers.alt {
        text.push_str(if mac { "Option+" } else { "Alt+" });
    }
    if modifiers.shift {
        text.push_str(if mac { "⇧" } else { "Shift+" });
    }
    text.push_str(match shortcut.logical_key {
        Key::OpenBracket => "[",
        Key::CloseBracket => "]",
        Key::Questionmark => "?",
        Key::Enter => "Enter",
        Key::Space => "Space",
        Key::Escape => "Esc",
        key => key.name(),
    });
    text
}

/// The table.
pub(crate) static COMMANDS: &[Entry] = {
    use CommandId as C;
    use Group as G;
    &[
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
        entry(
            C::Undo,
            G::Edit,
            icons::ARROW_U_UP_LEFT,
            "Undo",
            &[ctrl(Key::Z)],
            "Takes the last change back",
        )
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
        entry(
            C::Navigate,
            G::Paint,
            icons::CROSSHAIR,
            "Navigate",
            &[key(Key::N)],
            "A click moves the crosshair, a drag moves the picture",
        )
        .when(|f| f.volume),
        entry(
            C::Brush,
            G::Paint,
            icons::PAINT_BRUSH,
            "Brush",
            &[key(Key::B)],
            "Paints the chosen class; the right button erases",
        )
        .when(|f| f.volume),
        entry(C::Eraser, G::Paint, icons::ERASER, "Eraser", &[key(Key::E)], "Takes labels away")
            .when(|f| f.volume),
        entry(
            C::Fill,
            G::Paint,
            icons::PAINT_BUCKET,
            "Fill",
            &[key(Key::F)],
            "Fills what is connected and alike in LAC with the chosen class",
        )
        .when(|f| f.volume),
        entry(
            C::BallBrush,
            G::Paint,
            icons::SPHERE,
            "Disc or ball",
            &[key(Key::D)],
            "Changes the brush between a disc in the plane and a ball",
        )
        .when(|f| f.volume),
        entry(
            C::SmallerBrush,
            G::Paint,
            icons::CIRCLE,
            "Smaller brush",
            &[key(Key::OpenBracket)],
            "Makes the brush one voxel smaller",
        )
        .when(|f| f.volume),
        entry(
            C::LargerBrush,
            G::Paint,
            icons::CIRCLE,
            "Larger brush",
            &[key(Key::CloseBracket)],
            "Makes the brush one voxel larger",
        )
        .when(|f| f.volume),
        entry(
            C::LacLimit,
            G::Paint,
            icons::FUNNEL,
            "Limit brush to LAC range",
            &[key(Key::T)],
            "The brush then only touches voxels whose LAC lies in the range",
        )
        .when(|f| f.volume),
        entry(
            C::NewClass,
            G::Paint,
            icons::PLUS,
            "New class…",
            &[key(Key::A)],
            "Adds a class from the ontology of cell parts, or one of your own",
        )
        .asks()
        .when(|f| f.volume),
        entry(
            C::Class(1),
            G::Paint,
            icons::CIRCLE,
            "Class 1",
            &[key(Key::Num1)],
            "Paints with the first class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(2),
            G::Paint,
            icons::CIRCLE,
            "Class 2",
            &[key(Key::Num2)],
            "Paints with the second class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(3),
            G::Paint,
            icons::CIRCLE,
            "Class 3",
            &[key(Key::Num3)],
            "Paints with the third class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(4),
            G::Paint,
            icons::CIRCLE,
            "Class 4",
            &[key(Key::Num4)],
            "Paints with the fourth class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(5),
            G::Paint,
            icons::CIRCLE,
            "Class 5",
            &[key(Key::Num5)],
            "Paints with the fifth class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(6),
            G::Paint,
            icons::CIRCLE,
            "Class 6",
            &[key(Key::Num6)],
            "Paints with the sixth class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(7),
            G::Paint,
            icons::CIRCLE,
            "Class 7",
            &[key(Key::Num7)],
            "Paints with the seventh class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(8),
            G::Paint,
            icons::CIRCLE,
            "Class 8",
            &[key(Key::Num8)],
            "Paints with the eighth class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Class(9),
            G::Paint,
            icons::CIRCLE,
            "Class 9",
            &[key(Key::Num9)],
            "Paints with the ninth class of the list",
        )
        .when(|f| f.volume),
        entry(
            C::Classify,
            G::Paint,
            icons::PLAY,
            "Classify",
            &[ctrl(Key::Enter)],
            "Predicts the whole volume from what is painted",
        )
        .when(|f| f.volume && f.labels),
        entry(
            C::Live,
            G::Paint,
            icons::LIGHTNING,
            "Live classification",
            &[key(Key::L)],
            "Learns from what is painted and predicts the whole volume after each stroke",
        )
        .when(|f| f.volume),
        entry(
            C::AcceptPrediction,
            G::Paint,
            icons::CHECK,
            "Accept prediction",
            &[key(Key::Enter)],
            "Makes the prediction a layer of labels; what is painted stays for the next training",
        )
        .when(|f| f.prediction),
        entry(
            C::DiscardPrediction,
            G::Paint,
            icons::TRASH,
            "Discard prediction",
            &[],
            "Throws the prediction away; what is painted stays",
        )
        .when(|f| f.prediction),
        entry(
            C::Uncertainty,
            G::View,
            icons::GRADIENT,
            "Uncertainty overlay",
            &[key(Key::U)],
            "Shows where the prediction is unsure",
        )
        .when(|f| f.prediction),
        entry(
            C::ToggleLabels,
            G::View,
            icons::EYE,
            "Show labels",
            &[key(Key::V)],
            "Shows or hides labels and prediction over the picture",
        )
        .when(|f| f.labels || f.prediction),
        entry(
            C::FitViews,
            G::View,
            icons::FRAME_CORNERS,
            "Fit views",
            &[key(Key::Home)],
            "Shows the whole volume in every view",
        )
        .when(|f| f.volume),
        entry(
            C::AutoContrast,
            G::View,
            icons::CIRCLE_HALF,
            "Automatic contrast",
            &[key(Key::C)],
            "Sets the window to what occurs in the volume",
        )
        .when(|f| f.volume),
        entry(
            C::MaximiseView,
            G::View,
            icons::CORNERS_OUT,
            "Maximise view",
            &[key(Key::Q)],
            "Gives the view under the pointer all the room, or takes it back",
        )
        .when(|f| f.volume),
        entry(
            C::Crosshair,
            G::View,
            icons::CROSSHAIR,
            "Show crosshair",
            &[key(Key::X)],
            "Shows or hides the crosshair",
        )
        .when(|f| f.volume),
        entry(
            C::ResetCamera,
            G::View,
            icons::CUBE,
            "Reset 3D camera",
            &[shift(Key::Home)],
            "Looks at the volume from the front again",
        )
        .when(|f| f.volume),
        entry(
            C::ResetLayout,
            G::View,
            icons::SQUARES_FOUR,
            "Reset layout of views",
            &[],
            "Puts the four views back side by side",
        )
        .when(|f| f.volume),
        entry(
            C::SavePicture,
            G::View,
            icons::CAMERA,
            "Save picture of view…",
            &[ctrl(Key::E)],
            "Writes a view as PNG with its scale bar",
        )
        .asks()
        .when(|f| f.volume),
        entry(
            C::Measure,
            G::Stage,
            icons::TABLE,
            "Measure classes",
            &[ctrl(Key::M)],
            "Measures volume, surface and LAC of every class",
        )
        .when(|f| f.labels),
        entry(
            C::Stage(Stage::Scan),
            G::Stage,
            icons::SCAN,
            "Scan",
            &[alt(Key::Num1)],
            "The scan as it came from the microscope",
        )
        .when(|f| f.project),
        entry(
            C::Stage(Stage::Align),
            G::Stage,
            icons::ALIGN_CENTER_HORIZONTAL,
            "Align",
            &[alt(Key::Num2)],
            "Finds where each view has moved",
        )
        .when(|f| f.project),
        entry(
            C::Stage(Stage::Reconstruct),
            G::Stage,
            icons::CUBE,
            "Reconstruct",
            &[alt(Key::Num3)],
            "Makes the volume from the views",
        )
        .when(|f| f.project),
        entry(
            C::Stage(Stage::Segment),
            G::Stage,
            icons::SHAPES,
            "Segment",
            &[alt(Key::Num4)],
            "Paints and classifies organelles",
        )
        .when(|f| f.project),
        entry(
            C::Stage(Stage::Measure),
            G::Stage,
            icons::TABLE,
            "Measure",
            &[alt(Key::Num5)],
            "Numbers of every class",
        )
        .when(|f| f.project),
        entry(
            C::Stage(Stage::Correlate),
            G::Stage,
            icons::INTERSECT,
            "Correlate",
            &[alt(Key::Num6)],
            "Places another volume in this one",
        )
        .when(|f| f.project),
        entry(
            C::Stage(Stage::Export),
            G::Stage,
            icons::EXPORT,
            "Export",
            &[alt(Key::Num7)],
            "Writes labels, meshes and pictures",
        )
        .when(|f| f.project),
        entry(
            C::Palette,
            G::Window,
            icons::MAGNIFYING_GLASS,
            "Search commands",
            &[ctrl(Key::K), ctrl(Key::P)],
            "Finds any command by its name",
        ),
        entry(
            C::KeyOverlay,
            G::Window,
            icons::KEYBOARD,
            "Keyboard and mouse",
            &[key(Key::Questionmark), key(Key::F1)],
            "Shows every shortcut",
        ),
        entry(
            C::Theme,
            G::Window,
            icons::CIRCLE_HALF,
            "Dark or light",
            &[],
            "Changes between the dark and the light theme",
        ),
        entry(
            C::LeftPanel,
            G::Window,
            icons::SIDEBAR_SIMPLE,
            "Left panel",
            &[ctrl(Key::B)],
            "Shows or hides tools, layers and histogram",
        )
        .when(|f| f.project),
        entry(
            C::RightPanel,
            G::Window,
            icons::SLIDERS_HORIZONTAL,
            "Inspector",
            &[ctrl(Key::I)],
            "Shows or hides the inspector",
        )
        .when(|f| f.project),
    ]
};

/// What the mouse does in the views: for the overlay and the docs.
pub(crate) const MOUSE: &[(&str, &str)] = &[
    ("Wheel", "Next or previous slice"),
    ("Alt+wheel", "Ten slices"),
    ("Ctrl+wheel", "Zoom at the pointer"),
    ("Middle drag, Space+drag", "Move the picture"),
    ("Shift+move", "Crosshair follows in all views"),
    ("Left drag", "Paint, or move the crosshair"),
    ("Right drag", "Erase while painting, window and level otherwise"),
    ("Shift+wheel", "Size of the brush"),
    ("Double-click on a title", "Maximise the view"),
    ("Left drag in 3D", "Turn"),
    ("Wheel in 3D", "Zoom"),
    ("Middle or right drag in 3D", "Move"),
];

/// The line of a command.
pub(crate) fn find(id: CommandId) -> &'static Entry {
    COMMANDS.iter().find(|entry| entry.id == id).unwrap_or(&COMMANDS[0])
}

/// The commands whose keys were pressed in this frame. Keys without Ctrl or Alt are left alone while text is typed.
pub(crate) fn pressed(ctx: &egui::Context, facts: &Facts) -> Vec<CommandId> {
    let typing = ctx.text_edit_focused();
    let mut found = Vec::new();
    ctx.input_mut(|input| {
        // The longest combinations first, so that Ctrl+Shift+Z is not taken for Ctrl+Z.
        let mut keys: Vec<_> =
            COMMANDS.iter().flat_map(|entry| entry.keys.iter().map(move |key| (entry, key))).collect();
        keys.sort_by_key(|(_, key)| {
            let m = key.modifiers;
            std::cmp::Reverse(u8::from(m.shift) + u8::from(m.command) + u8::from(m.alt))
        });
        for (entry, key) in keys {
            let plain = !key.modifiers.command && !key.modifiers.alt;
            if (plain && typing) || !(entry.enabled)(facts) {
                continue;
            }
            if consume(input, key) && !found.contains(&entry.id) {
                found.push(entry.id);
            }
        }
    });
    found
}

/// Takes the key press out of the input. The question mark needs Shift on most keyboards and none on some.
fn consume(input: &mut egui::InputState, shortcut: &KeyboardShortcut) -> bool {
    if shortcut.logical_key == Key::Questionmark {
        return input.consume_key(Modifiers::NONE, Key::Questionmark)
            || input.consume_key(Modifiers::SHIFT, Key::Questionmark)
            || input.consume_key(Modifiers::SHIFT, Key::Slash);
    }
    // Exact, so that Shift+Home is not also Home and Alt+1 not 1.
    let mut hit = false;
    input.events.retain(|event| {
        let matches = matches!(event, egui::Event::Key { key, modifiers, pressed: true, .. }
            if *key == shortcut.logical_key && modifiers.matches_exact(shortcut.modifiers));
        hit |= matches;
        !matches
    });
    hit
}

/// The page docs/shortcuts.md.
pub fn shortcuts_page() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Keyboard and mouse\n\nMade from the table of commands in `src/gui/commands.rs`; a test keeps it true. Letters never act while a text field has the focus. On macOS, Ctrl is Cmd.\n\n## Mouse in the views\n\n| input | what it does |\n|---|---|\n",
    );
    for (input, what) in MOUSE {
        let _ = writeln!(page, "| {input} | {what} |");
    }
    for group in Group::ALL {
        let _ = writeln!(page, "\n## {}\n\n| command | keys | what it does |\n|---|---|---|", group.label());
        for entry in COMMANDS.iter().filter(|entry| entry.group == group) {
            let keys: Vec<_> = entry.keys.iter().map(format_shortcut).collect();
            let _ = writeln!(page, "| {} | {} | {} |", entry.label, keys.join(", "), entry.tooltip);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_commands_share_a_shortcut_or_a_label() {
        let mut keys: Vec<_> = COMMANDS
            .iter()
            .flat_map(|entry| entry.keys.iter().map(|key| (format_shortcut(key), entry.label)))
            .collect();
        keys.sort();
        for pair in keys.windows(2) {
            assert_ne!(pair[0].0, pair[1].0, "{} and {}", pair[0].1, pair[1].1);
        }
        let mut labels: Vec<_> = COMMANDS.iter().map(|entry| entry.label).collect();
        labels.sort_unstable();
        assert!(labels.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn an_ellipsis_means_that_more_is_asked() {
        for entry in COMMANDS {
            assert_eq!(entry.label.ends_with('…'), entry.asks, "{}", entry.label);
            assert!(!entry.tooltip.ends_with('.') && !entry.tooltip.is_empty(), "{}", entry.label);
        }
    }

    #[test]
    fn the_page_of_shortcuts_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/shortcuts.md");
        let page = shortcuts_page();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(stored, page, "run UPDATE_DOCS=1 cargo test --lib shortcuts");
    }
}
