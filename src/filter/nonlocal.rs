//! Non-local means: means over neighbours whose surroundings look alike.
//!
//! `u(p) = Σ_q w v(q) / Σ_q w`, `w = exp(-max(D(p, q) - 2σ², 0) / h²)`, D the mean squared difference of the cubes of
//! `(2 r + 1)³` voxels around p and q, q within `s` voxels of p along each axis, σ the noise, h the strength times σ
//! (Buades, Coll and Morel 2005, doi:10.1109/CVPR.2005.38; noise taken off as in their 2011, doi:10.5201/ipol.2011.bcm_nlm).
//!
//! For each shift q - p the squared differences of the whole are summed in boxes, one axis after the other (after Darbon and
//! others 2008, doi:10.1109/ISBI.2008.4541250), so that the cost does not grow with the cube; a shift and its opposite have
//! the same weights, which are found once. Slabs of sixteen slices are worked on each by itself: the same bits for any number
//! of threads. Volumes are mirrored at their faces. What is NaN has no weight and stays; in cubes it counts as the mean of
//! all. Cost: `(2s + 1)³ / 2` times some twenty additions and one exponential a voxel, in vectors along x. Memory: the
//! result, and about 7 slabs for each thread.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use super::exponential::exp;
use super::mirrored;
use crate::base::{Cancelled, Progress};

/// Slices that are worked on at a time.
pub(super) const SLAB: usize = 16;

/// How far and how strongly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NonLocal {
    /// Radius r of the cubes that are compared.
    pub patch: usize,
    /// How far neighbours are looked for, s.
    pub search: usize,
    /// Standard deviation σ of the noise.
    pub noise: f32,
    /// h.
    pub width: f32,
}

/// A slab with all that is around it.
struct Padded {
    values: Vec<f32>,
    /// Values where they are numbers and 0 where not, and 1 or 0.
    known: Option<(Vec<f32>, Vec<f32>)>,
    shape: [usize; 3],
    pad: usize,
}

impl Padded {
    /// Slices `z0..z1` and `pad` voxels around on every side.
    fn new(array: &ArrayView3<'_, f32>, [z0, z1]: [usize; 2], pad: usize, fill: f32) -> Self {
        let (nz, ny, nx) = array.dim();
        let shape = [z1 - z0 + 2 * pad, ny + 2 * pad, nx + 2 * pad];
        let columns: Vec<usize> = (0..shape[2]).map(|x| mirrored(x as isize - pad as isize, nx)).collect();
        let mut values = Vec::with_capacity(shape.iter().product());
        for z in 0..shape[0] {
            let zz = mirrored((z0 + z) as isize - pad as isize, nz);
            for y in 0..shape[1] {
                let row = array.slice(ndarray::s![zz, mirrored(y as isize - pad as isize, ny), ..]);
                values.extend(columns.iter().map(|x| row[*x]));
            }
        }
        let known = values.iter().any(|value| !value.is_finite()).then(|| {
            let weights: Vec<f32> = values.iter().map(|v| if v.is_finite() { 1.0 } else { 0.0 }).collect();
            let known = values.iter().map(|v| if v.is_finite() { *v } else { 0.0 }).collect();
            values.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = fill);
            (known, weights)
        });
        Self { values, known, shape, pad }
    }

    /// Part of a row: `n` values from column `x`, all counted from the first voxel of the slab, which may lie before.
    #[inline(always)]
    fn row<'a>(&self, of: &'a [f32], [z, y, x]: [isize; 3], n: usize) -> &'a [f32] {
        let at = |i: isize| (i + self.pad as isize) as usize;
        &of[(at(z) * self.shape[1] + at(y)) * self.shape[2] + at(x)..][..n]
    }
}

/// Sums and weights of a slab.
struct Sums {
    sum: Vec<f32>,
    weight: Vec<f32>,
    shape: [usize; 3],
}

impl Sums {
    /// Adds the values at `from` with weights to the voxels of row `to`, where they lie in the slab.
    #[inline(always)]
    fn add(&mut self, padded: &Padded, [z, y, x]: [isize; 3], from: [isize; 3], weights: &[f32]) {
        let [nz, ny, nx] = self.shape.map(|n| n as isize);
        if !(0..nz).contains(&z) || !(0..ny).contains(&y) {
            return;
        }
        // Columns of the row of weights that lie in the slab.
        let (first, last) = ((-x).max(0), (nx - x).min(weights.len() as isize));
        if first >= last {
            return;
        }
        let (n, weights) = ((last - first) as usize, &weights[first as usize..last as usize]);
        let at = ((z * ny + y) * nx + x + first) as usize;
        let place = [from[0], from[1], from[2] + first];
        let (sum, weight) = (&mut self.sum[at..at + n], &mut self.weight[at..at + n]);
        match &padded.known {
            None => {
                let values = padded.row(&padded.values, place, n);
                for (((sum, weight), w), value) in sum.iter_mut().zip(weight).zip(weights).zip(values) {
                    *sum += w * value;
                    *weight += w;
                }
            }
            Some((values, known)) => {
                let (values, known) = (padded.row(values, place, n), padded.row(known, place, n));
                for ((((sum, weight), w), value), k) in
                    sum.iter_mut().zip(weight).zip(weights).zip(values).zip(known)
                {
                    *sum += w * value;
                    *weight += w * k;
                }
            }
        }
    }
}

