//! What the user painted, as voxels and as strokes.

use ndarray::ArrayView3;
use rayon::prelude::*;

use crate::volume::Labels;
use crate::volume::labels::Brick;

/// What the user painted: voxel indices (x fastest) in increasing order, with a class from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scribbles {
    pub(super) shape: [usize; 3],
    voxels: Vec<(usize, u16)>,
}

impl Scribbles {
    /// From a map of the volume's shape: 0 is unpainted, k is class k.
    pub fn from_map(map: ArrayView3<'_, u16>) -> Self {
        let (z, y, x) = map.dim();
        let voxels = map.iter().enumerate().filter(|(_, c)| **c > 0).map(|(i, c)| (i, *c)).collect();
        Self { shape: [z, y, x], voxels }
    }

    /// From label bricks: 0 is unpainted, k is class k. Empty bricks cost nothing.
    pub fn from_labels(labels: &Labels) -> Self {
        let shape = labels.shape();
        let painted = |index: usize| {
            let mut voxels = Vec::new();
            if *labels.brick(index) != Brick::Uniform(0) {
                labels.for_each_in_brick(index, |[z, y, x], class| {
                    if class > 0 {
                        voxels.push(((z * shape[1] + y) * shape[2] + x, class));
                    }
                });
            }
            voxels
        };
        let mut voxels: Vec<_> = (0..labels.n_bricks()).into_par_iter().flat_map_iter(painted).collect();
        voxels.par_sort_unstable();
        Self { shape, voxels }
    }

    /// From painted voxels (z, y, x) with their class; the last one counts where a voxel occurs twice, and
    /// class 0 or a voxel outside the shape is left out.
    pub fn from_voxels(shape: [usize; 3], painted: impl IntoIterator<Item = ([usize; 3], u16)>) -> Self {
        let map: std::collections::BTreeMap<usize, u16> = painted
            .into_iter()
            .filter(|(zyx, class)| *class > 0 && (0..3).all(|a| zyx[a] < shape[a]))
            .map(|([z, y, x], class)| ((z * shape[1] + y) * shape[2] + x, class))
            .collect();
        Self { shape, voxels: map.into_iter().collect() }
    }

    /// Painted voxels as (index, class), in order.
    pub fn voxels(&self) -> &[(usize, u16)] {
        &self.voxels
    }

    /// Number of the stroke of every painted voxel: pieces of one class that touch, by a corner too.
    pub(super) fn strokes(&self) -> Vec<u32> {
        let [_, ny, nx] = self.shape;
        let mut stroke: Vec<u32> = (0..self.voxels.len() as u32).collect();
        fn root(stroke: &mut [u32], mut i: usize) -> usize {
            while stroke[i] as usize != i {
                stroke[i] = stroke[stroke[i] as usize];
                i = stroke[i] as usize;
            }
            i
        }
        for i in 0..self.voxels.len() {
            let (index, class) = self.voxels[i];
            let (z, y, x) = (index / (ny * nx), index / nx % ny, index % nx);
            // Half of the 26 neighbours: those that come earlier.
            for k in 0..13 {
                let (dz, dy, dx) = (k / 9, k / 3 % 3, k % 3);
                let Some(z) = (z + dz).checked_sub(1) else { continue };
                let (Some(y), Some(x)) = ((y + dy).checked_sub(1), (x + dx).checked_sub(1)) else { continue };
                if y >= ny || x >= nx {
                    continue;
                }
                if let Ok(j) = self.voxels.binary_search_by_key(&((z * ny + y) * nx + x), |v| v.0)
                    && self.voxels[j].1 == class
                {
                    let (a, b) = (root(&mut stroke, i), root(&mut stroke, j));
                    stroke[a.max(b)] = a.min(b) as u32;
                }
            }
        }
        (0..stroke.len()).map(|i| root(&mut stroke, i) as u32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bricks_give_what_their_voxels_give() {
        let mut labels = Labels::new([40, 33, 70]);
        for (zyx, class) in [([39, 32, 69], 2), ([0, 0, 0], 5), ([0, 31, 40], 1), ([31, 2, 32], 2)] {
            labels.set(zyx, class);
        }
        labels.update_box([0; 3], [32; 3], |_, id| if id == 0 { 3 } else { id });
        assert_eq!(Scribbles::from_labels(&labels), Scribbles::from_map(labels.to_dense().view()));
        assert!(Scribbles::from_labels(&Labels::new([5; 3])).voxels().is_empty());
    }

    #[test]
    fn strokes_are_pieces_that_touch_and_the_last_paint_counts() {
        let painted = [
            ([0, 0, 0], 1),
            ([0, 1, 1], 1),
            ([1, 2, 2], 1),
            ([1, 2, 3], 2),
            ([3, 3, 3], 1),
            ([1, 2, 3], 3),
            ([9, 9, 9], 1),
        ];
        let scribbles = Scribbles::from_voxels([4; 3], painted);
        assert_eq!(scribbles.voxels(), &[(0, 1), (5, 1), (26, 1), (27, 3), (63, 1)]);
        assert_eq!(scribbles.strokes(), vec![0, 0, 0, 3, 4]);
    }
}
