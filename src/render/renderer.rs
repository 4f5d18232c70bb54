//! The renderer: volumes and labels in, pictures on any render target out.
//!
//! A frame of a view is `prepare_…` (uploads what changed, records offscreen work) and then
//! `paint_…` inside the caller's render pass, whose viewport is the view's rectangle. Handing
//! over a volume costs nothing; slices take the one section they show, and only a 3-D view, an
//! oblique plane or a slab uploads the whole, in pieces over several frames.

mod sheets;
mod slices;
pub(crate) mod still;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::empty::{label_leaps, volume_leaps};
use super::march::{MarchKind, march_uniform};
use super::pace::Pace;
use super::pipelines::{MEAN, OFFSCREEN, Pipelines, texture_2d, texture_3d};
use super::refine::{Refinement, Work, sample_offset};
use super::scene::{LabelColors, LayerId, MOST_CHANNELS, ViewId, VolumeMode, VolumeScene};
use super::setup::MarchSetup;
use super::stores::{ImageStore, LabelStore};
use super::streamed::region_bytes;
use super::surface_setup::world_of_box;
use super::texture::Scale;
use super::{grid, transfer};
use crate::gpu::Gpu;
use crate::volume::labels::BRICK;
use crate::volume::{Labels, Pyramid, Volume};
use sheets::{COARSE_SHEETS, MOST_SHEETS, MOVING_SHEETS, Sheets, SurfaceStore};
use slices::SliceView;

/// What a view has to say after `prepare_…`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewStatus {
    /// Ask for another frame: something is still being uploaded or refined.
    pub needs_repaint: bool,
    /// Fraction of the data on the device, 1 when all is there.
    pub loaded: f32,
    /// Voxels averaged along an edge of what is shown, 1 for full resolution: the badge "level".
    pub binning: usize,
    /// Edge of the picture's pixels, 1 for full resolution, 0.5 for half; 0 before the first picture.
    pub resolution: f32,
}

impl ViewStatus {
    /// Of a view that shows all there is.
    const WHOLE: Self = Self { needs_repaint: false, loaded: 1.0, binning: 1, resolution: 1.0 };
}

#[derive(Debug)]
struct Picture {
    view: wgpu::TextureView,
    size: [u32; 2],
    blit: wgpu::BindGroup,
}

/// A bind group and what it was made of.
#[derive(Debug)]
struct Marching {
    stamp: u64,
    table: transfer::TransferTable,
    leaps: wgpu::TextureView,
    edge: usize,
}

#[derive(Debug)]
struct VolumeView {
    scene: VolumeScene,
    stamp: u64,
    refinement: Refinement,
    /// The whole picture that is shown.
    front: Option<Picture>,
    /// The picture being drawn.
    back: Option<Picture>,
    marching: Option<Marching>,
    /// Nanoseconds of the last finished piece plus one; 0 while it is under way.
    finished: Arc<AtomicU64>,
    under_way: Option<Work>,
    /// Sheets of surfaces of the picture being drawn.
    sheets: Option<Sheets>,
    /// Passes of sheets that are under way without a piece of the picture.
    passes_under_way: u32,
    /// How long a pass takes.
    pass_took: Duration,
    /// The mean of the samples of the full picture, and how many there are.
    mean: Option<(Picture, u32)>,
}

/// Draws scenes with a device.
#[derive(Debug)]
pub struct Renderer {
    gpu: Gpu,
    pace: Pace,
    /// Whether nobody touches the window.
    is_calm: bool,
    pipelines: Pipelines,
    images: BTreeMap<LayerId, ImageStore>,
    labels: BTreeMap<LayerId, LabelStore>,
    surfaces: BTreeMap<LayerId, SurfaceStore>,
    slices: BTreeMap<ViewId, SliceView>,
    volumes: BTreeMap<ViewId, VolumeView>,
    /// Label colours on the device, the last few.
    colors: Vec<(LabelColors, wgpu::TextureView)>,
    budget_bytes: u64,
    clock: u64,
    next_stamp: u64,
}

