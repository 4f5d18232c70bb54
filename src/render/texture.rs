//! Volumes on the device: 16-bit floats, binned where too large, uploaded in pieces.
//!
//! Exact f32 stays with the caller for readout; textures hold `(value - add) / mul` as f16, which
//! keeps 11 bits of each value (0.05 %). Values that are not finite are drawn as 0.

use std::sync::{Arc, OnceLock};

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use rayon::prelude::*;

use super::grid::MinMaxGrid;
use super::slice::Bound;
use crate::volume::Volume;

/// How stored numbers become values: `value = stored · mul + add`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) mul: f32,
    pub(crate) add: f32,
}

impl Scale {
    /// Chosen from a sample of the values: none at all where f16 holds them well as they are.
    pub(crate) fn for_values(values: &[f32]) -> Self {
        let stride = (values.len() / 100_003).max(1);
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for value in values.iter().step_by(stride).filter(|v| v.is_finite()) {
            low = low.min(*value);
            high = high.max(*value);
        }
        if low > high {
            return Self { mul: 1.0, add: 0.0 };
        }
        let largest = low.abs().max(high.abs());
        // A narrow band far from zero would lose its contrast in 11 bits.
        let add = if high - low < 0.05 * largest { (low + high) * 0.5 } else { 0.0 };
        let span = (low - add).abs().max((high - add).abs());
        // f16 goes to 65 504 and is even down to 6e-5; the sample may have missed larger values.
        let mul = if (1e-2..4096.0).contains(&span) || span == 0.0 { 1.0 } else { span };
        Self { mul, add }
    }

    /// Rows of `width` values as they are stored.
    pub(crate) fn stored(self, values: &[f32], width: usize) -> Vec<f16> {
        let mut out = vec![f16::ZERO; values.len()];
        let rows = width.max(1) * 16;
        out.par_chunks_mut(rows).zip(values.par_chunks(rows)).for_each(|(out, values)| {
            self.store(values, &mut Vec::new(), out);
        });
        out
    }

    fn store(self, row: &[f32], scratch: &mut Vec<f32>, out: &mut [f16]) {
        scratch.clear();
        let inverse = 1.0 / self.mul;
        scratch.extend(row.iter().map(|v| (if v.is_finite() { *v } else { 0.0 } - self.add) * inverse));
        out.convert_from_f32_slice(scratch);
    }
}

/// Smallest equal binning at which a volume keeps to the device's limit and to a byte budget.
pub(crate) fn binning(shape_zyx: [usize; 3], limit: u32, budget_bytes: u64) -> [usize; 3] {
    let mut factor = 1;
    loop {
        let factors = shape_zyx.map(|n| factor.min(n.max(1)));
        let dims: [usize; 3] = std::array::from_fn(|a| shape_zyx[a].div_ceil(factors[a]));
        let bytes = dims.iter().product::<usize>() as u64 * 2;
        let fits = dims.iter().all(|n| *n <= limit as usize) && bytes <= budget_bytes;
        if fits || dims == [1; 3] {
            return factors;
        }
        factor += 1;
    }
}

/// Texels of a box of a volume at a binning, as rows of f32 handed to `use_row(z, y, row)`.
struct Block<'a> {
    volume: &'a Volume<f32>,
    /// First texel and number of texels, z, y, x.
    low: [usize; 3],
    dims: [usize; 3],
    factor: [usize; 3],
}

