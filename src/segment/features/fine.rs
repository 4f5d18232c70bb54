//! Features of fine scales: voxels of smoothed slices, summed over regions on the fly.

use std::ops::Range;

use rayon::prelude::*;

use super::{Frame, eigenvalues};
use crate::base::{Cancelled, Progress};
use crate::kernels::smooth::{self, HalfKernel, SliceScratch};
use crate::segment::Regions;

pub(super) const FINE_NAMES: [&str; 11] = [
    "smoothed",
    "sd of smoothed",
    "gradient magnitude",
    "Laplacian",
    "sd of Laplacian",
    "Hessian eigenvalue 1",
    "Hessian eigenvalue 2",
    "Hessian eigenvalue 3",
    "structure tensor eigenvalue 1",
    "structure tensor eigenvalue 2",
    "structure tensor eigenvalue 3",
];

/// Sums over a region: count, g, g², |∇g|, (∇²g)², Hessian zz zy zx yy yx xx, structure tensor likewise.
type FineSum = [f32; 17];

pub(super) fn fine_scale(
    progress: &Progress,
    values: &[f32],
    regions: &Regions,
    frame: &Frame,
    sigma: f32,
) -> Result<Vec<[f32; 11]>, Cancelled> {
    let kernels = frame.edge.map(|e| HalfKernel::gaussian(sigma / e));
    let step = frame.edge.map(|e| sigma / e);
    let sums = regions.accumulate(
        progress,
        |z, first, entries: &mut [FineSum]| {
            let planes = PaddedPlanes::smooth(progress, values, frame.shape, &kernels, z.clone())?;
            for z in z {
                progress.check()?;
                let ids = &regions.values()[z * frame.shape[1] * frame.shape[2]..];
                pulp::Arch::new().dispatch(|| add_slice(&planes, z, ids, first, step, entries));
            }
            Ok(())
        },
        |total, part| {
            for (t, p) in total.iter_mut().zip(part) {
                *t += p;
            }
        },
    )?;
    Ok(sums
        .par_iter()
        .map(|s| {
            let n = 1.0 / s[0].max(1.0);
            let mean = s[1] * n;
            let h: [f32; 6] = std::array::from_fn(|i| s[5 + i] * n);
            let laplacian = h[0] + h[3] + h[5];
            let hessian = eigenvalues(h);
            let tensor = eigenvalues(std::array::from_fn(|i| s[11 + i] * n));
            let sd = |squares: f32, mean: f32| (squares * n - mean * mean).max(0.0).sqrt();
            [
                mean,
                sd(s[2], mean),
                s[3] * n,
                laplacian,
                sd(s[4], laplacian),
                hessian[0],
                hessian[1],
                hessian[2],
                tensor[0].max(0.0).sqrt(),
                tensor[1].max(0.0).sqrt(),
                tensor[2].max(0.0).sqrt(),
            ]
        })
        .collect())
}

/// Smoothed slices of a slab and one more on either side; each has a frame of one voxel around, its faces repeated.
pub(super) struct PaddedPlanes {
    first: isize,
    row_len: usize,
    plane_len: usize,
    values: Vec<f32>,
}

impl PaddedPlanes {
    pub(super) fn smooth(
        progress: &Progress,
        values: &[f32],
        shape: [usize; 3],
        kernels: &[HalfKernel; 3],
        z: Range<usize>,
    ) -> Result<Self, Cancelled> {
        let [nz, ny, nx] = shape;
        let (row_len, plane_len) = (nx + 2, (nx + 2) * (ny + 2));
        let first = z.start as isize - 1;
        let mut padded = vec![0.0; plane_len * (z.len() + 2)];
        let mut scratch = SliceScratch::default();
        let mut slice = vec![0.0; ny * nx];
        for (i, plane) in padded.chunks_exact_mut(plane_len).enumerate() {
            progress.check()?;
            let at = (first + i as isize).clamp(0, nz as isize - 1) as usize;
            smooth::smooth_slice(values, shape, kernels, at, &mut scratch, &mut slice);
            for (y, row) in plane.chunks_exact_mut(row_len).enumerate() {
                let from = y.saturating_sub(1).min(ny - 1) * nx;
                row[1..=nx].copy_from_slice(&slice[from..from + nx]);
                row[0] = row[1];
                row[nx + 1] = row[nx];
            }
        }
        Ok(Self { first, row_len, plane_len, values: padded })
    }