/// How long an upload may hold up a frame.
const UPLOAD_BUDGET: Duration = Duration::from_millis(20);
/// How long a wait for a software driver lasts at the most.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of textures before volumes are binned or dropped, unless the owner says otherwise.
const DEFAULT_BUDGET: u64 = 3 << 30;

impl Renderer {
    /// A renderer for targets of one format.
    pub fn new(gpu: Gpu, target_format: wgpu::TextureFormat) -> Self {
        let pipelines = Pipelines::new(&gpu, target_format);
        Self {
            pace: Pace::of(&gpu),
            is_calm: false,
            gpu,
            pipelines,
            images: BTreeMap::new(),
            labels: BTreeMap::new(),
            surfaces: BTreeMap::new(),
            slices: BTreeMap::new(),
            volumes: BTreeMap::new(),
            colors: Vec::new(),
            budget_bytes: DEFAULT_BUDGET,
            clock: 0,
            next_stamp: 0,
        }
    }

    /// The device it draws with.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Bytes of textures it may hold; volumes are binned to fit, and unused ones dropped.
    pub fn set_budget(&mut self, bytes: u64) {
        self.budget_bytes = bytes.max(1 << 20);
    }

    /// Says whether nobody touches the window: pieces of 3-D views may take longer then.
    pub fn set_calm(&mut self, is_calm: bool) {
        self.is_calm = is_calm;
    }

    /// Halves the budget and gives all textures of volumes back, to be taken anew within it; the new budget in bytes.
    pub fn draw_coarser(&mut self) -> u64 {
        self.set_budget(self.budget_bytes.min(self.gpu_bytes().max(64 << 20)) / 2);
        let clock = self.clock;
        for store in self.images.values_mut() {
            store.drop_most();
            store.used = clock;
        }
        self.labels.values_mut().for_each(|store| store.full = None);
        self.slices.clear();
        self.volumes.clear();
        self.budget_bytes
    }

    /// Bytes of volume and label textures on the device.
    pub fn gpu_bytes(&self) -> u64 {
        self.images.values().map(ImageStore::bytes).sum::<u64>()
            + self.labels.values().map(LabelStore::bytes).sum::<u64>()
            + self.surfaces.values().map(SurfaceStore::bytes).sum::<u64>()
    }

    /// Hands over a volume; nothing is done if key and revision are known already.
    pub fn set_volume(&mut self, id: LayerId, revision: u64, volume: &Arc<Volume<f32>>) {
        if self.images.get(&id).is_some_and(|store| store.revision == revision) {
            return;
        }
        let stamp = self.stamp();
        self.images.insert(id, ImageStore::new(Arc::clone(volume), revision, stamp));
    }

    /// Says that a volume handed over is the working level of a pyramid: views then show finer levels where their pixels need them.
    pub fn set_pyramid(&mut self, id: LayerId, pyramid: &Arc<Pyramid>) {
        if let Some(store) = self.images.get_mut(&id)
            && store.pyramid.is_none()
        {
            store.pyramid = Some(Arc::clone(pyramid));
            store.stamp += 1;
        }
    }

    /// Hands over labels. `changed` names the bricks that differ from the last revision handed over;
    /// without it everything is taken anew. A copy of labels is cheap: bricks are shared.
    pub fn set_labels(&mut self, id: LayerId, revision: u64, labels: &Labels, changed: Option<&[u32]>) {
        let stamp = self.stamp();
        match (self.labels.get_mut(&id), changed) {
            (Some(store), _) if store.revision == revision => {}
            (Some(store), Some(bricks)) if store.labels.shape() == labels.shape() => {
                store.update(&self.gpu, labels.clone(), revision, bricks);
            }
            _ => {
                self.labels.insert(id, LabelStore::new(labels.clone(), revision, stamp));
            }
        }
    }

