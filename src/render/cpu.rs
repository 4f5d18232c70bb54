//! Drawing with the processor alone: the fallback where there is no driver, and the f64 reference
//! that the device is measured against.
//!
//! Same geometry, same sampling places and same compositing as the shaders, in f64 and from the
//! exact f32 voxels. Rows are drawn in parallel; pixels do not depend on each other.

mod cast;
mod sample;
mod slice;

use std::collections::BTreeMap;
use std::sync::Arc;

use glam::{DVec2, DVec3};
use image::RgbaImage;
use rayon::prelude::*;

use super::scene::{LayerId, VolumeScene};
use super::surface_cpu::{BAND, SurfacePainter};
use super::surfaces::SurfaceSet;
use crate::base::{Cancelled, Progress};
use crate::volume::{Labels, Pyramid, Volume};
use cast::Caster;
pub(super) use cast::lit_from;
pub use slice::slice;

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
    if scene.mode.is_projection() {
        return none;
    }
    let Some(caster) = Caster::with_leaps(sources, scene, false) else { return none };
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
