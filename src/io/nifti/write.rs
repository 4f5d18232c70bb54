//! NIfTI as written: version 1, or 2 where a side is beyond it; little-endian, µm, placed by both of its forms.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::header::LABEL;
use crate::base::{Progress, Unit};
use crate::io::array::{Dtype, write_values};
use crate::io::error::IoError;
use crate::io::format::WriteRequest;
use crate::io::room;
use crate::io::walk::Values;

/// Level of gzip: labels are as small at the quick levels.
const LEVEL: u32 = 4;

/// Writes values; packed where the name says so.
pub(super) fn write(
    path: &Path,
    values: Values<'_>,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let head = head(values.shape(), values.dtype(), request)
        .ok_or_else(|| IoError::content(path, "more voxels along a side than can be counted"))?;
    let system = |e| IoError::system("write", path, e);
    // The name may still be a temporary one.
    let is_packed =
        path.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().contains(".nii.gz"));
    let room = if is_packed { 0 } else { values.n_bytes().saturating_add(head.len() as u64) };
    let file = room::create(path, room).map_err(|e| IoError::system("create", path, e))?;
    if is_packed {
        let mut out = GzEncoder::new(BufWriter::with_capacity(1 << 18, file), Compression::new(LEVEL));
        put(&mut out, &head, values, progress, path)?;
        out.finish().and_then(|mut out| out.flush()).map_err(system)?;
    } else {
        let mut out: File = file;
        put(&mut out, &head, values, progress, path)?;
    }
    let said =
        "some programs take the lengths of NIfTI for mm whatever its unit: they show the µm in it as mm";
    Ok(request.voxel_um.map(|_| said.to_owned()).into_iter().collect())
}

/// Whether single precision holds edges and place as they are read again.
pub(super) fn holds_frame(request: &WriteRequest<'_>) -> bool {
    let numbers = request.voxel_um.into_iter().flatten().chain(request.origin_um);
    numbers.into_iter().all(|number| single(number).to_string().parse() == Ok(number))
}

fn put(
    out: &mut impl PutAll,
    head: &[u8],
    values: Values<'_>,
    progress: &Progress,
    path: &Path,
) -> Result<(), IoError> {
    let system = |e: io::Error| IoError::system("write", path, e);
    out.write_all(head).map_err(system)?;
    values.for_each(progress, |planes| write_values(&planes, out).map_err(system))
}

/// What values can be written to from any thread.
trait PutAll: Write + Send {}
impl<W: Write + Send> PutAll for W {}

fn code(dtype: Dtype) -> i16 {
    match dtype {
        Dtype::U8 => 2,
        Dtype::I8 => 256,
        Dtype::I16 => 4,
        Dtype::U16 => 512,
        Dtype::I32 => 8,
        Dtype::U32 => 768,
        Dtype::F32 => 16,
        Dtype::F64 => 64,
    }
}

fn head([z, y, x]: [usize; 3], dtype: Dtype, request: &WriteRequest<'_>) -> Option<Vec<u8>> {
    let sides = [3, x, y, z, 1, 1, 1, 1];
    let short: Option<Vec<i16>> = sides.iter().map(|side| i16::try_from(*side).ok()).collect();
    let [dz, dy, dx] = request.voxel_um.or(request.ratios).unwrap_or([1.0; 3]);
    let [oz, oy, ox] = request.voxel_um.map_or([0.0; 3], |_| request.origin_um);
    let rows = [[dx, 0.0, 0.0, ox], [0.0, dy, 0.0, oy], [0.0, 0.0, dz, oz]];
    let units: u8 = if request.voxel_um.is_some() { 3 } else { 0 };
    let intent = if request.unit == Some(Unit::Label) { LABEL } else { 0 };
    let bits = i16::try_from(8 * dtype.n_bytes()).ok()?;
    let about = b"Waterwindow";
    match short {
        Some(sides) => {
            let mut head = vec![0; 352];
            put_at(&mut head, 0, &348i32.to_le_bytes());
            sides.iter().enumerate().for_each(|(n, side)| put_at(&mut head, 40 + 2 * n, &side.to_le_bytes()));
            put_at(&mut head, 68, &i16::try_from(intent).ok()?.to_le_bytes());
            put_at(&mut head, 70, &code(dtype).to_le_bytes());
            put_at(&mut head, 72, &bits.to_le_bytes());
            let floats = |head: &mut Vec<u8>, at: usize, values: &[f64]| {
                values
                    .iter()
                    .enumerate()
                    .for_each(|(n, v)| put_at(head, at + 4 * n, &single(*v).to_le_bytes()));
            };
            floats(&mut head, 76, &[1.0, dx, dy, dz]);
            floats(&mut head, 108, &[352.0, 1.0, 0.0]);
            head[123] = units;
            put_at(&mut head, 148, about);
            put_at(&mut head, 252, &[1, 0, 1, 0]);
            floats(&mut head, 268, &[ox, oy, oz]);
            rows.iter().enumerate().for_each(|(n, row)| floats(&mut head, 280 + 16 * n, row));
            put_at(&mut head, 344, b"n+1\0");
            Some(head)
        }
        None => {
            let mut head = vec![0; 544];
            put_at(&mut head, 0, &540i32.to_le_bytes());
            put_at(&mut head, 4, b"n+2\0\r\n\x1a\n");
            put_at(&mut head, 12, &code(dtype).to_le_bytes());
            put_at(&mut head, 14, &bits.to_le_bytes());
            for (n, side) in sides.iter().enumerate() {
                put_at(&mut head, 16 + 8 * n, &i64::try_from(*side).ok()?.to_le_bytes());
            }
            let floats = |head: &mut Vec<u8>, at: usize, values: &[f64]| {
                values.iter().enumerate().for_each(|(n, v)| put_at(head, at + 8 * n, &v.to_le_bytes()));
            };
            floats(&mut head, 104, &[1.0, dx, dy, dz]);
            put_at(&mut head, 168, &544i64.to_le_bytes());
            floats(&mut head, 176, &[1.0, 0.0]);
            put_at(&mut head, 240, about);
            put_at(&mut head, 344, &[1, 0, 0, 0, 1, 0, 0, 0]);
            floats(&mut head, 376, &[ox, oy, oz]);
            rows.iter().enumerate().for_each(|(n, row)| floats(&mut head, 400 + 32 * n, row));
            put_at(&mut head, 500, &i32::from(units).to_le_bytes());
            put_at(&mut head, 504, &intent.to_le_bytes());
            Some(head)
        }
    }
}

fn put_at(head: &mut [u8], at: usize, bytes: &[u8]) {
    head[at..at + bytes.len()].copy_from_slice(bytes);
}

#[expect(clippy::cast_possible_truncation, reason = "version 1 holds single precision")]
fn single(value: f64) -> f32 {
    value as f32
}
