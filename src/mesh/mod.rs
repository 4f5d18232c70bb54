//! Meshes of classes and of their objects: closed triangle surfaces in world µm, for the window, files,
//! pictures and simulators.
//!
//! The surface of a region (see [`crate::kernels::surface`]) is smoothed after Taubin (1995,
//! doi:10.1145/218380.218473): steps that shrink and steps that grow take turns, so that the
//! staircase of the voxels goes and the volume stays. What is still missing from the volume of the
//! voxels is made up by moving the surface along its normals, a quarter of a voxel at most; where more
//! than a hundredth of the volume would still be missing there are fewer rounds. Each mesh
//! carries the volume counted in voxels, so that the error of its own is known. What is told at each
//! vertex (LAC, thickness, curvature, distance) is in [`attribute`].

pub mod attribute;
mod regions;
mod shown;
mod taubin;
#[cfg(test)]
mod tests;

use ndarray::ArrayView3;
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress};
use crate::kernels::components::ComponentsError;
use crate::kernels::surface::{mesh_area, mesh_volume};
use crate::volume::Class;
pub use attribute::{Attribute, TellFrom, VertexValues};
pub use regions::{mesh_classes, mesh_objects, mesh_region_map, mesh_regions};
pub use shown::{ClassSurface, summary};

/// How a mesh is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeshParams {
    /// Smoothing of the region before the surface is cut, σ in voxels, 0 to 3.
    pub smoothing_voxels: f64,
    /// Rounds of smoothing of the mesh, 0 to 100.
    pub iterations: u32,
    /// A mesh for each connected object instead of one for each class.
    pub objects: bool,
    /// Leaves out objects of fewer voxels, 1 to 1 000 000 000.
    pub min_voxels: u64,
    /// Whether thickness and curvature are told at every vertex, and LAC where there is a volume.
    pub values: bool,
    /// Where LAC is taken: so many µm outside the surface, below 0 inside, −10 to 10.
    pub lac_offset_um: f64,
    /// The class, 1 to 65 535, to which the distance is told at every vertex.
    pub distance_to: Option<u16>,
}

impl Default for MeshParams {
    fn default() -> Self {
        Self {
            smoothing_voxels: 0.8,
            iterations: 10,
            objects: false,
            min_voxels: 30,
            values: false,
            lac_offset_um: 0.0,
            distance_to: None,
        }
    }
}

impl MeshParams {
    fn check(&self) -> Result<(), MeshError> {
        if !(0.0..=3.0).contains(&self.smoothing_voxels) {
            return Err(MeshError::Parameter {
                name: "smoothing",
                value: self.smoothing_voxels,
                range: "0 to 3 voxels",
            });
        }
        if self.iterations > 100 {
            let value = f64::from(self.iterations);
            return Err(MeshError::Parameter { name: "iterations", value, range: "0 to 100" });
        }
        Ok(())
    }
}

/// A closed triangle mesh.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mesh {
    /// Name of the class, or of the object: its class and its number.
    pub name: String,
    /// Id of the class.
    pub class: u16,
    /// Number of the object; `None` for a whole class.
    pub object: Option<u32>,
    /// Colour, sRGB 0 to 255.
    pub color: [u8; 3],
    /// Vertices as x, y, z in world µm (in voxels where the voxel size is unknown).
    pub vertices: Vec<[f32; 3]>,
    /// Triangles, counter-clockwise seen from outside.
    pub triangles: Vec<[u32; 3]>,
    /// The volume of the class counted in voxels, in µm³.
    pub voxel_volume_um3: f64,
    /// What was told at each vertex.
    pub values: Vec<VertexValues>,
    /// Whether lengths are in voxels, because the voxel size is unknown.
    pub in_voxels: bool,
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
    #[error("the mesh of {name} has more than {} vertices: bin or crop the labels", u32::MAX)]
    TooLarge { name: String },
    #[error("the map of objects is {found:?}, the labels are {expected:?}: they must have one grid")]
    Shape { found: [usize; 3], expected: [usize; 3] },
    #[error(transparent)]
    Components(#[from] ComponentsError),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Where the voxels of labels lie: the centre of voxel (z, y, x) is at origin + index · voxel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Edges of a voxel in µm as z, y, x.
    pub voxel_um: [f64; 3],
    /// World position of voxel (0, 0, 0) in µm as z, y, x.
    pub origin_um: [f64; 3],
}

impl Frame {
    /// The world point x, y, z of a place in voxels x, y, z.
    fn place(&self, v: [f32; 3]) -> [f32; 3] {
        std::array::from_fn(|a| (self.origin_um[2 - a] + f64::from(v[a]) * self.voxel_um[2 - a]) as f32)
    }

    /// The place in voxels x, y, z of a world point.
    fn voxel_of(&self, p: glam::DVec3) -> glam::DVec3 {
        let [z, y, x] = std::array::from_fn(|a| (p[2 - a] - self.origin_um[a]) / self.voxel_um[a]);
        glam::DVec3::new(x, y, z)
    }
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
    let frame = Frame { voxel_um, origin_um };
    let one = std::slice::from_ref(class);
    let mut meshes = mesh_classes(progress, labels, one, frame, params)?;
    meshes.pop().ok_or_else(|| MeshError::Empty { id: class.id, name: class.name.clone() })
}
