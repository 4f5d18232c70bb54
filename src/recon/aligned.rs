//! Views where the alignment puts them, and how a volume explains them.

use ndarray::{Array3, Axis, Zip};
use rayon::prelude::*;

use super::ReconError;
use crate::base::{Cancelled, Progress};
use crate::kernels::projector::{ParallelGeometry, project};
use crate::kernels::turn::Turn;
use crate::volume::{Alignment, TiltSeries, Volume};

/// The views that the alignment uses, moved, turned and scaled back with one cubic interpolation and binned.
///
/// The rotation axis lies in the middle column of the result; its angles are those of the alignment.
///
/// # Errors
/// [`ReconError::Alignment`] where it does not fit the series; [`ReconError::Cancelled`].
pub fn aligned_series(
    progress: &Progress,
    series: &TiltSeries,
    alignment: &Alignment,
    bin: usize,
) -> Result<TiltSeries, ReconError> {
    let used = super::used_views(series, alignment, super::Half::All)?;
    let (_, n_rows, n_cols) = series.data.dim();
    let bin = bin.clamp(1, n_rows.min(n_cols).max(1));
    let pivot = [(n_cols as f64 - 1.0) / 2.0, (n_rows as f64 - 1.0) / 2.0];
    // Columns that do not fill a bin are dropped at the right, which moves the middle.
    let dropped = (n_cols % bin) as f64 / 2.0;
    let scale = 1.0 / (bin * bin) as f32;
    let mut data = Array3::zeros((used.len(), n_rows / bin, n_cols / bin));
    progress.phase("Aligning views", used.len() as u64);
    data.outer_iter_mut().into_par_iter().zip(&used).try_for_each(|(mut out, &index)| {
        progress.check()?;
        let view = &alignment.views[index];
        let shift = [view.shift_x_px + dropped, view.shift_y_px];
        let turn = Turn { matrix: view.matrix(), pivot, shift };
        let frame = series.data.index_axis(Axis(0), index);
        let mut row = vec![0.0f32; n_cols];
        for (y, mut out) in out.outer_iter_mut().enumerate() {
            for line in y * bin..(y + 1) * bin {
                turn.row(&frame, line, &mut row);
                for (value, block) in out.iter_mut().zip(row.chunks_exact(bin)) {
                    *value += block.iter().sum::<f32>() * scale;
                }
            }
        }
        progress.advance(1);
        Ok::<(), Cancelled>(())
    })?;
    Ok(TiltSeries {
        data,
        angles_deg: used.iter().map(|&index| alignment.views[index].angle_deg).collect(),
        pixel_um: series.pixel_um.map(|um| um * bin as f64),
        energy_ev: series.energy_ev,
    })
}

/// Line integrals of a volume at some tilts, without unit, shape (views, rows, columns).
///
/// # Errors
/// [`Cancelled`] if the owner cancelled.
pub fn reproject(
    progress: &Progress,
    volume: &Volume<f32>,
    angles_deg: &[f64],
    n_cols: usize,
) -> Result<Array3<f32>, Cancelled> {
    let (depth, n_rows, width) = volume.data.dim();
    let geometry = ParallelGeometry { depth, width, ..ParallelGeometry::new(angles_deg, n_cols) };
    progress.phase("Reprojecting", n_rows.div_ceil(16) as u64);
    let mut views = project(progress, &geometry, volume.data.view())?;
    let edge = volume.voxel_um.map_or(1.0, |um| um[2]) as f32;
    views.par_mapv_inplace(|value| value * edge);
    Ok(views)
}

/// How well a volume explains one view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewResidual {
    /// Place of the view in the scan.
    pub index: usize,
    /// Its tilt in degrees.
    pub angle_deg: f64,
    /// Root mean square of the view minus the reprojection, in absorbance.
    pub rms: f64,
    /// The same as a fraction of the spread of the view.
    pub relative: f64,
    /// Correlation coefficient of both, -1 to 1.
    pub correlation: f64,
}

/// The views minus what the volume predicts of them, and a line for each.
///
/// The volume is of all rows of the series, binned or not; the bin is told by its width.
///
/// # Errors
/// [`ReconError::Alignment`], [`ReconError::Volume`] where the volume is not of this series; [`ReconError::Cancelled`].
pub fn residuals(
    progress: &Progress,
    series: &TiltSeries,
    alignment: &Alignment,
    volume: &Volume<f32>,
) -> Result<(TiltSeries, Vec<ViewResidual>), ReconError> {
    let [_, rows, width] = volume.shape();
    let bin = (series.n_cols() / width.max(1)).max(1);
    if [series.n_rows() / bin, series.n_cols() / bin] != [rows, width] {
        return Err(ReconError::Volume(format!(
            "the volume has {rows} rows and {width} columns, the series {} and {}: it was made from another scan, or from some rows only",
            series.n_rows(),
            series.n_cols()
        )));
    }
    let mut aligned = aligned_series(progress, series, alignment, bin)?;
    let made = reproject(progress, volume, &aligned.angles_deg, width)?;
    let used = alignment.used_indices();
    let lines = aligned
        .data
        .outer_iter()
        .into_par_iter()
        .zip(made.outer_iter())
        .enumerate()
        .map(|(place, (seen, made))| {
            let n = seen.len().max(1) as f64;
            let [mut ss, mut sm, mut sss, mut smm, mut ssm, mut sd] = [0.0f64; 6];
            Zip::from(&seen).and(&made).for_each(|seen, made| {
                let (a, b) = (f64::from(*seen), f64::from(*made));
                ss += a;
                sm += b;
                sss += a * a;
                smm += b * b;
                ssm += a * b;
                sd += (a - b) * (a - b);
            });
            let (vs, vm) = ((sss - ss * ss / n).max(0.0), (smm - sm * sm / n).max(0.0));
            let rms = (sd / n).sqrt();
            let spread = (vs / n).sqrt();
            ViewResidual {
                index: used.get(place).copied().unwrap_or(place),
                angle_deg: aligned.angles_deg[place],
                rms,
                relative: if spread > 0.0 { rms / spread } else { 0.0 },
                correlation: if vs * vm > 0.0 { (ssm - ss * sm / n) / (vs * vm).sqrt() } else { 0.0 },
            }
        })
        .collect();
    Zip::from(&mut aligned.data).and(&made).par_for_each(|seen, made| *seen -= made);
    Ok((aligned, lines))
}

