//! Arithmetic of volumes: with another on the same grid, or with a number.
//!
//! Voxel by voxel in f64, rounded once to f32. A division by 0 gives NaN, and is counted; NaN in either gives NaN. Outside a
//! mask the values are those of the first volume. Memory: the result.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress, Unit};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calculation {
    /// First plus second.
    Add,
    /// First minus second.
    #[default]
    Subtract,
    /// First times second.
    Multiply,
    /// First over second.
    Divide,
}

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalculateParams {
    /// What is done.
    pub operation: Calculation,
    /// A number in place of a second volume.
    pub constant: Option<f64>,
}

/// The second of the two.
#[derive(Debug, Clone, Copy)]
pub enum Second<'a> {
    /// A number.
    Constant(f64),
    /// A volume on the same grid.
    Volume(ArrayView3<'a, f32>),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Calculated {
    /// The values.
    pub values: Array3<f32>,
    /// How many voxels were divided by 0.
    pub by_zero: u64,
    /// How many finite values have a result beyond what 32 bits hold.
    pub too_large: u64,
}

impl Calculation {
    #[inline(always)]
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide if b == 0.0 => f64::NAN,
            Self::Divide => a / b,
        }
    }

    /// The unit of the result; a number counts as one in the unit of the volume when it is added, and as none when it
    /// multiplies.
    pub fn unit(self, first: Unit, second: Option<Unit>) -> Unit {
        match (self, second) {
            (_, None) => first,
            (Self::Add | Self::Subtract, Some(second)) if first == second => first,
            _ => Unit::Arbitrary,
        }
    }
}

/// Calculates.
///
/// # Errors
/// [`Cancelled`], checked once per plane.
pub fn calculate(
    progress: &Progress,
    first: &ArrayView3<'_, f32>,
    second: Second<'_>,
    mask: Option<&ArrayView3<'_, u16>>,
    operation: Calculation,
) -> Result<Calculated, Cancelled> {
    progress.phase("Calculating", first.dim().0 as u64);
    progress.check()?;
    let mut values = first.to_owned();
    let plane = |(z, mut plane): (usize, ndarray::ArrayViewMut2<'_, f32>)| {
        progress.check()?;
        let (mut by_zero, mut too_large) = (0u64, 0u64);
        for ((y, x), value) in plane.indexed_iter_mut() {
            if mask.is_some_and(|mask| mask[[z, y, x]] == 0) {
                continue;
            }
            let b = match second {
                Second::Constant(number) => number,
                Second::Volume(volume) => f64::from(volume[[z, y, x]]),
            };
            let found = operation.of(f64::from(*value), b) as f32;
            by_zero += u64::from(operation == Calculation::Divide && b == 0.0);
            too_large += u64::from(found.is_infinite() && value.is_finite() && b.is_finite());
            *value = found;
        }
        progress.advance(1);
        Ok((by_zero, too_large))
    };
    let counts: Result<Vec<(u64, u64)>, Cancelled> =
        values.outer_iter_mut().into_par_iter().enumerate().map(plane).collect();
    let (by_zero, too_large) = counts?.into_iter().fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1));
    Ok(Calculated { values, by_zero, too_large })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: [f32; 4]) -> Array3<f32> {
        Array3::from_shape_vec((2, 1, 2), values.into()).unwrap()
    }

    #[test]
    fn each_operation_is_that_of_the_numbers_and_zero_divides_to_nan() {
        let (a, b) = (row([1.0, -2.0, 0.0, 3e38]), row([0.5, 4.0, 0.0, -3e38]));
        let of = |operation| {
            calculate(&Progress::new(), &a.view(), Second::Volume(b.view()), None, operation).unwrap()
        };
        assert_eq!(of(Calculation::Add).values, row([1.5, 2.0, 0.0, 0.0]));
        let found = of(Calculation::Subtract);
        assert_eq!((found.values, found.too_large), (row([0.5, -6.0, 0.0, f32::INFINITY]), 1));
        assert_eq!(of(Calculation::Multiply).too_large, 1);
        let found = of(Calculation::Divide);
        assert_eq!((found.by_zero, found.values[[0, 0, 0]], found.values[[0, 0, 1]]), (1, 2.0, -0.5));
        assert!(found.values[[1, 0, 0]].is_nan());
    }

    #[test]
    fn outside_the_mask_the_first_stays() {
        let mask = Array3::from_shape_vec((2, 1, 2), vec![0u16, 3, 0, 1]).unwrap();
        let a = row([1.0, 2.0, 3.0, 4.0]);
        let second = Second::Constant(0.0);
        let found =
            calculate(&Progress::new(), &a.view(), second, Some(&mask.view()), Calculation::Divide).unwrap();
        assert_eq!((found.by_zero, found.values[[0, 0, 0]], found.values[[1, 0, 0]]), (2, 1.0, 3.0));
        assert!(found.values[[0, 0, 1]].is_nan() && found.values[[1, 0, 1]].is_nan());
    }

    #[test]
    fn units_follow_the_sum_and_are_lost_by_a_ratio() {
        use Calculation::{Add, Divide, Multiply};
        assert_eq!(Add.unit(Unit::PerUm, Some(Unit::PerUm)), Unit::PerUm);
        assert_eq!(Add.unit(Unit::PerUm, Some(Unit::Counts)), Unit::Arbitrary);
        assert_eq!(Divide.unit(Unit::PerUm, Some(Unit::PerUm)), Unit::Arbitrary);
        assert_eq!(Multiply.unit(Unit::PerUm, None), Unit::PerUm);
    }
}
