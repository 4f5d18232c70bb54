//! A scan while it is being taken: each new view is normalised, found against the volume so far, and added to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ndarray::{Array2, ArrayView2, Axis};
use serde_json::Value;

use super::source::views;
use crate::align::{as_seen_at, place_view};
use crate::io::{self, IoError, WriteRequest};
use crate::measure::fsc::{Criterion, FscParams, fsc};
use crate::ops::{Context, Data, Inputs, OpError, find};
use crate::recon::{ReconstructParams, Running};
use crate::volume::{Alignment, Scan, ViewShift};

/// With fewer views the nearest one tells better what the next should look like than the volume does.
const PREDICTS_FROM: usize = 8;
/// Side of the middle part whose halves are compared, in voxels.
const JUDGED: usize = 192;
/// Views before anything is said of the resolution.
const JUDGED_FROM: usize = 16;
/// A gain in spatial frequency over the last fifth of the views below which more views hardly help.
const FLAT: f64 = 0.02;

/// A view that was added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AddedView {
    /// Its place in the scan.
    pub view: ViewShift,
    /// Correlation with what was expected, -1 to 1; absent for the first.
    pub correlation: Option<f64>,
    /// Seconds from its normalised picture to the volume that holds it.
    pub seconds: f64,
}

/// How fine the volume so far is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolution {
    /// Views in it.
    pub n_views: usize,
    /// Period in nm (voxels where the size is unknown) at a Fourier shell correlation of 0.143.
    pub period: f64,
    /// Gain in spatial frequency since four fifths of the views were there, 0.02 for two per cent.
    pub gain: Option<f64>,
    /// Whether that gain has become so small that more views hardly help.
    pub is_flat: bool,
}

/// A scan that grows.
pub(super) struct Growing {
    running: Running,
    normalize: Value,
    placed: Vec<ViewShift>,
    /// Normalised pictures, binned as the volume is.
    frames: Vec<Array2<f32>>,
    /// Where views lay before the program was started anew.
    known: Vec<ViewShift>,
    /// Views and spatial frequency, as judged.
    judged: Vec<(usize, f64)>,
}

fn failed(error: impl std::error::Error + 'static) -> OpError {
    OpError::method(error)
}

