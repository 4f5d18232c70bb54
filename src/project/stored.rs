//! Layers and edits as they lie on disk: JSON, with bricks as bytes beside it and voxels in `arrays.zarr`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use glam::DAffine3;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::annotation::Annotation;
use super::arrays::{Arrays, key_of};
use super::bricks;
use super::calibration::Calibration;
use super::edit::Edit;
use super::layer::{Content, Display, LabelLayer, Landmark, Layer, LayerId, MissingContent};
use super::source::SourceFile;
use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::IoError;
use crate::ops::{Data, Provenance};
use crate::segment::Classifier;
use crate::volume::labels::BrickDelta;
use crate::volume::table::Table;
use crate::volume::{
    Alignment, Class, Labels, ObjectTable, Pyramid, RegionMap, Scan, TiltSeries, ViewShift, Volume,
};

/// What a scan says besides its frames.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ScanNotes {
    angles_deg: Vec<f64>,
    unit: Unit,
    pixel_um: Option<f64>,
    energy_ev: Option<f64>,
    beam: Vec<f64>,
    flat_beam: Vec<f64>,
    flat_times: Vec<f64>,
    exposure_s: Vec<f64>,
    #[serde(default)]
    flat_exposure_s: Vec<f64>,
    metadata: BTreeMap<String, String>,
    warnings: Vec<String>,
}

/// A layer's content: small things inline, voxels by the key of their array.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum StoredContent {
    Source {
        words: String,
    },
    Scan {
        array: String,
        flats: bool,
        darks: bool,
        notes: ScanNotes,
    },
    Series {
        array: String,
        angles_deg: Vec<f64>,
        pixel_um: Option<f64>,
        energy_ev: Option<f64>,
    },
    Alignment {
        alignment: Alignment,
    },
    Volume {
        array: String,
        voxel_um: Option<[f64; 3]>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ratios: Option<[f64; 3]>,
        origin_um: [f64; 3],
        unit: Unit,
    },
    Regions {
        array: String,
        voxel_um: Option<[f64; 3]>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ratios: Option<[f64; 3]>,
        origin_um: [f64; 3],
        unit: Unit,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        objects: Option<ObjectTable>,
    },
    Labels {
        shape: [usize; 3],
        voxel_um: Option<[f64; 3]>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ratios: Option<[f64; 3]>,
        origin_um: [f64; 3],
        voxels: Voxels,
        /// Where labels come from; `None` where nothing was changed since the layer came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        marks: Option<Voxels>,
    },
    Table {
        table: Table,
    },
    Classifier {
        classifier: Box<Classifier>,
    },
    Missing(MissingContent),
}

/// Where the ids of a label layer are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Voxels {
    /// In the bytes beside the JSON, by position.
    Bytes(usize),
    /// In an array.
    Array(String),
}

/// A layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredLayer {
    pub(super) id: LayerId,
    pub(super) name: String,
    pub(super) content: StoredContent,
    #[serde(default)]
    pub(super) placement: DAffine3,
    #[serde(default)]
    pub(super) display: Display,
    pub(super) provenance: Provenance,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<SourceFile>,
    /// Fields of a newer program: kept as they are.
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// Bytes that go beside the JSON.
pub(super) type Blobs = Vec<Vec<u8>>;

/// What could not be read, one sentence each.
pub(super) type Problems = Vec<String>;

impl StoredLayer {
    /// A layer of the project in `folder`; its labels go to the array `labels_key`, or into `blobs` where there is none.
    pub(super) fn of(layer: &Layer, folder: &Path, labels_key: Option<String>, blobs: &mut Blobs) -> Self {
        let content = match &layer.content {
            Content::Labels(labels) => StoredContent::Labels {
                shape: labels.labels.shape(),
                voxel_um: labels.voxel_um,
                ratios: labels.ratios,
                origin_um: labels.origin_um,
                marks: (!labels.marks.is_empty()).then(|| match &labels_key {
                    Some(key) => Voxels::Array(marks_key(key)),
                    None => Voxels::Bytes(push_labels(&labels.marks, blobs)),
                }),
                voxels: labels_key
                    .map_or_else(|| Voxels::Bytes(push_labels(&labels.labels, blobs)), Voxels::Array),
            },
            Content::Missing(missing) => StoredContent::Missing(missing.clone()),
            other if layer.source.is_some() => StoredContent::Source { words: other.words() },
            other => stored_content(key_of(layer), other),
        };
        Self {
            id: layer.id,
            name: layer.name.clone(),
            content,
            placement: layer.placement,
            display: layer.display.clone(),
            provenance: layer.provenance.clone(),
            source: layer.source.as_ref().map(|source| source.seen_from(folder)),
            extra: Map::new(),
        }
    }

