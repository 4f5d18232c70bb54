//! Hands scenes to the renderer inside egui's frame.
//!
//! The renderer lives among egui's callback resources. Everything is prepared while the panels are
//! drawn; the callbacks only paint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use glam::DAffine3;

use super::derived::Derived;
use super::frame::Cx;
use super::frames;
use super::panels::layers::map_of;
use super::state::{self, ViewId};
use super::surfaces;
use super::theme;
use super::views::look::{self, CompareMode};
use super::views::slice_view::Geometry;
use crate::gpu::Gpu;
use crate::project::{Layer, LayerId, Project};
use crate::render::cpu::Sources;
use crate::render::figure::Scene;
use crate::render::scene::{
    BACKGROUND, Blend, Highlight, ImageLayer, Interpolation, LabelColors, LabelLayer, MOST_CHANNELS,
    PixelMask, Plane, SliceLayer, SliceScene, VolumeChannel, VolumeLabels, VolumeScene,
};
use crate::render::{ColorMap, Renderer, ViewStatus};
use crate::session::Session;
use crate::volume::{ClassTable, Mark};

/// Key of the predicted labels in the renderer; layers count up from 1.
pub(crate) const PREDICTION: u64 = u64::MAX;
/// Keys of surfaces of labels in the renderer count down from here.
pub(crate) const SURFACES: u64 = u64::MAX - 3;
/// Key of the codes of marks in the renderer.
const MARKS: u64 = u64::MAX - 2;
/// Key of the uncertainty in the renderer.
const UNCERTAINTY: u64 = u64::MAX - 1;

/// The renderer's owner: what it has been given and what is new.
pub(crate) struct Drawer {
    state: egui_wgpu::RenderState,
    device: String,
    /// Revision of each layer that the renderer has.
    sent: BTreeMap<u64, u64>,
    /// Bricks that changed since then.
    changed: BTreeMap<LayerId, Option<Vec<u32>>>,
}

impl Drawer {
    /// A renderer on the window's device.
    pub(crate) fn new(state: &egui_wgpu::RenderState) -> Self {
        let info = state.adapter.get_info();
        let gpu = Gpu::wrap(state.device.clone(), state.queue.clone(), &info);
        let renderer = Renderer::new(gpu, state.target_format);
        state.renderer.write().callback_resources.insert(renderer);
        Self { state: state.clone(), device: info.name, sent: BTreeMap::new(), changed: BTreeMap::new() }
    }

    /// Name of the device.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// The device, for pictures that are drawn beside the window.
    pub(crate) fn gpu(&self) -> Gpu {
        Gpu::wrap(self.state.device.clone(), self.state.queue.clone(), &self.state.adapter.get_info())
    }

    /// Halves what volumes may take of the device's memory, and gives all of it back; the bytes they may take now.
    pub(crate) fn draw_coarser(&self) -> u64 {
        self.with(Renderer::draw_coarser).unwrap_or(0)
    }

    /// Notes which bricks of a label layer changed; `None` for all of them.
    pub(crate) fn note_change(&mut self, layer: LayerId, bricks: Option<Vec<u32>>) {
        match (self.changed.entry(layer).or_insert_with(|| Some(Vec::new())), bricks) {
            (Some(known), Some(more)) => known.extend(more),
            (known, None) => *known = None,
            (None, _) => {}
        }
    }

    fn with<R>(&self, work: impl FnOnce(&mut Renderer) -> R) -> Option<R> {
        self.state.renderer.write().callback_resources.get_mut::<Renderer>().map(work)
    }

