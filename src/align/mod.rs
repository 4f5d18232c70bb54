//! Alignment: where the content of each view has moved, found from the views alone.
//!
//! Nothing is resampled: the result is one shift along y and x per view, in unbinned pixels.
//!
//! 1. Start: the mass of every row does not change as the sample turns, which gives y; the centre of
//!    mass of every view must lie on one sinusoid, which gives x and the rotation axis. Where the sample
//!    is not isolated, neighbouring views are compared instead, the steeper one stretched.
//! 2. Projection matching (after Dengler 1989, doi:10.1016/0304-3991(89)90009-0, and Gürsoy et al. 2017,
//!    doi:10.1038/s41598-017-12141-9): the volume is reconstructed from every other view and reprojected
//!    at the angles of those left out; each of them is moved to where it fits best, then the halves swap.
//!    A view is thus never compared with itself.
//! 3. Nothing is accepted that does not raise the score: the mean correlation of held-out views
//!    with their reprojection.

mod axis;
mod direction;
mod fiducial;
mod from_start;
mod level;
mod matching;
mod neighbours;
mod one_view;
mod patch;
mod profiles;
mod sequence;

use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress};
use crate::volume::{Alignment, TiltSeries, ViewShift};
pub use fiducial::fit_tracks;
use level::Level;
pub use one_view::{Placed, as_seen_at, place_view};

/// What is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Rotation axis and every view, where that fits better than leaving them alone.
    #[default]
    Auto,
    /// Only the rotation axis: one shift along x for all views.
    Axis,
    /// Every view, by projection matching; kept only where it fits better.
    Projection,
    /// Every view, by gold beads that are followed through the series; also the direction of the axis.
    Fiducial,
    /// Every view, by patches that are followed from view to view; begins with what automatic finds.
    Patch,
    /// Nothing: the rotation axis at the middle column.
    None,
}

/// How a series is aligned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignParams {
    /// What is aligned.
    pub method: Method,
    /// Most cycles of projection matching at each binning, 1 to 100; it stops when nothing moves any more.
    pub cycles: usize,
    /// Pixels that the finest comparison is binned by, 1 to 16; unset: as fine as 256 columns.
    pub finest_bin: Option<usize>,
    /// Diameter of the beads in pixels, 2 to 200; unset: guessed from the views.
    pub bead_px: Option<f64>,
    /// Side of the patches in pixels, 16 to 4096; unset: a fifth of the shorter side of the views.
    pub patch_px: Option<usize>,
    /// Whether the direction of the rotation axis in the plane of the views is looked for, without beads.
    pub direction: bool,
}

impl Default for AlignParams {
    fn default() -> Self {
        Self {
            method: Method::Auto,
            cycles: 8,
            finest_bin: None,
            bead_px: None,
            patch_px: None,
            direction: true,
        }
    }
}

/// Why a series cannot be aligned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlignError {
    /// Too few views or pixels.
    #[error(
        "{n_views} views of {n_rows} x {n_cols} pixels are too few to align: at least 8 views of 1 x 16 are needed (--align none leaves them as they are)"
    )]
    TooSmall {
        /// Views.
        n_views: usize,
        /// Rows.
        n_rows: usize,
        /// Columns.
        n_cols: usize,
    },
    /// Angles and views differ in number.
    #[error("{n_angles} angles for {n_views} views")]
    AngleCount {
        /// Angles.
        n_angles: usize,
        /// Views.
        n_views: usize,
    },
    /// A value or angle is NaN or infinite.
    #[error("view {view} holds a value or an angle that is not finite: normalise the scan first")]
    NotFinite {
        /// Which view, from 0.
        view: usize,
    },
    /// Too few beads for a fit.
    #[error("{0} beads with three points or more, at least 2 are needed")]
    Beads(usize),
    /// A length is out of range.
    #[error("{name} is {value}, it must be {range}")]
    Length {
        /// Name of the parameter.
        name: &'static str,
        /// What was asked for.
        value: f64,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// The alignment to start from does not fit the series.
    #[error("{0}")]
    Start(String),
    /// A parameter is out of range.
    #[error("{name} is {value}, it must be {range}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// What was asked for.
        value: usize,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// What a better alignment must take off the distance of its score to 1: twice what fitting noise gains.
const WORTH: f64 = 0.05;

/// Standard errors that a direction must be away from 0.
const SURE: f64 = 4.0;
/// A turn below this many pixels at the edge is none.
const LEAST_TURN_PX: f64 = 0.1;

/// What a start by a chain of comparisons must take off that distance: a chain that drifts bends the sample, and a bent
/// sample fits itself a little better than a straight one.
const WORTH_OF_CHAIN: f64 = 0.3;
/// A start whose held-out views correlate like this at the coarsest binning is one to go on from.
const FITS_WELL: f64 = 0.975;

const AXIS: &str = "rotation axis; score: mean correlation of held-out views with their reprojection";
const STARTED: &str = "shifts from the masses of the views, from their neighbours or given, which matching could not better; score: mean correlation of held-out views with their reprojection";
const BEADS: &str = "gold beads; score: mean correlation of held-out views with their reprojection";
const PATCHES: &str = "patches; score: mean correlation of held-out views with their reprojection";
const MATCHED: &str =
    "projection matching; score: mean correlation of held-out views with their reprojection";

/// What is believed about changes along x that are slow in angle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The start, made from masses, has them right: matching hardly sees them and would let them drift.
    Start,
    /// Matching, as the start knows no better.
    Matching,
}

