//! What is told at each vertex of a mesh, in the units of the field.

use glam::{DAffine3, DVec3, Vec3};
use ndarray::ArrayView3;
use serde::{Deserialize, Serialize};

use super::{Frame, Mesh};
use crate::base::{Cancelled, Progress};
use crate::kernels::distance::distance_to;
use crate::kernels::vertices::{curvature, normals, per_vertex};
use crate::volume::Volume;

/// A quantity at the vertices of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// The volume's value at the surface, or a little inside or outside of it.
    #[default]
    Lac,
    /// How thick the region is below the surface.
    Thickness,
    /// Mean curvature.
    MeanCurvature,
    /// Gaussian curvature.
    GaussianCurvature,
    /// Distance to another class.
    Distance,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Lac, Self::Thickness, Self::MeanCurvature, Self::GaussianCurvature, Self::Distance];

    /// As a heading.
    pub fn label(self) -> &'static str {
        match self {
            Self::Lac => "LAC",
            Self::Thickness => "Thickness",
            Self::MeanCurvature => "Mean curvature",
            Self::GaussianCurvature => "Gaussian curvature",
            Self::Distance => "Distance",
        }
    }

    /// Its unit as shown; that of the volume for values of one in another unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Lac | Self::MeanCurvature => "1/µm",
            Self::Thickness | Self::Distance => "µm",
            Self::GaussianCurvature => "1/µm²",
        }
    }

    /// As the name of a column or a property, with its unit.
    pub fn key(self) -> &'static str {
        match self {
            Self::Lac => "lac_per_um",
            Self::Thickness => "thickness_um",
            Self::MeanCurvature => "mean_curvature_per_um",
            Self::GaussianCurvature => "gaussian_curvature_per_um2",
            Self::Distance => "distance_um",
        }
    }
}

/// A quantity at every vertex; NaN where it is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct VertexValues {
    /// What it is.
    pub attribute: Attribute,
    /// One value for each vertex.
    pub values: Vec<f32>,
}

fn vertex(mesh: &Mesh, v: usize) -> DVec3 {
    Vec3::from(mesh.vertices[v]).as_dvec3()
}

/// Values of a volume at the vertices, linear between voxel centres; NaN outside of it.
///
/// `offset_um` samples beside the surface instead: above 0 outside, below 0 inside. `volume_from_mesh` takes a place of
/// the mesh to the volume's own world.
///
/// # Errors
/// Cancel.
pub fn lac(
    progress: &Progress,
    mesh: &Mesh,
    volume: &Volume<f32>,
    volume_from_mesh: DAffine3,
    offset_um: f64,
) -> Result<Vec<f32>, Cancelled> {
    let outward = normals(progress, &mesh.vertices, &mesh.triangles)?;
    let voxel_from_mesh = volume.world_from_voxel().0.inverse() * volume_from_mesh;
    per_vertex(progress, mesh.vertices.len(), |v| {
        let at = vertex(mesh, v) + Vec3::from(outward[v]).as_dvec3() * offset_um;
        linear(&volume.data.view(), voxel_from_mesh.transform_point3(at)).unwrap_or(f32::NAN)
    })
}

/// Value at a place x, y, z in voxels, ends continued by half a voxel; `None` outside.
fn linear(data: &ArrayView3<'_, f32>, p: DVec3) -> Option<f32> {
    let (nz, ny, nx) = data.dim();
    let split = |v: f64, n: usize| {
        let last = n.checked_sub(1)? as f64;
        // A surface may bulge out of the border by a part of a voxel.
        if !(-1.0..=last + 1.0).contains(&v) {
            return None;
        }
        let v = v.clamp(0.0, last);
        let low = (v as usize).min(n - 1);
        Some((low, (low + 1).min(n - 1), (v - low as f64) as f32))
    };
    let ((z0, z1, fz), (y0, y1, fy), (x0, x1, fx)) = (split(p.z, nz)?, split(p.y, ny)?, split(p.x, nx)?);
    let mix = |a: f32, b: f32, t: f32| if t == 0.0 { a } else { a + (b - a) * t };
    let row = |z: usize, y: usize| mix(data[[z, y, x0]], data[[z, y, x1]], fx);
    let plane = |z: usize| mix(row(z, y0), row(z, y1), fy);
    Some(mix(plane(z0), plane(z1), fz))
}

