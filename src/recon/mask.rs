//! Where the sample can be: a slab across the beam, or a cylinder along the rotation axis.
//!
//! Given a size, that is taken. Otherwise it is found from sixteen rows over the whole height, whichever rows are wanted. A
//! slab is as thick as its ice alone lets through: the least absorbance of the field, at small tilt, over the tabulated
//! absorption of ice; it lies where the structure is. A cylinder reaches as far as anything absorbs in the views.

use super::cgls::Solver;
use super::domain::Domain;
use super::input::Input;
use super::noise::Pilot;
use super::{Mask, ReconError, ReconstructParams, Weighting};
use crate::base::{Progress, lac};
use crate::kernels::lanes::LANES;
use crate::kernels::projector::SlabProjector;

/// How much thicker than found a slab is made.
const MARGIN: f64 = 1.1;
/// Columns averaged before the least absorbance is looked for.
const BLOCK: usize = 8;
/// Views tilted less than this show the thickness, in degrees.
const FLAT_DEG: f64 = 20.0;
/// Share of the strongest absorption above which there is sample.
const EDGE_SHARE: f64 = 0.1;
/// Conjugate gradient steps after which structure shows where along the beam it lies.
const STEPS: u32 = 6;

/// A region of the section in voxels, from its middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Region {
    /// Between two planes across the beam at 0°.
    Slab {
        /// Its middle along z.
        middle: f64,
        /// How thick it is.
        thickness: f64,
    },
    /// Within this distance from the rotation axis.
    Cylinder {
        /// Distance.
        radius: f64,
    },
}

impl Region {
    /// 1 inside and 0 outside for a section of `depth` × `width`, one line of x per z.
    pub(super) fn draw(self, depth: usize, width: usize) -> Vec<f32> {
        let middle_of = |n: usize| (n as f64 - 1.0) / 2.0;
        let mut mask = Vec::with_capacity(depth * width);
        for z in 0..depth {
            let z = z as f64 - middle_of(depth);
            for x in 0..width {
                let inside = match self {
                    Self::Slab { middle, thickness } => (z - middle).abs() <= thickness / 2.0,
                    Self::Cylinder { radius } => (x as f64 - middle_of(width)).hypot(z) <= radius,
                };
                mask.push(f32::from(u8::from(inside)));
            }
        }
        mask
    }
}

/// The region that `params` asks for in a result of `depth` × `width`.
///
/// # Errors
/// [`ReconError::Mask`] where it cannot be found.
pub(super) fn region(
    progress: &Progress,
    input: &Input<'_>,
    params: &ReconstructParams,
    depth: usize,
    width: usize,
    scale: Scale,
) -> Result<Option<Region>, ReconError> {
    let voxels = params.mask_size.map(|size| size / scale.voxel_um.unwrap_or(1.0));
    let offset = params.mask_offset / scale.voxel_um.unwrap_or(1.0);
    Ok(match (params.mask, voxels) {
        (Mask::None, _) => None,
        (Mask::Slab, Some(thickness)) => Some(Region::Slab { middle: offset, thickness }),
        (Mask::Capillary, Some(radius)) => Some(Region::Cylinder { radius }),
        (Mask::Slab, None) => Some(find_slab(progress, input, params, depth, width, scale)?),
        (Mask::Capillary, None) => Some(find_cylinder(progress, input, params, depth, width)?),
    })
}

/// What a scan says of its scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Edge of a voxel of the result in µm.
    pub(super) voxel_um: Option<f64>,
    /// Photon energy in eV.
    pub(super) energy_ev: Option<f64>,
}

fn find_slab(
    progress: &Progress,
    input: &Input<'_>,
    params: &ReconstructParams,
    depth: usize,
    width: usize,
    scale: Scale,
) -> Result<Region, ReconError> {
    let missing = |what: &str| {
        ReconError::Mask(format!("the thickness of the ice cannot be told without {what}: give it in µm"))
    };
    let voxel_um = scale.voxel_um.ok_or_else(|| missing("the pixel size"))?;
    let energy = scale.energy_ev.ok_or_else(|| missing("the photon energy"))?;
    let ice = lac::Material::Ice.lac_per_um(energy).ok_or_else(|| missing("an energy of 280 to 543 eV"))?;
    let domain = Domain::new(input, params, depth, width, None);
    let projector = SlabProjector::new(&domain.geometry(input));
    let pilot = Pilot::new(progress, input, &projector)?;
    let thickness = least_absorbance(input, &pilot) / ice / voxel_um * MARGIN;
    if !(thickness >= 1.0) {
        return Err(ReconError::Mask(
            "no ice was found that covers the field: give the thickness of the slab".to_owned(),
        ));
    }
    if thickness >= depth as f64 {
        return Ok(Region::Slab { middle: 0.0, thickness });
    }
    let mut solver = Solver::new(progress, &projector, &domain, Weighting::Equal)?;
    solver.measure(&pilot.measured);
    solver.start(progress)?;
    for _ in 0..STEPS {
        solver.step(progress)?;
    }
    let reach = (depth as f64 - thickness) / 2.0;
    let middle = middle_of_structure(&solver, &domain, width).clamp(-reach, reach);
    Ok(Region::Slab { middle, thickness })
}

