//! Normals and curvature at the vertices of triangle meshes.
//!
//! Normals after Max (1999, doi:10.1080/10867651.1999.10487501): the triangles of a vertex weigh by
//! their area over the squared lengths of the two sides that meet there, which is exact on a sphere.
//! Curvature after Rusinkiewicz (2004, doi:10.1109/TDPVT.2004.1335277): each triangle's second
//! fundamental form is fitted to how the normals turn along its sides, turned into the tangent plane
//! of the vertex and averaged by area. Surfaces of voxels carry steps of a voxel, so the two
//! curvatures are then averaged over neighbours.

use glam::{DMat3, DQuat, DVec3};
use rayon::prelude::*;

use crate::base::{Cancelled, Progress};

/// Vertices or triangles per parallel piece; fixed, so that results never depend on the number of threads.
const PIECE: usize = 1 << 14;

/// What is listed for each vertex: the ranges of one long list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Around {
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Around {
    /// The neighbours of each vertex of a closed manifold, each once.
    pub fn neighbors(n_vertices: usize, triangles: &[[u32; 3]]) -> Self {
        // Every edge is in two triangles, once in each direction: the vertex that follows lists each neighbour once.
        Self::list(n_vertices, triangles, |_, [_, next, _]| next)
    }

    /// The triangles of each vertex.
    pub fn triangles(n_vertices: usize, triangles: &[[u32; 3]]) -> Self {
        Self::list(n_vertices, triangles, |at, _| at)
    }

    fn list(n_vertices: usize, triangles: &[[u32; 3]], item: impl Fn(u32, [u32; 3]) -> u32) -> Self {
        let mut ends = vec![0u32; n_vertices + 1];
        for v in triangles.iter().flatten() {
            ends[*v as usize + 1] += 1;
        }
        for v in 0..n_vertices {
            ends[v + 1] += ends[v];
        }
        let mut fill = ends.clone();
        let mut items = vec![0u32; triangles.len() * 3];
        for (at, &[a, b, c]) in triangles.iter().enumerate() {
            for corner in [[a, b, c], [b, c, a], [c, a, b]] {
                let place = &mut fill[corner[0] as usize];
                items[*place as usize] = item(at as u32, corner);
                *place += 1;
            }
        }
        Self { ends, items }
    }

    /// What is listed for a vertex.
    pub fn of(&self, vertex: usize) -> &[u32] {
        &self.items[self.ends[vertex] as usize..self.ends[vertex + 1] as usize]
    }
}

fn point(vertices: &[[f32; 3]], at: u32) -> DVec3 {
    glam::Vec3::from(vertices[at as usize]).as_dvec3()
}

/// Normals of length 1 at the vertices, pointing out of a mesh whose triangles are counter-clockwise seen from outside.
///
/// A vertex without triangles of any area gets a zero normal.
///
/// # Errors
/// Cancel.
pub fn normals(
    progress: &Progress,
    vertices: &[[f32; 3]],
    triangles: &[[u32; 3]],
) -> Result<Vec<[f32; 3]>, Cancelled> {
    let around = Around::triangles(vertices.len(), triangles);
    normals_of(progress, vertices, triangles, &around)
}

fn normals_of(
    progress: &Progress,
    vertices: &[[f32; 3]],
    triangles: &[[u32; 3]],
    around: &Around,
) -> Result<Vec<[f32; 3]>, Cancelled> {
    per_vertex(progress, vertices.len(), |v| {
        let here = point(vertices, v as u32);
        let sum: DVec3 = around
            .of(v)
            .iter()
            .map(|t| {
                let corners = triangles[*t as usize];
                let first = corners.iter().position(|c| *c as usize == v).unwrap_or(0);
                let a = point(vertices, corners[(first + 1) % 3]) - here;
                let b = point(vertices, corners[(first + 2) % 3]) - here;
                let weight = a.length_squared() * b.length_squared();
                if weight > 0.0 { a.cross(b) / weight } else { DVec3::ZERO }
            })
            .sum();
        sum.normalize_or_zero().as_vec3().to_array()
    })
}

