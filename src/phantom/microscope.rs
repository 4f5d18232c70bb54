//! A simulated transmission microscope: turns a [`Cell`] into detector counts with everything that goes wrong.
//!
//! Noiseless absorbance is the line integral of the LAC (the projector of `kernels`), displaced by
//! the exact shift of each view: along x in the geometry, along y by an eight-tap Lanczos kernel.
//! Counts are `flux · beam · illumination · exp(-absorbance)` with Poisson noise, plus a dark level
//! with read noise. On a grid the ice beyond the field is added analytically, so that a slab goes on for ever.

use ndarray::{Array2, Array3, ArrayViewMut2, Axis};
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Poisson, StandardNormal};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::cell::{Cell, PhantomError, ScanKind};
use super::texture::mix;
use super::truth::Truth;
use crate::base::{Cancelled, Progress, Unit};
use crate::kernels::projector::{ParallelGeometry, project};
use crate::volume::{AnyArray, Scan};

/// Half width of the kernel that displaces a view along y, in pixels.
const LANCZOS: isize = 4;

/// How the cell is scanned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScanParams {
    /// Number of views, 1 to 3600; unset: 180 for a full rotation (-90° to 89°), 131 on a grid.
    pub n_views: Option<usize>,
    /// Largest tilt on a grid in degrees, 1 to 80.
    pub max_tilt_deg: f64,
    /// Photons per pixel and view without a sample, mean over the field at the start, 1 to 40 000.
    pub flux: f64,
    /// Counts that the detector reads without any beam, 0 to 5000.
    pub dark_level: f64,
    /// Standard deviation of the read noise in counts, 0 to 100.
    pub read_noise: f64,
    /// How uneven the beam is: about the fraction that it loses from the middle to the corners, 0 to 0.8.
    pub uneven: f64,
    /// Fraction of the beam lost from the first view to the last; the beam monitor records it, 0 to 0.9.
    pub beam_decay: f64,
    /// Standard deviation of the random displacement of each view along y and x in pixels, 0 to 20; a slow drift of about the same size comes with it.
    pub jitter_px: f64,
    /// How far right of the middle column the rotation axis lies, in pixels.
    pub axis_offset_px: f64,
    /// Number of flat fields, half before and half after the views, 2 to 200.
    pub n_flats: usize,
    /// Number of dark frames, 1 to 200.
    pub n_darks: usize,
    /// Photon and read noise; without it counts are exact and not rounded.
    pub noise: bool,
    /// Energy in eV that the scan states.
    pub energy_ev: f64,
    /// Noise, beam and jitter follow from it.
    pub seed: u64,
}

impl Default for ScanParams {
    fn default() -> Self {
        Self {
            n_views: None,
            max_tilt_deg: 65.0,
            flux: 10_000.0,
            dark_level: 100.0,
            read_noise: 3.0,
            uneven: 0.25,
            beam_decay: 0.04,
            jitter_px: 0.0,
            axis_offset_px: 0.0,
            n_flats: 20,
            n_darks: 10,
            noise: true,
            energy_ev: 520.0,
            seed: 0,
        }
    }
}

/// A scan with what only a simulation knows.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedScan {
    /// What a reader would give back: counts, flats, darks, angles, beam monitor.
    pub scan: Scan,
    /// What the scan is judged by.
    pub truth: Truth,
}

