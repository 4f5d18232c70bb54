//! How an image of NIfTI lies: which of its axes is which of the world, edges, origin.

use super::header::Said;
use crate::io::choice::AxisOrder;
use crate::io::format::Header;

/// How far a direction may be from its axis, or from a right angle to another, as a share of its length.
const STRAIGHT: f64 = 1e-3;
/// How far an edge of the matrix may be from the same one among the sizes of voxels.
const SAME: f64 = 1e-6;

/// How columns, rows and planes lie in the world.
struct Lie {
    /// Which axis of the world each runs along, or nearly so.
    axes: [usize; 3],
    /// The way that it goes from voxel to voxel, of length 1.
    along: [[f64; 3]; 3],
    edges: [f64; 3],
    /// The middle of the first voxel.
    first: [f64; 3],
}

/// Fills in edges and origin, along the axes as they are stored; gives the order that these are in.
pub(super) fn place(said: &Said, header: &mut Header) -> AxisOrder {
    let plain = said.edges.map(|edge| if edge.is_finite() && edge != 0.0 { edge.abs() } else { 1.0 });
    let Some(matrix) = said.matrix() else {
        set(said, header, plain, [0.0; 3]);
        return AxisOrder::ZYX;
    };
    let Some(mut lie) = Lie::of(&matrix, plain) else {
        header.warnings.push(
            "the matrix that places the image is no frame: its voxels are read in the order of the file, at no place".to_owned(),
        );
        set(said, header, plain, [0.0; 3]);
        return AxisOrder::ZYX;
    };
    if said.has_two_places() {
        header
            .warnings
            .push("sform and qform of the file place the image differently: sform was taken".to_owned());
    }
    header.warnings.extend(lie.count_as_itk());
    header.warnings.extend(lie.aslant());
    let sides = [header.shape[2], header.shape[1], header.shape[0]];
    // The lowest place along every axis of the image, of what the file has.
    let lowest: [f64; 3] = std::array::from_fn(|axis| {
        let back = if lie.runs_back(axis) { lie.edges[axis] * (sides[axis].max(1) - 1) as f64 } else { 0.0 };
        lie.first_along(axis) - back
    });
    set(said, header, lie.edges, lowest);
    let order = lie.order();
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
            header.voxel_um = Some(stored(edges).map(|edge| tidy(edge * um)));
            header.origin_um = stored(lowest).map(|at| tidy(at * um));
        }
        None => {
            let shortest = edges.iter().copied().fold(f64::INFINITY, f64::min);
            header.ratios = Some(stored(edges).map(|edge| edge / shortest));
        }
    }
}

/// Without the last digits that a product makes up.
fn tidy(value: f64) -> f64 {
    format!("{value:.13e}").parse().unwrap_or(value)
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Lie {
    /// By a matrix; `plain` are the sizes of voxels that the file says beside it. `None` where it spans no space.
    fn of(matrix: &[[f64; 4]; 3], plain: [f64; 3]) -> Option<Self> {
        let column = |n: usize| [matrix[0][n], matrix[1][n], matrix[2][n]];
        let lengths = [0, 1, 2].map(|n| dot(column(n), column(n)).sqrt());
        let is_frame = matrix.iter().flatten().all(|v| v.is_finite())
            && lengths.iter().all(|length| length.is_finite() && *length > 0.0);
        let along = [0, 1, 2].map(|n| column(n).map(|part| part / lengths[n]));
        let axes = is_frame.then(|| nearest(&along)).flatten()?;
        let edges = [0, 1, 2].map(|n| {
            // Single precision turns lengths a little.
            if (lengths[n] - plain[n]).abs() <= SAME * plain[n] { plain[n] } else { lengths[n] }
        });
        Some(Self { axes, along, edges, first: column(3) })
    }

    fn runs_back(&self, column: usize) -> bool {
        self.along[column][self.axes[column]] < 0.0
    }

    fn is_straight(&self) -> bool {
        (0..3).all(|column| {
            (0..3).all(|axis| axis == self.axes[column] || self.along[column][axis].abs() <= STRAIGHT)
        })
    }

    /// Takes what programs built on ITK write of an image that was never turned as it lies; says so.
    fn count_as_itk(&mut self) -> Option<String> {
        let back = [0, 1, 2].map(|column| self.runs_back(column));
        if self.axes != [0, 1, 2] || back != [true, true, false] {
            return None;
        }
        // In the world of those programs x and y run the other way.
        for vector in self.along.iter_mut().chain([&mut self.first]) {
            (vector[0], vector[1]) = (0.0 - vector[0], 0.0 - vector[1]);
        }
        Some(
            "the axes of the file run along -x, -y, +z, as programs built on ITK write an image that was never turned: it is read as it lies, with x and y of the other sign; --axes z-y-x turns its rows and columns".to_owned(),
        )
    }

    /// What is said of axes that do not run along those of the world.
    fn aslant(&self) -> Option<String> {
        if self.is_straight() {
            return None;
        }
        let is_skew = (0..3).any(|a| (0..a).any(|b| dot(self.along[a], self.along[b]).abs() > STRAIGHT));
        let shear = if is_skew { ", their shear left aside" } else { "" };
        let names = self.along.map(|[x, y, z]| format!("({x:.3}, {y:.3}, {z:.3})"));
        Some(format!(
            "the image lies aslant in the world of the file: columns, rows and planes run along {}; its voxels are read as a box, at places along these axes{shear}",
            names.join(", ")
        ))
    }

    /// The place of the first voxel along an axis of the image, forwards.
    fn first_along(&self, column: usize) -> f64 {
        if self.is_straight() {
            return self.first[self.axes[column]];
        }
        let at = dot(self.along[column], self.first);
        if self.runs_back(column) { -at } else { at }
    }

    /// Planes first, as arrays lie: x is axis 2 of the array, z axis 0.
    fn order(&self) -> AxisOrder {
        let is = [2, 1, 0].map(|column| 2 - self.axes[column]);
        AxisOrder::from_axes(is)
            .unwrap_or(AxisOrder::ZYX)
            .running([2, 1, 0].map(|column| self.runs_back(column)))
    }
}

/// Which axis of the world each direction is nearest to, the nearest of all first; `None` where two are one.
fn nearest(along: &[[f64; 3]; 3]) -> Option<[usize; 3]> {
    let mut axes = [None; 3];
    for _ in 0..3 {
        let free = (0..3).filter(|column| axes[*column].is_none());
        let pairs = free.flat_map(|column| (0..3).map(move |axis| (column, axis)));
        let open = pairs.filter(|(_, axis)| !axes.contains(&Some(*axis)));
        let share = |(column, axis): (usize, usize)| along[column][axis].abs();
        let (column, axis) = open.max_by(|a, b| share(*a).total_cmp(&share(*b)))?;
        if share((column, axis)) <= STRAIGHT {
            return None;
        }
        axes[column] = Some(axis);
    }
    Some([axes[0]?, axes[1]?, axes[2]?])
}
