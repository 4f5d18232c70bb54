//! Films: how a scene changes with time, by a turntable or by keyframes.
//!
//! A film is plain data over a scene; [`Film::shot`] tells what is drawn at a time. Keyframes leave
//! out what does not change. Rotations go the shorter way (`turn_deg` counts whole turns), distances
//! change by equal factors in equal times, and what cannot be interpolated (another mode) dissolves.

use glam::{DVec2, DVec3};
use image::RgbaImage;
use serde::{Deserialize, Serialize};

use super::camera::OrbitCamera;
use super::figure::{Artist, DrawError, Scene};
use super::scene::{SliceLayer, VolumeMode};
use super::transfer::{TransferFunction, TransferPoint};
use crate::base::Progress;

/// How a film goes on from a keyframe to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ease {
    /// Starts and stops gently.
    #[default]
    Smooth,
    /// At constant speed.
    Linear,
    /// Stays, then jumps.
    Hold,
}

impl Ease {
    /// Share of the change at a share of the time.
    fn at(self, t: f64) -> f64 {
        match self {
            Self::Smooth => t * t * (3.0 - 2.0 * t),
            Self::Linear => t,
            Self::Hold => f64::from(u8::from(t >= 1.0)),
        }
    }
}

/// A moment of a film. What is left out is as in the keyframe before, or as in the scene.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keyframe {
    /// When, seconds from the start.
    pub seconds: f64,
    /// How it goes on from here.
    pub ease: Ease,
    /// Where the volume is seen from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<OrbitCamera>,
    /// Turned to the right about the upright axis, degrees; added to the camera, any number of turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_deg: Option<f64>,
    /// Tilted so that more is seen from above, degrees; added to the camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tilt_deg: Option<f64>,
    /// How many times larger than by the camera, or than the slice fitted; above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoom: Option<f64>,
    /// Haze, projection, surface or labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<VolumeMode>,
    /// Colour and opacity by value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferFunction>,
    /// Values that get the first and the last colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<[f32; 2]>,
    /// Threshold of the surface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso: Option<f32>,
    /// Where the slice lies along its normal, world µm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_um: Option<f64>,
    /// Corners of the box that is drawn, world µm, [[x, y, z], [x, y, z]].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_um: Option<[[f64; 3]; 2]>,
}

/// The file of keyframes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyframeFile {
    /// The keyframes in order of time.
    pub keyframes: Vec<Keyframe>,
}

/// Longest film, seconds.
pub const MAX_SECONDS: f64 = 600.0;
/// Most frames per second.
pub const MAX_FPS: f64 = 120.0;

/// Why there is no film.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FilmError {
    /// The text is no file of keyframes.
    #[error("this is no file of keyframes: {0}")]
    File(String),
    /// Too few to move between.
    #[error("a film needs at least 2 keyframes, here are {0}")]
    TooFew(usize),
    /// Times do not rise.
    #[error(
        "keyframe {number} is at {seconds} s, it must come after the one before and within {MAX_SECONDS} s"
    )]
    Time {
        /// Which, from 1.
        number: usize,
        /// Its time.
        seconds: f64,
    },
    /// A number that nothing can be drawn with.
    #[error("keyframe {number}: {field} must be {wanted}")]
    Value {
        /// Which, from 1.
        number: usize,
        /// Which field.
        field: &'static str,
        /// What it may be.
        wanted: &'static str,
    },
    /// Length or speed out of range.
    #[error(
        "a film of {seconds} s at {fps} frames per second cannot be made: up to {MAX_SECONDS} s and {MAX_FPS} frames per second"
    )]
    Length {
        /// Its length.
        seconds: f64,
        /// Its speed.
        fps: f64,
    },
}

/// Reads a file of keyframes.
///
/// # Errors
/// [`FilmError`], one sentence.
pub fn keyframes_of(text: &str) -> Result<Vec<Keyframe>, FilmError> {
    let file: KeyframeFile =
        serde_json::from_str(text).map_err(|error| FilmError::File(error.to_string()))?;
    check(&file.keyframes)?;
    Ok(file.keyframes)
}

/// Says whether a film can be made of keyframes.
///
/// # Errors
/// [`FilmError`] with the number of the keyframe.
pub fn check(keyframes: &[Keyframe]) -> Result<(), FilmError> {
    if keyframes.len() < 2 {
        return Err(FilmError::TooFew(keyframes.len()));
    }
    let mut before = -1.0;
    for (i, keyframe) in keyframes.iter().enumerate() {
        let (number, seconds) = (i + 1, keyframe.seconds);
        if !(seconds > before && (0.0..=MAX_SECONDS).contains(&seconds)) {
            return Err(FilmError::Time { number, seconds });
        }
        before = seconds;
        keyframe.check().map_err(|(field, wanted)| FilmError::Value { number, field, wanted })?;
    }
    Ok(())
}

