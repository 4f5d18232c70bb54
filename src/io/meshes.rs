//! Triangle meshes out: PLY, STL, OBJ and GLB, vertices in µm as x, y, z.
//!
//! PLY after G. Turk's description (1994), binary, little endian, with the colour of the class in every vertex,
//! and what was told there as further properties; STL binary: 80 bytes of header, a count, 50 bytes a triangle. OBJ with one object a class and the colour
//! behind each vertex, as most programs read it. GLB is glTF 2.0 in one file (Khronos, ISO/IEC 12113): a node, a mesh
//! and a material a class; its numbers are µm too, though the format speaks of metres: every mesh and the scene say so in
//! `extras.units`, where readers look for it. Where the voxel size is unknown, all say voxels instead.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::atomic::write_atomically;
use super::error::IoError;
use crate::mesh::Mesh;

/// Extensions that meshes can be written under.
pub const MESH_EXTENSIONS: [&str; 4] = ["ply", "stl", "obj", "glb"];

/// The unit of the vertices as comments say it, and as readers of glTF know it.
fn unit(meshes: &[Mesh]) -> (&'static str, &'static str) {
    if meshes.iter().any(|mesh| mesh.in_voxels) { ("voxel", "voxels") } else { ("um", "microns") }
}

/// Writes meshes as one file; the extension says which format. Several meshes are put together.
///
/// # Errors
/// [`IoError`] for another extension, more than 4 294 967 295 vertices, or a folder that does not take the file.
pub fn write_meshes(path: &Path, meshes: &[Mesh]) -> Result<(), IoError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let bytes = match extension.as_str() {
        "ply" => ply(path, meshes)?,
        "stl" => stl(path, meshes)?,
        "obj" => obj(meshes),
        "glb" => glb(path, meshes)?,
        _ => {
            return Err(IoError::NoWriter {
                path: path.to_owned(),
                writable: "meshes as .ply, .stl, .obj or .glb".to_owned(),
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
    // What is told at the vertices of any of them.
    let mut told: Vec<_> =
        meshes.iter().flat_map(|mesh| &mesh.values).map(|values| values.attribute).collect();
    told.sort_unstable();
    told.dedup();
    let properties =
        told.iter().fold(String::new(), |text, what| text + "property float " + what.key() + "\n");
    let (unit, _) = unit(meshes);
    let mut bytes = format!(
        "ply\nformat binary_little_endian 1.0\ncomment unit {unit}\nelement vertex {n_vertices}\n\
         property float x\nproperty float y\nproperty float z\n\
         property uchar red\nproperty uchar green\nproperty uchar blue\n{properties}\
         element face {n_faces}\nproperty list uchar uint vertex_indices\nend_header\n"
    )
    .into_bytes();
    for mesh in meshes {
        let values: Vec<Option<&[f32]>> = told
            .iter()
            .map(|what| mesh.values.iter().find(|v| v.attribute == *what).map(|v| v.values.as_slice()))
            .collect();
        for (at, vertex) in mesh.vertices.iter().enumerate() {
            vertex.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
            bytes.extend(mesh.color);
            for values in &values {
                let value = values.and_then(|values| values.get(at)).copied().unwrap_or(f32::NAN);
                bytes.extend(value.to_le_bytes());
            }
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
    let title = format!("Waterwindow mesh, unit {}", unit(meshes).0);
    bytes[..title.len()].copy_from_slice(title.as_bytes());
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

fn obj(meshes: &[Mesh]) -> Vec<u8> {
    let mut text = format!("# Waterwindow mesh, unit {}\n", unit(meshes).0);
    // Indices count from 1 and go on from object to object.
    let mut first = 1;
    for mesh in meshes {
        let [r, g, b] = mesh.color.map(|c| f32::from(c) / 255.0);
        let _ = writeln!(text, "o {}", mesh.name.split_whitespace().collect::<Vec<_>>().join("_"));
        for [x, y, z] in &mesh.vertices {
            let _ = writeln!(text, "v {x} {y} {z} {r:.4} {g:.4} {b:.4}");
        }
        for triangle in &mesh.triangles {
            let [a, b, c] = triangle.map(|index| u64::from(index) + first);
            let _ = writeln!(text, "f {a} {b} {c}");
        }
        first += mesh.vertices.len() as u64;
    }
    text.into_bytes()
}

/// glTF's codes: an array of vertices, one of indices, f32, u32.
const ARRAY_BUFFER: u32 = 34962;
const ELEMENT_ARRAY_BUFFER: u32 = 34963;
const FLOAT: u32 = 5126;
const UNSIGNED_INT: u32 = 5125;

/// A colour channel in linear light, as glTF wants it, from sRGB.
fn linear(channel: u8) -> f64 {
    let c = f64::from(channel) / 255.0;
    if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
}

fn glb(path: &Path, meshes: &[Mesh]) -> Result<Vec<u8>, IoError> {
    let (unit, units) = unit(meshes);
    let mut binary: Vec<u8> = Vec::new();
    let [mut views, mut accessors, mut parts, mut nodes, mut materials] = [const { Vec::<Value>::new() }; 5];
    let mut view = |binary: &mut Vec<u8>, start: usize, target: u32| {
        views.push(
            json!({ "buffer": 0, "byteOffset": start, "byteLength": binary.len() - start, "target": target }),
        );
        views.len() - 1
    };
    for mesh in meshes.iter().filter(|mesh| !mesh.triangles.is_empty()) {
        let start = binary.len();
        mesh.vertices.iter().flatten().for_each(|v| binary.extend(v.to_le_bytes()));
        let positions = view(&mut binary, start, ARRAY_BUFFER);
        let start = binary.len();
        mesh.triangles.iter().flatten().for_each(|v| binary.extend(v.to_le_bytes()));
        let indices = view(&mut binary, start, ELEMENT_ARRAY_BUFFER);
        let bound = |pick: fn(f32, f32) -> f32, from: f32| {
            mesh.vertices
                .iter()
                .fold([from; 3], |b, v| [pick(b[0], v[0]), pick(b[1], v[1]), pick(b[2], v[2])])
        };
        let (at, n) = (accessors.len(), parts.len());
        accessors.push(json!({
            "bufferView": positions, "componentType": FLOAT, "count": mesh.vertices.len(), "type": "VEC3",
            "min": bound(f32::min, f32::INFINITY), "max": bound(f32::max, f32::NEG_INFINITY),
        }));
        accessors.push(json!({
            "bufferView": indices, "componentType": UNSIGNED_INT, "count": mesh.triangles.len() * 3, "type": "SCALAR",
        }));
        let [r, g, b] = mesh.color.map(linear);
        materials.push(json!({
            "name": mesh.name,
            "pbrMetallicRoughness": { "baseColorFactor": [r, g, b, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8 },
        }));
        parts.push(json!({
            "name": mesh.name,
            "extras": { "units": units },
            "primitives": [{ "attributes": { "POSITION": at }, "indices": at + 1, "material": n }],
        }));
        nodes.push(json!({ "name": mesh.name, "mesh": n }));
    }
    if nodes.is_empty() {
        return Err(IoError::content(path, "there is no triangle to write"));
    }
    let generator = concat!("Waterwindow ", env!("CARGO_PKG_VERSION"));
    let scene = json!({
        "asset": { "version": "2.0", "generator": generator, "extras": { "unit": unit } },
        "scene": 0,
        "scenes": [{ "nodes": (0..nodes.len()).collect::<Vec<_>>(), "extras": { "units": units } }],
        "nodes": nodes, "meshes": parts, "materials": materials, "accessors": accessors, "bufferViews": views,
        "buffers": [{ "byteLength": binary.len() }],
    });
    let mut text = scene.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(4), b' ');
    let total = count(path, 12 + 8 + text.len() + 8 + binary.len())?;
    let mut bytes = Vec::with_capacity(total as usize);
    bytes.extend(b"glTF");
    bytes.extend(2u32.to_le_bytes());
    bytes.extend(total.to_le_bytes());
    for (kind, chunk) in [(*b"JSON", &text), (*b"BIN\0", &binary)] {
        bytes.extend(count(path, chunk.len())?.to_le_bytes());
        bytes.extend(kind);
        bytes.extend(chunk);
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
            ..Mesh::default()
        }
    }

    #[test]
    fn values_at_vertices_are_properties_and_nan_where_a_mesh_has_none() {
        use crate::mesh::{Attribute, VertexValues};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("told.ply");
        let values = vec![VertexValues { attribute: Attribute::Thickness, values: vec![0.5, 1.5, 2.5, 3.5] }];
        write_meshes(&path, &[Mesh { values, ..tetrahedron() }, tetrahedron()]).unwrap();
        let bytes = fs::read(&path).unwrap();
        let end = bytes.windows(11).position(|w| w == b"end_header\n").unwrap() + 11;
        assert!(String::from_utf8_lossy(&bytes[..end]).contains("property float thickness_um\n"));
        let value = |vertex: usize| {
            let at = end + vertex * 19 + 15;
            f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
        };
        assert_eq!([value(0), value(3)], [0.5, 3.5]);
        assert!(value(4).is_nan());
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

    #[test]
    fn obj_counts_from_one_and_goes_on_over_objects() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.obj");
        let named = Mesh { name: "lipid droplets".to_owned(), ..tetrahedron() };
        write_meshes(&path, &[tetrahedron(), named]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("v ")).count(), 8);
        assert!(text.contains("o lipid_droplets\n") && text.contains("\nf 1 3 2\n"), "{text}");
        assert!(text.trim_end().ends_with("f 6 7 8"), "{text}");
    }

    #[test]
    fn every_format_says_voxels_where_the_voxel_size_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        for (extension, um, voxels) in [
            ("ply", "comment unit um\n", "comment unit voxel\n"),
            ("stl", "unit um ", "unit voxel "),
            ("obj", "unit um\n", "unit voxel\n"),
            ("glb", r#""units":"microns""#, r#""units":"voxels""#),
        ] {
            for (in_voxels, said) in [(false, um), (true, voxels)] {
                let path = folder.path().join(format!("m.{extension}"));
                write_meshes(&path, &[Mesh { in_voxels, ..tetrahedron() }]).unwrap();
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                assert!(text.contains(said), "{extension} {in_voxels}");
            }
        }
    }

    #[test]
    fn glb_chunks_hold_what_the_scene_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.glb");
        write_meshes(&path, &[tetrahedron(), tetrahedron()]).unwrap();
        let bytes = fs::read(&path).unwrap();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((&bytes[..4], word(4), word(8)), (&b"glTF"[..], 2, bytes.len()));
        let n = word(12);
        assert_eq!((&bytes[16..20], n % 4), (&b"JSON"[..], 0));
        let scene: Value = serde_json::from_slice(&bytes[20..20 + n]).unwrap();
        let data = &bytes[28 + n..];
        assert_eq!((word(20 + n), &bytes[24 + n..28 + n]), (data.len(), &b"BIN\0"[..]));
        assert_eq!(scene["buffers"][0]["byteLength"], data.len());
        let view = &scene["bufferViews"][3];
        let (start, len) = (view["byteOffset"].as_u64().unwrap(), view["byteLength"].as_u64().unwrap());
        let last: Vec<u32> = data[start as usize..(start + len) as usize]
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
            .collect();
        assert_eq!(last, tetrahedron().triangles.concat());
        assert_eq!(scene["accessors"][0]["max"], json!([1.0, 1.0, 1.0]));
        let said =
            |scene: &Value| [&scene["meshes"][1]["extras"], &scene["scenes"][0]["extras"]].map(Clone::clone);
        assert_eq!(said(&scene), [json!({ "units": "microns" }), json!({ "units": "microns" })]);
        assert!(write_meshes(&folder.path().join("none.glb"), &[]).is_err());
    }
}
