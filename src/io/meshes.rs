//! Triangle meshes out: binary PLY and STL, vertices in µm as x, y, z.
//!
//! PLY after G. Turk's description (1994), little endian, with the colour of the class in every vertex;
//! STL binary: 80 bytes of header, a count, 50 bytes a triangle.

use std::fs;
use std::path::Path;

use super::atomic::write_atomically;
use super::error::IoError;
use crate::mesh::Mesh;

/// Writes meshes as one file; the extension says PLY or STL. Several meshes are put together.
///
/// # Errors
/// [`IoError`] for another extension, more than 4 294 967 295 vertices, or a folder that does not take the file.
pub fn write_meshes(path: &Path, meshes: &[Mesh]) -> Result<(), IoError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let bytes = match extension.as_str() {
        "ply" => ply(path, meshes)?,
        "stl" => stl(path, meshes)?,
        _ => {
            return Err(IoError::NoWriter {
                path: path.to_owned(),
                writable: "meshes as .ply or .stl".to_owned(),
            });
        }
    };
    write_atomically(path, |temporary| {
        fs::write(temporary, bytes).map_err(|e| IoError::system("write", temporary, e))
    })
}

fn count(path: &Path, n: usize) -> Result<u32, IoError> {
    u32::try_from(n)
        .map_err(|_too_many| IoError::content(path, format!("{n} items are more than the format can count")))
}

fn ply(path: &Path, meshes: &[Mesh]) -> Result<Vec<u8>, IoError> {
    let n_vertices = count(path, meshes.iter().map(|mesh| mesh.vertices.len()).sum())?;
    let n_faces = count(path, meshes.iter().map(|mesh| mesh.triangles.len()).sum())?;
    let mut bytes = format!(
        "ply\nformat binary_little_endian 1.0\ncomment unit um\nelement vertex {n_vertices}\n\
         property float x\nproperty float y\nproperty float z\n\
         property uchar red\nproperty uchar green\nproperty uchar blue\n\
         element face {n_faces}\nproperty list uchar uint vertex_indices\nend_header\n"
    )
    .into_bytes();
    for mesh in meshes {
        for vertex in &mesh.vertices {
            vertex.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
            bytes.extend(mesh.color);
        }
    }
    let mut first = 0;
    for mesh in meshes {
        for triangle in &mesh.triangles {
            bytes.push(3);
            triangle.iter().for_each(|index| bytes.extend((first + index).to_le_bytes()));
        }
        first += count(path, mesh.vertices.len())?;
    }
    Ok(bytes)
}

fn stl(path: &Path, meshes: &[Mesh]) -> Result<Vec<u8>, IoError> {
    let n_faces = count(path, meshes.iter().map(|mesh| mesh.triangles.len()).sum())?;
    let mut bytes = vec![b' '; 80];
    let title = b"Waterwindow mesh, unit um";
    bytes[..title.len()].copy_from_slice(title);
    bytes.extend(n_faces.to_le_bytes());
    for mesh in meshes {
        for triangle in &mesh.triangles {
            let corner = |k: usize| {
                let at = triangle.get(k).and_then(|index| mesh.vertices.get(*index as usize));
                glam::Vec3::from(at.copied().unwrap_or_default())
            };
            let (a, b, c) = (corner(0), corner(1), corner(2));
            let normal = (b - a).cross(c - a).normalize_or_zero();
            for vector in [normal, a, b, c] {
                vector.to_array().iter().for_each(|v| bytes.extend(v.to_le_bytes()));
            }
            bytes.extend([0, 0]);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tetrahedron() -> Mesh {
        Mesh {
            name: "t".to_owned(),
            color: [1, 2, 3],
            vertices: vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            triangles: vec![[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]],
            voxel_volume_um3: 1.0 / 6.0,
        }
    }

    #[test]
    fn sizes_are_those_of_the_formats_and_indices_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let meshes = [tetrahedron(), tetrahedron()];
        let stl_path = folder.path().join("m.stl");
        write_meshes(&stl_path, &meshes).unwrap();
        assert_eq!(fs::metadata(&stl_path).unwrap().len(), 84 + 8 * 50);
        let ply_path = folder.path().join("m.ply");
        write_meshes(&ply_path, &meshes).unwrap();
        let bytes = fs::read(&ply_path).unwrap();
        let end = bytes.windows(11).position(|w| w == b"end_header\n").unwrap() + 11;
        assert_eq!(bytes.len() - end, 8 * 15 + 8 * 13);
        assert_eq!(&bytes[bytes.len() - 4..], &7u32.to_le_bytes());
        assert!(write_meshes(&folder.path().join("m.xyz"), &meshes).is_err());
    }
}
