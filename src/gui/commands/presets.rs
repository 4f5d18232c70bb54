//! Shortcuts as other programs have them, for people who come from there.
//!
//! A preset says only what differs. A key that it gives to one command is taken from the command that has it
//! by default, and that one gets the same key with Shift where it is free.

use std::cell::Cell;

use egui::{Key, KeyboardShortcut, Modifiers};

use super::{COMMANDS, CommandId as C, Entry};

/// A set of shortcuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    /// The program's own.
    Standard,
    /// As in ilastik.
    Ilastik,
    /// As in ITK-SNAP.
    ItkSnap,
    /// As in 3D Slicer's segment editor.
    Slicer,
    /// As in napari's labels layer.
    Napari,
    /// As in IMOD's 3dmod.
    Imod,
}

thread_local! {
    /// The set in force. A window has one thread, and its settings are in force there.
    static IN_FORCE: Cell<Preset> = const { Cell::new(Preset::Standard) };
}

impl Preset {
    /// All sets, the program's own first.
    pub(crate) const ALL: [Self; 6] =
        [Self::Standard, Self::Ilastik, Self::ItkSnap, Self::Slicer, Self::Napari, Self::Imod];

    /// The name in the settings.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Ilastik => "ilastik",
            Self::ItkSnap => "itk-snap",
            Self::Slicer => "slicer",
            Self::Napari => "napari",
            Self::Imod => "imod",
        }
    }

    /// The name that a user reads.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Standard => "Waterwindow",
            Self::Ilastik => "ilastik",
            Self::ItkSnap => "ITK-SNAP",
            Self::Slicer => "3D Slicer",
            Self::Napari => "napari",
            Self::Imod => "IMOD 3dmod",
        }
    }

    /// The set of this name in the settings; the program's own for names it does not know.
    pub(crate) fn of_id(id: &str) -> Self {
        Self::ALL.into_iter().find(|preset| preset.id() == id).unwrap_or(Self::Standard)
    }

    /// The set in force.
    pub(crate) fn in_force() -> Self {
        IN_FORCE.get()
    }

    /// Puts it in force.
    pub(crate) fn use_it(self) {
        IN_FORCE.set(self);
    }

    /// What it gives other keys than the table does.
    fn differences(self) -> &'static [(C, Key)] {
        match self {
            Self::Standard => &[],
            Self::Ilastik => &[(C::SmallerBrush, Key::Comma), (C::LargerBrush, Key::Period)],
            Self::ItkSnap => &[
                (C::ToggleLabels, Key::S),
                (C::LargerBrush, Key::Equals),
                (C::SmallerBrush, Key::Minus),
                (C::NextClass, Key::Period),
                (C::PreviousClass, Key::Comma),
            ],
            Self::Slicer => &[
                (C::Undo, Key::Z),
                (C::Redo, Key::Y),
                (C::ToggleLabels, Key::G),
                (C::PreviousClass, Key::Q),
                (C::NextClass, Key::W),
            ],
            Self::Napari => &[
                (C::Brush, Key::P),
                (C::PickClass, Key::L),
                (C::Navigate, Key::Z),
                (C::NewClass, Key::M),
                (C::NextClass, Key::Equals),
                (C::PreviousClass, Key::Minus),
            ],
            Self::Imod => &[
                (C::SmallerBrush, Key::Q),
                (C::LargerBrush, Key::W),
                (C::ToggleLabels, Key::T),
                (C::NextClass, Key::P),
                (C::PreviousClass, Key::O),
            ],
        }
    }

    /// The shortcuts of a command in this set; the first is shown.
    pub(crate) fn keys(self, entry: &Entry) -> Vec<KeyboardShortcut> {
        let plain = |key| KeyboardShortcut::new(Modifiers::NONE, key);
        let shifted = |key| KeyboardShortcut::new(Modifiers::SHIFT, key);
        let given = |key: &KeyboardShortcut| {
            key.modifiers.is_none() && self.differences().iter().any(|(_, other)| *other == key.logical_key)
        };
        let own: Vec<_> =
            self.differences().iter().filter(|(id, _)| *id == entry.id).map(|(_, key)| plain(*key)).collect();
        if !own.is_empty() {
            // Combinations with Ctrl and the like stay beside the new key.
            let kept = entry.keys.iter().filter(|key| !key.modifiers.is_none());
            return own.iter().copied().chain(kept.copied()).collect();
        }
        let taken = |shortcut: &KeyboardShortcut| COMMANDS.iter().any(|other| other.keys.contains(shortcut));
        entry
            .keys
            .iter()
            .filter_map(|key| {
                if given(key) {
                    Some(shifted(key.logical_key)).filter(|moved| !taken(moved))
                } else {
                    Some(*key)
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::format_shortcut;
    use super::*;

    #[test]
    fn no_preset_gives_a_key_to_two_commands_or_loses_a_painting_tool() {
        for preset in Preset::ALL {
            let mut keys: Vec<_> = COMMANDS
                .iter()
                .flat_map(|entry| {
                    preset.keys(entry).into_iter().map(move |key| (format_shortcut(&key), entry.label))
                })
                .collect();
            keys.sort();
            for pair in keys.windows(2) {
                assert_ne!(pair[0].0, pair[1].0, "{}: {} and {}", preset.label(), pair[0].1, pair[1].1);
            }
            for id in [C::Brush, C::Eraser, C::Polygon, C::Wand, C::Fill, C::Live, C::Undo, C::NewClass] {
                let keys = preset.keys(super::super::find(id));
                assert!(!keys.is_empty(), "{}: {id:?} has no key", preset.label());
            }
            assert_eq!(Preset::of_id(preset.id()), preset);
        }
        assert_eq!(Preset::of_id("emacs"), Preset::Standard);
    }
}
