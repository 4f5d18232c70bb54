//! What films show when.

use glam::{DAffine3, DQuat, DVec3};

use super::*;
use crate::render::camera::OrbitCamera;
use crate::render::scene::{
    Cut, ImageLayer, LabelColors, Plane, SliceLayer, SliceScene, VolumeLabels, VolumeMode, VolumeScene,
};
use crate::render::surfaces::{PartStyle, SurfaceLayer};
use crate::render::transfer::TransferFunction;

fn volume() -> Scene {
    Scene::Volume(VolumeScene::new(1, DAffine3::IDENTITY, [10; 3], [64, 48]))
}

fn at(seconds: f64) -> Keyframe {
    Keyframe { seconds, ..Keyframe::default() }
}

fn camera(shot: &Shot) -> OrbitCamera {
    match shot.main() {
        Scene::Volume(scene) => scene.camera,
        Scene::Slice(_) => panic!("a slice has no camera"),
    }
}

#[test]
fn a_turntable_turns_evenly_and_closes() {
    let film = Film::new(volume(), Motion::Turntable { seconds: 4.0, turns: 1.0 }, 25.0).unwrap();
    assert_eq!(film.n_frames(), 100);
    let step = camera(&film.frame(0)).rotation.angle_between(camera(&film.frame(1)).rotation);
    assert!((step - std::f64::consts::TAU / 100.0).abs() < 1e-9, "{step}");
    let close = camera(&film.frame(99)).rotation.angle_between(camera(&film.frame(0)).rotation);
    assert!((close - step).abs() < 1e-6, "the last step is like the others: {close}");
    let half = camera(&film.frame(50));
    assert!((half.forward() - DVec3::NEG_Z).length() < 1e-9, "halfway it is seen from behind");
}

#[test]
fn keyframes_are_met_and_eased_between() {
    let first = OrbitCamera { distance_um: 10.0, ..OrbitCamera::default() };
    let rotation = DQuat::from_rotation_y(1.0);
    let second = OrbitCamera { distance_um: 40.0, rotation, ..first };
    let mut frames = vec![
        Keyframe { camera: Some(first), window: Some([0.0, 1.0]), ..at(0.0) },
        Keyframe { camera: Some(second), window: Some([0.5, 3.0]), ..at(2.0) },
        at(4.0),
    ];
    let film = Film::new(volume(), Motion::Keyframes(frames.clone()), 10.0).unwrap();
    assert_eq!(film.n_frames(), 41);
    assert!(camera(&film.frame(0)).rotation.angle_between(DQuat::IDENTITY) < 1e-9);
    let middle = camera(&film.frame(10));
    assert!((middle.rotation.angle_between(DQuat::IDENTITY) - 0.5).abs() < 1e-9);
    assert!((middle.distance_um - 20.0).abs() < 1e-9, "by equal factors");
    let early = camera(&film.frame(2)).rotation.angle_between(DQuat::IDENTITY);
    assert!((early - 0.028).abs() < 1e-9, "0.1² (3 − 0.2) of the way at a tenth of the time: {early}");
    assert_eq!(camera(&film.frame(20)), camera(&film.frame(40)), "what is left out stays");
    frames[0].ease = Ease::Linear;
    let film = Film::new(volume(), Motion::Keyframes(frames.clone()), 10.0).unwrap();
    let early = camera(&film.frame(2)).rotation.angle_between(DQuat::IDENTITY);
    assert!((early - 0.1).abs() < 1e-9, "{early}");
    frames[0].ease = Ease::Hold;
    let film = Film::new(volume(), Motion::Keyframes(frames), 10.0).unwrap();
    assert!(camera(&film.frame(19)).rotation.angle_between(DQuat::IDENTITY) < 1e-9);
    assert!(camera(&film.frame(20)).rotation.angle_between(DQuat::IDENTITY) > 0.9);
}

