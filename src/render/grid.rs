//! Range of values by brick, and from it how far a ray may leap over emptiness.

use rayon::prelude::*;

/// Edge of a brick in texels.
pub(crate) const EDGE: usize = 8;

/// Smallest and largest value that a sample in each brick can have, neighbours that a linear
/// interpolation reaches included. Bricks are ordered z, y, x.
#[derive(Debug, Clone)]
pub(crate) struct MinMaxGrid {
    texels: [usize; 3],
    dims: [usize; 3],
    range: Vec<[f32; 2]>,
}

const NOTHING: [f32; 2] = [f32::INFINITY, f32::NEG_INFINITY];

fn widen(range: &mut [f32; 2], other: [f32; 2]) {
    range[0] = range[0].min(other[0]);
    range[1] = range[1].max(other[1]);
}

/// The bricks along one axis whose samples can touch texel `i`.
fn touched(i: usize, n_bricks: usize) -> std::ops::RangeInclusive<usize> {
    let brick = i / EDGE;
    let first = if i.is_multiple_of(EDGE) { brick.saturating_sub(1) } else { brick };
    let last = if i % EDGE == EDGE - 1 { (brick + 1).min(n_bricks - 1) } else { brick };
    first..=last
}

impl MinMaxGrid {
    /// A grid for `texels` (z, y, x), nothing added yet.
    pub(crate) fn new(texels: [usize; 3]) -> Self {
        let dims = texels.map(|n| n.div_ceil(EDGE).max(1));
        Self { texels, dims, range: vec![NOTHING; dims.iter().product()] }
    }

    /// Bricks along z, y, x.
    pub(crate) fn dims(&self) -> [usize; 3] {
        self.dims
    }

    /// Takes in `n` planes from `z0`; `row(z - z0, y, scratch, take)` hands each row of texels to `take`.
    pub(crate) fn add_planes(
        &mut self,
        z0: usize,
        n: usize,
        row: impl Fn(usize, usize, &mut Vec<f32>, &mut dyn FnMut(&[f32])) + Sync,
    ) {
        let [nbz, nby, nbx] = self.dims;
        let planes: Vec<Vec<[f32; 2]>> = (0..n)
            .into_par_iter()
            .map(|z| {
                let mut plane = vec![NOTHING; nby * nbx];
                let mut line = vec![NOTHING; nbx];
                let mut scratch = Vec::new();
                for y in 0..self.texels[1] {
                    row(z, y, &mut scratch, &mut |values| ranges_of_row(values, &mut line));
                    for by in touched(y, nby) {
                        for (into, from) in plane[by * nbx..(by + 1) * nbx].iter_mut().zip(&line) {
                            widen(into, *from);
                        }
                    }
                }
                plane
            })
            .collect();
        for (z, plane) in planes.into_iter().enumerate() {
            for bz in touched(z0 + z, nbz) {
                for (into, from) in self.range[bz * nby * nbx..].iter_mut().zip(&plane) {
                    widen(into, *from);
                }
            }
        }
    }

    /// How far a ray may leap, by brick: see [`leaps`].
    pub(crate) fn leaps(&self, is_visible: impl Fn(f32, f32) -> bool) -> Vec<u8> {
        leaps(self.dims, |i| {
            let [low, high] = self.range[i];
            low <= high && is_visible(low, high)
        })
    }
}

fn ranges_of_row(values: &[f32], line: &mut [[f32; 2]]) {
    line.fill(NOTHING);
    for (b, into) in line.iter_mut().enumerate() {
        let (first, end) = ((b * EDGE).saturating_sub(1), ((b + 1) * EDGE + 1).min(values.len()));
        for value in values.get(first..end).unwrap_or(&[]) {
            // What is not finite is drawn as 0.
            let value = if value.is_finite() { *value } else { 0.0 };
            widen(into, [value, value]);
        }
    }
}

/// How far a ray may go on as it is, by brick: d where all that is nearer than d bricks is empty, [`OCCUPIED`] + d where
/// all of it is occupied; d is at least 1. Order z, y, x.
pub(crate) fn leaps(dims: [usize; 3], is_occupied: impl Fn(usize) -> bool) -> Vec<u8> {
    let occupied: Vec<bool> = (0..dims.iter().product()).map(is_occupied).collect();
    let to_occupied = distances(dims, |i| occupied[i]);
    let to_empty = distances(dims, |i| !occupied[i]);
    let code = |(i, is_occupied): (usize, &bool)| {
        if *is_occupied { OCCUPIED + to_empty[i].min(OCCUPIED - 1) } else { to_occupied[i].min(OCCUPIED - 1) }
    };
    occupied.iter().enumerate().map(code).collect()
}