/// Room for the box sums of one shift.
#[derive(Default)]
struct Room {
    squares: Vec<f32>,
    lines: Vec<f32>,
    planes: Vec<f32>,
    weights: Vec<f32>,
}

/// Adds `values` shifted by 0 to `n - 1` strides.
#[inline(always)]
fn box_sum(out: &mut [f32], values: &[f32], stride: usize, n: usize) {
    let len = out.len();
    out.copy_from_slice(&values[..len]);
    for k in 1..n {
        for (out, value) in out.iter_mut().zip(&values[k * stride..][..len]) {
            *out += value;
        }
    }
}

impl NonLocal {
    /// What one shift and its opposite add to the sums of a slab.
    #[inline(always)]
    fn shift(&self, padded: &Padded, sums: &mut Sums, room: &mut Room, d: [isize; 3]) {
        let [nz, ny, nx] = sums.shape.map(|n| n as isize);
        let width = 2 * self.patch + 1;
        // Weights are wanted for voxels of the slab and for those that the shift takes into it.
        let lo: [isize; 3] = d.map(|d| (-d).min(0));
        let [rows, columns] = [(ny + d[1].abs()) as usize, (nx + d[2].abs()) as usize];
        let (wide, plane) = (columns + 2 * self.patch, rows * columns);
        room.squares.resize(wide, 0.0);
        room.lines.resize((rows + 2 * self.patch) * columns, 0.0);
        room.planes.resize(width * plane, 0.0);
        room.weights.resize(plane, 0.0);
        let r = self.patch as isize;
        let slices = (nz - lo[0]) as usize + 2 * self.patch;
        for slice in 0..slices {
            let z = lo[0] - r + slice as isize;
            for (line, out) in room.lines.chunks_exact_mut(columns).enumerate() {
                let place = [z, lo[1] - r + line as isize, lo[2] - r];
                let moved = [place[0] + d[0], place[1] + d[1], place[2] + d[2]];
                let here = padded.row(&padded.values, place, wide);
                let there = padded.row(&padded.values, moved, wide);
                for ((square, a), b) in room.squares.iter_mut().zip(here).zip(there) {
                    *square = (a - b) * (a - b);
                }
                box_sum(out, &room.squares, 1, width);
            }
            box_sum(&mut room.planes[slice % width * plane..][..plane], &room.lines, columns, width);
            if slice + 1 < width {
                continue;
            }
            box_sum(&mut room.weights, &room.planes, plane, width);
            self.weigh(&mut room.weights);
            let z = z - r;
            for (line, weights) in room.weights.chunks_exact(columns).enumerate() {
                let q = [z, lo[1] + line as isize, lo[2]];
                let moved = [q[0] + d[0], q[1] + d[1], q[2] + d[2]];
                sums.add(padded, q, moved, weights);
                sums.add(padded, moved, q, weights);
            }
        }
    }

    /// Weights from sums of squared differences.
    #[inline(always)]
    fn weigh(&self, sums: &mut [f32]) {
        let n = ((2 * self.patch + 1) as f32).powi(3);
        let minus = -1.0 / (self.width * self.width).max(f32::MIN_POSITIVE);
        let noise = 2.0 * self.noise * self.noise;
        for value in sums {
            *value = exp((*value / n - noise).max(0.0) * minus);
        }
    }

    /// The shifts of which none is the opposite of another.
    fn shifts(&self) -> Vec<[isize; 3]> {
        let s = self.search as isize;
        let mut found = Vec::new();
        for z in 0..=s {
            for y in -s..=s {
                found.extend((-s..=s).map(|x| [z, y, x]).filter(|d| *d > [0, 0, 0]));
            }
        }
        found
    }

    /// Bytes that a thread works in, for plans.
    pub fn bytes(&self, [_, ny, nx]: [usize; 3]) -> u64 {
        let pad = self.search + self.patch;
        let padded = (SLAB + 2 * pad) * (ny + 2 * pad) * (nx + 2 * pad);
        let room = (2 * self.patch + 4) * (ny + 2 * pad) * (nx + 2 * pad);
        4 * (3 * padded + 2 * SLAB * ny * nx + room) as u64
    }
}

