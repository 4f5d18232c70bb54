//! Drawing with the processor alone: the fallback where there is no driver, and the f64 reference
//! that the device is measured against.
//!
//! Same geometry, same sampling places and same compositing as the shaders, in f64 and from the
//! exact f32 voxels. Rows are drawn in parallel; pixels do not depend on each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use glam::{DAffine3, DVec2, DVec3};
use image::RgbaImage;
use rayon::prelude::*;

use super::grid::{self, MinMaxGrid};
use super::march::shading_gradient;
use super::scene::{
    Blend, ImageLayer, Interpolation, KEPT, LabelLayer, LayerId, SlabMode, SliceLayer, SliceScene,
    VolumeChannel, VolumeMode, VolumeScene,
};
use super::setup::{MarchSetup, SliceSetup};
use super::slice::inverse_width;
use super::surface_cpu::{BAND, Crossing, SurfacePainter};
use super::surface_setup::world_of_box;
use super::surfaces::SurfaceSet;
use super::transfer::{TABLE_LEN, TransferTable};
use crate::base::{Cancelled, Progress};
use crate::volume::{Labels, Pyramid, Volume};

/// Volumes and labels by key, as handed to the renderer.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Volumes.
    pub volumes: BTreeMap<LayerId, Arc<Volume<f32>>>,
    /// Finer levels of volumes that are the working levels of pyramids; the device draws them, the processor does not.
    pub pyramids: BTreeMap<LayerId, Arc<Pyramid>>,
    /// Labels.
    pub labels: BTreeMap<LayerId, Labels>,
    /// Surfaces of meshes.
    pub surfaces: BTreeMap<LayerId, Arc<SurfaceSet>>,
}

impl Sources {
    /// With what others hold.
    pub fn extend(&mut self, others: Self) {
        self.volumes.extend(others.volumes);
        self.pyramids.extend(others.pyramids);
        self.labels.extend(others.labels);
        self.surfaces.extend(others.surfaces);
    }
}

/// A value as it is drawn: what is not finite counts as 0.
fn drawn(value: f32) -> f64 {
    if value.is_finite() { f64::from(value) } else { 0.0 }
}

/// Value at the nearest voxel, ends continued.
fn nearest(volume: &Volume<f32>, p: DVec3) -> f64 {
    let [nz, ny, nx] = volume.shape();
    let index = |v: f64, n: usize| ((v + 0.5).floor().max(0.0) as usize).min(n - 1);
    let (z, y, x) = (index(p.z, nz), index(p.y, ny), index(p.x, nx));
    drawn(volume.values()[(z * ny + y) * nx + x])
}

/// Value linear between voxel centres, ends continued.
fn linear(volume: &Volume<f32>, p: DVec3) -> f64 {
    let [nz, ny, nx] = volume.shape();
    let values = volume.values();
    let split = |v: f64, n: usize| {
        let v = v.clamp(0.0, (n - 1) as f64);
        let i = (v as usize).min(n.saturating_sub(2));
        (i, (i + 1).min(n - 1), v - i as f64)
    };
    let ((z0, z1, fz), (y0, y1, fy), (x0, x1, fx)) = (split(p.z, nz), split(p.y, ny), split(p.x, nx));
    let row = |z: usize, y: usize| {
        let base = (z * ny + y) * nx;
        drawn(values[base + x0]) * (1.0 - fx) + drawn(values[base + x1]) * fx
    };
    let plane = |z: usize| row(z, y0) * (1.0 - fy) + row(z, y1) * fy;
    plane(z0) * (1.0 - fz) + plane(z1) * fz
}

/// Weights of four neighbours, one before to two behind, at a fraction from 0 to 1: cubic after Catmull and Rom.
///
/// They add up to 1, are exact at the centres and for straight lines. Keep in sync with `weights` in slice.wgsl.
fn cubic_weights(f: f64) -> [f64; 4] {
    let (f2, f3) = (f * f, f * f * f);
    [
        0.5 * (-f3 + 2.0 * f2 - f),
        0.5 * (3.0 * f3 - 5.0 * f2 + 2.0),
        0.5 * (-3.0 * f3 + 4.0 * f2 + f),
        0.5 * (f3 - f2),
    ]
}