    /// Reads the layer back; what cannot be read leaves a layer that says why.
    pub(super) fn read(self, context: &Reading<'_>, blobs: &[&[u8]], problems: &mut Problems) -> Layer {
        let source = self.source.map(|source| source.found_from(context.folder));
        let name = self.name;
        let mut pyramid = None;
        let content = match self.content {
            StoredContent::Source { words } => {
                context.content_of_source(&name, words, source.as_ref(), problems, &mut pyramid)
            }
            StoredContent::Missing(missing) => match &source {
                Some(_) => {
                    context.content_of_source(&name, missing.kind, source.as_ref(), problems, &mut pyramid)
                }
                None => Content::Missing(missing),
            },
            stored => {
                let kind = stored.words();
                stored.read(context, blobs).unwrap_or_else(|error| {
                    let reason = format!("its voxels could not be read: {error}");
                    problems.push(format!("“{name}”: {reason}; everything else is open"));
                    Content::Missing(MissingContent { kind: kind.to_owned(), reason })
                })
            }
        };
        Layer {
            id: self.id,
            name,
            content,
            revision: 0,
            placement: self.placement,
            display: self.display,
            provenance: self.provenance,
            source,
            pyramid,
        }
    }
}

/// Where stored things are read from.
pub(super) struct Reading<'a> {
    pub(super) folder: &'a Path,
    pub(super) arrays: &'a Arrays,
    pub(super) progress: &'a Progress,
}

impl Reading<'_> {
    fn content_of_source(
        &self,
        name: &str,
        kind: String,
        source: Option<&SourceFile>,
        problems: &mut Problems,
        pyramid: &mut Option<Arc<Pyramid>>,
    ) -> Content {
        let Some(source) = source else {
            let reason = "the project does not say which file it was read from".to_owned();
            problems.push(format!("“{name}”: {reason}"));
            return Content::Missing(MissingContent { kind, reason });
        };
        match source.read(self.progress, MemoryBudget::from_system()) {
            Ok(read) => {
                problems.extend(source.change().map(|change| format!("“{name}”: {change}")));
                *pyramid = read.pyramid;
                read.content
            }
            Err(error) => {
                let reason = format!("its file could not be read: {error}");
                problems.push(format!(
                    "“{name}”: {reason}. Everything else is open; put the file back and open the project again"
                ));
                Content::Missing(MissingContent { kind, reason })
            }
        }
    }
}

fn stored_content(array: String, content: &Content) -> StoredContent {
    match content {
        Content::Scan(scan) => StoredContent::Scan {
            array,
            flats: scan.flats.is_some(),
            darks: scan.darks.is_some(),
            notes: ScanNotes {
                angles_deg: scan.angles_deg.clone(),
                unit: scan.unit,
                pixel_um: scan.pixel_um,
                energy_ev: scan.energy_ev,
                beam: scan.beam.clone(),
                flat_beam: scan.flat_beam.clone(),
                flat_times: scan.flat_times.clone(),
                exposure_s: scan.exposure_s.clone(),
                flat_exposure_s: scan.flat_exposure_s.clone(),
                metadata: scan.metadata.clone(),
                warnings: scan.warnings.clone(),
            },
        },
        Content::Series(series) => StoredContent::Series {
            array,
            angles_deg: series.angles_deg.clone(),
            pixel_um: series.pixel_um,
            energy_ev: series.energy_ev,
        },
        Content::Alignment(alignment) => StoredContent::Alignment { alignment: Alignment::clone(alignment) },
        Content::Volume(volume) => StoredContent::Volume {
            array,
            voxel_um: volume.voxel_um,
            ratios: volume.ratios,
            origin_um: volume.origin_um,
            unit: volume.unit,
        },
        Content::Regions(regions) => StoredContent::Regions {
            array,
            voxel_um: regions.voxel_um,
            ratios: regions.ratios,
            origin_um: regions.origin_um,
            unit: regions.unit,
            objects: regions.objects.clone(),
        },
        Content::Other(Data::Table(table)) => StoredContent::Table { table: Table::clone(table) },
        Content::Other(Data::Classifier(classifier)) => {
            StoredContent::Classifier { classifier: Box::new(Classifier::clone(classifier)) }
        }
        other => StoredContent::Missing(MissingContent {
            kind: other.words(),
            reason: "results of this kind are not kept in a project; run the operation again".to_owned(),
        }),
    }
}