impl Block<'_> {
    /// The row at (z, y) of the block; `sum` is scratch space.
    fn row<'s>(&'s self, z: usize, y: usize, sum: &'s mut Vec<f32>) -> &'s [f32] {
        let [nz, ny, nx] = self.volume.shape();
        let values = self.volume.values();
        let [fz, fy, fx] = self.factor;
        let (z0, y0, x0) = ((self.low[0] + z) * fz, (self.low[1] + y) * fy, self.low[2] * fx);
        if self.factor == [1; 3] {
            let start = (z0 * ny + y0) * nx + x0;
            return &values[start..start + self.dims[2]];
        }
        sum.clear();
        sum.resize(self.dims[2], 0.0);
        let (z1, y1) = ((z0 + fz).min(nz), (y0 + fy).min(ny));
        for zz in z0..z1 {
            for yy in y0..y1 {
                let line = &values[(zz * ny + yy) * nx..][..nx];
                for (out, bin) in sum.iter_mut().zip(line[x0..].chunks(fx)) {
                    *out += bin.iter().sum::<f32>() / bin.len() as f32;
                }
            }
        }
        let scale = 1.0 / ((z1 - z0) * (y1 - y0)) as f32;
        sum.iter_mut().for_each(|v| *v *= scale);
        sum
    }

    /// All texels as f16.
    fn stored(&self, scale: Scale) -> Vec<f16> {
        let [_, ny, nx] = self.dims;
        let mut out = vec![f16::ZERO; self.dims.iter().product()];
        out.par_chunks_mut((nx * 16).max(1)).enumerate().for_each(|(chunk, texels)| {
            let (mut sum, mut scratch) = (Vec::new(), Vec::new());
            for (i, texels) in texels.chunks_mut(nx).enumerate() {
                let line = chunk * 16 + i;
                scale.store(self.row(line / ny, line % ny, &mut sum), &mut scratch, texels);
            }
        });
        out
    }

    /// The same with y and x in each other's place.
    fn stored_turned(&self, scale: Scale) -> Vec<f16> {
        let [_, ny, nx] = self.dims;
        let mut out = vec![f16::ZERO; self.dims.iter().product()];
        out.par_chunks_mut((ny * nx).max(1)).enumerate().for_each(|(z, texels)| {
            let (mut sum, mut scratch, mut plane) = (Vec::new(), Vec::new(), vec![0.0; ny * nx]);
            for y in 0..ny {
                for (x, value) in self.row(z, y, &mut sum).iter().enumerate() {
                    plane[x * ny + y] = *value;
                }
            }
            scale.store(&plane, &mut scratch, texels);
        });
        out
    }
}

/// A 3-D texture for `dims` (z, y, x).
pub(crate) fn new_texture(
    device: &wgpu::Device,
    label: &str,
    dims: [usize; 3],
    format: wgpu::TextureFormat,
) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some(label),
        size: extent(dims),
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D3,
        format,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}

fn extent([z, y, x]: [usize; 3]) -> wgpu::Extent3d {
    wgpu::Extent3d { width: x as u32, height: y as u32, depth_or_array_layers: z as u32 }
}

/// Writes a box of texels, x fastest.
pub(crate) fn write_box(
    queue: &wgpu::Queue,
    texture: &wgpu::Texture,
    low: [usize; 3],
    dims: [usize; 3],
    bytes: &[u8],
) {
    let row_bytes = bytes.len() / (dims[0] * dims[1]).max(1);
    queue.write_texture(
        wgpu::TexelCopyTextureInfo {
            texture,
            mip_level: 0,
            origin: wgpu::Origin3d { x: low[2] as u32, y: low[1] as u32, z: low[0] as u32 },
            aspect: wgpu::TextureAspect::All,
        },
        bytes,
        wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(row_bytes as u32),
            rows_per_image: Some(dims[1] as u32),
        },
        extent(dims),
    );
}

/// A few sections of a volume, at full resolution, for slices perpendicular to an axis.
#[derive(Debug)]
pub(crate) struct Slab {
    /// 0, 1, 2 for z, y, x.
    pub(crate) axis: usize,
    /// First section.
    pub(crate) start: usize,
    /// Binning within the section, where it is wider than the device allows; 1 along the axis.
    pub(crate) factor: [usize; 3],
    /// Texels along z, y, x of the volume.
    pub(crate) dims: [usize; 3],
    pub(crate) view: wgpu::TextureView,
    pub(crate) texture: wgpu::Texture,
    pub(crate) bytes: u64,
    /// Clock of the last use.
    pub(crate) used: u64,
}

/// Sections kept together along each axis (z, y, x). Along x one section costs as much memory
/// traffic as eight, since they share cache lines.
pub(crate) const SLAB_DEPTH: [usize; 3] = [1, 1, 8];

/// First section of the slab that holds a section along `axis`.
pub(crate) fn slab_start(axis: usize, section: usize) -> usize {
    section / SLAB_DEPTH[axis] * SLAB_DEPTH[axis]
}

/// Whether sections across an axis lie turned on the device.
pub(crate) fn is_turned(axis: usize) -> bool {
    axis == 2
}

/// Sides or places (z, y, x) with y and x in each other's place, as sections across x lie on the device: it pads rows of
/// one voxel to many times their size.
pub(crate) fn turned([z, y, x]: [usize; 3]) -> [usize; 3] {
    [z, x, y]
}

/// Sides or places (z, y, x) as sections across an axis have them on the device.
pub(crate) fn on_device(axis: usize, zyx: [usize; 3]) -> [usize; 3] {
    if is_turned(axis) { turned(zyx) } else { zyx }
}

