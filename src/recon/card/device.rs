//! Buffers and shaders of one reconstruction on a device.

use std::sync::mpsc;
use std::time::Duration;

use ndarray::ArrayViewMut3;
use rayon::prelude::*;

use super::CardError;
use super::feed::{Feed, Kernel, Work, params_buffer};
use super::place::{CardView, Params, card_views};
use crate::gpu::Gpu;
use crate::gpu::compute::{filled, largest_buffer, watched};
use crate::kernels::lanes::{LANES, LanePlane, Lanes, MARGIN, line_stride};
use crate::kernels::projector::{Footprint, ParallelGeometry};

/// Bytes of the section on the device and of a result on its way back, unless two planes take more.
const SECTION_BYTES: u64 = 512 << 20;
const LANDING_BYTES: u64 = 128 << 20;
/// Bytes of a group of rows.
const GROUP_BYTES: u64 = size_of::<Lanes>() as u64;
/// How long a device that says it is done may keep a result to itself.
const PATIENCE: Duration = Duration::from_secs(10);
/// Columns of a tile of the forward projector, voxels along each edge of one of the back projector.
const TILE_COLUMNS: usize = 64;
const TILE_VOXELS: usize = 8;

/// Which part of the section is the result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) z0: usize,
    pub(super) x0: usize,
    pub(super) depth: usize,
    pub(super) width: usize,
}

/// What a reconstruction needs on the device.
#[derive(Clone, Copy)]
pub(super) struct Wants<'a> {
    pub(super) geometry: &'a ParallelGeometry,
    pub(super) footprint: Footprint,
    pub(super) window: Window,
    /// Slabs of sixteen rows that there are.
    pub(super) n_slabs: usize,
    /// Groups of views that each have weights for the voxels; 0 for one back projection without weights.
    pub(super) subsets: usize,
    /// Bytes that results on their way back may take in the memory of the processor, if two planes do not take more.
    pub(super) room: u64,
}

/// A device ready to reconstruct slabs.
pub(super) struct Card<'g> {
    pub(super) gpu: &'g Gpu,
    geometry: ParallelGeometry,
    window: Window,
    /// Slabs of sixteen rows that are worked on together: an even number, or one.
    pub(super) n_planes: usize,
    about: Params,
    pub(super) project: Kernel,
    pub(super) compare: Kernel,
    pub(super) smear: Kernel,
    pub(super) correct: Kernel,
    pub(super) weigh: Kernel,
    pub(super) params: wgpu::Buffer,
    pub(super) section: wgpu::Buffer,
    pub(super) measured: wgpu::Buffer,
    /// Projections that the back projector reads.
    pub(super) sino: wgpu::Buffer,
    pub(super) ray_weights: wgpu::Buffer,
    pub(super) voxel_weights: wgpu::Buffer,
    landings: [wgpu::Buffer; 2],
}

/// A slab on its way back.
pub(super) struct Landing {
    number: usize,
    submission: wgpu::SubmissionIndex,
    told: mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

/// Bytes of a result of sixteen rows.
fn plane_bytes(depth: usize, width: usize) -> u64 {
    (depth * width) as u64 * GROUP_BYTES
}

fn buffer(gpu: &Gpu, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes.max(16),
        usage,
        mapped_at_creation: false,
    })
}

/// A shader module and the kernels in it; `writes` tells of each buffer after the parameters whether it is written.
fn kernels<const N: usize>(
    gpu: &Gpu,
    source: &str,
    entries: [&str; N],
    params: &wgpu::Buffer,
    buffers: &[(&wgpu::Buffer, bool)],
) -> [Kernel; N] {
    let device = &gpu.device;
    let slot = |binding: u32, read_only: bool, dynamic: bool| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only },
            has_dynamic_offset: dynamic,
            min_binding_size: None,
        },
        count: None,
    };
    let slots: Vec<_> = std::iter::once(slot(0, true, true))
        .chain((1..).zip(buffers).map(|(binding, (_, written))| slot(binding, !written, false)))
        .collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("reconstruction"),
        entries: &slots,
    });
    let about = wgpu::BufferBinding {
        buffer: params,
        offset: 0,
        size: std::num::NonZeroU64::new(size_of::<Params>() as u64),
    };
    let resources: Vec<_> = std::iter::once(wgpu::BindingResource::Buffer(about))
        .chain(buffers.iter().map(|(buffer, _)| buffer.as_entire_binding()))
        .zip(0..)
        .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource })
        .collect();
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("reconstruction"),
        layout: &layout,
        entries: &resources,
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("reconstruction"),
        bind_group_layouts: &[Some(&layout)],
        ..Default::default()
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("reconstruction"),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    entries.map(|entry| Kernel {
        group: group.clone(),
        pipeline: device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        }),
    })
}

