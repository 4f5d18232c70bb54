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

#[test]
fn the_demo_is_shown_in_four_views() {
    let mut harness = window([1440.0, 900.0], demo_session());
    settle(&mut harness);
    for _ in 0..40 {
        harness.step();
    }
    for label in ["Slice XY", "Slice YZ", "Slice XZ", "Volume view", "Histogram"] {
        harness.get_by_label(label);
    }
    look(&mut harness, "views");
}
