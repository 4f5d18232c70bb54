//! Films: how a scene changes with time, by a turntable, by keyframes or from scene to scene.
//!
//! A film is plain data; [`Film::shot`] tells what is drawn at a time. Rotations go the shorter way (`turn_deg` counts
//! whole turns), distances change by equal factors in equal times, cuts come in from outside, and what cannot be
//! interpolated (another mode, other classes) dissolves.

mod between;
mod keyframe;

use image::RgbaImage;
use serde::{Deserialize, Serialize};

use super::figure::{Artist, DrawError, Scene};
use crate::base::Progress;
use between::{between, dissolves, grow, mix};
pub use keyframe::{CutPlane, Keyframe};

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
fn check(keyframes: &[Keyframe]) -> Result<(), FilmError> {
    check_times(keyframes.iter().map(|keyframe| keyframe.seconds))?;
    for (i, keyframe) in keyframes.iter().enumerate() {
        let wrong = |(field, wanted)| FilmError::Value { number: i + 1, field, wanted };
        keyframe.check().map_err(wrong)?;
    }
    Ok(())
}

fn check_times(times: impl ExactSizeIterator<Item = f64>) -> Result<(), FilmError> {
    if times.len() < 2 {
        return Err(FilmError::TooFew(times.len()));
    }
    let mut before = -1.0;
    for (i, seconds) in times.enumerate() {
        if !(seconds > before && (0.0..=MAX_SECONDS).contains(&seconds)) {
            return Err(FilmError::Time { number: i + 1, seconds });
        }
        before = seconds;
    }
    Ok(())
}

/// A scene that a film comes through.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// When, seconds from the start.
    pub seconds: f64,
    /// How it goes on from here.
    pub ease: Ease,
    /// What is seen then.
    pub scene: Scene,
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

/// A film: scenes and how they follow each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Film {
    scene: Scene,
    way: Way,
    fps: f64,
}

#[derive(Debug, Clone, PartialEq)]
enum Way {
    Turntable { seconds: f64, turns: f64 },
    Stills(Vec<Still>),
}

/// A scene at a time, and what is added to its view.
#[derive(Debug, Clone, PartialEq)]
struct Still {
    stop: Stop,
    /// Turn and tilt in degrees, zoom as a factor.
    moved: [f64; 3],
}

impl Still {
    fn scene(&self) -> Scene {
        keyframe::moved(self.stop.scene.clone(), self.moved)
    }

    /// What is seen on the way to another one: two scenes where they dissolve.
    fn shot(&self, to: &Self, t: f64) -> Shot {
        let at = |from: &Self, to: &Self, t: f64| {
            let [turn, tilt] = [0, 1].map(|k| mix(from.moved[k], to.moved[k], t));
            let zoom = grow(from.moved[2], to.moved[2], t);
            keyframe::moved(between(&from.stop.scene, &to.stop.scene, t), [turn, tilt, zoom])
        };
        match t {
            ..=0.0 => Shot::One(self.scene()),
            1.0.. => Shot::One(to.scene()),
            _ if dissolves(&self.stop.scene, &to.stop.scene) => {
                Shot::Dissolve(Box::new([at(self, to, t), at(to, self, 1.0 - t)]), t)
            }
            _ => Shot::One(at(self, to, t)),
        }
    }
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

impl Film {
    /// A film of a scene.
    ///
    /// # Errors
    /// [`FilmError`] where keyframes, length or speed make no film.
    pub fn new(scene: Scene, motion: Motion, fps: f64) -> Result<Self, FilmError> {
        let way = match motion {
            Motion::Turntable { seconds, turns } => {
                Way::Turntable { seconds: if turns.is_finite() { seconds } else { f64::NAN }, turns }
            }
            Motion::Keyframes(keyframes) => {
                check(&keyframes)?;
                Way::Stills(stills(&scene, &keyframes))
            }
        };
        Self::on(scene, way, fps)
    }

