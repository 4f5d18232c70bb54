//! One volume from two tilt series around axes at right angles.
//!
//! Between both series the sample was turned a quarter about the beam. The second is reconstructed by itself, turned back,
//! and found against the first by its correlation; then sweeps over both series alternate on one volume, each a sweep of
//! SIRT on what the volume leaves over: `x ← P₊[x + SIRT₁(b - A x)]`. Where one series has its missing wedge the other has
//! data, and only a pyramid along the beam is missed by both.

use ndarray::{Array3, ArrayView3, Axis, Zip, s};
use serde::{Deserialize, Serialize};

use super::aligned::{aligned_series, quarter_turn, reproject};
use super::{Method, ReconError, ReconstructParams, origin_um, reconstruct};
use crate::base::{MemoryBudget, Progress, Unit};
use crate::kernels::overlap::{Overlap, correlation_at, find_overlap};
use crate::kernels::smooth::gaussian;
use crate::volume::{Alignment, TiltSeries, Volume};

/// Sides to which the second volume is looked for, as a share of the shortest side across the beam.
const SEARCH: f64 = 0.12;

/// Fine structure that agrees less than this has nothing in common.
const RELATED: f64 = 0.3;

/// Two axes of one sample agree more than this in fine structure: simulated pairs by 0.96 and more at 300 photons a pixel,
/// by 0.73 at 30; different cells of a kind by up to 0.66 where they do not agree better unturned.
const AGREES: f64 = 0.7;

/// Pixels around the place that volumes were found at in which pictures are compared.
const NEAR: i64 = 4;

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DualParams {
    /// Which way the sample was turned between the series: 1 or -1 quarter; both are tried where not given.
    pub quarter: Option<i32>,
    /// Sweeps over both series, 1 to 1000.
    pub iterations: u32,
    /// Voxels along the beam; as many as columns where not given.
    pub thickness: Option<usize>,
    /// Pixels averaged along each side before anything else, 1 to 16.
    pub bin: u32,
}

impl Default for DualParams {
    fn default() -> Self {
        Self { quarter: None, iterations: 30, thickness: None, bin: 1 }
    }
}

/// A volume from two series.
#[derive(Debug, Clone)]
pub struct Dual {
    /// On the grid of the first series.
    pub volume: Volume<f32>,
    /// Which way the sample was turned.
    pub quarter: i32,
    /// Where the second volume was found beside the first, in voxels as z, y, x.
    pub offset_voxels: [i64; 3],
    /// Correlation of both there.
    pub correlation: f64,
    /// Correlation of the fine structure of both along the beam, which tells whether they are of one sample.
    pub agreement: f64,
}

/// A series with its alignment.
pub type Aligned<'a> = (&'a TiltSeries, &'a Alignment);

/// Joint reconstruction of two series whose views are square enough to overlap after a quarter turn.
///
/// # Errors
/// Those of [`reconstruct`]; [`ReconError::Volume`] where both series do not fit each other.
pub fn dual_axis(
    progress: &Progress,
    first: Aligned<'_>,
    second: Aligned<'_>,
    params: &DualParams,
    budget: MemoryBudget,
) -> Result<Dual, ReconError> {
    check(first.0, second.0, params)?;
    let bin = params.bin as usize;
    let a = aligned_series(progress, first.0, first.1, bin)?;
    let b = aligned_series(progress, second.0, second.1, bin)?;
    let recon = |iterations: u32, nonnegative: bool| ReconstructParams {
        method: Method::Sirt,
        iterations: Some(iterations),
        nonnegative,
        thickness: params.thickness.or(Some(first.0.n_cols() / bin)),
        ..ReconstructParams::default()
    };
    let whole = |series: &TiltSeries, params: &ReconstructParams| {
        reconstruct(progress, series, &Alignment::identity(&series.angles_deg), params, budget)
    };
    let alone = recon(5, true);
    let (of_a, of_b) = (whole(&a, &alone)?, whole(&b, &alone)?);
    let Match { quarter, offset, correlation, agreement } =
        find_match(progress, &of_a.data, &of_b.data, params)?;
    let step = recon(1, false);
    let mut volume = of_a;
    drop(of_b);
    progress.phase("Sweeping over both series", u64::from(params.iterations));
    for _ in 0..params.iterations {
        // The progress of the parts would overwrite that of the whole.
        let part = progress.part();
        sweep(&part, &mut volume, &a, &step, budget)?;
        // The second series sees the volume from where it lay then.
        let shape_b = [volume.data.dim().0, b.n_rows(), b.n_cols()];
        let mut seen = volume.with_data(into_second(&volume.data, quarter, offset, shape_b), volume.unit);
        sweep(&part, &mut seen, &b, &step, budget)?;
        from_second(&mut volume.data, &seen.data, quarter, offset);
        progress.check()?;
        progress.advance(1);
    }
    if volume.voxel_um.is_none() {
        volume.unit = Unit::PerVoxel;
    }
    let placed = ReconstructParams { bin: params.bin, ..ReconstructParams::default() };
    volume.origin_um = origin_um(first.0, &placed, 0, volume.data.dim().0);
    Ok(Dual { volume, quarter, offset_voxels: offset, correlation, agreement })
}

