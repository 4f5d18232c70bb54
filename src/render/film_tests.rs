//! What films show when.

use glam::{DAffine3, DQuat, DVec3};

use super::*;
use crate::render::scene::{Plane, SliceScene, VolumeScene};

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
        Keyframe { clip_um: Some([[0.0; 3], [1.0, 2.0, 3.0]]), ease: Ease::Linear, ..at(1.5) },
    ];
    let text = serde_json::to_string(&KeyframeFile { keyframes: frames.clone() }).unwrap();
    assert_eq!(keyframes_of(&text).unwrap(), frames);
}
