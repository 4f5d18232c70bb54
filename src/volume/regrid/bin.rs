//! Binning: blocks of voxels become one, by their mean or by the id that most of them have.
//!
//! A block's mean is that of the values in it that are numbers, summed in f64; it is NaN only where none is. Of ids that
//! are equally frequent the smallest is taken. The new voxel lies in the middle of its block: at `(factor − 1) / 2` of the
//! old voxels. What is left over at the far faces is cut.

use std::collections::BTreeMap;

use ndarray::{Array3, ArrayView3, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Placement, RegridError};
use crate::base::{Cancelled, Progress};
use crate::volume::LabelId;

/// Most voxels along an edge of a block.
pub const MOST: usize = 64;

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BinParams {
    /// Edge of a block in voxels, 1 to 64.
    pub factor: u32,
    /// Edges as `z,y,x` where they differ.
    pub factors_zyx: String,
}

impl Default for BinParams {
    fn default() -> Self {
        Self { factor: 2, factors_zyx: String::new() }
    }
}

impl BinParams {
    /// The blocks on a grid.
    ///
    /// # Errors
    /// One sentence with the numbers where the factors cannot be read or are longer than the grid.
    pub fn bins(&self, shape: [usize; 3]) -> Result<Bins, RegridError> {
        let factors = match self.factors_zyx.trim() {
            "" => [self.factor as usize; 3],
            text => three(text)?,
        };
        let [z, y, x] = factors;
        if factors.iter().any(|n| !(1..=MOST).contains(n)) || factors == [1; 3] {
            let problem =
                format!("the factors are {z},{y},{x} (z, y, x), they must be 1 to {MOST} and not all 1");
            return Err(RegridError::Wrong(problem));
        }
        if (0..3).any(|axis| factors[axis] > shape[axis]) {
            let [nz, ny, nx] = shape;
            return Err(RegridError::Wrong(format!(
                "the factors are {z},{y},{x}, more than the {nz} × {ny} × {nx} voxels (z, y, x) that there are"
            )));
        }
        Ok(Bins { factors })
    }
}

fn three(text: &str) -> Result<[usize; 3], RegridError> {
    let wrong =
        || RegridError::Wrong(format!("the factors are {text:?}, they must be three numbers as z,y,x"));
    let numbers = text.split(',').map(|n| n.trim().parse().map_err(|_e| wrong()));
    let numbers = numbers.collect::<Result<Vec<usize>, _>>()?;
    numbers.try_into().map_err(|_n| wrong())
}

/// Blocks of voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bins {
    /// Edges of a block in voxels as z, y, x.
    pub factors: [usize; 3],
}

impl Bins {
    /// How many blocks there are.
    pub fn shape(self, of: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| of[axis] / self.factors[axis])
    }

    /// Voxels that are left over along each axis.
    pub fn rest(self, of: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| of[axis] % self.factors[axis])
    }

    /// Where the middles of the blocks lie. Where only ratios are known, lengths are in the new shortest edge.
    pub fn placed(self, of: Placement) -> Placement {
        let factors = self.factors.map(|n| n as f64);
        let moved = of.from_voxel(factors.map(|n| (n - 1.0) / 2.0));
        let edges = of.voxel_or_one();
        let edges: [f64; 3] = std::array::from_fn(|axis| edges[axis] * factors[axis]);
        if of.voxel_um.is_some() {
            return Placement { voxel_um: Some(edges), ratios: None, ..moved };
        }
        let shortest = edges.into_iter().fold(f64::INFINITY, f64::min);
        let ratios = edges.map(|edge| edge / shortest);
        let ratios = (of.ratios.is_some() || ratios != [1.0; 3]).then_some(ratios);
        Placement { voxel_um: None, ratios, origin_um: moved.origin_um.map(|at| at / shortest) }
    }

    /// Runs over the rows of blocks: `row` gets the voxels of a row of blocks and the row of the result.
    fn rows<T: Send + Sync, R: Copy + Default + Send + Sync>(
        self,
        progress: &Progress,
        array: &ArrayView3<'_, T>,
        row: impl Fn(&ArrayView3<'_, T>, &mut [R]) + Sync,
    ) -> Result<Array3<R>, Cancelled> {
        let [fz, fy, _] = self.factors;
        let (nz, ny, nx) = array.dim();
        let shape = self.shape([nz, ny, nx]);
        progress.phase("Binning", shape[0] as u64);
        progress.check()?;
        let mut out = Array3::default(shape);
        out.outer_iter_mut().into_par_iter().enumerate().try_for_each(|(z, mut plane)| {
            progress.check()?;
            for (y, mut values) in plane.outer_iter_mut().enumerate() {
                let block = array.slice(s![z * fz..(z + 1) * fz, y * fy..(y + 1) * fy, ..]);
                row(&block, values.as_slice_mut().unwrap_or(&mut []));
            }
            progress.advance(1);
            Ok(())
        })?;
        Ok(out)
    }

    /// The means of the blocks.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn means(self, progress: &Progress, array: &ArrayView3<'_, f32>) -> Result<Array3<f32>, Cancelled> {
        let n = self.factors[2];
        self.rows(progress, array, |block, out| {
            let mut sums = vec![(0.0f64, 0u32); out.len()];
            for line in block.rows() {
                for (x, value) in line.iter().take(out.len() * n).enumerate().filter(|(_, v)| v.is_finite()) {
                    sums[x / n].0 += f64::from(*value);
                    sums[x / n].1 += 1;
                }
            }
            for (out, (sum, n)) in out.iter_mut().zip(sums) {
                *out = (sum / f64::from(n)) as f32;
            }
        })
    }

    /// The id that most voxels of each block have.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn ids<T: LabelId>(
        self,
        progress: &Progress,
        array: &ArrayView3<'_, T>,
    ) -> Result<Array3<T>, Cancelled> {
        let n = self.factors[2];
        self.rows(progress, array, |block, out| {
            for (x, out) in out.iter_mut().enumerate() {
                *out = most_frequent(&block.slice(s![.., .., x * n..(x + 1) * n]));
            }
        })
    }
}

