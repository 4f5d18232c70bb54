//! Shortcuts that the user has changed, on top of a set: kept in the settings as text, "ctrl+shift+Z".
//!
//! A key that is given to one command is taken from every other one that has it in the set.

use std::cell::RefCell;
use std::collections::BTreeMap;

use egui::{Key, KeyboardShortcut, Modifiers};

use super::presets::Preset;
use super::{COMMANDS, CommandId, Entry};

thread_local! {
    /// Commands by name with their key, or none. A window has one thread, and its settings are in force there.
    static CHANGED: RefCell<BTreeMap<String, Option<KeyboardShortcut>>> = const { RefCell::new(BTreeMap::new()) };
}

/// What a command is called in the settings.
pub(crate) fn name_of(id: CommandId) -> String {
    format!("{id:?}")
}

/// Puts what the settings say in force; names and keys that are not known are left out.
pub(crate) fn use_these(shortcuts: &BTreeMap<String, String>) {
    let read = |(name, text): (&String, &String)| {
        let known = COMMANDS.iter().any(|entry| name_of(entry.id) == *name);
        let key = if text.trim().is_empty() { Some(None) } else { parse(text).map(Some) };
        Some((name.clone(), key.filter(|_| known)?))
    };
    let new: BTreeMap<_, _> = shortcuts.iter().filter_map(read).collect();
    CHANGED.set(new);
}

/// The shortcuts of a command: its own where it was changed, else those of the set that no changed one has taken.
pub(crate) fn keys(entry: &Entry, preset: Preset) -> Vec<KeyboardShortcut> {
    CHANGED.with_borrow(|changed| {
        if changed.is_empty() { preset.keys(entry) } else { keys_with(changed, entry, preset) }
    })
}

fn keys_with(
    changed: &BTreeMap<String, Option<KeyboardShortcut>>,
    entry: &Entry,
    preset: Preset,
) -> Vec<KeyboardShortcut> {
    match changed.get(&name_of(entry.id)) {
        Some(own) => own.iter().copied().collect(),
        None => {
            let mut keys = preset.keys(entry);
            keys.retain(|key| !changed.values().flatten().any(|taken| taken == key));
            keys
        }
    }
}

/// Whether a command has a key of the user's.
pub(crate) fn is_changed(id: CommandId) -> bool {
    CHANGED.with_borrow(|changed| changed.contains_key(&name_of(id)))
}

/// The command that has a key now, other than this one.
pub(crate) fn owner(key: &KeyboardShortcut, except: CommandId) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.id != except && entry.keys_in_force().contains(key))
}

/// The shortcuts with one changed; another command that was given the same key by hand loses it.
pub(crate) fn with(
    mut shortcuts: BTreeMap<String, String>,
    id: CommandId,
    key: Option<KeyboardShortcut>,
) -> BTreeMap<String, String> {
    let text = key.map(|key| write(&key)).unwrap_or_default();
    if !text.is_empty() {
        for taken in shortcuts.values_mut().filter(|other| parse(other) == key) {
            taken.clear();
        }
    }
    shortcuts.insert(name_of(id), text);
    shortcuts
}

/// The key that was pressed in this frame, if any, taken out of the input; keys that only hold others do not count.
pub(crate) fn take_pressed(ctx: &egui::Context) -> Option<KeyboardShortcut> {
    ctx.input_mut(|input| {
        let found = input.events.iter().find_map(|event| match event {
            egui::Event::Key { key, modifiers, pressed: true, repeat: false, .. } => {
                Some(KeyboardShortcut::new(plain(*modifiers), *key))
            }
            _ => None,
        });
        if found.is_some() {
            input.events.retain(|event| !matches!(event, egui::Event::Key { .. } | egui::Event::Text(_)));
        }
        found
    })
}

/// Without what says the same twice: Ctrl is the command key everywhere but on a Mac.
fn plain(modifiers: Modifiers) -> Modifiers {
    let command = modifiers.command || modifiers.ctrl;
    Modifiers { alt: modifiers.alt, ctrl: false, shift: modifiers.shift, mac_cmd: false, command }
}

/// "ctrl+shift+Z": the same on every system.
fn write(key: &KeyboardShortcut) -> String {
    let held = key.modifiers;
    let words = [(held.command || held.ctrl, "ctrl+"), (held.alt, "alt+"), (held.shift, "shift+")];
    let held: String = words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
    held + key.logical_key.name()
}

fn parse(text: &str) -> Option<KeyboardShortcut> {
    let mut modifiers = Modifiers::NONE;
    let mut rest = text.trim();
    loop {
        let (word, more) = rest.split_once('+').filter(|(_, more)| !more.is_empty()).unwrap_or((rest, ""));
        match word.to_lowercase().as_str() {
            _ if more.is_empty() => break,
            "ctrl" | "cmd" => modifiers.command = true,
            "alt" => modifiers.alt = true,
            "shift" => modifiers.shift = true,
            _ => return None,
        }
        rest = more;
    }
    Some(KeyboardShortcut::new(modifiers, Key::from_name(rest)?))
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    #[test]
    fn keys_are_written_and_read_back() {
        for entry in COMMANDS.iter() {
            for key in entry.keys {
                assert_eq!(parse(&write(key)), Some(*key), "{}", write(key));
            }
        }
        for text in ["", "ctrl+", "hyper+A", "ctrl+NoKey"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_changed_key_is_taken_from_the_other_command_and_an_empty_one_takes_it_away() {
        let key = |key| KeyboardShortcut::new(Modifiers::NONE, key);
        let read = |shortcuts: &BTreeMap<String, String>| -> BTreeMap<String, Option<KeyboardShortcut>> {
            shortcuts.iter().map(|(name, text)| (name.clone(), parse(text))).collect()
        };
        let shortcuts = with(BTreeMap::new(), CommandId::Brush, Some(key(Key::E)));
        let changed = read(&shortcuts);
        let of = |changed: &_, id| keys_with(changed, find(id), Preset::Standard);
        assert_eq!(of(&changed, CommandId::Brush), [key(Key::E)]);
        assert_eq!(of(&changed, CommandId::Eraser), [], "E was the eraser's");
        let shortcuts = with(shortcuts, CommandId::Eraser, Some(key(Key::E)));
        let changed = read(&shortcuts);
        assert_eq!(of(&changed, CommandId::Eraser), [key(Key::E)]);
        assert_eq!(of(&changed, CommandId::Brush), [], "given away by hand");
        let changed = read(&with(shortcuts, CommandId::Eraser, None));
        assert_eq!(of(&changed, CommandId::Eraser), []);
    }

    #[test]
    fn names_in_the_settings_are_unique() {
        let names: std::collections::BTreeSet<_> = COMMANDS.iter().map(|entry| name_of(entry.id)).collect();
        assert_eq!(names.len(), COMMANDS.len());
    }
}