    /// Hands over layers that are new or changed, forgets those that are gone.
    pub(crate) fn sync(&mut self, cx: &mut Cx<'_>) {
        let session = cx.session;
        let project = session.project();
        let surfaces = surface_keys(cx);
        let played = cx.view.film.scene().map_or_else(Default::default, keys_of);
        let marked = marked_layer(project, cx.view);
        let marks = marked.and_then(|layer| Some((layer.revision, cx.derived.marks(layer)?)));
        let prediction = cx.session.live().prediction.as_ref();
        // A layer that is only compared with is drawn without being seen elsewhere.
        let compared = look::second(project, cx.view).filter(|_| !cx.view.slices.compared.is_empty());
        let compared = compared.map(|layer| layer.id);
        let mut sent = BTreeMap::new();
        let known = &self.sent;
        let changed = std::mem::take(&mut self.changed);
        self.with(|renderer| {
            let is_played = |id: LayerId| played.0.contains(&id.0) || played.1.contains(&id.0);
            let is_drawn =
                |layer: &&Layer| layer.display.visible || Some(layer.id) == compared || is_played(layer.id);
            for layer in project.layers.iter().filter(is_drawn) {
                let id = layer.id.0;
                if let Some(volume) = layer.volume() {
                    renderer.set_volume(id, layer.revision, volume);
                    if let Some(pyramid) = &layer.pyramid {
                        renderer.set_pyramid(id, pyramid);
                    }
                    sent.insert(id, layer.revision);
                } else if let Some(labels) = layer.labels() {
                    // Only the bricks that changed, if the renderer has what they are changes of.
                    let bricks = changed.get(&layer.id).and_then(|bricks| bricks.as_deref());
                    let bricks = bricks.filter(|_| known.contains_key(&id));
                    renderer.set_labels(id, layer.revision, &labels.labels, bricks);
                    sent.insert(id, layer.revision);
                }
            }
            if let Some((revision, codes)) = marks {
                renderer.set_labels(MARKS, revision, codes, None);
                sent.insert(MARKS, revision);
            }
            if let Some(prediction) = prediction {
                renderer.set_labels(PREDICTION, prediction.revision, &prediction.labels, None);
                sent.insert(PREDICTION, prediction.revision);
                if cx.view.show_uncertainty {
                    renderer.set_volume(UNCERTAINTY, prediction.revision, &prediction.uncertainty);
                    sent.insert(UNCERTAINTY, prediction.revision);
                }
            }
            let layers: Vec<u64> = sent.keys().copied().chain(surfaces).collect();
            let views: Vec<u64> = cx.view.views.ids().map(view_key).collect();
            renderer.retain(&layers, &views);
        });
        self.sent = sent;
    }

    /// Draws a slice.
    pub(crate) fn slice(
        &mut self,
        ui: &egui::Ui,
        id: ViewId,
        plane: Plane,
        geometry: &Geometry,
        cx: &mut Cx<'_>,
    ) {
        let scale = f64::from(ui.ctx().pixels_per_point());
        let played = played(id, geometry.rect, scale, cx);
        let scene = played.unwrap_or_else(|| Scene::Slice(slice_scene(id, plane, geometry, scale, cx)));
        self.scene(ui, geometry.rect, id, scene, cx);
    }

    /// Draws the volume.
    pub(crate) fn volume(&mut self, ui: &egui::Ui, rect: egui::Rect, id: ViewId, cx: &mut Cx<'_>) {
        let scale = f64::from(ui.ctx().pixels_per_point());
        let played = played(id, rect, scale, cx);
        if let Some(scene) = played.or_else(|| volume_scene(rect, scale, id, cx).map(Scene::Volume)) {
            self.scene(ui, rect, id, scene, cx);
        }
    }

    fn scene(&mut self, ui: &egui::Ui, rect: egui::Rect, id: ViewId, scene: Scene, cx: &mut Cx<'_>) {
        let view = view_key(id);
        let now = ui.input(|input| input.time);
        let is_calm = cx.frames.is_calm(now);
        let status = self.with(|renderer| match &scene {
            Scene::Slice(scene) => renderer.prepare_slice(view, scene),
            Scene::Volume(scene) => {
                renderer.set_calm(is_calm);
                let key = scene.surfaces.as_ref().map(|layer| layer.surfaces);
                // A key stands for the same triangles for ever.
                if let Some((key, set)) = key.and_then(|key| Some((key, cx.derived.surfaces.set_of(key)?))) {
                    renderer.set_surfaces(key, 1, set);
                }
                renderer.prepare_volume(view, scene)
            }
        });
        cx.view.slices.binning.insert(id, status.map_or(1, |status| status.binning));
        let is_slice = matches!(scene, Scene::Slice(_));
        cx.view.scenes.insert(id, scene);
        cx.view.sizes.insert(id, rect.size().into());
        repaint(ui, status, cx.frames.next_piece(now));
        ui.painter().add(egui_wgpu::Callback::new_paint_callback(rect, Paint { view, is_slice }));
    }
}

