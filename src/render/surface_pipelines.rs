//! Pipelines of surfaces: sheets peeled off one after the other, and the faces of cuts.

use super::pipelines::{Slot, layout};
use super::surfaces::SurfaceVertex;
use crate::gpu::Gpu;

/// Shader of surfaces.
const SURFACE_WGSL: &str = include_str!("../../resources/shaders/surface.wgsl");

/// A sheet: colour and distance.
pub(crate) const SHEET: wgpu::TextureFormat = wgpu::TextureFormat::Rg32Uint;
/// Depth of the sheet that is peeled.
pub(crate) const DEPTH: wgpu::TextureFormat = wgpu::TextureFormat::Depth32Float;
/// Signed crossings of parts.
pub(crate) const CROSSINGS: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;
/// What a sheet holds where there is none: no colour, and this distance.
pub(crate) const NOWHERE: f32 = 1e30;
/// Parts in a row of the table of styles. Keep in sync with surface.wgsl.
pub(crate) const STYLES_WIDE: usize = 512;

/// What draws surfaces.
#[derive(Debug)]
pub(crate) struct SurfacePipelines {
    pub(crate) layout: wgpu::BindGroupLayout,
    pub(crate) peel: wgpu::RenderPipeline,
    pub(crate) cross: wgpu::RenderPipeline,
    pub(crate) close: wgpu::RenderPipeline,
    pub(crate) cap: wgpu::RenderPipeline,
}

/// One pixel of one sheet.
fn pixel(gpu: &Gpu, label: &str, words: [u32; 2]) -> wgpu::Texture {
    use wgpu::util::DeviceExt as _;
    gpu.device.create_texture_with_data(
        &gpu.queue,
        &wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d { width: 1, height: 1, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: SHEET,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        },
        wgpu::util::TextureDataOrder::LayerMajor,
        bytemuck::cast_slice(&words),
    )
}

/// What is bound where a view has no surfaces.
pub(crate) fn no_sheets(gpu: &Gpu) -> wgpu::TextureView {
    pixel(gpu, "no sheets", [0, NOWHERE.to_bits()]).create_view(&wgpu::TextureViewDescriptor {
        dimension: Some(wgpu::TextureViewDimension::D2Array),
        ..Default::default()
    })
}

/// The sheet before the first: nothing is behind it.
pub(crate) fn before_all(gpu: &Gpu) -> wgpu::TextureView {
    pixel(gpu, "before all sheets", [0, (-1.0f32).to_bits()])
        .create_view(&wgpu::TextureViewDescriptor::default())
}

impl SurfacePipelines {
    pub(crate) fn new(gpu: &Gpu) -> Self {
        let shader = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("surface.wgsl"),
            source: wgpu::ShaderSource::Wgsl(SURFACE_WGSL.into()),
        });
        let d2 = wgpu::TextureViewDimension::D2;
        let layout = layout(
            gpu,
            "surface",
            &[
                Slot::Uniform,
                Slot::Float(d2, false),
                Slot::Sampler,
                Slot::Float(d2, true),
                Slot::Uint2,
                Slot::Float(d2, false),
                Slot::Uint2,
            ],
        );
        let add = wgpu::BlendComponent {
            src_factor: wgpu::BlendFactor::One,
            dst_factor: wgpu::BlendFactor::One,
            operation: wgpu::BlendOperation::Add,
        };
        let add = wgpu::BlendState { color: add, alpha: add };
        Self {
            peel: pipeline(gpu, &shader, &layout, "peel", (SHEET, None)),
            cross: pipeline(gpu, &shader, &layout, "cross", (CROSSINGS, Some(add))),
            close: pipeline(gpu, &shader, &layout, "close", (SHEET, None)),
            cap: pipeline(gpu, &shader, &layout, "cap", (SHEET, None)),
            layout,
        }
    }
}

/// The pipeline of one fragment entry; "close" and "cap" cover the target, the others draw triangles; "peel" and "cap"
/// by depth.
fn pipeline(
    gpu: &Gpu,
    shader: &wgpu::ShaderModule,
    layout: &wgpu::BindGroupLayout,
    entry: &str,
    (format, blend): (wgpu::TextureFormat, Option<wgpu::BlendState>),
) -> wgpu::RenderPipeline {
    let layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(entry),
        bind_group_layouts: &[Some(layout)],
        ..Default::default()
    });
    let attributes = wgpu::vertex_attr_array![0 => Float32x3, 1 => Uint32, 2 => Float32x3, 3 => Float32];
    let buffers = [Some(wgpu::VertexBufferLayout {
        array_stride: size_of::<SurfaceVertex>() as u64,
        step_mode: wgpu::VertexStepMode::Vertex,
        attributes: &attributes,
    })];
    let covers = matches!(entry, "close" | "cap");
    gpu.device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some(entry),
        layout: Some(&layout),
        vertex: wgpu::VertexState {
            module: shader,
            entry_point: Some(if covers { "corner" } else { "vertex" }),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            buffers: if covers { &[] } else { &buffers },
        },
        primitive: wgpu::PrimitiveState::default(),
        depth_stencil: matches!(entry, "peel" | "cap").then(|| wgpu::DepthStencilState {
            format: DEPTH,
            depth_write_enabled: Some(true),
            depth_compare: Some(wgpu::CompareFunction::Less),
            stencil: wgpu::StencilState::default(),
            bias: wgpu::DepthBiasState::default(),
        }),
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module: shader,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            targets: &[Some(wgpu::ColorTargetState { format, blend, write_mask: wgpu::ColorWrites::ALL })],
        }),
        multiview_mask: None,
        cache: None,
    })
}
