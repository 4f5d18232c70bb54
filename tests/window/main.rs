//! Drives the window without a screen, by the names that a screen reader would say.
//!
//! The pictures need a graphics adapter (a software driver will do); where there is none the test
//! says SKIP and does the rest.

#![cfg(feature = "gui")]
#![expect(clippy::print_stdout, reason = "a skipped part is said aloud")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
mod figures;
mod files;
mod frames;
mod layouts;
mod levels;
mod panels;
mod quality;
mod rulers;
mod shortcuts;
mod slices;
mod support;
mod surfaces;
mod tools;
mod tour;
mod views;
mod volume;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use waterwindow::gui::App;
use waterwindow::session::{Command, Session, Settings};

use support::{click, demo_session, look, press, settle, stroke, window};

#[test]
fn the_first_page_offers_demo_cells_and_files() {
    let mut harness = window([1280.0, 720.0], Session::new(Settings::default()));
    settle(&mut harness);
    harness.get_by_label("Open demo yeast");
    harness.get_by_label("Open demo lymphocyte");
    harness.get_by_label("Open scan or tomogram…");
    look(&mut harness, "welcome");
}

/// Runs frames until the window asks for none any more.
fn falls_asleep(harness: &mut Harness<'_, App>) {
    let began = std::time::Instant::now();
    loop {
        harness.step();
        let viewports = &harness.output().viewport_output;
        if viewports.values().all(|viewport| viewport.repaint_delay == std::time::Duration::MAX) {
            return;
        }
        assert!(began.elapsed() < std::time::Duration::from_mins(2), "the window never rests");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn where_nothing_moves_nothing_is_drawn() {
    let mut harness = window([1000.0, 700.0], Session::new(Settings::default()));
    settle(&mut harness);
    falls_asleep(&mut harness);
    let mut harness = window([1000.0, 700.0], demo_session());
    settle(&mut harness);
    press(&mut harness, "Reconstruct");
    settle(&mut harness);
    falls_asleep(&mut harness);
}

/// Number of voxels of each class that is painted.
fn painted(harness: &Harness<'_, App>) -> std::collections::BTreeMap<u16, usize> {
    let mut counts = std::collections::BTreeMap::new();
    let project = harness.state().session().project();
    let layers = project.layers.iter().filter(|layer| layer.provenance.op == "painted");
    for labels in layers.filter_map(|layer| layer.labels()) {
        for id in labels.labels.to_dense() {
            if id != 0 {
                *counts.entry(id).or_insert(0) += 1;
            }
        }
    }
    counts
}

#[test]
fn a_scan_that_says_too_little_opens_the_dialog_with_the_question() {
    let folder = tempfile::tempdir().unwrap();
    let file = common::bare_views(folder.path());
    std::fs::write(file.with_extension("rawtlt"), "0\n10\n20\n30\n40\n50\n60\n70\n").unwrap();
    let mut harness = window([1280.0, 720.0], Session::new(Settings::default()));
    harness.state_mut().session_mut().apply(Command::Open(file));
    settle(&mut harness);
    look(&mut harness, "unclear");
    harness.get_by_label_contains("does not say what its values are");
    assert!(harness.query_all_by_label("Values are").next().is_some());
    click(&mut harness, "Cancel");
    assert!(harness.query_by_label_contains("does not say what its values are").is_none());
}

#[test]
fn a_scan_becomes_a_measured_cell_and_comes_back_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cell.waterwindow");
    let mut harness = window([1440.0, 900.0], demo_session());
    settle(&mut harness);
    harness.get_by_label("Scan view");
    look(&mut harness, "scan");

    press(&mut harness, "Reconstruct");
    settle(&mut harness);
    for _ in 0..30 {
        harness.step();
    }
    for label in ["Slice XY", "Slice YZ", "Slice XZ", "Volume view", "Histogram"] {
        harness.get_by_label(label);
    }
    look(&mut harness, "reconstructed");

    click(&mut harness, "Stage Segment");
    click(&mut harness, "Brush");
    let lines = [
        ("Class lipid droplets", [0.05, 0.1], [0.05, 0.9]),
        ("Class cytoplasm", [0.4, 0.35], [0.45, 0.6]),
        ("Class mitochondria", [0.5, 0.5], [0.55, 0.5]),
    ];
    for (class, from, to) in lines {
        click(&mut harness, class);
        stroke(&mut harness, "Slice XY", from, to);
    }
    let before = painted(&harness);
    assert_eq!(before.len(), 3, "three classes are painted: {before:?}");
    look(&mut harness, "painted");

    click(&mut harness, "Undo");
    assert_eq!(painted(&harness).len(), 2, "a stroke is one step");
    click(&mut harness, "Redo");
    assert_eq!(painted(&harness), before);

    press(&mut harness, "Classify");
    settle(&mut harness);
    look(&mut harness, "classified");
    click(&mut harness, "Accept into labels");
    let project = harness.state().session().project();
    let segmented = project.from_top().find_map(|layer| layer.labels()).unwrap();
    assert!(!segmented.labels.ids().contains(&0), "every voxel has a class");
    assert_eq!(painted(&harness), before, "the strokes stay as they are");

    click(&mut harness, "Stage Measure");
    press(&mut harness, "Measure");
    settle(&mut harness);
    for _ in 0..30 {
        harness.step();
    }
    look(&mut harness, "measured");
    for name in ["lipid droplets", "cytoplasm", "mitochondria"] {
        assert!(harness.query_all_by_label(name).next().is_some(), "{name} is in the table");
    }

    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::S);
    harness.step();
    let field = harness.get_by_label("Path");
    field.focus();
    field.type_text("");
    harness.step();
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.step();
    harness.get_by_label("Path").type_text(&path.display().to_string());
    harness.step();
    look(&mut harness, "saving");
    click(&mut harness, "Save file");
    settle(&mut harness);
    assert!(!harness.state().session().is_dirty());
    let names = |harness: &Harness<'_, App>| -> Vec<String> {
        harness.state().session().project().layers.iter().map(|layer| layer.name.clone()).collect()
    };
    let saved = names(&harness);
    drop(harness);

    let mut harness = window([1440.0, 900.0], Session::new(Settings::default()));
    harness.state_mut().session_mut().apply(Command::Open(path));
    settle(&mut harness);
    for _ in 0..30 {
        harness.step();
    }
    assert_eq!(names(&harness), saved);
    assert_eq!(painted(&harness), before);
    look(&mut harness, "reopened");
}