impl StoredContent {
    fn words(&self) -> &'static str {
        match self {
            Self::Source { .. } | Self::Missing(_) => "layer",
            Self::Scan { .. } => "scan",
            Self::Series { .. } => "normalised tilt series",
            Self::Alignment { .. } => "alignment",
            Self::Volume { .. } => "volume",
            Self::Regions { .. } => "region map",
            Self::Labels { .. } => "label volume",
            Self::Table { .. } => "table",
            Self::Classifier { .. } => "trained classifier",
        }
    }

    fn read(self, context: &Reading<'_>, blobs: &[&[u8]]) -> Result<Content, IoError> {
        let Reading { arrays, progress, .. } = context;
        let wrong =
            |problem: &str| IoError::Content { path: context.folder.to_owned(), problem: problem.to_owned() };
        Ok(match self {
            Self::Scan { array, flats, darks, notes } => {
                let frames = |wanted: bool, name: &str| {
                    let key = format!("{array}-{name}");
                    wanted.then(|| arrays.read(&key, progress).map(|loaded| loaded.array)).transpose()
                };
                Content::Scan(Arc::new(Scan {
                    projections: arrays.read(&array, progress)?.array,
                    flats: frames(flats, "flats")?,
                    darks: frames(darks, "darks")?,
                    angles_deg: notes.angles_deg,
                    unit: notes.unit,
                    pixel_um: notes.pixel_um,
                    energy_ev: notes.energy_ev,
                    beam: notes.beam,
                    flat_beam: notes.flat_beam,
                    flat_times: notes.flat_times,
                    exposure_s: notes.exposure_s,
                    flat_exposure_s: notes.flat_exposure_s,
                    metadata: notes.metadata,
                    warnings: notes.warnings,
                }))
            }
            Self::Series { array, angles_deg, pixel_um, energy_ev } => {
                let data = arrays.read(&array, progress)?.array.into_f32();
                Content::Series(Arc::new(TiltSeries { data, angles_deg, pixel_um, energy_ev }))
            }
            Self::Alignment { alignment } => Content::Alignment(Arc::new(alignment)),
            Self::Table { table } => Content::Other(Data::Table(Arc::new(table))),
            Self::Classifier { classifier } => Content::Other(Data::Classifier(Arc::from(classifier))),
            Self::Volume { array, voxel_um, ratios, origin_um, unit } => {
                let data = arrays.read(&array, progress)?.array.into_f32();
                Content::Volume(Arc::new(Volume { ratios, origin_um, ..Volume::new(data, voxel_um, unit) }))
            }
            Self::Regions { array, voxel_um, ratios, origin_um, unit, objects } => {
                let crate::volume::AnyArray::U32(data) = arrays.read(&array, progress)?.array else {
                    return Err(wrong("region ids must be uint32"));
                };
                let volume = Volume { ratios, origin_um, ..Volume::new(data, voxel_um, unit) };
                Content::Regions(Arc::new(RegionMap { volume, objects }))
            }
            Self::Labels { shape, voxel_um, ratios, origin_um, voxels, marks } => {
                let read = |voxels| {
                    let labels = match voxels {
                        Voxels::Array(key) => arrays.read_labels(&key, progress)?,
                        Voxels::Bytes(at) => {
                            let bytes = blobs.get(at).ok_or_else(|| wrong("the bricks are missing"))?;
                            labels_from(shape, bytes).ok_or_else(|| wrong("the bricks are damaged"))?
                        }
                    };
                    let found = labels.shape();
                    if found == shape {
                        Ok(labels)
                    } else {
                        Err(wrong(&format!("labels of {found:?} voxels, expected {shape:?}")))
                    }
                };
                let layer = LabelLayer::new(read(voxels)?, voxel_um, origin_um);
                let marks = marks.map_or_else(|| Ok(Labels::new(shape)), read)?;
                Content::Labels(LabelLayer { marks, ratios, ..layer })
            }
            Self::Source { .. } | Self::Missing(_) => return Err(wrong("nothing is kept of it")),
        })
    }
}