    /// Forgets volumes, labels, surfaces and views that are not named: call it when the document changes.
    pub fn retain(&mut self, layers: &[LayerId], views: &[ViewId]) {
        self.images.retain(|id, _| layers.contains(id));
        self.images.values_mut().for_each(|store| store.retain_views(views));
        self.labels.retain(|id, _| layers.contains(id));
        self.surfaces.retain(|id, _| layers.contains(id));
        self.slices.retain(|id, _| views.contains(id));
        self.volumes.retain(|id, _| views.contains(id));
    }

    /// Stamps grow by whole blocks, so that a store may count up within its own.
    fn stamp(&mut self) -> u64 {
        self.next_stamp += 1 << 32;
        self.next_stamp
    }

    /// Bytes a texture may take now: drops what no view has used of late if that makes room.
    fn room_for(&mut self, keep: LayerId, wanted: u64) -> u64 {
        while self.gpu_bytes() + wanted > self.budget_bytes {
            let images =
                self.images.iter().filter(|(_, s)| s.holds_most()).map(|(id, s)| (s.used, *id, true));
            let labels =
                self.labels.iter().filter(|(_, s)| s.full.is_some()).map(|(id, s)| (s.used, *id, false));
            let oldest =
                images.chain(labels).filter(|(used, id, _)| *id != keep && used + 8 < self.clock).min();
            match oldest {
                Some((_, id, true)) => {
                    if let Some(store) = self.images.get_mut(&id) {
                        store.drop_most();
                    }
                }
                Some((_, id, false)) => {
                    if let Some(store) = self.labels.get_mut(&id) {
                        store.full = None;
                    }
                }
                None => break,
            }
        }
        self.budget_bytes.saturating_sub(self.gpu_bytes()).max(self.budget_bytes / 8)
    }

    /// Bytes that the box of a finer level may take which a view shows: always the same, so that its level does not
    /// change with what else is held. Makes room for it.
    fn room_for_region(&mut self, id: LayerId, view: ViewId) -> u64 {
        let most = region_bytes(&self.gpu).min(self.budget_bytes / 4);
        let held = self.images.get(&id).map_or(0, |store| store.region_bytes(view));
        self.room_for(id, most.saturating_sub(held));
        most
    }

    fn upload_image(&mut self, id: LayerId, budget: Duration) -> f32 {
        let Some(store) = self.images.get(&id) else { return 1.0 };
        let allowed = if store.full.is_some() {
            u64::MAX
        } else {
            let wanted = store.volume.n_voxels() as u64 * 2;
            self.room_for(id, wanted)
        };
        let clock = self.clock;
        let gpu = self.gpu.clone();
        self.images.get_mut(&id).map_or(1.0, |store| store.upload(&gpu, allowed, budget, clock))
    }

    fn upload_labels(&mut self, id: LayerId) {
        let Some(store) = self.labels.get(&id) else { return };
        if store.full.is_none() {
            let wanted = store.labels.shape().iter().product::<usize>() as u64 * 2;
            let allowed = self.room_for(id, wanted);
            let (gpu, clock) = (self.gpu.clone(), self.clock);
            if let Some(store) = self.labels.get_mut(&id) {
                store.whole(&gpu, allowed, clock);
            }
        } else if let Some(store) = self.labels.get_mut(&id) {
            store.used = self.clock;
        }
    }

    fn color_table(&mut self, colors: &LabelColors) -> wgpu::TextureView {
        if let Some((_, view)) = self.colors.iter().find(|(known, _)| known == colors) {
            return view.clone();
        }
        let bytes: &[u8] = bytemuck::cast_slice(colors.entries());
        let format = wgpu::TextureFormat::Rgba8Unorm;
        let view = texture_2d(&self.gpu, "label colours", [256, 256], format, bytes);
        if self.colors.len() >= 4 {
            self.colors.remove(0);
        }
        self.colors.push((colors.clone(), view.clone()));
        view
    }

