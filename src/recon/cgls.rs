//! CGLS: conjugate gradients on the least squares of all views (Hestenes and Stiefel 1952; Björck, Numerical Methods
//! for Least Squares Problems, 1996, doi:10.1137/1.9781611971484).
//!
//! Minimises `‖W^(1/2) (A x - b)‖` with A and Aᵀ exact transposes; W is 1, or `exp(-b)`, the inverse variance of photon
//! noise. Ten steps do the work of a hundred of SIRT, and then the noise comes in: large structure converges first,
//! noise last. So a sample of rows over the whole height is worked on first, and the step at which its residual has
//! come down to the noise found in the data is the number of steps that every row gets.
//!
//! Each row has inner products of its own. Cost: two passes of depth · width · views updates a row and step, and those of
//! the sample. Memory: three slabs of the section and three of the projections beside input and output.

use ndarray::{ArrayViewMut3, Axis};
use rayon::prelude::*;

use super::domain::Domain;
use super::input::Input;
use super::noise::Pilot;
use super::steps::lane_zero;
use super::{ReconError, ReconstructParams, Weighting};
use crate::base::{Cancelled, Progress};
use crate::kernels::lanes::{LANES, LanePlane, Lanes};
use crate::kernels::projector::{Footprint, SlabProjector};

/// How long each ray runs through the domain, one line of columns per view.
pub(super) fn ray_lengths(
    progress: &Progress,
    projector: &SlabProjector,
    domain: &Domain,
) -> Result<Vec<f32>, Cancelled> {
    let (mut section, mut sinogram) = (projector.new_section(), projector.new_sinogram());
    section.par_lines_mut().enumerate().for_each(|(z, line)| {
        line.iter_mut().zip(domain.mask_line(z)).for_each(|(group, mask)| *group = Lanes([mask; LANES]));
    });
    projector.project(progress, &section, &mut sinogram, |_, _| ())?;
    Ok(lane_zero(&sinogram, |sum| sum))
}

/// One slab of sixteen rows and everything that a step needs.
pub(super) struct Solver<'a> {
    projector: &'a SlabProjector,
    domain: &'a Domain,
    weighting: Weighting,
    /// 1 for a ray that meets the domain, 0 for one that does not.
    meets: Vec<f32>,
    pub(super) section: LanePlane,
    direction: LanePlane,
    gradient: LanePlane,
    pub(super) residual: LanePlane,
    weights: LanePlane,
    image: LanePlane,
    gamma: [f64; LANES],
    /// Every so many views one is left out, to be predicted.
    left_out: Option<usize>,
}

/// Steps without a better prediction after which the search ends.
pub(super) const PATIENCE: u32 = 2;
/// Every so many views one is left out of the sample.
pub(super) const LEFT_OUT: usize = 8;

pub(super) fn is_left_out(every: Option<usize>, view: usize) -> bool {
    every.is_some_and(|every| view % every == every / 2)
}

impl<'a> Solver<'a> {
    pub(super) fn new(
        progress: &Progress,
        projector: &'a SlabProjector,
        domain: &'a Domain,
        weighting: Weighting,
    ) -> Result<Self, Cancelled> {
        let meets = ray_lengths(progress, projector, domain)?;
        let meets = meets.into_iter().map(|length| f32::from(u8::from(length > 0.0))).collect();
        Ok(Self {
            projector,
            domain,
            weighting,
            meets,
            section: projector.new_section(),
            direction: projector.new_section(),
            gradient: projector.new_section(),
            residual: projector.new_sinogram(),
            weights: projector.new_sinogram(),
            image: projector.new_sinogram(),
            gamma: [0.0; LANES],
            left_out: None,
        })
    }

    /// Takes these as what was measured.
    pub(super) fn measure(&mut self, measured: &LanePlane) {
        self.residual
            .par_lines_mut()
            .enumerate()
            .for_each(|(line, groups)| groups.copy_from_slice(measured.line(line)));
    }