#[test]
fn whole_turns_are_counted_and_slices_travel() {
    let frames = vec![
        Keyframe { turn_deg: Some(0.0), ease: Ease::Linear, ..at(0.0) },
        Keyframe { turn_deg: Some(720.0), ..at(4.0) },
    ];
    let film = Film::new(volume(), Motion::Keyframes(frames), 10.0).unwrap();
    let quarter = camera(&film.frame(5));
    assert!(quarter.forward().dot(DVec3::Z).abs() < 1e-9, "a quarter turn after half a second");

    let bounds = (DVec3::ZERO, DVec3::new(4.0, 3.0, 2.0));
    let slice = Scene::Slice(SliceScene::fitted(Plane::Xz, bounds, [40, 20]));
    let frames = vec![
        Keyframe { slice_um: Some(0.5), ease: Ease::Linear, ..at(0.0) },
        Keyframe { slice_um: Some(2.5), zoom: Some(4.0), ..at(1.0) },
    ];
    let film = Film::new(slice.clone(), Motion::Keyframes(frames), 4.0).unwrap();
    let Shot::One(Scene::Slice(middle)) = film.frame(2) else { panic!("a slice") };
    assert!((middle.center_um - DVec3::new(2.0, 1.5, 1.0)).length() < 1e-9, "{}", middle.center_um);
    assert!((slice.um_per_px() / middle.um_per_px - 2.0).abs() < 1e-9, "half of the way to four times");
}

#[test]
fn another_mode_dissolves_and_a_curve_of_as_many_points_changes() {
    let curve = |opacity: f32| TransferFunction::ramp(0.0, 1.0, [1.0; 3], opacity);
    let frames = |mode: VolumeMode| {
        vec![
            Keyframe { mode: Some(VolumeMode::Composite), transfer: Some(curve(2.0)), ..at(0.0) },
            Keyframe { mode: Some(mode), transfer: Some(curve(4.0)), ..at(1.0) },
        ]
    };
    let film = Film::new(volume(), Motion::Keyframes(frames(VolumeMode::Mip)), 10.0).unwrap();
    let Shot::Dissolve(scenes, share) = film.frame(5) else { panic!("it dissolves") };
    assert!((share - 0.5).abs() < 1e-9);
    let modes = scenes.map(|scene| match scene {
        Scene::Volume(scene) => scene.mode,
        Scene::Slice(_) => panic!("a volume"),
    });
    assert_eq!(modes, [VolumeMode::Composite, VolumeMode::Mip]);
    let film = Film::new(volume(), Motion::Keyframes(frames(VolumeMode::Composite)), 10.0).unwrap();
    let Shot::One(Scene::Volume(scene)) = film.frame(5) else { panic!("one picture does") };
    assert!((scene.transfer.points[1].opacity_per_um - 3.0).abs() < 1e-6);
}

#[test]
fn a_bad_file_is_refused_in_one_sentence() {
    for (text, said) in [
        ("", "no file of keyframes"),
        ("{\"keyframes\": []}", "at least 2"),
        ("{\"keyframes\": [{\"seconds\": 0}, {\"seconds\": 0}]}", "keyframe 2 is at 0 s"),
        ("{\"keyframes\": [{\"seconds\": -1}, {\"seconds\": 1}]}", "keyframe 1 is at -1 s"),
        ("{\"keyframes\": [{\"seconds\": 0}, {\"seconds\": 1e9}]}", "within 600 s"),
        ("{\"keyframes\": [{\"seconds\": 0, \"zoom\": 0}, {\"seconds\": 1}]}", "keyframe 1: zoom"),
        ("{\"keyframes\": [{\"seconds\": 0}, {\"seconds\": 1, \"window\": [2, 1]}]}", "keyframe 2: window"),
        ("{\"keyframes\": [{\"seconds\": 0, \"spin\": 3}, {\"seconds\": 1}]}", "spin"),
        (
            "{\"keyframes\": [{\"seconds\": 0, \"camera\": {\"distance_um\": -3}}, {\"seconds\": 1}]}",
            "camera",
        ),
    ] {
        let error = keyframes_of(text).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains('\n'), "{text}: {error}");
    }
    let two = vec![at(0.0), at(1.0)];
    for fps in [0.0, f64::NAN, 1000.0] {
        assert!(Film::new(volume(), Motion::Keyframes(two.clone()), fps).is_err());
    }
    assert!(Film::new(volume(), Motion::Turntable { seconds: f64::INFINITY, turns: 1.0 }, 25.0).is_err());
}

