//! CGLS through a lens: what lies out of focus is seen blurred, and is found as it is.
//!
//! A zone plate that resolves 50 nm has a depth of field of less than a cell. In each view a voxel is seen through the
//! transfer function of its distance from focus along the beam ([`Lens`]). Here the section is projected in bands of
//! distance, the images of each band are blurred by the transfer function of their distance, rows and columns
//! alike, and added; the adjoint takes the same steps back. Between two bands the transfer function is interpolated, so
//! there are as many bands as that needs. The blur is applied to absorbance, which is what the lens does to light where
//! absorption is weak.
//!
//! All rows belong together, so the whole volume is in memory three times, as section, direction and gradient. Rows and
//! columns around what is seen take part as unknowns that nothing measures directly, so that light from there
//! is not taken for sample within.

use std::ops::Range;

use ndarray::{ArrayViewMut3, Axis};
use rayon::prelude::*;
use serde::Serialize;

use super::cgls::{DISCREPANCY, LEFT_OUT, PATIENCE, is_left_out, ray_lengths};
use super::domain::Domain;
use super::input::Input;
use super::lens::Blur;
use super::noise::Pilot;
use super::{ReconError, ReconstructParams, Weighting};
use crate::base::{Cancelled, MemoryBudget, Progress};
use crate::kernels::lanes::{LANES, LanePlane, Lanes};
use crate::kernels::lens::Lens;
use crate::kernels::projector::{BandProjector, Bands, SlabProjector};

/// Rows and columns around what is seen at most.
pub(super) const MOST_HALO: usize = 64;
/// Values of a chunk of sums.
const CHUNK: usize = 1 << 14;

/// How depth of field was taken into account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Depth {
    /// Depth of field of the lens in µm.
    pub depth_of_field_um: f64,
    /// Bands of distance from focus.
    pub bands: usize,
    /// The farthest of them in µm.
    pub farthest_um: f64,
}

/// What a lens does within a section.
pub(super) struct Optics {
    pub(super) lens: Lens,
    /// µm of a voxel.
    pub(super) voxel_um: f64,
    pub(super) bands: Bands,
    /// Rows and columns that light from the farthest band reaches.
    pub(super) halo: usize,
}

impl Optics {
    /// For a section of `deep` × `wide` voxels seen from `the views of `input`.
    pub(super) fn new(lens: Lens, focus_um: f64, voxel_um: f64, domain: &Domain, input: &Input<'_>) -> Self {
        let plane = focus_um / voxel_um;
        let reach = |angle: &f64| {
            let (sin, cos) = angle.to_radians().sin_cos();
            let corner = 0.5 * ((domain.deep as f64 * cos).abs() + (domain.wide as f64 * sin).abs());
            // Of a wide section tilted rays see a part.
            let seen = 0.5 * (domain.deep as f64 + input.n_cols as f64 * sin.abs()) / cos.abs().max(1e-9);
            corner.min(seen)
        };
        let farthest = input.angles_deg.iter().map(reach).fold(0.0, f64::max) + plane.abs();
        let n = super::lens::bands_needed(lens, voxel_um, farthest * voxel_um);
        let bands = Bands { plane, spacing: farthest / (n.max(2) - 1) as f64, n };
        let halo = ((lens.na * farthest).ceil() as usize + 2).min(MOST_HALO);
        Self { lens, voxel_um, bands, halo }
    }

    pub(super) fn report(&self) -> Depth {
        Depth {
            depth_of_field_um: self.lens.depth_of_field_um(),
            bands: self.bands.n,
            farthest_um: self.bands.spacing * self.bands.n.saturating_sub(1) as f64 * self.voxel_um,
        }
    }
}

/// Bytes of the solver for some rows with their surroundings.
pub(super) fn bytes(rows: usize, cols: usize, views: usize, section: [usize; 2], bands: usize) -> u64 {
    let slabs = rows.div_ceil(LANES);
    let sections = 3 * slabs as u64 * LanePlane::bytes(section[0], section[1]);
    let image = (rows * cols) as u64 * 4;
    let batch = batch() as u64;
    // Three sets of projections; images of all bands and scratch of each view of a batch; gains of the bands.
    sections
        + 3 * views as u64 * image
        + batch * (bands as u64 * image * 2 + 8 * image)
        + bands as u64 * image * 2
}

