//! Fourier shell correlation: how fine two independent reconstructions of one sample agree.
//!
//! `FSC(k) = Re Σ A B* / √(Σ|A|² Σ|B|²)` over the shell of spatial frequency k (Harauz and van Heel, Optik 73, 146, 1986).
//! Three thresholds are usual: 0.25 for half-sets in soft X-ray tomography, 0.143 (Rosenthal and Henderson,
//! doi:10.1016/j.jmb.2003.07.013), and half a bit of information per voxel, which allows for the few voxels of the
//! innermost shells (van Heel and Schatz, doi:10.1016/j.jsb.2005.05.009). Both volumes are looked at through the
//! same soft mask after their mean inside it is taken off: a hard one would correlate with itself.
//!
//! A tilt series that leaves a wedge out resolves less along the beam: the correlation is therefore also given in
//! cones around the three axes.

use std::f64::consts::PI;

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress};
use crate::kernels::distance::distance_to;
use crate::kernels::fft3::half_spectrum;
use crate::volume::{Cell, Column, Table, Volume};

/// Shells nearest the middle that no threshold is looked for in: they hold the shape of the mask.
const INNERMOST: usize = 1;
/// Least number of independent voxels in a shell of a cone whose correlation is told.
const FEWEST: f64 = 20.0;

/// The part of the volumes that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// What is labelled where labels are given; else a cylinder around the rotation axis where the volume is as deep
    /// as wide, else the whole box; always with a soft edge.
    #[default]
    Auto,
    /// The whole box, with a soft edge.
    Box,
    /// The cylinder around the rotation axis (y) that touches the nearest faces, with a soft edge.
    Cylinder,
    /// The ball that touches the nearest faces, with a soft edge.
    Ball,
    /// Everything, cut off hard.
    None,
}

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FscParams {
    /// The part of the volumes that is compared.
    pub region: Region,
    /// Width of the soft edge as a fraction of the shortest side, 0 to 0.5.
    pub edge: f64,
    /// Half opening of the cones around the axes in degrees, 5 to 54.
    pub cone_deg: f64,
}

impl Default for FscParams {
    fn default() -> Self {
        Self { region: Region::Auto, edge: 0.1, cone_deg: 20.0 }
    }
}

/// Why there is no curve.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FscError {
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Volumes of other shapes.
    #[error(
        "the volumes are {a:?} and {b:?} voxels (z, y, x): they must be halves of the same reconstruction"
    )]
    Shapes {
        /// Of the first.
        a: [usize; 3],
        /// Of the second.
        b: [usize; 3],
    },
    /// Voxel sizes that differ.
    #[error("the voxels of the volumes differ: {a:?} and {b:?} um")]
    Voxels {
        /// Of the first, z, y, x.
        a: [f64; 3],
        /// Of the second.
        b: [f64; 3],
    },
    /// Labels of another shape.
    #[error("the mask is {mask:?} voxels (z, y, x), the volumes are {volume:?}")]
    MaskShape {
        /// Of the mask.
        mask: [usize; 3],
        /// Of the volumes.
        volume: [usize; 3],
    },
    /// A mask that holds nothing.
    #[error("nothing lies inside the mask")]
    EmptyMask,
    /// Too few voxels.
    #[error(
        "volumes of {0:?} voxels are too small for a correlation: at least 8 along every axis are needed"
    )]
    TooSmall([usize; 3]),
    /// A volume without detail.
    #[error("{0} has the same value everywhere inside the mask")]
    Flat(&'static str),
    /// The same volume twice.
    #[error("both volumes are the same: give reconstructions from different views")]
    Same,
    /// A parameter outside its range.
    #[error("{name} is {value}, it must lie in {range}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
}

/// One shell.
#[derive(Debug, Clone, PartialEq)]
pub struct Shell {
    /// Mean spatial frequency, in 1/µm (in 1/voxel where the voxel size is unknown).
    pub frequency: f64,
    /// Correlation, -1 to 1.
    pub fsc: f64,
    /// Half a bit of information per voxel.
    pub half_bit: f64,
    /// Independent voxels, what the mask leaves of them.
    pub independent: f64,
    /// Correlation in the cones around z, y and x; `None` where a cone holds too few voxels.
    pub cones_zyx: [Option<f64>; 3],
}

/// A level that a curve is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// A correlation of 0.25.
    Quarter,
    /// A correlation of 0.143.
    Seventh,
    /// Half a bit of information per voxel.
    HalfBit,
}