/// Shifts of all views as (y, x), in unbinned pixels.
type Shifts = Vec<[f64; 2]>;

/// What [`align`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// The alignment.
    pub alignment: Alignment,
    /// Sentences for the user: why another method was used than the one asked for.
    pub notes: Vec<String>,
}

/// Finds the alignment of a series, from `start` if there is one: what that leaves out stays out, its tilts, rotations
/// and magnifications are kept (beads refine them), its shifts are where the search begins if they fit better than
/// others, and its beads are the ones that are followed.
///
/// `score` of the result is the mean correlation (0 to 1) of held-out views with their reprojection,
/// high-passed, at the finest binning; absent for [`Method::None`]. Peak memory: about three times
/// the binned series. Time at 256 columns and 180 views: some seconds on two cores.
///
/// # Errors
/// [`AlignError`] for a series that cannot be aligned; [`AlignError::Cancelled`].
pub fn align(
    progress: &Progress,
    series: &TiltSeries,
    start: Option<&Alignment>,
    params: &AlignParams,
) -> Result<Aligned, AlignError> {
    if let Some(problem) = start.and_then(|start| start.problem(series.n_views())) {
        return Err(AlignError::Start(problem));
    }
    if params.method == Method::Patch {
        return by_patches(progress, series, start, params);
    }
    let mut notes = Vec::new();
    if params.method == Method::Fiducial {
        check(series, params)?;
        match by_tracks(progress, series, start, params)? {
            Ok(alignment) => return Ok(Aligned { alignment, notes }),
            Err(reason) => notes.push(format!("not aligned by beads but without markers: {reason}")),
        }
    }
    let alignment = match start {
        None => align_all(progress, series, None, params)?,
        Some(start) if params.method == Method::None => start.clone(),
        Some(start) => {
            let (turned, used) = from_start::turned(progress, series, start)?;
            let shifts = from_start::shifts(start, &used);
            let found = align_all(progress, &turned, Some(shifts), params)?;
            from_start::put_back(start, &used, found)
        }
    };
    Ok(Aligned { alignment, notes })
}

/// Alignment by beads if that fits no worse than what there was before, else in words why not.
fn by_tracks(
    progress: &Progress,
    series: &TiltSeries,
    start: Option<&Alignment>,
    params: &AlignParams,
) -> Result<Result<Alignment, String>, AlignError> {
    let identity = Alignment::identity(&series.angles_deg);
    let before = start.unwrap_or(&identity);
    let mut found = match fiducial::by_beads(progress, series, before, params.bead_px)? {
        Ok(found) => found,
        Err(reason) => return Ok(Err(reason)),
    };
    let bin = bins(series, params).last().copied().unwrap_or(1);
    let (was, is) = (held_out(progress, series, before, bin)?, held_out(progress, series, &found, bin)?);
    if is < was {
        return Ok(Err(format!(
            "held-out views fit their reprojection worse than before (correlation {is:.3} after {was:.3})"
        )));
    }
    BEADS.clone_into(&mut found.method);
    found.score = Some(is);
    Ok(Ok(found))
}

