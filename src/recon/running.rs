//! A volume that grows with every view: weighted back-projection while a scan is being taken.
//!
//! Each view is filtered and back projected by itself and added to the sum of the even or of the odd views; both
//! together are the volume, apart they tell its resolution. As long as views are evenly spaced the result is that of
//! [`super::reconstruct`] by filtered back-projection of the same views.
//!
//! Cost: depth · rows · width updates a view. Memory: two volumes.

use std::f64::consts::PI;

use ndarray::{Array2, Array3, ArrayView2, Axis, Zip, s};

use super::{Half, Method, ReconError, ReconstructParams, angular_weights, reconstruct_rows};
use crate::base::{Cancelled, MemoryBudget, Progress, Unit};
use crate::kernels::projector::{ParallelGeometry, project};
use crate::volume::{Alignment, TiltSeries, ViewShift, Volume};

/// Rows that are back projected at a time before they are added: whole lanes of the projector.
const ROWS: usize = 64;

/// The sum of the views that have come.
#[derive(Debug, Clone)]
pub struct Running {
    params: ReconstructParams,
    /// Rows and columns of a view.
    view_shape: [usize; 2],
    pixel_um: Option<f64>,
    angles_deg: Vec<f64>,
    /// Sums of even and odd views, shape (depth, rows, columns), in 1/voxel for a view that stands for the half turn.
    sums: [Array3<f32>; 2],
    origin_um: [f64; 3],
}

impl Running {
    /// Starts empty for views of `n_rows` × `n_cols` pixels.
    ///
    /// Of `params` the filter, thickness, binning and centre count; the method is filtered back-projection.
    ///
    /// # Errors
    /// Those of [`super::plan`]; [`ReconError::Memory`] where two volumes are over the budget.
    pub fn new(
        n_rows: usize,
        n_cols: usize,
        pixel_um: Option<f64>,
        params: &ReconstructParams,
        budget: MemoryBudget,
    ) -> Result<Self, ReconError> {
        let params = ReconstructParams {
            method: Method::Fbp,
            half: Half::All,
            first_row: None,
            end_row: None,
            ..params.clone()
        };
        let rows = params.rows(n_rows);
        let plan = super::plan((1, n_rows, n_cols), 1, &[0.0], &params, rows)?;
        let [depth, rows, width] = plan.shape;
        let volume_bytes = 4 * (depth * rows * width) as u64;
        budget.admit(2 * volume_bytes + plan.peak_bytes.saturating_sub(volume_bytes))?;
        let empty = Array3::zeros((depth, rows, width));
        Ok(Self {
            params,
            view_shape: [n_rows, n_cols],
            pixel_um,
            angles_deg: Vec::new(),
            sums: [empty.clone(), empty],
            origin_um: [0.0; 3],
        })
    }

    /// Views that have been added.
    pub fn n_views(&self) -> usize {
        self.angles_deg.len()
    }

    /// Adds a view in absorbance, shape (rows, columns), moved by `shift_yx_px` at this tilt.
    ///
    /// # Errors
    /// Those of [`super::reconstruct`]; after [`ReconError::Cancelled`] the sum holds part of the view and is of no use.
    pub fn add(
        &mut self,
        progress: &Progress,
        view: ArrayView2<'_, f32>,
        angle_deg: f64,
        shift_yx_px: [f64; 2],
    ) -> Result<(), ReconError> {
        let series = TiltSeries {
            data: view.to_owned().insert_axis(Axis(0)),
            angles_deg: vec![angle_deg],
            pixel_um: None,
            energy_ev: None,
        };
        let views = vec![ViewShift {
            shift_y_px: shift_yx_px[0],
            shift_x_px: shift_yx_px[1],
            ..ViewShift::still(0, angle_deg)
        }];
        let alignment = Alignment { views, ..Alignment::identity(&[angle_deg]) };
        let sum = &mut self.sums[self.angles_deg.len() % 2];
        let n_rows = sum.dim().1;
        for start in (0..n_rows).step_by(ROWS) {
            let rows = start..(start + ROWS).min(n_rows);
            let budget = MemoryBudget { bytes: u64::MAX };
            let (slab, _) =
                reconstruct_rows(progress, &series, &alignment, &self.params, budget, rows.clone())?;
            if start == 0 {
                self.origin_um = slab.origin_um.map(|um| um * self.pixel_um.unwrap_or(1.0));
            }
            Zip::from(sum.slice_mut(s![.., rows, ..])).and(&slab.data).par_for_each(|sum, new| *sum += new);
        }
        self.angles_deg.push(angle_deg);
        Ok(())
    }

    fn voxel_um(&self) -> Option<f64> {
        self.pixel_um.map(|um| um * f64::from(self.params.bin))
    }

    fn as_volume(&self, data: Array3<f32>) -> Volume<f32> {
        let voxel_um = self.voxel_um();
        let unit = if voxel_um.is_some() { Unit::PerUm } else { Unit::PerVoxel };
        let mut volume = Volume::new(data, voxel_um.map(|um| [um; 3]), unit);
        volume.origin_um = self.origin_um;
        volume
    }

    /// The volume of all views so far.
    pub fn volume(&self) -> Volume<f32> {
        let scale = scale_of(&self.angles_deg) / self.voxel_um().unwrap_or(1.0) as f32;
        let mut data = Array3::zeros(self.sums[0].raw_dim());
        Zip::from(&mut data)
            .and(&self.sums[0])
            .and(&self.sums[1])
            .par_for_each(|out, even, odd| *out = (even + odd) * scale);
        self.as_volume(data)
    }

