//! How the stored axes of an MRC file lie in space: which is x, y and z, voxel size, origin.

use super::header::Words;
use super::write::OWN_LABEL;
use crate::io::choice::AxisOrder;

/// Å in a µm.
pub(super) const ANGSTROM_PER_UM: f64 = 1e4;
/// Voxel sizes in Å outside of this are said to be odd: no microscope of this field has them.
const BELIEVABLE_ANGSTROM: std::ops::RangeInclusive<f64> = 0.01..=1e8;

/// Where the stored axes lie.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    /// What sections, rows and columns are.
    pub(super) order: AxisOrder,
    /// Voxel size in µm along sections, rows and columns; `None` where unknown.
    pub(super) voxel_um: Option<[f64; 3]>,
    /// Position of the first voxel in µm, along the same axes.
    pub(super) origin_um: [f64; 3],
}

/// Reads the frame. `flip_origin`: the origin has IMOD's sign.
pub(super) fn read(
    words: &Words<'_>,
    shape: [usize; 3],
    flip_origin: bool,
    labels: &[String],
    warnings: &mut Vec<String>,
) -> Frame {
    let (order, axes) = axes_of(words, warnings);
    let spacing = spacing_of(words, shape, axes, warnings);
    // 1 Å a pixel is what programs write that do not know it; a density map (space group set) means it.
    let own = labels.iter().any(|label| label.starts_with(OWN_LABEL));
    let placeholder = spacing == Some([1.0; 3]) && words.i32(88) == 0 && !own;
    if placeholder {
        warnings.push(
            "a voxel size of exactly 1 Å in an image stack means that it was not known; pass the pixel size"
                .to_owned(),
        );
    }
    let Some(spacing) = spacing.filter(|_| !placeholder) else {
        return Frame { order, voxel_um: None, origin_um: [0.0; 3] };
    };
    say_odd(words, spacing, warnings);
    let voxel_um = axes.map(|axis| rounded(spacing[axis] / ANGSTROM_PER_UM));
    let sign = if flip_origin { -1.0 } else { 1.0 };
    let origin = axes.map(|axis| f64::from(words.f32(196 + 4 * axis)));
    let start: [f64; 3] = std::array::from_fn(|i| f64::from(words.i32(16 + 4 * (2 - i))) * spacing[axes[i]]);
    // Maps of the databases leave the origin at 0 and count the position in `nstart`.
    let at = if origin.iter().any(|o| *o != 0.0) { origin.map(|o| sign * o) } else { start };
    let origin_um = if at.iter().all(|a| a.is_finite()) {
        at.map(|at| rounded(at / ANGSTROM_PER_UM) + 0.0)
    } else {
        [0.0; 3]
    };
    Frame { order, voxel_um: Some(voxel_um), origin_um }
}

/// What sections, rows and columns are: as an order, and as the axes 0 x, 1 y, 2 z of the header.
fn axes_of(words: &Words<'_>, warnings: &mut Vec<String>) -> (AxisOrder, [usize; 3]) {
    // Columns, rows, sections in the header; sections first here.
    let map = [72, 68, 64].map(|at| words.i32(at));
    let axes = map.map(|axis| usize::try_from(axis.saturating_sub(1)).unwrap_or(3));
    let order = AxisOrder::from_axes(axes.map(|axis| 2usize.saturating_sub(axis)))
        .filter(|_| axes.iter().all(|axis| *axis < 3));
    match order {
        Some(order) => {
            if order != AxisOrder::ZYX {
                warnings.push(format!(
                    "sections, rows and columns are the axes {order} of the header: the array was turned to zyx"
                ));
            }
            (order, axes)
        }
        None => {
            if map != [0; 3] {
                warnings.push(format!(
                    "the header calls sections, rows and columns the axes {map:?}, which makes no sense: zyx was assumed (--axes changes it)"
                ));
            }
            (AxisOrder::ZYX, [2, 1, 0])
        }
    }
}

/// Voxel size in Å along x, y, z; what the header lacks along one axis is taken from the others.
fn spacing_of(
    words: &Words<'_>,
    shape: [usize; 3],
    axes: [usize; 3],
    warnings: &mut Vec<String>,
) -> Option<[f64; 3]> {
    let mut assumed_intervals = false;
    let mut found: [Option<f64>; 3] = std::array::from_fn(|axis| {
        let cell = f64::from(words.f32(40 + 4 * axis));
        let intervals = words.i32(28 + 4 * axis);
        if !(cell.is_finite() && cell > 0.0) {
            return None;
        }
        if intervals > 0 {
            return Some(rounded(cell / f64::from(intervals)));
        }
        let side = (0..3).find(|i| axes[*i] == axis).map_or(0, |i| shape[i]);
        assumed_intervals = true;
        (side > 0).then(|| rounded(cell / side as f64))
    });
    let known = found;
    for axis in 0..3 {
        // Across the detector before along the beam.
        let others = [[1, 2], [0, 2], [0, 1]][axis];
        found[axis] = known[axis].or_else(|| others.into_iter().find_map(|other| known[other]));
    }
    let [Some(x), Some(y), Some(z)] = found else { return None };
    if assumed_intervals {
        warnings.push(
            "the header counts no intervals (mx, my, mz): the cell was divided by the sides of the array"
                .to_owned(),
        );
    }
    let missing: String = ["x", "y", "z"]
        .into_iter()
        .zip(known)
        .filter(|(_, known)| known.is_none())
        .map(|(name, _)| name)
        .collect();
    if !missing.is_empty() {
        warnings.push(format!(
            "the header has no voxel size along {missing}: that of the other axes was taken, {} µm along z, y, x",
            [z, y, x].map(|s| rounded(s / ANGSTROM_PER_UM).to_string()).join(", ")
        ));
    }
    Some([x, y, z])
}

/// Says what is odd about a cell.
fn say_odd(words: &Words<'_>, spacing: [f64; 3], warnings: &mut Vec<String>) {
    if spacing.iter().any(|s| !BELIEVABLE_ANGSTROM.contains(s)) {
        let um = spacing.map(|s| s / ANGSTROM_PER_UM);
        warnings.push(format!("a voxel size of {um:?} µm (x, y, z) is hardly meant; pass the pixel size"));
    }
    let angles = [52, 56, 60].map(|at| words.f32(at));
    if angles.iter().all(|a| a.is_finite() && *a > 0.0) && angles.iter().any(|a| (a - 90.0).abs() > 0.01) {
        warnings.push(format!("the axes of the cell stand at {angles:?}°, they were taken as perpendicular"));
    }
}

/// Seven significant digits: what an f32 holds, without the noise of its last bits.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}
