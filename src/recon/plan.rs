//! What a reconstruction will take, before it starts.

use std::ops::Range;
use std::sync::OnceLock;

use super::fbp::extra_columns;
use super::sirt::section_size;
use super::{Mask, Method, ReconError, ReconstructParams, Sample};
use crate::gpu::Gpu;
use crate::kernels::lanes::{LANES, LanePlane};
use crate::kernels::projector::SlabProjector;

/// What one proximal map of total variation costs at a voxel, in updates.
const DENOISING: u64 = 40;
/// What an update costs where each distance from focus is blurred by itself, in plain ones.
const THROUGH_A_LENS: u64 = 18;
/// Steps of CGLS that a scan usually needs.
const USUAL_STEPS: u64 = 12;
/// Values that a thread filters or puts in place a second, about.
const VALUES_PER_SECOND: f64 = 1.0e8;

/// Updates a second of the graphics card, once it was measured.
static CARD_RATE: OnceLock<Option<f64>> = OnceLock::new();

/// Size, memory and work of a reconstruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Shape of the result as z, y, x.
    pub shape: [usize; 3],
    /// Bytes of input, output and everything between at the peak.
    pub peak_bytes: u64,
    /// Voxel updates (one voxel, one view, one direction) of the whole work.
    pub updates: u64,
}

impl Plan {
    /// Seconds it will take at `updates_per_second` over all cores.
    pub fn seconds(&self, updates_per_second: f64) -> f64 {
        self.updates as f64 / updates_per_second.max(1.0)
    }

    /// Seconds it will take on this machine: on the graphics card if one was measured and the method can use it, else on
    /// all cores.
    pub fn seconds_here(&self, method: Method) -> f64 {
        let card = match method {
            Method::Fbp | Method::Sirt => CARD_RATE.get().copied().flatten(),
            Method::Cgls | Method::Tv => None,
        };
        card.map_or_else(|| self.seconds(updates_per_second()), |rate| self.seconds_on_card(method, rate))
    }

    /// Seconds on a card that makes `rate` updates a second, while the processor gathers and filters rows and takes
    /// results over.
    fn seconds_on_card(&self, method: Method, rate: f64) -> f64 {
        let [depth, n_rows, width] = self.shape;
        let filtered = if method == Method::Fbp { self.updates as f64 / depth.max(1) as f64 } else { 0.0 };
        let values = filtered + (depth * n_rows * width) as f64;
        self.seconds(rate).max(values / (VALUES_PER_SECOND * rayon::current_num_threads() as f64))
    }
}

/// Voxel updates a second on all cores of this machine, measured once a process on this thread (some 30 ms).
pub fn updates_per_second() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| SlabProjector::updates_per_second() * rayon::current_num_threads() as f64)
}

/// Measures this graphics device, once a process, so that forecasts are of it; some 0.1 s.
pub fn measure_card(gpu: &Gpu) {
    let _ = CARD_RATE.get_or_init(|| super::card::updates_per_second(gpu));
}

/// Plans the reconstruction of rows `rows` from `n_used` views of a series of shape `(views, rows, columns)`.
///
/// Where it is left to the data whether the sample reaches beyond the detector, the larger need is planned.
///
/// # Errors
/// [`ReconError::Empty`] and [`ReconError::Rows`] where nothing would be done.
pub fn plan(
    series_shape: (usize, usize, usize),
    n_used: usize,
    angles_deg: &[f64],
    params: &ReconstructParams,
    rows: Range<usize>,
) -> Result<Plan, ReconError> {
    let bin = params.bin.max(1) as usize;
    let (n_views, n_rows, n_cols) = (series_shape.0, series_shape.1 / bin, series_shape.2 / bin);
    if rows.end > n_rows || (rows.is_empty() && n_rows > 0) {
        return Err(ReconError::Rows { start: rows.start, end: rows.end, n_rows });
    }
    if n_used == 0 || rows.is_empty() || n_cols == 0 {
        return Err(ReconError::Empty { views: n_used, rows: rows.len(), cols: n_cols, bin: params.bin });
    }
    let depth = params.thickness.unwrap_or(n_cols);
    let beyond = params.sample != Sample::Inside;
    let f32s = |count: usize| (count * size_of::<f32>()) as u64;
    let input = f32s(n_views * series_shape.1 * series_shape.2)
        + if bin > 1 { f32s(n_used * n_rows * n_cols) } else { 0 };
    let output = f32s(depth * rows.len() * n_cols);
    let n_slabs_rows = rows.len() as u64;
    let (slab, updates) = match params.method {
        Method::Fbp => {
            let columns = n_cols + 2 * extra_columns(n_cols, beyond);
            (LanePlane::bytes(n_used, columns), (depth * n_cols * n_used) as u64 * n_slabs_rows)
        }
        method => {
            let (tilt, full) = super::input::tilt_range(angles_deg);
            let (deep, wide) = section_size(depth, n_cols, beyond, tilt, full, params.thickness.is_none());
            let (sweeps, subsets) = (u64::from(params.sweeps(!full)), params.subsets().min(n_used));
            let weights = f32s(n_used * n_cols + subsets * deep * wide);
            let planes = |sections: u64, sinograms: u64| {
                sections * LanePlane::bytes(deep, wide)
                    + sinograms * LanePlane::bytes(n_used, n_cols)
                    + weights
            };
            // Ray and voxel weights of a subset are found with a second section.
            let slab = match method {
                Method::Tv => planes(6, 2),
                // The size of the halo and the number of bands follow from the lens; admitted again when they are known.
                Method::Cgls if params.zone_nm.is_some() => {
                    let halo = 2 * LANES;
                    super::depth::bytes(rows.len() + 2 * halo, n_cols + 2 * halo, n_used, [deep, wide], 10)
                }
                Method::Sirt if params.mask == Mask::None || params.mask_size.is_some() => planes(2, 2),
                _ => planes(4, 5),
            };
            let sweep = 2 * (deep * wide * n_used) as u64;
            let updates = match method {
                Method::Tv => {
                    let denoising = DENOISING * (deep * wide * subsets) as u64;
                    super::tv::slabs(&rows).len() as u64 * LANES as u64 * sweeps * (sweep + denoising)
                }
                Method::Cgls if params.zone_nm.is_some() => {
                    let rows = n_slabs_rows + 2 * LANES as u64 + 4 * super::depth::MOST_HALO as u64;
                    rows * sweeps.min(USUAL_STEPS) * sweep * THROUGH_A_LENS
                }
                // Of the sample, and of all rows until the noise comes in.
                Method::Cgls => (n_slabs_rows + LANES as u64) * sweeps.min(USUAL_STEPS) * sweep,
                _ => n_slabs_rows * sweeps * sweep,
            };
            (slab, updates)
        }
    };
    Ok(Plan { shape: [depth, rows.len(), n_cols], peak_bytes: input + output + slab, updates })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_waited_for_or_the_processor_beside_it() {
        let plan = Plan { shape: [500, 1024, 1024], peak_bytes: 0, updates: 500 * 1024 * 1024 * 131 };
        // 69 G updates.
        assert!((plan.seconds_on_card(Method::Sirt, 1.0e9) - 68.7).abs() < 0.1);
        let threads = rayon::current_num_threads() as f64;
        let (fbp, sirt) = (plan.seconds_on_card(Method::Fbp, 1e15), plan.seconds_on_card(Method::Sirt, 1e15));
        assert!((fbp * threads - 6.6).abs() < 0.1 && (sirt * threads - 5.2).abs() < 0.1, "{fbp} {sirt}");
    }
}
