//! Parts of pyramids on the device: what a view shows, at the level that its pixels need.
//!
//! A [`Section`] is for a slice along the axes; it is drawn while blocks still come, blurred
//! where they are missing. A [`Region`] is a box for everything else; it is drawn once it is whole,
//! and until then the working level is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::level::{LevelBox, SliceNeed};
use super::texture::{FullTexture, Scale, new_texture, on_device, write_box};
use crate::gpu::Gpu;
use crate::volume::{BlockId, Pyramid, Volume};

/// Bytes of a region on a graphics card.
const REGION_BYTES: u64 = 512 << 20;
/// Bytes of a region where the processor draws: more voxels than it can march through in time are of no use.
const SOFTWARE_REGION_BYTES: u64 = 64 << 20;
/// How long a scene has to rest before a region is read for it.
const REST: Duration = Duration::from_millis(120);
/// How long a section waits for more blocks before it is filled again.
const REFILL: Duration = Duration::from_millis(40);

/// Bytes that a region may take on a device.
pub(crate) fn region_bytes(gpu: &Gpu) -> u64 {
    if gpu.is_software() { SOFTWARE_REGION_BYTES } else { REGION_BYTES }
}

/// What the cache of blocks knows a section or region by; nothing is read for it once it is gone.
#[derive(Debug)]
struct Viewer {
    id: u64,
    pyramid: Arc<Pyramid>,
}

impl Viewer {
    fn new(pyramid: &Arc<Pyramid>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), pyramid: Arc::clone(pyramid) }
    }

    fn want(&self, blocks: &[BlockId]) {
        self.pyramid.cache().want(self.id, &self.pyramid, blocks);
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.pyramid.cache().forget(self.id);
    }
}

/// Blocks of a box, those in its middle first.
fn from_the_middle(pyramid: &Pyramid, part: &LevelBox) -> Vec<BlockId> {
    let mut blocks = pyramid.blocks_of(part.level, part.low, part.dims);
    let distance = |block: &BlockId| {
        let (low, dims) = pyramid.block_box(*block);
        (0..3).map(|a| (2 * low[a] + dims[a]).abs_diff(2 * part.low[a] + part.dims[a]).pow(2)).sum::<usize>()
    };
    blocks.sort_by_key(distance);
    blocks
}

/// A section of a level, as far as a slice shows it.
#[derive(Debug)]
pub(crate) struct Section {
    viewer: Viewer,
    pub(crate) part: LevelBox,
    /// Across which it lies: 0, 1, 2 for z, y, x.
    pub(crate) axis: usize,
    pub(crate) view: wgpu::TextureView,
    texture: wgpu::Texture,
    blocks: Vec<BlockId>,
    /// Those of them that are shown from a coarser level. What is on the device stays, whatever becomes of the block.
    pending: Vec<BlockId>,
    arrivals: u64,
    filled: Instant,
}

impl Section {
    /// A section for a need, with what is in memory of it.
    pub(crate) fn new(
        gpu: &Gpu,
        pyramid: &Arc<Pyramid>,
        working: &Volume<f32>,
        scale: Scale,
        (need, axis): (&SliceNeed, usize),
    ) -> Self {
        let part = need.kept;
        let dims = on_device(axis, part.dims);
        let texture = new_texture(&gpu.device, "section", dims, wgpu::TextureFormat::R16Float);
        let mut section = Self {
            viewer: Viewer::new(pyramid),
            part,
            axis,
            view: texture.create_view(&wgpu::TextureViewDescriptor::default()),
            texture,
            blocks: from_the_middle(pyramid, &part),
            pending: Vec::new(),
            arrivals: pyramid.cache().arrivals(),
            filled: Instant::now(),
        };
        let missing = section.draw(gpu, &part, working, scale);
        section.pending = section.blocks.iter().filter(|block| missing.contains(block)).copied().collect();
        section.want();
        section
    }

    /// Takes a part of it to the device; the blocks that were not there.
    fn draw(&self, gpu: &Gpu, part: &LevelBox, working: &Volume<f32>, scale: Scale) -> Vec<BlockId> {
        let mut values = vec![0.0; part.dims.iter().product()];
        let missing = self.viewer.pyramid.fill(part.level, (part.low, part.dims), working, &mut values);
        let at = std::array::from_fn(|a| part.low[a] - self.part.low[a]);
        // One section: turned on the device or not, its values have the same order.
        let (at, dims) = (on_device(self.axis, at), on_device(self.axis, part.dims));
        let texels = scale.stored(&values, dims[2]);
        write_box(&gpu.queue, &self.texture, at, dims, bytemuck::cast_slice(&texels));
        missing
    }

