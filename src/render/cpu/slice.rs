//! Slices with the processor.

use glam::{DVec2, DVec3};
use image::RgbaImage;

use super::super::scene::{Blend, ImageLayer, Interpolation, LabelLayer, SlabMode, SliceLayer, SliceScene};
use super::super::setup::SliceSetup;
use super::super::slice::inverse_width;
use super::sample::{cubic, id_at, linear, nearest};
use super::{Sources, draw, over, premultiplied};
use crate::base::{Cancelled, Progress};
use crate::volume::{Labels, Volume};

/// Draws a slice.
///
/// # Errors
/// [`Cancelled`].
pub fn slice(progress: &Progress, sources: &Sources, scene: &SliceScene) -> Result<RgbaImage, Cancelled> {
    let layers: Vec<_> =
        scene.layers.iter().filter_map(|layer| PixelLayer::new(sources, scene, layer)).collect();
    let background = scene.background.map(f64::from);
    let base = premultiplied([background[0], background[1], background[2]], background[3], 1.0);
    draw(progress, scene.size_px, |x, y| {
        let px = DVec2::new(f64::from(x) + 0.5, f64::from(y) + 0.5);
        layers.iter().fold(base, |below, layer| over(layer.color(px), below))
    })
}

/// A layer with its data and geometry.
enum PixelLayer<'a> {
    Image(&'a ImageLayer, &'a Volume<f32>, SliceSetup, SlabMode),
    Labels(&'a LabelLayer, &'a Labels, SliceSetup),
}

fn is_inside(p: DVec3, [nz, ny, nx]: [usize; 3]) -> bool {
    p.cmpge(DVec3::splat(-0.5)).all() && p.cmplt(DVec3::new(nx as f64, ny as f64, nz as f64) - 0.5).all()
}

impl<'a> PixelLayer<'a> {
    fn new(sources: &'a Sources, scene: &SliceScene, layer: &'a SliceLayer) -> Option<Self> {
        match layer {
            SliceLayer::Image(image) => {
                let volume = sources.volumes.get(&image.volume).filter(|v| v.n_voxels() > 0)?;
                let mode = scene.slab.map_or(SlabMode::Mean, |slab| slab.0);
                Some(Self::Image(image, volume, SliceSetup::new(scene, image.world_from_voxel), mode))
            }
            SliceLayer::Labels(layer) => {
                let plane = SliceScene { slab: None, layers: Vec::new(), ..scene.clone() };
                let setup = SliceSetup::new(&plane, layer.world_from_voxel);
                Some(Self::Labels(layer, sources.labels.get(&layer.labels)?, setup))
            }
        }
    }

    fn color(&self, px: DVec2) -> [f64; 4] {
        match self {
            Self::Image(layer, volume, setup, mode) => image_color(layer, volume, setup, *mode, px),
            Self::Labels(layer, labels, setup) => label_color(layer, labels, setup, px),
        }
    }
}

fn image_color(
    layer: &ImageLayer,
    volume: &Volume<f32>,
    setup: &SliceSetup,
    mode: SlabMode,
    px: DVec2,
) -> [f64; 4] {
    if layer.mask.is_some_and(|mask| !mask.shows(px.x, px.y)) {
        return [0.0; 4];
    }
    let start = setup.at(px.x, px.y);
    let samples = (0..setup.n_samples).map(|i| start + setup.dw * f64::from(i));
    let values = samples.filter(|p| is_inside(*p, volume.shape())).map(|p| match layer.interpolation {
        Interpolation::Nearest => nearest(volume, p),
        Interpolation::Linear => linear(volume, p),
        Interpolation::Cubic => cubic(volume, p),
    });
    let (mut count, mut value) = (0u32, 0.0f64);
    for sample in values {
        value = match mode {
            _ if count == 0 => sample,
            SlabMode::Mean => value + sample,
            SlabMode::Max => value.max(sample),
            SlabMode::Min => value.min(sample),
        };
        count += 1;
    }
    if count == 0 {
        return [0.0; 4];
    }
    if mode == SlabMode::Mean {
        value /= f64::from(count);
    }
    let t = (value - f64::from(layer.window[0])) * f64::from(inverse_width(layer.window));
    let [r, g, b, mut alpha] = layer.color_map.at(t);
    let mut rgb = [r, g, b];
    if let Some(highlight) = layer.highlight.filter(|h| h.strength > 0.0) {
        let [low, high] = highlight.range.map(f64::from);
        if (low..=high).contains(&value) {
            let strength = f64::from(highlight.strength.min(1.0));
            rgb = std::array::from_fn(|c| rgb[c] + (f64::from(highlight.rgb[c]) - rgb[c]) * strength);
            alpha = alpha.max(strength);
        }
    }
    let cover = if layer.blend == Blend::Additive { 0.0 } else { 1.0 };
    premultiplied(rgb, alpha * f64::from(layer.opacity.clamp(0.0, 1.0)), cover)
}

fn label_color(layer: &LabelLayer, labels: &Labels, setup: &SliceSetup, px: DVec2) -> [f64; 4] {
    let id_of = |dx: f64, dy: f64| id_at(labels, setup.at(px.x + dx, px.y + dy));
    let id = id_of(0.0, 0.0);
    let [r, g, b, a] = layer.colors.get(id).map(|c| f64::from(c) / 255.0);
    if id == 0 || a <= 0.0 {
        return [0.0; 4];
    }
    let width = f64::from(layer.outline_px.clamp(0.0, 8.0));
    let mut share = 0.0;
    let mut ring = 1.0;
    while width > 0.0 && ring < width + 1.0 {
        let d = ring * std::f64::consts::FRAC_1_SQRT_2;
        let around =
            [(ring, 0.0), (-ring, 0.0), (0.0, ring), (0.0, -ring), (d, d), (-d, -d), (d, -d), (-d, d)];
        if around.into_iter().any(|(dx, dy)| id_of(dx, dy) != id) {
            share = (width + 1.0 - ring).clamp(0.0, 1.0);
            break;
        }
        ring += 1.0;
    }
    let fill = f64::from(layer.fill_opacity.clamp(0.0, 1.0));
    let outline = fill.max(f64::from(layer.outline_opacity.clamp(0.0, 1.0)));
    premultiplied([r, g, b], (fill + (outline - fill) * share) * a, 1.0)
}
