//! AmiraMesh as written: a little-endian lattice behind its head.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use super::materials;
use crate::base::{Progress, Unit};
use crate::io::array::{ArrayRef, Dtype, FileVoxel, le_bytes, with_dtype, with_view, write_values};
use crate::io::error::IoError;
use crate::io::format::{Header, WriteRequest};
use crate::io::room;
use crate::io::walk::{Values, bytes_of_views, n_bytes};
use crate::volume::any::Voxel as _;

/// What [`write`] holds at once where planes are read one after the other; `None` for types whose range is asked for.
pub(super) fn bytes_of_streaming(header: &Header) -> Option<u64> {
    // Where a type changes, the planes are held once more.
    bytes_of_views(header).filter(|_| header.dtype != Dtype::U32).map(|bytes| bytes.saturating_mul(2))
}

/// Writes values; returns what the format cannot hold.
pub(super) fn write(
    path: &Path,
    values: Values<'_>,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    // Of a type whose range is asked for, values are held whole.
    let most = || request.array.stats().map_or(0.0, |stats| stats.max);
    let (dtype, losses) =
        stored_type(values.dtype(), most).map_err(|problem| IoError::content(path, problem))?;
    let head = head(values.shape(), dtype, request);
    let room = n_bytes(dtype, values.shape()).saturating_add(head.len() as u64);
    let mut file = room::create(path, room).map_err(|e| IoError::system("create", path, e))?;
    let system = |e| IoError::system("write", path, e);
    file.write_all(head.as_bytes()).map_err(system)?;
    values.for_each(progress, |planes| put(&planes, dtype, &mut file).map_err(system))?;
    file.write_all(b"\n").map_err(system)?;
    Ok(losses)
}

fn put(planes: &ArrayRef<'_>, dtype: Dtype, file: &mut File) -> io::Result<()> {
    if planes.dtype() == dtype {
        return write_values(planes, file);
    }
    let bytes = with_dtype!(dtype, T => {
        with_view!(planes, view => le_bytes(&view.mapv(|v| <T as FileVoxel>::from_f64(v.to_f64())).view()))
    });
    file.write_all(&bytes)
}

/// How a type is stored, with a sentence where it changes; `most` is the largest value, asked for where it decides.
fn stored_type(dtype: Dtype, most: impl FnOnce() -> f64) -> Result<(Dtype, Vec<String>), String> {
    let stored = match dtype {
        Dtype::I8 => Dtype::I16,
        Dtype::U32 => {
            let most = most();
            if most > f64::from(i32::MAX) {
                return Err(format!(
                    "AmiraMesh holds whole numbers up to {}, the array goes up to {most}: number it anew or choose another format",
                    i32::MAX
                ));
            }
            Dtype::I32
        }
        same => return Ok((same, Vec::new())),
    };
    Ok((stored, vec![format!("{} is stored as {}, every value exactly", dtype.name(), stored.name())]))
}

fn type_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::U8 => "byte",
        Dtype::I8 | Dtype::I16 => "short",
        Dtype::U16 => "ushort",
        Dtype::I32 | Dtype::U32 => "int",
        Dtype::F32 => "float",
        Dtype::F64 => "double",
    }
}

fn head([z, y, x]: [usize; 3], dtype: Dtype, request: &WriteRequest<'_>) -> String {
    let kind = type_name(dtype);
    let is_label = request.unit == Some(Unit::Label);
    let (name, content) =
        if is_label { ("Labels", "HxUniformLabelField3") } else { ("Data", "HxUniformScalarField3") };
    let edges = request.voxel_um.or(request.ratios).unwrap_or([1.0; 3]);
    let origin = request.voxel_um.map_or([0.0; 3], |_| request.origin_um);
    let n = [z, y, x];
    // From the middle of the first voxel to that of the last; a single plane has the box of one voxel.
    let end = |axis: usize| origin[axis] + edges[axis] * (n[axis].max(2) - 1) as f64;
    let [z0, y0, x0] = origin;
    let [z1, y1, x1] = [end(0), end(1), end(2)];
    let materials = if is_label { materials::listed(request) } else { String::new() };
    let units = request.voxel_um.map_or("", |_| "    Units {\n        Coordinates \"um\"\n    }\n");
    format!(
        "# AmiraMesh BINARY-LITTLE-ENDIAN 2.1\n\n\ndefine Lattice {x} {y} {z}\n\nParameters {{\n{materials}{units}    Content \"{x}x{y}x{z} {kind}, uniform coordinates\",\n    BoundingBox {x0} {x1} {y0} {y1} {z0} {z1},\n    CoordType \"uniform\",\n    ContentType \"{content}\"\n}}\n\nLattice {{ {kind} {name} }} @1\n\n# Data section follows\n@1\n"
    )
}