/// Views that are worked on at once; results do not depend on it.
fn batch() -> usize {
    2 * rayon::current_num_threads().max(2)
}

/// Some rows of a volume and everything that a step needs.
pub(super) struct Solver<'a> {
    projector: BandProjector,
    blur: Blur,
    domain: &'a Domain,
    n_views: usize,
    /// Rows with their surroundings, and which row of the data each is.
    rows: Vec<Option<usize>>,
    n_cols: usize,
    pub(super) section: Vec<LanePlane>,
    direction: Vec<LanePlane>,
    gradient: Vec<LanePlane>,
    residual: Vec<f32>,
    weights: Vec<f32>,
    image: Vec<f32>,
    gamma: f64,
}

fn norm(planes: &[LanePlane]) -> f64 {
    planes.iter().flat_map(|plane| plane.sums(plane, |_, _, a, b| a * b)).sum()
}

fn ratio(a: f64, b: f64) -> f32 {
    if b > 0.0 && a > 0.0 { (a / b) as f32 } else { 0.0 }
}

impl<'a> Solver<'a> {
    /// Reads `rows` of the data with their surroundings; where one view in so many is left out, it counts nothing.
    pub(super) fn new(
        progress: &Progress,
        input: &Input<'_>,
        domain: &'a Domain,
        optics: &Optics,
        rows: &Range<usize>,
        weighting: Weighting,
        left_out: Option<usize>,
    ) -> Result<Self, Cancelled> {
        let (lead, halo) = (lead(optics.halo), optics.halo);
        let all = input.n_rows();
        let known = |row: isize| usize::try_from(row).ok().filter(|row| *row < all);
        let first = rows.start as isize - lead as isize;
        let last = (rows.end + halo) as isize;
        // Rows before the halo only fill a group of sixteen.
        let wanted = |row: isize| row >= rows.start as isize - halo as isize;
        let rows: Vec<Option<usize>> =
            (first..last).map(|row| if wanted(row) { known(row) } else { None }).collect();
        let n_cols = input.n_cols + 2 * halo;
        let geometry = input.geometry(n_cols, domain.deep, domain.wide);
        let plain = SlabProjector::new(&geometry);
        let n_views = input.n_views();
        let n_slabs = rows.len().div_ceil(LANES);
        let sections = || -> Vec<LanePlane> { (0..n_slabs).map(|_| plain.new_section()).collect() };
        let image = rows.len() * n_cols;
        let mut solver = Self {
            projector: BandProjector::new(&geometry, optics.bands),
            blur: Blur::new(optics, rows.len(), n_cols),
            domain,
            n_views,
            rows,
            n_cols,
            section: sections(),
            direction: sections(),
            gradient: sections(),
            residual: vec![0.0; n_views * image],
            weights: vec![0.0; n_views * image],
            image: vec![0.0; n_views * image],
            gamma: 0.0,
        };
        let meets = ray_lengths(progress, &plain, domain)?;
        let views: Vec<usize> = (0..n_views).collect();
        let mut sinogram = LanePlane::sinogram(n_views, input.n_cols);
        for slab in 0..n_slabs {
            let wanted = std::array::from_fn(|lane| solver.rows.get(slab * LANES + lane).copied().flatten());
            input.fill(
                progress,
                &wanted,
                &views,
                &mut sinogram,
                || (),
                |_, row, line, ()| line.copy_from_slice(row),
            )?;
            for view in 0..n_views {
                for (lane, _) in wanted.iter().enumerate().filter(|(_, row)| row.is_some()) {
                    let start = view * image + (slab * LANES + lane) * n_cols + halo;
                    for (u, group) in sinogram.line(view).iter().enumerate() {
                        let value = group.0[lane];
                        solver.residual[start + u] = value;
                        let counted = meets[view * n_cols + halo + u] > 0.0 && !is_left_out(left_out, view);
                        solver.weights[start + u] = match weighting {
                            _ if !counted => 0.0,
                            Weighting::Equal => 1.0,
                            Weighting::Photons => (-value.clamp(0.0, 12.0)).exp(),
                        };
                    }
                }
            }
        }
        solver.descend(progress)?;
        solver.gamma = norm(&solver.gradient);
        for (direction, gradient) in solver.direction.iter_mut().zip(&solver.gradient) {
            combine(direction, gradient, 0.0);
        }
        Ok(solver)
    }

