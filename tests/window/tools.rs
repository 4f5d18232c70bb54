//! The hand tools, driven with the pointer and the keyboard on a ball of 0.4 1/µm in ice of 0.1.

use egui::{Event, Key, Modifiers, PointerButton, Pos2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use ndarray::Array3;
use waterwindow::base::Unit;
use waterwindow::gui::App;
use waterwindow::ops::Provenance;
use waterwindow::project::{Content, Display, Edit, LabelLayer, Layer};
use waterwindow::session::{Command, Session, Settings};
use waterwindow::volume::{ClassTable, Labels, Mark, Volume};

use crate::support::{click, look, settle, window};

const N: usize = 48;
const RADIUS: f64 = 13.0;

/// A window on the ball, with three classes, the third inside the second, in the stage Segment.
fn ball() -> Harness<'static, App> {
    let middle = (N as f64 - 1.0) / 2.0;
    let data = Array3::from_shape_fn((N, N, N), |(z, y, x)| {
        let r = [z, y, x].map(|i| (i as f64 - middle).powi(2)).iter().sum::<f64>().sqrt();
        let noise = ((x * 7 + y * 13 + z * 29) % 11) as f32 * 0.002 - 0.01;
        noise + if r < RADIUS { 0.4 } else { 0.1 }
    });
    let volume = Volume::new(data, Some([0.03; 3]), Unit::PerUm);
    let mut session = Session::new(Settings::default());
    let provenance = Provenance::new("test", serde_json::Value::Null, Vec::new(), Vec::new());
    let layer = Layer {
        display: Display { window: [0.0, 0.5], ..Display::default() },
        ..Layer::new("ball", Content::Volume(volume.into()), provenance)
    };
    let mut edits = vec![Edit::AddLayer { index: 0, layer: Box::new(layer) }];
    let mut table = ClassTable::from_names(["buffer", "nucleus", "nucleolus"]);
    table.get_mut(3).unwrap().parent = Some(2);
    edits.extend(table.classes.into_iter().map(Edit::SetClass));
    session.apply(Command::Edit { label: "Open".to_owned(), edit: Edit::Batch(edits) });
    let mut harness = window([1280.0, 800.0], session);
    settle(&mut harness);
    click(&mut harness, "Stage Segment");
    settle(&mut harness);
    harness
}

/// The point of the screen over a voxel (y, x) of the XY view, which shows the whole volume.
fn over(harness: &Harness<'_, App>, [y, x]: [f64; 2]) -> Pos2 {
    let rect = harness.get_by_label("Slice XY").rect();
    // The fit leaves a margin of 6 per cent around the longer side.
    let per_voxel = f64::from(rect.width().min(rect.height())) / (N as f64 * 1.06);
    let middle = (N as f64 - 1.0) / 2.0;
    rect.center() + egui::vec2(((x - middle) * per_voxel) as f32, ((y - middle) * per_voxel) as f32)
}

fn button(harness: &mut Harness<'_, App>, pos: Pos2, button: PointerButton, pressed: bool) {
    harness.event(Event::PointerMoved(pos));
    harness.event(Event::PointerButton { pos, button, pressed, modifiers: Modifiers::NONE });
    harness.step();
}

/// Presses, moves through the places and lets go.
fn drag(harness: &mut Harness<'_, App>, places: &[[f64; 2]], which: PointerButton) {
    let points: Vec<_> = places.iter().map(|place| over(harness, *place)).collect();
    button(harness, points[0], which, true);
    for pair in points.windows(2) {
        for i in 1..=6 {
            harness.event(Event::PointerMoved(pair[0] + (pair[1] - pair[0]) * (i as f32 / 6.0)));
            harness.step();
        }
    }
    button(harness, *points.last().unwrap(), which, false);
    (0..3).for_each(|_| harness.step());
}