/// A volume turned a quarter in the plane across the beam: what lay along x lies along y.
///
/// `out(z, y, x) = volume(z, x, n - 1 - y)` for `turns` 1, the inverse for -1.
pub(super) fn quarter_turn(volume: &Array3<f32>, turns: i32) -> Array3<f32> {
    let mut out = volume.view().permuted_axes([0, 2, 1]);
    if turns >= 0 {
        out.invert_axis(Axis(1));
    } else {
        out.invert_axis(Axis(2));
    }
    out.as_standard_layout().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MemoryBudget, Unit};
    use crate::recon::{Method, ReconstructParams, reconstruct};

    fn ball() -> Volume<f32> {
        let data = Array3::from_shape_fn((24, 20, 32), |(z, y, x)| {
            let d = (z as f64 - 12.5).powi(2) + (y as f64 - 9.0).powi(2) + (x as f64 - 17.0).powi(2);
            if d < 36.0 { 0.5 } else { 0.1 * f32::from(u8::from(d < 90.0)) }
        });
        Volume::new(data, Some([0.02; 3]), Unit::PerUm)
    }

    fn scan(volume: &Volume<f32>) -> TiltSeries {
        let angles_deg: Vec<f64> = (0..45).map(|i| -88.0 + 4.0 * f64::from(i)).collect();
        let data = reproject(&Progress::new(), volume, &angles_deg, 32).unwrap();
        TiltSeries { data, angles_deg, pixel_um: Some(0.02), energy_ev: None }
    }

    #[test]
    fn the_volume_that_was_projected_leaves_nothing_over() {
        let volume = ball();
        let series = scan(&volume);
        let alignment = Alignment::identity(&series.angles_deg);
        let (rest, lines) = residuals(&Progress::new(), &series, &alignment, &volume).unwrap();
        assert!(rest.data.iter().all(|v| v.abs() < 1e-5));
        assert!(lines.iter().all(|line| line.correlation > 0.9999 && line.relative < 1e-3));
        // A view that was moved stands out, and one that is left out is not asked.
        let mut moved = alignment.clone();
        moved.views[10].shift_x_px = 2.0;
        moved.views[3].used = false;
        let (_, lines) = residuals(&Progress::new(), &series, &moved, &volume).unwrap();
        assert_eq!(lines.len(), 44);
        let worst = lines.iter().max_by(|a, b| a.rms.total_cmp(&b.rms)).unwrap();
        assert_eq!((worst.index, worst.angle_deg), (10, series.angles_deg[10]));
        let other = Volume::new(Array3::zeros((8, 7, 32)), None, Unit::PerUm);
        assert!(
            residuals(&Progress::new(), &series, &alignment, &other)
                .unwrap_err()
                .to_string()
                .contains("another scan")
        );
    }

    #[test]
    fn a_reconstruction_explains_the_moved_views_it_was_made_from() {
        let volume = ball();
        let mut series = scan(&volume);
        let mut alignment = Alignment::identity(&series.angles_deg);
        // Each view is moved by whole pixels, as the alignment says.
        for (i, (mut view, shift)) in series.data.outer_iter_mut().zip(&mut alignment.views).enumerate() {
            let by = (i % 3) as isize - 1;
            (shift.shift_x_px, shift.shift_y_px) = (by as f64, -by as f64);
            let old = view.to_owned();
            let at = |i: usize, by: isize, n: usize| (i as isize - by).clamp(0, n as isize - 1) as usize;
            for ((y, x), value) in view.indexed_iter_mut() {
                *value = old[[at(y, -by, 20), at(x, by, 32)]];
            }
        }
        let params =
            ReconstructParams { method: Method::Sirt, iterations: Some(30), ..ReconstructParams::default() };
        let budget = MemoryBudget::from_gib(1.0);
        let made = reconstruct(&Progress::new(), &series, &alignment, &params, budget).unwrap();
        let (_, lines) = residuals(&Progress::new(), &series, &alignment, &made).unwrap();
        assert!(lines.iter().all(|line| line.correlation > 0.98), "{lines:?}");
    }

    #[test]
    fn four_quarter_turns_are_none() {
        let volume = Array3::from_shape_fn((2, 3, 5), |(z, y, x)| (z * 100 + y * 10 + x) as f32);
        let once = quarter_turn(&volume, 1);
        assert_eq!(once.dim(), (2, 5, 3));
        assert_eq!(once[[1, 0, 2]], volume[[1, 2, 4]]);
        assert_eq!(quarter_turn(&once, -1), volume);
        let back = (0..4).fold(volume.clone(), |volume, _| quarter_turn(&volume, 1));
        assert_eq!(back, volume);
    }
}
