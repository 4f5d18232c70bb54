//! A box out of a volume, by its sides in voxels or µm or around what a mask labels.

use ndarray::{ArrayView3, s};
use serde::{Deserialize, Serialize};

use super::{AXES, Placement, RegridError};
use crate::volume::Labels;
use crate::volume::labels::Brick;

/// What the sides of a box are given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxUnit {
    /// Voxels counted from 0, the end not included.
    #[default]
    Voxels,
    /// µm of the world: voxels whose centres lie between.
    Um,
}

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CropParams {
    /// Side along z as `start:end`, either may be left out.
    pub z: String,
    /// Side along y.
    pub y: String,
    /// Side along x.
    pub x: String,
    /// What the sides are given in.
    pub sides_in: BoxUnit,
    /// Class of the mask that the box encloses; all that is labelled where absent.
    pub class: Option<u16>,
    /// Voxels that the box is wider than the mask on every side.
    pub margin: u32,
    /// The same in µm, in place of voxels.
    pub margin_um: Option<f64>,
}

/// A box of voxels, `lo` within and `hi` beyond, as z, y, x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoxelBox {
    /// First voxel.
    pub lo: [usize; 3],
    /// One beyond the last.
    pub hi: [usize; 3],
}

impl VoxelBox {
    /// Shape as z, y, x.
    pub fn shape(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.hi[axis] - self.lo[axis])
    }

    /// Voxels within.
    pub fn n_voxels(&self) -> u64 {
        self.shape().iter().map(|n| *n as u64).product()
    }

    /// The part of an array that lies in the box.
    pub fn of<'a, T>(&self, array: &'a ArrayView3<'_, T>) -> ArrayView3<'a, T> {
        let ([z0, y0, x0], [z1, y1, x1]) = (self.lo, self.hi);
        array.slice(s![z0..z1, y0..y1, x0..x1])
    }

    /// Where the voxels of the box lie.
    pub fn placed(&self, of: Placement) -> Placement {
        of.from_voxel(self.lo.map(|n| n as f64))
    }

    fn grow(&mut self, zyx: [usize; 3]) {
        for axis in 0..3 {
            self.lo[axis] = self.lo[axis].min(zyx[axis]);
            self.hi[axis] = self.hi[axis].max(zyx[axis] + 1);
        }
    }
}

impl std::fmt::Display for VoxelBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = |axis: usize| format!("{} {}:{}", AXES[axis], self.lo[axis], self.hi[axis]);
        write!(f, "{}, {}, {}", side(0), side(1), side(2))
    }
}

/// The smallest box that holds all voxels of the ids that are wanted; `None` where there are none.
pub fn bounds(labels: &Labels, is_wanted: impl Fn(u16) -> bool) -> Option<VoxelBox> {
    let shape = labels.shape();
    let mut found = VoxelBox { lo: shape, hi: [0; 3] };
    for index in 0..labels.n_bricks() {
        let lo = labels.brick_origin(index);
        match labels.brick(index) {
            Brick::Uniform(id) if is_wanted(*id) => {
                found.grow(lo);
                found.grow(std::array::from_fn(|a| (lo[a] + crate::volume::labels::BRICK).min(shape[a]) - 1));
            }
            Brick::Uniform(_) => {}
            Brick::Dense(_) => labels.for_each_in_brick(index, |zyx, id| {
                if is_wanted(id) {
                    found.grow(zyx);
                }
            }),
        }
    }
    (0..3).all(|axis| found.lo[axis] < found.hi[axis]).then_some(found)
}

/// The box that the parameters name on a grid: each side as it was given, else that of `mask` with the margin, else whole.
///
/// # Errors
/// One sentence with the numbers where a side cannot be read, is empty or lies outside.
pub fn find_box(
    shape: [usize; 3],
    place: Placement,
    mask: Option<VoxelBox>,
    params: &CropParams,
) -> Result<VoxelBox, RegridError> {
    let mut found = VoxelBox { lo: [0; 3], hi: shape };
    let voxel = place.voxel_or_one();
    for (axis, text) in [&params.z, &params.y, &params.x].into_iter().enumerate() {
        let side = match (text.trim(), mask) {
            ("", None) => (0, shape[axis]),
            ("", Some(mask)) => {
                let voxels = params.margin_um.map(|um| (um / voxel[axis]).round() as usize);
                let margin = voxels.unwrap_or(params.margin as usize);
                (mask.lo[axis].saturating_sub(margin), (mask.hi[axis] + margin).min(shape[axis]))
            }
            (text, _) if params.sides_in == BoxUnit::Voxels => in_voxels(text, axis, shape[axis])?,
            (text, _) => in_um(text, axis, shape[axis], place)?,
        };
        (found.lo[axis], found.hi[axis]) = side;
    }
    Ok(found)
}

/// Start and end of a text, either `None` where left out.
fn ends<T: std::str::FromStr>(text: &str, axis: usize) -> Result<(Option<T>, Option<T>), RegridError> {
    let wrong =
        || RegridError::Wrong(format!("the box along {} is {text:?}, it must be start:end", AXES[axis]));
    let end = |text: &str| match text.trim() {
        "" => Ok(None),
        number => number.parse().map(Some).map_err(|_e| wrong()),
    };
    let (start, stop) = text.split_once(':').ok_or_else(wrong)?;
    Ok((end(start)?, end(stop)?))
}

fn in_voxels(text: &str, axis: usize, n: usize) -> Result<(usize, usize), RegridError> {
    let (start, end) = ends::<i64>(text, axis)?;
    let (start, end) = (start.unwrap_or(0), end.unwrap_or(n as i64));
    let name = AXES[axis];
    if start >= end {
        let problem = format!("the box along {name} is {start}:{end}, which is empty: it goes from 0 to {n}");
        return Err(RegridError::Wrong(problem));
    }
    if start < 0 || end > n as i64 {
        return Err(RegridError::Wrong(format!(
            "the box along {name} is {start}:{end}, but there are {n} voxels: it goes from 0 to {n}"
        )));
    }
    Ok((start as usize, end as usize))
}

