//! A budding yeast cell: stout mother and bud, one small nucleus with a crescent of nucleolus, one to
//! three pale vacuoles, cortical mitochondria, dark lipid droplets.

use glam::{Mat3, Vec3};

use super::anatomy::{Anatomy, Builder, Chromatin};
use super::shape::Blob;
use super::texture::NoiseTile;

/// Builds the shapes of a yeast; `flat` for a cell that lies on a grid.
pub(super) fn build(seed: u64, flat: bool) -> Anatomy {
    let mut b = Builder::new(seed);
    let squash = if flat { 0.84 } else { 1.0 };
    let axes = b.rotation(flat);
    let length = b.range(2.45, 2.7);
    let width = b.range(2.1, 2.3);
    let mother_radii = Vec3::new(length, width, width * squash * b.range(0.96, 1.04));
    let bud_radius = b.range(1.25, 1.5);
    let bud_radii = Vec3::new(bud_radius * 1.08, bud_radius, bud_radius * squash);
    // The bud grows near a pole of the mother, a little off its axis.
    let tilt = b.range(-0.3, 0.3);
    let along = axes.transpose() * Vec3::new(tilt.cos(), tilt.sin(), 0.0);
    let apart = length + bud_radius * 0.86;
    let middle = along * ((apart + bud_radius - length) * 0.5);
    let wobble = |b: &mut Builder| vec![b.octave(0.035, 2.2), b.octave(0.008, 0.5)];
    let mother = Blob { center: -middle, radii: mother_radii, axes, wobble: wobble(&mut b) };
    let bud = Blob { center: along * apart - middle, radii: bud_radii, axes, wobble: wobble(&mut b) };

    // The nucleus sits between the middle and the bud neck, off the axis.
    let nucleus_radius = b.range(0.92, 1.05);
    let side = b.direction().cross(along).normalize_or(axes.transpose() * Vec3::Y);
    let offset = along * b.range(0.5, 0.9) + side * b.range(0.55, 0.8) * Vec3::new(1.0, 1.0, squash);
    let nucleus_center = mother.center + offset;
    let nucleus = Blob {
        center: nucleus_center,
        radii: Vec3::new(nucleus_radius * 1.06, nucleus_radius, nucleus_radius * 0.96),
        axes: b.rotation(false),
        wobble: vec![b.octave(0.035, 0.9)],
    };
    // The nucleolus is a crescent: a ball that reaches out of the nucleus and is cut off by the envelope.
    let toward = b.direction();
    let nucleolus = Blob {
        center: nucleus_center + toward * nucleus_radius * 0.62,
        radii: Vec3::splat(nucleus_radius) * Vec3::new(0.62, 0.56, 0.56),
        axes: Mat3::IDENTITY,
        wobble: vec![b.octave(0.03, 0.4)],
    };
    let chromatin = Chromatin {
        field: vec![b.octave(0.85, 0.42), b.octave(0.45, 0.2)],
        threshold: 1.5,
        rim: 1.35,
        rim_depth_um: 0.2,
    };
    let mut anatomy = Anatomy {
        tile: NoiseTile::new(seed),
        body: vec![mother, bud],
        nucleus,
        dent: None,
        nucleolus,
        chromatin,
        vacuoles: Vec::new(),
        mitochondria: Vec::new(),
        droplets: Vec::new(),
        reticulum: 0.05,
    };
    place_organelles(&mut b, &mut anatomy);
    anatomy
}

fn place_organelles(b: &mut Builder, anatomy: &mut Anatomy) {
    let vacuoles =
        [(0, b.range(1.0, 1.2)), (0, b.range(0.55, 0.8)), (0, b.range(0.35, 0.5)), (1, b.range(0.4, 0.6))];
    let n_vacuoles = b.count(2, vacuoles.len());
    for (part, radius) in vacuoles.into_iter().take(n_vacuoles) {
        if let Some(mut vacuole) = b.ball_in_cytoplasm(anatomy, part, radius, 0.25) {
            let wobble = b.octave(0.02, 0.9);
            vacuole.radii *= 0.98;
            vacuole.wobble = vec![wobble];
            anatomy.vacuoles.push(vacuole);
        }
    }
    let n_mitochondria = b.count(7, 9);
    for i in 0..n_mitochondria {
        let (radius, length) = (b.range(0.17, 0.23), b.range(1.6, 4.2));
        let part = usize::from(i % 4 == 3);
        if let Some(tube) = b.tube_in_cytoplasm(anatomy, part, radius, length) {
            anatomy.mitochondria.push(tube);
        }
    }
    let n_droplets = b.count(9, 14);
    for i in 0..n_droplets {
        // The first are large enough for any grid.
        let radius = if i < 3 { b.range(0.29, 0.36) } else { b.range(0.15, 0.3) };
        let part = usize::from(i % 4 == 3);
        anatomy.droplets.extend(b.ball_in_cytoplasm(anatomy, part, radius, 0.12));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organelles_lie_in_the_cell_and_apart_from_each_other() {
        for seed in 0..3 {
            let anatomy = build(seed, seed == 2);
            super::super::anatomy::check_apart(&anatomy);
            assert!(anatomy.vacuoles.len() >= 2 && anatomy.droplets.len() >= 5, "seed {seed}");
            assert!(anatomy.mitochondria.len() >= 4, "seed {seed}");
        }
    }
}
