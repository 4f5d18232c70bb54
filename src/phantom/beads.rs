//! Gold beads on the surface of the cell: the fiducials of a grid scan.

use glam::Vec3;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use super::anatomy::Anatomy;
use super::texture::mix;

/// LAC of gold near 520 eV in 1/µm (19.3 g/cm³, tabulated scattering factors).
pub(super) const GOLD_LAC: f32 = 23.3;

/// One bead, in µm from the middle of the field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bead {
    pub(super) center: Vec3,
    pub(super) radius: f32,
}

/// Places up to `count` beads of 100 to 250 nm that touch the plasma membrane, apart from each other.
pub(super) fn place(anatomy: &Anatomy, count: usize, seed: u64) -> Vec<Bead> {
    let mut rng = Pcg64Mcg::seed_from_u64(mix(seed, 0xBEAD));
    let mut beads: Vec<Bead> = Vec::new();
    let mut apart = 0.9;
    for _ in 0..count * 60 {
        if beads.len() == count {
            break;
        }
        let z = rng.random_range(-1.0f32..1.0);
        let angle = rng.random_range(0.0..std::f32::consts::TAU);
        let flat = (1.0 - z * z).max(0.0).sqrt();
        let outward = Vec3::new(flat * angle.cos(), flat * angle.sin(), z);
        let radius = rng.random_range(0.05f32..0.125);
        let part = &anatomy.body[rng.random_range(0..anatomy.body.len())];
        let Some(center) = surface_point(anatomy, part.center, outward, radius) else { continue };
        if beads.iter().all(|bead| bead.center.distance(center) > apart) {
            beads.push(Bead { center, radius });
        } else {
            // Many beads on a small cell: let them come closer, never touch.
            apart = (apart * 0.97).max(0.3);
        }
    }
    beads
}

/// Where a ball of this radius, coming from outside along `outward`, touches the cell.
fn surface_point(anatomy: &Anatomy, from: Vec3, outward: Vec3, radius: f32) -> Option<Vec3> {
    let mut along = 7.0f32;
    while along > 0.0 {
        let p = from + outward * along;
        let gap = anatomy.body_distance(p) - radius;
        if gap < 0.01 {
            return Some(p);
        }
        along -= (gap * 0.5).max(0.005);
    }
    None
}
