//! Films: a turntable or keyframes of the views, played here and written beside the window.

use std::path::{Path, PathBuf};

use super::super::frame::Cx;
use super::super::look::VolumeLook;
use super::super::state::{Dialog, ViewState};
use super::super::widgets::{self, Button, Number};
use super::super::{dialogs, icons, theme};
use super::export::in_documents;
use super::figure::{Drawing, Size, chosen, of_file, size_menu};
use crate::base::Progress;
use crate::io::{self, FilmKind, IoError};
use crate::jobs::JobView;
use crate::render::camera::OrbitCamera;
use crate::render::figure::{self, Scene};
use crate::render::film::{Ease, Film, Keyframe, MAX_SECONDS, Motion};
use crate::session::Command;

/// Sizes of films.
const SIZES: [(Size, &str); 7] = [
    (Size::Fixed([1280, 720]), ""),
    (Size::Fixed([1920, 1080]), "slide"),
    (Size::Fixed([3840, 2160]), ""),
    (Size::Fixed([1080, 1080]), "square"),
    (Size::Fixed([640, 480]), "page"),
    (Size::Fixed([320, 240]), "draft"),
    (Size::Screen, ""),
];
/// Longest edge of a film.
const MAX_EDGE: f64 = 3840.0;
/// What jobs of films are called.
const JOB: &str = "Film";

/// What is set up.
#[derive(Debug, Clone, PartialEq)]
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
    /// The keyframes.
    pub(crate) keyframes: Vec<Keyframe>,
    /// What the first keyframe was taken of: zooms count from there.
    base: Option<Scene>,
    /// The film that is being played.
    playing: Option<Playing>,
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
            base: None,
            playing: None,
        }
    }
}

/// A film while it is played in the window.
#[derive(Debug, Clone, PartialEq)]
struct Playing {
    film: Film,
    seconds: f64,
    began: Option<f64>,
    /// How the window was before.
    before: (super::super::state::ViewId, OrbitCamera, VolumeLook, glam::DVec3, f64),
}

impl FilmForm {
    /// The film of a scene.
    fn film(&self, scene: Scene) -> Result<Film, String> {
        let motion = if self.by_keyframes {
            Motion::Keyframes(self.keyframes.clone())
        } else {
            if matches!(scene, Scene::Slice(_)) {
                return Err(
                    "A turntable turns the volume: choose 3D above, or keyframes for slices".to_owned()
                );
            }
            Motion::Turntable { seconds: self.seconds, turns: self.turns }
        };
        Film::new(scene, motion, self.fps).map_err(|error| super::operation::sentence(&error.to_string()))
    }

    /// A slice as large and as wide as when the first keyframe was taken.
    fn based(&self, mut scene: Scene) -> Scene {
        if let (true, Scene::Slice(scene), Some(Scene::Slice(base))) =
            (self.by_keyframes, &mut scene, &self.base)
        {
            scene.um_per_px =
                base.um_per_px * f64::from(base.size_px[0]) / f64::from(scene.size_px[0].max(1));
            scene.center_um = base.center_um;
        }
        scene
    }

    /// Adds the present view behind the others.
    fn add(&mut self, scene: &Scene) {
        let is_other = |base: &Scene| std::mem::discriminant(base) != std::mem::discriminant(scene);
        if self.keyframes.is_empty() || self.base.as_ref().is_none_or(is_other) {
            self.keyframes.clear();
            self.base = Some(scene.clone());
        }
        let seconds = self.keyframes.last().map_or(0.0, |last| last.seconds + 2.0);
        let base = self.base.as_ref().unwrap_or(scene);
        self.keyframes.push(keyframe_of(scene, base, seconds));
    }

    /// Exchanges two keyframes; their times stay where they are.
    fn swap(&mut self, a: usize, b: usize) {
        if a.max(b) < self.keyframes.len() {
            self.keyframes.swap(a, b);
            let time = self.keyframes[a].seconds;
            self.keyframes[a].seconds = self.keyframes[b].seconds;
            self.keyframes[b].seconds = time;
        }
    }
}

