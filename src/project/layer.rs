//! A layer of the document: what it holds, where it lies, how it is shown, where it came from.

use std::sync::Arc;

use glam::DAffine3;
use serde::{Deserialize, Serialize};

use super::source::SourceFile;
use crate::ops::{Data, Kind, LabelData, Provenance};
use crate::volume::{Alignment, ClassTable, Labels, Mark, Pyramid, RegionMap, Scan, TiltSeries, Volume};

/// Names a layer; never given twice within a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerId(pub u64);

/// A label volume of the document; the classes are the project's.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelLayer {
    /// Class ids in bricks.
    pub labels: Labels,
    /// Codes of [`Mark`] where a voxel was changed after the layer came, 0 elsewhere; the same bricks.
    pub marks: Labels,
    /// Voxel size in µm as z, y, x; `None` where unknown.
    pub voxel_um: Option<[f64; 3]>,
    /// Edges of a voxel as ratios, as in [`Volume::ratios`].
    pub ratios: Option<[f64; 3]>,
    /// World position in µm of voxel (0, 0, 0), as z, y, x.
    pub origin_um: [f64; 3],
}

impl LabelLayer {
    /// Labels as they came, nothing marked.
    pub fn new(labels: Labels, voxel_um: Option<[f64; 3]>, origin_um: [f64; 3]) -> Self {
        let marks = Labels::new(labels.shape());
        Self { labels, marks, voxel_um, ratios: None, origin_um }
    }

    /// Voxel size in µm as z, y, x; where unknown the ratios of its edges, or 1.
    pub fn voxel_um_or_one(&self) -> [f64; 3] {
        self.voxel_um.or(self.ratios).unwrap_or([1.0; 3])
    }
}

/// A layer whose voxels could not be read: it keeps its place, its name and its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingContent {
    /// What it held, in words ("volume").
    pub kind: String,
    /// Why it is not here and what to do, in one sentence.
    pub reason: String,
}

/// What a layer holds. All but labels are immutable and shared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Content {
    /// Raw frames of a scan.
    Scan(Arc<Scan>),
    /// A normalised tilt series.
    Series(Arc<TiltSeries>),
    /// Shifts of the views of a scan.
    Alignment(Arc<Alignment>),
    /// Values on a grid.
    Volume(Arc<Volume<f32>>),
    /// Class ids on a grid.
    Labels(LabelLayer),
    /// Region or instance ids on a grid, 0 outside.
    Regions(Arc<RegionMap>),
    /// Any other result of an operation: a table, meshes, a classifier.
    Other(Data),
    /// What could not be read when the project was opened.
    Missing(MissingContent),
}

impl Content {
    /// The content of a result, and the classes that came with it where it is a label volume.
    pub fn from_data(data: Data) -> (Self, Option<ClassTable>) {
        match data {
            Data::Scan(scan) => (Self::Scan(scan), None),
            Data::Series(series) => (Self::Series(series), None),
            Data::Alignment(alignment) => (Self::Alignment(alignment), None),
            Data::Volume(volume) => (Self::Volume(volume), None),
            Data::Labels(data) => {
                let LabelData { labels, voxel_um, ratios, origin_um, classes } = Arc::unwrap_or_clone(data);
                let layer = LabelLayer { ratios, ..LabelLayer::new(labels, voxel_um, origin_um) };
                (Self::Labels(layer), Some(classes))
            }
            Data::Regions(regions) => (Self::Regions(regions), None),
            other => (Self::Other(other), None),
        }
    }

    /// An immutable snapshot for an operation; labels take the project's classes along.
    pub fn to_data(&self, classes: &ClassTable) -> Option<Data> {
        Some(match self {
            Self::Scan(scan) => Data::Scan(Arc::clone(scan)),
            Self::Series(series) => Data::Series(Arc::clone(series)),
            Self::Alignment(alignment) => Data::Alignment(Arc::clone(alignment)),
            Self::Volume(volume) => Data::Volume(Arc::clone(volume)),
            Self::Labels(layer) => Data::Labels(Arc::new(LabelData {
                labels: layer.labels.clone(),
                voxel_um: layer.voxel_um,
                ratios: layer.ratios,
                origin_um: layer.origin_um,
                classes: classes.clone(),
            })),
            Self::Regions(regions) => Data::Regions(Arc::clone(regions)),
            Self::Other(data) => data.clone(),
            Self::Missing(_) => return None,
        })
    }

