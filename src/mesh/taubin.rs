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

/// Steps towards the volume, at most.
const MOST_STEPS: u32 = 4;
/// What may be missing of the volume.
const CLOSE: f64 = 1e-3;

/// Moves the surface along its normals until it encloses `volume` (in voxels); gives the share that is still missing.
pub(super) fn inflate(vertices: &mut [[f32; 3]], triangles: &[[u32; 3]], volume: f64) -> f64 {
    let mut moved = 0.0;
    let share = |vertices: &[[f32; 3]]| 1.0 - mesh_volume(vertices, triangles, [1.0; 3]) / volume;
    let mut missing = share(vertices);
    for _ in 0..MOST_STEPS {
        let area = mesh_area(vertices, triangles, [1.0; 3]);
        let wanted = (moved + missing * volume / area).clamp(-MAX_OFFSET, MAX_OFFSET);
        if missing.abs() < CLOSE || !wanted.is_finite() || (wanted - moved).abs() < 1e-4 {
            break;
        }
        shift(vertices, triangles, wanted - moved);
        moved = wanted;
        missing = share(vertices);
    }
    missing
}

/// Moves every vertex along its normal.
fn shift(vertices: &mut [[f32; 3]], triangles: &[[u32; 3]], offset: f64) {
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
