//! Distances, angles, areas and profiles, laid with pointer and keys, kept, listed, written.

use egui::{Key, Modifiers, Pos2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use waterwindow::gui::App;
use waterwindow::project::Annotation;
use waterwindow::session::{Command, Session, Settings, Theme};

use crate::slices::{N, two};
use crate::support::{click, look, press_keys, settle, window};

/// The point of the screen over a voxel (down, right) of a slice that shows the whole volume.
fn over(harness: &Harness<'_, App>, view: &str, [y, x]: [f64; 2]) -> Pos2 {
    let xy = harness.get_by_label("Slice XY").rect();
    // The fit of XY leaves a margin of 6 per cent around the longer side; the others follow.
    let per_voxel = f64::from(xy.width().min(xy.height())) / (N as f64 * 1.06);
    let middle = (N as f64 - 1.0) / 2.0;
    let rect = harness.get_by_label(view).rect();
    rect.center() + egui::vec2(((x - middle) * per_voxel) as f32, ((y - middle) * per_voxel) as f32)
}

fn drag(harness: &mut Harness<'_, App>, view: &str, from: [f64; 2], to: [f64; 2]) {
    let (from, to) = (over(harness, view, from), over(harness, view, to));
    harness.hover_at(from);
    harness.step();
    harness.drag_at(from);
    harness.step();
    for i in 1..=5 {
        harness.hover_at(from + (to - from) * (i as f32 / 5.0));
        harness.step();
    }
    harness.drop_at(to);
    (0..4).for_each(|_| harness.step());
}

fn tap(harness: &mut Harness<'_, App>, view: &str, at: [f64; 2]) {
    let at = over(harness, view, at);
    harness.hover_at(at);
    harness.step();
    harness.drag_at(at);
    harness.step();
    harness.drop_at(at);
    // The next click is no double click.
    (0..40).for_each(|_| harness.step());
}

fn kept(harness: &Harness<'_, App>) -> Vec<Annotation> {
    harness.state().session().project().annotations.clone()
}

/// What the list says of an annotation.
fn says(harness: &Harness<'_, App>, name: &str) -> String {
    let start = format!("Annotation {name}, ");
    let node = harness.get_by_label_contains(&start);
    node.accesskit_node().label().unwrap().trim_start_matches(&start).to_owned()
}

fn number(text: &str) -> f64 {
    text.split_whitespace().next().unwrap().trim_end_matches('°').parse().unwrap()
}

/// A window with one of each kind, on voxels of 30 nm.
fn with_all(size: [f32; 2], theme: Theme) -> Harness<'static, App> {
    let mut harness = two(size, theme);
    press_keys(&mut harness, Modifiers::SHIFT, Key::D);
    drag(&mut harness, "Slice XY", [8.0, 8.0], [8.0, 40.0]);
    press_keys(&mut harness, Modifiers::SHIFT, Key::V);
    for at in [[10.0, 10.0], [30.0, 10.0], [30.0, 30.0]] {
        tap(&mut harness, "Slice XZ", at);
    }
    press_keys(&mut harness, Modifiers::SHIFT, Key::A);
    for at in [[19.0, 19.0], [19.0, 29.0], [29.0, 29.0], [29.0, 19.0]] {
        tap(&mut harness, "Slice XY", at);
    }
    press_keys(&mut harness, Modifiers::NONE, Key::Enter);
    press_keys(&mut harness, Modifiers::SHIFT, Key::I);
    drag(&mut harness, "Slice YZ", [24.0, 4.0], [24.0, 44.0]);
    harness
}

#[test]
fn rulers_are_laid_by_pointer_measured_listed_and_undone() {
    let mut harness = with_all([1280.0, 900.0], Theme::Dark);
    look(&mut harness, "rulers");
    let names: Vec<_> = kept(&harness).iter().map(|one| one.name.clone()).collect();
    assert_eq!(names, ["Distance 1", "Angle 1", "Area 1", "Profile 1"]);
    // The pointer is known to half a voxel of 30 nm.
    let distance = number(&says(&harness, "Distance 1"));
    assert!((distance - 960.0).abs() < 30.0, "{distance}");
    let angle = number(&says(&harness, "Angle 1"));
    assert!((angle - 90.0).abs() < 2.5, "{angle}");
    let area = says(&harness, "Area 1");
    assert!((number(&area) - 0.09).abs() < 0.01, "{area}");
    assert!(area.contains("0.400 ± 0.0"), "the ball is 0.4: {area}");
    harness.get_by_label("Values along the line");

    // A handle is dragged: one step, and the length with it.
    press_keys(&mut harness, Modifiers::NONE, Key::N);
    let before = kept(&harness);
    drag(&mut harness, "Slice XY", [8.0, 40.0], [8.0, 24.0]);
    let distance = number(&says(&harness, "Distance 1"));
    assert!((distance - 480.0).abs() < 30.0, "{distance}");
    click(&mut harness, "Undo");
    assert_eq!(kept(&harness), before);

    click(&mut harness, "Hide Area 1");
    assert!(!kept(&harness)[2].visible);
    click(&mut harness, "Remove Angle 1");
    assert_eq!(kept(&harness).len(), 3);
    click(&mut harness, "Undo");
    click(&mut harness, "Undo");
    assert_eq!(kept(&harness), before);
}

