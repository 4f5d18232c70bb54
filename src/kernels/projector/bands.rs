//! The projector pair with depth kept apart: line integrals of what lies in each band along the beam.
//!
//! The rays and weights are those of [`super::SlabProjector`]; each sample of a ray is shared between the two bands next to
//! its distance from a plane across the beam. So what happens to light from each distance can be done to whole
//! images before they are added up, and both directions stay exact transposes.

use pulp::Arch;

use super::super::lanes::{LANES, LanePlane, Lanes, MARGIN};
use super::geometry::{ParallelGeometry, Prepared, View};

/// Distances from a plane across the beam, evenly spaced from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bands {
    /// Where the plane lies along the beam, in voxels from the rotation axis; positive away from the viewer at 0°.
    pub plane: f64,
    /// Voxels from one band to the next.
    pub spacing: f64,
    /// How many there are; what is farther away belongs to the last.
    pub n: usize,
}

impl Bands {
    /// The nearer band and the share of the farther.
    #[inline(always)]
    fn of(&self, depth: f64) -> (usize, f32) {
        if self.n < 2 {
            return (0, 0.0);
        }
        let at = ((depth - self.plane).abs() / self.spacing).min((self.n - 1) as f64);
        let nearer = (at as usize).min(self.n - 2);
        (nearer, (at - nearer as f64) as f32)
    }
}

/// Both directions for one view and a slab of sixteen rows.
#[derive(Debug, Clone)]
pub struct BandProjector {
    geometry: Prepared,
    bands: Bands,
    arch: Arch,
}

#[inline(always)]
fn add(out: &mut Lanes, weight: f32, from: &Lanes) {
    for lane in 0..LANES {
        out.0[lane] += weight * from.0[lane];
    }
}

impl BandProjector {
    /// Prepares a geometry.
    pub fn new(geometry: &ParallelGeometry, bands: Bands) -> Self {
        // A band needs a second beside it to be shared with.
        let bands = Bands { n: bands.n.max(1), ..bands };
        Self { geometry: geometry.prepare(), bands, arch: Arch::new() }
    }

    /// Groups of the images of one view: bands, then columns.
    pub fn len(&self) -> usize {
        self.bands.n * self.geometry.n_cols
    }

    /// Whether there is nothing to project to.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the sample of ray `u` at a crossing with a line lies along the beam.
    #[inline(always)]
    fn depth(&self, view: &View, step: usize, crossing: f64) -> f64 {
        let (z, x) = if view.along_z { (step as f64, crossing) } else { (crossing, step as f64) };
        (x - self.geometry.centre_x) * view.sin + (z - self.geometry.centre_z) * view.cos
    }

    /// Projects a section along one view into images of every band, [`BandProjector::len`] groups, overwritten.
    pub fn project(&self, view: usize, section: &LanePlane, images: &mut [Lanes]) {
        self.arch.dispatch(
            #[inline(always)]
            || self.project_view(&self.geometry.views[view], section, images),
        );
    }

    #[inline(always)]
    fn project_view(&self, view: &View, section: &LanePlane, images: &mut [Lanes]) {
        let geometry = &self.geometry;
        let n_cols = geometry.n_cols;
        images.fill(Lanes::ZERO);
        let (steps, n) =
            if view.along_z { (geometry.depth, geometry.width) } else { (geometry.width, geometry.depth) };
        let (along, across) = (section.stride(), 1);
        let (second, line) = if view.along_z { (across, along) } else { (along, across) };
        for step in 0..steps {
            for u in 0..n_cols {
                let crossing = view.crossing(geometry, u, step);
                if !(crossing > -1.0 && crossing < n as f64) {
                    continue;
                }
                let floor = crossing.floor();
                let fraction = (crossing - floor) as f32;
                // One before the first lies in the margin.
                let at = (section.first() + step * line) as isize + floor as isize * second as isize;
                let (a, b) = (&section.groups()[at as usize], &section.groups()[at as usize + second]);
                let (wa, wb) = (view.length * (1.0 - fraction), view.length * fraction);
                let mut value = Lanes::ZERO;
                add(&mut value, wa, a);
                add(&mut value, wb, b);
                let (band, share) = self.bands.of(self.depth(view, step, crossing));
                add(&mut images[band * n_cols + u], 1.0 - share, &value);
                if share > 0.0 {
                    add(&mut images[(band + 1) * n_cols + u], share, &value);
                }
            }
        }
    }

    /// Adds the adjoint to line `z` of a section, `line` its groups without margins: images of every band of one view smeared
    /// back along their rays.
    pub fn back_project(&self, view: usize, images: &[Lanes], z: usize, line: &mut [Lanes]) {
        self.arch.dispatch(
            #[inline(always)]
            || self.back_project_line(&self.geometry.views[view], images, z, line),
        );
    }

