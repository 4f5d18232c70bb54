//! Closed surfaces of regions of voxels: triangle meshes, their area and volume.
//!
//! Marching cubes with a table made here from one rule: on a face whose corners alternate, corners
//! inside the region are kept apart. Both cells at a face follow it, and no triangle has a side
//! across a face other than along the boundary, so every mesh is closed and manifold (each edge in
//! two triangles, one fan of triangles round each vertex); a test checks it on noise.
//!
//! Vertices lie where a smoothed indicator of the region crosses one half. The smoothing is
//! `2 G(σ) − G(√2 σ)`, whose second moment is zero, so that curved surfaces do not shrink to first
//! order; and values are clamped so that each voxel stays on its side: thin parts and single voxels
//! survive. Work goes slab by slab; memory is the mesh plus a few slices per thread.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rayon::prelude::*;

use crate::base::{Cancelled, Progress};

/// Layers of cells per parallel piece; fixed, so that results never depend on the number of threads.
const SLAB: usize = 16;
/// How far from one half the smoothed indicator stays at a voxel's centre.
const MARGIN: f32 = 0.02;

/// A closed triangle mesh in voxel coordinates.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surface {
    /// Vertices as x, y, z in voxel indices; voxel centres are at whole numbers.
    pub vertices: Vec<[f32; 3]>,
    /// Triangles, counter-clockwise seen from outside (in a right-handed x, y, z).
    pub triangles: Vec<[u32; 3]>,
    /// Per vertex: what the caller's `beyond` says of the voxel on the outer side.
    pub beyond: Vec<u32>,
}

/// The surface of the voxels of the box `lo..hi` (z, y, x) for which `inside` holds.
///
/// Voxels outside the box count as outside the region. `beyond` gets the position of a voxel outside
/// (which may lie one voxel outside the box, hence the sign) and returns the tag of the vertex next to
/// it. `smoothing_voxels` is the σ of the smoothing; 0 puts vertices half way between voxels.
///
/// # Errors
/// Cancel. Progress is checked but not advanced: a caller may run many at once.
pub fn surface(
    progress: &Progress,
    lo: [usize; 3],
    hi: [usize; 3],
    inside: impl Fn([usize; 3]) -> bool + Sync,
    beyond: impl Fn([isize; 3]) -> u32 + Sync,
    smoothing_voxels: f64,
) -> Result<Surface, Cancelled> {
    if (0..3).any(|a| lo[a] >= hi[a]) {
        return Ok(Surface::default());
    }
    let size: [usize; 3] = std::array::from_fn(|a| hi[a] - lo[a]);
    let smoother = Smoother::new(smoothing_voxels);
    let n_cells = size[0] + 1;
    let pieces = (0..n_cells.div_ceil(SLAB))
        .into_par_iter()
        .map(|slab| {
            progress.check()?;
            let cells = slab * SLAB..((slab + 1) * SLAB).min(n_cells);
            let grid = Grid::new(lo, size, cells, &inside, &smoother);
            progress.check()?;
            Ok(Piece::new(&grid, &beyond))
        })
        .collect::<Result<Vec<_>, Cancelled>>()?;
    Ok(stitch(pieces))
}

/// Joins the pieces: vertices on the layer between two pieces belong to the upper one.
fn stitch(pieces: Vec<Piece>) -> Surface {
    let mut surface = Surface::default();
    for piece in pieces {
        let base = surface.vertices.len() as u32;
        // Vertices that a piece does not own follow its own; they are the first of the next piece.
        surface.triangles.extend(piece.triangles.iter().map(|triangle| triangle.map(|v| v + base)));
        surface.vertices.extend(piece.vertices);
        surface.beyond.extend(piece.beyond);
    }
    surface
}

/// The smoothing kernels, half a kernel each (from the middle out).
struct Smoother {
    narrow: Vec<f32>,
    wide: Vec<f32>,
}

impl Smoother {
    fn new(sigma: f64) -> Self {
        Self { narrow: half_gaussian(sigma), wide: half_gaussian(sigma * std::f64::consts::SQRT_2) }
    }