/// Value cubic through voxel centres, ends continued.
fn cubic(volume: &Volume<f32>, p: DVec3) -> f64 {
    let [nz, ny, nx] = volume.shape();
    let values = volume.values();
    let taps = |v: f64, n: usize| {
        let base = v.floor();
        let weights = cubic_weights(v - base);
        let last = n as f64 - 1.0;
        std::array::from_fn::<_, 4, _>(|i| ((base + i as f64 - 1.0).clamp(0.0, last) as usize, weights[i]))
    };
    let (zs, ys, xs) = (taps(p.z, nz), taps(p.y, ny), taps(p.x, nx));
    let mut sum = 0.0;
    for (z, wz) in zs {
        for (y, wy) in ys {
            let row = &values[(z * ny + y) * nx..][..nx];
            sum += wz * wy * xs.iter().map(|(x, wx)| drawn(row[*x]) * wx).sum::<f64>();
        }
    }
    sum
}

/// Id at a place, 0 outside.
fn id_at(labels: &Labels, p: DVec3) -> u16 {
    let [x, y, z] = (p + 0.5).floor().to_array();
    if x < 0.0 || y < 0.0 || z < 0.0 {
        return 0;
    }
    labels.get([z as usize, y as usize, x as usize])
}

/// Premultiplied colour `top` over `below`.
fn over(top: [f64; 4], below: [f64; 4]) -> [f64; 4] {
    std::array::from_fn(|c| top[c] + below[c] * (1.0 - top[3]))
}

fn premultiplied(rgb: [f64; 3], alpha: f64, cover: f64) -> [f64; 4] {
    [rgb[0] * alpha, rgb[1] * alpha, rgb[2] * alpha, alpha * cover]
}

/// Premultiplied f64 to straight bytes.
fn bytes(c: [f64; 4]) -> [u8; 4] {
    let alpha = c[3].clamp(0.0, 1.0);
    let straight = |v: f64| if alpha > 0.0 { v / alpha } else { 0.0 };
    [straight(c[0]), straight(c[1]), straight(c[2]), alpha].map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8)
}

fn draw(
    progress: &Progress,
    [width, height]: [u32; 2],
    pixel: impl Fn(u32, u32) -> [f64; 4] + Sync,
) -> Result<RgbaImage, Cancelled> {
    progress.phase("Drawing", u64::from(height));
    let row_bytes = width as usize * 4;
    let mut data = vec![0u8; row_bytes * height as usize];
    data.par_chunks_mut(row_bytes.max(4)).enumerate().try_for_each(|(y, row)| {
        progress.check()?;
        for (x, out) in row.chunks_exact_mut(4).enumerate() {
            out.copy_from_slice(&bytes(pixel(x as u32, y as u32)));
        }
        progress.advance(1);
        Ok(())
    })?;
    Ok(RgbaImage::from_raw(width, height, data).unwrap_or_default())
}

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

/// Draws a 3-D view. Jitter is left out: the processor has time for an even grid.
///
/// # Errors
/// [`Cancelled`].
pub fn volume(progress: &Progress, sources: &Sources, scene: &VolumeScene) -> Result<RgbaImage, Cancelled> {
    let Some(caster) = Caster::new(sources, scene) else {
        let [r, g, b, a] = scene.background.map(f64::from);
        return draw(progress, scene.size_px, |_, _| premultiplied([r, g, b], a, 1.0));
    };
    let [w, h] = scene.size_px.map(|n| f64::from(n.max(1)));
    let place = |x: u32, y: u32| ((f64::from(x) + 0.5) / w * 2.0 - 1.0, (f64::from(y) + 0.5) / h * 2.0 - 1.0);
    let Some(mut painter) = SurfacePainter::new(sources, scene) else {
        return draw(progress, scene.size_px, |x, y| {
            let (sx, sy) = place(x, y);
            caster.background(caster.trace(sx, sy, &[]).0)
        });
    };
    painter.sort();
    progress.check()?;
    bands(progress, scene.size_px, |number, y, row| {
        let band = painter.band(number);
        for (y, row) in (y..).zip(row) {
            progress.check()?;
            for (x, out) in (0..).zip(row.chunks_exact_mut(4)) {
                let (sx, sy) = place(x, y);
                let color = caster.trace(sx, sy, &painter.pixel(&band, x, y)).0;
                out.copy_from_slice(&bytes(caster.background(color)));
            }
        }
        Ok(())
    })
}

