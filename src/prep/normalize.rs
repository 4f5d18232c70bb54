//! Counts, transmission or absorbance in; absorbance out, every value finite.
//!
//! `T = (I - D) / s / (F - D)` with the dark `D`, the flat per unit of beam `F`, interpolated in time
//! where flats bracket the views, and `s` the beam monitor of the view (times its exposure);
//! `A = -ln max(T, T_min)`. `T_min` is three times the read noise (the number of clipped pixels is
//! reported): setting starved pixels to zero, as some do, would bias the LAC low.
//! Where flats change in ways that stand out from noise, `F` is fitted to each view.
//! Where no air lies beside the sample the intensity of a view comes from the monitor and is never fitted:
//! ice up to the edge would be taken for a weak beam.

use ndarray::{Array2, Array3, ArrayView2, Axis};
use rayon::prelude::*;

use super::background::{air_level, median};
use super::fields::{FlatGroup, bad_pixels, combine, dark_noise, fill_gaps};
use super::flats::{Frames, LEAST_FLATS, MOST_FLATS, Modes, logarithm};
use super::params::{
    FitFlats, FrameMean, Intensity, NormalizeParams, NormalizeReport, PrepError, StripeMethod,
};
use crate::base::{Cancelled, Progress, Unit};
use crate::volume::any::Voxel;
use crate::volume::{AnyArray, Scan, TiltSeries};
use crate::with_array;

/// What turns the values of one view into absorbance.
struct Recipe {
    dark: Array2<f32>,
    groups: Vec<FlatGroup>,
    bad: Array2<bool>,
    /// What each view's counts are divided by.
    beam: Vec<f64>,
    t_min: f64,
    /// How flats change, where it is known.
    modes: Option<Modes>,
}

/// Counters of one view.
#[derive(Default, Clone, Copy)]
struct Counts {
    clipped: u64,
    non_finite: u64,
}

/// What the values of a scan are.
#[derive(Clone, Copy)]
struct Given {
    unit: Unit,
    /// Absorbance where there is nothing.
    background: f64,
    /// Lowest transmission that is believed.
    t_min: f64,
}

/// The absorbance where there is nothing.
fn background(scan: &Scan, params: &NormalizeParams, warnings: &mut Vec<String>) -> f64 {
    let whole_numbers = !matches!(scan.projections, AnyArray::F32(_) | AnyArray::F64(_));
    match (scan.unit, params.background) {
        (Unit::Absorbance, Some(level)) => level,
        (Unit::Absorbance, None) if whole_numbers => {
            // A million values tell; the middle of the darkest quarter is background wherever a quarter is.
            let step = (scan.projections.shape().iter().product::<usize>() / (1 << 20)).max(1);
            let mut values: Vec<f64> = with_array!(&scan.projections, views => views.iter().step_by(step).map(|v| v.to_f64()).collect());
            values.sort_by(f64::total_cmp);
            let level = values[values.len() / 8];
            warnings.push(format!(
                "The values are whole numbers, no absorbance as such: {level} was taken for empty and subtracted (--background), and results are in that scale per length"
            ));
            level
        }
        _ => 0.0,
    }
}