    /// Works on a 3-D view for about one frame: uploads, then draws the next piece of its picture.
    ///
    /// Call it every frame while [`ViewStatus::needs_repaint`]; a changed scene starts with a coarse picture.
    pub fn prepare_volume(&mut self, view: ViewId, scene: &VolumeScene) -> ViewStatus {
        self.clock += 1;
        let loaded = self.upload_for(scene, UPLOAD_BUDGET);
        let is_coming = self.stream_for((view, UPLOAD_BUDGET, false), scene);
        let stamp = self.scene_stamp(view, scene);
        let binning = self.scene_binning(view, scene);
        let (pace, samples) = (self.pace, self.pace.samples(scene));
        let known = self.volumes.entry(view).or_insert_with(|| VolumeView {
            scene: scene.clone(),
            stamp,
            refinement: Refinement::new(scene.size_px, pace.motion, pace.secs_per_px),
            front: None,
            back: None,
            marching: None,
            finished: Arc::new(AtomicU64::new(0)),
            under_way: None,
            sheets: None,
            passes_under_way: 0,
            pass_took: Duration::ZERO,
            mean: None,
        });
        known.refinement.set_samples(samples);
        if known.scene != *scene || known.stamp != stamp {
            known.refinement.resize(scene.size_px);
            known.refinement.begin_motion();
            known.scene = scene.clone();
            known.stamp = stamp;
        }
        if loaded >= 1.0 {
            self.step_volume(view);
        }
        let known = self.volumes.get(&view);
        ViewStatus {
            needs_repaint: loaded < 1.0
                || is_coming
                || known.is_some_and(|v| !v.refinement.is_done() || v.under_way.is_some()),
            loaded,
            binning,
            resolution: known.map_or(0.0, |v| v.refinement.shown_fraction()),
        }
    }

    fn upload_for(&mut self, scene: &VolumeScene, budget: Duration) -> f32 {
        let mut loaded = 1.0;
        let needs_volume = !matches!(scene.mode, VolumeMode::Labels | VolumeMode::Surfaces);
        if let (Some(id), true) = (scene.volume, needs_volume) {
            loaded = self.upload_image(id, budget);
        }
        for channel in scene.drawn_channels() {
            loaded = f32::min(loaded, self.upload_image(channel.volume, budget));
        }
        if let Some(labels) = &scene.labels {
            self.upload_labels(labels.labels);
        }
        loaded
    }

    /// Works on the finer level that a 3-D view shows; whether more is to come.
    fn stream_for(&mut self, pace: (ViewId, Duration, bool), scene: &VolumeScene) -> bool {
        let gpu = self.gpu.clone();
        let is_drawn = scene.mode.shows_values();
        let Some(id) = scene.volume.filter(|_| is_drawn) else { return false };
        let most = self.room_for_region(id, pace.0);
        self.images.get_mut(&id).is_some_and(|store| store.stream_volume(&gpu, (pace, most), scene))
    }

    fn scene_stamp(&self, view: ViewId, scene: &VolumeScene) -> u64 {
        let image = scene.volume.and_then(|id| self.images.get(&id)).map_or(0, |store| store.stamp_for(view));
        let labels =
            scene.labels.as_ref().and_then(|l| self.labels.get(&l.labels)).map_or(0, |store| store.stamp);
        let channels = scene.drawn_channels().iter().filter_map(|channel| self.images.get(&channel.volume));
        let stamp = image.wrapping_mul(31).wrapping_add(labels);
        let stamp = channels.fold(stamp, |stamp, store| stamp.wrapping_mul(31).wrapping_add(store.stamp));
        let surfaces = scene.drawn_surfaces().and_then(|layer| self.surfaces.get(&layer.surfaces));
        stamp.wrapping_mul(31).wrapping_add(surfaces.map_or(0, |store| store.stamp))
    }

    fn scene_binning(&self, view: ViewId, scene: &VolumeScene) -> usize {
        let image = scene.volume.and_then(|id| self.images.get(&id)?.drawn(view)).map(|d| [d.coarseness; 3]);
        let labels = scene
            .labels
            .as_ref()
            .and_then(|l| self.labels.get(&l.labels))
            .and_then(|s| s.full.as_ref())
            .map(|f| f.factor);
        image.into_iter().chain(labels).flatten().max().unwrap_or(1)
    }

