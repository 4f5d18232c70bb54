//! Instances: the connected objects of classes as a map of ids, and which class each belongs to.
//!
//! With the default neighbours the id of an object is its number in the table of [`super::measure`]. Ids of
//! objects that are left out stay free, so that they name the same object whatever is left out.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::MeasureError;
use crate::base::Progress;
use crate::kernels::components::{Connectivity, components};
use crate::volume::LabelId;

/// What becomes an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstancesParams {
    /// Only objects of this class, from 1; of every class where not given.
    pub class: Option<u32>,
    /// Which neighbours belong together.
    pub connectivity: Connectivity,
    /// Leaves out objects of fewer voxels, 1 to 1 000 000 000.
    pub min_voxels: u64,
}

impl Default for InstancesParams {
    fn default() -> Self {
        Self { class: None, connectivity: Connectivity::Corners, min_voxels: 1 }
    }
}

/// One object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Its id in the map.
    pub id: u32,
    /// Its class.
    pub class: u32,
    /// Voxels.
    pub voxels: u64,
}

/// The objects of a label volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instances {
    /// Id of the object of each voxel, 0 outside. Shape as the labels.
    pub map: Array3<u32>,
    /// The objects by ascending id.
    pub objects: Vec<Instance>,
    /// Objects of the class that were too small.
    pub n_small: usize,
}

/// Finds the connected objects of `labels`, shape (z, y, x), 0 unlabelled; `class_of` says for which class an id counts.
///
/// Memory: 4 bytes a voxel and a few bytes a run.
///
/// # Errors
/// [`MeasureError::Components`] where there are too many pieces to number; cancel.
pub fn instances<L: LabelId>(
    progress: &Progress,
    labels: &ArrayView3<'_, L>,
    class_of: impl Fn(L) -> u32,
    params: &InstancesParams,
) -> Result<Instances, MeasureError> {
    let found = components(progress, labels, params.connectivity)?;
    let of_class = |class: u32| params.class.is_none_or(|wanted| wanted == class);
    let mut objects = Vec::new();
    // New id of each component: its own, or 0 where it is left out.
    let mut ids = vec![0u32; found.len() + 1];
    let mut n_small = 0;
    for ((id, value), voxels) in (1u32..).zip(&found.values).zip(&found.sizes) {
        let class = class_of(*value);
        if !of_class(class) {
            continue;
        }
        if *voxels < params.min_voxels {
            n_small += 1;
            continue;
        }
        ids[id as usize] = id;
        objects.push(Instance { id, class, voxels: *voxels });
    }
    let mut map = found.map;
    if objects.len() + 1 < ids.len() {
        map.as_slice_mut().unwrap_or(&mut []).par_chunks_mut(1 << 20).try_for_each(|part| {
            progress.check()?;
            part.iter_mut().for_each(|id| *id = ids[*id as usize]);
            Ok::<(), crate::base::Cancelled>(())
        })?;
    }
    Ok(Instances { map, objects, n_small })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Cancelled;

    fn labels() -> Array3<u16> {
        let mut labels = Array3::zeros((4, 6, 8));
        labels[[0, 0, 0]] = 2;
        labels.slice_mut(ndarray::s![1..3, 2..4, 2..4]).fill(1);
        labels[[3, 4, 4]] = 1; // touches the block at a corner
        labels[[3, 0, 7]] = 2;
        labels
    }

    fn run(params: &InstancesParams) -> Instances {
        instances(&Progress::new(), &labels().view(), u32::from, params).unwrap()
    }

    #[test]
    fn objects_are_numbered_in_scan_order_over_all_classes() {
        let all = run(&InstancesParams::default());
        let found: Vec<_> = all.objects.iter().map(|o| (o.id, o.class, o.voxels)).collect();
        assert_eq!(found, [(1, 2, 1), (2, 1, 9), (3, 2, 1)]);
        assert_eq!((all.map[[0, 0, 0]], all.map[[3, 4, 4]], all.map[[3, 0, 7]]), (1, 2, 3));
        for object in &all.objects {
            assert_eq!(all.map.iter().filter(|id| **id == object.id).count() as u64, object.voxels);
        }
    }

    #[test]
    fn what_is_left_out_leaves_the_other_ids_alone() {
        let of_class = run(&InstancesParams { class: Some(2), ..InstancesParams::default() });
        assert_eq!(of_class.objects.iter().map(|o| o.id).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(of_class.map[[1, 2, 2]], 0);
        let large = run(&InstancesParams { min_voxels: 2, ..InstancesParams::default() });
        assert_eq!((large.objects.len(), large.n_small, large.map[[0, 0, 0]]), (1, 2, 0));
        let faces = run(&InstancesParams { connectivity: Connectivity::Faces, ..InstancesParams::default() });
        assert_eq!(faces.objects.len(), 4);
    }

    #[test]
    fn objects_of_a_region_map_take_the_class_of_its_table() {
        let map = labels().mapv(|id| u32::from(id) * 70_000);
        let class_of = |id: u32| if id == 70_000 { 5 } else { 6 };
        let found = instances(&Progress::new(), &map.view(), class_of, &InstancesParams::default()).unwrap();
        assert_eq!(
            found.objects.iter().map(|o| (o.id, o.class)).collect::<Vec<_>>(),
            [(1, 6), (2, 5), (3, 6)]
        );
        let one = InstancesParams { class: Some(6), ..InstancesParams::default() };
        assert_eq!(instances(&Progress::new(), &map.view(), class_of, &one).unwrap().objects.len(), 2);
    }

    #[test]
    fn nothing_labelled_gives_no_objects_and_cancel_is_kept() {
        let empty = Array3::<u16>::zeros((2, 2, 2));
        let found =
            instances(&Progress::new(), &empty.view(), u32::from, &InstancesParams::default()).unwrap();
        assert!(found.objects.is_empty() && found.map.iter().all(|id| *id == 0));
        let progress = Progress::new();
        progress.cancel();
        let cancelled = instances(&progress, &labels().view(), u32::from, &InstancesParams::default());
        assert_eq!(cancelled, Err(MeasureError::Cancelled(Cancelled)));
    }
}
