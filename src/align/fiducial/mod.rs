//! Alignment by gold beads: detect, follow, measure, fit all at once.
//!
//! 1. Small bright round discs of every view ([`detect`]), followed from the flattest view outwards ([`track`]).
//! 2. A robust fit of bead positions and views ([`bundle`]); then every bead is looked for where the fit
//!    puts it, in every view, its middle measured to a tenth of a pixel, and the fit repeated.
//! 3. Tracks may be wrong: points far from the fit do not count, beads that do not move as one body are left out.
//!
//! After Kremer et al. (IMOD, 1996, doi:10.1006/jsbi.1996.0013), Mastronarde (2007, doi:10.1016/j.jsb.2006.07.009),
//! Amat et al. (2008, doi:10.1016/j.jsb.2007.07.007).

mod bundle;
mod dense;
mod detect;
mod track;

use ndarray::Axis;
use rayon::prelude::*;

use super::AlignError;
use crate::base::{Cancelled, Progress};
use crate::volume::{Alignment, BeadTrack, BeadTracks, TiltSeries, TrackPoint, ViewShift};
use bundle::{Knots, Model};

/// Fewest beads that views are placed by.
const MIN_BEADS: usize = 2;
/// Fewest beads that tell more than shifts and the direction of the axis.
const MANY_BEADS: usize = 6;
/// Share of the views in which a bead must be seen.
const MIN_SEEN: f64 = 0.3;
/// Share of the points of a bead that must count.
const MIN_COUNTED: f64 = 0.5;
/// A turn below this many pixels at the edge is none.
const LEAST_TURN_PX: f64 = 0.05;
/// Largest residual of what can be beads.
const MAX_RMS_PX: f64 = 0.5;
/// A knot must take this much off the sum of squared errors, in units of their spread.
const WORTH_OF_KNOT: f64 = 6.0;

/// Fits views and beads to tracks. Quick enough to follow a hand that moves a bead: tens of milliseconds for ten
/// beads in 131 views.
///
/// `start` says the tilts, which views take part, and the direction of the axis to begin with. The result holds
/// the tracks with their positions, residuals and weights, and a residual for each view; `score` is absent. With fewer
/// than six beads shifts and one in-plane rotation are found; with more also magnification and change
/// of tilt along the series, where they are worth it. A view without any point that counts is left out.
///
/// # Errors
/// [`AlignError::Start`] where tracks and `start` do not fit each other, [`AlignError::Beads`] for fewer than two beads.
pub fn fit_tracks(
    tracks: &BeadTracks,
    start: &Alignment,
    shape: [usize; 2],
) -> Result<Alignment, AlignError> {
    let n_views = start.views.len();
    if let Some(problem) = start.problem(n_views).or_else(|| tracks.problem(n_views)) {
        return Err(AlignError::Start(problem));
    }
    let usable = tracks.beads.iter().filter(|bead| bead.points.len() >= 3).count();
    if usable < MIN_BEADS {
        return Err(AlignError::Beads(usable));
    }
    let used = start.used_indices();
    let model = fit_model(tracks, start, &used, shape);
    Ok(result(&model, tracks, start, &used, shape))
}

fn fit_model(tracks: &BeadTracks, start: &Alignment, used: &[usize], shape: [usize; 2]) -> Model {
    let mut place = vec![None; start.views.len()];
    used.iter().enumerate().for_each(|(k, view)| place[*view] = Some(k));
    let angles: Vec<f64> = used.iter().map(|view| start.views[*view].angle_deg).collect();
    let rotation = used.iter().map(|view| start.views[*view].rotation_deg).sum::<f64>() / used.len() as f64;
    let middle = shape.map(|n| (n as f64 - 1.0) / 2.0);
    let mut model = Model::new(&angles, tracks, middle, |view| place[view], rotation);
    model.fit();
    for _ in 0..4 {
        if !silence_wrong(&mut model) {
            break;
        }
        model.fit();
    }
    let n_beads = model.seen.iter().filter(|seen| !seen.is_empty()).count();
    if n_beads < MANY_BEADS {
        return model;
    }
    let groups = (used.len() / 15).clamp(2, 10);
    let tries = [
        Knots { rotation: 1, magnification: groups, tilt: 0 },
        Knots { rotation: groups, magnification: groups, tilt: 0 },
        Knots { rotation: groups, magnification: groups, tilt: groups },
    ];
    let mut known = 0.0;
    for knots in tries {
        let extra = (knots.rotation + knots.magnification + knots.tilt - 1) as f64;
        let mut more = model.with_knots(knots);
        more.go_on();
        let sigma = more.spread(false);
        let gain = model.robust_sum(sigma) - more.robust_sum(sigma);
        if gain > WORTH_OF_KNOT * (extra - known) {
            model = more;
            known = extra;
        }
    }
    model
}