#[test]
fn keyframes_survive_their_file() {
    let frames = vec![
        Keyframe { camera: Some(OrbitCamera::default()), iso: Some(0.31), ..at(0.0) },
        Keyframe { clip_um: Some(Some([[0.0; 3], [1.0, 2.0, 3.0]])), ease: Ease::Linear, ..at(1.5) },
    ];
    let text = serde_json::to_string(&KeyframeFile { keyframes: frames.clone() }).unwrap();
    assert_eq!(keyframes_of(&text).unwrap(), frames);
    let text = r#"{"keyframes": [{"seconds": 0, "clip_um": null}, {"seconds": 1, "kept": [2]}]}"#;
    let read = keyframes_of(text).unwrap();
    assert_eq!((read[0].clip_um, read[1].clip_um), (Some(None), None), "no box is said, nothing is left out");
    let again = serde_json::to_string(&KeyframeFile { keyframes: read.clone() }).unwrap();
    assert_eq!(keyframes_of(&again).unwrap(), read);
}

fn whole() -> VolumeScene {
    VolumeScene::new(1, DAffine3::IDENTITY, [10; 3], [64, 48])
}

fn stop(seconds: f64, scene: VolumeScene) -> Stop {
    Stop { seconds, ease: Ease::Linear, scene: Scene::Volume(scene) }
}

/// What is seen at a share of the way between two scenes.
fn halfway(a: &VolumeScene, b: &VolumeScene, t: f64) -> Shot {
    Film::through(vec![stop(0.0, a.clone()), stop(1.0, b.clone())], 10.0).unwrap().shot(t)
}

fn one(shot: Shot) -> VolumeScene {
    match shot {
        Shot::One(Scene::Volume(scene)) => scene,
        other => panic!("{other:?}"),
    }
}

#[test]
fn half_way_between_two_keyframes_lie_half_the_box_and_half_the_plane() {
    let near = |a: DVec3, b: DVec3| (a - b).length() < 1e-9;
    let a = VolumeScene {
        clip: Some((DVec3::ZERO, DVec3::splat(8.0))),
        cuts: vec![Cut { normal: DVec3::X, offset_um: 2.0 }, Cut { normal: DVec3::Z, offset_um: 1.0 }],
        shading: 0.2,
        depth_cue: 0.0,
        ..whole()
    };
    // The plane across x moves on, the one across z turns to y about the place halfway.
    let b = VolumeScene {
        clip: Some((DVec3::splat(2.0), DVec3::splat(9.0))),
        cuts: vec![Cut { normal: DVec3::Y, offset_um: 5.0 }, Cut { normal: DVec3::X, offset_um: 4.0 }],
        shading: 0.8,
        depth_cue: 1.0,
        ..whole()
    };
    let scene = one(halfway(&a, &b, 0.5));
    let (low, high) = scene.clip.unwrap();
    assert!(near(low, DVec3::splat(1.0)) && near(high, DVec3::splat(8.5)));
    assert_eq!(scene.cuts[0], Cut { normal: DVec3::X, offset_um: 3.0 });
    let turned = scene.cuts[1];
    assert!(near(turned.normal, DVec3::new(0.0, 1.0, 1.0).normalize()), "{turned:?}");
    // Nearest to the middle (4.5, 4.5, 4.5) the planes have the places (4.5, 4.5, 1) and (4.5, 5, 4.5).
    assert!((turned.offset_um - turned.normal.dot(DVec3::new(4.5, 4.75, 2.75))).abs() < 1e-9);
    assert!((scene.shading - 0.5).abs() < 1e-6 && (scene.depth_cue - 0.5).abs() < 1e-6);
    assert_eq!(one(halfway(&a, &b, 1.0)).cuts, b.cuts, "the last one is met exactly");
}

