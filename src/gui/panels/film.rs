//! The panel of films: a turntable or keyframes of the views.

use super::super::film::{JOB, Keyframe};
use super::super::frame::Cx;
use super::super::moment::Moment;
use super::super::state::{Dialog, Request};
use super::super::widgets::{self, Button, Number};
use super::super::{dialogs, film, icons, theme};
use super::export::in_documents;
use super::figure::{Size, chosen, size_menu};
use crate::jobs::JobView;
use crate::render::film::{Ease, MAX_SECONDS};
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
            Number::new(&mut form.seconds, film::SECONDS[0]..=film::SECONDS[1])
                .unit("s")
                .step(1, 0.05)
                .show(ui, "Length of film");
        });
        widgets::row(ui, "Turns", "Below 0 to the left", |ui, _| {
            Number::new(&mut form.turns, film::TURNS[0]..=film::TURNS[1])
                .step(2, 0.02)
                .show(ui, "Turns of film");
        });
    }
    let form = &mut cx.view.film;
    widgets::row(ui, "Speed", "Frames per second; a GIF plays up to 50", |ui, _| {
        Number::new(&mut form.fps, film::FPS[0]..=film::FPS[1])
            .unit("fps")
            .step(0, 0.1)
            .show(ui, "Frames per second");
    });
    size_menu(ui, &mut form.size, &SIZES, "Film size", film::MAX_EDGE);
    let running = cx.session.jobs().into_iter().find(|job| job.label == JOB && !job.state.is_over());
    // Buttons stay where they are while a film is written.
    ui.allocate_ui(egui::vec2(ui.available_width(), HINT), |ui| {
        ui.set_min_height(HINT);
        if let Some(job) = &running {
            progress(ui, job, cx);
        } else {
            widgets::hint(ui, "View, title, bars and lettering are those of the figure above.");
        }
    });
    ui.add_space(4.0);
    buttons(ui, cx);
}

/// Height of a hint of two lines, points.
const HINT: f32 = 34.0;

fn buttons(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let is_playing = cx.view.film.is_playing();
    let is_short = cx.view.film.by_keyframes && cx.view.film.keyframes.len() < 2;
    ui.add_enabled_ui(!is_short, |ui| {
        ui.horizontal(|ui| {
            let (label, icon, name) = if is_playing {
                ("Stop", icons::STOP, "Stop preview of film")
            } else {
                ("Play", icons::PLAY, "Play film")
            };
            if Button::new(label).icon(icon).name(name).show(ui).clicked() {
                cx.queue.push(Request::PlayFilm(!is_playing));
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
}

fn progress(ui: &mut egui::Ui, job: &JobView, cx: &mut Cx<'_>) {
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
    Replace(usize),
    Swap(usize, usize),
    Remove(usize),
}

fn keyframes(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let view = chosen(cx.view);
    let is_drawn = cx.view.scenes.contains_key(&view) && !cx.view.film.is_playing();
    let mut list = cx.view.film.keyframes.clone();
    let mut label = "Change keyframe".to_owned();
    ui.add_enabled_ui(is_drawn, |ui| {
        let button = Button::new("Add keyframe").icon(icons::PLUS).fill_width();
        let tooltip =
            "What the view shows now: camera or slice, cuts, light, curve, surfaces, layers and classes";
        if button.show(ui).on_hover_text(tooltip).clicked() {
            let seconds = list.last().map_or(0.0, |last| last.seconds + 2.0).min(MAX_SECONDS);
            let moment = Moment::of(view, cx.session.project(), cx.view);
            list.push(Keyframe { seconds, ease: Ease::default(), view: moment });
            label = format!("Add keyframe {}", list.len());
        }
    });
    if list.len() < 2 {
        widgets::hint(ui, "Set the view, add a keyframe, set it differently, add another.");
    }
    let times: Vec<f64> = list.iter().map(|keyframe| keyframe.seconds).collect();
    let mut act = None;
    for (i, keyframe) in list.iter_mut().enumerate() {
        let done = ui.horizontal(|ui| row(ui, (i, keyframe), &times, is_drawn));
        act = act.or(done.inner);
    }
    match act {
        Some(Act::Go(i)) => {
            if let Some(keyframe) = list.get(i) {
                film::stop(cx.view);
                let label = format!("Go to keyframe {}", i + 1);
                keyframe.view.go_to(&label, cx.session.project(), cx.view, cx.queue);
            }
        }
        Some(Act::Replace(i)) => {
            let moment = Moment::of(view, cx.session.project(), cx.view);
            list[i].view = moment;
            label = format!("Replace keyframe {}", i + 1);
        }
        Some(Act::Swap(a, b)) => {
            // Their times stay where they are.
            list.swap(a, b);
            (list[a].seconds, list[b].seconds) = (times[a], times[b]);
            "Move keyframe".clone_into(&mut label);
        }
        Some(Act::Remove(i)) => {
            list.remove(i);
            label = format!("Remove keyframe {}", i + 1);
        }
        None => {}
    }
    if list != cx.view.film.keyframes {
        cx.view.film.change(&label, list, cx.queue);
    }
}

/// Time, way and buttons of a keyframe.
fn row(
    ui: &mut egui::Ui,
    (i, keyframe): (usize, &mut Keyframe),
    times: &[f64],
    is_drawn: bool,
) -> Option<Act> {
    let number = i + 1;
    ui.spacing_mut().item_spacing.x = 2.0;
    // Between the neighbours, so that times rise.
    let low = if i == 0 { 0.0 } else { times[i - 1] + 0.1 };
    let high = times.get(i + 1).map_or(MAX_SECONDS, |next| next - 0.1);
    let time = Number::new(&mut keyframe.seconds, low..=high.max(low)).unit("s").step(1, 0.05).width(50.0);
    time.show(ui, &format!("Time of keyframe {number}"));
    let (word, next, tooltip) = match keyframe.ease {
        Ease::Smooth => ("Smooth", Ease::Linear, "Starts and stops gently"),
        Ease::Linear => ("Linear", Ease::Hold, "Goes on at constant speed"),
        Ease::Hold => ("Hold", Ease::Smooth, "Stays, then jumps"),
    };
    let name = format!("Way from keyframe {number}");
    ui.allocate_ui(egui::vec2(62.0, theme::ROW), |ui| {
        ui.set_min_width(62.0);
        if Button::new(word).quiet().name(&name).show(ui).on_hover_text(tooltip).clicked() {
            keyframe.ease = next;
        }
    });
    let mut act = None;
    let mut small = |icon: &str, name: &str, tooltip: &str, enabled: bool, made: Act| {
        let label = format!("{name} keyframe {number}");
        let button =
            |ui: &mut egui::Ui| widgets::icon_sized(ui, icon, &label, tooltip, false, 19.0).clicked();
        if ui.add_enabled_ui(enabled, button).inner {
            act = Some(made);
        }
    };
    let view = keyframe.view.kind.label();
    small(
        icons::EYE,
        "Go to",
        &format!("Shows it in the {view} view, with its cuts, light and layers"),
        true,
        Act::Go(i),
    );
    small(icons::CAMERA, "Replace", "Takes what the view shows now", is_drawn, Act::Replace(i));
    small(icons::ARROW_UP, "Move up", "Earlier", i > 0, Act::Swap(i.saturating_sub(1), i));
    small(icons::ARROW_DOWN, "Move down", "Later", number < times.len(), Act::Swap(i, number));
    small(icons::TRASH, "Remove", "Takes it out of the film", true, Act::Remove(i));
    act
}
