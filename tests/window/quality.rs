//! Views are left out by a click, a reconstruction is judged by its halves.

use egui_kittest::kittest::Queryable as _;
use waterwindow::project::{Content, LayerId};

use super::support::{click, demo_session, look, press, settle, window};

#[test]
fn a_view_is_left_out_by_a_click_and_the_reconstruction_is_judged_by_its_halves() {
    let mut harness = window([1440.0, 900.0], demo_session());
    settle(&mut harness);
    press(&mut harness, "Reconstruct");
    settle(&mut harness);

    click(&mut harness, "Stage Align");
    let used = |harness: &egui_kittest::Harness<'_, waterwindow::gui::App>| {
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
    let layers = |harness: &egui_kittest::Harness<'_, waterwindow::gui::App>| {
        let project = harness.state().session().project();
        project.layers.iter().map(|l| (l.id, l.name.clone(), l.display.visible)).collect::<Vec<_>>()
    };
    let seen: Vec<(LayerId, String, bool)> = layers(&harness);
    for name in ["even half", "odd half", "noise"] {
        let (_, _, visible) = seen.iter().find(|(_, n, _)| n == name).unwrap();
        assert!(!visible, "{name} is there to judge by, not to look at");
    }
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
