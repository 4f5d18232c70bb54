//! The power of a volume in Fourier space across the rotation axis, and the wedges that no view measured.
//!
//! A view at tilt θ measures the line through the middle of the (kz, kx) plane along (−sin θ, cos θ): its projection is a
//! section of the spectrum. Directions between the tilts of neighbouring views are measured as finely as the views
//! follow each other; where a series stops short of half a turn a wedge is left out, and what shows there was made up by
//! the method, not measured (Crowther, DeRosier and Klug, doi:10.1098/rspa.1970.0119).

use ndarray::{Array2, Array3, s};

use crate::base::{Cancelled, Progress};
use crate::kernels::fft::fast_len;
use crate::kernels::fft3::half_spectrum;
use crate::volume::Volume;

/// Rows whose spectra are averaged.
const ROWS: usize = 24;
/// Longest edge of a section that is looked at; longer ones are cut out of the middle.
const LONGEST: usize = 1024;
/// A gap between tilts is a missing wedge when it is wider than this many usual steps, and than [`LEAST_DEG`].
const USUAL_STEPS: f64 = 4.0;
/// Degrees under which no gap is called a missing wedge.
const LEAST_DEG: f64 = 8.0;

/// The power of the sections across the rotation axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// Log10 of the mean power, shape (kz, kx), frequency zero at `[n / 2, n / 2]`; both edges are the same length.
    pub log_power: Array2<f32>,
    /// Highest frequency along z and x, cycles a µm, or a voxel where the size is unknown.
    pub nyquist_zx: [f64; 2],
}

impl Spectrum {
    /// The two values between which nearly all of the picture lies.
    pub fn window(&self) -> [f32; 2] {
        let mut sorted: Vec<f32> = self.log_power.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let at = |part: f64| {
            sorted.get((part * sorted.len().saturating_sub(1) as f64) as usize).copied().unwrap_or(0.0)
        };
        let (low, high) = (at(0.02), at(0.998));
        if high > low { [low, high] } else { [low - 0.5, low + 0.5] }
    }

    /// Where a frequency along z and x lies in the picture, 0 to 1 down and to the right.
    pub fn place(&self, frequency_zx: [f64; 2]) -> [f64; 2] {
        std::array::from_fn(|axis| 0.5 + 0.5 * frequency_zx[axis] / self.nyquist_zx[axis])
    }
}

/// The power of the sections of a volume across the rotation axis y, averaged over rows.
///
/// # Errors
/// [`Cancelled`] if the owner cancelled.
pub fn spectrum(progress: &Progress, volume: &Volume<f32>) -> Result<Spectrum, Cancelled> {
    let [nz, ny, nx] = volume.shape();
    let voxel = volume.voxel_um_or_one();
    let nyquist_zx = [0.5 / voxel[0], 0.5 / voxel[2]];
    if nz * ny * nx == 0 {
        return Ok(Spectrum { log_power: Array2::zeros((0, 0)), nyquist_zx });
    }
    let (deep, wide) = (nz.min(LONGEST), nx.min(LONGEST));
    let (z0, x0) = ((nz - deep) / 2, (nx - wide) / 2);
    // Even, so that the highest frequency stands at the edge.
    let n = fast_len(deep.max(wide)).next_multiple_of(2);
    let taper = |i: usize, n: usize| 0.5 - 0.5 * (std::f64::consts::TAU * (i as f64 + 0.5) / n as f64).cos();
    let mut power = Array2::<f64>::zeros((n, n / 2 + 1));
    let rows = ny.min(ROWS);
    for row in 0..rows {
        let y = (2 * row + 1) * ny / (2 * rows);
        let section = volume.data.slice(s![z0..z0 + deep, y, x0..x0 + wide]);
        let finite = |value: f32| if value.is_finite() { f64::from(value) } else { 0.0 };
        let mean = section.iter().map(|v| finite(*v)).sum::<f64>() / section.len() as f64;
        let mut padded = Array3::<f32>::zeros((n, 1, n));
        for ((z, x), value) in section.indexed_iter() {
            padded[[z, 0, x]] = ((finite(*value) - mean) * taper(z, deep) * taper(x, wide)) as f32;
        }
        let found = half_spectrum(progress, padded.view(), |_, value| value)?;
        power.zip_mut_with(&found.index_axis(ndarray::Axis(1), 0), |sum, value| {
            *sum += f64::from(value.norm_sqr());
        });
    }
    let log_power = Array2::from_shape_fn((n, n), |(row, col)| {
        let (kz, kx) = (row as isize - (n / 2) as isize, col as isize - (n / 2) as isize);
        // The spectrum of a real volume is the same at the opposite frequency.
        let (kz, kx) = if kx < 0 { (-kz, -kx) } else { (kz, kx) };
        let at = [kz.rem_euclid(n as isize) as usize, kx as usize];
        (power[at] / rows as f64).max(1e-30).log10() as f32
    });
    Ok(Spectrum { log_power, nyquist_zx })
}