/// The most frequent id, of equals the smallest.
fn most_frequent<T: LabelId>(block: &ArrayView3<'_, T>) -> T {
    let first = block.iter().next().copied().unwrap_or_default();
    if block.iter().all(|id| *id == first) {
        return first;
    }
    let mut counts: BTreeMap<T, u32> = BTreeMap::new();
    for id in block {
        *counts.entry(*id).or_default() += 1;
    }
    let most = counts.into_iter().rev().max_by_key(|(_, n)| *n);
    most.map_or(first, |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bins(factors: [usize; 3]) -> Bins {
        Bins { factors }
    }

    #[test]
    fn means_leave_out_what_is_no_number_and_the_rest_is_cut() {
        let mut array = Array3::from_shape_fn((3, 4, 5), |(z, y, x)| (z * 100 + y * 10 + x) as f32);
        array[[0, 0, 0]] = f32::NAN;
        array.slice_mut(s![.., 2.., 2..4]).fill(f32::NAN);
        let found = bins([2, 2, 2]).means(&Progress::new(), &array.view()).unwrap();
        assert_eq!(found.dim(), (1, 2, 2));
        // 1, 10, 11, 100, 101, 110, 111 without the NaN at 0.
        assert!((found[[0, 0, 0]] - 444.0 / 7.0).abs() < 1e-5);
        assert!(found[[0, 1, 1]].is_nan() && found[[0, 1, 0]] == 75.5);
        assert_eq!(bins([2, 2, 2]).rest([3, 4, 5]), [1, 0, 1]);
    }

    #[test]
    fn unequal_edges_without_a_size_become_ratios_and_places_stay() {
        let of = Placement { voxel_um: None, ratios: Some([2.0, 1.0, 1.0]), origin_um: [4.0, 0.0, 8.0] };
        let found = bins([1, 2, 4]).placed(of);
        assert_eq!(found.ratios, Some([1.0, 1.0, 2.0]));
        // In units of two of the old edges.
        assert_eq!(found.origin_um, [2.0, 0.25, 4.75]);
        let plain = Placement { voxel_um: None, ratios: None, origin_um: [0.0; 3] };
        assert_eq!(bins([2, 2, 2]).placed(plain).ratios, None);
    }

    #[test]
    fn factors_that_cannot_be_are_refused_with_the_numbers() {
        let said = |factor, factors_zyx: &str| {
            let params = BinParams { factor, factors_zyx: factors_zyx.to_owned() };
            params.bins([8, 9, 10]).unwrap_err().to_string()
        };
        assert!(said(1, "").contains("1,1,1") && said(9, "").contains("8 × 9 × 10"));
        assert!(said(2, "2,0,1").contains("2,0,1") && said(2, "2,2").contains("z,y,x"));
        let params = BinParams { factor: 7, factors_zyx: "1, 2,4".to_owned() };
        assert_eq!(params.bins([8, 9, 10]), Ok(bins([1, 2, 4])));
    }

    proptest! {
        #[test]
        fn ids_are_the_most_frequent_and_none_is_invented(
            ids in prop::collection::vec(0u16..5, 6 * 5 * 7),
            factors in [1usize..4, 1usize..4, 1usize..4],
        ) {
            let array = Array3::from_shape_vec((6, 5, 7), ids).unwrap();
            let found = bins(factors).ids(&Progress::new(), &array.view()).unwrap();
            for ((z, y, x), id) in found.indexed_iter() {
                let at = [z * factors[0], y * factors[1], x * factors[2]];
                let block = array.slice(s![
                    at[0]..at[0] + factors[0], at[1]..at[1] + factors[1], at[2]..at[2] + factors[2]
                ]);
                let count = |id: u16| block.iter().filter(|other| **other == id).count();
                for other in 0..5 {
                    prop_assert!(count(*id) > count(other) || count(*id) == count(other) && *id <= other);
                }
            }
        }
    }
}