/// Scans a cell. The same cell and parameters give the same bits on any number of threads.
///
/// Memory: the views as f32 and as u16, and on a grid one copy of the volume.
///
/// # Errors
/// [`PhantomError::Parameter`] for a parameter out of range, [`PhantomError::Cancelled`].
pub fn scan(progress: &Progress, cell: &Cell, params: &ScanParams) -> Result<SimulatedScan, PhantomError> {
    validate(params)?;
    let angles_deg = angles(cell.params.scan, params);
    let shifts_yx = shifts(angles_deg.len(), params);
    let absorbance = absorbance(progress, cell, &angles_deg, &shifts_yx)?;
    let detector = Detector::new(params, absorbance.dim().1, absorbance.dim().2);
    let n_views = angles_deg.len();
    let beam = detector.beam(n_views);
    progress.phase("Exposing", n_views as u64);
    let projections = detector.expose(progress, Frames::Views(absorbance), &beam)?;
    let n_before = params.n_flats.div_ceil(2);
    let flat_times: Vec<f64> =
        (0..params.n_flats).map(|i| if i < n_before { 0.0 } else { n_views as f64 }).collect();
    let flat_beam: Vec<f64> = flat_times.iter().map(|t| detector.decay(t / n_views as f64)).collect();
    let flats = detector.expose(progress, Frames::Flats(params.n_flats), &flat_beam)?;
    let darks = detector.expose(progress, Frames::Darks(params.n_darks), &vec![0.0; params.n_darks])?;

    let mut scan = Scan::new(projections, Unit::Counts);
    scan.flats = Some(flats);
    scan.darks = Some(darks);
    scan.pixel_um = Some(cell.voxel_um);
    scan.energy_ev = Some(params.energy_ev);
    scan.beam = beam;
    scan.flat_beam = flat_beam;
    scan.flat_times = flat_times;
    scan.exposure_s = vec![1.0; n_views];
    scan.metadata.insert("source".to_owned(), "simulated microscope".to_owned());
    scan.angles_deg = angles_deg;
    Ok(SimulatedScan { scan, truth: Truth::new(cell, &shifts_yx) })
}

fn validate(params: &ScanParams) -> Result<(), PhantomError> {
    let checks = [
        ("n_views", params.n_views.map_or(1.0, |n| n as f64), 1.0, 3600.0, "between 1 and 3600"),
        ("max_tilt_deg", params.max_tilt_deg, 1.0, 80.0, "between 1 and 80 degrees"),
        ("flux", params.flux, 1.0, 40_000.0, "between 1 and 40000 photons per pixel and view"),
        ("dark_level", params.dark_level, 0.0, 5000.0, "between 0 and 5000 counts"),
        ("read_noise", params.read_noise, 0.0, 100.0, "between 0 and 100 counts"),
        ("uneven", params.uneven, 0.0, 0.8, "between 0 and 0.8"),
        ("beam_decay", params.beam_decay, 0.0, 0.9, "between 0 and 0.9"),
        ("jitter_px", params.jitter_px, 0.0, 20.0, "between 0 and 20 pixels"),
        ("axis_offset_px", params.axis_offset_px, -500.0, 500.0, "between -500 and 500 pixels"),
        ("n_flats", params.n_flats as f64, 2.0, 200.0, "between 2 and 200"),
        ("n_darks", params.n_darks as f64, 1.0, 200.0, "between 1 and 200"),
        ("energy_ev", params.energy_ev, 50.0, 20_000.0, "between 50 and 20000 eV"),
    ];
    for (name, value, low, high, range) in checks {
        if !(low..=high).contains(&value) {
            return Err(PhantomError::Parameter { name, value, range });
        }
    }
    Ok(())
}

fn angles(kind: ScanKind, params: &ScanParams) -> Vec<f64> {
    match kind {
        ScanKind::Full => {
            let n = params.n_views.unwrap_or(180);
            (0..n).map(|i| -90.0 + 180.0 * i as f64 / n as f64).collect()
        }
        ScanKind::Grid => {
            let n = params.n_views.unwrap_or(131);
            let step = 2.0 * params.max_tilt_deg / (n.max(2) - 1) as f64;
            (0..n).map(|i| step.mul_add(i as f64, -params.max_tilt_deg)).collect()
        }
    }
}