impl Criterion {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Quarter, Self::Seventh, Self::HalfBit];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quarter => "0.25",
            Self::Seventh => "0.143",
            Self::HalfBit => "half_bit",
        }
    }

    fn level(self, shell: &Shell) -> f64 {
        match self {
            Self::Quarter => 0.25,
            Self::Seventh => 0.143,
            Self::HalfBit => shell.half_bit,
        }
    }
}

/// A whole curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// From low to high frequency, up to that of the coarsest axis.
    pub shells: Vec<Shell>,
    /// Whether frequencies are in 1/µm; in 1/voxel otherwise.
    pub in_um: bool,
    /// What was compared, in words.
    pub mask: &'static str,
}

/// Where a curve falls below a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Crossing {
    /// At this frequency, in the unit of the curve.
    At(f64),
    /// Nowhere: it is resolved to the last shell, at this frequency.
    Beyond(f64),
    /// It never lies above.
    Never,
}

impl Crossing {
    /// The frequency down to which there is detail, if there is any.
    pub fn frequency(self) -> Option<f64> {
        match self {
            Self::At(frequency) | Self::Beyond(frequency) => Some(frequency),
            Self::Never => None,
        }
    }
}

fn crossing(points: impl Iterator<Item = (f64, f64)>) -> Crossing {
    // (frequency, correlation minus level)
    let mut last: Option<(f64, f64)> = None;
    for (frequency, above) in points {
        match last {
            None if above < 0.0 => return Crossing::Never,
            Some((before, was)) if above < 0.0 => {
                return Crossing::At(before + (frequency - before) * was / (was - above));
            }
            _ => last = Some((frequency, above)),
        }
    }
    last.map_or(Crossing::Never, |(frequency, _)| Crossing::Beyond(frequency))
}

impl Curve {
    /// Where the curve first falls below a level.
    pub fn crossing(&self, criterion: Criterion) -> Crossing {
        crossing(self.told().map(|shell| (shell.frequency, shell.fsc - criterion.level(shell))))
    }

    /// Where the curve of the cone around an axis (0 z, 1 y, 2 x) first falls below a level.
    pub fn cone_crossing(&self, axis: usize, criterion: Criterion) -> Crossing {
        let point = |shell: &Shell| {
            let fsc = (*shell.cones_zyx.get(axis)?)?;
            Some((shell.frequency, fsc - criterion.level(shell)))
        };
        crossing(self.told().filter_map(point))
    }

    /// A period in words, with the unit of the curve.
    pub fn period_text(&self, frequency: f64) -> String {
        if frequency <= 0.0 {
            "∞".to_owned()
        } else if self.in_um {
            format!("{:.0} nm", 1e3 / frequency)
        } else {
            format!("{:.1} voxels", 1.0 / frequency)
        }
    }

    /// Where a curve falls below a level, in words.
    pub fn crossing_text(&self, crossing: Crossing) -> String {
        match crossing {
            Crossing::At(frequency) => self.period_text(frequency),
            Crossing::Beyond(frequency) => format!("finer than {}", self.period_text(frequency)),
            Crossing::Never => "none".to_owned(),
        }
    }

    fn told(&self) -> impl Iterator<Item = &Shell> {
        self.shells.iter().skip(INNERMOST.min(self.shells.len().saturating_sub(1)))
    }

    /// The curve as columns: `spatial_frequency_per_nm, fsc, half_bit`, then independent voxels and the cones. Where
    /// the voxel size is unknown the first is `spatial_frequency_per_voxel`.
    pub fn table(&self) -> Table {
        let unit = if self.in_um { "nm" } else { "voxel" };
        let scale = if self.in_um { 1e-3 } else { 1.0 };
        let mut columns = vec![Column::new(format!("spatial_frequency_per_{unit}"), format!("1/{unit}"))];
        columns.extend(
            ["fsc", "half_bit", "independent_voxels", "fsc_z", "fsc_y", "fsc_x"]
                .map(|name| Column::new(name, "")),
        );
        let row = |shell: &Shell| {
            let mut row: Vec<Cell> = vec![
                (shell.frequency * scale).into(),
                shell.fsc.into(),
                shell.half_bit.into(),
                shell.independent.into(),
            ];
            row.extend(shell.cones_zyx.map(Cell::from));
            row
        };
        let notes = if self.in_um {
            Vec::new()
        } else {
            vec!["The voxel size is unknown, so frequencies are in 1/voxel".to_owned()]
        };
        Table { columns, rows: self.shells.iter().map(row).collect(), notes }
    }