#[test]
fn rulers_are_laid_by_keys_alone_and_given_up_with_escape() {
    let mut harness = two([1280.0, 720.0], Theme::Light);
    press_keys(&mut harness, Modifiers::SHIFT, Key::D);
    press_keys(&mut harness, Modifiers::NONE, Key::Semicolon);
    press_keys(&mut harness, Modifiers::NONE, Key::Escape);
    press_keys(&mut harness, Modifiers::NONE, Key::Semicolon);
    assert!(kept(&harness).is_empty(), "Escape took the first point back");
    press_keys(&mut harness, Modifiers::NONE, Key::Semicolon);
    assert_eq!(kept(&harness).len(), 1);
    click(&mut harness, "Points");
    let field = harness.get_by_label("Point 2 x");
    field.focus();
    harness.step();
    for _ in 0..3 {
        press_keys(&mut harness, Modifiers::NONE, Key::ArrowUp);
    }
    assert!(kept(&harness)[0].points_um[1][0] > kept(&harness)[0].points_um[0][0]);
    look(&mut harness, "rulers_keys_light");
}

#[test]
fn an_oblique_slice_is_measured_in_its_own_plane_and_found_again() {
    let mut harness = two([1280.0, 720.0], Theme::Dark);
    press_keys(&mut harness, Modifiers::NONE, Key::R);
    press_keys(&mut harness, Modifiers::SHIFT, Key::D);
    drag(&mut harness, "Slice Oblique", [24.0, 10.0], [24.0, 38.0]);
    let one = kept(&harness).remove(0);
    assert!((number(&says(&harness, "Distance 1")) - 840.0).abs() < 30.0);
    let normal = one.normal();
    assert!((normal.z.abs() - normal.x.abs()).abs() < 1e-9 && normal.x.abs() > 0.7, "{normal}");
    look(&mut harness, "rulers_oblique");
    press_keys(&mut harness, Modifiers::NONE, Key::R);
    assert!(harness.query_by_label("Slice Oblique").is_none());
    click(&mut harness, "Go to Distance 1");
    harness.get_by_label("Slice Oblique");
}

#[test]
fn rulers_are_saved_reopened_and_written_as_csv() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cell.waterwindow");
    let mut harness = with_all([1280.0, 900.0], Theme::Light);
    look(&mut harness, "rulers_light");
    for (button, file) in [("Save annotations as CSV", "all.csv"), ("Save profile as CSV", "line.csv")] {
        click(&mut harness, button);
        harness.get_by_label("Path").focus();
        harness.step();
        press_keys(&mut harness, Modifiers::COMMAND, Key::A);
        harness.get_by_label("Path").type_text(&folder.path().join(file).display().to_string());
        harness.step();
        click(&mut harness, "Save file");
    }
    let all = std::fs::read_to_string(folder.path().join("all.csv")).unwrap();
    assert_eq!(all.lines().count(), 5, "{all}");
    assert!(all.starts_with("name,kind,plane,length_um,angle_deg,area_um2,mean,sd,"), "{all}");
    let row: Vec<&str> = all.lines().nth(3).unwrap().split(',').collect();
    assert!(row[1] == "area" && (row[6].parse::<f64>().unwrap() - 0.4).abs() < 0.01, "{row:?}");
    let line = std::fs::read_to_string(folder.path().join("line.csv")).unwrap();
    let values: Vec<f64> =
        line.lines().skip(1).map(|row| row.split(',').nth(1).unwrap().parse().unwrap()).collect();
    assert!(values.len() > 35 && values[values.len() / 2] > 0.35 && values[0] < 0.15, "{line}");

    let before = kept(&harness);
    harness.state_mut().session_mut().apply(Command::SaveAs(path.clone()));
    settle(&mut harness);
    drop(harness);
    let mut harness = window([1280.0, 720.0], Session::new(Settings::default()));
    harness.state_mut().session_mut().apply(Command::Open(path));
    settle(&mut harness);
    assert_eq!(kept(&harness), before, "the same bits");
}
