//! What the renderer keeps of each volume and label volume: the data's handle and its textures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use glam::DAffine3;

use super::label_texture::{LabelTexture, label_slab, update_slab};
use super::level::LevelBox;
use super::scene::{SliceScene, ViewId, VolumeScene};
use super::streamed::{Region, Section};
use super::texture::{FullTexture, SLAB_DEPTH, Scale, Slab, SlabAhead, SlabTexels, binning, slab_start};
use crate::gpu::Gpu;
use crate::volume::{Labels, Pyramid, Volume};

/// Slabs kept per volume: three axes in a few views, and the ones just scrolled past.
const MAX_SLABS: usize = 8;

/// A set of slabs with the least recently used dropped.
#[derive(Debug, Default)]
struct Slabs(Vec<Slab>);

impl Slabs {
    fn place(&self, axis: usize, section: usize) -> Option<usize> {
        let start = slab_start(axis, section);
        self.0.iter().position(|slab| slab.axis == axis && slab.start == start)
    }

    fn holds(&self, axis: usize, section: usize) -> bool {
        self.place(axis, section).is_some()
    }

    fn find(&mut self, axis: usize, section: usize, clock: u64) -> Option<usize> {
        let found = self.place(axis, section)?;
        self.0[found].used = clock;
        Some(found)
    }

    fn add(&mut self, mut slab: Slab, clock: u64) -> usize {
        slab.used = clock;
        if self.0.len() >= MAX_SLABS
            && let Some(oldest) = (0..self.0.len()).min_by_key(|i| self.0[*i].used)
        {
            self.0.swap_remove(oldest);
        }
        self.0.push(slab);
        self.0.len() - 1
    }

    fn bytes(&self) -> u64 {
        self.0.iter().map(|slab| slab.bytes).sum()
    }
}

/// A volume that was handed over.
#[derive(Debug)]
pub(crate) struct ImageStore {
    pub(crate) volume: Arc<Volume<f32>>,
    pub(crate) revision: u64,
    pub(crate) scale: Scale,
    pub(crate) full: Option<FullTexture>,
    slabs: Slabs,
    /// The slab that comes next, and the section along each axis that was asked for last.
    ahead: Option<SlabAhead>,
    scrolled: [Option<usize>; 3],
    /// Finer levels, where the volume is one of a pyramid.
    pub(crate) pyramid: Option<Arc<Pyramid>>,
    /// What views show of finer levels.
    sections: BTreeMap<ViewId, Section>,
    regions: BTreeMap<ViewId, Region>,
    /// How often what a view shows of finer levels has changed; only ever grows.
    changes: BTreeMap<ViewId, u64>,
    /// Clock of the last use of the full texture.
    pub(crate) used: u64,
    /// Changes with every change of content on the device.
    pub(crate) stamp: u64,
}

/// A box of voxels on the device, and where it lies.
pub(crate) struct Drawn<'a> {
    pub(crate) full: &'a FullTexture,
    /// Voxels before binning.
    pub(crate) shape: [usize; 3],
    /// The map from those voxels to the volume's.
    pub(crate) volume_from_voxel: DAffine3,
    /// Voxels of the finest data along the edge of what is drawn.
    pub(crate) coarseness: usize,
}

impl ImageStore {
    pub(crate) fn new(volume: Arc<Volume<f32>>, revision: u64, stamp: u64) -> Self {
        let scale = Scale::for_values(volume.values());
        Self {
            volume,
            revision,
            scale,
            full: None,
            slabs: Slabs::default(),
            ahead: None,
            scrolled: [None; 3],
            pyramid: None,
            sections: BTreeMap::new(),
            regions: BTreeMap::new(),
            changes: BTreeMap::new(),
            used: 0,
            stamp,
        }
    }

    pub(crate) fn slab(&mut self, gpu: &Gpu, axis: usize, section: usize, clock: u64) -> &Slab {
        let limit = gpu.info.max_texture_3d;
        let place = match self.slabs.find(axis, section, clock) {
            Some(place) => place,
            None => {
                let slab = match self.ahead.take_if(|ahead| ahead.holds(axis, section)) {
                    Some(ahead) => ahead.wait().to_device(gpu),
                    None => {
                        SlabTexels::of_volume(&self.volume, self.scale, (axis, section), limit).to_device(gpu)
                    }
                };
                self.slabs.add(slab, clock)
            }
        };
        self.look_ahead(axis, section, limit);
        &self.slabs.0[place]
    }