/// How the second volume lies beside the first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Match {
    quarter: i32,
    offset: [i64; 3],
    correlation: f64,
    agreement: f64,
}

/// Finds the second volume, turned a quarter, beside the first, and sees whether both are of one sample around two axes.
///
/// Volumes of a limited tilt look alike by their missing wedge and the outline of the sample, whatever is in them. What
/// both series see alike is the sum along the beam; its fine structure tells whether they belong together.
fn find_match(
    progress: &Progress,
    first: &Array3<f32>,
    second: &Array3<f32>,
    params: &DualParams,
) -> Result<Match, ReconError> {
    let turns = params.quarter.map_or_else(|| vec![1, -1], |quarter| vec![quarter]);
    let fine = fine_structure(progress, first)?;
    let agreement = |other: &Array3<f32>, at: [i64; 3]| -> Result<f64, ReconError> {
        Ok(agreement(&fine, &fine_structure(progress, other)?, at))
    };
    let mut found: Option<Match> = None;
    for quarter in turns {
        let turned = quarter_turn(second, quarter);
        let Overlap { at, correlation, .. } = overlap_of(progress, first, &turned)?;
        let agreement = agreement(&turned, at)?;
        if found.is_none_or(|best| agreement > best.agreement) {
            found = Some(Match { quarter, offset: at, correlation, agreement });
        }
    }
    let found = found.unwrap_or(Match { quarter: 1, offset: [0; 3], correlation: 0.0, agreement: 0.0 });
    let as_it_lies = agreement(second, overlap_of(progress, first, second)?.at)?;
    let turned = found.agreement;
    if params.quarter.is_none() && as_it_lies > turned && as_it_lies >= AGREES {
        return Err(ReconError::Volume(format!(
            "the second series fits the first better as it lies (agreement of fine structure {as_it_lies:.2}) than after a quarter turn ({turned:.2}): they are around one axis, or the same series twice"
        )));
    }
    if turned < AGREES && (params.quarter.is_none() || turned < RELATED) {
        return Err(ReconError::Volume(format!(
            "both series have too little in common after a quarter turn (agreement of fine structure {turned:.2}, two axes of one sample have more than {AGREES}): are they of the same sample, and is each aligned well? --quarter 1 or -1 takes them all the same"
        )));
    }
    Ok(found)
}

/// The mean along the beam without what is larger than a twentieth of the field or finer than a pixel, one slice deep.
fn fine_structure(progress: &Progress, volume: &Array3<f32>) -> Result<Array3<f32>, ReconError> {
    let (_, ny, nx) = volume.dim();
    let along_beam = volume.mean_axis(Axis(0)).unwrap_or_else(|| ndarray::Array2::zeros((ny, nx)));
    let picture = along_beam.insert_axis(Axis(0));
    let coarse = (ny.min(nx) as f32 / 20.0).max(3.0);
    let mut fine = gaussian(progress, picture.view(), [0.0, 1.0, 1.0])?;
    fine -= &gaussian(progress, picture.view(), [0.0, coarse, coarse])?;
    Ok(fine)
}

/// Correlation of two pictures where the second begins at about `at` of the first, -1 to 1.
fn agreement(first: &Array3<f32>, second: &Array3<f32>, [_, y, x]: [i64; 3]) -> f64 {
    let steps = (-NEAR..=NEAR).flat_map(|dy| (-NEAR..=NEAR).map(move |dx| [0, y + dy, x + dx]));
    steps.map(|at| correlation_at(first.view(), second.view(), at)).fold(-1.0, f64::max)
}

/// Where the second lies in the first; both lie around one middle, more or less.
fn overlap_of(progress: &Progress, first: &Array3<f32>, second: &Array3<f32>) -> Result<Overlap, ReconError> {
    let (a, b) = (first.dim(), second.dim());
    let middle = |a: usize, b: usize| (a as f64 - b as f64) / 2.0;
    let given = [middle(a.0, b.0), middle(a.1, b.1), middle(a.2, b.2)];
    let side = [a.1, a.2, b.1, b.2].into_iter().min().unwrap_or(0);
    Ok(find_overlap(progress, first, second, given, SEARCH * side as f64)?)
}

