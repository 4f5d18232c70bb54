//! A dense volume with its calibration.

use ndarray::Array3;

use crate::base::{Unit, WorldFromVoxel};

/// A dense 3-D array in z, y, x order with the size of its voxels and the unit of its values.
///
/// The array is always in standard layout: x runs fastest, no gaps.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume<T> {
    /// Values, shape (z, y, x).
    pub data: Array3<T>,
    /// Voxel size in µm as z, y, x; `None` where the file did not say.
    pub voxel_um: Option<[f64; 3]>,
    /// Edges of a voxel as ratios, z, y, x, the shortest 1, where the file gave them without a unit of length: shapes are
    /// right by them, lengths are in units of the shortest edge.
    pub ratios: Option<[f64; 3]>,
    /// World position in µm of the centre of voxel (0, 0, 0), as z, y, x.
    pub origin_um: [f64; 3],
    /// What the values mean.
    pub unit: Unit,
}

impl<T> Volume<T> {
    /// Wraps an array; brings it into standard layout if it is not.
    pub fn new(data: Array3<T>, voxel_um: Option<[f64; 3]>, unit: Unit) -> Self
    where
        T: Clone,
    {
        let data = if data.is_standard_layout() { data } else { data.as_standard_layout().into_owned() };
        Self { data, voxel_um, ratios: None, origin_um: [0.0; 3], unit }
    }

    /// Shape as z, y, x.
    pub fn shape(&self) -> [usize; 3] {
        let (z, y, x) = self.data.dim();
        [z, y, x]
    }

    /// Number of voxels.
    pub fn n_voxels(&self) -> usize {
        self.data.len()
    }

    /// All values, x fastest.
    pub fn values(&self) -> &[T] {
        self.data.as_slice().unwrap_or(&[])
    }

    /// All values for writing, x fastest.
    pub fn values_mut(&mut self) -> &mut [T] {
        self.data.as_slice_mut().unwrap_or(&mut [])
    }

    /// Voxel size in µm as z, y, x; where unknown the ratios of its edges, or 1 (the world is then in voxels).
    pub fn voxel_um_or_one(&self) -> [f64; 3] {
        self.voxel_um.or(self.ratios).unwrap_or([1.0; 3])
    }

    /// The map from voxel index to world µm (to voxels where the size is unknown).
    pub fn world_from_voxel(&self) -> WorldFromVoxel {
        WorldFromVoxel::from_spacing(self.voxel_um_or_one(), self.origin_um)
    }

    /// The same frame and unit around other values.
    pub fn with_data<U: Clone>(&self, data: Array3<U>, unit: Unit) -> Volume<U> {
        Volume { origin_um: self.origin_um, ratios: self.ratios, ..Volume::new(data, self.voxel_um, unit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_array_is_brought_into_standard_layout() {
        let array = Array3::from_shape_fn((2, 3, 4), |(z, y, x)| (z * 100 + y * 10 + x) as f32);
        let volume = Volume::new(array.reversed_axes(), Some([0.1; 3]), Unit::PerUm);
        assert_eq!(volume.shape(), [4, 3, 2]);
        assert_eq!(volume.values().len(), 24);
        assert_eq!(volume.values()[1], 100.0);
    }
}