    /// The middle of the volumes of the even and of the odd views, at most `side` voxels along each axis.
    pub fn halves(&self, side: usize) -> [Volume<f32>; 2] {
        let per = 1.0 / self.voxel_um().unwrap_or(1.0) as f32;
        std::array::from_fn(|half| {
            let angles: Vec<f64> = self.angles_deg.iter().copied().skip(half).step_by(2).collect();
            let scale = scale_of(&angles) * per;
            let (nz, ny, nx) = self.sums[half].dim();
            let part = |n: usize| {
                let length = n.min(side);
                (n - length) / 2..(n - length) / 2 + length
            };
            let middle = self.sums[half].slice(s![part(nz), part(ny), part(nx)]);
            self.as_volume(middle.mapv(|value| value * scale))
        })
    }

    /// How the volume so far looks at another tilt: line integrals, shape (rows, columns) after binning.
    ///
    /// # Errors
    /// [`Cancelled`] if the owner cancelled.
    pub fn predict(&self, progress: &Progress, angle_deg: f64) -> Result<Array2<f32>, Cancelled> {
        let (depth, n_rows, width) = self.sums[0].dim();
        let geometry = ParallelGeometry { depth, width, ..ParallelGeometry::new(&[angle_deg], width) };
        let scale = scale_of(&self.angles_deg);
        let mut view = Array2::zeros((n_rows, width));
        for sum in &self.sums {
            let seen = project(progress, &geometry, sum.view())?;
            view.scaled_add(scale, &seen.index_axis(Axis(0), 0));
        }
        Ok(view)
    }

    /// Rows and columns of a view, before binning.
    pub fn view_shape(&self) -> [usize; 2] {
        self.view_shape
    }

    /// Pixels that became one along each side.
    pub fn bin(&self) -> usize {
        self.params.bin as usize
    }
}

/// What the sum of some views is multiplied with: each was back projected as if it stood for the half turn.
fn scale_of(angles_deg: &[f64]) -> f32 {
    let covered: f64 = angular_weights(angles_deg).iter().sum();
    (covered / PI / angles_deg.len().max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recon::reconstruct;

    fn series(n_views: usize) -> TiltSeries {
        let angles_deg: Vec<f64> =
            (0..n_views).map(|i| -60.0 + 120.0 * i as f64 / (n_views - 1) as f64).collect();
        let data = Array3::from_shape_fn((n_views, 20, 32), |(v, y, x)| {
            let at = 15.5 + 6.0 * angles_deg[v].to_radians().sin();
            (2.0 - 0.1 * (x as f64 - at).powi(2) - 0.02 * (y as f64 - 9.0).powi(2)).max(0.0) as f32
        });
        TiltSeries { data, angles_deg, pixel_um: Some(0.02), energy_ev: None }
    }

    #[test]
    fn the_sum_of_the_views_is_their_filtered_back_projection() {
        let series = series(25);
        let (progress, budget) = (Progress::new(), MemoryBudget::from_gib(1.0));
        let params = ReconstructParams { thickness: Some(16), ..ReconstructParams::default() };
        let mut alignment = Alignment::identity(&series.angles_deg);
        alignment.views.iter_mut().for_each(|view| view.shift_x_px = 0.3);
        let whole = reconstruct(&progress, &series, &alignment, &params, budget).unwrap();
        let mut running = Running::new(20, 32, series.pixel_um, &params, budget).unwrap();
        // In the order in which a dose-symmetric scan is taken.
        let order = (0..25).map(|i: usize| if i.is_multiple_of(2) { 12 - i / 2 } else { 13 + i / 2 });
        for view in order {
            let frame = series.data.index_axis(Axis(0), view);
            running.add(&progress, frame, series.angles_deg[view], [0.0, 0.3]).unwrap();
        }
        let found = running.volume();
        assert_eq!((found.shape(), found.unit, found.voxel_um), (whole.shape(), whole.unit, whole.voxel_um));
        assert_eq!(found.origin_um, whole.origin_um);
        let largest = whole.values().iter().fold(0.0f32, |most, v| most.max(v.abs()));
        for (a, b) in found.values().iter().zip(whole.values()) {
            // The order of the sum differs, and the ends of the range weigh half a step more.
            assert!((a - b).abs() < 2e-2 * largest, "{a} {b}");
        }
        let [even, odd] = running.halves(10);
        assert_eq!((even.shape(), odd.shape()), ([10; 3], [10; 3]));
        assert!(even.data != odd.data);
    }

    #[test]
    fn what_is_predicted_looks_like_the_view_that_comes() {
        let series = series(25);
        let (progress, budget) = (Progress::new(), MemoryBudget::from_gib(1.0));
        let params = ReconstructParams::default();
        let mut running = Running::new(20, 32, None, &params, budget).unwrap();
        for view in (0..25).filter(|view| *view != 15) {
            let frame = series.data.index_axis(Axis(0), view);
            running.add(&progress, frame, series.angles_deg[view], [0.0; 2]).unwrap();
        }
        let predicted = running.predict(&progress, series.angles_deg[15]).unwrap();
        let seen = series.data.index_axis(Axis(0), 15);
        let peak = |image: ArrayView2<'_, f32>| {
            let row = image.row(9).to_owned();
            row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(x, _)| x)
        };
        assert_eq!(peak(predicted.view()), peak(seen));
        progress.cancel();
        assert!(running.predict(&progress, 0.0).is_err());
    }
}