/// Normalises a scan to absorbance.
///
/// Memory: the result (4 bytes a value), plus a few frames. Time: about 20 ns a value and core.
///
/// # Errors
/// One sentence with numbers for everything that cannot be normalised, [`PrepError::Cancelled`].
pub fn normalize(
    progress: &Progress,
    scan: &Scan,
    params: &NormalizeParams,
) -> Result<(TiltSeries, NormalizeReport), PrepError> {
    check(scan, params)?;
    let mut warnings = Vec::new();
    progress.phase("Combining flats", 1);
    let monitor = monitor(scan, params, &mut warnings)?;
    let recipe = match scan.unit {
        Unit::Counts => {
            let mut recipe = recipe(scan, params, monitor.as_deref(), &mut warnings)?;
            recipe.modes = modes(progress, scan, params, &recipe, &mut warnings)?;
            Some(recipe)
        }
        _ => None,
    };
    progress.check()?;
    let n_views = scan.n_views();
    progress.phase("Normalising", n_views as u64);
    let t_min = match (&recipe, scan.unit) {
        (Some(recipe), _) => recipe.t_min,
        (None, Unit::Transmission) => 1e-4,
        _ => 0.0,
    };
    let given = Given { unit: scan.unit, background: background(scan, params, &mut warnings), t_min };
    let (mut data, counts) =
        with_array!(&scan.projections, views => convert(progress, views, given, recipe.as_ref()))?;
    let n_dead = recipe.as_ref().map_or(0, |recipe| recipe.bad.iter().filter(|b| **b).count());
    let n_stuck =
        if params.repair_pixels && recipe.is_some() { repair_stuck(progress, &mut data)? } else { 0 };
    let n_values = data.len() as u64;
    let total = counts.iter().fold(Counts::default(), |sum, c| Counts {
        clipped: sum.clipped + c.clipped,
        non_finite: sum.non_finite + c.non_finite,
    });
    if total.non_finite * 10 > n_values {
        return Err(PrepError::NotFinite { n_bad: total.non_finite, n_values });
    }
    if total.non_finite > 0 {
        warnings.push(format!("{} values were not finite and were filled from neighbours", total.non_finite));
    }
    let per_view = n_values / n_views as u64;
    let lost: Vec<String> = (0..n_views)
        .filter(|view| 2 * counts[*view].non_finite > per_view)
        .map(|view| view.to_string())
        .collect();
    if !lost.is_empty() {
        warnings.push(format!(
            "More than half of the values of view {} are not finite: exclude it (\"used\": false in ALIGN.json)",
            lost.join(", ")
        ));
    }
    if n_dead > 0 {
        warnings.push(format!(
            "{n_dead} pixels whose flat field is zero, negative or not a number were filled from neighbours"
        ));
    }
    if total.clipped * 100 > n_values {
        let percent = total.clipped as f64 / n_values as f64 * 100.0;
        warnings.push(format!("{percent:.1} % of the values are starved of photons (T below {t_min:.1e})"));
    }
    match params.stripe_method {
        StripeMethod::Wavelet => {
            super::wavelet::remove_stripes(progress, &mut data, params.stripe_levels, params.stripe_sigma)?;
        }
        StripeMethod::Sorting if params.stripes > 0 => {
            super::stripes::remove_stripes(progress, &mut data, params.stripes as usize | 1)?;
        }
        StripeMethod::Sorting => {}
    }
    let mut series = TiltSeries {
        data,
        angles_deg: scan.angles_deg.clone(),
        pixel_um: scan.pixel_um,
        energy_ev: scan.energy_ev,
    };
    let intensity = settle_intensity(&mut series, scan, params, monitor.is_some(), &mut warnings)?;
    let report = NormalizeReport {
        input: scan.unit.ascii(),
        n_views,
        intensity,
        n_flat_groups: recipe.as_ref().map_or(0, |recipe| recipe.groups.len()),
        flat_fit: recipe.and_then(|recipe| recipe.modes).map(|modes| modes.fit),
        n_bad_pixels: n_dead + n_stuck,
        n_non_finite: total.non_finite,
        n_clipped: total.clipped,
        t_min,
        warnings,
    };
    Ok((series, report))
}

fn check(scan: &Scan, params: &NormalizeParams) -> Result<(), PrepError> {
    let [n_views, n_rows, n_cols] = scan.projections.shape();
    if n_views * n_rows * n_cols == 0 {
        return Err(PrepError::Empty { n_views, n_rows, n_cols });
    }
    if scan.angles_deg.len() != n_views {
        return Err(PrepError::AngleCount { n_angles: scan.angles_deg.len(), n_views });
    }
    if let Some(view) = scan.angles_deg.iter().position(|angle| !angle.is_finite()) {
        return Err(PrepError::Angle { view, angle: scan.angles_deg[view] });
    }
    if !(0.0..=20.0).contains(&params.clip_sigma) {
        return Err(PrepError::ClipSigma(params.clip_sigma));
    }
    if !(1..=8).contains(&params.stripe_levels) {
        return Err(PrepError::StripeLevels(params.stripe_levels));
    }
    if !(0.1..=50.0).contains(&params.stripe_sigma) {
        return Err(PrepError::StripeSigma(params.stripe_sigma));
    }
    match scan.unit {
        Unit::Counts if scan.flats.as_ref().is_none_or(|flats| flats.shape()[0] == 0) => {
            return Err(PrepError::NoFlats);
        }
        Unit::Counts | Unit::Transmission | Unit::Absorbance => {}
        other => return Err(PrepError::UnknownInput { unit: other.ascii() }),
    }
    if scan.unit == Unit::Counts {
        for (what, frames) in [("flats", &scan.flats), ("darks", &scan.darks)] {
            let Some([_, found_rows, found_cols]) = frames.as_ref().map(AnyArray::shape) else { continue };
            if (found_rows, found_cols) != (n_rows, n_cols) {
                return Err(PrepError::FrameShape { what, found_rows, found_cols, n_rows, n_cols });
            }
        }
    }
    Ok(())
}

