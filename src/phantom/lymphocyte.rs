//! A lymphocyte: a large round nucleus, dented on one side and full of heterochromatin clumps, in a
//! thin cytoplasm with an uneven, ruffled membrane; mitochondria gather at the dent.

use glam::Vec3;

use super::anatomy::{Anatomy, Builder, Chromatin};
use super::shape::Blob;
use super::texture::NoiseTile;

/// Builds the shapes of a lymphocyte; `flat` for a cell that lies on a grid.
pub(super) fn build(seed: u64, flat: bool) -> Anatomy {
    let mut b = Builder::new(seed ^ 0x1F);
    let squash = if flat { 0.72 } else { 1.0 };
    let radius = b.range(3.55, 3.75);
    let axes = b.rotation(flat);
    let body = Blob {
        center: Vec3::ZERO,
        radii: Vec3::new(
            radius * b.range(1.0, 1.05),
            radius * b.range(0.94, 1.0),
            radius * squash * b.range(0.95, 1.0),
        ),
        axes,
        wobble: vec![b.octave(0.11, 2.6), b.octave(0.05, 0.75), b.octave(0.018, 0.3)],
    };
    // The nucleus fills most of the cell and leaves a crescent of cytoplasm on one side.
    let mut toward = b.direction();
    if flat {
        toward = (toward * Vec3::new(1.0, 1.0, 0.2)).normalize_or(Vec3::X);
    }
    let nucleus_radius = radius * b.range(0.71, 0.75);
    let nucleus = Blob {
        center: -toward * (radius - nucleus_radius - 0.42).max(0.3) * 0.85,
        radii: Vec3::new(nucleus_radius * 1.04, nucleus_radius, nucleus_radius * squash),
        axes,
        wobble: vec![b.octave(0.06, 1.8), b.octave(0.02, 0.5)],
    };
    let dent = Blob {
        center: nucleus.center + toward * (nucleus_radius + b.range(0.3, 0.55)),
        wobble: vec![b.octave(0.05, 1.0)],
        ..Blob::ball(Vec3::ZERO, b.range(0.95, 1.2))
    };
    // The nucleolus lies off the middle, away from the dent.
    let off = (b.direction() - toward * 0.4) * Vec3::new(1.0, 1.0, squash);
    let nucleolus = Blob {
        center: nucleus.center + off.normalize_or(Vec3::Y) * nucleus_radius * squash * 0.38,
        radii: Vec3::new(b.range(0.62, 0.78), b.range(0.5, 0.62), b.range(0.48, 0.6)),
        axes: b.rotation(false),
        wobble: vec![b.octave(0.06, 0.6)],
    };
    let chromatin = Chromatin {
        field: vec![b.octave(0.85, 0.75), b.octave(0.5, 0.34)],
        threshold: 0.75,
        rim: 1.55,
        rim_depth_um: 0.3,
    };
    let mut anatomy = Anatomy {
        tile: NoiseTile::new(seed),
        body: vec![body],
        nucleus,
        dent: Some(dent),
        nucleolus,
        chromatin,
        vacuoles: Vec::new(),
        mitochondria: Vec::new(),
        droplets: Vec::new(),
        reticulum: 0.07,
    };
    place_organelles(&mut b, &mut anatomy);
    anatomy
}

fn place_organelles(b: &mut Builder, anatomy: &mut Anatomy) {
    let n_vacuoles = b.count(5, 8);
    for i in 0..n_vacuoles {
        let radius = if i < 3 { b.range(0.34, 0.44) } else { b.range(0.2, 0.34) };
        anatomy.vacuoles.extend(b.ball_in_cytoplasm(anatomy, 0, radius, 0.16));
    }
    let n_mitochondria = b.count(14, 18);
    for _ in 0..n_mitochondria {
        let (radius, length) = (b.range(0.17, 0.25), b.range(0.9, 3.0));
        anatomy.mitochondria.extend(b.tube_in_cytoplasm(anatomy, 0, radius, length));
    }
    let n_droplets = b.count(7, 11);
    for i in 0..n_droplets {
        let radius = if i < 3 { b.range(0.28, 0.34) } else { b.range(0.14, 0.27) };
        anatomy.droplets.extend(b.ball_in_cytoplasm(anatomy, 0, radius, 0.12));
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
            assert!(anatomy.vacuoles.len() >= 3 && anatomy.droplets.len() >= 4, "seed {seed}");
            assert!(anatomy.mitochondria.len() >= 8, "seed {seed}: {}", anatomy.mitochondria.len());
        }
    }
}