    /// The curve that a table of [`Self::table`] holds; `None` where it is another table.
    pub fn of_table(table: &Table) -> Option<Self> {
        let in_um = match table.columns.first()?.name.as_str() {
            "spatial_frequency_per_nm" => true,
            "spatial_frequency_per_voxel" => false,
            _ => return None,
        };
        let scale = if in_um { 1e3 } else { 1.0 };
        let shell = |row: &Vec<Cell>| {
            let number = |i: usize| row.get(i).and_then(Cell::as_f64);
            Some(Shell {
                frequency: number(0)? * scale,
                fsc: number(1)?,
                half_bit: number(2)?,
                independent: number(3).unwrap_or(0.0),
                cones_zyx: [number(4), number(5), number(6)],
            })
        };
        Some(Self { shells: table.rows.iter().map(shell).collect::<Option<_>>()?, in_um, mask: "" })
    }
}

/// Bytes that [`fsc`] takes beside the volumes.
pub fn fsc_bytes(shape: [usize; 3]) -> u64 {
    let n: u64 = shape.iter().map(|n| *n as u64).product();
    // Two half spectra, and the mask.
    n * 12
}

/// The Fourier shell correlation of two volumes on one grid.
///
/// `labels` bound what is compared (0 is outside) where the mask is automatic. Shells are as wide as the lowest
/// frequency of the longest side. Results do not depend on the number of threads.
///
/// # Errors
/// [`FscError`].
pub fn fsc(
    progress: &Progress,
    a: &Volume<f32>,
    b: &Volume<f32>,
    labels: Option<ArrayView3<'_, u16>>,
    params: &FscParams,
) -> Result<Curve, FscError> {
    check(a, b, labels.as_ref().map(ArrayView3::dim), params)?;
    let (mask, words) = mask_of(progress, a, labels, params)?;
    let moments = Moments::of(&mask, a, b);
    if moments.weight <= 0.0 {
        return Err(FscError::EmptyMask);
    }
    let spectrum = |volume: &Volume<f32>, mean: f64| {
        half_spectrum(progress, volume.data.view(), |zyx, value| {
            let value = if value.is_finite() { value - mean as f32 } else { 0.0 };
            value * mask[zyx]
        })
    };
    let (fa, fb) = (spectrum(a, moments.mean[0])?, spectrum(b, moments.mean[1])?);
    drop(mask);
    let frame = Frame::new(a, params.cone_deg);
    let sums = frame.sums(progress, &fa, &fb)?;
    let total = |pick: fn(&Sums) -> f64| sums.iter().map(|shell| pick(&shell[0])).sum::<f64>();
    for (power, name) in [(total(|s| s.aa), "the first volume"), (total(|s| s.bb), "the second volume")] {
        if power <= 0.0 {
            return Err(FscError::Flat(name));
        }
    }
    // The mean has been taken off, so the value at no frequency tells nothing.
    let shells =
        sums.iter().skip(1).filter(|shell| shell[0].n > 0.0).map(|shell| shell_of(shell, moments.share));
    let shells: Vec<Shell> = shells.collect();
    Ok(Curve { shells, in_um: a.voxel_um.is_some(), mask: words })
}

fn check(
    a: &Volume<f32>,
    b: &Volume<f32>,
    mask: Option<(usize, usize, usize)>,
    params: &FscParams,
) -> Result<(), FscError> {
    let parameter = |ok: bool, name, value, range| {
        if ok { Ok(()) } else { Err(FscError::Parameter { name, value, range }) }
    };
    parameter((0.0..=0.5).contains(&params.edge), "edge", params.edge, "0..=0.5")?;
    parameter((5.0..=54.0).contains(&params.cone_deg), "cone_deg", params.cone_deg, "5..=54")?;
    let shape = a.shape();
    if shape != b.shape() {
        return Err(FscError::Shapes { a: shape, b: b.shape() });
    }
    if let (Some(va), Some(vb)) = (a.voxel_um, b.voxel_um)
        && va.iter().zip(vb).any(|(va, vb)| (va / vb - 1.0).abs() > 1e-3)
    {
        return Err(FscError::Voxels { a: va, b: vb });
    }
    if let Some((z, y, x)) = mask.filter(|(z, y, x)| [*z, *y, *x] != shape) {
        return Err(FscError::MaskShape { mask: [z, y, x], volume: shape });
    }
    if shape.iter().any(|n| *n < 8) {
        return Err(FscError::TooSmall(shape));
    }
    if a.data == b.data { Err(FscError::Same) } else { Ok(()) }
}

/// Falls from 1 to 0 as `t` goes from 0 to 1.
fn fall(t: f64) -> f32 {
    (0.5 + 0.5 * (PI * t.clamp(0.0, 1.0)).cos()) as f32
}