/// What a film that is played shows in a view.
fn played(id: ViewId, rect: egui::Rect, scale: f64, cx: &Cx<'_>) -> Option<Scene> {
    let size_px = [pixels(rect.width(), scale), pixels(rect.height(), scale)];
    cx.view.film.shown(id).map(|scene| scene.clone().resized(size_px))
}

/// Keys of all surfaces that the views show.
fn surface_keys(cx: &Cx<'_>) -> Vec<u64> {
    let scenes = cx.view.film.scene().into_iter().chain(cx.view.scenes.values());
    let of = |scene: &Scene| match scene {
        Scene::Volume(scene) => scene.surfaces.as_ref().map(|layer| layer.surfaces),
        Scene::Slice(_) => None,
    };
    scenes.filter_map(of).chain(cx.derived.surfaces.made().map(|made| made.key())).collect()
}

/// The volumes and labels of a scene, as the renderer has them.
pub(crate) fn sources_of(
    scene: &Scene,
    session: &Session,
    view: &state::ViewState,
    derived: &mut Derived,
) -> Sources {
    let (volumes, labels) = keys_of(scene);
    let mut sources = Sources::default();
    if let Scene::Volume(scene) = scene
        && let Some(layer) = &scene.surfaces
    {
        let set = derived.surfaces.set_of(layer.surfaces).map(Arc::clone);
        sources.surfaces.extend(set.map(|set| (layer.surfaces, set)));
    }
    let project = session.project();
    let prediction = session.live().prediction.as_ref();
    for key in volumes {
        let volume = if key == UNCERTAINTY {
            prediction.map(|prediction| Arc::clone(&prediction.uncertainty))
        } else {
            project.layer(LayerId(key)).and_then(|layer| layer.volume().map(Arc::clone))
        };
        sources.volumes.extend(volume.map(|volume| (key, volume)));
        let pyramid = project.layer(LayerId(key)).and_then(|layer| layer.pyramid.clone());
        sources.pyramids.extend(pyramid.map(|pyramid| (key, pyramid)));
    }
    for key in labels {
        let shown = match key {
            PREDICTION => prediction.map(|prediction| prediction.labels.clone()),
            MARKS => marked_layer(project, view).and_then(|layer| derived.marks(layer).cloned()),
            key => project.layer(LayerId(key)).and_then(|layer| Some(layer.labels()?.labels.clone())),
        };
        sources.labels.extend(shown.map(|labels| (key, labels)));
    }
    sources
}

/// The classes that the view of the figure shows: of its labels, of the prediction, of surfaces that are not quite clear.
pub(crate) fn classes_seen(view: &state::ViewState, session: &Session) -> BTreeSet<u16> {
    let Some(scene) = view.scenes.get(&super::panels::figure::chosen(view)) else { return BTreeSet::new() };
    let mut keys = keys_of(scene).1;
    let mut seen = BTreeSet::new();
    if let Scene::Volume(scene) = scene {
        if scene.labels.as_ref().is_some_and(|labels| labels.strength <= 0.0) {
            keys.clear();
        }
        if let Some(layer) = scene.drawn_surfaces() {
            let parts = layer.classes.iter().zip(layer.styles.iter());
            seen.extend(parts.filter(|(_, style)| style.opacity > 0.0).map(|(class, _)| *class));
        }
    }
    for key in keys {
        let labels = match key {
            PREDICTION => session.live().prediction.as_ref().map(|prediction| &prediction.labels),
            // Colours by origin are none of classes.
            MARKS => None,
            key => session.project().layer(LayerId(key)).and_then(|layer| Some(&layer.labels()?.labels)),
        };
        seen.extend(labels.into_iter().flat_map(crate::volume::Labels::ids));
    }
    seen
}

