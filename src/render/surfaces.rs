//! Surfaces of meshes in the 3-D view: their triangles as the renderer takes them, and how they are drawn.
//!
//! A set of surfaces has parts (a class, an object), each with a colour and an opacity of its own. What is drawn is a
//! list of sheets along each ray, nearest first, so that transparent surfaces are laid over each other, and between the
//! samples of a volume, in the right order from wherever they are seen.

use std::collections::HashMap;
use std::sync::Arc;

use glam::{DAffine3, DVec3, Vec3};

use super::camera::BoxUm;
use super::colormap::ColorMap;
use super::scene::LayerId;
use crate::base::{Cancelled, Progress};
use crate::kernels::vertices::normals;

/// A vertex as the device has it.
#[derive(Debug, Clone, Copy, PartialEq, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct SurfaceVertex {
    /// From the middle of the set, world µm.
    pub(crate) place: [f32; 3],
    /// Number of the part.
    pub(crate) part: u32,
    /// Outwards, length 1.
    pub(crate) normal: [f32; 3],
    /// What colours stand for, NaN where it is not known.
    pub(crate) value: f32,
}

/// A closed surface that becomes a part of a set.
#[derive(Debug, Clone, Copy)]
pub struct SurfacePart<'a> {
    /// Places of the vertices as x, y, z in µm.
    pub vertices: &'a [[f32; 3]],
    /// Triangles, counter-clockwise seen from outside.
    pub triangles: &'a [[u32; 3]],
    /// A value for each vertex; empty where there are none.
    pub values: &'a [f32],
}

/// Triangles of some closed surfaces.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceSet {
    pub(crate) vertices: Vec<SurfaceVertex>,
    pub(crate) triangles: Vec<[u32; 3]>,
    pub(crate) n_parts: usize,
    /// World place that vertices are counted from.
    pub(crate) middle_um: DVec3,
    pub(crate) bounds: BoxUm,
    /// Shortest edge of the voxels they were cut from, µm.
    pub(crate) voxel_um: f64,
    /// The same with fewer triangles, for pictures while something moves on a slow device.
    pub(crate) coarse: Option<Arc<Self>>,
}

/// Triangles above which there is a coarse set, and about how many that has.
const COARSE: usize = 60_000;

impl SurfaceSet {
    /// Parts that are drawn, at most; more are left out.
    pub const MOST_PARTS: usize = 32_767;