/// Place, size and binning of the slab that holds section `section` along `axis`.
pub(crate) fn slab_box(
    shape_zyx: [usize; 3],
    axis: usize,
    section: usize,
    limit: u32,
) -> (usize, [usize; 3], [usize; 3]) {
    let start = slab_start(axis, section);
    let factor: [usize; 3] =
        std::array::from_fn(|a| if a == axis { 1 } else { shape_zyx[a].div_ceil(limit.max(1) as usize) });
    let dims: [usize; 3] = std::array::from_fn(|a| {
        if a == axis { SLAB_DEPTH[axis].min(shape_zyx[a] - start) } else { shape_zyx[a].div_ceil(factor[a]) }
    });
    (start, dims, factor)
}

impl Slab {
    /// The slab as the shader has to know it.
    pub(crate) fn bound(&self) -> Bound {
        Bound { factor: self.factor, first: self.first(), is_turned: is_turned(self.axis) }
    }

    /// Its first voxel, z, y, x.
    pub(crate) fn first(&self) -> [usize; 3] {
        let mut first = [0; 3];
        first[self.axis] = self.start;
        first
    }
}

/// Texels of a slab on their way to the device.
#[derive(Debug)]
pub(crate) struct SlabTexels {
    axis: usize,
    start: usize,
    factor: [usize; 3],
    dims: [usize; 3],
    texels: Vec<f16>,
}

impl SlabTexels {
    /// Extracts the slab that holds `section`.
    pub(crate) fn of_volume(
        volume: &Volume<f32>,
        scale: Scale,
        (axis, section): (usize, usize),
        limit: u32,
    ) -> Self {
        let (start, dims, factor) = slab_box(volume.shape(), axis, section, limit);
        let mut low = [0; 3];
        low[axis] = start;
        let block = Block { volume, low, dims, factor };
        let texels = if is_turned(axis) { block.stored_turned(scale) } else { block.stored(scale) };
        Self { axis, start, factor, dims, texels }
    }

    /// Uploads it.
    pub(crate) fn to_device(&self, gpu: &crate::gpu::Gpu) -> Slab {
        let sides = on_device(self.axis, self.dims);
        let texture = new_texture(&gpu.device, "sections", sides, wgpu::TextureFormat::R16Float);
        write_box(&gpu.queue, &texture, [0; 3], sides, bytemuck::cast_slice(&self.texels));
        Slab {
            axis: self.axis,
            start: self.start,
            factor: self.factor,
            dims: self.dims,
            view: texture.create_view(&wgpu::TextureViewDescriptor::default()),
            texture,
            bytes: self.texels.len() as u64 * 2,
            used: 0,
        }
    }
}

/// The slab that a scroll comes to next, extracted beside the drawing: across x every row of voxels is another page of
/// memory, which takes longer than a frame.
#[derive(Debug)]
pub(crate) struct SlabAhead {
    axis: usize,
    start: usize,
    texels: Arc<OnceLock<SlabTexels>>,
}

impl SlabAhead {
    /// Begins to extract the slab that holds `section`.
    pub(crate) fn begin(
        volume: &Arc<Volume<f32>>,
        scale: Scale,
        (axis, section): (usize, usize),
        limit: u32,
    ) -> Self {
        let (start, _, _) = slab_box(volume.shape(), axis, section, limit);
        let texels = Arc::new(OnceLock::new());
        let (volume, place) = (Arc::clone(volume), Arc::clone(&texels));
        rayon::spawn(move || {
            place.get_or_init(|| SlabTexels::of_volume(&volume, scale, (axis, section), limit));
        });
        Self { axis, start, texels }
    }

    /// Whether it holds a section.
    pub(crate) fn holds(&self, axis: usize, section: usize) -> bool {
        self.axis == axis && self.start == slab_start(axis, section)
    }

    /// The slab, once it is there.
    pub(crate) fn wait(&self) -> &SlabTexels {
        self.texels.wait()
    }
}

/// A whole volume on the device, perhaps binned, perhaps still being uploaded.
#[derive(Debug)]
pub(crate) struct FullTexture {
    pub(crate) texture: wgpu::Texture,
    pub(crate) view: wgpu::TextureView,
    /// Voxels averaged into a texel along z, y, x.
    pub(crate) factor: [usize; 3],
    /// Texels along z, y, x.
    pub(crate) dims: [usize; 3],
    /// Range of values by brick.
    pub(crate) grid: MinMaxGrid,
    next_z: usize,
}

impl FullTexture {
    /// An empty texture for `shape` at a binning.
    pub(crate) fn new(gpu: &crate::gpu::Gpu, shape_zyx: [usize; 3], factor: [usize; 3]) -> Self {
        let dims: [usize; 3] = std::array::from_fn(|a| shape_zyx[a].div_ceil(factor[a]));
        let texture = new_texture(&gpu.device, "volume", dims, wgpu::TextureFormat::R16Float);
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Self { texture, view, factor, dims, grid: MinMaxGrid::new(dims), next_z: 0 }
    }

