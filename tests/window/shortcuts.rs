//! Shortcuts that a user changes: heard, asked about where another command has them, kept, reset.

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use waterwindow::gui::App;
use waterwindow::session::Theme;

use super::slices::two;
use super::support::{click, look};

fn press(harness: &mut Harness<'_, App>, modifiers: Modifiers, key: Key) {
    harness.key_press_modifiers(modifiers, key);
    (0..3).for_each(|_| harness.step());
}

fn changed(harness: &Harness<'_, App>) -> Vec<(String, String)> {
    let shortcuts = harness.state().session().settings().shortcuts.clone();
    shortcuts.into_iter().collect()
}

#[test]
fn a_shortcut_is_changed_taken_from_another_command_and_reset() {
    let mut harness = two([1280.0, 720.0], Theme::Dark);
    press(&mut harness, Modifiers::NONE, Key::F1);
    click(&mut harness, "Shortcut of Brush");
    harness.get_by_label_contains("Press the new key");
    look(&mut harness, "keys_listening");
    // Escape leaves it as it is, and leaves the overlay open.
    press(&mut harness, Modifiers::NONE, Key::Escape);
    assert!(changed(&harness).is_empty());
    harness.get_by_label("Shortcut of Brush");

    click(&mut harness, "Shortcut of Brush");
    press(&mut harness, Modifiers::ALT, Key::J);
    assert_eq!(changed(&harness), [("Brush".to_owned(), "alt+J".to_owned())]);
    click(&mut harness, "Shortcut of Brush");
    press(&mut harness, Modifiers::NONE, Key::E);
    harness.get_by_label_contains("belongs to “Eraser”");
    look(&mut harness, "keys_taken");
    click(&mut harness, "Give it to Brush");
    assert_eq!(changed(&harness), [("Brush".to_owned(), "E".to_owned())]);
    press(&mut harness, Modifiers::NONE, Key::Escape);
    assert!(harness.query_by_label("Shortcut of Brush").is_none(), "closed");

    // E takes the brush now, not the eraser.
    press(&mut harness, Modifiers::NONE, Key::E);
    harness.get_by_label_contains("The left button paints");
    // In a text field letters are letters.
    click(&mut harness, "Menu of XY");
    harness.get_by_label("Name of the layout").focus();
    harness.step();
    press(&mut harness, Modifiers::NONE, Key::N);
    harness.get_by_label_contains("The left button paints");
    press(&mut harness, Modifiers::NONE, Key::Escape);
    press(&mut harness, Modifiers::NONE, Key::Escape);

    press(&mut harness, Modifiers::NONE, Key::F1);
    look(&mut harness, "keys_changed");
    click(&mut harness, "Reset shortcut of Brush");
    assert!(changed(&harness).is_empty());
    click(&mut harness, "Shortcut of Brush");
    press(&mut harness, Modifiers::NONE, Key::Backspace);
    assert_eq!(changed(&harness), [("Brush".to_owned(), String::new())]);
    click(&mut harness, "Reset all shortcuts");
    assert!(changed(&harness).is_empty());
}
