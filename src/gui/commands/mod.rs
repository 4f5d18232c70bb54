//! One table of everything a user can ask for.
//!
//! Menus, the palette, shortcuts, tooltips, the key overlay and docs/shortcuts.md are made from
//! it, so that none of them can say something else.

use presets::Preset;

use egui::{Key, KeyboardShortcut, Modifiers};

pub(crate) mod custom;
mod keys;
mod mouse;
pub(crate) mod presets;
mod table;

pub(crate) use mouse::MOUSE;
pub(crate) use table::COMMANDS;

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
    Regions,
    Polygon,
    Fill,
    Wand,
    Object,
    BallBrush,
    SmartBrush,
    SwapClass,
    NextClass,
    PreviousClass,
    LockClass,
    PickClass,
    Interpolate,
    NextPlace,
    PreviousPlace,
    Proofread,
    NextObject,
    PreviousObject,
    AcceptObject,
    RemoveObject,
    RelabelObject,
    ShowMarks,
    SmallerBrush,
    LargerBrush,
    LacLimit,
    Class(u8),
    NewClass,
    Classify,
    Live,
    AcceptPrediction,
    DiscardPrediction,
    KeepClassifier,
    Uncertainty,
    ToggleLabels,
    Measure,
    FitViews,
    AutoContrast,
    AboutFile,
    MaximiseView,
    Oblique,
    Crosshair,
    MeasureDistance,
    MeasureAngle,
    MeasureArea,
    MeasureProfile,
    MeasurePoint,
    PlanePoints,
    SliceAlong,
    SliceAcross,
    Slab,
    ThickerSlab,
    ThinnerSlab,
    Compare,
    Surfaces,
    SurfacesAlone,
    ClipBox,
    ClipPlane,
    ResetCamera,
    LookFront,
    LookBack,
    LookLeft,
    LookRight,
    LookTop,
    LookBottom,
    SplitRight,
    SplitBelow,
    DuplicateView,
    LinkView,
    CloseView,
    Layout(crate::gui::layouts::Preset),
    ResetLayout,
    SavePicture,
    LeftPanel,
    RightPanel,
    Palette,
    KeyOverlay,
    Tour,
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
    /// Something was read from a file.
    pub(crate) file: bool,
    /// There is a prediction.
    pub(crate) prediction: bool,
    /// Something can be undone.
    pub(crate) undo: bool,
    /// Something can be redone.
    pub(crate) redo: bool,
    /// Places that are worth a stroke are known, and no field has the focus.
    pub(crate) places: bool,
    /// A list of objects to proofread is open.
    pub(crate) objects: bool,
    /// One of them is chosen.
    pub(crate) object: bool,
    /// A job runs or waits.
    pub(crate) jobs: bool,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
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

impl Entry {
    const fn asks(mut self) -> Self {
        self.asks = true;
        self
    }

    const fn when(mut self, enabled: fn(&Facts) -> bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// The shortcuts in the set that the user has chosen, with what was changed in it.
    pub(crate) fn keys_in_force(&self) -> Vec<KeyboardShortcut> {
        custom::keys(self, Preset::in_force())
    }

    /// The first shortcut as it is printed on keys; empty where there is none.
    pub(crate) fn shortcut(&self) -> String {
        self.keys_in_force().first().map(format_shortcut).unwrap_or_default()
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
        Key::Semicolon => ";",
        Key::Backslash => "\\",
        Key::Equals => "=",
        Key::Minus => "-",
        Key::Plus => "+",
        Key::Period => ".",
        Key::Comma => ",",
        Key::Colon => ":",
        Key::Slash => "/",
        Key::Quote => "'",
        Key::Backtick => "`",
        Key::Exclamationmark => "!",
        Key::Enter => "Enter",
        Key::Space => "Space",
        Key::Escape => "Esc",
        key => key.name(),
    });
    text
}

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
        let mut keys: Vec<_> = COMMANDS
            .iter()
            .flat_map(|entry| entry.keys_in_force().into_iter().map(move |key| (entry, key)))
            .collect();
        keys.sort_by_key(|(_, key)| {
            let m = key.modifiers;
            std::cmp::Reverse(u8::from(m.shift) + u8::from(m.command) + u8::from(m.alt))
        });
        for (entry, key) in keys {
            let plain = !key.modifiers.command && !key.modifiers.alt;
            if (plain && typing) || !(entry.enabled)(facts) {
                continue;
            }
            if consume(input, &key) && !found.contains(&entry.id) {
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
        "# Keyboard and mouse\n\nMade from the table of commands in `src/gui/commands/table`; a test keeps it true. Letters never act while a text field has the focus. On macOS, Ctrl is Cmd.\n\n## Mouse in the views\n\n| input | what it does |\n|---|---|\n",
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
    page.push_str(
        "\n## As in other programs\n\nThe overlay of shortcuts (**?**) offers these sets. Only what differs is listed; a key that is taken from another command is its key with Shift, where that is free.\n\n| set | command | keys |\n|---|---|---|\n",
    );
    for preset in Preset::ALL.into_iter().skip(1) {
        for entry in COMMANDS.iter() {
            let keys = preset.keys(entry);
            if keys != entry.keys {
                let keys: Vec<_> = keys.iter().map(format_shortcut).collect();
                let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
                let _ = writeln!(page, "| {} | {} | {keys} |", preset.label(), entry.label);
            }
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
        for entry in COMMANDS.iter() {
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
