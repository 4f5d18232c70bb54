//! Features of single voxels: smoothed value, gradient magnitude, largest and smallest eigenvalue of the Hessian at
//! every scale.
//!
//! Nothing is kept: slabs of a few slices are smoothed, and rows of voxels handed on. Memory per thread:
//! [`SLAB`] + 2 slices of floats for every scale.

use rayon::prelude::*;

use super::fine::{PaddedPlanes, derivatives};
use super::{Frame, eigenvalues};
use crate::base::{Cancelled, Progress};
use crate::kernels::smooth::HalfKernel;
use crate::volume::Volume;

/// Slices that are smoothed at a time.
const SLAB: usize = 4;
/// Features per scale.
pub(in crate::segment) const PER_SCALE: usize = 4;

/// Values and the scales, in voxels (of the mean edge), that they are looked at.
pub(in crate::segment) struct VoxelFeatures<'a> {
    values: &'a [f32],
    frame: Frame,
    scales: &'a [f32],
}

impl<'a> VoxelFeatures<'a> {
    /// `values` are those of the volume, all of them finite.
    pub(in crate::segment) fn new(volume: &Volume<f32>, values: &'a [f32], scales: &'a [f32]) -> Self {
        Self { values, frame: Frame::new(volume), scales }
    }

    /// How many features a voxel has.
    pub(in crate::segment) fn n_features(&self) -> usize {
        PER_SCALE * self.scales.len()
    }

    /// Fills a volume row by row: `fill` gets the features of a row of voxels, one voxel after the other, the
    /// row to fill (of zeros) and the index of its first voxel.
    pub(in crate::segment) fn map(
        &self,
        progress: &Progress,
        fill: impl Fn(&[f32], &mut [f32], usize) + Sync,
    ) -> Result<Vec<f32>, Cancelled> {
        let [nz, ny, nx] = self.frame.shape;
        let mut out = vec![0.0f32; nz * ny * nx];
        progress.phase("Looking for membranes", nz as u64);
        out.par_chunks_mut(SLAB * ny * nx).enumerate().try_for_each(|(slab, out)| {
            self.visit_slab(progress, slab, |row, features| {
                let at = row * nx - slab * SLAB * ny * nx;
                fill(features, &mut out[at..at + nx], row * nx);
            })
        })?;
        Ok(out)
    }

    /// Features of some voxels (ascending indices), row after row.
    pub(in crate::segment) fn of_voxels(
        &self,
        progress: &Progress,
        voxels: &[usize],
    ) -> Result<Vec<f32>, Cancelled> {
        let [_, ny, nx] = self.frame.shape;
        let n = self.n_features();
        let slab_of = |voxel: &usize| voxel / (SLAB * ny * nx);
        let slabs: Vec<&[usize]> = voxels.chunk_by(|a, b| slab_of(a) == slab_of(b)).collect();
        let parts: Vec<Vec<f32>> = slabs
            .par_iter()
            .map(|own| {
                let mut out = Vec::with_capacity(own.len() * n);
                self.visit_slab(progress, slab_of(&own[0]), |row, features| {
                    let first = own.partition_point(|voxel| *voxel < row * nx);
                    for voxel in own[first..].iter().take_while(|voxel| **voxel < (row + 1) * nx) {
                        out.extend_from_slice(&features[(voxel - row * nx) * n..][..n]);
                    }
                })?;
                Ok(out)
            })
            .collect::<Result<_, Cancelled>>()?;
        Ok(parts.concat())
    }

    /// Hands on the features of every row (numbered through the volume) of a slab.
    fn visit_slab(
        &self,
        progress: &Progress,
        slab: usize,
        mut visit: impl FnMut(usize, &[f32]),
    ) -> Result<(), Cancelled> {
        let [nz, ny, nx] = self.frame.shape;
        let range = slab * SLAB..((slab + 1) * SLAB).min(nz);
        let mut planes = Vec::with_capacity(self.scales.len());
        for sigma in self.scales {
            let kernels = self.frame.edge.map(|e| HalfKernel::gaussian(sigma / e));
            let smooth =
                PaddedPlanes::smooth(progress, self.values, self.frame.shape, &kernels, range.clone())?;
            planes.push((smooth, self.frame.edge.map(|e| sigma / e)));
        }
        let n = self.n_features();
        let mut features = vec![0.0f32; nx * n];
        for z in range {
            progress.check()?;
            for y in 0..ny {
                for (scale, (planes, step)) in planes.iter().enumerate() {
                    let rows = planes.around(z, y);
                    pulp::Arch::new().dispatch(|| {
                        row_features(&rows, *step, n, &mut features[scale * PER_SCALE..]);
                    });
                }
                visit(z * ny + y, &features);
            }
            progress.advance(1);
        }
        Ok(())
    }
}

/// Writes four features of every voxel of a row, `stride` apart. Rows have one voxel more at either end.
#[inline(always)]
fn row_features(rows: &[&[f32]; 9], step: [f32; 3], stride: usize, out: &mut [f32]) {
    const LANES: usize = 8;
    let nx = rows[4].len() - 2;
    for x in (0..nx).step_by(LANES) {
        let n = LANES.min(nx - x);
        let mut ends = [[0.0f32; LANES + 2]; 9];
        for (end, row) in ends.iter_mut().zip(rows) {
            end[..n + 2].copy_from_slice(&row[x..x + n + 2]);
        }
        let mut lanes = [[0.0f32; LANES]; 17];
        derivatives(&ends, step, &mut lanes);
        for i in 0..n {
            let [first, _, last] = eigenvalues(std::array::from_fn(|k| lanes[5 + k][i]));
            let own = [lanes[1][i], lanes[3][i], first, last];
            out[(x + i) * stride..][..PER_SCALE].copy_from_slice(&own);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::base::Unit;

    #[test]
    fn a_dark_sheet_has_one_large_eigenvalue_and_rows_agree_with_single_voxels() {
        let data = Array3::from_shape_fn((9, 11, 21), |(_, _, x)| if x == 10 { 0.0f32 } else { 1.0 });
        let volume = Volume::new(data, None, Unit::Arbitrary);
        let scales = [1.0, 2.0];
        let features = VoxelFeatures::new(&volume, volume.values(), &scales);
        let n = features.n_features();
        let first = features
            .map(&Progress::new(), |row, out, _| {
                out.iter_mut().zip(row.chunks_exact(n)).for_each(|(out, row)| *out = row[2]);
            })
            .unwrap();
        let at = |x: usize| (4 * 11 + 5) * 21 + x;
        // The second derivative of a Gaussian of one voxel, sampled by differences: 2 (0.399 - 0.242).
        assert!((first[at(10)] - 0.314).abs() < 0.01, "{}", first[at(10)]);
        assert!(first[at(3)].abs() < 1e-4);
        let some = features.of_voxels(&Progress::new(), &[at(3), at(10), at(10) + 11 * 21 * 3]).unwrap();
        assert_eq!(some.len(), 3 * n);
        assert_eq!([some[2], some[n + 2], some[2 * n + 2]], [first[at(3)], first[at(10)], first[at(10)]]);
        let progress = Progress::new();
        progress.cancel();
        assert_eq!(features.of_voxels(&progress, &[0]), Err(Cancelled));
    }
}
