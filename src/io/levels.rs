//! Volumes that are opened by their levels instead of being read whole.

use std::path::Path;
use std::sync::Arc;

use ndarray::Array3;
use rayon::prelude::*;

use super::array::cut;
use super::choice::ReadOptions;
use super::error::IoError;
use super::flat_levels::open_flat;
use super::format::Header;
use super::zarr::open_pyramid;
use crate::base::{MemoryBudget, Progress};
use crate::volume::{BlockCache, Pyramid, Volume};

/// Voxels of the level that is worked on unless the user says otherwise: read within half a second, 128 MiB in memory.
const WORKING_VOXELS: u64 = 1 << 25;

/// A file with levels.
#[derive(Debug)]
pub struct Levels {
    /// The levels.
    pub pyramid: Pyramid,
    /// What the file says about the finest level.
    pub header: Header,
    /// Whether the coarse levels are voxels picked from a file without levels, rather than the levels of the file.
    pub is_picked: bool,
}

/// A volume of more bytes is opened by its levels even where it would fit: its first picture is there at once.
const HELD_BYTES: u64 = 2 << 30;

/// Whether a volume is too large to be held and worked on whole unasked: as f32 it would take more than 2 GiB or a
/// quarter of the budget.
pub fn is_beyond(header: &Header, budget: MemoryBudget) -> bool {
    let voxels = header.shape.iter().try_fold(4u64, |bytes, n| bytes.checked_mul(*n as u64));
    voxels.is_none_or(|bytes| bytes > HELD_BYTES.min(budget.bytes / 4))
}

/// Whether a slab of planes, as the format reads them, is a small part of the array and of the memory.
fn is_readable_by_planes(header: &Header, options: &ReadOptions, budget: MemoryBudget) -> bool {
    let [z, y, x] = header.shape;
    let slab = [header.slab, y, x]
        .iter()
        .try_fold(header.dtype.n_bytes() as u64, |n, side| n.checked_mul(*side as u64));
    header.slab * 8 <= z && options.axes.is_none() && slab.is_some_and(|slab| slab <= budget.bytes / 16)
}

/// Opens a file with this header by its levels, to work on `level`, or else on the finest that is held easily.
///
/// A file without levels of its own has those that are picked from it. `None` where an OME-Zarr has only one, and where
/// no part of an array can be read without the rest.
///
/// # Errors
/// [`IoError`] for a missing, foreign or damaged file, and for a level that it lacks.
pub fn open_levels(
    path: &Path,
    options: &ReadOptions,
    header: &Header,
    level: Option<usize>,
    budget: MemoryBudget,
) -> Result<Option<Levels>, IoError> {
    let most = WORKING_VOXELS.min(budget.bytes / 32);
    let working = |shapes: &[[usize; 3]]| {
        level.unwrap_or_else(|| {
            let voxels = |shape: &[usize; 3]| shape.iter().map(|n| *n as u64).product::<u64>();
            shapes.iter().position(|shape| voxels(shape) <= most).unwrap_or(shapes.len().saturating_sub(1))
        })
    };
    let cache = BlockCache::of_process();
    // The blocks of OME-Zarr have their axes as they are stored.
    let is_picked = header.format != "OME-Zarr" || options.axes.is_some();
    let pyramid = if !is_picked {
        open_pyramid(path, options, working, &cache, budget)?
    } else if is_readable_by_planes(header, options, budget) {
        open_flat(path, options, working, &cache, budget)?
    } else {
        None
    };
    Ok(pyramid.map(|pyramid| Levels { pyramid, header: header.clone(), is_picked }))
}

impl Levels {
    /// Reads a box of a level (first voxel and number, z, y, x), or all of it, as a volume of f32 with its frame.
    ///
    /// # Errors
    /// [`IoError`] where it is over the budget, outside the level, damaged, or cancelled.
    pub fn read(
        &self,
        path: &Path,
        level: usize,
        region: Option<([usize; 3], [usize; 3])>,
        progress: &Progress,
        budget: MemoryBudget,
    ) -> Result<Volume<f32>, IoError> {
        let lacking = || IoError::content(path, format!("there is no level {level} in this file"));
        let at = self.pyramid.levels().get(level).ok_or_else(lacking)?;
        let (low, dims) = region.unwrap_or(([0; 3], at.shape));
        if (0..3).any(|a| dims[a] == 0 || low[a].checked_add(dims[a]).is_none_or(|end| end > at.shape[a])) {
            let problem = format!("the part {low:?} + {dims:?} is not within level {level}, {:?}", at.shape);
            return Err(IoError::content(path, problem));
        }
        let needed = dims.iter().fold(4u64, |bytes, n| bytes.saturating_mul(*n as u64));
        budget.admit(needed).map_err(|source| IoError::Memory { path: path.to_owned(), source })?;
        let mut data = Array3::zeros(dims);
        // By columns of blocks, on all cores; blocks need not begin where the part does.
        let mut pieces = vec![(low, data.view_mut())];
        for axis in 0..2 {
            pieces =
                pieces.into_iter().flat_map(|(first, view)| cut(first, view, axis, at.block[axis])).collect();
        }
        progress.phase("Reading", pieces.len() as u64);
        pieces.into_par_iter().try_for_each(|(first, mut view)| {
            progress.check()?;
            let (z, y, x) = view.dim();
            let values = self.pyramid.read_box(level, first, [z, y, x]);
            view.assign(&values.map_err(|problem| IoError::content(path, problem))?.into_f32());
            progress.advance(1);
            Ok::<(), IoError>(())
        })?;
        let mut volume = Volume::new(data, None, self.header.unit.unwrap_or_default());
        (volume.voxel_um, volume.origin_um) = self.frame(level, low);
        let shortest = at.scale.iter().copied().fold(f64::INFINITY, f64::min);
        volume.ratios = self.header.ratios.map(|_| at.scale.map(|edge| edge / shortest));
        Ok(volume)
    }

