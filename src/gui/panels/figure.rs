//! Figures: a view in any size, with bars and letters, as PNG or SVG.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::derived::Derived;
use super::super::frame::Cx;
use super::super::state::{self, Dialog, ViewId, ViewKind, ViewState};
use super::super::widgets::{self, Button};
use super::super::{dialogs, draw, icons, rulers};
use super::export::in_documents;
use super::montage::MontageForm;
use crate::base::Progress;
use crate::gpu::Gpu;
use crate::io::{self, IoError};
use crate::render::cpu::Sources;
use crate::render::figure::{self, Artist, Backdrop, DrawError, Extras, Ink, Scene};
use crate::session::Session;

/// Size of a figure or film.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Size {
    /// As the view is on the screen, in physical pixels.
    #[default]
    Screen,
    /// So many pixels wide and high.
    Fixed([u32; 2]),
}

/// Shortest edge, pixels.
const MIN_EDGE: u32 = 16;

impl Size {
    /// With edges that may be set, up to `most` pixels.
    pub(crate) fn within(self, most: u32) -> Self {
        match self {
            Self::Screen => Self::Screen,
            Self::Fixed(size) => Self::Fixed(size.map(|edge| edge.clamp(MIN_EDGE, most))),
        }
    }

    /// In pixels, for a scene.
    pub(crate) fn of(self, scene: &Scene) -> [u32; 2] {
        match self {
            Self::Screen => scene.size_px(),
            Self::Fixed(size) => size,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Screen => "As on the screen".to_owned(),
            Self::Fixed([width, height]) => format!("{width} × {height}"),
        }
    }
}

/// Sizes of figures: screens, and columns of journals (85 mm and 174 mm at 600 dots per inch).
const FIGURE_SIZES: [(Size, &str); 6] = [
    (Size::Screen, ""),
    (Size::Fixed([1280, 1024]), ""),
    (Size::Fixed([1920, 1080]), "slide"),
    (Size::Fixed([2008, 1606]), "one column, 600 dpi"),
    (Size::Fixed([4110, 3288]), "two columns, 600 dpi"),
    (Size::Fixed([8192, 6554]), "poster"),
];
/// Longest edge of a figure.
const MAX_EDGE: u32 = 16_384;

/// What is set up; the film takes view, bars and lettering from here too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "switches that a user sets one by one")]
pub(crate) struct FigureForm {
    /// Which view, where one was chosen.
    #[serde(skip)]
    pub(crate) view: Option<ViewId>,
    /// How large.
    pub(crate) size: Size,
    /// What lies behind the data.
    pub(crate) backdrop: Backdrop,
    /// With a scale bar.
    pub(crate) scale_bar: bool,
    /// With a colour bar.
    pub(crate) color_bar: bool,
    /// With names and colours of classes.
    pub(crate) legend: bool,
    /// With the annotations that are visible.
    pub(crate) annotations: bool,
    /// Slices side by side.
    pub(crate) montage: MontageForm,
    /// A title; none where empty.
    pub(crate) title: String,
    /// Light or dark lettering.
    pub(crate) ink: Ink,
}

impl FigureForm {
    /// As what a file says may be set here.
    pub(crate) fn within_limits(self) -> Self {
        Self { size: self.size.within(MAX_EDGE), montage: self.montage.within_limits(), ..self }
    }
}

impl Default for FigureForm {
    fn default() -> Self {
        Self {
            view: None,
            size: Size::Screen,
            backdrop: Backdrop::default(),
            scale_bar: true,
            color_bar: false,
            legend: false,
            annotations: true,
            montage: MontageForm::default(),
            title: String::new(),
            ink: Ink::Auto,
        }
    }
}

/// The view that figures and films are of: the chosen one, else the first of the volume, else any.
pub(crate) fn chosen(view: &ViewState) -> ViewId {
    let chosen = view.figure.view.filter(|id| view.views.get(*id).is_some());
    let first = || view.views.first(ViewKind::Volume).or_else(|| view.views.ids().next());
    chosen.or_else(first).unwrap_or(ViewId(0))
}

