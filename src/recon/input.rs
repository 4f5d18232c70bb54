//! The aligned rows of a tilt series: which views, where they are, binned and shifted.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{Array3, ArrayView1, ArrayView3, Axis};
use rayon::prelude::*;

use super::weights::angular_weights;
use super::{Half, ReconError, ReconstructParams, Sample};
use crate::base::{Cancelled, Progress};
use crate::kernels::lanes::{LANES, LanePlane, Lanes};
use crate::kernels::projector::ParallelGeometry;
use crate::kernels::turn::{Turn, keys};
use crate::volume::{Alignment, TiltSeries};

/// A vertical shift closer than this to a whole row is taken as whole.
const WHOLE_ROW: f64 = 1e-3;
/// Share of the strongest absorption above which the outermost columns count as sample.
const EDGE_SHARE: f64 = 0.1;

/// The views that take part, as positions in the series.
///
/// # Errors
/// [`ReconError::Alignment`] where the alignment does not fit the series.
pub fn used_views(series: &TiltSeries, alignment: &Alignment, half: Half) -> Result<Vec<usize>, ReconError> {
    if let Some(problem) = alignment.problem(series.n_views()) {
        return Err(ReconError::Alignment(problem));
    }
    let used = alignment.used_indices();
    Ok(match half {
        Half::All => used,
        Half::Even => used.into_iter().step_by(2).collect(),
        Half::Odd => used.into_iter().skip(1).step_by(2).collect(),
    })
}

/// The tilt farthest from 0° (or a half turn), in degrees, and whether the views leave no wedge out.
pub(super) fn tilt_range(angles_deg: &[f64]) -> (f64, bool) {
    let covered: f64 = angular_weights(angles_deg).iter().sum();
    let tilt = |a: &f64| ((a + 90.0).rem_euclid(180.0) - 90.0).abs();
    (angles_deg.iter().map(tilt).fold(0.0, f64::max), covered.to_degrees() >= 175.0)
}

/// What the methods read.
pub(super) struct Input<'a> {
    /// Absorbance, shape (views, rows, columns): all views of the series if not binned, the used ones if binned.
    data: Cow<'a, Array3<f32>>,
    /// Position in `data` of each view that takes part.
    views: Vec<usize>,
    pub(super) angles_deg: Vec<f64>,
    /// What the projectors do; 0 for views that are turned while rows are gathered.
    shift_x_px: Vec<f64>,
    shift_y_px: Vec<f64>,
    /// How views that have turned or grown are read.
    turns: Vec<Option<Turn>>,
    pub(super) rows: Range<usize>,
    pub(super) n_cols: usize,
    /// Whether the sample reaches beyond the detector.
    pub(super) beyond: bool,
}

impl<'a> Input<'a> {
    pub(super) fn new(
        progress: &Progress,
        series: &'a TiltSeries,
        alignment: &Alignment,
        params: &ReconstructParams,
        used: Vec<usize>,
        rows: Range<usize>,
    ) -> Result<Self, ReconError> {
        check_finite(progress, series.data.view(), &used)?;
        let bin = params.bin as usize;
        let n_cols = series.n_cols() / bin;
        // Columns that do not fill a bin are dropped at the right, which moves the middle.
        let middle = (series.n_cols() as f64 - 1.0) / 2.0;
        let axis = params.center.unwrap_or(middle) - middle + (series.n_cols() % bin) as f64 / 2.0;
        let shift = |select: fn(&crate::volume::ViewShift) -> f64, offset: f64| -> Vec<f64> {
            used.iter().map(|&v| (select(&alignment.views[v]) + offset) / bin as f64).collect()
        };
        let mut shift_x_px = shift(|view| view.shift_x_px, axis);
        let shift_y_px = shift(|view| view.shift_y_px, 0.0);
        // The middle of the unbinned rows, where binned rows have it.
        let middle_y = (series.n_rows() as f64 - bin as f64) / (2.0 * bin as f64);
        let pivot = [(n_cols as f64 - 1.0) / 2.0, middle_y];
        let turns = used
            .iter()
            .zip(&mut shift_x_px)
            .zip(&shift_y_px)
            .map(|((&v, x), y)| {
                let view = &alignment.views[v];
                let shift = [*x, *y];
                (!view.is_shift()).then(|| {
                    *x = 0.0;
                    Turn { matrix: view.matrix(), pivot, shift }
                })
            })
            .collect();
        let angles_deg = used.iter().map(|&v| alignment.views[v].angle_deg).collect();
        let (data, views) = if bin == 1 {
            (Cow::Borrowed(&series.data), used)
        } else {
            (Cow::Owned(binned(progress, series.data.view(), &used, bin)?), (0..used.len()).collect())
        };
        let beyond = false;
        let mut input = Self { data, views, angles_deg, shift_x_px, shift_y_px, turns, rows, n_cols, beyond };
        input.beyond = match params.sample {
            Sample::Auto => input.edges_absorb(),
            Sample::Inside => false,
            Sample::Beyond => true,
        };
        Ok(input)
    }

