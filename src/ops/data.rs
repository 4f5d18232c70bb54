//! What flows between operations: shared, immutable snapshots.

use std::sync::Arc;

use ndarray::Array3;

use super::op::OpError;
use crate::mesh::Mesh;
use crate::segment::Classifier;
use crate::volume::{
    Alignment, ClassTable, Labels, Landmark, RegionMap, Scan, Table, TiltSeries, Transform, Volume,
};

/// A label volume with its frame and its classes.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelData {
    /// Class ids in bricks.
    pub labels: Labels,
    /// Voxel size in µm as z, y, x; `None` where unknown.
    pub voxel_um: Option<[f64; 3]>,
    /// Edges of a voxel as ratios, as in [`Volume::ratios`].
    pub ratios: Option<[f64; 3]>,
    /// World position in µm of voxel (0, 0, 0), as z, y, x.
    pub origin_um: [f64; 3],
    /// Names and colours of the ids.
    pub classes: ClassTable,
}

impl LabelData {
    /// Labels on the grid of a volume.
    pub(crate) fn on_grid_of<T>(volume: &Volume<T>, labels: Labels, classes: ClassTable) -> Self {
        let (voxel_um, ratios, origin_um) = (volume.voxel_um, volume.ratios, volume.origin_um);
        Self { labels, voxel_um, ratios, origin_um, classes }
    }

    /// Voxel size in µm as z, y, x; where unknown the ratios of its edges, or 1.
    pub fn voxel_um_or_one(&self) -> [f64; 3] {
        self.voxel_um.or(self.ratios).unwrap_or([1.0; 3])
    }
}

/// One value that an operation takes or gives.
#[derive(Debug, Clone)]
pub enum Data {
    /// Raw frames of a scan.
    Scan(Arc<Scan>),
    /// A normalised tilt series.
    Series(Arc<TiltSeries>),
    /// Shifts of the views.
    Alignment(Arc<Alignment>),
    /// Values on a grid.
    Volume(Arc<Volume<f32>>),
    /// Class ids on a grid.
    Labels(Arc<LabelData>),
    /// Region or instance ids on a grid, 0 outside.
    Regions(Arc<RegionMap>),
    /// A trained classifier.
    Classifier(Arc<Classifier>),
    /// Numbers.
    Table(Arc<Table>),
    /// Closed surfaces, one a class.
    Meshes(Arc<Vec<Mesh>>),
    /// The same points in two images.
    Landmarks(Arc<Vec<Landmark>>),
    /// A map from one image into another.
    Transform(Arc<Transform>),
}

/// The kinds of [`Data`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the kinds are named as the variants of Data")]
pub enum Kind {
    Scan,
    Series,
    Alignment,
    Volume,
    Labels,
    Regions,
    Classifier,
    Table,
    Meshes,
    Landmarks,
    Transform,
}

impl Kind {
    /// The kind in words, as in "needs a tilt series".
    pub fn words(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Series => "normalised tilt series",
            Self::Alignment => "alignment",
            Self::Volume => "volume",
            Self::Labels => "label volume",
            Self::Regions => "region map",
            Self::Classifier => "trained classifier",
            Self::Table => "table",
            Self::Meshes => "set of meshes",
            Self::Landmarks => "list of landmark pairs",
            Self::Transform => "transform",
        }
    }
}

impl Data {
    /// Which kind this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Scan(_) => Kind::Scan,
            Self::Series(_) => Kind::Series,
            Self::Alignment(_) => Kind::Alignment,
            Self::Volume(_) => Kind::Volume,
            Self::Labels(_) => Kind::Labels,
            Self::Regions(_) => Kind::Regions,
            Self::Classifier(_) => Kind::Classifier,
            Self::Table(_) => Kind::Table,
            Self::Meshes(_) => Kind::Meshes,
            Self::Landmarks(_) => Kind::Landmarks,
            Self::Transform(_) => Kind::Transform,
        }
    }
}

/// The inputs of an operation by the name of their slot.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    slots: Vec<(&'static str, Data)>,
    /// Whether inputs on different grids are wanted, found by their places in the world.
    by_place: bool,
}

macro_rules! getters {
    ($($get:ident, $find:ident, $variant:ident, $type:ty;)*) => {$(
        #[doc = concat!("The ", stringify!($variant), " in this slot.")]
        ///
        /// # Errors
        /// [`OpError::MissingInput`] where the slot is empty or holds another kind.
        pub fn $get(&self, slot: &'static str) -> Result<&Arc<$type>, OpError> {
            self.$find(slot).ok_or(OpError::MissingInput { slot, kind: Kind::$variant })
        }

        #[doc = concat!("The ", stringify!($variant), " in this slot, if there is one.")]
        pub fn $find(&self, slot: &str) -> Option<&Arc<$type>> {
            self.slots.iter().find_map(|(name, data)| match data {
                Data::$variant(value) if *name == slot => Some(value),
                _ => None,
            })
        }
    )*};
}

impl Inputs {
    /// The alignment in a slot, or none: the rotation axis at the middle column.
    pub fn alignment_or_still(&self, slot: &str, series: &TiltSeries) -> Arc<Alignment> {
        let still = || Arc::new(Alignment::identity(&series.angles_deg));
        self.find_alignment(slot).map_or_else(still, Arc::clone)
    }

    /// Adds an input.
    #[must_use]
    pub fn with(mut self, slot: &'static str, data: Data) -> Self {
        self.slots.push((slot, data));
        self
    }

    /// Says whether inputs on different grids are wanted.
    #[must_use]
    pub(super) fn going_by_place(self, by_place: bool) -> Self {
        Self { by_place, ..self }
    }

    /// Whether inputs on different grids are wanted.
    pub(super) fn is_by_place(&self) -> bool {
        self.by_place
    }

    /// All inputs in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Data)> {
        self.slots.iter().map(|(name, data)| (*name, data))
    }

    getters! {
        scan, find_scan, Scan, Scan;
        series, find_series, Series, TiltSeries;
        alignment, find_alignment, Alignment, Alignment;
        volume, find_volume, Volume, Volume<f32>;
        labels, find_labels, Labels, LabelData;
        regions, find_regions, Regions, RegionMap;
        classifier, find_classifier, Classifier, Classifier;
        table, find_table, Table, Table;
        meshes, find_meshes, Meshes, Vec<Mesh>;
        landmarks, find_landmarks, Landmarks, Vec<Landmark>;
        transform, find_transform, Transform, Transform;
    }
}

/// The mask in a slot, if there is one: true where anything is labelled.
pub(super) fn mask_of(inputs: &Inputs, slot: &str) -> Option<Array3<bool>> {
    inputs.find_labels(slot).map(|data| data.labels.to_dense().mapv(|id| id != 0))
}