    /// Begins with the slab that a scroll by single sections comes to next.
    fn look_ahead(&mut self, axis: usize, section: usize, limit: u32) {
        let depth = SLAB_DEPTH[axis];
        let before = self.scrolled[axis].replace(section).filter(|before| before.abs_diff(section) <= depth);
        let Some(before) = before.filter(|before| depth > 1 && *before != section) else { return };
        let next = if section > before { section.checked_add(depth) } else { section.checked_sub(depth) };
        let Some(next) = next.filter(|next| *next < self.volume.shape()[axis]) else { return };
        let is_begun = self.ahead.as_ref().is_some_and(|ahead| ahead.holds(axis, next));
        if !is_begun && !self.slabs.holds(axis, next) {
            self.ahead = Some(SlabAhead::begin(&self.volume, self.scale, (axis, next), limit));
        }
    }

    /// Makes sure the full texture exists and works on its upload; fraction loaded.
    pub(crate) fn upload(&mut self, gpu: &Gpu, allowed_bytes: u64, budget: Duration, clock: u64) -> f32 {
        self.used = clock;
        let full = self.full.get_or_insert_with(|| {
            let factor = binning(self.volume.shape(), gpu.info.max_texture_3d, allowed_bytes);
            FullTexture::new(gpu, self.volume.shape(), factor)
        });
        if !full.is_ready() {
            full.upload(&gpu.queue, &self.volume, self.scale, budget);
            self.stamp += 1;
        }
        full.loaded()
    }

    /// The full texture once it is whole.
    pub(crate) fn ready(&self) -> Option<&FullTexture> {
        self.full.as_ref().filter(|full| full.is_ready())
    }

    /// How coarse the volume itself is beside the finest level of its pyramid.
    pub(crate) fn coarseness(&self) -> usize {
        self.pyramid.as_ref().map_or(1, |pyramid| pyramid.coarseness(pyramid.working()))
    }

    /// The section of a finer level that a view shows, with what has come of it; `None` where the volume itself is fine enough.
    pub(crate) fn section(
        &mut self,
        gpu: &Gpu,
        view: ViewId,
        scene: &SliceScene,
        world_from_voxel: DAffine3,
        clock: u64,
    ) -> Option<&Section> {
        let pyramid = self.pyramid.clone()?;
        self.used = clock;
        // Three views find room, and what is read ahead.
        let room = (gpu.info.max_texture_3d, pyramid.cache().budget() / 4);
        let need = super::level::for_slice(scene, world_from_voxel, &pyramid, room);
        let Some((need, axis)) = need.and_then(|need| Some((need, need.axis?))) else {
            self.sections.remove(&view);
            return None;
        };
        match self.sections.get_mut(&view).filter(|section| section.serves(&need, axis)) {
            Some(section) => {
                if section.refresh(gpu, &self.volume, self.scale) {
                    *self.changes.entry(view).or_default() += 1;
                }
            }
            None => {
                let section = Section::new(gpu, &pyramid, &self.volume, self.scale, (&need, axis));
                self.sections.insert(view, section);
                *self.changes.entry(view).or_default() += 1;
            }
        }
        self.sections.get(&view)
    }

    /// Works on the box of a finer level that a slice across the axes, or a slab, shows; whether more is to come.
    pub(crate) fn stream_slice(
        &mut self,
        gpu: &Gpu,
        ((view, budget, at_once), most): ((ViewId, Duration, bool), u64),
        scene: &SliceScene,
        world_from_voxel: DAffine3,
    ) -> bool {
        let Some(pyramid) = self.pyramid.clone() else { return false };
        let room = (gpu.info.max_texture_3d, most.min(pyramid.cache().budget()));
        let wanted = super::level::for_slice(scene, world_from_voxel, &pyramid, room);
        let wanted = wanted.filter(|need| need.axis.is_none()).map(|need| need.shown);
        self.stream(gpu, &pyramid, view, wanted, (budget, at_once))
    }

    /// Works on the box of a finer level that a 3-D view shows; whether more is to come.
    pub(crate) fn stream_volume(
        &mut self,
        gpu: &Gpu,
        ((view, budget, at_once), most): ((ViewId, Duration, bool), u64),
        scene: &VolumeScene,
    ) -> bool {
        let Some(pyramid) = self.pyramid.clone() else { return false };
        let room = (gpu.info.max_texture_3d, most.min(pyramid.cache().budget()));
        let wanted = super::level::for_volume(scene, self.volume.shape(), &pyramid, room);
        self.stream(gpu, &pyramid, view, wanted, (budget, at_once))
    }

