//! What a picture of meshes starts from: how clear the surface of each class is, and how true.

use std::collections::BTreeMap;

use super::Mesh;

/// The surfaces of a class taken together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassSurface {
    /// Id of the class.
    pub class: u16,
    /// How many surfaces: one, or one for each object.
    pub n: usize,
    /// Triangles of all of them.
    pub n_triangles: usize,
    /// Area in µm².
    pub area_um2: f64,
    /// Volume inside the surfaces in µm³.
    pub volume_um3: f64,
    /// Volume of their voxels in µm³.
    pub voxel_volume_um3: f64,
    /// How opaque it is seen best: what holds other classes is clear, what is no part of the cell is hidden.
    pub opacity: f32,
}

impl ClassSurface {
    /// How much the volume inside differs from that of the voxels, as a fraction of the latter.
    pub fn volume_error(&self) -> f64 {
        self.volume_um3 / self.voxel_volume_um3 - 1.0
    }
}

/// Opacity of a class that holds others.
const CLEAR: f32 = 0.25;
/// Classes around the cell; their surfaces would hide it.
const SURROUNDINGS: [&str; 5] = ["ice", "buffer", "capillary", "vacuum", "background"];

/// A box, low and high corner.
type Bounds = ([f32; 3], [f32; 3]);

const NOWHERE: Bounds = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);

fn joined(a: Bounds, b: &Bounds) -> Bounds {
    (std::array::from_fn(|k| a.0[k].min(b.0[k])), std::array::from_fn(|k| a.1[k].max(b.1[k])))
}

/// The boxes of the connected pieces of a mesh.
fn piece_boxes(mesh: &Mesh) -> Vec<Bounds> {
    fn root(parents: &mut [u32], mut v: u32) -> u32 {
        while parents[v as usize] != v {
            parents[v as usize] = parents[parents[v as usize] as usize];
            v = parents[v as usize];
        }
        v
    }
    let mut parents: Vec<u32> = (0..mesh.vertices.len() as u32).collect();
    for [a, b, c] in &mesh.triangles {
        let a = root(&mut parents, *a);
        for other in [*b, *c] {
            let other = root(&mut parents, other);
            parents[other as usize] = a;
        }
    }
    let mut boxes: BTreeMap<u32, Bounds> = BTreeMap::new();
    for (at, v) in mesh.vertices.iter().enumerate() {
        let piece = boxes.entry(root(&mut parents, at as u32)).or_insert(NOWHERE);
        *piece = joined(*piece, &(*v, *v));
    }
    boxes.into_values().collect()
}

/// The classes of some meshes by ascending id.
pub fn summary(meshes: &[Mesh]) -> Vec<ClassSurface> {
    let mut found: BTreeMap<u16, (ClassSurface, Vec<Bounds>, bool)> = BTreeMap::new();
    for mesh in meshes {
        let start = ClassSurface {
            class: mesh.class,
            n: 0,
            n_triangles: 0,
            area_um2: 0.0,
            volume_um3: 0.0,
            voxel_volume_um3: 0.0,
            opacity: 1.0,
        };
        let name = mesh.name.to_lowercase();
        let is_around = SURROUNDINGS.iter().any(|word| name.starts_with(word));
        let (class, pieces, _) = found.entry(mesh.class).or_insert((start, Vec::new(), is_around));
        class.n += 1;
        class.n_triangles += mesh.triangles.len();
        class.area_um2 += mesh.area_um2();
        class.volume_um3 += mesh.volume_um3();
        class.voxel_volume_um3 += mesh.voxel_volume_um3;
        pieces.extend(piece_boxes(mesh));
    }
    let boxes: Vec<(u16, Bounds, bool)> = found
        .iter()
        .map(|(id, (_, pieces, is_around))| (*id, pieces.iter().fold(NOWHERE, joined), *is_around))
        .collect();
    let holds =
        |outer: &Bounds, inner: &Bounds| (0..3).all(|a| outer.0[a] <= inner.0[a] && outer.1[a] >= inner.1[a]);
    found
        .into_values()
        .map(|(mut class, pieces, is_around)| {
            // One piece of it around all of another class; scattered pieces hold nothing.
            let held = boxes.iter().any(|(id, inner, inner_is_around)| {
                *id != class.class && !inner_is_around && pieces.iter().any(|piece| holds(piece, inner))
            });
            class.opacity = match (is_around, held) {
                (true, _) => 0.0,
                (false, true) => CLEAR,
                (false, false) => 1.0,
            };
            class
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cube(name: &str, class: u16, from: f32, to: f32) -> Mesh {
        let vertices = vec![[from; 3], [to, from, from], [from, to, from], [from, from, to]];
        let triangles = vec![[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]];
        let voxel_volume_um3 = f64::from(to - from).powi(3) / 6.0;
        Mesh { name: name.to_owned(), class, vertices, triangles, voxel_volume_um3, ..Mesh::default() }
    }

    #[test]
    fn what_holds_others_is_clear_and_what_lies_around_the_cell_is_hidden() {
        let meshes = [
            cube("nucleus", 2, 2.0, 5.0),
            cube("mitochondria 1", 5, 6.0, 7.0),
            cube("Ice", 9, 0.0, 10.0),
            cube("cytoplasm", 1, 1.0, 8.0),
            cube("mitochondria 2", 5, 1.5, 1.8),
        ];
        let found = summary(&meshes);
        let opacity: Vec<_> = found.iter().map(|class| (class.class, class.opacity)).collect();
        // The boxes of both mitochondria together would hold the nucleus.
        assert_eq!(opacity, [(1, CLEAR), (2, 1.0), (5, 1.0), (9, 0.0)]);
        assert_eq!((found[2].n, found[2].n_triangles), (2, 8));
        assert!(found.iter().all(|class| class.volume_error().abs() < 1e-5), "{found:?}");
        assert!(summary(&[]).is_empty());
    }
}