    /// Takes in the last piece's time and hands the next piece to the device, unless it is still busy.
    fn step_volume(&mut self, view: ViewId) {
        // A lost device shows itself in the caller's own submissions; here it only means no progress.
        drop(self.gpu.device.poll(wgpu::PollType::Poll));
        let Some(mut state) = self.volumes.remove(&view) else { return };
        if let Some(work) = state.under_way {
            match state.finished.load(Ordering::Acquire) {
                0 => {
                    self.volumes.insert(view, state);
                    return;
                }
                nanos => {
                    let took = Duration::from_nanos(nanos - 1);
                    let n = std::mem::take(&mut state.passes_under_way);
                    if n > 0 {
                        state.pass_took = took / n;
                    } else {
                        // A moving picture is drawn with its sheets at one go.
                        let sheets = match &state.sheets {
                            Some(sheets) if work.is_last && work.row == 0 => {
                                state.pass_took * sheets.n_passes()
                            }
                            _ => Duration::ZERO,
                        };
                        state.refinement.measured(&work, took.saturating_sub(sheets).max(took / 8));
                    }
                    state.under_way = None;
                }
            }
        }
        if let Some(work) = state.refinement.next_work(self.pace.piece(self.is_calm)) {
            let geometry = [work.size, [0, 0], work.size];
            let is_whole = work.is_last && work.row == 0;
            let wanted = (most_sheets(&work), work.sample);
            if is_whole || self.has_sheets(&state.scene, state.sheets.as_ref(), geometry, wanted) {
                self.draw_piece(view, &mut state, &work);
                state.refinement.advance(&work);
            } else {
                self.draw_sheets_alone(&mut state, &work, geometry);
            }
        }
        self.volumes.insert(view, state);
    }

    fn draw_piece(&mut self, view: ViewId, state: &mut VolumeView, work: &Work) {
        let stale = state.back.as_ref().is_none_or(|back| back.size != work.size);
        if stale {
            state.back = Some(self.new_picture(work.size, OFFSCREEN));
        }
        if work.sample == 0 {
            state.mean = None;
        }
        let Some(back) = &state.back else { return };
        let geometry = [work.size, [0, 0], work.size];
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let is_moving = work.is_last && work.row == 0 && work.fraction < 1.0;
        let most = if is_moving && self.gpu.is_software() { MOVING_SHEETS } else { most_sheets(work) };
        let passes = (most, work.sample, u32::MAX);
        self.draw_sheets(&mut encoder, &state.scene, &mut state.sheets, geometry, passes);
        let sheets = state.sheets.as_ref();
        let quality = (work.sample, work.fraction);
        let Some(marcher) = self.marcher(view, &state.scene, sheets, &mut state.marching, geometry, quality)
        else {
            return;
        };
        march_pass(&mut encoder, &back.view, &marcher, work);
        if work.is_last && work.sample > 0 {
            self.add_to_mean(&mut encoder, state, work.size);
        }
        self.submit(state, work, encoder);
        if work.is_last && work.sample == 0 {
            std::mem::swap(&mut state.front, &mut state.back);
        }
    }

    /// Takes a sample that has been drawn into the mean of all of them.
    fn add_to_mean(&self, encoder: &mut wgpu::CommandEncoder, state: &mut VolumeView, size: [u32; 2]) {
        let (Some(front), Some(back)) = (&state.front, &state.back) else { return };
        let (mean, mut n) = state.mean.take().unwrap_or_else(|| (self.new_picture(size, MEAN), 0));
        if n == 0 {
            n = 1;
            self.mean_pass(encoder, &mean.view, &front.view, n);
        }
        n += 1;
        self.mean_pass(encoder, &mean.view, &back.view, n);
        state.mean = Some((mean, n));
    }

