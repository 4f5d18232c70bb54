//! Edits: every change of the document as data that returns its inverse.

use std::sync::Arc;

use glam::DAffine3;
use serde_json::Value;

use super::Project;
use super::annotation::{Annotation, first_problem};
use super::calibration::Calibration;
use super::layer::{Content, Display, LabelLayer, Landmark, Layer, LayerId};
use crate::volume::labels::BrickDelta;
use crate::volume::{Alignment, BeadTracks, Class, ViewShift};

/// One change of the document. Applying it gives the edit that takes it back.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Puts a layer at a place in the list (0 is the bottom); beyond the end means on top.
    AddLayer {
        /// Place in the list.
        index: usize,
        /// The layer; an id of 0 asks for a fresh one.
        layer: Box<Layer>,
    },
    /// Takes a layer out.
    RemoveLayer(LayerId),
    /// Moves a layer to another place in the list.
    MoveLayer {
        /// The layer.
        layer: LayerId,
        /// Its new place.
        index: usize,
    },
    /// Gives a layer another name.
    RenameLayer {
        /// The layer.
        layer: LayerId,
        /// Its new name.
        name: String,
    },
    /// Changes how a layer is shown.
    SetDisplay {
        /// The layer.
        layer: LayerId,
        /// How it is shown from now on.
        display: Display,
    },
    /// Moves a layer in world space.
    SetPlacement {
        /// The layer.
        layer: LayerId,
        /// World µm from the layer's own µm.
        placement: DAffine3,
    },
    /// Gives a layer another voxel size, origin or unit.
    SetCalibration {
        /// The layer.
        layer: LayerId,
        /// What its voxels are from now on.
        calibration: Box<Calibration>,
    },
    /// Puts other bricks into a label layer.
    ReplaceBricks {
        /// The layer.
        layer: LayerId,
        /// Positions and new bricks of class ids.
        delta: BrickDelta,
        /// Positions and new bricks of marks, which say where labels come from.
        marks: BrickDelta,
    },
    /// Adds a class or changes one.
    SetClass(Class),
    /// Takes a class out of the table; voxels keep their ids.
    RemoveClass(u16),
    /// Replaces the list of landmarks.
    SetLandmarks(Vec<Landmark>),
    /// Replaces the list of annotations.
    SetAnnotations(Vec<Annotation>),
    /// Keeps something of those who draw with the document, or with null nothing any more.
    Keep {
        /// What it is.
        name: String,
        /// What is kept.
        value: Value,
    },
    /// Replaces the shifts of an alignment layer.
    SetAlignmentViews {
        /// The layer.
        layer: LayerId,
        /// One entry per view of the scan.
        views: Vec<ViewShift>,
    },
    /// Replaces an alignment with its beads.
    SetAlignment {
        /// The layer.
        layer: LayerId,
        /// What it holds from now on.
        alignment: Arc<Alignment>,
    },
    /// Gives the project another name.
    RenameProject(String),
    /// Several edits as one, applied in order; all or nothing.
    Batch(Vec<Self>),
}

/// Why an edit was not applied; the document is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The layer is gone.
    #[error("there is no layer {0} any more")]
    NoLayer(u64),
    /// A layer with this id is there already.
    #[error("layer {0} is in the project already")]
    LayerExists(u64),
    /// The layer holds something else.
    #[error("layer “{name}” holds a {found}, not a {wanted}")]
    WrongContent {
        /// Name of the layer.
        name: String,
        /// What it holds.
        found: String,
        /// What the edit is for.
        wanted: &'static str,
    },
    /// The class is not in the table.
    #[error("there is no class {0}")]
    NoClass(u16),
    /// An id that cannot be a class.
    #[error("0 is unlabelled and cannot be a class")]
    ClassZero,
    /// A brick beyond the volume.
    #[error("brick {index} is outside the label volume of {n_bricks} bricks")]
    NoBrick {
        /// Position asked for.
        index: u32,
        /// Number of bricks there are.
        n_bricks: usize,
    },
    /// A placement that no volume can have.
    #[error("the placement holds a number that is not finite or turns the volume into a plane")]
    Placement,
    /// An annotation that cannot be measured.
    #[error("annotation “{name}”: {problem}")]
    Annotation {
        /// Its name.
        name: String,
        /// Why not.
        problem: String,
    },
}

