//! The 3D view: lit, cut open and turned by its menu, asked where the crosshair should be.

use std::time::Duration;

use egui::{Event, Modifiers, PointerButton};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use waterwindow::gui::App;

use super::support::{click, demo_session, look, press, settle, window};

/// Frames until the picture of the volume has had time to become fine.
fn rest(harness: &mut Harness<'_, App>) {
    for _ in 0..60 {
        harness.step();
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Where the slices are, as the titles of the views say it.
fn places(harness: &Harness<'_, App>) -> Vec<String> {
    let titles = harness.query_all_by_label_contains("/64  ·");
    titles
        .filter_map(|node| node.accesskit_node().label().or_else(|| node.accesskit_node().value()))
        .collect()
}

#[test]
fn the_3d_view_is_cut_open_turned_and_moves_the_crosshair_to_what_is_clicked() {
    let mut harness = window([1440.0, 900.0], demo_session());
    settle(&mut harness);
    press(&mut harness, "Reconstruct");
    settle(&mut harness);
    click(&mut harness, "Maximise 3D");
    rest(&mut harness);
    look(&mut harness, "volume_haze");

    click(&mut harness, "3D look");
    harness.step();
    look(&mut harness, "volume_look_menu");
    click(&mut harness, "x above");
    click(&mut harness, "Show the crosshair");
    click(&mut harness, "Look from the right");
    harness.key_press(egui::Key::Escape);
    rest(&mut harness);
    look(&mut harness, "volume_cut");

    click(&mut harness, "3D mode");
    click(&mut harness, "Surface at a value");
    rest(&mut harness);
    look(&mut harness, "volume_surface_cut");
    click(&mut harness, "3D look");
    harness.get_by_label("Value of the surface, slider");
    click(&mut harness, "Cut nothing");
    click(&mut harness, "Look from the front");
    harness.key_press(egui::Key::Escape);
    rest(&mut harness);
    look(&mut harness, "volume_surface");

    // A click beside the middle, where the cell is.
    let rect = harness.get_by_label("Volume view").rect();
    let pos = rect.center() + egui::vec2(-40.0, 30.0);
    harness.event(Event::PointerMoved(pos));
    harness.step();
    for pressed in [true, false] {
        let (button, modifiers) = (PointerButton::Primary, Modifiers::NONE);
        harness.event(Event::PointerButton { pos, button, pressed, modifiers });
        harness.step();
    }
    click(&mut harness, "Maximise 3D");
    settle(&mut harness);
    let after = places(&harness);
    assert_eq!(after.len(), 3, "{after:?}");
    assert!(
        after.iter().all(|place| !place.contains(" 33/64")),
        "the crosshair moved off the middle: {after:?}"
    );
    look(&mut harness, "volume_picked");
}
