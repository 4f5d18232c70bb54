//! The window: the only place that knows egui.
//!
//! Panels read the session, change the view state and push requests; requests are applied at the
//! end of the frame. Nothing here opens a file or starts a thread that computes.

mod app;
mod apply;
mod background;
pub mod commands;
mod derived;
mod device_watch;
mod dialogs;
mod draw;
mod film;
mod frame;
mod frames;
mod icons;
mod kept_forms;
mod keymap;
mod layouts;
mod look;
mod messages;
mod moment;
mod open_dialog;
mod open_form;
mod palette;
mod panels;
mod panes;
mod picture;
mod place;
mod preview;
mod rulers;
mod state;
mod status_bar;
pub(crate) mod surfaces;
mod theme;
mod tools;
mod top_bar;
mod tour;
mod views;
mod welcome;
mod widgets;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

pub use app::App;
use device_watch::Heir;

/// What the window opens with.
#[derive(Debug, Default)]
pub struct Start {
    /// Projects, scans, volumes or labels.
    pub files: Vec<PathBuf>,
    /// A synthetic cell: "yeast" or "lymphocyte".
    pub demo: Option<String>,
}

/// Opens the window and returns when it is closed.
///
/// # Errors
/// Where the system has no display or no device to draw with.
pub fn run(start: Start) -> anyhow::Result<()> {
    let heir = Heir::default();
    let mut start = start;
    // A window whose device is lost leaves its session to another one, a few times.
    for n_lost in 0..=MOST_LOSSES {
        one_window(std::mem::take(&mut start), &heir, n_lost)?;
        if heir.0.borrow().is_none() {
            return Ok(());
        }
    }
    anyhow::bail!(
        "the graphics device was lost {} times; unsaved work is kept and offered at the next start",
        MOST_LOSSES + 1
    )
}

/// Devices that may be lost before the program gives up.
const MOST_LOSSES: usize = 3;

/// A window until it is closed or its device is lost. After the second loss the processor draws.
fn one_window(start: Start, heir: &Heir, n_lost: usize) -> anyhow::Result<()> {
    let mut setup = egui_wgpu::WgpuSetupCreateNew::without_display_handle();
    if n_lost > 1 {
        setup.native_adapter_selector = Some(Arc::new(|adapters, surface| {
            let fits = |adapter: &&wgpu::Adapter| surface.is_none_or(|s| adapter.is_surface_supported(s));
            let is_software =
                |adapter: &&wgpu::Adapter| adapter.get_info().device_type == wgpu::DeviceType::Cpu;
            let software = adapters.iter().filter(fits).find(is_software);
            let any = software.or_else(|| adapters.iter().find(fits));
            any.cloned().ok_or_else(|| "no graphics driver for this display".to_owned())
        }));
    }
    // eframe's own limits would cap 3-D textures at 2048, at 256 on GL.
    setup.device_descriptor = Arc::new(crate::gpu::device::device_descriptor);
    let wgpu_options = egui_wgpu::WgpuConfiguration {
        wgpu_setup: egui_wgpu::WgpuSetup::CreateNew(setup),
        ..egui_wgpu::WgpuConfiguration::default()
    };
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Waterwindow")
            .with_app_id("waterwindow")
            .with_inner_size([1440.0, 900.0])
            .with_min_inner_size([960.0, 600.0])
            .with_icon(icon()),
        wgpu_options,
        persistence_path: crate::session::user_folder().map(|folder| folder.join("window.ron")),
        ..Default::default()
    };
    eframe::run_native("waterwindow", options, Box::new(|creation| Ok(Box::new(App::new(creation, start, heir.clone())))))
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("the window could not be opened: it needs a display (X11 or Wayland) and a graphics driver (Vulkan or OpenGL); `waterwindow --help` lists what works without a window")
}

/// The program's mark, drawn: a frame whose left half is filled.
fn icon() -> egui::IconData {
    const EDGE: usize = 64;
    let accent = theme::DARK.accent;
    let frame = theme::DARK.text_strong;
    let mut rgba = Vec::with_capacity(EDGE * EDGE * 4);
    for y in 0..EDGE {
        for x in 0..EDGE {
            let inside = |low: usize, high: usize| (low..high).contains(&x) && (low..high).contains(&y);
            let color = if inside(6, 58) && !inside(11, 53) {
                frame
            } else if inside(17, 47) && x < 32 {
                accent
            } else {
                egui::Color32::TRANSPARENT
            };
            rgba.extend_from_slice(&color.to_array());
        }
    }
    egui::IconData { rgba, width: EDGE as u32, height: EDGE as u32 }
}
