//! Comparing voxels with seeds on a graphics device.
//!
//! The volume goes to the device once, in slabs; every round sends the seeds and, for each bin of 4 × 8 × 8 voxels,
//! which of them reach into it, in order of their number, and fetches the number of the nearest one for every voxel.
//! Candidates, their order and the arithmetic are those of the processor. A driver may round a product and a sum in
//! one step, which the processor does not, so that single voxels between two seeds can go to the other one; moving
//! the seeds, connecting regions and all the rest happen on the processor.
//!
//! Memory on the device: 8 bytes a voxel, some 100 bytes per region.

use std::sync::mpsc;

use super::Seeds;
use crate::base::{Cancelled, Progress};
use crate::gpu::Gpu;
use crate::gpu::compute::{self, largest_buffer};

/// Voxels of a bin along z, y, x: the workgroup of the shader.
const BIN: [usize; 3] = [4, 8, 8];
/// Most bytes of a slab's values.
const SLAB_BYTES: u64 = 64 << 20;

/// Why a device could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CardError {
    /// Its buffers are too small.
    #[error("{needs} bytes are needed in one buffer and it holds {has}")]
    TooSmall { needs: u64, has: u64 },
    /// It failed or is gone.
    #[error("{0}")]
    Lost(String),
    /// Cancelled by the owner.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A seed as the shader sees it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct CardSeed {
    place: [f32; 4],
    window: [u32; 4],
    x_low: u32,
    pad: [u32; 3],
}

/// What the shader knows of a slab.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct CardSlab {
    shape: [u32; 3],
    z0: u32,
    weight: [f32; 4],
    depth: u32,
    bins: [u32; 2],
    first: u32,
}

/// Seeds that reach into each bin, in order of their number, one bin after the other.
pub(super) struct Bins {
    n: [usize; 3],
    starts: Vec<u32>,
    list: Vec<u32>,
}

impl Bins {
    pub(super) fn new(seeds: &Seeds, shape: [usize; 3]) -> Self {
        let n: [usize; 3] = std::array::from_fn(|a| shape[a].div_ceil(BIN[a]));
        let mut starts = vec![0u32; n.iter().product::<usize>() + 1];
        let each = |s: usize, take: &mut dyn FnMut(usize)| {
            let window = seeds.window(s, shape);
            let [z, y, x] = std::array::from_fn(|a| window[a][0] / BIN[a]..=(window[a][1] - 1) / BIN[a]);
            for z in z {
                for y in y.clone() {
                    x.clone().for_each(|x| take((z * n[1] + y) * n[2] + x));
                }
            }
        };
        for s in 0..seeds.zyx.len() {
            each(s, &mut |bin| starts[bin + 1] += 1);
        }
        for bin in 1..starts.len() {
            starts[bin] += starts[bin - 1];
        }
        let mut next = starts.clone();
        let mut list = vec![0; starts.last().copied().unwrap_or(0) as usize];
        for s in 0..seeds.zyx.len() {
            each(s, &mut |bin| {
                list[next[bin] as usize] = s as u32;
                next[bin] += 1;
            });
        }
        Self { n, starts, list }
    }
}

/// Slices of the volume and their values on the device.
struct Slab {
    z0: usize,
    depth: usize,
    values: wgpu::Buffer,
}

/// A volume on a graphics device, ready to be compared with seeds.
pub(super) struct Card<'g> {
    gpu: &'g Gpu,
    shape: [usize; 3],
    weight: [f32; 4],
    pipeline: wgpu::ComputePipeline,
    slabs: Vec<Slab>,
    ids: wgpu::Buffer,
    /// Where the ids are read from.
    landing: wgpu::Buffer,
}