    /// Bytes on the device.
    pub(crate) fn bytes(&self) -> u64 {
        self.dims.iter().product::<usize>() as u64 * 2
    }

    /// Fraction uploaded.
    pub(crate) fn loaded(&self) -> f32 {
        self.next_z as f32 / self.dims[0].max(1) as f32
    }

    /// Whether everything is there.
    pub(crate) fn is_ready(&self) -> bool {
        self.next_z >= self.dims[0]
    }

    /// The first plane that is not there.
    pub(crate) fn next_z(&self) -> usize {
        self.next_z
    }

    /// Takes the next planes as they are, x fastest.
    pub(crate) fn put(&mut self, queue: &wgpu::Queue, planes: &[f32], scale: Scale) {
        let [_, ny, nx] = self.dims;
        let n = planes.len() / (ny * nx).max(1);
        let texels = scale.stored(planes, nx);
        write_box(queue, &self.texture, [self.next_z, 0, 0], [n, ny, nx], bytemuck::cast_slice(&texels));
        self.grid.add_planes(self.next_z, n, |z, y, _, take| take(&planes[(z * ny + y) * nx..][..nx]));
        self.next_z += n;
    }

    /// Uploads pieces until `budget` is spent or everything is there; at least one piece.
    pub(crate) fn upload(
        &mut self,
        queue: &wgpu::Queue,
        volume: &Volume<f32>,
        scale: Scale,
        budget: std::time::Duration,
    ) {
        let began = std::time::Instant::now();
        // About 4 MiB a piece: large enough for both copies to run at memory speed.
        let per_piece = ((2 << 20) / (self.dims[1] * self.dims[2]).max(1)).max(1);
        while !self.is_ready() {
            let z0 = self.next_z;
            let z1 = (z0 + per_piece).min(self.dims[0]);
            let dims = [z1 - z0, self.dims[1], self.dims[2]];
            let block = Block { volume, low: [z0, 0, 0], dims, factor: self.factor };
            let texels = block.stored(scale);
            write_box(queue, &self.texture, [z0, 0, 0], dims, bytemuck::cast_slice(&texels));
            self.grid.add_planes(z0, dims[0], |z, y, sum, take| take(block.row(z, y, sum)));
            self.next_z = z1;
            if began.elapsed() >= budget {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Unit;
    use ndarray::Array3;

    #[test]
    fn binning_keeps_to_limit_and_budget() {
        assert_eq!(binning([512, 512, 512], 2048, 1 << 30), [1, 1, 1]);
        assert_eq!(binning([100, 3000, 3000], 2048, 1 << 40), [2, 2, 2]);
        assert_eq!(binning([1, 4096, 4096], 2048, 1 << 40), [1, 2, 2]);
        let factor = binning([1024, 1024, 1024], 2048, 256 << 20);
        assert_eq!(factor, [2, 2, 2], "2 GiB into 256 MiB");
    }

    #[test]
    fn values_far_from_zero_or_large_keep_their_contrast() {
        for (low, high) in [(0.05f32, 0.8f32), (9990.0, 10010.0), (0.0, 1e7), (-1e-6, 1e-6)] {
            let values: Vec<f32> = (0..=1000).map(|i| low + (high - low) * i as f32 / 1000.0).collect();
            let scale = Scale::for_values(&values);
            let mut stored = vec![f16::ZERO; values.len()];
            scale.store(&values, &mut Vec::new(), &mut stored);
            let worst = values
                .iter()
                .zip(&stored)
                .map(|(v, s)| (s.to_f32() * scale.mul + scale.add - v).abs())
                .fold(0.0, f32::max);
            // 11 bits of the larger end, half a step.
            assert!(worst <= (high - low) / 2000.0, "{low}..{high}: {worst}");
        }
    }

    #[test]
    fn binned_texels_are_means_and_partial_bins_count_what_is_there() {
        let volume = Volume::new(
            Array3::from_shape_fn((2, 3, 5), |(z, y, x)| (100 * z + 10 * y + x) as f32),
            None,
            Unit::Arbitrary,
        );
        let block = Block { volume: &volume, low: [0; 3], dims: [1, 2, 3], factor: [2, 2, 2] };
        let mut sum = Vec::new();
        assert_eq!(block.row(0, 0, &mut sum), [55.5, 57.5, 59.0]);
        assert_eq!(block.row(0, 1, &mut sum), [70.5, 72.5, 74.0]);
    }
}