fn tap(harness: &mut Harness<'_, App>, place: [f64; 2], which: PointerButton) {
    drag(harness, &[place], which);
    // The next click is no double click.
    (0..40).for_each(|_| harness.step());
}

fn key(harness: &mut Harness<'_, App>, key: Key) {
    harness.key_press(key);
    harness.step();
    harness.step();
}

fn labels(harness: &Harness<'_, App>) -> Labels {
    let project = harness.state().session().project();
    let painted = project.from_top().find_map(|layer| layer.labels());
    painted.map_or_else(|| Labels::new([N; 3]), |layer| layer.labels.clone())
}

fn count(harness: &Harness<'_, App>, id: u16) -> usize {
    labels(harness).to_dense().iter().filter(|v| **v == id).count()
}

/// Voxels of the slice in the middle within a radius of the centre.
fn disc(radius: f64) -> usize {
    let middle = (N as f64 - 1.0) / 2.0;
    let inside = |y: usize, x: usize| {
        (y as f64 - middle).powi(2) + (x as f64 - middle).powi(2) + 0.25 < radius * radius
    };
    (0..N).flat_map(|y| (0..N).map(move |x| (y, x))).filter(|(y, x)| inside(*y, *x)).count()
}

fn near(found: usize, wanted: usize, tolerance: usize) {
    assert!(found.abs_diff(wanted) <= tolerance, "{found} voxels, {wanted} expected");
}

#[test]
fn a_lasso_paints_what_it_goes_around_and_the_right_button_erases() {
    let mut harness = ball();
    click(&mut harness, "Class nucleus");
    key(&mut harness, Key::P);
    let square = [[10.0, 10.0], [10.0, 30.0], [30.0, 30.0], [30.0, 10.0], [10.0, 10.0]];
    drag(&mut harness, &square, PointerButton::Primary);
    // 20 voxels from corner to corner; the pointer is known to about half a voxel.
    near(count(&harness, 2), 400, 45);
    let hole = [[15.0, 15.0], [15.0, 25.0], [25.0, 25.0], [25.0, 15.0], [15.0, 15.0]];
    drag(&mut harness, &hole, PointerButton::Secondary);
    near(count(&harness, 2), 300, 60);
    look(&mut harness, "lasso");
    click(&mut harness, "Undo");
    near(count(&harness, 2), 400, 45);
}

#[test]
fn a_polygon_is_set_corner_by_corner_closed_with_enter_and_given_up_with_escape() {
    let mut harness = ball();
    click(&mut harness, "Class nucleus");
    key(&mut harness, Key::P);
    for corner in [[8.0, 8.0], [8.0, 32.0], [32.0, 32.0], [40.0, 40.0]] {
        tap(&mut harness, corner, PointerButton::Primary);
    }
    look(&mut harness, "polygon");
    key(&mut harness, Key::Backspace);
    assert_eq!(count(&harness, 2), 0, "nothing is painted before it is closed");
    key(&mut harness, Key::Enter);
    near(count(&harness, 2), 24 * 24 / 2, 40);
    let before = labels(&harness);
    for corner in [[2.0, 2.0], [2.0, 40.0], [40.0, 40.0]] {
        tap(&mut harness, corner, PointerButton::Primary);
    }
    key(&mut harness, Key::Escape);
    key(&mut harness, Key::Enter);
    assert_eq!(labels(&harness), before);
}

#[test]
fn the_wand_takes_what_is_alike_and_a_drag_widens_it_in_one_step() {
    let mut harness = ball();
    click(&mut harness, "Class nucleus");
    key(&mut harness, Key::W);
    tap(&mut harness, [24.0, 24.0], PointerButton::Primary);
    near(count(&harness, 2), disc(RADIUS), 12);
    click(&mut harness, "Undo");
    assert_eq!(count(&harness, 2), 0);
    // Far to the right nearly all values are alike.
    drag(&mut harness, &[[24.0, 24.0], [24.0, 90.0]], PointerButton::Primary);
    assert_eq!(count(&harness, 2), N * N, "the whole slice");
    click(&mut harness, "Undo");
    assert_eq!(count(&harness, 2), 0, "a drag is one step");
    look(&mut harness, "wand");
}