impl Keyframe {
    /// The field that nothing can be drawn with, and what it may be.
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let number = "a finite number";
        let is_fine = |value: Option<f64>| value.is_none_or(f64::is_finite);
        if let Some(camera) = &self.camera {
            let is_fine = camera.target_um.is_finite()
                && camera.rotation.is_finite()
                && camera.rotation.length() > 0.5
                && (1e-6..=1e9).contains(&camera.distance_um)
                && (1e-3..3.0).contains(&camera.fov_y_rad);
            if !is_fine {
                return Err((
                    "camera",
                    "a target, a distance above 0, a rotation of length 1 and an angle of view",
                ));
            }
        }
        if !is_fine(self.turn_deg) {
            return Err(("turn_deg", number));
        }
        if !is_fine(self.tilt_deg) {
            return Err(("tilt_deg", number));
        }
        if self.zoom.is_some_and(|zoom| !(0.01..=1000.0).contains(&zoom)) {
            return Err(("zoom", "from 0.01 to 1000"));
        }
        if self.window.is_some_and(|[low, high]| !(low < high && low.is_finite() && high.is_finite())) {
            return Err(("window", "two numbers, the lower first"));
        }
        if self.iso.is_some_and(|iso| !iso.is_finite()) {
            return Err(("iso", number));
        }
        if !is_fine(self.slice_um) {
            return Err(("slice_um", number));
        }
        let is_box =
            |[low, high]: [[f64; 3]; 2]| (0..3).all(|k| low[k] < high[k] && (high[k] - low[k]).is_finite());
        if self.clip_um.is_some_and(|clip| !is_box(clip)) {
            return Err(("clip_um", "two corners, the lower first"));
        }
        let is_curve = |points: &[TransferPoint]| {
            let values = |p: &TransferPoint| [p.lac_per_um, p.opacity_per_um, p.rgb[0], p.rgb[1], p.rgb[2]];
            points.iter().flat_map(values).all(f32::is_finite)
                && points.windows(2).all(|pair| pair[0].lac_per_um <= pair[1].lac_per_um)
        };
        if self.transfer.as_ref().is_some_and(|curve| !is_curve(&curve.points)) {
            return Err(("transfer", "points of finite numbers in rising order"));
        }
        Ok(())
    }
}

/// How a scene moves.
#[derive(Debug, Clone, PartialEq)]
pub enum Motion {
    /// Turns about the upright axis at constant speed; the last frame is followed by the first.
    Turntable {
        /// How long.
        seconds: f64,
        /// How many whole turns; below 0 to the left.
        turns: f64,
    },
    /// From keyframe to keyframe.
    Keyframes(Vec<Keyframe>),
}

/// A film: a scene and how it moves.
#[derive(Debug, Clone, PartialEq)]
pub struct Film {
    scene: Scene,
    motion: Motion,
    fps: f64,
}

/// What is drawn at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Shot {
    /// A scene.
    One(Scene),
    /// The second scene shines through the first by a share.
    Dissolve(Box<[Scene; 2]>, f64),
}

impl Shot {
    /// The scene that there is more of.
    pub fn main(&self) -> &Scene {
        match self {
            Self::One(scene) => scene,
            Self::Dissolve(scenes, share) => &scenes[usize::from(*share >= 0.5)],
        }
    }

    /// Its picture.
    ///
    /// # Errors
    /// [`DrawError`] of the drawing.
    pub fn draw(&self, progress: &Progress, artist: &mut Artist) -> Result<RgbaImage, DrawError> {
        match self {
            Self::One(scene) => artist.draw(progress, scene),
            Self::Dissolve(scenes, share) => {
                let mut picture = artist.draw(progress, &scenes[0])?;
                let other = artist.draw(progress, &scenes[1])?;
                for (a, b) in picture.pixels_mut().zip(other.pixels()) {
                    for (a, b) in a.0.iter_mut().zip(b.0) {
                        *a = (f64::from(*a) + (f64::from(b) - f64::from(*a)) * share).round() as u8;
                    }
                }
                Ok(picture)
            }
        }
    }
}

/// Everything that keyframes change, with nothing left out.
#[derive(Debug, Clone, PartialEq)]
struct Pose {
    camera: OrbitCamera,
    turn_deg: f64,
    tilt_deg: f64,
    zoom: f64,
    mode: VolumeMode,
    transfer: TransferFunction,
    window: Option<[f32; 2]>,
    iso: f32,
    slice_um: Option<f64>,
    clip: Option<(DVec3, DVec3)>,
}

