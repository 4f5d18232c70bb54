//! Pictures of the views, compared with those in `tests/snapshots/views`, which people have looked at: the demo cell and a
//! real map, light and dark.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --test window` takes them anew. Drivers differ in single pixels, so that a picture is
//! compared by its mean difference, which moves as soon as anything is somewhere else, gone, or of another colour.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use image::RgbaImage;
use waterwindow::gui::App;
use waterwindow::session::{Command, Session, Settings, Theme};

use crate::support::{
    at_reconstruction, click, demo_session, difference, has_adapter, part, press_keys, rest, settle,
    unchanged, view_picture, window,
};

/// Grey levels that a picture may be off on the mean.
const TOLERANCE: f64 = 1.0;
/// How long a picture may take to become fine.
const PATIENCE: Duration = Duration::from_secs(90);

fn stored(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/views").join(format!("{name}.png"))
}

/// Waits until what `take` gives is the stored picture, or stores it.
fn compare(harness: &mut Harness<'_, App>, name: &str, take: impl Fn(&mut Harness<'_, App>) -> RgbaImage) {
    let path = stored(name);
    // Out of the way: on the bar below the views.
    harness.hover_at(egui::pos2(560.0, 752.0));
    rest(harness);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        unchanged(harness, 4, rest, take).save(path).unwrap();
        return;
    }
    let wanted = image::open(path).unwrap().to_rgba8();
    let began = Instant::now();
    loop {
        let found = take(harness);
        let off = difference(&found, &wanted);
        if off <= TOLERANCE {
            return;
        }
        if began.elapsed() > PATIENCE {
            found.save(stored(&format!("{name}.new"))).unwrap();
            panic!(
                "{name} is {off:.2} grey levels off on the mean; what was seen lies beside it as {name}.new.png"
            );
        }
        rest(harness);
    }
}

/// The views between the panels, as many points from the left as the panel of layers is wide.
fn all_views(harness: &mut Harness<'_, App>) -> RgbaImage {
    part(harness, egui::Rect::from_min_max(egui::pos2(252.0, 44.0), egui::pos2(860.0, 700.0)))
}

/// Chooses in the menu of the 3D look or of its modes, and closes it.
fn choose(harness: &mut Harness<'_, App>, menu: &str, item: &str) {
    click(harness, menu);
    click(harness, item);
    harness.key_press(Key::Escape);
    harness.step();
}

const WINDOW: [f32; 2] = [1160.0, 760.0];

#[test]
fn the_demo_cell_looks_as_it_should_in_slices_and_in_3d() {
    if !has_adapter() {
        return;
    }
    let mut harness = at_reconstruction(WINDOW, demo_session());
    click(&mut harness, "Show true labels");
    compare(&mut harness, "demo_dark", all_views);
    click(&mut harness, "Dark or light");
    compare(&mut harness, "demo_light", all_views);
    click(&mut harness, "Dark or light");

    click(&mut harness, "Hide true labels");
    click(&mut harness, "Maximise 3D");
    compare(&mut harness, "demo_haze", view_picture);
    choose(&mut harness, "3D mode", "Maximum");
    compare(&mut harness, "demo_maximum", view_picture);
    choose(&mut harness, "3D mode", "Surface at a value");
    press_keys(&mut harness, Modifiers::ALT, Key::P);
    compare(&mut harness, "demo_surface_cut", view_picture);
    press_keys(&mut harness, Modifiers::ALT, Key::P);
    click(&mut harness, "Show true labels");
    press_keys(&mut harness, Modifiers::ALT, Key::S);
    choose(&mut harness, "3D mode", "Surfaces alone");
    compare(&mut harness, "demo_surfaces", view_picture);
    choose(&mut harness, "Surfaces", "Colour by mean curvature");
    compare(&mut harness, "demo_curvature", view_picture);
}

#[test]
fn a_real_map_looks_as_it_should_in_slices_and_in_3d() {
    if !has_adapter() {
        return;
    }
    for (theme, name) in [(Theme::Dark, "map_dark"), (Theme::Light, "map_light")] {
        let mut session = Session::new(Settings { theme, ..Settings::default() });
        let map = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/EMD-3197.map");
        session.apply(Command::Open(map));
        session.wait_idle();
        let mut harness = window(WINDOW, session);
        settle(&mut harness);
        compare(&mut harness, name, all_views);
        if theme == Theme::Dark {
            click(&mut harness, "Maximise 3D");
            choose(&mut harness, "3D mode", "Surface at a value");
            compare(&mut harness, "map_surface", view_picture);
        }
    }
}