    #[inline(always)]
    fn back_project_line(&self, view: &View, images: &[Lanes], z: usize, line: &mut [Lanes]) {
        let geometry = &self.geometry;
        let n_cols = geometry.n_cols;
        for (x, out) in line.iter_mut().enumerate() {
            let column = view.column(geometry, z, x);
            let first = column.floor();
            for u in [first, first + 1.0] {
                let off = u - column;
                let weight = view.length - off.abs() as f32 * view.length * view.length;
                if !(weight > 0.0 && u >= 0.0 && u < n_cols as f64) {
                    continue;
                }
                let (step, along) = if view.along_z { (z, x) } else { (x, z) };
                let crossing = along as f64 + off * view.per_column;
                let (band, share) = self.bands.of(self.depth(view, step, crossing));
                let u = u as usize;
                add(out, weight * (1.0 - share), &images[band * n_cols + u]);
                if share > 0.0 {
                    add(out, weight * share, &images[(band + 1) * n_cols + u]);
                }
            }
        }
    }
}

/// The margin must hold the taps beyond the edges.
const _: () = assert!(MARGIN >= 1);

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::super::SlabProjector;
    use super::*;
    use crate::base::Progress;

    fn geometry() -> ParallelGeometry {
        let angles: Vec<f64> = (0..12).map(|i| -85.0 + 15.0 * f64::from(i)).collect();
        let mut geometry = ParallelGeometry::new(&angles, 21);
        (geometry.depth, geometry.width) = (14, 24);
        geometry.shift_x_px = (0..12).map(|i| 0.3 * f64::from(i) - 1.7).collect();
        geometry
    }

    fn packed(mut plane: LanePlane, salt: usize) -> LanePlane {
        let shape = (plane.n_lines(), LANES, plane.line_len());
        let value =
            |(a, b, c): (usize, usize, usize)| ((a * 31 + b * 17 + c * 7 + salt) % 23) as f32 / 23.0 - 0.4;
        plane.pack(Array3::from_shape_fn(shape, value).view(), 0);
        plane
    }

    #[test]
    fn the_sum_of_the_bands_is_the_plain_projection() {
        let geometry = geometry();
        let plain = SlabProjector::new(&geometry);
        let section = packed(plain.new_section(), 3);
        let mut sinogram = plain.new_sinogram();
        plain.project(&Progress::new(), &section, &mut sinogram, |_, _| ()).unwrap();
        let bands = BandProjector::new(&geometry, Bands { plane: 2.3, spacing: 3.1, n: 5 });
        let mut images = vec![Lanes::ZERO; bands.len()];
        for view in 0..geometry.n_views() {
            bands.project(view, &section, &mut images);
            for (u, expected) in sinogram.line(view).iter().enumerate() {
                for lane in [0, 9] {
                    let sum: f32 = (0..5).map(|band| images[band * geometry.n_cols + u].0[lane]).sum();
                    // Positions in single and double precision.
                    assert!((sum - expected.0[lane]).abs() < 2e-4, "{view} {u}: {sum} {}", expected.0[lane]);
                }
            }
        }
    }

    #[test]
    fn both_directions_are_transposes() {
        let geometry = geometry();
        let section = packed(SlabProjector::new(&geometry).new_section(), 5);
        for n in [1, 2, 6] {
            let projector = BandProjector::new(&geometry, Bands { plane: -1.2, spacing: 2.6, n });
            let (mut forward, mut backward, mut sizes) = (0.0f64, 0.0f64, (0.0f64, 0.0f64));
            let product = |a: &[Lanes], b: &[Lanes]| -> f64 {
                a.iter()
                    .zip(b)
                    .flat_map(|(a, b)| a.0.into_iter().zip(b.0))
                    .map(|(a, b)| f64::from(a * b))
                    .sum()
            };
            for view in 0..geometry.n_views() {
                let images: Vec<Lanes> = (0..projector.len())
                    .map(|i| {
                        Lanes(std::array::from_fn(|lane| {
                            ((i * 13 + lane * 5 + view) % 19) as f32 / 19.0 - 0.5
                        }))
                    })
                    .collect();
                let mut projected = vec![Lanes::ZERO; projector.len()];
                projector.project(view, &section, &mut projected);
                forward += product(&projected, &images);
                sizes.0 += product(&projected, &projected);
                sizes.1 += product(&images, &images);
                for z in 0..geometry.depth {
                    let mut line = vec![Lanes::ZERO; geometry.width];
                    projector.back_project(view, &images, z, &mut line);
                    backward += product(&line, section.line(z));
                }
            }
            let off = (forward - backward).abs() / (sizes.0 * sizes.1).sqrt();
            assert!(off < 1e-6, "{n}: {off}");
        }
    }
}
