//! Meshes of classes: closed triangle surfaces in world µm, for files, pictures and simulators.
//!
//! The surface of a class (see [`crate::kernels::surface`]) is smoothed after Taubin (1995,
//! doi:10.1145/218380.218473): steps that shrink and steps that grow take turns, so that the
//! staircase of the voxels goes and the volume stays. What is still missing from the volume of the
//! voxels is made up by moving the surface along its normals, a quarter of a voxel at most. Each mesh
//! carries the volume counted in voxels, so that the error of its own is known.

use glam::Vec3;
use ndarray::ArrayView3;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress};
use crate::kernels::surface::{mesh_area, mesh_volume, surface};
use crate::volume::Class;

/// How a mesh is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeshParams {
    /// Smoothing of the region before the surface is cut, σ in voxels, 0 to 3.
    pub smoothing_voxels: f64,
    /// Rounds of smoothing of the mesh, 0 to 100.
    pub iterations: u32,
}

impl Default for MeshParams {
    fn default() -> Self {
        Self { smoothing_voxels: 0.8, iterations: 10 }
    }
}

/// A closed triangle mesh.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mesh {
    /// Name of the class.
    pub name: String,
    /// Colour, sRGB 0 to 255.
    pub color: [u8; 3],
    /// Vertices as x, y, z in world µm (in voxels where the voxel size is unknown).
    pub vertices: Vec<[f32; 3]>,
    /// Triangles, counter-clockwise seen from outside.
    pub triangles: Vec<[u32; 3]>,
    /// The volume of the class counted in voxels, in µm³.
    pub voxel_volume_um3: f64,
}

impl Mesh {
    /// Surface area in µm².
    pub fn area_um2(&self) -> f64 {
        mesh_area(&self.vertices, &self.triangles, [1.0; 3])
    }

    /// Volume inside in µm³.
    pub fn volume_um3(&self) -> f64 {
        mesh_volume(&self.vertices, &self.triangles, [1.0; 3])
    }

    /// How much the volume inside differs from that of the voxels, as a fraction of the latter.
    pub fn volume_error(&self) -> f64 {
        self.volume_um3() / self.voxel_volume_um3 - 1.0
    }
}