/// Thickness in µm: how far it is from a vertex straight inwards, against the normal, to where the region ends.
///
/// The end is where the region's share of the eight voxels around falls to one half, linear between voxel centres. A
/// wall has its thickness, a ball its diameter. `is_inside` tells whether a voxel (z, y, x) belongs to the region.
///
/// # Errors
/// Cancel.
pub fn thickness(
    progress: &Progress,
    mesh: &Mesh,
    shape: [usize; 3],
    is_inside: impl Fn([usize; 3]) -> bool + Sync,
    frame: Frame,
) -> Result<Vec<f32>, Cancelled> {
    let outward = normals(progress, &mesh.vertices, &mesh.triangles)?;
    let edge = frame.voxel_um.into_iter().fold(f64::INFINITY, f64::min);
    let longest: f64 = (0..3).map(|a| (shape[a] as f64 * frame.voxel_um[a]).powi(2)).sum::<f64>().sqrt();
    let share = |p: DVec3| {
        let base = p.floor();
        let f = p - base;
        (0..8)
            .map(|k| {
                let c = DVec3::new(f64::from(k & 1), f64::from(k >> 1 & 1), f64::from(k >> 2));
                let w = (1.0 - f) * (1.0 - c) + f * c;
                let at = base + c;
                let index = [at.z, at.y, at.x];
                let fits = (0..3).all(|a| index[a] >= 0.0 && index[a] < shape[a] as f64);
                if fits && is_inside(index.map(|i| i as usize)) { w.x * w.y * w.z } else { 0.0 }
            })
            .sum::<f64>()
    };
    per_vertex(progress, mesh.vertices.len(), |v| {
        let (from, inward) = (vertex(mesh, v), -Vec3::from(outward[v]).as_dvec3());
        if inward == DVec3::ZERO {
            return f32::NAN;
        }
        let at = |s: f64| share(frame.voxel_of(from + inward * s));
        // The vertex itself may lie a little outside of where half of the voxels are in.
        let (step, mut s) = (0.5 * edge, 0.5 * edge);
        let mut before = at(s);
        while before >= 0.5 && s < longest {
            let next = at(s + step);
            if next < 0.5 {
                return (s + step * (before - 0.5) / (before - next)) as f32;
            }
            (s, before) = (s + step, next);
        }
        s as f32
    })
}

/// Rounds of averaging over neighbours that take the steps of voxels out of curvatures.
const ROUNDS: u32 = 10;

/// Mean and Gaussian curvature at the vertices, 1/µm and 1/µm², averaged over ten rounds of neighbours: about two
/// voxels around, less than what a tomogram resolves.
///
/// # Errors
/// Cancel.
pub fn curvatures(progress: &Progress, mesh: &Mesh) -> Result<[VertexValues; 2], Cancelled> {
    let found = curvature(progress, &mesh.vertices, &mesh.triangles, ROUNDS)?;
    Ok([
        VertexValues { attribute: Attribute::MeanCurvature, values: found.mean },
        VertexValues { attribute: Attribute::GaussianCurvature, values: found.gaussian },
    ])
}

/// How far every voxel is from a class: what [`distances`] are read from, for any number of meshes.
#[derive(Debug, Clone)]
pub struct DistanceField {
    to_center: ndarray::Array3<f32>,
    half_um: f32,
    frame: Frame,
}

