//! Any edits, undone and redone, lead back and forth between the same documents.

use proptest::prelude::*;

use super::{Annotation, Calibration, Content, Display, Edit, History, LabelLayer, Layer, LayerId, Project};
use crate::measure::ruler::RulerKind;
use crate::ops::Provenance;
use crate::volume::labels::Brick;
use crate::volume::{Class, Labels};

/// Voxels of the label layers: four bricks and a bit.
const SHAPE: [usize; 3] = [20, 40, 70];

fn class(id: u16, name: String) -> Class {
    let color = [(id % 256) as u8, 10, 200];
    Class { id, name, color, parent: None, go_id: None, typical_lac: None, visible: true, locked: false }
}

fn label_layer(name: String) -> Box<Layer> {
    let labels = LabelLayer::new(Labels::new(SHAPE), Some([0.04; 3]), [0.0; 3]);
    let provenance = Provenance::new("painted", serde_json::Value::Null, Vec::new(), Vec::new());
    Box::new(Layer::new(name, Content::Labels(labels), provenance))
}

/// A list of annotations, now and then one with too few points or an id twice.
fn annotations() -> impl Strategy<Value = Vec<Annotation>> {
    let kind = prop_oneof![Just(RulerKind::Distance), Just(RulerKind::Angle), Just(RulerKind::Area)];
    let one = (0..9u64, kind, proptest::collection::vec([-5.0f64..5.0, -5.0..5.0, -5.0..5.0], 2..5));
    let one = one.prop_map(|(id, kind, points_um)| Annotation {
        id,
        name: format!("a{id}"),
        kind,
        points_um,
        right: [1.0, 0.0, 0.0],
        down: [0.0, 0.0, 1.0],
        width_px: 1,
        visible: id % 2 == 0,
    });
    proptest::collection::vec(one, 0..3)
}

/// An edit that fits most documents; some name layers that are gone, as stale requests do.
fn any_edit() -> impl Strategy<Value = Edit> {
    let layer = (0..6u64).prop_map(LayerId);
    let bricks = proptest::collection::vec((0..12u32, 0..5u16), 0..4)
        .prop_map(|list| list.into_iter().map(|(index, id)| (index, Brick::Uniform(id))).collect::<Vec<_>>());
    let simple = prop_oneof![
        (0..5usize, "[a-c]{1,3}")
            .prop_map(|(index, name)| Edit::AddLayer { index, layer: label_layer(name) }),
        layer.clone().prop_map(Edit::RemoveLayer),
        (layer.clone(), 1..9u8).prop_map(|(layer, n)| Edit::SetCalibration {
            layer,
            calibration: Box::new(Calibration {
                voxel_um: Some([f64::from(n); 3]),
                ratios: None,
                origin_um: [f64::from(n); 3],
                unit: None,
                read: None,
            }),
        }),
        (layer.clone(), 0..5usize).prop_map(|(layer, index)| Edit::MoveLayer { layer, index }),
        (layer.clone(), "[a-z]{0,4}").prop_map(|(layer, name)| Edit::RenameLayer { layer, name }),
        (layer.clone(), 0..100u8).prop_map(|(layer, percent)| Edit::SetDisplay {
            layer,
            display: Display { opacity: f32::from(percent) / 100.0, ..Display::default() },
        }),
        (layer, bricks.clone(), bricks).prop_map(|(layer, delta, marks)| Edit::ReplaceBricks {
            layer,
            delta,
            marks
        }),
        (0..4u16, "[a-z]{1,4}").prop_map(|(id, name)| Edit::SetClass(class(id, name))),
        (0..4u16).prop_map(Edit::RemoveClass),
        "[a-z]{1,6}".prop_map(Edit::RenameProject),
        annotations().prop_map(Edit::SetAnnotations),
        ("[ab]", prop_oneof![Just(serde_json::Value::Null), "[a-c]".prop_map(serde_json::Value::from)])
            .prop_map(|(name, value)| Edit::Keep { name, value }),
    ];
    prop_oneof![
        6 => simple.clone(),
        1 => proptest::collection::vec(simple, 0..4).prop_map(Edit::Batch),
    ]
}

/// All that a user could see, as text.
fn seen(project: &Project) -> String {
    let layers: Vec<String> = project
        .layers
        .iter()
        .map(|layer| {
            let ids = layer.labels().map(|labels| labels.labels.to_dense());
            format!(
                "{:?} {} {:?} {:?}",
                layer.id,
                layer.name,
                layer.display,
                ids.map(ndarray::ArrayBase::into_raw_vec_and_offset)
            )
        })
        .collect();
    let (classes, landmarks, annotations) = (&project.classes, &project.landmarks, &project.annotations);
    format!("{} {layers:?} {classes:?} {landmarks:?} {annotations:?} {:?}", project.name, project.kept)
}

#[test]
fn a_placement_that_cannot_be_undone_is_refused() {
    let mut project = Project::default();
    project.apply(Edit::AddLayer { index: 0, layer: label_layer("labels".to_owned()) }).unwrap();
    let layer = project.layers[0].id;
    let bad = [
        glam::DAffine3::from_translation(glam::DVec3::new(f64::NAN, 0.0, 0.0)),
        glam::DAffine3::from_scale(glam::DVec3::new(1.0, 0.0, 1.0)),
        glam::DAffine3::from_scale(glam::DVec3::splat(f64::INFINITY)),
    ];
    for placement in bad {
        let result = project.apply(Edit::SetPlacement { layer, placement });
        assert!(matches!(result, Err(super::EditError::Placement)), "{result:?}");
    }
    assert_eq!(project.layers[0].placement, glam::DAffine3::IDENTITY);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn edits_are_undone_and_redone_step_by_step(edits in proptest::collection::vec(any_edit(), 1..14)) {
        let mut project = Project::default();
        let mut history = History::default();
        let mut states = vec![seen(&project)];
        for (step, edit) in edits.into_iter().enumerate() {
            let edit = project.with_ids(edit);
            match project.apply(edit.clone()) {
                Ok(inverse) => {
                    // A name of its own: no two steps are one gesture.
                    history.record(format!("step {step}"), edit, inverse);
                    states.push(seen(&project));
                }
                // What does not fit changes nothing.
                Err(_) => prop_assert_eq!(&seen(&project), &states[states.len() - 1]),
            }
        }
        for _ in 0..2 {
            for state in states.iter().rev().skip(1) {
                prop_assert!(history.undo(&mut project).unwrap().is_some());
                prop_assert_eq!(&seen(&project), state);
            }
            prop_assert!(history.undo(&mut project).unwrap().is_none());
            for state in states.iter().skip(1) {
                prop_assert!(history.redo(&mut project).unwrap().is_some());
                prop_assert_eq!(&seen(&project), state);
            }
            prop_assert!(history.redo(&mut project).unwrap().is_none());
        }
    }
}
