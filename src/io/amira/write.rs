//! AmiraMesh as written: a little-endian lattice behind its head.

use std::io::Write as _;
use std::path::Path;

use super::materials;
use crate::base::{Progress, Unit};
use crate::io::array::{Dtype, write_values};
use crate::io::error::IoError;
use crate::io::format::WriteRequest;
use crate::io::room;
use crate::io::walk::Values;

/// Writes values; returns what the format cannot hold.
pub(super) fn write(
    path: &Path,
    values: Values<'_>,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let head =
        head(values.shape(), values.dtype(), request).map_err(|problem| IoError::content(path, problem))?;
    let room = values.n_bytes().saturating_add(head.len() as u64);
    let mut file = room::create(path, room).map_err(|e| IoError::system("create", path, e))?;
    let system = |e| IoError::system("write", path, e);
    file.write_all(head.as_bytes()).map_err(system)?;
    values.for_each(progress, |planes| write_values(&planes, &mut file).map_err(system))?;
    file.write_all(b"\n").map_err(system)?;
    Ok(Vec::new())
}

fn type_name(dtype: Dtype) -> Result<&'static str, String> {
    Ok(match dtype {
        Dtype::U8 => "byte",
        Dtype::I16 => "short",
        Dtype::U16 => "ushort",
        Dtype::I32 => "int",
        Dtype::F32 => "float",
        Dtype::F64 => "double",
        Dtype::I8 | Dtype::U32 => {
            return Err(format!("AmiraMesh has no type for {} values: choose another format", dtype.name()));
        }
    })
}

fn head([z, y, x]: [usize; 3], dtype: Dtype, request: &WriteRequest<'_>) -> Result<String, String> {
    let kind = type_name(dtype)?;
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
    let units = request.voxel_um.map_or("", |_| "    Units { Coordinates \"µm\" }\n");
    Ok(format!(
        "# AmiraMesh BINARY-LITTLE-ENDIAN 2.1\n\n\ndefine Lattice {x} {y} {z}\n\nParameters {{\n{materials}{units}    Content \"{x}x{y}x{z} {kind}, uniform coordinates\",\n    BoundingBox {x0} {x1} {y0} {y1} {z0} {z1},\n    CoordType \"uniform\",\n    ContentType \"{content}\"\n}}\n\nLattice {{ {kind} {name} }} @1\n\n# Data section follows\n@1\n"
    ))
}