/// The volume with each value replaced by that of voxels whose surroundings look alike.
///
/// # Errors
/// [`Cancelled`], checked once per slab and shift.
pub fn non_local_means(
    progress: &Progress,
    array: &ArrayView3<'_, f32>,
    params: &NonLocal,
) -> Result<Array3<f32>, Cancelled> {
    let (nz, ny, nx) = array.dim();
    let shifts = params.shifts();
    progress.phase("Non-local means", (nz.div_ceil(SLAB) * shifts.len()) as u64);
    progress.check()?;
    let fill = mean(array);
    let mut out = Array3::zeros((nz, ny, nx));
    let slabs = out.as_slice_mut().unwrap_or(&mut []).par_chunks_mut((SLAB * ny * nx).max(1));
    slabs.enumerate().try_for_each_init(Room::default, |room, (slab, out)| {
        let z0 = slab * SLAB;
        let shape = [(nz - z0).min(SLAB), ny, nx];
        let padded = Padded::new(array, [z0, z0 + shape[0]], params.search + params.patch, fill);
        let mut sums = Sums { sum: vec![0.0; out.len()], weight: vec![0.0; out.len()], shape };
        let ones = vec![1.0; nx];
        for z in 0..shape[0] as isize {
            (0..ny as isize).for_each(|y| sums.add(&padded, [z, y, 0], [z, y, 0], &ones));
        }
        for d in &shifts {
            progress.check()?;
            pulp::Arch::new().dispatch(|| params.shift(&padded, &mut sums, room, *d));
            progress.advance(1);
        }
        let given = array.slice(ndarray::s![z0..z0 + shape[0], .., ..]);
        for (((out, sum), weight), given) in out.iter_mut().zip(sums.sum).zip(sums.weight).zip(&given) {
            *out = if given.is_finite() { sum / weight } else { *given };
        }
        Ok(())
    })?;
    Ok(out)
}

/// The mean of all that are numbers.
fn mean(array: &ArrayView3<'_, f32>) -> f32 {
    let add =
        |(sum, n): (f64, u64), v: &f32| if v.is_finite() { (sum + f64::from(*v), n + 1) } else { (sum, n) };
    let (sum, n) = array.iter().fold((0.0, 0), add);
    (sum / n.max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::super::tests::noise;
    use super::*;

    const PARAMS: NonLocal = NonLocal { patch: 1, search: 2, noise: 0.4, width: 0.5 };

    #[test]
    fn every_value_is_the_weighted_mean_in_f64_across_slabs_and_faces() {
        let mut array = noise([19, 4, 7]);
        array[[15, 2, 3]] = f32::NAN;
        let found = non_local_means(&Progress::new(), &array.view(), &PARAMS).unwrap();
        let (nz, ny, nx) = array.dim();
        let fill = f64::from(mean(&array.view()));
        let at =
            |[z, y, x]: [isize; 3]| f64::from(array[[mirrored(z, nz), mirrored(y, ny), mirrored(x, nx)]]);
        let filled = |p: [isize; 3]| if at(p).is_nan() { fill } else { at(p) };
        let cube = |r: isize| {
            let side = move || -r..=r;
            side().flat_map(move |z| side().flat_map(move |y| side().map(move |x| [z, y, x])))
        };
        let plus = |a: [isize; 3], b: [isize; 3]| [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
        for ((z, y, x), value) in
            found.indexed_iter().filter(|((z, _, _), _)| [0, 14, 15, 16, 18].contains(z))
        {
            let p = [z as isize, y as isize, x as isize];
            let (mut sum, mut weights) = (0.0, 0.0);
            for q in cube(2).map(|d| plus(p, d)).filter(|q| !at(*q).is_nan()) {
                let squares: f64 = cube(1).map(|k| (filled(plus(p, k)) - filled(plus(q, k))).powi(2)).sum();
                let w = (-(squares / 27.0 - 0.32).max(0.0) / 0.25).exp();
                (sum, weights) = (sum + w * at(q), weights + w);
            }
            // 125 values of about 1 in f32, weights to 4e-6 beside the sums of 27 squares.
            let near = (f64::from(*value) - sum / weights).abs() < 3e-5;
            assert!(
                near || array[[z, y, x]].is_nan() && value.is_nan(),
                "{z} {y} {x}: {value} {}",
                sum / weights
            );
        }
    }

    #[test]
    fn threads_do_not_change_the_bits_and_cancel_is_heard() {
        let array = noise([40, 9, 10]);
        let run = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| non_local_means(&Progress::new(), &array.view(), &PARAMS).unwrap())
        };
        assert_eq!(run(1), run(3));
        let progress = Progress::new();
        progress.cancel();
        assert_eq!(non_local_means(&progress, &array.view(), &PARAMS), Err(Cancelled));
    }
}