/// Values at the vertices, found in parallel.
///
/// # Errors
/// Cancel.
pub fn per_vertex<T: Send + Default + Clone>(
    progress: &Progress,
    n_vertices: usize,
    value: impl Fn(usize) -> T + Sync,
) -> Result<Vec<T>, Cancelled> {
    let mut out = vec![T::default(); n_vertices];
    out.par_chunks_mut(PIECE).enumerate().try_for_each(|(piece, out)| {
        progress.check()?;
        for (at, out) in out.iter_mut().enumerate() {
            *out = value(piece * PIECE + at);
        }
        Ok::<(), Cancelled>(())
    })?;
    Ok(out)
}

/// Mean and Gaussian curvature at the vertices of a mesh.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curvature {
    /// Mean of the two principal curvatures, 1 over the unit of the vertices; above 0 where the inside bulges out.
    pub mean: Vec<f32>,
    /// Product of the two principal curvatures, 1 over the squared unit; below 0 on saddles.
    pub gaussian: Vec<f32>,
}

/// Curvature at the vertices of a closed manifold; `rounds` of averaging over neighbours follow.
///
/// # Errors
/// Cancel.
pub fn curvature(
    progress: &Progress,
    vertices: &[[f32; 3]],
    triangles: &[[u32; 3]],
    rounds: u32,
) -> Result<Curvature, Cancelled> {
    let around = Around::triangles(vertices.len(), triangles);
    let normals = normals_of(progress, vertices, triangles, &around)?;
    let forms = per_vertex(progress, triangles.len(), |t| Form::of(vertices, &normals, triangles[t]))?;
    let mut found = per_vertex(progress, vertices.len(), |v| {
        let normal = glam::Vec3::from(normals[v]).as_dvec3();
        let (mut sum, mut weight) = (DMat3::ZERO, 0.0);
        for t in around.of(v) {
            let form = &forms[*t as usize];
            sum += form.turned_to(normal);
            weight += form.area;
        }
        let form = sum * (1.0 / weight.max(1e-30));
        let trace = form.x_axis.x + form.y_axis.y + form.z_axis.z;
        let square = form * form;
        let trace_of_square = square.x_axis.x + square.y_axis.y + square.z_axis.z;
        [(0.5 * trace) as f32, (0.5 * (trace * trace - trace_of_square)) as f32, weight as f32]
    })?;
    drop((around, forms));
    let neighbors = Around::neighbors(vertices.len(), triangles);
    for _ in 0..rounds {
        found = per_vertex(progress, vertices.len(), |v| {
            // By area: slivers, where the steps of voxels are worst, hardly count.
            let [mut mean, mut gaussian, mut area] = [0.0f64; 3];
            for at in neighbors.of(v).iter().map(|n| *n as usize).chain([v]) {
                let [m, g, a] = found[at].map(f64::from);
                mean += m * a;
                gaussian += g * a;
                area += a;
            }
            let share = 1.0 / area.max(1e-30);
            [(mean * share) as f32, (gaussian * share) as f32, found[v][2]]
        })?;
    }
    Ok(Curvature {
        mean: found.iter().map(|pair| pair[0]).collect(),
        gaussian: found.iter().map(|pair| pair[1]).collect(),
    })
}

/// How the normal turns on a triangle: the second fundamental form in the frame `u`, `v`.
#[derive(Debug, Clone, Copy, Default)]
struct Form {
    normal: DVec3,
    u: DVec3,
    v: DVec3,
    /// Along u and u, u and v, v and v.
    terms: [f64; 3],
    area: f64,
}

impl Form {
    /// The least-squares fit to the three sides.
    fn of(vertices: &[[f32; 3]], normals: &[[f32; 3]], triangle: [u32; 3]) -> Self {
        let p = triangle.map(|v| point(vertices, v));
        let n = triangle.map(|v| point(normals, v));
        let (first, cross) = (p[1] - p[0], (p[1] - p[0]).cross(p[2] - p[0]));
        let (Some(u), Some(normal)) = (first.try_normalize(), cross.try_normalize()) else {
            return Self::default();
        };
        let v = normal.cross(u);
        let mut system = DMat3::ZERO;
        let mut right = DVec3::ZERO;
        for (a, b) in [(0, 1), (1, 2), (2, 0)] {
            let (side, turn) = (p[b] - p[a], n[b] - n[a]);
            let (s, t) = (side.dot(u), side.dot(v));
            let (along_u, along_v) = (turn.dot(u), turn.dot(v));
            // Rows (s, t, 0) and (0, s, t) for the terms (uu, uv, vv).
            system += DMat3::from_cols(
                DVec3::new(s * s, s * t, 0.0),
                DVec3::new(s * t, s * s + t * t, s * t),
                DVec3::new(0.0, s * t, t * t),
            );
            right += DVec3::new(s * along_u, t * along_u + s * along_v, t * along_v);
        }
        let scale = system.x_axis.x.max(system.z_axis.z);
        // A sliver says nothing about the turn across it.
        if system.determinant() < 1e-9 * scale.powi(3) {
            return Self::default();
        }
        let terms = (system.inverse() * right).to_array();
        Self { normal, u, v, terms, area: 0.5 * cross.length() }
    }