    fn stream(
        &mut self,
        gpu: &Gpu,
        pyramid: &Arc<Pyramid>,
        view: ViewId,
        wanted: Option<LevelBox>,
        pace: (Duration, bool),
    ) -> bool {
        let region = self.regions.entry(view).or_insert_with(Region::new);
        if region.step(gpu, pyramid, wanted, (&self.volume, self.scale), pace) {
            *self.changes.entry(view).or_default() += 1;
        }
        region.is_coming()
    }

    /// What a view draws of the volume: a box of a finer level, or the whole of it.
    pub(crate) fn drawn(&self, view: ViewId) -> Option<Drawn<'_>> {
        if let (Some(pyramid), Some(region)) = (&self.pyramid, self.regions.get(&view))
            && let Some(shown) = region.shown(pyramid)
        {
            return Some(Drawn {
                full: &shown.full,
                shape: shown.part.dims,
                volume_from_voxel: shown.part.working_from_box(pyramid),
                coarseness: pyramid.coarseness(shown.part.level),
            });
        }
        let full = self.ready()?;
        let binned = full.factor.into_iter().max().unwrap_or(1);
        Some(Drawn {
            full,
            shape: self.volume.shape(),
            volume_from_voxel: DAffine3::IDENTITY,
            coarseness: self.coarseness() * binned,
        })
    }

    /// Changes with every change of what a view shows; both parts of it only grow.
    pub(crate) fn stamp_for(&self, view: ViewId) -> u64 {
        self.stamp + self.changes.get(&view).copied().unwrap_or(0)
    }

    /// Whether it holds more than sections of the volume itself.
    pub(crate) fn holds_most(&self) -> bool {
        self.full.is_some() || !self.sections.is_empty() || !self.regions.is_empty()
    }

    /// Gives back the whole and the parts of finer levels; they come again when a view wants them.
    pub(crate) fn drop_most(&mut self) {
        self.full = None;
        self.sections.clear();
        self.regions.clear();
    }

    /// Bytes of the box of a finer level that a view shows.
    pub(crate) fn region_bytes(&self, view: ViewId) -> u64 {
        self.regions.get(&view).map_or(0, Region::bytes)
    }

    /// Forgets what views show that are gone.
    pub(crate) fn retain_views(&mut self, views: &[ViewId]) {
        self.sections.retain(|view, _| views.contains(view));
        self.regions.retain(|view, _| views.contains(view));
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.full.as_ref().map_or(0, FullTexture::bytes)
            + self.slabs.bytes()
            + self.sections.values().map(Section::bytes).sum::<u64>()
            + self.regions.values().map(Region::bytes).sum::<u64>()
    }
}

/// Labels that were handed over.
#[derive(Debug)]
pub(crate) struct LabelStore {
    pub(crate) labels: Labels,
    pub(crate) revision: u64,
    pub(crate) full: Option<LabelTexture>,
    slabs: Slabs,
    pub(crate) used: u64,
    pub(crate) stamp: u64,
}

impl LabelStore {
    pub(crate) fn new(labels: Labels, revision: u64, stamp: u64) -> Self {
        Self { labels, revision, full: None, slabs: Slabs::default(), used: 0, stamp }
    }

    /// Takes over a newer state of which only `bricks` differ.
    pub(crate) fn update(&mut self, gpu: &Gpu, labels: Labels, revision: u64, bricks: &[u32]) {
        self.labels = labels;
        self.revision = revision;
        self.stamp += 1;
        self.slabs.0.retain(|slab| slab.factor == [1; 3]);
        for slab in &self.slabs.0 {
            update_slab(gpu, slab, &self.labels, bricks);
        }
        if self.full.as_ref().is_some_and(|full| !full.update_bricks(gpu, &self.labels, bricks)) {
            self.full = None;
        }
    }

    pub(crate) fn slab(&mut self, gpu: &Gpu, axis: usize, section: usize, clock: u64) -> &Slab {
        let place = match self.slabs.find(axis, section, clock) {
            Some(place) => place,
            None => {
                let slab = label_slab(gpu, &self.labels, axis, section);
                self.slabs.add(slab, clock)
            }
        };
        &self.slabs.0[place]
    }

    pub(crate) fn whole(&mut self, gpu: &Gpu, allowed_bytes: u64, clock: u64) -> &LabelTexture {
        self.used = clock;
        self.full.get_or_insert_with(|| LabelTexture::new(gpu, &self.labels, allowed_bytes))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.full.as_ref().map_or(0, LabelTexture::bytes) + self.slabs.bytes()
    }
}
