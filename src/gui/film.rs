//! The film that is set up: keyframes of the document, played in the window and written beside it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::moment::Moment;
use super::panels::figure::{Drawing, Size, chosen, of_file};
use super::panels::operation;
use super::state::{Queue, Tilt, ViewId, ViewState};
use crate::base::Progress;
use crate::io::{self, FilmKind, IoError};
use crate::project::{Edit, Project};
use crate::render::cpu::Sources;
use crate::render::figure::{self, Artist, Backdrop, Scene};
use crate::render::film::{Ease, Film, MAX_SECONDS, Motion, Stop};

/// What jobs of films are called.
pub(crate) const JOB: &str = "Film";
/// Under which name the keyframes are kept with the project.
const KEPT: &str = "film";

/// Shortest and longest turntable, seconds.
pub(crate) const SECONDS: [f64; 2] = [0.2, MAX_SECONDS];
/// Turns of a turntable.
pub(crate) const TURNS: [f64; 2] = [-20.0, 20.0];
/// Frames per second.
pub(crate) const FPS: [f64; 2] = [1.0, 60.0];
/// Longest edge of a film, pixels.
pub(crate) const MAX_EDGE: u32 = 3840;

/// A keyframe: what a view shows at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Keyframe {
    /// When, seconds from the start.
    pub(crate) seconds: f64,
    /// How it goes on from here.
    pub(crate) ease: Ease,
    /// What is seen.
    pub(crate) view: Moment,
}

/// What is set up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FilmForm {
    /// From keyframe to keyframe; else a turntable.
    pub(crate) by_keyframes: bool,
    /// Length of the turntable.
    pub(crate) seconds: f64,
    /// Turns of the turntable.
    pub(crate) turns: f64,
    /// Frames per second.
    pub(crate) fps: f64,
    /// How large.
    pub(crate) size: Size,
    /// The keyframes, as the document has them.
    #[serde(skip)]
    pub(crate) keyframes: Vec<Keyframe>,
    /// What they were read from.
    #[serde(skip)]
    kept: Value,
    /// The film that is being played.
    #[serde(skip)]
    playing: Option<Box<Playing>>,
}

impl Default for FilmForm {
    fn default() -> Self {
        Self {
            by_keyframes: false,
            seconds: 8.0,
            turns: 1.0,
            fps: 25.0,
            size: Size::Fixed([1280, 720]),
            keyframes: Vec::new(),
            kept: Value::Null,
            playing: None,
        }
    }
}

/// A film while it is played in the window.
#[derive(Debug, Clone, PartialEq)]
struct Playing {
    film: Film,
    view: ViewId,
    began: Option<f64>,
    /// What is seen in this frame.
    scene: Scene,
    /// What the view showed before.
    before: Moment,
}

impl FilmForm {
    /// As what a file says may be set here.
    pub(crate) fn within_limits(self) -> Self {
        Self {
            seconds: self.seconds.clamp(SECONDS[0], SECONDS[1]),
            turns: self.turns.clamp(TURNS[0], TURNS[1]),
            fps: self.fps.clamp(FPS[0], FPS[1]),
            size: self.size.within(MAX_EDGE),
            ..self
        }
    }

    /// Whether it is being played.
    pub(crate) fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// What the film shows in this frame, while it is played.
    pub(crate) fn scene(&self) -> Option<&Scene> {
        self.playing.as_ref().map(|playing| &playing.scene)
    }

    /// The same, where it is played in this view.
    pub(crate) fn shown(&self, id: ViewId) -> Option<&Scene> {
        self.playing.as_ref().filter(|playing| playing.view == id).map(|playing| &playing.scene)
    }

    /// Puts other keyframes into the document: one step of the history.
    pub(crate) fn change(&mut self, label: &str, keyframes: Vec<Keyframe>, queue: &mut Queue) {
        let value =
            if keyframes.is_empty() { Value::Null } else { json!({ "keyframes": keyframes.as_slice() }) };
        self.keyframes = keyframes;
        self.kept = value.clone();
        queue.edit(label, Edit::Keep { name: KEPT.to_owned(), value });
    }
}

/// Takes up the keyframes of the document where they are others. Call it once a frame.
pub(crate) fn follow(project: &Project, view: &mut ViewState) {
    let kept = project.kept.get(KEPT).unwrap_or(&Value::Null);
    let film = &mut view.film;
    if film.kept != *kept {
        let list = kept.get("keyframes").and_then(Value::as_array);
        let read = |value: &Value| serde_json::from_value(value.clone()).ok();
        film.keyframes = list.into_iter().flatten().filter_map(read).collect();
        film.by_keyframes |= !film.keyframes.is_empty();
        film.kept = kept.clone();
    }
}