    /// Puts parts together; `world_from_mesh` takes their places to world µm, `voxel_um` is the shortest edge of the
    /// voxels that they were cut from.
    pub fn new(
        progress: &Progress,
        parts: &[SurfacePart<'_>],
        world_from_mesh: DAffine3,
        voxel_um: f64,
    ) -> Result<Self, Cancelled> {
        let parts = &parts[..parts.len().min(Self::MOST_PARTS)];
        let point = |v: &[f32; 3]| world_from_mesh.transform_point3(Vec3::from(*v).as_dvec3());
        let all = parts.iter().flat_map(|part| part.vertices);
        let (low, high) = all.fold((DVec3::INFINITY, DVec3::NEG_INFINITY), |(low, high), v| {
            let p = point(v);
            (low.min(p), high.max(p))
        });
        let bounds = if low.x <= high.x { (low, high) } else { (DVec3::ZERO, DVec3::ZERO) };
        let middle_um = (bounds.0 + bounds.1) * 0.5;
        let turn = world_from_mesh.matrix3.inverse().transpose();
        let is_mirrored = world_from_mesh.matrix3.determinant() < 0.0;
        let n_vertices = parts.iter().map(|part| part.vertices.len()).sum();
        let mut vertices = Vec::with_capacity(n_vertices);
        let mut triangles = Vec::with_capacity(parts.iter().map(|part| part.triangles.len()).sum());
        for (number, part) in (0u32..).zip(parts) {
            let first = vertices.len() as u32;
            let outward = normals(progress, part.vertices, part.triangles)?;
            vertices.extend(part.vertices.iter().zip(outward).enumerate().map(|(at, (v, normal))| {
                let normal = (turn * Vec3::from(normal).as_dvec3()).normalize_or_zero();
                SurfaceVertex {
                    place: (point(v) - middle_um).as_vec3().to_array(),
                    part: number,
                    normal: normal.as_vec3().to_array(),
                    value: part.values.get(at).copied().unwrap_or(f32::NAN),
                }
            }));
            triangles.extend(part.triangles.iter().map(|corners| {
                let [a, b, c] = corners.map(|v| v + first);
                if is_mirrored { [a, c, b] } else { [a, b, c] }
            }));
        }
        let mut set =
            Self { vertices, triangles, n_parts: parts.len(), middle_um, bounds, voxel_um, coarse: None };
        if set.triangles.len() > COARSE {
            set.coarse = Some(Arc::new(set.coarser()));
        }
        Ok(set)
    }

    /// The same with about [`COARSE`] triangles: vertices of a part in one cell of a grid become one (Rossignac and
    /// Borrel 1993, doi:10.1007/978-3-642-78114-8_29). What was closed stays closed.
    fn coarser(&self) -> Self {
        // Triangles have sides of about a voxel: their number falls with the square of the cell.
        let cell = self.voxel_um * (self.triangles.len() as f64 / COARSE as f64).sqrt().max(1.0) * 1.3;
        let mut known: HashMap<(u32, [i32; 3]), u32> = HashMap::new();
        let mut sums: Vec<(SurfaceVertex, f32)> = Vec::new();
        let places: Vec<u32> = self
            .vertices
            .iter()
            .map(|v| {
                let at = v.place.map(|c| (f64::from(c) / cell).floor() as i32);
                let place = *known.entry((v.part, at)).or_insert(sums.len() as u32);
                match sums.get_mut(place as usize) {
                    Some((sum, n)) => {
                        for k in 0..3 {
                            sum.place[k] += v.place[k];
                            sum.normal[k] += v.normal[k];
                        }
                        sum.value += v.value;
                        *n += 1.0;
                    }
                    None => sums.push((*v, 1.0)),
                }
                place
            })
            .collect();
        let mean = |(sum, n): (SurfaceVertex, f32)| SurfaceVertex {
            place: sum.place.map(|c| c / n),
            normal: Vec3::from(sum.normal).normalize_or_zero().to_array(),
            value: sum.value / n,
            ..sum
        };
        let triangles = self.triangles.iter().map(|corners| corners.map(|v| places[v as usize]));
        Self {
            vertices: sums.into_iter().map(mean).collect(),
            triangles: triangles.filter(|[a, b, c]| a != b && b != c && c != a).collect(),
            coarse: None,
            ..*self
        }
    }

    /// The box around them, world µm.
    pub fn bounds_um(&self) -> BoxUm {
        self.bounds
    }

    /// Number of triangles.
    pub fn n_triangles(&self) -> usize {
        self.triangles.len()
    }

    /// Bytes on a device.
    pub(crate) fn bytes(&self) -> u64 {
        (size_of_val(self.vertices.as_slice()) + size_of_val(self.triangles.as_slice())) as u64
            + self.coarse.as_ref().map_or(0, |coarse| coarse.bytes())
    }
}

/// How a part is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartStyle {
    /// Colour, sRGB 0 to 1.
    pub rgb: [f32; 3],
    /// 0 (hidden) to 1 (opaque).
    pub opacity: f32,
    /// Its colours stand for the values at the vertices.
    pub by_value: bool,
    /// Box and cuts leave it whole.
    pub kept: bool,
}

/// Surfaces in a 3-D view.
///
/// They are drawn with the haze, the surface at a value, the labels and alone; projections have no depth to lay them in.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceLayer {
    /// Key of the set.
    pub surfaces: LayerId,
    /// How each part is drawn.
    pub styles: Arc<[PartStyle]>,
    /// The class of each part; empty where they stand for none.
    pub classes: Arc<[u16]>,
    /// Colours of values.
    pub color_map: ColorMap,
    /// Values that get the first and the last colour.
    pub range: [f32; 2],
    /// What the values are with their unit, for the colour bar; empty where no colours stand for values.
    pub value_label: String,
    /// Darkness of outlines where a surface turns away or ends before what lies behind, 0 (none) to 1.
    pub silhouettes: f32,
    /// Width of outlines in pixels of the picture, up to 4.
    pub outline_px: f32,
}