#[test]
fn the_brush_follows_an_edge_and_a_locked_class_is_left_alone() {
    let mut harness = ball();
    click(&mut harness, "Class nucleus");
    key(&mut harness, Key::B);
    key(&mut harness, Key::G);
    drag(&mut harness, &[[24.0, 34.0], [24.0, 34.0]], PointerButton::Primary);
    let painted = labels(&harness).to_dense();
    let outside = painted.indexed_iter().filter(|((_, y, x), id)| {
        let middle = (N as f64 - 1.0) / 2.0;
        **id == 2 && ((*y as f64 - middle).powi(2) + (*x as f64 - middle).powi(2)).sqrt() > RADIUS + 0.5
    });
    assert_eq!(outside.count(), 0, "the brush stays inside the ball");
    assert!(count(&harness, 2) > 20);
    key(&mut harness, Key::G);
    // The pointer is over the nucleus: lock it, then paint over it.
    key(&mut harness, Key::K);
    let before = count(&harness, 2);
    click(&mut harness, "Class buffer");
    drag(&mut harness, &[[24.0, 20.0], [24.0, 44.0]], PointerButton::Primary);
    assert_eq!(count(&harness, 2), before);
    assert!(count(&harness, 1) > 50);
}

#[test]
fn objects_change_class_move_are_cut_and_go() {
    let mut harness = ball();
    click(&mut harness, "Class nucleus");
    key(&mut harness, Key::P);
    for left in [6.0, 30.0] {
        let square = [[20.0, left], [20.0, left + 10.0], [30.0, left + 10.0], [30.0, left], [20.0, left]];
        drag(&mut harness, &square, PointerButton::Primary);
    }
    let two = count(&harness, 2);
    key(&mut harness, Key::O);
    click(&mut harness, "Class buffer");
    tap(&mut harness, [25.0, 35.0], PointerButton::Primary);
    near(count(&harness, 1), two / 2, 20);
    harness.get_by_role_and_label(egui::accesskit::Role::RadioButton, "Move").click();
    harness.step();
    let one = count(&harness, 1);
    drag(&mut harness, &[[25.0, 35.0], [38.0, 20.0]], PointerButton::Primary);
    assert_eq!(count(&harness, 1), one, "it moves whole");
    assert_eq!(labels(&harness).get([24, 38, 20]), 1);
    look(&mut harness, "object");
    harness.get_by_role_and_label(egui::accesskit::Role::RadioButton, "Cut").click();
    harness.step();
    drag(&mut harness, &[[15.0, 11.0], [35.0, 11.0]], PointerButton::Primary);
    // What lies to the left of a line drawn downwards is to the right on the screen.
    assert_eq!(labels(&harness).get([24, 25, 14]), 1, "one side has the chosen class");
    assert_eq!(labels(&harness).get([24, 25, 8]), 2, "the other keeps its own");
    tap(&mut harness, [25.0, 8.0], PointerButton::Secondary);
    assert_eq!(count(&harness, 2), 0, "a right click takes an object away");
}

#[test]
fn the_supervoxel_brush_paints_whole_regions() {
    let mut harness = ball();
    click(&mut harness, "Class nucleus");
    key(&mut harness, Key::S);
    tap(&mut harness, [24.0, 24.0], PointerButton::Primary);
    assert_eq!(count(&harness, 2), 0, "the supervoxels are made first");
    settle(&mut harness);
    key(&mut harness, Key::D);
    (0..6).for_each(|_| key(&mut harness, Key::OpenBracket));
    drag(&mut harness, &[[24.0, 24.0], [24.0, 24.0]], PointerButton::Primary);
    let slices: std::collections::BTreeSet<usize> = labels(&harness)
        .to_dense()
        .indexed_iter()
        .filter(|(_, id)| **id == 2)
        .map(|((z, ..), _)| z)
        .collect();
    assert!(slices.len() > 1, "a region goes through slices: {slices:?}");
    assert!(count(&harness, 2) < 2000, "{} voxels", count(&harness, 2));
}

