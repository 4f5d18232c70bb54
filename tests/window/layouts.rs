//! Views as they can be arranged: split, closed, unlinked, dragged elsewhere; layouts that are kept.

use std::collections::BTreeMap;

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use waterwindow::gui::App;
use waterwindow::session::Theme;

use super::slices::{key_over, two};
use super::support::{click, look};

/// The views that are seen, by what a screen reader says.
fn views(harness: &Harness<'_, App>) -> Vec<String> {
    let named = harness.query_all_by_label_contains("Maximise ").filter_map(|n| n.accesskit_node().label());
    named.map(|name| name.replace("Maximise ", "")).collect()
}

/// Where a slice is, as its title says it.
fn place(harness: &Harness<'_, App>, slice: &str) -> String {
    let rect = harness.get_by_label(&format!("View {slice}")).rect();
    let titles = harness.query_all_by_label_contains("/48  ·");
    let mut within = titles.filter(|node| rect.contains(node.rect().center()));
    let words = |node: egui_kittest::Node<'_>| {
        node.accesskit_node().label().or_else(|| node.accesskit_node().value())
    };
    within.find_map(words).unwrap()
}

fn press(harness: &mut Harness<'_, App>, modifiers: Modifiers, key: Key) {
    harness.key_press_modifiers(modifiers, key);
    (0..4).for_each(|_| harness.step());
}

#[test]
fn views_are_split_show_something_else_stand_alone_and_are_closed() {
    let mut harness = two([1600.0, 1000.0], Theme::Dark);
    assert_eq!(views(&harness), ["XY", "YZ", "XZ", "3D"]);
    click(&mut harness, "Menu of XY");
    look(&mut harness, "view_menu");
    click(&mut harness, "Split view to the right");
    (0..3).for_each(|_| harness.step());
    assert_eq!(views(&harness), ["XY", "XY 2", "YZ", "XZ", "3D"]);
    let [first, second] = ["Slice XY", "Slice XY 2"].map(|name| harness.get_by_label(name).rect());
    assert!(first.right() < second.left() && (first.top() - second.top()).abs() < 1.0);

    // Linked, both move; unlinked, each alone.
    key_over(&mut harness, "Slice XY 2", Modifiers::NONE, Key::PageUp);
    assert_eq!(place(&harness, "XY"), place(&harness, "XY 2"));
    key_over(&mut harness, "Slice XY 2", Modifiers::ALT, Key::U);
    (0..5).for_each(|_| key_over(&mut harness, "Slice XY 2", Modifiers::NONE, Key::PageUp));
    let [shared, own] = ["XY", "XY 2"].map(|name| place(&harness, name));
    assert_ne!(shared, own);
    key_over(&mut harness, "Slice XY", Modifiers::NONE, Key::PageDown);
    assert_ne!(place(&harness, "XY"), shared);
    assert_eq!(place(&harness, "XY 2"), own);
    look(&mut harness, "view_unlinked");
    click(&mut harness, "Menu of XY 2");
    click(&mut harness, "Link to the other views");
    harness.step();
    assert_eq!(place(&harness, "XY"), place(&harness, "XY 2"));
    press(&mut harness, Modifiers::NONE, Key::Escape);

    // Oblique slice and volume beside each other.
    click(&mut harness, "What XY 2 shows");
    look(&mut harness, "view_kinds");
    click(&mut harness, "Oblique slice");
    (0..3).for_each(|_| harness.step());
    assert_eq!(views(&harness), ["XY", "Oblique", "YZ", "XZ", "3D"]);
    harness.get_by_label("Slice Oblique");
    harness.get_by_label("Volume view");
    look(&mut harness, "view_oblique_and_volume");
    key_over(&mut harness, "Slice Oblique", Modifiers::ALT, Key::W);
    (0..3).for_each(|_| harness.step());
    assert_eq!(views(&harness), ["XY", "YZ", "XZ", "3D"]);
}

#[test]
fn every_layout_of_the_program_comes_by_its_keys_light_and_dark() {
    for (theme, name) in [(Theme::Dark, "dark"), (Theme::Light, "light")] {
        let mut harness = two([1280.0, 720.0], theme);
        let expected: [(Key, &[&str]); 6] = [
            (Key::Num2, &["3D", "XY", "YZ", "XZ"]),
            (Key::Num3, &["XY", "YZ", "XZ"]),
            (Key::Num4, &["3D"]),
            (Key::Num5, &["3D", "3D 2"]),
            (Key::Num6, &["XY", "XY 2", "XZ", "XZ 2"]),
            (Key::Num1, &["XY", "YZ", "XZ", "3D"]),
        ];
        for (key, labels) in expected {
            press(&mut harness, Modifiers::COMMAND, key);
            assert_eq!(views(&harness), labels, "{key:?}");
            (0..20).for_each(|_| harness.step());
            look(&mut harness, &format!("layout_{key:?}_{name}"));
        }
    }
}