/// Displacement of each view as (y, x) in pixels: axis offset, jitter and a slow drift.
fn shifts(n_views: usize, params: &ScanParams) -> Vec<[f64; 2]> {
    let mut rng = Pcg64Mcg::seed_from_u64(mix(params.seed, 0x51F7));
    let phases: [f64; 4] = std::array::from_fn(|_| rng.random_range(0.0..std::f64::consts::TAU));
    (0..n_views)
        .map(|view| {
            let t = std::f64::consts::TAU * view as f64 / n_views as f64;
            let drift = |a: f64, b: f64| 0.8 * (0.7 * t + a).sin() + 0.5 * (1.9 * t + b).sin();
            let drift_yx = [drift(phases[0], phases[1]), drift(phases[2], phases[3])];
            let jitter: [f64; 2] = std::array::from_fn(|_| StandardNormal.sample(&mut rng));
            let [y, x] = std::array::from_fn(|i| params.jitter_px * (jitter[i] + drift_yx[i]));
            [y, x + params.axis_offset_px]
        })
        .collect()
}

/// Noiseless absorbance of every view, displaced.
fn absorbance(
    progress: &Progress,
    cell: &Cell,
    angles_deg: &[f64],
    shifts_yx: &[[f64; 2]],
) -> Result<Array3<f32>, Cancelled> {
    let (depth, n_rows, n_cols) = cell.lac.data.dim();
    let mut geometry = ParallelGeometry::new(angles_deg, n_cols);
    geometry.depth = depth;
    geometry.shift_x_px = shifts_yx.iter().map(|shift| shift[1]).collect();
    progress.phase("Shining through", n_rows.div_ceil(16) as u64);
    let mut views = if cell.slab_lac.is_empty() {
        project(progress, &geometry, cell.lac.data.view())?
    } else {
        // Only what differs from the endless slab is projected: it ends inside the field.
        let mut excess = cell.lac.data.clone();
        excess.axis_iter_mut(Axis(0)).into_par_iter().zip(&cell.slab_lac).for_each(|(mut plane, ice)| {
            plane.mapv_inplace(|v| v - ice);
        });
        project(progress, &geometry, excess.view())?
    };
    let slab: f64 = cell.slab_lac.iter().map(|v| f64::from(*v)).sum();
    progress.phase("Moving the views", views.dim().0 as u64);
    views.axis_iter_mut(Axis(0)).into_par_iter().enumerate().try_for_each(|(view, mut image)| {
        progress.check()?;
        let beyond = (slab / angles_deg[view].to_radians().cos()) as f32;
        image.mapv_inplace(|v| ((v + beyond) * cell.voxel_um as f32).max(0.0));
        move_down(&mut image, shifts_yx[view][0]);
        progress.advance(1);
        Ok(())
    })?;
    Ok(views)
}

/// Displaces an image down by `shift` pixels; the first and last rows go on beyond the edge.
fn move_down(image: &mut ArrayViewMut2<'_, f32>, shift: f64) {
    if shift == 0.0 {
        return;
    }
    let source = image.to_owned();
    let last = source.nrows() as isize - 1;
    let whole = shift.floor();
    let fraction = shift - whole;
    let taps: Vec<(isize, f64)> =
        (1 - LANCZOS..=LANCZOS).map(|k| (k, lanczos(k as f64 - fraction))).collect();
    let total: f64 = taps.iter().map(|(_, w)| w).sum();
    for (y, mut row) in image.axis_iter_mut(Axis(0)).enumerate() {
        row.fill(0.0);
        for (k, weight) in &taps {
            let from = (y as isize - whole as isize - k).clamp(0, last) as usize;
            row.scaled_add((weight / total) as f32, &source.row(from));
        }
    }
}

fn lanczos(x: f64) -> f64 {
    let sinc = |v: f64| {
        if v.abs() < 1e-9 { 1.0 } else { (std::f64::consts::PI * v).sin() / (std::f64::consts::PI * v) }
    };
    if x.abs() < LANCZOS as f64 { sinc(x) * sinc(x / LANCZOS as f64) } else { 0.0 }
}