#[test]
fn a_child_stays_inside_its_parent_where_that_is_wanted_and_marks_say_who_painted() {
    let mut harness = ball();
    click(&mut harness, "Class nucleus");
    key(&mut harness, Key::W);
    tap(&mut harness, [24.0, 24.0], PointerButton::Primary);
    click(&mut harness, "Class nucleolus");
    key(&mut harness, Key::B);
    click(&mut harness, "Only inside nucleus");
    drag(&mut harness, &[[24.0, 24.0], [24.0, 46.0]], PointerButton::Primary);
    let all = labels(&harness);
    let reach = (0..N).rev().find(|x| all.get([24, 24, *x]) == 3).unwrap();
    assert!((35..=38).contains(&reach), "the stroke ends at the rim of the nucleus: {reach}");
    key(&mut harness, Key::J);
    look(&mut harness, "marks");
    let project = harness.state().session().project();
    let layer = project.from_top().find(|layer| layer.labels().is_some()).unwrap();
    assert_eq!(layer.base_mark(), Mark::Painted);
    assert!(layer.labels().unwrap().marks.is_empty(), "what is painted on painted labels needs no mark");
    // X goes back to the class before.
    key(&mut harness, Key::X);
    tap(&mut harness, [6.0, 6.0], PointerButton::Primary);
    assert_eq!(labels(&harness).get([24, 6, 6]), 2);
}

#[test]
fn objects_are_proofread_from_the_list_and_every_decision_is_a_step() {
    let mut harness = ball();
    let mut map = Labels::new([N; 3]);
    let middle = (N as f64 - 1.0) / 2.0;
    map.update_box([0; 3], [N; 3], |zyx, _| {
        let r = zyx.map(|i| (i as f64 - middle).powi(2)).iter().sum::<f64>().sqrt();
        u16::from(r < RADIUS) * 2
    });
    // Five crumbs of buffer, one of them bright.
    for (k, at) in [[3, 3, 3], [3, 3, 40], [3, 40, 3], [40, 3, 3], [24, 24, 24]].into_iter().enumerate() {
        let hi = at.map(|i| i + 2 + usize::from(k == 0));
        map.update_box(at, hi, |_, _| 1);
    }
    let content = Content::Labels(LabelLayer::new(map, Some([0.03; 3]), [0.0; 3]));
    let provenance = Provenance::new("segment", serde_json::Value::Null, Vec::new(), Vec::new());
    let layer = Box::new(Layer::new("segmentation", content, provenance));
    let edit = Edit::AddLayer { index: usize::MAX, layer };
    harness.state_mut().session_mut().apply(Command::Edit { label: "Add labels".to_owned(), edit });
    settle(&mut harness);
    key(&mut harness, Key::M);
    settle(&mut harness);
    harness.get_by_label_contains("0 of 6 objects decided");
    assert!(harness.query_all_by_label_contains("above its class").next().is_some());
    key(&mut harness, Key::Period);
    look(&mut harness, "proofread");
    let session = harness.state().session();
    let first = session.review().unwrap().findings[0].clone();
    assert_eq!((first.class, first.seed_zyx), (1, [24, 24, 24]), "the bright one is the most doubtful");
    key(&mut harness, Key::Delete);
    assert_eq!(labels(&harness).get([24, 24, 24]), 0);
    harness.get_by_label_contains("1 of 6 objects decided");
    harness.key_press_modifiers(Modifiers::SHIFT, Key::Enter);
    (0..3).for_each(|_| harness.step());
    harness.get_by_label_contains("2 of 6 objects decided");
    let marks = |harness: &Harness<'_, App>| {
        let project = harness.state().session().project();
        let layer = project.from_top().find_map(|layer| layer.labels()).unwrap();
        layer.marks.to_dense().iter().filter(|code| **code == Mark::Accepted.code()).count()
    };
    let accepted = marks(&harness);
    assert!(accepted > 0, "an accepted object is marked");
    look(&mut harness, "proofread_two");
    click(&mut harness, "Undo");
    assert_eq!(marks(&harness), 0);
    click(&mut harness, "Undo");
    assert_eq!(labels(&harness).get([24, 24, 24]), 1);
    harness.get_by_label_contains("0 of 6 objects decided");
}