    fn reach(&self) -> usize {
        self.wide.len() - 1
    }
}

/// Weights of a sampled Gaussian that sum to one over both sides; a single 1 without smoothing.
fn half_gaussian(sigma: f64) -> Vec<f32> {
    if sigma.is_nan() || sigma < 0.05 {
        return vec![1.0];
    }
    let sigma = sigma.min(8.0);
    let weights: Vec<f64> =
        (0..=(3.0 * sigma).ceil() as usize).map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp()).collect();
    let sum = 2.0 * weights.iter().sum::<f64>() - weights[0];
    weights.iter().map(|w| (w / sum) as f32).collect()
}

/// The smoothed indicator on the layers of one slab, with a rim of one voxel round the box.
struct Grid {
    /// Voxel index (z, y, x) of grid point (0, 0, 0) of the first layer.
    origin: [isize; 3],
    /// Grid points along y and x.
    ny: usize,
    nx: usize,
    /// Layers of values; above one half exactly inside the region.
    layers: Vec<Vec<f32>>,
    /// Whether this is the last slab, whose last layer is all outside.
    is_last: bool,
}

impl Grid {
    fn new(
        lo: [usize; 3],
        [nz, ny, nx]: [usize; 3],
        cells: std::ops::Range<usize>,
        inside: &(impl Fn([usize; 3]) -> bool + Sync),
        smoother: &Smoother,
    ) -> Self {
        let (gy, gx) = (ny + 2, nx + 2);
        let reach = smoother.reach() as isize;
        // Grid layer p is voxel slice lo + p - 1; layers beyond the box are empty.
        let first = cells.start as isize - reach;
        let masks: Vec<Vec<f32>> = (first..=cells.end as isize + reach)
            .map(|p| {
                let mut mask = vec![0.0f32; gy * gx];
                if p < 1 || p > nz as isize {
                    return mask;
                }
                let z = lo[0] + p as usize - 1;
                for y in 0..ny {
                    let row = &mut mask[(y + 1) * gx + 1..][..nx];
                    for (x, value) in row.iter_mut().enumerate() {
                        *value = f32::from(u8::from(inside([z, lo[1] + y, lo[2] + x])));
                    }
                }
                mask
            })
            .collect();
        let narrow = blur(&masks, gx, &smoother.narrow, smoother.reach());
        let mut layers = blur(&masks, gx, &smoother.wide, smoother.reach());
        for (at, (wide, narrow)) in layers.iter_mut().zip(narrow).enumerate() {
            let mask = &masks[at + smoother.reach()];
            for ((value, narrow), mask) in wide.iter_mut().zip(narrow).zip(mask) {
                let smooth = 2.0 * narrow - *value;
                *value = if *mask > 0.5 { smooth.max(0.5 + MARGIN) } else { smooth.min(0.5 - MARGIN) };
            }
        }
        let origin = [lo[0] as isize + cells.start as isize - 1, lo[1] as isize - 1, lo[2] as isize - 1];
        Self { origin, ny: gy, nx: gx, layers, is_last: cells.end == nz + 1 }
    }
}

/// Convolves layers with a symmetric kernel along all axes; `reach` layers at either end are dropped.
fn blur(layers: &[Vec<f32>], nx: usize, half: &[f32], reach: usize) -> Vec<Vec<f32>> {
    let blurred: Vec<Vec<f32>> = layers
        .iter()
        .map(|layer| {
            if half.len() == 1 || layer.iter().all(|v| *v == 0.0) {
                return layer.clone();
            }
            let mut along_x = vec![0.0f32; layer.len()];
            for (out, row) in along_x.chunks_exact_mut(nx).zip(layer.chunks_exact(nx)) {
                blur_row(out, row, half);
            }
            let rows: Vec<&[f32]> = along_x.chunks_exact(nx).collect();
            let mut out = vec![0.0f32; layer.len()];
            for (y, out) in out.chunks_exact_mut(nx).enumerate() {
                mix(out, &rows, y, half);
            }
            out
        })
        .collect();
    let slices: Vec<&[f32]> = blurred.iter().map(Vec::as_slice).collect();
    (reach..layers.len() - reach)
        .map(|z| {
            let mut out = vec![0.0f32; layers[z].len()];
            mix(&mut out, &slices, z, half);
            out
        })
        .collect()
}

