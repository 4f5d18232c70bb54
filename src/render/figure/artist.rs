//! One function from scene to pixels, for the window and for the command line.

use std::sync::Arc;

use glam::DVec3;
use image::RgbaImage;
use serde::{Deserialize, Serialize};

use super::super::cpu::{self, Sources};
use super::super::pipelines::OFFSCREEN;
use super::super::renderer::Renderer;
pub use super::super::renderer::still::DrawError;
use super::super::scene::{BACKGROUND, SliceLayer, SliceScene, VolumeScene};
use crate::base::Progress;
use crate::gpu::Gpu;

/// What is drawn: a slice or a view of the volume.
#[derive(Debug, Clone, PartialEq)]
pub enum Scene {
    /// A slice.
    Slice(SliceScene),
    /// The volume.
    Volume(VolumeScene),
}

impl Scene {
    /// Size of the picture in pixels.
    pub fn size_px(&self) -> [u32; 2] {
        match self {
            Self::Slice(scene) => scene.size_px,
            Self::Volume(scene) => scene.size_px,
        }
    }

    /// World length of a pixel; in perspective at the middle of what is looked at.
    pub fn um_per_px(&self) -> f64 {
        match self {
            Self::Slice(scene) => scene.um_per_px,
            Self::Volume(scene) => scene.camera.um_per_px(f64::from(scene.size_px[1])),
        }
    }

    /// The same view in another size: what was seen stays in sight.
    pub fn resized(mut self, size_px: [u32; 2]) -> Self {
        match &mut self {
            Self::Slice(scene) => {
                let share = |k: usize| f64::from(scene.size_px[k].max(1)) / f64::from(size_px[k].max(1));
                let [across, factor] = [share(0), share(0).max(share(1))];
                scene.um_per_px *= factor;
                scene.size_px = size_px;
                for layer in &mut scene.layers {
                    match layer {
                        SliceLayer::Image(image) => {
                            image.mask = image.mask.map(|mask| mask.scaled(1.0 / across, 1.0 / factor));
                        }
                        // Contours are as strong in print as on the screen.
                        SliceLayer::Labels(labels) => {
                            labels.outline_px = (f64::from(labels.outline_px) / factor) as f32;
                        }
                    }
                }
            }
            Self::Volume(scene) => {
                // The opening angle is of the height: a narrower picture steps back.
                let aspect = f64::from(size_px[0].max(1)) / f64::from(size_px[1].max(1));
                // Outlines are as strong in print as on the screen.
                let taller = size_px[1].max(1) as f32 / scene.size_px[1].max(1) as f32;
                if let Some(surfaces) = &mut scene.surfaces {
                    surfaces.outline_px *= taller;
                }
                scene.camera.distance_um *= (scene.aspect().min(1.0) / aspect.min(1.0)).max(1.0);
                scene.size_px = size_px;
            }
        }
        self
    }

    /// Moves a slice along its normal to a position, µm; nothing happens to a volume.
    pub fn move_slice(&mut self, position_um: f64) {
        if let Self::Slice(scene) = self {
            let axis = scene.plane.axis().normalize_or(DVec3::Z);
            scene.center_um += axis * (position_um - scene.center_um.dot(axis));
        }
    }

    /// Sets what lies behind the data.
    pub fn set_backdrop(&mut self, backdrop: Backdrop) {
        self.set_background(backdrop.rgba());
    }

    /// Sets what lies behind the data, sRGB with alpha.
    pub fn set_background(&mut self, background: [f32; 4]) {
        match self {
            Self::Slice(scene) => scene.background = background,
            Self::Volume(scene) => scene.background = background,
        }
    }

    /// What lies behind the data.
    pub fn background(&self) -> [f32; 4] {
        match self {
            Self::Slice(scene) => scene.background,
            Self::Volume(scene) => scene.background,
        }
    }
}

/// What lies behind the data of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Backdrop {
    /// The near black of the views.
    #[default]
    Black,
    /// The white of paper.
    White,
    /// Nothing.
    Clear,
}

impl Backdrop {
    /// Its colour, sRGB with alpha.
    pub fn rgba(self) -> [f32; 4] {
        match self {
            Self::Black => BACKGROUND,
            Self::White => [1.0; 4],
            Self::Clear => [0.0; 4],
        }
    }
}

/// Draws scenes of what it was given, with a device or with the processor alone.
#[derive(Debug)]
pub struct Artist {
    sources: Sources,
    renderer: Option<Renderer>,
    tile: Option<u32>,
}

impl Artist {
    /// For these volumes and labels, which it takes to the device where there is one.
    pub fn new(sources: Sources, gpu: Option<Gpu>) -> Self {
        let renderer = gpu.map(|gpu| {
            let mut renderer = Renderer::new(gpu, OFFSCREEN);
            for (id, volume) in &sources.volumes {
                renderer.set_volume(*id, 1, &Arc::clone(volume));
            }
            for (id, pyramid) in &sources.pyramids {
                renderer.set_pyramid(*id, pyramid);
            }
            for (id, labels) in &sources.labels {
                renderer.set_labels(*id, 1, labels, None);
            }
            for (id, set) in &sources.surfaces {
                renderer.set_surfaces(*id, 1, &Arc::clone(set));
            }
            renderer
        });
        Self { sources, renderer, tile: None }
    }

    /// Longest edge of a tile on the device, below what it takes; pictures do not depend on it.
    pub fn set_tile(&mut self, edge: u32) {
        self.tile = Some(edge.max(1));
    }

    /// Whether a device draws.
    pub fn has_device(&self) -> bool {
        self.renderer.is_some()
    }

    /// Which world points something that is seen hides from the viewer; none in a slice.
    pub fn hidden(&self, scene: &Scene, points: &[DVec3]) -> Vec<bool> {
        match scene {
            Scene::Slice(_) => vec![false; points.len()],
            Scene::Volume(scene) => cpu::hidden(&self.sources, scene, points),
        }
    }

    /// The picture of a scene, alpha straight.
    ///
    /// # Errors
    /// [`DrawError`] where it was cancelled or the device failed.
    pub fn draw(&mut self, progress: &Progress, scene: &Scene) -> Result<RgbaImage, DrawError> {
        match (scene, &mut self.renderer) {
            (Scene::Slice(scene), Some(renderer)) => renderer.still_slice(progress, scene, self.tile),
            (Scene::Volume(scene), Some(renderer)) => renderer.still_volume(progress, scene, self.tile),
            (Scene::Slice(scene), None) => Ok(cpu::slice(progress, &self.sources, scene)?),
            (Scene::Volume(scene), None) => Ok(cpu::volume(progress, &self.sources, scene)?),
        }
    }
}