    /// What the lens shows of `direction`, into `image`.
    fn project(&mut self, progress: &Progress) -> Result<(), Cancelled> {
        let (n_rows, n_cols, len) = (self.rows.len(), self.n_cols, self.rows.len() * self.n_cols);
        let (projector, blur, section) = (&self.projector, &self.blur, &self.direction);
        let pairs = self.image.par_chunks_mut(2 * len).enumerate();
        pairs.try_for_each_init(
            || (blur.scratch(), vec![Lanes::ZERO; section.len() * projector.len()]),
            |(scratch, groups), (pair, out)| {
                scratch.start();
                let mut bands: Vec<f32> = vec![0.0; 2 * projector.len() * n_rows];
                let n_bands = projector.len() / n_cols;
                for half in 0..out.len() / len {
                    for (slab, groups) in groups.chunks_exact_mut(projector.len()).enumerate() {
                        progress.check()?;
                        projector.project(2 * pair + half, &section[slab], groups);
                        unpack(
                            groups,
                            slab,
                            n_rows,
                            n_cols,
                            &mut bands[half * n_bands * len..][..n_bands * len],
                        );
                    }
                }
                let (first, second) = bands.split_at(n_bands * len);
                for band in 0..n_bands {
                    progress.check()?;
                    blur.add(scratch, band, [&first[band * len..][..len], &second[band * len..][..len]]);
                }
                blur.finish(scratch, out);
                Ok(())
            },
        )
    }

    /// The gradient: the weighted residual seen back through the lens into the domain.
    fn descend(&mut self, progress: &Progress) -> Result<(), Cancelled> {
        let (residual, weights) = (&self.residual, &self.weights);
        self.image.par_iter_mut().zip(residual).zip(weights).for_each(|((value, r), w)| *value = r * w);
        let (n_rows, n_cols, len) = (self.rows.len(), self.n_cols, self.rows.len() * self.n_cols);
        let (projector, blur, domain) = (&self.projector, &self.blur, self.domain);
        let n_slabs = self.gradient.len();
        self.gradient.iter_mut().for_each(LanePlane::clear);
        let batch = batch();
        let mut groups = vec![Lanes::ZERO; batch * n_slabs * projector.len()];
        for first in (0..self.n_views).step_by(batch) {
            let views = batch.min(self.n_views - first);
            let images = &self.image[first * len..(first + views) * len];
            groups
                .par_chunks_mut(2 * n_slabs * projector.len())
                .zip(images.par_chunks(2 * len))
                .try_for_each_init(
                    || blur.scratch(),
                    |scratch, (groups, images)| {
                        let mut bands = vec![0.0f32; 2 * len];
                        blur.load(scratch, images);
                        for band in 0..projector.len() / n_cols {
                            progress.check()?;
                            blur.back(scratch, band, &mut bands[..images.len()]);
                            for (half, image) in bands[..images.len()].chunks_exact(len).enumerate() {
                                let groups = &mut groups[half * n_slabs * projector.len()..]
                                    [..n_slabs * projector.len()];
                                pack(image, band, n_rows, n_cols, projector.len(), groups);
                            }
                        }
                        Ok(())
                    },
                )?;
            let groups = &groups;
            self.gradient.par_iter_mut().enumerate().try_for_each(|(slab, plane)| {
                plane.par_lines_mut().enumerate().try_for_each(|(z, line)| {
                    progress.check()?;
                    for view in 0..views {
                        let images = &groups[(view * n_slabs + slab) * projector.len()..][..projector.len()];
                        projector.back_project(first + view, images, z, line);
                    }
                    Ok(())
                })
            })?;
        }
        for plane in &mut self.gradient {
            plane.par_lines_mut().enumerate().for_each(|(z, line)| {
                for (group, mask) in line.iter_mut().zip(domain.mask_line(z)) {
                    group.0.iter_mut().for_each(|value| *value *= mask);
                }
            });
        }
        // Rows beyond the last one do not exist.
        let beyond = n_slabs * LANES - n_rows;
        if let Some(plane) = self.gradient.last_mut() {
            plane.par_lines_mut().for_each(|line| {
                line.iter_mut().for_each(|group| group.0[LANES - beyond..].fill(0.0));
            });
        }
        Ok(())
    }