/// Draws bands of rows in parallel: `band` gets its number, its first row and its rows.
fn bands(
    progress: &Progress,
    [width, height]: [u32; 2],
    band: impl Fn(usize, u32, &mut dyn Iterator<Item = &mut [u8]>) -> Result<(), Cancelled> + Sync,
) -> Result<RgbaImage, Cancelled> {
    progress.phase("Drawing", u64::from(height));
    let row_bytes = (width as usize * 4).max(4);
    let mut data = vec![0u8; width as usize * 4 * height as usize];
    data.par_chunks_mut(row_bytes * BAND as usize).enumerate().try_for_each(|(number, rows)| {
        let n = rows.len() / row_bytes;
        band(number, number as u32 * BAND, &mut rows.chunks_exact_mut(row_bytes))?;
        progress.advance(n as u64);
        Ok(())
    })?;
    Ok(RgbaImage::from_raw(width, height, data).unwrap_or_default())
}

/// World point, µm, that is seen at a place of a 3-D view (`uv` 0 to 1 from the upper left corner):
/// where half of what is seen lies in front (or the densest place of a haze that hides less), the surface, or the extreme
/// value; `None` for the background.
pub fn pick(sources: &Sources, scene: &VolumeScene, uv: DVec2) -> Option<DVec3> {
    // One ray is quicker through all there is than finding out what is empty.
    let caster = Caster::with_leaps(sources, scene, false)?;
    let (sx, sy) = (uv.x * 2.0 - 1.0, uv.y * 2.0 - 1.0);
    let crossings = SurfacePainter::new(sources, scene).map_or_else(Vec::new, |p| p.ray(sx, sy));
    let (_, hit_um) = caster.trace(sx, sy, &crossings);
    let (origin, direction) = caster.setup.ray(sx, sy);
    hit_um.map(|t| caster.world_from_voxel.transform_point3(origin + direction * t))
}

/// How far in front of a point something must lie to hide it, as a part of the volume's diagonal: rulers lie in
/// surfaces.
const HIDES_UM: f64 = 0.01;

/// Which of some world points are hidden by more than half by what is seen before them; none in projections, which
/// have no depth.
pub fn hidden(sources: &Sources, scene: &VolumeScene, points: &[DVec3]) -> Vec<bool> {
    let none = vec![false; points.len()];
    let is_flat = matches!(scene.mode, VolumeMode::Mip | VolumeMode::MinIp | VolumeMode::Mean);
    let Some(caster) = Caster::with_leaps(sources, scene, false).filter(|_| !is_flat) else { return none };
    let painter = SurfacePainter::new(sources, scene);
    let slack = (scene.bounds.1 - scene.bounds.0).length() * HIDES_UM;
    let is_hidden = |point: &DVec3| {
        let uv = scene.camera.project(*point, scene.aspect())?;
        let (sx, sy) = (uv.x * 2.0 - 1.0, uv.y * 2.0 - 1.0);
        let crossings = painter.as_ref().map_or_else(Vec::new, |painter| painter.ray(sx, sy));
        let (color, hit_um) = caster.trace(sx, sy, &crossings);
        let (origin, direction) = caster.setup.ray(sx, sy);
        let hit = caster.world_from_voxel.transform_point3(origin + direction * hit_um?);
        Some(color[3] > 0.5 && (*point - hit).dot(scene.camera.forward()) > slack)
    };
    points.par_iter().map(|point| is_hidden(point).unwrap_or(false)).collect()
}

/// Everything that the rays of a scene share.
struct Caster<'a> {
    scene: &'a VolumeScene,
    volume: Option<&'a Volume<f32>>,
    labels: Option<&'a Labels>,
    setup: MarchSetup,
    world_from_voxel: DAffine3,
    table: TransferTable,
    empty: Empty,
    /// Channels that are drawn, their volumes, and their voxels from those of the volume.
    channels: Vec<(VolumeChannel, &'a Volume<f32>, DAffine3)>,
}

/// What is known of bricks where nothing is seen.
struct Empty {
    /// How far a ray may go on from each brick, see [`grid::leaps`].
    leaps: Vec<u8>,
    dims: [usize; 3],
    /// Edge of a brick in voxels.
    edge: f64,
}

impl Empty {
    /// Nothing is known: one brick, to be sampled.
    fn unknown() -> Self {
        Self { leaps: vec![grid::OCCUPIED + 1], dims: [1; 3], edge: 1e9 }
    }