/// The keys of the volumes and of the labels of a scene.
fn keys_of(scene: &Scene) -> (Vec<u64>, Vec<u64>) {
    let (mut volumes, mut labels) = (Vec::new(), Vec::new());
    match scene {
        Scene::Slice(scene) => {
            for layer in &scene.layers {
                match layer {
                    SliceLayer::Image(image) => volumes.push(image.volume),
                    SliceLayer::Labels(layer) => labels.push(layer.labels),
                }
            }
        }
        Scene::Volume(scene) => {
            volumes.extend(scene.volume);
            volumes.extend(scene.channels.iter().map(|channel| channel.volume));
            labels.extend(scene.labels.as_ref().map(|layer| layer.labels));
        }
    }
    (volumes, labels)
}

/// Asks for another frame only while something is still coming: what is on its way from memory or disk at once, pieces of a
/// finer picture when they are due.
fn repaint(ui: &egui::Ui, status: Option<ViewStatus>, next_piece: std::time::Duration) {
    if let Some(status) = status.filter(|status| status.needs_repaint) {
        let after = if status.loaded < 1.0 { frames::AT_ONCE } else { next_piece };
        ui.ctx().request_repaint_after(after);
    }
}

/// Under which key the renderer keeps a view's pictures.
fn view_key(id: ViewId) -> u64 {
    u64::from(id.0)
}

/// Physical pixels of a length in points.
fn pixels(points: f32, scale: f64) -> u32 {
    (f64::from(points) * scale).round().max(1.0) as u32
}

/// The scene of a slice view: what the window and a saved picture both draw.
pub(crate) fn slice_scene(
    id: ViewId,
    plane: Plane,
    geometry: &Geometry,
    scale: f64,
    cx: &mut Cx<'_>,
) -> SliceScene {
    let size_px = [pixels(geometry.rect.width(), scale), pixels(geometry.rect.height(), scale)];
    let mut layers = slice_layers(cx);
    if let Some((mode, other)) = look::comparison(id, cx.project(), cx.view) {
        compare(&mut layers, mode, other, (size_px[0], scale), cx);
    }
    SliceScene {
        plane,
        center_um: geometry.center_um,
        um_per_px: geometry.um_per_pt / scale,
        size_px,
        layers,
        slab: cx.view.slices.slab(id),
        background: BACKGROUND,
    }
}

/// Leaves two volumes, opaque and each in its own window and colours, and shares the picture between them.
fn compare(
    layers: &mut Vec<SliceLayer>,
    mode: CompareMode,
    other: LayerId,
    (width, scale): (u32, f64),
    cx: &Cx<'_>,
) {
    let project = cx.project();
    let main = state::main_volume(project, cx.view).map(|layer| layer.id);
    let mask = look::mask(mode, &cx.view.slices, width, scale);
    let shown = |id: Option<LayerId>, mask| {
        let layer = project.layer(id?)?;
        let image = image_layer(layer, state::world_from_voxel(layer)?, main, cx);
        Some(SliceLayer::Image(ImageLayer { opacity: 1.0, blend: Blend::Over, mask, ..image }))
    };
    layers.retain(|layer| matches!(layer, SliceLayer::Labels(_)));
    let first = shown(main, mask);
    let second = shown(Some(other), mask.map(PixelMask::complement));
    let images = match (mode, cx.view.slices.shows_second) {
        (CompareMode::Flicker, false) => [first, None],
        (CompareMode::Flicker, true) | (CompareMode::Other, _) => [None, second],
        _ => [first, second],
    };
    layers.splice(0..0, images.into_iter().flatten());
}

