//! How an image of NIfTI lies: which of its axes is which of the world, edges, origin.

use super::header::Said;
use crate::io::choice::AxisOrder;
use crate::io::format::Header;

/// How far a direction may be from its axis, as a share of its length.
const STRAIGHT: f64 = 1e-3;

/// Fills in edges and origin, along the axes as they are stored; gives the order that these are in.
pub(super) fn place(said: &Said, header: &mut Header) -> AxisOrder {
    let plain = said.edges.map(|edge| if edge.is_finite() && edge != 0.0 { edge.abs() } else { 1.0 });
    let Some(matrix) = said.matrix().filter(|rows| rows.iter().flatten().all(|v| v.is_finite())) else {
        set(said, header, plain, [0.0; 3]);
        return AxisOrder::ZYX;
    };
    let Some((axes, steps)) = straight(&matrix) else {
        header.warnings.push(
            "the image lies aslant in the world of the file: its voxels are read in the order of the file, its turn is left aside"
                .to_owned(),
        );
        set(said, header, plain, [0.0; 3]);
        return AxisOrder::ZYX;
    };
    let mut steps = steps;
    let mut origin = [matrix[0][3], matrix[1][3], matrix[2][3]];
    let is_itk = axes == [0, 1, 2] && steps[0] < 0.0 && steps[1] < 0.0 && steps[2] > 0.0;
    if is_itk {
        // In the world of those programs x and y run the other way.
        (steps[0], steps[1]) = (-steps[0], -steps[1]);
        (origin[0], origin[1]) = (0.0 - origin[0], 0.0 - origin[1]);
    }
    let sides = [header.shape[2], header.shape[1], header.shape[0] + header.missing_planes];
    // The lowest place along every axis of the image.
    let lowest: [f64; 3] = std::array::from_fn(|axis| {
        let at = origin[axes[axis]];
        if steps[axis] < 0.0 { at + steps[axis] * (sides[axis].max(1) - 1) as f64 } else { at }
    });
    set(said, header, steps.map(f64::abs), lowest);
    // Planes first, as arrays lie: x is axis 2 of the world, z axis 0.
    let is = [2 - axes[2], 2 - axes[1], 2 - axes[0]];
    let backwards = [steps[2] < 0.0, steps[1] < 0.0, steps[0] < 0.0];
    let order = AxisOrder::from_axes(is).unwrap_or(AxisOrder::ZYX).running(backwards);
    if order != AxisOrder::ZYX {
        header.warnings.push(format!(
            "the file says that its axes run {order} (planes, rows, columns): they were turned to zyx, as its world has them"
        ));
    }
    order
}

/// Edges and lowest places along columns, rows and planes, in the unit of the file.
fn set(said: &Said, header: &mut Header, edges: [f64; 3], lowest: [f64; 3]) {
    let stored = |[x, y, z]: [f64; 3]| [z, y, x];
    match said.um {
        Some(um) => {
            header.voxel_um = Some(stored(edges).map(|edge| short(edge * um)));
            header.origin_um = stored(lowest).map(|at| short(at * um));
        }
        None => {
            let shortest = edges.iter().copied().fold(f64::INFINITY, f64::min);
            header.ratios = Some(stored(edges).map(|edge| edge / shortest));
        }
    }
}

/// Without the digits that single precision makes up.
fn short(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

/// Which axis of the world each of columns, rows and planes runs along, and how far a voxel steps; `None` for one that is aslant.
fn straight(matrix: &[[f64; 4]; 3]) -> Option<([usize; 3], [f64; 3])> {
    let (mut axes, mut steps) = ([0; 3], [0.0; 3]);
    for column in 0..3 {
        let along = |axis: usize| matrix[axis][column];
        let axis = (0..3).max_by(|a, b| along(*a).abs().total_cmp(&along(*b).abs()))?;
        let length = along(axis).abs();
        let is_straight =
            length > 0.0 && (0..3).all(|other| other == axis || along(other).abs() <= STRAIGHT * length);
        if !is_straight || axes[..column].contains(&axis) {
            return None;
        }
        (axes[column], steps[column]) = (axis, along(axis));
    }
    Some((axes, steps))
}