/// Parameters that do not change during a reconstruction.
fn about(geometry: &ParallelGeometry) -> Params {
    let (section_stride, sino_stride) = (line_stride(geometry.width), line_stride(geometry.n_cols));
    Params {
        deep: geometry.depth as u32,
        wide: geometry.width as u32,
        n_cols: geometry.n_cols as u32,
        section_stride: section_stride as u32,
        section_plane: (section_stride * (geometry.depth + 2 * MARGIN)) as u32,
        section_first: (MARGIN * section_stride + MARGIN) as u32,
        sino_stride: sino_stride as u32,
        sino_plane: (sino_stride * geometry.n_views()) as u32,
        ..Params::default()
    }
}

impl<'g> Card<'g> {
    /// Makes room on the device for as many slabs as it takes well.
    pub(super) fn new(gpu: &'g Gpu, wants: &Wants<'_>) -> Result<Self, CardError> {
        let geometry = wants.geometry;
        let limits = gpu.device.limits();
        let about = about(geometry);
        let has = largest_buffer(gpu);
        let section = u64::from(about.section_plane) * GROUP_BYTES;
        let sino = u64::from(about.sino_plane) * GROUP_BYTES;
        let weights = (geometry.depth * geometry.width * wants.subsets * size_of::<f32>()) as u64;
        let needs = section.max(sino).max(weights);
        if needs > has {
            return Err(CardError::TooSmall { needs, has });
        }
        let buffers = limits.max_storage_buffers_per_shader_stage;
        let invocations = limits.max_compute_invocations_per_workgroup;
        if buffers < 6 || invocations < 256 {
            let takes = format!("{buffers} buffers and {invocations} invocations where 6 and 256 are needed");
            return Err(CardError::Lacks(takes));
        }
        let landing = plane_bytes(wants.window.depth, wants.window.width);
        let wanted =
            (SECTION_BYTES / section.max(sino)).min(wants.room.min(2 * LANDING_BYTES) / (2 * landing)).max(2);
        let n_planes = match (wanted.min(has / section.max(sino)) as usize, wants.n_slabs) {
            (_, 1) | (..=1, _) => 1,
            (most, n_slabs) => (most / 2 * 2).min(n_slabs.next_multiple_of(2)),
        };
        let made = watched(gpu, || Self::with_planes(gpu, wants, about, n_planes));
        // A device that is short of memory may still take the least.
        let made = if made.is_err() && n_planes > 1 {
            watched(gpu, || Self::with_planes(gpu, wants, about, 1))
        } else {
            made
        };
        made.map_err(CardError::Lost)
    }