/// What is exposed.
enum Frames {
    /// Views of this absorbance.
    Views(Array3<f32>),
    /// This many frames without a sample.
    Flats(usize),
    /// This many frames without a beam.
    Darks(usize),
}

/// Beam and camera.
struct Detector<'a> {
    params: &'a ScanParams,
    /// Photons per pixel at full beam: flux, illumination and gain.
    photons: Array2<f32>,
    /// Dark level of each pixel.
    dark: Array2<f32>,
}

impl<'a> Detector<'a> {
    fn new(params: &'a ScanParams, n_rows: usize, n_cols: usize) -> Self {
        let unit = |stream: u64, y: usize, x: usize| {
            let bits = mix(mix(params.seed, stream), (y * n_cols + x) as u64);
            bits as f64 / u64::MAX as f64 * 2.0 - 1.0
        };
        let half = |n: usize| (n as f64 / 2.0).max(1.0);
        let illumination = Array2::from_shape_fn((n_rows, n_cols), |(y, x)| {
            let v = (y as f64 - half(n_rows)) / half(n_rows);
            let u = (x as f64 - half(n_cols)) / half(n_cols);
            // A condenser's spot off the middle, a vertical gradient and faint stripes of a mirror.
            let spot = 1.0 - 0.5 * params.uneven * ((u - 0.15).powi(2) + (v + 0.1).powi(2));
            let gradient = 0.35 * params.uneven * v;
            let stripes = 0.06 * params.uneven * (17.0 * v + 3.0 * u).sin();
            (spot + gradient + stripes).max(0.05) * (1.0 + 0.01 * unit(0x6A1, y, x))
        });
        let mean = illumination.mean().unwrap_or(1.0);
        Self {
            params,
            photons: illumination.mapv(|v| (v / mean * params.flux) as f32),
            dark: Array2::from_shape_fn((n_rows, n_cols), |(y, x)| {
                (params.dark_level * (1.0 + 0.02 * unit(0xDA2, y, x))) as f32
            }),
        }
    }

    /// Beam at a moment of the scan, 0 to 1.
    fn decay(&self, time: f64) -> f64 {
        (1.0 - self.params.beam_decay).powf(time)
    }

    /// Beam during each view: the decay and a flicker of 0.3 %, all of which the monitor sees.
    fn beam(&self, n_views: usize) -> Vec<f64> {
        let mut rng = Pcg64Mcg::seed_from_u64(mix(self.params.seed, 0xBEA4));
        let flicker = if self.params.beam_decay > 0.0 { 0.003 } else { 0.0 };
        (0..n_views)
            .map(|view| {
                let deviate: f64 = StandardNormal.sample(&mut rng);
                self.decay((view as f64 + 0.5) / n_views as f64) * (1.0 + flicker * deviate)
            })
            .collect()
    }