    /// The rows around row `y` of slice `z`, along y first, with their frame.
    #[inline(always)]
    pub(super) fn around(&self, z: usize, y: usize) -> [&[f32]; 9] {
        let (z, y) = (z as isize, y as isize);
        std::array::from_fn(|i| self.row(z - 1 + i as isize / 3, y - 1 + i as isize % 3))
    }

    /// The row `y` (from -1) of slice `z` with its frame.
    #[inline(always)]
    fn row(&self, z: isize, y: isize) -> &[f32] {
        let at = (z - self.first) as usize * self.plane_len + (y + 1) as usize * self.row_len;
        &self.values[at..at + self.row_len]
    }
}

/// Adds one slice's voxels to their regions. `step` is σ in voxels per axis: it normalises derivatives.
#[inline(always)]
fn add_slice(
    planes: &PaddedPlanes,
    z: usize,
    ids: &[u32],
    first: u32,
    step: [f32; 3],
    entries: &mut [FineSum],
) {
    const LANES: usize = 8;
    let nx = planes.row_len - 2;
    let ny = planes.plane_len / planes.row_len - 2;
    for y in 0..ny {
        let ids = &ids[y * nx..][..nx];
        let rows = planes.around(z, y);
        let mut x = 0;
        while x < nx {
            let n = LANES.min(nx - x);
            let mut lanes = [[0.0f32; LANES]; 17];
            if n == LANES {
                derivatives(&rows.map(|r| window::<LANES>(r, x)), step, &mut lanes);
            } else {
                let mut end = [[0.0f32; LANES + 2]; 9];
                for (end, row) in end.iter_mut().zip(rows) {
                    end[..n + 2].copy_from_slice(&row[x..x + n + 2]);
                }
                derivatives(&end, step, &mut lanes);
            }
            for i in 0..n {
                if ids[x + i] > 0 {
                    let entry = &mut entries[(ids[x + i] - first) as usize];
                    for (sum, lane) in entry.iter_mut().zip(&lanes) {
                        *sum += lane[i];
                    }
                }
            }
            x += n;
        }
    }
}

#[inline(always)]
fn window<const LANES: usize>(row: &[f32], x: usize) -> [f32; 10] {
    let mut out = [0.0; 10];
    out.copy_from_slice(&row[x..x + LANES + 2]);
    out
}

/// The terms of [`FineSum`] for eight voxels from their 3 × 3 rows.
#[inline(always)]
pub(super) fn derivatives(rows: &[[f32; 10]; 9], step: [f32; 3], out: &mut [[f32; 8]; 17]) {
    let [sz, sy, sx] = step;
    for i in 0..8 {
        let at = |row: usize, dx: usize| rows[row][i + dx];
        let centre = at(4, 1);
        let gz = 0.5 * sz * (at(7, 1) - at(1, 1));
        let gy = 0.5 * sy * (at(5, 1) - at(3, 1));
        let gx = 0.5 * sx * (at(4, 2) - at(4, 0));
        let hzz = sz * sz * (at(7, 1) + at(1, 1) - 2.0 * centre);
        let hyy = sy * sy * (at(5, 1) + at(3, 1) - 2.0 * centre);
        let hxx = sx * sx * (at(4, 2) + at(4, 0) - 2.0 * centre);
        let hzy = 0.25 * sz * sy * (at(8, 1) - at(6, 1) - at(2, 1) + at(0, 1));
        let hzx = 0.25 * sz * sx * (at(7, 2) - at(7, 0) - at(1, 2) + at(1, 0));
        let hyx = 0.25 * sy * sx * (at(5, 2) - at(5, 0) - at(3, 2) + at(3, 0));
        let laplacian = hzz + hyy + hxx;
        let terms = [
            1.0,
            centre,
            centre * centre,
            (gz * gz + gy * gy + gx * gx).sqrt(),
            laplacian * laplacian,
            hzz,
            hzy,
            hzx,
            hyy,
            hyx,
            hxx,
            gz * gz,
            gz * gy,
            gz * gx,
            gy * gy,
            gy * gx,
            gx * gx,
        ];
        for (out, term) in out.iter_mut().zip(terms) {
            out[i] = term;
        }
    }
}
