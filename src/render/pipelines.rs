//! Pipelines, layouts and small shared resources of the renderer.

use std::collections::HashMap;

use wgpu::util::DeviceExt as _;

use super::colormap::ColorMap;
use super::march::MarchKind;
use super::surface_pipelines::SurfacePipelines;
use crate::gpu::Gpu;

/// Shader of slices.
pub const SLICE_WGSL: &str = include_str!("../../resources/shaders/slice.wgsl");
/// Shader of the volume view.
pub const VOLUME_WGSL: &str = include_str!("../../resources/shaders/volume.wgsl");
/// Shader that puts an offscreen picture on its target.
pub const BLIT_WGSL: &str = include_str!("../../resources/shaders/blit.wgsl");

/// Format of offscreen pictures: sRGB-coded bytes, blended as they are.
pub(crate) const OFFSCREEN: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// Format of means of pictures: finer than any of them.
pub(crate) const MEAN: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;

/// What every view shares.
#[derive(Debug)]
pub(crate) struct Pipelines {
    pub(crate) slice_layout: wgpu::BindGroupLayout,
    pub(crate) slice_background: wgpu::RenderPipeline,
    pub(crate) slice_image: wgpu::RenderPipeline,
    pub(crate) slice_labels: wgpu::RenderPipeline,
    pub(crate) march_layout: wgpu::BindGroupLayout,
    volume: wgpu::ShaderModule,
    march: HashMap<MarchKind, wgpu::RenderPipeline>,
    pub(crate) blit_layout: wgpu::BindGroupLayout,
    pub(crate) blit: wgpu::RenderPipeline,
    /// Takes a picture into the mean of several, by the share that is set as the constant of blending.
    pub(crate) mean: wgpu::RenderPipeline,
    pub(crate) linear: wgpu::Sampler,
    pub(crate) no_image: wgpu::TextureView,
    pub(crate) no_ids: wgpu::TextureView,
    pub(crate) no_table: wgpu::TextureView,
    pub(crate) no_sheets: wgpu::TextureView,
    pub(crate) surfaces: SurfacePipelines,
    pub(crate) color_maps: Vec<wgpu::TextureView>,
    pub(crate) blit_style: wgpu::Buffer,
    /// Whether the target converts to sRGB by itself.
    pub(crate) is_srgb: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Slot {
    Uniform,
    /// A float texture; filterable or not.
    Float(wgpu::TextureViewDimension, bool),
    Uint3,
    /// Sheets of surfaces.
    UintSheets,
    /// One sheet of a surface.
    Uint2,
    Sampler,
}

pub(crate) fn layout(gpu: &Gpu, label: &str, slots: &[Slot]) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = slots
        .iter()
        .enumerate()
        .map(|(binding, slot)| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::VERTEX_FRAGMENT,
            ty: match *slot {
                Slot::Uniform => wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Uniform,
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                Slot::Float(view_dimension, filterable) => wgpu::BindingType::Texture {
                    sample_type: wgpu::TextureSampleType::Float { filterable },
                    view_dimension,
                    multisampled: false,
                },
                Slot::Uint3 => wgpu::BindingType::Texture {
                    sample_type: wgpu::TextureSampleType::Uint,
                    view_dimension: wgpu::TextureViewDimension::D3,
                    multisampled: false,
                },
                Slot::UintSheets | Slot::Uint2 => wgpu::BindingType::Texture {
                    sample_type: wgpu::TextureSampleType::Uint,
                    view_dimension: match slot {
                        Slot::UintSheets => wgpu::TextureViewDimension::D2Array,
                        _ => wgpu::TextureViewDimension::D2,
                    },
                    multisampled: false,
                },
                Slot::Sampler => wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
            },
            count: None,
        })
        .collect();
    gpu.device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(label), entries: &entries })
}

/// What a pipeline draws with.
struct Fragment<'a> {
    shader: &'a wgpu::ShaderModule,
    entry: &'a str,
    /// Values of the overrides of the shader.
    constants: &'a [(&'static str, f64)],
    format: wgpu::TextureFormat,
    blend: Option<wgpu::BlendState>,
}