/// Weighted sum of the rows round `at`; rows that are missing count as zero.
fn mix(out: &mut [f32], rows: &[&[f32]], at: usize, half: &[f32]) {
    for (distance, weight) in half.iter().enumerate() {
        let below = at.checked_sub(distance).and_then(|i| rows.get(i));
        let above = rows.get(at + distance).filter(|_| distance > 0);
        for row in [below, above].into_iter().flatten() {
            out.iter_mut().zip(*row).for_each(|(out, value)| *out += weight * value);
        }
    }
}

fn blur_row(out: &mut [f32], row: &[f32], half: &[f32]) {
    let n = row.len();
    for (distance, weight) in half.iter().enumerate().take_while(|(distance, _)| *distance < n) {
        out[distance..].iter_mut().zip(row).for_each(|(out, value)| *out += weight * value);
        if distance > 0 {
            out.iter_mut().zip(&row[distance..]).for_each(|(out, value)| *out += weight * value);
        }
    }
}

/// Part of a mesh. Indices at and above the number of vertices are the first vertices of the next piece.
struct Piece {
    vertices: Vec<[f32; 3]>,
    beyond: Vec<u32>,
    triangles: Vec<[u32; 3]>,
}

/// Numbers of the vertices on the edges of a layer along x and along y.
struct LayerEdges {
    x: Vec<u32>,
    y: Vec<u32>,
}

impl Piece {
    fn new(grid: &Grid, beyond: &impl Fn([isize; 3]) -> u32) -> Self {
        let mut piece = Self { vertices: Vec::new(), beyond: Vec::new(), triangles: Vec::new() };
        let n = grid.ny * grid.nx;
        let [mut lower, mut upper] = [(); 2].map(|()| LayerEdges { x: vec![0; n], y: vec![0; n] });
        let mut across = vec![0u32; n];
        let last = grid.layers.len() - 1;
        piece.flat_edges(grid, 0, &mut lower, beyond);
        for layer in 0..last {
            piece.edges(grid, layer, [1, 0, 0], &mut across, beyond);
            let own = piece.vertices.len();
            piece.flat_edges(grid, layer + 1, &mut upper, beyond);
            piece.cells(grid, layer, [&lower, &upper], &across);
            if layer + 1 == last && !grid.is_last {
                // The next piece makes these again, as its first.
                piece.vertices.truncate(own);
                piece.beyond.truncate(own);
            }
            std::mem::swap(&mut lower, &mut upper);
        }
        piece
    }

    fn flat_edges(
        &mut self,
        grid: &Grid,
        layer: usize,
        edges: &mut LayerEdges,
        beyond: &impl Fn([isize; 3]) -> u32,
    ) {
        self.edges(grid, layer, [0, 0, 1], &mut edges.x, beyond);
        self.edges(grid, layer, [0, 1, 0], &mut edges.y, beyond);
    }

    /// Makes the vertices on the edges of a layer in one direction (a unit step as z, y, x).
    fn edges(
        &mut self,
        grid: &Grid,
        layer: usize,
        step: [usize; 3],
        ids: &mut [u32],
        beyond: &impl Fn([isize; 3]) -> u32,
    ) {
        let nx = grid.nx;
        for y in 0..grid.ny - step[1] {
            let near = &grid.layers[layer][y * nx..][..nx];
            let far = &grid.layers[layer + step[0]][(y + step[1]) * nx..][..nx];
            let far = &far[step[2]..];
            for (x, (a, b)) in near.iter().zip(far).enumerate() {
                if (*a > 0.5) == (*b > 0.5) {
                    continue;
                }
                ids[y * nx + x] = self.vertices.len() as u32;
                let t = (a - 0.5) / (a - b);
                let at = [layer, y, x];
                let voxel: [isize; 3] = std::array::from_fn(|k| grid.origin[k] + at[k] as isize);
                let point = |k: usize| voxel[k] as f32 + t * step[k] as f32;
                self.vertices.push([point(2), point(1), point(0)]);
                let ahead = isize::from(*a > 0.5);
                self.beyond.push(beyond(std::array::from_fn(|k| voxel[k] + ahead * step[k] as isize)));
            }
        }
    }