/// The key of the array with the marks of the labels with this key.
pub(super) fn marks_key(labels_key: &str) -> String {
    format!("{labels_key}-marks")
}

fn push_labels(labels: &Labels, blobs: &mut Blobs) -> usize {
    let empty = crate::volume::labels::Brick::Uniform(0);
    let delta: BrickDelta = (0..labels.n_bricks())
        .filter(|index| *labels.brick(*index) != empty)
        .map(|index| (index as u32, labels.brick(index).clone()))
        .collect();
    push_delta(&delta, blobs)
}

fn labels_from(shape: [usize; 3], bytes: &[u8]) -> Option<Labels> {
    let delta = bricks::decode(bytes)?;
    // A damaged shape must not ask for more memory than there is: 2⁴² voxels are beyond any volume.
    let voxels = shape.iter().try_fold(1u64, |n, side| n.checked_mul(*side as u64))?;
    if voxels > 1 << 42 {
        return None;
    }
    let mut labels = Labels::new(shape);
    let n_bricks = labels.n_bricks();
    if delta.iter().any(|(index, _)| *index as usize >= n_bricks) {
        return None;
    }
    labels.swap_bricks(delta);
    Some(labels)
}

fn push_delta(delta: &BrickDelta, blobs: &mut Blobs) -> usize {
    let mut bytes = Vec::new();
    bricks::encode(delta, &mut bytes);
    blobs.push(bytes);
    blobs.len() - 1
}

/// An edit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "kebab-case")]
enum StoredEdit {
    AddLayer {
        index: usize,
        layer: Box<StoredLayer>,
    },
    RemoveLayer {
        layer: LayerId,
    },
    MoveLayer {
        layer: LayerId,
        index: usize,
    },
    RenameLayer {
        layer: LayerId,
        name: String,
    },
    SetDisplay {
        layer: LayerId,
        display: Display,
    },
    SetPlacement {
        layer: LayerId,
        placement: DAffine3,
    },
    SetCalibration {
        layer: LayerId,
        calibration: Box<Calibration>,
    },
    ReplaceBricks {
        layer: LayerId,
        bytes: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        marks: Option<usize>,
    },
    SetClass {
        class: Class,
    },
    RemoveClass {
        id: u16,
    },
    SetLandmarks {
        landmarks: Vec<Landmark>,
    },
    SetAnnotations {
        annotations: Vec<Annotation>,
    },
    Keep {
        name: String,
        value: Value,
    },
    SetAlignmentViews {
        layer: LayerId,
        views: Vec<ViewShift>,
    },
    SetAlignment {
        layer: LayerId,
        alignment: Arc<Alignment>,
    },
    RenameProject {
        name: String,
    },
    Batch {
        edits: Vec<Self>,
    },
}

impl StoredEdit {
    fn of(edit: &Edit, folder: &Path, blobs: &mut Blobs) -> Self {
        match edit {
            // A place "on top" is beyond what other programs read as a number.
            Edit::AddLayer { index, layer } => Self::AddLayer {
                index: (*index).min(u32::MAX as usize),
                layer: Box::new(StoredLayer::of(layer, folder, None, blobs)),
            },
            Edit::RemoveLayer(layer) => Self::RemoveLayer { layer: *layer },
            Edit::MoveLayer { layer, index } => {
                Self::MoveLayer { layer: *layer, index: (*index).min(u32::MAX as usize) }
            }
            Edit::RenameLayer { layer, name } => Self::RenameLayer { layer: *layer, name: name.clone() },
            Edit::SetDisplay { layer, display } => {
                Self::SetDisplay { layer: *layer, display: display.clone() }
            }
            Edit::SetPlacement { layer, placement } => {
                Self::SetPlacement { layer: *layer, placement: *placement }
            }
            Edit::SetCalibration { layer, calibration } => {
                Self::SetCalibration { layer: *layer, calibration: calibration.clone() }
            }
            Edit::ReplaceBricks { layer, delta, marks } => Self::ReplaceBricks {
                layer: *layer,
                bytes: push_delta(delta, blobs),
                marks: (!marks.is_empty()).then(|| push_delta(marks, blobs)),
            },
            Edit::SetClass(class) => Self::SetClass { class: class.clone() },
            Edit::RemoveClass(id) => Self::RemoveClass { id: *id },
            Edit::SetLandmarks(landmarks) => Self::SetLandmarks { landmarks: landmarks.clone() },
            Edit::SetAnnotations(list) => Self::SetAnnotations { annotations: list.clone() },
            Edit::Keep { name, value } => Self::Keep { name: name.clone(), value: value.clone() },
            Edit::SetAlignmentViews { layer, views } => {
                Self::SetAlignmentViews { layer: *layer, views: views.clone() }
            }
            Edit::SetAlignment { layer, alignment } => {
                Self::SetAlignment { layer: *layer, alignment: Arc::clone(alignment) }
            }
            Edit::RenameProject(name) => Self::RenameProject { name: name.clone() },
            Edit::Batch(edits) => {
                Self::Batch { edits: edits.iter().map(|edit| Self::of(edit, folder, blobs)).collect() }
            }
        }
    }