impl Pose {
    fn of(scene: &Scene) -> Self {
        let rest = Self {
            camera: OrbitCamera::default(),
            turn_deg: 0.0,
            tilt_deg: 0.0,
            zoom: 1.0,
            mode: VolumeMode::Composite,
            transfer: TransferFunction::default(),
            window: None,
            iso: 0.0,
            slice_um: None,
            clip: None,
        };
        match scene {
            Scene::Slice(scene) => Self {
                slice_um: Some(scene.center_um.dot(scene.plane.axis())),
                window: scene.layers.iter().find_map(|layer| match layer {
                    SliceLayer::Image(image) => Some(image.window),
                    SliceLayer::Labels(_) => None,
                }),
                ..rest
            },
            Scene::Volume(scene) => Self {
                camera: scene.camera,
                mode: scene.mode,
                transfer: scene.transfer.clone(),
                window: Some(scene.window),
                iso: scene.iso_value,
                clip: scene.clip,
                ..rest
            },
        }
    }

    /// This one with what a keyframe changes.
    fn with(mut self, keyframe: &Keyframe) -> Self {
        let k = keyframe;
        self.camera = k.camera.unwrap_or(self.camera);
        self.turn_deg = k.turn_deg.unwrap_or(self.turn_deg);
        self.tilt_deg = k.tilt_deg.unwrap_or(self.tilt_deg);
        self.zoom = k.zoom.unwrap_or(self.zoom);
        self.mode = k.mode.unwrap_or(self.mode);
        self.window = k.window.or(self.window);
        self.iso = k.iso.unwrap_or(self.iso);
        self.slice_um = k.slice_um.or(self.slice_um);
        self.clip = k.clip_um.map(|[low, high]| (low.into(), high.into())).or(self.clip);
        if let Some(transfer) = &k.transfer {
            self.transfer = transfer.clone();
        }
        self
    }

    /// Between this one and another; mode and a curve of other points stay.
    fn between(&self, to: &Self, t: f64) -> Self {
        let mix = |a: f64, b: f64| a + (b - a) * t;
        let grow = |a: f64, b: f64| a * (b / a).powf(t);
        let mix_f32 = |a: f32, b: f32| mix(f64::from(a), f64::from(b)) as f32;
        let (a, b) = (&self.camera, &to.camera);
        let camera = OrbitCamera {
            target_um: a.target_um.lerp(b.target_um, t),
            distance_um: grow(a.distance_um, b.distance_um),
            rotation: a.rotation.normalize().slerp(b.rotation.normalize(), t).normalize(),
            projection: if t < 0.5 { a.projection } else { b.projection },
            fov_y_rad: mix(a.fov_y_rad, b.fov_y_rad),
        };
        let transfer = blended(&self.transfer, &to.transfer, t).unwrap_or_else(|| self.transfer.clone());
        Self {
            camera,
            turn_deg: mix(self.turn_deg, to.turn_deg),
            tilt_deg: mix(self.tilt_deg, to.tilt_deg),
            zoom: grow(self.zoom, to.zoom),
            mode: self.mode,
            transfer,
            window: both(self.window, to.window, |a, b| [mix_f32(a[0], b[0]), mix_f32(a[1], b[1])]),
            iso: mix_f32(self.iso, to.iso),
            slice_um: both(self.slice_um, to.slice_um, mix),
            clip: both(self.clip, to.clip, |a, b| (a.0.lerp(b.0, t), a.1.lerp(b.1, t))),
        }
    }

    /// Whether it takes two pictures to get from here to there.
    fn dissolves(&self, to: &Self) -> bool {
        self.mode != to.mode || blended(&self.transfer, &to.transfer, 0.5).is_none()
    }

    fn scene(&self, base: &Scene) -> Scene {
        let mut scene = base.clone();
        match &mut scene {
            Scene::Slice(scene) => {
                scene.um_per_px /= self.zoom;
                let lowest = scene.layers.iter_mut().find_map(|layer| match layer {
                    SliceLayer::Image(image) => Some(image),
                    SliceLayer::Labels(_) => None,
                });
                if let (Some(image), Some(window)) = (lowest, self.window) {
                    image.window = window;
                }
            }
            Scene::Volume(scene) => {
                scene.camera = self.camera;
                scene
                    .camera
                    .orbit_turntable(DVec2::new(self.turn_deg.to_radians(), self.tilt_deg.to_radians()));
                scene.camera.zoom(self.zoom);
                scene.mode = self.mode;
                scene.transfer = self.transfer.clone();
                scene.window = self.window.unwrap_or(scene.window);
                scene.iso_value = self.iso;
                scene.clip = self.clip;
                // Grain that stays where it is while the cell turns looks like a dirty window.
                scene.jitter = false;
            }
        }
        if let Some(position) = self.slice_um {
            scene.move_slice(position);
        }
        scene
    }
}