#[test]
fn each_volume_view_is_turned_alone() {
    let mut harness = two([1280.0, 720.0], Theme::Dark);
    press(&mut harness, Modifiers::COMMAND, Key::Num5);
    (0..30).for_each(|_| harness.step());
    let pictures = |harness: &mut Harness<'_, App>| {
        let scene = |name: &str| harness.get_by_label(name).rect();
        let rects = [scene("Volume view"), scene("Volume view 2")];
        let shot = harness.render().unwrap();
        rects.map(|rect| {
            let (x, y) = (rect.left() as u32 + 20, rect.bottom() as u32 - 60);
            image::imageops::crop_imm(&shot, x, y, 50, 50).to_image()
        })
    };
    if !super::support::has_adapter() {
        return;
    }
    let before = pictures(&mut harness);
    assert!(before[0] != before[1], "they look from two sides: the axes in the corner differ");
    let at = harness.get_by_label("Volume view 2").rect().center();
    harness.drag_at(at);
    harness.step();
    harness.hover_at(at + egui::vec2(80.0, 30.0));
    harness.step();
    harness.drop_at(at + egui::vec2(80.0, 30.0));
    (0..3).for_each(|_| harness.step());
    let after = pictures(&mut harness);
    assert!(after[0] == before[0] && after[1] != before[1]);
}

#[test]
fn a_view_is_dragged_by_its_title_to_another_place() {
    let mut harness = two([1280.0, 720.0], Theme::Dark);
    press(&mut harness, Modifiers::COMMAND, Key::Num3);
    assert_eq!(views(&harness), ["XY", "YZ", "XZ"]);
    let title = harness.get_by_label("View XZ").rect();
    let from = egui::pos2(title.center().x, title.center().y);
    let to = harness.get_by_label("Slice XY").rect();
    let to = to.left_center() + egui::vec2(12.0, 0.0);
    harness.drag_at(from);
    harness.step();
    for i in 1..=8 {
        harness.hover_at(from + (to - from) * (i as f32 / 8.0));
        harness.step();
    }
    look(&mut harness, "view_dragged");
    harness.drop_at(to);
    (0..4).for_each(|_| harness.step());
    look(&mut harness, "view_dropped");
    let [xz, xy] = ["Slice XZ", "Slice XY"].map(|name| harness.get_by_label(name).rect());
    assert!(xz.center().x < xy.center().x, "left of XY now: {xz} {xy}");
}

/// The storage of a window, in memory.
#[derive(Default)]
struct Memory(BTreeMap<String, String>);

impl eframe::Storage for Memory {
    fn get_string(&self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }

    fn set_string(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }

    fn remove_string(&mut self, key: &str) {
        self.0.remove(key);
    }

    fn flush(&mut self) {}
}

#[test]
fn the_layout_and_those_with_a_name_are_there_after_a_new_start() {
    use eframe::App as _;
    let mut storage = Memory::default();
    let mut harness = two([1280.0, 720.0], Theme::Light);
    press(&mut harness, Modifiers::COMMAND, Key::Num5);
    key_over(&mut harness, "Volume view", Modifiers::ALT, Key::H);
    assert_eq!(views(&harness), ["3D", "3D 3", "3D 2"]);
    click(&mut harness, "Menu of 3D");
    harness.get_by_label("Name of the layout").focus();
    harness.step();
    harness.get_by_label("Name of the layout").type_text("Three sides");
    harness.step();
    click(&mut harness, "Save layout");
    look(&mut harness, "layout_named");
    harness.get_by_label("Layout Three sides");
    press(&mut harness, Modifiers::NONE, Key::Escape);
    press(&mut harness, Modifiers::COMMAND, Key::Num2);
    harness.state_mut().save(&mut storage);
    drop(harness);

    let mut harness = two([1280.0, 720.0], Theme::Light);
    harness.state_mut().restore(&storage);
    (0..3).for_each(|_| harness.step());
    assert_eq!(views(&harness), ["3D", "XY", "YZ", "XZ"], "as it was");
    click(&mut harness, "Menu of 3D");
    click(&mut harness, "Layout Three sides");
    (0..3).for_each(|_| harness.step());
    assert_eq!(views(&harness), ["3D", "3D 2", "3D 3"]);
    click(&mut harness, "Menu of 3D");
    click(&mut harness, "Forget layout Three sides");
    (0..2).for_each(|_| harness.step());
    assert!(harness.query_by_label("Layout Three sides").is_none());
}

#[test]
fn in_a_narrow_window_the_volume_lies_under_the_slices() {
    let mut harness = two([960.0, 700.0], Theme::Dark);
    (0..20).for_each(|_| harness.step());
    look(&mut harness, "layout_narrow");
    let [volume, xz] = ["Volume view", "Slice XZ"].map(|name| harness.get_by_label(name).rect());
    assert!(volume.top() > xz.bottom() && volume.width() > xz.width(), "{volume} under {xz}");
    harness.set_size(egui::vec2(1440.0, 900.0));
    (0..6).for_each(|_| harness.step());
    let [volume, xz] = ["Volume view", "Slice XZ"].map(|name| harness.get_by_label(name).rect());
    assert!((volume.top() - xz.top()).abs() < 1.0, "beside it again");
}