/// The choice of the view.
fn view_choice(ui: &mut egui::Ui, view: &mut ViewState) {
    let now = chosen(view);
    let all: Vec<(ViewId, String)> = view.views.ids().map(|id| (id, view.label(id))).collect();
    let mut choice = now;
    if all.len() < 6 {
        let choices: Vec<_> =
            all.iter().map(|(id, label)| (*id, label.as_str(), "What this view shows")).collect();
        widgets::segmented(ui, &mut choice, &choices);
    } else {
        widgets::row(ui, "View", "What this view shows", |ui, _| {
            egui::ComboBox::from_id_salt("figure-view")
                .selected_text(view.label(now))
                .width(ui.available_width() - 4.0)
                .show_ui(ui, |ui| {
                    for (id, label) in &all {
                        ui.selectable_value(&mut choice, *id, label);
                    }
                })
                .response
                .accessible_name("View of the figure");
        });
    }
    if choice != now {
        view.figure.view = Some(choice);
    }
}

/// A menu of sizes, and two numbers where the size is one's own.
pub(crate) fn size_menu(ui: &mut egui::Ui, size: &mut Size, choices: &[(Size, &str)], name: &str, most: u32) {
    widgets::row(ui, "Size", "Width and height in pixels", |ui, _| {
        egui::ComboBox::from_id_salt(name)
            .selected_text(size.words())
            .width(ui.available_width() - 4.0)
            .show_ui(ui, |ui| {
                for (choice, hint) in choices {
                    let words = choice.words();
                    let label = if hint.is_empty() { words } else { format!("{words}, {hint}") };
                    ui.selectable_value(size, *choice, label);
                }
            })
            .response
            .accessible_name(name);
    });
    let Size::Fixed(pixels) = size else { return };
    widgets::row(ui, "Width, height", "Any size, in pixels", |ui, _| {
        let width = ((ui.available_width() - ui.spacing().item_spacing.x - 4.0) / 2.0).min(76.0);
        for (edge, which) in pixels.iter_mut().zip(["width", "height"]) {
            let mut value = f64::from(*edge);
            let field = widgets::Number::new(&mut value, f64::from(MIN_EDGE)..=f64::from(most))
                .step(0, 4.0)
                .width(width);
            field.show(ui, &format!("{name} {which}"));
            *edge = value.round() as u32;
        }
    });
}

/// Draws the part of the inspector.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Figure");
    view_choice(ui, cx.view);
    let form = &mut cx.view.figure;
    ui.add_space(4.0);
    size_menu(ui, &mut form.size, &FIGURE_SIZES, "Figure size", MAX_EDGE);
    widgets::row(ui, "Title", "At the upper left", |ui, _| {
        let width = ui.available_width() - 4.0;
        dialogs::text_field(ui, &mut form.title, "Title of figure", "none", width);
    });
    widgets::row(ui, "Lettering", "Light with a dark halo, or dark with a light one", |ui, _| {
        widgets::segmented(
            ui,
            &mut form.ink,
            &[
                (Ink::Auto, "Auto", "By what lies beneath"),
                (Ink::White, "Light", "For dark pictures"),
                (Ink::Black, "Dark", "For paper"),
            ],
        );
    });
    widgets::row(ui, "Background", "What lies behind the data", |ui, _| {
        widgets::segmented(
            ui,
            &mut form.backdrop,
            &[
                (Backdrop::Black, "Black", "As in the views"),
                (Backdrop::White, "White", "As the paper of a journal"),
                (Backdrop::Clear, "Clear", "Nothing: for slides and paper of any colour"),
            ],
        );
    });
    widgets::switch(ui, &mut form.scale_bar, "With scale bar", "A round length at the lower right");
    widgets::switch(
        ui,
        &mut form.color_bar,
        "With colour bar",
        "Which colour is which value, at the upper right",
    );
    widgets::switch(ui, &mut form.legend, "With legend", "Names and colours of the classes that are seen");
    widgets::switch(
        ui,
        &mut form.annotations,
        "With annotations",
        "Distances, angles, areas and profiles that are visible: those in the slice, in 3D all",
    );
    super::montage::show(ui, cx, |cx| extras(cx.session, cx.view));
    ui.add_space(4.0);
    let view = chosen(cx.view);
    let drawn = cx.view.scenes.contains_key(&view);
    ui.add_enabled_ui(drawn, |ui| {
        let button =
            Button::new("Save figure…").icon(icons::CAMERA).primary().fill_width().name("Save figure");
        if button.show(ui).clicked() {
            let project = &cx.session.project().name;
            cx.view.dialog = Some(Dialog::Write(dialogs::WriteForm {
                what: dialogs::WriteWhat::Figure,
                title: "Save figure".to_owned(),
                hint: "The ending says the format: .png, or .svg with bars and letters as vectors".to_owned(),
                path: in_documents(&format!(
                    "{project}_{}.png",
                    cx.view.label(view).to_lowercase().replace(' ', "_")
                )),
            }));
        }
    });
    if !drawn {
        widgets::hint(ui, "This view has not been drawn yet: bring it into sight first.");
    }
}