    fn of(volume: &Volume<f32>, scene: &VolumeScene, table: &TransferTable) -> Self {
        let [nz, ny, nx] = volume.shape();
        let mut ranges = MinMaxGrid::new([nz, ny, nx]);
        ranges.add_planes(0, nz, |z, y, _, take| take(&volume.values()[(z * ny + y) * nx..][..nx]));
        let leaps = match scene.mode {
            VolumeMode::Composite => ranges.leaps(|low, high| table.shows(low, high)),
            VolumeMode::Mip => ranges.leaps(|_, high| high > scene.window[0]),
            VolumeMode::Iso => ranges.leaps(|_, high| high >= scene.iso_value),
            _ => ranges.leaps(|_, _| true),
        };
        Self { leaps, dims: ranges.dims(), edge: grid::EDGE as f64 }
    }
}

impl<'a> Caster<'a> {
    fn new(sources: &'a Sources, scene: &'a VolumeScene) -> Option<Self> {
        Self::with_leaps(sources, scene, true)
    }

    /// With or without what is known of empty bricks.
    fn with_leaps(sources: &'a Sources, scene: &'a VolumeScene, leaps: bool) -> Option<Self> {
        let layer = scene.labels.as_ref();
        let labels = layer.and_then(|layer| sources.labels.get(&layer.labels));
        let table = scene.transfer.table();
        if scene.mode == VolumeMode::Surfaces {
            let set = sources.surfaces.get(&scene.drawn_surfaces()?.surfaces)?;
            let world_from_voxel = world_of_box(set.bounds);
            return Some(Self {
                scene,
                volume: None,
                labels: None,
                setup: MarchSetup::new(scene, world_from_voxel, [1; 3], [1; 3]),
                world_from_voxel,
                table,
                empty: Empty::unknown(),
                channels: Vec::new(),
            });
        }
        if scene.mode == VolumeMode::Labels {
            let (layer, labels) = (layer?, labels?);
            let setup = MarchSetup::new(scene, layer.world_from_voxel, labels.shape(), [1; 3]);
            return Some(Self {
                scene,
                volume: None,
                labels: Some(labels),
                setup,
                world_from_voxel: layer.world_from_voxel,
                table,
                empty: Empty::unknown(),
                channels: Vec::new(),
            });
        }
        let volume: &Volume<f32> = sources.volumes.get(&scene.volume?).filter(|v| v.n_voxels() > 0)?;
        let setup = MarchSetup::new(scene, scene.world_from_voxel, volume.shape(), [1; 3]);
        let channels: Vec<_> = scene
            .drawn_channels()
            .iter()
            .zip(setup.channel_from_texel)
            .filter_map(|(channel, map)| {
                let volume = sources.volumes.get(&channel.volume).filter(|v| v.n_voxels() > 0)?;
                Some((*channel, volume.as_ref(), map))
            })
            .collect();
        // Where the volume is clear a channel may glow.
        let empty =
            if leaps && channels.is_empty() { Empty::of(volume, scene, &table) } else { Empty::unknown() };
        Some(Self {
            scene,
            volume: Some(volume),
            labels,
            setup,
            world_from_voxel: scene.world_from_voxel,
            table,
            empty,
            channels,
        })
    }

    fn background(&self, color: [f64; 4]) -> [f64; 4] {
        let [r, g, b, a] = self.scene.background.map(f64::from);
        over(color, premultiplied([r, g, b], a, 1.0))
    }

    fn value(&self, p: DVec3) -> f64 {
        self.volume.map_or(0.0, |volume| linear(volume, p))
    }

    fn gradient(&self, p: DVec3) -> DVec3 {
        let along = |e: DVec3| (self.value(p + e) - self.value(p - e)) * 0.5;
        self.setup.camera_gradient * DVec3::new(along(DVec3::X), along(DVec3::Y), along(DVec3::Z))
    }

    fn label(&self, p: DVec3) -> u16 {
        self.labels.map_or(0, |labels| id_at(labels, self.setup.label_from_texel.transform_point3(p)))
    }

    /// Colour and alpha of an id.
    fn label_color(&self, id: u16) -> [f64; 4] {
        self.scene.labels.as_ref().map_or([0.0; 4], |l| l.colors.get(id).map(|c| f64::from(c) / 255.0))
    }

    /// Whether cuts leave an id whole.
    fn is_kept(&self, id: u16) -> bool {
        id != 0 && self.scene.labels.as_ref().is_some_and(|l| l.colors.get(id)[3] == KEPT)
    }