/// A keyframe with everything that can be seen in a scene.
fn keyframe_of(scene: &Scene, base: &Scene, seconds: f64) -> Keyframe {
    let rest = Keyframe { seconds, ..Keyframe::default() };
    match scene {
        Scene::Slice(slice) => {
            let wide = |scene: &Scene| scene.um_per_px() * f64::from(scene.size_px()[0]);
            Keyframe {
                slice_um: Some(slice.center_um.dot(slice.plane.axis())),
                zoom: Some((wide(base) / wide(scene).max(1e-12)).clamp(0.01, 1000.0)),
                ..rest
            }
        }
        Scene::Volume(scene) => Keyframe {
            camera: Some(scene.camera),
            mode: Some(scene.mode),
            transfer: Some(scene.transfer.clone()),
            window: Some(scene.window),
            iso: Some(scene.iso_value),
            clip_um: scene.clip.map(|(low, high)| [low.to_array(), high.to_array()]),
            ..rest
        },
    }
}

/// Shows a keyframe in the window: camera and look of the volume, or position and zoom of the slices.
fn go_to(keyframe: &Keyframe, view: &mut ViewState) {
    let id = chosen(view);
    if let Some(camera) = keyframe.camera {
        view.set_camera(id, |now| *now = camera);
    }
    view.enter(id);
    place(keyframe, id, view);
    view.leave();
}

fn place(keyframe: &Keyframe, id: super::super::state::ViewId, view: &mut ViewState) {
    view.look.mode = keyframe.mode.unwrap_or(view.look.mode);
    view.look.iso = keyframe.iso.unwrap_or(view.look.iso);
    if let Some(transfer) = &keyframe.transfer {
        view.look.transfer = transfer.clone();
    }
    if let (Some(position), Some(plane)) = (keyframe.slice_um, view.plane(id)) {
        let axis = plane.axis();
        view.cursor_um += axis * (position - view.cursor_um.dot(axis));
    }
    if let (Some(zoom), Some(base), Some(now)) = (keyframe.zoom, &view.film.base, view.scenes.get(&id)) {
        let wide = |scene: &Scene| scene.um_per_px() * f64::from(scene.size_px()[0]);
        view.um_per_pt *= wide(base) / zoom / wide(now).max(1e-12);
    }
}

/// Plays the film on, if one is played.
pub(crate) fn play(ctx: &egui::Context, view: &mut ViewState) {
    let Some(playing) = &mut view.film.playing else { return };
    let now = ctx.input(|input| input.time);
    let at = now - *playing.began.get_or_insert(now);
    if at > playing.seconds {
        stop(view);
        return;
    }
    let film = &playing.film;
    let frame = (at * film.fps()) as usize;
    let shot = film.frame(frame.min(film.n_frames().saturating_sub(1)));
    let base = view.film.base.clone().unwrap_or_else(|| film.scene().clone());
    let keyframe = keyframe_of(shot.main(), &base, at);
    go_to(&keyframe, view);
    ctx.request_repaint();
}

/// Ends the film that is played; the window is as before.
fn stop(view: &mut ViewState) {
    if let Some(playing) = view.film.playing.take() {
        let (id, camera, look, cursor_um, um_per_pt) = playing.before;
        view.set_camera(id, |now| *now = camera);
        view.enter(id);
        (view.look, view.cursor_um, view.um_per_pt) = (look, cursor_um, um_per_pt);
        view.leave();
    }
}

fn start(view: &mut ViewState) -> Result<(), String> {
    let id = chosen(view);
    let scene = view.scenes.get(&id).cloned();
    let scene = scene.ok_or("That view has not been drawn yet: bring it into sight first")?;
    let film = view.film.film(view.film.based(scene))?;
    let seconds = film.n_frames() as f64 / film.fps();
    view.enter(id);
    let before = (id, view.camera(id), view.look.clone(), view.cursor_um, view.um_per_pt);
    view.leave();
    view.film.playing = Some(Playing { film, seconds, began: None, before });
    Ok(())
}

