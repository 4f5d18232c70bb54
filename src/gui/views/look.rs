//! How a slice view shows its layers: through a slab, or two of them compared.
//!
//! Each view has its own; thickness, second layer, divider and rate are shared, so that views stay comparable.

use std::collections::BTreeMap;

use egui::{Align2, Painter, PointerButton, Rect, Response, Stroke, vec2};
use serde::{Deserialize, Serialize};

use super::super::commands::{CommandId, find};
use super::super::frame::Cx;
use super::super::state::{self, ViewId, ViewState};
use super::super::theme::Tokens;
use super::super::widgets::{self, Number};
use super::scale_bar::halo_text;
use crate::project::{Layer, LayerId, Project};
use crate::render::scene::{PixelMask, SlabMode};

/// Thicknesses that the keys step through, nm.
const STEPS_NM: [f64; 12] =
    [20.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 750.0, 1000.0, 1500.0, 2000.0];
/// How near the divider takes the pointer, points.
const NEAR: f32 = 7.0;

/// How two layers share a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CompareMode {
    /// One left, one right of a divider.
    Curtain,
    /// In turn by squares.
    Checker,
    /// In turn by time.
    Flicker,
    /// Only the second one: for a view beside another that shows the first.
    Other,
}

impl CompareMode {
    /// What the menu and the title call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Curtain => "Curtain",
            Self::Checker => "Checkerboard",
            Self::Flicker => "Flicker",
            Self::Other => "Other layer",
        }
    }
}

/// Slabs and comparisons of all slice views.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SliceLook {
    /// Views that gather a slab, and how.
    pub(crate) slabs: BTreeMap<ViewId, SlabMode>,
    /// Thickness of slabs, nm; thousandths of a voxel where the size of a voxel is unknown.
    pub(crate) thickness_nm: f64,
    /// Views that compare two layers, and how.
    pub(crate) compared: BTreeMap<ViewId, CompareMode>,
    /// The layer that the main volume is compared with.
    pub(crate) second: Option<LayerId>,
    /// Where the divider is, as a part of the view's width.
    pub(crate) divider: f32,
    /// The view whose divider is being dragged.
    pub(crate) dragging: Option<ViewId>,
    /// Edge of the squares, points.
    pub(crate) square_pt: f64,
    /// Changes a second.
    pub(crate) rate_hz: f64,
    /// Flicker shows the second layer in this frame.
    pub(crate) shows_second: bool,
    /// How many voxels along an edge became one where a view is drawn, 1 where it shows all there is.
    pub(crate) binning: BTreeMap<ViewId, usize>,
}

impl Default for SliceLook {
    fn default() -> Self {
        Self {
            slabs: BTreeMap::new(),
            thickness_nm: 200.0,
            compared: BTreeMap::new(),
            second: None,
            divider: 0.5,
            dragging: None,
            square_pt: 64.0,
            rate_hz: 2.0,
            shows_second: false,
            binning: BTreeMap::new(),
        }
    }
}

fn slab_word(mode: SlabMode) -> &'static str {
    match mode {
        SlabMode::Mean => "mean",
        SlabMode::Max => "maximum",
        SlabMode::Min => "minimum",
    }
}

impl SliceLook {
    /// The slab of a view as the renderer takes it, in µm.
    pub(crate) fn slab(&self, id: ViewId) -> Option<(SlabMode, f64)> {
        self.slabs.get(&id).map(|mode| (*mode, self.thickness_nm * 1e-3))
    }

    /// Plane, mean, maximum, minimum, and the plane again.
    pub(crate) fn next_slab(&mut self, id: ViewId) {
        let next = match self.slabs.get(&id) {
            None => Some(SlabMode::Mean),
            Some(SlabMode::Mean) => Some(SlabMode::Max),
            Some(SlabMode::Max) => Some(SlabMode::Min),
            Some(SlabMode::Min) => None,
        };
        set(&mut self.slabs, id, next);
    }

    /// The next round thickness up or down.
    pub(crate) fn step_thickness(&mut self, thicker: bool) {
        let now = self.thickness_nm;
        let next = if thicker {
            STEPS_NM.iter().find(|nm| **nm > now * 1.001)
        } else {
            STEPS_NM.iter().rev().find(|nm| **nm < now * 0.999)
        };
        self.thickness_nm = next.copied().unwrap_or(now);
    }

    /// "mean of 200 nm"; empty for a plane.
    pub(crate) fn slab_text(&self, id: ViewId, unit: &str) -> String {
        let Some(mode) = self.slabs.get(&id) else { return String::new() };
        let word = slab_word(*mode);
        if unit == "px" {
            format!("{word} of {:.2} px", self.thickness_nm * 1e-3)
        } else {
            format!("{word} of {:.0} nm", self.thickness_nm)
        }
    }