    /// Makes the triangles of the cells between two layers.
    fn cells(&mut self, grid: &Grid, layer: usize, flat: [&LayerEdges; 2], across: &[u32]) {
        let nx = grid.nx;
        let table = &*TABLE;
        for y in 0..grid.ny - 1 {
            let rows = [(0, y), (0, y + 1), (1, y), (1, y + 1)]
                .map(|(dz, y)| &grid.layers[layer + dz][y * nx..][..nx]);
            // Bit k of a column: row k is inside.
            let column = |x: usize| (0..4).fold(0u8, |bits, k| bits | u8::from(rows[k][x] > 0.5) << k);
            let mut left = column(0);
            for x in 0..nx - 1 {
                let right = column(x + 1);
                let case = spread(left) | spread(right) << 1;
                left = right;
                for corners in &table[usize::from(case)] {
                    self.triangles.push(corners.map(|edge| {
                        let (axis, base) = EDGES[usize::from(edge)];
                        let [dx, dy, dz] = [0, 1, 2].map(|bit| usize::from(base >> bit & 1));
                        let at = (y + dy) * nx + x + dx;
                        match axis {
                            0 => flat[dz].x[at],
                            1 => flat[dz].y[at],
                            _ => across[at],
                        }
                    }));
                }
            }
        }
    }
}

/// Bit k to bit 2k.
fn spread(bits: u8) -> u8 {
    bits & 1 | (bits & 2) << 1 | (bits & 4) << 2 | (bits & 8) << 3
}

/// Edges of a cell: axis and the corner where they begin. Corner bits: 1 = x, 2 = y, 4 = z.
const EDGES: [(u8, u8); 12] =
    [(0, 0), (0, 2), (0, 4), (0, 6), (1, 0), (1, 1), (1, 4), (1, 5), (2, 0), (2, 1), (2, 2), (2, 3)];

/// Triangles (as edges) of each of the 256 ways in which corners can be inside.
static TABLE: LazyLock<Vec<Vec<[u8; 3]>>> =
    LazyLock::new(|| (0..=255u8).map(|case| loops_of(case).iter().flat_map(|l| cut(l)).collect()).collect());

/// Corners of the face of a cell across `axis` at `side`, counter-clockwise seen from outside.
fn face(axis: u8, side: u8) -> [u8; 4] {
    let (u, v) = (1 << ((axis + 1) % 3), 1 << ((axis + 2) % 3));
    let corners = [0, u, u | v, v].map(|corner| corner | side << axis);
    if side == 1 { corners } else { [corners[3], corners[2], corners[1], corners[0]] }
}

fn edge_between(a: u8, b: u8) -> u8 {
    let (axis, base) = ((a ^ b).trailing_zeros() as u8, a.min(b));
    EDGES.iter().position(|edge| *edge == (axis, base)).map_or(0, |at| at as u8)
}

/// Whether two edges bound a common face.
fn share_face(a: u8, b: u8) -> bool {
    let on = |edge: u8, axis: u8, side: u8| {
        let (along, base) = EDGES[usize::from(edge)];
        along != axis && base >> axis & 1 == side
    };
    (0..3).any(|axis| (0..2).any(|side| on(a, axis, side) && on(b, axis, side)))
}

