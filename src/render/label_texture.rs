//! Labels on the device: whole or a few sections, with brick-wise update so that a stroke shows at once.

use ndarray::{Array3, ArrayView3};

use super::texture::{Slab, binning, is_turned, new_texture, on_device, slab_box, turned, write_box};
use crate::gpu::Gpu;
use crate::volume::Labels;
use crate::volume::labels::BRICK;

/// Ids of a box of texels; with binning the id in the middle of each bin.
fn ids_of(labels: &Labels, low: [usize; 3], dims: [usize; 3], factor: [usize; 3]) -> Array3<u16> {
    if factor == [1; 3] {
        let mut ids = Array3::zeros(dims);
        labels.copy_box(low, &mut ids);
        return ids;
    }
    let place = |a: usize, i: usize| (low[a] + i) * factor[a] + factor[a] / 2;
    Array3::from_shape_fn(dims, |(z, y, x)| labels.get([place(0, z), place(1, y), place(2, x)]))
}

/// Extracts and uploads the sections around `section` along `axis`.
pub(crate) fn label_slab(gpu: &Gpu, labels: &Labels, axis: usize, section: usize) -> Slab {
    let (start, dims, factor) = slab_box(labels.shape(), axis, section, gpu.info.max_texture_3d);
    let mut low = [0; 3];
    low[axis] = start;
    let ids = ids_of(labels, low, dims, factor);
    let sides = on_device(axis, dims);
    let texture = new_texture(&gpu.device, "label sections", sides, wgpu::TextureFormat::R16Uint);
    write_ids(gpu, &texture, [0; 3], ids.view(), is_turned(axis));
    Slab {
        axis,
        start,
        factor,
        dims,
        view: texture.create_view(&wgpu::TextureViewDescriptor::default()),
        texture,
        bytes: ids.len() as u64 * 2,
        used: 0,
    }
}

/// Brings changed bricks into a slab; nothing is done for bricks elsewhere.
pub(crate) fn update_slab(gpu: &Gpu, slab: &Slab, labels: &Labels, bricks: &[u32]) {
    update_box(gpu, &slab.texture, labels, bricks, (slab.first(), slab.dims, is_turned(slab.axis)));
}

/// Writes ids to a place (z, y, x) of a texture that may lie turned.
fn write_ids(
    gpu: &Gpu,
    texture: &wgpu::Texture,
    mut at: [usize; 3],
    mut ids: ArrayView3<'_, u16>,
    is_turned: bool,
) {
    if is_turned {
        at = turned(at);
        ids.swap_axes(1, 2);
    }
    let ids = ids.as_standard_layout();
    let bytes = bytemuck::cast_slice(ids.as_slice().unwrap_or(&[]));
    write_box(&gpu.queue, texture, at, ids.dim().into(), bytes);
}

/// Writes the part of each brick that lies in a texture of `dims` whose first texel is voxel `first`; it may lie turned.
fn update_box(
    gpu: &Gpu,
    texture: &wgpu::Texture,
    labels: &Labels,
    bricks: &[u32],
    (first, dims, is_turned): ([usize; 3], [usize; 3], bool),
) {
    for brick in bricks.iter().map(|b| *b as usize).filter(|b| *b < labels.n_bricks()) {
        let origin = labels.brick_origin(brick);
        let low: [usize; 3] = std::array::from_fn(|a| origin[a].max(first[a]));
        let high: [usize; 3] = std::array::from_fn(|a| (origin[a] + BRICK).min(first[a] + dims[a]));
        if (0..3).any(|a| low[a] >= high[a]) {
            continue;
        }
        let part: [usize; 3] = std::array::from_fn(|a| high[a] - low[a]);
        let at: [usize; 3] = std::array::from_fn(|a| low[a] - first[a]);
        write_ids(gpu, texture, at, ids_of(labels, low, part, [1; 3]).view(), is_turned);
    }
}

/// A whole label volume on the device, perhaps binned.
#[derive(Debug)]
pub struct LabelTexture {
    texture: wgpu::Texture,
    pub(crate) view: wgpu::TextureView,
    /// Voxels per texel along z, y, x; the middle one is shown.
    pub(crate) factor: [usize; 3],
    pub(crate) dims: [usize; 3],
}

impl LabelTexture {
    /// Uploads everything, binned to keep to the device's limit and to `budget_bytes`.
    pub fn new(gpu: &Gpu, labels: &Labels, budget_bytes: u64) -> Self {
        let factor = binning(labels.shape(), gpu.info.max_texture_3d, budget_bytes);
        let dims: [usize; 3] = std::array::from_fn(|a| labels.shape()[a].div_ceil(factor[a]));
        let texture = new_texture(&gpu.device, "labels", dims, wgpu::TextureFormat::R16Uint);
        // In pieces of a brick's depth: the staging copy stays small.
        for z in (0..dims[0]).step_by(BRICK) {
            let part = [BRICK.min(dims[0] - z), dims[1], dims[2]];
            let ids = ids_of(labels, [z, 0, 0], part, factor);
            write_ids(gpu, &texture, [z, 0, 0], ids.view(), false);
        }
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Self { texture, view, factor, dims }
    }

    /// Brings the bricks at these positions up to date; `false` where a binned texture must be made anew.
    pub fn update_bricks(&self, gpu: &Gpu, labels: &Labels, bricks: &[u32]) -> bool {
        if self.factor != [1; 3] {
            return false;
        }
        update_box(gpu, &self.texture, labels, bricks, ([0; 3], self.dims, false));
        true
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        self.dims.iter().product::<usize>() as u64 * 2
    }
}