    /// What is said where a view is coarser than its data: a volume beyond the memory of the device.
    pub(super) fn level_text(&self, id: ViewId) -> Option<String> {
        let binning = self.binning.get(&id).copied().filter(|binning| *binning > 1)?;
        Some(format!("drawn at 1/{binning} of the resolution"))
    }

    /// Forgets views that are closed.
    pub(super) fn retain(&mut self, kept: &[ViewId]) {
        self.slabs.retain(|id, _| kept.contains(id));
        self.compared.retain(|id, _| kept.contains(id));
        self.binning.retain(|id, _| kept.contains(id));
    }

    /// Off, curtain, checkerboard, flicker, the other layer alone, and off again.
    pub(crate) fn next_comparison(&mut self, id: ViewId) {
        let next = match self.compared.get(&id) {
            None => Some(CompareMode::Curtain),
            Some(CompareMode::Curtain) => Some(CompareMode::Checker),
            Some(CompareMode::Checker) => Some(CompareMode::Flicker),
            Some(CompareMode::Flicker) => Some(CompareMode::Other),
            Some(CompareMode::Other) => None,
        };
        set(&mut self.compared, id, next);
    }

    /// Whether flicker shows the second layer at a time, in seconds, and when that changes.
    pub(crate) fn flicker(&self, seconds: f64) -> (bool, f64) {
        let turns = seconds * self.rate_hz.max(0.1);
        let is_second = turns.floor().rem_euclid(2.0) > 0.5;
        (is_second, (1.0 - turns.fract()) / self.rate_hz.max(0.1))
    }
}

pub(in crate::gui) fn set<T>(map: &mut BTreeMap<ViewId, T>, id: ViewId, value: Option<T>) {
    match value {
        Some(value) => map.insert(id, value),
        None => map.remove(&id),
    };
}

/// Volumes that the main one can be compared with, from the top.
fn candidates<'a>(project: &'a Project, view: &ViewState) -> impl Iterator<Item = &'a Layer> {
    let main = state::main_volume(project, view).map(|layer| layer.id);
    project.from_top().filter(move |layer| layer.volume().is_some() && Some(layer.id) != main)
}

/// The second layer of comparisons: the chosen one, else the topmost other volume.
pub(crate) fn second<'a>(project: &'a Project, view: &ViewState) -> Option<&'a Layer> {
    let chosen = view.slices.second;
    candidates(project, view)
        .find(|layer| Some(layer.id) == chosen)
        .or_else(|| candidates(project, view).next())
}

/// The comparison of a view, where there is a second layer for it.
pub(crate) fn comparison(id: ViewId, project: &Project, view: &ViewState) -> Option<(CompareMode, LayerId)> {
    let mode = *view.slices.compared.get(&id)?;
    Some((mode, second(project, view)?.id))
}

/// The pixels of the main volume in a view of `width` physical pixels at `scale` pixels a point.
pub(crate) fn mask(mode: CompareMode, look: &SliceLook, width: u32, scale: f64) -> Option<PixelMask> {
    match mode {
        CompareMode::Curtain => {
            Some(PixelMask::LeftOf((f64::from(width) * f64::from(look.divider)).round() as f32))
        }
        CompareMode::Checker => {
            Some(PixelMask::EvenSquares((look.square_pt * scale).round().max(1.0) as f32))
        }
        CompareMode::Flicker | CompareMode::Other => None,
    }
}

/// Which layer flicker shows in this frame; asks for the frame in which that changes.
pub(super) fn tick(ui: &egui::Ui, id: ViewId, cx: &mut Cx<'_>) {
    let compared = comparison(id, cx.session.project(), cx.view);
    if compared.is_some_and(|(mode, _)| mode == CompareMode::Flicker) {
        let (shows_second, left) = cx.view.slices.flicker(ui.input(|i| i.time));
        cx.view.slices.shows_second = shows_second;
        ui.ctx().request_repaint_after(std::time::Duration::from_secs_f64(left));
    }
}

/// Drags the divider; true while it is, so that nothing else takes the drag.
pub(super) fn drag(ui: &egui::Ui, response: &Response, id: ViewId, rect: Rect, cx: &mut Cx<'_>) -> bool {
    let compared = comparison(id, cx.session.project(), cx.view);
    let look = &mut cx.view.slices;
    if compared.is_none_or(|(mode, _)| mode != CompareMode::Curtain) {
        look.dragging = look.dragging.filter(|dragged| *dragged != id);
        return false;
    }
    let x = rect.left() + rect.width() * look.divider;
    let pointer = ui.input(|i| i.pointer.latest_pos());
    let is_near = |pos: egui::Pos2| (pos.x - x).abs() < NEAR && (pos.y - rect.center().y).abs() < 40.0;
    let pressed = ui.input(|i| i.pointer.button_pressed(PointerButton::Primary));
    if let Some(pos) = pointer.filter(|pos| response.contains_pointer() && is_near(*pos)) {
        ui.ctx().set_cursor_icon(egui::CursorIcon::ResizeHorizontal);
        if pressed && rect.contains(pos) {
            look.dragging = Some(id);
        }
    }
    if look.dragging != Some(id) {
        return false;
    }
    if let Some(pos) = pointer {
        look.divider = ((pos.x - rect.left()) / rect.width().max(1.0)).clamp(0.0, 1.0);
    }
    if !ui.input(|i| i.pointer.button_down(PointerButton::Primary)) {
        look.dragging = None;
    }
    true
}