/// What a figure or film is made of.
pub(crate) struct Drawing<'a> {
    /// The document, and where the job goes.
    pub(crate) session: &'a mut Session,
    /// What is set up and what was drawn.
    pub(crate) view: &'a mut ViewState,
    /// What is computed from the document.
    pub(crate) derived: &'a mut Derived,
    /// The window's device.
    pub(crate) gpu: Option<Gpu>,
}

impl Drawing<'_> {
    /// The scene as it was drawn last in the chosen view, with the background that is wanted.
    pub(crate) fn scene(&self) -> Result<Scene, String> {
        let form = &self.view.figure;
        let scene = self.view.scenes.get(&chosen(self.view)).cloned();
        let mut scene = scene.ok_or("That view has not been drawn yet: bring it into sight first")?;
        scene.set_backdrop(form.backdrop);
        Ok(scene)
    }

    /// What a scene is drawn from.
    pub(crate) fn sources(&mut self, scene: &Scene) -> Sources {
        draw::sources_of(scene, self.session, self.view, self.derived)
    }

    /// Someone who draws it beside the window.
    pub(crate) fn artist(&mut self, scene: &Scene) -> Artist {
        Artist::new(self.sources(scene), self.gpu.take())
    }

    /// What stands beside the picture.
    pub(crate) fn extras(&mut self) -> Extras {
        extras(self.session, self.view)
    }
}

/// What stands beside the picture that is set up.
fn extras(session: &Session, view: &mut ViewState) -> Extras {
    let project = session.project();
    let main = state::main_volume(project, view);
    let shown = project.annotations.iter().filter(|one| one.visible && view.figure.annotations);
    let shown: Vec<_> = shown.collect();
    let rulers = shown.into_iter().map(|one| rulers::drawn(one, main, &mut view.rulers)).collect();
    let form = &view.figure;
    let seen = if form.legend { draw::classes_seen(view, session) } else { BTreeSet::new() };
    let classes = project.classes.classes.iter().filter(|class| class.visible && seen.contains(&class.id));
    Extras {
        scale_bar: form.scale_bar && state::length_unit(main) == "µm",
        color_bar: form.color_bar,
        value_label: main.map_or_else(String::new, |layer| {
            let (name, unit) = (state::value_name(layer), state::value_unit(layer));
            if unit.starts_with("1/") { format!("{name} ({unit})") } else { name.to_owned() }
        }),
        title: Some(form.title.trim().to_owned()).filter(|title| !title.is_empty()),
        legend: classes.map(|class| (class.name.clone(), class.color)).collect(),
        rulers,
        ink: form.ink,
    }
}

/// The error of a drawing as one of the file that it was for.
pub(crate) fn of_file(error: DrawError, path: &Path) -> IoError {
    match error {
        DrawError::Cancelled(cancelled) => cancelled.into(),
        other @ DrawError::Device(_) => {
            IoError::Content { path: path.to_owned(), problem: other.to_string() }
        }
    }
}

/// Draws the figure beside the window and writes it.
pub(crate) fn write(mut drawing: Drawing<'_>, path: PathBuf) -> Result<(), String> {
    let has = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    let is_svg = has("svg");
    if !is_svg && !has("png") {
        return Err("Figures are written as .png or .svg".to_owned());
    }
    let montage = super::montage::montage(drawing.session.project(), drawing.view, None);
    let scene = drawing.scene()?;
    let size = drawing.view.figure.size.of(&scene);
    let scene = scene.resized(size);
    let (mut artist, extras) = (drawing.artist(&scene), drawing.extras());
    drawing.view.exported = true;
    let mut work = move |progress: &Progress, path: &Path| -> Result<(), IoError> {
        let drawn = match &montage {
            Some(montage) => figure::montage(progress, &mut artist, montage, &extras),
            None => figure::figure(progress, &mut artist, &scene, &extras),
        };
        let (mut picture, marks) = drawn.map_err(|error| of_file(error, path))?;
        if is_svg {
            let title = extras.title.as_deref().unwrap_or("Waterwindow");
            let text = figure::svg(&picture, &marks, title)
                .map_err(|problem| IoError::Content { path: path.to_owned(), problem })?;
            return io::write_text(path, &text);
        }
        figure::paint(&mut picture, &marks);
        io::write_picture(path, &picture)
    };
    let target = path.clone();
    drawing.session.write_picture("Figure".to_owned(), path, move |progress| work(progress, &target));
    Ok(())
}
