//! Total variation: the data explained to within their noise by a volume of few edges.
//!
//! Minimises `½ Σ R (b - A x)² + λ TV(x)` with x ≥ 0: R the inverse length of each ray as in SIRT, TV the sum of the lengths of
//! the gradient in three dimensions (Rudin, Osher and Fatemi, Physica D 60, 259, 1992, doi:10.1016/0167-2789(92)90242-F). FISTA
//! (Beck and Teboulle 2009, doi:10.1137/080716542) with the step of ordered subsets; the proximal map of TV by dual
//! ascent (Chambolle 2004, doi:10.1023/B:JMIV.0000011325.36760.1e), which starts from where the last step left it.
//!
//! λ follows from the data: it is `strength` times the spread that noise gives the gradient of the first term at a voxel, so that
//! a strength fits whatever the dose, the number of views and the unit.
//!
//! Rows are coupled, so slabs overlap: of sixteen rows the inner twelve are kept. Slabs lie where they do whichever rows are
//! wanted, which is why a range of rows has the bits of the whole.
//!
//! Cost: per row and sweep 4/3 of two passes of depth · width · views updates, and per subset ten of the section.
//! Memory: six slabs of the section and two of the projections beside input and output.

use std::ops::Range;

use ndarray::{ArrayViewMut3, Axis, Slice};
use pulp::Arch;
use rayon::prelude::*;

use super::domain::Domain;
use super::input::Input;
use super::noise::Pilot;
use super::steps::{Subset, read, subsets};
use super::{ReconError, ReconstructParams};
use crate::base::{Cancelled, Progress};
use crate::kernels::lanes::{LANES, LanePlane, Lanes};
use crate::kernels::projector::{Footprint, SlabProjector};

/// Rows on each side of a slab that are worked on for the sake of those between. With one more or two the volume is the same to
/// a fraction of its noise (a test).
pub(super) const HALO: usize = 2;
/// Rows of a slab that are kept.
pub(super) const CORE: usize = LANES - 2 * HALO;
/// Dual steps of each proximal map.
const DUAL_STEPS: usize = 2;
/// λ in units of the spread of the gradient at a strength of 1: least error on the simulated yeast and lymphocyte.
const UNIT_STRENGTH: f64 = 0.6;
/// Square of the norm of the gradient in three dimensions.
const GRADIENT_NORM: f32 = 12.0;

/// Slabs that hold any of these rows.
pub(super) fn slabs(rows: &Range<usize>) -> Range<usize> {
    rows.start / CORE..rows.end.div_ceil(CORE)
}

/// The spread that noise gives the gradient of the data term at a voxel, and the noise itself.
fn gradient_noise(
    progress: &Progress,
    input: &Input<'_>,
    domain: &Domain,
    subsets: &[Subset],
) -> Result<(f64, f64), Cancelled> {
    let pilot = Pilot::new(progress, input, &SlabProjector::new(&domain.geometry(input)))?;
    let mut section = LanePlane::section(domain.deep, domain.wide);
    // The middle half along both axes, which every view sees.
    let inside = |n: usize, i: usize| i >= n / 4 && i < n - n / 4;
    let count = |n: usize| (0..n).filter(|i| inside(n, *i)).count();
    let n_rows = pilot.rows.iter().flatten().count();
    let n = (n_rows * count(domain.deep) * count(domain.wide)).max(1) as f64;
    let mut power = 0.0;
    for subset in subsets {
        let mut noise = subset.projector.new_sinogram();
        let n_cols = noise.line_len();
        for (line, view) in subset.views.iter().enumerate() {
            let weights = &subset.ray_weights[line * n_cols..(line + 1) * n_cols];
            let measured = pilot.measured.line(*view);
            for ((group, measured), weight) in noise.line_mut(line).iter_mut().zip(measured).zip(weights) {
                *group = Lanes(measured.0.map(|a| weight * weight * pilot.variance(*view, a)));
            }
        }
        subset.projector.back_project(progress, Footprint::Matched, &noise, &mut section)?;
        let sums = section.sums(&section, |z, x, value, _| {
            if inside(domain.deep, z) && inside(domain.wide, x) { value } else { 0.0 }
        });
        power +=
            sums.iter().zip(&pilot.rows).filter(|(_, row)| row.is_some()).map(|(s, _)| s).sum::<f64>() / n;
    }
    Ok((power.sqrt(), pilot.sigma()))
}