    fn with_planes(gpu: &'g Gpu, wants: &Wants<'_>, about: Params, n_planes: usize) -> Self {
        use wgpu::BufferUsages as Usage;
        let Wants { geometry, window, .. } = *wants;
        let planes = |groups: u32| n_planes as u64 * u64::from(groups) * GROUP_BYTES;
        let stored = Usage::STORAGE | Usage::COPY_DST;
        let iterates = wants.subsets > 0;
        let f32s = |n: usize| if iterates { (n * size_of::<f32>()) as u64 } else { 0 };
        let views: Vec<CardView> = card_views(geometry, wants.footprint);
        let views = filled(gpu, "views", bytemuck::cast_slice(&views), Usage::STORAGE);
        let params = params_buffer(gpu);
        let section = buffer(gpu, "section", planes(about.section_plane), stored | Usage::COPY_SRC);
        let sino = buffer(gpu, "projections", planes(about.sino_plane), stored | Usage::COPY_SRC);
        let measured = buffer(gpu, "measured", if iterates { planes(about.sino_plane) } else { 0 }, stored);
        let ray_weights = buffer(gpu, "ray weights", f32s(geometry.n_views() * geometry.n_cols), stored);
        let n_voxels = geometry.depth * geometry.width * wants.subsets;
        let voxel_weights = buffer(gpu, "voxel weights", f32s(n_voxels), stored);
        let [project, compare] = kernels(
            gpu,
            concat!(include_str!("common.wgsl"), include_str!("forward.wgsl")),
            ["project", "compare"],
            &params,
            &[(&views, false), (&section, false), (&measured, false), (&ray_weights, false), (&sino, true)],
        );
        let [smear, correct, weigh] = kernels(
            gpu,
            concat!(include_str!("common.wgsl"), include_str!("back.wgsl")),
            ["smear", "correct", "weigh"],
            &params,
            &[(&views, false), (&sino, false), (&voxel_weights, true), (&section, true)],
        );
        let bytes = n_planes as u64 * plane_bytes(window.depth, window.width);
        let landing = || buffer(gpu, "landing", bytes, Usage::COPY_DST | Usage::MAP_READ);
        Self {
            gpu,
            geometry: geometry.clone(),
            window,
            n_planes,
            about,
            project,
            compare,
            smear,
            correct,
            weigh,
            params,
            section,
            measured,
            sino,
            ray_weights,
            voxel_weights,
            landings: [landing(), landing()],
        }
    }

    /// An empty plane of projections on this side.
    pub(super) fn new_sinogram(&self) -> LanePlane {
        LanePlane::sinogram(self.geometry.n_views(), self.geometry.n_cols)
    }

    /// An empty plane of the section on this side.
    pub(super) fn new_section(&self) -> LanePlane {
        LanePlane::section(self.geometry.depth, self.geometry.width)
    }

    /// Sends a plane; what was handed over before is computed before it is there.
    pub(super) fn send(
        &self,
        buffer: &wgpu::Buffer,
        index: usize,
        plane: &LanePlane,
    ) -> Result<(), CardError> {
        let bytes: &[u8] = bytemuck::cast_slice(plane.groups());
        watched(self.gpu, || self.gpu.queue.write_buffer(buffer, (index * bytes.len()) as u64, bytes))
            .map_err(CardError::Lost)
    }

    /// Sends numbers.
    pub(super) fn send_values(
        &self,
        buffer: &wgpu::Buffer,
        first: usize,
        values: &[f32],
    ) -> Result<(), CardError> {
        let at = (first * size_of::<f32>()) as u64;
        watched(self.gpu, || self.gpu.queue.write_buffer(buffer, at, bytemuck::cast_slice(values)))
            .map_err(CardError::Lost)
    }