    fn label_strength(&self) -> f64 {
        self.scene.labels.as_ref().map_or(0.0, |l| f64::from(l.strength.clamp(0.0, 1.0)))
    }

    /// Number of steps to take from step `k` at `p`: more than one over empty bricks; 0 where it must be sampled.
    fn leap(&self, p: DVec3, origin: DVec3, inverse: DVec3, first: f64, k: f64) -> Option<f64> {
        let [nz, ny, nx] = self.empty.dims;
        let brick = ((p + 0.5) / self.empty.edge).floor();
        let index = |v: f64, n: usize| (v.max(0.0) as usize).min(n - 1);
        let (x, y, z) = (index(brick.x, nx), index(brick.y, ny), index(brick.z, nz));
        let leap = self.empty.leaps[(z * ny + y) * nx + x];
        if leap > grid::OCCUPIED {
            return None;
        }
        let brick = DVec3::new(x as f64, y as f64, z as f64);
        let reach = f64::from(leap);
        let a = ((brick - reach + 1.0) * self.empty.edge - 0.5 - origin) * inverse;
        let b = ((brick + reach) * self.empty.edge - 0.5 - origin) * inverse;
        let exit = a.max(b).min_element();
        Some((k + 1.0).max(((exit - first) / self.setup.dt_um).ceil()))
    }

    /// Premultiplied colour along a ray that crosses surfaces, and the distance in µm of what is seen.
    fn trace(&self, sx: f64, sy: f64, surfaces: &[Crossing]) -> ([f64; 4], Option<f64>) {
        let (origin, direction) = self.setup.ray(sx, sy);
        let (enter, leave) = self.setup.span(origin, direction);
        // Where something is kept whole the ray goes through all of the volume.
        let keeps = self.scene.keeps;
        let (begin, end) = if keeps { self.setup.whole_span(origin, direction) } else { (enter, leave) };
        let mut ray = RayState { surfaces, ..RayState::default() };
        if end.is_nan() || end <= begin || self.scene.mode == VolumeMode::Surfaces {
            self.gather(&mut ray, f64::INFINITY);
            return (ray.color, ray.hit_um.or(ray.densest_um));
        }
        let inverse = direction.recip();
        let dt = self.setup.dt_um;
        let first = begin + dt * 0.5;
        // Where a surface of the volume is looked for between two samples.
        let back = if matches!(self.scene.mode, VolumeMode::Iso | VolumeMode::Labels) { dt } else { 0.0 };
        let mut k = 0.0;
        loop {
            let t = first + k * dt;
            if t >= end {
                break;
            }
            if self.gather(&mut ray, t - back) {
                break;
            }
            let p = origin + direction * t;
            if let Some(next) = self.leap(p, origin, inverse, first, k) {
                k = next;
                ray.last_entry = None;
                ray.last_id = 0;
                continue;
            }
            k += 1.0;
            // Where what is seen here begins at the earliest: at a cut, unless this is kept.
            let face = if keeps && self.is_kept(self.label(p)) {
                begin
            } else if t >= enter && t < leave {
                enter
            } else {
                ray.last_entry = None;
                ray.last_id = 0;
                continue;
            };
            let at = |t: f64| origin + direction * t;
            let is_over = match self.scene.mode {
                VolumeMode::Labels => self.label_step(&mut ray, at, (t - dt, face), t),
                VolumeMode::Composite => self.haze_step(&mut ray, p, t),
                VolumeMode::Iso => self.iso_step(&mut ray, at, (t - dt).max(face), t, direction),
                VolumeMode::Mip | VolumeMode::MinIp | VolumeMode::Mean | VolumeMode::Surfaces => {
                    self.projection_step(&mut ray, p, t);
                    false
                }
            };
            if is_over {
                break;
            }
        }
        if ray.color[3] <= 0.995 {
            self.gather(&mut ray, f64::INFINITY);
        }
        self.finish(ray)
    }

    /// Adds the surfaces up to a distance; true once nothing behind can be seen.
    fn gather(&self, ray: &mut RayState<'_>, upto_um: f64) -> bool {
        while let Some((next, rest)) = ray.surfaces.split_first()
            && next.t <= upto_um
        {
            ray.surfaces = rest;
            ray.add(self.faded(next.rgb, next.t), next.alpha, next.t);
        }
        ray.color[3] > 0.995
    }