    fn expose(&self, progress: &Progress, frames: Frames, beam: &[f64]) -> Result<AnyArray, Cancelled> {
        let (n_rows, n_cols) = self.photons.dim();
        let (stream, views) = match frames {
            Frames::Views(absorbance) => (1, absorbance),
            Frames::Flats(n) => (2, Array3::zeros((n, n_rows, n_cols))),
            Frames::Darks(n) => (3, Array3::zeros((n, n_rows, n_cols))),
        };
        if !self.params.noise {
            let mut exact = views;
            for (mut frame, beam) in exact.outer_iter_mut().zip(beam) {
                progress.check()?;
                ndarray::Zip::from(&mut frame).and(&self.photons).and(&self.dark).for_each(|v, p, d| {
                    *v = (f64::from(*p) * beam * f64::from(-*v).exp() + f64::from(*d)) as f32;
                });
            }
            return Ok(AnyArray::F32(exact));
        }
        let mut counts = Array3::<u16>::zeros(views.dim());
        let out = counts.axis_iter_mut(Axis(0)).into_par_iter();
        out.zip(views.axis_iter(Axis(0))).enumerate().try_for_each(|(index, (mut frame, absorbance))| {
            let seed = mix(mix(self.params.seed, 0xC0_0000 + stream), index as u64);
            let mut rng = Pcg64Mcg::seed_from_u64(seed);
            for (y, (mut row, absorbance)) in frame.outer_iter_mut().zip(absorbance.outer_iter()).enumerate()
            {
                progress.check()?;
                for (x, (value, a)) in row.iter_mut().zip(absorbance).enumerate() {
                    let expected = f64::from(self.photons[[y, x]]) * beam[index] * f64::from((-a).exp());
                    let read: f64 = StandardNormal.sample(&mut rng);
                    let counted = photons(&mut rng, expected)
                        + f64::from(self.dark[[y, x]])
                        + read * self.params.read_noise;
                    *value = counted.round().clamp(0.0, f64::from(u16::MAX)) as u16;
                }
            }
            if stream == 1 {
                progress.advance(1);
            }
            Ok(())
        })?;
        Ok(AnyArray::U16(counts))
    }
}

/// A Poisson deviate; above 500 its normal limit, which differs by less than a tenth of a photon in skew.
fn photons(rng: &mut Pcg64Mcg, expected: f64) -> f64 {
    if expected > 500.0 {
        let deviate: f64 = StandardNormal.sample(rng);
        return (expected + expected.sqrt() * deviate).round();
    }
    Poisson::new(expected).map_or(0.0, |poisson| poisson.sample(rng))
}

#[cfg(test)]
mod tests {
    use super::super::cell::{CellKind, CellParams, build_cell};
    use super::*;

    fn cell(scan: ScanKind, size: usize) -> Cell {
        let params = CellParams { kind: CellKind::Yeast, scan, size, beads: 0, seed: 1 };
        build_cell(&Progress::new(), &params).unwrap()
    }

    fn clean() -> ScanParams {
        ScanParams { noise: false, n_views: Some(12), ..ScanParams::default() }
    }

    fn transmission(simulated: &SimulatedScan) -> Array3<f32> {
        let scan = &simulated.scan;
        let dark = scan.darks.as_ref().unwrap().to_f32().index_axis_move(Axis(0), 0);
        let flat = scan.flats.as_ref().unwrap().to_f32().index_axis_move(Axis(0), 0) - &dark;
        let mut views = scan.projections.to_f32();
        for (mut view, beam) in views.outer_iter_mut().zip(&scan.beam) {
            view -= &dark;
            view /= &flat;
            view.mapv_inplace(|v| v / *beam as f32);
        }
        views
    }

    #[test]
    fn noiseless_transmission_is_the_exponential_of_the_line_integral() {
        let cell = cell(ScanKind::Full, 48);
        let simulated = scan(&Progress::new(), &cell, &clean()).unwrap();
        let found = transmission(&simulated);
        let geometry = ParallelGeometry::new(&simulated.scan.angles_deg, 48);
        let integral = project(&Progress::new(), &geometry, cell.lac.data.view()).unwrap();
        for (t, a) in found.iter().zip(&integral) {
            let expected = (-f64::from(*a) * cell.voxel_um).exp();
            // Counts are f32: a few units in the last place of 10 000.
            assert!((f64::from(*t) - expected).abs() < 1e-5, "{t} {expected}");
        }
        let at_zero = (-cell.lac.data.index_axis(Axis(1), 24).column(24).sum() * cell.voxel_um as f32).exp();
        let middle_view = simulated.scan.angles_deg.iter().position(|a| *a == 0.0).unwrap();
        // At 0° rays run down the columns of the volume.
        assert!((found[[middle_view, 24, 24]] - at_zero).abs() < 1e-4);
    }

