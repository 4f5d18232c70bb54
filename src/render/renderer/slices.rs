//! Slices: the sections that they show, and their layers one over the other.

use super::super::scene::{ImageLayer, LabelLayer, SliceLayer, SliceScene, ViewId};
use super::super::slice::{
    Bound, Need, SliceUniform, background_uniform, image_uniform, label_uniform, need,
};
use super::super::texture::is_turned;
use super::{Renderer, UPLOAD_BUDGET, ViewStatus};

/// Kinds of draws of a slice view.
#[derive(Debug, Clone, Copy)]
enum Draw {
    Background,
    Image,
    Labels,
}

#[derive(Debug)]
pub(super) struct SliceView {
    scene: SliceScene,
    stamps: Vec<u64>,
    draws: Vec<(Draw, wgpu::BindGroup)>,
    status: ViewStatus,
}

impl Renderer {
    /// Gets a slice ready to be painted: uploads the sections that it shows.
    pub fn prepare_slice(&mut self, view: ViewId, scene: &SliceScene) -> ViewStatus {
        self.clock += 1;
        let stamps: Vec<u64> = scene.layers.iter().map(|layer| self.stamp_of(view, layer)).collect();
        if let Some(known) = self.slices.get(&view)
            && known.scene == *scene
            && known.stamps == stamps
            && !known.status.needs_repaint
        {
            return known.status;
        }
        let mut status = ViewStatus::WHOLE;
        let mut draws = Vec::new();
        let uniform = background_uniform(scene, self.pipelines.is_srgb);
        draws.push((Draw::Background, self.slice_group(&uniform, None, None, None)));
        for layer in &scene.layers {
            let draw = match layer {
                SliceLayer::Image(image) => self.image_draw((view, scene), image, &mut status),
                SliceLayer::Labels(labels) => self.label_draw(scene, labels, &mut status),
            };
            draws.extend(draw);
        }
        status.needs_repaint |= status.loaded < 1.0;
        let stamps = scene.layers.iter().map(|layer| self.stamp_of(view, layer)).collect();
        self.slices.insert(view, SliceView { scene: scene.clone(), stamps, draws, status });
        status
    }

    fn slice_group(
        &self,
        uniform: &SliceUniform,
        image: Option<&wgpu::TextureView>,
        colors: Option<&wgpu::TextureView>,
        ids: Option<&wgpu::TextureView>,
    ) -> wgpu::BindGroup {
        let p = &self.pipelines;
        p.bind(
            &self.gpu,
            &p.slice_layout,
            bytemuck::cast_slice(uniform),
            [image.unwrap_or(&p.no_image), colors.unwrap_or(&p.no_table)],
            &[ids.unwrap_or(&p.no_ids)],
        )
    }