impl Edit {
    /// Bytes that the edit keeps in memory.
    pub fn heap_bytes(&self) -> u64 {
        match self {
            Self::AddLayer { layer, .. } => 512 + layer.content.heap_bytes(),
            Self::ReplaceBricks { delta, marks, .. } => {
                delta.iter().chain(marks).map(|(_, brick)| 32 + brick.heap_bytes() as u64).sum::<u64>() + 64
            }
            Self::SetLandmarks(landmarks) => 160 * landmarks.len() as u64 + 64,
            Self::SetAnnotations(list) => {
                list.iter().map(|one| 192 + 24 * one.points_um.len() as u64).sum::<u64>() + 64
            }
            Self::Keep { value, .. } => value.to_string().len() as u64 * 4 + 64,
            Self::SetAlignmentViews { views, .. } => size_of_val(views.as_slice()) as u64 + 64,
            Self::SetAlignment { alignment, .. } => {
                let points = alignment.beads.as_ref().map_or(0, BeadTracks::n_points);
                size_of_val(alignment.views.as_slice()) as u64 + 64 * points as u64 + 256
            }
            Self::Batch(edits) => edits.iter().map(Self::heap_bytes).sum::<u64>() + 64,
            _ => 256,
        }
    }

    /// Whether the edit touches only how layers are shown.
    pub fn is_display_only(&self) -> bool {
        match self {
            Self::SetDisplay { .. } => true,
            Self::Batch(edits) => edits.iter().all(Self::is_display_only),
            _ => false,
        }
    }
}

/// Whether a volume can be put there and taken back.
fn is_placement(placement: &DAffine3) -> bool {
    let determinant = placement.matrix3.determinant();
    placement.is_finite() && determinant.is_finite() && determinant.abs() > 1e-12
}

impl Project {
    /// The edit with ids for the layers that ask for fresh ones: what goes into a journal must name them.
    pub fn with_ids(&self, edit: Edit) -> Edit {
        fn assign(edit: Edit, next: &mut u64) -> Edit {
            match edit {
                Edit::AddLayer { index, mut layer } => {
                    if layer.id.0 == 0 {
                        layer.id = LayerId(*next);
                        *next += 1;
                    }
                    Edit::AddLayer { index, layer }
                }
                Edit::Batch(edits) => Edit::Batch(edits.into_iter().map(|edit| assign(edit, next)).collect()),
                edit => edit,
            }
        }
        assign(edit, &mut self.next_id.clone())
    }

    /// Applies an edit and returns the one that takes it back; on an error nothing has changed.
    ///
    /// # Errors
    /// [`EditError`] where the edit does not fit the document.
    pub fn apply(&mut self, edit: Edit) -> Result<Edit, EditError> {
        match edit {
            Edit::AddLayer { index, layer } => self.add_layer(index, *layer),
            Edit::RemoveLayer(id) => {
                let index = self.index_of(id)?;
                let layer = self.layers.remove(index);
                Ok(Edit::AddLayer { index, layer: Box::new(layer) })
            }
            Edit::MoveLayer { layer, index } => {
                let old = self.index_of(layer)?;
                let moved = self.layers.remove(old);
                self.layers.insert(index.min(self.layers.len()), moved);
                Ok(Edit::MoveLayer { layer, index: old })
            }
            Edit::RenameLayer { layer, name } => {
                let name = std::mem::replace(&mut self.layer_mut(layer)?.name, name);
                Ok(Edit::RenameLayer { layer, name })
            }
            Edit::SetDisplay { layer, display } => {
                let display = std::mem::replace(&mut self.layer_mut(layer)?.display, display);
                Ok(Edit::SetDisplay { layer, display })
            }
            Edit::SetPlacement { placement, .. } if !is_placement(&placement) => Err(EditError::Placement),
            Edit::SetPlacement { layer, placement } => {
                let placement = std::mem::replace(&mut self.layer_mut(layer)?.placement, placement);
                Ok(Edit::SetPlacement { layer, placement })
            }
            Edit::SetCalibration { layer, calibration } => self.set_calibration(layer, *calibration),
            Edit::ReplaceBricks { layer, delta, marks } => self.replace_bricks(layer, delta, marks),
            Edit::SetClass(class) => {
                if class.id == 0 {
                    return Err(EditError::ClassZero);
                }
                let id = class.id;
                Ok(self.classes.insert(class).map_or(Edit::RemoveClass(id), Edit::SetClass))
            }
            Edit::RemoveClass(id) => {
                self.classes.remove(id).map(Edit::SetClass).ok_or(EditError::NoClass(id))
            }
            Edit::SetLandmarks(landmarks) => {
                Ok(Edit::SetLandmarks(std::mem::replace(&mut self.landmarks, landmarks)))
            }
            Edit::SetAnnotations(list) => match first_problem(&list) {
                Some((name, problem)) => Err(EditError::Annotation { name, problem }),
                None => Ok(Edit::SetAnnotations(std::mem::replace(&mut self.annotations, list))),
            },
            Edit::Keep { name, value } => {
                let old = match value {
                    Value::Null => self.kept.remove(&name),
                    value => self.kept.insert(name.clone(), value),
                };
                Ok(Edit::Keep { name, value: old.unwrap_or(Value::Null) })
            }
            Edit::SetAlignmentViews { layer, views } => self.set_alignment(layer, views),
            Edit::SetAlignment { layer, alignment } => self.replace_alignment(layer, alignment),
            Edit::RenameProject(name) => Ok(Edit::RenameProject(std::mem::replace(&mut self.name, name))),
            Edit::Batch(edits) => self.apply_batch(edits),
        }
    }

