//! Labels on the device: whole or a few sections, with brick-wise update so that a stroke shows at once.

use ndarray::Array3;

use super::texture::{Slab, binning, new_texture, slab_box, write_box};
use crate::gpu::Gpu;
use crate::volume::Labels;
use crate::volume::labels::BRICK;

fn bytes_of(ids: &Array3<u16>) -> &[u8] {
    bytemuck::cast_slice(ids.as_slice().unwrap_or(&[]))
}

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
    let texture = new_texture(&gpu.device, "label sections", dims, wgpu::TextureFormat::R16Uint);
    write_box(&gpu.queue, &texture, [0; 3], dims, bytes_of(&ids));
    Slab {
        axis,
        start,
        factor,
        view: texture.create_view(&wgpu::TextureViewDescriptor::default()),
        texture,
        bytes: ids.len() as u64 * 2,
        used: 0,
    }
}

/// Brings changed bricks into a slab; nothing is done for bricks elsewhere.
pub(crate) fn update_slab(gpu: &Gpu, slab: &Slab, labels: &Labels, bricks: &[u32]) {
    let size = slab.texture.size();
    let dims = [size.depth_or_array_layers as usize, size.height as usize, size.width as usize];
    let mut first = [0; 3];
    first[slab.axis] = slab.start;
    update_box(gpu, &slab.texture, labels, bricks, first, dims);
}

/// Writes the part of each brick that lies in a texture of `dims` whose first texel is voxel `first`.
fn update_box(
    gpu: &Gpu,
    texture: &wgpu::Texture,
    labels: &Labels,
    bricks: &[u32],
    first: [usize; 3],
    dims: [usize; 3],
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
        write_box(&gpu.queue, texture, at, part, bytes_of(&ids_of(labels, low, part, [1; 3])));
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
            write_box(&gpu.queue, &texture, [z, 0, 0], part, bytes_of(&ids));
        }
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Self { texture, view, factor, dims }
    }

    /// Brings the bricks at these positions up to date; `false` where a binned texture must be made anew.
    pub fn update_bricks(&self, gpu: &Gpu, labels: &Labels, bricks: &[u32]) -> bool {
        if self.factor != [1; 3] {
            return false;
        }
        update_box(gpu, &self.texture, labels, bricks, [0; 3], self.dims);
        true
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        self.dims.iter().product::<usize>() as u64 * 2
    }
}