#[test]
fn cuts_come_in_from_outside_and_planes_against_each_other_change_places() {
    let cut =
        |normal: DVec3, offset_um: f64| VolumeScene { cuts: vec![Cut { normal, offset_um }], ..whole() };
    let keeps = |scene: &VolumeScene, p: f64| {
        scene.cuts.iter().all(|cut| cut.normal.dot(DVec3::splat(p)) >= cut.offset_um)
            && scene.clip.is_none_or(|(low, high)| {
                low.cmple(DVec3::splat(p)).all() && high.cmpge(DVec3::splat(p)).all()
            })
    };
    let coming = |t: f64| one(halfway(&whole(), &cut(DVec3::X, 5.0), t));
    assert!(coming(0.0).cuts.is_empty());
    assert!(keeps(&coming(0.01), -0.4), "it begins beyond the volume");
    assert!(!keeps(&coming(0.5), -0.4) && keeps(&coming(0.5), 3.0) && !keeps(&coming(0.99), 4.5));
    let boxed = VolumeScene { clip: Some((DVec3::splat(3.0), DVec3::splat(6.0))), ..whole() };
    let going = |t: f64| one(halfway(&boxed, &whole(), t));
    assert!(keeps(&going(0.99), -0.4) && !keeps(&going(0.5), -0.4) && going(1.0).clip.is_none());
    let change = one(halfway(&cut(DVec3::X, 5.0), &cut(-DVec3::X, -5.0), 0.5));
    assert_eq!(change.cuts.len(), 2);
    assert!(keeps(&change, 5.0) && !keeps(&change, -0.4) && !keeps(&change, 9.4));
}

/// Two classes as labels and as surfaces of the classes 1 and 2.
fn labelled(strength: f32, opacity: [f32; 2]) -> VolumeScene {
    let style = |opacity: f32| PartStyle { rgb: [1.0; 3], opacity, by_value: false, kept: false };
    let surfaces = SurfaceLayer { classes: [1, 2].into(), ..SurfaceLayer::new(3, opacity.map(style)) };
    let labels = VolumeLabels {
        labels: 2,
        world_from_voxel: DAffine3::IDENTITY,
        colors: LabelColors::palette(),
        strength,
    };
    VolumeScene { labels: Some(labels), surfaces: Some(surfaces), ..whole() }
}

#[test]
fn surfaces_and_labels_fade_and_classes_stay_whole_while_a_cut_comes_in() {
    let a = labelled(0.0, [1.0, 0.2]);
    let mut b = labelled(0.8, [0.5, 1.0]);
    b.cuts = vec![Cut { normal: DVec3::X, offset_um: 5.0 }];
    b.keep_whole(&[2]);
    let scene = one(halfway(&a, &b, 0.5));
    let opacity: Vec<f32> = scene.surfaces.as_ref().unwrap().styles.iter().map(|s| s.opacity).collect();
    assert!((opacity[0] - 0.75).abs() < 1e-6 && (opacity[1] - 0.6).abs() < 1e-6, "{opacity:?}");
    assert!(scene.keeps && scene.surfaces.as_ref().unwrap().styles[1].kept);
    let labels = scene.labels.unwrap();
    assert!((labels.strength - 0.4).abs() < 1e-6);
    assert_eq!(labels.colors.get(2)[3], 255, "the mark of what is kept");
    // Where both are cut, other classes that stay whole need two pictures.
    let mut c = b.clone();
    c.keep_whole(&[1]);
    let Shot::Dissolve(scenes, _) = halfway(&b, &c, 0.25) else { panic!("it dissolves") };
    let kept = scenes.map(|scene| match scene {
        Scene::Volume(scene) => scene.surfaces.unwrap().styles.iter().map(|s| s.kept).collect::<Vec<_>>(),
        Scene::Slice(_) => panic!("a volume"),
    });
    assert_eq!(kept, [vec![false, true], vec![true, false]]);
    assert!(matches!(halfway(&a, &whole(), 0.5), Shot::Dissolve(..)), "surfaces that are gone");
}

