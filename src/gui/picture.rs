//! A picture of a view as PNG: what is on the screen, with its scale bar, without crosshair and brush.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use egui::{ColorImage, Rect, ScreenshotCallback, ViewportCommand};

use super::state::ViewId;
use crate::io::{IoError, write_atomically};

/// A picture that is being taken.
#[derive(Debug)]
pub(crate) struct Picture {
    /// Of which view.
    pub(crate) view: ViewId,
    /// Where it goes.
    pub(crate) path: PathBuf,
    /// Where the view is on the screen, once it has been drawn without what does not belong into a figure.
    pub(crate) rect: Option<Rect>,
    answer: Option<Receiver<Arc<ColorImage>>>,
}

impl Picture {
    /// Asks for a picture of a view.
    pub(crate) fn new(view: ViewId, path: PathBuf) -> Self {
        Self { view, path, rect: None, answer: None }
    }

    /// Goes on after a frame; what came of it once it is done.
    pub(crate) fn step(&mut self, ctx: &egui::Context) -> Option<Result<(), String>> {
        let rect = self.rect?;
        let Some(answer) = &self.answer else {
            let (sender, receiver) = sync_channel(1);
            let waker = ctx.clone();
            ctx.send_viewport_cmd(ViewportCommand::Screenshot(ScreenshotCallback::new(move |image| {
                // The window may have closed meanwhile; then nobody wants the picture.
                drop(sender.send(image));
                waker.request_repaint();
            })));
            self.answer = Some(receiver);
            ctx.request_repaint();
            return None;
        };
        match answer.try_recv() {
            Ok(image) => Some(write(&image.region(&rect, Some(ctx.pixels_per_point())), &self.path)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err("the window gave no picture; try again".to_owned())),
        }
    }
}

/// Writes a picture as PNG, whole or not at all.
fn write(image: &ColorImage, path: &Path) -> Result<(), String> {
    let [width, height] = image.size.map(|n| n as u32);
    let bytes: Vec<u8> = image.pixels.iter().flat_map(egui::Color32::to_array).collect();
    let picture = image::RgbaImage::from_raw(width, height, bytes).ok_or("the picture is empty")?;
    write_atomically(path, |temporary| {
        picture
            .save_with_format(temporary, image::ImageFormat::Png)
            .map_err(|error| IoError::content(path, error.to_string()))
    })
    .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_written_with_its_pixels_and_a_bad_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let image = ColorImage::from_gray([3, 2], &[0, 50, 100, 150, 200, 250]);
        let path = folder.path().join("view.png");
        write(&image, &path).unwrap();
        let back = image::open(&path).unwrap().to_rgba8();
        assert_eq!(back.dimensions(), (3, 2));
        assert_eq!(back.get_pixel(1, 1).0, [200, 200, 200, 255]);
        let error = write(&image, &folder.path().join("none/view.png")).unwrap_err();
        assert!(error.contains("folder"), "{error}");
    }
}
