//! Slices as they can be looked at: slabs, interpolation, two volumes compared; driven by pointer and keys.

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use ndarray::Array3;
use waterwindow::base::Unit;
use waterwindow::gui::App;
use waterwindow::ops::Provenance;
use waterwindow::project::{Content, Display, Edit, LabelLayer, Layer};
use waterwindow::session::{Command, Session, Settings, Theme};
use waterwindow::volume::{ClassTable, Labels, Volume};

use crate::support::{click, has_adapter, look, settle, window};

/// Number of voxels along each edge.
pub(crate) const N: usize = 48;

/// A layer of this name with a ball whose value is `inside`, on a grid of `n` voxels over 1.44 µm.
fn ball(name: &str, n: usize, inside: f32, colormap: &str) -> Layer {
    let middle = (n as f64 - 1.0) / 2.0;
    let data = Array3::from_shape_fn((n, n, n), |(z, y, x)| {
        let r = [z, y, x].map(|i| ((i as f64 - middle) / n as f64).powi(2)).iter().sum::<f64>().sqrt();
        let noise = ((x * 7 + y * 13 + z * 29) % 11) as f32 * 0.006 - 0.03;
        noise + if r < 0.27 { inside } else { 0.1 }
    });
    let edge = 1.44 / n as f64;
    let volume =
        Volume { origin_um: [(edge - 0.03) / 2.0; 3], ..Volume::new(data, Some([edge; 3]), Unit::PerUm) };
    let provenance = Provenance::new("test", serde_json::Value::Null, Vec::new(), Vec::new());
    Layer {
        display: Display { window: [0.0, 0.5], colormap: colormap.to_owned(), ..Display::default() },
        ..Layer::new(name, Content::Volume(volume.into()), provenance)
    }
}

/// A window on two volumes of different grids, the finer one on top.
pub(crate) fn two(size: [f32; 2], theme: Theme) -> Harness<'static, App> {
    let mut session = Session::new(Settings { theme, ..Settings::default() });
    let coarse = ball("coarse", 20, 0.3, "magma");
    let fine = ball("fine", N, 0.4, "gray");
    let edits = [coarse, fine].map(|layer| Edit::AddLayer { index: usize::MAX, layer: Box::new(layer) });
    session.apply(Command::Edit { label: "Open".to_owned(), edit: Edit::Batch(edits.to_vec()) });
    let mut harness = window(size, session);
    settle(&mut harness);
    click(&mut harness, "Stage Segment");
    settle(&mut harness);
    harness
}

/// Presses a key while the pointer is over a view.
pub(crate) fn key_over(harness: &mut Harness<'_, App>, view: &str, modifiers: Modifiers, key: Key) {
    let rect = harness.get_by_label(view).rect();
    // Away from the middle, where pictures are looked at: the pointer is in them.
    harness.hover_at(rect.min + rect.size() * 0.1);
    harness.step();
    harness.key_press_modifiers(modifiers, key);
    harness.step();
    harness.step();
}

/// Standard deviation of the green channel in the middle of a view.
fn roughness(harness: &mut Harness<'_, App>, view: &str) -> f64 {
    let rect = harness.get_by_label(view).rect();
    let picture = harness.render().unwrap();
    let c = rect.center();
    let values: Vec<f64> = (-18..18)
        .flat_map(|dy| (-18..18).map(move |dx| (dx, dy)))
        .filter(|(dx, dy): &(i32, i32)| dx.abs() > 3 && dy.abs() > 3)
        .map(|(dx, dy)| {
            f64::from(picture.get_pixel((c.x as i32 + dx * 2) as u32, (c.y as i32 + dy * 2) as u32).0[1])
        })
        .collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

#[test]
fn a_key_gathers_a_slab_and_averages_its_noise() {
    let mut harness = two([1280.0, 720.0], Theme::Dark);
    let before = has_adapter().then(|| roughness(&mut harness, "Slice XY"));
    key_over(&mut harness, "Slice XY", Modifiers::NONE, Key::Z);
    assert!(harness.query_by_label_contains("mean of 200 nm").is_some(), "the title says it");
    if let Some(before) = before {
        let after = roughness(&mut harness, "Slice XY");
        // Seven slices with noise of their own: less than 0.6 of it is left.
        assert!(after < before * 0.6, "{after:.2} after {before:.2}");
    }
    look(&mut harness, "slab");
    key_over(&mut harness, "Slice XY", Modifiers::ALT, Key::CloseBracket);
    assert!(harness.query_by_label_contains("mean of 300 nm").is_some());
    key_over(&mut harness, "Slice XY", Modifiers::NONE, Key::Z);
    assert!(harness.query_by_label_contains("maximum of 300 nm").is_some());
    click(&mut harness, "Layers of XZ");
    harness.get_all_by_label("Min").next().unwrap().click();
    harness.step();
    harness.step();
    look(&mut harness, "slab_menu");
    harness.key_press(Key::Escape);
    harness.step();
    harness.step();
    assert!(harness.query_by_label_contains("minimum of 300 nm").is_some());
    let count = harness.query_all_by_label_contains("of 300 nm").count();
    assert_eq!(count, 2, "each view has its own slab");
}

#[test]
fn interpolation_is_chosen_per_layer_and_undone() {
    let mut harness = two([1280.0, 720.0], Theme::Dark);
    click(&mut harness, "Layer fine");
    click(&mut harness, "Cubic");
    let shown = |harness: &Harness<'_, App>| {
        let layers = &harness.state().session().project().layers;
        layers.iter().map(|l| (l.display.smooth, l.display.cubic)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&harness), [(true, false), (true, true)]);
    look(&mut harness, "cubic");
    click(&mut harness, "Undo");
    assert_eq!(shown(&harness), [(true, false), (true, false)]);
}