/// Draws the part of the inspector.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Film");
    let form = &mut cx.view.film;
    widgets::segmented(
        ui,
        &mut form.by_keyframes,
        &[
            (false, "Turntable", "The cell turns about its upright axis"),
            (true, "Keyframes", "From view to view, as you set them"),
        ],
    );
    ui.add_space(4.0);
    if form.by_keyframes {
        keyframes(ui, cx);
    } else {
        widgets::row(ui, "Length", "How long the film is", |ui, _| {
            Number::new(&mut form.seconds, 0.2..=MAX_SECONDS)
                .unit("s")
                .step(1, 0.05)
                .show(ui, "Length of film");
        });
        widgets::row(ui, "Turns", "Below 0 to the left", |ui, _| {
            Number::new(&mut form.turns, -20.0..=20.0).step(2, 0.02).show(ui, "Turns of film");
        });
    }
    let form = &mut cx.view.film;
    widgets::row(ui, "Speed", "Frames per second; a GIF plays up to 50", |ui, _| {
        Number::new(&mut form.fps, 1.0..=60.0).unit("fps").step(0, 0.1).show(ui, "Frames per second");
    });
    size_menu(ui, &mut form.size, &SIZES, "Film size", MAX_EDGE);
    widgets::hint(ui, "View, title, bars and lettering are those of the figure above.");
    ui.add_space(4.0);
    buttons(ui, cx);
}

fn buttons(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let jobs = cx.session.jobs();
    if let Some(job) = jobs.into_iter().find(|job| job.label == JOB && !job.state.is_over()) {
        running(ui, &job, cx);
    }
    let is_playing = cx.view.film.playing.is_some();
    let is_short = cx.view.film.by_keyframes && cx.view.film.keyframes.len() < 2;
    let mut problem = None;
    ui.add_enabled_ui(!is_short, |ui| {
        ui.horizontal(|ui| {
            let (label, icon, name) = if is_playing {
                ("Stop", icons::STOP, "Stop preview of film")
            } else {
                ("Play", icons::PLAY, "Play film")
            };
            if Button::new(label).icon(icon).name(name).show(ui).clicked() {
                if is_playing {
                    stop(cx.view);
                } else {
                    problem = start(cx.view).err();
                }
            }
            let button = Button::new("Write film…").icon(icons::EXPORT).primary().fill_width().name("Write film");
            if button.show(ui).clicked() {
                let project = &cx.session.project().name;
                cx.view.dialog = Some(Dialog::Write(dialogs::WriteForm {
                    what: dialogs::WriteWhat::Film,
                    title: "Write film".to_owned(),
                    hint: "The ending says the format: .mp4 for slides, .gif for pages, none for a folder of PNG files"
                        .to_owned(),
                    path: in_documents(&format!("{project}_film.mp4")),
                }));
            }
        });
    });
    if let Some(problem) = problem {
        cx.queue.push(super::super::state::Request::Say(super::super::messages::Level::Warning, problem));
    }
}

fn running(ui: &mut egui::Ui, job: &JobView, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    ui.horizontal(|ui| {
        let text = format!("{} of {} frames", job.report.done, job.report.total);
        ui.label(egui::RichText::new(text).size(12.0).color(t.text_weak));
        widgets::progress_bar(ui, job.report.fraction(), egui::vec2(90.0, 6.0));
        let tooltip = "Stops it; nothing is left of it";
        if widgets::icon_sized(ui, icons::X, "Cancel film", tooltip, false, 18.0).clicked() {
            cx.queue.session(Command::Cancel(job.id));
        }
    });
}

/// What is done with a keyframe of the list.
enum Act {
    Go(usize),
    Swap(usize, usize),
    Remove(usize),
}

