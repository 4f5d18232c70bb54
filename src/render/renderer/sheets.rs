//! Surfaces on the device: buffers of their triangles, and the sheets of a picture.
//!
//! Sheets are peeled off (C. Everitt, Interactive order-independent transparency, 2001): a pass draws the nearest surface
//! behind the sheet before, which needs no sorting, no atomics and no blending, so it gives the same on every device. A
//! scene of opaque surfaces has one sheet, and one pass.

use std::sync::Arc;

use wgpu::util::DeviceExt as _;

use super::super::pipelines::texture_2d;
use super::super::refine::sample_offset;
use super::super::scene::{LayerId, VolumeScene};
use super::super::surface_pipelines::{CROSSINGS, DEPTH, NOWHERE, SHEET, STYLES_WIDE, before_all};
use super::super::surface_setup::{MARGIN, SurfaceSetup, SurfaceUniform, surface_uniform};
use super::super::surfaces::{SurfaceLayer, SurfaceSet};
use super::Renderer;
use crate::gpu::Gpu;

/// Sheets of a picture at rest and of figures: what lies behind more transparent surfaces than these is left out.
pub(super) const MOST_SHEETS: u32 = 16;
/// The same of a picture that a finer one will follow.
pub(super) const COARSE_SHEETS: u32 = 8;
/// Sheets while something moves on a software driver; the coarse set is drawn then.
pub(super) const MOVING_SHEETS: u32 = 4;

/// A set of surfaces as it was handed over.
#[derive(Debug)]
pub(crate) struct SurfaceStore {
    pub(super) set: Arc<SurfaceSet>,
    pub(super) revision: u64,
    pub(super) stamp: u64,
    buffers: Option<Buffers>,
    coarse: Option<Buffers>,
}

#[derive(Debug)]
struct Buffers {
    vertices: wgpu::Buffer,
    indices: wgpu::Buffer,
    n_indices: u32,
}

/// The sheets of a picture, drawn pass by pass.
#[derive(Debug)]
pub(super) struct Sheets {
    /// What they are drawn for.
    key: Key,
    scene: VolumeScene,
    target: Target,
    uniform: SurfaceUniform,
    styles: wgpu::TextureView,
    n: u32,
    n_done: u32,
    /// Sample of the pixels that their rays go through.
    sample: u32,
}

impl Sheets {
    /// Passes that draw them.
    pub(super) fn n_passes(&self) -> u32 {
        self.n
    }

    /// What the march reads.
    pub(super) fn view(&self) -> &wgpu::TextureView {
        &self.target.all
    }
}

impl SurfaceStore {
    pub(super) fn new(set: Arc<SurfaceSet>, revision: u64, stamp: u64) -> Self {
        Self { set, revision, stamp, buffers: None, coarse: None }
    }

    pub(super) fn bytes(&self) -> u64 {
        if self.buffers.is_some() { self.set.bytes() } else { 0 }
    }

    fn upload(&mut self, gpu: &Gpu) {
        if self.buffers.is_none() {
            self.buffers = Buffers::new(gpu, &self.set);
            self.coarse = self.set.coarse.as_ref().and_then(|set| Buffers::new(gpu, set));
        }
    }
}

impl Buffers {
    /// `None` where there is nothing, or more than the device takes.
    fn new(gpu: &Gpu, set: &SurfaceSet) -> Option<Self> {
        let most = gpu.device.limits().max_buffer_size;
        let fits = size_of_val(set.vertices.as_slice()) as u64 <= most
            && size_of_val(set.triangles.as_slice()) as u64 <= most;
        let buffer = |label, contents, usage| {
            let descriptor = wgpu::util::BufferInitDescriptor { label: Some(label), contents, usage };
            gpu.device.create_buffer_init(&descriptor)
        };
        (fits && !set.triangles.is_empty()).then(|| Self {
            vertices: buffer("vertices", bytemuck::cast_slice(&set.vertices), wgpu::BufferUsages::VERTEX),
            indices: buffer("triangles", bytemuck::cast_slice(&set.triangles), wgpu::BufferUsages::INDEX),
            n_indices: set.triangles.len() as u32 * 3,
        })
    }
}

impl Renderer {
    /// Hands over surfaces; nothing is done if key and revision are known already.
    pub fn set_surfaces(&mut self, id: LayerId, revision: u64, set: &Arc<SurfaceSet>) {
        if self.surfaces.get(&id).is_some_and(|store| store.revision == revision) {
            return;
        }
        let stamp = self.stamp();
        self.surfaces.insert(id, SurfaceStore::new(Arc::clone(set), revision, stamp));
    }

