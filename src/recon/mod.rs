//! From an aligned tilt series to a volume of linear absorption coefficients.
//!
//! One entry, [`reconstruct`]. The alignment is applied with one interpolation: `shift_x` inside the
//! interpolation of the projectors, which is needed anyway, and `shift_y` (cubic, none where it is
//! whole) while rows are gathered. Work goes slab by slab of sixteen rows, so that beside input and
//! output only one slab is in memory; every row is independent of the others, which is why a range of
//! rows gives the same values as the whole.

mod fbp;
mod input;
mod plan;
mod sirt;
mod weights;

use std::ops::Range;

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, MemoryBudget, MemoryError, Progress, Unit};
use crate::kernels::filter::Window;
use crate::volume::{Alignment, TiltSeries, Volume};

pub use input::used_views;
pub use plan::{Plan, plan};
pub use weights::angular_weights;

/// How the volume is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Filtered (weighted) back-projection: quick.
    #[default]
    Fbp,
    /// Simultaneous iterative reconstruction: quiet, quantitative on limited tilt, slow.
    Sirt,
}

/// Whether the sample reaches beyond the detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sample {
    /// Judged by how much the outermost columns absorb.
    #[default]
    Auto,
    /// The sample lies inside the detector in every view: nothing is beyond.
    Inside,
    /// The sample goes on: what is beyond the detector is unknown, not empty.
    Beyond,
}

/// Which views take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Half {
    /// All that the alignment uses.
    #[default]
    All,
    /// Every other used view, from the first.
    Even,
    /// Every other used view, from the second.
    Odd,
}

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconstructParams {
    /// How the volume is found.
    pub method: Method,
    /// Window on the ramp filter of FBP.
    pub filter: Window,
    /// Where the window of FBP ends, as a fraction of the highest frequency, 0.05 to 1.
    pub cutoff: f64,
    /// Steepness of the Butterworth window, 1 to 20.
    pub order: u32,
    /// Sweeps of SIRT over all views, 1 to 10000.
    pub iterations: u32,
    /// Groups of interleaved views after each of which SIRT updates the volume, 1 to 64; more groups converge faster.
    pub subsets: u32,
    /// Step of SIRT, above 0 and below 2.
    pub relaxation: f32,
    /// Whether SIRT keeps every voxel at zero or above.
    pub nonnegative: bool,
    /// Voxels of the result along the beam; as many as columns where not given.
    pub thickness: Option<usize>,
    /// Pixels averaged along each side before anything else, 1 to 16.
    pub bin: u32,
    /// Column of the rotation axis in unbinned pixels, before the shifts of the alignment; the middle where not given.
    pub center: Option<f64>,
    /// Whether the sample reaches beyond the detector.
    pub sample: Sample,
    /// Which views take part.
    pub half: Half,
    /// First row of the result, from 0; row 0 where not given.
    pub first_row: Option<usize>,
    /// Row after the last of the result; all that there are where not given.
    pub end_row: Option<usize>,
}

impl Default for ReconstructParams {
    fn default() -> Self {
        Self {
            method: Method::Fbp,
            filter: Window::Hann,
            cutoff: 1.0,
            order: 4,
            iterations: 20,
            subsets: 5,
            relaxation: 1.0,
            nonnegative: true,
            thickness: None,
            bin: 1,
            center: None,
            sample: Sample::Auto,
            half: Half::All,
            first_row: None,
            end_row: None,
        }
    }
}

/// Why there is no reconstruction.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReconError {
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The plan is over the memory budget.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The alignment does not fit the series.
    #[error("{0}")]
    Alignment(String),
    /// A value of the series is not a number.
    #[error(
        "view {view} is not finite at row {row}, column {col}: normalise the scan again or exclude the view"
    )]
    NotFinite {
        /// Position of the view in the series.
        view: usize,
        /// Row of the first such value.
        row: usize,
        /// Column of the first such value.
        col: usize,
    },
    /// Nothing to reconstruct.
    #[error("nothing to reconstruct: {views} views of {rows} rows and {cols} columns after binning by {bin}")]
    Empty {
        /// Views that take part.
        views: usize,
        /// Rows asked for.
        rows: usize,
        /// Columns after binning.
        cols: usize,
        /// Binning.
        bin: u32,
    },
    /// The rows asked for are not there.
    #[error("rows {start}..{end} were asked for, there are rows 0..{n_rows}: choose a range within them")]
    Rows {
        /// First row asked for.
        start: usize,
        /// Row after the last asked for.
        end: usize,
        /// Rows there are, after binning.
        n_rows: usize,
    },
    /// A parameter outside its range.
    #[error("{name} is {value}, it must lie in {range}")]
    Parameter {
        /// The parameter as its field is called.
        name: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        range: &'static str,
    },
}

