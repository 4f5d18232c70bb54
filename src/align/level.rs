//! One binning of a series, and the half reconstructions and reprojections made of it.

use ndarray::{Array2, Array3, ArrayView2, Axis};
use rayon::prelude::*;

use crate::base::{Cancelled, Progress};
use crate::kernels::filter::{Beyond, RampFilter, Window};
use crate::kernels::lanes::LANES;
use crate::kernels::projector::{Footprint, ParallelGeometry, SlabProjector};
use crate::kernels::turn::Turn;
use crate::volume::TiltSeries;

use super::Shifts;

/// A binned series.
pub(super) struct Level {
    /// Pixels along each side that became one.
    pub(super) bin: usize,
    /// Mean absorbance, shape (views, rows, columns).
    pub(super) views: Array3<f32>,
    pub(super) angles_deg: Vec<f64>,
    pub(super) full_rotation: bool,
    /// How far right of the binned middle the unbinned middle column lies, in unbinned pixels: 0 or 1/2.
    middle_px: f64,
    filter: RampFilter,
}

impl Level {
    pub(super) fn new(progress: &Progress, series: &TiltSeries, bin: usize) -> Result<Self, Cancelled> {
        let (n_views, n_rows, n_cols) = series.data.dim();
        // Few rows are not binned away.
        let row_bin = bin.min(n_rows);
        let (rows, cols) = (n_rows / row_bin, n_cols / bin);
        let (first_row, first_col) = ((n_rows - rows * row_bin) / 2, (n_cols - cols * bin) / 2);
        let mut views = Array3::<f32>::zeros((n_views, rows, cols));
        let scale = 1.0 / (bin * row_bin) as f32;
        views.axis_iter_mut(Axis(0)).into_par_iter().enumerate().try_for_each(|(view, mut out)| {
            progress.check()?;
            let image = series.data.index_axis(Axis(0), view);
            for ((y, x), out) in out.indexed_iter_mut() {
                let (y0, x0) = (first_row + y * row_bin, first_col + x * bin);
                *out = image.slice(ndarray::s![y0..y0 + row_bin, x0..x0 + bin]).sum() * scale;
            }
            Ok(())
        })?;
        let full_rotation = series.is_full_rotation();
        let beyond = if full_rotation { Beyond::Zero } else { Beyond::Edge };
        Ok(Self {
            bin,
            filter: RampFilter::new(cols, Window::Hann, 1.0, 1, beyond),
            views,
            angles_deg: series.angles_deg.clone(),
            full_rotation,
            middle_px: (n_cols - cols * bin) as f64 / 2.0 - first_col as f64,
        })
    }

    pub(super) fn n_views(&self) -> usize {
        self.views.dim().0
    }

    pub(super) fn n_rows(&self) -> usize {
        self.views.dim().1
    }

    pub(super) fn n_cols(&self) -> usize {
        self.views.dim().2
    }

    /// Where the content of a view lies, in pixels of this level, as (y, x).
    pub(super) fn shift_here(&self, shift_px: [f64; 2]) -> [f64; 2] {
        [shift_px[0] / self.bin as f64, (shift_px[1] + self.middle_px) / self.bin as f64]
    }

    /// Every `step`th view alone.
    pub(super) fn every(&self, step: usize) -> Self {
        let angles_deg = self.angles_deg.iter().step_by(step).copied().collect();
        let views = self.views.slice(ndarray::s![..;step, .., ..]).to_owned();
        Self { views, angles_deg, filter: self.filter.clone(), ..*self }
    }

    /// The same views read turned by `rotation_deg` about the middle: `turned(p) = view(R (p - c) + c)`.
    pub(super) fn turned(&self, progress: &Progress, rotation_deg: f64) -> Result<Self, Cancelled> {
        let (sin, cos) = rotation_deg.to_radians().sin_cos();
        let (n_rows, n_cols) = (self.n_rows(), self.n_cols());
        let x = (n_cols as f64 - 1.0) / 2.0 + self.middle_px / self.bin as f64;
        let pivot = [x, (n_rows as f64 - 1.0) / 2.0];
        let turn = Turn { matrix: [[cos, -sin], [sin, cos]], pivot, shift: [0.0; 2] };
        let mut views = Array3::<f32>::zeros(self.views.raw_dim());
        views.axis_iter_mut(Axis(0)).into_par_iter().enumerate().try_for_each(|(view, mut out)| {
            progress.check()?;
            let image = self.views.index_axis(Axis(0), view);
            for (y, mut row) in out.outer_iter_mut().enumerate() {
                if let Some(row) = row.as_slice_mut() {
                    turn.row(&image, y, row);
                }
            }
            Ok(())
        })?;
        Ok(Self { views, angles_deg: self.angles_deg.clone(), filter: self.filter.clone(), ..*self })
    }

    /// One view moved back by its shift, by cubic interpolation; edges go on.
    pub(super) fn moved(&self, view: usize, shift_here: [f64; 2]) -> Array2<f32> {
        resample(self.views.index_axis(Axis(0), view), shift_here)
    }

