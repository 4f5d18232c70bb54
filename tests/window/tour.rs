//! The first minute: five bubbles, each beside what it speaks of, gone through by doing it or by keys alone.

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use waterwindow::gui::App;
use waterwindow::session::{Session, Settings, Theme};

use super::slices::{key_over, two};
use super::support::{click, demo_in, look, press, settle, stroke, window, window_scaled};

/// The bubble that is seen, and the place of its title.
fn bubble(harness: &Harness<'_, App>, title: &str) -> egui::Rect {
    harness.get_by_label(title).rect()
}

fn frames(harness: &mut Harness<'_, App>, n: usize) {
    (0..n).for_each(|_| harness.step());
}

/// The tour from the menu of help.
fn start(harness: &mut Harness<'_, App>) {
    click(harness, "Help");
    click(harness, "Tour of one minute");
    frames(harness, 4);
}

#[test]
fn the_tour_is_gone_through_by_doing_what_it_says_light_and_dark() {
    for (theme, name, scale) in [(Theme::Dark, "dark", 1.0), (Theme::Light, "light", 2.0)] {
        let session = demo_in(Settings { theme, ..Settings::default() });
        let mut harness = window_scaled([1280.0, 720.0], scale, session);
        settle(&mut harness);
        assert!(harness.query_by_label_contains("Scroll through").is_none(), "no window of a test greets");
        start(&mut harness);
        bubble(&harness, "From views to a volume");
        look(&mut harness, &format!("tour_0_{name}"));
        press(&mut harness, "Reconstruct");
        settle(&mut harness);
        frames(&mut harness, 4);

        let title = bubble(&harness, "Scroll through the cell");
        assert!(!harness.get_by_label("Slice XY").rect().intersects(title), "beside the slice");
        assert!(harness.query_by_label("Done").is_none());
        key_over(&mut harness, "Slice XY", Modifiers::NONE, Key::PageUp);
        harness.get_by_label("Done");
        look(&mut harness, &format!("tour_1_{name}"));

        click(&mut harness, "Next");
        frames(&mut harness, 3);
        bubble(&harness, "Set the contrast");
        let plot = harness.get_by_label("Histogram").rect();
        look(&mut harness, &format!("tour_2_{name}"));
        harness.drag_at(plot.right_top() + egui::vec2(-12.0, 20.0));
        harness.step();
        harness.hover_at(plot.center_top() + egui::vec2(20.0, 20.0));
        harness.step();
        harness.drop_at(plot.center_top() + egui::vec2(20.0, 20.0));
        frames(&mut harness, 3);
        harness.get_by_label("Done");

        click(&mut harness, "Next");
        frames(&mut harness, 3);
        bubble(&harness, "Paint two classes");
        look(&mut harness, &format!("tour_3_{name}"));
        for (class, at) in [("Class cytoplasm", 0.35), ("Class mitochondria", 0.6)] {
            click(&mut harness, class);
            stroke(&mut harness, "Slice XY", [0.45, at], [0.55, at]);
        }
        harness.get_by_label("Done");

        click(&mut harness, "Next");
        frames(&mut harness, 3);
        bubble(&harness, "Let it classify");
        look(&mut harness, &format!("tour_4_{name}"));
        click(&mut harness, "Live classification");
        settle(&mut harness);
        harness.get_by_label("Done");

        click(&mut harness, "Next");
        frames(&mut harness, 3);
        bubble(&harness, "Turn the cell");
        let at = harness.get_by_label("Volume view").rect().center();
        harness.drag_at(at);
        harness.step();
        harness.hover_at(at + egui::vec2(40.0, 0.0));
        harness.step();
        harness.drop_at(at + egui::vec2(40.0, 0.0));
        frames(&mut harness, 3);
        harness.get_by_label("Done");
        look(&mut harness, &format!("tour_5_{name}"));
        click(&mut harness, "Finish");
        assert!(harness.query_by_label("Turn the cell").is_none());
        assert!(harness.state().session().settings().tour_seen, "it does not come again by itself");
    }
}

#[test]
fn the_tour_is_walked_and_left_by_keys_and_brings_its_widgets_into_sight() {
    let mut harness = two([1280.0, 720.0], Theme::Dark);
    let key = |harness: &mut Harness<'_, App>, modifiers, key| {
        harness.key_press_modifiers(modifiers, key);
        frames(harness, 4);
    };
    // The volume alone, no panels.
    key(&mut harness, Modifiers::COMMAND, Key::Num4);
    key(&mut harness, Modifiers::COMMAND, Key::B);
    key(&mut harness, Modifiers::COMMAND, Key::I);
    assert!(harness.query_by_label("Slice XY").is_none() && harness.query_by_label("Histogram").is_none());
    key(&mut harness, Modifiers::COMMAND, Key::K);
    harness.get_by_label("Search commands").type_text("tour");
    frames(&mut harness, 2);
    key(&mut harness, Modifiers::NONE, Key::Enter);
    bubble(&harness, "Scroll through the cell");
    harness.get_by_label("Slice XY");
    key(&mut harness, Modifiers::NONE, Key::Enter);
    bubble(&harness, "Set the contrast");
    harness.get_by_label("Histogram");
    key(&mut harness, Modifiers::NONE, Key::Enter);
    bubble(&harness, "Paint two classes");
    harness.get_by_label("Class nucleus");
    key(&mut harness, Modifiers::NONE, Key::Enter);
    bubble(&harness, "Let it classify");
    harness.get_by_label_contains("go back and paint them first");
    look(&mut harness, "tour_not_painted");
    click(&mut harness, "Back");
    bubble(&harness, "Paint two classes");
    key(&mut harness, Modifiers::NONE, Key::Escape);
    assert!(harness.query_by_label("Paint two classes").is_none());
}

#[test]
fn the_tour_brings_a_demo_cell_where_nothing_is_open() {
    let mut harness = window([1280.0, 720.0], Session::new(Settings::default()));
    settle(&mut harness);
    start(&mut harness);
    assert!(harness.state().session().jobs().iter().any(|job| !job.state.is_over()), "it is being scanned");
}