    /// The tilt farthest from 0° and whether the views go all round.
    pub(super) fn tilt_range(&self) -> (f64, bool) {
        tilt_range(&self.angles_deg)
    }

    pub(super) fn n_views(&self) -> usize {
        self.views.len()
    }

    /// Slabs of sixteen rows, the last perhaps fewer.
    pub(super) fn n_slabs(&self) -> usize {
        self.rows.len().div_ceil(LANES)
    }

    /// The geometry of a section of `depth` × `width` seen by a detector of `n_cols` columns around the same middle.
    pub(super) fn geometry(&self, n_cols: usize, depth: usize, width: usize) -> ParallelGeometry {
        ParallelGeometry {
            angles_deg: self.angles_deg.clone(),
            shift_x_px: self.shift_x_px.clone(),
            n_cols,
            depth,
            width,
        }
    }

    /// Fills `out` with row `row` (counted in the whole result) of the aligned `view`.
    ///
    /// Between rows it interpolates by Keys' cubic (a = -1/2, doi:10.1109/TASSP.1981.1163711), which keeps 88 % of
    /// the contrast at half of Nyquist where linear interpolation keeps 71 % in the worst case. Rows beyond
    /// the detector repeat the last.
    fn aligned_row(&self, view: usize, row: usize, out: &mut [f32]) {
        let frames = self.data.index_axis(Axis(0), self.views[view]);
        if let Some(turn) = &self.turns[view] {
            turn.row(&frames, row, out);
            return;
        }
        let last = frames.dim().0 as f64 - 1.0;
        let y = (row as f64 + self.shift_y_px[view]).clamp(-2.0, last + 2.0);
        let at = |y: f64| -> ArrayView1<'_, f32> { frames.row(y.clamp(0.0, last) as usize) };
        let whole = y.round();
        if (y - whole).abs() < WHOLE_ROW {
            for (value, source) in out.iter_mut().zip(at(whole)) {
                *value = *source;
            }
            return;
        }
        let floor = y.floor();
        let t = y - floor;
        let weights = keys(t);
        let rows = [at(floor - 1.0), at(floor), at(floor + 1.0), at(floor + 2.0)];
        for (x, value) in out.iter_mut().enumerate() {
            *value = (weights[0] * rows[0][x] + weights[1] * rows[1][x])
                + (weights[2] * rows[2][x] + weights[3] * rows[3][x]);
        }
    }

    /// Rows there are, whichever are wanted.
    pub(super) fn n_rows(&self) -> usize {
        self.data.dim().1
    }

    /// The rows of slab `slab` of those that are wanted, one a lane.
    pub(super) fn slab_rows(&self, slab: usize) -> [Option<usize>; LANES] {
        let first = self.rows.start + slab * LANES;
        std::array::from_fn(|lane| Some(first + lane).filter(|row| *row < self.rows.end))
    }