fn pipeline(
    gpu: &Gpu,
    shader: &wgpu::ShaderModule,
    layout: &wgpu::BindGroupLayout,
    entry: &str,
    format: wgpu::TextureFormat,
    blend: Option<wgpu::BlendState>,
) -> wgpu::RenderPipeline {
    specialised(gpu, layout, &Fragment { shader, entry, constants: &[], format, blend })
}

fn specialised(gpu: &Gpu, layout: &wgpu::BindGroupLayout, what: &Fragment<'_>) -> wgpu::RenderPipeline {
    let layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(what.entry),
        bind_group_layouts: &[Some(layout)],
        ..Default::default()
    });
    gpu.device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some(what.entry),
        layout: Some(&layout),
        vertex: wgpu::VertexState {
            module: what.shader,
            entry_point: Some("corner"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            buffers: &[],
        },
        primitive: wgpu::PrimitiveState::default(),
        depth_stencil: None,
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module: what.shader,
            entry_point: Some(what.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: what.constants,
                ..Default::default()
            },
            targets: &[Some(wgpu::ColorTargetState {
                format: what.format,
                blend: what.blend,
                write_mask: wgpu::ColorWrites::ALL,
            })],
        }),
        multiview_mask: None,
        cache: None,
    })
}

/// A 2-D texture with its content.
pub(crate) fn texture_2d(
    gpu: &Gpu,
    label: &str,
    [width, height]: [u32; 2],
    format: wgpu::TextureFormat,
    bytes: &[u8],
) -> wgpu::TextureView {
    let texture = gpu.device.create_texture_with_data(
        &gpu.queue,
        &wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        },
        wgpu::util::TextureDataOrder::LayerMajor,
        bytes,
    );
    texture.create_view(&wgpu::TextureViewDescriptor::default())
}

/// A small 3-D texture with its content.
pub(crate) fn texture_3d(
    gpu: &Gpu,
    label: &str,
    dims: [usize; 3],
    format: wgpu::TextureFormat,
    bytes: &[u8],
) -> wgpu::TextureView {
    let texture = super::texture::new_texture(&gpu.device, label, dims, format);
    super::texture::write_box(&gpu.queue, &texture, [0; 3], dims, bytes);
    texture.create_view(&wgpu::TextureViewDescriptor::default())
}

