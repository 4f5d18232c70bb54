//! Films: MP4, GIF or a folder of PNG files, frame by frame, whole or not at all.

use std::fs::File;
use std::path::Path;

use image::{ImageFormat, RgbaImage};

use super::atomic::write_atomically;
use super::error::IoError;
use super::{gif, h264, mp4};

/// Formats of films.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilmKind {
    /// H.264, for slides and browsers.
    Mp4,
    /// 256 colours a frame, for pages.
    Gif,
    /// A folder of PNG files, for other programs.
    Pngs,
}

impl FilmKind {
    /// The format that a path stands for: its extension, or a folder where it has none.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).as_deref() {
            Some("mp4") => Some(Self::Mp4),
            Some("gif") => Some(Self::Gif),
            None => Some(Self::Pngs),
            Some(_) => None,
        }
    }

    /// Says whether a film of this size and speed can be written; pictures of odd size gain a row or column in MP4.
    ///
    /// # Errors
    /// Why not, in one sentence.
    pub fn check(self, size: [u32; 2], fps: f64) -> Result<(), String> {
        let [wide, narrow] = [size[0].max(size[1]), size[0].min(size[1])];
        match self {
            Self::Mp4
                if narrow < h264::MIN_EDGE || wide > h264::MAX_EDGES[0] || narrow > h264::MAX_EDGES[1] =>
            {
                Err(format!(
                    "an MP4 of {} × {} pixels cannot be coded, from {} to {} × {} are possible; a folder of PNG files takes any size",
                    size[0],
                    size[1],
                    h264::MIN_EDGE,
                    h264::MAX_EDGES[0],
                    h264::MAX_EDGES[1]
                ))
            }
            Self::Gif if fps > gif::MAX_FPS => {
                Err(format!("a GIF plays at up to {} frames per second, not {fps}", gif::MAX_FPS))
            }
            Self::Gif if wide > u32::from(u16::MAX) => {
                Err(format!("a GIF is at most {} pixels wide or high, not {wide}", u16::MAX))
            }
            _ => Ok(()),
        }
    }
}

/// Writes a film whose frames are made one after the other by `frame`, which may stop it; then nothing is left.
///
/// # Errors
/// [`IoError`] of the frame, the coder or the system.
pub fn write_film(
    path: &Path,
    size: [u32; 2],
    fps: f64,
    n_frames: usize,
    mut frame: impl FnMut(usize) -> Result<RgbaImage, IoError>,
) -> Result<(), IoError> {
    let kind = FilmKind::of(path).ok_or_else(|| {
        IoError::content(path, "films are written as .mp4, as .gif or into a folder without extension")
    })?;
    kind.check(size, fps).map_err(|problem| IoError::content(path, problem))?;
    let mut next = |i: usize| {
        let picture = frame(i)?;
        if picture.dimensions() == (size[0], size[1]) {
            Ok(picture)
        } else {
            Err(IoError::content(path, format!("frame {i} has another size than the film")))
        }
    };
    write_atomically(path, |temporary| match kind {
        FilmKind::Mp4 => {
            let failed =
                |e: openh264::Error| IoError::content(path, format!("the film could not be coded: {e}"));
            let size = size.map(|n| n + n % 2);
            let mut coder = h264::Coder::new(size, fps).map_err(failed)?;
            for i in 0..n_frames {
                coder.push(&next(i)?).map_err(failed)?;
            }
            let bytes = mp4::file(&coder.finish(), size, fps);
            std::fs::write(temporary, bytes).map_err(|e| IoError::system("write", path, e))
        }
        FilmKind::Gif => {
            let failed = |e: ::gif::EncodingError| {
                IoError::content(path, format!("the film could not be written: {e}"))
            };
            let file = File::create(temporary).map_err(|e| IoError::system("create", path, e))?;
            let size = size.map(|n| u16::try_from(n).unwrap_or(u16::MAX));
            let mut writer = gif::Writer::new(file, size, fps).map_err(failed)?;
            for i in 0..n_frames {
                writer.push(&next(i)?).map_err(failed)?;
            }
            writer.finish().map_err(|e| IoError::system("write", path, e))
        }
        FilmKind::Pngs => {
            std::fs::create_dir(temporary).map_err(|e| IoError::system("create", path, e))?;
            for i in 0..n_frames {
                let file = temporary.join(format!("frame_{:05}.png", i + 1));
                next(i)?.save_with_format(&file, ImageFormat::Png).map_err(|e| {
                    IoError::content(path, format!("frame {} could not be written: {e}", i + 1))
                })?;
            }
            Ok(())
        }
    })
}

#[cfg(test)]
#[path = "film_tests.rs"]
mod tests;
