//! What a person would paint on a synthetic cell: strokes for every class, slices of the nucleus, inside and outside of it.
//!
//! Strokes are short lines along x, well inside what they name, spread over the cell by its own voxels: the same labels
//! give the same strokes. One distance transform; memory: 12 bytes a voxel.

use ndarray::Array3;

use super::texture::mix;
use crate::base::{Cancelled, Progress};
use crate::kernels::distance::distance_to;

/// Ids and names of the strokes. They are those of the cell's labels, with chromatin as one class, and what is outside.
pub const STROKE_CLASSES: [(u16, &str); 7] = [
    (1, "cytoplasm"),
    (NUCLEUS, "nucleus"),
    (4, "nucleolus"),
    (5, "mitochondria"),
    (6, "lipid droplets"),
    (7, "vacuoles"),
    (OUTSIDE, "ice"),
];

/// Ids and names of [`Strokes::carving`].
pub const CARVING_CLASSES: [(u16, &str); 2] = [(1, "nucleus"), (2, "not nucleus")];

/// Both kinds of chromatin.
const NUCLEUS: u16 = 2;
/// Ice and vacuum, which strokes cannot call 0.
const OUTSIDE: u16 = 8;
/// Most strokes of a class.
const MOST: usize = 12;
/// Voxels from a border below which nobody paints; the later ones are for what is too small for the first.
const LEAST_DEPTHS: [f32; 3] = [1.5, 1.0, 0.0];

/// Three ways of painting one cell; 0 is unpainted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strokes {
    /// Lines in every class of [`STROKE_CLASSES`].
    pub scribbles: Array3<u16>,
    /// The nucleus, 2, painted whole in every few slices along z.
    pub painted: Array3<u16>,
    /// Lines inside the nucleus, 1, and outside, 2.
    pub carving: Array3<u16>,
}

/// Paints a synthetic cell by its true labels.
///
/// # Errors
/// Cancel.
pub fn strokes(progress: &Progress, labels: &Array3<u16>) -> Result<Strokes, Cancelled> {
    let classes = labels.mapv(|id| match id {
        0 => OUTSIDE,
        2 | 3 => NUCLEUS,
        other => other,
    });
    let scribbles = scribbled(progress, &classes)?;
    let carving = scribbles.mapv(|id| match id {
        0 => 0,
        NUCLEUS | 4 => 1,
        _ => 2,
    });
    let every = (labels.dim().0 / 16).max(2);
    let mut painted = classes;
    painted.indexed_iter_mut().for_each(|((z, ..), id)| {
        let is_painted = matches!(*id, NUCLEUS | 4) && z.is_multiple_of(every);
        *id = if is_painted { NUCLEUS } else { 0 };
    });
    Ok(Strokes { scribbles, painted, carving })
}

/// Lines in every class.
fn scribbled(progress: &Progress, classes: &Array3<u16>) -> Result<Array3<u16>, Cancelled> {
    let depth = depths(progress, classes)?;
    let n = classes.dim().2;
    let apart = (n as f32 / 10.0).max(3.0);
    let mut lines = Array3::zeros(classes.dim());
    for (id, _) in STROKE_CLASSES {
        progress.check()?;
        let mut chosen: Vec<[usize; 3]> = Vec::new();
        let of = |least: f32| (candidates(classes, &depth, id, least), least);
        let found = LEAST_DEPTHS.into_iter().map(of).find(|(found, _)| !found.is_empty());
        let (starts, least) = found.unwrap_or_default();
        for at in starts {
            let is_far = |other: &[usize; 3]| {
                let square: f32 = at.iter().zip(other).map(|(a, b)| (*a as f32 - *b as f32).powi(2)).sum();
                square > apart * apart
            };
            if chosen.len() < MOST && chosen.iter().all(is_far) {
                line(&mut lines, classes, &depth, at, least);
                chosen.push(at);
            }
        }
    }
    Ok(lines)
}