fn check(a: &TiltSeries, b: &TiltSeries, params: &DualParams) -> Result<(), ReconError> {
    let parameter = |ok: bool, name: &'static str, value: String, range: &'static str| {
        if ok { Ok(()) } else { Err(ReconError::Parameter { name, value, range }) }
    };
    parameter(
        (1..=1000).contains(&params.iterations),
        "iterations",
        params.iterations.to_string(),
        "1..=1000",
    )?;
    parameter((1..=16).contains(&params.bin), "bin", params.bin.to_string(), "1..=16")?;
    let quarter = params.quarter.unwrap_or(1);
    parameter(quarter.abs() == 1, "quarter", quarter.to_string(), "1 or -1")?;
    let pixels = [a.pixel_um, b.pixel_um];
    let same = match pixels {
        [Some(a), Some(b)] => (a / b - 1.0).abs() < 1e-3,
        [None, None] => true,
        _ => false,
    };
    if !same {
        return Err(ReconError::Volume(format!("the pixels of both series differ: {pixels:?} um")));
    }
    if a.data == b.data {
        return Err(ReconError::Volume(
            "both series are the same, view by view: name the scan that was taken after the sample was turned a quarter".to_owned(),
        ));
    }
    Ok(())
}

/// One sweep of a series on a volume of its own grid.
fn sweep(
    progress: &Progress,
    volume: &mut Volume<f32>,
    series: &TiltSeries,
    params: &ReconstructParams,
    budget: MemoryBudget,
) -> Result<(), ReconError> {
    let mut left = reproject(progress, volume, &series.angles_deg, series.n_cols())?;
    Zip::from(&mut left).and(&series.data).par_for_each(|left, seen| *left = seen - *left);
    let left = TiltSeries {
        data: left,
        angles_deg: series.angles_deg.clone(),
        pixel_um: series.pixel_um,
        energy_ev: series.energy_ev,
    };
    let params = ReconstructParams { thickness: Some(volume.data.dim().0), ..params.clone() };
    let alignment = Alignment::identity(&series.angles_deg);
    let step = reconstruct(progress, &left, &alignment, &params, budget)?;
    Zip::from(&mut volume.data).and(&step.data).par_for_each(|value, step| *value = (*value + step).max(0.0));
    Ok(())
}

/// The part of a volume that the second series sees, on its grid.
fn into_second(volume: &Array3<f32>, quarter: i32, offset: [i64; 3], shape: [usize; 3]) -> Array3<f32> {
    let turned_shape = (shape[0], shape[2], shape[1]);
    let mut part = Array3::zeros(turned_shape);
    let [dz, dy, dx] = offset;
    copy(volume.view(), &mut part, [-dz, -dy, -dx]);
    quarter_turn(&part, -quarter)
}

/// Puts the part that the second series sees back.
fn from_second(volume: &mut Array3<f32>, seen: &Array3<f32>, quarter: i32, offset: [i64; 3]) {
    let turned = quarter_turn(seen, quarter);
    copy(turned.view(), volume, offset);
}