/// Alignment without markers, refined by patches where that raises the score.
fn by_patches(
    progress: &Progress,
    series: &TiltSeries,
    start: Option<&Alignment>,
    params: &AlignParams,
) -> Result<Aligned, AlignError> {
    let automatic = AlignParams { method: Method::Auto, ..params.clone() };
    let Aligned { alignment: rough, mut notes } = align(progress, series, start, &automatic)?;
    let bin = bins(series, params).last().copied().unwrap_or(1);
    let shape = [series.n_rows(), series.n_cols()];
    let side = params.patch_px.unwrap_or(shape[0].min(shape[1]) / 5) / bin;
    let was = held_out(progress, series, &rough, bin)?;
    let mut found = rough.clone();
    for _ in 0..2 {
        let (turned, used) = from_start::turned(progress, series, &found)?;
        let level = Level::new(progress, &turned, bin)?;
        let followed = patch::tracks(progress, &level, &from_start::shifts(&found, &used), side.max(16))?;
        let tracks = from_start::tracks_as_seen(followed, &level, &found, &used, shape);
        progress.phase("Fitting patches", 0);
        match fit_tracks(&tracks, &found, shape) {
            Ok(fitted) => found = fitted,
            Err(AlignError::Beads(n)) => {
                notes.push(format!("not refined by patches: {n} were followed"));
                return Ok(Aligned { alignment: rough, notes });
            }
            Err(error) => return Err(error),
        }
    }
    let is = held_out(progress, series, &found, bin)?;
    if is <= was {
        notes.push(format!(
            "patches do not raise the correlation of held-out views with their reprojection ({is:.4} after {was:.4}): aligned without them"
        ));
        return Ok(Aligned { alignment: rough, notes });
    }
    PATCHES.clone_into(&mut found.method);
    Ok(Aligned { alignment: Alignment { score: Some(is), beads: rough.beads, ..found }, notes })
}

/// The score of an alignment: mean correlation of held-out views with their reprojection.
fn held_out(
    progress: &Progress,
    series: &TiltSeries,
    alignment: &Alignment,
    bin: usize,
) -> Result<f64, Cancelled> {
    let (turned, used) = from_start::turned(progress, series, alignment)?;
    let level = Level::new(progress, &turned, bin)?;
    matching::score(progress, &level, &from_start::shifts(alignment, &used))
}

/// The alignment of a series whose views all take part and have neither turned nor grown.
fn align_all(
    progress: &Progress,
    series: &TiltSeries,
    start: Option<Shifts>,
    params: &AlignParams,
) -> Result<Alignment, AlignError> {
    check(series, params)?;
    if params.method == Method::None {
        return Ok(Alignment::identity(&series.angles_deg));
    }
    let mut values = series.data.iter();
    let first = values.next();
    if values.all(|value| Some(value) == first) {
        // Nothing is seen anywhere: any shift would fit as well as none.
        return Ok(Alignment { score: Some(0.0), ..Alignment::identity(&series.angles_deg) });
    }
    let bins = bins(series, params);
    progress.phase("Binning", bins.len() as u64);
    let mut levels = Vec::with_capacity(bins.len());
    for bin in bins {
        progress.check()?;
        levels.push(Level::new(progress, series, bin)?);
        progress.advance(1);
    }
    let common = if params.direction { common_direction(progress, &levels)? } else { 0.0 };
    let mut start = start;
    if common != 0.0 {
        for level in &mut levels {
            *level = level.turned(progress, common)?;
        }
        start = start.map(|shifts| direction::turned(&shifts, common));
    }
    let found = match params.method {
        Method::Axis => axis_only(progress, &levels)?,
        _ => every_view(progress, &levels, start, params.cycles)?,
    };
    let (more, (shifts, method, score, _)) =
        if params.direction { with_direction(progress, &levels, found, params)? } else { (0.0, found) };
    let rotation_deg = common + more;
    let (sin, cos) = rotation_deg.to_radians().sin_cos();
    let views = shifts.iter().zip(&series.angles_deg).enumerate();
    // Shifts of views that were read turned, in views as they are: `R shift`.
    let views = views.map(|(index, ([y, x], angle_deg))| ViewShift {
        shift_y_px: cos * y + sin * x,
        shift_x_px: cos * x - sin * y,
        rotation_deg,
        ..ViewShift::still(index, *angle_deg)
    });
    let (views, method) = (views.collect(), method.to_owned());
    Ok(Alignment { version: 1, method, views, score: Some(score), beads: None })
}