    /// The kind as operations name it; `None` for content that is missing.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Scan(_) => Some(Kind::Scan),
            Self::Series(_) => Some(Kind::Series),
            Self::Alignment(_) => Some(Kind::Alignment),
            Self::Volume(_) => Some(Kind::Volume),
            Self::Labels(_) => Some(Kind::Labels),
            Self::Regions(_) => Some(Kind::Regions),
            Self::Other(data) => Some(data.kind()),
            Self::Missing(_) => None,
        }
    }

    /// What it holds, in words.
    pub fn words(&self) -> String {
        match (self, self.kind()) {
            (Self::Missing(missing), _) => format!("missing {}", missing.kind),
            (_, Some(kind)) => kind.words().to_owned(),
            (_, None) => "nothing".to_owned(),
        }
    }

    /// Shape of the grid as z, y, x (views, rows, columns), where there is one.
    pub fn shape(&self) -> Option<[usize; 3]> {
        match self {
            Self::Scan(scan) => Some(scan.projections.shape()),
            Self::Series(series) => Some([series.n_views(), series.n_rows(), series.n_cols()]),
            Self::Volume(volume) => Some(volume.shape()),
            Self::Labels(layer) => Some(layer.labels.shape()),
            Self::Regions(regions) => Some(regions.shape()),
            Self::Alignment(_) | Self::Other(_) | Self::Missing(_) => None,
        }
    }

    /// Bytes held in memory, shared or not.
    pub fn heap_bytes(&self) -> u64 {
        let voxels = |shape: [usize; 3], bytes: u64| shape.iter().map(|n| *n as u64).product::<u64>() * bytes;
        match self {
            Self::Scan(scan) => [Some(&scan.projections), scan.flats.as_ref(), scan.darks.as_ref()]
                .into_iter()
                .flatten()
                .map(|array| {
                    let bytes = array.dtype().trim_start_matches(|c: char| !c.is_ascii_digit());
                    voxels(array.shape(), bytes.parse::<u64>().unwrap_or(32) / 8)
                })
                .sum(),
            Self::Labels(layer) => (layer.labels.heap_bytes() + layer.marks.heap_bytes()) as u64,
            _ => self.shape().map_or(1024, |shape| voxels(shape, 4)),
        }
    }
}

/// How a layer is shown. Part of the document, so that a project reopens as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Display {
    /// Drawn in the views.
    pub visible: bool,
    /// 0 transparent to 1 opaque.
    pub opacity: f32,
    /// Values that map to the two ends of the colour map, in the layer's unit.
    pub window: [f32; 2],
    /// Name of the colour map.
    pub colormap: String,
    /// Light is added instead of covering what lies below.
    pub additive: bool,
    /// Values are interpolated between voxels.
    pub smooth: bool,
    /// They are so by a cubic instead of linearly.
    pub cubic: bool,
}

impl Default for Display {
    fn default() -> Self {
        Self {
            visible: true,
            opacity: 1.0,
            window: [0.0, 1.0],
            colormap: "gray".to_owned(),
            additive: false,
            smooth: true,
            cubic: false,
        }
    }
}

/// A pair of points that show the same thing in two layers, world µm as x, y, z.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Landmark {
    /// Name as the user sees it.
    pub name: String,
    /// The layer that is to be moved.
    pub moving_layer: Option<LayerId>,
    /// The layer that stays.
    pub fixed_layer: Option<LayerId>,
    /// Point in the moving layer before its placement, µm as x, y, z.
    pub moving_um: [f64; 3],
    /// Point in the fixed layer, world µm as x, y, z.
    pub fixed_um: [f64; 3],
    /// Takes part in the fit.
    pub used: bool,
}

/// One layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its name for the program.
    pub id: LayerId,
    /// Its name for the user.
    pub name: String,
    /// What it holds.
    pub content: Content,
    /// Grows whenever the content changes; with `id` the key of everything derived.
    pub revision: u64,
    /// Extra placement in world µm, on top of voxel size and origin; identity unless moved.
    pub placement: DAffine3,
    /// How it is shown.
    pub display: Display,
    /// How it came to be.
    pub provenance: Provenance,
    /// The file it was read from, if any.
    pub source: Option<SourceFile>,
    /// Finer levels of that file, where a volume is its working level.
    pub pyramid: Option<Arc<Pyramid>>,
}

impl Layer {
    /// Whether it tells of the layer of this name, as a curve and a noise map do: they name first what they judge.
    pub fn judges(&self, name: &str) -> bool {
        self.provenance.inputs.first().is_some_and(|first| first == name)
    }

    /// A layer at its natural place; the project gives `id` and `revision` when it is added.
    pub fn new(name: impl Into<String>, content: Content, provenance: Provenance) -> Self {
        Self {
            id: LayerId(0),
            name: name.into(),
            content,
            revision: 0,
            placement: DAffine3::IDENTITY,
            display: Display::default(),
            provenance,
            source: None,
            pyramid: None,
        }
    }

    /// The volume, where the layer holds one.
    pub fn volume(&self) -> Option<&Arc<Volume<f32>>> {
        if let Content::Volume(volume) = &self.content { Some(volume) } else { None }
    }

    /// The labels, where the layer holds some.
    pub fn labels(&self) -> Option<&LabelLayer> {
        if let Content::Labels(labels) = &self.content { Some(labels) } else { None }
    }

    /// Where the labels came from that nobody has changed since.
    pub fn base_mark(&self) -> Mark {
        match &*self.provenance.op {
            "painted" => Mark::Painted,
            "import" => Mark::Imported,
            "segment" | "predict" => Mark::Predicted,
            "interpolate" => Mark::Interpolated,
            _ => Mark::Computed,
        }
    }

    /// The code of a mark in this layer: 0 where it is what the layer came with.
    pub fn code_of(&self, mark: Mark) -> u16 {
        if mark == self.base_mark() { 0 } else { mark.code() }
    }
}
