//! What the renderer keeps of each volume and label volume: the data's handle and its textures.

use std::sync::Arc;
use std::time::Duration;

use super::label_texture::{LabelTexture, label_slab, update_slab};
use super::texture::{FullTexture, Scale, Slab, binning};
use crate::gpu::Gpu;
use crate::volume::{Labels, Volume};

/// Slabs kept per volume: three axes in a few views, and the ones just scrolled past.
const MAX_SLABS: usize = 8;

/// A set of slabs with the least recently used dropped.
#[derive(Debug, Default)]
struct Slabs(Vec<Slab>);

impl Slabs {
    fn find(&mut self, axis: usize, section: usize, clock: u64) -> Option<usize> {
        let depth = super::texture::SLAB_DEPTH[axis];
        let found = self.0.iter().position(|s| s.axis == axis && s.start == section / depth * depth)?;
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
    /// Clock of the last use of the full texture.
    pub(crate) used: u64,
    /// Changes with every change of content on the device.
    pub(crate) stamp: u64,
}

impl ImageStore {
    pub(crate) fn new(volume: Arc<Volume<f32>>, revision: u64, stamp: u64) -> Self {
        let scale = Scale::for_values(volume.values());
        Self { volume, revision, scale, full: None, slabs: Slabs::default(), used: 0, stamp }
    }

    pub(crate) fn slab(&mut self, gpu: &Gpu, axis: usize, section: usize, clock: u64) -> &Slab {
        let place = match self.slabs.find(axis, section, clock) {
            Some(place) => place,
            None => {
                let slab = Slab::of_volume(gpu, &self.volume, self.scale, axis, section);
                self.slabs.add(slab, clock)
            }
        };
        &self.slabs.0[place]
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

    pub(crate) fn bytes(&self) -> u64 {
        self.full.as_ref().map_or(0, FullTexture::bytes) + self.slabs.bytes()
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