fn keyframes(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let scene = cx.view.scenes.get(&chosen(cx.view)).cloned();
    ui.add_enabled_ui(scene.is_some(), |ui| {
        let button = Button::new("Add keyframe").icon(icons::PLUS).fill_width();
        let button =
            button.show(ui).on_hover_text("Camera, mode, curve, window and threshold as they are now");
        if let (true, Some(scene)) = (button.clicked(), &scene) {
            cx.view.film.add(scene);
        }
    });
    let film = &mut cx.view.film;
    let n = film.keyframes.len();
    if n < 2 {
        widgets::hint(ui, "Set the view, add a keyframe, set it differently, add another.");
    }
    let times: Vec<f64> = film.keyframes.iter().map(|keyframe| keyframe.seconds).collect();
    let mut act = None;
    for (i, keyframe) in film.keyframes.iter_mut().enumerate() {
        let number = i + 1;
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 3.0;
            // Between the neighbours, so that times rise.
            let low = if i == 0 { 0.0 } else { times[i - 1] + 0.1 };
            let high = times.get(i + 1).map_or(MAX_SECONDS, |next| next - 0.1);
            let time =
                Number::new(&mut keyframe.seconds, low..=high.max(low)).unit("s").step(1, 0.05).width(54.0);
            time.show(ui, &format!("Time of keyframe {number}"));
            let (word, next, tooltip) = match keyframe.ease {
                Ease::Smooth => ("Smooth", Ease::Linear, "Starts and stops gently"),
                Ease::Linear => ("Linear", Ease::Hold, "Goes on at constant speed"),
                Ease::Hold => ("Hold", Ease::Smooth, "Stays, then jumps"),
            };
            let name = format!("Way from keyframe {number}");
            ui.allocate_ui(egui::vec2(66.0, theme::ROW), |ui| {
                ui.set_min_width(66.0);
                if Button::new(word).quiet().name(&name).show(ui).on_hover_text(tooltip).clicked() {
                    keyframe.ease = next;
                }
            });
            let mut small = |ui: &mut egui::Ui, icon: &str, name: &str, enabled: bool, made: Act| {
                let label = format!("{name} keyframe {number}");
                let clicked = ui
                    .add_enabled_ui(enabled, |ui| {
                        widgets::icon_sized(ui, icon, &label, &label, false, 20.0).clicked()
                    })
                    .inner;
                if clicked {
                    act = Some(made);
                }
            };
            small(ui, icons::EYE, "Go to", true, Act::Go(i));
            small(ui, icons::ARROW_UP, "Move up", i > 0, Act::Swap(i.saturating_sub(1), i));
            small(ui, icons::ARROW_DOWN, "Move down", i + 1 < n, Act::Swap(i, i + 1));
            small(ui, icons::TRASH, "Remove", true, Act::Remove(i));
        });
    }
    match act {
        Some(Act::Go(i)) => {
            if let Some(keyframe) = cx.view.film.keyframes.get(i).cloned() {
                stop(cx.view);
                go_to(&keyframe, cx.view);
            }
        }
        Some(Act::Swap(a, b)) => cx.view.film.swap(a, b),
        Some(Act::Remove(i)) => {
            cx.view.film.keyframes.remove(i);
        }
        None => {}
    }
}

/// Draws the film beside the window and writes it.
pub(crate) fn write(mut drawing: Drawing<'_>, path: PathBuf) -> Result<(), String> {
    let kind = FilmKind::of(&path)
        .ok_or("Films are written as .mp4, as .gif or, without an ending, as a folder of PNG files")?;
    stop(drawing.view);
    let form = drawing.view.film.clone();
    if drawing.view.figure.transparent && kind != FilmKind::Pngs {
        return Err("A film with a transparent background goes into a folder of PNG files".to_owned());
    }
    let scene = drawing.scene()?;
    let size = form.size.of(&scene);
    kind.check(size, form.fps).map_err(|problem| super::operation::sentence(&problem))?;
    let film = form.film(form.based(scene).resized(size))?;
    let (mut artist, extras) = (drawing.artist(film.scene()), drawing.extras());
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
