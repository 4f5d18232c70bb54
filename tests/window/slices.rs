//! Slices as they can be looked at: slabs, interpolation, two volumes compared; driven by pointer and keys.

use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use ndarray::Array3;
use waterwindow::base::Unit;
use waterwindow::gui::App;
use waterwindow::ops::Provenance;
use waterwindow::project::{Content, Display, Edit, Layer};
use waterwindow::session::{Command, Session, Settings, Theme};
use waterwindow::volume::Volume;

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