    /// Work of a forward kernel on views `first..first + n`.
    pub(super) fn along_rays<'a>(&self, kernel: &'a Kernel, first: usize, n: usize) -> Work<'a> {
        let across = self.geometry.n_cols.div_ceil(TILE_COLUMNS);
        let steps = self.geometry.depth.min(self.geometry.width);
        let params =
            Params { tiles_across: across as u32, first_view: first as u32, n_views: n as u32, ..self.about };
        self.work(kernel, params, across * n, TILE_COLUMNS * steps)
    }

    /// Work of a back kernel with views `first..first + n`, weights of voxels from `weights_at` on, and the number that
    /// the kernel takes.
    pub(super) fn over_voxels<'a>(
        &self,
        kernel: &'a Kernel,
        [first, n]: [usize; 2],
        weights_at: usize,
        scalar: f32,
    ) -> Work<'a> {
        let across = self.geometry.width.div_ceil(TILE_VOXELS);
        let params = Params {
            tiles_across: across as u32,
            first_view: first as u32,
            n_views: n as u32,
            weights_at: weights_at as u32,
            scalar,
            ..self.about
        };
        let tiles = across * self.geometry.depth.div_ceil(TILE_VOXELS);
        self.work(kernel, params, tiles, TILE_VOXELS * TILE_VOXELS * n)
    }

    fn work<'a>(&self, kernel: &'a Kernel, params: Params, tiles: usize, updates: usize) -> Work<'a> {
        let updates = (updates * LANES * self.n_planes.max(2)) as f64;
        // One plane is its own second.
        let params = match self.n_planes {
            1 => Params { section_plane: 0, sino_plane: 0, ..params },
            _ => params,
        };
        Work { kernel, params, tiles: tiles as u32, pairs: self.n_planes.div_ceil(2) as u32, updates }
    }

    /// Ends a slab: its result goes to landing `number`.
    pub(super) fn land(&self, feed: &mut Feed<'_>, number: usize) -> Result<Landing, CardError> {
        let Window { z0, x0, depth, width } = self.window;
        let landing = &self.landings[number % 2];
        let Params { section_plane, section_first, section_stride, .. } = self.about;
        let at = |plane: usize, z: usize| {
            let line = section_first as usize + (z0 + z) * section_stride as usize + x0;
            (plane * section_plane as usize + line) as u64 * GROUP_BYTES
        };
        let submission = feed.submit_with(|encoder| {
            for plane in 0..self.n_planes {
                for z in 0..depth {
                    let to = ((plane * depth + z) * width) as u64 * GROUP_BYTES;
                    let bytes = width as u64 * GROUP_BYTES;
                    encoder.copy_buffer_to_buffer(&self.section, at(plane, z), landing, to, bytes);
                }
            }
        })?;
        let (tell, told) = mpsc::sync_channel(1);
        watched(self.gpu, || {
            landing.slice(..).map_async(wgpu::MapMode::Read, move |mapped| {
                let _ = tell.send(mapped);
            });
        })
        .map_err(CardError::Lost)?;
        Ok(Landing { number, submission, told })
    }

    /// Waits for a slab and writes it into its rows, times `scale`.
    pub(super) fn fetch(
        &self,
        landing: Landing,
        scale: f32,
        mut rows: ArrayViewMut3<'_, f32>,
    ) -> Result<(), CardError> {
        let lost = |error: &dyn std::fmt::Display| CardError::Lost(error.to_string());
        // What was submitted later goes on.
        let wait = wgpu::PollType::Wait { submission_index: Some(landing.submission), timeout: None };
        self.gpu.device.poll(wait).map_err(|e| lost(&e))?;
        landing.told.recv_timeout(PATIENCE).map_err(|e| lost(&e))?.map_err(|e| lost(&e))?;
        let source = &self.landings[landing.number % 2];
        let Window { depth, width, .. } = self.window;
        {
            let bytes = source.slice(..).get_mapped_range().map_err(|e| lost(&e))?;
            let groups: &[[f32; LANES]] = bytemuck::try_cast_slice(&bytes).map_err(|e| lost(&e))?;
            rows.outer_iter_mut().into_par_iter().enumerate().for_each(|(z, mut out)| {
                for (row, mut line) in out.outer_iter_mut().enumerate() {
                    let at = (row / LANES * depth + z) * width;
                    for (value, group) in line.iter_mut().zip(&groups[at..at + width]) {
                        *value = group[row % LANES] * scale;
                    }
                }
            });
        }
        source.unmap();
        Ok(())
    }

    /// Reads a plane of projections or of the section back.
    pub(super) fn read(
        &self,
        from: &wgpu::Buffer,
        index: usize,
        like: &LanePlane,
    ) -> Result<Vec<[f32; LANES]>, CardError> {
        let lost = |error: &dyn std::fmt::Display| CardError::Lost(error.to_string());
        let bytes = size_of_val(like.groups()) as u64;
        let (tell, told) = mpsc::sync_channel(1);
        let landing = watched(self.gpu, || {
            let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
            let landing = buffer(self.gpu, "plane", bytes, usage);
            let mut encoder =
                self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(from, index as u64 * bytes, &landing, 0, bytes);
            self.gpu.queue.submit([encoder.finish()]);
            landing.slice(..).map_async(wgpu::MapMode::Read, move |mapped| {
                let _ = tell.send(mapped);
            });
            landing
        })
        .map_err(CardError::Lost)?;
        self.gpu.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| lost(&e))?;
        told.recv_timeout(PATIENCE).map_err(|e| lost(&e))?.map_err(|e| lost(&e))?;
        let mapped = landing.slice(..).get_mapped_range().map_err(|e| lost(&e))?;
        let groups: &[[f32; LANES]] = bytemuck::try_cast_slice(&mapped).map_err(|e| lost(&e))?;
        Ok(groups.to_vec())
    }
}
