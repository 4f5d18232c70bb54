//! Sixteen detector rows side by side: the memory layout of the projectors.
//!
//! With a single rotation axis every detector row has the same geometry, so sixteen rows share
//! each interpolation weight and each address, and every load is contiguous. A slab is a plane
//! of such groups, either (view, column) or (z, x), with a margin of zeros so that the kernels
//! never ask whether a tap lies outside.

use bytemuck::{Pod, Zeroable};
use ndarray::{ArrayView3, ArrayViewMut3};
use rayon::prelude::*;

/// Rows of one group.
pub const LANES: usize = 16;

/// Groups of zeros kept on each side of a line, and lines of zeros above and below a padded plane.
pub(crate) const MARGIN: usize = 2;

/// One value of each of sixteen neighbouring rows; aligned to a cache line.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Lanes(pub [f32; LANES]);

impl Lanes {
    /// All rows zero.
    pub const ZERO: Self = Self([0.0; LANES]);
}

/// A plane of lane groups, lines of groups with a margin of zeros around them.
///
/// The distance between lines is odd, so that columns of a power-of-two plane do not fall into
/// one set of a cache.
#[derive(Debug, Clone)]
pub struct LanePlane {
    n_lines: usize,
    len: usize,
    stride: usize,
    margin_lines: usize,
    data: Vec<Lanes>,
}

/// Distance between lines of `len` groups.
pub(crate) fn line_stride(len: usize) -> usize {
    (len + 2 * MARGIN) | 1
}

impl LanePlane {
    /// A plane of zeros for projections: `n_views` lines of `n_cols` groups.
    pub fn sinogram(n_views: usize, n_cols: usize) -> Self {
        Self::zeros(n_views, n_cols, 0)
    }

    /// A plane of zeros for a cross-section: `depth` lines (z) of `width` groups (x), with a margin above and below.
    pub fn section(depth: usize, width: usize) -> Self {
        Self::zeros(depth, width, MARGIN)
    }

    fn zeros(n_lines: usize, len: usize, margin_lines: usize) -> Self {
        let stride = line_stride(len);
        let data = vec![Lanes::ZERO; stride * (n_lines + 2 * margin_lines)];
        Self { n_lines, len, stride, margin_lines, data }
    }

    /// Bytes such a plane takes, for plans.
    pub fn bytes(n_lines: usize, len: usize) -> u64 {
        (line_stride(len) * (n_lines + 2 * MARGIN) * size_of::<Lanes>()) as u64
    }

    /// Number of lines: views, or z.
    pub fn n_lines(&self) -> usize {
        self.n_lines
    }

    /// Sets every value to zero.
    pub fn clear(&mut self) {
        self.par_lines_mut().for_each(|line| line.fill(Lanes::ZERO));
    }

    /// Groups of a line: columns, or x.
    pub fn line_len(&self) -> usize {
        self.len
    }

    /// Distance between the first groups of two neighbouring lines.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Everything, margins included.
    pub(crate) fn groups(&self) -> &[Lanes] {
        &self.data
    }

    /// Position in [`LanePlane::groups`] of group 0 of line 0.
    pub(crate) fn first(&self) -> usize {
        self.margin_lines * self.stride + MARGIN
    }

    /// The lines with their side margins, `stride` groups each.
    pub(crate) fn padded_lines_mut(&mut self) -> &mut [Lanes] {
        let start = self.margin_lines * self.stride;
        let end = start + self.n_lines * self.stride;
        &mut self.data[start..end]
    }

    /// The lines without their margins, in parallel.
    pub fn par_lines_mut(&mut self) -> impl IndexedParallelIterator<Item = &mut [Lanes]> {
        let (stride, len) = (self.stride, self.len);
        self.padded_lines_mut().par_chunks_mut(stride).map(move |line| &mut line[MARGIN..MARGIN + len])
    }

    /// The groups of one line, without margins.
    pub fn line(&self, index: usize) -> &[Lanes] {
        let start = (index + self.margin_lines) * self.stride + MARGIN;
        &self.data[start..start + self.len]
    }

    /// The groups of one line for writing, without margins.
    pub fn line_mut(&mut self, index: usize) -> &mut [Lanes] {
        let start = (index + self.margin_lines) * self.stride + MARGIN;
        &mut self.data[start..start + self.len]
    }

    /// For each row, the sum over all groups of `term` of this plane's value and `other`'s, a plane of the same size.
    ///
    /// The same whatever the number of threads and whatever the other rows hold.
    pub fn sums(&self, other: &Self, term: impl Fn(usize, usize, f32, f32) -> f32 + Sync) -> [f64; LANES] {
        let of_line = |line: usize| {
            let mut sums = [0.0f32; LANES];
            for (index, (a, b)) in self.line(line).iter().zip(other.line(line)).enumerate() {
                for ((sum, a), b) in sums.iter_mut().zip(a.0).zip(b.0) {
                    *sum += term(line, index, a, b);
                }
            }
            sums
        };
        let lines: Vec<[f32; LANES]> = (0..self.n_lines).into_par_iter().map(of_line).collect();
        let mut total = [0.0; LANES];
        for line in lines {
            for (total, value) in total.iter_mut().zip(line) {
                *total += f64::from(value);
            }
        }
        total
    }

    /// Fills the plane from rows `row0..` of `array`, shape (lines, rows, groups); rows past the end are zero.
    pub fn pack(&mut self, array: ArrayView3<'_, f32>, row0: usize) {
        let n_rows = array.dim().1.saturating_sub(row0).min(LANES);
        self.par_lines_mut().enumerate().for_each(|(line, groups)| {
            if n_rows < LANES {
                groups.fill(Lanes::ZERO);
            }
            for lane in 0..n_rows {
                let row = array.slice(ndarray::s![line, row0 + lane, ..]);
                for (group, value) in groups.iter_mut().zip(row.iter()) {
                    group.0[lane] = *value;
                }
            }
        });
    }

    /// Writes the plane into `array`, shape (lines, up to sixteen rows, groups).
    pub fn unpack(&self, mut array: ArrayViewMut3<'_, f32>) {
        array.outer_iter_mut().into_par_iter().enumerate().for_each(|(line, mut rows)| {
            let groups = self.line(line);
            for (lane, mut row) in rows.outer_iter_mut().enumerate() {
                for (value, group) in row.iter_mut().zip(groups) {
                    *value = group.0[lane];
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Axis};

    use super::*;

    #[test]
    fn packing_and_unpacking_return_every_row_and_pad_with_zeros() {
        let array = Array3::from_shape_fn((3, 21, 5), |(a, b, c)| (a * 1000 + b * 10 + c) as f32 + 1.0);
        let mut back = Array3::zeros((3, 21, 5));
        let mut plane = LanePlane::section(3, 5);
        for (slab, rows) in back.axis_chunks_iter_mut(Axis(1), LANES).enumerate() {
            plane.pack(array.view(), slab * LANES);
            plane.unpack(rows);
        }
        assert_eq!(array, back);
        assert_eq!(plane.line(1)[0].0[5..], [0.0; LANES - 5], "rows past the end are zero");
        assert!(plane.groups()[..plane.first()].iter().all(|g| *g == Lanes::ZERO));
    }
}
