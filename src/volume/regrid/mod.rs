//! Other grids for the same voxels: a part of them, blocks of them, other axes. What lies at a place in µm stays there.
//!
//! Values are means of the voxels that they are made of; ids are taken, never mixed. Cost: one read and one write of
//! each voxel; memory: the result.

pub mod axes;
pub mod bin;
pub mod crop;

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use super::Volume;
use crate::base::{Cancelled, Progress, Unit};

pub use axes::AxisOrder;
pub use bin::{BinParams, Bins};
pub use crop::{BoxUnit, CropParams, VoxelBox, bounds, find_box};

/// Where voxels lie, whatever they hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Voxel size in µm as z, y, x; `None` where unknown.
    pub voxel_um: Option<[f64; 3]>,
    /// Edges of a voxel as ratios, the shortest 1, where only these are known.
    pub ratios: Option<[f64; 3]>,
    /// World position in µm of voxel (0, 0, 0), as z, y, x; in units of the shortest edge where the size is unknown.
    pub origin_um: [f64; 3],
}

impl Placement {
    /// Where the voxels of a volume lie.
    pub fn of<T>(volume: &Volume<T>) -> Self {
        Self { voxel_um: volume.voxel_um, ratios: volume.ratios, origin_um: volume.origin_um }
    }

    /// Edges of a voxel as z, y, x; where unknown their ratios, or 1.
    pub fn voxel_or_one(&self) -> [f64; 3] {
        self.voxel_um.or(self.ratios).unwrap_or([1.0; 3])
    }

    /// The length that positions are in.
    pub fn length(&self) -> &'static str {
        if self.voxel_um.is_some() { "µm" } else { "voxels" }
    }

    /// World position of a voxel, which may lie between two.
    pub fn world(&self, zyx: [f64; 3]) -> [f64; 3] {
        let voxel = self.voxel_or_one();
        std::array::from_fn(|axis| self.origin_um[axis] + zyx[axis] * voxel[axis])
    }

    /// The same voxels counted from another one.
    #[must_use]
    pub fn from_voxel(self, zyx: [f64; 3]) -> Self {
        Self { origin_um: self.world(zyx), ..self }
    }

    /// A volume of these values that lies here.
    pub fn volume<T: Clone>(self, data: Array3<T>, unit: Unit) -> Volume<T> {
        Volume { ratios: self.ratios, origin_um: self.origin_um, ..Volume::new(data, self.voxel_um, unit) }
    }
}

/// The values of a view in an array of their own, plane by plane.
///
/// # Errors
/// [`Cancelled`], checked once per plane.
pub fn copied<T: Copy + Default + Send + Sync>(
    progress: &Progress,
    view: &ArrayView3<'_, T>,
) -> Result<Array3<T>, Cancelled> {
    progress.phase("Copying", view.dim().0 as u64);
    progress.check()?;
    let mut out = Array3::default(view.raw_dim());
    out.outer_iter_mut().into_par_iter().zip(view.outer_iter()).try_for_each(|(mut plane, from)| {
        progress.check()?;
        plane.assign(&from);
        progress.advance(1);
        Ok(())
    })?;
    Ok(out)
}

/// Why there is no other grid; each a sentence with numbers.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
#[non_exhaustive]
pub enum RegridError {
    #[error("{0}")]
    Wrong(String),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Names of the axes 0, 1, 2.
pub(crate) const AXES: [&str; 3] = ["z", "y", "x"];
