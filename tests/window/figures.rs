//! Figures and films from the window: written beside it, with the pixels that it shows.

use std::path::Path;

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use waterwindow::gui::App;
use waterwindow::session::{Session, Settings, Theme};

use super::support::{
    at_reconstruction, click, demo_in, demo_session, difference, has_adapter, look, part, press_keys, settle,
    stroke, unchanged, window,
};

/// Types a path into the open dialog and confirms it.
fn save_to(harness: &mut Harness<'_, App>, path: &Path) {
    harness.step();
    harness.get_by_label("Path").focus();
    harness.step();
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.step();
    harness.get_by_label("Path").type_text(&path.display().to_string());
    harness.step();
    click(harness, "Save file");
}

/// A window on a reconstructed demo cell at the last stage, its views at rest.
fn at_export(session: Session) -> Harness<'static, App> {
    let mut harness = at_reconstruction([1440.0, 1000.0], session);
    click(&mut harness, "Stage Export");
    rest(&mut harness);
    harness
}

fn rest(harness: &mut Harness<'_, App>) {
    for _ in 0..60 {
        harness.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Mean difference of a figure and the screen in the middle of the view, where no axes and no scale bar lie.
fn middle_error(figure: &image::RgbaImage, screen: &image::RgbaImage, corner: egui::Pos2) -> f64 {
    let (w, h) = figure.dimensions();
    let (mut sum, mut bright, mut n) = (0.0, 0u32, 0u32);
    for y in h / 4..h * 3 / 4 {
        for x in w / 4..w * 3 / 4 {
            let a = figure.get_pixel(x, y).0;
            let b = screen.get_pixel(corner.x.round() as u32 + x, corner.y.round() as u32 + y).0;
            sum += (0..3).map(|c| f64::from(a[c].abs_diff(b[c]))).sum::<f64>() / 3.0;
            bright += u32::from(a[0] > 60);
            n += 1;
        }
    }
    assert!(bright > n / 50, "the cell is seen: {bright} of {n}");
    sum / f64::from(n)
}

#[test]
fn a_figure_has_the_pixels_of_the_window() {
    if !has_adapter() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (png, svg) = (folder.path().join("a.png"), folder.path().join("a.svg"));
    let mut harness = at_export(demo_session());
    look(&mut harness, "export_dark");
    click(&mut harness, "Save figure");
    save_to(&mut harness, &png);
    settle(&mut harness);
    let figure = image::open(&png).unwrap().to_rgba8();
    let rect = harness.get_by_label("Volume view").rect();
    let (w, h) = figure.dimensions();
    assert!(w.abs_diff(rect.width().round() as u32) <= 1 && h.abs_diff(rect.height().round() as u32) <= 1);
    // Where a view begins or ends within a pixel, the screen shows a picture moved by less than one.
    let is_whole = [rect.min.x, rect.min.y, rect.max.x, rect.max.y].iter().all(|edge| edge.fract() == 0.0);
    let began = std::time::Instant::now();
    let error = loop {
        rest(&mut harness);
        let error = middle_error(&figure, &harness.render().unwrap(), rect.min);
        if error == 0.0 || began.elapsed() > std::time::Duration::from_secs(40) {
            break error;
        }
    };
    assert!(
        if is_whole { error == 0.0 } else { error < 4.0 },
        "{error} grey levels off the window at {rect}"
    );

    click(&mut harness, "With colour bar");
    click(&mut harness, "Clear");
    click(&mut harness, "Save figure");
    save_to(&mut harness, &svg);
    settle(&mut harness);
    let drawing = std::fs::read_to_string(&svg).unwrap();
    assert!(drawing.contains("LAC (1/µm)</text>") && drawing.contains("data:image/png"));
}

#[test]
fn keyframes_are_kept_and_played_and_a_film_that_is_stopped_leaves_nothing() {
    if !has_adapter() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { theme: Theme::Light, ..Settings::default() };
    let mut harness = at_export(demo_in(settings));
    click(&mut harness, "Film size");
    click(&mut harness, "3840 × 2160");
    click(&mut harness, "Keyframes");
    click(&mut harness, "Add keyframe");
    stroke(&mut harness, "Volume view", [0.4, 0.5], [0.6, 0.4]);
    rest(&mut harness);
    click(&mut harness, "Add keyframe");
    assert_eq!(harness.state().session().undo_label(), Some("Add keyframe 2"));
    press_keys(&mut harness, egui::Modifiers::COMMAND, egui::Key::Z);
    assert!(harness.query_by_label("Go to keyframe 2").is_none(), "adding one is undone");
    press_keys(&mut harness, egui::Modifiers::COMMAND | egui::Modifiers::SHIFT, egui::Key::Z);
    click(&mut harness, "Way from keyframe 1");
    click(&mut harness, "Move up keyframe 2");
    click(&mut harness, "Go to keyframe 1");
    rest(&mut harness);
    look(&mut harness, "keyframes_light");
    click(&mut harness, "Play film");
    harness.step();
    click(&mut harness, "Stop preview of film");
    click(&mut harness, "Write film");
    save_to(&mut harness, &folder.path().join("film.gif"));
    harness.step();
    look(&mut harness, "film_running_light");
    click(&mut harness, "Cancel film");
    settle(&mut harness);
    // The stopped job's thread takes its file away when it hears of it, between two pieces of a picture.
    let n_left = || std::fs::read_dir(folder.path()).unwrap().count();
    let began = std::time::Instant::now();
    while n_left() > 0 && began.elapsed() < std::time::Duration::from_mins(1) {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(n_left(), 0, "nothing half-written is left");
    click(&mut harness, "Remove keyframe 2");
    harness.get_by_label_contains("Set the view, add a keyframe");
}

/// The middle of the 3D view, once it does not change any more.
fn picture(harness: &mut Harness<'_, App>) -> image::RgbaImage {
    let rect = harness.get_by_label("Volume view").rect().shrink(60.0);
    let frames = |harness: &mut Harness<'_, App>| {
        for _ in 0..24 {
            harness.step();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    unchanged(harness, 5, frames, |harness| part(harness, rect))
}

/// Waits until the 3D view shows a picture, but for how finely it was sampled when that was taken.
fn comes_back(harness: &mut Harness<'_, App>, wanted: &image::RgbaImage, what: &str) {
    let began = std::time::Instant::now();
    loop {
        let off = difference(&picture(harness), wanted);
        if off < 0.6 {
            return;
        }
        assert!(began.elapsed() < std::time::Duration::from_mins(1), "{what}: {off} grey levels off");
    }
}

#[test]
fn a_figure_is_saved_under_a_typed_name_with_a_legend_of_what_is_seen() {
    if !has_adapter() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut harness = at_export(demo_session());
    click(&mut harness, "Show true labels");
    click(&mut harness, "With legend");
    // The dialog takes what is typed: the name, its ending stays.
    click(&mut harness, "Save figure");
    harness.step();
    harness.event(egui::Event::Text("typed".to_owned()));
    harness.step();
    let path = harness.get_by_label("Path").accesskit_node().value().unwrap();
    assert!(path.ends_with("/typed.png"), "{path}");
    harness.key_press(egui::Key::Escape);
    harness.step();
    let mut legend = |name: &str| {
        let path = folder.path().join(name);
        click(&mut harness, "Save figure");
        save_to(&mut harness, &path);
        settle(&mut harness);
        // Labels are hidden for the next one.
        harness.key_press(egui::Key::V);
        rest(&mut harness);
        std::fs::read_to_string(&path).unwrap().contains(">vacuoles</text>")
    };
    assert!(legend("shown.svg"), "classes that are seen are named");
    assert!(!legend("hidden.svg"), "hidden ones are not");
}

#[test]
fn keyframes_bring_cuts_and_layers_back_and_a_project_opens_as_it_looked() {
    if !has_adapter() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut harness = at_export(demo_session());
    let alt = egui::Modifiers::ALT;
    click(&mut harness, "Show true labels");
    click(&mut harness, "Keyframes");
    // A cell cut open by a plane, then a whole one turned aside, its truth hidden and its surfaces shown.
    press_keys(&mut harness, alt, egui::Key::P);
    let cut = picture(&mut harness);
    click(&mut harness, "Add keyframe");
    press_keys(&mut harness, alt, egui::Key::P);
    press_keys(&mut harness, alt, egui::Key::S);
    settle(&mut harness);
    stroke(&mut harness, "Volume view", [0.4, 0.5], [0.6, 0.4]);
    let whole = picture(&mut harness);
    click(&mut harness, "Add keyframe");
    look(&mut harness, "keyframe_surfaces_dark");
    assert!(difference(&cut, &whole) > 2.0, "{}", difference(&cut, &whole));

    click(&mut harness, "Go to keyframe 1");
    comes_back(&mut harness, &cut, "the plane and the camera are back");
    look(&mut harness, "keyframe_cut_dark");
    let undo = harness.state().session().undo_label().map(str::to_owned);
    click(&mut harness, "Go to keyframe 2");
    settle(&mut harness);
    comes_back(&mut harness, &whole, "the surfaces are back");
    assert_eq!(harness.state().session().undo_label(), undo.as_deref(), "nothing of the document changed");

    click(&mut harness, "Film size");
    click(&mut harness, "320 × 240, draft");
    harness.get_by_label("Frames per second").focus();
    harness.step();
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.step();
    harness.get_by_label("Frames per second").type_text("2");
    harness.step();
    harness.key_press(egui::Key::Enter);
    harness.step();

    let project = folder.path().join("film.waterwindow");
    press_keys(&mut harness, egui::Modifiers::COMMAND | egui::Modifiers::SHIFT, egui::Key::S);
    save_to(&mut harness, &project);
    settle(&mut harness);
    let mut session = Session::new(Settings::default());
    session.apply(waterwindow::session::Command::Open(project));
    session.wait_idle();
    let mut harness = window([1440.0, 1000.0], session);
    settle(&mut harness);
    click(&mut harness, "Stage Export");
    settle(&mut harness);
    comes_back(&mut harness, &whole, "the project opens as it looked");
    look(&mut harness, "keyframe_reopened_dark");
    click(&mut harness, "Go to keyframe 1");
    comes_back(&mut harness, &cut, "the keyframes are in the project");

    // A film of both, from the cut cell to the surfaces.
    let film = folder.path().join("film");
    click(&mut harness, "Write film");
    save_to(&mut harness, &film);
    settle(&mut harness);
    let frames = std::fs::read_dir(&film).unwrap().count();
    assert_eq!(frames, 5, "two seconds at 2 frames a second, as it was set before the project was saved");
    let [first, middle, last] = [1, 3, 5].map(|n| {
        let frame = image::open(film.join(format!("frame_{n:05}.png"))).unwrap().to_rgba8();
        if let Some(folder) = std::env::var_os("WATERWINDOW_LOOK") {
            frame.save(Path::new(&folder).join(format!("film_{n}.png"))).unwrap();
        }
        frame
    });
    assert!(difference(&first, &middle) > 0.5 && difference(&middle, &last) > 0.5, "it goes on between them");
}

#[test]
fn annotations_are_seen_in_3d_and_in_figures_unless_left_out() {
    if !has_adapter() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut harness = at_export(demo_session());
    let without = picture(&mut harness);
    let one = |id: u64, kind, points_um: Vec<[f64; 3]>| waterwindow::project::Annotation {
        id,
        name: format!("a{id}"),
        kind,
        points_um,
        right: [1.0, 0.0, 0.0],
        down: [0.0, 1.0, 0.0],
        width_px: 1,
        visible: true,
    };
    use waterwindow::measure::ruler::RulerKind::{Angle, Area, Distance};
    let list = vec![
        one(1, Distance, vec![[1.0, 5.12, 5.12], [9.0, 5.12, 5.12]]),
        one(2, Angle, vec![[2.0, 1.5, 5.12], [2.0, 4.0, 5.12], [4.0, 4.0, 5.12]]),
        one(3, Area, vec![[6.0, 6.0, 5.12], [8.5, 6.0, 5.12], [8.5, 8.0, 5.12], [6.0, 8.0, 5.12]]),
    ];
    let edit = waterwindow::project::Edit::SetAnnotations(list);
    let command = waterwindow::session::Command::Edit { label: "Rulers".to_owned(), edit };
    harness.state_mut().session_mut().apply(command);
    let with = picture(&mut harness);
    look(&mut harness, "annotations_3d_dark");
    let difference = difference(&without, &with);
    assert!(difference > 0.3, "{difference}");
    let file = folder.path().join("a.svg");
    let lines = |harness: &mut Harness<'_, App>| {
        click(harness, "Save figure");
        save_to(harness, &file);
        settle(harness);
        std::fs::read_to_string(&file).unwrap()
    };
    let drawn = lines(&mut harness);
    assert!(drawn.contains("<polyline") && drawn.contains(">8.00 µm</text>") && drawn.contains("µm²"));
    click(&mut harness, "With annotations");
    assert!(!lines(&mut harness).contains("<polyline"), "they are left out");
}

#[test]
fn a_montage_of_the_window_is_that_of_the_command() {
    if !has_adapter() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let command = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_waterwindow"));
        let output = command.current_dir(folder.path()).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    command(&["demo", "--out", "demo", "--size", "48", "--views", "8"]);
    let mut session = Session::new(Settings::default());
    session.apply(waterwindow::session::Command::Open(folder.path().join("demo/truth.mrc")));
    session.wait_idle();
    let window_of = |session: &Session| {
        let [low, high] = session.project().layers[0].display.window;
        format!("{low}:{high}")
    };
    let mut harness = window([1440.0, 1000.0], session);
    settle(&mut harness);
    click(&mut harness, "Stage Export");
    rest(&mut harness);
    // The choice of the figure's view lies in the panel at the right.
    let view = harness.get_all_by_label("XZ").find(|node| node.rect().left() > 1100.0).unwrap();
    view.click();
    harness.step();
    rest(&mut harness);
    click(&mut harness, "Montage");
    rest(&mut harness);
    look(&mut harness, "montage_dark");
    harness.get_by_label("Preview of montage, 12 slices");
    click(&mut harness, "White");
    for (name, value) in
        [("Slices of montage", "7"), ("Columns of montage", "3"), ("To slice of montage", "41")]
    {
        harness.get_by_label(name).focus();
        harness.step();
        harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        harness.step();
        harness.get_by_label(name).type_text(value);
        harness.step();
        harness.key_press(egui::Key::Enter);
        harness.step();
    }
    harness.get_by_label("Preview of montage, 7 slices");
    let file = folder.path().join("window.png");
    click(&mut harness, "Figure size");
    click(&mut harness, "1280 × 1024");
    click(&mut harness, "Save figure");
    save_to(&mut harness, &file);
    settle(&mut harness);
    look(&mut harness, "montage_set_dark");
    let window = window_of(harness.state().session());
    let words = "render demo/truth.mrc -o command.png --view xz --size 1280x1024 --background white --device gpu --last 40";
    let mut words: Vec<&str> = words.split(' ').collect();
    words.extend(["--window", &window, "--montage", "3x3", "--count", "7"]);
    command(&words);
    let [a, b] =
        ["window.png", "command.png"].map(|name| image::open(folder.path().join(name)).unwrap().to_rgba8());
    assert_eq!(a.dimensions(), b.dimensions());
    let n_off = a.pixels().zip(b.pixels()).filter(|(a, b)| a != b).count();
    assert_eq!(n_off, 0, "pixels are not the same");
}