    fn finish(&self, mut ray: RayState<'_>) -> ([f64; 4], Option<f64>) {
        let low = f64::from(self.scene.window[0]);
        let value = match self.scene.mode {
            VolumeMode::Mip => Some(if ray.count > 0.0 { ray.best } else { low }),
            VolumeMode::MinIp if ray.count > 0.0 => Some(ray.best),
            VolumeMode::Mean if ray.count > 0.0 => Some(ray.sum / ray.count),
            _ => None,
        };
        if let Some(value) = value {
            ray.color = self.mapped(value);
        }
        (ray.color, ray.hit_um.or(ray.densest_um))
    }

    /// Colour of a value in the window, opaque.
    fn mapped(&self, value: f64) -> [f64; 4] {
        let t = (value - f64::from(self.scene.window[0])) * f64::from(inverse_width(self.scene.window));
        let [r, g, b, _] = self.scene.color_map.at(t);
        [r, g, b, 1.0]
    }

    /// Colour that fades into the background with distance.
    fn faded(&self, rgb: [f64; 3], t: f64) -> [f64; 3] {
        let [near, far] = self.setup.depth_um;
        let share = ((t - near) / (far - near).max(1e-12)).clamp(0.0, 1.0);
        let background = self.scene.background.map(f64::from);
        mixed(rgb, background, f64::from(self.scene.depth_cue.clamp(0.0, 1.0)) * share)
    }

    fn is_solid(&self, p: DVec3) -> bool {
        let setup = &self.setup;
        let is_outside = |(low, high): (DVec3, DVec3)| p.cmplt(low).any() || p.cmpgt(high).any();
        let is_cut = setup.cuts.iter().any(|cut| cut.truncate().dot(p) + cut.w < 0.0);
        if is_cut || is_outside((setup.low, setup.high)) {
            let is_kept = self.scene.keeps && !is_outside(setup.whole) && self.is_kept(self.label(p));
            if !is_kept {
                return false;
            }
        }
        if self.scene.mode == VolumeMode::Labels {
            let id = self.label(p);
            return id != 0 && self.label_color(id)[3] * self.label_strength() > 0.5;
        }
        self.value(p) >= f64::from(self.scene.iso_value)
    }

    /// What is left of the light at a place of a surface: hollows see less of it, and what stands between takes it away.
    /// Keep in sync with `light_left` in volume.wgsl.
    fn light_left(&self, p: DVec3, normal: DVec3) -> f64 {
        let n = if normal.z > 0.0 { -normal } else { normal };
        let (basis, voxel_um) = (self.setup.basis, self.setup.voxel_um);
        let mut left = 1.0;
        let occlusion = f64::from(self.scene.occlusion.clamp(0.0, 1.0));
        if occlusion > 0.0 {
            let mut hidden = 0.0;
            for i in 0..8 {
                let side = |bit: i32| f64::from(i >> bit & 1) * 2.0 - 1.0;
                let corner = DVec3::new(side(0), side(1), side(2));
                let direction = (corner * 0.57735 + n * 1.05).normalize();
                let nearest = (0..3).map(f64::from).find(|j| {
                    let reach = voxel_um * (2.0 + 3.0 * j + 1.5 * j * j);
                    self.is_solid(p + basis * (direction * reach))
                });
                hidden += nearest.map_or(0.0, |j| 1.0 - 0.25 * j);
            }
            left *= 1.0 - occlusion * 0.9 * hidden / 8.0;
        }
        let shadow = f64::from(self.scene.shadow.clamp(0.0, 1.0));
        if shadow > 0.0 {
            let toward = basis * (LIGHT * voxel_um);
            let between = (0..40).map(f64::from).find(|j| self.is_solid(p + toward * (2.0 + 1.5 * j)));
            // Softer the farther what takes the light away.
            left *= between.map_or(1.0, |j| 1.0 - shadow * 0.6 * (1.0 - j / 40.0));
        }
        left
    }

    fn projection_step(&self, ray: &mut RayState<'_>, p: DVec3, t: f64) {
        let value = self.value(p);
        let is_better = match self.scene.mode {
            VolumeMode::Mip => value > ray.best,
            VolumeMode::MinIp => value < ray.best,
            _ => false,
        };
        if ray.count == 0.0 || is_better {
            ray.best = value;
            ray.hit_um = Some(t);
        }
        ray.sum += value;
        ray.count += 1.0;
    }