/// The minimiser of `|x - u|² / 2t + TV(x)` with x at `floor` or above, and its dual variable.
struct Denoiser<'a> {
    arch: Arch,
    domain: &'a Domain,
    /// Along z, y and x.
    dual: [LanePlane; 3],
    /// 1 where this row and the next are both there.
    rows: [f32; LANES],
    t: f32,
    floor: f32,
}

impl Denoiser<'_> {
    fn apply(&mut self, u: &LanePlane, x: &mut LanePlane) {
        for _ in 0..DUAL_STEPS {
            self.primal(u, x);
            self.ascend(x);
        }
        self.primal(u, x);
    }

    fn primal(&self, u: &LanePlane, x: &mut LanePlane) {
        let [dual_z, dual_y, dual_x] = &self.dual;
        let none = vec![Lanes::ZERO; x.line_len()];
        x.par_lines_mut().enumerate().for_each(|(z, out)| {
            let before = if z > 0 { dual_z.line(z - 1) } else { &none[..] };
            let line = PrimalLine {
                u: u.line(z),
                before,
                here: dual_z.line(z),
                rows: dual_y.line(z),
                along: dual_x.line(z),
                t: self.t,
                floor: self.floor,
            };
            self.arch.dispatch(|| line.write(out));
            if self.domain.mask.is_some() {
                for (group, mask) in out.iter_mut().zip(self.domain.mask_line(z)) {
                    if mask == 0.0 {
                        *group = Lanes::ZERO;
                    }
                }
            }
        });
    }

    fn ascend(&mut self, x: &LanePlane) {
        let (arch, rows, n) = (self.arch, self.rows, x.n_lines());
        let step = 1.0 / (GRADIENT_NORM * self.t);
        let [dual_z, dual_y, dual_x] = &mut self.dual;
        dual_z.par_lines_mut().zip(dual_y.par_lines_mut()).zip(dual_x.par_lines_mut()).enumerate().for_each(
            |(z, ((dual_z, dual_y), dual_x))| {
                let (here, below) = (x.line(z), x.line((z + 1).min(n - 1)));
                arch.dispatch(|| ascend_line([dual_z, dual_y, dual_x], here, below, &rows, step));
            },
        );
    }
}

/// What a line of the primal variable is made from.
struct PrimalLine<'a> {
    u: &'a [Lanes],
    before: &'a [Lanes],
    here: &'a [Lanes],
    rows: &'a [Lanes],
    along: &'a [Lanes],
    t: f32,
    floor: f32,
}

impl PrimalLine<'_> {
    /// `u + t div(dual)`, at the floor or above.
    #[inline(always)]
    fn write(&self, out: &mut [Lanes]) {
        let mut left = [0.0f32; LANES];
        for (i, out) in out.iter_mut().enumerate() {
            let (rows, along) = (&self.rows[i].0, self.along[i].0);
            let mut above = [0.0f32; LANES];
            above[1..].copy_from_slice(&rows[..LANES - 1]);
            for l in 0..LANES {
                let divergence =
                    (self.here[i].0[l] - self.before[i].0[l]) + (along[l] - left[l]) + (rows[l] - above[l]);
                out.0[l] = (self.u[i].0[l] + self.t * divergence).max(self.floor);
            }
            left = along;
        }
    }
}