impl Growing {
    /// Starts empty; `known` are views that were placed before the program was started anew.
    pub(super) fn new(
        context: &Context,
        scan: &Scan,
        normalize: Value,
        params: &ReconstructParams,
        known: Vec<ViewShift>,
    ) -> Result<Self, OpError> {
        let [_, n_rows, n_cols] = scan.projections.shape();
        let running = Running::new(n_rows, n_cols, scan.pixel_um, params, context.budget).map_err(failed)?;
        let (placed, frames, judged) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { running, normalize, placed, frames, known, judged })
    }

    /// Views that are in the volume.
    pub(super) fn n_views(&self) -> usize {
        self.placed.len()
    }

    /// Adds the views that are new in `scan`; `tell` hears of each.
    pub(super) fn add_new(
        &mut self,
        context: &Context,
        scan: &Scan,
        mut tell: impl FnMut(AddedView),
    ) -> Result<(), OpError> {
        let n = scan.projections.shape()[0];
        let [_, n_rows, n_cols] = scan.projections.shape();
        if self.running.view_shape() != [n_rows, n_cols] {
            return Err(OpError::Method(format!(
                "the views are {n_rows} x {n_cols} pixels now, they were {:?}: this is another scan under the same name",
                self.running.view_shape()
            )));
        }
        if n <= self.placed.len() {
            return Ok(());
        }
        let new = Data::Scan(Arc::new(views(scan, self.placed.len()..n)));
        let op = find("normalize").ok_or_else(|| OpError::Parameter("no operation normalize".to_owned()))?;
        let outcome = op.execute(context, &Inputs::default().with("scan", new), &self.normalize)?;
        let Some(Data::Series(series)) = outcome.data.first().map(|(_, data)| data) else {
            return Err(OpError::Method("normalising gave no series".to_owned()));
        };
        for (frame, angle_deg) in series.data.outer_iter().zip(&series.angles_deg) {
            context.progress.check()?;
            let began = Instant::now();
            let (view, correlation) = self.place(context, frame, *angle_deg)?;
            self.running
                .add(&context.progress, frame, *angle_deg, [view.shift_y_px, view.shift_x_px])
                .map_err(failed)?;
            self.placed.push(view);
            tell(AddedView { view, correlation, seconds: began.elapsed().as_secs_f64() });
        }
        Ok(())
    }

    /// Where a view lies against what is there.
    fn place(
        &mut self,
        context: &Context,
        frame: ArrayView2<'_, f32>,
        angle_deg: f64,
    ) -> Result<(ViewShift, Option<f64>), OpError> {
        let index = self.placed.len();
        let bin = self.running.bin();
        let frame = binned(frame, bin);
        let still = ViewShift::still(index, angle_deg);
        let nearest = self.placed.iter().zip(&self.frames).min_by(|(a, _), (b, _)| {
            (a.angle_deg - angle_deg).abs().total_cmp(&(b.angle_deg - angle_deg).abs())
        });
        let remembered = self.known.get(index).filter(|view| (view.angle_deg - angle_deg).abs() < 1e-6);
        let found = match (remembered, nearest) {
            (Some(view), _) => (*view, None),
            (None, None) => (still, None),
            (None, Some((near, picture))) => {
                let progress = &context.progress;
                let here = [near.shift_y_px, near.shift_x_px].map(|px| px / bin as f64);
                let expected = if index >= PREDICTS_FROM {
                    self.running.predict(progress, angle_deg)?
                } else {
                    as_seen_at(progress, picture.view(), here, near.angle_deg, angle_deg)?
                };
                let found = place_view(progress, frame.view(), expected.view(), here)?;
                let [shift_y_px, shift_x_px] = found.shift_yx_px.map(|px| px * bin as f64);
                (ViewShift { shift_y_px, shift_x_px, ..still }, Some(found.correlation))
            }
        };
        self.frames.push(frame);
        Ok(found)
    }

    /// Writes the volume and the alignment so far.
    pub(super) fn write(&self, context: &Context, volume: &Path, alignment: &Path) -> Result<(), IoError> {
        io::write_array(volume, &WriteRequest::volume(&self.running.volume()), &context.progress)?;
        let angles: Vec<f64> = self.placed.iter().map(|view| view.angle_deg).collect();
        let method = "each view against the volume so far".to_owned();
        let found = Alignment { method, views: self.placed.clone(), ..Alignment::identity(&angles) };
        io::write_alignment(alignment, &found)
    }

    /// How fine the volume so far is; `None` while there are few views, or where the halves share nothing.
    pub(super) fn judge(&mut self, context: &Context) -> Result<Option<Resolution>, OpError> {
        let n_views = self.n_views();
        if n_views < JUDGED_FROM {
            return Ok(None);
        }
        let [even, odd] = self.running.halves(JUDGED);
        let curve = match fsc(&context.progress, &even, &odd, None, &FscParams::default()) {
            Ok(curve) => curve,
            Err(crate::measure::fsc::FscError::Cancelled(cancelled)) => return Err(cancelled.into()),
            // Too small a volume, or an empty one, tells nothing; the scan goes on.
            Err(_) => return Ok(None),
        };
        let Some(frequency) = curve.crossing(Criterion::Seventh).frequency().filter(|f| *f > 0.0) else {
            return Ok(None);
        };
        let before = self.judged.iter().rev().find(|(n, _)| 5 * n <= 4 * n_views);
        let gain = before.map(|(_, was)| frequency / was - 1.0);
        self.judged.push((n_views, frequency));
        let period = if curve.in_um { 1e3 / frequency } else { 1.0 / frequency };
        Ok(Some(Resolution { n_views, period, gain, is_flat: gain.is_some_and(|gain| gain < FLAT) }))
    }
}

/// Means over squares of `bin` pixels; rows and columns that do not fill one are dropped, as the reconstruction does.
fn binned(frame: ArrayView2<'_, f32>, bin: usize) -> Array2<f32> {
    if bin <= 1 {
        return frame.to_owned();
    }
    let (n_rows, n_cols) = frame.dim();
    let scale = 1.0 / (bin * bin) as f32;
    Array2::from_shape_fn((n_rows / bin, n_cols / bin), |(y, x)| {
        let block = frame.slice(ndarray::s![y * bin..(y + 1) * bin, x * bin..(x + 1) * bin]);
        block.axis_iter(Axis(0)).map(|row| row.sum()).sum::<f32>() * scale
    })
}