    /// The surfaces that a scene draws, where they have been handed over.
    pub(super) fn surfaces_of<'a>(
        &self,
        scene: &'a VolumeScene,
    ) -> Option<(&'a SurfaceLayer, Arc<SurfaceSet>)> {
        let layer = scene.drawn_surfaces()?;
        let store = self.surfaces.get(&layer.surfaces)?;
        (!store.set.triangles.is_empty()).then(|| (layer, Arc::clone(&store.set)))
    }

    /// Numbers about sheets for the march.
    pub(super) fn sheet_numbers(
        &self,
        scene: &VolumeScene,
        sheets: Option<&Sheets>,
        [_, _, picture]: [[u32; 2]; 3],
    ) -> [[f32; 4]; 2] {
        let (Some((layer, set)), Some(sheets)) = (self.surfaces_of(scene), sheets) else {
            return [[0.0; 4]; 2];
        };
        let drawn = VolumeScene { size_px: picture, ..scene.clone() };
        let setup = SurfaceSetup::new(&drawn, &set);
        // Outlines are as wide in a coarse picture as in the fine one.
        let share = picture[1] as f32 / scene.size_px[1].max(1) as f32;
        let darkness = layer.silhouettes.clamp(0.0, 1.0);
        let width = if darkness > 0.0 { (layer.outline_px * share).clamp(0.0, MARGIN as f32) } else { 0.0 };
        [
            [sheets.n as f32, darkness, width, MARGIN as f32],
            [setup.um_per_px as f32, setup.step_um as f32, f32::from(u8::from(setup.is_perspective)), 0.0],
        ]
    }

    /// Whether all sheets of a sample of a picture of this scene are there; true where it has none.
    pub(super) fn has_sheets(
        &self,
        scene: &VolumeScene,
        sheets: Option<&Sheets>,
        geometry: [[u32; 2]; 3],
        (most, sample): (u32, u32),
    ) -> bool {
        let Some((layer, set)) = self.surfaces_of(scene) else { return true };
        let Some(store) = self.surfaces.get(&layer.surfaces).filter(|_| !set.triangles.is_empty()) else {
            return true;
        };
        let key = (store.stamp, geometry, most, sheets_wanted(layer, most));
        sheets.is_some_and(|sheets| {
            sheets.is_of(scene, key) && sheets.sample == sample && sheets.n_done == sheets.n
        })
    }

    /// Records up to `passes` of the passes that are missing of the sheets of a sample of a picture; gives how many.
    pub(super) fn draw_sheets(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        scene: &VolumeScene,
        sheets: &mut Option<Sheets>,
        geometry: [[u32; 2]; 3],
        (most, sample, passes): (u32, u32, u32),
    ) -> u32 {
        let Some((layer, set)) = self.surfaces_of(scene) else {
            *sheets = None;
            return 0;
        };
        let gpu = self.gpu.clone();
        let Some(store) = self.surfaces.get_mut(&layer.surfaces) else { return 0 };
        store.upload(&gpu);
        let key = (store.stamp, geometry, most, sheets_wanted(layer, most));
        if sheets.as_ref().is_none_or(|sheets| !sheets.is_of(scene, key)) {
            *sheets = Some(Sheets::new(&gpu, scene, layer, &set, key));
        }
        if let Some(sheets) = sheets
            && sheets.sample != sample
        {
            sheets.begin_sample(layer, &set, sample);
        }
        let (Some(sheets), Some(store)) = (sheets, self.surfaces.get(&layer.surfaces)) else { return 0 };
        let is_coarse = most <= MOVING_SHEETS;
        let buffers = store.coarse.as_ref().filter(|_| is_coarse).or(store.buffers.as_ref());
        let Some(buffers) = buffers else {
            // Too large for the device: nothing is there to be drawn.
            sheets.n_done = sheets.n;
            return 0;
        };
        let colors = self.pipelines.color_map(layer.color_map).clone();
        let first = before_all(&gpu);
        let end = sheets.n.min(sheets.n_done.saturating_add(passes));
        let begin = sheets.n_done;
        for at in begin..end {
            let passes = Passes { renderer: self, buffers, sheets, colors: &colors, first: &first };
            match at.checked_sub(1) {
                None => {
                    if sheets.target.faces.is_some() {
                        let crossings = passes.cross(encoder);
                        passes.close(encoder, &crossings);
                    }
                    passes.peel(encoder, 0, &first);
                }
                Some(before) => passes.peel(encoder, at as usize, &sheets.target.sheets[before as usize]),
            }
        }
        sheets.n_done = end;
        end - begin
    }
}

