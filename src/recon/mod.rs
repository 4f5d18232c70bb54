//! From an aligned tilt series to a volume of linear absorption coefficients.
//!
//! One entry, [`reconstruct`]. The alignment is applied with one interpolation: `shift_x` inside the
//! interpolation of the projectors, which is needed anyway, and `shift_y` (cubic, none where it is
//! whole) while rows are gathered. Work goes slab by slab of sixteen rows, so that beside input and
//! output only one slab is in memory; every row is independent of the others, which is why a range of
//! rows gives the same values as the whole.

mod aligned;
pub mod calibrate;
mod card;
mod cgls;
mod depth;
mod domain;
mod dual;
mod fbp;
mod input;
mod lens;
mod mask;
mod noise;
mod params;
mod plan;
mod running;
mod sirt;
mod steps;
mod tv;
mod validity;
mod weights;

use std::ops::Range;

use ndarray::Array3;
use serde::Serialize;

use crate::base::{Cancelled, MemoryBudget, MemoryError, Progress, Unit};
use crate::gpu::Gpu;
use crate::kernels::lens::Lens;
use crate::volume::{Alignment, TiltSeries, Volume};

/// Photon energy where it is not known, in eV.
const USUAL_EV: f64 = 520.0;

pub use aligned::{ViewResidual, aligned_series, reproject, residuals};
pub use calibrate::{CalibrateParams, Calibration, calibrate};
pub use depth::Depth;
pub use dual::{Aligned, Dual, DualParams, dual_axis};
pub use input::used_views;
pub use params::{Half, Mask, Method, ReconstructParams, Sample, Weighting};
pub use plan::{Plan, measure_card, plan, updates_per_second};
pub use running::Running;
pub use validity::{Trust, Validity, validity};
pub use weights::angular_weights;

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
    /// A volume or a series does not go with the others.
    #[error("{0}")]
    Volume(String),
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
    /// The mask asked for cannot be found.
    #[error("{0}")]
    Mask(String),
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

/// What a reconstruction found and chose on the way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How it was made.
    pub method: Method,
    /// Sweeps or steps that every row got; none for filtered back-projection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u32>,
    /// Groups of views.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subsets: Option<u32>,
    /// Standard deviation of the absorbance of a pixel where nothing absorbs, where it was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// The mask: [middle, thickness] of a slab or [radius] of a capillary, in voxels of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_voxels: Option<Vec<f64>>,
    /// How depth of field was taken into account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<Depth>,
    /// How far the values can be trusted.
    pub lac: Validity,
    /// Name of the graphics device that made it; none where the processor did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What the user should know of the device: which one it was, or why it was not used.
    #[serde(skip)]
    pub note: Option<String>,
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
    let rows = params.rows(series.n_rows());
    Ok(reconstruct_rows(progress, series, alignment, params, budget, rows)?.0)
}

/// Reconstructs some rows of `series`, the same values as those rows of [`reconstruct`], and says what it chose.
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
) -> Result<(Volume<f32>, Report), ReconError> {
    reconstruct_rows_on(progress, None, series, alignment, params, budget, rows)
}