fn slice_layers(cx: &mut Cx<'_>) -> Vec<SliceLayer> {
    let project = cx.project();
    let main = state::main_volume(project, cx.view).map(|layer| layer.id);
    let mut images = Vec::new();
    let mut labels = Vec::new();
    let colors = cx.derived.colors(&project.classes);
    for layer in project.layers.iter().filter(|layer| layer.display.visible) {
        let Some(world_from_voxel) = state::world_from_voxel(layer) else { continue };
        if layer.volume().is_some() {
            // Of several covering volumes only the chosen one is seen; channels add their light.
            if Some(layer.id) == main || layer.display.additive || layer.display.opacity < 1.0 {
                images.push(SliceLayer::Image(image_layer(layer, world_from_voxel, main, cx)));
            }
        } else if layer.labels().is_some() && cx.view.show_labels {
            let by_mark = marked_layer(project, cx.view).is_some_and(|marked| marked.id == layer.id);
            let mut shown = if by_mark {
                LabelLayer::new(MARKS, world_from_voxel, mark_colors())
            } else {
                LabelLayer::new(layer.id.0, world_from_voxel, colors.clone())
            };
            shown.fill_opacity *= layer.display.opacity;
            shown.outline_opacity *= layer.display.opacity;
            labels.push(SliceLayer::Labels(shown));
        }
    }
    // The chosen volume lies below what is laid over it.
    images.sort_by_key(|image| match image {
        SliceLayer::Image(image) => Some(LayerId(image.volume)) != main,
        SliceLayer::Labels(_) => true,
    });
    images.extend(prediction_layers(project, cx));
    images.extend(labels);
    images
}

/// The label layer that is coloured by where its labels come from.
fn marked_layer<'a>(project: &'a Project, view: &state::ViewState) -> Option<&'a Layer> {
    state::paint_layer(project, view).filter(|layer| view.show_marks && layer.display.visible)
}

fn mark_colors() -> LabelColors {
    LabelColors::from_classes(&ClassTable { classes: Mark::classes() })
}

/// The prediction below the labels, the uncertainty in between.
fn prediction_layers(project: &Project, cx: &mut Cx<'_>) -> Vec<SliceLayer> {
    let mut layers = Vec::new();
    let Some(world_from_voxel) = world_from_prediction(project, cx) else { return layers };
    if cx.view.show_labels {
        let mut shown = LabelLayer::new(PREDICTION, world_from_voxel, cx.derived.colors(&project.classes));
        shown.fill_opacity = 0.22;
        shown.outline_px = 1.0;
        shown.outline_opacity = 0.5;
        layers.push(SliceLayer::Labels(shown));
    }
    if cx.view.show_uncertainty {
        let mut shown = ImageLayer::new(UNCERTAINTY, world_from_voxel, [0.0, 1.0]);
        shown.color_map = ColorMap::Uncertainty;
        shown.interpolation = Interpolation::Linear;
        layers.push(SliceLayer::Image(shown));
    }
    layers
}

/// Where the voxels of the prediction lie; `None` where there is none, or its volume is gone.
fn world_from_prediction(project: &Project, cx: &Cx<'_>) -> Option<DAffine3> {
    let prediction = cx.session.live().prediction.as_ref()?;
    state::world_from_voxel(project.layer(prediction.volume())?)
}

fn image_layer(layer: &Layer, world_from_voxel: DAffine3, main: Option<LayerId>, cx: &Cx<'_>) -> ImageLayer {
    let display = &layer.display;
    let accent = theme::DARK.accent.to_normalized_gamma_f32();
    ImageLayer {
        window: display.window,
        color_map: map_of(display),
        opacity: display.opacity,
        blend: if display.additive { Blend::Additive } else { Blend::Over },
        interpolation: match (display.smooth, display.cubic) {
            (false, _) => Interpolation::Nearest,
            (true, false) => Interpolation::Linear,
            (true, true) => Interpolation::Cubic,
        },
        highlight: cx.view.lit.filter(|_| Some(layer.id) == main).map(|range| Highlight {
            range,
            rgb: [accent[0], accent[1], accent[2]],
            strength: 0.55,
        }),
        ..ImageLayer::new(layer.id.0, world_from_voxel, display.window)
    }
}

