//! Drives the window without a screen, by the names that a screen reader would say.
//!
//! The pictures need a graphics adapter (a software driver will do); where there is none the test
//! says SKIP and does the rest.

#![cfg(feature = "gui")]
#![expect(clippy::print_stdout, reason = "a skipped part is said aloud")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use serde_json::json;
use waterwindow::gui::{App, Start};
use waterwindow::session::{Command, Session, Settings};

/// Whether anything can draw here.
fn has_adapter() -> bool {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()));
    if adapter.is_err() {
        println!("SKIP pictures: no graphics adapter (install mesa-vulkan-drivers)");
    }
    adapter.is_ok()
}

/// A window on a session.
fn window(size: [f32; 2], session: Session) -> Harness<'static, App> {
    let builder = Harness::builder().with_size(size).with_max_steps(64);
    if !has_adapter() {
        return builder
            .build_eframe(|creation| App::with_session(&creation.egui_ctx, None, session, Start::default()));
    }
    let state = egui_kittest::wgpu::create_render_state(
        egui_kittest::wgpu::default_wgpu_setup(),
        egui_wgpu::RendererOptions::PREDICTABLE,
    );
    let for_app = state.clone();
    builder.renderer(egui_kittest::wgpu::WgpuTestRenderer::from_render_state(state)).build_eframe(
        move |creation| App::with_session(&creation.egui_ctx, Some(&for_app), session, Start::default()),
    )
}

/// Runs frames until the session has nothing left to do.
fn settle(harness: &mut Harness<'_, App>) {
    let began = Instant::now();
    loop {
        harness.step();
        let busy = harness.state().session().jobs().iter().any(|job| !job.state.is_over());
        if !busy {
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(2), "a job does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..4 {
        harness.step();
    }
}

/// A session with a small demo cell and its scan.
fn demo_session() -> Session {
    let mut session = Session::new(Settings::default());
    session.apply(Command::StartOp {
        op: "demo".to_owned(),
        params: json!({ "size": 64, "views": 60 }),
        inputs: Vec::new(),
        name: None,
    });
    session.wait_idle();
    session
}

#[test]
fn the_first_page_offers_demo_cells_and_files() {
    let mut harness = window([1280.0, 720.0], Session::new(Settings::default()));
    settle(&mut harness);
    harness.get_by_label("Open demo yeast");
    harness.get_by_label("Open demo lymphocyte");
    harness.get_by_label("Open scan or tomogram…");
    look(&mut harness, "welcome");
}

/// Writes what is seen to the folder that WATERWINDOW_LOOK names, for looking at it.
fn look(harness: &mut Harness<'_, App>, name: &str) {
    if let Some(folder) = std::env::var_os("WATERWINDOW_LOOK")
        && let Ok(picture) = harness.render()
    {
        picture.save(std::path::Path::new(&folder).join(format!("{name}.png"))).unwrap();
    }
}

/// Paints a line in a view from one place to another, given as fractions of its width and height.
fn stroke(harness: &mut Harness<'_, App>, view: &str, from: [f32; 2], to: [f32; 2]) {
    let rect = harness.get_by_label(view).rect();
    let at = |f: [f32; 2]| rect.min + rect.size() * egui::vec2(f[0], f[1]);
    harness.drag_at(at(from));
    harness.step();
    for i in 1..=6 {
        let t = i as f32 / 6.0;
        harness.hover_at(at(from) + (at(to) - at(from)) * t);
        harness.step();
    }
    harness.drop_at(at(to));
    harness.step();
    harness.step();
}

/// Clicks a button whose name is also that of a heading.
fn press(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_role_and_label(egui::accesskit::Role::Button, label).click();
    harness.step();
    harness.step();
}

fn click(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_label(label).click();
    harness.step();
    harness.step();
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
