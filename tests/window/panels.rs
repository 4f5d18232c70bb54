//! Pictures of the panels, compared with those in `tests/snapshots`, which people have looked at.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --test window` takes them anew. Views of the data: views.rs.

use egui_kittest::kittest::Queryable as _;
use egui_kittest::{Harness, SnapshotOptions, image_snapshot_options};
use waterwindow::gui::App;
use waterwindow::session::{Session, Settings, Theme};

use crate::support::{click, demo_session, has_adapter, press, settle, stroke, window};

/// Compares a part of the window, in points, with its picture.
fn compare(harness: &mut Harness<'_, App>, name: &str, part: egui::Rect) {
    let part = crate::support::part(harness, part);
    // Edges of letters are blended a little differently by other versions of the driver.
    let options = SnapshotOptions::new().threshold(2.0).max_failed_pixels(40);
    image_snapshot_options(&part, name, &options);
}

fn with_theme(theme: Theme) -> Settings {
    Settings { theme, ..Settings::default() }
}

#[test]
fn the_first_page_looks_as_it_should() {
    if !has_adapter() {
        return;
    }
    for (theme, name) in [(Theme::Dark, "welcome_dark"), (Theme::Light, "welcome_light")] {
        let size = egui::vec2(1280.0, 720.0);
        let mut harness = window(size.into(), Session::new(with_theme(theme)));
        settle(&mut harness);
        // The status bar names the device, which differs.
        compare(
            &mut harness,
            name,
            egui::Rect::from_min_size(egui::Pos2::ZERO, size - egui::vec2(0.0, 30.0)),
        );
    }
}

#[test]
fn the_panels_look_as_they_should() {
    if !has_adapter() {
        return;
    }
    let size = egui::vec2(1440.0, 900.0);
    let mut harness = window(size.into(), demo_session());
    settle(&mut harness);
    let right = |harness: &Harness<'_, App>| {
        let left = harness.get_by_label("Stage Scan").rect().bottom();
        egui::Rect::from_min_max(egui::pos2(1142.0, left + 8.0), egui::pos2(1440.0, 870.0))
    };
    let part = right(&harness);
    compare(&mut harness, "scan", part);
    press(&mut harness, "Reconstruct");
    settle(&mut harness);
    // The slice of the form is made beside the window.
    for _ in 0..500 {
        if harness.query_by_label("Preview of the slice").is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        harness.step();
    }
    compare(&mut harness, "reconstruct", part);
    compare(&mut harness, "top_bar", egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1440.0, 43.0)));
    click(&mut harness, "Stage Align");
    compare(&mut harness, "align", part);
    click(&mut harness, "Stage Quality");
    press(&mut harness, "Judge");
    settle(&mut harness);
    compare(&mut harness, "quality", part);
    click(&mut harness, "Stage Segment");
    click(&mut harness, "Brush");
    stroke(&mut harness, "Slice XY", [0.4, 0.35], [0.45, 0.6]);
    click(&mut harness, "Class mitochondria");
    stroke(&mut harness, "Slice XY", [0.5, 0.5], [0.55, 0.5]);
    compare(&mut harness, "segment", part);
    let left = egui::Rect::from_min_max(egui::pos2(0.0, 44.0), egui::pos2(250.0, 870.0));
    compare(&mut harness, "left", left);
    click(&mut harness, "Dark or light");
    settle(&mut harness);
    compare(&mut harness, "segment_light", part);
    compare(&mut harness, "left_light", left);
    click(&mut harness, "Stage Measure");
    compare(&mut harness, "measure", part);
    press(&mut harness, "Measure");
    settle(&mut harness);
    for _ in 0..20 {
        harness.step();
    }
    let table = egui::Rect::from_min_max(egui::pos2(254.0, 650.0), egui::pos2(1130.0, 868.0));
    compare(&mut harness, "table_light", table);
    click(&mut harness, "Stage Export");
    compare(&mut harness, "export", part);
    click(&mut harness, "Stage Correlate");
    compare(&mut harness, "correlate", part);
}

#[test]
fn what_is_clicked_stays_where_it_is() {
    let mut harness = crate::slices::two([1280.0, 800.0], Theme::Light);
    let at = |harness: &Harness<'_, App>, label: &str| harness.get_by_label(label).rect();
    click(&mut harness, "Range");
    let before = at(&harness, "Logarithmic counts");
    let plot = at(&harness, "Histogram");
    let along = |part: f32| plot.left_center() + egui::vec2(plot.width() * part, 0.0);
    harness.hover_at(along(0.3));
    harness.step();
    harness.drag_at(along(0.3));
    harness.step();
    harness.hover_at(along(0.5));
    harness.step();
    harness.drop_at(along(0.5));
    (0..4).for_each(|_| harness.step());
    let last = at(&harness, "Threshold to labels");
    assert_eq!(at(&harness, "Logarithmic counts"), before, "a range was made");
    assert!(last.bottom() < 800.0 - 26.0, "the last row lies above the status bar: {last:?}");

    click(&mut harness, "Stage Export");
    settle(&mut harness);
    let choose = |harness: &mut Harness<'_, App>, view: &str| {
        let choice = harness.get_all_by_label(view).find(|node| node.rect().left() > 960.0);
        choice.unwrap().click();
        settle(harness);
    };
    choose(&mut harness, "XY");
    let slice = at(&harness, "Save figure");
    choose(&mut harness, "3D");
    assert_eq!(at(&harness, "Save figure"), slice, "a volume has no montage, its row stays");
    crate::support::look(&mut harness, "export_light");
}