    fn want(&self) {
        if self.pending.is_empty() {
            self.look_ahead();
        } else {
            self.viewer.want(&self.pending);
        }
    }

    /// Wants the sections before and behind, where they are in other blocks: the next that a scroll comes to.
    fn look_ahead(&self) {
        let pyramid = &self.viewer.pyramid;
        let Some(at) = pyramid.levels().get(self.part.level) else { return };
        if pyramid.bytes_of(&self.blocks) * 8 > pyramid.cache().budget() {
            return;
        }
        let n = at.n_blocks()[self.axis];
        let moved = |by: isize| {
            self.blocks.iter().filter_map(move |block| {
                let mut at = block.at;
                at[self.axis] = at[self.axis].checked_add_signed(by).filter(|i| *i < n)?;
                Some(BlockId { at, ..*block })
            })
        };
        self.viewer.want(&moved(1).chain(moved(-1)).collect::<Vec<_>>());
    }

    /// Takes in blocks that have come; whether the picture changes.
    pub(crate) fn refresh(&mut self, gpu: &Gpu, working: &Volume<f32>, scale: Scale) -> bool {
        let pyramid = Arc::clone(&self.viewer.pyramid);
        let cache = pyramid.cache();
        let arrivals = cache.arrivals();
        if self.pending.is_empty() || arrivals == self.arrivals || self.filled.elapsed() < REFILL {
            return false;
        }
        (self.arrivals, self.filled) = (arrivals, Instant::now());
        let missing = cache.missing(pyramid.id(), &self.pending);
        let come: Vec<BlockId> =
            self.pending.iter().filter(|block| !missing.contains(block)).copied().collect();
        let mut gone_again = Vec::new();
        for block in &come {
            let part = self.part.common(&pyramid, *block);
            // What cannot be read stays as the coarser level shows it.
            gone_again.extend(self.draw(gpu, &part, working, scale));
        }
        gone_again.retain(|block| !cache.missing(pyramid.id(), &[*block]).is_empty());
        self.pending.retain(|block| missing.contains(block) || gone_again.contains(block));
        self.want();
        !come.is_empty()
    }

    /// Whether it shows what a need asks for.
    pub(crate) fn serves(&self, need: &SliceNeed, axis: usize) -> bool {
        self.axis == axis && self.part.holds(&need.shown)
    }

    /// Fraction of its blocks that are shown as they are.
    pub(crate) fn loaded(&self) -> f32 {
        1.0 - self.pending.len() as f32 / self.blocks.len().max(1) as f32
    }

    /// Bytes on the device.
    pub(crate) fn bytes(&self) -> u64 {
        self.part.bytes()
    }
}

/// A box of a level on the device.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) part: LevelBox,
    pub(crate) full: FullTexture,
}

/// A box of a level that is being read, layer of blocks by layer of blocks.
#[derive(Debug)]
struct Coming {
    viewer: Viewer,
    part: LevelBox,
    full: FullTexture,
    layer: Option<Layer>,
}

/// The layer of blocks that comes next.
#[derive(Debug)]
struct Layer {
    part: LevelBox,
    /// Its voxels, x fastest: those of blocks that have come, whatever became of the block since.
    values: Vec<f32>,
    pending: Vec<BlockId>,
}

/// What a view shows of a pyramid where it is no section: the box that is drawn, and the one that is coming.
#[derive(Debug)]
pub(crate) struct Region {
    shown: Option<Part>,
    coming: Option<Coming>,
    wanted: Option<LevelBox>,
    /// When what is wanted changed.
    since: Instant,
}

impl Region {
    /// Nothing shown yet.
    pub(crate) fn new() -> Self {
        Self { shown: None, coming: None, wanted: None, since: Instant::now() }
    }