/// Divider and names of a comparison, and the slab where a picture has no title.
pub(super) fn paint(painter: &Painter, id: ViewId, rect: Rect, cx: &Cx<'_>, t: &Tokens) {
    let project = cx.session.project();
    let look = &cx.view.slices;
    let is_picture = cx.view.picture.as_ref().is_some_and(|picture| picture.view == id);
    let mut top = rect.top() + 10.0;
    let slab = look.slab_text(id, state::length_unit(state::main_volume(project, cx.view)));
    if is_picture && !slab.is_empty() {
        halo_text(painter, egui::pos2(rect.left() + 10.0, top), Align2::LEFT_TOP, &slab, t);
        top += 18.0;
    }
    if let Some(text) = look.level_text(id) {
        let place = rect.left_bottom() + vec2(10.0, -26.0);
        halo_text(painter, place, Align2::LEFT_BOTTOM, &text, t);
    }
    let Some((mode, other)) = comparison(id, project, cx.view) else { return };
    let name = |id: LayerId| project.layer(id).map_or("", |layer| layer.name.as_str());
    let first = state::main_volume(project, cx.view).map_or("", |layer| layer.name.as_str());
    let at = |x: f32, align: Align2, text: &str| halo_text(painter, egui::pos2(x, top), align, text, t);
    match mode {
        CompareMode::Curtain => {
            let x = rect.left() + rect.width() * look.divider;
            painter.vline(x, rect.y_range(), Stroke::new(3.0, t.canvas_halo));
            painter.vline(x, rect.y_range(), Stroke::new(1.25, t.on_canvas));
            at(x - 8.0, Align2::RIGHT_TOP, first);
            at(x + 8.0, Align2::LEFT_TOP, name(other));
            if !is_picture {
                let grip = Rect::from_center_size(egui::pos2(x, rect.center().y), vec2(8.0, 32.0));
                painter.rect(
                    grip,
                    4,
                    t.canvas_halo,
                    Stroke::new(1.25, t.on_canvas),
                    egui::StrokeKind::Inside,
                );
            }
        }
        CompareMode::Checker => {
            at(rect.left() + 10.0, Align2::LEFT_TOP, &format!("{first} (first square) / {}", name(other)));
        }
        CompareMode::Flicker => {
            at(rect.left() + 10.0, Align2::LEFT_TOP, if look.shows_second { name(other) } else { first });
        }
        CompareMode::Other => {
            at(rect.left() + 10.0, Align2::LEFT_TOP, name(other));
        }
    }
}

/// What stands behind the place in the title: slab and comparison.
pub(super) fn title(id: ViewId, cx: &Cx<'_>) -> String {
    let project = cx.session.project();
    let unit = state::length_unit(state::main_volume(project, cx.view));
    let slab = cx.view.slices.slab_text(id, unit);
    let compared = comparison(id, project, cx.view).map(|(mode, _)| mode.label().to_lowercase());
    let has_labels = project.layers.iter().any(|layer| layer.display.visible && layer.labels().is_some());
    let hidden = (has_labels && !cx.view.show_labels).then(|| "labels hidden".to_owned());
    [Some(slab).filter(|text| !text.is_empty()), compared, hidden]
        .into_iter()
        .flatten()
        .fold(String::new(), |text, part| text + "  ·  " + &part)
}

/// The part of a view's menu about slab and comparison.
pub(super) fn menu(ui: &mut egui::Ui, id: ViewId, cx: &mut Cx<'_>) {
    let session = cx.session;
    let project = session.project();
    let unit = state::length_unit(state::main_volume(project, cx.view));
    ui.set_max_width(290.0);
    ui.separator();
    widgets::heading(ui, "Slab");
    let mut mode = cx.view.slices.slabs.get(&id).copied();
    widgets::segmented(
        ui,
        &mut mode,
        &[
            (None, "Plane", "One slice"),
            (Some(SlabMode::Mean), "Mean", "The mean of all slices within the thickness"),
            (Some(SlabMode::Max), "Max", "The largest value within the thickness"),
            (Some(SlabMode::Min), "Min", "The smallest value within the thickness"),
        ],
    );
    set(&mut cx.view.slices.slabs, id, mode);
    let tooltip = find(CommandId::ThickerSlab).tooltip_with_key();
    widgets::row(ui, "Thickness", &tooltip, |ui, _| {
        let nm = &mut cx.view.slices.thickness_nm;
        if unit == "px" {
            let mut px = *nm * 1e-3;
            if Number::new(&mut px, 1.0..=4096.0).unit("px").step(1, 0.1).show(ui, "Slab thickness").changed()
            {
                *nm = px * 1e3;
            }
        } else {
            Number::new(nm, 1.0..=1e6).unit("nm").step(0, 2.0).show(ui, "Slab thickness");
        }
    });
    compare_menu(ui, id, project, cx);
}