/// Codes of bricks that are occupied are above this.
pub(crate) const OCCUPIED: u8 = 128;

/// Chebyshev distance in bricks to the nearest brick that is meant: 0 there, at most 255.
///
/// Two sweeps over the 26 neighbours, those before a brick and those after it, give it exactly (Rosenfeld and Pfaltz
/// 1968, doi:10.1016/0031-3203(68)90013-7). Order z, y, x.
fn distances(dims: [usize; 3], is_meant: impl Fn(usize) -> bool) -> Vec<u8> {
    let [nz, ny, nx] = dims;
    // A brick of nothing around spares the question where the grid ends.
    let (wide, tall) = (nx + 2, ny + 2);
    let place = |z: usize, y: usize| ((z + 1) * tall + y + 1) * wide + 1;
    let mut distance = vec![u8::MAX; (nz + 2) * tall * wide];
    let rows: Vec<(usize, usize)> = (0..nz).flat_map(|z| (0..ny).map(move |y| (z, y))).collect();
    for (row, (z, y)) in rows.iter().enumerate() {
        for (x, d) in distance[place(*z, *y)..][..nx].iter_mut().enumerate() {
            *d = if is_meant(row * nx + x) { 0 } else { u8::MAX };
        }
    }
    // How far before a brick its thirteen predecessors are.
    let plane = tall * wide;
    let mut before = vec![1, wide - 1, wide, wide + 1];
    before.extend([plane - wide, plane, plane + wide].into_iter().flat_map(|at| [at - 1, at, at + 1]));
    for (z, y) in &rows {
        for at in place(*z, *y)..place(*z, *y) + nx {
            let nearest = before.iter().fold(u8::MAX, |d, by| d.min(distance[at - by]));
            distance[at] = distance[at].min(nearest.saturating_add(1));
        }
    }
    for (z, y) in rows.iter().rev() {
        for at in (place(*z, *y)..place(*z, *y) + nx).rev() {
            let nearest = before.iter().fold(u8::MAX, |d, by| d.min(distance[at + by]));
            distance[at] = distance[at].min(nearest.saturating_add(1));
        }
    }
    rows.iter().flat_map(|(z, y)| distance[place(*z, *y)..][..nx].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn a_bright_texel_counts_in_every_brick_that_can_interpolate_it() {
        let mut data = Array3::<f32>::zeros((20, 20, 20));
        data[[8, 7, 3]] = 5.0;
        let mut grid = MinMaxGrid::new([20, 20, 20]);
        grid.add_planes(0, 20, |z, y, _, take| {
            take(data.slice(ndarray::s![z, y, ..]).as_slice().unwrap());
        });
        let leaps = grid.leaps(|_, high| high > 1.0);
        let at = |z: usize, y: usize, x: usize| leaps[(z * 3 + y) * 3 + x];
        // z = 8 is the first of brick 1 and a neighbour of brick 0; y = 7 the last of brick 0.
        for (z, y) in [(1, 0), (0, 0), (1, 1), (0, 1)] {
            assert!(at(z, y, 0) > OCCUPIED, "{z} {y}");
        }
        assert_eq!(at(2, 0, 0), 1);
        assert_eq!(at(2, 2, 2), 2);
    }

    #[test]
    fn leaps_are_those_of_the_definition() {
        let dims = [5, 7, 9];
        for share in [83, 2] {
            let occupied: Vec<bool> = (0..5 * 7 * 9).map(|i| (i * 7919 + 13) % 83 % share == 0).collect();
            let at = |i: usize| [i / 63, i / 9 % 7, i % 9];
            for (i, code) in leaps(dims, |i| occupied[i]).into_iter().enumerate() {
                let to = |j: usize| (0..3).map(|a| at(i)[a].abs_diff(at(j)[a])).max().unwrap();
                let others = (0..occupied.len()).filter(|j| occupied[*j] != occupied[i]);
                let nearest = others.map(to).min().unwrap() as u8;
                assert_eq!(code, nearest + if occupied[i] { OCCUPIED } else { 0 }, "{:?}", at(i));
            }
        }
    }

    #[test]
    fn nothing_anywhere_is_one_leap() {
        assert!(leaps([3, 2, 4], |_| false).iter().all(|d| *d == OCCUPIED - 1));
    }
}