#[test]
fn two_layers_of_other_grids_share_a_view_by_curtain_squares_and_time() {
    let mut harness = two([1280.0, 720.0], Theme::Light);
    key_over(&mut harness, "Slice XY", Modifiers::NONE, Key::Backslash);
    assert!(harness.query_by_label_contains("curtain").is_some());
    let rect = harness.get_by_label("Slice XY").rect();
    if has_adapter() {
        let picture = harness.render().unwrap();
        let at = |fx: f32| {
            picture.get_pixel((rect.left() + rect.width() * fx) as u32, (rect.center().y + 30.0) as u32).0
        };
        let spread = |p: [u8; 4]| p[..3].iter().max().unwrap() - p[..3].iter().min().unwrap();
        assert!(spread(at(0.46)) < 12, "grey at the left: {:?}", at(0.46));
        assert!(spread(at(0.54)) > 40, "magma at the right: {:?}", at(0.54));
    }
    look(&mut harness, "curtain_light");
    // The divider is dragged to a quarter.
    harness.drag_at(rect.center());
    harness.step();
    for i in 1..=4 {
        harness.hover_at(rect.center() - egui::vec2(rect.width() * 0.25 * i as f32 / 4.0, 0.0));
        harness.step();
    }
    harness.drop_at(rect.center() - egui::vec2(rect.width() * 0.25, 0.0));
    (0..3).for_each(|_| harness.step());
    click(&mut harness, "Layers of XY");
    let value = harness
        .get_by_role_and_label(egui::accesskit::Role::Slider, "Divider")
        .accesskit_node()
        .numeric_value();
    assert!(value.is_some_and(|v| (v - 0.25).abs() < 0.03), "{value:?}");
    look(&mut harness, "curtain_menu");
    click(&mut harness, "Checker");
    harness.key_press(Key::Escape);
    harness.step();
    harness.step();
    assert!(harness.query_by_label_contains("checkerboard").is_some());
    look(&mut harness, "checker");
    key_over(&mut harness, "Slice XY", Modifiers::NONE, Key::Backslash);
    assert!(harness.query_by_label_contains("flicker").is_some());
    look(&mut harness, "flicker");
    key_over(&mut harness, "Slice XY", Modifiers::NONE, Key::Backslash);
    assert!(harness.query_by_label_contains("flicker").is_none());
}

fn provenance(op: &'static str, inputs: &[&str]) -> Provenance {
    let inputs = inputs.iter().map(ToString::to_string).collect();
    Provenance::new(op, serde_json::Value::Null, inputs, Vec::new())
}

/// Adds labels with a long body from corner to corner of the XZ plane.
fn add_body(harness: &mut Harness<'_, App>) {
    let middle = (N as f64 - 1.0) / 2.0;
    let array = Array3::from_shape_fn((N, N, N), |(z, y, x)| {
        let [z, y, x] = [z, y, x].map(|i| i as f64 - middle);
        let (along, across) = ((x + z) / 2f64.sqrt(), (x - z) / 2f64.sqrt());
        u16::from((along / 20.0).powi(2) + (y / 9.0).powi(2) + (across / 5.0).powi(2) < 1.0)
    });
    let labels = LabelLayer::new(Labels::from_dense(&array), Some([0.03; 3]), [0.0; 3]);
    let layer = Layer::new("body", Content::Labels(labels), provenance("painted", &[]));
    let mut edits = vec![Edit::AddLayer { index: usize::MAX, layer: Box::new(layer) }];
    edits.extend(ClassTable::from_names(["nucleus"]).classes.into_iter().map(Edit::SetClass));
    let command = Command::Edit { label: "Open".to_owned(), edit: Edit::Batch(edits) };
    harness.state_mut().session_mut().apply(command);
    settle(harness);
}