/// One step up the gradient of a line, back onto the unit ball where it leaves it.
#[inline(always)]
fn ascend_line(dual: [&mut [Lanes]; 3], here: &[Lanes], below: &[Lanes], rows: &[f32; LANES], step: f32) {
    let [dual_z, dual_y, dual_x] = dual;
    let last = here.len().saturating_sub(1);
    for i in 0..here.len() {
        let (x, right) = (&here[i].0, &here[(i + 1).min(last)].0);
        let mut next = [0.0f32; LANES];
        next[..LANES - 1].copy_from_slice(&x[1..]);
        for l in 0..LANES {
            let z = dual_z[i].0[l] + step * (below[i].0[l] - x[l]);
            let y = (dual_y[i].0[l] + step * (next[l] - x[l])) * rows[l];
            let h = dual_x[i].0[l] + step * (right[l] - x[l]);
            let shorten = 1.0 / (z * z + y * y + h * h).max(1.0).sqrt();
            dual_z[i].0[l] = z * shorten;
            dual_y[i].0[l] = y * shorten;
            dual_x[i].0[l] = h * shorten;
        }
    }
}

/// `at = x + beta (x - last)`.
fn extrapolate(at: &mut LanePlane, x: &LanePlane, last: &LanePlane, beta: f32) {
    at.par_lines_mut().enumerate().for_each(|(z, line)| {
        for ((group, x), last) in line.iter_mut().zip(x.line(z)).zip(last.line(z)) {
            for ((value, x), last) in group.0.iter_mut().zip(x.0).zip(last.0) {
                *value = x + beta * (x - last);
            }
        }
    });
}

/// Fills `volume`, shape (depth, rows, columns), with values times `per_voxel` after `sweeps` sweeps.
///
/// Returns the noise in the data.
pub(super) fn tv(
    progress: &Progress,
    input: &Input<'_>,
    params: &ReconstructParams,
    domain: &Domain,
    sweeps: u32,
    per_voxel: f32,
    mut volume: ArrayViewMut3<'_, f32>,
) -> Result<f64, ReconError> {
    let wanted = input.rows.clone();
    let slabs = slabs(&wanted);
    progress.phase("Total variation", slabs.len() as u64 * u64::from(sweeps));
    let subsets = subsets(progress, input, domain, params.subsets(), 1.0)?;
    let (spread, sigma) = gradient_noise(progress, input, domain, &subsets)?;
    // The views that see a voxel are the curvature of the data term.
    let t = params.strength * UNIT_STRENGTH * spread / input.n_views() as f64;
    let mut measured: Vec<LanePlane> = subsets.iter().map(|s| s.projector.new_sinogram()).collect();
    let mut residuals = measured.clone();
    let plane = || LanePlane::section(domain.deep, domain.wide);
    let (mut at, mut x, mut last) = (plane(), plane(), plane());
    let mut denoiser = Denoiser {
        arch: Arch::new(),
        domain,
        dual: [plane(), plane(), plane()],
        rows: [0.0; LANES],
        t: (t as f32).max(f32::MIN_POSITIVE * 1e6),
        floor: params.floor(per_voxel),
    };
    for slab in slabs {
        let first = (slab * CORE) as isize - HALO as isize;
        let rows: [Option<usize>; LANES] = std::array::from_fn(|lane| {
            usize::try_from(first + lane as isize).ok().filter(|row| *row < input.n_rows())
        });
        let there = |lane: usize| rows.get(lane).is_some_and(Option::is_some);
        denoiser.rows = std::array::from_fn(|lane| f32::from(u8::from(there(lane) && there(lane + 1))));
        read(progress, input, &rows, &subsets, &mut measured)?;
        denoiser.dual.iter_mut().chain([&mut at, &mut last]).for_each(LanePlane::clear);
        let mut momentum = 1.0f32;
        for _ in 0..sweeps {
            for ((subset, measured), residual) in subsets.iter().zip(&measured).zip(&mut residuals) {
                subset.step(progress, measured, residual, &mut at, f32::NEG_INFINITY)?;
                denoiser.apply(&at, &mut x);
                let next = f32::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt());
                extrapolate(&mut at, &x, &last, (momentum - 1.0) / next);
                momentum = next;
                std::mem::swap(&mut x, &mut last);
            }
            progress.advance(1);
        }
        let done = (slab * CORE).max(wanted.start)..((slab + 1) * CORE).min(wanted.end);
        let lane = (done.start + HALO) - slab * CORE;
        let place = Slice::from(done.start - wanted.start..done.end - wanted.start);
        domain.write(&last, lane, per_voxel, volume.slice_axis_mut(Axis(1), place));
    }
    Ok(sigma)
}