impl SurfaceLayer {
    /// Opaque surfaces in colours of their own, with soft outlines.
    pub fn new(surfaces: LayerId, styles: impl Into<Arc<[PartStyle]>>) -> Self {
        Self {
            surfaces,
            styles: styles.into(),
            classes: Arc::default(),
            color_map: ColorMap::Viridis,
            range: [0.0, 1.0],
            value_label: String::new(),
            silhouettes: 0.6,
            outline_px: 1.5,
        }
    }

    /// Changes how the parts of classes are drawn.
    pub(crate) fn restyle(&mut self, change: impl Fn(u16, &mut PartStyle)) {
        let mut styles = self.styles.to_vec();
        for (style, class) in styles.iter_mut().zip(self.classes.iter()) {
            change(*class, style);
        }
        self.styles = styles.into();
    }

    /// Whether anything is seen through.
    pub(crate) fn is_transparent(&self) -> bool {
        self.styles.iter().any(|style| style.opacity > 0.0 && style.opacity < 1.0)
    }

    /// Whether the colours of anything that is seen stand for values.
    pub fn shows_values(&self) -> bool {
        self.styles.iter().any(|style| style.by_value && style.opacity > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_set_is_closed_and_as_large() {
        // A torus of 320 000 triangles.
        let n = [800u32, 200u32];
        let at = |i: u32, j: u32| (i % n[0]) * n[1] + j % n[1];
        let vertices: Vec<[f32; 3]> = (0..n[0] * n[1])
            .map(|i| {
                let angle = |k: u32, n: u32| std::f32::consts::TAU * k as f32 / n as f32;
                let (a, b) = (angle(i / n[1], n[0]), angle(i % n[1], n[1]));
                let r = 4.0 + b.cos();
                [r * a.cos(), r * a.sin(), b.sin()]
            })
            .collect();
        let triangles: Vec<[u32; 3]> = (0..n[0])
            .flat_map(|i| (0..n[1]).map(move |j| (i, j)))
            .flat_map(|(i, j)| {
                let [a, b, c, d] = [at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)];
                [[a, b, c], [a, c, d]]
            })
            .collect();
        let part = SurfacePart { vertices: &vertices, triangles: &triangles, values: &[] };
        let set = SurfaceSet::new(&Progress::new(), &[part], DAffine3::IDENTITY, 0.03).unwrap();
        let coarse = set.coarse.as_ref().unwrap();
        assert!((10_000..150_000).contains(&coarse.n_triangles()), "{}", coarse.n_triangles());
        // Every side is used as often in one direction as in the other.
        let mut sides: HashMap<(u32, u32), i32> = HashMap::new();
        for [a, b, c] in &coarse.triangles {
            for (from, to) in [(a, b), (b, c), (c, a)] {
                *sides.entry((*from.min(to), *from.max(to))).or_insert(0) += if from < to { 1 } else { -1 };
            }
        }
        assert!(sides.values().all(|sum| *sum == 0));
        let volume = |set: &SurfaceSet| {
            let places: Vec<[f32; 3]> = set.vertices.iter().map(|v| v.place).collect();
            crate::kernels::surface::mesh_volume(&places, &set.triangles, [1.0; 3])
        };
        assert!((volume(coarse) / volume(&set) - 1.0).abs() < 0.03);
    }

    #[test]
    fn mirrored_sets_still_face_outwards() {
        let vertices = [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let triangles = [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]];
        let part = SurfacePart { vertices: &vertices, triangles: &triangles, values: &[] };
        for scale in [DVec3::ONE, DVec3::new(-1.0, 2.0, 1.0)] {
            let set = SurfaceSet::new(&Progress::new(), &[part], DAffine3::from_scale(scale), 0.1).unwrap();
            let volume: f32 = set
                .triangles
                .iter()
                .map(|t| {
                    let [a, b, c] = t.map(|v| Vec3::from(set.vertices[v as usize].place));
                    a.dot(b.cross(c)) / 6.0
                })
                .sum();
            assert!((f64::from(volume) - scale.x.abs() * scale.y / 6.0).abs() < 1e-6, "{volume}");
            assert!(set.vertices.iter().all(|v| v.value.is_nan()));
        }
        let none = SurfaceSet::new(&Progress::new(), &[], DAffine3::IDENTITY, 0.1).unwrap();
        assert_eq!((none.n_triangles(), none.bounds_um()), (0, (DVec3::ZERO, DVec3::ZERO)));
    }
}