/// Why there is no mesh.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
#[non_exhaustive]
pub enum MeshError {
    #[error("class {id} ({name}) has no voxels, so it has no surface")]
    Empty { id: u16, name: String },
    #[error("{name} is {value}, it must be {range}")]
    Parameter { name: &'static str, value: f64, range: &'static str },
    #[error("the mesh of class {id} has more than {} vertices: bin or crop the labels", u32::MAX)]
    TooLarge { id: u16 },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// The mesh of one class of `labels` (z, y, x).
///
/// `voxel_um` and `origin_um` (z, y, x) place it: a voxel's centre is at origin + index · voxel. Where a
/// class touches the border of the volume the mesh is closed half a voxel beyond.
///
/// # Errors
/// [`MeshError`].
pub fn mesh_class(
    progress: &Progress,
    labels: &ArrayView3<'_, u16>,
    class: &Class,
    voxel_um: [f64; 3],
    origin_um: [f64; 3],
    params: &MeshParams,
) -> Result<Mesh, MeshError> {
    if !(0.0..=3.0).contains(&params.smoothing_voxels) {
        return Err(MeshError::Parameter {
            name: "smoothing",
            value: params.smoothing_voxels,
            range: "0 to 3 voxels",
        });
    }
    if params.iterations > 100 {
        let value = f64::from(params.iterations);
        return Err(MeshError::Parameter { name: "iterations", value, range: "0 to 100" });
    }
    progress.phase(&format!("Mesh of {}", class.name), 2 + u64::from(params.iterations));
    let Some((lo, hi, n_voxels)) = extent(progress, labels, class.id)? else {
        return Err(MeshError::Empty { id: class.id, name: class.name.clone() });
    };
    progress.advance(1);
    let inside = |[z, y, x]: [usize; 3]| labels[[z, y, x]] == class.id;
    let surface = surface(progress, lo, hi, inside, |_| 0, params.smoothing_voxels)?;
    progress.advance(1);
    if u32::try_from(surface.vertices.len()).is_err() {
        return Err(MeshError::TooLarge { id: class.id });
    }
    let mut vertices = smoothed(progress, surface.vertices, &surface.triangles, params.iterations)?;
    inflate(&mut vertices, &surface.triangles, n_voxels as f64);
    let place = |v: [f32; 3]| {
        // Voxel arrays are z, y, x and vertices x, y, z.
        std::array::from_fn(|a| (origin_um[2 - a] + f64::from(v[a]) * voxel_um[2 - a]) as f32)
    };
    Ok(Mesh {
        name: class.name.clone(),
        color: class.color,
        vertices: vertices.into_iter().map(place).collect(),
        triangles: surface.triangles,
        voxel_volume_um3: n_voxels as f64 * voxel_um.iter().product::<f64>(),
    })
}

/// A box `lo..hi` (z, y, x) and a number of voxels.
type Extent = ([usize; 3], [usize; 3], u64);

/// The box around a class and its number of voxels; `None` where it does not occur.
fn extent(progress: &Progress, labels: &ArrayView3<'_, u16>, id: u16) -> Result<Option<Extent>, Cancelled> {
    let slices = (0..labels.dim().0)
        .into_par_iter()
        .map(|z| {
            progress.check()?;
            let mut found: Option<Extent> = None;
            for (y, row) in labels.index_axis(ndarray::Axis(0), z).outer_iter().enumerate() {
                let Some(first) = row.iter().position(|v| *v == id) else { continue };
                let last = row.iter().rposition(|v| *v == id).unwrap_or(first);
                let n = row.iter().filter(|v| **v == id).count() as u64;
                found = joined(found, Some(([z, y, first], [z + 1, y + 1, last + 1], n)));
            }
            Ok(found)
        })
        .collect::<Result<Vec<_>, Cancelled>>()?;
    Ok(slices.into_iter().fold(None, joined))
}

fn joined(a: Option<Extent>, b: Option<Extent>) -> Option<Extent> {
    let (Some((lo_a, hi_a, n_a)), Some((lo_b, hi_b, n_b))) = (a, b) else { return a.or(b) };
    let lo = std::array::from_fn(|k| lo_a[k].min(lo_b[k]));
    let hi = std::array::from_fn(|k| hi_a[k].max(hi_b[k]));
    Some((lo, hi, n_a + n_b))
}

/// Taubin's steps: the first shrinks, the second grows a little more.
const STEPS: [f32; 2] = [0.5, -0.53];

/// Vertices per parallel piece.
const PIECE: usize = 1 << 14;

fn smoothed(
    progress: &Progress,
    mut vertices: Vec<[f32; 3]>,
    triangles: &[[u32; 3]],
    iterations: u32,
) -> Result<Vec<[f32; 3]>, Cancelled> {
    if iterations == 0 {
        return Ok(vertices);
    }
    // On a closed manifold every edge is in two triangles, once in each direction: listing the
    // vertex that follows in each triangle lists each neighbour once.
    let mut ends = vec![0u32; vertices.len() + 1];
    for v in triangles.iter().flatten() {
        ends[*v as usize + 1] += 1;
    }
    for v in 0..vertices.len() {
        ends[v + 1] += ends[v];
    }
    let mut fill = ends.clone();
    let mut neighbors = vec![0u32; triangles.len() * 3];
    for &[a, b, c] in triangles {
        for (from, to) in [(a, b), (b, c), (c, a)] {
            neighbors[fill[from as usize] as usize] = to;
            fill[from as usize] += 1;
        }
    }
    let mut moved = vertices.clone();
    for _ in 0..iterations {
        for step in STEPS {
            moved.par_chunks_mut(PIECE).enumerate().try_for_each(|(piece, out)| {
                progress.check()?;
                for (at, out) in out.iter_mut().enumerate() {
                    let v = piece * PIECE + at;
                    let around = &neighbors[ends[v] as usize..ends[v + 1] as usize];
                    let weight = step / around.len().max(1) as f32;
                    let old = vertices[v];
                    *out = old;
                    for n in around {
                        let there = vertices[*n as usize];
                        (0..3).for_each(|a| out[a] += weight * (there[a] - old[a]));
                    }
                }
                Ok::<(), Cancelled>(())
            })?;
            std::mem::swap(&mut vertices, &mut moved);
        }
        progress.advance(1);
    }
    Ok(vertices)
}

/// Farthest that the surface moves to make up for lost volume, in voxels.
const MAX_OFFSET: f64 = 0.25;

/// Moves the surface along its normals until it encloses `volume` (in voxels) to first order.
fn inflate(vertices: &mut [[f32; 3]], triangles: &[[u32; 3]], volume: f64) {
    let area = mesh_area(vertices, triangles, [1.0; 3]);
    let missing = volume - mesh_volume(vertices, triangles, [1.0; 3]);
    let offset = (missing / area).clamp(-MAX_OFFSET, MAX_OFFSET);
    if !offset.is_finite() {
        return;
    }
    let mut normals = vec![Vec3::ZERO; vertices.len()];
    for triangle in triangles {
        let [a, b, c] = triangle.map(|v| Vec3::from(vertices[v as usize]));
        let normal = (b - a).cross(c - a);
        triangle.iter().for_each(|v| normals[*v as usize] += normal);
    }
    for (vertex, normal) in vertices.iter_mut().zip(normals) {
        *vertex = (Vec3::from(*vertex) + normal.normalize_or_zero() * offset as f32).to_array();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::surface::manifold_problem;
    use crate::volume::ClassTable;
    use ndarray::Array3;
    use std::f64::consts::PI;

    fn class(id: u16) -> Class {
        ClassTable::default().with_ids([id]).classes.remove(0)
    }

    fn make(labels: &Array3<u16>, id: u16, voxel: [f64; 3], origin: [f64; 3], params: &MeshParams) -> Mesh {
        mesh_class(&Progress::new(), &labels.view(), &class(id), voxel, origin, params).unwrap()
    }

    #[test]
    fn spheres_keep_their_volume_within_1_percent_and_their_area_within_2() {
        for r in [10.2, 17.6] {
            let c = r + 3.0;
            let n = 2 * c as usize + 1;
            let labels = Array3::from_shape_fn((n, n, n), |(z, y, x)| {
                let d = [z, y, x].map(|i| (i as f64 - c).powi(2)).iter().sum::<f64>();
                u16::from(d < r * r) * 3
            });
            for iterations in [0, 10, 30] {
                let params = MeshParams { iterations, ..MeshParams::default() };
                let mesh = make(&labels, 3, [0.02; 3], [0.0; 3], &params);
                let r = r * 0.02;
                let area = mesh.area_um2() / (4.0 * PI * r * r) - 1.0;
                assert!(mesh.volume_error().abs() < 0.01, "{iterations}: {}", mesh.volume_error());
                assert!(area.abs() < 0.02, "{iterations}: {area}");
                assert_eq!(manifold_problem(mesh.vertices.len(), &mesh.triangles), None);
            }
        }
    }

    #[test]
    fn a_torus_is_closed_and_has_one_hole() {
        let (big, small) = (20.0f64, 7.0f64);
        let labels = Array3::from_shape_fn((24, 64, 64), |(z, y, x)| {
            let (z, y, x) = (z as f64 - 11.5, y as f64 - 31.5, x as f64 - 31.5);
            u16::from((x.hypot(y) - big).hypot(z) < small)
        });
        let mesh = make(&labels, 1, [0.1; 3], [0.0; 3], &MeshParams::default());
        let (v, f) = (mesh.vertices.len() as i64, mesh.triangles.len() as i64);
        // Euler's number of a torus: V − E + F = 0 with E = 3 F / 2.
        assert_eq!(v - f / 2, 0);
        let volume = 2.0 * PI * PI * big * small * small * 1e-3;
        let area = 4.0 * PI * PI * big * small * 1e-2;
        assert!((mesh.volume_um3() / volume - 1.0).abs() < 0.01, "{}", mesh.volume_um3() / volume);
        assert!((mesh.area_um2() / area - 1.0).abs() < 0.02, "{}", mesh.area_um2() / area);
    }

    #[test]
    fn vertices_are_world_positions_with_origin_and_voxel() {
        let mut labels = Array3::<u16>::zeros((6, 7, 8));
        labels[[2, 3, 4]] = 9;
        let params = MeshParams { iterations: 0, smoothing_voxels: 0.0 };
        let mesh = make(&labels, 9, [0.3, 0.2, 0.1], [30.0, 20.0, 10.0], &params);
        let center = [10.0 + 0.4, 20.0 + 0.6, 30.0 + 0.6];
        let half = [0.05, 0.1, 0.15];
        for a in 0..3 {
            let (lo, hi) = mesh
                .vertices
                .iter()
                .fold((f64::MAX, f64::MIN), |(lo, hi), v| (lo.min(v[a].into()), hi.max(v[a].into())));
            // f32 near 30 µm is good to 2e-6.
            assert!((f64::midpoint(lo, hi) - center[a]).abs() < 1e-5, "{lo} {hi}");
            // An octahedron has a sixth of the volume of its voxel: it is moved out as far as allowed.
            assert!((hi - lo - 3.0 * half[a]).abs() < 1e-5, "{lo} {hi}");
        }
        assert!(mesh.volume_um3() > 0.0);
    }

    #[test]
    fn touching_classes_and_the_border_are_closed() {
        let labels = Array3::from_shape_fn((20, 20, 20), |(z, ..)| if z < 10 { 1 } else { 2 });
        for id in [1, 2] {
            let mesh = make(&labels, id, [1.0; 3], [0.0; 3], &MeshParams::default());
            assert_eq!(manifold_problem(mesh.vertices.len(), &mesh.triangles), None);
            assert!(mesh.volume_error().abs() < 0.01, "{}", mesh.volume_error());
        }
    }

    #[test]
    fn empty_classes_bad_parameters_and_cancel_are_refused() {
        let labels = Array3::<u16>::zeros((4, 4, 4));
        let go = |progress: &Progress, params: &MeshParams| {
            mesh_class(progress, &labels.view(), &class(5), [1.0; 3], [0.0; 3], params).unwrap_err()
        };
        let progress = Progress::new();
        assert!(go(&progress, &MeshParams::default()).to_string().contains("class 5"));
        let bad = MeshParams { smoothing_voxels: f64::NAN, ..MeshParams::default() };
        assert!(matches!(go(&progress, &bad), MeshError::Parameter { .. }));
        progress.cancel();
        assert_eq!(go(&progress, &MeshParams::default()), MeshError::Cancelled(Cancelled));
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let labels = Array3::from_shape_fn((40, 30, 30), |(z, y, x)| u16::from((z * y + x * 7) % 11 < 5));
        let on = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| make(&labels, 1, [0.1; 3], [0.0; 3], &MeshParams::default()))
        };
        assert_eq!(on(1), on(5));
    }
}
