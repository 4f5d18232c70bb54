//! Views are left out by a click, a reconstruction is judged by its halves.

use egui::{Event, Modifiers, PointerButton, Pos2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use waterwindow::gui::App;
use waterwindow::project::{Content, LayerId};

use super::support::{click, demo_session, look, press, settle, window};

fn button(harness: &mut Harness<'_, App>, pos: Pos2, pressed: bool) {
    let event =
        Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers: Modifiers::NONE };
    harness.event(event);
    harness.step();
}

fn drag(harness: &mut Harness<'_, App>, from: Pos2, to: Pos2) {
    harness.event(Event::PointerMoved(from));
    harness.step();
    button(harness, from, true);
    for part in [0.5, 1.0] {
        harness.event(Event::PointerMoved(from + (to - from) * part));
        harness.step();
    }
    button(harness, to, false);
    settle(harness);
}

fn tap(harness: &mut Harness<'_, App>, at: Pos2) {
    harness.event(Event::PointerMoved(at));
    harness.step();
    button(harness, at, true);
    button(harness, at, false);
    settle(harness);
}

#[test]
fn a_view_is_left_out_by_a_click_and_the_reconstruction_is_judged_by_its_halves() {
    let mut harness = window([1440.0, 900.0], demo_session());
    settle(&mut harness);
    press(&mut harness, "Reconstruct");
    settle(&mut harness);

    click(&mut harness, "Stage Align");
    let used = |harness: &Harness<'_, App>| {
        let project = harness.state().session().project();
        let views = project.layers.iter().find_map(|layer| match &layer.content {
            Content::Alignment(alignment) => Some(&alignment.views),
            _ => None,
        });
        views.unwrap().iter().map(|view| view.used).collect::<Vec<_>>()
    };
    let n = used(&harness).len();
    assert!(used(&harness).iter().all(|used| *used));
    // A click in the middle of the plot leaves the middle view out, a second one takes it in again.
    click(&mut harness, "Shifts of the views");
    let out: Vec<usize> = (0..n).filter(|view| !used(&harness)[*view]).collect();
    assert_eq!(out.len(), 1);
    assert!((n / 2 - 1..=n / 2 + 1).contains(&out[0]), "{out:?} of {n}");
    look(&mut harness, "align_view_left_out");
    harness.get_by_label_contains("1 view is left out");
    click(&mut harness, "Use all views");
    assert!(used(&harness).iter().all(|used| *used));

    click(&mut harness, "Stage Quality");
    press(&mut harness, "Judge");
    settle(&mut harness);
    harness.get_by_label("Fourier shell correlation");
    let layers = |harness: &Harness<'_, App>| {
        let project = harness.state().session().project();
        project.layers.iter().map(|l| (l.id, l.name.clone(), l.display.visible)).collect::<Vec<_>>()
    };
    let seen: Vec<(LayerId, String, bool)> = layers(&harness);
    for name in ["even half", "odd half", "noise"] {
        let (_, _, visible) = seen.iter().find(|(_, n, _)| n == name).unwrap();
        assert!(!visible, "{name} is there to judge by, not to look at");
    }
    harness.get_by_label("Power across the rotation axis");
    click(&mut harness, "Along the axes");
    look(&mut harness, "quality");
    click(&mut harness, "Show the map");
    settle(&mut harness);
    assert!(layers(&harness).iter().any(|(_, name, visible)| name == "noise" && *visible));
    look(&mut harness, "quality_noise");

    // Judged again the halves are there already: one more curve, nothing else.
    click(&mut harness, "Hide the map");
    press(&mut harness, "Judge");
    settle(&mut harness);
    let names: Vec<_> = layers(&harness).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names.iter().filter(|name| name.contains("half")).count(), 2, "{names:?}");
    assert_eq!(names.iter().filter(|name| name.contains("FSC")).count(), 2, "{names:?}");
}