fn check(series: &TiltSeries, params: &AlignParams) -> Result<(), AlignError> {
    let (n_views, n_rows, n_cols) = series.data.dim();
    if series.angles_deg.len() != n_views {
        return Err(AlignError::AngleCount { n_angles: series.angles_deg.len(), n_views });
    }
    if !(1..=100).contains(&params.cycles) {
        return Err(AlignError::Parameter {
            name: "cycles",
            value: params.cycles,
            range: "between 1 and 100",
        });
    }
    if let Some(value) = params.finest_bin.filter(|bin| !(1..=16).contains(bin)) {
        return Err(AlignError::Parameter { name: "finest_bin", value, range: "between 1 and 16" });
    }
    if let Some(value) = params.bead_px.filter(|px| !(2.0..=200.0).contains(px)) {
        return Err(AlignError::Length { name: "bead_px", value, range: "between 2 and 200 pixels" });
    }
    if let Some(value) = params.patch_px.filter(|px| !(16..=4096).contains(px)) {
        return Err(AlignError::Parameter { name: "patch_px", value, range: "between 16 and 4096" });
    }
    if let Some(view) = series.angles_deg.iter().position(|angle| !angle.is_finite()) {
        return Err(AlignError::NotFinite { view });
    }
    if params.method != Method::None && (n_views < 8 || n_rows == 0 || n_cols < 16) {
        return Err(AlignError::TooSmall { n_views, n_rows, n_cols });
    }
    Ok(())
}

/// Binnings from coarse to fine.
fn bins(series: &TiltSeries, params: &AlignParams) -> Vec<usize> {
    let n = series.n_cols();
    let finest = params.finest_bin.unwrap_or_else(|| n.div_ceil(256)).min(n / 16).max(1);
    let mut bins = vec![finest];
    // Halving stops where little is left to see.
    while bins.len() < 3 && n / (bins[bins.len() - 1] * 2) >= 40 {
        bins.push(bins[bins.len() - 1] * 2);
    }
    bins.reverse();
    bins
}