    /// One step.
    pub(super) fn step(&mut self, progress: &Progress) -> Result<(), Cancelled> {
        self.project(progress)?;
        let (image, weights) = (&self.image, &self.weights);
        let weighted = |start: usize| -> f64 {
            let range = start..(start + CHUNK).min(image.len());
            image[range.clone()]
                .iter()
                .zip(&weights[range])
                .map(|(a, w)| f64::from(*a) * f64::from(*a) * f64::from(*w))
                .sum()
        };
        let starts: Vec<usize> = (0..image.len()).step_by(CHUNK).collect();
        let sums: Vec<f64> = starts.into_par_iter().map(weighted).collect();
        let alpha = ratio(self.gamma, sums.iter().sum());
        for (section, direction) in self.section.iter_mut().zip(&self.direction) {
            section.par_lines_mut().enumerate().for_each(|(z, line)| {
                for (group, other) in line.iter_mut().zip(direction.line(z)) {
                    group.0.iter_mut().zip(other.0).for_each(|(value, d)| *value += alpha * d);
                }
            });
        }
        self.residual.par_iter_mut().zip(&self.image).for_each(|(r, a)| *r -= alpha * a);
        self.descend(progress)?;
        let gamma = norm(&self.gradient);
        let beta = ratio(gamma, self.gamma);
        self.gamma = gamma;
        for (direction, gradient) in self.direction.iter_mut().zip(&self.gradient) {
            combine(direction, gradient, beta);
        }
        Ok(())
    }

    /// Mean square of the residual in units of the noise, of the views that take part and of those left out.
    fn misfit(&self, pilot: &Pilot, measured: &[f32], known: &[f32], left_out: Option<usize>) -> [f64; 2] {
        let len = self.rows.len() * self.n_cols;
        [false, true].map(|wanted| {
            let views: Vec<usize> =
                (0..self.n_views).filter(|v| is_left_out(left_out, *v) == wanted).collect();
            let of = |view: &usize| {
                let range = view * len..(view + 1) * len;
                let (mut sum, mut n) = (0.0f64, 0.0f64);
                for ((r, a), known) in
                    self.residual[range.clone()].iter().zip(&measured[range.clone()]).zip(&known[range])
                {
                    sum += f64::from(r * r * known / pilot.variance(*view, *a));
                    n += f64::from(*known);
                }
                (sum, n)
            };
            let sums: Vec<(f64, f64)> = views.par_iter().map(of).collect();
            let total = sums.iter().fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
            total.0 / total.1.max(1.0)
        })
    }
}

/// Rows before the first wanted one: the halo, to whole groups.
pub(super) fn lead(halo: usize) -> usize {
    halo.next_multiple_of(LANES)
}

/// `plane = other + factor · plane`.
fn combine(plane: &mut LanePlane, other: &LanePlane, factor: f32) {
    plane.par_lines_mut().enumerate().for_each(|(z, line)| {
        for (group, other) in line.iter_mut().zip(other.line(z)) {
            group.0.iter_mut().zip(other.0).for_each(|(value, g)| *value = g + factor * *value);
        }
    });
}

/// Writes the bands of one slab, groups of bands and columns, into images, band after band.
fn unpack(groups: &[Lanes], slab: usize, n_rows: usize, n_cols: usize, images: &mut [f32]) {
    for (band, groups) in groups.chunks_exact(n_cols).enumerate() {
        for lane in 0..LANES.min(n_rows - slab * LANES) {
            let start = band * n_rows * n_cols + (slab * LANES + lane) * n_cols;
            for (value, group) in images[start..start + n_cols].iter_mut().zip(groups) {
                *value = group.0[lane];
            }
        }
    }
}