    /// A film from scene to scene; all are of one size.
    ///
    /// # Errors
    /// [`FilmError`] where there are too few, or times or speed make no film.
    pub fn through(stops: Vec<Stop>, fps: f64) -> Result<Self, FilmError> {
        check_times(stops.iter().map(|stop| stop.seconds))?;
        let first = stops.first().ok_or(FilmError::TooFew(0))?.scene.clone();
        let still = |stop| Still { stop, moved: [0.0, 0.0, 1.0] };
        Self::on(first, Way::Stills(stops.into_iter().map(still).collect()), fps)
    }

    fn on(scene: Scene, way: Way, fps: f64) -> Result<Self, FilmError> {
        let seconds = match &way {
            Way::Turntable { seconds, .. } => *seconds,
            Way::Stills(stills) => stills.last().map_or(0.0, |last| last.stop.seconds),
        };
        let is_fine = (f64::EPSILON..=MAX_SECONDS).contains(&seconds) && (0.1..=MAX_FPS).contains(&fps);
        if is_fine { Ok(Self { scene, way, fps }) } else { Err(FilmError::Length { seconds, fps }) }
    }

    /// Frames per second.
    pub fn fps(&self) -> f64 {
        self.fps
    }

    /// The scene that moves, or the first one.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Number of frames, at least one.
    pub fn n_frames(&self) -> usize {
        let frames = |seconds: f64| (seconds * self.fps).round().max(0.0) as usize;
        match &self.way {
            Way::Turntable { seconds, .. } => frames(*seconds).max(1),
            Way::Stills(stills) => frames(stills.last().map_or(0.0, |last| last.stop.seconds)) + 1,
        }
    }

    /// What a frame shows.
    pub fn frame(&self, i: usize) -> Shot {
        match &self.way {
            Way::Turntable { turns, .. } => {
                let turn_deg = 360.0 * turns * i as f64 / self.n_frames() as f64;
                Shot::One(keyframe::moved(self.scene.clone(), [turn_deg, 0.0, 1.0]))
            }
            Way::Stills(stills) => shot(stills, i as f64 / self.fps).unwrap_or_else(|| self.still()),
        }
    }

    /// What is seen at a time.
    pub fn shot(&self, seconds: f64) -> Shot {
        match &self.way {
            Way::Turntable { .. } => self.frame((seconds * self.fps).max(0.0) as usize),
            Way::Stills(stills) => shot(stills, seconds).unwrap_or_else(|| self.still()),
        }
    }

    fn still(&self) -> Shot {
        Shot::One(self.scene.clone())
    }
}

/// Each keyframe with all that those before it said.
fn stills(scene: &Scene, keyframes: &[Keyframe]) -> Vec<Still> {
    let mut still = Still {
        stop: Stop { seconds: 0.0, ease: Ease::default(), scene: scene.clone() },
        moved: [0.0, 0.0, 1.0],
    };
    let next = |keyframe: &Keyframe| {
        let [turn, tilt, zoom] = still.moved;
        still = Still {
            stop: Stop {
                seconds: keyframe.seconds,
                ease: keyframe.ease,
                scene: keyframe.on(&still.stop.scene),
            },
            moved: [
                keyframe.turn_deg.unwrap_or(turn),
                keyframe.tilt_deg.unwrap_or(tilt),
                keyframe.zoom.unwrap_or(zoom),
            ],
        };
        still.clone()
    };
    keyframes.iter().map(next).collect()
}

/// What is seen at a time; `None` where there is nothing to see.
fn shot(stills: &[Still], seconds: f64) -> Option<Shot> {
    let next = stills.partition_point(|still| still.stop.seconds <= seconds);
    let Some(from) = next.checked_sub(1).and_then(|before| stills.get(before)) else {
        return Some(Shot::One(stills.first()?.scene()));
    };
    let Some(to) = stills.get(next) else { return Some(Shot::One(from.scene())) };
    let t = (seconds - from.stop.seconds) / (to.stop.seconds - from.stop.seconds);
    Some(from.shot(to, from.stop.ease.at(t.clamp(0.0, 1.0))))
}

#[cfg(test)]
mod tests;