    /// Takes the sample of this number, from 1, into a mean.
    fn mean_pass(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        mean: &wgpu::TextureView,
        sample: &wgpu::TextureView,
        n: u32,
    ) {
        let load = if n == 1 { wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT) } else { wgpu::LoadOp::Load };
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("mean"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: mean,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load, store: wgpu::StoreOp::Store },
            })],
            ..Default::default()
        });
        let share = 1.0 / f64::from(n);
        pass.set_blend_constant(wgpu::Color { r: share, g: share, b: share, a: share });
        pass.set_pipeline(&self.pipelines.mean);
        pass.set_bind_group(0, &self.blit_group(sample), &[]);
        pass.draw(0..3, 0..1);
    }

    fn blit_group(&self, view: &wgpu::TextureView) -> wgpu::BindGroup {
        let p = &self.pipelines;
        self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("blit"),
            layout: &p.blit_layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::TextureView(view) },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::Sampler(&p.linear) },
                wgpu::BindGroupEntry { binding: 2, resource: p.blit_style.as_entire_binding() },
            ],
        })
    }

    /// Sheets of a picture that is then drawn in pieces: a piece of work of their own.
    fn draw_sheets_alone(&mut self, state: &mut VolumeView, work: &Work, geometry: [[u32; 2]; 3]) {
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        // One after the other, so that the window stays alive.
        let affordable =
            self.pace.piece(self.is_calm).as_secs_f64() / state.pass_took.as_secs_f64().max(1e-9);
        let at_once = if state.pass_took.is_zero() { 1 } else { (affordable as u32).max(2) };
        let how_many = (most_sheets(work), work.sample, at_once);
        let n = self.draw_sheets(&mut encoder, &state.scene, &mut state.sheets, geometry, how_many);
        state.passes_under_way = n.max(1);
        self.submit(state, work, encoder);
    }

    fn submit(&self, state: &mut VolumeView, work: &Work, encoder: wgpu::CommandEncoder) {
        let finished = Arc::new(AtomicU64::new(0));
        state.finished = Arc::clone(&finished);
        state.under_way = Some(*work);
        let wait = || {
            let poll = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
            // A lost device shows itself in the caller's own submissions.
            drop(self.gpu.device.poll(poll));
        };
        let is_software = self.gpu.is_software();
        if is_software {
            // The frame before is none of the time of this piece.
            wait();
        }
        let began = Instant::now();
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.queue.on_submitted_work_done(move || {
            finished.store(began.elapsed().as_nanos() as u64 + 1, Ordering::Release);
        });
        if is_software {
            // Nothing can be shown before it is done; frames only to look would cost as much as the piece.
            wait();
        }
    }

    fn new_picture(&self, size: [u32; 2], format: wgpu::TextureFormat) -> Picture {
        let texture = offscreen(&self.gpu, size, format);
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let blit = self.blit_group(&view);
        Picture { view, size, blit }
    }

    /// The pipeline and the bind group of a view; `None` where what it shows is not on the device.
    fn marcher(
        &mut self,
        view: ViewId,
        scene: &VolumeScene,
        sheets: Option<&Sheets>,
        marching: &mut Option<Marching>,
        geometry: [[u32; 2]; 3],
        (sample, fraction): (u32, f32),
    ) -> Option<(wgpu::RenderPipeline, wgpu::BindGroup)> {
        let sheet_numbers = self.sheet_numbers(scene, sheets, geometry);
        let kind = MarchKind::of(scene, sheet_numbers[0][0] > 0.0);
        let pipeline = self.pipelines.march(&self.gpu, kind);
        let label_colors = scene.labels.as_ref().map(|labels| self.color_table(&labels.colors));
        let labels = scene.labels.as_ref().and_then(|l| self.labels.get(&l.labels)?.full.as_ref());
        let p = &self.pipelines;
        let key = self.march_key(view, scene);
        if marching.as_ref().is_none_or(|m| m.stamp != key) {
            *marching = Some(self.new_marching(view, scene, key)?);
        }
        let marching = marching.as_ref()?;
        let (image, scale, setup) = if scene.mode == VolumeMode::Surfaces {
            let (_, set) = self.surfaces_of(scene)?;
            let setup = MarchSetup::new(scene, world_of_box(set.bounds), [1; 3], [1; 3]);
            (None, Scale { mul: 1.0, add: 0.0 }, setup)
        } else if scene.mode == VolumeMode::Labels {
            let (layer, texture) = (scene.labels.as_ref()?, labels?);
            let shape = self.labels.get(&layer.labels)?.labels.shape();
            let setup = MarchSetup::new(scene, layer.world_from_voxel, shape, texture.factor);
            (None, Scale { mul: 1.0, add: 0.0 }, setup)
        } else {
            let store = self.images.get(&scene.volume?)?;
            let drawn = store.drawn(view)?;
            let world_from_voxel = scene.world_from_voxel * drawn.volume_from_voxel;
            let mut setup = MarchSetup::new(scene, world_from_voxel, drawn.shape, drawn.full.factor);
            // A part fades with depth as the whole does.
            setup.depth_um = MarchSetup::depth_um(scene, scene.world_from_voxel, store.volume.shape());
            (Some(drawn.full), store.scale, setup)
        };
        let mut setup = label_texels(&setup, labels.map(|texture| texture.factor));
        let [near_um, far_um] = setup.depth_um;
        setup.dt_um *= self.pace.stride(scene, fraction, (far_um - near_um) / setup.dt_um);
        let mut channels = [&p.no_image; MOST_CHANNELS];
        let mut scales = Vec::with_capacity(MOST_CHANNELS);
        for (i, channel) in scene.drawn_channels().iter().enumerate() {
            let store = self.images.get(&channel.volume)?;
            let full = store.ready()?;
            let map = &mut setup.channel_from_texel[i];
            *map = super::setup::texel_from_voxel(full.factor) * *map;
            channels[i] = &full.view;
            scales.push(store.scale);
        }
        let mut uniform = march_uniform(
            scene,
            &setup,
            &marching.table,
            (scale, image.map_or([1; 3], |full| full.dims)),
            &scales,
            marching.edge,
            (geometry, sheet_numbers),
        );
        let aside = sample_offset(sample).map(|v| v as f32);
        [uniform[22][2], uniform[22][3], uniform[24][3]] = aside;
        let table_rows: Vec<[f32; 4]> =
            marching.table.direct.iter().chain(&marching.table.integral).copied().collect();
        let size = [transfer::TABLE_LEN as u32, 2];
        let format = wgpu::TextureFormat::Rgba32Float;
        let table = texture_2d(&self.gpu, "transfer", size, format, bytemuck::cast_slice(&table_rows));
        let group = p.bind(
            &self.gpu,
            &p.march_layout,
            bytemuck::cast_slice(&uniform),
            [image.map_or(&p.no_image, |full| &full.view), &table],
            &[
                &marching.leaps,
                labels.map_or(&p.no_ids, |texture| &texture.view),
                label_colors.as_ref().unwrap_or(&p.no_table),
                p.color_map(scene.color_map),
                channels[0],
                channels[1],
                sheets.map_or(&p.no_sheets, Sheets::view),
            ],
        );
        Some((pipeline, group))
    }

    /// Changes when the empty space has to be found anew.
    fn march_key(&self, view: ViewId, scene: &VolumeScene) -> u64 {
        use std::hash::{Hash as _, Hasher as _};
        let mut hasher = std::hash::DefaultHasher::new();
        self.scene_stamp(view, scene).hash(&mut hasher);
        scene.mode.hash(&mut hasher);
        for point in &scene.transfer.points {
            let [r, g, b] = point.rgb;
            for v in [point.lac_per_um, point.opacity_per_um, r, g, b] {
                v.to_bits().hash(&mut hasher);
            }
        }
        scene.drawn_channels().len().hash(&mut hasher);
        for v in [scene.iso_value, scene.window[0]] {
            v.to_bits().hash(&mut hasher);
        }
        if let (Some(labels), VolumeMode::Labels) = (&scene.labels, scene.mode) {
            for color in labels.colors.entries() {
                color[3].hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    fn new_marching(&self, view: ViewId, scene: &VolumeScene, stamp: u64) -> Option<Marching> {
        let table = scene.transfer.table();
        let format = wgpu::TextureFormat::R8Uint;
        if scene.mode == VolumeMode::Surfaces {
            let leaps = texture_3d(&self.gpu, "leaps", [1; 3], format, &[grid::OCCUPIED + 1]);
            return Some(Marching { stamp, table, leaps, edge: 1 });
        }
        if scene.mode == VolumeMode::Labels {
            let layer = scene.labels.as_ref()?;
            let store = self.labels.get(&layer.labels)?;
            let full = store.full.as_ref()?;
            // Bricks of the store are bricks of the texture only without binning.
            let (dims, leaps, edge) = if full.factor == [1; 3] {
                (store.labels.bricks_zyx(), label_leaps(&store.labels, layer), BRICK)
            } else {
                ([1; 3], vec![grid::OCCUPIED + 1], full.dims.into_iter().max().unwrap_or(1))
            };
            let leaps = texture_3d(&self.gpu, "leaps", dims, format, &leaps);
            return Some(Marching { stamp, table, leaps, edge });
        }
        let full = self.images.get(&scene.volume?)?.drawn(view)?.full;
        if !scene.drawn_channels().is_empty() {
            // Where the volume is clear a channel may glow.
            let leaps = texture_3d(&self.gpu, "leaps", [1; 3], format, &[grid::OCCUPIED + 1]);
            return Some(Marching { stamp, table, leaps, edge: full.dims.into_iter().max().unwrap_or(1) });
        }
        let leaps = volume_leaps(&full.grid, scene, &table);
        let leaps = texture_3d(&self.gpu, "leaps", full.grid.dims(), format, &leaps);
        Some(Marching { stamp, table, leaps, edge: grid::EDGE })
    }

    /// Paints the newest whole picture of a prepared 3-D view; the pass's viewport is the view's rectangle.
    pub fn paint_volume(&self, view: ViewId, pass: &mut wgpu::RenderPass<'_>) {
        let Some(known) = self.volumes.get(&view) else { return };
        let mean = known.mean.as_ref().map(|(mean, _)| mean);
        let Some(front) = mean.or(known.front.as_ref()) else { return };
        self.blit(front, pass);
    }

    fn blit(&self, picture: &Picture, pass: &mut wgpu::RenderPass<'_>) {
        pass.set_pipeline(&self.pipelines.blit);
        pass.set_bind_group(0, &picture.blit, &[]);
        pass.draw(0..3, 0..1);
    }
}

/// Draws some rows of a picture with what [`Renderer::marcher`] gave.
fn march_pass(
    encoder: &mut wgpu::CommandEncoder,
    target: &wgpu::TextureView,
    (pipeline, group): &(wgpu::RenderPipeline, wgpu::BindGroup),
    work: &Work,
) {
    let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        label: Some("march"),
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view: target,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations { load: wgpu::LoadOp::Load, store: wgpu::StoreOp::Store },
        })],
        ..Default::default()
    });
    pass.set_scissor_rect(0, work.row, work.size[0], work.n_rows);
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, group, &[]);
    pass.draw(0..3, 0..1);
}

/// Sheets of the picture that a piece at rest belongs to.
fn most_sheets(work: &Work) -> u32 {
    if work.fraction < 1.0 { COARSE_SHEETS } else { MOST_SHEETS }
}

/// The setup with labels addressed in the texels of their (perhaps binned) texture.
fn label_texels(setup: &MarchSetup, factor: Option<[usize; 3]>) -> MarchSetup {
    let factor = factor.unwrap_or([1; 3]);
    MarchSetup { label_from_texel: super::setup::texel_from_voxel(factor) * setup.label_from_texel, ..*setup }
}

/// An offscreen target that can be drawn to, sampled and read back.
pub(crate) fn offscreen(gpu: &Gpu, [width, height]: [u32; 2], format: wgpu::TextureFormat) -> wgpu::Texture {
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("offscreen"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT
            | wgpu::TextureUsages::TEXTURE_BINDING
            | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    })
}