    fn image_draw(
        &mut self,
        (view, scene): (ViewId, &SliceScene),
        layer: &ImageLayer,
        status: &mut ViewStatus,
    ) -> Option<(Draw, wgpu::BindGroup)> {
        let (gpu, clock) = (self.gpu.clone(), self.clock);
        let store = self.images.get_mut(&layer.volume)?;
        let mut shape = store.volume.shape();
        // Where what is bound lies, if it is not the volume itself.
        let mut world_from_voxel = layer.world_from_voxel;
        let (texture, bound, coarseness) = match need(scene, layer.world_from_voxel, shape) {
            Need::Nothing => return None,
            Need::Section { axis, section } => {
                let pyramid = store.pyramid.clone();
                if let (Some(pyramid), Some(part)) =
                    (pyramid, store.section(&gpu, view, scene, layer.world_from_voxel, clock))
                {
                    let level = part.part.level;
                    world_from_voxel = layer.world_from_voxel * pyramid.working_from_level(level);
                    shape = pyramid.levels().get(level)?.shape;
                    status.loaded = status.loaded.min(part.loaded());
                    let bound =
                        Bound { factor: [1; 3], first: part.part.low, is_turned: is_turned(part.axis) };
                    (part.view.clone(), bound, pyramid.coarseness(level))
                } else {
                    let coarse = store.coarseness();
                    let slab = store.slab(&gpu, axis, section, clock);
                    let binned = slab.factor.into_iter().max().unwrap_or(1);
                    (slab.view.clone(), slab.bound(), coarse * binned)
                }
            }
            Need::Whole => {
                let pace = (view, UPLOAD_BUDGET, false);
                let most = self.room_for_region(layer.volume, view);
                let store = self.images.get_mut(&layer.volume)?;
                let is_coming = store.stream_slice(&gpu, (pace, most), scene, layer.world_from_voxel);
                status.needs_repaint |= is_coming;
                status.loaded = status.loaded.min(self.upload_image(layer.volume, UPLOAD_BUDGET));
                let drawn = self.images.get(&layer.volume)?.drawn(view)?;
                world_from_voxel = layer.world_from_voxel * drawn.volume_from_voxel;
                shape = drawn.shape;
                (drawn.full.view.clone(), Bound::whole(drawn.full.factor), drawn.coarseness)
            }
        };
        status.binning = status.binning.max(coarseness);
        let scale = self.images.get(&layer.volume)?.scale;
        let placed = ImageLayer { world_from_voxel, ..layer.clone() };
        let uniform = image_uniform(scene, &placed, shape, bound, scale, self.pipelines.is_srgb);
        let colors = self.pipelines.color_map(layer.color_map);
        Some((Draw::Image, self.slice_group(&uniform, Some(&texture), Some(colors), None)))
    }

    fn label_draw(
        &mut self,
        scene: &SliceScene,
        layer: &LabelLayer,
        status: &mut ViewStatus,
    ) -> Option<(Draw, wgpu::BindGroup)> {
        let (gpu, clock) = (self.gpu.clone(), self.clock);
        let shape = self.labels.get(&layer.labels)?.labels.shape();
        let plane = SliceScene { slab: None, layers: Vec::new(), ..scene.clone() };
        let (texture, bound) = match need(&plane, layer.world_from_voxel, shape) {
            Need::Nothing => return None,
            Need::Section { axis, section } => {
                let slab = self.labels.get_mut(&layer.labels)?.slab(&gpu, axis, section, clock);
                (slab.view.clone(), slab.bound())
            }
            Need::Whole => {
                self.upload_labels(layer.labels);
                let full = self.labels.get(&layer.labels)?.full.as_ref()?;
                (full.view.clone(), Bound::whole(full.factor))
            }
        };
        status.binning = status.binning.max(bound.factor.into_iter().max().unwrap_or(1));
        let colors = self.color_table(&layer.colors);
        let uniform = label_uniform(scene, layer, shape, bound, self.pipelines.is_srgb);
        Some((Draw::Labels, self.slice_group(&uniform, None, Some(&colors), Some(&texture))))
    }

    /// Paints a prepared slice; the pass's viewport is the view's rectangle.
    pub fn paint_slice(&self, view: ViewId, pass: &mut wgpu::RenderPass<'_>) {
        let Some(slice) = self.slices.get(&view) else { return };
        for (draw, group) in &slice.draws {
            pass.set_pipeline(match draw {
                Draw::Background => &self.pipelines.slice_background,
                Draw::Image => &self.pipelines.slice_image,
                Draw::Labels => &self.pipelines.slice_labels,
            });
            pass.set_bind_group(0, group, &[]);
            pass.draw(0..3, 0..1);
        }
    }

    fn stamp_of(&self, view: ViewId, layer: &SliceLayer) -> u64 {
        match layer {
            SliceLayer::Image(image) => {
                self.images.get(&image.volume).map_or(0, |store| store.stamp_for(view))
            }
            SliceLayer::Labels(labels) => self.labels.get(&labels.labels).map_or(0, |store| store.stamp),
        }
    }
}