/// Writes the image of one band into the groups of all slabs, `stride` groups a slab.
fn pack(image: &[f32], band: usize, n_rows: usize, n_cols: usize, stride: usize, groups: &mut [Lanes]) {
    for (slab, groups) in groups.chunks_exact_mut(stride).enumerate() {
        let groups = &mut groups[band * n_cols..(band + 1) * n_cols];
        for lane in 0..LANES {
            let row = slab * LANES + lane;
            for (u, group) in groups.iter_mut().enumerate() {
                group.0[lane] = if row < n_rows { image[row * n_cols + u] } else { 0.0 };
            }
        }
    }
}

/// The number of steps that is best, from sixteen rows in the middle: as for plain CGLS.
fn steps(
    progress: &Progress,
    input: &Input<'_>,
    domain: &Domain,
    optics: &Optics,
    params: &ReconstructParams,
    pilot: &Pilot,
    most: u32,
) -> Result<u32, Cancelled> {
    let all = input.n_rows();
    let first = all.saturating_sub(LANES) / 2;
    let rows = first..(first + LANES).min(all);
    let left_out = (input.n_views() >= 2 * LEFT_OUT).then_some(LEFT_OUT);
    let whole = Solver::new(progress, input, domain, optics, &rows, Weighting::Equal, None)?;
    let (measured, known) = (whole.residual, whole.weights);
    let mut solver = Solver::new(progress, input, domain, optics, &rows, params.weights, left_out)?;
    let (mut steps, mut best) = (0, (f64::INFINITY, 0));
    while steps < most {
        let [fit, predicted] = solver.misfit(pilot, &measured, &known, left_out);
        if predicted < best.0 || left_out.is_none() {
            best = (predicted, steps);
        }
        if (fit <= DISCREPANCY && steps > 0) || steps >= best.1 + PATIENCE {
            steps = best.1;
            break;
        }
        solver.step(progress)?;
        progress.advance(1);
        steps += 1;
    }
    Ok(steps.max(1))
}

/// What a run may take and in which unit it ends.
pub(super) struct Limits {
    /// Steps at most.
    pub(super) most: u32,
    pub(super) budget: MemoryBudget,
    /// What a value per voxel is multiplied by.
    pub(super) per_voxel: f32,
}

/// Fills `volume`, shape (depth, rows, columns), with values times `per_voxel`, within the limits.
///
/// Returns the steps made and the noise in the data.
pub(super) fn cgls(
    progress: &Progress,
    input: &Input<'_>,
    params: &ReconstructParams,
    domain: &Domain,
    optics: &Optics,
    limits: Limits,
    mut volume: ArrayViewMut3<'_, f32>,
) -> Result<(u32, f64), ReconError> {
    let Limits { most, budget, per_voxel } = limits;
    let rows = input.rows.len() + lead(optics.halo) + optics.halo;
    let cols = input.n_cols + 2 * optics.halo;
    let held = (volume.len() * size_of::<f32>()) as u64;
    let need = |rows| bytes(rows, cols, input.n_views(), [domain.deep, domain.wide], optics.bands.n);
    // The sample is worked on twice, with and without the views that are left out.
    let sample = 2 * need(LANES.min(input.n_rows()) + lead(optics.halo) + optics.halo);
    budget.admit(held + need(rows).max(sample))?;
    let pilot = Pilot::new(progress, input, &SlabProjector::new(&domain.geometry(input)))?;
    progress.phase("Looking for where noise begins", u64::from(most));
    let n = steps(progress, input, domain, optics, params, &pilot, most)?;
    progress.phase("CGLS with depth of field", u64::from(n) + 1);
    let mut solver = Solver::new(progress, input, domain, optics, &input.rows, params.weights, None)?;
    progress.advance(1);
    for _ in 0..n {
        solver.step(progress)?;
        progress.advance(1);
    }
    let first = lead(optics.halo) / LANES;
    for (slab, rows) in volume.axis_chunks_iter_mut(Axis(1), LANES).enumerate() {
        domain.write(&solver.section[first + slab], 0, per_voxel, rows);
    }
    Ok((n, pilot.sigma()))
}

#[cfg(test)]
#[path = "depth_tests.rs"]
mod tests;
