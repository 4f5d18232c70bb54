//! Pictures out: PNG, whole or not at all.

use std::path::Path;

use image::{ImageFormat, RgbaImage};

use super::atomic::write_atomically;
use super::error::IoError;

/// Writes a picture as PNG.
///
/// # Errors
/// [`IoError`] where the folder does not take it.
pub fn write_picture(path: &Path, picture: &RgbaImage) -> Result<(), IoError> {
    write_atomically(path, |temporary| {
        picture
            .save_with_format(temporary, ImageFormat::Png)
            .map_err(|e| IoError::content(path, format!("the picture could not be written: {e}")))
    })
}
