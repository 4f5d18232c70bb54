//! Numbers that scans say beside their frames: angles, energies, pixels, exposures, monitors; units known or assumed.

use super::scan::ScanLayout;
use super::store::{Dataset, Group};
use super::tree::{ev_per, first_dataset, number_in, numbers, s_per, units_of};
use crate::base::Unit;
use crate::io::angles::deg_per;
use crate::io::lengths::um_per;

/// Highest photon energy that is believed, in eV: above it stands the energy of a storage ring.
const MAX_EV: f64 = 3e5;
/// Lowest photon energy that is believed, in eV.
const MIN_EV: f64 = 10.0;
/// Smallest pixel that is believed, in µm.
const MIN_PIXEL_UM: f64 = 5e-4;

/// Angles in degrees, whatever their unit.
pub(super) fn degrees(dataset: &Dataset, warnings: &mut Vec<String>) -> Vec<f64> {
    let units = units_of(dataset);
    let values = numbers(dataset);
    let (low, high) = values
        .iter()
        .filter(|a| a.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), a| (low.min(*a), high.max(*a)));
    let span = high - low;
    let scale = match units.trim() {
        known if deg_per(known).is_some() => deg_per(known).unwrap_or(1.0),
        // Half a turn or a whole one in radians, at the distance of one view from its end.
        "" if values.len() > 10 && [1.0, 2.0].iter().any(|turn| near_end(span, *turn, values.len())) => {
            warnings.push(format!(
                "the angles have no unit; as they span {span:.3} they were taken for radians (--angles gives others)"
            ));
            180.0 / std::f64::consts::PI
        }
        "" => 1.0,
        unknown => {
            warnings.push(format!(
                "the unit {unknown} of the angles is not known; degrees were assumed (--angles gives others)"
            ));
            1.0
        }
    };
    values.into_iter().map(|a| a * scale).collect()
}

/// Whether a span is `turn` half turns in radians, up to one step of `n` views.
fn near_end(span: f64, turn: f64, n: usize) -> bool {
    let whole = turn * std::f64::consts::PI;
    (whole - span).abs() <= 1.5 * whole / n as f64
}

/// A pixel size in µm; a number without units is taken for m where it is small enough to be that.
pub(super) fn pixel_um(dataset: &Dataset, warnings: &mut Vec<String>) -> Option<f64> {
    let sized = number_in(dataset, um_per).or_else(|| {
        let value = number_in(dataset, |_| Some(1.0)).filter(|v| *v > 0.0)?;
        let (scale, unit) = if value < 2e-4 { (1e6, "m") } else { (1.0, "µm") };
        warnings.push(format!(
            "the pixel size {value} has no known unit, {unit} was assumed (--pixel-size gives another)"
        ));
        Some(value * scale)
    })?;
    format!("{sized:.9e}").parse().ok().filter(|p: &f64| *p > 0.0)
}

/// A magnification, also as text such as `650x`; one that is no number is said.
pub(super) fn magnification(dataset: &Dataset, warnings: &mut Vec<String>) -> Option<f64> {
    if let Some(by) = numbers(dataset).first() {
        return Some(*by);
    }
    let text = dataset.text()?;
    let by = text.trim().trim_matches(['x', 'X', '×', ' ']).parse().ok();
    if by.is_none() {
        warnings.push(format!(
            "the magnification {:?} is no number: the pixel of the camera was taken for that at the sample (--pixel-size gives another)",
            text.chars().take(40).collect::<String>()
        ));
    }
    by
}

/// The pixel at the sample from that of the camera; where the quotient is no pixel, the size was at the sample already.
pub(super) fn pixel_at_sample(size: f64, magnification: Option<f64>, warnings: &mut Vec<String>) -> f64 {
    let Some(by) = magnification.filter(|m| m.is_finite() && *m > 1.0) else { return size };
    let quotient: f64 = format!("{:.9e}", size / by).parse().unwrap_or(size / by);
    if quotient < MIN_PIXEL_UM {
        return size;
    }
    warnings.push(format!(
        "a pixel of {quotient} µm at the sample: {size} µm of the camera by the magnification {by} (--pixel-size gives another)"
    ));
    quotient
}

/// Photon energies in eV; `None` where they are none, as those of a storage ring.
pub(super) fn energy_ev(dataset: &Dataset) -> Option<Vec<f64>> {
    let units = units_of(dataset);
    let scale = ev_per(units.trim()).or_else(|| units.trim().is_empty().then_some(0.0))?;
    // Without a unit: below 100 it can only be keV.
    let in_ev = |v: f64| {
        if scale > 0.0 {
            v * scale
        } else if v < 100.0 {
            v * 1e3
        } else {
            v
        }
    };
    let values: Vec<f64> =
        numbers(dataset).into_iter().map(in_ev).filter(|e| (MIN_EV..MAX_EV).contains(e)).collect();
    (!values.is_empty()).then_some(values)
}

/// As [`energy_ev`], of a source: without a unit a few are the GeV of a storage ring, not keV.
pub(super) fn source_ev(dataset: &Dataset) -> Option<Vec<f64>> {
    let is_ring = || units_of(dataset).trim().is_empty() && numbers(dataset).iter().any(|v| *v < 100.0);
    energy_ev(dataset).filter(|_| !is_ring())
}