    #[test]
    fn a_displaced_view_moved_back_is_the_view_that_was_not_displaced() {
        let cell = cell(ScanKind::Full, 64);
        let still = scan(&Progress::new(), &cell, &clean()).unwrap();
        let params = ScanParams { jitter_px: 1.0, axis_offset_px: 2.0, ..clean() };
        let moved = scan(&Progress::new(), &cell, &params).unwrap();
        let (still, found) = (transmission(&still), transmission(&moved));
        for (view, [dy, dx]) in moved.truth.shifts_yx.iter().enumerate() {
            let (mut worst, mut plain) = (0.0f32, 0.0f32);
            for y in 16..48 {
                for x in 16..48 {
                    // aligned(y, x) = view(y + shift_y, x + shift_x), read bilinearly.
                    let (v, u) = (y as f64 + dy, x as f64 + dx);
                    let (v0, u0) = (v.floor() as usize, u.floor() as usize);
                    let (b, a) = ((v - v.floor()) as f32, (u - u.floor()) as f32);
                    let at = |i: usize, j: usize| found[[view, v0 + i, u0 + j]];
                    let aligned = (1.0 - b) * ((1.0 - a) * at(0, 0) + a * at(0, 1))
                        + b * ((1.0 - a) * at(1, 0) + a * at(1, 1));
                    worst = worst.max((aligned - still[[view, y, x]]).abs());
                    plain = plain.max((found[[view, y, x]] - still[[view, y, x]]).abs());
                }
            }
            // Bilinear reading of a coarse image is off by up to a few hundredths at droplets; unmoved it is far worse.
            assert!(worst < 0.06 && worst < 0.5 * plain, "view {view}: {worst} {plain}");
        }
    }

    #[test]
    fn ice_on_a_grid_goes_on_beyond_the_field_at_any_tilt() {
        let cell = cell(ScanKind::Grid, 48);
        let simulated = scan(&Progress::new(), &cell, &clean()).unwrap();
        let found = transmission(&simulated);
        let thickness: f32 = cell.slab_lac.iter().sum::<f32>() * cell.voxel_um as f32;
        for (view, angle) in simulated.scan.angles_deg.iter().enumerate() {
            let expected = thickness / angle.to_radians().cos() as f32;
            for x in [0, 47] {
                let a = -found[[view, 1, x]].ln();
                // The grain of ice inside the field is 1.5 %.
                assert!((a / expected - 1.0).abs() < 0.03, "{angle}°: {a} {expected}");
            }
        }
    }

    #[test]
    fn beam_monitor_follows_the_counts_and_threads_do_not_change_them() {
        let cell = cell(ScanKind::Full, 40);
        let params =
            ScanParams { n_views: Some(9), beam_decay: 0.3, jitter_px: 0.5, ..ScanParams::default() };
        let simulated = scan(&Progress::new(), &cell, &params).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let single = pool.install(|| scan(&Progress::new(), &cell, &params)).unwrap();
        assert_eq!(simulated, single);
        assert!(simulated.scan.beam[8] < 0.8 * simulated.scan.beam[0]);
        let flats = simulated.scan.flats.as_ref().unwrap().to_f32();
        let mean = |i: usize| f64::from(flats.index_axis(Axis(0), i).mean().unwrap()) - params.dark_level;
        let (first, last) = (0, params.n_flats - 1);
        let ratio = mean(last) / mean(first);
        let recorded = simulated.scan.flat_beam[last] / simulated.scan.flat_beam[first];
        // 1600 pixels of 10 000 photons: the mean is known to 0.03 %.
        assert!((ratio / recorded - 1.0).abs() < 0.002, "{ratio} {recorded}");
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let cell = cell(ScanKind::Full, 32);
        let params = ScanParams { flux: f64::NAN, ..ScanParams::default() };
        let text = scan(&Progress::new(), &cell, &params).unwrap_err().to_string();
        assert!(text.contains("flux"), "{text}");
    }
}