    fn read(self, context: &Reading<'_>, blobs: &[&[u8]], problems: &mut Problems) -> Option<Edit> {
        Some(match self {
            Self::AddLayer { index, layer } => {
                Edit::AddLayer { index, layer: Box::new(layer.read(context, blobs, problems)) }
            }
            Self::RemoveLayer { layer } => Edit::RemoveLayer(layer),
            Self::MoveLayer { layer, index } => Edit::MoveLayer { layer, index },
            Self::RenameLayer { layer, name } => Edit::RenameLayer { layer, name },
            Self::SetDisplay { layer, display } => Edit::SetDisplay { layer, display },
            Self::SetPlacement { layer, placement } => Edit::SetPlacement { layer, placement },
            Self::SetCalibration { layer, calibration } => Edit::SetCalibration { layer, calibration },
            Self::ReplaceBricks { layer, bytes, marks } => Edit::ReplaceBricks {
                layer,
                delta: bricks::decode(blobs.get(bytes)?)?,
                marks: match marks {
                    Some(at) => bricks::decode(blobs.get(at)?)?,
                    None => BrickDelta::new(),
                },
            },
            Self::SetClass { class } => Edit::SetClass(class),
            Self::RemoveClass { id } => Edit::RemoveClass(id),
            Self::SetLandmarks { landmarks } => Edit::SetLandmarks(landmarks),
            Self::SetAnnotations { annotations } => Edit::SetAnnotations(annotations),
            Self::Keep { name, value } => Edit::Keep { name, value },
            Self::SetAlignmentViews { layer, views } => Edit::SetAlignmentViews { layer, views },
            Self::SetAlignment { layer, alignment } => Edit::SetAlignment { layer, alignment },
            Self::RenameProject { name } => Edit::RenameProject(name),
            Self::Batch { edits } => Edit::Batch(
                edits.into_iter().map(|edit| edit.read(context, blobs, problems)).collect::<Option<_>>()?,
            ),
        })
    }
}

/// An edit as bytes: JSON with its length, then each blob with its length.
pub(super) fn encode_edit(edit: &Edit, folder: &Path) -> Vec<u8> {
    let mut blobs = Blobs::new();
    let stored = StoredEdit::of(edit, folder, &mut blobs);
    // Writing to memory fails only for maps with keys that are no text; there are none here.
    let json = serde_json::to_vec(&stored).unwrap_or_default();
    let mut out = Vec::with_capacity(json.len() + blobs.iter().map(|blob| blob.len() + 4).sum::<usize>() + 4);
    for part in std::iter::once(&json).chain(&blobs) {
        out.extend((part.len() as u32).to_le_bytes());
        out.extend(part);
    }
    out
}

/// Reads an edit; `None` where the bytes are not one.
pub(super) fn decode_edit(mut bytes: &[u8], context: &Reading<'_>, problems: &mut Problems) -> Option<Edit> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        parts.push(part);
        bytes = rest;
    }
    let (json, blobs) = parts.split_first()?;
    serde_json::from_slice::<StoredEdit>(json).ok()?.read(context, blobs, problems)
}
