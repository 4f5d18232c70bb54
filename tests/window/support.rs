//! What the tests of the window share: a window without a screen, waiting, clicking, painting.

use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use image::RgbaImage;
use serde_json::json;
use waterwindow::gui::{App, Start};
use waterwindow::session::{Command, Session, Settings, Theme};

/// Whether anything can draw here.
pub(crate) fn has_adapter() -> bool {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()));
    if adapter.is_err() {
        println!("SKIP pictures: no graphics adapter (install mesa-vulkan-drivers)");
    }
    adapter.is_ok()
}

/// A window on a session.
pub(crate) fn window(size: [f32; 2], session: Session) -> Harness<'static, App> {
    window_scaled(size, 1.0, session)
}

/// The same with so many pixels a point.
pub(crate) fn window_scaled(size: [f32; 2], scale: f32, session: Session) -> Harness<'static, App> {
    // The harness sets its own theme after the program has set the user's.
    let theme = match session.settings().theme {
        Theme::Light => egui::Theme::Light,
        Theme::Dark | Theme::System => egui::Theme::Dark,
    };
    let builder =
        Harness::builder().with_size(size).with_pixels_per_point(scale).with_max_steps(64).with_theme(theme);
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
pub(crate) fn settle(harness: &mut Harness<'_, App>) {
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

/// Frames until what is made for a picture is there and the picture has had time to become fine.
pub(crate) fn rest(harness: &mut Harness<'_, App>) {
    for _ in 0..3 {
        settle(harness);
    }
    for _ in 0..60 {
        harness.step();
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A window on a small demo cell and its reconstruction.
pub(crate) fn at_reconstruction(size: [f32; 2], session: Session) -> Harness<'static, App> {
    let mut harness = window(size, session);
    settle(&mut harness);
    press(&mut harness, "Reconstruct");
    settle(&mut harness);
    harness
}

/// A part of the window as it looks, in points.
pub(crate) fn part(harness: &mut Harness<'_, App>, rect: egui::Rect) -> RgbaImage {
    let picture = harness.render().unwrap();
    let [x, y, w, h] = [rect.left(), rect.top(), rect.width(), rect.height()].map(|v| v.round() as u32);
    image::imageops::crop_imm(&picture, x, y, w, h).to_image()
}

/// What `take` gives once it is the same `n` more times, frames apart.
pub(crate) fn unchanged(
    harness: &mut Harness<'_, App>,
    n: usize,
    frames: impl Fn(&mut Harness<'_, App>),
    take: impl Fn(&mut Harness<'_, App>) -> RgbaImage,
) -> RgbaImage {
    let (mut last, mut n_alike) = (None, 0);
    for _ in 0..200 {
        frames(harness);
        let next = take(harness);
        // A coarse picture stays a while too.
        n_alike = if last.as_ref() == Some(&next) { n_alike + 1 } else { 0 };
        if n_alike == n {
            return next;
        }
        last = Some(next);
    }
    panic!("the picture never rests");
}

/// The 3D view as it looks.
pub(crate) fn view_picture(harness: &mut Harness<'_, App>) -> RgbaImage {
    let rect = harness.get_by_label("Volume view").rect();
    part(harness, rect)
}

/// Mean difference of two pictures, grey levels.
pub(crate) fn difference(a: &RgbaImage, b: &RgbaImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.as_raw().len() as f64
}

/// A session with a small demo cell and its scan.
pub(crate) fn demo_session() -> Session {
    demo_in(Settings::default())
}

/// The same with other settings.
pub(crate) fn demo_in(settings: Settings) -> Session {
    let mut session = Session::new(settings);
    session.apply(Command::StartOp {
        op: "demo".to_owned(),
        params: json!({ "size": 64, "views": 60 }),
        inputs: Vec::new(),
        name: None,
    });
    session.wait_idle();
    session
}

/// Writes what is seen to the folder that WATERWINDOW_LOOK names, for looking at it.
pub(crate) fn look(harness: &mut Harness<'_, App>, name: &str) {
    if let Some(folder) = std::env::var_os("WATERWINDOW_LOOK")
        && let Ok(picture) = harness.render()
    {
        picture.save(std::path::Path::new(&folder).join(format!("{name}.png"))).unwrap();
    }
}

/// Paints a line in a view from one place to another, given as fractions of its width and height.
pub(crate) fn stroke(harness: &mut Harness<'_, App>, view: &str, from: [f32; 2], to: [f32; 2]) {
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

/// Presses a key with others held.
pub(crate) fn press_keys(harness: &mut Harness<'_, App>, modifiers: egui::Modifiers, key: egui::Key) {
    harness.key_press_modifiers(modifiers, key);
    harness.step();
    harness.step();
}

/// Clicks a button whose name is also that of a heading.
pub(crate) fn press(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_role_and_label(egui::accesskit::Role::Button, label).click();
    harness.step();
    harness.step();
}

pub(crate) fn click(harness: &mut Harness<'_, App>, label: &str) {
    harness.get_by_label(label).click();
    harness.step();
    harness.step();
}