#[test]
fn the_oblique_slice_lies_along_and_across_a_cell_and_through_three_points() {
    let mut harness = two([1280.0, 720.0], Theme::Dark);
    add_body(&mut harness);
    key_over(&mut harness, "Slice XY", Modifiers::ALT, Key::L);
    harness.get_by_label("Slice Oblique");
    assert!(harness.query_by_label_contains("45° from").is_some(), "x and z are as long");
    look(&mut harness, "along");
    key_over(&mut harness, "Slice XY", Modifiers::ALT, Key::C);
    look(&mut harness, "across");
    assert!(harness.query_by_label_contains("45° from").is_some());

    key_over(&mut harness, "Slice XY", Modifiers::ALT, Key::R);
    // Three points of one XY slice, by the pointer: the slice is that one.
    let rect = harness.get_by_label("Slice XY").rect();
    for at in [[0.3, 0.3], [0.7, 0.35], [0.5, 0.7]] {
        let at = rect.min + rect.size() * egui::vec2(at[0], at[1]);
        harness.hover_at(at);
        harness.step();
        harness.drag_at(at);
        harness.step();
        harness.drop_at(at);
        (0..40).for_each(|_| harness.step());
    }
    assert!(harness.query_by_label_contains("0° from XY").is_some());
    look(&mut harness, "three_points");
}

#[test]
fn a_range_of_the_histogram_becomes_labels() {
    let mut harness = two([1280.0, 720.0], Theme::Light);
    click(&mut harness, "Range");
    let rect = harness.get_by_label("Histogram").rect();
    let at = |f: f32| rect.left_center() + egui::vec2(rect.width() * f, 0.0);
    harness.hover_at(at(0.5));
    harness.step();
    harness.drag_at(at(0.5));
    harness.step();
    for i in 1..=5 {
        harness.hover_at(at(0.5 + 0.09 * i as f32));
        harness.step();
    }
    harness.drop_at(at(0.95));
    (0..3).for_each(|_| harness.step());
    look(&mut harness, "range_light");
    // The lower end is dragged by its handle; the upper one stays.
    let number = |harness: &Harness<'_, App>, name: &str| {
        harness.get_by_label(name).accesskit_node().numeric_value().unwrap()
    };
    let (low, high) = (number(&harness, "Range from"), number(&harness, "Range to"));
    assert!(low < high && low > 0.1, "{low} to {high}");
    click(&mut harness, "Threshold to labels");
    settle(&mut harness);
    let project = harness.state().session().project();
    let labels = project.from_top().find_map(|layer| layer.labels()).unwrap();
    let volume = project.layers.iter().find(|layer| layer.name == "fine").unwrap().volume().unwrap();
    let (low, high) = (low as f32, high as f32);
    let wanted = volume.values().iter().filter(|v| (low..=high).contains(*v)).count();
    let found = labels.labels.to_dense().iter().filter(|id| **id != 0).count();
    // The field says the ends to three decimals.
    assert!(found > 1000 && found.abs_diff(wanted) < wanted / 20, "{found} voxels, {wanted} in the range");
    look(&mut harness, "range_labels_light");
}

#[test]
fn the_probe_says_value_noise_and_class() {
    let mut harness = two([1280.0, 720.0], Theme::Dark);
    add_body(&mut harness);
    let sd = Volume::new(Array3::from_elem((N, N, N), 0.0123f32), Some([0.03; 3]), Unit::PerUm);
    let mut layer = Layer::new("noise", Content::Volume(sd.into()), provenance("noise", &["fine"]));
    layer.display.visible = false;
    let edit = Edit::AddLayer { index: 0, layer: Box::new(layer) };
    harness.state_mut().session_mut().apply(Command::Edit { label: "Open".to_owned(), edit });
    settle(&mut harness);
    let at = harness.get_by_label("Slice XY").rect().center();
    harness.hover_at(at);
    harness.step();
    harness.step();
    assert!(harness.query_by_label_contains("± 0.012 1/µm, nucleus").is_some());
    look(&mut harness, "probe");
}
