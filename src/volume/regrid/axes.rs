//! Other axes: permuted and flipped, without a value changed.
//!
//! An order such as `y-zx` says what the axes of the array are, slowest first: y, then z running backwards, then x. Turned,
//! they are z, y, x. An odd number of exchanges and flips together mirrors what is seen; an even number turns it. Sizes of
//! voxels go with their axes. So does the position of the first voxel: along each axis the box of the volume begins where
//! it began before, and a flipped axis is flipped within it.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array3, ArrayView3, Axis};

use super::{AXES, Placement, copied};
use crate::base::{Cancelled, Progress};

/// What the three axes of an array are, slowest first, each perhaps running backwards: `yzx`, `-zyx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxisOrder {
    /// For each axis of the array the axis that it is: 0 is z, 1 is y, 2 is x.
    is: [usize; 3],
    /// Whether it runs backwards.
    backwards: [bool; 3],
}

impl AxisOrder {
    /// The order in which nothing changes.
    pub const ZYX: Self = Self { is: [0, 1, 2], backwards: [false; 3] };

    /// An order from the axis (0 z, 1 y, 2 x) that each axis of the array is; `None` where one is missing.
    pub fn from_axes(is: [usize; 3]) -> Option<Self> {
        let mut sorted = is;
        sorted.sort_unstable();
        (sorted == [0, 1, 2]).then_some(Self { is, backwards: [false; 3] })
    }

    /// The same, of which some axes of the array run backwards.
    #[must_use]
    pub fn running(self, backwards: [bool; 3]) -> Self {
        Self { backwards, ..self }
    }

    /// Where each of z, y, x lies in the array.
    fn places(self) -> [usize; 3] {
        std::array::from_fn(|axis| self.is.iter().position(|is| *is == axis).unwrap_or(axis))
    }

    /// Whether the sample becomes its mirror image.
    pub fn mirrors(self) -> bool {
        let [a, b, c] = self.is;
        let exchanges = usize::from(a > b) + usize::from(a > c) + usize::from(b > c);
        let flips = self.backwards.iter().filter(|backwards| **backwards).count();
        (exchanges + flips) % 2 == 1
    }

    /// Three values given along the axes of the array, as z, y, x.
    pub fn turned<T: Copy>(self, values: [T; 3]) -> [T; 3] {
        self.places().map(|place| values[place])
    }

    /// The array with its axes as z, y, x, forwards.
    ///
    /// # Errors
    /// [`Cancelled`], checked once per plane.
    pub fn turn<T: Copy + Default + Send + Sync>(
        self,
        progress: &Progress,
        array: &ArrayView3<'_, T>,
    ) -> Result<Array3<T>, Cancelled> {
        let mut view = array.view();
        for (axis, _) in self.backwards.into_iter().enumerate().filter(|(_, backwards)| *backwards) {
            view.invert_axis(Axis(axis));
        }
        copied(progress, &view.permuted_axes(self.places()))
    }

    /// Where the voxels lie then.
    pub fn placed(self, of: Placement) -> Placement {
        Placement {
            voxel_um: of.voxel_um.map(|voxel| self.turned(voxel)),
            ratios: of.ratios.map(|ratios| self.turned(ratios)),
            origin_um: self.turned(of.origin_um),
        }
    }
}

impl fmt::Display for AxisOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (is, backwards) in self.is.iter().zip(self.backwards) {
            write!(f, "{}{}", if backwards { "-" } else { "" }, AXES[*is])?;
        }
        Ok(())
    }
}

impl FromStr for AxisOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text} is no order of axes; it takes z, y and x once each, as zyx, yzx or -zyx");
        let (mut is, mut backwards, mut n, mut minus) = ([0; 3], [false; 3], 0, false);
        for letter in text.trim().chars() {
            if letter == '-' && !minus {
                minus = true;
                continue;
            }
            let axis =
                ["zZ", "yY", "xX"].iter().position(|names| names.contains(letter)).ok_or_else(wrong)?;
            *is.get_mut(n).ok_or_else(wrong)? = axis;
            backwards[n] = std::mem::take(&mut minus);
            n += 1;
        }
        let order = Self::from_axes(is).filter(|_| n == 3 && !minus).ok_or_else(wrong)?;
        Ok(order.running(backwards))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_written_as_those_of_files_are() {
        for text in ["zyx", "yzx", "-zyx", "x-y-z"] {
            assert_eq!(text.parse::<AxisOrder>().unwrap().to_string(), text);
        }
        for text in ["", "zy", "zyxz", "zzx", "--zyx", "zyx-", "abc"] {
            assert!(text.parse::<AxisOrder>().is_err(), "{text}");
        }
    }

    #[test]
    fn turning_puts_every_value_where_its_axes_say() {
        let stored = Array3::from_shape_fn((2, 3, 4), |(y, z, x)| (100 * z + 10 * y + x) as u16);
        let order: AxisOrder = "yz-x".parse().unwrap();
        let turned = order.turn(&Progress::new(), &stored.view()).unwrap();
        assert_eq!((turned.dim(), order.turned([2, 3, 4])), ((3, 2, 4), [3, 2, 4]));
        assert!(turned.indexed_iter().all(|((z, y, x), v)| usize::from(*v) == 100 * z + 10 * y + (3 - x)));
    }

    #[test]
    fn what_mirrors_is_what_has_a_determinant_of_minus_one() {
        for (text, mirrors) in [
            ("zyx", false),
            ("yzx", true),
            ("y-zx", false),
            ("-yzx", false),
            ("-zyx", true),
            ("-z-yx", false),
            ("yxz", false),
            ("xyz", true),
            ("-x-y-z", false),
        ] {
            assert_eq!(text.parse::<AxisOrder>().unwrap().mirrors(), mirrors, "{text}");
        }
    }
}
