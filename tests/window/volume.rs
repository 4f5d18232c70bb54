//! The 3D view: lit, cut open and turned by its menu, asked where the crosshair should be.

use egui::{Event, Modifiers, PointerButton};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use waterwindow::gui::App;

use super::support::{at_reconstruction, click, demo_session, look, press, rest, settle, window};

/// Where the slices are, as the titles of the views say it.
fn places(harness: &Harness<'_, App>) -> Vec<String> {
    let titles = harness.query_all_by_label_contains("/64  ·");
    titles
        .filter_map(|node| node.accesskit_node().label().or_else(|| node.accesskit_node().value()))
        .collect()
}

#[test]
fn the_3d_view_is_cut_open_turned_and_moves_the_crosshair_to_what_is_clicked() {
    let mut harness = at_reconstruction([1440.0, 900.0], demo_session());
    click(&mut harness, "Maximise 3D");
    rest(&mut harness);
    look(&mut harness, "volume_haze");

    click(&mut harness, "3D look");
    harness.step();
    look(&mut harness, "volume_look_menu");
    click(&mut harness, "Look from the right");
    harness.key_press(egui::Key::Escape);
    harness.step();
    click(&mut harness, "3D cuts");
    look(&mut harness, "volume_cuts_menu");
    click(&mut harness, "x above");
    click(&mut harness, "Show the crosshair");
    harness.key_press(egui::Key::Escape);
    rest(&mut harness);
    look(&mut harness, "volume_cut");

    click(&mut harness, "3D mode");
    click(&mut harness, "Surface at a value");
    rest(&mut harness);
    look(&mut harness, "volume_surface_cut");
    click(&mut harness, "3D look");
    harness.get_by_label("Value of the surface, slider");
    click(&mut harness, "Look from the front");
    harness.key_press(egui::Key::Escape);
    harness.step();
    click(&mut harness, "3D cuts");
    click(&mut harness, "Cut nothing");
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

/// The number in a field.
fn number(harness: &Harness<'_, App>, field: &str) -> f64 {
    let node = harness.get_by_label(field);
    let shown = node.accesskit_node().value().unwrap();
    shown.split('\u{2009}').next().unwrap().trim().replace('−', "-").parse().unwrap()
}

/// Drags from one place of the screen to another.
fn drag(harness: &mut Harness<'_, App>, from: egui::Pos2, to: egui::Pos2) {
    harness.hover_at(from);
    harness.step();
    harness.drag_at(from);
    harness.step();
    for i in 1..=6 {
        harness.hover_at(from + (to - from) * (i as f32 / 6.0));
        harness.step();
    }
    harness.drop_at(to);
    (0..3).for_each(|_| harness.step());
}

#[test]
fn a_box_and_a_plane_cut_the_volume_by_their_handles_and_by_numbers() {
    let mut harness = super::slices::two([1440.0, 900.0], waterwindow::session::Theme::Dark);
    harness.key_press_modifiers(Modifiers::COMMAND, egui::Key::Num4);
    rest(&mut harness);
    click(&mut harness, "3D look");
    click(&mut harness, "Look from the front");
    harness.key_press(egui::Key::Escape);
    harness.step();
    harness.key_press_modifiers(Modifiers::ALT, egui::Key::B);
    rest(&mut harness);
    look(&mut harness, "clip_box");

    // Seen from the front the right face of the box lies right of the middle: at half of 1.44 µm, by the scale.
    let view = harness.get_by_label("Volume view").rect();
    let open = |harness: &mut Harness<'_, App>| {
        click(harness, "3D cuts");
        harness.step();
    };
    open(&mut harness);
    let whole = number(&harness, "Box x to");
    assert!((whole - 1.425).abs() < 0.01, "{whole}");
    harness.key_press(egui::Key::Escape);
    harness.step();
    let pictures = |harness: &mut Harness<'_, App>| {
        rest(harness);
        harness.render().ok()
    };
    let before = pictures(&mut harness);
    // The handle is found by its colour, vermilion, right of the middle.
    if let Some(before) = &before {
        let is_x = |p: &image::Rgba<u8>| p.0[0] > 200 && p.0[1] < 150 && p.0[2] < 110;
        let (mut at, mut n) = (egui::Vec2::ZERO, 0.0);
        for x in view.center().x as u32 + 60..view.right() as u32 {
            for y in view.center().y as u32 - 30..view.center().y as u32 + 30 {
                if is_x(before.get_pixel(x, y)) {
                    at += egui::vec2(x as f32 + 0.5, y as f32 + 0.5);
                    n += 1.0;
                }
            }
        }
        assert!(n > 10.0, "the handle of the right face is seen");
        let handle = (at / n).to_pos2();
        drag(&mut harness, handle, handle - egui::vec2(110.0, 0.0));
        open(&mut harness);
        let cut = number(&harness, "Box x to");
        assert!(cut < whole - 0.1, "{cut} of {whole}");
        look(&mut harness, "clip_box_menu");
        click(&mut harness, "Reset box");
        assert!((number(&harness, "Box x to") - whole).abs() < 0.01);
        click(&mut harness, "Only what lies in a box");
        harness.key_press(egui::Key::Escape);
        harness.step();
    }

    harness.key_press_modifiers(Modifiers::ALT, egui::Key::P);
    let plane = pictures(&mut harness);
    look(&mut harness, "clip_plane");
    open(&mut harness);
    assert!(number(&harness, "Azimuth of the plane").abs() < 0.1, "it faces the viewer");
    harness.key_press(egui::Key::Escape);
    harness.step();
    // Its tip lies in its middle; what is nearer is taken: the tip turns it.
    let middle = view.center();
    drag(&mut harness, middle, middle + egui::vec2(120.0, -40.0));
    let turned = pictures(&mut harness);
    assert!(plane.is_none() || plane != turned);
    open(&mut harness);
    assert!(
        number(&harness, "Azimuth of the plane") > 5.0 && number(&harness, "Elevation of the plane") > 1.0
    );
    look(&mut harness, "clip_plane_menu");
    click(&mut harness, "Other side");
    assert!(number(&harness, "Azimuth of the plane") < -90.0);
    click(&mut harness, "Cut nothing");
    assert!(harness.query_by_label("Azimuth of the plane").is_none());
}

#[test]
fn a_class_stays_whole_where_everything_around_it_is_cut_away() {
    let mut harness = window([1280.0, 720.0], demo_session());
    settle(&mut harness);
    press(&mut harness, "Reconstruct");
    settle(&mut harness);
    // The true labels of the demo cell.
    click(&mut harness, "Show true labels");
    harness.key_press_modifiers(Modifiers::COMMAND, egui::Key::Num4);
    harness.step();
    harness.key_press_modifiers(Modifiers::ALT, egui::Key::P);
    rest(&mut harness);
    look(&mut harness, "kept_nothing");
    let cut = harness.render().ok();
    click(&mut harness, "3D cuts");
    harness.step();
    click(&mut harness, "Keep mitochondria whole");
    look(&mut harness, "kept_menu");
    harness.key_press(egui::Key::Escape);
    rest(&mut harness);
    look(&mut harness, "kept_mitochondria");
    assert!(cut.is_none() || cut != harness.render().ok());
}