#[test]
fn keyframes_of_a_file_cut_light_and_fade() {
    let text = r#"{"keyframes": [
        {"seconds": 0, "ease": "linear", "shading": 0.0, "labels": 0.0, "silhouettes": 1.0},
        {"seconds": 2, "ease": "linear", "shading": 1.0, "labels": 0.5, "surfaces": {"2": 0.2},
         "cuts": [{"point_um": [4, 0, 0], "normal": [2, 0, 0]}], "kept": [1],
         "clip_um": [[0, 0, 0], [9, 9, 9]], "silhouettes": 0.0},
        {"seconds": 3, "cuts": [], "clip_um": null}
    ]}"#;
    let frames = keyframes_of(text).unwrap();
    let film = Film::new(Scene::Volume(labelled(0.8, [1.0, 1.0])), Motion::Keyframes(frames), 10.0).unwrap();
    let middle = one(film.shot(1.0));
    assert!((middle.shading - 0.5).abs() < 1e-6);
    assert!((middle.labels.as_ref().unwrap().strength - 0.25).abs() < 1e-6);
    let surfaces = middle.surfaces.as_ref().unwrap();
    assert!((surfaces.styles[1].opacity - 0.6).abs() < 1e-6 && (surfaces.silhouettes - 0.5).abs() < 1e-6);
    let second = one(film.shot(2.0));
    assert_eq!(second.cuts, [Cut { normal: DVec3::X, offset_um: 4.0 }]);
    assert!(second.keeps && second.clip.is_some());
    assert!(!one(film.shot(3.0)).is_cut(), "what is said to be none is none");
    for (wrong, field) in [
        (r#"{"seconds": 0, "cuts": [{"point_um": [0, 0, 0], "normal": [0, 0, 0]}]}"#, "cuts"),
        (r#"{"seconds": 0, "shadow": 2}"#, "shadow"),
        (r#"{"seconds": 0, "surfaces": {"2": -1}}"#, "surfaces"),
    ] {
        let text = format!(r#"{{"keyframes": [{wrong}, {{"seconds": 1}}]}}"#);
        let error = keyframes_of(&text).unwrap_err().to_string();
        assert!(error.contains(&format!("keyframe 1: {field}")), "{error}");
    }
}

#[test]
fn slices_turn_move_and_change_their_window_and_opacity() {
    let bounds = (DVec3::ZERO, DVec3::splat(8.0));
    let slice = |plane: Plane, window: [f32; 2], opacity: f32| {
        let mut scene = SliceScene::fitted(plane, bounds, [40, 40]);
        let image = ImageLayer::new(1, DAffine3::IDENTITY, window);
        scene.layers.push(SliceLayer::Image(ImageLayer { opacity, ..image }));
        Stop { seconds: f64::from(opacity), ease: Ease::Linear, scene: Scene::Slice(scene) }
    };
    let stops = vec![slice(Plane::Xy, [0.0, 1.0], 0.0), slice(Plane::Yz, [1.0, 3.0], 1.0)];
    let film = Film::through(stops.clone(), 10.0).unwrap();
    let Shot::One(Scene::Slice(scene)) = film.shot(0.5) else { panic!("one slice") };
    let (right, down) = scene.plane.right_down();
    assert!(
        (down - DVec3::Y).length() < 1e-9 && (right - DVec3::new(1.0, 0.0, 1.0).normalize()).length() < 1e-9
    );
    let SliceLayer::Image(image) = &scene.layers[0] else { panic!("an image") };
    assert_eq!((image.window, image.opacity), ([0.5, 2.0], 0.5));
    // From a slice into the volume there is nothing in between.
    let mixed = vec![stops[0].clone(), stop(1.0, whole())];
    assert!(matches!(Film::through(mixed, 10.0).unwrap().shot(0.5), Shot::Dissolve(..)));
}