    /// Works towards what a scene wants for about `budget`; whether another box is shown now.
    ///
    /// A scene that moves is not followed: `at_once` says that it does not move.
    pub(crate) fn step(
        &mut self,
        gpu: &Gpu,
        pyramid: &Arc<Pyramid>,
        wanted: Option<LevelBox>,
        (working, scale): (&Volume<f32>, Scale),
        (budget, at_once): (Duration, bool),
    ) -> bool {
        if self.wanted != wanted {
            (self.wanted, self.since) = (wanted, Instant::now());
        }
        let Some(wanted) = wanted else {
            self.coming = None;
            return self.shown.take().is_some();
        };
        if self.shown.as_ref().is_some_and(|shown| shown.part.holds(&wanted)) {
            self.coming = None;
            return false;
        }
        if self.coming.as_ref().is_none_or(|coming| !coming.part.holds(&wanted)) {
            self.coming = None;
            if !at_once && self.since.elapsed() < REST {
                return false;
            }
            self.coming = Some(Coming {
                viewer: Viewer::new(pyramid),
                part: wanted,
                full: FullTexture::new(gpu, wanted.dims, [1; 3]),
                layer: None,
            });
        }
        let is_done = self.coming.as_mut().is_some_and(|coming| coming.step(gpu, (working, scale), budget));
        if is_done && let Some(Coming { part, full, .. }) = self.coming.take() {
            self.shown = Some(Part { part, full });
        }
        is_done
    }

    /// The box that is drawn, where it covers what is wanted: at another level too, while the right one is coming.
    pub(crate) fn shown(&self, pyramid: &Pyramid) -> Option<&Part> {
        let wanted = self.wanted?;
        self.shown.as_ref().filter(|shown| shown.part.covers(&wanted, pyramid))
    }

    /// Whether something is still to come.
    pub(crate) fn is_coming(&self) -> bool {
        self.wanted.is_some_and(|wanted| !self.shown.as_ref().is_some_and(|shown| shown.part.holds(&wanted)))
    }

    /// Bytes on the device.
    pub(crate) fn bytes(&self) -> u64 {
        self.shown.as_ref().map_or(0, |part| part.full.bytes())
            + self.coming.as_ref().map_or(0, |coming| coming.full.bytes())
    }
}

impl Coming {
    /// Uploads layers of blocks that have come; whether the box is whole.
    fn step(&mut self, gpu: &Gpu, (working, scale): (&Volume<f32>, Scale), budget: Duration) -> bool {
        let began = Instant::now();
        let pyramid = Arc::clone(&self.viewer.pyramid);
        while !self.full.is_ready() {
            let mut layer = match self.layer.take() {
                Some(layer) => layer,
                None => self.next_layer(&pyramid, working),
            };
            layer.take_in(&pyramid, working);
            if layer.pending.is_empty() {
                self.full.put(&gpu.queue, &layer.values, scale);
            } else {
                self.viewer.want(&layer.pending);
                self.layer = Some(layer);
                return false;
            }
            if began.elapsed() >= budget {
                break;
            }
        }
        self.full.is_ready()
    }

    /// The layer up to the next face of blocks, with what is in memory of it.
    fn next_layer(&self, pyramid: &Pyramid, working: &Volume<f32>) -> Layer {
        let (z0, [nz, ny, nx]) = (self.full.next_z(), self.part.dims);
        let depth = pyramid.levels().get(self.part.level).map_or(1, |at| at.block[0]);
        let end = (self.part.low[0] + z0) / depth * depth + depth - self.part.low[0];
        let low = [self.part.low[0] + z0, self.part.low[1], self.part.low[2]];
        let part = LevelBox { level: self.part.level, low, dims: [end.min(nz) - z0, ny, nx] };
        let mut values = vec![0.0; part.dims.iter().product()];
        let pending = pyramid.fill(part.level, (part.low, part.dims), working, &mut values);
        Layer { part, values, pending }
    }
}

impl Layer {
    /// Copies blocks that have come since.
    fn take_in(&mut self, pyramid: &Pyramid, working: &Volume<f32>) {
        let missing = pyramid.cache().missing(pyramid.id(), &self.pending);
        let (part, values) = (&self.part, &mut self.values);
        self.pending.retain(|block| {
            if missing.contains(block) {
                return true;
            }
            let inner = part.common(pyramid, *block);
            let mut voxels = vec![0.0; inner.dims.iter().product()];
            let lost = pyramid.fill(inner.level, (inner.low, inner.dims), working, &mut voxels);
            if !pyramid.cache().missing(pyramid.id(), &lost).is_empty() {
                return true;
            }
            // What cannot be read stays as the coarser level shows it.
            let [dz, dy, dx]: [usize; 3] = std::array::from_fn(|a| inner.low[a] - part.low[a]);
            for (i, row) in voxels.chunks_exact(inner.dims[2].max(1)).enumerate() {
                let (z, y) = (dz + i / inner.dims[1], dy + i % inner.dims[1]);
                values[(z * part.dims[1] + y) * part.dims[2] + dx..][..row.len()].copy_from_slice(row);
            }
            false
        });
    }
}