fn compare_menu(ui: &mut egui::Ui, id: ViewId, project: &Project, cx: &mut Cx<'_>) {
    ui.separator();
    widgets::heading(ui, "Compare two layers");
    let Some(chosen) = second(project, cx.view).map(|layer| (layer.id, layer.name.clone())) else {
        widgets::hint(ui, "Comparing needs a second volume.");
        return;
    };
    let mut mode = cx.view.slices.compared.get(&id).copied();
    widgets::segmented(
        ui,
        &mut mode,
        &[
            (None, "Off", "All layers, one over the other"),
            (Some(CompareMode::Curtain), "Curtain", "One left, one right of a divider that can be dragged"),
            (Some(CompareMode::Checker), "Checker", "In turn by squares"),
            (Some(CompareMode::Flicker), "Flicker", "In turn by time"),
            (Some(CompareMode::Other), "Other", "Only the other layer: for two views beside each other"),
        ],
    );
    set(&mut cx.view.slices.compared, id, mode);
    widgets::row(ui, "With", "Each layer keeps its own window and colours", |ui, _| {
        egui::ComboBox::from_id_salt(("compared-with", id))
            .selected_text(&chosen.1)
            .width(150.0)
            .truncate()
            .show_ui(ui, |ui| {
                let others: Vec<_> = candidates(project, cx.view).collect();
                for layer in others {
                    if ui.selectable_label(layer.id == chosen.0, &layer.name).clicked() {
                        cx.view.slices.second = Some(layer.id);
                    }
                }
            })
            .response
            .accessible_name("Compare with");
    });
    let look = &mut cx.view.slices;
    match mode {
        Some(CompareMode::Curtain) => widgets::row(ui, "Divider", "Also dragged in the view", |ui, _| {
            widgets::fraction(ui, &mut look.divider, "Divider", 130.0);
        }),
        Some(CompareMode::Checker) => widgets::row(ui, "Squares", "Edge on the screen", |ui, _| {
            Number::new(&mut look.square_pt, 8.0..=512.0).unit("pt").step(0, 1.0).show(ui, "Edge of squares");
        }),
        Some(CompareMode::Flicker) => widgets::row(ui, "Rate", "Changes a second", |ui, _| {
            Number::new(&mut look.rate_hz, 0.2..=10.0).unit("Hz").step(1, 0.05).show(ui, "Flicker rate");
        }),
        Some(CompareMode::Other) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_through_slabs_and_thicknesses_and_stop_at_the_ends() {
        let mut look = SliceLook::default();
        assert_eq!(look.slab_text(ViewId(1), "µm"), "");
        look.next_slab(ViewId(1));
        assert_eq!(look.slab_text(ViewId(1), "µm"), "mean of 200 nm");
        assert_eq!(look.slab(ViewId(1)), Some((SlabMode::Mean, 0.2)));
        assert_eq!(look.slab(ViewId(3)), None);
        look.step_thickness(true);
        look.next_slab(ViewId(1));
        assert_eq!(look.slab_text(ViewId(1), "µm"), "maximum of 300 nm");
        (0..30).for_each(|_| look.step_thickness(false));
        assert_eq!(look.thickness_nm, 20.0);
        look.next_slab(ViewId(1));
        look.next_slab(ViewId(1));
        assert_eq!(look.slab(ViewId(1)), None);
    }

    #[test]
    fn a_view_that_is_coarser_than_its_data_says_so() {
        let mut look = SliceLook::default();
        assert_eq!(look.level_text(ViewId(1)), None);
        look.binning.insert(ViewId(1), 1);
        assert_eq!(look.level_text(ViewId(1)), None);
        look.binning.insert(ViewId(1), 4);
        assert_eq!(look.level_text(ViewId(1)).unwrap(), "drawn at 1/4 of the resolution");
    }

    #[test]
    fn flicker_shows_either_layer_for_the_same_time() {
        let look = SliceLook { rate_hz: 4.0, ..SliceLook::default() };
        assert!(!look.flicker(0.1).0);
        assert!(look.flicker(0.3).0);
        assert!(!look.flicker(0.51).0);
        assert!((look.flicker(0.1).1 - 0.15).abs() < 1e-12);
    }
}