/// The monitor of each view, where it is wanted, recorded and can be believed.
fn monitor(
    scan: &Scan,
    params: &NormalizeParams,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<f64>>, PrepError> {
    let n_views = scan.n_views();
    let wanted = matches!(params.intensity, Intensity::Auto | Intensity::Monitor);
    if scan.unit != Unit::Counts || !wanted {
        return Ok(None);
    }
    let believable = scan.beam.len() == n_views && scan.beam.iter().all(|b| b.is_finite() && *b > 0.0);
    if believable {
        return Ok(Some(scan.beam.clone()));
    }
    if params.intensity == Intensity::Monitor {
        return Err(PrepError::NoMonitor { n_beam: scan.beam.len(), n_views });
    }
    if !scan.beam.is_empty() {
        warnings.push(format!(
            "the beam monitor ({} readings for {n_views} views) is not used: a reading is missing, zero or not finite",
            scan.beam.len()
        ));
    }
    Ok(None)
}

fn recipe(
    scan: &Scan,
    params: &NormalizeParams,
    monitor: Option<&[f64]>,
    warnings: &mut Vec<String>,
) -> Result<Recipe, PrepError> {
    let [n_views, n_rows, n_cols] = scan.projections.shape();
    let Some(flats) = &scan.flats else { return Err(PrepError::NoFlats) };
    let n_flats = flats.shape()[0];
    let darks = scan.darks.as_ref().filter(|darks| darks.shape()[0] > 0);
    let dark = if let Some(darks) = darks {
        let all: Vec<usize> = (0..darks.shape()[0]).collect();
        combine(darks, &all, |_| 1.0, params.frames)
    } else {
        warnings.push("no dark frames: a dark level of 0 is assumed".to_owned());
        Array2::zeros((n_rows, n_cols))
    };
    let mut beam = monitor.map_or_else(|| vec![1.0; n_views], <[f64]>::to_vec);
    let mut flat_beam = flat_beam(scan, monitor, n_flats, warnings);
    apply_exposure(scan, &mut beam, &mut flat_beam, warnings);

    let mut groups: Vec<FlatGroup> = flat_times(scan, params, n_flats)
        .into_iter()
        .map(|(time, which)| {
            // Dark is subtracted before the division by the beam: mean(F / c) - D · mean(1 / c).
            let gain = |frame: usize| 1.0 / flat_beam[frame];
            let mut net = combine(flats, &which, gain, params.frames);
            let dark_share = which.iter().map(|&frame| gain(frame)).sum::<f64>() / which.len() as f64;
            net.zip_mut_with(&dark, |v, d| *v = (f64::from(*v) - f64::from(*d) * dark_share) as f32);
            FlatGroup { time, net }
        })
        .collect();
    groups.sort_by(|a, b| a.time.total_cmp(&b.time));
    let bad = bad_pixels(&dark, &groups);
    let (n_bad, n_pixels) = (bad.iter().filter(|b| **b).count(), bad.len());
    if n_bad * 10 > n_pixels {
        return Err(PrepError::BadFlat { n_bad, n_pixels, percent: n_bad as f64 / n_pixels as f64 * 100.0 });
    }
    // Unrepaired pixels still need a divisor; without one they are filled like the others.
    let bad = if params.repair_pixels { bad } else { groups_unusable(&dark, &groups) };
    let mut net: Vec<f32> = groups[0].net.iter().copied().filter(|v| v.is_finite()).collect();
    let counts_at_full = f64::from(median(&mut net)) * median_f64(&beam);
    let whole = !matches!(scan.projections, AnyArray::F32(_) | AnyArray::F64(_));
    let least = if whole { 0.5 } else { 1e-5 * counts_at_full };
    let t_min = params.clip_sigma * dark_noise(darks).max(least) / counts_at_full;
    Ok(Recipe { dark, groups, bad, beam, t_min: t_min.max(1e-7), modes: None })
}

/// Frames of f32 that learning how flats change keeps in memory at once.
pub fn learning_frames(scan: &Scan, params: &NormalizeParams) -> u64 {
    let n_flats = scan.flats.as_ref().map_or(0, |flats| flats.shape()[0]);
    if params.fit_flats == FitFlats::Off || scan.unit != Unit::Counts || n_flats < LEAST_FLATS {
        return 0;
    }
    // Logarithms and what is left of them, then components, and copies of a few.
    2 * n_flats.min(MOST_FLATS) as u64 + 30
}

/// How the flats change, where they are to be fitted to views and there are enough.
fn modes(
    progress: &Progress,
    scan: &Scan,
    params: &NormalizeParams,
    recipe: &Recipe,
    warnings: &mut Vec<String>,
) -> Result<Option<Modes>, PrepError> {
    let (Some(flats), false) = (&scan.flats, params.fit_flats == FitFlats::Off) else { return Ok(None) };
    let [n, n_rows, n_cols] = flats.shape();
    let always = params.fit_flats == FitFlats::On;
    let typical = &recipe.groups[0].net;
    let good: Vec<bool> = recipe.bad.iter().map(|bad| !bad).collect();
    let n_used = n.min(MOST_FLATS);
    let mut frames = Frames { n_rows, n_cols, good, logs: Vec::new(), times: Vec::new() };
    if n >= LEAST_FLATS {
        for index in 0..n_used {
            progress.check()?;
            let frame = index * n / n_used;
            let net = combine(flats, &[frame], |_| 1.0, FrameMean::Mean) - &recipe.dark;
            if let Some(log) = logarithm(&net, typical, &frames.good) {
                frames.logs.push(log);
                frames
                    .times
                    .push(scan.flat_times.get(frame).copied().filter(|t| t.is_finite()).unwrap_or(0.0));
            }
        }
    }
    if always && frames.logs.len() < LEAST_FLATS {
        let usable = if n < LEAST_FLATS { n } else { frames.logs.len() };
        warnings.push(format!(
            "{usable} usable flats are too few to fit flats to views (fewer than {LEAST_FLATS}): they are taken as they are"
        ));
    }
    let modes = Modes::learn(progress, &frames, always)?;
    if let Some(fit) = modes.as_ref().map(|modes| &modes.fit)
        && always
        && fit.error_fitted > fit.error_plain
    {
        warnings.push(
            "flats left out are predicted worse by fitted flats: better leave fit_flats on auto".to_owned(),
        );
    }
    Ok(modes)
}

fn groups_unusable(dark: &Array2<f32>, groups: &[FlatGroup]) -> Array2<bool> {
    let mut bad = dark.mapv(|v| !v.is_finite());
    for group in groups {
        bad.zip_mut_with(&group.net, |bad, v| *bad |= !(v.is_finite() && *v > 0.0));
    }
    bad
}

fn median_f64(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(1.0)
}

/// The monitor of each flat, in the units of that of the views.
fn flat_beam(scan: &Scan, monitor: Option<&[f64]>, n_flats: usize, warnings: &mut Vec<String>) -> Vec<f64> {
    let Some(monitor) = monitor else { return vec![1.0; n_flats] };
    let recorded =
        scan.flat_beam.len() == n_flats && scan.flat_beam.iter().all(|b| b.is_finite() && *b > 0.0);
    if recorded {
        return scan.flat_beam.clone();
    }
    let mean = monitor.iter().sum::<f64>() / monitor.len() as f64;
    warnings.push(
        "no beam monitor for the flats: they are taken to be exposed at the mean of the scan".to_owned(),
    );
    vec![mean; n_flats]
}

/// Views and flats of unequal exposure are scaled to the median one of the views, which flats without a record share.
///
/// The dark level is subtracted as it is: an offset of the camera, which does not grow with the exposure.
fn apply_exposure(scan: &Scan, beam: &mut [f64], flat_beam: &mut [f64], warnings: &mut Vec<String>) {
    let usable = |times: &[f64], n: usize| {
        times.len() == n && n > 0 && times.iter().all(|t| t.is_finite() && *t > 0.0)
    };
    if !usable(&scan.exposure_s, beam.len()) {
        return;
    }
    let typical = median_f64(&scan.exposure_s);
    beam.iter_mut().zip(&scan.exposure_s).for_each(|(beam, exposure)| *beam *= exposure / typical);
    if !usable(&scan.flat_exposure_s, flat_beam.len()) {
        return;
    }
    flat_beam.iter_mut().zip(&scan.flat_exposure_s).for_each(|(beam, exposure)| *beam *= exposure / typical);
    let of_flats = median_f64(&scan.flat_exposure_s);
    if (of_flats / typical - 1.0).abs() > 1e-3 {
        warnings.push(format!(
            "flats were exposed {of_flats} s and views {typical} s: they were scaled to each other, with the dark level as an offset that does not grow with the exposure"
        ));
    }
}

/// Frames of each moment at which flats were taken; one group where that is not known or not wanted.
fn flat_times(scan: &Scan, params: &NormalizeParams, n_flats: usize) -> Vec<(f64, Vec<usize>)> {
    let known = scan.flat_times.len() == n_flats && scan.flat_times.iter().all(|t| t.is_finite());
    if !known || !params.interpolate_flats {
        return vec![(0.0, (0..n_flats).collect())];
    }
    let mut order: Vec<usize> = (0..n_flats).collect();
    order.sort_by(|a, b| scan.flat_times[*a].total_cmp(&scan.flat_times[*b]));
    let mut groups: Vec<(f64, Vec<usize>)> = Vec::new();
    for frame in order {
        let time = scan.flat_times[frame];
        match groups.last_mut() {
            // Frames within one view of each other are one series of flats.
            Some((start, frames)) if time - *start <= 1.0 => frames.push(frame),
            _ => groups.push((time, vec![frame])),
        }
    }
    groups
}

impl Recipe {
    /// Flat per unit of beam at a moment, linear between groups, constant beyond them.
    fn flat_at(&self, time: f64) -> (usize, usize, f64) {
        let after = self.groups.partition_point(|group| group.time <= time);
        if after == 0 || after == self.groups.len() {
            let only = after.saturating_sub(1);
            return (only, only, 0.0);
        }
        let (a, b) = (self.groups[after - 1].time, self.groups[after].time);
        (after - 1, after, (time - a) / (b - a))
    }

    /// The logarithm of what the flat of a view, interpolated between two groups, is to be multiplied by.
    fn fitted<T: Voxel>(
        &self,
        frame: ArrayView2<'_, T>,
        view: usize,
        (low, high, share): (usize, usize, f64),
    ) -> Option<Vec<f32>> {
        let modes = self.modes.as_ref().filter(|modes| modes.fit.used)?;
        let finite = |v: f32| if v.is_finite() { v } else { 0.0 };
        let beam = self.beam[view];
        let counts: Vec<f32> = frame
            .iter()
            .zip(&self.dark)
            .map(|(v, dark)| finite(((v.to_f64() - f64::from(*dark)) / beam) as f32))
            .collect();
        let (low, high) = (&self.groups[low].net, &self.groups[high].net);
        let flat: Vec<f32> = low.iter().zip(high).map(|(a, b)| finite(a + (b - a) * share as f32)).collect();
        Some(modes.correction(&counts, &flat))
    }
}

/// Absorbance of every view, gaps filled, and what was counted on the way.
fn convert<T: Voxel>(
    progress: &Progress,
    views: &Array3<T>,
    Given { unit, background, t_min }: Given,
    recipe: Option<&Recipe>,
) -> Result<(Array3<f32>, Vec<Counts>), Cancelled> {
    let (n_views, n_rows, n_cols) = views.dim();
    let mut data = Array3::<f32>::zeros((n_views, n_rows, n_cols));
    let images = data.as_slice_mut().unwrap_or(&mut []).par_chunks_mut(n_rows * n_cols);
    let counts = images
        .enumerate()
        .map(|(view, image)| {
            let mut counts = Counts::default();
            let (low, high, share) = recipe.map_or((0, 0, 0.0), |recipe| recipe.flat_at(view as f64 + 0.5));
            let fitted = match recipe {
                Some(recipe) => {
                    progress.check()?;
                    recipe.fitted(views.index_axis(Axis(0), view), view, (low, high, share))
                }
                None => None,
            };
            for y in 0..n_rows {
                progress.check()?;
                for x in 0..n_cols {
                    let value = views[[view, y, x]].to_f64();
                    let out = &mut image[y * n_cols + x];
                    *out = f32::NAN;
                    if !value.is_finite() {
                        counts.non_finite += 1;
                        continue;
                    }
                    let transmission = match recipe {
                        Some(recipe) if recipe.bad[[y, x]] => continue,
                        Some(recipe) => {
                            let flat = |group: usize| f64::from(recipe.groups[group].net[[y, x]]);
                            let mut net = flat(low) + (flat(high) - flat(low)) * share;
                            if let Some(fitted) = &fitted {
                                net *= f64::from(fitted[y * n_cols + x]).exp();
                            }
                            (value - f64::from(recipe.dark[[y, x]])) / (net * recipe.beam[view])
                        }
                        None if unit == Unit::Transmission => value,
                        None => {
                            *out = (value - background) as f32;
                            continue;
                        }
                    };
                    counts.clipped += u64::from(transmission < t_min);
                    *out = -(transmission.max(t_min).ln()) as f32;
                }
            }
            // f64 beyond the range of f32 becomes a gap, too.
            image.iter_mut().filter(|v| v.is_infinite()).for_each(|v| *v = f32::NAN);
            fill_gaps(image, n_rows, n_cols);
            progress.advance(1);
            Ok(counts)
        })
        .collect::<Result<Vec<_>, Cancelled>>()?;
    Ok((data, counts))
}

/// Repairs single pixels that stand out from their neighbours in the mean of all views; returns how many.
///
/// The sample turns and passes by; what stands still is the detector.
fn repair_stuck(progress: &Progress, data: &mut Array3<f32>) -> Result<usize, Cancelled> {
    let (n_views, n_rows, n_cols) = data.dim();
    if n_views < 8 || n_rows < 3 || n_cols < 3 {
        return Ok(0);
    }
    progress.phase("Looking for bad pixels", n_rows as u64);
    let mut residual = vec![0.0f32; n_rows * n_cols];
    let mean = Array2::from_shape_vec(
        (n_rows, n_cols),
        (0..n_rows)
            .into_par_iter()
            .flat_map_iter(|y| {
                let sums = data.index_axis(Axis(1), y).sum_axis(Axis(0));
                sums.into_iter().map(move |sum| sum / n_views as f32)
            })
            .collect(),
    )
    .unwrap_or_else(|_| Array2::zeros((n_rows, n_cols)));
    crate::base::parallel::for_each_chunk(progress, &mut residual, n_cols, |y, row| {
        for (x, out) in row.iter_mut().enumerate() {
            let mut near = Vec::with_capacity(8);
            for v in y.saturating_sub(1)..(y + 2).min(n_rows) {
                for u in x.saturating_sub(1)..(x + 2).min(n_cols) {
                    if (v, u) != (y, x) {
                        near.push(mean[[v, u]]);
                    }
                }
            }
            *out = mean[[y, x]] - median(&mut near);
        }
    })?;
    let mut sizes: Vec<f32> = residual.iter().map(|v| v.abs()).collect();
    let limit = (12.0 * 1.4826 * median(&mut sizes)).max(0.1);
    let stuck: Vec<usize> = (0..residual.len()).filter(|&i| residual[i].abs() > limit).collect();
    // Many such pixels are structure, not defects.
    if stuck.is_empty() || stuck.len() * 100 > residual.len() {
        return Ok(0);
    }
    let images = data.as_slice_mut().unwrap_or(&mut []).par_chunks_mut(n_rows * n_cols);
    images.for_each(|image| {
        for &at in &stuck {
            image[at] = f32::NAN;
        }
        fill_gaps(image, n_rows, n_cols);
    });
    Ok(stuck.len())
}

/// Fits the intensity of each view to the air where that is right, and says where it came from.
fn settle_intensity(
    series: &mut TiltSeries,
    scan: &Scan,
    params: &NormalizeParams,
    has_monitor: bool,
    warnings: &mut Vec<String>,
) -> Result<&'static str, PrepError> {
    if has_monitor {
        return Ok("beam monitor");
    }
    if scan.unit == Unit::Absorbance && params.intensity != Intensity::Air {
        return Ok("as given");
    }
    let may_fit = match params.intensity {
        Intensity::Air => true,
        // Ice that is tilted looks like a beam that fades: only a full turn shows air for certain.
        Intensity::Auto => series.is_full_rotation(),
        Intensity::Monitor | Intensity::Constant => false,
    };
    let air = if may_fit { air_level(&series.data) } else { None };
    let Some(levels) = air else {
        if params.intensity == Intensity::Air {
            return Err(PrepError::NoAir);
        }
        if params.intensity == Intensity::Auto {
            warnings.push(
                "no beam monitor that can be used and no air beside the sample: the beam is taken as constant".to_owned(),
            );
        }
        return Ok("taken as constant");
    };
    let views = series.data.axis_iter_mut(Axis(0)).into_par_iter();
    views.zip(&levels).for_each(|(mut view, level)| view.mapv_inplace(|v| v - level));
    Ok("air beside the sample")
}

#[cfg(test)]
#[path = "normalize_tests.rs"]
mod tests;