impl Pipelines {
    pub(crate) fn new(gpu: &Gpu, target: wgpu::TextureFormat) -> Self {
        let shader = |label, source: &'static str| {
            gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(label),
                source: wgpu::ShaderSource::Wgsl(source.into()),
            })
        };
        let (d2, d3) = (wgpu::TextureViewDimension::D2, wgpu::TextureViewDimension::D3);
        let slice_layout = layout(
            gpu,
            "slice",
            &[Slot::Uniform, Slot::Float(d3, true), Slot::Sampler, Slot::Float(d2, true), Slot::Uint3],
        );
        let march_layout = layout(
            gpu,
            "march",
            &[
                Slot::Uniform,
                Slot::Float(d3, true),
                Slot::Sampler,
                Slot::Float(d2, false),
                Slot::Uint3,
                Slot::Uint3,
                Slot::Float(d2, true),
                Slot::Float(d2, true),
                Slot::Float(d3, true),
                Slot::Float(d3, true),
                Slot::UintSheets,
            ],
        );
        let blit_layout = layout(gpu, "blit", &[Slot::Float(d2, true), Slot::Sampler, Slot::Uniform]);
        let slice = shader("slice.wgsl", SLICE_WGSL);
        let volume = shader("volume.wgsl", VOLUME_WGSL);
        let blit = shader("blit.wgsl", BLIT_WGSL);
        let over = Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING);
        let linear = gpu.device.create_sampler(&wgpu::SamplerDescriptor {
            label: Some("linear"),
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            ..Default::default()
        });
        let srgb = if target.is_srgb() { 1.0f32 } else { 0.0 };
        let blit_style = gpu.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("blit style"),
            contents: bytemuck::cast_slice(&[srgb, 0.0, 0.0, 0.0]),
            usage: wgpu::BufferUsages::UNIFORM,
        });
        let share = wgpu::BlendComponent {
            src_factor: wgpu::BlendFactor::Constant,
            dst_factor: wgpu::BlendFactor::OneMinusConstant,
            operation: wgpu::BlendOperation::Add,
        };
        let sharing = Some(wgpu::BlendState { color: share, alpha: share });
        let color_maps = ColorMap::ALL
            .iter()
            .map(|map| {
                let table = map.table();
                let bytes = bytemuck::cast_slice(&table);
                texture_2d(gpu, map.name(), [256, 1], wgpu::TextureFormat::Rgba8Unorm, bytes)
            })
            .collect();
        let empty = |format, bytes: &[u8]| texture_3d(gpu, "empty", [1; 3], format, bytes);
        Self {
            slice_background: pipeline(gpu, &slice, &slice_layout, "background", target, over),
            slice_image: pipeline(gpu, &slice, &slice_layout, "image_layer", target, over),
            slice_labels: pipeline(gpu, &slice, &slice_layout, "label_layer", target, over),
            volume,
            march: HashMap::new(),
            mean: pipeline(gpu, &blit, &blit_layout, "sample_of", MEAN, sharing),
            blit: pipeline(gpu, &blit, &blit_layout, "blit", target, over),
            no_image: empty(wgpu::TextureFormat::R16Float, &[0; 2]),
            no_ids: empty(wgpu::TextureFormat::R16Uint, &[0; 2]),
            no_table: texture_2d(gpu, "empty", [1, 1], wgpu::TextureFormat::Rgba8Unorm, &[0; 4]),
            no_sheets: super::surface_pipelines::no_sheets(gpu),
            surfaces: SurfacePipelines::new(gpu),
            slice_layout,
            march_layout,
            blit_layout,
            linear,
            color_maps,
            blit_style,
            is_srgb: target.is_srgb(),
        }
    }

    /// The pipeline for a kind of 3-D view, made when it is first needed.
    pub(crate) fn march(&mut self, gpu: &Gpu, kind: MarchKind) -> wgpu::RenderPipeline {
        let made = self.march.entry(kind).or_insert_with(|| {
            let what = Fragment {
                shader: &self.volume,
                entry: "march",
                constants: &kind.constants(),
                format: OFFSCREEN,
                blend: None,
            };
            specialised(gpu, &self.march_layout, &what)
        });
        made.clone()
    }

    /// The table of a colour map on the device.
    pub(crate) fn color_map(&self, map: ColorMap) -> &wgpu::TextureView {
        let place = ColorMap::ALL.iter().position(|m| *m == map).unwrap_or(0);
        self.color_maps.get(place).unwrap_or(&self.no_table)
    }

    /// A bind group of uniform numbers and views, in the order of a layout.
    pub(crate) fn bind(
        &self,
        gpu: &Gpu,
        layout: &wgpu::BindGroupLayout,
        uniform: &[u8],
        views: [&wgpu::TextureView; 2],
        more: &[&wgpu::TextureView],
    ) -> wgpu::BindGroup {
        let buffer = gpu.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("uniform"),
            contents: uniform,
            usage: wgpu::BufferUsages::UNIFORM,
        });
        let mut resources = vec![
            buffer.as_entire_binding(),
            wgpu::BindingResource::TextureView(views[0]),
            wgpu::BindingResource::Sampler(&self.linear),
            wgpu::BindingResource::TextureView(views[1]),
        ];
        resources.extend(more.iter().map(|view| wgpu::BindingResource::TextureView(view)));
        let entries: Vec<_> = resources
            .into_iter()
            .enumerate()
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding: binding as u32, resource })
            .collect();
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
    }
}