fn both<T: Copy>(a: Option<T>, b: Option<T>, mix: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(mix(a, b)),
        (a, b) => a.or(b),
    }
}

/// A curve between two of as many points.
fn blended(a: &TransferFunction, b: &TransferFunction, t: f64) -> Option<TransferFunction> {
    let t = t as f32;
    let mix = |a: f32, b: f32| a + (b - a) * t;
    (a.points.len() == b.points.len()).then(|| {
        let points = a.points.iter().zip(&b.points).map(|(a, b)| TransferPoint {
            lac_per_um: mix(a.lac_per_um, b.lac_per_um),
            rgb: std::array::from_fn(|c| mix(a.rgb[c], b.rgb[c])),
            opacity_per_um: mix(a.opacity_per_um, b.opacity_per_um),
        });
        TransferFunction { points: points.collect() }
    })
}

impl Film {
    /// A film of a scene.
    ///
    /// # Errors
    /// [`FilmError`] where keyframes, length or speed make no film.
    pub fn new(mut scene: Scene, motion: Motion, fps: f64) -> Result<Self, FilmError> {
        let seconds = match &motion {
            Motion::Turntable { seconds, turns } => {
                if turns.is_finite() {
                    *seconds
                } else {
                    f64::NAN
                }
            }
            Motion::Keyframes(keyframes) => {
                check(keyframes)?;
                keyframes.last().map_or(0.0, |last| last.seconds)
            }
        };
        let is_fine = (f64::EPSILON..=MAX_SECONDS).contains(&seconds) && (0.1..=MAX_FPS).contains(&fps);
        if !is_fine {
            return Err(FilmError::Length { seconds, fps });
        }
        if let (Scene::Volume(scene), Motion::Keyframes(keyframes)) = (&mut scene, &motion)
            && scene.clip.is_none()
            && keyframes.iter().any(|k| k.clip_um.is_some())
        {
            // A box that nothing is cut by: far outside, but near enough to shrink from at an even speed.
            let corners = keyframes.iter().filter_map(|k| k.clip_um);
            let low = corners.clone().fold(DVec3::INFINITY, |low, [a, _]| low.min(a.into()));
            let high = corners.fold(DVec3::NEG_INFINITY, |high, [_, b]| high.max(b.into()));
            let reach = DVec3::splat(scene.camera.distance_um);
            let target = scene.camera.target_um;
            scene.clip = Some((low.min(target - reach), high.max(target + reach)));
        }
        Ok(Self { scene, motion, fps })
    }

    /// Frames per second.
    pub fn fps(&self) -> f64 {
        self.fps
    }

    /// The scene that moves.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Number of frames, at least one.
    pub fn n_frames(&self) -> usize {
        let frames = |seconds: f64| (seconds * self.fps).round().max(0.0) as usize;
        match &self.motion {
            Motion::Turntable { seconds, .. } => frames(*seconds).max(1),
            Motion::Keyframes(keyframes) => frames(keyframes.last().map_or(0.0, |last| last.seconds)) + 1,
        }
    }

    /// What a frame shows.
    pub fn frame(&self, i: usize) -> Shot {
        match &self.motion {
            Motion::Turntable { turns, .. } => {
                let turn_deg = 360.0 * turns * i as f64 / self.n_frames() as f64;
                let pose = Pose { turn_deg, ..Pose::of(&self.scene) };
                Shot::One(pose.scene(&self.scene))
            }
            Motion::Keyframes(_) => self.shot(i as f64 / self.fps),
        }
    }

    /// What is seen at a time.
    pub fn shot(&self, seconds: f64) -> Shot {
        let Motion::Keyframes(keyframes) = &self.motion else { return self.frame(0) };
        let mut before = Pose::of(&self.scene);
        let mut from: Option<&Keyframe> = None;
        for keyframe in keyframes {
            let pose = before.clone().with(keyframe);
            match from {
                None if seconds <= keyframe.seconds => return Shot::One(pose.scene(&self.scene)),
                Some(from) if seconds < keyframe.seconds => {
                    let t = (seconds - from.seconds) / (keyframe.seconds - from.seconds);
                    let t = from.ease.at(t.clamp(0.0, 1.0));
                    if before.dissolves(&pose) && t > 0.0 && t < 1.0 {
                        let first = before.between(&pose, t);
                        let second = pose.between(&before, 1.0 - t);
                        let scenes = [first.scene(&self.scene), second.scene(&self.scene)];
                        return Shot::Dissolve(Box::new(scenes), t);
                    }
                    return Shot::One(before.between(&pose, t).scene(&self.scene));
                }
                _ => {}
            }
            before = pose;
            from = Some(keyframe);
        }
        Shot::One(before.scene(&self.scene))
    }
}

#[cfg(test)]
#[path = "film_tests.rs"]
mod tests;