/// Voxels whose centres lie from start to end, both included; a box that reaches beyond the faces is cut there.
fn in_um(text: &str, axis: usize, n: usize, place: Placement) -> Result<(usize, usize), RegridError> {
    if place.voxel_um.is_none() {
        let problem = "the voxel size is unknown, so a box in µm is nowhere: give it in voxels, or set the voxel size first (rescale)";
        return Err(RegridError::Wrong(problem.to_owned()));
    }
    let (origin, voxel) = (place.origin_um[axis], place.voxel_or_one()[axis]);
    let (start, end) = ends::<f64>(text, axis)?;
    let (start, end) = (start.unwrap_or(f64::NEG_INFINITY), end.unwrap_or(f64::INFINITY));
    // Numbers as they are printed name a centre.
    let lo = ((start - origin) / voxel - 1e-6).ceil().clamp(0.0, n as f64);
    let hi = ((end - origin) / voxel + 1e-6).floor() + 1.0;
    let hi = hi.clamp(0.0, n as f64);
    if lo < hi {
        return Ok((lo as usize, hi as usize));
    }
    Err(RegridError::Wrong(format!(
        "the box along {} from {start} to {end} µm holds no voxel: their centres lie from {:.4} to {:.4} µm",
        AXES[axis],
        origin,
        origin + (n.max(1) - 1) as f64 * voxel
    )))
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use proptest::prelude::*;

    use super::*;

    const PLACE: Placement =
        Placement { voxel_um: Some([0.03, 0.02, 0.01]), ratios: None, origin_um: [1.0, -2.0, 0.5] };

    fn sides(z: &str, y: &str, x: &str, sides_in: BoxUnit) -> CropParams {
        CropParams { z: z.to_owned(), y: y.to_owned(), x: x.to_owned(), sides_in, ..CropParams::default() }
    }

    #[test]
    fn boxes_in_voxels_and_in_um_are_the_same_places() {
        let voxels = sides("2:5", "1:", ":7", BoxUnit::Voxels);
        let found = find_box([8, 9, 10], PLACE, None, &voxels).unwrap();
        assert_eq!((found.lo, found.hi), ([2, 1, 0], [5, 9, 7]));
        // Centres from 1.06 to 1.12 µm along z are those of voxels 2 to 4; names of centres count as within.
        let um = sides("1.06:1.12", "-1.98:", ":0.56", BoxUnit::Um);
        assert_eq!(find_box([8, 9, 10], PLACE, None, &um).unwrap(), found);
        assert_eq!(found.placed(PLACE).origin_um, [1.06, -1.98, 0.5]);
    }

    #[test]
    fn a_box_that_is_empty_or_outside_is_refused_with_the_numbers() {
        let said = |params: &CropParams| find_box([8, 9, 10], PLACE, None, params).unwrap_err().to_string();
        for (z, parts) in [
            ("5:5", &["5:5", "empty", "8"][..]),
            ("6:2", &["6:2", "empty"]),
            ("2:9", &["2:9", "8 voxels"]),
            ("-1:4", &["-1:4", "8 voxels"]),
            ("4", &["\"4\"", "start:end"]),
            ("a:4", &["a:4", "start:end"]),
        ] {
            let text = said(&sides(z, "", "", BoxUnit::Voxels));
            assert!(parts.iter().all(|part| text.contains(part)), "{z}: {text}");
        }
        let text = said(&sides("3:4", "", "", BoxUnit::Um));
        assert!(text.contains("from 3 to 4 µm") && text.contains("1.0000 to 1.2100"), "{text}");
        let unknown = Placement { voxel_um: None, ..PLACE };
        let um = find_box([8, 9, 10], unknown, None, &sides("", "0:1", "", BoxUnit::Um));
        assert!(um.unwrap_err().to_string().contains("voxel size is unknown"));
    }

    #[test]
    fn a_mask_gives_the_box_with_its_margin_cut_at_the_faces() {
        let mask = Some(VoxelBox { lo: [1, 4, 5], hi: [3, 6, 7] });
        let with = |margin, margin_um| {
            let params = CropParams { margin, margin_um, ..CropParams::default() };
            let found = find_box([8, 9, 10], PLACE, mask, &params).unwrap();
            (found.lo, found.hi)
        };
        assert_eq!(with(2, None), ([0, 2, 3], [5, 8, 9]));
        assert_eq!(with(0, Some(0.03)), ([0, 2, 2], [4, 8, 10]), "0.03 µm are 1, 1.5 (to 2) and 3 voxels");
    }

    proptest! {
        #[test]
        fn bounds_hold_every_wanted_voxel_and_no_more(
            shape in [1usize..70, 1usize..40, 1usize..70],
            points in prop::collection::vec([0usize..70, 0usize..40, 0usize..70], 1..5),
        ) {
            let mut dense = Array3::<u16>::zeros(shape);
            for [z, y, x] in points {
                dense[[z % shape[0], y % shape[1], x % shape[2]]] = 7;
            }
            let found = bounds(&Labels::from_dense(&dense), |id| id == 7).unwrap();
            let mut expected = VoxelBox { lo: shape, hi: [0; 3] };
            for ((z, y, x), _) in dense.indexed_iter().filter(|(_, id)| **id == 7) {
                expected.grow([z, y, x]);
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(bounds(&Labels::from_dense(&dense), |id| id == 3), None);
        }
    }
}