    /// The form in the tangent plane across `normal`, times its area.
    fn turned_to(&self, normal: DVec3) -> DMat3 {
        if self.area <= 0.0 || normal == DVec3::ZERO {
            return DMat3::ZERO;
        }
        let turn = DQuat::from_rotation_arc(self.normal, normal);
        let (u, v) = (turn * self.u, turn * self.v);
        let outer = |a: DVec3, b: DVec3| DMat3::from_cols(a * b.x, a * b.y, a * b.z);
        let [uu, uv, vv] = self.terms;
        (outer(u, u) * uu + (outer(u, v) + outer(v, u)) * uv + outer(v, v) * vv) * self.area
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// A torus about z: distance of the tube's middle from the axis, radius of the tube.
    fn torus(big: f64, small: f64, n: [u32; 2]) -> (Vec<[f32; 3]>, Vec<[u32; 3]>) {
        let vertices = (0..n[0] * n[1])
            .map(|i| {
                let angle = |k: u32, n: u32| 2.0 * PI * f64::from(k) / f64::from(n);
                let (a, b) = (angle(i / n[1], n[0]), angle(i % n[1], n[1]));
                let r = big + small * b.cos();
                [(r * a.cos()) as f32, (r * a.sin()) as f32, (small * b.sin()) as f32]
            })
            .collect();
        let at = |i: u32, j: u32| (i % n[0]) * n[1] + j % n[1];
        let triangles = (0..n[0])
            .flat_map(|i| (0..n[1]).map(move |j| (i, j)))
            .flat_map(|(i, j)| {
                let [a, b, c, d] = [at(i, j), at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)];
                [[a, b, c], [a, c, d]]
            })
            .collect();
        (vertices, triangles)
    }

    #[test]
    fn a_torus_has_its_normals_and_both_curvatures_everywhere() {
        let (big, small) = (4.0, 1.5);
        let (vertices, triangles) = torus(big, small, [160, 80]);
        let progress = Progress::new();
        let normals = normals(&progress, &vertices, &triangles).unwrap();
        let found = curvature(&progress, &vertices, &triangles, 0).unwrap();
        for (v, [x, y, z]) in vertices.iter().map(|v| v.map(f64::from)).enumerate() {
            let r = x.hypot(y);
            let cosine = (r - big) / small;
            let outward = DVec3::new(x / r * cosine, y / r * cosine, z / small);
            assert!(point(&normals, v as u32).dot(outward) > 0.9999);
            let (k1, k2) = (1.0 / small, cosine / r);
            // Sides of a fiftieth of the radius: second order leaves a thousandth.
            assert!((f64::from(found.mean[v]) - 0.5 * (k1 + k2)).abs() < 0.005, "{v}");
            assert!((f64::from(found.gaussian[v]) - k1 * k2).abs() < 0.005, "{v}");
        }
    }

    #[test]
    fn flat_meshes_have_no_curvature_and_degenerate_triangles_do_no_harm() {
        let vertices = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.0, 0.0]];
        // Both sides of a flat piece, and a triangle without area.
        let triangles = [[0, 1, 2], [0, 2, 1], [0, 3, 1]];
        let found = curvature(&Progress::new(), &vertices, &triangles, 2).unwrap();
        assert!(found.mean.iter().chain(&found.gaussian).all(|v| *v == 0.0), "{found:?}");
        let none = curvature(&Progress::new(), &[], &[], 2).unwrap();
        assert!(none.mean.is_empty());
    }

    #[test]
    fn cancel_stops_it() {
        let (vertices, triangles) = torus(2.0, 1.0, [8, 8]);
        let progress = Progress::new();
        progress.cancel();
        assert_eq!(curvature(&progress, &vertices, &triangles, 1), Err(Cancelled));
    }
}
