//! Writes stacks that ImageJ opens with spacing and unit.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use ndarray::{ArrayView3, Axis};
use tiff::encoder::colortype::{self, ColorType};
use tiff::encoder::{Rational, TiffEncoder, TiffKind, TiffValue};
use tiff::tags::{ResolutionUnit, Tag};

use super::describe::OWN_LINE;
use super::text;
use crate::base::Progress;
use crate::io::array::{FileVoxel, with_view};
use crate::io::error::IoError;
use crate::io::format::WriteRequest;
use crate::io::sidecar::Sidecar;

/// Above this many bytes of values the 32-bit offsets of classic TIFF do not suffice.
const BIG_BYTES: u64 = 3_900 << 20;

/// A voxel with its kind of TIFF page.
trait Paged: FileVoxel {
    type Color: ColorType<Inner = Self>;
}

macro_rules! paged {
    ($($type:ty, $color:ident;)*) => {$(
        impl Paged for $type {
            type Color = colortype::$color;
        }
    )*};
}
paged! {
    u8, Gray8; i8, GrayI8; u16, Gray16; i16, GrayI16;
    u32, Gray32; i32, GrayI32; f32, Gray32Float; f64, Gray64Float;
}

/// Writes a stack; nothing is lost, the description carries what TIFF has no tag for.
pub(super) fn write(
    path: &Path,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let [z, y, x] = request.array.shape();
    let bytes = (z as u64) * (y as u64) * (x as u64) * request.array.dtype().n_bytes() as u64;
    let file = BufWriter::new(File::create(path).map_err(|e| IoError::system("create", path, e))?);
    let content = |e: tiff::TiffError| IoError::content(path, text(e));
    progress.phase("Writing", z as u64);
    if bytes > BIG_BYTES {
        let mut encoder = TiffEncoder::new_big(file).map_err(content)?;
        with_view!(&request.array, view => pages(path, &mut encoder, view, request, progress))?;
    } else {
        let mut encoder = TiffEncoder::new(file).map_err(content)?;
        with_view!(&request.array, view => pages(path, &mut encoder, view, request, progress))?;
    }
    Ok(Vec::new())
}

fn description(request: &WriteRequest<'_>) -> String {
    let n = request.array.shape()[0];
    let mut lines = format!("ImageJ=1.54f\nimages={n}\nslices={n}\nloop=false\n");
    if let Some([z, ..]) = request.voxel_um {
        lines.push_str(&format!("unit=um\nspacing={z}\n"));
    }
    if let Some(unit) = request.unit {
        lines.push_str(&format!("value_unit={}\n", unit.ascii()));
    }
    lines.push_str(&format!("{OWN_LINE}{}\n", Sidecar::of(request).without_objects().to_ascii_json()));
    lines
}

/// Pixels in a µm as a ratio of whole numbers, as exact as 32 bits allow.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 2^32 by the bound above"
)]
fn pixels_per_um(voxel_um: f64) -> Rational {
    let per_um = 1.0 / voxel_um;
    let mut d = 1_000_000_000u32;
    while d > 1 && per_um * f64::from(d) > f64::from(u32::MAX) {
        d /= 10;
    }
    Rational { n: (per_um * f64::from(d)).round().clamp(1.0, f64::from(u32::MAX)) as u32, d }
}

fn pages<T: Paged, W: Write + Seek, K: TiffKind>(
    path: &Path,
    encoder: &mut TiffEncoder<W, K>,
    view: &ArrayView3<'_, T>,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<(), IoError>
where
    [T]: TiffValue,
{
    let content = |e: tiff::TiffError| IoError::content(path, text(e));
    let (_, rows, cols) = view.dim();
    let side =
        |n: usize| u32::try_from(n).map_err(|_e| IoError::content(path, format!("a side of {n} pixels")));
    let (width, height) = (side(cols)?, side(rows)?);
    for (z, plane) in view.axis_iter(Axis(0)).enumerate() {
        progress.check()?;
        let mut image = encoder.new_image::<T::Color>(width, height).map_err(content)?;
        if let Some([_, voxel_y, voxel_x]) = request.voxel_um {
            image.resolution_unit(ResolutionUnit::None);
            image.x_resolution(pixels_per_um(voxel_x));
            image.y_resolution(pixels_per_um(voxel_y));
        }
        if z == 0 {
            image
                .encoder()
                .write_tag(Tag::ImageDescription, description(request).as_str())
                .map_err(content)?;
        }
        let plane = plane.as_standard_layout();
        image.write_data(plane.as_slice().unwrap_or(&[])).map_err(content)?;
        progress.advance(1);
    }
    Ok(())
}