    /// Voxel size and place of voxel `low` of a level, µm; where the file gives no size, the place is in voxels of the level.
    fn frame(&self, level: usize, low: [usize; 3]) -> (Option<[f64; 3]>, [f64; 3]) {
        let (finest, at) = (&self.pyramid.levels()[0], &self.pyramid.levels()[level]);
        let place = |a: usize, um_per_unit: f64| {
            (at.offset[a] - finest.offset[a] + low[a] as f64 * at.scale[a]) * um_per_unit
        };
        match self.header.voxel_um {
            Some(voxel) => {
                let um = |a: usize| voxel[a] / finest.scale[a];
                let origin = std::array::from_fn(|a| self.header.origin_um[a] + place(a, um(a)));
                (Some(std::array::from_fn(|a| at.scale[a] * um(a))), origin)
            }
            None => (None, std::array::from_fn(|a| place(a, 1.0 / at.scale[a]))),
        }
    }
}

/// The pyramid as many may hold it.
impl From<Levels> for Arc<Pyramid> {
    fn from(levels: Levels) -> Self {
        Self::new(levels.pyramid)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;
    use crate::base::Unit;
    use crate::io::{WriteRequest, read_header, read_volume, write_array};

    #[test]
    fn a_level_and_a_part_of_one_lie_where_the_whole_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zarr");
        let data = Array3::from_shape_fn((150, 140, 130), |(z, y, x)| (z + 2 * y + 4 * x) as f32);
        let mut volume = Volume::new(data, Some([0.03, 0.02, 0.01]), Unit::PerUm);
        volume.origin_um = [3.0, -2.0, 1.0];
        write_array(&path, &WriteRequest::volume(&volume), &Progress::new()).unwrap();
        let budget = MemoryBudget::from_gib(1.0);
        let levels = open_levels(&path, &ReadOptions::default(), &read_header(&path).unwrap(), None, budget)
            .unwrap()
            .unwrap();
        assert_eq!(levels.pyramid.working(), 0, "all of it is held easily");
        let whole = levels.read(&path, 0, None, &Progress::new(), budget).unwrap();
        assert_eq!(whole, read_volume(&path, &Progress::new(), budget).unwrap());
        let part =
            levels.read(&path, 0, Some(([70, 5, 60], [70, 100, 64])), &Progress::new(), budget).unwrap();
        assert_eq!(part.data, volume.data.slice(s![70..140, 5..105, 60..124]));
        assert!((part.origin_um[0] - (3.0 + 70.0 * 0.03)).abs() < 1e-9, "{:?}", part.origin_um);
        let half = levels.read(&path, 1, None, &Progress::new(), budget).unwrap();
        assert_eq!(half.shape(), [75, 70, 65]);
        // The same place has the same value: the function is linear.
        let world = half.world_from_voxel().world_from_zyx([20.0, 30.0, 40.0]);
        let at = volume.world_from_voxel().zyx_from_world(world);
        let expected = at[0] + 2.0 * at[1] + 4.0 * at[2];
        assert!((f64::from(half.data[[20, 30, 40]]) - expected).abs() < 1e-3);
        let outside = levels.read(&path, 0, Some(([149, 0, 0], [2, 1, 1])), &Progress::new(), budget);
        assert!(outside.unwrap_err().to_string().contains("not within level 0"));
        assert!(levels.read(&path, 9, None, &Progress::new(), budget).is_err());
        let tight = MemoryBudget { bytes: 1000 };
        assert!(matches!(levels.read(&path, 0, None, &Progress::new(), tight), Err(IoError::Memory { .. })));
        assert!(is_beyond(&levels.header, MemoryBudget { bytes: 40 << 20 }));
        assert!(!is_beyond(&levels.header, budget));
    }
}