/// Tilts that no view has: [from, to] in degrees, from −90 up, `to` beyond 90 where a gap goes over the beam's plane.
///
/// A gap counts where it is wider than four usual steps and 8°.
pub fn missing_wedges_deg(angles_deg: &[f64]) -> Vec<[f64; 2]> {
    let mut tilts: Vec<f64> = angles_deg
        .iter()
        .filter(|angle| angle.is_finite())
        .map(|angle| (angle + 90.0).rem_euclid(180.0) - 90.0)
        .collect();
    tilts.sort_unstable_by(f64::total_cmp);
    let Some(first) = tilts.first().copied() else { return Vec::new() };
    let next = tilts.iter().skip(1).copied().chain([first + 180.0]);
    let gaps: Vec<[f64; 2]> = tilts.iter().copied().zip(next).map(|(from, to)| [from, to]).collect();
    let mut steps: Vec<f64> = gaps.iter().map(|[from, to]| to - from).filter(|step| *step > 1e-6).collect();
    steps.sort_unstable_by(f64::total_cmp);
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(0.0);
    let least = LEAST_DEG.max(USUAL_STEPS * if steps.len() > 2 { usual } else { 0.0 });
    gaps.into_iter().filter(|[from, to]| to - from > least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Unit;

    #[test]
    fn a_wave_shows_on_the_line_that_its_tilt_measures() {
        for tilt_deg in [-50.0f64, 0.0, 20.0, 70.0] {
            let (sin, cos) = tilt_deg.to_radians().sin_cos();
            // A wave that varies along the detector of this view: u = x cos θ − z sin θ.
            let data = Array3::from_shape_fn((64, 3, 64), |(z, _, x)| {
                (std::f64::consts::TAU * 0.2 * (x as f64 * cos - z as f64 * sin)).cos() as f32 + 2.0
            });
            let volume = Volume::new(data, Some([0.02; 3]), Unit::PerUm);
            let found = spectrum(&Progress::new(), &volume).unwrap();
            let n = found.log_power.nrows();
            let (peak, _) = found
                .log_power
                .indexed_iter()
                .max_by(|a, b| a.1.total_cmp(b.1))
                .map(|(at, v)| (at, *v))
                .unwrap();
            let expected = [-sin, cos].map(|part| part * 0.2 / 0.02);
            let [row, col] = found.place(expected).map(|part| part * n as f64);
            let distance = |row: f64, col: f64| (peak.0 as f64 - row).hypot(peak.1 as f64 - col);
            let opposite = distance(n as f64 - row, n as f64 - col);
            // To the nearest place of the grid.
            assert!(distance(row, col).min(opposite) < 1.0, "{tilt_deg}: {peak:?} is not {row} {col}");
        }
    }

    #[test]
    fn the_missing_wedge_is_what_no_view_has() {
        let grid: Vec<f64> = (-65..=65).map(f64::from).collect();
        assert_eq!(missing_wedges_deg(&grid), [[65.0, 115.0]]);
        let full: Vec<f64> = (0..180).map(f64::from).collect();
        assert_eq!(missing_wedges_deg(&full), Vec::<[f64; 2]>::new());
        let turn: Vec<f64> = (0..36).map(|i| f64::from(i) * 10.0).collect();
        assert_eq!(missing_wedges_deg(&turn), Vec::<[f64; 2]>::new(), "an even, coarse turn misses no wedge");
        let hole: Vec<f64> = (0..180).map(f64::from).filter(|a| !(30.0..50.0).contains(a)).collect();
        assert_eq!(missing_wedges_deg(&hole), [[29.0, 50.0]]);
        assert_eq!(missing_wedges_deg(&[]), Vec::<[f64; 2]>::new());
        assert_eq!(missing_wedges_deg(&[f64::NAN]), Vec::<[f64; 2]>::new());
        assert_eq!(missing_wedges_deg(&[10.0]), [[10.0, 190.0]]);
    }

    #[test]
    fn nothing_and_what_is_no_number_are_taken() {
        let empty = Volume::new(Array3::<f32>::zeros((0, 4, 4)), None, Unit::PerVoxel);
        assert_eq!(spectrum(&Progress::new(), &empty).unwrap().log_power.len(), 0);
        let mut data = Array3::<f32>::zeros((5, 1, 9));
        data[[2, 0, 3]] = f32::NAN;
        data[[2, 0, 4]] = 1.0;
        let odd = Volume::new(data, None, Unit::PerVoxel);
        let found = spectrum(&Progress::new(), &odd).unwrap();
        assert!(found.log_power.iter().all(|v| v.is_finite()));
        let cancelled = Progress::new();
        cancelled.cancel();
        assert!(spectrum(&cancelled, &odd).is_err());
    }
}
