//! Surfaces of labels in the 3D view: made by themselves, clear or opaque, coloured by what is told at them.

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use waterwindow::gui::App;

use super::support::{at_reconstruction, click, demo_session, look, press, rest, settle, window};

/// What is said somewhere in the window, by its beginning.
fn said(harness: &Harness<'_, App>, begin: &str) -> Vec<String> {
    let nodes = harness.query_all_by_label_contains(begin);
    let texts = nodes.filter_map(|node| {
        let node = node.accesskit_node();
        node.label().or_else(|| node.value())
    });
    texts.filter(|text| text.starts_with(begin)).collect()
}

#[test]
fn surfaces_appear_with_their_error_and_are_coloured_by_what_is_told_at_them() {
    let mut harness = at_reconstruction([1440.0, 900.0], demo_session());
    click(&mut harness, "Maximise 3D");
    rest(&mut harness);

    click(&mut harness, "Surfaces");
    click(&mut harness, "Show surfaces");
    harness.step();
    assert!(!said(&harness, "No labels are seen").is_empty(), "the labels of the demo are hidden at first");
    harness.key_press(egui::Key::Escape);
    harness.step();
    click(&mut harness, "Show true labels");
    click(&mut harness, "Surfaces");
    rest(&mut harness);
    look(&mut harness, "surfaces_menu");
    let errors = said(&harness, "Volume error of ");
    assert!(errors.len() >= 3, "every class tells its error: {errors:?}");
    for error in &errors {
        let percent: f64 = error.rsplit(": ").next().unwrap().trim_end_matches(" %").parse().unwrap();
        // Organelles of a demo of 64 voxels are two or three voxels wide.
        assert!(percent.abs() < 50.0, "{error}");
    }
    assert!(said(&harness, "making surfaces").is_empty());

    click(&mut harness, "Colour by mean curvature");
    rest(&mut harness);
    let bar = said(&harness, "Surface colours: Mean curvature (1/µm)");
    assert_eq!(bar.len(), 1, "the colour bar names quantity and unit");
    click(&mut harness, "Surfaces alone");
    click(&mut harness, "Colour by distance");
    click(&mut harness, "Distance to vacuoles");
    rest(&mut harness);
    look(&mut harness, "surfaces_distance");
    assert!(said(&harness, "Surface colours: Distance to vacuoles")[0].contains("(µm)"));
    click(&mut harness, "Each object");
    click(&mut harness, "Colour by object");
    harness.key_press(egui::Key::Escape);
    rest(&mut harness);
    look(&mut harness, "surfaces_objects");
    assert!(said(&harness, "Surface colours").is_empty(), "colours of objects stand for no values");

    // Cut open, then off by the key, and on again.
    click(&mut harness, "3D cuts");
    click(&mut harness, "z below");
    harness.key_press(egui::Key::Escape);
    rest(&mut harness);
    look(&mut harness, "surfaces_cut");
    harness.key_press_modifiers(egui::Modifiers::ALT, egui::Key::S);
    rest(&mut harness);
    click(&mut harness, "Surfaces");
    assert!(said(&harness, "Volume error of ").is_empty(), "off: nothing is told");
}

#[test]
fn painting_makes_the_surfaces_anew() {
    let mut harness = window([1280.0, 720.0], demo_session());
    settle(&mut harness);
    press(&mut harness, "Reconstruct");
    settle(&mut harness);
    click(&mut harness, "Show true labels");
    click(&mut harness, "Surfaces");
    click(&mut harness, "Show surfaces");
    rest(&mut harness);
    let before = said(&harness, "Volume error of ");
    harness.key_press(egui::Key::Escape);
    harness.step();
    click(&mut harness, "Stage Segment");
    click(&mut harness, "Brush");
    click(&mut harness, "Class lipid droplets");
    super::support::stroke(&mut harness, "Slice XY", [0.3, 0.3], [0.6, 0.6]);
    rest(&mut harness);
    click(&mut harness, "Surfaces");
    rest(&mut harness);
    let after = said(&harness, "Volume error of ");
    assert_ne!(before, after, "what was painted has a surface of its own");
    look(&mut harness, "surfaces_painted");
}