/// The film in pictures of a size, and what it is drawn from.
fn film(drawing: &mut Drawing<'_>, size: Option<[u32; 2]>) -> Result<(Film, Sources), String> {
    let said = |error: crate::render::film::FilmError| operation::sentence(&error.to_string());
    let form = drawing.view.film.clone();
    if !form.by_keyframes {
        let scene = drawing.scene()?;
        if matches!(scene, Scene::Slice(_)) {
            return Err("A turntable turns the volume: choose 3D above, or keyframes for slices".to_owned());
        }
        let scene = scene.clone().resized(size.unwrap_or(scene.size_px()));
        let sources = drawing.sources(&scene);
        let motion = Motion::Turntable { seconds: form.seconds, turns: form.turns };
        return Ok((Film::new(scene, motion, form.fps).map_err(said)?, sources));
    }
    let id = chosen(drawing.view);
    let size = size.unwrap_or_else(|| drawing.view.scenes.get(&id).map_or([640, 480], Scene::size_px));
    let (mut stops, mut sources) = (Vec::new(), Sources::default());
    for (i, keyframe) in form.keyframes.iter().enumerate() {
        let scene = keyframe.view.scene(id, drawing.session, drawing.view, drawing.derived);
        let mut scene = scene.map_err(|problem| format!("Keyframe {}: {problem}", i + 1))?.resized(size);
        scene.set_backdrop(drawing.view.figure.backdrop);
        sources.extend(drawing.sources(&scene));
        // Grain that stays where it is while the cell turns looks like a dirty window.
        if let Scene::Volume(scene) = &mut scene {
            scene.jitter = false;
        }
        stops.push(Stop { seconds: keyframe.seconds, ease: keyframe.ease, scene });
    }
    Ok((Film::through(stops, form.fps).map_err(said)?, sources))
}

/// Plays the film on, if one is played.
pub(crate) fn play(ctx: &egui::Context, view: &mut ViewState) {
    let Some(playing) = &mut view.film.playing else { return };
    let now = ctx.input(|input| input.time);
    let at = now - *playing.began.get_or_insert(now);
    let (film, id) = (&playing.film, playing.view);
    if at * film.fps() > film.n_frames() as f64 {
        stop(view);
        return;
    }
    let frame = ((at * film.fps()) as usize).min(film.n_frames().saturating_sub(1));
    playing.scene = film.frame(frame).main().clone();
    let scene = playing.scene.clone();
    let wide = view.size_pt(id)[0];
    match scene {
        Scene::Volume(scene) => view.set_camera(id, |camera| *camera = scene.camera),
        Scene::Slice(scene) => {
            view.enter(id);
            (view.cursor_um, view.center_um) = (scene.center_um, scene.center_um);
            view.um_per_pt = scene.um_per_px * f64::from(scene.size_px[0]) / f64::from(wide.max(1.0));
            view.tilt = Tilt::of(scene.plane);
            view.leave();
        }
    }
    ctx.request_repaint();
}

/// Ends the film that is played; the view is as before.
pub(crate) fn stop(view: &mut ViewState) {
    if let Some(playing) = view.film.playing.take() {
        playing.before.enter(playing.view, view);
    }
}

/// Begins to play the film in the chosen view.
pub(crate) fn start(mut drawing: Drawing<'_>) -> Result<(), String> {
    stop(drawing.view);
    let (film, _) = film(&mut drawing, None)?;
    let id = chosen(drawing.view);
    let before = Moment::of(id, drawing.session.project(), drawing.view);
    let scene = film.frame(0).main().clone();
    drawing.view.film.playing = Some(Box::new(Playing { film, view: id, began: None, scene, before }));
    Ok(())
}

/// Draws the film beside the window and writes it.
pub(crate) fn write(mut drawing: Drawing<'_>, path: PathBuf) -> Result<(), String> {
    let kind = FilmKind::of(&path)
        .ok_or("Films are written as .mp4, as .gif or, without an ending, as a folder of PNG files")?;
    stop(drawing.view);
    if drawing.view.figure.backdrop == Backdrop::Clear && kind != FilmKind::Pngs {
        return Err("A film with a transparent background goes into a folder of PNG files".to_owned());
    }
    let form = &drawing.view.film;
    let size = form.size.of(&drawing.scene()?);
    kind.check(size, form.fps).map_err(|problem| operation::sentence(&problem))?;
    let (film, sources) = film(&mut drawing, Some(size))?;
    let mut artist = Artist::new(sources, drawing.gpu.take());
    let extras = drawing.extras();
    drawing.view.exported = true;
    let mut work = move |progress: &Progress, path: &Path| -> Result<(), IoError> {
        progress.phase("Drawing frames", film.n_frames() as u64);
        io::write_film(path, size, film.fps(), film.n_frames(), |i| {
            progress.check()?;
            let frame = figure::film_frame(&progress.part(), &mut artist, &film, i, &extras);
            progress.advance(1);
            frame.map_err(|error| of_file(error, path))
        })
    };
    let target = path.clone();
    drawing.session.write_picture(JOB.to_owned(), path, move |progress| work(progress, &target));
    Ok(())
}