    fn add_layer(&mut self, index: usize, mut layer: Layer) -> Result<Edit, EditError> {
        if layer.id == LayerId(0) {
            layer.id = LayerId(self.next_id);
        } else if self.layer(layer.id).is_some() {
            return Err(EditError::LayerExists(layer.id.0));
        }
        self.next_id = self.next_id.max(layer.id.0 + 1);
        layer.revision = self.fresh_revision();
        let id = layer.id;
        self.layers.insert(index.min(self.layers.len()), layer);
        Ok(Edit::RemoveLayer(id))
    }

    fn set_calibration(&mut self, id: LayerId, calibration: Calibration) -> Result<Edit, EditError> {
        let layer = self.layer_mut(id)?;
        let Some(old) = calibration.swap_into(layer) else {
            return Err(wrong(layer, "volume, labels or scan"));
        };
        self.touch(id);
        Ok(Edit::SetCalibration { layer: id, calibration: Box::new(old) })
    }

    fn replace_bricks(
        &mut self,
        id: LayerId,
        delta: BrickDelta,
        marks: BrickDelta,
    ) -> Result<Edit, EditError> {
        let layer = self.label_layer_mut(id)?;
        let n_bricks = layer.labels.n_bricks();
        if let Some((index, _)) = delta.iter().chain(&marks).find(|(index, _)| *index as usize >= n_bricks) {
            return Err(EditError::NoBrick { index: *index, n_bricks });
        }
        let mut delta = layer.labels.swap_bricks(delta);
        let mut marks = layer.marks.swap_bricks(marks);
        // A brick named twice has two entries; taking them back must go the other way round.
        delta.reverse();
        marks.reverse();
        self.touch(id);
        Ok(Edit::ReplaceBricks { layer: id, delta, marks })
    }

    fn replace_alignment(&mut self, id: LayerId, new: Arc<Alignment>) -> Result<Edit, EditError> {
        let layer = self.layer_mut(id)?;
        let Content::Alignment(alignment) = &mut layer.content else {
            return Err(wrong(layer, "alignment"));
        };
        let old = std::mem::replace(alignment, new);
        self.touch(id);
        Ok(Edit::SetAlignment { layer: id, alignment: old })
    }

    fn set_alignment(&mut self, id: LayerId, views: Vec<ViewShift>) -> Result<Edit, EditError> {
        let layer = self.layer_mut(id)?;
        let Content::Alignment(alignment) = &mut layer.content else {
            return Err(wrong(layer, "alignment"));
        };
        let old = alignment.views.clone();
        *alignment = std::sync::Arc::new(Alignment { views, ..Alignment::clone(alignment) });
        self.touch(id);
        Ok(Edit::SetAlignmentViews { layer: id, views: old })
    }

    fn apply_batch(&mut self, edits: Vec<Edit>) -> Result<Edit, EditError> {
        let mut inverses = Vec::with_capacity(edits.len());
        for edit in edits {
            match self.apply(edit) {
                Ok(inverse) => inverses.push(inverse),
                Err(error) => {
                    for inverse in inverses.into_iter().rev() {
                        let undone = self.apply(inverse);
                        assert!(undone.is_ok(), "an inverse edit always fits: {undone:?}");
                    }
                    return Err(error);
                }
            }
        }
        inverses.reverse();
        Ok(Edit::Batch(inverses))
    }

    /// The labels of a layer for painting; the caller keeps the old bricks and calls [`Project::touch`].
    pub(crate) fn label_layer_mut(&mut self, id: LayerId) -> Result<&mut LabelLayer, EditError> {
        let layer = self.layer_mut(id)?;
        if layer.labels().is_none() {
            return Err(wrong(layer, "label volume"));
        }
        match &mut layer.content {
            Content::Labels(labels) => Ok(labels),
            _ => Err(EditError::NoLayer(id.0)),
        }
    }

    /// Marks the content of a layer as changed.
    pub(crate) fn touch(&mut self, id: LayerId) {
        let revision = self.fresh_revision();
        if let Ok(layer) = self.layer_mut(id) {
            layer.revision = revision;
        }
    }

    fn fresh_revision(&mut self) -> u64 {
        self.next_revision += 1;
        self.next_revision
    }

    fn index_of(&self, id: LayerId) -> Result<usize, EditError> {
        self.layers.iter().position(|layer| layer.id == id).ok_or(EditError::NoLayer(id.0))
    }

    fn layer_mut(&mut self, id: LayerId) -> Result<&mut Layer, EditError> {
        self.layers.iter_mut().find(|layer| layer.id == id).ok_or(EditError::NoLayer(id.0))
    }
}

fn wrong(layer: &Layer, wanted: &'static str) -> EditError {
    EditError::WrongContent { name: layer.name.clone(), found: layer.content.words(), wanted }
}