#[test]
fn what_lies_between_painted_slices_is_filled_in_and_marked() {
    let mut harness = ball();
    click(&mut harness, "Class nucleus");
    key(&mut harness, Key::P);
    let square = [[16.0, 16.0], [16.0, 32.0], [32.0, 32.0], [32.0, 16.0], [16.0, 16.0]];
    drag(&mut harness, &square, PointerButton::Primary);
    let one = count(&harness, 2);
    (0..6).for_each(|_| key(&mut harness, Key::PageUp));
    drag(&mut harness, &square, PointerButton::Primary);
    assert_eq!(count(&harness, 2), 2 * one, "the same outline in another slice");
    key(&mut harness, Key::I);
    settle(&mut harness);
    near(count(&harness, 2), 7 * one, one / 2);
    look(&mut harness, "interpolated");
    let project = harness.state().session().project();
    let layer = project.from_top().find(|layer| layer.labels().is_some()).unwrap();
    let codes = layer.labels().unwrap().marks.to_dense();
    let marked = codes.iter().filter(|code| **code == Mark::Interpolated.code()).count();
    near(marked, 5 * one, one / 2);
    click(&mut harness, "Undo");
    assert_eq!(count(&harness, 2), 2 * one, "one step");
}

#[test]
fn a_slice_across_the_axes_is_turned_by_its_handles_and_painted_in() {
    let mut harness = ball();
    key(&mut harness, Key::R);
    harness.get_by_label("Slice Oblique");
    look(&mut harness, "oblique");
    // The handle of its line in XZ, where it lies along x = z, is dragged a quarter of a half turn on.
    let rect = harness.get_by_label("Slice XZ").rect();
    let (middle, reach) = (over_in(&harness, "Slice XZ", [23.5, 23.5]), rect.size().min_elem() * 0.36);
    let around = |deg: f32| middle + egui::vec2(deg.to_radians().cos(), deg.to_radians().sin()) * reach;
    button(&mut harness, around(45.0), PointerButton::Primary, true);
    for deg in 46..=75 {
        harness.event(Event::PointerMoved(around(deg as f32)));
        harness.step();
    }
    button(&mut harness, around(75.0), PointerButton::Primary, false);
    (0..3).for_each(|_| harness.step());
    look(&mut harness, "oblique_turned");
    // A disc there lies in the plane, and is wider than any slice along an axis.
    key(&mut harness, Key::B);
    click(&mut harness, "Class nucleus");
    let at = harness.get_by_label("Slice Oblique").rect().center();
    button(&mut harness, at, PointerButton::Primary, true);
    button(&mut harness, at + egui::vec2(1.0, 0.0), PointerButton::Primary, false);
    settle(&mut harness);
    look(&mut harness, "oblique_painted");
    let project = harness.state().session().project();
    let labels = project.from_top().find_map(|layer| layer.labels()).unwrap().labels.to_dense();
    let painted: Vec<_> = labels.indexed_iter().filter(|(_, id)| **id == 2).map(|(at, _)| at).collect();
    assert!(painted.len() > 60, "{} voxels", painted.len());
    let angle = 75f64.to_radians();
    for (z, _, x) in &painted {
        let away = (*z as f64 - 23.5) * angle.cos() - (*x as f64 - 23.5) * angle.sin();
        // Half the width of a voxel across, the crosshair on a voxel beside the middle, a degree or two of the handle.
        assert!(away.abs() < 2.0, "voxel {z} {x} lies {away:.1} off the plane");
    }
    for axis in 0..3 {
        let along = |at: &(usize, usize, usize)| [at.0, at.1, at.2][axis];
        let (low, high) =
            (painted.iter().map(along).min().unwrap(), painted.iter().map(along).max().unwrap());
        assert!(high > low + 1, "flat along axis {axis}");
    }
    click(&mut harness, "Undo");
    click(&mut harness, "What Oblique shows");
    click(&mut harness, "3D volume");
    assert!(harness.query_by_label("Slice Oblique").is_none());
}

