//! Whole pictures of any size, read back: what figures and films are made of.
//!
//! The same passes as the window's, at full quality. A picture beyond the device's limit is drawn
//! in tiles, and every tile in pieces of rows, so that a slow device stays alive and can be stopped.

use std::time::{Duration, Instant};

use image::RgbaImage;

use super::super::pipelines::{MEAN, OFFSCREEN};
use super::super::refine::Work;
use super::super::scene::{PixelMask, SliceLayer, SliceScene, VolumeScene};
use super::super::surfaces::SurfaceLayer;
use super::sheets::MOST_SHEETS;
use super::{Renderer, march_pass, offscreen};
use crate::base::{Cancelled, Progress};

/// Longest edge of a tile: far below what any device takes, small enough to be read back in one piece.
const TILE: u32 = 2048;
/// The same where surfaces are seen through.
const DEEP_TILE: u32 = 1024;
/// How long a piece of rows should take.
const PIECE: Duration = Duration::from_millis(60);
/// How long one wait for the device lasts before it is looked at whether to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait between looks at whether blocks of a pyramid have come.
const BLOCKS: Duration = Duration::from_millis(2);
/// View that pictures are drawn as.
const VIEW: u64 = u64::MAX;

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The device did not give it.
    #[error("the graphics device gave no picture ({0}); use the processor instead")]
    Device(String),
}

impl Renderer {
    /// Draws a 3-D view whole, at full quality. The renderer's targets must be [`OFFSCREEN`].
    pub(crate) fn still_volume(
        &mut self,
        progress: &Progress,
        scene: &VolumeScene,
        tile: Option<u32>,
    ) -> Result<RgbaImage, DrawError> {
        let samples = self.pace.samples(scene);
        progress.phase("Drawing", u64::from(scene.size_px[1]) * u64::from(samples));
        self.clock += 1;
        while self.upload_for(scene, PIECE) < 1.0 {
            progress.check()?;
            self.wait()?;
        }
        while self.stream_for((VIEW, PIECE, true), scene) {
            progress.check()?;
            std::thread::sleep(BLOCKS);
        }
        let mut marching = None;
        let mut rows_at_once = 16;
        // Sheets take eight bytes a pixel each.
        let is_deep = scene.drawn_surfaces().is_some_and(SurfaceLayer::is_transparent);
        let tile = if is_deep { Some(tile.unwrap_or(DEEP_TILE).min(DEEP_TILE)) } else { tile };
        let mut sheets = None;
        self.tiles(progress, scene.size_px, tile, |renderer, size, offset| {
            let texture = offscreen(&renderer.gpu, size, OFFSCREEN);
            let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
            let geometry = [size, offset, scene.size_px];
            let mean = (samples > 1).then(|| renderer.new_picture(size, MEAN));
            for sample in 0..samples {
                progress.check()?;
                let mut encoder =
                    renderer.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                let passes = (MOST_SHEETS, sample, u32::MAX);
                renderer.draw_sheets(&mut encoder, scene, &mut sheets, geometry, passes);
                renderer.gpu.queue.submit([encoder.finish()]);
                renderer.wait()?;
                let Some(marcher) =
                    renderer.marcher(VIEW, scene, sheets.as_ref(), &mut marching, geometry, (sample, 1.0))
                else {
                    renderer.clear(&view, scene.background);
                    return Ok(texture);
                };
                let mut row = 0;
                while row < size[1] {
                    progress.check()?;
                    let n_rows = rows_at_once.min(size[1] - row);
                    let is_last = row + n_rows == size[1];
                    let work = Work { size, row, n_rows, is_last, fraction: 1.0, sample };
                    let began = Instant::now();
                    let mut encoder = renderer
                        .gpu
                        .device
                        .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                    march_pass(&mut encoder, &view, &marcher, &work);
                    if let (Some(mean), true) = (&mean, is_last) {
                        renderer.mean_pass(&mut encoder, &mean.view, &view, sample + 1);
                    }
                    renderer.gpu.queue.submit([encoder.finish()]);
                    renderer.wait()?;
                    progress.advance(u64::from(n_rows));
                    row += n_rows;
                    let share = PIECE.as_secs_f64() / began.elapsed().as_secs_f64().max(1e-6);
                    rows_at_once = ((f64::from(n_rows) * share.clamp(0.25, 4.0)) as u32).clamp(1, TILE);
                }
            }
            if let Some(mean) = mean {
                renderer.pass(&view, [0.0; 4], |renderer, pass| renderer.blit(&mean, pass));
                renderer.wait()?;
            }
            Ok(texture)
        })
    }