    /// Fills a sinogram slab with these rows, one a lane (zeros where there is none), and one line per entry of
    /// `views`: each aligned row passes through `work`, which gets the view, the row, a buffer and what `init`
    /// made for the thread, and writes the values of the line.
    pub(super) fn fill<W>(
        &self,
        progress: &Progress,
        rows: &[Option<usize>; LANES],
        views: &[usize],
        sinogram: &mut LanePlane,
        init: impl Fn() -> W + Sync + Send,
        work: impl Fn(usize, &[f32], &mut [f32], &mut W) + Sync,
    ) -> Result<(), Cancelled> {
        let len = sinogram.line_len();
        // A little apart from a power of two, so that the sixteen rows do not fall into one set of a cache.
        let stride = len + 16;
        sinogram.par_lines_mut().zip(views.par_iter()).try_for_each_init(
            || (init(), vec![0.0; self.n_cols], vec![0.0; stride * LANES]),
            |(local, row, lines), (groups, &view)| {
                progress.check()?;
                for (lane, line) in lines.chunks_exact_mut(stride).enumerate() {
                    if let Some(index) = rows[lane] {
                        self.aligned_row(view, index, row);
                        work(view, row, &mut line[..len], local);
                    } else {
                        line.fill(0.0);
                    }
                }
                for (u, group) in groups.iter_mut().enumerate() {
                    *group = Lanes(std::array::from_fn(|lane| lines[lane * stride + u]));
                }
                Ok(())
            },
        )
    }

    /// Whether the outermost columns absorb too much to be free of sample.
    fn edges_absorb(&self) -> bool {
        let mut profile = vec![0.0f64; self.n_cols];
        for &view in &self.views {
            let frame = self.data.index_axis(Axis(0), view);
            for row in frame.outer_iter().step_by(8) {
                for (sum, value) in profile.iter_mut().zip(row) {
                    *sum += f64::from(*value);
                }
            }
        }
        let edge = (self.n_cols / 64).max(2).min(self.n_cols);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let level = mean(&profile[..edge]).max(mean(&profile[self.n_cols - edge..]));
        let peak = profile.iter().copied().fold(0.0, f64::max);
        level > EDGE_SHARE * peak
    }
}

/// Finds the first value that is not finite in the views that take part.
fn check_finite(progress: &Progress, data: ArrayView3<'_, f32>, used: &[usize]) -> Result<(), ReconError> {
    let found = used
        .par_iter()
        .map(|&view| {
            progress.check()?;
            let frame = data.index_axis(Axis(0), view);
            // The sum is finite unless a value is not (or it overflows, which the search then settles).
            let clean = frame.rows().into_iter().all(|row| row.sum().is_finite());
            let bad = if clean { None } else { frame.indexed_iter().find(|(_, v)| !v.is_finite()) };
            Ok(bad.map(|((row, col), _)| ReconError::NotFinite { view, row, col }))
        })
        .collect::<Result<Vec<_>, Cancelled>>()?;
    found.into_iter().flatten().next().map_or(Ok(()), Err)
}

/// Means over squares of `bin` pixels of the used views; rows and columns that do not fill one are dropped.
fn binned(
    progress: &Progress,
    data: ArrayView3<'_, f32>,
    used: &[usize],
    bin: usize,
) -> Result<Array3<f32>, Cancelled> {
    let (_, n_rows, n_cols) = data.dim();
    let mut out = Array3::zeros((used.len(), n_rows / bin, n_cols / bin));
    let scale = 1.0 / (bin * bin) as f32;
    out.outer_iter_mut().into_par_iter().zip(used.par_iter()).try_for_each(|(mut frame, &view)| {
        progress.check()?;
        let source = data.index_axis(Axis(0), view);
        for ((row, col), value) in frame.indexed_iter_mut() {
            let block = source.slice(ndarray::s![row * bin..(row + 1) * bin, col * bin..(col + 1) * bin]);
            *value = block.sum() * scale;
        }
        Ok(())
    })?;
    Ok(out)
}