/// The mask, 0 to 1, and what it is.
fn mask_of(
    progress: &Progress,
    volume: &Volume<f32>,
    labels: Option<ArrayView3<'_, u16>>,
    params: &FscParams,
) -> Result<(Array3<f32>, &'static str), FscError> {
    let shape = volume.shape();
    let voxel = volume.voxel_um_or_one();
    let side: [f64; 3] = std::array::from_fn(|axis| shape[axis] as f64 * voxel[axis]);
    let shortest = side.iter().copied().fold(f64::INFINITY, f64::min);
    let edge = (params.edge * shortest).max(1e-9);
    // Distance in the unit of the voxels from the middle, of the middle of a voxel.
    let from_middle = |axis: usize, i: usize| (i as f64 - (shape[axis] as f64 - 1.0) / 2.0) * voxel[axis];
    let dim = (shape[0], shape[1], shape[2]);
    let along = |axis: usize| -> Vec<f32> {
        let half = side[axis] / 2.0;
        (0..shape[axis]).map(|i| fall((from_middle(axis, i).abs() - (half - edge)) / edge)).collect()
    };
    let ball = |axes: &[usize]| {
        let radius = axes.iter().map(|axis| side[*axis] / 2.0).fold(f64::INFINITY, f64::min);
        let tapers: Vec<Vec<f32>> = (0..3).map(along).collect();
        Array3::from_shape_fn(dim, |(z, y, x)| {
            let zyx = [z, y, x];
            let r = axes.iter().map(|axis| from_middle(*axis, zyx[*axis]).powi(2)).sum::<f64>().sqrt();
            let others = (0..3).filter(|axis| !axes.contains(axis)).map(|axis| tapers[axis][zyx[axis]]);
            fall((r - (radius - edge)) / edge) * others.product::<f32>()
        })
    };
    if let (Region::Auto, Some(labels)) = (params.region, labels) {
        let distance = distance_to(progress, &labels, |id| id != 0, voxel)?;
        let mask = distance.mapv(|d| fall(f64::from(d) / edge));
        return Ok((mask, "what is labelled, with a soft edge outside"));
    }
    let round = (side[0] / side[2] - 1.0).abs() < 0.05;
    Ok(match params.region {
        Region::None => (Array3::ones(dim), "everything, cut off hard"),
        Region::Ball => (ball(&[0, 1, 2]), "a ball with a soft edge"),
        Region::Cylinder => (ball(&[0, 2]), "a cylinder around the rotation axis with a soft edge"),
        Region::Auto if round => (ball(&[0, 2]), "a cylinder around the rotation axis with a soft edge"),
        Region::Auto | Region::Box => {
            let tapers: Vec<Vec<f32>> = (0..3).map(along).collect();
            let mask = Array3::from_shape_fn(dim, |(z, y, x)| tapers[0][z] * tapers[1][y] * tapers[2][x]);
            (mask, "the whole box with a soft edge")
        }
    })
}

/// Sums over the mask.
struct Moments {
    weight: f64,
    /// Weighted mean of both volumes.
    mean: [f64; 2],
    /// Share of the volume's voxels that count as independent: `(Σ w²)² / (N Σ w⁴)`.
    share: f64,
}

impl Moments {
    fn of(mask: &Array3<f32>, a: &Volume<f32>, b: &Volume<f32>) -> Self {
        // Slices by themselves and then in order: the same bits whatever the threads.
        let slices: Vec<[f64; 5]> = (0..mask.dim().0)
            .into_par_iter()
            .map(|z| {
                let mut sums = [0.0; 5];
                let at = |volume: &Volume<f32>, y, x| {
                    let value = volume.data[[z, y, x]];
                    if value.is_finite() { f64::from(value) } else { 0.0 }
                };
                for ((y, x), w) in mask.index_axis(ndarray::Axis(0), z).indexed_iter() {
                    let w = f64::from(*w);
                    let terms = [w, w * at(a, y, x), w * at(b, y, x), w * w, w.powi(4)];
                    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
                }
                sums
            })
            .collect();
        let sum = |i: usize| slices.iter().map(|s| s[i]).sum::<f64>();
        let weight = sum(0);
        let per = |value: f64| if weight > 0.0 { value / weight } else { 0.0 };
        let share = if sum(4) > 0.0 { sum(3).powi(2) / (mask.len() as f64 * sum(4)) } else { 0.0 };
        Self { weight, mean: [per(sum(1)), per(sum(2))], share }
    }
}

