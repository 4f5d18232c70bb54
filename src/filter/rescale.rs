//! Values by a line, and the voxel size that a file said wrongly or not at all.
//!
//! `value = factor · value + offset`, in f64, rounded once to f32. What is NaN stays NaN. A new voxel size leaves the place of
//! the first voxel at the same number of voxels from the origin of the world: its position grows with the voxels.

use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

use crate::base::parallel::for_each_chunk;
use crate::base::{Cancelled, Progress, Unit};
use crate::volume::Placement;

/// Edges of voxels that can be, in µm: a hundredth of a nm to a mm.
pub const EDGES_UM: std::ops::RangeInclusive<f64> = 1e-5..=1e3;

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RescaleParams {
    /// What values are multiplied with.
    pub factor: f64,
    /// What is added then.
    pub offset: f64,
    /// Unit of the values afterwards, as files spell it, or `keep`.
    pub to_unit: String,
    /// Edge of a voxel in µm.
    pub to_voxel_um: Option<f64>,
    /// Edges in µm as `z,y,x` where they differ.
    pub to_voxel_zyx_um: String,
}

impl Default for RescaleParams {
    fn default() -> Self {
        Self {
            factor: 1.0,
            offset: 0.0,
            to_unit: "keep".to_owned(),
            to_voxel_um: None,
            to_voxel_zyx_um: String::new(),
        }
    }
}

/// Why nothing is rescaled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
#[non_exhaustive]
pub enum RescaleError {
    #[error("a factor of {0} is none: it must be a finite number other than 0")]
    Factor(f64),
    #[error("the voxel size is {0:?}, it must be one length or three as z,y,x, of {low} to {high} µm", low = EDGES_UM.start(), high = EDGES_UM.end())]
    Voxel(String),
    #[error("nothing to do: give a factor, an offset, a unit or a voxel size")]
    Nothing,
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl RescaleParams {
    /// Whether values change.
    pub fn changes_values(&self) -> bool {
        self.factor != 1.0 || self.offset != 0.0
    }

    /// The unit that was chosen; `None` for that of before.
    pub fn new_unit(&self) -> Option<Unit> {
        Unit::from_ascii(&self.to_unit)
    }

    /// The voxel size that was chosen, z, y, x in µm.
    ///
    /// # Errors
    /// [`RescaleError`] for a length that cannot be that of a voxel.
    pub fn voxel(&self) -> Result<Option<[f64; 3]>, RescaleError> {
        let text = self.to_voxel_zyx_um.trim();
        let edges = match (text, self.to_voxel_um) {
            ("", None) => return Ok(None),
            ("", Some(edge)) => vec![edge; 3],
            (text, _) => text.split(',').filter_map(|edge| edge.trim().parse().ok()).collect(),
        };
        let said =
            if text.is_empty() { self.to_voxel_um.unwrap_or_default().to_string() } else { text.to_owned() };
        let edges: Result<[f64; 3], _> = edges.try_into();
        let edges = edges.ok().filter(|edges| edges.iter().all(|edge| EDGES_UM.contains(edge)));
        edges.map(Some).ok_or(RescaleError::Voxel(said))
    }

    /// Whether it can be done.
    ///
    /// # Errors
    /// [`RescaleError`].
    pub fn check(&self) -> Result<(), RescaleError> {
        if self.factor == 0.0 || !self.factor.is_finite() || !self.offset.is_finite() {
            return Err(RescaleError::Factor(self.factor));
        }
        if !self.changes_values() && self.new_unit().is_none() && self.voxel()?.is_none() {
            return Err(RescaleError::Nothing);
        }
        self.voxel().map(drop)
    }
}

/// `factor · value + offset` of every value.
///
/// # Errors
/// [`Cancelled`], checked once per plane.
pub fn rescaled(
    progress: &Progress,
    array: &ArrayView3<'_, f32>,
    factor: f64,
    offset: f64,
) -> Result<Array3<f32>, Cancelled> {
    let mut out = array.to_owned();
    let (nz, ny, nx) = out.dim();
    progress.phase("Rescaling", nz as u64);
    progress.check()?;
    for_each_chunk(progress, out.as_slice_mut().unwrap_or(&mut []), ny * nx, |_, plane| {
        for value in plane {
            *value = (factor * f64::from(*value) + offset) as f32;
        }
    })?;
    Ok(out)
}

/// The same voxels with edges of another length, as many of them from the origin as before.
pub fn resized(of: Placement, voxel: [f64; 3]) -> Placement {
    let before = of.voxel_or_one();
    let origin_um = std::array::from_fn(|axis| of.origin_um[axis] * voxel[axis] / before[axis]);
    Placement { voxel_um: Some(voxel), ratios: None, origin_um }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_the_line_and_nan_stays() {
        let array = Array3::from_shape_vec((1, 2, 2), vec![1.0, -2.0, f32::NAN, 3e38]).unwrap();
        let found = rescaled(&Progress::new(), &array.view(), 2.0, 0.5).unwrap();
        assert_eq!(found.as_slice().unwrap()[..2], [2.5, -3.5]);
        assert!(found[[0, 1, 0]].is_nan() && found[[0, 1, 1]].is_infinite());
    }

    #[test]
    fn voxels_that_cannot_be_are_refused_with_the_length() {
        for (voxel_um, text) in
            [(Some(0.0), ""), (Some(1e9), ""), (None, "0.1,0.1"), (None, "1,2,-3"), (None, "a")]
        {
            let params = RescaleParams {
                to_voxel_um: voxel_um,
                to_voxel_zyx_um: text.to_owned(),
                ..RescaleParams::default()
            };
            let said = params.check().unwrap_err().to_string();
            let given = voxel_um.map_or(text.to_owned(), |edge| edge.to_string());
            assert!(said.contains(&given) && said.contains("0.00001 to 1000"), "{said}");
        }
        assert_eq!(RescaleParams::default().check(), Err(RescaleError::Nothing));
        let zero = RescaleParams { factor: 0.0, ..RescaleParams::default() };
        assert_eq!(zero.check(), Err(RescaleError::Factor(0.0)));
    }
}
