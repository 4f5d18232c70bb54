//! Smoothing that keeps the volume.

use glam::Vec3;

use crate::base::{Cancelled, Progress};
use crate::kernels::surface::{mesh_area, mesh_volume};
use crate::kernels::vertices::{Around, per_vertex};

/// Taubin's steps: the first shrinks, the second grows a little more.
const STEPS: [f32; 2] = [0.5, -0.53];

/// The vertices after rounds of both steps; progress advances by one a round.
pub(super) fn smoothed(
    progress: &Progress,
    mut vertices: Vec<[f32; 3]>,
    triangles: &[[u32; 3]],
    iterations: u32,
) -> Result<Vec<[f32; 3]>, Cancelled> {
    if iterations == 0 {
        return Ok(vertices);
    }
    let neighbors = Around::neighbors(vertices.len(), triangles);
    for _ in 0..iterations {
        for step in STEPS {
            vertices = per_vertex(progress, vertices.len(), |v| {
                let around = neighbors.of(v);
                let weight = step / around.len().max(1) as f32;
                let old = vertices[v];
                let mut out = old;
                for n in around {
                    let there = vertices[*n as usize];
                    (0..3).for_each(|a| out[a] += weight * (there[a] - old[a]));
                }
                out
            })?;
        }
        progress.advance(1);
    }
    Ok(vertices)
}

/// Farthest that the surface moves to make up for lost volume, in voxels.
const MAX_OFFSET: f64 = 0.25;

/// Moves the surface along its normals until it encloses `volume` (in voxels) to first order.
pub(super) fn inflate(vertices: &mut [[f32; 3]], triangles: &[[u32; 3]], volume: f64) {
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
