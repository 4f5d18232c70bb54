//! Edges of a voxel, place and orientation.

use super::header::{Axes, Said};
use crate::io::format::Header;
use crate::io::lengths::um_per;

/// Spaces whose lengths are mm unless the file says otherwise.
const ANATOMICAL: [&str; 8] = [
    "right-anterior-superior",
    "ras",
    "left-anterior-superior",
    "las",
    "left-posterior-superior",
    "lps",
    "scanner-xyz",
    "3d-right-handed",
];
/// How far two directions may be from a right angle.
const RIGHT_ANGLE: f64 = 1e-3;

/// Fills in what the header says of a voxel's edges and of its place.
pub(super) fn place(said: &Said, axes: &Axes, header: &mut Header) {
    header.warnings.extend(axes.said.clone());
    let directions = said.vectors("spacedirections");
    let along = |axis: Option<usize>| directions.get(axis?)?.clone();
    let vectors: Vec<Option<Vec<f64>>> = axes.space.iter().map(|axis| along(*axis)).collect();
    let is_directed = vectors.iter().any(Option::is_some);
    let spacings = said.numbers("spacings");
    let edge = |at: usize| {
        let edge = match &vectors[at] {
            Some(vector) => norm(vector),
            None => spacings.get(axes.space[at]?).copied()?,
        };
        Some(edge.abs()).filter(|edge| edge.is_finite() && *edge > 0.0)
    };
    let edges = [edge(0), edge(1), edge(2)];
    // A picture has no edge along z: as long as the others.
    let missing = || edges[2].or(edges[1]);
    let Some(edges) =
        edges[2].and(edges[1].or(edges[2])).map(|_| edges.map(|edge| edge.or_else(missing).unwrap_or(1.0)))
    else {
        return;
    };
    let Some(um) = um_per_unit(said, is_directed, axes, header) else {
        let shortest = edges.iter().copied().fold(f64::INFINITY, f64::min);
        header.ratios = Some(edges.map(|edge| edge / shortest));
        return;
    };
    header.voxel_um = Some([edges[0] * um[0], edges[1] * um[1], edges[2] * um[2]]);
    let mut origin = said.vectors("spaceorigin").into_iter().next().flatten().unwrap_or_default();
    if is_directed {
        let turned = said_of_turns(&vectors);
        header.warnings.extend(turned);
        if !origin.is_empty() {
            header.origin_um = std::array::from_fn(|at| {
                let vector = vectors[at].clone().unwrap_or_default();
                let unit = norm(&vector).max(f64::MIN_POSITIVE);
                um[at] * dot(&vector, &origin) / unit
            });
        }
        return;
    }
    // Without directions the least value of each axis may stand in a field of its own.
    let centers = said.words("centers").into_iter().chain(said.words("centerings")).collect::<Vec<_>>();
    if origin.is_empty() {
        origin = said.numbers("axismins");
    }
    header.origin_um = std::array::from_fn(|at| {
        let Some(axis) = axes.space[at] else { return 0.0 };
        let is_cell = centers.get(axis).is_some_and(|center| center.eq_ignore_ascii_case("cell"));
        let least = origin.get(axis).copied().filter(|v| v.is_finite()).unwrap_or(0.0);
        um[at] * (least + if is_cell { edges[at] / 2.0 } else { 0.0 })
    });
}

/// µm in the unit of each axis (z, y, x); `None` where the file gives none.
fn um_per_unit(said: &Said, is_directed: bool, axes: &Axes, header: &mut Header) -> Option<[f64; 3]> {
    let of_space = said.words("spaceunits");
    if is_directed && !of_space.is_empty() {
        // Those of the space, x first.
        let um = |at: usize| of_space.get(2 - at).or(of_space.first()).and_then(|unit| um_per(unit));
        if let (Some(z), Some(y), Some(x)) = (um(0), um(1), um(2)) {
            return Some([z, y, x]);
        }
    }
    let of_axes = said.words("units");
    let um = |at: usize| of_axes.get(axes.space[at].or(axes.space[2])?).and_then(|unit| um_per(unit));
    if let (Some(z), Some(y), Some(x)) = (um(0), um(1), um(2)) {
        return Some([z, y, x]);
    }
    let space = said.field("space")?.to_lowercase();
    let name = space.trim_end_matches("-time");
    if is_directed && ANATOMICAL.contains(&name) {
        header.warnings.push(format!(
            "the file gives no unit of length: mm, as the space {space} has them; give the voxel size in µm if that is wrong"
        ));
        return Some([1e3; 3]);
    }
    None
}

/// What is said of axes that do not run along those of the space.
fn said_of_turns(vectors: &[Option<Vec<f64>>]) -> Option<String> {
    let units: Vec<Vec<f64>> = vectors
        .iter()
        .flatten()
        .map(|v| v.iter().map(|n| n / norm(v).max(f64::MIN_POSITIVE)).collect())
        .collect();
    let is_skew = (0..units.len()).any(|a| (0..a).any(|b| dot(&units[a], &units[b]).abs() > RIGHT_ANGLE));
    if is_skew {
        return Some(
            "the axes of the file are not at right angles to each other: the shear was not applied, the voxels are read as a box".to_owned(),
        );
    }
    // z, y, x are the last axes of the space, last first.
    let is_plain = vectors.iter().enumerate().all(|(at, vector)| {
        vector.as_ref().is_none_or(|v| {
            let own = 2 - at;
            v.get(own).is_some_and(|n| n / norm(v) > 1.0 - RIGHT_ANGLE)
        })
    });
    let names = |v: &Vec<f64>| {
        let numbers: Vec<String> = v.iter().map(|n| format!("{n:.3}")).collect();
        format!("({})", numbers.join(", "))
    };
    (!is_plain).then(|| {
        let xyz: Vec<String> = units.iter().rev().map(names).collect();
        format!(
            "the file turns or mirrors its axes: x, y, z run along {}; the voxels are read in the order of the file, at places along these axes; --axes turns them",
            xyz.join(", ")
        )
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(v: &[f64]) -> f64 {
    dot(v, v).sqrt()
}