    /// Reconstructs from the views `from` and reprojects at the angles of the views `to`, all as aligned by `shifts`.
    ///
    /// Shape (to, rows, columns); only rows `rows` are worked out, the others are 0.
    pub(super) fn reproject(
        &self,
        progress: &Progress,
        shifts: &Shifts,
        from: &[usize],
        to: &[usize],
    ) -> Result<Array3<f32>, Cancelled> {
        let (n_rows, n_cols) = (self.n_rows(), self.n_cols());
        let filtered = self.filtered(progress, shifts, from, 0..n_rows)?;
        let source = SlabProjector::new(&self.geometry(shifts, from));
        let angles: Vec<f64> = to.iter().map(|&view| self.angles_deg[view]).collect();
        let target = SlabProjector::new(&ParallelGeometry::new(&angles, n_cols));
        let (mut seen, mut section) = (source.new_sinogram(), source.new_section());
        let mut made = target.new_sinogram();
        let mut out = Array3::zeros((to.len(), n_rows, n_cols));
        for (slab, rows) in out.axis_chunks_iter_mut(Axis(1), LANES).enumerate() {
            progress.check()?;
            seen.pack(filtered.view(), slab * LANES);
            source.back_project(progress, Footprint::Linear, &seen, &mut section)?;
            target.project(progress, &section, &mut made, |_, _| ())?;
            made.unpack(rows);
        }
        Ok(out)
    }

    fn geometry(&self, shifts: &Shifts, views: &[usize]) -> ParallelGeometry {
        let angles: Vec<f64> = views.iter().map(|&view| self.angles_deg[view]).collect();
        let mut geometry = ParallelGeometry::new(&angles, self.n_cols());
        geometry.shift_x_px = views.iter().map(|&view| self.shift_here(shifts[view])[1]).collect();
        geometry
    }

    /// Ramp filtered rows of some views, moved back along y.
    fn filtered(
        &self,
        progress: &Progress,
        shifts: &Shifts,
        views: &[usize],
        rows: std::ops::Range<usize>,
    ) -> Result<Array3<f32>, Cancelled> {
        let mut out = Array3::<f32>::zeros((views.len(), rows.len(), self.n_cols()));
        let scale = std::f32::consts::PI / views.len() as f32;
        out.axis_iter_mut(Axis(0)).into_par_iter().zip(views).try_for_each(|(mut out, &view)| {
            progress.check()?;
            let shift = [self.shift_here(shifts[view])[0], 0.0];
            let image = self.moved(view, shift);
            let mut scratch = self.filter.scratch();
            for (mut line, y) in out.outer_iter_mut().zip(rows.clone()) {
                if let (Some(row), Some(line)) = (image.row(y).as_slice(), line.as_slice_mut()) {
                    self.filter.apply(row, scale, line, &mut scratch);
                }
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// Weights of Catmull and Rom's cubic at a fraction of a pixel, for pixels -1, 0, 1, 2.
fn cubic(t: f32) -> [f32; 4] {
    [
        ((2.0 - t) * t - 1.0) * t * 0.5,
        ((3.0 * t - 5.0) * t * t + 2.0) * 0.5,
        ((4.0 - 3.0 * t) * t + 1.0) * t * 0.5,
        (t - 1.0) * t * t * 0.5,
    ]
}

/// `out(y, x) = image(y + shift_y, x + shift_x)`; edges go on.
fn resample(image: ArrayView2<'_, f32>, shift: [f64; 2]) -> Array2<f32> {
    let along = |image: ArrayView2<'_, f32>, shift: f64, axis: usize| -> Array2<f32> {
        let whole = shift.floor();
        let weights = cubic((shift - whole) as f32);
        let n = image.len_of(Axis(axis)) as isize;
        let mut out = Array2::zeros(image.raw_dim());
        for (k, weight) in weights.into_iter().enumerate() {
            let first = whole as isize + k as isize - 1;
            for (i, mut line) in out.axis_iter_mut(Axis(axis)).enumerate() {
                let from = (i as isize + first).clamp(0, n - 1) as usize;
                line.scaled_add(weight, &image.index_axis(Axis(axis), from));
            }
        }
        out
    };
    let rows = if shift[0] == 0.0 { image.to_owned() } else { along(image, shift[0], 0) };
    if shift[1] == 0.0 { rows } else { along(rows.view(), shift[1], 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_back_undoes_a_shift_of_a_smooth_image() {
        let wave = |y: f64, x: f64| ((0.3 * y).sin() + (0.25 * x).cos()) as f32;
        let image = Array2::from_shape_fn((40, 50), |(y, x)| wave(y as f64 - 1.4, x as f64 + 2.3));
        let back = resample(image.view(), [1.4, -2.3]);
        for y in 5..35 {
            for x in 5..45 {
                // Cubic interpolation of waves of twenty pixels.
                assert!((back[[y, x]] - wave(y as f64, x as f64)).abs() < 2e-3);
            }
        }
    }
}