impl<'g> Card<'g> {
    /// Sends the values of a volume; `weight` as in the distance: z, y, x, value.
    pub(super) fn new(
        gpu: &'g Gpu,
        values: &[f32],
        shape: [usize; 3],
        weight: [f32; 4],
    ) -> Result<Self, CardError> {
        let has = largest_buffer(gpu);
        let layer = (BIN[0] * shape[1] * shape[2] * 4) as u64;
        let has_groups = gpu.device.limits().max_compute_workgroups_per_dimension as usize;
        if layer > has || shape[1].div_ceil(BIN[1]).max(shape[2].div_ceil(BIN[2])) > has_groups {
            return Err(CardError::TooSmall { needs: layer, has });
        }
        let depth = BIN[0] * ((SLAB_BYTES.min(has) / layer) as usize).clamp(1, has_groups);
        watched(gpu, || {
            let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some("supervoxels"),
                source: wgpu::ShaderSource::Wgsl(include_str!("compare.wgsl").into()),
            });
            let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some("supervoxels"),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            let slice = shape[1] * shape[2];
            let slabs = (0..shape[0]).step_by(depth).map(|z0| {
                let depth = depth.min(shape[0] - z0);
                let values = &values[z0 * slice..(z0 + depth) * slice];
                Slab {
                    z0,
                    depth,
                    values: filled(gpu, bytemuck::cast_slice(values), wgpu::BufferUsages::STORAGE),
                }
            });
            let buffer = |usage| {
                gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("nearest seeds"),
                    size: (depth.min(shape[0]) * slice * 4) as u64,
                    usage,
                    mapped_at_creation: false,
                })
            };
            Self {
                gpu,
                shape,
                weight,
                pipeline,
                slabs: slabs.collect(),
                ids: buffer(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC),
                landing: buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ),
            }
        })
    }

    /// Writes 1 + the number of the nearest seed of every voxel; 0 where no seed reached.
    pub(super) fn assign(
        &self,
        progress: &Progress,
        seeds: &Seeds,
        ids: &mut [u32],
    ) -> Result<(), CardError> {
        let bins = Bins::new(seeds, self.shape);
        let on_card: Vec<CardSeed> = (0..seeds.zyx.len())
            .map(|s| {
                let ([z, y, x], [wz, wy, wx]) = (seeds.zyx[s], seeds.window(s, self.shape));
                CardSeed {
                    place: [z, y, x, seeds.value[s]],
                    window: [wz[0], wz[1], wy[0], wy[1]].map(|i| i as u32),
                    x_low: wx[0] as u32,
                    pad: [0; 3],
                }
            })
            .collect();
        let per_layer = bins.n[1] * bins.n[2];
        let slice = self.shape[1] * self.shape[2];
        let has = largest_buffer(self.gpu);
        let fits = |bytes: usize| match bytes as u64 {
            needs if needs > has => Err(CardError::TooSmall { needs, has }),
            _ => Ok(()),
        };
        fits(size_of_val(on_card.as_slice()))?;
        let storage = wgpu::BufferUsages::STORAGE;
        let seeds = watched(self.gpu, || filled(self.gpu, bytemuck::cast_slice(&on_card), storage))?;
        for slab in &self.slabs {
            progress.check()?;
            let from = slab.z0 / BIN[0] * per_layer;
            let to = (slab.z0 + slab.depth).div_ceil(BIN[0]) * per_layer;
            let starts = &bins.starts[from..=to];
            let list = &bins.list[bins.starts[from] as usize..bins.starts[to] as usize];
            fits(size_of_val(starts).max(size_of_val(list)))?;
            let about = CardSlab {
                shape: self.shape.map(|n| n as u32),
                z0: slab.z0 as u32,
                weight: self.weight,
                depth: slab.depth as u32,
                bins: [bins.n[1] as u32, bins.n[2] as u32],
                first: bins.starts[from],
            };
            watched(self.gpu, || self.submit(slab, &about, &seeds, starts, list, (to - from) / per_layer))?;
            self.fetch(&mut ids[slab.z0 * slice..(slab.z0 + slab.depth) * slice])?;
        }
        Ok(())
    }

    fn submit(
        &self,
        slab: &Slab,
        about: &CardSlab,
        seeds: &wgpu::Buffer,
        starts: &[u32],
        list: &[u32],
        layers: usize,
    ) {
        let storage = wgpu::BufferUsages::STORAGE;
        let about = filled(self.gpu, bytemuck::bytes_of(about), wgpu::BufferUsages::UNIFORM);
        let starts = filled(self.gpu, bytemuck::cast_slice(starts), storage);
        // A buffer must not be empty.
        let list = filled(self.gpu, bytemuck::cast_slice(if list.is_empty() { &[0] } else { list }), storage);
        let buffers = [&about, &slab.values, seeds, &starts, &list, &self.ids];
        let entries: Vec<wgpu::BindGroupEntry<'_>> = buffers
            .iter()
            .zip(0..)
            .map(|(buffer, binding)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("supervoxels"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &group, &[]);
            let [_, ny, nx] = self.shape;
            pass.dispatch_workgroups(nx.div_ceil(BIN[2]) as u32, ny.div_ceil(BIN[1]) as u32, layers as u32);
        }
        let bytes = (slab.depth * self.shape[1] * self.shape[2] * 4) as u64;
        encoder.copy_buffer_to_buffer(&self.ids, 0, &self.landing, 0, bytes);
        self.gpu.queue.submit([encoder.finish()]);
    }

    /// Waits for a slab and copies its ids.
    fn fetch(&self, ids: &mut [u32]) -> Result<(), CardError> {
        let lost = |error: &dyn std::fmt::Display| CardError::Lost(error.to_string());
        let (tell, told) = mpsc::sync_channel(1);
        let part = self.landing.slice(..size_of_val(ids) as u64);
        part.map_async(wgpu::MapMode::Read, move |mapped| {
            let _ = tell.send(mapped);
        });
        self.gpu.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| lost(&e))?;
        told.recv().map_err(|e| lost(&e))?.map_err(|e| lost(&e))?;
        let mapped = part.get_mapped_range().map_err(|e| lost(&e))?;
        bytemuck::cast_slice_mut::<u32, u8>(ids).copy_from_slice(&mapped);
        drop(mapped);
        self.landing.unmap();
        Ok(())
    }
}

fn filled(gpu: &Gpu, contents: &[u8], usage: wgpu::BufferUsages) -> wgpu::Buffer {
    compute::filled(gpu, "supervoxels", contents, usage)
}

/// Does something on the device and hears what it complains of.
fn watched<T>(gpu: &Gpu, work: impl FnOnce() -> T) -> Result<T, CardError> {
    compute::watched(gpu, work).map_err(CardError::Lost)
}