impl Sheets {
    fn new(gpu: &Gpu, scene: &VolumeScene, layer: &SurfaceLayer, set: &SurfaceSet, key: Key) -> Self {
        let (_, [tile, offset, picture], _, n_peeled) = key;
        let size = tile.map(|n| n + 2 * MARGIN);
        let setup = SurfaceSetup::new(scene, set);
        Self {
            key,
            scene: scene.clone(),
            target: Target::new(gpu, size, n_peeled, setup.is_cut()),
            uniform: surface_uniform(scene, layer, &setup, [size, picture], corner(offset, 0)),
            styles: styles_table(gpu, layer, set.n_parts),
            n: n_peeled,
            n_done: 0,
            sample: 0,
        }
    }

    /// Goes on to another sample of the pixels; none of its passes is drawn yet.
    fn begin_sample(&mut self, layer: &SurfaceLayer, set: &SurfaceSet, sample: u32) {
        let (_, [tile, offset, picture], _, _) = self.key;
        let size = tile.map(|n| n + 2 * MARGIN);
        let setup = SurfaceSetup::new(&self.scene, set);
        let corner = corner(offset, sample);
        self.uniform = surface_uniform(&self.scene, layer, &setup, [size, picture], corner);
        (self.sample, self.n_done) = (sample, 0);
    }

    fn is_of(&self, scene: &VolumeScene, key: Key) -> bool {
        self.key == key && self.scene == *scene
    }
}

/// Where the upper left corner of the target of a tile lies in the picture, such that rays through the middles of its pixels
/// are those of a sample.
fn corner(offset: [u32; 2], sample: u32) -> [f64; 2] {
    let [right, down, _] = sample_offset(sample);
    let [x, y] = offset.map(|v| f64::from(v) - f64::from(MARGIN));
    [x + right, y + down]
}

/// Sheets that are peeled: one where nothing is seen through.
fn sheets_wanted(layer: &SurfaceLayer, most: u32) -> u32 {
    if layer.is_transparent() { most.max(1) } else { 1 }
}

/// What sheets are drawn for: revision, geometry, sheets at most, sheets that are peeled.
type Key = (u64, [[u32; 2]; 3], u32, u32);

/// Styles of the parts as the shader reads them: two rows of texels for each row of parts.
fn styles_table(gpu: &Gpu, layer: &SurfaceLayer, n_parts: usize) -> wgpu::TextureView {
    let rows = n_parts.div_ceil(STYLES_WIDE).max(1);
    let mut texels = vec![[0.0f32; 4]; rows * 2 * STYLES_WIDE];
    for (at, style) in layer.styles.iter().take(n_parts).enumerate() {
        let place = at / STYLES_WIDE * 2 * STYLES_WIDE + at % STYLES_WIDE;
        let [r, g, b] = style.rgb;
        texels[place] = [r, g, b, style.opacity.clamp(0.0, 1.0)];
        texels[place + STYLES_WIDE] =
            [style.by_value, style.kept, false, false].map(|on| f32::from(u8::from(on)));
    }
    let size = [STYLES_WIDE as u32, rows as u32 * 2];
    texture_2d(gpu, "styles", size, wgpu::TextureFormat::Rgba32Float, bytemuck::cast_slice(&texels))
}

fn target(gpu: &Gpu, label: &str, size: [u32; 2], n: u32, format: wgpu::TextureFormat) -> wgpu::Texture {
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some(label),
        size: wgpu::Extent3d { width: size[0], height: size[1], depth_or_array_layers: n },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    })
}

/// What sheets are drawn into.
#[derive(Debug)]
struct Target {
    all: wgpu::TextureView,
    sheets: Vec<wgpu::TextureView>,
    depth: wgpu::TextureView,
    /// The faces of cuts, where anything is cut.
    faces: Option<wgpu::TextureView>,
}

impl Target {
    fn new(gpu: &Gpu, size: [u32; 2], n: u32, is_cut: bool) -> Self {
        let texture = target(gpu, "sheets", size, n, SHEET);
        let array = Some(wgpu::TextureViewDimension::D2Array);
        let one = |at| {
            texture.create_view(&wgpu::TextureViewDescriptor {
                dimension: Some(wgpu::TextureViewDimension::D2),
                base_array_layer: at,
                array_layer_count: Some(1),
                ..Default::default()
            })
        };
        Self {
            all: texture.create_view(&wgpu::TextureViewDescriptor { dimension: array, ..Default::default() }),
            sheets: (0..n).map(one).collect(),
            faces: is_cut.then(|| {
                let texture = target(gpu, "faces of cuts", size, 1, SHEET);
                texture.create_view(&wgpu::TextureViewDescriptor::default())
            }),
            depth: target(gpu, "depth", size, 1, DEPTH).create_view(&wgpu::TextureViewDescriptor::default()),
        }
    }
}