    /// Starts at zero with `residual` as what was measured.
    pub(super) fn start(&mut self, progress: &Progress) -> Result<(), Cancelled> {
        let n_cols = self.residual.line_len();
        let (meets, weighting, left_out) = (&self.meets, self.weighting, self.left_out);
        self.weights.par_lines_mut().enumerate().for_each(|(line, groups)| {
            if is_left_out(left_out, line) {
                groups.fill(Lanes::ZERO);
                return;
            }
            let meets = &meets[line * n_cols..(line + 1) * n_cols];
            for ((group, measured), meets) in groups.iter_mut().zip(self.residual.line(line)).zip(meets) {
                for (weight, a) in group.0.iter_mut().zip(measured.0) {
                    *weight = match weighting {
                        Weighting::Equal => *meets,
                        Weighting::Photons => meets * (-a.clamp(0.0, 12.0)).exp(),
                    };
                }
            }
        });
        self.section.clear();
        self.descend(progress)?;
        self.gamma = norm(&self.gradient);
        let gradient = &self.gradient;
        self.direction
            .par_lines_mut()
            .enumerate()
            .for_each(|(line, groups)| groups.copy_from_slice(gradient.line(line)));
        Ok(())
    }

    /// The gradient: the weighted residual smeared back into the domain.
    fn descend(&mut self, progress: &Progress) -> Result<(), Cancelled> {
        let (residual, weights) = (&self.residual, &self.weights);
        self.image.par_lines_mut().enumerate().for_each(|(line, groups)| {
            for ((group, r), w) in groups.iter_mut().zip(residual.line(line)).zip(weights.line(line)) {
                for ((value, r), w) in group.0.iter_mut().zip(r.0).zip(w.0) {
                    *value = r * w;
                }
            }
        });
        self.projector.back_project(progress, Footprint::Matched, &self.image, &mut self.gradient)?;
        if self.domain.mask.is_some() {
            let domain = self.domain;
            self.gradient.par_lines_mut().enumerate().for_each(|(z, line)| {
                for (group, mask) in line.iter_mut().zip(domain.mask_line(z)) {
                    group.0.iter_mut().for_each(|value| *value *= mask);
                }
            });
        }
        Ok(())
    }

    /// One step of every row.
    pub(super) fn step(&mut self, progress: &Progress) -> Result<(), Cancelled> {
        self.projector.project(progress, &self.direction, &mut self.image, |_, _| ())?;
        let curvature = self.image.sums(&self.weights, |_, _, a, w| a * a * w);
        let alpha: [f32; LANES] = std::array::from_fn(|lane| ratio(self.gamma[lane], curvature[lane]));
        add(&mut self.section, &self.direction, alpha);
        add(&mut self.residual, &self.image, alpha.map(|a| -a));
        self.descend(progress)?;
        let gamma = norm(&self.gradient);
        let beta: [f32; LANES] = std::array::from_fn(|lane| ratio(gamma[lane], self.gamma[lane]));
        self.gamma = gamma;
        let gradient = &self.gradient;
        self.direction.par_lines_mut().enumerate().for_each(|(line, groups)| {
            for (group, gradient) in groups.iter_mut().zip(gradient.line(line)) {
                for ((value, beta), gradient) in group.0.iter_mut().zip(beta).zip(gradient.0) {
                    *value = gradient + beta * *value;
                }
            }
        });
        Ok(())
    }

    /// Mean square of the residual in units of the noise: the median row of `pilot`, of the views that take part and
    /// of those left out.
    fn misfit(&self, pilot: &Pilot) -> [f64; 2] {
        let n_cols = self.residual.line_len();
        [false, true].map(|left_out| {
            let counts = |view: usize| is_left_out(self.left_out, view) == left_out;
            let sums = self.residual.sums(&pilot.measured, |view, column, r, a| {
                let counted = if counts(view) { self.meets[view * n_cols + column] } else { 0.0 };
                r * r * counted / pilot.variance(view, a)
            });
            let rays = self.meets.chunks(n_cols).enumerate().filter(|(view, _)| counts(*view));
            let n: f32 = rays.flat_map(|(_, meets)| meets).sum();
            let there = sums.iter().zip(&pilot.rows).filter(|(_, row)| row.is_some());
            let mut rows: Vec<f64> = there.map(|(sum, _)| sum / f64::from(n.max(1.0))).collect();
            rows.sort_by(f64::total_cmp);
            rows.get(rows.len() / 2).copied().unwrap_or(0.0)
        })
    }
}