    /// Mean colour and extinction between two entries of the transfer table.
    fn between(&self, a: usize, b: usize) -> [f64; 4] {
        let direct = self.table.direct[b].map(f64::from);
        if a == b {
            return direct;
        }
        let scale = TABLE_LEN as f64 / (b as f64 - a as f64);
        let (ia, ib) = (self.table.integral[a], self.table.integral[b]);
        let sum: [f64; 4] = std::array::from_fn(|c| (f64::from(ib[c]) - f64::from(ia[c])) * scale);
        if sum[3] <= 1e-6 {
            return [direct[0], direct[1], direct[2], 0.0];
        }
        [sum[0] / sum[3], sum[1] / sum[3], sum[2] / sum[3], sum[3]]
    }

    fn haze_step(&self, ray: &mut RayState<'_>, p: DVec3, t: f64) -> bool {
        let entry = self.table.index(self.value(p) as f32);
        let [r, g, b, extinction] = self.between(ray.last_entry.unwrap_or(entry), entry);
        ray.last_entry = Some(entry);
        let alpha = 1.0 - (-extinction * self.setup.dt_um).exp();
        if alpha > 0.0 {
            self.haze_sample(ray, p, t, [r, g, b], alpha);
        }
        for (channel, volume, map) in &self.channels {
            let alpha = 1.0 - (-glow(channel, volume, map.transform_point3(p)) * self.setup.dt_um).exp();
            if alpha > 0.0 {
                ray.add(self.faded(channel.rgb.map(f64::from), t), alpha, t);
            }
        }
        ray.color[3] > 0.995
    }

    /// Adds what the volume itself shows at a place.
    fn haze_sample(&self, ray: &mut RayState<'_>, p: DVec3, t: f64, rgb: [f64; 3], mut alpha: f64) {
        let mut rgb = rgb;
        let id = self.label(p);
        if id != 0 {
            let color = self.label_color(id);
            if color[3] <= 0.0 {
                alpha = 0.0;
            }
            rgb = mixed(rgb, color, self.label_strength() * color[3]);
        }
        let shading = f64::from(self.scene.shading.clamp(0.0, 1.0));
        if alpha * (1.0 - ray.color[3]) > 0.002 && shading > 0.0 {
            let g = self.gradient(p);
            let size = g.length();
            if size > 0.0 {
                rgb = lit(rgb, g / size, shading * size / (size + shading_gradient(&self.table)));
            }
        }
        ray.add(self.faded(rgb, t), alpha, t);
    }

    fn iso_step(
        &self,
        ray: &mut RayState<'_>,
        at: impl Fn(f64) -> DVec3,
        before: f64,
        t: f64,
        direction: DVec3,
    ) -> bool {
        let threshold = f64::from(self.scene.iso_value);
        if self.value(at(t)) < threshold {
            return false;
        }
        let (mut lo, mut hi) = (before, t);
        if self.value(at(lo)) >= threshold {
            // Cut open: the face shows the values.
            let [r, g, b, _] = self.mapped(self.value(at(lo)));
            self.gather(ray, lo);
            return ray.add(self.faded([r, g, b], lo), 1.0, lo);
        }
        for _ in 0..24 {
            let middle = 0.5 * (lo + hi);
            if self.value(at(middle)) >= threshold { hi = middle } else { lo = middle }
        }
        let g = self.gradient(at(hi));
        let mut rgb = self.scene.iso_rgb.map(f64::from);
        if self.labels.is_some() {
            let color = self.label_color(self.label(at(hi) + direction.normalize() * 0.5));
            rgb = mixed(rgb, color, self.label_strength() * color[3]);
        }
        let shading = f64::from(self.scene.shading.clamp(0.0, 1.0));
        let normal = g / g.length().max(1e-12);
        let left = self.light_left(at(hi), normal);
        self.gather(ray, hi);
        ray.add(self.faded(lit(rgb, normal, shading).map(|c| c * left), hi), 1.0, hi)
    }

    fn label_step(
        &self,
        ray: &mut RayState<'_>,
        at: impl Fn(f64) -> DVec3,
        (before, enter): (f64, f64),
        t: f64,
    ) -> bool {
        let id = self.label(at(t));
        let is_new = id != ray.last_id && id != 0;
        ray.last_id = id;
        let color = self.label_color(id);
        let alpha = color[3] * self.label_strength();
        if !is_new || alpha <= 0.0 {
            return false;
        }
        let (mut lo, mut hi) = (before.max(enter), t);
        for _ in 0..5 {
            let middle = 0.5 * (lo + hi);
            if self.label(at(middle)) == id { hi = middle } else { lo = middle }
        }
        let shading = f64::from(self.scene.shading.clamp(0.0, 1.0));
        let mut rgb = [color[0], color[1], color[2]];
        // Cut open: the face is flat.
        if before > enter || self.label(at(enter)) != id {
            let normal = self.label_normal(at(hi), id);
            let left = self.light_left(at(hi), normal);
            rgb = lit(rgb, normal, shading).map(|c| c * left);
        }
        self.gather(ray, hi);
        ray.add(self.faded(rgb, t), alpha, hi)
    }