/// Sums over a shell, or over a cone of it.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: f64,
    ab: f64,
    aa: f64,
    bb: f64,
    frequency: f64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.ab += other.ab;
        self.aa += other.aa;
        self.bb += other.bb;
        self.frequency += other.frequency;
    }

    fn correlation(&self) -> f64 {
        let norm = (self.aa * self.bb).sqrt();
        if norm > 0.0 { self.ab / norm } else { 0.0 }
    }
}

/// All of a shell, then its cones around z, y, x.
type ShellSums = [Sums; 4];

/// Where the values of a half spectrum lie in frequency.
struct Frame {
    shape: [usize; 3],
    /// Frequency of the first bin along each axis.
    step: [f64; 3],
    /// Width of a shell.
    width: f64,
    n_shells: usize,
    /// Squared cosine of the half opening of a cone.
    cone: f64,
}

impl Frame {
    fn new(volume: &Volume<f32>, cone_deg: f64) -> Self {
        let (shape, voxel) = (volume.shape(), volume.voxel_um_or_one());
        let step: [f64; 3] = std::array::from_fn(|axis| 1.0 / (shape[axis] as f64 * voxel[axis]));
        let width = step.iter().copied().fold(f64::INFINITY, f64::min);
        let nyquist = voxel.iter().map(|v| 0.5 / v).fold(f64::INFINITY, f64::min);
        let n_shells = (nyquist / width + 1e-6).floor() as usize + 1;
        Self { shape, step, width, n_shells, cone: cone_deg.to_radians().cos().powi(2) }
    }

    fn sums(
        &self,
        progress: &Progress,
        a: &Array3<Complex<f32>>,
        b: &Array3<Complex<f32>>,
    ) -> Result<Vec<ShellSums>, Cancelled> {
        let [nz, ny, nx] = self.shape;
        let signed = |i: usize, n: usize| if 2 * i > n { i as f64 - n as f64 } else { i as f64 };
        progress.phase("Correlating", nz as u64);
        let slices = (0..nz)
            .into_par_iter()
            .map(|z| {
                progress.check()?;
                let mut sums = vec![ShellSums::default(); self.n_shells];
                let fz = signed(z, nz) * self.step[0];
                for y in 0..ny {
                    let fy = signed(y, ny) * self.step[1];
                    for x in 0..=nx / 2 {
                        let fx = x as f64 * self.step[2];
                        let squares = [fz * fz, fy * fy, fx * fx];
                        let square: f64 = squares.iter().sum();
                        let frequency = square.sqrt();
                        let shell = (frequency / self.width).round() as usize;
                        if shell >= self.n_shells {
                            continue;
                        }
                        // The other half of the spectrum is this one mirrored.
                        let n = if x == 0 || 2 * x == nx { 1.0 } else { 2.0 };
                        let (a, b) = (a[[z, y, x]], b[[z, y, x]]);
                        let (a, b) = ([f64::from(a.re), f64::from(a.im)], [f64::from(b.re), f64::from(b.im)]);
                        let one = Sums {
                            n,
                            ab: n * (a[0] * b[0] + a[1] * b[1]),
                            aa: n * (a[0] * a[0] + a[1] * a[1]),
                            bb: n * (b[0] * b[0] + b[1] * b[1]),
                            frequency: n * frequency,
                        };
                        sums[shell][0].add(&one);
                        for (axis, along) in squares.iter().enumerate() {
                            if *along >= self.cone * square {
                                sums[shell][axis + 1].add(&one);
                            }
                        }
                    }
                }
                progress.advance(1);
                Ok(sums)
            })
            .collect::<Result<Vec<_>, Cancelled>>()?;
        let mut total = vec![ShellSums::default(); self.n_shells];
        for slice in slices {
            for (total, part) in total.iter_mut().zip(&slice) {
                total.iter_mut().zip(part).for_each(|(total, part)| total.add(part));
            }
        }
        Ok(total)
    }
}

fn shell_of(sums: &ShellSums, share: f64) -> Shell {
    let [all, cones @ ..] = sums;
    // Two values of the spectrum of a real volume are one independent number; the mask joins neighbours.
    let independent = |sums: &Sums| sums.n / 2.0 * share;
    let n = independent(all).max(1.0);
    let half_bit = ((0.2071 + 1.9102 / n.sqrt()) / (1.2071 + 0.9102 / n.sqrt())).min(1.0);
    Shell {
        frequency: all.frequency / all.n,
        fsc: all.correlation(),
        half_bit,
        independent: independent(all),
        cones_zyx: std::array::from_fn(|axis| {
            (independent(&cones[axis]) >= FEWEST).then(|| cones[axis].correlation())
        }),
    }
}

#[cfg(test)]
#[path = "fsc_tests.rs"]
mod tests;