fn ratio(a: f64, b: f64) -> f32 {
    if b > 0.0 && a > 0.0 { (a / b) as f32 } else { 0.0 }
}

fn norm(plane: &LanePlane) -> [f64; LANES] {
    plane.sums(plane, |_, _, a, b| a * b)
}

/// Adds `factor · other` to a plane, each row with its own factor.
fn add(plane: &mut LanePlane, other: &LanePlane, factor: [f32; LANES]) {
    plane.par_lines_mut().enumerate().for_each(|(line, groups)| {
        for (group, other) in groups.iter_mut().zip(other.line(line)) {
            for ((value, factor), other) in group.0.iter_mut().zip(factor).zip(other.0) {
                *value += factor * other;
            }
        }
    });
}

/// Fills `volume`, shape (depth, rows, columns), with values times `per_voxel`; at most `most` steps.
///
/// Returns the steps that every row got and the noise in the data.
pub(super) fn cgls(
    progress: &Progress,
    input: &Input<'_>,
    params: &ReconstructParams,
    domain: &Domain,
    most: u32,
    per_voxel: f32,
    mut volume: ArrayViewMut3<'_, f32>,
) -> Result<(u32, f64), ReconError> {
    let projector = SlabProjector::new(&domain.geometry(input));
    let pilot = Pilot::new(progress, input, &projector)?;
    let mut solver = Solver::new(progress, &projector, domain, params.weights)?;
    progress.phase("Looking for where noise begins", u64::from(most));
    let steps = solver.stop(progress, &pilot, most)?;
    progress.phase("CGLS", input.n_slabs() as u64 * u64::from(steps));
    let views: Vec<usize> = (0..input.n_views()).collect();
    for (slab, rows) in volume.axis_chunks_iter_mut(Axis(1), LANES).enumerate() {
        let wanted = input.slab_rows(slab);
        input.fill(
            progress,
            &wanted,
            &views,
            &mut solver.residual,
            || (),
            |_, row, line, ()| {
                line.copy_from_slice(row);
            },
        )?;
        solver.start(progress)?;
        for _ in 0..steps {
            solver.step(progress)?;
            progress.advance(1);
        }
        domain.write(&solver.section, 0, per_voxel, rows);
    }
    Ok((steps, pilot.sigma()))
}

/// The residual that counts as noise, as a share of its variance: the unknowns take up the rest.
pub(super) const DISCREPANCY: f64 = 0.9;

impl Solver<'_> {
    /// The number of steps that is best for the sample: one view of eight is left out, and steps end where the others
    /// are fitted to within the noise, or where those left out are no longer predicted better.
    fn stop(&mut self, progress: &Progress, pilot: &Pilot, most: u32) -> Result<u32, Cancelled> {
        self.measure(&pilot.measured);
        self.left_out = (self.residual.n_lines() >= 2 * LEFT_OUT).then_some(LEFT_OUT);
        self.start(progress)?;
        let (mut steps, mut best) = (0, (f64::INFINITY, 0));
        while steps < most {
            let [fit, predicted] = self.misfit(pilot);
            if predicted < best.0 || self.left_out.is_none() {
                best = (predicted, steps);
            }
            if fit <= DISCREPANCY && steps > 0 {
                steps = best.1;
                break;
            }
            if steps >= best.1 + PATIENCE {
                steps = best.1;
                break;
            }
            self.step(progress)?;
            progress.advance(1);
            steps += 1;
        }
        self.left_out = None;
        Ok(steps.max(1))
    }
}
