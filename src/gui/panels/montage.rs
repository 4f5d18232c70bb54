//! Slices side by side as a figure: which ones, in how many columns, and how that will look.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::background::Background;
use super::super::frame::Cx;
use super::super::state::{self, ViewState};
use super::super::widgets::{self, Number};
use super::super::{draw, theme};
use super::figure::{Size, chosen};
use crate::base::Progress;
use crate::project::Project;
use crate::render::figure::{self, Artist, Choice, Extras, Montage, Scene, Slices};
use crate::render::scene::SliceScene;

/// Most slices of a montage.
const MOST: usize = 400;
/// Width where the size is that of the slices.
const WIDTH: u32 = 1280;
/// Width of the preview, pixels.
const PREVIEW: u32 = 560;

/// What is set up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MontageForm {
    /// Slices side by side instead of one.
    pub(crate) on: bool,
    /// How many slices.
    n: usize,
    /// In how many columns.
    columns: usize,
    /// The first slice and the last one; the last there is where `None`.
    range: (usize, Option<usize>),
    /// Slices from one to the next; evenly spread where 0.
    step: usize,
}

impl Default for MontageForm {
    fn default() -> Self {
        Self { on: false, n: 12, columns: 4, range: (0, None), step: 0 }
    }
}

impl MontageForm {
    /// As what a file says may be set here.
    pub(super) fn within_limits(self) -> Self {
        let n = self.n.clamp(1, MOST);
        Self { n, columns: self.columns.clamp(1, n), ..self }
    }

    fn choice(&self) -> Choice {
        let columns = self.columns.clamp(1, self.n.max(1));
        Choice {
            rows_cols: [self.n.div_ceil(columns) as u32, columns as u32],
            most: self.n,
            range: [self.range.0, self.range.1.unwrap_or(usize::MAX)],
            step: (self.step > 0).then_some(self.step),
        }
    }
}

/// The slices of the main volume.
fn slices(project: &Project, view: &ViewState) -> Option<Slices> {
    let layer = state::main_volume(project, view)?;
    Some(Slices {
        world_from_voxel: state::world_from_voxel(layer)?,
        shape: layer.content.shape()?,
        known: layer.volume()?.voxel_um.is_some(),
    })
}

/// Whether a view can be shown as a montage: a slice along the axes.
fn scene(view: &ViewState) -> Option<&SliceScene> {
    match view.scenes.get(&chosen(view))? {
        Scene::Slice(scene) => Slices::axis(scene.plane).map(|_| scene),
        Scene::Volume(_) => None,
    }
}

/// The montage that is set up, where the chosen view has one; `width` in place of the size that is set up.
pub(crate) fn montage(project: &Project, view: &ViewState, width: Option<u32>) -> Option<Montage> {
    let form = view.figure.montage;
    let (scene, slices) = (scene(view).filter(|_| form.on)?, slices(project, view)?);
    let choice = form.choice();
    let high = |width: u32| [width, slices.suiting_height(width, scene.plane, choice.rows_cols)];
    let size = match (view.figure.size, width) {
        (Size::Screen, width) => high(width.unwrap_or(WIDTH)),
        (Size::Fixed([_, height]), None) => [view.figure.size.of(&Scene::Slice(scene.clone()))[0], height],
        (Size::Fixed([wide, height]), Some(width)) => {
            [width, (u64::from(height) * u64::from(width) / u64::from(wide.max(1))).max(1) as u32]
        }
    };
    let mut scene = scene.clone();
    scene.background = view.figure.backdrop.rgba();
    slices.montage(&scene, &choice, size)
}