/// The scene of the 3D view; `None` without a volume.
pub(crate) fn volume_scene(rect: egui::Rect, scale: f64, id: ViewId, cx: &mut Cx<'_>) -> Option<VolumeScene> {
    let project = cx.project();
    let layer = state::main_volume(project, cx.view)?;
    let shape = layer.content.shape()?;
    let size_px = [pixels(rect.width(), scale), pixels(rect.height(), scale)];
    let mut scene = VolumeScene::new(layer.id.0, state::world_from_voxel(layer)?, shape, size_px);
    let look = &cx.view.look;
    scene.camera = cx.view.camera(id);
    look.apply(&mut scene, cx.view.cursor_um);
    scene.window = layer.display.window;
    scene.color_map = map_of(&layer.display);
    scene.background = BACKGROUND;
    scene.channels = channels(project, layer);
    let tints = look.labels && cx.view.show_labels;
    let colors = if scene.keeps {
        cx.derived.keeping(&project.classes, &look.kept)
    } else {
        cx.derived.colors(&project.classes)
    };
    if tints || scene.keeps {
        // While there is a prediction it is what one wants to see, not the strokes that it was made from.
        let predicted = world_from_prediction(project, cx).map(|map| (PREDICTION, map));
        let labels = predicted.or_else(|| labels_of_volume(project));
        scene.labels = labels.map(|(key, world_from_voxel)| VolumeLabels {
            labels: key,
            world_from_voxel,
            colors,
            strength: if tints { 0.75 } else { 0.0 },
        });
    }
    scene.surfaces = surfaces::layer(cx, scale);
    scene.tint_less();
    let lacks_labels = scene.labels.is_none() && scene.mode == crate::render::VolumeMode::Labels;
    let lacks_surfaces = scene.surfaces.is_none() && scene.mode == crate::render::VolumeMode::Surfaces;
    if lacks_labels || lacks_surfaces {
        scene.mode = crate::render::VolumeMode::Composite;
    }
    Some(scene)
}

/// The volumes laid over the main one that add their light: fluorescence glows in the haze.
fn channels(project: &Project, main: &Layer) -> Vec<VolumeChannel> {
    let seen = project.from_top().filter(|layer| layer.id != main.id && layer.display.visible);
    seen.filter(|layer| layer.volume().is_some() && layer.display.additive)
        .filter_map(|layer| {
            let world_from_voxel = state::world_from_voxel(layer)?;
            let (low, high) = state::layer_bounds(layer)?;
            let [r, g, b, _] = map_of(&layer.display).at(1.0).map(|c| c as f32);
            // Through the whole of it what glows fully hides what lies behind.
            let density_per_um = 16.0 * layer.display.opacity / (high - low).length().max(1e-6) as f32;
            let window = layer.display.window;
            Some(VolumeChannel {
                volume: layer.id.0,
                world_from_voxel,
                window,
                rgb: [r, g, b],
                density_per_um,
            })
        })
        .take(MOST_CHANNELS)
        .collect()
}

/// The labels that tint the volume: the topmost that are seen and not empty.
fn labels_of_volume(project: &Project) -> Option<(u64, DAffine3)> {
    seen_labels(project).and_then(|layer| Some((layer.id.0, state::world_from_voxel(layer)?)))
}

/// The topmost labels that are seen and not empty.
pub(crate) fn seen_labels(project: &Project) -> Option<&Layer> {
    project
        .from_top()
        .filter(|layer| layer.display.visible)
        .find(|layer| layer.labels().is_some_and(|labels| !labels.labels.is_empty()))
}

/// Paints what was prepared for a view.
struct Paint {
    view: u64,
    is_slice: bool,
}

impl egui_wgpu::CallbackTrait for Paint {
    fn paint(
        &self,
        _info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        resources: &egui_wgpu::CallbackResources,
    ) {
        let Some(renderer) = resources.get::<Renderer>() else { return };
        if self.is_slice {
            renderer.paint_slice(self.view, pass);
        } else {
            renderer.paint_volume(self.view, pass);
        }
    }
}