/// The closed curves in which the surface cuts the faces of a cell, as cycles of edges.
fn loops_of(case: u8) -> Vec<Vec<u8>> {
    let mut next = [None; 12];
    for (axis, side) in (0..3).flat_map(|axis| [(axis, 0), (axis, 1)]) {
        let corners = face(axis, side);
        let inside = |k: usize| case >> corners[k % 4] & 1 == 1;
        // Each stretch of inside corners round the face is cut off by one segment of its own.
        for start in (0..4).filter(|k| inside(*k) && !inside(k + 3)) {
            let end = (start..).find(|k| !inside(k + 1)).unwrap_or(start);
            let enter = edge_between(corners[(start + 3) % 4], corners[start]);
            let leave = edge_between(corners[end % 4], corners[(end + 1) % 4]);
            next[usize::from(enter)] = Some(leave);
        }
    }
    let mut loops = Vec::new();
    for first in 0..12 {
        let mut cycle = Vec::new();
        let mut at = first;
        while let Some(following) = next[usize::from(at)].take() {
            cycle.push(at);
            at = following;
        }
        if !cycle.is_empty() {
            loops.push(cycle);
        }
    }
    loops
}

/// Cuts a loop into triangles without a diagonal between two edges of one face.
fn cut(cycle: &[u8]) -> Vec<[u8; 3]> {
    fn part(cycle: &[u8], i: usize, j: usize) -> Option<Vec<[u8; 3]>> {
        if j < i + 2 {
            return Some(Vec::new());
        }
        let ok =
            |a: usize, b: usize| b - a == 1 || b - a == cycle.len() - 1 || !share_face(cycle[a], cycle[b]);
        (i + 1..j).filter(|k| ok(i, *k) && ok(*k, j)).find_map(|k| {
            let mut triangles = part(cycle, i, k)?;
            triangles.extend(part(cycle, k, j)?);
            triangles.push([cycle[i], cycle[k], cycle[j]]);
            Some(triangles)
        })
    }
    part(cycle, 0, cycle.len() - 1).unwrap_or_default()
}