/// The least absorbance across a slab that the field shows, as seen at 0°: of ice where there is ice alone.
fn least_absorbance(input: &Input<'_>, pilot: &Pilot) -> f64 {
    let flat = |angle: &f64| angle.abs().min((angle.abs() - 180.0).abs());
    let least = input.angles_deg.iter().map(flat).fold(f64::INFINITY, f64::min);
    let views: Vec<usize> =
        (0..input.n_views()).filter(|v| flat(&input.angles_deg[*v]) <= FLAT_DEG.max(least)).collect();
    let n_cols = pilot.measured.line_len();
    let mut blocks = Vec::new();
    for lane in (0..LANES).filter(|lane| pilot.rows[*lane].is_some()) {
        for start in (0..n_cols).step_by(BLOCK) {
            let columns = start..(start + BLOCK).min(n_cols);
            let n = (columns.len() * views.len()) as f64;
            let sum: f64 = views
                .iter()
                .map(|view| {
                    let line = &pilot.measured.line(*view)[columns.clone()];
                    let sum: f64 = line.iter().map(|group| f64::from(group.0[lane])).sum();
                    sum * input.angles_deg[*view].to_radians().cos().abs()
                })
                .sum();
            blocks.push(sum / n.max(1.0));
        }
    }
    blocks.sort_by(f64::total_cmp);
    blocks.get(blocks.len() / 20).copied().unwrap_or(0.0)
}

/// Where along z the structure lies, from the middle of the section.
fn middle_of_structure(solver: &Solver<'_>, domain: &Domain, width: usize) -> f64 {
    let first = (domain.wide - width) / 2 + width / 4;
    let last = usize::midpoint(domain.wide, width) - width / 4;
    let profile: Vec<f64> = (0..domain.deep)
        .map(|z| {
            let line = &solver.section.line(z)[first..last.max(first)];
            let steps = line.windows(3).flat_map(|three| {
                three[2].0.into_iter().zip(three[0].0).map(|(a, b)| f64::from(a - b).powi(2))
            });
            steps.sum()
        })
        .collect();
    let mut sorted = profile.clone();
    sorted.sort_by(f64::total_cmp);
    let level = sorted.get(sorted.len() / 4).copied().unwrap_or(0.0);
    let (mut sum, mut moment) = (0.0, 0.0);
    for (z, value) in profile.iter().enumerate() {
        let above = (value - level).max(0.0);
        sum += above;
        moment += above * (z as f64 - (domain.deep as f64 - 1.0) / 2.0);
    }
    if sum > 0.0 { moment / sum } else { 0.0 }
}

fn find_cylinder(
    progress: &Progress,
    input: &Input<'_>,
    params: &ReconstructParams,
    depth: usize,
    width: usize,
) -> Result<Region, ReconError> {
    let domain = Domain::new(input, params, depth, width, None);
    let geometry = domain.geometry(input);
    let pilot = Pilot::new(progress, input, &SlabProjector::new(&geometry))?;
    let n_cols = pilot.measured.line_len();
    let profiles: Vec<Vec<f64>> = (0..input.n_views())
        .map(|view| {
            pilot.measured.line(view).iter().map(|g| g.0.iter().map(|v| f64::from(*v)).sum()).collect()
        })
        .collect();
    let peak = profiles.iter().flatten().copied().fold(0.0, f64::max);
    let mut reaches: Vec<f64> = profiles
        .iter()
        .zip(&geometry.shift_x_px)
        .map(|(profile, shift)| {
            let from_axis = |u: usize| (u as f64 - (n_cols as f64 - 1.0) / 2.0 - shift).abs();
            let absorbs = |u: &usize| profile[*u] > EDGE_SHARE * peak;
            (0..n_cols).filter(absorbs).map(from_axis).fold(0.0, f64::max)
        })
        .collect();
    reaches.sort_by(f64::total_cmp);
    let radius = reaches.get(reaches.len() * 9 / 10).copied().unwrap_or(0.0) + 2.0;
    if peak <= 0.0 {
        return Err(ReconError::Mask("nothing absorbs: give the radius of the capillary".to_owned()));
    }
    Ok(Region::Cylinder { radius })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_drawn_around_the_middle_of_the_section() {
        let slab = Region::Slab { middle: 1.0, thickness: 3.0 }.draw(7, 2);
        assert_eq!(slab, [0., 0., 0., 0., 0., 0., 1., 1., 1., 1., 1., 1., 0., 0.]);
        let cylinder = Region::Cylinder { radius: 1.0 }.draw(3, 5);
        assert_eq!(cylinder, [0., 0., 1., 0., 0., 0., 1., 1., 1., 0., 0., 0., 1., 0., 0.]);
    }
}
