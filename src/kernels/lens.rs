//! What a zone plate does to a picture: its transfer function in and out of focus.
//!
//! For light that does not interfere the transfer function is the overlap of two pupils, with the phase that defocus puts
//! between them (Hopkins 1955, doi:10.1098/rspa.1955.0158):
//! `H(s) = 4/π ∫₀^(1-s/2) √(1 - (x + s/2)²) cos(2 k W s x) dx`, s = λ f / NA from 0 to 2, W = NA² z / 2 at a distance z
//! from focus. The transform of the point spread function that Lommel gave.

use std::f64::consts::{PI, TAU};

/// Energy times wavelength, in eV µm.
const EV_UM: f64 = 1.239_841_984;
/// Steps of the integral over the overlap.
const STEPS: usize = 400;

/// An objective zone plate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lens {
    /// Numerical aperture.
    pub na: f64,
    /// Wavelength in µm.
    pub wavelength_um: f64,
}

impl Lens {
    /// From the width of the outermost zone and the photon energy: `NA = λ / (2 w)`.
    pub fn new(zone_nm: f64, energy_ev: f64) -> Self {
        let wavelength_um = EV_UM / energy_ev;
        Self { na: wavelength_um / (2.0 * zone_nm * 1e-3), wavelength_um }
    }

    /// Distance of two points that are just told apart, Rayleigh: `0.61 λ / NA`, in µm.
    pub fn resolution_um(&self) -> f64 {
        0.61 * self.wavelength_um / self.na
    }

    /// Depth of field `λ / NA²`, in µm.
    pub fn depth_of_field_um(&self) -> f64 {
        self.wavelength_um / (self.na * self.na)
    }

    /// What is left of a spatial frequency in 1/µm at a distance from focus in µm: 1 at 0, 0 from 2 NA / λ on.
    pub fn transfer(&self, per_um: f64, defocus_um: f64) -> f64 {
        let s = self.wavelength_um * per_um.abs() / self.na;
        if s >= 2.0 {
            return 0.0;
        }
        let phase = TAU / self.wavelength_um * self.na * self.na * defocus_um.abs() / 2.0 * 2.0 * s;
        // x = (1 - s/2) (1 - (1 - t)²) puts steps where the root falls steeply.
        let reach = 1.0 - s / 2.0;
        let sum: f64 = (0..STEPS)
            .map(|i| {
                let t = (i as f64 + 0.5) / STEPS as f64;
                let x = reach * (1.0 - (1.0 - t) * (1.0 - t));
                let slope = reach * 2.0 * (1.0 - t);
                (1.0 - (x + s / 2.0).powi(2)).max(0.0).sqrt() * (phase * x).cos() * slope
            })
            .sum();
        4.0 / PI * sum / STEPS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lens_of_40_nm_zones_at_2_4_nm_is_that_of_the_book() {
        // λ = 2.4 nm, NA = 0.03: 48.8 nm, depth of field 2.67 µm.
        let lens = Lens::new(40.0, EV_UM / 2.4e-3);
        assert!((lens.na - 0.03).abs() < 1e-12);
        assert!((lens.resolution_um() - 0.0488).abs() < 1e-4);
        assert!((lens.depth_of_field_um() - 2.667).abs() < 1e-3);
    }

    #[test]
    fn in_focus_the_transfer_is_the_overlap_of_two_discs_and_defocus_lowers_it() {
        let lens = Lens::new(40.0, 520.0);
        let cutoff = 2.0 * lens.na / lens.wavelength_um;
        for part in [0.0, 0.1, 0.35, 0.6, 0.9, 1.0, 1.3] {
            let p: f64 = part;
            let exact = if p < 1.0 { 2.0 / PI * (p.acos() - p * (1.0 - p * p).sqrt()) } else { 0.0 };
            let found = lens.transfer(part * cutoff, 0.0);
            assert!((found - exact).abs() < 1e-4, "{part}: {found} for {exact}");
        }
        assert!((lens.transfer(0.0, 5.0) - 1.0).abs() < 1e-4, "all of the light arrives");
        let at = |z: f64| lens.transfer(0.3 * cutoff, z);
        assert!(at(1.0) < at(0.0) && at(3.0) < at(1.0) && at(-1.0) == at(1.0));
    }
}
