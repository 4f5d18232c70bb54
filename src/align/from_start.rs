//! Going on from an alignment: its views are read turned back, what it leaves out is left out, and all is put back.

use std::borrow::Cow;

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use super::Shifts;
use super::level::Level;
use crate::base::{Cancelled, Progress};
use crate::kernels::turn::Turn;
use crate::volume::{Alignment, BeadTracks, TiltSeries, ViewShift};

/// The views that take part, read without rotation and magnification, at the tilts of the alignment.
pub(super) fn turned<'a>(
    progress: &Progress,
    series: &'a TiltSeries,
    start: &Alignment,
) -> Result<(Cow<'a, TiltSeries>, Vec<usize>), Cancelled> {
    let used = start.used_indices();
    let angles_deg: Vec<f64> = used.iter().map(|&v| start.views[v].angle_deg).collect();
    let plain = used.len() == series.n_views() && start.views.iter().all(ViewShift::is_shift);
    if plain && angles_deg == series.angles_deg {
        return Ok((Cow::Borrowed(series), used));
    }
    let (_, n_rows, n_cols) = series.data.dim();
    let middle = |n: usize| (n as f64 - 1.0) / 2.0;
    let mut data = Array3::zeros((used.len(), n_rows, n_cols));
    progress.phase("Turning the views back", used.len() as u64);
    data.axis_iter_mut(Axis(0)).into_par_iter().zip(&used).try_for_each(|(mut out, &v)| {
        progress.check()?;
        let frame = series.data.index_axis(Axis(0), v);
        let view = &start.views[v];
        if view.is_shift() {
            out.assign(&frame);
        } else {
            let pivot = [middle(n_cols), middle(n_rows)];
            let turn = Turn { matrix: view.matrix(), pivot, shift: [0.0; 2] };
            let mut line = vec![0.0; n_cols];
            for (row, mut out) in out.outer_iter_mut().enumerate() {
                turn.row(&frame, row, &mut line);
                out.iter_mut().zip(&line).for_each(|(value, read)| *value = *read);
            }
        }
        progress.advance(1);
        Ok(())
    })?;
    let (pixel_um, energy_ev) = (series.pixel_um, series.energy_ev);
    Ok((Cow::Owned(TiltSeries { data, angles_deg, pixel_um, energy_ev }), used))
}

/// The shifts of an alignment in views that were turned back: `A⁻¹ shift`, as (y, x).
pub(super) fn shifts(start: &Alignment, used: &[usize]) -> Shifts {
    let back = |view: &ViewShift| {
        let [[a, b], [c, d]] = view.matrix();
        let determinant = a * d - b * c;
        let (x, y) = (view.shift_x_px, view.shift_y_px);
        if view.is_shift() { [y, x] } else { [(a * y - c * x) / determinant, (d * x - b * y) / determinant] }
    };
    used.iter().map(|&v| back(&start.views[v])).collect()
}

/// Tracks on a level whose views were read turned and moved back, in pixels of the views as they are.
pub(super) fn tracks_as_seen(
    mut tracks: BeadTracks,
    level: &Level,
    start: &Alignment,
    used: &[usize],
    shape: [usize; 2],
) -> BeadTracks {
    let middle = |n: usize| (n as f64 - 1.0) / 2.0;
    let bin = level.bin as f64;
    for point in tracks.beads.iter_mut().flat_map(|bead| &mut bead.points) {
        let view = &start.views[used[point.view]];
        let (y, x) = ((point.y - middle(level.n_rows())) * bin, (point.x - middle(level.n_cols())) * bin);
        let [[a, b], [c, d]] = view.matrix();
        point.view = used[point.view];
        point.x = a * x + b * y + middle(shape[1]) + view.shift_x_px;
        point.y = c * x + d * y + middle(shape[0]) + view.shift_y_px;
    }
    tracks
}

/// What was found of views that were turned back, in the views as they are: `A shift`.
pub(super) fn put_back(start: &Alignment, used: &[usize], found: Alignment) -> Alignment {
    let mut views = start.views.clone();
    views.iter_mut().for_each(|view| view.residual_px = None);
    for (&v, found) in used.iter().zip(&found.views) {
        let view = &mut views[v];
        view.angle_deg = found.angle_deg;
        let [[a, b], [c, d]] = view.matrix();
        let (x, y) = (found.shift_x_px, found.shift_y_px);
        (view.shift_x_px, view.shift_y_px) =
            if view.is_shift() { (x, y) } else { (a * x + b * y, c * x + d * y) };
        view.rotation_deg += found.rotation_deg;
    }
    Alignment { views, beads: start.beads.clone(), ..found }
}
