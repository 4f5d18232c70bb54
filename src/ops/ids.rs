//! Ids that an operation is given: of classes, or of objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::Array3;

use super::data::{Data, Inputs, Kind, LabelData};
use super::op::{Input, OpError};
use crate::base::Unit;
use crate::volume::regions::class_name;
use crate::volume::{ClassTable, ObjectTable, RegionMap, Volume};

/// The slot for objects in place of classes, of operations that take either.
pub(super) const INSTANCES: Input = Input {
    name: "instances",
    kind: Kind::Regions,
    optional: true,
    doc: "Objects in place of classes: ids up to 4 294 967 295, of the classes that their table says",
};

/// What is labelled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Marked<'a> {
    /// Ids of classes.
    Labels(&'a Arc<LabelData>),
    /// Ids of objects.
    Regions(&'a Arc<RegionMap>),
}

impl<'a> Marked<'a> {
    /// What is in the slot `instances`, else in `labels`.
    pub(super) fn of(inputs: &'a Inputs) -> Result<Self, OpError> {
        match inputs.find_regions(INSTANCES.name) {
            Some(map) => Ok(Self::Regions(map)),
            None => inputs.labels("labels").map(Self::Labels),
        }
    }

    pub(super) fn shape(self) -> [usize; 3] {
        match self {
            Self::Labels(data) => data.labels.shape(),
            Self::Regions(map) => map.shape(),
        }
    }

    pub(super) fn n_voxels(self) -> u64 {
        self.shape().iter().map(|n| *n as u64).product()
    }

    /// How many bytes more a voxel takes than with ids of classes.
    pub(super) fn more_bytes(self) -> u64 {
        if matches!(self, Self::Regions(_)) { 4 } else { 0 }
    }

    pub(super) fn voxel_um(self) -> Option<[f64; 3]> {
        match self {
            Self::Labels(data) => data.voxel_um,
            Self::Regions(map) => map.voxel_um,
        }
    }

    /// Edges of a voxel as ratios, where only these are known.
    pub(super) fn ratios(self) -> Option<[f64; 3]> {
        match self {
            Self::Labels(data) => data.ratios,
            Self::Regions(map) => map.ratios,
        }
    }

    /// Voxel size in µm as z, y, x; where unknown the ratios of its edges, or 1.
    pub(super) fn voxel_um_or_one(self) -> [f64; 3] {
        self.voxel_um().or(self.ratios()).unwrap_or([1.0; 3])
    }

    pub(super) fn origin_um(self) -> [f64; 3] {
        match self {
            Self::Labels(data) => data.origin_um,
            Self::Regions(map) => map.origin_um,
        }
    }

    /// Names and colours of the classes.
    pub(super) fn classes(self) -> ClassTable {
        match self {
            Self::Labels(data) => data.classes.clone(),
            Self::Regions(map) => map.classes(),
        }
    }

    /// The outputs "instances" and "objects": `map` has an id per voxel, `objects` id, class and voxels of each.
    pub(super) fn objects(self, map: Array3<u32>, objects: &[(u32, u32, u64)]) -> Vec<(&'static str, Data)> {
        let classes = self.classes();
        let table = ObjectTable::rows(&classes, objects.iter().copied());
        let known = ObjectTable::new(objects.iter().map(|(id, class, _)| (*id, *class)), &classes);
        let volume = Volume::new(map, self.voxel_um(), Unit::Label);
        let volume = Volume { origin_um: self.origin_um(), ratios: self.ratios(), ..volume };
        let map = RegionMap { volume, objects: Some(known) };
        vec![("instances", Data::Regions(Arc::new(map))), ("objects", Data::Table(Arc::new(table)))]
    }

    /// A note where the class that was asked for does not occur.
    pub(super) fn missing_class(self, class: Option<u32>) -> Option<String> {
        let class = class?;
        let occurs = match self {
            Self::Labels(data) => data.labels.ids().iter().any(|id| u32::from(*id) == class),
            Self::Regions(map) => map.data.iter().any(|id| *id != 0 && map.class(*id) == class),
        };
        (!occurs).then(|| format!("No voxel has class {class}"))
    }
}

/// The name of a class of labels or regions.
pub(super) fn name(classes: &ClassTable, class: u32) -> String {
    class_name(classes, class)
}

/// A map whose table says of each object the class that most of its voxels have in labels on the same grid.
pub(super) fn with_classes_of(map: &RegionMap, labels: &LabelData) -> RegionMap {
    let ids = labels.labels.to_dense();
    let mut votes: BTreeMap<(u32, u16), u64> = BTreeMap::new();
    for (object, class) in map.data.iter().zip(&ids).filter(|(object, class)| **object != 0 && **class != 0) {
        *votes.entry((*object, *class)).or_default() += 1;
    }
    let mut best: BTreeMap<u32, (u64, u16)> = BTreeMap::new();
    for ((object, class), n) in votes {
        let own = best.entry(object).or_insert((n, class));
        if n > own.0 {
            *own = (n, class);
        }
    }
    let objects =
        ObjectTable::new(best.into_iter().map(|(id, (_, class))| (id, class.into())), &labels.classes);
    RegionMap { volume: map.volume.clone(), objects: Some(objects) }
}

/// Ids as ranks from 1 by ascending id, 0 staying 0; and the id of each rank, that of rank 0 first.
pub(super) fn ranked(map: &Array3<u32>) -> (Array3<u32>, Vec<u32>) {
    let values = map.as_slice().unwrap_or(&[]);
    let mut ids: Vec<u32> = values.chunk_by(|a, b| a == b).map(|run| run[0]).collect();
    ids.push(0);
    ids.sort_unstable();
    ids.dedup();
    let mut last = (0, 0);
    let ranks = map.mapv(|id| {
        if id != last.0 {
            last = (id, ids.binary_search(&id).unwrap_or(0) as u32);
        }
        last.1
    });
    (ranks, ids)
}