/// The energy of a scan from those of its views.
pub(super) fn median_ev(values: &[f64], warnings: &mut Vec<String>) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (*sorted.first()?, *sorted.last()?);
    let median = sorted[sorted.len() / 2];
    if high > low * 1.01 {
        warnings.push(format!(
            "the energy changes from {low} to {high} eV during the scan; {median} eV was taken"
        ));
    }
    format!("{median:.9e}").parse().ok()
}

/// Exposures in s, of a scan or of a detector: one for all, or one a frame.
pub(super) fn exposures_s(entry: &Group, detector: &Group, warnings: &mut Vec<String>) -> Vec<f64> {
    let names = ["count_time", "ExpTimes", "exposure_time", "exposure"];
    let Some(dataset) = first_dataset(detector, &names).or_else(|| entry.dataset("control/count_time"))
    else {
        return Vec::new();
    };
    let units = units_of(&dataset);
    let scale = s_per(units.trim()).unwrap_or_else(|| {
        if !units.trim().is_empty() {
            warnings.push(format!("the unit {units} of the exposures is not known; s was assumed"));
        }
        1.0
    });
    numbers(&dataset).into_iter().map(|t| t * scale).collect()
}

/// One value for each of `n`: as listed, or the same for all; empty where their number is wrong.
pub(super) fn one_each(values: Vec<f64>, n: usize) -> Vec<f64> {
    match values.len() {
        len if len == n => values,
        1 => vec![values[0]; n],
        _ => Vec::new(),
    }
}

/// Least change of the exposure from frame to frame by which it is told whether a monitor counts with it.
const LEAST_CHANGE: f64 = 0.05;

/// Frames with exposure and reading in the order in which they were taken, as far as that is known.
fn in_time(layout: &ScanLayout) -> Vec<(f64, f64)> {
    let frame = |times: &[f64], beam: &[f64], at: usize| Some((*times.get(at)?, *beam.get(at)?));
    let n_views = layout.beam.len();
    let time = |flat: usize| layout.flat_times.get(flat).copied().unwrap_or(0.0);
    let mut flats: Vec<usize> = (0..layout.flat_beam.len()).collect();
    flats.sort_by(|a, b| time(*a).total_cmp(&time(*b)));
    let mut flats = flats.into_iter().peekable();
    let mut found = Vec::new();
    for view in 0..=n_views {
        while let Some(flat) = flats.next_if(|flat| view == n_views || time(*flat) <= view as f64) {
            found.extend(frame(&layout.flat_exposure_s, &layout.flat_beam, flat));
        }
        found.extend(frame(&layout.exposure_s, &layout.beam, view));
    }
    found.retain(|(time, beam)| [time, beam].iter().all(|v| v.is_finite() && **v > 0.0));
    found
}

/// What part of the changes of the first of each pair the second makes too; `None` where the first hardly changes.
///
/// What changes from frame to frame as steadily as time is taken out, if the changes differ enough for that.
fn follows(changes: &[[f64; 2]]) -> Option<f64> {
    let n = changes.len().max(1) as f64;
    let mean = |part: usize| changes.iter().map(|pair| pair[part]).sum::<f64>() / n;
    let sums = |means: [f64; 2]| {
        changes.iter().fold((0.0, 0.0), |(with, all), [exposure, reading]| {
            let exposure = exposure - means[0];
            (with + exposure * (reading - means[1]), all + exposure * exposure)
        })
    };
    let (with, all) = sums([0.0; 2]);
    let (drift_with, drift_all) = sums([mean(0), mean(1)]);
    let (with, all_here) = if drift_all > 0.1 * all { (drift_with, drift_all) } else { (with, all) };
    (all >= LEAST_CHANGE * LEAST_CHANGE).then_some(with / all_here)
}

/// A monitor that counted for as long as each frame was exposed becomes one that says how strong the beam was.
///
/// Neighbours in time are compared, so that a beam that fades over the scan has no say: where the exposure changes, a
/// counter changes by the same factor, and one that tells the strength of the beam does not.
pub(super) fn integrates(layout: &mut ScanLayout) {
    let frames = in_time(layout);
    let n = [layout.exposure_s.len(), layout.flat_exposure_s.len()];
    if n != [layout.beam.len(), layout.flat_beam.len()] {
        return;
    }
    let changes: Vec<[f64; 2]> =
        frames.windows(2).map(|pair| [(pair[1].0 / pair[0].0).ln(), (pair[1].1 / pair[0].1).ln()]).collect();
    let Some(share) = follows(&changes) else { return };
    if (0.25..0.75).contains(&share) {
        layout.warnings.push(format!(
            "it cannot be told whether the beam monitor counts for as long as the exposure (it follows {:.0} % of its changes): it was taken for {}",
            100.0 * share,
            if share < 0.5 { "the strength of the beam" } else { "a counter and divided by the exposure" }
        ));
    }
    if share < 0.5 {
        return;
    }
    layout.warnings.push(
        "the beam monitor grows with the exposure: its readings were divided by the exposure".to_owned(),
    );
    let divide = |beam: &mut [f64], time: &[f64]| beam.iter_mut().zip(time).for_each(|(b, t)| *b /= t);
    divide(&mut layout.beam, &layout.exposure_s);
    divide(&mut layout.flat_beam, &layout.flat_exposure_s);
}

/// The unit that this program writes beside the data.
pub(super) fn own_unit(dataset: &Dataset) -> Option<Unit> {
    let unit = |name: &str| Unit::from_ascii(&dataset.attr_text(name));
    unit("unit").or_else(|| unit("units"))
}