    /// Draws a slice whole. The renderer's targets must be [`OFFSCREEN`].
    pub(crate) fn still_slice(
        &mut self,
        progress: &Progress,
        scene: &SliceScene,
        tile: Option<u32>,
    ) -> Result<RgbaImage, DrawError> {
        progress.phase("Drawing", u64::from(scene.size_px[1]));
        let edge = tile.unwrap_or(TILE).min(self.gpu.info.max_texture_2d).max(1);
        // Squares of a comparison go on from tile to tile.
        let squares = scene.layers.iter().find_map(|layer| match layer {
            SliceLayer::Image(image) => match image.mask {
                Some(PixelMask::EvenSquares(length) | PixelMask::OddSquares(length)) => {
                    Some(2 * length as u32)
                }
                _ => None,
            },
            SliceLayer::Labels(_) => None,
        });
        let step = squares.unwrap_or(1).clamp(1, edge);
        self.tiles(progress, scene.size_px, Some(edge - edge % step), |renderer, size, offset| {
            let middle = glam::DVec2::new(
                f64::from(offset[0]) + f64::from(size[0]) * 0.5,
                f64::from(offset[1]) + f64::from(size[1]) * 0.5,
            );
            let mut part =
                SliceScene { size_px: size, center_um: scene.world_from_px(middle), ..scene.clone() };
            for layer in &mut part.layers {
                if let SliceLayer::Image(image) = layer {
                    image.mask = image.mask.map(|mask| mask.in_part(offset[0]));
                }
            }
            while renderer.prepare_slice(VIEW, &part).needs_repaint {
                progress.check()?;
                renderer.wait()?;
                std::thread::sleep(BLOCKS);
            }
            let texture = offscreen(&renderer.gpu, size, OFFSCREEN);
            let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
            renderer.pass(&view, [0.0; 4], |renderer, pass| renderer.paint_slice(VIEW, pass));
            renderer.wait()?;
            Ok(texture)
        })
    }

    /// Draws a picture tile by tile and puts it together.
    fn tiles(
        &mut self,
        progress: &Progress,
        [width, height]: [u32; 2],
        tile: Option<u32>,
        mut draw: impl FnMut(&mut Self, [u32; 2], [u32; 2]) -> Result<wgpu::Texture, DrawError>,
    ) -> Result<RgbaImage, DrawError> {
        let edge = tile.unwrap_or(TILE).min(self.gpu.info.max_texture_2d).max(1);
        let mut picture = RgbaImage::new(width, height);
        for top in (0..height).step_by(edge as usize) {
            for left in (0..width).step_by(edge as usize) {
                progress.check()?;
                let size = [edge.min(width - left), edge.min(height - top)];
                let texture = draw(self, size, [left, top])?;
                let part = self.read_back(&texture, size)?;
                image::imageops::replace(&mut picture, &part, i64::from(left), i64::from(top));
            }
        }
        Ok(picture)
    }

    fn pass(
        &self,
        view: &wgpu::TextureView,
        [r, g, b, a]: [f64; 4],
        paint: impl FnOnce(&Self, &mut wgpu::RenderPass<'_>),
    ) {
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("still"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color { r, g, b, a }),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..Default::default()
        });
        paint(self, &mut pass);
        drop(pass);
        self.gpu.queue.submit([encoder.finish()]);
    }

    fn clear(&self, view: &wgpu::TextureView, background: [f32; 4]) {
        let [r, g, b, a] = background.map(f64::from);
        self.pass(view, [r * a, g * a, b * a, a], |_, _| {});
    }

    /// Waits until the device has done what it was given.
    fn wait(&self) -> Result<(), DrawError> {
        let poll = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
        self.gpu.device.poll(poll).map(drop).map_err(|error| DrawError::Device(error.to_string()))
    }

    /// Pixels of a texture, alpha straight.
    fn read_back(&self, texture: &wgpu::Texture, [width, height]: [u32; 2]) -> Result<RgbaImage, DrawError> {
        let stride = (width * 4).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffer = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("picture"),
            size: u64::from(stride) * u64::from(height),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_texture_to_buffer(
            texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &buffer,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(stride),
                    rows_per_image: Some(height),
                },
            },
            wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        );
        self.gpu.queue.submit([encoder.finish()]);
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        buffer.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            // The receiver only goes where the wait below has failed.
            drop(sender.send(result));
        });
        self.wait()?;
        match answer.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(DrawError::Device(error.to_string())),
            Err(_) => return Err(DrawError::Device("the picture did not come back".to_owned())),
        }
        let bytes =
            buffer.slice(..).get_mapped_range().map_err(|error| DrawError::Device(error.to_string()))?;
        let rows = bytes.chunks_exact(stride as usize).flat_map(|row| &row[..width as usize * 4]);
        let mut picture = RgbaImage::from_raw(width, height, rows.copied().collect()).unwrap_or_default();
        for pixel in picture.pixels_mut().filter(|pixel| pixel.0[3] < 255) {
            let alpha = f32::from(pixel.0[3]);
            for channel in &mut pixel.0[..3] {
                let straight = if alpha > 0.0 { f32::from(*channel) * 255.0 / alpha } else { 0.0 };
                *channel = straight.round().min(255.0) as u8;
            }
        }
        Ok(picture)
    }
}

#[cfg(test)]
impl Renderer {
    /// What a view of a volume has painted, as a window would show it.
    pub(crate) fn screen(&self, view: u64, size: [u32; 2]) -> RgbaImage {
        self.painted(size, |renderer, pass| renderer.paint_volume(view, pass))
    }

    /// What a slice has painted, as a window would show it.
    pub(crate) fn slice_screen(&self, view: u64, size: [u32; 2]) -> RgbaImage {
        self.painted(size, |renderer, pass| renderer.paint_slice(view, pass))
    }

    fn painted(&self, size: [u32; 2], paint: impl FnOnce(&Self, &mut wgpu::RenderPass<'_>)) -> RgbaImage {
        let texture = offscreen(&self.gpu, size, OFFSCREEN);
        let target = texture.create_view(&wgpu::TextureViewDescriptor::default());
        self.pass(&target, [0.0; 4], paint);
        self.read_back(&texture, size).unwrap()
    }
}