/// As [`reconstruct_rows`], on a graphics device where one is given: filtered back-projection and SIRT agree with those of the
/// processor to a thousandth of the range, the other methods are the processor's.
///
/// A device that fails or is too small gives way to the processor; the report says which it was.
///
/// # Errors
/// See [`ReconError`].
pub fn reconstruct_rows_on(
    progress: &Progress,
    gpu: Option<&Gpu>,
    series: &TiltSeries,
    alignment: &Alignment,
    params: &ReconstructParams,
    budget: MemoryBudget,
    rows: Range<usize>,
) -> Result<(Volume<f32>, Report), ReconError> {
    params.validate()?;
    let views = input::used_views(series, alignment, params.half)?;
    let plan = plan(series.data.dim(), views.len(), &series.angles_deg, params, rows.clone())?;
    budget.admit(plan.peak_bytes)?;
    let [depth, n_rows, width] = plan.shape;
    let room = budget.bytes.saturating_sub(plan.peak_bytes);
    let input = input::Input::new(progress, series, alignment, params, views, rows.clone())?;
    let mut data = Array3::zeros((depth, n_rows, width));
    let voxel_um = series.pixel_um.map(|pixel| pixel * f64::from(params.bin));
    let per_voxel = (1.0 / voxel_um.unwrap_or(1.0)) as f32;
    let limited = !input.tilt_range().1;
    let sweeps = params.sweeps(limited);
    let mut report = Report {
        method: params.method,
        iterations: (params.method != Method::Fbp).then_some(sweeps),
        subsets: matches!(params.method, Method::Sirt | Method::Tv)
            .then_some(params.subsets().min(input.n_views()) as u32),
        noise: None,
        mask_voxels: None,
        depth: None,
        lac: validity(params, &input.angles_deg, series.pixel_um.is_some()),
        device: None,
        note: None,
    };
    let on = gpu.map(|gpu| card::On { gpu, room });
    if params.method == Method::Fbp {
        let work = |on: card::On<'_>| card::fbp(progress, on, &input, params, per_voxel, data.view_mut());
        if !attempt(on, work, &mut report)? {
            fbp::fbp(progress, &input, params, per_voxel, data.view_mut())?;
        }
    } else {
        let scale = mask::Scale { voxel_um, energy_ev: series.energy_ev };
        let region = mask::region(progress, &input, params, depth, width, scale)?;
        report.mask_voxels = region.map(|region| match region {
            mask::Region::Slab { middle, thickness } => vec![middle, thickness],
            mask::Region::Cylinder { radius } => vec![radius],
        });
        let domain = domain::Domain::new(&input, params, depth, width, region);
        let mut volume = data.view_mut();
        match params.method {
            Method::Cgls => {
                let optics = optics(params, series, &domain, &input)?;
                report.depth = optics.as_ref().map(depth::Optics::report);
                let (steps, noise) = match &optics {
                    None => cgls::cgls(progress, &input, params, &domain, sweeps, per_voxel, volume)?,
                    Some(optics) => {
                        let limits = depth::Limits { most: sweeps, budget, per_voxel };
                        depth::cgls(progress, &input, params, &domain, optics, limits, volume)?
                    }
                };
                (report.iterations, report.noise) = (Some(steps), Some(noise));
            }
            Method::Tv => {
                report.noise = Some(tv::tv(progress, &input, params, &domain, sweeps, per_voxel, volume)?);
            }
            Method::Fbp | Method::Sirt => {
                let work = |on: card::On<'_>| {
                    let volume = volume.view_mut();
                    card::sirt(progress, on, &input, params, &domain, sweeps, per_voxel, volume)
                };
                if !attempt(on, work, &mut report)? {
                    sirt::sirt(progress, &input, params, &domain, sweeps, per_voxel, volume)?;
                }
            }
        }
    }
    let unit = if voxel_um.is_some() { Unit::PerUm } else { Unit::PerVoxel };
    let mut volume = Volume::new(data, voxel_um.map(|v| [v; 3]), unit);
    volume.origin_um = origin_um(series, params, rows.start, depth);
    Ok((volume, report))
}

/// What the lens does, where it is to be taken into account.
fn optics(
    params: &ReconstructParams,
    series: &TiltSeries,
    domain: &domain::Domain,
    input: &input::Input<'_>,
) -> Result<Option<depth::Optics>, ReconError> {
    let Some(zone_nm) = params.zone_nm else { return Ok(None) };
    let pixel_um = series.pixel_um.filter(|um| *um > 0.0).ok_or_else(|| {
        ReconError::Volume(
            "depth of field needs the pixel size, which is unknown: give it (--pixel-size), or leave zone_nm empty"
                .to_owned(),
        )
    })?;
    let lens = Lens::new(zone_nm, series.energy_ev.filter(|ev| *ev > 0.0).unwrap_or(USUAL_EV));
    let voxel_um = pixel_um * f64::from(params.bin);
    Ok(Some(depth::Optics::new(lens, params.focus_um, voxel_um, domain, input)))
}

/// Tries the device that is given; whether it has done all. The report says so, or why not.
fn attempt(
    on: Option<card::On<'_>>,
    work: impl FnOnce(card::On<'_>) -> Result<(), card::CardError>,
    report: &mut Report,
) -> Result<bool, ReconError> {
    let Some(on) = on else { return Ok(false) };
    let name = &on.gpu.info.name;
    match work(on) {
        Ok(()) => {
            report.note = Some(format!("Reconstructed on {name}"));
            report.device = Some(name.clone());
            Ok(true)
        }
        Err(card::CardError::Cancelled(cancelled)) => Err(cancelled.into()),
        Err(error) => {
            report.note =
                Some(format!("{name} was not used for the reconstruction: {error}; the processor was"));
            Ok(false)
        }
    }
}

/// World position in µm (z, y, x) of voxel (0, 0, 0) of a result that begins at `first_row` and is `depth` deep.
///
/// Binned results, thinner and thicker ones and ranges of rows stay in place in the world: the rotation axis lies at
/// `(columns − 1) / 2` pixels along x and z, pixel (0, 0) of a view at x = y = 0.
pub fn origin_um(
    series: &TiltSeries,
    params: &ReconstructParams,
    first_row: usize,
    depth: usize,
) -> [f64; 3] {
    let pixel = series.pixel_um.unwrap_or(1.0);
    let bin = f64::from(params.bin);
    let first = (bin - 1.0) / 2.0;
    let width = series.n_cols() / params.bin.max(1) as usize;
    // The axis stays where it is whatever the thickness, also where the last columns do not fill a bin.
    let around_axis = |n: usize| (series.n_cols() as f64 - 1.0) / 2.0 - bin * (n as f64 - 1.0) / 2.0;
    [around_axis(depth) * pixel, (first + first_row as f64 * bin) * pixel, around_axis(width) * pixel]
}

#[cfg(test)]
mod method_tests;
#[cfg(test)]
mod tests;