/// The point of the screen over a voxel of another view, by what runs down and right in it.
fn over_in(harness: &Harness<'_, App>, label: &str, [down, right]: [f64; 2]) -> Pos2 {
    let rect = harness.get_by_label(label).rect();
    let first = harness.get_by_label("Slice XY").rect();
    let per_voxel = f64::from(first.width().min(first.height())) / (N as f64 * 1.06);
    let middle = (N as f64 - 1.0) / 2.0;
    rect.center() + egui::vec2(((right - middle) * per_voxel) as f32, ((down - middle) * per_voxel) as f32)
}

#[test]
fn classes_by_value_are_seen_on_the_histogram_with_their_errors() {
    let mut harness = ball();
    let session = harness.state_mut().session_mut();
    let volume = session.project().from_top().find(|layer| layer.volume().is_some()).unwrap().id;
    session.apply(Command::StartOp {
        op: "threshold".to_owned(),
        params: serde_json::json!({ "method": "mixture", "classes": 2 }),
        inputs: vec![("volume".to_owned(), volume)],
        name: None,
    });
    settle(&mut harness);
    let place = harness.get_by_label("Histogram").rect().center();
    harness.hover_at(place);
    (0..40).for_each(|_| harness.step());
    look(&mut harness, "fitted");
    let found: Vec<_> = harness.query_all_by_label_contains(" ± ").collect();
    assert_eq!(found.len(), 2, "mean and error of both classes");
}

#[test]
fn the_classifier_says_how_good_the_strokes_are_and_where_to_paint_next() {
    let mut harness = ball();
    key(&mut harness, Key::B);
    let strokes =
        [("Class buffer", [[5.0, 8.0], [5.0, 40.0]]), ("Class nucleus", [[22.0, 18.0], [26.0, 30.0]])];
    for (class, line) in strokes {
        click(&mut harness, class);
        drag(&mut harness, &line, PointerButton::Primary);
    }
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    (0..3).for_each(|_| harness.step());
    settle(&mut harness);
    settle(&mut harness);
    let advice = harness.state().session().advice().unwrap().clone();
    assert_eq!(advice.validation.as_ref().unwrap().classes, [1, 2]);
    assert!(advice.places.len() > 2, "{} places", advice.places.len());
    harness.get_by_label_contains("Paint next:");
    look(&mut harness, "advice");
    let said = |harness: &Harness<'_, App>| {
        let node = harness.get_by_label_contains("Paint next:").accesskit_node();
        node.label().or_else(|| node.value()).unwrap_or_default()
    };
    let names = |id| harness.state().session().project().classes.name(id);
    let sentences: Vec<_> = advice.places.iter().map(|place| place.sentence(names)).collect();
    assert!(said(&harness).contains(&sentences[0]));
    key(&mut harness, Key::Tab);
    key(&mut harness, Key::Tab);
    assert!(said(&harness).contains(&sentences[1]), "the second Tab leads to the second place");
    harness.key_press_modifiers(Modifiers::SHIFT, Key::Tab);
    (0..3).for_each(|_| harness.step());
    assert!(said(&harness).contains(&sentences[0]));
}