impl ReconstructParams {
    /// The rows of the result that are wanted, of a series of `series_rows` unbinned rows.
    pub fn rows(&self, series_rows: usize) -> Range<usize> {
        let n_rows = series_rows / self.bin.max(1) as usize;
        self.first_row.unwrap_or(0)..self.end_row.unwrap_or(n_rows)
    }

    fn validate(&self) -> Result<(), ReconError> {
        let check = |ok: bool, name: &'static str, value: String, range: &'static str| {
            if ok { Ok(()) } else { Err(ReconError::Parameter { name, value, range }) }
        };
        check((0.05..=1.0).contains(&self.cutoff), "cutoff", self.cutoff.to_string(), "0.05..=1")?;
        check((1..=20).contains(&self.order), "order", self.order.to_string(), "1..=20")?;
        check(
            (1..=10_000).contains(&self.iterations),
            "iterations",
            self.iterations.to_string(),
            "1..=10000",
        )?;
        check((1..=64).contains(&self.subsets), "subsets", self.subsets.to_string(), "1..=64")?;
        let step = self.relaxation;
        check(step > 0.0 && step < 2.0, "relaxation", step.to_string(), "0 to 2, both excluded")?;
        check((1..=16).contains(&self.bin), "bin", self.bin.to_string(), "1..=16")?;
        let thickness = self.thickness.unwrap_or(1);
        check((1..=65_536).contains(&thickness), "thickness", thickness.to_string(), "1..=65536")?;
        let center = self.center.unwrap_or(0.0);
        check(center.abs() < 1.0e6, "center", center.to_string(), "±1000000")
    }
}

/// Reconstructs `series`: all its rows, or those from `first_row` to `end_row`.
///
/// The result has shape (thickness or columns, rows, columns) after binning and is in 1/µm where the pixel
/// size is known, in 1/voxel otherwise.
///
/// # Errors
/// See [`ReconError`].
pub fn reconstruct(
    progress: &Progress,
    series: &TiltSeries,
    alignment: &Alignment,
    params: &ReconstructParams,
    budget: MemoryBudget,
) -> Result<Volume<f32>, ReconError> {
    reconstruct_rows(progress, series, alignment, params, budget, params.rows(series.n_rows()))
}

/// Reconstructs some rows of `series`: the same values as those rows of [`reconstruct`].
///
/// `rows` counts rows of the result, so after binning. The y origin of the volume says where they belong.
///
/// # Errors
/// See [`ReconError`].
pub fn reconstruct_rows(
    progress: &Progress,
    series: &TiltSeries,
    alignment: &Alignment,
    params: &ReconstructParams,
    budget: MemoryBudget,
    rows: Range<usize>,
) -> Result<Volume<f32>, ReconError> {
    params.validate()?;
    let views = input::used_views(series, alignment, params.half)?;
    let plan = plan(series.data.dim(), views.len(), &series.angles_deg, params, rows.clone())?;
    budget.admit(plan.peak_bytes)?;
    let input = input::Input::new(progress, series, alignment, params, views, rows.clone())?;
    let [depth, n_rows, width] = plan.shape;
    let mut data = Array3::zeros((depth, n_rows, width));
    let voxel_um = series.pixel_um.map(|pixel| pixel * f64::from(params.bin));
    let per_voxel = (1.0 / voxel_um.unwrap_or(1.0)) as f32;
    match params.method {
        Method::Fbp => fbp::fbp(progress, &input, params, per_voxel, data.view_mut())?,
        Method::Sirt => sirt::sirt(progress, &input, params, per_voxel, data.view_mut())?,
    }
    let unit = if voxel_um.is_some() { Unit::PerUm } else { Unit::PerVoxel };
    let mut volume = Volume::new(data, voxel_um.map(|v| [v; 3]), unit);
    volume.origin_um = origin_um(series, params, rows.start, depth);
    Ok(volume)
}

/// World position in µm (z, y, x) of voxel (0, 0, 0) of a result that begins at `first_row` and is `depth` deep.
///
/// Binned results and ranges of rows stay in place in the world.
pub fn origin_um(
    series: &TiltSeries,
    params: &ReconstructParams,
    first_row: usize,
    depth: usize,
) -> [f64; 3] {
    let pixel = series.pixel_um.unwrap_or(1.0);
    let bin = f64::from(params.bin);
    let first = (bin - 1.0) / 2.0;
    // The axis stays where it is, also where the last columns do not fill a bin.
    let z = match params.thickness {
        None => (series.n_cols() as f64 - 1.0) / 2.0 - bin * (depth as f64 - 1.0) / 2.0,
        Some(_) => 0.0,
    };
    [z * pixel, (first + first_row as f64 * bin) * pixel, first * pixel]
}

#[cfg(test)]
mod tests;