/// Measures the distance to a class everywhere, by the exact Euclidean transform (see [`crate::kernels::distance`]).
/// Memory: 4 bytes a voxel.
///
/// # Errors
/// Cancel.
pub fn distance_field<L: Copy + Sync>(
    progress: &Progress,
    labels: &ArrayView3<'_, L>,
    is_class: impl Fn(L) -> bool + Sync,
    frame: Frame,
) -> Result<DistanceField, Cancelled> {
    let to_center = distance_to(progress, labels, is_class, frame.voxel_um)?;
    let half_um = (0.5 * frame.voxel_um.iter().product::<f64>().cbrt()) as f32;
    Ok(DistanceField { to_center, half_um, frame })
}

/// Distance in µm from the vertices to the surface of the class of `field`; NaN where the class does not occur.
///
/// The transform measures to the centres of voxels; their surface is taken to lie half a voxel nearer.
///
/// # Errors
/// Cancel.
pub fn distances(progress: &Progress, mesh: &Mesh, field: &DistanceField) -> Result<Vec<f32>, Cancelled> {
    per_vertex(progress, mesh.vertices.len(), |v| {
        let at = field.frame.voxel_of(vertex(mesh, v));
        let found = linear(&field.to_center.view(), at).filter(|d| d.is_finite());
        found.map_or(f32::NAN, |d| (d - field.half_um).max(0.0))
    })
}

/// What values at vertices are told from.
#[derive(Debug, Clone, Copy)]
pub struct TellFrom<'a> {
    /// Classes, on the grid of `frame`.
    pub labels: &'a ArrayView3<'a, u16>,
    /// Objects on the same grid, where thickness is to be that of an object; the classes may then be missing.
    pub objects: Option<&'a ArrayView3<'a, u32>>,
    /// Where the voxels of the labels lie.
    pub frame: Frame,
    /// The volume for LAC, and the map from places of the mesh to its own world.
    pub volume: Option<(&'a Volume<f32>, DAffine3)>,
    /// LAC is taken so many µm outside the surface.
    pub lac_offset_um: f64,
    /// Distances to a class.
    pub field: Option<&'a DistanceField>,
}

impl TellFrom<'_> {
    /// The values of a mesh; NaN where what they are told from is missing. Thickness is that of the class.
    ///
    /// # Errors
    /// Cancel.
    pub fn tell(&self, progress: &Progress, mesh: &Mesh, what: Attribute) -> Result<Vec<f32>, Cancelled> {
        let unknown = || Ok(vec![f32::NAN; mesh.vertices.len()]);
        match what {
            Attribute::Lac => self
                .volume
                .map_or_else(unknown, |(volume, map)| lac(progress, mesh, volume, map, self.lac_offset_um)),
            Attribute::Thickness => {
                if let (Some(map), Some(id)) = (self.objects, mesh.object) {
                    let (nz, ny, nx) = map.dim();
                    let is_inside = |zyx: [usize; 3]| map[zyx] == id;
                    return thickness(progress, mesh, [nz, ny, nx], is_inside, self.frame);
                }
                let (nz, ny, nx) = self.labels.dim();
                let is_inside = |zyx: [usize; 3]| self.labels[zyx] == mesh.class;
                thickness(progress, mesh, [nz, ny, nx], is_inside, self.frame)
            }
            Attribute::MeanCurvature => curvatures(progress, mesh).map(|[mean, _]| mean.values),
            Attribute::GaussianCurvature => curvatures(progress, mesh).map(|[_, gaussian]| gaussian.values),
            Attribute::Distance => self.field.map_or_else(unknown, |field| distances(progress, mesh, field)),
        }
    }
}

/// The range that colours are spread over: from the 2 % to the 98 % quantile of all values that are known, as they come.
pub fn range_of<'a>(values: impl IntoIterator<Item = &'a f32>) -> [f32; 2] {
    let mut known: Vec<f32> = values.into_iter().copied().filter(|v| v.is_finite()).collect();
    known.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| known.get((share * known.len().saturating_sub(1) as f64) as usize).copied();
    let (low, high) = (at(0.02).unwrap_or(0.0), at(0.98).unwrap_or(1.0));
    if low < high { [low, high] } else { [low, low + 1.0] }
}