/// Distance of every voxel from the next border between classes, in voxels.
fn depths(progress: &Progress, classes: &Array3<u16>) -> Result<Array3<f32>, Cancelled> {
    let (nz, ny, nx) = classes.dim();
    let mut borders = Array3::from_elem(classes.dim(), false);
    for ((z, y, x), id) in classes.indexed_iter() {
        let next = [(z + 1, y, x), (z, y + 1, x), (z, y, x + 1)];
        for at in next.into_iter().filter(|(z, y, x)| *z < nz && *y < ny && *x < nx) {
            if classes[at] != *id {
                borders[at] = true;
                borders[[z, y, x]] = true;
            }
        }
    }
    distance_to(progress, &borders.view(), |is_border| is_border, [1.0; 3])
}

/// Voxels of a class that a line may begin at, the deepest first, those of like depth in an order of chance.
fn candidates(classes: &Array3<u16>, depth: &Array3<f32>, id: u16, least: f32) -> Vec<[usize; 3]> {
    let (nz, _, nx) = classes.dim();
    let deep_enough = nx as f32 / 24.0;
    let every = (nz / 48).max(1);
    let mut found: Vec<(u32, u64, [usize; 3])> = Vec::new();
    for (z, plane) in classes.outer_iter().enumerate().step_by(every) {
        for ((y, x), _) in plane.indexed_iter().filter(|(_, class)| **class == id) {
            let depth = depth[[z, y, x]];
            if depth >= least {
                let index = ((z * nx + y) * nx + x) as u64;
                found.push(((depth.min(deep_enough) * 2.0) as u32, mix(index, u64::from(id)), [z, y, x]));
            }
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.into_iter().map(|(.., at)| at).collect()
}

/// A line along x through a voxel, as far as it stays well inside its class.
fn line(
    lines: &mut Array3<u16>,
    classes: &Array3<u16>,
    depth: &Array3<f32>,
    [z, y, x]: [usize; 3],
    least: f32,
) {
    let id = classes[[z, y, x]];
    let reach = (classes.dim().2 / 16).max(2);
    let is_inside = |x: &usize| classes[[z, y, *x]] == id && depth[[z, y, *x]] >= least;
    let right = (x..(x + reach).min(classes.dim().2)).take_while(is_inside);
    let left = (x.saturating_sub(reach)..x).rev().take_while(is_inside);
    for x in right.chain(left) {
        lines[[z, y, x]] = id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::{CellKind, CellParams, build_cell};

    #[test]
    fn strokes_name_what_they_lie_in_and_leave_most_unpainted() {
        for kind in [CellKind::Yeast, CellKind::Lymphocyte] {
            let params = CellParams { kind, size: 64, seed: 3, ..CellParams::default() };
            let cell = build_cell(&Progress::new(), &params).unwrap();
            let found = strokes(&Progress::new(), &cell.labels.data).unwrap();
            let mut seen = Vec::new();
            for (at, id) in found.scribbles.indexed_iter().filter(|(_, id)| **id != 0) {
                let truth = cell.labels.data[at];
                assert!(*id == truth || (*id, truth) == (2, 3) || (*id, truth) == (8, 0), "{id} on {truth}");
                if !seen.contains(id) {
                    seen.push(*id);
                }
            }
            assert!(seen.len() >= 4 && seen.contains(&2) && seen.contains(&8), "{kind:?}: {seen:?}");
            let n_painted = found.scribbles.iter().filter(|id| **id != 0).count();
            assert!(n_painted < found.scribbles.len() / 100, "{n_painted}");
            assert!(found.carving.iter().any(|id| *id == 1) && found.carving.iter().any(|id| *id == 2));
            let slices = found.painted.outer_iter().filter(|slice| slice.iter().any(|id| *id != 0)).count();
            assert!((3..32).contains(&slices), "{slices} slices");
        }
    }
}