/// Twice the area vector of a triangle whose vertices are scaled by `scale`.
fn cross(vertices: &[[f32; 3]], triangle: [u32; 3], scale: [f64; 3]) -> ([[f64; 3]; 3], [f64; 3]) {
    let p = triangle.map(|v| {
        let v = vertices.get(v as usize).copied().unwrap_or_default();
        [0, 1, 2].map(|a| f64::from(v[a]) * scale[a])
    });
    let [u, v] = [1, 2].map(|k| [0, 1, 2].map(|a| p[k][a] - p[0][a]));
    (p, [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
}

/// Area of a mesh whose vertices (x, y, z) are multiplied by `scale_xyz`; sums in f64.
pub fn mesh_area(vertices: &[[f32; 3]], triangles: &[[u32; 3]], scale_xyz: [f64; 3]) -> f64 {
    triangles.iter().map(|triangle| norm(cross(vertices, *triangle, scale_xyz).1) / 2.0).sum()
}

/// Volume inside a closed mesh whose vertices (x, y, z) are multiplied by `scale_xyz`; sums in f64.
pub fn mesh_volume(vertices: &[[f32; 3]], triangles: &[[u32; 3]], scale_xyz: [f64; 3]) -> f64 {
    // Cones from a vertex of the mesh: from a far origin large terms would cancel.
    let apex = vertices.first().copied().unwrap_or_default();
    let apex = [0, 1, 2].map(|a| f64::from(apex[a]) * scale_xyz[a]);
    let cone = |triangle: &[u32; 3]| {
        let (p, n) = cross(vertices, *triangle, scale_xyz);
        (0..3).map(|a| (p[0][a] - apex[a]) * n[a]).sum::<f64>() / 6.0
    };
    triangles.iter().map(cone).sum()
}

fn norm(v: [f64; 3]) -> f64 {
    v.iter().map(|c| c * c).sum::<f64>().sqrt()
}

impl Surface {
    /// Area with voxels of this size (z, y, x).
    pub fn area(&self, spacing_zyx: [f64; 3]) -> f64 {
        let [z, y, x] = spacing_zyx;
        mesh_area(&self.vertices, &self.triangles, [x, y, z])
    }

    /// Volume inside with voxels of this size (z, y, x).
    pub fn volume(&self, spacing_zyx: [f64; 3]) -> f64 {
        let [z, y, x] = spacing_zyx;
        mesh_volume(&self.vertices, &self.triangles, [x, y, z])
    }

    /// Area by what lies beyond it: each vertex takes a third of its triangles.
    pub fn area_by_beyond(&self, spacing_zyx: [f64; 3]) -> BTreeMap<u32, f64> {
        let [z, y, x] = spacing_zyx;
        let mut areas = BTreeMap::new();
        for triangle in &self.triangles {
            let third = norm(cross(&self.vertices, *triangle, [x, y, z]).1) / 6.0;
            for vertex in triangle {
                let tag = self.beyond.get(*vertex as usize).copied().unwrap_or(0);
                *areas.entry(tag).or_insert(0.0) += third;
            }
        }
        areas
    }
}

/// Says in one sentence why triangles are not a closed manifold, if they are not.
pub fn manifold_problem(n_vertices: usize, triangles: &[[u32; 3]]) -> Option<String> {
    if triangles.iter().flatten().any(|v| *v as usize >= n_vertices) {
        return Some(format!("a triangle uses a vertex beyond the last of {n_vertices}"));
    }
    // Per corner: vertex, the next vertex round the triangle, the one after.
    let mut corners: Vec<[u32; 3]> =
        triangles.iter().flat_map(|&[a, b, c]| [[a, b, c], [b, c, a], [c, a, b]]).collect();
    corners.sort_unstable();
    for pair in corners.windows(2) {
        if pair[0][..2] == pair[1][..2] {
            return Some(format!("edge {} to {} is used twice in one direction", pair[0][0], pair[0][1]));
        }
    }
    let mut at = 0;
    while at < corners.len() {
        let vertex = corners[at][0];
        let fan: Vec<_> = corners[at..].iter().take_while(|corner| corner[0] == vertex).collect();
        at += fan.len();
        // Walking from triangle to triangle round the vertex must meet all of them and come back.
        let (first, mut next) = (fan[0][1], fan[0][2]);
        let mut met = 1;
        while next != first && met <= fan.len() {
            let Ok(found) = fan.binary_search_by_key(&next, |corner| corner[1]) else {
                return Some(format!("the mesh is open at vertex {vertex}"));
            };
            next = fan[found][2];
            met += 1;
        }
        if met != fan.len() {
            return Some(format!("two sheets meet in vertex {vertex}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;
    use std::f64::consts::PI;

    fn of(mask: &Array3<bool>, sigma: f64) -> Surface {
        let (nz, ny, nx) = mask.dim();
        surface(&Progress::new(), [0; 3], [nz, ny, nx], |zyx| mask[zyx], |_| 0, sigma).unwrap()
    }

    fn ball(n: usize, r: f64, spacing: [f64; 3]) -> Array3<bool> {
        let c = [0, 1, 2].map(|a| (n - 1) as f64 / 2.0 * spacing[a] + 0.13 * r.fract());
        Array3::from_shape_fn((n, n, n), |(z, y, x)| {
            let p = [z, y, x];
            (0..3).map(|a| (p[a] as f64 * spacing[a] - c[a]).powi(2)).sum::<f64>() < r * r
        })
    }

    #[test]
    fn noise_gives_closed_manifolds_across_slabs() {
        for (seed, sigma) in [(1u64, 0.0), (2, 0.7), (3, 1.5)] {
            let mut state = seed;
            let mask = Array3::from_shape_simple_fn((37, 9, 11), || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                state >> 63 == 1
            });
            let surface = of(&mask, sigma);
            assert!(surface.triangles.len() > 1000);
            assert_eq!(manifold_problem(surface.vertices.len(), &surface.triangles), None);
            assert!(surface.triangles.iter().all(|t| norm(cross(&surface.vertices, *t, [1.0; 3]).1) > 0.0));
            assert!(surface.volume([1.0; 3]) > 0.0);
        }
    }

    #[test]
    fn every_case_is_cut_completely() {
        for case in 0..=255u8 {
            let wanted: usize = loops_of(case).iter().map(|cycle| cycle.len() - 2).sum();
            assert_eq!(TABLE[usize::from(case)].len(), wanted, "case {case}");
        }
    }

    #[test]
    fn spheres_have_area_within_2_percent_and_volume_within_1_percent() {
        // Not whole radii, so that the lattice does not favour them.
        for r in [10.3, 15.7, 24.4] {
            let surface = of(&ball(2 * r as usize + 8, r, [1.0; 3]), 0.8);
            let area = surface.area([1.0; 3]) / (4.0 * PI * r * r) - 1.0;
            let volume = surface.volume([1.0; 3]) / (4.0 / 3.0 * PI * r.powi(3)) - 1.0;
            assert!(area.abs() < 0.02, "r {r}: area {area:+.4}");
            assert!(volume.abs() < 0.01, "r {r}: volume {volume:+.4}");
        }
    }

    #[test]
    fn anisotropic_sphere_is_measured_in_its_unit() {
        let spacing = [0.04, 0.02, 0.02];
        let surface = of(&ball(64, 0.4, spacing), 0.8);
        assert!((surface.area(spacing) / (4.0 * PI * 0.16) - 1.0).abs() < 0.02);
        assert!((surface.volume(spacing) / (4.0 / 3.0 * PI * 0.064) - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_plate_that_touches_the_border_is_closed_and_has_its_area() {
        let mask = Array3::from_elem((4, 40, 40), true);
        let surface = of(&mask, 0.8);
        assert_eq!(manifold_problem(surface.vertices.len(), &surface.triangles), None);
        let box_area = 2.0 * 1600.0 + 4.0 * 160.0;
        // Smoothing rounds the 336 voxels of edges, which costs about half a voxel of width along each.
        let ratio = surface.area([1.0; 3]) / box_area;
        assert!((1.0 - 0.6 * 336.0 / box_area..=1.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn single_voxels_and_thin_walls_survive_smoothing() {
        let mut mask = Array3::from_elem((5, 5, 5), false);
        assert!(of(&mask, 1.0).triangles.is_empty());
        mask[[2, 2, 2]] = true;
        let single = of(&mask, 1.0);
        assert_eq!((single.vertices.len(), single.triangles.len()), (6, 8));
        assert_eq!(manifold_problem(6, &single.triangles), None);
        let wall = Array3::from_shape_fn((9, 30, 30), |(z, ..)| z == 4);
        let flat = of(&wall, 0.8);
        assert!(flat.area([1.0; 3]) > 2.0 * 28.0 * 28.0);
    }

    #[test]
    fn area_is_split_by_what_lies_beyond() {
        // A ball cut in half by the plane z = 20; below is class 1, above class 2, around it 0.
        let whole = ball(40, 15.0, [1.0; 3]);
        let class = |[z, y, x]: [isize; 3]| {
            let at = [z, y, x].map(|i| i as usize);
            match whole.get(at) {
                Some(true) if z < 20 => 1u32,
                Some(true) => 2,
                _ => 0,
            }
        };
        let inside = |zyx: [usize; 3]| class(zyx.map(|i| i as isize)) == 1;
        let half = surface(&Progress::new(), [0; 3], [40; 3], inside, class, 0.8).unwrap();
        let areas = half.area_by_beyond([1.0; 3]);
        let contact = areas[&2] / (PI * 225.0);
        assert!((contact - 1.0).abs() < 0.03, "{contact}");
        assert!((areas.values().sum::<f64>() - half.area([1.0; 3])).abs() < 1e-6);
    }

    #[test]
    fn broken_meshes_are_named() {
        let surface = of(&ball(12, 4.0, [1.0; 3]), 0.0);
        let n = surface.vertices.len();
        assert!(manifold_problem(n, &surface.triangles[1..]).unwrap().contains("open"));
        let mut turned = surface.triangles.clone();
        turned[0].swap(0, 1);
        assert!(manifold_problem(n, &turned).is_some());
        assert!(manifold_problem(3, &surface.triangles).unwrap().contains("beyond"));
    }
}