#[test]
fn the_scan_is_looked_through_as_a_movie_a_sinogram_and_aligned() {
    let mut harness = window([1440.0, 900.0], demo_session());
    settle(&mut harness);
    harness.get_by_label("Scan view");
    harness.get_by_label("Histogram of transmission");
    click(&mut harness, "Play as a movie");
    for _ in 0..20 {
        harness.step();
    }
    look(&mut harness, "scan_movie");
    click(&mut harness, "Stop the movie");
    click(&mut harness, "Sinogram");
    look(&mut harness, "scan_sinogram");
    click(&mut harness, "Flats");
    click(&mut harness, "Views");
    press(&mut harness, "Dose");
    settle(&mut harness);
    look(&mut harness, "scan_dose");

    press(&mut harness, "Reconstruct");
    settle(&mut harness);
    for _ in 0..200 {
        harness.step();
        if harness.query_by_label("Preview of the slice").is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    harness.get_by_label("Preview of the slice");
    look(&mut harness, "reconstruct_preview");
    // The views come back in the stages that are about them, and go again.
    click(&mut harness, "Stage Align");
    harness.get_by_label("Scan view");
    click(&mut harness, "Aligned");
    look(&mut harness, "scan_aligned");
    // Beads by hand: a click adds one, a drag moves it, Delete takes it out, each is a step.
    click(&mut harness, "Aligned");
    click(&mut harness, "Edit beads");
    let beads = |harness: &Harness<'_, App>| {
        let project = harness.state().session().project();
        let found = project.layers.iter().find_map(|layer| match &layer.content {
            Content::Alignment(alignment) => Some(alignment.beads.clone().unwrap_or_default()),
            _ => None,
        });
        found.unwrap()
    };
    let middle = harness.get_by_label("Scan view").rect().center();
    let at = |dx: f32, dy: f32| middle + egui::vec2(dx, dy);
    tap(&mut harness, at(-60.0, 20.0));
    tap(&mut harness, at(80.0, -30.0));
    assert_eq!((beads(&harness).beads.len(), beads(&harness).n_points()), (2, 2));
    let before = beads(&harness).beads[1].points[0];
    drag(&mut harness, at(80.0, -30.0), at(100.0, -30.0));
    let after = beads(&harness).beads[1].points[0];
    assert!(after.x > before.x + 1.0 && (after.y - before.y).abs() < 0.5, "{before:?} {after:?}");
    look(&mut harness, "beads");
    harness.key_press(egui::Key::Delete);
    settle(&mut harness);
    assert_eq!(beads(&harness).beads.len(), 1);
    click(&mut harness, "Undo");
    assert_eq!(beads(&harness).beads.len(), 2);
    click(&mut harness, "Remove bead 1");
    assert_eq!(beads(&harness).beads.len(), 1);

    click(&mut harness, "Slices");
    assert!(harness.query_by_label("Scan view").is_none());
    harness.get_by_label("Slice XY");
    click(&mut harness, "Show the views");
    harness.get_by_label("Scan view");
}

#[test]
fn a_normalised_series_is_offered_to_the_methods_of_the_next_stage() {
    let mut harness = window([1440.0, 900.0], demo_session());
    settle(&mut harness);
    let choose = |harness: &mut Harness<'_, App>, stage: &str, method: &str| {
        click(harness, stage);
        if harness.query_by_label("Other method").is_none() {
            click(harness, "More methods");
        }
        harness.get_by_label("Other method").scroll_to_me();
        settle(harness);
        click(harness, "Other method");
        click(harness, method);
        settle(harness);
    };
    let n_layers = |harness: &Harness<'_, App>| harness.state().session().project().layers.len();
    choose(&mut harness, "Stage Scan", "Normalise");
    look(&mut harness, "methods_normalise");
    let before = n_layers(&harness);
    harness.get_by_label("Normalise").scroll_to_me();
    settle(&mut harness);
    click(&mut harness, "Normalise");
    settle(&mut harness);
    assert_eq!(n_layers(&harness), before + 1, "the normalised series");
    choose(&mut harness, "Stage Align", "Deconvolve");
    look(&mut harness, "methods_deconvolve");
}