/// Copies what of `from`, beginning at voxel `at` of `to`, lies inside `to`.
fn copy(from: ArrayView3<'_, f32>, to: &mut Array3<f32>, at: [i64; 3]) {
    let part = |n_from: usize, n_to: usize, at: i64| {
        let low = at.max(0).min(n_to as i64);
        let high = (at + n_from as i64).clamp(low, n_to as i64);
        ((low - at).max(0) as usize, low as usize, (high - low) as usize)
    };
    let (from_shape, to_shape) = (from.dim(), to.dim());
    let (fz, tz, nz) = part(from_shape.0, to_shape.0, at[0]);
    let (fy, ty, ny) = part(from_shape.1, to_shape.1, at[1]);
    let (fx, tx, nx) = part(from_shape.2, to_shape.2, at[2]);
    let source = from.slice_move(s![fz..fz + nz, fy..fy + ny, fx..fx + nx]);
    to.slice_mut(s![tz..tz + nz, ty..ty + ny, tx..tx + nx]).assign(&source);
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 36;

    /// A cell that is flat along the beam with two small dense balls.
    fn cell() -> Volume<f32> {
        let ball = |p: [f64; 3], c: [f64; 3], r: f64| {
            let d: f64 = p.iter().zip(c).map(|(p, c)| (p - c).powi(2)).sum();
            d < r * r
        };
        let data = Array3::from_shape_fn((20, N, N), |(z, y, x)| {
            let p = [z as f64, y as f64, x as f64];
            let cell = ((p[0] - 9.5) / 7.0).powi(2)
                + ((p[1] - 17.0) / 12.0).powi(2)
                + ((p[2] - 18.0) / 13.0).powi(2);
            let mut value = if cell < 1.0 { 0.25 } else { 0.0 };
            if ball(p, [9.0, 13.0, 22.0], 3.0) || ball(p, [11.0, 22.0, 14.0], 2.5) {
                value += 0.35;
            }
            value
        });
        Volume::new(data, Some([0.02; 3]), Unit::PerUm)
    }

    fn scan(volume: &Volume<f32>) -> TiltSeries {
        let angles_deg: Vec<f64> = (0..45).map(|i| -60.0 + 120.0 * f64::from(i) / 44.0).collect();
        let n_cols = volume.data.dim().2;
        let data = reproject(&Progress::new(), volume, &angles_deg, n_cols).unwrap();
        TiltSeries { data, angles_deg, pixel_um: Some(0.02), energy_ev: None }
    }

    fn error(found: &Array3<f32>, truth: &Array3<f32>) -> f64 {
        let sum: f64 = found.iter().zip(truth).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        (sum / truth.len() as f64).sqrt()
    }

    #[test]
    fn two_axes_are_nearer_to_the_truth_than_either_alone() {
        let truth = cell();
        let first = scan(&truth);
        // Turned back by a quarter it is the truth again, two voxels off along y and one along x.
        let mut moved = Array3::zeros(truth.data.raw_dim());
        copy(truth.data.view(), &mut moved, [0, 2, -1]);
        let turned = Volume::new(quarter_turn(&moved, -1), truth.voxel_um, Unit::PerUm);
        let second = scan(&turned);
        let (a, b) = (Alignment::identity(&first.angles_deg), Alignment::identity(&second.angles_deg));
        let params = DualParams { iterations: 20, thickness: Some(20), ..DualParams::default() };
        let budget = MemoryBudget::from_gib(1.0);
        let found = dual_axis(&Progress::new(), (&first, &a), (&second, &b), &params, budget).unwrap();
        assert!(found.agreement > 0.9, "{}", found.agreement);
        assert_eq!((found.quarter, found.offset_voxels), (1, [0, -2, 1]));
        // The axis is at column 17.5; 20 voxels around it begin 8 voxels down the beam.
        assert!((found.volume.origin_um[0] - 8.0 * 0.02).abs() < 1e-12 && found.volume.origin_um[2] == 0.0);
        let alone = ReconstructParams {
            method: Method::Sirt,
            iterations: Some(40),
            thickness: Some(20),
            ..ReconstructParams::default()
        };
        let single = reconstruct(&Progress::new(), &first, &a, &alone, budget).unwrap();
        let (both, one) = (error(&found.volume.data, &truth.data), error(&single.data, &truth.data));
        // As many sweeps over each view; the second axis fills in what the wedge takes.
        assert!(both < 0.8 * one, "{both} beside {one}");
    }

    #[test]
    fn series_that_do_not_belong_together_are_refused() {
        let (truth, budget) = (cell(), MemoryBudget::from_gib(1.0));
        let first = scan(&truth);
        let alignment = Alignment::identity(&first.angles_deg);
        let go = |second: &TiltSeries, params: &DualParams| {
            dual_axis(&Progress::new(), (&first, &alignment), (second, &alignment), params, budget)
                .unwrap_err()
                .to_string()
        };
        let other = TiltSeries { pixel_um: Some(0.03), ..first.clone() };
        assert!(go(&other, &DualParams::default()).contains("pixels"));
        let wild = DualParams { quarter: Some(2), ..DualParams::default() };
        assert!(go(&first, &wild).contains("quarter"));
        let plain = DualParams { thickness: Some(20), ..DualParams::default() };
        assert!(go(&first, &plain).contains("the same"));
        // Once more around the same axis, with noise of its own.
        let mut again = first.clone();
        again.data.indexed_iter_mut().for_each(|((v, y, x), value)| {
            *value += ((v * 7919 + y * 104_729 + x * 1_299_709) % 1000) as f32 * 5e-6;
        });
        assert!(go(&again, &plain).contains("as it lies"), "{}", go(&again, &plain));
        let mut rng_like = first.clone();
        rng_like.data.indexed_iter_mut().for_each(|((v, y, x), value)| {
            *value = ((v * 7919 + y * 104_729 + x * 1_299_709) % 1000) as f32 * 1e-3;
        });
        assert!(
            go(&rng_like, &DualParams { thickness: Some(20), ..DualParams::default() }).contains("in common")
        );
    }
}