    fn share(&self, p: DVec3, id: u16) -> f64 {
        let base = p.floor();
        let f = p - base;
        (0..8)
            .map(|k| {
                let c = DVec3::new(f64::from(k & 1), f64::from(k >> 1 & 1), f64::from(k >> 2));
                let w = (1.0 - f) + (f - (1.0 - f)) * c;
                if self.label(base + c) == id { w.x * w.y * w.z } else { 0.0 }
            })
            .sum()
    }

    fn label_normal(&self, p: DVec3, id: u16) -> DVec3 {
        let along = |e: DVec3| self.share(p + e * 1.5, id) - self.share(p - e * 1.5, id);
        let g = DVec3::new(along(DVec3::X), along(DVec3::Y), along(DVec3::Z));
        (self.setup.camera_gradient * g).try_normalize().unwrap_or(DVec3::NEG_Z)
    }
}

/// Extinction of a channel at a place of its volume, 1/µm.
fn glow(channel: &VolumeChannel, volume: &Volume<f32>, p: DVec3) -> f64 {
    let [nz, ny, nx] = volume.shape().map(|n| n as f64 - 0.5);
    if p.cmplt(DVec3::splat(-0.5)).any() || p.cmpgt(DVec3::new(nx, ny, nz)).any() {
        return 0.0;
    }
    let share = (linear(volume, p) - f64::from(channel.window[0])) * f64::from(inverse_width(channel.window));
    share.clamp(0.0, 1.0) * f64::from(channel.density_per_um.max(0.0))
}

/// What a ray has gathered.
#[derive(Debug, Default)]
struct RayState<'a> {
    /// Surfaces that are still before it, nearest first.
    surfaces: &'a [Crossing],
    color: [f64; 4],
    hit_um: Option<f64>,
    /// Where a haze adds most.
    densest_um: Option<f64>,
    last_entry: Option<usize>,
    last_id: u16,
    best: f64,
    sum: f64,
    count: f64,
}

impl RayState<'_> {
    /// Adds a sample behind what is there; true once nothing behind can be seen.
    fn add(&mut self, rgb: [f64; 3], alpha: f64, t: f64) -> bool {
        let adds = alpha * (1.0 - self.color[3]);
        if adds > self.best {
            (self.best, self.densest_um) = (adds, Some(t));
        }
        self.color = over(self.color, premultiplied(rgb, alpha, 1.0));
        if self.hit_um.is_none() && self.color[3] >= 0.5 {
            self.hit_um = Some(t);
        }
        self.color[3] > 0.995
    }
}

fn mixed(rgb: [f64; 3], color: [f64; 4], share: f64) -> [f64; 3] {
    std::array::from_fn(|c| rgb[c] + (color[c] - rgb[c]) * share)
}

/// Where the light is, seen from the surface, in camera axes.
const LIGHT: DVec3 = DVec3::new(-0.4216, -0.5059, -0.7526);

/// Shaded colour, both sides lit; keep in sync with `lit` in volume.wgsl.
fn lit(rgb: [f64; 3], normal: DVec3, strength: f64) -> [f64; 3] {
    lit_from(rgb, if normal.z > 0.0 { -normal } else { normal }, strength)
}

/// Shaded colour of a side whose normal is `n`; keep in sync with `lit` in surface.wgsl.
pub(super) fn lit_from(rgb: [f64; 3], n: DVec3, strength: f64) -> [f64; 3] {
    let light = LIGHT;
    let diffuse = n.dot(light).max(0.0);
    let halfway = (light + DVec3::NEG_Z).normalize();
    let specular = n.dot(halfway).max(0.0).powi(32);
    std::array::from_fn(|c| {
        let shaded = rgb[c] * (0.32 + 0.76 * diffuse) + 0.16 * specular;
        rgb[c] + (shaded - rgb[c]) * strength
    })
}