/// Shifts, method, score, and what is believed of them.
type Found = (Shifts, &'static str, f64, Trust);

fn axis_only(progress: &Progress, levels: &[Level]) -> Result<Found, AlignError> {
    let offset = axis::find(progress, levels)?;
    let finest = &levels[levels.len() - 1];
    let shifts = vec![[0.0, offset]; finest.n_views()];
    let score = matching::score(progress, finest, &shifts)?;
    Ok((shifts, AXIS, score, Trust::Start))
}

fn every_view(
    progress: &Progress,
    levels: &[Level],
    given: Option<Shifts>,
    cycles: usize,
) -> Result<Found, AlignError> {
    let (coarsest, finest) = (&levels[0], &levels[levels.len() - 1]);
    let offset = axis::find(progress, levels)?;
    let still = vec![[0.0, offset]; finest.n_views()];
    // Each start with whether it weighs masses and how much it must be better than those before.
    let mut starts = vec![(still.clone(), false, 0.0), (profiles::start(progress, finest)?, true, WORTH)];
    starts.extend(given.map(|shifts| (shifts, false, WORTH)));
    if !finest.full_rotation {
        // Views that fit well as they are need no placing one after the other.
        let mut fits = f64::NEG_INFINITY;
        for (shifts, ..) in &starts {
            fits = fits.max(matching::score(progress, coarsest, shifts)?);
        }
        let near = neighbours::start(progress, levels)?;
        starts.push((near.clone(), false, WORTH_OF_CHAIN));
        if fits < FITS_WELL {
            starts.push((sequence::refine(progress, levels, near)?, false, WORTH_OF_CHAIN));
        }
    }
    // The start that fits best at a coarse binning goes on; views that stand still are left alone.
    let (mut start, mut weighed, _) = starts.remove(0);
    let mut best = matching::score(progress, coarsest, &start)?;
    for (candidate, by_mass, worth) in starts {
        let score = matching::score(progress, coarsest, &candidate)?;
        if 1.0 - score < (1.0 - worth) * (1.0 - best) {
            (best, start, weighed) = (score, candidate, by_mass);
        }
    }
    let trust = if weighed && finest.full_rotation { Trust::Start } else { Trust::Matching };
    let mut shifts = start.clone();
    if trust == Trust::Start {
        // Hundredths of a pixel are left to gain: the finest level and few cycles show whether there is more.
        shifts = matching::refine(progress, finest, shifts, cycles.min(3), trust)?;
    } else {
        for level in levels {
            shifts = matching::refine(progress, level, shifts, cycles, trust)?;
            if level.full_rotation {
                shifts = axis::polish(progress, level, shifts)?;
            }
        }
    }
    remove_gauge(finest, &mut shifts);
    let (mut score, start_score) =
        (matching::score(progress, finest, &shifts)?, matching::score(progress, finest, &start)?);
    let mut method = MATCHED;
    if !is_better(score, start_score) {
        (shifts, score) = (start, start_score);
        method = if shifts == still { AXIS } else { STARTED };
    }
    Ok((shifts, method, score, trust))
}

/// The direction of the axis at limited tilt where it is surely not 0, in degrees; else 0.
fn common_direction(progress: &Progress, levels: &[Level]) -> Result<f64, AlignError> {
    let Some(finest) = levels.last().filter(|level| !level.full_rotation) else { return Ok(0.0) };
    let shifts = profiles::start(progress, finest)?;
    let found = direction::by_common_line(progress, levels, &shifts)?;
    Ok(found.filter(|[angle, error]| is_turned(finest, *angle, *error)).map_or(0.0, |[angle, _]| angle))
}

/// Whether a direction is surely not 0 and makes a difference at the edges.
fn is_turned(level: &Level, angle_deg: f64, error_deg: f64) -> bool {
    let edge_px = 0.5 * (level.n_cols().max(level.n_rows()) * level.bin) as f64;
    (angle_deg.to_radians() * edge_px).abs() >= LEAST_TURN_PX && angle_deg.abs() >= SURE * error_deg
}

/// Looks for the direction of the axis at full rotation and aligns views that are read turned by it, if it is surely not 0.
fn with_direction(
    progress: &Progress,
    levels: &[Level],
    found: Found,
    params: &AlignParams,
) -> Result<(f64, Found), AlignError> {
    let Some([first, error]) = direction::find(progress, levels, &found.0)? else { return Ok((0.0, found)) };
    let Some(finest) = levels.last() else { return Ok((0.0, found)) };
    if !is_turned(finest, first, error) {
        return Ok((0.0, found));
    }
    let (start, method, _, trust) = &found;
    let mut rotation = first;
    let mut shifts = direction::turned(start, first);
    // Shifts that were found in the wrong direction are found anew, then what is left of the direction.
    let coarser = &levels[levels.len().saturating_sub(2)];
    for level in [coarser, finest] {
        let turned = level.turned(progress, rotation)?;
        if params.method != Method::Axis {
            shifts = matching::refine(progress, &turned, shifts, params.cycles.min(3), *trust)?;
        }
        if std::ptr::eq(level, coarser)
            && let Some([more, _]) = direction::find(progress, &[turned], &shifts)?
        {
            rotation += more;
            shifts = direction::turned(&shifts, more);
        }
    }
    let last = finest.turned(progress, rotation)?;
    if params.method != Method::Axis {
        remove_gauge(&last, &mut shifts);
    }
    let score = matching::score(progress, &last, &shifts)?;
    if score < found.2 {
        return Ok((0.0, found));
    }
    Ok((rotation, (shifts, method, score, *trust)))
}

/// Whether a score beats another by more than fitting the noise would.
fn is_better(score: f64, than: f64) -> bool {
    1.0 - score < (1.0 - WORTH) * (1.0 - than)
}

/// Takes out what no alignment can know: a move of the whole sample. The axis offset stays.
fn remove_gauge(level: &Level, shifts: &mut Shifts) {
    let n = shifts.len() as f64;
    let mean_y = shifts.iter().map(|s| s[0]).sum::<f64>() / n;
    let angles: Vec<f64> = level.angles_deg.iter().map(|a| a.to_radians()).collect();
    let [a, b, _] = fit_sinusoid(&angles, shifts.iter().map(|s| s[1]));
    for (shift, angle) in shifts.iter_mut().zip(&angles) {
        shift[0] -= mean_y;
        shift[1] -= a * angle.cos() + b * angle.sin();
    }
}

/// Least squares fit of `a cos θ + b sin θ + c`; the sinusoid is held small where angles hardly tell it from `c`.
fn fit_sinusoid(angles: &[f64], values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut normal = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for (angle, value) in angles.iter().zip(values) {
        let row = [angle.cos(), angle.sin(), 1.0];
        for i in 0..3 {
            right[i] += row[i] * value;
            for j in 0..3 {
                normal[i][j] += row[i] * row[j];
            }
        }
    }
    for (i, row) in normal.iter_mut().enumerate().take(2) {
        row[i] += 1e-4 * angles.len() as f64;
    }
    crate::kernels::registration::inverse(normal)
        .map_or([0.0; 3], |inverse| std::array::from_fn(|i| (0..3).map(|j| inverse[i][j] * right[j]).sum()))
}

#[cfg(test)]
mod tests;