/// Takes out the bead that moves least as a part of one body, if there is one; beads stay at least two.
fn silence_wrong(model: &mut Model) -> bool {
    let alive: Vec<usize> = (0..model.seen.len()).filter(|j| !model.seen[*j].is_empty()).collect();
    if alive.len() <= MIN_BEADS {
        return false;
    }
    let counted = |j: usize| {
        let seen = &model.seen[j];
        seen.iter().map(|s| s.weight).sum::<f64>() / seen.len() as f64
    };
    let worst = alive.iter().copied().min_by(|a, b| counted(*a).total_cmp(&counted(*b)));
    match worst.filter(|j| counted(*j) < MIN_COUNTED) {
        Some(bead) => {
            model.silence(bead);
            true
        }
        None => false,
    }
}

/// The alignment that a model is.
fn result(
    model: &Model,
    tracks: &BeadTracks,
    start: &Alignment,
    used: &[usize],
    shape: [usize; 2],
) -> Alignment {
    let mut views = start.views.clone();
    // A turn that moves the corners by less than beads are known to is none: plain shifts are read with less blur.
    let half = 0.5 * shape[0].max(shape[1]) as f64;
    let turned = model.views.iter().any(|view| (view.phi * half).abs() > LEAST_TURN_PX);
    for (k, &v) in used.iter().enumerate() {
        let view = &model.views[k];
        let here = || model.seen.iter().flatten().filter(move |s| s.view == k && s.weight > 0.0);
        views[v] = ViewShift {
            index: start.views[v].index,
            angle_deg: view.theta.to_degrees(),
            shift_y_px: view.shift[1],
            shift_x_px: view.shift[0],
            rotation_deg: if turned { view.phi.to_degrees() } else { 0.0 },
            magnification: view.magnification,
            residual_px: bundle::rms(here()),
            used: here().next().is_some(),
        };
        if model.knots_keep_tilt() {
            views[v].angle_deg = start.views[v].angle_deg;
        }
    }
    let mut found = tracks.clone();
    for ((bead, seen), position) in found.beads.iter_mut().zip(&model.seen).zip(&model.beads) {
        let [x, y, z] = *position;
        bead.position_zyx = (!seen.is_empty()).then_some([z, y, x]);
        bead.residual_px = bundle::rms(seen.iter());
        for point in &mut bead.points {
            let fitted = seen.iter().find(|s| used[s.view] == point.view);
            point.residual_px = fitted.map(bundle::Seen::distance);
            point.weight = Some(fitted.map_or(0.0, |s| s.weight));
        }
    }
    let method = "beads".to_owned();
    Alignment { version: 1, method, views, score: None, beads: Some(found) }
}

/// Finds beads, or takes those of `start`, and fits; `Ok(Err(…))` says in words why there are too few.
pub(super) fn by_beads(
    progress: &Progress,
    series: &TiltSeries,
    start: &Alignment,
    diameter: Option<f64>,
) -> Result<Result<Alignment, String>, Cancelled> {
    let used = start.used_indices();
    let shape = [series.n_rows(), series.n_cols()];
    let tracks = match &start.beads {
        Some(given) if !given.beads.is_empty() => given.clone(),
        _ => found_tracks(progress, series, start, &used, diameter)?,
    };
    let diameter = diameter.or(tracks.diameter_px).unwrap_or(5.0);
    let seen = tracks.beads.len();
    let mut tracks = measured_where_seen(progress, series, &tracks, diameter)?;
    for round in 0..3 {
        progress.phase("Fitting beads", 0);
        progress.check()?;
        let Ok(fit) = fit_tracks(&tracks, start, shape) else {
            return Ok(Err(format!("{seen} beads were found, at least {MIN_BEADS} are needed")));
        };
        if round == 2 {
            return Ok(judge(fit));
        }
        tracks = measured_where_predicted(progress, series, &fit, &used, diameter)?;
    }
    Ok(Err("no fit".to_owned()))
}

/// Whether the fit says anything: enough beads in enough views.
fn judge(fit: Alignment) -> Result<Alignment, String> {
    let beads =
        fit.beads.as_ref().map_or(0, |b| b.beads.iter().filter(|bead| bead.position_zyx.is_some()).count());
    let n = fit.views.len();
    let placed = fit.used_indices().len();
    if beads < MIN_BEADS {
        return Err(format!("only {beads} beads move as one body, at least {MIN_BEADS} are needed"));
    }
    let seen = fit.beads.iter().flat_map(|b| &b.beads).flat_map(|bead| &bead.points);
    let (sum, total) = seen.fold((0.0, 0.0), |(sum, total), point| {
        let (weight, off) = (point.weight.unwrap_or(0.0), point.residual_px.unwrap_or(0.0));
        (sum + weight * off * off, total + weight)
    });
    let rms = (sum / f64::max(total, 1e-9)).sqrt();
    if rms > MAX_RMS_PX {
        return Err(format!(
            "what was followed does not move as one body (residual {rms:.2} px, beads have {MAX_RMS_PX} at most)"
        ));
    }
    if 2 * placed < n {
        return Err(format!("beads are seen in {placed} of {n} views only"));
    }
    Ok(fit)
}