/// The switch and what it opens.
pub(super) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>, extras: impl FnOnce(&mut Cx<'_>) -> Extras) {
    let Some(plane) = scene(cx.view).map(|scene| scene.plane) else {
        // The row stays, so that what is below stays where it is.
        ui.add_enabled_ui(false, |ui| widgets::switch(ui, &mut false, "Montage", ""))
            .response
            .on_hover_text("A montage shows slices along the axes: choose XY, YZ or XZ above");
        return;
    };
    let Some(count) = slices(cx.session.project(), cx.view).map(|slices| slices.count(plane)) else { return };
    let form = &mut cx.view.figure.montage;
    widgets::switch(ui, &mut form.on, "Montage", "Whole slices side by side, each with its place");
    if !form.on {
        return;
    }
    let number = |ui: &mut egui::Ui, label: &str, tooltip: &str, value: &mut usize, range: [usize; 2]| {
        widgets::row(ui, label, tooltip, |ui, _| {
            let mut shown = *value as f64;
            let field = Number::new(&mut shown, range[0] as f64..=range[1] as f64).step(0, 0.1);
            if field.show(ui, &format!("{label} of montage")).changed() {
                *value = shown.round() as usize;
            }
        });
    };
    let last = count.saturating_sub(1);
    number(ui, "Slices", "How many, spread evenly", &mut form.n, [1, MOST]);
    let most = form.n;
    number(ui, "Columns", "How many beside each other", &mut form.columns, [1, most]);
    let mut to = form.range.1.unwrap_or(last).min(last);
    // Slices count from one, as in the titles of the views.
    let (mut first, mut end) = (form.range.0.min(to) + 1, to + 1);
    number(ui, "From slice", "The first one, counted from 1", &mut first, [1, end]);
    number(ui, "To slice", "The last one", &mut end, [first, count.max(1)]);
    (form.range.0, to) = (first - 1, end - 1);
    form.range.1 = (to < last).then_some(to);
    let tooltip = "By the number of slices, or so many from one to the next";
    let mut even = form.step == 0;
    let spread =
        [(true, "Evenly", "By how many there are"), (false, "Every", "So many from one to the next")];
    widgets::row(ui, "Spread", tooltip, |ui, _| widgets::segmented(ui, &mut even, &spread));
    form.step = if even { 0 } else { form.step.max(1) };
    if !even {
        number(ui, "Step", "Slices from one to the next", &mut form.step, [1, last.max(1)]);
    }
    preview(ui, cx, extras);
}

/// What a preview shows.
type Key = (Montage, Extras);

/// The montage as it will look, small.
#[derive(Default)]
pub(crate) struct Preview {
    drawn: Background<Key, Option<Arc<egui::ColorImage>>>,
    texture: Option<(Arc<egui::ColorImage>, egui::TextureHandle)>,
}

fn preview(ui: &mut egui::Ui, cx: &mut Cx<'_>, extras: impl FnOnce(&mut Cx<'_>) -> Extras) {
    let Some(made) = montage(cx.session.project(), cx.view, Some(PREVIEW)) else { return };
    let wide = ui.available_width() - 4.0;
    let [width, height] = made.size.map(|n| n as f32);
    let (rect, response) =
        ui.allocate_exact_size(egui::vec2(wide, wide * height / width.max(1.0)), egui::Sense::hover());
    let words = format!("Preview of montage, {} slices", made.slices.len());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &words));
    ui.painter().rect_filled(rect, 0, theme::of(ui).canvas);
    let key = (made, extras(cx));
    let sources = draw::sources_of(&Scene::Slice(key.0.tile.clone()), cx.session, cx.view, cx.derived);
    let (made, extras) = key.clone();
    let work = move || {
        let drawn = figure::montage(&Progress::new(), &mut Artist::new(sources, None), &made, &extras);
        let (mut picture, marks) = drawn.ok()?;
        figure::paint(&mut picture, &marks);
        let [w, h] = made.size.map(|n| n as usize);
        Some(Arc::new(egui::ColorImage::from_rgba_unmultiplied([w, h], picture.as_raw())))
    };
    let context = ui.ctx().clone();
    let shown = &mut cx.derived.montage;
    let Some(Some(image)) = shown.drawn.get(&key, false, Some(&context), work) else { return };
    if shown.texture.as_ref().is_none_or(|(have, _)| !Arc::ptr_eq(have, image)) {
        let options = egui::TextureOptions::LINEAR;
        let texture = context.load_texture("montage", image.as_ref().clone(), options);
        shown.texture = Some((Arc::clone(image), texture));
    }
    if let Some((_, texture)) = &shown.texture {
        let whole = egui::Rect::from_min_max(egui::pos2(0.0, 0.0), egui::pos2(1.0, 1.0));
        ui.painter().image(texture.id(), rect, whole, egui::Color32::WHITE);
    }
}