/// What the passes share.
struct Passes<'a> {
    renderer: &'a Renderer,
    buffers: &'a Buffers,
    sheets: &'a Sheets,
    colors: &'a wgpu::TextureView,
    /// The sheet before all others.
    first: &'a wgpu::TextureView,
}

impl Passes<'_> {
    fn group(
        &self,
        before: &wgpu::TextureView,
        crossings: &wgpu::TextureView,
        faces: &wgpu::TextureView,
    ) -> wgpu::BindGroup {
        let p = &self.renderer.pipelines;
        let (gpu, layout) = (&self.renderer.gpu, &p.surfaces.layout);
        let uniform = bytemuck::cast_slice(&self.sheets.uniform);
        p.bind(gpu, layout, uniform, [&self.sheets.styles, self.colors], &[before, crossings, faces])
    }

    fn pass<'e>(
        encoder: &'e mut wgpu::CommandEncoder,
        label: &str,
        view: &wgpu::TextureView,
        clear: wgpu::Color,
        depth: Option<&wgpu::TextureView>,
    ) -> wgpu::RenderPass<'e> {
        encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some(label),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(clear), store: wgpu::StoreOp::Store },
            })],
            depth_stencil_attachment: depth.map(|view| wgpu::RenderPassDepthStencilAttachment {
                view,
                depth_ops: Some(wgpu::Operations {
                    load: wgpu::LoadOp::Clear(1.0),
                    store: wgpu::StoreOp::Discard,
                }),
                stencil_ops: None,
            }),
            ..Default::default()
        })
    }

    fn triangles(&self, pass: &mut wgpu::RenderPass<'_>) {
        pass.set_vertex_buffer(0, self.buffers.vertices.slice(..));
        pass.set_index_buffer(self.buffers.indices.slice(..), wgpu::IndexFormat::Uint32);
        pass.draw_indexed(0..self.buffers.n_indices, 0, 0..1);
    }

    fn peel(&self, encoder: &mut wgpu::CommandEncoder, at: usize, before: &wgpu::TextureView) {
        let faces = self.sheets.target.faces.as_ref();
        let group = self.group(before, &self.renderer.pipelines.no_table, faces.unwrap_or(self.first));
        let empty = wgpu::Color { r: 0.0, g: f64::from(NOWHERE.to_bits()), b: 0.0, a: 0.0 };
        let target = &self.sheets.target;
        let mut pass = Self::pass(encoder, "peel", &target.sheets[at], empty, Some(&target.depth));
        pass.set_pipeline(&self.renderer.pipelines.surfaces.peel);
        pass.set_bind_group(0, &group, &[]);
        self.triangles(&mut pass);
        if faces.is_some() {
            pass.set_pipeline(&self.renderer.pipelines.surfaces.cap);
            pass.draw(0..3, 0..1);
        }
    }

    /// Signed crossings behind the cuts.
    fn cross(&self, encoder: &mut wgpu::CommandEncoder) -> wgpu::TextureView {
        let gpu = &self.renderer.gpu;
        let size = self.sheets.key.1[0].map(|n| n + 2 * MARGIN);
        let sums =
            target(gpu, "crossings", size, 1, CROSSINGS).create_view(&wgpu::TextureViewDescriptor::default());
        let group = self.group(self.first, &self.renderer.pipelines.no_table, self.first);
        let mut pass = Self::pass(encoder, "cross", &sums, wgpu::Color::TRANSPARENT, None);
        pass.set_pipeline(&self.renderer.pipelines.surfaces.cross);
        pass.set_bind_group(0, &group, &[]);
        self.triangles(&mut pass);
        drop(pass);
        sums
    }

    /// The faces of the cuts.
    fn close(&self, encoder: &mut wgpu::CommandEncoder, crossings: &wgpu::TextureView) {
        let Some(faces) = &self.sheets.target.faces else { return };
        let group = self.group(self.first, crossings, self.first);
        let mut pass = Self::pass(encoder, "close", faces, wgpu::Color::TRANSPARENT, None);
        pass.set_pipeline(&self.renderer.pipelines.surfaces.close);
        pass.set_bind_group(0, &group, &[]);
        pass.draw(0..3, 0..1);
    }
}