fn found_tracks(
    progress: &Progress,
    series: &TiltSeries,
    start: &Alignment,
    used: &[usize],
    diameter: Option<f64>,
) -> Result<BeadTracks, Cancelled> {
    let discs = detect::discs(progress, series, used, diameter)?;
    let angles: Vec<f64> = used.iter().map(|view| start.views[*view].angle_deg).collect();
    let followed = track::follow(&discs, &angles, [series.n_rows(), series.n_cols()]);
    let least = ((used.len() as f64 * MIN_SEEN) as usize).max(3);
    let kept: Vec<_> = followed.tracks.into_iter().filter(|track| track.len() >= least).collect();
    let mut sizes: Vec<f64> = kept.iter().map(track::diameter).collect();
    sizes.sort_by(f64::total_cmp);
    let beads = kept
        .iter()
        .map(|track| BeadTrack {
            points: track.iter().map(|(k, disc)| TrackPoint::new(used[*k], disc.y, disc.x)).collect(),
            ..BeadTrack::default()
        })
        .collect();
    Ok(BeadTracks { diameter_px: sizes.get(sizes.len() / 2).copied(), beads })
}

/// The points of tracks moved to the middle of what they mark; those that mark nothing are dropped.
fn measured_where_seen(
    progress: &Progress,
    series: &TiltSeries,
    tracks: &BeadTracks,
    diameter: f64,
) -> Result<BeadTracks, Cancelled> {
    let reach = 0.5 * diameter + 1.0;
    let beads = tracks
        .beads
        .par_iter()
        .map(|bead| {
            progress.check()?;
            let measure = |point: &TrackPoint| {
                let frame = series.data.index_axis(Axis(0), point.view);
                let middle = detect::middle(frame, point.y, point.x, diameter, reach)?;
                Some(TrackPoint::new(point.view, middle.y, middle.x))
            };
            Ok(BeadTrack { points: bead.points.iter().filter_map(measure).collect(), ..BeadTrack::default() })
        })
        .collect::<Result<_, Cancelled>>()?;
    Ok(BeadTracks { diameter_px: Some(diameter), beads })
}

/// Every bead of a fit looked for in every view where the fit puts it.
fn measured_where_predicted(
    progress: &Progress,
    series: &TiltSeries,
    fit: &Alignment,
    used: &[usize],
    diameter: f64,
) -> Result<BeadTracks, Cancelled> {
    progress.phase("Measuring beads", used.len() as u64);
    let reach = 0.4 * diameter + 1.5;
    let middle = [series.n_rows(), series.n_cols()].map(|n| (n as f64 - 1.0) / 2.0);
    let Some(tracks) = &fit.beads else { return Ok(BeadTracks::default()) };
    let beads = tracks
        .beads
        .par_iter()
        .map(|bead| {
            progress.check()?;
            let Some([z, y, x]) = bead.position_zyx else { return Ok(None) };
            let mut heights = Vec::new();
            let mut points = Vec::new();
            for &v in used {
                let view = &fit.views[v];
                let at = as_view(view).project([x, y, z]);
                let (py, px) = (middle[0] + at[1], middle[1] + at[0]);
                let frame = series.data.index_axis(Axis(0), v);
                if let Some(found) = detect::middle(frame, py, px, diameter, reach) {
                    heights.push(found.height);
                    points.push((found.height, TrackPoint::new(v, found.y, found.x)));
                }
            }
            heights.sort_by(f64::total_cmp);
            let usual = heights.get(heights.len() / 2).copied().unwrap_or(0.0);
            // A hill far lower than usual is something else.
            let points = points.into_iter().filter(|(h, _)| *h > 0.3 * usual).map(|(_, p)| p).collect();
            Ok(Some(BeadTrack { points, ..BeadTrack::default() }))
        })
        .collect::<Result<Vec<_>, Cancelled>>()?;
    let least = ((used.len() as f64 * MIN_SEEN) as usize).max(3);
    let beads = beads.into_iter().flatten().filter(|bead: &BeadTrack| bead.points.len() >= least).collect();
    Ok(BeadTracks { diameter_px: Some(diameter), beads })
}

fn as_view(view: &ViewShift) -> bundle::View {
    bundle::View {
        theta: view.angle_deg.to_radians(),
        phi: view.rotation_deg.to_radians(),
        magnification: view.magnification,
        shift: [view.shift_x_px, view.shift_y_px],
    }
}

#[cfg(test)]
mod tests;
